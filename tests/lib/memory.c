/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/test.h"

#include <string.h>
#include <sys/mman.h>

#include "lib/memory.h"

void test_memory_init(struct test_memory *memory)
{
	memset(memory, 0, sizeof(*memory));
	vio_mem_init(&memory->mem, memory->regions, TEST_REGIONS_MAX);
}

uint8_t *test_memory_add(struct test_memory *memory, uint64_t base, uint64_t size, unsigned rights)
{
	struct test_mapping *mapping = &memory->mappings[memory->count];
	size_t inner = (size_t)((size + TEST_PAGE - 1) / TEST_PAGE * TEST_PAGE);
	struct vio_region region;

	assert_true(memory->count < TEST_REGIONS_MAX);
	mapping->whole_bytes = inner + 2 * TEST_PAGE;
	mapping->whole = mmap(NULL, mapping->whole_bytes, PROT_NONE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_true(mapping->whole != MAP_FAILED);
	mapping->host = (uint8_t *)mapping->whole + TEST_PAGE;
	assert_int_equal(mprotect(mapping->host, inner, PROT_READ | PROT_WRITE), 0);
	mapping->host += inner - size;
	mapping->base = base;
	mapping->size = size;
	mapping->rights = rights;
	region = (struct vio_region){ vio_addr_make(base), size, mapping->host, rights };
	assert_int_equal(vio_mem_add(&memory->mem, &region), 0);
	memory->count++;
	return mapping->host;
}

void test_memory_seal(struct test_memory *memory)
{
	unsigned i;

	for (i = 0; i < memory->count; i++) {
		struct test_mapping *mapping = &memory->mappings[i];

		if (mapping->rights & VIO_MEM_WRITE)
			continue;
		assert_int_equal(mprotect((uint8_t *)mapping->whole + TEST_PAGE,
					  mapping->whole_bytes - 2 * TEST_PAGE, PROT_READ),
				 0);
	}
}

void test_memory_free(struct test_memory *memory)
{
	while (memory->count) {
		struct test_mapping *mapping = &memory->mappings[--memory->count];

		assert_int_equal(munmap(mapping->whole, mapping->whole_bytes), 0);
	}
}

static const struct test_mapping *find(const struct test_memory *memory, uint64_t addr)
{
	unsigned i;

	for (i = 0; i < memory->count; i++)
		if (addr >= memory->mappings[i].base &&
		    addr - memory->mappings[i].base < memory->mappings[i].size)
			return &memory->mappings[i];
	fail_msg("the test touches %#llx, where it has no memory", (unsigned long long)addr);
	return NULL;
}

uint8_t *test_memory_at(const struct test_memory *memory, uint64_t addr)
{
	const struct test_mapping *mapping = find(memory, addr);

	return mapping->host + (addr - mapping->base);
}

/* How many of `length` bytes from `addr` on lie in the same mapping. */
static size_t piece_at(const struct test_memory *memory, uint64_t addr, size_t length)
{
	const struct test_mapping *mapping = find(memory, addr);
	uint64_t there = mapping->size - (addr - mapping->base);

	return there < length ? (size_t)there : length;
}

void test_memory_put(const struct test_memory *memory, uint64_t addr, const void *from, size_t length)
{
	const uint8_t *at = from;

	while (length) {
		size_t piece = piece_at(memory, addr, length);

		memcpy(test_memory_at(memory, addr), at, piece);
		addr += piece;
		at += piece;
		length -= piece;
	}
}

void test_memory_get(const struct test_memory *memory, uint64_t addr, void *to, size_t length)
{
	uint8_t *at = to;

	while (length) {
		size_t piece = piece_at(memory, addr, length);

		memcpy(at, test_memory_at(memory, addr), piece);
		addr += piece;
		at += piece;
		length -= piece;
	}
}

static uint64_t hash_more(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
	return hash ^ hash >> 32;
}

uint64_t test_memory_hash(const struct test_memory *memory, uint64_t addr, size_t length)
{
	uint64_t hash = length;

	while (length) {
		size_t piece = piece_at(memory, addr, length), i;
		const uint8_t *at = test_memory_at(memory, addr);
		uint64_t word;

		for (i = 0; i + sizeof(word) <= piece; i += sizeof(word)) {
			memcpy(&word, at + i, sizeof(word));
			hash = hash_more(hash, word);
		}
		for (; i < piece; i++)
			hash = hash_more(hash, at[i]);
		addr += piece;
		length -= piece;
	}
	return hash;
}

bool test_memory_owns(const struct test_memory *memory, const uint8_t *host, size_t length, unsigned access)
{
	unsigned i;

	for (i = 0; i < memory->count; i++) {
		const struct test_mapping *mapping = &memory->mappings[i];

		if ((uintptr_t)host >= (uintptr_t)mapping->host &&
		    (uintptr_t)host - (uintptr_t)mapping->host <= mapping->size &&
		    length <= mapping->size - ((uintptr_t)host - (uintptr_t)mapping->host))
			return (mapping->rights & access) == access;
	}
	return false;
}
