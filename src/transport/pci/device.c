/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "transport/pci/model.h"

#define CONFIG_BYTES_MOST (1u << 20)

static bool legal_width(unsigned width)
{
	return width == 1 || width == 2 || width == 4 || width == 8;
}

static uint64_t cut(uint64_t value, unsigned width)
{
	return width < 8 ? value & ((UINT64_C(1) << (8 * width)) - 1) : value;
}

uint64_t vio_pci_model_bar_bytes(const struct vio_pci_device *model, unsigned bar)
{
	if (bar == 0)
		return model->layout.io_bytes;
	return bar == VIO_PCI_MEMORY_BAR ? model->layout.memory_bytes : 0;
}

/* The register that starts here, or NULL and the outcome set. hostile: A101 */
static const struct model_register *find(struct vio_pci_device *model, const struct model_registers *in,
					 uint64_t offset, unsigned width, const char **name)
{
	unsigned i;

	for (i = 0; i < in->count; i++) {
		const struct model_register *at = &in->registers[i];

		if (offset < at->offset || offset >= (unsigned)at->offset + at->width)
			continue;
		*name = at->name;
		if (offset == at->offset && width == at->width)
			return at;
		model->outcome = VIO_PCI_BAD_WIDTH;
		return NULL;
	}
	model->outcome = VIO_PCI_NO_REGISTER;
	return NULL;
}

static uint32_t read_register(struct vio_pci_device *model, const struct model_registers *in, uint64_t offset,
			      unsigned width, const char **name)
{
	const struct model_register *found = find(model, in, offset, width, name);

	if (found && !found->read)
		model->outcome = VIO_PCI_WRITE_ONLY; /* hostile: A102 */
	return found && found->read ? found->read(model, found->argument) : 0;
}

static void write_register(struct vio_pci_device *model, const struct model_registers *in, uint64_t offset,
			   unsigned width, uint32_t value, const char **name)
{
	const struct model_register *found = find(model, in, offset, width, name);

	if (found && !found->write)
		model->outcome = VIO_PCI_READ_ONLY; /* hostile: A102 */
	else if (found)
		found->write(model, found->argument, value);
}

/* hostile: A100 */
static uint64_t read_config(struct vio_pci_device *model, uint64_t offset, unsigned width)
{
	uint8_t bytes[8] = { 0 };

	if (offset >= model_device(model)->config_bytes) {
		model->outcome = VIO_PCI_NO_REGISTER;
		return 0;
	}
	vio_device_read_config(model_device(model), (uint32_t)offset, bytes, width);
	return (uint64_t)model_get(bytes + 4, 4) << 32 | model_get(bytes, 4);
}

static void write_config(struct vio_pci_device *model, uint64_t offset, unsigned width, uint64_t value)
{
	uint8_t bytes[8];

	model_put(bytes, 4, (uint32_t)value);
	model_put(bytes + 4, 4, (uint32_t)(value >> 32));
	/* spec: DEV-BASIC-015 */
	if (offset >= model_device(model)->config_bytes ||
	    vio_device_write_config(model_device(model), (uint32_t)offset, bytes, width))
		model->outcome = VIO_PCI_NO_REGISTER;
}

/* The address says which queue, or, where there is one for all, what is written. hostile: A87 */
static void write_notify(struct vio_pci_device *model, uint32_t offset, unsigned width, uint64_t value)
{
	bool data = vio_device_has_feature(model_device(model), VIRTIO_F_NOTIFICATION_DATA);
	bool one = (model->config.flags & VIO_PCI_NOTIFY_ONE) != 0;

	if (width != (data ? 4 : 2)) {
		model->outcome = VIO_PCI_BAD_WIDTH;
		return;
	}
	if (offset % MODEL_NOTIFY_MULTIPLIER) {
		model->outcome = VIO_PCI_NO_REGISTER;
		return;
	}
	if (vio_pci_model_speaks(model, false))
		vio_pci_model_notify(model, one ? (uint16_t)value : offset / MODEL_NOTIFY_MULTIPLIER);
}

/* Offset into a part of the memory BAR; false when it lies outside. */
static bool within(uint64_t offset, uint32_t start, uint32_t bytes, uint32_t *inside)
{
	*inside = (uint32_t)(offset - start);
	return offset >= start && offset - start < bytes;
}

static bool modern(const struct vio_pci_device *model)
{
	return model->config.kind != VIO_PCI_LEGACY;
}

/* Everything but the device's configuration; 4 bytes at most. */
static uint32_t read_memory(struct vio_pci_device *model, uint64_t offset, unsigned width, const char **name)
{
	const struct vio_pci_layout *layout = &model->layout;
	uint32_t at;
	bool table;

	if (modern(model) && within(offset, MODEL_COMMON, VIRTIO_PCI_COMMON_BYTES, &at))
		return read_register(model, &vio_pci_common_registers, at, width, name);
	if (modern(model) && within(offset, MODEL_ISR, 1, &at)) {
		*name = "ISR status";
		return vio_pci_model_take_isr(model, 0); /* one byte, however many are asked for */
	}
	if (within(offset, layout->notify, layout->notify_bytes, &at)) {
		*name = "notify";
		model->outcome = VIO_PCI_WRITE_ONLY;
		return 0;
	}
	table = within(offset, layout->table, layout->table_bytes, &at);
	if (!table && !within(offset, layout->pba, layout->pba_bytes, &at)) {
		model->outcome = VIO_PCI_NO_REGISTER;
		return 0;
	}
	*name = table ? "MSI-X table" : "MSI-X PBA";
	if (width != 4 || offset % 4) {
		model->outcome = VIO_PCI_BAD_WIDTH;
		return 0;
	}
	return table ? vio_pci_model_table_read(model, at) : vio_pci_model_pba_read(model, at);
}

static void write_memory(struct vio_pci_device *model, uint64_t offset, unsigned width, uint64_t value,
			 const char **name)
{
	const struct vio_pci_layout *layout = &model->layout;
	uint32_t at;

	if (within(offset, layout->notify, layout->notify_bytes, &at)) {
		*name = "notify";
		write_notify(model, at, width, value);
	} else if (modern(model) && within(offset, MODEL_COMMON, VIRTIO_PCI_COMMON_BYTES, &at)) {
		write_register(model, &vio_pci_common_registers, at, width, (uint32_t)value, name);
	} else if (modern(model) && within(offset, MODEL_ISR, 1, &at)) {
		*name = "ISR status";
		model->outcome = VIO_PCI_READ_ONLY;
	} else if (within(offset, layout->table, layout->table_bytes, &at)) {
		*name = "MSI-X table";
		if (width == 4 && !(offset % 4))
			vio_pci_model_table_write(model, at, (uint32_t)value);
		else
			model->outcome = VIO_PCI_BAD_WIDTH;
	} else if (within(offset, layout->pba, layout->pba_bytes, &at)) {
		*name = "MSI-X PBA";
		model->outcome = VIO_PCI_READ_ONLY;
	} else {
		model->outcome = VIO_PCI_NO_REGISTER;
	}
}

/* Where the device's configuration begins in a BAR. spec: DEV-PCI-058 */
static uint32_t config_start(const struct vio_pci_device *model, unsigned bar)
{
	if (bar)
		return MODEL_CONFIG;
	return vio_pci_model_msix_enabled(model) ? VIRTIO_PCI_LEGACY_MSIX_BYTES : VIRTIO_PCI_LEGACY_BYTES;
}

/* Whether [offset, offset + width) begins in the device's configuration; where in *inside. */
static bool in_config(const struct vio_pci_device *model, unsigned bar, uint64_t offset, uint32_t *inside)
{
	uint32_t start = config_start(model, bar);
	uint32_t bytes = bar ? (modern(model) ? model->layout.notify - MODEL_CONFIG : 0)
			     : model->layout.io_bytes - start;

	return within(offset, start, bytes, inside);
}

uint64_t vio_pci_model_bar_read(struct vio_pci_device *model, unsigned bar, uint64_t offset, unsigned width,
				const char **name)
{
	uint64_t low;
	uint32_t at;

	if (!legal_width(width)) {
		model->outcome = VIO_PCI_BAD_WIDTH;
		return 0;
	}
	if (in_config(model, bar, offset, &at)) {
		*name = "device config";
		return cut(read_config(model, at, width), width);
	}
	if (bar == 0)
		return read_register(model, &vio_pci_legacy_registers, offset, width, name);
	if (width < 8)
		return read_memory(model, offset, width, name);
	low = read_memory(model, offset, 4, name);
	return (uint64_t)read_memory(model, offset + 4, 4, name) << 32 | low;
}

void vio_pci_model_bar_write(struct vio_pci_device *model, unsigned bar, uint64_t offset, unsigned width,
			     uint64_t value, const char **name)
{
	uint32_t at;

	if (!legal_width(width)) {
		model->outcome = VIO_PCI_BAD_WIDTH;
		return;
	}
	value = cut(value, width);
	if (in_config(model, bar, offset, &at)) {
		*name = "device config";
		if (vio_pci_model_speaks(model, bar == 0))
			write_config(model, at, width, value);
	} else if (bar == 0) {
		write_register(model, &vio_pci_legacy_registers, offset, width, (uint32_t)value, name);
	} else if (width < 8) {
		write_memory(model, offset, width, value, name);
	} else { /* spec: DEV-PCI-010, a 64-bit field is two halves */
		write_memory(model, offset, 4, (uint32_t)value, name);
		write_memory(model, offset + 4, 4, value >> 32, name);
	}
}

void vio_pci_model_trace(struct vio_pci_device *model, struct vio_pci_trace *access)
{
	access->outcome = model->outcome;
	if (model->config.trace)
		model->config.trace(model->config.context, access);
}

static bool decoded(const struct vio_pci_device *model, unsigned bar, uint64_t offset)
{
	bool on = (model->config.flags & VIO_PCI_NO_DECODER) || vio_pci_device_bar(model, bar).address;

	return on && offset < vio_pci_model_bar_bytes(model, bar);
}

uint64_t vio_pci_device_bar_read(struct vio_pci_device *model, unsigned bar, uint64_t offset, unsigned width)
{
	struct vio_pci_trace access = {
		NULL, bar, offset, width, false, cut(UINT64_MAX, width), VIO_PCI_DONE
	};

	model->outcome = VIO_PCI_DONE;
	if (decoded(model, bar, offset))
		access.value = vio_pci_model_bar_read(model, bar, offset, width, &access.name);
	else
		model->outcome = VIO_PCI_NOT_DECODED;
	vio_pci_model_trace(model, &access);
	return access.value;
}

void vio_pci_device_bar_write(struct vio_pci_device *model, unsigned bar, uint64_t offset, unsigned width,
			      uint64_t value)
{
	struct vio_pci_trace access = { NULL, bar, offset, width, true, value, VIO_PCI_DONE };

	model->outcome = VIO_PCI_DONE;
	if (decoded(model, bar, offset))
		vio_pci_model_bar_write(model, bar, offset, width, value, &access.name);
	else
		model->outcome = VIO_PCI_NOT_DECODED;
	vio_pci_model_trace(model, &access);
}

bool vio_pci_device_run(struct vio_pci_device *model)
{
	bool more = false;
	uint16_t queue;

	for (queue = 0; queue < model_device(model)->queue_count; queue++) {
		if (!model->config.queues[queue].again)
			continue;
		model->config.queues[queue].again = false;
		vio_device_kick(model_device(model), queue); /* may set it again */
		more |= model->config.queues[queue].again;
	}
	return more;
}

static uint32_t grains(uint32_t bytes)
{
	return (bytes + MODEL_GRAIN - 1) / MODEL_GRAIN * MODEL_GRAIN;
}

static uint32_t power_of_two_above(uint32_t bytes)
{
	uint32_t power = 1;

	while (power < bytes)
		power *= 2;
	return power;
}

static int lay_out(struct vio_pci_device *model)
{
	const struct vio_device *device = model_device(model);
	struct vio_pci_layout *layout = &model->layout;
	uint32_t vectors = model->config.vectors;

	if (device->config_bytes > CONFIG_BYTES_MOST || vectors > PCI_MSIX_VECTORS_MAX)
		return -VIO_ERANGE;
	layout->notify = MODEL_CONFIG + grains(device->config_bytes);
	/* spec: DEV-PCI-030 DEV-PCI-032 DEV-PCI-034 DEV-PCI-035 DEV-PCI-036 DEV-PCI-037 DEV-PCI-039 */
	if (modern(model))
		layout->notify_bytes = MODEL_NOTIFY_MULTIPLIER * device->queue_count;
	layout->table = layout->notify + grains(layout->notify_bytes);
	layout->table_bytes = vectors * PCI_MSIX_ENTRY_BYTES;
	layout->pba = layout->table + grains(layout->table_bytes);
	layout->pba_bytes = (vectors + 63) / 64 * 8;
	if (modern(model) || vectors)
		layout->memory_bytes = power_of_two_above(layout->pba + grains(layout->pba_bytes));
	if (model->config.kind != VIO_PCI_MODERN)
		layout->io_bytes = power_of_two_above(VIRTIO_PCI_LEGACY_MSIX_BYTES + device->config_bytes);
	return 0;
}

int vio_pci_device_init(struct vio_pci_device *model, const struct vio_pci_device_config *config)
{
	struct vio_features features = vio_pci_model_carried(config->kind == VIO_PCI_LEGACY);
	int error;

	if (config->device->phase != VIO_DEVICE_READY)
		return -VIO_EPHASE;
	memset(model, 0, sizeof(*model));
	model->config = *config;
	error = lay_out(model);
	if (!error)
		error = vio_pci_model_build(model);
	if (error)
		return error;
	vio_device_attach(config->device, config->mem, &features, &vio_pci_model_events, model);
	vio_pci_model_table_reset(model);
	vio_pci_model_forget(model);
	return 0;
}

void vio_pci_device_end(struct vio_pci_device *model)
{
	vio_device_detach(model_device(model));
	vio_pci_model_forget(model);
}

void vio_pci_device_bus_reset(struct vio_pci_device *model)
{
	vio_device_reset(model_device(model));
	(void)vio_pci_model_build(model); /* what was possible once */
	vio_pci_model_table_reset(model);
	vio_pci_model_forget(model);
	if (model->config.moved)
		model->config.moved(model->config.context);
}
