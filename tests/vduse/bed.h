/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TEST_VDUSE_BED_H
#define TEST_VDUSE_BED_H

#include "lib/test.h"

#include <vireo/loop.h>

#include "lib/toy.h"
#include "vduse/kernel.h"

/*
 * A server of the toy of lib/toy.h, a kernel that isn't one, and a driver of split rings behind it that is
 * written out by hand. Data lies in one piece of memory, the ring of each queue in one of its own.
 */
#define BED_NAME        "toy-0.x_Y"
#define BED_MEMORY      "test-vduse-memory"
#define BED_BYTES       UINT64_C(0x40000)
#define BED_DATA        UINT64_C(0x1000) /* address and offset */
#define BED_DATA_BYTES  UINT64_C(0x10000)
#define BED_RINGS       UINT64_C(0x40000000) /* address; offset is behind the data */
#define BED_RING_BYTES  UINT64_C(0x3000)
#define BED_RING_OFFSET (BED_DATA + BED_DATA_BYTES)
#define BED_FEATURES    (TEST_PLAIN | TEST_BIT(VIRTIO_F_ACCESS_PLATFORM))

struct bed {
	struct vio_loop *loop;
	struct vio_watcher watcher;
	struct vio_vduse *server;
	struct vio_device dev;
	struct toy *toy;
	void *storage;
	unsigned closed, lines;
	int reason;
	char line[300]; /* the last */

	struct fake_kernel kernel;
	struct vio_vduse_options options;
	struct vio_vduse_mistake mistake;
	char folder[32], account[80];
	int memory_fd;
	uint8_t *memory;
	uint16_t offered[TOY_QUEUES];

	unsigned fds_before, maps_before;
};

/* cmocka's set-up and tear-down; afterwards nothing is left, and another driver is served. */
int bed_make(void **state);
int bed_free(void **state);
#define BED_CASE(name) cmocka_unit_test_setup_teardown(name, bed_make, bed_free)

/* A server of its own, where a case wants another device; `queues` as toy.make_queues. */
void bed_make_server(struct bed *bed, uint16_t queues);
void bed_free_server(struct bed *bed);

/* vio_vduse_start() with the kernel of the bed. */
int bed_start(struct bed *bed);
void bed_stop(struct bed *bed);
void bed_settle(struct bed *bed);
/* Files, mappings: all of the server's are gone. */
void bed_check_idle(struct bed *bed);

/* A request of the kernel's, answered: its result, or -1 when there was none. */
int bed_ask(struct bed *bed, struct vduse_dev_request *request, struct vduse_dev_response *response);
int bed_status(struct bed *bed, uint8_t status);
/* Says that [start, last] isn't what it was. */
int bed_update(struct bed *bed, uint64_t start, uint64_t last);

/* The driver: memory is there, features, a ring for each of so many queues; up to DRIVER_OK. */
void bed_map(struct bed *bed);
void bed_negotiate(struct bed *bed);
void bed_queue(struct bed *bed, uint16_t queue);
void bed_run(struct bed *bed);
/* Puts number into the queue. */
void bed_show(struct bed *bed, uint16_t queue, uint32_t number);
/* The same, and kicks. */
void bed_offer(struct bed *bed, uint16_t queue, uint32_t number);
/* Whether the server wants to be kicked. */
bool bed_wants_kick(const struct bed *bed, uint16_t queue);
/* Number plus 1 of the last request once it is answered, else 0. */
uint32_t bed_answer(const struct bed *bed, uint16_t queue);
/* The server still does what it is there for. */
void bed_check_serves(struct bed *bed);

#endif
