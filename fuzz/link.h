/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_FUZZ_LINK_H
#define VIREO_FUZZ_LINK_H

#include <vireo/watch.h>

#include "input.h"
#include "served.h"

/*
 * What the targets of links share. A device and its server live for FUZZ_LIFE executions, each a client of
 * its own: making them would take longer than what is looked at.
 */
#define FUZZ_LIFE 256u

struct fuzz_link {
	struct world *(*make)(void);
	void (*close)(struct world *w);
	/* From a client's beginning to its end, after which nothing of it is left. */
	void (*execute)(struct world *w, struct fuzz_input *input);
};

/* One execution, which leaves as many files open as there were before. */
void fuzz_link_run(const struct fuzz_link *link, struct fuzz_input *input);

/* An event loop that never waits: what is ready is told of in turns. */
#define FUZZ_WATCHES_MAX 64u

struct fuzz_loop {
	struct vio_watch *watches[FUZZ_WATCHES_MAX];
	unsigned watch_count;
	struct vio_task *tasks;
};

/* The watcher of an empty loop. */
struct vio_watcher fuzz_loop_watcher(struct fuzz_loop *loop);
/* Runs until nothing is ready, or so many turns. */
void fuzz_loop_run(struct fuzz_loop *loop, unsigned turns);
/* Nobody watches anything, and nothing is left to be done. */
bool fuzz_loop_empty(const struct fuzz_loop *loop);

#endif
