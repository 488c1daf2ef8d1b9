/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_RING_WALK_H
#define VIO_RING_WALK_H

#include <vireo/devq.h>

#include "base/atomic.h"
#include "memory/span.h"

/*
 * A device's walk along the descriptors of one buffer, as far as it is the same in both
 * formats. The common way is in line and keeps its state in registers: a struct walk
 * or table is only lent to a function that isn't in line as a copy.
 */

#define CHAIN_BYTES_MAX (UINT64_C(1) << 32)

/* One descriptor, copied out of shared memory; all judging is done on the copy. */
struct descriptor {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t link; /* split: next; packed: buffer id */
};

/* What was gathered of a buffer. */
struct walk {
	struct vio_span *next;           /* place for the next span; they begin at that of the slot */
	struct vio_span *end;            /* of the slot's places */
	struct vio_span *writable;       /* the end of the readable ones */
	const struct vio_region *region; /* hit last, or NULL */
	uint64_t readable_bytes, bytes;
	bool truncated;
};

/* An indirect table. One that lies in one piece of host memory, aligned, is read in place. */
struct table {
	const uint8_t *host; /* or NULL */
	uint64_t addr;
	unsigned entries;
};

static inline bool devq_fault(struct vio_devq *q, enum vio_fault_kind kind, uint32_t index, uint64_t value)
{
	q->fault = (struct vio_fault){ kind, q->index, index, value };
	return false;
}

/*
 * Judges the descriptor `d` at `index` that refers to an indirect table, and opens that.
 * spec: DEV-SPLIT-005, its WRITE flag says nothing.
 */
bool vio_walk_open_table(struct vio_devq *q, const struct descriptor *d, uint32_t index, struct table *table);

/* Copies an entry of a table at `table` that can't be read in place (hostile: A42). */
bool vio_walk_copy_entry(struct vio_devq *q, uint64_t table, unsigned at, struct virtq_desc *copy);

/* A descriptor that crosses regions: rare, so in pieces rather than with room for many. */
bool vio_walk_memory_slowly(struct vio_devq *q, struct walk *walk, uint64_t addr, uint32_t len,
			    unsigned access);

/*
 * Appends one span. When there is no room it takes the last place, so that the
 * last byte of the buffer, where a status may lie, can always be found.
 */
static inline __attribute__((always_inline)) void walk_append(struct walk *walk, struct vio_span span,
							      bool writable)
{
	if (walk->next == walk->end) {
		walk->truncated = true;
		walk->next--;
		if (walk->writable > walk->next)
			walk->writable = walk->next;
	}
	*walk->next++ = span;
	if (!writable)
		walk->writable = walk->next;
}

static inline unsigned walk_access(const struct descriptor *d)
{
	return d->flags & VIRTQ_DESC_F_WRITE ? VIO_MEM_WRITE : VIO_MEM_READ;
}

/* Takes the memory of one descriptor. `index` is only for the fault. */
static inline __attribute__((always_inline)) bool walk_element(struct vio_devq *q, struct walk *walk,
							       const struct descriptor *d, uint32_t index)
{
	const bool writable = d->flags & VIRTQ_DESC_F_WRITE;
	struct vio_span span;

	if (!writable) {
		if (walk->bytes != walk->readable_bytes)
			return devq_fault(q, VIO_FAULT_READ_AFTER_WRITE, index, d->flags); /* hostile: A25 */
		walk->readable_bytes += d->len;
	}
	walk->bytes += d->len;
	if (walk->bytes > CHAIN_BYTES_MAX)
		return devq_fault(q, VIO_FAULT_CHAIN_LENGTH, index, walk->bytes);
	if (__builtin_expect(d->len && walk->region &&
				     mem_region_hit(walk->region, d->addr, d->len, walk_access(d), &span),
			     1)) {
		walk_append(walk, span, writable);
	} else {
		struct walk lent = *walk;
		bool found = vio_walk_memory_slowly(q, &lent, d->addr, d->len, walk_access(d));

		*walk = lent;
		walk->region = mem_region_last(q->mem, q->mem_hint);
		/* hostile: A13 A15 A16 A18 A19 A21; an element of no bytes names no memory (A10 A12). */
		if (!found)
			return devq_fault(q, VIO_FAULT_BUFFER_MEMORY, index, d->addr);
	}
	return true;
}

/* A descriptor of the split layout, at an address that is 8 aligned. Each byte is read once. */
static inline struct descriptor walk_load_split(const void *from)
{
	const uint64_t rest = vio_load_fields64((const uint8_t *)from + 8);

	return (struct descriptor){
		.addr = vio_load_fields64(from),
		.len = (uint32_t)rest,
		.flags = (uint16_t)(rest >> 32),
		.link = (uint16_t)(rest >> 48),
	};
}

/* The same of the packed layout. What the flags say of the other fields holds, if they say so at all. */
static inline struct descriptor walk_load_packed(const void *from)
{
	/* Pairs with the release store of the flags by the driver. */
	const uint64_t rest = vio_load_acquire_fields64((const uint8_t *)from + 8);

	return (struct descriptor){
		.addr = vio_load_fields64(from),
		.len = (uint32_t)rest,
		.flags = (uint16_t)(rest >> 48),
		.link = (uint16_t)(rest >> 32),
	};
}

/* Where in the storage a buffer that is taken now goes. Fewer than `size` are in flight. */
static inline uint16_t devq_slot_peek(const struct vio_devq *q)
{
	return q->in_order ? q->order_next : q->slots[q->in_flight];
}

static inline struct vio_span *devq_slot_spans(const struct vio_devq *q, uint16_t slot)
{
	return q->spans + (size_t)slot * q->spans_max;
}

static inline struct walk walk_begin(const struct vio_devq *q, uint16_t slot)
{
	struct vio_span *spans = devq_slot_spans(q, slot);

	return (struct walk){ .next = spans,
			      .end = spans + q->spans_max,
			      .writable = spans,
			      .region = mem_region_last(q->mem, q->mem_hint) };
}

/* A record of what was pushed, by slot, when it can't be shown yet. */
struct vio_devq_done {
	uint32_t written;
	uint16_t name;    /* of the buffer */
	uint16_t entries; /* of the ring */
	bool pushed;
	bool whole; /* may be skipped: see vio_devq_order_push() */
};

/* In order: the record of the next buffer. */
static inline uint16_t devq_order_take(struct vio_devq *q)
{
	const uint16_t slot = q->order_next;

	q->order[slot].pushed = false;
	q->order_next = (uint16_t)(slot + 1u == q->size ? 0 : slot + 1u);
	return slot;
}

/* A buffer is taken that `name` names, with its spans at its slot; `buf` learns what isn't about those. */
static inline __attribute__((always_inline)) void devq_take_named(struct vio_devq *q, struct vio_buf *buf,
								  uint16_t name, uint16_t slot,
								  uint16_t entries)
{
	q->in_flight++;
	q->entries = (uint16_t)(q->entries + entries);
	if (q->budget != VIO_DEVQ_NO_BUDGET)
		q->budget--;
	buf->head = name;
	buf->slot = slot;
	buf->generation = q->generation;
	buf->request = q->requests + (size_t)slot * q->request_stride;
	buf->entries = entries;
	q->busy[name] = 1;
}

/*
 * A buffer of one span, at `spans`, of which `len` bytes from `host` on are readable or writable, which
 * the caller knows as a constant: two ways for what would cost arithmetic in one.
 */
static inline __attribute__((always_inline)) void buf_fill_single(struct vio_buf *buf, struct vio_span *spans,
								  uint8_t *host, uint32_t len, bool writable)
{
	const uint32_t into = writable * len; /* `writable` is a constant where this is put in */

	spans->host = host;
	spans->length = len;
	buf->readable = spans;
	buf->writable = spans + (1 - writable);
	buf->readable_count = (uint16_t)(1 - writable);
	buf->writable_count = writable;
	buf->writable_limit = into;
	buf->readable_bytes = len - into;
	buf->writable_bytes = into;
	buf->entries = 1;
	buf->receives = writable;
	buf->truncated = false;
}

static inline __attribute__((always_inline)) bool devq_take_single_as(struct vio_devq *q, struct vio_buf *buf,
								      const struct descriptor *d,
								      uint16_t name, bool writable,
								      bool in_order)
{
	const struct vio_region *region = mem_region_last(q->mem, q->mem_hint);
	struct vio_span span;
	uint16_t slot;

	if (!region ||
	    !mem_region_hit(region, d->addr, d->len, writable ? VIO_MEM_WRITE : VIO_MEM_READ, &span))
		return false;
	slot = in_order ? devq_order_take(q) : q->slots[q->in_flight];
	devq_take_named(q, buf, name, slot, 1);
	buf_fill_single(buf, &q->singles[slot], span.host, d->len, writable);
	return true;
}

/*
 * Takes a buffer of the one descriptor `d`, which lies in the region hit last, as by far the most do.
 * false, and nothing changed: it isn't such a one. There is a free slot.
 */
static inline __attribute__((always_inline)) bool devq_take_single(struct vio_devq *q, struct vio_buf *buf,
								   const struct descriptor *d, uint16_t name,
								   bool in_order)
{
	if ((d->flags & (VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_INDIRECT)) || !d->len)
		return false;
	return d->flags & VIRTQ_DESC_F_WRITE ? devq_take_single_as(q, buf, d, name, true, in_order)
					     : devq_take_single_as(q, buf, d, name, false, in_order);
}

/*
 * What taking buffers needs, copied out of the queue: with each access to shared memory a
 * compiler forgets what it has read of everything else.
 */
struct taker {
	uint64_t base, readable, writable; /* of the region hit last: bytes that may be read, written */
	uint8_t *host;
	struct vio_span *singles;
	uint8_t *requests;
	uint8_t *busy;
	const uint16_t *slots; /* the free slot that is next */
	uint32_t generation;
	unsigned request_stride;
	unsigned size;
	unsigned taken; /* of those that aren't in q->in_flight yet */
	bool in_order;
};

static inline __attribute__((always_inline)) void devq_taker_region(struct taker *taker,
								    const struct vio_devq *q)
{
	const struct vio_region *region = mem_region_last(q->mem, q->mem_hint);
	const unsigned rights = region ? region->rights : 0;

	taker->base = region ? region->base.raw : 0;
	taker->host = region ? region->host : NULL;
	taker->readable = rights & VIO_MEM_READ ? region->size : 0;
	taker->writable = rights & VIO_MEM_WRITE ? region->size : 0;
}

static inline __attribute__((always_inline)) struct taker devq_taker(const struct vio_devq *q)
{
	struct taker taker = {
		.singles = q->singles,
		.requests = q->requests,
		.busy = q->busy,
		.slots = q->slots + q->in_flight,
		.generation = q->generation,
		.request_stride = q->request_stride,
		.size = q->size,
		.in_order = q->in_order,
	};

	devq_taker_region(&taker, q);
	return taker;
}

/* Writes back what was taken. */
static inline __attribute__((always_inline)) void devq_taken(struct vio_devq *q, const struct taker *taker)
{
	q->in_flight = (uint16_t)(q->in_flight + taker->taken);
	q->entries = (uint16_t)(q->entries + taker->taken);
	if (q->budget != VIO_DEVQ_NO_BUDGET)
		q->budget -= taker->taken;
}

/* Nothing is in it any more, not even a region. */
static inline __attribute__((always_inline)) void devq_taker_empty(struct taker *taker)
{
	taker->readable = 0;
	taker->writable = 0;
	taker->taken = 0;
}

static inline __attribute__((always_inline)) bool devq_take_single_next_as(struct vio_devq *q,
									   struct taker *taker,
									   struct vio_buf *buf,
									   const struct descriptor *d,
									   uint16_t name, bool writable)
{
	const uint64_t offset = d->addr - taker->base, there = writable ? taker->writable : taker->readable;
	uint16_t slot;

	if (__builtin_expect(offset >= there || d->len > there - offset, 0))
		return false;
	slot = taker->in_order ? devq_order_take(q) : *taker->slots++;
	taker->taken++;
	taker->busy[name] = 1;
	buf->head = name;
	buf->slot = slot;
	buf->generation = taker->generation;
	buf->request = taker->requests + (size_t)slot * taker->request_stride;
	buf_fill_single(buf, &taker->singles[slot], taker->host + offset, d->len, writable);
	return true;
}

/* devq_take_single() where others were taken that aren't in the queue yet. */
static inline __attribute__((always_inline)) bool devq_take_single_next(struct vio_devq *q,
									struct taker *taker,
									struct vio_buf *buf,
									const struct descriptor *d,
									uint16_t name)
{
	if (__builtin_expect((d->flags & (VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_INDIRECT)) || !d->len, 0))
		return false;
	return d->flags & VIRTQ_DESC_F_WRITE ? devq_take_single_next_as(q, taker, buf, d, name, true)
					     : devq_take_single_next_as(q, taker, buf, d, name, false);
}

static inline void devq_take_walked(struct vio_devq *q, struct vio_buf *buf, const struct walk *walk,
				    uint16_t name, uint16_t slot, uint16_t entries)
{
	const uint64_t writable_bytes = walk->bytes - walk->readable_bytes;

	buf->readable = devq_slot_spans(q, slot);
	buf->writable = walk->writable;
	buf->readable_count = (uint16_t)(walk->writable - buf->readable);
	buf->writable_count = (uint16_t)(walk->next - walk->writable);
	buf->writable_limit = writable_bytes > UINT32_MAX ? UINT32_MAX : (uint32_t)writable_bytes;
	buf->readable_bytes = walk->readable_bytes;
	buf->writable_bytes = writable_bytes;
	buf->receives = !walk->readable_bytes;
	buf->truncated = walk->truncated;
	if (q->in_order)
		devq_order_take(q);
	devq_take_named(q, buf, name, slot, entries);
}

/* Whether what is pushed belongs to this life of the queue and to a driver that can still be served. */
static inline bool devq_holds(const struct vio_devq *q, const struct vio_buf *buf)
{
	return q->running && buf->generation == q->generation;
}

/* Frees what the buffer held. */
static inline void devq_release(struct vio_devq *q, const struct vio_buf *buf)
{
	q->busy[buf->head] = 0;
	q->in_flight--;
	q->entries = (uint16_t)(q->entries - buf->entries);
	q->slots[q->in_flight] = buf->slot;
}

static inline uint32_t devq_written(const struct vio_buf *buf, uint32_t written)
{
	/* hostile: A133, a device that boasts */
	return written > buf->writable_limit ? buf->writable_limit : written;
}

/* In order: keeps what was pushed, for vio_devq_order_next(). */
void vio_devq_order_push(struct vio_devq *q, const struct vio_buf *buf, uint32_t written);

/*
 * In order: gives back all that was pushed and has nothing before it, as far as it fits one
 * used entry, which is then to be written; false when there is none to write yet. `all`: a
 * run that might still grow, too.
 */
bool vio_devq_order_next(struct vio_devq *q, struct vio_devq_run *run, bool all);

/* A queue with a log, running and not broken: logged.c. What was given in order is known later. */
unsigned vio_devq_logged_pop_many(struct vio_devq *q, struct vio_buf *buffers, unsigned max);
void vio_devq_logged_given(struct vio_devq *q, const struct vio_buf *buffers, const uint32_t *written,
			   unsigned count);
/* Also of a queue that is broken: what a device has filled, it has. */
void vio_devq_logged_filled(struct vio_devq *q, const struct vio_buf *buf, uint32_t written);
/* What tells the driver of kicks was written. */
void vio_devq_logged_asked(struct vio_devq *q);

static inline void devq_log_showing(struct vio_devq *q)
{
	if (__builtin_expect(q->log != NULL, 0))
		q->log->ops->showing(q->log, q);
}

static inline void devq_log_shown(struct vio_devq *q)
{
	if (__builtin_expect(q->log != NULL, 0))
		q->log->ops->shown(q->log, q);
}

/* Each format's part of vio_devq_*(), with the same contracts on a queue that runs and isn't broken. */

bool vio_split_pop(struct vio_devq *q, struct vio_buf *buf);
unsigned vio_split_pop_many(struct vio_devq *q, struct vio_buf *buffers, unsigned max);
void vio_split_push(struct vio_devq *q, const struct vio_buf *buf, uint32_t written);
void vio_split_push_many(struct vio_devq *q, const struct vio_buf *buffers, const uint32_t *written,
			 unsigned count);
bool vio_split_publish(struct vio_devq *q); /* there was something to show */
void vio_split_notify(struct vio_devq *q);
void vio_split_kicks_ask(struct vio_devq *q);
void vio_split_kicks_refuse(struct vio_devq *q);
bool vio_split_pending(struct vio_devq *q); /* there is one to take */
bool vio_split_pop_again(struct vio_devq *q, const struct vio_devq_again *again, struct vio_buf *buf);

bool vio_packed_pop(struct vio_devq *q, struct vio_buf *buf);
unsigned vio_packed_pop_many(struct vio_devq *q, struct vio_buf *buffers, unsigned max);
void vio_packed_push(struct vio_devq *q, const struct vio_buf *buf, uint32_t written);
void vio_packed_push_many(struct vio_devq *q, const struct vio_buf *buffers, const uint32_t *written,
			  unsigned count);
bool vio_packed_publish(struct vio_devq *q); /* there was something to show */
void vio_packed_notify(struct vio_devq *q);
void vio_packed_kicks_ask(struct vio_devq *q);
void vio_packed_kicks_refuse(struct vio_devq *q);
bool vio_packed_pending(struct vio_devq *q);
bool vio_packed_pop_again(struct vio_devq *q, const struct vio_devq_again *again, struct vio_buf *buf);

#endif
