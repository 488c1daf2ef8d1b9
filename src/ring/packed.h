/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_RING_PACKED_H
#define VIO_RING_PACKED_H

#include <vireo/base.h>
#include <vireo/spec/virtio_ring.h>

/* What both roles of the packed ring share. A position is an offset with the wrap counter on top. */

static inline uint16_t packed_offset(uint16_t position)
{
	return position & (uint16_t)~PVIRTQ_WRAP;
}

/* `count` (at most `size`) entries further. */
static inline uint16_t packed_advance(uint16_t position, uint16_t count, uint16_t size)
{
	unsigned offset = packed_offset(position) + count;

	if (offset < size)
		return (uint16_t)(position + count);
	return (uint16_t)((offset - size) | (~position & PVIRTQ_WRAP));
}

/* The two flags that make a descriptor at `position` available, and those that make it used. */
static inline uint16_t packed_avail_flags(uint16_t position)
{
	return position & PVIRTQ_WRAP ? VIRTQ_DESC_F_AVAIL : VIRTQ_DESC_F_USED;
}

static inline uint16_t packed_used_flags(uint16_t position)
{
	return position & PVIRTQ_WRAP ? VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED : 0;
}

#define PACKED_STATE_FLAGS (VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED)

/* `count` (at most `size`) entries back. */
static inline uint16_t packed_retreat(uint16_t position, uint16_t count, uint16_t size)
{
	const uint16_t offset = packed_offset(position);

	if (offset >= count)
		return (uint16_t)(position - count);
	return (uint16_t)((offset + size - count) | (~position & PVIRTQ_WRAP));
}

/* Entries from `from` on to `to`, on the track of two laps that positions run on. */
static inline unsigned packed_distance(uint16_t from, uint16_t to, uint16_t size)
{
	unsigned start = packed_offset(from) + (from & PVIRTQ_WRAP ? size : 0u);
	unsigned end = packed_offset(to) + (to & PVIRTQ_WRAP ? size : 0u);

	return end >= start ? end - start : end + 2u * size - start;
}

/*
 * Whether one that went from `before` to `now`, at most `size` entries, passed `event`, that
 * is, left it behind. All three are positions in a ring of `size`; an event that isn't is
 * never passed.
 */
static inline bool packed_event_passed(uint16_t event, uint16_t now, uint16_t before, uint16_t size)
{
	unsigned left = packed_distance(event, now, size);

	return packed_offset(event) < size && left && left <= packed_distance(before, now, size);
}

#endif
