/* SPDX-License-Identifier: BSD-3-Clause */
#include <vireo/devices/rng.h>

struct rng {
	uint32_t max_bytes;
	struct vio_entropy *entropy;
};

static const struct vio_property rng_properties[] = {
	{
		.name = "max-bytes",
		.help = "most bytes that one request gets",
		VIO_PROPERTY_MEMBER(struct rng, max_bytes, VIO_PROPERTY_U32),
		.min = 1,
		.max = 16u << 20,
		.initial = "65536",
	},
};

/* A truncated buffer's last span doesn't follow the one before it. */
static unsigned rng_usable_spans(const struct vio_buf *buf)
{
	if (buf->truncated && buf->writable_count)
		return buf->writable_count - 1u;
	return buf->writable_count;
}

/* How many bytes went into the buffer; negative when the source has failed. */
static int rng_fill(const struct rng *rng, const struct vio_buf *buf)
{
	unsigned count = rng_usable_spans(buf);
	size_t left = rng->max_bytes;
	int filled = 0;

	for (unsigned i = 0; i < count && left; i++) {
		struct vio_span span = buf->writable[i];

		if (span.length > left)
			span.length = left;
		while (span.length) {
			int got = rng->entropy->fill(rng->entropy, span.host, span.length);

			if (got < 0 || (size_t)got > span.length)
				return filled ? filled : -VIO_EIO;
			if (!got)
				return filled;
			span.host += got;
			span.length -= (size_t)got;
			left -= (size_t)got;
			filled += got;
		}
	}
	return filled;
}

static void rng_kick(struct vio_device *dev, struct vio_devq *q)
{
	const struct rng *rng = vio_device_state(dev);
	struct vio_buf buf;

	while (vio_devq_pop(q, &buf)) {
		int filled = rng_fill(rng, &buf);

		/* spec: DEV-RNG-001: nothing goes back empty, but what has no place for a byte */
		if (filled > 0 || !rng_usable_spans(&buf)) {
			vio_devq_push(q, &buf, (uint32_t)filled);
			continue;
		}
		vio_devq_unpop(q, &buf);
		if (filled < 0)
			vio_device_needs_reset(dev);
		else
			vio_devq_enable_kick(q); /* another buffer is an occasion to ask the source again */
		break;
	}
	vio_devq_notify(q);
}

static int rng_realize(struct vio_device *dev)
{
	const struct rng *rng = vio_device_state(dev);

	return rng->entropy ? 0 : -VIO_ENOENT;
}

int vio_rng_attach(struct vio_device *dev, struct vio_entropy *entropy)
{
	struct rng *rng = vio_device_state(dev);

	if (dev->class != &vio_rng_class)
		return -VIO_EINVAL;
	rng->entropy = entropy;
	return 0;
}

void vio_rng_ready(struct vio_device *dev)
{
	vio_device_kick(dev, 0);
}

const struct vio_device_class vio_rng_class = {
	.name = "rng",
	.summary = "gives random numbers",
	.id = VIRTIO_ID_RNG,
	.queue_count = 1,
	.queue_size = 256,
	.state_bytes = sizeof(struct rng),
	.properties = { rng_properties, VIO_ARRAY_SIZE(rng_properties) },
	.realize = rng_realize,
	.kick = rng_kick,
};
