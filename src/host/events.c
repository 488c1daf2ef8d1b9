/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <libevdev/libevdev.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/events.h"

/*
 * Kinds of sources. To add one: a file with a struct that begins with struct
 * vio_event_source and a `const struct vio_events_kind`, a value in enum
 * vio_host_events_kind, a line in `kinds` and one in `names`.
 */
static const struct vio_events_kind *const kinds[] = {
	[VIO_HOST_EVENTS_EVDEV] = &vio_events_evdev,
	[VIO_HOST_EVENTS_SCRIPT] = &vio_events_script,
	[VIO_HOST_EVENTS_TERMINAL] = &vio_events_terminal,
	[VIO_HOST_EVENTS_NULL] = &vio_events_null,
};

static const char *const names[] = {
	[VIO_HOST_EVENTS_EVDEV] = "evdev",       [VIO_HOST_EVENTS_SCRIPT] = "script",
	[VIO_HOST_EVENTS_TERMINAL] = "terminal", [VIO_HOST_EVENTS_NULL] = "null",
	[VIO_ARRAY_SIZE(kinds)] = NULL,
};

#define OPTION(property, member, kind) \
	.name = (property), VIO_PROPERTY_MEMBER(struct vio_host_events_options, member, kind)

static const struct vio_property properties[] = {
	{ OPTION("backend", backend, VIO_PROPERTY_CHOICE), .choices = names, .initial = "evdev",
	  .help = "where events come from" },
	{ OPTION("path", path, VIO_PROPERTY_STRING),
	  .help = "an input device such as /dev/input/event0, or a script" },
	{ OPTION("grab", grab, VIO_PROPERTY_BOOL), .initial = "on",
	  .help = "let nobody else have the events of an evdev" },
	{ OPTION("loop", loop, VIO_PROPERTY_BOOL), .help = "begin again at the end of a script in a file" },
};

static const struct vio_property_table property_table = { properties, VIO_ARRAY_SIZE(properties) };

const struct vio_property_table *vio_host_events_properties(void)
{
	return &property_table;
}

int vio_host_events_open(struct vio_loop *loop, const struct vio_host_events_options *options,
			 struct vio_event_source **source, struct vio_message *message)
{
	unsigned backend = options->backend;
	bool needs = backend == VIO_HOST_EVENTS_EVDEV || backend == VIO_HOST_EVENTS_SCRIPT;

	if (backend >= VIO_ARRAY_SIZE(kinds))
		return vio_fail(message, -VIO_EINVAL, "there is no backend %u", backend);
	if (needs && !options->path[0])
		return vio_fail(message, -VIO_EINVAL, "backend '%s' needs a path, for example path=%s",
				names[backend],
				backend == VIO_HOST_EVENTS_EVDEV ? "/dev/input/event0" : "/tmp/script");
	if (!needs && options->path[0])
		return vio_fail(
			message, -VIO_EINVAL,
			"backend '%s' takes no path, but it is '%.256s'; did you mean backend=script?",
			names[backend], options->path);
	if (options->loop && backend != VIO_HOST_EVENTS_SCRIPT)
		return vio_fail(message, -VIO_EINVAL, "backend '%s' can't loop; did you mean backend=script?",
				names[backend]);
	return kinds[backend]->open(loop, options, source, message);
}

/* What kinds share. */

void vio_events_say(const struct vio_events_voice *voice, const char *format, ...)
{
	char line[256];
	va_list arguments;

	if (!voice->said)
		return;
	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	voice->said(voice->context, line);
}

void vio_events_say_status(const struct vio_events_voice *voice, const struct vio_event *event)
{
	const char *type = libevdev_event_type_get_name(event->type);
	const char *code = libevdev_event_code_get_name(event->type, event->code);
	char number[16];

	snprintf(number, sizeof(number), "%u", event->code);
	if (event->type)
		vio_events_say(voice, "status %s %s %d", type ? type : "?", code ? code : number,
			       (int32_t)event->value);
}

int vio_events_deliver(struct vio_event_source *source, unsigned type, unsigned code, uint32_t value)
{
	const struct vio_event event = { (uint16_t)type, (uint16_t)code, value };

	return source->events ? source->events->deliver(source->events_context, &event) : 0;
}

void vio_events_deliver_end(struct vio_event_source *source)
{
	if (source->events)
		source->events->deliver_end(source->events_context);
}

/* Lines of scripts. */

static bool read_number(const char *word, long least, long most, long *number)
{
	char *end;

	errno = 0;
	*number = strtol(word, &end, 0);
	return end != word && !*end && !errno && *number >= least && *number <= most;
}

/* A name of Linux's or a number; negative: neither. */
static int read_type(const char *word)
{
	long number;

	return read_number(word, 0, EV_MAX, &number) ? (int)number : libevdev_event_type_from_name(word);
}

static int read_code(unsigned type, const char *word)
{
	long number;

	if (read_number(word, 0, UINT16_MAX, &number))
		return (int)number;
	return libevdev_event_code_from_name(type, word);
}

static enum vio_events_line read_event(char *const *words, unsigned count, struct vio_event *event,
				       const char **wrong)
{
	int type = read_type(words[0]);
	int code = count > 1 && type >= 0 ? read_code((unsigned)type, words[1]) : -1;
	long value = 0;

	*wrong = words[0];
	if (type < 0)
		return VIO_EVENTS_LINE_WRONG;
	if (count > 1)
		*wrong = words[1];
	if (code < 0)
		return VIO_EVENTS_LINE_WRONG;
	if (count > 2)
		*wrong = words[2];
	if (count != 3 || !read_number(words[2], INT32_MIN, INT32_MAX, &value))
		return VIO_EVENTS_LINE_WRONG;
	*event = (struct vio_event){ (uint16_t)type, (uint16_t)code, (uint32_t)value };
	return VIO_EVENTS_LINE_EVENT;
}

enum vio_events_line vio_events_parse(char *line, struct vio_event *event, uint32_t *wait_ms,
				      const char **wrong)
{
	char *words[4], *rest = NULL;
	unsigned count = 0;
	long number;

	line[strcspn(line, "#\n")] = '\0';
	for (char *word = strtok_r(line, " \t\r", &rest); word && count < VIO_ARRAY_SIZE(words);
	     word = strtok_r(NULL, " \t\r", &rest))
		words[count++] = word;
	if (!count)
		return VIO_EVENTS_LINE_EMPTY;
	if (strcmp(words[0], "wait") == 0) {
		*wrong = count > 1 ? words[1] : words[0];
		if (count != 2 || !read_number(words[1], 0, 3600000, &number))
			return VIO_EVENTS_LINE_WRONG;
		*wait_ms = (uint32_t)number;
		return VIO_EVENTS_LINE_WAIT;
	}
	return read_event(words, count, event, wrong);
}

/* A source of nothing. */

static void null_close(struct vio_event_source *source)
{
	free(source);
}

struct null_source {
	struct vio_event_source source;
	struct vio_events_voice voice;
};

static void null_status(struct vio_event_source *source, const struct vio_event *event)
{
	vio_events_say_status(&VIO_CONTAINER_OF(source, struct null_source, source)->voice, event);
}

static const struct vio_event_source_ops null_ops = { .status = null_status, .close = null_close };

static int null_open(struct vio_loop *loop, const struct vio_host_events_options *options,
		     struct vio_event_source **source, struct vio_message *message)
{
	struct null_source *null = calloc(1, sizeof(*null));

	(void)loop;
	if (!null)
		return vio_fail(message, -VIO_ENOMEM, "out of memory");
	null->source.ops = &null_ops;
	null->voice = (struct vio_events_voice){ options->said, options->said_context };
	*source = &null->source;
	return 0;
}

const struct vio_events_kind vio_events_null = { .name = "null", .open = null_open };
