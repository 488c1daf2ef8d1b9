/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include "exchange.h"
#include "floor.h"

/*
 * A driver that keeps no shadow and checks nothing that comes back but that it is in order. Slot
 * and descriptor are the same thing. It doesn't sleep, as the floor's device.
 */

struct driver {
	struct floor_desc *desc;
	struct floor_avail *avail;
	const struct floor_used *used;
	struct floor_packed_desc *ring;
	struct floor_desc *tables;
	const uint8_t *data;
	unsigned mask, size, slots, chain, entries;
	bool packed, indirect;
	uint16_t next, shown, used_next;
	/* Packed. */
	unsigned at, used_at, available, used_state;
	struct floor_packed_desc *first; /* not shown yet */
	uint16_t first_flags;
};

static void *driver_start(const struct bench_case *c, struct bench_memory *memory)
{
	struct driver *d = bench_alloc(sizeof(*d));

	if (!d)
		return NULL;
	d->desc = (struct floor_desc *)(void *)memory->descriptor_area;
	d->ring = (struct floor_packed_desc *)(void *)memory->descriptor_area;
	d->avail = (struct floor_avail *)(void *)memory->driver_area;
	d->used = (const struct floor_used *)(const void *)memory->device_area;
	d->tables = (struct floor_desc *)(void *)memory->tables;
	d->data = memory->data;
	d->size = memory->ring_size;
	d->mask = memory->ring_size - 1;
	d->slots = memory->slots;
	d->chain = memory->chain;
	d->packed = c->bits & BENCH_PACKED;
	d->indirect = c->bits & BENCH_INDIRECT;
	d->entries = d->indirect ? 1 : d->chain;
	d->available = FLOOR_AVAIL;
	d->used_state = FLOOR_AVAIL | FLOOR_USED;
	/* No interrupts. With EVENT_IDX what stands there asks for one in 65536. */
	if (d->packed)
		((struct floor_event *)(void *)memory->driver_area)->flags = FLOOR_EVENT_DISABLE;
	else
		d->avail->flags = 1;
	return d;
}

static inline uint64_t element_addr(const struct driver *d, unsigned slot, unsigned element)
{
	return (uintptr_t)d->data + (size_t)slot * BENCH_SLOT_BYTES + element * BENCH_BYTES;
}

static void split_fill(struct driver *d, struct floor_desc *table, unsigned at, unsigned slot)
{
	unsigned i;

	for (i = 0; i < d->chain; i++, at++) {
		table[at].addr = element_addr(d, slot, i);
		table[at].len = BENCH_BYTES;
		table[at].flags = (uint16_t)((i ? FLOOR_WRITE : 0) | (i + 1 < d->chain ? FLOOR_NEXT : 0));
		table[at].next = (uint16_t)(at + 1);
	}
}

static void split_add(struct driver *d, unsigned slot)
{
	const unsigned head = slot * d->entries;

	if (d->indirect) {
		struct floor_desc *table = d->tables + (size_t)slot * BENCH_CHAIN;

		split_fill(d, table, 0, slot);
		d->desc[head] = (struct floor_desc){ (uintptr_t)table, d->chain * 16, FLOOR_INDIRECT, 0 };
	} else {
		split_fill(d, d->desc, head, slot);
	}
	d->avail->ring[d->next++ & d->mask] = (uint16_t)head;
}

static void packed_put(struct driver *d, uint64_t addr, uint32_t len, unsigned slot, unsigned flags,
		       bool held)
{
	struct floor_packed_desc *to = &d->ring[d->at];

	flags |= d->available;
	to->addr = addr;
	to->len = len;
	to->id = (uint16_t)slot;
	if (held) {
		d->first = to;
		d->first_flags = (uint16_t)flags;
	} else {
		to->flags = (uint16_t)flags;
	}
	if (++d->at == d->size) {
		d->at = 0;
		d->available ^= FLOOR_AVAIL | FLOOR_USED;
	}
}

static void packed_add(struct driver *d, unsigned slot)
{
	struct floor_packed_desc *table =
		(struct floor_packed_desc *)(void *)(d->tables + (size_t)slot * BENCH_CHAIN);
	const bool held = !d->first;
	unsigned i;

	if (!d->indirect) {
		for (i = 0; i < d->chain; i++)
			packed_put(d, element_addr(d, slot, i), BENCH_BYTES, slot,
				   (i ? FLOOR_WRITE : 0) | (i + 1 < d->chain ? FLOOR_NEXT : 0), held && !i);
		return;
	}
	for (i = 0; i < d->chain; i++)
		table[i] = (struct floor_packed_desc){ element_addr(d, slot, i), BENCH_BYTES, 0,
						       i ? FLOOR_WRITE : 0 };
	packed_put(d, (uintptr_t)table, d->chain * 16, slot, FLOOR_INDIRECT, held);
}

static bool driver_add(void *state, unsigned first, unsigned count)
{
	struct driver *d = state;
	unsigned i;

	for (i = first; i < first + count; i++)
		if (d->packed)
			packed_add(d, i);
		else
			split_add(d, i);
	return true;
}

static void driver_show(void *state)
{
	struct driver *d = state;

	if (!d->packed) {
		__atomic_store_n(&d->avail->idx, d->next, __ATOMIC_RELEASE);
	} else if (d->first) {
		__atomic_store_n(&d->first->flags, d->first_flags, __ATOMIC_RELEASE);
		d->first = NULL;
	}
}

/* How many buffers come back with the one that `slot` is the name of: in order, all up to it. */
static inline unsigned up_to(const struct driver *d, unsigned slot, unsigned next)
{
	return (slot >= next ? slot - next : slot + d->slots - next) + 1;
}

static int split_get(struct driver *d, unsigned next, unsigned max)
{
	unsigned count = (uint16_t)(__atomic_load_n(&d->used->idx, __ATOMIC_ACQUIRE) - d->used_next), i;

	if (count > max)
		count = max;
	for (i = 0; i < count;) {
		const uint32_t id = d->used->ring[(d->used_next + i) & d->mask].id;

		i += up_to(d, id / d->entries, (next + i) % d->slots);
	}
	/* One element that stands for more may go beyond what was asked for. */
	d->used_next = (uint16_t)(d->used_next + i);
	return (int)i;
}

static int packed_get(struct driver *d, unsigned next, unsigned max)
{
	unsigned count = 0;

	while (count < max) {
		const struct floor_packed_desc *used = &d->ring[d->used_at];
		const unsigned flags = __atomic_load_n(&used->flags, __ATOMIC_ACQUIRE);
		unsigned back;

		if ((flags & (FLOOR_AVAIL | FLOOR_USED)) != d->used_state)
			break;
		back = up_to(d, used->id, (next + count) % d->slots);
		count += back;
		d->used_at += back * d->entries;
		if (d->used_at >= d->size) {
			d->used_at -= d->size;
			d->used_state ^= FLOOR_AVAIL | FLOOR_USED;
		}
	}
	return (int)count;
}

static int driver_get(void *state, unsigned next, unsigned max)
{
	struct driver *d = state;

	return d->packed ? packed_get(d, next, max) : split_get(d, next, max);
}

static void driver_wake(void *state)
{
}

static bool driver_sleep(void *state)
{
	return false;
}

const struct bench_driver bench_floor_driver = {
	.name = "floor",
	.without_sleep = true,
	.start = driver_start,
	.stop = free,
	.add = driver_add,
	.show = driver_show,
	.kick = driver_show,
	.get = driver_get,
	.wake = driver_wake,
	.sleep = driver_sleep,
};
