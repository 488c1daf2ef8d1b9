/* SPDX-License-Identifier: BSD-3-Clause */
#include "host/engines.h"
#include "host/parts.h"

/* Busy polling: when it begins, what it leaves others, and that it ends. */

#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

#define POLLED_FEW 16

struct polled {
	struct bell *bell;
	unsigned work;   /* to be found by polling */
	unsigned polled; /* how often it was looked for */
	unsigned rested;
	unsigned late; /* found only when it was about to rest */
};

static struct polled polled;

static bool polled_poll(struct vio_watch *watch)
{
	assert_ptr_equal(watch, &polled.bell->watch);
	polled.polled++;
	if (!polled.work)
		return false;
	polled.work--;
	return true;
}

static bool polled_rest(struct vio_watch *watch)
{
	polled.rested++;
	if (!polled.late)
		return true;
	polled.late--;
	polled.work++;
	return false;
}

static void polled_make(struct vio_loop *loop)
{
	memset(&polled, 0, sizeof(polled));
	polled.bell = bell_make_edge(loop);
	polled.bell->watch.poll = polled_poll;
	polled.bell->watch.rest = polled_rest;
}

/* After an event, until nothing is found any more; then it sleeps, and is looked at no longer. */
static void polls_after_an_event(void **state)
{
	struct vio_loop *loop = engine_loop(state);
	struct bell *other = bell_make(loop);
	uint64_t start_ms;
	unsigned before;

	vio_loop_poll(loop, 2000);
	polled_make(loop);
	assert_int_equal(vio_loop_step(loop, 5), 0);
	assert_int_equal(polled.polled, 0);
	polled.work = 1000;
	polled.late = 2;
	bell_ring(polled.bell);
	bell_ring(other);
	while (polled.rested < 3)
		assert_true(vio_loop_step(loop, 1) >= 0);
	assert_int_equal(polled.work, 0);
	assert_true(polled.polled >= 1002);
	engine_step_until_set(loop, &other->rung);
	before = polled.polled;
	start_ms = now_ms();
	/* The kernel may cut a wait short, but not always. */
	for (unsigned i = 0; i < 5 && now_ms() - start_ms < 29; i++)
		assert_int_equal(vio_loop_step(loop, 30), 0);
	assert_true(now_ms() - start_ms >= 29);
	assert_int_equal(polled.polled, before);
	bell_free(polled.bell);
	bell_free(other);
}

/* Events that come too seldom for polling end it, those that come often bring it back. */
static void polling_adapts(void **state)
{
	struct vio_loop *loop = engine_loop(state);
	unsigned before;

	vio_loop_poll(loop, 4000);
	polled_make(loop);
	for (unsigned i = 0; i < 16; i++) {
		usleep(5000);
		bell_ring(polled.bell);
		settle(loop);
		while (vio_loop_step(loop, 1))
			;
	}
	before = polled.polled;
	usleep(5000);
	bell_ring(polled.bell);
	settle(loop);
	while (vio_loop_step(loop, 1))
		;
	assert_in_range(polled.polled - before, 0, POLLED_FEW);
	/* While the loop is at it nobody has to ring. */
	for (unsigned i = 0; i < 3; i++) {
		bell_ring(polled.bell);
		while (polled.rested < 18 + i)
			assert_true(vio_loop_step(loop, 1) >= 0);
	}
	assert_true(polled.polled - before > POLLED_FEW);
	bell_free(polled.bell);
}

/* Every other look finds something, for ever. */
static bool polled_poll_busy(struct vio_watch *watch)
{
	(void)watch;
	return polled.polled++ % 2;
}

/* Without a time to wait there is no polling yet. */
static void ring_and_serve(struct vio_loop *loop)
{
	const unsigned before = polled.bell->rung;

	bell_ring(polled.bell);
	while (polled.bell->rung == before)
		assert_true(vio_loop_step(loop, 0) >= 0);
}

/* A driver that always has something keeps nobody inside for longer than asked, and is made to rest then. */
static void steps_are_bounded(void **state)
{
	struct vio_loop *loop = engine_loop(state);
	const int timeouts_ms[] = { 5, 0, -1 };

	vio_loop_poll(loop, 20000);
	polled_make(loop);
	polled.bell->watch.poll = polled_poll_busy;
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(timeouts_ms); i++) {
		const unsigned rested = polled.rested;

		ring_and_serve(loop);
		alarm(20);
		assert_true(vio_loop_step(loop, timeouts_ms[i]) >= 0);
		alarm(0);
		assert_int_equal(polled.rested - rested, timeouts_ms[i] ? 1 : 0);
	}
	bell_free(polled.bell);
}

static bool is_readable(int fd)
{
	struct pollfd wait = { .fd = fd, .events = POLLIN };

	return poll(&wait, 1, 0) == 1;
}

/* As long as anybody polled hasn't rested, the descriptor says so, where there is one. */
static void descriptor_tells_of_polling(void **state)
{
	struct vio_loop *loop = engine_loop(state);

	vio_loop_poll(loop, 20000);
	polled_make(loop);
	ring_and_serve(loop);
	polled.late = 2;
	assert_true(vio_loop_step(loop, 1) >= 0);
	assert_int_equal(polled.rested, 1);
	for (unsigned rested = 2; rested <= 3; rested++) {
		assert_int_equal(is_readable(vio_loop_fd(loop)), vio_loop_fd(loop) >= 0);
		assert_true(vio_loop_step(loop, 0) >= 0);
		assert_int_equal(polled.rested, rested);
	}
	settle(loop);
	assert_false(is_readable(vio_loop_fd(loop)));
	assert_int_equal(polled.work, 0);
	bell_free(polled.bell);
}

struct again {
	struct vio_task task;
	struct vio_loop *loop;
	unsigned left;
};

static void again_run(struct vio_task *task)
{
	struct again *again = VIO_CONTAINER_OF(task, struct again, task);

	if (again->left--)
		vio_loop_defer(again->loop, task);
}

/* Those who were told that they needn't call are looked after while tasks keep the loop busy. */
static void polls_beside_tasks(void **state)
{
	struct vio_loop *loop = engine_loop(state);
	struct again again = { .task.run = again_run, .loop = loop, .left = 100 };

	vio_loop_poll(loop, 20000);
	polled_make(loop);
	ring_and_serve(loop);
	polled.late = 1;
	assert_true(vio_loop_step(loop, 1) >= 0);
	assert_int_equal(polled.work, 1);
	vio_loop_defer(loop, &again.task);
	for (unsigned i = 0; i < 50; i++)
		assert_true(vio_loop_step(loop, 0) > 0);
	assert_true(again.task.queued);
	assert_int_equal(polled.work, 0);
	vio_loop_cancel(loop, &again.task);
	settle(loop);
	bell_free(polled.bell);
}

/* Off unless asked for. */
static void polls_only_when_asked(void **state)
{
	struct vio_loop *loop = engine_loop(state);

	polled_make(loop);
	bell_ring(polled.bell);
	settle(loop);
	assert_int_equal(polled.bell->rung, 1);
	assert_int_equal(polled.polled + polled.rested, 0);
	bell_free(polled.bell);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH_ENGINES(polls_after_an_event), ON_BOTH_ENGINES(polling_adapts),
		ON_BOTH_ENGINES(steps_are_bounded),    ON_BOTH_ENGINES(descriptor_tells_of_polling),
		ON_BOTH_ENGINES(polls_beside_tasks),   ON_BOTH_ENGINES(polls_only_when_asked),
	};

	return cmocka_run_group_tests_name("loop-poll", tests, NULL, NULL);
}
