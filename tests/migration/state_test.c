/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include "vhost_user/fixture.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * A front end that fetches a device's own state, and brings it to another one. The state goes through a pipe,
 * which is small, and its end is what says that all of it was there.
 */
#define STATEFUL  (USUAL_PROTOCOL | PROTOCOL(DEVICE_STATE))
#define NO_FD     VHOST_USER_DEVICE_STATE_NOFD_MASK
#define STATE_MAX 300000u

struct saved {
	uint8_t bytes[STATE_MAX];
	size_t length;
};

static uint64_t set_fd(struct frontend *fe, uint32_t direction, uint32_t phase, int fd)
{
	const struct vhost_user_device_state wire = { direction, phase };

	return frontend_ask_fds(fe, VHOST_USER_SET_DEVICE_STATE_FD, &wire, sizeof(wire), &fd, 1);
}

static uint64_t check(struct frontend *fe)
{
	return frontend_ask(fe, VHOST_USER_CHECK_DEVICE_STATE, NULL, 0);
}

/* Reads to the end, letting the back end run in between. */
static void read_all(struct frontend *fe, int fd, struct saved *saved)
{
	ssize_t got;

	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	saved->length = 0;
	for (;;) {
		got = read(fd, saved->bytes + saved->length, 1000);
		if (!got)
			return;
		if (got > 0)
			saved->length += (size_t)got;
		assert_true(saved->length + 1000 <= STATE_MAX);
		bed_turn(fe->bed);
	}
}

static void save(struct frontend *fe, struct saved *saved)
{
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(set_fd(fe, VHOST_USER_DEVICE_STATE_SAVE, 0, fds[1]), NO_FD);
	close(fds[1]);
	read_all(fe, fds[0], saved);
	close(fds[0]);
	assert_int_equal(check(fe), 0);
	/* Once. */
	assert_int_not_equal(check(fe), 0);
}

/* What the back end says of a state. */
static uint64_t load(struct frontend *fe, const void *bytes, size_t length)
{
	size_t done = 0;
	ssize_t put;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(set_fd(fe, VHOST_USER_DEVICE_STATE_LOAD, 0, fds[1]), NO_FD);
	close(fds[1]);
	while (done < length) {
		put = send(fds[0], (const uint8_t *)bytes + done, length - done, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (put < 0 && done > ((size_t)1 << 20))
			break; /* it has had enough */
		done += put > 0 ? (size_t)put : 0;
		bed_turn(fe->bed);
	}
	close(fds[0]);
	return check(fe);
}

static void set_config(struct frontend *fe, uint8_t value)
{
	memset(fe->bed->echo->config, value, BED_CONFIG_BYTES);
}

/* A device with a queue that has stopped, and its state. */
static void have_saved(struct frontend *fe, uint8_t value, uint32_t ballast, struct saved *saved)
{
	frontend_start(fe, USUAL_FEATURES, STATEFUL);
	frontend_roundtrip(fe, 0, 1);
	set_config(fe, value);
	fe->bed->echo->ballast = ballast;
	frontend_queue_stop(fe, 0);
	save(fe, saved);
}

static void hang_up(struct frontend *fe)
{
	frontend_hang_up(fe);
	fe->bed->closed = 0;
	fe->bed->echo->ballast = 0;
	set_config(fe, 0);
}

/* Before features are negotiated, as QEMU does, and after. Small ones, and such as fill a pipe twice. */
static void goes_from_one_to_the_other(void **state)
{
	static const uint32_t ballasts[] = { 0, 1, 70000, 200000 };
	static struct saved saved;
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;

	for (unsigned i = 0; i < 2 * VIO_ARRAY_SIZE(ballasts); i++) {
		have_saved(fe, 42, ballasts[i / 2], &saved);
		hang_up(fe);
		frontend_connect(fe);
		if (i & 1) {
			frontend_negotiate(fe, USUAL_FEATURES, STATEFUL);
			assert_int_equal(load(fe, saved.bytes, saved.length), 0);
		} else {
			const uint64_t protocol = STATEFUL, features = USUAL_FEATURES;

			frontend_send(fe, VHOST_USER_SET_PROTOCOL_FEATURES, &protocol, sizeof(protocol));
			assert_int_equal(load(fe, saved.bytes, saved.length), 0);
			assert_int_equal(f->bed.dev.status, 0);
			frontend_send(fe, VHOST_USER_SET_FEATURES, &features, sizeof(features));
		}
		assert_int_equal(f->bed.echo->config[BED_CONFIG_BYTES - 1], 42);
		assert_int_equal(frontend_share_memory(fe), 0);
		frontend_queue_start(fe, 0, 1);
		for (unsigned round = 0; round < 5; round++)
			frontend_roundtrip(fe, 0, (uint8_t)round);
		hang_up(fe);
	}
}

/* The source goes on where the other place didn't want it. */
static void goes_on_at_home(void **state)
{
	static struct saved saved;
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;

	have_saved(fe, 42, 10, &saved);
	frontend_queue_start(fe, 0, 1);
	frontend_roundtrip(fe, 0, 3);
	hang_up(fe);
}

/* No driver has been there yet: there is nothing to say, and nothing comes of it. */
static void before_there_is_a_driver(void **state)
{
	static struct saved saved;
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;
	const uint64_t protocol = STATEFUL;

	for (unsigned negotiated = 0; negotiated < 2; negotiated++) {
		frontend_connect(fe);
		frontend_send(fe, VHOST_USER_SET_PROTOCOL_FEATURES, &protocol, sizeof(protocol));
		save(fe, &saved);
		hang_up(fe);
		frontend_connect(fe);
		if (negotiated)
			frontend_negotiate(fe, USUAL_FEATURES, STATEFUL);
		else
			frontend_send(fe, VHOST_USER_SET_PROTOCOL_FEATURES, &protocol, sizeof(protocol));
		set_config(fe, 7);
		assert_int_equal(load(fe, saved.bytes, saved.length), 0);
		assert_int_equal(f->bed.echo->config[0], 7);
		hang_up(fe);
	}
}

/* QEMU takes the status back when a guest stands still, and asks for the state then. */
static void after_the_status_was_taken_back(void **state)
{
	static struct saved saved;
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;
	const uint64_t protocol = STATEFUL | PROTOCOL(STATUS), features = USUAL_FEATURES;
	const uint64_t negotiated = 11, zero = 0;

	frontend_connect(fe);
	frontend_negotiate(fe, features, protocol);
	assert_int_equal(frontend_ask(fe, VHOST_USER_SET_STATUS, &negotiated, 8), 0);
	set_config(fe, 42);
	assert_int_equal(frontend_ask(fe, VHOST_USER_SET_STATUS, &zero, 8), 0);
	set_config(fe, 0);
	save(fe, &saved);
	save(fe, &saved); /* as often as somebody asks */
	/* Where it came from it is over with the next driver. */
	assert_int_equal(frontend_ask(fe, VHOST_USER_SET_FEATURES, &features, 8), 0);
	assert_int_equal(frontend_ask(fe, VHOST_USER_SET_STATUS, &negotiated, 8), 0);
	assert_int_equal(f->bed.echo->config[0], 0);
	hang_up(fe);
	frontend_connect(fe);
	frontend_negotiate(fe, features, protocol);
	assert_int_equal(load(fe, saved.bytes, saved.length), 0);
	assert_int_equal(frontend_ask(fe, VHOST_USER_SET_STATUS, &negotiated, 8), 0);
	assert_int_equal(f->bed.echo->config[0], 42);
	hang_up(fe);
}

/* hostile: G1 G10 G16, and what is wrong is said. Nothing of it reaches the device. */
static void states_that_are_damaged(void **state)
{
	static struct saved saved;
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;
	const uint64_t protocol = STATEFUL;

	have_saved(fe, 42, 0, &saved);
	hang_up(fe);
	for (size_t i = 0; i < saved.length; i++) {
		frontend_connect(fe);
		frontend_send(fe, VHOST_USER_SET_PROTOCOL_FEATURES, &protocol, sizeof(protocol));
		f->bed.lines = 0;
		assert_int_not_equal(load(fe, saved.bytes, i), 0);
		saved.bytes[i] ^= 0x10;
		assert_int_not_equal(load(fe, saved.bytes, saved.length), 0);
		saved.bytes[i] ^= 0x10;
		assert_int_equal(f->bed.lines, 2);
		assert_int_equal(f->bed.echo->config[0], 0);
		hang_up(fe);
	}
	saved.bytes[saved.length] = 0;
	frontend_connect(fe);
	frontend_negotiate(fe, USUAL_FEATURES, STATEFUL);
	assert_int_not_equal(load(fe, saved.bytes, saved.length + 1), 0);
	assert_int_equal(load(fe, saved.bytes, saved.length), 0);
}

/* What the type itself refuses, before and after it has features; and another type's. */
static void states_that_are_refused(void **state)
{
	static struct saved saved;
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;
	const uint64_t protocol = STATEFUL;

	have_saved(fe, ECHO_UNLOADABLE, 0, &saved);
	hang_up(fe);
	frontend_connect(fe);
	frontend_send(fe, VHOST_USER_SET_PROTOCOL_FEATURES, &protocol, sizeof(protocol));
	f->bed.lines = 0;
	assert_int_not_equal(load(fe, saved.bytes, saved.length), 0);
	assert_int_not_equal(f->bed.lines, 0);
	assert_non_null(strstr(f->bed.line, "first byte"));
	frontend_negotiate(fe, USUAL_FEATURES, STATEFUL);
	assert_int_not_equal(load(fe, saved.bytes, saved.length), 0);
	hang_up(fe);
	/* Other features than it had. */
	have_saved(fe, 1, 0, &saved);
	hang_up(fe);
	frontend_connect(fe);
	frontend_negotiate(fe, USUAL_FEATURES | FEATURE(VIRTIO_F_EVENT_IDX), STATEFUL);
	assert_int_not_equal(load(fe, saved.bytes, saved.length), 0);
	assert_non_null(strstr(f->bed.line, "features"));
}

/* A state that was judged with features that the driver then didn't have isn't the device's. */
static void features_that_come_otherwise(void **state)
{
	static struct saved saved;
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;
	const uint64_t protocol = STATEFUL, features = USUAL_FEATURES | FEATURE(VIRTIO_F_EVENT_IDX);

	have_saved(fe, 42, 0, &saved);
	hang_up(fe);
	frontend_connect(fe);
	frontend_send(fe, VHOST_USER_SET_PROTOCOL_FEATURES, &protocol, sizeof(protocol));
	assert_int_equal(load(fe, saved.bytes, saved.length), 0);
	assert_int_not_equal(frontend_ask(fe, VHOST_USER_SET_FEATURES, &features, sizeof(features)), 0);
	assert_int_equal(f->bed.echo->loads, 1); /* when it was judged */
}

/* hostile: C33 */
static void channels_that_cannot_be(void **state)
{
	struct frontend *fe = fixture_ready(state);
	struct fixture *f = *state;
	int fds[2], null = open("/dev/null", O_RDWR | O_CLOEXEC);

	frontend_hang_up(fe);
	f->bed.closed = 0;
	frontend_start(fe, USUAL_FEATURES, STATEFUL);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	/* While a queue runs. */
	assert_int_equal(set_fd(fe, VHOST_USER_DEVICE_STATE_SAVE, 0, fds[1]) & 0xff, 1);
	frontend_queue_stop(fe, 0);
	assert_int_equal(set_fd(fe, VHOST_USER_DEVICE_STATE_SAVE, 1, fds[1]) & 0xff, 1);
	assert_int_equal(set_fd(fe, 2, 0, fds[1]) & 0xff, 1);
	assert_int_equal(set_fd(fe, UINT32_MAX, UINT32_MAX, fds[1]) & 0xff, 1);
	/* The wrong end; no channel at all. */
	assert_int_equal(set_fd(fe, VHOST_USER_DEVICE_STATE_SAVE, 0, fds[0]) & 0xff, 1);
	assert_int_equal(set_fd(fe, VHOST_USER_DEVICE_STATE_LOAD, 0, fds[1]) & 0xff, 1);
	assert_int_equal(set_fd(fe, VHOST_USER_DEVICE_STATE_LOAD, 0, fe->memory_fd) & 0xff, 1);
	assert_int_equal(set_fd(fe, VHOST_USER_DEVICE_STATE_SAVE, 0, null) & 0xff, 1);
	/* Asked before there was anything, before its end, and twice. */
	assert_int_not_equal(check(fe), 0);
	assert_int_equal(set_fd(fe, VHOST_USER_DEVICE_STATE_LOAD, 0, fds[0]), NO_FD);
	assert_int_equal(write(fds[1], "x", 1), 1);
	assert_int_not_equal(check(fe), 0);
	assert_int_not_equal(check(fe), 0);
	close(fds[0]);
	close(fds[1]);
	close(null);
	frontend_queue_start(fe, 0, 0);
	frontend_roundtrip(fe, 0, 1);
}

/* hostile: C33; the other end is closed early, or nobody reads it, or a transfer begins anew. */
static void channels_that_end_early(void **state)
{
	static struct saved saved;
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;
	int fds[2];

	have_saved(fe, 42, 200000, &saved);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
		assert_int_equal(set_fd(fe, VHOST_USER_DEVICE_STATE_SAVE, 0, fds[1]), NO_FD);
		close(fds[1]);
		if (i & 1)
			close(fds[0]);
		bed_settle(fe->bed);
		if (i & 2)
			assert_int_not_equal(check(fe), 0);
		if (!(i & 1))
			close(fds[0]);
		bed_settle(fe->bed);
	}
	save(fe, &saved);
	/* Hung up in the middle of one: the fixture sees that nothing is left. */
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(set_fd(fe, VHOST_USER_DEVICE_STATE_SAVE, 0, fds[1]), NO_FD);
	close(fds[1]);
	hang_up(fe);
	close(fds[0]);
}

/* hostile: C33 */
static void a_stream_without_end(void **state)
{
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;
	const size_t length = (size_t)2 << 20;
	void *bytes = calloc(1, length);

	assert_non_null(bytes);
	frontend_connect(fe);
	frontend_negotiate(fe, USUAL_FEATURES, STATEFUL);
	assert_int_not_equal(load(fe, bytes, length), 0);
	assert_non_null(strstr(f->bed.line, "length"));
	free(bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_CASE(goes_from_one_to_the_other),   FIXTURE_CASE(goes_on_at_home),
		FIXTURE_CASE(goes_from_one_to_the_other),   FIXTURE_CASE(before_there_is_a_driver),
		FIXTURE_CASE(goes_from_one_to_the_other),   FIXTURE_CASE(after_the_status_was_taken_back),
		FIXTURE_CASE(states_that_are_damaged),      FIXTURE_CASE(states_that_are_refused),
		FIXTURE_CASE(features_that_come_otherwise), FIXTURE_CASE(channels_that_cannot_be),
		FIXTURE_CASE(channels_that_end_early),      FIXTURE_CASE(a_stream_without_end),
	};

	return cmocka_run_group_tests_name("migration, state", tests, NULL, NULL);
}
