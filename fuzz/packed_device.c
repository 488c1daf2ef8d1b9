/* SPDX-License-Identifier: BSD-3-Clause */
#include "device_side.h"

/*
 * The device's side of a packed ring against a second opinion (opinion.h), which says of each pop
 * what has to come of it, and of each notification what has to stand in the ring afterwards.
 */
#define STATE_FLAGS (VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED)

/* A buffer that was taken, in the order in which it was. */
struct taken {
	uint16_t id, entries;
	uint32_t limit, written;
	bool pushed;
};

struct world {
	struct device_side d;
	/* The walker's own account: places on a track of two laps, the first of which has wrap counter 1. */
	unsigned next, used, offered;
	unsigned entries; /* taken and not given back */
	bool in_order;
	struct taken taken[SIZE_MAX_ENTRIES]; /* in order: not shown yet; otherwise: pushed and not shown */
	unsigned taken_count;
};

FUZZ_UNSEEN static unsigned further(const struct world *w, unsigned place, unsigned count)
{
	return (place + count) % (2u * w->d.s.size);
}

FUZZ_UNSEEN static uint64_t desc_at(const struct world *w, unsigned place)
{
	return RING + 16u * (place % w->d.s.size);
}

FUZZ_UNSEEN static unsigned avail_state(const struct world *w, unsigned place)
{
	return place < w->d.s.size ? VIRTQ_DESC_F_AVAIL : VIRTQ_DESC_F_USED;
}

FUZZ_UNSEEN static unsigned used_state(const struct world *w, unsigned place)
{
	return place < w->d.s.size ? STATE_FLAGS : 0;
}

FUZZ_UNSEEN static bool available(struct world *w, unsigned place)
{
	return (load(&w->d.s, desc_at(w, place) + 14, 2) & STATE_FLAGS) == avail_state(w, place);
}

static bool judge_table(struct world *w, struct opinion *o, uint64_t desc, uint32_t index)
{
	uint64_t addr = load(&w->d.s, desc, 8), len = load(&w->d.s, desc + 8, 4);

	if (!judge_table_itself(&w->d.s, o, w->d.indirect, addr, len, load(&w->d.s, desc + 14, 2), index))
		return false;
	for (uint32_t at = 0; at < len / 16; at++) {
		uint64_t flags = load(&w->d.s, addr + 16u * at + 14, 2);

		if (flags & VIRTQ_DESC_F_INDIRECT)
			return say(o, VIO_FAULT_INDIRECT_NESTED, at, flags);
		if (!judge_descriptor(&w->d, o, addr + 16u * at, 14, at))
			return false;
	}
	return true;
}

/* From the next place on; *entries is what it takes of the ring. */
static bool judge_list(struct world *w, struct opinion *o, unsigned *entries)
{
	for (unsigned place = w->next, count = 0;; place = further(w, place, 1)) {
		uint64_t desc = desc_at(w, place), flags = load(&w->d.s, desc + 14, 2);
		uint32_t at = place % w->d.s.size;

		if (count && !available(w, place))
			return say(o, VIO_FAULT_CHAIN_PART, at, flags);
		if (w->entries + count >= w->d.s.size)
			return say(o, w->entries ? VIO_FAULT_AVAIL_IDX : VIO_FAULT_CHAIN_LOOP, at,
				   w->entries + count + 1);
		*entries = ++count;
		if (flags & VIRTQ_DESC_F_INDIRECT)
			return count > 1 ? say(o, VIO_FAULT_INDIRECT_NEXT, at, flags)
					 : judge_table(w, o, desc, at);
		if (!judge_descriptor(&w->d, o, desc, 14, at))
			return false;
		if (!(flags & VIRTQ_DESC_F_NEXT))
			return true;
	}
}

static struct opinion judge(struct world *w, uint16_t *id, unsigned *entries)
{
	struct opinion o = { .buffer = false, .fault = w->d.q.fault };
	uint32_t at = w->next % w->d.s.size;

	*entries = 0;
	if (w->d.broken || !available(w, w->next) || !judge_list(w, &o, entries))
		return o;
	*id = (uint16_t)load(&w->d.s, desc_at(w, further(w, w->next, *entries - 1)) + 12, 2);
	if (*id >= w->d.s.size)
		say(&o, VIO_FAULT_HEAD_RANGE, at, *id);
	else if (w->d.busy[*id])
		say(&o, VIO_FAULT_HEAD_BUSY, at, *id);
	else
		o.buffer = true;
	return o;
}

static void pop(struct world *w)
{
	unsigned entries;
	struct vio_buf *buf;
	uint16_t id = 0;
	struct opinion o;

	if (w->d.held_count == HELD_MAX)
		return;
	o = judge(w, &id, &entries);
	if (!pop_as_judged(&w->d, &o, id))
		return;
	w->next = further(w, w->next, entries);
	w->entries += entries;
	w->d.held[w->d.held_count - 1].entries = entries;
	buf = &w->d.held[w->d.held_count - 1].buf;
	if (w->in_order)
		w->taken[w->taken_count++] =
			(struct taken){ id, (uint16_t)entries, buf->writable_limit, 0, false };
}

/* One used descriptor at the place where the driver looks; stands for `count` of those taken. */
FUZZ_UNSEEN static void check_used(struct world *w, unsigned count)
{
	const struct taken *last = &w->taken[count - 1];
	uint64_t desc = desc_at(w, w->used);

	FUZZ_CHECK(load(&w->d.s, desc + 12, 2) == last->id && load(&w->d.s, desc + 8, 4) == last->written);
	FUZZ_CHECK(load(&w->d.s, desc + 14, 2) ==
		   (used_state(w, w->used) | (last->written ? VIRTQ_DESC_F_WRITE : 0u)));
	for (unsigned i = 0; i < count; i++) {
		/* Whoever is only implied was filled to its end. */
		FUZZ_CHECK(w->taken[i].pushed &&
			   (i == count - 1 || w->taken[i].written == w->taken[i].limit));
		w->used = further(w, w->used, w->taken[i].entries);
		w->entries -= w->taken[i].entries;
		w->d.busy[w->taken[i].id] = false;
	}
	w->taken_count -= count;
	memmove(w->taken, w->taken + count, w->taken_count * sizeof(w->taken[0]));
}

/* After a notification everything that can be shown is. */
FUZZ_UNSEEN static void check_shown(struct world *w)
{
	while (w->taken_count && w->taken[0].pushed) {
		uint64_t id = load(&w->d.s, desc_at(w, w->used) + 12, 2);
		unsigned count = 1;

		while (w->in_order && w->taken[count - 1].id != id) {
			count++;
			FUZZ_CHECK(count <= w->taken_count);
		}
		check_used(w, count);
	}
}

static void push(struct world *w)
{
	unsigned which = fuzz_u8(w->d.input);
	uint8_t what = fuzz_u8(w->d.input);
	struct held held;
	struct vio_buf buf;
	uint32_t written;

	if (!w->d.held_count)
		return;
	held = take_held(&w->d, which);
	buf = held.buf;
	written = what & 1 ? buf.writable_limit : what & 2 ? buf.writable_limit / 2 : 0;
	vio_devq_push(&w->d.q, &buf, what & 4 ? UINT32_MAX : written);
	if (what & 4)
		written = buf.writable_limit;
	if (w->d.broken)
		return;
	if (!w->in_order) {
		w->taken[w->taken_count++] =
			(struct taken){ buf.head, (uint16_t)held.entries, buf.writable_limit, written, true };
	} else {
		for (unsigned i = 0; i < w->taken_count; i++) {
			if (w->taken[i].id == buf.head) {
				w->taken[i].written = written;
				w->taken[i].pushed = true;
			}
		}
	}
	/* The id is free again with the push, or in order when it is shown; so show it at once. */
	vio_devq_notify(&w->d.q);
	check_shown(w);
}

static void write_descriptor(struct world *w)
{
	uint64_t at = choose_place(&w->d);
	uint8_t flags = fuzz_u8(w->d.input), id = fuzz_u8(w->d.input);
	unsigned state;

	at += 16u * (id / 16 % SIZE_MAX_ENTRIES);
	state = (unsigned)load(&w->d.s, at + 14, 2) & STATE_FLAGS;
	write_element(&w->d, at);
	store(&w->d.s, at + 12, id % (SIZE_MAX_ENTRIES + 1), 2);
	store(&w->d.s, at + 14, flags < 240 ? (flags & 7) | state : fuzz_u64(w->d.input, 2), 2);
}

/* A table's worth of good elements where offer() finds it. */
static void write_table(struct world *w)
{
	uint8_t what = fuzz_u8(w->d.input), readable = fuzz_u8(w->d.input) % SIZE_MAX_ENTRIES;

	for (unsigned i = 0; i < SIZE_MAX_ENTRIES; i++) {
		uint64_t at = LOW + PAGE / 2 + 16 * i;

		store(&w->d.s, at, (what & 0x80 ? APART : LOW) + PAGE - 16 * i - 4, 8);
		store(&w->d.s, at + 8, 8, 4);
		store(&w->d.s, at + 14, i >= readable ? VIRTQ_DESC_F_WRITE : 0, 2);
	}
}

/* The driver as it should be, or almost: a list or a table behind what it offered last. */
static void offer(struct world *w)
{
	uint8_t what = fuzz_u8(w->d.input), how = fuzz_u8(w->d.input);
	unsigned count = what & 8 ? 1 : 1 + (what & 3), readable = how % 4, id = how / 16, tries;

	for (tries = 0; id < w->d.s.size && w->d.busy[id] && tries < SIZE_MAX_ENTRIES; tries++)
		id = (id + 1) % w->d.s.size;
	for (unsigned i = 0; i < count; i++) {
		uint64_t desc = desc_at(w, further(w, w->offered, i));
		unsigned flags =
			(i + 1 < count ? VIRTQ_DESC_F_NEXT : 0u) | (i >= readable ? VIRTQ_DESC_F_WRITE : 0u);

		store(&w->d.s, desc, what & 8 ? LOW + PAGE / 2 : LOW + 0x100 * i + what, 8);
		store(&w->d.s, desc + 8, what & 8 ? 16u * (1 + (how & 3)) : 1u + what, 4);
		store(&w->d.s, desc + 12, id, 2);
		if (what & 8)
			flags = VIRTQ_DESC_F_INDIRECT;
		store(&w->d.s, desc + 14, flags | avail_state(w, further(w, w->offered, i)), 2);
	}
	if (what < 0xe0)
		w->offered = further(w, w->offered, count);
}

static uint16_t position(const struct world *w, unsigned place)
{
	return (uint16_t)(place % w->d.s.size | (place < w->d.s.size ? PVIRTQ_WRAP : 0));
}

static void restart(struct world *w)
{
	uint8_t what = fuzz_u8(w->d.input), more = fuzz_u8(w->d.input);
	struct vio_devq_config config = stop_side(&w->d, (uint16_t)(1 + (what & 7)));

	w->next = w->used = w->offered = more % (2u * w->d.s.size);
	w->entries = w->taken_count = 0;
	w->in_order = what & 32;
	vio_features_set(&config.features, VIRTIO_F_RING_PACKED);
	if (what & 8)
		vio_features_set(&config.features, VIRTIO_F_EVENT_IDX);
	if (what & 16)
		vio_features_set(&config.features, VIRTIO_F_INDIRECT_DESC);
	if (w->in_order)
		vio_features_set(&config.features, VIRTIO_F_IN_ORDER);
	config.at.avail = config.at.used = position(w, w->next);
	start_side(&w->d, &config);
}

/* What the driver says of interrupts, anything at all. */
static void suppress(struct world *w)
{
	store(&w->d.s, RING + DRIVER_AT, fuzz_u64(w->d.input, 2), 2);
	store(&w->d.s, RING + DRIVER_AT + 2, fuzz_u8(w->d.input), 2);
}

void fuzz_run(struct fuzz_input *input)
{
	static void (*const steps[])(struct world * w) = {
		offer, pop, push, offer, pop, pop, push, offer, write_descriptor, write_table, suppress
	};
	struct world w = { .next = 0 };

	open_side(&w.d, input);
	restart(&w);
	fuzz_walk(input, &w, steps, VIO_ARRAY_SIZE(steps), restart, 300);
	pop(&w);
	vio_devq_stop(&w.d.q);
}
