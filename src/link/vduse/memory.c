/* SPDX-License-Identifier: BSD-3-Clause */
#include <sys/mman.h>
#include <unistd.h>

#include "link/vduse/server.h"

/*
 * What the driver's addresses mean is asked of the kernel when one is used that isn't known. A driver of the
 * kernel's has rings, each a piece of its own, and one large piece that all data is copied through; a program
 * behind vhost-vdpa has pieces of its memory.
 */

static bool holds(const struct vds_mapping *mapping, uint64_t at)
{
	return at - mapping->region.base.raw < mapping->region.size;
}

static const struct vds_mapping *find(struct vds_memory *memory, uint64_t at)
{
	unsigned i;

	if (memory->last < memory->count && holds(&memory->mappings[memory->last], at))
		return &memory->mappings[memory->last];
	for (i = 0; i < memory->count; i++)
		if (holds(&memory->mappings[i], at)) {
			memory->last = i;
			return &memory->mappings[i];
		}
	return NULL;
}

bool vds_memory_covers(const struct vds_memory *memory, uint64_t start, uint64_t last)
{
	unsigned i;

	for (i = 0; i < memory->count; i++) {
		const struct vio_region *region = &memory->mappings[i].region;

		if (region->base.raw <= last && region->base.raw + (region->size - 1) >= start)
			return true;
	}
	return false;
}

/* What the kernel says of an address; a piece that can't be is none. */
static bool judge(struct vio_vduse *vduse, const struct vduse_iotlb_entry *entry, uint64_t at)
{
	if (entry->start > at || entry->last < at || entry->last == UINT64_MAX ||
	    !(entry->perm & VDUSE_ACCESS_RW)) {
		vds_log(vduse, "the kernel maps %#llx as %#llx to %#llx, which can't be",
			(unsigned long long)at, (unsigned long long)entry->start,
			(unsigned long long)entry->last);
		return false;
	}
	/* What was there goes only when the kernel says so, and no queue runs. */
	if (vds_memory_covers(&vduse->memory, entry->start, entry->last)) {
		vds_log(vduse, "the kernel maps %#llx to %#llx anew, and didn't say that it changed",
			(unsigned long long)entry->start, (unsigned long long)entry->last);
		return false;
	}
	if (vduse->memory.count == VIO_VDUSE_REGIONS_MAX) {
		vds_log(vduse, "more than %u pieces of memory", VIO_VDUSE_REGIONS_MAX);
		return false;
	}
	return true;
}

static bool add(struct vio_vduse *vduse, const struct vduse_iotlb_entry *entry, int fd)
{
	struct vds_mapping fresh = { .region = { .base = vio_addr_make(entry->start),
						 .size = entry->last - entry->start + 1 } };
	int protection = 0, error;

	if (entry->perm & VDUSE_ACCESS_RO) {
		fresh.region.rights |= VIO_MEM_READ;
		protection |= PROT_READ;
	}
	if (entry->perm & VDUSE_ACCESS_WO) {
		fresh.region.rights |= VIO_MEM_WRITE;
		protection |= PROT_WRITE;
	}
	error = link_mapping_make_untyped(&fresh.map, fd, entry->offset, fresh.region.size, protection,
					  &fresh.region.host);
	if (error) {
		vds_log(vduse, "memory from %#llx to %#llx: %s", (unsigned long long)entry->start,
			(unsigned long long)entry->last, vio_strerror(error));
		return false;
	}
	vduse->memory.last = vduse->memory.count;
	vduse->memory.mappings[vduse->memory.count++] = fresh;
	return true;
}

static bool translate(void *context, struct vio_addr addr, unsigned access, struct vio_region *found)
{
	struct vio_vduse *vduse = context;
	const struct vds_mapping *known = find(&vduse->memory, addr.raw);
	struct vduse_iotlb_entry entry = { .start = addr.raw, .last = addr.raw };
	bool added;
	int fd;

	(void)access;
	if (!known) {
		fd = vds_control(vduse, VDUSE_IOTLB_GET_FD, &entry);
		if (fd < 0)
			return false;
		added = judge(vduse, &entry, addr.raw) && add(vduse, &entry, fd);
		close(fd);
		if (!added)
			return false;
		known = &vduse->memory.mappings[vduse->memory.last];
	}
	*found = known->region;
	return true;
}

void vds_memory_init(struct vio_vduse *vduse)
{
	struct vds_memory *memory = &vduse->memory;

	vio_mem_init(&memory->mem, memory->storage, VIO_ARRAY_SIZE(memory->storage));
	memory->mem.translate = translate;
	memory->mem.translate_context = vduse;
	memory->count = 0;
}

void vds_memory_drop(struct vds_memory *memory, uint64_t start, uint64_t last)
{
	unsigned i = 0;

	while (i < memory->count) {
		struct vds_mapping *mapping = &memory->mappings[i];

		if (mapping->region.base.raw > last ||
		    mapping->region.base.raw + (mapping->region.size - 1) < start) {
			i++;
			continue;
		}
		link_mapping_drop(&mapping->map);
		*mapping = memory->mappings[--memory->count];
	}
}

bool vds_memory_torn(const struct vds_memory *memory)
{
	unsigned i;

	for (i = 0; i < memory->count; i++)
		if (link_mapping_torn(&memory->mappings[i].map))
			return true;
	return false;
}
