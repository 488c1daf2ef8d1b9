/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/test.h"

#include <stdlib.h>
#include <string.h>

#include "base/atomic.h"
#include "lib/ring.h"
#include "ring/packed.h"
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

/* An index modulo 2^16 as a place in a list of what came, which is a power of two long. */
static unsigned packed_slot(const struct test_ring *ring, unsigned idx)
{
	return idx & (ring->state->slots - 1u);
}

void test_ring_make_packed(struct test_ring *ring, const struct test_memory *memory, uint64_t base,
			   uint16_t size)
{
	uint8_t *host = test_memory_at(memory, base);
	const uint64_t driver = driver_offset(size), device = driver + sizeof(*ring->driver_event);
	struct test_packed *state;
	struct virtq_desc *table;

	test_ring_free(ring);
	memset(host, 0, device + sizeof(*ring->device_event));
	state = calloc(1, sizeof(*state));
	table = calloc(size, sizeof(*table));
	assert_true(state && table);
	state->at = state->used_at = PVIRTQ_WRAP;
	for (state->slots = 1; state->slots < size;)
		state->slots *= 2u;
	state->placed = calloc(size, sizeof(*state->placed));
	state->count = calloc(size, sizeof(*state->count));
	state->heads = calloc(state->slots, sizeof(*state->heads));
	state->used_id = calloc(state->slots, sizeof(*state->used_id));
	state->used_len = calloc(state->slots, sizeof(*state->used_len));
	assert_true(state->placed && state->count && state->heads && state->used_id && state->used_len);
	*ring = (struct test_ring){
		.size = size,
		.descriptor_area = base,
		.driver_area = base + driver,
		.device_area = base + device,
		.desc = table,
		.packed = (struct pvirtq_desc *)(void *)host,
		.driver_event = (struct pvirtq_event_suppress *)(void *)(host + driver),
		.device_event = (struct pvirtq_event_suppress *)(void *)(host + device),
		.state = state,
	};
}

void test_ring_free(struct test_ring *ring)
{
	struct test_packed *state = ring->state;

	if (!state)
		return;
	free(state->placed);
	free(state->count);
	free(state->heads);
	free(state->used_id);
	free(state->used_len);
	free(state);
	free(ring->desc);
	ring->state = NULL;
}

static uint16_t packed_position(const struct test_ring *ring, uint16_t base)
{
	/* Somewhere in the ring, with a wrap counter that is 1 for index 0 and differs over the indices. */
	return (uint16_t)(base % ring->size | (base >> 15 ? 0 : PVIRTQ_WRAP));
}

struct vio_devq_config test_ring_config(const struct test_ring *ring, uint16_t avail_base, uint64_t features)
{
	struct vio_devq_config config = {
		.size = ring->size,
		.at = { avail_base, avail_base },
		.descriptor_area = vio_addr_make(ring->descriptor_area),
		.driver_area = vio_addr_make(ring->driver_area),
		.device_area = vio_addr_make(ring->device_area),
		.features = vio_features_low(features),
	};

	if (ring->packed) {
		config.at.avail = config.at.used = packed_position(ring, avail_base);
		vio_features_set(&config.features, VIRTIO_F_RING_PACKED);
	}
	return config;
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

unsigned test_ring_place(const struct test_ring *ring, unsigned index)
{
	return ring->packed ? ring->state->placed[index] : index;
}

void test_packed_table_desc(const struct test_memory *memory, uint64_t table, unsigned index, uint64_t addr,
			    uint32_t len, unsigned flags)
{
	const struct pvirtq_desc desc = { vio_le64_make(addr), vio_le32_make(len), vio_le16_make(0xabcd),
					  vio_le16_make((uint16_t)flags) };

	test_memory_put(memory, table + 16ull * index, &desc, sizeof(desc));
}

uint16_t test_packed_lay(struct test_ring *ring, unsigned head, unsigned id)
{
	struct test_packed *state = ring->state;
	uint16_t first = state->at, count = 0;
	unsigned at = head, flags;

	do {
		struct pvirtq_desc *to = &ring->packed[packed_offset(state->at)];
		const struct virtq_desc *from = &ring->desc[at];

		assert_true(at < ring->size);
		flags = vio_le16_get(from->flags);
		to->addr = from->addr;
		to->len = from->len;
		to->id = vio_le16_make((uint16_t)id);
		vio_store_release_le16(&to->flags,
				       (uint16_t)((flags & ~PACKED_STATE_FLAGS) |
						  (count ? packed_avail_flags(state->at)
							 : packed_used_flags(state->at ^ PVIRTQ_WRAP))));
		state->placed[at] = packed_offset(state->at);
		state->at = packed_advance(state->at, 1, ring->size);
		at = vio_le16_get(from->next);
		count++;
	} while ((flags & (F_NEXT | F_INDIRECT)) == F_NEXT && count < ring->size);
	if (id < ring->size)
		state->count[id] = count;
	state->heads[packed_slot(ring, ring->avail_idx)] = (uint16_t)id;
	ring->avail_idx++;
	return first;
}

void test_packed_show(const struct test_ring *ring, uint16_t position)
{
	struct pvirtq_desc *desc = &ring->packed[packed_offset(position)];
	unsigned flags = vio_le16_get(desc->flags) & ~PACKED_STATE_FLAGS;

	vio_store_release_le16(&desc->flags, (uint16_t)(flags | packed_avail_flags(position)));
}

void test_ring_offer(struct test_ring *ring, unsigned head)
{
	if (ring->packed) {
		test_packed_show(ring, test_packed_lay(ring, head, head));
		return;
	}
	test_ring_entry(ring, ring->avail_idx, head);
	test_ring_avail_idx(ring, ring->avail_idx + 1u);
}

/* Reads on what was used since the last look. */
static void packed_look(const struct test_ring *ring)
{
	struct test_packed *state = ring->state;

	while (state->used_idx != ring->avail_idx) {
		const struct pvirtq_desc *desc = &ring->packed[packed_offset(state->used_at)];
		unsigned flags = vio_load_acquire_le16(&desc->flags),
			 slot = packed_slot(ring, state->used_idx), id;

		if ((flags & PACKED_STATE_FLAGS) != packed_used_flags(state->used_at))
			return;
		id = vio_load_le16(&desc->id);
		assert_true(id < ring->size);
		state->used_id[slot] = id;
		state->used_len[slot] = vio_load_le32(&desc->len);
		state->used_at = packed_advance(state->used_at, state->count[id], ring->size);
		state->used_idx++;
	}
}

void test_ring_entry(const struct test_ring *ring, unsigned slot, unsigned head)
{
	vio_store_le16(&ring->avail->ring[slot % ring->size], (uint16_t)head);
}

void test_ring_avail_idx(struct test_ring *ring, unsigned idx)
{
	if (ring->packed) { /* before a start alone */
		ring->avail_idx = ring->state->used_idx = (uint16_t)idx;
		ring->state->at = ring->state->used_at = packed_position(ring, (uint16_t)idx);
		return;
	}
	ring->avail_idx = (uint16_t)idx;
	vio_store_release_le16(&ring->avail->idx, (uint16_t)idx);
}

void test_ring_avail_flags(const struct test_ring *ring, unsigned flags)
{
	vio_store_le16(ring->packed ? &ring->driver_event->flags : &ring->avail->flags, (uint16_t)flags);
}

void test_ring_used_event(const struct test_ring *ring, unsigned event)
{
	vio_store_le16(ring->packed ? &ring->driver_event->desc : split_used_event(ring->avail, ring->size),
		       (uint16_t)event);
}

uint16_t test_ring_used_idx(const struct test_ring *ring)
{
	if (ring->packed) {
		packed_look(ring);
		return ring->state->used_idx;
	}
	return vio_load_acquire_le16(&ring->used->idx);
}

uint16_t test_ring_used_flags(const struct test_ring *ring)
{
	return vio_load_le16(ring->packed ? &ring->device_event->flags : &ring->used->flags);
}

uint16_t test_ring_avail_event(const struct test_ring *ring)
{
	return vio_load_le16(ring->packed ? &ring->device_event->desc
					  : split_avail_event(ring->used, ring->size));
}

uint32_t test_ring_used_id(const struct test_ring *ring, unsigned slot)
{
	if (ring->packed) {
		packed_look(ring);
		return ring->state->used_id[packed_slot(ring, slot)];
	}
	return vio_load_le32(&ring->used->ring[slot % ring->size].id);
}

uint32_t test_ring_used_len(const struct test_ring *ring, unsigned slot)
{
	if (ring->packed) {
		packed_look(ring);
		return ring->state->used_len[packed_slot(ring, slot)];
	}
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
