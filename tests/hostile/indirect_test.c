/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/test.h"

#include <string.h>

#include "lib/world.h"

/* Indirect tables: illegal ones, odd ones that are legal. */

#define TABLE WORLD_FAR

static void offer_table(struct test_world *w, uint64_t addr, uint32_t len, unsigned flags)
{
	test_ring_desc(&w->ring, 0, addr, len, F_INDIRECT | flags, 0);
	test_ring_offer(&w->ring, 0);
}

/* Of a packed table, whose entries are all used, one after the other, `next` is no part. */
static void table_desc(struct test_world *w, uint64_t table, unsigned index, uint64_t addr, uint32_t len,
		       unsigned flags, unsigned next)
{
	if (w->ring.packed)
		test_packed_table_desc(&w->memory, table, index, addr, len, flags);
	else
		test_table_desc(&w->memory, table, index, addr, len, flags, next);
}

static void entry(struct test_world *w, unsigned index, uint64_t addr, uint32_t len, unsigned flags,
		  unsigned next)
{
	table_desc(w, TABLE, index, addr, len, flags, next);
}

/* hostile: A34; spec: DRV-SPLIT-008 */
static void without_the_feature(struct test_world *w)
{
	entry(w, 0, WORLD_LOW, 1, 0, 0);
	offer_table(w, TABLE, 16, 0);
	test_world_faults(w, VIO_FAULT_INDIRECT_REFUSED, test_ring_place(&w->ring, 0), F_INDIRECT);
}

/* hostile: A35; spec: DRV-SPLIT-011 */
static void with_next(struct test_world *w)
{
	entry(w, 0, WORLD_LOW, 1, 0, 0);
	offer_table(w, TABLE, 16, F_NEXT);
	test_world_faults(w, VIO_FAULT_INDIRECT_NEXT, test_ring_place(&w->ring, 0), F_INDIRECT | F_NEXT);
}

/* hostile: A36; spec: DRV-SPLIT-009 */
static void nested(struct test_world *w)
{
	entry(w, 0, TABLE, 16, F_INDIRECT, 0);
	offer_table(w, TABLE, 16, 0);
	test_world_faults(w, VIO_FAULT_INDIRECT_NESTED, 0, F_INDIRECT);
}

/* hostile: A36, deeper in */
static void nested_later(struct test_world *w)
{
	entry(w, 0, WORLD_LOW, 4, F_NEXT, 1);
	entry(w, 1, TABLE, 32, F_INDIRECT | F_NEXT, 0);
	offer_table(w, TABLE, 32, 0);
	test_world_faults(w, VIO_FAULT_INDIRECT_NESTED, 1, F_INDIRECT | F_NEXT);
}

/* hostile: A37 */
static void empty(struct test_world *w)
{
	offer_table(w, TABLE, 0, 0);
	test_world_faults(w, VIO_FAULT_INDIRECT_LENGTH, test_ring_place(&w->ring, 0), 0);
}

static void less_than_one(struct test_world *w)
{
	offer_table(w, TABLE, 15, 0);
	test_world_faults(w, VIO_FAULT_INDIRECT_LENGTH, test_ring_place(&w->ring, 0), 15);
}

static void one_and_a_half(struct test_world *w)
{
	offer_table(w, TABLE, 24, 0);
	test_world_faults(w, VIO_FAULT_INDIRECT_LENGTH, test_ring_place(&w->ring, 0), 24);
}

/* hostile: A40 */
static void longer_than_the_queue(struct test_world *w)
{
	entry(w, 0, WORLD_LOW, 1, 0, 0);
	offer_table(w, TABLE, 16 * (w->ring.size + 1u), 0);
	test_world_faults(w, VIO_FAULT_INDIRECT_LENGTH, test_ring_place(&w->ring, 0),
			  16 * (w->ring.size + 1u));
}

/* hostile: A40 */
static void length_all_ones(struct test_world *w)
{
	offer_table(w, TABLE, UINT32_MAX, 0);
	test_world_faults(w, VIO_FAULT_INDIRECT_LENGTH, test_ring_place(&w->ring, 0), UINT32_MAX);
}

static void length_almost_all_ones(struct test_world *w)
{
	offer_table(w, TABLE, UINT32_MAX - 15, 0);
	test_world_faults(w, VIO_FAULT_INDIRECT_LENGTH, test_ring_place(&w->ring, 0), UINT32_MAX - 15);
}

/* hostile: A41 */
static void outside_of_memory(struct test_world *w)
{
	offer_table(w, WORLD_HOLE, 16, 0);
	test_world_faults(w, VIO_FAULT_INDIRECT_MEMORY, test_ring_place(&w->ring, 0), WORLD_HOLE);
}

/* hostile: A41 */
static void ends_outside_of_memory(struct test_world *w)
{
	entry(w, 0, WORLD_LOW, 1, 0, 0);
	offer_table(w, TABLE + WORLD_DATA_BYTES - 8, 16, 0);
	test_world_faults(w, VIO_FAULT_INDIRECT_MEMORY, test_ring_place(&w->ring, 0),
			  TABLE + WORLD_DATA_BYTES - 8);
}

/* hostile: A41 at the end of the address space */
static void wraps(struct test_world *w)
{
	offer_table(w, UINT64_MAX - 14, 16, 0);
	test_world_faults(w, VIO_FAULT_INDIRECT_MEMORY, test_ring_place(&w->ring, 0), UINT64_MAX - 14);
}

static void expect_text(struct test_world *w, const char *text)
{
	struct vio_buf buf = test_world_pops(w);
	char got[64] = "";

	assert_int_equal(vio_read(&buf, got, sizeof(got) - 1), strlen(text));
	assert_string_equal(got, text);
	vio_devq_push(&w->q, &buf, 0);
	vio_devq_notify(&w->q);
}

/* hostile: A42, at every place where the regions may cut it */
static void spans_two_regions(struct test_world *w)
{
	const unsigned second = w->ring.packed ? 1 : 2; /* a split table may be in any order */
	const bool whole = w->ring.size >= 3;
	unsigned before;

	test_memory_put(&w->memory, WORLD_LOW, "acrossthe edge", 14);
	for (before = 1; before < 48; before++) {
		uint64_t table = WORLD_HIGH - before;

		if (!whole) {
			table_desc(w, table, 0, WORLD_LOW, 6, 0, 0);
			offer_table(w, table, 16, 0);
			expect_text(w, "across");
			continue;
		}
		table_desc(w, table, 0, WORLD_LOW, 6, F_NEXT, second);
		table_desc(w, table, second, WORLD_LOW + 6, 3, F_NEXT, 3 - second);
		table_desc(w, table, 3 - second, WORLD_LOW + 9, 5, 0, 0);
		offer_table(w, table, 48, 0);
		expect_text(w, "acrossthe edge");
	}
}

/* At any address: the standard aligns the descriptor area, not an indirect table. */
static void misaligned(struct test_world *w)
{
	unsigned offset;

	test_memory_put(&w->memory, WORLD_LOW, "odd", 3);
	for (offset = 1; offset < 16; offset++) {
		table_desc(w, TABLE + offset, 0, WORLD_LOW, 3, 0, 0);
		offer_table(w, TABLE + offset, 16, 0);
		expect_text(w, "odd");
	}
}

static void in_read_only_memory(struct test_world *w)
{
	/* All zeros: one readable element of no bytes. */
	struct vio_buf buf;

	offer_table(w, WORLD_ROM + 16, 16, 0);
	buf = test_world_pops(w);
	assert_int_equal(buf.readable_count + buf.writable_count, 0);
	vio_devq_push(&w->q, &buf, 0);
	vio_devq_notify(&w->q);
}

/* hostile: A44, the buffer rewrites the table while it is in flight */
static void overlaps_its_buffer(struct test_world *w)
{
	const unsigned count = w->ring.size > 1 ? 2 : 1, bytes = 16 + 16 * count;
	struct vio_buf buf;
	uint8_t ones[48];

	memset(ones, 0xff, sizeof(ones));
	entry(w, 0, TABLE, 32, F_WRITE | (count > 1 ? F_NEXT : 0), 1);
	entry(w, 1, WORLD_LOW, 16, F_WRITE, 0);
	offer_table(w, TABLE, 16 * count, 0);
	buf = test_world_pops(w);
	assert_int_equal(vio_write(&buf, ones, 48), bytes);
	assert_memory_equal(test_memory_at(&w->memory, count > 1 ? WORLD_LOW : TABLE), ones, 16);
	vio_devq_push(&w->q, &buf, bytes);
	vio_devq_notify(&w->q);
	assert_int_equal(test_ring_used_len(&w->ring, (uint16_t)(test_ring_used_idx(&w->ring) - 1)), bytes);
	test_world_serves(w);
}

/* hostile: A45 */
static void cycle(struct test_world *w)
{
	const unsigned count = w->ring.size > 1 ? 2 : 1;

	entry(w, 0, WORLD_LOW, 1, F_NEXT, count - 1);
	entry(w, 1, WORLD_LOW, 1, F_NEXT, 0);
	offer_table(w, TABLE, 16 * count, 0);
	test_world_faults(w, VIO_FAULT_CHAIN_LOOP, 0, count);
}

/* hostile: A45, behind direct descriptors: the chain may have as many as the queue. spec: DRV-SPLIT-010 */
static void too_long_with_direct_ones(struct test_world *w)
{
	unsigned size = w->ring.size, i;

	for (i = 0; i + 1 < size; i++)
		test_ring_desc(&w->ring, i, WORLD_LOW, 1, F_NEXT, i + 1);
	test_ring_desc(&w->ring, size - 1, TABLE, 32, F_INDIRECT, 0);
	entry(w, 0, WORLD_LOW, 1, F_NEXT, 1);
	entry(w, 1, WORLD_LOW, 1, 0, 0);
	test_ring_offer(&w->ring, 0);
	test_world_faults(w, VIO_FAULT_CHAIN_LOOP, 1, size + 1);
}

/* hostile: A46 */
static void next_beyond_the_table(struct test_world *w)
{
	const unsigned count = w->ring.size > 1 ? 2 : 1;

	entry(w, 0, WORLD_LOW, 1, F_NEXT, count);
	entry(w, count, WORLD_LOW, 1, 0, 0);
	offer_table(w, TABLE, 16 * count, 0);
	test_world_faults(w, VIO_FAULT_NEXT_RANGE, 0, count);
}

/* hostile: A47; spec: DEV-SPLIT-005 */
static void write_flag_on_the_table(struct test_world *w)
{
	test_memory_put(&w->memory, WORLD_LOW, "read me", 7);
	entry(w, 0, WORLD_LOW, 7, 0, 0);
	offer_table(w, TABLE, 16, F_WRITE);
	expect_text(w, "read me");
}

/* hostile: A48; spec: DEV-SPLIT-006 */
static void direct_then_table(struct test_world *w)
{
	struct vio_buf buf;
	char text[8] = "";

	test_memory_put(&w->memory, WORLD_LOW, "onetwo", 6);
	test_ring_desc(&w->ring, 1, WORLD_LOW, 3, F_NEXT, 0);
	test_ring_desc(&w->ring, 0, TABLE, 32, F_INDIRECT | F_WRITE, 0);
	entry(w, 0, WORLD_LOW + 3, 3, F_NEXT, 1);
	entry(w, 1, WORLD_LOW + 16, 5, F_WRITE, 0);
	test_ring_offer(&w->ring, 1);
	buf = test_world_pops(w);
	assert_int_equal(vio_read(&buf, text, 8), 6);
	assert_string_equal(text, "onetwo");
	assert_int_equal(buf.writable_bytes, 5);
	vio_devq_push(&w->q, &buf, 0);
	vio_devq_notify(&w->q);
	assert_int_equal(test_ring_used_id(&w->ring, (uint16_t)(test_ring_used_idx(&w->ring) - 1)), 1);
}

/* hostile: A48 A25, the order counts over the whole chain */
static void readable_table_after_writable(struct test_world *w)
{
	test_ring_desc(&w->ring, 0, WORLD_LOW, 3, F_NEXT | F_WRITE, 1);
	test_ring_desc(&w->ring, 1, TABLE, 16, F_INDIRECT, 0);
	entry(w, 0, WORLD_LOW + 3, 3, 0, 0);
	test_ring_offer(&w->ring, 0);
	test_world_faults(w, VIO_FAULT_READ_AFTER_WRITE, 0, 0);
}

/* hostile: A49 */
static void two_tables(struct test_world *w)
{
	test_ring_desc(&w->ring, 0, TABLE, 16, F_INDIRECT | F_NEXT, 1);
	test_ring_desc(&w->ring, 1, TABLE, 16, F_INDIRECT, 0);
	entry(w, 0, WORLD_LOW, 3, 0, 0);
	test_ring_offer(&w->ring, 0);
	test_world_faults(w, VIO_FAULT_INDIRECT_NEXT, test_ring_place(&w->ring, 0), F_INDIRECT | F_NEXT);
}

/* hostile: A50 */
static void overlaps_the_used_ring(struct test_world *w)
{
	struct vio_buf buf;
	uint64_t table = w->ring.device_area + 4;

	table_desc(w, table, 0, WORLD_LOW, 4, F_WRITE, 0);
	offer_table(w, table, 16, 0);
	buf = test_world_pops(w);
	assert_int_equal(vio_write(&buf, "free", 4), 4);
	vio_devq_push(&w->q, &buf, 4);
	vio_devq_notify(&w->q);
	assert_memory_equal(test_memory_at(&w->memory, WORLD_LOW), "free", 4);
	test_world_serves(w);
}

/* hostile: A71, a table is a buffer by itself. spec: DRV-PACKED-009 */
static void table_in_a_list(struct test_world *w)
{
	test_ring_desc(&w->ring, 1, WORLD_LOW, 3, F_NEXT, 0);
	test_ring_desc(&w->ring, 0, TABLE, 32, F_INDIRECT, 0);
	test_ring_offer(&w->ring, 1);
	test_world_faults(w, VIO_FAULT_INDIRECT_NEXT, test_ring_place(&w->ring, 0), F_INDIRECT);
}

/* What NEXT says in a packed table is nothing: all its entries are the buffer. */
static void next_in_a_packed_table(struct test_world *w)
{
	test_memory_put(&w->memory, WORLD_LOW, "onetwo", 6);
	entry(w, 0, WORLD_LOW, 3, 0, 0);
	entry(w, 1, WORLD_LOW + 3, 3, F_NEXT, 0);
	offer_table(w, TABLE, 32, 0);
	expect_text(w, "onetwo");
}

/* hostile: A40 A42 A72, a packed table over the ring itself, which holds what was just offered. */
static void overlaps_its_ring(struct test_world *w)
{
	offer_table(w, w->ring.descriptor_area, 16, 0);
	if (test_ring_place(&w->ring, 0)) {
		struct vio_buf buf = test_world_pops(w);

		assert_int_equal(buf.readable_bytes + buf.writable_bytes, 0);
	} else {
		test_world_faults(w, VIO_FAULT_INDIRECT_NESTED, 0, vio_le16_get(w->ring.packed->flags));
	}
}

/* The element inside is judged as a direct one. */
static void element_outside_of_memory(struct test_world *w)
{
	const unsigned last = w->ring.size > 1 ? 1 : 0;

	entry(w, 0, WORLD_LOW, 4, F_NEXT, 1);
	entry(w, last, WORLD_HOLE - 1, 2, F_WRITE, 0);
	offer_table(w, TABLE, 16 * (last + 1), 0);
	test_world_faults(w, VIO_FAULT_BUFFER_MEMORY, last, WORLD_HOLE - 1);
}

WORLD_BOTH(1, TEST_PLAIN | TEST_IN_ORDER, without_the_feature)
WORLD_BOTH(1, TEST_INDIRECT | TEST_IN_ORDER, with_next)
WORLD_BOTH(1, TEST_INDIRECT | TEST_IN_ORDER, nested)
WORLD_BOTH(2, TEST_INDIRECT | TEST_IN_ORDER, nested_later)
WORLD_BOTH(1, TEST_INDIRECT | TEST_IN_ORDER, empty)
WORLD_BOTH(1, TEST_INDIRECT | TEST_IN_ORDER, less_than_one)
WORLD_BOTH(1, TEST_INDIRECT | TEST_IN_ORDER, one_and_a_half)
WORLD_BOTH(1, TEST_INDIRECT | TEST_IN_ORDER, longer_than_the_queue)
WORLD_BOTH(1, TEST_INDIRECT | TEST_IN_ORDER, length_all_ones)
WORLD_BOTH(1, TEST_INDIRECT | TEST_IN_ORDER, length_almost_all_ones)
WORLD_BOTH(1, TEST_INDIRECT | TEST_IN_ORDER, outside_of_memory)
WORLD_BOTH(1, TEST_INDIRECT | TEST_IN_ORDER, ends_outside_of_memory)
WORLD_BOTH(1, TEST_INDIRECT | TEST_IN_ORDER, wraps)
WORLD_BOTH(1, TEST_INDIRECT | TEST_IN_ORDER, spans_two_regions)
WORLD_BOTH(1, TEST_INDIRECT | TEST_IN_ORDER, misaligned)
WORLD_BOTH(1, TEST_INDIRECT | TEST_IN_ORDER, in_read_only_memory)
WORLD_BOTH(1, TEST_INDIRECT | TEST_IN_ORDER, overlaps_its_buffer)
WORLD_SPLIT(1, TEST_INDIRECT | TEST_IN_ORDER, cycle)
WORLD_SPLIT(2, TEST_INDIRECT | TEST_IN_ORDER, too_long_with_direct_ones)
WORLD_SPLIT(1, TEST_INDIRECT | TEST_IN_ORDER, next_beyond_the_table)
WORLD_BOTH(1, TEST_INDIRECT | TEST_IN_ORDER, write_flag_on_the_table)
WORLD_SPLIT(3, TEST_INDIRECT | TEST_IN_ORDER, direct_then_table)
WORLD_SPLIT(2, TEST_INDIRECT | TEST_IN_ORDER, readable_table_after_writable)
WORLD_BOTH(2, TEST_INDIRECT | TEST_IN_ORDER, two_tables)
WORLD_SPLIT(2, TEST_INDIRECT | TEST_IN_ORDER, overlaps_the_used_ring)
WORLD_BOTH(1, TEST_INDIRECT | TEST_IN_ORDER, element_outside_of_memory)
WORLD_PACKED(2, TEST_INDIRECT | TEST_IN_ORDER, table_in_a_list)
WORLD_PACKED(2, TEST_INDIRECT | TEST_IN_ORDER, next_in_a_packed_table)
WORLD_PACKED(1, TEST_INDIRECT | TEST_IN_ORDER, overlaps_its_ring)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TESTS(without_the_feature),
		WORLD_TESTS(with_next),
		WORLD_TESTS(nested),
		WORLD_TESTS(nested_later),
		WORLD_TESTS(empty),
		WORLD_TESTS(less_than_one),
		WORLD_TESTS(one_and_a_half),
		WORLD_TESTS(longer_than_the_queue),
		WORLD_TESTS(length_all_ones),
		WORLD_TESTS(length_almost_all_ones),
		WORLD_TESTS(outside_of_memory),
		WORLD_TESTS(ends_outside_of_memory),
		WORLD_TESTS(wraps),
		WORLD_TESTS(spans_two_regions),
		WORLD_TESTS(misaligned),
		WORLD_TESTS(in_read_only_memory),
		WORLD_TESTS(overlaps_its_buffer),
		cmocka_unit_test(split_cycle),
		cmocka_unit_test(split_too_long_with_direct_ones),
		cmocka_unit_test(split_next_beyond_the_table),
		WORLD_TESTS(write_flag_on_the_table),
		cmocka_unit_test(split_direct_then_table),
		cmocka_unit_test(split_readable_table_after_writable),
		WORLD_TESTS(two_tables),
		cmocka_unit_test(split_overlaps_the_used_ring),
		WORLD_TESTS(element_outside_of_memory),
		cmocka_unit_test(packed_table_in_a_list),
		cmocka_unit_test(packed_next_in_a_packed_table),
		cmocka_unit_test(packed_overlaps_its_ring),
	};

	return cmocka_run_group_tests_name("hostile: indirect tables", tests, NULL, NULL);
}
