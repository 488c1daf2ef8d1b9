/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_DEVICES_FAKE_TERMINAL_H
#define TESTS_DEVICES_FAKE_TERMINAL_H

#include <vireo/terminal.h>

/* A terminal that does what the test says. */

#define FAKE_TERMINAL_BYTES 8192u

struct fake_terminal {
	struct vio_terminal terminal;
	uint8_t typed[FAKE_TERMINAL_BYTES]; /* what the driver will read */
	uint32_t typed_bytes, typed_read;
	uint8_t shown[FAKE_TERMINAL_BYTES]; /* what it wrote */
	uint32_t shown_bytes;
	uint32_t room;  /* for so many more bytes */
	uint32_t piece; /* at most so many in one call; 0: no limit */
};

void fake_terminal_init(struct fake_terminal *fake);
/* Somebody types, and the device is told. */
void fake_terminal_type(struct fake_terminal *fake, const void *from, uint32_t length);
/* There is room for so many bytes now, and the device is told. */
void fake_terminal_make_room(struct fake_terminal *fake, uint32_t room);
/* Somebody came or went, or changed the window. */
void fake_terminal_change(struct fake_terminal *fake, int connected, uint16_t cols, uint16_t rows);

#endif
