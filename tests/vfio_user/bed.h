/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TEST_VFIO_USER_BED_H
#define TEST_VFIO_USER_BED_H

#include "lib/test.h"

#include <vireo/loop.h>
#include <vireo/spec/pci.h>
#include <vireo/spec/virtio_pci.h>

#include "lib/toy.h"
#include "lib/vfio_client.h"

/*
 * A server of the toy of lib/toy.h and its client, a virtual machine with a driver that is written out
 * by hand: memory, eventfds for three vectors and the line, split rings of the toy's three queues.
 */
#define BED_MEMORY_NAME  "test-client-memory"
#define BED_MEMORY       UINT64_C(0x40000000) /* bus address */
#define BED_MEMORY_BYTES UINT64_C(0x100000)
#define BED_RINGS        UINT64_C(0) /* offset of queue 0's, and what they have each */
#define BED_RING_BYTES   UINT64_C(0x3000)
#define BED_DATA         UINT64_C(0x80000) /* offset of requests, in the other half of memory */
#define BED_VECTORS      3u

#define BED_BAR 4u /* VIO_PCI_MEMORY_BAR */

#define BED_SET_EVENTFD (VFIO_USER_IRQ_SET_EVENTFD | VFIO_USER_IRQ_SET_TRIGGER)
#define BED_JSON        "{\"capabilities\":{\"max_msg_fds\":8,\"write_multiple\":true}}"

struct bed {
	struct vio_loop *loop;
	struct vio_watcher watcher;
	struct vio_vfio_user *server;
	struct vio_device dev;
	struct toy *toy;
	void *storage;
	unsigned closed, lines;
	int reason;
	char line[300]; /* the last */

	struct vfio_client client;
	int memory_fd, read_only_fd;
	uint8_t *memory;
	int events[BED_VECTORS], line_event;
	uint32_t notify; /* offset in the BAR of queue 0's notification */
	uint16_t offered[TOY_QUEUES];

	unsigned fds_before, maps_before;
};

/* cmocka's set-up and tear-down; afterwards nothing is left of the client, and another is served. */
int bed_make(void **state);
int bed_free(void **state);
#define BED_CASE(name) cmocka_unit_test_setup_teardown(name, bed_make, bed_free)

/*
 * Whose the queues are, of which each program has its own idea (one_thread.c, crew.c); after the server is
 * made, and after it went.
 */
void bed_spread(struct bed *bed);
void bed_gather(void);

/* A socket to the server; nothing said yet. */
void bed_connect(struct bed *bed);
/* That, and the version agreed on. */
void bed_agree(struct bed *bed);
/* That, memory and vectors, and a driver that said DRIVER_OK with queue 0 running. */
void bed_run(struct bed *bed);
/* Lets the server work until it has nothing to do. */
void bed_settle(struct bed *bed);
/* The client closes the socket, and the server sees it. */
void bed_hang_up(struct bed *bed);
/* The server ended the connection for a breach of the protocol, and said so. */
void bed_expect_dropped(struct bed *bed);
/* Descriptors, mappings: all of the server's are gone, and the device is in reset. */
void bed_check_idle(struct bed *bed);

/* The driver, by messages. */
void bed_set(struct bed *bed, uint32_t offset, uint32_t width, uint64_t value);
uint64_t bed_get(struct bed *bed, uint32_t offset, uint32_t width);
/* Status, features and queue 0, whose interrupts come by vector 1 with MSI-X, else by the line. */
void bed_driver_start(struct bed *bed, unsigned messages);
/* Puts number into the queue; doesn't kick. */
void bed_offer(struct bed *bed, uint16_t queue, uint32_t number);
void bed_kick(struct bed *bed, uint16_t queue);
/* Number plus 1 of the last request once it is answered, else 0. */
uint32_t bed_answer(const struct bed *bed, uint16_t queue);
/* How often an eventfd was raised since the last look. */
unsigned bed_raised(int fd);

/* Assigns all vectors, or the line. */
void bed_assign(struct bed *bed, uint32_t index);
/* Mask, unmask, trigger ... by message: answers as vfio_client_irqs(). */
int bed_act(struct bed *bed, uint32_t action, uint32_t index, uint32_t number);

#endif
