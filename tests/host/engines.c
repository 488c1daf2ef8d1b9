/* SPDX-License-Identifier: BSD-3-Clause */
#include "host/engines.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/leaks.h"

#define PATIENCE_S 10

struct fixture {
	struct vio_loop *loop;
	bool absent;
	unsigned descriptors; /* open before the loop was made */
};

static int setup(void **state, unsigned flags, const char *name)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	int error = 1;

	assert_non_null(fixture);
	fixture->descriptors = leaks_descriptors();
	fixture->loop = vio_loop_create(flags, &error);
	assert_non_null(fixture->loop);
	assert_int_equal(error, 0);
	fixture->absent = strcmp(vio_loop_engine(fixture->loop), name) != 0;
	*state = fixture;
	return 0;
}

int engine_setup_uring(void **state)
{
	return setup(state, 0, "io_uring");
}

int engine_setup_one_thread(void **state)
{
	return setup(state, VIO_LOOP_ONE_THREAD, "io_uring");
}

int engine_setup_epoll(void **state)
{
	return setup(state, VIO_LOOP_NO_URING, "epoll");
}

int engine_teardown(void **state)
{
	struct fixture *fixture = *state;
	unsigned descriptors = fixture->descriptors;

	vio_loop_destroy(fixture->loop);
	free(fixture);
	assert_int_equal(leaks_descriptors(), descriptors);
	return 0;
}

struct vio_loop *engine_loop(void **state)
{
	struct fixture *fixture = *state;

	if (fixture->absent) {
		print_message("io_uring is absent\n");
		skip();
	}
	return fixture->loop;
}

void engine_step_until(struct vio_loop *loop, bool (*done)(void *context), void *context)
{
	struct timespec now;
	time_t end;

	clock_gettime(CLOCK_MONOTONIC, &now);
	end = now.tv_sec + PATIENCE_S;
	while (!done(context)) {
		assert_true(vio_loop_step(loop, 100) >= 0);
		clock_gettime(CLOCK_MONOTONIC, &now);
		assert_true(now.tv_sec <= end);
	}
}

static bool is_set(void *context)
{
	return *(unsigned *)context != 0;
}

void engine_step_until_set(struct vio_loop *loop, unsigned *flag)
{
	engine_step_until(loop, is_set, flag);
}
