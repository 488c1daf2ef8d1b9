/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_MEMORY_SPAN_H
#define VIO_MEMORY_SPAN_H

#include <vireo/memory.h>

/*
 * vio_mem_resolve() for the common case, in line, in two steps: the region hit last, if there is
 * one, and all of [addr, addr + length) in it, length not 0. false says nothing but that the long
 * way has to be taken.
 */
static inline const struct vio_region *mem_region_last(const struct vio_mem *mem, unsigned hint)
{
	return hint < mem->count ? &mem->regions[hint] : NULL;
}

static inline bool mem_region_hit(const struct vio_region *region, uint64_t addr, uint64_t length,
				  unsigned access, struct vio_span *span)
{
	const uint64_t offset = addr - region->base.raw;

	if (offset >= region->size || length > region->size - offset || (region->rights & access) != access)
		return false;
	span->host = region->host + offset;
	span->length = (size_t)length;
	return true;
}

#endif
