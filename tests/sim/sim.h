/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TEST_SIM_H
#define TEST_SIM_H

#include <stdio.h>

#include "lib/test.h"

#include <ucontext.h>

#include <vireo/devq.h>
#include <vireo/drvq.h>
#include <vireo/spec/virtio_ring.h>

#include "lib/memory.h"

/*
 * Both roles of a queue as coroutines in one thread, of which a seed says at each access to
 * shared memory who goes on. So every interleaving can happen, and every one can be had again.
 *
 * Stores don't reach memory at once: each role has a store buffer that is drained at random,
 * and out of order but for stores to the same place; a release waits for what was stored
 * before it, a full barrier empties the buffer. That is weaker than x86, and about what Arm
 * does to stores. Loads happen in order. Of the payload a few bytes are delayed the same way.
 *
 * What is checked: each buffer comes back once, under its token, with the length and the bytes
 * that the device answered; nobody sleeps while there is work for it; it ends. With a hostile
 * twin, one that in addition to its work writes garbage over what both share: the honest role
 * finds a fault or goes on, touches no other memory and gives no buffer twice; and after a
 * reset of both all is as new.
 */
enum sim_role { SIM_DRIVER, SIM_DEVICE, SIM_NOBODY };

/* What a role is doing: a planted bug is one of these without its barrier, or without its releases. */
enum sim_op { SIM_OTHER, SIM_ADD, SIM_KICK, SIM_GET, SIM_ENABLE, SIM_POP, SIM_PUSH, SIM_NOTIFY, SIM_OPS };

struct sim_plant {
	const char *name;
	enum sim_role role;
	unsigned ops;  /* bits of enum sim_op */
	bool releases; /* those, and not the barriers */
};

#define SIM_SIZES         8u
#define SIM_SIZE_MAX      16u
#define SIM_INDIRECT_MAX  4u
#define SIM_ELEMENTS_MAX  6u
#define SIM_ELEMENT_BYTES 24u
#define SIM_SLAB_BYTES    (SIM_ELEMENTS_MAX * SIM_ELEMENT_BYTES)
#define SIM_OUTS          (SIM_SIZE_MAX + 1)
#define SIM_STORES        16u

#define SIM_RING   UINT64_C(0x10000)
#define SIM_TABLES UINT64_C(0x20000)
#define SIM_DATA   UINT64_C(0x30000)

/* One run. The seed decides whatever is left open (-1, or 0 for size). */
struct sim_config {
	uint64_t seed;
	int packed, indirect, event_idx, in_order;
	int hostile; /* enum sim_role */
	unsigned size;
	const struct sim_plant *plant;
	bool quiet; /* a failure is expected */
};

/* A buffer that the driver has out. */
struct sim_out {
	unsigned readable, writable;
	uint32_t length[SIM_ELEMENTS_MAX];
	uint32_t writable_bytes;
	uint64_t payload; /* hash of what is readable */
	bool busy;
};

struct sim_store {
	uint8_t *address;
	size_t size;
	bool release;
	uint8_t bytes[8];
};

struct sim_fiber {
	ucontext_t context;
	enum sim_op op;
	bool asleep, woken, done;
	struct sim_store stores[SIM_STORES];
	unsigned store_count;
};

struct sim {
	struct sim_config config;
	uint64_t random;
	uint64_t steps, *total;
	bool failed;

	/* The scheduler. */
	ucontext_t main;
	struct sim_fiber fibers[2];
	enum sim_role current;
	unsigned switch_mask, drain_mask;
	unsigned idle; /* steps since something came back */

	struct test_memory memory;
	struct vio_drvq drv;
	struct vio_devq dev;
	void *drv_storage, *dev_storage;
	uint64_t ring_bytes;
	struct vio_features features;

	/* The driver's account. */
	struct sim_out outs[SIM_OUTS];
	unsigned target, added, returned;
	uint64_t order[SIM_OUTS]; /* in which they were added: numbers */
	/* The device's. */
	struct vio_buf held[SIM_SIZE_MAX];
	unsigned held_count;
	/* Of both, when the queue is reset. */
	enum { SIM_RUNS, SIM_RESET_WANTED, SIM_RESET_DONE, SIM_RESTARTED } life;
	bool lies; /* the hostile role is at it */
	bool over; /* it did enough, or the honest one found a fault */
};

/* The scheduler: sched.c. */
void sim_spawn(struct sim *sim); /* runs both roles to their end, or to a failure */
void sim_step(struct sim *sim);  /* the other role may go on here */
void sim_sleep(struct sim *sim); /* until sim_wake() */
void sim_wake(struct sim *sim, enum sim_role role);
void sim_finish(struct sim *sim); /* ends the run for both roles */
void sim_drain(struct sim *sim, enum sim_role role);
void sim_store(struct sim *sim, uint8_t *address, const void *bytes, size_t size); /* at most 8 of payload */
void sim_hook(struct sim *sim);                                                    /* NULL: off */
void sim_fail(struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));
unsigned sim_below(struct sim *sim, unsigned count);

#define SIM_CHECK(sim, what)                                \
	do {                                                \
		if (!(what))                                \
			sim_fail(sim, "not so: %s", #what); \
	} while (0)

/* The roles: driver.c, device.c. */
void sim_driver(struct sim *sim);
void sim_device(struct sim *sim);
void sim_driver_start(struct sim *sim);
void sim_driver_take_back(struct sim *sim); /* what the device hadn't used when the queue was reset */
void sim_device_start(struct sim *sim, struct vio_devq_position at);
struct vio_devq_position sim_position(const struct sim *sim); /* of a fresh queue */

/* What the device answers: so many bytes, each of which the driver can foretell. */
static inline uint32_t sim_answer_length(uint64_t payload, uint32_t writable)
{
	return (uint32_t)(payload >> 7) % (writable + 1);
}

static inline uint8_t sim_answer_byte(uint64_t payload, uint32_t at)
{
	return (uint8_t)((payload >> (at % 8 * 8)) ^ at);
}

#define SIM_HASH_BEGIN UINT64_C(0xcbf29ce484222325)

static inline uint64_t sim_hash(uint64_t hash, const uint8_t *bytes, size_t length)
{
	while (length--)
		hash = (hash ^ *bytes++) * UINT64_C(0x100000001b3);
	return hash;
}

#endif
