/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_CLIENT_CLIENT_H
#define VIO_CLIENT_CLIENT_H

#include <pthread.h>
#include <stdatomic.h>

#include <vireo/client.h>
#include <vireo/spec/virtio_blk.h>
#include <vireo/spec/virtio_net.h>
#include <vireo/vhost_user_frontend.h>

#include "drivers/blk/blk.h"
#include "link/vhost_user/frontend.h"

/*
 * client.c opens and closes, control.c is the thread that has the connection, queue.c submits, completes
 * and waits, disk.c and port.c say what a request looks like and are the drivers that begin a device's
 * life.
 *
 * Once the control thread runs, the transport, `dev` and what it reads of the configuration are its own;
 * the arena and `info` stand behind `lock`; a queue is its thread's. What crosses between them is atomic.
 */

#define CLIENT_BATCH     32u
#define CLIENT_NET_BYTES 12u /* of a header, with VIRTIO_F_VERSION_1 */

/*
 * What goes with a request's data: a disk's header, range, status and name, or a port's header. Shared, so
 * that nothing of it is believed but what the device has to say, read once.
 */
struct client_frame {
	union {
		struct virtio_blk_req request;
		struct virtio_net_hdr header;
	};
	struct virtio_blk_discard_write_zeroes range;
	uint8_t status;
	uint8_t unused[31];
};

VIO_STATIC_ASSERT(sizeof(struct client_frame) == 64, "a frame is a cache line");

/* A request in flight; none of it is shared. */
struct client_slot {
	uint64_t user_data;
	struct client_slot *next; /* free, or done by itself */
	uint8_t *copy;            /* of the data, in the arena; NULL: it lies there already */
	uint32_t copy_bytes;
	uint32_t answer_bytes; /* that the device has to write for success; 0: nothing is looked at */
	uint16_t index;
	bool busy;
	bool copies_back;
	uint16_t part_count; /* of those to copy back to */
	struct vio_part parts[VIO_CLIENT_PARTS_MAX];
};

struct vio_client_queue {
	struct vio_client *client;
	struct vio_drvq *q;
	uint16_t index; /* of the queue among its client's */
	uint16_t depth;
	uint16_t in_flight;
	int fd;
	bool armed;
	bool dead; /* the ring is never looked at again */
	int dead_as;
	unsigned dead_next;             /* slot to hand out next */
	struct client_slot *free;       /* a stack */
	struct client_slot *done_first; /* without the device */
	struct client_slot *slots;
	struct client_frame *frames; /* one for each slot */
	struct vio_shared memory;    /* of the frames */
	struct vio_sg (*sg)[VIO_CLIENT_PARTS_MAX + 2];
	/* To tell silence: how many had completed, and in which life, when it was looked at last. */
	uint64_t completed, seen_completed, silent_since_ns;
	unsigned seen_life, empty_polls;

	/* A port's. */
	struct vio_drvq *receive;
	struct vio_shared buffers, copies; /* of frames that come; one for each slot that sends */
	uint32_t buffer_bytes;
	uint16_t buffer_count;
	uint8_t *lent; /* to the caller, one for each buffer */
};

/* What a disk and a port do differently. */
struct client_kind {
	uint32_t id;
	unsigned front_flags;
	uint16_t queues_unsaid;
	const struct vio_driver *driver;
	/*
	 * Makes a request of the slot: fills frame, sg (up to VIO_CLIENT_PARTS_MAX + 2) and *buffer. 0; 1
	 * when it is done without the device; or a code of vio_client_submit().
	 */
	int (*fill)(struct vio_client_queue *queue, const struct vio_client_request *request,
		    struct client_slot *slot, struct vio_drvq_buffer *buffer);
	/* What came of it. */
	int (*outcome)(const struct vio_client_queue *queue, const struct client_slot *slot,
		       uint32_t written);
};

struct vio_client {
	struct vio_client_options options;
	const struct client_kind *kind;
	struct vio_dev dev;
	struct vu_front *front;
	const struct vio_platform *platform;
	struct vio_dev_queue *dev_queues;
	uint8_t driver_state;             /* none: it is all here */
	struct vio_blk_identity identity; /* the control thread's */

	pthread_t thread;
	bool thread_runs;
	int wake_fd; /* the control thread's */
	atomic_bool closing;
	atomic_bool hang_up;
	atomic_int gone;
	atomic_uint lives;
	atomic_bool reconnecting;
	_Atomic uint64_t bytes; /* of a disk */
	/* Of a disk or port, as it was when it began. */
	uint32_t parts_max, part_bytes_max, frame_max;
	uint64_t discard_bytes_max, zeroes_bytes_max;
	bool flushes, read_only;
	/*
	 * A port's: its control queue, and what is commanded. The back end that was told is known by its
	 * life.
	 */
	struct vio_drvq *command;
	struct vio_shared command_memory;
	unsigned lives_told;

	pthread_mutex_t lock;
	struct vio_client_info info;
	struct vio_message mistake;

	uint16_t queue_count;
	struct vio_client_queue queues[VIO_CLIENT_QUEUES_MAX];
};

extern const struct client_kind client_disk, client_port;

/* client.c: what a driver's probe needs. */

/* Takes what a queue has to have, and shows it to the device with `size` entries. */
int client_add_queue(struct vio_client *client, uint16_t index, uint16_t device_queue, unsigned descriptors);
/* The size of a ring for so many requests, of so many descriptors each where there are no indirect tables. */
uint16_t client_ring_size(const struct vio_client *client, unsigned descriptors);

/* control.c */

int client_control_start(struct vio_client *client);
void client_control_stop(struct vio_client *client);
/* The connection is to end, for this reason unless there was one; from any thread. */
void client_give_up(struct vio_client *client, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* queue.c */

int client_gone(const struct vio_client *client);
/* Looks whether a queue is broken or its client gone, or silent for too long: 0, or the code. */
int client_judge(struct vio_client_queue *queue);
/* Takes note of an interrupt, if one was asked for. */
void client_disarm(struct vio_client_queue *queue);

/* The parts where the device sees them, copied where that isn't so: 0 and sg filled, or a code. */
int client_place(struct vio_client_queue *queue, const struct vio_client_request *request,
		 struct client_slot *slot, struct vio_sg *sg, bool device_writes, uint32_t total);
void client_drop_copy(struct vio_client_queue *queue, struct client_slot *slot);

static inline struct vio_addr client_addr(const struct vio_client *client, const void *host)
{
	const struct vio_arena *arena = &client->front->arena;

	return vio_addr_make(arena->addr.raw + (uint64_t)((const uint8_t *)host - arena->host));
}

static inline bool client_sees(const struct vio_client *client, const void *host, size_t length)
{
	const struct vio_arena *arena = &client->front->arena;
	uintptr_t at = (uintptr_t)host - (uintptr_t)arena->host;

	return at <= arena->bytes && length <= arena->bytes - at;
}

#endif
