/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_BASE_H
#define VIREO_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vireo/spec/types.h>

/*
 * What everything else stands on: visibility, error codes, little-endian
 * integers, arithmetic that can't wrap unseen. No state, usable anywhere.
 */

#ifdef __cplusplus
#define VIO_STATIC_ASSERT(cond, what) static_assert(cond, what)
#else
#define VIO_STATIC_ASSERT(cond, what) _Static_assert(cond, what)
#endif

#if defined(__GNUC__)
#define VIO_API __attribute__((visibility("default")))
#else
#define VIO_API
#endif

#define VIO_ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/* The structure of the given type of which `pointer` is the named member. */
#define VIO_CONTAINER_OF(pointer, type, member) ((type *)(void *)((char *)(pointer) - offsetof(type, member)))

/*
 * Result codes. Functions that can fail return 0 (or a count) on success and
 * one of these, negated, on failure: `return -VIO_EINVAL;`.
 */
enum vio_error {
	VIO_EINVAL = 1, /* an argument is malformed */
	VIO_ERANGE,     /* a value is outside its limits */
	VIO_ENOENT,     /* no such thing */
	VIO_EEXIST,     /* there is one already */
	VIO_ENOMEM,     /* out of memory, or the storage given is too small */
	VIO_ENOSPC,     /* the queue or table is full */
	VIO_EAGAIN,     /* not now; try again */
	VIO_EBUSY,      /* in use */
	VIO_EPHASE,     /* not in this phase of its life */
	VIO_EPEER,      /* the peer broke the standard; a fault is recorded */
	VIO_EPROTO,     /* a message is malformed or out of order */
	VIO_ENOTSUP,    /* not supported */
	VIO_EIO,        /* storage or transfer failed */
	VIO_EACCES,     /* not allowed */
	VIO_ESTATE,     /* saved state is damaged, foreign or of another version */
	VIO_EHANGUP,    /* the peer closed the connection */
	VIO_ESYS,       /* a system call failed for another reason */
	VIO_ERROR_COUNT
};

/* A short English phrase for a code of either sign; never NULL. */
VIO_API const char *vio_strerror(int error);

/* Byte order. */

static inline uint16_t vio_bswap16(uint16_t value)
{
	return __builtin_bswap16(value);
}

static inline uint32_t vio_bswap32(uint32_t value)
{
	return __builtin_bswap32(value);
}

static inline uint64_t vio_bswap64(uint64_t value)
{
	return __builtin_bswap64(value);
}

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define VIO_LE16_RAW(value) vio_bswap16(value)
#define VIO_LE32_RAW(value) vio_bswap32(value)
#define VIO_LE64_RAW(value) vio_bswap64(value)
#else
#define VIO_LE16_RAW(value) ((uint16_t)(value))
#define VIO_LE32_RAW(value) ((uint32_t)(value))
#define VIO_LE64_RAW(value) ((uint64_t)(value))
#endif

static inline uint16_t vio_le16_get(vio_le16 value)
{
	return VIO_LE16_RAW(value.raw);
}

static inline uint32_t vio_le32_get(vio_le32 value)
{
	return VIO_LE32_RAW(value.raw);
}

static inline uint64_t vio_le64_get(vio_le64 value)
{
	return VIO_LE64_RAW(value.raw);
}

static inline vio_le16 vio_le16_make(uint16_t value)
{
	vio_le16 wire = { VIO_LE16_RAW(value) };

	return wire;
}

static inline vio_le32 vio_le32_make(uint32_t value)
{
	vio_le32 wire = { VIO_LE32_RAW(value) };

	return wire;
}

static inline vio_le64 vio_le64_make(uint64_t value)
{
	vio_le64 wire = { VIO_LE64_RAW(value) };

	return wire;
}

/* Arithmetic on values that a peer chose: true and *sum or *product set, or false when it doesn't fit. */

static inline bool vio_add_u64(uint64_t a, uint64_t b, uint64_t *sum)
{
	return !__builtin_add_overflow(a, b, sum);
}

static inline bool vio_mul_u64(uint64_t a, uint64_t b, uint64_t *product)
{
	return !__builtin_mul_overflow(a, b, product);
}

static inline bool vio_is_power_of_two(uint64_t value)
{
	return value && !(value & (value - 1));
}

#endif
