/* SPDX-License-Identifier: BSD-3-Clause */
#include "driver_side.h"

/*
 * The driver's side of a split ring against a second opinion: a simple account of
 * what was exposed says of each call what it has to return, down to the fault and
 * its values, while a device writes what it likes all over the memory that both
 * see. (The target drvq asks less of longer and wilder runs.)
 */

/* The account of one head. */
struct entry {
	struct request request; /* without a token: not in flight */
	bool shown;
};

struct world {
	struct driver_side d;
	struct entry entries[SIZE_MAX_ENTRIES];
	uint16_t used_next, used_seen, avail_next, avail_visible;
	bool callbacks_off, scribbled;
};

static uint8_t *used(struct world *w)
{
	return area(&w->d, vio_drvq_device_area(&w->d.q));
}

static uint8_t *avail(struct world *w)
{
	return area(&w->d, vio_drvq_driver_area(&w->d.q));
}

/* What the device would find: the elements, in order, chained as the standard asks. */
FUZZ_UNSEEN static void check_chain(struct world *w, unsigned head, const struct request *r)
{
	const uint8_t *table = w->d.ring, *desc = table + 16 * head;

	if (load(desc + 12, 2) & VIRTQ_DESC_F_INDIRECT) {
		FUZZ_CHECK(w->d.indirect && load(desc + 12, 2) == VIRTQ_DESC_F_INDIRECT);
		FUZZ_CHECK(load(desc + 8, 4) == 16 * r->count && r->count <= INDIRECT_MAX);
		FUZZ_CHECK(load(desc, 8) >= TABLES && load(desc, 8) + 16 * r->count <= TABLES + TABLE_BYTES);
		desc = table = w->d.tables + (load(desc, 8) - TABLES);
	}
	for (unsigned i = 0; i < r->count; i++) {
		unsigned flags = (i + 1 < r->count ? VIRTQ_DESC_F_NEXT : 0u) |
				 (i >= r->readable ? VIRTQ_DESC_F_WRITE : 0u);

		FUZZ_CHECK(load(desc, 8) == r->sg[i].addr.raw && load(desc + 8, 4) == r->sg[i].length);
		FUZZ_CHECK(load(desc + 12, 2) == flags);
		desc = table + 16 * load(desc + 14, 2);
	}
}

static void add(struct world *w)
{
	struct request r;

	if (add_as_expected(&w->d, &r)) {
		unsigned head = (unsigned)load(avail(w) + 4 + 2u * (w->avail_next % w->d.size), 2);

		FUZZ_CHECK(head < w->d.size && !w->entries[head].request.token);
		check_chain(w, head, &r);
		w->entries[head] = (struct entry){ r, false };
		w->avail_next++;
	}
	check_account(&w->d);
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
	uint16_t event = (uint16_t)load(used(w) + 4 + 8u * w->d.size, 2);
	bool flag = load(used(w), 2) & VIRTQ_USED_F_NO_NOTIFY;
	bool due = w->d.event_idx ? passed(event, w->avail_visible, w->avail_next) : !flag;
	unsigned before = w->d.notified;

	if (broken(&w->d) || w->avail_visible == w->avail_next)
		due = false;
	vio_drvq_kick(&w->d.q);
	FUZZ_CHECK(w->d.notified == before + due);
	if (!broken(&w->d) && w->avail_visible != w->avail_next) {
		FUZZ_CHECK(load(avail(w) + 2, 2) == w->avail_next);
		for (unsigned i = 0; i < w->d.size; i++)
			w->entries[i].shown = true;
		w->d.shown = w->d.in_flight;
		w->avail_visible = w->avail_next;
	}
	check_account(&w->d);
}

/* What get has to find; NULL with or without a fault. */
static struct entry *expected_get(struct world *w, uint32_t *length)
{
	uint16_t idx = (uint16_t)load(used(w) + 2, 2), slot = w->used_next % w->d.size;
	uint32_t id;

	if (broken(&w->d))
		return NULL;
	/* What idx was found to cover isn't looked at again. */
	if (w->used_seen == w->used_next) {
		if ((uint16_t)(idx - w->used_next) > w->d.shown) {
			blame(&w->d, VIO_FAULT_USED_IDX, 0, idx);
			return NULL;
		}
		w->used_seen = idx;
	}
	if (w->used_seen == w->used_next)
		return NULL;
	id = (uint32_t)load(used(w) + 4 + 8u * slot, 4);
	*length = (uint32_t)load(used(w) + 8 + 8u * slot, 4);
	if (id >= w->d.size)
		blame(&w->d, VIO_FAULT_USED_ID, slot, id);
	else if (!w->entries[id].request.token || !w->entries[id].shown)
		blame(&w->d, VIO_FAULT_USED_NOT_IN_FLIGHT, slot, id);
	else if (*length > w->entries[id].request.writable)
		blame(&w->d, VIO_FAULT_USED_LENGTH, slot, *length);
	else
		return &w->entries[id];
	return NULL;
}

static void get(struct world *w)
{
	uint32_t length = 0;
	struct entry *entry = expected_get(w, &length);

	get_as_expected(&w->d, entry ? &entry->request : NULL, length);
	if (entry) {
		w->used_next++;
		entry->request.token = NULL;
	} else if (!broken(&w->d) && w->d.event_idx && !w->callbacks_off && !w->scribbled) {
		FUZZ_CHECK(load(avail(w) + 4 + 2u * w->d.size, 2) == w->used_next);
	}
	check_account(&w->d);
}

static void callbacks(struct world *w)
{
	uint8_t what = fuzz_u8(w->d.input);
	uint16_t unseen = (uint16_t)(load(used(w) + 2, 2) - w->used_next);
	uint16_t wait = what & 1 && w->d.event_idx ? (uint16_t)(w->d.shown * 3 / 4) : 0;

	if (what & 2) {
		vio_drvq_disable_cb(&w->d.q);
		FUZZ_CHECK(w->d.event_idx || load(avail(w), 2) == VIRTQ_AVAIL_F_NO_INTERRUPT);
	} else {
		bool nothing = what & 1 ? vio_drvq_enable_cb_delayed(&w->d.q) : vio_drvq_enable_cb(&w->d.q);

		FUZZ_CHECK(nothing == (unseen <= wait));
		if (w->d.event_idx)
			FUZZ_CHECK(load(avail(w) + 4 + 2u * w->d.size, 2) == (uint16_t)(w->used_next + wait));
		else
			FUZZ_CHECK(load(avail(w), 2) == 0);
	}
	w->callbacks_off = what & 2;
	FUZZ_CHECK(vio_drvq_pending(&w->d.q) == (!broken(&w->d) && (unseen || w->used_seen != w->used_next)));
	check_account(&w->d);
}

/* The device as it should be, or almost. */
static void use(struct world *w)
{
	static const uint64_t lengths[] = { 0, 1, 16, 17, 4096, UINT32_MAX };
	uint8_t which = fuzz_u8(w->d.input), step = fuzz_u8(w->d.input);
	uint16_t idx = (uint16_t)load(used(w) + 2, 2);
	uint8_t *slot = used(w) + 4 + 8u * (idx % w->d.size);

	store(slot, which < 250 ? which % w->d.size : which * 0x1010101u, 4);
	store(slot + 4, fuzz_choose(w->d.input, lengths, which < 200 ? 1 : VIO_ARRAY_SIZE(lengths)), 4);
	store(used(w) + 2, idx + (step < 248 ? 1u : step * 181u), 2);
}

static void scribble(struct world *w)
{
	uint8_t what = fuzz_u8(w->d.input), value = fuzz_u8(w->d.input);
	size_t ring_bytes = vio_drvq_ring_bytes(w->d.size), at = (size_t)fuzz_u64(w->d.input, 2);

	w->scribbled = true;
	if (what & 1)
		w->d.tables[at % TABLE_BYTES] = value;
	else if (what & 2)
		memset(w->d.ring, value, 16u * w->d.size + 6 + 2u * w->d.size);
	else if (what & 4)
		store(used(w) + 4 + 8u * w->d.size, (uint16_t)(w->avail_next + value % 16 - 4), 2);
	else if (what & 8)
		store(used(w), value, 2);
	else
		w->d.ring[at % ring_bytes] = value;
}

/* A reset: everything that is out comes back, once. Then a new life. */
static void restart(struct world *w)
{
	uint8_t what = fuzz_u8(w->d.input);
	uint64_t features = 0;
	void *token;

	while (w->d.size && (token = vio_drvq_detach_unused(&w->d.q)) != NULL) {
		unsigned head = 0;

		while (head < w->d.size && w->entries[head].request.token != token)
			head++;
		FUZZ_CHECK(head < w->d.size);
		w->entries[head].request.token = NULL;
		w->d.in_flight--;
	}
	if (what & 4)
		features |= UINT64_C(1) << VIRTIO_F_EVENT_IDX;
	if (what & 8)
		features |= UINT64_C(1) << VIRTIO_F_INDIRECT_DESC;
	w->used_next = w->used_seen = w->avail_next = w->avail_visible = 0;
	w->callbacks_off = w->scribbled = false;
	memset(w->entries, 0, sizeof(w->entries));
	start_side(&w->d, 1u << (what & 3), features);
}

void fuzz_run(struct fuzz_input *input)
{
	static void (*const steps[])(struct world * w) = { add,  kick, use, get,       add,
							   kick, use,  get, callbacks, scribble };
	struct world w = { .used_next = 0 };

	open_side(&w.d, input);
	restart(&w);
	fuzz_walk(input, &w, steps, VIO_ARRAY_SIZE(steps), restart, 400);
	restart(&w);
}
