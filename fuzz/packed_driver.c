/* SPDX-License-Identifier: BSD-3-Clause */
#include "driver_side.h"

/*
 * The driver's side of a packed ring against a second opinion: a simple account of what was
 * exposed says of each call what it has to return, down to the fault and its values, while a
 * device writes what it likes all over the memory that both see.
 */
#define STATE_FLAGS (VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED)

/* The account of one buffer, in the order in which they were added. */
struct entry {
	struct request request;
	unsigned place;
	unsigned id; /* once it was shown */
};

/* Places are on a track of two laps, the first of which has wrap counter 1. */
struct world {
	struct driver_side d;
	struct entry entries[SIZE_MAX_ENTRIES]; /* of those in flight; those that are shown come first */
	unsigned used, next, visible;
	unsigned batch; /* in order: how many the last used descriptor still stands for */
	uint32_t batch_length;
};

FUZZ_UNSEEN static unsigned further(const struct world *w, unsigned place, unsigned count)
{
	return (place + count) % (2u * w->d.size);
}

static uint8_t *desc_at(const struct world *w, unsigned place)
{
	return w->d.ring + 16u * (place % w->d.size);
}

static unsigned avail_state(const struct world *w, unsigned place)
{
	return place < w->d.size ? VIRTQ_DESC_F_AVAIL : VIRTQ_DESC_F_USED;
}

static unsigned used_state(const struct world *w, unsigned place)
{
	return place < w->d.size ? STATE_FLAGS : 0;
}

static uint16_t position(const struct world *w, unsigned place)
{
	return (uint16_t)(place % w->d.size | (place < w->d.size ? PVIRTQ_WRAP : 0));
}

static uint8_t *device_event(const struct world *w)
{
	return area(&w->d, vio_drvq_device_area(&w->d.q));
}

FUZZ_UNSEEN static void check_element(const uint8_t *desc, const struct entry *entry, unsigned i,
				      unsigned also)
{
	FUZZ_CHECK(load(desc, 8) == entry->request.sg[i].addr.raw &&
		   load(desc + 8, 4) == entry->request.sg[i].length);
	FUZZ_CHECK(load(desc + 14, 2) == (also | (i >= entry->request.readable ? VIRTQ_DESC_F_WRITE : 0u)));
}

/* What the device finds at the first descriptor of a buffer, or will. */
FUZZ_UNSEEN static void check_first(struct world *w, const struct entry *entry)
{
	const uint8_t *desc = desc_at(w, entry->place);
	unsigned next = entry->request.count > 1 ? VIRTQ_DESC_F_NEXT : 0;

	if (entry->request.descriptors < entry->request.count) {
		FUZZ_CHECK(load(desc + 14, 2) == (VIRTQ_DESC_F_INDIRECT | avail_state(w, entry->place)));
		FUZZ_CHECK(load(desc + 8, 4) == 16 * entry->request.count);
		return;
	}
	FUZZ_CHECK(load(desc + 8, 4) == entry->request.sg[0].length);
	FUZZ_CHECK(load(desc + 14, 2) == (avail_state(w, entry->place) | next |
					  (entry->request.readable ? 0u : VIRTQ_DESC_F_WRITE)));
}

static unsigned id_at(struct world *w, const struct entry *entry)
{
	unsigned last = further(w, entry->place, entry->request.descriptors - 1);
	unsigned id = (unsigned)load(desc_at(w, last) + 12, 2);

	FUZZ_CHECK(id < w->d.size);
	return id;
}

/*
 * What was written when a buffer was added, which the device may rewrite from then on: everything but
 * the length, id and flags of the first one of those that will be shown together.
 */
FUZZ_UNSEEN static void check_added(struct world *w, struct entry *entry, bool first)
{
	uint64_t addr = load(desc_at(w, entry->place), 8);

	if (entry->request.descriptors < entry->request.count) {
		FUZZ_CHECK(addr >= TABLES && addr + 16 * entry->request.count <= TABLES + TABLE_BYTES);
		for (unsigned i = 0; i < entry->request.count; i++)
			check_element(w->d.tables + (addr - TABLES) + 16 * i, entry, i, 0);
	} else {
		FUZZ_CHECK(addr == entry->request.sg[0].addr.raw);
		for (unsigned i = 1; i < entry->request.count; i++) {
			unsigned place = further(w, entry->place, i);

			check_element(desc_at(w, place), entry, i,
				      avail_state(w, place) |
					      (i + 1 < entry->request.count ? VIRTQ_DESC_F_NEXT : 0u));
		}
	}
	if (!first)
		check_first(w, entry);
	if (!first || entry->request.descriptors > 1)
		entry->id = id_at(w, entry);
}

static void add(struct world *w)
{
	struct entry entry = { .place = w->next, .id = UINT32_MAX };

	if (add_as_expected(&w->d, &entry.request)) {
		w->next = further(w, w->next, entry.request.descriptors);
		check_added(w, &entry, w->d.in_flight - 1 == w->d.shown);
		w->entries[w->d.in_flight - 1] = entry;
	}
	check_account(&w->d);
}

FUZZ_UNSEEN static bool kick_due(const struct world *w)
{
	uint16_t event = (uint16_t)load(device_event(w), 2), flags = (uint16_t)load(device_event(w) + 2, 2);

	if (broken(&w->d) || w->d.shown == w->d.in_flight)
		return false;
	if (flags != RING_EVENT_FLAGS_DESC || !w->d.event_idx)
		return flags != RING_EVENT_FLAGS_DISABLE;
	for (unsigned place = w->visible, moved = 0; !moved || place != w->next;
	     place = further(w, place, 1), moved++)
		if (position(w, place) == event)
			return true;
	return false;
}

static void kick(struct world *w)
{
	unsigned before = w->d.notified;
	bool due = kick_due(w);

	vio_drvq_kick(&w->d.q);
	FUZZ_CHECK(w->d.notified == before + due);
	if (!broken(&w->d) && w->d.shown < w->d.in_flight) {
		struct entry *entry = &w->entries[w->d.shown];

		check_first(w, entry);
		if (entry->request.descriptors == 1)
			entry->id = id_at(w, entry);
	}
	for (; !broken(&w->d) && w->d.shown < w->d.in_flight; w->d.shown++)
		for (unsigned i = 0; i < w->d.shown; i++)
			FUZZ_CHECK(w->entries[i].id != w->entries[w->d.shown].id);
	if (!broken(&w->d))
		w->visible = w->next;
	check_account(&w->d);
}

static bool used_there(const struct world *w)
{
	return (load(desc_at(w, w->used) + 14, 2) & STATE_FLAGS) == used_state(w, w->used);
}

FUZZ_UNSEEN static struct entry *find_shown(struct world *w, unsigned id)
{
	for (unsigned i = 0; i < w->d.shown; i++)
		if (w->entries[i].id == id)
			return &w->entries[i];
	return NULL;
}

/* What get has to find; NULL with or without a fault. */
static struct entry *expected_get(struct world *w, uint32_t *length)
{
	const uint8_t *desc = desc_at(w, w->used);
	uint32_t at = w->used % w->d.size, said = (uint32_t)load(desc + 8, 4);
	unsigned id = (unsigned)load(desc + 12, 2);
	struct entry *entry;

	if (broken(&w->d) || (!w->batch && !used_there(w)))
		return NULL;
	if (!w->batch) {
		entry = find_shown(w, id);
		if (id >= w->d.size)
			blame(&w->d, VIO_FAULT_USED_ID, at, id);
		else if (!entry)
			blame(&w->d, VIO_FAULT_USED_NOT_IN_FLIGHT, at, id);
		else if (said > entry->request.writable)
			blame(&w->d, VIO_FAULT_USED_LENGTH, at, said);
		if (broken(&w->d))
			return NULL;
		*length = said;
		if (!w->d.in_order)
			return entry;
		w->batch = (unsigned)(entry - w->entries) + 1;
		w->batch_length = said;
	}
	*length = --w->batch ? w->entries[0].request.writable : w->batch_length;
	return &w->entries[0];
}

static void get(struct world *w)
{
	uint32_t length = 0;
	struct entry *entry = expected_get(w, &length);

	get_as_expected(&w->d, entry ? &entry->request : NULL, length);
	if (entry) {
		unsigned index = (unsigned)(entry - w->entries);

		w->used = further(w, w->used, entry->request.descriptors);
		memmove(entry, entry + 1, (w->d.in_flight - index) * sizeof(*entry));
	}
	check_account(&w->d);
}

static void callbacks(struct world *w)
{
	uint8_t what = fuzz_u8(w->d.input);
	const uint8_t *event = area(&w->d, vio_drvq_driver_area(&w->d.q));
	bool pending = w->batch || used_there(w);

	if (what & 2) {
		vio_drvq_disable_cb(&w->d.q);
		FUZZ_CHECK(load(event + 2, 2) == RING_EVENT_FLAGS_DISABLE);
	} else {
		bool nothing = what & 1 ? vio_drvq_enable_cb_delayed(&w->d.q) : vio_drvq_enable_cb(&w->d.q);

		FUZZ_CHECK(nothing == !pending || what & 1);
		FUZZ_CHECK(load(event + 2, 2) ==
			   (w->d.event_idx ? RING_EVENT_FLAGS_DESC : RING_EVENT_FLAGS_ENABLE));
		if (w->d.event_idx && !(what & 1))
			FUZZ_CHECK(load(event, 2) == position(w, w->used));
	}
	FUZZ_CHECK(vio_drvq_pending(&w->d.q) == (!broken(&w->d) && pending));
	check_account(&w->d);
}

/* The device as it should be, or almost. */
static void use(struct world *w)
{
	static const uint64_t lengths[] = { 0, 1, 16, 17, 4096, UINT32_MAX };
	uint8_t which = fuzz_u8(w->d.input), how = fuzz_u8(w->d.input);
	/* How many were used and not seen yet isn't known here; so mostly where the driver looks. */
	unsigned place = further(w, w->used, how < 240 ? 0 : how % 4), id = which % w->d.size;
	uint8_t *desc = desc_at(w, place);

	if (w->d.shown && which < 250)
		id = w->entries[which % w->d.shown].id;
	store(desc + 12, which < 254 ? id : which * 0x101u, 2);
	store(desc + 8, fuzz_choose(w->d.input, lengths, which < 200 ? 1 : VIO_ARRAY_SIZE(lengths)), 4);
	store(desc + 14, used_state(w, place) | (how & 7), 2);
}

static void scribble(struct world *w)
{
	uint8_t what = fuzz_u8(w->d.input), value = fuzz_u8(w->d.input);
	size_t at = (size_t)fuzz_u64(w->d.input, 2);

	if (what & 1)
		w->d.tables[at % TABLE_BYTES] = value;
	else if (what & 2)
		memset(w->d.ring, value, 16u * w->d.size);
	else if (what & 4)
		store(device_event(w), position(w, further(w, w->visible, value % 8)), 2);
	else if (what & 8)
		store(device_event(w) + 2, value % 5, 2);
	else
		w->d.ring[at % vio_drvq_ring_bytes((uint16_t)w->d.size)] = value;
}

/* A reset: everything that is out comes back, once. Then a new life. */
static void restart(struct world *w)
{
	uint8_t what = fuzz_u8(w->d.input);
	uint64_t features = UINT64_C(1) << VIRTIO_F_RING_PACKED;
	void *token;

	while (w->d.size && (token = vio_drvq_detach_unused(&w->d.q)) != NULL) {
		unsigned i = 0;

		while (i < w->d.in_flight && w->entries[i].request.token != token)
			i++;
		FUZZ_CHECK(i < w->d.in_flight);
		w->entries[i] = w->entries[--w->d.in_flight];
	}
	if (what & 8)
		features |= UINT64_C(1) << VIRTIO_F_EVENT_IDX;
	if (what & 16)
		features |= UINT64_C(1) << VIRTIO_F_INDIRECT_DESC;
	if (what & 32)
		features |= UINT64_C(1) << VIRTIO_F_IN_ORDER;
	w->used = w->next = w->visible = w->batch = 0;
	start_side(&w->d, 1 + (what & 7), features);
}

void fuzz_run(struct fuzz_input *input)
{
	static void (*const steps[])(struct world * w) = { add,  kick, use, get,       add,
							   kick, use,  get, callbacks, scribble };
	struct world w = { .used = 0 };

	open_side(&w.d, input);
	restart(&w);
	fuzz_walk(input, &w, steps, VIO_ARRAY_SIZE(steps), restart, 400);
	restart(&w);
}
