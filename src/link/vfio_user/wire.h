/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_LINK_VFIO_USER_WIRE_H
#define VIO_LINK_VFIO_USER_WIRE_H

#include <vireo/spec/vfio_user.h>
#include <vireo/vfio_user.h>

#include "link/stream.h"

/* The messages of vfio-user, as the stream has them. */

/* The most that is before the data of a message. */
#define VFU_PAYLOAD_MAX (sizeof(struct vfio_user_region_access) + VIO_VFIO_USER_DATA_MAX)

/* The receiving end of one connection, with the message that is coming in. */
struct vfu_receiver {
	struct vfio_user_header header;
	union {
		uint64_t align;
		uint8_t bytes[VFU_PAYLOAD_MAX];
	} payload;
	/* Owned by the message until a handler takes one with vfu_take_fd(). */
	int fds[VIO_VFIO_USER_FDS_MAX];
	unsigned fd_count;
	struct link_receiver state;
};

/* The sending end: one message at most, of which the rest waits for room in the socket. */
struct vfu_sender {
	union {
		uint64_t align;
		uint8_t bytes[sizeof(struct vfio_user_header) + VFU_PAYLOAD_MAX];
	} message;
	size_t length;
	size_t sent;
	int fds[VIO_VFIO_USER_FDS_MAX]; /* go with the first byte; the caller's */
	unsigned fd_count;
};

/* Of a complete message. */
static inline uint32_t vfu_payload_bytes(const struct vfu_receiver *receiver)
{
	return receiver->header.size - (uint32_t)sizeof(receiver->header);
}

/* Of the kind that the server asks for. */
bool vfu_is_answer(const struct vfio_user_header *header);

/* As link_receive() and link_receiver_next(). */
int vfu_receive(struct vfu_receiver *receiver, int socket_fd);
void vfu_receiver_next(struct vfu_receiver *receiver);

/* Passes descriptor `index` to the caller; -1 when there is none. */
static inline int vfu_take_fd(struct vfu_receiver *receiver, unsigned index)
{
	return link_take_fd(receiver->fds, receiver->fd_count, index);
}

/* Where the payload of the reply goes, VFU_PAYLOAD_MAX bytes. */
static inline uint8_t *vfu_reply(struct vfu_sender *sender)
{
	return sender->message.bytes + sizeof(struct vfio_user_header);
}

/* Puts the header before `size` bytes of payload that are there; `error` is an errno or 0. */
void vfu_sender_finish(struct vfu_sender *sender, const struct vfio_user_header *request, size_t size,
		       int error);

/* The same of a command of our own. */
void vfu_sender_ask(struct vfu_sender *sender, uint16_t id, uint16_t command, size_t size);

/* Sends what there is, as link_send(). */
int vfu_send(struct vfu_sender *sender, int socket_fd);

#endif
