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

/*
 * Whether one that went from `before` to `now`, at most `size` entries, passed `event`, that
 * is, left it behind. All three are positions in a ring of `size`; an event that isn't is
 * never passed.
 */
static inline bool packed_event_passed(uint16_t event, uint16_t now, uint16_t before, uint16_t size)
{
	/* Distances back from `now`, in entries, on a track of two laps. */
	unsigned laps = 2u * size;
	unsigned here = packed_offset(now) + (now & PVIRTQ_WRAP ? size : 0u);
	unsigned there = packed_offset(event) + (event & PVIRTQ_WRAP ? size : 0u);
	unsigned start = packed_offset(before) + (before & PVIRTQ_WRAP ? size : 0u);

	if (packed_offset(event) >= size)
		return false;
	return (here + laps - there - 1) % laps < (here + laps - start) % laps;
}

#endif
