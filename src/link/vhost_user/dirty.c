/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <sys/mman.h>

#include "link/vhost_user/dirty.h"

/* The log. */

int vu_dirty_map(struct vu_dirty *dirty, const struct vhost_user_log *wire, int fd, int socket_fd)
{
	struct link_mapping map;
	uint8_t *bits;
	int error;

	error = link_mapping_make(&map, fd, wire->mmap_offset, wire->mmap_size, PROT_READ | PROT_WRITE,
				  socket_fd, &bits);
	if (error)
		return error;
	link_mapping_drop(&dirty->map);
	dirty->map = map;
	dirty->bits = bits;
	dirty->bytes = wire->mmap_size;
	return 0;
}

void vu_dirty_unmap(struct vu_dirty *dirty)
{
	link_mapping_drop(&dirty->map);
	link_signal_set(&dirty->changed, LINK_SIGNAL_NONE, -1);
	dirty->bits = NULL;
	dirty->bytes = 0;
}

bool vu_dirty_covers(const struct vu_dirty *dirty, uint64_t addr, uint64_t length)
{
	uint64_t end;

	return vio_add_u64(addr, length, &end) &&
	       (!length || (end - 1) / VHOST_USER_LOG_PAGE / 8 < dirty->bytes);
}

void vu_dirty_mark(const struct vu_dirty *dirty, uint64_t addr, uint64_t length)
{
	uint64_t page = addr / VHOST_USER_LOG_PAGE, end;

	if (!length || !vio_add_u64(addr, length, &end))
		return;
	/* hostile: C26 */
	for (end = (end - 1) / VHOST_USER_LOG_PAGE; page <= end && page / 8 < dirty->bytes; page++)
		/*
		 * Always, also where the bit is set: only so the bytes before it are seen by who takes it
		 * away. Pairs with the front end's exchange.
		 */
		__atomic_fetch_or(&dirty->bits[page / 8], (uint8_t)(1u << page % 8), __ATOMIC_SEQ_CST);
}

/* A queue. */

static inline struct vu_tracker *tracker_of(struct vio_devq_log *log)
{
	return VIO_CONTAINER_OF(log, struct vu_tracker, log);
}

/* What has a place in our memory, by its address on the bus. */
static void mark_host(struct vu_tracker *tracker, const uint8_t *host, uint64_t length)
{
	const struct vu_memory *memory = tracker->memory;
	unsigned tried;

	/* Ends: each round takes a byte at least, or tries another region. */
	for (tried = 0; length && tried < memory->count;) {
		const struct vu_region *region = &memory->regions[tracker->region % memory->count];
		const uint64_t size = region->wire.memory_size;
		const uint64_t offset = (uint64_t)((uintptr_t)host - (uintptr_t)region->host);
		uint64_t piece = length;

		if (offset >= size) {
			tracker->region = (tracker->region + 1) % memory->count;
			tried++;
			continue;
		}
		if (piece > size - offset)
			piece = size - offset;
		vu_dirty_mark(tracker->dirty, region->wire.guest_phys_addr + offset, piece);
		host += piece;
		length -= piece;
		tried = 0;
	}
}

static void track_popped(struct vio_devq_log *log, const struct vio_devq *q, const struct vio_buf *buffers,
			 unsigned count)
{
	struct vu_tracker *tracker = tracker_of(log);
	unsigned i, span;

	(void)q;
	for (i = 0; i < count && tracker->buffers; i++) {
		const struct vio_buf *buf = &buffers[i];
		struct vio_span *spans = tracker->spans + (size_t)buf->slot * tracker->spans_max;

		/* The device eats the queue's own from the front, and perhaps the last byte. */
		for (span = 0; span < buf->writable_count; span++)
			spans[span] = buf->writable[span];
		tracker->lent[buf->slot] = buf->writable;
		tracker->counts[buf->slot] = buf->writable_count;
	}
}

/* Whether the device cut off the last byte, to write it whatever it wrote of the rest. */
static bool last_is_cut(const struct vio_span *before, const struct vio_span *now)
{
	return now->host + now->length < before->host + before->length;
}

static void track_filled(struct vio_devq_log *log, const struct vio_devq *q, const struct vio_buf *buf,
			 uint32_t written)
{
	struct vu_tracker *tracker = tracker_of(log);
	const uint16_t slot = buf->slot;
	const struct vio_span *spans;
	uint64_t left = written;
	unsigned i, count;

	(void)q;
	if (!tracker->buffers)
		return;
	spans = tracker->spans + (size_t)slot * tracker->spans_max;
	count = tracker->counts[slot];
	/* A request that failed says that it wrote a byte, and may have written any before it. */
	if (count && last_is_cut(&spans[count - 1], &tracker->lent[slot][count - 1]))
		left = UINT64_MAX;
	for (i = 0; i < count && left; i++) {
		const uint64_t piece = spans[i].length < left ? spans[i].length : left;

		mark_host(tracker, spans[i].host, piece);
		left -= piece;
	}
}

/* Entries [from, to) of the ring, as positions. */
static void mark_entries(const struct vu_tracker *tracker, uint16_t from, uint16_t to)
{
	const uint64_t base = tracker->packed ? tracker->descriptor_addr : tracker->device_addr + 4;
	const uint64_t bytes = tracker->packed ? sizeof(struct pvirtq_desc) : sizeof(struct virtq_used_elem);
	const uint32_t size = tracker->size;
	uint32_t begin, end;

	if (tracker->packed) {
		begin = from & ~PVIRTQ_WRAP;
		end = to & ~PVIRTQ_WRAP;
		if (end <= begin)
			end += size;
	} else {
		begin = from & (size - 1);
		end = begin + (uint16_t)(to - from);
	}
	vu_dirty_mark(tracker->dirty, base + begin * bytes, ((end < size ? end : size) - begin) * bytes);
	if (end > size)
		vu_dirty_mark(tracker->dirty, base, (end - size) * bytes);
}

static void track_asked(struct vio_devq_log *log, const struct vio_devq *q)
{
	const struct vu_tracker *tracker = tracker_of(log);

	(void)q;
	if (!tracker->rings)
		return;
	/* Split: the flags, or what lies behind the entries. */
	if (!tracker->packed && tracker->event_idx)
		vu_dirty_mark(tracker->dirty, tracker->device_addr + 4 + 8ull * tracker->size, 2);
	else
		vu_dirty_mark(tracker->dirty, tracker->device_addr, tracker->packed ? 4 : 2);
}

/* What the next one has to take once more is told by the log that the queue sees. */
static void follow(struct vu_tracker *tracker)
{
	tracker->log.again = tracker->next->again;
}

static void track_taken(struct vio_devq_log *log, const struct vio_devq *q, const struct vio_buf *buffers,
			unsigned count, uint16_t position)
{
	struct vu_tracker *tracker = tracker_of(log);

	if (tracker->next)
		tracker->next->ops->taken(tracker->next, q, buffers, count, position);
}

static void track_untaken(struct vio_devq_log *log, const struct vio_buf *buf)
{
	struct vu_tracker *tracker = tracker_of(log);

	if (!tracker->next)
		return;
	tracker->next->ops->untaken(tracker->next, buf);
	follow(tracker);
}

static void track_given(struct vio_devq_log *log, uint16_t name)
{
	struct vu_tracker *tracker = tracker_of(log);

	if (tracker->next)
		tracker->next->ops->given(tracker->next, name);
}

static void track_showing(struct vio_devq_log *log, const struct vio_devq *q)
{
	struct vu_tracker *tracker = tracker_of(log);

	if (tracker->next)
		tracker->next->ops->showing(tracker->next, q);
	tracker->shown = q->used_visible;
}

static void track_shown(struct vio_devq_log *log, const struct vio_devq *q)
{
	struct vu_tracker *tracker = tracker_of(log);

	if (tracker->rings) {
		mark_entries(tracker, tracker->shown, q->used_visible);
		if (!tracker->packed)
			vu_dirty_mark(tracker->dirty, tracker->device_addr + 2, 2);
	}
	if (tracker->dirty->changed.kind != LINK_SIGNAL_NONE)
		link_signal_raise(&tracker->dirty->changed);
	if (tracker->next)
		tracker->next->ops->shown(tracker->next, q);
}

static void track_again(struct vio_devq_log *log, struct vio_devq_again *next)
{
	struct vu_tracker *tracker = tracker_of(log);

	tracker->next->ops->again(tracker->next, next);
	follow(tracker);
}

static const struct vio_devq_log_ops track_ops = {
	.taken = track_taken,
	.untaken = track_untaken,
	.given = track_given,
	.showing = track_showing,
	.shown = track_shown,
	.again = track_again,
	.popped = track_popped,
	.filled = track_filled,
	.asked = track_asked,
};

static void forget(struct vu_tracker *tracker)
{
	free(tracker->spans);
	free(tracker->lent);
	free(tracker->counts);
	*tracker = (struct vu_tracker){ .dirty = NULL };
}

int vu_tracker_begin(struct vu_tracker *tracker, const struct vu_dirty *dirty, const struct vu_memory *memory,
		     const struct vu_tracker_queue *queue)
{
	const struct vio_devq_config *config = queue->config;
	const size_t size = config->size;

	forget(tracker);
	*tracker = (struct vu_tracker){
		.log = { .ops = &track_ops, .again = config->log ? config->log->again : 0 },
		.next = config->log,
		.dirty = dirty,
		.memory = memory,
		.buffers = queue->buffers,
		.rings = queue->rings,
		.packed = vio_features_has(&config->features, VIRTIO_F_RING_PACKED),
		.event_idx = vio_features_has(&config->features, VIRTIO_F_EVENT_IDX),
		.size = config->size,
		.spans_max = queue->spans_max,
		.descriptor_addr = config->descriptor_area.raw,
		.device_addr = queue->device_addr,
	};
	if (!queue->buffers)
		return 0;
	tracker->spans = calloc(size * queue->spans_max, sizeof(*tracker->spans));
	tracker->lent = calloc(size, sizeof(*tracker->lent));
	tracker->counts = calloc(size, sizeof(*tracker->counts));
	if (tracker->spans && tracker->lent && tracker->counts)
		return 0;
	forget(tracker);
	return -VIO_ENOMEM;
}

void vu_tracker_started(struct vu_tracker *tracker, bool mended)
{
	if (!vu_tracker_runs(tracker) || !tracker->rings)
		return;
	vu_dirty_mark(tracker->dirty, tracker->device_addr, tracker->packed ? 4 : 2);
	if (mended && tracker->packed)
		vu_dirty_mark(tracker->dirty, tracker->descriptor_addr, 16ull * tracker->size);
}

void vu_tracker_end(struct vu_tracker *tracker, const struct vio_devq *q)
{
	/* A queue that broke has entries that were written and never shown. */
	if (vu_tracker_runs(tracker) && tracker->rings && q->used_next != q->used_visible)
		mark_entries(tracker, q->used_visible, q->used_next);
	forget(tracker);
}
