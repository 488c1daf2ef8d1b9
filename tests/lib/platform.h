/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TEST_LIB_PLATFORM_H
#define TEST_LIB_PLATFORM_H

#include <vireo/platform.h>

/*
 * The platform of a machine that hides nothing: each piece of memory that a device may see has pages
 * of its own with an inaccessible one behind it, and its own entry with its own rights in `mem`, from
 * take to give_back and from share to unshare, and no longer. Shared buffers are copied there and back
 * (bounced); what the device doesn't fill comes back as TEST_PLATFORM_POISON.
 *
 * Time is counted, not measured: a look at the clock takes a microsecond, and a wait in which nothing
 * happened as long as it was allowed to.
 */
#define TEST_PLATFORM_BASE   UINT64_C(0x480000000) /* bus address of the arena */
#define TEST_PLATFORM_BYTES  (UINT64_C(64) << 20)
#define TEST_PLATFORM_POISON 0xa7

/* The device side sees all of the arena at once, as with vhost-user, where one mapping is handed over. */
#define TEST_PLATFORM_WHOLE 1u

#define TEST_PLATFORM_NEVER UINT32_MAX

struct test_platform {
	struct vio_platform platform; /* for vio_driver_bind() */
	struct vio_mem mem;           /* for the device */
	int fd;                       /* of the arena */
	unsigned flags;

	/* What wait() calls first; true when it did something. May be NULL. */
	bool (*run)(void *context);
	void *run_context;

	uint64_t now_ns;
	unsigned waits;
	unsigned taken;      /* pieces not given back */
	unsigned shared;     /* buffers not unshared */
	unsigned fail_after; /* takes and shares that work before one that doesn't; TEST_PLATFORM_NEVER */

	struct vio_region *regions;
	uint8_t *arena;
	uint8_t *pages;    /* for each page: 1 in use */
	uint32_t *lengths; /* of the piece that begins in it */
};

void test_platform_init(struct test_platform *platform, unsigned flags);

/* Fails the test when something wasn't given back. */
void test_platform_free(struct test_platform *platform);

/* The byte at a bus address that was given out, whatever the rights; NULL for any other. */
uint8_t *test_platform_at(const struct test_platform *platform, struct vio_addr addr);

#endif
