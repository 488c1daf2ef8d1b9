/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include "host/parts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Watches. */

static void watch_reports(void **state)
{
	struct vio_loop *loop = engine_loop(state);
	struct bell *bell = bell_make(loop);

	settle(loop);
	assert_int_equal(bell->rung, 0);
	bell_ring(bell);
	engine_step_until_set(loop, &bell->rung);
	settle(loop);
	assert_int_equal(bell->rung, 1);
	bell_ring(bell);
	bell_ring(bell);
	settle(loop);
	assert_int_equal(bell->rung, 2);
	bell_free(bell);
}

static void watch_is_level_triggered(void **state)
{
	struct vio_loop *loop = engine_loop(state);
	struct bell *bell = bell_make(loop);

	bell->keep = true;
	bell_ring(bell);
	for (unsigned i = 0; i < 20 && bell->rung < 5; i++)
		assert_in_range(vio_loop_step(loop, 1000), 0, 1);
	assert_int_equal(bell->rung, 5);
	bell_free(bell);
}

/* Once when it is found ready, and once for each write after it, though nobody reads. */
static void watch_is_edge_triggered(void **state)
{
	struct vio_loop *loop = engine_loop(state);
	struct bell *bell = bell_make_edge(loop);

	settle(loop);
	assert_int_equal(bell->rung, 0);
	for (unsigned turn = 1; turn <= 5; turn++) {
		bell_ring(bell);
		engine_step_until_set(loop, &bell->rung);
		settle(loop);
		assert_int_equal(bell->rung, 1);
		bell->rung = 0;
	}
	assert_int_equal(vio_loop_step(loop, 0), 0);
	/* One that rang before it is watched again. */
	vio_loop_unwatch(loop, &bell->watch);
	assert_int_equal(vio_loop_watch(loop, &bell->watch), 0);
	settle(loop);
	assert_int_equal(bell->rung, 1);
	bell_free(bell);
}

static void watch_reports_the_end(void **state)
{
	struct vio_loop *loop = engine_loop(state);
	struct bell bell = { .watch.ready = bell_ready, .keep = true };
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	bell.watch.fd = ends[0];
	assert_int_equal(vio_loop_watch(loop, &bell.watch), 0);
	settle(loop);
	close(ends[1]);
	engine_step_until_set(loop, &bell.rung);
	vio_loop_unwatch(loop, &bell.watch);
	close(ends[0]);
}

static void watch_refuses(void **state)
{
	struct vio_loop *loop = engine_loop(state);
	struct bell *bell = bell_make(loop);
	struct vio_watch wrong = { .fd = -1, .ready = bell_ready };

	assert_int_equal(vio_loop_watch(loop, &wrong), -VIO_EINVAL);
	wrong.fd = bell->watch.fd;
	assert_int_equal(vio_loop_watch(loop, &wrong), -VIO_EEXIST);
	wrong.fd = open("/", O_RDONLY | O_CLOEXEC | O_DIRECTORY);
	assert_int_equal(vio_loop_watch(loop, &wrong), -VIO_ENOTSUP);
	close(wrong.fd);
	wrong.fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	assert_int_equal(vio_loop_watch(loop, &wrong), -VIO_ENOTSUP);
	close(wrong.fd);
	bell_free(bell);
}

static void watch_removes_itself(void **state)
{
	struct vio_loop *loop = engine_loop(state);
	struct bell *bell = bell_make(loop);

	bell->keep = true;
	bell->other = bell;
	bell_ring(bell);
	settle(loop);
	assert_int_equal(bell->rung, 1);
	free(bell);
}

/* Both have rung when the first is served; whichever that is takes the other away. */
static void watch_removes_another(void **state)
{
	struct vio_loop *loop = engine_loop(state);

	for (unsigned turn = 0; turn < 20; turn++) {
		struct bell *a = bell_make(loop);
		struct bell *b = bell_make(loop);
		struct bell *killer = turn % 2 ? a : b;
		struct bell *victim = turn % 2 ? b : a;

		settle(loop);
		killer->other = victim;
		bell_ring(turn % 4 < 2 ? killer : victim);
		bell_ring(turn % 4 < 2 ? victim : killer);
		settle(loop);
		assert_int_equal(killer->rung, 1);
		bell_free(killer);
	}
}

/* What the kernel still holds of a watch mustn't keep the file open. */
static void unwatch_lets_go(void **state)
{
	struct vio_loop *loop = engine_loop(state);
	struct bell bell = { .watch.ready = bell_ready };
	struct pollfd peer = { .events = POLLIN };
	int ends[2];
	char c;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	bell.watch.fd = ends[0];
	assert_int_equal(vio_loop_watch(loop, &bell.watch), 0);
	settle(loop);
	vio_loop_unwatch(loop, &bell.watch);
	close(ends[0]);
	peer.fd = ends[1];
	assert_int_equal(poll(&peer, 1, 1000), 1);
	assert_int_equal(read(ends[1], &c, 1), 0);
	close(ends[1]);
	settle(loop);
	assert_int_equal(bell.rung, 0);
}

/* Nor when it was triggered at the very moment, and whether or not it still is then. */
static void unwatch_lets_go_of_edges(void **state)
{
	struct vio_loop *loop = engine_loop(state);

	for (unsigned turn = 0; turn < 20; turn++) {
		struct bell bell = { .watch = { .ready = bell_ready, .edge = true } };
		int ends[2];
		char c;

		assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends), 0);
		bell.watch.fd = ends[0];
		assert_int_equal(vio_loop_watch(loop, &bell.watch), 0);
		settle(loop);
		assert_int_equal(write(ends[1], "x", 1), 1);
		if (turn & 1)
			assert_int_equal(read(ends[0], &c, 1), 1);
		vio_loop_unwatch(loop, &bell.watch);
		close(ends[0]);
		settle(loop);
		settle(loop);
		assert_int_equal(send(ends[1], "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT), -1);
		assert_true(errno == ECONNREFUSED || errno == ECONNRESET || errno == EPIPE ||
			    errno == ENOTCONN);
		close(ends[1]);
		assert_int_equal(bell.rung, 0);
	}
}

/* More than fit into one batch, a submission queue and a round. */
static void watch_many(void **state)
{
	enum { MANY = 400 };
	struct vio_loop *loop = engine_loop(state);
	struct bell *bells[MANY];

	for (unsigned i = 0; i < MANY; i++)
		bells[i] = bell_make(loop);
	for (unsigned turn = 1; turn <= 3; turn++) {
		for (unsigned i = 0; i < MANY; i++)
			bell_ring(bells[i]);
		settle(loop);
		for (unsigned i = 0; i < MANY; i++)
			assert_int_equal(bells[i]->rung, turn);
	}
	/* Half of them armed in the kernel, half just asked for. */
	for (unsigned i = 0; i < MANY / 2; i++)
		bell_free(bells[i]);
	for (unsigned i = 0; i < MANY / 2; i++)
		bells[i] = bell_make(loop);
	for (unsigned i = 0; i < MANY; i++)
		bell_free(bells[i]);
	settle(loop);
}

/* Watching, forgetting, ringing at random, against a count kept beside. */
static void watch_at_random(void **state)
{
	enum { SLOTS = 16, TURNS = 3000 };
	struct vio_loop *loop = engine_loop(state);
	struct bell *bells[SLOTS] = { NULL };
	unsigned expected[SLOTS] = { 0 };
	bool ringing[SLOTS] = { false };
	unsigned seed = 7;

	for (unsigned turn = 0; turn < TURNS; turn++) {
		unsigned slot = (unsigned)rand_r(&seed) % SLOTS;

		if (!bells[slot]) {
			bells[slot] = bell_make(loop);
			expected[slot] = 0;
			ringing[slot] = false;
		} else if (rand_r(&seed) % 3 == 0) {
			bell_free(bells[slot]);
			bells[slot] = NULL;
		} else {
			bell_ring(bells[slot]);
			expected[slot] += !ringing[slot];
			ringing[slot] = true;
		}
		if (rand_r(&seed) % 4)
			continue;
		for (unsigned quiet = 0; quiet < 2; quiet++)
			if (vio_loop_step(loop, 0) > 0)
				quiet = 0;
		for (unsigned i = 0; i < SLOTS; i++) {
			ringing[i] = false;
			if (bells[i])
				assert_int_equal(bells[i]->rung, expected[i]);
		}
	}
	for (unsigned i = 0; i < SLOTS; i++)
		if (bells[i])
			bell_free(bells[i]);
}

/* Tasks. */

struct chore {
	struct vio_task task;
	struct vio_loop *loop;
	unsigned runs;
	unsigned again;       /* times to queue itself */
	struct chore *cancel; /* taken back when this one runs */
	struct bell *bell;    /* has to have rung before */
};

static void chore_run(struct vio_task *task)
{
	struct chore *chore = VIO_CONTAINER_OF(task, struct chore, task);

	chore->runs++;
	if (chore->bell)
		assert_int_equal(chore->bell->rung, 1);
	if (chore->cancel)
		vio_loop_cancel(chore->loop, &chore->cancel->task);
	if (chore->again) {
		chore->again--;
		vio_loop_defer(chore->loop, task);
	}
}

static void task_runs_once(void **state)
{
	struct vio_loop *loop = engine_loop(state);
	struct chore chore = { .task.run = chore_run, .loop = loop };

	vio_loop_defer(loop, &chore.task);
	vio_loop_defer(loop, &chore.task);
	assert_int_equal(chore.runs, 0);
	assert_int_equal(vio_loop_step(loop, -1), 1);
	settle(loop);
	assert_int_equal(chore.runs, 1);
	vio_loop_defer(loop, &chore.task);
	vio_loop_cancel(loop, &chore.task);
	vio_loop_cancel(loop, &chore.task);
	settle(loop);
	assert_int_equal(chore.runs, 1);
}

static void task_comes_after_events(void **state)
{
	struct vio_loop *loop = engine_loop(state);
	struct bell *bell = bell_make(loop);
	struct chore chore = { .task.run = chore_run, .loop = loop, .bell = bell };

	settle(loop);
	vio_loop_defer(loop, &chore.task);
	bell_ring(bell);
	settle(loop);
	assert_int_equal(chore.runs, 1);
	bell_free(bell);
}

static void task_queues_itself(void **state)
{
	struct vio_loop *loop = engine_loop(state);
	struct chore chore = { .task.run = chore_run, .loop = loop, .again = 1000 };
	struct bell *bell = bell_make(loop);

	vio_loop_defer(loop, &chore.task);
	assert_true(vio_loop_step(loop, -1) >= 0);
	bell_ring(bell);
	for (unsigned i = 0; i < 10 && !bell->rung; i++)
		assert_true(vio_loop_step(loop, -1) >= 0);
	/* It didn't hold up the others, and isn't forgotten. */
	assert_int_equal(bell->rung, 1);
	assert_true(chore.again > 0);
	settle(loop);
	assert_int_equal(chore.runs, 1001);
	bell_free(bell);
}

static void task_cancels_another(void **state)
{
	struct vio_loop *loop = engine_loop(state);
	struct chore second = { .task.run = chore_run, .loop = loop };
	struct chore first = { .task.run = chore_run, .loop = loop, .cancel = &second };
	struct chore third = { .task.run = chore_run, .loop = loop };

	vio_loop_defer(loop, &first.task);
	vio_loop_defer(loop, &second.task);
	settle(loop);
	assert_int_equal(first.runs, 1);
	assert_int_equal(second.runs, 0);
	vio_loop_defer(loop, &first.task);
	vio_loop_defer(loop, &second.task);
	vio_loop_defer(loop, &third.task);
	settle(loop);
	assert_int_equal(second.runs, 0);
	assert_int_equal(third.runs, 1);
}

/* Timers. */

static void timer_keeps_order(void **state)
{
	static const uint64_t delays_ms[] = { 30, 10, 0, 20, 40 };
	static const unsigned places[] = { 4, 2, 1, 3, 5 };
	struct vio_loop *loop = engine_loop(state);
	struct alarm alarms[VIO_ARRAY_SIZE(delays_ms)];
	unsigned order = 0;
	uint64_t start = now_ms();

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(alarms); i++) {
		alarms[i] = alarm_make(loop, &order);
		vio_loop_arm(loop, &alarms[i].timer, delays_ms[i]);
	}
	engine_step_until_set(loop, &alarms[4].expired);
	assert_true(now_ms() - start >= 39);
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(alarms); i++) {
		assert_int_equal(alarms[i].expired, places[i]);
		assert_false(alarms[i].timer.armed);
	}
}

static void timer_moves_and_goes(void **state)
{
	struct vio_loop *loop = engine_loop(state);
	unsigned order = 0;
	struct alarm moved = alarm_make(loop, &order);
	struct alarm gone = alarm_make(loop, &order);
	struct alarm last = alarm_make(loop, &order);
	struct alarm never = alarm_make(loop, &order);

	vio_loop_arm(loop, &moved.timer, 100000);
	vio_loop_arm(loop, &gone.timer, 1);
	vio_loop_arm(loop, &last.timer, 20);
	vio_loop_arm(loop, &never.timer, UINT64_MAX);
	vio_loop_disarm(loop, &gone.timer);
	vio_loop_disarm(loop, &gone.timer);
	vio_loop_arm(loop, &moved.timer, 5);
	engine_step_until_set(loop, &last.expired);
	assert_int_equal(moved.expired, 1);
	assert_int_equal(last.expired, 2);
	assert_int_equal(gone.expired, 0);
	assert_true(never.timer.armed);
	vio_loop_disarm(loop, &never.timer);
}

static void timer_callbacks_change_timers(void **state)
{
	struct vio_loop *loop = engine_loop(state);
	unsigned order = 0;
	struct alarm first = alarm_make(loop, &order);
	struct alarm second = alarm_make(loop, &order);
	struct alarm end = alarm_make(loop, &order);

	first.disarm = &second;
	first.rearm_ms = 5;
	vio_loop_arm(loop, &first.timer, 1);
	vio_loop_arm(loop, &second.timer, 2);
	vio_loop_arm(loop, &end.timer, 50);
	/* Both are due by then. */
	usleep(5000);
	engine_step_until_set(loop, &end.expired);
	assert_int_equal(second.expired, 0);
	assert_int_equal(first.expired, 2);
	assert_int_equal(end.expired, 3);
}

/* Stopping. */

static void *stop_from_thread(void *context)
{
	usleep(20000);
	vio_loop_stop(context);
	return NULL;
}

static void stop_from_another_thread(void **state)
{
	struct vio_loop *loop = engine_loop(state);
	struct bell *bell = bell_make(loop);

	for (unsigned i = 0; i < 3; i++) {
		pthread_t thread;

		assert_int_equal(pthread_create(&thread, NULL, stop_from_thread, loop), 0);
		assert_int_equal(vio_loop_run(loop), 0);
		pthread_join(thread, NULL);
	}
	/* Before it runs counts as well, once. */
	vio_loop_stop(loop);
	assert_int_equal(vio_loop_run(loop), 0);
	bell_ring(bell);
	settle(loop);
	assert_int_equal(bell->rung, 1);
	bell_free(bell);
}

static void *run_in_thread(void *context)
{
	assert_int_equal(vio_loop_run(context), 0);
	return NULL;
}

/* Made, filled and torn down here, run there. */
static void run_in_another_thread(void **state)
{
	struct vio_loop *loop = engine_loop(state);
	struct bell *bell = bell_make(loop);
	pthread_t thread;

	for (unsigned i = 1; i <= 2; i++) {
		bell_ring(bell);
		assert_int_equal(pthread_create(&thread, NULL, run_in_thread, loop), 0);
		usleep(50000);
		vio_loop_stop(loop);
		pthread_join(thread, NULL);
		assert_int_equal(bell->rung, i);
	}
	/* And now here, although the polls were that thread's. */
	bell->rung = 0;
	bell_ring(bell);
	engine_step_until_set(loop, &bell->rung);
	bell_free(bell);
}

static struct vio_loop *loop_of_handler;

static void stop_from_handler(int number)
{
	vio_loop_stop(loop_of_handler);
}

static void stop_from_a_signal(void **state)
{
	struct sigaction action = { .sa_handler = stop_from_handler }, before;
	struct itimerval soon = { .it_value.tv_usec = 20000 };

	loop_of_handler = engine_loop(state);
#ifdef __SANITIZE_THREAD__
	/* It holds signals back until it sees a system call, and it doesn't see those of liburing. */
	if (!strcmp(vio_loop_engine(loop_of_handler), "io_uring")) {
		print_message("signals are absent under ThreadSanitizer\n");
		skip();
	}
#endif
	assert_int_equal(sigaction(SIGALRM, &action, &before), 0);
	assert_int_equal(setitimer(ITIMER_REAL, &soon, NULL), 0);
	assert_int_equal(vio_loop_run(loop_of_handler), 0);
	sigaction(SIGALRM, &before, NULL);
}

/* Steps. */

static void step_waits_as_told(void **state)
{
	struct vio_loop *loop = engine_loop(state);
	uint64_t waited_ms = 0;

	assert_int_equal(vio_loop_step(loop, 0), 0);
	assert_int_equal(vio_loop_step(loop, 0), 0);
	/* The kernel may cut a wait short, but not always. */
	for (unsigned i = 0; i < 5 && waited_ms < 29; i++) {
		uint64_t start_ms = now_ms();

		assert_int_equal(vio_loop_step(loop, 30), 0);
		waited_ms = now_ms() - start_ms;
	}
	assert_true(waited_ms >= 29);
}

static void foreign_wait(struct vio_loop *loop, int foreign)
{
	struct epoll_event event;
	int count;

	do
		count = epoll_wait(foreign, &event, 1, 5000);
	while (count < 0 && errno == EINTR);
	assert_int_equal(count, 1);
	assert_true(vio_loop_step(loop, 0) >= 0);
}

static void foreign_until(struct vio_loop *loop, int foreign, const unsigned *flag)
{
	for (unsigned i = 0; i < 20 && !*flag; i++)
		foreign_wait(loop, foreign);
	assert_true(*flag);
}

/* How many times in 30 ms there is something to do. */
static unsigned foreign_count(struct vio_loop *loop, int foreign)
{
	struct epoll_event event;
	unsigned count = 0;

	while (epoll_wait(foreign, &event, 1, 30) == 1 && count < 100) {
		assert_true(vio_loop_step(loop, 0) >= 0);
		count++;
	}
	return count;
}

/* Everything that may happen is told by the descriptor, whether begun in a step or outside. */
static void foreign_loop_drives(void **state)
{
	struct vio_loop *loop = engine_loop(state);
	struct bell *bell = bell_make(loop), *late;
	struct epoll_event event = { .events = EPOLLIN };
	int foreign = epoll_create1(EPOLL_CLOEXEC);
	struct chore chore = { .task.run = chore_run, .loop = loop, .again = 3 };
	unsigned order = 0;
	struct alarm alarm = alarm_make(loop, &order);
	struct transfer sync = { .io = { .op = VIO_IO_SYNC, .done = transfer_done, .fd = -1 } };

	assert_int_equal(epoll_ctl(foreign, EPOLL_CTL_ADD, vio_loop_fd(loop), &event), 0);
	foreign_count(loop, foreign);
	assert_int_equal(foreign_count(loop, foreign), 0);
	bell_ring(bell);
	foreign_until(loop, foreign, &bell->rung);
	late = bell_make(loop);
	bell_ring(late);
	foreign_until(loop, foreign, &late->rung);
	vio_loop_defer(loop, &chore.task);
	while (chore.runs < 4)
		foreign_wait(loop, foreign);
	vio_loop_arm(loop, &alarm.timer, 10);
	foreign_until(loop, foreign, &alarm.expired);
	vio_loop_submit(loop, &sync.io);
	foreign_until(loop, foreign, &sync.done);
	assert_int_equal(sync.result, -EBADF);
	/* Level-triggered through both. */
	bell->keep = true;
	bell_ring(bell);
	for (unsigned i = 2; i < 5; i++)
		while (bell->rung < i)
			foreign_wait(loop, foreign);
	bell_free(bell);
	bell_free(late);
	foreign_count(loop, foreign);
	assert_int_equal(foreign_count(loop, foreign), 0);
	close(foreign);
}

/* The loop as others see it. */

static void watcher_does_the_same(void **state)
{
	struct vio_loop *loop = engine_loop(state);
	struct vio_watcher watcher = vio_loop_watcher(loop);
	struct bell bell = { .watch.ready = bell_ready };
	struct chore chore = { .task.run = chore_run, .loop = loop };

	bell.watch.fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_int_equal(watcher.add(watcher.context, &bell.watch), 0);
	watcher.defer(watcher.context, &chore.task);
	settle(loop);
	assert_int_equal(bell.rung, 1);
	assert_int_equal(chore.runs, 1);
	watcher.defer(watcher.context, &chore.task);
	watcher.cancel(watcher.context, &chore.task);
	watcher.remove(watcher.context, &bell.watch);
	bell_ring(&bell);
	settle(loop);
	assert_int_equal(bell.rung, 1);
	assert_int_equal(chore.runs, 1);
	close(bell.watch.fd);
}

static void environment_chooses(void **state)
{
	int error;
	struct vio_loop *loop;

	assert_int_equal(setenv("VIREO_NO_URING", "1", 1), 0);
	loop = vio_loop_create(0, &error);
	assert_non_null(loop);
	assert_string_equal(vio_loop_engine(loop), "epoll");
	vio_loop_destroy(loop);
	loop = vio_loop_create(VIO_LOOP_ONE_THREAD, &error);
	assert_non_null(loop);
	assert_string_equal(vio_loop_engine(loop), "epoll");
	assert_int_equal(vio_loop_fd(loop), -1);
	vio_loop_destroy(loop);
	unsetenv("VIREO_NO_URING");
	vio_loop_destroy(NULL);
}

/* In a process of its own, for there is no way back from the filter. */
static int create_where_refused(int refusal)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)refusal),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { VIO_ARRAY_SIZE(code), code };
	struct vio_loop *loop;
	int error, result;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		return 2;
	loop = vio_loop_create(0, &error);
	if (!loop)
		return 3;
	result = strcmp(vio_loop_engine(loop), "epoll") != 0;
	vio_loop_destroy(loop);
	return result;
}

static void refusal_chooses(void **state)
{
	static const int refusals[] = { EPERM, ENOSYS, ENOMEM, EINVAL };

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(refusals); i++) {
		pid_t child = fork();
		int status;

		assert_true(child >= 0);
		if (!child)
			_exit(create_where_refused(refusals[i]));
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH_ENGINES(watch_reports),
		ON_BOTH_ENGINES(watch_is_level_triggered),
		ON_BOTH_ENGINES(watch_is_edge_triggered),
		ON_BOTH_ENGINES(watch_reports_the_end),
		ON_BOTH_ENGINES(watch_refuses),
		ON_BOTH_ENGINES(watch_removes_itself),
		ON_BOTH_ENGINES(watch_removes_another),
		ON_BOTH_ENGINES(unwatch_lets_go),
		ON_BOTH_ENGINES(unwatch_lets_go_of_edges),
		ON_BOTH_ENGINES(watch_many),
		ON_BOTH_ENGINES(watch_at_random),
		ON_BOTH_ENGINES(task_runs_once),
		ON_BOTH_ENGINES(task_comes_after_events),
		ON_BOTH_ENGINES(task_queues_itself),
		ON_BOTH_ENGINES(task_cancels_another),
		ON_BOTH_ENGINES(timer_keeps_order),
		ON_BOTH_ENGINES(timer_moves_and_goes),
		ON_BOTH_ENGINES(timer_callbacks_change_timers),
		ON_BOTH_ENGINES(stop_from_another_thread),
		ON_ANY_THREAD(run_in_another_thread),
		ON_BOTH_ENGINES(stop_from_a_signal),
		ON_BOTH_ENGINES(step_waits_as_told),
		ON_ANY_THREAD(foreign_loop_drives),
		ON_BOTH_ENGINES(watcher_does_the_same),
		cmocka_unit_test(environment_chooses),
		cmocka_unit_test(refusal_chooses),
	};

	return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
