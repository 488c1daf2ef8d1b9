/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_DRIVERS_VSSD_H
#define VIREO_DRIVERS_VSSD_H

#include <vireo/drivers/blk.h>
#include <vireo/spec/virtio_vssd.h>

/*
 * A driver for VSSD (docs/vssd.md): a block device that asks blocks back and gives some.
 *
 * It is the block driver and more: after binding, vio_blk_...() does all that it does on a disk; there is
 * one request queue. When the device begins a resize, `changed` of struct vio_blk is called; sooner or later
 * the program then calls vio_vssd_work(), which asks the program's `choose` for blocks that it can do
 * without and hands them back, or takes the blocks that it is given, the first ones that are absent. The
 * requests of control are made one at a time, and waited for.
 *
 * No locks: one thread at a time, or interrupts off, for all of a device.
 */
VIO_API extern const struct vio_driver vio_vssd_driver;

#define VIO_VSSD_RANGES_MAX 32u /* of a list */
#define VIO_VSSD_TIMEOUT_NS UINT64_C(30000000000)

/* Of blocks; both numbers as the configuration counts them. */
struct vio_vssd_range {
	uint64_t first;
	uint64_t count;
};

struct vio_vssd_info {
	uint64_t total, provisioned, target; /* blocks */
	uint32_t block_bytes;
	uint32_t state; /* VIRTIO_VSSD_STATE_... */
	uint32_t ticket;
	uint32_t deadline_ms; /* of an answer; 0: none */
};

/* What vio_driver_bind() wants `state` for; private but for what is said. */
struct vio_vssd {
	struct vio_blk blk; /* its identity, timeout_ns and changed are the program's as well */
	/*
	 * May be set: the device asks for `count` blocks back. Puts ranges with 1..count blocks in all at
	 * `list`, which has room for `max`, and returns how many; their contents are gone then. 0: there are
	 * none to hand back, and the device is told so. Makes no requests. NULL: there never are any.
	 */
	unsigned (*choose)(struct vio_dev *dev, uint64_t count, struct vio_vssd_range *list, unsigned max);
	uint64_t timeout_ns; /* of a control request, VIO_VSSD_TIMEOUT_NS at first; 0: waits for ever */

	struct vio_drvq *control;
	uint32_t scan_ticket;
	uint64_t scanned; /* blocks before it were looked at for what that growth takes */
	struct {
		struct virtio_vssd_control header;
		struct virtio_vssd_range list[VIO_VSSD_RANGES_MAX];
	} request;
	struct virtio_vssd_answer answer;
	uint64_t provisioned; /* what the configuration has to say after the last list */
	uint8_t bits[512];
};

/* -VIO_EPEER: what the device says can't be. -VIO_EINVAL: another driver is bound. Or what reading says. */
VIO_API int vio_vssd_get_info(struct vio_dev *dev, struct vio_vssd_info *info);

/*
 * Does what the resize asks for that goes on, if any, until it has ended. 0: none goes on. -VIO_ENOSPC:
 * there was nothing more to hand back, and the device was told. -VIO_EBUSY: requests are in flight, call
 * again when they are done. -VIO_EAGAIN: another resize goes on by now, or more than a call's share is
 * left: call again. -VIO_ERANGE or -VIO_EINVAL: `choose` named blocks that aren't there or weren't asked
 * for, or that were handed back before; nothing of that list was. -VIO_EIO: the device couldn't do it.
 * -VIO_ENOTSUP: it makes no resizes. -VIO_EPHASE, -VIO_EPEER, -VIO_EHANGUP, -VIO_EAGAIN at the timeout:
 * as vio_dev_exchange(); then all of the device was stopped, see vio_blk_stop().
 */
VIO_API int vio_vssd_work(struct vio_dev *dev);

/* Ends the resize that goes on, as there is nothing to hand back; 0 when none does. Codes as above. */
VIO_API int vio_vssd_decline(struct vio_dev *dev);

/*
 * Which blocks from `first` on, a multiple of 8, are provisioned: a bit each in `bits`, the lowest first.
 * *got: how many bytes of `bytes` there were. Codes as above.
 */
VIO_API int vio_vssd_get_map(struct vio_dev *dev, uint64_t first, uint8_t *bits, uint32_t bytes,
			     uint32_t *got);

#endif
