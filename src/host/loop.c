/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <vireo/host.h>

#include "host/engine.h"

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S  UINT64_C(1000000000)

/*
 * One round (loop_turn) is: hand what was submitted to the engine, wait, report
 * what happened in the order in which the kernel tells it, run the tasks that are
 * queued by then. Waking up and timers are two descriptors of the loop's own, so
 * an engine knows nothing of either.
 */
struct vio_loop {
	struct vio_engine *engine;
	struct vio_io_queue submitted;
	unsigned io_in_flight; /* submitted and not done */

	struct vio_watch wake;  /* an eventfd */
	struct vio_watch clock; /* a timerfd, set to the first deadline or earlier */
	uint64_t clock_ns;      /* what it is set to; 0: nothing */
	struct vio_watch *watches;

	struct vio_task *tasks, *tasks_last;
	unsigned task_count;
	struct vio_timer *timers; /* by deadline */

	/* Busy polling. */
	uint64_t poll_max_ns;    /* 0: none */
	uint64_t poll_window_ns; /* by now */
	uint64_t poll_slept_ns;  /* when it last went to sleep */
	bool poll_due;           /* since an event until all rest */
	bool unrested;           /* polled since all rested: descriptors may tell of nothing */

	unsigned handled; /* in this step */
	bool inside;      /* in a step or run: what is queued will be seen without waking */
	bool woken;       /* wake has been written to and not read */
	bool one_thread;  /* VIO_LOOP_ONE_THREAD */
	atomic_bool stopped;
};

/* Waking. */

static void loop_signal(const struct vio_loop *loop)
{
	const uint64_t one = 1;
	int saved = errno;

	/* It fails only when the counter is full, and then the descriptor is readable anyway. */
	while (write(loop->wake.fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
	errno = saved;
}

/* There is something to do that no descriptor tells of. */
static void loop_touch(struct vio_loop *loop)
{
	if (loop->inside || loop->woken)
		return;
	loop->woken = true;
	loop_signal(loop);
}

static void wake_ready(struct vio_watch *watch)
{
	struct vio_loop *loop = VIO_CONTAINER_OF(watch, struct vio_loop, wake);
	uint64_t count;

	loop->woken = false;
	/* Nonblocking; nothing to read is as good as read. */
	if (read(watch->fd, &count, sizeof(count)) < 0)
		return;
}

void vio_loop_stop(struct vio_loop *loop)
{
	atomic_store(&loop->stopped, true);
	loop_signal(loop);
}

/* Timers. */

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* Sets the clock when it would be late; when it is early that costs a look, less than setting it. */
static void clock_set(struct vio_loop *loop)
{
	struct itimerspec when = { 0 };
	uint64_t deadline_ns;

	if (!loop->timers)
		return;
	deadline_ns = loop->timers->deadline_ns;
	if (loop->clock_ns && loop->clock_ns <= deadline_ns)
		return;
	loop->clock_ns = deadline_ns;
	when.it_value.tv_sec = (time_t)(deadline_ns / NS_PER_S);
	when.it_value.tv_nsec = (long)(deadline_ns % NS_PER_S);
	timerfd_settime(loop->clock.fd, TFD_TIMER_ABSTIME, &when, NULL);
}

static void clock_ready(struct vio_watch *watch)
{
	struct vio_loop *loop = VIO_CONTAINER_OF(watch, struct vio_loop, clock);
	uint64_t now = now_ns();
	uint64_t count;

	if (read(watch->fd, &count, sizeof(count)) < 0)
		return;
	loop->clock_ns = 0;
	while (loop->timers && loop->timers->deadline_ns <= now) {
		struct vio_timer *timer = loop->timers;

		loop->timers = timer->next;
		timer->armed = false;
		loop->handled++;
		timer->expired(timer);
	}
	clock_set(loop);
}

void vio_loop_arm(struct vio_loop *loop, struct vio_timer *timer, uint64_t delay_ms)
{
	struct vio_timer **at = &loop->timers;
	uint64_t delay_ns, deadline_ns;

	vio_loop_disarm(loop, timer);
	/* The kernel's clock has 63 bits: what lies beyond is 292 years away, and the same to us. */
	if (!vio_mul_u64(delay_ms, NS_PER_MS, &delay_ns) || !vio_add_u64(now_ns(), delay_ns, &deadline_ns) ||
	    deadline_ns > INT64_MAX)
		deadline_ns = INT64_MAX;
	timer->deadline_ns = deadline_ns;
	while (*at && (*at)->deadline_ns <= deadline_ns)
		at = &(*at)->next;
	timer->next = *at;
	timer->armed = true;
	*at = timer;
	clock_set(loop);
}

void vio_loop_disarm(struct vio_loop *loop, struct vio_timer *timer)
{
	struct vio_timer **at = &loop->timers;

	if (!timer->armed)
		return;
	while (*at != timer)
		at = &(*at)->next;
	*at = timer->next;
	timer->armed = false;
}

/* Tasks. */

void vio_loop_defer(struct vio_loop *loop, struct vio_task *task)
{
	if (task->queued)
		return;
	task->queued = true;
	task->next = NULL;
	if (loop->tasks)
		loop->tasks_last->next = task;
	else
		loop->tasks = task;
	loop->tasks_last = task;
	loop->task_count++;
	loop_touch(loop);
}

void vio_loop_cancel(struct vio_loop *loop, struct vio_task *task)
{
	struct vio_task *before = NULL;
	struct vio_task **at = &loop->tasks;

	if (!task->queued)
		return;
	while (*at != task) {
		before = *at;
		at = &before->next;
	}
	*at = task->next;
	if (loop->tasks_last == task)
		loop->tasks_last = before;
	task->queued = false;
	loop->task_count--;
}

/* What tasks queue is for the next round, so that one that queues itself holds up nothing. */
static void loop_run_tasks(struct vio_loop *loop)
{
	for (unsigned count = loop->task_count; count && loop->tasks; count--) {
		struct vio_task *task = loop->tasks;

		vio_loop_cancel(loop, task);
		loop->handled++;
		task->run(task);
	}
}

/* Watches. A list, because the engines differ in what they make of a descriptor watched twice. */

#define WATCH_NEXT     0u
#define WATCH_PREVIOUS 1u

static struct vio_watch *watch_link(const struct vio_watch *watch, unsigned link)
{
	return (struct vio_watch *)watch->loop_private[link]; /* NOLINT(performance-no-int-to-ptr) */
}

static void watch_set_link(struct vio_watch *watch, unsigned link, struct vio_watch *other)
{
	watch->loop_private[link] = (uintptr_t)other;
}

/* Files and directories are always ready; epoll refuses them, and so do we with either engine. */
static int fd_judge(const struct vio_loop *loop, int fd)
{
	const struct vio_watch *other;
	struct stat status;

	if (fstat(fd, &status) < 0)
		return vio_error_from_errno(errno);
	if (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode))
		return -VIO_ENOTSUP;
	for (other = loop->watches; other; other = watch_link(other, WATCH_NEXT))
		if (other->fd == fd)
			return -VIO_EEXIST;
	return 0;
}

int vio_loop_watch(struct vio_loop *loop, struct vio_watch *watch)
{
	int error = fd_judge(loop, watch->fd);

	if (!error)
		error = loop->engine->ops->watch(loop->engine, watch);
	if (error)
		return error;
	watch_set_link(watch, WATCH_NEXT, loop->watches);
	watch_set_link(watch, WATCH_PREVIOUS, NULL);
	if (loop->watches)
		watch_set_link(loop->watches, WATCH_PREVIOUS, watch);
	loop->watches = watch;
	loop_touch(loop);
	return 0;
}

void vio_loop_unwatch(struct vio_loop *loop, struct vio_watch *watch)
{
	struct vio_watch *next = watch_link(watch, WATCH_NEXT);
	struct vio_watch *previous = watch_link(watch, WATCH_PREVIOUS);

	if (previous)
		watch_set_link(previous, WATCH_NEXT, next);
	else
		loop->watches = next;
	if (next)
		watch_set_link(next, WATCH_PREVIOUS, previous);
	loop->engine->ops->unwatch(loop->engine, watch);
}

/* Busy polling. */

#define POLL_WINDOW_MIN_NS UINT64_C(1000)
#define POLL_LOOK_AROUND   64u /* rounds after which other events get their turn */
#define POLL_LOOK_AT_CLOCK 8u

void vio_loop_poll(struct vio_loop *loop, unsigned max_us)
{
	loop->poll_max_ns = max_us * UINT64_C(1000);
	loop->poll_window_ns = loop->poll_max_ns;
}

/* An event came; one that wouldn't have had to wait had we polled says that it pays. */
static void poll_begin(struct vio_loop *loop)
{
	loop->poll_due = true;
	if (now_ns() - loop->poll_slept_ns < loop->poll_max_ns)
		loop->poll_window_ns = loop->poll_max_ns;
}

static bool poll_once(struct vio_loop *loop)
{
	struct vio_watch *watch, *next;
	bool found = false;

	loop->unrested = true;
	for (watch = loop->watches; watch; watch = next) {
		next = watch_link(watch, WATCH_NEXT);
		if (watch->poll && watch->poll(watch))
			found = true;
	}
	loop->handled += found;
	return found;
}

/* Who has something after all is served in the next round. */
static void poll_end(struct vio_loop *loop)
{
	struct vio_watch *watch, *next;

	loop->poll_due = false;
	for (watch = loop->watches; watch; watch = next) {
		next = watch_link(watch, WATCH_NEXT);
		if (watch->poll && !watch->rest(watch))
			loop->poll_due = true;
	}
	loop->unrested = loop->poll_due;
	loop->poll_slept_ns = now_ns();
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/*
 * Polls until nothing was found for long enough or the deadline is there (1), or something else is to be
 * done first (0). A driver that always has something would keep whoever steps inside without a deadline.
 */
static int loop_spin(struct vio_loop *loop, uint64_t deadline_ns)
{
	uint64_t end_ns = least(now_ns() + loop->poll_window_ns, deadline_ns);
	unsigned round = 0, quiet = 1;
	bool found = false;

	/* The clock costs as much as a look at a queue: not after each. */
	while (quiet % POLL_LOOK_AT_CLOCK || now_ns() < end_ns) {
		if (poll_once(loop)) {
			found = true;
			quiet = 0;
		} else if (quiet++ == 0) {
			end_ns = least(now_ns() + loop->poll_window_ns, deadline_ns);
		}
		if (loop->io_in_flight || ++round % POLL_LOOK_AROUND == 0) {
			int error = loop->engine->ops->wait(loop->engine, &loop->submitted, 0);

			if (error)
				return error;
		}
		if (loop->tasks || atomic_load_explicit(&loop->stopped, memory_order_relaxed))
			return 0;
	}
	if (!found)
		loop->poll_window_ns /= 2;
	if (loop->poll_window_ns < POLL_WINDOW_MIN_NS)
		loop->poll_window_ns = 0;
	poll_end(loop);
	return !loop->poll_due;
}

/* What engines report. */

void vio_engine_ready(struct vio_engine *engine, struct vio_watch *watch)
{
	struct vio_loop *loop = engine->loop;

	if (watch != &loop->wake && watch != &loop->clock)
		loop->handled++;
	if (watch->poll && loop->poll_max_ns && !loop->poll_due)
		poll_begin(loop);
	watch->ready(watch);
}

void vio_engine_done(struct vio_engine *engine, struct vio_io *io, int result)
{
	engine->loop->handled++;
	engine->loop->io_in_flight--;
	io->done(io, result);
}

/* File I/O. */

void vio_loop_keep_file(struct vio_loop *loop, int fd)
{
	if (loop->engine->ops->keep_file)
		loop->engine->ops->keep_file(loop->engine, fd);
}

void vio_loop_forget_file(struct vio_loop *loop, int fd)
{
	if (loop->engine->ops->forget_file)
		loop->engine->ops->forget_file(loop->engine, fd);
}

void vio_loop_submit(struct vio_loop *loop, struct vio_io *io)
{
	loop->io_in_flight++;
	vio_io_queue_put(&loop->submitted, io);
	loop_touch(loop);
}

void vio_loop_wait_io(struct vio_loop *loop, bool (*finished)(void *context), void *context)
{
	bool outside = !loop->inside;

	loop->inside = true;
	while (!finished(context)) {
		/* With nothing in flight it would wait for ever: whoever called has lost count. */
		assert(loop->io_in_flight);
		if (!loop->io_in_flight || loop->engine->ops->wait_io(loop->engine, &loop->submitted))
			break;
	}
	if (!outside)
		return;
	loop->inside = false;
	/* Something may have been queued, and nobody is about to come round. */
	loop_touch(loop);
}

/* Running. */

#define NO_DEADLINE UINT64_MAX

/* What is left to wait after polling; what it found was waited for. */
static int timeout_after(const struct vio_loop *loop, int timeout_ms, uint64_t deadline_ns)
{
	const uint64_t now = now_ns();

	if (deadline_ns == NO_DEADLINE)
		return timeout_ms;
	if (loop->handled)
		return 0;
	if (timeout_ms < 0)
		return timeout_ms;
	return now < deadline_ns ? (int)((deadline_ns - now + NS_PER_MS - 1) / NS_PER_MS) : 0;
}

/* The deadline is for polling, and only for that. */
static int loop_turn(struct vio_loop *loop, int timeout_ms, uint64_t deadline_ns)
{
	int error = 0;

	if (loop->tasks) {
		/* Tasks that always queue themselves again leave those to us who were told not to call. */
		if (loop->unrested)
			poll_once(loop);
		timeout_ms = 0;
	} else if (loop->poll_due && (timeout_ms || loop->unrested)) {
		error = loop_spin(loop, deadline_ns);
		if (error < 0)
			return error;
		timeout_ms = error ? timeout_after(loop, timeout_ms, deadline_ns) : 0;
	}
	error = loop->engine->ops->wait(loop->engine, &loop->submitted, timeout_ms);
	loop_run_tasks(loop);
	return error;
}

/* Leaves the loop such that its descriptor tells when to come back. */
static int loop_leave(struct vio_loop *loop)
{
	int error = loop->engine->ops->flush(loop->engine, &loop->submitted);

	loop->inside = false;
	if (loop->tasks || loop->submitted.first || loop->unrested)
		loop_touch(loop);
	return error;
}

int vio_loop_run(struct vio_loop *loop)
{
	int error = 0;
	int left;

	assert(!loop->inside);
	loop->inside = true;
	while (!error && !atomic_exchange(&loop->stopped, false))
		error = loop_turn(loop, -1, NO_DEADLINE);
	left = loop_leave(loop);
	return error ? error : left;
}

/* When a step has polled for long enough, whatever there is to be found. */
static uint64_t step_deadline(const struct vio_loop *loop, int timeout_ms)
{
	if (!loop->poll_due)
		return 0;
	return now_ns() + (timeout_ms < 0 ? loop->poll_max_ns : (uint64_t)timeout_ms * NS_PER_MS);
}

int vio_loop_step(struct vio_loop *loop, int timeout_ms)
{
	int error, left;

	assert(!loop->inside);
	loop->inside = true;
	loop->handled = 0;
	error = loop_turn(loop, timeout_ms, step_deadline(loop, timeout_ms));
	left = loop_leave(loop);
	if (!error)
		error = left;
	return error ? error : (int)loop->handled;
}

int vio_loop_fd(struct vio_loop *loop)
{
	if (loop->one_thread)
		return -1;
	/* The kernel may not have been told yet what to look at. */
	if (!loop->inside)
		loop->engine->ops->flush(loop->engine, &loop->submitted);
	return loop->engine->ops->fd(loop->engine);
}

const char *vio_loop_engine(const struct vio_loop *loop)
{
	return loop->engine->ops->name;
}

/* The loop as a watcher. */

static int watcher_add(void *context, struct vio_watch *watch)
{
	return vio_loop_watch(context, watch);
}

static void watcher_remove(void *context, struct vio_watch *watch)
{
	vio_loop_unwatch(context, watch);
}

static void watcher_defer(void *context, struct vio_task *task)
{
	vio_loop_defer(context, task);
}

static void watcher_cancel(void *context, struct vio_task *task)
{
	vio_loop_cancel(context, task);
}

struct vio_watcher vio_loop_watcher(struct vio_loop *loop)
{
	return (struct vio_watcher){
		.context = loop,
		.add = watcher_add,
		.remove = watcher_remove,
		.defer = watcher_defer,
		.cancel = watcher_cancel,
		.knows_edges = true,
	};
}

/* Life. */

static bool uring_is_wanted(unsigned flags)
{
	const char *setting = getenv("VIREO_NO_URING");

	return !(flags & VIO_LOOP_NO_URING) && (!setting || !*setting || !strcmp(setting, "0"));
}

/* Whatever the reason is for which io_uring can't be had, epoll does the same. */
static int engine_choose(struct vio_loop *loop, unsigned flags)
{
	int error = 0;

	if (uring_is_wanted(flags))
		loop->engine = vio_engine_uring_create(loop, flags, &error);
	if (!loop->engine)
		loop->engine = vio_engine_epoll_create(loop, &error);
	return loop->engine ? 0 : error;
}

static int loop_build(struct vio_loop *loop, unsigned flags)
{
	int error;

	loop->wake.ready = wake_ready;
	loop->wake.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (loop->wake.fd < 0)
		return vio_error_from_errno(errno);
	loop->clock.ready = clock_ready;
	loop->clock.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (loop->clock.fd < 0)
		return vio_error_from_errno(errno);
	error = engine_choose(loop, flags);
	if (!error)
		error = vio_loop_watch(loop, &loop->wake);
	if (!error)
		error = vio_loop_watch(loop, &loop->clock);
	return error;
}

struct vio_loop *vio_loop_create(unsigned flags, int *error)
{
	struct vio_loop *loop = calloc(1, sizeof(*loop));

	if (!loop) {
		*error = -VIO_ENOMEM;
		return NULL;
	}
	loop->wake.fd = -1;
	loop->clock.fd = -1;
	loop->one_thread = flags & VIO_LOOP_ONE_THREAD;
	*error = loop_build(loop, flags);
	if (!*error)
		return loop;
	vio_loop_destroy(loop);
	return NULL;
}

void vio_loop_destroy(struct vio_loop *loop)
{
	if (!loop)
		return;
	assert(!loop->inside && !loop->io_in_flight);
	if (loop->engine)
		loop->engine->ops->destroy(loop->engine);
	if (loop->clock.fd >= 0)
		close(loop->clock.fd);
	if (loop->wake.fd >= 0)
		close(loop->wake.fd);
	free(loop);
}
