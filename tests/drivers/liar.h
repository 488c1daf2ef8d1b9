/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_DRIVERS_LIAR_H
#define TESTS_DRIVERS_LIAR_H

#include <vireo/device.h>

/*
 * A device of another's type that stops serving and lies instead: liar_take_over() in a rig's `furnish`,
 * after the backend was attached. Its lies are those that split rings can tell: packed ones aren't offered.
 */
struct liar;

/* `head` is the descriptor of the last buffer that the driver made available. */
typedef void liar_lie(struct vio_devq *q, uint16_t head);

struct liar {
	struct vio_device_class class;
	const struct vio_device_class *honest;
	liar_lie *lie;  /* for each kick; NULL: honest */
	uint16_t queue; /* the one it lies on */
	unsigned told;

	/* Writes into a configuration that is honest otherwise; width 0: nothing. */
	unsigned offset, width;
	uint64_t value;
	bool unstable; /* a new generation with each look */
};

void liar_take_over(struct liar *liar, struct vio_device *device);

/* For lies, split: an entry of the used ring, and how far it is said to be filled. */
void liar_use(struct vio_devq *q, uint32_t ahead, uint32_t id, uint32_t length);
void liar_advance(struct vio_devq *q, uint16_t by);

#endif
