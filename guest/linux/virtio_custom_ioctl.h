/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
#ifndef VIRTIO_CUSTOM_IOCTL_H
#define VIRTIO_CUSTOM_IOCTL_H

/*
 * The ioctls of /dev/adderN and /dev/caesarN, for user space and for the two
 * drivers. Every argument is a pointer to the type named.
 */
#include <linux/ioctl.h>
#include <linux/types.h>

#define VIRTIO_CUSTOM_IOC_MAGIC 0xEA

/* Add one to the number, in place; waits for the device. */
#define VIRTIO_ADDER_IOC_ADD _IOWR(VIRTIO_CUSTOM_IOC_MAGIC, 0x00, __s32)

/* The rotation, 0..25. EINVAL when the device doesn't take the value. */
#define VIRTIO_CAESAR_IOC_GET_SHIFT _IOR(VIRTIO_CUSTOM_IOC_MAGIC, 0x10, __u32)
#define VIRTIO_CAESAR_IOC_SET_SHIFT _IOW(VIRTIO_CUSTOM_IOC_MAGIC, 0x11, __u32)

/* 0 enciphers, 1 deciphers. EINVAL when the device doesn't take the value. */
#define VIRTIO_CAESAR_IOC_GET_MODE _IOR(VIRTIO_CUSTOM_IOC_MAGIC, 0x12, __u32)
#define VIRTIO_CAESAR_IOC_SET_MODE _IOW(VIRTIO_CUSTOM_IOC_MAGIC, 0x13, __u32)

#endif
