/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_SPEC_VIRTIO_PCI_H
#define VIREO_SPEC_VIRTIO_PCI_H

/* Virtio over PCI (4.1): ids, capabilities, the common configuration, the legacy header. */

#define VIRTIO_PCI_VENDOR_ID           0x1af4u
#define VIRTIO_PCI_DEVICE_ID_LEGACY    0x1000u /* the first transitional id */
#define VIRTIO_PCI_DEVICE_ID_MODERN    0x1040u /* plus the virtio device id */
#define VIRTIO_PCI_DEVICE_ID_LAST      0x107fu
#define VIRTIO_PCI_SUBSYSTEM_ID_MODERN 0x40u /* the least of a device that isn't transitional */

/* struct virtio_pci_cap, offsets. */
#define VIRTIO_PCI_CAP_LEN          2u  /* 8 */
#define VIRTIO_PCI_CAP_CFG_TYPE     3u  /* 8 */
#define VIRTIO_PCI_CAP_BAR          4u  /* 8 */
#define VIRTIO_PCI_CAP_ID           5u  /* 8 */
#define VIRTIO_PCI_CAP_OFFSET       8u  /* 32 */
#define VIRTIO_PCI_CAP_LENGTH       12u /* 32 */
#define VIRTIO_PCI_CAP_BYTES        16u
#define VIRTIO_PCI_NOTIFY_CAP_MULT  16u /* 32 */
#define VIRTIO_PCI_NOTIFY_CAP_BYTES 20u
#define VIRTIO_PCI_CFG_CAP_DATA     16u /* pci_cfg_data, 4 bytes */
#define VIRTIO_PCI_CFG_CAP_BYTES    20u

#define VIRTIO_PCI_CAP_COMMON_CFG        1u
#define VIRTIO_PCI_CAP_NOTIFY_CFG        2u
#define VIRTIO_PCI_CAP_ISR_CFG           3u
#define VIRTIO_PCI_CAP_DEVICE_CFG        4u
#define VIRTIO_PCI_CAP_PCI_CFG           5u
#define VIRTIO_PCI_CAP_SHARED_MEMORY_CFG 8u
#define VIRTIO_PCI_CAP_VENDOR_CFG        9u

/* struct virtio_pci_common_cfg, offsets. */
#define VIRTIO_PCI_COMMON_DFSELECT      0x00u /* 32, device_feature_select */
#define VIRTIO_PCI_COMMON_DF            0x04u /* 32, device_feature, R */
#define VIRTIO_PCI_COMMON_GFSELECT      0x08u /* 32, driver_feature_select */
#define VIRTIO_PCI_COMMON_GF            0x0cu /* 32, driver_feature */
#define VIRTIO_PCI_COMMON_MSIX          0x10u /* 16, config_msix_vector */
#define VIRTIO_PCI_COMMON_NUMQ          0x12u /* 16, num_queues, R */
#define VIRTIO_PCI_COMMON_STATUS        0x14u /* 8, device_status, 0 resets */
#define VIRTIO_PCI_COMMON_CFGGENERATION 0x15u /* 8, config_generation, R */
#define VIRTIO_PCI_COMMON_Q_SELECT      0x16u /* 16 */
#define VIRTIO_PCI_COMMON_Q_SIZE        0x18u /* 16 */
#define VIRTIO_PCI_COMMON_Q_MSIX        0x1au /* 16 */
#define VIRTIO_PCI_COMMON_Q_ENABLE      0x1cu /* 16 */
#define VIRTIO_PCI_COMMON_Q_NOFF        0x1eu /* 16, queue_notify_off, R */
#define VIRTIO_PCI_COMMON_Q_DESCLO      0x20u /* 32 */
#define VIRTIO_PCI_COMMON_Q_DESCHI      0x24u /* 32 */
#define VIRTIO_PCI_COMMON_Q_AVAILLO     0x28u /* 32, queue_driver */
#define VIRTIO_PCI_COMMON_Q_AVAILHI     0x2cu /* 32 */
#define VIRTIO_PCI_COMMON_Q_USEDLO      0x30u /* 32, queue_device */
#define VIRTIO_PCI_COMMON_Q_USEDHI      0x34u /* 32 */
#define VIRTIO_PCI_COMMON_Q_NDATA       0x38u /* 16, queue_notif_config_data, R */
#define VIRTIO_PCI_COMMON_Q_RESET       0x3au /* 16 */
#define VIRTIO_PCI_COMMON_ADM_Q_IDX     0x3cu /* 16, R */
#define VIRTIO_PCI_COMMON_ADM_Q_NUM     0x3eu /* 16, R */
#define VIRTIO_PCI_COMMON_BYTES         0x40u
#define VIRTIO_PCI_COMMON_BYTES_MIN     0x38u /* what every modern device has */

#define VIRTIO_MSI_NO_VECTOR 0xffffu

/* Bits of the ISR status. */
#define VIRTIO_PCI_ISR_QUEUE  1u
#define VIRTIO_PCI_ISR_CONFIG 2u

/* The legacy header (4.1.4.10) in the I/O space of BAR 0, offsets. */
#define VIRTIO_PCI_HOST_FEATURES     0u  /* 32, R */
#define VIRTIO_PCI_GUEST_FEATURES    4u  /* 32 */
#define VIRTIO_PCI_QUEUE_PFN         8u  /* 32, address of the ring / 4096 */
#define VIRTIO_PCI_QUEUE_NUM         12u /* 16, R */
#define VIRTIO_PCI_QUEUE_SEL         14u /* 16 */
#define VIRTIO_PCI_QUEUE_NOTIFY      16u /* 16, W */
#define VIRTIO_PCI_STATUS            18u /* 8, 0 resets */
#define VIRTIO_PCI_ISR               19u /* 8, R, reading clears */
#define VIRTIO_PCI_LEGACY_BYTES      20u /* without MSI-X; the device's own configuration follows */
#define VIRTIO_MSI_CONFIG_VECTOR     20u /* 16, while MSI-X is enabled */
#define VIRTIO_MSI_QUEUE_VECTOR      22u /* 16 */
#define VIRTIO_PCI_LEGACY_MSIX_BYTES 24u

#define VIRTIO_PCI_QUEUE_ADDR_SHIFT 12u
#define VIRTIO_PCI_VRING_ALIGN      4096u

#endif
