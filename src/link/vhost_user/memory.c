/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>
#include <sys/mman.h>

#include "link/vhost_user/memory.h"

void vu_memory_init(struct vu_memory *memory)
{
	memory->count = 0;
	vio_mem_init(&memory->mem, memory->storage, VIO_VHOST_USER_REGIONS_MAX);
}

int vu_region_map(struct vu_region *region, const struct vhost_user_mem_region *wire, int fd, int socket_fd)
{
	uint64_t end;

	/* hostile: C13 */
	if (!vio_add_u64(wire->guest_phys_addr, wire->memory_size, &end) ||
	    !vio_add_u64(wire->userspace_addr, wire->memory_size, &end))
		return -VIO_ERANGE;
	region->wire = *wire;
	return link_mapping_make(&region->map, fd, wire->mmap_offset, wire->memory_size,
				 PROT_READ | PROT_WRITE, socket_fd, &region->host);
}

void vu_region_unmap(struct vu_region *region)
{
	link_mapping_drop(&region->map);
}

static bool ranges_overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return a < b + b_size && b < a + a_size;
}

int vu_memory_admits(const struct vu_memory *memory, const struct vhost_user_mem_region *wire)
{
	unsigned i;

	for (i = 0; i < memory->count; i++) {
		const struct vhost_user_mem_region *other = &memory->regions[i].wire;

		if (ranges_overlap(other->guest_phys_addr, other->memory_size, wire->guest_phys_addr,
				   wire->memory_size) ||
		    ranges_overlap(other->userspace_addr, other->memory_size, wire->userspace_addr,
				   wire->memory_size))
			return -VIO_EEXIST;
	}
	return memory->count < VIO_VHOST_USER_REGIONS_MAX ? 0 : -VIO_ENOSPC;
}

int vu_memory_add(struct vu_memory *memory, const struct vu_region *region)
{
	struct vio_region bus = { vio_addr_make(region->wire.guest_phys_addr), region->wire.memory_size,
				  region->host, VIO_MEM_READ | VIO_MEM_WRITE };
	int error = vu_memory_admits(memory, &region->wire);

	if (!error)
		error = vio_mem_add(&memory->mem, &bus);
	if (!error)
		memory->regions[memory->count++] = *region;
	return error;
}

/* Its place in the list, or memory->count. The offset in the file doesn't name a region. */
static unsigned find(const struct vu_memory *memory, const struct vhost_user_mem_region *wire)
{
	unsigned i;

	for (i = 0; i < memory->count; i++) {
		const struct vhost_user_mem_region *there = &memory->regions[i].wire;

		if (there->guest_phys_addr == wire->guest_phys_addr &&
		    there->userspace_addr == wire->userspace_addr && there->memory_size == wire->memory_size)
			break;
	}
	return i;
}

bool vu_memory_has(const struct vu_memory *memory, const struct vhost_user_mem_region *wire)
{
	return find(memory, wire) < memory->count;
}

int vu_memory_remove(struct vu_memory *memory, const struct vhost_user_mem_region *wire)
{
	unsigned at = find(memory, wire);

	if (at == memory->count)
		return -VIO_ENOENT;
	vio_mem_remove(&memory->mem, vio_addr_make(wire->guest_phys_addr), wire->memory_size);
	vu_region_unmap(&memory->regions[at]);
	memory->regions[at] = memory->regions[--memory->count];
	return 0;
}

void vu_memory_clear(struct vu_memory *memory)
{
	unsigned i;

	for (i = 0; i < memory->count; i++)
		vu_region_unmap(&memory->regions[i]);
	vu_memory_init(memory);
}

bool vu_memory_from_user(const struct vu_memory *memory, uint64_t user_addr, uint64_t length,
			 struct vio_addr *addr)
{
	unsigned i;

	for (i = 0; i < memory->count; i++) {
		const struct vhost_user_mem_region *wire = &memory->regions[i].wire;
		uint64_t offset = user_addr - wire->userspace_addr;

		if (offset < wire->memory_size && length <= wire->memory_size - offset) {
			*addr = vio_addr_make(wire->guest_phys_addr + offset);
			return true;
		}
	}
	return false;
}

bool vu_memory_torn(const struct vu_memory *memory)
{
	unsigned i;

	for (i = 0; i < memory->count; i++)
		if (link_mapping_torn(&memory->regions[i].map))
			return true;
	return false;
}
