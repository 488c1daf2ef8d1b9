/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/test.h"

#include <string.h>

#include "base/atomic.h"
#include "lib/ring.h"
#include "ring/split.h"

static uint64_t align_up(uint64_t value, uint64_t align)
{
	return (value + align - 1) / align * align;
}

static uint64_t driver_offset(uint16_t size)
{
	return 16ull * size;
}

static uint64_t device_offset(uint16_t size)
{
	return align_up(driver_offset(size) + 6 + 2ull * size, 4);
}

uint64_t test_ring_bytes(uint16_t size)
{
	return align_up(device_offset(size) + 6 + 8ull * size, 16);
}

void test_ring_make(struct test_ring *ring, const struct test_memory *memory, uint64_t base, uint16_t size)
{
	uint8_t *host = test_memory_at(memory, base);

	memset(host, 0, test_ring_bytes(size));
	*ring = (struct test_ring){
		.size = size,
		.descriptor_area = base,
		.driver_area = base + driver_offset(size),
		.device_area = base + device_offset(size),
		.desc = (struct virtq_desc *)(void *)host,
		.avail = (struct virtq_avail *)(void *)(host + driver_offset(size)),
		.used = (struct virtq_used *)(void *)(host + device_offset(size)),
	};
}

struct vio_devq_config test_ring_config(const struct test_ring *ring, uint16_t avail_base, uint64_t features)
{
	return (struct vio_devq_config){
		.size = ring->size,
		.at = { .avail = avail_base },
		.descriptor_area = vio_addr_make(ring->descriptor_area),
		.driver_area = vio_addr_make(ring->driver_area),
		.device_area = vio_addr_make(ring->device_area),
		.features = vio_features_low(features),
	};
}

static struct virtq_desc desc_make(uint64_t addr, uint32_t len, unsigned flags, unsigned next)
{
	return (struct virtq_desc){ vio_le64_make(addr), vio_le32_make(len), vio_le16_make((uint16_t)flags),
				    vio_le16_make((uint16_t)next) };
}

void test_ring_desc(const struct test_ring *ring, unsigned index, uint64_t addr, uint32_t len, unsigned flags,
		    unsigned next)
{
	assert_true(index < ring->size);
	ring->desc[index] = desc_make(addr, len, flags, next);
}

void test_table_desc(const struct test_memory *memory, uint64_t table, unsigned index, uint64_t addr,
		     uint32_t len, unsigned flags, unsigned next)
{
	struct virtq_desc desc = desc_make(addr, len, flags, next);

	test_memory_put(memory, table + 16ull * index, &desc, sizeof(desc));
}

void test_ring_offer(struct test_ring *ring, unsigned head)
{
	test_ring_entry(ring, ring->avail_idx, head);
	test_ring_avail_idx(ring, ring->avail_idx + 1u);
}

void test_ring_entry(const struct test_ring *ring, unsigned slot, unsigned head)
{
	vio_store_le16(&ring->avail->ring[slot % ring->size], (uint16_t)head);
}

void test_ring_avail_idx(struct test_ring *ring, unsigned idx)
{
	ring->avail_idx = (uint16_t)idx;
	vio_store_release_le16(&ring->avail->idx, (uint16_t)idx);
}

void test_ring_avail_flags(const struct test_ring *ring, unsigned flags)
{
	vio_store_le16(&ring->avail->flags, (uint16_t)flags);
}

void test_ring_used_event(const struct test_ring *ring, unsigned event)
{
	vio_store_le16(split_used_event(ring->avail, ring->size), (uint16_t)event);
}

uint16_t test_ring_used_idx(const struct test_ring *ring)
{
	return vio_load_acquire_le16(&ring->used->idx);
}

uint16_t test_ring_used_flags(const struct test_ring *ring)
{
	return vio_load_le16(&ring->used->flags);
}

uint16_t test_ring_avail_event(const struct test_ring *ring)
{
	return vio_load_le16(split_avail_event(ring->used, ring->size));
}

uint32_t test_ring_used_id(const struct test_ring *ring, unsigned slot)
{
	return vio_load_le32(&ring->used->ring[slot % ring->size].id);
}

uint32_t test_ring_used_len(const struct test_ring *ring, unsigned slot)
{
	return vio_load_le32(&ring->used->ring[slot % ring->size].len);
}

void test_ring_use(const struct test_ring *ring, uint32_t id, uint32_t len)
{
	uint16_t idx = test_ring_used_idx(ring);

	test_ring_used_entry(ring, idx, id, len);
	test_ring_set_used_idx(ring, idx + 1u);
}

void test_ring_used_entry(const struct test_ring *ring, unsigned slot, uint32_t id, uint32_t len)
{
	vio_store_le32(&ring->used->ring[slot % ring->size].id, id);
	vio_store_le32(&ring->used->ring[slot % ring->size].len, len);
}

void test_ring_set_used_idx(const struct test_ring *ring, unsigned idx)
{
	vio_store_release_le16(&ring->used->idx, (uint16_t)idx);
}

void test_ring_set_used_flags(const struct test_ring *ring, unsigned flags)
{
	vio_store_le16(&ring->used->flags, (uint16_t)flags);
}

void test_ring_set_avail_event(const struct test_ring *ring, unsigned event)
{
	vio_store_le16(split_avail_event(ring->used, ring->size), (uint16_t)event);
}

uint16_t test_ring_get_avail_idx(const struct test_ring *ring)
{
	return vio_load_acquire_le16(&ring->avail->idx);
}
