/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_DRIVERS_NET_H
#define VIREO_DRIVERS_NET_H

#include <vireo/driver.h>
#include <vireo/spec/virtio_net.h>

/*
 * A driver for the network device (5.1): Ethernet frames in both directions, by one pair of queues or
 * several. Begin with vio_net_send_buffer() and vio_net_receive_buffer(), which need nothing else.
 *
 * Out: a struct vio_net_io of the caller's is submitted, its memory is shown to the device as it is, and
 * `done` is called once for it. In: the driver lends buffers of its own to the device; a frame that came
 * is handed to `received`, or waits for vio_net_receive_buffer() when there is no `received`. A frame
 * that the device spread over several buffers is put together in the first of them.
 *
 * The device is told what to do by vio_net_set_...() of its control queue; each waits for the answer. What
 * costs memory or binds the program is in `wants` before it is asked for from the device.
 *
 * No locks: one thread at a time, or interrupts off, for all of a device.
 */
VIO_API extern const struct vio_driver vio_net_driver;

#define VIO_NET_PAIRS_MAX     8u
#define VIO_NET_BUFFERS       32u /* of each pair */
#define VIO_NET_PARTS_MAX     8u
#define VIO_NET_FRAME_LEAST   14u   /* the Ethernet header */
#define VIO_NET_MTU_DEFAULT   1500u /* when the device doesn't say */
#define VIO_NET_TIMEOUT_NS    UINT64_C(5000000000)
#define VIO_NET_SPEED_UNKNOWN UINT32_MAX

/* For `wants`, as far as the device offers it. */
#define VIO_NET_WANT_LARGE    1u /* receives up to 64 KiB at once: buffers of that size, a quarter as many */
#define VIO_NET_WANT_ANNOUNCE 2u /* will announce itself when asked: vio_net_announced() */
#define VIO_NET_WANT_HASH     4u /* frames come with a hash: vio_net_set_hash() */
#define VIO_NET_WANT_STEERING 8u /* frames are spread over pairs by their hash: vio_net_set_steering() */

/* A frame that came; it goes back with vio_net_give_back(). */
struct vio_net_frame {
	uint8_t *data;
	uint32_t length;
	bool csum_valid;   /* the device has checked it */
	bool csum_partial; /* to be completed: from csum_start on, stored csum_offset behind that */
	uint16_t csum_start, csum_offset;
	uint8_t gso_type; /* VIRTIO_NET_HDR_GSO_...: several segments of gso_size in one */
	uint16_t gso_size;
	uint16_t hash_type; /* VIRTIO_NET_HASH_REPORT_... */
	uint32_t hash;
	uint16_t pair; /* it came by */

	/* Private. */
	bool lent, taken;
};

/* A frame to send. Zeroed before the first use; may be used again when it was done. */
struct vio_net_io {
	/* The caller's, unchanged while it is in flight. */
	const struct vio_part *parts; /* the frame from its Ethernet header on */
	unsigned part_count;
	/* The device completes the checksum, where the pseudo header's sum is; needs VIRTIO_NET_F_CSUM. */
	bool csum_partial;
	uint16_t csum_start, csum_offset;
	/*
	 * The device cuts it into segments of gso_size bytes of payload: VIRTIO_NET_HDR_GSO_TCPV4 or
	 * _TCPV6 (with _ECN where the packet has it), _UDP or _UDP_L4. Needs csum_partial and the device's
	 * feature.
	 */
	uint8_t gso_type;
	uint16_t gso_size;
	uint16_t header_length; /* with that of TCP or UDP; 0: not said, which gso_type doesn't allow */
	uint16_t pair;          /* to go by, below pairs_active */
	void (*done)(struct vio_dev *dev, struct vio_net_io *io); /* may be NULL */
	void *owner;

	int result; /* 0, -VIO_EAGAIN when a reset cancelled it, -VIO_EHANGUP when the device is gone */
	bool busy;

	/* Private. */
	struct virtio_net_hdr_hash header;
	struct vio_sg sg[VIO_NET_PARTS_MAX + 1];
};

/* A pair of queues; private. */
struct vio_net_pair {
	struct vio_drvq *receive, *transmit;
	struct vio_net_frame *partial; /* waits for its other buffers */
	uint32_t partial_left;
	bool partial_bad;
};

#define VIO_NET_STEERING_MAX 128u
#define VIO_NET_KEY_MAX      52u
#define VIO_NET_ADDRESS_MAX  64u
#define VIO_NET_CONTROL_MAX  512u

/* How a device sends interrupts for many frames at once. */
struct vio_net_coalescing {
	uint32_t frames_max;
	uint32_t usecs_max;
};

/* How frames are spread over pairs. */
struct vio_net_steering {
	uint32_t hash_types;   /* VIRTIO_NET_HASH_TYPE_... that the device has (`hash_types`) */
	const uint16_t *table; /* pairs, by the lowest bits of the hash */
	uint16_t table_count;  /* a power of two, up to `steering_max` and VIO_NET_STEERING_MAX */
	uint16_t unhashed;     /* the pair of frames without hash */
	uint16_t pairs;        /* that send */
	const uint8_t *key;
	uint8_t key_bytes; /* up to `key_max` */
};

/* What vio_driver_bind() wants `state` for; private but for what is said. */
struct vio_net {
	/* May be read. Without mac_known, choose a locally administered address. */
	uint8_t mac[6];
	bool mac_known, link_up;
	uint16_t mtu;
	uint32_t speed;               /* Mbit/s or VIO_NET_SPEED_UNKNOWN */
	uint8_t duplex;               /* VIRTIO_NET_DUPLEX_... */
	bool announce;                /* the device asks for it */
	uint16_t pairs, pairs_active; /* that there are; that frames go by: vio_net_set_pairs() */
	uint32_t hash_types;
	uint16_t steering_max;
	uint8_t key_max;
	uint64_t dropped; /* frames that made no sense */
	/* May be changed, 0: waits for ever. */
	uint64_t timeout_ns;
	/* May be changed, and counts from the next vio_net_init() on: VIO_NET_WANT_..., pairs of queues. */
	unsigned wants;
	uint16_t pairs_wanted; /* 0: one */
	/* May be set; called from vio_net_poll() and vio_dev_interrupt(). */
	void (*received)(struct vio_dev *dev, struct vio_net_frame *frame);
	/* The link, `announce`, or vio_net_poll() fails: vio_net_stop(). */
	void (*changed)(struct vio_dev *dev);

	struct vio_dev_queue queues[2 * VIO_NET_PAIRS_MAX + 1];
	struct vio_net_pair pair[VIO_NET_PAIRS_MAX];
	struct vio_drvq *control; /* NULL: there is none */
	struct vio_shared memory;
	size_t memory_bytes;
	uint32_t header_bytes, buffer_bytes;
	unsigned buffer_count; /* of each pair */
	struct vio_net_frame frames[VIO_NET_PAIRS_MAX * VIO_NET_BUFFERS];
	bool lied, taking, waiting, stopping;
	uint16_t order[VIO_NET_PAIRS_MAX * VIO_NET_BUFFERS]; /* frames that wait, a ring */
	uint16_t order_first, order_count;
	struct vio_net_io sync;
	struct vio_part sync_part;
	/* A command, its data, its answer, its result. */
	struct virtio_net_ctrl_hdr command;
	uint8_t data[VIO_NET_CONTROL_MAX];
	uint8_t ack;
	struct virtio_net_ctrl_coal result;
};

/*
 * Shows a frame to the device and tells it. -VIO_EINVAL: no parts, too many or an empty one, shorter than
 * an Ethernet header, a checksum or headers outside the frame, segments without a size, or another driver
 * is bound; -VIO_ERANGE: longer than the MTU and the Ethernet header (64 KiB and that for segments), or no
 * such pair; -VIO_ENOTSUP: no checksums, no such segments; -VIO_EBUSY: in flight; -VIO_ENOSPC: no room
 * now; -VIO_EPHASE, -VIO_EPEER: the device isn't at work.
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

/*
 * Commands. All: -VIO_ENOTSUP when the device lacks that; -VIO_EACCES when it refused; -VIO_EINVAL,
 * -VIO_EPHASE; else as vio_dev_exchange(), with vio_net_stop() called where the device had to be reset.
 */

/* VIRTIO_NET_CTRL_RX_PROMISC, _ALLMULTI, ...: which frames are received beside those of the filter. */
VIO_API int vio_net_set_receive(struct vio_dev *dev, uint8_t mode, unsigned on);
/* The filter: addresses beside the device's own, up to VIO_NET_ADDRESS_MAX in all (-VIO_ERANGE). */
VIO_API int vio_net_set_filter(struct vio_dev *dev, const uint8_t (*unicast)[6], unsigned unicast_count,
			       const uint8_t (*multicast)[6], unsigned multicast_count);
/* The device's own address, and `mac`. */
VIO_API int vio_net_set_mac(struct vio_dev *dev, const uint8_t mac[6]);
/* A VLAN, 0..4095, whose frames are received, or aren't. */
VIO_API int vio_net_set_vlan(struct vio_dev *dev, uint16_t id, unsigned on);
/* The program has sent what tells others where it is now. */
VIO_API int vio_net_announced(struct vio_dev *dev);
/* How many pairs are in use, 1 at first; -VIO_ERANGE beyond `pairs`. */
VIO_API int vio_net_set_pairs(struct vio_dev *dev, uint16_t count);
/* A set of feature bits VIRTIO_NET_F_GUEST_...: what is received as large or unfinished frames. */
VIO_API int vio_net_set_offloads(struct vio_dev *dev, uint64_t features);
/* Of all queues of a direction: VIRTIO_NET_CTRL_NOTF_COAL_TX_SET or _RX_SET. */
VIO_API int vio_net_set_coalescing(struct vio_dev *dev, uint8_t direction,
				   const struct vio_net_coalescing *coalescing);
/* Of one queue: 2 * pair for receiving, 2 * pair + 1 for sending; -VIO_ERANGE when it isn't in use. */
VIO_API int vio_net_set_queue_coalescing(struct vio_dev *dev, uint16_t queue,
					 const struct vio_net_coalescing *coalescing);
VIO_API int vio_net_get_queue_coalescing(struct vio_dev *dev, uint16_t queue,
					 struct vio_net_coalescing *coalescing);
/* Which hashes come with frames. */
VIO_API int vio_net_set_hash(struct vio_dev *dev, uint32_t hash_types, const uint8_t *key, uint8_t key_bytes);
VIO_API int vio_net_set_steering(struct vio_dev *dev, const struct vio_net_steering *steering);

#endif
