/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/test.h"

#include <stdlib.h>
#include <string.h>

#include "lib/world.h"

/* The two rings of a queue and their indices, as a driver can spoil them. */

static void make_singles(struct test_world *w)
{
	unsigned i;

	for (i = 0; i < w->ring.size; i++)
		test_ring_desc(&w->ring, i, WORLD_LOW + i % 0x8000, 1, F_WRITE, 0);
}

/* hostile: A51; every slot is in flight at once, then all come back the other way round. */
static void idx_moves_by_size(struct test_world *w)
{
	unsigned size = w->ring.size, i;
	uint16_t used = test_ring_used_idx(&w->ring), base = w->ring.avail_idx;
	struct vio_buf *bufs = malloc(size * sizeof(*bufs));

	assert_non_null(bufs);
	make_singles(w);
	for (i = 0; i < size; i++)
		test_ring_entry(&w->ring, base + i, (i + 1) % size);
	test_ring_avail_idx(&w->ring, base + size);
	for (i = 0; i < size; i++) {
		bufs[i] = test_world_pops(w);
		assert_int_equal(bufs[i].head, (i + 1) % size);
	}
	assert_false(vio_devq_pop(&w->q, &bufs[0]) || vio_devq_broken(&w->q));
	for (i = size; i-- > 0;)
		vio_devq_push(&w->q, &bufs[i], 1);
	vio_devq_notify(&w->q);
	assert_int_equal(test_ring_used_idx(&w->ring), (uint16_t)(used + size));
	for (i = 0; i < size; i++)
		assert_int_equal(test_ring_used_id(&w->ring, (uint16_t)(used + i)),
				 (w->features & TEST_IN_ORDER ? i + 1 : 2 * size - i) % size);
	free(bufs);
}

/* hostile: A52 */
static void idx_moves_by_size_plus_one(struct test_world *w)
{
	make_singles(w);
	test_ring_avail_idx(&w->ring, w->ring.avail_idx + w->ring.size + 1u);
	test_world_faults(w, VIO_FAULT_AVAIL_IDX, 0, w->ring.avail_idx);
}

/* hostile: A53; with 32768 entries it is a full ring that names head 0 everywhere, hostile: A56. */
static void idx_moves_by_half(struct test_world *w)
{
	unsigned base = w->ring.avail_idx;

	make_singles(w);
	test_ring_avail_idx(&w->ring, base + 0x8000u);
	if (w->ring.size < 0x8000) {
		test_world_faults(w, VIO_FAULT_AVAIL_IDX, 0, (uint16_t)(base + 0x8000));
	} else {
		test_world_pops(w);
		test_world_faults(w, VIO_FAULT_HEAD_BUSY, (base + 1) % w->ring.size, 0);
	}
}

/* hostile: A54; spec: DRV-SPLIT-013 */
static void idx_moves_back(struct test_world *w)
{
	test_ring_avail_idx(&w->ring, w->ring.avail_idx - 1u);
	test_world_faults(w, VIO_FAULT_AVAIL_IDX, 0, w->ring.avail_idx);
}

/* hostile: A54, after some were taken; what was seen before it went back is still served. */
static void idx_moves_back_later(struct test_world *w)
{
	unsigned base = w->ring.avail_idx, count = w->ring.size > 1 ? 2 : 1;

	make_singles(w);
	test_ring_entry(&w->ring, base + 1, 1);
	test_ring_entry(&w->ring, base, 0);
	test_ring_avail_idx(&w->ring, base + count);
	test_world_pops(w);
	test_ring_avail_idx(&w->ring, base + count - 1);
	if (count > 1)
		test_world_pops(w);
	test_world_faults(w, VIO_FAULT_AVAIL_IDX, 0, (uint16_t)(base + count - 1));
}

/* hostile: A55: a driver that adds whenever we look can't hold us beyond the budget. */
static void idx_advances_for_ever(struct test_world *w)
{
	struct vio_buf buf;
	unsigned served = 0;

	make_singles(w);
	vio_devq_set_budget(&w->q, 100);
	for (;;) {
		test_ring_offer(&w->ring, 0);
		if (!vio_devq_pop(&w->q, &buf))
			break;
		vio_devq_push(&w->q, &buf, 1);
		vio_devq_notify(&w->q);
		assert_true(++served <= 100);
	}
	assert_int_equal(served, 100);
	assert_true(vio_devq_exhausted(&w->q));
	assert_false(vio_devq_broken(&w->q));
	vio_devq_set_budget(&w->q, 1);
	assert_true(vio_devq_pop(&w->q, &buf));
	vio_devq_push(&w->q, &buf, 1);
	vio_devq_notify(&w->q);
	assert_false(vio_devq_pop(&w->q, &buf));
	vio_devq_set_budget(&w->q, VIO_DEVQ_NO_BUDGET);
	assert_false(vio_devq_exhausted(&w->q));
}

/* hostile: A56 A57; the first of them is answered, and its late push touches nothing. */
static void head_twice(struct test_world *w)
{
	unsigned base = w->ring.avail_idx;
	uint16_t used;
	struct vio_buf first;

	make_singles(w);
	test_ring_offer(&w->ring, 1);
	test_ring_offer(&w->ring, 1);
	first = test_world_pops(w);
	test_world_faults(w, VIO_FAULT_HEAD_BUSY,
			  w->ring.packed ? test_ring_place(&w->ring, 1) : (base + 1) % w->ring.size, 1);
	used = test_ring_used_idx(&w->ring);
	vio_devq_push(&w->q, &first, 1);
	vio_devq_notify(&w->q);
	assert_int_equal(test_ring_used_idx(&w->ring), used);
	assert_int_equal(w->q.in_flight, 0);
	test_world_serves(w);
}

/*
 * hostile: A73: in order is how buffers are used, not how heads or ids are numbered. A driver that leaves
 * some out, which the standard doesn't let it, gets its buffers back in the order in which it offered them.
 */
static void heads_are_left_out(struct test_world *w)
{
	unsigned size = w->ring.size, count = (size + 1) / 2, i;
	uint16_t used = test_ring_used_idx(&w->ring);
	struct vio_buf bufs[4];

	if (count > VIO_ARRAY_SIZE(bufs))
		count = VIO_ARRAY_SIZE(bufs);
	make_singles(w);
	for (i = 0; i < count; i++)
		test_ring_offer(&w->ring, size - 1 - 2 * i); /* the last one first, and every second */
	for (i = 0; i < count; i++)
		bufs[i] = test_world_pops(w);
	for (i = count; i-- > 0;)
		vio_devq_push(&w->q, &bufs[i], 1);
	vio_devq_notify(&w->q);
	assert_int_equal(test_ring_used_idx(&w->ring), (uint16_t)(used + count));
	for (i = 0; i < count; i++) {
		unsigned which = w->features & TEST_IN_ORDER ? i : count - 1 - i;

		assert_int_equal(test_ring_used_id(&w->ring, (uint16_t)(used + i)), size - 1 - 2 * which);
	}
	test_world_serves(w);
}

/* Once answered, the same head is a new request. */
static void head_twice_in_turn(struct test_world *w)
{
	struct vio_buf buf;
	unsigned i;

	make_singles(w);
	for (i = 0; i < 3; i++) {
		test_ring_offer(&w->ring, 0);
		buf = test_world_pops(w);
		vio_devq_push(&w->q, &buf, 1);
		vio_devq_notify(&w->q);
	}
}

/* hostile: A58: chains that share descriptors hurt the driver alone. */
static void heads_overlap(struct test_world *w)
{
	struct vio_buf a, b;

	test_ring_desc(&w->ring, 0, WORLD_LOW, 8, F_WRITE | F_NEXT, 1);
	test_ring_desc(&w->ring, 1, WORLD_LOW + 8, 8, F_WRITE, 0);
	test_ring_offer(&w->ring, 0);
	test_ring_offer(&w->ring, 1);
	a = test_world_pops(w);
	b = test_world_pops(w);
	assert_int_equal(a.writable_bytes, 16);
	assert_int_equal(b.writable_bytes, 8);
	assert_int_equal(vio_write(&a, "aaaaaaaaaaaaaaaa", 16), 16);
	assert_int_equal(vio_write(&b, "bbbbbbbb", 8), 8);
	assert_memory_equal(test_memory_at(&w->memory, WORLD_LOW), "aaaaaaaabbbbbbbb", 16);
	vio_devq_push(&w->q, &b, 8);
	vio_devq_notify(&w->q);
	vio_devq_push(&w->q, &a, 16);
	vio_devq_notify(&w->q);
	test_world_serves(w);
}

/* hostile: A59: any suppression a driver may invent costs nobody else an interrupt, nor itself a buffer. */
static void suppression_at_random(struct test_world *w)
{
	uint64_t seed = w->ring.size;
	struct vio_buf buf;
	unsigned i;

	make_singles(w);
	for (i = 0; i < 300; i++) {
		uint16_t used = test_ring_used_idx(&w->ring);

		test_ring_used_event(&w->ring, (uint16_t)test_random(&seed));
		test_ring_avail_flags(&w->ring, (uint16_t)test_random(&seed));
		test_ring_offer(&w->ring, 0);
		buf = test_world_pops(w);
		vio_devq_push(&w->q, &buf, 1);
		vio_devq_notify(&w->q);
		assert_int_equal(test_ring_used_idx(&w->ring), (uint16_t)(used + 1));
		assert_false(vio_devq_pop(&w->q, &buf));
	}
	test_world_serves(w);
}

/* hostile: A62 A74, past 65535 with every size; spec: DEV-SPLIT-013 */
static void indices_wrap(struct test_world *w)
{
	uint16_t used = test_ring_used_idx(&w->ring);
	struct vio_buf buf;
	unsigned i;

	make_singles(w);
	for (i = 0; i < 70000; i++) {
		unsigned head = i * 7 % w->ring.size;

		test_ring_offer(&w->ring, head);
		buf = test_world_pops(w);
		assert_int_equal(buf.head, head);
		vio_devq_push(&w->q, &buf, i & 1);
		vio_devq_notify(&w->q);
		assert_int_equal(test_ring_used_id(&w->ring, (uint16_t)(used + i)), head);
		assert_int_equal(test_ring_used_len(&w->ring, (uint16_t)(used + i)), i & 1);
	}
	assert_int_equal(test_ring_used_idx(&w->ring), (uint16_t)(used + 70000));
}

/* hostile: A108: memory that went away under a queue; what is in flight was resolved before. */
static void memory_goes_away(struct test_world *w)
{
	struct vio_region region = { vio_addr_make(WORLD_HIGH), WORLD_DATA_BYTES, NULL, TEST_RW };
	unsigned half = WORLD_DATA_BYTES / 2;

	region.host = test_memory_at(&w->memory, WORLD_HIGH);
	test_ring_desc(&w->ring, 0, WORLD_HIGH, half, F_WRITE, 0);
	test_ring_desc(&w->ring, 1, WORLD_HIGH + 1, half, F_WRITE, 0);
	test_ring_offer(&w->ring, 0);
	test_world_pops(w);
	/* It shrinks by one byte too many for the next. */
	assert_int_equal(vio_mem_remove(&w->memory.mem, region.base, region.size), 0);
	region.size = half;
	assert_int_equal(vio_mem_add(&w->memory.mem, &region), 0);
	test_ring_offer(&w->ring, 1);
	test_world_faults(w, VIO_FAULT_BUFFER_MEMORY, test_ring_place(&w->ring, 1), WORLD_HIGH + 1);

	/* And is gone. */
	assert_int_equal(vio_mem_remove(&w->memory.mem, region.base, region.size), 0);
	test_ring_desc(&w->ring, 0, WORLD_HIGH, 1, 0, 0);
	test_ring_offer(&w->ring, 0);
	test_world_faults(w, VIO_FAULT_BUFFER_MEMORY, test_ring_place(&w->ring, 0), WORLD_HIGH);
}

WORLD_SPLIT(1, WORLD_ANY, idx_moves_by_size)
WORLD_SPLIT(1, WORLD_ANY, idx_moves_by_size_plus_one)
WORLD_SPLIT(1, WORLD_ANY, idx_moves_by_half)
WORLD_SPLIT(1, WORLD_ANY, idx_moves_back)
WORLD_SPLIT(1, WORLD_ANY, idx_moves_back_later)
WORLD_BOTH(1, WORLD_ANY, idx_advances_for_ever)
WORLD_BOTH(2, WORLD_ANY, head_twice)
WORLD_BOTH(1, WORLD_ANY, head_twice_in_turn)
WORLD_BOTH(1, WORLD_ANY, heads_are_left_out)
WORLD_SPLIT(2, WORLD_ANY, heads_overlap)
WORLD_BOTH(1, WORLD_ANY, suppression_at_random)
WORLD_BOTH(2, WORLD_ANY, memory_goes_away)

static void wrap_at(uint16_t size, uint16_t base, uint64_t features)
{
	struct test_world w;

	test_world_open(&w, size, base, features);
	indices_wrap(&w);
	test_world_close(&w);
}

static void test_indices_wrap(void **state)
{
	static const uint16_t sizes[] = { 1, 2, 256, 32768 }, packed_sizes[] = { 3, 7, 32767 };
	unsigned i;

	for (i = 0; i < VIO_ARRAY_SIZE(sizes); i++) {
		wrap_at(sizes[i], (uint16_t)(65535 - i), i & 1 ? TEST_PLAIN : TEST_EVENT);
		wrap_at(sizes[i], (uint16_t)(65535 - i), (i & 1 ? TEST_PLAIN : TEST_EVENT) | TEST_PACKED);
	}
	for (i = 0; i < VIO_ARRAY_SIZE(packed_sizes); i++)
		wrap_at(packed_sizes[i], (uint16_t)(65535 - i), TEST_EVENT | TEST_PACKED | TEST_IN_ORDER);
}

struct bad_start {
	uint64_t descriptor_area, driver_area, device_area;
	enum vio_fault_kind kind;
	uint64_t value;
};

static void expect_refused(struct test_world *w, const struct bad_start *bad)
{
	struct vio_devq_config config = test_ring_config(&w->ring, 0, w->features);
	struct vio_buf buf;

	config.descriptor_area = vio_addr_make(bad->descriptor_area);
	config.driver_area = vio_addr_make(bad->driver_area);
	config.device_area = vio_addr_make(bad->device_area);
	vio_devq_stop(&w->q);
	assert_int_equal(vio_devq_start(&w->q, &w->memory.mem, &config), -VIO_EPEER);
	assert_int_equal(w->q.fault.kind, bad->kind);
	assert_int_equal(w->q.fault.value, bad->value);
	assert_int_equal(w->q.fault.queue, 0);
	assert_false(w->q.running);
	assert_false(vio_devq_pop(&w->q, &buf));
	vio_devq_notify(&w->q);
	test_world_serves(w);
}

/* hostile: A75 A77 A78; spec: DRV-SPLIT-001 */
static void test_start_refuses_areas(void **state)
{
	const uint64_t low = WORLD_LOW, high = WORLD_HIGH, far = WORLD_FAR,
		       end = WORLD_FAR + WORLD_DATA_BYTES;
	const struct bad_start bads[] = {
		/* Misaligned. */
		{ low + 8, high, far, VIO_FAULT_RING_MEMORY, low + 8 },
		{ low, high + 1, far, VIO_FAULT_RING_MEMORY, high + 1 },
		{ low, high, far + 2, VIO_FAULT_RING_MEMORY, far + 2 },
		/* Outside, in front, behind, at the end of the address space. */
		{ WORLD_HOLE, high, far, VIO_FAULT_RING_MEMORY, WORLD_HOLE },
		{ end - 112, high, low, VIO_FAULT_RING_MEMORY, end - 112 },
		{ low, end - 20, high, VIO_FAULT_RING_MEMORY, end - 20 },
		{ low, high, end - 68, VIO_FAULT_RING_MEMORY, end - 68 },
		{ low, high, WORLD_LOW - 4, VIO_FAULT_RING_MEMORY, WORLD_LOW - 4 },
		{ UINT64_MAX - 15, high, far, VIO_FAULT_RING_MEMORY, UINT64_MAX - 15 },
		{ low, UINT64_MAX - 1, far, VIO_FAULT_RING_MEMORY, UINT64_MAX - 1 },
		{ low, high, UINT64_MAX - 3, VIO_FAULT_RING_MEMORY, UINT64_MAX - 3 },
		/* Over two regions that are no neighbours in the host. */
		{ high - 64, far, low, VIO_FAULT_RING_MEMORY, high - 64 },
		/* Without the right. */
		{ low, high, WORLD_ROM, VIO_FAULT_RING_MEMORY, WORLD_ROM },
		/* Overlapping, each pair, by one byte and wholly. */
		{ low, low, far, VIO_FAULT_RING_OVERLAP, far },
		{ low, low + 126, far, VIO_FAULT_RING_OVERLAP, far },
		{ low + 16, low, far, VIO_FAULT_RING_OVERLAP, far },
		{ low, high, low + 124, VIO_FAULT_RING_OVERLAP, low + 124 },
		{ low, high, high, VIO_FAULT_RING_OVERLAP, high },
		{ low, high, high + 20, VIO_FAULT_RING_OVERLAP, high + 20 },
	};
	struct test_world w;
	unsigned i;

	test_world_open(&w, 8, 0, TEST_EVENT);
	for (i = 0; i < VIO_ARRAY_SIZE(bads); i++)
		expect_refused(&w, &bads[i]);
	test_world_close(&w);
}

/* Aligned by bus address, but not where it lies: atomic access needs that as well. */
static void test_start_refuses_odd_mappings(void **state)
{
	static const unsigned odd[3] = { 8, 1, 2 };
	struct test_world w;
	unsigned i;

	test_world_open(&w, 8, 0, TEST_EVENT);
	vio_devq_stop(&w.q);
	for (i = 0; i < 3; i++) {
		struct vio_devq_config config = test_ring_config(&w.ring, 0, TEST_EVENT);
		const struct vio_addr base = vio_addr_make(0x10000);
		struct vio_region region = { base, 0x1000, test_memory_at(&w.memory, WORLD_FAR) + odd[i],
					     TEST_RW };

		assert_int_equal(vio_mem_add(&w.memory.mem, &region), 0);
		if (i == 0)
			config.descriptor_area = base;
		else if (i == 1)
			config.driver_area = base;
		else
			config.device_area = base;
		assert_int_equal(vio_devq_start(&w.q, &w.memory.mem, &config), -VIO_EPEER);
		assert_int_equal(w.q.fault.kind, VIO_FAULT_RING_MEMORY);
		assert_int_equal(w.q.fault.value, base.raw);
		assert_int_equal(vio_mem_remove(&w.memory.mem, base, 0x1000), 0);
	}
	test_world_serves(&w);
	test_world_close(&w);
}

/*
 * As tight as they may be: to the last byte of a region, one behind the other, the
 * driver's in read-only memory.
 */
static void test_start_accepts_areas(void **state)
{
	const uint64_t end = WORLD_FAR + WORLD_DATA_BYTES;
	const struct bad_start goods[] = {
		{ end - 128, WORLD_LOW, WORLD_HIGH, VIO_FAULT_NONE, 0 },
		{ WORLD_LOW, end - 22, WORLD_HIGH, VIO_FAULT_NONE, 0 },
		{ WORLD_LOW, WORLD_HIGH, end - 72, VIO_FAULT_NONE, 0 },
		{ WORLD_LOW, WORLD_LOW + 128, WORLD_LOW + 152, VIO_FAULT_NONE, 0 },
		{ WORLD_ROM, WORLD_ROM + 128, WORLD_FAR, VIO_FAULT_NONE, 0 },
	};
	struct test_world w;
	struct vio_buf buf;
	unsigned i;

	test_world_open(&w, 8, 0, TEST_EVENT);
	vio_devq_stop(&w.q);
	for (i = 0; i < VIO_ARRAY_SIZE(goods); i++) {
		struct vio_devq_config config = test_ring_config(&w.ring, 0, TEST_EVENT);

		config.descriptor_area = vio_addr_make(goods[i].descriptor_area);
		config.driver_area = vio_addr_make(goods[i].driver_area);
		config.device_area = vio_addr_make(goods[i].device_area);
		assert_int_equal(vio_devq_start(&w.q, &w.memory.mem, &config), 0);
		assert_false(vio_devq_pop(&w.q, &buf));
		assert_int_equal(w.q.fault.kind, VIO_FAULT_NONE);
		assert_int_equal(vio_devq_stop(&w.q).avail, 0);
	}
	test_world_close(&w);
}

/* hostile: A80 */
static void test_start_refuses_sizes(void **state)
{
	static const uint16_t sizes[] = { 0, 3, 5, 6, 7, 16, 9, 0x8000, 0xffff };
	struct test_world w;
	struct vio_devq_config config;
	unsigned i;

	test_world_open(&w, 8, 0, TEST_EVENT);
	config = test_ring_config(&w.ring, 0, TEST_EVENT);
	assert_int_equal(vio_devq_start(&w.q, &w.memory.mem, &config), -VIO_EBUSY);
	assert_true(w.q.running);
	vio_devq_stop(&w.q);
	for (i = 0; i < VIO_ARRAY_SIZE(sizes); i++) {
		config.size = sizes[i];
		assert_int_equal(vio_devq_start(&w.q, &w.memory.mem, &config), -VIO_EINVAL);
		assert_false(w.q.running);
	}
	config.size = 4;
	assert_int_equal(vio_devq_start(&w.q, &w.memory.mem, &config), 0); /* smaller than offered is fine */
	test_world_serves(&w);
	test_world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(split_idx_moves_by_size),
		cmocka_unit_test(split_idx_moves_by_size_plus_one),
		cmocka_unit_test(split_idx_moves_by_half),
		cmocka_unit_test(split_idx_moves_back),
		cmocka_unit_test(split_idx_moves_back_later),
		WORLD_TESTS(idx_advances_for_ever),
		WORLD_TESTS(head_twice),
		WORLD_TESTS(head_twice_in_turn),
		WORLD_TESTS(heads_are_left_out),
		cmocka_unit_test(split_heads_overlap),
		WORLD_TESTS(suppression_at_random),
		WORLD_TESTS(memory_goes_away),
		cmocka_unit_test(test_indices_wrap),
		cmocka_unit_test(test_start_refuses_areas),
		cmocka_unit_test(test_start_refuses_odd_mappings),
		cmocka_unit_test(test_start_accepts_areas),
		cmocka_unit_test(test_start_refuses_sizes),
	};

	return cmocka_run_group_tests_name("hostile: rings", tests, NULL, NULL);
}
