/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_HOST_H
#define VIREO_HOST_H

#include <vireo/block.h>
#include <vireo/entropy.h>
#include <vireo/loop.h>
#include <vireo/property.h>

/*
 * What devices stand on in an operating system.
 *
 * Functions that fail for reasons of the world put a sentence that names the
 * thing and the value into *message, fit to be shown to a user.
 */
#define VIO_MESSAGE_BYTES 512u

struct vio_message {
	char text[VIO_MESSAGE_BYTES];
};

/* Formats into message->text and returns `error`: `return vio_fail(message, -VIO_EIO, "...");`. */
VIO_API int vio_fail(struct vio_message *message, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The negative vio code for an errno value. */
VIO_API int vio_error_from_errno(int errno_value);

/* Block storage. */
enum vio_host_block_kind {
	VIO_HOST_BLOCK_FILE,   /* a file or block device */
	VIO_HOST_BLOCK_MEMORY, /* anonymous memory, zeros at first, gone at close */
	VIO_HOST_BLOCK_NULL,   /* reads nothing, writes nothing: for measurements */
};

#define VIO_HOST_PATH_BYTES 1024u

struct vio_host_block_options {
	uint8_t backend; /* enum vio_host_block_kind */
	char path[VIO_HOST_PATH_BYTES];
	uint64_t size; /* of MEMORY and NULL, in bytes */
	bool read_only;
	bool direct;         /* O_DIRECT */
	bool merge;          /* requests that come together, of neighbours in the image, are one transfer */
	bool shared;         /* the image isn't locked */
	uint32_t block_size; /* 512 or 4096; 0: as the storage asks */
};

/* "backend", "path", "size", "readonly", "direct", "merge", "shared", "block-size", over these options. */
VIO_API const struct vio_property_table *vio_host_block_properties(void);

/*
 * Opens storage driven by `loop`, which must outlive it; free it with
 * block->ops->close(). Refuses directories, sizes that aren't whole blocks,
 * missing files, files locked by another writer unless they are said to be shared.
 */
VIO_API int vio_host_block_open(struct vio_loop *loop, const struct vio_host_block_options *options,
				struct vio_block **block, struct vio_message *message);

/*
 * The same storage once more, for use in another loop: what is done by one is done for both, and a
 * FLUSH of one that comes after is for all. Close those first. They learn nothing of a new
 * size: whoever hears of it (vio_block.changed) sets their size_bytes while nobody uses them.
 */
VIO_API int vio_host_block_share(struct vio_block *block, struct vio_loop *loop, struct vio_block **shared);

/* The kernel's random numbers. */
VIO_API void vio_host_entropy(struct vio_entropy *entropy);

#endif
