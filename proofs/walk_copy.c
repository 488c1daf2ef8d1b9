/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vio_walk_copy_entry(): an entry of a table that lies in two pieces, at any address: each byte of the
 * copy is that of the memory, in order, and nothing besides is written; or it is refused.
 *
 * source: src/ring/walk.c
 * source: src/ring/walk.h
 * cbmc: --unwind 17 --unwindset vio_walk_copy_entry.1:3,vio_mem_resolve.0:3,main.0:65
 * mutant: src/ring/walk.c: table + 16ull * at); => table + 16ull * at + 1);
 * mutant: src/ring/walk.c: i < count; i++) => i <= count; i++)
 * mutant: src/ring/walk.c: *to++ = *(volatile uint8_t *)&spans[i].host[byte]; => \
 *   to[byte] = *(volatile uint8_t *)&spans[i].host[byte];
 * mutant: src/ring/walk.c: return count > 0; => return true;
 */
#define WALK_PARTS_THEMSELVES
#include "device_queue.h"

#define HOST_BYTES 64u
#define PIECES     2u

static uint8_t host[HOST_BYTES]; /* each byte another, so that it tells where it is */
static uint64_t asked_for;
static unsigned byte;            /* of the entry, any one */
static const uint8_t *its_place; /* of that byte */
static bool granted;

/* memory_resolve.c proves it; here it may answer whatever its contract allows. */
int vio_mem_resolve(const struct vio_mem *mem, unsigned *hint, struct vio_addr addr, uint64_t length,
		    unsigned access, struct vio_span *spans, unsigned max)
{
	unsigned total = 0, count = 0;

	(void)mem;
	__CPROVER_assert(addr.raw == asked_for && length == 16 && access == VIO_MEM_READ, "of the entry");
	__CPROVER_assert(max == 16, "room for a span a byte");
	*hint = nondet_unsigned();
	granted = nondet_bool();
	if (!granted)
		return -VIO_EACCES;
	while (total < 16) {
		const unsigned piece = nondet_unsigned(), offset = nondet_unsigned();

		__CPROVER_assume(piece >= 1 && piece <= 16 - total && offset <= HOST_BYTES - piece);
		__CPROVER_assume(count < PIECES - 1 || piece == 16 - total);
		spans[count++] = (struct vio_span){ host + offset, piece };
		if (byte >= total && byte - total < piece)
			its_place = host + offset + (byte - total);
		total += piece;
	}
	return (int)count;
}

#include "src/ring/walk.c"

int main(void)
{
	const uint64_t table = nondet_u64();
	const unsigned at = nondet_unsigned();
	struct vio_mem mem = { .count = 0 };
	struct vio_devq q = { .mem = &mem, .mem_hint = nondet_unsigned() };
	static _Alignas(8) uint8_t copy[16]; /* bytes, which CBMC finds easier to write one by one */
	bool got;

	__CPROVER_assume(at < VIRTQ_SIZE_MAX);
	for (unsigned i = 0; i < HOST_BYTES; i++)
		host[i] = (uint8_t)i;
	asked_for = table + 16ull * at;
	byte = nondet_unsigned();
	__CPROVER_assume(byte < 16);
	got = vio_walk_copy_entry(&q, table, at, (struct virtq_desc *)copy);
	__CPROVER_assert(got == granted, "refused or not");
	if (got)
		__CPROVER_assert(copy[byte] == *its_place, "each byte is the memory's");
	return 0;
}
