/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_LINK_INFLIGHT_H
#define VIO_LINK_INFLIGHT_H

#include <vireo/devq.h>
#include <vireo/spec/vhost_user.h>

#include "link/guard.h"

/*
 * Which requests the device has, in a file that the front end keeps when the back end dies: the next one
 * takes them once more. Each step is in the order that the protocol gives, so that a back end may be killed
 * between any two instructions.
 *
 * The file is the front end's to write at any time, too. What is in it is looked at only when a queue starts,
 * and judged whole; from then on all that is needed is kept in private memory as well.
 */

/* The file, mapped. */
struct link_inflight {
	struct link_mapping map; /* of no bytes: there is none */
	uint8_t *regions;
	uint64_t region_bytes;
	uint16_t num_queues;
	uint16_t queue_size;
};

/* How long a file for so many queues of that size is, from mmap_offset on. */
uint64_t link_inflight_bytes(const struct vhost_user_inflight *wire);
/* Makes a file for so many queues of that size: *wire says how large it is. The descriptor, or -VIO_ESYS. */
int link_inflight_make(struct vhost_user_inflight *wire);
/*
 * Maps one (fd stays the caller's) in place of what was mapped. -VIO_ERANGE: sizes that can't be or a file
 * that is too short; -VIO_EINVAL: not a file that holds memory; -VIO_EACCES, -VIO_ENOMEM, -VIO_ESYS.
 */
int link_inflight_map(struct link_inflight *inflight, const struct vhost_user_inflight *wire, int fd,
		      int socket_fd);
void link_inflight_unmap(struct link_inflight *inflight);
/* The driver begins anew: nothing is in flight in any queue. */
void link_inflight_forget(struct link_inflight *inflight, uint16_t queue);

/* What a queue has in flight. Allocated while it runs. */
struct link_ledger {
	struct vio_devq_log log;
	struct vhost_user_inflight_split *split; /* one of these two */
	struct vhost_user_inflight_packed *packed;
	uint16_t size; /* of the queue: one place for each in the arrays */
	uint64_t counter;
	uint16_t given_count;
	uint16_t again_next;
	uint16_t free;                   /* packed: first free entry; next[] leads on, NONE at the end */
	uint16_t *given;                 /* names, in the order in which they were given */
	uint8_t *is_given;               /* by name: is in there */
	uint8_t *is_again;               /* by name: was taken once more, and not from the ring since */
	uint16_t *again;                 /* names or, packed, entries that are heads, oldest first */
	uint16_t *entry;                 /* packed: by name, the entry that is its head */
	uint16_t *next;                  /* packed: by entry */
	uint16_t *last;                  /* packed: by head, the last of its list */
	struct pvirtq_desc *descriptors; /* packed: of one buffer */
	const char *mistake;             /* why it can't be, for -VIO_EPROTO */
};

/* Where a queue lies that is to start, and where it would. */
struct link_ledger_queue {
	uint16_t index;
	uint16_t size;
	struct vio_devq_position at; /* in and out */
	bool goes_on;                /* out: a back end before us had it */
	const vio_le16 *used_idx;    /* split */
	struct pvirtq_desc *ring;    /* packed */
};

/*
 * Begins or goes on with the account of a queue, one of inflight->num_queues. -VIO_ERANGE: the queue is
 * larger than the file was made for; -VIO_ENOTSUP: a version that isn't ours; -VIO_EPROTO: what is in it
 * can't be; -VIO_ENOMEM. ledger->log is for vio_devq_start() then.
 */
int link_ledger_open(struct link_ledger *ledger, const struct link_inflight *inflight,
		     struct link_ledger_queue *queue);
/* Also of one that was never opened, but zeroed. What is in flight stays in the file. */
void link_ledger_close(struct link_ledger *ledger);

#endif
