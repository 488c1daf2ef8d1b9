/* SPDX-License-Identifier: BSD-3-Clause */
#include "ring/split.h"
#include "ring/walk.h"

/* The device's side of the split ring. */

/* The entry `at` of a table, wherever that is. Not in place is rare. */
static inline __attribute__((always_inline)) bool split_table_entry(struct vio_devq *q,
								    const struct table *table, unsigned at,
								    struct descriptor *d)
{
	struct virtq_desc copy;

	if (__builtin_expect(table->host != NULL, 1)) {
		*d = walk_load_split(table->host + 16ull * at);
		return true;
	}
	if (!vio_walk_copy_entry(q, table->addr, at, &copy))
		return false;
	*d = walk_load_split(&copy);
	return true;
}

/*
 * Walks the indirect table that `d`, at `index` of the ring's own, refers to. Of all descriptors
 * of the chain `left` may still come. spec: DEV-SPLIT-006; hostile: A48
 */
static inline __attribute__((always_inline)) bool split_walk_table(struct vio_devq *q, struct walk *walk,
								   const struct descriptor *d, unsigned index,
								   unsigned left)
{
	const struct descriptor lent = *d;
	unsigned at = 0, visited;
	struct table opened, table;

	if (!vio_walk_open_table(q, &lent, index, &opened))
		return false;
	table = opened;
	for (visited = 0; visited < table.entries; visited++) {
		struct descriptor e;

		if (!split_table_entry(q, &table, at, &e))
			return devq_fault(q, VIO_FAULT_INDIRECT_MEMORY, index, table.addr);
		if (e.flags & VIRTQ_DESC_F_INDIRECT)
			return devq_fault(q, VIO_FAULT_INDIRECT_NESTED, at, e.flags); /* hostile: A36 */
		if (visited == left)                                                  /* hostile: A9 */
			return devq_fault(q, VIO_FAULT_CHAIN_LOOP, at, q->size + 1u);
		if (!walk_element(q, walk, &e, at))
			return false;
		if (!(e.flags & VIRTQ_DESC_F_NEXT))
			return true;
		if (e.link >= table.entries)
			return devq_fault(q, VIO_FAULT_NEXT_RANGE, at, e.link); /* hostile: A46 */
		at = e.link;
	}
	return devq_fault(q, VIO_FAULT_CHAIN_LOOP, at, visited); /* hostile: A45 */
}

/* Walks on from `d`, the descriptor that `head` names, to the end of the chain. */
static inline __attribute__((always_inline)) bool split_walk(struct vio_devq *q, struct walk *walk,
							     struct descriptor d, uint16_t head)
{
	const struct virtq_desc *desc = q->desc;
	const unsigned size = q->size;
	unsigned at = head, visited;

	for (visited = 0; visited < size; visited++) {
		if (d.flags & VIRTQ_DESC_F_INDIRECT)
			return split_walk_table(q, walk, &d, at, size - visited);
		if (!walk_element(q, walk, &d, at))
			return false;
		if (!(d.flags & VIRTQ_DESC_F_NEXT))
			return true;
		if (d.link >= size)
			return devq_fault(q, VIO_FAULT_NEXT_RANGE, at, d.link); /* hostile: A4 A5 */
		at = d.link;
		d = walk_load_split(&desc[at]);
	}
	return devq_fault(q, VIO_FAULT_CHAIN_LOOP, at, visited); /* hostile: A1 A2 A9 */
}

/* Looks at the driver's idx again; true when there is something new, false with or without a fault. */
static inline bool split_pending(struct vio_devq *q)
{
	/* Pairs with the release in vio_drvq_kick_prepare(): what the index covers is visible now. */
	uint16_t idx = vio_load_acquire_le16(&q->avail->idx);

	if ((uint16_t)(idx - q->avail_next) > q->size)
		return devq_fault(q, VIO_FAULT_AVAIL_IDX, 0, idx); /* hostile: A52 A53 A54 */
	q->avail_seen = idx;
	return idx != q->avail_next;
}

bool vio_split_pending(struct vio_devq *q)
{
	return split_pending(q);
}

void vio_split_kicks_ask(struct vio_devq *q)
{
	if (q->event_idx)
		vio_store_le16(split_avail_event(q->used, q->size), q->avail_next);
	else if (q->kicks_off)
		vio_store_le16(&q->used->flags, 0);
	q->kicks_off = false;
}

void vio_split_kicks_refuse(struct vio_devq *q)
{
	/* With EVENT_IDX an event index that lies behind says it, and flags stay 0 (spec: DEV-SPLIT-016). */
	if (!q->event_idx && !q->kicks_off)
		vio_store_le16(&q->used->flags, VIRTQ_USED_F_NO_NOTIFY);
	q->kicks_off = true;
}

/* Nothing was there: unless it polls, the driver is asked to kick. True when there is something after all. */
static __attribute__((noinline)) bool split_some_late(struct vio_devq *q)
{
	return !vio_devq_broken(q) && !q->polling && !vio_devq_enable_kick(q);
}

/* True when there is an entry to take. Before it says false the driver is asked to kick. */
static inline bool split_some(struct vio_devq *q)
{
	return q->avail_next != q->avail_seen || split_pending(q) || split_some_late(q);
}

/* Takes a buffer that begins with the descriptor `d` and is more than that, or can't be taken at all. */
static __attribute__((noinline)) bool split_take_chain(struct vio_devq *q, struct vio_buf *buf,
						       struct descriptor d, uint16_t head)
{
	/* Fewer than `size` heads are busy, so a slot is free. */
	const uint16_t slot = devq_slot_peek(q);
	struct walk walk = walk_begin(q, slot);

	if (!split_walk(q, &walk, d, head))
		return false;
	q->avail_next++;
	devq_take_walked(q, buf, &walk, head, slot, 1);
	return true;
}

/* The entry at `index` names what it can't: `head` isn't in the table, or is in flight. */
static __attribute__((noinline)) bool split_head_fault(struct vio_devq *q, uint16_t index, uint16_t head)
{
	/* hostile: A6 A7; A56 A57 */
	return devq_fault(q, head >= q->size ? VIO_FAULT_HEAD_RANGE : VIO_FAULT_HEAD_BUSY,
			  index & (q->size - 1u), head);
}

static inline uint16_t split_head(const struct vio_devq *q, uint16_t index)
{
	return vio_load_le16(&q->avail->ring[index & (q->size - 1u)]);
}

/* Takes the entry at avail_next, which is there. Each descriptor is read once, judged from the copy. */
static inline __attribute__((always_inline)) bool split_take_next(struct vio_devq *q, struct vio_buf *buf,
								  bool in_order)
{
	const uint16_t head = split_head(q, q->avail_next);
	struct descriptor d;

	if (__builtin_expect(head >= q->size || q->busy[head], 0))
		return split_head_fault(q, q->avail_next, head);
	d = walk_load_split(&q->desc[head]);
	if (!devq_take_single(q, buf, &d, head, in_order))
		return split_take_chain(q, buf, d, head);
	q->avail_next++;
	return true;
}

/* The table isn't a device's to write, so the chain is there still. */
bool vio_split_pop_again(struct vio_devq *q, const struct vio_devq_again *again, struct vio_buf *buf)
{
	if (!split_take_chain(q, buf, walk_load_split(&q->desc[again->name]), again->name))
		return false;
	q->avail_seen = q->avail_next;
	return true;
}

/* Where the driver has to be told not to kick, or order is kept. Apart, as it takes registers. */
static __attribute__((noinline)) bool split_pop_slowly(struct vio_devq *q, struct vio_buf *buf)
{
	if (!q->kicks_off)
		vio_split_kicks_refuse(q);
	return split_take_next(q, buf, q->in_order);
}

/* The same where there was nothing. */
static __attribute__((noinline)) bool split_pop_late(struct vio_devq *q, struct vio_buf *buf)
{
	return split_some_late(q) && split_pop_slowly(q, buf);
}

bool vio_split_pop(struct vio_devq *q, struct vio_buf *buf)
{
	if (!q->budget)
		return false;
	if (q->avail_next == q->avail_seen && !split_pending(q))
		return split_pop_late(q, buf);
	if (!q->kicks_off || q->in_order)
		return split_pop_slowly(q, buf);
	return split_take_next(q, buf, false);
}

/*
 * Takes up to `count` buffers, whose heads are in them and are covered by the driver's idx. Chains are
 * taken through the queue itself; between them what singles need of it is kept where a compiler knows
 * that no store changes it.
 */
static inline __attribute__((always_inline)) unsigned split_take(struct vio_devq *q, struct vio_buf *buffers,
								 unsigned count, bool in_order)
{
	const struct virtq_desc *const desc = q->desc;
	uint16_t next = q->avail_next;
	struct taker taker = devq_taker(q);
	unsigned i;

	taker.in_order = in_order; /* which the compiler knows */
	for (i = 0; i < count; i++, next++) {
		const uint16_t head = buffers[i].head;
		struct descriptor d;

		if (__builtin_expect(head >= taker.size || taker.busy[head], 0)) {
			split_head_fault(q, next, head);
			break;
		}
		d = walk_load_split(&desc[head]);
		if (__builtin_expect(devq_take_single_next(q, &taker, &buffers[i], &d, head), 1))
			continue;
		if (taker.taken) {
			devq_taken(q, &taker);
			q->avail_next = next;
		}
		if (!(d.flags & (VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_INDIRECT))) {
			taker = devq_taker(q);
			taker.in_order = in_order;
			if (devq_take_single_next(q, &taker, &buffers[i], &d, head))
				continue;
		}
		devq_taker_empty(&taker);
		if (!split_take_chain(q, &buffers[i], d, head))
			return i;
	}
	devq_taken(q, &taker);
	q->avail_next = next;
	return i;
}

unsigned vio_split_pop_many(struct vio_devq *q, struct vio_buf *buffers, unsigned max)
{
	const struct virtq_desc *const desc = q->desc;
	const vio_le16 *const ring = q->avail->ring;
	const uint16_t next = q->avail_next;
	const unsigned mask = q->size - 1u;
	unsigned i, count;

	if (max > q->budget)
		max = q->budget;
	if (!max || !split_some(q))
		return 0;
	if (!q->kicks_off)
		vio_split_kicks_refuse(q);
	count = (uint16_t)(q->avail_seen - q->avail_next);
	if (count > max)
		count = max;
	/* The heads first, so that all their descriptors are on the way while the first is looked at. */
	for (i = 0; i < count; i++) {
		const uint16_t head = vio_load_le16(&ring[(next + i) & mask]);

		buffers[i].head = head;
		__builtin_prefetch(&desc[head & mask]);
	}
	return q->in_order ? split_take(q, buffers, count, true) : split_take(q, buffers, count, false);
}

/* Writes the used element at `index` of a buffer. */
static inline void split_put(struct vio_devq *q, uint16_t name, uint32_t written)
{
	struct virtq_used_elem *elem = &q->used->ring[q->used_next & (q->size - 1u)];

	vio_store_le32(&elem->id, name);
	vio_store_le32(&elem->len, written); /* spec: DEV-SPLIT-013 */
}

/* One element for a whole run, at the place of its first buffer. spec: DEV-BASIC-027 */
static __attribute__((noinline)) void split_show_runs(struct vio_devq *q, bool all)
{
	struct vio_devq_run run;

	while (vio_devq_order_next(q, &run, all)) {
		split_put(q, run.name, run.written);
		q->used_next = (uint16_t)(q->used_next + run.buffers);
	}
}

/* Apart, as it takes registers. */
static __attribute__((noinline)) void split_give_in_order(struct vio_devq *q, const struct vio_buf *buf,
							  uint32_t written)
{
	vio_devq_order_push(q, buf, written);
	split_show_runs(q, false);
}

void vio_split_push(struct vio_devq *q, const struct vio_buf *buf, uint32_t written)
{
	if (q->in_order) {
		split_give_in_order(q, buf, written);
		return;
	}
	devq_release(q, buf);
	split_put(q, buf->head, devq_written(buf, written));
	q->used_next++;
}

void vio_split_push_many(struct vio_devq *q, const struct vio_buf *buffers, const uint32_t *written,
			 unsigned count)
{
	struct virtq_used_elem *ring = q->used->ring;
	const uint32_t generation = q->generation;
	const unsigned mask = q->size - 1u;
	uint16_t *slots = q->slots;
	uint8_t *busy = q->busy;
	uint16_t used_next = q->used_next, in_flight = q->in_flight;
	unsigned i;

	if (q->in_order) {
		for (i = 0; i < count; i++)
			if (devq_holds(q, &buffers[i]))
				split_give_in_order(q, &buffers[i], written[i]);
		return;
	}
	for (i = 0; i < count; i++) {
		const struct vio_buf *buf = &buffers[i];
		const uint32_t length = devq_written(buf, written[i]);
		const uint16_t head = buf->head;

		if (buf->generation != generation)
			continue;
		busy[head] = 0;
		in_flight--;
		slots[in_flight] = buf->slot;
		vio_store_le32(&ring[used_next & mask].id, head);
		vio_store_le32(&ring[used_next & mask].len, length);
		used_next++;
	}
	q->entries = (uint16_t)(q->entries - (q->in_flight - in_flight));
	q->in_flight = in_flight;
	q->used_next = used_next;
}

/* spec: DEV-BASIC-031, for a driver that has no other way to learn that nothing is left to do. */
static bool split_ran_empty(const struct vio_devq *q)
{
	return q->notify_on_empty && !q->in_flight && vio_load_le16(&q->avail->idx) == q->avail_next;
}

bool vio_split_publish(struct vio_devq *q)
{
	if (q->in_order)
		split_show_runs(q, true);
	if (q->used_visible == q->used_next)
		return false;
	devq_log_showing(q);
	/* Pairs with the acquire in split_used_idx() of the driver: entries and payload before idx. */
	vio_store_release_le16(&q->used->idx, q->used_next); /* spec: DEV-SPLIT-014 */
	q->used_visible = q->used_next;
	devq_log_shown(q);
	return true;
}

void vio_split_notify(struct vio_devq *q)
{
	const uint16_t before = q->used_visible;
	bool wanted;

	if (!vio_split_publish(q))
		return;
	/* Pairs with the one in vio_drvq_enable_cb(): either it sees idx or we see that it wants to hear. */
	vio_full_barrier();
	if (q->event_idx) /* spec: DEV-SPLIT-010 DEV-SPLIT-011 DEV-SPLIT-012 */
		wanted = split_event_passed(vio_load_le16(split_used_event(q->avail, q->size)), q->used_next,
					    before);
	else /* spec: DEV-SPLIT-007 DEV-SPLIT-008 DEV-SPLIT-009 */
		wanted = !(vio_load_le16(&q->avail->flags) & VIRTQ_AVAIL_F_NO_INTERRUPT);
	if (wanted || split_ran_empty(q))
		q->interrupt(q->interrupt_context, q);
}
