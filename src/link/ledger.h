/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_LINK_LEDGER_H
#define VIO_LINK_LEDGER_H

#include "link/inflight.h"
#include "link/stop.h"

/* inflight.c has the file and what the formats share; ledger_split.c and ledger_packed.c have the steps. */

/* Of what was found in flight: a name or, packed, an entry. */
struct link_ledger_found {
	uint64_t counter;
	uint16_t at;
};

static inline struct link_ledger *link_ledger_of(struct vio_devq_log *log)
{
	return VIO_CONTAINER_OF(log, struct link_ledger, log);
}

/*
 * Stores that stay in the order of the program. No more is needed: what a processor has been told to store
 * before a process is killed is stored.
 */
static inline void link_ledger_store8(uint8_t *to, uint8_t value)
{
	__atomic_store_n(to, value, __ATOMIC_RELEASE);
}

static inline void link_ledger_store16(uint16_t *to, uint16_t value)
{
	__atomic_store_n(to, value, __ATOMIC_RELEASE);
}

static inline void link_ledger_store64(uint64_t *to, uint64_t value)
{
	__atomic_store_n(to, value, __ATOMIC_RELEASE);
}

/* Loads each once: the front end may write there meanwhile. */
static inline uint8_t link_ledger_load8(const uint8_t *from)
{
	return __atomic_load_n(from, __ATOMIC_RELAXED);
}

static inline uint16_t link_ledger_load16(const uint16_t *from)
{
	return __atomic_load_n(from, __ATOMIC_RELAXED);
}

static inline uint64_t link_ledger_load64(const uint64_t *from)
{
	return __atomic_load_n(from, __ATOMIC_RELAXED);
}

/* -VIO_EPROTO */
int link_ledger_mistake(struct link_ledger *ledger, const char *what);

/* What was found is to be taken again, oldest first. */
void link_ledger_order(struct link_ledger *ledger, struct link_ledger_found *found, uint16_t count);

/*
 * True where a buffer that isn't taken after all had been taken once more: it is the next again, and in
 * flight as before, as the ring may not name it any more. `at`: what stands for it in again[].
 */
bool link_ledger_untaken_again(struct link_ledger *ledger, uint16_t name, uint16_t at);

/* For both tables of operations. */
void link_ledger_given(struct vio_devq_log *log, uint16_t name);
/* All that was given has been shown. */
void link_ledger_settled(struct link_ledger *ledger);

/* Reads what a back end before us left, mends it, and says where the queue stands. `entries`: of the file. */
int link_ledger_recover_split(struct link_ledger *ledger, uint16_t entries, struct link_ledger_queue *queue);
int link_ledger_recover_packed(struct link_ledger *ledger, uint16_t entries, struct link_ledger_queue *queue);

#endif
