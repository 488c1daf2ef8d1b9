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
	struct vio_span *spans; /* spans_max of them; readable ones first */
	unsigned count;         /* in use */
	unsigned readable;      /* of those */
	unsigned descriptors;   /* that carried a buffer, direct and indirect */
	uint64_t readable_bytes, writable_bytes;
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
bool walk_open_table(struct vio_devq *q, const struct descriptor *d, uint32_t index, struct table *table);

/* Copies an entry of a table at `table` that can't be read in place (hostile: A42). */
bool walk_copy_entry(struct vio_devq *q, uint64_t table, unsigned at, struct virtq_desc *copy);

/* A descriptor that crosses regions: rare, so in pieces rather than with room for many. */
bool walk_memory_slowly(struct vio_devq *q, struct walk *walk, uint64_t addr, uint32_t len, unsigned access);

/*
 * Appends one span. When there is no room it takes the last place, so that the
 * last byte of the buffer, where a status may lie, can always be found.
 */
static inline void walk_append(struct walk *walk, unsigned spans_max, struct vio_span span, bool writable)
{
	if (walk->count == spans_max) {
		walk->truncated = true;
		walk->count--;
		if (walk->readable > walk->count)
			walk->readable--;
	}
	walk->spans[walk->count++] = span;
	if (!writable)
		walk->readable++;
}

static inline __attribute__((always_inline)) bool walk_memory(struct vio_devq *q, struct walk *walk,
							      const struct descriptor *d, bool writable)
{
	const unsigned access = writable ? VIO_MEM_WRITE : VIO_MEM_READ;
	struct vio_span span;

	if (__builtin_expect(!d->len || !mem_resolve_hit(q->mem, q->mem_hint, d->addr, d->len, access, &span),
			     0)) {
		struct walk lent = *walk;
		bool found = walk_memory_slowly(q, &lent, d->addr, d->len, access);

		*walk = lent;
		return found;
	}
	walk_append(walk, q->spans_max, span, writable);
	return true;
}

/* Takes the memory of one descriptor. `index` is only for the fault. */
static inline __attribute__((always_inline)) bool walk_element(struct vio_devq *q, struct walk *walk,
							       const struct descriptor *d, uint32_t index)
{
	const bool writable = d->flags & VIRTQ_DESC_F_WRITE;

	if (++walk->descriptors > q->size)
		return devq_fault(q, VIO_FAULT_CHAIN_LOOP, index, walk->descriptors); /* hostile: A1 A2 A9 */
	if (writable)
		walk->writable_bytes += d->len;
	else if (!walk->writable_bytes)
		walk->readable_bytes += d->len;
	else
		return devq_fault(q, VIO_FAULT_READ_AFTER_WRITE, index, d->flags); /* hostile: A25 */
	if (walk->readable_bytes + walk->writable_bytes > CHAIN_BYTES_MAX)
		return devq_fault(q, VIO_FAULT_CHAIN_LENGTH, index,
				  walk->readable_bytes + walk->writable_bytes);
	/* hostile: A13 A15 A16 A18 A19 A21; an element of no bytes names no memory (A10 A12). */
	if (!walk_memory(q, walk, d, writable))
		return devq_fault(q, VIO_FAULT_BUFFER_MEMORY, index, d->addr);
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
	return q->in_order ? q->order_next : q->slots[q->size - 1 - q->in_flight];
}

static inline struct walk walk_begin(const struct vio_devq *q, uint16_t slot)
{
	return (struct walk){ .spans = q->spans + (size_t)slot * q->spans_max };
}

/* A record of what was pushed, by slot, when it can't be shown yet. */
struct vio_devq_done {
	uint32_t written;
	uint16_t name;    /* of the buffer */
	uint16_t entries; /* of the ring */
	bool pushed;
	bool whole; /* may be skipped: see devq_order_push() */
};

/* The walk succeeded: the buffer is taken. */
static inline __attribute__((always_inline)) void devq_take(struct vio_devq *q, const struct walk *walk,
							    struct vio_buf *buf, uint16_t name, uint16_t slot,
							    uint16_t entries)
{
	const uint64_t writable_bytes = walk->writable_bytes;

	q->busy[name] = 1;
	q->in_flight++;
	q->entries = (uint16_t)(q->entries + entries);
	if (q->in_order) {
		q->order[slot].pushed = false;
		q->order_next = (uint16_t)(slot + 1u == q->size ? 0 : slot + 1u);
	}
	if (q->budget != VIO_DEVQ_NO_BUDGET)
		q->budget--;
	buf->readable = walk->spans;
	buf->writable = walk->spans + walk->readable;
	buf->readable_count = (uint16_t)walk->readable;
	buf->writable_count = (uint16_t)(walk->count - walk->readable);
	buf->head = name;
	buf->slot = slot;
	buf->generation = q->generation;
	buf->writable_limit = writable_bytes > UINT32_MAX ? UINT32_MAX : (uint32_t)writable_bytes;
	buf->readable_bytes = walk->readable_bytes;
	buf->writable_bytes = writable_bytes;
	buf->request = q->requests + (size_t)slot * q->request_stride;
	buf->entries = entries;
	buf->receives = !walk->readable_bytes;
	buf->truncated = walk->truncated;
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
	q->slots[q->size - 1 - q->in_flight] = buf->slot;
}

static inline uint32_t devq_written(const struct vio_buf *buf, uint32_t written)
{
	/* hostile: A133, a device that boasts */
	return written > buf->writable_limit ? buf->writable_limit : written;
}

/* In order: keeps what was pushed, for devq_order_next(). */
void devq_order_push(struct vio_devq *q, const struct vio_buf *buf, uint32_t written);

/*
 * In order: gives back all that was pushed and has nothing before it, as far as it fits one
 * used entry, which is then to be written; false when there is none to write yet. `all`: a
 * run that might still grow, too.
 */
bool devq_order_next(struct vio_devq *q, struct vio_devq_run *run, bool all);

/* Each format's part of vio_devq_*(), with the same contracts on a queue that runs and isn't broken. */

bool split_pop(struct vio_devq *q, struct vio_buf *buf);
unsigned split_pop_many(struct vio_devq *q, struct vio_buf *buffers, unsigned max);
void split_push(struct vio_devq *q, const struct vio_buf *buf, uint32_t written);
void split_push_many(struct vio_devq *q, const struct vio_buf *buffers, const uint32_t *written,
		     unsigned count);
void split_notify(struct vio_devq *q);
void split_kicks_ask(struct vio_devq *q);
void split_kicks_refuse(struct vio_devq *q);
bool split_pending(struct vio_devq *q); /* there is one to take */

bool packed_pop(struct vio_devq *q, struct vio_buf *buf);
unsigned packed_pop_many(struct vio_devq *q, struct vio_buf *buffers, unsigned max);
void packed_push(struct vio_devq *q, const struct vio_buf *buf, uint32_t written);
void packed_push_many(struct vio_devq *q, const struct vio_buf *buffers, const uint32_t *written,
		      unsigned count);
void packed_notify(struct vio_devq *q);
void packed_kicks_ask(struct vio_devq *q);
void packed_kicks_refuse(struct vio_devq *q);
bool packed_pending(struct vio_devq *q);

#endif
