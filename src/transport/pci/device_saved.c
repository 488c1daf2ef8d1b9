/* SPDX-License-Identifier: BSD-3-Clause */
#include "transport/pci/model.h"

/*
 * What a driver has set up in the function. All little-endian:
 *
 *	u16 format, u16 bytes of the configuration space that drivers can write, and these;
 *	u8 legacy interface, u8 legacy status, u8 ISR status, u8 zero, u16 vector of the configuration,
 *	u32 the two feature selects, u16 queue select,
 *	u16 vectors, for each: u32 address (low, high), data, control, u8 pending,
 *	u16 queues, for each: u32 size, u64 descriptor, driver and device area, u32 page number,
 *		u16 vector, u8 enabled
 */
#define SAVED_FORMAT 1u

static uint16_t writable_bytes(const struct vio_pci_device *model)
{
	uint16_t count = 0;
	unsigned i;

	for (i = 0; i < PCI_CONFIG_BYTES; i++)
		count += model->writable[i] != 0;
	return count;
}

static void save_vectors(const struct vio_pci_device *model, struct vio_state_writer *writer)
{
	uint16_t i;

	vio_state_put_u16(writer, model->config.vectors);
	for (i = 0; i < model->config.vectors; i++) {
		const struct vio_pci_vector *vector = &model->config.vector_states[i];

		vio_state_put_u32(writer, vector->address_low);
		vio_state_put_u32(writer, vector->address_high);
		vio_state_put_u32(writer, vector->data);
		vio_state_put_u32(writer, vector->control);
		vio_state_put_u8(writer, vector->pending);
	}
}

static void save_queues(const struct vio_pci_device *model, struct vio_state_writer *writer)
{
	uint16_t i, area;

	vio_state_put_u16(writer, model_device(model)->queue_count);
	for (i = 0; i < model_device(model)->queue_count; i++) {
		const struct vio_pci_queue *queue = &model->config.queues[i];

		vio_state_put_u32(writer, queue->size);
		for (area = 0; area < VIO_ARRAY_SIZE(queue->area); area++)
			vio_state_put_u64(writer, queue->area[area]);
		vio_state_put_u32(writer, queue->pfn);
		vio_state_put_u16(writer, queue->vector);
		vio_state_put_u8(writer, queue->enabled);
	}
}

void vio_pci_device_save(const struct vio_pci_device *model, struct vio_state_writer *writer)
{
	unsigned i;

	vio_state_put_u16(writer, SAVED_FORMAT);
	vio_state_put_u16(writer, writable_bytes(model));
	for (i = 0; i < PCI_CONFIG_BYTES; i++)
		if (model->writable[i])
			vio_state_put_u8(writer, model->space[i] & model->writable[i]);
	vio_state_put_u8(writer, model->legacy);
	vio_state_put_u8(writer, model->legacy_status);
	vio_state_put_u8(writer, model->isr);
	vio_state_put_u8(writer, 0);
	vio_state_put_u16(writer, model->config_vector);
	vio_state_put_u32(writer, model->device_feature_select);
	vio_state_put_u32(writer, model->driver_feature_select);
	vio_state_put_u16(writer, model->queue_select);
	save_vectors(model, writer);
	save_queues(model, writer);
}

static int load_space(struct vio_pci_device *model, struct vio_state_reader *reader)
{
	uint16_t count = vio_state_get_u16(reader);
	unsigned i;

	if (count != writable_bytes(model))
		return vio_state_refuse(reader, "writable bytes of the configuration space", count);
	for (i = 0; i < PCI_CONFIG_BYTES; i++)
		if (model->writable[i])
			model->space[i] = (uint8_t)((model->space[i] & ~model->writable[i]) |
						    (vio_state_get_u8(reader) & model->writable[i]));
	return 0;
}

static bool vector_valid(const struct vio_pci_device *model, uint16_t vector)
{
	return vector < model->config.vectors || vector == VIRTIO_MSI_NO_VECTOR;
}

static int load_registers(struct vio_pci_device *model, struct vio_state_reader *reader)
{
	uint8_t legacy = vio_state_get_u8(reader), zero;

	if (legacy > 1 ||
	    (legacy ? model->config.kind == VIO_PCI_MODERN : model->config.kind == VIO_PCI_LEGACY))
		return vio_state_refuse(reader, "interface of the function", legacy);
	(void)vio_pci_model_speaks(model, legacy);
	model->legacy_status = vio_state_get_u8(reader);
	model->isr = vio_state_get_u8(reader);
	zero = vio_state_get_u8(reader);
	model->config_vector = vio_state_get_u16(reader);
	model->device_feature_select = vio_state_get_u32(reader);
	model->driver_feature_select = vio_state_get_u32(reader);
	model->queue_select = vio_state_get_u16(reader);
	if (zero || (model->isr & ~(VIRTIO_PCI_ISR_QUEUE | VIRTIO_PCI_ISR_CONFIG)))
		return vio_state_refuse(reader, "ISR status", (uint64_t)zero << 8 | model->isr);
	if (!vector_valid(model, model->config_vector)) /* hostile: G8 */
		return vio_state_refuse(reader, "vector of the configuration", model->config_vector);
	return 0;
}

static int load_vectors(struct vio_pci_device *model, struct vio_state_reader *reader)
{
	uint16_t count = vio_state_get_u16(reader), i;

	if (count != model->config.vectors) /* hostile: G8 */
		return vio_state_refuse(reader, "number of vectors", count);
	for (i = 0; i < count; i++) {
		struct vio_pci_vector *vector = &model->config.vector_states[i];

		vector->address_low = vio_state_get_u32(reader);
		vector->address_high = vio_state_get_u32(reader);
		vector->data = vio_state_get_u32(reader);
		vector->control = vio_state_get_u32(reader);
		vector->pending = vio_state_get_u8(reader) != 0;
	}
	return 0;
}

static int load_queues(struct vio_pci_device *model, struct vio_state_reader *reader)
{
	const struct vio_device *device = model_device(model);
	uint16_t count = vio_state_get_u16(reader), i, area;

	if (count != device->queue_count) /* hostile: G4 */
		return vio_state_refuse(reader, "queue count", count);
	for (i = 0; i < count; i++) {
		struct vio_pci_queue *queue = &model->config.queues[i];
		uint8_t enabled;

		queue->size = vio_state_get_u32(reader);
		for (area = 0; area < VIO_ARRAY_SIZE(queue->area); area++)
			queue->area[area] = vio_state_get_u64(reader);
		queue->pfn = vio_state_get_u32(reader);
		queue->vector = vio_state_get_u16(reader);
		enabled = vio_state_get_u8(reader);
		queue->enabled = enabled != 0;
		if (queue->size > device->queue_size_max || (enabled && !queue->size))
			return vio_state_refuse(reader, "queue size", queue->size);
		if (!vector_valid(model, queue->vector)) /* hostile: G8 */
			return vio_state_refuse(reader, "vector of a queue", queue->vector);
		if (enabled > 1)
			return vio_state_refuse(reader, "running of a queue", enabled);
	}
	return 0;
}

int vio_pci_device_load(struct vio_pci_device *model, struct vio_state_reader *reader)
{
	uint16_t format = vio_state_get_u16(reader);
	int error;

	if (model_device(model)->status) /* hostile: G12 */
		return -VIO_EPHASE;
	error = format == SAVED_FORMAT ? load_space(model, reader)
				       : vio_state_refuse(reader, "format of the function", format);
	if (!error)
		error = load_registers(model, reader);
	if (!error)
		error = load_vectors(model, reader);
	if (!error)
		error = load_queues(model, reader);
	if (!error && reader->failed) /* hostile: G1 */
		error = vio_state_refuse(reader, "length", reader->size);
	if (error)
		vio_pci_device_bus_reset(model);
	return error;
}

void vio_pci_device_loaded(struct vio_pci_device *model)
{
	model->driver_features = model_device(model)->features_driver;
	if (model->config.moved)
		model->config.moved(model->config.context);
	vio_pci_model_line(model);
	vio_pci_model_messages(model);
}
