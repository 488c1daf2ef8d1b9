/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Giving buffers back in a split ring: in any order at every size, one and two at a time; with
 * VIRTIO_F_IN_ORDER in rings of up to 2 entries. The used element is the next one, and says which buffer
 * and how much of it; counts, the stack of slots and used_next follow; a buffer of an earlier life is
 * dropped.
 *
 * source: src/ring/split_device.c
 * source: src/ring/devq.c
 * source: src/ring/walk.h
 * entry: one two in_order
 * cbmc: --unwind 4
 * mutant: src/ring/split_device.c: vio_store_le32(&elem->id, name); => vio_store_le32(&elem->id, name + 1u);
 * mutant: src/ring/split_device.c: if (buf->generation != generation) => if (buf->generation == 7)
 * mutant: src/ring/split_device.c: &q->used->ring[q->used_next & (q->size - 1u)] => \
 *   &q->used->ring[q->used_next & q->size]
 * mutant: src/ring/walk.h: return written > buf->writable_limit ? buf->writable_limit : written; => \
 *   return written;
 * mutant: src/ring/devq.c: q->run.buffers++; => q->run.buffers = 1;
 */
#include "device_push.h"

#include "src/ring/devq.c"
#include "src/ring/split_device.c"

static void check_element(const struct vio_devq *q, unsigned first, uint16_t index, const struct vio_buf *buf,
			  uint32_t written)
{
	const struct virtq_used_elem *elem = &q->used->ring[index & (q->size - 1u)];

	__CPROVER_assert(stores[first].to == &elem->id && stores[first].what == buf->head, "its id");
	__CPROVER_assert(stores[first + 1].to == &elem->len &&
				 stores[first + 1].what <= buf->writable_limit &&
				 (stores[first + 1].what == written || written > buf->writable_limit),
			 "its length");
	__CPROVER_assert(!q->busy[buf->head], "its head may come again");
}

void one(void)
{
	uint32_t written = nondet_u32();
	struct vio_devq q, before;
	struct vio_buf buf;

	queue_make(&q, false, VIRTQ_SIZE_MAX);
	buf_make(&q, &buf);
	__CPROVER_assume(q.in_flight >= 1);
	before = q;
	store_count = 0;
	vio_split_push(&q, &buf, written);
	__CPROVER_assert(store_count == 2, "one element");
	check_element(&q, 0, before.used_next, &buf, written);
	__CPROVER_assert(q.used_next == (uint16_t)(before.used_next + 1) &&
				 q.used_visible == before.used_visible,
			 "counted, not shown");
	__CPROVER_assert(q.in_flight == before.in_flight - 1 && q.entries == q.in_flight,
			 "one less in flight");
	__CPROVER_assert(q.slots[q.in_flight] == buf.slot, "its slot is free");
}

void two(void)
{
	struct vio_devq q, before;
	struct vio_buf bufs[2];
	uint32_t written[2] = { nondet_u32(), nondet_u32() };
	bool first, second;

	queue_make(&q, false, VIRTQ_SIZE_MAX);
	buf_make(&q, &bufs[0]);
	buf_make(&q, &bufs[1]);
	bufs[0].generation = nondet_u32();
	bufs[1].generation = nondet_u32();
	first = bufs[0].generation == q.generation;
	second = bufs[1].generation == q.generation;
	__CPROVER_assume(q.in_flight >= first + second);
	before = q;
	store_count = 0;
	vio_split_push_many(&q, bufs, written, 2);
	__CPROVER_assert(store_count == 2u * (first + second), "those of this life");
	if (first)
		check_element(&q, 0, before.used_next, &bufs[0], written[0]);
	if (second)
		check_element(&q, first ? 2 : 0, (uint16_t)(before.used_next + first), &bufs[1], written[1]);
	__CPROVER_assert(q.used_next == (uint16_t)(before.used_next + first + second), "counted");
	__CPROVER_assert(q.in_flight == before.in_flight - first - second && q.entries == q.in_flight,
			 "not in flight");
}

void in_order(void)
{
	struct vio_devq q, before;
	unsigned i;

	queue_make(&q, false, IN_ORDER_SIZE);
	records_make(&q);
	before = q;
	store_count = 0;
	records_push(&q, vio_split_push);
	__CPROVER_assert((uint16_t)(q.used_next - before.used_next) + q.run.buffers ==
				 before.in_flight - q.in_flight + before.run.buffers,
			 "what isn't in flight is given back or waits to be");
	__CPROVER_assert(q.entries == before.entries - (before.in_flight - q.in_flight),
			 "entries are counted");
	__CPROVER_assert(q.order_next == before.order_next && !(store_count & 1), "by whole elements");
	for (i = 0; i < store_count; i += 2)
		__CPROVER_assert(stores[i].what < q.size, "with the name of a buffer");
}
