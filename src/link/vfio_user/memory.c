/* SPDX-License-Identifier: BSD-3-Clause */
#include <sys/mman.h>

#include "link/vfio_user/memory.h"

void vfu_memory_init(struct vfu_memory *memory)
{
	memory->count = 0;
	memory->hint = 0;
	memory->distant = 0;
	vio_mem_init(&memory->mem, memory->storage, VIO_ARRAY_SIZE(memory->storage));
	vio_mem_init(&memory->near, memory->near_storage, VIO_ARRAY_SIZE(memory->near_storage));
}

static bool is_distant(const struct vfu_region *region)
{
	return !region->host && (region->rights & VIO_MEM_WRITE);
}

/* For the queues. */
static int show(struct vfu_memory *memory, const struct vio_region *region)
{
	int error = vio_mem_add(&memory->mem, region);

	if (error)
		return error;
	error = vio_mem_add(&memory->near, region);
	if (error)
		(void)vio_mem_remove(&memory->mem, region->base, region->size);
	return error;
}

int vfu_memory_add(struct vfu_memory *memory, const struct vfio_user_dma_map *wire, int fd, int socket_fd)
{
	struct vfu_region region = { .address = wire->address,
				     .size = wire->size,
				     .rights = (wire->flags & VFIO_USER_DMA_MAP_READ ? VIO_MEM_READ : 0) |
					       (wire->flags & VFIO_USER_DMA_MAP_WRITE ? VIO_MEM_WRITE : 0) };
	struct vio_region bus = { .base = vio_addr_make(wire->address), .size = wire->size };
	uint64_t end;
	unsigned i;
	int error;

	if (!wire->size || !vio_add_u64(wire->address, wire->size, &end))
		return -VIO_ERANGE;
	if (wire->address < VFU_RELAY_END && end > VFU_RELAY_ADDRESS)
		return -VIO_EEXIST;
	for (i = 0; i < memory->count; i++) {
		const struct vfu_region *other = &memory->regions[i];

		if (other->address < end && wire->address < other->address + other->size)
			return -VIO_EEXIST;
	}
	if (memory->count == VIO_VFIO_USER_REGIONS_MAX)
		return -VIO_ENOSPC;
	if (fd >= 0) {
		error = link_mapping_make(&region.map, fd, wire->offset, wire->size,
					  PROT_READ |
						  (wire->flags & VFIO_USER_DMA_MAP_WRITE ? PROT_WRITE : 0),
					  socket_fd, &bus.host);
		if (error)
			return error;
		region.host = bus.host;
		bus.rights = region.rights;
		error = show(memory, &bus);
		if (error) {
			link_mapping_drop(&region.map);
			return error;
		}
	}
	memory->distant += is_distant(&region);
	for (i = memory->count++; i && memory->regions[i - 1].address > region.address; i--)
		memory->regions[i] = memory->regions[i - 1];
	memory->regions[i] = region;
	return 0;
}

struct vfu_region *vfu_memory_find(struct vfu_memory *memory, uint64_t address, uint64_t size)
{
	unsigned i;

	for (i = 0; i < memory->count; i++)
		if (memory->regions[i].address == address && memory->regions[i].size == size)
			return &memory->regions[i];
	return NULL;
}

static bool holds(const struct vfu_region *region, uint64_t address)
{
	return address - region->address < region->size;
}

const struct vfu_region *vfu_memory_at(struct vfu_memory *memory, uint64_t address)
{
	unsigned first = 0, end = memory->count;

	if (memory->hint < memory->count && holds(&memory->regions[memory->hint], address))
		return &memory->regions[memory->hint];
	/* The last one that doesn't begin behind it; a client may have many, and ask for each byte. */
	while (first < end) {
		const unsigned middle = first + (end - first) / 2;

		if (memory->regions[middle].address <= address)
			first = middle + 1;
		else
			end = middle;
	}
	if (!first || !holds(&memory->regions[first - 1], address))
		return NULL;
	memory->hint = first - 1;
	return &memory->regions[first - 1];
}

enum vfu_reach vfu_memory_reach(struct vfu_memory *memory, uint64_t address, uint64_t bytes, unsigned rights)
{
	const struct vfu_region *region;
	uint64_t piece;
	unsigned pieces = 0;
	bool mapped = true;

	/* Ends: each round passes a region. */
	while (bytes) {
		region = vfu_memory_at(memory, address);
		if (!region || (region->rights & rights) != rights)
			return VFU_OUTSIDE;
		mapped &= region->host != NULL;
		pieces++;
		piece = region->size - (address - region->address);
		if (piece > bytes)
			piece = bytes;
		address += piece;
		bytes -= piece;
	}
	return mapped && pieces <= 1 ? VFU_MAPPED : VFU_DISTANT;
}

void vfu_memory_remove(struct vfu_memory *memory, struct vfu_region *region)
{
	const bool distant = is_distant(region);
	unsigned i;

	if (region->host) {
		vio_mem_remove(&memory->mem, vio_addr_make(region->address), region->size);
		vio_mem_remove(&memory->near, vio_addr_make(region->address), region->size);
		link_mapping_drop(&region->map);
	}
	memory->distant -= distant;
	memory->count--;
	for (i = (unsigned)(region - memory->regions); i < memory->count; i++)
		memory->regions[i] = memory->regions[i + 1];
}

void vfu_memory_clear(struct vfu_memory *memory)
{
	while (memory->count)
		vfu_memory_remove(memory, &memory->regions[memory->count - 1]);
}

bool vfu_memory_torn(const struct vfu_memory *memory)
{
	unsigned i;

	for (i = 0; i < memory->count; i++)
		if (link_mapping_torn(&memory->regions[i].map))
			return true;
	return false;
}
