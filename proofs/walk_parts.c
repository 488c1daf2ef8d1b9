/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the walks of both formats are made of, over any memory: one descriptor's memory goes into the
 * slot's places and no others, however many regions it crosses; an indirect table that is read in place
 * is there to its last entry. A refusal leaves a fault.
 *
 * source: src/ring/walk.c
 * source: src/ring/walk.h
 * loop: src/ring/walk.c: vio_walk_memory_slowly 1: SLOWLY_LOOP
 * entry: element table
 * cbmc: --unwind 3
 * mutant: src/ring/walk.h: walk->next == walk->end => walk->next > walk->end
 * mutant: src/ring/walk.h: walk->writable > walk->next => walk->next > walk->writable + 1
 * mutant: src/ring/walk.h: walk->bytes > CHAIN_BYTES_MAX => walk->bytes > 4 * CHAIN_BYTES_MAX
 * mutant: src/ring/walk.c: entries > q->size => entries > 2u * q->size
 * mutant: src/ring/walk.c: if (found == 1 && => if (found &&
 * mutant: src/ring/walk.c: left -= piece; => left -= access;
 */
#define WALK_PARTS_THEMSELVES
#include "device_queue.h"

static void places_any(struct walk *walk)
{
	const unsigned count = nondet_unsigned(), readable = nondet_unsigned();

	__CPROVER_assume(readable <= count && count <= SPANS_MAX);
	walk->next = walk_spans + count;
	walk->writable = walk_spans + readable;
	walk->truncated = nondet_bool();
}

#define SLOWLY_LOOP(n)                                                                                       \
	LOOP_ROUND(                                                                                          \
		n,                                                                                           \
		(at = nondet_u64(), left = nondet_u64(), places_any(walk), q->mem_hint = nondet_unsigned()), \
		left >= 1 && left <= len && walk_legal(walk), left)

/* Memory that spans lie in. */
static uint8_t *host;
static size_t host_bytes;

/* memory_resolve.c proves it; here it may answer whatever its contract allows where one span is asked for. */
int vio_mem_resolve(const struct vio_mem *mem, unsigned *hint, struct vio_addr addr, uint64_t length,
		    unsigned access, struct vio_span *spans, unsigned max)
{
	size_t offset = nondet_size();

	(void)mem;
	(void)addr;
	(void)access;
	__CPROVER_assert(max == 1, "one span");
	*hint = nondet_unsigned();
	if (!length)
		return 0;
	if (nondet_bool())
		return -VIO_EACCES;
	spans->length = nondet_size();
	__CPROVER_assume(spans->length >= 1 && spans->length <= length);
	__CPROVER_assume(offset < host_bytes && spans->length <= host_bytes - offset);
	spans->host = host + offset;
	return spans->length == length ? 1 : -VIO_ENOSPC;
}

#include "src/ring/walk.c"

static void make(struct vio_devq *q)
{
	queue_make(q, true, VIRTQ_SIZE_MAX);
	slot_assume(q, 0);
	__CPROVER_assume(q->in_flight < q->size);
	walk_spans = devq_slot_spans(q, devq_slot_peek(q));
	host_bytes = nondet_size();
	__CPROVER_assume(host_bytes >= 1 && host_bytes <= UINT64_C(1) << 40);
	host = any_bytes(host_bytes);
}

void element(void)
{
	struct descriptor d = any_descriptor();
	struct walk walk, before;
	struct vio_devq q;
	bool got;

	make(&q);
	walk_any(&walk);
	walk.region = mem_region_last(q.mem, q.mem_hint);
	before = walk;
	got = walk_element(&q, &walk, &d, nondet_u32());
	__CPROVER_assert(got == (q.fault.kind == VIO_FAULT_NONE), "a fault or not");
	if (!got)
		return;
	__CPROVER_assert(walk_legal(&walk), "the walk stays legal");
	__CPROVER_assert(walk.bytes == before.bytes + d.len, "its bytes are counted");
	__CPROVER_assert(walk.readable_bytes ==
				 before.readable_bytes + (d.flags & VIRTQ_DESC_F_WRITE ? 0 : d.len),
			 "on their side");
	__CPROVER_assert(d.flags & VIRTQ_DESC_F_WRITE || before.bytes == before.readable_bytes,
			 "none readable behind");
}

void table(void)
{
	struct descriptor d = any_descriptor();
	struct table opened;
	struct vio_devq q;
	bool got;

	make(&q);
	got = vio_walk_open_table(&q, &d, nondet_u32(), &opened);
	__CPROVER_assert(got == (q.fault.kind == VIO_FAULT_NONE), "a fault or not");
	if (!got)
		return;
	__CPROVER_assert(q.indirect && opened.entries >= 1 && opened.entries <= q.size, "of legal length");
	__CPROVER_assert(!opened.host || __CPROVER_r_ok(opened.host, 16 * (size_t)opened.entries),
			 "there to the last");
}
