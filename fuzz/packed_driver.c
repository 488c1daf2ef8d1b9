/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <vireo/drvq.h>
#include <vireo/spec/virtio_ring.h>

#include "input.h"

/*
 * The driver's side of a packed ring against a second opinion: a simple account of what was
 * exposed says of each call what it has to return, down to the fault and its values, while a
 * device writes what it likes all over the memory that both see.
 */
#define SIZE_MAX_ENTRIES 8u
#define INDIRECT_MAX     3u
#define ELEMENTS_MAX     9u
#define RING             UINT64_C(0x10000)
#define TABLES           UINT64_C(0x20000)
#define RING_BYTES       320u
#define TABLE_BYTES      (SIZE_MAX_ENTRIES * INDIRECT_MAX * 16u)
#define STORAGE_BYTES    512u
#define STATE_FLAGS      (VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED)

/* The account of one buffer, in the order in which they were added. */
struct entry {
	void *token;
	uint32_t writable;
	unsigned place, descriptors, readable, count;
	struct vio_sg sg[ELEMENTS_MAX];
	unsigned id; /* once it was shown */
};

/* Places are on a track of two laps, the first of which has wrap counter 1. */
struct world {
	struct fuzz_input *input;
	struct vio_drvq q;
	uint8_t *ring, *tables;
	void *storage;
	struct entry entries[SIZE_MAX_ENTRIES];
	unsigned size, used, next, visible;
	unsigned free_count, in_flight, shown; /* the first `shown` of `in_flight` entries */
	unsigned batch; /* in order: how many the last used descriptor still stands for */
	uint32_t batch_length;
	bool event_idx, indirect, in_order;
	unsigned notified;
	struct vio_fault fault;
	char tokens[64];
	unsigned tokens_next;
};

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

FUZZ_UNSEEN static unsigned further(const struct world *w, unsigned place, unsigned count)
{
	return (place + count) % (2u * w->size);
}

static uint8_t *desc_at(const struct world *w, unsigned place)
{
	return w->ring + 16u * (place % w->size);
}

static unsigned avail_state(const struct world *w, unsigned place)
{
	return place < w->size ? VIRTQ_DESC_F_AVAIL : VIRTQ_DESC_F_USED;
}

static unsigned used_state(const struct world *w, unsigned place)
{
	return place < w->size ? STATE_FLAGS : 0;
}

static uint16_t position(const struct world *w, unsigned place)
{
	return (uint16_t)(place % w->size | (place < w->size ? PVIRTQ_WRAP : 0));
}

static uint8_t *device_event(const struct world *w)
{
	return w->ring + (vio_drvq_device_area(&w->q).raw - RING);
}

static bool broken(const struct world *w)
{
	return w->fault.kind != VIO_FAULT_NONE;
}

FUZZ_UNSEEN static void check_account(struct world *w)
{
	const struct vio_fault *fault = &w->q.fault;

	FUZZ_CHECK(w->q.free_count == w->free_count && w->q.in_flight == w->in_flight);
	FUZZ_CHECK(fault->kind == w->fault.kind && fault->index == w->fault.index);
	FUZZ_CHECK(fault->value == w->fault.value && vio_drvq_broken(&w->q) == broken(w));
}

static int expected_add(const struct world *w, struct entry *entry)
{
	uint64_t total = 0, writable = 0;

	entry->descriptors =
		w->indirect && entry->count > 1 && entry->count <= INDIRECT_MAX ? 1 : entry->count;
	if (broken(w))
		return -VIO_EPEER;
	if (!entry->count || entry->count > w->size)
		return -VIO_EINVAL;
	for (unsigned i = 0; i < entry->count; i++) {
		if (!entry->sg[i].length)
			return -VIO_EINVAL;
		total += entry->sg[i].length;
		writable += i >= entry->readable ? entry->sg[i].length : 0;
	}
	if (total > UINT64_C(1) << 32)
		return -VIO_EINVAL;
	entry->writable = writable > UINT32_MAX ? UINT32_MAX : (uint32_t)writable;
	return entry->descriptors > w->free_count ? -VIO_ENOSPC : 0;
}

FUZZ_UNSEEN static void check_element(const uint8_t *desc, const struct entry *entry, unsigned i,
				      unsigned also)
{
	FUZZ_CHECK(load(desc, 8) == entry->sg[i].addr.raw && load(desc + 8, 4) == entry->sg[i].length);
	FUZZ_CHECK(load(desc + 14, 2) == (also | (i >= entry->readable ? VIRTQ_DESC_F_WRITE : 0u)));
}

/* What the device finds at the first descriptor of a buffer, or will. */
FUZZ_UNSEEN static void check_first(struct world *w, const struct entry *entry)
{
	const uint8_t *desc = desc_at(w, entry->place);
	unsigned next = entry->count > 1 ? VIRTQ_DESC_F_NEXT : 0;

	if (entry->descriptors < entry->count) {
		FUZZ_CHECK(load(desc + 14, 2) == (VIRTQ_DESC_F_INDIRECT | avail_state(w, entry->place)));
		FUZZ_CHECK(load(desc + 8, 4) == 16 * entry->count);
		return;
	}
	FUZZ_CHECK(load(desc + 8, 4) == entry->sg[0].length);
	FUZZ_CHECK(load(desc + 14, 2) ==
		   (avail_state(w, entry->place) | next | (entry->readable ? 0u : VIRTQ_DESC_F_WRITE)));
}

static unsigned id_at(struct world *w, const struct entry *entry)
{
	unsigned last = further(w, entry->place, entry->descriptors - 1);
	unsigned id = (unsigned)load(desc_at(w, last) + 12, 2);

	FUZZ_CHECK(id < w->size);
	return id;
}

/*
 * What was written when a buffer was added, which the device may rewrite from then on: everything but
 * the length, id and flags of the first one of those that will be shown together.
 */
FUZZ_UNSEEN static void check_added(struct world *w, struct entry *entry, bool first)
{
	uint64_t addr = load(desc_at(w, entry->place), 8);

	if (entry->descriptors < entry->count) {
		FUZZ_CHECK(addr >= TABLES && addr + 16 * entry->count <= TABLES + TABLE_BYTES);
		for (unsigned i = 0; i < entry->count; i++)
			check_element(w->tables + (addr - TABLES) + 16 * i, entry, i, 0);
	} else {
		FUZZ_CHECK(addr == entry->sg[0].addr.raw);
		for (unsigned i = 1; i < entry->count; i++) {
			unsigned place = further(w, entry->place, i);

			check_element(desc_at(w, place), entry, i,
				      avail_state(w, place) |
					      (i + 1 < entry->count ? VIRTQ_DESC_F_NEXT : 0u));
		}
	}
	if (!first)
		check_first(w, entry);
	if (!first || entry->descriptors > 1)
		entry->id = id_at(w, entry);
}

static void add(struct world *w)
{
	static const uint32_t lengths[] = { 16, 1, 4096, 0, UINT32_MAX, 0x80000000u };
	uint8_t counts = fuzz_u8(w->input);
	struct entry entry = { .token = &w->tokens[w->tokens_next++ % sizeof(w->tokens)],
			       .place = w->next,
			       .readable = counts % 4,
			       .id = UINT32_MAX };
	int expected;

	entry.count = entry.readable + counts / 16 % 6;
	for (unsigned i = 0; i < entry.count; i++) {
		uint8_t which = fuzz_u8(w->input);

		entry.sg[i].addr = vio_addr_make(0x100000 + 0x1000 * i + which);
		entry.sg[i].length = lengths[which < 200 ? which % 3 : which % VIO_ARRAY_SIZE(lengths)];
	}
	expected = expected_add(w, &entry);
	FUZZ_CHECK(vio_drvq_add(&w->q, entry.sg, entry.readable, entry.count - entry.readable, entry.token) ==
		   expected);
	if (!expected) {
		w->free_count -= entry.descriptors;
		w->next = further(w, w->next, entry.descriptors);
		check_added(w, &entry, w->in_flight == w->shown);
		w->entries[w->in_flight++] = entry;
	}
	check_account(w);
}

FUZZ_UNSEEN static bool kick_due(const struct world *w)
{
	uint16_t event = (uint16_t)load(device_event(w), 2), flags = (uint16_t)load(device_event(w) + 2, 2);

	if (broken(w) || w->shown == w->in_flight)
		return false;
	if (flags != RING_EVENT_FLAGS_DESC || !w->event_idx)
		return flags != RING_EVENT_FLAGS_DISABLE;
	for (unsigned place = w->visible, moved = 0; !moved || place != w->next;
	     place = further(w, place, 1), moved++)
		if (position(w, place) == event)
			return true;
	return false;
}

static void kick(struct world *w)
{
	unsigned before = w->notified;
	bool due = kick_due(w);

	vio_drvq_kick(&w->q);
	FUZZ_CHECK(w->notified == before + due);
	if (!broken(w) && w->shown < w->in_flight) {
		struct entry *entry = &w->entries[w->shown];

		check_first(w, entry);
		if (entry->descriptors == 1)
			entry->id = id_at(w, entry);
	}
	for (; !broken(w) && w->shown < w->in_flight; w->shown++)
		for (unsigned i = 0; i < w->shown; i++)
			FUZZ_CHECK(w->entries[i].id != w->entries[w->shown].id);
	if (!broken(w))
		w->visible = w->next;
	check_account(w);
}

static bool used_there(const struct world *w)
{
	return (load(desc_at(w, w->used) + 14, 2) & STATE_FLAGS) == used_state(w, w->used);
}

FUZZ_UNSEEN static struct entry *find_shown(struct world *w, unsigned id)
{
	for (unsigned i = 0; i < w->shown; i++)
		if (w->entries[i].id == id)
			return &w->entries[i];
	return NULL;
}

/* What get has to find; NULL with or without a fault. */
static struct entry *expected_get(struct world *w, uint32_t *length)
{
	const uint8_t *desc = desc_at(w, w->used);
	uint32_t at = w->used % w->size, said = (uint32_t)load(desc + 8, 4);
	unsigned id = (unsigned)load(desc + 12, 2);
	struct entry *entry;

	if (broken(w) || (!w->batch && !used_there(w)))
		return NULL;
	if (!w->batch) {
		entry = find_shown(w, id);
		if (id >= w->size)
			w->fault = (struct vio_fault){ VIO_FAULT_USED_ID, 0, at, id };
		else if (!entry)
			w->fault = (struct vio_fault){ VIO_FAULT_USED_NOT_IN_FLIGHT, 0, at, id };
		else if (said > entry->writable)
			w->fault = (struct vio_fault){ VIO_FAULT_USED_LENGTH, 0, at, said };
		if (broken(w))
			return NULL;
		*length = said;
		if (!w->in_order)
			return entry;
		w->batch = (unsigned)(entry - w->entries) + 1;
		w->batch_length = said;
	}
	*length = --w->batch ? w->entries[0].writable : w->batch_length;
	return &w->entries[0];
}

static void get(struct world *w)
{
	uint32_t length = 0, written = 0;
	struct entry *entry = expected_get(w, &length);
	void *token = vio_drvq_get(&w->q, &written);

	FUZZ_CHECK(token == (entry ? entry->token : NULL));
	fuzz_note(w->input, w->fault.kind);
	if (entry) {
		unsigned index = (unsigned)(entry - w->entries);

		FUZZ_CHECK(written == length);
		fuzz_note(w->input, length);
		w->free_count += entry->descriptors;
		w->used = further(w, w->used, entry->descriptors);
		w->in_flight--;
		w->shown--;
		memmove(entry, entry + 1, (w->in_flight - index) * sizeof(*entry));
	}
	check_account(w);
}

static void callbacks(struct world *w)
{
	uint8_t what = fuzz_u8(w->input);
	const uint8_t *event = w->ring + (vio_drvq_driver_area(&w->q).raw - RING);
	bool pending = w->batch || used_there(w);

	if (what & 2) {
		vio_drvq_disable_cb(&w->q);
		FUZZ_CHECK(load(event + 2, 2) == RING_EVENT_FLAGS_DISABLE);
	} else {
		bool nothing = what & 1 ? vio_drvq_enable_cb_delayed(&w->q) : vio_drvq_enable_cb(&w->q);

		FUZZ_CHECK(nothing == !pending || what & 1);
		FUZZ_CHECK(load(event + 2, 2) ==
			   (w->event_idx ? RING_EVENT_FLAGS_DESC : RING_EVENT_FLAGS_ENABLE));
		if (w->event_idx && !(what & 1))
			FUZZ_CHECK(load(event, 2) == position(w, w->used));
	}
	FUZZ_CHECK(vio_drvq_pending(&w->q) == (!broken(w) && pending));
	check_account(w);
}

/* The device as it should be, or almost. */
static void use(struct world *w)
{
	static const uint64_t lengths[] = { 0, 1, 16, 17, 4096, UINT32_MAX };
	uint8_t which = fuzz_u8(w->input), how = fuzz_u8(w->input);
	/* How many were used and not seen yet isn't known here; so mostly where the driver looks. */
	unsigned place = further(w, w->used, how < 240 ? 0 : how % 4), id = which % w->size;
	uint8_t *desc = desc_at(w, place);

	if (w->shown && which < 250)
		id = w->entries[which % w->shown].id;
	store(desc + 12, which < 254 ? id : which * 0x101u, 2);
	store(desc + 8, fuzz_choose(w->input, lengths, which < 200 ? 1 : VIO_ARRAY_SIZE(lengths)), 4);
	store(desc + 14, used_state(w, place) | (how & 7), 2);
}

static void scribble(struct world *w)
{
	uint8_t what = fuzz_u8(w->input), value = fuzz_u8(w->input);
	size_t at = (size_t)fuzz_u64(w->input, 2);

	if (what & 1)
		w->tables[at % TABLE_BYTES] = value;
	else if (what & 2)
		memset(w->ring, value, 16u * w->size);
	else if (what & 4)
		store(device_event(w), position(w, further(w, w->visible, value % 8)), 2);
	else if (what & 8)
		store(device_event(w) + 2, value % 5, 2);
	else
		w->ring[at % vio_drvq_ring_bytes((uint16_t)w->size)] = value;
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
		.size = (uint16_t)(1 + (what & 7)),
		.ring = { w->ring, vio_addr_make(RING) },
		.storage = w->storage,
		.context = w,
		.notify_device = notify_device,
		.features = vio_features_low(UINT64_C(1) << VIRTIO_F_VERSION_1 |
					     UINT64_C(1) << VIRTIO_F_RING_PACKED),
	};
	void *token;

	while (w->size && (token = vio_drvq_detach_unused(&w->q)) != NULL) {
		unsigned i = 0;

		while (i < w->in_flight && w->entries[i].token != token)
			i++;
		FUZZ_CHECK(i < w->in_flight);
		w->entries[i] = w->entries[--w->in_flight];
	}
	FUZZ_CHECK(w->in_flight == 0);
	w->event_idx = what & 8;
	w->indirect = what & 16;
	w->in_order = what & 32;
	if (w->event_idx)
		vio_features_set(&config.features, VIRTIO_F_EVENT_IDX);
	if (w->in_order)
		vio_features_set(&config.features, VIRTIO_F_IN_ORDER);
	if (w->indirect) {
		vio_features_set(&config.features, VIRTIO_F_INDIRECT_DESC);
		config.indirect = (struct vio_shared){ w->tables, vio_addr_make(TABLES) };
		config.indirect_max = INDIRECT_MAX;
	}
	FUZZ_CHECK(vio_drvq_start(&w->q, &config) == 0);
	w->size = config.size;
	w->used = w->next = w->visible = w->batch = 0;
	w->free_count = w->size;
	w->shown = 0;
	w->fault = (struct vio_fault){ VIO_FAULT_NONE, 0, 0, 0 };
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
