/* SPDX-License-Identifier: BSD-3-Clause */
#include "x86_64.h"

#define HOST_BRIDGE VIO_PCI_ADDRESS(0, 0, 0)
#define PCIEXBAR    0x60u /* of the host bridge: where its ECAM is */
#define ECAM        0xb0000000u

/* -M q35: ECAM, which is opened here when the firmware didn't. */
void board_describe(struct board *board)
{
	const struct vio_pci_access ports = { .port_read = x86_port_read, .port_write = x86_port_write };

	vio_pci_config_write(&ports, HOST_BRIDGE, PCIEXBAR + 4, 4, 0);
	vio_pci_config_write(&ports, HOST_BRIDGE, PCIEXBAR, 4, ECAM | 1);
	*board = (struct board){
		.name = "q35",
		.ticks_per_second = x86_ticks_per_second(),
		.has_pci = true,
		.has_firmware = true,
		.pci = ports,
		.windows = { 0xc0000000, 0xfe000000, 0xd000, 0xf000 },
	};
	board->pci.ecam_base = ECAM;
	x86_interrupts_init(board);
}
