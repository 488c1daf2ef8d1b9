/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TEST_VHOST_USER_BED_H
#define TEST_VHOST_USER_BED_H

#include <vireo/vhost_user.h>

#include "lib/leaks.h"
#include "lib/test.h"

/*
 * What a back end is tested in: a device whose doings can be looked at, and an
 * event loop over poll() that has nothing to do with Vireo's own.
 */
#define BED_QUEUES       4u
#define BED_QUEUE_SIZE   64u
#define BED_CONFIG_BYTES 16u
#define BED_WATCHES_MAX  32u
#define BED_HELD_MAX     BED_QUEUE_SIZE

/* A feature of the device's own that it refuses alone, without ECHO_F_LEGAL. */
#define ECHO_F_LEGAL 1
#define ECHO_F_PICKY 2

/* The device: adds one to each byte it is given and writes them back. */
struct echo {
	uint8_t config[BED_CONFIG_BYTES];
	unsigned served[BED_QUEUES];
	unsigned resets;
	unsigned drains;
	bool hold; /* keep buffers until drained */
	/* In the next kick the first is answered, and so many behind it are put back, the last first. */
	unsigned put_back;
	struct vio_buf held[BED_HELD_MAX];
	unsigned held_count;
	uint32_t ballast; /* its saved state is so many bytes longer */
	unsigned loads;
};

/* A first byte of the configuration that it doesn't load. */
#define ECHO_UNLOADABLE 0xee

struct bed {
	struct vio_device dev;
	struct echo *echo;
	void *storage;
	struct vio_vhost_user *backend;

	struct vio_watcher watcher;
	struct vio_watch *watches[BED_WATCHES_MAX];
	unsigned watch_count;
	struct vio_task *tasks;
	unsigned add_fails_after; /* calls of add until one fails; 0: none does */

	unsigned closed;
	int reason;
	unsigned lines;
	char line[300];
	bool restart_on_close; /* starts with restart_fd from inside closed() */
	int restart_fd;
	int restart_result;

	unsigned fds_before, maps_before;
};

void bed_make(struct bed *bed);
/* Everything must be gone: checks descriptors and mappings. */
void bed_free(struct bed *bed);

/* One round of the loop; how many callbacks it made. */
unsigned bed_turn(struct bed *bed);
/* Rounds until nothing is ready. Fails the test when there is no end to it. */
void bed_settle(struct bed *bed);

/* The back end holds neither descriptors nor mappings nor watches, and the device is in reset. */
void bed_check_idle(const struct bed *bed, unsigned frontend_fds);

#endif
