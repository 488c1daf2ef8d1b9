/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "link/stream.h"

bool link_take_fds(struct msghdr *msg, int *fds, unsigned *count, unsigned max)
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

void link_put_fds(struct msghdr *msg, union link_control *control, const int *fds, unsigned count)
{
	size_t bytes = count * sizeof(*fds);

	memset(control, 0, sizeof(*control));
	control->align = (struct cmsghdr){ .cmsg_len = CMSG_LEN(bytes),
					   .cmsg_level = SOL_SOCKET,
					   .cmsg_type = SCM_RIGHTS };
	memcpy(CMSG_DATA(&control->align), fds, bytes);
	msg->msg_control = control;
	msg->msg_controllen = CMSG_SPACE(bytes);
}

/* How many bytes the message has, as far as it is known. */
static size_t wanted(const struct link_receiver *receiver, const struct link_message *message)
{
	bool judged = receiver->received >= message->header_bytes;

	return message->header_bytes + (judged ? receiver->payload_bytes : 0);
}

static int mistake(struct link_receiver *receiver, const char *what)
{
	receiver->mistake = what;
	return -VIO_EPROTO;
}

/* 1: bytes came; 0: none now; or a negative code. */
static int receive_some(struct link_receiver *receiver, const struct link_message *message, int socket_fd)
{
	union link_control control;
	struct iovec iov;
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = CMSG_SPACE((message->fds_max + 1) * sizeof(int)) };
	ssize_t got;

	if (receiver->received < message->header_bytes)
		iov.iov_base = (uint8_t *)message->header + receiver->received;
	else
		iov.iov_base = (uint8_t *)message->payload + (receiver->received - message->header_bytes);
	iov.iov_len = wanted(receiver, message) - receiver->received;
	do
		got = recvmsg(socket_fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return errno == EAGAIN ? 0 : errno == ECONNRESET ? -VIO_EHANGUP : -VIO_ESYS;
	if (link_take_fds(&msg, message->fds, message->fd_count, message->fds_max))
		receiver->fds_lost = true;
	if (!got)
		return -VIO_EHANGUP;
	receiver->received += (size_t)got;
	return 1;
}

int link_receive(struct link_receiver *receiver, const struct link_message *message, int socket_fd)
{
	for (;;) {
		int result = receive_some(receiver, message, socket_fd);

		if (result <= 0)
			return result;
		if (receiver->fds_lost)
			return mistake(receiver, "more file descriptors than fit, or than may be open");
		if (receiver->received == message->header_bytes) {
			const char *what = message->judge(message->header, &receiver->payload_bytes);

			if (what)
				return mistake(receiver, what);
		}
		if (receiver->received >= message->header_bytes &&
		    receiver->received == wanted(receiver, message))
			return 1;
	}
}

void link_receiver_next(struct link_receiver *receiver, const struct link_message *message)
{
	unsigned i;

	for (i = 0; i < *message->fd_count; i++)
		if (message->fds[i] >= 0)
			close(message->fds[i]);
	*message->fd_count = 0;
	receiver->received = 0;
	receiver->fds_lost = false;
}

int link_take_fd(int *fds, unsigned count, unsigned index)
{
	int fd = -1;

	if (index < count) {
		fd = fds[index];
		fds[index] = -1;
	}
	return fd;
}

static ssize_t send_some(const struct link_sending *sending, size_t sent, int socket_fd)
{
	struct iovec iov = { (void *)(uintptr_t)(sending->bytes + sent), sending->length - sent };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	union link_control control;

	if (sending->fd_count && !sent)
		link_put_fds(&msg, &control, sending->fds, sending->fd_count);
	return sendmsg(socket_fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

int link_send(const struct link_sending *sending, size_t *sent, int socket_fd)
{
	while (*sent < sending->length) {
		ssize_t now = send_some(sending, *sent, socket_fd);

		if (now >= 0)
			*sent += (size_t)now;
		else if (errno == EAGAIN)
			return 0;
		else if (errno != EINTR)
			return errno == EPIPE || errno == ECONNRESET ? -VIO_EHANGUP : -VIO_ESYS;
	}
	return 1;
}
