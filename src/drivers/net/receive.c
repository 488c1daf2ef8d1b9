/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "drivers/net/net.h"

#define BUFFER_ALIGN 64u
#define LARGE_SHARE  4u /* as few buffers where each is large */

VIO_STATIC_ASSERT(sizeof(struct virtio_net_hdr) == 12, "the packet header has holes");
VIO_STATIC_ASSERT(sizeof(struct virtio_net_hdr_hash) == 20, "the packet header has holes");

static uint8_t *buffer_of(const struct vio_net *net, const struct vio_net_frame *frame)
{
	return (uint8_t *)net->memory.host + (size_t)(frame - net->frames) * net->buffer_bytes;
}

static int lend(struct vio_dev *dev, struct vio_net *net, struct vio_net_frame *frame)
{
	uint64_t at = net->memory.addr.raw + (uint64_t)(frame - net->frames) * net->buffer_bytes;
	/* spec: DRV-NET-120: the header apart, where the device may insist on it */
	bool apart = vio_dev_is_legacy(dev) && !vio_dev_has_feature(dev, VIRTIO_F_ANY_LAYOUT);
	struct vio_sg sg[2] = { { vio_addr_make(at), net->buffer_bytes } };
	int error;

	if (apart) {
		sg[0].length = net->header_bytes;
		sg[1].addr = vio_addr_make(at + net->header_bytes);
		sg[1].length = net->buffer_bytes - net->header_bytes;
	}
	error = vio_drvq_add(net->pair[frame->pair].receive, sg, 0, apart ? 2 : 1, frame);
	frame->taken = false;
	frame->lent = !error;
	return error;
}

void vio_net_give_back(struct vio_dev *dev, struct vio_net_frame *frame)
{
	struct vio_net *net = vio_net_of(dev);

	if (!net || dev->phase != VIO_DEV_READY || !frame->taken)
		return;
	if (!lend(dev, net, frame) && !net->taking)
		vio_drvq_kick(net->pair[frame->pair].receive);
}

/* The feature that segments of this type need; -1: there is no such type. */
static int feature_of(uint8_t gso_type)
{
	switch (gso_type) {
	case VIRTIO_NET_HDR_GSO_TCPV4:
		return VIRTIO_NET_F_GUEST_TSO4;
	case VIRTIO_NET_HDR_GSO_TCPV6:
		return VIRTIO_NET_F_GUEST_TSO6;
	case VIRTIO_NET_HDR_GSO_UDP:
		return VIRTIO_NET_F_GUEST_UFO;
	default:
		return -1;
	}
}

/* hostile: B55; no tunnels, which aren't negotiated: spec: DRV-NET-065 DRV-NET-066 DRV-NET-067 */
static bool judge_segments(const struct vio_dev *dev, const struct virtio_net_hdr *header)
{
	uint8_t type = header->gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;
	int feature = feature_of(type);

	if (header->gso_type == VIRTIO_NET_HDR_GSO_NONE)
		return true;
	if (!(header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) || !vio_le16_get(header->gso_size))
		return false;
	if (type == VIRTIO_NET_HDR_GSO_UDP_L4)
		return header->gso_type == type && (vio_dev_has_feature(dev, VIRTIO_NET_F_GUEST_USO4) ||
						    vio_dev_has_feature(dev, VIRTIO_NET_F_GUEST_USO6));
	if (header->gso_type != type &&
	    (type == VIRTIO_NET_HDR_GSO_UDP || !vio_dev_has_feature(dev, VIRTIO_NET_F_GUEST_ECN)))
		return false;
	return feature >= 0 && vio_dev_has_feature(dev, (unsigned)feature);
}

/*
 * hostile: B55; what the header says of the frame, false when it makes no sense. hdr_len isn't looked at:
 * spec: DRV-NET-063
 */
static bool judge(const struct vio_dev *dev, struct vio_net_frame *frame,
		  const struct virtio_net_hdr_hash *hashed)
{
	bool trusted = vio_dev_has_feature(dev, VIRTIO_NET_F_GUEST_CSUM);
	const struct virtio_net_hdr *header = &hashed->header;

	if (frame->length < VIO_NET_FRAME_LEAST || !judge_segments(dev, header))
		return false;
	if (header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM && header->flags & VIRTIO_NET_HDR_F_UDP_TUNNEL_CSUM)
		return false; /* spec: DRV-NET-068, as there was no tunnel */
	frame->gso_type = header->gso_type;
	frame->gso_size = vio_le16_get(header->gso_size);
	frame->hash = vio_le32_get(hashed->hash_value);
	frame->hash_type = vio_le16_get(hashed->hash_report);
	/* spec: DRV-NET-060 DRV-NET-062 */
	frame->csum_partial =
		header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM && !(header->flags & VIRTIO_NET_HDR_F_RSC_INFO);
	frame->csum_valid = trusted && header->flags & VIRTIO_NET_HDR_F_DATA_VALID; /* spec: DRV-NET-064 */
	frame->csum_start = frame->csum_offset = 0;
	if (!frame->csum_partial)
		return true;
	frame->csum_start = vio_le16_get(header->csum_start);
	frame->csum_offset = vio_le16_get(header->csum_offset);
	return trusted && (uint32_t)frame->csum_start + frame->csum_offset + 2 <= frame->length;
}

/* A whole frame, or what looked like one. */
static void deliver(struct vio_dev *dev, struct vio_net *net, struct vio_net_frame *frame, bool good)
{
	struct virtio_net_hdr_hash header;

	memset(&header, 0, sizeof(header));
	memcpy(&header, buffer_of(net, frame), net->header_bytes);
	if (!good || !judge(dev, frame, &header)) {
		net->dropped++;
		lend(dev, net, frame);
		return;
	}
	frame->taken = true;
	if (net->received) {
		net->received(dev, frame);
		return;
	}
	net->order[(net->order_first + net->order_count) % VIO_ARRAY_SIZE(net->order)] =
		(uint16_t)(frame - net->frames);
	net->order_count++;
}

/* The first buffer of a frame: how many more belong to it. */
static void take_first(struct vio_dev *dev, struct vio_net *net, struct vio_net_frame *frame,
		       uint32_t written)
{
	struct vio_net_pair *pair = &net->pair[frame->pair];
	struct virtio_net_hdr header;
	uint32_t buffers = 1;

	frame->data = buffer_of(net, frame) + net->header_bytes;
	frame->length = written > net->header_bytes ? written - net->header_bytes : 0;
	if (vio_dev_has_feature(dev, VIRTIO_NET_F_MRG_RXBUF) && frame->length) {
		memcpy(&header, buffer_of(net, frame), sizeof(header));
		buffers = vio_le16_get(header.num_buffers);
	}
	if (buffers > net->buffer_count) { /* hostile: B55; where the next frame begins can't be told */
		net->lied = true;
		return;
	}
	if (buffers <= 1) {
		deliver(dev, net, frame, buffers && frame->length);
		return;
	}
	pair->partial = frame;
	pair->partial_left = buffers - 1;
	pair->partial_bad = false;
}

static void take_next(struct vio_dev *dev, struct vio_net *net, struct vio_net_frame *frame, uint32_t written)
{
	struct vio_net_pair *pair = &net->pair[frame->pair];
	struct vio_net_frame *first = pair->partial;
	uint32_t room = net->buffer_bytes - net->header_bytes - first->length;

	if (written > room)
		pair->partial_bad = true;
	else
		memcpy(first->data + first->length, buffer_of(net, frame), written);
	first->length += written > room ? 0 : written;
	lend(dev, net, frame);
	if (--pair->partial_left)
		return;
	pair->partial = NULL;
	deliver(dev, net, first, !pair->partial_bad);
}

static void take_of(struct vio_dev *dev, struct vio_net *net, struct vio_net_pair *pair)
{
	struct vio_net_frame *frame;
	uint32_t written;

	while (!net->lied && dev->phase == VIO_DEV_READY && (frame = vio_drvq_get(pair->receive, &written))) {
		frame->lent = false;
		if (pair->partial)
			take_next(dev, net, frame, written);
		else
			take_first(dev, net, frame, written);
	}
}

void vio_net_take_frames(struct vio_dev *dev)
{
	struct vio_net *net = vio_net_of(dev);
	unsigned i;

	/* hostile: B17; ends, as what is lent again meanwhile is shown to the device behind the loop */
	net->taking = true;
	for (i = 0; i < net->pairs && dev->phase == VIO_DEV_READY; i++)
		take_of(dev, net, &net->pair[i]);
	net->taking = false;
	for (i = 0; i < net->pairs && dev->phase == VIO_DEV_READY; i++)
		vio_drvq_kick(net->pair[i].receive);
}

int vio_net_receive_buffer(struct vio_dev *dev, void *to, uint32_t length, uint32_t *got)
{
	struct vio_net *net = vio_net_of(dev);
	struct vio_net_frame *frame;
	int error = vio_net_poll(dev);

	*got = 0;
	if (!net || !net->order_count || dev->phase != VIO_DEV_READY)
		return error ? error : -VIO_EAGAIN;
	frame = &net->frames[net->order[net->order_first]];
	*got = frame->length;
	if (frame->length > length)
		return -VIO_ERANGE;
	memcpy(to, frame->data, frame->length);
	net->order_first = (uint16_t)((net->order_first + 1) % VIO_ARRAY_SIZE(net->order));
	net->order_count--;
	vio_net_give_back(dev, frame);
	return 0;
}

static bool receives_large(const struct vio_dev *dev)
{
	static const uint8_t bits[] = { VIRTIO_NET_F_GUEST_TSO4, VIRTIO_NET_F_GUEST_TSO6,
					VIRTIO_NET_F_GUEST_UFO, VIRTIO_NET_F_GUEST_USO4,
					VIRTIO_NET_F_GUEST_USO6 };
	unsigned i;

	for (i = 0; i < sizeof(bits); i++)
		if (vio_dev_has_feature(dev, bits[i]))
			return true;
	return false;
}

/* spec: DRV-NET-057 DRV-NET-058; a legacy device's may be shorter */
static uint32_t header_bytes(const struct vio_dev *dev)
{
	if (vio_dev_has_feature(dev, VIRTIO_NET_F_HASH_REPORT))
		return sizeof(struct virtio_net_hdr_hash);
	if (vio_dev_is_legacy(dev) && !vio_dev_has_feature(dev, VIRTIO_NET_F_MRG_RXBUF))
		return VIRTIO_NET_HDR_BYTES_SHORT;
	return sizeof(struct virtio_net_hdr);
}

int vio_net_lend_all(struct vio_dev *dev)
{
	struct vio_net *net = vio_net_of(dev);
	bool large = receives_large(dev);
	uint32_t longest = net->mtu < VIO_NET_MTU_DEFAULT ? VIO_NET_MTU_DEFAULT : net->mtu;
	unsigned i, j, wanted = VIO_NET_BUFFERS / (large ? LARGE_SHARE : 1);
	int error;

	if (large)
		longest = VIO_NET_LARGE_BYTES;
	net->header_bytes = header_bytes(dev);
	/* spec: DRV-NET-008 DRV-NET-055 DRV-NET-056: each buffer holds the longest frame */
	net->buffer_bytes = net->header_bytes + VIO_NET_LINK_BYTES + longest;
	if (large && net->buffer_bytes < 65609)
		net->buffer_bytes = 65609;
	net->buffer_bytes = (net->buffer_bytes + BUFFER_ALIGN - 1) & ~(BUFFER_ALIGN - 1);
	net->memory_bytes = (size_t)net->buffer_bytes * wanted * net->pairs;
	error = dev->platform->take(dev->platform->context, net->memory_bytes, VIO_MEM_READ | VIO_MEM_WRITE,
				    &net->memory);
	if (error) {
		memset(&net->memory, 0, sizeof(net->memory));
		return error;
	}
	net->buffer_count = wanted;
	for (i = 0; i < net->pairs; i++) /* spec: DRV-NET-059 */
		for (j = 0; j < wanted; j++) {
			struct vio_net_frame *frame = &net->frames[i * wanted + j];

			frame->pair = (uint16_t)i;
			if (!lend(dev, net, frame))
				continue;
			if (!j)
				return -VIO_ENOTSUP;
			if (net->buffer_count > j)
				net->buffer_count = j; /* the queue is as short as that */
			break;
		}
	return 0;
}
