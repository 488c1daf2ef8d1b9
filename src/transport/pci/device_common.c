/* SPDX-License-Identifier: BSD-3-Clause */
#include "transport/pci/model.h"

/* The common configuration (4.1.4.3), and what the legacy header has of the same. */

struct vio_features vio_pci_model_carried(bool legacy)
{
	struct vio_features all = { { UINT64_MAX, UINT64_MAX } };

	if (legacy) /* spec: DEV-PCI-059 */
		return vio_features_low(UINT32_MAX);
	vio_features_clear(&all, VIRTIO_F_SR_IOV);
	vio_features_clear(&all, VIRTIO_F_ADMIN_VQ);
	return all;
}

static void choose_interface(struct vio_pci_device *model, bool legacy)
{
	model->legacy = legacy;
	model_device(model)->features_carried = vio_pci_model_carried(legacy);
}

bool vio_pci_model_speaks(struct vio_pci_device *model, bool legacy)
{
	bool begun = model_device(model)->status || model->legacy_status;

	if (model->legacy != legacy && !begun)
		choose_interface(model, legacy);
	if (model->legacy != legacy) /* hostile: A94 A103 */
		model_ignore(model);
	return model->legacy == legacy;
}

/* The model's part of a reset; the device core's is done. */
void vio_pci_model_forget(struct vio_pci_device *model)
{
	struct vio_device *device = model_device(model);
	uint16_t queue;

	/* spec: DEV-PCI-019 DEV-PCI-020 DEV-PCI-068 */
	for (queue = 0; queue < device->queue_count; queue++)
		model->config.queues[queue] =
			(struct vio_pci_queue){ .size = device->queue_size, .vector = VIRTIO_MSI_NO_VECTOR };
	model->config_vector = VIRTIO_MSI_NO_VECTOR;
	model->device_feature_select = 0;
	model->driver_feature_select = 0;
	model->queue_select = 0;
	model->legacy_status = 0;
	model->driver_features = VIO_FEATURES_NONE;
	model->isr = 0;
	choose_interface(model, model->config.kind == VIO_PCI_LEGACY);
	vio_pci_model_messages_forget(model);
	vio_pci_model_line(model);
}

/* hostile: A79 */
struct vio_pci_queue *vio_pci_model_queue(struct vio_pci_device *model)
{
	return model->queue_select < model_device(model)->queue_count
		       ? &model->config.queues[model->queue_select]
		       : NULL;
}

bool vio_pci_model_queue_start(struct vio_pci_device *model, struct vio_pci_queue *queue)
{
	struct vio_devq_config config = {
		.size = (uint16_t)queue->size,
		.at = vio_devq_position_first(&model_device(model)->features_accepted),
		.descriptor_area = vio_addr_make(queue->area[0]),
		.driver_area = vio_addr_make(queue->area[1]),
		.device_area = vio_addr_make(queue->area[2]),
	};

	queue->again = false;
	queue->enabled = true; /* before the device may look at it and report */
	if (model->config.starting)
		model->config.starting(model->config.context, model->queue_select, &config);
	if (queue->size && !vio_device_queue_start(model_device(model), model->queue_select, &config))
		return true;
	queue->enabled = false;
	model_ignore(model);
	return false;
}

void vio_pci_model_queue_stop(struct vio_pci_device *model, struct vio_pci_queue *queue)
{
	vio_device_queue_stop(model_device(model), model->queue_select); /* spec: DEV-RING-001 */
	queue->enabled = false;
	queue->again = false;
}

uint32_t vio_pci_model_take_isr(struct vio_pci_device *model, uint32_t argument)
{
	uint32_t isr = model->isr;

	model->isr = 0; /* spec: DEV-PCI-044 */
	vio_pci_model_line(model);
	return isr;
}

static uint16_t *mapping(struct vio_pci_device *model, uint32_t argument)
{
	struct vio_pci_queue *queue = vio_pci_model_queue(model);

	if (argument == MODEL_VECTOR_CONFIG)
		return &model->config_vector;
	return queue ? &queue->vector : NULL;
}

/* spec: DEV-PCI-067 */
uint32_t vio_pci_model_vector_read(struct vio_pci_device *model, uint32_t argument)
{
	const uint16_t *vector = mapping(model, argument);

	return vector ? *vector : VIRTIO_MSI_NO_VECTOR;
}

/* spec: DEV-PCI-065 DEV-PCI-066 DEV-PCI-069 DEV-PCI-070 */
void vio_pci_model_vector_write(struct vio_pci_device *model, uint32_t argument, uint32_t value)
{
	uint16_t *vector = mapping(model, argument);

	if (!vector) {
		model_ignore(model);
		return;
	}
	*vector = value < model->config.vectors ? (uint16_t)value : VIRTIO_MSI_NO_VECTOR;
	if (*vector != value)
		model_ignore(model);
}

void vio_pci_model_notify(struct vio_pci_device *model, uint32_t queue)
{
	if (queue >= model_device(model)->queue_count ||
	    !model->config.queues[queue].enabled) { /* hostile: A84 A85 A86 */
		model_ignore(model);
		return;
	}
	vio_device_kick(model_device(model), (uint16_t)queue);
}

static uint32_t read_device_feature_select(struct vio_pci_device *model, uint32_t argument)
{
	return model->device_feature_select;
}

static void write_device_feature_select(struct vio_pci_device *model, uint32_t argument, uint32_t value)
{
	model->device_feature_select = value;
}

static uint32_t feature_word(const struct vio_features *features, uint32_t select)
{
	return select < VIO_FEATURE_BITS / 32 ? (uint32_t)(features->word[select / 2] >> (select % 2 * 32))
					      : 0;
}

/* spec: DEV-PCI-015 */
static uint32_t read_device_feature(struct vio_pci_device *model, uint32_t argument)
{
	struct vio_features offer =
		vio_features_and(model_device(model)->features_offered, vio_pci_model_carried(false));

	return feature_word(&offer, model->device_feature_select);
}

static uint32_t read_driver_feature_select(struct vio_pci_device *model, uint32_t argument)
{
	return model->driver_feature_select;
}

static void write_driver_feature_select(struct vio_pci_device *model, uint32_t argument, uint32_t value)
{
	model->driver_feature_select = value;
}

/* spec: DEV-PCI-016 */
static uint32_t read_driver_feature(struct vio_pci_device *model, uint32_t argument)
{
	return feature_word(&model->driver_features, model->driver_feature_select);
}

static void write_driver_feature(struct vio_pci_device *model, uint32_t argument, uint32_t value)
{
	uint32_t select = model->driver_feature_select, shift = select % 2 * 32;
	struct vio_device *device = model_device(model);
	uint64_t *half;

	if (!vio_pci_model_speaks(model, false))
		return;
	if (select >= VIO_FEATURE_BITS / 32 ||
	    (device->status & VIRTIO_CONFIG_S_FEATURES_OK)) { /* hostile: A90 */
		model_ignore(model);
		return;
	}
	half = &model->driver_features.word[select / 2];
	*half = (*half & ~((uint64_t)UINT32_MAX << shift)) | (uint64_t)value << shift;
	vio_device_write_features(device, &model->driver_features);
}

static uint32_t read_num_queues(struct vio_pci_device *model, uint32_t argument)
{
	return model_device(model)->queue_count;
}

static uint32_t read_status(struct vio_pci_device *model, uint32_t argument)
{
	return model_device(model)->status;
}

static void write_status(struct vio_pci_device *model, uint32_t argument, uint32_t value)
{
	if (!value) { /* spec: DEV-PCI-018 */
		vio_device_reset(model_device(model));
		vio_pci_model_forget(model);
	} else if (vio_pci_model_speaks(model, false)) {
		vio_device_write_status(model_device(model), (uint8_t)value);
	}
}

/* spec: DEV-PCI-017, the core counts only after reads. */
static uint32_t read_generation(struct vio_pci_device *model, uint32_t argument)
{
	return (uint8_t)model_device(model)->config_generation;
}

static uint32_t read_queue_select(struct vio_pci_device *model, uint32_t argument)
{
	return model->queue_select;
}

static void write_queue_select(struct vio_pci_device *model, uint32_t argument, uint32_t value)
{
	model->queue_select = (uint16_t)value;
}

/* spec: DEV-PCI-025 DEV-PCI-026 */
static uint32_t read_queue_size(struct vio_pci_device *model, uint32_t argument)
{
	const struct vio_pci_queue *queue = vio_pci_model_queue(model);

	return queue ? queue->size : 0;
}

/* The selected queue if it may be configured now, or NULL. hostile: A81 A82 */
static struct vio_pci_queue *configurable(struct vio_pci_device *model)
{
	struct vio_pci_queue *queue = vio_pci_model_queue(model);

	if (!vio_pci_model_speaks(model, false))
		return NULL;
	if (queue && !queue->enabled)
		return queue;
	model_ignore(model);
	return NULL;
}

static void write_queue_size(struct vio_pci_device *model, uint32_t argument, uint32_t value)
{
	struct vio_pci_queue *queue = configurable(model);

	if (!queue)
		return;
	queue->size =
		vio_device_can_size(model_device(model), value) && value <= model_device(model)->queue_size
			? value
			: 0;
	if (!queue->size) /* hostile: A80, nor is it enabled with a size that the driver doesn't believe in */
		model_ignore(model);
}

static uint32_t read_queue_enable(struct vio_pci_device *model, uint32_t argument)
{
	const struct vio_pci_queue *queue = vio_pci_model_queue(model);

	return queue && queue->enabled;
}

static void write_queue_enable(struct vio_pci_device *model, uint32_t argument, uint32_t value)
{
	struct vio_pci_queue *queue = configurable(model); /* hostile: A83, once only */

	if (queue && value == 1)
		vio_pci_model_queue_start(model, queue);
	else
		model_ignore(model);
}

/* spec: DEV-PCI-033 DEV-PCI-038 */
static uint32_t read_queue_notify_off(struct vio_pci_device *model, uint32_t argument)
{
	return vio_pci_model_queue(model) ? model->queue_select : 0;
}

/* spec: DEV-PCI-010 */
static uint32_t read_queue_address(struct vio_pci_device *model, uint32_t argument)
{
	const struct vio_pci_queue *queue = vio_pci_model_queue(model);

	return queue ? (uint32_t)(queue->area[argument / 2] >> (argument % 2 * 32)) : 0;
}

static void write_queue_address(struct vio_pci_device *model, uint32_t argument, uint32_t value)
{
	struct vio_pci_queue *queue = configurable(model);
	unsigned shift = argument % 2 * 32;

	if (queue)
		queue->area[argument / 2] = (queue->area[argument / 2] & ~((uint64_t)UINT32_MAX << shift)) |
					    (uint64_t)value << shift;
}

static uint32_t read_zero(struct vio_pci_device *model, uint32_t argument)
{
	return 0;
}

/* spec: DEV-PCI-021 DEV-PCI-022 DEV-PCI-023 DEV-PCI-024, a queue's reset is over when the write is. */
static void write_queue_reset(struct vio_pci_device *model, uint32_t argument, uint32_t value)
{
	struct vio_pci_queue *queue = vio_pci_model_queue(model);

	/* hostile: A97 A98 */
	if (!queue || value != 1 || !vio_device_has_feature(model_device(model), VIRTIO_F_RING_RESET)) {
		model_ignore(model);
		return;
	}
	vio_pci_model_queue_stop(model, queue);
	*queue = (struct vio_pci_queue){ .size = model_device(model)->queue_size, /* spec: DEV-RING-002 */
					 .vector = VIRTIO_MSI_NO_VECTOR };
}

/* clang-format off */
static const struct model_register registers[] = {
	{ "device_feature_select", VIRTIO_PCI_COMMON_DFSELECT, 4,
	  read_device_feature_select, write_device_feature_select, 0 },
	{ "device_feature", VIRTIO_PCI_COMMON_DF, 4, read_device_feature, NULL, 0 },
	{ "driver_feature_select", VIRTIO_PCI_COMMON_GFSELECT, 4,
	  read_driver_feature_select, write_driver_feature_select, 0 },
	{ "driver_feature", VIRTIO_PCI_COMMON_GF, 4, read_driver_feature, write_driver_feature, 0 },
	{ "config_msix_vector", VIRTIO_PCI_COMMON_MSIX, 2,
	  vio_pci_model_vector_read, vio_pci_model_vector_write, MODEL_VECTOR_CONFIG },
	{ "num_queues", VIRTIO_PCI_COMMON_NUMQ, 2, read_num_queues, NULL, 0 },
	{ "device_status", VIRTIO_PCI_COMMON_STATUS, 1, read_status, write_status, 0 },
	{ "config_generation", VIRTIO_PCI_COMMON_CFGGENERATION, 1, read_generation, NULL, 0 },
	{ "queue_select", VIRTIO_PCI_COMMON_Q_SELECT, 2, read_queue_select, write_queue_select, 0 },
	{ "queue_size", VIRTIO_PCI_COMMON_Q_SIZE, 2, read_queue_size, write_queue_size, 0 },
	{ "queue_msix_vector", VIRTIO_PCI_COMMON_Q_MSIX, 2,
	  vio_pci_model_vector_read, vio_pci_model_vector_write, MODEL_VECTOR_QUEUE },
	{ "queue_enable", VIRTIO_PCI_COMMON_Q_ENABLE, 2, read_queue_enable, write_queue_enable, 0 },
	{ "queue_notify_off", VIRTIO_PCI_COMMON_Q_NOFF, 2, read_queue_notify_off, NULL, 0 },
	{ "queue_desc", VIRTIO_PCI_COMMON_Q_DESCLO, 4, read_queue_address, write_queue_address, 0 },
	{ "queue_desc (high)", VIRTIO_PCI_COMMON_Q_DESCHI, 4, read_queue_address, write_queue_address, 1 },
	{ "queue_driver", VIRTIO_PCI_COMMON_Q_AVAILLO, 4, read_queue_address, write_queue_address, 2 },
	{ "queue_driver (high)", VIRTIO_PCI_COMMON_Q_AVAILHI, 4, read_queue_address, write_queue_address, 3 },
	{ "queue_device", VIRTIO_PCI_COMMON_Q_USEDLO, 4, read_queue_address, write_queue_address, 4 },
	{ "queue_device (high)", VIRTIO_PCI_COMMON_Q_USEDHI, 4, read_queue_address, write_queue_address, 5 },
	/* The index once more: with one address for all queues it says which. */
	{ "queue_notif_config_data", VIRTIO_PCI_COMMON_Q_NDATA, 2, read_queue_notify_off, NULL, 0 },
	{ "queue_reset", VIRTIO_PCI_COMMON_Q_RESET, 2, read_zero, write_queue_reset, 0 },
	{ "admin_queue_index", VIRTIO_PCI_COMMON_ADM_Q_IDX, 2, read_zero, NULL, 0 },
	{ "admin_queue_num", VIRTIO_PCI_COMMON_ADM_Q_NUM, 2, read_zero, NULL, 0 },
};
/* clang-format on */

const struct model_registers vio_pci_common_registers = { registers, VIO_ARRAY_SIZE(registers) };
