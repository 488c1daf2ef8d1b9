/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_DEVICES_NET_NET_H
#define VIO_DEVICES_NET_NET_H

#include <vireo/devices/net.h>

/*
 * The parts of the network device: net.c is its life, features and configuration,
 * transmit.c takes frames from the driver, receive.c brings frames to it through
 * the filters of filter.c, many.c brings those that need nothing but a copy,
 * control.c obeys the control queue, notify.c holds notifications back, saved.c
 * saves and loads.
 */

#define NET_PAIRS_MAX    64u
#define NET_QUEUES_MAX   (2 * NET_PAIRS_MAX + 1)
#define NET_MERGE_MAX    256u /* buffers of one frame */
#define NET_BATCH        32u  /* buffers that are popped, and shown, together */
#define NET_RSS_TABLE    128u
#define NET_FLOWS        1024u
#define NET_MACS_MAX     64u
#define NET_VLANS        4096u
#define NET_MAC_BYTES    6u
#define NET_SERIAL_BYTES 18u /* an address as text */

#define NET_HASH_TYPES                                                                         \
	(VIRTIO_NET_HASH_TYPE_IPv4 | VIRTIO_NET_HASH_TYPE_TCPv4 | VIRTIO_NET_HASH_TYPE_UDPv4 | \
	 VIRTIO_NET_HASH_TYPE_IPv6 | VIRTIO_NET_HASH_TYPE_TCPv6 | VIRTIO_NET_HASH_TYPE_UDPv6 | \
	 VIRTIO_NET_HASH_TYPE_IP_EX | VIRTIO_NET_HASH_TYPE_TCP_EX | VIRTIO_NET_HASH_TYPE_UDP_EX)

/* What a driver can switch off and on again. */
#define NET_OFFLOAD_BITS                                                                   \
	(UINT64_C(1) << VIRTIO_NET_F_GUEST_CSUM | UINT64_C(1) << VIRTIO_NET_F_GUEST_TSO4 | \
	 UINT64_C(1) << VIRTIO_NET_F_GUEST_TSO6 | UINT64_C(1) << VIRTIO_NET_F_GUEST_ECN |  \
	 UINT64_C(1) << VIRTIO_NET_F_GUEST_USO4 | UINT64_C(1) << VIRTIO_NET_F_GUEST_USO6)

/* Addresses of one kind that the driver wants to receive. */
struct net_table {
	bool overflow; /* there were more: all are wanted */
	uint8_t count;
	uint8_t macs[NET_MACS_MAX][NET_MAC_BYTES];
};

struct net_coal {
	uint32_t max_packets, max_usecs;
};

struct net_queue {
	struct net_coal coal;
	uint32_t pending;    /* packets that the driver hasn't been told of */
	uint32_t generation; /* of the queue that this is about */
};

/* Everything that the driver sets; zero, but for the address, after reset. */
struct net_driver {
	uint8_t mac[NET_MAC_BYTES];
	bool mac_set;
	bool promisc, allmulti, alluni, nomulti, nouni, nobcast;
	struct net_table unicast, multicast;
	uint8_t vlans[NET_VLANS / 8];
	uint64_t offloads; /* feature bits */
	uint16_t pairs;
	bool announce; /* the driver is asked to announce itself */

	bool rss; /* the table says where frames go */
	uint32_t hash_types;
	uint8_t hash_key[VIO_HASH_KEY_BYTES];
	uint16_t rss_mask, rss_unclassified;
	uint16_t rss_table[NET_RSS_TABLE];

	struct net_coal receive_coal, transmit_coal;
};

struct net {
	/* Properties. */
	char mac_text[NET_SERIAL_BYTES];
	bool link;
	bool announce;
	uint16_t mtu;
	uint32_t speed;
	uint8_t duplex;
	uint16_t pairs_max;
	bool mrg_rxbuf, csum, tso, uso, ctrl_vq, rss;
	uint64_t receive_dropped, transmit_dropped;

	struct vio_network *network;
	uint8_t mac[NET_MAC_BYTES];
	struct net_driver driver;
	uint32_t header_bytes;
	struct net_queue queues[NET_QUEUES_MAX];
	bool clock_armed;
	uint32_t clock_us;
	uint8_t flows[NET_FLOWS];       /* 1 + the pair that last sent one */
	const struct vio_devq *batched; /* a notification for this queue will follow anyway */
	bool starved;                   /* `ready` was promised */

	/* Frames that are being delivered, as far as they haven't been yet. */
	const struct vio_frame *many; /* or NULL */
	unsigned many_count;
	bool many_starved;         /* there are no buffers for the next */
	struct net_sorted *sorted; /* many.c: those that are about to be, or NULL */

	/* The frame that is being delivered. */
	bool delivering;
	int delivered; /* with what result */
	struct vio_frame frame;
	struct vio_frame_layout layout;
	struct virtio_net_hdr_hash header;
	uint8_t head[VIO_FRAME_HEAD_BYTES];
	struct vio_frame_cut cut;
	struct vio_buf chain[NET_MERGE_MAX];
	unsigned chain_count;
};

struct net_send {
	struct vio_network_send send;
	struct vio_device *dev;
	struct vio_devq *q;
	struct vio_buf buf;
};

/* net.c */

/* Queues between the last pair and the control queue aren't there: NET_QUEUES_MAX for those. */
uint16_t vio_netdev_control_queue(const struct vio_device *dev);
bool vio_netdev_link_up(const struct net *net);
/* Tells the network what the driver takes. */
void vio_netdev_configure(struct vio_device *dev);
/* What of VIO_NETWORK_... the driver takes. */
unsigned vio_netdev_offloads(const struct net *net);

/* transmit.c */

void vio_netdev_transmit(struct vio_device *dev, struct vio_devq *q);

/* receive.c */

/* See struct vio_network_events. */
int vio_netdev_deliver(void *context, const struct vio_frame *frame);
void vio_netdev_deliver_end(void *context);
/* The queue was kicked: puts the frame that is being delivered into it. */
void vio_netdev_receive(struct vio_device *dev, struct vio_devq *q);

/* many.c */

unsigned vio_netdev_deliver_many(void *context, const struct vio_frame *frames, unsigned count);
/* The queue was kicked: puts net->many into it, up to one that has to go by itself. */
void vio_netdev_receive_many(struct vio_device *dev, struct vio_devq *q);
/* The queue was kicked: takes buffers for those of net->sorted that go there. */
void vio_netdev_receive_sorted(struct vio_device *dev, struct vio_devq *q);

/* filter.c */

/* Is there a filter at all? */
bool vio_netdev_filters(const struct vio_device *dev);
/* Does the driver want frames to this address? */
bool vio_netdev_address_passes(const struct vio_device *dev, const uint8_t *mac);
/* Does the driver want this frame? */
bool vio_netdev_filter_passes(const struct vio_device *dev, const uint8_t *head,
			      const struct vio_frame_layout *layout);
/* The pair that a frame goes to, with its hash in net->header; negative: none. */
int vio_netdev_steer(struct vio_device *dev);
/* A frame of a flow was sent from this pair. */
void vio_netdev_learn(struct net *net, uint16_t pair, const uint8_t *head,
		      const struct vio_frame_layout *layout);

/* control.c */

void vio_netdev_control(struct vio_device *dev, struct vio_devq *q);

/* notify.c */

/* What is known of a queue since it was started. */
struct net_queue *vio_netdev_queue_of(struct vio_device *dev, const struct vio_devq *q);
/* `buffers` were pushed on q. */
void vio_netdev_count(struct vio_device *dev, const struct vio_devq *q, unsigned buffers);
/* vio_devq_notify(), unless the driver wants to hear later. */
void vio_netdev_notify(struct vio_device *dev, struct vio_devq *q);
void vio_netdev_expired(void *context);

/* saved.c */

void vio_netdev_save(struct vio_device *dev, struct vio_state_writer *writer);
int vio_netdev_load(struct vio_device *dev, struct vio_state_reader *reader, unsigned version);

#endif
