/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_CONFIG_H
#define VIREO_CONFIG_H

/*
 * What can be left out where every byte counts: define a name as 0 while Vireo is
 * compiled. The API and the layout of its structures stay the same; what was left
 * out is refused like a feature that the other side lacks.
 */

/* Packed virtqueues; without them VIRTIO_F_RING_PACKED is never negotiated. */
#ifndef VIO_CONFIG_PACKED
#define VIO_CONFIG_PACKED 1
#endif

/* In drivers: VIRTIO_F_IN_ORDER, which is never accepted without it. */
#ifndef VIO_CONFIG_IN_ORDER
#define VIO_CONFIG_IN_ORDER 1
#endif

/* In drivers: VIRTIO_F_INDIRECT_DESC; without it each element of a buffer takes a descriptor of the ring. */
#ifndef VIO_CONFIG_INDIRECT
#define VIO_CONFIG_INDIRECT 1
#endif

/* In drivers: VIRTIO_F_RING_RESET; without it vio_dev_reset_queue() is refused. */
#ifndef VIO_CONFIG_RING_RESET
#define VIO_CONFIG_RING_RESET 1
#endif

/* In drivers: VIRTIO_F_ORDER_PLATFORM, which hardware needs. */
#ifndef VIO_CONFIG_ORDER_PLATFORM
#define VIO_CONFIG_ORDER_PLATFORM 1
#endif

/* Legacy devices in drivers (before VIRTIO 1.0): the first version of virtio-mmio, virtio-pci by port I/O. */
#ifndef VIO_CONFIG_LEGACY
#define VIO_CONFIG_LEGACY 1
#endif

#endif
