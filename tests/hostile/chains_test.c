/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/test.h"

#include <string.h>

#include "lib/world.h"

/* Descriptor chains as no driver should make them, and some as it may although few do. */

static void offer_single(struct test_world *w, uint64_t addr, uint32_t len, unsigned flags)
{
	test_ring_desc(&w->ring, 0, addr, len, flags, 0);
	test_ring_offer(&w->ring, 0);
}

/* hostile: A1 */
static void next_is_itself(struct test_world *w)
{
	test_ring_desc(&w->ring, 0, WORLD_LOW, 1, F_NEXT, 0);
	test_ring_offer(&w->ring, 0);
	test_world_faults(w, VIO_FAULT_CHAIN_LOOP, 0, w->ring.size);
}

/* hostile: A2 */
static void two_entry_cycle(struct test_world *w)
{
	test_ring_desc(&w->ring, 0, WORLD_LOW, 1, F_NEXT | F_WRITE, 1);
	test_ring_desc(&w->ring, 1, WORLD_LOW, 1, F_NEXT | F_WRITE, 0);
	test_ring_offer(&w->ring, 1);
	test_world_faults(w, VIO_FAULT_CHAIN_LOOP, 1, w->ring.size);
}

/* hostile: A4 */
static void next_is_size(struct test_world *w)
{
	test_ring_desc(&w->ring, w->ring.size - 1u, WORLD_LOW, 1, F_NEXT, w->ring.size);
	test_ring_offer(&w->ring, w->ring.size - 1u);
	test_world_faults(w, VIO_FAULT_NEXT_RANGE, w->ring.size - 1u, w->ring.size);
}

/* hostile: A5 */
static void next_is_all_ones(struct test_world *w)
{
	test_ring_desc(&w->ring, 0, WORLD_LOW, 1, F_NEXT, 0xffff);
	test_ring_offer(&w->ring, 0);
	test_world_faults(w, VIO_FAULT_NEXT_RANGE, 0, 0xffff);
}

/* hostile: A6 */
static void head_is_size(struct test_world *w)
{
	unsigned slot = w->ring.avail_idx % w->ring.size;

	test_ring_offer(&w->ring, w->ring.size);
	test_world_faults(w, VIO_FAULT_HEAD_RANGE, slot, w->ring.size);
}

/* hostile: A7 */
static void head_is_all_ones(struct test_world *w)
{
	unsigned slot = w->ring.avail_idx % w->ring.size;

	test_ring_offer(&w->ring, 0xffff);
	test_world_faults(w, VIO_FAULT_HEAD_RANGE, slot, 0xffff);
}

/* hostile: A9, the whole table and then back into it. spec: DRV-SPLIT-010 */
static void chain_of_size_plus_one(struct test_world *w)
{
	unsigned i;

	for (i = 0; i < w->ring.size; i++)
		test_ring_desc(&w->ring, i, WORLD_LOW, 1, F_NEXT, (i + 1u) % w->ring.size);
	test_ring_offer(&w->ring, 0);
	test_world_faults(w, VIO_FAULT_CHAIN_LOOP, 0, w->ring.size);
}

/* The longest legal chain; the ends are there although there are more spans than the queue keeps. */
static void chain_of_size(struct test_world *w)
{
	unsigned size = w->ring.size, i;
	struct vio_buf buf;

	for (i = 0; i < size; i++)
		test_ring_desc(&w->ring, i, WORLD_LOW + i, 1, F_WRITE | (i + 1 < size ? F_NEXT : 0), i + 1);
	test_ring_offer(&w->ring, 0);
	buf = test_world_pops(w);
	assert_int_equal(buf.writable_bytes, size);
	assert_int_equal(buf.truncated, size > WORLD_SPANS); /* hostile: A33 */
	assert_int_equal(buf.writable_count, size > WORLD_SPANS ? WORLD_SPANS : size);
	assert_ptr_equal(buf.writable[buf.writable_count - 1].host,
			 test_memory_at(&w->memory, WORLD_LOW + size - 1));
	vio_devq_push(&w->q, &buf, 0);
	vio_devq_notify(&w->q);
	assert_int_equal(test_ring_used_len(&w->ring, (uint16_t)(test_ring_used_idx(&w->ring) - 1)), 0);
}

/* hostile: A10, and it takes no span. */
static void no_bytes_in_the_middle(struct test_world *w)
{
	struct vio_buf buf;
	char text[8];

	test_memory_put(&w->memory, WORLD_LOW, "abcd", 4);
	test_ring_desc(&w->ring, 0, WORLD_LOW, 2, F_NEXT, 1);
	test_ring_desc(&w->ring, 1, WORLD_HOLE, 0, F_NEXT, 2);
	test_ring_desc(&w->ring, 2, WORLD_LOW + 2, 2, 0, 0);
	test_ring_offer(&w->ring, 0);
	buf = test_world_pops(w);
	assert_int_equal(buf.readable_count, 2);
	assert_int_equal(vio_read(&buf, text, sizeof(text)), 4);
	assert_memory_equal(text, "abcd", 4);
	vio_devq_push(&w->q, &buf, 0);
	vio_devq_notify(&w->q);
}

/* hostile: A11 A12 A29, a buffer of nothing comes and goes. */
static void no_bytes_at_all(struct test_world *w)
{
	struct vio_buf buf;
	uint16_t used = test_ring_used_idx(&w->ring);
	char byte = 0;

	test_ring_desc(&w->ring, 0, 0, 0, w->ring.size > 1 ? F_NEXT : 0, 1);
	if (w->ring.size > 1)
		test_ring_desc(&w->ring, 1, 0, 0, F_WRITE, 0);
	test_ring_offer(&w->ring, 0);
	buf = test_world_pops(w);
	assert_int_equal(buf.readable_count + buf.writable_count, 0);
	assert_int_equal(vio_read(&buf, &byte, 1), 0);
	assert_int_equal(vio_write(&buf, &byte, 1), 0);
	assert_int_equal(vio_skip(&buf, 1), 0);
	assert_null(vio_buf_take_last(&buf));
	vio_devq_push(&w->q, &buf, 1); /* hostile: A133 */
	vio_devq_notify(&w->q);
	assert_int_equal(test_ring_used_idx(&w->ring), (uint16_t)(used + 1));
	assert_int_equal(test_ring_used_len(&w->ring, used), 0);
}

/* hostile: A13 */
static void length_all_ones(struct test_world *w)
{
	offer_single(w, WORLD_LOW, UINT32_MAX, 0);
	test_world_faults(w, VIO_FAULT_BUFFER_MEMORY, test_ring_place(&w->ring, 0), WORLD_LOW);
}

/* hostile: A15 */
static void end_wraps(struct test_world *w)
{
	offer_single(w, WORLD_TOP + 8, UINT32_MAX, F_WRITE);
	test_world_faults(w, VIO_FAULT_BUFFER_MEMORY, test_ring_place(&w->ring, 0), WORLD_TOP + 8);
}

/* hostile: A16 */
static void last_byte_of_all(struct test_world *w)
{
	offer_single(w, UINT64_MAX, 1, F_WRITE);
	test_world_faults(w, VIO_FAULT_BUFFER_MEMORY, test_ring_place(&w->ring, 0), UINT64_MAX);
}

/* hostile: A17 */
static void ends_with_its_region(struct test_world *w)
{
	static const uint64_t ends[] = { WORLD_FAR + WORLD_DATA_BYTES, WORLD_TOP + WORLD_TOP_BYTES,
					 WORLD_HOLE };
	struct vio_buf buf;
	unsigned i;

	for (i = 0; i < VIO_ARRAY_SIZE(ends); i++) {
		offer_single(w, ends[i] - 3, 3, F_WRITE);
		buf = test_world_pops(w);
		assert_int_equal(vio_write(&buf, "123456", 6), 3);
		assert_memory_equal(test_memory_at(&w->memory, ends[i] - 3), "123", 3);
		vio_devq_push(&w->q, &buf, 3);
		vio_devq_notify(&w->q);
	}
}

/* hostile: A18, one too many; A109, one too few in the region is the same. */
static void one_past_its_region(struct test_world *w)
{
	offer_single(w, WORLD_FAR + WORLD_DATA_BYTES - 3, 4, F_WRITE);
	test_world_faults(w, VIO_FAULT_BUFFER_MEMORY, test_ring_place(&w->ring, 0),
			  WORLD_FAR + WORLD_DATA_BYTES - 3);
}

/* hostile: A18 at 2^64 - 1 */
static void one_past_the_top(struct test_world *w)
{
	offer_single(w, WORLD_TOP + WORLD_TOP_BYTES - 1, 2, F_WRITE);
	test_world_faults(w, VIO_FAULT_BUFFER_MEMORY, test_ring_place(&w->ring, 0),
			  WORLD_TOP + WORLD_TOP_BYTES - 1);
}

/* hostile: A19 A24: a device's registers are no memory. */
static void begins_in_a_hole(struct test_world *w)
{
	offer_single(w, WORLD_HOLE, 1, 0);
	test_world_faults(w, VIO_FAULT_BUFFER_MEMORY, test_ring_place(&w->ring, 0), WORLD_HOLE);
}

/* hostile: A20 */
static void spans_two_regions(struct test_world *w)
{
	struct vio_buf buf;
	char text[9] = "";

	test_memory_put(&w->memory, WORLD_HIGH - 4, "lowHigh!", 8);
	offer_single(w, WORLD_HIGH - 4, 8, 0);
	buf = test_world_pops(w);
	assert_int_equal(buf.readable_count, 2);
	assert_int_equal(buf.readable_bytes, 8);
	assert_int_equal(vio_read(&buf, text, 8), 8);
	assert_string_equal(text, "lowHigh!");
	vio_devq_push(&w->q, &buf, 0);
	vio_devq_notify(&w->q);

	offer_single(w, WORLD_LOW, 2 * WORLD_DATA_BYTES, F_WRITE);
	buf = test_world_pops(w);
	assert_int_equal(buf.writable_count, 2);
	assert_int_equal(buf.writable_bytes, 2 * WORLD_DATA_BYTES);
	assert_ptr_equal(vio_buf_take_last(&buf), test_memory_at(&w->memory, WORLD_HOLE - 1));
	vio_devq_push(&w->q, &buf, 0);
	vio_devq_notify(&w->q);
}

/* hostile: A21 */
static void spans_a_hole(struct test_world *w)
{
	offer_single(w, WORLD_HIGH, 3 * WORLD_DATA_BYTES, F_WRITE);
	test_world_faults(w, VIO_FAULT_BUFFER_MEMORY, test_ring_place(&w->ring, 0), WORLD_HIGH);
}

/* hostile: A23, whose writes go where the driver asked for, and nowhere else. */
static void lies_in_a_ring(struct test_world *w)
{
	uint64_t addr = w->other_ring.descriptor_area;
	struct vio_buf buf;

	offer_single(w, addr, 16, F_WRITE);
	buf = test_world_pops(w);
	assert_int_equal(vio_write(&buf, "0123456789abcdef0", 17), 16);
	assert_memory_equal(test_memory_at(&w->memory, addr), "0123456789abcdef", 16);
	vio_devq_push(&w->q, &buf, 16);
	vio_devq_notify(&w->q);

	/* Its own descriptors, while it is in flight: what was judged is a copy. */
	offer_single(w, w->ring.descriptor_area, 16, F_WRITE);
	buf = test_world_pops(w);
	assert_int_equal(vio_write(&buf, "0123456789abcdef", 16), 16);
	vio_devq_push(&w->q, &buf, 16);
	vio_devq_notify(&w->q);
	assert_int_equal(test_ring_used_id(&w->ring, (uint16_t)(test_ring_used_idx(&w->ring) - 1)), 0);
	test_world_serves(w);
}

/* hostile: A25; spec: DRV-SPLIT-004 */
static void readable_after_writable(struct test_world *w)
{
	test_ring_desc(&w->ring, 0, WORLD_LOW, 1, F_WRITE | F_NEXT, 1);
	test_ring_desc(&w->ring, 1, WORLD_LOW, 1, 0, 0);
	test_ring_offer(&w->ring, 0);
	test_world_faults(w, VIO_FAULT_READ_AFTER_WRITE, test_ring_place(&w->ring, 1), 0);
}

/* hostile: A25 with a reserved flag, which the fault has to show as it stood */
static void readable_in_between(struct test_world *w)
{
	test_ring_desc(&w->ring, 2, WORLD_LOW, 1, F_WRITE | F_NEXT, 1);
	test_ring_desc(&w->ring, 1, WORLD_LOW, 1, F_NEXT | 0x100, 0);
	test_ring_desc(&w->ring, 0, WORLD_LOW, 1, F_WRITE, 0);
	test_ring_offer(&w->ring, 2);
	test_world_faults(w, VIO_FAULT_READ_AFTER_WRITE, test_ring_place(&w->ring, 1), F_NEXT | 0x100);
}

/* hostile: A26 A27, as far as the queue sees them: what the driver may only read isn't written. */
static void writable_in_read_only_memory(struct test_world *w)
{
	offer_single(w, WORLD_ROM, 1, F_WRITE);
	test_world_faults(w, VIO_FAULT_BUFFER_MEMORY, test_ring_place(&w->ring, 0), WORLD_ROM);
}

/* hostile: A26 A28, nothing to write; spec: DEV-SPLIT-002 */
static void nothing_is_writable(struct test_world *w)
{
	uint16_t used = test_ring_used_idx(&w->ring);
	struct vio_buf buf;

	test_memory_put(&w->memory, WORLD_LOW, "keep", 4);
	offer_single(w, WORLD_LOW, 4, 0);
	buf = test_world_pops(w);
	assert_int_equal(vio_write(&buf, "xxxx", 4), 0);
	assert_null(vio_buf_take_last(&buf));
	vio_devq_push(&w->q, &buf, 4);
	vio_devq_notify(&w->q);
	assert_int_equal(test_ring_used_len(&w->ring, used), 0);
	assert_memory_equal(test_memory_at(&w->memory, WORLD_LOW), "keep", 4);
}

/* hostile: A27; spec: DEV-SPLIT-003 DEV-PACKED-003 */
static void nothing_is_readable(struct test_world *w)
{
	struct vio_buf buf;
	char text[4] = "none";

	test_memory_put(&w->memory, WORLD_LOW, "gone", 4);
	offer_single(w, WORLD_LOW, 4, F_WRITE);
	buf = test_world_pops(w);
	assert_int_equal(vio_read(&buf, text, 4), 0);
	assert_memory_equal(text, "none", 4);
	vio_devq_push(&w->q, &buf, 0);
	vio_devq_notify(&w->q);
}

/* Read-only memory is good to read. */
static void readable_in_read_only_memory(struct test_world *w)
{
	struct vio_buf buf;

	offer_single(w, WORLD_ROM, WORLD_ROM_BYTES, 0);
	buf = test_world_pops(w);
	assert_int_equal(buf.readable_bytes, WORLD_ROM_BYTES);
	assert_int_equal(vio_skip(&buf, WORLD_ROM_BYTES + 1), WORLD_ROM_BYTES);
	vio_devq_push(&w->q, &buf, 0);
	vio_devq_notify(&w->q);
}

/* hostile: A30; spec: DEV-SPLIT-001 */
static void single_bytes(struct test_world *w)
{
	struct vio_buf buf;
	char text[7] = "";
	unsigned i;

	for (i = 0; i < 6; i++) {
		test_memory_put(&w->memory, WORLD_FAR + 1000 - 100 * i, &"header"[i], 1);
		test_ring_desc(&w->ring, i, WORLD_FAR + 1000 - 100 * i, 1, F_NEXT, i + 1);
	}
	test_ring_desc(&w->ring, 6, WORLD_LOW, 1, F_WRITE, 0);
	test_ring_offer(&w->ring, 0);
	buf = test_world_pops(w);
	assert_int_equal(vio_read(&buf, text, 10), 6);
	assert_string_equal(text, "header");
	assert_int_equal(buf.writable_bytes, 1);
	vio_devq_push(&w->q, &buf, 1);
	vio_devq_notify(&w->q);
}

/* hostile: A32 */
static void reserved_flags(struct test_world *w)
{
	struct vio_buf buf;

	offer_single(w, WORLD_LOW, 4, 0xfff8 | F_WRITE);
	buf = test_world_pops(w);
	assert_int_equal(buf.writable_bytes, 4);
	vio_devq_push(&w->q, &buf, 4);
	vio_devq_notify(&w->q);
}

WORLD_SPLIT(1, WORLD_ANY, next_is_itself)
WORLD_SPLIT(2, WORLD_ANY, two_entry_cycle)
WORLD_SPLIT(1, WORLD_ANY, next_is_size)
WORLD_SPLIT(1, WORLD_ANY, next_is_all_ones)
WORLD_SPLIT(1, WORLD_ANY, head_is_size)
WORLD_SPLIT(1, WORLD_ANY, head_is_all_ones)
WORLD_SPLIT(1, WORLD_ANY, chain_of_size_plus_one)
WORLD_BOTH(1, WORLD_ANY, chain_of_size)
WORLD_BOTH(3, WORLD_ANY, no_bytes_in_the_middle)
WORLD_BOTH(1, WORLD_ANY, no_bytes_at_all)
WORLD_BOTH(1, WORLD_ANY, length_all_ones)
WORLD_BOTH(1, WORLD_ANY, end_wraps)
WORLD_BOTH(1, WORLD_ANY, last_byte_of_all)
WORLD_BOTH(1, WORLD_ANY, ends_with_its_region)
WORLD_BOTH(1, WORLD_ANY, one_past_its_region)
WORLD_BOTH(1, WORLD_ANY, one_past_the_top)
WORLD_BOTH(1, WORLD_ANY, begins_in_a_hole)
WORLD_BOTH(1, WORLD_ANY, spans_two_regions)
WORLD_BOTH(1, WORLD_ANY, spans_a_hole)
WORLD_BOTH(1, WORLD_ANY, lies_in_a_ring)
WORLD_BOTH(2, WORLD_ANY, readable_after_writable)
WORLD_BOTH(3, WORLD_ANY, readable_in_between)
WORLD_BOTH(1, WORLD_ANY, writable_in_read_only_memory)
WORLD_BOTH(1, WORLD_ANY, nothing_is_writable)
WORLD_BOTH(1, WORLD_ANY, nothing_is_readable)
WORLD_BOTH(1, WORLD_ANY, readable_in_read_only_memory)
WORLD_BOTH(7, WORLD_ANY, single_bytes)
WORLD_BOTH(1, WORLD_ANY, reserved_flags)

/* hostile: A14; the sum counts what is said, whether it is there or not. */
static void chain_beyond_four_gib(uint64_t features)
{
	static const uint64_t big = UINT64_C(0x1000000000);
	struct test_world w;
	struct vio_buf buf;

	test_world_open(&w, 8, 0, features);
	test_memory_add(&w.memory, big, UINT64_C(1) << 31, TEST_RW);
	test_ring_desc(&w.ring, 0, big, 1u << 31, F_WRITE | F_NEXT, 1);
	test_ring_desc(&w.ring, 1, big, 1u << 31, F_WRITE, 2);
	test_ring_offer(&w.ring, 0);
	buf = test_world_pops(&w); /* 2^32 bytes are legal; len can say no more than 2^32 - 1 */
	assert_int_equal(buf.writable_bytes, UINT64_C(1) << 32);
	vio_devq_push(&w.q, &buf, UINT32_MAX);
	vio_devq_notify(&w.q);
	assert_int_equal(test_ring_used_len(&w.ring, 0), UINT32_MAX);

	test_ring_desc(&w.ring, 1, big, 1u << 31, F_WRITE | F_NEXT, 2);
	test_ring_desc(&w.ring, 2, WORLD_LOW, 1, F_WRITE, 0);
	test_ring_offer(&w.ring, 0);
	test_world_faults(&w, VIO_FAULT_CHAIN_LENGTH, test_ring_place(&w.ring, 2), (UINT64_C(1) << 32) + 1);
	test_world_close(&w);
}

/* hostile: A133, a device that boasts */
static void written_is_cut(uint64_t features)
{
	struct test_world w;
	struct vio_buf buf;

	test_world_open(&w, 2, 0, features);
	test_ring_desc(&w.ring, 0, WORLD_LOW, 5, F_WRITE, 0);
	test_ring_offer(&w.ring, 0);
	buf = test_world_pops(&w);
	assert_int_equal(vio_write(&buf, "abc", 3), 3);
	vio_devq_push(&w.q, &buf, UINT32_MAX);
	vio_devq_notify(&w.q);
	assert_int_equal(test_ring_used_len(&w.ring, 0), 5);
	test_world_close(&w);
}

static void test_chain_beyond_four_gib(void **state)
{
	chain_beyond_four_gib(TEST_PLAIN);
	chain_beyond_four_gib(TEST_PLAIN | TEST_PACKED);
}

static void test_written_is_cut(void **state)
{
	written_is_cut(TEST_PLAIN);
	written_is_cut(TEST_PLAIN | TEST_PACKED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(split_next_is_itself),
		cmocka_unit_test(split_two_entry_cycle),
		cmocka_unit_test(split_next_is_size),
		cmocka_unit_test(split_next_is_all_ones),
		cmocka_unit_test(split_head_is_size),
		cmocka_unit_test(split_head_is_all_ones),
		cmocka_unit_test(split_chain_of_size_plus_one),
		WORLD_TESTS(chain_of_size),
		WORLD_TESTS(no_bytes_in_the_middle),
		WORLD_TESTS(no_bytes_at_all),
		WORLD_TESTS(length_all_ones),
		WORLD_TESTS(end_wraps),
		WORLD_TESTS(last_byte_of_all),
		WORLD_TESTS(ends_with_its_region),
		WORLD_TESTS(one_past_its_region),
		WORLD_TESTS(one_past_the_top),
		WORLD_TESTS(begins_in_a_hole),
		WORLD_TESTS(spans_two_regions),
		WORLD_TESTS(spans_a_hole),
		WORLD_TESTS(lies_in_a_ring),
		WORLD_TESTS(readable_after_writable),
		WORLD_TESTS(readable_in_between),
		WORLD_TESTS(writable_in_read_only_memory),
		WORLD_TESTS(nothing_is_writable),
		WORLD_TESTS(nothing_is_readable),
		WORLD_TESTS(readable_in_read_only_memory),
		WORLD_TESTS(single_bytes),
		WORLD_TESTS(reserved_flags),
		cmocka_unit_test(test_chain_beyond_four_gib),
		cmocka_unit_test(test_written_is_cut),
	};

	return cmocka_run_group_tests_name("hostile: chains", tests, NULL, NULL);
}
