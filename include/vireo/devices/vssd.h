/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_DEVICES_VSSD_H
#define VIREO_DEVICES_VSSD_H

#include <vireo/block.h>
#include <vireo/device.h>
#include <vireo/spec/virtio_vssd.h>

/*
 * VSSD (docs/vssd.md): a block device that can ask blocks back from its driver and give them again.
 *
 * Which blocks are provisioned is kept in a map: a second struct vio_block with two slots, of which one
 * is always whole. A change is written into the other slot with a higher sequence number, on stable
 * storage, before the driver hears of it. Blocks that were handed back are punched out of the data
 * after that, and again when the device is realized; blocks that are taken are zeroed before it. So a
 * crash at any point leaves each block either the driver's with its contents or nobody's.
 *
 * A resize begins with vio_vssd_resize() and goes on, over resets and restarts, until the driver has
 * handed back or taken all that was asked for, or vio_vssd_withdraw() ends it: then what was handed
 * back or taken stays so, and the rest is not asked for any more. The device has no clock: its owner
 * withdraws what the driver doesn't answer to, see vio_vssd_watch().
 */
VIO_API extern const struct vio_device_class vio_vssd_class;

#define VIO_VSSD_SLOT_ALIGN 4096u

/* What the device stands on; all of it stays the caller's. */
struct vio_vssd_storage {
	struct vio_block *data;
	struct vio_block *map; /* vio_vssd_map_bytes(), zeros when the data is new */
	void *memory;          /* vio_vssd_memory_bytes(), aligned as malloc() aligns */
};

/* For data of that size, when the property "unit" has been set. */
VIO_API uint64_t vio_vssd_map_bytes(const struct vio_device *dev, uint64_t data_bytes);
VIO_API uint64_t vio_vssd_memory_bytes(const struct vio_device *dev, uint64_t data_bytes);

/*
 * Before vio_device_realize(), which refuses with -VIO_ENOENT without storage, with -VIO_ERANGE when
 * the data has no whole block or the map too little room, with -VIO_ESTATE when the map is damaged or
 * that of other data, and with -VIO_EIO when it can't be read or written. -VIO_EINVAL when `dev` is of
 * another type.
 */
VIO_API int vio_vssd_attach(struct vio_device *dev, const struct vio_vssd_storage *storage);

/* How the last resize ended. */
enum vio_vssd_outcome {
	VIO_VSSD_NONE, /* there was none, or one goes on */
	VIO_VSSD_DONE,
	VIO_VSSD_CANCELLED, /* withdrawn by whoever asked for it */
	VIO_VSSD_EXPIRED,   /* withdrawn because the driver didn't answer in time */
	VIO_VSSD_DECLINED,  /* withdrawn because the driver said that it can't */
	VIO_VSSD_FAILED,    /* the map can't be written: no more resizes until the device is made again */
};

struct vio_vssd_report {
	uint64_t total, provisioned, target; /* blocks */
	uint32_t block_bytes;
	uint32_t deadline_ms;
	uint32_t state; /* VIRTIO_VSSD_STATE_... */
	enum vio_vssd_outcome outcome;
	uint64_t unpunched; /* blocks handed back whose space couldn't be given back yet */
};

/* How things are now; the device is realized. */
VIO_API void vio_vssd_get_report(const struct vio_device *dev, struct vio_vssd_report *report);

/*
 * Asks for blocks or gives some until `blocks` are provisioned. 0: it goes on (or all is as asked).
 * -VIO_ERANGE: none, or more than there are. -VIO_EBUSY: another resize goes on. -VIO_EAGAIN: a
 * beginning or an end is being recorded. -VIO_EPHASE: no driver that answers to resizes is at work.
 * -VIO_EIO: the map can't be written. -VIO_EACCES: the data is read-only.
 */
VIO_API int vio_vssd_resize(struct vio_device *dev, uint64_t blocks);

/* Ends the resize that goes on, if any, with this outcome, at once or when a list was dealt with. */
VIO_API void vio_vssd_withdraw(struct vio_device *dev, enum vio_vssd_outcome outcome);

/* `changed` is called whenever the report has changed; a resize that goes on has made progress then. */
VIO_API int vio_vssd_watch(struct vio_device *dev, void *context,
			   void (*changed)(void *context, struct vio_device *dev));

#endif
