/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TEST_VDPA_FAKE_H
#define TEST_VDPA_FAKE_H

#include "lib/test.h"

#include <limits.h>

#include <vireo/device.h>

#include "link/kernel.h"

/*
 * A kernel's vhost file: the calls that Linux answers, with a device of ours behind those of vhost-vdpa. It
 * fails and lies as the test says.
 */

#define FAKE_QUEUES  3u
#define FAKE_RIGHTS  (VIO_MEM_READ | VIO_MEM_WRITE)
#define FAKE_NEVER   UINT_MAX
#define FAKE_TAP     1000 /* the file descriptor of a tap that isn't there */
#define FAKE_UNKNOWN 8u
#define FAKE_TELL    1ul /* stands for a message, where a request is named */

enum fake_kind {
	FAKE_VDPA,
	FAKE_NET,
	FAKE_VSOCK,
	FAKE_SCSI,
	FAKE_NOTHING,
};

struct fake_queue {
	struct vhost_vring_addr addr;
	uint32_t size, base;
	int kick, call;
	bool ready;  /* vhost-vdpa */
	int backend; /* vhost-net; -1: none */
};

struct fake {
	struct kernel_system system;
	enum fake_kind kind;
	int fd; /* one that can be closed, and was if it isn't open */
	struct vio_dev dev;
	struct vio_kernel_mistake mistake;
	/* Does the device's work, then waits as the transport's own; for vio_driver_bind(). */
	struct vio_platform platform;
	const struct vio_platform *inner;
	void *driver_state;

	/* The device behind it, of vhost-vdpa. */
	struct vio_device device;
	void *device_state, *device_storage;
	struct vio_mem mem;
	struct vio_region regions[4];

	/* The script. */
	unsigned steps_until_failure; /* calls that go well before one that doesn't; FAKE_NEVER */
	int failure;                  /* its errno */
	unsigned long failing;        /* fails always with `failure`; 0: none */
	unsigned long unknown[FAKE_UNKNOWN];
	uint32_t id;
	uint64_t features, backend_features;
	uint16_t vring_num;
	uint32_t queue_count, config_bytes;
	struct vhost_vdpa_iova_range range;
	bool stuck;         /* a reset doesn't end */
	bool keeps_maps;    /* over a reset */
	uint8_t always_set; /* bits of the status */

	/* What happened. */
	unsigned steps;
	bool owned, running, suspended, in_batch;
	uint64_t accepted, backend_accepted;
	uint64_t map_first, map_bytes, map_host; /* as the kernel has it; 0 bytes: nothing is mapped */
	unsigned maps, unmaps, batches, first_forms;
	uint64_t cid;
	unsigned memory_tables;
	int header_bytes, send_buffer;
	unsigned long offloads;
	short tap_flags;
	struct fake_queue queues[FAKE_QUEUES];
};

/* Well behaved, with `class` behind it for vhost-vdpa (else NULL). */
void fake_make(struct fake *fake, enum fake_kind kind, const struct vio_device_class *class);
void fake_free(struct fake *fake);

/* What the transports' functions for opening say. */
int fake_open_vdpa(struct fake *fake, uint64_t withhold);
int fake_open_net(struct fake *fake, int tap_fd);
int fake_open_vsock(struct fake *fake, uint32_t cid);

/* With state of the fake's; what vio_driver_bind() says. */
int fake_bind(struct fake *fake, const struct vio_driver *driver);
/* vio_dev_close(). */
int fake_close(struct fake *fake);
/* Closes what may be stuck in a reset: then nothing is given back before `hang_up` closed the file. */
void fake_close_any(struct fake *fake, void (*hang_up)(struct vio_dev *dev));

/*
 * Runs live() with each failure that a kernel has and the call that fails further back each time, until
 * none does; that has to take `least` calls.
 */
void fake_fail_each_call(bool (*live)(enum fake_kind kind, unsigned steps, int failure), enum fake_kind kind,
			 unsigned least);

#endif
