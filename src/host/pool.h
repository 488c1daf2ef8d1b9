/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_HOST_POOL_H
#define VIO_HOST_POOL_H

#include "host/engine.h"

/*
 * A few threads that carry out file I/O by ordinary system calls. All calls come
 * from the loop's thread; the threads touch nothing but the struct vio_io they
 * were given and the pool's own queues.
 */
struct vio_pool;

/* NULL and *error set to a negative code on failure. Threads are started when there is something to do. */
struct vio_pool *vio_pool_create(int *error);
/* Ends the threads after the I/O they are at. */
void vio_pool_destroy(struct vio_pool *pool);

/* Takes over all of `queue`. */
void vio_pool_submit(struct vio_pool *pool, struct vio_io_queue *queue);
/* Appends to `finished` what is done, with vio_io.result set. */
void vio_pool_collect(struct vio_pool *pool, struct vio_io_queue *finished);
/* Readable when there is something to collect. */
int vio_pool_fd(const struct vio_pool *pool);

#endif
