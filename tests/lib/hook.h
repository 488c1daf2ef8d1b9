/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TEST_LIB_HOOK_H
#define TEST_LIB_HOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What a queue does to shared memory, as src/base/atomic.h tells it. `load` is called before
 * each load. `store` is called before each store and says true when the store is no more the
 * queue's business. `barrier` is called at each full barrier.
 */
struct test_hook {
	void (*load)(void *context, const void *address, size_t size);
	void *context;
	bool (*store)(void *context, void *address, uint64_t raw, size_t size, bool release);
	void (*barrier)(void *context);
};

extern struct test_hook test_hook;

static inline void test_hook_load(const void *address, size_t size)
{
	if (test_hook.load)
		test_hook.load(test_hook.context, address, size);
}

static inline bool test_hook_store(void *address, uint64_t raw, size_t size, bool release)
{
	return test_hook.store && test_hook.store(test_hook.context, address, raw, size, release);
}

static inline void test_hook_barrier(void)
{
	if (test_hook.barrier)
		test_hook.barrier(test_hook.context);
}

/* For the sources that are compiled once more with the hooks: tests/lib/hooked_*.c. */
#ifdef TEST_HOOKED
#define VIO_SHARED_LOAD(address, size)                test_hook_load(address, size)
#define VIO_SHARED_STORE(address, raw, size, release) test_hook_store(address, raw, size, release)
#define VIO_SHARED_BARRIER()                          test_hook_barrier()
#endif

#endif
