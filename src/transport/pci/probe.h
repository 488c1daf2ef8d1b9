/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_PCI_PROBE_H
#define VIO_PCI_PROBE_H

#include <vireo/driver.h>
#include <vireo/pci.h>

/* What the files of the driver's half share. */

extern const struct vio_transport_ops vio_pci_modern_ops, vio_pci_legacy_ops;

/* driver.c: accesses to a structure of the device. */
uint32_t vio_pci_place_read(const struct vio_pci_driver *pci, const struct vio_pci_place *place,
			    uint32_t offset, unsigned width);
void vio_pci_place_write(const struct vio_pci_driver *pci, const struct vio_pci_place *place, uint32_t offset,
			 unsigned width, uint32_t value);
/* One field with its natural width, all else byte by byte; -VIO_ERANGE outside the place. */
int vio_pci_place_get(const struct vio_pci_driver *pci, const struct vio_pci_place *place, uint32_t offset,
		      void *to, uint32_t length);
int vio_pci_place_put(const struct vio_pci_driver *pci, const struct vio_pci_place *place, uint32_t offset,
		      const void *from, uint32_t length);
unsigned vio_pci_take_interrupts(const struct vio_dev *dev, const struct vio_pci_place *isr, uint32_t offset);
/* Turns the function off and forgets the places. */
void vio_pci_close(struct vio_dev *dev);

/* driver_probe.c: makes bytes of a BAR accessible. false: they can't be. */
bool vio_pci_place_map(const struct vio_pci_driver *pci, unsigned bar, uint32_t offset, uint32_t length,
		       struct vio_pci_place *place);

/* driver_msix.c */
void vio_pci_msix_start(struct vio_pci_driver *pci, const struct vio_pci_messages *messages);
void vio_pci_msix_stop(const struct vio_pci_driver *pci);
/* The vector of a queue; that of the configuration is 0. */
uint16_t vio_pci_msix_vector(const struct vio_pci_driver *pci, uint16_t queue);
/*
 * Maps the configuration and the selected queue to their vectors, in registers at the offsets; -VIO_EPEER
 * when the device can't.
 */
int vio_pci_msix_map(const struct vio_pci_driver *pci, const struct vio_pci_place *in, uint32_t config_offset,
		     uint32_t queue_offset, uint16_t queue);

#endif
