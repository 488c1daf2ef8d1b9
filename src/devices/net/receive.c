/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "devices/net/net.h"

/*
 * Frames for the driver. vio_netdev_deliver() judges a frame from a copy of its head,
 * filters and steers it, and kicks the queue: buffers are popped in a kick only.
 * There vio_netdev_receive() writes it, as it is or finished, behind a header.
 */

/* Writes on behind what is in the chain already; *at is the buffer that has room. */
static void net_fill(struct net *net, unsigned *at, const void *from, size_t length)
{
	const uint8_t *bytes = from;

	while (length && *at < net->chain_count) {
		size_t took = vio_write(&net->chain[*at], bytes, length);

		bytes += took;
		length -= took;
		if (length)
			(*at)++;
	}
}

static void net_put_back(struct net *net, struct vio_devq *q)
{
	while (net->chain_count)
		vio_devq_unpop(q, &net->chain[--net->chain_count]);
}

/* hostile: A118; a buffer that can't even begin a frame, or of which pieces are missing. */
static bool net_buffer_is_useless(const struct net *net, const struct vio_buf *buf, bool first)
{
	return buf->truncated || !buf->writable_bytes || (first && buf->writable_bytes < net->header_bytes);
}

/*
 * Takes buffers for `bytes` more: 0, -VIO_EAGAIN when there aren't enough, -VIO_ERANGE
 * when it never fits. When it fails the chain is given back, all of it.
 */
static int net_gather(struct vio_device *dev, struct vio_devq *q, uint64_t bytes)
{
	struct net *net = vio_device_state(dev);
	bool merges = vio_device_has_feature(dev, VIRTIO_NET_F_MRG_RXBUF);
	unsigned first = net->chain_count;
	uint64_t room = 0;

	while (room < bytes) {
		struct vio_buf *buf = &net->chain[net->chain_count];
		bool full = net->chain_count == NET_MERGE_MAX;

		if (full || (!merges && net->chain_count > first)) { /* spec: DEV-NET-027 */
			net_put_back(net, q);
			return -VIO_ERANGE;
		}
		if (!vio_devq_pop(q, buf)) {
			/* All that the queue can hold isn't enough? */
			int error = net->chain_count == q->size ? -VIO_ERANGE : -VIO_EAGAIN;

			net_put_back(net, q);
			return error;
		}
		if (net_buffer_is_useless(net, buf, net->chain_count == first)) {
			/* Those before it keep their order; this one is of no use to any frame. */
			if (net->chain_count) {
				vio_devq_unpop(q, buf);
				net_put_back(net, q);
				return -VIO_ERANGE;
			}
			vio_devq_push(q, buf, 0);
			vio_netdev_count(dev, q, 1);
			continue;
		}
		room += buf->writable_bytes;
		net->chain_count++;
	}
	return 0;
}

/* Header, head, then [offset, offset + length) of the frame, into [first, end) of the chain. */
static void net_emit(struct vio_device *dev, struct vio_devq *q, unsigned first, unsigned end,
		     const uint8_t *head, uint32_t head_bytes, uint32_t offset, uint32_t length)
{
	struct net *net = vio_device_state(dev);
	uint64_t last = (uint64_t)net->header_bytes + head_bytes + length;
	struct vio_frame_walk walk = vio_frame_walk(&net->frame, offset, length);
	const uint8_t *piece;
	unsigned at = first;
	uint32_t bytes;

	/* spec: DEV-NET-026 DEV-NET-028 DEV-NET-029 */
	net->header.header.num_buffers = vio_le16_make((uint16_t)(end - first));
	for (unsigned i = first; i + 1 < end; i++)
		last -= net->chain[i].writable_bytes;
	net_fill(net, &at, &net->header, net->header_bytes);
	net_fill(net, &at, head, head_bytes);
	while ((piece = vio_frame_next(&walk, &bytes)))
		net_fill(net, &at, piece, bytes);
	/* spec: DEV-NET-030 DEV-NET-031: all are full but the last; the notification shows them together */
	for (unsigned i = first; i < end; i++)
		vio_devq_push(q, &net->chain[i], i + 1 == end ? (uint32_t)last : UINT32_MAX);
	vio_netdev_count(dev, q, 1);
}

static int net_put(struct vio_device *dev, struct vio_devq *q, const uint8_t *head, uint32_t head_bytes,
		   uint32_t offset, uint32_t length)
{
	struct net *net = vio_device_state(dev);
	int error;

	net->chain_count = 0;
	error = net_gather(dev, q, (uint64_t)net->header_bytes + head_bytes + length);
	if (!error)
		net_emit(dev, q, 0, net->chain_count, head, head_bytes, offset, length);
	return error;
}

/* Must the frame be cut, as the driver doesn't take it whole? */
static bool net_must_cut(const struct net *net)
{
	unsigned offloads = vio_netdev_offloads(net);

	/* spec: DEV-NET-034 DEV-NET-035 DEV-NET-036 DEV-NET-037 DEV-NET-040 DEV-NET-051 */
	switch (net->frame.gso_type & ~VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_TCPV4:
		if (!(offloads & VIO_NETWORK_TSO4))
			return true;
		break;
	case VIRTIO_NET_HDR_GSO_TCPV6:
		if (!(offloads & VIO_NETWORK_TSO6))
			return true;
		break;
	case VIRTIO_NET_HDR_GSO_UDP_L4:
		return !(offloads & (net->layout.version == 4 ? VIO_NETWORK_USO4 : VIO_NETWORK_USO6));
	default:
		return false;
	}
	return net->frame.gso_type & VIRTIO_NET_HDR_GSO_ECN && !(offloads & VIO_NETWORK_ECN);
}

/* All segments or none: -VIO_ERANGE when there are too many for that. */
static int net_put_cut_whole(struct vio_device *dev, struct vio_devq *q)
{
	struct net *net = vio_device_state(dev);
	struct vio_frame_cut *cut = &net->cut;
	uint16_t ends[NET_MERGE_MAX];
	unsigned count = 0;
	unsigned first = 0;

	net->chain_count = 0;
	vio_frame_cut_begin(cut, &net->frame, net->head, &net->layout);
	while (vio_frame_cut_next(cut)) {
		int error = net_gather(dev, q, (uint64_t)net->header_bytes + cut->head_bytes + cut->length);

		if (error)
			return error;
		ends[count++] = (uint16_t)net->chain_count;
	}
	vio_frame_cut_begin(cut, &net->frame, net->head, &net->layout);
	for (unsigned i = 0; vio_frame_cut_next(cut); first = ends[i++])
		net_emit(dev, q, first, ends[i], cut->head, cut->head_bytes, cut->offset, cut->length);
	return 0;
}

static int net_put_cut(struct vio_device *dev, struct vio_devq *q)
{
	struct net *net = vio_device_state(dev);
	struct vio_frame_cut *cut = &net->cut;
	int error = net_put_cut_whole(dev, q);

	if (error != -VIO_ERANGE)
		return error;
	vio_frame_cut_begin(cut, &net->frame, net->head, &net->layout);
	for (bool first = true; vio_frame_cut_next(cut); first = false) {
		error = net_put(dev, q, cut->head, cut->head_bytes, cut->offset, cut->length);
		if (error && first)
			return error;
		if (error) {
			/* What went before can't be taken back, and must not go twice. */
			net->receive_dropped++;
			return 0;
		}
	}
	return 0;
}

/* What the driver is told of the frame; false when a checksum can't be completed. */
static bool net_describe(struct net *net)
{
	const struct vio_frame *frame = &net->frame;
	struct virtio_net_hdr *header = &net->header.header;
	bool takes_csum = vio_netdev_offloads(net) & VIO_NETWORK_CSUM;

	memset(header, 0, sizeof(*header));
	if (!takes_csum && frame->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) /* spec: DEV-NET-033 */
		return !vio_frame_complete(frame, net->head, &net->layout);
	if (!takes_csum) /* spec: DEV-NET-032 */
		return true;
	/* spec: DEV-NET-038 DEV-NET-039 DEV-NET-055 DEV-NET-058: no other flags, and no tunnels */
	if (frame->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) { /* spec: DEV-NET-043 DEV-NET-044 DEV-NET-045 */
		header->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		header->csum_start = vio_le16_make(frame->csum_start);
		header->csum_offset = vio_le16_make(frame->csum_offset);
	} else if (frame->flags & VIRTIO_NET_HDR_F_DATA_VALID) { /* spec: DEV-NET-057: the network did */
		header->flags = VIRTIO_NET_HDR_F_DATA_VALID;
	}
	if (frame->gso_type != VIRTIO_NET_HDR_GSO_NONE) {
		header->gso_type = frame->gso_type; /* spec: DEV-NET-041 DEV-NET-052 DEV-NET-053 */
		header->gso_size = vio_le16_make(frame->gso_bytes);
		header->hdr_len = vio_le16_make(net->layout.payload); /* spec: DEV-NET-056 */
	}
	return true;
}

void vio_netdev_receive(struct vio_device *dev, struct vio_devq *q)
{
	struct net *net = vio_device_state(dev);
	uint32_t bytes = net->layout.head_bytes;

	if (net_must_cut(net)) {
		memset(&net->header.header, 0, sizeof(net->header.header));
		if (vio_netdev_offloads(net) & VIO_NETWORK_CSUM)
			net->header.header.flags = VIRTIO_NET_HDR_F_DATA_VALID; /* just computed */
		net->delivered = net_put_cut(dev, q);
	} else if (!net_describe(net)) {
		net->delivered = -VIO_ERANGE;
	} else {
		net->delivered = net_put(dev, q, net->head, bytes, bytes, net->frame.length - bytes);
	}
}

/* spec: DEV-NET-006 */
static bool net_is_too_long(const struct vio_device *dev)
{
	const struct net *net = vio_device_state(dev);
	uint32_t most = net->mtu + VIO_FRAME_BYTES_LEAST + (net->layout.tagged ? 4u : 0u);

	return vio_device_has_feature(dev, VIRTIO_NET_F_MTU) &&
	       net->frame.gso_type == VIRTIO_NET_HDR_GSO_NONE && net->frame.length > most;
}

/* spec: DEV-NET-138 DEV-NET-139: filters first, then steering; what is dropped goes no further */
static int net_accept(struct vio_device *dev)
{
	struct net *net = vio_device_state(dev);
	int pair;

	vio_frame_head(&net->frame, net->head, &net->layout);
	if (vio_frame_judge(&net->frame, &net->layout))
		return -VIO_EPEER;
	if (!vio_netdev_filter_passes(dev, net->head, &net->layout))
		return 0;
	if (net_is_too_long(dev)) {
		net->receive_dropped++;
		return 0;
	}
	pair = vio_netdev_steer(dev);
	if (pair < 0)
		return 0;
	net->delivered = -VIO_EPHASE;
	vio_device_kick(dev, (uint16_t)(2 * pair));
	if (net->delivered == -VIO_EAGAIN)
		net->starved = true;
	if (net->delivered != -VIO_ERANGE)
		return net->delivered;
	net->receive_dropped++;
	return 0;
}

int vio_netdev_deliver(void *context, const struct vio_frame *frame)
{
	struct vio_device *dev = context;
	struct net *net = vio_device_state(dev);
	int result;

	if (!vio_device_running(dev) || !vio_netdev_link_up(net) || net->delivering)
		return -VIO_EPHASE;
	net->delivering = true;
	net->frame = *frame;
	result = net_accept(dev);
	net->delivering = false;
	return result;
}

void vio_netdev_deliver_end(void *context)
{
	struct vio_device *dev = context;

	if (!dev->queues)
		return;
	for (unsigned i = 0; i + 1 < dev->queue_count; i += 2)
		vio_netdev_notify(dev, &dev->queues[i]);
}
