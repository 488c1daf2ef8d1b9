/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_DEVICES_BLK_H
#define VIREO_DEVICES_BLK_H

#include <vireo/block.h>
#include <vireo/device.h>
#include <vireo/spec/virtio_blk.h>

/*
 * The block device (5.2) over a struct vio_block.
 *
 * Each request is judged whole before the storage hears of it, then lives in
 * vio_buf.request until the storage is done; requests are in flight together and
 * complete in the storage's order. Nothing is copied: the storage reads and fills
 * the driver's own memory.
 *
 * A write is passed on with VIO_BLOCK_STABLE while the cache mode is write-through:
 * the driver's "writeback" field where it took VIRTIO_BLK_F_CONFIG_WCE, else
 * whether it took VIRTIO_BLK_F_FLUSH; the property "write-cache" set to off makes
 * write-through the mode to start in.
 *
 * When the storage changes its size, the driver sees the new capacity and a
 * configuration change.
 */
VIO_API extern const struct vio_device_class vio_blk_class;

/*
 * Gives the device its storage, which stays the caller's and must outlive the
 * device's realized time; before vio_device_realize(), which refuses with
 * -VIO_ENOENT without one and with -VIO_EINVAL when its block sizes make no sense.
 * -VIO_EINVAL when `dev` is of another type.
 */
VIO_API int vio_blk_attach(struct vio_device *dev, struct vio_block *block);

/*
 * For queues that are served by several threads, as vio_device_serve() allows: queue i is served by
 * blocks[i % count], which are the storage of vio_blk_attach() for use in the threads of these queues
 * (vio_host_block_share()). After realize, while the device isn't attached.
 */
VIO_API int vio_blk_spread(struct vio_device *dev, struct vio_block *const *blocks, unsigned count);

#define VIO_BLK_METER_QUEUES 256u

/*
 * Has the device count what it does, and makes the limits "iops" and "bps" possible, which
 * vio_device_realize() refuses with -VIO_ENOTSUP otherwise; before it. `meter` is copied; there are
 * VIO_BLK_METER_QUEUES counters, or none (NULL), which must outlive the device's realized time. They
 * are written in the thread that serves the queue.
 *
 * A limit holds for all queues together. In any period of t seconds no more than rate * (t + 0.1)
 * requests are taken from the queues, and as many bytes plus those of a single request of each thread
 * that serves them. Requests count when they are taken, of whatever kind; bytes are the data of reads
 * and writes. What is held back stays in the queues, which take turns.
 */
VIO_API int vio_blk_meter(struct vio_device *dev, const struct vio_block_meter *meter);
/*
 * What meter->wake() asks for, in the thread of these queues: `block` is what it named, or NULL for
 * all, while no thread serves any. No effect on a device that isn't attached.
 */
VIO_API void vio_blk_resume(struct vio_device *dev, const struct vio_block *block);

#endif
