/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_LINK_KERNEL_ABI_H
#define VIO_LINK_KERNEL_ABI_H

#include <stdint.h>
#include <sys/ioctl.h>

/*
 * Linux's interface of vhost files, as far as it is used here: <linux/vhost.h> brings names of virtio's along
 * that are ours as well, and the one that is installed may know less than the kernel that runs.
 */

#define VHOST_CALL 0xAF

#define VHOST_FILE_UNBIND (-1)

struct vhost_vring_state {
	uint32_t index;
	uint32_t num;
};

struct vhost_vring_file {
	uint32_t index;
	int32_t fd;
};

struct vhost_vring_addr {
	uint32_t index;
	uint32_t flags;
	uint64_t desc_user_addr;
	uint64_t used_user_addr;
	uint64_t avail_user_addr;
	uint64_t log_guest_addr;
};

struct vhost_memory_region {
	uint64_t guest_phys_addr;
	uint64_t memory_size;
	uint64_t userspace_addr;
	uint64_t flags_padding;
};

struct vhost_memory {
	uint32_t nregions;
	uint32_t padding;
	struct vhost_memory_region regions[];
};

#define VHOST_GET_FEATURES         _IOR(VHOST_CALL, 0x00, uint64_t)
#define VHOST_SET_FEATURES         _IOW(VHOST_CALL, 0x00, uint64_t)
#define VHOST_SET_OWNER            _IO(VHOST_CALL, 0x01)
#define VHOST_SET_MEM_TABLE        _IOW(VHOST_CALL, 0x03, struct vhost_memory)
#define VHOST_SET_VRING_NUM        _IOW(VHOST_CALL, 0x10, struct vhost_vring_state)
#define VHOST_SET_VRING_ADDR       _IOW(VHOST_CALL, 0x11, struct vhost_vring_addr)
#define VHOST_SET_VRING_BASE       _IOW(VHOST_CALL, 0x12, struct vhost_vring_state)
#define VHOST_GET_VRING_BASE       _IOWR(VHOST_CALL, 0x12, struct vhost_vring_state)
#define VHOST_SET_VRING_KICK       _IOW(VHOST_CALL, 0x20, struct vhost_vring_file)
#define VHOST_SET_VRING_CALL       _IOW(VHOST_CALL, 0x21, struct vhost_vring_file)
#define VHOST_SET_VRING_ERR        _IOW(VHOST_CALL, 0x22, struct vhost_vring_file)
#define VHOST_SET_BACKEND_FEATURES _IOW(VHOST_CALL, 0x25, uint64_t)
#define VHOST_GET_BACKEND_FEATURES _IOR(VHOST_CALL, 0x26, uint64_t)

#define VHOST_NET_SET_BACKEND _IOW(VHOST_CALL, 0x30, struct vhost_vring_file)

#define VHOST_SCSI_GET_ABI_VERSION _IOW(VHOST_CALL, 0x42, int)

#define VHOST_VSOCK_SET_GUEST_CID _IOW(VHOST_CALL, 0x60, uint64_t)
#define VHOST_VSOCK_SET_RUNNING   _IOW(VHOST_CALL, 0x61, int)

/* Bits of VHOST_GET_FEATURES that are none of virtio's. */
#define VHOST_KERNEL_F_LOG_ALL        26
#define VHOST_KERNEL_F_VIRTIO_NET_HDR 27 /* vhost-net makes the packet headers itself */

/* Bits of VHOST_GET_BACKEND_FEATURES. */
#define VHOST_BACKEND_F_IOTLB_MSG_V2  1
#define VHOST_BACKEND_F_IOTLB_BATCH   2
#define VHOST_BACKEND_F_SUSPEND       4
#define VHOST_BACKEND_F_RESUME        5
#define VHOST_BACKEND_F_IOTLB_PERSIST 8

/* vhost-vdpa. */

struct vhost_vdpa_config {
	uint32_t off;
	uint32_t len;
	uint8_t buf[];
};

struct vhost_vdpa_iova_range {
	uint64_t first;
	uint64_t last;
};

#define VHOST_VDPA_GET_DEVICE_ID    _IOR(VHOST_CALL, 0x70, uint32_t)
#define VHOST_VDPA_GET_STATUS       _IOR(VHOST_CALL, 0x71, uint8_t)
#define VHOST_VDPA_SET_STATUS       _IOW(VHOST_CALL, 0x72, uint8_t)
#define VHOST_VDPA_GET_CONFIG       _IOR(VHOST_CALL, 0x73, struct vhost_vdpa_config)
#define VHOST_VDPA_SET_CONFIG       _IOW(VHOST_CALL, 0x74, struct vhost_vdpa_config)
#define VHOST_VDPA_SET_VRING_ENABLE _IOW(VHOST_CALL, 0x75, struct vhost_vring_state)
#define VHOST_VDPA_GET_VRING_NUM    _IOR(VHOST_CALL, 0x76, uint16_t)
#define VHOST_VDPA_SET_CONFIG_CALL  _IOW(VHOST_CALL, 0x77, int)
#define VHOST_VDPA_GET_IOVA_RANGE   _IOR(VHOST_CALL, 0x78, struct vhost_vdpa_iova_range)
#define VHOST_VDPA_GET_CONFIG_SIZE  _IOR(VHOST_CALL, 0x79, uint32_t)
#define VHOST_VDPA_GET_AS_NUM       _IOR(VHOST_CALL, 0x7A, uint32_t)
#define VHOST_VDPA_SUSPEND          _IO(VHOST_CALL, 0x7D)
#define VHOST_VDPA_RESUME           _IO(VHOST_CALL, 0x7E)
#define VHOST_VDPA_GET_VQS_COUNT    _IOR(VHOST_CALL, 0x80, uint32_t)
#define VHOST_VDPA_GET_GROUP_NUM    _IOR(VHOST_CALL, 0x81, uint32_t)

/* What is written to a vhost-vdpa file. */

#define VHOST_ACCESS_RW 3

enum {
	VHOST_IOTLB_UPDATE = 2,
	VHOST_IOTLB_INVALIDATE = 3,
	VHOST_IOTLB_BATCH_BEGIN = 5,
	VHOST_IOTLB_BATCH_END = 6,
};

struct vhost_iotlb_msg {
	uint64_t iova;
	uint64_t size;
	uint64_t uaddr;
	uint8_t perm;
	uint8_t type;
};

#define VHOST_IOTLB_MSG    1
#define VHOST_IOTLB_MSG_V2 2

/* `type`, and where the message begins, is the same in both forms; the second has an address space. */
struct vhost_msg {
	uint32_t type;
	uint32_t asid;
	union {
		struct vhost_iotlb_msg iotlb;
		uint8_t padding[64];
	};
};

#endif
