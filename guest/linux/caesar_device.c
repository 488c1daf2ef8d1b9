// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Driver for the virtio Caesar device, which rotates the letters of a text.
 *
 * Every device is a misc device /dev/caesarN. An open file is a byte stream
 * of its own: write() hands text to the device in pieces, read() returns the
 * transformed bytes in the same order. Pieces of several files share the one
 * virtqueue.
 *
 * Shift and mode lie in the device's configuration space. Either side may
 * change them: a change by the device wakes pollers of the sysfs attributes
 * and raises EPOLLPRI on open files until they ask for shift or mode.
 *
 * Lifetime: struct caesar is counted, one reference for the bound device and
 * one for each open file, so a file may outlive its device. A piece belongs
 * to the file that wrote it; a file that closes early marks its pieces
 * abandoned, and the virtqueue callback frees them when the device is done
 * with the memory.
 *
 * This file is the virtio side, the pieces, the configuration and the module's
 * life; caesar_file.c is what an open file does.
 *
 * Locks: caesar->lock guards the virtqueue, the pieces and "gone";
 * caesar->config_lock serializes configuration access (which may sleep) with
 * removal; caesar_file->read_lock and write_lock keep the readers and the
 * writers of one file apart. Order: read_lock or write_lock, then lock.
 */
#include <linux/idr.h>
#include <linux/module.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <linux/sysfs.h>
#include <linux/virtio_config.h>

#include <vireo/spec/virtio_caesar.h>
#include <vireo/spec/virtio_ids.h>

#include "caesar.h"

static unsigned int id = VIRTIO_ID_CAESAR;
module_param(id, uint, 0444);
MODULE_PARM_DESC(id, "virtio device id to drive (default 61)");

static DEFINE_IDA(caesar_ida);

void caesar_free(struct kref *ref)
{
	kfree(container_of(ref, struct caesar, ref));
}

void caesar_piece_free(struct caesar_piece *piece)
{
	kfree(piece->in);
	kfree(piece->out);
	kfree(piece);
}

struct caesar_piece *caesar_piece_alloc(unsigned int length)
{
	struct caesar_piece *piece;

	piece = kzalloc(sizeof(*piece), GFP_KERNEL_ACCOUNT);
	if (!piece)
		return NULL;
	piece->length = length;
	piece->in = kmalloc(length, GFP_KERNEL_ACCOUNT);
	/* Zeroed: a device that claims to have written and hasn't must not show old memory to the reader. */
	piece->out = kzalloc(length, GFP_KERNEL_ACCOUNT);
	if (!piece->in || !piece->out) {
		caesar_piece_free(piece);
		return NULL;
	}
	return piece;
}

/* caesar->lock is held */
static void caesar_complete(struct caesar_piece *piece, int error)
{
	if (piece->state == CAESAR_ABANDONED) {
		caesar_piece_free(piece);
		return;
	}
	piece->error = error;
	piece->state = CAESAR_DONE;
}

static void caesar_done(struct virtqueue *vq)
{
	struct caesar *caesar = vq->vdev->priv;
	struct caesar_piece *piece;
	unsigned long flags;
	unsigned int used;

	spin_lock_irqsave(&caesar->lock, flags);
	do {
		virtqueue_disable_cb(vq);
		/* The used length is the device's word only: anything but the whole piece is an error. */
		while ((piece = virtqueue_get_buf(vq, &used))) {
			caesar->unfinished--;
			caesar_complete(piece, used == piece->length ? 0 : -EIO);
		}
	} while (!virtqueue_is_broken(vq) && !virtqueue_enable_cb(vq));
	spin_unlock_irqrestore(&caesar->lock, flags);
	wake_up_all(&caesar->wait);
}

/* 0, -ENODEV or -EIO when no piece can succeed any more; caesar->lock is held */
int caesar_check(struct caesar *caesar)
{
	if (caesar->gone)
		return -ENODEV;
	return caesar->vq && virtqueue_is_broken(caesar->vq) ? -EIO : 0;
}

/* caesar->lock is held */
int caesar_add(struct caesar *caesar, struct caesar_piece *piece)
{
	struct scatterlist in, out, *sgs[] = { &in, &out };
	int err;

	sg_init_one(&in, piece->in, piece->length);
	sg_init_one(&out, piece->out, piece->length);
	err = virtqueue_add_sgs(caesar->vq, sgs, 1, 1, piece, GFP_ATOMIC);
	if (err)
		return err;
	caesar->unfinished++;
	virtqueue_kick(caesar->vq);
	return 0;
}

/* caesar->config_lock is held and the device is there */
static u8 caesar_config_read(struct caesar *caesar, enum caesar_field field)
{
	u8 value;

	if (field == CAESAR_SHIFT)
		virtio_cread_le(caesar->vdev, struct virtio_caesar_config, shift, &value);
	else
		virtio_cread_le(caesar->vdev, struct virtio_caesar_config, mode, &value);
	return value;
}

int caesar_get(struct caesar *caesar, enum caesar_field field, u32 *value)
{
	int err = -ENODEV;

	mutex_lock(&caesar->config_lock);
	if (!caesar->gone) {
		*value = caesar_config_read(caesar, field);
		err = 0;
	}
	mutex_unlock(&caesar->config_lock);
	return err;
}

int caesar_set(struct caesar *caesar, enum caesar_field field, u32 value)
{
	u8 byte = value;
	int err = -ENODEV;

	if (value > U8_MAX)
		return -EINVAL;
	mutex_lock(&caesar->config_lock);
	if (!caesar->gone) {
		if (field == CAESAR_SHIFT)
			virtio_cwrite_le(caesar->vdev, struct virtio_caesar_config, shift, &byte);
		else
			virtio_cwrite_le(caesar->vdev, struct virtio_caesar_config, mode, &byte);
		/* The device judges the range, and ignores what is outside it. */
		err = caesar_config_read(caesar, field) == byte ? 0 : -EINVAL;
	}
	mutex_unlock(&caesar->config_lock);
	return err;
}

static ssize_t caesar_show(struct device *dev, enum caesar_field field, char *buf)
{
	struct caesar *caesar = container_of(dev_get_drvdata(dev), struct caesar, misc);
	u32 value;
	int err;

	err = caesar_get(caesar, field, &value);
	return err ? err : sysfs_emit(buf, "%u\n", value);
}

static ssize_t caesar_store(struct device *dev, enum caesar_field field, const char *buf, size_t count)
{
	struct caesar *caesar = container_of(dev_get_drvdata(dev), struct caesar, misc);
	u32 value;
	int err;

	err = kstrtou32(buf, 0, &value);
	if (!err)
		err = caesar_set(caesar, field, value);
	return err ? err : count;
}

static ssize_t shift_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return caesar_show(dev, CAESAR_SHIFT, buf);
}

static ssize_t shift_store(struct device *dev, struct device_attribute *attr, const char *buf, size_t count)
{
	return caesar_store(dev, CAESAR_SHIFT, buf, count);
}
static DEVICE_ATTR_RW(shift);

static ssize_t mode_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return caesar_show(dev, CAESAR_MODE, buf);
}

static ssize_t mode_store(struct device *dev, struct device_attribute *attr, const char *buf, size_t count)
{
	return caesar_store(dev, CAESAR_MODE, buf, count);
}
static DEVICE_ATTR_RW(mode);

static struct attribute *caesar_attrs[] = {
	&dev_attr_shift.attr,
	&dev_attr_mode.attr,
	NULL,
};
ATTRIBUTE_GROUPS(caesar);

static void caesar_config_work(struct work_struct *work)
{
	struct caesar *caesar = container_of(work, struct caesar, config_work);
	struct device *dev = READ_ONCE(caesar->misc.this_device);

	/* Before misc_register() is through there is nobody to tell. */
	if (IS_ERR_OR_NULL(dev))
		return;
	sysfs_notify(&dev->kobj, NULL, "shift");
	sysfs_notify(&dev->kobj, NULL, "mode");
	wake_up_all(&caesar->wait);
}

/* May be called in interrupt context, where neither sysfs nor the configuration can be used. */
static void caesar_config_changed(struct virtio_device *vdev)
{
	struct caesar *caesar = vdev->priv;
	unsigned long flags;

	spin_lock_irqsave(&caesar->lock, flags);
	if (!caesar->gone) {
		caesar->changes++;
		schedule_work(&caesar->config_work);
	}
	spin_unlock_irqrestore(&caesar->lock, flags);
}

/* From here on nobody adds pieces, touches the configuration or hears of its changes. */
static void caesar_set_gone(struct caesar *caesar)
{
	mutex_lock(&caesar->config_lock);
	spin_lock_irq(&caesar->lock);
	caesar->gone = true;
	spin_unlock_irq(&caesar->lock);
	mutex_unlock(&caesar->config_lock);
	wake_up_all(&caesar->wait);
	cancel_work_sync(&caesar->config_work);
}

static bool caesar_idle(struct caesar *caesar)
{
	bool idle;

	spin_lock_irq(&caesar->lock);
	idle = !caesar->unfinished || virtqueue_is_broken(caesar->vq);
	spin_unlock_irq(&caesar->lock);
	return idle;
}

/*
 * Stop the device and park what it had not finished. Nobody adds pieces any more: gone is set,
 * or all of user space is frozen.
 */
static void caesar_halt(struct caesar *caesar)
{
	struct caesar_piece *piece, *parked = NULL;

	if (!caesar->vq)
		return;
	/*
	 * Not every transport stops the device at reset: User-Mode Linux does it
	 * in del_vqs(). So give it time to finish, for taking back a request is
	 * safe only once it is stopped, and let nothing be freed before that.
	 */
	wait_event_timeout(caesar->wait, caesar_idle(caesar), HZ);
	virtio_reset_device(caesar->vdev);
	spin_lock_irq(&caesar->lock);
	while ((piece = virtqueue_detach_unused_buf(caesar->vq))) {
		piece->next = parked;
		parked = piece;
	}
	spin_unlock_irq(&caesar->lock);
	caesar->vdev->config->del_vqs(caesar->vdev);

	spin_lock_irq(&caesar->lock);
	caesar->vq = NULL;
	caesar->parked = parked;
	caesar->unfinished = 0;
	spin_unlock_irq(&caesar->lock);
}

/* Stop the device, after caesar_set_gone(), and fail what it had not finished. */
static void caesar_stop(struct caesar *caesar)
{
	struct caesar_piece *piece;

	caesar_halt(caesar);
	spin_lock_irq(&caesar->lock);
	while ((piece = caesar->parked)) {
		caesar->parked = piece->next;
		caesar_complete(piece, -ENODEV);
	}
	spin_unlock_irq(&caesar->lock);
	wake_up_all(&caesar->wait);
}

/* Find the queue, and let the device use it: users may come from misc_register() on. */
static int caesar_start(struct caesar *caesar)
{
	struct virtio_device *vdev = caesar->vdev;
	struct virtqueue *vq;

	vq = virtio_find_single_vq(vdev, caesar_done, "dataq");
	if (IS_ERR(vq))
		return PTR_ERR(vq);
	if (virtqueue_get_vring_size(vq) < CAESAR_DESCRIPTORS) {
		dev_err(&vdev->dev, "the queue holds %u descriptors, a request takes %u\n",
			virtqueue_get_vring_size(vq), CAESAR_DESCRIPTORS);
		vdev->config->del_vqs(vdev);
		return -EINVAL;
	}
	spin_lock_irq(&caesar->lock);
	caesar->vq = vq;
	spin_unlock_irq(&caesar->lock);
	virtio_device_ready(vdev);
	return 0;
}

static int caesar_register(struct caesar *caesar)
{
	int err;

	caesar->index = ida_alloc(&caesar_ida, GFP_KERNEL);
	if (caesar->index < 0)
		return caesar->index;
	snprintf(caesar->name, sizeof(caesar->name), "caesar%d", caesar->index);
	caesar->misc.minor = MISC_DYNAMIC_MINOR;
	caesar->misc.name = caesar->name;
	caesar->misc.fops = &caesar_fops;
	caesar->misc.parent = &caesar->vdev->dev;
	caesar->misc.groups = caesar_groups;
	err = misc_register(&caesar->misc);
	if (err)
		ida_free(&caesar_ida, caesar->index);
	return err;
}

static int caesar_probe(struct virtio_device *vdev)
{
	struct caesar *caesar;
	int err;

	if (!vdev->config->get || !virtio_has_feature(vdev, VIRTIO_F_VERSION_1)) {
		dev_err(&vdev->dev, "no configuration space, or a legacy device\n");
		return -EINVAL;
	}
	caesar = kzalloc(sizeof(*caesar), GFP_KERNEL);
	if (!caesar)
		return -ENOMEM;
	kref_init(&caesar->ref);
	spin_lock_init(&caesar->lock);
	mutex_init(&caesar->config_lock);
	INIT_WORK(&caesar->config_work, caesar_config_work);
	init_waitqueue_head(&caesar->wait);
	caesar->vdev = vdev;
	vdev->priv = caesar;

	err = caesar_start(caesar);
	if (err)
		goto err_put;
	err = caesar_register(caesar);
	if (err)
		goto err_stop;
	return 0;

err_stop:
	caesar_set_gone(caesar);
	caesar_stop(caesar);
err_put:
	vdev->priv = NULL;
	kref_put(&caesar->ref, caesar_free);
	return err;
}

static void caesar_remove(struct virtio_device *vdev)
{
	struct caesar *caesar = vdev->priv;

	caesar_set_gone(caesar);
	misc_deregister(&caesar->misc);
	caesar_stop(caesar);
	ida_free(&caesar_ida, caesar->index);
	vdev->priv = NULL;
	kref_put(&caesar->ref, caesar_free);
}

#ifdef CONFIG_PM_SLEEP
static int caesar_freeze(struct virtio_device *vdev)
{
	struct caesar *caesar = vdev->priv;

	caesar_halt(caesar);
	cancel_work_sync(&caesar->config_work);
	return 0;
}

/* What the device had not finished before is asked again, in the same order. */
static int caesar_restore(struct virtio_device *vdev)
{
	struct caesar *caesar = vdev->priv;
	struct caesar_piece *piece, *oldest = NULL;
	int err;

	err = caesar_start(caesar);
	if (err) {
		caesar_set_gone(caesar);
		caesar_stop(caesar);
		return err;
	}
	spin_lock_irq(&caesar->lock);
	while ((piece = caesar->parked)) {
		caesar->parked = piece->next;
		piece->next = oldest;
		oldest = piece;
	}
	while ((piece = oldest)) {
		oldest = piece->next;
		/* Nobody waits for it any more, or there is no room: the new queue may be smaller. */
		if (piece->state == CAESAR_ABANDONED || caesar_add(caesar, piece))
			caesar_complete(piece, -EIO);
	}
	spin_unlock_irq(&caesar->lock);
	wake_up_all(&caesar->wait);
	return 0;
}
#endif

static struct virtio_device_id caesar_ids[] = {
	{ VIRTIO_ID_CAESAR, VIRTIO_DEV_ANY_ID },
	{ 0 },
};
MODULE_DEVICE_TABLE(virtio, caesar_ids);

static struct virtio_driver caesar_driver = {
	.driver.name = KBUILD_MODNAME,
	.driver.owner = THIS_MODULE,
	.id_table = caesar_ids,
	.probe = caesar_probe,
	.remove = caesar_remove,
	.config_changed = caesar_config_changed,
#ifdef CONFIG_PM_SLEEP
	.freeze = caesar_freeze,
	.restore = caesar_restore,
#endif
};

static int __init caesar_init(void)
{
	if (!id) {
		pr_err("%s: id=0 is no virtio device id\n", KBUILD_MODNAME);
		return -EINVAL;
	}
	caesar_ids[0].device = id;
	return register_virtio_driver(&caesar_driver);
}
module_init(caesar_init);

static void __exit caesar_exit(void)
{
	unregister_virtio_driver(&caesar_driver);
}
module_exit(caesar_exit);

MODULE_DESCRIPTION("virtio Caesar cipher driver");
MODULE_LICENSE("Dual BSD/GPL");
