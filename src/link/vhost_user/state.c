/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "link/socket.h"
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

static void forget_transfer(struct vu_state_transfer *state)
{
	finish(state, 0);
	state->phase = VU_STATE_NONE;
	free(state->bytes);
	state->bytes = NULL;
	state->length = state->done = 0;
	state->pending = false;
}

static void forget_ended(struct vu_state_transfer *state)
{
	free(state->ended);
	state->ended = NULL;
	state->ended_length = 0;
}

void vu_state_end(struct vu_state_transfer *state)
{
	forget_transfer(state);
	forget_ended(state);
}

/* Saving. */

/* The device's own state, to be freed; NULL when there is no memory. */
static uint8_t *snapshot(struct vio_device *dev, size_t *length)
{
	uint8_t *bytes;

	*length = vio_device_save_own(dev, NULL, 0);
	bytes = malloc(*length);
	if (bytes)
		vio_device_save_own(dev, bytes, *length);
	return bytes;
}

void vu_state_keep(struct vu_state_transfer *state)
{
	if (!(state->dev->status & VIRTIO_CONFIG_S_FEATURES_OK))
		return;
	forget_ended(state);
	state->ended = snapshot(state->dev, &state->ended_length);
}

/* What is sent: that of the device as it is, or was before its reset. */
static int take_state(struct vu_state_transfer *state)
{
	if (state->dev->status & VIRTIO_CONFIG_S_FEATURES_OK || !state->ended) {
		state->bytes = snapshot(state->dev, &state->length);
	} else {
		state->bytes = malloc(state->ended_length);
		state->length = state->ended_length;
		if (state->bytes)
			memcpy(state->bytes, state->ended, state->length);
	}
	if (!state->bytes)
		return -VIO_ENOMEM;
	return state->length > VU_STATE_BYTES_MAX ? -VIO_ENOSPC : 0;
}

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

static int watch_room(struct vu_state_transfer *state)
{
	int fd = link_room_open(state->channel.fd);
	int error = fd < 0 ? fd : watch(state, fd, room_ready);

	if (error && fd >= 0)
		close(fd);
	return error;
}

int vu_state_save(struct vu_state_transfer *state, enum link_signal_kind kind, int fd)
{
	int result;

	forget_transfer(state);
	link_signal_set(&state->channel, kind, fd);
	state->phase = VU_STATE_SAVING;
	result = take_state(state);
	if (!result)
		result = write_some(state);
	if (!result)
		result = watch_room(state);
	else if (result > 0)
		finish(state, 0);
	if (result < 0)
		forget_transfer(state);
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

	forget_transfer(state);
	link_signal_set(&state->channel, kind, fd);
	state->phase = VU_STATE_LOADING;
	error = watch(state, fd, bytes_ready);
	if (error)
		forget_transfer(state);
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
	forget_ended(state);
	if (!state->pending)
		return 0;
	state->pending = false;
	return vio_device_load_own(state->dev, state->bytes, state->length);
}
