/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TEST_VDUSE_KERNEL_H
#define TEST_VDUSE_KERNEL_H

#include "link/vduse/server.h"

/*
 * A kernel's VDUSE: the calls that Linux answers, and whoever is behind it, the device's driver, by the hand
 * of the test. It fails and lies as it is told to.
 */
#define FAKE_QUEUES 300u
#define FAKE_PIECES 8u
#define FAKE_NEVER  UINT32_MAX

struct fake_queue {
	struct vduse_vq_info info; /* as the driver has set it up */
	uint16_t max_size;
	int kick; /* -1: none; ours */
	unsigned interrupts;
};

struct fake_piece {
	struct vduse_iotlb_entry entry; /* offset in fd */
	int fd;
};

struct fake_kernel {
	struct vds_system system;

	/* The device, while there is one. */
	bool exists, in_use;
	char name[VDUSE_NAME_MAX];
	uint32_t id, queue_count, config_bytes;
	uint64_t features;
	uint8_t config[4096];
	uint8_t status; /* as it has noted it */
	uint64_t accepted;
	int peer; /* the other end of the server's file; -1: nobody has it open */
	uint32_t request_id;
	struct fake_queue queues[FAKE_QUEUES];
	struct fake_piece pieces[FAKE_PIECES];
	unsigned piece_count;
	unsigned config_interrupts;

	/* The script. */
	unsigned steps_until_failure; /* calls that go well before one that doesn't; FAKE_NEVER */
	int failure;                  /* its errno */
	unsigned long failing;        /* fails always with `failure`; 0: none */
	bool broken;                  /* it has given the device up */

	unsigned steps;
};

void fake_kernel_init(struct fake_kernel *kernel);
/* Who had the device open closed it, or has to have. */
bool fake_kernel_closed(struct fake_kernel *kernel);
void fake_kernel_free(struct fake_kernel *kernel);

/* Sends a request of which all but the id is filled in. */
bool fake_kernel_ask(struct fake_kernel *kernel, struct vduse_dev_request *request);
/* The next answer, if there is one; a status that was taken is noted. */
bool fake_kernel_answer(struct fake_kernel *kernel, const struct vduse_dev_request *request,
			struct vduse_dev_response *response);
/* What Linux does with a reset. */
void fake_kernel_reset(struct fake_kernel *kernel);
/* Wakes who serves the queue. */
void fake_kernel_kick(struct fake_kernel *kernel, uint16_t queue);

#endif
