/* SPDX-License-Identifier: BSD-3-Clause */
#include "transport/legacy.h"
#include "transport/pci/model.h"

/*
 * The legacy header (4.1.4.10). A legacy driver knows neither FEATURES_OK nor that it has to wait for
 * DRIVER_OK, and gives the ring as one page number: sizes are the device's.
 */

static uint32_t read_device_features(struct vio_pci_device *model, uint32_t argument)
{
	/* spec: DEV-BASIC-032, framing means nothing to our devices */
	return (uint32_t)model_device(model)->features_offered.word[0] | UINT32_C(1) << VIRTIO_F_ANY_LAYOUT |
	       UINT32_C(1) << VIRTIO_F_NOTIFY_ON_EMPTY;
}

static uint32_t read_driver_features(struct vio_pci_device *model, uint32_t argument)
{
	return (uint32_t)model->driver_features.word[0];
}

static void write_driver_features(struct vio_pci_device *model, uint32_t argument, uint32_t value)
{
	if (!vio_pci_model_speaks(model, true))
		return;
	if (model_device(model)->status & VIRTIO_CONFIG_S_FEATURES_OK) { /* hostile: A90 */
		model_ignore(model);
		return;
	}
	model->driver_features = vio_features_low(value);
}

static uint32_t read_pfn(struct vio_pci_device *model, uint32_t argument)
{
	const struct vio_pci_queue *queue = vio_pci_model_queue(model);

	return queue ? queue->pfn : 0;
}

static void write_pfn(struct vio_pci_device *model, uint32_t argument, uint32_t value)
{
	struct vio_pci_queue *queue = vio_pci_model_queue(model);
	uint64_t behind;

	if (!vio_pci_model_speaks(model, true))
		return;
	if (!queue || (value && queue->enabled)) { /* hostile: A79 A82 */
		model_ignore(model);
		return;
	}
	if (!value) {
		vio_pci_model_queue_stop(model, queue);
		queue->pfn = 0;
		return;
	}
	vio_legacy_advance(model_device(model), model->driver_features, 0);
	queue->area[0] = (uint64_t)value << VIRTIO_PCI_QUEUE_ADDR_SHIFT;
	queue->area[1] = queue->area[0] + 16ull * queue->size;
	behind = queue->area[1] + 6 + 2ull * queue->size;
	queue->area[2] = (behind + VIRTIO_PCI_VRING_ALIGN - 1) & ~(uint64_t)(VIRTIO_PCI_VRING_ALIGN - 1);
	if (vio_pci_model_queue_start(model, queue))
		queue->pfn = value;
}

static uint32_t read_queue_size(struct vio_pci_device *model, uint32_t argument)
{
	return vio_pci_model_queue(model) ? model_device(model)->queue_size : 0;
}

static uint32_t read_queue_select(struct vio_pci_device *model, uint32_t argument)
{
	return model->queue_select;
}

static void write_queue_select(struct vio_pci_device *model, uint32_t argument, uint32_t value)
{
	model->queue_select = (uint16_t)value;
}

static void write_queue_notify(struct vio_pci_device *model, uint32_t argument, uint32_t value)
{
	struct vio_device *device = model_device(model);
	bool ready = device->status & VIRTIO_CONFIG_S_DRIVER_OK;

	if (!vio_pci_model_speaks(model, true))
		return;
	if (!ready && value < device->queue_count && model->config.queues[value].enabled)
		vio_legacy_advance(model_device(model), model->driver_features,
				   VIRTIO_CONFIG_S_DRIVER_OK); /* which kicks */
	else
		vio_pci_model_notify(model, value);
}

static uint32_t read_status(struct vio_pci_device *model, uint32_t argument)
{
	uint8_t status = model_device(model)->status;

	return model->legacy ? model->legacy_status | (status & VIRTIO_CONFIG_S_NEEDS_RESET) : status;
}

static void write_status(struct vio_pci_device *model, uint32_t argument, uint32_t value)
{
	const uint8_t known = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
			      VIRTIO_CONFIG_S_DRIVER_OK | VIRTIO_CONFIG_S_FAILED;

	if (!value) {
		vio_device_reset(model_device(model));
		vio_pci_model_forget(model);
		return;
	}
	if (!vio_pci_model_speaks(model, true))
		return;
	model->legacy_status |= (uint8_t)value & known;
	if (value & VIRTIO_CONFIG_S_DRIVER_OK)
		vio_legacy_advance(model_device(model), model->driver_features, VIRTIO_CONFIG_S_DRIVER_OK);
	if (value & VIRTIO_CONFIG_S_FAILED)
		vio_device_write_status(model_device(model), VIRTIO_CONFIG_S_FAILED);
}

/* clang-format off */
static const struct model_register registers[] = {
	{ "Device Features", VIRTIO_PCI_HOST_FEATURES, 4, read_device_features, NULL, 0 },
	{ "Driver Features", VIRTIO_PCI_GUEST_FEATURES, 4, read_driver_features, write_driver_features, 0 },
	{ "Queue Address", VIRTIO_PCI_QUEUE_PFN, 4, read_pfn, write_pfn, 0 },
	{ "queue_size", VIRTIO_PCI_QUEUE_NUM, 2, read_queue_size, NULL, 0 },
	{ "queue_select", VIRTIO_PCI_QUEUE_SEL, 2, read_queue_select, write_queue_select, 0 },
	{ "Queue Notify", VIRTIO_PCI_QUEUE_NOTIFY, 2, NULL, write_queue_notify, 0 },
	{ "Device Status", VIRTIO_PCI_STATUS, 1, read_status, write_status, 0 },
	{ "ISR Status", VIRTIO_PCI_ISR, 1, vio_pci_model_take_isr, NULL, 0 },
	/* While MSI-X is enabled; the device's configuration begins here otherwise. */
	{ "config_msix_vector", VIRTIO_MSI_CONFIG_VECTOR, 2,
	  vio_pci_model_vector_read, vio_pci_model_vector_write, MODEL_VECTOR_CONFIG },
	{ "queue_msix_vector", VIRTIO_MSI_QUEUE_VECTOR, 2,
	  vio_pci_model_vector_read, vio_pci_model_vector_write, MODEL_VECTOR_QUEUE },
};
/* clang-format on */

const struct model_registers vio_pci_legacy_registers = { registers, VIO_ARRAY_SIZE(registers) };
