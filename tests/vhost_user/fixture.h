/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TEST_VHOST_USER_FIXTURE_H
#define TEST_VHOST_USER_FIXTURE_H

#include "vhost_user/frontend.h"

/* A back end and a front end for each case, not connected yet. */
struct fixture {
	struct bed bed;
	struct frontend fe;
};

int fixture_setup(void **state);
/* After every case nothing of its connection is left, and the next front end is served. */
int fixture_teardown(void **state);

#define FIXTURE_CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

/* A connection with everything but queues. */
struct frontend *fixture_ready(void **state);
/* One with a queue that runs. */
struct frontend *fixture_running(void **state);

/* The back end ended the connection for a breach of the protocol, once, and said why. */
void fixture_expect_dropped(struct frontend *fe);

#endif
