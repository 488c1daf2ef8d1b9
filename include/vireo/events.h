/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_EVENTS_H
#define VIREO_EVENTS_H

#include <vireo/base.h>

/*
 * What an input device stands on: where events come from, and what kind of thing it is
 * that they come from. Types and codes are Linux's, which the standard refers to.
 *
 * The source delivers when it likes, in the thread that drives the device. One that can
 * wait says so, and is told to when there is no room; of the others what doesn't fit is
 * lost, in whole sequences.
 */
#define VIO_EVENT_TYPES      32u
#define VIO_EVENT_BYTES      96u /* a bit for each code */
#define VIO_EVENT_AXES       64u
#define VIO_EVENT_TEXT_BYTES 128u /* with the NUL */

struct vio_event {
	uint16_t type, code;
	uint32_t value; /* two's complement where it is signed */
};

struct vio_event_axis {
	uint32_t minimum, maximum, fuzz, flat, resolution;
};

struct vio_event_ids {
	uint16_t bus, vendor, product, version;
};

/* What a driver is told. */
struct vio_event_description {
	char name[VIO_EVENT_TEXT_BYTES];
	char serial[VIO_EVENT_TEXT_BYTES];
	struct vio_event_ids ids;
	uint8_t properties[VIO_EVENT_BYTES];
	uint8_t codes[VIO_EVENT_TYPES][VIO_EVENT_BYTES]; /* all zero: no such events */
	struct vio_event_axis axes[VIO_EVENT_AXES];      /* of the codes of EV_ABS */
};

struct vio_event_source;

struct vio_event_source_ops {
	/* deliver() said -VIO_EAGAIN, and there is room now. May be NULL. */
	void (*ready)(struct vio_event_source *source);
	/* The driver sent this, such as that a LED is on. May be NULL. */
	void (*status)(struct vio_event_source *source, const struct vio_event *event);
	/* Frees it. */
	void (*close)(struct vio_event_source *source);
};

/* What the device gives the source to call; deliver() is never called from inside of status. */
struct vio_event_events {
	/* 0: taken, or of no interest. -VIO_EAGAIN, to who can wait: not now. */
	int (*deliver)(void *context, const struct vio_event *event);
	/* After a run of events: tells the driver. */
	void (*deliver_end)(void *context);
};

/* Filled by the source; read by the device. */
struct vio_event_source {
	const struct vio_event_source_ops *ops;
	bool waits;
	const struct vio_event_description *description; /* NULL: whatever the device is said to be */

	/* Set by the device; NULL while there is none. */
	const struct vio_event_events *events;
	void *events_context;
};

#endif
