/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_PROOFS_DEVICE_QUEUE_H
#define VIO_PROOFS_DEVICE_QUEUE_H

#include <stdlib.h>

#include "loop.h"
#include "nondet.h"

/*
 * A device's queue of any legal size in any state that it can get into; what the parts of a walk that
 * are proven by themselves may do; and what holds after a buffer was asked for.
 */

/* A byte of the descriptors, any one, and how often it was loaded since a descriptor was judged last. */
static const uint8_t *watched;
static unsigned watched_loads;

#define MODEL_WATCHED
static inline void model_loaded(const void *from, size_t bytes)
{
	if (__CPROVER_same_object(from, watched) &&
	    (uint64_t)__CPROVER_POINTER_OFFSET(watched) - (uint64_t)__CPROVER_POINTER_OFFSET(from) < bytes)
		watched_loads++;
}

#ifndef MODEL_STORED
static inline void model_stored(const void *to, size_t bytes, uint64_t what)
{
	(void)to;
	(void)bytes;
	(void)what;
}
#endif

#include "ring/packed.h"
#include "ring/walk.h"

#define SPANS_MAX 2u
#define STRIDE    16u

/* Sizes below are numbers, as CBMC takes a sizeof in that of a malloc() for the size of one of many. */
VIO_STATIC_ASSERT(sizeof(struct vio_span) == 16 && sizeof(struct vio_devq_done) == 12, "as used below");

static void *any_bytes(size_t bytes)
{
	void *at = malloc(bytes);

	__CPROVER_assume(at);
	return at;
}

static void ignore_interrupt(void *context, struct vio_devq *q)
{
	(void)context;
	(void)q;
}

static bool any_fault(struct vio_devq *q)
{
	q->fault.kind = (enum vio_fault_kind)nondet_unsigned();
	__CPROVER_assume(q->fault.kind != VIO_FAULT_NONE);
	return false;
}

/* Where a buffer's spans go that is taken now. */
static struct vio_span *walk_spans;

/* Of a walk at any time: compares addresses, and looks at nothing behind them. */
static bool walk_legal(const struct walk *walk)
{
	return walk->end == walk_spans + SPANS_MAX && walk->next >= walk_spans && walk->next <= walk->end &&
	       walk->writable >= walk_spans && walk->writable <= walk->next &&
	       walk->bytes <= CHAIN_BYTES_MAX && walk->readable_bytes <= walk->bytes;
}

/* Any legal one. */
static void walk_any(struct walk *walk)
{
	const unsigned count = nondet_unsigned(), readable = nondet_unsigned();

	__CPROVER_assume(readable <= count && count <= SPANS_MAX);
	walk->end = walk_spans + SPANS_MAX;
	walk->next = walk_spans + count;
	walk->writable = walk_spans + readable;
	walk->bytes = nondet_u64();
	walk->readable_bytes = nondet_u64();
	walk->truncated = nondet_bool();
	__CPROVER_assume(walk->bytes <= CHAIN_BYTES_MAX && walk->readable_bytes <= walk->bytes);
}

static struct descriptor any_descriptor(void)
{
	return (struct descriptor){ nondet_u64(), nondet_u32(), nondet_u16(), nondet_u16() };
}

/* What a queue looked like before the walk. */
static struct vio_devq round_before;

/* What a round of a walk changes of a queue and of the proof, and what it mustn't. */
static void round_any(struct vio_devq *q)
{
	q->mem_hint = nondet_unsigned();
	watched_loads = nondet_unsigned();
}

/* `loaded`: a round begins with a descriptor that was loaded and not yet judged. */
static bool round_legal(const struct vio_devq *q, bool loaded)
{
	return watched_loads <= loaded && q->fault.kind == VIO_FAULT_NONE &&
	       q->in_flight == round_before.in_flight && q->entries == round_before.entries &&
	       q->avail_next == round_before.avail_next;
}

/* The table that an indirect descriptor refers to, if it does. */
static const uint8_t *the_table;
static unsigned the_entries;

#ifndef WALK_PARTS_THEMSELVES
/* See walk_parts.c and walk_copy.c for what these do. */
static bool walk_element(struct vio_devq *q, struct walk *walk, const struct descriptor *d, uint32_t index)
{
	(void)d;
	(void)index;
	__CPROVER_assert(walk_legal(walk), "the walk is legal");
	__CPROVER_assert(watched_loads <= 1, "each byte is read once");
	watched_loads = 0;
	q->mem_hint = nondet_unsigned();
	walk_any(walk);
	return nondet_bool() ? true : any_fault(q);
}

bool vio_walk_open_table(struct vio_devq *q, const struct descriptor *d, uint32_t index, struct table *table)
{
	(void)index;
	__CPROVER_assert(watched_loads <= 1, "each byte is read once");
	watched_loads = 0;
	q->mem_hint = nondet_unsigned();
	if (!q->indirect || nondet_bool())
		return any_fault(q);
	table->host = nondet_bool() ? the_table : NULL;
	table->addr = d->addr;
	table->entries = the_entries;
	return true;
}

bool vio_walk_copy_entry(struct vio_devq *q, uint64_t table, unsigned at, struct virtq_desc *copy)
{
	(void)table;
	__CPROVER_assert(at < the_entries, "an entry of the table");
	q->mem_hint = nondet_unsigned();
	copy->addr.raw = nondet_u64();
	return nondet_bool();
}
#endif

/* One of a queue's free slots: what holds of all of them, said of that which is looked at. */
static void slot_assume(const struct vio_devq *q, unsigned from_top)
{
	if (from_top < (unsigned)q->size - q->in_flight)
		__CPROVER_assume(q->slots[q->in_flight + from_top] < q->size);
}

static void queue_make(struct vio_devq *q, bool packed, unsigned size_max)
{
	struct vio_mem *mem = any_bytes(sizeof(*mem));
	uint16_t size = nondet_u16();
	unsigned entry = nondet_unsigned();

	*q = (struct vio_devq){ .size = 0 };
	__CPROVER_assume(size >= 1 && size <= size_max && (packed || !(size & (size - 1))));
	mem->count = nondet_bool();
	mem->regions = any_bytes(sizeof(*mem->regions));
	mem->regions[0].size = nondet_u64();
	__CPROVER_assume(mem->regions[0].size >= 1 && mem->regions[0].size <= UINT64_C(1) << 40);
	mem->regions[0].host = any_bytes(mem->regions[0].size);

	q->size = q->size_max = size;
	q->spans_max = SPANS_MAX;
	q->request_stride = STRIDE;
	q->interrupt = ignore_interrupt;
	q->mem = mem;
	q->mem_hint = nondet_unsigned();
	q->running = true;
	q->packed = packed;
	q->event_idx = nondet_bool();
	q->indirect = nondet_bool();
	q->kicks_off = nondet_bool();
	q->polling = nondet_bool();
	q->notify_on_empty = nondet_bool();
	q->budget = nondet_u32();
	q->generation = nondet_u32();
	q->singles = any_bytes((size_t)size * 16u);
	q->spans = any_bytes((size_t)size * (SPANS_MAX * 16u));
	q->requests = any_bytes((size_t)size * STRIDE);
	q->busy = any_bytes(size);
	q->in_flight = nondet_u16();
	__CPROVER_assume(q->in_flight <= size);
	q->entries = q->in_flight;
	q->slots = any_bytes(2 * (size_t)size);
	q->avail_next = nondet_u16();
	q->avail_seen = nondet_u16();
	q->used_next = nondet_u16();
	q->used_visible = nondet_u16();
	q->used_first = nondet_u64();
	if (packed) {
		q->ring = any_bytes(16 * (size_t)size);
		q->driver_event = any_bytes(4);
		q->device_event = any_bytes(4);
		q->entries = nondet_u16();
		__CPROVER_assume(q->entries >= q->in_flight && q->entries <= size);
		__CPROVER_assume(packed_offset(q->avail_next) < size && packed_offset(q->used_next) < size &&
				 packed_offset(q->used_visible) < size);
	} else {
		q->desc = any_bytes(16 * (size_t)size);
		q->avail = any_bytes(6 + 2 * (size_t)size);
		q->used = any_bytes(6 + 8 * (size_t)size);
		__CPROVER_assume((uint16_t)(q->avail_seen - q->avail_next) <= size);
	}
	watched_loads = 0;
	the_entries = nondet_unsigned();
	__CPROVER_assume(the_entries >= 1 && the_entries <= size);
	the_table = any_bytes(16 * (size_t)the_entries);
	watched = nondet_bool() ? the_table : packed ? (const uint8_t *)q->ring : (const uint8_t *)q->desc;
	__CPROVER_assume(entry < 16 * (watched == the_table ? the_entries : (unsigned)size));
	watched += entry;
}

/* In order, the device's slots go round. */
static void queue_make_in_order(struct vio_devq *q)
{
	q->in_order = true;
	q->order = any_bytes(12 * (size_t)q->size);
	q->order_next = nondet_u16();
	__CPROVER_assume(q->order_next < q->size);
}

/* What must hold after a pop, whether it got a buffer or not. */
static void queue_check(const struct vio_devq *q, const struct vio_devq *before, const struct vio_buf *buf,
			bool got)
{
	__CPROVER_assert(watched_loads <= 1, "each byte is read once");
	__CPROVER_assert(q->in_flight <= q->size &&
				 (q->packed ? q->entries <= q->size : q->entries == q->in_flight),
			 "counts stay in range");
	__CPROVER_assert(q->used_next == before->used_next && q->used_visible == before->used_visible,
			 "nothing is given back");
	if (q->packed)
		__CPROVER_assert(packed_offset(q->avail_next) < q->size, "the position stays in the ring");
	if (!got) {
		__CPROVER_assert(q->in_flight == before->in_flight && q->entries == before->entries &&
					 q->avail_next == before->avail_next && q->budget == before->budget &&
					 q->order_next == before->order_next,
				 "nothing was taken");
		return;
	}
	__CPROVER_assert(before->budget &&
				 (before->budget == VIO_DEVQ_NO_BUDGET ? q->budget == before->budget
								       : q->budget == before->budget - 1),
			 "it was within the budget");
	__CPROVER_assert(q->fault.kind == VIO_FAULT_NONE, "no fault and a buffer");
	__CPROVER_assert(q->in_flight == before->in_flight + 1, "one was taken");
	__CPROVER_assert(buf->head < q->size && q->busy[buf->head], "its name is busy");
	__CPROVER_assert(buf->slot < q->size, "it has a slot");
	__CPROVER_assert(buf->readable_count + buf->writable_count <= SPANS_MAX, "its spans fit");
	__CPROVER_assert(buf->writable == buf->readable + buf->readable_count, "one after the other");
	__CPROVER_assert(
		(buf->readable == walk_spans && buf->readable == q->spans + (size_t)buf->slot * SPANS_MAX) ||
			(buf->readable == q->singles + buf->slot &&
			 buf->readable_count + buf->writable_count == 1),
		"in its slot");
	__CPROVER_assert(buf->readable_bytes + buf->writable_bytes <= CHAIN_BYTES_MAX, "not too long");
	__CPROVER_assert(buf->writable_limit ==
				 (buf->writable_bytes > UINT32_MAX ? UINT32_MAX : buf->writable_bytes),
			 "what can be written");
	__CPROVER_assert(buf->request == q->requests + (size_t)buf->slot * STRIDE, "with its request");
	__CPROVER_assert(buf->generation == q->generation, "of this life");
	__CPROVER_assert(buf->entries >= 1 && q->entries == before->entries + buf->entries,
			 "its entries are counted");
}

#endif
