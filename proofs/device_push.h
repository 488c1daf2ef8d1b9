/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_PROOFS_DEVICE_PUSH_H
#define VIO_PROOFS_DEVICE_PUSH_H

#include <stddef.h>
#include <stdint.h>

/* The stores of a push, at most so many. */
#define STORES_MAX 8u

static struct {
	const void *to;
	uint64_t what;
} stores[STORES_MAX];

static unsigned store_count;

#define MODEL_STORED
static inline void model_stored(const void *to, size_t bytes, uint64_t what)
{
	(void)bytes;
	__CPROVER_assert(store_count < STORES_MAX, "no more stores than that");
	stores[store_count].to = to;
	stores[store_count++].what = what;
}

#include "device_queue.h"

#define IN_ORDER_SIZE 2u

/* A buffer that was taken in this life and not given back. */
static void buf_make(const struct vio_devq *q, struct vio_buf *buf)
{
	buf->head = nondet_u16();
	buf->slot = nondet_u16();
	buf->entries = q->packed ? nondet_u16() : 1;
	buf->generation = q->generation;
	buf->writable_limit = nondet_u32();
	buf->receives = nondet_bool();
	__CPROVER_assume(buf->head < q->size && buf->slot < q->size && buf->entries >= 1);
}

/* The one that was taken as the last but `back`. */
static unsigned record_at(const struct vio_devq *q, unsigned back)
{
	return q->order_next > back ? q->order_next - 1u - back : q->order_next + q->size - 1u - back;
}

/* In order: records of what is in flight, and what can be shown with what follows. */
static void records_make(struct vio_devq *q)
{
	static struct vio_devq_done records[IN_ORDER_SIZE];
	static uint8_t busy[IN_ORDER_SIZE];
	unsigned i, entries = 0;

	queue_make_in_order(q);
	q->order = records;
	q->busy = busy;
	for (i = 0; i < IN_ORDER_SIZE; i++)
		records[i] = (struct vio_devq_done){ nondet_u32(), nondet_u16(), nondet_u16(), nondet_bool(),
						     nondet_bool() };
	for (i = 0; i < q->in_flight; i++) {
		const unsigned at = record_at(q, i);

		__CPROVER_assume(q->order[at].name < q->size && q->order[at].entries >= 1 &&
				 q->order[at].entries <= q->size && (q->packed || q->order[at].entries == 1));
		entries += q->order[at].entries;
	}
	__CPROVER_assume(entries <= q->entries);
	q->run.buffers = nondet_u16();
	q->run.entries = nondet_u16();
	q->run.name = nondet_u16();
	q->run.written = nondet_u32();
	q->run.open = q->run.buffers != 0;
	__CPROVER_assume(q->run.buffers <= q->run.entries && q->run.entries <= q->size &&
			 q->run.name < q->size && (q->run.buffers || !q->run.entries));
}

/* Gives back any buffer in flight: its record is the one at its slot. */
static void records_push(struct vio_devq *q,
			 void (*push)(struct vio_devq *q, const struct vio_buf *buf, uint32_t written))
{
	struct vio_buf buf;
	unsigned back = nondet_unsigned();

	__CPROVER_assume(back < q->in_flight);
	buf_make(q, &buf);
	buf.slot = (uint16_t)record_at(q, back);
	__CPROVER_assume(buf.head == q->order[buf.slot].name && buf.entries == q->order[buf.slot].entries);
	push(q, &buf, nondet_u32());
}

#endif
