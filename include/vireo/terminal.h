/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_TERMINAL_H
#define VIREO_TERMINAL_H

#include <vireo/base.h>

/*
 * What a port of a console device stands on: a stream of bytes in both directions,
 * as a table of operations that never wait. A terminal that has nothing, or no room,
 * says so and calls back. Everything happens in the thread that drives the device.
 */
struct vio_terminal;

struct vio_terminal_ops {
	/* Up to `length` bytes for the driver; 0: none now, and `readable` will follow. */
	size_t (*read)(struct vio_terminal *terminal, void *to, size_t length);
	/* Takes bytes from the driver; fewer than `length`: no room now, and `writable` will follow. */
	size_t (*write)(struct vio_terminal *terminal, const void *from, size_t length);
	/* Frees it, after what it took has gone as far as it goes without delay. */
	void (*close)(struct vio_terminal *terminal);
};

/* What the device gives the terminal to call; never from inside of an operation. */
struct vio_terminal_events {
	/* There may be something to read. */
	void (*readable)(void *context);
	/* There may be room again. */
	void (*writable)(void *context);
	/* `connected` or the size changed. */
	void (*changed)(void *context);
};

/* Filled by the terminal; read by the device. */
struct vio_terminal {
	const struct vio_terminal_ops *ops;
	bool connected;      /* somebody is at the other end */
	uint16_t cols, rows; /* of the window; 0: not known */

	/* Set by the device; NULL while there is none. */
	const struct vio_terminal_events *events;
	void *events_context;
};

#endif
