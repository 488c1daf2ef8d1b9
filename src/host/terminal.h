/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_HOST_TERMINAL_PRIVATE_H
#define VIO_HOST_TERMINAL_PRIVATE_H

#include <vireo/host_terminal.h>

/* What the kinds of terminals behind vio_host_terminal_open() share. */

struct vio_terminal_kind {
	const char *name;
	/* The options have been checked as far as they depend on the kind. */
	int (*open)(struct vio_loop *loop, struct vio_host_terminal_options *options,
		    struct vio_terminal **terminal, struct vio_message *message);
};

extern const struct vio_terminal_kind vio_terminal_stdio;
extern const struct vio_terminal_kind vio_terminal_pty;
extern const struct vio_terminal_kind vio_terminal_socket;
extern const struct vio_terminal_kind vio_terminal_file;
extern const struct vio_terminal_kind vio_terminal_null;

/*
 * A terminal over descriptors that don't block, one for each direction. It begins with
 * neither; vio_stream_connect() gives it both, vio_stream_disconnect() takes them away
 * (they stay open). What is written goes out at once as far as it can, the rest waits
 * in the ring.
 */
struct vio_stream {
	struct vio_terminal terminal;
	struct vio_loop *loop;
	/* The other end is gone, or one direction of it. Called from the loop. */
	void (*ended)(struct vio_stream *stream);
	/* Closes what is the kind's, and frees it. */
	void (*release)(struct vio_stream *stream);
	uint32_t patience_ms;
	bool hold;
	bool escapes; /* Ctrl-] ends the process */

	int in; /* -1: nothing comes */
	/*
	 * Descriptors are watched by way of an epoll instance, which also knows "writable", and of a hangup
	 * alone. And io_uring loses one of a pseudo terminal whose other end is closed and opened at once.
	 */
	struct vio_watch in_watch;
	bool in_watched;
	bool asked;                 /* the device has read all that there was */
	struct vio_watch gone;      /* readable when the other end of `in` has hung up */
	bool gone_watched;          /* while in_watch isn't, as nobody reads */
	int out;                    /* -1: nothing goes */
	struct vio_watch out_watch; /* readable when `out` is writable */
	bool out_watched;
	bool full;    /* the device waits for room */
	bool stalled; /* nothing went for longer than patience */
	struct vio_timer patience;
	struct vio_task end_task;
	uint32_t first, count; /* of the ring */
	uint8_t ring[VIO_HOST_TERMINAL_HELD];
	/* What came from who has gone, and wasn't read: it comes before all else. */
	uint32_t left_first, left_count;
	uint8_t left[VIO_HOST_TERMINAL_HELD];
};

void vio_stream_init(struct vio_stream *stream, struct vio_loop *loop,
		     const struct vio_host_terminal_options *options);
/* -1: that direction isn't there. A negative code when the system has no descriptors left. */
int vio_stream_connect(struct vio_stream *stream, int in, int out);
void vio_stream_disconnect(struct vio_stream *stream);
/* Nothing comes any more, but what is written still goes. */
void vio_stream_end_input(struct vio_stream *stream);
/* Takes over the size of the window of the terminal `fd`. */
void vio_stream_take_size(struct vio_stream *stream, int fd);

#endif
