/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "link/vfio_user/server.h"

/*
 * A relay of packed rings. The flags of an entry say whether the rest of it holds, so they have been seen by
 * one message before the rest is read by another; and of what is given back, those of the first are written
 * by a message of their own, when all else is there.
 */

static uint64_t entry(const struct vfu_relay *relay, uint16_t offset)
{
	return relay->far.descriptor_area.raw + 16ull * offset;
}

static bool available(uint16_t position, uint16_t flags)
{
	return (flags & PACKED_STATE_FLAGS) == packed_avail_flags(position);
}

/* Entries that aren't available, as a ring has them that ran up to here. */
static void blank(struct vfu_relay *relay)
{
	uint16_t i;

	for (i = 0; i < relay->size; i++) {
		const uint16_t lap = relay->seen & PVIRTQ_WRAP;
		const bool behind = i < packed_offset(relay->seen);

		relay->ring[i].flags = vio_le16_make(packed_used_flags(behind ? lap : lap ^ PVIRTQ_WRAP));
	}
}

static int make(struct vfu_relay *relay, struct vio_devq_config *near)
{
	const unsigned both = VIO_MEM_READ | VIO_MEM_WRITE;
	struct vio_shared ring, driver, device;

	if (vio_arena_take(&relay->arena, 16u * relay->size, both, &ring) ||
	    vio_arena_take(&relay->arena, sizeof(*relay->driver_event), both, &driver) ||
	    vio_arena_take(&relay->arena, sizeof(*relay->device_event), both, &device))
		return -VIO_ENOMEM;
	relay->ring = ring.host;
	relay->driver_event = driver.host;
	relay->device_event = device.host;
	vio_store_fields32(relay->driver_event, (uint32_t)RING_EVENT_FLAGS_DISABLE << 16);
	blank(relay);
	relay->entries = (uint16_t)packed_distance(relay->shown, relay->seen, relay->size);
	near->descriptor_area = ring.addr;
	near->driver_area = driver.addr;
	near->device_area = device.addr;
	return 0;
}

static void look(struct vfu_relay *relay)
{
	const uint64_t at = entry(relay, packed_offset(relay->seen));

	if (relay->entries >= relay->size) {
		relay->starved = true;
		vfu_relay_none(relay);
		return;
	}
	relay->counted = false;
	if (vfu_relay_in(relay, at + offsetof(struct pvirtq_desc, id), &relay->look.flags,
			 sizeof(relay->look.flags)))
		vfu_relay_begin(relay, VFU_IN_LOOK);
}

/* All that the driver may use. */
static void fetch_ring(struct vfu_relay *relay)
{
	const uint16_t room = (uint16_t)(relay->size - relay->entries), at = packed_offset(relay->seen);
	const uint16_t upper = room < relay->size - at ? room : (uint16_t)(relay->size - at);

	if (vfu_relay_in(relay, entry(relay, at), relay->table + 16ull * at, 16u * upper) &&
	    vfu_relay_in(relay, entry(relay, 0), relay->table, 16u * (room - upper)))
		vfu_relay_begin(relay, VFU_IN_FETCH);
}

static void looked(struct vfu_relay *relay)
{
	vio_le16 words[2];

	memcpy(words, &relay->look.flags, sizeof(words));
	if (available(relay->seen, vio_le16_get(words[1])))
		fetch_ring(relay);
	else
		vfu_relay_none(relay);
}

static struct descriptor entry_at(const struct vfu_relay *relay, uint16_t position)
{
	return walk_load_packed(relay->table + 16ull * packed_offset(position));
}

static void count(struct vfu_relay *relay)
{
	const uint16_t room = (uint16_t)(relay->size - relay->entries);
	uint16_t at = relay->seen;

	relay->counted = true;
	relay->available = 0;
	while (relay->available < room && available(at, entry_at(relay, at).flags)) {
		relay->available++;
		at = packed_advance(at, 1, relay->size);
	}
	fetch_ring(relay);
}

/* The list at `position`, of which `room` entries may be; false after a fault. spec: DEV-PACKED-007 */
static bool list(struct vfu_relay *relay, uint16_t position, uint16_t room, struct vfu_fetch *fetch)
{
	struct descriptor d = { .flags = VIRTQ_DESC_F_NEXT };
	uint16_t at = position;

	*fetch = (struct vfu_fetch){ .position = packed_offset(position) };
	while (d.flags & VIRTQ_DESC_F_NEXT) {
		if (fetch->descriptors == room) {
			vfu_relay_fault(relay, relay->entries ? VIO_FAULT_AVAIL_IDX : VIO_FAULT_CHAIN_LOOP,
					packed_offset(at), relay->size + 1u);
			return false;
		}
		d = entry_at(relay, at);
		if (!available(at, d.flags)) { /* hostile: A67 */
			vfu_relay_fault(relay, VIO_FAULT_CHAIN_PART, packed_offset(at), d.flags);
			return false;
		}
		fetch->descriptors++;
		if (d.flags & VIRTQ_DESC_F_INDIRECT) {
			fetch->refers = true;
			fetch->indirect = packed_offset(at);
			fetch->table_entries = fetch->descriptors == 1 ? vfu_relay_table(relay, &d) : 0;
			break;
		}
		at = packed_advance(at, 1, relay->size);
	}
	fetch->name = d.link;
	/* hostile: A63 A64 */
	if (d.link < relay->size && !relay->records[d.link].taken)
		return true;
	vfu_relay_fault(relay, d.link >= relay->size ? VIO_FAULT_HEAD_RANGE : VIO_FAULT_HEAD_BUSY,
			packed_offset(position), d.link);
	return false;
}

static void fetched(struct vfu_relay *relay)
{
	const uint16_t room = (uint16_t)(relay->size - relay->entries);
	struct vfu_fetch fetch;
	uint16_t done = 0;

	if (!relay->counted) {
		count(relay);
		return;
	}
	relay->fetch_count = 0;
	while (done < relay->available) {
		const uint16_t position = packed_advance(relay->seen, done, relay->size);

		if (!list(relay, position, (uint16_t)(room - done), &fetch))
			return;
		if (!vfu_relay_fetch(relay, &fetch))
			break;
		done = (uint16_t)(done + fetch.descriptors);
	}
	if (done)
		vfu_relay_tables(relay);
	else
		vfu_relay_none(relay);
}

static void show(struct vfu_relay *relay)
{
	unsigned i, done;

	for (i = 0; i < relay->fetch_count; i++)
		for (done = 0; done < relay->fetches[i].descriptors; done++) {
			const uint16_t at = packed_offset(relay->seen);

			memcpy(&relay->ring[at], relay->table + 16ull * at, 16);
			relay->seen = packed_advance(relay->seen, 1, relay->size);
			relay->entries++;
		}
}

static bool ask(struct vfu_relay *relay)
{
	uint32_t event = (uint32_t)RING_EVENT_FLAGS_ENABLE << 16;

	if (relay->has_asked && (!relay->event_idx || relay->asked == relay->seen))
		return false;
	relay->has_asked = true;
	relay->asked = relay->seen;
	if (relay->event_idx)
		event = (uint32_t)RING_EVENT_FLAGS_DESC << 16 | relay->seen;
	vio_store_fields32(&relay->asking.event, event);
	if (vfu_relay_ask(relay, relay->far.device_area.raw, &relay->asking.event,
			  sizeof(relay->asking.event)))
		vfu_relay_begin(relay, VFU_IN_ASK);
	return true;
}

static bool give(struct vfu_relay *relay)
{
	uint16_t at = relay->shown;

	relay->showing = relay->near_shown;
	/* Ends: each takes an entry at least, and all of them what was shown. */
	while (at != relay->showing) {
		struct pvirtq_desc *used = &relay->ring[packed_offset(at)];
		const uint64_t to = entry(relay, packed_offset(at)) + offsetof(struct pvirtq_desc, len);
		const bool first = at == relay->shown;
		uint16_t buffers, entries;

		if (!vfu_relay_give(relay, vio_load_le16(&used->id), &buffers, &entries) ||
		    !vfu_relay_out(relay, to, &used->len, first ? 6 : 8))
			return false;
		if (first)
			relay->visible = used->flags;
		at = packed_advance(at, entries, relay->size);
	}
	return true;
}

/* spec: DEV-PACKED-006 */
static bool make_visible(struct vfu_relay *relay)
{
	return vfu_relay_out(relay,
			     entry(relay, packed_offset(relay->shown)) + offsetof(struct pvirtq_desc, flags),
			     &relay->visible, sizeof(relay->visible));
}

static bool read_wish(struct vfu_relay *relay)
{
	return vfu_relay_wish(relay, relay->far.driver_area.raw, &relay->wish.packed,
			      sizeof(relay->wish.packed));
}

static bool wanted(const struct vfu_relay *relay)
{
	const uint32_t event = vio_load_fields32(&relay->wish.packed);
	const uint16_t flags = (uint16_t)(event >> 16) & 3u;

	if (flags == RING_EVENT_FLAGS_DESC && relay->event_idx)
		return packed_event_passed((uint16_t)event, relay->showing, relay->shown, relay->size);
	return flags != RING_EVENT_FLAGS_DISABLE;
}

const struct vfu_ring_ops vfu_packed_ops = {
	.make = make,
	.look = look,
	.looked = looked,
	.fetched = fetched,
	.show = show,
	.ask = ask,
	.load = walk_load_packed,
	.give = give,
	.make_visible = make_visible,
	.read_wish = read_wish,
	.wanted = wanted,
};
