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
 *		u64 features[2] that the driver wrote, u8 status, u32 config generation,
 *		u16 queues, for each: u8 runs, and if it does u16 size, u16 next
 *		to take, in format 2 u16 next to fill, u64 descriptor, driver
 *		and device area,
 *		u32 bytes of the class's own state, and these
 *
 * The type's own state alone has another magic number, format 1, and of the body no more than name, id, class
 * version, features, and the last two.
 *
 * Format 2 is that of a device whose queues are packed: a split ring knows itself where it
 * was filled to. The order of bytes and the sizes are the same on every machine.
 */
#define SAVED_MAGIC        0x4f495631u /* "1VIO" */
#define SAVED_OWN_MAGIC    0x4f495632u /* "2VIO" */
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

static uint16_t saved_format(const struct vio_features *features)
{
	return vio_features_has(features, VIRTIO_F_RING_PACKED) ? SAVED_PACKED : SAVED_FORMAT;
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

static void save_type(const struct vio_device *dev, struct vio_state_writer *writer)
{
	char name[SAVED_NAME_BYTES];

	class_name(dev, name);
	vio_state_put_bytes(writer, name, sizeof(name));
	vio_state_put_u32(writer, dev->id);
	vio_state_put_u32(writer, dev->class->version);
	/* The same as were accepted, if any were yet. */
	vio_state_put_u64(writer, dev->features_driver.word[0]);
	vio_state_put_u64(writer, dev->features_driver.word[1]);
}

static void save_class(struct vio_device *dev, struct vio_state_writer *writer)
{
	struct vio_state_writer count = { NULL, 0, 0, false };

	if (dev->class->save)
		dev->class->save(dev, &count);
	vio_state_put_u32(writer, (uint32_t)count.used);
	if (dev->class->save)
		dev->class->save(dev, writer);
}

static void save_body(struct vio_device *dev, struct vio_state_writer *writer)
{
	uint16_t queue;

	save_type(dev, writer);
	vio_state_put_u8(writer, dev->status);
	vio_state_put_u32(writer, dev->config_generation);
	vio_state_put_u16(writer, dev->queue_count);
	for (queue = 0; queue < dev->queue_count; queue++)
		save_queue(dev, queue, writer);
	save_class(dev, writer);
}

static void save_own_body(struct vio_device *dev, struct vio_state_writer *writer)
{
	save_type(dev, writer);
	save_class(dev, writer);
}

/* The header, and behind it what `body` writes. Returns the size of both. */
static size_t save_with_header(struct vio_device *dev, uint32_t magic, uint16_t format,
			       void (*put_body)(struct vio_device *dev, struct vio_state_writer *writer),
			       void *to, size_t size)
{
	struct vio_state_writer header = { to, size, 0, false };
	struct vio_state_writer body = { NULL, 0, 0, false };

	put_body(dev, &body);
	if (!to || size < SAVED_HEADER_BYTES + body.used)
		return SAVED_HEADER_BYTES + body.used;
	body = (struct vio_state_writer){ (uint8_t *)to + SAVED_HEADER_BYTES, size - SAVED_HEADER_BYTES, 0,
					  false };
	put_body(dev, &body);
	vio_state_put_u32(&header, magic);
	vio_state_put_u16(&header, format);
	vio_state_put_u16(&header, 0);
	vio_state_put_u32(&header, (uint32_t)body.used);
	vio_state_put_u32(&header, checksum(body.to, body.used));
	return SAVED_HEADER_BYTES + body.used;
}

size_t vio_device_save(struct vio_device *dev, void *to, size_t size)
{
	uint16_t queue;

	for (queue = 0; queue < dev->queue_count; queue++)
		if (dev->queues[queue].running && dev->class->drain)
			dev->class->drain(dev, &dev->queues[queue]);
	return save_with_header(dev, SAVED_MAGIC, saved_format(&dev->features_driver), save_body, to, size);
}

size_t vio_device_save_own(struct vio_device *dev, void *to, size_t size)
{
	return save_with_header(dev, SAVED_OWN_MAGIC, SAVED_FORMAT, save_own_body, to, size);
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

/* hostile: G1 G16 */
static int parse_header(struct vio_state_reader *reader, uint32_t wanted, struct saved *saved)
{
	uint32_t magic = vio_state_get_u32(reader), bytes, crc, found;
	uint16_t zero;

	saved->format = vio_state_get_u16(reader);
	zero = vio_state_get_u16(reader);
	bytes = vio_state_get_u32(reader);
	crc = vio_state_get_u32(reader);
	if (reader->failed)
		return vio_state_refuse(reader, "length", reader->size);
	if (magic != wanted)
		return vio_state_refuse(reader, "magic number", magic);
	if ((saved->format != SAVED_FORMAT && saved->format != SAVED_PACKED) || zero) /* hostile: G14 */
		return vio_state_refuse(reader, "format", (uint32_t)zero << 16 | saved->format);
	if (bytes != reader->size - SAVED_HEADER_BYTES) /* hostile: G9 G10 */
		return vio_state_refuse(reader, "length", bytes);
	found = checksum(reader->from + SAVED_HEADER_BYTES, bytes);
	return crc == found ? 0 : vio_state_refuse(reader, "checksum", crc);
}

/* Split: the ring knows the rest, see restore_queue(). */
static bool position_valid(const struct vio_devq_config *config, bool packed)
{
	const uint16_t offset = (uint16_t)~PVIRTQ_WRAP;

	return !packed ||
	       ((config->at.avail & offset) < config->size && (config->at.used & offset) < config->size);
}

static int parse_queue(const struct vio_device *dev, struct vio_state_reader *reader, bool packed,
		       struct vio_devq_config *config)
{
	uint8_t runs = vio_state_get_u8(reader);

	if (runs > 1)
		return vio_state_refuse(reader, "running of a queue", runs);
	if (!runs)
		return 0;
	config->size = vio_state_get_u16(reader);
	config->at.avail = vio_state_get_u16(reader);
	if (packed)
		config->at.used = vio_state_get_u16(reader);
	config->descriptor_area = vio_addr_make(vio_state_get_u64(reader));
	config->driver_area = vio_addr_make(vio_state_get_u64(reader));
	config->device_area = vio_addr_make(vio_state_get_u64(reader));
	if (reader->failed)
		return vio_state_refuse(reader, "length", reader->size);
	if (!config->size || config->size > dev->queue_size_max ||
	    (!packed && !vio_is_power_of_two(config->size)))
		return vio_state_refuse(reader, "queue size", config->size);
	if (!position_valid(config, packed))
		return vio_state_refuse(reader, "position of a queue",
					(uint32_t)config->at.used << 16 | config->at.avail);
	return 0;
}

static int parse_queues(struct vio_device *dev, struct vio_state_reader *reader, const struct saved *saved)
{
	uint16_t count = vio_state_get_u16(reader), queue;
	int error;

	if (count != dev->queue_count) /* hostile: G4 */
		return vio_state_refuse(reader, "queue count", count);
	for (queue = 0; queue < count; queue++) {
		struct vio_devq_config config = { .size = 0 };

		error = parse_queue(dev, reader, saved->format == SAVED_PACKED, &config);
		if (error)
			return error;
		if (config.size && !(saved->status & VIRTIO_CONFIG_S_FEATURES_OK))
			return vio_state_refuse(reader, "queue that runs before FEATURES_OK", queue);
		dev->queue_configs[queue] = config;
	}
	return 0;
}

/* A status that a driver and this device can have come to; judged first: DRIVER_OK would serve requests. */
static bool status_valid(uint8_t status)
{
	const uint8_t known = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
			      VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK |
			      VIRTIO_CONFIG_S_NEEDS_RESET | VIRTIO_CONFIG_S_FAILED | VIRTIO_CONFIG_S_SUSPEND;

	if (status & ~known)
		return false;
	/* One that is suspended has negotiated, and doesn't run. */
	if (status & VIRTIO_CONFIG_S_SUSPEND)
		return (status & (VIRTIO_CONFIG_S_DRIVER_OK | VIRTIO_CONFIG_S_FEATURES_OK)) ==
		       VIRTIO_CONFIG_S_FEATURES_OK;
	return !(status & VIRTIO_CONFIG_S_DRIVER_OK) || (status & VIRTIO_CONFIG_S_FEATURES_OK);
}

/* Is it of a device of this type, and one that isn't newer? */
static int parse_type(const struct vio_device *dev, struct vio_state_reader *reader, struct saved *saved)
{
	char name[SAVED_NAME_BYTES], saved_name[SAVED_NAME_BYTES];
	uint32_t id;

	class_name(dev, name);
	vio_state_get_bytes(reader, saved_name, sizeof(saved_name));
	id = vio_state_get_u32(reader);
	saved->class_version = vio_state_get_u32(reader);
	if (memcmp(name, saved_name, sizeof(name)))
		return vio_state_refuse(reader, "type of the device", id);
	if (id != dev->id)
		return vio_state_refuse(reader, "device id", id);
	if (saved->class_version > dev->class->version) /* hostile: G14 */
		return vio_state_refuse(reader, "version", saved->class_version);
	saved->features.word[0] = vio_state_get_u64(reader);
	saved->features.word[1] = vio_state_get_u64(reader);
	return 0;
}

static int parse_own(struct vio_state_reader *reader, struct saved *saved)
{
	uint32_t own = vio_state_get_u32(reader);

	if (reader->failed || own != reader->size - reader->used) /* hostile: G9 G10 */
		return vio_state_refuse(reader, "length of the type's own state", own);
	saved->own = (struct vio_state_reader){ .from = reader->from + reader->used, .size = own };
	return 0;
}

static int parse_body(struct vio_device *dev, struct vio_state_reader *reader, struct saved *saved)
{
	int error = parse_type(dev, reader, saved);

	if (error)
		return error;
	saved->status = vio_state_get_u8(reader);
	saved->config_generation = vio_state_get_u32(reader);
	if (!status_valid(saved->status))
		return vio_state_refuse(reader, "status", saved->status);
	if (saved->status & VIRTIO_CONFIG_S_SUSPEND && !vio_features_has(&saved->features, VIRTIO_F_SUSPEND))
		return vio_state_refuse(reader, "status", saved->status);
	if (saved_format(&saved->features) != saved->format)
		return vio_state_refuse(reader, "format for these features", saved->format);
	error = parse_queues(dev, reader, saved);
	return error ? error : parse_own(reader, saved);
}

static int restore_features(struct vio_device *dev, struct saved *saved, uint8_t status)
{
	const uint8_t negotiated =
		VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK;
	struct vio_features more = vio_features_minus(saved->features, vio_device_features(dev));

	vio_device_write_features(dev, &saved->features);
	if (!(status & VIRTIO_CONFIG_S_FEATURES_OK) ||
	    vio_device_write_status(dev, status & negotiated) & VIRTIO_CONFIG_S_FEATURES_OK)
		return 0;
	if (vio_features_empty(more))
		return vio_state_refuse(&saved->own, "features", saved->features.word[0]);
	return vio_state_refuse(&saved->own, "features that aren't offered",
				more.word[0] ? more.word[0] : more.word[1]);
}

static int restore_class(struct vio_device *dev, struct saved *saved)
{
	struct vio_state_reader *own = &saved->own;
	int error = dev->class->load ? dev->class->load(dev, own, saved->class_version) : 0;

	if (own->failed || own->used != own->size) { /* hostile: G7 */
		vio_state_refuse(own, "length of the type's own state", own->size);
		return error ? error : -VIO_ESTATE;
	}
	if (error)
		vio_state_refuse(own, "the type's own state", saved->class_version);
	return error;
}

static int restore_queue(struct vio_device *dev, struct saved *saved, uint16_t queue)
{
	struct vio_devq_config config = dev->queue_configs[queue];
	const struct vio_devq *q = &dev->queues[queue];
	int error = config.size ? vio_device_queue_start(dev, queue, &config) : 0;

	if (error == -VIO_EINVAL) /* hostile: G6 */
		vio_state_refuse(&saved->own, "position of a queue",
				 (uint32_t)config.at.used << 16 | config.at.avail);
	else if (error)
		vio_state_refuse(&saved->own, "rings of a queue", queue);
	if (error)
		return error;
	/* Split: no device has taken more than there is, whatever became of it. hostile: G6 G15 */
	if (q->running && !q->packed && (uint16_t)(q->avail_next - q->used_next) > q->size)
		return vio_state_refuse(&saved->own, "position of a queue", q->avail_next);
	return 0;
}

static int restore(struct vio_device *dev, struct saved *saved)
{
	uint8_t status = saved->status & (uint8_t) ~(VIRTIO_CONFIG_S_NEEDS_RESET | VIRTIO_CONFIG_S_SUSPEND);
	int error = restore_features(dev, saved, status);
	uint16_t queue;

	for (queue = 0; !error && queue < dev->queue_count; queue++)
		error = restore_queue(dev, saved, queue);
	/* Last, as it is the type's own business what a reset brings back. */
	if (!error)
		error = restore_class(dev, saved);
	if (error)
		return error;
	dev->config_generation = saved->config_generation + 1; /* whoever read halfway before reads again */
	if (saved->status & (VIRTIO_CONFIG_S_NEEDS_RESET | VIRTIO_CONFIG_S_SUSPEND)) {
		dev->status = saved->status;
		return 0;
	}
	if (status) /* a driver whose ring is bad shows NEEDS_RESET here as it would have there */
		vio_device_write_status(dev, status);
	return 0;
}

/* hostile: G12, judged before one is started, as that serves it */
static int parse_stopped(const struct vio_device *dev, struct vio_state_reader *reader)
{
	uint16_t queue;

	for (queue = 0; queue < dev->queue_count; queue++)
		if (dev->queue_configs[queue].size)
			return vio_state_refuse(reader, "queue that runs", queue);
	return 0;
}

static int load(struct vio_device *dev, const void *from, size_t size, bool stopped)
{
	struct vio_state_reader reader = { .from = from, .size = size };
	struct saved saved;
	int error;

	if (dev->phase != VIO_DEVICE_ATTACHED || dev->status) { /* hostile: G11 G12 */
		dev->refusal = (struct vio_state_refusal){ "device that isn't in reset", dev->status };
		return -VIO_EPHASE;
	}
	memset(&saved, 0, sizeof(saved));
	error = parse_header(&reader, SAVED_MAGIC, &saved);
	if (!error)
		error = parse_body(dev, &reader, &saved); /* hostile: G2 */
	if (!error && stopped)
		error = parse_stopped(dev, &reader);
	dev->refusal = reader.refusal;
	if (error)
		return error;
	error = restore(dev, &saved);
	dev->refusal = saved.own.refusal;
	if (error)
		vio_device_reset(dev);
	return error;
}

int vio_device_load(struct vio_device *dev, const void *from, size_t size)
{
	return load(dev, from, size, false);
}

int vio_device_load_stopped(struct vio_device *dev, const void *from, size_t size)
{
	return load(dev, from, size, true);
}

static bool any_runs(const struct vio_device *dev)
{
	uint16_t queue;

	for (queue = 0; queue < dev->queue_count; queue++)
		if (dev->queues[queue].running)
			return true;
	return false;
}

/* All that can be judged without the device's features. */
static int parse_own_state(struct vio_device *dev, const void *from, size_t size, struct saved *saved)
{
	struct vio_state_reader reader = { .from = from, .size = size };
	int error;

	memset(saved, 0, sizeof(*saved));
	error = parse_header(&reader, SAVED_OWN_MAGIC, saved);
	if (!error)
		error = parse_type(dev, &reader, saved);
	if (!error)
		error = parse_own(&reader, saved);
	dev->refusal = reader.refusal;
	return error;
}

static int refuse_phase(struct vio_device *dev, const char *what)
{
	dev->refusal = (struct vio_state_refusal){ what, dev->status };
	return -VIO_EPHASE;
}

int vio_device_load_own(struct vio_device *dev, const void *from, size_t size)
{
	const uint8_t wanted = VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_NEEDS_RESET;
	struct saved saved;
	int error;

	if (dev->phase != VIO_DEVICE_ATTACHED || (dev->status & wanted) != VIRTIO_CONFIG_S_FEATURES_OK)
		return refuse_phase(dev, "device that hasn't negotiated features");
	if (any_runs(dev)) /* hostile: G12 */
		return refuse_phase(dev, "device of which a queue runs");
	error = parse_own_state(dev, from, size, &saved);
	if (error)
		return error;
	if (vio_features_empty(saved.features))
		return 0;
	if (!vio_features_equal(saved.features, dev->features_accepted)) {
		dev->refusal = (struct vio_state_refusal){ "features", saved.features.word[0] };
		return -VIO_ESTATE;
	}
	error = restore_class(dev, &saved);
	dev->refusal = saved.own.refusal;
	return error;
}

int vio_device_check_own(struct vio_device *dev, const void *from, size_t size)
{
	struct saved saved;
	int error;

	if (dev->phase != VIO_DEVICE_ATTACHED || dev->status)
		return refuse_phase(dev, "device that isn't in reset");
	error = parse_own_state(dev, from, size, &saved);
	if (error || vio_features_empty(saved.features))
		return error;
	/* The type knows what it can be with these features only when it has them. */
	error = restore_features(dev, &saved, VIRTIO_CONFIG_S_FEATURES_OK);
	if (!error)
		error = restore_class(dev, &saved);
	dev->refusal = saved.own.refusal;
	vio_device_reset(dev);
	return error;
}
