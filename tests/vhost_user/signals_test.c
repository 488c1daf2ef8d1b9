/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include "vhost_user/fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

/*
 * Descriptors by which the two sides wake each other, as a front end that means
 * ill may give them: it shares their open file and goes on changing it. Nothing may block,
 * spin, raise SIGPIPE (which would end this program) or get lost.
 */
static int setup(void **state)
{
	fixture_setup(state);
	fixture_running(state);
	return 0;
}

static uint64_t give(struct frontend *fe, uint32_t request, uint64_t word, int fd)
{
	return frontend_ask_fds(fe, request, &word, sizeof(word), &fd, fd >= 0);
}

static void blocking(int fd)
{
	assert_int_equal(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK), 0);
}

/* Answered, with or without being told. */
static void expect_answer(struct frontend *fe, uint8_t value)
{
	uint32_t written;
	uint8_t *at;

	bed_settle(fe->bed);
	at = vio_drvq_get(&fe->queues[0].drvq, &written);
	assert_non_null(at);
	assert_int_equal(at[4], (uint8_t)(value + 1));
}

/* hostile: C12; for each role what can't play it is refused, and what was there stays. */
static void what_is_no_signal(void **state)
{
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;
	int pipes[2], sockets[2], bad[16], count = 0;
	sigset_t none;

	sigemptyset(&none);
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
	bad[count++] = open("/", O_RDONLY | O_DIRECTORY);
	bad[count++] = open("/dev/null", O_RDWR);
	bad[count++] = open("/dev/zero", O_RDWR);
	bad[count++] = open("/proc/self/exe", O_RDONLY);
	bad[count++] = open("/proc/self/exe", O_PATH);
	bad[count++] = memfd_create("memory", 0);
	bad[count++] = epoll_create1(0);
	bad[count++] = signalfd(-1, &none, 0);
	bad[count++] = timerfd_create(CLOCK_MONOTONIC, 0);
	bad[count++] = inotify_init1(0);
	for (int i = 0; i < count; i++) {
		assert_true(bad[i] >= 0);
		for (uint32_t request = VHOST_USER_SET_VRING_KICK; request <= VHOST_USER_SET_VRING_ERR;
		     request++)
			assert_int_not_equal(give(fe, request, 0, bad[i]), 0);
		assert_int_not_equal(frontend_ask_fds(fe, VHOST_USER_SET_BACKEND_REQ_FD, NULL, 0, &bad[i], 1),
				     0);
		frontend_roundtrip(fe, 0, (uint8_t)i);
	}
	/* A socket has no count to take, but what User-Mode Linux is called by is one. */
	assert_int_not_equal(give(fe, VHOST_USER_SET_VRING_KICK, 0, sockets[0]), 0);
	assert_int_equal(give(fe, VHOST_USER_SET_VRING_ERR, 0, sockets[0]), 0);
	/* The wrong ends. */
	assert_int_not_equal(give(fe, VHOST_USER_SET_VRING_KICK, 0, pipes[1]), 0);
	assert_int_not_equal(give(fe, VHOST_USER_SET_VRING_CALL, 0, pipes[0]), 0);
	assert_int_not_equal(give(fe, VHOST_USER_SET_VRING_ERR, 0, pipes[0]), 0);
	frontend_roundtrip(fe, 0, 100);
	for (int i = 0; i < count; i++)
		close(bad[i]);
	close(pipes[0]);
	close(pipes[1]);
	close(sockets[0]);
	close(sockets[1]);
}

/* hostile: C22 */
static void nofd_and_a_descriptor(void **state)
{
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;

	for (unsigned i = 0; i < 2000; i++) {
		const uint32_t request = VHOST_USER_SET_VRING_KICK + i % 3;

		assert_int_not_equal(give(fe, request, VHOST_USER_VRING_NOFD_MASK, fe->queues[0].kick), 0);
		assert_int_not_equal(give(fe, request, 0, -1), 0);
	}
	/* Polling isn't supported; the queue goes on by its old descriptor. */
	assert_int_not_equal(give(fe, VHOST_USER_SET_VRING_KICK, VHOST_USER_VRING_NOFD_MASK, -1), 0);
	frontend_roundtrip(fe, 0, 2);
	/* A driver that polls has no call descriptor; one that comes later hears of what it missed. */
	assert_int_equal(give(fe, VHOST_USER_SET_VRING_CALL, VHOST_USER_VRING_NOFD_MASK, -1), 0);
	assert_int_equal(give(fe, VHOST_USER_SET_VRING_ERR, VHOST_USER_VRING_NOFD_MASK, -1), 0);
	frontend_offer(fe, 0, 3);
	expect_answer(fe, 3);
	assert_int_equal(frontend_drain(fe->queues[0].call), 0);
	assert_int_equal(frontend_queue_call(fe, 0), 0);
	assert_int_equal(frontend_drain(fe->queues[0].call), 1);
	frontend_roundtrip(fe, 0, 4);
}

/* hostile: C23 H22 */
static void counters_at_their_maximum(void **state)
{
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;
	const uint64_t most = UINT64_MAX - 1;

	assert_int_equal(write(fe->queues[0].call, &most, sizeof(most)), sizeof(most));
	assert_int_equal(write(fe->queues[0].kick, &most, sizeof(most)), sizeof(most));
	bed_settle(&f->bed);
	frontend_offer(fe, 0, 2);
	expect_answer(fe, 2);
	assert_int_equal(frontend_drain(fe->queues[0].call), most);
	frontend_roundtrip(fe, 0, 3);
}

/* hostile: C23; also when it became so afterwards. */
static void a_full_counter_that_blocks(void **state)
{
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;
	const uint64_t most = UINT64_MAX - 1;
	int fd = eventfd(0, 0);

	for (unsigned round = 0; round < 2; round++) {
		assert_int_equal(give(fe, VHOST_USER_SET_VRING_CALL, 0, fd), 0);
		assert_int_equal(give(fe, VHOST_USER_SET_VRING_ERR, 0, fd), 0);
		/* Whose it is decides on its flags. */
		assert_int_equal(!!(fcntl(fd, F_GETFL) & O_NONBLOCK), round);
		blocking(fd);
		assert_int_equal(write(fd, &most, sizeof(most)), sizeof(most));
		frontend_offer(fe, 0, 2);
		expect_answer(fe, 2);
		assert_int_equal(frontend_drain(fd), most);
		frontend_offer(fe, 0, 3);
		expect_answer(fe, 3);
		assert_int_equal(frontend_drain(fd), 1);
		assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	}
	close(fd);
}

/* hostile: C23 H22 */
static void a_full_pipe_that_blocks(void **state)
{
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;
	uint8_t bytes[4096] = { 0 };
	int pipes[2], pages = 0;

	assert_int_equal(pipe2(pipes, O_NONBLOCK), 0);
	while (write(pipes[1], bytes, sizeof(bytes)) > 0)
		pages++;
	assert_true(pages > 0);
	blocking(pipes[1]);
	assert_int_equal(give(fe, VHOST_USER_SET_VRING_CALL, 0, pipes[1]), 0);
	assert_int_equal(frontend_ask_fds(fe, VHOST_USER_SET_BACKEND_REQ_FD, NULL, 0, &pipes[1], 1), 0);
	vio_device_config_changed(&f->bed.dev);
	frontend_offer(fe, 0, 2);
	expect_answer(fe, 2);
	assert_int_equal(frontend_queue_call(fe, 0), 0);
	frontend_roundtrip(fe, 0, 3);
	close(pipes[0]);
	close(pipes[1]);
}

/* hostile: C40; what User-Mode Linux leaves behind when it dies. */
static void pipes_and_sockets_without_a_reader(void **state)
{
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;
	int pipes[2], sockets[2];

	for (unsigned round = 0; round < 2; round++) {
		assert_int_equal(pipe(pipes), 0);
		if (round)
			assert_int_equal(fcntl(pipes[1], F_SETFL, O_NONBLOCK), 0);
		assert_int_equal(give(fe, VHOST_USER_SET_VRING_CALL, 0, pipes[1]), 0);
		assert_int_equal(frontend_ask_fds(fe, VHOST_USER_SET_BACKEND_REQ_FD, NULL, 0, &pipes[1], 1),
				 0);
		close(pipes[0]);
		close(pipes[1]);
		vio_device_config_changed(&f->bed.dev);
		vio_device_config_changed(&f->bed.dev);
		frontend_offer(fe, 0, 2);
		expect_answer(fe, 2);

		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
		assert_int_equal(frontend_ask_fds(fe, VHOST_USER_SET_BACKEND_REQ_FD, NULL, 0, &sockets[1], 1),
				 0);
		close(sockets[0]);
		close(sockets[1]);
		vio_device_config_changed(&f->bed.dev);
		vio_device_config_changed(&f->bed.dev);
	}
	assert_int_equal(frontend_queue_call(fe, 0), 0);
	frontend_roundtrip(fe, 0, 3);
}

/* Nobody reads what we tell: full is full, and nothing is kept. hostile: D11's mirror */
static void a_storm_of_config_changes(void **state)
{
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;
	struct vhost_user_header header;
	int sockets[2];
	unsigned told;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
	assert_int_equal(frontend_ask_fds(fe, VHOST_USER_SET_BACKEND_REQ_FD, NULL, 0, &sockets[1], 1), 0);
	close(sockets[1]);
	for (unsigned i = 0; i < 20000; i++)
		vio_device_config_changed(&f->bed.dev);
	for (told = 0; recv(sockets[0], &header, sizeof(header), MSG_DONTWAIT) == sizeof(header); told++)
		assert_int_equal(header.request, VHOST_USER_BACKEND_CONFIG_CHANGE_MSG);
	assert_true(told > 0 && told < 20000);
	vio_device_config_changed(&f->bed.dev);
	assert_int_equal(recv(sockets[0], &header, sizeof(header), MSG_DONTWAIT), sizeof(header));
	frontend_roundtrip(fe, 0, 2);
	close(sockets[0]);
}

/* Without CONFIG there is nothing to tell by that message. */
static void no_config_change_without_config(void **state)
{
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;
	struct vhost_user_header header;
	int sockets[2];

	frontend_hang_up(fe);
	f->bed.closed = 0;
	frontend_start(fe, USUAL_FEATURES, PROTOCOL(REPLY_ACK) | PROTOCOL(BACKEND_REQ));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
	assert_int_equal(frontend_ask_fds(fe, VHOST_USER_SET_BACKEND_REQ_FD, NULL, 0, &sockets[1], 1), 0);
	close(sockets[1]);
	vio_device_config_changed(&f->bed.dev);
	assert_int_equal(recv(sockets[0], &header, sizeof(header), MSG_DONTWAIT), -1);
	close(sockets[0]);
}

/* hostile: C32 */
static void another_channel_takes_the_first_ones_place(void **state)
{
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;
	struct vhost_user_header header;
	int first[2], second[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, first), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, second), 0);
	assert_int_equal(frontend_ask_fds(fe, VHOST_USER_SET_BACKEND_REQ_FD, NULL, 0, &first[1], 1), 0);
	assert_int_equal(frontend_ask_fds(fe, VHOST_USER_SET_BACKEND_REQ_FD, NULL, 0, &second[1], 1), 0);
	close(first[1]);
	close(second[1]);
	assert_int_equal(recv(first[0], &header, sizeof(header), MSG_DONTWAIT), 0);
	vio_device_config_changed(&f->bed.dev);
	assert_int_equal(recv(second[0], &header, sizeof(header), MSG_DONTWAIT), sizeof(header));
	close(first[0]);
	close(second[0]);
}

/* hostile: C12; both queues see it readable, and whoever comes second must not wait for ever. */
static void one_descriptor_for_two_queues(void **state)
{
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;
	const uint64_t one = 1;
	int fd = eventfd(0, 0);

	frontend_queue_make(fe, 1, USUAL_FEATURES);
	frontend_queue_start(fe, 1, 0);
	assert_int_equal(give(fe, VHOST_USER_SET_VRING_KICK, 0, fd), 0);
	assert_int_equal(give(fe, VHOST_USER_SET_VRING_KICK, 1, fd), 0);
	assert_int_equal(give(fe, VHOST_USER_SET_VRING_CALL, 1, fd), 0);
	for (unsigned i = 0; i < 10; i++) {
		blocking(fd);
		assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
		bed_settle(&f->bed);
	}
	close(fd);
	assert_int_equal(frontend_queue_kick(fe, 0), 0);
	frontend_roundtrip(fe, 0, 2);
}

/* A pipe as kick descriptor works; at its end it falls silent, and the queue can be given another. */
static void kicks_by_a_pipe_that_ends(void **state)
{
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;
	const uint64_t one = 1;
	int pipes[2];
	unsigned served;

	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(give(fe, VHOST_USER_SET_VRING_KICK, 0, pipes[0]), 0);
	close(pipes[0]);
	served = f->bed.echo->served[0];
	frontend_offer(fe, 0, 2);
	bed_settle(&f->bed);
	assert_int_equal(f->bed.echo->served[0], served);
	assert_int_equal(write(pipes[1], &one, sizeof(one)), sizeof(one));
	assert_true(frontend_answered(fe, 0, 2));
	assert_int_equal(write(pipes[1], &one, 3), 3);
	bed_settle(&f->bed);
	close(pipes[1]);
	bed_settle(&f->bed); /* fails when it spins */
	frontend_drain(fe->queues[0].kick);
	assert_int_equal(frontend_queue_kick(fe, 0), 0);
	frontend_roundtrip(fe, 0, 3);
}

/* A kick that went to the new descriptor before it was given isn't lost. */
static void kicks_before_the_descriptor(void **state)
{
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;

	assert_int_equal(frontend_queue_enable(fe, 0, 0), 0);
	frontend_offer(fe, 0, 2);
	frontend_drain(fe->queues[0].kick);
	assert_int_equal(frontend_queue_enable(fe, 0, 1), 0);
	assert_true(frontend_answered(fe, 0, 2));
	frontend_offer(fe, 0, 3);
	frontend_drain(fe->queues[0].kick);
	assert_int_equal(frontend_queue_kick(fe, 0), 0);
	assert_true(frontend_answered(fe, 0, 3));
}

/* hostile: C20 C22, over and over: descriptors are counted at the end. */
static void descriptors_over_and_over(void **state)
{
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;
	const unsigned fds = leaks_descriptors();

	for (unsigned i = 0; i < 3000; i++) {
		assert_int_equal(frontend_queue_kick(fe, 0), 0);
		assert_int_equal(frontend_queue_call(fe, 0), 0);
		assert_int_equal(frontend_queue_err(fe, 0), 0);
	}
	assert_int_equal(leaks_descriptors(), fds);
	frontend_roundtrip(fe, 0, 2);
}

/* What a device didn't get to in one kick it gets to in a later turn, unless the queue is gone by then. */
static void more_than_one_kick_allows(void **state)
{
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;

	frontend_offer(fe, 0, 2);
	frontend_drain(fe->queues[0].kick);
	f->bed.dev.events->kick_again(f->bed.dev.events_context, 0);
	f->bed.dev.events->kick_again(f->bed.dev.events_context, 0);
	assert_non_null(f->bed.tasks);
	assert_true(frontend_answered(fe, 0, 2));
	/* The queue may be gone before the task runs. */
	f->bed.dev.events->kick_again(f->bed.dev.events_context, 0);
	frontend_queue_stop(fe, 0);
	f->bed.dev.events->kick_again(f->bed.dev.events_context, 0);
	frontend_hang_up(fe);
	f->bed.closed = 0;
	frontend_start(fe, USUAL_FEATURES, USUAL_PROTOCOL);
	frontend_roundtrip(fe, 0, 2);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(what_is_no_signal),
		CASE(nofd_and_a_descriptor),
		CASE(counters_at_their_maximum),
		CASE(a_full_counter_that_blocks),
		CASE(a_full_pipe_that_blocks),
		CASE(pipes_and_sockets_without_a_reader),
		CASE(a_storm_of_config_changes),
		CASE(no_config_change_without_config),
		CASE(another_channel_takes_the_first_ones_place),
		CASE(one_descriptor_for_two_queues),
		CASE(kicks_by_a_pipe_that_ends),
		CASE(kicks_before_the_descriptor),
		CASE(descriptors_over_and_over),
		CASE(more_than_one_kick_allows),
	};

	return cmocka_run_group_tests_name("vhost-user-signals", tests, NULL, NULL);
}
