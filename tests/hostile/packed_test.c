/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/test.h"

#include <stdlib.h>
#include <string.h>

#include "lib/world.h"
#include "ring/packed.h"

/* What a driver can spoil in a packed ring alone: ids, wrap counters, lists that aren't complete. */

static void single(struct test_world *w, unsigned index)
{
	test_ring_desc(&w->ring, index, WORLD_LOW + index % 0x8000, 1, F_WRITE, 0);
}

/* Lays a single descriptor out under any id, and shows it. */
static void offer_as(struct test_world *w, unsigned index, unsigned id)
{
	single(w, index);
	test_packed_show(&w->ring, test_packed_lay(&w->ring, index, id));
}

static unsigned flags_at(const struct test_world *w, uint16_t position)
{
	return vio_le16_get(w->ring.packed[packed_offset(position)].flags);
}

static void refused_id(struct test_world *w, unsigned id)
{
	offer_as(w, 0, id);
	test_world_faults(w, VIO_FAULT_HEAD_RANGE, test_ring_place(&w->ring, 0), id);
}

/* hostile: A63 */
static void id_is_size(struct test_world *w)
{
	refused_id(w, w->ring.size);
}

/* hostile: A63 */
static void id_all_ones(struct test_world *w)
{
	refused_id(w, 0xffff);
}

/* hostile: A64 A57, a second offer under an id that is out. */
static void id_twice(struct test_world *w)
{
	offer_as(w, 0, 1);
	offer_as(w, 1, 1);
	test_world_pops(w);
	test_world_faults(w, VIO_FAULT_HEAD_BUSY, test_ring_place(&w->ring, 1), 1);
}

/* hostile: A63, the id that counts is that of the last descriptor. spec: DEV-PACKED-001 */
static void id_of_the_last(struct test_world *w)
{
	struct vio_buf buf;
	uint16_t first;

	test_ring_desc(&w->ring, 0, WORLD_LOW, 1, F_NEXT, 1);
	test_ring_desc(&w->ring, 1, WORLD_LOW, 1, F_WRITE, 0);
	first = test_packed_lay(&w->ring, 0, 1);
	w->ring.packed[packed_offset(first)].id = vio_le16_make(0xdead);
	test_packed_show(&w->ring, first);
	buf = test_world_pops(w);
	assert_int_equal(buf.head, 1);
	vio_devq_push(&w->q, &buf, 1);
	vio_devq_notify(&w->q);
	assert_int_equal(test_ring_used_id(&w->ring, (uint16_t)(test_ring_used_idx(&w->ring) - 1)), 1);
}

/* hostile: A65; both flags the same is what the device writes, and not an offer. spec: DEV-PACKED-005 */
static void flags_both_flipped(struct test_world *w)
{
	static const unsigned states[] = { 0, PACKED_STATE_FLAGS };
	struct vio_buf buf;
	uint16_t first;
	unsigned i;

	single(w, 0);
	first = test_packed_lay(&w->ring, 0, 0);
	for (i = 0; i < VIO_ARRAY_SIZE(states); i++) {
		w->ring.packed[packed_offset(first)].flags = vio_le16_make((uint16_t)(F_WRITE | states[i]));
		assert_false(vio_devq_pop(&w->q, &buf));
		assert_false(vio_devq_broken(&w->q));
	}
	test_packed_show(&w->ring, first);
	buf = test_world_pops(w);
	vio_devq_push(&w->q, &buf, 1);
	vio_devq_notify(&w->q);
}

/* hostile: A66: available by the other wrap counter is not available. */
static void wrap_counter_lies(struct test_world *w)
{
	struct vio_buf buf;
	uint16_t first;

	single(w, 0);
	first = test_packed_lay(&w->ring, 0, 0);
	test_packed_show(&w->ring, first ^ PVIRTQ_WRAP);
	assert_false(vio_devq_pop(&w->q, &buf));
	assert_false(vio_devq_broken(&w->q));
}

/* hostile: A67, the first is shown before the others are there. spec: DRV-PACKED-010 */
static void part_of_a_list(struct test_world *w)
{
	unsigned count = w->ring.size > 2 ? 3 : 2, i;
	uint16_t first, last;

	for (i = 0; i < count; i++)
		test_ring_desc(&w->ring, i, WORLD_LOW, 1, i + 1 < count ? F_NEXT : 0, i + 1);
	first = test_packed_lay(&w->ring, 0, 0);
	last = packed_advance(first, (uint16_t)(count - 1), w->ring.size);
	test_packed_show(&w->ring, last ^ PVIRTQ_WRAP);
	test_packed_show(&w->ring, first);
	test_world_faults(w, VIO_FAULT_CHAIN_PART, packed_offset(last), flags_at(w, last));
}

/* hostile: A68, from each offset, so that it wraps at each of its descriptors. */
static void list_across_the_wrap(struct test_world *w)
{
	unsigned size = w->ring.size, turns = size > 64 ? 64 : 3 * size, count = size > 2 ? 3 : 2, i;
	struct vio_buf buf;
	char text[4] = "";

	test_memory_put(&w->memory, WORLD_LOW, "abc", 3);
	for (i = 0; i < count; i++)
		test_ring_desc(&w->ring, i, WORLD_LOW + i, 1, i + 1 < count ? F_NEXT : 0, i + 1);
	for (i = 0; i < turns; i++) {
		test_ring_offer(&w->ring, 0);
		buf = test_world_pops(w);
		assert_int_equal(vio_read(&buf, text, 4), count);
		assert_memory_equal(text, "abc", count);
		vio_devq_push(&w->q, &buf, 0);
		vio_devq_notify(&w->q);
		test_ring_used_idx(&w->ring);
	}
}

/* hostile: A69; behind the last entry comes the first again, which isn't available twice. */
static void list_longer_than_the_ring(struct test_world *w)
{
	unsigned i;
	uint16_t first;

	for (i = 0; i < w->ring.size; i++)
		test_ring_desc(&w->ring, i, WORLD_LOW, 1, F_NEXT, (i + 1u) % w->ring.size);
	first = test_packed_lay(&w->ring, 0, 0);
	test_packed_show(&w->ring, first);
	test_world_faults(w, VIO_FAULT_CHAIN_PART, packed_offset(first), flags_at(w, first));
}

/* hostile: A52 A69: more than the ring has room for, while what is in front of it is out. */
static void overtakes_itself(struct test_world *w)
{
	unsigned size = w->ring.size, i;
	uint16_t first;

	for (i = 0; i < size; i++) {
		single(w, i);
		test_ring_offer(&w->ring, i);
	}
	for (i = 0; i < size; i++)
		test_world_pops(w);
	single(w, 0);
	first = test_packed_lay(&w->ring, 0, 0);
	test_packed_show(&w->ring, first);
	test_world_faults(w, VIO_FAULT_AVAIL_IDX, packed_offset(first), size + 1u);
}

/* hostile: A51, all entries out at once, and back the other way round. spec: DEV-PACKED-002 */
static void all_in_flight(struct test_world *w)
{
	unsigned size = w->ring.size, i;
	uint16_t used = test_ring_used_idx(&w->ring);
	struct vio_buf *bufs = malloc(size * sizeof(*bufs));
	bool in_order = w->features & TEST_IN_ORDER;

	assert_non_null(bufs);
	for (i = 0; i < size; i++)
		single(w, i);
	for (i = 0; i < size; i++)
		test_ring_offer(&w->ring, (i + 1) % size);
	for (i = 0; i < size; i++) {
		bufs[i] = test_world_pops(w);
		assert_int_equal(bufs[i].head, (i + 1) % size);
	}
	assert_false(vio_devq_pop(&w->q, &bufs[0]) || vio_devq_broken(&w->q));
	for (i = size; i-- > 0;)
		vio_devq_push(&w->q, &bufs[i], 0);
	vio_devq_notify(&w->q);
	/* In order they are as they came, or the last one stands for all. */
	if (!in_order) {
		assert_int_equal(test_ring_used_idx(&w->ring), (uint16_t)(used + size));
		for (i = 0; i < size; i++)
			assert_int_equal(test_ring_used_id(&w->ring, (uint16_t)(used + i)),
					 (2 * size - i) % size);
	}
	assert_int_equal(w->q.in_flight, 0);
	free(bufs);
}

WORLD_PACKED(1, WORLD_ANY, id_is_size)
WORLD_PACKED(1, WORLD_ANY, id_all_ones)
WORLD_PACKED(2, WORLD_ANY, id_twice)
WORLD_PACKED(2, WORLD_ANY, id_of_the_last)
WORLD_PACKED(1, WORLD_ANY, flags_both_flipped)
WORLD_PACKED(1, WORLD_ANY, wrap_counter_lies)
WORLD_PACKED(2, WORLD_ANY, part_of_a_list)
WORLD_PACKED(2, WORLD_ANY, list_across_the_wrap)
WORLD_PACKED(1, WORLD_ANY, list_longer_than_the_ring)
WORLD_PACKED(1, WORLD_ANY, overtakes_itself)
WORLD_PACKED(1, WORLD_ANY, all_in_flight)

struct bad_start {
	uint64_t descriptor_area, driver_area, device_area;
	enum vio_fault_kind kind;
	uint64_t value;
};

static struct vio_devq_config start_config(const struct test_world *w, const struct bad_start *areas)
{
	struct vio_devq_config config = test_ring_config(&w->ring, 0, w->features);

	config.descriptor_area = vio_addr_make(areas->descriptor_area);
	config.driver_area = vio_addr_make(areas->driver_area);
	config.device_area = vio_addr_make(areas->device_area);
	return config;
}

/* hostile: A75 A77 A78 */
static void test_start_refuses_areas(void **state)
{
	const uint64_t low = WORLD_LOW, high = WORLD_HIGH, far = WORLD_FAR,
		       end = WORLD_FAR + WORLD_DATA_BYTES;
	const struct bad_start bads[] = {
		/* Misaligned. */
		{ low + 8, high, far, VIO_FAULT_RING_MEMORY, low + 8 },
		{ low, high + 2, far, VIO_FAULT_RING_MEMORY, high + 2 },
		{ low, high, far + 2, VIO_FAULT_RING_MEMORY, far + 2 },
		/* Outside, over an end, at the end of the address space. */
		{ WORLD_HOLE, high, far, VIO_FAULT_RING_MEMORY, WORLD_HOLE },
		{ end - 96, high, low, VIO_FAULT_RING_MEMORY, end - 96 },
		{ low, end, high, VIO_FAULT_RING_MEMORY, end },
		{ low, high, WORLD_LOW - 4, VIO_FAULT_RING_MEMORY, WORLD_LOW - 4 },
		{ UINT64_MAX - 15, high, far, VIO_FAULT_RING_MEMORY, UINT64_MAX - 15 },
		{ low, UINT64_MAX - 3, far, VIO_FAULT_RING_MEMORY, UINT64_MAX - 3 },
		/* Over two regions that are no neighbours in the host. */
		{ high - 64, far, low, VIO_FAULT_RING_MEMORY, high - 64 },
		/* Without the right: the device writes the descriptors, too. */
		{ WORLD_ROM, high, far, VIO_FAULT_RING_MEMORY, WORLD_ROM },
		{ low, high, WORLD_ROM, VIO_FAULT_RING_MEMORY, WORLD_ROM },
		/* Overlapping. */
		{ low, low, far, VIO_FAULT_RING_OVERLAP, far },
		{ low, low + 108, far, VIO_FAULT_RING_OVERLAP, far },
		{ low, high, low + 108, VIO_FAULT_RING_OVERLAP, low + 108 },
		{ low, high, high, VIO_FAULT_RING_OVERLAP, high },
	};
	struct vio_devq_config config;
	struct test_world w;
	struct vio_buf buf;
	unsigned i;

	test_world_open(&w, 7, 0, TEST_EVENT | TEST_PACKED);
	for (i = 0; i < VIO_ARRAY_SIZE(bads); i++) {
		config = start_config(&w, &bads[i]);
		vio_devq_stop(&w.q);
		assert_int_equal(vio_devq_start(&w.q, &w.memory.mem, &config), -VIO_EPEER);
		assert_int_equal(w.q.fault.kind, bads[i].kind);
		assert_int_equal(w.q.fault.value, bads[i].value);
		assert_false(w.q.running);
		assert_false(vio_devq_pop(&w.q, &buf));
		vio_devq_notify(&w.q);
		test_world_serves(&w);
	}
	test_world_close(&w);
}

/* As tight as they may be, the driver's in read-only memory. */
static void test_start_accepts_areas(void **state)
{
	const uint64_t end = WORLD_FAR + WORLD_DATA_BYTES;
	const struct bad_start goods[] = {
		{ end - 112, WORLD_LOW, WORLD_HIGH, VIO_FAULT_NONE, 0 },
		{ WORLD_LOW, end - 4, WORLD_HIGH, VIO_FAULT_NONE, 0 },
		{ WORLD_LOW, WORLD_HIGH, end - 4, VIO_FAULT_NONE, 0 },
		{ WORLD_LOW, WORLD_LOW + 112, WORLD_LOW + 116, VIO_FAULT_NONE, 0 },
		{ WORLD_LOW, WORLD_ROM, WORLD_FAR, VIO_FAULT_NONE, 0 },
	};
	struct vio_devq_config config;
	struct test_world w;
	struct vio_buf buf;
	unsigned i;

	test_world_open(&w, 7, 0, TEST_EVENT | TEST_PACKED);
	vio_devq_stop(&w.q);
	for (i = 0; i < VIO_ARRAY_SIZE(goods); i++) {
		config = start_config(&w, &goods[i]);
		assert_int_equal(vio_devq_start(&w.q, &w.memory.mem, &config), 0);
		assert_false(vio_devq_pop(&w.q, &buf));
		assert_int_equal(w.q.fault.kind, VIO_FAULT_NONE);
		assert_int_equal(vio_devq_stop(&w.q).avail, PVIRTQ_WRAP);
	}
	test_world_close(&w);
}

/* hostile: A80: any size from 1 on is legal, none beyond what was offered. */
static void test_start_sizes(void **state)
{
	static const uint16_t refused[] = { 0, 9, 10, 16, 0x8000, 0x8001, 0xffff };
	struct vio_devq_config config;
	struct test_world w;
	unsigned i;

	test_world_open(&w, 8, 0, TEST_EVENT | TEST_PACKED);
	config = test_ring_config(&w.ring, 0, TEST_EVENT);
	assert_int_equal(vio_devq_start(&w.q, &w.memory.mem, &config), -VIO_EBUSY);
	vio_devq_stop(&w.q);
	for (i = 0; i < VIO_ARRAY_SIZE(refused); i++) {
		config.size = refused[i];
		assert_int_equal(vio_devq_start(&w.q, &w.memory.mem, &config), -VIO_EINVAL);
		assert_false(w.q.running);
	}
	for (i = 1; i <= 8; i++) {
		config.size = (uint16_t)i;
		assert_int_equal(vio_devq_start(&w.q, &w.memory.mem, &config), 0);
		vio_devq_stop(&w.q);
	}
	test_world_serves(&w);
	test_world_close(&w);
}

/* hostile: A66: positions that no queue of this size can have stood at. */
static void test_start_positions(void **state)
{
	static const struct {
		struct vio_devq_position at;
		bool legal;
	} cases[] = {
		{ { PVIRTQ_WRAP, PVIRTQ_WRAP }, true },
		{ { 0, 0 }, true },
		{ { 6, 6 }, true },
		{ { PVIRTQ_WRAP | 6, PVIRTQ_WRAP | 2 }, true },
		{ { 2, PVIRTQ_WRAP | 6 }, true }, /* over the end */
		{ { 3, PVIRTQ_WRAP | 3 }, true }, /* everything is out */
		{ { 7, 7 }, false },
		{ { 0, 7 }, false },
		{ { PVIRTQ_WRAP | 7, PVIRTQ_WRAP }, false },
		{ { 0x7fff, 0 }, false },
		{ { 0xffff, 0xffff }, false },
		{ { 2, 3 }, false },               /* used before it was taken */
		{ { 4, PVIRTQ_WRAP | 3 }, false }, /* more out than there is room for */
	};
	struct vio_devq_config config;
	struct test_world w;
	unsigned i;

	test_world_open(&w, 7, 0, TEST_EVENT | TEST_PACKED);
	vio_devq_stop(&w.q);
	config = test_ring_config(&w.ring, 0, TEST_EVENT);
	for (i = 0; i < VIO_ARRAY_SIZE(cases); i++) {
		struct vio_devq_position at;

		config.at = cases[i].at;
		assert_int_equal(vio_devq_start(&w.q, &w.memory.mem, &config),
				 cases[i].legal ? 0 : -VIO_EINVAL);
		if (!cases[i].legal)
			continue;
		at = vio_devq_stop(&w.q);
		assert_int_equal(at.avail, cases[i].at.avail);
		assert_int_equal(at.used, cases[i].at.used);
	}
	test_world_serves(&w);
	test_world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packed_id_is_size),
		cmocka_unit_test(packed_id_all_ones),
		cmocka_unit_test(packed_id_twice),
		cmocka_unit_test(packed_id_of_the_last),
		cmocka_unit_test(packed_flags_both_flipped),
		cmocka_unit_test(packed_wrap_counter_lies),
		cmocka_unit_test(packed_part_of_a_list),
		cmocka_unit_test(packed_list_across_the_wrap),
		cmocka_unit_test(packed_list_longer_than_the_ring),
		cmocka_unit_test(packed_overtakes_itself),
		cmocka_unit_test(packed_all_in_flight),
		cmocka_unit_test(test_start_refuses_areas),
		cmocka_unit_test(test_start_accepts_areas),
		cmocka_unit_test(test_start_sizes),
		cmocka_unit_test(test_start_positions),
	};

	return cmocka_run_group_tests_name("hostile: packed rings", tests, NULL, NULL);
}
