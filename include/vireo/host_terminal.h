/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_HOST_TERMINAL_H
#define VIREO_HOST_TERMINAL_H

#include <vireo/host.h>
#include <vireo/terminal.h>

/*
 * Terminals of an operating system: what the ports of a console device stand on.
 *
 * Nobody waits for one where nobody is: what a driver writes then is dropped, or the
 * last VIO_HOST_TERMINAL_HELD bytes are kept for who comes. Somebody who is there and
 * reads slowly loses nothing; who reads nothing at all for `patience_ms` while there is
 * more to read counts as gone until it reads again. Of what somebody sent who has gone since, as
 * many bytes wait for the driver.
 */
#define VIO_HOST_TERMINAL_HELD 65536u

enum vio_host_terminal_kind {
	VIO_HOST_TERMINAL_STDIO,  /* standard input and output */
	VIO_HOST_TERMINAL_PTY,    /* a pseudo terminal of its own */
	VIO_HOST_TERMINAL_SOCKET, /* listens on a Unix stream socket, for one client after the other */
	VIO_HOST_TERMINAL_FILE,   /* a file that what is written goes to */
	VIO_HOST_TERMINAL_NULL,   /* what is written is gone, and nothing comes */
};

struct vio_host_terminal_options {
	uint8_t backend;                 /* enum vio_host_terminal_kind */
	char path[VIO_HOST_PATH_BYTES];  /* of the socket or file; of a link to the PTY */
	bool hold;                       /* what is written while nobody is there */
	bool append;                     /* to a FILE that exists */
	uint32_t patience_ms;            /* 0: without end */
	char name[64];                   /* of port 0 */
	char ports[VIO_HOST_PATH_BYTES]; /* further ones: NAME:BACKEND[:PATH],... */
	uint32_t consoles;               /* which ports are, a bit each */
	char place[64];                  /* where a PTY is, once it is open */
};

/* "backend", "path", "hold", "append", "patience", "name", "ports", "consoles", "place" over the options. */
VIO_API const struct vio_property_table *vio_host_terminal_properties(void);

/*
 * Opens a terminal driven by `loop`, which must outlive it; free it with
 * terminal->ops->close(). Fills in options->place, and looks at neither name nor ports.
 */
VIO_API int vio_host_terminal_open(struct vio_loop *loop, struct vio_host_terminal_options *options,
				   struct vio_terminal **terminal, struct vio_message *message);

#endif
