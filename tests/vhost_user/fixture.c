/* SPDX-License-Identifier: BSD-3-Clause */
#include "vhost_user/fixture.h"

#include <unistd.h>

int fixture_setup(void **state)
{
	static struct fixture f;

	bed_make(&f.bed);
	frontend_make(&f.fe, &f.bed);
	*state = &f;
	return 0;
}

int fixture_teardown(void **state)
{
	struct fixture *f = *state;

	if (f->fe.socket >= 0)
		frontend_hang_up(&f->fe);
	bed_check_idle(&f->bed, frontend_fds(&f->fe));
	f->bed.closed = 0;
	f->bed.echo->hold = false;
	frontend_place_queues(&f->fe);
	frontend_start(&f->fe, USUAL_FEATURES, USUAL_PROTOCOL);
	frontend_roundtrip(&f->fe, 0, 77);
	frontend_hang_up(&f->fe);
	bed_check_idle(&f->bed, frontend_fds(&f->fe));
	frontend_free(&f->fe);
	bed_free(&f->bed);
	return 0;
}

struct frontend *fixture_ready(void **state)
{
	struct fixture *f = *state;

	frontend_connect(&f->fe);
	frontend_negotiate(&f->fe, USUAL_FEATURES, USUAL_PROTOCOL);
	assert_int_equal(frontend_share_memory(&f->fe), 0);
	return &f->fe;
}

struct frontend *fixture_running(void **state)
{
	struct fixture *f = *state;

	frontend_start(&f->fe, USUAL_FEATURES, USUAL_PROTOCOL);
	frontend_roundtrip(&f->fe, 0, 1);
	return &f->fe;
}

void fixture_expect_dropped(struct frontend *fe)
{
	bed_settle(fe->bed);
	assert_int_equal(fe->bed->closed, 1);
	assert_int_equal(fe->bed->reason, -VIO_EPROTO);
	assert_int_not_equal(fe->bed->lines, 0);
	close(fe->socket);
	fe->socket = -1;
	bed_check_idle(fe->bed, frontend_fds(fe));
	fe->bed->closed = 0;
}
