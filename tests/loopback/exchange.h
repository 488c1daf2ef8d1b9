/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TEST_LOOPBACK_EXCHANGE_H
#define TEST_LOOPBACK_EXCHANGE_H

#include "lib/pair.h"

/*
 * One body: random traffic between both halves of a queue, in turns, in which each
 * side does nothing while it sleeps and wakes only by a notification. Every buffer
 * is followed from add to get.
 */
enum exchange_callbacks {
	EXCHANGE_POLL,    /* the driver never sleeps */
	EXCHANGE_ENABLE,  /* off while it works, vio_drvq_enable_cb() before it sleeps */
	EXCHANGE_DELAYED, /* the same with vio_drvq_enable_cb_delayed() */
	EXCHANGE_ON,      /* never switched off: get until NULL, then sleep */
	EXCHANGE_CALLBACKS,
};

enum exchange_order {
	EXCHANGE_IN_ORDER,
	EXCHANGE_REVERSED, /* each batch the other way round */
	EXCHANGE_RANDOM,
	EXCHANGE_LATE, /* held over several turns, then at random */
	EXCHANGE_ORDERS,
};

struct exchange_config {
	uint16_t size;
	uint16_t start;     /* index of both rings */
	bool walk_to_start; /* the driver gets there buffer by buffer, as packed ones always do */
	bool packed, in_order, indirect, event_idx, device_polls;
	bool many; /* the calls for many buffers at once */
	enum exchange_callbacks callbacks;
	enum exchange_order order;
	unsigned batch;   /* buffers for each kick, at most */
	unsigned buffers; /* in all */
	uint64_t seed;
};

void exchange_run(const struct exchange_config *config);

#endif
