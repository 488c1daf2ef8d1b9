/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_LINK_VHOST_USER_FRONTEND_H
#define VIO_LINK_VHOST_USER_FRONTEND_H

#include <vireo/vhost_user_frontend.h>

#include "link/arena.h"

/*
 * frontend.c is the transport, frontend_wire.c asks and hears answers, frontend_channel.c
 * listens to what the back end says unasked, frontend_arena.c has the memory.
 */

#define VU_FRONT_QUEUES_MAX (VHOST_USER_VRING_INDEX_MASK + 1)

/* Where the arena lies for the device: nowhere in our address space, which is no business of a peer's. */
#define VU_FRONT_ARENA_BASE UINT64_C(0x100000000)

struct vu_front_queue {
	int kick, call; /* eventfds; -1: none yet */
	bool started;
};

/* What of the channel's current message is here. */
struct vu_front_channel {
	int fd; /* -1: none */
	struct vhost_user_header header;
	size_t received; /* of header and payload */
};

struct vu_front {
	struct vio_dev *dev;
	struct vio_vhost_user_frontend_options options;
	struct vio_vhost_user_memory memory;
	struct vio_platform platform;
	struct vio_arena arena;
	bool memory_told;

	int socket;
	int failed; /* why the connection is over; 0: it isn't */
	struct vio_vhost_user_mistake mistake;

	uint64_t features; /* as last offered */
	uint64_t protocol_offered, protocol;
	uint32_t queue_count;  /* 0: not said */
	uint32_t queue_limit;  /* no queue has this index */
	uint64_t memory_slots; /* 0: not said */

	uint8_t status;        /* where the back end has none */
	bool features_refused; /* by an answer to SET_FEATURES */
	int error_fd;          /* eventfd of all queues: a ring is broken */
	bool ring_broken;
	struct vu_front_channel channel;
	uint32_t config_changes; /* counted */
	bool config_changed;     /* and not taken yet */
	struct vu_front_queue queues[VU_FRONT_QUEUES_MAX];
};

static inline bool vu_front_has(const struct vu_front *front, unsigned protocol_bit)
{
	return front->protocol >> protocol_bit & 1;
}

static inline struct vu_front *vu_front_of(const struct vio_dev *dev)
{
	return dev->transport_context;
}

/* frontend_wire.c */

struct vu_front_request {
	uint32_t request;
	uint32_t size;
	const void *payload;
	int fd; /* goes with it; -1: none */
};

/*
 * Sends a request that has a reply of its own, and receives that: `reply_bytes` of payload, or none where
 * `may_refuse` (then -VIO_ENOTSUP). Other negative codes: the connection is over.
 */
int vu_front_ask(struct vu_front *front, const struct vu_front_request *request, void *reply,
		 uint32_t reply_bytes);
/* Sends one that has none, and with REPLY_ACK waits for the acknowledgement; -VIO_ENOTSUP when refused. */
int vu_front_tell(struct vu_front *front, const struct vu_front_request *request);

/* The connection is over, for the first reason that is given. Returns it. */
int vu_front_fail(struct vu_front *front, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

uint64_t vu_front_now_ns(void);

/* frontend_channel.c */

/* Hears what is there, so much and no more; messages that are none close the channel. */
void vu_front_listen(struct vu_front *front);

/* frontend_arena.c */

int vu_front_arena_make(struct vu_front *front);
void vu_front_arena_free(struct vu_front *front);

#endif
