/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_LINK_STREAM_H
#define VIO_LINK_STREAM_H

#include <sys/socket.h>

#include <vireo/base.h>

/*
 * Messages on a stream socket: header, payload and the file descriptors that came with them, as all
 * protocols of that shape have them. Nothing here knows what a message means, and nothing blocks.
 */

/* As many descriptors go with a message of any of them. */
#define LINK_FDS_MAX 16u

/* Room for one descriptor more, so that it is seen and not cut off by the kernel. */
union link_control {
	char bytes[CMSG_SPACE((LINK_FDS_MAX + 1) * sizeof(int))];
	struct cmsghdr align;
};

/*
 * Takes the file descriptors that came with what recvmsg() received: *count grows to `max` at most, and
 * what is more is closed. True when some were closed, or cut off by the kernel.
 */
bool link_take_fds(struct msghdr *msg, int *fds, unsigned *count, unsigned max);
/* Lets descriptors, 1 to LINK_FDS_MAX, go with what sendmsg() sends. */
void link_put_fds(struct msghdr *msg, union link_control *control, const int *fds, unsigned count);

/* Where the parts of a message go that is coming in. */
struct link_message {
	void *header;
	size_t header_bytes;
	void *payload;
	int *fds; /* owned by the message until link_take_fd() */
	unsigned *fd_count, fds_max;
	/*
	 * What of a header no handler should see, however much of the message is still to come: says what is
	 * wrong with it, or NULL and how long the payload is, which there has to be room for.
	 */
	const char *(*judge)(const void *header, size_t *payload_bytes);
};

/* The receiving end of one connection. */
struct link_receiver {
	size_t received;      /* bytes of header and payload that are here */
	size_t payload_bytes; /* of the message, once its header is here */
	bool fds_lost;        /* more descriptors came than fit */
	const char *mistake;  /* what was wrong when -VIO_EPROTO was returned */
};

/*
 * Goes on receiving, always with the same `message`. 1: it is complete (and stays until
 * link_receiver_next()); 0: more has to come; -VIO_EHANGUP: end of stream; -VIO_EPROTO: a header that
 * can't be right or descriptors that didn't fit; -VIO_ESYS.
 */
int link_receive(struct link_receiver *receiver, const struct link_message *message, int socket_fd);
/* Closes what is left of the message and makes room for the next. */
void link_receiver_next(struct link_receiver *receiver, const struct link_message *message);
/* Passes descriptor `index` to the caller; -1 when there is none. */
int link_take_fd(int *fds, unsigned count, unsigned index);

/* What is sent; the descriptors, at most LINK_FDS_MAX, go with its first byte and stay the caller's. */
struct link_sending {
	const uint8_t *bytes;
	size_t length;
	const int *fds;
	unsigned fd_count;
};

/*
 * Sends it from *sent on as far as it goes, and counts on. 1: all of it; 0: the rest later, when there is
 * room in the socket; -VIO_EHANGUP, -VIO_ESYS.
 */
int link_send(const struct link_sending *sending, size_t *sent, int socket_fd);

#endif
