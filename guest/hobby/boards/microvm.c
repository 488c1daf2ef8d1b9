/* SPDX-License-Identifier: BSD-3-Clause */
#include "x86_64.h"

/* -M microvm: no PCI; the 24 windows have the second I/O APIC for themselves. */
void board_describe(struct board *board)
{
	*board = x86_describe("microvm");
	board->mmio_base = 0xfeb00000;
	board->mmio_bytes = 0x200;
	board->mmio_count = 24;
	board->mmio_interrupt = X86_FIRST_LINE + 24;
}
