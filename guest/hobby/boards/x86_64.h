/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HOBBY_X86_64_H
#define HOBBY_X86_64_H

#include "os.h"

/* What the PC's descendants have in common: boards/x86_64.c. */

uint32_t x86_port_read(void *context, uint32_t port, unsigned width);
void x86_port_write(void *context, uint32_t port, unsigned width, uint32_t value);

/* How fast the time stamp counter runs. */
uint64_t x86_ticks_per_second(void);

#endif
