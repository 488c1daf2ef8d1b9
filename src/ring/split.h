/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_RING_SPLIT_H
#define VIO_RING_SPLIT_H

#include <vireo/base.h>
#include <vireo/spec/virtio_ring.h>

/* What both roles of the split ring share. */

/* Written by the driver: interrupt me when used.idx passes this. */
static inline vio_le16 *split_used_event(struct virtq_avail *avail, uint16_t size)
{
	return &avail->ring[size];
}

/* Written by the device: kick me when avail.idx passes this. */
static inline vio_le16 *split_avail_event(struct virtq_used *used, uint16_t size)
{
	return (vio_le16 *)(void *)&used->ring[size];
}

/* Whether an index that went from `before` to `now` (modulo 2^16) passed `event`, that is, left it behind. */
static inline bool split_event_passed(uint16_t event, uint16_t now, uint16_t before)
{
	return (uint16_t)(now - event - 1) < (uint16_t)(now - before);
}

#endif
