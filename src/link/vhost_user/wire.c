/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "link/vhost_user/wire.h"

bool vu_take_fds(struct msghdr *msg, int *fds, unsigned *count, unsigned max)
{
	bool lost = msg->msg_flags & MSG_CTRUNC;
	struct cmsghdr *cmsg;

	for (cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {
		size_t came, i;

		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		came = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < came; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(fd), sizeof(fd));
			if (*count < max) {
				fds[(*count)++] = fd;
			} else {
				close(fd);
				lost = true;
			}
		}
	}
	return lost;
}

/* How many bytes the message has, as far as it is known. */
static size_t wanted(const struct vu_receiver *receiver)
{
	const struct vhost_user_header *header = &receiver->message.header;

	return sizeof(*header) + (receiver->received < sizeof(*header) ? 0 : header->size);
}

static int mistake(struct vu_receiver *receiver, const char *what)
{
	receiver->mistake = what;
	return -VIO_EPROTO;
}

/* What of a header no handler should see, however much of the message is still to come. */
static int judge_header(struct vu_receiver *receiver)
{
	const struct vhost_user_header *header = &receiver->message.header;

	if ((header->flags & VHOST_USER_FLAGS_VERSION_MASK) != VHOST_USER_FLAGS_VERSION) /* hostile: C5 */
		return mistake(receiver, "a message of another version");
	if (header->flags & VHOST_USER_FLAGS_REPLY)
		return mistake(receiver, "a reply where a request belongs");
	if (header->size > VU_PAYLOAD_MAX)
		return mistake(receiver, "a message longer than any request");
	return 0;
}

/* 1: bytes came; 0: none now; or a negative code. */
static int receive_some(struct vu_receiver *receiver, int socket_fd)
{
	struct vu_message *message = &receiver->message;
	/* One descriptor more than fits, so that a ninth is seen and not cut off by the kernel. */
	union {
		char bytes[CMSG_SPACE((VHOST_USER_FDS_MAX + 1) * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov;
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
	};
	ssize_t got;

	if (receiver->received < sizeof(message->header))
		iov.iov_base = (uint8_t *)&message->header + receiver->received;
	else
		iov.iov_base = message->payload.bytes + (receiver->received - sizeof(message->header));
	iov.iov_len = wanted(receiver) - receiver->received;
	do
		got = recvmsg(socket_fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return errno == EAGAIN ? 0 : errno == ECONNRESET ? -VIO_EHANGUP : -VIO_ESYS;
	if (vu_take_fds(&msg, message->fds, &message->fd_count, VHOST_USER_FDS_MAX))
		receiver->fds_lost = true;
	if (!got)
		return -VIO_EHANGUP;
	receiver->received += (size_t)got;
	return 1;
}

int vu_receive(struct vu_receiver *receiver, int socket_fd)
{
	const size_t header_bytes = sizeof(receiver->message.header);

	for (;;) {
		int result = receive_some(receiver, socket_fd);

		if (result <= 0)
			return result;
		if (receiver->fds_lost)
			return mistake(receiver, "more file descriptors than fit, or than may be open");
		if (receiver->received == header_bytes) {
			result = judge_header(receiver);
			if (result)
				return result;
		}
		if (receiver->received >= header_bytes && receiver->received == wanted(receiver))
			return 1;
	}
}

void vu_receiver_next(struct vu_receiver *receiver)
{
	unsigned i;

	for (i = 0; i < receiver->message.fd_count; i++)
		if (receiver->message.fds[i] >= 0)
			close(receiver->message.fds[i]);
	receiver->message.fd_count = 0;
	receiver->received = 0;
	receiver->fds_lost = false;
}

int vu_message_take_fd(struct vu_message *message, unsigned index)
{
	int fd = -1;

	if (index < message->fd_count) {
		fd = message->fds[index];
		message->fds[index] = -1;
	}
	return fd;
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

static ssize_t send_some(struct vu_sender *sender, int socket_fd)
{
	struct iovec iov = { sender->bytes + sender->sent, sender->length - sender->sent };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	ssize_t sent;

	if (sender->fd >= 0) {
		struct cmsghdr *cmsg;

		memset(&control, 0, sizeof(control));
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(cmsg), &sender->fd, sizeof(int));
	}
	sent = sendmsg(socket_fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent > 0 && sender->fd >= 0) {
		close(sender->fd);
		sender->fd = -1;
	}
	return sent;
}

int vu_send(struct vu_sender *sender, int socket_fd)
{
	while (sender->sent < sender->length) {
		ssize_t sent = send_some(sender, socket_fd);

		if (sent >= 0)
			sender->sent += (size_t)sent;
		else if (errno == EAGAIN)
			return 0;
		else if (errno != EINTR)
			return errno == EPIPE || errno == ECONNRESET ? -VIO_EHANGUP : -VIO_ESYS;
	}
	return 1;
}
