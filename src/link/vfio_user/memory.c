/* SPDX-License-Identifier: BSD-3-Clause */
#include <sys/mman.h>

#include "link/vfio_user/memory.h"

void vfu_memory_init(struct vfu_memory *memory)
{
	memory->count = 0;
	vio_mem_init(&memory->mem, memory->storage, VIO_VFIO_USER_REGIONS_MAX);
}

int vfu_memory_add(struct vfu_memory *memory, const struct vfio_user_dma_map *wire, int fd, int socket_fd)
{
	struct vfu_region region = { .address = wire->address, .size = wire->size };
	struct vio_region bus = { .base = vio_addr_make(wire->address), .size = wire->size };
	uint64_t end;
	unsigned i;
	int error;

	if (!wire->size || !vio_add_u64(wire->address, wire->size, &end))
		return -VIO_ERANGE;
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
		bus.rights = (wire->flags & VFIO_USER_DMA_MAP_READ ? VIO_MEM_READ : 0) |
			     (wire->flags & VFIO_USER_DMA_MAP_WRITE ? VIO_MEM_WRITE : 0);
		(void)vio_mem_add(&memory->mem, &bus); /* it fits, and overlaps none */
	}
	memory->regions[memory->count++] = region;
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

void vfu_memory_remove(struct vfu_memory *memory, struct vfu_region *region)
{
	if (region->map.bytes) {
		vio_mem_remove(&memory->mem, vio_addr_make(region->address), region->size);
		link_mapping_drop(&region->map);
	}
	*region = memory->regions[--memory->count];
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
