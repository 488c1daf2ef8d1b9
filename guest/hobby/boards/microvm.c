/* SPDX-License-Identifier: BSD-3-Clause */
#include "x86_64.h"

/* -M microvm: no PCI. Where only 8 windows are, nobody answers at the others. */
void board_describe(struct board *board)
{
	*board = (struct board){
		.name = "microvm",
		.ticks_per_second = x86_ticks_per_second(),
		.mmio_base = 0xfeb00000,
		.mmio_bytes = 0x200,
		.mmio_count = 24,
	};
}
