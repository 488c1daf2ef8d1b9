/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_LINK_VHOST_USER_MEMORY_H
#define VIO_LINK_VHOST_USER_MEMORY_H

#include <vireo/memory.h>
#include <vireo/spec/vhost_user.h>
#include <vireo/vhost_user.h>

#include "link/guard.h"

/* A region as the front end describes it, and where it is mapped here. */
struct vu_region {
	struct vhost_user_mem_region wire;
	struct link_mapping map; /* from the page on in which the region begins */
	uint8_t *host;           /* first byte of the region */
};

/* The front end's memory: a table by bus address for the device, and a list that knows virtual addresses. */
struct vu_memory {
	struct vu_region regions[VIO_VHOST_USER_REGIONS_MAX];
	unsigned count;
	struct vio_region storage[VIO_VHOST_USER_REGIONS_MAX];
	struct vio_mem mem;
};

void vu_memory_init(struct vu_memory *memory);

/*
 * Maps a region (fd stays the caller's) of a connection over the socket. -VIO_ERANGE: also addresses that
 * wrap; and the codes of link_mapping_make().
 */
int vu_region_map(struct vu_region *region, const struct vhost_user_mem_region *wire, int fd, int socket_fd);
void vu_region_unmap(struct vu_region *region);

/* Whether a region can be added: 0, -VIO_ENOSPC, or -VIO_EEXIST when it overlaps in either address space. */
int vu_memory_admits(const struct vu_memory *memory, const struct vhost_user_mem_region *wire);
/* Takes over a mapped region. Codes of vu_memory_admits(). */
int vu_memory_add(struct vu_memory *memory, const struct vu_region *region);
/* Whether there is a region with exactly these addresses and size. */
bool vu_memory_has(const struct vu_memory *memory, const struct vhost_user_mem_region *wire);
/* Unmaps and removes it; -VIO_ENOENT. */
int vu_memory_remove(struct vu_memory *memory, const struct vhost_user_mem_region *wire);
void vu_memory_clear(struct vu_memory *memory);
/* A file was cut short under it, and somebody noticed. */
bool vu_memory_torn(const struct vu_memory *memory);

/*
 * The bus address behind a front end's virtual address; false unless all of [user_addr,
 * user_addr + length) lies in one region: regions that touch for the front end need not do so
 * on the bus.
 */
bool vu_memory_from_user(const struct vu_memory *memory, uint64_t user_addr, uint64_t length,
			 struct vio_addr *addr);

#endif
