/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <vireo/spec/virtio_ring.h>

#include "device/core.h"

/*
 * A saved device: a header, then the body that its checksum covers. All
 * little-endian.
 *
 *	header	u32 magic, u16 format, u16 zero, u32 body bytes, u32 CRC-32 of the body
 *	body	char name[16] of the class, u32 device id, u32 class version,
 *		u64 features[2], u8 status, u32 config generation,
 *		u16 queues, for each: u8 runs, and if it does u16 size, u16 next
 *		to take, in format 2 u16 next to fill, u64 descriptor, driver
 *		and device area,
 *		u32 bytes of the class's own state, and these
 *
 * Format 2 is that of a device whose queues are packed: a split ring knows itself where it
 * was filled to. The order of bytes and the sizes are the same on every machine.
 */
#define SAVED_MAGIC        0x4f495631u /* "1VIO" */
#define SAVED_FORMAT       1u
#define SAVED_PACKED       2u
#define SAVED_HEADER_BYTES 16u
#define SAVED_NAME_BYTES   16u

static uint32_t checksum(const uint8_t *from, size_t length)
{
	uint32_t crc = UINT32_MAX;
	size_t i;
	int bit;

	for (i = 0; i < length; i++) {
		crc ^= from[i];
		for (bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return ~crc;
}

static void class_name(const struct vio_device *dev, char name[SAVED_NAME_BYTES])
{
	unsigned i;

	memset(name, 0, SAVED_NAME_BYTES);
	for (i = 0; i < SAVED_NAME_BYTES && dev->class->name[i]; i++)
		name[i] = dev->class->name[i];
}

static void save_queue(struct vio_device *dev, uint16_t queue, struct vio_state_writer *writer)
{
	const struct vio_devq_config *config = &dev->queue_configs[queue];
	struct vio_devq *q = &dev->queues[queue];

	vio_state_put_u8(writer, q->running);
	if (!q->running)
		return;
	vio_state_put_u16(writer, q->size);
	vio_state_put_u16(writer, q->avail_next);
	if (q->packed)
		vio_state_put_u16(writer, q->used_visible);
	vio_state_put_u64(writer, config->descriptor_area.raw);
	vio_state_put_u64(writer, config->driver_area.raw);
	vio_state_put_u64(writer, config->device_area.raw);
}

static void save_body(struct vio_device *dev, struct vio_state_writer *writer)
{
	struct vio_state_writer count = { NULL, 0, 0, false };
	char name[SAVED_NAME_BYTES];
	uint16_t queue;

	class_name(dev, name);
	vio_state_put_bytes(writer, name, sizeof(name));
	vio_state_put_u32(writer, dev->id);
	vio_state_put_u32(writer, dev->class->version);
	vio_state_put_u64(writer, dev->features_accepted.word[0]);
	vio_state_put_u64(writer, dev->features_accepted.word[1]);
	vio_state_put_u8(writer, dev->status);
	vio_state_put_u32(writer, dev->config_generation);
	vio_state_put_u16(writer, dev->queue_count);
	for (queue = 0; queue < dev->queue_count; queue++)
		save_queue(dev, queue, writer);
	if (dev->class->save)
		dev->class->save(dev, &count);
	vio_state_put_u32(writer, (uint32_t)count.used);
	if (dev->class->save)
		dev->class->save(dev, writer);
}

size_t vio_device_save(struct vio_device *dev, void *to, size_t size)
{
	struct vio_state_writer header = { to, size, 0, false };
	struct vio_state_writer body = { NULL, 0, 0, false };
	uint16_t queue;

	for (queue = 0; queue < dev->queue_count; queue++)
		if (dev->queues[queue].running && dev->class->drain)
			dev->class->drain(dev, &dev->queues[queue]);
	save_body(dev, &body);
	if (!to || size < SAVED_HEADER_BYTES + body.used)
		return SAVED_HEADER_BYTES + body.used;

	body = (struct vio_state_writer){ (uint8_t *)to + SAVED_HEADER_BYTES, size - SAVED_HEADER_BYTES, 0,
					  false };
	save_body(dev, &body);
	vio_state_put_u32(&header, SAVED_MAGIC);
	vio_state_put_u16(&header,
			  vio_device_has_feature(dev, VIRTIO_F_RING_PACKED) ? SAVED_PACKED : SAVED_FORMAT);
	vio_state_put_u16(&header, 0);
	vio_state_put_u32(&header, (uint32_t)body.used);
	vio_state_put_u32(&header, checksum(body.to, body.used));
	return SAVED_HEADER_BYTES + body.used;
}

static bool header_valid(struct vio_state_reader *reader, uint16_t *format)
{
	uint32_t magic = vio_state_get_u32(reader);
	uint16_t zero;
	uint32_t bytes, crc;

	*format = vio_state_get_u16(reader);
	zero = vio_state_get_u16(reader);
	bytes = vio_state_get_u32(reader);
	crc = vio_state_get_u32(reader);
	return !reader->failed && magic == SAVED_MAGIC &&
	       (*format == SAVED_FORMAT || *format == SAVED_PACKED) && !zero &&
	       bytes == reader->size - SAVED_HEADER_BYTES &&
	       crc == checksum(reader->from + SAVED_HEADER_BYTES, bytes);
}

/* What is judged before anything changes; queues go to dev->queue_configs, with size 0 if they don't run. */
struct saved {
	uint32_t class_version;
	uint16_t format;
	struct vio_features features;
	uint8_t status;
	uint32_t config_generation;
	struct vio_state_reader own;
};

static bool parse_queues(struct vio_device *dev, struct vio_state_reader *reader, bool packed)
{
	uint16_t queue;

	if (vio_state_get_u16(reader) != dev->queue_count) /* hostile: G4 */
		return false;
	for (queue = 0; queue < dev->queue_count; queue++) {
		struct vio_devq_config config = { .size = 0 };
		uint8_t runs = vio_state_get_u8(reader);

		if (runs) {
			config.size = vio_state_get_u16(reader);
			config.at.avail = vio_state_get_u16(reader);
			if (packed)
				config.at.used = vio_state_get_u16(reader);
			config.descriptor_area = vio_addr_make(vio_state_get_u64(reader));
			config.driver_area = vio_addr_make(vio_state_get_u64(reader));
			config.device_area = vio_addr_make(vio_state_get_u64(reader));
		}
		if (runs > 1 || (runs && (!config.size || config.size > dev->queue_size_max ||
					  (!packed && !vio_is_power_of_two(config.size)))))
			return false;
		dev->queue_configs[queue] = config;
	}
	return !reader->failed;
}

/* A status that a driver and this device can have come to; judged first: DRIVER_OK would serve requests. */
static bool status_valid(uint8_t status)
{
	const uint8_t known = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
			      VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK |
			      VIRTIO_CONFIG_S_NEEDS_RESET | VIRTIO_CONFIG_S_FAILED;

	if (status & ~known)
		return false;
	return !(status & VIRTIO_CONFIG_S_DRIVER_OK) || (status & VIRTIO_CONFIG_S_FEATURES_OK);
}

static bool parse_body(struct vio_device *dev, struct vio_state_reader *reader, struct saved *saved)
{
	char name[SAVED_NAME_BYTES], saved_name[SAVED_NAME_BYTES];
	uint32_t own;

	class_name(dev, name);
	vio_state_get_bytes(reader, saved_name, sizeof(saved_name));
	if (memcmp(name, saved_name, sizeof(name)) || vio_state_get_u32(reader) != dev->id)
		return false;
	saved->class_version = vio_state_get_u32(reader);
	saved->features.word[0] = vio_state_get_u64(reader);
	saved->features.word[1] = vio_state_get_u64(reader);
	saved->status = vio_state_get_u8(reader);
	saved->config_generation = vio_state_get_u32(reader);
	if (saved->class_version > dev->class->version || !status_valid(saved->status) ||
	    vio_features_has(&saved->features, VIRTIO_F_RING_PACKED) != (saved->format == SAVED_PACKED) ||
	    !parse_queues(dev, reader, saved->format == SAVED_PACKED))
		return false;
	own = vio_state_get_u32(reader);
	if (reader->failed || own != reader->size - reader->used) /* hostile: G9 G10 */
		return false;
	saved->own = (struct vio_state_reader){ reader->from + reader->used, own, 0, false };
	return true;
}

static int restore(struct vio_device *dev, struct saved *saved)
{
	const uint8_t negotiated =
		VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK;
	uint8_t status = saved->status & (uint8_t)~VIRTIO_CONFIG_S_NEEDS_RESET;
	uint16_t queue;
	int error;

	if (status & VIRTIO_CONFIG_S_FEATURES_OK) {
		vio_device_write_features(dev, &saved->features);
		if (!(vio_device_write_status(dev, status & negotiated) & VIRTIO_CONFIG_S_FEATURES_OK))
			return -VIO_ESTATE;
	}
	if (dev->class->load) {
		error = dev->class->load(dev, &saved->own, saved->class_version);
		if (error)
			return error;
	}
	if (saved->own.failed || saved->own.used != saved->own.size)
		return -VIO_ESTATE;
	for (queue = 0; queue < dev->queue_count; queue++) {
		struct vio_devq_config config = dev->queue_configs[queue];

		error = config.size ? vio_device_queue_start(dev, queue, &config) : 0;
		if (error)
			return error;
	}
	dev->config_generation = saved->config_generation + 1; /* whoever read halfway before reads again */
	if (saved->status & VIRTIO_CONFIG_S_NEEDS_RESET) {
		dev->status = saved->status;
		return 0;
	}
	if (status) /* a driver whose ring is bad shows NEEDS_RESET here as it would have there */
		vio_device_write_status(dev, status);
	return 0;
}

int vio_device_load(struct vio_device *dev, const void *from, size_t size)
{
	struct vio_state_reader reader = { from, size, 0, false };
	struct saved saved;
	int error;

	if (dev->phase != VIO_DEVICE_ATTACHED || dev->status) /* hostile: G11 G12 */
		return -VIO_EPHASE;
	if (!header_valid(&reader, &saved.format) ||
	    !parse_body(dev, &reader, &saved)) /* hostile: G1 G2 G16 */
		return -VIO_ESTATE;
	error = restore(dev, &saved);
	if (error)
		vio_device_reset(dev);
	return error;
}
