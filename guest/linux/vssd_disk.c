// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Driver for VSSD, a disk whose blocks the host can ask back: docs/vssd.md.
 *
 * The disk /dev/vssdN is a blk-mq disk. What the host asks for goes to a program
 * that has opened /dev/vssdN-control, see virtio_vssd_ioctl.h: the driver says
 * when each block was written last, the program names blocks, the driver hands
 * them back. What the host gives, the driver takes by itself, in a work item.
 *
 * A list is handed back with the disk's queue frozen, so that no request for any
 * block is in flight, and only if no block in it was written since the program
 * looked.
 *
 * Lifetime: struct vssd is counted, one reference for the bound device and one
 * for each open control file.
 *
 * Locks: vssd_queue->lock guards a request queue; vssd->control_lock the control
 * queue, the configuration and "gone". Requests of the disk never need the latter.
 */
#include <linux/blk-mq.h>
#include <linux/idr.h>
#include <linux/module.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <linux/virtio_ring.h>
#include <linux/vmalloc.h>

#include <vireo/spec/virtio_ids.h>

#include "vssd.h"

#define VSSD_DEPTH 128
#define VSSD_SEGMENTS 64

static unsigned int id = VIRTIO_ID_VSSD;
module_param(id, uint, 0444);
MODULE_PARM_DESC(id, "virtio device id to drive (default 54)");

static DEFINE_IDA(vssd_ida);

struct vssd_request {
	struct virtio_blk_req header;
	struct virtio_blk_discard_write_zeroes segment;
	u8 status;
	struct scatterlist sg[VSSD_SEGMENTS];
};

void vssd_free(struct kref *ref)
{
	struct vssd *vssd = container_of(ref, struct vssd, ref);

	vfree(vssd->times);
	kfree(vssd);
}

/* The disk. */

static void vssd_done(struct virtqueue *vq)
{
	struct vssd *vssd = vq->vdev->priv;
	struct vssd_queue *queue = &vssd->queues[vq->index];
	struct request *rq;
	unsigned long flags;
	unsigned int used;

	spin_lock_irqsave(&queue->lock, flags);
	do {
		virtqueue_disable_cb(vq);
		while ((rq = virtqueue_get_buf(vq, &used)))
			if (likely(!blk_should_fake_timeout(rq->q)))
				blk_mq_complete_request(rq);
	} while (!virtqueue_is_broken(vq) && !virtqueue_enable_cb(vq));
	blk_mq_start_stopped_hw_queues(vssd->disk->queue, true);
	spin_unlock_irqrestore(&queue->lock, flags);
}

static void vssd_complete(struct request *rq)
{
	struct vssd_request *vr = blk_mq_rq_to_pdu(rq);

	switch (READ_ONCE(vr->status)) {
	case VIRTIO_BLK_S_OK:
		blk_mq_end_request(rq, BLK_STS_OK);
		break;
	case VIRTIO_BLK_S_UNSUPP:
		blk_mq_end_request(rq, BLK_STS_NOTSUPP);
		break;
	default:
		blk_mq_end_request(rq, BLK_STS_IOERR);
	}
}

/* Remembers when; a discard makes it as if nothing had ever been written, where it has the whole block. */
static void vssd_stamp(struct vssd *vssd, struct request *rq, bool discard)
{
	u64 sectors = (u64)1 << vssd->block_shift, begin = blk_rq_pos(rq);
	u64 end = begin + blk_rq_sectors(rq), first, last;
	u32 time = VIRTIO_VSSD_NEVER;

	if (!blk_rq_sectors(rq))
		return;
	if (discard) {
		first = (begin + sectors - 1) >> vssd->block_shift;
		last = end >> vssd->block_shift;
	} else {
		first = begin >> vssd->block_shift;
		last = (end + sectors - 1) >> vssd->block_shift;
		time = atomic_inc_return(&vssd->clock);
	}
	for (; first < last && first < vssd->total; first++)
		WRITE_ONCE(vssd->times[first], time);
}

/* Fills in the header; false for what isn't known. */
static bool vssd_prepare(struct vssd *vssd, struct request *rq, struct vssd_request *vr, bool *ranges)
{
	u32 type;

	*ranges = false;
	switch (req_op(rq)) {
	case REQ_OP_READ:
		type = VIRTIO_BLK_T_IN;
		break;
	case REQ_OP_WRITE:
		type = VIRTIO_BLK_T_OUT;
		break;
	case REQ_OP_FLUSH:
		type = VIRTIO_BLK_T_FLUSH;
		break;
	case REQ_OP_DISCARD:
		type = VIRTIO_BLK_T_DISCARD;
		*ranges = true;
		break;
	case REQ_OP_WRITE_ZEROES:
		type = VIRTIO_BLK_T_WRITE_ZEROES;
		*ranges = true;
		break;
	default:
		return false;
	}
	vr->status = 0xff;
	vr->header.type = cpu_to_le32(type);
	vr->header.reserved = 0;
	vr->header.sector = cpu_to_le64(type <= VIRTIO_BLK_T_OUT ? blk_rq_pos(rq) : 0);
	vr->segment.sector = cpu_to_le64(blk_rq_pos(rq));
	vr->segment.num_sectors = cpu_to_le32(blk_rq_sectors(rq));
	vr->segment.flags = 0;
	if (type == VIRTIO_BLK_T_WRITE_ZEROES && !(rq->cmd_flags & REQ_NOUNMAP))
		vr->segment.flags = cpu_to_le32(VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP);
	return true;
}

static int vssd_map_data(struct request *rq, struct vssd_request *vr)
{
	if (!blk_rq_nr_phys_segments(rq))
		return 0;
	sg_init_table(vr->sg, blk_rq_nr_phys_segments(rq));
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 16, 0)
	return blk_rq_map_sg(rq, vr->sg);
#else
	return blk_rq_map_sg(rq->q, rq, vr->sg);
#endif
}

static blk_status_t vssd_queue_rq(struct blk_mq_hw_ctx *hctx, const struct blk_mq_queue_data *bd)
{
	struct vssd *vssd = hctx->queue->queuedata;
	struct vssd_queue *queue = &vssd->queues[hctx->queue_num];
	struct request *rq = bd->rq;
	struct vssd_request *vr = blk_mq_rq_to_pdu(rq);
	struct scatterlist header, segment, status, *sgs[3];
	unsigned int out = 0, in = 0;
	unsigned long flags;
	bool ranges, kick;
	int err;

	if (!vssd_prepare(vssd, rq, vr, &ranges))
		return BLK_STS_NOTSUPP;
	/* The device didn't come back from sleep. */
	if (unlikely(!queue->vq))
		return BLK_STS_IOERR;
	blk_mq_start_request(rq);
	sg_init_one(&header, &vr->header, sizeof(vr->header));
	sgs[out++] = &header;
	if (ranges) {
		sg_init_one(&segment, &vr->segment, sizeof(vr->segment));
		sgs[out++] = &segment;
	} else if (vssd_map_data(rq, vr)) {
		if (rq_data_dir(rq) == WRITE)
			sgs[out++] = vr->sg;
		else
			sgs[out + in++] = vr->sg;
	}
	sg_init_one(&status, &vr->status, sizeof(vr->status));
	sgs[out + in++] = &status;
	/* Before the device can do it: who looks at the times never sees one that is too old. */
	if (op_is_write(req_op(rq)))
		vssd_stamp(vssd, rq, ranges);

	spin_lock_irqsave(&queue->lock, flags);
	err = virtqueue_add_sgs(queue->vq, sgs, out, in, rq, GFP_ATOMIC);
	if (err) {
		virtqueue_kick(queue->vq);
		if (err == -ENOSPC)
			blk_mq_stop_hw_queue(hctx);
		spin_unlock_irqrestore(&queue->lock, flags);
		return err == -ENOSPC || err == -ENOMEM ? BLK_STS_DEV_RESOURCE : BLK_STS_IOERR;
	}
	kick = bd->last && virtqueue_kick_prepare(queue->vq);
	spin_unlock_irqrestore(&queue->lock, flags);
	if (kick)
		virtqueue_notify(queue->vq);
	return BLK_STS_OK;
}

static void vssd_commit_rqs(struct blk_mq_hw_ctx *hctx)
{
	struct vssd *vssd = hctx->queue->queuedata;
	struct vssd_queue *queue = &vssd->queues[hctx->queue_num];
	unsigned long flags;
	bool kick;

	if (unlikely(!queue->vq))
		return;
	spin_lock_irqsave(&queue->lock, flags);
	kick = virtqueue_kick_prepare(queue->vq);
	spin_unlock_irqrestore(&queue->lock, flags);
	if (kick)
		virtqueue_notify(queue->vq);
}

static const struct blk_mq_ops vssd_mq_ops = {
	.queue_rq = vssd_queue_rq,
	.commit_rqs = vssd_commit_rqs,
	.complete = vssd_complete,
};

static const struct block_device_operations vssd_disk_ops = {
	.owner = THIS_MODULE,
};

/* Life. */

static int vssd_find_queues(struct vssd *vssd)
{
	struct virtqueue *vqs[VSSD_QUEUES_MAX + 1];
	u16 queues = 1;
	unsigned int i;
	int err;

	if (virtio_has_feature(vssd->vdev, VIRTIO_BLK_F_MQ))
		virtio_cread_le(vssd->vdev, struct virtio_vssd_config, blk.num_queues, &queues);
	/* The control queue is behind all of them, so none can be left out. */
	if (!queues || queues > VSSD_QUEUES_MAX) {
		dev_err(&vssd->vdev->dev, "the device has %u queues, at most %u can be used\n", queues,
			VSSD_QUEUES_MAX);
		return -EINVAL;
	}
	vssd->queue_count = queues;
	for (i = 0; i < queues; i++) {
		spin_lock_init(&vssd->queues[i].lock);
		snprintf(vssd->queues[i].name, sizeof(vssd->queues[i].name), "requestq%u", i);
	}
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 11, 0)
	{
		struct virtqueue_info info[VSSD_QUEUES_MAX + 1] = {};

		for (i = 0; i < queues; i++)
			info[i] = (struct virtqueue_info){ vssd->queues[i].name, vssd_done };
		info[queues] = (struct virtqueue_info){ "controlq", vssd_control_done };
		err = virtio_find_vqs(vssd->vdev, queues + 1, vqs, info, NULL);
	}
#else
	{
		vq_callback_t *callbacks[VSSD_QUEUES_MAX + 1];
		const char *names[VSSD_QUEUES_MAX + 1];

		for (i = 0; i < queues; i++) {
			callbacks[i] = vssd_done;
			names[i] = vssd->queues[i].name;
		}
		callbacks[queues] = vssd_control_done;
		names[queues] = "controlq";
		err = virtio_find_vqs(vssd->vdev, queues + 1, vqs, callbacks, names, NULL);
	}
#endif
	if (err)
		return err;
	for (i = 0; i < queues; i++)
		vssd->queues[i].vq = vqs[i];
	vssd->control = vqs[queues];
	return 0;
}

struct vssd_limits {
	u32 segments, block, discard, zeroes, granularity;
	bool cache;
};

static void vssd_read_limits(struct vssd *vssd, struct vssd_limits *limits)
{
	struct virtio_device *vdev = vssd->vdev;
	u32 most;

	*limits = (struct vssd_limits){ .segments = 1, .block = 512, .granularity = 1 };
	virtio_cread_le_feature(vdev, VIRTIO_BLK_F_SEG_MAX, struct virtio_vssd_config, blk.seg_max,
				&limits->segments);
	/* With header and status; a chain in a table of its own is no longer than the queue, either. */
	most = virtqueue_get_vring_size(vssd->queues[0].vq);
	most = most > 3 ? min_t(u32, most - 2, VSSD_SEGMENTS) : 1;
	limits->segments = clamp_t(u32, limits->segments, 1, most);
	virtio_cread_le_feature(vdev, VIRTIO_BLK_F_BLK_SIZE, struct virtio_vssd_config, blk.blk_size,
				&limits->block);
	virtio_cread_le_feature(vdev, VIRTIO_BLK_F_DISCARD, struct virtio_vssd_config,
				blk.max_discard_sectors, &limits->discard);
	virtio_cread_le_feature(vdev, VIRTIO_BLK_F_DISCARD, struct virtio_vssd_config,
				blk.discard_sector_alignment, &limits->granularity);
	virtio_cread_le_feature(vdev, VIRTIO_BLK_F_WRITE_ZEROES, struct virtio_vssd_config,
				blk.max_write_zeroes_sectors, &limits->zeroes);
	limits->cache = virtio_has_feature(vdev, VIRTIO_BLK_F_FLUSH);
}

static struct gendisk *vssd_alloc_disk(struct vssd *vssd, const struct vssd_limits *limits)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 11, 0)
	struct queue_limits lim = {
		.logical_block_size = limits->block,
		.max_segments = limits->segments,
		.max_hw_sectors = UINT_MAX,
		.max_segment_size = UINT_MAX,
		.max_hw_discard_sectors = limits->discard,
		.max_discard_segments = 1,
		.discard_granularity = limits->discard ? limits->granularity << 9 : 0,
		.max_write_zeroes_sectors = limits->zeroes,
		.features = limits->cache ? BLK_FEAT_WRITE_CACHE : 0,
	};

	return blk_mq_alloc_disk(&vssd->tags, &lim, vssd);
#else
	struct gendisk *disk = blk_mq_alloc_disk(&vssd->tags, vssd);
	struct request_queue *q;

	if (IS_ERR(disk))
		return disk;
	q = disk->queue;
	blk_queue_logical_block_size(q, limits->block);
	blk_queue_max_segments(q, limits->segments);
	blk_queue_max_hw_sectors(q, UINT_MAX);
	blk_queue_max_segment_size(q, UINT_MAX);
	if (limits->discard) {
		blk_queue_max_discard_sectors(q, limits->discard);
		blk_queue_max_discard_segments(q, 1);
		q->limits.discard_granularity = limits->granularity << 9;
	}
	blk_queue_max_write_zeroes_sectors(q, limits->zeroes);
	blk_queue_write_cache(q, limits->cache, false);
	return disk;
#endif
}

static int vssd_make_disk(struct vssd *vssd)
{
	struct vssd_limits limits;
	int err;

	vssd->tags.ops = &vssd_mq_ops;
	vssd->tags.queue_depth = min_t(unsigned int, VSSD_DEPTH,
				       virtqueue_get_vring_size(vssd->queues[0].vq));
	vssd->tags.numa_node = NUMA_NO_NODE;
	vssd->tags.cmd_size = sizeof(struct vssd_request);
	vssd->tags.nr_hw_queues = vssd->queue_count;
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 14, 0)
	vssd->tags.flags = BLK_MQ_F_SHOULD_MERGE;
#endif
	err = blk_mq_alloc_tag_set(&vssd->tags);
	if (err)
		return err;
	vssd_read_limits(vssd, &limits);
	vssd->disk = vssd_alloc_disk(vssd, &limits);
	if (IS_ERR(vssd->disk)) {
		blk_mq_free_tag_set(&vssd->tags);
		return PTR_ERR(vssd->disk);
	}
	snprintf(vssd->disk->disk_name, DISK_NAME_LEN, "vssd%d", vssd->index);
	vssd->disk->fops = &vssd_disk_ops;
	vssd->disk->private_data = vssd;
	if (virtio_has_feature(vssd->vdev, VIRTIO_BLK_F_RO))
		set_disk_ro(vssd->disk, 1);
	return 0;
}

/* What the device says of its blocks; nothing of it is believed unseen. */
static int vssd_read_blocks(struct vssd *vssd)
{
	virtio_cread_le(vssd->vdev, struct virtio_vssd_config, total, &vssd->total);
	virtio_cread_le(vssd->vdev, struct virtio_vssd_config, block_bytes, &vssd->block_bytes);
	if (!is_power_of_2(vssd->block_bytes) || vssd->block_bytes < 512 || !vssd->total ||
	    vssd->total > SIZE_MAX / sizeof(*vssd->times) || vssd->total > U64_MAX / vssd->block_bytes) {
		dev_err(&vssd->vdev->dev, "%llu blocks of %u bytes make no disk\n", vssd->total,
			vssd->block_bytes);
		return -EINVAL;
	}
	vssd->block_shift = ilog2(vssd->block_bytes) - 9;
	vssd->times = vzalloc(vssd->total * sizeof(*vssd->times));
	return vssd->times ? 0 : -ENOMEM;
}

static void vssd_config_changed(struct virtio_device *vdev)
{
	struct vssd *vssd = vdev->priv;

	if (!READ_ONCE(vssd->gone))
		schedule_work(&vssd->config_work);
}

static void vssd_set_gone(struct vssd *vssd)
{
	mutex_lock(&vssd->control_lock);
	WRITE_ONCE(vssd->gone, true);
	mutex_unlock(&vssd->control_lock);
	wake_up_all(&vssd->wait);
	cancel_work_sync(&vssd->config_work);
}

static int vssd_register(struct vssd *vssd)
{
	int err;

	snprintf(vssd->name, sizeof(vssd->name), "vssd%d-control", vssd->index);
	vssd->misc.minor = MISC_DYNAMIC_MINOR;
	vssd->misc.name = vssd->name;
	vssd->misc.fops = &vssd_fops;
	vssd->misc.parent = &vssd->vdev->dev;
	vssd->misc.mode = 0600;
	err = misc_register(&vssd->misc);
	if (err)
		return err;
	err = device_add_disk(&vssd->vdev->dev, vssd->disk, NULL);
	if (err)
		misc_deregister(&vssd->misc);
	return err;
}

static void vssd_take_down(struct vssd *vssd)
{
	virtio_reset_device(vssd->vdev);
	put_disk(vssd->disk);
	blk_mq_free_tag_set(&vssd->tags);
	vssd->vdev->config->del_vqs(vssd->vdev);
}

static int vssd_start(struct vssd *vssd)
{
	int err;

	err = vssd_find_queues(vssd);
	if (err)
		return err;
	err = vssd_make_disk(vssd);
	if (err) {
		vssd->vdev->config->del_vqs(vssd->vdev);
		return err;
	}
	virtio_device_ready(vssd->vdev);
	vssd_update_capacity(vssd);
	err = vssd_register(vssd);
	if (err) {
		vssd_set_gone(vssd);
		vssd_take_down(vssd);
	}
	return err;
}

static int vssd_probe(struct virtio_device *vdev)
{
	struct vssd *vssd;
	int err;

	if (!vdev->config->get || !virtio_has_feature(vdev, VIRTIO_F_VERSION_1) ||
	    !virtio_has_feature(vdev, VIRTIO_VSSD_F_RESIZE)) {
		dev_err(&vdev->dev, "no configuration space, a legacy device, or one that can't resize\n");
		return -EINVAL;
	}
	vssd = kzalloc(sizeof(*vssd), GFP_KERNEL);
	if (!vssd)
		return -ENOMEM;
	kref_init(&vssd->ref);
	mutex_init(&vssd->control_lock);
	INIT_WORK(&vssd->config_work, vssd_config_work);
	init_waitqueue_head(&vssd->wait);
	vssd->vdev = vdev;
	vdev->priv = vssd;
	vssd->index = ida_alloc(&vssd_ida, GFP_KERNEL);
	err = vssd->index < 0 ? vssd->index : vssd_read_blocks(vssd);
	if (!err)
		err = vssd_start(vssd);
	if (!err) {
		/* A resize may have gone on before we were there. */
		schedule_work(&vssd->config_work);
		return 0;
	}
	if (vssd->index >= 0)
		ida_free(&vssd_ida, vssd->index);
	vdev->priv = NULL;
	kref_put(&vssd->ref, vssd_free);
	return err;
}

static void vssd_remove(struct virtio_device *vdev)
{
	struct vssd *vssd = vdev->priv;

	misc_deregister(&vssd->misc);
	/* Requests in flight end first: the device is still there. */
	del_gendisk(vssd->disk);
	vssd_set_gone(vssd);
	vssd_take_down(vssd);
	ida_free(&vssd_ida, vssd->index);
	vdev->priv = NULL;
	kref_put(&vssd->ref, vssd_free);
}

#ifdef CONFIG_PM_SLEEP
/* Requests in flight end first; what is asked for later waits. Programs sleep already. */
static int vssd_freeze(struct virtio_device *vdev)
{
	struct vssd *vssd = vdev->priv;
	unsigned int i;
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 14, 0)
	unsigned int flags = blk_mq_freeze_queue(vssd->disk->queue);

	blk_mq_quiesce_queue_nowait(vssd->disk->queue);
	blk_mq_unfreeze_queue(vssd->disk->queue, flags);
#else
	blk_mq_freeze_queue(vssd->disk->queue);
	blk_mq_quiesce_queue_nowait(vssd->disk->queue);
	blk_mq_unfreeze_queue(vssd->disk->queue);
#endif
	/* No more of it is scheduled: changes of the configuration are held back meanwhile. */
	cancel_work_sync(&vssd->config_work);
	virtio_reset_device(vdev);
	vdev->config->del_vqs(vdev);
	for (i = 0; i < vssd->queue_count; i++)
		vssd->queues[i].vq = NULL;
	return 0;
}

static int vssd_restore(struct virtio_device *vdev)
{
	struct vssd *vssd = vdev->priv;
	unsigned int queues = vssd->queue_count;
	u32 block_bytes = 0;
	u64 total = 0;
	int err;

	virtio_cread_le(vdev, struct virtio_vssd_config, block_bytes, &block_bytes);
	virtio_cread_le(vdev, struct virtio_vssd_config, total, &total);
	err = block_bytes == vssd->block_bytes && total == vssd->total ? vssd_find_queues(vssd) : -EIO;
	if (!err && vssd->queue_count != queues) {
		vdev->config->del_vqs(vdev);
		err = -EIO;
	}
	if (err) {
		dev_err(&vdev->dev, "the disk that was put to sleep isn't there any more\n");
		vssd->queue_count = queues;
		memset(vssd->queues, 0, sizeof(vssd->queues));
		vssd_set_gone(vssd);
	} else {
		virtio_device_ready(vdev);
		schedule_work(&vssd->config_work);
	}
	blk_mq_unquiesce_queue(vssd->disk->queue);
	return err;
}
#endif

static struct virtio_device_id vssd_ids[] = {
	{ VIRTIO_ID_VSSD, VIRTIO_DEV_ANY_ID },
	{ 0 },
};
MODULE_DEVICE_TABLE(virtio, vssd_ids);

static const unsigned int vssd_features[] = {
	VIRTIO_BLK_F_SEG_MAX, VIRTIO_BLK_F_RO, VIRTIO_BLK_F_BLK_SIZE, VIRTIO_BLK_F_FLUSH, VIRTIO_BLK_F_MQ,
	VIRTIO_BLK_F_DISCARD, VIRTIO_BLK_F_WRITE_ZEROES, VIRTIO_VSSD_F_RESIZE,
};

static struct virtio_driver vssd_driver = {
	.driver.name = KBUILD_MODNAME,
	.driver.owner = THIS_MODULE,
	.id_table = vssd_ids,
	.feature_table = vssd_features,
	.feature_table_size = ARRAY_SIZE(vssd_features),
	.probe = vssd_probe,
	.remove = vssd_remove,
	.config_changed = vssd_config_changed,
#ifdef CONFIG_PM_SLEEP
	.freeze = vssd_freeze,
	.restore = vssd_restore,
#endif
};

static int __init vssd_init(void)
{
	if (!id) {
		pr_err("%s: id=0 is no virtio device id\n", KBUILD_MODNAME);
		return -EINVAL;
	}
	vssd_ids[0].device = id;
	return register_virtio_driver(&vssd_driver);
}
module_init(vssd_init);

static void __exit vssd_exit(void)
{
	unregister_virtio_driver(&vssd_driver);
}
module_exit(vssd_exit);

MODULE_DESCRIPTION("VSSD: a virtio disk whose blocks the host can ask back");
MODULE_LICENSE("Dual BSD/GPL");
