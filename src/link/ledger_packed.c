/* SPDX-License-Identifier: BSD-3-Clause */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic.h"
#include "link/ledger.h"

/*
 * Packed: answers are written over descriptors that are in flight, so the file has a copy of each, in
 * entries of its own: lists that are taken off a list of free ones, and put back in front of it. What changes
 * with a batch stands there twice, and is committed by the flags of the first answer in the ring.
 */

#define NONE UINT16_MAX

static uint16_t wrapped(uint16_t offset, uint8_t wrap)
{
	return (uint16_t)(offset | (wrap ? PVIRTQ_WRAP : 0));
}

static uint16_t offset_of(uint16_t position)
{
	return position & (uint16_t)~PVIRTQ_WRAP;
}

static uint16_t after(uint16_t position, uint16_t size)
{
	if (offset_of(position) + 1u < size)
		return (uint16_t)(position + 1u);
	return (uint16_t)(~position & PVIRTQ_WRAP);
}

/* The flags at `position` that say "available" there, and those that say "used". */
static uint16_t available(uint16_t position)
{
	return position & PVIRTQ_WRAP ? VIRTQ_DESC_F_AVAIL : VIRTQ_DESC_F_USED;
}

static uint16_t used(uint16_t position)
{
	return position & PVIRTQ_WRAP ? VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED : 0;
}

/*
 * The used index, now and before the last batch, with their wrap counters: eight bytes that the format keeps
 * together, and that are stored at once, as any of them without the others would be another place.
 */
struct places {
	uint16_t used_idx, old_used_idx;
	uint8_t used_wrap_counter, old_used_wrap_counter;
	uint8_t padding[2];
};

_Static_assert(sizeof(struct places) == sizeof(uint64_t), "one store");
_Static_assert(offsetof(struct vhost_user_inflight_packed, used_idx) % sizeof(uint64_t) == 0, "aligned");

static void store_places(struct vhost_user_inflight_packed *region, uint16_t now, uint16_t old)
{
	const struct places places = {
		.used_idx = offset_of(now),
		.old_used_idx = offset_of(old),
		.used_wrap_counter = !!(now & PVIRTQ_WRAP),
		.old_used_wrap_counter = !!(old & PVIRTQ_WRAP),
	};
	uint64_t word;

	memcpy(&word, &places, sizeof(word));
	link_ledger_store64((void *)&region->used_idx, word);
}

static void load_places(const struct vhost_user_inflight_packed *region, uint16_t *now, uint16_t *old)
{
	const uint64_t word = link_ledger_load64((const void *)&region->used_idx);
	struct places places;

	memcpy(&places, &word, sizeof(places));
	*now = wrapped(places.used_idx, places.used_wrap_counter);
	*old = wrapped(places.old_used_idx, places.old_used_wrap_counter);
}

#define STATE (VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED)

/* Copies one buffer that begins at `position` into entries; returns where the next one begins. */
static uint16_t take(struct link_ledger *ledger, const struct vio_devq *q, const struct vio_buf *buf,
		     uint16_t position, bool first)
{
	struct vhost_user_inflight_packed *region = ledger->packed;
	const uint16_t head = ledger->free;
	uint16_t i;

	/* None left: the driver offers more than its ring holds, and gets what it asked for. */
	if (head != NONE) {
		link_ledger_store16(&region->desc[head].num, 0);
		link_ledger_store64(&region->desc[head].counter, ledger->counter++);
		if (first)
			link_stop_point(LINK_STOP_COUNTED);
		link_ledger_store8(&region->desc[head].inflight, 1);
	}
	for (i = 0; i < buf->entries; i++, position = after(position, q->size)) {
		const struct pvirtq_desc *from = &q->ring[offset_of(position)];
		struct vhost_user_inflight_desc_packed *to;

		if (ledger->free == NONE)
			continue;
		to = &region->desc[ledger->free];
		ledger->last[head] = ledger->free;
		link_ledger_store16(&region->desc[head].last, ledger->free);
		link_ledger_store16(&region->desc[head].num, (uint16_t)(i + 1u));
		to->addr = vio_load_le64(&from->addr);
		to->len = vio_load_le32(&from->len);
		to->flags = vio_load_le16(&from->flags);
		to->id = vio_load_le16(&from->id);
		ledger->free = ledger->next[ledger->free];
		link_ledger_store16(&region->free_head, ledger->free);
	}
	ledger->entry[buf->head] = head;
	ledger->is_again[buf->head] = 0;
	link_ledger_store16(&region->old_free_head, ledger->free);
	return position;
}

static void taken(struct vio_devq_log *log, const struct vio_devq *q, const struct vio_buf *buffers,
		  unsigned count, uint16_t position)
{
	struct link_ledger *ledger = link_ledger_of(log);
	unsigned i;

	link_stop_point(LINK_STOP_TAKEN);
	for (i = 0; i < count; i++) {
		position = take(ledger, q, &buffers[i], position, !i);
		if (!i)
			link_stop_point(LINK_STOP_MARKED);
	}
	link_stop_point(LINK_STOP_ALL_MARKED);
}

/* It was the last that was taken, so its entries go back to where they came from. */
static void untaken(struct vio_devq_log *log, const struct vio_buf *buf)
{
	struct link_ledger *ledger = link_ledger_of(log);
	struct vhost_user_inflight_packed *region = ledger->packed;
	const uint16_t head = ledger->entry[buf->head];

	if (head == NONE || link_ledger_untaken_again(ledger, buf->head, head))
		return;
	link_ledger_store8(&region->desc[head].inflight, 0);
	ledger->next[ledger->last[head]] = ledger->free;
	link_ledger_store16(&region->desc[ledger->last[head]].next, ledger->free);
	ledger->free = head;
	ledger->entry[buf->head] = NONE;
	link_ledger_store16(&region->free_head, head);
	link_ledger_store16(&region->old_free_head, head);
}

/* Nothing is taken between here and shown(), so old_free_head isn't used meanwhile. */
static void showing(struct vio_devq_log *log, const struct vio_devq *q)
{
	struct link_ledger *ledger = link_ledger_of(log);
	struct vhost_user_inflight_packed *region = ledger->packed;
	uint16_t i;

	for (i = 0; i < ledger->given_count; i++) {
		const uint16_t head = ledger->entry[ledger->given[i]];

		if (head == NONE)
			continue;
		ledger->next[ledger->last[head]] = ledger->free;
		link_ledger_store16(&region->desc[ledger->last[head]].next, ledger->free);
		ledger->free = head;
		link_ledger_store16(&region->free_head, head);
		if (!i)
			link_stop_point(LINK_STOP_LISTING);
	}
	store_places(region, q->used_next, q->used_visible);
	link_stop_point(LINK_STOP_LISTED);
}

static void shown(struct vio_devq_log *log, const struct vio_devq *q)
{
	struct link_ledger *ledger = link_ledger_of(log);
	struct vhost_user_inflight_packed *region = ledger->packed;
	uint16_t i;

	link_stop_point(LINK_STOP_SHOWN);
	for (i = 0; i < ledger->given_count; i++) {
		const uint16_t head = ledger->entry[ledger->given[i]];

		ledger->entry[ledger->given[i]] = NONE;
		if (head != NONE)
			link_ledger_store8(&region->desc[head].inflight, 0);
		if (!i)
			link_stop_point(LINK_STOP_CLEARED);
	}
	link_stop_point(LINK_STOP_ALL_CLEARED);
	link_ledger_store16(&region->old_free_head, ledger->free);
	store_places(region, q->used_visible, q->used_visible);
	link_ledger_settled(ledger);
}

/* The lists were judged when the queue started, and copied. */
static void again(struct vio_devq_log *log, struct vio_devq_again *next)
{
	struct link_ledger *ledger = link_ledger_of(log);
	const uint16_t head = ledger->again[ledger->again_next++];
	uint16_t at = head, count = 0;

	link_stop_point(LINK_STOP_AGAIN);
	*next = (struct vio_devq_again){ .descriptors = ledger->descriptors };
	for (;; at = ledger->next[at]) {
		const struct vhost_user_inflight_desc_packed *from = &ledger->packed->desc[at];
		struct pvirtq_desc *to = &ledger->descriptors[count++];

		vio_store_le64(&to->addr, link_ledger_load64(&from->addr));
		vio_store_le32(&to->len, __atomic_load_n(&from->len, __ATOMIC_RELAXED));
		vio_store_le16(&to->flags, link_ledger_load16(&from->flags));
		vio_store_le16(&to->id, link_ledger_load16(&from->id));
		if (at == ledger->last[head])
			break;
	}
	next->name = link_ledger_load16(&ledger->packed->desc[ledger->last[head]].id);
	next->entries = count;
	if (next->name < ledger->size) {
		ledger->entry[next->name] = head;
		ledger->is_again[next->name] = 1;
	}
	log->again--;
}

static const struct vio_devq_log_ops ops = {
	.taken = taken,
	.untaken = untaken,
	.given = link_ledger_given,
	.showing = showing,
	.shown = shown,
	.again = again,
};

/* All entries that `busy` doesn't name are free, and in a list. */
static void link_free(struct link_ledger *ledger, uint16_t entries, const uint8_t *busy)
{
	struct vhost_user_inflight_packed *region = ledger->packed;
	uint16_t next = NONE, i;

	for (i = entries; i-- > 0;) {
		if (busy[i])
			continue;
		ledger->next[i] = next;
		link_ledger_store16(&region->desc[i].next, next);
		next = i;
	}
	ledger->free = next;
	link_ledger_store16(&region->free_head, next);
	link_ledger_store16(&region->old_free_head, next);
}

static void begin(struct link_ledger *ledger, uint16_t entries, const uint8_t *busy, uint16_t position)
{
	struct vhost_user_inflight_packed *region = ledger->packed;
	uint16_t i;

	for (i = 0; i < entries; i++)
		region->desc[i] = (struct vhost_user_inflight_desc_packed){ .inflight = 0 };
	link_free(ledger, entries, busy);
	region->features = 0;
	region->desc_num = entries;
	store_places(region, position, position);
	link_ledger_store16(&region->version, VHOST_USER_INFLIGHT_VERSION);
}

/* The last batch: all of it, when the driver has seen its first answer, or nothing. */
static int settle_batch(struct link_ledger *ledger, uint16_t entries, struct link_ledger_queue *queue)
{
	struct vhost_user_inflight_packed *region = ledger->packed;
	uint16_t now, old;
	uint16_t at, left = entries;

	load_places(region, &now, &old);
	if (offset_of(now) >= queue->size || offset_of(old) >= queue->size)
		return link_ledger_mistake(ledger, "its used index lies beyond the ring");
	if (now != old && (vio_load_le16(&queue->ring[offset_of(old)].flags) & STATE) != available(old)) {
		link_ledger_store16(&region->old_free_head, link_ledger_load16(&region->free_head));
		old = now;
	}
	store_places(region, old, old);
	link_ledger_store16(&region->free_head, link_ledger_load16(&region->old_free_head));
	queue->at = (struct vio_devq_position){ old, old };
	/* What is free isn't in flight: neither what was shown, nor what was being taken. */
	for (at = link_ledger_load16(&region->old_free_head); at < entries && left; left--) {
		link_ledger_store8(&region->desc[at].inflight, 0);
		at = link_ledger_load16(&region->desc[at].next);
	}
	if (at < entries)
		return link_ledger_mistake(ledger, "its list of free entries has no end");
	return 0;
}

/* One list from `head` on, into private memory. How many entries it has; 0: it can't be. */
static uint16_t copy_list(struct link_ledger *ledger, uint16_t entries, uint16_t head, uint8_t *busy)
{
	const struct vhost_user_inflight_packed *region = ledger->packed;
	const uint16_t num = link_ledger_load16(&region->desc[head].num);
	const uint16_t last = link_ledger_load16(&region->desc[head].last);
	uint16_t at = head, count;

	for (count = 1; count <= num && count <= ledger->size; count++) {
		if (at >= entries || busy[at])
			return 0;
		busy[at] = 1;
		if (count == num) {
			ledger->last[head] = at;
			return at == last ? num : 0;
		}
		ledger->next[at] = link_ledger_load16(&region->desc[at].next);
		at = ledger->next[at];
	}
	return 0;
}

/* What is in flight, and how many entries of the ring it takes. */
static int collect(struct link_ledger *ledger, uint16_t entries, uint8_t *busy, unsigned *taken_entries)
{
	struct link_ledger_found *found = calloc(ledger->size, sizeof(*found));
	uint16_t count = 0, i;
	int error = 0;

	if (!found)
		return -VIO_ENOMEM;
	*taken_entries = 0;
	for (i = 0; i < entries && !error; i++) {
		const struct vhost_user_inflight_desc_packed *desc = &ledger->packed->desc[i];
		uint16_t length;

		if (!link_ledger_load8(&desc->inflight))
			continue;
		length = count < ledger->size ? copy_list(ledger, entries, i, busy) : 0;
		if (!length) {
			error = link_ledger_mistake(ledger, "a list of descriptors in flight can't be");
		} else {
			*taken_entries += length;
			found[count++] = (struct link_ledger_found){ link_ledger_load64(&desc->counter), i };
		}
	}
	if (!error && *taken_entries > ledger->size)
		error = link_ledger_mistake(ledger, "more descriptors are in flight than the ring has");
	if (!error)
		link_ledger_order(ledger, found, count);
	free(found);
	return error;
}

/*
 * Behind the first answer of a batch that was never shown there may be others already, which the driver would
 * take for answers as soon as it sees one before them. What is in flight is ours to write.
 */
static void scrub(const struct link_ledger_queue *queue, uint16_t position, unsigned count)
{
	for (; count; count--) {
		struct pvirtq_desc *desc = &queue->ring[offset_of(position)];

		if ((vio_load_le16(&desc->flags) & STATE) == used(position))
			vio_store_le16(&desc->flags, available(position));
		position = after(position, queue->size);
	}
}

static int recover(struct link_ledger *ledger, uint16_t entries, uint8_t *busy,
		   struct link_ledger_queue *queue)
{
	struct vhost_user_inflight_packed *region = ledger->packed;
	const uint16_t version = link_ledger_load16(&region->version);
	unsigned taken_entries;
	int error;

	if (!version) {
		begin(ledger, entries, busy, queue->at.used);
		return 0;
	}
	if (version != VHOST_USER_INFLIGHT_VERSION || link_ledger_load64(&region->features))
		return -VIO_ENOTSUP;
	if (link_ledger_load16(&region->desc_num) != entries)
		return link_ledger_mistake(ledger, "it was made for queues of another size");
	error = settle_batch(ledger, entries, queue);
	if (!error)
		error = collect(ledger, entries, busy, &taken_entries);
	if (error)
		return error;
	/* What gets lost between the lists isn't lost for ever. */
	link_free(ledger, entries, busy);
	scrub(queue, queue->at.used, taken_entries);
	return 0;
}

int link_ledger_recover_packed(struct link_ledger *ledger, uint16_t entries, struct link_ledger_queue *queue)
{
	uint8_t *busy = calloc(entries, 1);
	uint16_t i;
	int error;

	if (!busy)
		return -VIO_ENOMEM;
	ledger->log.ops = &ops;
	ledger->counter = 1;
	for (i = 0; i < ledger->size; i++)
		ledger->entry[i] = NONE;
	error = recover(ledger, entries, busy, queue);
	free(busy);
	return error;
}
