/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TEST_HOST_PARTS_H
#define TEST_HOST_PARTS_H

#include "host/engines.h"

/* What tests put into a loop to see what becomes of it. */

/* An eventfd that is watched, and what befell it. */
struct bell {
	struct vio_watch watch;
	struct vio_loop *loop;
	unsigned rung;
	bool keep;          /* leave it readable */
	struct bell *other; /* unwatched, freed and forgotten when this one rings */
};

/* Made and watched. */
struct bell *bell_make(struct vio_loop *loop);
/* Edge-triggered, and never read from. */
struct bell *bell_make_edge(struct vio_loop *loop);
void bell_free(struct bell *bell);
void bell_ring(struct bell *bell);
/* For bells that are made by hand. */
void bell_ready(struct vio_watch *watch);

struct alarm {
	struct vio_timer timer;
	struct vio_loop *loop;
	unsigned *order;
	unsigned expired; /* the how-manieth to expire */
	struct alarm *disarm;
	uint64_t rearm_ms;
};

struct alarm alarm_make(struct vio_loop *loop, unsigned *order);

struct transfer {
	struct vio_io io;
	struct iovec iov;
	unsigned done;
	int result;
};

/* One span; io.iov is for the caller to set once it stays where it is. */
struct transfer transfer_make(enum vio_io_op op, int fd, void *bytes, size_t length, uint64_t offset);
void transfer_done(struct vio_io *io, int result);

/* Steps until nothing is handled any more. */
void settle(struct vio_loop *loop);
/* Open for reading and writing, empty, without a name. */
int temporary_file(void);

#endif
