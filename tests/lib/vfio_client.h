/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TEST_LIB_VFIO_CLIENT_H
#define TEST_LIB_VFIO_CLIENT_H

#include <vireo/spec/vfio_user.h>
#include <vireo/vfio_user.h>

/*
 * A client of vfio-user in the thread of its server: it sends a command, lets the server work
 * with waiting(), and looks at the answer. What is legal is the caller's affair.
 */
#define VFIO_CLIENT_REPLY_MAX 70000u

#define VFIO_CLIENT_GONE    (-1) /* the server hung up */
#define VFIO_CLIENT_SILENCE (-2) /* there is no answer */

struct vfio_client {
	int socket; /* -1: closed */
	uint16_t id;
	void (*waiting)(void *context);
	void *context;
	/* The last answer; its descriptors are closed with the next command. */
	struct vfio_user_header header;
	uint8_t reply[VFIO_CLIENT_REPLY_MAX];
	uint32_t reply_bytes;
	int fds[VIO_VFIO_USER_FDS_MAX];
	unsigned fd_count;
};

struct vfio_client_message {
	uint16_t command;
	uint32_t flags;
	uint32_t size; /* as the header has it; 0: as it is */
	const void *payload;
	uint32_t payload_bytes;
	const int *fds;
	unsigned fd_count;
};

/* Only sends; the server doesn't run. */
void vfio_client_send(struct vfio_client *client, const struct vfio_client_message *message);
/* Takes an answer: 0, its errno, or VFIO_CLIENT_GONE or _SILENCE. */
int vfio_client_receive(struct vfio_client *client);
/* Both, with the server running in between. */
int vfio_client_exchange(struct vfio_client *client, const struct vfio_client_message *message);
int vfio_client_call(struct vfio_client *client, uint16_t command, const void *payload, uint32_t size);

/* Closes the socket and what came by it. */
void vfio_client_close(struct vfio_client *client);

/* Commands by their parameters; what vfio_client_receive() says. */
int vfio_client_version(struct vfio_client *client, const char *json);
int vfio_client_map(struct vfio_client *client, uint64_t address, uint64_t size, uint64_t offset, int fd);
int vfio_client_unmap(struct vfio_client *client, uint64_t address, uint64_t size);
int vfio_client_read(struct vfio_client *client, uint32_t region, uint64_t offset, uint32_t count,
		     uint64_t *value);
int vfio_client_write(struct vfio_client *client, uint32_t region, uint64_t offset, uint32_t count,
		      uint64_t value);
int vfio_client_irqs(struct vfio_client *client, uint32_t flags, uint32_t index, uint32_t start,
		     uint32_t count, const int *fds, unsigned fd_count);
/* Asks something of a feature, with `bytes` of it behind; and into a state of migration. */
int vfio_client_feature(struct vfio_client *client, uint32_t flags, const void *data, uint32_t bytes);
int vfio_client_go(struct vfio_client *client, uint32_t migration_state);
/* One piece of a state: at most `size` bytes to `to`, and how many in *got; or so many from `from`. */
int vfio_client_take_state(struct vfio_client *client, uint8_t *to, uint32_t size, uint32_t *got);
int vfio_client_give_state(struct vfio_client *client, const uint8_t *from, uint32_t size);

#endif
