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

static inline u16 __vio_linux_order16(const struct virtio_device *vdev, u16 value)
{
	return virtio_is_little_endian(vdev) ? VIO_LE16_RAW(value) : value;
}

static inline u32 __vio_linux_order32(const struct virtio_device *vdev, u32 value)
{
	return virtio_is_little_endian(vdev) ? VIO_LE32_RAW(value) : value;
}

static inline u64 __vio_linux_order64(const struct virtio_device *vdev, u64 value)
{
	return virtio_is_little_endian(vdev) ? (u64)VIO_LE64_RAW(value) : value;
}

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

/* Numbers by their offset. */

static inline u64 __vio_linux_number(struct virtio_device *vdev, unsigned int offset, unsigned int length)
{
	union {
		u8 of1;
		u16 of2;
		u32 of4;
		u64 of8;
	} value = { 0 };

	vio_linux_read_field(vdev, offset, &value, length, VIO_LINUX_ORDER_VIRTIO);
	return length == 1 ? value.of1 : length == 2 ? value.of2 : length == 4 ? value.of4 : value.of8;
}

static inline u8 virtio_cread8(struct virtio_device *vdev, unsigned int offset)
{
	return (u8)__vio_linux_number(vdev, offset, 1);
}

static inline u16 virtio_cread16(struct virtio_device *vdev, unsigned int offset)
{
	return (u16)__vio_linux_number(vdev, offset, 2);
}

static inline u32 virtio_cread32(struct virtio_device *vdev, unsigned int offset)
{
	return (u32)__vio_linux_number(vdev, offset, 4);
}

static inline u64 virtio_cread64(struct virtio_device *vdev, unsigned int offset)
{
	return (u64)__vio_linux_number(vdev, offset, 8);
}

static inline void virtio_cwrite8(struct virtio_device *vdev, unsigned int offset, u8 value)
{
	vio_linux_write_field(vdev, offset, &value, sizeof(value), VIO_LINUX_ORDER_VIRTIO);
}

static inline void virtio_cwrite16(struct virtio_device *vdev, unsigned int offset, u16 value)
{
	vio_linux_write_field(vdev, offset, &value, sizeof(value), VIO_LINUX_ORDER_VIRTIO);
}

static inline void virtio_cwrite32(struct virtio_device *vdev, unsigned int offset, u32 value)
{
	vio_linux_write_field(vdev, offset, &value, sizeof(value), VIO_LINUX_ORDER_VIRTIO);
}

static inline void virtio_cwrite64(struct virtio_device *vdev, unsigned int offset, u64 value)
{
	vio_linux_write_field(vdev, offset, &value, sizeof(value), VIO_LINUX_ORDER_VIRTIO);
}

#endif
