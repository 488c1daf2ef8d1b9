/* SPDX-License-Identifier: BSD-3-Clause */
#include "devices/fake_network.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

const uint8_t test_mac[6] = { 0x52, 0x54, 0, 0, 0, 1 };
const uint8_t other_mac[6] = { 0x52, 0x54, 0, 0, 0, 2 };

static struct fake_network *fake_of(struct vio_network *network)
{
	return VIO_CONTAINER_OF(network, struct fake_network, network);
}

static void record(struct fake_network *fake, const struct vio_frame *frame)
{
	struct fake_sent *sent = &fake->sent[fake->sent_count++];

	assert_true(fake->sent_count <= FAKE_SENT_MAX);
	sent->frame = *frame;
	sent->bytes = malloc(frame->length + 1);
	assert_non_null(sent->bytes);
	vio_frame_copy(frame, 0, sent->bytes, frame->length);
	sent->span = (struct vio_span){ sent->bytes, frame->length };
	sent->frame.spans = &sent->span;
	sent->frame.span_count = 1;
}

static unsigned fake_send_many(struct vio_network *network, const struct vio_frame *frames, unsigned count)
{
	struct fake_network *fake = fake_of(network);
	unsigned i;

	for (i = 0; i < count && i < fake->many && !fake->hold && !fake->result; i++)
		record(fake, &frames[i]);
	return i;
}

static void fake_send(struct vio_network *network, struct vio_network_send *send)
{
	struct fake_network *fake = fake_of(network);

	record(fake, &send->frame);
	if (fake->hold)
		fake->held[fake->held_count++] = send;
	else
		send->done(send, fake->result);
}

static void fake_ready(struct vio_network *network, uint16_t pair)
{
	(void)pair;
	fake_of(network)->ready_count++;
}

static void fake_configure(struct vio_network *network, unsigned offloads, uint16_t pairs)
{
	fake_of(network)->offloads = offloads;
	fake_of(network)->pairs = pairs;
}

static void fake_arm(struct vio_network *network, uint32_t delay_us)
{
	fake_of(network)->arm_count++;
	fake_of(network)->armed_us = delay_us;
}

void fake_network_finish(struct fake_network *fake)
{
	for (unsigned i = 0; i < fake->held_count; i++)
		fake->held[i]->done(fake->held[i], fake->result);
	fake->held_count = 0;
}

static void fake_drain(struct vio_network *network)
{
	fake_of(network)->drains++;
	fake_network_finish(fake_of(network));
}

static void fake_close(struct vio_network *network)
{
	(void)network;
}

static const struct vio_network_ops fake_ops = {
	.send = fake_send,
	.send_many = fake_send_many,
	.ready = fake_ready,
	.configure = fake_configure,
	.arm = fake_arm,
	.drain = fake_drain,
	.close = fake_close,
};

void fake_network_init(struct fake_network *fake)
{
	memset(fake, 0, sizeof(*fake));
	fake->network.ops = &fake_ops;
	fake->network.offloads = VIO_NETWORK_OFFLOADS;
	fake->network.link_up = true;
	fake->many = UINT_MAX;
}

void fake_network_clear(struct fake_network *fake)
{
	for (unsigned i = 0; i < fake->sent_count; i++)
		free(fake->sent[i].bytes);
	fake->sent_count = 0;
}

int fake_network_deliver(struct fake_network *fake, struct vio_frame *frame, uint8_t *bytes, uint32_t length,
			 uint32_t piece)
{
	static struct vio_span spans[FAKE_BYTES];
	int result;

	frame->spans = spans;
	frame->span_count = 0;
	frame->length = length;
	for (uint32_t at = 0; at < length; at += piece ? piece : length) {
		uint32_t left = length - at;

		spans[frame->span_count++] =
			(struct vio_span){ bytes + at, piece && piece < left ? piece : left };
	}
	result = fake->network.events->deliver(fake->network.events_context, frame);
	fake->network.events->deliver_end(fake->network.events_context);
	return result;
}

struct net_test *net_test_make(const char *const *properties)
{
	struct net_test *test = calloc(1, sizeof(*test));

	assert_non_null(test);
	fake_network_init(&test->fake);
	harness_make(&test->h, &vio_net_class);
	assert_int_equal(vio_net_attach(&test->h.dev, &test->fake.network), 0);
	for (unsigned i = 0; properties && properties[i]; i++) {
		const char *equals = strchr(properties[i], '=');

		assert_int_equal(vio_device_set_property(&test->h.dev, properties[i],
							 (size_t)(equals - properties[i]), equals + 1),
				 0);
	}
	harness_realize(&test->h);
	return test;
}

void net_test_start(struct net_test *test, uint64_t features)
{
	harness_start(&test->h, features, 64);
	test->features = features;
	test->header_bytes = features & BIT(VIRTIO_NET_F_HASH_REPORT) ? 20 : 12;
}

void net_test_free(struct net_test *test)
{
	harness_free(&test->h);
	fake_network_clear(&test->fake);
	free(test);
}

void net_test_send(struct net_test *test, const struct virtio_net_hdr *header, const void *packet,
		   size_t length, size_t piece)
{
	static uint8_t out[FAKE_BYTES + 64];
	struct harness_io io = { out, test->header_bytes + length, NULL, 0, piece };

	memset(out, 0, test->header_bytes);
	memcpy(out, header, sizeof(*header));
	memcpy(out + test->header_bytes, packet, length);
	assert_int_equal(harness_call(&test->h, 1, &io), 0);
}

int net_test_control(struct net_test *test, unsigned class, unsigned command, const void *data, size_t length)
{
	uint8_t out[2048] = { (uint8_t) class, (uint8_t)command };
	uint8_t answer = 0xee;
	struct harness_io io = { out, 2 + length, &answer, 1, 0 };
	bool many = test->features & (BIT(VIRTIO_NET_F_MQ) | BIT(VIRTIO_NET_F_RSS));

	if (length)
		memcpy(out + 2, data, length);
	if (harness_call(&test->h, many ? test->h.dev.queue_count - 1u : 2u, &io) != 1)
		return -1;
	return answer;
}

struct posted {
	uint8_t *at;
	size_t bytes;
};

void net_test_post(struct net_test *test, unsigned queue, unsigned count, size_t bytes)
{
	while (count--) {
		struct posted *posted = harness_take(&test->h, sizeof(*posted));
		struct harness_io io = { NULL, 0, NULL, bytes, 0 };

		posted->bytes = bytes;
		posted->at = harness_add(&test->h, queue, &io, posted);
	}
	harness_kick(&test->h, queue);
}

/* One buffer; returns how much was written, negative if none came. */
static int take_one(struct net_test *test, unsigned queue, uint8_t *to, size_t size, size_t *room)
{
	uint32_t written;
	struct posted *posted = harness_get(&test->h, queue, &written);

	if (!posted)
		return -1;
	assert_true(written <= posted->bytes && written <= size);
	for (unsigned i = 0; i < 8; i++) /* nothing behind what was said to be written */
		assert_true(written + i >= posted->bytes || posted->at[written + i] == posted->at[-1]);
	memcpy(to, posted->at, written);
	*room = posted->bytes;
	return (int)written;
}

int net_test_take(struct net_test *test, unsigned queue, struct virtio_net_hdr_hash *header, uint8_t *to,
		  size_t size)
{
	static uint8_t all[FAKE_BYTES + 4096];
	size_t room;
	int length = take_one(test, queue, all, sizeof(all), &room);
	unsigned buffers;

	if (length <= 0)
		return length < 0 ? -1 : 0;
	assert_true(length >= (int)test->header_bytes);
	memset(header, 0, sizeof(*header));
	memcpy(header, all, test->header_bytes);
	buffers = vio_le16_get(header->header.num_buffers);
	assert_true(buffers >= 1);
	/* spec: DEV-NET-026 DEV-NET-029 DEV-NET-030 DEV-NET-031 */
	for (unsigned i = 1; i < buffers; i++) {
		int more;

		assert_int_equal((i == 1 ? (size_t)length : 0), i == 1 ? room : 0);
		more = take_one(test, queue, all + length, sizeof(all) - (size_t)length, &room);
		assert_true(more > 0);
		if (i + 1 < buffers)
			assert_int_equal(more, room);
		length += more;
	}
	length -= (int)test->header_bytes;
	assert_true((size_t)length <= size);
	memcpy(to, all + test->header_bytes, (size_t)length);
	return length;
}

/* Packets. */

static void put16(uint8_t *at, unsigned value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static unsigned get16(const uint8_t *at)
{
	return (unsigned)at[0] << 8 | at[1];
}

/* The slow and plain way, on purpose not the device's. */
static unsigned sum16(unsigned sum, const uint8_t *bytes, uint32_t length)
{
	for (uint32_t i = 0; i < length; i++)
		sum += i & 1 ? bytes[i] : (unsigned)bytes[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static unsigned pseudo_sum(const uint8_t *ip, unsigned version, unsigned protocol, uint32_t length)
{
	unsigned sum = sum16(0, ip + (version == 4 ? 12 : 8), version == 4 ? 8 : 32);

	sum += protocol + (length >> 16) + (length & 0xffff);
	return sum16(sum, NULL, 0);
}

void packet_make(struct packet *packet, const struct packet_kind *kind)
{
	uint8_t *at = packet->bytes;
	unsigned transport_bytes = kind->protocol == VIO_PROTOCOL_TCP ? 32 : 8;
	uint32_t inner = transport_bytes + kind->payload;

	memset(packet->bytes, 0, 256);
	memcpy(at, test_mac, 6);
	memcpy(at + 6, other_mac, 6);
	at += 12;
	if (kind->vlan) {
		put16(at, 0x8100);
		put16(at + 2, kind->vlan);
		at += 4;
	}
	put16(at, kind->version == 4 ? 0x800 : 0x86dd);
	at += 2;
	packet->network = (uint32_t)(at - packet->bytes);
	if (kind->version == 4) {
		at[0] = 0x45;
		put16(at + 2, 20 + inner);
		put16(at + 4, 0x1234);
		put16(at + 6, 0x4000);
		at[8] = 64;
		at[9] = (uint8_t)kind->protocol;
		memcpy(at + 12, (const uint8_t[]){ 66, 9, 149, 187, 161, 142, 100, 80 }, 8);
		put16(at + 10, 0xffff & ~sum16(0, at, 20));
		at += 20;
	} else {
		at[0] = 0x60;
		put16(at + 4, inner);
		at[6] = (uint8_t)kind->protocol;
		at[7] = 64;
		memcpy(at + 8,
		       (const uint8_t[]){ 0x3f, 0xfe, 0x25, 1, 2, 0, 0x1f, 0xff, 0, 0, 0, 0, 0, 0, 0, 7 },
		       16);
		memcpy(at + 24, (const uint8_t[]){ 0x3f, 0xfe, 0x25, 1, 2, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 1 },
		       16);
		at += 40;
	}
	packet->transport = (uint32_t)(at - packet->bytes);
	put16(at, kind->source_port ? kind->source_port : 2794);
	put16(at + 2, kind->target_port ? kind->target_port : 1766);
	if (kind->protocol == VIO_PROTOCOL_TCP) {
		put16(at + 4, 0x1000);
		at[12] = 0x80;
		at[13] = kind->tcp_flags;
	} else {
		put16(at + 4, inner);
	}
	put16(at + (kind->protocol == VIO_PROTOCOL_TCP ? 16 : 6),
	      pseudo_sum(packet->bytes + packet->network, kind->version, kind->protocol, inner));
	packet->payload = packet->transport + transport_bytes;
	packet->length = packet->payload + kind->payload;
	for (uint32_t i = 0; i < kind->payload; i++)
		packet->bytes[packet->payload + i] = (uint8_t)(i * 7 + i / 256);
}

bool packet_is_right(const uint8_t *bytes, uint32_t length)
{
	uint32_t at = get16(bytes + 12) == 0x8100 ? 18 : 14;
	unsigned version = bytes[at] >> 4;
	uint32_t header = version == 4 ? 20 : 40;
	unsigned protocol = bytes[at + (version == 4 ? 9 : 6)];
	uint32_t inner = length - at - header;
	unsigned sum;

	if (version == 4 && (sum16(0, bytes + at, 20) != 0xffff || get16(bytes + at + 2) != inner + 20))
		return false;
	if (version == 6 && get16(bytes + at + 4) != inner)
		return false;
	if (protocol == VIO_PROTOCOL_UDP && get16(bytes + at + header + 4) != inner)
		return false;
	sum = pseudo_sum(bytes + at, version, protocol, inner);
	return sum16(sum, bytes + at + header, inner) == 0xffff;
}

struct virtio_net_hdr packet_header(const struct packet *packet, unsigned gso_type, unsigned gso_bytes)
{
	bool tcp = packet->payload - packet->transport > 8;

	return (struct virtio_net_hdr){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = (uint8_t)gso_type,
		.gso_size = vio_le16_make((uint16_t)gso_bytes),
		.csum_start = vio_le16_make((uint16_t)packet->transport),
		.csum_offset = vio_le16_make(tcp ? 16 : 6),
	};
}
