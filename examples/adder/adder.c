/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A whole vhost-user device in one file: it adds one to every number it is sent.
 *
 *	adder --socket-path /tmp/adder.sock
 *
 * See vireo/spec/virtio_adder.h for what goes over the queue.
 */
#include <vireo/daemon.h>
#include <vireo/spec/virtio_adder.h>

static void adder_kick(struct vio_device *dev, struct vio_devq *q)
{
	struct vio_buf buf;

	while (vio_devq_pop(q, &buf)) {
		vio_le32 number;
		uint32_t written = 0;

		if (vio_read(&buf, &number, sizeof(number)) == sizeof(number) &&
		    buf.writable_bytes >= sizeof(number)) {
			number = vio_le32_make(vio_le32_get(number) + 1);
			written = (uint32_t)vio_write(&buf, &number, sizeof(number));
		}
		vio_devq_push(q, &buf, written);
	}
	vio_devq_notify(q);
}

static const struct vio_device_class adder_class = {
	.name = "adder",
	.summary = "adds one to a number",
	.id = VIRTIO_ID_ADDER,
	.queue_count = 1,
	.queue_size = 256,
	.kick = adder_kick,
};

static const struct vio_daemon_type adder_daemon = { .class = &adder_class };

int main(int argc, char **argv)
{
	return vio_daemon_main(&adder_daemon, argc, argv);
}
