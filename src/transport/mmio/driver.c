/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <vireo/driver.h>
#include <vireo/mmio.h>

#include "transport/field.h"

/* Of a legacy driver's ring. Rings lie in whole pages, and their device areas on cache lines of their own. */
#define LEGACY_PAGE_BYTES  4096u
#define LEGACY_ALIGN_BYTES 64u

static uint32_t mapped_read(void *context, uint32_t offset, unsigned width)
{
	const volatile uint8_t *at = (const volatile uint8_t *)context + offset;

	if (width == 1)
		return *at;
	if (width == 2)
		return VIO_LE16_RAW(*(const volatile uint16_t *)(const volatile void *)at);
	return VIO_LE32_RAW(*(const volatile uint32_t *)(const volatile void *)at);
}

static void mapped_write(void *context, uint32_t offset, unsigned width, uint32_t value)
{
	volatile uint8_t *at = (volatile uint8_t *)context + offset;

	/* What the device will read comes before what makes it read; pairs with its receiving the access. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (width == 1)
		*at = (uint8_t)value;
	else if (width == 2)
		*(volatile uint16_t *)(volatile void *)at = VIO_LE16_RAW((uint16_t)value);
	else
		*(volatile uint32_t *)(volatile void *)at = VIO_LE32_RAW(value);
}

struct vio_mmio_access vio_mmio_access_mapped(volatile void *base)
{
	return (struct vio_mmio_access){ (void *)(uintptr_t)base, mapped_read, mapped_write };
}

/* spec: DRV-MMIO-004 */
static uint32_t get(const struct vio_dev *dev, uint32_t offset)
{
	const struct vio_mmio_driver *mmio = dev->transport_context;

	return mmio->access.read(mmio->access.context, offset, 4);
}

static void set(const struct vio_dev *dev, uint32_t offset, uint32_t value)
{
	const struct vio_mmio_driver *mmio = dev->transport_context;

	mmio->access.write(mmio->access.context, offset, 4, value);
}

static uint8_t get_status(struct vio_dev *dev)
{
	uint32_t status = get(dev, VIRTIO_MMIO_STATUS);

	return status > UINT8_MAX ? UINT8_MAX : (uint8_t)status; /* hostile: B45 */
}

static void set_status(struct vio_dev *dev, uint8_t status)
{
	set(dev, VIRTIO_MMIO_STATUS, status);
}

static unsigned feature_words(const struct vio_dev *dev)
{
	return vio_dev_is_legacy(dev) ? 1 : VIO_FEATURE_BITS / 32;
}

/* spec: DRV-MMIO-010 */
static struct vio_features get_features(struct vio_dev *dev)
{
	struct vio_features features = VIO_FEATURES_NONE;
	unsigned word;

	for (word = 0; word < feature_words(dev); word++) {
		set(dev, VIRTIO_MMIO_DEVICE_FEATURES_SEL, word);
		features.word[word / 2] |= (uint64_t)get(dev, VIRTIO_MMIO_DEVICE_FEATURES) << (word % 2 * 32);
	}
	return features;
}

/* spec: DRV-MMIO-011 */
static void set_features(struct vio_dev *dev, const struct vio_features *features)
{
	unsigned word = feature_words(dev);

	/* From the last, as QEMU takes words behind the second for that one. */
	while (word--) {
		set(dev, VIRTIO_MMIO_DRIVER_FEATURES_SEL, word);
		set(dev, VIRTIO_MMIO_DRIVER_FEATURES,
		    (uint32_t)(features->word[word / 2] >> (word % 2 * 32)));
	}
}

static uint32_t get_generation(struct vio_dev *dev)
{
	return vio_dev_is_legacy(dev) ? 0 : get(dev, VIRTIO_MMIO_CONFIG_GENERATION);
}

/* Bytes as they lie on the wire, also from a legacy device: there they are in the driver's order. */
static int access_config(const struct vio_dev *dev, uint32_t offset, uint8_t *bytes, uint32_t length,
			 bool write)
{
	const struct vio_mmio_driver *mmio = dev->transport_context;
	const struct vio_mmio_access *access = &mmio->access;
	uint32_t most = mmio->window_bytes - VIRTIO_MMIO_CONFIG;
	unsigned width = vio_field_width(offset, length); /* spec: DRV-MMIO-005 */

	/* spec: DRV-MMIO-001 DRV-BASIC-018 DRV-BASIC-019; hostile: B38 */
	if (offset > most || length > most - offset)
		return -VIO_ERANGE;
	offset += VIRTIO_MMIO_CONFIG;
	for (; length; offset += width, bytes += width, length -= width)
		if (write)
			access->write(access->context, offset, width, vio_field_load(bytes, width));
		else
			vio_field_store(bytes, width, access->read(access->context, offset, width));
	return 0;
}

static int read_config(struct vio_dev *dev, uint32_t offset, void *to, uint32_t length)
{
	return access_config(dev, offset, to, length, false);
}

static int write_config(struct vio_dev *dev, uint32_t offset, const void *from, uint32_t length)
{
	return access_config(dev, offset, (uint8_t *)(uintptr_t)from, length, true);
}

static uint32_t queue_size_max(struct vio_dev *dev, uint16_t queue)
{
	set(dev, VIRTIO_MMIO_QUEUE_SEL, queue);
	return get(dev, VIRTIO_MMIO_QUEUE_SIZE_MAX);
}

static void set_address(struct vio_dev *dev, uint32_t low_register, struct vio_addr addr)
{
	set(dev, low_register, (uint32_t)addr.raw);
	set(dev, low_register + 4, (uint32_t)(addr.raw >> 32));
}

static int queue_enable(struct vio_dev *dev, uint16_t queue, const struct vio_queue_place *place)
{
	/* spec: DRV-MMIO-012 DRV-MMIO-013; hostile: B42 */
	if (place->size > queue_size_max(dev, queue) || get(dev, VIRTIO_MMIO_QUEUE_READY))
		return -VIO_EPEER;
	set(dev, VIRTIO_MMIO_QUEUE_SIZE, place->size);
	set_address(dev, VIRTIO_MMIO_QUEUE_DESC_LOW, place->descriptor_area);
	set_address(dev, VIRTIO_MMIO_QUEUE_DRIVER_LOW, place->driver_area);
	set_address(dev, VIRTIO_MMIO_QUEUE_DEVICE_LOW, place->device_area);
	set(dev, VIRTIO_MMIO_QUEUE_READY, 1);
	if (get(dev, VIRTIO_MMIO_QUEUE_READY) == 1)
		return 0;
	/* spec: DRV-MMIO-014 DRV-MMIO-015; hostile: B51 */
	set(dev, VIRTIO_MMIO_QUEUE_READY, 0);
	(void)get(dev, VIRTIO_MMIO_QUEUE_READY);
	return -VIO_EPEER;
}

/* The three areas lie in one piece, from the start of a page. */
static int legacy_queue_enable(struct vio_dev *dev, uint16_t queue, const struct vio_queue_place *place)
{
	uint64_t ring = place->descriptor_area.raw, pfn = ring / LEGACY_PAGE_BYTES;
	uint64_t device_area = ring + 16u * place->size + 6 + 2u * place->size;

	device_area = (device_area + LEGACY_ALIGN_BYTES - 1) / LEGACY_ALIGN_BYTES * LEGACY_ALIGN_BYTES;
	if (ring % LEGACY_PAGE_BYTES || place->driver_area.raw != ring + 16u * place->size ||
	    place->device_area.raw != device_area)
		return -VIO_EINVAL;
	if (!pfn || pfn > UINT32_MAX)
		return -VIO_ERANGE;
	set(dev, VIRTIO_MMIO_GUEST_PAGE_SIZE, LEGACY_PAGE_BYTES);
	set(dev, VIRTIO_MMIO_QUEUE_SEL, queue);
	if (get(dev, VIRTIO_MMIO_QUEUE_PFN) || place->size > get(dev, VIRTIO_MMIO_QUEUE_SIZE_MAX))
		return -VIO_EPEER;
	set(dev, VIRTIO_MMIO_QUEUE_SIZE, place->size);
	set(dev, VIRTIO_MMIO_QUEUE_ALIGN, LEGACY_ALIGN_BYTES);
	set(dev, VIRTIO_MMIO_QUEUE_PFN, (uint32_t)pfn);
	return get(dev, VIRTIO_MMIO_QUEUE_PFN) == pfn ? 0 : -VIO_EPEER;
}

/* spec: DRV-MMIO-019 DRV-RING-001 */
static bool queue_resetting(struct vio_dev *dev, uint16_t queue)
{
	set(dev, VIRTIO_MMIO_QUEUE_SEL, queue);
	return get(dev, VIRTIO_MMIO_QUEUE_RESET) || get(dev, VIRTIO_MMIO_QUEUE_READY);
}

static int queue_reset(struct vio_dev *dev, uint16_t queue)
{
	set(dev, VIRTIO_MMIO_QUEUE_SEL, queue);
	set(dev, VIRTIO_MMIO_QUEUE_RESET, 1);
	/* Devices exist that offer RING_RESET and don't have the register: their queue runs on. */
	return !get(dev, VIRTIO_MMIO_QUEUE_RESET) && get(dev, VIRTIO_MMIO_QUEUE_READY) ? -VIO_ENOTSUP : 0;
}

static void queue_notify(struct vio_dev *dev, struct vio_drvq *q)
{
	uint32_t value = q->index;

	if (vio_dev_has_feature(dev, VIRTIO_F_NOTIFICATION_DATA))
		value |= (uint32_t)vio_drvq_notification_data(q) << 16;
	set(dev, VIRTIO_MMIO_QUEUE_NOTIFY, value);
}

/*
 * spec: DRV-MMIO-016 DRV-MMIO-017 DRV-MMIO-018 DRV-MMIO-026 DRV-MMIO-027 DRV-MMIO-028
 * Acknowledged before the queues are looked at: what the device does meanwhile interrupts again
 * instead of being lost.
 */
static unsigned take_interrupts(struct vio_dev *dev)
{
	uint32_t status =
		get(dev, VIRTIO_MMIO_INTERRUPT_STATUS) & (VIRTIO_MMIO_INT_VRING | VIRTIO_MMIO_INT_CONFIG);

	VIO_STATIC_ASSERT(VIRTIO_MMIO_INT_VRING == VIO_INTERRUPT_QUEUE &&
				  VIRTIO_MMIO_INT_CONFIG == VIO_INTERRUPT_CONFIG,
			  "the register's bits are the core's");
	if (status)
		set(dev, VIRTIO_MMIO_INTERRUPT_ACK, status);
	return status;
}

/* Everything but what belongs to PCI. */
#define CARRIED_LOW                                                                                  \
	(UINT64_MAX & ~(UINT64_C(1) << VIRTIO_F_SR_IOV | UINT64_C(1) << VIRTIO_F_NOTIF_CONFIG_DATA | \
			UINT64_C(1) << VIRTIO_F_ADMIN_VQ))

static const struct vio_transport_ops modern_ops = {
	.name = "virtio-mmio",
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
	.queue_reset = VIO_CONFIG_RING_RESET ? queue_reset : NULL,
	.queue_resetting = VIO_CONFIG_RING_RESET ? queue_resetting : NULL,
	.queue_notify = queue_notify,
	.take_interrupts = take_interrupts,
};

static const struct vio_transport_ops legacy_ops = {
	.name = "virtio-mmio-legacy",
	.carried = { { UINT32_MAX, 0 } },
	.get_status = get_status,
	.set_status = set_status,
	.get_features = get_features,
	.set_features = set_features,
	.get_generation = get_generation,
	.read_config = read_config,
	.write_config = write_config,
	.queue_size_max = queue_size_max,
	.queue_enable = legacy_queue_enable,
	.queue_notify = queue_notify,
	.take_interrupts = take_interrupts,
};

/* The half for a version of the interface, or NULL. spec: DRV-MMIO-008 DRV-MMIO-009; hostile: B46 */
static const struct vio_transport_ops *ops_for(uint32_t version)
{
	/* Rings in the order of a big-endian driver are more than vio_drvq can do. */
	if (VIO_CONFIG_LEGACY && version == VIRTIO_MMIO_VERSION_LEGACY && VIO_LE16_RAW(1) == 1)
		return &legacy_ops;
	return version == VIRTIO_MMIO_VERSION_MODERN ? &modern_ops : NULL;
}

int vio_mmio_driver_probe(struct vio_mmio_driver *mmio, const struct vio_mmio_access *access,
			  uint32_t window_bytes, struct vio_dev *dev)
{
	if (window_bytes < VIRTIO_MMIO_CONFIG)
		return -VIO_ERANGE;
	*mmio = (struct vio_mmio_driver){ *access, window_bytes };
	memset(dev, 0, sizeof(*dev));
	dev->transport_context = mmio;
	/* spec: DRV-MMIO-006 DRV-MMIO-007 DRV-MMIO-020 DRV-MMIO-021 DRV-MMIO-022 DRV-MMIO-023 */
	if (get(dev, VIRTIO_MMIO_MAGIC_VALUE) != VIRTIO_MMIO_MAGIC)
		return -VIO_EPEER;
	dev->transport = ops_for(get(dev, VIRTIO_MMIO_VERSION));
	if (!dev->transport)
		return -VIO_ENOTSUP;
	dev->legacy = dev->transport != &modern_ops;
	dev->id = get(dev, VIRTIO_MMIO_DEVICE_ID);
	if (!dev->id)
		return -VIO_ENOENT;
	dev->vendor = get(dev, VIRTIO_MMIO_VENDOR_ID);
	return 0;
}
