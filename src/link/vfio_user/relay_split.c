/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "link/vfio_user/server.h"

/* A relay of split rings. */

static uint64_t avail_ring(const struct vfu_relay *relay, uint16_t entry)
{
	return relay->far.driver_area.raw + 4 + 2ull * entry;
}

static uint64_t used_ring(const struct vfu_relay *relay, uint16_t entry)
{
	return relay->far.device_area.raw + 4 + 8ull * entry;
}

static int make(struct vfu_relay *relay, struct vio_devq_config *near)
{
	const unsigned both = VIO_MEM_READ | VIO_MEM_WRITE;
	struct vio_shared desc, avail, used;

	if (vio_arena_take(&relay->arena, 16u * relay->size, both, &desc) ||
	    vio_arena_take(&relay->arena, 6u + 2u * relay->size, both, &avail) ||
	    vio_arena_take(&relay->arena, 6u + 8u * relay->size, both, &used))
		return -VIO_ENOMEM;
	relay->desc = desc.host;
	relay->avail = avail.host;
	relay->used = used.host;
	relay->avail->flags = vio_le16_make(VIRTQ_AVAIL_F_NO_INTERRUPT);
	relay->avail->idx = vio_le16_make(relay->seen);
	relay->used->idx = vio_le16_make(relay->shown);
	near->descriptor_area = desc.addr;
	near->driver_area = avail.addr;
	near->device_area = used.addr;
	return 0;
}

static void look(struct vfu_relay *relay)
{
	if (vfu_relay_in(relay, relay->far.driver_area.raw + offsetof(struct virtq_avail, idx),
			 &relay->look.idx, sizeof(relay->look.idx)))
		vfu_relay_begin(relay, VFU_IN_LOOK);
}

static void looked(struct vfu_relay *relay)
{
	const uint16_t idx = vio_le16_get(relay->look.idx), mask = (uint16_t)(relay->size - 1u);
	const uint16_t news = (uint16_t)(idx - relay->seen), first = relay->seen & mask;
	const uint16_t upper = news < relay->size - first ? news : (uint16_t)(relay->size - first);

	if (!news) {
		vfu_relay_none(relay);
		return;
	}
	if (news > relay->size) { /* hostile: A52 A53 A54 */
		vfu_relay_fault(relay, VIO_FAULT_AVAIL_IDX, 0, idx);
		return;
	}
	/* The table as a whole: one message, where chains would take as many as they are long. */
	if (vfu_relay_in(relay, avail_ring(relay, first), &relay->names[first], 2u * upper) &&
	    vfu_relay_in(relay, avail_ring(relay, 0), &relay->names[0], 2u * (news - upper)) &&
	    vfu_relay_in(relay, relay->far.descriptor_area.raw, relay->table, 16u * relay->size))
		vfu_relay_begin(relay, VFU_IN_FETCH);
}

static bool is_own(const struct vfu_relay *relay, uint16_t head, uint16_t at)
{
	uint16_t own = head, i;

	for (i = 0; i < relay->records[head].linked; i++, own = relay->links[own])
		if (own == at)
			return true;
	return false;
}

/*
 * The chain from `head` on, as far as it can be followed: what is wrong with it the near ring says, but
 * where it comes upon a descriptor of another buffer. Its descriptors are its own then. false: after a fault.
 */
static bool chain(struct vfu_relay *relay, uint16_t head, struct vfu_fetch *fetch)
{
	uint16_t at = head, last = head;

	*fetch = (struct vfu_fetch){ .name = head, .position = head };
	/* Ends: each has a descriptor that nobody had. */
	while (relay->links[at] == VFU_UNLINKED) {
		struct descriptor d = walk_load_split(relay->table + 16ull * at);

		relay->links[last] = at;
		relay->links[at] = at;
		relay->records[head].linked++;
		fetch->descriptors++;
		if (d.flags & VIRTQ_DESC_F_INDIRECT) {
			fetch->refers = true;
			fetch->indirect = at;
			fetch->table_entries = vfu_relay_table(relay, &d);
			return true;
		}
		if (!(d.flags & VIRTQ_DESC_F_NEXT) || d.link >= relay->size)
			return true;
		last = at;
		at = d.link;
	}
	if (is_own(relay, head, at)) /* it loops */
		return true;
	vfu_relay_fault(relay, VIO_FAULT_HEAD_BUSY, at, head);
	return false;
}

static void fetched(struct vfu_relay *relay)
{
	const uint16_t idx = vio_le16_get(relay->look.idx);
	uint16_t at;

	relay->fetch_count = 0;
	for (at = relay->seen; at != idx; at++) {
		const uint16_t entry = at & (relay->size - 1u), head = vio_le16_get(relay->names[entry]);
		struct vfu_fetch fetch;

		/* hostile: A6 A7 A56 A57; what isn't written there yet is in flight, too */
		if (head >= relay->size || relay->records[head].taken) {
			vfu_relay_fault(relay,
					head >= relay->size ? VIO_FAULT_HEAD_RANGE : VIO_FAULT_HEAD_BUSY,
					entry, head);
			return;
		}
		if (!chain(relay, head, &fetch))
			return;
		if (!vfu_relay_fetch(relay, &fetch)) {
			vfu_relay_unlink(relay, head);
			break;
		}
	}
	vfu_relay_tables(relay);
}

static void show(struct vfu_relay *relay)
{
	unsigned i, walked;

	for (i = 0; i < relay->fetch_count; i++) {
		const struct vfu_fetch *fetch = &relay->fetches[i];
		uint16_t at = fetch->position;

		for (walked = 0; walked < fetch->descriptors; walked++) {
			memcpy(&relay->desc[at], relay->table + 16ull * at, 16);
			at = vio_le16_get(relay->desc[at].next);
			if (at >= relay->size)
				break;
		}
		vio_store_le16(&relay->avail->ring[relay->seen & (relay->size - 1u)], fetch->name);
		relay->seen++;
	}
	vio_store_release_le16(&relay->avail->idx, relay->seen);
}

static bool ask(struct vfu_relay *relay)
{
	const uint64_t flags = relay->far.device_area.raw;

	if (relay->has_asked && (!relay->event_idx || relay->asked == relay->seen))
		return false;
	relay->has_asked = true;
	relay->asked = relay->seen;
	relay->asking.idx = vio_le16_make(relay->event_idx ? relay->seen : 0);
	if (vfu_relay_ask(relay, relay->event_idx ? used_ring(relay, relay->size) : flags, &relay->asking.idx,
			  sizeof(relay->asking.idx)))
		vfu_relay_begin(relay, VFU_IN_ASK);
	return true;
}

static bool give(struct vfu_relay *relay)
{
	uint16_t at = relay->shown;

	relay->showing = relay->near_shown;
	/* Ends: a run is a buffer at least, and no longer than what was shown. */
	while (at != relay->showing) {
		const uint16_t entry = at & (relay->size - 1u);
		struct virtq_used_elem *elem = &relay->used->ring[entry];
		uint16_t buffers, entries;

		if (!vfu_relay_give(relay, (uint16_t)vio_load_le32(&elem->id), &buffers, &entries) ||
		    !vfu_relay_out(relay, used_ring(relay, entry), elem, sizeof(*elem)))
			return false;
		at = (uint16_t)(at + buffers);
	}
	return true;
}

static bool make_visible(struct vfu_relay *relay)
{
	relay->visible = vio_le16_make(relay->showing);
	return vfu_relay_out(relay, relay->far.device_area.raw + offsetof(struct virtq_used, idx),
			     &relay->visible, sizeof(relay->visible));
}

static bool read_wish(struct vfu_relay *relay)
{
	return vfu_relay_wish(relay, relay->far.driver_area.raw, &relay->wish.split.flags,
			      sizeof(relay->wish.split.flags)) &&
	       (!relay->event_idx ||
		vfu_relay_wish(relay, avail_ring(relay, relay->size), &relay->wish.split.event,
			       sizeof(relay->wish.split.event)));
}

/* spec: DEV-SPLIT-007 DEV-SPLIT-008 DEV-SPLIT-009 DEV-SPLIT-010 DEV-SPLIT-011 DEV-SPLIT-012 */
static bool wanted(const struct vfu_relay *relay)
{
	if (relay->event_idx)
		return split_event_passed(vio_le16_get(relay->wish.split.event), relay->showing,
					  relay->shown);
	return !(vio_le16_get(relay->wish.split.flags) & VIRTQ_AVAIL_F_NO_INTERRUPT);
}

const struct vfu_ring_ops vfu_split_ops = {
	.make = make,
	.look = look,
	.looked = looked,
	.fetched = fetched,
	.show = show,
	.ask = ask,
	.load = walk_load_split,
	.give = give,
	.make_visible = make_visible,
	.read_wish = read_wish,
	.wanted = wanted,
};
