/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_LINK_SIGNAL_H
#define VIO_LINK_SIGNAL_H

#include <vireo/base.h>

/*
 * File descriptors from a front end or client by which the two sides wake each other.
 * They share their open file with the front end, which can change it or its flags
 * at any time. Nothing here waits, raises SIGPIPE or changes a flag.
 */

enum vu_signal_kind {
	VU_SIGNAL_NONE,
	VU_SIGNAL_EVENT, /* an eventfd */
	VU_SIGNAL_PIPE,  /* what User-Mode Linux gives where others give eventfds and sockets */
	VU_SIGNAL_SOCKET,
};

/* Something to write to; owns fd unless NONE. */
struct vu_signal {
	enum vu_signal_kind kind;
	int fd;
};

/* What fd is; NONE for what can't serve. `access` is O_RDONLY or O_WRONLY: what it must allow. */
enum vu_signal_kind vu_signal_kind(int fd, int access);

/* Replaces what is there by fd (-1: by nothing); closes the old one. */
void vu_signal_set(struct vu_signal *to, enum vu_signal_kind kind, int fd);

/*
 * Writes all of up to PIPE_BUF bytes, or nothing when there is no room.
 * false: the other end is gone.
 */
bool vu_signal_write(const struct vu_signal *to, const void *from, size_t length);

/* Adds one to an eventfd; for a pipe the same eight bytes. */
bool vu_signal_raise(const struct vu_signal *to);

/* Takes a signal. 1: there was one; 0: none now; -VIO_EHANGUP: there won't ever be another. */
int vu_signal_take(int fd);

#endif
