/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>
#include <unistd.h>

#include "link/vhost_user/wire.h"

_Static_assert(VHOST_USER_FDS_MAX <= LINK_FDS_MAX, "they go with a message");

static const char *judge_header(const void *bytes, size_t *payload_bytes)
{
	const struct vhost_user_header *header = bytes;

	if ((header->flags & VHOST_USER_FLAGS_VERSION_MASK) != VHOST_USER_FLAGS_VERSION) /* hostile: C5 */
		return "a message of another version";
	if (header->flags & VHOST_USER_FLAGS_REPLY)
		return "a reply where a request belongs";
	if (header->size > VU_PAYLOAD_MAX)
		return "a message longer than any request";
	*payload_bytes = header->size;
	return NULL;
}

static struct link_message parts(struct vu_message *message)
{
	return (struct link_message){
		.header = &message->header,
		.header_bytes = sizeof(message->header),
		.payload = &message->payload,
		.fds = message->fds,
		.fd_count = &message->fd_count,
		.fds_max = VHOST_USER_FDS_MAX,
		.judge = judge_header,
	};
}

int vu_receive(struct vu_receiver *receiver, int socket_fd)
{
	const struct link_message message = parts(&receiver->message);

	return link_receive(&receiver->state, &message, socket_fd);
}

void vu_receiver_next(struct vu_receiver *receiver)
{
	const struct link_message message = parts(&receiver->message);

	link_receiver_next(&receiver->state, &message);
}

void vu_sender_put(struct vu_sender *sender, uint32_t request, const void *payload, uint32_t size)
{
	const struct vhost_user_header header = { request, VHOST_USER_FLAGS_VERSION | VHOST_USER_FLAGS_REPLY,
						  size };

	memcpy(sender->bytes, &header, sizeof(header));
	if (size)
		memcpy(sender->bytes + sizeof(header), payload, size);
	sender->length = sizeof(header) + size;
	sender->sent = 0;
}

void vu_sender_init(struct vu_sender *sender)
{
	sender->length = sender->sent = 0;
	sender->fd = -1;
}

void vu_sender_clear(struct vu_sender *sender)
{
	if (sender->fd >= 0)
		close(sender->fd);
	vu_sender_init(sender);
}

void vu_sender_put_fd(struct vu_sender *sender, int fd)
{
	sender->fd = fd;
}

int vu_send(struct vu_sender *sender, int socket_fd)
{
	const struct link_sending sending = { sender->bytes, sender->length, &sender->fd, sender->fd >= 0 };
	int result = link_send(&sending, &sender->sent, socket_fd);

	if (sender->sent && sender->fd >= 0) {
		close(sender->fd);
		sender->fd = -1;
	}
	return result;
}
