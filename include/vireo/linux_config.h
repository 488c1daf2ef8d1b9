/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_LINUX_CONFIG_H
#define VIREO_LINUX_CONFIG_H

#include <vireo/linux.h>

/*
 * The configuration space in the Linux kernel's spelling; see vireo/linux.h. Fields of virtio_cread() and
 * virtio_cwrite() are little-endian, in the driver's own order on a legacy device; those of the _le
 * variants are little-endian always.
 */

static inline bool virtio_is_little_endian(const struct virtio_device *vdev)
{
	return !vdev->vio->legacy || VIO_LE16_RAW(1) == 1;
}

#define __VIO_LINUX_ORDER(bits)                                                                        \
	static inline u##bits __vio_linux_order##bits(const struct virtio_device *vdev, u##bits value) \
	{                                                                                              \
		return virtio_is_little_endian(vdev) ? (u##bits)VIO_LE##bits##_RAW(value) : value;     \
	}

__VIO_LINUX_ORDER(16)
__VIO_LINUX_ORDER(32)
__VIO_LINUX_ORDER(64)

/* The order of fields that buffers and configuration share. */
#define cpu_to_virtio16(vdev, value) __vio_linux_order16(vdev, value)
#define cpu_to_virtio32(vdev, value) __vio_linux_order32(vdev, value)
#define cpu_to_virtio64(vdev, value) __vio_linux_order64(vdev, value)
#define virtio16_to_cpu(vdev, value) __vio_linux_order16(vdev, value)
#define virtio32_to_cpu(vdev, value) __vio_linux_order32(vdev, value)
#define virtio64_to_cpu(vdev, value) __vio_linux_order64(vdev, value)

/* One field of 1, 2, 4 or 8 bytes, or bytes in the order they have. */
enum vio_linux_order {
	VIO_LINUX_ORDER_VIRTIO,
	VIO_LINUX_ORDER_LITTLE,
};

/* Reads `length` bytes and stores a number of that length at `to`; all ones when nobody answers. */
VIO_API void vio_linux_read_field(struct virtio_device *vdev, unsigned int offset, void *to,
				  unsigned int length, enum vio_linux_order order);
/* Writes the number of `length` bytes at `from`. */
VIO_API void vio_linux_write_field(struct virtio_device *vdev, unsigned int offset, const void *from,
				   unsigned int length, enum vio_linux_order order);

/* The length of a member, which must be that of *pointer. */
#define __vio_linux_length(type, member, pointer) \
	(sizeof(((type *)0)->member) +            \
	 0 * sizeof(char[sizeof(((type *)0)->member) == sizeof(*(pointer)) ? 1 : -1]))

#define virtio_cread(vdev, type, member, pointer)                   \
	vio_linux_read_field(vdev, offsetof(type, member), pointer, \
			     __vio_linux_length(type, member, pointer), VIO_LINUX_ORDER_VIRTIO)
#define virtio_cwrite(vdev, type, member, pointer)                   \
	vio_linux_write_field(vdev, offsetof(type, member), pointer, \
			      __vio_linux_length(type, member, pointer), VIO_LINUX_ORDER_VIRTIO)
#define virtio_cread_le(vdev, type, member, pointer)                \
	vio_linux_read_field(vdev, offsetof(type, member), pointer, \
			     __vio_linux_length(type, member, pointer), VIO_LINUX_ORDER_LITTLE)
#define virtio_cwrite_le(vdev, type, member, pointer)                \
	vio_linux_write_field(vdev, offsetof(type, member), pointer, \
			      __vio_linux_length(type, member, pointer), VIO_LINUX_ORDER_LITTLE)

/* 0, or -ENOENT where the feature that brings the field wasn't accepted. */
#define virtio_cread_feature(vdev, bit, type, member, pointer) \
	(virtio_has_feature(vdev, bit) ? (virtio_cread(vdev, type, member, pointer), 0) : -ENOENT)
#define virtio_cread_le_feature(vdev, bit, type, member, pointer) \
	(virtio_has_feature(vdev, bit) ? (virtio_cread_le(vdev, type, member, pointer), 0) : -ENOENT)

static inline void virtio_cread_bytes(struct virtio_device *vdev, unsigned int offset, void *to,
				      size_t length)
{
	vdev->config->get(vdev, offset, to, (unsigned int)length);
}

static inline void virtio_cwrite_bytes(struct virtio_device *vdev, unsigned int offset, const void *from,
				       size_t length)
{
	vdev->config->set(vdev, offset, from, (unsigned int)length);
}

/* virtio_cread8() and virtio_cwrite8(), and those of the other widths. */
#define __VIO_LINUX_ACCESS(bits)                                                                    \
	static inline u##bits virtio_cread##bits(struct virtio_device *vdev, unsigned int offset)   \
	{                                                                                           \
		u##bits value;                                                                      \
                                                                                                    \
		vio_linux_read_field(vdev, offset, &value, sizeof(value), VIO_LINUX_ORDER_VIRTIO);  \
		return value;                                                                       \
	}                                                                                           \
	static inline void virtio_cwrite##bits(struct virtio_device *vdev, unsigned int offset,     \
					       u##bits value)                                       \
	{                                                                                           \
		vio_linux_write_field(vdev, offset, &value, sizeof(value), VIO_LINUX_ORDER_VIRTIO); \
	}

__VIO_LINUX_ACCESS(8)
__VIO_LINUX_ACCESS(16)
__VIO_LINUX_ACCESS(32)
__VIO_LINUX_ACCESS(64)

#endif
