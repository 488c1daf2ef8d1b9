/* SPDX-License-Identifier: BSD-3-Clause */
#include <vireo/memory.h>

/* Regions are sorted by base and disjoint, and base + size never wraps: vio_mem_add() sees to it. */

static inline bool region_holds(const struct vio_region *region, uint64_t addr)
{
	return addr - region->base.raw < region->size;
}

/* How many regions begin at or before addr. */
static unsigned region_rank(const struct vio_mem *mem, uint64_t addr)
{
	unsigned low = 0, high = mem->count;

	while (low < high) {
		unsigned middle = low + (high - low) / 2;

		if (mem->regions[middle].base.raw <= addr)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void vio_mem_init(struct vio_mem *mem, struct vio_region *storage, unsigned capacity)
{
	mem->regions = storage;
	mem->count = 0;
	mem->capacity = capacity;
	mem->translate = NULL;
	mem->translate_context = NULL;
}

int vio_mem_add(struct vio_mem *mem, const struct vio_region *region)
{
	uint64_t end;
	unsigned at, i;

	if (!region->size || !vio_add_u64(region->base.raw, region->size, &end))
		return -VIO_ERANGE;
	if (mem->count == mem->capacity)
		return -VIO_ENOSPC;
	at = region_rank(mem, region->base.raw);
	if (at && region_holds(&mem->regions[at - 1], region->base.raw))
		return -VIO_EEXIST;
	if (at < mem->count && mem->regions[at].base.raw < end)
		return -VIO_EEXIST;
	for (i = mem->count++; i > at; i--)
		mem->regions[i] = mem->regions[i - 1];
	mem->regions[at] = *region;
	return 0;
}

int vio_mem_remove(struct vio_mem *mem, struct vio_addr base, uint64_t size)
{
	unsigned at = region_rank(mem, base.raw);

	if (!at || mem->regions[at - 1].base.raw != base.raw || mem->regions[at - 1].size != size)
		return -VIO_ENOENT;
	for (mem->count--; at <= mem->count; at++)
		mem->regions[at - 1] = mem->regions[at];
	return 0;
}

/* The region that holds addr, or NULL. */
static const struct vio_region *region_find(const struct vio_mem *mem, unsigned *hint, uint64_t addr)
{
	unsigned at = *hint;

	if (at < mem->count && region_holds(&mem->regions[at], addr))
		return &mem->regions[at];
	at = region_rank(mem, addr);
	if (!at || !region_holds(&mem->regions[at - 1], addr))
		return NULL;
	*hint = at - 1;
	return &mem->regions[at - 1];
}

/*
 * The region that holds addr when it isn't in the table, in *found; NULL when nobody knows one. An
 * answer is judged as the table's own are: it has to hold the address, and to end where one can.
 */
static const struct vio_region *region_translate(const struct vio_mem *mem, uint64_t addr, unsigned access,
						 struct vio_region *found)
{
	uint64_t end;

	if (!mem->translate || !mem->translate(mem->translate_context, vio_addr_make(addr), access, found))
		return NULL;
	if (!region_holds(found, addr) || !vio_add_u64(found->base.raw, found->size, &end))
		return NULL;
	return found;
}

int vio_mem_resolve(const struct vio_mem *mem, unsigned *hint, struct vio_addr addr, uint64_t length,
		    unsigned access, struct vio_span *spans, unsigned max)
{
	uint64_t at = addr.raw;
	unsigned count = 0;

	/* Ends, as each round takes at least a byte off `length` and passes a region for good. */
	while (length) {
		const struct vio_region *region = region_find(mem, hint, at);
		struct vio_region translated;
		uint64_t offset, piece;
		uint8_t *host;

		if (!region)
			region = region_translate(mem, at, access, &translated);
		if (!region || (region->rights & access) != access)
			return -VIO_EACCES;
		offset = at - region->base.raw;
		piece = region->size - offset;
		if (piece > length)
			piece = length;
		host = region->host + offset;
		if (count && spans[count - 1].host + spans[count - 1].length == host) {
			spans[count - 1].length += (size_t)piece;
		} else {
			if (count == max)
				return -VIO_ENOSPC;
			spans[count].host = host;
			spans[count].length = (size_t)piece;
			count++;
		}
		at += piece;
		length -= piece;
	}
	return (int)count;
}

void *vio_mem_pointer(const struct vio_mem *mem, struct vio_addr addr, uint64_t length, unsigned access)
{
	struct vio_span span;
	unsigned hint = 0;

	return vio_mem_resolve(mem, &hint, addr, length, access, &span, 1) == 1 ? span.host : NULL;
}
