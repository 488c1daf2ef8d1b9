/* SPDX-License-Identifier: BSD-3-Clause */
#include <vireo/devices/caesar.h>

#include <string.h>

#define CAESAR_SPANS_MAX   256u /* beyond this many pieces a text isn't served */
#define CAESAR_CHUNK_BYTES 512u
#define CAESAR_LETTERS     26u

struct caesar {
	/* Properties: how the device starts. */
	uint8_t shift_initial;
	uint8_t mode_initial;

	/* What the driver and the host made of them. */
	uint8_t shift;
	uint8_t mode;
};

static const char *const caesar_modes[] = { "encipher", "decipher", NULL };

static const struct vio_property caesar_properties[] = {
	{
		.name = "shift",
		.help = "letters to rotate by",
		VIO_PROPERTY_MEMBER(struct caesar, shift_initial, VIO_PROPERTY_U8),
		.flags = VIO_PROPERTY_RUNTIME,
		.max = VIRTIO_CAESAR_SHIFT_MAX,
		.initial = "3",
	},
	{
		.name = "mode",
		.help = "direction of the rotation",
		VIO_PROPERTY_MEMBER(struct caesar, mode_initial, VIO_PROPERTY_CHOICE),
		.flags = VIO_PROPERTY_RUNTIME,
		.initial = "encipher",
		.choices = caesar_modes,
	},
};

static void caesar_rotate(uint8_t *text, size_t length, unsigned by)
{
	for (size_t i = 0; i < length; i++) {
		unsigned base = text[i] >= 'a' ? 'a' : 'A';
		unsigned letter = text[i] - base; /* huge for what is below 'A' */

		if (letter < CAESAR_LETTERS)
			text[i] = (uint8_t)(base + (letter + by) % CAESAR_LETTERS);
	}
}

static uint32_t caesar_serve(const struct caesar *caesar, struct vio_buf *buf)
{
	bool back = caesar->mode == VIRTIO_CAESAR_MODE_DECIPHER;
	unsigned by = back ? CAESAR_LETTERS - caesar->shift : caesar->shift;
	uint8_t chunk[CAESAR_CHUNK_BYTES];
	uint32_t written = 0;

	if (buf->truncated)
		return 0;
	while (buf->readable_bytes && buf->writable_bytes) {
		size_t length = vio_read(buf, chunk, sizeof(chunk));

		caesar_rotate(chunk, length, by);
		written += (uint32_t)vio_write(buf, chunk, length);
	}
	return written;
}

static void caesar_kick(struct vio_device *dev, struct vio_devq *q)
{
	const struct caesar *caesar = vio_device_state(dev);
	struct vio_buf buf;

	while (vio_devq_pop(q, &buf)) {
		uint32_t written = caesar_serve(caesar, &buf);

		vio_devq_push(q, &buf, written);
	}
	vio_devq_notify(q);
}

static void caesar_get_config(struct vio_device *dev, void *config)
{
	const struct caesar *caesar = vio_device_state(dev);
	struct virtio_caesar_config wire = { .shift = caesar->shift, .mode = caesar->mode };

	memcpy(config, &wire, sizeof(wire));
}

static void caesar_set_config(struct vio_device *dev, const void *config, uint32_t offset, uint32_t length)
{
	struct caesar *caesar = vio_device_state(dev);
	struct virtio_caesar_config wire;

	memcpy(&wire, config, sizeof(wire));
	if (wire.shift <= VIRTIO_CAESAR_SHIFT_MAX)
		caesar->shift = wire.shift;
	if (wire.mode <= VIRTIO_CAESAR_MODE_DECIPHER)
		caesar->mode = wire.mode;
}

static void caesar_property_changed(struct vio_device *dev, const struct vio_property *property)
{
	struct caesar *caesar = vio_device_state(dev);

	/* Only the one that was set: the driver may have chosen the other. */
	if (property->offset == offsetof(struct caesar, shift_initial))
		caesar->shift = caesar->shift_initial;
	else
		caesar->mode = caesar->mode_initial;
	vio_device_config_changed(dev);
}

static void caesar_reset(struct vio_device *dev)
{
	struct caesar *caesar = vio_device_state(dev);

	caesar->shift = caesar->shift_initial;
	caesar->mode = caesar->mode_initial;
}

static int caesar_realize(struct vio_device *dev)
{
	/* The longest chain a queue can hold is served whole, up to a limit on storage. */
	if (dev->queue_size > dev->spans_max)
		dev->spans_max = dev->queue_size < CAESAR_SPANS_MAX ? dev->queue_size : CAESAR_SPANS_MAX;
	caesar_reset(dev);
	return 0;
}

static void caesar_save(struct vio_device *dev, struct vio_state_writer *writer)
{
	const struct caesar *caesar = vio_device_state(dev);

	vio_state_put_u8(writer, caesar->shift);
	vio_state_put_u8(writer, caesar->mode);
}

static int caesar_load(struct vio_device *dev, struct vio_state_reader *reader, unsigned version)
{
	struct caesar *caesar = vio_device_state(dev);
	uint8_t shift = vio_state_get_u8(reader);
	uint8_t mode = vio_state_get_u8(reader);

	if (shift > VIRTIO_CAESAR_SHIFT_MAX)
		return vio_state_refuse(reader, "shift", shift);
	if (mode > VIRTIO_CAESAR_MODE_DECIPHER)
		return vio_state_refuse(reader, "mode", mode);
	if (reader->failed)
		return -VIO_ESTATE;
	caesar->shift = shift;
	caesar->mode = mode;
	return 0;
}

const struct vio_device_class vio_caesar_class = {
	.name = "caesar",
	.summary = "rotates the letters of a text",
	.id = VIRTIO_ID_CAESAR,
	.queue_count = 1,
	.queue_size = 256,
	.state_bytes = sizeof(struct caesar),
	.config_bytes = sizeof(struct virtio_caesar_config),
	.properties = { caesar_properties, VIO_ARRAY_SIZE(caesar_properties) },
	.realize = caesar_realize,
	.get_config = caesar_get_config,
	.set_config = caesar_set_config,
	.reset = caesar_reset,
	.kick = caesar_kick,
	.property_changed = caesar_property_changed,
	.save = caesar_save,
	.load = caesar_load,
	.version = 1,
};
