/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TEST_LIB_TOY_H
#define TEST_LIB_TOY_H

#include <vireo/device.h>

#include "lib/ring.h"

/*
 * A device type that uses every callback of the device core and counts them, and
 * a host that attaches one to queues written by hand.
 *
 * A request is 4 readable bytes, a number, and 4 writable bytes, which become the
 * number plus 1. While `hold` is set, requests are kept.
 */
#define TOY_QUEUES   3u
#define TOY_SIZE     8u
#define TOY_HELD_MAX 16u

#define TOY_F_BASE 0u
#define TOY_F_MORE 1u /* requires BASE */
#define TOY_F_HIGH 100u

#define TOY_CONFIG_BYTES          20u
#define TOY_CONFIG_COUNTER        4u /* u32: served requests */
#define TOY_CONFIG_WRITABLE       8u /* 8 bytes that the driver may write */
#define TOY_CONFIG_WRITABLE_BYTES 8u

struct toy_counts {
	unsigned realize, unrealize, validate, set_features, get_config, set_config, set_status, reset, kick,
		drain;
	unsigned property_changed, load;
	uint32_t set_offset, set_length; /* as last told */
};

struct toy {
	uint8_t level;
	bool loud;
	char label[8];
	uint32_t served;
	uint8_t writable[TOY_CONFIG_WRITABLE_BYTES];
	/* For the test alone; reset leaves these. */
	bool hold;
	int realize_error, load_error;
	uint16_t make_queues; /* realize makes it so many; 0: as in the class */
	struct vio_buf held[TOY_HELD_MAX];
	uint16_t held_queue[TOY_HELD_MAX];
	unsigned held_count;
	struct toy_counts counts;
};

extern const struct vio_device_class toy_class;

/* Completes what is kept of a queue, latest first, without notify. */
void toy_complete(struct vio_device *dev, struct vio_devq *q);

#define TOY_RINGS      UINT64_C(0x10000) /* one page each */
#define TOY_DATA       UINT64_C(0x100000)
#define TOY_DATA_BYTES UINT64_C(0x4000)

struct toy_world {
	struct test_memory memory;
	struct test_ring rings[TOY_QUEUES];
	struct vio_device dev;
	struct toy toy;
	void *storage;
	unsigned interrupts[TOY_QUEUES], again[TOY_QUEUES], config_interrupts, faults;
	struct vio_fault fault;
	/* Called in the interrupt when not NULL. */
	void (*interrupted)(struct toy_world *w, uint16_t queue);
};

/* Everything up to attach. */
void toy_open(struct toy_world *w);
void toy_attach(struct toy_world *w);
void toy_close(struct toy_world *w);

/* ACKNOWLEDGE, DRIVER, `features` and VERSION_1, FEATURES_OK; then also the queues, then also DRIVER_OK. */
void toy_negotiate(struct toy_world *w, uint64_t features);
void toy_start(struct toy_world *w, uint16_t queue, uint16_t base);
void toy_run(struct toy_world *w, uint64_t features);

/*
 * Makes a request available under a head below TOY_SIZE / 2, and looks at the
 * answer: 0 until there is one.
 */
void toy_request(struct toy_world *w, uint16_t queue, unsigned head, uint32_t number);
uint32_t toy_answer(struct toy_world *w, uint16_t queue, unsigned head);

/* After reset everything works: negotiates, starts all queues, and each serves. */
void toy_works(struct toy_world *w);

#define TOY_NEGOTIATED (VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK)
#define TOY_RUNNING    (TOY_NEGOTIATED | VIRTIO_CONFIG_S_DRIVER_OK)

#endif
