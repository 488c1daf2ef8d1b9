/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_SPEC_VFIO_USER_H
#define VIREO_SPEC_VFIO_USER_H

#include <stdint.h>

/*
 * The vfio-user protocol, version 0.0: a PCI device in one process (the server), the
 * virtual machine in another (the client). Numbers are in the host's own byte order.
 */

#define VFIO_USER_VERSION_MAJOR 0u
#define VFIO_USER_VERSION_MINOR 0u

/* Commands; all but DMA_READ and DMA_WRITE from client to server. */
#define VFIO_USER_VERSION                  1u
#define VFIO_USER_DMA_MAP                  2u
#define VFIO_USER_DMA_UNMAP                3u
#define VFIO_USER_DEVICE_GET_INFO          4u
#define VFIO_USER_DEVICE_GET_REGION_INFO   5u
#define VFIO_USER_DEVICE_GET_REGION_IO_FDS 6u
#define VFIO_USER_DEVICE_GET_IRQ_INFO      7u
#define VFIO_USER_DEVICE_SET_IRQS          8u
#define VFIO_USER_REGION_READ              9u
#define VFIO_USER_REGION_WRITE             10u
#define VFIO_USER_DMA_READ                 11u
#define VFIO_USER_DMA_WRITE                12u
#define VFIO_USER_DEVICE_RESET             13u
#define VFIO_USER_REGION_WRITE_MULTI       15u
#define VFIO_USER_DEVICE_FEATURE           16u
#define VFIO_USER_MIG_DATA_READ            17u
#define VFIO_USER_MIG_DATA_WRITE           18u

struct vfio_user_header {
	uint16_t id; /* the sender's; an answer has the same */
	uint16_t command;
	uint32_t size; /* with this header */
	uint32_t flags;
	uint32_t error; /* errno, of an answer with ERROR */
};

#define VFIO_USER_FLAGS_TYPE_MASK 0x0fu
#define VFIO_USER_FLAGS_COMMAND   0x00u
#define VFIO_USER_FLAGS_REPLY     0x01u
#define VFIO_USER_FLAGS_NO_REPLY  0x10u
#define VFIO_USER_FLAGS_ERROR     0x20u

/* VERSION; capabilities follow as JSON with a NUL at the end, or nothing does. */
struct vfio_user_version {
	uint16_t major;
	uint16_t minor;
};

/* What a side has that says nothing. */
#define VFIO_USER_MAX_MSG_FDS        1u
#define VFIO_USER_MAX_DATA_XFER_SIZE 1048576u

/* DMA_MAP */
struct vfio_user_dma_map {
	uint32_t argsz;
	uint32_t flags;
	uint64_t offset; /* in the file that comes with it */
	uint64_t address;
	uint64_t size;
};

#define VFIO_USER_DMA_MAP_READ  0x1u
#define VFIO_USER_DMA_MAP_WRITE 0x2u

/* DMA_UNMAP; the answer is the same. */
struct vfio_user_dma_unmap {
	uint32_t argsz;
	uint32_t flags;
	uint64_t address;
	uint64_t size;
};

/* DEVICE_GET_INFO */
struct vfio_user_device_info {
	uint32_t argsz;
	uint32_t flags;
	uint32_t num_regions;
	uint32_t num_irqs;
};

#define VFIO_USER_DEVICE_RESETS 0x1u
#define VFIO_USER_DEVICE_PCI    0x2u

/* Regions of a PCI device: its BARs, then these. */
#define VFIO_USER_REGION_ROM    6u
#define VFIO_USER_REGION_CONFIG 7u
#define VFIO_USER_REGION_VGA    8u
#define VFIO_USER_REGIONS       9u

/* DEVICE_GET_REGION_INFO */
struct vfio_user_region_info {
	uint32_t argsz;
	uint32_t flags;
	uint32_t index;
	uint32_t cap_offset;
	uint64_t size;
	uint64_t offset;
};

#define VFIO_USER_REGION_READS  0x1u
#define VFIO_USER_REGION_WRITES 0x2u

/* DEVICE_GET_REGION_IO_FDS; the answer has `count` places behind it. */
struct vfio_user_io_fds {
	uint32_t argsz;
	uint32_t flags;
	uint32_t index;
	uint32_t count;
};

struct vfio_user_io_fd {
	uint64_t offset;
	uint64_t size;
	uint32_t fd_index;
	uint32_t type;
	uint32_t flags;
	uint32_t padding;
	uint64_t datamatch;
};

#define VFIO_USER_IO_FD_IOEVENTFD 0u

/* Interrupts of a PCI device. */
#define VFIO_USER_IRQ_INTX 0u
#define VFIO_USER_IRQ_MSI  1u
#define VFIO_USER_IRQ_MSIX 2u
#define VFIO_USER_IRQ_ERR  3u
#define VFIO_USER_IRQ_REQ  4u
#define VFIO_USER_IRQS     5u

/* DEVICE_GET_IRQ_INFO */
struct vfio_user_irq_info {
	uint32_t argsz;
	uint32_t flags;
	uint32_t index;
	uint32_t count;
};

#define VFIO_USER_IRQ_EVENTFD    0x1u
#define VFIO_USER_IRQ_MASKABLE   0x2u
#define VFIO_USER_IRQ_AUTOMASKED 0x4u

/* DEVICE_SET_IRQS; with DATA_BOOL a byte for each follows. */
struct vfio_user_irq_set {
	uint32_t argsz;
	uint32_t flags;
	uint32_t index;
	uint32_t start;
	uint32_t count;
};

#define VFIO_USER_IRQ_SET_NONE        0x01u
#define VFIO_USER_IRQ_SET_BOOL        0x02u
#define VFIO_USER_IRQ_SET_EVENTFD     0x04u
#define VFIO_USER_IRQ_SET_DATA_MASK   0x07u
#define VFIO_USER_IRQ_SET_MASK        0x08u
#define VFIO_USER_IRQ_SET_UNMASK      0x10u
#define VFIO_USER_IRQ_SET_TRIGGER     0x20u
#define VFIO_USER_IRQ_SET_ACTION_MASK 0x38u

/* DMA_READ and DMA_WRITE; `count` bytes follow what is written, and the answer to a read. */
struct vfio_user_dma_access {
	uint64_t address;
	uint64_t count;
};

/* REGION_READ and REGION_WRITE; `count` bytes follow what was written, and the answer to a read. */
struct vfio_user_region_access {
	uint64_t offset;
	uint32_t region;
	uint32_t count;
};

/* One of REGION_WRITE_MULTI, of which 64 bits of number come first. */
struct vfio_user_region_write {
	uint64_t offset;
	uint32_t region;
	uint32_t count;
	uint8_t data[8];
};

/* DEVICE_FEATURE */
struct vfio_user_feature {
	uint32_t argsz;
	uint32_t flags;
};

#define VFIO_USER_FEATURE_MASK  0x0ffffu
#define VFIO_USER_FEATURE_GET   0x10000u
#define VFIO_USER_FEATURE_SET   0x20000u
#define VFIO_USER_FEATURE_PROBE 0x40000u

#define VFIO_USER_FEATURE_MIGRATION        1u
#define VFIO_USER_FEATURE_MIG_DEVICE_STATE 2u
#define VFIO_USER_FEATURE_LOGGING_START    6u
#define VFIO_USER_FEATURE_LOGGING_STOP     7u
#define VFIO_USER_FEATURE_LOGGING_REPORT   8u

/* MIGRATION: 64 bits of which of them there are. */
#define VFIO_USER_MIGRATION_STOP_COPY 0x1u
#define VFIO_USER_MIGRATION_P2P       0x2u
#define VFIO_USER_MIGRATION_PRE_COPY  0x4u

/* MIG_DEVICE_STATE */
struct vfio_user_mig_state {
	uint32_t device_state;
	uint32_t data_fd;
};

#define VFIO_USER_STATE_ERROR     0u
#define VFIO_USER_STATE_STOP      1u
#define VFIO_USER_STATE_RUNNING   2u
#define VFIO_USER_STATE_STOP_COPY 3u
#define VFIO_USER_STATE_RESUMING  4u

/* MIG_DATA_READ and MIG_DATA_WRITE; `size` bytes follow. */
struct vfio_user_mig_data {
	uint32_t argsz;
	uint32_t size;
};

#endif
