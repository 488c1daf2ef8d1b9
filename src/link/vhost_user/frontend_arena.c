/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "link/vhost_user/frontend.h"

#define NS_PER_S UINT64_C(1000000000)
/* With nobody there a wait is a nap, so that who polls in a loop doesn't spin. */
#define NAP_NS   UINT64_C(1000000)

static size_t pages_of(size_t bytes)
{
	return bytes / VU_FRONT_PAGE + (bytes % VU_FRONT_PAGE != 0);
}

static bool inside(const struct vu_front_arena *arena, const void *host, size_t length)
{
	uintptr_t at = (uintptr_t)host, first = (uintptr_t)arena->host;

	return at >= first && at - first <= arena->bytes && length <= arena->bytes - (at - first);
}

static struct vio_addr addr_of(const struct vu_front_arena *arena, const void *host)
{
	return vio_addr_make(VU_FRONT_ARENA_BASE + (uint64_t)((const uint8_t *)host - arena->host));
}

/* The first of so many free pages from `from` on, or `until`. */
static size_t find(const struct vu_front_arena *arena, size_t count, size_t from, size_t until)
{
	size_t run = 0, page;

	for (page = from; page < until; page++) {
		run = arena->used[page] ? 0 : run + 1;
		if (run == count)
			return page + 1 - count;
	}
	return until;
}

static uint8_t *take_pages(struct vu_front_arena *arena, size_t bytes)
{
	size_t count = pages_of(bytes), all = arena->bytes / VU_FRONT_PAGE;
	size_t page = all;

	if (!count || count > all)
		return NULL;
	page = find(arena, count, arena->next, all);
	if (page == all)
		page = find(arena, count, 0, all);
	if (page == all)
		return NULL;
	memset(arena->used + page, 1, count);
	arena->next = page + count;
	return arena->host + page * VU_FRONT_PAGE;
}

static void give_pages(struct vu_front_arena *arena, const uint8_t *host, size_t bytes)
{
	memset(arena->used + (size_t)(host - arena->host) / VU_FRONT_PAGE, 0, pages_of(bytes));
}

static int take(void *context, size_t bytes, unsigned rights, struct vio_shared *memory)
{
	struct vu_front *front = context;
	size_t whole = pages_of(bytes) * VU_FRONT_PAGE;

	memory->addr = vio_addr_make(0);
	memory->host = rights ? take_pages(&front->arena, bytes) : aligned_alloc(VU_FRONT_PAGE, whole);
	if (!memory->host)
		return -VIO_ENOMEM;
	memset(memory->host, 0, whole);
	if (rights)
		memory->addr = addr_of(&front->arena, memory->host);
	return 0;
}

static void give_back(void *context, const struct vio_shared *memory, size_t bytes)
{
	struct vu_front *front = context;

	if (inside(&front->arena, memory->host, bytes))
		give_pages(&front->arena, memory->host, bytes);
	else
		free(memory->host);
}

static int share(void *context, void *host, size_t length, unsigned rights, struct vio_addr *addr)
{
	struct vu_front *front = context;
	uint8_t *copy;

	if (inside(&front->arena, host, length)) {
		*addr = addr_of(&front->arena, host);
		return 0;
	}
	copy = take_pages(&front->arena, length);
	if (!copy)
		return -VIO_ENOMEM;
	if (rights & VIO_MEM_READ)
		memcpy(copy, host, length);
	else /* what was there before is nobody's business, neither the device's nor the caller's */
		memset(copy, 0, length);
	*addr = addr_of(&front->arena, copy);
	return 0;
}

static void unshare(void *context, void *host, size_t length, unsigned rights, struct vio_addr addr)
{
	struct vu_front *front = context;
	uint8_t *copy = front->arena.host + (addr.raw - VU_FRONT_ARENA_BASE);

	if (inside(&front->arena, host, length))
		return;
	if (rights & VIO_MEM_WRITE)
		memcpy(host, copy, length);
	give_pages(&front->arena, copy, length);
}

static uint64_t now_ns(void *context)
{
	return vu_front_now_ns();
}

static void sleep_on(struct vu_front *front, struct pollfd *pollfds, nfds_t count, uint64_t timeout_ns)
{
	struct timespec timeout;

	if (front->failed && timeout_ns > NAP_NS)
		timeout_ns = NAP_NS;
	timeout = (struct timespec){ (time_t)(timeout_ns / NS_PER_S), (long)(timeout_ns % NS_PER_S) };
	ppoll(pollfds, count, &timeout, NULL);
}

static void wait_for_device(void *context, uint64_t timeout_ns)
{
	struct vu_front *front = context;
	struct pollfd pollfds[VU_FRONT_QUEUES_MAX + 3];
	nfds_t count = 0;
	unsigned queue;

	if (front->options.waiting) {
		front->options.waiting(front->options.context);
		timeout_ns = timeout_ns < NAP_NS ? timeout_ns : NAP_NS;
	}
	for (queue = 0; queue < front->queue_limit; queue++)
		if (front->queues[queue].started)
			pollfds[count++] = (struct pollfd){ front->queues[queue].call, POLLIN, 0 };
	if (front->channel.fd >= 0)
		pollfds[count++] = (struct pollfd){ front->channel.fd, POLLIN, 0 };
	if (!front->failed)
		pollfds[count++] = (struct pollfd){ front->socket, POLLRDHUP, 0 };
	sleep_on(front, pollfds, count, timeout_ns);
	(void)vio_dev_interrupt(front->dev);
}

static int make_file(struct vu_front *front)
{
	int fd = memfd_create("vireo-vhost-user", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return vu_front_fail(front, -VIO_ESYS, "no shared memory can be made");
	front->memory.fd = fd;
	/* Cut short by the back end, the file would end our process when it is touched. */
	if (ftruncate(fd, (off_t)front->arena.bytes) ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		return vu_front_fail(front, -VIO_ENOMEM, "no %zu bytes of shared memory can be made",
				     front->arena.bytes);
	return 0;
}

int vu_front_arena_make(struct vu_front *front)
{
	struct vu_front_arena *arena = &front->arena;
	size_t bytes = front->options.arena_bytes ? front->options.arena_bytes : VIO_VHOST_USER_ARENA_BYTES;
	int error;

	arena->bytes = pages_of(bytes) * VU_FRONT_PAGE;
	error = make_file(front);
	if (error)
		return error;
	arena->host = mmap(NULL, arena->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, front->memory.fd, 0);
	if (arena->host == MAP_FAILED)
		arena->host = NULL;
	arena->used = calloc(arena->bytes / VU_FRONT_PAGE, 1);
	if (!arena->host || !arena->used)
		return vu_front_fail(front, -VIO_ENOMEM, "no %zu bytes of shared memory can be mapped",
				     arena->bytes);
	front->memory.bytes = arena->bytes;
	front->memory.addr = vio_addr_make(VU_FRONT_ARENA_BASE);
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
	if (front->arena.host)
		munmap(front->arena.host, front->arena.bytes);
	if (front->memory.fd >= 0)
		close(front->memory.fd);
	free(front->arena.used);
}
