/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_WATCH_H
#define VIREO_WATCH_H

#include <vireo/base.h>

/*
 * What code that waits for file descriptors needs of an event loop, so that it
 * works in Vireo's (vireo/loop.h) and in anybody's: implement these three calls
 * over your loop. All calls and callbacks happen in the loop's thread.
 */

/* Embedded by its owner; must stay in place while added. */
struct vio_watch {
	int fd;
	/*
	 * Where the watcher knows edges: `ready` is called once when fd is found readable, and once
	 * more after something was written to it, whether or not what came before was read.
	 */
	bool edge;
	/* fd is readable, or at its end, or in error. Called again as long as it is (level-triggered). */
	void (*ready)(struct vio_watch *watch);
	/*
	 * For a watcher that polls busily for a while after `ready` (both or neither; others don't
	 * call them). `poll` looks whether there is something to do without fd telling of it, does it,
	 * and says whether there was. `rest` ends that: fd tells again; false: there is something.
	 */
	bool (*poll)(struct vio_watch *watch);
	bool (*rest)(struct vio_watch *watch);
	uintptr_t loop_private[4]; /* for the loop */
};

/* Something to do once, soon, from the loop. */
struct vio_task {
	void (*run)(struct vio_task *task);
	struct vio_task *next; /* for the loop */
	bool queued;           /* for the loop */
};

struct vio_watcher {
	void *context;
	/* Starts watching. 0 or a negative code. */
	int (*add)(void *context, struct vio_watch *watch);
	/* Stops; `ready` is not called any more, not even for events already seen. */
	void (*remove)(void *context, struct vio_watch *watch);
	/* Runs the task once, after events that are waiting now. No effect when it is queued already. */
	void (*defer)(void *context, struct vio_task *task);
	/* Takes a queued task back. */
	void (*cancel)(void *context, struct vio_task *task);
	bool knows_edges; /* obeys vio_watch.edge; otherwise it is without effect */
};

/*
 * Threads that serve the queues of a link in place of the one that drives the link, each queue by one.
 * The functions but `post` are called in the link's thread.
 */
struct vio_watch_crew {
	void *context;
	/* Where the queue waits and is served. */
	struct vio_watcher (*watcher)(void *context, uint16_t queue);
	/* All stand still until resume, and what is theirs may be touched. */
	void (*halt)(void *context);
	void (*resume)(void *context);
	/* Runs the task in the link's thread, halted; from the queue's thread. cancel: halted. */
	void (*post)(void *context, struct vio_task *task);
	void (*cancel)(void *context, struct vio_task *task);
};

#endif
