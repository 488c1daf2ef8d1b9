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
 * Simulation and double-fetch tests put their hooks here. VIO_SHARED_LOAD, when
 * defined, is called before each load with the address and size. VIO_SHARED_STORE is
 * called instead of each store with the address, the raw value, its size and whether
 * it is a release; when it says false, the store happens after it. VIO_SHARED_BARRIER
 * is called at each full barrier.
 */
#ifndef VIO_SHARED_LOAD
#define VIO_SHARED_LOAD(address, size) ((void)0)
#endif
#ifndef VIO_SHARED_STORE
#define VIO_SHARED_STORE(address, raw, size, release) false
#endif
#ifndef VIO_SHARED_BARRIER
#define VIO_SHARED_BARRIER() ((void)0)
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
	if (VIO_SHARED_STORE(to, VIO_LE16_RAW(value), sizeof(*to), false))
		return;
	__atomic_store_n(&to->raw, VIO_LE16_RAW(value), __ATOMIC_RELAXED);
}

static inline void vio_store_le32(vio_le32 *to, uint32_t value)
{
	if (VIO_SHARED_STORE(to, VIO_LE32_RAW(value), sizeof(*to), false))
		return;
	__atomic_store_n(&to->raw, VIO_LE32_RAW(value), __ATOMIC_RELAXED);
}

static inline void vio_store_le64(vio_le64 *to, uint64_t value)
{
	if (VIO_SHARED_STORE(to, VIO_LE64_RAW(value), sizeof(*to), false))
		return;
	__atomic_store_n(&to->raw, VIO_LE64_RAW(value), __ATOMIC_RELAXED);
}

static inline void vio_store_release_le16(vio_le16 *to, uint16_t value)
{
	if (VIO_SHARED_STORE(to, VIO_LE16_RAW(value), sizeof(*to), true))
		return;
	__atomic_store_n(&to->raw, VIO_LE16_RAW(value), __ATOMIC_RELEASE);
}

/* Orders earlier stores before later loads, which nothing weaker does. */
static inline void vio_full_barrier(void)
{
	VIO_SHARED_BARRIER();
#if defined(__SANITIZE_THREAD__)
	/* The same; gcc warns that ThreadSanitizer learns nothing from the other spelling. */
	__sync_synchronize();
#else
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
}

#endif
