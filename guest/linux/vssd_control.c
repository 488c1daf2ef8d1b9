// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * VSSD's control queue, resizes, and the file by which a program chooses blocks: see vssd_disk.c.
 */
#include <linux/compat.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include "vssd.h"

/* Ranges of a list, bytes of the map read at a time, blocks whose times are told at a time. */
#define VSSD_RANGES_MAX 4096
#define VSSD_MAP_BYTES 4096
#define VSSD_BLOCKS_MAX 262144

/* Control requests. */

void vssd_control_done(struct virtqueue *vq)
{
	struct vssd *vssd = vq->vdev->priv;

	wake_up_all(&vssd->wait);
}

static bool vssd_answered(struct vssd *vssd, unsigned int *used)
{
	return virtqueue_get_buf(vssd->control, used) || virtqueue_is_broken(vssd->control);
}

/*
 * One request, waited for; control_lock is held. `out` and `in` are allocations of
 * their own, `in` begins with the answer. Bytes written, or an error.
 */
static int vssd_control(struct vssd *vssd, void *out, unsigned int out_bytes, void *in, unsigned int in_bytes)
{
	struct scatterlist readable, writable, *sgs[] = { &readable, &writable };
	unsigned int used = 0;
	int err;

	if (vssd->gone)
		return -ENODEV;
	sg_init_one(&readable, out, out_bytes);
	sg_init_one(&writable, in, in_bytes);
	err = virtqueue_add_sgs(vssd->control, sgs, 1, 1, out, GFP_KERNEL);
	if (err)
		return err;
	virtqueue_kick(vssd->control);
	wait_event(vssd->wait, vssd_answered(vssd, &used));
	if (used < sizeof(struct virtio_vssd_answer) || used > in_bytes)
		return -EIO;
	return used;
}

static int vssd_error(u32 status)
{
	switch (status) {
	case VIRTIO_VSSD_S_OK:
		return 0;
	case VIRTIO_VSSD_S_UNSUPP:
		return -EOPNOTSUPP;
	case VIRTIO_VSSD_S_STALE:
		return -ESTALE;
	case VIRTIO_VSSD_S_TOOMANY:
		return -E2BIG;
	case VIRTIO_VSSD_S_RANGE:
		return -ERANGE;
	case VIRTIO_VSSD_S_BUSY:
		return -EBUSY;
	case VIRTIO_VSSD_S_STATE:
		return -EEXIST;
	default:
		return -EIO;
	}
}

struct vssd_list {
	struct virtio_vssd_control header;
	struct virtio_vssd_range ranges[];
};

static int vssd_send(struct vssd *vssd, u32 type, u32 ticket, struct vssd_list *list, u32 count, u32 *index)
{
	struct virtio_vssd_answer *answer;
	int err;

	answer = kzalloc(sizeof(*answer), GFP_KERNEL);
	if (!answer)
		return -ENOMEM;
	list->header.type = cpu_to_le32(type);
	list->header.ticket = cpu_to_le32(ticket);
	err = vssd_control(vssd, list, struct_size(list, ranges, count), answer, sizeof(*answer));
	if (err >= 0) {
		err = vssd_error(le32_to_cpu(answer->status));
		*index = le32_to_cpu(answer->index);
	}
	kfree(answer);
	return err;
}

/* Bits of the blocks from `first`, a multiple of 8, into `bits`; control_lock is held. */
static int vssd_read_map(struct vssd *vssd, u64 first, u8 *bits, unsigned int bytes)
{
	struct {
		struct virtio_vssd_control header;
		struct virtio_vssd_from from;
	} *out;
	struct virtio_vssd_answer *in;
	int err = -ENOMEM;

	out = kzalloc(sizeof(*out), GFP_KERNEL);
	in = kzalloc(sizeof(*in) + bytes, GFP_KERNEL);
	if (out && in) {
		out->header.type = cpu_to_le32(VIRTIO_VSSD_T_MAP);
		out->from.first = cpu_to_le64(first);
		err = vssd_control(vssd, out, sizeof(*out), in, sizeof(*in) + bytes);
		if (err >= 0)
			err = vssd_error(le32_to_cpu(in->status));
		/* What the device didn't write is zeros: not provisioned. */
		if (!err)
			memcpy(bits, in + 1, bytes);
	}
	kfree(out);
	kfree(in);
	return err;
}

/* Resizes. */

static void vssd_read_ask(struct vssd *vssd, u32 *state, struct virtio_vssd_ask *ask)
{
	u64 target;
	u32 ticket;

	memset(ask, 0, sizeof(*ask));
	/* Several fields, one after the other: again, until the ticket was the same all the while. */
	do {
		virtio_cread_le(vssd->vdev, struct virtio_vssd_config, ticket, &ticket);
		virtio_cread_le(vssd->vdev, struct virtio_vssd_config, state, state);
		virtio_cread_le(vssd->vdev, struct virtio_vssd_config, provisioned, &ask->provisioned);
		virtio_cread_le(vssd->vdev, struct virtio_vssd_config, target, &target);
		virtio_cread_le(vssd->vdev, struct virtio_vssd_config, deadline_ms, &ask->deadline_ms);
		virtio_cread_le(vssd->vdev, struct virtio_vssd_config, ticket, &ask->ticket);
	} while (ticket != ask->ticket);
	ask->block_bytes = vssd->block_bytes;
	ask->total = vssd->total;
	ask->clock = atomic_read(&vssd->clock);
	if (*state == VIRTIO_VSSD_STATE_SHRINKING && ask->provisioned > target)
		ask->blocks = ask->provisioned - target;
	else if (*state == VIRTIO_VSSD_STATE_GROWING && target > ask->provisioned)
		ask->blocks = target - ask->provisioned;
	else
		*state = VIRTIO_VSSD_STATE_IDLE;
}

/* What the host asks for now, 0 blocks: nothing. */
static int vssd_get_ask(struct vssd *vssd, struct virtio_vssd_ask *ask)
{
	int err = -ENODEV;
	u32 state;

	mutex_lock(&vssd->control_lock);
	if (!vssd->gone) {
		vssd_read_ask(vssd, &state, ask);
		if (state != VIRTIO_VSSD_STATE_SHRINKING)
			ask->blocks = 0;
		err = 0;
	}
	mutex_unlock(&vssd->control_lock);
	return err;
}

/* The first absent blocks of a piece of the map; how many ranges. */
static unsigned int vssd_absent(struct vssd *vssd, u64 first, const u8 *bits, struct vssd_list *list,
				u64 *left)
{
	u64 end = min_t(u64, first + VSSD_MAP_BYTES * 8, vssd->total), block;
	unsigned int count = 0;
	bool in_range = false;
	u64 length = 0;

	for (block = first; block < end && *left; block++) {
		bool absent = !(bits[(block - first) / 8] >> ((block - first) % 8) & 1);

		if (absent && !in_range) {
			if (count == VSSD_RANGES_MAX)
				break;
			list->ranges[count++].first = cpu_to_le64(block);
			length = 0;
		}
		in_range = absent;
		if (!absent)
			continue;
		list->ranges[count - 1].count = cpu_to_le64(++length);
		--*left;
	}
	return count;
}

/* Takes what the host gives, the first blocks that are absent; control_lock is held. */
static void vssd_claim(struct vssd *vssd, const struct virtio_vssd_ask *ask)
{
	struct vssd_list *list = vmalloc(struct_size(list, ranges, VSSD_RANGES_MAX));
	struct vssd_list *sent;
	u8 *bits = kmalloc(VSSD_MAP_BYTES, GFP_KERNEL);
	u64 first, left = ask->blocks;
	unsigned int count;
	int err = list && bits ? 0 : -ENOMEM;
	u32 index = 0;

	for (first = 0; !err && left && first < vssd->total; first += VSSD_MAP_BYTES * 8) {
		err = vssd_read_map(vssd, first, bits, VSSD_MAP_BYTES);
		if (err)
			break;
		count = vssd_absent(vssd, first, bits, list, &left);
		if (!count)
			continue;
		/* The device reads it: physically in one piece. */
		sent = kmemdup(list, struct_size(list, ranges, count), GFP_KERNEL);
		err = sent ? vssd_send(vssd, VIRTIO_VSSD_T_CLAIM, ask->ticket, sent, count, &index) : -ENOMEM;
		kfree(sent);
	}
	if (err && err != -ESTALE)
		dev_warn(&vssd->vdev->dev, "can't take blocks that the host gives: error %d\n", err);
	kfree(bits);
	vfree(list);
}

void vssd_update_capacity(struct vssd *vssd)
{
	u64 capacity;

	mutex_lock(&vssd->control_lock);
	if (!vssd->gone) {
		virtio_cread_le(vssd->vdev, struct virtio_vssd_config, blk.capacity, &capacity);
		set_capacity_and_notify(vssd->disk, capacity);
	}
	mutex_unlock(&vssd->control_lock);
}

void vssd_config_work(struct work_struct *work)
{
	struct vssd *vssd = container_of(work, struct vssd, config_work);
	struct virtio_vssd_ask ask;
	u32 state;

	mutex_lock(&vssd->control_lock);
	if (!vssd->gone) {
		vssd_read_ask(vssd, &state, &ask);
		if (state == VIRTIO_VSSD_STATE_GROWING)
			vssd_claim(vssd, &ask);
	}
	mutex_unlock(&vssd->control_lock);
	vssd_update_capacity(vssd);
	wake_up_all(&vssd->wait);
}

/* With the disk frozen: was one of these written since? */
static bool vssd_written_since(struct vssd *vssd, const struct virtio_vssd_range *range, u32 clock)
{
	u64 first = le64_to_cpu(range->first), count = le64_to_cpu(range->count);

	if (first > vssd->total || count > vssd->total - first)
		return false; /* the device refuses it */
	for (; count; first++, count--)
		if (vssd->times[first] > clock)
			return true;
	return false;
}

/* control_lock is held */
static int vssd_evict_frozen(struct vssd *vssd, struct virtio_vssd_evict *evict, struct vssd_list *list)
{
	u32 i;

	for (i = 0; i < evict->count; i++) {
		if (!vssd_written_since(vssd, &list->ranges[i], evict->clock))
			continue;
		evict->index = i;
		return -EBUSY;
	}
	return vssd_send(vssd, VIRTIO_VSSD_T_EVICT, evict->ticket, list, evict->count, &evict->index);
}

static int vssd_evict(struct vssd *vssd, struct virtio_vssd_evict *evict, struct vssd_list *list)
{
	int err = -ENODEV;

	mutex_lock(&vssd->control_lock);
	if (!vssd->gone && !evict->count) {
		err = vssd_send(vssd, VIRTIO_VSSD_T_DECLINE, evict->ticket, list, 0, &evict->index);
	} else if (!vssd->gone) {
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 14, 0)
		unsigned int flags = blk_mq_freeze_queue(vssd->disk->queue);

		err = vssd_evict_frozen(vssd, evict, list);
		blk_mq_unfreeze_queue(vssd->disk->queue, flags);
#else
		blk_mq_freeze_queue(vssd->disk->queue);
		err = vssd_evict_frozen(vssd, evict, list);
		blk_mq_unfreeze_queue(vssd->disk->queue);
#endif
	}
	mutex_unlock(&vssd->control_lock);
	if (!err)
		vssd_update_capacity(vssd);
	return err;
}

/* The control file. */

static int vssd_open(struct inode *inode, struct file *file)
{
	/* misc_open() holds the lock that misc_deregister() takes, so the device is still bound. */
	struct vssd *vssd = container_of(file->private_data, struct vssd, misc);

	kref_get(&vssd->ref);
	file->private_data = vssd;
	return stream_open(inode, file);
}

static int vssd_release(struct inode *inode, struct file *file)
{
	struct vssd *vssd = file->private_data;

	kref_put(&vssd->ref, vssd_free);
	return 0;
}

static bool vssd_is_asked(struct vssd *vssd, struct virtio_vssd_ask *ask, int *err)
{
	*err = vssd_get_ask(vssd, ask);
	return *err || ask->blocks;
}

static ssize_t vssd_read(struct file *file, char __user *buf, size_t count, loff_t *pos)
{
	struct vssd *vssd = file->private_data;
	DEFINE_WAIT_FUNC(wait, woken_wake_function);
	struct virtio_vssd_ask ask;
	int err = 0;

	if (count < sizeof(ask))
		return -EINVAL;
	add_wait_queue(&vssd->wait, &wait);
	while (!vssd_is_asked(vssd, &ask, &err) && !err) {
		if (file->f_flags & O_NONBLOCK)
			err = -EAGAIN;
		else if (signal_pending(current))
			err = -ERESTARTSYS;
		if (err)
			break;
		wait_woken(&wait, TASK_INTERRUPTIBLE, MAX_SCHEDULE_TIMEOUT);
	}
	remove_wait_queue(&vssd->wait, &wait);
	if (err)
		return err;
	return copy_to_user(buf, &ask, sizeof(ask)) ? -EFAULT : sizeof(ask);
}

static __poll_t vssd_poll(struct file *file, struct poll_table_struct *table)
{
	struct vssd *vssd = file->private_data;
	struct virtio_vssd_ask ask;

	poll_wait(file, &vssd->wait, table);
	if (vssd_get_ask(vssd, &ask))
		return EPOLLERR | EPOLLHUP;
	return ask.blocks ? EPOLLIN | EPOLLRDNORM : 0;
}

static long vssd_ioctl_ask(struct vssd *vssd, void __user *user)
{
	struct virtio_vssd_ask ask;
	int err = vssd_get_ask(vssd, &ask);

	if (err)
		return err;
	return copy_to_user(user, &ask, sizeof(ask)) ? -EFAULT : 0;
}

static int vssd_copy_times(struct vssd *vssd, const struct virtio_vssd_blocks *blocks, u32 *times)
{
	u64 at, i, part;
	int err = 0;
	u8 *bits;

	bits = kmalloc(VSSD_MAP_BYTES, GFP_KERNEL);
	if (!bits)
		return -ENOMEM;
	mutex_lock(&vssd->control_lock);
	for (at = 0; !err && at < blocks->count; at += part) {
		part = min_t(u64, blocks->count - at, VSSD_MAP_BYTES * 8);
		err = vssd_read_map(vssd, blocks->first + at, bits, VSSD_MAP_BYTES);
		for (i = 0; !err && i < part; i++)
			times[at + i] = bits[i / 8] >> (i % 8) & 1
						? READ_ONCE(vssd->times[blocks->first + at + i])
						: VIRTIO_VSSD_ABSENT;
	}
	mutex_unlock(&vssd->control_lock);
	kfree(bits);
	return err;
}

static long vssd_ioctl_blocks(struct vssd *vssd, void __user *user)
{
	struct virtio_vssd_blocks blocks;
	u32 *times;
	int err;

	if (copy_from_user(&blocks, user, sizeof(blocks)))
		return -EFAULT;
	if (blocks.unused || blocks.first % 8 || blocks.count > VSSD_BLOCKS_MAX)
		return -EINVAL;
	if (blocks.first > vssd->total || blocks.count > vssd->total - blocks.first)
		return -ERANGE;
	times = vmalloc(array_size(blocks.count + 1, sizeof(*times)));
	if (!times)
		return -ENOMEM;
	/* Before looking: what is written meanwhile is later than this. */
	blocks.clock = atomic_read(&vssd->clock);
	err = vssd_copy_times(vssd, &blocks, times);
	if (!err && copy_to_user(u64_to_user_ptr(blocks.times), times, blocks.count * sizeof(*times)))
		err = -EFAULT;
	vfree(times);
	if (!err && copy_to_user(user, &blocks, sizeof(blocks)))
		err = -EFAULT;
	return err;
}

static long vssd_ioctl_evict(struct vssd *vssd, void __user *user)
{
	struct virtio_vssd_blocks_range range, __user *ranges;
	struct virtio_vssd_evict evict;
	struct vssd_list *list;
	int err = 0;
	u32 i;

	if (copy_from_user(&evict, user, sizeof(evict)))
		return -EFAULT;
	if (evict.count > VSSD_RANGES_MAX)
		return -EINVAL;
	evict.index = 0;
	ranges = u64_to_user_ptr(evict.ranges);
	list = kmalloc(struct_size(list, ranges, evict.count), GFP_KERNEL);
	if (!list)
		return -ENOMEM;
	for (i = 0; !err && i < evict.count; i++) {
		if (copy_from_user(&range, &ranges[i], sizeof(range)))
			err = -EFAULT;
		list->ranges[i].first = cpu_to_le64(range.first);
		list->ranges[i].count = cpu_to_le64(range.count);
	}
	if (!err) {
		err = vssd_evict(vssd, &evict, list);
		if (copy_to_user(user, &evict, sizeof(evict)))
			err = -EFAULT;
	}
	kfree(list);
	return err;
}

static long vssd_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct vssd *vssd = file->private_data;
	void __user *user = (void __user *)arg;

	switch (cmd) {
	case VIRTIO_VSSD_IOC_ASK:
		return vssd_ioctl_ask(vssd, user);
	case VIRTIO_VSSD_IOC_BLOCKS:
		return vssd_ioctl_blocks(vssd, user);
	case VIRTIO_VSSD_IOC_EVICT:
		return vssd_ioctl_evict(vssd, user);
	default:
		return -ENOTTY;
	}
}

const struct file_operations vssd_fops = {
	.owner = THIS_MODULE,
	.open = vssd_open,
	.release = vssd_release,
	.read = vssd_read,
	.poll = vssd_poll,
	.unlocked_ioctl = vssd_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};
