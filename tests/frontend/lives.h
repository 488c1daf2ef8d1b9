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

/* What a back end is to do. */
struct orders {
	bool packed, in_order;
	bool cache;          /* writes go to the disk when they are flushed */
	bool client;         /* it connects to the front end, and not the other way */
	unsigned hang_up;    /* it doesn't die, but ends connections, so many in all */
	unsigned after_us;   /* when it dies; 0: not by time */
	int stop_at;         /* enum vu_stop; -1: not at a point */
	unsigned stop_count; /* when it was passed so many times */
};

/* What survives a back end, and is seen by both sides. */
struct shared {
	struct orders orders;
	struct sector disk[SLOTS];
	struct sector cache[SLOTS]; /* the kernel's: it doesn't die with a process */
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
