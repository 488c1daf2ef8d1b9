/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_SPEC_VIRTIO_CCW_H
#define VIREO_SPEC_VIRTIO_CCW_H

#include <stdint.h>

/* Virtio over channel I/O (4.3), and what it takes of channel I/O itself. */

#define VIRTIO_CCW_CU_TYPE 0x3832u /* of the control unit; its model is the virtio device id */

/* Commands of virtio (4.3.1.1): W the channel takes the payload from memory, R it puts it there. */
#define CCW_CMD_WRITE_FEAT      0x11u /* W struct virtio_feature_desc */
#define CCW_CMD_READ_FEAT       0x12u /* R struct virtio_feature_desc, its index given */
#define CCW_CMD_SET_VQ          0x13u /* W struct vq_info_block, or that of revision 0 */
#define CCW_CMD_WRITE_CONF      0x21u /* W from the configuration's first byte on */
#define CCW_CMD_READ_CONF       0x22u /* R from the configuration's first byte on */
#define CCW_CMD_WRITE_STATUS    0x31u /* W one byte */
#define CCW_CMD_READ_VQ_CONF    0x32u /* R struct vq_config_block, its index given */
#define CCW_CMD_VDEV_RESET      0x33u /* no data */
#define CCW_CMD_SET_IND         0x43u /* W be64, the address of 64 bits */
#define CCW_CMD_SET_CONF_IND    0x53u /* W be64, the address of 64 bits */
#define CCW_CMD_READ_STATUS     0x72u /* R one byte; from revision 2 on */
#define CCW_CMD_SET_IND_ADAPTER 0x73u /* W struct virtio_thinint_area */
#define CCW_CMD_SET_VIRTIO_REV  0x83u /* W struct virtio_rev_info */

/* Commands of every channel device. */
#define CCW_CMD_NOOP        0x03u
#define CCW_CMD_BASIC_SENSE 0x04u /* R why the last command ended in a unit check */
#define CCW_CMD_TIC         0x08u /* goes on elsewhere */
#define CCW_CMD_SENSE_ID    0xe4u /* R struct ccw_sense_id */

#define VIRTIO_CCW_REV_LEGACY 0u
#define VIRTIO_CCW_REV_MODERN 1u
#define VIRTIO_CCW_REV_STATUS 2u /* with READ_STATUS */
#define VIRTIO_CCW_REV_MAX    2u

/* Payloads: big-endian numbers at any alignment, but for `features` of struct virtio_feature_desc. */
struct virtio_rev_info {
	uint8_t revision[2];
	uint8_t length[2]; /* of what follows; 0 in all revisions so far */
};

struct virtio_feature_desc {
	uint8_t features[4]; /* little-endian */
	uint8_t index;       /* of these 32 bits */
};

struct vq_config_block {
	uint8_t index[2];
	uint8_t max_num[2]; /* 0: no such queue */
};

struct vq_info_block {
	uint8_t desc[8]; /* addresses */
	uint8_t res0[4];
	uint8_t index[2];
	uint8_t num[2];
	uint8_t driver[8];
	uint8_t device[8];
};

struct vq_info_block_legacy {
	uint8_t queue[8]; /* address of all three areas */
	uint8_t align[4];
	uint8_t index[2];
	uint8_t num[2];
};

struct virtio_thinint_area {
	uint8_t summary_indicator[8]; /* address of a byte */
	uint8_t indicator[8];         /* address of the bits, counted from the left */
	uint8_t bit_nr[8];            /* of queue 0 */
	uint8_t isc;                  /* interruption subclass */
};

struct ccw_sense_id {
	uint8_t reserved; /* all ones */
	uint8_t cu_type[2];
	uint8_t cu_model;
	uint8_t dev_type[2];
	uint8_t dev_model;
};

/* A channel command word as it lies in memory (format 1), at a multiple of 8 below 2 GiB. */
struct ccw1 {
	uint8_t cmd_code;
	uint8_t flags;
	uint8_t count[2];
	uint8_t cda[4]; /* 31 bits */
};

#define CCW_FLAG_CD      0x80u /* the next one has more data */
#define CCW_FLAG_CC      0x40u /* another command follows */
#define CCW_FLAG_SLI     0x20u /* a wrong length is none */
#define CCW_FLAG_SKIP    0x10u
#define CCW_FLAG_PCI     0x08u
#define CCW_FLAG_IDA     0x04u
#define CCW_FLAG_SUSPEND 0x02u
#define CCW_FLAG_MIDA    0x01u

/* Device status. */
#define CCW_DSTAT_CHANNEL_END 0x08u
#define CCW_DSTAT_DEVICE_END  0x04u
#define CCW_DSTAT_UNIT_CHECK  0x02u

/* Subchannel status. */
#define CCW_CSTAT_INCORRECT_LENGTH 0x40u
#define CCW_CSTAT_PROGRAM_CHECK    0x20u

#define CCW_SENSE_BYTES          32u
#define CCW_SENSE_COMMAND_REJECT 0x80u /* in the first of them */

/* Of the summary indicator. */
#define VIRTIO_CCW_SUMMARY 0x01u

/* The hypercall that notifies: its number, and the function code in general register 1. */
#define VIRTIO_CCW_DIAGNOSE          0x500u
#define VIRTIO_CCW_DIAGNOSE_FUNCTION 3u

#endif
