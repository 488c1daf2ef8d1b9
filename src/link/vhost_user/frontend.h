/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_LINK_VHOST_USER_FRONTEND_H
#define VIO_LINK_VHOST_USER_FRONTEND_H

#include <unistd.h>

#include <vireo/vhost_user_frontend.h>

#include "link/arena.h"

/*
 * frontend.c is the transport, frontend_setup.c tells a back end what it has to know,
 * frontend_reconnect.c tells it to the next one when it died, frontend_wire.c asks and hears
 * answers, frontend_channel.c listens to what the back end says unasked, frontend_arena.c has the memory,
 * frontend_apart.c is for queues with threads of their own.
 */

#define VU_FRONT_QUEUES_MAX (VHOST_USER_VRING_INDEX_MASK + 1)

/* Where the arena lies for the device: nowhere in our address space, which is no business of a peer's. */
#define VU_FRONT_ARENA_BASE UINT64_C(0x100000000)

struct vu_front_queue {
	int kick, call; /* eventfds; -1: none yet */
	bool started;
	bool starting;                /* it is being told; whoever does so begins anew for another back end */
	struct vio_queue_place place; /* of one that started */
	bool ready;                   /* when the last wait ended */
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

	uint8_t status; /* as last written: where the back end has none, and for the next one */
	uint64_t features_told;
	bool features_given;   /* and taken, since the last reset */
	bool features_refused; /* by an answer to SET_FEATURES */
	int error_fd;          /* eventfd of all queues: a ring is broken */
	bool ring_broken;
	struct vhost_user_inflight inflight;
	int inflight_fd;   /* what the back end has in flight; -1: no file */
	bool opened;       /* the first back end was agreed with */
	bool hung_up;      /* by us: nobody else is looked for */
	bool reconnecting; /* what goes wrong meanwhile is tried again */
	unsigned lives;    /* back ends that were agreed with */
	struct vu_front_channel channel;
	uint32_t config_changes; /* counted */
	bool config_changed;     /* and not taken yet */
	/* A wait has seen which descriptors are ready, so the others needn't be asked. */
	bool waited;
	bool queues_only; /* no more than queues' interrupts */
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

/* Rings are enabled by a message of their own from the moment that there are protocol features. */
static inline bool vu_front_enables(const struct vu_front *front)
{
	return front->features >> VHOST_USER_F_PROTOCOL_FEATURES & 1;
}

static inline bool vu_front_is_packed(const struct vu_front *front)
{
	return vio_features_has(&front->dev->accepted, VIRTIO_F_RING_PACKED);
}

static inline void vu_front_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* frontend_setup.c */

int vu_front_ask_u64(struct vu_front *front, uint32_t request, uint64_t *value);
int vu_front_tell_short(struct vu_front *front, uint32_t request, const void *payload, uint32_t size);
int vu_front_tell_u64(struct vu_front *front, uint32_t request, uint64_t value);
int vu_front_tell_queue(struct vu_front *front, uint32_t request, uint16_t queue, uint32_t value);

/* Agrees on protocol features, counts queues and slots, opens the channel. */
int vu_front_introduce(struct vu_front *front);
struct vhost_user_mem_region vu_front_region_of(const struct vio_vhost_user_memory *memory);
/* Unless it was told. */
int vu_front_tell_memory(struct vu_front *front);
/* Gets the file for requests in flight, if one is wanted and there is none, and gives it back. */
int vu_front_tell_inflight(struct vu_front *front);
/* What a queue is that begins at `base`, to a back end that doesn't run it. */
int vu_front_show_queue(struct vu_front *front, uint16_t queue, uint32_t base);
/* That of a queue that never ran. */
uint32_t vu_front_first_base(const struct vu_front *front);

/* frontend_reconnect.c */

/* Whether there may be another back end after this one hung up. */
bool vu_front_may_reconnect(struct vu_front *front);
/*
 * Looks for one and tells it all that the one before knew. 0: it is at work. Otherwise the connection is
 * over for good.
 */
int vu_front_reconnect(struct vu_front *front);
/* Sees whether the back end hung up while nobody asked it anything; then there may be another one already. */
void vu_front_look(struct vu_front *front);

/* frontend_wire.c */

struct vu_front_request {
	uint32_t request;
	uint32_t size;
	const void *payload;
	int fd;        /* goes with it; -1: none */
	int *reply_fd; /* takes the descriptor that may come with the reply; NULL: there is none */
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

/* frontend_apart.c */

/* Before a queue is enabled: the device interrupts it through a copy of this eventfd. */
int vu_front_set_call(struct vu_front *front, uint16_t queue, int fd);
/* Interrupts all queues that started. */
void vu_front_wake(struct vu_front *front);
/*
 * Sleeps until the back end hung up or says something, or wake_fd (whose owner drains it) is readable, and
 * handles it but for the queues' interrupts: config_changed of the driver, a search for the next back end.
 * 0, or why the connection is over.
 */
int vu_front_attend(struct vu_front *front, int wake_fd);

/* frontend_arena.c */

int vu_front_arena_make(struct vu_front *front);
void vu_front_arena_free(struct vu_front *front);

#endif
