/* SPDX-License-Identifier: BSD-3-Clause */
#include "x86_64.h"

/* -M pc: everything of PCI through ports. */
void board_describe(struct board *board)
{
	*board = (struct board){
		.name = "pc",
		.ticks_per_second = x86_ticks_per_second(),
		.has_pci = true,
		.has_firmware = true,
		.pci = { .port_read = x86_port_read, .port_write = x86_port_write },
		.windows = { 0xe0000000, 0xfe000000, 0xd000, 0xf000 },
	};
}
