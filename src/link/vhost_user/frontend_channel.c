/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "link/vhost_user/frontend.h"
#include "link/vhost_user/wire.h"

/* hostile: D12, messages heard at a time: who floods the channel gets no more of our time than that. */
#define MESSAGES_MAX 64u
#define PAYLOAD_MAX  512u
#define FDS_MOST     253u
#define REFUSED      UINT64_C(1)

static void close_channel(struct vu_front *front)
{
	close(front->channel.fd);
	front->channel.fd = -1;
}

/* What is still to come of the message. */
static size_t missing(const struct vu_front_channel *channel)
{
	const size_t header = sizeof(channel->header);

	return (channel->received < header ? header : header + channel->header.size) - channel->received;
}

/* More of a message. 1: it is whole; 0: there is no more now; -1: the channel is of no use any more. */
static int receive(struct vu_front_channel *channel)
{
	uint8_t payload[PAYLOAD_MAX]; /* of what is heard nothing has one that matters */
	const size_t header = sizeof(channel->header);

	do {
		union {
			char bytes[CMSG_SPACE(FDS_MOST * sizeof(int))];
			struct cmsghdr align;
		} control;
		struct iovec iov = { payload, missing(channel) };
		struct msghdr msg = { .msg_iov = &iov,
				      .msg_iovlen = 1,
				      .msg_control = control.bytes,
				      .msg_controllen = sizeof(control.bytes) };
		unsigned kept = 0;
		ssize_t got;

		if (channel->received < header)
			iov.iov_base = (uint8_t *)&channel->header + channel->received;
		got = recvmsg(channel->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return errno == EAGAIN ? 0 : -1;
		(void)link_take_fds(&msg, NULL, &kept, 0); /* hostile: D11, what comes along isn't wanted */
		if (!got)
			return -1;
		channel->received += (size_t)got;
		if (channel->received == header &&
		    ((channel->header.flags & VHOST_USER_FLAGS_VERSION_MASK) != VHOST_USER_FLAGS_VERSION ||
		     channel->header.flags & VHOST_USER_FLAGS_REPLY || channel->header.size > PAYLOAD_MAX))
			return -1;
	} while (missing(channel));
	return 1;
}

/* A back end that doesn't take its answer loses the channel, and keeps nobody waiting. */
static bool answer(const struct vu_front_channel *channel, uint64_t result)
{
	struct {
		struct vhost_user_header header;
		uint8_t payload[sizeof(result)];
	} reply = { .header = { channel->header.request, VHOST_USER_FLAGS_VERSION | VHOST_USER_FLAGS_REPLY,
				sizeof(result) } };

	memcpy(reply.payload, &result, sizeof(result));
	return send(channel->fd, &reply, sizeof(reply), MSG_DONTWAIT | MSG_NOSIGNAL) == sizeof(reply);
}

static bool handle(struct vu_front *front)
{
	struct vu_front_channel *channel = &front->channel;
	uint64_t result = REFUSED; /* hostile: D11, everything that wasn't negotiated */

	channel->received = 0;
	if (channel->header.request == VHOST_USER_BACKEND_CONFIG_CHANGE_MSG) {
		front->config_changes++;
		front->config_changed = true;
		result = 0;
	}
	return !(channel->header.flags & VHOST_USER_FLAGS_NEED_REPLY) || answer(channel, result);
}

void vu_front_listen(struct vu_front *front)
{
	unsigned heard;

	for (heard = 0; heard < MESSAGES_MAX && front->channel.fd >= 0; heard++) {
		int result = receive(&front->channel);

		if (!result)
			return;
		if (result < 0 || !handle(front))
			close_channel(front);
	}
}
