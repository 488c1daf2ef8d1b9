/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_SPEC_VIRTIO_BLK_H
#define VIREO_SPEC_VIRTIO_BLK_H

#include <vireo/spec/types.h>

/* Block device (5.2). Feature bits are bit numbers. */

#define VIRTIO_BLK_F_SIZE_MAX 1
#define VIRTIO_BLK_F_SEG_MAX 2
#define VIRTIO_BLK_F_GEOMETRY 4
#define VIRTIO_BLK_F_RO 5
#define VIRTIO_BLK_F_BLK_SIZE 6
#define VIRTIO_BLK_F_FLUSH 9
#define VIRTIO_BLK_F_TOPOLOGY 10
#define VIRTIO_BLK_F_CONFIG_WCE 11
#define VIRTIO_BLK_F_MQ 12
#define VIRTIO_BLK_F_DISCARD 13
#define VIRTIO_BLK_F_WRITE_ZEROES 14
#define VIRTIO_BLK_F_LIFETIME 15
#define VIRTIO_BLK_F_SECURE_ERASE 16
#define VIRTIO_BLK_F_ZONED 17

#define VIRTIO_BLK_SECTOR_BYTES 512u

struct virtio_blk_zoned_characteristics {
	vio_le32 zone_sectors;
	vio_le32 max_open_zones;
	vio_le32 max_active_zones;
	vio_le32 max_append_sectors;
	vio_le32 write_granularity;
	uint8_t model;
	uint8_t unused2[3];
};

struct virtio_blk_config {
	vio_le64 capacity; /* in sectors of 512 bytes */
	vio_le32 size_max;
	vio_le32 seg_max;
	struct {
		vio_le16 cylinders;
		uint8_t heads;
		uint8_t sectors;
	} geometry;
	vio_le32 blk_size;
	struct {
		uint8_t physical_block_exp; /* physical block = blk_size << this */
		uint8_t alignment_offset;
		vio_le16 min_io_size; /* in logical blocks */
		vio_le32 opt_io_size; /* in logical blocks */
	} topology;
	uint8_t writeback;
	uint8_t unused0;
	vio_le16 num_queues;
	vio_le32 max_discard_sectors;
	vio_le32 max_discard_seg;
	vio_le32 discard_sector_alignment;
	vio_le32 max_write_zeroes_sectors;
	vio_le32 max_write_zeroes_seg;
	uint8_t write_zeroes_may_unmap;
	uint8_t unused1[3];
	vio_le32 max_secure_erase_sectors;
	vio_le32 max_secure_erase_seg;
	vio_le32 secure_erase_sector_alignment;
	struct virtio_blk_zoned_characteristics zoned;
};

/* Request types. */
#define VIRTIO_BLK_T_IN 0u
#define VIRTIO_BLK_T_OUT 1u
#define VIRTIO_BLK_T_FLUSH 4u
#define VIRTIO_BLK_T_GET_ID 8u
#define VIRTIO_BLK_T_GET_LIFETIME 10u
#define VIRTIO_BLK_T_DISCARD 11u
#define VIRTIO_BLK_T_WRITE_ZEROES 13u
#define VIRTIO_BLK_T_SECURE_ERASE 14u
#define VIRTIO_BLK_T_ZONE_APPEND 15u
#define VIRTIO_BLK_T_ZONE_REPORT 16u
#define VIRTIO_BLK_T_ZONE_OPEN 18u
#define VIRTIO_BLK_T_ZONE_CLOSE 20u
#define VIRTIO_BLK_T_ZONE_FINISH 22u
#define VIRTIO_BLK_T_ZONE_RESET 24u
#define VIRTIO_BLK_T_ZONE_RESET_ALL 26u

#define VIRTIO_BLK_S_OK 0u
#define VIRTIO_BLK_S_IOERR 1u
#define VIRTIO_BLK_S_UNSUPP 2u

#define VIRTIO_BLK_ID_BYTES 20u

/* A request is this header, data, and one status byte. */
struct virtio_blk_req {
	vio_le32 type;
	vio_le32 reserved;
	vio_le64 sector;
};

#define VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP 1u

struct virtio_blk_discard_write_zeroes {
	vio_le64 sector;
	vio_le32 num_sectors;
	vio_le32 flags;
};

#endif
