/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <poll.h>

#include "loop.h"

#define FDS_LOOKED_AT 256

static int watch_add(void *context, struct vio_watch *watch)
{
	struct fuzz_loop *loop = context;

	if (loop->watch_count == FUZZ_WATCHES_MAX)
		return -VIO_ENOMEM;
	loop->watches[loop->watch_count++] = watch;
	return 0;
}

static void watch_remove(void *context, struct vio_watch *watch)
{
	struct fuzz_loop *loop = context;
	unsigned i;

	for (i = 0; i < loop->watch_count && loop->watches[i] != watch; i++)
		;
	FUZZ_CHECK(i < loop->watch_count);
	loop->watches[i] = loop->watches[--loop->watch_count];
}

static void task_defer(void *context, struct vio_task *task)
{
	struct fuzz_loop *loop = context;

	if (task->queued)
		return;
	task->queued = true;
	task->next = loop->tasks;
	loop->tasks = task;
}

static void task_cancel(void *context, struct vio_task *task)
{
	struct fuzz_loop *loop = context;
	struct vio_task **at = &loop->tasks;

	if (!task->queued)
		return;
	while (*at && *at != task)
		at = &(*at)->next;
	FUZZ_CHECK(*at == task);
	*at = task->next;
	task->queued = false;
}

struct vio_watcher fuzz_loop_watcher(struct fuzz_loop *loop)
{
	return (struct vio_watcher){ .context = loop,
				     .add = watch_add,
				     .remove = watch_remove,
				     .defer = task_defer,
				     .cancel = task_cancel };
}

/* false: nothing was ready. */
static bool turn(struct fuzz_loop *loop)
{
	struct vio_task *task = loop->tasks;

	if (task) {
		loop->tasks = task->next;
		task->queued = false;
		task->run(task);
		return true;
	}
	for (unsigned i = 0; i < loop->watch_count; i++) {
		struct pollfd pollfd = { .fd = loop->watches[i]->fd, .events = POLLIN };

		if (poll(&pollfd, 1, 0) == 1) {
			loop->watches[i]->ready(loop->watches[i]);
			return true;
		}
	}
	return false;
}

void fuzz_loop_run(struct fuzz_loop *loop, unsigned turns)
{
	while (turns && turn(loop))
		turns--;
}

bool fuzz_loop_empty(const struct fuzz_loop *loop)
{
	return !loop->watch_count && !loop->tasks;
}

unsigned fuzz_open_fds(void)
{
	unsigned count = 0;

	for (int fd = 0; fd < FDS_LOOKED_AT; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}
