/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_LINK_VHOST_USER_WIRE_H
#define VIO_LINK_VHOST_USER_WIRE_H

#include <vireo/base.h>
#include <vireo/spec/vhost_user.h>

/*
 * Messages on a stream socket: header, payload and the file descriptors that came
 * with them. Nothing here knows what a message means, and nothing blocks.
 */

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
	} payload;
	/* Owned by the message until a handler takes one with vu_message_take_fd(). */
	int fds[VHOST_USER_FDS_MAX];
	unsigned fd_count;
};

/* The receiving end of one connection. */
struct vu_receiver {
	struct vu_message message;
	size_t received;     /* bytes of header and payload that are here */
	bool fds_lost;       /* more descriptors came than fit */
	const char *mistake; /* what was wrong when -VIO_EPROTO was returned */
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

/*
 * Takes the file descriptors that came with what recvmsg() received: *count grows to `max` at most, and
 * what is more is closed. True when some were closed, or cut off by the kernel.
 */
struct msghdr;
bool vu_take_fds(struct msghdr *msg, int *fds, unsigned *count, unsigned max);

/*
 * Goes on receiving. 1: a message is complete (and stays until vu_receiver_next());
 * 0: more has to come; -VIO_EHANGUP: end of stream; -VIO_EPROTO: a header that
 * can't be right or descriptors that didn't fit; -VIO_ESYS.
 */
int vu_receive(struct vu_receiver *receiver, int socket_fd);

/* Closes what is left of the message and makes room for the next. */
void vu_receiver_next(struct vu_receiver *receiver);

/* Passes descriptor `index` to the caller; -1 when there is none. */
int vu_message_take_fd(struct vu_message *message, unsigned index);

/* Makes a reply of `size` payload bytes, at most VU_PAYLOAD_MAX. */
void vu_sender_put(struct vu_sender *sender, uint32_t request, const void *payload, uint32_t size);

/* Gives it a descriptor to take along. */
void vu_sender_put_fd(struct vu_sender *sender, int fd);

/* Sends what there is as far as it goes. 1: all of it; 0: the rest later; -VIO_EHANGUP, -VIO_ESYS. */
int vu_send(struct vu_sender *sender, int socket_fd);

#endif
