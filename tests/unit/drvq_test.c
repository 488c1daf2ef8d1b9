/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/test.h"

#include <stdlib.h>
#include <string.h>

#include "lib/pair.h"

/* The driver's side of a queue: what it takes, and what it tells the device. */

static void use_next(struct test_pair *pair, unsigned idx)
{
	test_ring_use(&pair->ring, vio_le16_get(pair->ring.avail->ring[idx % pair->ring.size]), 0);
}

/* spec: DRV-SPLIT-001 DRV-SPLIT-008 */
static void test_start_refuses(void **state)
{
	static const uint16_t sizes[] = { 0, 3, 6, 0xffff, 0x8001 };
	_Alignas(64) static uint8_t ring[4096], tables[4096], storage[4096];
	struct vio_drvq_config config = {
		.size = 8,
		.features = vio_features_low(TEST_INDIRECT),
		.ring = { ring, vio_addr_make(0x1000) },
		.storage = storage,
		.indirect = { tables, vio_addr_make(0x4000) },
		.indirect_max = 4,
	};
	struct vio_drvq_config bad;
	struct vio_drvq q;
	unsigned i;

	for (i = 0; i < VIO_ARRAY_SIZE(sizes); i++) {
		bad = config;
		bad.size = sizes[i];
		assert_int_equal(vio_drvq_start(&q, &bad), -VIO_EINVAL);
	}
	bad = config;
	bad.ring.host = ring + 8;
	assert_int_equal(vio_drvq_start(&q, &bad), -VIO_EINVAL);
	bad = config;
	bad.ring.addr.raw += 8;
	assert_int_equal(vio_drvq_start(&q, &bad), -VIO_EINVAL);
	bad = config;
	bad.ring.host = NULL;
	assert_int_equal(vio_drvq_start(&q, &bad), -VIO_EINVAL);
	bad = config;
	bad.storage = NULL;
	assert_int_equal(vio_drvq_start(&q, &bad), -VIO_EINVAL);
	bad = config;
	bad.features = vio_features_low(TEST_PLAIN);
	assert_int_equal(vio_drvq_start(&q, &bad), -VIO_EINVAL);
	bad = config;
	bad.indirect.host = tables + 1;
	assert_int_equal(vio_drvq_start(&q, &bad), -VIO_EINVAL);
	bad.indirect.host = NULL;
	assert_int_equal(vio_drvq_start(&q, &bad), -VIO_EINVAL);
	bad = config;
	bad.device_align = 2;
	assert_int_equal(vio_drvq_start(&q, &bad), -VIO_EINVAL);
	bad.device_align = 96;
	assert_int_equal(vio_drvq_start(&q, &bad), -VIO_EINVAL);
	bad.device_align = 1024; /* as a legacy transport has it */
	assert_int_equal(vio_drvq_start(&q, &bad), 0);
	assert_int_equal(vio_drvq_device_area(&q).raw, 0x1000 + 1024);
	/* spec: DRV-SPLIT-003, as the formula for both parts has it */
	assert_int_equal(vio_drvq_ring_bytes_aligned(8, 1024), 2048);
	assert_int_equal(vio_drvq_ring_bytes_aligned(256, 4096), 12288);
	assert_int_equal(vio_drvq_ring_bytes_aligned(8, 0), vio_drvq_ring_bytes(8));
	assert_int_equal(vio_drvq_start(&q, &config), 0);
	assert_int_equal(vio_drvq_descriptor_area(&q).raw, 0x1000);
	assert_int_equal(vio_drvq_driver_area(&q).raw, 0x1000 + 128);
	assert_int_equal(vio_drvq_device_area(&q).raw % 64, 0);
}

/* spec: DRV-SPLIT-019; the ring memory may hold anything before. */
static void test_start_clears(void **state)
{
	struct test_pair_config config = { .size = 8, .features = TEST_PLAIN };
	struct test_pair pair;
	size_t i, bytes = vio_drvq_ring_bytes(8);
	uint8_t *ring;

	test_pair_open(&pair, &config);
	ring = test_memory_at(&pair.memory, PAIR_RING);
	memset(ring, 0xff, bytes);
	test_pair_restart_driver(&pair);
	for (i = 0; i < bytes; i++)
		assert_int_equal(ring[i], 0);
	test_pair_close(&pair);
}

/* The layout of every legal size fits its bytes and what the standard says of alignment. */
static void test_areas(void **state)
{
	uint32_t size;

	for (size = 1; size <= 32768; size *= 2) {
		struct test_pair_config config = { .size = (uint16_t)size, .features = TEST_PLAIN };
		struct test_pair pair;

		test_pair_open(&pair, &config);
		assert_int_equal(pair.ring.descriptor_area % VIRTQ_DESC_ALIGN, 0);
		assert_int_equal(pair.ring.driver_area % VIRTQ_AVAIL_ALIGN, 0);
		assert_int_equal(pair.ring.device_area % VIRTQ_USED_ALIGN, 0);
		assert_true(pair.ring.driver_area >= pair.ring.descriptor_area + 16ull * size);
		assert_true(pair.ring.device_area >= pair.ring.driver_area + 6 + 2ull * size);
		assert_int_equal(pair.ring.device_area + 6 + 8ull * size,
				 PAIR_RING + vio_drvq_ring_bytes((uint16_t)size));
		test_pair_start_device(&pair);
		test_pair_close(&pair);
	}
}

/* spec: DRV-SPLIT-006 DRV-SPLIT-010 */
static void test_add_refuses(void **state)
{
	struct test_pair_config config = { .size = 4, .features = TEST_INDIRECT, .indirect_max = 8 };
	struct vio_sg sg[8];
	struct test_pair pair;
	struct vio_drvq *q = &pair.drv;
	unsigned i;
	int token;

	test_pair_open(&pair, &config);
	for (i = 0; i < 8; i++)
		sg[i] = (struct vio_sg){ vio_addr_make(PAIR_DATA + 16 * i), 16 };
	assert_int_equal(vio_drvq_add(q, sg, 1, 1, NULL), -VIO_EINVAL);
	assert_int_equal(vio_drvq_add(q, sg, 0, 0, &token), -VIO_EINVAL);
	assert_int_equal(vio_drvq_add(q, sg, 5, 0, &token), -VIO_EINVAL);
	assert_int_equal(vio_drvq_add(q, sg, 2, 3, &token), -VIO_EINVAL);
	assert_int_equal(vio_drvq_add(q, sg, UINT32_MAX, 2, &token), -VIO_EINVAL);
	assert_int_equal(vio_drvq_add(q, sg, 2, UINT32_MAX, &token), -VIO_EINVAL);
	assert_int_equal(vio_drvq_add(q, sg, 1u << 31, 1u << 31, &token), -VIO_EINVAL);
	sg[1].length = 0;
	assert_int_equal(vio_drvq_add(q, sg, 2, 1, &token), -VIO_EINVAL);
	sg[0].length = sg[1].length = 1u << 31;
	sg[2].length = 1;
	assert_int_equal(vio_drvq_add(q, sg, 2, 1, &token), -VIO_EINVAL);
	assert_int_equal(q->in_flight, 0);
	assert_int_equal(q->free_count, 4);
	assert_int_equal(vio_drvq_add(q, sg, 1, 1, &token), 0); /* 2^32 is the most */
	for (i = 0; i < 3; i++)
		assert_int_equal(vio_drvq_add(q, sg, 1, 1, &token), 0);
	assert_int_equal(vio_drvq_add(q, sg, 1, 0, &token), -VIO_ENOSPC);
	test_pair_close(&pair);
}

/* Without tables a buffer takes a descriptor for each element; room is counted to the last one. */
static void test_room(void **state)
{
	struct test_pair_config config = { .size = 8, .features = TEST_PLAIN };
	struct vio_sg sg[8];
	struct test_pair pair;
	unsigned i;
	int tokens[3];

	test_pair_open(&pair, &config);
	for (i = 0; i < 8; i++)
		sg[i] = (struct vio_sg){ vio_addr_make(PAIR_DATA + 16 * i), 16 };
	assert_int_equal(vio_drvq_add(&pair.drv, sg, 2, 3, &tokens[0]), 0);
	assert_int_equal(vio_drvq_add(&pair.drv, sg, 2, 2, &tokens[1]), -VIO_ENOSPC);
	assert_int_equal(vio_drvq_add(&pair.drv, sg, 2, 1, &tokens[1]), 0);
	assert_int_equal(vio_drvq_add(&pair.drv, sg, 0, 1, &tokens[2]), -VIO_ENOSPC);
	vio_drvq_kick(&pair.drv);
	use_next(&pair, 0);
	assert_ptr_equal(vio_drvq_get(&pair.drv, NULL), &tokens[0]);
	assert_int_equal(vio_drvq_add(&pair.drv, sg, 3, 3, &tokens[2]), -VIO_ENOSPC);
	assert_int_equal(vio_drvq_add(&pair.drv, sg, 3, 2, &tokens[2]), 0);
	test_pair_close(&pair);
}

/* spec: DRV-SPLIT-020 DRV-SPLIT-021 DRV-SPLIT-022 */
static void test_kick_by_flags(void **state)
{
	struct test_pair_config config = { .size = 8, .features = TEST_PLAIN };
	struct test_pair pair;
	unsigned i;
	int token;

	test_pair_open(&pair, &config);
	assert_false(vio_drvq_kick_prepare(&pair.drv)); /* nothing to tell */
	for (i = 0; i < 8; i++) {
		test_ring_set_used_flags(&pair.ring, i & 1);
		test_ring_set_avail_event(&pair.ring, i & 2 ? i : 0x4000); /* ignored */
		assert_int_equal(test_pair_add(&pair, 0, 1, &token), 0);
		assert_int_equal(test_ring_get_avail_idx(&pair.ring), i); /* not shown before kick */
		assert_int_equal(vio_drvq_kick_prepare(&pair.drv), !(i & 1));
		assert_int_equal(test_ring_get_avail_idx(&pair.ring), i + 1);
		assert_false(vio_drvq_kick_prepare(&pair.drv));
	}
	assert_int_equal(pair.kicks, 0);
	vio_drvq_notify(&pair.drv);
	assert_int_equal(pair.kicks, 1);
	test_pair_close(&pair);
}

/* spec: DRV-SPLIT-023 DRV-SPLIT-024 DRV-SPLIT-025, over the wrap */
static void test_kick_by_event(void **state)
{
	struct test_pair_config config = { .size = 16, .features = TEST_EVENT };
	struct test_pair pair;
	unsigned batch, i;
	int distance, token;

	test_pair_open(&pair, &config);
	test_pair_advance(&pair, 65500);
	for (batch = 1; batch < 12; batch++) {
		for (distance = -3; distance < 14; distance++) {
			uint16_t idx = test_ring_get_avail_idx(&pair.ring);

			test_ring_set_used_flags(&pair.ring, batch & 1); /* ignored */
			test_ring_set_avail_event(&pair.ring, (unsigned)(idx + distance));
			for (i = 0; i < batch; i++)
				assert_int_equal(test_pair_add(&pair, 0, 1, &token), 0);
			assert_int_equal(vio_drvq_kick_prepare(&pair.drv),
					 distance >= 0 && distance < (int)batch);
			for (i = 0; i < batch; i++)
				use_next(&pair, idx + i);
			for (i = 0; i < batch; i++)
				assert_ptr_equal(vio_drvq_get(&pair.drv, NULL), &token);
		}
	}
	test_pair_close(&pair);
}

static uint16_t avail_flags(const struct test_pair *pair)
{
	return vio_le16_get(pair->ring.avail->flags);
}

static uint16_t used_event(const struct test_pair *pair)
{
	return vio_le16_get(pair->ring.avail->ring[pair->ring.size]);
}

/* spec: DRV-SPLIT-014 DRV-SPLIT-MAY-001 */
static void test_callbacks_by_flags(void **state)
{
	struct test_pair_config config = { .size = 8, .features = TEST_PLAIN };
	struct test_pair pair;
	int token;

	test_pair_open(&pair, &config);
	assert_int_equal(avail_flags(&pair), 0);
	vio_drvq_disable_cb(&pair.drv);
	assert_int_equal(avail_flags(&pair), 1);
	assert_int_equal(test_pair_add(&pair, 0, 1, &token), 0);
	vio_drvq_kick(&pair.drv);
	assert_true(vio_drvq_enable_cb(&pair.drv));
	assert_int_equal(avail_flags(&pair), 0);
	vio_drvq_disable_cb(&pair.drv);
	use_next(&pair, 0);
	assert_false(vio_drvq_enable_cb_delayed(&pair.drv));
	assert_int_equal(avail_flags(&pair), 0);
	assert_int_equal(used_event(&pair), 0);
	assert_ptr_equal(vio_drvq_get(&pair.drv, NULL), &token);
	test_pair_close(&pair);
}

/* spec: DRV-SPLIT-015 DRV-SPLIT-MAY-002 DRV-SPLIT-MAY-006 */
static void test_callbacks_by_event(void **state)
{
	struct test_pair_config config = { .size = 8, .features = TEST_EVENT };
	struct test_pair pair;
	unsigned i;
	int token;

	test_pair_open(&pair, &config);
	test_pair_advance(&pair, 65534);
	vio_drvq_disable_cb(&pair.drv);
	for (i = 0; i < 8; i++)
		assert_int_equal(test_pair_add(&pair, 0, 1, &token), 0);
	vio_drvq_kick(&pair.drv);
	assert_true(vio_drvq_enable_cb(&pair.drv));
	assert_int_equal(used_event(&pair), 65534);
	assert_true(vio_drvq_enable_cb_delayed(&pair.drv)); /* three quarters of 8 */
	assert_int_equal(used_event(&pair), (uint16_t)(65534 + 6));
	for (i = 0; i < 6; i++)
		use_next(&pair, 65534 + i);
	assert_true(vio_drvq_enable_cb_delayed(&pair.drv)); /* not yet enough */
	use_next(&pair, 65534 + 6);
	assert_false(vio_drvq_enable_cb_delayed(&pair.drv));
	assert_false(vio_drvq_enable_cb(&pair.drv));
	vio_drvq_disable_cb(&pair.drv);
	for (i = 0; i < 7; i++)
		assert_ptr_equal(vio_drvq_get(&pair.drv, NULL), &token);
	/* Off: get asks for nothing. On: it asks before it says that there is none, but once only. */
	test_ring_used_event(&pair.ring, 0x4000);
	assert_null(vio_drvq_get(&pair.drv, NULL));
	assert_int_equal(used_event(&pair), 0x4000);
	assert_true(vio_drvq_enable_cb_delayed(&pair.drv));
	assert_null(vio_drvq_get(&pair.drv, NULL));
	assert_int_equal(used_event(&pair), (uint16_t)(65534 + 7));
	test_ring_used_event(&pair.ring, 0x4000);
	assert_null(vio_drvq_get(&pair.drv, NULL));
	assert_int_equal(used_event(&pair), 0x4000);
	assert_true(vio_drvq_enable_cb(&pair.drv));
	assert_int_equal(used_event(&pair), (uint16_t)(65534 + 7));
	test_ring_used_event(&pair.ring, 0x4000);
	use_next(&pair, 65534 + 7);
	assert_ptr_equal(vio_drvq_get(&pair.drv, NULL), &token);
	assert_null(vio_drvq_get(&pair.drv, NULL));
	assert_int_equal(used_event(&pair), (uint16_t)(65534 + 8));
	assert_int_equal(avail_flags(&pair), 0);
	test_pair_close(&pair);
}

/* A buffer stays out while more than 65536 others pass: it is still known when it comes. */
static void test_very_slow_buffer(void **state)
{
	struct test_pair_config config = { .size = 4, .features = TEST_EVENT };
	struct test_pair pair;
	uint16_t slow_head;
	int slow, token;
	unsigned i;

	test_pair_open(&pair, &config);
	assert_int_equal(test_pair_add(&pair, 0, 1, &slow), 0);
	vio_drvq_kick(&pair.drv);
	slow_head = vio_le16_get(pair.ring.avail->ring[0]);
	for (i = 1; i < 65536; i++) {
		assert_int_equal(test_pair_add(&pair, 0, 1, &token), 0);
		vio_drvq_kick(&pair.drv);
		use_next(&pair, i);
		assert_ptr_equal(vio_drvq_get(&pair.drv, NULL), &token);
	}
	/* The index of the slow one comes round, for one that isn't shown. */
	assert_int_equal(test_pair_add(&pair, 0, 1, &token), 0);
	test_ring_use(&pair.ring, slow_head, 0);
	assert_ptr_equal(vio_drvq_get(&pair.drv, NULL), &slow);
	assert_int_equal(pair.drv.fault.kind, VIO_FAULT_NONE);
	test_pair_close(&pair);
}

/* After reset every buffer comes back once, from full rings of any size. */
static void test_detach_unused(void **state)
{
	static const uint16_t sizes[] = { 1, 2, 256, 32768 };
	unsigned i, j;

	for (i = 0; i < VIO_ARRAY_SIZE(sizes); i++) {
		struct test_pair_config config = { .size = sizes[i], .features = TEST_PLAIN };
		uint8_t *tokens = calloc(sizes[i], 1), *token;
		struct test_pair pair;

		assert_non_null(tokens);
		test_pair_open(&pair, &config);
		assert_null(vio_drvq_detach_unused(&pair.drv));
		for (j = 0; j < sizes[i]; j++)
			assert_int_equal(test_pair_add(&pair, 0, 1, &tokens[j]), 0);
		vio_drvq_kick(&pair.drv);
		if (sizes[i] > 2) { /* one in the middle is used */
			use_next(&pair, sizes[i] / 2);
			token = vio_drvq_get(&pair.drv, NULL);
			assert_ptr_equal(token, &tokens[sizes[i] / 2]);
			(*token)++;
		}
		while ((token = vio_drvq_detach_unused(&pair.drv)) != NULL)
			(*token)++;
		for (j = 0; j < sizes[i]; j++)
			assert_int_equal(tokens[j], 1);
		assert_int_equal(pair.drv.free_count, sizes[i]);
		free(tokens);
		test_pair_close(&pair);
	}
}

/* What a legacy device says of lengths may be wrong. spec: DRV-BLK-031 DRV-CON-007 */
static void test_legacy_lengths(void **state)
{
	struct test_pair_config config = { .size = 8 };
	struct test_pair pair;
	uint32_t written;
	int token;

	test_pair_open(&pair, &config);
	assert_int_equal(test_pair_add(&pair, 0, 5, &token), 0);
	vio_drvq_kick(&pair.drv);
	test_ring_use(&pair.ring, vio_le16_get(pair.ring.avail->ring[0]), UINT32_MAX);
	assert_ptr_equal(vio_drvq_get(&pair.drv, &written), &token);
	assert_int_equal(written, 5);
	assert_int_equal(pair.drv.fault.kind, VIO_FAULT_NONE);
	test_pair_close(&pair);
}

/*
 * Many at once do what as many calls do, up to the one that doesn't fit or isn't legal.
 * spec: DRV-SPLIT-MAY-003 DRV-SPLIT-MAY-005
 */
static void test_many(void **state)
{
	struct test_pair_config config = { .size = 4, .features = TEST_EVENT };
	struct vio_sg sg[2] = { { vio_addr_make(PAIR_DATA), 4 }, { vio_addr_make(PAIR_DATA + 8), 0 } };
	struct vio_drvq_buffer buffers[6];
	uint32_t written[6];
	struct test_pair pair;
	void *tokens[6];
	int values[6];
	unsigned i;

	test_pair_open(&pair, &config);
	for (i = 0; i < 6; i++)
		buffers[i] = (struct vio_drvq_buffer){ sg, 0, 1, &values[i] };
	buffers[2].sg = &sg[1];
	assert_int_equal(vio_drvq_add_many(&pair.drv, buffers, 6), 2);
	assert_int_equal(vio_drvq_add_many(&pair.drv, &buffers[2], 4), -VIO_EINVAL);
	assert_int_equal(vio_drvq_add_many(&pair.drv, &buffers[3], 3), 2);
	assert_int_equal(vio_drvq_add_many(&pair.drv, &buffers[5], 1), -VIO_ENOSPC);
	assert_int_equal(test_ring_get_avail_idx(&pair.ring), 0);
	vio_drvq_publish(&pair.drv);
	vio_drvq_publish(&pair.drv); /* nothing more to show */
	assert_int_equal(test_ring_get_avail_idx(&pair.ring), 4);
	assert_int_equal(pair.kicks, 0);
	for (i = 0; i < 3; i++)
		test_ring_use(&pair.ring, vio_le16_get(pair.ring.avail->ring[i]), i);
	assert_true(vio_drvq_pending(&pair.drv));
	assert_int_equal(vio_drvq_get_many(&pair.drv, tokens, written, 2), 2);
	assert_true(vio_drvq_pending(&pair.drv));
	assert_int_equal(used_event(&pair), 0);
	assert_int_equal(vio_drvq_get_many(&pair.drv, tokens + 2, written + 2, 4), 1);
	assert_int_equal(used_event(&pair), 3); /* fewer than wanted: the next one is asked for */
	assert_false(vio_drvq_pending(&pair.drv));
	for (i = 0; i < 3; i++) {
		assert_ptr_equal(tokens[i], &values[i < 2 ? i : 3]);
		assert_int_equal(written[i], i);
	}
	test_ring_use(&pair.ring, 77, 0);
	assert_int_equal(vio_drvq_get_many(&pair.drv, tokens, NULL, 4), 0);
	assert_int_equal(pair.drv.fault.kind, VIO_FAULT_USED_ID);
	assert_int_equal(vio_drvq_get_many(&pair.drv, tokens, NULL, 4), 0);
	test_pair_close(&pair);
}

/* spec: DRV-SPLIT-016; looking is bounded, and asks for nothing. */
static void test_poll(void **state)
{
	struct test_pair_config config = { .size = 4, .features = TEST_EVENT };
	struct test_pair pair;
	uint32_t written;
	int token;

	test_pair_open(&pair, &config);
	assert_int_equal(test_pair_add(&pair, 0, 1, &token), 0);
	vio_drvq_kick(&pair.drv);
	assert_null(vio_drvq_poll(&pair.drv, &written, 5));
	use_next(&pair, 0);
	assert_null(vio_drvq_poll(&pair.drv, &written, 0));
	assert_ptr_equal(vio_drvq_poll(&pair.drv, &written, 1), &token);
	assert_null(vio_drvq_poll(&pair.drv, &written, 5));
	assert_int_equal(used_event(&pair), 0);
	test_ring_set_used_idx(&pair.ring, 3);
	assert_null(vio_drvq_poll(&pair.drv, &written, UINT32_MAX)); /* a fault ends it */
	assert_int_equal(pair.drv.fault.kind, VIO_FAULT_USED_IDX);
	test_pair_close(&pair);
}

/* With the barriers for hardware everything is as before. spec: DRV-BASIC-042 */
static void test_order_platform(void **state)
{
	static const uint64_t formats[] = { 0, TEST_PACKED, TEST_IN_ORDER, TEST_PACKED | TEST_IN_ORDER };
	unsigned i, round;

	for (i = 0; i < VIO_ARRAY_SIZE(formats); i++) {
		struct test_pair_config config = {
			.size = 4,
			.features = TEST_EVENT | formats[i] | TEST_BIT(VIRTIO_F_ORDER_PLATFORM),
		};
		struct test_pair pair;
		struct vio_buf buf;
		uint32_t written;
		int token;

		test_pair_open(&pair, &config);
		test_pair_start_device(&pair);
		assert_true(pair.drv.order_platform);
		for (round = 0; round < 20; round++) {
			pair.kicks = pair.interrupts = 0;
			assert_int_equal(test_pair_add(&pair, 0, 1, &token), 0);
			vio_drvq_kick(&pair.drv);
			assert_int_equal(pair.kicks, 1);
			assert_true(vio_devq_pop(&pair.dev, &buf));
			assert_false(vio_devq_pop(&pair.dev, &buf));
			vio_devq_push(&pair.dev, &buf, 1);
			vio_devq_notify(&pair.dev);
			assert_int_equal(pair.interrupts, 1);
			assert_ptr_equal(vio_drvq_get(&pair.drv, &written), &token);
			assert_int_equal(written, 1);
			assert_null(vio_drvq_get(&pair.drv, NULL));
		}
		test_pair_close(&pair);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_start_refuses),
		cmocka_unit_test(test_start_clears),
		cmocka_unit_test(test_areas),
		cmocka_unit_test(test_add_refuses),
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_kick_by_flags),
		cmocka_unit_test(test_kick_by_event),
		cmocka_unit_test(test_callbacks_by_flags),
		cmocka_unit_test(test_callbacks_by_event),
		cmocka_unit_test(test_very_slow_buffer),
		cmocka_unit_test(test_detach_unused),
		cmocka_unit_test(test_legacy_lengths),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_poll),
		cmocka_unit_test(test_order_platform),
	};

	return cmocka_run_group_tests_name("the driver's queue", tests, NULL, NULL);
}
