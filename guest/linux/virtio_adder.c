// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Driver for the virtio adder, a device that adds one to a number.
 *
 * Every device is a misc device /dev/adderN. An open file is a stream of its
 * own: each write() of a native 32 bit integer is one request, and read()
 * returns the results in the order of the writes. Requests of several files
 * share the one virtqueue.
 *
 * Lifetime: struct adder is counted, one reference for the bound device and
 * one for each open file, so a file may outlive its device. A request belongs
 * to whoever waits for it; a waiter that leaves early marks it abandoned, and
 * the virtqueue callback frees it when the device is done with the memory.
 *
 * Locks: adder->lock guards the virtqueue, the requests and "gone";
 * adder->config_lock serializes configuration access (which may sleep) with
 * removal; adder_file->read_lock keeps readers of one file apart.
 */
#include <linux/compat.h>
#include <linux/fs.h>
#include <linux/idr.h>
#include <linux/kref.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/sysfs.h>
#include <linux/uaccess.h>
#include <linux/virtio.h>
#include <linux/virtio_config.h>
#include <linux/wait.h>

#include <vireo/spec/virtio_adder.h>
#include <vireo/spec/virtio_ids.h>

#include "virtio_custom_ioctl.h"

/* Results that one open file may leave unread before its writers wait. */
#define ADDER_BACKLOG 1024

/* Descriptors of a request: the number and the place for the sum. */
#define ADDER_DESCRIPTORS 2

static unsigned int id = VIRTIO_ID_ADDER;
module_param(id, uint, 0444);
MODULE_PARM_DESC(id, "virtio device id to drive (default 60)");

static DEFINE_IDA(adder_ida);

struct adder {
	struct kref ref;
	struct virtio_device *vdev;
	struct virtqueue *vq;		/* NULL while suspended; written under lock */
	struct adder_request *parked;	/* unfinished when suspended */
	spinlock_t lock;		/* the virtqueue, the requests */
	struct mutex config_lock;	/* configuration access against removal */
	bool gone;			/* written under both locks */
	unsigned int unfinished;	/* requests that the device has */
	wait_queue_head_t wait;		/* a request is done, there is room, or the device went away */
	int index;
	char name[24];
	struct miscdevice misc;
};

struct adder_file {
	struct adder *adder;
	struct mutex read_lock;		/* a result goes to one reader */
	struct list_head requests;	/* oldest first */
	unsigned int count;
};

enum adder_state {
	ADDER_PENDING,		/* the device may use the buffers */
	ADDER_DONE,		/* belongs to the waiter, who frees it */
	ADDER_ABANDONED,	/* as PENDING, but nobody waits: the callback frees it */
};

struct adder_request {
	struct list_head node;	/* in adder_file->requests, or empty */
	enum adder_state state;
	struct adder_request *next;	/* while parked */
	int error;
	/* What the device reads and writes shares no cache line with the above. */
	__le32 number ____cacheline_aligned;
	__le32 sum ____cacheline_aligned;
};

static void adder_free(struct kref *ref)
{
	kfree(container_of(ref, struct adder, ref));
}

/* adder->lock is held */
static void adder_complete(struct adder_request *req, int error)
{
	if (req->state == ADDER_ABANDONED) {
		kfree(req);
		return;
	}
	req->error = error;
	req->state = ADDER_DONE;
}

static void adder_done(struct virtqueue *vq)
{
	struct adder *adder = vq->vdev->priv;
	struct adder_request *req;
	unsigned long flags;
	unsigned int used;

	spin_lock_irqsave(&adder->lock, flags);
	do {
		virtqueue_disable_cb(vq);
		/* The used length is the device's word only: anything but one whole sum is an error. */
		while ((req = virtqueue_get_buf(vq, &used))) {
			adder->unfinished--;
			adder_complete(req, used == sizeof(req->sum) ? 0 : -EIO);
		}
	} while (!virtqueue_is_broken(vq) && !virtqueue_enable_cb(vq));
	spin_unlock_irqrestore(&adder->lock, flags);
	wake_up_all(&adder->wait);
}

/* 0, -ENODEV or -EIO when no request can succeed any more; adder->lock is held */
static int adder_check(struct adder *adder)
{
	if (adder->gone)
		return -ENODEV;
	return adder->vq && virtqueue_is_broken(adder->vq) ? -EIO : 0;
}

/*
 * Can a request be added (to the results of af unless that is NULL), or is
 * waiting for that pointless? adder->lock is held
 */
static bool adder_has_room(struct adder *adder, struct adder_file *af)
{
	if (adder_check(adder))
		return true;
	if (af && af->count >= ADDER_BACKLOG)
		return false;
	return adder->vq && adder->vq->num_free >= ADDER_DESCRIPTORS;
}

static bool adder_room(struct adder *adder, struct adder_file *af)
{
	bool room;

	spin_lock_irq(&adder->lock);
	room = adder_has_room(adder, af);
	spin_unlock_irq(&adder->lock);
	return room;
}

/* adder->lock is held */
static int adder_add(struct adder *adder, struct adder_request *req)
{
	struct scatterlist number, sum, *sgs[] = { &number, &sum };
	int err;

	sg_init_one(&number, &req->number, sizeof(req->number));
	sg_init_one(&sum, &req->sum, sizeof(req->sum));
	err = virtqueue_add_sgs(adder->vq, sgs, 1, 1, req, GFP_ATOMIC);
	if (err)
		return err;
	adder->unfinished++;
	virtqueue_kick(adder->vq);
	return 0;
}

/* Submit n, as the next result of af unless that is NULL; the request goes to *out. */
static int adder_submit(struct adder *adder, struct adder_file *af, s32 n, bool nonblock,
			struct adder_request **out)
{
	struct adder_request *req;
	int err;

	req = kzalloc(sizeof(*req), GFP_KERNEL_ACCOUNT);
	if (!req)
		return -ENOMEM;
	INIT_LIST_HEAD(&req->node);
	req->number = cpu_to_le32((u32)n);

	for (;;) {
		spin_lock_irq(&adder->lock);
		err = adder_check(adder);
		if (!err)
			err = adder_has_room(adder, af) ? adder_add(adder, req) : -ENOSPC;
		if (!err && af) {
			list_add_tail(&req->node, &af->requests);
			af->count++;
		}
		spin_unlock_irq(&adder->lock);

		if (err == -ENOSPC && nonblock)
			err = -EAGAIN;
		if (err != -ENOSPC)
			break;
		err = wait_event_interruptible(adder->wait, adder_room(adder, af));
		if (err)
			break;
	}
	if (err)
		kfree(req);
	else
		*out = req;
	return err;
}

/* The request is off every list; adder->lock is held */
static void adder_drop(struct adder_request *req)
{
	if (req->state == ADDER_PENDING)
		req->state = ADDER_ABANDONED;
	else
		kfree(req);
}

static int adder_open(struct inode *inode, struct file *file)
{
	/* misc_open() holds the lock that misc_deregister() takes, so the device is still bound. */
	struct adder *adder = container_of(file->private_data, struct adder, misc);
	struct adder_file *af;

	af = kzalloc(sizeof(*af), GFP_KERNEL_ACCOUNT);
	if (!af)
		return -ENOMEM;
	kref_get(&adder->ref);
	af->adder = adder;
	mutex_init(&af->read_lock);
	INIT_LIST_HEAD(&af->requests);
	file->private_data = af;
	return stream_open(inode, file);
}

static int adder_release(struct inode *inode, struct file *file)
{
	struct adder_file *af = file->private_data;
	struct adder *adder = af->adder;
	struct adder_request *req, *next;

	spin_lock_irq(&adder->lock);
	list_for_each_entry_safe(req, next, &af->requests, node) {
		list_del_init(&req->node);
		adder_drop(req);
	}
	spin_unlock_irq(&adder->lock);
	mutex_destroy(&af->read_lock);
	kfree(af);
	kref_put(&adder->ref, adder_free);
	return 0;
}

static ssize_t adder_write(struct file *file, const char __user *buf, size_t count, loff_t *pos)
{
	struct adder_file *af = file->private_data;
	struct adder_request *req;
	s32 n;
	int err;

	if (count != sizeof(n))
		return -EINVAL;
	if (copy_from_user(&n, buf, sizeof(n)))
		return -EFAULT;
	err = adder_submit(af->adder, af, n, file->f_flags & O_NONBLOCK, &req);
	return err ? err : sizeof(n);
}

/* The oldest request when it is done, else NULL; *ready says whether read() need not wait. */
static struct adder_request *adder_peek(struct adder_file *af, bool *ready)
{
	struct adder_request *req;

	spin_lock_irq(&af->adder->lock);
	req = list_first_entry_or_null(&af->requests, struct adder_request, node);
	if (req && req->state == ADDER_PENDING)
		req = NULL;
	*ready = req || adder_check(af->adder);
	spin_unlock_irq(&af->adder->lock);
	return req;
}

static bool adder_ready(struct adder_file *af)
{
	bool ready;

	adder_peek(af, &ready);
	return ready;
}

/* One result to user space; af->read_lock is held. -EAGAIN when there is none yet. */
static ssize_t adder_read_one(struct adder_file *af, char __user *buf)
{
	struct adder *adder = af->adder;
	struct adder_request *req;
	ssize_t ret = sizeof(s32);
	bool ready;
	s32 sum;

	req = adder_peek(af, &ready);
	if (!req) {
		spin_lock_irq(&adder->lock);
		ret = adder_check(adder);
		spin_unlock_irq(&adder->lock);
		return ret ? ret : -EAGAIN;
	}
	sum = (s32)le32_to_cpu(req->sum);
	if (req->error)
		ret = req->error;
	else if (copy_to_user(buf, &sum, sizeof(sum)))
		return -EFAULT;	/* the result stays for another try */

	spin_lock_irq(&adder->lock);
	list_del_init(&req->node);
	af->count--;
	spin_unlock_irq(&adder->lock);
	kfree(req);
	wake_up_all(&adder->wait);
	return ret;
}

static ssize_t adder_read(struct file *file, char __user *buf, size_t count, loff_t *pos)
{
	struct adder_file *af = file->private_data;
	ssize_t ret;

	if (count < sizeof(s32))
		return -EINVAL;
	for (;;) {
		ret = mutex_lock_interruptible(&af->read_lock);
		if (ret)
			return ret;
		ret = adder_read_one(af, buf);
		mutex_unlock(&af->read_lock);
		if (ret != -EAGAIN || (file->f_flags & O_NONBLOCK))
			return ret;
		ret = wait_event_interruptible(af->adder->wait, adder_ready(af));
		if (ret)
			return ret;
	}
}

static __poll_t adder_poll(struct file *file, struct poll_table_struct *table)
{
	struct adder_file *af = file->private_data;
	struct adder *adder = af->adder;
	__poll_t mask = 0;

	poll_wait(file, &adder->wait, table);
	if (adder_ready(af))
		mask |= EPOLLIN | EPOLLRDNORM;
	spin_lock_irq(&adder->lock);
	if (adder_check(adder))
		mask |= EPOLLERR | EPOLLHUP;
	else if (adder_has_room(adder, af))
		mask |= EPOLLOUT | EPOLLWRNORM;
	spin_unlock_irq(&adder->lock);
	return mask;
}

static bool adder_finished(struct adder *adder, struct adder_request *req)
{
	bool finished;

	spin_lock_irq(&adder->lock);
	finished = req->state == ADDER_DONE || adder_check(adder) == -EIO;
	spin_unlock_irq(&adder->lock);
	return finished;
}

static int adder_add_now(struct adder *adder, s32 *n, bool nonblock)
{
	struct adder_request *req;
	int err;

	err = adder_submit(adder, NULL, *n, nonblock, &req);
	if (err)
		return err;
	err = wait_event_interruptible(adder->wait, adder_finished(adder, req));

	spin_lock_irq(&adder->lock);
	if (req->state == ADDER_DONE) {
		err = req->error;
		*n = (s32)le32_to_cpu(req->sum);
	} else if (!err) {
		err = -EIO;
	}
	adder_drop(req);
	spin_unlock_irq(&adder->lock);
	return err;
}

static long adder_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct adder_file *af = file->private_data;
	s32 __user *user = (s32 __user *)arg;
	s32 n;
	int err;

	if (cmd != VIRTIO_ADDER_IOC_ADD)
		return -ENOTTY;
	if (get_user(n, user))
		return -EFAULT;
	err = adder_add_now(af->adder, &n, file->f_flags & O_NONBLOCK);
	if (err)
		return err;
	return put_user(n, user);
}

static const struct file_operations adder_fops = {
	.owner = THIS_MODULE,
	.open = adder_open,
	.release = adder_release,
	.read = adder_read,
	.write = adder_write,
	.poll = adder_poll,
	.unlocked_ioctl = adder_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

static ssize_t status_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct adder *adder = container_of(dev_get_drvdata(dev), struct adder, misc);
	ssize_t ret = -ENODEV;
	u32 status;

	mutex_lock(&adder->config_lock);
	if (!adder->gone) {
		virtio_cread_le(adder->vdev, struct virtio_adder_config, status, &status);
		ret = sysfs_emit(buf, "%u\n", status);
	}
	mutex_unlock(&adder->config_lock);
	return ret;
}

static ssize_t status_store(struct device *dev, struct device_attribute *attr, const char *buf, size_t count)
{
	struct adder *adder = container_of(dev_get_drvdata(dev), struct adder, misc);
	ssize_t ret = -ENODEV;
	u32 status;
	int err;

	err = kstrtou32(buf, 0, &status);
	if (err)
		return err;
	mutex_lock(&adder->config_lock);
	if (!adder->gone) {
		virtio_cwrite_le(adder->vdev, struct virtio_adder_config, status, &status);
		ret = count;
	}
	mutex_unlock(&adder->config_lock);
	return ret;
}
static DEVICE_ATTR_RW(status);

static struct attribute *adder_attrs[] = {
	&dev_attr_status.attr,
	NULL,
};
ATTRIBUTE_GROUPS(adder);

static bool adder_idle(struct adder *adder)
{
	bool idle;

	spin_lock_irq(&adder->lock);
	idle = !adder->unfinished || virtqueue_is_broken(adder->vq);
	spin_unlock_irq(&adder->lock);
	return idle;
}

/*
 * Stop the device and park what it had not finished. Nobody adds requests any more: gone is set,
 * or all of user space is frozen.
 */
static void adder_halt(struct adder *adder)
{
	struct adder_request *req, *parked = NULL;

	if (!adder->vq)
		return;
	/*
	 * Not every transport stops the device at reset: User-Mode Linux does it
	 * in del_vqs(). So give it time to finish, for taking back a request is
	 * safe only once it is stopped, and let nothing be freed before that.
	 */
	wait_event_timeout(adder->wait, adder_idle(adder), HZ);
	virtio_reset_device(adder->vdev);
	spin_lock_irq(&adder->lock);
	while ((req = virtqueue_detach_unused_buf(adder->vq))) {
		req->next = parked;
		parked = req;
	}
	spin_unlock_irq(&adder->lock);
	adder->vdev->config->del_vqs(adder->vdev);

	spin_lock_irq(&adder->lock);
	adder->vq = NULL;
	adder->parked = parked;
	adder->unfinished = 0;
	spin_unlock_irq(&adder->lock);
}

/* Stop the device, after adder_set_gone(), and fail what it had not finished. */
static void adder_stop(struct adder *adder)
{
	struct adder_request *req;

	adder_halt(adder);
	spin_lock_irq(&adder->lock);
	while ((req = adder->parked)) {
		adder->parked = req->next;
		adder_complete(req, -ENODEV);
	}
	spin_unlock_irq(&adder->lock);
	wake_up_all(&adder->wait);
}

/* Find the queue, and let the device use it: users may come from misc_register() on. */
static int adder_start(struct adder *adder)
{
	struct virtio_device *vdev = adder->vdev;
	struct virtqueue *vq;

	vq = virtio_find_single_vq(vdev, adder_done, "requestq");
	if (IS_ERR(vq))
		return PTR_ERR(vq);
	if (virtqueue_get_vring_size(vq) < ADDER_DESCRIPTORS) {
		dev_err(&vdev->dev, "the queue holds %u descriptors, a request takes %u\n",
			virtqueue_get_vring_size(vq), ADDER_DESCRIPTORS);
		vdev->config->del_vqs(vdev);
		return -EINVAL;
	}
	spin_lock_irq(&adder->lock);
	adder->vq = vq;
	spin_unlock_irq(&adder->lock);
	virtio_device_ready(vdev);
	return 0;
}

static void adder_set_gone(struct adder *adder)
{
	mutex_lock(&adder->config_lock);
	spin_lock_irq(&adder->lock);
	adder->gone = true;
	spin_unlock_irq(&adder->lock);
	mutex_unlock(&adder->config_lock);
	wake_up_all(&adder->wait);
}

static int adder_register(struct adder *adder)
{
	int err;

	adder->index = ida_alloc(&adder_ida, GFP_KERNEL);
	if (adder->index < 0)
		return adder->index;
	snprintf(adder->name, sizeof(adder->name), "adder%d", adder->index);
	adder->misc.minor = MISC_DYNAMIC_MINOR;
	adder->misc.name = adder->name;
	adder->misc.fops = &adder_fops;
	adder->misc.parent = &adder->vdev->dev;
	adder->misc.groups = adder_groups;
	err = misc_register(&adder->misc);
	if (err)
		ida_free(&adder_ida, adder->index);
	return err;
}

static int adder_probe(struct virtio_device *vdev)
{
	struct adder *adder;
	int err;

	if (!vdev->config->get || !virtio_has_feature(vdev, VIRTIO_F_VERSION_1)) {
		dev_err(&vdev->dev, "no configuration space, or a legacy device\n");
		return -EINVAL;
	}
	adder = kzalloc(sizeof(*adder), GFP_KERNEL);
	if (!adder)
		return -ENOMEM;
	kref_init(&adder->ref);
	spin_lock_init(&adder->lock);
	mutex_init(&adder->config_lock);
	init_waitqueue_head(&adder->wait);
	adder->vdev = vdev;
	vdev->priv = adder;

	err = adder_start(adder);
	if (err)
		goto err_put;
	err = adder_register(adder);
	if (err)
		goto err_stop;
	return 0;

err_stop:
	adder_set_gone(adder);
	adder_stop(adder);
err_put:
	vdev->priv = NULL;
	kref_put(&adder->ref, adder_free);
	return err;
}

static void adder_remove(struct virtio_device *vdev)
{
	struct adder *adder = vdev->priv;

	adder_set_gone(adder);
	misc_deregister(&adder->misc);
	adder_stop(adder);
	ida_free(&adder_ida, adder->index);
	vdev->priv = NULL;
	kref_put(&adder->ref, adder_free);
}

#ifdef CONFIG_PM_SLEEP
static int adder_freeze(struct virtio_device *vdev)
{
	struct adder *adder = vdev->priv;

	adder_halt(adder);
	return 0;
}

/* What the device had not finished before is asked again, in the same order. */
static int adder_restore(struct virtio_device *vdev)
{
	struct adder *adder = vdev->priv;
	struct adder_request *req, *oldest = NULL;
	int err;

	err = adder_start(adder);
	if (err) {
		adder_set_gone(adder);
		adder_stop(adder);
		return err;
	}
	spin_lock_irq(&adder->lock);
	while ((req = adder->parked)) {
		adder->parked = req->next;
		req->next = oldest;
		oldest = req;
	}
	while ((req = oldest)) {
		oldest = req->next;
		/* Nobody waits for it any more, or there is no room: the new queue may be smaller. */
		if (req->state == ADDER_ABANDONED || adder_add(adder, req))
			adder_complete(req, -EIO);
	}
	spin_unlock_irq(&adder->lock);
	wake_up_all(&adder->wait);
	return 0;
}
#endif

static struct virtio_device_id adder_ids[] = {
	{ VIRTIO_ID_ADDER, VIRTIO_DEV_ANY_ID },
	{ 0 },
};
MODULE_DEVICE_TABLE(virtio, adder_ids);

static struct virtio_driver adder_driver = {
	.driver.name = KBUILD_MODNAME,
	.driver.owner = THIS_MODULE,
	.id_table = adder_ids,
	.probe = adder_probe,
	.remove = adder_remove,
#ifdef CONFIG_PM_SLEEP
	.freeze = adder_freeze,
	.restore = adder_restore,
#endif
};

static int __init adder_init(void)
{
	if (!id) {
		pr_err("%s: id=0 is no virtio device id\n", KBUILD_MODNAME);
		return -EINVAL;
	}
	adder_ids[0].device = id;
	return register_virtio_driver(&adder_driver);
}
module_init(adder_init);

static void __exit adder_exit(void)
{
	unregister_virtio_driver(&adder_driver);
}
module_exit(adder_exit);

MODULE_DESCRIPTION("virtio adder driver");
MODULE_LICENSE("Dual BSD/GPL");
