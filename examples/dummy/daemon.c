/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The device of the kernel's guide, for a guest: it fills each buffer with bytes that count up.
 *
 *	dummy-daemon --socket-path /tmp/dummy.sock buffers=1000
 *
 * After so many buffers since the driver's last reset it rests.
 */
#include <stddef.h>

#include <vireo/daemon.h>

struct dummy {
	uint32_t buffers; /* property */
	uint32_t filled;  /* since the reset */
	uint8_t next;     /* byte */
};

static void dummy_kick(struct vio_device *dev, struct vio_devq *q)
{
	struct dummy *dummy = vio_device_state(dev);
	struct vio_buf buf;

	while (dummy->filled < dummy->buffers && vio_devq_pop(q, &buf)) {
		uint32_t written = 0;

		while (vio_write(&buf, &dummy->next, 1) == 1) {
			dummy->next++;
			written++;
		}
		vio_devq_push(q, &buf, written);
		dummy->filled++;
	}
	vio_devq_notify(q);
}

static void dummy_reset(struct vio_device *dev)
{
	struct dummy *dummy = vio_device_state(dev);

	dummy->filled = 0;
	dummy->next = 0;
}

static const struct vio_property dummy_properties[] = {
	{ .name = "buffers",
	  VIO_PROPERTY_MEMBER(struct dummy, buffers, VIO_PROPERTY_U32),
	  .min = 1,
	  .max = UINT32_MAX,
	  .initial = "1000",
	  .help = "how many buffers to fill after a reset" },
};

static const struct vio_device_class dummy_class = {
	.name = "dummy",
	.summary = "fills buffers with bytes that count up",
	.id = VIRTIO_ID_DUMMY,
	.queue_count = 1,
	.queue_size = 64,
	.state_bytes = sizeof(struct dummy),
	.properties = { dummy_properties, 1 },
	.kick = dummy_kick,
	.reset = dummy_reset,
};

static const struct vio_daemon_type dummy_daemon = { .class = &dummy_class };

int main(int argc, char **argv)
{
	return vio_daemon_main(&dummy_daemon, argc, argv);
}
