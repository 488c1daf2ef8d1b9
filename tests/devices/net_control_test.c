/* SPDX-License-Identifier: BSD-3-Clause */
#include "devices/fake_network.h"

#include <stdlib.h>
#include <string.h>

/* The network device's control queue, filters, steering, hashes, coalescing, and what survives a move. */

#define CTRL (BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_MAC) | BIT(VIRTIO_NET_F_MRG_RXBUF))
#define RX   (CTRL | BIT(VIRTIO_NET_F_CTRL_RX) | BIT(VIRTIO_NET_F_CTRL_RX_EXTRA))
#define MODE VIRTIO_NET_CTRL_RX
#define COAL VIRTIO_NET_CTRL_NOTF_COAL

static const char *const plain[] = { "mac=52:54:00:00:00:01", NULL };
static const char *const four[] = { "mac=52:54:00:00:00:01", "pairs=4", NULL };
static const uint8_t broadcast[6] = { 255, 255, 255, 255, 255, 255 };
static const uint8_t multicast[6] = { 1, 0, 0x5e, 0, 0, 1 };

static struct packet packet;
static uint8_t got[FAKE_BYTES];

/* Does a frame to this address come through? With a VLAN tag unless that is 0. */
static bool passes_tagged(struct net_test *test, const uint8_t *mac, unsigned vlan)
{
	struct virtio_net_hdr_hash header;
	struct vio_frame frame = { 0 };

	packet_make(&packet, &(struct packet_kind){ 4, VIO_PROTOCOL_UDP, .payload = 20, .vlan = vlan });
	memcpy(packet.bytes, mac, 6);
	net_test_post(test, 0, 1, 1600);
	assert_int_equal(fake_network_deliver(&test->fake, &frame, packet.bytes, packet.length, 0), 0);
	return net_test_take(test, 0, &header, got, sizeof(got)) == (int)packet.length;
}

static bool passes(struct net_test *test, const uint8_t *mac)
{
	return passes_tagged(test, mac, 0);
}

static void set_mode(struct net_test *test, unsigned command, uint8_t on)
{
	assert_int_equal(net_test_control(test, MODE, command, &on, 1), VIRTIO_NET_OK);
}

static void assert_passes(struct net_test *test, bool own, bool other, bool multi, bool broad)
{
	assert_int_equal(passes(test, test_mac), own);
	assert_int_equal(passes(test, other_mac), other);
	assert_int_equal(passes(test, multicast), multi);
	assert_int_equal(passes(test, broadcast), broad);
}

/* spec: DEV-NET-074 to DEV-NET-086, DEV-NET-087, DEV-NET-090 */
static void modes_filter(void **state)
{
	struct net_test *test = net_test_make(plain);

	net_test_start(test, RX);
	assert_passes(test, true, false, false, true);  /* spec: DEV-NET-087 DEV-NET-090 */
	set_mode(test, VIRTIO_NET_CTRL_RX_ALLMULTI, 1); /* spec: DEV-NET-074 DEV-NET-077 */
	assert_passes(test, true, false, true, true);
	set_mode(test, VIRTIO_NET_CTRL_RX_NOMULTI, 1); /* spec: DEV-NET-080 DEV-NET-081 DEV-NET-082 */
	assert_passes(test, true, false, false, true);
	set_mode(test, VIRTIO_NET_CTRL_RX_NOBCAST, 1); /* spec: DEV-NET-085 DEV-NET-086 */
	assert_passes(test, true, false, false, false);
	set_mode(test, VIRTIO_NET_CTRL_RX_ALLUNI, 1); /* spec: DEV-NET-078 DEV-NET-079 */
	assert_passes(test, true, true, false, false);
	set_mode(test, VIRTIO_NET_CTRL_RX_NOUNI, 1); /* spec: DEV-NET-083 DEV-NET-084 */
	assert_passes(test, false, false, false, false);
	set_mode(test, VIRTIO_NET_CTRL_RX_PROMISC, 1); /* spec: DEV-NET-075 DEV-NET-076 */
	assert_passes(test, true, true, true, true);
	set_mode(test, VIRTIO_NET_CTRL_RX_PROMISC, 0);
	assert_passes(test, false, false, false, false);
	harness_reset(&test->h);
	net_test_start(test, RX);
	assert_passes(test, true, false, false, true);
	harness_reset(&test->h);
	net_test_start(test, CTRL); /* who can't say what it wants gets everything */
	assert_passes(test, true, true, true, true);
	net_test_free(test);
}

static size_t put_table(uint8_t *to, unsigned count, const uint8_t *mac)
{
	memset(to, 0, 4 + 6 * (size_t)count);
	to[0] = (uint8_t)count;
	for (unsigned i = 0; i < count; i++) {
		memcpy(to + 4 + 6 * i, mac, 6);
		to[4 + 6 * i + 5] = (uint8_t)(mac[5] + i);
	}
	return 4 + 6 * (size_t)count;
}

/* spec: DEV-NET-088 DEV-NET-089 */
static void addresses_filter(void **state)
{
	struct net_test *test = net_test_make(plain);
	const uint8_t own[6] = { 0x52, 0x54, 0, 0, 0, 9 };
	uint8_t table[2048], config[6];
	size_t length;

	net_test_start(test, RX | BIT(VIRTIO_NET_F_CTRL_MAC_ADDR));
	length = put_table(table, 2, other_mac);
	length += put_table(table + length, 1, multicast);
	assert_int_equal(net_test_control(test, VIRTIO_NET_CTRL_MAC, 0, table, length), VIRTIO_NET_OK);
	assert_passes(test, true, true, true, true);
	assert_false(passes(test, own));
	/* Damaged tables change nothing. */
	for (size_t cut = 0; cut < length; cut++)
		assert_int_equal(net_test_control(test, VIRTIO_NET_CTRL_MAC, 0, table, cut), VIRTIO_NET_ERR);
	assert_int_equal(net_test_control(test, VIRTIO_NET_CTRL_MAC, 0, table, length + 1), VIRTIO_NET_ERR);
	memset(table, 0xff, 4);
	assert_int_equal(net_test_control(test, VIRTIO_NET_CTRL_MAC, 0, table, length), VIRTIO_NET_ERR);
	assert_passes(test, true, true, true, true);
	/* More than there is room for: all of the kind. */
	length = put_table(table, 65, own);
	length += put_table(table + length, 0, multicast);
	assert_int_equal(net_test_control(test, VIRTIO_NET_CTRL_MAC, 0, table, length), VIRTIO_NET_OK);
	assert_passes(test, true, true, false, true);
	length = put_table(table, 0, own);
	length += put_table(table + length, 0, multicast);
	assert_int_equal(net_test_control(test, VIRTIO_NET_CTRL_MAC, 0, table, length), VIRTIO_NET_OK);
	assert_passes(test, true, false, false, true);
	assert_int_equal(net_test_control(test, VIRTIO_NET_CTRL_MAC, 1, own, 5), VIRTIO_NET_ERR);
	assert_int_equal(net_test_control(test, VIRTIO_NET_CTRL_MAC, 1, own, 6), VIRTIO_NET_OK);
	vio_device_read_config(&test->h.dev, 0, config, 6);
	assert_memory_equal(config, own, 6);
	assert_true(passes(test, own));
	assert_false(passes(test, test_mac));
	net_test_free(test);
}

/* spec: DEV-NET-091 DEV-NET-092 DEV-NET-093 */
static void vlans_filter(void **state)
{
	struct net_test *test = net_test_make(plain);
	const uint8_t seven[2] = { 7, 0 }, last[2] = { 0xff, 0x0f }, beyond[2] = { 0, 0x10 };

	net_test_start(test, RX);
	assert_true(passes_tagged(test, test_mac, 7));
	harness_reset(&test->h);
	net_test_start(test, RX | BIT(VIRTIO_NET_F_CTRL_VLAN));
	assert_false(passes_tagged(test, test_mac, 7));
	assert_true(passes(test, test_mac));
	assert_int_equal(net_test_control(test, VIRTIO_NET_CTRL_VLAN, 0, seven, 2), VIRTIO_NET_OK);
	assert_int_equal(net_test_control(test, VIRTIO_NET_CTRL_VLAN, 0, last, 2), VIRTIO_NET_OK);
	assert_int_equal(net_test_control(test, VIRTIO_NET_CTRL_VLAN, 0, beyond, 2), VIRTIO_NET_ERR);
	assert_int_equal(net_test_control(test, VIRTIO_NET_CTRL_VLAN, 2, seven, 2), VIRTIO_NET_ERR);
	assert_int_equal(net_test_control(test, VIRTIO_NET_CTRL_VLAN, 0, seven, 1), VIRTIO_NET_ERR);
	assert_true(passes_tagged(test, test_mac, 7));
	assert_true(passes_tagged(test, test_mac, 4095));
	assert_false(passes_tagged(test, test_mac, 8));
	assert_int_equal(net_test_control(test, VIRTIO_NET_CTRL_VLAN, 1, seven, 2), VIRTIO_NET_OK);
	assert_false(passes_tagged(test, test_mac, 7));
	net_test_free(test);
}

/* The queue that a frame of this flow comes to, or -1. */
static int queue_of(struct net_test *test, uint16_t source_port, uint16_t target_port,
		    struct virtio_net_hdr_hash *header)
{
	struct vio_frame frame = { 0 };

	packet_make(&packet, &(struct packet_kind){ 4, VIO_PROTOCOL_TCP, .payload = 20,
						    .source_port = source_port, .target_port = target_port });
	fake_network_deliver(&test->fake, &frame, packet.bytes, packet.length, 0);
	for (unsigned pair = 0; pair < 4; pair++) {
		if (net_test_take(test, 2 * pair, header, got, sizeof(got)) > 0)
			return (int)pair;
	}
	return -1;
}

static void post_all(struct net_test *test)
{
	for (unsigned pair = 0; pair < 4; pair++) {
		if (test->h.dev.queues[2 * pair].running)
			net_test_post(test, 2 * pair, 30, 1600);
	}
}

static int set_pairs(struct net_test *test, unsigned pairs)
{
	const uint8_t wire[2] = { (uint8_t)pairs, (uint8_t)(pairs >> 8) };

	return net_test_control(test, VIRTIO_NET_CTRL_MQ, 0, wire, 2);
}

static void send_from(struct net_test *test, unsigned pair, uint16_t source_port, uint16_t target_port)
{
	uint8_t out[256] = { 0 };
	struct harness_io io = { out, 0, NULL, 0, 0 };

	packet_make(&packet, &(struct packet_kind){ 4, VIO_PROTOCOL_TCP, .payload = 20,
						    .source_port = source_port, .target_port = target_port });
	/* The other direction: addresses change places. */
	memcpy(out + test->header_bytes, packet.bytes, packet.length);
	memcpy(out + test->header_bytes + 26, packet.bytes + 30, 4);
	memcpy(out + test->header_bytes + 30, packet.bytes + 26, 4);
	io.out_bytes = test->header_bytes + packet.length;
	assert_int_equal(harness_call(&test->h, 2 * pair + 1, &io), 0);
}

/* spec: DEV-NET-095 DEV-NET-096 DEV-NET-097 DEV-NET-098 DEV-NET-099 DEV-NET-100 */
static void flows_come_back_to_their_queue(void **state)
{
	struct net_test *test = net_test_make(four);
	struct virtio_net_hdr_hash header;
	unsigned seen = 0;

	net_test_start(test, CTRL | BIT(VIRTIO_NET_F_MQ));
	post_all(test);
	for (uint16_t port = 1; port < 20; port++)
		assert_int_equal(queue_of(test, 80, port, &header), 0);
	assert_int_equal(set_pairs(test, 0), VIRTIO_NET_ERR);
	assert_int_equal(set_pairs(test, 5), VIRTIO_NET_ERR);
	assert_int_equal(set_pairs(test, 4), VIRTIO_NET_OK);
	assert_int_equal(test->fake.pairs, 4);
	for (uint16_t port = 100; port < 108; port++) {
		send_from(test, port % 4u, port, 80);
		assert_int_equal(queue_of(test, 80, port, &header), port % 4u);
	}
	for (uint16_t port = 200; port < 220; port++)
		seen |= 1u << queue_of(test, 80, port, &header);
	assert_int_equal(seen, 15);
	assert_int_equal(set_pairs(test, 2), VIRTIO_NET_OK);
	for (uint16_t port = 100; port < 108; port++)
		assert_in_range(queue_of(test, 80, port, &header), 0, 1);
	vio_device_queue_stop(&test->h.dev, 0);
	for (uint16_t port = 100; port < 108; port++)
		assert_int_equal(queue_of(test, 80, port, &header), 1);
	vio_device_queue_stop(&test->h.dev, 2);
	assert_int_equal(queue_of(test, 80, 100, &header), -1);
	assert_int_equal(test->h.faults, 0);
	net_test_free(test);
}

/* Who has the whole device can't have pairs without the queue by which they are set. */
static void pairs_need_commands(void **state)
{
	struct net_test *test = net_test_make(four);

	assert_false(harness_negotiate(&test->h, BIT(VIRTIO_NET_F_MQ)) & VIRTIO_CONFIG_S_FEATURES_OK);
	harness_reset(&test->h);
	assert_true(harness_negotiate(&test->h, BIT(VIRTIO_NET_F_MQ) | BIT(VIRTIO_NET_F_CTRL_VQ)) &
		    VIRTIO_CONFIG_S_FEATURES_OK);
	net_test_free(test);
}

/*
 * QEMU and DPDK answer commands themselves, and pass on what needs the control queue without that: it means
 * nothing to us then, but that there are pairs, of which those are used whose queues run.
 */
static void pairs_without_commands(void **state)
{
	const uint64_t commands = BIT(VIRTIO_NET_F_CTRL_RX) | BIT(VIRTIO_NET_F_CTRL_VLAN) |
				  BIT(VIRTIO_NET_F_CTRL_MAC_ADDR) | BIT(VIRTIO_NET_F_GUEST_ANNOUNCE) |
				  BIT(VIRTIO_NET_F_RSS);
	const uint64_t rest = (CTRL & ~BIT(VIRTIO_NET_F_CTRL_VQ)) | BIT(VIRTIO_NET_F_MQ);
	struct net_test *test = net_test_make(four);
	struct vio_features sent = { { rest | commands, 0 } };
	struct virtio_net_hdr_hash header;
	unsigned seen = 0;

	test->h.dev.part_only = true;
	vio_net_class.trim_features(&test->h.dev, &sent);
	assert_int_equal(sent.word[0], rest);
	net_test_start(test, sent.word[0]);
	post_all(test);
	assert_int_equal(test->fake.pairs, 4);
	for (uint16_t port = 100; port < 108; port++) {
		send_from(test, port % 4u, port, 80);
		assert_int_equal(queue_of(test, 80, port, &header), port % 4u);
	}
	for (uint16_t port = 200; port < 220; port++)
		seen |= 1u << queue_of(test, 80, port, &header);
	assert_int_equal(seen, 15);
	/* Two pairs aren't enabled. */
	for (uint16_t queue = 4; queue < 8; queue++)
		vio_device_queue_stop(&test->h.dev, queue);
	for (uint16_t port = 100; port < 130; port++)
		assert_in_range(queue_of(test, 80, port, &header), 0, 2);
	assert_int_equal(test->h.faults, 0);
	net_test_free(test);
}

static const uint8_t key[40] = {
	0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
	0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
	0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
};

/* hash_types, mask, unclassified, a table of mask + 1, max_tx_vq, key. */
static size_t put_rss(uint8_t *to, uint32_t types, unsigned mask, unsigned unclassified, unsigned max_tx)
{
	size_t at = 8;

	memset(to, 0, 512);
	to[0] = (uint8_t)types;
	to[1] = (uint8_t)(types >> 8);
	to[4] = (uint8_t)mask;
	to[6] = (uint8_t)unclassified;
	for (unsigned i = 0; i <= mask; i++, at += 2)
		to[at] = (uint8_t)(i % 4);
	to[at] = (uint8_t)max_tx;
	to[at + 2] = sizeof(key);
	memcpy(to + at + 3, key, sizeof(key));
	return at + 3 + sizeof(key);
}

/* spec: DEV-NET-068 DEV-NET-069 DEV-NET-102 DEV-NET-103 */
static void rss_steers(void **state)
{
	struct net_test *test = net_test_make(four);
	struct virtio_net_hdr_hash header;
	uint8_t rss[512];
	size_t length;

	net_test_start(test, CTRL | BIT(VIRTIO_NET_F_RSS) | BIT(VIRTIO_NET_F_HASH_REPORT));
	post_all(test);
	length = put_rss(rss, VIRTIO_NET_HASH_TYPE_TCPv4, 127, 2, 4);
	assert_int_equal(net_test_control(test, VIRTIO_NET_CTRL_MQ, 1, rss, length), VIRTIO_NET_OK);
	assert_int_equal(queue_of(test, 2794, 1766, &header), 0x51ccc178 % 128 % 4);
	assert_int_equal(vio_le32_get(header.hash_value), 0x51ccc178);
	assert_int_equal(vio_le16_get(header.hash_report), VIRTIO_NET_HASH_REPORT_TCPv4);
	vio_device_queue_stop(&test->h.dev, 2 * (0x51ccc178 % 128 % 4));
	assert_int_equal(queue_of(test, 2794, 1766, &header), -1);
	length = put_rss(rss, VIRTIO_NET_HASH_TYPE_UDPv4, 0, 2, 4);
	assert_int_equal(net_test_control(test, VIRTIO_NET_CTRL_MQ, 1, rss, length), VIRTIO_NET_OK);
	assert_int_equal(queue_of(test, 2794, 1766, &header), 2);
	assert_int_equal(vio_le16_get(header.hash_report), VIRTIO_NET_HASH_REPORT_NONE);
	net_test_free(test);
}

/* What a filter drops isn't looked at any more: spec: DEV-NET-138 DEV-NET-139 */
static void filters_come_before_steering(void **state)
{
	struct net_test *test = net_test_make(four);
	struct virtio_net_hdr_hash header;
	uint8_t rss[512];
	size_t length = put_rss(rss, VIRTIO_NET_HASH_TYPE_TCPv4, 0, 1, 4);
	struct vio_frame frame = { 0 };

	net_test_start(test, RX | BIT(VIRTIO_NET_F_RSS));
	assert_int_equal(net_test_control(test, VIRTIO_NET_CTRL_MQ, 1, rss, length), VIRTIO_NET_OK);
	packet_make(&packet, &(struct packet_kind){ 4, VIO_PROTOCOL_TCP, .payload = 20 });
	/* The queue is empty, so one that passes has to wait. */
	assert_int_equal(fake_network_deliver(&test->fake, &frame, packet.bytes, packet.length, 0),
			 -VIO_EAGAIN);
	memcpy(packet.bytes, other_mac, 6);
	assert_int_equal(fake_network_deliver(&test->fake, &frame, packet.bytes, packet.length, 0), 0);
	post_all(test);
	for (unsigned pair = 0; pair < 4; pair++)
		assert_int_equal(net_test_take(test, 2 * pair, &header, got, sizeof(got)), -1);
	memcpy(packet.bytes, test_mac, 6);
	assert_int_equal(fake_network_deliver(&test->fake, &frame, packet.bytes, packet.length, 0), 0);
	assert_int_equal(net_test_take(test, 0, &header, got, sizeof(got)), packet.length);
	net_test_free(test);
}

static void rss_is_judged(void **state)
{
	struct net_test *test = net_test_make(four);
	uint8_t rss[512], bad[512];
	size_t length = put_rss(rss, 0x3f, 3, 1, 2);
	static const struct {
		unsigned at;
		uint8_t value;
	} wrong[] = { { 1, 2 }, { 4, 2 },  { 4, 128 }, { 5, 1 },   { 6, 4 },  { 8, 4 },
		      { 9, 1 }, { 16, 0 }, { 16, 5 },  { 18, 41 }, { 18, 39 } };

	net_test_start(test, CTRL | BIT(VIRTIO_NET_F_RSS));
	for (size_t cut = 0; cut < length; cut++)
		assert_int_equal(net_test_control(test, VIRTIO_NET_CTRL_MQ, 1, rss, cut), VIRTIO_NET_ERR);
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(wrong); i++) {
		memcpy(bad, rss, sizeof(bad));
		bad[wrong[i].at] = wrong[i].value;
		assert_int_equal(net_test_control(test, VIRTIO_NET_CTRL_MQ, 1, bad, length), VIRTIO_NET_ERR);
	}
	rss[9] |= 0x80; /* reserved */
	assert_int_equal(net_test_control(test, VIRTIO_NET_CTRL_MQ, 1, rss, length), VIRTIO_NET_OK);
	assert_int_equal(net_test_control(test, VIRTIO_NET_CTRL_MQ, 2, rss, 13), VIRTIO_NET_ERR);
	net_test_free(test);
}

/* The published values for this key. spec: DEV-NET-070 DEV-NET-101 */
static void hashes_are_the_known_ones(void **state)
{
	static const struct {
		unsigned version, protocol;
		uint32_t types, hash;
		uint16_t report;
	} known[] = {
		{ 4, VIO_PROTOCOL_TCP, 0x1ff, 0x51ccc178, VIRTIO_NET_HASH_REPORT_TCPv4 },
		{ 4, VIO_PROTOCOL_UDP, 0x1ff, 0x51ccc178, VIRTIO_NET_HASH_REPORT_UDPv4 },
		{ 4, VIO_PROTOCOL_TCP, 0x1fd, 0x323e8fc2, VIRTIO_NET_HASH_REPORT_IPv4 },
		{ 6, VIO_PROTOCOL_TCP, 0x03f, 0x40207d3d, VIRTIO_NET_HASH_REPORT_TCPv6 },
		{ 6, VIO_PROTOCOL_UDP, 0x03f, 0x40207d3d, VIRTIO_NET_HASH_REPORT_UDPv6 },
		{ 6, VIO_PROTOCOL_TCP, 0x008, 0x2cc18cd5, VIRTIO_NET_HASH_REPORT_IPv6 },
		{ 6, VIO_PROTOCOL_TCP, 0x080, 0x40207d3d, VIRTIO_NET_HASH_REPORT_TCPv6_EX },
		{ 6, VIO_PROTOCOL_TCP, 0x007, 0, VIRTIO_NET_HASH_REPORT_NONE },
	};
	struct net_test *test = net_test_make(plain);
	uint8_t config[13 + 40] = { 0 };
	struct virtio_net_hdr_hash header;
	struct vio_frame frame = { 0 };

	net_test_start(test, CTRL | BIT(VIRTIO_NET_F_HASH_REPORT));
	config[12] = sizeof(key);
	memcpy(config + 13, key, sizeof(key));
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(known); i++) {
		const struct packet_kind kind = { known[i].version, known[i].protocol, .payload = 0 };

		config[0] = (uint8_t)known[i].types;
		config[1] = (uint8_t)(known[i].types >> 8);
		assert_int_equal(net_test_control(test, VIRTIO_NET_CTRL_MQ, 2, config, sizeof(config)),
				 VIRTIO_NET_OK);
		packet_make(&packet, &kind);
		net_test_post(test, 0, 1, 2000);
		assert_int_equal(fake_network_deliver(&test->fake, &frame, packet.bytes, packet.length, 1),
				 0);
		assert_int_equal(net_test_take(test, 0, &header, got, sizeof(got)), packet.length);
		assert_int_equal(vio_le32_get(header.hash_value), known[i].hash);
		assert_int_equal(vio_le16_get(header.hash_report), known[i].report);
	}
	config[1] = 2;
	assert_int_equal(net_test_control(test, VIRTIO_NET_CTRL_MQ, 2, config, sizeof(config)),
			 VIRTIO_NET_ERR);
	net_test_free(test);
}

static int set_offloads(struct net_test *test, uint64_t offloads)
{
	vio_le64 wire = vio_le64_make(offloads);

	return net_test_control(test, VIRTIO_NET_CTRL_GUEST_OFFLOADS, 0, &wire, sizeof(wire));
}

static void offloads_change(void **state)
{
	const uint64_t csum = BIT(VIRTIO_NET_F_GUEST_CSUM), tso4 = BIT(VIRTIO_NET_F_GUEST_TSO4);
	struct net_test *test = net_test_make(plain);

	net_test_start(test, CTRL | BIT(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) | csum | tso4);
	assert_int_equal(test->fake.offloads, VIO_NETWORK_CSUM | VIO_NETWORK_TSO4);
	assert_int_equal(set_offloads(test, csum), VIRTIO_NET_OK);
	assert_int_equal(test->fake.offloads, VIO_NETWORK_CSUM);
	assert_int_equal(set_offloads(test, tso4), VIRTIO_NET_ERR);
	assert_int_equal(set_offloads(test, csum | BIT(VIRTIO_NET_F_GUEST_TSO6)), VIRTIO_NET_ERR);
	assert_int_equal(set_offloads(test, UINT64_MAX), VIRTIO_NET_ERR);
	assert_int_equal(test->fake.offloads, VIO_NETWORK_CSUM);
	assert_int_equal(set_offloads(test, 0), VIRTIO_NET_OK);
	assert_int_equal(test->fake.offloads, 0);
	assert_int_equal(set_offloads(test, csum | tso4), VIRTIO_NET_OK);
	net_test_free(test);
}

static int set_coal(struct net_test *test, unsigned command, uint32_t packets, uint32_t usecs)
{
	const struct virtio_net_ctrl_coal wire = { vio_le32_make(packets), vio_le32_make(usecs) };

	return net_test_control(test, COAL, command, &wire, sizeof(wire));
}

static int set_one(struct net_test *test, unsigned queue, uint32_t packets, uint32_t usecs)
{
	const struct virtio_net_ctrl_coal_vq wire = { vio_le16_make((uint16_t)queue),
						      vio_le16_make(0xbeef), /* spec: DEV-NET-106 */
						      { vio_le32_make(packets), vio_le32_make(usecs) } };

	return net_test_control(test, COAL, VIRTIO_NET_CTRL_NOTF_COAL_VQ_SET, &wire, sizeof(wire));
}

/* What the device says of a queue's packets, or -1. spec: DEV-NET-109 */
static int64_t get_one(struct net_test *test, unsigned queue)
{
	uint8_t out[6] = { COAL, VIRTIO_NET_CTRL_NOTF_COAL_VQ_GET, (uint8_t)queue };
	uint8_t in[9];
	struct harness_io io = { out, sizeof(out), in, sizeof(in), 0 };
	int64_t written = harness_call(&test->h, 2, &io);

	if (written != sizeof(in)) {
		assert_int_equal(written, 1);
		assert_int_equal(in[0], VIRTIO_NET_ERR);
		return -1;
	}
	assert_int_equal(in[0], VIRTIO_NET_OK);
	return in[1] | in[2] << 8;
}

static void deliver(struct net_test *test, unsigned count)
{
	struct vio_frame frame = { 0 };

	packet_make(&packet, &(struct packet_kind){ 4, VIO_PROTOCOL_UDP, .payload = 20 });
	while (count--)
		assert_int_equal(fake_network_deliver(&test->fake, &frame, packet.bytes, packet.length, 0),
				 0);
}

#define COALESCES (CTRL | BIT(VIRTIO_NET_F_NOTF_COAL) | BIT(VIRTIO_NET_F_VQ_NOTF_COAL))

/* spec: DEV-NET-107 DEV-NET-113 */
static void notifications_wait(void **state)
{
	struct net_test *test = net_test_make(plain);
	struct harness_queue *queue = &test->h.queues[0];
	struct virtio_net_hdr_hash header;

	net_test_start(test, COALESCES);
	net_test_post(test, 0, 20, 1600);
	deliver(test, 1);
	assert_int_equal(queue->interrupts, 1);
	assert_int_equal(set_coal(test, VIRTIO_NET_CTRL_NOTF_COAL_RX_SET, 4, 100), VIRTIO_NET_OK);
	deliver(test, 3);
	assert_int_equal(queue->interrupts, 1);
	assert_int_equal(test->fake.arm_count, 1);
	assert_int_equal(test->fake.armed_us, 100);
	deliver(test, 1);
	assert_int_equal(queue->interrupts, 2);
	deliver(test, 1);
	assert_int_equal(queue->interrupts, 2);
	test->fake.network.events->expired(test->fake.network.events_context);
	assert_int_equal(queue->interrupts, 3);
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(net_test_take(test, 0, &header, got, sizeof(got)), packet.length);
	assert_int_equal(set_coal(test, VIRTIO_NET_CTRL_NOTF_COAL_TX_SET, 2, 50), VIRTIO_NET_OK);
	assert_int_equal(net_test_control(test, COAL, 0, got, 7), VIRTIO_NET_ERR);
	assert_int_equal(net_test_control(test, COAL, 4, got, 8), VIRTIO_NET_ERR);
	harness_reset(&test->h);
	net_test_start(test, COALESCES);
	assert_int_equal(get_one(test, 0), 0);
	assert_int_equal(get_one(test, 1), 0);
	net_test_free(test);
}

/* spec: DEV-NET-112 */
static void suppressed_is_suppressed(void **state)
{
	struct net_test *test = net_test_make(plain);

	net_test_start(test, COALESCES);
	net_test_post(test, 0, 20, 1600);
	assert_int_equal(set_coal(test, VIRTIO_NET_CTRL_NOTF_COAL_RX_SET, 2, 100), VIRTIO_NET_OK);
	vio_drvq_disable_cb(&test->h.queues[0].q);
	deliver(test, 4);
	assert_int_equal(test->h.queues[0].interrupts, 0);
	net_test_free(test);
}

/* spec: DEV-NET-108 DEV-NET-109 DEV-NET-110 DEV-NET-111 */
static void each_queue_has_its_own(void **state)
{
	struct net_test *test = net_test_make(plain);
	struct vio_devq_config again;

	net_test_start(test, COALESCES);
	assert_int_equal(set_coal(test, VIRTIO_NET_CTRL_NOTF_COAL_RX_SET, 4, 100), VIRTIO_NET_OK);
	assert_int_equal(set_coal(test, VIRTIO_NET_CTRL_NOTF_COAL_TX_SET, 5, 100), VIRTIO_NET_OK);
	assert_int_equal(set_one(test, 0, 8, 200), VIRTIO_NET_OK);
	assert_int_equal(set_one(test, 1, 9, 200), VIRTIO_NET_OK);
	assert_int_equal(get_one(test, 0), 8);
	assert_int_equal(get_one(test, 1), 9);
	assert_int_equal(set_one(test, 2, 8, 200), VIRTIO_NET_ERR);
	assert_int_equal(set_one(test, 3, 8, 200), VIRTIO_NET_ERR);
	assert_int_equal(get_one(test, 2), -1);
	for (uint16_t queue = 0; queue < 2; queue++) {
		again = test->h.dev.queue_configs[queue];
		again.at = vio_device_queue_stop(&test->h.dev, queue);
		assert_int_equal(set_one(test, queue, 8, 200), VIRTIO_NET_ERR);
		assert_int_equal(get_one(test, queue), -1);
		assert_int_equal(vio_device_queue_start(&test->h.dev, queue, &again), 0);
	}
	assert_int_equal(get_one(test, 0), 4);
	assert_int_equal(get_one(test, 1), 5);
	net_test_free(test);
}

/* What isn't negotiated, isn't known, or has another size. */
static void refuses_other_commands(void **state)
{
	struct net_test *test = net_test_make(four);
	struct harness_io none = { got, 2, NULL, 0, 0 };
	uint8_t data[64] = { 1 };

	net_test_start(test, CTRL);
	memset(got, 0, 4);
	for (unsigned class = 0; class < 256; class ++) {
		for (unsigned command = 0; command < 8; command++) {
			for (size_t length = 0; length < sizeof(data); length += 1 + length / 8)
				assert_int_equal(net_test_control(test, class, command, data, length),
						 VIRTIO_NET_ERR);
		}
	}
	assert_int_equal(harness_call(&test->h, 2, &none), 0); /* no room for the answer */
	harness_reset(&test->h);
	net_test_start(test, RX);
	data[0] = 2;
	assert_int_equal(net_test_control(test, MODE, 0, data, 1), VIRTIO_NET_ERR);
	assert_int_equal(net_test_control(test, MODE, 0, data, 0), VIRTIO_NET_ERR);
	assert_int_equal(net_test_control(test, MODE, 6, data, 1), VIRTIO_NET_ERR);
	assert_passes(test, true, false, false, true);
	net_test_free(test);
}

/* hostile: G1 G16; everything that a driver can have set goes along. */
static void moves(void **state)
{
	struct net_test *from = net_test_make(four);
	struct net_test *to = net_test_make(four);
	const uint8_t seven[2] = { 7, 0 }, own[6] = { 0x52, 0x54, 0, 0, 0, 9 };
	struct virtio_net_hdr_hash header;
	struct virtio_net_config config;
	struct vio_devq_position first;
	struct vio_frame frame = { 0 };
	uint8_t data[512];
	size_t length;

	net_test_start(from, harness_offer(&from->h) & ~BIT(VIRTIO_F_INDIRECT_DESC));
	length = put_table(data, 2, other_mac);
	length += put_table(data + length, 1, multicast);
	assert_int_equal(net_test_control(from, VIRTIO_NET_CTRL_MAC, 0, data, length), VIRTIO_NET_OK);
	assert_int_equal(net_test_control(from, VIRTIO_NET_CTRL_MAC, 1, own, 6), VIRTIO_NET_OK);
	assert_int_equal(net_test_control(from, VIRTIO_NET_CTRL_VLAN, 0, seven, 2), VIRTIO_NET_OK);
	set_mode(from, VIRTIO_NET_CTRL_RX_NOBCAST, 1);
	assert_int_equal(set_offloads(from, BIT(VIRTIO_NET_F_GUEST_CSUM)), VIRTIO_NET_OK);
	length = put_rss(data, 0x3f, 3, 1, 2);
	assert_int_equal(net_test_control(from, VIRTIO_NET_CTRL_MQ, 1, data, length), VIRTIO_NET_OK);
	post_all(from);
	harness_move(&from->h, &to->h);
	first = vio_devq_position_first(&to->h.dev.features_accepted);
	assert_int_equal(to->fake.offloads, VIO_NETWORK_CSUM);
	assert_int_equal(to->fake.pairs, 2);
	vio_device_read_config(&to->h.dev, 0, &config, sizeof(config));
	assert_memory_equal(config.mac, own, 6);
	assert_int_equal(vio_le16_get(config.status), VIRTIO_NET_S_LINK_UP | VIRTIO_NET_S_ANNOUNCE);
	packet_make(&packet, &(struct packet_kind){ 4, VIO_PROTOCOL_TCP, .vlan = 7 });
	memcpy(packet.bytes, own, 6);
	assert_int_equal(fake_network_deliver(&to->fake, &frame, packet.bytes, packet.length, 0), 0);
	packet.bytes[15] = 8;
	assert_int_equal(fake_network_deliver(&to->fake, &frame, packet.bytes, packet.length, 0), 0);
	memcpy(packet.bytes, broadcast, 6);
	packet.bytes[15] = 7;
	assert_int_equal(fake_network_deliver(&to->fake, &frame, packet.bytes, packet.length, 0), 0);
	assert_int_equal(to->h.dev.queues[2 * (0x51ccc178 % 4)].used_next, first.used + 1);
	for (unsigned pair = 1; pair < 4; pair++)
		assert_int_equal(to->h.dev.queues[2 * pair].used_next, first.used);
	(void)header;
	net_test_free(from);
	net_test_free(to);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(modes_filter),
		cmocka_unit_test(addresses_filter),
		cmocka_unit_test(vlans_filter),
		cmocka_unit_test(flows_come_back_to_their_queue),
		cmocka_unit_test(pairs_need_commands),
		cmocka_unit_test(pairs_without_commands),
		cmocka_unit_test(rss_steers),
		cmocka_unit_test(filters_come_before_steering),
		cmocka_unit_test(rss_is_judged),
		cmocka_unit_test(hashes_are_the_known_ones),
		cmocka_unit_test(offloads_change),
		cmocka_unit_test(notifications_wait),
		cmocka_unit_test(suppressed_is_suppressed),
		cmocka_unit_test(each_queue_has_its_own),
		cmocka_unit_test(refuses_other_commands),
		cmocka_unit_test(moves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
