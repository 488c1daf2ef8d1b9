/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "link/vhost_user/frontend.h"
#include "link/vhost_user/wire.h"

#define NS_PER_MS UINT64_C(1000000)
/* A process can't be sent more with one message; less room would make the kernel guess which to drop. */
#define FDS_MOST  253u

struct exchange {
	struct vu_front *front;
	uint32_t request;
	uint64_t deadline_ns; /* of all of it: hostile: D18 */
	int *reply_fd;
};

uint64_t vu_front_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

int vu_front_fail(struct vu_front *front, int error, const char *format, ...)
{
	va_list arguments;

	if (front->failed)
		return front->failed;
	front->failed = error;
	va_start(arguments, format);
	vsnprintf(front->mistake.text, sizeof(front->mistake.text), format, arguments);
	va_end(arguments);
	shutdown(front->socket, SHUT_RDWR);
	return error;
}

static unsigned timeout_ms(const struct vu_front *front)
{
	return front->options.timeout_ms ? front->options.timeout_ms : VIO_VHOST_USER_TIMEOUT_MS;
}

/* Waits until the socket is ready for `events`; hostile: D2 D18. */
static int await(const struct exchange *exchange, short events)
{
	struct vu_front *front = exchange->front;
	struct pollfd pollfd = { .fd = front->socket, .events = events };
	uint64_t now;
	int ready, sleep_ms;

	for (;;) {
		if (front->options.waiting)
			front->options.waiting(front->options.context);
		now = vu_front_now_ns();
		if (now >= exchange->deadline_ns)
			return vu_front_fail(front, -VIO_EAGAIN, "message %u: no whole reply within %u ms",
					     exchange->request, timeout_ms(front));
		sleep_ms = (int)((exchange->deadline_ns - now + NS_PER_MS - 1) / NS_PER_MS);
		if (front->options.waiting)
			sleep_ms = 1;
		ready = poll(&pollfd, 1, sleep_ms);
		if (ready > 0)
			return 0;
		if (ready < 0 && errno != EINTR)
			return vu_front_fail(front, -VIO_ESYS, "poll: %s", strerror(errno));
	}
}

static int socket_error(const struct exchange *exchange)
{
	if (errno == EPIPE || errno == ECONNRESET)
		return vu_front_fail(exchange->front, -VIO_EHANGUP, "message %u: the back end hung up",
				     exchange->request);
	return vu_front_fail(exchange->front, -VIO_ESYS, "message %u: %s", exchange->request,
			     strerror(errno));
}

/* Header, payload and descriptor; the descriptor goes with the first byte. */
static int send_request(const struct exchange *exchange, const struct vu_front_request *request,
			uint32_t flags)
{
	struct vhost_user_header header = { request->request, VHOST_USER_FLAGS_VERSION | flags,
					    request->size };
	uint8_t bytes[sizeof(header) + sizeof(struct vhost_user_config)];
	size_t length = sizeof(header) + request->size, sent = 0;
	union link_control control;
	int error;

	if (length > sizeof(bytes))
		return -VIO_EINVAL;
	memcpy(bytes, &header, sizeof(header));
	if (request->size)
		memcpy(bytes + sizeof(header), request->payload, request->size);
	while (sent < length) {
		struct iovec iov = { bytes + sent, length - sent };
		struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
		ssize_t now;

		if (!sent && request->fd >= 0)
			link_put_fds(&msg, &control, &request->fd, 1);
		now = sendmsg(exchange->front->socket, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (now >= 0) {
			sent += (size_t)now;
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return socket_error(exchange);
		error = await(exchange, POLLOUT);
		if (error)
			return error;
	}
	return 0;
}

/* Exactly `length` bytes, and no descriptors but the one that is asked for: hostile: D4. */
static int receive(const struct exchange *exchange, void *to, size_t length)
{
	struct vu_front *front = exchange->front;
	size_t received = 0;

	while (received < length) {
		union {
			char bytes[CMSG_SPACE(FDS_MOST * sizeof(int))];
			struct cmsghdr align;
		} control;
		struct iovec iov = { (uint8_t *)to + received, length - received };
		unsigned kept = 0, wanted = exchange->reply_fd && *exchange->reply_fd < 0;
		struct msghdr msg = { .msg_iov = &iov,
				      .msg_iovlen = 1,
				      .msg_control = control.bytes,
				      .msg_controllen = sizeof(control.bytes) };
		int error = await(exchange, POLLIN);
		ssize_t got;

		if (error)
			return error;
		got = recvmsg(front->socket, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		if (got < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (got < 0)
			return socket_error(exchange);
		if (link_take_fds(&msg, exchange->reply_fd, &kept, wanted))
			return vu_front_fail(front, -VIO_EPROTO,
					     "message %u: the reply came with file descriptors",
					     exchange->request);
		if (!got) /* hostile: D13 */
			return vu_front_fail(front, -VIO_EHANGUP, "message %u: the back end hung up",
					     exchange->request);
		received += (size_t)got;
	}
	return 0;
}

/* hostile: D1 D3 */
static int receive_reply(const struct exchange *exchange, void *reply, uint32_t reply_bytes, bool may_refuse)
{
	const uint32_t flags = VHOST_USER_FLAGS_VERSION | VHOST_USER_FLAGS_REPLY;
	struct vu_front *front = exchange->front;
	struct vhost_user_header header;
	int error = receive(exchange, &header, sizeof(header));

	if (error)
		return error;
	if (header.request != exchange->request ||
	    (header.flags & (VHOST_USER_FLAGS_VERSION_MASK | VHOST_USER_FLAGS_REPLY)) != flags)
		return vu_front_fail(front, -VIO_EPROTO, "message %u: message %u with flags %#x is no reply",
				     exchange->request, header.request, header.flags);
	if (!header.size && may_refuse)
		return -VIO_ENOTSUP;
	if (header.size != reply_bytes)
		return vu_front_fail(front, -VIO_EPROTO, "message %u: the reply has %u bytes and not %u",
				     exchange->request, header.size, reply_bytes);
	return receive(exchange, reply, reply_bytes);
}

static struct exchange begin(struct vu_front *front, const struct vu_front_request *request)
{
	return (struct exchange){ front, request->request, vu_front_now_ns() + timeout_ms(front) * NS_PER_MS,
				  request->reply_fd };
}

static int ask_once(struct vu_front *front, const struct vu_front_request *request, void *reply,
		    uint32_t reply_bytes)
{
	struct exchange exchange = begin(front, request);
	int error = front->failed;

	if (request->reply_fd)
		vu_front_close(request->reply_fd);
	if (!error)
		error = send_request(&exchange, request, 0);
	if (error)
		return error;
	return receive_reply(&exchange, reply, reply_bytes, request->request == VHOST_USER_GET_CONFIG);
}

int vu_front_ask(struct vu_front *front, const struct vu_front_request *request, void *reply,
		 uint32_t reply_bytes)
{
	int error = ask_once(front, request, reply, reply_bytes);

	while (error && vu_front_may_reconnect(front)) {
		error = vu_front_reconnect(front);
		if (!error)
			error = ask_once(front, request, reply, reply_bytes);
	}
	return error;
}

static int tell_once(struct vu_front *front, const struct vu_front_request *request)
{
	bool answered = vu_front_has(front, VHOST_USER_PROTOCOL_F_REPLY_ACK);
	struct exchange exchange = begin(front, request);
	int error = front->failed;
	uint64_t refused;

	if (!error)
		error = send_request(&exchange, request, answered ? VHOST_USER_FLAGS_NEED_REPLY : 0);
	if (error || !answered)
		return error;
	error = receive_reply(&exchange, &refused, sizeof(refused), false);
	if (error || !refused)
		return error;
	snprintf(front->mistake.text, sizeof(front->mistake.text),
		 "message %u: the back end refused it (%llu)", request->request, (unsigned long long)refused);
	return -VIO_ENOTSUP;
}

/* All that is told may be told twice. */
int vu_front_tell(struct vu_front *front, const struct vu_front_request *request)
{
	int error = tell_once(front, request);

	while (error && vu_front_may_reconnect(front)) {
		error = vu_front_reconnect(front);
		if (!error)
			error = tell_once(front, request);
	}
	return error;
}
