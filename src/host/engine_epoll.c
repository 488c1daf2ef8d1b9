/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <vireo/host.h>

#include "host/engine.h"
#include "host/pool.h"

/*
 * The engine for where io_uring isn't to be had: epoll for descriptors, a pool of
 * threads for file I/O. The pool's descriptor is one among the others.
 */
#define EVENTS 64u

struct epoll {
	struct vio_engine engine;
	int fd;
	struct vio_pool *pool;
	struct vio_io_queue finished; /* collected and not reported yet */

	/* Of this round: those from `next` on haven't been reported; unwatch() takes its own out. */
	struct epoll_event events[EVENTS];
	unsigned next, count;
};

static struct epoll *epoll_of(struct vio_engine *engine)
{
	return VIO_CONTAINER_OF(engine, struct epoll, engine);
}

/* Events carry the address of their watch; that of the pool is told by carrying the engine's. */
static int epoll_add(struct epoll *epoll, int fd, bool edge, void *what)
{
	struct epoll_event event = { .events = EPOLLIN | (edge ? EPOLLET : 0), .data.ptr = what };

	return epoll_ctl(epoll->fd, EPOLL_CTL_ADD, fd, &event) ? vio_error_from_errno(errno) : 0;
}

static int epoll_watch(struct vio_engine *engine, struct vio_watch *watch)
{
	return epoll_add(epoll_of(engine), watch->fd, watch->edge, watch);
}

static void epoll_unwatch(struct vio_engine *engine, struct vio_watch *watch)
{
	struct epoll *epoll = epoll_of(engine);

	/* A descriptor that was closed too early has left by itself. */
	epoll_ctl(epoll->fd, EPOLL_CTL_DEL, watch->fd, NULL);
	for (unsigned i = epoll->next; i < epoll->count; i++)
		if (epoll->events[i].data.ptr == watch)
			epoll->events[i].data.ptr = NULL;
}

/* One at a time off the queue, because a callback may come here as well, for the rest. */
static void report_finished(struct epoll *epoll)
{
	struct vio_io *io;

	vio_pool_collect(epoll->pool, &epoll->finished);
	while ((io = vio_io_queue_take(&epoll->finished)))
		vio_engine_done(&epoll->engine, io, io->result);
}

static int epoll_wait_events(struct vio_engine *engine, struct vio_io_queue *queue, int timeout_ms)
{
	struct epoll *epoll = epoll_of(engine);
	int count;

	vio_pool_submit(epoll->pool, queue);
	count = epoll_wait(epoll->fd, epoll->events, EVENTS, timeout_ms);
	if (count < 0)
		return errno == EINTR ? 0 : vio_error_from_errno(errno);
	epoll->count = (unsigned)count;
	for (epoll->next = 0; epoll->next < epoll->count;) {
		void *what = epoll->events[epoll->next++].data.ptr;

		if (what == epoll)
			report_finished(epoll);
		else if (what)
			vio_engine_ready(engine, what);
	}
	return 0;
}

static int epoll_wait_io(struct vio_engine *engine, struct vio_io_queue *queue)
{
	struct epoll *epoll = epoll_of(engine);
	struct pollfd pool = { .fd = vio_pool_fd(epoll->pool), .events = POLLIN };

	vio_pool_submit(epoll->pool, queue);
	/* Inside a callback there may be some that are collected. */
	if (!epoll->finished.first && poll(&pool, 1, -1) < 0 && errno != EINTR)
		return vio_error_from_errno(errno);
	report_finished(epoll);
	return 0;
}

static int epoll_flush(struct vio_engine *engine, struct vio_io_queue *queue)
{
	vio_pool_submit(epoll_of(engine)->pool, queue);
	return 0;
}

static int epoll_fd(struct vio_engine *engine)
{
	return epoll_of(engine)->fd;
}

static void epoll_destroy(struct vio_engine *engine)
{
	struct epoll *epoll = epoll_of(engine);

	if (epoll->pool)
		vio_pool_destroy(epoll->pool);
	if (epoll->fd >= 0)
		close(epoll->fd);
	free(epoll);
}

static const struct vio_engine_ops epoll_ops = {
	.name = "epoll",
	.watch = epoll_watch,
	.unwatch = epoll_unwatch,
	.wait = epoll_wait_events,
	.wait_io = epoll_wait_io,
	.flush = epoll_flush,
	.fd = epoll_fd,
	.destroy = epoll_destroy,
};

static int epoll_build(struct epoll *epoll)
{
	int error;

	epoll->engine.ops = &epoll_ops;
	epoll->fd = epoll_create1(EPOLL_CLOEXEC);
	if (epoll->fd < 0)
		return vio_error_from_errno(errno);
	epoll->pool = vio_pool_create(&error);
	if (!epoll->pool)
		return error;
	return epoll_add(epoll, vio_pool_fd(epoll->pool), false, epoll);
}

struct vio_engine *vio_engine_epoll_create(struct vio_loop *loop, int *error)
{
	struct epoll *epoll = calloc(1, sizeof(*epoll));

	if (!epoll) {
		*error = -VIO_ENOMEM;
		return NULL;
	}
	epoll->engine.loop = loop;
	*error = epoll_build(epoll);
	if (!*error)
		return &epoll->engine;
	epoll_destroy(&epoll->engine);
	return NULL;
}
