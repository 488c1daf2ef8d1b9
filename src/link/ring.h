/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_LINK_RING_H
#define VIO_LINK_RING_H

#include <vireo/memory.h>

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

#endif
