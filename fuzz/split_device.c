/* SPDX-License-Identifier: BSD-3-Clause */
#include "opinion.h"

/*
 * The device's side of a split ring against a second opinion: a slow walker that
 * was written from the rules alone says of each pop whether there is a buffer,
 * which bytes it has, or which fault it is, to the last value. Both have to agree.
 * (The target devq asks less of longer and wilder runs.)
 */
#define DRIVER_AT 0x100u /* in the ring's page */
#define DEVICE_AT 0x200u

struct world {
	struct fuzz_input *input;
	struct shared s;
	struct vio_devq q;
	uint16_t next, seen; /* the walker's own account */
	bool indirect, broken;
	bool busy[SIZE_MAX_ENTRIES];
	struct vio_buf held[HELD_MAX];
	unsigned held_count;
};

static bool judge_element(struct world *w, struct opinion *o, uint64_t desc, uint32_t index)
{
	uint64_t flags = load(&w->s, desc + 12, 2);
	const struct element e = { load(&w->s, desc, 8), (uint32_t)load(&w->s, desc + 8, 4),
				   flags & VIRTQ_DESC_F_WRITE };

	return judge_memory(&w->s, o, &e, flags, index);
}

static bool judge_table(struct world *w, struct opinion *o, uint64_t desc, uint32_t index)
{
	uint64_t addr = load(&w->s, desc, 8), len = load(&w->s, desc + 8, 4), at = 0, visited;

	if (!judge_table_itself(&w->s, o, w->indirect, addr, len, load(&w->s, desc + 12, 2), index))
		return false;
	for (visited = 0; visited < len / 16; visited++) {
		uint64_t inner = addr + 16 * at, inner_flags = load(&w->s, inner + 12, 2),
			 next = load(&w->s, inner + 14, 2);

		if (inner_flags & VIRTQ_DESC_F_INDIRECT)
			return say(o, VIO_FAULT_INDIRECT_NESTED, (uint32_t)at, inner_flags);
		if (!judge_element(w, o, inner, (uint32_t)at))
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
	for (unsigned visited = 0; visited < w->s.size; visited++) {
		uint64_t desc = RING + 16 * at, flags = load(&w->s, desc + 12, 2),
			 next = load(&w->s, desc + 14, 2);

		if (flags & VIRTQ_DESC_F_INDIRECT)
			return judge_table(w, o, desc, (uint32_t)at);
		if (!judge_element(w, o, desc, (uint32_t)at))
			return false;
		if (!(flags & VIRTQ_DESC_F_NEXT))
			return true;
		if (next >= w->s.size)
			return say(o, VIO_FAULT_NEXT_RANGE, (uint32_t)at, next);
		at = next;
	}
	return say(o, VIO_FAULT_CHAIN_LOOP, (uint32_t)at, w->s.size);
}

static struct opinion judge(struct world *w, uint16_t *head)
{
	struct opinion o = { .buffer = false, .fault = w->q.fault };
	uint16_t slot = w->next % w->s.size;

	if (w->broken)
		return o;
	if (w->next == w->seen) {
		uint16_t idx = (uint16_t)load(&w->s, RING + DRIVER_AT + 2, 2);

		if ((uint16_t)(idx - w->next) > w->s.size) {
			say(&o, VIO_FAULT_AVAIL_IDX, 0, idx);
			return o;
		}
		w->seen = idx;
		if (idx == w->next)
			return o;
	}
	*head = (uint16_t)load(&w->s, RING + DRIVER_AT + 4 + 2u * slot, 2);
	if (*head >= w->s.size)
		say(&o, VIO_FAULT_HEAD_RANGE, slot, *head);
	else if (w->busy[*head])
		say(&o, VIO_FAULT_HEAD_BUSY, slot, *head);
	else
		o.buffer = judge_chain(w, &o, *head);
	return o;
}

static void pop(struct world *w)
{
	struct vio_buf buf;
	uint16_t head = 0;
	struct opinion o;
	bool popped;

	if (w->held_count == HELD_MAX)
		return;
	o = judge(w, &head);
	popped = vio_devq_pop(&w->q, &buf);
	FUZZ_CHECK(popped == o.buffer);
	FUZZ_CHECK(w->q.fault.kind == o.fault.kind && w->q.fault.queue == 3);
	FUZZ_CHECK(w->q.fault.index == o.fault.index && w->q.fault.value == o.fault.value);
	fuzz_note(w->input, o.fault.kind);
	w->broken = o.fault.kind != VIO_FAULT_NONE;
	if (!popped)
		return;
	FUZZ_CHECK(buf.head == head && buf.readable_bytes == o.bytes[0] && buf.writable_bytes == o.bytes[1]);
	compare_bytes(&w->s, &o, &buf);
	fuzz_note(w->input, buf.readable_bytes ^ buf.writable_bytes << 32);
	w->busy[head] = true;
	w->next++;
	w->held[w->held_count++] = buf;
}

static void push(struct world *w)
{
	unsigned which = fuzz_u8(w->input);
	uint16_t used = w->q.used_next;
	struct vio_buf buf;

	if (!w->held_count)
		return;
	which %= w->held_count;
	buf = w->held[which];
	w->held[which] = w->held[--w->held_count];
	vio_devq_push(&w->q, &buf, UINT32_MAX);
	w->busy[buf.head] = false;
	if (w->broken)
		return;
	FUZZ_CHECK(load(&w->s, RING + DEVICE_AT + 4 + 8u * (used % w->s.size), 4) == buf.head);
	FUZZ_CHECK(load(&w->s, RING + DEVICE_AT + 8 + 8u * (used % w->s.size), 4) ==
		   (buf.writable_bytes > UINT32_MAX ? UINT32_MAX : buf.writable_bytes));
	vio_devq_notify(&w->q);
	FUZZ_CHECK(load(&w->s, RING + DEVICE_AT + 2, 2) == (uint16_t)(used + 1));
}

static void write_descriptor(struct world *w)
{
	static const uint64_t addresses[] = {
		LOW,      NEXT - 8, APART - 8,        APART - 24,     LOW + 16, ROM,
		ROM - 1,  LOW - 1,  APART + PAGE - 1, APART + PAGE,   0,        TOP,
		TOP + 16, LOW + 5,  UINT64_MAX,       UINT64_MAX - 15
	};
	static const uint64_t lengths[] = { 16,   32,   0,      1,      48,         24, 17,
					    4096, 8192, 0x3000, 0x3001, UINT32_MAX, 128 };
	static const uint64_t tables[] = { RING, RING, LOW, NEXT - 8, APART - 24, LOW + 5, ROM };
	uint64_t at = tables[fuzz_u8(w->input) % VIO_ARRAY_SIZE(tables)];
	uint8_t flags = fuzz_u8(w->input);

	at += 16u * (fuzz_u8(w->input) % SIZE_MAX_ENTRIES);
	store(&w->s, at, fuzz_choose(w->input, addresses, VIO_ARRAY_SIZE(addresses)), 8);
	store(&w->s, at + 8, fuzz_choose(w->input, lengths, VIO_ARRAY_SIZE(lengths)), 4);
	store(&w->s, at + 12, flags < 250 ? flags & 7 : fuzz_u64(w->input, 2), 2);
	store(&w->s, at + 14, fuzz_u8(w->input) % (SIZE_MAX_ENTRIES + 1), 2);
}

/* A whole table's worth of good descriptors in a row, which chance would hardly write. */
static void write_chain(struct world *w)
{
	uint8_t what = fuzz_u8(w->input), readable = fuzz_u8(w->input) % SIZE_MAX_ENTRIES;
	uint64_t at = what & 1 ? LOW + PAGE / 2 : RING;
	unsigned count = 1 + (what >> 1) % SIZE_MAX_ENTRIES;

	for (unsigned i = 0; i < count; i++) {
		store(&w->s, at + 16 * i, (what & 0x80 ? APART : LOW) + PAGE - 16 * i - 4, 8);
		store(&w->s, at + 16 * i + 8, 8, 4);
		store(&w->s, at + 16 * i + 12, (i + 1 < count ? 1u : 0u) | (i >= readable ? 2u : 0u), 2);
		store(&w->s, at + 16 * i + 14, i + 1, 2);
	}
	if (what & 0x10 && !(what & 1))
		store(&w->s, at + 16 * (count - 1) + 12, VIRTQ_DESC_F_INDIRECT, 2);
	if (what & 0x10) {
		store(&w->s, RING + 16u * (readable % w->s.size), LOW + PAGE / 2, 8);
		store(&w->s, RING + 16u * (readable % w->s.size) + 8, 16 * count, 4);
	}
}

static void offer(struct world *w)
{
	uint8_t head = fuzz_u8(w->input), step = fuzz_u8(w->input);
	uint16_t idx = (uint16_t)load(&w->s, RING + DRIVER_AT + 2, 2);

	store(&w->s, RING + DRIVER_AT + 4 + 2u * (idx % w->s.size),
	      head < 252 ? head % w->s.size : head * 257u, 2);
	store(&w->s, RING + DRIVER_AT + 2, (uint16_t)(idx + (step < 248 ? 1 : step * 181)), 2);
}

static void restart(struct world *w)
{
	uint8_t what = fuzz_u8(w->input);
	struct vio_devq_config config = {
		.size = (uint16_t)(1u << (what & 3)),
		.at = { .avail = what & 4 ? 0xfffe : 0 },
		.descriptor_area = vio_addr_make(RING),
		.driver_area = vio_addr_make(RING + DRIVER_AT),
		.device_area = vio_addr_make(RING + DEVICE_AT),
	};

	if (what & 8)
		vio_features_set(&config.features, VIRTIO_F_EVENT_IDX);
	w->indirect = what & 16;
	if (w->indirect)
		vio_features_set(&config.features, VIRTIO_F_INDIRECT_DESC);
	if (w->q.running)
		vio_devq_stop(&w->q);
	store(&w->s, RING + DRIVER_AT + 2, config.at.avail, 2);
	FUZZ_CHECK(vio_devq_start(&w->q, &w->s.mem, &config) == 0);
	w->s.size = config.size;
	w->next = w->seen = config.at.avail;
	w->broken = false;
	w->held_count = 0;
	memset(w->busy, 0, sizeof(w->busy));
}

static void interrupted(void *context, struct vio_devq *q)
{
	struct world *w = context;

	FUZZ_CHECK(q == &w->q);
}

void fuzz_run(struct fuzz_input *input)
{
	static void (*const steps[])(struct world * w) = {
		write_descriptor, offer, pop, write_chain, push, pop, offer, write_descriptor
	};
	static _Alignas(16) uint8_t storage[STORAGE_BYTES];
	struct world w = { .input = input };

	FUZZ_CHECK(vio_devq_storage_bytes(SIZE_MAX_ENTRIES, SPANS, 0) <= STORAGE_BYTES);
	open_shared(&w.s);
	vio_devq_init(&w.q, 3, SIZE_MAX_ENTRIES, SPANS, 0, storage, &w, interrupted);
	restart(&w);
	for (unsigned i = 0; i < 300 && input->left; i++) {
		uint8_t what = fuzz_u8(input);

		if (what == 255)
			restart(&w);
		else
			steps[what % VIO_ARRAY_SIZE(steps)](&w);
	}
	pop(&w);
	vio_devq_stop(&w.q);
}
