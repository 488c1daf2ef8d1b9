/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The driver's side of a split ring of up to 4 entries, in any legal state, whose every load gives any
 * value. Getting: only a buffer that the device was shown completes, once, with no more bytes than it
 * can take; after a lie the queue is as it was. Adding: what is written stays in the rings and in
 * tables. Lists of descriptors stay whole.
 *
 * source: src/ring/split_driver.c
 * source: src/ring/driver.h
 * entry: get get_in_order add_in_order add
 * cbmc: --unwind 6
 * mutant: src/ring/split_driver.c: if (id >= q->size) { => if (id > q->size) {
 * mutant: src/ring/split_driver.c: if (!q->shadow[id].token || !split_shown(q, (uint16_t)id)) => \
 *   if (!q->shadow[id].token)
 * mutant: src/ring/split_driver.c: q->shadow[shadow->split.last].next = q->free_head; => ;
 * mutant: src/ring/split_driver.c: q->indirect.host + offset); => q->indirect.host + offset + 16);
 * mutant: src/ring/split_driver.c: if (batch > (uint16_t)(q->used_seen - q->used_next)) => \
 *   if (batch > q->size)
 * mutant: src/ring/driver.h: if (*length <= writable) => if (*length <= writable + 1)
 * mutant: src/ring/driver.h: shadow->token = NULL; => ;
 */
#include "driver_queue.h"

#include "src/ring/split_driver.c"

/* Not in order: descriptors are free, or chained to the head of a buffer; each is one of these, once. */
static bool lists_whole(const struct vio_drvq *q)
{
	unsigned seen[SIZE_PROVEN] = { 0 }, i, n, at, last, buffers = 0;

	for (n = 0, at = q->free_head; n < q->free_count; n++, at = q->shadow[at].next)
		if (at >= q->size || seen[at]++ || q->shadow[at].token)
			return false;
	for (i = 0; i < q->size; i++) {
		if (!q->shadow[i].token)
			continue;
		buffers++;
		last = at = i;
		for (n = 0; n < q->shadow[i].count && n <= SIZE_PROVEN; n++) {
			if (at >= q->size || seen[at]++ || (n && q->shadow[at].token))
				return false;
			last = at;
			at = q->shadow[at].next;
		}
		if (!n || q->shadow[i].split.last != last)
			return false;
	}
	for (i = 0; i < q->size; i++)
		if (!seen[i])
			return false;
	return buffers == q->in_flight;
}

/* In order: buffers in flight lie in a row, oldest first. */
static bool row_whole(const struct vio_drvq *q)
{
	unsigned left = q->in_flight, at = vio_drvq_behind(q, q->free_head), sum = 0, i;
	bool head[SIZE_PROVEN] = { false };

	if (q->in_flight != (uint16_t)(q->avail_next - q->used_next) || q->free_head >= q->size)
		return false;
	for (i = 0; i < left; i++) {
		const struct vio_drvq_shadow *s = &q->shadow[at];

		if (!s->token || !s->count || s->count > q->size || s->split.last >= q->size ||
		    s->split.avail_idx != (uint16_t)(q->used_next + i) ||
		    q->shadow[(q->used_next + i) & (q->size - 1u)].split.ring != at)
			return false;
		head[at] = true;
		sum += s->count;
		at = (at + s->count) & (q->size - 1u);
	}
	for (i = 0; i < q->size; i++)
		if ((q->shadow[i].token && !head[i]) || q->shadow[i].next != ((i + 1) & (q->size - 1u)))
			return false;
	return sum + q->free_count == q->size;
}

/* Those between what is visible and what was added are in flight, each named by its slot. */
static bool hidden_whole(const struct vio_drvq *q)
{
	const unsigned hidden = (uint16_t)(q->avail_next - q->avail_visible);
	unsigned i;

	if (hidden > q->in_flight || (uint16_t)(q->used_seen - q->used_next) > q->in_flight - hidden ||
	    q->batch_left > (uint16_t)(q->used_seen - q->used_next))
		return false;
	for (i = 0; i < hidden; i++) {
		const uint16_t idx = (uint16_t)(q->avail_visible + i);
		const unsigned head = q->shadow[idx & (q->size - 1u)].split.ring;

		if (head >= q->size || !q->shadow[head].token || q->shadow[head].split.avail_idx != idx)
			return false;
	}
	return true;
}

static bool whole(const struct vio_drvq *q)
{
	return q->free_count <= q->size && (q->in_order ? row_whole(q) : lists_whole(q)) && hidden_whole(q);
}

static void make(struct vio_drvq *q, bool in_order)
{
	driver_make(q, false, in_order);
	q->desc = any_bytes(16 * (size_t)q->size);
	q->avail = any_bytes(6 + 2 * (size_t)q->size);
	q->used = any_bytes(6 + 8 * (size_t)q->size);
	__CPROVER_assume(whole(q));
}

static void get_one(bool in_order)
{
	struct vio_drvq q, before;

	make(&q, in_order);
	before = q;
	driver_get_check(&q, &before, vio_drvq_split_get);
	__CPROVER_assert(whole(&q), "lists stay whole");
}

static void add_one(bool in_order)
{
	struct vio_drvq q, before;

	make(&q, in_order);
	before = q;
	if (driver_add_check(&q, &before, vio_drvq_split_add))
		__CPROVER_assert(q.avail_next == (uint16_t)(before.avail_next + 1),
				 "the next place is filled");
	__CPROVER_assert(whole(&q), "lists stay whole");
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
