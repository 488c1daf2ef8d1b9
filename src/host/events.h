/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_HOST_EVENTS_PRIVATE_H
#define VIO_HOST_EVENTS_PRIVATE_H

#include <vireo/host_events.h>

/* What the kinds of sources behind vio_host_events_open() share. */

struct vio_events_kind {
	const char *name;
	/* The options have been checked as far as they depend on the kind. */
	int (*open)(struct vio_loop *loop, const struct vio_host_events_options *options,
		    struct vio_event_source **source, struct vio_message *message);
};

extern const struct vio_events_kind vio_events_evdev;
extern const struct vio_events_kind vio_events_script;
extern const struct vio_events_kind vio_events_terminal;
extern const struct vio_events_kind vio_events_null;

/* Who hears what a source has to say. */
struct vio_events_voice {
	void (*said)(void *context, const char *line);
	void *context;
};

void vio_events_say(const struct vio_events_voice *voice, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Says what the driver sent. */
void vio_events_say_status(const struct vio_events_voice *voice, const struct vio_event *event);

/* Results as deliver(); 0 while there is no device. */
int vio_events_deliver(struct vio_event_source *source, unsigned type, unsigned code, uint32_t value);
void vio_events_deliver_end(struct vio_event_source *source);

/* What a line of a script says. */
enum vio_events_line {
	VIO_EVENTS_LINE_EMPTY,
	VIO_EVENTS_LINE_EVENT,
	VIO_EVENTS_LINE_WAIT,
	VIO_EVENTS_LINE_WRONG,
};

/* Takes a line apart, and apart is how it is left. `wrong` is the word that isn't known. */
enum vio_events_line vio_events_parse(char *line, struct vio_event *event, uint32_t *wait_ms,
				      const char **wrong);

#endif
