/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_HOST_STORAGE_H
#define VIO_HOST_STORAGE_H

#include <vireo/host.h>

/* What the kinds of storage behind vio_host_block_open() share. */

#define VIO_STORAGE_NEEDS_PATH 1u /* and its size is what it finds there */
#define VIO_STORAGE_NEEDS_SIZE 2u /* and it takes no path */

struct vio_storage_kind {
	const char *name;
	unsigned flags;
	/* The options have been checked as far as `flags` and block_size go. */
	int (*open)(struct vio_loop *loop, const struct vio_host_block_options *options,
		    struct vio_block **block, struct vio_message *message);
	const struct vio_block_ops *ops; /* tell whose a block is */
	/* See vio_host_block_share(). */
	int (*share)(struct vio_block *block, struct vio_loop *loop, struct vio_block **shared);
};

extern const struct vio_storage_kind vio_storage_file;
extern const struct vio_storage_kind vio_storage_memory;
extern const struct vio_storage_kind vio_storage_null;

/* Smallest unit of transfer unless the options or the storage say otherwise. */
#define VIO_STORAGE_BLOCK_BYTES 512u

/*
 * What a request is answered with before anything is done: 0 if it may go on.
 * The device has checked it already; this is what keeps a mistake there away from
 * what lies beside the image.
 */
int vio_storage_judge(const struct vio_block *block, const struct vio_block_request *request);

/* For storage that completes inside submit. */
void vio_storage_drain_nothing(struct vio_block *block);

#endif
