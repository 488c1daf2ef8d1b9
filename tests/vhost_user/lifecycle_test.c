/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include "vhost_user/fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * A system that doesn't give what it is asked for. The calls of the back end are wrapped by the linker; while
 * the loop runs, the n-th of them fails, for every n, or is interrupted.
 */
static struct {
	bool armed;
	unsigned left; /* calls until the one that fails */
	int error;     /* errno that it fails with */
	bool failed;
} fault;

static bool fails(void)
{
	if (!fault.armed || !fault.left || --fault.left)
		return false;
	fault.failed = true;
	errno = fault.error;
	return true;
}

#define WRAP(type, name, failure, parameters, arguments) \
	type __real_##name parameters;                   \
	type __wrap_##name parameters;                   \
	type __wrap_##name parameters                    \
	{                                                \
		if (fault.error != EINTR && fails())     \
			return failure;                  \
		return __real_##name arguments;          \
	}

/* These may also be interrupted. */
#define WRAP_SLOW(type, name, failure, parameters, arguments) \
	type __real_##name parameters;                        \
	type __wrap_##name parameters;                        \
	type __wrap_##name parameters                         \
	{                                                     \
		if (fails())                                  \
			return failure;                       \
		return __real_##name arguments;               \
	}

WRAP(void *, calloc, NULL, (size_t count, size_t size), (count, size))
/* clang-format off: it would indent by spaces */
WRAP(void *, mmap, MAP_FAILED, (void *at, size_t bytes, int rights, int flags, int fd, off_t from),
	(at, bytes, rights, flags, fd, from))
/* clang-format on */
WRAP(int, fstat, -1, (int fd, struct stat *status), (fd, status))
WRAP(int, ftruncate, -1, (int fd, off_t bytes), (fd, bytes))
WRAP(int, memfd_create, -1, (const char *name, unsigned flags), (name, flags))
WRAP(int, epoll_create1, -1, (int flags), (flags))
WRAP_SLOW(ssize_t, recvmsg, -1, (int fd, struct msghdr *msg, int flags), (fd, msg, flags))
WRAP_SLOW(ssize_t, sendmsg, -1, (int fd, const struct msghdr *msg, int flags), (fd, msg, flags))
WRAP_SLOW(ssize_t, write, -1, (int fd, const void *from, size_t bytes), (fd, from, bytes))

/* Sends one, and lets the back end run with what is to fail; whatever it answers. */
static void tell(struct frontend *fe, uint32_t request, const void *payload, uint32_t size, int fd)
{
	const struct frontend_message message = {
		request, VHOST_USER_FLAGS_VERSION | VHOST_USER_FLAGS_NEED_REPLY, size, payload, size, &fd,
		fd >= 0
	};
	char answer[600];

	if (fe->bed->closed)
		return;
	frontend_send_raw(fe, &message);
	fault.armed = true;
	bed_settle(fe->bed);
	fault.armed = false;
	while (recv(fe->socket, answer, sizeof(answer), MSG_DONTWAIT) > 0)
		;
}

static void tell_queue(struct frontend *fe, uint32_t request, uint32_t num)
{
	const struct vhost_user_vring_state state = { 0, num };

	tell(fe, request, &state, sizeof(state), -1);
}

/* All that a connection does, up to a request that is served. */
static void whole_connection(struct frontend *fe)
{
	const uint64_t features = USUAL_FEATURES, protocol = USUAL_PROTOCOL | PROTOCOL(INFLIGHT_SHMFD),
		       zero = 0;
	const struct vhost_user_mem_table table = {
		.nregions = 1, .regions = { frontend_region(0, FRONTEND_MEMORY_BYTES) }
	};
	struct vhost_user_inflight file = { .num_queues = BED_QUEUES, .queue_size = BED_QUEUE_SIZE };
	int fd = memfd_create("file", MFD_CLOEXEC);
	struct vhost_user_vring_addr areas;

	frontend_connect(fe);
	tell(fe, VHOST_USER_SET_PROTOCOL_FEATURES, &protocol, sizeof(protocol), -1);
	tell(fe, VHOST_USER_SET_FEATURES, &features, sizeof(features), -1);
	tell(fe, VHOST_USER_SET_MEM_TABLE, &table, 40, fe->memory_fd);
	tell(fe, VHOST_USER_GET_INFLIGHT_FD, &file, sizeof(file), -1);
	file.mmap_size = 0x10000;
	assert_int_equal(ftruncate(fd, 0x10000), 0);
	tell(fe, VHOST_USER_SET_INFLIGHT_FD, &file, sizeof(file), fd);
	frontend_queue_make(fe, 0, features);
	areas = frontend_areas(fe, 0);
	tell_queue(fe, VHOST_USER_SET_VRING_NUM, BED_QUEUE_SIZE);
	tell_queue(fe, VHOST_USER_SET_VRING_BASE, 0);
	tell(fe, VHOST_USER_SET_VRING_ADDR, &areas, sizeof(areas), -1);
	tell(fe, VHOST_USER_SET_VRING_CALL, &zero, sizeof(zero), fe->queues[0].call);
	tell(fe, VHOST_USER_SET_VRING_KICK, &zero, sizeof(zero), fe->queues[0].kick);
	tell_queue(fe, VHOST_USER_SET_VRING_ENABLE, 1);
	frontend_offer(fe, 0, 1);
	fault.armed = true;
	bed_settle(fe->bed);
	fault.armed = false;
	close(fd);
}

static bool one_failure(struct frontend *fe, unsigned number, int error)
{
	fault.left = number;
	fault.error = error;
	fault.failed = false;
	whole_connection(fe);
	fault.left = 0;
	return fault.failed;
}

static void end(struct frontend *fe)
{
	frontend_hang_up(fe);
	fe->bed->closed = 0;
	frontend_drain(fe->queues[0].call);
	frontend_drain(fe->queues[0].kick);
	bed_check_idle(fe->bed, frontend_fds(fe));
}

/* hostile: H5; nothing leaks, and the next connection is served (teardown sees to that). */
static void each_call_fails_once(void **state)
{
	static const int errors[] = { ENOMEM, EIO, EMFILE };
	struct fixture *f = *state;

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(errors); i++) {
		unsigned number = 1;

		while (one_failure(&f->fe, number++, errors[i]))
			end(&f->fe);
		end(&f->fe);
		assert_true(number > 20);
	}
}

/* hostile: H6; a call that was interrupted is made again, and nothing else is noticed. */
static void each_call_is_interrupted_once(void **state)
{
	struct fixture *f = *state;
	unsigned number = 1;

	while (one_failure(&f->fe, number++, EINTR)) {
		assert_int_equal(f->bed.closed, 0);
		assert_true(frontend_answered(&f->fe, 0, 1));
		end(&f->fe);
	}
	end(&f->fe);
	assert_true(number > 10);
}

/* hostile: H9; what doesn't fit is refused, what does goes on. */
static void little_address_space(void **state)
{
	struct fixture *f = *state;
	struct frontend *fe = fixture_running(state);
	const uint64_t huge = UINT64_C(1) << 32;
	const struct vhost_user_mem_reg slot = { 0, { huge, huge, huge, 0 } };
	struct rlimit before, limit;
	unsigned long pages = 0;
	FILE *statm = fopen("/proc/self/statm", "r");
	int fd = memfd_create("huge", MFD_CLOEXEC);
	uint64_t refused;

	assert_true(statm && fscanf(statm, "%lu", &pages) == 1);
	fclose(statm);
	assert_int_equal(ftruncate(fd, (off_t)huge), 0);
	assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
	limit = before;
	limit.rlim_cur = pages * (rlim_t)sysconf(_SC_PAGESIZE) + (64u << 20);
	assert_int_equal(setrlimit(RLIMIT_AS, &limit), 0);
	refused = frontend_ask_fds(fe, VHOST_USER_ADD_MEM_REG, &slot, sizeof(slot), &fd, 1);
	assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
	close(fd);
	assert_int_not_equal(refused, 0);
	frontend_roundtrip(fe, 0, 2);
	assert_int_equal(f->bed.closed, 0);
}

/* hostile: H19; a program that is started meanwhile gets none of the descriptors. */
static void nothing_is_passed_on(void **state)
{
	struct frontend *fe = fixture_running(state);

	frontend_roundtrip(fe, 0, 2);
	for (int fd = 3; fd < 256; fd++) {
		int flags = fcntl(fd, F_GETFD);
		char path[64], name[256] = "";

		if (flags < 0 || flags & FD_CLOEXEC)
			continue;
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		/* Who runs the tests may leave files open. */
		if (readlink(path, name, sizeof(name) - 1) > 0)
			assert_true(name[0] == '/' || name[0] == 'p');
	}
}

/* hostile: C41; memory that may only be read is no memory for a device. */
static void memory_that_is_read_only(void **state)
{
	struct frontend *fe = fixture_running(state);
	const struct vhost_user_mem_table table = {
		.nregions = 1, .regions = { frontend_region(0, FRONTEND_MEMORY_BYTES) }
	};
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fe->memory_fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_not_equal(frontend_ask_fds(fe, VHOST_USER_SET_MEM_TABLE, &table, 40, &fd, 1), 0);
	close(fd);
	frontend_roundtrip(fe, 0, 2);
	/* That the front end may itself only read it is no business of the back end's. */
	assert_int_equal(mprotect(fe->memory, FRONTEND_MEMORY_BYTES, PROT_READ), 0);
	assert_int_equal(frontend_share_memory(fe), 0);
	assert_int_equal(mprotect(fe->memory, FRONTEND_MEMORY_BYTES, PROT_READ | PROT_WRITE), 0);
	frontend_roundtrip(fe, 0, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_CASE(each_call_fails_once),     FIXTURE_CASE(each_call_is_interrupted_once),
		FIXTURE_CASE(little_address_space),     FIXTURE_CASE(nothing_is_passed_on),
		FIXTURE_CASE(memory_that_is_read_only),
	};

	return cmocka_run_group_tests_name("vhost-user-lifecycle", tests, NULL, NULL);
}
