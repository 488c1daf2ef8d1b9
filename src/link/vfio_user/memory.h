/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_LINK_VFIO_USER_MEMORY_H
#define VIO_LINK_VFIO_USER_MEMORY_H

#include <vireo/memory.h>
#include <vireo/spec/vfio_user.h>
#include <vireo/vfio_user.h>

#include "link/guard.h"

/* A DMA region, and where it is mapped here. */
struct vfu_region {
	uint64_t address, size;
	unsigned rights; /* VIO_MEM_... */
	uint8_t *host;   /* NULL: it came without a descriptor */
	struct link_mapping map;
};

/*
 * Where near memory of relays is to the device, so much for each queue. It is no client's to map, and no
 * driver's to name: queues without a relay don't have it, and what a relay passes on was judged before.
 */
#define VFU_RELAY_ADDRESS UINT64_C(0xffff000000000000)
#define VFU_RELAY_SPACING (UINT64_C(1) << 26)
#define VFU_RELAY_END     (VFU_RELAY_ADDRESS + 65536 * VFU_RELAY_SPACING)
#define VFU_RELAYS_MAX    256u

/* The client's memory: all regions, and what queues can reach: those that are mapped, or also relays'. */
struct vfu_memory {
	struct vfu_region regions[VIO_VFIO_USER_REGIONS_MAX]; /* sorted by address */
	unsigned count;
	unsigned hint;    /* region that was found last */
	unsigned distant; /* those without a descriptor that may be written, as what is for devices may */
	struct vio_region storage[VIO_VFIO_USER_REGIONS_MAX];
	struct vio_mem mem;
	struct vio_region near_storage[VIO_VFIO_USER_REGIONS_MAX + VFU_RELAYS_MAX];
	struct vio_mem near;
};

/* How far the server gets with some bytes of it. */
enum vfu_reach {
	VFU_OUTSIDE, /* not at all, or not with these rights */
	VFU_DISTANT, /* by copies */
	VFU_MAPPED,  /* they lie in one piece here */
};

void vfu_memory_init(struct vfu_memory *memory);

/*
 * Adds a region; fd stays the caller's, -1: none. -VIO_EEXIST: it overlaps another, or what relays
 * have; -VIO_ENOSPC: there are too many; -VIO_ERANGE: a size that wraps or is none; and the codes of
 * link_mapping_make().
 */
int vfu_memory_add(struct vfu_memory *memory, const struct vfio_user_dma_map *wire, int fd, int socket_fd);
/* The region of exactly this address and size, or NULL. */
struct vfu_region *vfu_memory_find(struct vfu_memory *memory, uint64_t address, uint64_t size);
/* The one that an address lies in, or NULL. */
const struct vfu_region *vfu_memory_at(struct vfu_memory *memory, uint64_t address);
enum vfu_reach vfu_memory_reach(struct vfu_memory *memory, uint64_t address, uint64_t bytes, unsigned rights);
void vfu_memory_remove(struct vfu_memory *memory, struct vfu_region *region);
void vfu_memory_clear(struct vfu_memory *memory);
/* The client has cut a file of it short, and the device ran into that. */
bool vfu_memory_torn(const struct vfu_memory *memory);

#endif
