/* SPDX-License-Identifier: BSD-3-Clause */
#include "devices/fake_terminal.h"

#include <string.h>

static struct fake_terminal *fake_of(struct vio_terminal *terminal)
{
	return VIO_CONTAINER_OF(terminal, struct fake_terminal, terminal);
}

static size_t limit(const struct fake_terminal *fake, size_t length, size_t most)
{
	if (fake->piece && most > fake->piece)
		most = fake->piece;
	return length < most ? length : most;
}

static size_t fake_read(struct vio_terminal *terminal, void *to, size_t length)
{
	struct fake_terminal *fake = fake_of(terminal);

	length = limit(fake, length, fake->typed_bytes - fake->typed_read);
	memcpy(to, fake->typed + fake->typed_read, length);
	fake->typed_read += (uint32_t)length;
	return length;
}

static size_t fake_write(struct vio_terminal *terminal, const void *from, size_t length)
{
	struct fake_terminal *fake = fake_of(terminal);
	uint32_t left = FAKE_TERMINAL_BYTES - fake->shown_bytes;

	length = limit(fake, length, fake->room < left ? fake->room : left);
	memcpy(fake->shown + fake->shown_bytes, from, length);
	fake->shown_bytes += (uint32_t)length;
	fake->room -= (uint32_t)length;
	return length;
}

static void fake_close(struct vio_terminal *terminal)
{
	(void)terminal;
}

static const struct vio_terminal_ops fake_ops = { fake_read, fake_write, fake_close };

void fake_terminal_init(struct fake_terminal *fake)
{
	memset(fake, 0, sizeof(*fake));
	fake->terminal.ops = &fake_ops;
	fake->terminal.connected = true;
	fake->room = UINT32_MAX;
}

void fake_terminal_type(struct fake_terminal *fake, const void *from, uint32_t length)
{
	memcpy(fake->typed + fake->typed_bytes, from, length);
	fake->typed_bytes += length;
	if (fake->terminal.events)
		fake->terminal.events->readable(fake->terminal.events_context);
}

void fake_terminal_make_room(struct fake_terminal *fake, uint32_t room)
{
	fake->room = room;
	if (fake->terminal.events)
		fake->terminal.events->writable(fake->terminal.events_context);
}

void fake_terminal_change(struct fake_terminal *fake, int connected, uint16_t cols, uint16_t rows)
{
	fake->terminal.connected = connected;
	fake->terminal.cols = cols;
	fake->terminal.rows = rows;
	if (fake->terminal.events)
		fake->terminal.events->changed(fake->terminal.events_context);
}
