/* SPDX-License-Identifier: BSD-3-Clause */
#include <vireo/devq.h>
#include <vireo/spec/virtio_ring.h>

#include "base/atomic.h"
#include "memory/span.h"
#include "ring/split.h"

#define CHAIN_BYTES_MAX (UINT64_C(1) << 32)

/* One descriptor, copied out of shared memory; all judging is done on the copy. */
struct descriptor {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

/* A walk along one buffer's descriptors. */
struct walk {
	struct vio_devq *q;
	struct vio_span *spans; /* spans_max of them; readable ones first */
	unsigned count;         /* in use */
	unsigned readable;      /* of those */
	unsigned descriptors;   /* that carried a buffer, direct and indirect */
	uint64_t readable_bytes, writable_bytes;
	bool truncated;
};

static bool fault(struct vio_devq *q, enum vio_fault_kind kind, uint32_t index, uint64_t value)
{
	q->fault = (struct vio_fault){ kind, q->index, index, value };
	return false;
}

static inline struct descriptor descriptor_load(const struct virtq_desc *from)
{
	return (struct descriptor){
		.addr = vio_load_le64(&from->addr),
		.len = vio_load_le32(&from->len),
		.flags = vio_load_le16(&from->flags),
		.next = vio_load_le16(&from->next),
	};
}

/*
 * Appends one span. When there is no room it takes the last place, so that the
 * last byte of the buffer, where a status may lie, can always be found.
 */
static inline void walk_append(struct walk *walk, struct vio_span span, bool writable)
{
	unsigned max = walk->q->spans_max;

	if (walk->count == max) {
		walk->truncated = true;
		walk->count--;
		if (walk->readable > walk->count)
			walk->readable--;
	}
	walk->spans[walk->count++] = span;
	if (!writable)
		walk->readable++;
}

/* A descriptor that crosses regions or begins another: rare, so in pieces rather than with room for many. */
static bool walk_memory_slowly(struct walk *walk, const struct descriptor *d, unsigned access)
{
	struct vio_devq *q = walk->q;
	uint64_t at = d->addr, left = d->len;

	while (left) {
		struct vio_span span;
		uint64_t piece = left;
		int found;

		while ((found = vio_mem_resolve(q->mem, &q->mem_hint, vio_addr_make(at), piece, access, &span,
						1)) == -VIO_ENOSPC)
			piece = span.length; /* the first region's part, which did fit */
		if (found < 0)
			return false;
		walk_append(walk, span, access == VIO_MEM_WRITE);
		at += piece;
		left -= piece;
	}
	return true;
}

static inline bool walk_memory(struct walk *walk, const struct descriptor *d, unsigned access)
{
	struct vio_devq *q = walk->q;
	struct vio_span span;

	if (!d->len || !mem_resolve_hit(q->mem, q->mem_hint, d->addr, d->len, access, &span))
		return walk_memory_slowly(walk, d, access);
	walk_append(walk, span, access == VIO_MEM_WRITE);
	return true;
}

/* Takes the buffer of one descriptor. `index` is only for the fault. */
static inline __attribute__((always_inline)) bool walk_element(struct walk *walk, const struct descriptor *d,
							       uint32_t index)
{
	struct vio_devq *q = walk->q;
	bool writable = d->flags & VIRTQ_DESC_F_WRITE;

	if (++walk->descriptors > q->size)
		return fault(q, VIO_FAULT_CHAIN_LOOP, index, walk->descriptors); /* hostile: A1 A2 A9 */
	if (!writable && walk->writable_bytes)
		return fault(q, VIO_FAULT_READ_AFTER_WRITE, index, d->flags); /* hostile: A25 */
	if (writable)
		walk->writable_bytes += d->len;
	else
		walk->readable_bytes += d->len;
	if (walk->readable_bytes + walk->writable_bytes > CHAIN_BYTES_MAX)
		return fault(q, VIO_FAULT_CHAIN_LENGTH, index, walk->readable_bytes + walk->writable_bytes);
	/* hostile: A13 A15 A16 A18 A19 A21; an element of no bytes names no memory (A10 A12). */
	if (!walk_memory(walk, d, writable ? VIO_MEM_WRITE : VIO_MEM_READ))
		return fault(q, VIO_FAULT_BUFFER_MEMORY, index, d->addr);
	return true;
}

/*
 * A table that lies in one piece of host memory is read in place; one that
 * crosses regions (hostile: A42) is looked up descriptor by descriptor.
 */
static const struct virtq_desc *table_entry(struct vio_devq *q, const struct virtq_desc *table,
					    const struct descriptor *d, unsigned index,
					    struct virtq_desc *copy)
{
	uint8_t *to = (uint8_t *)copy;
	struct vio_span spans[2];
	int count, i;
	size_t byte;

	if (table)
		return &table[index];
	count = vio_mem_resolve(q->mem, &q->mem_hint, vio_addr_make(d->addr + 16ull * index), 16,
				VIO_MEM_READ, spans, 2);
	for (i = 0; i < count; i++)
		for (byte = 0; byte < spans[i].length; byte++)
			*to++ = *(volatile uint8_t *)&spans[i].host[byte];
	return count > 0 ? copy : NULL;
}

/* spec: DEV-SPLIT-005, the WRITE flag of `d` says nothing. */
static bool walk_table(struct walk *walk, const struct descriptor *d, uint16_t index)
{
	struct vio_devq *q = walk->q;
	unsigned entries = d->len / 16, at = 0, visited;
	const struct virtq_desc *table = NULL;
	struct virtq_desc copy;
	struct vio_span span;
	int found;

	if (!q->indirect)
		return fault(q, VIO_FAULT_INDIRECT_REFUSED, index, d->flags); /* hostile: A34 */
	if (d->flags & VIRTQ_DESC_F_NEXT)
		return fault(q, VIO_FAULT_INDIRECT_NEXT, index, d->flags); /* hostile: A35 A49 */
	if (!entries || d->len % 16 || entries > q->size)
		return fault(q, VIO_FAULT_INDIRECT_LENGTH, index, d->len); /* hostile: A37 A40 */
	found = vio_mem_resolve(q->mem, &q->mem_hint, vio_addr_make(d->addr), d->len, VIO_MEM_READ, &span, 1);
	if (found == -VIO_EACCES)
		return fault(q, VIO_FAULT_INDIRECT_MEMORY, index, d->addr); /* hostile: A41 */
	if (found == 1 && !((uintptr_t)span.host % _Alignof(struct virtq_desc)))
		table = (const struct virtq_desc *)(const void *)span.host;

	for (visited = 0; visited < entries; visited++) {
		const struct virtq_desc *entry = table_entry(q, table, d, at, &copy);
		struct descriptor e;

		if (!entry)
			return fault(q, VIO_FAULT_INDIRECT_MEMORY, index, d->addr);
		e = descriptor_load(entry);
		if (e.flags & VIRTQ_DESC_F_INDIRECT)
			return fault(q, VIO_FAULT_INDIRECT_NESTED, at, e.flags); /* hostile: A36 */
		if (!walk_element(walk, &e, at))
			return false;
		if (!(e.flags & VIRTQ_DESC_F_NEXT))
			return true;
		if (e.next >= entries)
			return fault(q, VIO_FAULT_NEXT_RANGE, at, e.next); /* hostile: A46 */
		at = e.next;
	}
	return fault(q, VIO_FAULT_CHAIN_LOOP, at, visited); /* hostile: A45 */
}

static bool walk_chain(struct walk *walk, uint16_t head)
{
	struct vio_devq *q = walk->q;
	uint16_t at = head;
	unsigned visited;

	for (visited = 0; visited < q->size; visited++) {
		struct descriptor d = descriptor_load(&q->desc[at]);

		if (d.flags & VIRTQ_DESC_F_INDIRECT) /* spec: DEV-SPLIT-006; hostile: A48 */
			return walk_table(walk, &d, at);
		if (!walk_element(walk, &d, at))
			return false;
		if (!(d.flags & VIRTQ_DESC_F_NEXT))
			return true;
		if (d.next >= q->size)
			return fault(q, VIO_FAULT_NEXT_RANGE, at, d.next); /* hostile: A4 A5 */
		at = d.next;
	}
	return fault(q, VIO_FAULT_CHAIN_LOOP, at, visited);
}

static inline bool head_busy(const struct vio_devq *q, uint16_t head)
{
	return q->busy[head / 8] >> (head % 8) & 1;
}

static inline void head_flip(struct vio_devq *q, uint16_t head)
{
	q->busy[head / 8] ^= (uint8_t)(1u << (head % 8));
}

/* Looks at the driver's idx again; true when there is something new, false with or without a fault. */
static bool avail_refresh(struct vio_devq *q)
{
	/* Pairs with the release in vio_drvq_kick_prepare(): what the index covers is visible now. */
	uint16_t idx = vio_load_acquire_le16(&q->avail->idx);

	if ((uint16_t)(idx - q->avail_next) > q->size)
		return fault(q, VIO_FAULT_AVAIL_IDX, 0, idx); /* hostile: A52 A53 A54 */
	q->avail_seen = idx;
	return idx != q->avail_next;
}

static void kicks_ask(struct vio_devq *q)
{
	if (q->event_idx)
		vio_store_le16(split_avail_event(q->used, q->size), q->avail_next);
	else if (q->kicks_off)
		vio_store_le16(&q->used->flags, 0);
	q->kicks_off = false;
}

static void kicks_refuse(struct vio_devq *q)
{
	/* With EVENT_IDX an event index that lies behind says it, and flags stay 0 (spec: DEV-SPLIT-016). */
	if (!q->event_idx && !q->kicks_off)
		vio_store_le16(&q->used->flags, VIRTQ_USED_F_NO_NOTIFY);
	q->kicks_off = true;
}

bool vio_devq_enable_kick(struct vio_devq *q)
{
	q->polling = false;
	if (!q->running || vio_devq_broken(q))
		return true;
	kicks_ask(q);
	/* Pairs with the one in vio_drvq_kick_prepare(): we see its idx or it sees that we ask. */
	vio_full_barrier();
	return !avail_refresh(q);
}

void vio_devq_disable_kick(struct vio_devq *q)
{
	q->polling = true;
	if (q->running && !vio_devq_broken(q))
		kicks_refuse(q);
}

/* True when there is an entry to take. Before it says false the driver is asked to kick. */
static bool avail_some(struct vio_devq *q)
{
	if (q->avail_next != q->avail_seen || avail_refresh(q))
		return true;
	if (vio_devq_broken(q) || q->polling)
		return false;
	return !vio_devq_enable_kick(q);
}

bool vio_devq_pop(struct vio_devq *q, struct vio_buf *buf)
{
	struct walk walk = { .q = q };
	uint16_t head, slot;
	uint32_t entry;

	if (!q->running || vio_devq_broken(q) || !q->budget || !avail_some(q))
		return false;
	if (!q->kicks_off)
		kicks_refuse(q);
	entry = q->avail_next & (q->size - 1u);
	head = vio_load_le16(&q->avail->ring[entry]);
	if (head >= q->size)
		return fault(q, VIO_FAULT_HEAD_RANGE, entry, head); /* hostile: A6 A7 */
	if (head_busy(q, head))
		return fault(q, VIO_FAULT_HEAD_BUSY, entry, head); /* hostile: A56 A57 */

	/* Fewer than `size` heads are busy, so a slot is free. */
	slot = q->slots[q->size - 1 - q->in_flight];
	walk.spans = q->spans + (size_t)slot * q->spans_max;
	if (!walk_chain(&walk, head))
		return false;
	head_flip(q, head);
	q->in_flight++;
	q->avail_next++;
	if (q->budget != VIO_DEVQ_NO_BUDGET)
		q->budget--;
	*buf = (struct vio_buf){
		.readable = walk.spans,
		.writable = walk.spans + walk.readable,
		.readable_count = (uint16_t)walk.readable,
		.writable_count = (uint16_t)(walk.count - walk.readable),
		.head = head,
		.slot = slot,
		.generation = q->generation,
		.readable_bytes = walk.readable_bytes,
		.writable_bytes = walk.writable_bytes,
		.writable_limit =
			walk.writable_bytes > UINT32_MAX ? UINT32_MAX : (uint32_t)walk.writable_bytes,
		.request = q->requests + (size_t)slot * q->request_stride,
		.truncated = walk.truncated,
	};
	return true;
}

/* Frees what the buffer held. false: it belongs to an earlier life of the queue. */
static bool buffer_release(struct vio_devq *q, const struct vio_buf *buf)
{
	if (!q->running || buf->generation != q->generation)
		return false;
	head_flip(q, buf->head);
	q->in_flight--;
	q->slots[q->size - 1 - q->in_flight] = buf->slot;
	return true;
}

void vio_devq_unpop(struct vio_devq *q, const struct vio_buf *buf)
{
	if (!buffer_release(q, buf))
		return;
	q->avail_next--;
	if (q->budget != VIO_DEVQ_NO_BUDGET)
		q->budget++;
}

void vio_devq_push(struct vio_devq *q, const struct vio_buf *buf, uint32_t written)
{
	struct virtq_used_elem *elem;

	if (!buffer_release(q, buf) || vio_devq_broken(q))
		return;
	if (written > buf->writable_limit)
		written = buf->writable_limit; /* hostile: A133, a device that boasts */
	elem = &q->used->ring[q->used_next & (q->size - 1u)];
	vio_store_le32(&elem->id, buf->head);
	vio_store_le32(&elem->len, written); /* spec: DEV-SPLIT-013 */
	q->used_next++;
}

void vio_devq_notify(struct vio_devq *q)
{
	uint16_t before = q->used_visible;
	bool wanted;

	if (!q->running || before == q->used_next || vio_devq_broken(q))
		return;
	/* Pairs with the acquire in used_refresh() of the driver: entries and payload before idx. */
	vio_store_release_le16(&q->used->idx, q->used_next); /* spec: DEV-SPLIT-014 */
	q->used_visible = q->used_next;
	/* Pairs with the one in vio_drvq_enable_cb(): either it sees idx or we see that it wants to hear. */
	vio_full_barrier();
	if (q->event_idx) /* spec: DEV-SPLIT-010 DEV-SPLIT-011 DEV-SPLIT-012 */
		wanted = split_event_passed(vio_load_le16(split_used_event(q->avail, q->size)), q->used_next,
					    before);
	else /* spec: DEV-SPLIT-007 DEV-SPLIT-008 DEV-SPLIT-009 */
		wanted = !(vio_load_le16(&q->avail->flags) & VIRTQ_AVAIL_F_NO_INTERRUPT);
	if (wanted)
		q->interrupt(q->interrupt_context, q);
}
