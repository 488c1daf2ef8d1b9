/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_BASE_ATOMIC_H
#define VIO_BASE_ATOMIC_H

#include <vireo/base.h>

#include "nondet.h"

/*
 * Stands for src/base/atomic.h in proofs: shared memory whose other user writes whatever it
 * likes whenever it likes. A load must be of memory that is there and gives any value, also
 * when the same place was read before, so what is proven holds whatever changes between two
 * loads. A store must be to memory that is there, and leaves no trace.
 */

#define MODEL_LOAD(name, type, value)                                                             \
	static inline value name(const type *from)                                                \
	{                                                                                         \
		__CPROVER_assert(__CPROVER_r_ok(from, sizeof(value)), "loads what is there");     \
		model_loaded(from, sizeof(value));                                                \
		return (value)nondet_u64();                                                       \
	}

#define MODEL_STORE(name, type, value)                                                            \
	static inline void name(type *to, value what)                                             \
	{                                                                                         \
		__CPROVER_assert(__CPROVER_w_ok(to, sizeof(value)), "stores to what is there");   \
		model_stored(to, sizeof(value), what);                                            \
	}

/* A harness that wants to know of them says how; see nondet.h. */
#ifndef MODEL_WATCHED
static inline void model_loaded(const void *from, size_t bytes)
{
	(void)from;
	(void)bytes;
}

static inline void model_stored(const void *to, size_t bytes, uint64_t what)
{
	(void)to;
	(void)bytes;
	(void)what;
}
#endif

MODEL_LOAD(vio_load_le16, vio_le16, uint16_t)
MODEL_LOAD(vio_load_le32, vio_le32, uint32_t)
MODEL_LOAD(vio_load_le64, vio_le64, uint64_t)
MODEL_LOAD(vio_load_acquire_le16, vio_le16, uint16_t)
MODEL_LOAD(vio_load_fields32, void, uint32_t)
MODEL_LOAD(vio_load_fields64, void, uint64_t)
MODEL_LOAD(vio_load_acquire_fields64, void, uint64_t)
MODEL_STORE(vio_store_le16, vio_le16, uint16_t)
MODEL_STORE(vio_store_le32, vio_le32, uint32_t)
MODEL_STORE(vio_store_le64, vio_le64, uint64_t)
MODEL_STORE(vio_store_release_le16, vio_le16, uint16_t)
MODEL_STORE(vio_store_fields32, void, uint32_t)
MODEL_STORE(vio_store_fields64, void, uint64_t)
MODEL_STORE(vio_store_release_fields64, void, uint64_t)

static inline void vio_full_barrier(void)
{
}

static inline void vio_platform_barrier(void)
{
}

static inline void vio_platform_write_barrier(void)
{
}

static inline void vio_platform_read_barrier(void)
{
}

static inline void vio_pause(void)
{
}

#endif
