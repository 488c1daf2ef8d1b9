/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_PROOFS_DEVICE_QUEUE_H
#define VIO_PROOFS_DEVICE_QUEUE_H

#include <stdlib.h>

#include "ring/packed.h"
#include "ring/walk.h"

#include "nondet.h"

/* A device's queue in any state that it can get into, and what holds of it after a buffer was asked for. */

#ifndef SIZE_MAX_PROVEN
#define SIZE_MAX_PROVEN 4
#endif
#define SPANS_MAX 2

/* vio_mem_resolve() is proven by itself; here it may answer whatever its contract allows. */
int vio_mem_resolve(const struct vio_mem *mem, unsigned *hint, struct vio_addr addr, uint64_t length,
		    unsigned access, struct vio_span *spans, unsigned max)
{
	unsigned count = nondet_unsigned(), i;
	uint64_t left = length;
	bool fits = nondet_bool();

	*hint = nondet_unsigned();
	if (!length)
		return 0;
	if (nondet_bool())
		return -VIO_EACCES;
	__CPROVER_assume(count >= 1 && count <= max);
	for (i = 0; i < count; i++) {
		spans[i].length = nondet_size();
		__CPROVER_assume(spans[i].length >= 1 && spans[i].length <= left);
		spans[i].host = malloc(spans[i].length);
		__CPROVER_assume(spans[i].host);
		left -= spans[i].length;
	}
	if (left) {
		__CPROVER_assume(!fits && count == max);
		return -VIO_ENOSPC;
	}
	return (int)count;
}

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

/* Not of this file. */
bool vio_devq_enable_kick(struct vio_devq *q)
{
	q->kicks_off = false;
	return nondet_bool();
}

static void queue_make(struct vio_devq *q, bool packed)
{
	struct vio_mem *mem = any_bytes(sizeof(*mem));
	uint16_t size = nondet_u16(), i;

	memset(q, 0, sizeof(*q));
	__CPROVER_assume(size >= 1 && size <= SIZE_MAX_PROVEN);
	mem->count = nondet_bool();
	mem->regions = any_bytes(sizeof(*mem->regions));
	mem->regions[0].size = nondet_u64();
	__CPROVER_assume(mem->regions[0].size >= 1 && mem->regions[0].size <= UINT64_C(1) << 40);
	mem->regions[0].host = any_bytes(mem->regions[0].size);
	mem->regions[0].base.raw = nondet_u64();
	mem->regions[0].rights = nondet_unsigned();

	q->size = q->size_max = size;
	q->spans_max = SPANS_MAX;
	q->request_stride = 16;
	q->interrupt = ignore_interrupt;
	q->mem = mem;
	q->mem_hint = nondet_unsigned();
	q->running = true;
	q->packed = packed;
	q->event_idx = nondet_bool();
	q->indirect = nondet_bool();
	q->kicks_off = nondet_bool();
	q->polling = nondet_bool();
	q->budget = nondet_u32();
	q->spans = any_bytes((size_t)size * SPANS_MAX * sizeof(struct vio_span));
	q->requests = any_bytes((size_t)size * 16);
	q->busy = any_bytes(size);
	q->in_flight = nondet_u16();
	__CPROVER_assume(q->in_flight <= size);
	q->slots = any_bytes(size * sizeof(*q->slots));
	for (i = 0; i < size; i++)
		__CPROVER_assume(q->slots[i] < size);
	q->avail_next = nondet_u16();
	q->used_next = nondet_u16();
	q->used_visible = nondet_u16();
	if (packed) {
		q->ring = any_bytes(16 * (size_t)size);
		q->driver_event = any_bytes(4);
		q->device_event = any_bytes(4);
		q->entries = nondet_u16();
		__CPROVER_assume(q->entries >= q->in_flight && q->entries <= size);
		__CPROVER_assume(packed_offset(q->avail_next) < size && packed_offset(q->used_next) < size);
	}
}

/* What must hold after a pop, whether it got a buffer or not. */
static void queue_check(const struct vio_devq *q, const struct vio_devq *before, const struct vio_buf *buf, bool got)
{
	__CPROVER_assert(q->entries <= q->size && q->in_flight <= q->size, "counts stay in range");
	if (q->packed)
		__CPROVER_assert(packed_offset(q->avail_next) < q->size, "the position stays in the ring");
	if (!got) {
		__CPROVER_assert(q->in_flight == before->in_flight && q->entries == before->entries &&
					 q->avail_next == before->avail_next && q->budget == before->budget,
				 "nothing was taken");
		return;
	}
	__CPROVER_assert(q->fault.kind == VIO_FAULT_NONE, "no fault and a buffer");
	__CPROVER_assert(q->in_flight == before->in_flight + 1, "one was taken");
	__CPROVER_assert(buf->head < q->size && q->busy[buf->head], "its name is busy");
	__CPROVER_assert(buf->slot < q->size, "it has a slot");
	__CPROVER_assert(buf->readable_count + buf->writable_count <= SPANS_MAX, "its spans fit");
	__CPROVER_assert(buf->writable == buf->readable + buf->readable_count, "one after the other");
	__CPROVER_assert(buf->readable == q->spans + (size_t)buf->slot * SPANS_MAX, "in its slot");
	__CPROVER_assert(buf->readable_bytes + buf->writable_bytes <= CHAIN_BYTES_MAX, "not too long");
	__CPROVER_assert(buf->entries >= 1 && q->entries == before->entries + buf->entries, "its entries are counted");
}

#endif
