/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TEST_FRONTEND_LIVES_H
#define TEST_FRONTEND_LIVES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * A disk whose back end is killed again and again while a driver works: lives.c is the driver and counts what
 * was lost and what was done twice, lives_back.c is each of the back ends, in a process of its own.
 */

#define SECTOR 512u
#define SLOTS  96u /* sectors of the disk; each has at most one request at a time */

struct sector {
	uint64_t slot;
	uint64_t sequence; /* of the write; 0: never written */
	uint8_t filling[SECTOR - 16];
};

/*
 * A place that holds a sector, in the cache or on the disk. A sector is there as a whole or not at all,
 * whoever dies: here the back end does what in earnest the kernel and a disk do, which don't die with it.
 * So it goes beside the one that is there, and becomes the one that is there by a single store.
 */
struct place {
	struct sector copies[2];
	_Atomic unsigned current;
};

static inline const struct sector *place_look(const struct place *place)
{
	return &place->copies[atomic_load(&place->current)];
}

static inline void place_put(struct place *place, const struct sector *sector)
{
	const unsigned other = !atomic_load(&place->current);

	place->copies[other] = *sector;
	atomic_store(&place->current, other);
}

/* What a back end is to do. */
struct orders {
	bool packed, in_order;
	bool cache;          /* writes go to the disk when they are flushed */
	bool client;         /* it connects to the front end, and not the other way */
	unsigned hang_up;    /* it doesn't die, but ends connections, so many in all */
	unsigned after_us;   /* when it dies; 0: not by time */
	int stop_at;         /* enum link_stop; -1: not at a point */
	unsigned stop_count; /* when it was passed so many times */
	unsigned queues;
	unsigned threads; /* that serve them; 0: the main one */
};

/* What survives a back end, and is seen by both sides. */
struct shared {
	struct orders orders;
	struct place disk[SLOTS];
	struct place cache[SLOTS]; /* the kernel's: it doesn't die with a process */
	_Atomic bool cached[SLOTS];
	_Atomic uint64_t acknowledged[SLOTS]; /* sequence of the last write that the driver knows is done */
	_Atomic uint64_t doubled;             /* writes done once more after that */
	_Atomic uint64_t executed;            /* requests */
	_Atomic uint64_t hang_ups;
	_Atomic bool stopped; /* at the point, and not by time */
	_Atomic bool closing; /* no more of it */
};

/* The life of a back end, over the socket that listens. Doesn't return. */
_Noreturn void live(struct shared *shared, int listening, const char *path, uint64_t seed);

#endif
