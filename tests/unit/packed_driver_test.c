/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/test.h"

#include <stdlib.h>
#include <string.h>

#include "lib/pair.h"
#include "ring/packed.h"

/* The driver's packed ring against a device written here by hand, and IN_ORDER in both formats. */

#define PACKED (TEST_PLAIN | TEST_PACKED)

struct bench {
	struct test_pair pair;
	uint16_t used; /* where the device writes next */
	int tokens[8];
};

static void open_bench(struct bench *b, uint16_t size, uint64_t features, uint16_t indirect_max)
{
	const struct test_pair_config config = { size, indirect_max, 0, features | PACKED, 0 };

	memset(b, 0, sizeof(*b));
	test_pair_open(&b->pair, &config);
	b->used = PVIRTQ_WRAP;
}

static struct pvirtq_desc *at(const struct bench *b, uint16_t position)
{
	return &b->pair.ring.packed[packed_offset(position)];
}

/* As a device does, and as it shouldn't: a used descriptor, `count` further. */
static void use(struct bench *b, unsigned id, uint32_t length, uint16_t count)
{
	struct pvirtq_desc *desc = at(b, b->used);

	desc->id = vio_le16_make((uint16_t)id);
	desc->len = vio_le32_make(length);
	desc->flags = vio_le16_make(packed_used_flags(b->used));
	b->used = packed_advance(b->used, count, b->pair.ring.size);
}

static unsigned id_at(const struct bench *b, uint16_t position)
{
	return vio_le16_get(at(b, position)->id);
}

/* Adds `count` buffers of one writable byte, 4 apart, and shows them; returns where the first one is. */
static uint16_t expose(struct bench *b, unsigned count)
{
	uint16_t first = b->pair.drv.avail_next;
	unsigned i;

	for (i = 0; i < count; i++)
		assert_int_equal(test_pair_add(&b->pair, 4 * i, 1, &b->tokens[i]), 0);
	vio_drvq_kick(&b->pair.drv);
	return first;
}

static void expect_fault(struct bench *b, enum vio_fault_kind kind, uint32_t index, uint64_t value)
{
	struct vio_drvq *q = &b->pair.drv;
	uint16_t in_flight = q->in_flight, free_count = q->free_count, back = 0;
	uint32_t written = 77;
	void *tokens[2];

	assert_null(vio_drvq_get(q, &written));
	assert_int_equal(q->fault.kind, kind);
	assert_int_equal(q->fault.index, index);
	assert_int_equal(q->fault.value, value);
	assert_int_equal(written, 77);
	assert_int_equal(q->free_count, free_count);
	assert_int_equal(q->in_flight, in_flight);
	assert_null(vio_drvq_get(q, &written));
	assert_int_equal(vio_drvq_get_many(q, tokens, NULL, 2), 0);
	assert_null(vio_drvq_poll(q, NULL, 3));
	assert_false(vio_drvq_pending(q));
	assert_int_equal(test_pair_add(&b->pair, 0, 1, &b->tokens[0]), -VIO_EPEER);
	assert_false(vio_drvq_kick_prepare(q));
	vio_drvq_publish(q);
	while (vio_drvq_detach_unused(q))
		back++;
	assert_int_equal(back, in_flight);
	assert_int_equal(q->free_count, q->size);
	test_pair_close(&b->pair);
}

/* spec: DRV-PACKED-001; any size goes, and nothing else that is wrong. */
static void test_start(void **state)
{
	_Alignas(64) static uint8_t ring[4096], tables[1024], storage[4096];
	struct vio_drvq_config config = {
		.size = 7,
		.features = vio_features_low(PACKED | TEST_INDIRECT),
		.ring = { ring, vio_addr_make(0x1000) },
		.storage = storage,
		.indirect = { tables, vio_addr_make(0x4000) },
		.indirect_max = 4,
	};
	struct vio_drvq_config bad;
	struct vio_drvq q;

	memset(ring, 0xff, sizeof(ring));
	assert_int_equal(vio_drvq_start(&q, &config), 0);
	assert_int_equal(vio_drvq_descriptor_area(&q).raw, 0x1000);
	assert_int_equal(vio_drvq_driver_area(&q).raw % PVIRTQ_EVENT_ALIGN, 0);
	assert_true(vio_drvq_driver_area(&q).raw >= 0x1000 + 16 * 7);
	assert_true(vio_drvq_device_area(&q).raw >= vio_drvq_driver_area(&q).raw + 4);
	assert_int_equal(vio_drvq_device_area(&q).raw % 64, 0);
	assert_true(vio_drvq_device_area(&q).raw + 4 <= 0x1000 + vio_drvq_ring_bytes(7));
	assert_int_equal(vio_drvq_notification_data(&q), PVIRTQ_WRAP);
	bad = config;
	bad.size = 0;
	assert_int_equal(vio_drvq_start(&q, &bad), -VIO_EINVAL);
	bad.size = 32769;
	assert_int_equal(vio_drvq_start(&q, &bad), -VIO_EINVAL);
	bad = config;
	bad.ring.host = ring + 4;
	assert_int_equal(vio_drvq_start(&q, &bad), -VIO_EINVAL);
	bad = config;
	bad.features = vio_features_low(PACKED);
	assert_int_equal(vio_drvq_start(&q, &bad), -VIO_EINVAL);
}

/* spec: DRV-PACKED-005 DRV-PACKED-006 DRV-PACKED-008 DRV-PACKED-009 DRV-PACKED-013 */
static void test_room(void **state)
{
	struct vio_sg sg[6];
	struct bench b;
	unsigned i;

	open_bench(&b, 5, TEST_INDIRECT, 3);
	for (i = 0; i < 6; i++)
		sg[i] = (struct vio_sg){ vio_addr_make(PAIR_DATA + 16 * i), 16 };
	assert_int_equal(vio_drvq_add(&b.pair.drv, sg, 3, 3, &b), -VIO_EINVAL);
	assert_int_equal(vio_drvq_add(&b.pair.drv, sg, 2, 2, &b), 0); /* longer than a table: 4 */
	assert_int_equal(vio_drvq_add(&b.pair.drv, sg, 4, 0, &b), -VIO_ENOSPC);
	assert_int_equal(vio_drvq_add(&b.pair.drv, sg, 1, 2, &b), 0); /* a table: 1 */
	assert_int_equal(vio_drvq_add(&b.pair.drv, sg, 1, 0, &b), -VIO_ENOSPC);
	assert_int_equal(b.pair.drv.free_count, 0);
	test_pair_close(&b.pair);
}

/*
 * What is in the ring before and after a kick: nothing is available until all is, in one step.
 * spec: DRV-PACKED-003 DRV-PACKED-004 DRV-PACKED-007 DRV-PACKED-010 DRV-PACKED-015
 */
static void test_layout(void **state)
{
	const unsigned avail = VIRTQ_DESC_F_AVAIL, used = VIRTQ_DESC_F_USED;
	struct vio_sg sg[3];
	struct bench b;
	unsigned i;

	open_bench(&b, 5, 0, 0);
	test_pair_advance(&b.pair, 3);
	for (i = 0; i < 3; i++)
		sg[i] = (struct vio_sg){ vio_addr_make(PAIR_DATA + 32 * i), 10 + i };
	assert_int_equal(vio_drvq_add(&b.pair.drv, sg, 1, 2, &b.tokens[0]), 0);
	assert_int_equal(vio_drvq_add(&b.pair.drv, sg, 1, 0, &b.tokens[1]), 0);
	assert_int_equal(vio_drvq_notification_data(&b.pair.drv), 3 | PVIRTQ_WRAP);
	assert_int_equal(vio_le16_get(b.pair.ring.packed[3].flags), 0);
	vio_drvq_kick(&b.pair.drv);
	assert_int_equal(vio_drvq_notification_data(&b.pair.drv), 2);
	assert_int_equal(vio_le16_get(b.pair.ring.packed[3].flags), avail | F_NEXT);
	assert_int_equal(vio_le16_get(b.pair.ring.packed[4].flags), avail | F_NEXT | F_WRITE);
	assert_int_equal(vio_le16_get(b.pair.ring.packed[0].flags), used | F_WRITE); /* the next lap */
	assert_int_equal(vio_le16_get(b.pair.ring.packed[1].flags), used);
	for (i = 0; i < 3; i++) {
		assert_int_equal(vio_le64_get(b.pair.ring.packed[(3 + i) % 5].addr), sg[i].addr.raw);
		assert_int_equal(vio_le32_get(b.pair.ring.packed[(3 + i) % 5].len), sg[i].length);
	}
	assert_int_equal(vio_le16_get(b.pair.ring.packed[0].id), vio_le16_get(b.pair.ring.packed[3].id));
	assert_int_not_equal(vio_le16_get(b.pair.ring.packed[1].id), vio_le16_get(b.pair.ring.packed[3].id));
	test_pair_close(&b.pair);
}

/* spec: DRV-PACKED-011 DRV-PACKED-012 DRV-PACKED-014 */
static void test_table(void **state)
{
	const struct pvirtq_desc *desc, *table;
	struct vio_sg sg[3];
	struct bench b;
	unsigned i;

	open_bench(&b, 4, TEST_INDIRECT, 3);
	for (i = 0; i < 3; i++)
		sg[i] = (struct vio_sg){ vio_addr_make(PAIR_DATA + 32 * i), 10 + i };
	assert_int_equal(vio_drvq_add(&b.pair.drv, sg, 1, 2, &b.tokens[0]), 0);
	assert_int_equal(vio_drvq_add(&b.pair.drv, sg, 1, 0, &b.tokens[0]), 0); /* one alone needs no table */
	vio_drvq_kick(&b.pair.drv);
	desc = at(&b, PVIRTQ_WRAP);
	assert_int_equal(vio_le16_get(desc[0].flags), VIRTQ_DESC_F_AVAIL | F_INDIRECT);
	assert_int_equal(vio_le32_get(desc[0].len), 48);
	assert_int_equal(vio_le16_get(desc[1].flags), VIRTQ_DESC_F_AVAIL);
	table = (const struct pvirtq_desc *)(const void *)test_memory_at(&b.pair.memory,
									 vio_le64_get(desc[0].addr));
	for (i = 0; i < 3; i++) {
		assert_int_equal(vio_le64_get(table[i].addr), sg[i].addr.raw);
		assert_int_equal(vio_le32_get(table[i].len), sg[i].length);
		assert_int_equal(vio_le16_get(table[i].flags), i ? F_WRITE : 0);
	}
	test_pair_close(&b.pair);
}

/* Out of order, over many laps of rings of every shape; lists of several descriptors come back whole. */
static void test_order_of_the_device(void **state)
{
	static const uint16_t sizes[] = { 1, 2, 3, 5, 8 };
	unsigned i, lap;

	for (i = 0; i < VIO_ARRAY_SIZE(sizes); i++) {
		struct vio_sg sg[2] = { { vio_addr_make(PAIR_DATA), 4 },
					{ vio_addr_make(PAIR_DATA + 64), 4 } };
		unsigned lists = sizes[i] / 2, singles = sizes[i] % 2, k;
		struct bench b;
		uint32_t written;

		open_bench(&b, sizes[i], 0, 0);
		for (lap = 0; lap < 9; lap++) {
			uint16_t where = b.pair.drv.avail_next, ids[4];

			for (k = 0; k < lists; k++) {
				assert_int_equal(vio_drvq_add(&b.pair.drv, sg, 1, 1, &b.tokens[k]), 0);
				ids[k] = (uint16_t)k;
			}
			if (singles)
				assert_int_equal(vio_drvq_add(&b.pair.drv, sg, 0, 1, &b.tokens[lists]), 0);
			assert_int_equal(test_pair_add(&b.pair, 0, 1, &b), -VIO_ENOSPC);
			vio_drvq_kick(&b.pair.drv);
			for (k = 0; k < lists; k++)
				ids[k] = (uint16_t)id_at(&b,
							 packed_advance(where, (uint16_t)(2 * k), sizes[i]));
			written = singles ? id_at(&b, packed_advance(where, (uint16_t)(2 * lists), sizes[i]))
					  : 0;
			if (singles)
				use(&b, written, 3, 1);
			for (k = lists; k-- > 0;)
				use(&b, ids[k], (uint32_t)k, 2);
			if (singles) {
				assert_ptr_equal(vio_drvq_get(&b.pair.drv, &written), &b.tokens[lists]);
				assert_int_equal(written, 3);
			}
			for (k = lists; k-- > 0;) {
				assert_ptr_equal(vio_drvq_get(&b.pair.drv, &written), &b.tokens[k]);
				assert_int_equal(written, k);
			}
			assert_null(vio_drvq_get(&b.pair.drv, NULL));
			assert_int_equal(b.pair.drv.free_count, sizes[i]);
		}
		test_pair_close(&b.pair);
	}
}

/* hostile: B1 B2 B3 B4 B5 B7 B23 B24 B26 */
static void test_lies(void **state)
{
	struct bench b;
	uint16_t first;

	open_bench(&b, 4, 0, 0);
	expose(&b, 3);
	use(&b, 4, 0, 1);
	expect_fault(&b, VIO_FAULT_USED_ID, 0, 4);

	open_bench(&b, 4, 0, 0);
	expose(&b, 3);
	use(&b, 0xffff, 0, 1);
	expect_fault(&b, VIO_FAULT_USED_ID, 0, 0xffff);

	open_bench(&b, 4, 0, 0);
	expose(&b, 3);
	use(&b, 3, 0, 1); /* never out */
	expect_fault(&b, VIO_FAULT_USED_NOT_IN_FLIGHT, 0, 3);

	open_bench(&b, 4, 0, 0);
	first = expose(&b, 2);
	use(&b, id_at(&b, first), 0, 1);
	assert_ptr_equal(vio_drvq_get(&b.pair.drv, NULL), &b.tokens[0]);
	use(&b, id_at(&b, first), 0, 1); /* again */
	expect_fault(&b, VIO_FAULT_USED_NOT_IN_FLIGHT, 1, id_at(&b, first));

	open_bench(&b, 4, 0, 0); /* nothing is out at all */
	use(&b, 0, 0, 1);
	expect_fault(&b, VIO_FAULT_USED_NOT_IN_FLIGHT, 0, 0);

	open_bench(&b, 4, 0, 0); /* added, but not yet shown */
	expose(&b, 1);
	assert_int_equal(test_pair_add(&b.pair, 0, 1, &b.tokens[1]), 0);
	use(&b, 1, 0, 1);
	expect_fault(&b, VIO_FAULT_USED_NOT_IN_FLIGHT, 0, 1);

	open_bench(&b, 4, 0, 0);
	first = expose(&b, 3);
	use(&b, id_at(&b, first), 2, 1);
	expect_fault(&b, VIO_FAULT_USED_LENGTH, 0, 2);

	open_bench(&b, 4, 0, 0); /* flags of the other lap aren't used ones: spec: DRV-PACKED-002 */
	first = expose(&b, 3);
	at(&b, first)->flags = vio_le16_make(0);
	assert_null(vio_drvq_get(&b.pair.drv, NULL));
	at(&b, first)->flags = vio_le16_make(VIRTQ_DESC_F_USED);
	assert_null(vio_drvq_get(&b.pair.drv, NULL));
	assert_int_equal(b.pair.drv.fault.kind, VIO_FAULT_NONE);
	use(&b, id_at(&b, first), 1, 1);
	assert_ptr_equal(vio_drvq_get(&b.pair.drv, NULL), &b.tokens[0]);
	test_pair_close(&b.pair);
}

/* What the device rewrites after the driver wrote it changes nothing. hostile: B18 */
static void test_rewritten(void **state)
{
	struct bench b;
	uint32_t written;
	unsigned i;

	open_bench(&b, 4, 0, 0);
	expose(&b, 3);
	for (i = 0; i < 4; i++)
		memset(&b.pair.ring.packed[i], 0xa5 * i, sizeof(b.pair.ring.packed[i]));
	b.used = PVIRTQ_WRAP;
	use(&b, 2, 1, 1);
	assert_ptr_equal(vio_drvq_get(&b.pair.drv, &written), &b.tokens[2]);
	assert_int_equal(written, 1);
	assert_int_equal(b.pair.drv.free_count, 2);
	test_pair_close(&b.pair);
}

/* A fast one passes a slow one many times; it is still known when it comes. */
static void test_very_slow_buffer(void **state)
{
	unsigned i, fast_id;
	struct bench b;

	open_bench(&b, 3, 0, 0);
	expose(&b, 2);
	for (i = 0; i < 1000; i++) {
		uint16_t where = b.pair.drv.avail_next;

		use(&b, i & 1 ? 2 : 1, 0, 1);
		assert_ptr_equal(vio_drvq_get(&b.pair.drv, NULL), &b.tokens[1]);
		assert_int_equal(test_pair_add(&b.pair, 0, 1, &b.tokens[2]), 0);
		assert_int_equal(test_pair_add(&b.pair, 0, 1, &b.tokens[1]), 0);
		vio_drvq_kick(&b.pair.drv);
		fast_id = id_at(&b, where);
		use(&b, fast_id, 0, 1);
		assert_ptr_equal(vio_drvq_get(&b.pair.drv, NULL), &b.tokens[2]);
	}
	assert_int_equal(test_pair_add(&b.pair, 0, 1, &b.tokens[2]), 0); /* not shown */
	use(&b, 0, 1, 1);
	assert_ptr_equal(vio_drvq_get(&b.pair.drv, NULL), &b.tokens[0]);
	assert_int_equal(b.pair.drv.fault.kind, VIO_FAULT_NONE);
	test_pair_close(&b.pair);
}

static void ask_device(struct bench *b, unsigned flags, unsigned position)
{
	b->pair.ring.device_event->flags = vio_le16_make((uint16_t)flags);
	b->pair.ring.device_event->desc = vio_le16_make((uint16_t)position);
}

/* spec: DRV-PACKED-016 */
static void test_kick(void **state)
{
	struct bench b;
	unsigned event, i;

	for (event = 0; event < 2; event++) {
		open_bench(&b, 8, event ? TEST_EVENT : 0, 0);
		assert_false(vio_drvq_kick_prepare(&b.pair.drv)); /* nothing to tell */
		ask_device(&b, RING_EVENT_FLAGS_ENABLE, 4 | PVIRTQ_WRAP);
		assert_int_equal(test_pair_add(&b.pair, 0, 1, &b), 0);
		assert_true(vio_drvq_kick_prepare(&b.pair.drv));
		ask_device(&b, RING_EVENT_FLAGS_DISABLE, 1 | PVIRTQ_WRAP);
		assert_int_equal(test_pair_add(&b.pair, 0, 1, &b), 0);
		assert_false(vio_drvq_kick_prepare(&b.pair.drv));
		ask_device(&b, RING_EVENT_FLAGS_DESC, 7 | PVIRTQ_WRAP);
		assert_int_equal(test_pair_add(&b.pair, 0, 1, &b), 0);
		/* Without the feature it means nothing that could keep the driver from telling. */
		assert_int_equal(vio_drvq_kick_prepare(&b.pair.drv), !event);
		ask_device(&b, 3, 7 | PVIRTQ_WRAP);
		assert_int_equal(test_pair_add(&b.pair, 0, 1, &b), 0);
		assert_true(vio_drvq_kick_prepare(&b.pair.drv));
		ask_device(&b, RING_EVENT_FLAGS_DESC, 8); /* no place in the ring */
		assert_int_equal(test_pair_add(&b.pair, 0, 1, &b), 0);
		assert_int_equal(vio_drvq_kick_prepare(&b.pair.drv), !event);
		ask_device(&b, RING_EVENT_FLAGS_DESC, 6 | PVIRTQ_WRAP);
		for (i = 0; i < 3; i++)
			assert_int_equal(test_pair_add(&b.pair, 0, 1, &b), 0);
		assert_true(vio_drvq_kick_prepare(&b.pair.drv));
		assert_int_equal(b.pair.kicks, 0);
		vio_drvq_notify(&b.pair.drv);
		assert_int_equal(b.pair.kicks, 1);
		test_pair_close(&b.pair);
	}
}

static unsigned asked_flags(const struct bench *b)
{
	return vio_le16_get(b->pair.ring.driver_event->flags);
}

static unsigned asked_position(const struct bench *b)
{
	return vio_le16_get(b->pair.ring.driver_event->desc);
}

static void test_callbacks(void **state)
{
	struct bench b;
	uint16_t first;

	open_bench(&b, 4, 0, 0);
	assert_int_equal(asked_flags(&b), RING_EVENT_FLAGS_ENABLE);
	vio_drvq_disable_cb(&b.pair.drv);
	assert_int_equal(asked_flags(&b), RING_EVENT_FLAGS_DISABLE);
	first = expose(&b, 2);
	assert_true(vio_drvq_enable_cb_delayed(&b.pair.drv));
	assert_int_equal(asked_flags(&b), RING_EVENT_FLAGS_ENABLE);
	vio_drvq_disable_cb(&b.pair.drv);
	use(&b, id_at(&b, first), 0, 1);
	assert_false(vio_drvq_enable_cb(&b.pair.drv));
	assert_ptr_equal(vio_drvq_get(&b.pair.drv, NULL), &b.tokens[0]);
	assert_null(vio_drvq_get(&b.pair.drv, NULL));
	assert_int_equal(asked_flags(&b), RING_EVENT_FLAGS_ENABLE);
	test_pair_close(&b.pair);
}

static void test_callbacks_by_event(void **state)
{
	struct bench b;
	uint16_t first;
	unsigned i;

	open_bench(&b, 5, TEST_EVENT, 0);
	assert_int_equal(asked_flags(&b), RING_EVENT_FLAGS_DESC);
	assert_int_equal(asked_position(&b), PVIRTQ_WRAP);
	vio_drvq_disable_cb(&b.pair.drv);
	assert_int_equal(asked_flags(&b), RING_EVENT_FLAGS_DISABLE);
	first = expose(&b, 4);
	assert_int_equal(test_pair_add(&b.pair, 0, 1, &b), 0); /* not shown: not waited for */
	assert_true(vio_drvq_enable_cb_delayed(&b.pair.drv));
	assert_int_equal(asked_flags(&b), RING_EVENT_FLAGS_DESC);
	assert_int_equal(asked_position(&b), 3 | PVIRTQ_WRAP); /* three quarters of 4 */
	for (i = 0; i < 4; i++)
		use(&b, id_at(&b, (uint16_t)(first + i)), 0, 1);
	assert_false(vio_drvq_enable_cb_delayed(&b.pair.drv));
	vio_drvq_disable_cb(&b.pair.drv);
	for (i = 0; i < 4; i++)
		assert_non_null(vio_drvq_get(&b.pair.drv, NULL));
	/* Off: get asks for nothing. On: it asks before it says that there is none, but once only. */
	assert_null(vio_drvq_get(&b.pair.drv, NULL));
	assert_int_equal(asked_flags(&b), RING_EVENT_FLAGS_DISABLE);
	assert_true(vio_drvq_enable_cb(&b.pair.drv));
	assert_int_equal(asked_position(&b), 4 | PVIRTQ_WRAP);
	vio_drvq_kick(&b.pair.drv);
	use(&b, id_at(&b, 4), 0, 1);
	assert_ptr_equal(vio_drvq_poll(&b.pair.drv, NULL, 1), &b);
	assert_null(vio_drvq_poll(&b.pair.drv, NULL, 2)); /* which asks for nothing */
	assert_null(vio_drvq_poll(&b.pair.drv, NULL, 0));
	assert_int_equal(asked_position(&b), 4 | PVIRTQ_WRAP);
	assert_null(vio_drvq_get(&b.pair.drv, NULL));
	assert_int_equal(asked_position(&b), 0);
	ask_device(&b, 0, 0);
	b.pair.ring.driver_event->desc = vio_le16_make(0x1234);
	assert_null(vio_drvq_get(&b.pair.drv, NULL));
	assert_int_equal(asked_position(&b), 0x1234);
	test_pair_close(&b.pair);
}

/* After reset every buffer comes back once. */
static void test_detach_unused(void **state)
{
	static const uint16_t sizes[] = { 1, 3, 256, 32768 };
	unsigned i, j, in_order;

	for (in_order = 0; in_order < 2; in_order++) {
		for (i = 0; i < VIO_ARRAY_SIZE(sizes); i++) {
			uint8_t *tokens = calloc(sizes[i], 1), *token;
			unsigned out = 0;
			struct bench b;

			assert_non_null(tokens);
			open_bench(&b, sizes[i], in_order ? TEST_IN_ORDER : 0, 0);
			assert_null(vio_drvq_detach_unused(&b.pair.drv));
			for (j = 0; j < sizes[i]; j++)
				assert_int_equal(test_pair_add(&b.pair, 0, 1, &tokens[j]), 0);
			vio_drvq_kick(&b.pair.drv);
			if (sizes[i] > 2) {
				use(&b, in_order ? 0 : sizes[i] / 2u, 1, 1);
				token = vio_drvq_get(&b.pair.drv, NULL);
				(*token)++;
				out++;
			}
			while ((token = vio_drvq_detach_unused(&b.pair.drv)) != NULL) {
				if (in_order)
					assert_ptr_equal(token, &tokens[out]);
				out++;
				(*token)++;
			}
			for (j = 0; j < sizes[i]; j++)
				assert_int_equal(tokens[j], 1);
			assert_int_equal(b.pair.drv.free_count, sizes[i]);
			free(tokens);
			test_pair_close(&b.pair);
		}
	}
}

/* One used descriptor for many buffers: each comes back, the others with their whole length. */
static void test_batch(void **state)
{
	struct vio_sg sg[2] = { { vio_addr_make(PAIR_DATA), 4 }, { vio_addr_make(PAIR_DATA + 64), 7 } };
	struct vio_drvq_buffer buffers[4];
	uint32_t written[4];
	void *tokens[4];
	struct bench b;
	unsigned i, lap;

	open_bench(&b, 7, TEST_IN_ORDER | TEST_EVENT, 0);
	for (i = 0; i < 4; i++)
		buffers[i] = (struct vio_drvq_buffer){ sg, 1, 1, &b.tokens[i] };
	for (lap = 0; lap < 20; lap++) {
		uint16_t where = b.pair.drv.avail_next, last = packed_advance(where, 4, 7);

		assert_int_equal(vio_drvq_add_many(&b.pair.drv, buffers, 4), 3);
		assert_int_equal(vio_drvq_add_many(&b.pair.drv, buffers, 4), -VIO_ENOSPC);
		vio_drvq_kick(&b.pair.drv);
		assert_int_equal(id_at(&b, where), packed_offset(where));
		use(&b, id_at(&b, last), 2, 6);
		if (lap % 3 == 0) {
			assert_int_equal(vio_drvq_get_many(&b.pair.drv, tokens, written, 2), 2);
			assert_true(vio_drvq_pending(&b.pair.drv));
			assert_false(vio_drvq_enable_cb(&b.pair.drv));
			assert_int_equal(vio_drvq_get_many(&b.pair.drv, tokens + 2, written + 2, 2), 1);
		} else if (lap % 3 == 1) {
			for (i = 0; i < 3; i++)
				tokens[i] = vio_drvq_get(&b.pair.drv, &written[i]);
		} else {
			assert_int_equal(vio_drvq_get_many(&b.pair.drv, tokens, NULL, 4), 3);
			written[0] = written[1] = 7;
			written[2] = 2;
		}
		for (i = 0; i < 3; i++) {
			assert_ptr_equal(tokens[i], &b.tokens[i]);
			assert_int_equal(written[i], i < 2 ? 7 : 2);
		}
		assert_null(vio_drvq_get(&b.pair.drv, NULL));
		assert_false(vio_drvq_pending(&b.pair.drv));
		assert_int_equal(b.pair.drv.free_count, 7);
	}
	test_pair_close(&b.pair);
}

/* hostile: B27 B28 */
static void test_batch_lies(void **state)
{
	struct bench b;

	open_bench(&b, 4, TEST_IN_ORDER, 0);
	expose(&b, 2);
	use(&b, 2, 0, 1); /* nothing is out there */
	expect_fault(&b, VIO_FAULT_USED_NOT_IN_FLIGHT, 0, 2);

	open_bench(&b, 4, TEST_IN_ORDER, 0);
	expose(&b, 2);
	assert_int_equal(test_pair_add(&b.pair, 0, 1, &b.tokens[2]), 0);
	use(&b, 2, 0, 1); /* something is, but it wasn't shown */
	expect_fault(&b, VIO_FAULT_USED_NOT_IN_FLIGHT, 0, 2);

	open_bench(&b, 4, TEST_IN_ORDER, 0);
	expose(&b, 2);
	use(&b, 1, 2, 1);
	expect_fault(&b, VIO_FAULT_USED_LENGTH, 0, 2);
}

/* The same in a split ring: the element stands where the batch begins, idx behind it. */
static void test_split_batch(void **state)
{
	const struct test_pair_config config = { .size = 8, .features = TEST_EVENT | TEST_IN_ORDER };
	struct test_pair pair;
	unsigned i, lap, batch;
	uint32_t written;
	int tokens[8];

	test_pair_open(&pair, &config);
	test_pair_jump(&pair, 65500);
	for (lap = 0; lap < 40; lap++) {
		uint16_t idx = pair.drv.used_next;

		batch = 1 + lap % 8;
		for (i = 0; i < batch; i++)
			assert_int_equal(test_pair_add(&pair, 0, 9, &tokens[i]), 0);
		vio_drvq_kick(&pair.drv);
		/* spec: DRV-SPLIT-007, one behind the other, in a circle */
		for (i = 1; i < batch; i++)
			assert_int_equal(
				vio_le16_get(pair.ring.avail->ring[(uint16_t)(idx + i) % 8]),
				(vio_le16_get(pair.ring.avail->ring[(uint16_t)(idx + i - 1) % 8]) + 1) % 8);
		test_ring_used_entry(&pair.ring, idx % 8,
				     vio_le16_get(pair.ring.avail->ring[(uint16_t)(idx + batch - 1) % 8]), 4);
		test_ring_set_used_idx(&pair.ring, idx + batch);
		for (i = 0; i < batch; i++) {
			if (lap & 1)
				assert_ptr_equal(vio_drvq_get(&pair.drv, NULL), &tokens[i]);
			else
				assert_ptr_equal(vio_drvq_get(&pair.drv, &written), &tokens[i]);
			if (!(lap & 1))
				assert_int_equal(written, i + 1 < batch ? 9 : 4);
		}
		assert_null(vio_drvq_get(&pair.drv, NULL));
		assert_int_equal(pair.drv.free_count, 8);
	}
	for (i = 0; i < 8; i++)
		assert_int_equal(test_pair_add(&pair, 0, 9, &tokens[i]), 0);
	for (i = 0; i < 8; i++)
		assert_ptr_equal(vio_drvq_detach_unused(&pair.drv), &tokens[i]);
	assert_null(vio_drvq_detach_unused(&pair.drv));
	test_pair_close(&pair);
}

/* hostile: B27 B28 */
static void test_split_batch_lies(void **state)
{
	const struct test_pair_config config = { .size = 8, .features = TEST_PLAIN | TEST_IN_ORDER };
	static const unsigned lies[][3] = {
		/* id, idx, fault */
		{ 3, 3, VIO_FAULT_USED_NOT_IN_FLIGHT }, /* skips further than idx */
		{ 5, 4, VIO_FAULT_USED_NOT_IN_FLIGHT }, /* nothing there */
		{ 8, 4, VIO_FAULT_USED_ID },
		{ 3, 5, VIO_FAULT_USED_IDX },
	};
	struct test_pair pair;
	unsigned i, k;
	int token;

	for (i = 0; i < VIO_ARRAY_SIZE(lies); i++) {
		test_pair_open(&pair, &config);
		for (k = 0; k < 4; k++)
			assert_int_equal(test_pair_add(&pair, 0, 9, &token), 0);
		vio_drvq_kick(&pair.drv);
		test_ring_used_entry(&pair.ring, 0, lies[i][0], 0);
		test_ring_set_used_idx(&pair.ring, lies[i][1]);
		assert_null(vio_drvq_get(&pair.drv, NULL));
		assert_int_equal(pair.drv.fault.kind, lies[i][2]);
		assert_int_equal(pair.drv.in_flight, 4);
		for (k = 0; k < 4; k++)
			assert_ptr_equal(vio_drvq_detach_unused(&pair.drv), &token);
		test_pair_close(&pair);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_start),
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_layout),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_order_of_the_device),
		cmocka_unit_test(test_lies),
		cmocka_unit_test(test_rewritten),
		cmocka_unit_test(test_very_slow_buffer),
		cmocka_unit_test(test_kick),
		cmocka_unit_test(test_callbacks),
		cmocka_unit_test(test_callbacks_by_event),
		cmocka_unit_test(test_detach_unused),
		cmocka_unit_test(test_batch),
		cmocka_unit_test(test_batch_lies),
		cmocka_unit_test(test_split_batch),
		cmocka_unit_test(test_split_batch_lies),
	};

	return cmocka_run_group_tests_name("the driver's packed queue", tests, NULL, NULL);
}
