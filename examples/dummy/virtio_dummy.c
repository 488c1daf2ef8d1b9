// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Driver for a dummy device, in the manner of the Linux kernel: the same file is a kernel module and a
 * driver of a program over Vireo (vireo/linux.h).
 *
 * The device has one queue, "input". It fills each buffer with bytes that count up from buffer to
 * buffer; the driver looks whether they do, and gives the buffer back.
 */
#include <linux/err.h>
#include <linux/module.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <linux/virtio.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>

/* No number of the standard: Vireo's own, above what that has allocated. */
#ifndef VIRTIO_ID_DUMMY
#define VIRTIO_ID_DUMMY 62
#endif

#define DUMMY_BUFFERS 8
#define DUMMY_BYTES   100

struct dummy {
	struct virtqueue *vq;
	u8 expected;	/* the next byte of the count */
	unsigned int buffers, bytes, damaged;
};

/* The buffer is the device's from here on, or freed. */
static void dummy_give(struct dummy *dummy, u8 *buffer)
{
	struct scatterlist sg;

	sg_init_one(&sg, buffer, DUMMY_BYTES);
	if (virtqueue_add_inbuf(dummy->vq, &sg, 1, buffer, GFP_ATOMIC))
		kfree(buffer);
}

static void dummy_look(struct dummy *dummy, const u8 *buffer, unsigned int length)
{
	unsigned int i;

	for (i = 0; i < length && buffer[i] == dummy->expected; i++)
		dummy->expected++;
	if (i < length) {
		dummy->damaged++;
		dummy->expected = buffer[length - 1] + 1;
	}
	dummy->buffers++;
	dummy->bytes += length;
}

static void dummy_input(struct virtqueue *vq)
{
	struct dummy *dummy = vq->vdev->priv;
	unsigned int length;
	u8 *buffer;

	do {
		virtqueue_disable_cb(vq);
		while ((buffer = virtqueue_get_buf(vq, &length)) != NULL) {
			dummy_look(dummy, buffer, length);
			dummy_give(dummy, buffer);
		}
	} while (!virtqueue_enable_cb(vq));
	virtqueue_kick(vq);
}

static int dummy_probe(struct virtio_device *vdev)
{
	struct dummy *dummy;
	u8 *buffer;
	int i;

	dummy = kzalloc(sizeof(*dummy), GFP_KERNEL);
	if (!dummy)
		return -ENOMEM;
	vdev->priv = dummy;
	dummy->vq = virtio_find_single_vq(vdev, dummy_input, "input");
	if (IS_ERR(dummy->vq)) {
		int err = PTR_ERR(dummy->vq);

		kfree(dummy);
		return err;
	}
	virtio_device_ready(vdev);

	for (i = 0; i < DUMMY_BUFFERS && dummy->vq->num_free; i++) {
		buffer = kmalloc(DUMMY_BYTES, GFP_KERNEL);
		if (buffer)
			dummy_give(dummy, buffer);
	}
	virtqueue_kick(dummy->vq);
	return 0;
}

static void dummy_remove(struct virtio_device *vdev)
{
	struct dummy *dummy = vdev->priv;
	unsigned int unused = 0;
	void *buffer;

	/* From here on the device neither calls back nor touches a buffer. */
	virtio_reset_device(vdev);
	while ((buffer = virtqueue_detach_unused_buf(dummy->vq)) != NULL) {
		kfree(buffer);
		unused++;
	}
	vdev->config->del_vqs(vdev);
	dev_info(&vdev->dev, "%u buffers, %u bytes, %u damaged; %u unused\n", dummy->buffers, dummy->bytes,
		 dummy->damaged, unused);
	kfree(dummy);
}

static const struct virtio_device_id dummy_ids[] = {
	{ VIRTIO_ID_DUMMY, VIRTIO_DEV_ANY_ID },
	{ 0 },
};
MODULE_DEVICE_TABLE(virtio, dummy_ids);

static struct virtio_driver virtio_dummy_driver = {
	.driver.name = KBUILD_MODNAME,
	.driver.owner = THIS_MODULE,
	.id_table = dummy_ids,
	.probe = dummy_probe,
	.remove = dummy_remove,
};
module_virtio_driver(virtio_dummy_driver);

MODULE_DESCRIPTION("virtio dummy driver");
MODULE_LICENSE("Dual BSD/GPL");
