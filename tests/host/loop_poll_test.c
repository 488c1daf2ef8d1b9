/* SPDX-License-Identifier: BSD-3-Clause */
#include "host/engines.h"
#include "host/parts.h"

/* Busy polling: when it begins, what it leaves others, and that it ends. */

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
		ON_BOTH_ENGINES(polls_after_an_event),
		ON_BOTH_ENGINES(polling_adapts),
		ON_BOTH_ENGINES(polls_only_when_asked),
	};

	return cmocka_run_group_tests_name("loop-poll", tests, NULL, NULL);
}
