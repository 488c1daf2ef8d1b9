/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "link/vhost_user/wire.h"

static void keep_fds(struct vu_receiver *receiver, struct msghdr *msg)
{
	struct vu_message *message = &receiver->message;
	struct cmsghdr *cmsg;

	for (cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {
		size_t count, i;

		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		count = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(fd), sizeof(fd));
			if (message->fd_count < VHOST_USER_FDS_MAX) {
				message->fds[message->fd_count++] = fd;
			} else {
				close(fd);
				receiver->fds_lost = true;
			}
		}
	}
	if (msg->msg_flags & MSG_CTRUNC)
		receiver->fds_lost = true;
}

/* How many bytes the message has, as far as it is known. */
static size_t wanted(const struct vu_receiver *receiver)
{
	const struct vhost_user_header *header = &receiver->message.header;

	return sizeof(*header) + (receiver->received < sizeof(*header) ? 0 : header->size);
}

int vu_receive(struct vu_receiver *receiver, int socket_fd)
{
	struct vu_message *message = &receiver->message;

	for (;;) {
		/* One descriptor more than fits, so that a ninth is seen and not cut off by the kernel. */
		union {
			char bytes[CMSG_SPACE((VHOST_USER_FDS_MAX + 1) * sizeof(int))];
			struct cmsghdr align;
		} control;
		struct iovec iov;
		struct msghdr msg = { .msg_iov = &iov,
				      .msg_iovlen = 1,
				      .msg_control = &control,
				      .msg_controllen = sizeof(control) };
		ssize_t got;

		if (receiver->received >= sizeof(message->header) && message->header.size > VU_PAYLOAD_MAX)
			return -VIO_EPROTO;
		if (receiver->received >= sizeof(message->header) && receiver->received == wanted(receiver))
			return receiver->fds_lost ? -VIO_EPROTO : 1;
		if (receiver->received < sizeof(message->header))
			iov.iov_base = (uint8_t *)&message->header + receiver->received;
		else
			iov.iov_base =
				message->payload.bytes + (receiver->received - sizeof(message->header));
		iov.iov_len = wanted(receiver) - receiver->received;
		got = recvmsg(socket_fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return errno == EAGAIN ? 0 : errno == ECONNRESET ? -VIO_EHANGUP : -VIO_ESYS;
		keep_fds(receiver, &msg);
		if (!got)
			return -VIO_EHANGUP;
		receiver->received += (size_t)got;
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

int vu_send_reply(int socket_fd, uint32_t request, const void *payload, uint32_t size)
{
	struct vhost_user_header header = { request, VHOST_USER_FLAGS_VERSION | VHOST_USER_FLAGS_REPLY,
					    size };
	struct iovec iov[2] = { { &header, sizeof(header) }, { (void *)(uintptr_t)payload, size } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = size ? 2 : 1 };
	ssize_t sent;

	do
		sent = sendmsg(socket_fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent == (ssize_t)(sizeof(header) + size))
		return 0;
	if (sent < 0 && (errno == EPIPE || errno == ECONNRESET))
		return -VIO_EHANGUP;
	/* A peer that lets its socket fill up doesn't follow the protocol, which waits for each reply. */
	return -VIO_EAGAIN;
}
