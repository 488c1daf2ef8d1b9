/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TEST_LIB_VFIO_FAR_H
#define TEST_LIB_VFIO_FAR_H

#include "lib/vfio_client.h"

/*
 * A client's memory that its server knows by address alone: what the server asks for by DMA_READ and
 * DMA_WRITE is answered out of `host`, when and in whatever order the test likes.
 */
#define VFIO_FAR_HELD_MAX 64u

/* An answer that isn't what it should be. */
enum vfio_far_lie {
	VFIO_FAR_HONEST,
	VFIO_FAR_ERROR,   /* EFAULT */
	VFIO_FAR_CUT,     /* a byte is missing */
	VFIO_FAR_LONGER,  /* one too many */
	VFIO_FAR_ADDRESS, /* about another address */
	VFIO_FAR_COUNT,   /* about another count */
	VFIO_FAR_ID,      /* to another message */
	VFIO_FAR_COMMAND, /* to a message of the other kind */
	VFIO_FAR_TWICE,
	VFIO_FAR_EMPTY, /* the header alone */
	VFIO_FAR_SILENCE,
	VFIO_FAR_LIES,
};

struct vfio_far_request {
	struct vfio_user_header header;
	struct vfio_user_dma_access access;
	uint8_t *data; /* of a write */
};

struct vfio_far {
	struct vfio_client *client;
	uint64_t address, size;
	uint8_t *host;
	uint32_t most; /* bytes in a message, as agreed on; 0: as the server likes */
	bool brief;    /* lays messages out as QEMU does */
	bool shuffled; /* answers late, in any order */
	bool deaf;     /* not at all, for now */
	uint64_t seed;
	unsigned lie_after; /* this many requests are answered as they should be, then one as in */
	enum vfio_far_lie lie;
	unsigned reads, writes;
	struct vfio_far_request held[VFIO_FAR_HELD_MAX];
	unsigned held_count;
};

/* Takes what the server asks for up to its next reply; false: nothing was there. */
bool vfio_far_take(struct vfio_far *far);
/* Answers one of those it took; false: there are none. */
bool vfio_far_answer(struct vfio_far *far);
/*
 * Both, with the server running in between, until it has nothing more to ask for, or a reply of its own is
 * next: to be called where a client waits.
 */
void vfio_far_serve(struct vfio_far *far, void (*settle)(void *context), void *context);
/* What is held is never answered. */
void vfio_far_forget(struct vfio_far *far);

#endif
