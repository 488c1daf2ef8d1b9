/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_CREW_H
#define VIREO_CREW_H

#include <vireo/loop.h>

/*
 * Threads with a loop each, beside a main loop whose thread owns them.
 *
 * What a thread serves is its own while it runs: nobody locks. Whoever wants to change
 * it, in the main thread, halts the crew: then each thread stands still between two
 * events, and all that is theirs, their loops included, is the main thread's until it
 * lets them go on. That is for what happens seldom.
 */
struct vio_crew;

/* NULL and *error set to a negative code. `flags` are those of vio_loop_create(); not ONE_THREAD. */
VIO_API struct vio_crew *vio_crew_create(struct vio_loop *main, unsigned threads, unsigned flags, int *error);
/* Nothing may be watched or in flight in its loops any more. */
VIO_API void vio_crew_destroy(struct vio_crew *crew);

/* How many there are. */
VIO_API unsigned vio_crew_threads(const struct vio_crew *crew);
/* To be touched in its thread, or while the crew is halted. */
VIO_API struct vio_loop *vio_crew_loop(struct vio_crew *crew, unsigned thread);

/* In the main thread. What was halted twice goes on after the second resume. */
VIO_API void vio_crew_halt(struct vio_crew *crew);
VIO_API void vio_crew_resume(struct vio_crew *crew);

/*
 * Runs a task in the main thread, soon, with the crew halted. From a thread of the crew; no effect
 * when it is queued already. vio_crew_cancel(), with the crew halted, takes it back.
 */
VIO_API void vio_crew_post(struct vio_crew *crew, struct vio_task *task);
VIO_API void vio_crew_cancel(struct vio_crew *crew, struct vio_task *task);

/* As links know it: queue n is served by thread n modulo their number. Good as long as the crew. */
VIO_API struct vio_watch_crew vio_crew_watch(struct vio_crew *crew);

#endif
