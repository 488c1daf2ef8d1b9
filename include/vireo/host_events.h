/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_HOST_EVENTS_H
#define VIREO_HOST_EVENTS_H

#include <vireo/events.h>
#include <vireo/host.h>

/*
 * Sources of events of an operating system: what an input device stands on.
 *
 * A script has an event a line, "EV_KEY KEY_A 1", with Linux's names or with numbers, a
 * "wait MILLISECONDS" where time shall pass, and comments behind "#". A file that isn't
 * sound is refused at open; of a pipe a line that isn't is left out.
 */
enum vio_host_events_kind {
	VIO_HOST_EVENTS_EVDEV,    /* an input device of this system */
	VIO_HOST_EVENTS_SCRIPT,   /* lines of a file, a pipe or, where path is "-", standard input */
	VIO_HOST_EVENTS_TERMINAL, /* the keyboard of the terminal that is standard input */
	VIO_HOST_EVENTS_NULL,     /* nothing ever happens */
};

struct vio_host_events_options {
	uint8_t backend; /* enum vio_host_events_kind */
	char path[VIO_HOST_PATH_BYTES];
	bool grab; /* nobody else hears of the EVDEV's events */
	bool loop; /* a SCRIPT in a file begins again */

	/* No properties: takes a line about a status from the driver, or about a script. May be NULL. */
	void (*said)(void *context, const char *line);
	void *said_context;
};

/* "backend", "path", "grab", "loop" over the options. */
VIO_API const struct vio_property_table *vio_host_events_properties(void);

/* Opens a source driven by `loop`, which must outlive it; free it with source->ops->close(). */
VIO_API int vio_host_events_open(struct vio_loop *loop, const struct vio_host_events_options *options,
				 struct vio_event_source **source, struct vio_message *message);

#endif
