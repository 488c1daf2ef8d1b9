/* SPDX-License-Identifier: BSD-3-Clause */
#include "transport/pci/access.h"

static uint32_t all_ones(unsigned width)
{
	return width == 1 ? UINT8_MAX : width == 2 ? UINT16_MAX : UINT32_MAX;
}

bool vio_pci_memory_reachable(const struct vio_pci_access *access, uint64_t address, uint64_t length)
{
	return access->memory_read || (address <= UINTPTR_MAX && length <= UINTPTR_MAX - address);
}

uint32_t vio_pci_memory_read(const struct vio_pci_access *access, uint64_t address, unsigned width)
{
	const volatile void *at = (const volatile void *)(uintptr_t)address;

	if (access->memory_read)
		return access->memory_read(access->context, address, width);
	if (width == 1)
		return *(const volatile uint8_t *)at;
	if (width == 2)
		return VIO_LE16_RAW(*(const volatile uint16_t *)at);
	return VIO_LE32_RAW(*(const volatile uint32_t *)at);
}

void vio_pci_memory_write(const struct vio_pci_access *access, uint64_t address, unsigned width,
			  uint32_t value)
{
	volatile void *at = (volatile void *)(uintptr_t)address;

	if (access->memory_write) {
		access->memory_write(access->context, address, width, value);
		return;
	}
	/* What the device will read comes before what makes it read; pairs with its receiving the access. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (width == 1)
		*(volatile uint8_t *)at = (uint8_t)value;
	else if (width == 2)
		*(volatile uint16_t *)at = VIO_LE16_RAW((uint16_t)value);
	else
		*(volatile uint32_t *)at = VIO_LE32_RAW(value);
}

static uint64_t ecam(const struct vio_pci_access *access, uint16_t address, unsigned offset)
{
	return access->ecam_base + ((uint64_t)address << 12) + offset;
}

/* Mechanism #1: which register is written to one port, its bytes are at the other. */
static uint32_t select_port(const struct vio_pci_access *access, uint16_t address, unsigned offset)
{
	access->port_write(access->context, PCI_PORT_ADDRESS, 4,
			   PCI_ADDRESS_ENABLE | (uint32_t)address << 8 | (offset & 0xfcu));
	return PCI_PORT_DATA + (offset & 3u);
}

uint32_t vio_pci_config_read(const struct vio_pci_access *access, uint16_t address, unsigned offset,
			     unsigned width)
{
	uint32_t port;

	if (access->config_read)
		return access->config_read(access->context, address, offset, width) & all_ones(width);
	if (access->ecam_base)
		return vio_pci_memory_read(access, ecam(access, address, offset), width) & all_ones(width);
	if (!access->port_read)
		return all_ones(width);
	port = select_port(access, address, offset);
	return access->port_read(access->context, port, width) & all_ones(width);
}

void vio_pci_config_write(const struct vio_pci_access *access, uint16_t address, unsigned offset,
			  unsigned width, uint32_t value)
{
	uint32_t port;

	if (access->config_read) {
		access->config_write(access->context, address, offset, width, value);
	} else if (access->ecam_base) {
		vio_pci_memory_write(access, ecam(access, address, offset), width, value);
	} else if (access->port_read) {
		port = select_port(access, address, offset);
		access->port_write(access->context, port, width, value);
	}
}
