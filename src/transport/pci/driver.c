/* SPDX-License-Identifier: BSD-3-Clause */
#include "transport/field.h"
#include "transport/pci/access.h"
#include "transport/pci/probe.h"

/* Points pci_cfg_data at registers; returns its offset. spec: DRV-PCI-023 DRV-PCI-024 DRV-PCI-025 */
static unsigned point_window(const struct vio_pci_driver *pci, const struct vio_pci_place *place,
			     uint32_t offset, unsigned width)
{
	const struct vio_pci_access *access = &pci->access;
	uint16_t address = pci->function.address;

	vio_pci_config_write(access, address, pci->window + VIRTIO_PCI_CAP_BAR, 1, place->bar);
	vio_pci_config_write(access, address, pci->window + VIRTIO_PCI_CAP_OFFSET, 4,
			     (uint32_t)place->base - 1 + offset);
	vio_pci_config_write(access, address, pci->window + VIRTIO_PCI_CAP_LENGTH, 4, width);
	return pci->window + VIRTIO_PCI_CFG_CAP_DATA;
}

uint32_t vio_pci_place_read(const struct vio_pci_driver *pci, const struct vio_pci_place *place,
			    uint32_t offset, unsigned width)
{
	const struct vio_pci_access *access = &pci->access;

	if (place->window)
		return vio_pci_config_read(access, pci->function.address,
					   point_window(pci, place, offset, width), width);
	return place->io ? access->port_read(access->context, (uint32_t)place->base + offset, width)
			 : vio_pci_memory_read(access, place->base + offset, width);
}

void vio_pci_place_write(const struct vio_pci_driver *pci, const struct vio_pci_place *place, uint32_t offset,
			 unsigned width, uint32_t value)
{
	const struct vio_pci_access *access = &pci->access;

	if (place->window)
		vio_pci_config_write(access, pci->function.address, point_window(pci, place, offset, width),
				     width, value);
	else if (place->io)
		access->port_write(access->context, (uint32_t)place->base + offset, width, value);
	else
		vio_pci_memory_write(access, place->base + offset, width, value);
}

static bool holds(const struct vio_pci_place *place, uint32_t offset, uint32_t length)
{
	return offset <= place->length && length <= place->length - offset; /* hostile: B38 */
}

/* Bytes of a configuration, each field by its width. spec: DRV-PCI-004 */
static int access_place(const struct vio_pci_driver *pci, const struct vio_pci_place *place, uint32_t offset,
			uint8_t *bytes, uint32_t length, bool write)
{
	unsigned width = vio_field_width(offset, length);

	if (!holds(place, offset, length))
		return -VIO_ERANGE;
	for (; length; offset += width, bytes += width, length -= width)
		if (write)
			vio_pci_place_write(pci, place, offset, width, vio_field_load(bytes, width));
		else
			vio_field_store(bytes, width, vio_pci_place_read(pci, place, offset, width));
	return 0;
}

int vio_pci_place_get(const struct vio_pci_driver *pci, const struct vio_pci_place *place, uint32_t offset,
		      void *to, uint32_t length)
{
	return access_place(pci, place, offset, to, length, false);
}

int vio_pci_place_put(const struct vio_pci_driver *pci, const struct vio_pci_place *place, uint32_t offset,
		      const void *from, uint32_t length)
{
	return access_place(pci, place, offset, (uint8_t *)(uintptr_t)from, length, true);
}

static bool any_pending(const struct vio_dev *dev)
{
	uint16_t queue;

	for (queue = 0; queue < dev->queue_max; queue++)
		if (dev->queues[queue].enabled && vio_drvq_pending(&dev->queues[queue].q))
			return true;
	return false;
}

unsigned vio_pci_take_interrupts(const struct vio_dev *dev, const struct vio_pci_place *isr, uint32_t offset)
{
	const struct vio_pci_driver *pci = dev->transport_context;
	uint32_t status = vio_pci_place_read(pci, isr, offset, 1);

	if ((uint8_t)status == UINT8_MAX) /* hostile: B45 */
		return 0;
	if (pci->vectors) /* with messages the device doesn't say so */
		status = (status & VIRTIO_PCI_ISR_CONFIG) | (any_pending(dev) ? VIRTIO_PCI_ISR_QUEUE : 0);
	return (status & VIRTIO_PCI_ISR_QUEUE ? VIO_INTERRUPT_QUEUE : 0) |
	       (status & VIRTIO_PCI_ISR_CONFIG ? VIO_INTERRUPT_CONFIG : 0);
}

static uint32_t get(const struct vio_dev *dev, uint32_t offset, unsigned width)
{
	const struct vio_pci_driver *pci = dev->transport_context;

	return vio_pci_place_read(pci, &pci->common, offset, width);
}

static void set(const struct vio_dev *dev, uint32_t offset, unsigned width, uint32_t value)
{
	const struct vio_pci_driver *pci = dev->transport_context;

	vio_pci_place_write(pci, &pci->common, offset, width, value);
}

/* Whether the common configuration is long enough for a field that later versions added. */
static bool has_field(const struct vio_dev *dev, uint32_t offset, uint32_t bytes)
{
	const struct vio_pci_driver *pci = dev->transport_context;

	return holds(&pci->common, offset, bytes);
}

static uint8_t get_status(struct vio_dev *dev)
{
	return (uint8_t)get(dev, VIRTIO_PCI_COMMON_STATUS, 1);
}

static void set_status(struct vio_dev *dev, uint8_t status)
{
	set(dev, VIRTIO_PCI_COMMON_STATUS, 1, status);
}

static struct vio_features get_features(struct vio_dev *dev)
{
	struct vio_features features = VIO_FEATURES_NONE;
	unsigned word;

	for (word = 0; word < VIO_FEATURE_BITS / 32; word++) {
		set(dev, VIRTIO_PCI_COMMON_DFSELECT, 4, word);
		features.word[word / 2] |= (uint64_t)get(dev, VIRTIO_PCI_COMMON_DF, 4) << (word % 2 * 32);
	}
	/* hostile: B43, an offer whose register isn't there */
	if (!has_field(dev, VIRTIO_PCI_COMMON_Q_RESET, 2))
		vio_features_clear(&features, VIRTIO_F_RING_RESET);
	if (!has_field(dev, VIRTIO_PCI_COMMON_Q_NDATA, 2))
		vio_features_clear(&features, VIRTIO_F_NOTIF_CONFIG_DATA);
	return features;
}

static void set_features(struct vio_dev *dev, const struct vio_features *features)
{
	unsigned word;

	for (word = 0; word < VIO_FEATURE_BITS / 32; word++) {
		set(dev, VIRTIO_PCI_COMMON_GFSELECT, 4, word);
		set(dev, VIRTIO_PCI_COMMON_GF, 4, (uint32_t)(features->word[word / 2] >> (word % 2 * 32)));
	}
}

static uint32_t get_generation(struct vio_dev *dev)
{
	return get(dev, VIRTIO_PCI_COMMON_CFGGENERATION, 1);
}

static int read_config(struct vio_dev *dev, uint32_t offset, void *to, uint32_t length)
{
	const struct vio_pci_driver *pci = dev->transport_context;

	return vio_pci_place_get(pci, &pci->device, offset, to, length);
}

static int write_config(struct vio_dev *dev, uint32_t offset, const void *from, uint32_t length)
{
	const struct vio_pci_driver *pci = dev->transport_context;

	return vio_pci_place_put(pci, &pci->device, offset, from, length);
}

static uint32_t queue_size_max(struct vio_dev *dev, uint16_t queue)
{
	if (queue >= get(dev, VIRTIO_PCI_COMMON_NUMQ, 2))
		return 0;
	set(dev, VIRTIO_PCI_COMMON_Q_SELECT, 2, queue);
	return get(dev, VIRTIO_PCI_COMMON_Q_SIZE, 2);
}

/* Where the selected queue is notified, and with what. hostile: B42 */
static int find_notify(struct vio_dev *dev, uint16_t index)
{
	const struct vio_pci_driver *pci = dev->transport_context;
	struct vio_dev_queue *queue = &dev->queues[index];
	uint64_t offset = (uint64_t)get(dev, VIRTIO_PCI_COMMON_Q_NOFF, 2) * pci->notify_multiplier;
	unsigned width = vio_dev_has_feature(dev, VIRTIO_F_NOTIFICATION_DATA) ? 4 : 2;

	if (offset % width || offset + width > pci->notify.length)
		return -VIO_EPEER;
	queue->notify_place = offset;
	queue->notify_value = index;
	/* spec: DRV-PCI-037 DRV-PCI-038 DRV-PCI-039 DRV-PCI-040 */
	if (vio_dev_has_feature(dev, VIRTIO_F_NOTIF_CONFIG_DATA))
		queue->notify_value = (uint16_t)get(dev, VIRTIO_PCI_COMMON_Q_NDATA, 2);
	return 0;
}

static void set_address(struct vio_dev *dev, uint32_t low_register, struct vio_addr addr)
{
	set(dev, low_register, 4, (uint32_t)addr.raw);
	set(dev, low_register + 4, 4, (uint32_t)(addr.raw >> 32));
}

/* spec: DRV-PCI-012 DRV-PCI-013 DRV-PCI-014 DRV-PCI-015 DRV-PCI-017, a size is what the core made of it. */
static int queue_enable(struct vio_dev *dev, uint16_t queue, const struct vio_queue_place *place)
{
	const struct vio_pci_driver *pci = dev->transport_context;
	int error;

	set(dev, VIRTIO_PCI_COMMON_Q_SELECT, 2, queue);
	if (get(dev, VIRTIO_PCI_COMMON_Q_ENABLE, 2) || place->size > get(dev, VIRTIO_PCI_COMMON_Q_SIZE, 2))
		return -VIO_EPEER;
	error = find_notify(dev, queue);
	if (!error)
		error = vio_pci_msix_map(pci, &pci->common, VIRTIO_PCI_COMMON_MSIX, VIRTIO_PCI_COMMON_Q_MSIX,
					 queue);
	if (error)
		return error;
	set(dev, VIRTIO_PCI_COMMON_Q_SIZE, 2, place->size);
	set_address(dev, VIRTIO_PCI_COMMON_Q_DESCLO, place->descriptor_area);
	set_address(dev, VIRTIO_PCI_COMMON_Q_AVAILLO, place->driver_area);
	set_address(dev, VIRTIO_PCI_COMMON_Q_USEDLO, place->device_area);
	set(dev, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	return get(dev, VIRTIO_PCI_COMMON_Q_ENABLE, 2) == 1 ? 0 : -VIO_EPEER; /* hostile: B51 */
}

static int queue_reset(struct vio_dev *dev, uint16_t queue)
{
	set(dev, VIRTIO_PCI_COMMON_Q_SELECT, 2, queue);
	set(dev, VIRTIO_PCI_COMMON_Q_RESET, 2, 1);
	return 0;
}

/* spec: DRV-PCI-018, and the queue may be enabled again only when it isn't enabled any more. */
static bool queue_resetting(struct vio_dev *dev, uint16_t queue)
{
	set(dev, VIRTIO_PCI_COMMON_Q_SELECT, 2, queue);
	return get(dev, VIRTIO_PCI_COMMON_Q_RESET, 2) || get(dev, VIRTIO_PCI_COMMON_Q_ENABLE, 2);
}

/* spec: DRV-PCI-035 DRV-PCI-036 DRV-PACKED-004 */
static void queue_notify(struct vio_dev *dev, struct vio_drvq *q)
{
	const struct vio_pci_driver *pci = dev->transport_context;
	const struct vio_dev_queue *queue = VIO_CONTAINER_OF(q, struct vio_dev_queue, q);
	uint32_t value = queue->notify_value, offset = (uint32_t)queue->notify_place;

	if (vio_dev_has_feature(dev, VIRTIO_F_NOTIFICATION_DATA))
		vio_pci_place_write(pci, &pci->notify, offset, 4,
				    value | (uint32_t)vio_drvq_notification_data(q) << 16);
	else
		vio_pci_place_write(pci, &pci->notify, offset, 2, value);
}

static unsigned take_interrupts(struct vio_dev *dev)
{
	const struct vio_pci_driver *pci = dev->transport_context;

	return vio_pci_take_interrupts(dev, &pci->isr, 0);
}

/* Everything but virtual functions and their administration. */
#define CARRIED_LOW (UINT64_MAX & ~(UINT64_C(1) << VIRTIO_F_SR_IOV | UINT64_C(1) << VIRTIO_F_ADMIN_VQ))

const struct vio_transport_ops vio_pci_modern_ops = {
	.name = "virtio-pci",
	.carried = { { CARRIED_LOW, UINT64_MAX } },
	.get_status = get_status,
	.set_status = set_status,
	.get_features = get_features,
	.set_features = set_features,
	.get_generation = get_generation,
	.read_config = read_config,
	.write_config = write_config,
	.queue_size_max = queue_size_max,
	.queue_enable = queue_enable,
	.queue_reset = queue_reset,
	.queue_resetting = queue_resetting,
	.queue_notify = queue_notify,
	.take_interrupts = take_interrupts,
	.close = vio_pci_close,
};
