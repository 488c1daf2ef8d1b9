/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/test.h"

#include <string.h>

#include "lib/pair.h"

/* A driver's queue against a device that writes what it likes. */

#define TOKENS 4

struct bench {
	struct test_pair pair;
	int tokens[TOKENS]; /* named by their addresses */
};

static void serve_one(struct test_pair *pair)
{
	uint16_t head;
	uint32_t written = 0;
	int token;

	assert_int_equal(test_pair_add(pair, 64, 8, &token), 0);
	vio_drvq_kick(&pair->drv);
	head = vio_le16_get(pair->ring.avail->ring[(uint16_t)(pair->drv.avail_next - 1) % pair->ring.size]);
	test_ring_use(&pair->ring, head, 5);
	assert_ptr_equal(vio_drvq_get(&pair->drv, &written), &token);
	assert_int_equal(written, 5);
	assert_null(vio_drvq_get(&pair->drv, NULL));
}

static void open_pair(struct bench *b, uint16_t size, uint64_t features)
{
	struct test_pair_config config = { .size = size, .features = features };

	memset(b, 0, sizeof(*b));
	test_pair_open(&b->pair, &config);
}

/* Adds `count` buffers of one writable byte and shows them. */
static void expose(struct bench *b, unsigned count)
{
	unsigned i;

	for (i = 0; i < count; i++)
		assert_int_equal(test_pair_add(&b->pair, 4 * i, 1 + i, &b->tokens[i]), 0);
	vio_drvq_kick(&b->pair.drv);
}

/*
 * The next get finds this fault: the caller gets nothing, neither ring memory nor
 * the lists change, nothing comes until the queue is started again, and what was
 * exposed can be taken back, each buffer once.
 */
static void expect_fault(struct bench *b, enum vio_fault_kind kind, uint32_t index, uint64_t value)
{
	struct vio_drvq *q = &b->pair.drv;
	uint16_t free_count = q->free_count, in_flight = q->in_flight, back = 0;
	uint64_t hash = test_memory_hash(&b->pair.memory, PAIR_RING, vio_drvq_ring_bytes(q->size));
	unsigned kicks = b->pair.kicks;
	uint32_t written = 77;
	void *token, *last = NULL;
	int other;

	assert_false(vio_drvq_broken(q));
	assert_null(vio_drvq_get(q, &written));
	assert_true(vio_drvq_broken(q));
	assert_string_equal(vio_fault_name(q->fault.kind), vio_fault_name(kind));
	assert_int_equal(q->fault.queue, 5);
	assert_int_equal(q->fault.index, index);
	assert_int_equal(q->fault.value, value);
	assert_int_equal(written, 77);
	assert_int_equal(q->free_count, free_count);
	assert_int_equal(q->in_flight, in_flight);

	assert_null(vio_drvq_get(q, NULL));
	assert_false(vio_drvq_pending(q));
	assert_int_equal(test_pair_add(&b->pair, 0, 1, &other), -VIO_EPEER);
	vio_drvq_kick(q);
	assert_int_equal(b->pair.kicks, kicks);
	assert_int_equal(test_memory_hash(&b->pair.memory, PAIR_RING, vio_drvq_ring_bytes(q->size)), hash);

	while ((token = vio_drvq_detach_unused(q)) != NULL) {
		assert_ptr_not_equal(token, last);
		last = token;
		back++;
	}
	assert_int_equal(back, in_flight);
	assert_int_equal(q->free_count, q->size);
	test_pair_restart_driver(&b->pair);
	serve_one(&b->pair);
}

static void each(void (*body)(struct bench *b))
{
	static const uint16_t sizes[] = { 4, 8, 256, 1024, 32768 };
	static const uint16_t starts[] = { 0, 65534 };
	struct bench b;
	unsigned i, event, start;

	for (i = 0; i < VIO_ARRAY_SIZE(sizes); i++) {
		for (event = 0; event < 2; event++) {
			for (start = 0; start < VIO_ARRAY_SIZE(starts); start++) {
				open_pair(&b, sizes[i], event ? TEST_EVENT : TEST_PLAIN);
				test_pair_jump(&b.pair, starts[start]);
				body(&b);
				test_pair_close(&b.pair);
			}
		}
	}
}

static unsigned slot_of(const struct bench *b, uint16_t idx)
{
	return idx % b->pair.ring.size;
}

/* The head under which a token of expose() went out: descriptors are handed out from a list. */
static uint16_t head_of(const struct bench *b, unsigned which, unsigned count)
{
	uint16_t idx = (uint16_t)(b->pair.drv.avail_next - count + which);

	return vio_le16_get(b->pair.ring.avail->ring[slot_of(b, idx)]);
}

/* hostile: B1 */
static void id_is_size(struct bench *b)
{
	unsigned slot = slot_of(b, b->pair.drv.used_next);

	expose(b, 2);
	test_ring_use(&b->pair.ring, b->pair.ring.size, 1);
	expect_fault(b, VIO_FAULT_USED_ID, slot, b->pair.ring.size);
}

/* hostile: B2, and an id whose low half is good */
static void id_all_ones(struct bench *b)
{
	unsigned slot = slot_of(b, b->pair.drv.used_next);

	expose(b, 2);
	test_ring_use(&b->pair.ring, UINT32_MAX, 1);
	expect_fault(b, VIO_FAULT_USED_ID, slot, UINT32_MAX);

	expose(b, 2);
	test_ring_use(&b->pair.ring, 0x10000u + head_of(b, 0, 2), 1);
	expect_fault(b, VIO_FAULT_USED_ID, 1, 0x10000u);
}

/* hostile: B3 B7 */
static void id_never_exposed(struct bench *b)
{
	unsigned slot = slot_of(b, b->pair.drv.used_next);
	uint16_t free_one;

	expose(b, 2);
	free_one = b->pair.drv.free_head;
	test_ring_use(&b->pair.ring, free_one, 1);
	expect_fault(b, VIO_FAULT_USED_NOT_IN_FLIGHT, slot, free_one);
}

/* hostile: B3 B6, one that was added and not shown yet: the device can only have guessed it. */
static void id_not_shown(struct bench *b)
{
	unsigned slot = slot_of(b, b->pair.drv.used_next);
	uint16_t hidden;

	expose(b, 2);
	hidden = b->pair.drv.free_head;
	assert_int_equal(test_pair_add(&b->pair, 100, 1, &b->tokens[3]), 0);
	test_ring_use(&b->pair.ring, hidden, 1);
	expect_fault(b, VIO_FAULT_USED_NOT_IN_FLIGHT, slot, hidden);
}

/* hostile: B4 */
static void id_again(struct bench *b)
{
	unsigned slot = slot_of(b, (uint16_t)(b->pair.drv.used_next + 1));
	uint16_t head;

	expose(b, 2);
	head = head_of(b, 1, 2);
	test_ring_use(&b->pair.ring, head, 1);
	assert_ptr_equal(vio_drvq_get(&b->pair.drv, NULL), &b->tokens[1]);
	test_ring_use(&b->pair.ring, head, 1);
	expect_fault(b, VIO_FAULT_USED_NOT_IN_FLIGHT, slot, head);
}

/* hostile: B4, both in one batch */
static void id_twice_at_once(struct bench *b)
{
	unsigned slot = slot_of(b, (uint16_t)(b->pair.drv.used_next + 1));
	uint16_t head;

	expose(b, 3);
	head = head_of(b, 0, 3);
	test_ring_use(&b->pair.ring, head, 1);
	test_ring_use(&b->pair.ring, head, 1);
	assert_ptr_equal(vio_drvq_get(&b->pair.drv, NULL), &b->tokens[0]);
	expect_fault(b, VIO_FAULT_USED_NOT_IN_FLIGHT, slot, head);
}

/* hostile: B5 */
static void id_in_mid_chain(struct bench *b)
{
	struct vio_sg sg[3] = { { vio_addr_make(PAIR_DATA), 4 },
				{ vio_addr_make(PAIR_DATA + 8), 4 },
				{ vio_addr_make(PAIR_DATA + 16), 4 } };
	unsigned slot = slot_of(b, b->pair.drv.used_next);
	uint16_t middle;

	assert_int_equal(vio_drvq_add(&b->pair.drv, sg, 1, 2, &b->tokens[0]), 0);
	vio_drvq_kick(&b->pair.drv);
	middle = vio_le16_get(b->pair.ring.desc[head_of(b, 0, 1)].next);
	test_ring_use(&b->pair.ring, middle, 1);
	expect_fault(b, VIO_FAULT_USED_NOT_IN_FLIGHT, slot, middle);
}

/* hostile: B10 B11 B12: shorter than hoped for is legal in the ring and told as it is. spec: DRV-SPLIT-017 */
static void shorter_is_told(struct bench *b)
{
	uint32_t written = 9;

	expose(b, 3);
	test_ring_use(&b->pair.ring, head_of(b, 2, 3), 0);
	test_ring_use(&b->pair.ring, head_of(b, 1, 3), 1);
	assert_ptr_equal(vio_drvq_get(&b->pair.drv, &written), &b->tokens[2]);
	assert_int_equal(written, 0);
	assert_ptr_equal(vio_drvq_get(&b->pair.drv, &written), &b->tokens[1]);
	assert_int_equal(written, 1);
}

/* More than there is to write, by one and by all. */
static void longer_than_the_buffer(struct bench *b)
{
	unsigned slot = slot_of(b, b->pair.drv.used_next);

	expose(b, 3);
	test_ring_use(&b->pair.ring, head_of(b, 2, 3), 4);
	expect_fault(b, VIO_FAULT_USED_LENGTH, slot, 4);
	expose(b, 1);
	test_ring_use(&b->pair.ring, head_of(b, 0, 1), UINT32_MAX);
	expect_fault(b, VIO_FAULT_USED_LENGTH, 1, UINT32_MAX);
}

/* What is readable doesn't count: nothing may have been written there. */
static void writes_to_a_readable_buffer(struct bench *b)
{
	struct vio_sg sg = { vio_addr_make(PAIR_DATA), 512 };
	unsigned slot = slot_of(b, b->pair.drv.used_next);

	assert_int_equal(vio_drvq_add(&b->pair.drv, &sg, 1, 0, &b->tokens[0]), 0);
	vio_drvq_kick(&b->pair.drv);
	test_ring_use(&b->pair.ring, head_of(b, 0, 1), 1);
	expect_fault(b, VIO_FAULT_USED_LENGTH, slot, 1);
}

/* hostile: B13 */
static void idx_jumps(struct bench *b)
{
	uint16_t idx = (uint16_t)(b->pair.drv.used_next + 3);

	expose(b, 2);
	test_ring_set_used_idx(&b->pair.ring, idx);
	assert_true(vio_drvq_pending(&b->pair.drv));
	expect_fault(b, VIO_FAULT_USED_IDX, 0, idx);
}

/* hostile: B13: what wasn't shown can't be used, although it is in flight. */
static void idx_passes_what_is_shown(struct bench *b)
{
	uint16_t idx = (uint16_t)(b->pair.drv.used_next + 3);

	expose(b, 2);
	assert_int_equal(test_pair_add(&b->pair, 100, 1, &b->tokens[3]), 0);
	test_ring_set_used_idx(&b->pair.ring, idx);
	expect_fault(b, VIO_FAULT_USED_IDX, 0, idx);
}

/* hostile: B14 */
static void idx_moves_back(struct bench *b)
{
	uint16_t idx = (uint16_t)(b->pair.drv.used_next - 1);

	expose(b, 2);
	test_ring_set_used_idx(&b->pair.ring, idx);
	expect_fault(b, VIO_FAULT_USED_IDX, 0, idx);
}

/* hostile: B15 */
static void idx_moves_by_half(struct bench *b)
{
	uint16_t idx = (uint16_t)(b->pair.drv.used_next + 0x8000);

	expose(b, 2);
	test_ring_set_used_idx(&b->pair.ring, idx);
	expect_fault(b, VIO_FAULT_USED_IDX, 0, idx);
}

/* hostile: B16 B22: what stands in the entry is of an earlier round, or nothing. */
static void idx_without_an_entry(struct bench *b)
{
	unsigned slot = slot_of(b, b->pair.drv.used_next), stale;

	expose(b, 2);
	stale = b->pair.drv.free_head;
	test_ring_used_entry(&b->pair.ring, slot, stale, 0);
	test_ring_set_used_idx(&b->pair.ring, b->pair.drv.used_next + 1u);
	expect_fault(b, VIO_FAULT_USED_NOT_IN_FLIGHT, slot, stale);
}

/* hostile: B17: as many as were shown, and no more, however often it advances. */
static void idx_keeps_advancing(struct bench *b)
{
	unsigned got = 0;

	expose(b, 4);
	for (;;) {
		test_ring_use(&b->pair.ring, head_of(b, got, 4), 0);
		if (!vio_drvq_get(&b->pair.drv, NULL))
			break;
		got++;
		assert_true(got <= 4);
		if (got == 4)
			break;
	}
	assert_int_equal(got, 4);
	test_ring_set_used_idx(&b->pair.ring, b->pair.drv.used_next + 1u);
	expect_fault(b, VIO_FAULT_USED_IDX, 0, (uint16_t)(b->pair.drv.used_next + 1));
}

/* hostile: B18 B19: whatever becomes of the shared copy, the private one is used. */
static void rewrites_what_we_wrote(struct bench *b)
{
	struct vio_sg sg[2] = { { vio_addr_make(PAIR_DATA), 4 }, { vio_addr_make(PAIR_DATA + 8), 4 } };
	struct test_ring *ring = &b->pair.ring;
	unsigned i, round;
	uint32_t written;
	uint16_t head;

	for (round = 0; round < 3; round++) {
		assert_int_equal(vio_drvq_add(&b->pair.drv, sg, 1, 1, &b->tokens[round]), 0);
		vio_drvq_kick(&b->pair.drv);
		head = head_of(b, 0, 1);
		for (i = 0; i < ring->size; i++) {
			test_ring_desc(ring, i, UINT64_MAX, UINT32_MAX, 0xffff, round ? i : 0xffff);
			test_ring_entry(ring, i, 0xffff);
		}
		test_ring_avail_idx(ring, 0xdead);
		test_ring_use(ring, head, 4);
		assert_ptr_equal(vio_drvq_get(&b->pair.drv, &written), &b->tokens[round]);
		assert_int_equal(written, 4);
		assert_int_equal(b->pair.drv.free_count, ring->size);
	}
	/* Every descriptor is still there, and each once. */
	for (i = 0; i < ring->size; i++)
		assert_int_equal(test_pair_add(&b->pair, 0, 1, &b->tokens[0]), 0);
	assert_int_equal(test_pair_add(&b->pair, 0, 1, &b->tokens[0]), -VIO_ENOSPC);
}

/* hostile: B29 B31 B32: a device that never answers: what it holds is taken back after reset. */
static void never_completes(struct bench *b)
{
	void *token;
	unsigned i;

	expose(b, 4);
	for (i = 0; i < 100; i++) {
		assert_null(vio_drvq_get(&b->pair.drv, NULL));
		assert_true(vio_drvq_enable_cb(&b->pair.drv));
	}
	for (i = 0; i < 4; i++) {
		token = vio_drvq_detach_unused(&b->pair.drv);
		assert_in_range((uintptr_t)token, (uintptr_t)b->tokens, (uintptr_t)&b->tokens[3]);
	}
	assert_null(vio_drvq_detach_unused(&b->pair.drv));
	/* Late: it stays without effect. */
	test_ring_use(&b->pair.ring, head_of(b, 0, 4), 1);
	expect_fault(b, VIO_FAULT_USED_IDX, 0, (uint16_t)(b->pair.drv.used_next + 1));
}

/* hostile: B33 B35; spec: DRV-SPLIT-016 */
static void interrupts_for_nothing(struct bench *b)
{
	unsigned i;

	for (i = 0; i < 1000; i++) {
		vio_drvq_disable_cb(&b->pair.drv);
		assert_null(vio_drvq_get(&b->pair.drv, NULL));
		assert_false(vio_drvq_pending(&b->pair.drv));
		assert_true(vio_drvq_enable_cb(&b->pair.drv));
	}
	assert_false(vio_drvq_broken(&b->pair.drv));
	serve_one(&b->pair);
}

/* hostile: B34: without an interrupt there is still polling. */
static void no_interrupt_ever(struct bench *b)
{
	vio_drvq_disable_cb(&b->pair.drv);
	expose(b, 2);
	assert_false(vio_drvq_pending(&b->pair.drv));
	test_ring_use(&b->pair.ring, head_of(b, 1, 2), 0);
	assert_true(vio_drvq_pending(&b->pair.drv));
	assert_false(vio_drvq_enable_cb(&b->pair.drv));
	assert_ptr_equal(vio_drvq_get(&b->pair.drv, NULL), &b->tokens[1]);
	assert_false(vio_drvq_pending(&b->pair.drv));
}

/* A device that writes nonsense into its suppression words costs kicks, nothing else. */
static void suppression_at_random(struct bench *b)
{
	uint64_t seed = b->pair.ring.size;
	unsigned i;

	for (i = 0; i < 300; i++) {
		test_ring_set_avail_event(&b->pair.ring, (uint16_t)test_random(&seed));
		test_ring_set_used_flags(&b->pair.ring, (uint16_t)test_random(&seed));
		serve_one(&b->pair);
	}
}

/* hostile: B27 B28, in order: one id for all up to it, each with its whole length but the last. */
static void batch_by_one(struct bench *b)
{
	uint32_t written = 0;
	unsigned i;

	expose(b, 4);
	test_ring_used_entry(&b->pair.ring, b->pair.drv.used_next, head_of(b, 2, 4), 1);
	test_ring_set_used_idx(&b->pair.ring, b->pair.drv.used_next + 3u);
	for (i = 0; i < 3; i++) {
		assert_ptr_equal(vio_drvq_get(&b->pair.drv, &written), &b->tokens[i]);
		assert_int_equal(written, i < 2 ? 1 + i : 1);
	}
	assert_null(vio_drvq_get(&b->pair.drv, NULL));
	test_ring_use(&b->pair.ring, head_of(b, 3, 4), 4);
	assert_ptr_equal(vio_drvq_get(&b->pair.drv, &written), &b->tokens[3]);
	assert_int_equal(written, 4);
	serve_one(&b->pair);
}

/* hostile: B28: the id says more than idx; the other way round, the rest has to follow. */
static void batch_too_far(struct bench *b)
{
	unsigned slot = slot_of(b, b->pair.drv.used_next);
	uint16_t head;

	expose(b, 3);
	head = head_of(b, 2, 3);
	test_ring_use(&b->pair.ring, head, 0);
	expect_fault(b, VIO_FAULT_USED_NOT_IN_FLIGHT, slot, head);

	expose(b, 3);
	slot = slot_of(b, (uint16_t)(b->pair.drv.used_next + 1));
	head = head_of(b, 0, 3);
	test_ring_used_entry(&b->pair.ring, b->pair.drv.used_next, head, 0);
	test_ring_used_entry(&b->pair.ring, slot, head, 0);
	test_ring_set_used_idx(&b->pair.ring, b->pair.drv.used_next + 2u);
	assert_ptr_equal(vio_drvq_get(&b->pair.drv, NULL), &b->tokens[0]);
	expect_fault(b, VIO_FAULT_USED_NOT_IN_FLIGHT, slot, head);
}

#define ON_EACH(body)                         \
	static void test_##body(void **state) \
	{                                     \
		each(body);                   \
	}

ON_EACH(id_is_size)
ON_EACH(id_all_ones)
ON_EACH(id_never_exposed)
ON_EACH(id_not_shown)
ON_EACH(id_again)
ON_EACH(id_twice_at_once)
ON_EACH(id_in_mid_chain)
ON_EACH(shorter_is_told)
ON_EACH(longer_than_the_buffer)
ON_EACH(writes_to_a_readable_buffer)
ON_EACH(idx_jumps)
ON_EACH(idx_passes_what_is_shown)
ON_EACH(idx_moves_back)
ON_EACH(idx_moves_by_half)
ON_EACH(idx_without_an_entry)
ON_EACH(idx_keeps_advancing)
ON_EACH(rewrites_what_we_wrote)
ON_EACH(never_completes)
ON_EACH(interrupts_for_nothing)
ON_EACH(no_interrupt_ever)
ON_EACH(suppression_at_random)

static void in_order(void (*body)(struct bench *b))
{
	static const uint16_t sizes[] = { 4, 8, 256, 32768 };
	struct bench b;
	unsigned i;

	for (i = 0; i < VIO_ARRAY_SIZE(sizes); i++) {
		open_pair(&b, sizes[i], (i & 1 ? TEST_EVENT : TEST_PLAIN) | TEST_IN_ORDER);
		test_pair_jump(&b.pair, 65534);
		body(&b);
		test_pair_close(&b.pair);
	}
}

static void test_batch_by_one(void **state)
{
	in_order(batch_by_one);
}

static void test_batch_too_far(void **state)
{
	in_order(batch_too_far);
}

/* hostile: B21 */
static void test_rewrites_indirect_tables(void **state)
{
	struct test_pair_config config = { .size = 8, .features = TEST_INDIRECT, .indirect_max = 4 };
	struct vio_sg sg[4];
	struct test_pair pair;
	unsigned i, round;
	uint32_t written;
	int token;

	test_pair_open(&pair, &config);
	for (i = 0; i < 4; i++)
		sg[i] = (struct vio_sg){ vio_addr_make(PAIR_DATA + 16 * i), 10 };
	for (round = 0; round < 20; round++) {
		uint16_t head;

		assert_int_equal(vio_drvq_add(&pair.drv, sg, 2, 2, &token), 0);
		vio_drvq_kick(&pair.drv);
		head = vio_le16_get(pair.ring.avail->ring[round % 8]);
		memset(test_memory_at(&pair.memory, PAIR_TABLES), 0xff, vio_drvq_indirect_bytes(8, 4));
		test_ring_desc(&pair.ring, head, 0, 0, F_NEXT, head);
		test_ring_use(&pair.ring, head, 20);
		assert_ptr_equal(vio_drvq_get(&pair.drv, &written), &token);
		assert_int_equal(written, 20);
		assert_int_equal(pair.drv.free_count, 8);
	}
	test_pair_close(&pair);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_id_is_size),
		cmocka_unit_test(test_id_all_ones),
		cmocka_unit_test(test_id_never_exposed),
		cmocka_unit_test(test_id_not_shown),
		cmocka_unit_test(test_id_again),
		cmocka_unit_test(test_id_twice_at_once),
		cmocka_unit_test(test_id_in_mid_chain),
		cmocka_unit_test(test_shorter_is_told),
		cmocka_unit_test(test_longer_than_the_buffer),
		cmocka_unit_test(test_writes_to_a_readable_buffer),
		cmocka_unit_test(test_idx_jumps),
		cmocka_unit_test(test_idx_passes_what_is_shown),
		cmocka_unit_test(test_idx_moves_back),
		cmocka_unit_test(test_idx_moves_by_half),
		cmocka_unit_test(test_idx_without_an_entry),
		cmocka_unit_test(test_idx_keeps_advancing),
		cmocka_unit_test(test_rewrites_what_we_wrote),
		cmocka_unit_test(test_never_completes),
		cmocka_unit_test(test_interrupts_for_nothing),
		cmocka_unit_test(test_no_interrupt_ever),
		cmocka_unit_test(test_suppression_at_random),
		cmocka_unit_test(test_batch_by_one),
		cmocka_unit_test(test_batch_too_far),
		cmocka_unit_test(test_rewrites_indirect_tables),
	};

	return cmocka_run_group_tests_name("hostile: a device against a driver", tests, NULL, NULL);
}
