/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_MEMORY_SPAN_H
#define VIO_MEMORY_SPAN_H

#include <vireo/memory.h>

/*
 * vio_mem_resolve() for the common case, in line: all of [addr, addr + length) in
 * the region hit last. false says nothing but that the long way has to be taken.
 */
static inline bool mem_resolve_hit(const struct vio_mem *mem, unsigned hint, uint64_t addr, uint64_t length,
				   unsigned access, struct vio_span *span)
{
	const struct vio_region *region = &mem->regions[hint];
	uint64_t offset;

	if (hint >= mem->count)
		return false;
	offset = addr - region->base.raw;
	if (offset >= region->size || length > region->size - offset || (region->rights & access) != access)
		return false;
	span->host = region->host + offset;
	span->length = (size_t)length;
	return true;
}

#endif
