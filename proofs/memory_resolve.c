/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vio_mem_resolve(): for any table of sorted, disjoint regions and any request, what comes back lies wholly
 * in regions that grant the access, each byte at its place, and adds up; or it is refused with a code.
 *
 * source: src/memory/memory.c
 * cbmc: --unwind 5
 * mutant: src/memory/memory.c: if (piece > length) => if (piece > length + 1)
 * mutant: src/memory/memory.c: (region->rights & access) != access => !(region->rights & access)
 * mutant: src/memory/memory.c: if (count == max) => if (count > max)
 */
#include "src/memory/memory.c"

#include "nondet.h"

#define REGIONS 2
#define SPANS 2
#define BYTES 16

int main(void)
{
	static uint8_t host[REGIONS][BYTES];
	struct vio_region storage[REGIONS];
	struct vio_span spans[SPANS];
	struct vio_mem mem = { storage, nondet_unsigned(), REGIONS };
	unsigned hint = nondet_unsigned(), access = nondet_unsigned(), max = nondet_unsigned(), i;
	uint64_t addr = nondet_u64(), length = nondet_u64(), total = 0, byte = nondet_u64(), offset;
	int count;

	__CPROVER_assume(mem.count <= REGIONS && access >= 1 && access <= 3 && max <= SPANS);
	for (i = 0; i < mem.count; i++) {
		storage[i] =
			(struct vio_region){ { nondet_u64() }, nondet_u64(), host[i], nondet_unsigned() };
		__CPROVER_assume(storage[i].size >= 1 && storage[i].size <= BYTES && storage[i].rights <= 3);
		__CPROVER_assume(storage[i].base.raw <= UINT64_MAX - storage[i].size);
		if (i)
			__CPROVER_assume(storage[i - 1].base.raw + storage[i - 1].size <=
					 storage[i].base.raw);
	}

	count = vio_mem_resolve(&mem, &hint, vio_addr_make(addr), length, access, spans, max);
	if (count < 0) {
		__CPROVER_assert(count == -VIO_EACCES || count == -VIO_ENOSPC, "a code that says why");
		return 0;
	}
	__CPROVER_assert((unsigned)count <= max, "no more than there is room for");
	for (i = 0; i < (unsigned)count; i++) {
		__CPROVER_assert(spans[i].length >= 1 && spans[i].length <= length - total,
				 "not empty, not too long");
		if (byte >= total && byte - total < spans[i].length) {
			unsigned r = 0;

			/* Any one byte of the span. */
			for (r = 0; r < mem.count; r++)
				if (addr + byte - storage[r].base.raw < storage[r].size)
					break;
			__CPROVER_assert(r < mem.count, "in a region");
			offset = addr + byte - storage[r].base.raw;
			__CPROVER_assert((storage[r].rights & access) == access, "that grants the access");
			__CPROVER_assert(spans[i].host + (byte - total) == host[r] + offset, "at its place");
		}
		total += spans[i].length;
	}
	__CPROVER_assert(total == length, "all of it");
	return 0;
}
