/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Taking a buffer from a packed ring of 1 to 64 entries, every load of which gives any value: stays in
 * the ring, in tables and in the queue's storage, ends, reads each descriptor once before it judges it,
 * yields a legal buffer or a fault, and after a fault or nothing the queue is as it was.
 *
 * source: src/ring/packed_device.c
 * source: src/ring/packed.h
 * source: src/ring/walk.h
 * edit: src/ring/walk.h: bool walk_element(struct vio_devq *q, => \
 *   bool walk_element_itself(struct vio_devq *q,
 * loop: src/ring/packed_device.c: packed_walk 1: PACKED_WALK_LOOP
 * loop: src/ring/packed_device.c: packed_walk_table 1: PACKED_TABLE_LOOP
 * entry: any_order in_order
 * cbmc: --unwind 3
 * mutant: src/ring/packed_device.c: q->entries + count >= q->size => q->entries + count > q->size
 * mutant: src/ring/packed_device.c: at < table.entries; at++ => at <= table.entries; at++
 * mutant: src/ring/packed_device.c: if (!packed_available(position, d->flags)) => \
 *   if (packed_offset(position) == q->size)
 * mutant: src/ring/packed_device.c: position = packed_advance(position, 1, q->size); => position++;
 * mutant: src/ring/packed_device.c: e = walk_load_packed(table.host + 16ull * at); => \
 *   walk_load_packed(table.host + 16ull * at); e = walk_load_packed(table.host + 16ull * at);
 * mutant: src/ring/packed.h: if (offset < size) => if (offset <= size)
 */
#include "device_queue.h"

#define SIZE_PROVEN 64

#define PACKED_WALK_LOOP(n)                                                                        \
	LOOP_ROUND(n,                                                                              \
		   (position = nondet_u16(), count = nondet_unsigned(), *d = any_descriptor(),     \
		    walk_any(&walk), round_any(q)),                                                \
		   count <= (unsigned)q->size - q->entries && packed_offset(position) < q->size && \
			   packed_available(position, d->flags) && walk_legal(&walk) &&            \
			   round_legal(q, true),                                                   \
		   (unsigned)q->size - count)

#define PACKED_TABLE_LOOP(n)                                                   \
	LOOP_ROUND(n, (at = nondet_unsigned(), walk_any(&walk), round_any(q)), \
		   at < table.entries && walk_legal(&walk) && round_legal(q, false), table.entries - at)

#include "src/ring/packed_device.c"

/* Not of this file. What was seen of a descriptor before isn't looked at any more. */
bool vio_devq_enable_kick(struct vio_devq *q)
{
	q->polling = false;
	q->kicks_off = false;
	__CPROVER_assert(watched_loads <= 1, "each byte is read once");
	watched_loads = 0;
	return nondet_bool();
}

static void pop(bool order)
{
	struct vio_devq q, before;
	struct vio_buf buf;
	bool got;

	queue_make(&q, true, SIZE_PROVEN);
	if (order)
		queue_make_in_order(&q);
	else
		slot_assume(&q, 0);
	walk_spans = devq_slot_spans(&q, q.in_flight < q.size ? devq_slot_peek(&q) : 0);
	before = round_before = q;
	got = vio_packed_pop(&q, &buf);
	queue_check(&q, &before, &buf, got);
	if (got)
		__CPROVER_assert(q.avail_next == packed_advance(before.avail_next, buf.entries, q.size),
				 "so far");
}

void any_order(void)
{
	pop(false);
}

void in_order(void)
{
	pop(true);
}
