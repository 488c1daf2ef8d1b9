/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_PROOFS_DRIVER_QUEUE_H
#define VIO_PROOFS_DRIVER_QUEUE_H

#include <stdlib.h>

#include "nondet.h"

#include "ring/driver.h"

/* A driver's queue with any private state; the proofs say which of these are legal. */

#ifndef SIZE_PROVEN
#define SIZE_PROVEN 4u
#endif
#define TABLE_PROVEN 2u

static struct vio_drvq_shadow shadows[SIZE_PROVEN], shadows_before[SIZE_PROVEN];

static void *any_bytes(size_t bytes)
{
	void *at = malloc(bytes);

	__CPROVER_assume(at);
	return at;
}

static void driver_make(struct vio_drvq *q, bool packed, bool in_order)
{
	static uint8_t token[SIZE_PROVEN];
	unsigned i;

	*q = (struct vio_drvq){ .size = nondet_u16() };
	__CPROVER_assume(q->size >= 1 && q->size <= SIZE_PROVEN && (packed || !(q->size & (q->size - 1))));
	q->packed = packed;
	q->in_order = in_order;
	q->event_idx = nondet_bool();
	q->order_platform = nondet_bool();
	q->callbacks_off = nondet_bool();
	q->lengths_ignored = nondet_bool();
	q->indirect_max = nondet_bool() ? TABLE_PROVEN : 0;
	q->indirect.host = any_bytes(16u * TABLE_PROVEN * (size_t)q->size);
	q->indirect.addr.raw = nondet_u64();
	q->free_count = nondet_u16();
	q->free_head = nondet_u16();
	q->in_flight = nondet_u16();
	__CPROVER_assume(q->free_count <= q->size && q->in_flight <= q->size);
	q->avail_next = nondet_u16();
	q->avail_visible = nondet_u16();
	q->used_next = nondet_u16();
	q->used_seen = nondet_u16();
	q->event = nondet_u16();
	q->batch_left = in_order ? nondet_u16() : 0;
	q->batch_last = nondet_u16();
	q->batch_length = nondet_u32();
	q->shows = nondet_u64();
	q->first_rest = nondet_u64();
	q->shadow = shadows;
	for (i = 0; i < SIZE_PROVEN; i++) {
		shadows[i].token = nondet_bool() ? &token[i] : NULL;
		shadows[i].writable = nondet_u32();
		shadows[i].count = nondet_u16();
		shadows[i].next = nondet_u16();
		if (packed) {
			shadows[i].shows = nondet_u64();
		} else {
			shadows[i].split.last = nondet_u16();
			shadows[i].split.avail_idx = nondet_u16();
			shadows[i].split.ring = nondet_u16();
		}
	}
}

/* Gets one. Of the queue's private state all stays that has to. */
static void driver_get_check(struct vio_drvq *q, const struct vio_drvq *before,
			     void *(*get)(struct vio_drvq *q, uint32_t *written, bool ask))
{
	unsigned i, gone = 0, which = 0;
	uint32_t written = 0;
	void *token;

	for (i = 0; i < SIZE_PROVEN; i++)
		shadows_before[i] = shadows[i];
	token = get(q, &written, nondet_bool());
	for (i = 0; i < q->size; i++)
		if (shadows[i].token != shadows_before[i].token) {
			gone++;
			which = i;
		}
	if (!token) {
		__CPROVER_assert(
			!gone && q->free_count == before->free_count && q->in_flight == before->in_flight &&
				q->used_next == before->used_next && q->free_head == before->free_head,
			"nothing came back, nothing changed");
		return;
	}
	__CPROVER_assert(!vio_drvq_broken(q), "no fault and a buffer");
	__CPROVER_assert(gone == 1 && !shadows[which].token && shadows_before[which].token == token,
			 "one that was in flight came back, and can't once more");
	__CPROVER_assert(q->in_flight + 1 == before->in_flight &&
				 q->free_count == before->free_count + shadows_before[which].count,
			 "its descriptors are free");
	/* The length of a batch's last one was judged when the batch began. */
	if (!before->batch_left)
		__CPROVER_assert(written <= shadows_before[which].writable, "no more bytes than it can take");
}

/* Adds one of up to 3 elements; true when it was added. */
static bool driver_add_check(struct vio_drvq *q, const struct vio_drvq *before,
			     int (*add)(struct vio_drvq *q, const struct vio_sg *sg, unsigned readable,
					unsigned writable, void *token))
{
	static uint8_t token;
	struct vio_sg sg[3];
	unsigned readable = nondet_unsigned(), writable = nondet_unsigned(), i;
	int error;

	__CPROVER_assume(readable <= 3 && writable <= 3 && readable + writable <= 3);
	for (i = 0; i < 3; i++)
		sg[i] = (struct vio_sg){ { nondet_u64() }, nondet_u32() };
	error = add(q, sg, readable, writable, &token);
	if (error) {
		__CPROVER_assert(error == -VIO_EINVAL || error == -VIO_ENOSPC, "a code that says why");
		__CPROVER_assert(q->avail_next == before->avail_next && q->in_flight == before->in_flight &&
					 q->free_count == before->free_count &&
					 q->free_head == before->free_head,
				 "nothing was added, nothing changed");
		return false;
	}
	__CPROVER_assert(q->in_flight == before->in_flight + 1 && q->free_count < before->free_count,
			 "one more");
	return true;
}

#endif
