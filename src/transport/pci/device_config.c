/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "transport/pci/model.h"

/* The configuration space: what stands in it and what the driver may change, byte by byte.
   spec: DEV-PCI-001 */

#define CLASS_OTHER 0xff0000u

/* What PCI knows of a device type: its class, and its device id as long as there is a legacy interface. */
struct type {
	uint32_t id;
	uint32_t class_code;
	uint16_t transitional;
};

/* spec: DEV-PCI-003 */
static const struct type types[] = {
	{ VIRTIO_ID_NET, 0x020000, 0x1000 },
	{ VIRTIO_ID_BLOCK, 0x010000, 0x1001 },
	{ VIRTIO_ID_CONSOLE, 0x078000, 0x1003 },
	{ VIRTIO_ID_RNG, CLASS_OTHER, 0x1005 },
	{ VIRTIO_ID_BALLOON, CLASS_OTHER, 0x1002 },
	{ VIRTIO_ID_SCSI, 0x010000, 0x1004 },
	{ VIRTIO_ID_9P, 0x018000, 0x1009 },
	{ VIRTIO_ID_GPU, 0x038000, 0 },
	{ VIRTIO_ID_INPUT, 0x098000, 0 },
	{ VIRTIO_ID_VSOCK, 0x028000, 0 },
	{ VIRTIO_ID_CRYPTO, 0x108000, 0 },
	{ VIRTIO_ID_SOUND, 0x040100, 0 },
	{ VIRTIO_ID_FS, 0x018000, 0 },
};

struct config_register {
	uint8_t offset;
	uint8_t bytes;
	const char *name;
};

/* For diagnostics, where no capability is. */
static const struct config_register names[] = {
	{ PCI_VENDOR_ID, 2, "Vendor ID" },
	{ PCI_DEVICE_ID, 2, "Device ID" },
	{ PCI_COMMAND, 2, "Command" },
	{ PCI_STATUS, 2, "Status" },
	{ PCI_REVISION_ID, 1, "Revision ID" },
	{ PCI_CLASS_CODE, 3, "Class Code" },
	{ PCI_HEADER_TYPE, 1, "Header Type" },
	{ PCI_BAR, 24, "BAR" },
	{ PCI_SUBSYSTEM_VENDOR, 2, "Subsystem Vendor ID" },
	{ PCI_SUBSYSTEM_ID, 2, "Subsystem ID" },
	{ PCI_CAPABILITIES, 1, "Capabilities Pointer" },
	{ PCI_INTERRUPT_LINE, 1, "Interrupt Line" },
	{ PCI_INTERRUPT_PIN, 1, "Interrupt Pin" },
};

static const struct type *type_of(const struct vio_pci_device *model)
{
	static const struct type other = { 0, CLASS_OTHER, 0 };
	unsigned i;

	for (i = 0; i < VIO_ARRAY_SIZE(types); i++)
		if (types[i].id == model_device(model)->id)
			return &types[i];
	return &other;
}

static void put(struct vio_pci_device *model, unsigned offset, unsigned width, uint32_t value)
{
	model_put(&model->space[offset], width, value);
}

static void may_change(struct vio_pci_device *model, unsigned offset, unsigned width, uint32_t bits)
{
	model_put(&model->writable[offset], width, bits);
}

/* Appends a capability; returns its offset. The first is at the end of the header. */
static uint8_t add_capability(struct vio_pci_device *model, uint8_t *end, unsigned id, unsigned bytes)
{
	uint8_t at = *end;

	put(model, at, 1, id);
	put(model, at + PCI_CAP_NEXT, 1, model->space[PCI_CAPABILITIES]);
	put(model, PCI_CAPABILITIES, 1, at);
	put(model, PCI_STATUS, 1, PCI_STATUS_CAPABILITIES);
	*end = (uint8_t)(at + (bytes + 3) / 4 * 4);
	return at;
}

static uint8_t add_virtio(struct vio_pci_device *model, uint8_t *end, unsigned type, uint32_t offset,
			  uint32_t length)
{
	unsigned bytes = VIRTIO_PCI_CAP_BYTES;
	uint8_t at;

	if (type == VIRTIO_PCI_CAP_NOTIFY_CFG)
		bytes = VIRTIO_PCI_NOTIFY_CAP_BYTES;
	if (type == VIRTIO_PCI_CAP_PCI_CFG)
		bytes = VIRTIO_PCI_CFG_CAP_BYTES;
	at = add_capability(model, end, PCI_CAP_VENDOR, bytes);
	put(model, at + VIRTIO_PCI_CAP_LEN, 1, bytes); /* spec: DEV-PCI-011 */
	put(model, at + VIRTIO_PCI_CAP_CFG_TYPE, 1, type);
	put(model, at + VIRTIO_PCI_CAP_BAR, 1, type == VIRTIO_PCI_CAP_PCI_CFG ? 0 : VIO_PCI_MEMORY_BAR);
	put(model, at + VIRTIO_PCI_CAP_OFFSET, 4, offset);
	put(model, at + VIRTIO_PCI_CAP_LENGTH, 4, length);
	return at;
}

/* spec: DEV-PCI-013 DEV-PCI-014 DEV-PCI-029 DEV-PCI-031 DEV-PCI-040 DEV-PCI-045 DEV-PCI-046 DEV-PCI-053 */
static void add_modern(struct vio_pci_device *model, uint8_t *end)
{
	uint32_t config_bytes = model_device(model)->config_bytes;
	uint8_t at;

	at = add_virtio(model, end, VIRTIO_PCI_CAP_PCI_CFG, 0, 0);
	may_change(model, at + VIRTIO_PCI_CAP_BAR, 1, UINT8_MAX);
	may_change(model, at + VIRTIO_PCI_CAP_OFFSET, 4, UINT32_MAX);
	may_change(model, at + VIRTIO_PCI_CAP_LENGTH, 4, UINT32_MAX);
	may_change(model, at + VIRTIO_PCI_CFG_CAP_DATA, 4, UINT32_MAX);
	model->cfg_cap = at;
	if (config_bytes)
		add_virtio(model, end, VIRTIO_PCI_CAP_DEVICE_CFG, MODEL_CONFIG, config_bytes);
	add_virtio(model, end, VIRTIO_PCI_CAP_ISR_CFG, MODEL_ISR, 1);
	at = add_virtio(model, end, VIRTIO_PCI_CAP_NOTIFY_CFG, model->layout.notify,
			model->layout.notify_bytes);
	if (!(model->config.flags & VIO_PCI_NOTIFY_ONE))
		put(model, at + VIRTIO_PCI_NOTIFY_CAP_MULT, 4, MODEL_NOTIFY_MULTIPLIER);
	add_virtio(model, end, VIRTIO_PCI_CAP_COMMON_CFG, MODEL_COMMON, VIRTIO_PCI_COMMON_BYTES);
}

/* spec: DEV-PCI-063 */
static void add_msix(struct vio_pci_device *model, uint8_t *end)
{
	uint8_t at = add_capability(model, end, PCI_CAP_MSIX, PCI_MSIX_CAP_BYTES);

	put(model, at + PCI_MSIX_CONTROL, 2, model->config.vectors - 1u);
	may_change(model, at + PCI_MSIX_CONTROL, 2, PCI_MSIX_CONTROL_ENABLE | PCI_MSIX_CONTROL_MASK);
	put(model, at + PCI_MSIX_TABLE, 4, model->layout.table | VIO_PCI_MEMORY_BAR);
	put(model, at + PCI_MSIX_PBA, 4, model->layout.pba | VIO_PCI_MEMORY_BAR);
	model->msix_cap = at;
}

/* spec: DEV-PCI-056 DEV-PCI-061 */
static void add_bars(struct vio_pci_device *model)
{
	const unsigned memory = PCI_BAR + 4 * VIO_PCI_MEMORY_BAR;
	const struct vio_pci_layout *layout = &model->layout;
	uint32_t command = PCI_COMMAND_MASTER;

	if (layout->io_bytes) {
		put(model, PCI_BAR, 4, PCI_BAR_IO);
		may_change(model, PCI_BAR, 4, ~(layout->io_bytes - 1) & ~PCI_BAR_IO_MASK);
		command |= PCI_COMMAND_IO;
	}
	if (layout->memory_bytes) {
		may_change(model, memory, 4, ~(layout->memory_bytes - 1) & ~PCI_BAR_MEMORY_MASK);
		command |= PCI_COMMAND_MEMORY;
	}
	if (layout->memory_bytes && (model->config.flags & VIO_PCI_BAR_64)) {
		put(model, memory, 4, PCI_BAR_TYPE_64);
		may_change(model, memory + 4, 4, UINT32_MAX);
	}
	if (!(model->config.flags & VIO_PCI_NO_LINE)) {
		put(model, PCI_INTERRUPT_PIN, 1, 1);
		command |= PCI_COMMAND_INTX_DISABLE;
	}
	may_change(model, PCI_COMMAND, 2, command);
	may_change(model, PCI_INTERRUPT_LINE, 1, UINT8_MAX);
}

/* Before version 1.0 any id of its range would do: the subsystem said which device it is. */
static uint32_t device_id(const struct vio_pci_device *model, const struct type *type)
{
	uint32_t id = model_device(model)->id;

	if (model->config.kind == VIO_PCI_MODERN)
		return VIRTIO_PCI_DEVICE_ID_MODERN + id;
	return type->transitional ? type->transitional : VIRTIO_PCI_DEVICE_ID_LEGACY + id;
}

/* spec: DEV-PCI-002 DEV-PCI-004 DEV-PCI-005 DEV-PCI-006 DEV-PCI-007 DEV-PCI-008 DEV-PCI-009 */
static void identify(struct vio_pci_device *model, const struct type *type)
{
	const struct vio_pci_device_config *config = &model->config;
	uint32_t id = model_device(model)->id, subsystem = config->subsystem;

	if (config->kind != VIO_PCI_MODERN)
		subsystem = id;
	else if (!subsystem)
		subsystem = VIRTIO_PCI_DEVICE_ID_MODERN + id;
	put(model, PCI_VENDOR_ID, 2, VIRTIO_PCI_VENDOR_ID);
	put(model, PCI_DEVICE_ID, 2, device_id(model, type));
	put(model, PCI_REVISION_ID, 1, config->kind == VIO_PCI_MODERN);
	put(model, PCI_CLASS_CODE, 3, type->class_code);
	put(model, PCI_SUBSYSTEM_VENDOR, 2,
	    config->subsystem_vendor ? config->subsystem_vendor : VIRTIO_PCI_VENDOR_ID);
	put(model, PCI_SUBSYSTEM_ID, 2, subsystem);
}

int vio_pci_model_build(struct vio_pci_device *model)
{
	const struct type *type = type_of(model);
	uint8_t end = PCI_HEADER_BYTES;

	if (model->config.kind == VIO_PCI_TRANSITIONAL && !type->transitional)
		return -VIO_ENOTSUP;
	memset(model->space, 0, sizeof(model->space));
	memset(model->writable, 0, sizeof(model->writable));
	identify(model, type);
	add_bars(model);
	if (model->config.kind != VIO_PCI_LEGACY)
		add_modern(model, &end);
	if (model->config.vectors)
		add_msix(model, &end);
	return 0;
}

uint32_t vio_pci_model_command(const struct vio_pci_device *model)
{
	return model_get(&model->space[PCI_COMMAND], 2);
}

struct vio_pci_bar vio_pci_device_bar(const struct vio_pci_device *model, unsigned bar)
{
	bool io = bar == 0 && model->layout.io_bytes;
	bool on = vio_pci_model_command(model) & (io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY);
	struct vio_pci_bar found = { .size = vio_pci_model_bar_bytes(model, bar), .io = io };

	if (!found.size)
		return found;
	found.wide = !io && (model->config.flags & VIO_PCI_BAR_64);
	if (on)
		found.address = model_get(&model->space[PCI_BAR + 4 * bar], 4) &
				~(io ? PCI_BAR_IO_MASK : PCI_BAR_MEMORY_MASK);
	if (on && found.wide)
		found.address |= (uint64_t)model_get(&model->space[PCI_BAR + 4 * bar + 4], 4) << 32;
	return found;
}

static bool overlaps(unsigned offset, unsigned width, unsigned start, unsigned bytes)
{
	return offset < start + bytes && start < offset + width;
}

static const char *name_of(const struct vio_pci_device *model, unsigned offset, unsigned width)
{
	unsigned i;

	if (model->cfg_cap &&
	    overlaps(offset, width, model->cfg_cap + VIRTIO_PCI_CFG_CAP_DATA, sizeof(uint32_t)))
		return "pci_cfg_data";
	if (model->msix_cap && overlaps(offset, width, model->msix_cap + PCI_MSIX_CONTROL, 2))
		return "MSI-X Message Control";
	for (i = 0; i < VIO_ARRAY_SIZE(names); i++)
		if (overlaps(offset, width, names[i].offset, names[i].bytes))
			return names[i].name;
	return offset < PCI_HEADER_BYTES ? NULL : "capabilities";
}

/* What pci_cfg_data looks at, as the driver set it; false when it is nothing legal. hostile: A105 */
static bool window(const struct vio_pci_device *model, unsigned *bar, uint32_t *offset, uint32_t *length)
{
	const uint8_t *capability = &model->space[model->cfg_cap];
	uint64_t bytes;

	*bar = capability[VIRTIO_PCI_CAP_BAR];
	*offset = model_get(capability + VIRTIO_PCI_CAP_OFFSET, 4);
	*length = model_get(capability + VIRTIO_PCI_CAP_LENGTH, 4);
	bytes = vio_pci_model_bar_bytes(model, *bar);
	return (*length == 1 || *length == 2 || *length == 4) && !(*offset % *length) && *offset < bytes &&
	       *length <= bytes - *offset;
}

/* spec: DEV-PCI-055 */
static void window_read(struct vio_pci_device *model)
{
	const char *name = NULL;
	uint32_t offset, length;
	unsigned bar;

	if (window(model, &bar, &offset, &length))
		put(model, model->cfg_cap + VIRTIO_PCI_CFG_CAP_DATA, length,
		    (uint32_t)vio_pci_model_bar_read(model, bar, offset, length, &name));
	else
		model_ignore(model);
}

/* spec: DEV-PCI-054 */
static void window_write(struct vio_pci_device *model)
{
	const uint8_t *data = &model->space[model->cfg_cap + VIRTIO_PCI_CFG_CAP_DATA];
	const char *name = NULL;
	uint32_t offset, length;
	unsigned bar;

	if (window(model, &bar, &offset, &length))
		vio_pci_model_bar_write(model, bar, offset, length, model_get(data, length), &name);
	else
		model_ignore(model);
}

static bool touches_window(const struct vio_pci_device *model, unsigned offset, unsigned width)
{
	return model->cfg_cap &&
	       overlaps(offset, width, model->cfg_cap + VIRTIO_PCI_CFG_CAP_DATA, sizeof(uint32_t));
}

static bool there(struct vio_pci_device *model, unsigned offset, unsigned width)
{
	if (width != 1 && width != 2 && width != 4)
		model->outcome = VIO_PCI_BAD_WIDTH;
	else if (offset >= PCI_CONFIG_BYTES || width > PCI_CONFIG_BYTES - offset)
		model->outcome = VIO_PCI_NO_REGISTER;
	return model->outcome == VIO_PCI_DONE;
}

uint32_t vio_pci_device_config_read(struct vio_pci_device *model, unsigned offset, unsigned width)
{
	struct vio_pci_trace access = { NULL, VIO_PCI_CONFIG_SPACE, offset, width, false, 0, VIO_PCI_DONE };

	model->outcome = VIO_PCI_DONE;
	if (there(model, offset, width)) {
		access.name = name_of(model, offset, width);
		if (touches_window(model, offset, width))
			window_read(model);
		access.value = model_get(&model->space[offset], width);
	}
	vio_pci_model_trace(model, &access);
	return (uint32_t)access.value;
}

/* What a change of registers means to the rest. */
static void changed(struct vio_pci_device *model, unsigned offset, unsigned width)
{
	if (model->config.moved &&
	    (overlaps(offset, width, PCI_COMMAND, 2) || overlaps(offset, width, PCI_BAR, 4 * PCI_BAR_COUNT)))
		model->config.moved(model->config.context);
	vio_pci_model_line(model);
	vio_pci_model_messages(model);
}

void vio_pci_device_config_write(struct vio_pci_device *model, unsigned offset, unsigned width,
				 uint32_t value)
{
	struct vio_pci_trace access = {
		NULL, VIO_PCI_CONFIG_SPACE, offset, width, true, value, VIO_PCI_DONE
	};
	bool any = false, possible = false;
	unsigned i;

	model->outcome = VIO_PCI_DONE;
	for (i = 0; there(model, offset, width) && i < width; i++) {
		uint8_t *byte = &model->space[offset + i], mask = model->writable[offset + i];
		uint8_t now = (uint8_t)((*byte & ~mask) | ((uint8_t)(value >> (8 * i)) & mask));

		any |= now != *byte;
		possible |= mask != 0;
		*byte = now;
	}
	if (model->outcome == VIO_PCI_DONE) {
		access.name = name_of(model, offset, width);
		if (!possible)
			model->outcome = VIO_PCI_READ_ONLY; /* hostile: A102 */
		if (any)
			changed(model, offset, width);
		if (touches_window(model, offset, width))
			window_write(model);
	}
	vio_pci_model_trace(model, &access);
}
