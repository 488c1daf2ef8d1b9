/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include "link/vhost_user/frontend.h"

#define NS_PER_S UINT64_C(1000000000)
/* With nobody there a wait is a nap, so that who polls in a loop doesn't spin. */
#define NAP_NS   UINT64_C(1000000)

static struct vio_arena *arena_of(void *context)
{
	return &((struct vu_front *)context)->arena;
}

static int take(void *context, size_t bytes, unsigned rights, struct vio_shared *memory)
{
	return vio_arena_take(arena_of(context), bytes, rights, memory);
}

static void give_back(void *context, const struct vio_shared *memory, size_t bytes)
{
	vio_arena_give_back(arena_of(context), memory, bytes);
}

static int share(void *context, void *host, size_t length, unsigned rights, struct vio_addr *addr)
{
	return vio_arena_share(arena_of(context), host, length, rights, addr);
}

static void unshare(void *context, void *host, size_t length, unsigned rights, struct vio_addr addr)
{
	vio_arena_unshare(arena_of(context), host, length, rights, addr);
}

static uint64_t now_ns(void *context)
{
	return vu_front_now_ns();
}

/* Whether it is known which are ready. */
static bool sleep_on(struct vu_front *front, struct pollfd *pollfds, nfds_t count, uint64_t timeout_ns)
{
	struct timespec timeout;

	if (front->failed && timeout_ns > NAP_NS)
		timeout_ns = NAP_NS;
	timeout = (struct timespec){ (time_t)(timeout_ns / NS_PER_S), (long)(timeout_ns % NS_PER_S) };
	return ppoll(pollfds, count, &timeout, NULL) >= 0;
}

static void wait_for_device(void *context, uint64_t timeout_ns)
{
	struct vu_front *front = context;
	/* First what isn't a queue's; poll() passes over -1. */
	struct pollfd pollfds[VU_FRONT_QUEUES_MAX + 3] = {
		{ front->channel.fd, POLLIN, 0 },
		{ front->error_fd, POLLIN, 0 },
		{ front->failed ? -1 : front->socket, POLLRDHUP, 0 },
	};
	nfds_t count = 3;
	unsigned queue;

	if (front->options.waiting) {
		front->options.waiting(front->options.context);
		timeout_ns = timeout_ns < NAP_NS ? timeout_ns : NAP_NS;
	}
	for (queue = 0; queue < front->queue_limit; queue++)
		if (front->queues[queue].started)
			pollfds[count++] = (struct pollfd){ front->queues[queue].call, POLLIN, 0 };
	front->waited = sleep_on(front, pollfds, count, timeout_ns);
	front->queues_only = !pollfds[0].revents && !pollfds[1].revents;
	for (queue = 0, count = 3; queue < front->queue_limit; queue++)
		if (front->queues[queue].started)
			front->queues[queue].ready = pollfds[count++].revents;
	if (!front->waited || pollfds[2].revents || front->failed) {
		vu_front_look(front);
		front->waited = false; /* there may be another back end by now */
	}
	(void)vio_dev_interrupt(front->dev);
	front->waited = false;
}

int vu_front_arena_make(struct vu_front *front)
{
	size_t bytes = front->options.arena_bytes ? front->options.arena_bytes : VIO_VHOST_USER_ARENA_BYTES;
	struct vio_arena *arena = &front->arena;
	int error = vio_arena_make_file(arena, bytes, &front->memory.fd);

	if (error)
		return vu_front_fail(front, error, "no %zu bytes of shared memory can be made", bytes);
	arena->addr = vio_addr_make(VU_FRONT_ARENA_BASE);
	front->memory.bytes = arena->bytes;
	front->memory.addr = arena->addr;
	front->platform = (struct vio_platform){
		.context = front,
		.take = take,
		.give_back = give_back,
		.share = share,
		.unshare = unshare,
		.now_ns = now_ns,
		.wait = wait_for_device,
	};
	return 0;
}

void vu_front_arena_free(struct vu_front *front)
{
	if (front->options.memory)
		return;
	vio_arena_free(&front->arena);
	if (front->memory.fd >= 0)
		close(front->memory.fd);
}
