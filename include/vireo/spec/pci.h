/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_SPEC_PCI_H
#define VIREO_SPEC_PCI_H

/* What of PCI Local Bus 3.0 virtio over PCI stands on: configuration header, BARs, MSI-X, bridges. */

#define PCI_CONFIG_BYTES 256u
#define PCI_BUS_COUNT    256u
#define PCI_BAR_COUNT    6u

/* The header, offsets. */
#define PCI_VENDOR_ID        0x00u /* 16 bits; all ones: nobody is there */
#define PCI_DEVICE_ID        0x02u /* 16 */
#define PCI_COMMAND          0x04u /* 16 */
#define PCI_STATUS           0x06u /* 16 */
#define PCI_REVISION_ID      0x08u /* 8 */
#define PCI_CLASS_CODE       0x09u /* 24 */
#define PCI_HEADER_TYPE      0x0eu /* 8 */
#define PCI_BAR              0x10u /* 6 of 32 */
#define PCI_SUBSYSTEM_VENDOR 0x2cu /* 16 */
#define PCI_SUBSYSTEM_ID     0x2eu /* 16 */
#define PCI_CAPABILITIES     0x34u /* 8, offset of the first */
#define PCI_INTERRUPT_LINE   0x3cu /* 8 */
#define PCI_INTERRUPT_PIN    0x3du /* 8, 0: none, 1: INTA# */
#define PCI_HEADER_BYTES     0x40u

#define PCI_COMMAND_IO           0x0001u
#define PCI_COMMAND_MEMORY       0x0002u
#define PCI_COMMAND_MASTER       0x0004u
#define PCI_COMMAND_INTX_DISABLE 0x0400u

#define PCI_STATUS_INTERRUPT    0x0008u
#define PCI_STATUS_CAPABILITIES 0x0010u

#define PCI_HEADER_TYPE_MASK     0x7fu
#define PCI_HEADER_TYPE_FUNCTION 0x00u
#define PCI_HEADER_TYPE_BRIDGE   0x01u
#define PCI_HEADER_MULTIFUNCTION 0x80u

/* Of a bridge to another bus, offsets. */
#define PCI_BRIDGE_PRIMARY      0x18u /* 8 */
#define PCI_BRIDGE_SECONDARY    0x19u /* 8 */
#define PCI_BRIDGE_SUBORDINATE  0x1au /* 8 */
#define PCI_BRIDGE_IO_BASE      0x1cu /* 8, bits 15:12 of the first port in bits 7:4 */
#define PCI_BRIDGE_IO_LIMIT     0x1du /* 8, of the last */
#define PCI_BRIDGE_MEMORY_BASE  0x20u /* 16, bits 31:20 of the first byte in bits 15:4 */
#define PCI_BRIDGE_MEMORY_LIMIT 0x22u /* 16, of the last */

/* Low bits of a BAR. */
#define PCI_BAR_IO           0x1u
#define PCI_BAR_IO_MASK      0x3u /* bits that aren't address */
#define PCI_BAR_TYPE_MASK    0x6u
#define PCI_BAR_TYPE_32      0x0u
#define PCI_BAR_TYPE_64      0x4u
#define PCI_BAR_PREFETCHABLE 0x8u
#define PCI_BAR_MEMORY_MASK  0xfu

/* A capability: id, offset of the next. */
#define PCI_CAP_ID     0u
#define PCI_CAP_NEXT   1u
#define PCI_CAP_VENDOR 0x09u
#define PCI_CAP_MSIX   0x11u

/* MSI-X, offsets in the capability. */
#define PCI_MSIX_CONTROL   2u /* 16 */
#define PCI_MSIX_TABLE     4u /* 32, BAR in the low 3 bits */
#define PCI_MSIX_PBA       8u /* 32, the same */
#define PCI_MSIX_CAP_BYTES 12u

#define PCI_MSIX_CONTROL_SIZE   0x07ffu /* vectors less 1 */
#define PCI_MSIX_CONTROL_MASK   0x4000u
#define PCI_MSIX_CONTROL_ENABLE 0x8000u
#define PCI_MSIX_BAR_MASK       0x7u
#define PCI_MSIX_VECTORS_MAX    0x800u

/* An entry of the table, offsets. */
#define PCI_MSIX_ENTRY_ADDRESS_LOW  0u
#define PCI_MSIX_ENTRY_ADDRESS_HIGH 4u
#define PCI_MSIX_ENTRY_DATA         8u
#define PCI_MSIX_ENTRY_CONTROL      12u
#define PCI_MSIX_ENTRY_BYTES        16u
#define PCI_MSIX_ENTRY_MASKED       1u

/* Configuration mechanism #1. */
#define PCI_PORT_ADDRESS   0x0cf8u
#define PCI_PORT_DATA      0x0cfcu
#define PCI_ADDRESS_ENABLE 0x80000000u

#endif
