/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include "base/atomic.h"
#include "link/ledger.h"

/*
 * Split: a mark and a number for each head. What is shown in one batch is linked in a list first, so that it
 * is known whose marks have to go when the used index has moved and somebody died before he cleared them.
 */

static void taken(struct vio_devq_log *log, const struct vio_devq *q, const struct vio_buf *buffers,
		  unsigned count, uint16_t position)
{
	struct link_ledger *ledger = link_ledger_of(log);
	unsigned i;

	(void)q, (void)position;
	link_stop_point(LINK_STOP_TAKEN);
	/* In the order of the ring: who comes after us counts the marks to know where to go on. */
	for (i = 0; i < count; i++) {
		struct vhost_user_inflight_desc_split *desc = &ledger->split->desc[buffers[i].head];

		ledger->is_again[buffers[i].head] = 0;
		link_ledger_store64(&desc->counter, ledger->counter++);
		if (!i)
			link_stop_point(LINK_STOP_COUNTED);
		link_ledger_store8(&desc->inflight, 1);
		if (!i)
			link_stop_point(LINK_STOP_MARKED);
	}
	link_stop_point(LINK_STOP_ALL_MARKED);
}

static void untaken(struct vio_devq_log *log, const struct vio_buf *buf)
{
	struct link_ledger *ledger = link_ledger_of(log);

	if (!link_ledger_untaken_again(ledger, buf->head, buf->head))
		link_ledger_store8(&ledger->split->desc[buf->head].inflight, 0);
}

static void showing(struct vio_devq_log *log, const struct vio_devq *q)
{
	struct link_ledger *ledger = link_ledger_of(log);
	struct vhost_user_inflight_split *region = ledger->split;
	uint16_t head = link_ledger_load16(&region->last_batch_head), i;

	(void)q;
	for (i = 0; i < ledger->given_count; i++) {
		link_ledger_store16(&region->desc[ledger->given[i]].next, head);
		head = ledger->given[i];
		link_ledger_store16(&region->last_batch_head, head);
		if (!i)
			link_stop_point(LINK_STOP_LISTING);
	}
	link_stop_point(LINK_STOP_LISTED);
}

static void shown(struct vio_devq_log *log, const struct vio_devq *q)
{
	struct link_ledger *ledger = link_ledger_of(log);
	struct vhost_user_inflight_split *region = ledger->split;
	uint16_t i;

	link_stop_point(LINK_STOP_SHOWN);
	for (i = 0; i < ledger->given_count; i++) {
		link_ledger_store8(&region->desc[ledger->given[i]].inflight, 0);
		if (!i)
			link_stop_point(LINK_STOP_CLEARED);
	}
	link_stop_point(LINK_STOP_ALL_CLEARED);
	link_ledger_store16(&region->used_idx, q->used_visible);
	link_ledger_settled(ledger);
}

static void again(struct vio_devq_log *log, struct vio_devq_again *next)
{
	struct link_ledger *ledger = link_ledger_of(log);

	link_stop_point(LINK_STOP_AGAIN);
	*next = (struct vio_devq_again){ .name = ledger->again[ledger->again_next++], .entries = 1 };
	ledger->is_again[next->name] = 1;
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

static void begin(struct link_ledger *ledger, uint16_t entries, uint16_t used_idx)
{
	struct vhost_user_inflight_split *region = ledger->split;
	uint16_t i;

	for (i = 0; i < entries; i++)
		region->desc[i] = (struct vhost_user_inflight_desc_split){ .inflight = 0 };
	region->features = 0;
	region->desc_num = entries;
	region->last_batch_head = 0;
	region->used_idx = used_idx;
	link_ledger_store16(&region->version, VHOST_USER_INFLIGHT_VERSION);
}

static uint16_t count_marks(const struct link_ledger *ledger, uint16_t entries)
{
	uint16_t count = 0, i;

	for (i = 0; i < entries; i++)
		count = (uint16_t)(count + !!link_ledger_load8(&ledger->split->desc[i].inflight));
	return count;
}

/* The last batch was shown, if it wasn't closed: its marks mean nothing. */
static int close_batch(struct link_ledger *ledger, uint16_t entries, uint16_t used_idx)
{
	struct vhost_user_inflight_split *region = ledger->split;
	uint16_t left = (uint16_t)(used_idx - link_ledger_load16(&region->used_idx));
	uint16_t at = link_ledger_load16(&region->last_batch_head);

	/* A ring that was begun anew by a front end that keeps its file. */
	if (left > ledger->size && !count_marks(ledger, entries))
		left = 0;
	if (left > ledger->size)
		return link_ledger_mistake(ledger, "its used index is not where a batch could have left it");
	for (; left; left--) {
		if (at >= ledger->size)
			return link_ledger_mistake(ledger,
						   "its last batch names a descriptor that isn't there");
		link_ledger_store8(&region->desc[at].inflight, 0);
		at = link_ledger_load16(&region->desc[at].next);
	}
	link_ledger_store16(&region->used_idx, used_idx);
	return 0;
}

static int collect(struct link_ledger *ledger, uint16_t entries)
{
	struct link_ledger_found *found = calloc(ledger->size, sizeof(*found));
	uint16_t count = 0, i;
	int error = 0;

	if (!found)
		return -VIO_ENOMEM;
	for (i = 0; i < entries && !error; i++) {
		const struct vhost_user_inflight_desc_split *desc = &ledger->split->desc[i];

		if (!link_ledger_load8(&desc->inflight))
			continue;
		if (i >= ledger->size)
			error = link_ledger_mistake(ledger, "a descriptor beyond the ring is in flight");
		else
			found[count++] = (struct link_ledger_found){ link_ledger_load64(&desc->counter), i };
	}
	if (!error)
		link_ledger_order(ledger, found, count);
	free(found);
	return error;
}

int link_ledger_recover_split(struct link_ledger *ledger, uint16_t entries, struct link_ledger_queue *queue)
{
	const struct vhost_user_inflight_split *region = ledger->split;
	const uint16_t used_idx = vio_load_le16(queue->used_idx);
	const uint16_t version = link_ledger_load16(&region->version);
	int error;

	ledger->log.ops = &ops;
	ledger->counter = 1;
	if (!version) {
		begin(ledger, entries, used_idx);
		return 0;
	}
	if (version != VHOST_USER_INFLIGHT_VERSION || link_ledger_load64(&region->features))
		return -VIO_ENOTSUP;
	if (link_ledger_load16(&region->desc_num) != entries)
		return link_ledger_mistake(ledger, "it was made for queues of another size");
	error = close_batch(ledger, entries, used_idx);
	if (!error)
		error = collect(ledger, entries);
	/* What the front end says of it is a guess where a back end died. */
	if (!error)
		queue->at = (struct vio_devq_position){ used_idx, used_idx };
	return error;
}
