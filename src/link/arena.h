/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_LINK_ARENA_H
#define VIO_LINK_ARENA_H

#include <vireo/platform.h>

/*
 * One piece of memory that a device was shown, in pages: what a driver takes lies in it, and what it shares
 * is copied there and back unless it lies there already. Hostile devices see nothing else of the process.
 */

#define VIO_ARENA_PAGE 4096u

struct vio_arena {
	uint8_t *host;
	size_t bytes;
	struct vio_addr addr; /* of its first byte, for the device */
	uint8_t *used;        /* one for each page */
	size_t next;          /* page to look at first */
};

/* Whole pages of anonymous memory, zeros, whose parts stay where they are; -VIO_ENOMEM. */
int vio_arena_make(struct vio_arena *arena, size_t bytes);
/* The same, in a file whose size stays what it is: *file, which is the caller's. Also -VIO_ESYS. */
int vio_arena_make_file(struct vio_arena *arena, size_t bytes, int *file);
/* Also of one that was never made, but zeroed. */
void vio_arena_free(struct vio_arena *arena);

/* As the functions of struct vio_platform. */
int vio_arena_take(struct vio_arena *arena, size_t bytes, unsigned rights, struct vio_shared *memory);
void vio_arena_give_back(struct vio_arena *arena, const struct vio_shared *memory, size_t bytes);
int vio_arena_share(struct vio_arena *arena, void *host, size_t length, unsigned rights,
		    struct vio_addr *addr);
void vio_arena_unshare(struct vio_arena *arena, void *host, size_t length, unsigned rights,
		       struct vio_addr addr);

/* Where the process has what the device finds at `addr`; NULL when that is outside. */
void *vio_arena_host(const struct vio_arena *arena, struct vio_addr addr);

#endif
