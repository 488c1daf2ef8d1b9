/* SPDX-License-Identifier: BSD-3-Clause */
#include "devices/fake_network.h"

#include <stdlib.h>
#include <string.h>

/* Drivers and networks that lie. Nothing that isn't sound may reach the other side. */

#define MRG BIT(VIRTIO_NET_F_MRG_RXBUF)

static struct packet packet;
static uint8_t got[FAKE_BYTES];

static struct net_test *make_all(void)
{
	struct net_test *test = net_test_make(NULL);

	net_test_start(test, harness_offer(&test->h) & ~BIT(VIRTIO_F_INDIRECT_DESC) &
				     ~BIT(VIRTIO_F_EVENT_IDX) & ~BIT(VIRTIO_NET_F_HASH_REPORT));
	return test;
}

static void assert_refused(struct net_test *test, const struct virtio_net_hdr *header, uint32_t length)
{
	unsigned before = test->fake.sent_count;
	size_t used = test->h.used;

	net_test_send(test, header, packet.bytes, length, 16384);
	assert_int_equal(test->fake.sent_count, before);
	assert_int_equal(test->h.faults, 0);
	test->h.used = used;
}

/*
 * hostile: A118; each field of a good header, made bad.
 * spec: DEV-NET-020 DEV-NET-022 DEV-NET-023 DEV-NET-024
 */
static void bad_headers_go_nowhere(void **state)
{
	struct net_test *test = make_all();
	struct virtio_net_hdr good, bad;
	static const uint8_t types[] = { 2,    3,    6,    0x20, 0x40, 0x60, 0x21, 0x41, 0x61,
					 0x25, 0x45, 0x83, 0x7f, 0xff, 0x85, 4,    5 };

	packet_make(&packet, &(struct packet_kind){ 4, VIO_PROTOCOL_TCP, .payload = 3000 });
	good = packet_header(&packet, VIRTIO_NET_HDR_GSO_TCPV4, 1000);
	net_test_send(test, &good, packet.bytes, packet.length, 0);
	assert_int_equal(test->fake.sent_count, 1);
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(types); i++) {
		bad = good;
		bad.gso_type = types[i];
		assert_refused(test, &bad, packet.length);
	}
	bad = good;
	bad.gso_size = vio_le16_make(0);
	assert_refused(test, &bad, packet.length);
	bad = good;
	bad.flags = 0;
	assert_refused(test, &bad, packet.length);
	bad = good;
	bad.flags |= VIRTIO_NET_HDR_F_UDP_TUNNEL_CSUM;
	assert_refused(test, &bad, packet.length);
	for (unsigned start = 0; start < 0x10000; start += start < 100 ? 1 : 4091) {
		bad = good;
		bad.csum_start = vio_le16_make((uint16_t)start);
		if (start != packet.transport)
			assert_refused(test, &bad, packet.length);
	}
	for (unsigned offset = 0; offset < 0x10000; offset += offset < 100 ? 1 : 4091) {
		bad = good;
		bad.csum_offset = vio_le16_make((uint16_t)offset);
		if (offset != 16)
			assert_refused(test, &bad, packet.length);
	}
	/* Cut off anywhere up to the first byte of payload. */
	for (uint32_t length = 0; length <= packet.payload; length++)
		assert_refused(test, &good, length);
	net_test_free(test);
}

static void checksums_lie_inside(void **state)
{
	struct virtio_net_hdr header = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM };
	struct net_test *test = make_all();

	memset(packet.bytes, 0, 100);
	for (unsigned end = 90; end < 110; end++) {
		header.csum_start = vio_le16_make((uint16_t)(end - 20));
		header.csum_offset = vio_le16_make(18);
		if (end > 100)
			assert_refused(test, &header, 100);
		else
			net_test_send(test, &header, packet.bytes, 100, 0);
	}
	assert_int_equal(test->fake.sent_count, 11);
	header.csum_start = header.csum_offset = vio_le16_make(0xffff);
	assert_refused(test, &header, 100);
	net_test_free(test);
}

static void lengths_have_limits(void **state)
{
	struct virtio_net_hdr header = { 0 };
	struct net_test *test = make_all();
	struct harness_io io = { got, 0, NULL, 0, 0 };

	memset(packet.bytes, 0, sizeof(packet.bytes));
	for (uint32_t length = 0; length < 14; length++)
		assert_refused(test, &header, length);
	assert_refused(test, &header, VIO_FRAME_BYTES_MAX + 1);
	assert_refused(test, &header, 69000);
	net_test_send(test, &header, packet.bytes, VIO_FRAME_BYTES_MAX, 0);
	net_test_send(test, &header, packet.bytes, 14, 0);
	assert_int_equal(test->fake.sent_count, 2);
	/* Not even a header. */
	for (io.out_bytes = 1; io.out_bytes < 12; io.out_bytes++)
		assert_int_equal(harness_call(&test->h, 1, &io), 0);
	/* A buffer that the device could write, but nothing to read; more pieces than it has room for. */
	io = (struct harness_io){ NULL, 0, got, 100, 0 };
	assert_int_equal(harness_call(&test->h, 1, &io), 0);
	harness_reset(&test->h);
	net_test_free(test);
}

static void too_many_pieces(void **state)
{
	struct net_test *test = net_test_make(NULL);
	struct harness_io io = { got, 12 + 200, NULL, 0, 2 };

	memset(got, 0, sizeof(got));
	harness_start(&test->h, 0, 128);
	assert_int_equal(harness_call(&test->h, 1, &io), 0);
	assert_int_equal(test->fake.sent_count, 0);
	io.piece = 4;
	assert_int_equal(harness_call(&test->h, 1, &io), 0);
	assert_int_equal(test->fake.sent_count, 1);
	net_test_free(test);
}

/* What wasn't negotiated isn't taken. */
static void offloads_need_features(void **state)
{
	struct net_test *test = net_test_make(NULL);
	struct virtio_net_hdr header;

	net_test_start(test, 0);
	packet_make(&packet, &(struct packet_kind){ 4, VIO_PROTOCOL_TCP, .payload = 3000 });
	header = packet_header(&packet, 0, 0);
	assert_refused(test, &header, packet.length);
	harness_reset(&test->h);
	net_test_start(test, BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_HOST_TSO6));
	header = packet_header(&packet, VIRTIO_NET_HDR_GSO_TCPV4, 1000);
	assert_refused(test, &header, packet.length);
	harness_reset(&test->h);
	net_test_start(test, BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_HOST_TSO4));
	header.gso_type |= VIRTIO_NET_HDR_GSO_ECN;
	assert_refused(test, &header, packet.length);
	net_test_free(test);
}

/* hostile: A118; receive buffers of 0 to header bytes, writable or not. */
static void small_buffers_are_passed_over(void **state)
{
	struct virtio_net_hdr_hash header;
	struct vio_frame frame = { 0 };
	uint8_t one = 0;
	struct harness_io readable = { &one, 1, NULL, 0, 0 };
	uint32_t written;

	for (unsigned merges = 0; merges < 2; merges++) {
		struct net_test *test = net_test_make(NULL);

		net_test_start(test, merges ? MRG : 0);
		harness_add(&test->h, 0, &readable, &one);
		net_test_post(test, 0, 1, 1);
		net_test_post(test, 0, 1, 11);
		net_test_post(test, 0, 4, 200);
		memset(packet.bytes, 1, 100);
		assert_int_equal(fake_network_deliver(&test->fake, &frame, packet.bytes, 100, 0), 0);
		assert_ptr_equal(harness_get(&test->h, 0, &written), &one);
		assert_int_equal(written, 0);
		for (unsigned i = 0; i < 2; i++)
			assert_int_equal(net_test_take(test, 0, &header, got, sizeof(got)), 0);
		assert_int_equal(net_test_take(test, 0, &header, got, sizeof(got)), 100);
		net_test_free(test);
	}
}

/* Exactly full, one byte less and one more than there is. */
static void mergeable_to_the_last_byte(void **state)
{
	struct virtio_net_hdr_hash header;
	struct vio_frame frame = { 0 };

	for (uint32_t length = 2 * 500 - 13; length <= 2 * 500 - 11; length++) {
		struct net_test *test = net_test_make(NULL);
		bool fits = length + 12 <= 1000;

		net_test_start(test, MRG);
		net_test_post(test, 0, 2, 500);
		assert_int_equal(fake_network_deliver(&test->fake, &frame, packet.bytes, length, 0),
				 fits ? 0 : -VIO_EAGAIN);
		assert_int_equal(net_test_take(test, 0, &header, got, sizeof(got)), fits ? (int)length : -1);
		net_test_free(test);
	}
}

/* A network that isn't sound either, or that knows of tunnels: spec: DEV-NET-046 DEV-NET-050 */
static void networks_are_judged(void **state)
{
	struct net_test *test = make_all();
	struct virtio_net_hdr_hash header;
	struct vio_frame frame = { .gso_type = VIRTIO_NET_HDR_GSO_TCPV4, .gso_bytes = 100 };

	net_test_post(test, 0, 20, 4000);
	assert_int_equal(fake_network_deliver(&test->fake, &frame, packet.bytes, 1000, 0), -VIO_EPEER);
	packet_make(&packet, &(struct packet_kind){ 4, VIO_PROTOCOL_UDP, .payload = 2000 });
	for (unsigned type = 0x20; type < 0x80; type += 0x20) {
		struct virtio_net_hdr good = packet_header(&packet, VIRTIO_NET_HDR_GSO_UDP_L4, 500);

		frame = (struct vio_frame){ .flags = good.flags,
					    .gso_type = (uint8_t)(good.gso_type | type),
					    .gso_bytes = 500,
					    .csum_start = vio_le16_get(good.csum_start),
					    .csum_offset = 6 };
		assert_int_equal(fake_network_deliver(&test->fake, &frame, packet.bytes, packet.length, 0),
				 -VIO_EPEER);
	}
	frame = (struct vio_frame){ .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 999 };
	assert_int_equal(fake_network_deliver(&test->fake, &frame, packet.bytes, 1000, 0), -VIO_EPEER);
	frame = (struct vio_frame){ 0 };
	assert_int_equal(fake_network_deliver(&test->fake, &frame, packet.bytes, 13, 0), -VIO_EPEER);
	assert_int_equal(net_test_take(test, 0, &header, got, sizeof(got)), -1);
	net_test_free(test);
}

/* Random headers over random packets, both ways: what arrives has to be sound. */
static void anything_at_all(void **state)
{
	uint64_t seed = 20261121;

	for (unsigned round = 0; round < 60; round++) {
		struct net_test *test = net_test_make(NULL);
		uint64_t some = harness_offer(&test->h) & ~BIT(VIRTIO_F_INDIRECT_DESC);

		if (round & 1) /* nothing taken: the device has to finish everything */
			some = MRG;
		net_test_start(test, some & ~BIT(VIRTIO_NET_F_HASH_REPORT) & ~BIT(VIRTIO_F_EVENT_IDX));
		for (unsigned i = 0; i < 300; i++) {
			uint32_t r = harness_random(&seed);
			struct virtio_net_hdr header;
			struct vio_frame frame;
			size_t used = test->h.used;

			packet_make(&packet,
				    &(struct packet_kind){ r & 1 ? 4 : 6,
							   r & 2 ? VIO_PROTOCOL_TCP : VIO_PROTOCOL_UDP,
							   .payload = r >> 8 & 0xfff, .vlan = r & 4 });
			for (unsigned flips = r >> 4 & 7; flips; flips--) {
				uint32_t at = harness_random(&seed) % 100;

				packet.bytes[at] = (uint8_t)harness_random(&seed);
			}
			header = packet_header(&packet,
					       (unsigned[]){ 0, 1, 4, 5, 0x81, 0x84, 3, 255 }[r >> 20 & 7],
					       r >> 22 & 0x7ff);
			if (r & 8)
				header.csum_start = vio_le16_make((uint16_t)harness_random(&seed));
			net_test_send(test, &header, packet.bytes, packet.length, 4096);
			net_test_post(test, 0, 1, 1 + harness_random(&seed) % 2000);
			frame = (struct vio_frame){
				.flags = header.flags,
				.gso_type = header.gso_type,
				.gso_bytes = vio_le16_get(header.gso_size),
				.csum_start = vio_le16_get(header.csum_start),
				.csum_offset = vio_le16_get(header.csum_offset),
			};
			fake_network_deliver(&test->fake, &frame, packet.bytes, packet.length,
					     1 + harness_random(&seed) % 500);
			while (harness_get(&test->h, 0, &(uint32_t){ 0 }))
				;
			if (i % 30 == 0) {
				harness_reset(&test->h);
				net_test_start(test, test->features);
				fake_network_clear(&test->fake);
			} else {
				(void)used;
			}
		}
		assert_int_equal(test->h.faults, 0);
		net_test_free(test);
	}
}

/* hostile: A85: without MQ there is one pair, whatever else the driver sets up; found by fuzz/net. */
static void queues_that_are_not_there(void **state)
{
	static const char *const properties[] = { "pairs=2", "rss=off", NULL };
	struct net_test *test = net_test_make(properties);
	struct vio_frame frame = { 0 };
	const uint8_t sent[12 + 60] = { 0 };
	struct harness_io io = { sent, sizeof(sent), NULL, 0, 0 };

	net_test_start(test,
		       harness_offer(&test->h) & ~(BIT(VIRTIO_NET_F_MQ) | BIT(VIRTIO_NET_F_HASH_REPORT) |
						   BIT(VIRTIO_F_RING_PACKED)));
	packet_make(&packet, &(struct packet_kind){ .version = 4, .protocol = 17, .payload = 100 });
	assert_int_equal(fake_network_deliver(&test->fake, &frame, packet.bytes, packet.length, 0),
			 -VIO_EAGAIN);
	net_test_post(test, 4, 2, 2048); /* the place of the control queue if there were two pairs */
	assert_int_equal(test->fake.ready_count, 0);
	assert_int_equal(harness_call(&test->h, 3, &io), -1);
	assert_int_equal(test->fake.sent_count, 0);
	net_test_post(test, 0, 2, 2048);
	assert_int_equal(test->fake.ready_count, 1);
	assert_int_equal(test->h.faults, 0);
	net_test_free(test);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_headers_go_nowhere),     cmocka_unit_test(checksums_lie_inside),
		cmocka_unit_test(lengths_have_limits),        cmocka_unit_test(too_many_pieces),
		cmocka_unit_test(offloads_need_features),     cmocka_unit_test(small_buffers_are_passed_over),
		cmocka_unit_test(mergeable_to_the_last_byte), cmocka_unit_test(networks_are_judged),
		cmocka_unit_test(queues_that_are_not_there),  cmocka_unit_test(anything_at_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
