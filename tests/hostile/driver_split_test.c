/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/test.h"

#include "bench.h"

/* What a device can do wrong with the index of a used ring. */

static void idx_becomes(struct bench *b, unsigned idx)
{
	test_ring_set_used_idx(&b->pair.ring, idx);
	assert_true(vio_drvq_pending(&b->pair.drv));
	bench_faults(b, VIO_FAULT_USED_IDX, (uint16_t)idx);
}

/* hostile: B13 */
static void idx_jumps(struct bench *b)
{
	unsigned count = bench_few(b, 2, 0);

	bench_expose(b, count);
	idx_becomes(b, b->pair.drv.used_next + count + 1);
}

/* hostile: B13: what wasn't shown can't be used, although it is in flight. */
static void idx_passes_what_is_shown(struct bench *b)
{
	unsigned count = bench_few(b, 2, 1);

	bench_expose(b, count);
	assert_int_equal(test_pair_add(&b->pair, 100, 1, &b->tokens[3]), 0);
	idx_becomes(b, b->pair.drv.used_next + count + 1);
}

/* hostile: B14 */
static void idx_moves_back(struct bench *b)
{
	bench_expose(b, bench_few(b, 2, 0));
	idx_becomes(b, b->pair.drv.used_next - 1u);
}

/* hostile: B15 */
static void idx_moves_by_half(struct bench *b)
{
	bench_expose(b, bench_few(b, 2, 0));
	idx_becomes(b, b->pair.drv.used_next + 0x8000u);
}

/* hostile: B16 B22: what stands in the entry is of an earlier round, or nothing. */
static void idx_without_an_entry(struct bench *b)
{
	unsigned count = bench_few(b, 2, 1), stale;

	bench_expose(b, count);
	stale = bench_other_id(b, count);
	test_ring_used_entry(&b->pair.ring, b->pair.drv.used_next, stale, 0);
	test_ring_set_used_idx(&b->pair.ring, b->pair.drv.used_next + 1u);
	bench_faults(b, VIO_FAULT_USED_NOT_IN_FLIGHT, stale);
}

/* hostile: B27 B28: the id says more than idx; what idx says is behind it isn't there yet. */
static void batch_too_far(struct bench *b)
{
	unsigned count = bench_few(b, 3, 0), last;

	bench_expose(b, count);
	last = b->ids[count - 1];
	bench_use(b, last, 0, 1);
	bench_faults(b, VIO_FAULT_USED_NOT_IN_FLIGHT, last);
}

BENCH_SPLIT(1, 0, BENCH_ANY, idx_jumps)
BENCH_SPLIT(2, 0, BENCH_ANY, idx_passes_what_is_shown)
BENCH_SPLIT(1, 0, BENCH_ANY, idx_moves_back)
BENCH_SPLIT(1, 0, BENCH_ANY, idx_moves_by_half)
BENCH_SPLIT(2, 0, BENCH_ANY, idx_without_an_entry)
BENCH_SPLIT(2, TEST_IN_ORDER, TEST_EVENT | TEST_INDIRECT, batch_too_far)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(split_idx_jumps),
		cmocka_unit_test(split_idx_passes_what_is_shown),
		cmocka_unit_test(split_idx_moves_back),
		cmocka_unit_test(split_idx_moves_by_half),
		cmocka_unit_test(split_idx_without_an_entry),
		cmocka_unit_test(split_batch_too_far),
	};

	return cmocka_run_group_tests_name("hostile: a device against a split driver", tests, NULL, NULL);
}
