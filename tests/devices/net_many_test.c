/* SPDX-License-Identifier: BSD-3-Clause */
#include "devices/fake_network.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/*
 * What goes in batches arrives as it does one by one: two devices get the same, one of them in each way,
 * with whatever chance makes of formats, features, frames and buffers.
 */

#define FRAMES     48u
#define LENGTH_MAX 3000u
#define BUFFER_MAX 4096u
#define PIECES_MAX 4u

static const char *const setup[] = { "mac=52:54:00:00:00:01", "mtu=1500", "in-order=on", "pairs=2", NULL };

struct given {
	struct vio_frame frame;
	struct vio_span spans[PIECES_MAX];
	uint8_t bytes[LENGTH_MAX];
};

struct pair {
	struct net_test *one, *many;
	uint64_t features;
	uint32_t random;
	unsigned queues; /* without that of commands */
	struct given given[FRAMES];
};

static uint32_t chance(struct pair *pair, uint32_t below)
{
	pair->random = pair->random * 1664525u + 1013904223u;
	return (pair->random >> 8) % below;
}

static bool chance_of(struct pair *pair, uint32_t percent)
{
	return chance(pair, 100) < percent;
}

static uint64_t choose_features(struct pair *pair)
{
	static const uint8_t bits[] = { VIRTIO_NET_F_MRG_RXBUF, VIRTIO_NET_F_GUEST_CSUM, VIRTIO_NET_F_MTU,
					VIRTIO_F_RING_PACKED,   VIRTIO_F_IN_ORDER,       VIRTIO_F_EVENT_IDX };
	uint64_t features = 0;

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(bits); i++)
		features |= chance_of(pair, 50) ? BIT(bits[i]) : 0;
	if (chance_of(pair, 60))
		features |= BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_CTRL_RX);
	if (features & BIT(VIRTIO_NET_F_CTRL_VQ) && chance_of(pair, 50))
		features |= BIT(VIRTIO_NET_F_CTRL_VLAN);
	if (features & BIT(VIRTIO_NET_F_CTRL_VQ) && chance_of(pair, 20))
		features |= BIT(VIRTIO_NET_F_HASH_REPORT);
	if (features & BIT(VIRTIO_NET_F_CTRL_VQ) && chance_of(pair, 50))
		features |= BIT(VIRTIO_NET_F_MQ);
	if (features & BIT(VIRTIO_NET_F_CTRL_VQ) && chance_of(pair, 30))
		features |= BIT(VIRTIO_NET_F_RSS);
	return features;
}

/* Commands that make it use its queues, all of them or some. */
static void choose_queues(struct net_test *test, bool both)
{
	static const uint8_t two[2] = { 2 };
	uint8_t rss[8 + 2 * 4 + 3 + 40] = { 0 };

	rss[0] = VIRTIO_NET_HASH_TYPE_TCPv4 | VIRTIO_NET_HASH_TYPE_UDPv4 | VIRTIO_NET_HASH_TYPE_IPv4;
	rss[4] = 3;
	rss[6] = both;
	for (unsigned i = 0; i < 4; i++)
		rss[8 + 2 * i] = i % 3 == 1;
	rss[16] = 2;
	rss[18] = 40;
	for (uint8_t i = 0; i < 40; i++)
		rss[19 + i] = (uint8_t)(i * 77u);
	if (test->features & BIT(VIRTIO_NET_F_RSS))
		assert_int_equal(net_test_control(test, VIRTIO_NET_CTRL_MQ, 1, rss, sizeof(rss)), 0);
	else if (test->features & BIT(VIRTIO_NET_F_MQ) && both)
		assert_int_equal(net_test_control(test, VIRTIO_NET_CTRL_MQ, 0, two, sizeof(two)), 0);
}

static void pair_make(struct pair *pair, uint32_t seed)
{
	bool both;

	pair->random = seed;
	pair->features = choose_features(pair);
	pair->one = net_test_make(setup);
	pair->many = net_test_make(setup);
	pair->one->fake.many = 0;
	net_test_start(pair->one, pair->features);
	net_test_start(pair->many, pair->features);
	both = chance_of(pair, 80);
	choose_queues(pair->one, both);
	choose_queues(pair->many, both);
	pair->queues = pair->features & (BIT(VIRTIO_NET_F_MQ) | BIT(VIRTIO_NET_F_RSS)) ? 4 : 2;
}

static void pair_free(struct pair *pair)
{
	net_test_free(pair->one);
	net_test_free(pair->many);
}

/* Mostly what is usual, and at times what isn't even a frame. */
static uint32_t choose_length(struct pair *pair)
{
	switch (chance(pair, 8)) {
	case 0:
		return chance(pair, 70);
	case 1:
		return 1490 + chance(pair, 30);
	case 2:
		return chance(pair, LENGTH_MAX);
	default:
		return 60 + chance(pair, 200);
	}
}

static void choose_frame(struct pair *pair, struct given *given)
{
	static const uint8_t everybody[6] = { 255, 255, 255, 255, 255, 255 };
	struct vio_frame *frame = &given->frame;
	uint32_t length = choose_length(pair);

	for (uint32_t i = 0; i < length; i++)
		given->bytes[i] = (uint8_t)chance(pair, 256);
	memcpy(given->bytes, chance_of(pair, 60) ? test_mac : chance_of(pair, 50) ? other_mac : everybody, 6);
	given->bytes[12] = chance_of(pair, 10) ? 0x81 : 8;
	given->bytes[13] = 0;
	/* Some flows. */
	given->bytes[14] = 0x45;
	given->bytes[20] = given->bytes[21] = 0;
	given->bytes[23] = chance_of(pair, 50) ? VIO_PROTOCOL_TCP : VIO_PROTOCOL_UDP;
	memset(given->bytes + 26, 1, 12);
	given->bytes[26] = (uint8_t)chance(pair, 8);
	*frame = (struct vio_frame){ .spans = given->spans, .length = length };
	frame->flags = chance_of(pair, 10) ? VIRTIO_NET_HDR_F_DATA_VALID : 0;
	if (chance_of(pair, 10)) {
		frame->flags |= VIRTIO_NET_HDR_F_NEEDS_CSUM;
		frame->csum_start = (uint16_t)chance(pair, length + 10);
		frame->csum_offset = 2;
	}
	for (uint32_t at = 0; at < length || !frame->span_count;) {
		uint32_t left = length - at;

		if (frame->span_count + 1 < PIECES_MAX && left > 1 && chance_of(pair, 30))
			left = 1 + chance(pair, left);
		given->spans[frame->span_count++] = (struct vio_span){ given->bytes + at, left };
		at += left;
	}
}

static void post_alike(struct pair *pair, unsigned queue, unsigned count)
{
	for (unsigned i = 0; i < count && pair->one->h.queues[queue].q.free_count; i++) {
		size_t bytes = chance_of(pair, 80) ? 2048 : 1 + chance(pair, BUFFER_MAX);

		net_test_post(pair->one, queue, 1, bytes);
		net_test_post(pair->many, queue, 1, bytes);
	}
}

/* What both drivers find. */
static void compare_queue(struct pair *pair, unsigned queue)
{
	static uint8_t a[FAKE_BYTES], b[FAKE_BYTES];
	struct virtio_net_hdr_hash ha, hb;
	int length;

	do {
		length = net_test_take(pair->one, queue, &ha, a, sizeof(a));
		assert_int_equal(net_test_take(pair->many, queue, &hb, b, sizeof(b)), length);
		if (length > 0) {
			assert_memory_equal(&ha, &hb, sizeof(ha));
			assert_memory_equal(a, b, (size_t)length);
		}
	} while (length >= 0);
}

static void compare_received(struct pair *pair)
{
	for (unsigned queue = 0; queue < pair->queues; queue += 2)
		compare_queue(pair, queue);
	/* With several a queue may be empty for a moment that stays as it was in the end. */
	if (pair->queues == 2)
		assert_int_equal(pair->one->fake.ready_count, pair->many->fake.ready_count);
	else
		assert_true(pair->one->fake.ready_count <= pair->many->fake.ready_count);
}

static void compare_counts(struct pair *pair)
{
	static const char *const names[] = { "rx-dropped", "tx-dropped" };

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(names); i++) {
		char texts[2][32];
		struct net_test *tests[2] = { pair->one, pair->many };

		for (unsigned j = 0; j < 2; j++) {
			void *structure;
			const struct vio_property *property = vio_device_find_property(
				&tests[j]->h.dev, names[i], strlen(names[i]), &structure);

			vio_property_get(property, structure, texts[j], sizeof(texts[j]));
		}
		assert_string_equal(texts[0], texts[1]);
	}
}

/* spec: DEV-NET-006 DEV-NET-026 DEV-NET-027 DEV-NET-028 DEV-NET-029 DEV-NET-030 DEV-NET-031 DEV-NET-032 */
static void received_together_or_alone(void **state)
{
	static struct pair pair;

	(void)state;
	for (uint32_t seed = 1; seed <= 150; seed++) {
		pair_make(&pair, seed);
		for (unsigned round = 0; round < 4; round++) {
			struct vio_frame frames[FRAMES];
			const struct vio_network_events *events = pair.one->fake.network.events;
			unsigned taken;

			for (unsigned queue = 0; queue < pair.queues; queue += 2)
				post_alike(&pair, queue, chance(&pair, 60));
			compare_received(&pair);
			for (unsigned i = 0; i < FRAMES; i++) {
				choose_frame(&pair, &pair.given[i]);
				frames[i] = pair.given[i].frame;
			}
			for (taken = 0; taken < FRAMES; taken++) {
				if (events->deliver(&pair.one->h.dev, &frames[taken]) == -VIO_EAGAIN)
					break;
			}
			assert_int_equal(events->deliver_many(&pair.many->h.dev, frames, FRAMES), taken);
			events->deliver_end(&pair.one->h.dev);
			events->deliver_end(&pair.many->h.dev);
			compare_received(&pair);
			compare_counts(&pair);
		}
		assert_int_equal(pair.one->h.faults + pair.many->h.faults, 0);
		pair_free(&pair);
	}
}

static void compare_sent(struct pair *pair)
{
	struct fake_network *one = &pair->one->fake, *many = &pair->many->fake;

	assert_int_equal(one->sent_count, many->sent_count);
	for (unsigned i = 0; i < one->sent_count; i++) {
		const struct vio_frame *a = &one->sent[i].frame, *b = &many->sent[i].frame;

		assert_int_equal(a->length, b->length);
		assert_int_equal(a->flags, b->flags);
		assert_int_equal(a->gso_type, b->gso_type);
		assert_int_equal(a->pair, b->pair);
		assert_memory_equal(one->sent[i].bytes, many->sent[i].bytes, a->length);
	}
	fake_network_clear(one);
	fake_network_clear(many);
}

/* Headers that ask for nothing, for what nobody has, and for what there is; frames of hostile lengths. */
static void add_alike(struct pair *pair, unsigned queue, void *token)
{
	static uint8_t out[LENGTH_MAX + 32];
	struct virtio_net_hdr header = { 0 };
	const uint32_t length = choose_length(pair);
	const unsigned header_bytes = pair->one->header_bytes;
	struct harness_io io = { out, header_bytes + length, NULL, 0, 0 };

	if (chance_of(pair, 10))
		header.flags = (uint8_t)chance(pair, 256);
	if (chance_of(pair, 10))
		header.gso_type = (uint8_t)chance(pair, 256);
	if (chance_of(pair, 10))
		header.num_buffers = vio_le16_make((uint16_t)chance(pair, 65536));
	memset(out, 0, header_bytes);
	memcpy(out, &header, sizeof(header));
	for (uint32_t i = 0; i < length; i++)
		out[header_bytes + i] = (uint8_t)chance(pair, 256);
	if (chance_of(pair, 20))
		io.piece = 1 + chance(pair, 2 * header_bytes) + io.out_bytes / 16;
	else if (chance_of(pair, 5))
		io.out_bytes = 1 + chance(pair, header_bytes);
	harness_add(&pair->one->h, queue, &io, token);
	harness_add(&pair->many->h, queue, &io, token);
}

/* hostile: A118; spec: DEV-NET-016 DEV-NET-020 DEV-NET-023 */
static void sent_together_or_alone(void **state)
{
	static struct pair pair;
	static char tokens[40];

	(void)state;
	for (uint32_t seed = 1; seed <= 150; seed++) {
		pair_make(&pair, seed);
		for (unsigned round = 0; round < 6; round++) {
			const unsigned count = 1 + chance(&pair, sizeof(tokens));
			const unsigned queue = 1 + (pair.queues == 4 ? 2 * chance(&pair, 2) : 0);
			unsigned added = 0, left;
			uint32_t written;

			/* Some together, the rest each by itself, at once or later. */
			pair.many->fake.many = chance_of(&pair, 50) ? UINT_MAX : chance(&pair, 10);
			pair.one->fake.hold = pair.many->fake.hold = chance_of(&pair, 20);
			pair.one->fake.result = pair.many->fake.result = chance_of(&pair, 20) ? -VIO_EIO : 0;
			while (added < count && pair.one->h.queues[queue].q.free_count > 17)
				add_alike(&pair, queue, &tokens[added++]);
			harness_kick(&pair.one->h, queue);
			harness_kick(&pair.many->h, queue);
			fake_network_finish(&pair.one->fake);
			fake_network_finish(&pair.many->fake);
			compare_sent(&pair);
			compare_counts(&pair);
			for (left = added; harness_get(&pair.many->h, queue, &written); left--)
				assert_int_equal(written, 0);
			assert_int_equal(left, 0);
			for (left = added; harness_get(&pair.one->h, queue, &written); left--)
				assert_int_equal(written, 0);
			assert_int_equal(left, 0);
		}
		assert_int_equal(pair.one->h.faults + pair.many->h.faults, 0);
		pair_free(&pair);
	}
}

/* No driver, no link, or no queue: lost, and nobody waits. */
static void nobody_there(void **state)
{
	static struct pair pair;
	const struct vio_network_events *events;
	struct vio_frame frames[2];

	(void)state;
	pair_make(&pair, 1);
	events = pair.many->fake.network.events;
	for (unsigned i = 0; i < 2; i++) {
		choose_frame(&pair, &pair.given[i]);
		frames[i] = pair.given[i].frame;
	}
	pair.many->fake.network.link_up = false;
	assert_int_equal(events->deliver_many(&pair.many->h.dev, frames, 2), 2);
	pair.many->fake.network.link_up = true;
	vio_device_queue_stop(&pair.many->h.dev, 0);
	assert_int_equal(events->deliver_many(&pair.many->h.dev, frames, 2), 2);
	harness_reset(&pair.many->h);
	assert_int_equal(events->deliver_many(&pair.many->h.dev, frames, 2), 2);
	events->deliver_end(&pair.many->h.dev);
	pair_free(&pair);
}

/* A network may deliver a hundred times what the queue holds: it stops, and goes on when there is room. */
static void room_comes_back(void **state)
{
	struct net_test *test = net_test_make(setup);
	const struct vio_network_events *events = test->fake.network.events;
	static uint8_t bytes[64], got[FAKE_BYTES];
	struct virtio_net_hdr_hash header;
	struct vio_span span = { bytes, sizeof(bytes) };
	struct vio_frame frames[100];
	unsigned sent = 0;

	(void)state;
	memcpy(bytes, test_mac, 6);
	for (unsigned i = 0; i < 100; i++)
		frames[i] = (struct vio_frame){ .spans = &span, .span_count = 1, .length = sizeof(bytes) };
	net_test_start(test, BIT(VIRTIO_NET_F_MRG_RXBUF));
	while (sent < 100) {
		const unsigned ready = test->fake.ready_count;
		unsigned taken = events->deliver_many(&test->h.dev, frames + sent, 100 - sent);

		assert_int_equal(taken, sent ? (100 - sent < 40 ? 100 - sent : 40) : 0);
		sent += taken;
		events->deliver_end(&test->h.dev);
		while (taken--)
			assert_int_equal(net_test_take(test, 0, &header, got, sizeof(got)), sizeof(bytes));
		assert_int_equal(net_test_take(test, 0, &header, got, sizeof(got)), -1);
		if (sent == 100)
			break;
		/* Not before the driver was asked for kicks, and once. */
		net_test_post(test, 0, 40, 2048);
		assert_int_equal(test->fake.ready_count, ready + 1);
		if (!sent) {
			assert_int_equal(events->deliver_many(&test->h.dev, frames, 40), 40);
			sent = 40;
			events->deliver_end(&test->h.dev);
			for (unsigned i = 0; i < 40; i++)
				assert_int_equal(net_test_take(test, 0, &header, got, sizeof(got)), 64);
			assert_int_equal(events->deliver_many(&test->h.dev, frames, 1), 0);
			net_test_post(test, 0, 40, 2048);
		}
	}
	net_test_free(test);
}

/* Flows over two pairs. */

#define FLOWS 8u

struct flows {
	struct net_test *test;
	uint32_t random;
	uint32_t sent[FLOWS], got[FLOWS];
	unsigned queue[FLOWS]; /* where a flow goes, once that is known */
	unsigned of_queue[4];  /* frames */
	struct vio_frame frames[FRAMES];
	struct vio_span spans[FRAMES];
	uint8_t bytes[2 * FRAMES][64];
	unsigned made, waiting; /* in all; of them not taken yet */
};

static uint32_t flows_chance(struct flows *flows, uint32_t below)
{
	flows->random = flows->random * 1664525u + 1013904223u;
	return (flows->random >> 8) % below;
}

/* UDP from one of eight stations, numbered. */
static void make_numbered(uint8_t *bytes, unsigned flow, uint32_t number)
{
	memset(bytes, 0, 64);
	memcpy(bytes, test_mac, 6);
	memcpy(bytes + 6, other_mac, 6);
	bytes[12] = 8;
	bytes[14] = 0x45;
	bytes[23] = VIO_PROTOCOL_UDP;
	bytes[26] = (uint8_t)flow;
	bytes[30] = 77;
	memcpy(bytes + 42, &number, sizeof(number));
}

/* What waits goes first, then new ones. */
static void flows_deliver(struct flows *flows)
{
	const struct vio_network_events *events = flows->test->fake.network.events;
	unsigned taken;

	while (flows->waiting < FRAMES && flows_chance(flows, 20)) {
		const unsigned flow = flows_chance(flows, FLOWS), at = flows->waiting++;
		uint8_t *bytes = flows->bytes[flows->made++ % (2 * FRAMES)];

		make_numbered(bytes, flow, flows->sent[flow]++);
		flows->spans[at] = (struct vio_span){ bytes, 64 };
	}
	for (unsigned i = 0; i < flows->waiting; i++)
		flows->frames[i] =
			(struct vio_frame){ .spans = &flows->spans[i], .span_count = 1, .length = 64 };
	taken = events->deliver_many(&flows->test->h.dev, flows->frames, flows->waiting);
	assert_true(taken <= flows->waiting);
	flows->waiting -= taken;
	memmove(flows->spans, flows->spans + taken, flows->waiting * sizeof(flows->spans[0]));
	events->deliver_end(&flows->test->h.dev);
}

/* Each flow in its order, without a hole, and in one queue. */
static void flows_take(struct flows *flows, unsigned queue)
{
	struct virtio_net_hdr_hash header;
	static uint8_t got[FAKE_BYTES];

	while (net_test_take(flows->test, queue, &header, got, sizeof(got)) > 0) {
		const unsigned flow = got[26];
		uint32_t number;

		assert_in_range(flow, 0, FLOWS - 1);
		memcpy(&number, got + 42, sizeof(number));
		assert_int_equal(number, flows->got[flow]++);
		if (flows->queue[flow] == UINT_MAX)
			flows->queue[flow] = queue;
		assert_int_equal(queue, flows->queue[flow]);
		flows->of_queue[queue]++;
	}
}

/* The driver of each flow shows where it wants it: spec: DEV-NET-095 */
static void flows_teach(struct flows *flows)
{
	uint8_t out[20 + 64] = { 0 };
	struct harness_io io = { out, flows->test->header_bytes + 64, NULL, 0, 0 };

	for (unsigned flow = 0; flow < FLOWS; flow++) {
		const unsigned pair = flow == 2 || flow == 5;

		make_numbered(out + flows->test->header_bytes, flow, 0);
		assert_int_equal(harness_call(&flows->test->h, 2 * pair + 1, &io), 0);
		flows->queue[flow] = 2 * pair;
	}
	assert_int_equal(flows->test->fake.sent_count, FLOWS);
}

/* spec: DEV-NET-095 DEV-NET-096 DEV-NET-102 */
static void flows_keep_their_order(void **state)
{
	static const uint64_t steering[] = { BIT(VIRTIO_NET_F_MQ), BIT(VIRTIO_NET_F_RSS),
					     BIT(VIRTIO_NET_F_RSS) | BIT(VIRTIO_NET_F_HASH_REPORT) };
	static struct flows flows;

	(void)state;
	for (unsigned kind = 0; kind < 6 * 2; kind++) {
		uint64_t features = steering[kind % 3] | BIT(VIRTIO_NET_F_CTRL_VQ);

		features |= kind / 3 & 1 ? BIT(VIRTIO_F_RING_PACKED) : 0;
		features |= kind / 6 & 1 ? BIT(VIRTIO_F_IN_ORDER) : 0;
		memset(&flows, 0, sizeof(flows));
		flows.random = kind;
		flows.test = net_test_make(setup);
		net_test_start(flows.test, features | BIT(VIRTIO_NET_F_MRG_RXBUF));
		choose_queues(flows.test, true);
		memset(flows.queue, 0xff, sizeof(flows.queue));
		if (kind % 3 == 0)
			flows_teach(&flows);
		while (flows.made < 5000 || flows.waiting) {
			for (unsigned queue = 0; queue < 4; queue += 2) {
				unsigned count = flows_chance(&flows, 40);
				unsigned room = flows.test->h.queues[queue].q.free_count;

				net_test_post(flows.test, queue, count < room ? count : room, 256);
			}
			flows_deliver(&flows);
			flows_take(&flows, 0);
			flows_take(&flows, 2);
		}
		assert_memory_equal(flows.got, flows.sent, sizeof(flows.got));
		assert_int_equal(flows.of_queue[0] + flows.of_queue[2], flows.made);
		assert_in_range(flows.of_queue[0], 1, flows.made - 1);
		assert_int_equal(flows.test->h.faults, 0);
		net_test_free(flows.test);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(received_together_or_alone),
		cmocka_unit_test(sent_together_or_alone),
		cmocka_unit_test(nobody_there),
		cmocka_unit_test(room_comes_back),
		cmocka_unit_test(flows_keep_their_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
