/* SPDX-License-Identifier: BSD-3-Clause */
#include <vireo/config.h>

#include "ring/packed.h"
#include "ring/walk.h"

#if VIO_CONFIG_PACKED

/*
 * The device's side of the packed ring. What was taken and not given back lies between
 * used_next and avail_next, `entries` long, in whatever order it comes back; the driver
 * has no business there.
 */

/* Whether a descriptor at `position` with these flags is an offer. spec: DEV-PACKED-005; hostile: A65 */
static inline bool packed_available(uint16_t position, uint16_t flags)
{
	return (flags & PACKED_STATE_FLAGS) == packed_avail_flags(position);
}

/* Takes the entries of the table that `d`, which is a buffer by itself, refers to. */
static bool packed_walk_table(struct vio_devq *q, struct walk *into, const struct descriptor *d,
			      uint32_t index)
{
	struct walk walk = *into;
	struct table table;
	unsigned at;

	if (!vio_walk_open_table(q, d, index, &table))
		return false;
	for (at = 0; at < table.entries; at++) {
		struct descriptor e;

		if (table.host) {
			e = walk_load_packed(table.host + 16ull * at);
		} else {
			struct virtq_desc copy;

			if (!vio_walk_copy_entry(q, table.addr, at, &copy))
				return devq_fault(q, VIO_FAULT_INDIRECT_MEMORY, index, d->addr);
			e = walk_load_packed(&copy);
		}
		/* Of the flags only WRITE has a meaning, and INDIRECT none that could be followed. */
		if (e.flags & VIRTQ_DESC_F_INDIRECT)
			return devq_fault(q, VIO_FAULT_INDIRECT_NESTED, at, e.flags); /* hostile: A36 */
		if (!walk_element(q, &walk, &e, at))
			return false;
	}
	*into = walk;
	return true;
}

/*
 * Walks the list that begins at avail_next, whose first descriptor is `d`, and leaves its
 * last one there. Returns how many there were, 0 after a fault.
 * spec: DEV-PACKED-001 DEV-PACKED-007
 */
static unsigned packed_walk(struct vio_devq *q, struct walk *into, struct descriptor *d)
{
	uint16_t position = q->avail_next;
	struct walk walk = *into;
	unsigned count = 0;

	/* Ends: at most `size` entries are free. */
	for (;;) {
		const uint16_t at = packed_offset(position);

		/* What lies in front is in flight still; the driver offers more than the ring holds. */
		if (q->entries + count >= q->size)
			return devq_fault(q, q->entries ? VIO_FAULT_AVAIL_IDX : VIO_FAULT_CHAIN_LOOP, at,
					  q->entries + count + 1u);
		count++;
		if (d->flags & VIRTQ_DESC_F_INDIRECT) {
			if (count > 1) /* hostile: A48 */
				return devq_fault(q, VIO_FAULT_INDIRECT_NEXT, at, d->flags);
			return packed_walk_table(q, into, d, at);
		}
		if (!walk_element(q, &walk, d, at))
			return 0;
		if (!(d->flags & VIRTQ_DESC_F_NEXT))
			break;
		position = packed_advance(position, 1, q->size);
		*d = walk_load_packed(&q->ring[packed_offset(position)]);
		/* The first may be made available only after all others (hostile: A67). */
		if (!packed_available(position, d->flags))
			return devq_fault(q, VIO_FAULT_CHAIN_PART, packed_offset(position), d->flags);
	}
	*into = walk;
	return count;
}

bool vio_packed_pending(struct vio_devq *q)
{
	const uint64_t rest = vio_load_fields64(&q->ring[packed_offset(q->avail_next)].len);

	return packed_available(q->avail_next, (uint16_t)(rest >> 48));
}

static inline void packed_event_store(struct vio_devq *q, uint16_t desc, uint16_t flags)
{
	vio_store_fields32(q->device_event, (uint32_t)flags << 16 | desc);
}

void vio_packed_kicks_ask(struct vio_devq *q)
{
	if (q->event_idx)
		packed_event_store(q, q->avail_next, RING_EVENT_FLAGS_DESC);
	else if (q->kicks_off)
		packed_event_store(q, 0, RING_EVENT_FLAGS_ENABLE);
	q->kicks_off = false;
}

void vio_packed_kicks_refuse(struct vio_devq *q)
{
	/* With EVENT_IDX a position that lies behind says it, until it is passed again a lap later. */
	if (q->polling || (!q->event_idx && !q->kicks_off))
		packed_event_store(q, 0, RING_EVENT_FLAGS_DISABLE);
	q->kicks_off = true;
}

/* The buffer at `position` has a name that can't be: beyond the ring, or in flight. */
static __attribute__((noinline)) void packed_name_fault(struct vio_devq *q, uint16_t position, uint16_t id)
{
	/* hostile: A63; A64 */
	devq_fault(q, id >= q->size ? VIO_FAULT_HEAD_RANGE : VIO_FAULT_HEAD_BUSY, packed_offset(position),
		   id);
}

/* Takes the buffer at avail_next, which begins with `d`, by the long way. */
static __attribute__((noinline)) bool packed_take_list(struct vio_devq *q, struct vio_buf *buf,
						       struct descriptor d)
{
	/* Each buffer takes an entry at least, so a slot is free if one is: packed_walk() looks. */
	const uint16_t slot = q->in_flight < q->size ? devq_slot_peek(q) : 0;
	struct walk walk = walk_begin(q, slot);
	unsigned count = packed_walk(q, &walk, &d);

	if (!count)
		return false;
	if (d.link >= q->size || q->busy[d.link]) {
		packed_name_fault(q, q->avail_next, d.link);
		return false;
	}
	q->avail_next = packed_advance(q->avail_next, (uint16_t)count, q->size);
	devq_take_walked(q, buf, &walk, d.link, slot, (uint16_t)count);
	return true;
}

/* The ring has something else there by now, so its descriptors come from who remembered them. */
bool vio_packed_pop_again(struct vio_devq *q, const struct vio_devq_again *again, struct vio_buf *buf)
{
	const uint16_t slot = q->in_flight < q->size ? devq_slot_peek(q) : 0;
	struct walk walk = walk_begin(q, slot);
	unsigned i;

	if (!again->entries || again->entries > q->size - q->entries)
		return devq_fault(q, VIO_FAULT_AVAIL_IDX, packed_offset(q->avail_next), again->entries);
	for (i = 0; i < again->entries; i++) {
		const struct descriptor d = walk_load_packed(&again->descriptors[i]);

		if (d.flags & VIRTQ_DESC_F_INDIRECT) {
			if (again->entries > 1)
				return devq_fault(q, VIO_FAULT_INDIRECT_NEXT, i, d.flags);
			if (!packed_walk_table(q, &walk, &d, i))
				return false;
		} else if (!walk_element(q, &walk, &d, i)) {
			return false;
		}
	}
	q->avail_next = packed_advance(q->avail_next, again->entries, q->size);
	devq_take_walked(q, buf, &walk, again->name, slot, again->entries);
	return true;
}

/* Loads the descriptor at avail_next; true when it is available. */
static inline bool packed_look(const struct vio_devq *q, struct descriptor *d)
{
	*d = walk_load_packed(&q->ring[packed_offset(q->avail_next)]);
	return packed_available(q->avail_next, d->flags);
}

/* Takes up to `max` buffers of those at avail_next, of which the first begins with `d`. */
static unsigned packed_take(struct vio_devq *q, struct descriptor d, struct vio_buf *buffers, unsigned max)
{
	const struct pvirtq_desc *ring = q->ring;
	struct taker taker = devq_taker(q);
	unsigned free = q->size - q->entries, i = 0;
	uint16_t next = q->avail_next;

	/* Ends after `max` rounds. */
	for (;;) {
		if (__builtin_expect(taker.taken < free && d.link < taker.size && !taker.busy[d.link], 1) &&
		    devq_take_single_next(q, &taker, &buffers[i], &d, d.link)) {
			next = packed_advance(next, 1, (uint16_t)taker.size);
		} else {
			q->avail_next = next;
			devq_taken(q, &taker);
			if (!packed_take_list(q, &buffers[i], d))
				return i;
			taker = devq_taker(q);
			free = q->size - q->entries;
			next = q->avail_next;
		}
		if (++i == max)
			break;
		d = walk_load_packed(&ring[packed_offset(next)]);
		if (!packed_available(next, d.flags))
			break;
	}
	q->avail_next = next;
	devq_taken(q, &taker);
	return i;
}

/* Takes the buffer at avail_next, which begins with `d`: read once, and judged from the copy. */
static inline __attribute__((always_inline)) bool packed_take_next(struct vio_devq *q, struct vio_buf *buf,
								   const struct descriptor *d, bool in_order)
{
	/* The long way finds out what is wrong with it, too. */
	if (__builtin_expect(q->entries >= q->size || d->link >= q->size || q->busy[d->link], 0) ||
	    !devq_take_single(q, buf, d, d->link, in_order))
		return packed_take_list(q, buf, *d);
	q->avail_next = packed_advance(q->avail_next, 1, q->size);
	return true;
}

/* Where the driver has to be told not to kick, or order is kept. Apart, as it takes registers. */
static __attribute__((noinline)) bool packed_pop_slowly(struct vio_devq *q, struct vio_buf *buf,
							struct descriptor d)
{
	if (!q->kicks_off)
		vio_packed_kicks_refuse(q);
	return packed_take_next(q, buf, &d, q->in_order);
}

/* The same where there was nothing: unless it polls, kicks are asked for before it is looked at once more. */
static __attribute__((noinline)) bool packed_pop_late(struct vio_devq *q, struct vio_buf *buf)
{
	struct descriptor d;

	if (q->polling || vio_devq_enable_kick(q) || !packed_look(q, &d))
		return false;
	return packed_pop_slowly(q, buf, d);
}

bool vio_packed_pop(struct vio_devq *q, struct vio_buf *buf)
{
	struct descriptor d;

	if (!q->budget)
		return false;
	if (!packed_look(q, &d))
		return packed_pop_late(q, buf);
	if (!q->kicks_off || q->in_order)
		return packed_pop_slowly(q, buf, d);
	return packed_take_next(q, buf, &d, false);
}

unsigned vio_packed_pop_many(struct vio_devq *q, struct vio_buf *buffers, unsigned max)
{
	struct descriptor d;

	if (max > q->budget)
		max = q->budget;
	if (!max || (!packed_look(q, &d) && (q->polling || vio_devq_enable_kick(q) || !packed_look(q, &d))))
		return 0;
	if (!q->kicks_off)
		vio_packed_kicks_refuse(q);
	return packed_take(q, d, buffers, max);
}

/* Writes the used element of a buffer, or of a run, that takes so many entries. */
static inline void packed_put(struct vio_devq *q, uint16_t name, uint32_t written, uint16_t entries)
{
	const uint16_t flags = packed_used_flags(q->used_next) | (written ? VIRTQ_DESC_F_WRITE : 0u);
	const uint64_t rest = (uint64_t)flags << 48 | (uint64_t)name << 32 | written;

	/* The driver looks at what follows only when it has seen the first. */
	if (q->used_next == q->used_visible)
		q->used_first = rest;
	else
		vio_store_fields64(&q->ring[packed_offset(q->used_next)].len, rest);
	q->used_next = packed_advance(q->used_next, entries, q->size);
}

/* spec: DEV-BASIC-027 */
static __attribute__((noinline)) void packed_show_runs(struct vio_devq *q, bool all)
{
	struct vio_devq_run run;

	while (vio_devq_order_next(q, &run, all))
		packed_put(q, run.name, run.written, run.entries);
}

/* Apart, as it takes registers. */
static __attribute__((noinline)) void packed_give_in_order(struct vio_devq *q, const struct vio_buf *buf,
							   uint32_t written)
{
	vio_devq_order_push(q, buf, written);
	packed_show_runs(q, false);
}

void vio_packed_push(struct vio_devq *q, const struct vio_buf *buf, uint32_t written)
{
	if (q->in_order) {
		packed_give_in_order(q, buf, written);
		return;
	}
	devq_release(q, buf);
	packed_put(q, buf->head, devq_written(buf, written), buf->entries); /* spec: DEV-PACKED-002 */
}

/* Not in order, and with what is needed of the queue where a compiler knows that no store changes it. */
static void packed_push_plain(struct vio_devq *q, const struct vio_buf *buffers, const uint32_t *written,
			      unsigned count)
{
	struct pvirtq_desc *const ring = q->ring;
	const uint32_t generation = q->generation;
	const uint16_t size = q->size, visible = q->used_visible;
	uint16_t *const slots = q->slots;
	uint8_t *const busy = q->busy;
	uint16_t next = q->used_next, in_flight = q->in_flight, entries = q->entries;
	unsigned i;

	for (i = 0; i < count; i++) {
		const struct vio_buf *buf = &buffers[i];
		const uint32_t length = devq_written(buf, written[i]);
		const uint64_t flags = packed_used_flags(next) | (length ? VIRTQ_DESC_F_WRITE : 0u);
		const uint64_t rest = flags << 48 | (uint64_t)buf->head << 32 | length;

		if (buf->generation != generation)
			continue;
		busy[buf->head] = 0;
		in_flight--;
		slots[in_flight] = buf->slot;
		entries = (uint16_t)(entries - buf->entries);
		if (next == visible)
			q->used_first = rest;
		else
			vio_store_fields64(&ring[packed_offset(next)].len, rest);
		next = packed_advance(next, buf->entries, size);
	}
	q->used_next = next;
	q->in_flight = in_flight;
	q->entries = entries;
}

void vio_packed_push_many(struct vio_devq *q, const struct vio_buf *buffers, const uint32_t *written,
			  unsigned count)
{
	unsigned i;

	if (!q->in_order) {
		packed_push_plain(q, buffers, written, count);
		return;
	}
	for (i = 0; i < count; i++)
		if (devq_holds(q, &buffers[i]))
			packed_give_in_order(q, &buffers[i], written[i]);
}

bool vio_packed_publish(struct vio_devq *q)
{
	const uint16_t before = q->used_visible;

	if (q->in_order)
		packed_show_runs(q, true);
	if (before == q->used_next)
		return false;
	devq_log_showing(q);
	/* Pairs with the acquire of the flags by the driver: later entries and payload before them. */
	vio_store_release_fields64(&q->ring[packed_offset(before)].len,
				   q->used_first); /* spec: DEV-PACKED-006 */
	q->used_visible = q->used_next;
	devq_log_shown(q);
	return true;
}

void vio_packed_notify(struct vio_devq *q)
{
	const uint16_t before = q->used_visible;
	uint32_t event;
	uint16_t flags;

	if (!vio_packed_publish(q))
		return;
	/* Pairs with the one in vio_drvq_enable_cb(): it sees the flags or we see that it wants to hear. */
	vio_full_barrier();
	event = vio_load_fields32(q->driver_event);
	flags = (uint16_t)(event >> 16) & 3u;
	if (flags == RING_EVENT_FLAGS_DISABLE)
		return;
	if (flags == RING_EVENT_FLAGS_DESC && q->event_idx &&
	    !packed_event_passed((uint16_t)event, q->used_next, before, q->size))
		return;
	q->interrupt(q->interrupt_context, q);
}

#endif
