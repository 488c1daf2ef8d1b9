/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TEST_LIB_PAIR_H
#define TEST_LIB_PAIR_H

#include "lib/ring.h"

/*
 * A driver's queue, the device's queue on the same memory, and the ring between
 * them for the hand of the test. `features` say which format it has; `ring` knows
 * how to be written by hand only if it is split. The ring ends at an inaccessible page; data is
 * two regions that are neighbours by bus address only.
 */
#define PAIR_RING   UINT64_C(0x10000)
#define PAIR_TABLES UINT64_C(0x2000000)
#define PAIR_DATA   UINT64_C(0x40000000)

struct test_pair {
	struct test_memory memory;
	struct test_ring ring;
	struct vio_drvq drv;
	struct vio_devq dev;
	void *drv_storage, *dev_storage;
	uint64_t features;
	uint64_t data_bytes; /* of both regions together */
	uint16_t walked;     /* packed: as far as test_pair_advance() got */
	unsigned kicks, interrupts;
	/* Called when not NULL, after counting. */
	void (*kicked)(struct test_pair *pair);
	void (*interrupted)(struct test_pair *pair);
	void *user;
};

struct test_pair_config {
	uint16_t size;
	uint16_t indirect_max;
	uint16_t spans_max; /* 0: 16 */
	uint64_t features;
	uint64_t data_bytes; /* 0: 128 KiB */
};

/* Memory, and a driver's queue that was just started. The device's isn't. */
void test_pair_open(struct test_pair *pair, const struct test_pair_config *config);
/* Starts the driver's queue again, over what is there. */
void test_pair_restart_driver(struct test_pair *pair);
/*
 * Runs the driver's queue until its indices are at `index`, with the test as device. A packed one
 * has no such index: it gets so many descriptors further, which makes the same position.
 */
void test_pair_advance(struct test_pair *pair, uint16_t index);
/* The same without the walk: writes the indices of both sides as if it had been made. Not packed. */
void test_pair_jump(struct test_pair *pair, uint16_t index);
/* Starts the device's queue where the driver's stands. */
void test_pair_start_device(struct test_pair *pair);
void test_pair_close(struct test_pair *pair);
bool test_pair_packed(const struct test_pair *pair);

/* Adds one writable element at PAIR_DATA + offset. */
int test_pair_add(struct test_pair *pair, uint64_t offset, uint32_t length, void *token);

#endif
