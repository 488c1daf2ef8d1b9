/* SPDX-License-Identifier: BSD-3-Clause */
#include "os.h"

/* What pc, q35 and microvm share. Interrupts are numbered by their vectors. */
#define X86_FIRST_LINE    0x41 /* of pin 0 of the first I/O APIC; pin 0 of the second is 24 behind */
#define X86_FIRST_MESSAGE 0x80

/* Ports, clock and interrupts; the rest is 0. */
struct board x86_describe(const char *name);
