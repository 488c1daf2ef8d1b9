/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "link/arena.h"

static size_t pages_of(size_t bytes)
{
	return bytes / VIO_ARENA_PAGE + (bytes % VIO_ARENA_PAGE != 0);
}

static bool inside(const struct vio_arena *arena, const void *host, size_t length)
{
	uintptr_t at = (uintptr_t)host, first = (uintptr_t)arena->host;

	return at >= first && at - first <= arena->bytes && length <= arena->bytes - (at - first);
}

static struct vio_addr addr_of(const struct vio_arena *arena, const void *host)
{
	return vio_addr_make(arena->addr.raw + (uint64_t)((const uint8_t *)host - arena->host));
}

/* The first of so many free pages from `from` on, or `until`. */
static size_t find(const struct vio_arena *arena, size_t count, size_t from, size_t until)
{
	size_t run = 0, page;

	for (page = from; page < until; page++) {
		run = arena->used[page] ? 0 : run + 1;
		if (run == count)
			return page + 1 - count;
	}
	return until;
}

static uint8_t *take_pages(struct vio_arena *arena, size_t bytes)
{
	size_t count = pages_of(bytes), all = arena->bytes / VIO_ARENA_PAGE;
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
	return arena->host + page * VIO_ARENA_PAGE;
}

static void give_pages(struct vio_arena *arena, const uint8_t *host, size_t bytes)
{
	memset(arena->used + (size_t)(host - arena->host) / VIO_ARENA_PAGE, 0, pages_of(bytes));
}

static int map(struct vio_arena *arena, size_t whole, int flags, int fd)
{
	/* Shared, so that a fork doesn't leave the device with the other one's copy. */
	void *host =
		whole ? mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_SHARED | flags, fd, 0) : MAP_FAILED;

	*arena = (struct vio_arena){ 0 };
	if (host == MAP_FAILED)
		return -VIO_ENOMEM;
	arena->host = host;
	arena->bytes = whole;
	arena->used = calloc(whole / VIO_ARENA_PAGE, 1);
	if (arena->used)
		return 0;
	vio_arena_free(arena);
	return -VIO_ENOMEM;
}

int vio_arena_make(struct vio_arena *arena, size_t bytes)
{
	return map(arena, pages_of(bytes) * VIO_ARENA_PAGE, MAP_ANONYMOUS, -1);
}

int vio_arena_make_file(struct vio_arena *arena, size_t bytes, int *file)
{
	size_t whole = pages_of(bytes) * VIO_ARENA_PAGE;
	int fd = memfd_create("vireo-arena", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int error;

	*arena = (struct vio_arena){ 0 };
	if (fd < 0)
		return -VIO_ESYS;
	/* Cut short by who it is passed to, the file would end our process when it is touched. */
	error = ftruncate(fd, (off_t)whole) ||
				fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)
			? -VIO_ENOMEM
			: map(arena, whole, 0, fd);
	if (error)
		close(fd);
	else
		*file = fd;
	return error;
}

void vio_arena_free(struct vio_arena *arena)
{
	if (arena->host)
		munmap(arena->host, arena->bytes);
	free(arena->used);
	*arena = (struct vio_arena){ 0 };
}

int vio_arena_take(struct vio_arena *arena, size_t bytes, unsigned rights, struct vio_shared *memory)
{
	size_t whole = pages_of(bytes) * VIO_ARENA_PAGE;

	memory->addr = vio_addr_make(0);
	memory->host = rights ? take_pages(arena, bytes) : aligned_alloc(VIO_ARENA_PAGE, whole);
	if (!memory->host)
		return -VIO_ENOMEM;
	memset(memory->host, 0, whole);
	if (rights)
		memory->addr = addr_of(arena, memory->host);
	return 0;
}

void vio_arena_give_back(struct vio_arena *arena, const struct vio_shared *memory, size_t bytes)
{
	if (inside(arena, memory->host, bytes))
		give_pages(arena, memory->host, bytes);
	else
		free(memory->host);
}

int vio_arena_share(struct vio_arena *arena, void *host, size_t length, unsigned rights,
		    struct vio_addr *addr)
{
	uint8_t *copy;

	if (inside(arena, host, length)) {
		*addr = addr_of(arena, host);
		return 0;
	}
	copy = take_pages(arena, length);
	if (!copy)
		return -VIO_ENOMEM;
	if (rights & VIO_MEM_READ)
		memcpy(copy, host, length);
	else /* what was there before is nobody's business, neither the device's nor the caller's */
		memset(copy, 0, length);
	*addr = addr_of(arena, copy);
	return 0;
}

void vio_arena_unshare(struct vio_arena *arena, void *host, size_t length, unsigned rights,
		       struct vio_addr addr)
{
	uint8_t *copy = arena->host + (addr.raw - arena->addr.raw);

	if (inside(arena, host, length))
		return;
	if (rights & VIO_MEM_WRITE)
		memcpy(host, copy, length);
	give_pages(arena, copy, length);
}

void *vio_arena_host(const struct vio_arena *arena, struct vio_addr addr)
{
	if (addr.raw < arena->addr.raw || addr.raw - arena->addr.raw >= arena->bytes)
		return NULL;
	return arena->host + (addr.raw - arena->addr.raw);
}
