/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_DEVICES_FAKE_EVENTS_H
#define TESTS_DEVICES_FAKE_EVENTS_H

#include <vireo/events.h>

/* A source of events that does what the test says. */
struct fake_events {
	struct vio_event_source source;
	unsigned ready_count, status_count;
	struct vio_event last_status;
	uint32_t refill; /* so many sequences of one key when there is room */
	uint16_t next;   /* value of the next one */
	bool pressed;    /* of which the first half went */
};

void fake_events_init(struct fake_events *fake);
/* Result as deliver(). */
int fake_events_send(struct fake_events *fake, uint16_t type, uint16_t code, uint32_t value);
void fake_events_end(struct fake_events *fake);

#endif
