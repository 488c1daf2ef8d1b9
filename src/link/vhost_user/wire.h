/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_LINK_VHOST_USER_WIRE_H
#define VIO_LINK_VHOST_USER_WIRE_H

#include <vireo/spec/vhost_user.h>

#include "link/stream.h"

/* The messages of vhost-user, as the stream has them. */

/* The largest payload: a configuration write of 256 bytes, a full memory table, and some room. */
#define VU_PAYLOAD_MAX 512u

struct vu_message {
	struct vhost_user_header header;
	union {
		uint8_t bytes[VU_PAYLOAD_MAX];
		uint64_t u64;
		struct vhost_user_vring_state state;
		struct vhost_user_vring_addr addr;
		struct vhost_user_mem_table table;
		struct vhost_user_mem_reg reg;
		struct vhost_user_config config;
		struct vhost_user_inflight inflight;
		struct vhost_user_log log;
		struct vhost_user_device_state device_state;
	} payload;
	/* Owned by the message until a handler takes one with vu_message_take_fd(). */
	int fds[VHOST_USER_FDS_MAX];
	unsigned fd_count;
};

/* The receiving end of one connection. */
struct vu_receiver {
	struct vu_message message;
	struct link_receiver state;
};

/* The sending end: one reply at most, of which the rest waits for room in the socket. */
struct vu_sender {
	uint8_t bytes[sizeof(struct vhost_user_header) + VU_PAYLOAD_MAX];
	size_t length;
	size_t sent;
	int fd; /* goes with its first byte, and is closed then; -1: none */
};

void vu_sender_init(struct vu_sender *sender);
/* Drops what wasn't sent. */
void vu_sender_clear(struct vu_sender *sender);

/* As link_receive() and link_receiver_next(). */
int vu_receive(struct vu_receiver *receiver, int socket_fd);
void vu_receiver_next(struct vu_receiver *receiver);

/* Passes descriptor `index` to the caller; -1 when there is none. */
static inline int vu_message_take_fd(struct vu_message *message, unsigned index)
{
	return link_take_fd(message->fds, message->fd_count, index);
}

/* Makes a reply of `size` payload bytes, at most VU_PAYLOAD_MAX. */
void vu_sender_put(struct vu_sender *sender, uint32_t request, const void *payload, uint32_t size);

/* Gives it a descriptor to take along. */
void vu_sender_put_fd(struct vu_sender *sender, int fd);

/* Sends what there is, as link_send(). */
int vu_send(struct vu_sender *sender, int socket_fd);

#endif
