/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "link/vfio_user/memory.h"

/*
 * A page beyond the end of a file raises SIGBUS when it is touched, so a file that is
 * shorter than its region is refused. One that is cut short afterwards can't be seen in
 * time: clients that mean well seal their memory with F_SEAL_SHRINK.
 */

void vfu_memory_init(struct vfu_memory *memory)
{
	memory->count = 0;
	vio_mem_init(&memory->mem, memory->storage, VIO_VFIO_USER_REGIONS_MAX);
}

static int mmap_error(int errno_value)
{
	switch (errno_value) {
	case EACCES:
	case EPERM:
		return -VIO_EACCES;
	case ENOMEM:
		return -VIO_ENOMEM;
	default:
		return -VIO_ESYS;
	}
}

/* Maps it; *host is its first byte. */
static int map(struct vfu_region *region, const struct vfio_user_dma_map *wire, int fd, uint8_t **host)
{
	uint64_t end, granule = (uint64_t)sysconf(_SC_PAGESIZE), begin;
	int protection = PROT_READ | (wire->flags & VFIO_USER_DMA_MAP_WRITE ? PROT_WRITE : 0);
	struct stat st;

	if (!vio_add_u64(wire->offset, wire->size, &end) || end > INT64_MAX)
		return -VIO_ERANGE;
	if (fstat(fd, &st) < 0)
		return -VIO_ESYS;
	if (!S_ISREG(st.st_mode))
		return -VIO_EINVAL;
	if ((uint64_t)st.st_size < end)
		return -VIO_ERANGE;
	/* Huge pages can only be mapped whole; their file system says so in the block size. */
	if (st.st_blksize > 0 && vio_is_power_of_two((uint64_t)st.st_blksize) &&
	    (uint64_t)st.st_blksize > granule)
		granule = (uint64_t)st.st_blksize;
	begin = wire->offset / granule * granule;
	region->map_bytes = (size_t)((end - begin + granule - 1) / granule * granule);
	region->map = mmap(NULL, region->map_bytes, protection, MAP_SHARED | MAP_NORESERVE, fd, (off_t)begin);
	if (region->map == MAP_FAILED)
		return mmap_error(errno);
	madvise(region->map, region->map_bytes, MADV_DONTDUMP);
	*host = (uint8_t *)region->map + (wire->offset - begin);
	return 0;
}

int vfu_memory_add(struct vfu_memory *memory, const struct vfio_user_dma_map *wire, int fd)
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
		error = map(&region, wire, fd, &bus.host);
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
	if (region->map) {
		vio_mem_remove(&memory->mem, vio_addr_make(region->address), region->size);
		munmap(region->map, region->map_bytes);
	}
	*region = memory->regions[--memory->count];
}

void vfu_memory_clear(struct vfu_memory *memory)
{
	while (memory->count)
		vfu_memory_remove(memory, &memory->regions[memory->count - 1]);
}
