/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_SPEC_VIRTIO_BALLOON_H
#define VIREO_SPEC_VIRTIO_BALLOON_H

#include <vireo/spec/types.h>

/* Traditional memory balloon device (5.5). Feature bits are bit numbers. */

#define VIRTIO_BALLOON_F_MUST_TELL_HOST 0
#define VIRTIO_BALLOON_F_STATS_VQ 1
#define VIRTIO_BALLOON_F_DEFLATE_ON_OOM 2
#define VIRTIO_BALLOON_F_FREE_PAGE_HINT 3
#define VIRTIO_BALLOON_F_PAGE_POISON 4
#define VIRTIO_BALLOON_F_PAGE_REPORTING 5

#define VIRTIO_BALLOON_INFLATEQ 0u
#define VIRTIO_BALLOON_DEFLATEQ 1u
#define VIRTIO_BALLOON_STATSQ 2u
#define VIRTIO_BALLOON_FREE_PAGEQ 3u
#define VIRTIO_BALLOON_REPORTINGQ 4u

/* Pages of the balloon have this size, whatever those of the machine have. */
#define VIRTIO_BALLOON_PFN_SHIFT 12

/* Little-endian on legacy devices, too. */
struct virtio_balloon_config {
	vio_le32 num_pages;
	vio_le32 actual;
	vio_le32 free_page_hint_cmd_id; /* F_FREE_PAGE_HINT */
	vio_le32 poison_val;            /* F_PAGE_POISON */
};

/* Values of free_page_hint_cmd_id; from 2 on it is a command's id. */
#define VIRTIO_BALLOON_CMD_ID_STOP 0u
#define VIRTIO_BALLOON_CMD_ID_DONE 1u

#define VIRTIO_BALLOON_S_SWAP_IN 0u
#define VIRTIO_BALLOON_S_SWAP_OUT 1u
#define VIRTIO_BALLOON_S_MAJFLT 2u
#define VIRTIO_BALLOON_S_MINFLT 3u
#define VIRTIO_BALLOON_S_MEMFREE 4u
#define VIRTIO_BALLOON_S_MEMTOT 5u
#define VIRTIO_BALLOON_S_AVAIL 6u
#define VIRTIO_BALLOON_S_CACHES 7u
#define VIRTIO_BALLOON_S_HTLB_PGALLOC 8u
#define VIRTIO_BALLOON_S_HTLB_PGFAIL 9u
#define VIRTIO_BALLOON_S_OOM_KILL 10u
#define VIRTIO_BALLOON_S_ALLOC_STALL 11u
#define VIRTIO_BALLOON_S_ASYNC_SCAN 12u
#define VIRTIO_BALLOON_S_DIRECT_SCAN 13u
#define VIRTIO_BALLOON_S_ASYNC_RECLAIM 14u
#define VIRTIO_BALLOON_S_DIRECT_RECLAIM 15u

struct virtio_balloon_stat {
	vio_le16 tag;
	uint8_t val[8]; /* a vio_le64 that isn't aligned */
};

#endif
