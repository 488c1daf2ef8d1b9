/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_LINUX_BASE_H
#define VIREO_LINUX_BASE_H

#include <string.h>

#include <vireo/base.h>

/*
 * What a virtio driver in the manner of the Linux kernel takes from that kernel beside virtio itself:
 * integers, memory, error pointers, scatterlists, module macros. See vireo/linux.h.
 */

/* Integers. A 64-bit one is always long long, as with the kernel's headers for user space. */

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef unsigned long long u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef long long s64;
typedef uint8_t __u8;
typedef uint16_t __u16;
typedef uint32_t __u32;
typedef unsigned long long __u64;
typedef uint16_t __le16;
typedef uint32_t __le32;
typedef unsigned long long __le64;
typedef uint16_t __virtio16;
typedef uint32_t __virtio32;
typedef unsigned long long __virtio64;

#define cpu_to_le16(value) VIO_LE16_RAW(value)
#define cpu_to_le32(value) VIO_LE32_RAW(value)
#define cpu_to_le64(value) ((u64)VIO_LE64_RAW(value))
#define le16_to_cpu(value) VIO_LE16_RAW(value)
#define le32_to_cpu(value) VIO_LE32_RAW(value)
#define le64_to_cpu(value) ((u64)VIO_LE64_RAW(value))

#define ARRAY_SIZE(array) VIO_ARRAY_SIZE(array)
#ifndef container_of
#define container_of(pointer, type, member) VIO_CONTAINER_OF(pointer, type, member)
#endif

/* Error numbers, where the C library has not defined them already; Linux's values. */
#ifndef ENOENT
#define ENOENT 2
#endif
#ifndef EIO
#define EIO 5
#endif
#ifndef ENXIO
#define ENXIO 6
#endif
#ifndef EAGAIN
#define EAGAIN 11
#endif
#ifndef ENOMEM
#define ENOMEM 12
#endif
#ifndef EACCES
#define EACCES 13
#endif
#ifndef EFAULT
#define EFAULT 14
#endif
#ifndef EBUSY
#define EBUSY 16
#endif
#ifndef EEXIST
#define EEXIST 17
#endif
#ifndef ENODEV
#define ENODEV 19
#endif
#ifndef EINVAL
#define EINVAL 22
#endif
#ifndef ENOSPC
#define ENOSPC 28
#endif
#ifndef ERANGE
#define ERANGE 34
#endif
#ifndef EPROTO
#define EPROTO 71
#endif
#ifndef EOPNOTSUPP
#define EOPNOTSUPP 95
#endif
#ifndef ETIMEDOUT
#define ETIMEDOUT 110
#endif

/* The kernel's number for one of Vireo's codes, both negative or 0: -EIO for what has no equal. */
VIO_API int vio_linux_errno(int error);
/* And back: -VIO_EIO for a number that Vireo doesn't know. */
VIO_API int vio_linux_error(int number);

/* A pointer that may be a negative error number instead: one of the last page of all addresses. */

#define VIO_LINUX_ERRNO_MAX 4095

static inline void *ERR_PTR(long error)
{
	return (void *)(intptr_t)error;
}

static inline long PTR_ERR(const void *pointer)
{
	return (long)(intptr_t)pointer;
}

static inline bool IS_ERR(const void *pointer)
{
	return (uintptr_t)pointer >= (uintptr_t)-VIO_LINUX_ERRNO_MAX;
}

static inline bool IS_ERR_OR_NULL(const void *pointer)
{
	return !pointer || IS_ERR(pointer);
}

static inline int PTR_ERR_OR_ZERO(const void *pointer)
{
	return IS_ERR(pointer) ? (int)PTR_ERR(pointer) : 0;
}

/*
 * Memory of drivers. The hosted library has these two on top of malloc(); elsewhere the program defines
 * them, aligned for every type. NULL: there is none left.
 */
VIO_API void *vio_linux_alloc(size_t bytes);
/* NULL is fine. */
VIO_API void vio_linux_free(void *memory);

typedef unsigned int gfp_t;

#define GFP_KERNEL 0u
#define GFP_ATOMIC 1u
#define GFP_NOWAIT 2u
#define __GFP_ZERO 0x100u

static inline void *kmalloc(size_t bytes, gfp_t gfp)
{
	void *memory = vio_linux_alloc(bytes);

	if (memory && (gfp & __GFP_ZERO))
		memset(memory, 0, bytes);
	return memory;
}

static inline void *kzalloc(size_t bytes, gfp_t gfp)
{
	return kmalloc(bytes, gfp | __GFP_ZERO);
}

static inline void *kmalloc_array(size_t count, size_t bytes, gfp_t gfp)
{
	size_t total;

	return __builtin_mul_overflow(count, bytes, &total) ? NULL : kmalloc(total, gfp);
}

static inline void *kcalloc(size_t count, size_t bytes, gfp_t gfp)
{
	return kmalloc_array(count, bytes, gfp | __GFP_ZERO);
}

static inline void kfree(const void *memory)
{
	vio_linux_free((void *)(uintptr_t)memory);
}

/* Scatterlists: arrays of pieces of memory, the last one marked. */

struct scatterlist {
	void *address;
	unsigned int length;
	bool last;
};

static inline void sg_mark_end(struct scatterlist *sg)
{
	sg->last = true;
}

static inline void sg_unmark_end(struct scatterlist *sg)
{
	sg->last = false;
}

static inline void sg_init_table(struct scatterlist *list, unsigned int count)
{
	memset(list, 0, count * sizeof(*list));
	if (count)
		sg_mark_end(&list[count - 1]);
}

/* Leaves the mark of the end as it is. */
static inline void sg_set_buf(struct scatterlist *sg, const void *address, unsigned int length)
{
	sg->address = (void *)(uintptr_t)address;
	sg->length = length;
}

static inline void sg_init_one(struct scatterlist *sg, const void *address, unsigned int length)
{
	sg_init_table(sg, 1);
	sg_set_buf(sg, address, length);
}

static inline struct scatterlist *sg_next(struct scatterlist *sg)
{
	return sg->last ? NULL : sg + 1;
}

static inline void *sg_virt(const struct scatterlist *sg)
{
	return sg->address;
}

static inline int sg_nents(struct scatterlist *sg)
{
	int count = 0;

	for (; sg; sg = sg_next(sg))
		count++;
	return count;
}

#define for_each_sg(list, sg, count, i) for ((i) = 0, (sg) = (list); (i) < (count); (i)++, (sg) = sg_next(sg))

/*
 * Messages. VIO_LINUX_PRINT names a function of printf()'s form, such as printf itself; without it
 * messages are checked by the compiler and go nowhere.
 */
#ifdef VIO_LINUX_PRINT
int VIO_LINUX_PRINT(const char *format, ...);
#else
#define VIO_LINUX_PRINT vio_linux_print_nothing

__attribute__((format(printf, 1, 2))) static inline int vio_linux_print_nothing(const char *format, ...)
{
	(void)format;
	return 0;
}
#endif

#ifndef pr_fmt
#define pr_fmt(format) format
#endif
#define pr_err(format, ...)   ((void)VIO_LINUX_PRINT(pr_fmt(format), ##__VA_ARGS__))
#define pr_warn(format, ...)  pr_err(format, ##__VA_ARGS__)
#define pr_info(format, ...)  pr_err(format, ##__VA_ARGS__)
#define pr_debug(format, ...) ((void)sizeof(VIO_LINUX_PRINT(pr_fmt(format), ##__VA_ARGS__)))

struct device {
	const char *name; /* of the driver */
	void *driver_data;
};

static inline void dev_set_drvdata(struct device *dev, void *data)
{
	dev->driver_data = data;
}

static inline void *dev_get_drvdata(const struct device *dev)
{
	return dev->driver_data;
}

#define dev_err(dev, ...)  ((void)VIO_LINUX_PRINT("%s: ", (dev)->name), (void)VIO_LINUX_PRINT(__VA_ARGS__))
#define dev_warn(dev, ...) dev_err(dev, __VA_ARGS__)
#define dev_info(dev, ...) dev_err(dev, __VA_ARGS__)
#define dev_dbg(dev, ...)  ((void)(dev), (void)sizeof(VIO_LINUX_PRINT(__VA_ARGS__)))

/* Modules: a driver is found by its name, see VIO_LINUX_DRIVER() in vireo/linux.h. */

struct module;

#define THIS_MODULE ((struct module *)NULL)
#ifndef KBUILD_MODNAME
#define KBUILD_MODNAME "virtio_driver"
#endif
#define __init
#define __exit

#define MODULE_LICENSE(text)            VIO_STATIC_ASSERT(sizeof(text) > 1, "a licence has a name")
#define MODULE_AUTHOR(text)             VIO_STATIC_ASSERT(sizeof(text) > 1, "an author has a name")
#define MODULE_DESCRIPTION(text)        VIO_STATIC_ASSERT(sizeof(text) > 1, "a description has words")
#define MODULE_VERSION(text)            VIO_STATIC_ASSERT(sizeof(text) > 1, "a version has a number")
#define MODULE_ALIAS(text)              VIO_STATIC_ASSERT(sizeof(text) > 1, "an alias has a name")
#define MODULE_DEVICE_TABLE(bus, table) VIO_STATIC_ASSERT(sizeof(table) > 0, "a table has an end")

#endif
