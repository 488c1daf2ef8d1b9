/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include "host/parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

static int transfer_run(struct vio_loop *loop, struct transfer *transfer)
{
	transfer->io.iov = &transfer->iov;
	transfer->done = 0;
	vio_loop_submit(loop, &transfer->io);
	assert_int_equal(transfer->done, 0);
	engine_step_until_set(loop, &transfer->done);
	assert_int_equal(transfer->done, 1);
	return transfer->result;
}

static void io_reads_and_writes(void **state)
{
	struct vio_loop *loop = engine_loop(state);
	int fd = temporary_file();
	char text[] = "the quick brown fox", back[32];
	struct transfer write = transfer_make(VIO_IO_WRITE, fd, text, sizeof(text), 4096);
	struct transfer read = transfer_make(VIO_IO_READ, fd, back, sizeof(back), 4096);
	struct transfer sync = transfer_make(VIO_IO_SYNC, fd, NULL, 0, 0);
	struct transfer punch = transfer_make(VIO_IO_FALLOCATE, fd, NULL, 0, 4096);

	assert_int_equal(transfer_run(loop, &write), sizeof(text));
	assert_int_equal(transfer_run(loop, &sync), 0);
	/* Fewer than asked for at the end, none behind it. */
	assert_int_equal(transfer_run(loop, &read), sizeof(text));
	assert_string_equal(back, text);
	read.io.offset = 1 << 20;
	assert_int_equal(transfer_run(loop, &read), 0);
	punch.io.mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	punch.io.length = 5;
	assert_int_equal(transfer_run(loop, &punch), 0);
	read.io.offset = 4096;
	assert_int_equal(transfer_run(loop, &read), sizeof(text));
	assert_memory_equal(back, "\0\0\0\0\0uick", 9);
	close(fd);
}

static void io_tells_errors(void **state)
{
	struct vio_loop *loop = engine_loop(state);
	int ends[2], fd;
	char c = 0;
	struct transfer bad = transfer_make(VIO_IO_READ, -1, &c, 1, 0);
	struct transfer sync, write, fault, space;

	assert_int_equal(transfer_run(loop, &bad), -EBADF);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	sync = transfer_make(VIO_IO_SYNC, ends[0], NULL, 0, 0);
	assert_int_equal(transfer_run(loop, &sync), -EINVAL);
	space = transfer_make(VIO_IO_FALLOCATE, ends[1], NULL, 0, 0);
	space.io.length = 1;
	assert_int_equal(transfer_run(loop, &space), -ESPIPE);
	close(ends[0]);
	close(ends[1]);
	fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	write = transfer_make(VIO_IO_WRITE, fd, &c, 1, 0);
	assert_int_equal(transfer_run(loop, &write), -EBADF);
	close(fd);
	fd = temporary_file();
	fault = transfer_make(VIO_IO_WRITE, fd, (void *)1, 1, 0);
	assert_int_equal(transfer_run(loop, &fault), -EFAULT);
	close(fd);
}

enum { FLOOD = 3000 };

static bool flood_is_done(void *context)
{
	const struct transfer *flood = context;

	for (unsigned i = 0; i < FLOOD; i++)
		if (!flood[i].done)
			return false;
	return true;
}

/* More at once than any queue holds. */
static void io_floods(void **state)
{
	struct vio_loop *loop = engine_loop(state);
	struct transfer *flood = calloc(FLOOD, sizeof(*flood));
	uint32_t *values = calloc(FLOOD, sizeof(*values));
	int fd = temporary_file();
	uint32_t value;

	assert_non_null(flood);
	assert_non_null(values);
	for (unsigned i = 0; i < FLOOD; i++) {
		values[i] = i * 2654435761u;
		flood[i] = transfer_make(VIO_IO_WRITE, fd, &values[i], 4, i * 4);
		flood[i].io.iov = &flood[i].iov;
		vio_loop_submit(loop, &flood[i].io);
	}
	engine_step_until(loop, flood_is_done, flood);
	for (unsigned i = 0; i < FLOOD; i++) {
		assert_int_equal(flood[i].result, 4);
		assert_int_equal(pread(fd, &value, 4, i * 4), 4);
		assert_int_equal(value, values[i]);
	}
	free(values);
	free(flood);
	close(fd);
}

/* Waiting for I/O alone. */

struct drainer {
	struct bell bell;
	struct transfer *flood;
	struct vio_task task;
	unsigned tasks;
	struct transfer chained; /* submitted when the first of the flood is done */
};

static void drainer_task(struct vio_task *task)
{
	VIO_CONTAINER_OF(task, struct drainer, task)->tasks++;
}

static bool drainer_is_done(void *context)
{
	return flood_is_done(((struct drainer *)context)->flood);
}

static void drainer_ready(struct vio_watch *watch)
{
	struct drainer *drainer = VIO_CONTAINER_OF(watch, struct drainer, bell.watch);
	uint64_t count;

	assert_int_equal(read(watch->fd, &count, sizeof(count)), sizeof(count));
	drainer->bell.rung++;
	vio_loop_defer(drainer->bell.loop, &drainer->task);
	vio_loop_wait_io(drainer->bell.loop, drainer_is_done, drainer);
	assert_true(drainer_is_done(drainer));
	assert_int_equal(drainer->tasks, 0);
}

static void wait_io_in_a_callback(void **state)
{
	struct vio_loop *loop = engine_loop(state);
	struct transfer *flood = calloc(FLOOD, sizeof(*flood));
	struct drainer drainer = { .bell = { .loop = loop }, .flood = flood, .task.run = drainer_task };
	struct bell *others[4];
	int fd = temporary_file();
	char c = 1;

	drainer.bell.watch.ready = drainer_ready;
	drainer.bell.watch.fd = eventfd(1, EFD_CLOEXEC);
	assert_int_equal(vio_loop_watch(loop, &drainer.bell.watch), 0);
	for (unsigned i = 0; i < 4; i++)
		others[i] = bell_make(loop);
	for (unsigned i = 0; i < FLOOD; i++) {
		flood[i] = transfer_make(VIO_IO_WRITE, fd, &c, 1, i);
		flood[i].io.iov = &flood[i].iov;
		vio_loop_submit(loop, &flood[i].io);
	}
	for (unsigned i = 0; i < 4; i++)
		bell_ring(others[i]);
	engine_step_until_set(loop, &drainer.bell.rung);
	settle(loop);
	assert_int_equal(drainer.tasks, 1);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(others[i]->rung, 1);
		bell_free(others[i]);
	}
	vio_loop_unwatch(loop, &drainer.bell.watch);
	close(drainer.bell.watch.fd);
	close(fd);
	free(flood);
}

/* Outside any step, while descriptors are ready that mustn't be served now and must be later. */
static void wait_io_serves_nothing_else(void **state)
{
	struct vio_loop *loop = engine_loop(state);
	struct transfer *flood = calloc(FLOOD, sizeof(*flood));
	struct bell *bell = bell_make(loop);
	struct bell *edge = bell_make_edge(loop);
	unsigned order = 0;
	struct alarm alarm = alarm_make(loop, &order);
	int fd = temporary_file();
	char c = 1;

	settle(loop);
	vio_loop_arm(loop, &alarm.timer, 0);
	bell_ring(bell);
	bell_ring(edge);
	for (unsigned i = 0; i < FLOOD; i++) {
		flood[i] = transfer_make(VIO_IO_WRITE, fd, &c, 1, i);
		flood[i].io.iov = &flood[i].iov;
		vio_loop_submit(loop, &flood[i].io);
	}
	vio_loop_wait_io(loop, flood_is_done, flood);
	assert_true(flood_is_done(flood));
	assert_int_equal(bell->rung, 0);
	assert_int_equal(edge->rung, 0);
	assert_int_equal(alarm.expired, 0);
	settle(loop);
	assert_int_equal(bell->rung, 1);
	assert_int_equal(edge->rung, 1);
	assert_int_equal(alarm.expired, 1);
	bell_free(edge);
	bell_free(bell);
	close(fd);
	free(flood);
}

/* An I/O that, when it is done, drains another: for every order in which they can come in. */
struct pair {
	struct transfer first, second;
	struct vio_loop *loop;
};

static bool second_is_done(void *context)
{
	return ((struct pair *)context)->second.done != 0;
}

static void first_done(struct vio_io *io, int result)
{
	struct pair *pair = VIO_CONTAINER_OF(io, struct pair, first.io);

	transfer_done(io, result);
	vio_loop_wait_io(pair->loop, second_is_done, pair);
	assert_int_equal(pair->second.done, 1);
}

static void wait_io_in_a_completion(void **state)
{
	struct vio_loop *loop = engine_loop(state);
	int fd = temporary_file();
	char c = 1;

	for (unsigned turn = 0; turn < 200; turn++) {
		struct pair pair = { .loop = loop };

		pair.first = transfer_make(turn % 3 ? VIO_IO_WRITE : VIO_IO_SYNC, fd, &c, 1, 0);
		pair.first.io.iov = &pair.first.iov;
		pair.first.io.done = first_done;
		pair.second = transfer_make(turn % 5 ? VIO_IO_WRITE : VIO_IO_SYNC, fd, &c, 1, 1);
		pair.second.io.iov = &pair.second.iov;
		vio_loop_submit(loop, turn % 2 ? &pair.first.io : &pair.second.io);
		vio_loop_submit(loop, turn % 2 ? &pair.second.io : &pair.first.io);
		engine_step_until_set(loop, &pair.first.done);
		assert_int_equal(pair.second.done, 1);
	}
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH_ENGINES(io_reads_and_writes),
		ON_BOTH_ENGINES(io_tells_errors),
		ON_BOTH_ENGINES(io_floods),
		ON_BOTH_ENGINES(wait_io_in_a_callback),
		ON_BOTH_ENGINES(wait_io_serves_nothing_else),
		ON_BOTH_ENGINES(wait_io_in_a_completion),
	};

	return cmocka_run_group_tests_name("loop-io", tests, NULL, NULL);
}
