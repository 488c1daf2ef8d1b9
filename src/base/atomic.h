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

/*
 * Several neighbouring fields in one access, whatever their types: those at the lower
 * addresses are the lower bits. `from` and `to` are 4 or 8 aligned. Where a processor
 * can't do 8 bytes at once, the upper half is loaded first and stored last: a flag in
 * it orders all of them.
 */
typedef uint32_t __attribute__((may_alias)) vio_fields32;
typedef uint64_t __attribute__((may_alias)) vio_fields64;

static inline uint32_t vio_load_fields32(const void *from)
{
	VIO_SHARED_LOAD(from, 4);
	return VIO_LE32_RAW(__atomic_load_n((const vio_fields32 *)from, __ATOMIC_RELAXED));
}

static inline void vio_store_fields32(void *to, uint32_t value)
{
	if (VIO_SHARED_STORE(to, VIO_LE32_RAW(value), 4, false))
		return;
	__atomic_store_n((vio_fields32 *)to, VIO_LE32_RAW(value), __ATOMIC_RELAXED);
}

#if __SIZEOF_POINTER__ >= 8

static inline uint64_t vio_load_fields64(const void *from)
{
	VIO_SHARED_LOAD(from, 8);
	return VIO_LE64_RAW(__atomic_load_n((const vio_fields64 *)from, __ATOMIC_RELAXED));
}

static inline uint64_t vio_load_acquire_fields64(const void *from)
{
	VIO_SHARED_LOAD(from, 8);
	return VIO_LE64_RAW(__atomic_load_n((const vio_fields64 *)from, __ATOMIC_ACQUIRE));
}

static inline void vio_store_fields64(void *to, uint64_t value)
{
	if (VIO_SHARED_STORE(to, VIO_LE64_RAW(value), 8, false))
		return;
	__atomic_store_n((vio_fields64 *)to, VIO_LE64_RAW(value), __ATOMIC_RELAXED);
}

static inline void vio_store_release_fields64(void *to, uint64_t value)
{
	if (VIO_SHARED_STORE(to, VIO_LE64_RAW(value), 8, true))
		return;
	__atomic_store_n((vio_fields64 *)to, VIO_LE64_RAW(value), __ATOMIC_RELEASE);
}

#else

static inline uint64_t vio_load_acquire_fields64(const void *from)
{
	const vio_fields32 *halves = from;
	uint32_t high, low;

	VIO_SHARED_LOAD(from, 8);
	high = VIO_LE32_RAW(__atomic_load_n(&halves[1], __ATOMIC_ACQUIRE));
	low = VIO_LE32_RAW(__atomic_load_n(&halves[0], __ATOMIC_RELAXED));
	return (uint64_t)high << 32 | low;
}

static inline uint64_t vio_load_fields64(const void *from)
{
	return vio_load_acquire_fields64(from);
}

static inline void vio_store_release_fields64(void *to, uint64_t value)
{
	vio_fields32 *halves = to;

	if (VIO_SHARED_STORE(to, VIO_LE64_RAW(value), 8, true))
		return;
	__atomic_store_n(&halves[0], VIO_LE32_RAW((uint32_t)value), __ATOMIC_RELAXED);
	__atomic_store_n(&halves[1], VIO_LE32_RAW((uint32_t)(value >> 32)), __ATOMIC_RELEASE);
}

static inline void vio_store_fields64(void *to, uint64_t value)
{
	vio_store_release_fields64(to, value);
}

#endif

/* Orders earlier stores before later loads, which nothing weaker does. */
static inline void vio_full_barrier(void)
{
	VIO_SHARED_BARRIER();
#if defined(__SANITIZE_THREAD__)
	/* The same; gcc warns that ThreadSanitizer learns nothing from the other spelling. */
	__sync_synchronize();
#elif defined(__x86_64__)
	/* What compilers make of a fence, mfence, takes twice as long: it orders more than this memory. */
	__asm__ volatile("lock addl $0, -4(%%rsp)" ::: "memory", "cc");
#else
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
}

/*
 * For the other side of VIRTIO_F_ORDER_PLATFORM: hardware, which the loads, stores and fences
 * above, made for processors, needn't order things for. The full one goes where
 * vio_full_barrier() goes otherwise, the write one before a release, the read one behind an
 * acquire; these two are nothing where stores and loads keep their order anyhow.
 */
static inline void vio_platform_barrier(void)
{
	VIO_SHARED_BARRIER();
#if defined(__aarch64__)
	__asm__ volatile("dmb sy" ::: "memory");
#elif defined(__riscv)
	__asm__ volatile("fence iorw, iorw" ::: "memory");
#elif defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
	__asm__ volatile("mfence" ::: "memory");
#else
	__sync_synchronize();
#endif
}

static inline void vio_platform_write_barrier(void)
{
#if defined(__aarch64__)
	__asm__ volatile("dmb oshst" ::: "memory");
#elif defined(__riscv)
	__asm__ volatile("fence ow, ow" ::: "memory");
#elif defined(__x86_64__)
	__asm__ volatile("" ::: "memory");
#else
	__sync_synchronize();
#endif
}

static inline void vio_platform_read_barrier(void)
{
#if defined(__aarch64__)
	__asm__ volatile("dmb oshld" ::: "memory");
#elif defined(__riscv)
	__asm__ volatile("fence ir, ir" ::: "memory");
#elif defined(__x86_64__)
	__asm__ volatile("" ::: "memory");
#else
	__sync_synchronize();
#endif
}

/* Sets bits of a byte that others change, too, and says what it was before; orders all around it. */
static inline uint8_t vio_fetch_or8(uint8_t *byte, uint8_t bits)
{
#if defined(__riscv)
	/* It has no such operation on bytes, and a compiler's would be a call: on the word around it. */
	typedef uint32_t word __attribute__((may_alias));
	const uintptr_t at = (uintptr_t)byte;
	const unsigned shift = 8 * (unsigned)(at & 3);

	return (uint8_t)(__atomic_fetch_or((word *)(at & ~(uintptr_t)3), (uint32_t)bits << shift,
					   __ATOMIC_SEQ_CST) >>
			 shift);
#else
	return __atomic_fetch_or(byte, bits, __ATOMIC_SEQ_CST);
#endif
}

/* Between two looks of one who waits for another processor. */
static inline void vio_pause(void)
{
#if defined(__aarch64__)
	__asm__ volatile("yield" ::: "memory");
#elif defined(__riscv)
	__asm__ volatile(".word 0x0100000f" ::: "memory"); /* pause, which older ones pass over */
#elif defined(__x86_64__) || defined(__i386__)
	__asm__ volatile("pause" ::: "memory");
#else
	__asm__ volatile("" ::: "memory");
#endif
}

#endif
