/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_LINK_GUARD_H
#define VIO_LINK_GUARD_H

#include <vireo/base.h>

/*
 * Files of a front end or client, mapped. One that it cuts short afterwards has a hole: whoever touches
 * it gets SIGBUS. With vio_guard_memory() the process puts zeros there and ends the connection.
 */
struct link_mapping {
	uint8_t *map;
	size_t bytes;   /* 0: none */
	unsigned guard; /* its place among the guarded */
};

/*
 * Maps [offset, offset + bytes) of fd with PROT_... `protection`, for a connection over that socket.
 * *at is where offset is.
 * -VIO_ERANGE: sizes that wrap or a file that is too short; -VIO_EINVAL: not a file that holds memory;
 * -VIO_ENOSPC: too many are guarded; -VIO_EACCES, -VIO_ENOMEM, -VIO_ESYS: mmap refused.
 */
int link_mapping_make(struct link_mapping *mapping, int fd, uint64_t offset, uint64_t bytes, int protection,
		      int socket_fd, uint8_t **at);
/*
 * The same where there is no connection, and the file may also be one that the kernel made for this,
 * which has neither a type nor a size: what isn't in it is a hole.
 */
int link_mapping_make_untyped(struct link_mapping *mapping, int fd, uint64_t offset, uint64_t bytes,
			      int protection, uint8_t **at);
void link_mapping_drop(struct link_mapping *mapping);
/* Somebody ran into a hole in it. */
bool link_mapping_torn(const struct link_mapping *mapping);

#endif
