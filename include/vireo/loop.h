/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_LOOP_H
#define VIREO_LOOP_H

#include <sys/uio.h>

#include <vireo/watch.h>

/*
 * Vireo's event loop: file descriptors, file I/O, timers and tasks, in one
 * thread. It stands on io_uring; where the kernel refuses that (containers do),
 * on epoll with a few threads for file I/O. Either way the interface and the
 * order of things are the same.
 *
 * A loop belongs to the thread that runs it; only vio_loop_stop() may be called
 * from elsewhere. To run it inside another loop, watch vio_loop_fd() there and
 * call vio_loop_step(loop, 0) when it is readable.
 */
struct vio_loop;

#define VIO_LOOP_NO_URING   1u /* don't even try io_uring */
#define VIO_LOOP_ONE_THREAD 2u /* whatever thread uses it first is the only one that ever will: cheaper */

/* NULL and *error set to a negative code on failure. */
VIO_API struct vio_loop *vio_loop_create(unsigned flags, int *error);
/* Nothing may be watched or in flight any more. */
VIO_API void vio_loop_destroy(struct vio_loop *loop);

/* "io_uring" or "epoll". */
VIO_API const char *vio_loop_engine(const struct vio_loop *loop);

/* Runs until vio_loop_stop(). 0, or a negative code when the kernel fails us. */
VIO_API int vio_loop_run(struct vio_loop *loop);

/*
 * Handles what is ready, after waiting at most timeout_ms (-1: for ever) for the
 * first event. Returns how many events, I/O completions, timers and tasks were
 * handled, or a negative code. It may return 0 early, for instance after a signal.
 */
VIO_API int vio_loop_step(struct vio_loop *loop, int timeout_ms);

/*
 * Readable when a step would find something to do; the same descriptor each time. Not to be closed.
 * -1 for a loop with VIO_LOOP_ONE_THREAD: nobody outside of its wait is told.
 */
VIO_API int vio_loop_fd(struct vio_loop *loop);

/* Makes vio_loop_run() return soon. From any thread or a signal handler. */
VIO_API void vio_loop_stop(struct vio_loop *loop);

/*
 * After an event of a watch with `poll` the loop, instead of sleeping, polls all those that it has
 * for up to max_us microseconds since something was found last; 0, as it is at first, sleeps at once.
 * The time adapts: it halves when nothing came while polling, and is back at max_us when the next
 * event comes so soon that polling would have found it. A loop that has nothing to do sleeps.
 */
VIO_API void vio_loop_poll(struct vio_loop *loop, unsigned max_us);

/* The loop as a watcher for links. */
VIO_API struct vio_watcher vio_loop_watcher(struct vio_loop *loop);

/* The calls of struct vio_watcher, for who has the loop at hand; the contracts are there. */
VIO_API int vio_loop_watch(struct vio_loop *loop, struct vio_watch *watch);
/* See vio_watcher.remove. */
VIO_API void vio_loop_unwatch(struct vio_loop *loop, struct vio_watch *watch);
/* See vio_watcher.defer. */
VIO_API void vio_loop_defer(struct vio_loop *loop, struct vio_task *task);
/* See vio_watcher.cancel. */
VIO_API void vio_loop_cancel(struct vio_loop *loop, struct vio_task *task);

/* A timer that fires once. Embedded by its owner; arming an armed timer moves it. */
struct vio_timer {
	void (*expired)(struct vio_timer *timer);
	uint64_t deadline_ns; /* for the loop */
	struct vio_timer *next;
	bool armed;
};

/* Fires once, delay_ms milliseconds from now at the earliest. */
VIO_API void vio_loop_arm(struct vio_loop *loop, struct vio_timer *timer, uint64_t delay_ms);
/* `expired` is not called any more; no effect when it isn't armed. */
VIO_API void vio_loop_disarm(struct vio_loop *loop, struct vio_timer *timer);

/* File I/O. */
enum vio_io_op {
	VIO_IO_READ,      /* preadv */
	VIO_IO_WRITE,     /* pwritev */
	VIO_IO_SYNC,      /* fdatasync */
	VIO_IO_FALLOCATE, /* fallocate with `mode` */
};

/* Embedded by its owner; must stay until done. */
struct vio_io {
	enum vio_io_op op;
	int fd;
	int mode; /* of FALLOCATE; of READ and WRITE: RWF_ flags of preadv2(), usually 0 */
	uint64_t offset;
	uint64_t length; /* of FALLOCATE */
	const struct iovec *iov;
	unsigned iov_count;
	/* result: bytes transferred (maybe fewer), 0, or a negated errno value. Never called from submit. */
	void (*done)(struct vio_io *io, int result);
	struct vio_io *next; /* for the loop */
	int result;          /* for the loop */
};

/*
 * Much I/O will be made of this file: the kernel may keep it at hand, which also keeps it open, until it is
 * forgotten, with none of its I/O in flight, or the loop is destroyed. No more than a hint.
 */
VIO_API void vio_loop_keep_file(struct vio_loop *loop, int fd);
VIO_API void vio_loop_forget_file(struct vio_loop *loop, int fd);

/* Begins file I/O; it is handed to the kernel when the loop comes round, with what else was submitted. */
VIO_API void vio_loop_submit(struct vio_loop *loop, struct vio_io *io);

/*
 * Waits for and completes file I/O, and nothing else, until `finished(context)`
 * is true. For draining a device inside a callback.
 */
VIO_API void vio_loop_wait_io(struct vio_loop *loop, bool (*finished)(void *context), void *context);

#endif
