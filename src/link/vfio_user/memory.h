/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_LINK_VFIO_USER_MEMORY_H
#define VIO_LINK_VFIO_USER_MEMORY_H

#include <vireo/memory.h>
#include <vireo/spec/vfio_user.h>
#include <vireo/vfio_user.h>

/* A DMA region, and where it is mapped here. */
struct vfu_region {
	uint64_t address, size;
	void *map; /* from the page on in which the region begins; NULL: it came without a descriptor */
	size_t map_bytes;
};

/* The client's memory: all regions, and those of them that the device can reach. */
struct vfu_memory {
	struct vfu_region regions[VIO_VFIO_USER_REGIONS_MAX];
	unsigned count;
	struct vio_region storage[VIO_VFIO_USER_REGIONS_MAX];
	struct vio_mem mem;
};

void vfu_memory_init(struct vfu_memory *memory);

/*
 * Adds a region; fd stays the caller's, -1: none. -VIO_EEXIST: it overlaps another; -VIO_ENOSPC: there
 * are too many; -VIO_ERANGE: sizes that wrap or a file that is too short; -VIO_EINVAL: no file that
 * holds memory; -VIO_EACCES, -VIO_ENOMEM, -VIO_ESYS: mmap refused.
 */
int vfu_memory_add(struct vfu_memory *memory, const struct vfio_user_dma_map *wire, int fd);
/* The region of exactly this address and size, or NULL. */
struct vfu_region *vfu_memory_find(struct vfu_memory *memory, uint64_t address, uint64_t size);
void vfu_memory_remove(struct vfu_memory *memory, struct vfu_region *region);
void vfu_memory_clear(struct vfu_memory *memory);

#endif
