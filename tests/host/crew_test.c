/* SPDX-License-Identifier: BSD-3-Clause */
#include "host/engines.h"

/* Threads beside a loop: that they stand still when halted, run when let go, and what they post arrives. */

#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <vireo/crew.h>
#include <vireo/host.h>

#define THREADS 3u

/* Counts in its thread, without any care for others. */
struct counter {
	struct vio_task task;
	struct vio_loop *loop;
	struct vio_crew *crew;
	struct vio_task post;
	uint64_t count;
	uint64_t posted;
};

static void count(struct vio_task *task)
{
	struct counter *counter = VIO_CONTAINER_OF(task, struct counter, task);

	counter->count++;
	if (counter->count % 16 == 0)
		vio_crew_post(counter->crew, &counter->post);
	vio_loop_defer(counter->loop, task);
}

/* In the main thread, which may touch all that is theirs. */
static void posted(struct vio_task *task)
{
	struct counter *counter = VIO_CONTAINER_OF(task, struct counter, post);

	counter->posted++;
	assert_true(counter->count >= 16 * counter->posted);
}

static void let_work(struct vio_loop *loop)
{
	struct timespec until, now;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += 10;
	assert_true(vio_loop_step(loop, 1) >= 0);
	clock_gettime(CLOCK_MONOTONIC, &now);
	assert_true(now.tv_sec <= until.tv_sec);
}

struct looker {
	struct vio_task task;
	struct vio_task post;
	struct vio_crew *crew;
	sigset_t blocked;
	bool looked;
};

static void look(struct vio_task *task)
{
	struct looker *looker = VIO_CONTAINER_OF(task, struct looker, task);

	pthread_sigmask(SIG_SETMASK, NULL, &looker->blocked);
	vio_crew_post(looker->crew, &looker->post);
}

static void looked(struct vio_task *task)
{
	VIO_CONTAINER_OF(task, struct looker, post)->looked = true;
}

/* What others send is the main thread's; a fault of its own would kill it past the handler. hostile: C13 */
static void faults_are_its_own(void **state)
{
	struct vio_loop *loop = engine_loop(state);
	const bool uring = vio_loop_engine(loop)[0] == 'i';
	struct looker looker = { .task.run = look, .post.run = looked };
	int error;

	looker.crew = vio_crew_create(loop, 1, uring ? 0 : VIO_LOOP_NO_URING, &error);
	assert_non_null(looker.crew);
	vio_crew_halt(looker.crew);
	vio_loop_defer(vio_crew_loop(looker.crew, 0), &looker.task);
	vio_crew_resume(looker.crew);
	while (!looker.looked)
		let_work(loop);
	assert_true(sigismember(&looker.blocked, SIGTERM));
	assert_false(sigismember(&looker.blocked, SIGBUS));
	assert_false(sigismember(&looker.blocked, SIGSEGV));
	vio_crew_destroy(looker.crew);
}

static void halted_is_still(void **state)
{
	struct vio_loop *loop = engine_loop(state);
	const bool uring = vio_loop_engine(loop)[0] == 'i';
	struct counter counters[THREADS] = { 0 };
	int error;
	struct vio_crew *crew = vio_crew_create(loop, THREADS, uring ? 0 : VIO_LOOP_NO_URING, &error);

	assert_non_null(crew);
	assert_int_equal(vio_crew_threads(crew), THREADS);
	vio_crew_halt(crew);
	for (unsigned i = 0; i < THREADS; i++) {
		counters[i].task.run = count;
		counters[i].post.run = posted;
		counters[i].crew = crew;
		counters[i].loop = vio_crew_loop(crew, i);
		assert_string_equal(vio_loop_engine(counters[i].loop), vio_loop_engine(loop));
		vio_loop_defer(counters[i].loop, &counters[i].task);
	}
	vio_crew_resume(crew);
	for (unsigned turn = 0; turn < 200; turn++) {
		uint64_t before[THREADS];

		vio_crew_halt(crew);
		for (unsigned i = 0; i < THREADS; i++)
			before[i] = counters[i].count;
		/* Halts nest. */
		vio_crew_halt(crew);
		vio_crew_resume(crew);
		usleep(100);
		for (unsigned i = 0; i < THREADS; i++)
			assert_int_equal(counters[i].count, before[i]);
		vio_crew_resume(crew);
		let_work(loop);
	}
	for (unsigned i = 0; i < THREADS; i++)
		while (!counters[i].posted)
			let_work(loop);
	vio_crew_halt(crew);
	for (unsigned i = 0; i < THREADS; i++) {
		assert_true(counters[i].count > 0);
		vio_loop_cancel(counters[i].loop, &counters[i].task);
		vio_crew_cancel(crew, &counters[i].post);
		vio_crew_cancel(crew, &counters[i].post);
	}
	vio_crew_resume(crew);
	vio_crew_destroy(crew);
}

/* Watches of a thread's loop come and go from the main thread while that is halted. */
struct watcher {
	struct vio_watch watch;
	unsigned rung;
};

static void rung(struct vio_watch *watch)
{
	VIO_CONTAINER_OF(watch, struct watcher, watch)->rung++;
}

static void watches_move(void **state)
{
	struct vio_loop *loop = engine_loop(state);
	const bool uring = vio_loop_engine(loop)[0] == 'i';
	struct watcher watcher = { .watch = { .ready = rung, .edge = true } };
	const uint64_t one = 1;
	int error;
	struct vio_crew *crew = vio_crew_create(loop, 2, uring ? 0 : VIO_LOOP_NO_URING, &error);

	assert_non_null(crew);
	watcher.watch.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	for (unsigned turn = 0; turn < 50; turn++) {
		struct vio_loop *theirs = vio_crew_loop(crew, turn % 2);

		vio_crew_halt(crew);
		watcher.rung = 0;
		assert_int_equal(vio_loop_watch(theirs, &watcher.watch), 0);
		vio_crew_resume(crew);
		for (unsigned tries = 0; tries < 5000; tries++) {
			unsigned seen;

			assert_int_equal(write(watcher.watch.fd, &one, sizeof(one)), sizeof(one));
			usleep(20);
			vio_crew_halt(crew);
			seen = watcher.rung;
			vio_crew_resume(crew);
			if (seen > 2)
				break;
		}
		vio_crew_halt(crew);
		assert_true(watcher.rung > 2);
		vio_loop_unwatch(theirs, &watcher.watch);
		vio_crew_resume(crew);
	}
	close(watcher.watch.fd);
	vio_crew_destroy(crew);
	vio_crew_destroy(NULL);
}

/* The same storage in two loops: what one writes the other reads, and closing the shares leaves the rest. */
static void storage_is_shared(void **state)
{
	const struct vio_host_block_options options = { .backend = VIO_HOST_BLOCK_NULL, .size = 4096 };
	struct vio_loop *loop = engine_loop(state);
	struct vio_block *block, *share;
	struct vio_message message;

	assert_int_equal(vio_host_block_open(loop, &options, &block, &message), 0);
	assert_int_equal(vio_host_block_share(block, loop, &share), 0);
	assert_int_equal(share->size_bytes, 4096);
	share->ops->close(share);
	block->ops->close(block);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH_ENGINES(halted_is_still),
		ON_BOTH_ENGINES(faults_are_its_own),
		ON_BOTH_ENGINES(watches_move),
		ON_BOTH_ENGINES(storage_is_shared),
	};

	return cmocka_run_group_tests_name("crew", tests, NULL, NULL);
}
