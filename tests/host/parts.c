/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include "host/parts.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

void bell_ready(struct vio_watch *watch)
{
	struct bell *bell = VIO_CONTAINER_OF(watch, struct bell, watch);
	uint64_t count;

	bell->rung++;
	if (!bell->keep)
		assert_int_equal(read(watch->fd, &count, sizeof(count)), sizeof(count));
	if (!bell->other)
		return;
	vio_loop_unwatch(bell->loop, &bell->other->watch);
	close(bell->other->watch.fd);
	if (bell->other != bell)
		free(bell->other);
	bell->other = NULL;
}

static struct bell *bell_make_any(struct vio_loop *loop, bool edge)
{
	struct bell *bell = calloc(1, sizeof(*bell));

	assert_non_null(bell);
	bell->loop = loop;
	bell->watch.ready = bell_ready;
	bell->watch.edge = edge;
	bell->keep = edge;
	bell->watch.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_true(bell->watch.fd >= 0);
	assert_int_equal(vio_loop_watch(loop, &bell->watch), 0);
	return bell;
}

struct bell *bell_make(struct vio_loop *loop)
{
	return bell_make_any(loop, false);
}

struct bell *bell_make_edge(struct vio_loop *loop)
{
	return bell_make_any(loop, true);
}

void bell_free(struct bell *bell)
{
	vio_loop_unwatch(bell->loop, &bell->watch);
	close(bell->watch.fd);
	free(bell);
}

void bell_ring(struct bell *bell)
{
	assert_int_equal(eventfd_write(bell->watch.fd, 1), 0);
}

static void alarm_expired(struct vio_timer *timer)
{
	struct alarm *alarm = VIO_CONTAINER_OF(timer, struct alarm, timer);

	alarm->expired = ++*alarm->order;
	if (alarm->disarm)
		vio_loop_disarm(alarm->loop, &alarm->disarm->timer);
	if (alarm->rearm_ms)
		vio_loop_arm(alarm->loop, timer, alarm->rearm_ms);
	alarm->rearm_ms = 0;
}

struct alarm alarm_make(struct vio_loop *loop, unsigned *order)
{
	return (struct alarm){ .timer.expired = alarm_expired, .loop = loop, .order = order };
}

void transfer_done(struct vio_io *io, int result)
{
	struct transfer *transfer = VIO_CONTAINER_OF(io, struct transfer, io);

	transfer->done++;
	transfer->result = result;
}

struct transfer transfer_make(enum vio_io_op op, int fd, void *bytes, size_t length, uint64_t offset)
{
	return (struct transfer){
		.io = { .op = op, .fd = fd, .offset = offset, .iov_count = 1, .done = transfer_done },
		.iov = { bytes, length },
	};
}

void settle(struct vio_loop *loop)
{
	unsigned quiet = 0;

	/* One empty step may be the kernel cutting a wait short. */
	while (quiet < 3) {
		int handled = vio_loop_step(loop, 5);

		assert_true(handled >= 0);
		quiet = handled ? 0 : quiet + 1;
	}
}

int temporary_file(void)
{
	char path[] = "/tmp/vireo-loop-XXXXXX";
	int fd = mkostemp(path, O_CLOEXEC);

	assert_true(fd >= 0);
	unlink(path);
	return fd;
}
