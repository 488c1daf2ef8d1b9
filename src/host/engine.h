/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_HOST_ENGINE_H
#define VIO_HOST_ENGINE_H

#include <vireo/loop.h>

/*
 * What a loop leaves to its engine: waiting for descriptors and carrying out file
 * I/O. loop.c owns everything else, and calls an engine in the loop's thread only.
 *
 * An engine reports through vio_engine_ready() and vio_engine_done(). Either may
 * come back into the engine (watch, unwatch, wait_io), so an engine's books are in
 * order whenever it reports.
 */
struct vio_engine;

/* First in, first out, linked through vio_io.next. Zero initialised is empty. */
struct vio_io_queue {
	struct vio_io *first, *last;
};

struct vio_engine_ops {
	const char *name;

	/* The descriptor is open, can be polled and isn't watched yet. 0 or a negative code. */
	int (*watch)(struct vio_engine *engine, struct vio_watch *watch);
	/* No event of this watch is reported any more, and the kernel lets go of the file. */
	void (*unwatch)(struct vio_engine *engine, struct vio_watch *watch);

	/*
	 * Begins the I/O in `queue`, waits at most timeout_ms (-1: for ever) for the
	 * first event, then reports a bounded number of what has happened. What could
	 * not be begun stays in the queue. 0 (also when a signal cut the wait short) or
	 * a negative code.
	 */
	int (*wait)(struct vio_engine *engine, struct vio_io_queue *queue, int timeout_ms);
	/* Likewise, but waits for I/O only and reports only that; at least some is in flight. */
	int (*wait_io)(struct vio_engine *engine, struct vio_io_queue *queue);
	/* Begins the I/O in `queue` and makes fd() tell of all that is watched. */
	int (*flush)(struct vio_engine *engine, struct vio_io_queue *queue);

	/* See vio_loop_keep_file(). NULL: it makes no difference. */
	void (*keep_file)(struct vio_engine *engine, int fd);
	void (*forget_file)(struct vio_engine *engine, int fd);

	/* Readable when wait() would have something to report. */
	int (*fd)(struct vio_engine *engine);
	void (*destroy)(struct vio_engine *engine);
};

/* Embedded as the first member of each engine. */
struct vio_engine {
	const struct vio_engine_ops *ops;
	struct vio_loop *loop;
};

/* NULL and *error set to a negative code when the system refuses; `flags` are those of the loop. */
struct vio_engine *vio_engine_uring_create(struct vio_loop *loop, unsigned flags, int *error);
struct vio_engine *vio_engine_epoll_create(struct vio_loop *loop, int *error);

/* Reports; `result` is that of vio_io.done. */
void vio_engine_ready(struct vio_engine *engine, struct vio_watch *watch);
void vio_engine_done(struct vio_engine *engine, struct vio_io *io, int result);

/* The word of vio_watch.loop_private that is the engine's; the others are loop.c's. */
#define VIO_ENGINE_PRIVATE 3u

static inline void vio_io_queue_put(struct vio_io_queue *queue, struct vio_io *io)
{
	io->next = NULL;
	if (queue->first)
		queue->last->next = io;
	else
		queue->first = io;
	queue->last = io;
}

static inline struct vio_io *vio_io_queue_take(struct vio_io_queue *queue)
{
	struct vio_io *io = queue->first;

	if (io)
		queue->first = io->next;
	return io;
}

/* Moves all of `from` behind what is in `to`. */
static inline void vio_io_queue_move(struct vio_io_queue *to, struct vio_io_queue *from)
{
	if (!from->first)
		return;
	if (to->first)
		to->last->next = from->first;
	else
		to->first = from->first;
	to->last = from->last;
	from->first = NULL;
}

#endif
