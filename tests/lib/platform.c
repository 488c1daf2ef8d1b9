/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE /* memfd_create */
#include "lib/platform.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE        4096u
#define PAGES       (TEST_PLATFORM_BYTES / PAGE)
#define REGIONS_MAX 8192u
#define ALIGNMENT   16u

static bool fails(struct test_platform *platform)
{
	if (platform->fail_after == TEST_PLATFORM_NEVER)
		return false;
	if (!platform->fail_after)
		return true;
	platform->fail_after--;
	return false;
}

/* First of `count` free pages and one more, which stays inaccessible. */
static size_t find_pages(const struct test_platform *platform, size_t count)
{
	size_t run = 0;

	for (size_t page = 0; page < PAGES; page++) {
		run = platform->pages[page] ? 0 : run + 1;
		if (run == count + 1)
			return page - count;
	}
	fail_msg("the arena of the test platform is full");
	return 0;
}

/* Accessible pages for `length` bytes, which end at the guard as far as alignment allows. */
static uint8_t *arena_take(struct test_platform *platform, size_t length, unsigned alignment, unsigned rights)
{
	size_t count = (length + PAGE - 1) / PAGE, page = find_pages(platform, count);
	uint8_t *first = platform->arena + page * PAGE;
	uint8_t *at = first + (count * PAGE - length) / alignment * alignment;
	struct vio_region region = {
		.base = vio_addr_make(TEST_PLATFORM_BASE + (uint64_t)(at - platform->arena)),
		.size = length,
		.host = at,
		.rights = rights,
	};

	assert_true(length > 0);
	assert_int_equal(mprotect(first, count * PAGE, PROT_READ | PROT_WRITE), 0);
	memset(platform->pages + page, 1, count + 1);
	platform->lengths[page] = (uint32_t)length;
	if (!(platform->flags & TEST_PLATFORM_WHOLE))
		assert_int_equal(vio_mem_add(&platform->mem, &region), 0);
	return at;
}

static void arena_give_back(struct test_platform *platform, const uint8_t *at, size_t length)
{
	size_t count = (length + PAGE - 1) / PAGE, page = (size_t)(at - platform->arena) / PAGE;
	uint64_t base = TEST_PLATFORM_BASE + (uint64_t)(at - platform->arena);

	assert_true(at >= platform->arena && page < PAGES);
	assert_int_equal(platform->lengths[page], length);
	if (!(platform->flags & TEST_PLATFORM_WHOLE))
		assert_int_equal(vio_mem_remove(&platform->mem, vio_addr_make(base), length), 0);
	memset(platform->pages + page, 0, count + 1);
	platform->lengths[page] = 0;
	assert_int_equal(mprotect(platform->arena + page * PAGE, count * PAGE, PROT_NONE), 0);
}

static int take(void *context, size_t bytes, unsigned rights, struct vio_shared *memory)
{
	struct test_platform *platform = context;

	if (fails(platform))
		return -VIO_ENOMEM;
	if (!rights) {
		memory->host = aligned_alloc(PAGE, (bytes + PAGE - 1) / PAGE * PAGE);
		assert_non_null(memory->host);
		memory->addr = vio_addr_make(0);
	} else {
		memory->host = arena_take(platform, bytes, PAGE, rights);
		memory->addr = vio_addr_make(TEST_PLATFORM_BASE +
					     (uint64_t)((uint8_t *)memory->host - platform->arena));
	}
	memset(memory->host, 0, bytes);
	platform->taken++;
	return 0;
}

static void give_back(void *context, const struct vio_shared *memory, size_t bytes)
{
	struct test_platform *platform = context;

	assert_int_not_equal(platform->taken, 0);
	platform->taken--;
	if (memory->addr.raw)
		arena_give_back(platform, memory->host, bytes);
	else
		free(memory->host);
}

static int share(void *context, void *host, size_t length, unsigned rights, struct vio_addr *addr)
{
	struct test_platform *platform = context;
	uint8_t *at;

	assert_int_not_equal(rights, 0);
	if (fails(platform))
		return -VIO_ENOMEM;
	at = arena_take(platform, length, ALIGNMENT, rights);
	if (rights & VIO_MEM_READ)
		memcpy(at, host, length);
	else
		memset(at, TEST_PLATFORM_POISON, length);
	*addr = vio_addr_make(TEST_PLATFORM_BASE + (uint64_t)(at - platform->arena));
	platform->shared++;
	return 0;
}

static void unshare(void *context, void *host, size_t length, unsigned rights, struct vio_addr addr)
{
	struct test_platform *platform = context;
	uint8_t *at = test_platform_at(platform, addr);

	assert_non_null(at);
	assert_int_not_equal(platform->shared, 0);
	platform->shared--;
	if (rights & VIO_MEM_WRITE)
		memcpy(host, at, length);
	arena_give_back(platform, at, length);
}

static uint64_t now_ns(void *context)
{
	struct test_platform *platform = context;

	return platform->now_ns += 1000;
}

static void wait(void *context, uint64_t timeout_ns)
{
	struct test_platform *platform = context;

	platform->waits++;
	if (!platform->run || !platform->run(platform->run_context))
		platform->now_ns += timeout_ns;
}

uint8_t *test_platform_at(const struct test_platform *platform, struct vio_addr addr)
{
	uint64_t offset = addr.raw - TEST_PLATFORM_BASE;

	return offset < TEST_PLATFORM_BYTES && platform->pages[offset / PAGE] ? platform->arena + offset
									      : NULL;
}

void test_platform_init(struct test_platform *platform, unsigned flags)
{
	*platform = (struct test_platform){
		.platform = {
			.context = platform,
			.take = take,
			.give_back = give_back,
			.share = share,
			.unshare = unshare,
			.now_ns = now_ns,
			.wait = wait,
		},
		.flags = flags,
		.fail_after = TEST_PLATFORM_NEVER,
	};
	platform->fd = memfd_create("arena", MFD_CLOEXEC);
	assert_true(platform->fd >= 0);
	assert_int_equal(ftruncate(platform->fd, TEST_PLATFORM_BYTES), 0);
	platform->arena = mmap(NULL, TEST_PLATFORM_BYTES, PROT_NONE, MAP_SHARED, platform->fd, 0);
	assert_ptr_not_equal(platform->arena, MAP_FAILED);
	platform->pages = calloc(PAGES, sizeof(*platform->pages));
	platform->lengths = calloc(PAGES, sizeof(*platform->lengths));
	platform->regions = calloc(REGIONS_MAX, sizeof(*platform->regions));
	assert_non_null(platform->pages);
	assert_non_null(platform->lengths);
	assert_non_null(platform->regions);
	vio_mem_init(&platform->mem, platform->regions, REGIONS_MAX);
	if (flags & TEST_PLATFORM_WHOLE) {
		const struct vio_region whole = {
			.base = vio_addr_make(TEST_PLATFORM_BASE),
			.size = TEST_PLATFORM_BYTES,
			.host = platform->arena,
			.rights = VIO_MEM_READ | VIO_MEM_WRITE,
		};

		assert_int_equal(vio_mem_add(&platform->mem, &whole), 0);
	}
}

void test_platform_free(struct test_platform *platform)
{
	assert_int_equal(platform->taken, 0);
	assert_int_equal(platform->shared, 0);
	munmap(platform->arena, TEST_PLATFORM_BYTES);
	close(platform->fd);
	free(platform->pages);
	free(platform->lengths);
	free(platform->regions);
}
