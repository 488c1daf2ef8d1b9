// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Driver for a dummy device, in the manner of the kernel's guide to writing
 * virtio drivers: the least that a driver needs, to be copied for another.
 *
 * The device has one queue, "input". It fills each buffer with bytes that
 * count up from buffer to buffer; the driver looks whether they do, and gives
 * the buffer back. /sys/bus/virtio/devices/virtioN/counts shows what came:
 * buffers, bytes, and buffers that were not as expected.
 */
#include <linux/err.h>
#include <linux/module.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/sysfs.h>
#include <linux/virtio.h>
#include <linux/virtio_config.h>

#include <vireo/spec/virtio_ids.h>

#define DUMMY_BUFFERS 8
#define DUMMY_BYTES 100

static unsigned int id = VIRTIO_ID_DUMMY;
module_param(id, uint, 0444);
MODULE_PARM_DESC(id, "virtio device id to drive (default 62)");

struct dummy {
	spinlock_t lock;	/* all that follows */
	struct virtqueue *vq;	/* NULL: stopped */
	u8 expected;		/* the next byte of the count */
	bool known;		/* it is known: something has come */
	unsigned int buffers, bytes, damaged;
	u8 *memory[DUMMY_BUFFERS];
};

/* The buffer is the device's from here on; dummy->lock is held */
static void dummy_give(struct dummy *dummy, u8 *buffer)
{
	struct scatterlist sg;

	sg_init_one(&sg, buffer, DUMMY_BYTES);
	/* A queue may have room for fewer buffers; then this one rests. */
	virtqueue_add_inbuf(dummy->vq, &sg, 1, buffer, GFP_ATOMIC);
}

/* dummy->lock is held */
static void dummy_look(struct dummy *dummy, const u8 *buffer, unsigned int length)
{
	unsigned int i;

	/* The used length is the device's word only. */
	if (!length || length > DUMMY_BYTES) {
		dummy->damaged++;
		return;
	}
	if (!dummy->known)
		dummy->expected = buffer[0];
	dummy->known = true;
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
	unsigned long flags;
	u8 *buffer;

	spin_lock_irqsave(&dummy->lock, flags);
	if (!dummy->vq)
		goto out;
	do {
		virtqueue_disable_cb(vq);
		while ((buffer = virtqueue_get_buf(vq, &length))) {
			dummy_look(dummy, buffer, length);
			dummy_give(dummy, buffer);
		}
	} while (!virtqueue_is_broken(vq) && !virtqueue_enable_cb(vq));
	virtqueue_kick(vq);
out:
	spin_unlock_irqrestore(&dummy->lock, flags);
}

static int dummy_start(struct virtio_device *vdev)
{
	struct dummy *dummy = vdev->priv;
	struct virtqueue *vq;
	int i;

	vq = virtio_find_single_vq(vdev, dummy_input, "input");
	if (IS_ERR(vq))
		return PTR_ERR(vq);
	/* From here on the device may use the queue and call back. */
	virtio_device_ready(vdev);
	spin_lock_irq(&dummy->lock);
	dummy->vq = vq;
	for (i = 0; i < DUMMY_BUFFERS; i++)
		dummy_give(dummy, dummy->memory[i]);
	virtqueue_kick(vq);
	spin_unlock_irq(&dummy->lock);
	return 0;
}

/* After this the device neither calls back nor touches a buffer; how many it had. */
static unsigned int dummy_stop(struct virtio_device *vdev)
{
	struct dummy *dummy = vdev->priv;
	unsigned int unused = 0;
	struct virtqueue *vq;

	spin_lock_irq(&dummy->lock);
	vq = dummy->vq;
	dummy->vq = NULL;
	spin_unlock_irq(&dummy->lock);
	if (!vq)
		return 0;
	virtio_reset_device(vdev);
	while (virtqueue_detach_unused_buf(vq))
		unused++;
	/* Some transports stop the device only here, so no buffer is freed before. */
	vdev->config->del_vqs(vdev);
	return unused;
}

static void dummy_free(struct dummy *dummy)
{
	int i;

	for (i = 0; i < DUMMY_BUFFERS; i++)
		kfree(dummy->memory[i]);
	kfree(dummy);
}

static ssize_t counts_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct dummy *dummy = dev_to_virtio(dev)->priv;
	unsigned int buffers, bytes, damaged;

	spin_lock_irq(&dummy->lock);
	buffers = dummy->buffers;
	bytes = dummy->bytes;
	damaged = dummy->damaged;
	spin_unlock_irq(&dummy->lock);
	return sysfs_emit(buf, "%u %u %u\n", buffers, bytes, damaged);
}
static DEVICE_ATTR_RO(counts);

static int dummy_probe(struct virtio_device *vdev)
{
	struct dummy *dummy;
	int i, err = -ENOMEM;

	dummy = kzalloc(sizeof(*dummy), GFP_KERNEL);
	if (!dummy)
		return -ENOMEM;
	spin_lock_init(&dummy->lock);
	for (i = 0; i < DUMMY_BUFFERS; i++) {
		/* Zeroed: a device that claims to have written and hasn't shows no old memory. */
		dummy->memory[i] = kzalloc(DUMMY_BYTES, GFP_KERNEL);
		if (!dummy->memory[i])
			goto err_free;
	}
	vdev->priv = dummy;
	err = dummy_start(vdev);
	if (err)
		goto err_free;
	err = device_create_file(&vdev->dev, &dev_attr_counts);
	if (err)
		goto err_stop;
	return 0;

err_stop:
	dummy_stop(vdev);
err_free:
	vdev->priv = NULL;
	dummy_free(dummy);
	return err;
}

static void dummy_remove(struct virtio_device *vdev)
{
	struct dummy *dummy = vdev->priv;
	unsigned int unused;

	/* Waits for readers, too. */
	device_remove_file(&vdev->dev, &dev_attr_counts);
	unused = dummy_stop(vdev);
	dev_info(&vdev->dev, "%u buffers, %u bytes, %u damaged; %u unused\n", dummy->buffers, dummy->bytes,
		 dummy->damaged, unused);
	vdev->priv = NULL;
	dummy_free(dummy);
}

#ifdef CONFIG_PM_SLEEP
static int dummy_freeze(struct virtio_device *vdev)
{
	dummy_stop(vdev);
	return 0;
}

static int dummy_restore(struct virtio_device *vdev)
{
	struct dummy *dummy = vdev->priv;

	/* The device may count from anywhere after its reset. */
	dummy->known = false;
	return dummy_start(vdev);
}
#endif

static struct virtio_device_id dummy_ids[] = {
	{ VIRTIO_ID_DUMMY, VIRTIO_DEV_ANY_ID },
	{ 0 },
};
MODULE_DEVICE_TABLE(virtio, dummy_ids);

static struct virtio_driver dummy_driver = {
	.driver.name = KBUILD_MODNAME,
	.driver.owner = THIS_MODULE,
	.id_table = dummy_ids,
	.probe = dummy_probe,
	.remove = dummy_remove,
#ifdef CONFIG_PM_SLEEP
	.freeze = dummy_freeze,
	.restore = dummy_restore,
#endif
};

static int __init dummy_init(void)
{
	if (!id) {
		pr_err("%s: id=0 is no virtio device id\n", KBUILD_MODNAME);
		return -EINVAL;
	}
	dummy_ids[0].device = id;
	return register_virtio_driver(&dummy_driver);
}
module_init(dummy_init);

static void __exit dummy_exit(void)
{
	unregister_virtio_driver(&dummy_driver);
}
module_exit(dummy_exit);

MODULE_DESCRIPTION("virtio dummy driver");
MODULE_LICENSE("Dual BSD/GPL");
