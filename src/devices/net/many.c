/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "base/prefetch.h"
#include "devices/net/net.h"

/*
 * Many frames for the driver at once: those that are sent as they are, into a buffer
 * each. Nothing of them is looked at but the first bytes, and that is a copy. Whatever
 * is more than that goes the way of receive.c.
 *
 * Where there is one pair they go into its queue as they come. Where there are more, or
 * hashes are told, NET_BATCH of them are sorted by where they go, buffers are taken for
 * all, and only then is anything written: so that a queue without buffers stops what is
 * behind that frame in all others, and nothing that is in front of it.
 */

#define HEAD_BYTES  16u  /* both addresses and a type; all that is judged */
#define SMALL_BYTES 256u /* copied without a call */

/* What holds for all frames of a batch. */
struct net_many {
	const struct vio_device *dev;
	/* Of all that have no hash. Made before, as it can't be read in one piece right behind a store. */
	struct virtio_net_hdr_hash header;
	uint32_t header_bytes;
	uint32_t length_max;
	bool filters, vlans;
};

/* Frames of a batch that go to one pair. */
struct net_group {
	uint8_t pair;
	uint8_t begin, count; /* in net_sorted.order */
	uint8_t popped;       /* buffers that there are for them */
};

struct net_sorted {
	const struct net_many *many;
	const struct vio_frame *frames;
	unsigned count; /* that were looked at */
	unsigned taken; /* from the first on, as far as is known */
	bool starved;   /* there is no buffer for the next */
	unsigned group_count;
	struct net_group groups[NET_BATCH], *now;
	uint8_t order[NET_BATCH];          /* frames, group by group */
	struct vio_buf buffers[NET_BATCH]; /* in that order */
	uint8_t heads[NET_BATCH][HEAD_BYTES];
	struct virtio_net_hdr_hash headers[NET_BATCH];
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
		.header.header.num_buffers = vio_le16_make(1), /* spec: DEV-NET-026 DEV-NET-028 DEV-NET-032 */
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

/* Most drivers give the same memory again, and look at it: a line that isn't written stays with both. */
static inline void net_put_unless_there(uint8_t *to, const struct virtio_net_hdr_hash *header, size_t bytes)
{
	if (memcmp(to, header, bytes))
		memcpy(to, header, bytes);
}

static inline void net_put_header(const struct net_many *many, const struct virtio_net_hdr_hash *header,
				  uint8_t *to)
{
	/* The lengths are constants to the compiler. */
	if (many->header_bytes == sizeof(header->header))
		net_put_unless_there(to, header, sizeof(header->header));
	else if (many->header_bytes == VIRTIO_NET_HDR_BYTES_SHORT)
		net_put_unless_there(to, header, VIRTIO_NET_HDR_BYTES_SHORT);
	else
		memcpy(to, header, sizeof(*header));
}

static inline void net_put_bytes(const struct vio_frame *frame, const uint8_t *head, uint8_t *to)
{
	const struct vio_span *span = frame->spans;
	size_t at = HEAD_BYTES, left = frame->length - HEAD_BYTES;

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

static inline bool net_fits(const struct net_many *many, const struct vio_frame *frame,
			    const struct vio_buf *buf)
{
	return buf->writable_count == 1 && !buf->truncated &&
	       buf->writable_bytes >= (uint64_t)many->header_bytes + frame->length;
}

static inline enum net_outcome net_put_one(const struct net_many *many, const struct vio_frame *frame,
					   const struct vio_buf *buf)
{
	uint8_t head[HEAD_BYTES];
	enum net_outcome outcome = net_judge_one(many, frame, head);

	if (outcome != NET_TAKEN)
		return outcome;
	if (!net_fits(many, frame, buf))
		return NET_LONG;
	net_put_header(many, &many->header, buf->writable->host);
	net_put_bytes(frame, head, buf->writable->host + many->header_bytes);
	return NET_TAKEN;
}

static inline void net_prefetch(const struct net_many *many, const struct vio_buf *buffers, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		if (buffers[i].writable_count) {
			__builtin_prefetch(buffers[i].writable->host);
			/* Where headers of a driver end a line the frame is in the next. */
			vio_prefetch_to_write(buffers[i].writable->host + many->header_bytes);
		}
	}
}

/* Gives the driver the first `used` buffers of those that were taken, and puts the rest back. */
static void net_give(struct vio_device *dev, struct vio_devq *q, const struct vio_buf *buffers,
		     const uint32_t *written, unsigned taken, unsigned used)
{
	while (taken > used)
		vio_devq_unpop(q, &buffers[--taken]);
	vio_devq_push_many(q, buffers, written, used);
	vio_netdev_count(dev, q, used);
}

/* How many of the buffers were filled. *last: the next frame has to go by itself. */
static unsigned net_put_batch(struct net *net, const struct net_many *many, const struct vio_buf *buffers,
			      uint32_t *written, unsigned count, bool *last)
{
	unsigned used = 0;

	net_prefetch(many, buffers, count);
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
		net_give(dev, q, buffers, written, count, used);
	}
}

static unsigned net_deliver_plainly(struct vio_device *dev, const struct vio_frame *frames, unsigned count)
{
	struct net *net = vio_device_state(dev);

	net->many = frames;
	net->many_count = count;
	net->many_starved = false;
	vio_device_kick(dev, 0);
	net->many = NULL;
	return count - net->many_count;
}

/* To several pairs. */

/* Looks at the first frames, up to one that has to go by itself; pairs[i]: NET_PAIRS_MAX for nobody. */
static void net_look(struct vio_device *dev, struct net_sorted *sorted, unsigned count, uint8_t *pairs)
{
	struct net *net = vio_device_state(dev);
	unsigned i;

	for (i = 0; i < count; i++) {
		const struct vio_frame *frame = &sorted->frames[i];
		enum net_outcome outcome = net_judge_one(sorted->many, frame, sorted->heads[i]);
		int pair = -1;

		if (outcome == NET_LONG)
			break;
		/* spec: DEV-NET-138 DEV-NET-139: what is dropped goes no further */
		if (outcome == NET_TAKEN) {
			vio_frame_head(frame, net->head, &net->layout);
			pair = vio_netdev_steer(dev);
			sorted->headers[i] = net->header;
			sorted->headers[i].header = sorted->many->header.header;
		}
		pairs[i] = (uint8_t)(pair < 0 ? NET_PAIRS_MAX : (unsigned)pair);
	}
	sorted->count = i;
}

/* Fills in groups and order. */
static void net_sort(struct net_sorted *sorted, const uint8_t *pairs)
{
	uint8_t group_of[NET_PAIRS_MAX] = { 0 }; /* counted from 1 */
	uint8_t begin = 0;

	for (unsigned i = 0; i < sorted->count; i++) {
		if (pairs[i] == NET_PAIRS_MAX)
			continue;
		if (!group_of[pairs[i]]) {
			sorted->groups[sorted->group_count] = (struct net_group){ .pair = pairs[i] };
			group_of[pairs[i]] = (uint8_t)++sorted->group_count;
		}
		sorted->groups[group_of[pairs[i]] - 1].count++;
	}
	for (unsigned i = 0; i < sorted->group_count; i++) {
		struct net_group *group = &sorted->groups[i];

		group->begin = begin;
		begin = (uint8_t)(begin + group->count);
		group->count = 0;
	}
	for (unsigned i = 0; i < sorted->count; i++) {
		struct net_group *group;

		if (pairs[i] == NET_PAIRS_MAX)
			continue;
		group = &sorted->groups[group_of[pairs[i]] - 1];
		sorted->order[group->begin + group->count++] = (uint8_t)i;
	}
}

/* This frame isn't taken, and so none behind it. */
static void net_stop_at(struct net_sorted *sorted, unsigned frame, bool starved)
{
	if (frame >= sorted->taken)
		return;
	sorted->taken = frame;
	sorted->starved = starved;
}

void vio_netdev_receive_sorted(struct vio_device *dev, struct vio_devq *q)
{
	const struct net *net = vio_device_state(dev);
	struct net_sorted *sorted = net->sorted;
	struct net_group *group = sorted->now;
	struct vio_buf *buffers = &sorted->buffers[group->begin];
	const uint8_t *order = &sorted->order[group->begin];

	while (group->popped < group->count) {
		unsigned count = vio_devq_pop_many(q, buffers + group->popped, group->count - group->popped);

		if (!count) {
			net_stop_at(sorted, order[group->popped], true);
			break;
		}
		group->popped = (uint8_t)(group->popped + count);
	}
	net_prefetch(sorted->many, buffers, group->popped);
	for (unsigned i = 0; i < group->popped; i++) {
		if (!net_fits(sorted->many, &sorted->frames[order[i]], &buffers[i])) {
			net_stop_at(sorted, order[i], false);
			break;
		}
	}
}

/* Writes what is taken of a group, and gives back buffers of the rest. */
static void net_put_group(struct vio_device *dev, struct net_sorted *sorted, const struct net_group *group)
{
	struct vio_devq *q = &dev->queues[2u * group->pair];
	struct vio_buf *buffers = &sorted->buffers[group->begin];
	const uint8_t *order = &sorted->order[group->begin];
	uint32_t written[NET_BATCH];
	unsigned used;

	/* Whoever was told of something may have stopped the queue meanwhile. */
	if (!group->popped || !q->running || buffers->generation != q->generation)
		return;
	for (used = 0; used < group->popped && order[used] < sorted->taken; used++) {
		const struct vio_frame *frame = &sorted->frames[order[used]];
		uint8_t *to = buffers[used].writable->host;

		net_put_header(sorted->many, &sorted->headers[order[used]], to);
		net_put_bytes(frame, sorted->heads[order[used]], to + sorted->many->header_bytes);
		written[used] = sorted->many->header_bytes + frame->length;
	}
	net_give(dev, q, buffers, written, group->popped, used);
}

/* Up to NET_BATCH of them. */
static unsigned net_deliver_sorted(struct vio_device *dev, const struct vio_frame *frames, unsigned count)
{
	struct net *net = vio_device_state(dev);
	const struct net_many many = net_many_begin(dev);
	uint8_t pairs[NET_BATCH];
	struct net_sorted sorted;

	sorted.many = &many;
	sorted.frames = frames;
	sorted.group_count = 0;
	net_look(dev, &sorted, count < NET_BATCH ? count : NET_BATCH, pairs);
	sorted.taken = sorted.count;
	sorted.starved = false;
	net_sort(&sorted, pairs);
	net->sorted = &sorted;
	for (unsigned i = 0; i < sorted.group_count; i++) {
		sorted.now = &sorted.groups[i];
		vio_device_kick(dev, (uint16_t)(2u * sorted.now->pair));
	}
	net->sorted = NULL;
	for (unsigned i = 0; i < sorted.group_count; i++)
		net_put_group(dev, &sorted, &sorted.groups[i]);
	net->many_starved = sorted.starved;
	return sorted.taken;
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
		const bool plainly = net_goes_plainly(dev);
		unsigned taken;

		net->delivering = true;
		taken = plainly ? net_deliver_plainly(dev, frames + done, count - done)
				: net_deliver_sorted(dev, frames + done, count - done);
		net->delivering = false;
		done += taken;
		if (net->many_starved) {
			net->starved = true;
			break;
		}
		if (done == count || (taken && !plainly))
			continue;
		if (vio_netdev_deliver(dev, &frames[done]) == -VIO_EAGAIN)
			break;
		done++;
	}
	return done;
}
