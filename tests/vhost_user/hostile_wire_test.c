/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include "vhost_user/fixture.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Bytes, sizes and descriptors that no message has, and front ends that come and go. */

static void send_header(struct frontend *fe, uint32_t request, uint32_t flags, uint32_t size)
{
	const struct frontend_message message = { request, flags, size, NULL, 0, NULL, 0 };

	frontend_send_raw(fe, &message);
}

/* hostile: C3 */
static void stops_in_the_middle(void **state)
{
	struct fixture *f = *state;
	const uint8_t bytes[20] = { VHOST_USER_SET_FEATURES, 0, 0, 0, 1, 0, 0, 0, 8 };

	for (size_t length = 1; length < sizeof(bytes); length++) {
		frontend_connect(&f->fe);
		assert_int_equal(send(f->fe.socket, bytes, length, 0), length);
		bed_settle(&f->bed);
		assert_int_equal(f->bed.closed, 0);
		frontend_hang_up(&f->fe);
		assert_int_equal(f->bed.closed, 1);
		assert_int_equal(f->bed.reason, -VIO_EHANGUP);
		f->bed.closed = 0;
	}
}

/* hostile: C5 */
static void wrong_versions(void **state)
{
	struct fixture *f = *state;
	static const uint32_t flags[] = { 0, 2, 3, VHOST_USER_FLAGS_NEED_REPLY, UINT32_MAX - 1 };

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(flags); i++) {
		frontend_connect(&f->fe);
		send_header(&f->fe, VHOST_USER_GET_FEATURES, flags[i], 0);
		fixture_expect_dropped(&f->fe);
	}
}

static void replies_as_requests(void **state)
{
	struct fixture *f = *state;

	frontend_connect(&f->fe);
	send_header(&f->fe, VHOST_USER_GET_FEATURES, VHOST_USER_FLAGS_VERSION | VHOST_USER_FLAGS_REPLY, 0);
	fixture_expect_dropped(&f->fe);
}

static void sizes_beyond_any_message(void **state)
{
	struct fixture *f = *state;
	static const uint32_t sizes[] = { 4096, 0x7fffffff, 0x80000000, UINT32_MAX - 11, UINT32_MAX };

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(sizes); i++) {
		frontend_connect(&f->fe);
		send_header(&f->fe, VHOST_USER_SET_MEM_TABLE, VHOST_USER_FLAGS_VERSION, sizes[i]);
		fixture_expect_dropped(&f->fe);
	}
}

/* hostile: C7 */
static void need_reply_means_nothing_unless_accepted(void **state)
{
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;
	const uint32_t flags = VHOST_USER_FLAGS_VERSION | VHOST_USER_FLAGS_NEED_REPLY;
	const uint64_t features = USUAL_FEATURES;
	const struct frontend_message message = { VHOST_USER_SET_FEATURES, flags, 8, &features, 8, NULL, 0 };

	frontend_connect(fe);
	frontend_negotiate(fe, USUAL_FEATURES, 0);
	frontend_send_raw(fe, &message);
	bed_settle(&f->bed);
	assert_false(frontend_receive(fe));
	send_header(fe, 99, flags, 0);
	fixture_expect_dropped(fe);
}

/* hostile: C8 */
static void one_byte_at_a_time(void **state)
{
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;
	const struct {
		struct vhost_user_header header;
		uint64_t payload;
	} __attribute__((packed)) messages[] = {
		{ { VHOST_USER_SET_PROTOCOL_FEATURES, 1 | VHOST_USER_FLAGS_NEED_REPLY, 8 }, USUAL_PROTOCOL },
		{ { VHOST_USER_SET_FEATURES, 1 | VHOST_USER_FLAGS_NEED_REPLY, 8 }, USUAL_FEATURES },
	};
	const uint8_t *bytes = (const uint8_t *)messages;

	frontend_connect(fe);
	for (size_t i = 0; i < sizeof(messages); i++) {
		assert_int_equal(send(fe->socket, bytes + i, 1, 0), 1);
		bed_settle(&f->bed);
		if (i % 20 == 19) {
			assert_true(frontend_receive(fe));
			assert_int_equal(fe->reply[0], 0);
		} else {
			assert_false(frontend_receive(fe));
		}
	}
	assert_int_equal(frontend_share_memory(fe), 0);
	frontend_queue_make(fe, 0, USUAL_FEATURES);
	frontend_queue_start(fe, 0, 0);
	frontend_roundtrip(fe, 0, 2);
}

/* hostile: C9; the loop gets its turn in between, and all of them are handled. */
static void a_flood_of_messages(void **state)
{
	struct frontend *fe = fixture_running(state);
	const struct vhost_user_header one = { VHOST_USER_SET_OWNER, VHOST_USER_FLAGS_VERSION, 0 };
	struct vhost_user_header many[500];
	unsigned turns;

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(many); i++)
		many[i] = one;
	for (unsigned round = 0; round < 200; round++) {
		ssize_t sent = send(fe->socket, many, sizeof(many), MSG_DONTWAIT);

		assert_int_equal(sent, sizeof(many));
		for (turns = 0; bed_turn(fe->bed); turns++)
			;
		assert_true(turns > 2);
	}
	assert_int_equal(fe->bed->closed, 0);
	frontend_roundtrip(fe, 0, 2);
}

/* hostile: C10; it never blocks, never grows, and other queues go on meanwhile. */
static void never_reads_replies(void **state)
{
	struct frontend *fe = fixture_running(state);
	const struct vhost_user_header ask = { VHOST_USER_GET_FEATURES, VHOST_USER_FLAGS_VERSION, 0 };
	unsigned sent = 0;

	while (sent < 100000 && send(fe->socket, &ask, sizeof(ask), MSG_DONTWAIT | MSG_NOSIGNAL) > 0) {
		sent++;
		bed_turn(fe->bed);
	}
	bed_settle(fe->bed);
	assert_true(sent > 10 && sent < 100000);
	if (!fe->bed->closed)
		frontend_roundtrip(fe, 0, 2);
}

/* A front end that asks ahead and reads later gets every answer. */
static void reads_replies_late(void **state)
{
	struct frontend *fe = fixture_running(state);
	const struct vhost_user_header ask = { VHOST_USER_GET_FEATURES, VHOST_USER_FLAGS_VERSION, 0 };
	unsigned sent, got = 0;

	for (sent = 0; sent < 2000; sent++) {
		if (send(fe->socket, &ask, sizeof(ask), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			break;
		bed_turn(fe->bed);
	}
	for (unsigned idle = 0; idle < 2; idle++) {
		bed_settle(fe->bed);
		for (; frontend_receive(fe); got++, idle = 0) {
			assert_int_equal(fe->header.request, VHOST_USER_GET_FEATURES);
			assert_int_equal(fe->header.size, 8);
		}
	}
	assert_int_equal(got, sent);
	frontend_roundtrip(fe, 0, 2);
}

/* hostile: C29 C33 C34 C36 C37; what was not offered is refused, whatever comes with it. */
static void unknown_requests(void **state)
{
	struct frontend *fe = fixture_running(state);
	static const uint32_t requests[] = { 0,  7,  19, 20, 22, 23, 26, 27,   28,
					     29, 30, 32, 33, 35, 41, 44, 1000, UINT32_MAX };
	struct fixture *f = *state;
	uint8_t payload[40] = { 0 };

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(requests); i++) {
		assert_int_not_equal(frontend_ask(fe, requests[i], NULL, 0), 0);
		assert_int_not_equal(
			frontend_ask_fds(fe, requests[i], payload, sizeof(payload), &fe->memory_fd, 1), 0);
	}
	frontend_roundtrip(fe, 0, 2);
	frontend_send(fe, 6, payload, 16);
	fixture_expect_dropped(fe);
	assert_int_equal(f->bed.reason, -VIO_EPROTO);
}

/* Nothing that wasn't negotiated works. */
static void requests_without_their_feature(void **state)
{
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;
	static const uint32_t with_ack[] = { VHOST_USER_GET_QUEUE_NUM,       VHOST_USER_RESET_DEVICE,
					     VHOST_USER_GET_INFLIGHT_FD,     VHOST_USER_SET_LOG_BASE,
					     VHOST_USER_SET_DEVICE_STATE_FD, VHOST_USER_CHECK_DEVICE_STATE };
	const uint64_t status = 15;

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(with_ack); i++) {
		frontend_connect(fe);
		frontend_negotiate(fe, USUAL_FEATURES, PROTOCOL(REPLY_ACK));
		frontend_send(fe, with_ack[i], NULL, 0);
		fixture_expect_dropped(fe);
	}
	frontend_connect(fe);
	frontend_negotiate(fe, USUAL_FEATURES, PROTOCOL(REPLY_ACK));
	assert_int_not_equal(frontend_ask(fe, VHOST_USER_SET_STATUS, &status, sizeof(status)), 0);
	assert_int_not_equal(frontend_ask(fe, VHOST_USER_RESET_DEVICE, NULL, 0), 0);
	assert_int_equal(f->bed.dev.status & VIRTIO_CONFIG_S_DRIVER_OK, 0);
}

static void features_that_were_not_offered(void **state)
{
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;
	uint64_t wild[] = { USUAL_FEATURES | FEATURE(VIRTIO_F_ACCESS_PLATFORM), UINT64_MAX,
			    USUAL_FEATURES | FEATURE(63), PROTOCOL_BIT,
			    USUAL_FEATURES | FEATURE(ECHO_F_PICKY) };
	uint64_t protocol = UINT64_MAX;

	frontend_connect(fe);
	frontend_negotiate(fe, USUAL_FEATURES, PROTOCOL(REPLY_ACK));
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(wild); i++)
		assert_int_not_equal(frontend_ask(fe, VHOST_USER_SET_FEATURES, &wild[i], 8), 0);
	assert_int_not_equal(frontend_ask(fe, VHOST_USER_SET_PROTOCOL_FEATURES, &protocol, 8), 0);
	protocol = 1u << 14;
	assert_int_not_equal(frontend_ask(fe, VHOST_USER_SET_PROTOCOL_FEATURES, &protocol, 8), 0);
	frontend_send(fe, VHOST_USER_SET_FEATURES, &wild[1], 8);
	fixture_expect_dropped(fe);
}

/* Every request with every wrong payload size and number of descriptors. */
static void wrong_sizes_and_descriptors(void **state)
{
	struct frontend *fe = fixture_running(state);
	static const struct {
		uint32_t request, size, fds;
	} legal[] = {
		{ VHOST_USER_SET_FEATURES, 8, 0 },     { VHOST_USER_SET_OWNER, 0, 0 },
		{ VHOST_USER_RESET_OWNER, 0, 0 },      { VHOST_USER_SET_VRING_NUM, 8, 0 },
		{ VHOST_USER_SET_VRING_ADDR, 40, 0 },  { VHOST_USER_SET_VRING_BASE, 8, 0 },
		{ VHOST_USER_SET_VRING_KICK, 8, 1 },   { VHOST_USER_SET_VRING_CALL, 8, 1 },
		{ VHOST_USER_SET_VRING_ERR, 8, 1 },    { VHOST_USER_SET_PROTOCOL_FEATURES, 8, 0 },
		{ VHOST_USER_SET_VRING_ENABLE, 8, 0 }, { VHOST_USER_RESET_DEVICE, 0, 0 },
		{ VHOST_USER_ADD_MEM_REG, 40, 1 },     { VHOST_USER_SET_BACKEND_REQ_FD, 0, 1 },
	};
	static const uint32_t sizes[] = { 0, 4, 7, 8, 9, 39, 40, 41, 72, 264 };
	uint8_t zeros[264] = { 0 };
	int fds[3] = { fe->memory_fd, fe->memory_fd, fe->memory_fd };

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(legal); i++) {
		for (unsigned j = 0; j < VIO_ARRAY_SIZE(sizes); j++) {
			/* Some front ends fill SET_BACKEND_REQ_FD up. */
			if (sizes[j] == legal[i].size || (!legal[i].size && sizes[j] <= 8))
				continue;
			assert_int_not_equal(
				frontend_ask_fds(fe, legal[i].request, zeros, sizes[j], fds, legal[i].fds),
				0);
		}
		for (unsigned count = legal[i].fds + 1; count <= 3; count++)
			assert_int_not_equal(
				frontend_ask_fds(fe, legal[i].request, zeros, legal[i].size, fds, count), 0);
	}
	frontend_roundtrip(fe, 0, 2);
}

/* hostile: C12 */
static void more_descriptors_than_fit(void **state)
{
	struct fixture *f = *state;
	const struct vhost_user_mem_table table = { .nregions = 8 };
	int fds[64];

	for (unsigned i = 0; i < 64; i++)
		fds[i] = f->fe.memory_fd;
	for (unsigned count = 9; count <= 64; count += 11) {
		const struct frontend_message message = {
			VHOST_USER_SET_MEM_TABLE, VHOST_USER_FLAGS_VERSION, 264, &table, 264, fds, count
		};

		frontend_connect(&f->fe);
		frontend_send_raw(&f->fe, &message);
		fixture_expect_dropped(&f->fe);
	}
}

/* hostile: C39 */
static void connect_and_disconnect(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < 20000; i++) {
		frontend_connect(&f->fe);
		frontend_hang_up(&f->fe);
	}
	assert_int_equal(f->bed.closed, 20000);
}

/* hostile: C40; the process dies with requests under way. */
static void front_end_is_killed(void **state)
{
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;
	int sockets[2], status;
	pid_t child;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
	fe->socket = sockets[0];
	assert_int_equal(vio_vhost_user_start(f->bed.backend, sockets[1]), 0);
	frontend_negotiate(fe, USUAL_FEATURES, USUAL_PROTOCOL);
	assert_int_equal(frontend_share_memory(fe), 0);
	frontend_queue_make(fe, 0, USUAL_FEATURES);
	frontend_queue_start(fe, 0, 0);
	f->bed.echo->hold = true;
	for (unsigned i = 0; i < 10; i++)
		frontend_offer(fe, 0, (uint8_t)i);
	child = fork();
	if (!child) {
		/* The back end's own copy of its end must not keep the connection alive here. */
		close(sockets[1]);
		pause();
		_exit(0);
	}
	assert_true(child > 0);
	close(fe->socket);
	fe->socket = -1;
	bed_settle(&f->bed);
	assert_int_equal(f->bed.echo->held_count, 10);
	assert_int_equal(f->bed.closed, 0);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, &status, 0), child);
	bed_settle(&f->bed);
	assert_int_equal(f->bed.closed, 1);
	assert_int_equal(f->bed.echo->held_count, 0);
}

/* A loop that takes no more descriptors: the request is refused, or the start. */
static void the_loop_is_full(void **state)
{
	struct fixture *f = *state;
	struct frontend *fe = fixture_ready(state);
	int sockets[2];

	frontend_queue_make(fe, 0, USUAL_FEATURES);
	f->bed.add_fails_after = 1;
	assert_int_not_equal(frontend_queue_kick(fe, 0), 0);
	frontend_queue_start(fe, 0, 0);
	frontend_roundtrip(fe, 0, 1);
	frontend_hang_up(fe);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
	f->bed.add_fails_after = 1;
	assert_int_equal(vio_vhost_user_start(f->bed.backend, sockets[1]), -VIO_ENOMEM);
	close(sockets[0]);
}

/* The process may open no further descriptor: those of the message get lost, nothing else does. */
static void no_descriptors_left(void **state)
{
	struct fixture *f = *state;
	struct frontend *fe = fixture_running(state);
	struct rlimit before, low;
	uint64_t index = 0;
	const struct frontend_message message = {
		VHOST_USER_SET_VRING_CALL, VHOST_USER_FLAGS_VERSION, 8, &index, 8, &fe->queues[0].call, 1
	};

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	low = before;
	low.rlim_cur = 3;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	frontend_send_raw(fe, &message);
	bed_settle(&f->bed);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	fixture_expect_dropped(fe);
}

/* A peer of mistakes doesn't fill the log. */
static void mistakes_without_end(void **state)
{
	struct fixture *f = *state;
	struct frontend *fe = fixture_running(state);

	for (unsigned i = 0; i < 3000; i++)
		assert_int_not_equal(frontend_queue_num(fe, 0, i), 0);
	assert_true(f->bed.lines > 0 && f->bed.lines <= 100);
	frontend_roundtrip(fe, 0, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_CASE(stops_in_the_middle),
		FIXTURE_CASE(wrong_versions),
		FIXTURE_CASE(replies_as_requests),
		FIXTURE_CASE(sizes_beyond_any_message),
		FIXTURE_CASE(need_reply_means_nothing_unless_accepted),
		FIXTURE_CASE(one_byte_at_a_time),
		FIXTURE_CASE(a_flood_of_messages),
		FIXTURE_CASE(never_reads_replies),
		FIXTURE_CASE(reads_replies_late),
		FIXTURE_CASE(unknown_requests),
		FIXTURE_CASE(requests_without_their_feature),
		FIXTURE_CASE(features_that_were_not_offered),
		FIXTURE_CASE(wrong_sizes_and_descriptors),
		FIXTURE_CASE(more_descriptors_than_fit),
		FIXTURE_CASE(connect_and_disconnect),
		FIXTURE_CASE(front_end_is_killed),
		FIXTURE_CASE(the_loop_is_full),
		FIXTURE_CASE(no_descriptors_left),
		FIXTURE_CASE(mistakes_without_end),
	};

	return cmocka_run_group_tests_name("vhost-user-hostile-wire", tests, NULL, NULL);
}
