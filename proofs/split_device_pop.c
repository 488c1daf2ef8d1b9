/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Taking a buffer from a split ring of any size, every load of which gives any value: stays in the
 * rings, in tables and in the queue's storage, ends, reads each descriptor once before it judges it,
 * yields a legal buffer or a fault, and after a fault or nothing the queue is as it was.
 *
 * source: src/ring/split_device.c
 * source: src/ring/walk.h
 * edit: src/ring/walk.h: bool walk_element(struct vio_devq *q, => \
 *   bool walk_element_itself(struct vio_devq *q,
 * loop: src/ring/split_device.c: split_walk 1: SPLIT_WALK_LOOP
 * loop: src/ring/split_device.c: split_walk_table 1: SPLIT_TABLE_LOOP
 * entry: any_order in_order
 * cbmc: --unwind 3
 * mutant: src/ring/split_device.c: if (d.link >= size) => if (d.link > size)
 * mutant: src/ring/split_device.c: if (e.link >= table.entries) => if (e.link >= q->size)
 * mutant: src/ring/split_device.c: visited < size; visited++ => visited < size; visited += d.len & 1
 * mutant: src/ring/split_device.c: visited < table.entries; visited++ => visited < table.entries; at = 0
 * mutant: src/ring/split_device.c: d = walk_load_split(&q->desc[head]); => \
 *   d = walk_load_split(&q->desc[head]); q->avail_next++;
 * mutant: src/ring/split_device.c: d = walk_load_split(&desc[at]); => \
 *   walk_load_split(&desc[at]); d = walk_load_split(&desc[at]);
 */
#include "device_queue.h"

#define SPLIT_WALK_LOOP(n)                                                                     \
	LOOP_ROUND(n,                                                                          \
		   (at = nondet_unsigned(), visited = nondet_unsigned(), d = any_descriptor(), \
		    walk_any(walk), round_any(q)),                                             \
		   at < size && visited < size && walk_legal(walk) && round_legal(q, true), size - visited)

#define SPLIT_TABLE_LOOP(n)                                                                                \
	LOOP_ROUND(n, (at = nondet_unsigned(), visited = nondet_unsigned(), walk_any(walk), round_any(q)), \
		   at < table.entries && visited < table.entries && walk_legal(walk) &&                    \
			   round_legal(q, false),                                                          \
		   table.entries - visited)

#include "src/ring/split_device.c"

/* Not of this file. */
bool vio_devq_enable_kick(struct vio_devq *q)
{
	q->polling = false;
	q->kicks_off = false;
	if (nondet_bool())
		return !any_fault(q);
	q->avail_seen = nondet_u16();
	__CPROVER_assume((uint16_t)(q->avail_seen - q->avail_next) <= q->size);
	return q->avail_seen == q->avail_next;
}

static void pop(bool order)
{
	struct vio_devq q, before;
	struct vio_buf buf;
	bool got;

	queue_make(&q, false, VIRTQ_SIZE_MAX);
	if (order)
		queue_make_in_order(&q);
	else
		slot_assume(&q, 0);
	/* Each buffer in flight has a head, and the one that is taken now is none of them. */
	__CPROVER_assume(q.in_flight < q.size);
	walk_spans = devq_slot_spans(&q, devq_slot_peek(&q));
	before = round_before = q;
	got = vio_split_pop(&q, &buf);
	queue_check(&q, &before, &buf, got);
	if (got)
		__CPROVER_assert(q.avail_next == (uint16_t)(before.avail_next + 1) && buf.entries == 1,
				 "the next one");
	__CPROVER_assert((uint16_t)(q.avail_seen - q.avail_next) <= q.size, "what was judged stays so");
}

void any_order(void)
{
	pop(false);
}

void in_order(void)
{
	pop(true);
}
