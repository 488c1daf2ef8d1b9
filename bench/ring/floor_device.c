/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include "exchange.h"
#include "floor.h"

/*
 * A device that believes every word: no check, no translation, no suppression of notifications. It
 * doesn't sleep, so it stands only where both poll or one thread does all.
 */

struct device {
	struct floor_desc *desc;
	const struct floor_avail *avail;
	struct floor_used *used;
	struct floor_packed_desc *ring;
	struct floor_event *event;
	unsigned mask, size, chain;
	bool packed;
	uint16_t next;
	unsigned at;        /* packed */
	unsigned available; /* packed: the state of the two flags that says so */
};

static void *device_start(const struct bench_case *c, const struct bench_memory *memory)
{
	struct device *d = bench_alloc(sizeof(*d));

	if (!d)
		return NULL;
	d->desc = (struct floor_desc *)(void *)memory->descriptor_area;
	d->ring = (struct floor_packed_desc *)(void *)memory->descriptor_area;
	d->avail = (const struct floor_avail *)(const void *)memory->driver_area;
	d->used = (struct floor_used *)(void *)memory->device_area;
	d->event = (struct floor_event *)(void *)memory->device_area;
	d->size = memory->ring_size;
	d->mask = memory->ring_size - 1;
	d->chain = memory->chain;
	d->packed = c->bits & BENCH_PACKED;
	d->available = FLOOR_AVAIL;
	return d;
}

static inline uint64_t look(uint64_t addr, uint32_t len)
{
	return bench_weigh((const void *)(uintptr_t)addr, len);
}

static inline uint64_t walk(const struct floor_desc *table, unsigned at)
{
	uint64_t sum = 0;

	if (table[at].flags & FLOOR_INDIRECT) {
		table = (const struct floor_desc *)(uintptr_t)table[at].addr;
		at = 0;
	}
	for (;;) {
		sum += look(table[at].addr, table[at].len);
		if (!(table[at].flags & FLOOR_NEXT))
			return sum;
		at = table[at].next;
	}
}

static int serve_split(struct device *d, unsigned max, uint64_t *sum)
{
	unsigned count = (uint16_t)(__atomic_load_n(&d->avail->idx, __ATOMIC_ACQUIRE) - d->next), i;
	uint64_t seen = 0;

	if (count > max)
		count = max;
	for (i = 0; i < count; i++, d->next++) {
		const uint16_t head = d->avail->ring[d->next & d->mask];

		seen += walk(d->desc, head);
		d->used->ring[d->next & d->mask].id = head;
		d->used->ring[d->next & d->mask].len = 0;
	}
	if (count)
		__atomic_store_n(&d->used->idx, d->next, __ATOMIC_RELEASE);
	*sum += seen;
	return (int)count;
}

static inline unsigned packed_forward(struct device *d, unsigned at)
{
	if (at + 1 < d->size)
		return at + 1;
	d->available ^= FLOOR_AVAIL | FLOOR_USED;
	return 0;
}

static uint64_t packed_walk(const struct floor_packed_desc *table, unsigned count)
{
	uint64_t sum = 0;

	for (; count; count--, table++)
		sum += look(table->addr, table->len);
	return sum;
}

static int serve_packed(struct device *d, unsigned max, uint64_t *sum)
{
	unsigned count = 0;
	uint64_t seen = 0;

	for (; count < max; count++) {
		struct floor_packed_desc *first = &d->ring[d->at], *last = first;
		unsigned flags = __atomic_load_n(&first->flags, __ATOMIC_ACQUIRE), state = d->available;
		uint16_t id;

		if ((flags & (FLOOR_AVAIL | FLOOR_USED)) != state)
			break;
		if (flags & FLOOR_INDIRECT) {
			seen += packed_walk((const struct floor_packed_desc *)(uintptr_t)first->addr,
					    d->chain);
		} else {
			for (;;) {
				seen += look(last->addr, last->len);
				if (!(last->flags & FLOOR_NEXT))
					break;
				d->at = packed_forward(d, d->at);
				last = &d->ring[d->at];
			}
		}
		id = last->id;
		d->at = packed_forward(d, d->at);
		first->id = id;
		first->len = 0;
		__atomic_store_n(&first->flags,
				 (uint16_t)(state & FLOOR_AVAIL ? FLOOR_AVAIL | FLOOR_USED : 0),
				 __ATOMIC_RELEASE);
	}
	*sum += seen;
	return (int)count;
}

static int device_serve(void *state, unsigned max, uint64_t *sum)
{
	struct device *d = state;

	return d->packed ? serve_packed(d, max, sum) : serve_split(d, max, sum);
}

/* No kicks. With EVENT_IDX what stands there asks for one in 65536. */
static void device_poll(void *state)
{
	struct device *d = state;

	if (d->packed)
		d->event->flags = FLOOR_EVENT_DISABLE;
	else
		d->used->flags = 1;
}

const struct bench_device bench_floor_device = {
	.name = "floor",
	.without_sleep = true,
	.start = device_start,
	.stop = free,
	.serve = device_serve,
	.poll = device_poll,
};
