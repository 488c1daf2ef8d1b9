/* SPDX-License-Identifier: BSD-3-Clause */
#include "x86_64.h"

/* -M pc: everything of PCI through ports, and the interrupt lines that SeaBIOS chose. */
void board_describe(struct board *board)
{
	*board = x86_describe("pc");
	board->has_pci = true;
	board->has_firmware = true;
	board->windows = (struct vio_pci_windows){ 0xe0000000, 0xfe000000, 0xd000, 0xf000 };
	board->pci_line = X86_FIRST_LINE;
}
