/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Giving buffers back in a packed ring: in any order at every size; with VIRTIO_F_IN_ORDER in rings of
 * up to 2 entries. The used descriptor is the next one, and says which buffer, how much of it and on
 * which lap; that which the driver looks at first is held back until vio_devq_notify(); counts, slots
 * and used_next follow.
 *
 * source: src/ring/packed_device.c
 * source: src/ring/packed.h
 * source: src/ring/devq.c
 * source: src/ring/walk.h
 * entry: one in_order
 * cbmc: --unwind 4
 * mutant: src/ring/packed_device.c: (uint64_t)name << 32 | written => (uint64_t)(name + 1u) << 32 | written
 * mutant: src/ring/packed_device.c: q->used_next = packed_advance(q->used_next, entries, q->size); => \
 *   q->used_next += entries;
 * mutant: src/ring/packed_device.c: if (q->used_next == q->used_visible) => if (!q->used_next)
 * mutant: src/ring/devq.c: q->entries = (uint16_t)(q->entries - done->entries); => q->entries--;
 */
#include "device_push.h"

#include "src/ring/devq.c"
#include "src/ring/packed_device.c"

void one(void)
{
	uint32_t written = nondet_u32(), told;
	struct vio_devq q, before;
	struct vio_buf buf;
	uint64_t rest;

	queue_make(&q, true, VIRTQ_SIZE_MAX);
	buf_make(&q, &buf);
	__CPROVER_assume(q.in_flight >= 1 && buf.entries <= q.entries - q.in_flight + 1);
	before = q;
	store_count = 0;
	vio_packed_push(&q, &buf, written);
	if (before.used_next == before.used_visible) {
		__CPROVER_assert(!store_count, "held back");
		rest = q.used_first;
	} else {
		__CPROVER_assert(store_count == 1 &&
					 stores[0].to == &q.ring[packed_offset(before.used_next)].len,
				 "one descriptor, the next");
		__CPROVER_assert(q.used_first == before.used_first, "what is held back stays");
		rest = stores[0].what;
	}
	told = written > buf.writable_limit ? buf.writable_limit : written;
	__CPROVER_assert((uint32_t)rest == told && (uint16_t)(rest >> 32) == buf.head, "which and how much");
	__CPROVER_assert((rest >> 48 & PACKED_STATE_FLAGS) == packed_used_flags(before.used_next),
			 "on this lap");
	__CPROVER_assert(q.used_next == packed_advance(before.used_next, buf.entries, q.size),
			 "as far as it goes");
	__CPROVER_assert(packed_offset(q.used_next) < q.size, "in the ring");
	__CPROVER_assert(q.in_flight == before.in_flight - 1 && q.entries == before.entries - buf.entries,
			 "counted");
	__CPROVER_assert(q.slots[q.in_flight] == buf.slot && !q.busy[buf.head],
			 "its slot is free");
}

void in_order(void)
{
	struct vio_devq q, before;
	unsigned given;

	queue_make(&q, true, IN_ORDER_SIZE);
	records_make(&q);
	before = q;
	store_count = 0;
	records_push(&q, vio_packed_push);
	given = (unsigned)before.entries - q.entries + before.run.entries - q.run.entries;
	/*
	 * Once around is where it was, with the other wrap counter; more than once is more than the ring
	 * holds.
	 */
	__CPROVER_assume(before.entries + before.run.entries <= q.size);
	__CPROVER_assert(packed_offset(q.used_next) < q.size && q.run.entries <= q.size, "in the ring");
	__CPROVER_assert(q.used_next == packed_advance(before.used_next, (uint16_t)given, q.size),
			 "what isn't in flight is given back or waits to be");
	__CPROVER_assert(q.order_next == before.order_next && q.in_flight <= before.in_flight,
			 "and nothing else");
}
