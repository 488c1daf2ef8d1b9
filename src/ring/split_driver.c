/* SPDX-License-Identifier: BSD-3-Clause */
#include <vireo/spec/virtio_ring.h>

#include "ring/driver.h"
#include "ring/split.h"

/*
 * The driver's side of a split ring. With VIRTIO_F_IN_ORDER descriptors are taken and given back
 * in a circle instead of from a list.
 */

static inline uint16_t split_mask(const struct vio_drvq *q)
{
	return (uint16_t)(q->size - 1u);
}

void vio_drvq_split_start(struct vio_drvq *q)
{
	uint16_t size = q->size, i;

	for (i = 0; i < size; i++) /* spec: DRV-SPLIT-007 */
		q->shadow[i].next = i + 1u < size          ? (uint16_t)(i + 1)
				    : vio_drvq_in_order(q) ? 0
							   : VIO_DRVQ_LIST_END;
}

static inline void split_store(struct virtq_desc *to, const struct vio_sg *sg, unsigned flags, unsigned next)
{
	vio_store_le64(&to->addr, sg->addr.raw);
	vio_store_fields64(&to->len, sg->length | (uint64_t)flags << 32 | (uint64_t)next << 48);
}

/* Takes descriptors for a buffer; all of them have `flags`. */
static inline void split_fill(struct vio_drvq *q, const struct vio_sg *sg, unsigned readable, unsigned count,
			      unsigned flags)
{
	uint16_t head = q->free_head, at = head, last = head;
	unsigned i;

	for (i = 0; i < count; i++) { /* spec: DRV-SPLIT-004 */
		uint16_t next = q->shadow[at].next;

		split_store(&q->desc[at], &sg[i],
			    flags | (i >= readable ? VIRTQ_DESC_F_WRITE : 0u) |
				    (i + 1 < count ? VIRTQ_DESC_F_NEXT : 0u),
			    i + 1 < count ? next : 0);
		last = at;
		at = next;
	}
	q->free_head = at;
	q->shadow[head].split.last = last;
	q->shadow[head].count = (uint16_t)count;
}

/* One descriptor that points to a table of all elements. Apart, so that others pay nothing for it. */
static __attribute__((noinline)) void split_add_indirect(struct vio_drvq *q, const struct vio_sg *sg,
							 unsigned readable, unsigned count)
{
	size_t offset = (size_t)q->free_head * q->indirect_max * sizeof(struct virtq_desc);
	struct virtq_desc *table = (struct virtq_desc *)(void *)((uint8_t *)q->indirect.host + offset);
	struct vio_sg all = { vio_addr_make(q->indirect.addr.raw + offset), count * 16 };
	unsigned i;

	for (i = 0; i < count; i++) /* spec: DRV-SPLIT-009 DRV-SPLIT-012 */
		split_store(&table[i], &sg[i],
			    (i >= readable ? VIRTQ_DESC_F_WRITE : 0u) |
				    (i + 1 < count ? VIRTQ_DESC_F_NEXT : 0u),
			    i + 1 < count ? i + 1 : 0);
	split_fill(q, &all, 1, 1, VIRTQ_DESC_F_INDIRECT); /* spec: DRV-SPLIT-011 */
}

static __attribute__((noinline)) int split_add(struct vio_drvq *q, const struct vio_sg *sg, unsigned readable,
					       unsigned writable, void *token)
{
	unsigned count = readable + writable, slot;
	uint32_t writable_bytes;
	int error = vio_drvq_judge(q, sg, readable, writable, token, &writable_bytes);
	uint16_t head = q->free_head;
	struct vio_drvq_shadow *shadow;

	if (error)
		return error;
	if (vio_drvq_room_for(q, count) < count)
		split_add_indirect(q, sg, readable, count);
	else
		split_fill(q, sg, readable, count, 0);
	shadow = &q->shadow[head];
	q->free_count = (uint16_t)(q->free_count - shadow->count);
	q->in_flight++;
	shadow->token = token;
	shadow->writable = writable_bytes;
	shadow->split.avail_idx = q->avail_next;
	slot = q->avail_next & split_mask(q);
	vio_store_le16(&q->avail->ring[slot], head);
	q->shadow[slot].split.ring = head;
	q->avail_next++;
	return 0;
}

/*
 * The common way for many: adds buffers of one element as long as nothing else comes; how many. It keeps
 * what it needs of the queue in registers, which a compiler can't do across stores to the ring.
 */
static inline unsigned split_add_singles(struct vio_drvq *q, const struct vio_drvq_buffer *buffers,
					 unsigned count)
{
	const unsigned mask = split_mask(q);
	struct virtq_desc *const desc = q->desc;
	struct virtq_avail *const avail = q->avail;
	struct vio_drvq_shadow *const shadow = q->shadow;
	uint16_t head = q->free_head, next = q->avail_next;
	unsigned i;

	if (vio_drvq_broken(q))
		return 0;
	if (count > q->free_count)
		count = q->free_count;
	for (i = 0; i < count && vio_drvq_is_single(&buffers[i]); i++) {
		const struct vio_sg *sg = buffers[i].sg;
		const unsigned writable = buffers[i].writable, slot = next & mask;
		struct vio_drvq_shadow *of = &shadow[head];

		split_store(&desc[head], sg, writable * VIRTQ_DESC_F_WRITE, 0);
		vio_store_le16(&avail->ring[slot], head);
		of->token = buffers[i].token;
		of->writable = writable ? sg->length : 0;
		of->count = 1;
		of->split.last = head;
		of->split.avail_idx = next++;
		shadow[slot].split.ring = head;
		head = of->next;
	}
	q->free_head = head;
	q->avail_next = next;
	q->free_count = (uint16_t)(q->free_count - i);
	q->in_flight = (uint16_t)(q->in_flight + i);
	return i;
}

int vio_drvq_split_add(struct vio_drvq *q, const struct vio_sg *sg, unsigned readable, unsigned writable,
		       void *token)
{
	const struct vio_drvq_buffer buffer = { sg, readable, writable, token };
	struct vio_drvq_shadow *of;
	uint16_t head, next;

	if (VIO_DRVQ_SMALL || !vio_drvq_is_single(&buffer) || !q->free_count || vio_drvq_broken(q))
		return split_add(q, sg, readable, writable, token);
	head = q->free_head;
	next = q->avail_next;
	of = &q->shadow[head];
	q->free_head = of->next;
	q->avail_next = (uint16_t)(next + 1);
	q->free_count--;
	q->in_flight++;
	of->token = token;
	of->writable = writable ? sg->length : 0;
	of->count = 1;
	of->split.last = head;
	of->split.avail_idx = next;
	next &= split_mask(q);
	q->shadow[next].split.ring = head;
	split_store(&q->desc[head], sg, writable * VIRTQ_DESC_F_WRITE, 0);
	vio_store_le16(&q->avail->ring[next], head);
	return 0;
}

int vio_drvq_split_add_many(struct vio_drvq *q, const struct vio_drvq_buffer *buffers, unsigned count)
{
	unsigned i;
	int error;

	for (i = split_add_singles(q, buffers, count); i < count;
	     i += split_add_singles(q, &buffers[i], count - i)) {
		const struct vio_drvq_buffer *b = &buffers[i];

		error = split_add(q, b->sg, b->readable, b->writable, b->token);
		if (error)
			return i ? (int)i : error;
		i++;
	}
	return (int)count;
}

void vio_drvq_split_publish(struct vio_drvq *q)
{
	/* Pairs with the acquire of the device's look at idx: descriptors and entries before it. */
	vio_drvq_before_release(q);
	vio_store_release_le16(&q->avail->idx, q->avail_next); /* spec: DRV-SPLIT-013 DRV-SPLIT-026 */
	q->avail_visible = q->avail_next;
}

bool vio_drvq_split_kick_prepare(struct vio_drvq *q)
{
	uint16_t before = q->avail_visible;

	vio_drvq_split_publish(q);
	/* Pairs with the one in vio_devq_enable_kick(): the device sees idx or we see that it asks. */
	vio_drvq_full_barrier(q); /* spec: DRV-SPLIT-027 */
	if (q->event_idx)         /* spec: DRV-SPLIT-023 DRV-SPLIT-024 DRV-SPLIT-025 */
		return split_event_passed(vio_load_le16(split_avail_event(q->used, q->size)), q->avail_next,
					  before);
	/* spec: DRV-SPLIT-020 DRV-SPLIT-021 DRV-SPLIT-022 */
	return !(vio_load_le16(&q->used->flags) & VIRTQ_USED_F_NO_NOTIFY);
}

static inline uint16_t split_used_idx(const struct vio_drvq *q)
{
	/* Pairs with the release in vio_devq_notify(): entries and payload are visible with idx. */
	uint16_t idx = vio_load_acquire_le16(&q->used->idx);

	vio_drvq_after_acquire(q);
	return idx;
}

bool vio_drvq_split_pending(const struct vio_drvq *q)
{
	return q->used_next != q->used_seen || split_used_idx(q) != q->used_next;
}

/* Buffers in flight that the device can see. */
static inline uint16_t split_shown_count(const struct vio_drvq *q)
{
	return (uint16_t)(q->in_flight - (uint16_t)(q->avail_next - q->avail_visible));
}

void vio_drvq_split_disable_cb(struct vio_drvq *q)
{
	/* With EVENT_IDX the event index lies behind soon enough. */
	if (!q->event_idx)
		vio_store_le16(&q->avail->flags, VIRTQ_AVAIL_F_NO_INTERRUPT);
}

static void split_ask(struct vio_drvq *q, uint16_t event)
{
	if (q->event_idx) /* spec: DRV-SPLIT-015, flags stay 0 */
		vio_store_le16(split_used_event(q->avail, q->size), event);
	else
		vio_store_le16(&q->avail->flags, 0); /* spec: DRV-SPLIT-014 */
	q->event = event;
	/* Pairs with the one in vio_devq_notify(): we see its idx or it sees that we want to hear. */
	vio_drvq_full_barrier(q);
}

bool vio_drvq_split_enable_cb(struct vio_drvq *q, bool delayed)
{
	/* Without EVENT_IDX the first used buffer interrupts; asking for less isn't possible. */
	uint16_t wait = delayed && q->event_idx ? (uint16_t)(split_shown_count(q) * 3u / 4) : 0;

	split_ask(q, (uint16_t)(q->used_next + wait));
	return (uint16_t)(split_used_idx(q) - q->used_next) <= wait;
}

/* Whether the device has used something: its idx, if that isn't a lie. */
static bool split_look(struct vio_drvq *q)
{
	uint16_t idx = split_used_idx(q);

	if (idx == q->used_next)
		return false;
	/* It can't have used more than it was shown. */
	if ((uint16_t)(idx - q->used_next) > split_shown_count(q))
		return vio_drvq_fault(q, VIO_FAULT_USED_IDX, 0, idx); /* hostile: B13 B14 B15 */
	q->used_seen = idx;
	return true;
}

static inline bool split_any(struct vio_drvq *q)
{
	return q->used_next != q->used_seen || split_look(q);
}

/* The same, and when there is nothing, asks for the next interrupt and looks once more. */
static bool split_any_or_ask(struct vio_drvq *q)
{
	if (split_any(q))
		return true;
	/* As long as it stands at the same place, the device was asked and the barrier was had. */
	if (vio_drvq_broken(q) || !vio_drvq_asks(q) || q->event == q->used_next)
		return false;
	split_ask(q, q->used_next);
	return split_look(q);
}

/*
 * Whether a buffer in flight was shown to the device: it wasn't when it stands
 * between what is visible and what was added. Indices wrap while a slow buffer is
 * out, so the slot has to name it, too.
 */
static inline bool split_shown(const struct vio_drvq *q, uint16_t head)
{
	uint16_t idx = q->shadow[head].split.avail_idx;

	return (uint16_t)(idx - q->avail_visible) >= (uint16_t)(q->avail_next - q->avail_visible) ||
	       q->shadow[idx & split_mask(q)].split.ring != head;
}

static inline void *split_retire(struct vio_drvq *q, uint16_t head)
{
	struct vio_drvq_shadow *shadow = &q->shadow[head];

	if (!vio_drvq_in_order(q)) {
		q->shadow[shadow->split.last].next = q->free_head;
		q->free_head = head;
	}
	return vio_drvq_retire(q, shadow);
}

/* Whether what a used element says can be true. */
static inline bool split_judge_used(struct vio_drvq *q, uint32_t slot, uint32_t id, uint32_t *length)
{
	if (id >= q->size) {
		vio_drvq_fault(q, VIO_FAULT_USED_ID, slot, id); /* hostile: B1 B2 */
		return false;
	}
	if (!q->shadow[id].token || !split_shown(q, (uint16_t)id)) { /* hostile: B3 B4 B5 B7 */
		vio_drvq_fault(q, VIO_FAULT_USED_NOT_IN_FLIGHT, slot, id);
		return false;
	}
	return vio_drvq_length_legal(q, q->shadow[id].writable, slot, length);
}

/* What the next used element says, if it can be true. */
static inline bool split_read_used(struct vio_drvq *q, uint16_t *head, uint32_t *length)
{
	uint32_t slot = q->used_next & split_mask(q);
	uint32_t id = vio_load_le32(&q->used->ring[slot].id);

	*length = vio_load_le32(&q->used->ring[slot].len);
	*head = (uint16_t)id;
	return split_judge_used(q, slot, id, length);
}

/* The element stands for all buffers up to the one that it names, as long as idx goes that far. */
static bool split_read_batch(struct vio_drvq *q)
{
	uint16_t head, batch;

	if (!split_read_used(q, &head, &q->batch_length))
		return false;
	batch = (uint16_t)(q->shadow[head].split.avail_idx - q->used_next + 1);
	if (batch > (uint16_t)(q->used_seen - q->used_next)) /* hostile: B27 B28 */
		return vio_drvq_fault(q, VIO_FAULT_USED_NOT_IN_FLIGHT, q->used_next & split_mask(q), head);
	q->batch_left = batch;
	return true;
}

/* The next one of a batch. */
static void *split_take_in_order(struct vio_drvq *q, uint32_t *written)
{
	uint16_t head;

	if (!q->batch_left && !split_read_batch(q))
		return NULL;
	head = vio_drvq_behind(q, q->free_head);
	q->used_next++;
	if (written)
		*written = --q->batch_left ? q->shadow[head].writable : q->batch_length;
	else
		q->batch_left--;
	return split_retire(q, head);
}

/* There is something to take. NULL: it was a lie. */
static inline void *split_take(struct vio_drvq *q, uint32_t *written)
{
	uint32_t length;
	uint16_t head;

	if (vio_drvq_in_order(q))
		return split_take_in_order(q, written);
	if (!split_read_used(q, &head, &length))
		return NULL;
	q->used_next++;
	if (written)
		*written = length; /* spec: DRV-SPLIT-017 DRV-SPLIT-018 */
	return split_retire(q, head);
}

void *vio_drvq_split_get(struct vio_drvq *q, uint32_t *written, bool ask)
{
	if (vio_drvq_broken(q) || !(ask ? split_any_or_ask(q) : split_any(q)))
		return NULL;
	return split_take(q, written);
}

/*
 * Not in order: gets those that used_seen covers, up to `max`; how many, fewer only after a fault. What it
 * needs of the queue is kept where a compiler knows that no store changes it.
 */
static unsigned split_get_plain(struct vio_drvq *q, void **tokens, uint32_t *written, unsigned max)
{
	const struct virtq_used *const used = q->used;
	struct vio_drvq_shadow *const shadow = q->shadow;
	const uint16_t visible = q->avail_visible, hidden = (uint16_t)(q->avail_next - visible);
	const unsigned size = q->size, mask = size - 1;
	uint16_t next = q->used_next, free_head = q->free_head;
	unsigned freed = 0, count;

	for (count = 0; count < max; count++, next++) {
		const uint32_t id = vio_load_le32(&used->ring[next & mask].id);
		uint32_t length = vio_load_le32(&used->ring[next & mask].len);
		struct vio_drvq_shadow *of = &shadow[id < size ? id : 0];

		/* Plainly right, or right after all: what stands between is what split_shown() says. */
		if (__builtin_expect(id >= size || !of->token || length > of->writable ||
					     (uint16_t)(of->split.avail_idx - visible) < hidden,
				     0) &&
		    !split_judge_used(q, next & mask, id, &length))
			break;
		tokens[count] = of->token;
		if (written)
			written[count] = length; /* spec: DRV-SPLIT-017 */
		of->token = NULL;
		shadow[of->split.last].next = free_head;
		free_head = (uint16_t)id;
		freed += of->count;
	}
	q->used_next = next;
	q->free_head = free_head;
	q->free_count = (uint16_t)(q->free_count + freed);
	q->in_flight = (uint16_t)(q->in_flight - count);
	return count;
}

static unsigned split_get_in_order(struct vio_drvq *q, void **tokens, uint32_t *written, unsigned max)
{
	unsigned count;

	for (count = 0; count < max && split_any_or_ask(q); count++) {
		tokens[count] = split_take_in_order(q, written ? &written[count] : NULL);
		if (!tokens[count])
			break;
	}
	return count;
}

unsigned vio_drvq_split_get_many(struct vio_drvq *q, void **tokens, uint32_t *written, unsigned max)
{
	unsigned count = 0;

	if (vio_drvq_broken(q))
		return 0;
	if (vio_drvq_in_order(q))
		return split_get_in_order(q, tokens, written, max);
	/* Ends: each round gets something, or the queue broke and nothing is found any more. */
	while (count < max && !vio_drvq_broken(q) && split_any_or_ask(q)) {
		const unsigned seen = (uint16_t)(q->used_seen - q->used_next);

		count += split_get_plain(q, &tokens[count], written ? &written[count] : NULL,
					 seen < max - count ? seen : max - count);
	}
	return count;
}

void *vio_drvq_split_detach_unused(struct vio_drvq *q)
{
	/* The last one found is the first free one, so that the next search goes on from there. */
	uint16_t first = q->free_head == VIO_DRVQ_LIST_END ? 0 : q->free_head;
	uint16_t head = vio_drvq_in_order(q) ? vio_drvq_behind(q, q->free_head) : first;

	while (!q->shadow[head].token) /* there is one, as something is in flight */
		head = (head + 1) & split_mask(q);
	return split_retire(q, head);
}
