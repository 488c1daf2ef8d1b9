/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TEST_TRANSPORT_FAKE_H
#define TEST_TRANSPORT_FAKE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <vireo/driver.h>

#include "lib/platform.h"

/* A transport whose device does what the test says: well behaved as fake_make() leaves it. */
#define FAKE_LOG_MAX 64u
#define FAKE_NEVER   UINT32_MAX

struct fake {
	struct test_platform platform;
	struct vio_dev dev;
	struct vio_transport_ops ops;

	/* The script. */
	uint32_t steps_until_gone; /* calls of the transport, FAKE_NEVER */
	uint32_t steps_until_needs_reset;
	uint32_t reset_looks; /* reads of the status until a reset is over */
	uint32_t queue_reset_looks;
	struct vio_features offered, offered_later; /* at the first look, and from the second on */
	uint8_t refused;                            /* status bits that are never kept */
	bool never_suspends;
	uint32_t size_max;
	int enable_error;
	uint32_t unstable_reads; /* of the configuration during which it changes */
	unsigned causes;         /* of the interrupts pending */

	/* What happened. */
	uint32_t steps;
	uint8_t status;
	bool seen_gone; /* by the driver */
	uint32_t looks; /* left in a reset */
	bool needs_reset;
	uint8_t log[FAKE_LOG_MAX]; /* values written to the status */
	unsigned logged;
	unsigned offers_read, features_written, enabled, queue_resets, notified, config_reads, config_writes,
		closed;
	struct vio_features accepted;
	struct vio_queue_place place; /* the last one enabled */
};

void fake_make(struct fake *fake);

/* Fails the test when memory wasn't given back. */
void fake_free(struct fake *fake);

/* For cmocka: a fake as the state, ended whatever the test has left of it. */
int fake_setup(void **state);
int fake_teardown(void **state);

/* The verbs, with two queues, everything wanted, and indirect tables. */
int fake_begin(struct fake *fake);
int fake_accept(struct fake *fake);
int fake_add_queue(struct fake *fake, uint16_t queue, struct vio_drvq **q);

/* As far as `phase`; a negative code of the step that failed. */
int fake_advance(struct fake *fake, enum vio_dev_phase phase);

#endif
