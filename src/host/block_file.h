/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_HOST_BLOCK_FILE_H
#define VIO_HOST_BLOCK_FILE_H

#include <limits.h>
#include <stdatomic.h>

#include "host/engine.h"
#include "host/image.h"
#include "host/storage.h"

/*
 * What block_file.c, which carries out requests, and block_merge.c, which makes one transfer of
 * several, share.
 */
#define FILE_BOUNCES_MAX 8u
#define FILE_MERGES      32u     /* transfers of several requests that are in flight at most */
#define FILE_MERGE_SPANS 128u    /* of one */
#define FILE_MERGE_BYTES 262144u /* of one: larger requests gain nothing */

#ifndef IOV_MAX
#define IOV_MAX 1024
#endif

/* Requests whose data lie one behind the other; first NULL: none. */
struct file_run {
	struct file_request *first, *last;
	unsigned span_count;
	bool glanced; /* it isn't in the page cache */
	uint64_t length;
};

struct file_merge {
	struct vio_io io;
	struct file_block *file;
	struct file_run run;
	struct file_merge *next; /* idle */
	struct iovec iov[FILE_MERGE_SPANS];
};

struct file_block {
	struct vio_block block;
	struct vio_loop *loop;
	struct vio_image image;
	struct vio_timer look;
	struct vio_task batch_over; /* queued while block.batching */
	unsigned in_flight;
	bool direct;

	/* What the file system has refused once isn't asked for again. */
	bool cant_punch, cant_zero, cant_stable, cant_glance;
	unsigned passes, passes_left; /* of vio_file_glance() */
	struct file_block *origin;    /* whose image this is; itself, unless it is shared */
	/*
	 * Of the origin. The kernel drops what it couldn't write and tells once, whoever asks: no later
	 * flush can be believed.
	 */
	atomic_bool flush_failed;
	uint8_t *zeros; /* FILE_ZEROS_BYTES, not writable */

	/*
	 * Aligned memory for direct transfers of memory that isn't. There is only so
	 * much, as it is the driver who decides how much would be used; requests that
	 * find none wait for another to be finished.
	 */
	void *bounces[FILE_BOUNCES_MAX]; /* idle */
	unsigned bounces_idle, bounces_made;
	struct vio_io_queue bounce_waiting;

	bool holding; /* between hold and release */
	struct file_run held;
	struct file_merge *merges, *merge_idle; /* NULL: nothing is merged */
};

struct file_request {
	struct vio_io io;
	struct file_block *file;
	uint64_t position; /* bytes transferred; request->spans begin there */
	uint8_t *bounce;   /* the transfer goes through this */
	struct iovec iov;  /* of the bounce or the zeros */
	uint8_t stage;
	uint8_t retries;
	struct file_request *next; /* in its run */
};

VIO_STATIC_ASSERT(sizeof(struct file_request) <= sizeof(((struct vio_block_request *)0)->storage_private),
		  "a request's private memory is too small");

static inline struct vio_block_request *vio_file_request_of(struct file_request *fr)
{
	return VIO_CONTAINER_OF(fr, struct vio_block_request, storage_private);
}

/* block_file.c */

/* Reads what the page cache has, without waiting: how much of it was there, from the beginning. */
uint64_t vio_file_glance(struct file_block *file, const struct iovec *iov, unsigned iov_count,
			 uint64_t offset, uint64_t length);
/* Carries out a read or a write by itself. */
void vio_file_begin(struct file_request *fr);
/* All of it has been transferred, by an I/O of fr->io.mode. */
void vio_file_transferred(struct file_request *fr);
/* It was read inside submit or release. */
void vio_file_answer(struct file_request *fr);
/* What the result of a transfer in this mode says of flushes to come. */
void vio_file_note_error(struct file_block *file, int mode, int result);

/* block_merge.c */

/* False when there is no memory for it. */
bool vio_file_merge_prepare(struct file_block *file);
void vio_file_merge_free(struct file_block *file);
/* Keeps a read or a write for later; false when it is one that can't be merged. */
bool vio_file_hold(struct file_request *fr);
/* Answers what can be answered at once of what was kept. */
void vio_file_settle(struct file_block *file);
/* Carries out what was kept. */
void vio_file_release(struct file_block *file);

#endif
