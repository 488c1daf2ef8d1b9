/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/test.h"

#include <string.h>

#include "base/atomic.h"
#include "bench.h"
#include "ring/packed.h"

bool bench_packed(const struct bench *b)
{
	return test_pair_packed(&b->pair);
}

bool bench_in_order(const struct bench *b)
{
	return b->pair.features & TEST_IN_ORDER;
}

unsigned bench_few(const struct bench *b, unsigned count, unsigned spare)
{
	unsigned most = b->pair.ring.size - spare;

	return count < most ? count : most;
}

/* The id of the buffer whose last descriptor (packed) or head (split) is `back` before what comes next. */
static unsigned id_behind(const struct bench *b, uint16_t back)
{
	const struct test_ring *ring = &b->pair.ring;
	uint16_t next = b->pair.drv.avail_next;

	if (!bench_packed(b))
		return vio_le16_get(ring->avail->ring[(uint16_t)(next - back) % ring->size]);
	return vio_le16_get(ring->packed[packed_offset(packed_retreat(next, back, ring->size))].id);
}

static void show(struct bench *b, unsigned count)
{
	unsigned i;

	vio_drvq_kick(&b->pair.drv);
	b->at = b->pair.drv.used_next;
	for (i = 0; i < count; i++)
		b->ids[i] = id_behind(b, (uint16_t)(count - i));
}

void bench_expose(struct bench *b, unsigned count)
{
	unsigned i;

	assert_in_range(count, 1, BENCH_TOKENS);
	for (i = 0; i < count; i++)
		assert_int_equal(test_pair_add(&b->pair, 4 * i, 1 + i, &b->tokens[i]), 0);
	show(b, count);
}

void bench_expose_list(struct bench *b, unsigned count)
{
	struct vio_sg sg[3];
	unsigned i;

	assert_in_range(count, 1, 3);
	for (i = 0; i < count; i++)
		sg[i] = (struct vio_sg){ vio_addr_make(PAIR_DATA + 8 * i), 4 };
	assert_int_equal(vio_drvq_add(&b->pair.drv, sg, 1, count - 1, &b->tokens[0]), 0);
	show(b, 1);
}

unsigned bench_other_id(const struct bench *b, unsigned count)
{
	unsigned id, i;

	for (id = 0;; id++) {
		for (i = 0; i < count && b->ids[i] != id; i++)
			continue;
		if (i == count)
			return id;
	}
}

unsigned bench_turn(const struct bench *b, unsigned i, unsigned count)
{
	return bench_in_order(b) ? i : (i + 1) % count;
}

void bench_use(struct bench *b, uint32_t id, uint32_t length, unsigned count)
{
	struct pvirtq_desc *desc;

	if (!bench_packed(b)) {
		test_ring_use(&b->pair.ring, id, length);
		return;
	}
	desc = &b->pair.ring.packed[packed_offset(b->at)];
	desc->id = vio_le16_make((uint16_t)id);
	desc->len = vio_le32_make(length);
	vio_store_release_le16(&desc->flags,
			       (uint16_t)(packed_used_flags(b->at) | (length ? VIRTQ_DESC_F_WRITE : 0u)));
	b->at = packed_advance(b->at, (uint16_t)count, b->pair.ring.size);
}

void *bench_get(struct bench *b, uint32_t *written)
{
	void *token;

	if (b->many)
		return vio_drvq_get_many(&b->pair.drv, &token, written, 1) ? token : NULL;
	return vio_drvq_get(&b->pair.drv, written);
}

void bench_gets(struct bench *b, unsigned i)
{
	assert_ptr_equal(bench_get(b, NULL), &b->tokens[i]);
}

void bench_serves(struct bench *b)
{
	uint32_t written = 0;
	int token;

	assert_int_equal(test_pair_add(&b->pair, 64, 8, &token), 0);
	show(b, 1);
	bench_use(b, b->ids[0], 5, 1);
	assert_ptr_equal(bench_get(b, &written), &token);
	assert_int_equal(written, 5);
	assert_null(bench_get(b, NULL));
	assert_int_equal(b->pair.drv.in_flight, 0);
}

/* Whatever is tried with a broken queue. */
static void expect_nothing(struct bench *b)
{
	struct vio_drvq *q = &b->pair.drv;
	unsigned kicks = b->pair.kicks;
	void *many[4];
	int other;

	assert_null(vio_drvq_get(q, NULL));
	assert_int_equal(vio_drvq_get_many(q, many, NULL, 4), 0);
	assert_null(vio_drvq_poll(q, NULL, 3));
	assert_false(vio_drvq_pending(q));
	assert_int_equal(test_pair_add(&b->pair, 0, 1, &other), -VIO_EPEER);
	vio_drvq_kick(q);
	assert_int_equal(b->pair.kicks, kicks);
}

static void take_all_back(struct vio_drvq *q)
{
	uint16_t in_flight = q->in_flight, back = 0;
	void *token, *last = NULL;

	while ((token = vio_drvq_detach_unused(q)) != NULL) {
		assert_ptr_not_equal(token, last);
		last = token;
		back++;
	}
	assert_int_equal(back, in_flight);
	assert_int_equal(q->free_count, q->size);
}

void bench_faults(struct bench *b, enum vio_fault_kind kind, uint64_t value)
{
	struct vio_drvq *q = &b->pair.drv;
	uint16_t free_count = q->free_count, in_flight = q->in_flight, next = q->used_next;
	size_t bytes = vio_drvq_ring_bytes(q->size);
	uint64_t hash = test_memory_hash(&b->pair.memory, PAIR_RING, bytes);
	uint32_t written = 77, place = bench_packed(b) ? packed_offset(next) : next % q->size;

	assert_false(vio_drvq_broken(q));
	assert_null(bench_get(b, &written));
	assert_true(vio_drvq_broken(q));
	assert_string_equal(vio_fault_name(q->fault.kind), vio_fault_name(kind));
	assert_int_equal(q->fault.queue, 5);
	assert_int_equal(q->fault.index, kind == VIO_FAULT_USED_IDX ? 0 : place);
	assert_int_equal(q->fault.value, value);
	assert_int_equal(written, 77);
	assert_int_equal(q->free_count, free_count);
	assert_int_equal(q->in_flight, in_flight);

	expect_nothing(b);
	assert_int_equal(test_memory_hash(&b->pair.memory, PAIR_RING, bytes), hash);
	take_all_back(q);
	test_pair_restart_driver(&b->pair);
	bench_serves(b);
}

void bench_faults_on_one_more(struct bench *b, unsigned id)
{
	uint16_t idx = (uint16_t)(b->pair.drv.used_next + 1);

	bench_use(b, id, 0, 1);
	if (bench_packed(b))
		bench_faults(b, VIO_FAULT_USED_NOT_IN_FLIGHT, id);
	else
		bench_faults(b, VIO_FAULT_USED_IDX, idx);
}

static void run(uint16_t size, uint64_t features, unsigned start, bool many, void (*body)(struct bench *b))
{
	struct test_pair_config config = { .size = size, .features = features };
	struct bench b;

	if (features & TEST_BIT(VIRTIO_F_INDIRECT_DESC))
		config.indirect_max = BENCH_INDIRECT_MAX;
	memset(&b, 0, sizeof(b));
	test_pair_open(&b.pair, &config);
	b.many = many;
	if (test_pair_packed(&b.pair))
		test_pair_advance(&b.pair, (uint16_t)start);
	else
		test_pair_jump(&b.pair, (uint16_t)start);
	body(&b);
	test_pair_close(&b.pair);
}

static void each_of(uint16_t size, uint64_t features, void (*body)(struct bench *b))
{
	const unsigned split_starts[] = { 0, 65534 }, packed_starts[] = { 0, size - 1u, size + 2u };
	const bool packed = features & TEST_PACKED;
	unsigned starts = packed ? VIO_ARRAY_SIZE(packed_starts) : VIO_ARRAY_SIZE(split_starts), i;

	/* Big rings take long to look over; one index will do. */
	if (size > 256)
		starts = 1;
	for (i = 0; i < 2 * starts; i++)
		run(size, features, packed ? packed_starts[i / 2] : split_starts[i / 2], i & 1, body);
}

void bench_each(uint16_t least, uint64_t always, uint64_t varied, void (*body)(struct bench *b))
{
	static const uint16_t split_sizes[] = { 1, 2, 4, 8, 256, 1024, 32768 };
	static const uint16_t packed_sizes[] = { 1, 2, 3, 4, 7, 8, 256, 1024, 32768 };
	const bool packed = always & TEST_PACKED;
	unsigned count = packed ? VIO_ARRAY_SIZE(packed_sizes) : VIO_ARRAY_SIZE(split_sizes), i;
	uint64_t set;

	varied &= ~(always | TEST_PLAIN);
	for (i = 0; i < count; i++) {
		uint16_t size = packed ? packed_sizes[i] : split_sizes[i];

		if (size < least)
			continue;
		set = varied;
		do {
			set = (set - 1) & varied;
			each_of(size, TEST_PLAIN | always | set, body);
		} while (set != varied);
	}
}
