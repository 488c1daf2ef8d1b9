/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HOBBY_NET_H
#define HOBBY_NET_H

#include <stdint.h>

/*
 * As much of IPv4 as it takes to have an address (DHCP), to be found (ARP) and to be asked whether one is
 * there (ICMP echo). Frames go out through `send` and come in through net_receive(); nothing here waits.
 */
#define NET_FRAME_BYTES 1518u
#define NET_PING_BYTES  64u

struct net {
	/* The caller's. */
	uint8_t mac[6];
	void *context;
	int (*send)(void *context, const void *frame, uint32_t length);

	/* Addresses as numbers; 0: not known yet. */
	uint32_t address, mask, gateway;
	uint32_t offered, server;
	uint8_t gateway_mac[6];
	unsigned offers, leases, gateways; /* what was answered */
	unsigned pings_sent, pings_back, pings_answered;
	int error; /* of send, the first */
	uint8_t frame[NET_FRAME_BYTES];
};

void net_receive(struct net *net, const uint8_t *frame, uint32_t length);

/* Each sends one frame: asks for an address, for what was offered; for the gateway; whether it is there. */
void net_discover(struct net *net);
void net_request(struct net *net);
void net_find_gateway(struct net *net);
void net_ping_gateway(struct net *net);

#endif
