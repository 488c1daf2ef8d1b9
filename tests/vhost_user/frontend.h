/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TEST_VHOST_USER_FRONTEND_H
#define TEST_VHOST_USER_FRONTEND_H

#include <vireo/drvq.h>
#include <vireo/spec/vhost_user.h>

#include "vhost_user/bed.h"

/*
 * The other end of the socket: a front end with memory and drivers' queues of its
 * own, that can send anything. Its user addresses are no addresses of this process.
 */
#define FRONTEND_MEMORY_NAME  "test-frontend-memory"
#define FRONTEND_MEMORY_BYTES UINT64_C(0x100000)
#define FRONTEND_HALF         (FRONTEND_MEMORY_BYTES / 2)
#define FRONTEND_BUS          UINT64_C(0x40000000)
#define FRONTEND_USER         UINT64_C(0x7e0000000000)
#define FRONTEND_REPLY_MAX    600u

#define PROTOCOL(name) (UINT64_C(1) << VHOST_USER_PROTOCOL_F_##name)
#define FEATURE(bit)   (UINT64_C(1) << (bit))
#define PROTOCOL_BIT   FEATURE(VHOST_USER_F_PROTOCOL_FEATURES)
#define USUAL_FEATURES (FEATURE(VIRTIO_F_VERSION_1) | PROTOCOL_BIT)
#define USUAL_PROTOCOL                                                                   \
	(PROTOCOL(MQ) | PROTOCOL(REPLY_ACK) | PROTOCOL(BACKEND_REQ) | PROTOCOL(CONFIG) | \
	 PROTOCOL(CONFIGURE_MEM_SLOTS) | PROTOCOL(RESET_DEVICE))

struct frontend_queue {
	struct vio_drvq drvq;
	void *storage;
	int kick, call, err; /* eventfds, or call may be the read end of a pipe */
	int call_write;      /* what is sent as the call descriptor */
	uint64_t offset;     /* of the rings in memory */
};

struct frontend {
	struct bed *bed;
	int socket; /* -1: closed */
	int memory_fd;
	uint8_t *memory;
	struct frontend_queue queues[BED_QUEUES];
	struct vhost_user_header header; /* of the last reply */
	uint8_t reply[FRONTEND_REPLY_MAX];
};

/* Memory and descriptors; not connected. */
void frontend_make(struct frontend *fe, struct bed *bed);
void frontend_free(struct frontend *fe);
/* Rings to where they usually are. */
void frontend_place_queues(struct frontend *fe);
/* How many descriptors of the process are its own. */
unsigned frontend_fds(const struct frontend *fe);

void frontend_connect(struct frontend *fe);
/* Closes the socket and lets the back end see it. */
void frontend_hang_up(struct frontend *fe);

/* Raw sending; lets nothing run. */
struct frontend_message {
	uint32_t request, flags, size;
	const void *payload;
	uint32_t payload_bytes; /* that are really sent */
	const int *fds;
	unsigned fd_count;
};
void frontend_send_raw(struct frontend *fe, const struct frontend_message *message);

/* Sends one and lets the back end run. */
void frontend_send(struct frontend *fe, uint32_t request, const void *payload, uint32_t size);
void frontend_send_fds(struct frontend *fe, uint32_t request, const void *payload, uint32_t size,
		       const int *fds, unsigned fd_count);
/* The same with NEED_REPLY: 0 or what the back end acknowledged; fails the test when it doesn't. */
uint64_t frontend_ask(struct frontend *fe, uint32_t request, const void *payload, uint32_t size);
uint64_t frontend_ask_fds(struct frontend *fe, uint32_t request, const void *payload, uint32_t size,
			  const int *fds, unsigned fd_count);
/* Reads one message from the back end if one is whole; its payload is in fe->reply. */
bool frontend_receive(struct frontend *fe);
/* For requests that have replies of their own. */
uint64_t frontend_get_u64(struct frontend *fe, uint32_t request);

/* Pieces of the usual start. */
void frontend_negotiate(struct frontend *fe, uint64_t features, uint64_t protocol);
uint64_t frontend_share_memory(struct frontend *fe);
struct vhost_user_mem_region frontend_region(uint64_t offset, uint64_t bytes);
struct vhost_user_vring_addr frontend_areas(const struct frontend *fe, unsigned queue);
void frontend_queue_make(struct frontend *fe, unsigned queue, uint64_t features);
uint64_t frontend_queue_num(struct frontend *fe, unsigned queue, uint32_t num);
uint64_t frontend_queue_base(struct frontend *fe, unsigned queue, uint32_t base);
uint64_t frontend_queue_addr(struct frontend *fe, unsigned queue);
uint64_t frontend_queue_kick(struct frontend *fe, unsigned queue);
uint64_t frontend_queue_call(struct frontend *fe, unsigned queue);
uint64_t frontend_queue_err(struct frontend *fe, unsigned queue);
uint64_t frontend_queue_enable(struct frontend *fe, unsigned queue, uint32_t enable);
uint32_t frontend_queue_stop(struct frontend *fe, unsigned queue);
/* All of these for a queue that has been made. */
void frontend_queue_start(struct frontend *fe, unsigned queue, uint32_t base);
/* From the connection to a queue 0 that runs. */
void frontend_start(struct frontend *fe, uint64_t features, uint64_t protocol);

/* Puts one request of four bytes into a queue and kicks. */
void frontend_offer(struct frontend *fe, unsigned queue, uint8_t value);
/* Lets the back end run and takes one answer: whether there was one and it is right, with an interrupt. */
bool frontend_answered(struct frontend *fe, unsigned queue, uint8_t value);
/* offer and answered, which must be true. */
void frontend_roundtrip(struct frontend *fe, unsigned queue, uint8_t value);

/* Takes what an eventfd or pipe counts; 0 when nothing. */
uint64_t frontend_drain(int fd);

#endif
