/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BENCH_RING_EXCHANGE_H
#define BENCH_RING_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A driver and a device that exchange buffers over one ring, and how long that takes.
 *
 * Both are tables of functions, so that the same loops run Vireo's two roles, a peer's, and
 * the floor: a driver and a device without any check, which show what the other side costs
 * at least. The memory of a buffer is never touched: what is measured is the ring.
 *
 * Buffers go round in the order of their slots. A driver looks at each token that comes back,
 * a device sums up the addresses and lengths that it was given, and every run compares the
 * sums and counts in the end.
 *
 * Nothing here includes a header of Vireo, as peers come with headers of their own.
 */

#define BENCH_WINDOW_MAX  256u
#define BENCH_BATCH_MAX   32u
#define BENCH_CHAIN       3u  /* elements of a buffer that has more than one */
#define BENCH_BYTES       64u /* of an element */
#define BENCH_SLOT_BYTES  (BENCH_CHAIN * BENCH_BYTES)
#define BENCH_CHAINS_MAX  (BENCH_WINDOW_MAX * BENCH_CHAIN)
#define BENCH_ARENA_BYTES (UINT32_C(1) << 20)

enum bench_mode {
	BENCH_ONE,   /* one thread in both roles, turn by turn */
	BENCH_POLL,  /* two threads that poll */
	BENCH_SLEEP, /* two threads that sleep until they are told */
	BENCH_MODES
};

enum bench_bit {
	BENCH_PACKED = 1,
	BENCH_EVENT_IDX = 2,
	BENCH_IN_ORDER = 4,
	BENCH_CHAINED = 8, /* buffers of BENCH_CHAIN elements, the first readable */
	BENCH_INDIRECT = 16,
};

/* Whose time counts. With one thread the parts are timed by themselves. */
enum bench_part {
	BENCH_BOTH,
	BENCH_DRIVER,
	BENCH_DEVICE,
};

struct bench_driver;
struct bench_device;

struct bench_case {
	char name[96];
	unsigned bits; /* of enum bench_bit */
	enum bench_mode mode;
	enum bench_part part;
	unsigned window; /* buffers in flight at most */
	unsigned batch;  /* buffers made visible at once, and taken at once */
	const struct bench_driver *driver;
	const struct bench_device *device;
};

/* Memory that both see, under bus addresses that are its own. */
struct bench_memory {
	uint8_t *arena;
	unsigned ring_size;
	unsigned slots;  /* of which each has BENCH_SLOT_BYTES at `data` */
	unsigned chain;  /* elements of a buffer */
	uint8_t *data;   /* in the arena, as are the next three unless a driver brings its own */
	uint8_t *tables; /* BENCH_CHAIN descriptors for each slot */
	uint8_t *descriptor_area, *driver_area, *device_area;
	int kick_fd, call_fd; /* eventfds */
};

/* Each takes the state that its start() returned; start() says NULL for what it can't do. */
struct bench_driver {
	const char *name;
	unsigned without;   /* bits that it can't do */
	bool without_sleep; /* it can't do that, either */
	void *(*start)(const struct bench_case *c, struct bench_memory *memory);
	void (*stop)(void *state);
	/* `count` buffers from slot `first` on, which don't go round; false: they don't fit. */
	bool (*add)(void *state, unsigned first, unsigned count);
	void (*show)(void *state); /* to a device that polls */
	void (*kick)(void *state); /* and writes kick_fd if the device asked for it */
	/* Up to `max` that came back, in the order of slots from `next` on; -1: one that is no such. */
	int (*get)(void *state, unsigned next, unsigned max);
	void (*wake)(void *state);  /* no interrupts, please */
	bool (*sleep)(void *state); /* ask for one; false: there is something already */
};

struct bench_device {
	const char *name;
	bool without_sleep;
	void *(*start)(const struct bench_case *c, const struct bench_memory *memory);
	void (*stop)(void *state);
	/* Takes up to `max`, gives them back, tells; adds what it saw to *sum; -1: a fault. */
	int (*serve)(void *state, unsigned max, uint64_t *sum);
	/* It will never sleep. Else serve() asks for a kick before it says 0. */
	void (*poll)(void *state);
};

extern const struct bench_driver bench_floor_driver;
extern const struct bench_device bench_floor_device;

/* Who stands against whom in this program; the last one has no name. */
struct bench_pairing {
	const char *name;
	const struct bench_driver *driver;
	const struct bench_device *device;
	enum bench_part part; /* whose time counts with one thread */
	unsigned without;     /* bits of cases that would be the same as others */
};

extern const struct bench_pairing bench_pairings[];

struct bench_cores {
	int driver, device; /* -1: wherever */
	bool realtime;
};

/* ns for each of `count` buffers; negative: it went wrong, and *why says how. */
double bench_exchange(const struct bench_case *c, const struct bench_cores *cores, uint64_t count,
		      const char **why);

/* What nothing can be better than: ns for a round trip of a cache line or of two eventfds. */
double bench_limit(bool sleeping, const struct bench_cores *cores, uint64_t count, const char **why);

/* For whoever measures: pins the thread (-1: leaves it where it is), lets it run before others. */
void bench_settle(int core, bool realtime);

/* Zeroed memory that shares no cache line with any other, nor a pair of them; or NULL. For free(). */
void *bench_alloc(size_t bytes);

uint64_t bench_now_ns(void);

/* What a device has to add to its sum for an element. */
static inline uint64_t bench_weigh(const void *host, uint64_t length)
{
	return (uintptr_t)host + length;
}

#endif
