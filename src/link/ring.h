/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_LINK_RING_H
#define VIO_LINK_RING_H

#include <vireo/devq.h>

#include "base/atomic.h"

/*
 * What of a ring a link looks at itself, before a queue is started and has judged it: NULL where it isn't in
 * memory in one piece, or not aligned in ours (pieces of a peer's memory may begin anywhere).
 * hostile: C18
 */
static inline void *link_ring_area(const struct vio_mem *mem, struct vio_addr at, uint64_t bytes,
				   uintptr_t align, unsigned access)
{
	void *there = vio_mem_pointer(mem, at, bytes, access);

	return (uintptr_t)there % align ? NULL : there;
}

/* Whether all that a queue of this configuration has to have is in memory now. */
static inline bool link_ring_present(const struct vio_mem *mem, const struct vio_devq_config *config,
				     bool packed)
{
	const unsigned descriptors = packed ? VIO_MEM_READ | VIO_MEM_WRITE : VIO_MEM_READ;
	const uint64_t size = config->size;

	return link_ring_area(mem, config->descriptor_area, 16 * size, 16, descriptors) &&
	       link_ring_area(mem, config->driver_area, packed ? 4 : 4 + 2 * size, packed ? 4 : 2,
			      VIO_MEM_READ) &&
	       link_ring_area(mem, config->device_area, packed ? 4 : 4 + 8 * size, 4, VIO_MEM_WRITE);
}

/*
 * Where a packed queue stands of which a peer says nothing but zeros, as some do of one that never ran: the
 * ring tells, as its first descriptor was used if this isn't the first lap.
 */
static inline struct vio_devq_position link_ring_position(const struct vio_mem *mem, struct vio_addr ring)
{
	const struct pvirtq_desc *first =
		link_ring_area(mem, ring, sizeof(*first), VIRTQ_DESC_ALIGN, VIO_MEM_READ);

	if (first && !(vio_load_le16(&first->flags) & VIRTQ_DESC_F_USED))
		return (struct vio_devq_position){ PVIRTQ_WRAP, PVIRTQ_WRAP };
	return (struct vio_devq_position){ 0, 0 };
}

#endif
