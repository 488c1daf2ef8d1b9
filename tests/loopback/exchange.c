/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/test.h"

#include <stdlib.h>
#include <string.h>

#include "loopback/exchange.h"
#include "ring/packed.h"

#define ELEMENTS_MAX  8u
#define ELEMENT_BYTES 48u /* at most; a buffer has a slab of its own */
#define SLAB_BYTES    (ELEMENTS_MAX * ELEMENT_BYTES)
#define INDIRECT_MAX  6u
#define TURNS_MAX     200u /* without a buffer coming back */

/* A buffer that the driver has out. */
struct out {
	struct out *next_free;
	uint64_t slab, payload; /* where it is; hash of what is readable */
	unsigned readable, writable;
	uint32_t length[ELEMENTS_MAX];
	uint32_t writable_bytes, readable_bytes;
	bool busy;
};

struct exchange {
	const struct exchange_config *config;
	struct test_pair pair;
	uint64_t seed;
	struct out *outs, *free_outs;
	unsigned outs_count;
	/* The driver. */
	bool driver_asleep;
	unsigned added, returned, kick_calls;
	/* The device. */
	bool device_asleep;
	struct vio_buf *held;
	unsigned held_count, notify_calls;
	/* How often each side said that it wants to hear. */
	unsigned device_asks, driver_asks;
};

static unsigned below(struct exchange *x, unsigned count)
{
	return test_random_below(&x->seed, count);
}

static uint64_t hash_bytes(uint64_t hash, const uint8_t *bytes, size_t length)
{
	while (length--)
		hash = (hash ^ *bytes++) * UINT64_C(0x100000001b3);
	return hash;
}

#define HASH_BEGIN UINT64_C(0xcbf29ce484222325)

/* What the device answers to a payload: so many bytes, each of which the driver can foretell. */
static uint32_t answer_length(uint64_t payload, uint32_t writable)
{
	return (uint32_t)(payload >> 7) % (writable + 1);
}

static uint8_t answer_byte(uint64_t payload, uint32_t at)
{
	return (uint8_t)(payload >> (at % 8 * 8)) ^ (uint8_t)at;
}

static uint64_t element_addr(const struct out *out, unsigned element)
{
	return out->slab + (uint64_t)element * ELEMENT_BYTES;
}

static void kicked(struct test_pair *pair)
{
	struct exchange *x = pair->user;

	x->device_asleep = false;
}

static void interrupted(struct test_pair *pair)
{
	struct exchange *x = pair->user;

	x->driver_asleep = false;
}

/* Shapes: anything from one element to the most that fits, mostly a few, of 1 to ELEMENT_BYTES each. */
static void shape(struct exchange *x, struct out *out)
{
	unsigned most = x->config->size < ELEMENTS_MAX ? x->config->size : ELEMENTS_MAX;
	unsigned count = 1 + below(x, below(x, 4) ? (most < 3 ? most : 3) : most), i;
	uint8_t bytes[ELEMENT_BYTES];

	out->readable = below(x, count + 1);
	out->writable = count - out->readable;
	out->writable_bytes = out->readable_bytes = 0;
	out->payload = HASH_BEGIN;
	for (i = 0; i < count; i++) {
		uint32_t length = below(x, 4) ? 1 + below(x, ELEMENT_BYTES) : 1, at;

		out->length[i] = length;
		for (at = 0; at < length; at++)
			bytes[at] = i < out->readable ? (uint8_t)test_random(&x->seed) : 0xee;
		test_memory_put(&x->pair.memory, element_addr(out, i), bytes, length);
		if (i < out->readable) {
			out->payload = hash_bytes(out->payload, bytes, length);
			out->readable_bytes += length;
		} else {
			out->writable_bytes += length;
		}
	}
}

static int add(struct exchange *x, struct out *out)
{
	struct vio_sg sg[ELEMENTS_MAX];
	const struct vio_drvq_buffer buffer = { sg, out->readable, out->writable, out };
	unsigned i;

	for (i = 0; i < out->readable + out->writable; i++)
		sg[i] = (struct vio_sg){ vio_addr_make(element_addr(out, i)), out->length[i] };
	if (x->config->many)
		return vio_drvq_add_many(&x->pair.drv, &buffer, 1) - 1;
	return vio_drvq_add(&x->pair.drv, sg, out->readable, out->writable, out);
}

/*
 * In the memory that the device sees: the list that was added between two positions, but that the
 * first buffer of a batch isn't available. spec: DRV-PACKED-006 DRV-PACKED-007 DRV-PACKED-009
 * DRV-PACKED-010 DRV-PACKED-011 DRV-PACKED-012 DRV-PACKED-014
 */
static void check_list(const struct exchange *x, const struct out *out, uint16_t position)
{
	const struct test_ring *ring = &x->pair.ring;
	const struct pvirtq_desc *desc = &ring->packed[packed_offset(position)], *table = NULL;
	unsigned i, count = out->readable + out->writable, room;
	bool hidden = position == x->pair.drv.avail_visible;

	room = packed_distance(position, x->pair.drv.avail_next, ring->size);
	if (room < count) {
		assert_true(x->config->indirect);
		assert_int_equal(room, 1);
		assert_int_equal(vio_le32_get(desc->len), hidden ? vio_le32_get(desc->len) : 16 * count);
		table = (const struct pvirtq_desc *)(const void *)test_memory_at(&x->pair.memory,
										 vio_le64_get(desc->addr));
		if (!hidden)
			assert_int_equal(vio_le16_get(desc->flags),
					 F_INDIRECT | packed_avail_flags(position));
	} else {
		assert_int_equal(room, count);
	}
	for (i = 0; i < count; i++, position = packed_advance(position, 1, ring->size)) {
		unsigned flags = i >= out->readable ? F_WRITE : 0;

		desc = table ? &table[i] : &ring->packed[packed_offset(position)];
		if (!table)
			flags |= (i + 1 < count ? F_NEXT : 0) | packed_avail_flags(position);
		assert_int_equal(vio_le64_get(desc->addr), element_addr(out, i));
		if (!table && !i && hidden) { /* spec: DRV-PACKED-003 */
			assert_int_not_equal(vio_le16_get(desc->flags) & PACKED_STATE_FLAGS,
					     packed_avail_flags(position));
			continue;
		}
		assert_int_equal(vio_le16_get(desc->flags), flags);
		assert_int_equal(vio_le32_get(desc->len), out->length[i]);
	}
}

/*
 * spec: DRV-SPLIT-004 DRV-SPLIT-008 DRV-SPLIT-009 DRV-SPLIT-010 DRV-SPLIT-011, and with IN_ORDER
 * DRV-SPLIT-007 DRV-SPLIT-012, in the memory that the device sees
 */
static void check_chain(const struct exchange *x, const struct out *out)
{
	const struct test_ring *ring = &x->pair.ring;
	const struct virtq_desc *table = ring->desc;
	uint16_t at = vio_le16_get(ring->avail->ring[(uint16_t)(x->pair.drv.avail_next - 1) % ring->size]);
	unsigned limit = ring->size, i, count = out->readable + out->writable;

	if (vio_le16_get(table[at].flags) & F_INDIRECT) {
		assert_true(x->config->indirect);
		assert_int_equal(vio_le16_get(table[at].flags) & F_NEXT, 0);
		limit = vio_le32_get(table[at].len) / 16;
		table = (const struct virtq_desc *)(const void *)test_memory_at(&x->pair.memory,
										vio_le64_get(table[at].addr));
		at = 0;
	}
	for (i = 0; i < count; i++) {
		unsigned flags = vio_le16_get(table[at].flags);

		assert_true(at < limit);
		assert_int_equal(flags, (i + 1 < count ? F_NEXT : 0) | (i >= out->readable ? F_WRITE : 0));
		assert_int_equal(vio_le64_get(table[at].addr), element_addr(out, i));
		assert_int_equal(vio_le32_get(table[at].len), out->length[i]);
		if (i + 1 < count && (x->config->in_order || table != ring->desc))
			assert_int_equal(vio_le16_get(table[at].next), at + 1u < limit ? at + 1u : 0);
		at = vio_le16_get(table[at].next);
	}
}

/* spec: DRV-SPLIT-017 DRV-SPLIT-018 DEV-SPLIT-002 DEV-SPLIT-014 */
static void check_returned(struct exchange *x, const struct out *out, uint32_t written)
{
	uint32_t at = 0, byte;
	uint64_t payload = HASH_BEGIN;
	uint8_t bytes[ELEMENT_BYTES];
	unsigned i;

	assert_int_equal(written, answer_length(out->payload, out->writable_bytes));
	for (i = 0; i < out->readable + out->writable; i++) {
		test_memory_get(&x->pair.memory, element_addr(out, i), bytes, out->length[i]);
		if (i < out->readable) {
			payload = hash_bytes(payload, bytes, out->length[i]);
			continue;
		}
		for (byte = 0; byte < out->length[i]; byte++, at++)
			assert_int_equal(bytes[byte], at < written ? answer_byte(payload, at) : 0xee);
	}
	assert_int_equal(payload, out->payload);
}

static void take_back(struct exchange *x, struct out *out, uint32_t written)
{
	assert_in_range((uintptr_t)out, (uintptr_t)x->outs, (uintptr_t)(x->outs + x->outs_count - 1));
	assert_true(out->busy); /* each comes back once */
	check_returned(x, out, written);
	out->busy = false;
	out->next_free = x->free_outs;
	x->free_outs = out;
	x->returned++;
}

static void take_many(struct exchange *x)
{
	void *outs[7];
	uint32_t written[7];
	unsigned count, i;

	do {
		count = vio_drvq_get_many(&x->pair.drv, outs, written, VIO_ARRAY_SIZE(outs));
		for (i = 0; i < count; i++)
			take_back(x, outs[i], written[i]);
	} while (count == VIO_ARRAY_SIZE(outs));
}

static void take_used(struct exchange *x)
{
	uint32_t written = UINT32_MAX;
	struct out *out;

	if (x->config->many) {
		take_many(x);
	} else {
		while ((out = vio_drvq_get(&x->pair.drv, &written)) != NULL)
			take_back(x, out, written);
	}
	assert_int_equal(x->pair.drv.fault.kind, VIO_FAULT_NONE);
	if (x->config->callbacks == EXCHANGE_ON)
		x->driver_asks++;
}

static void add_some(struct exchange *x)
{
	unsigned batch = 1 + below(x, x->config->batch), i;
	uint16_t before = x->pair.drv.avail_visible;

	for (i = 0; i < batch && x->added < x->config->buffers && x->free_outs; i++) {
		struct out *out = x->free_outs;
		uint16_t at = x->pair.drv.avail_next;

		shape(x, out);
		if (add(x, out) < 0) {
			assert_true(x->pair.drv.in_flight > 0);
			break;
		}
		if (x->config->packed)
			check_list(x, out, at);
		else
			check_chain(x, out);
		x->free_outs = out->next_free;
		out->busy = true;
		x->added++;
	}
	x->kick_calls++;
	if (x->config->device_polls)
		vio_drvq_publish(&x->pair.drv);
	else
		vio_drvq_kick(&x->pair.drv);
	assert_int_equal(x->pair.drv.avail_visible, x->pair.drv.avail_next);
	if (!x->config->packed) /* spec: DRV-SPLIT-013 */
		assert_int_equal((uint16_t)(test_ring_get_avail_idx(&x->pair.ring) - before), i);
}

static void driver_turn(struct exchange *x)
{
	unsigned flags;

	if (x->driver_asleep)
		return;
	if (x->config->callbacks != EXCHANGE_ON)
		vio_drvq_disable_cb(&x->pair.drv);
	take_used(x);
	add_some(x);
	take_used(x);
	switch (x->config->callbacks) {
	case EXCHANGE_ENABLE:
		x->driver_asleep = vio_drvq_enable_cb(&x->pair.drv);
		x->driver_asks++;
		break;
	case EXCHANGE_DELAYED:
		x->driver_asleep = vio_drvq_enable_cb_delayed(&x->pair.drv);
		x->driver_asks++;
		break;
	case EXCHANGE_ON:
		x->driver_asleep = true;
		break;
	default:
		break;
	}
	/* With nothing out there is nothing to wait for. */
	if (x->added == x->returned)
		x->driver_asleep = false;
	if (x->config->packed) {
		flags = vio_le16_get(x->pair.ring.driver_event->flags);
		assert_true(flags <=
			    (x->config->event_idx ? RING_EVENT_FLAGS_DESC : RING_EVENT_FLAGS_DISABLE));
	} else {
		flags = vio_le16_get(x->pair.ring.avail->flags);
		assert_true(flags <= (x->config->event_idx ? 0 : 1)); /* spec: DRV-SPLIT-014 DRV-SPLIT-015 */
	}
}

static void complete(struct exchange *x, unsigned index)
{
	struct vio_buf buf = x->held[index];
	uint64_t payload = HASH_BEGIN;
	uint8_t bytes[SLAB_BYTES];
	uint32_t length, at = 0;

	while (buf.readable_bytes) {
		size_t piece = vio_read(&buf, bytes, 1 + below(x, 60));

		assert_true(piece > 0);
		payload = hash_bytes(payload, bytes, piece);
	}
	length = answer_length(payload, (uint32_t)buf.writable_bytes);
	while (at < length) {
		uint32_t piece = 1 + below(x, 60), i;

		if (piece > length - at)
			piece = length - at;
		for (i = 0; i < piece; i++)
			bytes[i] = answer_byte(payload, at + i);
		assert_int_equal(vio_write(&buf, bytes, piece), piece);
		at += piece;
	}
	vio_devq_push(&x->pair.dev, &buf, length);
	x->held[index] = x->held[--x->held_count];
}

static void complete_some(struct exchange *x)
{
	unsigned count = x->held_count, i;

	switch (x->config->order) {
	case EXCHANGE_IN_ORDER:
		/* complete() fills the gap with the last, so the order needs care. */
		for (i = 0; i < count; i++) {
			complete(x, 0);
			if (x->held_count > 1) {
				struct vio_buf last = x->held[0];

				memmove(&x->held[0], &x->held[1], (x->held_count - 1) * sizeof(last));
				x->held[x->held_count - 1] = last;
			}
		}
		break;
	case EXCHANGE_REVERSED:
		while (x->held_count)
			complete(x, x->held_count - 1);
		break;
	case EXCHANGE_RANDOM:
		while (x->held_count)
			complete(x, below(x, x->held_count));
		break;
	default:
		for (i = below(x, 3) ? below(x, count + 1) : 0; i > 0; i--)
			complete(x, below(x, x->held_count));
		break;
	}
	vio_devq_notify(&x->pair.dev);
	x->notify_calls++;
	if (!x->config->packed)
		assert_int_equal(test_ring_used_idx(&x->pair.ring), x->pair.dev.used_next);
}

static void device_turn(struct exchange *x)
{
	struct vio_devq *q = &x->pair.dev;
	unsigned limit = below(x, 3) ? UINT32_MAX : 1 + below(x, x->config->batch);

	if (!x->device_asleep) {
		while (limit && vio_devq_pop(q, &x->held[x->held_count])) {
			assert_false(x->held[x->held_count].truncated);
			x->held_count++;
			limit--;
		}
		assert_int_equal(q->fault.kind, VIO_FAULT_NONE);
		x->device_asleep = limit && !x->config->device_polls;
		x->device_asks += limit > 0;
	}
	if (x->held_count)
		complete_some(x);
	/* spec: DEV-SPLIT-015 DEV-SPLIT-016 */
	if (!x->config->packed)
		assert_true(test_ring_used_flags(&x->pair.ring) <= (x->config->event_idx ? 0 : 1));
}

/*
 * Whoever sleeps must have nothing to do, or have been told. spec: DEV-SPLIT-009
 * DEV-SPLIT-011 DRV-SPLIT-022 DRV-SPLIT-024
 */
static void check_sleepers(const struct exchange *x)
{
	const struct vio_drvq *drv = &x->pair.drv;
	uint16_t unseen;

	if (x->device_asleep)
		assert_int_equal(drv->avail_visible, x->pair.dev.avail_next);
	if (!x->driver_asleep)
		return;
	if (x->config->packed) {
		/* How many came can't be seen, only that one did; the last one ends every wait. */
		if (x->config->callbacks != EXCHANGE_DELAYED || !x->config->event_idx ||
		    (!x->held_count && drv->avail_visible == x->pair.dev.avail_next))
			assert_false(vio_drvq_pending(drv));
		return;
	}
	unseen = (uint16_t)(test_ring_used_idx(&x->pair.ring) - drv->used_next);
	if (x->config->callbacks == EXCHANGE_DELAYED && x->config->event_idx)
		assert_true(unseen <= drv->in_flight * 3 / 4);
	else
		assert_int_equal(unseen, 0);
}

/*
 * Suppression works: nobody is told more often than it asked. spec: DEV-SPLIT-008
 * DEV-SPLIT-012 DRV-SPLIT-021 DRV-SPLIT-025
 */
static void check_counts(const struct exchange *x)
{
	/* An event index that was left behind comes round again after 65536 buffers. */
	unsigned rounds = 1 + x->config->buffers / 65536 + 1;

	assert_true(x->pair.kicks <= x->kick_calls);
	assert_true(x->pair.interrupts <= x->notify_calls);
	if (x->config->packed) /* a position comes round with each second lap */
		rounds = 2 + x->config->buffers * ELEMENTS_MAX / (2u * x->config->size);
	if (x->config->event_idx) {
		assert_true(x->pair.kicks <= x->device_asks + rounds);
		assert_true(x->pair.interrupts <= x->driver_asks + rounds);
	} else if (x->config->callbacks == EXCHANGE_POLL) {
		assert_int_equal(x->pair.interrupts, 0);
	}
}

static void open_exchange(struct exchange *x, const struct exchange_config *config)
{
	const struct test_pair_config pair = {
		.size = config->size,
		.indirect_max = config->indirect ? INDIRECT_MAX : 0,
		.spans_max = 2 * ELEMENTS_MAX,
		.features = TEST_PLAIN | (config->indirect ? TEST_BIT(VIRTIO_F_INDIRECT_DESC) : 0) |
			    (config->event_idx ? TEST_BIT(VIRTIO_F_EVENT_IDX) : 0) |
			    (config->in_order ? TEST_IN_ORDER : 0) | (config->packed ? TEST_PACKED : 0),
		/* An odd number of slabs, so that one lies over the edge between the two regions. */
		.data_bytes = (uint64_t)(config->size | 1u) * SLAB_BYTES,
	};
	unsigned i;

	memset(x, 0, sizeof(*x));
	x->config = config;
	x->seed = config->seed;
	test_pair_open(&x->pair, &pair);
	x->pair.user = x;
	x->pair.kicked = kicked;
	x->pair.interrupted = interrupted;
	x->outs_count = config->size | 1u;
	x->outs = calloc(x->outs_count, sizeof(*x->outs));
	x->held = calloc(config->size + 1u, sizeof(*x->held));
	assert_true(x->outs && x->held);
	for (i = 0; i < x->outs_count; i++) {
		x->outs[i].slab = PAIR_DATA + (uint64_t)i * SLAB_BYTES;
		x->outs[i].next_free = x->free_outs;
		x->free_outs = &x->outs[i];
	}
	if (config->walk_to_start || config->packed)
		test_pair_advance(&x->pair, config->start);
	else
		test_pair_jump(&x->pair, config->start);
	test_pair_start_device(&x->pair);
	x->pair.kicks = 0;
	x->device_asleep = !config->device_polls;
	if (config->device_polls)
		vio_devq_disable_kick(&x->pair.dev);
}

void exchange_run(const struct exchange_config *config)
{
	struct exchange x;
	unsigned idle = 0;

	open_exchange(&x, config);
	while (x.returned < config->buffers) {
		unsigned before = x.returned;

		if (below(&x, 2)) {
			driver_turn(&x);
			check_sleepers(&x);
		}
		if (below(&x, 2)) {
			device_turn(&x);
			check_sleepers(&x);
		}
		idle = x.returned == before ? idle + 1 : 0;
		if (idle > TURNS_MAX + 16 * config->size)
			fail_msg("stuck: %u added, %u back, device holds %u, driver %s, device %s", x.added,
				 x.returned, x.held_count, x.driver_asleep ? "asleep" : "awake",
				 x.device_asleep ? "asleep" : "awake");
	}
	assert_int_equal(x.returned, x.added);
	assert_null(vio_drvq_get(&x.pair.drv, NULL));
	assert_null(vio_drvq_detach_unused(&x.pair.drv));
	assert_int_equal(x.pair.drv.free_count, config->size);
	assert_int_equal(x.pair.dev.in_flight, 0);
	assert_int_equal(x.pair.dev.avail_next, x.pair.drv.avail_next);
	if (!config->packed)
		assert_int_equal(x.pair.dev.avail_next, (uint16_t)(config->start + config->buffers));
	vio_devq_stop(&x.pair.dev);
	check_counts(&x);
	free(x.outs);
	free(x.held);
	test_pair_close(&x.pair);
}
