/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TEST_LIB_RING_H
#define TEST_LIB_RING_H

#include <vireo/devq.h>
#include <vireo/drvq.h>
#include <vireo/spec/virtio_ring.h>

#include "lib/memory.h"

struct test_packed;

/*
 * A ring that the test writes and reads by hand, as either peer may: no rule of
 * the standard stands in its way.
 *
 * A packed one is written as if it were split: test_ring_desc() fills a table that
 * only the test sees, and test_ring_offer() lays the chain that begins at `head`
 * out in the ring, under the id `head`. What was used is read back the same way.
 * So a case that doesn't turn on how a ring is written is written once.
 */
struct test_ring {
	uint16_t size;
	uint16_t avail_idx; /* as test_ring_offer() counts */
	uint64_t descriptor_area, driver_area, device_area;
	struct virtq_desc *desc;
	/* Split. */
	struct virtq_avail *avail;
	struct virtq_used *used;
	/* Packed; NULL in a split one. */
	struct pvirtq_desc *packed;
	struct pvirtq_event_suppress *driver_event, *device_event;
	struct test_packed *state;
};

/* What a test knows of a packed ring; arrays by id or index in the table, or of `slots` by a count. */
struct test_packed {
	uint16_t at,
		used_at; /* positions: where the next chain goes, where the next used one is looked for */
	uint16_t used_idx, slots;
	uint16_t *placed;  /* offset at which an entry of the table was laid out last */
	uint16_t *count;   /* descriptors of a buffer */
	uint16_t *heads;   /* ids in the order in which they were offered */
	uint32_t *used_id; /* as they came */
	uint32_t *used_len;
};

/* Bytes that test_ring_make() takes, and a ring of zeros there, its three areas behind each other. */
uint64_t test_ring_bytes(uint16_t size);
void test_ring_make(struct test_ring *ring, const struct test_memory *memory, uint64_t base, uint16_t size);
/* The same packed; `ring` was all zeros before or made by the same function. */
void test_ring_make_packed(struct test_ring *ring, const struct test_memory *memory, uint64_t base,
			   uint16_t size);
void test_ring_free(struct test_ring *ring); /* a packed one; nothing to do for the other */

/* `avail_base` is an index; what it means as a position of a packed ring is made up from it. */
struct vio_devq_config test_ring_config(const struct test_ring *ring, uint16_t avail_base, uint64_t features);

/* A descriptor of the ring's table, or of one that lies anywhere. */
void test_ring_desc(const struct test_ring *ring, unsigned index, uint64_t addr, uint32_t len, unsigned flags,
		    unsigned next);
void test_table_desc(const struct test_memory *memory, uint64_t table, unsigned index, uint64_t addr,
		     uint32_t len, unsigned flags, unsigned next);

/* Puts a head into the next entry and shows it. */
void test_ring_offer(struct test_ring *ring, unsigned head);
/* Packed: lays a chain out under any id, without showing it; returns the position of its first descriptor. */
uint16_t test_packed_lay(struct test_ring *ring, unsigned head, unsigned id);
/* Shows, or hides, the descriptor at a position: flips it to what makes it available. */
void test_packed_show(const struct test_ring *ring, uint16_t position);
/* The index by which a fault names the descriptor: where `index` of the table lies in the ring. */
unsigned test_ring_place(const struct test_ring *ring, unsigned index);
/* An entry of a packed ring's indirect table. */
void test_packed_table_desc(const struct test_memory *memory, uint64_t table, unsigned index, uint64_t addr,
			    uint32_t len, unsigned flags);
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
#define TEST_PACKED   TEST_BIT(VIRTIO_F_RING_PACKED)
#define TEST_IN_ORDER TEST_BIT(VIRTIO_F_IN_ORDER)

#define F_NEXT     VIRTQ_DESC_F_NEXT
#define F_WRITE    VIRTQ_DESC_F_WRITE
#define F_INDIRECT VIRTQ_DESC_F_INDIRECT

#endif
