/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "link/vhost_user/frontend.h"

/*
 * For programs whose queues are driven apart, each by a thread that sleeps on a descriptor of its own: one
 * more thread has the connection, and touches no queue's interrupts.
 */

int vu_front_set_call(struct vu_front *front, uint16_t queue, int fd)
{
	struct vu_front_queue *own = &front->queues[queue];

	if (own->started)
		return -VIO_EPHASE;
	vu_front_close(&own->call);
	own->call = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	return own->call < 0 ? -VIO_ESYS : 0;
}

void vu_front_wake(struct vu_front *front)
{
	const uint64_t one = 1;
	unsigned queue;

	for (queue = 0; queue < front->queue_limit; queue++)
		/* What doesn't fit was said often enough. */
		if (front->queues[queue].started && write(front->queues[queue].call, &one, sizeof(one)) < 0)
			continue;
}

int vu_front_attend(struct vu_front *front, int wake_fd)
{
	struct pollfd pollfds[] = {
		{ wake_fd, POLLIN, 0 },
		{ front->error_fd, POLLIN, 0 },
		{ front->channel.fd, POLLIN, 0 }, /* poll() passes over -1 */
		{ front->failed ? -1 : front->socket, POLLRDHUP, 0 },
	};
	uint64_t count;

	if (poll(pollfds, VIO_ARRAY_SIZE(pollfds), -1) < 0)
		return errno == EINTR ? 0 : -VIO_ESYS;
	vu_front_look(front);
	vu_front_listen(front);
	if (read(front->error_fd, &count, sizeof(count)) == sizeof(count)) {
		front->ring_broken = true;
		front->config_changed = true;
	}
	if (!front->failed && front->config_changed) {
		front->config_changed = false;
		vio_dev_interrupt_config(front->dev);
	}
	return front->failed;
}
