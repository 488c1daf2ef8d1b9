/* SPDX-License-Identifier: BSD-3-Clause */
#include "devices/vssd/map.h"

#include <string.h>

#define MAP_MAGIC   UINT64_C(0x50414d4453535601) /* "\1VSSDMAP" */
#define MAP_VERSION 1u

/* What a slot begins with. */
struct map_header {
	vio_le64 magic;
	vio_le32 version;
	vio_le32 block_bytes;
	vio_le64 sequence;
	vio_le64 total;
	vio_le64 provisioned;
	vio_le64 target;
	vio_le64 checksum; /* of the whole slot, with 0 here */
};

VIO_STATIC_ASSERT(sizeof(struct map_header) == 56, "the header has holes");

static uint64_t bits_bytes(uint64_t total)
{
	return total / 8 + (total % 8 != 0);
}

uint64_t vio_vssd_map_slot_bytes(uint64_t total)
{
	uint64_t bytes = VIO_VSSD_SLOT_ALIGN + bits_bytes(total);

	return (bytes + VIO_VSSD_SLOT_ALIGN - 1) / VIO_VSSD_SLOT_ALIGN * VIO_VSSD_SLOT_ALIGN;
}

/* FNV-1a, eight bytes at a time: slots are large, and what it has to find are torn writes. */
static uint64_t checksum_of(const uint8_t *slot, uint64_t bytes)
{
	uint64_t sum = UINT64_C(0xcbf29ce484222325);

	for (uint64_t i = 0; i < bytes; i += sizeof(vio_le64)) {
		vio_le64 word;

		memcpy(&word, slot + i, sizeof(word));
		sum = (sum ^ vio_le64_get(word)) * UINT64_C(0x100000001b3);
		sum ^= sum >> 29;
	}
	return sum;
}

/* Bits. */

static bool bit(const uint8_t *slot, uint64_t block)
{
	return slot[VIO_VSSD_SLOT_ALIGN + block / 8] >> (block % 8) & 1;
}

bool vio_vssd_map_is_live(const struct vssd_map *map, uint64_t first, uint64_t count)
{
	while (count) {
		if (!(first % 8) && count >= 8) {
			if (vio_vssd_map_eight(map, first) != 0xff)
				return false;
			first += 8;
			count -= 8;
			continue;
		}
		if (!bit(map->now, first) || !bit(map->next, first))
			return false;
		first++;
		count--;
	}
	return true;
}

bool vio_vssd_map_changes(const struct vssd_map *map, uint64_t first, uint64_t count)
{
	for (; count; first++, count--)
		if (bit(map->now, first) != bit(map->next, first))
			return true;
	return false;
}

static void set_bit(uint8_t *slot, uint64_t block, bool value)
{
	uint8_t mask = (uint8_t)(1u << (block % 8));
	uint8_t *byte = &slot[VIO_VSSD_SLOT_ALIGN + block / 8];

	*byte = value ? *byte | mask : *byte & (uint8_t)~mask;
}

bool vio_vssd_map_mark(struct vssd_map *map, uint64_t first, uint64_t count, bool provisioned)
{
	for (uint64_t i = 0; i < count; i++)
		if (bit(map->next, first + i) == provisioned)
			return false;
	for (uint64_t i = 0; i < count; i++)
		set_bit(map->next, first + i, provisioned);
	if (provisioned)
		map->provisioned_next += count;
	else
		map->provisioned_next -= count;
	return true;
}

uint8_t vio_vssd_map_eight(const struct vssd_map *map, uint64_t first)
{
	return map->now[VIO_VSSD_SLOT_ALIGN + first / 8] & map->next[VIO_VSSD_SLOT_ALIGN + first / 8];
}

static bool in_run(const struct vssd_map *map, bool absent, uint64_t block)
{
	bool now = bit(map->now, block), next = bit(map->next, block);

	return absent ? !(now && next) : now != next;
}

bool vio_vssd_map_run(const struct vssd_map *map, bool absent, uint64_t *first, uint64_t *count)
{
	uint64_t end;

	while (*first < map->total && !in_run(map, absent, *first))
		++*first;
	for (end = *first; end < map->total && in_run(map, absent, end);)
		end++;
	*count = end - *first;
	return *count != 0;
}

uint64_t vio_vssd_map_end(const struct vssd_map *map)
{
	uint64_t end = map->total;

	while (end && !(bit(map->now, end - 1) && bit(map->next, end - 1)))
		end--;
	return end;
}

/* Slots. */

void vio_vssd_map_prepare(struct vssd_map *map, struct vio_block_request *request)
{
	struct map_header header = {
		.magic = vio_le64_make(MAP_MAGIC),
		.version = vio_le32_make(MAP_VERSION),
		.block_bytes = vio_le32_make(map->block_bytes),
		.sequence = vio_le64_make(++map->sequence),
		.total = vio_le64_make(map->total),
		.provisioned = vio_le64_make(map->provisioned_next),
		.target = vio_le64_make(map->target_next),
	};

	memset(map->next, 0, VIO_VSSD_SLOT_ALIGN);
	memcpy(map->next, &header, sizeof(header));
	header.checksum = vio_le64_make(checksum_of(map->next, map->slot_bytes));
	memcpy(map->next, &header, sizeof(header));
	map->span = (struct vio_span){ .host = map->next, .length = (size_t)map->slot_bytes };
	request->op = VIO_BLOCK_WRITE;
	request->flags = VIO_BLOCK_STABLE;
	request->offset = map->sequence % 2 * map->slot_bytes;
	request->length = map->slot_bytes;
	request->spans = &map->span;
	request->span_count = 1;
}

void vio_vssd_map_settle(struct vssd_map *map)
{
	memcpy(map->now, map->next, (size_t)map->slot_bytes);
	map->provisioned = map->provisioned_next;
	map->target = map->target_next;
}

void vio_vssd_map_forget(struct vssd_map *map)
{
	memcpy(map->next, map->now, (size_t)map->slot_bytes);
	map->provisioned_next = map->provisioned;
	map->target_next = map->target;
}

struct map_wait {
	struct vio_block_request request;
	int result;
};

static void map_waited(struct vio_block_request *request, int result)
{
	VIO_CONTAINER_OF(request, struct map_wait, request)->result = result;
}

static int map_run_request(struct vssd_map *map, struct map_wait *wait)
{
	wait->result = -VIO_EIO;
	wait->request.done = map_waited;
	map->block->ops->submit(map->block, &wait->request);
	map->block->ops->drain(map->block);
	return wait->result;
}

static int map_read(struct vssd_map *map, unsigned slot, uint8_t *to)
{
	struct map_wait wait = { .request = { .op = VIO_BLOCK_READ } };

	map->span = (struct vio_span){ .host = to, .length = (size_t)map->slot_bytes };
	wait.request.offset = slot * map->slot_bytes;
	wait.request.length = map->slot_bytes;
	wait.request.spans = &map->span;
	wait.request.span_count = 1;
	return map_run_request(map, &wait);
}

enum slot_kind {
	SLOT_UNUSED,  /* never written */
	SLOT_TORN,    /* being written when something crashed, or damaged */
	SLOT_FOREIGN, /* whole, but of other data */
	SLOT_WHOLE,
};

static bool numbers_agree(const struct vssd_map *map, uint8_t *slot, const struct map_header *header)
{
	uint64_t provisioned = 0;

	for (uint64_t i = 0; i < map->total; i++)
		provisioned += bit(slot, i);
	for (uint64_t i = map->total; i % 8; i++)
		if (bit(slot, i))
			return false;
	return provisioned == vio_le64_get(header->provisioned) && vio_le64_get(header->target) <= map->total;
}

static enum slot_kind judge_slot(const struct vssd_map *map, uint8_t *slot, struct map_header *header)
{
	static const struct map_header unused;
	uint64_t checksum;

	memcpy(header, slot, sizeof(*header));
	if (!memcmp(header, &unused, sizeof(unused)))
		return SLOT_UNUSED;
	checksum = vio_le64_get(header->checksum);
	if (vio_le64_get(header->magic) != MAP_MAGIC)
		return SLOT_TORN;
	/* Its size depends on these, so that the checksum can't be told if they differ. */
	if (vio_le32_get(header->version) != MAP_VERSION || vio_le64_get(header->total) != map->total ||
	    vio_le32_get(header->block_bytes) != map->block_bytes)
		return SLOT_FOREIGN;
	memset(slot + offsetof(struct map_header, checksum), 0, sizeof(header->checksum));
	return checksum_of(slot, map->slot_bytes) == checksum && numbers_agree(map, slot, header) ? SLOT_WHOLE
												  : SLOT_TORN;
}

/* The storage is new: all of it is the driver's. */
static int map_begin(struct vssd_map *map)
{
	struct map_wait wait = { .request = { .op = VIO_BLOCK_WRITE } };
	int error;

	memset(map->next, 0, (size_t)map->slot_bytes);
	for (uint64_t i = 0; i < map->total; i++)
		set_bit(map->next, i, true);
	map->sequence = 0;
	map->provisioned_next = map->total;
	map->target_next = map->total;
	vio_vssd_map_prepare(map, &wait.request);
	error = map_run_request(map, &wait);
	if (!error)
		vio_vssd_map_settle(map);
	return error;
}

static void map_take(struct vssd_map *map, const struct map_header *header, unsigned slot)
{
	uint8_t *from = slot ? map->next : map->now;

	if (slot) {
		map->next = map->now;
		map->now = from;
	}
	map->sequence = vio_le64_get(header->sequence);
	map->provisioned = vio_le64_get(header->provisioned);
	map->target = vio_le64_get(header->target);
	vio_vssd_map_forget(map);
}

int vio_vssd_map_open(struct vssd_map *map, void *memory)
{
	struct map_header headers[2];
	enum slot_kind kinds[2];
	unsigned newest;

	map->slot_bytes = vio_vssd_map_slot_bytes(map->total);
	map->now = memory;
	map->next = map->now + map->slot_bytes;
	if (map_read(map, 0, map->now) || map_read(map, 1, map->next))
		return -VIO_EIO;
	kinds[0] = judge_slot(map, map->now, &headers[0]);
	kinds[1] = judge_slot(map, map->next, &headers[1]);
	if (kinds[0] == SLOT_WHOLE && kinds[1] == SLOT_WHOLE)
		newest = vio_le64_get(headers[1].sequence) > vio_le64_get(headers[0].sequence);
	else
		newest = kinds[1] == SLOT_WHOLE;
	if (kinds[newest] == SLOT_WHOLE) {
		map_take(map, &headers[newest], newest);
		return 0;
	}
	/* Only the very first record is written beside a slot that was never used. */
	if ((kinds[0] == SLOT_UNUSED || kinds[1] == SLOT_UNUSED) && kinds[0] != SLOT_FOREIGN &&
	    kinds[1] != SLOT_FOREIGN)
		return map_begin(map);
	return -VIO_ESTATE;
}
