/* SPDX-License-Identifier: BSD-3-Clause */
#include <vireo/devices/adder.h>

#include <string.h>

struct adder {
	uint32_t status; /* the driver's own word */
};

static void adder_kick(struct vio_device *dev, struct vio_devq *q)
{
	struct vio_buf buf;

	while (vio_devq_pop(q, &buf)) {
		vio_le32 number;
		uint32_t written = 0;

		if (vio_read(&buf, &number, sizeof(number)) == sizeof(number) && !buf.truncated &&
		    buf.writable_bytes >= sizeof(number)) {
			number = vio_le32_make(vio_le32_get(number) + 1);
			written = (uint32_t)vio_write(&buf, &number, sizeof(number));
		}
		vio_devq_push(q, &buf, written);
	}
	vio_devq_notify(q);
}

static void adder_get_config(struct vio_device *dev, void *config)
{
	const struct adder *adder = vio_device_state(dev);
	struct virtio_adder_config wire = { .status = vio_le32_make(adder->status) };

	memcpy(config, &wire, sizeof(wire));
}

static void adder_set_config(struct vio_device *dev, const void *config, uint32_t offset, uint32_t length)
{
	struct adder *adder = vio_device_state(dev);
	struct virtio_adder_config wire;

	memcpy(&wire, config, sizeof(wire));
	adder->status = vio_le32_get(wire.status);
}

static void adder_reset(struct vio_device *dev)
{
	struct adder *adder = vio_device_state(dev);

	adder->status = VIRTIO_ADDER_STATUS_INITIAL;
}

static int adder_realize(struct vio_device *dev)
{
	adder_reset(dev);
	return 0;
}

static void adder_save(struct vio_device *dev, struct vio_state_writer *writer)
{
	const struct adder *adder = vio_device_state(dev);

	vio_state_put_u32(writer, adder->status);
}

static int adder_load(struct vio_device *dev, struct vio_state_reader *reader, unsigned version)
{
	struct adder *adder = vio_device_state(dev);
	uint32_t status = vio_state_get_u32(reader);

	if (reader->failed)
		return -VIO_ESTATE;
	adder->status = status;
	return 0;
}

const struct vio_device_class vio_adder_class = {
	.name = "adder",
	.summary = "adds one to a number",
	.id = VIRTIO_ID_ADDER,
	.queue_count = 1,
	.queue_size = 1024,
	.state_bytes = sizeof(struct adder),
	.config_bytes = sizeof(struct virtio_adder_config),
	.realize = adder_realize,
	.get_config = adder_get_config,
	.set_config = adder_set_config,
	.reset = adder_reset,
	.kick = adder_kick,
	.save = adder_save,
	.load = adder_load,
	.version = 1,
};
