/* SPDX-License-Identifier: BSD-3-Clause */
#include <poll.h>

#include "link.h"

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
	struct pollfd fds[FUZZ_WATCHES_MAX];

	if (task) {
		loop->tasks = task->next;
		task->queued = false;
		task->run(task);
		return true;
	}
	for (unsigned i = 0; i < loop->watch_count; i++)
		fds[i] = (struct pollfd){ .fd = loop->watches[i]->fd, .events = POLLIN };
	if (poll(fds, loop->watch_count, 0) < 1)
		return false;
	for (unsigned i = 0; i < loop->watch_count; i++) {
		if (fds[i].revents) {
			loop->watches[i]->ready(loop->watches[i]);
			break;
		}
	}
	return true;
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

/* Of the lowest descriptors, those that are open. */
static unsigned open_fds(void)
{
	struct pollfd fds[FDS_LOOKED_AT];
	unsigned count = 0;

	/* One call instead of one per descriptor: most of an execution's time went there. */
	for (int fd = 0; fd < FDS_LOOKED_AT; fd++)
		fds[fd] = (struct pollfd){ .fd = fd };
	FUZZ_CHECK(poll(fds, FDS_LOOKED_AT, 0) >= 0);
	for (int fd = 0; fd < FDS_LOOKED_AT; fd++)
		count += !(fds[fd].revents & POLLNVAL);
	return count;
}

void fuzz_link_run(const struct fuzz_link *link, struct fuzz_input *input)
{
	static struct world *w;
	static unsigned executions;
	unsigned open_files;

	if (!w)
		w = link->make();
	open_files = open_fds();
	link->execute(w, input);
	FUZZ_CHECK(open_fds() == open_files);
	if (++executions % FUZZ_LIFE == 0) {
		link->close(w);
		w = NULL;
	}
}
