/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_FUZZ_DRIVER_SIDE_H
#define VIREO_FUZZ_DRIVER_SIDE_H

#include <string.h>

#include <vireo/drvq.h>
#include <vireo/spec/virtio_ring.h>

#include "input.h"

/*
 * What the targets of a driver's queue that have a second opinion share: a queue, the account of
 * it that both formats have, and what each call has to return by that account.
 */
#define SIZE_MAX_ENTRIES 8u
#define INDIRECT_MAX     3u
#define ELEMENTS_MAX     9u
#define RING             UINT64_C(0x10000)
#define TABLES           UINT64_C(0x20000)
#define RING_BYTES       320u
#define STORAGE_BYTES    512u
#define TABLE_BYTES      (SIZE_MAX_ENTRIES * INDIRECT_MAX * 16u)

/* A buffer. */
struct request {
	void *token;
	uint32_t writable; /* bytes, or as many as a length can tell */
	unsigned descriptors, readable, count;
	struct vio_sg sg[ELEMENTS_MAX];
};

struct driver_side {
	struct fuzz_input *input;
	struct vio_drvq q;
	uint8_t *ring, *tables;
	void *storage;
	unsigned size, free_count, in_flight, shown;
	bool event_idx, indirect, in_order;
	unsigned notified;
	struct vio_fault fault;
	char tokens[64];
	unsigned tokens_next;
};

FUZZ_UNSEEN static inline uint64_t load(const uint8_t *from, unsigned bytes)
{
	uint64_t value = 0;

	while (bytes--)
		value = value << 8 | from[bytes];
	return value;
}

FUZZ_UNSEEN static inline void store(uint8_t *to, uint64_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		to[i] = (uint8_t)(value >> (8 * i));
}

static inline uint8_t *area(const struct driver_side *d, struct vio_addr addr)
{
	return d->ring + (addr.raw - RING);
}

static inline bool broken(const struct driver_side *d)
{
	return d->fault.kind != VIO_FAULT_NONE;
}

FUZZ_UNSEEN static inline void check_account(struct driver_side *d)
{
	const struct vio_fault *fault = &d->q.fault;

	FUZZ_CHECK(d->q.free_count == d->free_count && d->q.in_flight == d->in_flight);
	FUZZ_CHECK(fault->kind == d->fault.kind && fault->index == d->fault.index);
	FUZZ_CHECK(fault->value == d->fault.value && vio_drvq_broken(&d->q) == broken(d));
}

static inline void blame(struct driver_side *d, enum vio_fault_kind kind, uint32_t index, uint64_t value)
{
	d->fault = (struct vio_fault){ kind, 0, index, value };
}

static inline int expected_add(const struct driver_side *d, struct request *r)
{
	uint64_t total = 0, writable = 0;

	r->descriptors = d->indirect && r->count > 1 && r->count <= INDIRECT_MAX ? 1 : r->count;
	if (broken(d))
		return -VIO_EPEER;
	if (!r->count || r->count > d->size)
		return -VIO_EINVAL;
	for (unsigned i = 0; i < r->count; i++) {
		if (!r->sg[i].length)
			return -VIO_EINVAL;
		total += r->sg[i].length;
		writable += i >= r->readable ? r->sg[i].length : 0;
	}
	if (total > UINT64_C(1) << 32)
		return -VIO_EINVAL;
	r->writable = writable > UINT32_MAX ? UINT32_MAX : (uint32_t)writable;
	return r->descriptors > d->free_count ? -VIO_ENOSPC : 0;
}

/* Adds a buffer, which has to be taken or refused as expected; whether it was taken. */
static inline bool add_as_expected(struct driver_side *d, struct request *r)
{
	static const uint32_t lengths[] = { 16, 1, 4096, 0, UINT32_MAX, 0x80000000u };
	uint8_t counts = fuzz_u8(d->input);
	int expected;

	*r = (struct request){ .token = &d->tokens[d->tokens_next++ % sizeof(d->tokens)],
			       .readable = counts % 4,
			       .count = counts % 4 + counts / 16 % 6 };
	for (unsigned i = 0; i < r->count; i++) {
		uint8_t which = fuzz_u8(d->input);

		r->sg[i].addr = vio_addr_make(0x100000 + 0x1000 * i + which);
		r->sg[i].length = lengths[which < 200 ? which % 3 : which % VIO_ARRAY_SIZE(lengths)];
	}
	expected = expected_add(d, r);
	FUZZ_CHECK(vio_drvq_add(&d->q, r->sg, r->readable, r->count - r->readable, r->token) == expected);
	if (expected)
		return false;
	d->free_count -= r->descriptors;
	d->in_flight++;
	return true;
}

/* Gets, which has to give this buffer, or nothing when it is NULL. */
static inline void get_as_expected(struct driver_side *d, const struct request *r, uint32_t length)
{
	uint32_t written = 0;
	void *token = vio_drvq_get(&d->q, &written);

	FUZZ_CHECK(token == (r ? r->token : NULL));
	fuzz_note(d->input, d->fault.kind);
	if (!r)
		return;
	FUZZ_CHECK(written == length);
	fuzz_note(d->input, length);
	d->free_count += r->descriptors;
	d->in_flight--;
	d->shown--;
}

static inline void notify_device(void *context, struct vio_drvq *q)
{
	struct driver_side *d = context;

	FUZZ_CHECK(q == &d->q);
	d->notified++;
}

/* Begins a new life, in which nothing is out. */
static inline void start_side(struct driver_side *d, unsigned size, uint64_t features)
{
	struct vio_drvq_config config = {
		.size = (uint16_t)size,
		.ring = { d->ring, vio_addr_make(RING) },
		.storage = d->storage,
		.context = d,
		.notify_device = notify_device,
		.features = vio_features_low(features | UINT64_C(1) << VIRTIO_F_VERSION_1),
	};

	FUZZ_CHECK(d->in_flight == 0);
	d->event_idx = vio_features_has(&config.features, VIRTIO_F_EVENT_IDX);
	d->indirect = vio_features_has(&config.features, VIRTIO_F_INDIRECT_DESC);
	d->in_order = vio_features_has(&config.features, VIRTIO_F_IN_ORDER);
	if (d->indirect) {
		config.indirect = (struct vio_shared){ d->tables, vio_addr_make(TABLES) };
		config.indirect_max = INDIRECT_MAX;
	}
	FUZZ_CHECK(vio_drvq_start(&d->q, &config) == 0);
	d->size = size;
	d->free_count = size;
	d->shown = 0;
	blame(d, VIO_FAULT_NONE, 0, 0);
	check_account(d);
}

static inline void open_side(struct driver_side *d, struct fuzz_input *input)
{
	static _Alignas(64) uint8_t ring[RING_BYTES];
	static _Alignas(16) uint8_t tables[TABLE_BYTES], storage[STORAGE_BYTES];

	FUZZ_CHECK(vio_drvq_ring_bytes(SIZE_MAX_ENTRIES) <= RING_BYTES);
	FUZZ_CHECK(vio_drvq_storage_bytes(SIZE_MAX_ENTRIES) <= STORAGE_BYTES);
	memset(tables, 0, sizeof(tables));
	d->input = input;
	d->ring = ring;
	d->tables = tables;
	d->storage = storage;
}

#endif
