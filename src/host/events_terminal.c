/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/input-event-codes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "host/events.h"

/*
 * The keyboard of a terminal. That tells of characters, not of keys: each becomes the
 * keys of an American keyboard that make it, pressed and let go. Ctrl-] ends the process.
 */

#define LEAVE      0x1d
#define WITH_SHIFT 0x100u
#define WITH_CTRL  0x200u

struct keyboard {
	struct vio_event_source source;
	struct vio_events_voice voice;
	struct vio_loop *loop;
	struct vio_watch watch;
	bool watched, raw;
	struct termios before;
};

static const uint16_t letters[] = {
	KEY_A, KEY_B, KEY_C, KEY_D, KEY_E, KEY_F, KEY_G, KEY_H, KEY_I, KEY_J, KEY_K, KEY_L, KEY_M,
	KEY_N, KEY_O, KEY_P, KEY_Q, KEY_R, KEY_S, KEY_T, KEY_U, KEY_V, KEY_W, KEY_X, KEY_Y, KEY_Z,
};

static const struct {
	char character;
	uint16_t key;
} others[] = {
	{ ' ', KEY_SPACE },
	{ '\r', KEY_ENTER },
	{ '\n', KEY_ENTER },
	{ '\t', KEY_TAB },
	{ 0x7f, KEY_BACKSPACE },
	{ '\b', KEY_BACKSPACE },
	{ 0x1b, KEY_ESC },
	{ '0', KEY_0 },
	{ '-', KEY_MINUS },
	{ '=', KEY_EQUAL },
	{ '[', KEY_LEFTBRACE },
	{ ']', KEY_RIGHTBRACE },
	{ ';', KEY_SEMICOLON },
	{ '\'', KEY_APOSTROPHE },
	{ '`', KEY_GRAVE },
	{ '\\', KEY_BACKSLASH },
	{ ',', KEY_COMMA },
	{ '.', KEY_DOT },
	{ '/', KEY_SLASH },
	{ '!', WITH_SHIFT | KEY_1 },
	{ '@', WITH_SHIFT | KEY_2 },
	{ '#', WITH_SHIFT | KEY_3 },
	{ '$', WITH_SHIFT | KEY_4 },
	{ '%', WITH_SHIFT | KEY_5 },
	{ '^', WITH_SHIFT | KEY_6 },
	{ '&', WITH_SHIFT | KEY_7 },
	{ '*', WITH_SHIFT | KEY_8 },
	{ '(', WITH_SHIFT | KEY_9 },
	{ ')', WITH_SHIFT | KEY_0 },
	{ '_', WITH_SHIFT | KEY_MINUS },
	{ '+', WITH_SHIFT | KEY_EQUAL },
	{ '{', WITH_SHIFT | KEY_LEFTBRACE },
	{ '}', WITH_SHIFT | KEY_RIGHTBRACE },
	{ ':', WITH_SHIFT | KEY_SEMICOLON },
	{ '"', WITH_SHIFT | KEY_APOSTROPHE },
	{ '~', WITH_SHIFT | KEY_GRAVE },
	{ '|', WITH_SHIFT | KEY_BACKSLASH },
	{ '<', WITH_SHIFT | KEY_COMMA },
	{ '>', WITH_SHIFT | KEY_DOT },
	{ '?', WITH_SHIFT | KEY_SLASH },
};

static const struct {
	const char *sequence;
	uint16_t key;
} sequences[] = {
	{ "\033[A", KEY_UP },        { "\033[B", KEY_DOWN },    { "\033[C", KEY_RIGHT },
	{ "\033[D", KEY_LEFT },      { "\033[H", KEY_HOME },    { "\033[F", KEY_END },
	{ "\033[2~", KEY_INSERT },   { "\033[3~", KEY_DELETE }, { "\033[5~", KEY_PAGEUP },
	{ "\033[6~", KEY_PAGEDOWN }, { "\033OP", KEY_F1 },      { "\033OQ", KEY_F2 },
	{ "\033OR", KEY_F3 },        { "\033OS", KEY_F4 },
};

/* The key with WITH_SHIFT and WITH_CTRL; 0: none makes this. */
static unsigned key_of(unsigned char character)
{
	if (character >= 'a' && character <= 'z')
		return letters[character - 'a'];
	if (character >= 'A' && character <= 'Z')
		return WITH_SHIFT | letters[character - 'A'];
	if (character >= '1' && character <= '9')
		return KEY_1 + character - '1';
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(others); i++) {
		if ((unsigned char)others[i].character == character)
			return others[i].key;
	}
	if (character >= 1 && character <= 26)
		return WITH_CTRL | letters[character - 1];
	return 0;
}

static void press(struct keyboard *keyboard, unsigned key, uint32_t value)
{
	vio_events_deliver(&keyboard->source, EV_KEY, key, value);
	vio_events_deliver(&keyboard->source, EV_SYN, SYN_REPORT, 0);
}

static void strike(struct keyboard *keyboard, unsigned key)
{
	if (!key)
		return;
	if (key & WITH_SHIFT)
		press(keyboard, KEY_LEFTSHIFT, 1);
	if (key & WITH_CTRL)
		press(keyboard, KEY_LEFTCTRL, 1);
	press(keyboard, key & 0xff, 1);
	press(keyboard, key & 0xff, 0);
	if (key & WITH_CTRL)
		press(keyboard, KEY_LEFTCTRL, 0);
	if (key & WITH_SHIFT)
		press(keyboard, KEY_LEFTSHIFT, 0);
}

/* Bytes that one key made, at the start of the text; 0 and the key. */
static size_t take_key(const char *text, size_t length, unsigned *key)
{
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(sequences); i++) {
		size_t bytes = strlen(sequences[i].sequence);

		if (bytes <= length && memcmp(text, sequences[i].sequence, bytes) == 0) {
			*key = sequences[i].key;
			return bytes;
		}
	}
	*key = key_of((unsigned char)*text);
	return 1;
}

static void unwatch(struct keyboard *keyboard)
{
	if (keyboard->watched)
		vio_loop_unwatch(keyboard->loop, &keyboard->watch);
	keyboard->watched = false;
}

static void keyboard_readable(struct vio_watch *watch)
{
	struct keyboard *keyboard = VIO_CONTAINER_OF(watch, struct keyboard, watch);
	char text[64];
	ssize_t got = read(watch->fd, text, sizeof(text));
	unsigned key;

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0) {
		unwatch(keyboard);
		return;
	}
	for (size_t at = 0; at < (size_t)got;) {
		if (text[at] == LEAVE && keyboard->raw)
			kill(getpid(), SIGTERM);
		at += take_key(text + at, (size_t)got - at, &key);
		strike(keyboard, key);
	}
	vio_events_deliver_end(&keyboard->source);
}

static void keyboard_status(struct vio_event_source *source, const struct vio_event *event)
{
	vio_events_say_status(&VIO_CONTAINER_OF(source, struct keyboard, source)->voice, event);
}

static void keyboard_close(struct vio_event_source *source)
{
	struct keyboard *keyboard = VIO_CONTAINER_OF(source, struct keyboard, source);

	unwatch(keyboard);
	if (keyboard->raw)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &keyboard->before);
	free(keyboard);
}

static const struct vio_event_source_ops keyboard_ops = { .status = keyboard_status,
							  .close = keyboard_close };

static int start(struct keyboard *keyboard, struct vio_message *message)
{
	struct termios mode;

	if (isatty(STDIN_FILENO) && tcgetpgrp(STDIN_FILENO) != getpgrp())
		return vio_fail(message, -VIO_EBUSY,
				"backend 'terminal' runs in the background of its terminal; start it in "
				"the foreground");
	if (isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &keyboard->before) == 0) {
		mode = keyboard->before;
		cfmakeraw(&mode);
		tcsetattr(STDIN_FILENO, TCSADRAIN, &mode);
		keyboard->raw = true;
	}
	keyboard->watched = vio_loop_watch(keyboard->loop, &keyboard->watch) == 0;
	if (!keyboard->watched)
		return vio_fail(message, -VIO_EINVAL,
				"standard input can't be waited for; backend 'terminal' needs a terminal or "
				"a pipe");
	return 0;
}

static int keyboard_open(struct vio_loop *loop, const struct vio_host_events_options *options,
			 struct vio_event_source **source, struct vio_message *message)
{
	struct keyboard *keyboard = calloc(1, sizeof(*keyboard));
	int error;

	if (!keyboard)
		return vio_fail(message, -VIO_ENOMEM, "out of memory");
	keyboard->source.ops = &keyboard_ops;
	keyboard->voice = (struct vio_events_voice){ options->said, options->said_context };
	keyboard->loop = loop;
	keyboard->watch = (struct vio_watch){ .fd = STDIN_FILENO, .ready = keyboard_readable };
	error = start(keyboard, message);
	if (error) {
		keyboard_close(&keyboard->source);
		return error;
	}
	*source = &keyboard->source;
	return 0;
}

const struct vio_events_kind vio_events_terminal = { .name = "terminal", .open = keyboard_open };
