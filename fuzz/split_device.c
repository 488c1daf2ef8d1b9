/* SPDX-License-Identifier: BSD-3-Clause */
#include "device_side.h"

/*
 * The device's side of a split ring against a second opinion: a slow walker that
 * was written from the rules alone says of each pop whether there is a buffer,
 * which bytes it has, or which fault it is, to the last value. Both have to agree.
 * (The target devq asks less of longer and wilder runs.)
 */
struct world {
	struct device_side d;
	uint16_t next, seen; /* the walker's own account */
};

static bool judge_table(struct world *w, struct opinion *o, uint64_t desc, uint32_t index)
{
	uint64_t addr = load(&w->d.s, desc, 8), len = load(&w->d.s, desc + 8, 4), at = 0, visited;

	if (!judge_table_itself(&w->d.s, o, w->d.indirect, addr, len, load(&w->d.s, desc + 12, 2), index))
		return false;
	for (visited = 0; visited < len / 16; visited++) {
		uint64_t inner = addr + 16 * at, inner_flags = load(&w->d.s, inner + 12, 2),
			 next = load(&w->d.s, inner + 14, 2);

		if (inner_flags & VIRTQ_DESC_F_INDIRECT)
			return say(o, VIO_FAULT_INDIRECT_NESTED, (uint32_t)at, inner_flags);
		if (!judge_descriptor(&w->d, o, inner, 12, (uint32_t)at))
			return false;
		if (!(inner_flags & VIRTQ_DESC_F_NEXT))
			return true;
		if (next >= len / 16)
			return say(o, VIO_FAULT_NEXT_RANGE, (uint32_t)at, next);
		at = next;
	}
	return say(o, VIO_FAULT_CHAIN_LOOP, (uint32_t)at, visited);
}

static bool judge_chain(struct world *w, struct opinion *o, uint64_t at)
{
	for (unsigned visited = 0; visited < w->d.s.size; visited++) {
		uint64_t desc = RING + 16 * at, flags = load(&w->d.s, desc + 12, 2),
			 next = load(&w->d.s, desc + 14, 2);

		if (flags & VIRTQ_DESC_F_INDIRECT)
			return judge_table(w, o, desc, (uint32_t)at);
		if (!judge_descriptor(&w->d, o, desc, 12, (uint32_t)at))
			return false;
		if (!(flags & VIRTQ_DESC_F_NEXT))
			return true;
		if (next >= w->d.s.size)
			return say(o, VIO_FAULT_NEXT_RANGE, (uint32_t)at, next);
		at = next;
	}
	return say(o, VIO_FAULT_CHAIN_LOOP, (uint32_t)at, w->d.s.size);
}

static struct opinion judge(struct world *w, uint16_t *head)
{
	struct opinion o = { .buffer = false, .fault = w->d.q.fault };
	uint16_t slot = w->next % w->d.s.size;

	if (w->d.broken)
		return o;
	if (w->next == w->seen) {
		uint16_t idx = (uint16_t)load(&w->d.s, RING + DRIVER_AT + 2, 2);

		if ((uint16_t)(idx - w->next) > w->d.s.size) {
			say(&o, VIO_FAULT_AVAIL_IDX, 0, idx);
			return o;
		}
		w->seen = idx;
		if (idx == w->next)
			return o;
	}
	*head = (uint16_t)load(&w->d.s, RING + DRIVER_AT + 4 + 2u * slot, 2);
	if (*head >= w->d.s.size)
		say(&o, VIO_FAULT_HEAD_RANGE, slot, *head);
	else if (w->d.busy[*head])
		say(&o, VIO_FAULT_HEAD_BUSY, slot, *head);
	else
		o.buffer = judge_chain(w, &o, *head);
	return o;
}

static void pop(struct world *w)
{
	uint16_t head = 0;
	struct opinion o;

	if (w->d.held_count == HELD_MAX)
		return;
	o = judge(w, &head);
	if (pop_as_judged(&w->d, &o, head))
		w->next++;
}

static void push(struct world *w)
{
	unsigned which = fuzz_u8(w->d.input);
	uint16_t used = w->d.q.used_next;
	struct vio_buf buf;

	if (!w->d.held_count)
		return;
	buf = take_held(&w->d, which).buf;
	vio_devq_push(&w->d.q, &buf, UINT32_MAX);
	w->d.busy[buf.head] = false;
	if (w->d.broken)
		return;
	FUZZ_CHECK(load(&w->d.s, RING + DEVICE_AT + 4 + 8u * (used % w->d.s.size), 4) == buf.head);
	FUZZ_CHECK(load(&w->d.s, RING + DEVICE_AT + 8 + 8u * (used % w->d.s.size), 4) ==
		   (buf.writable_bytes > UINT32_MAX ? UINT32_MAX : buf.writable_bytes));
	vio_devq_notify(&w->d.q);
	FUZZ_CHECK(load(&w->d.s, RING + DEVICE_AT + 2, 2) == (uint16_t)(used + 1));
}

static void write_descriptor(struct world *w)
{
	uint64_t at = choose_place(&w->d);
	uint8_t flags = fuzz_u8(w->d.input);

	at += 16u * (fuzz_u8(w->d.input) % SIZE_MAX_ENTRIES);
	write_element(&w->d, at);
	store(&w->d.s, at + 12, flags < 250 ? flags & 7 : fuzz_u64(w->d.input, 2), 2);
	store(&w->d.s, at + 14, fuzz_u8(w->d.input) % (SIZE_MAX_ENTRIES + 1), 2);
}

/* A whole table's worth of good descriptors in a row, which chance would hardly write. */
static void write_chain(struct world *w)
{
	uint8_t what = fuzz_u8(w->d.input), readable = fuzz_u8(w->d.input) % SIZE_MAX_ENTRIES;
	uint64_t at = what & 1 ? LOW + PAGE / 2 : RING;
	unsigned count = 1 + (what >> 1) % SIZE_MAX_ENTRIES;

	for (unsigned i = 0; i < count; i++) {
		store(&w->d.s, at + 16 * i, (what & 0x80 ? APART : LOW) + PAGE - 16 * i - 4, 8);
		store(&w->d.s, at + 16 * i + 8, 8, 4);
		store(&w->d.s, at + 16 * i + 12, (i + 1 < count ? 1u : 0u) | (i >= readable ? 2u : 0u), 2);
		store(&w->d.s, at + 16 * i + 14, i + 1, 2);
	}
	if (what & 0x10 && !(what & 1))
		store(&w->d.s, at + 16 * (count - 1) + 12, VIRTQ_DESC_F_INDIRECT, 2);
	if (what & 0x10) {
		store(&w->d.s, RING + 16u * (readable % w->d.s.size), LOW + PAGE / 2, 8);
		store(&w->d.s, RING + 16u * (readable % w->d.s.size) + 8, 16 * count, 4);
	}
}

static void offer(struct world *w)
{
	uint8_t head = fuzz_u8(w->d.input), step = fuzz_u8(w->d.input);
	uint16_t idx = (uint16_t)load(&w->d.s, RING + DRIVER_AT + 2, 2);

	store(&w->d.s, RING + DRIVER_AT + 4 + 2u * (idx % w->d.s.size),
	      head < 252 ? head % w->d.s.size : head * 257u, 2);
	store(&w->d.s, RING + DRIVER_AT + 2, (uint16_t)(idx + (step < 248 ? 1 : step * 181)), 2);
}

static void restart(struct world *w)
{
	uint8_t what = fuzz_u8(w->d.input);
	struct vio_devq_config config = stop_side(&w->d, (uint16_t)(1u << (what & 3)));

	config.at.avail = what & 4 ? 0xfffe : 0;
	if (what & 8)
		vio_features_set(&config.features, VIRTIO_F_EVENT_IDX);
	if (what & 16)
		vio_features_set(&config.features, VIRTIO_F_INDIRECT_DESC);
	store(&w->d.s, RING + DRIVER_AT + 2, config.at.avail, 2);
	start_side(&w->d, &config);
	w->next = w->seen = config.at.avail;
}

void fuzz_run(struct fuzz_input *input)
{
	static void (*const steps[])(struct world * w) = {
		write_descriptor, offer, pop, write_chain, push, pop, offer, write_descriptor
	};
	struct world w = { .next = 0 };

	open_side(&w.d, input);
	restart(&w);
	fuzz_walk(input, &w, steps, VIO_ARRAY_SIZE(steps), restart, 300);
	pop(&w);
	vio_devq_stop(&w.d.q);
}
