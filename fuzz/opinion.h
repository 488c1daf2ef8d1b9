/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_FUZZ_OPINION_H
#define VIREO_FUZZ_OPINION_H

#include <string.h>

#include <vireo/devq.h>
#include <vireo/spec/virtio_ring.h>

#include "input.h"

/*
 * What the targets of a device's queue share: memory of a few regions, and the second opinion of
 * a slow walker that was written from the rules alone, which says of each pop whether there is a
 * buffer, which bytes it has, or which fault it is, to the last value.
 */
#define SIZE_MAX_ENTRIES 8u
#define SPANS            3u
#define ELEMENTS_MAX     (2 * SIZE_MAX_ENTRIES)
#define HELD_MAX         SIZE_MAX_ENTRIES
#define STORAGE_BYTES    1024u

#define PAGE    UINT64_C(0x1000)
#define RING    UINT64_C(0x10000)
#define LOW     UINT64_C(0x20000) /* three regions in a row: LOW and NEXT are neighbours in the host, too */
#define NEXT    UINT64_C(0x21000)
#define APART   UINT64_C(0x22000)
#define ROM     UINT64_C(0x30000)
#define TOP     UINT64_C(0xfffffffffffff000) /* 0xfff bytes */
#define REGIONS 6u
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

struct shared {
	uint8_t *pages; /* of all regions, one each */
	struct vio_region regions[REGIONS], table[REGIONS];
	struct vio_mem mem;
	uint16_t size; /* of the queue */
};

FUZZ_UNSEEN static inline uint8_t *host_at(struct shared *w, uint64_t addr, unsigned access)
{
	for (unsigned i = 0; i < REGIONS; i++) {
		const struct vio_region *region = &w->regions[i];

		if (addr >= region->base.raw && addr - region->base.raw < region->size)
			return (region->rights & access) == access ? region->host + (addr - region->base.raw)
								   : NULL;
	}
	return NULL;
}

FUZZ_UNSEEN static inline bool all_there(struct shared *w, uint64_t addr, uint64_t len, unsigned access)
{
	/* No region is shorter than a page but the last, so looking at a few points is enough. */
	for (uint64_t at = 0; at < len; at += PAGE / 2)
		if (addr + at < addr || !host_at(w, addr + at, access))
			return false;
	return !len || (addr + (len - 1) >= addr && host_at(w, addr + (len - 1), access));
}

FUZZ_UNSEEN static inline uint64_t load(struct shared *w, uint64_t addr, unsigned bytes)
{
	const uint8_t *last = host_at(w, addr + bytes - 1, VIO_MEM_READ);
	const uint8_t *first = host_at(w, addr, VIO_MEM_READ);
	const bool contiguous = last - first == (ptrdiff_t)bytes - 1;
	uint64_t value = 0;

	while (bytes--)
		value = value << 8 | *(contiguous ? first + bytes : host_at(w, addr + bytes, VIO_MEM_READ));
	return value;
}

static inline bool say(struct opinion *opinion, enum vio_fault_kind kind, uint32_t index, uint64_t value)
{
	opinion->fault = (struct vio_fault){ kind, 3, index, value };
	return false;
}

/* One element, whether it stands in the ring or in a table. */
static inline bool judge_memory(struct shared *w, struct opinion *o, const struct element *e, uint64_t flags,
				uint32_t index)
{
	if (o->count == w->size)
		return say(o, VIO_FAULT_CHAIN_LOOP, index, w->size + 1u);
	o->elements[o->count++] = *e;
	if (!e->writable && o->bytes[1])
		return say(o, VIO_FAULT_READ_AFTER_WRITE, index, flags);
	o->bytes[e->writable] += e->len;
	if (o->bytes[0] + o->bytes[1] > UINT64_C(1) << 32)
		return say(o, VIO_FAULT_CHAIN_LENGTH, index, o->bytes[0] + o->bytes[1]);
	if (!all_there(w, e->addr, e->len, e->writable ? VIO_MEM_WRITE : VIO_MEM_READ))
		return say(o, VIO_FAULT_BUFFER_MEMORY, index, e->addr);
	return true;
}

/* A table, but for what is in it; false with a fault. */
static inline bool judge_table_itself(struct shared *w, struct opinion *o, bool indirect, uint64_t addr,
				      uint64_t len, uint64_t flags, uint32_t index)
{
	if (!indirect)
		return say(o, VIO_FAULT_INDIRECT_REFUSED, index, flags);
	if (flags & VIRTQ_DESC_F_NEXT)
		return say(o, VIO_FAULT_INDIRECT_NEXT, index, flags);
	if (!len || len % 16 || len / 16 > w->size)
		return say(o, VIO_FAULT_INDIRECT_LENGTH, index, len);
	if (!all_there(w, addr, len, VIO_MEM_READ))
		return say(o, VIO_FAULT_INDIRECT_MEMORY, index, addr);
	return true;
}

FUZZ_UNSEEN static inline void compare_last(struct shared *w, const struct opinion *o,
					    const struct vio_span *span)
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
FUZZ_UNSEEN static inline void compare_bytes(struct shared *w, const struct opinion *o,
					     const struct vio_buf *buf)
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

FUZZ_UNSEEN static inline void store(struct shared *w, uint64_t addr, uint64_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++) {
		uint8_t *at = host_at(w, addr + i, VIO_MEM_READ);

		if (at)
			*at = (uint8_t)(value >> (8 * i));
	}
}

/* Pages 3 and 4 are neighbours; 1 lies in front of them, so that APART doesn't follow NEXT. */
static inline void open_shared(struct shared *w)
{
	static const struct {
		uint64_t base, size;
		unsigned page, rights;
	} regions[REGIONS] = {
		{ RING, PAGE, 0, VIO_MEM_READ | VIO_MEM_WRITE },
		{ APART, PAGE, 1, VIO_MEM_READ | VIO_MEM_WRITE },
		{ LOW, PAGE, 3, VIO_MEM_READ | VIO_MEM_WRITE },
		{ NEXT, PAGE, 4, VIO_MEM_READ | VIO_MEM_WRITE },
		{ ROM, PAGE, 6, VIO_MEM_READ },
		{ TOP, PAGE - 1, 2, VIO_MEM_READ | VIO_MEM_WRITE },
	};
	static _Alignas(64) uint8_t pages[7 * PAGE];

	memset(pages, 0, sizeof(pages));
	w->pages = pages;
	vio_mem_init(&w->mem, w->table, REGIONS);
	for (unsigned i = 0; i < REGIONS; i++) {
		w->regions[i] = (struct vio_region){ vio_addr_make(regions[i].base), regions[i].size,
						     pages + regions[i].page * PAGE, regions[i].rights };
		FUZZ_CHECK(vio_mem_add(&w->mem, &w->regions[i]) == 0);
	}
}

#endif
