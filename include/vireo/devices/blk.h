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

#endif
