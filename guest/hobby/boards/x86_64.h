/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HOBBY_X86_64_H
#define HOBBY_X86_64_H

#define X86_FIRST_MESSAGE 0x40
#define X86_MESSAGES      32

#ifndef __ASSEMBLER__

#include "os.h"

/* What the PC's descendants have in common: boards/x86_64.c. */

uint32_t x86_port_read(void *context, uint32_t port, unsigned width);
void x86_port_write(void *context, uint32_t port, unsigned width, uint32_t value);

/* How fast the time stamp counter runs. */
uint64_t x86_ticks_per_second(void);

/* For boards whose devices send messages: fills that part of the board. */
void x86_interrupts_init(struct board *board);

#endif

#endif
