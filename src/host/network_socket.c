/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "host/network.h"

/*
 * A peer at a Unix stream socket: each frame behind its length, four bytes, most
 * significant first, as passt and QEMU's stream netdev have it. There are no
 * offloads, so the driver is offered none for what it sends.
 *
 * While the peer doesn't read, frames stay in the driver's queue; the rest of one
 * that went halfway is kept here. A peer that goes takes the link down until it is
 * back, or another comes.
 */

#define LENGTH_BYTES 4u
#define RETRY_MS     1000u
#define BURST        64u
#define SOCKET_SPANS 254u

struct peer {
	struct vio_network network;
	struct vio_network_clock clock;
	struct vio_loop *loop;
	struct sockaddr_un address;
	bool listens, accepting, reading, writing;
	struct vio_timer retry;
	struct vio_watch accept_watch;
	struct vio_watch watch;       /* the connection; fd -1: none */
	struct vio_watch write_watch; /* an epoll descriptor: readable when the connection is writable */
	struct vio_network_send *first, **last; /* wait for the peer to read */
	uint32_t rest_at, rest_end;             /* of `rest`: the end of a frame that went halfway */
	uint32_t have;                          /* bytes in `in` */
	uint8_t rest[LENGTH_BYTES + VIO_FRAME_BYTES_MAX];
	uint8_t in[2 * (LENGTH_BYTES + VIO_FRAME_BYTES_MAX)];
};

static struct peer *peer_of(struct vio_network *network)
{
	return VIO_CONTAINER_OF(network, struct peer, network);
}

static struct vio_network_send **next_of(struct vio_network_send *send)
{
	return (struct vio_network_send **)(void *)send->network_private;
}

static void watch(struct peer *peer, struct vio_watch *it, bool *is, bool wanted)
{
	if (wanted && !*is) {
		*is = vio_loop_watch(peer->loop, it) == 0;
	} else if (!wanted && *is) {
		vio_loop_unwatch(peer->loop, it);
		*is = false;
	}
}

static void give_up_waiting(struct peer *peer)
{
	while (peer->first) {
		struct vio_network_send *send = peer->first;

		peer->first = *next_of(send);
		send->done(send, -VIO_EHANGUP);
	}
	peer->last = &peer->first;
}

static void set_link(struct peer *peer, bool up)
{
	if (peer->network.link_up == up)
		return;
	peer->network.link_up = up;
	if (peer->network.events)
		peer->network.events->link_changed(peer->network.events_context);
}

static void hang_up(struct peer *peer)
{
	if (peer->watch.fd < 0)
		return;
	watch(peer, &peer->watch, &peer->reading, false);
	watch(peer, &peer->write_watch, &peer->writing, false);
	close(peer->write_watch.fd);
	close(peer->watch.fd);
	peer->watch.fd = peer->write_watch.fd = -1;
	peer->rest_at = peer->rest_end = peer->have = 0;
	give_up_waiting(peer);
	set_link(peer, false);
	if (peer->listens)
		watch(peer, &peer->accept_watch, &peer->accepting, true);
	else
		vio_loop_arm(peer->loop, &peer->retry, RETRY_MS);
}

/* Sends. */

/* Writes what is left of a frame: false while the peer doesn't read. */
static bool write_rest(struct peer *peer)
{
	while (peer->rest_at < peer->rest_end) {
		ssize_t sent = send(peer->watch.fd, peer->rest + peer->rest_at,
				    peer->rest_end - peer->rest_at, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (sent < 0 && errno != EINTR)
			return false;
		if (sent > 0)
			peer->rest_at += (uint32_t)sent;
	}
	return true;
}

/* Writes a frame or its beginning, with the rest kept; false when nothing of it went. */
static bool write_frame(struct peer *peer, const struct vio_frame *frame)
{
	uint8_t length[LENGTH_BYTES] = { (uint8_t)(frame->length >> 24), (uint8_t)(frame->length >> 16),
					 (uint8_t)(frame->length >> 8), (uint8_t)frame->length };
	uint32_t total = LENGTH_BYTES + frame->length;
	struct iovec iov[SOCKET_SPANS + 1] = { { length, sizeof(length) } };
	struct msghdr header = { .msg_iov = iov, .msg_iovlen = frame->span_count + 1u };
	ssize_t sent;

	for (unsigned i = 0; i < frame->span_count; i++)
		iov[i + 1] = (struct iovec){ frame->spans[i].host, frame->spans[i].length };
	do
		sent = sendmsg(peer->watch.fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return false;
	if ((uint32_t)sent == total)
		return true;
	memcpy(peer->rest, length, sizeof(length));
	vio_frame_copy(frame, 0, peer->rest + LENGTH_BYTES, frame->length);
	peer->rest_at = (uint32_t)sent;
	peer->rest_end = total;
	return true;
}

static void peer_send(struct vio_network *network, struct vio_network_send *send)
{
	struct peer *peer = peer_of(network);

	if (peer->watch.fd < 0 || send->frame.span_count > SOCKET_SPANS) {
		send->done(send, -VIO_EHANGUP);
		return;
	}
	if (!peer->first && write_rest(peer) && write_frame(peer, &send->frame)) {
		send->done(send, 0);
		return;
	}
	*next_of(send) = NULL;
	*peer->last = send;
	peer->last = next_of(send);
	watch(peer, &peer->write_watch, &peer->writing, true);
}

static void peer_writable(struct vio_watch *it)
{
	struct peer *peer = VIO_CONTAINER_OF(it, struct peer, write_watch);

	while (peer->first) {
		struct vio_network_send *send = peer->first;

		if (!write_rest(peer) || !write_frame(peer, &send->frame))
			break;
		peer->first = *next_of(send);
		if (!peer->first)
			peer->last = &peer->first;
		send->done(send, 0);
	}
	if (!peer->first && write_rest(peer))
		watch(peer, &peer->write_watch, &peer->writing, false);
}

static void peer_drain(struct vio_network *network)
{
	give_up_waiting(peer_of(network));
}

/* Receives. */

/* Delivers whole frames; false when one has to wait or the peer talks nonsense. */
static bool deliver_all(struct peer *peer)
{
	uint32_t at = 0;
	bool waits = false;

	while (!waits && peer->have - at >= LENGTH_BYTES) {
		const uint8_t *head = peer->in + at;
		uint32_t length =
			(uint32_t)head[0] << 24 | (uint32_t)head[1] << 16 | (uint32_t)head[2] << 8 | head[3];
		struct vio_span span = { peer->in + at + LENGTH_BYTES, length };
		const struct vio_frame frame = { .spans = &span, .span_count = 1, .length = length };

		if (length > VIO_FRAME_BYTES_MAX) { /* where the next one begins can't be told */
			hang_up(peer);
			return false;
		}
		if (peer->have - at - LENGTH_BYTES < length)
			break;
		waits = vio_network_deliver(&peer->network, &frame) == -VIO_EAGAIN;
		if (!waits)
			at += LENGTH_BYTES + length;
	}
	memmove(peer->in, peer->in + at, peer->have - at);
	peer->have -= at;
	return !waits;
}

static void peer_readable(struct vio_watch *it)
{
	struct peer *peer = VIO_CONTAINER_OF(it, struct peer, watch);

	for (unsigned i = 0; i < BURST; i++) {
		ssize_t got;

		if (!deliver_all(peer)) {
			watch(peer, &peer->watch, &peer->reading, false);
			break;
		}
		got = recv(peer->watch.fd, peer->in + peer->have, sizeof(peer->in) - peer->have,
			   MSG_DONTWAIT);
		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (got <= 0) {
			hang_up(peer);
			break;
		}
		peer->have += (uint32_t)got;
	}
	vio_network_deliver_end(&peer->network);
}

static void peer_ready(struct vio_network *network, uint16_t pair)
{
	struct peer *peer = peer_of(network);

	(void)pair;
	if (peer->watch.fd < 0)
		return;
	if (deliver_all(peer))
		watch(peer, &peer->watch, &peer->reading, true);
	vio_network_deliver_end(network);
}

static void peer_configure(struct vio_network *network, unsigned offloads, uint16_t pairs)
{
	struct peer *peer = peer_of(network);

	/* Frames that wait for a driver that is gone mustn't keep the peer waiting. */
	(void)offloads;
	(void)pairs;
	if (peer->watch.fd >= 0)
		watch(peer, &peer->watch, &peer->reading, true);
}

/* Connections. */

static int take_connection(struct peer *peer, int fd)
{
	struct epoll_event event = { .events = EPOLLOUT };

	peer->write_watch.fd = epoll_create1(EPOLL_CLOEXEC);
	if (peer->write_watch.fd < 0)
		return vio_error_from_errno(errno);
	if (epoll_ctl(peer->write_watch.fd, EPOLL_CTL_ADD, fd, &event)) {
		close(peer->write_watch.fd);
		peer->write_watch.fd = -1;
		return vio_error_from_errno(errno);
	}
	peer->watch.fd = fd;
	watch(peer, &peer->watch, &peer->reading, true);
	set_link(peer, true);
	return 0;
}

static int try_connect(struct peer *peer)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int error;

	if (fd < 0)
		return vio_error_from_errno(errno);
	if (!connect(fd, (struct sockaddr *)&peer->address, sizeof(peer->address)))
		error = take_connection(peer, fd);
	else
		error = vio_error_from_errno(errno);
	if (error)
		close(fd);
	return error;
}

static void peer_retry(struct vio_timer *timer)
{
	struct peer *peer = VIO_CONTAINER_OF(timer, struct peer, retry);

	if (try_connect(peer))
		vio_loop_arm(peer->loop, &peer->retry, RETRY_MS);
}

static void peer_accept(struct vio_watch *it)
{
	struct peer *peer = VIO_CONTAINER_OF(it, struct peer, accept_watch);
	int fd = accept4(it->fd, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	/* One at a time; the next ones wait. */
	watch(peer, &peer->accept_watch, &peer->accepting, false);
	if (take_connection(peer, fd)) {
		close(fd);
		watch(peer, &peer->accept_watch, &peer->accepting, true);
	}
}

static int start_listening(struct peer *peer)
{
	peer->accept_watch.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (peer->accept_watch.fd < 0 ||
	    bind(peer->accept_watch.fd, (struct sockaddr *)&peer->address, sizeof(peer->address)) ||
	    listen(peer->accept_watch.fd, 1))
		return vio_error_from_errno(errno);
	watch(peer, &peer->accept_watch, &peer->accepting, true);
	return peer->accepting ? 0 : -VIO_ENOMEM;
}

static void peer_arm(struct vio_network *network, uint32_t delay_us)
{
	vio_network_clock_arm(&peer_of(network)->clock, delay_us);
}

static void peer_close(struct vio_network *network)
{
	struct peer *peer = peer_of(network);

	hang_up(peer);
	vio_loop_disarm(peer->loop, &peer->retry);
	if (peer->accept_watch.fd >= 0) {
		if (peer->accepting)
			unlink(peer->address.sun_path);
		watch(peer, &peer->accept_watch, &peer->accepting, false);
		close(peer->accept_watch.fd);
	}
	vio_network_clock_close(&peer->clock);
	free(peer);
}

static const struct vio_network_ops peer_ops = {
	.send = peer_send,
	.ready = peer_ready,
	.configure = peer_configure,
	.arm = peer_arm,
	.drain = peer_drain,
	.close = peer_close,
};

static int peer_open(struct vio_loop *loop, const struct vio_host_network_options *options, uint16_t pairs,
		     struct vio_network **network, struct vio_message *message)
{
	size_t length = strlen(options->path);
	struct peer *peer;
	int error;

	(void)pairs;
	if (length >= sizeof(peer->address.sun_path))
		return vio_fail(message, -VIO_ERANGE, "path '%.128s' is too long for a socket",
				options->path);
	peer = calloc(1, sizeof(*peer));
	if (!peer)
		return vio_fail(message, -VIO_ENOMEM, "out of memory");
	peer->loop = loop;
	peer->network.ops = &peer_ops;
	peer->last = &peer->first;
	peer->listens = options->listen;
	peer->address.sun_family = AF_UNIX;
	memcpy(peer->address.sun_path, options->path, length);
	peer->watch = (struct vio_watch){ .fd = -1, .ready = peer_readable };
	peer->write_watch = (struct vio_watch){ .fd = -1, .ready = peer_writable };
	peer->accept_watch = (struct vio_watch){ .fd = -1, .ready = peer_accept };
	peer->retry.expired = peer_retry;
	error = vio_network_clock_open(&peer->clock, loop, &peer->network);
	if (!error)
		error = peer->listens ? start_listening(peer) : try_connect(peer);
	if (error) {
		peer_close(&peer->network);
		return vio_fail(message, error, "can't %s the socket '%s': %s",
				options->listen ? "listen at" : "connect to", options->path,
				vio_strerror(error));
	}
	*network = &peer->network;
	return 0;
}

const struct vio_network_kind vio_network_socket = { .name = "socket", .open = peer_open };
