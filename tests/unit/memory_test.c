/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/test.h"

#include <string.h>

#include "lib/memory.h"

/* The memory table. Host addresses are never touched by it, so most of these are made up. */

#define CAPACITY 4u
#define READ     VIO_MEM_READ
#define WRITE    VIO_MEM_WRITE

struct table {
	struct vio_mem mem;
	struct vio_region regions[CAPACITY];
	uint8_t bytes[0x4000];
};

static int add(struct table *t, uint64_t base, uint64_t size, uint8_t *host, unsigned rights)
{
	const struct vio_region region = { vio_addr_make(base), size, host, rights };

	return vio_mem_add(&t->mem, &region);
}

static int resolve(struct table *t, uint64_t addr, uint64_t length, unsigned access, struct vio_span *spans,
		   unsigned max)
{
	unsigned hint, first = 0;
	int count = vio_mem_resolve(&t->mem, &first, vio_addr_make(addr), length, access, spans, max);

	/* The hint is only that: any value gives the same answer. */
	for (hint = 0; hint < CAPACITY + 3; hint++) {
		struct vio_span others[8];
		unsigned used = hint < CAPACITY + 2 ? hint : UINT32_MAX;

		assert_true(max <= VIO_ARRAY_SIZE(others));
		assert_int_equal(
			vio_mem_resolve(&t->mem, &used, vio_addr_make(addr), length, access, others, max),
			count);
		if (count > 0)
			assert_memory_equal(others, spans, (size_t)count * sizeof(*spans));
	}
	return count;
}

/* 0x1000..0x2fff and 0x3000..0x3fff touch by bus address alone; a hole; 0x5000..0x5fff readable only. */
static void open_table(struct table *t)
{
	vio_mem_init(&t->mem, t->regions, CAPACITY);
	assert_int_equal(add(t, 0x3000, 0x1000, t->bytes, READ | WRITE), 0);
	assert_int_equal(add(t, 0x5000, 0x1000, t->bytes + 0x1000, READ), 0);
	assert_int_equal(add(t, 0x1000, 0x2000, t->bytes + 0x2000, READ | WRITE), 0);
}

static void test_empty(void **state)
{
	struct table t;
	struct vio_span span;

	vio_mem_init(&t.mem, t.regions, CAPACITY);
	assert_int_equal(resolve(&t, 0, 1, READ, &span, 1), -VIO_EACCES);
	assert_int_equal(resolve(&t, 0, 0, READ, &span, 1), 0);
	assert_int_equal(vio_mem_remove(&t.mem, vio_addr_make(0), 0), -VIO_ENOENT);
	assert_null(vio_mem_pointer(&t.mem, vio_addr_make(0), 1, READ));
	vio_mem_init(&t.mem, NULL, 0);
	assert_int_equal(add(&t, 0, 1, t.bytes, READ), -VIO_ENOSPC);
	assert_int_equal(resolve(&t, 0, 1, READ, &span, 1), -VIO_EACCES);
}

static void test_inside(void **state)
{
	struct table t;
	struct vio_span span;

	open_table(&t);
	assert_int_equal(resolve(&t, 0x1000, 1, READ, &span, 1), 1);
	assert_ptr_equal(span.host, t.bytes + 0x2000);
	assert_int_equal(resolve(&t, 0x1000, 0x2000, READ | WRITE, &span, 1), 1);
	assert_int_equal(span.length, 0x2000);
	/* hostile: A17 */
	assert_int_equal(resolve(&t, 0x3fff, 1, WRITE, &span, 1), 1);
	assert_ptr_equal(span.host, t.bytes + 0xfff);
	assert_int_equal(span.length, 1);
	assert_ptr_equal(vio_mem_pointer(&t.mem, vio_addr_make(0x5010), 0xff0, READ), t.bytes + 0x1010);
	assert_null(vio_mem_pointer(&t.mem, vio_addr_make(0x5010), 0xff1, READ));
	assert_null(vio_mem_pointer(&t.mem, vio_addr_make(0x5010), 0, READ));
}

static void test_outside(void **state)
{
	static const uint64_t holes[] = { 0, 0xfff, 0x4000, 0x4fff, 0x6000, UINT64_MAX, UINT64_MAX - 1 };
	struct vio_span spans[4];
	struct table t;
	unsigned i;

	open_table(&t);
	for (i = 0; i < VIO_ARRAY_SIZE(holes); i++) {
		assert_int_equal(resolve(&t, holes[i], 1, READ, spans, 4), -VIO_EACCES); /* hostile: A19 */
		assert_int_equal(resolve(&t, holes[i], UINT64_MAX, READ, spans, 4), -VIO_EACCES);
		assert_int_equal(resolve(&t, holes[i], 0, READ, spans, 4), 0);
	}
	assert_int_equal(resolve(&t, 0xfff, 2, READ, spans, 4), -VIO_EACCES);
	/* hostile: A18 A21 */
	assert_int_equal(resolve(&t, 0x3fff, 2, READ, spans, 4), -VIO_EACCES);
	assert_int_equal(resolve(&t, 0x3000, 0x2001, READ, spans, 4), -VIO_EACCES);
	assert_int_equal(resolve(&t, 0x5fff, 2, READ, spans, 4), -VIO_EACCES);
	/* hostile: A15 */
	assert_int_equal(resolve(&t, 0x1000, UINT64_MAX - 0xfff, READ, spans, 4), -VIO_EACCES);
	assert_int_equal(resolve(&t, 0x1000, UINT64_MAX, READ, spans, 4), -VIO_EACCES);
}

static void test_rights(void **state)
{
	struct vio_span spans[2];
	struct table t;

	open_table(&t);
	assert_int_equal(resolve(&t, 0x5000, 1, READ, spans, 2), 1);
	assert_int_equal(resolve(&t, 0x5000, 1, WRITE, spans, 2), -VIO_EACCES);
	assert_int_equal(resolve(&t, 0x5000, 1, READ | WRITE, spans, 2), -VIO_EACCES);
	/* The right counts for every byte of it. */
	assert_int_equal(add(&t, 0x4000, 0x1000, t.bytes, WRITE), 0);
	assert_int_equal(resolve(&t, 0x4fff, 2, READ, spans, 2), -VIO_EACCES);
	assert_int_equal(resolve(&t, 0x4fff, 2, WRITE, spans, 2), -VIO_EACCES);
	assert_int_equal(resolve(&t, 0x3fff, 2, WRITE, spans, 2), 2);
	assert_int_equal(resolve(&t, 0x3fff, 2, READ, spans, 2), -VIO_EACCES);
}

/* hostile: A20 */
static void test_across(void **state)
{
	struct vio_span spans[3];
	struct table t;

	open_table(&t);
	assert_int_equal(resolve(&t, 0x2ffd, 5, WRITE, spans, 3), 2);
	assert_ptr_equal(spans[0].host, t.bytes + 0x3ffd);
	assert_int_equal(spans[0].length, 3);
	assert_ptr_equal(spans[1].host, t.bytes);
	assert_int_equal(spans[1].length, 2);
	assert_int_equal(resolve(&t, 0x2ffd, 5, WRITE, spans, 1), -VIO_ENOSPC);
	assert_int_equal(resolve(&t, 0x2ffd, 3, WRITE, spans, 1), 1);
	assert_int_equal(resolve(&t, 0x2ffd, 5, WRITE, spans, 0), -VIO_ENOSPC);
	assert_null(vio_mem_pointer(&t.mem, vio_addr_make(0x2ffd), 5, WRITE));
}

/* Neighbours in both worlds are one. */
static void test_joined(void **state)
{
	struct vio_span spans[3];
	struct table t;

	vio_mem_init(&t.mem, t.regions, CAPACITY);
	assert_int_equal(add(&t, 0x1000, 0x1000, t.bytes, READ | WRITE), 0);
	assert_int_equal(add(&t, 0x2000, 0x1000, t.bytes + 0x1000, READ | WRITE), 0);
	assert_int_equal(add(&t, 0x3000, 0x1000, t.bytes + 0x2000, READ), 0);
	assert_int_equal(add(&t, 0x4000, 0x1000, t.bytes, READ), 0);
	assert_int_equal(resolve(&t, 0x1000, 0x3000, READ, spans, 1), 1);
	assert_ptr_equal(spans[0].host, t.bytes);
	assert_int_equal(spans[0].length, 0x3000);
	assert_int_equal(resolve(&t, 0x1000, 0x3000, WRITE, spans, 1), -VIO_EACCES);
	assert_int_equal(resolve(&t, 0x1800, 0x3000, READ, spans, 3), 2);
	assert_int_equal(spans[0].length, 0x2800);
	assert_ptr_equal(spans[1].host, t.bytes);
	assert_int_equal(spans[1].length, 0x800);
}

static void test_add_refuses(void **state)
{
	static const struct {
		uint64_t base, size;
		int error;
	} adds[] = {
		{ 0x8000, 0, -VIO_ERANGE },
		{ UINT64_MAX, 1, -VIO_ERANGE },
		{ UINT64_MAX, UINT64_MAX, -VIO_ERANGE },
		{ 1, UINT64_MAX, -VIO_ERANGE },
		{ 0, UINT64_MAX, -VIO_EEXIST },
		{ 0x1000, 0x2000, -VIO_EEXIST },
		{ 0x1000, 1, -VIO_EEXIST },
		{ 0x2fff, 1, -VIO_EEXIST },
		{ 0xfff, 2, -VIO_EEXIST },
		{ 0, 0x1001, -VIO_EEXIST },
		{ 0, 0x10000, -VIO_EEXIST },
		{ 0x3fff, 0x1001, -VIO_EEXIST },
		{ 0x4000, 0x1001, -VIO_EEXIST },
		{ 0x5fff, 2, -VIO_EEXIST },
	};
	struct table t;
	unsigned i;

	open_table(&t);
	for (i = 0; i < VIO_ARRAY_SIZE(adds); i++) {
		struct vio_region before[CAPACITY];

		memcpy(before, t.regions, sizeof(before));
		assert_int_equal(add(&t, adds[i].base, adds[i].size, t.bytes, READ), adds[i].error);
		assert_int_equal(t.mem.count, 3);
		assert_memory_equal(before, t.regions, 3 * sizeof(before[0]));
	}
	assert_int_equal(add(&t, 0x4000, 0x1000, t.bytes, READ), 0);
	assert_int_equal(add(&t, 0x8000, 0x1000, t.bytes, READ), -VIO_ENOSPC);
	assert_int_equal(t.mem.count, 4);
}

static void test_remove(void **state)
{
	struct table t;
	struct vio_span span;

	open_table(&t);
	assert_int_equal(vio_mem_remove(&t.mem, vio_addr_make(0x1000), 0x1000), -VIO_ENOENT);
	assert_int_equal(vio_mem_remove(&t.mem, vio_addr_make(0x1001), 0x1fff), -VIO_ENOENT);
	assert_int_equal(vio_mem_remove(&t.mem, vio_addr_make(0), 0x2000), -VIO_ENOENT);
	assert_int_equal(vio_mem_remove(&t.mem, vio_addr_make(0x4000), 0x1000), -VIO_ENOENT);
	assert_int_equal(vio_mem_remove(&t.mem, vio_addr_make(UINT64_MAX), 1), -VIO_ENOENT);
	assert_int_equal(t.mem.count, 3);
	assert_int_equal(vio_mem_remove(&t.mem, vio_addr_make(0x3000), 0x1000), 0);
	assert_int_equal(vio_mem_remove(&t.mem, vio_addr_make(0x3000), 0x1000), -VIO_ENOENT);
	assert_int_equal(resolve(&t, 0x3000, 1, READ, &span, 1), -VIO_EACCES);
	assert_int_equal(resolve(&t, 0x2fff, 1, READ, &span, 1), 1);
	assert_int_equal(resolve(&t, 0x5000, 1, READ, &span, 1), 1);
	assert_int_equal(add(&t, 0x3000, 0x2000, t.bytes, READ), 0);
	assert_int_equal(vio_mem_remove(&t.mem, vio_addr_make(0x1000), 0x2000), 0);
	assert_int_equal(vio_mem_remove(&t.mem, vio_addr_make(0x3000), 0x2000), 0);
	assert_int_equal(vio_mem_remove(&t.mem, vio_addr_make(0x5000), 0x1000), 0);
	assert_int_equal(t.mem.count, 0);
}

/* hostile: A15 A16 */
static void test_top(void **state)
{
	struct table t;
	struct vio_span span;

	vio_mem_init(&t.mem, t.regions, CAPACITY);
	assert_int_equal(add(&t, UINT64_MAX - 0x1000, 0x1001, t.bytes, READ), -VIO_ERANGE);
	assert_int_equal(add(&t, UINT64_MAX - 0x1000, 0x1000, t.bytes, READ), 0);
	assert_int_equal(resolve(&t, UINT64_MAX - 1, 1, READ, &span, 1), 1);
	assert_ptr_equal(span.host, t.bytes + 0xfff);
	assert_int_equal(resolve(&t, UINT64_MAX - 1, 2, READ, &span, 1), -VIO_EACCES);
	assert_int_equal(resolve(&t, UINT64_MAX - 1, 3, READ, &span, 1), -VIO_EACCES);
	assert_int_equal(resolve(&t, UINT64_MAX, 1, READ, &span, 1), -VIO_EACCES);
	assert_int_equal(add(&t, 0, 0x1000, t.bytes, READ), 0);
	/* What comes after the last byte isn't the first. */
	assert_int_equal(resolve(&t, UINT64_MAX - 1, 0x10, READ, &span, 1), -VIO_EACCES);
	assert_int_equal(vio_mem_remove(&t.mem, vio_addr_make(0), 0x1000), 0);
	assert_int_equal(vio_mem_remove(&t.mem, vio_addr_make(UINT64_MAX - 0x1000), 0x1000), 0);
	assert_int_equal(add(&t, 0, UINT64_MAX, t.bytes, READ), 0);
	assert_int_equal(resolve(&t, 0x100, 0x100, READ, &span, 1), 1);
	assert_ptr_equal(span.host, t.bytes + 0x100);
}

/* Against a map of bytes: what the table says about every range of a small world. */
static void test_against_a_map(void **state)
{
	enum { WORLD = 64 };
	unsigned round, i, start, length, spans_max = 8;
	uint64_t seed = 7;

	for (round = 0; round < 40; round++) {
		uint8_t rights[WORLD + 1] = { 0 }, *host[WORLD + 1] = { NULL };
		struct vio_span spans[8];
		struct table t;

		vio_mem_init(&t.mem, t.regions, CAPACITY);
		for (i = 0; i < 20; i++) {
			uint64_t base = test_random_below(&seed, WORLD),
				 size = 1 + test_random_below(&seed, 20);
			uint8_t *at = t.bytes + base + 200 * test_random_below(&seed, 2);
			unsigned grants = 1 + test_random_below(&seed, 3), byte;

			if (base + size > WORLD || add(&t, base, size, at, grants))
				continue;
			for (byte = 0; byte < size; byte++) {
				assert_null(host[base + byte]);
				host[base + byte] = at + byte;
				rights[base + byte] = (uint8_t)grants;
			}
		}
		for (start = 0; start < WORLD; start++) {
			for (length = 1; length <= WORLD - start; length++) {
				unsigned access = 1 + test_random_below(&seed, 3), byte;
				bool allowed = true;
				int count;

				for (byte = start; byte < start + length; byte++)
					allowed = allowed && (rights[byte] & access) == access;
				count = resolve(&t, start, length, access, spans, spans_max);
				if (!allowed) {
					assert_int_equal(count, -VIO_EACCES);
					continue;
				}
				assert_true(count > 0);
				for (i = 0, byte = start; i < (unsigned)count; byte += spans[i++].length) {
					assert_ptr_equal(spans[i].host, host[byte]);
					assert_ptr_equal(spans[i].host + spans[i].length - 1,
							 host[byte + spans[i].length - 1]);
				}
				assert_int_equal(byte, start + length);
			}
		}
	}
}

/* What an IOMMU would say: pages of bus addresses from 0x8000 on lie backwards in the host. */
struct iommu {
	uint8_t *bytes;
	unsigned asked, access;
	int lie; /* 1: not there; 2: of no size; 3: beyond the end of addresses; 4: no rights */
};

static bool translate(void *context, struct vio_addr addr, unsigned access, struct vio_region *found)
{
	struct iommu *iommu = context;
	const uint64_t page = addr.raw / 0x1000;

	iommu->asked++;
	iommu->access = access;
	if (page < 8 || page > 11)
		return false;
	*found = (struct vio_region){ vio_addr_make(page * 0x1000), 0x1000,
				      iommu->bytes + 0x1000 * (11 - page), READ | WRITE };
	if (iommu->lie == 1)
		found->base.raw += 0x1000;
	else if (iommu->lie == 2)
		found->size = 0;
	else if (iommu->lie == 3)
		found->size = UINT64_MAX;
	else if (iommu->lie == 4)
		found->rights = READ;
	return true;
}

/* hostile: A109 */
static void test_translate(void **state)
{
	struct vio_span spans[4];
	struct iommu iommu = { .lie = 0 };
	struct table t;
	unsigned hint = 1;

	open_table(&t);
	iommu.bytes = t.bytes;
	t.mem.translate = translate;
	t.mem.translate_context = &iommu;
	/* What the table holds nobody is asked about. */
	assert_int_equal(resolve(&t, 0x1000, 0x3000, WRITE, spans, 4), 2);
	assert_int_equal(iommu.asked, 0);
	assert_int_equal(resolve(&t, 0x8ff0, 0x1020, WRITE, spans, 4), 3);
	assert_int_equal(iommu.access, WRITE);
	assert_ptr_equal(spans[0].host, t.bytes + 0x3ff0);
	assert_int_equal(spans[0].length, 0x10);
	assert_ptr_equal(spans[1].host, t.bytes + 0x2000);
	assert_int_equal(spans[1].length, 0x1000);
	assert_ptr_equal(spans[2].host, t.bytes + 0x1000);
	assert_int_equal(spans[2].length, 0x10);
	assert_int_equal(resolve(&t, 0x8ff0, 0x1020, WRITE, spans, 2), -VIO_ENOSPC);
	assert_ptr_equal(vio_mem_pointer(&t.mem, vio_addr_make(0xb000), 0x1000, READ), t.bytes);
	assert_null(vio_mem_pointer(&t.mem, vio_addr_make(0xb000), 0x1001, READ)); /* a byte too many */
	assert_null(vio_mem_pointer(&t.mem, vio_addr_make(0x7fff), 1, READ));
	for (iommu.lie = 1; iommu.lie <= 4; iommu.lie++)
		assert_int_equal(vio_mem_resolve(&t.mem, &hint, vio_addr_make(0x8000), 1, WRITE, spans, 4),
				 -VIO_EACCES);
	assert_int_equal(hint, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),       cmocka_unit_test(test_inside),
		cmocka_unit_test(test_outside),     cmocka_unit_test(test_rights),
		cmocka_unit_test(test_across),      cmocka_unit_test(test_joined),
		cmocka_unit_test(test_add_refuses), cmocka_unit_test(test_remove),
		cmocka_unit_test(test_top),         cmocka_unit_test(test_against_a_map),
		cmocka_unit_test(test_translate),
	};

	return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
