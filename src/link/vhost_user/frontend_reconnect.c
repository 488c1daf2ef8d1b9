/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>

#include <vireo/spec/virtio_ring.h>

#include "base/atomic.h"
#include "link/vhost_user/frontend.h"

/*
 * A back end that died leaves everything here: memory and rings, eventfds, what was negotiated, and the file
 * in which it wrote down what it was doing. The next one is told all of it, then looks into its rings.
 */

#define NS_PER_MS UINT64_C(1000000)
#define NAP_NS    NS_PER_MS

static bool any_queue_started(const struct vu_front *front)
{
	unsigned queue;

	for (queue = 0; queue < VU_FRONT_QUEUES_MAX; queue++)
		if (front->queues[queue].started)
			return true;
	return false;
}

bool vu_front_may_reconnect(struct vu_front *front)
{
	if (!front->options.reconnect || !front->opened || front->hung_up || front->reconnecting ||
	    front->failed != -VIO_EHANGUP || !vu_front_has(front, VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD))
		return false;
	if (front->inflight_fd >= 0 || !any_queue_started(front))
		return true;
	/* It may have none to give. What it had taken then nobody can know, so the device is gone. */
	front->hung_up = true;
	snprintf(front->mistake.text, sizeof(front->mistake.text),
		 "the back end hung up, and gave no file of the requests that it has");
	return false;
}

/* A back end that hung up while nobody asked it anything. */
static void look_for_hangup(struct vu_front *front)
{
	struct pollfd pollfd = { .fd = front->socket, .events = POLLRDHUP };

	if (!front->failed && poll(&pollfd, 1, 0) > 0 &&
	    pollfd.revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL))
		vu_front_fail(front, -VIO_EHANGUP, "the back end hung up");
}

void vu_front_look(struct vu_front *front)
{
	look_for_hangup(front);
	if (vu_front_may_reconnect(front))
		(void)vu_front_reconnect(front);
}

/* The new one has to be as the old one was, or drivers would have to know. */
static int agree_again(struct vu_front *front)
{
	const uint64_t protocol = front->protocol, features = front->features;
	const uint32_t queue_limit = front->queue_limit;
	int error;

	front->protocol = 0;
	front->memory_told = false;
	error = vu_front_introduce(front);
	if (error) {
		front->protocol = protocol; /* for who looks whether to try again */
		front->features = features;
		front->queue_limit = queue_limit;
		return error;
	}
	if (front->protocol != protocol || front->queue_limit < queue_limit ||
	    front->features_told & ~front->features)
		return vu_front_fail(front, -VIO_EPROTO,
				     "the back end that came back is another one: it offers "
				     "features %#llx and %#llx",
				     (unsigned long long)front->features,
				     (unsigned long long)front->protocol_offered);
	front->queue_limit = queue_limit;
	return 0;
}

/* As the driver did it, up to where it got. */
static int tell_status(struct vu_front *front)
{
	const uint8_t begun = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER;
	const bool has_status = vu_front_has(front, VHOST_USER_PROTOCOL_F_STATUS);
	uint64_t status = 0;
	int error = 0;

	if (has_status && front->status & begun)
		error = vu_front_tell_u64(front, VHOST_USER_SET_STATUS, front->status & begun);
	/* A step before FEATURES_OK, which may be what is to be told next. */
	if (!error && front->features_given)
		error = vu_front_tell_u64(front, VHOST_USER_SET_FEATURES, front->features_told);
	if (error || !has_status || !(front->status & VIRTIO_CONFIG_S_FEATURES_OK))
		return error;
	error = vu_front_tell_u64(front, VHOST_USER_SET_STATUS, begun | VIRTIO_CONFIG_S_FEATURES_OK);
	if (!error)
		error = vu_front_ask_u64(front, VHOST_USER_GET_STATUS, &status);
	if (!error && !(status & VIRTIO_CONFIG_S_FEATURES_OK))
		error = vu_front_fail(front, -VIO_EPROTO,
				      "the back end that came back refuses features %#llx",
				      (unsigned long long)front->features_told);
	return error;
}

/* Split: what was given back is where the ring says. Packed: the file says it. */
static uint32_t base_of(const struct vu_front *front, const struct vu_front_queue *own)
{
	const struct virtq_used *used;

	if (vu_front_is_packed(front))
		return vu_front_first_base(front);
	used = vio_arena_host(&front->arena, own->place.device_area);
	return used ? vio_load_le16(&used->idx) : 0;
}

static int tell_queues(struct vu_front *front)
{
	bool first = true;
	uint16_t queue;
	int error = 0;

	for (queue = 0; queue < VU_FRONT_QUEUES_MAX && !error; queue++) {
		struct vu_front_queue *own = &front->queues[queue];

		if (!own->started || own->starting)
			continue;
		if (first)
			error = vu_front_tell_memory(front);
		if (!error && first)
			error = vu_front_tell_inflight(front);
		first = false;
		if (!error)
			error = vu_front_show_queue(front, queue, base_of(front, own));
	}
	return error;
}

/* Both sides look into the rings: whatever either wasn't told of is there. */
static void wake_both(struct vu_front *front)
{
	const uint64_t one = 1;
	unsigned queue;

	for (queue = 0; queue < VU_FRONT_QUEUES_MAX; queue++) {
		struct vu_front_queue *own = &front->queues[queue];

		/* What doesn't fit was said often enough. */
		if (own->started &&
		    (write(own->kick, &one, sizeof(one)) < 0 || write(own->call, &one, sizeof(one)) < 0))
			continue;
	}
	front->config_changes++;
	front->config_changed = true;
}

static int meet(struct vu_front *front, int socket_fd)
{
	int error;

	vu_front_close(&front->socket);
	vu_front_close(&front->channel.fd);
	front->channel.received = 0;
	front->socket = socket_fd;
	front->failed = 0;
	front->mistake.text[0] = '\0';
	error = agree_again(front);
	if (!error)
		error = tell_status(front);
	if (!error)
		error = tell_queues(front);
	if (!error && front->status & VIRTIO_CONFIG_S_DRIVER_OK &&
	    vu_front_has(front, VHOST_USER_PROTOCOL_F_STATUS))
		error = vu_front_tell_u64(front, VHOST_USER_SET_STATUS, front->status);
	if (!error) {
		front->lives++;
		wake_both(front);
	}
	/* What it refuses it would refuse again. */
	return error == -VIO_ENOTSUP ? vu_front_fail(front, -VIO_EPROTO, "the back end that came back %s",
						     "refuses what the one before had taken")
				     : error;
}

static void nap(struct vu_front *front)
{
	const struct timespec time = { 0, NAP_NS };

	if (front->options.waiting)
		front->options.waiting(front->options.context);
	nanosleep(&time, NULL);
}

int vu_front_reconnect(struct vu_front *front)
{
	const unsigned patience_ms =
		front->options.reconnect_ms ? front->options.reconnect_ms : VIO_VHOST_USER_RECONNECT_MS;
	const uint64_t end_ns = vu_front_now_ns() + patience_ms * NS_PER_MS;
	int error;

	front->reconnecting = true;
	do {
		int socket_fd = front->options.reconnect(front->options.context);

		error = socket_fd < 0 ? -VIO_EHANGUP : meet(front, socket_fd);
		if (error == -VIO_EHANGUP)
			nap(front);
	} while (error == -VIO_EHANGUP && !front->hung_up && vu_front_now_ns() < end_ns);
	front->reconnecting = false;
	if (error && !front->failed)
		(void)vu_front_fail(front, error, "no back end came back within %u ms", patience_ms);
	front->hung_up = error != 0;
	return error;
}
