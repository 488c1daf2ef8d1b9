/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_DRIVERS_NET_H
#define VIREO_DRIVERS_NET_H

#include <vireo/driver.h>
#include <vireo/spec/virtio_net.h>

/*
 * A driver for the network device (5.1): Ethernet frames in both directions, one queue each.
 *
 * Out: a struct vio_net_io of the caller's is submitted, its memory is shown to the device as it is, and
 * `done` is called once for it. In: the driver lends buffers of its own to the device; a frame that came
 * is handed to `received`, or waits for vio_net_receive_buffer() when there is no `received`. A frame
 * that the device spread over several buffers is put together in the first of them.
 *
 * No locks: one thread at a time, or interrupts off, for all of a device.
 */
VIO_API extern const struct vio_driver vio_net_driver;

#define VIO_NET_BUFFERS     32u
#define VIO_NET_PARTS_MAX   8u
#define VIO_NET_FRAME_LEAST 14u   /* the Ethernet header */
#define VIO_NET_MTU_DEFAULT 1500u /* when the device doesn't say */
#define VIO_NET_TIMEOUT_NS  UINT64_C(5000000000)

/* A frame that came; it goes back with vio_net_give_back(). */
struct vio_net_frame {
	uint8_t *data;
	uint32_t length;
	bool csum_valid;   /* the device has checked it */
	bool csum_partial; /* to be completed: from csum_start on, stored csum_offset behind that */
	uint16_t csum_start, csum_offset;

	/* Private. */
	bool lent, taken;
};

/* A frame to send. Zeroed before the first use; may be used again when it was done. */
struct vio_net_io {
	/* The caller's, unchanged while it is in flight. */
	const struct vio_part *parts; /* the frame from its Ethernet header on */
	unsigned part_count;
	bool csum_partial; /* the device completes the checksum; needs VIRTIO_NET_F_CSUM */
	uint16_t csum_start, csum_offset;
	void (*done)(struct vio_dev *dev, struct vio_net_io *io); /* may be NULL */
	void *owner;

	int result; /* 0, -VIO_EAGAIN when a reset cancelled it, -VIO_EHANGUP when the device is gone */
	bool busy;

	/* Private. */
	struct virtio_net_hdr header;
	struct vio_sg sg[VIO_NET_PARTS_MAX + 1];
};

/* What vio_driver_bind() wants `state` for; private but for what is said. */
struct vio_net {
	/* May be read. Without mac_known, choose a locally administered address. */
	uint8_t mac[6];
	bool mac_known, link_up;
	uint16_t mtu;
	uint64_t dropped; /* frames that made no sense */
	/* May be changed, 0: waits for ever. */
	uint64_t timeout_ns;
	/* May be set; called from vio_net_poll() and vio_dev_interrupt(). */
	void (*received)(struct vio_dev *dev, struct vio_net_frame *frame);
	void (*changed)(struct vio_dev *dev); /* the link, or vio_net_poll() fails: vio_net_stop() */

	struct vio_dev_queue queues[2];
	struct vio_drvq *receive, *transmit;
	struct vio_shared memory;
	size_t memory_bytes;
	uint32_t header_bytes, buffer_bytes;
	unsigned buffer_count;
	struct vio_net_frame frames[VIO_NET_BUFFERS];
	struct vio_net_frame *partial; /* waits for its other buffers */
	uint32_t partial_left;
	bool partial_bad, lied, taking, waiting, stopping;
	uint8_t order[VIO_NET_BUFFERS]; /* frames that wait, a ring */
	uint8_t order_first, order_count;
	struct vio_net_io sync;
	struct vio_part sync_part;
};

/*
 * Shows a frame to the device and tells it. -VIO_EINVAL: no parts, too many or an empty one, shorter than
 * an Ethernet header, a checksum outside the frame, or another driver is bound; -VIO_ERANGE: longer than
 * the MTU and the Ethernet header; -VIO_ENOTSUP: no checksums; -VIO_EBUSY: in flight; -VIO_ENOSPC: no
 * room now; -VIO_EPHASE, -VIO_EPEER: the device isn't at work.
 */
VIO_API int vio_net_submit(struct vio_dev *dev, struct vio_net_io *io);

/* Takes what came and completes what was sent. -VIO_EPEER when the device lied. */
VIO_API int vio_net_poll(struct vio_dev *dev);

/* The frame's buffer is the device's again. Not after vio_net_stop(), which takes all frames back. */
VIO_API void vio_net_give_back(struct vio_dev *dev, struct vio_net_frame *frame);

/* The plain transport: begins the device's life (binding did), sends one frame and waits, receives one. */
VIO_API int vio_net_init(struct vio_dev *dev);
/* Codes of submit and of result; at -VIO_EAGAIN and -VIO_EPEER vio_net_stop() was called. */
VIO_API int vio_net_send_buffer(struct vio_dev *dev, const void *from, uint32_t length);
/*
 * Copies the next frame. -VIO_EAGAIN: none, -VIO_ERANGE: longer than `length`, and *got says how long;
 * it stays. -VIO_EPHASE, -VIO_EPEER, -VIO_EINVAL.
 */
VIO_API int vio_net_receive_buffer(struct vio_dev *dev, void *to, uint32_t length, uint32_t *got);

/*
 * Resets the device and hands back all that was to be sent. -VIO_EAGAIN when the reset doesn't end, and
 * nothing is handed back; a device that is unbound so keeps the receive buffers for good.
 */
VIO_API int vio_net_stop(struct vio_dev *dev);

#endif
