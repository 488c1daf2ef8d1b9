/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/test.h"

#include <stdlib.h>
#include <string.h>

#include "lib/pair.h"

static void kicked(void *context, struct vio_drvq *q)
{
	struct test_pair *pair = context;

	assert_ptr_equal(q, &pair->drv);
	pair->kicks++;
	if (pair->kicked)
		pair->kicked(pair);
}

static void interrupted(void *context, struct vio_devq *q)
{
	struct test_pair *pair = context;

	assert_ptr_equal(q, &pair->dev);
	pair->interrupts++;
	if (pair->interrupted)
		pair->interrupted(pair);
}

static void start_driver(struct test_pair *pair, uint16_t size, uint16_t indirect_max)
{
	struct vio_drvq_config config = {
		.index = 5,
		.size = size,
		.features = vio_features_low(pair->features),
		.ring = { test_memory_at(&pair->memory, PAIR_RING), vio_addr_make(PAIR_RING) },
		.storage = pair->drv_storage,
		.indirect_max = indirect_max,
		.context = pair,
		.notify_device = kicked,
	};

	if (indirect_max)
		config.indirect = (struct vio_shared){ test_memory_at(&pair->memory, PAIR_TABLES),
						       vio_addr_make(PAIR_TABLES) };
	assert_int_equal(vio_drvq_start(&pair->drv, &config), 0);
	pair->ring = (struct test_ring){
		.size = size,
		.descriptor_area = vio_drvq_descriptor_area(&pair->drv).raw,
		.driver_area = vio_drvq_driver_area(&pair->drv).raw,
		.device_area = vio_drvq_device_area(&pair->drv).raw,
	};
	if (test_pair_packed(pair)) {
		pair->ring.packed = pair->drv.packed_desc;
		pair->ring.driver_event = pair->drv.driver_event;
		pair->ring.device_event = pair->drv.device_event;
	} else {
		pair->ring.desc = pair->drv.desc;
		pair->ring.avail = pair->drv.avail;
		pair->ring.used = pair->drv.used;
	}
}

void test_pair_open(struct test_pair *pair, const struct test_pair_config *config)
{
	uint64_t ring_bytes = (vio_drvq_ring_bytes(config->size) + 15) / 16 * 16;
	uint64_t half = (config->data_bytes ? config->data_bytes : 0x20000) / 2;
	uint16_t spans_max = config->spans_max ? config->spans_max : 16;

	memset(pair, 0, sizeof(*pair));
	pair->features = config->features;
	pair->data_bytes = 2 * half;
	test_memory_init(&pair->memory);
	test_memory_add(&pair->memory, PAIR_RING, ring_bytes, TEST_RW);
	if (config->indirect_max)
		test_memory_add(&pair->memory, PAIR_TABLES,
				vio_drvq_indirect_bytes(config->size, config->indirect_max), VIO_MEM_READ);
	test_memory_add(&pair->memory, PAIR_DATA, half, TEST_RW);
	test_memory_add(&pair->memory, PAIR_DATA + half, half, TEST_RW);
	pair->drv_storage = malloc(vio_drvq_storage_bytes(config->size));
	pair->dev_storage = malloc(vio_devq_storage_bytes(config->size, spans_max, 0));
	assert_true(pair->drv_storage && pair->dev_storage);
	start_driver(pair, config->size, config->indirect_max);
	vio_devq_init(&pair->dev, 5, config->size, spans_max, 0, pair->dev_storage, pair, interrupted);
}

void test_pair_restart_driver(struct test_pair *pair)
{
	start_driver(pair, pair->drv.size, pair->drv.indirect_max);
}

/* As a device that answers at once: what the driver wrote becomes what the device would have written. */
static void use_packed(struct test_pair *pair, uint16_t position, uint32_t length)
{
	struct pvirtq_desc *desc = &pair->ring.packed[position & 0x7fff];
	unsigned used = position & PVIRTQ_WRAP ? VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED : 0;

	desc->len = vio_le32_make(length);
	desc->flags = vio_le16_make((uint16_t)used);
}

static void walk_packed(struct test_pair *pair, uint16_t index)
{
	int token;

	for (; pair->walked != index; pair->walked++) {
		uint16_t position = pair->drv.avail_next;

		assert_int_equal(test_pair_add(pair, 0, 1, &token), 0);
		vio_drvq_kick_prepare(&pair->drv);
		use_packed(pair, position, 1);
		assert_ptr_equal(vio_drvq_get(&pair->drv, NULL), &token);
	}
}

bool test_pair_packed(const struct test_pair *pair)
{
	return pair->features & TEST_PACKED;
}

void test_pair_advance(struct test_pair *pair, uint16_t index)
{
	int token;

	if (test_pair_packed(pair)) {
		walk_packed(pair, index);
		return;
	}

	while (pair->drv.avail_next != index) {
		unsigned slot = pair->drv.avail_next % pair->ring.size;
		uint32_t written;

		assert_int_equal(test_pair_add(pair, 0, 1, &token), 0);
		vio_drvq_kick_prepare(&pair->drv);
		test_ring_use(&pair->ring, vio_le16_get(pair->ring.avail->ring[slot]), 1);
		assert_ptr_equal(vio_drvq_get(&pair->drv, &written), &token);
	}
	assert_null(vio_drvq_get(&pair->drv, NULL));
	assert_int_equal(pair->drv.in_flight, 0);
	assert_int_equal(pair->drv.free_count, pair->ring.size);
}

void test_pair_jump(struct test_pair *pair, uint16_t index)
{
	assert_int_equal(pair->drv.in_flight, 0);
	pair->drv.avail_next = pair->drv.avail_visible = pair->drv.used_next = pair->drv.used_seen = index;
	test_ring_avail_idx(&pair->ring, index);
	test_ring_set_used_idx(&pair->ring, index);
	assert_null(vio_drvq_get(&pair->drv, NULL)); /* which asks for the next interrupt */
}

void test_pair_start_device(struct test_pair *pair)
{
	const struct vio_devq_config config = {
		.size = pair->ring.size,
		.at = { pair->drv.avail_next, pair->drv.used_next },
		.descriptor_area = vio_addr_make(pair->ring.descriptor_area),
		.driver_area = vio_addr_make(pair->ring.driver_area),
		.device_area = vio_addr_make(pair->ring.device_area),
		.features = vio_features_low(pair->features),
	};
	struct vio_buf buf;

	assert_int_equal(vio_devq_start(&pair->dev, &pair->memory.mem, &config), 0);
	assert_false(vio_devq_pop(&pair->dev, &buf));
	assert_int_equal(pair->dev.fault.kind, VIO_FAULT_NONE);
}

void test_pair_close(struct test_pair *pair)
{
	if (pair->dev.running)
		vio_devq_stop(&pair->dev);
	free(pair->drv_storage);
	free(pair->dev_storage);
	test_memory_free(&pair->memory);
}

int test_pair_add(struct test_pair *pair, uint64_t offset, uint32_t length, void *token)
{
	struct vio_sg sg = { vio_addr_make(PAIR_DATA + offset), length };

	return vio_drvq_add(&pair->drv, &sg, 0, 1, token);
}
