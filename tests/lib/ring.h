/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TEST_LIB_RING_H
#define TEST_LIB_RING_H

#include <vireo/devq.h>
#include <vireo/drvq.h>
#include <vireo/spec/virtio_ring.h>

#include "lib/memory.h"

/*
 * A split ring that the test writes and reads by hand, as either peer may: no
 * rule of the standard stands in its way.
 */
struct test_ring {
	uint16_t size;
	uint16_t avail_idx; /* as test_ring_offer() counts */
	uint64_t descriptor_area, driver_area, device_area;
	struct virtq_desc *desc;
	struct virtq_avail *avail;
	struct virtq_used *used;
};

/* Bytes that test_ring_make() takes, and a ring of zeros there, its three areas behind each other. */
uint64_t test_ring_bytes(uint16_t size);
void test_ring_make(struct test_ring *ring, const struct test_memory *memory, uint64_t base, uint16_t size);

struct vio_devq_config test_ring_config(const struct test_ring *ring, uint16_t avail_base, uint64_t features);

/* A descriptor of the ring's table, or of one that lies anywhere. */
void test_ring_desc(const struct test_ring *ring, unsigned index, uint64_t addr, uint32_t len, unsigned flags,
		    unsigned next);
void test_table_desc(const struct test_memory *memory, uint64_t table, unsigned index, uint64_t addr,
		     uint32_t len, unsigned flags, unsigned next);

/* Puts a head into the next entry and shows it. */
void test_ring_offer(struct test_ring *ring, unsigned head);
/* Only the entry; only the index. */
void test_ring_entry(const struct test_ring *ring, unsigned slot, unsigned head);
void test_ring_avail_idx(struct test_ring *ring, unsigned idx);
void test_ring_avail_flags(const struct test_ring *ring, unsigned flags);
void test_ring_used_event(const struct test_ring *ring, unsigned event);

uint16_t test_ring_used_idx(const struct test_ring *ring);
uint16_t test_ring_used_flags(const struct test_ring *ring);
uint16_t test_ring_avail_event(const struct test_ring *ring);
uint32_t test_ring_used_id(const struct test_ring *ring, unsigned slot);
uint32_t test_ring_used_len(const struct test_ring *ring, unsigned slot);

/* As a device would, and as it shouldn't. */
void test_ring_use(const struct test_ring *ring, uint32_t id, uint32_t len);
void test_ring_used_entry(const struct test_ring *ring, unsigned slot, uint32_t id, uint32_t len);
void test_ring_set_used_idx(const struct test_ring *ring, unsigned idx);
void test_ring_set_used_flags(const struct test_ring *ring, unsigned flags);
void test_ring_set_avail_event(const struct test_ring *ring, unsigned event);
uint16_t test_ring_get_avail_idx(const struct test_ring *ring);

#define TEST_BIT(bit) (UINT64_C(1) << (bit))
#define TEST_PLAIN    TEST_BIT(VIRTIO_F_VERSION_1)
#define TEST_EVENT    (TEST_PLAIN | TEST_BIT(VIRTIO_F_EVENT_IDX))
#define TEST_INDIRECT (TEST_PLAIN | TEST_BIT(VIRTIO_F_INDIRECT_DESC))

#define F_NEXT     VIRTQ_DESC_F_NEXT
#define F_WRITE    VIRTQ_DESC_F_WRITE
#define F_INDIRECT VIRTQ_DESC_F_INDIRECT

#endif
