/* SPDX-License-Identifier: BSD-3-Clause */
#include "devices/net/net.h"

/* Frames from the driver. What is wrong with one is a fault of the packet: it is dropped, and counted. */

static void net_give_back(struct vio_device *dev, struct vio_devq *q, const struct vio_buf *buf)
{
	const struct net *net = vio_device_state(dev);

	vio_devq_push(q, buf, 0);
	vio_netdev_count(dev, q, 1);
	if (net->batched != q)
		vio_netdev_notify(dev, q);
}

static void net_sent(struct vio_network_send *send, int result)
{
	struct net_send *request = VIO_CONTAINER_OF(send, struct net_send, send);
	struct net *net = vio_device_state(request->dev);

	if (result)
		net->transmit_dropped++;
	net_give_back(request->dev, request->q, &request->buf);
}

/* The feature that a frame of this type needs; 0: there is no such type. */
static unsigned net_gso_feature(uint8_t type)
{
	switch (type) {
	case VIRTIO_NET_HDR_GSO_TCPV4:
	case VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN:
		return VIRTIO_NET_F_HOST_TSO4;
	case VIRTIO_NET_HDR_GSO_TCPV6:
	case VIRTIO_NET_HDR_GSO_TCPV6 | VIRTIO_NET_HDR_GSO_ECN:
		return VIRTIO_NET_F_HOST_TSO6;
	case VIRTIO_NET_HDR_GSO_UDP_L4:
		return VIRTIO_NET_F_HOST_USO;
	default:
		/* Tunnels among them: spec: DEV-NET-020 DEV-NET-022 */
		return 0;
	}
}

/* What the header asks for, from a copy: false when that wasn't negotiated. */
static bool net_take_header(const struct vio_device *dev, const struct virtio_net_hdr *header,
			    struct vio_frame *frame)
{
	unsigned feature = net_gso_feature(header->gso_type);

	frame->flags = 0;
	frame->gso_type = VIRTIO_NET_HDR_GSO_NONE;
	frame->gso_bytes = 0;
	frame->csum_start = 0;
	frame->csum_offset = 0;
	/* spec: DEV-NET-023: no tunnel type got here with its checksum flag. */
	if (header->flags & VIRTIO_NET_HDR_F_UDP_TUNNEL_CSUM)
		return false;
	/* spec: DEV-NET-016: other flags don't count. spec: DEV-NET-019: neither does hdr_len. */
	if (header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
		if (!vio_device_has_feature(dev, VIRTIO_NET_F_CSUM))
			return false;
		frame->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM; /* spec: DEV-NET-024: never DATA_VALID */
		frame->csum_start = vio_le16_get(header->csum_start); /* spec: DEV-NET-017 */
		frame->csum_offset = vio_le16_get(header->csum_offset);
	}
	if ((header->gso_type & ~VIRTIO_NET_HDR_GSO_ECN) == VIRTIO_NET_HDR_GSO_NONE)
		return true;
	frame->gso_type = header->gso_type;
	frame->gso_bytes = vio_le16_get(header->gso_size);
	if (header->gso_type & VIRTIO_NET_HDR_GSO_ECN && !vio_device_has_feature(dev, VIRTIO_NET_F_HOST_ECN))
		return false;
	return feature && vio_device_has_feature(dev, feature);
}

/* hostile: A118; nothing of a frame moves before all of this holds. */
static bool net_judge(struct vio_device *dev, struct net_send *request)
{
	struct net *net = vio_device_state(dev);
	struct vio_frame *frame = &request->send.frame;
	struct vio_buf *buf = &request->buf;
	struct virtio_net_hdr header = { 0 };
	struct vio_frame_layout layout = { 0 };
	uint8_t head[VIO_FRAME_HEAD_BYTES];
	uint32_t known = net->header_bytes < sizeof(header) ? net->header_bytes : sizeof(header);

	if (buf->truncated || vio_read(buf, &header, known) != known ||
	    vio_skip(buf, net->header_bytes - known) != net->header_bytes - known)
		return false;
	if (buf->readable_bytes < VIO_FRAME_BYTES_LEAST || buf->readable_bytes > VIO_FRAME_BYTES_MAX)
		return false;
	frame->spans = buf->readable;
	frame->span_count = buf->readable_count;
	frame->length = (uint32_t)buf->readable_bytes;
	frame->pair = request->q->index / 2;
	if (!net_take_header(dev, &header, frame))
		return false;
	if (frame->gso_type == VIRTIO_NET_HDR_GSO_NONE && net->driver.pairs <= 1)
		return !vio_frame_judge(frame, &layout);
	vio_frame_head(frame, head, &layout); /* hostile: A114 */
	if (vio_frame_judge(frame, &layout))
		return false;
	if (net->driver.pairs > 1)
		vio_netdev_learn(net, frame->pair, head, &layout);
	return true;
}

/* One whose header asks for nothing, and all in one piece, as most are: true, with `frame` filled in. */
static inline bool net_judge_plain(const struct net *net, const struct vio_devq *q, struct vio_buf *buf,
				   struct vio_frame *frame)
{
	const uint32_t header_bytes = net->header_bytes;
	struct vio_span *span = buf->readable;

	if (buf->readable_count != 1 || buf->truncated ||
	    span->length < header_bytes + VIO_FRAME_BYTES_LEAST ||
	    span->length > header_bytes + VIO_FRAME_BYTES_MAX)
		return false;
	/* Flags and gso_type; of the rest nothing counts without. */
	if (((const volatile uint8_t *)span->host)[0] | ((const volatile uint8_t *)span->host)[1])
		return false;
	span->host += header_bytes;
	span->length -= header_bytes;
	buf->readable_bytes -= header_bytes;
	*frame = (struct vio_frame){
		.spans = span,
		.span_count = 1,
		.length = (uint32_t)span->length,
		.pair = q->index / 2,
	};
	return true;
}

/* Answers to it go to the pair it came from. Apart, as it takes a lot of stack. */
static __attribute__((noinline)) void net_learn(struct net *net, const struct vio_frame *frame)
{
	struct vio_frame_layout layout;
	uint8_t head[VIO_FRAME_HEAD_BYTES];

	vio_frame_head(frame, head, &layout);
	vio_netdev_learn(net, frame->pair, head, &layout);
}

static struct net_send *net_request(struct vio_device *dev, struct vio_devq *q, const struct vio_buf *buf)
{
	struct net_send *request = buf->request;

	request->buf = *buf;
	request->dev = dev;
	request->q = q;
	request->send.done = net_sent;
	return request;
}

static void net_submit(struct vio_device *dev, struct vio_devq *q, const struct vio_buf *buf)
{
	struct net *net = vio_device_state(dev);
	struct net_send *request = net_request(dev, q, buf);

	if (!net_judge(dev, request)) {
		net->transmit_dropped++;
		net_give_back(dev, q, buf);
	} else if (!vio_netdev_link_up(net)) {
		net_give_back(dev, q, buf);
	} else {
		/* spec: DEV-NET-007: whatever the MTU, as it is */
		net->network->ops->send(net->network, &request->send);
	}
}

/* Sends the first buffers, those that are plain; returns how many. */
static unsigned net_submit_plain(struct vio_device *dev, struct vio_devq *q, struct vio_buf *buffers,
				 unsigned count)
{
	static const uint32_t nothing[NET_BATCH];
	struct net *net = vio_device_state(dev);
	struct vio_frame frames[NET_BATCH];
	unsigned plain, sent;

	for (plain = 0; plain < count; plain++) {
		if (!net_judge_plain(net, q, &buffers[plain], &frames[plain]))
			break;
		if (net->driver.pairs > 1)
			net_learn(net, &frames[plain]);
	}
	sent = plain ? net->network->ops->send_many(net->network, frames, plain) : 0;
	vio_devq_push_many(q, buffers, nothing, sent);
	vio_netdev_count(dev, q, sent);
	for (; sent < plain; sent++) {
		struct net_send *request = net_request(dev, q, &buffers[sent]);

		request->send.frame = frames[sent];
		net->network->ops->send(net->network, &request->send);
	}
	return plain;
}

static void net_submit_many(struct vio_device *dev, struct vio_devq *q, struct vio_buf *buffers,
			    unsigned count)
{
	struct net *net = vio_device_state(dev);
	const bool plainly = net->network->ops->send_many && vio_netdev_link_up(net);
	unsigned done = 0;

	if (plainly) {
		for (unsigned i = 0; i < count; i++) {
			if (buffers[i].readable_count) {
				__builtin_prefetch(buffers[i].readable->host);
				/* Where headers of a driver end a line the frame is in the next. */
				__builtin_prefetch(buffers[i].readable->host + net->header_bytes);
			}
		}
	}
	/* Whoever was told of something may have stopped the queue meanwhile. */
	while (done < count && q->running && buffers[done].generation == q->generation) {
		if (plainly)
			done += net_submit_plain(dev, q, buffers + done, count - done);
		if (done < count && q->running && buffers[done].generation == q->generation)
			net_submit(dev, q, &buffers[done]);
		done++;
	}
}

void vio_netdev_transmit(struct vio_device *dev, struct vio_devq *q)
{
	struct net *net = vio_device_state(dev);
	const struct vio_devq *outer = net->batched;
	struct vio_buf buffers[NET_BATCH];
	unsigned count;

	while ((count = vio_devq_pop_many(q, buffers, NET_BATCH))) {
		net->batched = q;
		net_submit_many(dev, q, buffers, count);
		if (net->network->ops->send_end)
			net->network->ops->send_end(net->network);
		net->batched = outer;
		vio_netdev_notify(dev, q);
	}
}
