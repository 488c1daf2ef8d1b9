/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TEST_LIB_HOOK_H
#define TEST_LIB_HOOK_H

#include <stddef.h>

/* Called before each load that a queue makes from shared memory. */
struct test_hook {
	void (*load)(void *context, const void *address, size_t size);
	void *context;
};

extern struct test_hook test_hook;

static inline void test_hook_load(const void *address, size_t size)
{
	if (test_hook.load)
		test_hook.load(test_hook.context, address, size);
}

#endif
