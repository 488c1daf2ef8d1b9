/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/test.h"

#include <string.h>

#include "lib/world.h"

/* The device's side of a split ring: chains, tables, many at once, in order, and what legacy drivers ask. */

#define TABLE (WORLD_FAR + 0x1000)

static void single(struct test_world *w, unsigned head, uint32_t length, unsigned flags)
{
	test_ring_desc(&w->ring, head, WORLD_LOW + 64 * head, length, flags, 0);
	test_ring_offer(&w->ring, head);
}

static void offer_table(struct test_world *w, uint64_t at, unsigned count)
{
	unsigned i;

	for (i = 0; i < count; i++)
		test_table_desc(&w->memory, at, i, WORLD_LOW + 64 * i, 4,
				(i + 1 < count ? F_NEXT : 0u) | (i ? F_WRITE : 0u), i + 1);
	test_ring_desc(&w->ring, 0, at, 16 * count, F_INDIRECT | F_WRITE, 0);
	test_ring_offer(&w->ring, 0);
}

/* spec: DEV-SPLIT-005 DEV-SPLIT-006 */
static void test_tables(void **state)
{
	static const uint64_t places[] = { TABLE, TABLE + 4, WORLD_HIGH - 16, WORLD_HIGH - 20 };
	struct test_world w;
	struct vio_buf buf;
	unsigned i;

	test_world_open(&w, 4, 0, TEST_INDIRECT);
	for (i = 0; i < VIO_ARRAY_SIZE(places); i++) {
		offer_table(&w, places[i], 3);
		buf = test_world_pops(&w);
		assert_int_equal(buf.readable_bytes, 4);
		assert_int_equal(buf.writable_bytes, 8);
		vio_devq_push(&w.q, &buf, 1);
		vio_devq_notify(&w.q);
		test_ring_desc(&w.ring, 1, WORLD_FAR, 7, F_NEXT, 0);
		test_ring_offer(&w.ring, 1);
		buf = test_world_pops(&w);
		assert_int_equal(buf.readable_bytes, 11);
		vio_devq_push(&w.q, &buf, 1);
		vio_devq_notify(&w.q);
	}
	test_world_close(&w);
}

struct bad {
	unsigned flags, next; /* of descriptor 0 */
	uint64_t addr;
	uint32_t len;
	unsigned inner_flags, inner_next; /* of entries 0 and 1 of the table, and of descriptor 1 */
	enum vio_fault_kind kind;
	uint32_t index;
	uint64_t value;
};

static const struct bad bads[] = {
	{ F_NEXT, 4, WORLD_LOW, 1, 0, 0, VIO_FAULT_NEXT_RANGE, 0, 4 },
	{ F_NEXT, 0, WORLD_LOW, 1, 0, 0, VIO_FAULT_CHAIN_LOOP, 0, 4 },
	{ F_WRITE | F_NEXT, 1, WORLD_LOW, 1, 0, 0, VIO_FAULT_READ_AFTER_WRITE, 1, 0 },
	{ 0, 0, WORLD_HOLE, 1, 0, 0, VIO_FAULT_BUFFER_MEMORY, 0, WORLD_HOLE },
	{ 0, 0, WORLD_HOLE - 1, 2, 0, 0, VIO_FAULT_BUFFER_MEMORY, 0, WORLD_HOLE - 1 },
	{ F_WRITE, 0, WORLD_ROM, 1, 0, 0, VIO_FAULT_BUFFER_MEMORY, 0, WORLD_ROM },
	{ F_INDIRECT | F_NEXT, 1, TABLE, 32, 0, 0, VIO_FAULT_INDIRECT_NEXT, 0, F_INDIRECT | F_NEXT },
	{ F_INDIRECT, 0, TABLE, 0, 0, 0, VIO_FAULT_INDIRECT_LENGTH, 0, 0 },
	{ F_INDIRECT, 0, TABLE, 24, 0, 0, VIO_FAULT_INDIRECT_LENGTH, 0, 24 },
	{ F_INDIRECT, 0, TABLE, 80, 0, 0, VIO_FAULT_INDIRECT_LENGTH, 0, 80 },
	{ F_INDIRECT, 0, WORLD_HOLE, 32, 0, 0, VIO_FAULT_INDIRECT_MEMORY, 0, WORLD_HOLE },
	{ F_INDIRECT, 0, TABLE, 32, F_INDIRECT, 0, VIO_FAULT_INDIRECT_NESTED, 0, F_INDIRECT },
	{ F_INDIRECT, 0, TABLE, 32, F_NEXT, 2, VIO_FAULT_NEXT_RANGE, 0, 2 },
	{ F_INDIRECT, 0, TABLE, 32, F_NEXT, 0, VIO_FAULT_CHAIN_LOOP, 0, 2 },
	{ F_INDIRECT, 0, TABLE, 32, 0, 0, VIO_FAULT_BUFFER_MEMORY, 0, WORLD_HOLE },
};

static void test_faults(void **state)
{
	struct test_world w;
	unsigned i;

	for (i = 0; i < VIO_ARRAY_SIZE(bads); i++) {
		const struct bad *bad = &bads[i];
		uint64_t inner = bad->kind == VIO_FAULT_BUFFER_MEMORY ? WORLD_HOLE : WORLD_LOW;

		test_world_open(&w, 4, 65534, TEST_INDIRECT);
		test_table_desc(&w.memory, TABLE, 0, inner, 1, bad->inner_flags, bad->inner_next);
		test_table_desc(&w.memory, TABLE, 1, inner, 1, bad->inner_flags, bad->inner_next);
		test_ring_desc(&w.ring, 1, WORLD_LOW, 1, 0, 0);
		test_ring_desc(&w.ring, 0, bad->addr, bad->len, bad->flags, bad->next);
		test_ring_offer(&w.ring, 0);
		test_world_faults(&w, bad->kind, bad->index, bad->value);
		test_world_close(&w);
	}
}

/* Direct and in a table count together; more than 2^32 bytes are too many; an index too far. */
static void test_sums(void **state)
{
	static const uint64_t big = UINT64_C(0x1000000000);
	struct test_world w;
	struct vio_buf buf;

	test_world_open(&w, 2, 0, TEST_INDIRECT);
	test_ring_desc(&w.ring, 1, TABLE, 32, F_INDIRECT, 0);
	test_table_desc(&w.memory, TABLE, 0, WORLD_LOW, 1, F_NEXT, 1);
	test_table_desc(&w.memory, TABLE, 1, WORLD_LOW, 1, 0, 0);
	test_ring_desc(&w.ring, 0, WORLD_LOW, 1, F_NEXT, 1);
	test_ring_offer(&w.ring, 0);
	test_world_faults(&w, VIO_FAULT_CHAIN_LOOP, 1, 3);
	test_ring_avail_idx(&w.ring, w.ring.avail_idx + 3u);
	test_world_faults(&w, VIO_FAULT_AVAIL_IDX, 0, w.ring.avail_idx);
	test_ring_offer(&w.ring, 2);
	test_world_faults(&w, VIO_FAULT_HEAD_RANGE, w.q.avail_next & 1u, 2);
	test_world_close(&w);

	test_world_open(&w, 4, 0, TEST_PLAIN);
	test_memory_add(&w.memory, big, UINT64_C(1) << 31, TEST_RW);
	test_ring_desc(&w.ring, 0, big, 1u << 31, F_WRITE | F_NEXT, 1);
	test_ring_desc(&w.ring, 1, big, 1u << 31, F_WRITE | F_NEXT, 2);
	test_ring_desc(&w.ring, 2, WORLD_LOW, 0, F_WRITE, 2);
	test_ring_offer(&w.ring, 0);
	buf = test_world_pops(&w);
	assert_int_equal(buf.writable_bytes, UINT64_C(1) << 32);
	assert_int_equal(buf.writable_limit, UINT32_MAX);
	test_ring_desc(&w.ring, 3, WORLD_HIGH - 2, 4, F_WRITE, 0);
	test_ring_offer(&w.ring, 3);
	assert_true(vio_devq_pop(&w.q, &buf));
	assert_int_equal(buf.writable_count, 2); /* neighbours by bus address alone */
	test_ring_offer(&w.ring, 3);
	assert_false(vio_devq_pop(&w.q, &buf));
	assert_int_equal(w.q.fault.kind, VIO_FAULT_HEAD_BUSY);
	vio_devq_push(&w.q, &buf, 1);
	assert_int_equal(w.q.in_flight, 1);
	test_world_serves(&w);
	test_ring_desc(&w.ring, 0, big, 1u << 31, F_WRITE | F_NEXT, 1);
	test_ring_desc(&w.ring, 1, big, 1u << 31, F_WRITE | F_NEXT, 2);
	test_ring_desc(&w.ring, 2, WORLD_LOW, 1, F_WRITE, 2);
	test_ring_offer(&w.ring, 0);
	test_world_faults(&w, VIO_FAULT_CHAIN_LENGTH, 2, (UINT64_C(1) << 32) + 1);
	test_world_close(&w);
}

static bool fickle(void *context, struct vio_addr addr, unsigned access, struct vio_region *found)
{
	*found = *(const struct vio_region *)context;
	return addr.raw % 0x1000 < 0x20;
}

/* A table that was there when it was judged and isn't when it is read. */
static void test_table_goes_away(void **state)
{
	struct test_world w;
	struct vio_buf buf;

	test_world_open(&w, 4, 0, TEST_INDIRECT);
	test_table_desc(&w.memory, TABLE + 4, 0, WORLD_LOW, 4, F_NEXT, 2);
	test_ring_desc(&w.ring, 0, WORLD_HOLE + 4, 48, F_INDIRECT, 0);
	test_ring_offer(&w.ring, 0);
	w.memory.mem.translate = fickle;
	w.memory.mem.translate_context =
		&(struct vio_region){ vio_addr_make(WORLD_HOLE), 0x1000, test_memory_at(&w.memory, TABLE),
				      VIO_MEM_READ };
	assert_false(vio_devq_pop(&w.q, &buf));
	assert_int_equal(w.q.fault.kind, VIO_FAULT_INDIRECT_MEMORY);
	assert_int_equal(w.q.fault.value, WORLD_HOLE + 4);
	w.memory.mem.translate = NULL;
	test_world_close(&w);
}

static void test_many(void **state)
{
	static const uint32_t written[8] = { 1, 2, 3, 99, 5, 6, 7, 8 };
	struct vio_buf bufs[8], old;
	struct test_world w;
	unsigned turn, i;

	test_world_open(&w, 8, 65530, TEST_PLAIN);
	for (turn = 0; turn < 10; turn++) {
		const uint16_t used = test_ring_used_idx(&w.ring);

		assert_int_equal(vio_devq_pop_many(&w.q, bufs, 8), 0);
		for (i = 0; i < 6; i++)
			single(&w, i, 4, i == 1 ? 0 : F_WRITE);
		test_ring_desc(&w.ring, 6, WORLD_LOW, 4, F_NEXT | F_WRITE, 7);
		test_ring_desc(&w.ring, 7, WORLD_HIGH, 4, F_WRITE, 0);
		test_ring_offer(&w.ring, 6);
		vio_devq_set_budget(&w.q, 2);
		assert_int_equal(vio_devq_pop_many(&w.q, bufs, 8), 2);
		assert_int_equal(vio_devq_pop_many(&w.q, bufs, 8), 0);
		vio_devq_set_budget(&w.q, VIO_DEVQ_NO_BUDGET);
		assert_int_equal(vio_devq_pop_many(&w.q, bufs + 2, 3), 3);
		assert_int_equal(vio_devq_pop_many(&w.q, bufs + 5, 3), 2);
		assert_int_equal(bufs[6].writable_bytes, 8);
		vio_devq_push_many(&w.q, bufs, written, 7);
		assert_int_equal(w.q.in_flight, 0);
		vio_devq_notify(&w.q);
		assert_int_equal(test_ring_used_idx(&w.ring), (uint16_t)(used + 7));
		for (i = 0; i < 7; i++) {
			assert_int_equal(test_ring_used_id(&w.ring, (uint16_t)(used + i)), i);
			assert_int_equal(test_ring_used_len(&w.ring, (uint16_t)(used + i)),
					 i == 1           ? 0
					 : i == 6         ? 7
					 : written[i] > 4 ? 4
							  : written[i]);
		}
	}
	old = bufs[0];
	old.generation--;
	vio_devq_push_many(&w.q, &old, written, 1);
	assert_int_equal(w.q.used_next, w.q.used_visible);
	/* A fault ends a batch; what came before it is taken. */
	single(&w, 0, 4, 0);
	single(&w, 1, 4, 0);
	single(&w, 1, 4, 0);
	assert_int_equal(vio_devq_pop_many(&w.q, bufs, 8), 2);
	assert_int_equal(w.q.fault.kind, VIO_FAULT_HEAD_BUSY);
	assert_int_equal(vio_devq_pop_many(&w.q, bufs + 2, 8), 0);
	vio_devq_push_many(&w.q, bufs, written, 2);
	assert_int_equal(w.q.in_flight, 0);
	test_world_close(&w);
}

static void test_many_and_a_bad_chain(void **state)
{
	struct vio_buf bufs[4];
	struct test_world w;

	test_world_open(&w, 4, 0, TEST_PLAIN);
	single(&w, 0, 4, 0);
	test_ring_desc(&w.ring, 1, WORLD_HOLE, 4, F_NEXT, 2);
	test_ring_offer(&w.ring, 1);
	assert_int_equal(vio_devq_pop_many(&w.q, bufs, 4), 1);
	assert_int_equal(w.q.fault.kind, VIO_FAULT_BUFFER_MEMORY);
	assert_int_equal(w.q.in_flight, 1);
	assert_int_equal(w.q.avail_next, 1);
	test_world_close(&w);

	/* No memory at all any more. */
	test_world_open(&w, 4, 0, TEST_PLAIN);
	single(&w, 0, 4, 0);
	w.memory.mem.count = 0;
	assert_false(vio_devq_pop(&w.q, bufs));
	assert_int_equal(w.q.fault.kind, VIO_FAULT_BUFFER_MEMORY);
	test_world_close(&w);
}

/* Each bad one behind a good one, which is taken; in order and not. */
static void offer_bad(struct test_world *w, unsigned which)
{
	test_ring_desc(&w->ring, 1, WORLD_FAR, which == 2 ? 8 : 48, F_INDIRECT, 0);
	test_table_desc(&w->memory, WORLD_FAR, 0, WORLD_LOW, 4, F_NEXT | (which == 3 ? F_INDIRECT : 0), 1);
	test_table_desc(&w->memory, WORLD_FAR, 1, which == 4 ? WORLD_HOLE : WORLD_LOW, 4, F_NEXT, 2);
	test_table_desc(&w->memory, WORLD_FAR, 2, WORLD_LOW, 4, 0, 0);
	if (which == 5) { /* two and three are more than there are in the ring */
		test_ring_desc(&w->ring, 1, WORLD_LOW, 4, F_NEXT, 2);
		test_ring_desc(&w->ring, 2, WORLD_LOW, 4, F_NEXT, 3);
		test_ring_desc(&w->ring, 3, WORLD_FAR, 48, F_INDIRECT, 0);
	}
	test_ring_offer(&w->ring, which == 0 ? 4 : which == 1 ? 0 : 1);
}

static void test_many_and_a_bad_one(void **state)
{
	static const enum vio_fault_kind faults[] = { VIO_FAULT_HEAD_RANGE,
						      VIO_FAULT_HEAD_BUSY,
						      VIO_FAULT_INDIRECT_LENGTH,
						      VIO_FAULT_INDIRECT_NESTED,
						      VIO_FAULT_BUFFER_MEMORY,
						      VIO_FAULT_CHAIN_LOOP,
						      VIO_FAULT_NONE };
	unsigned which, ordered;

	for (ordered = 0; ordered < 2; ordered++)
		for (which = 0; which < sizeof(faults) / sizeof(faults[0]); which++) {
			const unsigned good = faults[which] == VIO_FAULT_NONE ? 2 : 1;
			struct vio_buf bufs[4];
			struct test_world w;

			test_world_open(&w, 4, 65535, TEST_INDIRECT | (ordered ? TEST_IN_ORDER : 0));
			single(&w, 0, 4, F_WRITE);
			offer_bad(&w, which);
			assert_int_equal(vio_devq_pop_many(&w.q, bufs, 4), good);
			assert_int_equal(w.q.fault.kind, faults[which]);
			assert_int_equal(w.q.in_flight, good);
			assert_int_equal(w.q.avail_next, (uint16_t)(65535 + good));
			assert_int_equal(bufs[0].writable_bytes, 4);
			assert_true(good == 1 || bufs[1].readable_bytes == 12);
			test_world_close(&w);
		}
}

/* spec: DEV-BASIC-027 */
static void test_in_order(void **state)
{
	static const uint32_t whole[4] = { 4, 4, 4, 4 };
	struct vio_buf bufs[4];
	struct test_world w;
	unsigned turn, i;

	test_world_open(&w, 4, 65531, TEST_PLAIN | TEST_BIT(VIRTIO_F_IN_ORDER));
	for (turn = 0; turn < 11; turn++) {
		const uint16_t used = test_ring_used_idx(&w.ring);

		for (i = 0; i < 3; i++)
			single(&w, i, 4, 0);
		assert_int_equal(vio_devq_pop_many(&w.q, bufs, 4), 3);
		vio_devq_push(&w.q, &bufs[2], 0);
		vio_devq_push(&w.q, &bufs[1], 0);
		vio_devq_notify(&w.q);
		assert_int_equal(test_ring_used_idx(&w.ring), used);
		vio_devq_push(&w.q, &bufs[0], 0);
		vio_devq_notify(&w.q);
		/* One element, at the place of the first, that names the last. */
		assert_int_equal(test_ring_used_idx(&w.ring), (uint16_t)(used + 3));
		assert_int_equal(test_ring_used_id(&w.ring, used), 2);
		for (i = 0; i < 2; i++)
			single(&w, i, 4, F_WRITE);
		assert_int_equal(vio_devq_pop_many(&w.q, bufs, 4), 2);
		vio_devq_push_many(&w.q, bufs, whole, 2);
		vio_devq_notify(&w.q);
		/* What the driver receives into is told one by one. */
		assert_int_equal(test_ring_used_id(&w.ring, (uint16_t)(used + 3)), 0);
		assert_int_equal(test_ring_used_id(&w.ring, (uint16_t)(used + 4)), 1);
		vio_devq_push_many(&w.q, &(struct vio_buf){ .generation = w.q.generation + 1 }, whole, 1);
		assert_int_equal(w.q.in_flight, 0);
	}
	single(&w, 0, 4, 0);
	bufs[0] = test_world_pops(&w);
	vio_devq_unpop(&w.q, &bufs[0]);
	bufs[0] = test_world_pops(&w);
	assert_int_equal(w.q.in_flight, 1);
	vio_devq_push(&w.q, &bufs[0], 0);
	test_world_close(&w);
}

/* spec: DEV-BASIC-031 */
static void test_notify_on_empty(void **state)
{
	struct vio_buf bufs[2];
	struct test_world w;
	unsigned legacy;

	for (legacy = 0; legacy < 2; legacy++) {
		test_world_open(&w, 4, 0, TEST_BIT(VIRTIO_F_NOTIFY_ON_EMPTY) | (legacy ? 0 : TEST_PLAIN));
		test_ring_avail_flags(&w.ring, VIRTQ_AVAIL_F_NO_INTERRUPT);
		single(&w, 0, 4, 0);
		single(&w, 1, 4, 0);
		assert_int_equal(vio_devq_pop_many(&w.q, bufs, 2), 2);
		vio_devq_push(&w.q, &bufs[0], 0);
		vio_devq_notify(&w.q);
		assert_int_equal(w.interrupts, 0);
		single(&w, 2, 4, 0);
		vio_devq_push(&w.q, &bufs[1], 0);
		vio_devq_notify(&w.q);
		assert_int_equal(w.interrupts, 0);
		bufs[0] = test_world_pops(&w);
		vio_devq_push(&w.q, &bufs[0], 0);
		vio_devq_notify(&w.q);
		assert_int_equal(w.interrupts, legacy);
		test_world_close(&w);
	}
}

/* Rings that aren't where they could be, sizes that can't be; VIRTIO_F_ORDER_PLATFORM asks for nothing. */
static void test_start(void **state)
{
	static const uint16_t sizes[] = { 0, 3, 16, 32769 };
	struct vio_devq_config config, wrong;
	struct test_world w;
	unsigned i;

	test_world_open(&w, 8, 0, TEST_PLAIN | TEST_BIT(VIRTIO_F_ORDER_PLATFORM));
	vio_devq_stop(&w.q);
	config = test_ring_config(&w.ring, 0, TEST_PLAIN);
	for (i = 0; i < VIO_ARRAY_SIZE(sizes); i++) {
		wrong = config;
		wrong.size = sizes[i];
		assert_int_equal(vio_devq_start(&w.q, &w.memory.mem, &wrong), -VIO_EINVAL);
	}
	wrong = config;
	wrong.descriptor_area = vio_addr_make(WORLD_HOLE);
	wrong.driver_area = vio_addr_make(WORLD_LOW + 1);
	assert_int_equal(vio_devq_start(&w.q, &w.memory.mem, &wrong), -VIO_EPEER);
	assert_int_equal(w.q.fault.kind, VIO_FAULT_RING_MEMORY);
	assert_int_equal(w.q.fault.value, WORLD_HOLE);
	for (i = 0; i < 3; i++) {
		wrong = config;
		if (i == 0)
			wrong.driver_area = config.descriptor_area;
		else if (i == 1)
			wrong.device_area = config.descriptor_area;
		else
			wrong.driver_area = config.device_area;
		assert_int_equal(vio_devq_start(&w.q, &w.memory.mem, &wrong), -VIO_EPEER);
		assert_int_equal(w.q.fault.kind, VIO_FAULT_RING_OVERLAP);
	}
	test_world_serves(&w);
	test_world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tables),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_sums),
		cmocka_unit_test(test_table_goes_away),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_many_and_a_bad_chain),
		cmocka_unit_test(test_many_and_a_bad_one),
		cmocka_unit_test(test_in_order),
		cmocka_unit_test(test_notify_on_empty),
		cmocka_unit_test(test_start),
	};

	return cmocka_run_group_tests_name("the device's split queue", tests, NULL, NULL);
}
