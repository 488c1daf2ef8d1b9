/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "link/vfio_user/wire.h"

static void keep_fds(struct vfu_receiver *receiver, struct msghdr *msg)
{
	struct cmsghdr *cmsg;

	for (cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {
		size_t count, i;

		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		count = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(fd), sizeof(fd));
			if (receiver->fd_count < VIO_VFIO_USER_FDS_MAX) {
				receiver->fds[receiver->fd_count++] = fd;
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
static size_t wanted(const struct vfu_receiver *receiver)
{
	const size_t header_bytes = sizeof(receiver->header);

	return receiver->received < header_bytes ? header_bytes : receiver->header.size;
}

static int mistake(struct vfu_receiver *receiver, const char *what)
{
	receiver->mistake = what;
	return -VIO_EPROTO;
}

/* What of a header no handler should see, however much of the message is still to come. */
static int judge_header(struct vfu_receiver *receiver)
{
	const struct vfio_user_header *header = &receiver->header;

	/* hostile: E3 */
	if ((header->flags & VFIO_USER_FLAGS_TYPE_MASK) != VFIO_USER_FLAGS_COMMAND)
		return mistake(receiver, "a reply where a command belongs");
	if (header->size < sizeof(*header))
		return mistake(receiver, "a message shorter than its header");
	if (header->size > sizeof(*header) + VFU_PAYLOAD_MAX)
		return mistake(receiver, "a message longer than any command");
	return 0;
}

/* 1: bytes came; 0: none now; or a negative code. */
static int receive_some(struct vfu_receiver *receiver, int socket_fd)
{
	/* One descriptor more than fits, so that it is seen and not cut off by the kernel. */
	union {
		char bytes[CMSG_SPACE((VIO_VFIO_USER_FDS_MAX + 1) * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov;
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
	};
	ssize_t got;

	if (receiver->received < sizeof(receiver->header))
		iov.iov_base = (uint8_t *)&receiver->header + receiver->received;
	else
		iov.iov_base = receiver->payload.bytes + (receiver->received - sizeof(receiver->header));
	iov.iov_len = wanted(receiver) - receiver->received;
	do
		got = recvmsg(socket_fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return errno == EAGAIN ? 0 : errno == ECONNRESET ? -VIO_EHANGUP : -VIO_ESYS;
	keep_fds(receiver, &msg);
	if (!got)
		return -VIO_EHANGUP;
	receiver->received += (size_t)got;
	return 1;
}

int vfu_receive(struct vfu_receiver *receiver, int socket_fd)
{
	const size_t header_bytes = sizeof(receiver->header);

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

void vfu_receiver_next(struct vfu_receiver *receiver)
{
	unsigned i;

	for (i = 0; i < receiver->fd_count; i++)
		if (receiver->fds[i] >= 0)
			close(receiver->fds[i]);
	receiver->fd_count = 0;
	receiver->received = 0;
	receiver->fds_lost = false;
}

int vfu_take_fd(struct vfu_receiver *receiver, unsigned index)
{
	int fd = -1;

	if (index < receiver->fd_count) {
		fd = receiver->fds[index];
		receiver->fds[index] = -1;
	}
	return fd;
}

void vfu_sender_finish(struct vfu_sender *sender, const struct vfio_user_header *request, size_t size,
		       int error)
{
	struct vfio_user_header header = {
		.id = request->id,
		.command = request->command,
		.size = (uint32_t)(sizeof(header) + size),
		.flags = VFIO_USER_FLAGS_REPLY | (error ? VFIO_USER_FLAGS_ERROR : 0),
		.error = (uint32_t)error,
	};

	memcpy(sender->message.bytes, &header, sizeof(header));
	sender->length = header.size;
	sender->sent = 0;
}

/* sendmsg(), with the descriptors when it is the first of a message. */
static ssize_t send_some(const struct vfu_sender *sender, int socket_fd)
{
	union {
		char bytes[CMSG_SPACE(VIO_VFIO_USER_FDS_MAX * sizeof(int))];
		struct cmsghdr header;
	} control;
	struct iovec iov = { (void *)(uintptr_t)(sender->message.bytes + sender->sent),
			     sender->length - sender->sent };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	size_t fd_bytes = sender->fd_count * sizeof(int);

	if (sender->fd_count && !sender->sent) {
		memset(&control, 0, sizeof(control));
		control.header = (struct cmsghdr){ .cmsg_len = CMSG_LEN(fd_bytes),
						   .cmsg_level = SOL_SOCKET,
						   .cmsg_type = SCM_RIGHTS };
		memcpy(CMSG_DATA(&control.header), sender->fds, fd_bytes);
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(fd_bytes);
	}
	return sendmsg(socket_fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

int vfu_send(struct vfu_sender *sender, int socket_fd)
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
