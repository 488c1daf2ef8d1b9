/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TEST_LIB_MEMORY_H
#define TEST_LIB_MEMORY_H

#include <vireo/memory.h>

/*
 * Memory as a driver and a device share it: regions, each in a mapping of its own
 * between two inaccessible pages, so that whoever reads or writes past an end
 * dies at once. A region that isn't a multiple of a page ends at the guard.
 */
#define TEST_REGIONS_MAX 8u
#define TEST_PAGE        UINT64_C(0x1000)
#define TEST_RW          (VIO_MEM_READ | VIO_MEM_WRITE)

struct test_mapping {
	uint64_t base, size;
	uint8_t *host;
	unsigned rights;
	void *whole;
	size_t whole_bytes;
};

struct test_memory {
	struct vio_mem mem;
	struct vio_region regions[TEST_REGIONS_MAX];
	struct test_mapping mappings[TEST_REGIONS_MAX];
	unsigned count;
};

void test_memory_init(struct test_memory *memory);
/* Adds a region of zeros; returns its first byte. */
uint8_t *test_memory_add(struct test_memory *memory, uint64_t base, uint64_t size, unsigned rights);
/* Makes regions without VIO_MEM_WRITE unwritable for this process, too. */
void test_memory_seal(struct test_memory *memory);
void test_memory_free(struct test_memory *memory);

/* The byte at a bus address, by a way of its own, not by vio_mem_resolve(); fails the test outside. */
uint8_t *test_memory_at(const struct test_memory *memory, uint64_t addr);
/* Copies by bus address, over ends of regions where they touch. */
void test_memory_put(const struct test_memory *memory, uint64_t addr, const void *from, size_t length);
void test_memory_get(const struct test_memory *memory, uint64_t addr, void *to, size_t length);
/* A number that changes with any byte of [addr, addr + length). */
uint64_t test_memory_hash(const struct test_memory *memory, uint64_t addr, size_t length);
/* Whether [host, host + length) lies inside one mapping that has `access`. */
bool test_memory_owns(const struct test_memory *memory, const uint8_t *host, size_t length, unsigned access);

/* A stream of numbers that a seed decides. */
static inline uint64_t test_random(uint64_t *seed)
{
	uint64_t z = *seed += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* One of 0 .. count - 1. */
static inline unsigned test_random_below(uint64_t *seed, unsigned count)
{
	return (unsigned)(test_random(seed) % count);
}

#endif
