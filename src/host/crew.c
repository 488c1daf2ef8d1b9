/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <vireo/crew.h>
#include <vireo/host.h>

struct member {
	struct vio_crew *crew;
	struct vio_loop *loop;
	pthread_t thread;
	bool started;
	bool parked; /* under the lock */
};

struct vio_crew {
	struct vio_loop *main;
	struct vio_watch posted; /* an eventfd in the main loop; -1: none */
	unsigned count;
	unsigned halts; /* only the main thread changes it, under the lock */

	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool ending;
	struct vio_task *tasks;

	struct member members[];
};

/* Called with the lock held, and returns with it: stands still as long as that is wanted. */
static void park(struct member *member)
{
	struct vio_crew *crew = member->crew;

	member->parked = true;
	pthread_cond_broadcast(&crew->changed);
	while (crew->halts && !crew->ending)
		pthread_cond_wait(&crew->changed, &crew->lock);
	member->parked = false;
}

static void *member_run(void *context)
{
	struct member *member = context;
	struct vio_crew *crew = member->crew;

	pthread_mutex_lock(&crew->lock);
	while (!crew->ending) {
		park(member);
		if (crew->ending)
			break;
		pthread_mutex_unlock(&crew->lock);
		/* Comes back when it is stopped, and otherwise there is nothing better than trying again. */
		vio_loop_run(member->loop);
		pthread_mutex_lock(&crew->lock);
	}
	pthread_mutex_unlock(&crew->lock);
	return NULL;
}

void vio_crew_halt(struct vio_crew *crew)
{
	pthread_mutex_lock(&crew->lock);
	if (!crew->halts++)
		for (unsigned i = 0; i < crew->count; i++)
			vio_loop_stop(crew->members[i].loop);
	for (unsigned i = 0; i < crew->count; i++)
		while (crew->members[i].started && !crew->members[i].parked)
			pthread_cond_wait(&crew->changed, &crew->lock);
	pthread_mutex_unlock(&crew->lock);
}

void vio_crew_resume(struct vio_crew *crew)
{
	pthread_mutex_lock(&crew->lock);
	assert(crew->halts);
	if (!--crew->halts)
		pthread_cond_broadcast(&crew->changed);
	pthread_mutex_unlock(&crew->lock);
}

/* Tasks for the main thread. */

void vio_crew_post(struct vio_crew *crew, struct vio_task *task)
{
	const uint64_t one = 1;

	pthread_mutex_lock(&crew->lock);
	if (!task->queued) {
		task->queued = true;
		task->next = crew->tasks;
		crew->tasks = task;
		while (write(crew->posted.fd, &one, sizeof(one)) < 0 && errno == EINTR)
			;
	}
	pthread_mutex_unlock(&crew->lock);
}

void vio_crew_cancel(struct vio_crew *crew, struct vio_task *task)
{
	struct vio_task **at = &crew->tasks;

	if (!task->queued)
		return;
	while (*at != task)
		at = &(*at)->next;
	*at = task->next;
	task->queued = false;
}

static void posted_ready(struct vio_watch *watch)
{
	struct vio_crew *crew = VIO_CONTAINER_OF(watch, struct vio_crew, posted);
	uint64_t count;

	if (read(watch->fd, &count, sizeof(count)) < 0)
		return;
	/* Halted, nobody posts; a task may cancel another. */
	vio_crew_halt(crew);
	while (crew->tasks) {
		struct vio_task *task = crew->tasks;

		vio_crew_cancel(crew, task);
		task->run(task);
	}
	vio_crew_resume(crew);
}

/* Life. */

unsigned vio_crew_threads(const struct vio_crew *crew)
{
	return crew->count;
}

struct vio_loop *vio_crew_loop(struct vio_crew *crew, unsigned thread)
{
	return crew->members[thread].loop;
}

/*
 * Signals are for the main thread, but those that an instruction of this one raises: blocked they would
 * kill the process past any handler.
 */
static int member_start(struct member *member)
{
	static const int own[] = { SIGBUS, SIGSEGV, SIGFPE, SIGILL, SIGTRAP, SIGSYS };
	sigset_t others, before;
	int error;

	sigfillset(&others);
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(own); i++)
		sigdelset(&others, own[i]);
	pthread_sigmask(SIG_SETMASK, &others, &before);
	error = pthread_create(&member->thread, NULL, member_run, member);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error)
		return vio_error_from_errno(error);
	pthread_setname_np(member->thread, "vireo-queues");
	member->started = true;
	return 0;
}

static int crew_build(struct vio_crew *crew, unsigned flags)
{
	int error;

	crew->posted.ready = posted_ready;
	crew->posted.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (crew->posted.fd < 0)
		return vio_error_from_errno(errno);
	error = vio_loop_watch(crew->main, &crew->posted);
	if (error) {
		close(crew->posted.fd);
		crew->posted.fd = -1;
		return error;
	}
	for (unsigned i = 0; i < crew->count && !error; i++) {
		crew->members[i].crew = crew;
		crew->members[i].loop = vio_loop_create(flags, &error);
		if (!error)
			error = member_start(&crew->members[i]);
	}
	return error;
}

struct vio_crew *vio_crew_create(struct vio_loop *main, unsigned threads, unsigned flags, int *error)
{
	struct vio_crew *crew;

	assert(!(flags & VIO_LOOP_ONE_THREAD));
	crew = calloc(1, sizeof(*crew) + threads * sizeof(crew->members[0]));
	if (!crew) {
		*error = -VIO_ENOMEM;
		return NULL;
	}
	crew->main = main;
	crew->count = threads;
	pthread_mutex_init(&crew->lock, NULL);
	pthread_cond_init(&crew->changed, NULL);
	*error = crew_build(crew, flags);
	if (!*error)
		return crew;
	vio_crew_destroy(crew);
	return NULL;
}

void vio_crew_destroy(struct vio_crew *crew)
{
	if (!crew)
		return;
	pthread_mutex_lock(&crew->lock);
	crew->ending = true;
	pthread_cond_broadcast(&crew->changed);
	pthread_mutex_unlock(&crew->lock);
	for (unsigned i = 0; i < crew->count; i++) {
		if (crew->members[i].started) {
			vio_loop_stop(crew->members[i].loop);
			pthread_join(crew->members[i].thread, NULL);
		}
		vio_loop_destroy(crew->members[i].loop);
	}
	if (crew->posted.fd >= 0) {
		vio_loop_unwatch(crew->main, &crew->posted);
		close(crew->posted.fd);
	}
	pthread_cond_destroy(&crew->changed);
	pthread_mutex_destroy(&crew->lock);
	free(crew);
}

/* As links know it. */

static struct vio_watcher watch_queue(void *context, uint16_t queue)
{
	return vio_loop_watcher(vio_crew_loop(context, queue % vio_crew_threads(context)));
}

static void watch_halt(void *context)
{
	vio_crew_halt(context);
}

static void watch_resume(void *context)
{
	vio_crew_resume(context);
}

static void watch_post(void *context, struct vio_task *task)
{
	vio_crew_post(context, task);
}

static void watch_cancel(void *context, struct vio_task *task)
{
	vio_crew_cancel(context, task);
}

struct vio_watch_crew vio_crew_watch(struct vio_crew *crew)
{
	return (struct vio_watch_crew){
		crew, watch_queue, watch_halt, watch_resume, watch_post, watch_cancel
	};
}
