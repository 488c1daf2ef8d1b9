// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * /dev/caesarN: a byte stream for each open file, and the ioctls. See caesar_device.c, also for the locks.
 */
#include <linux/compat.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "caesar.h"
#include "virtio_custom_ioctl.h"

/* The most that one write() takes, and the most that goes into one request. */
#define CAESAR_WRITE_MAX 65536
#define CAESAR_PIECE 4096

/* Pieces that one open file may leave unread before its writers wait. */
#define CAESAR_BACKLOG 64

/* Can a piece be added, or is waiting for that pointless? caesar->lock is held */
static bool caesar_has_room(struct caesar *caesar, struct caesar_file *cf)
{
	return caesar_check(caesar) ||
	       (caesar->vq && cf->count < CAESAR_BACKLOG && caesar->vq->num_free >= CAESAR_DESCRIPTORS);
}

static bool caesar_room(struct caesar_file *cf)
{
	bool room;

	spin_lock_irq(&cf->caesar->lock);
	room = caesar_has_room(cf->caesar, cf);
	spin_unlock_irq(&cf->caesar->lock);
	return room;
}

static int caesar_submit(struct caesar_file *cf, struct caesar_piece *piece, bool nonblock)
{
	struct caesar *caesar = cf->caesar;
	int err;

	for (;;) {
		spin_lock_irq(&caesar->lock);
		err = caesar_check(caesar);
		if (!err)
			err = caesar_has_room(caesar, cf) ? caesar_add(caesar, piece) : -ENOSPC;
		if (!err) {
			list_add_tail(&piece->node, &cf->pieces);
			cf->count++;
		}
		spin_unlock_irq(&caesar->lock);

		if (err != -ENOSPC)
			return err;
		if (nonblock)
			return -EAGAIN;
		err = wait_event_interruptible(caesar->wait, caesar_room(cf));
		if (err)
			return err;
	}
}

static int caesar_open(struct inode *inode, struct file *file)
{
	/* misc_open() holds the lock that misc_deregister() takes, so the device is still bound. */
	struct caesar *caesar = container_of(file->private_data, struct caesar, misc);
	struct caesar_file *cf;

	cf = kzalloc(sizeof(*cf), GFP_KERNEL_ACCOUNT);
	if (!cf)
		return -ENOMEM;
	kref_get(&caesar->ref);
	cf->caesar = caesar;
	mutex_init(&cf->read_lock);
	mutex_init(&cf->write_lock);
	INIT_LIST_HEAD(&cf->pieces);
	spin_lock_irq(&caesar->lock);
	cf->changes_seen = caesar->changes;
	spin_unlock_irq(&caesar->lock);
	file->private_data = cf;
	return stream_open(inode, file);
}

static int caesar_release(struct inode *inode, struct file *file)
{
	struct caesar_file *cf = file->private_data;
	struct caesar *caesar = cf->caesar;
	struct caesar_piece *piece, *next;

	spin_lock_irq(&caesar->lock);
	list_for_each_entry_safe(piece, next, &cf->pieces, node) {
		list_del(&piece->node);
		if (piece->state == CAESAR_PENDING)
			piece->state = CAESAR_ABANDONED;
		else
			caesar_piece_free(piece);
	}
	spin_unlock_irq(&caesar->lock);
	mutex_destroy(&cf->read_lock);
	mutex_destroy(&cf->write_lock);
	kfree(cf);
	kref_put(&caesar->ref, caesar_free);
	return 0;
}

static int caesar_write_piece(struct caesar_file *cf, const char __user *buf, unsigned int length,
			      bool nonblock)
{
	struct caesar_piece *piece;
	int err;

	piece = caesar_piece_alloc(length);
	if (!piece)
		return -ENOMEM;
	if (copy_from_user(piece->in, buf, length))
		err = -EFAULT;
	else
		err = caesar_submit(cf, piece, nonblock);
	if (err)
		caesar_piece_free(piece);
	return err;
}

static int caesar_lock(struct mutex *lock, bool nonblock)
{
	if (nonblock)
		return mutex_trylock(lock) ? 0 : -EAGAIN;
	return mutex_lock_interruptible(lock);
}

static ssize_t caesar_write(struct file *file, const char __user *buf, size_t count, loff_t *pos)
{
	bool nonblock = file->f_flags & O_NONBLOCK;
	struct caesar_file *cf = file->private_data;
	size_t length, written = 0;
	int err;

	count = min_t(size_t, count, CAESAR_WRITE_MAX);
	/* Held while waiting for room, so that the text of one write() stays in one piece. */
	err = caesar_lock(&cf->write_lock, nonblock);
	if (err)
		return err;
	while (!err && written < count) {
		length = min_t(size_t, count - written, CAESAR_PIECE);
		err = caesar_write_piece(cf, buf + written, length, nonblock);
		if (!err)
			written += length;
	}
	mutex_unlock(&cf->write_lock);
	return written ? written : err;
}

/* The oldest piece when it is done, else NULL; *ready says whether read() need not wait. */
static struct caesar_piece *caesar_peek(struct caesar_file *cf, bool *ready)
{
	struct caesar_piece *piece;

	spin_lock_irq(&cf->caesar->lock);
	piece = list_first_entry_or_null(&cf->pieces, struct caesar_piece, node);
	if (piece && piece->state == CAESAR_PENDING)
		piece = NULL;
	*ready = piece || caesar_check(cf->caesar);
	spin_unlock_irq(&cf->caesar->lock);
	return piece;
}

static bool caesar_ready(struct caesar_file *cf)
{
	bool ready;

	caesar_peek(cf, &ready);
	return ready;
}

/* cf->read_lock is held */
static void caesar_take(struct caesar_file *cf, struct caesar_piece *piece)
{
	spin_lock_irq(&cf->caesar->lock);
	list_del(&piece->node);
	cf->count--;
	spin_unlock_irq(&cf->caesar->lock);
	caesar_piece_free(piece);
	wake_up_all(&cf->caesar->wait);
}

/* What is there, to user space; cf->read_lock is held. -EAGAIN when there is nothing yet. */
static ssize_t caesar_read_done(struct caesar_file *cf, char __user *buf, size_t count)
{
	struct caesar_piece *piece;
	size_t length, copied = 0;
	bool ready;
	int err;

	while (copied < count) {
		piece = caesar_peek(cf, &ready);
		if (!piece)
			break;
		if (piece->error) {
			/* An error is reported once, in its place in the stream. */
			if (copied)
				return copied;
			err = piece->error;
			caesar_take(cf, piece);
			return err;
		}
		length = min_t(size_t, count - copied, piece->length - piece->read);
		if (copy_to_user(buf + copied, piece->out + piece->read, length))
			return copied ? copied : -EFAULT;
		copied += length;
		piece->read += length;
		if (piece->read == piece->length)
			caesar_take(cf, piece);
	}
	if (copied)
		return copied;
	spin_lock_irq(&cf->caesar->lock);
	err = caesar_check(cf->caesar);
	spin_unlock_irq(&cf->caesar->lock);
	return err ? err : -EAGAIN;
}

static ssize_t caesar_read(struct file *file, char __user *buf, size_t count, loff_t *pos)
{
	struct caesar_file *cf = file->private_data;
	ssize_t ret;

	if (!count)
		return 0;
	for (;;) {
		ret = mutex_lock_interruptible(&cf->read_lock);
		if (ret)
			return ret;
		ret = caesar_read_done(cf, buf, count);
		mutex_unlock(&cf->read_lock);
		if (ret != -EAGAIN || (file->f_flags & O_NONBLOCK))
			return ret;
		ret = wait_event_interruptible(cf->caesar->wait, caesar_ready(cf));
		if (ret)
			return ret;
	}
}

static __poll_t caesar_poll(struct file *file, struct poll_table_struct *table)
{
	struct caesar_file *cf = file->private_data;
	struct caesar *caesar = cf->caesar;
	__poll_t mask = 0;

	poll_wait(file, &caesar->wait, table);
	if (caesar_ready(cf))
		mask |= EPOLLIN | EPOLLRDNORM;
	spin_lock_irq(&caesar->lock);
	if (caesar_check(caesar))
		mask |= EPOLLERR | EPOLLHUP;
	else if (caesar_has_room(caesar, cf))
		mask |= EPOLLOUT | EPOLLWRNORM;
	if (cf->changes_seen != caesar->changes)
		mask |= EPOLLPRI;
	spin_unlock_irq(&caesar->lock);
	return mask;
}

static int caesar_ioctl_get(struct caesar_file *cf, enum caesar_field field, u32 __user *user)
{
	struct caesar *caesar = cf->caesar;
	u32 value;
	int err;

	/* Before reading: a change that comes meanwhile has to be announced again. */
	spin_lock_irq(&caesar->lock);
	cf->changes_seen = caesar->changes;
	spin_unlock_irq(&caesar->lock);
	err = caesar_get(caesar, field, &value);
	return err ? err : put_user(value, user);
}

static int caesar_ioctl_set(struct caesar_file *cf, enum caesar_field field, u32 __user *user)
{
	u32 value;

	if (get_user(value, user))
		return -EFAULT;
	return caesar_set(cf->caesar, field, value);
}

static long caesar_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct caesar_file *cf = file->private_data;
	u32 __user *user = (u32 __user *)arg;

	switch (cmd) {
	case VIRTIO_CAESAR_IOC_GET_SHIFT:
		return caesar_ioctl_get(cf, CAESAR_SHIFT, user);
	case VIRTIO_CAESAR_IOC_SET_SHIFT:
		return caesar_ioctl_set(cf, CAESAR_SHIFT, user);
	case VIRTIO_CAESAR_IOC_GET_MODE:
		return caesar_ioctl_get(cf, CAESAR_MODE, user);
	case VIRTIO_CAESAR_IOC_SET_MODE:
		return caesar_ioctl_set(cf, CAESAR_MODE, user);
	default:
		return -ENOTTY;
	}
}

const struct file_operations caesar_fops = {
	.owner = THIS_MODULE,
	.open = caesar_open,
	.release = caesar_release,
	.read = caesar_read,
	.write = caesar_write,
	.poll = caesar_poll,
	.unlocked_ioctl = caesar_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};
