/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_DEVICES_FAKE_NETWORK_H
#define TESTS_DEVICES_FAKE_NETWORK_H

#include "devices/harness.h"

#include <vireo/devices/net.h>

/* A network that does what the test says, and packets to send over it. */

#define FAKE_SENT_MAX 512u
#define FAKE_BYTES    70000u
#define BIT(bit)      (UINT64_C(1) << (bit))

struct fake_sent {
	struct vio_frame frame; /* spans point into bytes */
	struct vio_span span;
	uint8_t *bytes;
};

struct fake_network {
	struct vio_network network;
	bool hold; /* what is sent waits for fake_finish() */
	int result;
	unsigned many; /* taken together at most, when neither of these is set */
	struct fake_sent sent[FAKE_SENT_MAX];
	unsigned sent_count;
	struct vio_network_send *held[FAKE_SENT_MAX];
	unsigned held_count;
	unsigned offloads; /* as configured */
	uint16_t pairs;
	unsigned ready_count, arm_count, drains;
	uint32_t armed_us;
};

void fake_network_init(struct fake_network *fake);
void fake_network_clear(struct fake_network *fake);
void fake_network_finish(struct fake_network *fake);
/* A frame of one span, or of pieces of `piece` bytes, arrives; result as deliver(). */
int fake_network_deliver(struct fake_network *fake, struct vio_frame *frame, uint8_t *bytes, uint32_t length,
			 uint32_t piece);

/* A device on it, and its driver, with queues of 64. Properties "name=value", NULL at the end. */
struct net_test {
	struct harness h;
	struct fake_network fake;
	uint64_t features;
	unsigned header_bytes;
};

struct net_test *net_test_make(const char *const *properties);
void net_test_start(struct net_test *test, uint64_t features);
void net_test_free(struct net_test *test);

/* Sends header and packet from the first pair; the device must have used it. */
void net_test_send(struct net_test *test, const struct virtio_net_hdr *header, const void *packet,
		   size_t length, size_t piece);
/* A control command: the answer, or -1 when there was none. */
int net_test_control(struct net_test *test, unsigned class, unsigned command, const void *data,
		     size_t length);
/* Gives `count` buffers of `bytes` to receive queue `queue`. */
void net_test_post(struct net_test *test, unsigned queue, unsigned count, size_t bytes);
/* The next frame that came, put together, with its header; its length, or -1 if there is none. */
int net_test_take(struct net_test *test, unsigned queue, struct virtio_net_hdr_hash *header, uint8_t *to,
		  size_t size);

/* Packets. */
struct packet {
	uint8_t bytes[FAKE_BYTES];
	uint32_t length, network, transport, payload;
};

struct packet_kind {
	unsigned version;  /* 4, 6 */
	unsigned protocol; /* TCP, UDP */
	uint32_t payload;
	unsigned vlan; /* 0: none */
	uint16_t source_port, target_port;
	uint8_t tcp_flags;
};

/* To 52:54:00:00:00:01 from :02, with the checksum of the pseudo header only. */
void packet_make(struct packet *packet, const struct packet_kind *kind);
/* What an adapter would verify: true if all checksums are right. */
bool packet_is_right(const uint8_t *bytes, uint32_t length);
struct virtio_net_hdr packet_header(const struct packet *packet, unsigned gso_type, unsigned gso_bytes);

extern const uint8_t test_mac[6], other_mac[6];

#endif
