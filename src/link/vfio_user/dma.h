/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_LINK_VFIO_USER_DMA_H
#define VIO_LINK_VFIO_USER_DMA_H

#include <vireo/watch.h>

/*
 * Copies from and to the client's memory, wherever that is. What came with a descriptor is mapped and copied
 * at once; for the rest the client is asked by messages of ours, and answers when it likes. Nobody waits for
 * it: a client may be unable to answer before it has had an answer from us. A batch is told when all of it
 * is done, which is also all the order there is: copies of a batch are made in any.
 */

#define VFU_DMA_MESSAGES      16u /* under way at a time */
/*
 * Of replies that are to come, but for a single one: QEMU (11.1) loses its place in the stream, and falls,
 * when the socket hasn't room for a reply of its own.
 */
#define VFU_DMA_READING_BYTES (64u << 10)
#define VFU_DMA_SHORT_BYTES   12u /* before the data, in VFU_DMA_SHORT */
#define VFU_DMA_REST_BYTES    4u  /* behind it there, which is how much shorter the head is */

struct vfu_copy {
	uint64_t address; /* of the client's */
	uint8_t *host;
	uint32_t bytes;
	bool write; /* from here to there */
};

struct vfu_batch {
	struct vfu_copy *copies;
	size_t count, room;
	size_t at;       /* up to here the client was asked, */
	uint32_t offset; /* and so far into that one */
	unsigned under_way;
	bool listed;
	struct vfu_batch *next;
	/* All is there; another may be begun from inside. */
	void (*done)(struct vfu_batch *batch);
	/* A copy failed, and the rest was cancelled; error: a negative code or the client's errno. */
	void (*failed)(struct vfu_batch *batch, const struct vfu_copy *copy, int error);
};

/* A message that the client hasn't answered. */
struct vfu_dma_message {
	struct vfu_batch *batch; /* NULL: nobody wants to know any more */
	struct vfu_copy copy;
	size_t at; /* what the batch had done before it, to go back there */
	uint32_t offset;
	uint16_t id;
	bool under_way;
};

/*
 * How a client lays out the messages. The two differ in what is zero of an answer to DMA_READ, the upper half
 * of the count or what comes behind the data, and in whether one to DMA_WRITE says anything. Until that is
 * known one message is under way at a time, and reads are so short that nothing but zeros fits both.
 */
enum vfu_dma_layout {
	VFU_DMA_UNKNOWN,
	VFU_DMA_AS_WRITTEN, /* a count of 64 bits, then the data */
	VFU_DMA_SHORT,      /* as QEMU does up to 11.1: 32 bits of count, the data, and 4 bytes nobody uses */
};

struct vfu_dma {
	struct vfu_dma_message messages[VFU_DMA_MESSAGES];
	enum vfu_dma_layout layout;
	uint32_t reading; /* bytes that were asked for and didn't come yet */
	uint16_t id;
	struct vfu_batch *first, *last; /* that have something to ask for */
	struct vio_task task;
};

struct vio_vfio_user;

/* Adds a copy to a batch that isn't begun; -VIO_ENOMEM. */
int vfu_batch_add(struct vfu_batch *batch, uint64_t address, void *host, uint32_t bytes, bool write);
/* Begins it, which also ends soon when there is nothing in it. */
void vfu_batch_begin(struct vio_vfio_user *server, struct vfu_batch *batch);
/*
 * Empties it, whatever is under way. What was sent stays sent: a client that changes its memory, or resets
 * the device, has it before it has our answer to that.
 */
void vfu_batch_cancel(struct vio_vfio_user *server, struct vfu_batch *batch);
void vfu_batch_free(struct vfu_batch *batch);

/* Goes on with what there is to do: 1, 0 when a message waits for room in the socket, or a negative code. */
int vfu_dma_go_on(struct vio_vfio_user *server);
/* The message in the receiver is a reply. A negative code ends the connection. */
int vfu_dma_reply(struct vio_vfio_user *server);
/* Whether something is under way that nobody waits for. */
bool vfu_dma_trails(const struct vio_vfio_user *server);
/* The connection is over. */
void vfu_dma_forget(struct vio_vfio_user *server);

#endif
