/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <vireo/drvq.h>
#include <vireo/spec/virtio_ring.h>

#include "input.h"

/*
 * The driver's side of a split ring against a second opinion: a simple account of
 * what was exposed says of each call what it has to return, down to the fault and
 * its values, while a device writes what it likes all over the memory that both
 * see. (The target drvq asks less of longer and wilder runs.)
 */
#define SIZE_MAX_ENTRIES 8u
#define INDIRECT_MAX     3u
#define ELEMENTS_MAX     9u
#define RING             UINT64_C(0x10000)
#define TABLES           UINT64_C(0x20000)
#define RING_BYTES       320u
#define STORAGE_BYTES    512u
#define TABLE_BYTES      (SIZE_MAX_ENTRIES * INDIRECT_MAX * 16u)

/* The account of one head. */
struct entry {
	void *token; /* NULL: not in flight */
	uint64_t writable;
	unsigned descriptors;
	bool shown;
};

struct world {
	struct fuzz_input *input;
	struct vio_drvq q;
	uint8_t *ring, *tables;
	void *storage;
	struct entry entries[SIZE_MAX_ENTRIES];
	uint16_t size, used_next, used_seen, avail_next, avail_visible;
	unsigned free_count, in_flight, shown;
	bool event_idx, indirect, callbacks_off, scribbled;
	unsigned notified;
	struct vio_fault fault;
	char tokens[64];
	unsigned tokens_next;
};

static uint8_t *area(struct world *w, struct vio_addr addr)
{
	return w->ring + (addr.raw - RING);
}

FUZZ_UNSEEN static uint64_t load(const uint8_t *from, unsigned bytes)
{
	uint64_t value = 0;

	while (bytes--)
		value = value << 8 | from[bytes];
	return value;
}

FUZZ_UNSEEN static void store(uint8_t *to, uint64_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		to[i] = (uint8_t)(value >> (8 * i));
}

static uint8_t *used(struct world *w)
{
	return area(w, vio_drvq_device_area(&w->q));
}

static uint8_t *avail(struct world *w)
{
	return area(w, vio_drvq_driver_area(&w->q));
}

FUZZ_UNSEEN static void check_account(struct world *w)
{
	const struct vio_fault *fault = &w->q.fault;

	FUZZ_CHECK(w->q.free_count == w->free_count && w->q.in_flight == w->in_flight);
	FUZZ_CHECK(fault->kind == w->fault.kind && fault->index == w->fault.index);
	FUZZ_CHECK(fault->value == w->fault.value &&
		   vio_drvq_broken(&w->q) == (w->fault.kind != VIO_FAULT_NONE));
}

static bool broken(const struct world *w)
{
	return w->fault.kind != VIO_FAULT_NONE;
}

static int expected_add(const struct world *w, const struct vio_sg *sg, unsigned readable, unsigned count,
			uint64_t *writable, unsigned *descriptors)
{
	uint64_t total = 0;

	*writable = 0;
	*descriptors = w->indirect && count > 1 && count <= INDIRECT_MAX ? 1 : count;
	if (broken(w))
		return -VIO_EPEER;
	if (!count || count > w->size)
		return -VIO_EINVAL;
	for (unsigned i = 0; i < count; i++) {
		if (!sg[i].length)
			return -VIO_EINVAL;
		total += sg[i].length;
		*writable += i >= readable ? sg[i].length : 0;
	}
	if (total > UINT64_C(1) << 32)
		return -VIO_EINVAL;
	return *descriptors > w->free_count ? -VIO_ENOSPC : 0;
}

/* What the device would find: the elements, in order, chained as the standard asks. */
FUZZ_UNSEEN static void check_chain(struct world *w, unsigned head, const struct vio_sg *sg,
				    unsigned readable, unsigned count)
{
	const uint8_t *table = w->ring, *desc = table + 16 * head;

	if (load(desc + 12, 2) & VIRTQ_DESC_F_INDIRECT) {
		FUZZ_CHECK(w->indirect && load(desc + 12, 2) == VIRTQ_DESC_F_INDIRECT);
		FUZZ_CHECK(load(desc + 8, 4) == 16 * count && count <= INDIRECT_MAX);
		FUZZ_CHECK(load(desc, 8) >= TABLES && load(desc, 8) + 16 * count <= TABLES + TABLE_BYTES);
		desc = table = w->tables + (load(desc, 8) - TABLES);
	}
	for (unsigned i = 0; i < count; i++) {
		unsigned flags =
			(i + 1 < count ? VIRTQ_DESC_F_NEXT : 0u) | (i >= readable ? VIRTQ_DESC_F_WRITE : 0u);

		FUZZ_CHECK(load(desc, 8) == sg[i].addr.raw && load(desc + 8, 4) == sg[i].length);
		FUZZ_CHECK(load(desc + 12, 2) == flags);
		desc = table + 16 * load(desc + 14, 2);
	}
}

static void add(struct world *w)
{
	static const uint64_t lengths[] = { 16, 1, 4096, 0, UINT32_MAX, 0x80000000u };
	uint8_t counts = fuzz_u8(w->input);
	unsigned readable = counts % 4, count = readable + counts / 16 % 6, descriptors, head;
	char *token = &w->tokens[w->tokens_next++ % sizeof(w->tokens)];
	uint64_t writable;
	struct vio_sg sg[ELEMENTS_MAX];
	int expected;

	for (unsigned i = 0; i < count; i++) {
		uint8_t which = fuzz_u8(w->input);

		sg[i].addr = vio_addr_make(0x100000 + 0x1000 * i + which);
		sg[i].length = (uint32_t)lengths[which < 200 ? which % 3 : which % VIO_ARRAY_SIZE(lengths)];
	}
	expected = expected_add(w, sg, readable, count, &writable, &descriptors);
	FUZZ_CHECK(vio_drvq_add(&w->q, sg, readable, count - readable, token) == expected);
	if (!expected) {
		head = (unsigned)load(avail(w) + 4 + 2u * (w->avail_next % w->size), 2);
		FUZZ_CHECK(head < w->size && !w->entries[head].token);
		check_chain(w, head, sg, readable, count);
		w->entries[head] = (struct entry){ token, writable, descriptors, false };
		w->free_count -= descriptors;
		w->in_flight++;
		w->avail_next++;
	}
	check_account(w);
}

static bool passed(uint16_t event, uint16_t from, uint16_t to)
{
	while (from != to)
		if (from++ == event)
			return true;
	return false;
}

static void kick(struct world *w)
{
	uint16_t event = (uint16_t)load(used(w) + 4 + 8u * w->size, 2);
	bool flag = load(used(w), 2) & VIRTQ_USED_F_NO_NOTIFY;
	bool due = w->event_idx ? passed(event, w->avail_visible, w->avail_next) : !flag;
	unsigned before = w->notified;

	if (broken(w) || w->avail_visible == w->avail_next)
		due = false;
	vio_drvq_kick(&w->q);
	FUZZ_CHECK(w->notified == before + due);
	if (!broken(w) && w->avail_visible != w->avail_next) {
		FUZZ_CHECK(load(avail(w) + 2, 2) == w->avail_next);
		for (unsigned i = 0; i < w->size; i++)
			w->entries[i].shown = true;
		w->shown = w->in_flight;
		w->avail_visible = w->avail_next;
	}
	check_account(w);
}

/* What get has to find; NULL with or without a fault. */
static struct entry *expected_get(struct world *w, uint32_t *length)
{
	uint16_t idx = (uint16_t)load(used(w) + 2, 2), slot = w->used_next % w->size;
	uint32_t id;

	if (broken(w))
		return NULL;
	/* What idx was found to cover isn't looked at again. */
	if (w->used_seen == w->used_next) {
		if ((uint16_t)(idx - w->used_next) > w->shown) {
			w->fault = (struct vio_fault){ VIO_FAULT_USED_IDX, 0, 0, idx };
			return NULL;
		}
		w->used_seen = idx;
	}
	if (w->used_seen == w->used_next)
		return NULL;
	id = (uint32_t)load(used(w) + 4 + 8u * slot, 4);
	*length = (uint32_t)load(used(w) + 8 + 8u * slot, 4);
	if (id >= w->size)
		w->fault = (struct vio_fault){ VIO_FAULT_USED_ID, 0, slot, id };
	else if (!w->entries[id].token || !w->entries[id].shown)
		w->fault = (struct vio_fault){ VIO_FAULT_USED_NOT_IN_FLIGHT, 0, slot, id };
	else if (*length > w->entries[id].writable)
		w->fault = (struct vio_fault){ VIO_FAULT_USED_LENGTH, 0, slot, *length };
	else
		return &w->entries[id];
	return NULL;
}

static void get(struct world *w)
{
	uint32_t length = 0, written = 0;
	struct entry *entry = expected_get(w, &length);
	void *token = vio_drvq_get(&w->q, &written);

	FUZZ_CHECK(token == (entry ? entry->token : NULL));
	fuzz_note(w->input, w->fault.kind);
	if (entry) {
		FUZZ_CHECK(written == length);
		fuzz_note(w->input, length);
		w->free_count += entry->descriptors;
		w->in_flight--;
		w->shown--;
		w->used_next++;
		*entry = (struct entry){ .token = NULL };
	} else if (!broken(w) && w->event_idx && !w->callbacks_off && !w->scribbled) {
		FUZZ_CHECK(load(avail(w) + 4 + 2u * w->size, 2) == w->used_next);
	}
	check_account(w);
}

static void callbacks(struct world *w)
{
	uint8_t what = fuzz_u8(w->input);
	uint16_t unseen = (uint16_t)(load(used(w) + 2, 2) - w->used_next);
	uint16_t wait = what & 1 && w->event_idx ? (uint16_t)(w->shown * 3 / 4) : 0;

	if (what & 2) {
		vio_drvq_disable_cb(&w->q);
		FUZZ_CHECK(w->event_idx || load(avail(w), 2) == VIRTQ_AVAIL_F_NO_INTERRUPT);
	} else {
		bool nothing = what & 1 ? vio_drvq_enable_cb_delayed(&w->q) : vio_drvq_enable_cb(&w->q);

		FUZZ_CHECK(nothing == (unseen <= wait));
		if (w->event_idx)
			FUZZ_CHECK(load(avail(w) + 4 + 2u * w->size, 2) == (uint16_t)(w->used_next + wait));
		else
			FUZZ_CHECK(load(avail(w), 2) == 0);
	}
	w->callbacks_off = what & 2;
	FUZZ_CHECK(vio_drvq_pending(&w->q) == (!broken(w) && (unseen || w->used_seen != w->used_next)));
	check_account(w);
}

/* The device as it should be, or almost. */
static void use(struct world *w)
{
	static const uint64_t lengths[] = { 0, 1, 16, 17, 4096, UINT32_MAX };
	uint8_t which = fuzz_u8(w->input), step = fuzz_u8(w->input);
	uint16_t idx = (uint16_t)load(used(w) + 2, 2);
	uint8_t *slot = used(w) + 4 + 8u * (idx % w->size);

	store(slot, which < 250 ? which % w->size : which * 0x1010101u, 4);
	store(slot + 4, fuzz_choose(w->input, lengths, which < 200 ? 1 : VIO_ARRAY_SIZE(lengths)), 4);
	store(used(w) + 2, idx + (step < 248 ? 1u : step * 181u), 2);
}

static void scribble(struct world *w)
{
	uint8_t what = fuzz_u8(w->input), value = fuzz_u8(w->input);
	size_t ring_bytes = vio_drvq_ring_bytes(w->size), at = (size_t)fuzz_u64(w->input, 2);

	w->scribbled = true;
	if (what & 1)
		w->tables[at % TABLE_BYTES] = value;
	else if (what & 2)
		memset(w->ring, value, 16u * w->size + 6 + 2u * w->size);
	else if (what & 4)
		store(used(w) + 4 + 8u * w->size, (uint16_t)(w->avail_next + value % 16 - 4), 2);
	else if (what & 8)
		store(used(w), value, 2);
	else
		w->ring[at % ring_bytes] = value;
}

static void notify_device(void *context, struct vio_drvq *q)
{
	struct world *w = context;

	FUZZ_CHECK(q == &w->q);
	w->notified++;
}

/* A reset: everything that is out comes back, once. Then a new life. */
static void restart(struct world *w)
{
	uint8_t what = fuzz_u8(w->input);
	struct vio_drvq_config config = {
		.size = (uint16_t)(1u << (what & 3)),
		.ring = { w->ring, vio_addr_make(RING) },
		.storage = w->storage,
		.context = w,
		.notify_device = notify_device,
		.features = vio_features_low(UINT64_C(1) << VIRTIO_F_VERSION_1),
	};
	void *token;

	while (w->size && (token = vio_drvq_detach_unused(&w->q)) != NULL) {
		unsigned head = 0;

		while (head < w->size && w->entries[head].token != token)
			head++;
		FUZZ_CHECK(head < w->size);
		w->entries[head].token = NULL;
		w->in_flight--;
	}
	FUZZ_CHECK(w->in_flight == 0);
	w->event_idx = what & 4;
	w->indirect = what & 8;
	if (w->event_idx)
		vio_features_set(&config.features, VIRTIO_F_EVENT_IDX);
	if (w->indirect) {
		vio_features_set(&config.features, VIRTIO_F_INDIRECT_DESC);
		config.indirect = (struct vio_shared){ w->tables, vio_addr_make(TABLES) };
		config.indirect_max = INDIRECT_MAX;
	}
	FUZZ_CHECK(vio_drvq_start(&w->q, &config) == 0);
	w->size = config.size;
	w->used_next = w->used_seen = w->avail_next = w->avail_visible = 0;
	w->free_count = w->size;
	w->shown = 0;
	w->callbacks_off = w->scribbled = false;
	w->fault = (struct vio_fault){ VIO_FAULT_NONE, 0, 0, 0 };
	memset(w->entries, 0, sizeof(w->entries));
	check_account(w);
}

void fuzz_run(struct fuzz_input *input)
{
	static void (*const steps[])(struct world * w) = { add,  kick, use, get,       add,
							   kick, use,  get, callbacks, scribble };
	static _Alignas(64) uint8_t ring[RING_BYTES];
	static _Alignas(16) uint8_t tables[TABLE_BYTES], storage[STORAGE_BYTES];
	struct world w = { .input = input, .ring = ring, .tables = tables, .storage = storage };

	FUZZ_CHECK(vio_drvq_ring_bytes(SIZE_MAX_ENTRIES) <= RING_BYTES);
	FUZZ_CHECK(vio_drvq_storage_bytes(SIZE_MAX_ENTRIES) <= STORAGE_BYTES);
	memset(tables, 0, sizeof(tables));
	restart(&w);
	for (unsigned i = 0; i < 400 && input->left; i++) {
		uint8_t what = fuzz_u8(input);

		if (what == 255)
			restart(&w);
		else
			steps[what % VIO_ARRAY_SIZE(steps)](&w);
	}
	restart(&w);
}
