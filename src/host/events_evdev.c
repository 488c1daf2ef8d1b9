/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <libevdev/libevdev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/events.h"

/* An input device of this system, passed on as it is. */

#define BURST 256u

struct evdev {
	struct vio_event_source source;
	struct vio_event_description description;
	struct vio_events_voice voice;
	struct vio_loop *loop;
	struct vio_watch watch;
	bool watched;
	struct libevdev *device;
};

static struct evdev *evdev_of(struct vio_event_source *source)
{
	return VIO_CONTAINER_OF(source, struct evdev, source);
}

static void unwatch(struct evdev *evdev)
{
	if (evdev->watched)
		vio_loop_unwatch(evdev->loop, &evdev->watch);
	evdev->watched = false;
}

static void evdev_readable(struct vio_watch *watch)
{
	struct evdev *evdev = VIO_CONTAINER_OF(watch, struct evdev, watch);
	unsigned flags = LIBEVDEV_READ_FLAG_NORMAL;
	struct input_event event;
	int result = 0;

	for (unsigned i = 0; i < BURST; i++) {
		result = libevdev_next_event(evdev->device, flags, &event);
		/* Where the kernel lost events for us, the library finds out what became of it all. */
		if (result == -EAGAIN && flags == LIBEVDEV_READ_FLAG_SYNC) {
			flags = LIBEVDEV_READ_FLAG_NORMAL;
			continue;
		}
		if (result < 0)
			break;
		if (result == LIBEVDEV_READ_STATUS_SYNC)
			flags = LIBEVDEV_READ_FLAG_SYNC;
		if (event.type != EV_SYN || event.code != SYN_DROPPED)
			vio_events_deliver(&evdev->source, event.type, event.code, (uint32_t)event.value);
	}
	/* One half of that may not wait for the next event. */
	while (flags == LIBEVDEV_READ_FLAG_SYNC && result == LIBEVDEV_READ_STATUS_SYNC) {
		result = libevdev_next_event(evdev->device, flags, &event);
		if (result == LIBEVDEV_READ_STATUS_SYNC)
			vio_events_deliver(&evdev->source, event.type, event.code, (uint32_t)event.value);
	}
	vio_events_deliver_end(&evdev->source);
	if (result < 0 && result != -EAGAIN && result != -EINTR) {
		vio_events_say(&evdev->voice, "input device: %s", strerror(-result));
		unwatch(evdev);
	}
}

static void evdev_status(struct vio_event_source *source, const struct vio_event *event)
{
	struct evdev *evdev = evdev_of(source);
	const struct input_event wire = { .type = event->type,
					  .code = event->code,
					  .value = (int32_t)event->value };

	if (write(evdev->watch.fd, &wire, sizeof(wire)) != sizeof(wire))
		vio_events_say_status(&evdev->voice, event);
}

static void evdev_close(struct vio_event_source *source)
{
	struct evdev *evdev = evdev_of(source);

	unwatch(evdev);
	libevdev_free(evdev->device);
	if (evdev->watch.fd >= 0)
		close(evdev->watch.fd);
	free(evdev);
}

static const struct vio_event_source_ops evdev_ops = { .status = evdev_status, .close = evdev_close };

/* What the driver will be told. Repetition isn't: this system does that. */
static void describe(struct evdev *evdev)
{
	static const unsigned types[] = { EV_KEY, EV_REL, EV_ABS, EV_MSC, EV_SW, EV_LED };
	struct vio_event_description *description = &evdev->description;
	const struct libevdev *device = evdev->device;
	const char *uniq = libevdev_get_uniq(device);

	snprintf(description->name, sizeof(description->name), "%s", libevdev_get_name(device));
	snprintf(description->serial, sizeof(description->serial), "%s", uniq ? uniq : "");
	description->ids = (struct vio_event_ids){ (uint16_t)libevdev_get_id_bustype(device),
						   (uint16_t)libevdev_get_id_vendor(device),
						   (uint16_t)libevdev_get_id_product(device),
						   (uint16_t)libevdev_get_id_version(device) };
	for (unsigned i = 0; i <= INPUT_PROP_MAX; i++) {
		if (libevdev_has_property(device, i))
			description->properties[i / 8] |= (uint8_t)(1u << i % 8);
	}
	for (unsigned t = 0; t < VIO_ARRAY_SIZE(types); t++) {
		for (unsigned code = 0; code < 8 * VIO_EVENT_BYTES; code++) {
			if (libevdev_has_event_code(device, types[t], code))
				description->codes[types[t]][code / 8] |= (uint8_t)(1u << code % 8);
		}
	}
	for (unsigned axis = 0; axis < VIO_EVENT_AXES; axis++) {
		const struct input_absinfo *info = libevdev_get_abs_info(device, axis);

		if (info)
			description->axes[axis] =
				(struct vio_event_axis){ (uint32_t)info->minimum, (uint32_t)info->maximum,
							 (uint32_t)info->fuzz, (uint32_t)info->flat,
							 (uint32_t)info->resolution };
	}
}

static int start(struct evdev *evdev, const struct vio_host_events_options *options,
		 struct vio_message *message)
{
	int failed;

	evdev->watch.fd = open(options->path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (evdev->watch.fd < 0)
		evdev->watch.fd = open(options->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (evdev->watch.fd < 0)
		return vio_fail(message, vio_error_from_errno(errno), "can't open the input device '%s': %s",
				options->path, strerror(errno));
	failed = libevdev_new_from_fd(evdev->watch.fd, &evdev->device);
	if (failed)
		return vio_fail(message, -VIO_EINVAL,
				"'%s' is no input device, or none that can be asked: %s; they are such as "
				"/dev/input/event0",
				options->path, strerror(-failed));
	failed = options->grab ? libevdev_grab(evdev->device, LIBEVDEV_GRAB) : 0;
	if (failed)
		return vio_fail(message, vio_error_from_errno(-failed),
				"can't grab the input device '%s': %s", options->path, strerror(-failed));
	describe(evdev);
	evdev->watched = vio_loop_watch(evdev->loop, &evdev->watch) == 0;
	return evdev->watched ? 0 : vio_fail(message, -VIO_ENOMEM, "out of memory");
}

static int evdev_open(struct vio_loop *loop, const struct vio_host_events_options *options,
		      struct vio_event_source **source, struct vio_message *message)
{
	struct evdev *evdev = calloc(1, sizeof(*evdev));
	int error;

	if (!evdev)
		return vio_fail(message, -VIO_ENOMEM, "out of memory");
	evdev->source.ops = &evdev_ops;
	evdev->source.description = &evdev->description;
	evdev->voice = (struct vio_events_voice){ options->said, options->said_context };
	evdev->loop = loop;
	evdev->watch = (struct vio_watch){ .fd = -1, .ready = evdev_readable };
	error = start(evdev, options, message);
	if (error) {
		evdev_close(&evdev->source);
		return error;
	}
	*source = &evdev->source;
	return 0;
}

const struct vio_events_kind vio_events_evdev = { .name = "evdev", .open = evdev_open };
