/* SPDX-License-Identifier: BSD-3-Clause */
#include "os.h"

static uint32_t port_read(void *context, uint32_t port, unsigned width)
{
	volatile uint8_t *at = (volatile uint8_t *)context + port;

	return width == 1   ? *at
	       : width == 2 ? *(volatile uint16_t *)(volatile void *)at
			    : *(volatile uint32_t *)(volatile void *)at;
}

/* What the device will read comes before what makes it read. */
static void port_write(void *context, uint32_t port, unsigned width, uint32_t value)
{
	volatile uint8_t *at = (volatile uint8_t *)context + port;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (width == 1)
		*at = (uint8_t)value;
	else if (width == 2)
		*(volatile uint16_t *)(volatile void *)at = (uint16_t)value;
	else
		*(volatile uint32_t *)(volatile void *)at = value;
}

struct vio_pci_access board_ports_as_memory(uintptr_t ports, uint64_t ecam)
{
	return (struct vio_pci_access){
		.context = (void *)ports,
		.ecam_base = ecam,
		.port_read = port_read,
		.port_write = port_write,
	};
}
