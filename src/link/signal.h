/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_LINK_SIGNAL_H
#define VIO_LINK_SIGNAL_H

#include <sys/types.h>

#include <vireo/base.h>

/*
 * File descriptors from a front end or client by which the two sides wake each other.
 * They share their open file with the front end, which can change it or its flags
 * at any time. Nothing here waits, raises SIGPIPE or changes a flag.
 */

enum link_signal_kind {
	LINK_SIGNAL_NONE,
	LINK_SIGNAL_EVENT, /* an eventfd */
	LINK_SIGNAL_PIPE,  /* what User-Mode Linux gives where others give eventfds and sockets */
	LINK_SIGNAL_SOCKET,
};

/* Something to write to; owns fd unless NONE. */
struct link_signal {
	enum link_signal_kind kind;
	int fd;
};

/* What fd is; NONE for what can't serve. `access` is O_RDONLY or O_WRONLY: what it must allow. */
enum link_signal_kind link_signal_kind(int fd, int access);

/* Replaces what is there by fd (-1: by nothing); closes the old one. */
void link_signal_set(struct link_signal *to, enum link_signal_kind kind, int fd);

/*
 * Writes all of up to PIPE_BUF bytes, or nothing when there is no room.
 * false: the other end is gone.
 */
bool link_signal_write(const struct link_signal *to, const void *from, size_t length);

/* Writes what there is room for, up to PIPE_BUF. -VIO_EAGAIN: none; -VIO_EHANGUP: the other end is gone. */
ssize_t link_signal_put(const struct link_signal *to, const void *from, size_t length);

/* Adds one to an eventfd; for a pipe the same eight bytes. */
bool link_signal_raise(const struct link_signal *to);

/* Takes a signal. 1: there was one; 0: none now; -VIO_EHANGUP: there won't ever be another. */
int link_signal_take(int fd);

#endif
