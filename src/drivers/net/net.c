/* SPDX-License-Identifier: BSD-3-Clause */
#include <vireo/drivers/net.h>

#include <string.h>

#define QUEUE_SIZE   64u
#define LINK_BYTES   18u /* an Ethernet header with a VLAN tag */
#define BUFFER_ALIGN 64u

VIO_STATIC_ASSERT(sizeof(struct virtio_net_hdr) == 12, "the packet header has holes");

static struct vio_net *net_of(const struct vio_dev *dev)
{
	return dev->driver == &vio_net_driver ? dev->driver_state : NULL;
}

/* Frames that come. */

static uint8_t *buffer_of(const struct vio_net *net, const struct vio_net_frame *frame)
{
	return (uint8_t *)net->memory.host + (size_t)(frame - net->frames) * net->buffer_bytes;
}

static int lend(struct vio_dev *dev, struct vio_net *net, struct vio_net_frame *frame)
{
	uint64_t at = net->memory.addr.raw + (uint64_t)(frame - net->frames) * net->buffer_bytes;
	/* spec: DRV-NET-120: the header apart, where the device may insist on it */
	bool apart = dev->legacy && !vio_dev_has_feature(dev, VIRTIO_F_ANY_LAYOUT);
	struct vio_sg sg[2] = { { vio_addr_make(at), net->buffer_bytes } };
	int error;

	if (apart) {
		sg[0].length = net->header_bytes;
		sg[1].addr = vio_addr_make(at + net->header_bytes);
		sg[1].length = net->buffer_bytes - net->header_bytes;
	}
	error = vio_drvq_add(net->receive, sg, 0, apart ? 2 : 1, frame);
	frame->taken = false;
	frame->lent = !error;
	return error;
}

void vio_net_give_back(struct vio_dev *dev, struct vio_net_frame *frame)
{
	struct vio_net *net = net_of(dev);

	if (!net || dev->phase != VIO_DEV_READY || !frame->taken)
		return;
	if (!lend(dev, net, frame) && !net->taking)
		vio_drvq_kick(net->receive);
}

/* hostile: B55; what the header says of the frame, false when it makes no sense. */
static bool judge(const struct vio_dev *dev, struct vio_net_frame *frame, const struct virtio_net_hdr *header)
{
	bool trusted = vio_dev_has_feature(dev, VIRTIO_NET_F_GUEST_CSUM);

	if (frame->length < VIO_NET_FRAME_LEAST || header->gso_type != VIRTIO_NET_HDR_GSO_NONE)
		return false;
	frame->csum_partial = header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM; /* spec: DRV-NET-060 */
	frame->csum_valid = trusted && header->flags & VIRTIO_NET_HDR_F_DATA_VALID; /* spec: DRV-NET-064 */
	if (!frame->csum_partial)
		return true; /* spec: DRV-NET-062 */
	frame->csum_start = vio_le16_get(header->csum_start);
	frame->csum_offset = vio_le16_get(header->csum_offset);
	return trusted && (uint32_t)frame->csum_start + frame->csum_offset + 2 <= frame->length;
}

/* A whole frame, or what looked like one. */
static void deliver(struct vio_dev *dev, struct vio_net *net, struct vio_net_frame *frame, bool good)
{
	struct virtio_net_hdr header;

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
	net->order[(net->order_first + net->order_count) % VIO_NET_BUFFERS] =
		(uint8_t)(frame - net->frames);
	net->order_count++;
}

/* The first buffer of a frame: how many more belong to it. */
static void take_first(struct vio_dev *dev, struct vio_net *net, struct vio_net_frame *frame,
		       uint32_t written)
{
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
	net->partial = frame;
	net->partial_left = buffers - 1;
	net->partial_bad = false;
}

static void take_next(struct vio_dev *dev, struct vio_net *net, struct vio_net_frame *frame, uint32_t written)
{
	struct vio_net_frame *first = net->partial;
	uint32_t room = net->buffer_bytes - net->header_bytes - first->length;

	if (written > room)
		net->partial_bad = true;
	else
		memcpy(first->data + first->length, buffer_of(net, frame), written);
	first->length += written > room ? 0 : written;
	lend(dev, net, frame);
	if (--net->partial_left)
		return;
	net->partial = NULL;
	deliver(dev, net, first, !net->partial_bad);
}

static void take_frames(struct vio_dev *dev, struct vio_net *net)
{
	struct vio_net_frame *frame;
	uint32_t written;

	/* hostile: B17; ends, as what is lent again meanwhile is shown to the device behind the loop */
	net->taking = true;
	while (!net->lied && dev->phase == VIO_DEV_READY && (frame = vio_drvq_get(net->receive, &written))) {
		frame->lent = false;
		if (net->partial)
			take_next(dev, net, frame, written);
		else
			take_first(dev, net, frame, written);
	}
	net->taking = false;
	if (dev->phase == VIO_DEV_READY)
		vio_drvq_kick(net->receive);
}

/* Frames that go. */

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

	return net->mtu + (tagged ? LINK_BYTES : VIO_NET_FRAME_LEAST);
}

static int judge_io(const struct vio_dev *dev, const struct vio_net *net, const struct vio_net_io *io)
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
	if (length < VIO_NET_FRAME_LEAST)
		return -VIO_EINVAL;
	if (length > frame_max(net, io))
		return -VIO_ERANGE;
	if (io->csum_partial && !vio_dev_has_feature(dev, VIRTIO_NET_F_CSUM)) /* spec: DRV-NET-018 */
		return -VIO_ENOTSUP;
	if (io->csum_partial && (uint64_t)io->csum_start + io->csum_offset + 2 > length)
		return -VIO_EINVAL;
	return 0;
}

int vio_net_submit(struct vio_dev *dev, struct vio_net_io *io)
{
	struct vio_net *net = net_of(dev);
	int error;

	if (!net)
		return -VIO_EINVAL;
	if (io->busy)
		return -VIO_EBUSY;
	if (dev->phase != VIO_DEV_READY)
		return -VIO_EPHASE;
	error = judge_io(dev, net, io);
	if (error)
		return error;
	memset(&io->header, 0, sizeof(io->header)); /* spec: DRV-NET-017 DRV-NET-039 DRV-NET-051 */
	if (io->csum_partial) {
		io->header.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		io->header.csum_start = vio_le16_make(io->csum_start);
		io->header.csum_offset = vio_le16_make(io->csum_offset);
	}
	error = share(dev, io, net->header_bytes); /* spec: DRV-NET-016 */
	if (error)
		return error;
	error = vio_drvq_add(net->transmit, io->sg, io->part_count + 1, 0, io);
	if (error) {
		unshare(dev, io, io->part_count + 1);
		return error;
	}
	io->busy = true;
	vio_drvq_kick(net->transmit);
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

int vio_net_poll(struct vio_dev *dev)
{
	struct vio_net *net = net_of(dev);
	struct vio_net_io *io;

	if (!net)
		return -VIO_EINVAL;
	if (dev->phase != VIO_DEV_READY)
		return -VIO_EPHASE;
	while (dev->phase == VIO_DEV_READY && (io = vio_drvq_get(net->transmit, NULL)))
		finish(dev, io, 0); /* spec: DRV-NET-015 */
	take_frames(dev, net);
	return net->lied || vio_dev_broken(dev) ? -VIO_EPEER : 0;
}

int vio_net_send_buffer(struct vio_dev *dev, const void *from, uint32_t length)
{
	struct vio_net *net = net_of(dev);
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
		error = vio_dev_wait(dev, net->transmit, net->timeout_ns);
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

int vio_net_receive_buffer(struct vio_dev *dev, void *to, uint32_t length, uint32_t *got)
{
	struct vio_net *net = net_of(dev);
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
	net->order_first = (uint8_t)((net->order_first + 1) % VIO_NET_BUFFERS);
	net->order_count--;
	vio_net_give_back(dev, frame);
	return 0;
}

/* Life. */

int vio_net_stop(struct vio_dev *dev)
{
	struct vio_net *net = net_of(dev);
	struct vio_net_io *io;
	int error;

	if (!net)
		return -VIO_EINVAL;
	error = dev->phase == VIO_DEV_FOUND ? 0 : vio_dev_reset(dev);
	if (error && error != -VIO_EHANGUP)
		return error;
	net->stopping = true;
	while (net->transmit && (io = vio_drvq_detach_unused(net->transmit)))
		finish(dev, io, error ? error : -VIO_EAGAIN);
	while (net->receive && vio_drvq_detach_unused(net->receive))
		continue;
	net->stopping = false;
	if (net->memory.host)
		dev->platform->give_back(dev->platform->context, &net->memory, net->memory_bytes);
	memset(&net->memory, 0, sizeof(net->memory));
	memset(net->frames, 0, sizeof(net->frames));
	net->receive = net->transmit = NULL;
	net->partial = NULL;
	net->lied = false;
	net->order_count = 0;
	return error;
}

static void net_used(struct vio_dev *dev, struct vio_drvq *q)
{
	const struct vio_net *net = net_of(dev);

	if (net && !net->waiting && vio_net_poll(dev) && net->changed)
		net->changed(dev);
}

/* From an accepted device; what isn't said has defaults. */
static int identify(struct vio_dev *dev, struct vio_net *net)
{
	uint16_t status = VIRTIO_NET_S_LINK_UP, mtu = VIO_NET_MTU_DEFAULT; /* spec: DRV-NET-005 */
	int error = 0;

	net->mac_known = vio_dev_has_feature(dev, VIRTIO_NET_F_MAC);
	if (net->mac_known) /* spec: DRV-NET-003 */
		error = vio_dev_read_config(dev, 0, net->mac, sizeof(net->mac));
	if (!error && vio_dev_has_feature(dev, VIRTIO_NET_F_STATUS)) /* spec: DRV-NET-006 */
		error = vio_dev_read_config16(dev, offsetof(struct virtio_net_config, status), &status);
	if (!error && vio_dev_has_feature(dev, VIRTIO_NET_F_MTU))
		error = vio_dev_read_config16(dev, offsetof(struct virtio_net_config, mtu), &mtu);
	if (error)
		return error;
	net->link_up = status & VIRTIO_NET_S_LINK_UP;
	net->mtu = mtu;
	return mtu < 68 ? -VIO_EPEER : 0; /* hostile: B55; less than any IP packet */
}

static int lend_all(struct vio_dev *dev, struct vio_net *net)
{
	bool numbered = !dev->legacy || vio_dev_has_feature(dev, VIRTIO_NET_F_MRG_RXBUF);
	uint32_t mtu = net->mtu < VIO_NET_MTU_DEFAULT ? VIO_NET_MTU_DEFAULT : net->mtu;
	int error;

	net->header_bytes = numbered ? sizeof(struct virtio_net_hdr) : VIRTIO_NET_HDR_BYTES_SHORT;
	/* spec: DRV-NET-008: each buffer holds the longest frame */
	net->buffer_bytes = (net->header_bytes + LINK_BYTES + mtu + BUFFER_ALIGN - 1) & ~(BUFFER_ALIGN - 1);
	net->memory_bytes = (size_t)net->buffer_bytes * VIO_NET_BUFFERS;
	error = dev->platform->take(dev->platform->context, net->memory_bytes, VIO_MEM_READ | VIO_MEM_WRITE,
				    &net->memory);
	if (error) {
		memset(&net->memory, 0, sizeof(net->memory));
		return error;
	}
	for (net->buffer_count = 0; net->buffer_count < VIO_NET_BUFFERS; net->buffer_count++)
		if (lend(dev, net, &net->frames[net->buffer_count]))
			break;
	return net->buffer_count ? 0 : -VIO_ENOTSUP;
}

int vio_net_init(struct vio_dev *dev)
{
	static const uint8_t bits[] = { VIRTIO_NET_F_CSUM, VIRTIO_NET_F_GUEST_CSUM, VIRTIO_NET_F_MTU,
					VIRTIO_NET_F_MAC, VIRTIO_NET_F_MRG_RXBUF, VIRTIO_NET_F_STATUS };
	const struct vio_queue_wish heard = { .size = QUEUE_SIZE, .used = net_used };
	struct vio_features wanted = vio_dev_ring_features();
	struct vio_net *net = net_of(dev);
	unsigned i;
	int error;

	if (net && net->stopping)
		return -VIO_EBUSY;
	error = vio_net_stop(dev);
	if (!error)
		error = vio_dev_begin(dev, net->queues, 2);
	if (error)
		return error;
	for (i = 0; i < sizeof(bits); i++) /* spec: DRV-NET-002 DRV-NET-007 */
		vio_features_set(&wanted, bits[i]);
	error = vio_dev_accept(dev, &wanted);
	if (!error)
		error = identify(dev, net);
	if (!error)
		error = vio_dev_add_queue(dev, VIRTIO_NET_RECEIVEQ, &heard, &net->receive);
	if (!error)
		error = vio_dev_add_queue(dev, VIRTIO_NET_TRANSMITQ, &heard, &net->transmit);
	if (!error)
		error = lend_all(dev, net);
	if (!error)
		error = vio_dev_ready(dev);
	if (error) {
		vio_net_stop(dev);
		return error;
	}
	vio_drvq_kick(net->receive);
	return 0;
}

static int net_probe(struct vio_dev *dev)
{
	((struct vio_net *)dev->driver_state)->timeout_ns = VIO_NET_TIMEOUT_NS;
	return vio_net_init(dev);
}

static void net_remove(struct vio_dev *dev)
{
	vio_net_stop(dev);
}

/* The MTU stands for the life of the device, as the buffers were made for it. */
static void net_config_changed(struct vio_dev *dev)
{
	struct vio_net *net = net_of(dev);
	uint16_t status;

	if (vio_dev_has_feature(dev, VIRTIO_NET_F_STATUS) &&
	    !vio_dev_read_config16(dev, offsetof(struct virtio_net_config, status), &status))
		net->link_up = status & VIRTIO_NET_S_LINK_UP;
	if (net->changed)
		net->changed(dev);
}

const struct vio_driver vio_net_driver = {
	.name = "net",
	.ids = (const uint32_t[]){ VIRTIO_ID_NET, 0 },
	.state_bytes = sizeof(struct vio_net),
	.probe = net_probe,
	.remove = net_remove,
	.config_changed = net_config_changed,
};
