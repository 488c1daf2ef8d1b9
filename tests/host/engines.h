/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TEST_HOST_ENGINES_H
#define TEST_HOST_ENGINES_H

#include "lib/test.h"

#include <vireo/loop.h>

/*
 * A test for both engines of the loop: *state is a loop that stands on one or the
 * other, or on io_uring for a single thread. Where the system refuses io_uring its
 * part is skipped.
 */
/* clang-format off */
#define ON_BOTH_ENGINES(test) \
	{ #test ": io_uring, one thread", test, engine_setup_one_thread, engine_teardown, NULL }, \
	ON_ANY_THREAD(test)
#define ON_ANY_THREAD(test) \
	{ #test ": io_uring", test, engine_setup_uring, engine_teardown, NULL }, \
	{ #test ": epoll", test, engine_setup_epoll, engine_teardown, NULL }
/* clang-format on */

int engine_setup_one_thread(void **state);
int engine_setup_uring(void **state);
int engine_setup_epoll(void **state);
/* Fails the test when a descriptor is open that wasn't at setup. */
int engine_teardown(void **state);

/* The loop; skips the test when there is none. */
struct vio_loop *engine_loop(void **state);

/* Steps until `done(context)` is true; fails the test when that takes more than 10 s. */
void engine_step_until(struct vio_loop *loop, bool (*done)(void *context), void *context);
/* Steps until *flag is not 0. */
void engine_step_until_set(struct vio_loop *loop, unsigned *flag);

#endif
