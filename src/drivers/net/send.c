/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "drivers/net/net.h"

static void unshare(struct vio_dev *dev, struct vio_net_io *io, unsigned count)
{
	const struct vio_platform *platform = dev->platform;

	while (count--) {
		void *host = count ? io->parts[count - 1].host : &io->header;

		platform->unshare(platform->context, host, io->sg[count].length, VIO_MEM_READ,
				  io->sg[count].addr);
	}
}

static int share(struct vio_dev *dev, struct vio_net_io *io, uint32_t header_bytes)
{
	const struct vio_platform *platform = dev->platform;
	unsigned i;

	for (i = 0; i <= io->part_count; i++) {
		void *host = i ? io->parts[i - 1].host : &io->header;
		int error;

		io->sg[i].length = i ? io->parts[i - 1].length : header_bytes;
		error = platform->share(platform->context, host, io->sg[i].length, VIO_MEM_READ,
					&io->sg[i].addr);
		if (error) {
			unshare(dev, io, i);
			return error;
		}
	}
	return 0;
}

/* spec: DRV-NET-009: the longest frame; a VLAN tag doesn't count. */
static uint32_t frame_max(const struct vio_net *net, const struct vio_net_io *io)
{
	const uint8_t *head = io->parts[0].host;
	bool tagged = io->parts[0].length >= VIO_NET_FRAME_LEAST && head[12] == 0x81 && !head[13];

	return (io->gso_type ? VIO_NET_LARGE_BYTES : net->mtu) +
	       (tagged ? VIO_NET_LINK_BYTES : VIO_NET_FRAME_LEAST);
}

/*
 * The feature that segments of this type need; -1: there is no such type, or it is one of a tunnel, which
 * needs what isn't negotiated. spec: DRV-NET-020 DRV-NET-021 DRV-NET-022 DRV-NET-023 DRV-NET-026 DRV-NET-031
 * DRV-NET-032 DRV-NET-033 DRV-NET-034 DRV-NET-035 DRV-NET-048 DRV-NET-049 DRV-NET-052
 */
static int feature_of(uint8_t gso_type)
{
	switch (gso_type) {
	case VIRTIO_NET_HDR_GSO_TCPV4:
		return VIRTIO_NET_F_HOST_TSO4;
	case VIRTIO_NET_HDR_GSO_TCPV6:
		return VIRTIO_NET_F_HOST_TSO6;
	case VIRTIO_NET_HDR_GSO_UDP:
		return VIRTIO_NET_F_HOST_UFO;
	case VIRTIO_NET_HDR_GSO_UDP_L4:
		return VIRTIO_NET_F_HOST_USO;
	default:
		return -1;
	}
}

static int judge_segments(const struct vio_dev *dev, const struct vio_net_io *io, uint64_t length)
{
	uint8_t type = io->gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;
	int feature = feature_of(type);

	/* spec: DRV-NET-024 DRV-NET-025 */
	if (io->gso_type != type && ((type != VIRTIO_NET_HDR_GSO_TCPV4 && type != VIRTIO_NET_HDR_GSO_TCPV6) ||
				     !vio_dev_has_feature(dev, VIRTIO_NET_F_HOST_ECN)))
		return -VIO_ENOTSUP;
	if (feature < 0 || !vio_dev_has_feature(dev, (unsigned)feature))
		return -VIO_ENOTSUP;
	/* spec: DRV-NET-040 DRV-NET-041 DRV-NET-042 */
	return io->csum_partial && io->gso_size && io->header_length && io->header_length <= length
		       ? 0
		       : -VIO_EINVAL;
}

static int judge(const struct vio_dev *dev, const struct vio_net *net, const struct vio_net_io *io,
		 uint64_t *frame_length)
{
	uint64_t length = 0;
	unsigned i;

	if (!io->part_count || io->part_count > VIO_NET_PARTS_MAX)
		return -VIO_EINVAL;
	for (i = 0; i < io->part_count; i++) {
		if (!io->parts[i].length)
			return -VIO_EINVAL;
		length += io->parts[i].length;
	}
	*frame_length = length;
	if (length < VIO_NET_FRAME_LEAST || io->header_length > length)
		return -VIO_EINVAL;
	if (io->pair >= net->pairs_active) /* spec: DRV-NET-081 DRV-NET-082 */
		return -VIO_ERANGE;
	if (length > frame_max(net, io))
		return -VIO_ERANGE;
	/* spec: DRV-NET-018 DRV-NET-019 */
	if (io->csum_partial && !vio_dev_has_feature(dev, VIRTIO_NET_F_CSUM))
		return -VIO_ENOTSUP;
	/* spec: DRV-NET-036 DRV-NET-037 DRV-NET-038: the frame's bytes are the caller's */
	if (io->csum_partial && (uint64_t)io->csum_start + io->csum_offset + 2 > length)
		return -VIO_EINVAL;
	return io->gso_type ? judge_segments(dev, io, length) : 0;
}

/* DATA_VALID and RSC_INFO aren't for senders. spec: DRV-NET-017 DRV-NET-039 DRV-NET-051 */
static void fill_header(const struct vio_dev *dev, struct vio_net_io *io, uint64_t length)
{
	bool cuts = vio_dev_has_feature(dev, VIRTIO_NET_F_HOST_TSO4) ||
		    vio_dev_has_feature(dev, VIRTIO_NET_F_HOST_TSO6) ||
		    vio_dev_has_feature(dev, VIRTIO_NET_F_HOST_USO) ||
		    vio_dev_has_feature(dev, VIRTIO_NET_F_HOST_UFO);
	struct virtio_net_hdr *header = &io->header.header;

	memset(&io->header, 0, sizeof(io->header));
	header->gso_type = io->gso_type;
	if (io->gso_type)
		header->gso_size = vio_le16_make(io->gso_size);
	if (io->header_length)
		header->hdr_len = vio_le16_make(io->header_length);
	else if (cuts) /* spec: DRV-NET-043: no less than the headers have */
		header->hdr_len = vio_le16_make((uint16_t)length);
	if (io->csum_partial) {
		header->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		header->csum_start = vio_le16_make(io->csum_start);
		header->csum_offset = vio_le16_make(io->csum_offset);
	}
}

int vio_net_submit(struct vio_dev *dev, struct vio_net_io *io)
{
	struct vio_net *net = vio_net_of(dev);
	uint64_t length;
	int error;

	if (!net)
		return -VIO_EINVAL;
	if (io->busy)
		return -VIO_EBUSY;
	if (dev->phase != VIO_DEV_READY)
		return -VIO_EPHASE;
	error = judge(dev, net, io, &length);
	if (error)
		return error;
	fill_header(dev, io, length);
	error = share(dev, io, net->header_bytes); /* spec: DRV-NET-016 */
	if (error)
		return error;
	error = vio_drvq_add(net->pair[io->pair].transmit, io->sg, io->part_count + 1, 0, io);
	if (error) {
		unshare(dev, io, io->part_count + 1);
		return error;
	}
	io->busy = true;
	vio_drvq_kick(net->pair[io->pair].transmit);
	return 0;
}

static void finish(struct vio_dev *dev, struct vio_net_io *io, int result)
{
	unshare(dev, io, io->part_count + 1);
	io->result = result;
	io->busy = false;
	if (io->done)
		io->done(dev, io);
}

void vio_net_take_sent(struct vio_dev *dev)
{
	struct vio_net *net = vio_net_of(dev);
	struct vio_net_io *io;
	unsigned i;

	for (i = 0; i < net->pairs; i++)
		while (dev->phase == VIO_DEV_READY && (io = vio_drvq_get(net->pair[i].transmit, NULL)))
			finish(dev, io, 0);
}

void vio_net_cancel(struct vio_dev *dev, int result)
{
	struct vio_net *net = vio_net_of(dev);
	struct vio_net_io *io;
	unsigned i;

	for (i = 0; i < VIO_NET_PAIRS_MAX; i++)
		while (net->pair[i].transmit && (io = vio_drvq_detach_unused(net->pair[i].transmit)))
			finish(dev, io, result);
}

int vio_net_send_buffer(struct vio_dev *dev, const void *from, uint32_t length)
{
	struct vio_net *net = vio_net_of(dev);
	int error;

	if (!net)
		return -VIO_EINVAL;
	if (net->sync.busy)
		return -VIO_EBUSY;
	net->sync_part = vio_part_readable(from, length);
	net->sync.parts = &net->sync_part;
	net->sync.part_count = 1;
	error = vio_net_submit(dev, &net->sync);
	if (error)
		return error;
	net->waiting = true;
	while (net->sync.busy && !error) {
		error = vio_dev_wait(dev, net->pair[0].transmit, net->timeout_ns);
		if (!error)
			error = vio_net_poll(dev);
	}
	net->waiting = false;
	if (!net->sync.busy) {
		/* An interrupt for frames that came while this waited was left to it. */
		if (vio_net_poll(dev) && net->changed)
			net->changed(dev);
		return net->sync.result;
	}
	vio_net_stop(dev);
	return error;
}
