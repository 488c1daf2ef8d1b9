/* SPDX-License-Identifier: BSD-3-Clause */
#include "vfio_user/bed.h"

#include <string.h>

/*
 * The same tests with queues that belong to others: a crew that is the one thread and keeps count. Whatever
 * is a queue's happens in its own watcher or while all are halted, and what is posted is done a little later.
 */
static struct {
	struct bed *bed;
	unsigned halted;
	struct vio_task *posted;
	struct vio_task work;
} crew;

static int add(void *context, struct vio_watch *watch)
{
	assert_ptr_equal(context, &crew);
	assert_int_not_equal(crew.halted, 0);
	return crew.bed->watcher.add(crew.bed->watcher.context, watch);
}

static void remove_watch(void *context, struct vio_watch *watch)
{
	assert_int_not_equal(crew.halted, 0);
	crew.bed->watcher.remove(crew.bed->watcher.context, watch);
}

static void defer(void *context, struct vio_task *task)
{
	crew.bed->watcher.defer(crew.bed->watcher.context, task);
}

static void cancel(void *context, struct vio_task *task)
{
	assert_int_not_equal(crew.halted, 0);
	crew.bed->watcher.cancel(crew.bed->watcher.context, task);
}

static struct vio_watcher crew_watcher(void *context, uint16_t queue)
{
	(void)queue;
	return (struct vio_watcher){ &crew, add, remove_watch, defer, cancel, false };
}

static void crew_halt(void *context)
{
	crew.halted++;
}

static void crew_resume(void *context)
{
	assert_int_not_equal(crew.halted, 0);
	crew.halted--;
}

static void crew_post(void *context, struct vio_task *task)
{
	if (task->queued)
		return;
	task->queued = true;
	task->next = crew.posted;
	crew.posted = task;
	crew.bed->watcher.defer(crew.bed->watcher.context, &crew.work);
}

static void crew_cancel(void *context, struct vio_task *task)
{
	struct vio_task **at = &crew.posted;

	assert_int_not_equal(crew.halted, 0);
	if (!task->queued)
		return;
	while (*at != task)
		at = &(*at)->next;
	*at = task->next;
	task->queued = false;
}

static void work(struct vio_task *unused)
{
	crew_halt(NULL);
	while (crew.posted) {
		struct vio_task *task = crew.posted;

		crew_cancel(NULL, task);
		task->run(task);
	}
	crew_resume(NULL);
}

void bed_spread(struct bed *bed)
{
	const struct vio_watch_crew table = { &crew,       crew_watcher, crew_halt,
					      crew_resume, crew_post,    crew_cancel };

	memset(&crew, 0, sizeof(crew));
	crew.bed = bed;
	crew.work.run = work;
	vio_vfio_user_spread(bed->server, &table);
}

void bed_gather(void)
{
}
