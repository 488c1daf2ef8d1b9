/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/test.h"

#include "base/atomic.h"
#include "bench.h"
#include "ring/packed.h"

/* What a device can do wrong with the flags of packed descriptors. */

static void flags_become(struct bench *b, uint16_t flags)
{
	vio_store_le16(&b->pair.ring.packed[packed_offset(b->at)].flags, flags);
	assert_null(bench_get(b, NULL));
	assert_false(vio_drvq_pending(&b->pair.drv));
	assert_false(vio_drvq_broken(&b->pair.drv));
}

/* hostile: B24: used by the other wrap counter is not used; neither is one flag alone. */
static void wrong_wrap_counter(struct bench *b)
{
	uint32_t written = 0;
	unsigned id;

	bench_expose(b, 1);
	id = b->ids[0];
	flags_become(b, packed_used_flags(b->at ^ PVIRTQ_WRAP));
	flags_become(b, packed_avail_flags(b->at));
	flags_become(b, packed_avail_flags(b->at ^ PVIRTQ_WRAP));
	bench_use(b, id, 1, 1);
	assert_ptr_equal(bench_get(b, &written), &b->tokens[0]);
	assert_int_equal(written, 1);
	bench_serves(b);
}

/* hostile: B26: completed in the middle of a list, it isn't found where the driver looks. */
static void completes_in_the_middle(struct bench *b)
{
	unsigned count = bench_few(b, 3, 0), size = b->pair.ring.size, id, taken;
	uint32_t written = 0;
	uint16_t first;

	bench_expose_list(b, count);
	taken = size - b->pair.drv.free_count; /* one, if it went into a table */
	id = b->ids[0];
	first = b->at;
	b->at = packed_advance(first, 1, size);
	bench_use(b, id, 1, 1);
	assert_null(bench_get(b, NULL));
	assert_false(vio_drvq_broken(&b->pair.drv));
	b->at = first;
	bench_use(b, id, 4 * (count - 1), taken);
	assert_ptr_equal(bench_get(b, &written), &b->tokens[0]);
	assert_int_equal(written, 4 * (count - 1));
	if (taken > 1) {
		assert_null(bench_get(b, NULL));
		bench_serves(b);
	}
}

/* hostile: B13 B16 B17: at once behind what was shown it finds what isn't in flight. */
static void goes_on_behind_what_is_shown(struct bench *b)
{
	unsigned count = bench_few(b, 2, 1), i, id = 0;

	bench_expose(b, count);
	for (i = 0; i < count; i++) {
		id = b->ids[bench_turn(b, i, count)];
		bench_use(b, id, 0, 1);
	}
	bench_use(b, id, 0, 1);
	for (i = 0; i < count; i++)
		bench_gets(b, bench_turn(b, i, count));
	bench_faults(b, VIO_FAULT_USED_NOT_IN_FLIGHT, id);
}

/* hostile: B28, in order: a batch that skips to what was never added. */
static void batch_too_far(struct bench *b)
{
	unsigned id;

	bench_expose(b, bench_few(b, 3, 1));
	id = packed_offset(b->pair.drv.avail_next); /* the next to be added */
	bench_use(b, id, 0, 1);
	bench_faults(b, VIO_FAULT_USED_NOT_IN_FLIGHT, id);
}

BENCH_PACKED(1, 0, BENCH_ANY, wrong_wrap_counter)
BENCH_PACKED(2, 0, BENCH_ANY, completes_in_the_middle)
BENCH_PACKED(2, 0, BENCH_ANY, goes_on_behind_what_is_shown)
BENCH_PACKED(2, TEST_IN_ORDER, TEST_EVENT | TEST_INDIRECT, batch_too_far)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packed_wrong_wrap_counter),
		cmocka_unit_test(packed_completes_in_the_middle),
		cmocka_unit_test(packed_goes_on_behind_what_is_shown),
		cmocka_unit_test(packed_batch_too_far),
	};

	return cmocka_run_group_tests_name("hostile: a device against a packed driver", tests, NULL, NULL);
}
