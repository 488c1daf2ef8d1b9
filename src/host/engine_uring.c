/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <vireo/host.h>

#include "host/engine.h"

/*
 * The engine over io_uring: file I/O and the polling of descriptors are entries
 * of one submission queue, and a round of the loop is one system call that
 * submits them all and waits.
 *
 * A poll request reports once, and is made again after its callback has run; the
 * kernel looks at the descriptor then, which is what makes watches level-triggered.
 * That of an edge-triggered watch stays with the kernel and reports again and again.
 * Between unwatch() and the completion of the request that it cancels the kernel
 * still names it, so what it names is not the watch but a struct uring_poll, which
 * lives until that completion.
 */
#define SQ_ENTRIES 256u
#define CQ_ENTRIES 4096u
#define FILES_MAX  4u

/*
 * I/O that is handed over at a time, so that a disk begins while the rest is made ready; of more than
 * two the kernel would keep the first until it has the last. (Measured, 32 in flight around the page
 * cache: an eighth more requests a second for a quarter more processor time.)
 */
#define IO_AT_A_TIME 2u

/* Completions carry the address of their vio_io or, with this bit, of their uring_poll; 0 tells nothing. */
#define TAG_POLL   UINT64_C(1)
#define TAG_AGAIN  UINT64_C(2) /* of the uring_poll, too: an edge that was seen at the wrong time */
#define TAG_CANCEL UINT64_C(4) /* and this, that it isn't wanted any more */
#define TAG_ALL    (TAG_POLL | TAG_AGAIN | TAG_CANCEL)

struct uring_poll {
	struct vio_watch *watch; /* NULL: not wanted any more, goes when the kernel is done with it */
	bool armed;              /* the kernel has the request */
	bool waiting;            /* in uring.waiting */
	bool missed;             /* edge-triggered: it was ready while nobody could be told */
	unsigned asked;          /* requests about it that the kernel hasn't answered */
	struct uring_poll *next_waiting;
	struct uring_poll *next, *previous; /* of all */
};

struct uring {
	struct vio_engine engine;
	struct io_uring ring;
	bool asleep;          /* the ring waits for the thread that will use it */
	int files[FILES_MAX]; /* registered with the kernel under their place here; -1: none */
	unsigned files_count; /* places that there are */
	struct uring_poll *polls;
	/* To be armed, or if they aren't wanted any more cancelled or freed, before the next wait. */
	struct uring_poll *waiting, *waiting_last;
};

static struct uring *uring_of(struct vio_engine *engine)
{
	return VIO_CONTAINER_OF(engine, struct uring, engine);
}

static struct uring_poll *poll_of(const struct vio_watch *watch)
{
	/* NOLINTNEXTLINE(performance-no-int-to-ptr) */
	return (struct uring_poll *)watch->loop_private[VIO_ENGINE_PRIVATE];
}

/*
 * A ring that knows whose it is has the kernel do its part of a completion when that thread looks,
 * and wakes it for nothing else. It learns so from the first that uses it.
 * (A system call of ours, because liburing 2.3 forgets to export its function.)
 */
static void ring_wake(struct uring *uring)
{
	if (uring->asleep)
		syscall(__NR_io_uring_register, uring->ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
	uring->asleep = false;
}

/* An entry, after submitting those there are if it takes that; NULL when the kernel takes none now. */
static struct io_uring_sqe *sqe_get(struct uring *uring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&uring->ring);

	if (sqe)
		return sqe;
	ring_wake(uring);
	io_uring_submit(&uring->ring);
	return io_uring_get_sqe(&uring->ring);
}

/* Polls. */

static void poll_enqueue(struct uring *uring, struct uring_poll *poll)
{
	if (poll->waiting)
		return;
	poll->waiting = true;
	poll->next_waiting = NULL;
	if (uring->waiting)
		uring->waiting_last->next_waiting = poll;
	else
		uring->waiting = poll;
	uring->waiting_last = poll;
}

static void poll_free(struct uring *uring, struct uring_poll *poll)
{
	if (poll->previous)
		poll->previous->next = poll->next;
	else
		uring->polls = poll->next;
	if (poll->next)
		poll->next->previous = poll->previous;
	free(poll);
}

/* Once neither its owner, nor the kernel, nor the list of those that wait knows of it. */
static void poll_release(struct uring *uring, struct uring_poll *poll)
{
	if (!poll->watch && !poll->armed && !poll->waiting && !poll->asked)
		poll_free(uring, poll);
}

static bool poll_cancel(struct uring *uring, struct uring_poll *poll)
{
	struct io_uring_sqe *sqe = sqe_get(uring);

	if (!sqe)
		return false;
	io_uring_prep_poll_remove(sqe, (uint64_t)(uintptr_t)poll | TAG_POLL);
	io_uring_sqe_set_data64(sqe, (uint64_t)(uintptr_t)poll | TAG_CANCEL);
	poll->asked++;
	return true;
}

static bool poll_arm(struct uring *uring, struct uring_poll *poll)
{
	struct io_uring_sqe *sqe = sqe_get(uring);

	if (!sqe)
		return false;
	if (poll->watch->edge)
		io_uring_prep_poll_multishot(sqe, poll->watch->fd, POLLIN);
	else
		io_uring_prep_poll_add(sqe, poll->watch->fd, POLLIN);
	io_uring_sqe_set_data64(sqe, (uint64_t)(uintptr_t)poll | TAG_POLL);
	poll->armed = true;
	return true;
}

/* Has the kernel tell us what it told before; nobody else will, as edges come once. */
static bool poll_repeat(struct uring *uring, struct uring_poll *poll)
{
	struct io_uring_sqe *sqe = sqe_get(uring);

	if (!sqe)
		return false;
	io_uring_prep_nop(sqe);
	io_uring_sqe_set_data64(sqe, (uint64_t)(uintptr_t)poll | TAG_AGAIN);
	poll->asked++;
	poll->missed = false;
	return true;
}

static int uring_watch(struct vio_engine *engine, struct vio_watch *watch)
{
	struct uring *uring = uring_of(engine);
	struct uring_poll *poll = calloc(1, sizeof(*poll));

	if (!poll)
		return -VIO_ENOMEM;
	poll->watch = watch;
	poll->next = uring->polls;
	if (poll->next)
		poll->next->previous = poll;
	uring->polls = poll;
	watch->loop_private[VIO_ENGINE_PRIVATE] = (uintptr_t)poll;
	poll_enqueue(uring, poll);
	return 0;
}

static void uring_unwatch(struct vio_engine *engine, struct vio_watch *watch)
{
	struct uring *uring = uring_of(engine);
	struct uring_poll *poll = poll_of(watch);

	poll->watch = NULL;
	if (!poll->armed) {
		poll_release(uring, poll);
		return;
	}
	/* Now, not with the next round: a poll holds the file open, and the owner is about to close it. */
	if (poll_cancel(uring, poll))
		io_uring_submit_and_get_events(&uring->ring);
	else
		poll_enqueue(uring, poll);
}

/* Whether the kernel may be asked again after this answer; a closed descriptor says nothing more. */
static bool poll_goes_on(int result)
{
	/* A poll is cancelled, too, when the thread that made it ends. */
	return result >= 0 || result == -ECANCELED || result == -ENOMEM || result == -EAGAIN ||
	       result == -EINTR;
}

static void poll_complete(struct uring *uring, struct uring_poll *poll, int result, bool more, bool report)
{
	poll->armed = more;
	if (!poll->watch) {
		poll_release(uring, poll);
		return;
	}
	if (!more && !poll_goes_on(result))
		return;
	/* Where it isn't reported now, arming it again finds the same. */
	if (!report)
		poll->missed = more;
	if (!more || !report)
		poll_enqueue(uring, poll);
	/* The callback may unwatch it. */
	if (report && result >= 0)
		vio_engine_ready(&uring->engine, poll->watch);
}

static void poll_repeated(struct uring *uring, struct uring_poll *poll, bool report)
{
	poll->asked--;
	if (!poll->watch) {
		poll_release(uring, poll);
		return;
	}
	poll->missed = !report;
	if (report)
		vio_engine_ready(&uring->engine, poll->watch);
	else
		poll_enqueue(uring, poll);
}

/*
 * One that has just been triggered isn't cancelled, and one that goes on telling edges wouldn't end by
 * itself.
 */
static void poll_cancelled(struct uring *uring, struct uring_poll *poll, int result)
{
	poll->asked--;
	if (result == -EALREADY && poll->armed)
		poll_enqueue(uring, poll);
	poll_release(uring, poll);
}

/* Submission. */

/* A single piece needs no list, which the kernel would have to fetch and keep. */
static bool is_single(const struct vio_io *io)
{
	return io->iov_count == 1 && io->iov->iov_len <= INT32_MAX;
}

static void sqe_fill_transfer(struct io_uring_sqe *sqe, const struct vio_io *io)
{
	const struct iovec *iov = io->iov;

	if (io->op == VIO_IO_READ && is_single(io))
		io_uring_prep_read(sqe, io->fd, iov->iov_base, (unsigned)iov->iov_len, io->offset);
	else if (io->op == VIO_IO_READ)
		io_uring_prep_readv(sqe, io->fd, iov, io->iov_count, io->offset);
	else if (is_single(io))
		io_uring_prep_write(sqe, io->fd, iov->iov_base, (unsigned)iov->iov_len, io->offset);
	else
		io_uring_prep_writev(sqe, io->fd, iov, io->iov_count, io->offset);
	sqe->rw_flags = io->mode;
}

/* A registered file has a name of its own, by which the kernel needn't look it up and count its users. */
static void sqe_fill_file(const struct uring *uring, struct io_uring_sqe *sqe)
{
	for (unsigned i = 0; i < uring->files_count; i++)
		if (uring->files[i] == sqe->fd) {
			sqe->fd = (int)i;
			sqe->flags |= IOSQE_FIXED_FILE;
			return;
		}
}

static void sqe_fill(const struct uring *uring, struct io_uring_sqe *sqe, struct vio_io *io)
{
	switch (io->op) {
	case VIO_IO_READ:
	case VIO_IO_WRITE:
		sqe_fill_transfer(sqe, io);
		break;
	case VIO_IO_SYNC:
		io_uring_prep_fsync(sqe, io->fd, IORING_FSYNC_DATASYNC);
		break;
	case VIO_IO_FALLOCATE:
		io_uring_prep_fallocate(sqe, io->fd, io->mode, (off_t)io->offset, (off_t)io->length);
		break;
	}
	sqe_fill_file(uring, sqe);
	io_uring_sqe_set_data64(sqe, (uint64_t)(uintptr_t)io);
}

static void fill_io(struct uring *uring, struct vio_io_queue *queue)
{
	for (unsigned count = 0; queue->first; count++) {
		struct io_uring_sqe *sqe;

		if (count && count % IO_AT_A_TIME == 0) {
			ring_wake(uring);
			io_uring_submit(&uring->ring);
		}
		sqe = sqe_get(uring);
		if (!sqe)
			return;
		sqe_fill(uring, sqe, vio_io_queue_take(queue));
	}
}

static void fill_polls(struct uring *uring)
{
	while (uring->waiting) {
		struct uring_poll *poll = uring->waiting;

		if (poll->watch && !poll->armed && !poll_arm(uring, poll))
			return;
		if (!poll->watch && poll->armed && !poll_cancel(uring, poll))
			return;
		if (poll->watch && poll->missed && !poll_repeat(uring, poll))
			return;
		uring->waiting = poll->next_waiting;
		poll->waiting = false;
		poll_release(uring, poll);
	}
}

/* Completion. */

/* One completion, if there is one; it is off the queue before anybody hears of it. */
static bool reap_one(struct uring *uring, bool io_only)
{
	struct io_uring_cqe *cqe;
	struct uring_poll *poll;
	uint64_t data;
	bool more;
	int result;

	if (io_uring_peek_cqe(&uring->ring, &cqe) || !cqe)
		return false;
	data = io_uring_cqe_get_data64(cqe);
	result = cqe->res;
	more = cqe->flags & IORING_CQE_F_MORE;
	io_uring_cqe_seen(&uring->ring, cqe);
	/* NOLINTBEGIN(performance-no-int-to-ptr) */
	poll = (struct uring_poll *)(uintptr_t)(data & ~TAG_ALL);
	if (data & TAG_POLL)
		poll_complete(uring, poll, result, more, !io_only);
	else if (data & TAG_AGAIN)
		poll_repeated(uring, poll, !io_only);
	else if (data & TAG_CANCEL)
		poll_cancelled(uring, poll, result);
	else if (data)
		vio_engine_done(&uring->engine, (struct vio_io *)(uintptr_t)data, result);
	/* NOLINTEND(performance-no-int-to-ptr) */
	return true;
}

/* Those that are there now; what callbacks cause is for the next round. */
static void reap(struct uring *uring, bool io_only)
{
	unsigned count = io_uring_cq_ready(&uring->ring);

	while (count-- && reap_one(uring, io_only))
		;
}

/* A full completion queue, a signal, the end of a wait only mean to look and come again. */
static int enter_result(int result)
{
	if (result >= 0 || result == -ETIME || result == -EINTR || result == -EAGAIN || result == -EBUSY)
		return 0;
	return vio_error_from_errno(-result);
}

static int uring_enter(struct uring *uring, int timeout_ms)
{
	struct __kernel_timespec timeout;
	struct io_uring_cqe *cqe;

	ring_wake(uring);
	timeout.tv_sec = timeout_ms / 1000;
	timeout.tv_nsec = timeout_ms % 1000 * 1000000LL;
	return enter_result(io_uring_submit_and_wait_timeout(&uring->ring, &cqe, 1,
							     timeout_ms < 0 ? NULL : &timeout, NULL));
}

static int uring_wait(struct vio_engine *engine, struct vio_io_queue *queue, int timeout_ms)
{
	struct uring *uring = uring_of(engine);
	int error;

	fill_polls(uring);
	fill_io(uring, queue);
	error = uring_enter(uring, queue->first || uring->waiting ? 0 : timeout_ms);
	reap(uring, false);
	return error;
}

static int uring_wait_io(struct vio_engine *engine, struct vio_io_queue *queue)
{
	struct uring *uring = uring_of(engine);
	int error;

	fill_io(uring, queue);
	error = uring_enter(uring, queue->first ? 0 : -1);
	reap(uring, true);
	return error;
}

static int uring_flush(struct vio_engine *engine, struct vio_io_queue *queue)
{
	struct uring *uring = uring_of(engine);

	ring_wake(uring);
	fill_polls(uring);
	fill_io(uring, queue);
	return io_uring_sq_ready(&uring->ring) ? enter_result(io_uring_submit(&uring->ring)) : 0;
}

/* Files. */

static void file_replace(struct uring *uring, int old, int fd)
{
	for (unsigned i = 0; i < uring->files_count; i++) {
		if (uring->files[i] != old)
			continue;
		if (io_uring_register_files_update(&uring->ring, i, &fd, 1) == 1)
			uring->files[i] = fd;
		return;
	}
}

static void uring_keep_file(struct vio_engine *engine, int fd)
{
	file_replace(uring_of(engine), -1, fd);
}

static void uring_forget_file(struct vio_engine *engine, int fd)
{
	file_replace(uring_of(engine), fd, -1);
}

static int uring_fd(struct vio_engine *engine)
{
	return uring_of(engine)->ring.ring_fd;
}

/* Life. */

static void uring_destroy(struct vio_engine *engine)
{
	struct uring *uring = uring_of(engine);

	io_uring_queue_exit(&uring->ring);
	while (uring->polls)
		poll_free(uring, uring->polls);
	free(uring);
}

static const struct vio_engine_ops uring_ops = {
	.name = "io_uring",
	.watch = uring_watch,
	.unwatch = uring_unwatch,
	.wait = uring_wait,
	.wait_io = uring_wait_io,
	.flush = uring_flush,
	.keep_file = uring_keep_file,
	.forget_file = uring_forget_file,
	.fd = uring_fd,
	.destroy = uring_destroy,
};

static int ring_create(struct io_uring *ring, unsigned flags)
{
	/* Without these a full queue loses completions, and a wait with a timeout takes an entry. */
	const unsigned needed = IORING_FEAT_NODROP | IORING_FEAT_EXT_ARG | IORING_FEAT_SUBMIT_STABLE;
	struct io_uring_params params = { .flags = flags, .cq_entries = CQ_ENTRIES };
	int result = io_uring_queue_init_params(SQ_ENTRIES, ring, &params);

	if (result < 0)
		return vio_error_from_errno(-result);
	if ((params.features & needed) == needed)
		return 0;
	io_uring_queue_exit(ring);
	return -VIO_ENOTSUP;
}

/* Older kernels have no places without a file; there is nothing to be had then. */
static void make_places(struct uring *uring)
{
	if (io_uring_register_files_sparse(&uring->ring, FILES_MAX))
		return;
	for (unsigned i = 0; i < FILES_MAX; i++)
		uring->files[i] = -1;
	uring->files_count = FILES_MAX;
}

/*
 * Requests of a ring pass by a filter of system calls, so the kernel is told which ones are ours: a process
 * that gave up opening and connecting can't do so by its ring, whoever writes there.
 */
static int ring_restrict(struct io_uring *ring)
{
	static const struct io_uring_restriction ours[] = {
		{ .opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_NOP },
		{ .opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_READ },
		{ .opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_READV },
		{ .opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_WRITE },
		{ .opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_WRITEV },
		{ .opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_FSYNC },
		{ .opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_FALLOCATE },
		{ .opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_POLL_ADD },
		{ .opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_POLL_REMOVE },
		{ .opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED, .sqe_flags = IOSQE_FIXED_FILE },
		{ .opcode = IORING_RESTRICTION_REGISTER_OP, .register_op = IORING_REGISTER_FILES_UPDATE },
	};

	return syscall(__NR_io_uring_register, ring->ring_fd, IORING_REGISTER_RESTRICTIONS, ours,
		       VIO_ARRAY_SIZE(ours))
		       ? vio_error_from_errno(errno)
		       : 0;
}

/*
 * What newer kernels do better, best first, of which the first is for a single thread. All begin asleep, as
 * restrictions take; kernels that can't do so lack other things that are needed, too.
 */
static const unsigned wanted[] = {
	IORING_SETUP_R_DISABLED | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER |
		IORING_SETUP_DEFER_TASKRUN,
	IORING_SETUP_R_DISABLED | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN,
	IORING_SETUP_R_DISABLED,
};

struct vio_engine *vio_engine_uring_create(struct vio_loop *loop, unsigned flags, int *error)
{
	unsigned first = flags & VIO_LOOP_ONE_THREAD ? 0 : 1;
	struct uring *uring = calloc(1, sizeof(*uring));

	if (!uring) {
		*error = -VIO_ENOMEM;
		return NULL;
	}
	uring->engine.ops = &uring_ops;
	uring->engine.loop = loop;
	*error = -VIO_EINVAL;
	for (unsigned i = first; i < VIO_ARRAY_SIZE(wanted) && *error == -VIO_EINVAL; i++)
		*error = ring_create(&uring->ring, IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP | wanted[i]);
	if (*error) {
		free(uring);
		return NULL;
	}
	make_places(uring);
	*error = ring_restrict(&uring->ring);
	if (*error) {
		io_uring_queue_exit(&uring->ring);
		free(uring);
		return NULL;
	}
	uring->asleep = true;
	/* Whose it is matters to the first kind only; others may be used by several threads in turn. */
	if (!(uring->ring.flags & IORING_SETUP_SINGLE_ISSUER))
		ring_wake(uring);
	return &uring->engine;
}
