/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_SPEC_VIRTIO_MMIO_H
#define VIREO_SPEC_VIRTIO_MMIO_H

/* Registers of virtio over MMIO (4.2.2, legacy 4.2.4) by offset: R what the driver reads, W writes. */

#define VIRTIO_MMIO_MAGIC_VALUE         0x000u /* R */
#define VIRTIO_MMIO_VERSION             0x004u /* R */
#define VIRTIO_MMIO_DEVICE_ID           0x008u /* R */
#define VIRTIO_MMIO_VENDOR_ID           0x00cu /* R */
#define VIRTIO_MMIO_DEVICE_FEATURES     0x010u /* R */
#define VIRTIO_MMIO_DEVICE_FEATURES_SEL 0x014u /* W */
#define VIRTIO_MMIO_DRIVER_FEATURES     0x020u /* W */
#define VIRTIO_MMIO_DRIVER_FEATURES_SEL 0x024u /* W */
#define VIRTIO_MMIO_GUEST_PAGE_SIZE     0x028u /* W, legacy */
#define VIRTIO_MMIO_QUEUE_SEL           0x030u /* W */
#define VIRTIO_MMIO_QUEUE_SIZE_MAX      0x034u /* R */
#define VIRTIO_MMIO_QUEUE_SIZE          0x038u /* W */
#define VIRTIO_MMIO_QUEUE_ALIGN         0x03cu /* W, legacy */
#define VIRTIO_MMIO_QUEUE_PFN           0x040u /* RW, legacy */
#define VIRTIO_MMIO_QUEUE_READY         0x044u /* RW */
#define VIRTIO_MMIO_QUEUE_NOTIFY        0x050u /* W */
#define VIRTIO_MMIO_INTERRUPT_STATUS    0x060u /* R */
#define VIRTIO_MMIO_INTERRUPT_ACK       0x064u /* W */
#define VIRTIO_MMIO_STATUS              0x070u /* RW, 0 resets */
#define VIRTIO_MMIO_QUEUE_DESC_LOW      0x080u /* W */
#define VIRTIO_MMIO_QUEUE_DESC_HIGH     0x084u /* W */
#define VIRTIO_MMIO_QUEUE_DRIVER_LOW    0x090u /* W */
#define VIRTIO_MMIO_QUEUE_DRIVER_HIGH   0x094u /* W */
#define VIRTIO_MMIO_QUEUE_DEVICE_LOW    0x0a0u /* W */
#define VIRTIO_MMIO_QUEUE_DEVICE_HIGH   0x0a4u /* W */
#define VIRTIO_MMIO_SHM_SEL             0x0acu /* W */
#define VIRTIO_MMIO_SHM_LEN_LOW         0x0b0u /* R */
#define VIRTIO_MMIO_SHM_LEN_HIGH        0x0b4u /* R */
#define VIRTIO_MMIO_SHM_BASE_LOW        0x0b8u /* R */
#define VIRTIO_MMIO_SHM_BASE_HIGH       0x0bcu /* R */
#define VIRTIO_MMIO_QUEUE_RESET         0x0c0u /* RW */
#define VIRTIO_MMIO_CONFIG_GENERATION   0x0fcu /* R */
#define VIRTIO_MMIO_CONFIG              0x100u /* RW, the device's own */

#define VIRTIO_MMIO_MAGIC          0x74726976u
#define VIRTIO_MMIO_VERSION_LEGACY 1u
#define VIRTIO_MMIO_VERSION_MODERN 2u

/* Bits of InterruptStatus and InterruptACK. */
#define VIRTIO_MMIO_INT_VRING  1u
#define VIRTIO_MMIO_INT_CONFIG 2u

#endif
