/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include "link/vfio_user/server.h"

/* What buffers of a relay are made of: tables and bytes, near and far. */

#define TABLES_MAX      (UINT32_C(1) << 20) /* bytes of indirect tables that are fetched at a time, */
#define DESCRIPTORS_MAX 8192u               /* and descriptors, unless one buffer has more */
#define ALIGN           16u

uint32_t vfu_relay_table(const struct vfu_relay *relay, const struct descriptor *d)
{
	const uint32_t entries = d->len / 16;

	/* What isn't so the near ring says. */
	if (!relay->indirect || (d->flags & VIRTQ_DESC_F_NEXT) || d->len % 16 || entries > relay->size)
		return 0;
	return entries;
}

/* In. */

bool vfu_relay_fetch(struct vfu_relay *relay, const struct vfu_fetch *fetch)
{
	const struct vfu_fetch *last = relay->fetch_count ? &relay->fetches[relay->fetch_count - 1] : NULL;
	struct vfu_fetch *own = &relay->fetches[relay->fetch_count];
	size_t tables = last ? last->table + 16ull * last->table_entries : 0;
	size_t descriptors = last ? last->sum : 0;

	*own = *fetch;
	own->table = tables;
	own->sum = descriptors + fetch->descriptors + fetch->table_entries;
	own->memory.host = NULL;
	own->bytes = 0;
	if (last && (own->sum > DESCRIPTORS_MAX || tables + 16ull * own->table_entries > TABLES_MAX))
		return false;
	relay->records[own->name].taken = true;
	relay->fetch_count++;
	return true;
}

void vfu_relay_unlink(struct vfu_relay *relay, uint16_t name)
{
	struct vfu_record *record = &relay->records[name];
	uint16_t at = name;

	while (record->linked) {
		const uint16_t next = relay->links[at];

		relay->links[at] = VFU_UNLINKED;
		record->linked--;
		at = next;
	}
}

void vfu_relay_drop_fetches(struct vfu_relay *relay, unsigned from)
{
	unsigned i;

	for (i = from; i < relay->fetch_count; i++) {
		struct vfu_record *record = &relay->records[relay->fetches[i].name];

		if (relay->fetches[i].bytes)
			vio_arena_give_back(&relay->arena, &relay->fetches[i].memory,
					    relay->fetches[i].bytes);
		vfu_relay_unlink(relay, relay->fetches[i].name);
		free(record->writable);
		*record = (struct vfu_record){ .taken = false };
	}
	if (relay->fetch_count > from)
		relay->fetch_count = from;
}

void vfu_relay_tables(struct vfu_relay *relay)
{
	const struct vfu_fetch *last = &relay->fetches[relay->fetch_count - 1];
	const size_t bytes = last->table + 16ull * last->table_entries;
	uint8_t *tables;
	unsigned i;

	if (bytes > relay->tables_bytes) {
		tables = realloc(relay->tables, bytes);
		if (!tables) {
			vfu_log(relay->queue->server, "queue %u: no memory for indirect tables",
				relay->queue->index);
			vfu_relay_fault(relay, VIO_FAULT_INDIRECT_MEMORY, 0, bytes);
			return;
		}
		relay->tables = tables;
		relay->tables_bytes = bytes;
	}
	for (i = 0; i < relay->fetch_count; i++) {
		struct vfu_fetch *fetch = &relay->fetches[i];
		struct descriptor d;

		if (!fetch->table_entries)
			continue;
		d = relay->ops->load(relay->table + 16ull * fetch->indirect);
		if (vfu_memory_reach(&relay->queue->server->memory, d.addr, d.len, VIO_MEM_READ) ==
		    VFU_OUTSIDE)
			fetch->table_entries = 0; /* which the near ring finds, too */
		else if (!vfu_relay_in(relay, d.addr, relay->tables + fetch->table, d.len))
			return;
	}
	vfu_relay_begin(relay, VFU_IN_TABLES);
}

/* The descriptor after `at`, of which `d` is a copy, in the ring's own. */
static uint16_t after(const struct vfu_relay *relay, uint16_t at, const struct descriptor *d)
{
	if (relay->packed)
		return (uint16_t)(at + 1u == relay->size ? 0 : at + 1u);
	return d->link < relay->size ? d->link : 0;
}

/* Where the descriptors are that make up a buffer's bytes; returns how many. */
static unsigned collect(struct vfu_relay *relay, const struct vfu_fetch *fetch, uint8_t **places)
{
	uint8_t *const table = fetch->table_entries ? relay->tables + fetch->table : NULL;
	uint16_t at = fetch->position;
	unsigned count = 0, i, entry = 0;

	for (i = 0; i < fetch->descriptors; i++) {
		uint8_t *place = relay->table + 16ull * at;
		struct descriptor d = relay->ops->load(place);

		if (!(d.flags & VIRTQ_DESC_F_INDIRECT))
			places[count++] = place;
		at = after(relay, at, &d);
	}
	for (i = 0; i < fetch->table_entries; i++) {
		struct descriptor d = relay->ops->load(table + 16ull * entry);

		if (d.flags & VIRTQ_DESC_F_INDIRECT)
			break;
		places[count++] = table + 16ull * entry;
		if (relay->packed)
			entry++;
		else if ((d.flags & VIRTQ_DESC_F_NEXT) && d.link < fetch->table_entries)
			entry = d.link;
		else
			break;
	}
	return count;
}

static enum vfu_reach reach(const struct vfu_relay *relay, const struct descriptor *d)
{
	return vfu_memory_reach(&relay->queue->server->memory, d->addr, d->len,
				d->flags & VIRTQ_DESC_F_WRITE ? VIO_MEM_WRITE : VIO_MEM_READ);
}

static uint64_t round_up(uint64_t bytes)
{
	return (bytes + ALIGN - 1) / ALIGN * ALIGN;
}

/* What isn't a driver's to name. */
static bool is_ours(const struct descriptor *d)
{
	return d->addr < VFU_RELAY_END && d->addr + d->len > VFU_RELAY_ADDRESS;
}

/* It comes first in both formats. */
static void set_address(uint8_t *descriptor, uint64_t address)
{
	const vio_le64 wire = vio_le64_make(address);

	memcpy(descriptor, &wire, sizeof(wire));
}

/* Puts one descriptor's bytes at `at` of the buffer's own memory, if they have to be there. */
static bool lay_one(struct vfu_relay *relay, const struct vfu_fetch *fetch, uint8_t *place, uint64_t *at)
{
	struct vfu_record *record = &relay->records[fetch->name];
	struct descriptor d = relay->ops->load(place);
	const enum vfu_reach there = reach(relay, &d);
	const uint64_t address = d.addr;
	uint8_t *host = NULL;

	/* A chain that loops comes here again; the near ring says so. */
	if (d.addr - fetch->memory.addr.raw < fetch->bytes)
		return true;
	if (there == VFU_DISTANT) {
		host = (uint8_t *)fetch->memory.host + *at;
		d.addr = fetch->memory.addr.raw + *at;
		*at += round_up(d.len);
	}
	set_address(place, d.addr);
	if ((d.flags & VIRTQ_DESC_F_WRITE) && d.len)
		record->writable[record->writable_count++] = (struct vfu_writable){ address, host, d.len };
	else if (host && !(d.flags & VIRTQ_DESC_F_WRITE))
		return vfu_relay_in(relay, address, host, d.len);
	return true;
}

/* Where there is none, the near ring is to find what is wrong, and not to find anything there. */
static void lay_table(struct vfu_relay *relay, const struct vfu_fetch *fetch)
{
	uint8_t *place = relay->table + 16ull * fetch->indirect;
	struct descriptor d = relay->ops->load(place);

	if (fetch->table_entries) {
		d.addr = fetch->memory.addr.raw;
		memcpy(fetch->memory.host, relay->tables + fetch->table, 16ull * fetch->table_entries);
	} else if (is_ours(&d)) {
		d.addr = UINT64_MAX;
	}
	set_address(place, d.addr);
}

/* 0: it has memory, and what is to be read is in the batch; -VIO_ENOSPC: later; -VIO_EPEER: a fault. */
static int lay(struct vfu_relay *relay, struct vfu_fetch *fetch, uint8_t **places)
{
	const unsigned count = collect(relay, fetch, places);
	struct vfu_record *record = &relay->records[fetch->name];
	uint64_t bytes = round_up(16ull * fetch->table_entries), at = bytes;
	struct descriptor d;
	unsigned i;

	for (i = 0; i < count && bytes <= VFU_RELAY_BYTES; i++) {
		d = relay->ops->load(places[i]);
		if (is_ours(&d)) { /* judged while nothing was laid there yet */
			d.addr = UINT64_MAX;
			set_address(places[i], d.addr);
		} else if (reach(relay, &d) == VFU_DISTANT) {
			bytes += round_up(d.len);
		}
	}
	if (bytes > VFU_RELAY_BYTES) {
		vfu_log(relay->queue->server, "queue %u: a buffer of %llu bytes; %llu at most are copied",
			relay->queue->index, (unsigned long long)bytes, (unsigned long long)VFU_RELAY_BYTES);
		vfu_relay_fault(relay, VIO_FAULT_CHAIN_LENGTH, fetch->position, bytes);
		return -VIO_EPEER;
	}
	if (bytes && vio_arena_take(&relay->arena, bytes, VIO_MEM_READ | VIO_MEM_WRITE, &fetch->memory))
		return -VIO_ENOSPC;
	fetch->bytes = bytes;
	record->writable = count ? calloc(count, sizeof(*record->writable)) : NULL;
	record->writable_count = 0;
	if (count && !record->writable) {
		vfu_relay_fault(relay, VIO_FAULT_BUFFER_MEMORY, fetch->position, bytes);
		return -VIO_EPEER;
	}
	for (i = 0; i < count; i++)
		if (!lay_one(relay, fetch, places[i], &at))
			return -VIO_EPEER;
	if (fetch->refers)
		lay_table(relay, fetch);
	return 0;
}

void vfu_relay_lay(struct vfu_relay *relay)
{
	unsigned i;

	for (i = 0; i < relay->fetch_count; i++) {
		int error = lay(relay, &relay->fetches[i], relay->places);

		if (error == -VIO_EPEER)
			return;
		if (error)
			break;
	}
	/* The rest comes when there is room; where nothing that takes it comes back, that is never. */
	relay->starved = i < relay->fetch_count;
	vfu_relay_drop_fetches(relay, i);
	if (i)
		vfu_relay_begin(relay, VFU_IN_DATA);
	else
		relay->in_step = VFU_IN_IDLE;
}

void vfu_relay_show(struct vfu_relay *relay)
{
	unsigned i;

	for (i = 0; i < relay->fetch_count; i++) {
		const struct vfu_fetch *fetch = &relay->fetches[i];
		struct vfu_record *record = &relay->records[fetch->name];

		record->entries = relay->packed ? fetch->descriptors : 1;
		record->memory = fetch->memory;
		record->bytes = fetch->bytes;
		record->written = 0;
		if (relay->in_order)
			relay->order[(relay->order_first + relay->order_count++) % relay->size] = fetch->name;
	}
	relay->ops->show(relay);
	relay->fetch_count = 0;
	relay->in_step = VFU_IN_IDLE;
	vio_device_kick(relay->queue->server->dev, relay->queue->index);
	/* A second look finds out whether something came before kicks were asked for. */
	vfu_relay_kick(relay->queue);
}

/* Out. */

static bool give(struct vfu_relay *relay, uint16_t name)
{
	const struct vfu_record *record = &relay->records[name];
	const struct vfu_writable *last =
		record->writable_count ? &record->writable[record->writable_count - 1] : NULL;
	uint32_t left = record->written;
	bool whole = false;
	unsigned i;

	for (i = 0; i < record->writable_count && left; i++) {
		const struct vfu_writable *part = &record->writable[i];
		const uint32_t bytes = part->bytes < left ? part->bytes : left;

		if (part->host && !vfu_relay_out(relay, part->address, part->host, bytes))
			return false;
		left -= bytes;
		whole = part == last && bytes == part->bytes;
	}
	if (record->cut && last && !whole && last->host &&
	    !vfu_relay_out(relay, last->address + last->bytes - 1, last->host + last->bytes - 1, 1))
		return false;
	relay->giving[relay->giving_count++] = name;
	return true;
}

bool vfu_relay_give(struct vfu_relay *relay, uint16_t name, uint16_t *buffers, uint16_t *entries)
{
	uint16_t other;

	/* The near ring names nothing else; whoever could write there could name anything. */
	if (name >= relay->size || !relay->records[name].taken) {
		vfu_relay_fault(relay, VIO_FAULT_HEAD_RANGE, 0, name);
		return false;
	}
	*buffers = 1;
	*entries = relay->records[name].entries;
	if (!relay->in_order)
		return give(relay, name);
	*buffers = *entries = 0;
	do {
		other = relay->order[(relay->order_first + relay->giving_count) % relay->size];
		*entries = (uint16_t)(*entries + relay->records[other].entries);
		(*buffers)++;
		if (!give(relay, other))
			return false;
	} while (other != name && relay->giving_count < relay->order_count);
	return true;
}

void vfu_relay_given(struct vfu_relay *relay)
{
	unsigned i;

	for (i = 0; i < relay->giving_count; i++) {
		struct vfu_record *record = &relay->records[relay->giving[i]];

		vfu_relay_unlink(relay, relay->giving[i]);
		if (record->bytes)
			vio_arena_give_back(&relay->arena, &record->memory, record->bytes);
		free(record->writable);
		*record = (struct vfu_record){ .taken = false };
	}
	if (relay->in_order) {
		relay->order_first = (uint16_t)((relay->order_first + relay->giving_count) % relay->size);
		relay->order_count = (uint16_t)(relay->order_count - relay->giving_count);
	}
	relay->giving_count = 0;
}
