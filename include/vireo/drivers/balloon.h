/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_DRIVERS_BALLOON_H
#define VIREO_DRIVERS_BALLOON_H

#include <vireo/driver.h>
#include <vireo/spec/virtio_balloon.h>

/*
 * A driver for the memory balloon (5.5). It doesn't know the system's allocator: the program says which
 * pages it gives away and which it wants back, and keeps the list of them.
 *
 * `target` is how many pages the device wants to have, `actual` how many it has. When `changed` was called
 * the program gives pages away with vio_balloon_inflate() while the first is greater, and takes some back
 * with vio_balloon_deflate() while it is less. Pages of the balloon are 4096 bytes; a larger one of the
 * system's is several.
 *
 * A page isn't the program's from the call of inflate on until deflate has returned; its content is lost.
 * When the device is reset the balloon is empty and all pages are the program's again.
 *
 * Free pages can be told to the device without being given away: for good until they are touched
 * (vio_balloon_report()), or while it migrates (vio_balloon_hint()).
 */
VIO_API extern const struct vio_driver vio_balloon_driver;

#define VIO_BALLOON_PAGE_BYTES 4096u
#define VIO_BALLOON_BATCH      256u /* pages in one request to the device */
#define VIO_BALLOON_STATS_MAX  16u
#define VIO_BALLOON_TIMEOUT_NS UINT64_C(5000000000)

struct vio_balloon_stat {
	uint16_t tag; /* VIRTIO_BALLOON_S_... */
	uint64_t value;
};

/* What a life of the device is begun with; see vio_balloon_start(). */
struct vio_balloon_options {
	/* Each word of the program's free pages holds `poison`, and it counts on that. */
	bool poisoned;
	uint32_t poison;
	/*
	 * Fills in up to VIO_BALLOON_STATS_MAX statistics, at least one, with the same tags in the same
	 * order each time, and returns how many. Called from vio_balloon_start(), vio_balloon_poll() and
	 * vio_dev_interrupt(). NULL: there are none.
	 */
	unsigned (*stats)(struct vio_dev *dev, struct vio_balloon_stat *stats);
};

/* What vio_driver_bind() wants `state` for; private but for what is said. */
struct vio_balloon {
	/* May be read. */
	uint32_t target, actual; /* pages */
	/* May be changed, of each request; 0: waits for ever. */
	uint64_t timeout_ns;
	/* May be set: `target` or a wish for hints may have changed, or vio_dev_broken(). */
	void (*changed)(struct vio_dev *dev);

	struct vio_balloon_options options;
	struct vio_dev_queue queues[5];
	struct vio_drvq *inflate, *deflate, *stats, *free_page, *reporting; /* NULL: not there */
	vio_le32 pages[VIO_BALLOON_BATCH];
	vio_le32 command; /* of hints, on its way to the device */
	uint32_t hinting; /* the command's id between hint_begin and hint_end, else 0 */
	uint32_t hinted;  /* the last one that was begun */
	struct virtio_balloon_stat wire[VIO_BALLOON_STATS_MAX];
	struct vio_addr wire_addr;
	unsigned stat_count; /* 0: not known yet */
	bool stats_lent;
};

/*
 * Gives pages away: `host` and `addr` of each are a multiple of VIO_BALLOON_PAGE_BYTES, `addr` being what
 * the device knows it by. *done is how many it has. -VIO_EINVAL: a misaligned page or one beyond what 32
 * bits can number, before any was given away; -VIO_ERANGE: more than `target` asks for; else codes of
 * vio_dev_exchange(), and when the device was reset all pages are the program's again.
 */
VIO_API int vio_balloon_inflate(struct vio_dev *dev, const struct vio_shared *pages, uint32_t count,
				uint32_t *done);

/*
 * Takes pages back, which were given with inflate; *done of them may be used now, and hold `poison` where
 * that was agreed on. -VIO_EINVAL as above or for more than `actual`; -VIO_EACCES: the device wants to keep
 * that many (`target`), and didn't offer DEFLATE_ON_OOM; else as inflate.
 */
VIO_API int vio_balloon_deflate(struct vio_dev *dev, const struct vio_shared *pages, uint32_t count,
				uint32_t *done);

/*
 * Tells of up to VIO_EXCHANGE_PARTS_MAX free blocks, large ones rather than many. They may be used when
 * this has returned, and hold `poison` where that was agreed on, else nothing that counts.
 * -VIO_ENOTSUP without PAGE_REPORTING; else as vio_dev_exchange().
 */
VIO_API int vio_balloon_report(struct vio_dev *dev, const struct vio_part *blocks, unsigned count);

/*
 * Hints: when the device asks for them, begin, then hint for one free block after the other, then end.
 * A block is not to be used before vio_balloon_hint_release() of it. begin: -VIO_EAGAIN when the device
 * doesn't ask or has got an answer already. hint: -VIO_EAGAIN when it wants no more: end. All:
 * -VIO_ENOTSUP without FREE_PAGE_HINT; -VIO_EPHASE when none are begun; else as vio_dev_exchange().
 */
VIO_API int vio_balloon_hint_begin(struct vio_dev *dev);
VIO_API int vio_balloon_hint(struct vio_dev *dev, void *block, uint32_t bytes);
VIO_API int vio_balloon_hint_end(struct vio_dev *dev);

/*
 * A hinted block is wanted. Its content is undefined when the device is done with all hints (then blocks
 * should be released soon); before that, it is filled with `poison`, or zeros. Always 0 or -VIO_EINVAL.
 */
VIO_API int vio_balloon_hint_release(struct vio_dev *dev, void *block, uint32_t bytes);

/* Does what interrupts would. -VIO_EPEER when the device lied, -VIO_EPHASE, -VIO_EINVAL. */
VIO_API int vio_balloon_poll(struct vio_dev *dev);

/* Resets the device. -VIO_EAGAIN when that doesn't end, -VIO_EHANGUP. */
VIO_API int vio_balloon_stop(struct vio_dev *dev);
/*
 * Begins the device's life anew, with these options (NULL: as before; binding begins with none of them).
 * -VIO_EINVAL when `stats` gave none or too many; codes of the verbs of driver.h.
 */
VIO_API int vio_balloon_start(struct vio_dev *dev, const struct vio_balloon_options *options);

#endif
