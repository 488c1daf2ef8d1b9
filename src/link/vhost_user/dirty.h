/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_LINK_VHOST_USER_DIRTY_H
#define VIO_LINK_VHOST_USER_DIRTY_H

#include <vireo/devq.h>

#include "link/guard.h"
#include "link/signal.h"
#include "link/vhost_user/memory.h"

/*
 * Which pages of the driver's memory were written, for a front end that copies it while we work: a bit a page
 * in a file of the front end's, which it takes away as it reads. A page is marked after it was written and
 * before the queue stops, so whoever finds the bit finds the bytes.
 *
 * A queue is told of it by the log that it may have anyway, so that it costs nothing where nobody wants it.
 */
struct vu_dirty {
	struct link_mapping map; /* of no bytes: there is none */
	uint8_t *bits;
	uint64_t bytes;
	struct link_signal changed; /* raised when there is something new */
};

/* Maps one (fd stays the caller's) in place of what was mapped. Codes of link_mapping_make(). */
int vu_dirty_map(struct vu_dirty *dirty, const struct vhost_user_log *wire, int fd, int socket_fd);
void vu_dirty_unmap(struct vu_dirty *dirty);

/* Whether it has a bit for each page of [addr, addr + length). */
bool vu_dirty_covers(const struct vu_dirty *dirty, uint64_t addr, uint64_t length);
/* From any thread. What the log has no bits for is passed over. */
void vu_dirty_mark(const struct vu_dirty *dirty, uint64_t addr, uint64_t length);

/* Of one queue, while it runs. */
struct vu_tracker {
	struct vio_devq_log log;
	struct vio_devq_log *next; /* who else wants to know; or NULL */
	const struct vu_dirty *dirty;
	const struct vu_memory *memory;
	bool buffers, rings; /* which of them are marked */
	bool packed, event_idx;
	uint16_t size, spans_max;
	uint64_t descriptor_addr; /* on the bus */
	uint64_t device_addr;     /* as the front end says it: need not be on the bus */
	uint16_t shown;           /* up to where the driver had seen it */
	unsigned region;          /* hit last */
	struct vio_span *spans;   /* by slot: what is writable */
	const struct vio_span **lent;
	uint16_t *counts;
};

/* What it has to know of a queue that is about to start with that configuration. */
struct vu_tracker_queue {
	const struct vio_devq_config *config;
	uint16_t spans_max;
	uint64_t device_addr;
	bool buffers, rings;
};

/*
 * Begins; tracker->log is for vio_devq_start() then, in place of config->log. `memory` may change while the
 * queue doesn't run. -VIO_ENOMEM.
 */
int vu_tracker_begin(struct vu_tracker *tracker, const struct vu_dirty *dirty, const struct vu_memory *memory,
		     const struct vu_tracker_queue *queue);
/* Started: what starting it wrote. `mended`: the ring's descriptors, too. */
void vu_tracker_started(struct vu_tracker *tracker, bool mended);
/* Also of one that never began, but zeroed. `q` has just stopped. */
void vu_tracker_end(struct vu_tracker *tracker, const struct vio_devq *q);

static inline bool vu_tracker_runs(const struct vu_tracker *tracker)
{
	return tracker->dirty != NULL;
}

#endif
