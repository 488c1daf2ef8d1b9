/* SPDX-License-Identifier: BSD-3-Clause */
#include "devices/fake_network.h"

#include <stdlib.h>
#include <string.h>

/* The network device: features, configuration, frames both ways, what is finished in software. */

#define CSUM       BIT(VIRTIO_NET_F_CSUM)
#define GUEST_CSUM BIT(VIRTIO_NET_F_GUEST_CSUM)
#define MRG        BIT(VIRTIO_NET_F_MRG_RXBUF)

static const char *const plain[] = { "mac=52:54:00:00:00:01", NULL };

static struct packet packet;
static uint8_t got[FAKE_BYTES];

static struct virtio_net_config config_of(struct net_test *test)
{
	struct virtio_net_config config;

	vio_device_read_config(&test->h.dev, 0, &config, sizeof(config));
	return config;
}

static void offers_what_it_is_told(void **state)
{
	static const char *const all[] = { "mac=52:54:00:aB:Cd:01", "mtu=1400", "speed=1000",
					   "duplex=full",           "pairs=4",  NULL };
	static const char *const least[] = { "csum=off", "ctrl-vq=off", "mrg-rxbuf=off", NULL };
	struct net_test *test = net_test_make(all);
	uint64_t offer = harness_offer(&test->h);
	struct virtio_net_config config = config_of(test);

	assert_true(offer & MRG && offer & BIT(VIRTIO_NET_F_MQ) && offer & BIT(VIRTIO_NET_F_RSS));
	assert_true(offer & BIT(VIRTIO_NET_F_HOST_USO) && offer & BIT(VIRTIO_NET_F_NOTF_COAL));
	/* spec: DEV-NET-013 DEV-NET-014 */
	assert_true(offer & BIT(VIRTIO_NET_F_CTRL_VQ));
	assert_memory_equal(config.mac, "\x52\x54\0\xab\xcd\x01", 6);
	assert_int_equal(vio_le16_get(config.status), VIRTIO_NET_S_LINK_UP);
	assert_int_equal(vio_le16_get(config.max_virtqueue_pairs), 4); /* spec: DEV-NET-002 */
	assert_int_equal(vio_le16_get(config.mtu), 1400);              /* spec: DEV-NET-003 DEV-NET-004 */
	assert_int_equal(vio_le32_get(config.speed), 1000);            /* spec: DEV-NET-010 */
	assert_int_equal(config.duplex, VIRTIO_NET_DUPLEX_FULL);       /* spec: DEV-NET-011 */
	assert_int_equal(config.rss_max_key_size, 40);                 /* spec: DEV-NET-008 */
	assert_int_equal(vio_le16_get(config.rss_max_indirection_table_length), 128); /* spec: DEV-NET-009 */
	net_test_free(test);

	test = net_test_make(least);
	offer = harness_offer(&test->h);
	config = config_of(test);
	assert_int_equal(offer & 0xffffff & ~BIT(VIRTIO_NET_F_STATUS), 0);
	assert_int_equal(offer >> 50, BIT(VIRTIO_NET_F_SPEED_DUPLEX) >> 50); /* spec: DEV-NET-013 */
	assert_int_equal(vio_le32_get(config.speed), VIRTIO_NET_SPEED_UNKNOWN);
	assert_int_equal(config.duplex, VIRTIO_NET_DUPLEX_UNKNOWN);
	net_test_free(test);
}

static void refuses_bad_properties(void **state)
{
	static const char *const macs[] = { "52:54:00:00:00", "52:54:00:00:00:0g", "52-54-00-00-00-01",
					    "01:00:5e:00:00:01", "x" };
	struct fake_network fake;
	struct harness h;

	fake_network_init(&fake);
	harness_make(&h, &vio_net_class);
	assert_int_equal(vio_device_realize(&h.dev), -VIO_ENOENT);
	assert_int_equal(vio_net_attach(&h.dev, &fake.network), 0);
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(macs); i++) {
		harness_set(&h, "mac", macs[i]);
		assert_int_equal(vio_device_realize(&h.dev), -VIO_EINVAL);
	}
	harness_set(&h, "mac", "");
	harness_set(&h, "mtu", "67");
	assert_int_equal(vio_device_realize(&h.dev), -VIO_ERANGE);
	harness_set(&h, "mtu", "68");
	fake.network.pairs_max = 1;
	harness_set(&h, "pairs", "2");
	assert_int_equal(vio_device_realize(&h.dev), -VIO_ERANGE);
	harness_set(&h, "pairs", "1");
	harness_realize(&h);
	assert_false(harness_offer(&h) & BIT(VIRTIO_NET_F_MAC));
	harness_poke_config(&h, 7);
	assert_int_equal(harness_negotiate(&h, 0) & VIRTIO_CONFIG_S_FEATURES_OK, VIRTIO_CONFIG_S_FEATURES_OK);
	harness_free(&h);
}

/* A feature without the one that it needs. */
static void refuses_half_features(void **state)
{
	static const uint64_t bad[] = {
		BIT(VIRTIO_NET_F_GUEST_TSO4), GUEST_CSUM | BIT(VIRTIO_NET_F_GUEST_ECN),
		BIT(VIRTIO_NET_F_HOST_TSO6),  CSUM | BIT(VIRTIO_NET_F_HOST_ECN),
		BIT(VIRTIO_NET_F_HOST_USO),   BIT(VIRTIO_NET_F_GUEST_USO4),
		BIT(VIRTIO_NET_F_CTRL_RX),    BIT(VIRTIO_NET_F_RSS),
		BIT(VIRTIO_NET_F_NOTF_COAL),
	};
	struct net_test *test = net_test_make(plain);

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(bad); i++) {
		assert_false(harness_negotiate(&test->h, bad[i]) & VIRTIO_CONFIG_S_FEATURES_OK);
		harness_reset(&test->h);
	}
	net_test_free(test);
}

static void sends_from_any_pieces(void **state)
{
	static const size_t pieces[] = { 0, 1, 3, 12, 13, 60 };
	struct virtio_net_hdr header = { .flags = 0xf0 }; /* spec: DEV-NET-016 */
	struct net_test *test = net_test_make(plain);

	net_test_start(test, 0);
	packet_make(&packet, &(struct packet_kind){ 4, VIO_PROTOCOL_UDP, .payload = 5 });
	header.csum_start = header.csum_offset = vio_le16_make(0xffff); /* spec: DEV-NET-017 */
	header.hdr_len = vio_le16_make(0xffff);                         /* spec: DEV-NET-019 */
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(pieces); i++) {
		struct fake_sent *sent = &test->fake.sent[i];

		net_test_send(test, &header, packet.bytes, packet.length, pieces[i]);
		assert_int_equal(test->fake.sent_count, i + 1);
		assert_int_equal(sent->frame.length, packet.length);
		assert_memory_equal(sent->bytes, packet.bytes, packet.length);
		assert_int_equal(sent->frame.flags, 0);
		assert_int_equal(sent->frame.gso_type, 0);
	}
	net_test_free(test);
}

/* spec: DEV-NET-007 */
static void sends_up_to_the_mtu(void **state)
{
	static const char *const properties[] = { "mtu=9000", NULL };
	static uint8_t bytes[9014];
	struct net_test *test = net_test_make(properties);

	net_test_start(test, BIT(VIRTIO_NET_F_MTU));
	net_test_send(test, &(struct virtio_net_hdr){ 0 }, bytes, sizeof(bytes), 4096);
	net_test_send(test, &(struct virtio_net_hdr){ .gso_type = VIRTIO_NET_HDR_GSO_ECN }, bytes, 1514, 0);
	assert_int_equal(test->fake.sent_count, 2);
	assert_int_equal(test->fake.sent[0].frame.length, sizeof(bytes));
	net_test_free(test);
}

static void waits_for_the_network(void **state)
{
	struct harness_io io = { got, 100, NULL, 0, 0 };
	struct net_test *test = net_test_make(plain);
	uint32_t written;

	net_test_start(test, 0);
	memset(got, 0, 100);
	test->fake.hold = true;
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(harness_call(&test->h, 1, &io), -1);
	fake_network_finish(&test->fake);
	for (unsigned i = 0; i < 5; i++)
		assert_non_null(harness_get(&test->h, 1, &written));
	/* A reset takes back what is in flight. */
	assert_int_equal(harness_call(&test->h, 1, &io), -1);
	harness_reset(&test->h);
	assert_int_equal(test->fake.held_count, 0);
	net_test_free(test);
}

static void link_goes_down(void **state)
{
	struct vio_frame frame = { 0 };
	struct net_test *test = net_test_make(plain);

	net_test_start(test, BIT(VIRTIO_NET_F_STATUS) | BIT(VIRTIO_NET_F_CTRL_VQ) |
				     BIT(VIRTIO_NET_F_GUEST_ANNOUNCE) | BIT(VIRTIO_NET_F_MAC));
	net_test_post(test, 0, 2, 2000);
	packet_make(&packet, &(struct packet_kind){ 4, VIO_PROTOCOL_UDP, .payload = 5 });
	assert_int_equal(test->fake.pairs, 1);
	harness_set(&test->h, "link", "off");
	assert_int_equal(test->h.config_interrupts, 1);
	assert_int_equal(test->fake.pairs, 0);
	assert_int_equal(vio_le16_get(config_of(test).status), 0);
	net_test_send(test, &(struct virtio_net_hdr){ 0 }, packet.bytes, packet.length, 0);
	assert_int_equal(test->fake.sent_count, 0);
	assert_int_equal(fake_network_deliver(&test->fake, &frame, packet.bytes, packet.length, 0),
			 -VIO_EPHASE);
	harness_set(&test->h, "link", "on");
	assert_int_equal(test->h.config_interrupts, 2);
	/* spec: DEV-NET-094 */
	assert_int_equal(vio_le16_get(config_of(test).status), VIRTIO_NET_S_LINK_UP | VIRTIO_NET_S_ANNOUNCE);
	assert_int_equal(net_test_control(test, VIRTIO_NET_CTRL_ANNOUNCE, 0, NULL, 0), VIRTIO_NET_OK);
	assert_int_equal(vio_le16_get(config_of(test).status), VIRTIO_NET_S_LINK_UP);
	test->fake.network.link_up = false;
	test->fake.network.events->link_changed(test->fake.network.events_context);
	assert_int_equal(vio_le16_get(config_of(test).status), 0);
	assert_int_equal(test->h.config_interrupts, 3);
	net_test_free(test);
}

/* Each frame length into buffers of each size, out of pieces: spec: DEV-NET-026 DEV-NET-027 DEV-NET-028 */
static void receives_into_any_buffers(void **state)
{
	static const uint32_t lengths[] = { 14, 60, 511, 512, 513, 1514 };
	static const size_t sizes[] = { 12, 13, 26, 64, 1526, 4096 };
	struct virtio_net_hdr_hash header;
	struct vio_frame frame = { 0 };

	for (unsigned merges = 0; merges < 2; merges++) {
		for (unsigned i = 0; i < VIO_ARRAY_SIZE(lengths) * VIO_ARRAY_SIZE(sizes); i++) {
			uint32_t length = lengths[i % VIO_ARRAY_SIZE(lengths)];
			size_t size = sizes[i / VIO_ARRAY_SIZE(lengths)];
			unsigned needed = (unsigned)((12 + length + size - 1) / size);
			struct net_test *test = net_test_make(plain);

			net_test_start(test, merges ? MRG : 0);
			for (uint32_t at = 0; at < length; at++)
				packet.bytes[at] = (uint8_t)(at * 3 + 1);
			net_test_post(test, 0, 60, size);
			assert_int_equal(fake_network_deliver(&test->fake, &frame, packet.bytes, length, 7),
					 needed > 60 && merges ? -VIO_EAGAIN : 0);
			if (needed > (merges ? 60 : 1)) {
				assert_int_equal(net_test_take(test, 0, &header, got, sizeof(got)), -1);
			} else {
				assert_int_equal(net_test_take(test, 0, &header, got, sizeof(got)), length);
				assert_int_equal(vio_le16_get(header.header.num_buffers), needed);
				assert_int_equal(header.header.flags, 0);
				assert_memory_equal(got, packet.bytes, length);
			}
			net_test_free(test);
		}
	}
}

static void waits_for_buffers(void **state)
{
	struct virtio_net_hdr_hash header;
	struct vio_frame frame = { 0 };
	struct net_test *test = net_test_make(plain);

	net_test_start(test, MRG);
	assert_int_equal(fake_network_deliver(&test->fake, &frame, packet.bytes, 1000, 0), -VIO_EAGAIN);
	net_test_post(test, 0, 1, 500);
	assert_int_equal(test->fake.ready_count, 1);
	assert_int_equal(fake_network_deliver(&test->fake, &frame, packet.bytes, 1000, 0), -VIO_EAGAIN);
	assert_int_equal(net_test_take(test, 0, &header, got, sizeof(got)), -1);
	net_test_post(test, 0, 2, 500);
	assert_int_equal(test->fake.ready_count, 2);
	assert_int_equal(fake_network_deliver(&test->fake, &frame, packet.bytes, 1000, 0), 0);
	assert_int_equal(net_test_take(test, 0, &header, got, sizeof(got)), 1000);
	assert_int_equal(vio_le16_get(header.header.num_buffers), 3);
	net_test_free(test);
}

/* spec: DEV-NET-006 DEV-NET-005 DEV-NET-012 */
static void drops_what_exceeds_the_mtu(void **state)
{
	static const char *const properties[] = { "mtu=1000", NULL };
	struct virtio_net_hdr_hash header;
	struct vio_frame frame = { 0 };
	struct net_test *test = net_test_make(properties);

	net_test_start(test, BIT(VIRTIO_NET_F_MTU) | MRG);
	net_test_post(test, 0, 8, 2000);
	memset(packet.bytes, 0, 2000);
	assert_int_equal(fake_network_deliver(&test->fake, &frame, packet.bytes, 1015, 0), 0);
	assert_int_equal(net_test_take(test, 0, &header, got, sizeof(got)), -1);
	assert_int_equal(fake_network_deliver(&test->fake, &frame, packet.bytes, 1014, 0), 0);
	assert_int_equal(net_test_take(test, 0, &header, got, sizeof(got)), 1014);
	assert_int_equal(harness_try_set(&test->h, "mtu", "900"), -VIO_EPHASE);
	assert_int_equal(harness_try_set(&test->h, "speed", "10"), -VIO_EPHASE);
	net_test_free(test);
}

static struct vio_frame frame_of(unsigned gso_type, unsigned gso_bytes)
{
	struct virtio_net_hdr header = packet_header(&packet, gso_type, gso_bytes);

	return (struct vio_frame){
		.flags = header.flags,
		.gso_type = header.gso_type,
		.gso_bytes = (uint16_t)gso_bytes,
		.csum_start = vio_le16_get(header.csum_start),
		.csum_offset = vio_le16_get(header.csum_offset),
	};
}

/* spec: DEV-NET-032 DEV-NET-033 DEV-NET-043 DEV-NET-044 DEV-NET-045 DEV-NET-057 */
static void completes_checksums(void **state)
{
	struct virtio_net_hdr_hash header;

	for (unsigned i = 0; i < 32; i++) {
		struct packet_kind kind = { i & 1 ? 6 : 4, i & 2 ? VIO_PROTOCOL_TCP : VIO_PROTOCOL_UDP,
					    .payload = i & 4 ? 1001 : 3, .vlan = i & 8 ? 5 : 0 };
		bool takes = i & 16;
		struct net_test *test = net_test_make(plain);
		struct vio_frame frame;

		packet_make(&packet, &kind);
		net_test_start(test, MRG | (takes ? GUEST_CSUM : 0));
		net_test_post(test, 0, 8, 2000);
		frame = frame_of(0, 0);
		assert_int_equal(fake_network_deliver(&test->fake, &frame, packet.bytes, packet.length, 5),
				 0);
		assert_int_equal(net_test_take(test, 0, &header, got, sizeof(got)), packet.length);
		assert_int_equal(packet_is_right(got, packet.length), !takes);
		assert_int_equal(header.header.flags, takes ? VIRTIO_NET_HDR_F_NEEDS_CSUM : 0);
		assert_int_equal(vio_le16_get(header.header.csum_start), takes ? packet.transport : 0);
		/* A network that has checked says so only to who asked. */
		frame = (struct vio_frame){ .flags = VIRTIO_NET_HDR_F_DATA_VALID };
		assert_int_equal(fake_network_deliver(&test->fake, &frame, packet.bytes, packet.length, 0),
				 0);
		assert_int_equal(net_test_take(test, 0, &header, got, sizeof(got)), packet.length);
		assert_int_equal(header.header.flags, takes ? VIRTIO_NET_HDR_F_DATA_VALID : 0);
		net_test_free(test);
	}
}

struct long_case {
	struct packet_kind kind;
	unsigned gso_type, gso_bytes;
	uint64_t feature;
};

static const struct long_case long_cases[] = {
	{ { 4, VIO_PROTOCOL_TCP, 20000, 0, 0, 0, 0x19 },
	  VIRTIO_NET_HDR_GSO_TCPV4,
	  1448,
	  BIT(VIRTIO_NET_F_GUEST_TSO4) },
	{ { 6, VIO_PROTOCOL_TCP, 65000, 0, 0, 0, 0x18 },
	  VIRTIO_NET_HDR_GSO_TCPV6,
	  1428,
	  BIT(VIRTIO_NET_F_GUEST_TSO6) },
	{ { 4, VIO_PROTOCOL_UDP, 10001, 7, 0, 0, 0 },
	  VIRTIO_NET_HDR_GSO_UDP_L4,
	  999,
	  BIT(VIRTIO_NET_F_GUEST_USO4) },
	{ { 6, VIO_PROTOCOL_UDP, 1000, 0, 0, 0, 0 },
	  VIRTIO_NET_HDR_GSO_UDP_L4,
	  1000,
	  BIT(VIRTIO_NET_F_GUEST_USO6) },
	{ { 4, VIO_PROTOCOL_TCP, 5000, 0, 0, 0, 0x90 },
	  VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN,
	  1000,
	  BIT(VIRTIO_NET_F_GUEST_TSO4) | BIT(VIRTIO_NET_F_GUEST_ECN) },
};

/* spec: DEV-NET-041 DEV-NET-052 DEV-NET-053 DEV-NET-056 DEV-NET-058 DEV-NET-055 */
static void passes_long_frames_on(void **state)
{
	struct virtio_net_hdr_hash header;

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(long_cases); i++) {
		const struct long_case *c = &long_cases[i];
		struct net_test *test = net_test_make(plain);
		struct vio_frame frame;

		packet_make(&packet, &c->kind);
		net_test_start(test, MRG | GUEST_CSUM | c->feature);
		net_test_post(test, 0, 60, 4096);
		frame = frame_of(c->gso_type, c->gso_bytes);
		assert_int_equal(fake_network_deliver(&test->fake, &frame, packet.bytes, packet.length, 0),
				 0);
		assert_int_equal(net_test_take(test, 0, &header, got, sizeof(got)), packet.length);
		assert_memory_equal(got, packet.bytes, packet.length);
		assert_int_equal(header.header.gso_type, c->gso_type);
		assert_int_equal(vio_le16_get(header.header.gso_size), c->gso_bytes);
		assert_int_equal(vio_le16_get(header.header.hdr_len), packet.payload);
		assert_int_equal(header.header.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
		net_test_free(test);
	}
}

/* Takes all segments of the packet, which are right and whole. */
static void take_segments(struct net_test *test, const struct long_case *c, unsigned flags)
{
	uint32_t headers = packet.payload, sum = 0;
	struct virtio_net_hdr_hash header;
	unsigned count = 0;
	int length;

	while ((length = net_test_take(test, 0, &header, got, sizeof(got))) > 0) {
		uint32_t data = (uint32_t)length - headers;
		bool last = sum + data == c->kind.payload;

		assert_int_equal(header.header.gso_type, VIRTIO_NET_HDR_GSO_NONE);
		assert_int_equal(header.header.flags, flags);
		assert_true(packet_is_right(got, (uint32_t)length));
		assert_memory_equal(got + headers, packet.bytes + headers + sum, data);
		assert_int_equal(data, last ? c->kind.payload - sum : c->gso_bytes);
		if (c->kind.protocol == VIO_PROTOCOL_TCP) {
			unsigned tcp_flags = got[packet.transport + 13];
			uint32_t sequence = (uint32_t)got[packet.transport + 5] << 16 |
					    (uint32_t)got[packet.transport + 6] << 8 |
					    got[packet.transport + 7];

			assert_int_equal(sequence, (0x1000u << 16 & 0xffffff) + sum);
			assert_int_equal(tcp_flags & 0x80, count ? 0 : c->kind.tcp_flags & 0x80);
			assert_int_equal(tcp_flags & 0x09, last ? c->kind.tcp_flags & 0x09 : 0);
		}
		sum += data;
		count++;
	}
	assert_int_equal(sum, c->kind.payload);
}

/* spec: DEV-NET-034 DEV-NET-035 DEV-NET-036 DEV-NET-037 DEV-NET-038 DEV-NET-039 DEV-NET-040 DEV-NET-051 */
static void cuts_long_frames(void **state)
{
	for (unsigned i = 0; i < 2 * VIO_ARRAY_SIZE(long_cases); i++) {
		const struct long_case *c = &long_cases[i / 2];
		/* Without anything; with all but what this one needs. */
		uint64_t tso = BIT(VIRTIO_NET_F_GUEST_TSO4) | BIT(VIRTIO_NET_F_GUEST_TSO6);
		uint64_t most =
			GUEST_CSUM | tso | BIT(VIRTIO_NET_F_GUEST_USO4) | BIT(VIRTIO_NET_F_GUEST_USO6);
		uint64_t but = c->gso_type & VIRTIO_NET_HDR_GSO_ECN ? 0 : c->feature;
		struct net_test *test = net_test_make(plain);
		struct vio_frame frame;

		packet_make(&packet, &c->kind);
		net_test_start(test, i & 1 ? (MRG | most) & ~but : MRG);
		net_test_post(test, 0, 60, 1600);
		frame = frame_of(c->gso_type, c->gso_bytes);
		assert_int_equal(fake_network_deliver(&test->fake, &frame, packet.bytes, packet.length, 4096),
				 0);
		take_segments(test, c, i & 1 ? VIRTIO_NET_HDR_F_DATA_VALID : 0);
		net_test_free(test);
	}
}

static void takes_long_frames(void **state)
{
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(long_cases); i++) {
		const struct long_case *c = &long_cases[i];
		struct net_test *test = net_test_make(plain);
		struct virtio_net_hdr header;

		packet_make(&packet, &c->kind);
		net_test_start(test, harness_offer(&test->h) & ~BIT(VIRTIO_F_INDIRECT_DESC) &
					     ~BIT(VIRTIO_F_EVENT_IDX));
		header = packet_header(&packet, c->gso_type, c->gso_bytes);
		header.hdr_len = vio_le16_make(3); /* spec: DEV-NET-019 */
		net_test_send(test, &header, packet.bytes, packet.length, 4096);
		assert_int_equal(test->fake.sent_count, 1);
		assert_int_equal(test->fake.sent[0].frame.gso_type, c->gso_type);
		assert_int_equal(test->fake.sent[0].frame.gso_bytes, c->gso_bytes);
		assert_memory_equal(test->fake.sent[0].bytes, packet.bytes, packet.length);
		net_test_free(test);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(offers_what_it_is_told), cmocka_unit_test(refuses_bad_properties),
		cmocka_unit_test(refuses_half_features),  cmocka_unit_test(sends_from_any_pieces),
		cmocka_unit_test(sends_up_to_the_mtu),    cmocka_unit_test(waits_for_the_network),
		cmocka_unit_test(link_goes_down),         cmocka_unit_test(receives_into_any_buffers),
		cmocka_unit_test(waits_for_buffers),      cmocka_unit_test(drops_what_exceeds_the_mtu),
		cmocka_unit_test(completes_checksums),    cmocka_unit_test(passes_long_frames_on),
		cmocka_unit_test(cuts_long_frames),       cmocka_unit_test(takes_long_frames),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
