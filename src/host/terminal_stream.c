/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "host/terminal.h"

#define ESCAPE    0x1d /* Ctrl-] */
#define CLOSE_MS  1000
#define RING_HALF (VIO_HOST_TERMINAL_HELD / 2)

static struct vio_stream *stream_of(struct vio_terminal *terminal)
{
	return VIO_CONTAINER_OF(terminal, struct vio_stream, terminal);
}

static void watch(struct vio_stream *stream, struct vio_watch *it, bool *is, bool wanted)
{
	if (wanted && !*is && it->fd >= 0) {
		*is = vio_loop_watch(stream->loop, it) == 0;
	} else if (!wanted && *is) {
		vio_loop_unwatch(stream->loop, it);
		*is = false;
	}
}

/* Input is waited for, or, while the device doesn't read, whether there is anybody who could send more. */
static void watch_input(struct vio_stream *stream, bool wanted)
{
	watch(stream, &stream->in_watch, &stream->in_watched, wanted);
	watch(stream, &stream->gone, &stream->gone_watched, !wanted);
}

static void tell_writable(struct vio_stream *stream)
{
	if (!stream->full)
		return;
	stream->full = false;
	if (stream->terminal.events)
		stream->terminal.events->writable(stream->terminal.events_context);
}

/* The ring. */

static uint32_t ring_put(struct vio_stream *stream, const uint8_t *from, size_t length)
{
	uint32_t room = VIO_HOST_TERMINAL_HELD - stream->count;
	uint32_t take = length < room ? (uint32_t)length : room;
	uint32_t at = (stream->first + stream->count) % VIO_HOST_TERMINAL_HELD;
	uint32_t piece = take < VIO_HOST_TERMINAL_HELD - at ? take : VIO_HOST_TERMINAL_HELD - at;

	memcpy(stream->ring + at, from, piece);
	memcpy(stream->ring, from + piece, take - piece);
	stream->count += take;
	return take;
}

static void ring_drop(struct vio_stream *stream, uint32_t length)
{
	stream->first = (stream->first + length) % VIO_HOST_TERMINAL_HELD;
	stream->count -= length;
}

/* Nobody is there: keeps the last bytes, or none. */
static void ring_hold(struct vio_stream *stream, const uint8_t *from, size_t length)
{
	uint32_t keep = length < VIO_HOST_TERMINAL_HELD ? (uint32_t)length : VIO_HOST_TERMINAL_HELD;

	if (!stream->hold)
		return;
	if (stream->count + keep > VIO_HOST_TERMINAL_HELD)
		ring_drop(stream, stream->count + keep - VIO_HOST_TERMINAL_HELD);
	ring_put(stream, from + length - keep, keep);
}

/* Bytes that went; 0: not now, negative: never again. */
static ssize_t put_out(struct vio_stream *stream, const uint8_t *from, size_t length)
{
	ssize_t sent;

	do
		sent = write(stream->out, from, length);
	while (sent < 0 && errno == EINTR);
	if (sent < 0 && errno == EAGAIN)
		return 0;
	return sent;
}

/* Writes from the ring as long as it goes; false when the other end is gone. */
static bool ring_flush(struct vio_stream *stream)
{
	uint32_t before = stream->count;

	while (stream->count) {
		uint32_t piece = VIO_HOST_TERMINAL_HELD - stream->first;
		ssize_t sent = put_out(stream, stream->ring + stream->first,
				       stream->count < piece ? stream->count : piece);

		if (sent < 0)
			return false;
		if (!sent)
			break;
		ring_drop(stream, (uint32_t)sent);
	}
	if (stream->count != before)
		stream->stalled = false;
	if (!stream->count)
		vio_loop_disarm(stream->loop, &stream->patience);
	else if (stream->patience_ms && !stream->stalled &&
		 (stream->count != before || !stream->patience.armed))
		vio_loop_arm(stream->loop, &stream->patience, stream->patience_ms);
	watch(stream, &stream->out_watch, &stream->out_watched, stream->count > 0);
	return true;
}

/* What the loop calls. */

static void in_ready(struct vio_watch *it)
{
	struct vio_stream *stream = VIO_CONTAINER_OF(it, struct vio_stream, in_watch);

	stream->asked = false;
	if (stream->terminal.events)
		stream->terminal.events->readable(stream->terminal.events_context);
	if (!stream->asked) /* the driver has no buffers; when it has, the device reads again */
		watch_input(stream, false);
}

/* Its place is somebody else's now. Of what it sent as much is kept as there is room for. */
static void gone_ready(struct vio_watch *it)
{
	struct vio_stream *stream = VIO_CONTAINER_OF(it, struct vio_stream, gone);
	ssize_t got;

	memmove(stream->left, stream->left + stream->left_first, stream->left_count);
	stream->left_first = 0;
	do {
		got = read(stream->in, stream->left + stream->left_count,
			   sizeof(stream->left) - stream->left_count);
		if (got > 0)
			stream->left_count += (uint32_t)got;
	} while (got > 0);
	watch(stream, &stream->gone, &stream->gone_watched, false);
	vio_loop_defer(stream->loop, &stream->end_task);
}

static void out_ready(struct vio_watch *it)
{
	struct vio_stream *stream = VIO_CONTAINER_OF(it, struct vio_stream, out_watch);

	if (!ring_flush(stream)) {
		watch(stream, &stream->out_watch, &stream->out_watched, false);
		vio_loop_defer(stream->loop, &stream->end_task);
	} else if (stream->count <= RING_HALF) {
		tell_writable(stream);
	}
}

static void patience_expired(struct vio_timer *timer)
{
	struct vio_stream *stream = VIO_CONTAINER_OF(timer, struct vio_stream, patience);

	stream->stalled = true;
	tell_writable(stream);
}

static void end(struct vio_task *task)
{
	struct vio_stream *stream = VIO_CONTAINER_OF(task, struct vio_stream, end_task);

	stream->ended(stream);
}

/* Operations. */

static size_t find_escape(const uint8_t *bytes, size_t length)
{
	const uint8_t *found = memchr(bytes, ESCAPE, length);

	return found ? (size_t)(found - bytes) : length;
}

static size_t read_left(struct vio_stream *stream, void *to, size_t length)
{
	uint32_t take = length < stream->left_count ? (uint32_t)length : stream->left_count;

	memcpy(to, stream->left + stream->left_first, take);
	stream->left_first += take;
	stream->left_count -= take;
	return take;
}

static size_t stream_read(struct vio_terminal *terminal, void *to, size_t length)
{
	struct vio_stream *stream = stream_of(terminal);
	ssize_t got;

	if (stream->left_count)
		return read_left(stream, to, length);
	if (stream->in < 0)
		return 0;
	got = read(stream->in, to, length);
	if (got > 0 && stream->escapes) {
		size_t before = find_escape(to, (size_t)got);

		if (before < (size_t)got)
			kill(getpid(), SIGTERM);
		got = (ssize_t)before;
	}
	if (got > 0)
		return (size_t)got;
	stream->asked = true;
	if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
		watch_input(stream, true);
	} else {
		watch(stream, &stream->in_watch, &stream->in_watched, false);
		vio_loop_defer(stream->loop, &stream->end_task);
	}
	return 0;
}

static size_t stream_write(struct vio_terminal *terminal, const void *from, size_t length)
{
	struct vio_stream *stream = stream_of(terminal);
	const uint8_t *bytes = from;
	ssize_t sent = 0;
	size_t taken;

	if (stream->out < 0 || stream->stalled) {
		ring_hold(stream, bytes, length);
		return length;
	}
	if (!stream->count && length)
		sent = put_out(stream, bytes, length);
	if (sent < 0) {
		vio_loop_defer(stream->loop, &stream->end_task);
		ring_hold(stream, bytes, length);
		return length;
	}
	taken = (size_t)sent + ring_put(stream, bytes + sent, length - (size_t)sent);
	stream->full = taken < length;
	if (stream->count && !ring_flush(stream))
		vio_loop_defer(stream->loop, &stream->end_task);
	return taken;
}

static void stream_close(struct vio_terminal *terminal)
{
	struct vio_stream *stream = stream_of(terminal);
	struct pollfd poller = { .fd = stream->out, .events = POLLOUT };

	/* The last words of a driver, for who reads. */
	while (stream->out >= 0 && stream->count && poll(&poller, 1, CLOSE_MS) > 0) {
		uint32_t before = stream->count;

		if (!ring_flush(stream) || stream->count == before)
			break;
	}
	stream->terminal.events = NULL;
	vio_stream_disconnect(stream);
	vio_loop_cancel(stream->loop, &stream->end_task);
	stream->release(stream);
}

static const struct vio_terminal_ops stream_ops = { stream_read, stream_write, stream_close };

/* For the kinds. */

void vio_stream_init(struct vio_stream *stream, struct vio_loop *loop,
		     const struct vio_host_terminal_options *options)
{
	stream->terminal.ops = &stream_ops;
	stream->loop = loop;
	stream->patience_ms = options->patience_ms;
	stream->hold = options->hold;
	stream->in = stream->out = -1;
	stream->in_watch = (struct vio_watch){ .fd = -1, .ready = in_ready };
	stream->out_watch = (struct vio_watch){ .fd = -1, .ready = out_ready };
	stream->gone = (struct vio_watch){ .fd = -1, .ready = gone_ready };
	stream->patience.expired = patience_expired;
	stream->end_task.run = end;
}

static void set_connected(struct vio_stream *stream, bool connected)
{
	if (stream->terminal.connected == connected)
		return;
	stream->terminal.connected = connected;
	if (stream->terminal.events)
		stream->terminal.events->changed(stream->terminal.events_context);
}

/* Readable at these events of `fd`, or, with none, when it has hung up; a file always is, by itself. */
static int open_epoll(struct vio_watch *it, int fd, uint32_t events)
{
	struct epoll_event event = { .events = events };
	int error;

	it->fd = epoll_create1(EPOLL_CLOEXEC);
	if (it->fd < 0)
		return vio_error_from_errno(errno);
	if (!epoll_ctl(it->fd, EPOLL_CTL_ADD, fd, &event))
		return 0;
	error = errno;
	close(it->fd);
	it->fd = error == EPERM ? fd : -1;
	return error == EPERM ? 0 : vio_error_from_errno(error);
}

static void close_epoll(struct vio_stream *stream, struct vio_watch *it, bool *is, int of)
{
	watch(stream, it, is, false);
	if (it->fd >= 0 && it->fd != of)
		close(it->fd);
	it->fd = -1;
}

static void close_all(struct vio_stream *stream)
{
	vio_stream_end_input(stream);
	close_epoll(stream, &stream->gone, &stream->gone_watched, -1);
	close_epoll(stream, &stream->out_watch, &stream->out_watched, stream->out);
	stream->out = -1;
}

int vio_stream_connect(struct vio_stream *stream, int in, int out)
{
	int error = 0;

	stream->in = in;
	stream->out = out;
	if (in >= 0)
		error = open_epoll(&stream->in_watch, in, EPOLLIN);
	if (!error && in >= 0 && in == out)
		error = open_epoll(&stream->gone, in, 0);
	if (!error && out >= 0)
		error = open_epoll(&stream->out_watch, out, EPOLLOUT);
	if (error) {
		close_all(stream);
		return error;
	}
	watch_input(stream, true);
	watch(stream, &stream->out_watch, &stream->out_watched, stream->count > 0);
	set_connected(stream, true);
	return 0;
}

void vio_stream_end_input(struct vio_stream *stream)
{
	close_epoll(stream, &stream->in_watch, &stream->in_watched, stream->in);
	stream->in = -1;
}

void vio_stream_disconnect(struct vio_stream *stream)
{
	close_all(stream);
	stream->stalled = false;
	vio_loop_disarm(stream->loop, &stream->patience);
	if (!stream->hold)
		stream->count = 0;
	set_connected(stream, false);
	tell_writable(stream);
}

void vio_stream_take_size(struct vio_stream *stream, int fd)
{
	struct vio_terminal *terminal = &stream->terminal;
	struct winsize size;

	if (ioctl(fd, TIOCGWINSZ, &size) || !size.ws_col || !size.ws_row ||
	    (size.ws_col == terminal->cols && size.ws_row == terminal->rows))
		return;
	terminal->cols = size.ws_col;
	terminal->rows = size.ws_row;
	if (terminal->events)
		terminal->events->changed(terminal->events_context);
}
