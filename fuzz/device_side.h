/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_FUZZ_DEVICE_SIDE_H
#define VIREO_FUZZ_DEVICE_SIDE_H

#include "opinion.h"

/*
 * What the targets of a device's queue that have a second opinion share besides it: a queue over
 * its memory, the buffers that it handed out, and what they do with both.
 */
#define DRIVER_AT 0x100u /* in the ring's page */
#define DEVICE_AT 0x200u

struct held {
	struct vio_buf buf;
	unsigned entries; /* packed: how many it takes of the ring */
};

struct device_side {
	struct fuzz_input *input;
	struct shared s;
	struct vio_devq q;
	bool indirect, broken;
	bool busy[SIZE_MAX_ENTRIES]; /* by head or id */
	struct held held[HELD_MAX];
	unsigned held_count;
};

/* A descriptor whose flags are so many bytes behind its address. */
static inline bool judge_descriptor(struct device_side *d, struct opinion *o, uint64_t desc,
				    unsigned flags_at, uint32_t index)
{
	uint64_t flags = load(&d->s, desc + flags_at, 2);
	const struct element e = { load(&d->s, desc, 8), (uint32_t)load(&d->s, desc + 8, 4),
				   flags & VIRTQ_DESC_F_WRITE };

	return judge_memory(&d->s, o, &e, flags, index);
}

/* Pops, which has to come out as judged; whether there is one more held then. */
static inline bool pop_as_judged(struct device_side *d, const struct opinion *o, uint16_t head)
{
	struct vio_buf buf;
	bool popped = vio_devq_pop(&d->q, &buf);

	FUZZ_CHECK(popped == o->buffer);
	FUZZ_CHECK(d->q.fault.kind == o->fault.kind && d->q.fault.queue == 3);
	FUZZ_CHECK(d->q.fault.index == o->fault.index && d->q.fault.value == o->fault.value);
	fuzz_note(d->input, o->fault.kind);
	d->broken = o->fault.kind != VIO_FAULT_NONE;
	if (!popped)
		return false;
	FUZZ_CHECK(buf.head == head && buf.readable_bytes == o->bytes[0] &&
		   buf.writable_bytes == o->bytes[1]);
	compare_bytes(&d->s, o, &buf);
	fuzz_note(d->input, buf.readable_bytes ^ buf.writable_bytes << 32);
	d->busy[head] = true;
	d->held[d->held_count++].buf = buf;
	return true;
}

/* One of those held, which then isn't any more; there is one. */
static inline struct held take_held(struct device_side *d, unsigned which)
{
	struct held held = d->held[which % d->held_count];

	d->held[which % d->held_count] = d->held[d->held_count - 1];
	d->held_count--;
	return held;
}

/* Where a descriptor may be written: in the ring or where tables are. */
static inline uint64_t choose_place(struct device_side *d)
{
	static const uint64_t places[] = { RING, RING, LOW, NEXT - 8, APART - 24, LOW + 5, ROM };

	return places[fuzz_u8(d->input) % VIO_ARRAY_SIZE(places)];
}

/* The address and the length of a descriptor. */
static inline void write_element(struct device_side *d, uint64_t at)
{
	static const uint64_t addresses[] = {
		LOW,      NEXT - 8, APART - 8,        APART - 24,     LOW + 16, ROM,
		ROM - 1,  LOW - 1,  APART + PAGE - 1, APART + PAGE,   0,        TOP,
		TOP + 16, LOW + 5,  UINT64_MAX,       UINT64_MAX - 15
	};
	static const uint64_t lengths[] = { 16,   32,   0,      1,      48,         24, 17,
					    4096, 8192, 0x3000, 0x3001, UINT32_MAX, 128 };

	store(&d->s, at, fuzz_choose(d->input, addresses, VIO_ARRAY_SIZE(addresses)), 8);
	store(&d->s, at + 8, fuzz_choose(d->input, lengths, VIO_ARRAY_SIZE(lengths)), 4);
}

/* Stops the queue if it runs, and forgets what was handed out; how to start it again. */
static inline struct vio_devq_config stop_side(struct device_side *d, uint16_t size)
{
	const struct vio_devq_config config = {
		.size = size,
		.descriptor_area = vio_addr_make(RING),
		.driver_area = vio_addr_make(RING + DRIVER_AT),
		.device_area = vio_addr_make(RING + DEVICE_AT),
	};

	if (d->q.running)
		vio_devq_stop(&d->q);
	d->s.size = size;
	d->broken = false;
	d->held_count = 0;
	memset(d->busy, 0, sizeof(d->busy));
	return config;
}

static inline void start_side(struct device_side *d, const struct vio_devq_config *config)
{
	d->indirect = vio_features_has(&config->features, VIRTIO_F_INDIRECT_DESC);
	FUZZ_CHECK(vio_devq_start(&d->q, &d->s.mem, config) == 0);
}

static inline void interrupted(void *context, struct vio_devq *q)
{
	struct device_side *d = context;

	FUZZ_CHECK(q == &d->q);
}

static inline void open_side(struct device_side *d, struct fuzz_input *input)
{
	static _Alignas(16) uint8_t storage[STORAGE_BYTES];

	FUZZ_CHECK(vio_devq_storage_bytes(SIZE_MAX_ENTRIES, SPANS, 0) <= STORAGE_BYTES);
	d->input = input;
	open_shared(&d->s);
	vio_devq_init(&d->q, 3, SIZE_MAX_ENTRIES, SPANS, 0, storage, d, interrupted);
}

#endif
