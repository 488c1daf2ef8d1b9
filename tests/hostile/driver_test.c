/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/test.h"

#include <string.h>

#include "base/atomic.h"
#include "bench.h"
#include "ring/packed.h"

/* What a device can do wrong whatever the format of the ring is. */

static void refused_id(struct bench *b, unsigned id)
{
	bench_expose(b, bench_few(b, 2, 0));
	bench_use(b, id, 1, 1);
	bench_faults(b, VIO_FAULT_USED_ID, id);
}

/* hostile: B1 B23 */
static void id_is_size(struct bench *b)
{
	refused_id(b, b->pair.ring.size);
}

/* hostile: B2 B23, and in a split ring an id whose low half is good */
static void id_all_ones(struct bench *b)
{
	if (bench_packed(b)) {
		refused_id(b, 0xffff);
		return;
	}
	refused_id(b, UINT32_MAX);
	refused_id(b, 0x10000);
	refused_id(b, 0x80000000);
}

/* hostile: B3 B6 B7 */
static void id_never_exposed(struct bench *b)
{
	unsigned count = bench_few(b, 2, 1), id;

	bench_expose(b, count);
	id = bench_other_id(b, count);
	bench_use(b, id, 1, 1);
	bench_faults(b, VIO_FAULT_USED_NOT_IN_FLIGHT, id);
}

/* hostile: B3, one that was added and not shown yet: the device can only have guessed it. */
static void id_not_shown(struct bench *b)
{
	unsigned count = bench_few(b, 2, 1), id;

	bench_expose(b, count);
	id = bench_in_order(b) && bench_packed(b) ? packed_offset(b->pair.drv.avail_next)
						  : b->pair.drv.free_head;
	assert_int_equal(test_pair_add(&b->pair, 100, 1, &b->tokens[3]), 0);
	bench_use(b, id, 1, 1);
	bench_faults(b, VIO_FAULT_USED_NOT_IN_FLIGHT, id);
}

/* hostile: B4 */
static void id_again(struct bench *b)
{
	unsigned count = bench_few(b, 2, 0), which = bench_turn(b, 0, count), id;

	bench_expose(b, count);
	id = b->ids[which];
	bench_use(b, id, 1, 1);
	bench_gets(b, which);
	if (count == 1) {
		bench_faults_on_one_more(b, id);
		return;
	}
	bench_use(b, id, 1, 1);
	bench_faults(b, VIO_FAULT_USED_NOT_IN_FLIGHT, id);
}

/* hostile: B4 B26, both in one batch */
static void id_twice_at_once(struct bench *b)
{
	unsigned count = bench_few(b, 3, 0), which = bench_turn(b, 0, count), id;

	bench_expose(b, count);
	id = b->ids[which];
	bench_use(b, id, 1, 1);
	bench_use(b, id, 1, 1);
	bench_gets(b, which);
	bench_faults(b, VIO_FAULT_USED_NOT_IN_FLIGHT, id);
}

/* hostile: B5: what names a descriptor behind the first one is no id. */
static void id_in_mid_chain(struct bench *b)
{
	unsigned size = b->pair.ring.size, count = bench_few(b, 3, 0), middle;

	bench_expose_list(b, count);
	middle = (b->ids[0] + 1) % size;
	if (!bench_packed(b) && count > BENCH_INDIRECT_MAX)
		assert_int_equal(vio_le16_get(b->pair.ring.desc[b->ids[0]].next), middle);
	bench_use(b, middle, 1, 1);
	bench_faults(b, VIO_FAULT_USED_NOT_IN_FLIGHT, middle);
}

/* hostile: B10 B11 B12: shorter than hoped for is legal in the ring and told as it is. spec: DRV-SPLIT-017 */
static void shorter_is_told(struct bench *b)
{
	unsigned count = bench_few(b, 3, 0), i, which;
	uint32_t written;

	bench_expose(b, count);
	for (i = 0; i < count; i++) {
		which = bench_turn(b, i, count);
		bench_use(b, b->ids[which], which, 1);
		written = 77;
		assert_ptr_equal(bench_get(b, &written), &b->tokens[which]);
		assert_int_equal(written, which);
	}
	bench_serves(b);
}

/* More than there is to write, by one and by all. */
static void longer_than_the_buffer(struct bench *b)
{
	unsigned count = bench_few(b, 3, 0), which = bench_turn(b, 0, count);

	bench_expose(b, count);
	bench_use(b, b->ids[which], which + 2, 1);
	bench_faults(b, VIO_FAULT_USED_LENGTH, which + 2);
	bench_expose(b, 1);
	bench_use(b, b->ids[0], UINT32_MAX, 1);
	bench_faults(b, VIO_FAULT_USED_LENGTH, UINT32_MAX);
}

/* What is readable doesn't count: nothing may have been written there. */
static void writes_to_a_readable_buffer(struct bench *b)
{
	bench_expose_list(b, 1);
	bench_use(b, b->ids[0], 1, 1);
	bench_faults(b, VIO_FAULT_USED_LENGTH, 1);
}

/* hostile: B13 B16 B17: as many as were shown, and no more, however often it goes on. */
static void keeps_using(struct bench *b)
{
	unsigned count = bench_few(b, 4, 0), i, which = 0, id = 0;

	bench_expose(b, count);
	for (i = 0; i < count; i++) {
		which = bench_turn(b, i, count);
		id = b->ids[which];
		bench_use(b, id, 0, 1);
		bench_gets(b, which);
	}
	bench_faults_on_one_more(b, id);
}

/* Descriptors, rings and tables full of nonsense, in which nothing is used. */
static void spoil(struct bench *b, unsigned round)
{
	struct test_ring *ring = &b->pair.ring;
	unsigned i;

	if (b->pair.drv.indirect_max)
		memset(test_memory_at(&b->pair.memory, PAIR_TABLES), 0xff,
		       vio_drvq_indirect_bytes(ring->size, BENCH_INDIRECT_MAX));
	for (i = 0; i < ring->size && bench_packed(b); i++)
		ring->packed[i] = (struct pvirtq_desc){ vio_le64_make(UINT64_MAX), vio_le32_make(UINT32_MAX),
							vio_le16_make((uint16_t)(ring->size + round)),
							vio_le16_make(packed_avail_flags(b->at) | F_NEXT) };
	for (i = 0; i < ring->size && !bench_packed(b); i++) {
		test_ring_desc(ring, i, UINT64_MAX, UINT32_MAX, 0xffff, round ? i : 0xffff);
		test_ring_entry(ring, i, 0xffff);
	}
	if (!bench_packed(b))
		test_ring_avail_idx(ring, 0xdead);
}

/* hostile: B18 B19 B21: whatever becomes of the shared copy, the private one is used. */
static void rewrites_what_we_wrote(struct bench *b)
{
	unsigned count = bench_few(b, 2, 0), size = b->pair.ring.size, round, i, id;
	uint32_t written;

	for (round = 0; round < 3; round++) {
		bench_expose_list(b, count);
		id = b->ids[0];
		spoil(b, round);
		bench_use(b, id, 4 * (count - 1), b->pair.drv.indirect_max ? 1 : count);
		assert_ptr_equal(bench_get(b, &written), &b->tokens[0]);
		assert_int_equal(written, 4 * (count - 1));
		assert_int_equal(b->pair.drv.free_count, size);
		/* What is behind looks used by the time the wrap counter turns; it was never shown. */
		if (bench_packed(b))
			test_pair_restart_driver(&b->pair);
	}
	/* Every descriptor is still there, and each once. */
	for (i = 0; i < size; i++)
		assert_int_equal(test_pair_add(&b->pair, 0, 1, &b->tokens[0]), 0);
	assert_int_equal(test_pair_add(&b->pair, 0, 1, &b->tokens[0]), -VIO_ENOSPC);
}

/* hostile: B29 B31 B32: a device that never answers: what it holds is taken back after reset. */
static void never_completes(struct bench *b)
{
	unsigned count = bench_few(b, 4, 0), i, id;

	bench_expose(b, count);
	for (i = 0; i < 100; i++) {
		assert_null(bench_get(b, NULL));
		assert_null(vio_drvq_poll(&b->pair.drv, NULL, 3));
		assert_true(vio_drvq_enable_cb(&b->pair.drv));
	}
	for (i = 0; i < count; i++)
		assert_in_range((uintptr_t)vio_drvq_detach_unused(&b->pair.drv), (uintptr_t)b->tokens,
				(uintptr_t)&b->tokens[3]);
	assert_null(vio_drvq_detach_unused(&b->pair.drv));
	/* Late: it stays without effect. */
	id = b->ids[0];
	bench_faults_on_one_more(b, id);
}

/* hostile: B33 B35; spec: DRV-SPLIT-016 */
static void interrupts_for_nothing(struct bench *b)
{
	unsigned i;

	for (i = 0; i < 1000; i++) {
		vio_drvq_disable_cb(&b->pair.drv);
		assert_null(bench_get(b, NULL));
		assert_false(vio_drvq_pending(&b->pair.drv));
		assert_true(vio_drvq_enable_cb(&b->pair.drv));
	}
	assert_false(vio_drvq_broken(&b->pair.drv));
	bench_serves(b);
}

/* hostile: B34: without an interrupt there is still polling. */
static void no_interrupt_ever(struct bench *b)
{
	unsigned count = bench_few(b, 2, 0), which = bench_turn(b, 0, count);

	vio_drvq_disable_cb(&b->pair.drv);
	bench_expose(b, count);
	assert_false(vio_drvq_pending(&b->pair.drv));
	bench_use(b, b->ids[which], 0, 1);
	assert_true(vio_drvq_pending(&b->pair.drv));
	assert_false(vio_drvq_enable_cb(&b->pair.drv));
	assert_ptr_equal(vio_drvq_poll(&b->pair.drv, NULL, 2), &b->tokens[which]);
	assert_false(vio_drvq_pending(&b->pair.drv));
}

/* A device that writes nonsense where it asks for kicks costs kicks, nothing else. */
static void suppression_at_random(struct bench *b)
{
	uint64_t seed = b->pair.ring.size;
	unsigned i;

	for (i = 0; i < 300; i++) {
		uint16_t event = (uint16_t)test_random(&seed), flags = (uint16_t)test_random(&seed);

		if (bench_packed(b)) {
			b->pair.ring.device_event->desc = vio_le16_make(event);
			b->pair.ring.device_event->flags = vio_le16_make(flags);
		} else {
			test_ring_set_avail_event(&b->pair.ring, event);
			test_ring_set_used_flags(&b->pair.ring, flags);
		}
		bench_serves(b);
	}
}

/* In order, one used entry for `count` buffers. */
static void use_batch(struct bench *b, unsigned id, uint32_t length, unsigned count)
{
	if (bench_packed(b)) {
		bench_use(b, id, length, count);
		return;
	}
	test_ring_used_entry(&b->pair.ring, b->pair.drv.used_next, id, length);
	test_ring_set_used_idx(&b->pair.ring, b->pair.drv.used_next + count);
}

/* hostile: B27, one id for all up to it, each with its whole length but the last. Legal, and odd. */
static void batch_by_one(struct bench *b)
{
	unsigned count = bench_few(b, 4, 0), batch = count > 3 ? 3 : count, i;
	uint32_t written = 0;

	bench_expose(b, count);
	use_batch(b, b->ids[batch - 1], 1, batch);
	for (i = 0; i < batch; i++) {
		assert_true(vio_drvq_pending(&b->pair.drv));
		assert_ptr_equal(bench_get(b, &written), &b->tokens[i]);
		assert_int_equal(written, i + 1 < batch ? 1 + i : 1);
	}
	assert_null(bench_get(b, NULL));
	for (; i < count; i++) {
		bench_use(b, b->ids[i], 1 + i, 1);
		assert_ptr_equal(bench_get(b, &written), &b->tokens[i]);
		assert_int_equal(written, 1 + i);
	}
	bench_serves(b);
}

/* hostile: B28, a batch that goes back to what came before. */
static void batch_goes_back(struct bench *b)
{
	unsigned count = bench_few(b, 3, 0), id;

	bench_expose(b, count);
	id = b->ids[0];
	bench_use(b, id, 0, 1);
	bench_gets(b, 0);
	bench_use(b, id, 0, 1);
	bench_faults(b, VIO_FAULT_USED_NOT_IN_FLIGHT, id);
}

#define IN_ORDER_VARIED (TEST_EVENT | TEST_INDIRECT)

BENCH_BOTH(1, 0, BENCH_ANY, id_is_size)
BENCH_BOTH(1, 0, BENCH_ANY, id_all_ones)
BENCH_BOTH(2, 0, BENCH_ANY, id_never_exposed)
BENCH_BOTH(2, 0, BENCH_ANY, id_not_shown)
BENCH_BOTH(1, 0, BENCH_ANY, id_again)
BENCH_BOTH(2, 0, BENCH_ANY, id_twice_at_once)
BENCH_BOTH(2, 0, BENCH_ANY, id_in_mid_chain)
BENCH_BOTH(1, 0, BENCH_ANY, shorter_is_told)
BENCH_BOTH(1, 0, BENCH_ANY, longer_than_the_buffer)
BENCH_BOTH(1, 0, BENCH_ANY, writes_to_a_readable_buffer)
BENCH_BOTH(1, 0, BENCH_ANY, keeps_using)
BENCH_BOTH(1, 0, BENCH_ANY, rewrites_what_we_wrote)
BENCH_BOTH(1, 0, BENCH_ANY, never_completes)
BENCH_BOTH(1, 0, BENCH_ANY, interrupts_for_nothing)
BENCH_BOTH(1, 0, BENCH_ANY, no_interrupt_ever)
BENCH_BOTH(1, 0, BENCH_ANY, suppression_at_random)
BENCH_BOTH(2, TEST_IN_ORDER, IN_ORDER_VARIED, batch_by_one)
BENCH_BOTH(2, TEST_IN_ORDER, IN_ORDER_VARIED, batch_goes_back)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TESTS(id_is_size),
		BENCH_TESTS(id_all_ones),
		BENCH_TESTS(id_never_exposed),
		BENCH_TESTS(id_not_shown),
		BENCH_TESTS(id_again),
		BENCH_TESTS(id_twice_at_once),
		BENCH_TESTS(id_in_mid_chain),
		BENCH_TESTS(shorter_is_told),
		BENCH_TESTS(longer_than_the_buffer),
		BENCH_TESTS(writes_to_a_readable_buffer),
		BENCH_TESTS(keeps_using),
		BENCH_TESTS(rewrites_what_we_wrote),
		BENCH_TESTS(never_completes),
		BENCH_TESTS(interrupts_for_nothing),
		BENCH_TESTS(no_interrupt_ever),
		BENCH_TESTS(suppression_at_random),
		BENCH_TESTS(batch_by_one),
		BENCH_TESTS(batch_goes_back),
	};

	return cmocka_run_group_tests_name("hostile: a device against a driver", tests, NULL, NULL);
}
