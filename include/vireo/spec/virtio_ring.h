/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_SPEC_VIRTIO_RING_H
#define VIREO_SPEC_VIRTIO_RING_H

#include <vireo/spec/types.h>

/* The split virtqueue (2.7). */

#define VIRTQ_SIZE_MAX 32768u

#define VIRTQ_DESC_F_NEXT 1u
#define VIRTQ_DESC_F_WRITE 2u
#define VIRTQ_DESC_F_INDIRECT 4u

#define VIRTQ_AVAIL_F_NO_INTERRUPT 1u
#define VIRTQ_USED_F_NO_NOTIFY 1u

/* Alignment of the three areas, in bytes. */
#define VIRTQ_DESC_ALIGN 16u
#define VIRTQ_AVAIL_ALIGN 2u
#define VIRTQ_USED_ALIGN 4u

struct virtq_desc {
	vio_le64 addr;
	vio_le32 len;
	vio_le16 flags;
	vio_le16 next;
};

/* Followed, after ring[queue size], by one vio_le16 used_event. */
struct virtq_avail {
	vio_le16 flags;
	vio_le16 idx;
	vio_le16 ring[];
};

struct virtq_used_elem {
	vio_le32 id;
	vio_le32 len;
};

/* Followed, after ring[queue size], by one vio_le16 avail_event. */
struct virtq_used {
	vio_le16 flags;
	vio_le16 idx;
	struct virtq_used_elem ring[];
};

/* The packed virtqueue (2.8): one ring that both write. Sizes needn't be powers of two. */

#define VIRTQ_DESC_F_AVAIL 0x0080u
#define VIRTQ_DESC_F_USED 0x8000u

/* Alignment of the two event suppression structures, in bytes; descriptors have VIRTQ_DESC_ALIGN. */
#define PVIRTQ_EVENT_ALIGN 4u

struct pvirtq_desc {
	vio_le64 addr;
	vio_le32 len;
	vio_le16 id;
	vio_le16 flags;
};

#define RING_EVENT_FLAGS_ENABLE 0u
#define RING_EVENT_FLAGS_DISABLE 1u
#define RING_EVENT_FLAGS_DESC 2u /* only with VIRTIO_F_EVENT_IDX */

/* In a position (here and in notification data): the ring's wrap counter, above 15 bits of offset. */
#define PVIRTQ_WRAP 0x8000u

/* The driver area and the device area: when the one who writes it wants to hear. */
struct pvirtq_event_suppress {
	vio_le16 desc; /* offset | PVIRTQ_WRAP or 0 */
	vio_le16 flags;
};

#endif
