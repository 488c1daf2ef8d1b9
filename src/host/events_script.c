/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/events.h"

/* Lines of a file or a pipe. They wait for the driver, so that none is lost. */

#define LINE_BYTES 512u
#define BURST      4096u
#define RETRY_MS   10u

struct script {
	struct vio_event_source source;
	struct vio_events_voice voice;
	struct vio_loop *loop;
	struct vio_watch watch; /* of a pipe */
	bool file, again, over;
	bool watched;
	struct vio_timer timer;
	bool resting;  /* until the timer expires */
	bool has_next; /* `next` waits for the driver */
	bool told;     /* an event went since the script began */
	struct vio_event next;
	uint32_t number, used, at; /* line, and bytes in `text` */
	char text[LINE_BYTES];
};

static struct script *script_of(struct vio_event_source *source)
{
	return VIO_CONTAINER_OF(source, struct script, source);
}

static void rest(struct script *script, uint32_t delay_ms)
{
	script->resting = true;
	vio_loop_arm(script->loop, &script->timer, delay_ms);
}

/* More of the text: 1, 0 at its end, -1 when there is none now. */
static int read_more(struct script *script)
{
	ssize_t got;

	memmove(script->text, script->text + script->at, script->used - script->at);
	script->used -= script->at;
	script->at = 0;
	if (script->used == LINE_BYTES) {
		vio_events_say(&script->voice, "line %u is too long", script->number + 1);
		script->used = 0;
	}
	got = read(script->watch.fd, script->text + script->used, LINE_BYTES - script->used);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return -1;
	if (got <= 0)
		return 0;
	script->used += (uint32_t)got;
	return 1;
}

static void obey_line(struct script *script, char *line)
{
	const char *wrong;
	uint32_t wait_ms;

	script->number++;
	switch (vio_events_parse(line, &script->next, &wait_ms, &wrong)) {
	case VIO_EVENTS_LINE_EVENT:
		script->has_next = script->told = true;
		break;
	case VIO_EVENTS_LINE_WAIT:
		rest(script, wait_ms);
		script->told = true;
		break;
	case VIO_EVENTS_LINE_WRONG:
		vio_events_say(&script->voice, "line %u: '%.64s' is not understood", script->number, wrong);
		break;
	default:
		break;
	}
}

/* The end, or the beginning again. */
static void end_text(struct script *script)
{
	char last[LINE_BYTES + 1];

	if (script->used > script->at) { /* a line without an end */
		memcpy(last, script->text + script->at, script->used - script->at);
		last[script->used - script->at] = '\0';
		script->at = script->used;
		obey_line(script, last);
		return;
	}
	script->over = !script->again || !script->told || lseek(script->watch.fd, 0, SEEK_SET);
	script->told = false;
	script->number = 0;
}

/* Does the next thing; false when it has to wait for something. */
static bool step(struct script *script)
{
	char *line = script->text + script->at;
	char *end = memchr(line, '\n', script->used - script->at);

	if (script->has_next) {
		script->has_next = vio_events_deliver(&script->source, script->next.type, script->next.code,
						      script->next.value) == -VIO_EAGAIN;
		return !script->has_next;
	}
	if (end) {
		*end = '\0';
		script->at += (uint32_t)(end + 1 - line);
		obey_line(script, line);
		return true;
	}
	switch (read_more(script)) {
	case 0:
		end_text(script);
		return !script->over;
	case 1:
		return true;
	default:
		if (!script->watched)
			script->watched = vio_loop_watch(script->loop, &script->watch) == 0;
		return false;
	}
}

static void unwatch(struct script *script)
{
	if (script->watched)
		vio_loop_unwatch(script->loop, &script->watch);
	script->watched = false;
}

static void pump(struct script *script)
{
	unsigned steps = 0;

	if (script->over || script->resting)
		return;
	if (!script->source.events) {
		rest(script, RETRY_MS);
		return;
	}
	while (!script->resting && step(script)) {
		if (++steps == BURST) /* others want to be served */
			rest(script, 0);
	}
	if (script->has_next || script->over || script->resting)
		unwatch(script);
	vio_events_deliver_end(&script->source);
}

static void script_readable(struct vio_watch *watch)
{
	pump(VIO_CONTAINER_OF(watch, struct script, watch));
}

static void script_expired(struct vio_timer *timer)
{
	struct script *script = VIO_CONTAINER_OF(timer, struct script, timer);

	script->resting = false;
	pump(script);
}

static void script_ready(struct vio_event_source *source)
{
	pump(script_of(source));
}

static void script_status(struct vio_event_source *source, const struct vio_event *event)
{
	vio_events_say_status(&script_of(source)->voice, event);
}

static void script_close(struct vio_event_source *source)
{
	struct script *script = script_of(source);

	vio_loop_disarm(script->loop, &script->timer);
	unwatch(script);
	if (script->watch.fd >= 0)
		close(script->watch.fd);
	free(script);
}

static const struct vio_event_source_ops script_ops = { script_ready, script_status, script_close };

/* All lines of a file are understood, or it is refused. */
static int judge_file(int fd, const char *path, struct vio_message *message)
{
	FILE *file = fdopen(dup(fd), "r");
	char line[LINE_BYTES];
	unsigned number = 0;
	int error = 0;

	if (!file)
		return vio_fail(message, vio_error_from_errno(errno), "script '%s': %s", path,
				strerror(errno));
	while (!error && fgets(line, sizeof(line), file)) {
		struct vio_event event;
		uint32_t wait_ms;
		const char *wrong;

		number++;
		if (!strchr(line, '\n') && !feof(file))
			error = vio_fail(message, -VIO_EINVAL, "script '%s', line %u is too long", path,
					 number);
		else if (vio_events_parse(line, &event, &wait_ms, &wrong) == VIO_EVENTS_LINE_WRONG)
			error = vio_fail(message, -VIO_EINVAL,
					 "script '%s', line %u: '%.64s' is not understood; write such as "
					 "'EV_KEY KEY_A 1', or 'wait 100'",
					 path, number, wrong);
	}
	fclose(file);
	lseek(fd, 0, SEEK_SET);
	return error;
}

static int open_text(const char *path, bool *is_file, int *fd, struct vio_message *message)
{
	bool input = strcmp(path, "-") == 0;
	struct stat is;

	/* Opened for both, a pipe has no end when one of several writers goes. */
	if (input)
		*fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	else if (stat(path, &is) == 0 && S_ISFIFO(is.st_mode))
		*fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	else
		*fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (*fd < 0 || fstat(*fd, &is))
		return vio_fail(message, vio_error_from_errno(errno), "can't read the script '%s': %s", path,
				strerror(errno));
	if (S_ISDIR(is.st_mode))
		return vio_fail(message, -VIO_EINVAL, "script '%s' is a directory", path);
	*is_file = S_ISREG(is.st_mode);
	if (input && !*is_file)
		fcntl(*fd, F_SETFL, fcntl(*fd, F_GETFL) | O_NONBLOCK);
	return *is_file ? judge_file(*fd, path, message) : 0;
}

static int script_open(struct vio_loop *loop, const struct vio_host_events_options *options,
		       struct vio_event_source **source, struct vio_message *message)
{
	struct script *script = calloc(1, sizeof(*script));
	int error;

	if (!script)
		return vio_fail(message, -VIO_ENOMEM, "out of memory");
	script->source.ops = &script_ops;
	script->source.waits = true;
	script->voice = (struct vio_events_voice){ options->said, options->said_context };
	script->loop = loop;
	script->timer.expired = script_expired;
	script->watch = (struct vio_watch){ .fd = -1, .ready = script_readable };
	error = open_text(options->path, &script->file, &script->watch.fd, message);
	if (!error && options->loop && !script->file)
		error = vio_fail(message, -VIO_EINVAL, "loop needs a file, and '%s' is none", options->path);
	if (error) {
		script_close(&script->source);
		return error;
	}
	script->again = options->loop;
	rest(script, 0);
	*source = &script->source;
	return 0;
}

const struct vio_events_kind vio_events_script = { .name = "script", .open = script_open };
