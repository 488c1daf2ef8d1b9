/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "devices/net/net.h"

/*
 * Many frames for the driver at once: those that are sent as they are, into a buffer
 * each. Nothing of them is looked at but the first bytes, and that is a copy. Whatever
 * is more than that goes the way of receive.c.
 */

#define HEAD_BYTES  16u  /* both addresses and a type; all that is judged */
#define SMALL_BYTES 256u /* copied without a call */

/* What holds for all frames of a batch. */
struct net_many {
	const struct vio_device *dev;
	uint32_t header_bytes;
	uint32_t length_max;
	bool filters, vlans;
};

enum net_outcome {
	NET_TAKEN,
	NET_UNWANTED,
	NET_LONG, /* it has to go by itself */
};

static bool net_goes_plainly(const struct vio_device *dev)
{
	const struct net *net = vio_device_state(dev);

	return net->driver.pairs <= 1 && !net->driver.rss && !net->driver.hash_types &&
	       net->header_bytes <= sizeof(struct virtio_net_hdr);
}

static struct net_many net_many_begin(const struct vio_device *dev)
{
	const struct net *net = vio_device_state(dev);
	struct net_many many = {
		.dev = dev,
		.header_bytes = net->header_bytes,
		.length_max = VIO_FRAME_BYTES_MAX,
		.filters = vio_netdev_filters(dev),
	};

	many.vlans = many.filters && vio_device_has_feature(dev, VIRTIO_NET_F_CTRL_VLAN);
	many.filters =
		many.filters && vio_device_has_feature(dev, VIRTIO_NET_F_CTRL_RX) && !net->driver.promisc;
	if (vio_device_has_feature(dev, VIRTIO_NET_F_MTU)) /* spec: DEV-NET-006 */
		many.length_max = net->mtu + VIO_FRAME_BYTES_LEAST;
	return many;
}

/* Any of the types that say that a VLAN tag follows. */
static bool net_is_tagged(const uint8_t *head)
{
	const unsigned type = (unsigned)head[12] << 8 | head[13];

	return type == 0x8100 || type == 0x88a8;
}

/* The line is to be ours, which a compiler asks for only where all processors of its target can do it. */
static inline void net_prefetch_to_write(const void *at)
{
#if defined(__x86_64__)
	__asm__ volatile("prefetchw %0" : : "m"(*(const uint8_t *)at));
#else
	__builtin_prefetch(at, 1);
#endif
}

/* At least HEAD_BYTES were copied from before `from`, to before `to`. */
static inline void net_copy(uint8_t *to, const uint8_t *from, size_t length)
{
	if (length >= SMALL_BYTES) {
		memcpy(to, from, length);
		return;
	}
	for (; length >= 16; length -= 16, to += 16, from += 16)
		memcpy(to, from, 16);
	if (length)
		memcpy(to, from, length);
}

static inline void net_put_frame(const struct net_many *many, const struct vio_frame *frame,
				 const uint8_t *head, uint8_t *to)
{
	/* spec: DEV-NET-026 DEV-NET-028 DEV-NET-032 */
	const struct virtio_net_hdr header = { .num_buffers = vio_le16_make(1) };
	const struct vio_span *span = frame->spans;
	size_t at = HEAD_BYTES, left = frame->length - HEAD_BYTES;

	/* Both lengths are constants to the compiler. */
	if (many->header_bytes == sizeof(header))
		memcpy(to, &header, sizeof(header));
	else
		memcpy(to, &header, VIRTIO_NET_HDR_BYTES_SHORT);
	to += many->header_bytes;
	memcpy(to, head, HEAD_BYTES);
	to += HEAD_BYTES;
	/* Ends: the frame isn't longer than its spans. */
	for (;;) {
		size_t piece = span->length - at;

		if (piece > left)
			piece = left;
		net_copy(to, span->host + at, piece);
		left -= piece;
		if (!left)
			break;
		to += piece;
		span++;
		at = 0;
	}
}

/* What is to be done with a frame, as far as that doesn't depend on the buffer; its head is copied then. */
static inline enum net_outcome net_judge_one(const struct net_many *many, const struct vio_frame *frame,
					     uint8_t *head)
{
	if (frame->flags || frame->gso_type != VIRTIO_NET_HDR_GSO_NONE || frame->length < HEAD_BYTES ||
	    frame->length > many->length_max || frame->spans->length < HEAD_BYTES)
		return NET_LONG;
	memcpy(head, frame->spans->host, HEAD_BYTES); /* hostile: A114 */
	__asm__ volatile("" ::: "memory");            /* so that it is read once */
	if (many->vlans && net_is_tagged(head))
		return NET_LONG;
	if (many->filters && !vio_netdev_address_passes(many->dev, head))
		return NET_UNWANTED;
	return NET_TAKEN;
}

static inline enum net_outcome net_put_one(const struct net_many *many, const struct vio_frame *frame,
					   const struct vio_buf *buf)
{
	uint8_t head[HEAD_BYTES];
	enum net_outcome outcome = net_judge_one(many, frame, head);

	if (outcome != NET_TAKEN)
		return outcome;
	if (buf->writable_count != 1 || buf->truncated ||
	    buf->writable_bytes < (uint64_t)many->header_bytes + frame->length)
		return NET_LONG;
	net_put_frame(many, frame, head, buf->writable->host);
	return NET_TAKEN;
}

/* How many of the buffers were filled. *last: the next frame has to go by itself. */
static unsigned net_put_batch(struct net *net, const struct net_many *many, const struct vio_buf *buffers,
			      uint32_t *written, unsigned count, bool *last)
{
	unsigned used = 0;

	for (unsigned i = 0; i < count; i++) {
		if (buffers[i].writable_count)
			net_prefetch_to_write(buffers[i].writable->host);
	}
	while (used < count && net->many_count) {
		enum net_outcome outcome = net_put_one(many, net->many, &buffers[used]);

		if (outcome == NET_LONG) {
			*last = true;
			break;
		}
		if (outcome == NET_TAKEN)
			written[used++] = many->header_bytes + net->many->length;
		net->many++;
		net->many_count--;
	}
	return used;
}

/* There are no buffers: passes over what wouldn't need one, so that it waits for nothing. */
static bool net_skip_without_room(struct net *net, const struct net_many *many)
{
	uint8_t head[HEAD_BYTES];
	enum net_outcome outcome = net_judge_one(many, net->many, head);

	net->many_starved = outcome == NET_TAKEN;
	if (outcome != NET_UNWANTED)
		return false;
	net->many++;
	net->many_count--;
	return true;
}

void vio_netdev_receive_many(struct vio_device *dev, struct vio_devq *q)
{
	struct net *net = vio_device_state(dev);
	const struct net_many many = net_many_begin(dev);
	struct vio_buf buffers[NET_BATCH];
	uint32_t written[NET_BATCH];
	bool last = false;

	while (net->many_count && !last) {
		const unsigned wanted = net->many_count < NET_BATCH ? net->many_count : NET_BATCH;
		unsigned count = vio_devq_pop_many(q, buffers, wanted);
		unsigned used;

		if (!count && !net_skip_without_room(net, &many))
			break;
		used = net_put_batch(net, &many, buffers, written, count, &last);
		while (count > used)
			vio_devq_unpop(q, &buffers[--count]);
		vio_devq_push_many(q, buffers, written, used);
		vio_netdev_count(dev, q, used);
	}
}

unsigned vio_netdev_deliver_many(void *context, const struct vio_frame *frames, unsigned count)
{
	struct vio_device *dev = context;
	struct net *net = vio_device_state(dev);
	unsigned done = 0;

	if (!vio_device_running(dev) || !vio_netdev_link_up(net) || net->delivering)
		return count;
	/* Ends: each round takes one, or is the last. */
	while (done < count) {
		if (net_goes_plainly(dev)) {
			net->delivering = true;
			net->many = frames + done;
			net->many_count = count - done;
			net->many_starved = false;
			vio_device_kick(dev, 0);
			done = count - net->many_count;
			net->many = NULL;
			net->delivering = false;
			if (net->many_starved)
				net->starved = true;
			if (net->many_starved || done == count)
				break;
		}
		if (vio_netdev_deliver(dev, &frames[done]) == -VIO_EAGAIN)
			break;
		done++;
	}
	return done;
}
