/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vio_mem_add() and vio_mem_remove(): a table of sorted, disjoint regions that don't wrap stays one, with
 * the region that was added or without the one that was removed, and all others as they were. What is
 * refused changes nothing, and is refused for what the code says.
 *
 * source: src/memory/memory.c
 * entry: add remove_one
 * cbmc: --unwind 4
 * mutant: src/memory/memory.c: mem->regions[at].base.raw < end => mem->regions[at].base.raw + 1 < end
 * mutant: src/memory/memory.c: if (at && region_holds(&mem->regions[at - 1], region->base.raw)) => if (0)
 * mutant: src/memory/memory.c: if (mem->count == mem->capacity) => if (mem->count > mem->capacity)
 * mutant: src/memory/memory.c: i > at; i--) => i > at + 1; i--)
 * mutant: src/memory/memory.c: at <= mem->count; at++) => at < mem->count; at++)
 * mutant: src/memory/memory.c: || mem->regions[at - 1].size != size) => )
 */
#include "src/memory/memory.c"

#include "nondet.h"

#define REGIONS 3

static uint8_t host[REGIONS + 1];
static struct vio_region storage[REGIONS], before[REGIONS];

static struct vio_region any_region(unsigned which)
{
	return (struct vio_region){ { nondet_u64() }, nondet_u64(), &host[which], nondet_unsigned() };
}

static bool same(const struct vio_region *a, const struct vio_region *b)
{
	return a->base.raw == b->base.raw && a->size == b->size && a->host == b->host &&
	       a->rights == b->rights;
}

static bool overlap(const struct vio_region *a, const struct vio_region *b)
{
	return a->base.raw < b->base.raw + b->size && b->base.raw < a->base.raw + a->size;
}

static bool legal(const struct vio_mem *mem)
{
	for (unsigned i = 0; i < REGIONS && i < mem->count; i++) {
		const struct vio_region *r = &mem->regions[i];

		if (!r->size || r->base.raw > UINT64_MAX - r->size)
			return false;
		if (i && r[-1].base.raw + r[-1].size > r->base.raw)
			return false;
	}
	return mem->count <= mem->capacity;
}

/* How often the table has a region. */
static unsigned times(const struct vio_mem *mem, const struct vio_region *region)
{
	unsigned found = 0;

	for (unsigned i = 0; i < REGIONS && i < mem->count; i++)
		found += same(&mem->regions[i], region);
	return found;
}

static void make(struct vio_mem *mem)
{
	*mem = (struct vio_mem){ storage, nondet_unsigned(), nondet_unsigned(), NULL, NULL };
	__CPROVER_assume(mem->capacity <= REGIONS);
	for (unsigned i = 0; i < REGIONS; i++)
		before[i] = storage[i] = any_region(i);
	__CPROVER_assume(legal(mem));
}

static void check_unchanged(const struct vio_mem *mem, unsigned count)
{
	__CPROVER_assert(mem->count == count, "as many as before");
	for (unsigned i = 0; i < REGIONS; i++)
		__CPROVER_assert(same(&storage[i], &before[i]), "nothing changed");
}

void add(void)
{
	const struct vio_region region = any_region(REGIONS);
	unsigned old = nondet_unsigned(), count, overlaps = 0;
	struct vio_mem mem;
	int error;

	make(&mem);
	count = mem.count;
	__CPROVER_assume(old < REGIONS);
	error = vio_mem_add(&mem, &region);
	if (!region.size || region.base.raw > UINT64_MAX - region.size) {
		__CPROVER_assert(error == -VIO_ERANGE, "none that is empty or wraps");
		check_unchanged(&mem, count);
		return;
	}
	for (unsigned i = 0; i < REGIONS && i < count; i++)
		overlaps += overlap(&before[i], &region);
	__CPROVER_assert(error == (count == mem.capacity ? -VIO_ENOSPC
				   : overlaps            ? -VIO_EEXIST
							 : 0),
			 "taken, or refused for what it is");
	if (error) {
		check_unchanged(&mem, count);
		return;
	}
	__CPROVER_assert(legal(&mem) && mem.count == count + 1, "the table stays legal");
	__CPROVER_assert(times(&mem, &region) == 1, "it is there");
	if (old < count)
		__CPROVER_assert(times(&mem, &before[old]) == 1, "and so is each other one");
}

void remove_one(void)
{
	const struct vio_addr base = { nondet_u64() };
	const uint64_t size = nondet_u64();
	unsigned old = nondet_unsigned(), count, which = REGIONS;
	struct vio_mem mem;
	int error;

	make(&mem);
	count = mem.count;
	__CPROVER_assume(old < REGIONS);
	for (unsigned i = 0; i < REGIONS && i < count; i++)
		if (before[i].base.raw == base.raw && before[i].size == size)
			which = i;
	error = vio_mem_remove(&mem, base, size);
	__CPROVER_assert(error == (which == REGIONS ? -VIO_ENOENT : 0), "removed when it was there");
	if (error) {
		check_unchanged(&mem, count);
		return;
	}
	__CPROVER_assert(legal(&mem) && mem.count + 1 == count, "the table stays legal");
	if (old < count)
		__CPROVER_assert(times(&mem, &before[old]) == (old != which),
				 "without it, with each other one");
}
