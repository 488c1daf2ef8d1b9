/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "net.h"

/* Offsets in a frame, and what stands there. */
enum {
	ETHER_TO = 0,
	ETHER_FROM = 6,
	ETHER_TYPE = 12,
	ETHER_BYTES = 14,

	ARP_KIND = ETHER_BYTES,
	ARP_OPERATION = ETHER_BYTES + 6,
	ARP_FROM_MAC = ETHER_BYTES + 8,
	ARP_FROM = ETHER_BYTES + 14,
	ARP_TO_MAC = ETHER_BYTES + 18,
	ARP_TO = ETHER_BYTES + 24,
	ARP_END = ETHER_BYTES + 28,

	IP_VERSION = ETHER_BYTES,
	IP_LENGTH = ETHER_BYTES + 2,
	IP_FRAGMENT = ETHER_BYTES + 6,
	IP_LIFE = ETHER_BYTES + 8,
	IP_PROTOCOL = ETHER_BYTES + 9,
	IP_SUM = ETHER_BYTES + 10,
	IP_FROM = ETHER_BYTES + 12,
	IP_TO = ETHER_BYTES + 16,
	IP_END = ETHER_BYTES + 20, /* without options */

	ICMP_TYPE = IP_END,
	ICMP_SUM = IP_END + 2,
	ICMP_ID = IP_END + 4,
	ICMP_NUMBER = IP_END + 6,
	ICMP_END = IP_END + 8,

	UDP_FROM = IP_END,
	UDP_TO = IP_END + 2,
	UDP_LENGTH = IP_END + 4,
	UDP_END = IP_END + 8,

	DHCP_OPERATION = UDP_END,
	DHCP_NUMBER = UDP_END + 4,
	DHCP_FLAGS = UDP_END + 10,
	DHCP_YOURS = UDP_END + 16,
	DHCP_MAC = UDP_END + 28,
	DHCP_COOKIE = UDP_END + 236,
	DHCP_OPTIONS = UDP_END + 240,
	DHCP_LEAST = UDP_END + 300, /* what old servers want */
};

#define TYPE_IP      0x0800u
#define TYPE_ARP     0x0806u
#define ICMP         1u
#define UDP          17u
#define ECHO_REPLY   0u
#define ECHO_REQUEST 8u
#define PORT_SERVER  67u
#define PORT_CLIENT  68u
#define COOKIE       0x63825363u
#define NUMBER       0x76697265u
#define EVERYBODY    UINT32_MAX

#define OPTION_MASK    1u
#define OPTION_ROUTER  3u
#define OPTION_ADDRESS 50u
#define OPTION_KIND    53u
#define OPTION_SERVER  54u
#define OPTION_END     255u
#define DISCOVER       1u
#define OFFER          2u
#define REQUEST        3u
#define ACK            5u

static uint16_t get16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static uint32_t get32(const uint8_t *at)
{
	return (uint32_t)get16(at) << 16 | get16(at + 2);
}

static void put16(uint8_t *at, unsigned value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value)
{
	put16(at, value >> 16);
	put16(at + 2, value & 0xffff);
}

/* 0 over what has its sum in it. */
static uint16_t sum(const uint8_t *at, uint32_t length)
{
	uint32_t total = 0;

	for (; length > 1; at += 2, length -= 2)
		total += get16(at);
	if (length)
		total += (uint32_t)*at << 8;
	total = (total & 0xffff) + (total >> 16);
	return (uint16_t) ~((total & 0xffff) + (total >> 16));
}

static void send(struct net *net, const uint8_t *to, unsigned type, uint32_t length)
{
	int error;

	memcpy(net->frame + ETHER_TO, to, 6);
	memcpy(net->frame + ETHER_FROM, net->mac, 6);
	put16(net->frame + ETHER_TYPE, type);
	error = net->send(net->context, net->frame, length);
	if (error && !net->error)
		net->error = error;
}

/* What is behind the IP header is there already, up to `end`. */
static void send_ip(struct net *net, const uint8_t *mac, uint32_t to, unsigned protocol, uint32_t end)
{
	uint8_t *frame = net->frame;

	memset(frame + ETHER_BYTES, 0, IP_END - ETHER_BYTES);
	frame[IP_VERSION] = 0x45;
	put16(frame + IP_LENGTH, end - ETHER_BYTES);
	frame[IP_LIFE] = 64;
	frame[IP_PROTOCOL] = (uint8_t)protocol;
	put32(frame + IP_FROM, net->address);
	put32(frame + IP_TO, to);
	put16(frame + IP_SUM, sum(frame + ETHER_BYTES, IP_END - ETHER_BYTES));
	send(net, mac, TYPE_IP, end);
}

static void send_arp(struct net *net, unsigned operation, const uint8_t *mac, uint32_t to)
{
	static const uint8_t kind[] = { 0, 1, 8, 0, 6, 4 }; /* Ethernet, IP, their lengths */
	static const uint8_t nobody[6];
	const int asks = operation == 1;
	uint8_t *frame = net->frame;

	memcpy(frame + ARP_KIND, kind, sizeof(kind));
	put16(frame + ARP_OPERATION, operation);
	memcpy(frame + ARP_FROM_MAC, net->mac, 6);
	put32(frame + ARP_FROM, net->address);
	memcpy(frame + ARP_TO_MAC, asks ? nobody : mac, 6);
	put32(frame + ARP_TO, to);
	send(net, mac, TYPE_ARP, ARP_END);
}

static uint8_t *put_option(uint8_t *at, unsigned code, uint32_t value)
{
	at[0] = (uint8_t)code;
	at[1] = 4;
	put32(at + 2, value);
	return at + 6;
}

static void send_dhcp(struct net *net, unsigned kind)
{
	static const uint8_t all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	uint8_t *frame = net->frame, *at = frame + DHCP_OPTIONS;

	memset(frame, 0, DHCP_LEAST);
	put16(frame + UDP_FROM, PORT_CLIENT);
	put16(frame + UDP_TO, PORT_SERVER);
	put16(frame + UDP_LENGTH, DHCP_LEAST - IP_END);
	frame[DHCP_OPERATION] = 1;
	frame[DHCP_OPERATION + 1] = 1; /* Ethernet */
	frame[DHCP_OPERATION + 2] = 6;
	put32(frame + DHCP_NUMBER, NUMBER);
	put16(frame + DHCP_FLAGS, 0x8000); /* the answer to everybody */
	memcpy(frame + DHCP_MAC, net->mac, 6);
	put32(frame + DHCP_COOKIE, COOKIE);
	*at++ = OPTION_KIND;
	*at++ = 1;
	*at++ = (uint8_t)kind;
	if (kind == REQUEST) {
		at = put_option(at, OPTION_ADDRESS, net->offered);
		at = put_option(at, OPTION_SERVER, net->server);
	}
	*at = OPTION_END;
	send_ip(net, all, EVERYBODY, UDP, DHCP_LEAST);
}

void net_discover(struct net *net)
{
	send_dhcp(net, DISCOVER);
}

void net_request(struct net *net)
{
	send_dhcp(net, REQUEST);
}

void net_find_gateway(struct net *net)
{
	static const uint8_t all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

	send_arp(net, 1, all, net->gateway);
}

void net_ping_gateway(struct net *net)
{
	uint8_t *frame = net->frame;
	unsigned at;

	memset(frame + ICMP_TYPE, 0, ICMP_END - ICMP_TYPE);
	frame[ICMP_TYPE] = ECHO_REQUEST;
	put16(frame + ICMP_ID, NUMBER & 0xffff);
	put16(frame + ICMP_NUMBER, ++net->pings_sent);
	for (at = 0; at < NET_PING_BYTES; at++)
		frame[ICMP_END + at] = (uint8_t)(at + net->pings_sent);
	put16(frame + ICMP_SUM, sum(frame + ICMP_TYPE, 8 + NET_PING_BYTES));
	send_ip(net, net->gateway_mac, net->gateway, ICMP, ICMP_END + NET_PING_BYTES);
}

static void receive_arp(struct net *net, const uint8_t *frame, uint32_t length)
{
	if (length < ARP_END || !net->address || get32(frame + ARP_TO) != net->address)
		return;
	if (get16(frame + ARP_OPERATION) == 1) {
		send_arp(net, 2, frame + ARP_FROM_MAC, get32(frame + ARP_FROM));
	} else if (get32(frame + ARP_FROM) == net->gateway) {
		memcpy(net->gateway_mac, frame + ARP_FROM_MAC, 6);
		net->gateways++;
	}
}

/* Answers go in the order of the questions, so that none can be taken for another. */
static void receive_icmp(struct net *net, const uint8_t *frame, uint32_t end)
{
	unsigned at;

	if (end < ICMP_END || end > NET_FRAME_BYTES || sum(frame + ICMP_TYPE, end - ICMP_TYPE))
		return;
	if (frame[ICMP_TYPE] == ECHO_REQUEST) {
		memcpy(net->frame + ICMP_TYPE, frame + ICMP_TYPE, end - ICMP_TYPE);
		net->frame[ICMP_TYPE] = ECHO_REPLY;
		put16(net->frame + ICMP_SUM, 0);
		put16(net->frame + ICMP_SUM, sum(net->frame + ICMP_TYPE, end - ICMP_TYPE));
		send_ip(net, frame + ETHER_FROM, get32(frame + IP_FROM), ICMP, end);
		net->pings_answered++;
	} else if (frame[ICMP_TYPE] == ECHO_REPLY && end == ICMP_END + NET_PING_BYTES &&
		   get16(frame + ICMP_ID) == (NUMBER & 0xffff) &&
		   get16(frame + ICMP_NUMBER) == (net->pings_sent & 0xffff) &&
		   net->pings_back < net->pings_sent) {
		for (at = 0; at < NET_PING_BYTES; at++)
			if (frame[ICMP_END + at] != (uint8_t)(at + net->pings_sent))
				return;
		net->pings_back++;
	}
}

static void receive_dhcp(struct net *net, const uint8_t *frame, uint32_t end)
{
	uint32_t at, kind = 0, server = 0, router = 0, mask = 0;

	if (end < DHCP_OPTIONS || frame[DHCP_OPERATION] != 2 || get32(frame + DHCP_NUMBER) != NUMBER ||
	    memcmp(frame + DHCP_MAC, net->mac, 6) || get32(frame + DHCP_COOKIE) != COOKIE)
		return;
	for (at = DHCP_OPTIONS; at + 1 < end && frame[at] != OPTION_END;
	     at += frame[at] ? frame[at + 1] + 2u : 1u) {
		if (at + 2 + frame[at + 1] > end)
			return;
		if (frame[at] == OPTION_KIND && frame[at + 1] == 1)
			kind = frame[at + 2];
		if (!frame[at] || frame[at + 1] < 4)
			continue;
		if (frame[at] == OPTION_SERVER)
			server = get32(frame + at + 2);
		if (frame[at] == OPTION_ROUTER)
			router = get32(frame + at + 2);
		if (frame[at] == OPTION_MASK)
			mask = get32(frame + at + 2);
	}
	if (kind == OFFER && !net->offered) {
		net->offered = get32(frame + DHCP_YOURS);
		net->server = server;
		net->offers++;
	} else if (kind == ACK && net->offered && get32(frame + DHCP_YOURS) == net->offered) {
		net->address = net->offered;
		net->gateway = router;
		net->mask = mask;
		net->leases++;
	}
}

void net_receive(struct net *net, const uint8_t *frame, uint32_t length)
{
	uint32_t end, to;

	if (length >= ARP_END && get16(frame + ETHER_TYPE) == TYPE_ARP)
		receive_arp(net, frame, length);
	if (length < IP_END || get16(frame + ETHER_TYPE) != TYPE_IP || frame[IP_VERSION] != 0x45 ||
	    sum(frame + ETHER_BYTES, IP_END - ETHER_BYTES) || (get16(frame + IP_FRAGMENT) & 0x3fff))
		return;
	end = ETHER_BYTES + get16(frame + IP_LENGTH);
	to = get32(frame + IP_TO);
	if (end < IP_END || end > length)
		return;
	if (frame[IP_PROTOCOL] == UDP && end >= UDP_END && get16(frame + UDP_FROM) == PORT_SERVER &&
	    get16(frame + UDP_TO) == PORT_CLIENT)
		receive_dhcp(net, frame, end);
	if (frame[IP_PROTOCOL] == ICMP && net->address && to == net->address)
		receive_icmp(net, frame, end);
}
