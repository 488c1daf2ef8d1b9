/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Taking a buffer from a packed ring whose every load gives any value: stays in the ring, in tables and in the
 * queue's storage, ends, yields a legal buffer or a fault, and after a fault or nothing the queue is as it was.
 *
 * source: src/ring/packed_device.c
 * source: src/ring/walk.c
 * source: src/ring/walk.h
 * source: src/ring/packed.h
 * cbmc: --unwind 5
 * mutant: src/ring/packed_device.c: q->entries + count >= q->size => q->entries + count > q->size
 * mutant: src/ring/packed_device.c: d.link >= q->size || => q->size == 0 ||
 * mutant: src/ring/packed_device.c: at < table.entries; at++ => at <= table.entries; at++
 * mutant: src/ring/walk.h: walk->next == walk->end => walk->next > walk->end
 * mutant: src/ring/walk.h: walk->bytes > CHAIN_BYTES_MAX => walk->bytes > 4 * CHAIN_BYTES_MAX
 * mutant: src/ring/walk.c: entries > q->size => entries > 2 * q->size
 */
#include "device_queue.h"

#include "src/ring/packed_device.c"
#include "src/ring/walk.c"

int main(void)
{
	struct vio_devq q, before;
	struct vio_buf buf;
	bool got;

	queue_make(&q, true);
	before = q;
	got = packed_pop(&q, &buf);
	queue_check(&q, &before, &buf, got);
	return 0;
}
