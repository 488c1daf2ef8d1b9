/* SPDX-License-Identifier: BSD-3-Clause */
#include "transport/pci/probe.h"

/* The legacy interface (4.1.4.10): one block of ports. spec: DRV-PCI-026 */

static uint32_t get(const struct vio_dev *dev, uint32_t offset, unsigned width)
{
	const struct vio_pci_driver *pci = dev->transport_context;

	return vio_pci_place_read(pci, &pci->legacy, offset, width);
}

static void set(const struct vio_dev *dev, uint32_t offset, unsigned width, uint32_t value)
{
	const struct vio_pci_driver *pci = dev->transport_context;

	vio_pci_place_write(pci, &pci->legacy, offset, width, value);
}

static uint8_t get_status(struct vio_dev *dev)
{
	return (uint8_t)get(dev, VIRTIO_PCI_STATUS, 1);
}

static void set_status(struct vio_dev *dev, uint8_t status)
{
	set(dev, VIRTIO_PCI_STATUS, 1, status);
}

static struct vio_features get_features(struct vio_dev *dev)
{
	return vio_features_low(get(dev, VIRTIO_PCI_HOST_FEATURES, 4));
}

static void set_features(struct vio_dev *dev, const struct vio_features *features)
{
	set(dev, VIRTIO_PCI_GUEST_FEATURES, 4, (uint32_t)features->word[0]);
}

static uint32_t get_generation(struct vio_dev *dev)
{
	return 0;
}

/* spec: DRV-PCI-027 */
static struct vio_pci_place config_place(const struct vio_pci_driver *pci)
{
	uint32_t header = pci->vectors ? VIRTIO_PCI_LEGACY_MSIX_BYTES : VIRTIO_PCI_LEGACY_BYTES;

	return (struct vio_pci_place){ .base = pci->legacy.base + header,
				       .length = pci->legacy.length - header,
				       .io = true };
}

static int read_config(struct vio_dev *dev, uint32_t offset, void *to, uint32_t length)
{
	const struct vio_pci_driver *pci = dev->transport_context;
	struct vio_pci_place place = config_place(pci);

	return vio_pci_place_get(pci, &place, offset, to, length);
}

static int write_config(struct vio_dev *dev, uint32_t offset, const void *from, uint32_t length)
{
	const struct vio_pci_driver *pci = dev->transport_context;
	struct vio_pci_place place = config_place(pci);

	return vio_pci_place_put(pci, &place, offset, from, length);
}

static uint32_t queue_size_max(struct vio_dev *dev, uint16_t queue)
{
	set(dev, VIRTIO_PCI_QUEUE_SEL, 2, queue);
	return get(dev, VIRTIO_PCI_QUEUE_NUM, 2);
}

/* The three areas lie in one piece, from the start of a page. */
static int queue_enable(struct vio_dev *dev, uint16_t queue, const struct vio_queue_place *place)
{
	const struct vio_pci_driver *pci = dev->transport_context;
	uint64_t pfn = place->descriptor_area.raw >> VIRTIO_PCI_QUEUE_ADDR_SHIFT;
	int error;

	if (place->descriptor_area.raw % VIRTIO_PCI_VRING_ALIGN ||
	    place->device_area.raw % VIRTIO_PCI_VRING_ALIGN)
		return -VIO_EINVAL;
	if (!pfn || pfn > UINT32_MAX)
		return -VIO_ERANGE;
	set(dev, VIRTIO_PCI_QUEUE_SEL, 2, queue);
	if (get(dev, VIRTIO_PCI_QUEUE_PFN, 4) || place->size != get(dev, VIRTIO_PCI_QUEUE_NUM, 2))
		return -VIO_EPEER;
	error = vio_pci_msix_map(pci, &pci->legacy, VIRTIO_MSI_CONFIG_VECTOR, VIRTIO_MSI_QUEUE_VECTOR, queue);
	if (error)
		return error;
	set(dev, VIRTIO_PCI_QUEUE_PFN, 4, (uint32_t)pfn);
	return get(dev, VIRTIO_PCI_QUEUE_PFN, 4) == pfn ? 0 : -VIO_EPEER; /* hostile: B51 */
}

static void queue_notify(struct vio_dev *dev, struct vio_drvq *q)
{
	set(dev, VIRTIO_PCI_QUEUE_NOTIFY, 2, q->index);
}

static unsigned take_interrupts(struct vio_dev *dev)
{
	const struct vio_pci_driver *pci = dev->transport_context;

	return vio_pci_take_interrupts(dev, &pci->legacy, VIRTIO_PCI_ISR);
}

const struct vio_transport_ops vio_pci_legacy_ops = {
	.name = "virtio-pci-legacy",
	.carried = { { UINT32_MAX, 0 } },
	.flags = VIO_TRANSPORT_SIZE_FIXED,
	.device_align = VIRTIO_PCI_VRING_ALIGN,
	.get_status = get_status,
	.set_status = set_status,
	.get_features = get_features,
	.set_features = set_features,
	.get_generation = get_generation,
	.read_config = read_config,
	.write_config = write_config,
	.queue_size_max = queue_size_max,
	.queue_enable = queue_enable,
	.queue_notify = queue_notify,
	.take_interrupts = take_interrupts,
	.close = vio_pci_close,
};
