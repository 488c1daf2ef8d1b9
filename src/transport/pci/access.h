/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_PCI_ACCESS_H
#define VIO_PCI_ACCESS_H

#include <vireo/pci_bus.h>

/* Memory and ports through what the operating system gave; the widths are 1, 2 and 4. */
uint32_t vio_pci_memory_read(const struct vio_pci_access *access, uint64_t address, unsigned width);
void vio_pci_memory_write(const struct vio_pci_access *access, uint64_t address, unsigned width,
			  uint32_t value);

/* Whether memory at this bus address can be reached at all. */
bool vio_pci_memory_reachable(const struct vio_pci_access *access, uint64_t address, uint64_t length);

#endif
