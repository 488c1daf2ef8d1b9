/* SPDX-License-Identifier: BSD-3-Clause */
#include "transport/pci/probe.h"

static uint32_t control(const struct vio_pci_driver *pci)
{
	return vio_pci_config_read(&pci->access, pci->function.address, pci->msix + PCI_MSIX_CONTROL, 2);
}

static void set_control(const struct vio_pci_driver *pci, uint32_t value)
{
	vio_pci_config_write(&pci->access, pci->function.address, pci->msix + PCI_MSIX_CONTROL, 2, value);
}

/* Fills an entry of the table; false when there are no more messages. */
static bool fill(const struct vio_pci_driver *pci, const struct vio_pci_messages *messages, unsigned vector)
{
	const uint32_t entry = vector * PCI_MSIX_ENTRY_BYTES;
	uint64_t address;
	uint32_t data;

	if (messages->vector(messages->context, vector, &address, &data))
		return false;
	vio_pci_place_write(pci, &pci->table, entry + PCI_MSIX_ENTRY_ADDRESS_LOW, 4, (uint32_t)address);
	vio_pci_place_write(pci, &pci->table, entry + PCI_MSIX_ENTRY_ADDRESS_HIGH, 4,
			    (uint32_t)(address >> 32));
	vio_pci_place_write(pci, &pci->table, entry + PCI_MSIX_ENTRY_DATA, 4, data);
	vio_pci_place_write(pci, &pci->table, entry + PCI_MSIX_ENTRY_CONTROL, 4, 0);
	return true;
}

/* spec: DRV-PCI-032 DRV-PCI-033, what can't be had as messages stays with the line. */
void vio_pci_msix_start(struct vio_pci_driver *pci, const struct vio_pci_messages *messages)
{
	uint32_t where, size, vector;

	pci->vectors = 0;
	if (!pci->msix)
		return;
	size = (control(pci) & PCI_MSIX_CONTROL_SIZE) + 1;
	where = vio_pci_config_read(&pci->access, pci->function.address, pci->msix + PCI_MSIX_TABLE, 4);
	if (!messages || !messages->vectors ||
	    !vio_pci_place_map(pci, where & PCI_MSIX_BAR_MASK, where & ~PCI_MSIX_BAR_MASK,
			       size * PCI_MSIX_ENTRY_BYTES, &pci->table)) {
		vio_pci_msix_stop(pci); /* firmware may have left it on */
		return;
	}
	if (size > messages->vectors)
		size = messages->vectors;
	set_control(pci, PCI_MSIX_CONTROL_ENABLE | PCI_MSIX_CONTROL_MASK);
	for (vector = 0; vector < size && fill(pci, messages, vector); vector++)
		continue;
	pci->vectors = (uint16_t)vector;
	set_control(pci, vector ? PCI_MSIX_CONTROL_ENABLE : 0);
}

void vio_pci_msix_stop(const struct vio_pci_driver *pci)
{
	if (pci->msix)
		set_control(pci, 0);
}

/* Queues share what is left after the configuration's. */
uint16_t vio_pci_msix_vector(const struct vio_pci_driver *pci, uint16_t queue)
{
	return pci->vectors < 2 ? 0 : (uint16_t)(1 + queue % (pci->vectors - 1));
}

/* spec: DRV-PCI-034 */
static int map(const struct vio_pci_driver *pci, const struct vio_pci_place *in, uint32_t offset,
	       uint16_t vector)
{
	vio_pci_place_write(pci, in, offset, 2, vector);
	return vio_pci_place_read(pci, in, offset, 2) == vector ? 0 : -VIO_EPEER;
}

int vio_pci_msix_map(const struct vio_pci_driver *pci, const struct vio_pci_place *in, uint32_t config_offset,
		     uint32_t queue_offset, uint16_t queue)
{
	int error;

	if (!pci->vectors)
		return 0;
	error = map(pci, in, config_offset, 0);
	return error ? error : map(pci, in, queue_offset, vio_pci_msix_vector(pci, queue));
}

void vio_pci_driver_interrupt(struct vio_dev *dev, unsigned vector)
{
	const struct vio_pci_driver *pci = dev->transport_context;
	uint16_t queue;

	if (pci->vectors < 2) { /* spec: DRV-PCI-041 */
		vio_dev_interrupt(dev);
		return;
	}
	if (!vector) {
		vio_dev_interrupt_config(dev);
		return;
	}
	for (queue = 0; queue < dev->queue_max; queue++)
		if (vio_pci_msix_vector(pci, queue) == vector)
			vio_dev_interrupt_queue(dev, queue);
}
