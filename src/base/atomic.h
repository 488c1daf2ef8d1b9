/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_BASE_ATOMIC_H
#define VIO_BASE_ATOMIC_H

#include <vireo/base.h>

/*
 * Access to memory that another processor may change at any moment. Each of these
 * is one load or store of the whole value; the compiler neither repeats nor splits
 * it. A user of vio_load_acquire_le16() names the store that it pairs with, and
 * the other way round.
 *
 * VIO_SHARED_LOAD, when defined, is called before each load with the address and
 * size: simulation and double-fetch tests put their hook there.
 */
#ifndef VIO_SHARED_LOAD
#define VIO_SHARED_LOAD(address, size) ((void)0)
#endif

static inline uint16_t vio_load_le16(const vio_le16 *from)
{
	VIO_SHARED_LOAD(from, sizeof(*from));
	return VIO_LE16_RAW(__atomic_load_n(&from->raw, __ATOMIC_RELAXED));
}

static inline uint32_t vio_load_le32(const vio_le32 *from)
{
	VIO_SHARED_LOAD(from, sizeof(*from));
	return VIO_LE32_RAW(__atomic_load_n(&from->raw, __ATOMIC_RELAXED));
}

static inline uint64_t vio_load_le64(const vio_le64 *from)
{
	VIO_SHARED_LOAD(from, sizeof(*from));
	return VIO_LE64_RAW(__atomic_load_n(&from->raw, __ATOMIC_RELAXED));
}

static inline uint16_t vio_load_acquire_le16(const vio_le16 *from)
{
	VIO_SHARED_LOAD(from, sizeof(*from));
	return VIO_LE16_RAW(__atomic_load_n(&from->raw, __ATOMIC_ACQUIRE));
}

static inline void vio_store_le16(vio_le16 *to, uint16_t value)
{
	__atomic_store_n(&to->raw, VIO_LE16_RAW(value), __ATOMIC_RELAXED);
}

static inline void vio_store_le32(vio_le32 *to, uint32_t value)
{
	__atomic_store_n(&to->raw, VIO_LE32_RAW(value), __ATOMIC_RELAXED);
}

static inline void vio_store_le64(vio_le64 *to, uint64_t value)
{
	__atomic_store_n(&to->raw, VIO_LE64_RAW(value), __ATOMIC_RELAXED);
}

static inline void vio_store_release_le16(vio_le16 *to, uint16_t value)
{
	__atomic_store_n(&to->raw, VIO_LE16_RAW(value), __ATOMIC_RELEASE);
}

/* Orders earlier stores before later loads, which nothing weaker does. */
static inline void vio_full_barrier(void)
{
#if defined(__SANITIZE_THREAD__)
	/* The same; gcc warns that ThreadSanitizer learns nothing from the other spelling. */
	__sync_synchronize();
#else
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
}

#endif
