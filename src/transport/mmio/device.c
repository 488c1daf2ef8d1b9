/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <vireo/device.h>
#include <vireo/mmio.h>
#include <vireo/spec/virtio_ring.h>

#include "transport/legacy.h"

#define MODERN 1u
#define LEGACY 2u
#define BOTH   (MODERN | LEGACY)

#define NO_REGION UINT32_MAX /* SHMLen and SHMBase of a region that isn't there */

/*
 * A register: at its offset in the table, with a handler for each direction that it has.
 * `argument` tells registers apart that share handlers.
 */
struct mmio_register {
	const char *name;
	unsigned versions;
	uint32_t (*read)(struct vio_mmio_device *model, uint32_t argument);
	void (*write)(struct vio_mmio_device *model, uint32_t argument, uint32_t value);
	uint32_t argument;
};

static struct vio_device *device_of(const struct vio_mmio_device *model)
{
	return model->config.device;
}

static bool is_legacy(const struct vio_mmio_device *model)
{
	return model->config.version == VIRTIO_MMIO_VERSION_LEGACY;
}

/* The queue that is selected, or NULL (hostile: A79). */
static struct vio_mmio_queue *selected(struct vio_mmio_device *model)
{
	return model->queue_sel < device_of(model)->queue_count ? &model->config.queues[model->queue_sel]
								: NULL;
}

static void ignore(struct vio_mmio_device *model)
{
	model->outcome = VIO_MMIO_IGNORED;
}

/* spec: DEV-MMIO-003 DEV-MMIO-004, the line is high as long as a bit is set. */
static void interrupt_set(struct vio_mmio_device *model, uint32_t status)
{
	bool was = model->interrupt_status != 0;

	model->interrupt_status = status;
	if (was != (status != 0))
		model->config.interrupt(model->config.context, status != 0);
}

static void queue_interrupt(void *context, uint16_t queue)
{
	struct vio_mmio_device *model = context;

	interrupt_set(model, model->interrupt_status | VIRTIO_MMIO_INT_VRING);
}

static void config_interrupt(void *context)
{
	struct vio_mmio_device *model = context;

	interrupt_set(model, model->interrupt_status | VIRTIO_MMIO_INT_CONFIG);
}

static void kick_again(void *context, uint16_t queue)
{
	struct vio_mmio_device *model = context;

	model->config.queues[queue].again = true;
	if (model->config.work)
		model->config.work(model->config.context);
}

static void fault(void *context, const struct vio_fault *what)
{
	struct vio_mmio_device *model = context;

	if (model->config.fault)
		model->config.fault(model->config.context, what);
}

static const struct vio_device_events events = {
	.queue_interrupt = queue_interrupt,
	.config_interrupt = config_interrupt,
	.kick_again = kick_again,
	.fault = fault,
};

/* What a driver of this version can negotiate; without VERSION_1 the device core has a legacy driver. */
static struct vio_features carried(const struct vio_mmio_device *model)
{
	struct vio_features all = { { UINT64_MAX, UINT64_MAX } };

	if (is_legacy(model))
		return vio_features_low(UINT32_MAX);
	vio_features_clear(&all, VIRTIO_F_SR_IOV);
	vio_features_clear(&all, VIRTIO_F_NOTIF_CONFIG_DATA);
	vio_features_clear(&all, VIRTIO_F_ADMIN_VQ);
	return all;
}

/* The model's part of a reset; the device core's is done. spec: DEV-MMIO-005 DEV-MMIO-008 */
static void forget(struct vio_mmio_device *model)
{
	uint16_t queue;

	for (queue = 0; queue < device_of(model)->queue_count; queue++)
		model->config.queues[queue] = (struct vio_mmio_queue){ .size = device_of(model)->queue_size };
	model->device_features_sel = 0;
	model->driver_features_sel = 0;
	model->queue_sel = 0;
	model->guest_page_size = 0;
	model->legacy_status = 0;
	model->driver_features = VIO_FEATURES_NONE;
	interrupt_set(model, 0);
}

static uint32_t read_constant(struct vio_mmio_device *model, uint32_t argument)
{
	return argument;
}

/* spec: DEV-MMIO-002 */
static uint32_t read_version(struct vio_mmio_device *model, uint32_t argument)
{
	return model->config.version;
}

static uint32_t read_device_id(struct vio_mmio_device *model, uint32_t argument)
{
	return device_of(model)->id;
}

static uint32_t read_vendor_id(struct vio_mmio_device *model, uint32_t argument)
{
	return model->config.vendor;
}

static uint32_t read_device_features(struct vio_mmio_device *model, uint32_t argument)
{
	struct vio_features offer = vio_device_features(device_of(model));
	uint32_t word = model->device_features_sel;

	if (is_legacy(model)) /* spec: DEV-BASIC-032, framing means nothing to our devices */
		vio_features_set(&offer, VIRTIO_F_ANY_LAYOUT);
	return word < VIO_FEATURE_BITS / 32 ? (uint32_t)(offer.word[word / 2] >> (word % 2 * 32)) : 0;
}

static void write_device_sel(struct vio_mmio_device *model, uint32_t argument, uint32_t value)
{
	model->device_features_sel = value;
}

static void write_driver_sel(struct vio_mmio_device *model, uint32_t argument, uint32_t value)
{
	model->driver_features_sel = value;
}

static void write_driver_features(struct vio_mmio_device *model, uint32_t argument, uint32_t value)
{
	uint32_t word = model->driver_features_sel;
	struct vio_device *device = device_of(model);
	uint64_t *half;

	if (word >= VIO_FEATURE_BITS / 32 ||
	    (device->status & VIRTIO_CONFIG_S_FEATURES_OK)) { /* hostile: A90 */
		ignore(model);
		return;
	}
	half = &model->driver_features.word[word / 2];
	*half = (*half & ~((uint64_t)UINT32_MAX << (word % 2 * 32))) | (uint64_t)value << (word % 2 * 32);
	vio_device_write_features(device, &model->driver_features);
}

static void write_queue_sel(struct vio_mmio_device *model, uint32_t argument, uint32_t value)
{
	model->queue_sel = value;
}

static uint32_t read_queue_size_max(struct vio_mmio_device *model, uint32_t argument)
{
	return selected(model) ? device_of(model)->queue_size : 0;
}

/* The selected queue if it may be configured now, or NULL. hostile: A81 A82 */
static struct vio_mmio_queue *configurable(struct vio_mmio_device *model)
{
	struct vio_mmio_queue *queue = selected(model);

	if (queue && !queue->ready)
		return queue;
	ignore(model);
	return NULL;
}

static void write_queue_size(struct vio_mmio_device *model, uint32_t argument, uint32_t value)
{
	struct vio_mmio_queue *queue = configurable(model);

	if (!queue)
		return;
	queue->size = vio_device_can_size(device_of(model), value) && value <= device_of(model)->queue_size
			      ? value
			      : 0;
	if (!queue->size) /* hostile: A80, nor is it enabled with a size that the driver doesn't believe in */
		ignore(model);
}

static void write_queue_address(struct vio_mmio_device *model, uint32_t argument, uint32_t value)
{
	struct vio_mmio_queue *queue = configurable(model);
	unsigned shift = argument % 2 * 32;

	if (queue)
		queue->area[argument / 2] = (queue->area[argument / 2] & ~((uint64_t)UINT32_MAX << shift)) |
					    (uint64_t)value << shift;
}

static bool queue_start(struct vio_mmio_device *model, struct vio_mmio_queue *queue)
{
	const struct vio_devq_config config = {
		.size = (uint16_t)queue->size,
		.at = vio_devq_position_first(&device_of(model)->features_accepted),
		.descriptor_area = vio_addr_make(queue->area[0]),
		.driver_area = vio_addr_make(queue->area[1]),
		.device_area = vio_addr_make(queue->area[2]),
	};

	queue->ready = true; /* before the device may look at it and report */
	if (queue->size && !vio_device_queue_start(device_of(model), (uint16_t)model->queue_sel, &config))
		return true;
	queue->ready = false;
	ignore(model);
	return false;
}

static void queue_stop(struct vio_mmio_device *model, struct vio_mmio_queue *queue)
{
	vio_device_queue_stop(device_of(model),
			      (uint16_t)model->queue_sel); /* spec: DEV-MMIO-007 DEV-RING-001 */
	queue->ready = false;
}

static uint32_t read_queue_ready(struct vio_mmio_device *model, uint32_t argument)
{
	struct vio_mmio_queue *queue = selected(model);

	return queue && queue->ready;
}

static void write_queue_ready(struct vio_mmio_device *model, uint32_t argument, uint32_t value)
{
	struct vio_mmio_queue *queue = selected(model);

	if (!queue || value > 1 || queue->ready == (value == 1)) { /* hostile: A79 A83 */
		ignore(model);
		return;
	}
	if (value)
		queue_start(model, queue);
	else
		queue_stop(model, queue);
}

/* spec: DEV-MMIO-009 DEV-MMIO-011 DEV-MMIO-012, a queue's reset is over when the write is. */
static void write_queue_reset(struct vio_mmio_device *model, uint32_t argument, uint32_t value)
{
	struct vio_mmio_queue *queue = selected(model);

	/* hostile: A97 A98 */
	if (!queue || value != 1 || !vio_device_has_feature(device_of(model), VIRTIO_F_RING_RESET)) {
		ignore(model);
		return;
	}
	queue_stop(model, queue);                                                 /* spec: DEV-MMIO-010 */
	*queue = (struct vio_mmio_queue){ .size = device_of(model)->queue_size }; /* spec: DEV-RING-002 */
}

static void write_guest_page_size(struct vio_mmio_device *model, uint32_t argument, uint32_t value)
{
	if (!vio_is_power_of_two(value)) { /* hostile: A103 */
		ignore(model);
		return;
	}
	model->guest_page_size = value;
}

static void write_queue_align(struct vio_mmio_device *model, uint32_t argument, uint32_t value)
{
	struct vio_mmio_queue *queue = configurable(model);

	if (queue)
		queue->align = value;
}

static uint32_t read_queue_pfn(struct vio_mmio_device *model, uint32_t argument)
{
	struct vio_mmio_queue *queue = selected(model);

	return queue ? queue->pfn : 0;
}

/* hostile: A82 A103, a page size or alignment that isn't one refuses; what wraps is outside of memory. */
static void write_queue_pfn(struct vio_mmio_device *model, uint32_t argument, uint32_t value)
{
	struct vio_mmio_queue *queue = selected(model);

	if (queue && !value) {
		queue_stop(model, queue);
		queue->pfn = 0;
		return;
	}
	queue = configurable(model);
	if (!queue)
		return;
	if (!model->guest_page_size || !vio_is_power_of_two(queue->align)) {
		ignore(model);
		return;
	}
	vio_legacy_advance(device_of(model), model->driver_features, 0);
	queue->area[0] = (uint64_t)value * model->guest_page_size;
	queue->area[1] = queue->area[0] + 16ull * queue->size;
	queue->area[2] =
		(queue->area[1] + 6 + 2ull * queue->size + queue->align - 1) & ~((uint64_t)queue->align - 1);
	if (queue_start(model, queue))
		queue->pfn = value;
}

static void write_queue_notify(struct vio_mmio_device *model, uint32_t argument, uint32_t value)
{
	if (vio_device_has_feature(device_of(model), VIRTIO_F_NOTIFICATION_DATA))
		value &= UINT16_MAX;
	if (value >= device_of(model)->queue_count ||
	    !model->config.queues[value].ready) { /* hostile: A84 A85 A86 */
		ignore(model);
		return;
	}
	if (is_legacy(model) && !(device_of(model)->status & VIRTIO_CONFIG_S_DRIVER_OK))
		vio_legacy_advance(device_of(model), model->driver_features,
				   VIRTIO_CONFIG_S_DRIVER_OK); /* which kicks */
	else
		vio_device_kick(device_of(model), (uint16_t)value);
}

static uint32_t read_interrupt_status(struct vio_mmio_device *model, uint32_t argument)
{
	return model->interrupt_status;
}

static void write_interrupt_ack(struct vio_mmio_device *model, uint32_t argument, uint32_t value)
{
	interrupt_set(model, model->interrupt_status & ~value);
}

static uint32_t read_status(struct vio_mmio_device *model, uint32_t argument)
{
	uint8_t status = device_of(model)->status;

	return is_legacy(model) ? model->legacy_status | (status & VIRTIO_CONFIG_S_NEEDS_RESET) : status;
}

static void write_status(struct vio_mmio_device *model, uint32_t argument, uint32_t value)
{
	const uint8_t known = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
			      VIRTIO_CONFIG_S_DRIVER_OK | VIRTIO_CONFIG_S_FAILED;

	if (value > UINT8_MAX) {
		ignore(model);
		return;
	}
	if (!value) {
		vio_device_reset(device_of(model));
		forget(model);
		return;
	}
	if (!is_legacy(model)) {
		vio_device_write_status(device_of(model), (uint8_t)value);
		return;
	}
	model->legacy_status |= (uint8_t)value & known;
	if (value & VIRTIO_CONFIG_S_DRIVER_OK)
		vio_legacy_advance(device_of(model), model->driver_features, VIRTIO_CONFIG_S_DRIVER_OK);
	if (value & VIRTIO_CONFIG_S_FAILED)
		vio_device_write_status(device_of(model), VIRTIO_CONFIG_S_FAILED);
}

static void write_shm_sel(struct vio_mmio_device *model, uint32_t argument, uint32_t value)
{
}

/* spec: DEV-MMIO-006 */
static uint32_t read_config_generation(struct vio_mmio_device *model, uint32_t argument)
{
	return device_of(model)->config_generation;
}

#define AT(offset) [(offset) / 4]
/* clang-format off */
#define ADDRESS(text, which) { text, MODERN, NULL, write_queue_address, which }

static const struct mmio_register registers[VIRTIO_MMIO_CONFIG / 4] = {
	/* spec: DEV-MMIO-001 */
	AT(VIRTIO_MMIO_MAGIC_VALUE) = { "MagicValue", BOTH, read_constant, NULL, VIRTIO_MMIO_MAGIC },
	AT(VIRTIO_MMIO_VERSION) = { "Version", BOTH, read_version, NULL, 0 },
	AT(VIRTIO_MMIO_DEVICE_ID) = { "DeviceID", BOTH, read_device_id, NULL, 0 },
	AT(VIRTIO_MMIO_VENDOR_ID) = { "VendorID", BOTH, read_vendor_id, NULL, 0 },
	AT(VIRTIO_MMIO_DEVICE_FEATURES) = { "DeviceFeatures", BOTH, read_device_features, NULL, 0 },
	AT(VIRTIO_MMIO_DEVICE_FEATURES_SEL) = { "DeviceFeaturesSel", BOTH, NULL, write_device_sel, 0 },
	AT(VIRTIO_MMIO_DRIVER_FEATURES) = { "DriverFeatures", BOTH, NULL, write_driver_features, 0 },
	AT(VIRTIO_MMIO_DRIVER_FEATURES_SEL) = { "DriverFeaturesSel", BOTH, NULL, write_driver_sel, 0 },
	AT(VIRTIO_MMIO_GUEST_PAGE_SIZE) = { "GuestPageSize", LEGACY, NULL, write_guest_page_size, 0 },
	AT(VIRTIO_MMIO_QUEUE_SEL) = { "QueueSel", BOTH, NULL, write_queue_sel, 0 },
	AT(VIRTIO_MMIO_QUEUE_SIZE_MAX) = { "QueueSizeMax", BOTH, read_queue_size_max, NULL, 0 },
	AT(VIRTIO_MMIO_QUEUE_SIZE) = { "QueueSize", BOTH, NULL, write_queue_size, 0 },
	AT(VIRTIO_MMIO_QUEUE_ALIGN) = { "QueueAlign", LEGACY, NULL, write_queue_align, 0 },
	AT(VIRTIO_MMIO_QUEUE_PFN) = { "QueuePFN", LEGACY, read_queue_pfn, write_queue_pfn, 0 },
	AT(VIRTIO_MMIO_QUEUE_READY) = { "QueueReady", MODERN, read_queue_ready, write_queue_ready, 0 },
	AT(VIRTIO_MMIO_QUEUE_NOTIFY) = { "QueueNotify", BOTH, NULL, write_queue_notify, 0 },
	AT(VIRTIO_MMIO_INTERRUPT_STATUS) = { "InterruptStatus", BOTH, read_interrupt_status, NULL, 0 },
	AT(VIRTIO_MMIO_INTERRUPT_ACK) = { "InterruptACK", BOTH, NULL, write_interrupt_ack, 0 },
	AT(VIRTIO_MMIO_STATUS) = { "Status", BOTH, read_status, write_status, 0 },
	AT(VIRTIO_MMIO_QUEUE_DESC_LOW) = ADDRESS("QueueDescLow", 0),
	AT(VIRTIO_MMIO_QUEUE_DESC_HIGH) = ADDRESS("QueueDescHigh", 1),
	AT(VIRTIO_MMIO_QUEUE_DRIVER_LOW) = ADDRESS("QueueDriverLow", 2),
	AT(VIRTIO_MMIO_QUEUE_DRIVER_HIGH) = ADDRESS("QueueDriverHigh", 3),
	AT(VIRTIO_MMIO_QUEUE_DEVICE_LOW) = ADDRESS("QueueDeviceLow", 4),
	AT(VIRTIO_MMIO_QUEUE_DEVICE_HIGH) = ADDRESS("QueueDeviceHigh", 5),
	AT(VIRTIO_MMIO_SHM_SEL) = { "SHMSel", MODERN, NULL, write_shm_sel, 0 },
	AT(VIRTIO_MMIO_SHM_LEN_LOW) = { "SHMLenLow", MODERN, read_constant, NULL, NO_REGION },
	AT(VIRTIO_MMIO_SHM_LEN_HIGH) = { "SHMLenHigh", MODERN, read_constant, NULL, NO_REGION },
	AT(VIRTIO_MMIO_SHM_BASE_LOW) = { "SHMBaseLow", MODERN, read_constant, NULL, NO_REGION },
	AT(VIRTIO_MMIO_SHM_BASE_HIGH) = { "SHMBaseHigh", MODERN, read_constant, NULL, NO_REGION },
	AT(VIRTIO_MMIO_QUEUE_RESET) = { "QueueReset", MODERN, read_constant, write_queue_reset, 0 },
	AT(VIRTIO_MMIO_CONFIG_GENERATION) = { "ConfigGeneration", MODERN, read_config_generation, NULL, 0 },
};
/* clang-format on */

/* The register that starts here in the model's version, or NULL and the outcome set. hostile: A101 A103 */
static const struct mmio_register *find(struct vio_mmio_device *model, uint64_t offset, unsigned width)
{
	const struct mmio_register *found = &registers[offset / 4];

	if (!(found->versions & (is_legacy(model) ? LEGACY : MODERN))) {
		model->outcome = VIO_MMIO_NO_REGISTER;
		return NULL;
	}
	if (width != 4 || offset % 4)
		model->outcome = VIO_MMIO_BAD_WIDTH;
	return found;
}

static bool config_width(unsigned width)
{
	return width == 1 || width == 2 || width == 4 || width == 8;
}

static void trace(struct vio_mmio_device *model, const struct vio_mmio_trace *access)
{
	struct vio_mmio_trace complete = *access;

	complete.outcome = model->outcome;
	if (model->config.trace)
		model->config.trace(model->config.context, &complete);
}

static uint64_t read_config(struct vio_mmio_device *model, uint64_t offset, unsigned width)
{
	uint8_t bytes[8] = { 0 };
	uint64_t value = 0;
	unsigned i;

	if (!config_width(width)) {
		model->outcome = VIO_MMIO_BAD_WIDTH;
		return 0;
	}
	if (offset >= device_of(model)->config_bytes) { /* hostile: A100 */
		model->outcome = VIO_MMIO_NO_REGISTER;
		return 0;
	}
	vio_device_read_config(device_of(model), (uint32_t)offset, bytes, width);
	for (i = 0; i < width; i++)
		value |= (uint64_t)bytes[i] << (8 * i);
	return value;
}

static void write_config(struct vio_mmio_device *model, uint64_t offset, unsigned width, uint64_t value)
{
	uint8_t bytes[8];
	unsigned i;

	if (!config_width(width)) {
		model->outcome = VIO_MMIO_BAD_WIDTH;
		return;
	}
	for (i = 0; i < width; i++)
		bytes[i] = (uint8_t)(value >> (8 * i));
	/* spec: DEV-BASIC-015 */
	if (offset >= device_of(model)->config_bytes ||
	    vio_device_write_config(device_of(model), (uint32_t)offset, bytes, width))
		model->outcome = VIO_MMIO_NO_REGISTER;
}

uint64_t vio_mmio_device_read(struct vio_mmio_device *model, uint64_t offset, unsigned width)
{
	struct vio_mmio_trace access = { "Config", offset, width, false, 0, VIO_MMIO_DONE };

	model->outcome = VIO_MMIO_DONE;
	if (offset >= VIRTIO_MMIO_CONFIG) {
		access.value = read_config(model, offset - VIRTIO_MMIO_CONFIG, width);
	} else {
		const struct mmio_register *found = find(model, offset, width);

		access.name = found ? found->name : NULL;
		if (found && !found->read)
			model->outcome = VIO_MMIO_WRITE_ONLY; /* hostile: A102 */
		if (model->outcome == VIO_MMIO_DONE)
			access.value = found->read(model, found->argument);
	}
	trace(model, &access);
	return access.value;
}

void vio_mmio_device_write(struct vio_mmio_device *model, uint64_t offset, unsigned width, uint64_t value)
{
	struct vio_mmio_trace access = { "Config", offset, width, true, value, VIO_MMIO_DONE };

	model->outcome = VIO_MMIO_DONE;
	if (offset >= VIRTIO_MMIO_CONFIG) {
		write_config(model, offset - VIRTIO_MMIO_CONFIG, width, value);
	} else {
		const struct mmio_register *found = find(model, offset, width);

		access.name = found ? found->name : NULL;
		if (found && !found->write)
			model->outcome = VIO_MMIO_READ_ONLY; /* hostile: A102 */
		if (model->outcome == VIO_MMIO_DONE)
			found->write(model, found->argument, (uint32_t)value);
	}
	trace(model, &access);
}

bool vio_mmio_device_run(struct vio_mmio_device *model)
{
	bool more = false;
	uint16_t queue;

	for (queue = 0; queue < device_of(model)->queue_count; queue++) {
		if (!model->config.queues[queue].again)
			continue;
		model->config.queues[queue].again = false;
		vio_device_kick(device_of(model), queue); /* may set it again */
		more |= model->config.queues[queue].again;
	}
	return more;
}

int vio_mmio_device_init(struct vio_mmio_device *model, const struct vio_mmio_device_config *config)
{
	struct vio_features features;

	if (config->version != VIRTIO_MMIO_VERSION_MODERN && config->version != VIRTIO_MMIO_VERSION_LEGACY)
		return -VIO_ENOTSUP;
	if (config->device->phase != VIO_DEVICE_READY)
		return -VIO_EPHASE;
	memset(model, 0, sizeof(*model));
	model->config = *config;
	features = carried(model);
	vio_device_attach(config->device, config->mem, &features, &events, model);
	forget(model);
	return 0;
}

void vio_mmio_device_end(struct vio_mmio_device *model)
{
	vio_device_detach(device_of(model));
	forget(model);
}
