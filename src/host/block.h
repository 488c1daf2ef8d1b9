/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_HOST_BLOCK_H
#define VIO_HOST_BLOCK_H

#include <vireo/host.h>

/*
 * One function opens each kind of storage; src/host/block.c has the table. A
 * new kind (NBD, RBD, ...) is a file with such a function, a row in that table
 * and a word in enum vio_host_block_kind.
 */
int host_block_open_file(struct vio_loop *loop,
                         const struct vio_host_block_options *options,
                         struct vio_block **block, struct vio_message *message);
int host_block_open_memory(struct vio_loop *loop,
                           const struct vio_host_block_options *options,
                           struct vio_block **block,
                           struct vio_message *message);
int host_block_open_null(struct vio_loop *loop,
                         const struct vio_host_block_options *options,
                         struct vio_block **block, struct vio_message *message);

/* Whether a request, flushes aside, lies within the storage. */
static inline bool host_block_inside(const struct vio_block *block,
                                     const struct vio_block_request *request) {
  return request->length <= block->size_bytes &&
         request->offset <= block->size_bytes - request->length;
}

static inline bool host_block_writes(const struct vio_block_request *request) {
  return request->op == VIO_BLOCK_WRITE || request->op == VIO_BLOCK_DISCARD ||
         request->op == VIO_BLOCK_WRITE_ZEROES;
}

/* What every kind refuses: 0 or the result. */
int host_block_judge(const struct vio_block *block,
                     const struct vio_block_request *request);

#endif
