/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "link/vhost_user/state.h"

/* So much at a time, then others have their turn. */
#define STATE_PIECE ((size_t)16 << 10)

static void unwatch(struct vu_state_transfer *state)
{
	if (state->watch.fd < 0)
		return;
	state->watcher.remove(state->watcher.context, &state->watch);
	if (state->watch.fd != state->channel.fd)
		close(state->watch.fd);
	state->watch.fd = -1;
}

/* The transfer is over. What the end of the channel says is the other side's, so it is closed at once. */
static void finish(struct vu_state_transfer *state, int result)
{
	unwatch(state);
	link_signal_set(&state->channel, LINK_SIGNAL_NONE, -1);
	state->phase = VU_STATE_DONE;
	state->result = result;
}

static int watch(struct vu_state_transfer *state, int fd, void (*ready)(struct vio_watch *watch))
{
	int error;

	state->watch = (struct vio_watch){ .fd = fd, .ready = ready };
	error = state->watcher.add(state->watcher.context, &state->watch);
	if (error)
		state->watch.fd = -1;
	return error;
}

void vu_state_init(struct vu_state_transfer *state, struct vio_device *dev, const struct vio_watcher *watcher)
{
	*state = (struct vu_state_transfer){ .dev = dev, .watcher = *watcher, .watch = { .fd = -1 } };
}

void vu_state_end(struct vu_state_transfer *state)
{
	finish(state, 0);
	state->phase = VU_STATE_NONE;
	free(state->bytes);
	state->bytes = NULL;
	state->length = state->done = 0;
	state->pending = false;
}

/* Saving. */

/* 1: all of it is written; 0: no room; a negative code. */
static int write_some(struct vu_state_transfer *state)
{
	while (state->done < state->length) {
		const ssize_t put = link_signal_put(&state->channel, state->bytes + state->done,
						    state->length - state->done);

		if (put == -VIO_EAGAIN)
			return 0;
		if (put < 0)
			return (int)put;
		state->done += (size_t)put;
	}
	return 1;
}

static void room_ready(struct vio_watch *ready)
{
	struct vu_state_transfer *state = VIO_CONTAINER_OF(ready, struct vu_state_transfer, watch);
	const int result = write_some(state);

	if (result)
		finish(state, result < 0 ? result : 0);
}

/* A watcher knows no "writable"; an epoll instance that waits for it is readable when it comes to pass. */
static int watch_room(struct vu_state_transfer *state)
{
	struct epoll_event event = { .events = EPOLLOUT };
	int fd = epoll_create1(EPOLL_CLOEXEC);
	int error = -VIO_ESYS;

	if (fd >= 0 && !epoll_ctl(fd, EPOLL_CTL_ADD, state->channel.fd, &event))
		error = watch(state, fd, room_ready);
	if (error && fd >= 0)
		close(fd);
	return error;
}

int vu_state_save(struct vu_state_transfer *state, enum link_signal_kind kind, int fd)
{
	int result;

	vu_state_end(state);
	link_signal_set(&state->channel, kind, fd);
	state->phase = VU_STATE_SAVING;
	state->length = vio_device_save_own(state->dev, NULL, 0);
	state->bytes = malloc(state->length);
	if (!state->bytes) {
		vu_state_end(state);
		return -VIO_ENOMEM;
	}
	vio_device_save_own(state->dev, state->bytes, state->length);
	result = write_some(state);
	if (!result)
		result = watch_room(state);
	else if (result > 0)
		finish(state, 0);
	if (result < 0)
		vu_state_end(state);
	return result < 0 ? result : 0;
}

/* Loading. */

static void judge(struct vu_state_transfer *state)
{
	struct vio_device *dev = state->dev;
	int error;

	if (dev->status & VIRTIO_CONFIG_S_FEATURES_OK) {
		error = vio_device_load_own(dev, state->bytes, state->length);
	} else {
		error = vio_device_check_own(dev, state->bytes, state->length);
		state->pending = !error;
	}
	finish(state, error);
}

/* 1: the end was reached, and it is judged; 0: nothing more for now; a negative code. */
static int read_some(struct vu_state_transfer *state)
{
	struct pollfd ready = { .fd = state->channel.fd, .events = POLLIN };
	uint8_t *bytes;
	ssize_t got;

	/* hostile: C33, a stream without an end */
	if (state->length > VU_STATE_BYTES_MAX) {
		state->dev->refusal = (struct vio_state_refusal){ "length", state->length };
		return -VIO_ESTATE;
	}
	bytes = realloc(state->bytes, state->length + STATE_PIECE);
	if (!bytes)
		return -VIO_ENOMEM;
	state->bytes = bytes;
	if (poll(&ready, 1, 0) != 1)
		return 0;
	got = read(state->channel.fd, bytes + state->length, STATE_PIECE);
	if (got < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -VIO_EHANGUP;
	state->length += (size_t)got;
	if (got)
		return 0;
	judge(state);
	return 1;
}

static void bytes_ready(struct vio_watch *ready)
{
	struct vu_state_transfer *state = VIO_CONTAINER_OF(ready, struct vu_state_transfer, watch);
	const int result = read_some(state);

	if (result < 0)
		finish(state, result);
}

int vu_state_load(struct vu_state_transfer *state, enum link_signal_kind kind, int fd)
{
	int error;

	vu_state_end(state);
	link_signal_set(&state->channel, kind, fd);
	state->phase = VU_STATE_LOADING;
	error = watch(state, fd, bytes_ready);
	if (error)
		vu_state_end(state);
	return error;
}

int vu_state_check(struct vu_state_transfer *state)
{
	size_t before;
	int result = 0;

	if (state->phase == VU_STATE_NONE)
		return -VIO_EPHASE;
	/* Whoever asks has closed its end; ours may not have been looked at since. Ends at the bound. */
	while (state->phase == VU_STATE_LOADING) {
		before = state->length;
		result = read_some(state);
		if (result < 0)
			finish(state, result);
		else if (!result && state->length == before)
			finish(state, -VIO_EAGAIN);
	}
	if (state->phase == VU_STATE_SAVING)
		finish(state, -VIO_EAGAIN);
	result = state->result;
	state->phase = VU_STATE_NONE;
	return result;
}

int vu_state_apply(struct vu_state_transfer *state)
{
	if (!state->pending)
		return 0;
	state->pending = false;
	return vio_device_load_own(state->dev, state->bytes, state->length);
}
