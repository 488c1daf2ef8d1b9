/* SPDX-License-Identifier: BSD-3-Clause */
#include "x86_64.h"

#define HOST_BRIDGE VIO_PCI_ADDRESS(0, 0, 0)
#define PCIEXBAR    0x60u /* of the host bridge: where its ECAM is */
#define ECAM        0xb0000000u

/* -M q35: ECAM, which is opened here when the firmware didn't, and messages; pins lead to pin 20 and on. */
void board_describe(struct board *board)
{
	*board = x86_describe("q35");
	vio_pci_config_write(&board->pci, HOST_BRIDGE, PCIEXBAR, 4, ECAM | 1);
	board->pci.ecam_base = ECAM;
	board->has_pci = true;
	board->has_firmware = true;
	board->windows = (struct vio_pci_windows){ 0xc0000000, 0xfe000000, 0xd000, 0xf000 };
	board->pci_interrupt = X86_FIRST_LINE + 20;
	board->first_message = X86_FIRST_MESSAGE;
	board->messages = 64;
	board->message_address = 0xfee00000;
}
