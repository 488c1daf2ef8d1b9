/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The driver's side of a packed ring of up to 4 entries, in any legal state, whose every load gives any
 * value. Getting: only a buffer that the device was shown completes, once, with no more bytes than it
 * can take; after a lie the queue is as it was. Adding: what is written stays in the ring and in tables.
 * Ids and positions stay whole.
 *
 * source: src/ring/packed_driver.c
 * source: src/ring/packed.h
 * source: src/ring/driver.h
 * entry: get add get_in_order add_in_order
 * cbmc: --unwind 6
 * mutant: src/ring/packed_driver.c: if (*id >= q->size) => if (*id > q->size)
 * mutant: src/ring/packed_driver.c: if (!q->shadow[*id].token || !packed_shown(q, &q->shadow[*id])) => \
 *   if (!q->shadow[*id].token)
 * mutant: src/ring/packed_driver.c: shadow->count = (uint16_t)room; => shadow->count = (uint16_t)count;
 * mutant: src/ring/packed_driver.c: shadow->shows = q->shows; => shadow->shows = 0;
 * mutant: src/ring/packed.h: if (offset < size) => if (offset <= size)
 * mutant: src/ring/driver.h: if (*length <= writable) => if (*length <= writable + 1)
 * mutant: src/ring/driver.h: shadow->token = NULL; => ;
 */
#include "driver_queue.h"

#include "src/ring/packed_driver.c"

static bool is_hidden(const struct vio_drvq *q, unsigned id)
{
	return q->shadow[id].token && q->shadow[id].shows == q->shows;
}

/* Not in order: each id is free, once, or that of a buffer. */
static bool ids_whole(const struct vio_drvq *q)
{
	bool seen[SIZE_PROVEN] = { false };
	unsigned i, n, at = q->free_head;

	for (n = 0; n < (unsigned)q->size - q->in_flight; n++) {
		if (at >= q->size || seen[at] || q->shadow[at].token)
			return false;
		seen[at] = true;
		at = q->shadow[at].next;
	}
	if (at != VIO_DRVQ_LIST_END)
		return false;
	for (i = 0; i < q->size; i++)
		if (!seen[i] && !q->shadow[i].token)
			return false;
	return true;
}

/* In order: buffers in flight lie in a row from used_next on, those that are hidden last. */
static bool row_whole(const struct vio_drvq *q)
{
	unsigned at = packed_offset(q->used_next), i;
	bool head[SIZE_PROVEN] = { false }, hidden = false;

	for (i = 0; i < q->in_flight; i++) {
		if (!q->shadow[at].token || (hidden && !is_hidden(q, at)))
			return false;
		hidden = is_hidden(q, at);
		head[at] = true;
		at += q->shadow[at].count;
		if (at >= q->size)
			at -= q->size;
		if (at >= q->size)
			return false;
	}
	if (at != packed_offset(q->avail_next))
		return false;
	for (i = 0; i < q->size; i++)
		if (q->shadow[i].token && !head[i])
			return false;
	return !q->batch_left ||
	       (q->batch_last < q->size && q->shadow[q->batch_last].token && !is_hidden(q, q->batch_last) &&
		q->batch_length <= q->shadow[q->batch_last].writable);
}

static bool whole(const struct vio_drvq *q)
{
	unsigned buffers = 0, entries = 0, hidden = 0, i;

	if (packed_offset(q->avail_next) >= q->size || packed_offset(q->avail_visible) >= q->size ||
	    packed_offset(q->used_next) >= q->size || q->free_count > q->size)
		return false;
	for (i = 0; i < q->size; i++) {
		if (!q->shadow[i].token)
			continue;
		if (!q->shadow[i].count || q->shadow[i].count > q->size)
			return false;
		buffers++;
		entries += q->shadow[i].count;
		hidden += is_hidden(q, i) ? q->shadow[i].count : 0;
	}
	return buffers == q->in_flight && entries + q->free_count == q->size &&
	       packed_distance(q->used_next, q->avail_next, q->size) == entries &&
	       packed_distance(q->avail_visible, q->avail_next, q->size) == hidden &&
	       (q->in_order ? row_whole(q) : ids_whole(q));
}

static void make(struct vio_drvq *q, bool in_order)
{
	driver_make(q, true, in_order);
	q->packed_desc = any_bytes(16 * (size_t)q->size);
	q->driver_event = any_bytes(4);
	q->device_event = any_bytes(4);
	__CPROVER_assume(whole(q));
}

static void get_one(bool in_order)
{
	struct vio_drvq q, before;

	make(&q, in_order);
	before = q;
	driver_get_check(&q, &before, vio_drvq_packed_get);
	__CPROVER_assert(vio_drvq_broken(&q) || whole(&q), "ids and positions stay whole");
}

static void add_one(bool in_order)
{
	struct vio_drvq q, before;

	make(&q, in_order);
	before = q;
	if (driver_add_check(&q, &before, vio_drvq_packed_add))
		__CPROVER_assert(packed_distance(before.avail_next, q.avail_next, q.size) ==
					 (unsigned)before.free_count - q.free_count,
				 "the next places are filled");
	__CPROVER_assert(whole(&q), "ids and positions stay whole");
}

void get(void)
{
	get_one(false);
}

void add(void)
{
	add_one(false);
}

void get_in_order(void)
{
	get_one(true);
}

void add_in_order(void)
{
	add_one(true);
}
