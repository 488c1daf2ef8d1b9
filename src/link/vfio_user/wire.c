/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "link/vfio_user/wire.h"

_Static_assert(VIO_VFIO_USER_FDS_MAX <= LINK_FDS_MAX, "they go with a message");

bool vfu_is_answer(const struct vfio_user_header *header)
{
	return (header->flags & VFIO_USER_FLAGS_TYPE_MASK) == VFIO_USER_FLAGS_REPLY &&
	       (header->command == VFIO_USER_DMA_READ || header->command == VFIO_USER_DMA_WRITE);
}

/* hostile: E3 */
static const char *judge_header(const void *bytes, size_t *payload_bytes)
{
	const struct vfio_user_header *header = bytes;

	if ((header->flags & VFIO_USER_FLAGS_TYPE_MASK) != VFIO_USER_FLAGS_COMMAND && !vfu_is_answer(header))
		return "a reply where a command belongs";
	if (header->size < sizeof(*header))
		return "a message shorter than its header";
	if (header->size > sizeof(*header) + VFU_PAYLOAD_MAX)
		return "a message longer than any command";
	*payload_bytes = header->size - sizeof(*header);
	return NULL;
}

static struct link_message parts(struct vfu_receiver *receiver)
{
	return (struct link_message){
		.header = &receiver->header,
		.header_bytes = sizeof(receiver->header),
		.payload = &receiver->payload,
		.fds = receiver->fds,
		.fd_count = &receiver->fd_count,
		.fds_max = VIO_VFIO_USER_FDS_MAX,
		.judge = judge_header,
	};
}

int vfu_receive(struct vfu_receiver *receiver, int socket_fd)
{
	const struct link_message message = parts(receiver);

	return link_receive(&receiver->state, &message, socket_fd);
}

void vfu_receiver_next(struct vfu_receiver *receiver)
{
	const struct link_message message = parts(receiver);

	link_receiver_next(&receiver->state, &message);
}

static void finish(struct vfu_sender *sender, const struct vfio_user_header *header)
{
	memcpy(sender->message.bytes, header, sizeof(*header));
	sender->length = header->size;
	sender->sent = 0;
}

void vfu_sender_finish(struct vfu_sender *sender, const struct vfio_user_header *request, size_t size,
		       int error)
{
	finish(sender, &(struct vfio_user_header){
			       .id = request->id,
			       .command = request->command,
			       .size = (uint32_t)(sizeof(*request) + size),
			       .flags = VFIO_USER_FLAGS_REPLY | (error ? VFIO_USER_FLAGS_ERROR : 0),
			       .error = (uint32_t)error,
		       });
}

void vfu_sender_ask(struct vfu_sender *sender, uint16_t id, uint16_t command, size_t size)
{
	sender->fd_count = 0;
	finish(sender,
	       &(struct vfio_user_header){ .id = id,
					   .command = command,
					   .size = (uint32_t)(sizeof(struct vfio_user_header) + size) });
}

int vfu_send(struct vfu_sender *sender, int socket_fd)
{
	const struct link_sending sending = { sender->message.bytes, sender->length, sender->fds,
					      sender->fd_count };

	return link_send(&sending, &sender->sent, socket_fd);
}
