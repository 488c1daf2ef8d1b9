/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
#ifndef VSSD_H
#define VSSD_H
/*
 * What the files of the module virtio_vssd share: vssd_disk.c is the disk and the module's life,
 * vssd_control.c deals with resizes and with the program that chooses.
 */
#include <linux/blk-mq.h>
#include <linux/kref.h>
#include <linux/miscdevice.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/version.h>
#include <linux/virtio.h>
#include <linux/virtio_config.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include <vireo/spec/virtio_vssd.h>

#include "virtio_vssd_ioctl.h"

#define VSSD_QUEUES_MAX 8

struct vssd_queue {
	spinlock_t lock;
	struct virtqueue *vq;
	char name[16];
};

struct vssd {
	struct kref ref;
	struct virtio_device *vdev;
	struct gendisk *disk;
	struct blk_mq_tag_set tags;
	unsigned int queue_count;
	struct vssd_queue queues[VSSD_QUEUES_MAX];

	struct mutex control_lock;
	struct virtqueue *control;
	bool gone;
	wait_queue_head_t wait;		/* an answer, a change, or the device went away */
	struct work_struct config_work;

	u32 block_bytes;
	unsigned int block_shift;	/* sectors to blocks */
	u64 total;
	u32 *times;			/* of the last write to each block */
	atomic_t clock;

	int index;
	char name[24];
	struct miscdevice misc;
};

void vssd_free(struct kref *ref);

/* vssd_control.c */
extern const struct file_operations vssd_fops;
void vssd_control_done(struct virtqueue *vq);
void vssd_config_work(struct work_struct *work);
void vssd_update_capacity(struct vssd *vssd);

#endif
