/* SPDX-License-Identifier: BSD-3-Clause */
#include <vireo/spec/virtio_ring.h>

#include "ring/driver.h"
#include "ring/packed.h"

/*
 * The driver's side of a packed ring. The flags of the first buffer that was added since the last
 * publication are held back; without them the device doesn't find those behind it either, whose
 * flags are in the ring already. So one release store shows a whole batch.
 *
 * A buffer id is taken from a list, or, with VIRTIO_F_IN_ORDER, is the offset of the buffer's
 * first descriptor: then the ids in flight can be told from the two positions.
 */

#if VIO_CONFIG_PACKED

static inline void packed_event_store(struct vio_drvq *q, uint16_t position, uint16_t flags)
{
	vio_store_fields32(q->driver_event, (uint32_t)flags << 16 | position);
}

void vio_drvq_packed_start(struct vio_drvq *q)
{
	uint16_t i;

	for (i = 0; i < q->size; i++)
		q->shadow[i].next = i + 1u < q->size ? (uint16_t)(i + 1) : VIO_DRVQ_LIST_END;
	q->avail_next = q->avail_visible = q->used_next = PVIRTQ_WRAP;
	/* With EVENT_IDX the first used buffer is asked for, as in a split ring that is all zeros. */
	q->event = PVIRTQ_WRAP;
	if (q->event_idx)
		packed_event_store(q, q->event, RING_EVENT_FLAGS_DESC);
}

/* All of a descriptor but its address, as it stands behind that. */
static inline uint64_t packed_rest(uint32_t length, uint16_t id, unsigned flags)
{
	return length | (uint64_t)id << 32 | (uint64_t)flags << 48;
}

/* Fills `id`'s table; returns what describes it. */
static struct vio_sg packed_fill_table(struct vio_drvq *q, const struct vio_sg *sg, unsigned readable,
				       unsigned count, uint16_t id)
{
	size_t offset = (size_t)id * q->indirect_max * sizeof(struct pvirtq_desc);
	struct pvirtq_desc *table = (struct pvirtq_desc *)(void *)((uint8_t *)q->indirect.host + offset);
	unsigned i;

	for (i = 0; i < count; i++) { /* spec: DRV-PACKED-012 */
		vio_store_le64(&table[i].addr, sg[i].addr.raw);
		vio_store_fields64(&table[i].len,
				   packed_rest(sg[i].length, 0, i >= readable ? VIRTQ_DESC_F_WRITE : 0));
	}
	return (struct vio_sg){ vio_addr_make(q->indirect.addr.raw + offset), count * 16 };
}

/*
 * Writes `count` descriptors from `position` on. The rest of the first is what makes them
 * available: it comes last, or, if it is `held` back, when the batch is published.
 */
static inline void packed_fill(struct vio_drvq *q, uint16_t position, const struct vio_sg *sg,
			       unsigned readable, unsigned count, uint16_t id, unsigned also, bool held)
{
	struct pvirtq_desc *ring = q->packed_desc, *head = &ring[packed_offset(position)];
	unsigned state = packed_avail_flags(position) | also, at = packed_offset(position), size = q->size, i;
	uint64_t first = packed_rest(sg[0].length, id,
				     state | (readable ? 0 : VIRTQ_DESC_F_WRITE) |
					     (count > 1 ? VIRTQ_DESC_F_NEXT : 0u));

	if (held)
		q->first_rest = first;
	vio_store_le64(&head->addr, sg[0].addr.raw);
	for (i = 1; i < count; i++) { /* spec: DRV-PACKED-007 DRV-PACKED-010 */
		if (++at == size) {
			at = 0;
			state ^= PACKED_STATE_FLAGS;
		}
		vio_store_le64(&ring[at].addr, sg[i].addr.raw);
		vio_store_fields64(&ring[at].len,
				   packed_rest(sg[i].length, id,
					       state | (i >= readable ? VIRTQ_DESC_F_WRITE : 0u) |
						       (i + 1 < count ? VIRTQ_DESC_F_NEXT : 0u)));
	}
	if (!held)
		vio_store_fields64(&head->len, first);
}

static inline int packed_add(struct vio_drvq *q, const struct vio_sg *sg, unsigned readable,
			     unsigned writable, void *token)
{
	unsigned count = readable + writable, room = vio_drvq_room_for(q, count);
	uint16_t position = q->avail_next, id = vio_drvq_in_order(q) ? packed_offset(position) : q->free_head;
	bool held = position == q->avail_visible;
	struct vio_drvq_shadow *shadow;
	struct vio_sg table;
	uint32_t writable_bytes;
	int error = vio_drvq_judge(q, sg, readable, writable, token, &writable_bytes);

	if (error)
		return error;
	shadow = &q->shadow[id];
	if (!vio_drvq_in_order(q))
		q->free_head = shadow->next;
	q->free_count = (uint16_t)(q->free_count - room);
	q->in_flight++;
	q->avail_next = packed_advance(position, (uint16_t)room, q->size);
	shadow->token = token;
	shadow->writable = writable_bytes;
	shadow->count = (uint16_t)room;
	shadow->shows = q->shows;
	if (room == count) {
		packed_fill(q, position, sg, readable, count, id, 0, held);
	} else { /* spec: DRV-PACKED-014 */
		table = packed_fill_table(q, sg, readable, count, id);
		packed_fill(q, position, &table, 1, 1, id, VIRTQ_DESC_F_INDIRECT, held);
	}
	return 0;
}

int vio_drvq_packed_add(struct vio_drvq *q, const struct vio_sg *sg, unsigned readable, unsigned writable,
			void *token)
{
	const struct vio_drvq_buffer buffer = { sg, readable, writable, token };
	const uint16_t position = q->avail_next, at = packed_offset(position);
	struct vio_drvq_shadow *of;
	uint64_t rest;
	uint16_t id;

	if (VIO_DRVQ_SMALL || !vio_drvq_is_single(&buffer) || !q->free_count || vio_drvq_broken(q) ||
	    vio_drvq_in_order(q))
		return packed_add(q, sg, readable, writable, token);
	id = q->free_head;
	of = &q->shadow[id];
	q->free_head = of->next;
	q->avail_next = packed_advance(position, 1, q->size);
	q->free_count--;
	q->in_flight++;
	of->token = token;
	of->writable = writable ? sg->length : 0;
	of->count = 1;
	of->shows = q->shows;
	rest = packed_rest(sg->length, id, packed_avail_flags(position) | writable * VIRTQ_DESC_F_WRITE);
	if (position == q->avail_visible)
		q->first_rest = rest;
	vio_store_le64(&q->packed_desc[at].addr, sg->addr.raw);
	if (position != q->avail_visible)
		vio_store_fields64(&q->packed_desc[at].len, rest);
	return 0;
}

/*
 * The common way for many: adds buffers of one element as long as nothing else comes; how many. It keeps
 * what it needs of the queue in registers, which a compiler can't do across stores to the ring.
 */
static unsigned packed_add_singles(struct vio_drvq *q, const struct vio_drvq_buffer *buffers, unsigned count)
{
	const uint16_t size = q->size, visible = q->avail_visible;
	const bool in_order = vio_drvq_in_order(q);
	const uint64_t shows = q->shows;
	struct pvirtq_desc *const ring = q->packed_desc;
	struct vio_drvq_shadow *const shadow = q->shadow;
	uint16_t position = q->avail_next, id = q->free_head;
	unsigned i;

	if (vio_drvq_broken(q))
		return 0;
	if (count > q->free_count)
		count = q->free_count;
	for (i = 0; i < count && vio_drvq_is_single(&buffers[i]); i++) {
		const struct vio_sg *sg = buffers[i].sg;
		const unsigned at = packed_offset(position), writable = buffers[i].writable;
		const uint64_t name = in_order ? at : id;
		const uint64_t flags = packed_avail_flags(position) | writable * VIRTQ_DESC_F_WRITE;
		const uint64_t rest = sg->length | name << 32 | flags << 48;
		struct vio_drvq_shadow *of = &shadow[name];

		id = of->next;
		of->token = buffers[i].token;
		of->writable = writable ? sg->length : 0;
		of->count = 1;
		of->shows = shows;
		vio_store_le64(&ring[at].addr, sg->addr.raw);
		if (position == visible)
			q->first_rest = rest;
		else
			vio_store_fields64(&ring[at].len, rest);
		position = packed_advance(position, 1, size);
	}
	if (!in_order)
		q->free_head = id;
	q->avail_next = position;
	q->free_count = (uint16_t)(q->free_count - i);
	q->in_flight = (uint16_t)(q->in_flight + i);
	return i;
}

int vio_drvq_packed_add_many(struct vio_drvq *q, const struct vio_drvq_buffer *buffers, unsigned count)
{
	unsigned i;
	int error;

	for (i = packed_add_singles(q, buffers, count); i < count;
	     i += packed_add_singles(q, &buffers[i], count - i)) {
		const struct vio_drvq_buffer *b = &buffers[i];

		error = packed_add(q, b->sg, b->readable, b->writable, b->token);
		if (error)
			return i ? (int)i : error;
		i++;
	}
	return (int)count;
}

void vio_drvq_packed_publish(struct vio_drvq *q)
{
	struct pvirtq_desc *first = &q->packed_desc[packed_offset(q->avail_visible)];

	/* Pairs with the acquire of the device's look at the flags: all descriptors of a batch before. */
	vio_drvq_before_release(q);
	vio_store_release_fields64(&first->len, q->first_rest); /* spec: DRV-PACKED-003 DRV-PACKED-015 */
	q->avail_visible = q->avail_next;
	q->shows++;
}

bool vio_drvq_packed_kick_prepare(struct vio_drvq *q)
{
	uint16_t before = q->avail_visible, flags;
	uint32_t event;

	vio_drvq_packed_publish(q);
	/* Pairs with the one in vio_devq_enable_kick(): the device sees the flags or we see that it asks. */
	vio_drvq_full_barrier(q); /* spec: DRV-PACKED-016 */
	event = vio_load_fields32(q->device_event);
	flags = (uint16_t)(event >> 16);
	if (flags == RING_EVENT_FLAGS_DESC && q->event_idx)
		return packed_event_passed((uint16_t)event, q->avail_next, before, q->size);
	return flags != RING_EVENT_FLAGS_DISABLE;
}

/* Whether the device used something; *rest is of the used descriptor then. */
static inline bool packed_look(const struct vio_drvq *q, uint64_t *rest)
{
	/* Pairs with the release in vio_devq_notify(): the payload is visible with the flags. */
	*rest = vio_load_acquire_fields64(&q->packed_desc[packed_offset(q->used_next)].len);
	vio_drvq_after_acquire(q);
	return (*rest >> 48 & PACKED_STATE_FLAGS) ==
	       packed_used_flags(q->used_next); /* spec: DRV-PACKED-002 */
}

bool vio_drvq_packed_pending(const struct vio_drvq *q)
{
	uint64_t rest;

	return q->batch_left || packed_look(q, &rest);
}

void vio_drvq_packed_disable_cb(struct vio_drvq *q)
{
	packed_event_store(q, 0, RING_EVENT_FLAGS_DISABLE);
}

static void packed_ask(struct vio_drvq *q, uint16_t event)
{
	if (q->event_idx)
		packed_event_store(q, event, RING_EVENT_FLAGS_DESC);
	else
		packed_event_store(q, 0, RING_EVENT_FLAGS_ENABLE);
	q->event = event;
	/* Pairs with the one in vio_devq_notify(): we see its flags or it sees that we want to hear. */
	vio_drvq_full_barrier(q);
}

bool vio_drvq_packed_enable_cb(struct vio_drvq *q, bool delayed)
{
	unsigned hidden = packed_distance(q->avail_visible, q->avail_next, q->size);
	unsigned shown = q->size - q->free_count - hidden;

	packed_ask(q, packed_advance(q->used_next, (uint16_t)(delayed ? shown * 3 / 4 : 0), q->size));
	return !vio_drvq_packed_pending(q);
}

/* Nothing was found: asks for the next interrupt if that is wanted; true when one has to look again. */
static bool packed_asked(struct vio_drvq *q)
{
	/* As long as it stands at the same place, the device was asked and the barrier was had. */
	if (!vio_drvq_asks(q) || q->event == q->used_next)
		return false;
	packed_ask(q, q->used_next);
	return true;
}

/*
 * Whether there is something to take, whose rest is *rest but within a batch. With `ask`, asks for
 * the next interrupt when there is nothing, and looks once more.
 */
static inline bool packed_any(struct vio_drvq *q, bool ask, uint64_t *rest)
{
	if (q->batch_left || packed_look(q, rest))
		return true;
	return ask && packed_asked(q) && packed_look(q, rest);
}

/* Whether a buffer in flight was shown to the device. */
static inline bool packed_shown(const struct vio_drvq *q, const struct vio_drvq_shadow *shadow)
{
	return q->avail_visible == q->avail_next || shadow->shows != q->shows;
}

static inline void *packed_retire(struct vio_drvq *q, uint16_t id)
{
	struct vio_drvq_shadow *shadow = &q->shadow[id];

	if (!vio_drvq_in_order(q)) {
		shadow->next = q->free_head;
		q->free_head = id;
	}
	return vio_drvq_retire(q, shadow);
}

/* Whether what the used descriptor says can be true. */
static inline bool packed_judge_used(struct vio_drvq *q, uint64_t rest, uint16_t *id, uint32_t *length)
{
	uint16_t at = packed_offset(q->used_next);

	*id = (uint16_t)(rest >> 32);
	*length = (uint32_t)rest;
	if (*id >= q->size) /* hostile: B23 */
		return vio_drvq_fault(q, VIO_FAULT_USED_ID, at, *id);
	/* hostile: B3 B4 B7 B24 B26 B27 B28 */
	if (!q->shadow[*id].token || !packed_shown(q, &q->shadow[*id]))
		return vio_drvq_fault(q, VIO_FAULT_USED_NOT_IN_FLIGHT, at, *id);
	return vio_drvq_length_legal(q, q->shadow[*id].writable, at, length);
}

/* The next one of a batch, which is all buffers up to the one that the used descriptor names. */
static void *packed_take_in_order(struct vio_drvq *q, uint64_t rest, uint32_t *written)
{
	uint16_t id = packed_offset(q->used_next);
	uint32_t length = q->shadow[id].writable;

	if (!q->batch_left) {
		if (!packed_judge_used(q, rest, &q->batch_last, &q->batch_length))
			return NULL;
		q->batch_left = 1;
	}
	if (id == q->batch_last) {
		q->batch_left = 0;
		length = q->batch_length;
	}
	q->used_next = packed_advance(q->used_next, q->shadow[id].count, q->size);
	if (written)
		*written = length;
	return packed_retire(q, id);
}

/* Not in order. NULL: it was a lie. */
static __attribute__((noinline)) void *packed_take(struct vio_drvq *q, uint64_t rest, uint32_t *written)
{
	uint32_t length;
	uint16_t id;

	if (!packed_judge_used(q, rest, &id, &length))
		return NULL;
	q->used_next = packed_advance(q->used_next, q->shadow[id].count, q->size);
	if (written)
		*written = length;
	return packed_retire(q, id);
}

static __attribute__((noinline)) void *packed_get_ordered(struct vio_drvq *q, uint32_t *written, bool ask)
{
	uint64_t rest = 0;

	return packed_any(q, ask, &rest) ? packed_take_in_order(q, rest, written) : NULL;
}

void *vio_drvq_packed_get(struct vio_drvq *q, uint32_t *written, bool ask)
{
	struct vio_drvq_shadow *of;
	uint64_t rest;
	uint32_t id;

	if (vio_drvq_broken(q))
		return NULL;
	if (vio_drvq_in_order(q))
		return packed_get_ordered(q, written, ask);
	if (!packed_look(q, &rest) && !(ask && packed_asked(q) && packed_look(q, &rest)))
		return NULL;
	if (VIO_DRVQ_SMALL)
		return packed_take(q, rest, written);
	id = (uint16_t)(rest >> 32);
	of = &q->shadow[id < q->size ? id : 0];
	if (__builtin_expect(
		    id >= q->size || !of->token || !packed_shown(q, of) || (uint32_t)rest > of->writable, 0))
		return packed_take(q, rest, written);
	if (written)
		*written = (uint32_t)rest;
	q->used_next = packed_advance(q->used_next, of->count, q->size);
	of->next = q->free_head;
	q->free_head = (uint16_t)id;
	return vio_drvq_retire(q, of);
}

/* What the common way of getting many needs, kept where a compiler knows that no store changes it. */
struct packed_getter {
	struct pvirtq_desc *ring;
	struct vio_drvq_shadow *shadow;
	uint64_t shows;
	uint16_t size, next, head, freed, buffers;
	bool all_shown;
};

static inline struct packed_getter packed_getter(const struct vio_drvq *q)
{
	return (struct packed_getter){ .ring = q->packed_desc,
				       .shadow = q->shadow,
				       .shows = q->shows,
				       .size = q->size,
				       .next = q->used_next,
				       .head = q->free_head,
				       .all_shown = q->avail_visible == q->avail_next };
}

static inline void packed_got(struct vio_drvq *q, const struct packed_getter *g)
{
	q->used_next = g->next;
	q->free_head = g->head;
	q->free_count = (uint16_t)(q->free_count + g->freed);
	q->in_flight = (uint16_t)(q->in_flight - g->buffers);
}

/* Not in order: gets until there is nothing more; how many. packed_take() judges what isn't plainly right. */
static unsigned packed_get_plain(struct vio_drvq *q, void **tokens, uint32_t *written, unsigned max)
{
	struct packed_getter g = packed_getter(q);
	unsigned count;

	for (count = 0; count < max; count++) {
		const uint64_t rest = vio_load_acquire_fields64(&g.ring[packed_offset(g.next)].len);
		const uint16_t id = (uint16_t)(rest >> 32);
		struct vio_drvq_shadow *of;

		vio_drvq_after_acquire(q);
		if ((rest >> 48 & PACKED_STATE_FLAGS) != packed_used_flags(g.next))
			break;
		of = &g.shadow[id < g.size ? id : 0];
		if (__builtin_expect(id >= g.size || !of->token || (!g.all_shown && of->shows == g.shows) ||
					     (uint32_t)rest > of->writable,
				     0)) {
			packed_got(q, &g);
			tokens[count] = packed_take(q, rest, written ? &written[count] : NULL);
			if (!tokens[count])
				return count;
			g = packed_getter(q);
			continue;
		}
		tokens[count] = of->token;
		if (written)
			written[count] = (uint32_t)rest;
		of->token = NULL;
		of->next = g.head;
		g.head = id;
		g.freed = (uint16_t)(g.freed + of->count);
		g.buffers++;
		g.next = packed_advance(g.next, of->count, g.size);
	}
	packed_got(q, &g);
	return count;
}

static unsigned packed_get_in_order(struct vio_drvq *q, void **tokens, uint32_t *written, unsigned max)
{
	unsigned count = 0;
	uint64_t rest = 0;

	while (count < max && packed_any(q, true, &rest)) {
		tokens[count] = packed_take_in_order(q, rest, written ? &written[count] : NULL);
		if (!tokens[count])
			break;
		count++;
	}
	return count;
}

unsigned vio_drvq_packed_get_many(struct vio_drvq *q, void **tokens, uint32_t *written, unsigned max)
{
	unsigned count = 0;

	if (vio_drvq_broken(q))
		return 0;
	if (vio_drvq_in_order(q))
		return packed_get_in_order(q, tokens, written, max);
	/* Ends: what was asked is asked once for each place, and places are passed by what comes back. */
	do {
		count += packed_get_plain(q, &tokens[count], written ? &written[count] : NULL, max - count);
	} while (count < max && !vio_drvq_broken(q) && packed_asked(q));
	return count;
}

void *vio_drvq_packed_detach_unused(struct vio_drvq *q)
{
	/* The last one found is the first free one, so that the next search goes on from there. */
	uint16_t first = q->free_head == VIO_DRVQ_LIST_END ? 0 : q->free_head;
	uint16_t id = vio_drvq_in_order(q) ? vio_drvq_behind(q, packed_offset(q->avail_next)) : first;

	while (!q->shadow[id].token) /* there is one, as something is in flight */
		id = id + 1u < q->size ? (uint16_t)(id + 1) : 0;
	return packed_retire(q, id);
}

#else

typedef int vio_drvq_packed_is_left_out;

#endif
