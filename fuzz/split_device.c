/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <vireo/devq.h>
#include <vireo/spec/virtio_ring.h>

#include "input.h"

/*
 * The device's side of a split ring against a second opinion: a slow walker that
 * was written from the rules alone says of each pop whether there is a buffer,
 * which bytes it has, or which fault it is, to the last value. Both have to agree.
 * (The target devq asks less of longer and wilder runs.)
 */
#define SIZE_MAX_ENTRIES 8u
#define SPANS            3u
#define ELEMENTS_MAX     (2 * SIZE_MAX_ENTRIES)
#define HELD_MAX         SIZE_MAX_ENTRIES

#define PAGE      UINT64_C(0x1000)
#define RING      UINT64_C(0x10000)
#define LOW       UINT64_C(0x20000) /* three regions in a row: LOW and NEXT are neighbours in the host, too */
#define NEXT      UINT64_C(0x21000)
#define APART     UINT64_C(0x22000)
#define ROM       UINT64_C(0x30000)
#define TOP       UINT64_C(0xfffffffffffff000) /* 0xfff bytes */
#define REGIONS   6u
#define DRIVER_AT 0x100u /* in the ring's page */
#define DEVICE_AT 0x200u

struct element {
	uint64_t addr;
	uint32_t len;
	bool writable;
};

/* What the slow walker says. */
struct opinion {
	bool buffer;
	struct vio_fault fault; /* VIO_FAULT_NONE and no buffer: there is none */
	struct element elements[ELEMENTS_MAX];
	unsigned count;
	uint64_t bytes[2]; /* readable, writable */
};

struct world {
	struct fuzz_input *input;
	uint8_t *pages; /* of all regions, one each */
	struct vio_region regions[REGIONS];
	struct vio_mem mem;
	struct vio_devq q;
	void *storage;
	uint16_t size, next, seen; /* the walker's own account */
	bool indirect, broken;
	bool busy[SIZE_MAX_ENTRIES];
	struct vio_buf held[HELD_MAX];
	unsigned held_count;
};

static uint8_t *host_at(struct world *w, uint64_t addr, unsigned access)
{
	for (unsigned i = 0; i < REGIONS; i++) {
		const struct vio_region *region = &w->regions[i];

		if (addr >= region->base.raw && addr - region->base.raw < region->size)
			return (region->rights & access) == access ? region->host + (addr - region->base.raw)
								   : NULL;
	}
	return NULL;
}

static bool all_there(struct world *w, uint64_t addr, uint64_t len, unsigned access)
{
	/* No region is shorter than a page but the last, so looking at a few points is enough. */
	for (uint64_t at = 0; at < len; at += PAGE / 2)
		if (addr + at < addr || !host_at(w, addr + at, access))
			return false;
	return !len || (addr + (len - 1) >= addr && host_at(w, addr + (len - 1), access));
}

static uint64_t load(struct world *w, uint64_t addr, unsigned bytes)
{
	uint64_t value = 0;

	while (bytes--)
		value = value << 8 | *host_at(w, addr + bytes, VIO_MEM_READ);
	return value;
}

static bool say(struct opinion *opinion, enum vio_fault_kind kind, uint32_t index, uint64_t value)
{
	opinion->fault = (struct vio_fault){ kind, 3, index, value };
	return false;
}

static bool judge_element(struct world *w, struct opinion *o, uint64_t desc, uint32_t index)
{
	uint64_t addr = load(w, desc, 8), len = load(w, desc + 8, 4), flags = load(w, desc + 12, 2);
	bool writable = flags & VIRTQ_DESC_F_WRITE;

	if (o->count == w->size)
		return say(o, VIO_FAULT_CHAIN_LOOP, index, w->size + 1u);
	o->elements[o->count++] = (struct element){ addr, (uint32_t)len, writable };
	if (!writable && o->bytes[1])
		return say(o, VIO_FAULT_READ_AFTER_WRITE, index, flags);
	o->bytes[writable] += len;
	if (o->bytes[0] + o->bytes[1] > UINT64_C(1) << 32)
		return say(o, VIO_FAULT_CHAIN_LENGTH, index, o->bytes[0] + o->bytes[1]);
	if (!all_there(w, addr, len, writable ? VIO_MEM_WRITE : VIO_MEM_READ))
		return say(o, VIO_FAULT_BUFFER_MEMORY, index, addr);
	return true;
}

static bool judge_table(struct world *w, struct opinion *o, uint64_t desc, uint32_t index)
{
	uint64_t addr = load(w, desc, 8), len = load(w, desc + 8, 4), flags = load(w, desc + 12, 2), at = 0,
		 visited;

	if (!w->indirect)
		return say(o, VIO_FAULT_INDIRECT_REFUSED, index, flags);
	if (flags & VIRTQ_DESC_F_NEXT)
		return say(o, VIO_FAULT_INDIRECT_NEXT, index, flags);
	if (!len || len % 16 || len / 16 > w->size)
		return say(o, VIO_FAULT_INDIRECT_LENGTH, index, len);
	if (!all_there(w, addr, len, VIO_MEM_READ))
		return say(o, VIO_FAULT_INDIRECT_MEMORY, index, addr);
	for (visited = 0; visited < len / 16; visited++) {
		uint64_t inner = addr + 16 * at, inner_flags = load(w, inner + 12, 2),
			 next = load(w, inner + 14, 2);

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
	for (unsigned visited = 0; visited < w->size; visited++) {
		uint64_t desc = RING + 16 * at, flags = load(w, desc + 12, 2), next = load(w, desc + 14, 2);

		if (flags & VIRTQ_DESC_F_INDIRECT)
			return judge_table(w, o, desc, (uint32_t)at);
		if (!judge_element(w, o, desc, (uint32_t)at))
			return false;
		if (!(flags & VIRTQ_DESC_F_NEXT))
			return true;
		if (next >= w->size)
			return say(o, VIO_FAULT_NEXT_RANGE, (uint32_t)at, next);
		at = next;
	}
	return say(o, VIO_FAULT_CHAIN_LOOP, (uint32_t)at, w->size);
}

static struct opinion judge(struct world *w, uint16_t *head)
{
	struct opinion o = { .buffer = false, .fault = w->q.fault };
	uint16_t slot = w->next % w->size;

	if (w->broken)
		return o;
	if (w->next == w->seen) {
		uint16_t idx = (uint16_t)load(w, RING + DRIVER_AT + 2, 2);

		if ((uint16_t)(idx - w->next) > w->size) {
			say(&o, VIO_FAULT_AVAIL_IDX, 0, idx);
			return o;
		}
		w->seen = idx;
		if (idx == w->next)
			return o;
	}
	*head = (uint16_t)load(w, RING + DRIVER_AT + 4 + 2u * slot, 2);
	if (*head >= w->size)
		say(&o, VIO_FAULT_HEAD_RANGE, slot, *head);
	else if (w->busy[*head])
		say(&o, VIO_FAULT_HEAD_BUSY, slot, *head);
	else
		o.buffer = judge_chain(w, &o, *head);
	return o;
}

static void compare_last(struct world *w, const struct opinion *o, const struct vio_span *span)
{
	unsigned last = o->count - 1;

	while (!o->elements[last].len)
		last--;
	FUZZ_CHECK(span->host + span->length - 1 ==
		   host_at(w, o->elements[last].addr + (o->elements[last].len - 1), VIO_MEM_READ));
}

/*
 * The spans are the bytes of the elements, in order; when truncated, the first
 * ones and then the very last.
 */
static void compare_bytes(struct world *w, const struct opinion *o, const struct vio_buf *buf)
{
	const struct vio_span *span = buf->readable;
	unsigned count = buf->readable_count + buf->writable_count, done = 0;
	size_t offset = 0;

	FUZZ_CHECK(count <= SPANS && buf->writable == buf->readable + buf->readable_count);
	for (unsigned i = 0; i < o->count; i++) {
		const struct element *e = &o->elements[i];
		uint64_t at = 0;

		while (at < e->len) {
			uint64_t piece = e->len - at;

			if (buf->truncated && done + 1 == count) {
				compare_last(w, o, span);
				return;
			}
			FUZZ_CHECK(done < count && (done >= buf->readable_count) == e->writable);
			FUZZ_CHECK(span->host + offset == host_at(w, e->addr + at, VIO_MEM_READ));
			if (piece > span->length - offset)
				piece = span->length - offset;
			at += piece;
			offset += piece;
			if (offset == span->length) {
				span++;
				done++;
				offset = 0;
			}
		}
	}
	FUZZ_CHECK(done == count && !buf->truncated);
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
	compare_bytes(w, &o, &buf);
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
	FUZZ_CHECK(load(w, RING + DEVICE_AT + 4 + 8u * (used % w->size), 4) == buf.head);
	FUZZ_CHECK(load(w, RING + DEVICE_AT + 8 + 8u * (used % w->size), 4) ==
		   (buf.writable_bytes > UINT32_MAX ? UINT32_MAX : buf.writable_bytes));
	vio_devq_notify(&w->q);
	FUZZ_CHECK(load(w, RING + DEVICE_AT + 2, 2) == (uint16_t)(used + 1));
}

static void store(struct world *w, uint64_t addr, uint64_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++) {
		uint8_t *at = host_at(w, addr + i, VIO_MEM_READ);

		if (at)
			*at = (uint8_t)(value >> (8 * i));
	}
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
	store(w, at, fuzz_choose(w->input, addresses, VIO_ARRAY_SIZE(addresses)), 8);
	store(w, at + 8, fuzz_choose(w->input, lengths, VIO_ARRAY_SIZE(lengths)), 4);
	store(w, at + 12, flags < 250 ? flags & 7 : fuzz_u64(w->input, 2), 2);
	store(w, at + 14, fuzz_u8(w->input) % (SIZE_MAX_ENTRIES + 1), 2);
}

/* A whole table's worth of good descriptors in a row, which chance would hardly write. */
static void write_chain(struct world *w)
{
	uint8_t what = fuzz_u8(w->input), readable = fuzz_u8(w->input) % SIZE_MAX_ENTRIES;
	uint64_t at = what & 1 ? LOW + PAGE / 2 : RING;
	unsigned count = 1 + (what >> 1) % SIZE_MAX_ENTRIES;

	for (unsigned i = 0; i < count; i++) {
		store(w, at + 16 * i, (what & 0x80 ? APART : LOW) + PAGE - 16 * i - 4, 8);
		store(w, at + 16 * i + 8, 8, 4);
		store(w, at + 16 * i + 12, (i + 1 < count ? 1u : 0u) | (i >= readable ? 2u : 0u), 2);
		store(w, at + 16 * i + 14, i + 1, 2);
	}
	if (what & 0x10 && !(what & 1))
		store(w, at + 16 * (count - 1) + 12, VIRTQ_DESC_F_INDIRECT, 2);
	if (what & 0x10) {
		store(w, RING + 16u * (readable % w->size), LOW + PAGE / 2, 8);
		store(w, RING + 16u * (readable % w->size) + 8, 16 * count, 4);
	}
}

static void offer(struct world *w)
{
	uint8_t head = fuzz_u8(w->input), step = fuzz_u8(w->input);
	uint16_t idx = (uint16_t)load(w, RING + DRIVER_AT + 2, 2);

	store(w, RING + DRIVER_AT + 4 + 2u * (idx % w->size), head < 252 ? head % w->size : head * 257u, 2);
	store(w, RING + DRIVER_AT + 2, (uint16_t)(idx + (step < 248 ? 1 : step * 181)), 2);
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
	store(w, RING + DRIVER_AT + 2, config.at.avail, 2);
	FUZZ_CHECK(vio_devq_start(&w->q, &w->mem, &config) == 0);
	w->size = config.size;
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

static void add_region(struct world *w, unsigned index, uint64_t base, uint64_t size, unsigned page,
		       unsigned rights)
{
	w->regions[index] = (struct vio_region){ vio_addr_make(base), size, w->pages + page * PAGE, rights };
}

static void open_world(struct world *w)
{
	static struct vio_region storage[REGIONS];

	/* Pages 3 and 4 are neighbours; 1 lies in front of them, so that APART doesn't follow NEXT. */
	w->pages = calloc(7, PAGE);
	w->storage = malloc(vio_devq_storage_bytes(SIZE_MAX_ENTRIES, SPANS, 0));
	FUZZ_CHECK(w->pages && w->storage);
	add_region(w, 0, RING, PAGE, 0, VIO_MEM_READ | VIO_MEM_WRITE);
	add_region(w, 1, APART, PAGE, 1, VIO_MEM_READ | VIO_MEM_WRITE);
	add_region(w, 2, LOW, PAGE, 3, VIO_MEM_READ | VIO_MEM_WRITE);
	add_region(w, 3, NEXT, PAGE, 4, VIO_MEM_READ | VIO_MEM_WRITE);
	add_region(w, 4, ROM, PAGE, 6, VIO_MEM_READ);
	add_region(w, 5, TOP, PAGE - 1, 2, VIO_MEM_READ | VIO_MEM_WRITE);
	vio_mem_init(&w->mem, storage, REGIONS);
	for (unsigned i = 0; i < REGIONS; i++)
		FUZZ_CHECK(vio_mem_add(&w->mem, &w->regions[i]) == 0);
	vio_devq_init(&w->q, 3, SIZE_MAX_ENTRIES, SPANS, 0, w->storage, w, interrupted);
	restart(w);
}

void fuzz_run(struct fuzz_input *input)
{
	static void (*const steps[])(struct world * w) = {
		write_descriptor, offer, pop, write_chain, push, pop, offer, write_descriptor
	};
	struct world w = { .input = input };

	open_world(&w);
	for (unsigned i = 0; i < 300 && input->left; i++) {
		uint8_t what = fuzz_u8(input);

		if (what == 255)
			restart(&w);
		else
			steps[what % VIO_ARRAY_SIZE(steps)](&w);
	}
	pop(&w);
	vio_devq_stop(&w.q);
	free(w.pages);
	free(w.storage);
}
