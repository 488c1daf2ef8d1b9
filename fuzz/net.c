/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <vireo/devices/net.h>
#include <vireo/frame.h>
#include <vireo/spec/virtio_net.h>

#include "device.h"

/*
 * A driver that sends frames and commands of any kind in any pieces, over a network that takes them late
 * and delivers any frame that is sound. Whatever happens: what is sent was judged, lies in the driver's
 * memory and uses no offload that wasn't negotiated; every buffer comes back once; delivering ends.
 */
#define PENDING_MAX 128u
#define PAIRS       2u
#define CONTROL     (2 * PAIRS)

struct world {
	struct fuzz_input *input;
	struct vio_network network;
	struct vio_network_send *pending[PENDING_MAX];
	unsigned pending_count;
	bool armed;
	struct fuzz_device device;
	uint8_t frame[0x2000];
};

static struct world *world_of(struct vio_network *network)
{
	return VIO_CONTAINER_OF(network, struct world, network);
}

static bool has(const struct world *w, unsigned bit)
{
	return vio_device_has_feature(&w->device.dev, bit);
}

static void check_sent(const struct world *w, const struct vio_frame *frame)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < frame->span_count; i++) {
		FUZZ_CHECK(fuzz_device_lent(&w->device, frame->spans[i].host, frame->spans[i].length));
		sum += frame->spans[i].length;
	}
	FUZZ_CHECK(sum == frame->length && sum >= VIO_FRAME_BYTES_LEAST && sum <= VIO_FRAME_BYTES_MAX);
	FUZZ_CHECK(frame->pair < PAIRS && !(frame->flags & ~VIRTIO_NET_HDR_F_NEEDS_CSUM));
	if (frame->flags)
		FUZZ_CHECK(has(w, VIRTIO_NET_F_CSUM) &&
			   frame->csum_start + frame->csum_offset + 2u <= frame->length);
	switch (frame->gso_type & ~VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_NONE:
		break;
	case VIRTIO_NET_HDR_GSO_TCPV4:
		FUZZ_CHECK(has(w, VIRTIO_NET_F_HOST_TSO4) && frame->gso_bytes && frame->flags);
		break;
	case VIRTIO_NET_HDR_GSO_TCPV6:
		FUZZ_CHECK(has(w, VIRTIO_NET_F_HOST_TSO6) && frame->gso_bytes && frame->flags);
		break;
	case VIRTIO_NET_HDR_GSO_UDP_L4:
		FUZZ_CHECK(has(w, VIRTIO_NET_F_HOST_USO) && frame->gso_bytes && frame->flags);
		break;
	default:
		FUZZ_CHECK(!frame->gso_type);
	}
}

static void finish(struct world *w, unsigned index, int result)
{
	struct vio_network_send *send = w->pending[index];

	w->pending[index] = w->pending[--w->pending_count];
	send->done(send, result);
}

static void net_send(struct vio_network *network, struct vio_network_send *send)
{
	struct world *w = world_of(network);

	check_sent(w, &send->frame);
	FUZZ_CHECK(w->pending_count < PENDING_MAX);
	w->pending[w->pending_count++] = send;
	if (fuzz_u8(w->input) & 1)
		finish(w, w->pending_count - 1, 0);
}

static void net_configure(struct vio_network *network, unsigned offloads, uint16_t pairs)
{
	FUZZ_CHECK(network && offloads <= VIO_NETWORK_OFFLOADS && pairs <= PAIRS);
}

static void net_arm(struct vio_network *network, uint32_t delay_us)
{
	FUZZ_CHECK(delay_us > 0);
	world_of(network)->armed = true;
}

static void net_ready(struct vio_network *network, uint16_t pair)
{
	FUZZ_CHECK(network && pair < PAIRS);
}

static void net_drain(struct vio_network *network)
{
	struct world *w = world_of(network);

	while (w->pending_count)
		finish(w, 0, 0);
}

static void net_close(struct vio_network *network)
{
	FUZZ_CHECK(!network);
}

static const struct vio_network_ops network_ops = {
	.send = net_send,
	.ready = net_ready,
	.configure = net_configure,
	.arm = net_arm,
	.drain = net_drain,
	.close = net_close,
};

/* A frame that has something to it: IPv4 or 6, TCP or UDP, a VLAN; then some bytes are anything. */
static void write_frame(struct world *w, uint8_t *to, uint8_t what)
{
	uint32_t ip = what & 1 ? 18 : 14, transport;

	memset(to, 0, 128);
	memcpy(to, "\x52\x54\0\0\0\1\x52\x54\0\0\0\2", 12);
	if (what & 64)
		to[0] = (uint8_t)(what & 128 ? 0xff : 0x33);
	if (what & 1) {
		to[12] = 0x81;
		to[15] = (uint8_t)(what >> 4);
	}
	memcpy(to + ip - 2, what & 2 ? "\x86\xdd" : "\x08\0", 2);
	if (what & 2) {
		to[ip] = 0x60;
		to[ip + 6] = what & 4 ? 17 : 6;
		transport = ip + 40;
	} else {
		to[ip] = 0x45;
		to[ip + 2] = 2;
		to[ip + 9] = what & 4 ? 17 : 6;
		transport = ip + 20;
	}
	to[transport + 1] = what;
	to[transport + 12] = 0x50;
	to[transport + 13] = 0x10;
	for (unsigned changes = what >> 3 & 3; changes; changes--)
		to[fuzz_u8(w->input) % 96] = fuzz_u8(w->input);
}

static void take_offload(struct world *w, struct virtio_net_hdr *header)
{
	static const uint64_t types[] = { 0, 1, 4, 5, 0x81, 0x84, 3, 0x80, 0xff, 0x20 };
	static const uint64_t sizes[] = { 1, 0, 100, 536, 1448, 8, 65535 };
	static const uint64_t starts[] = { 34, 54, 38, 58, 14, 0, 65535, 62 };

	header->flags = fuzz_u8(w->input) & 7;
	header->gso_type = (uint8_t)fuzz_choose(w->input, types, VIO_ARRAY_SIZE(types));
	header->gso_size = vio_le16_make((uint16_t)fuzz_choose(w->input, sizes, VIO_ARRAY_SIZE(sizes)));
	header->csum_start = vio_le16_make((uint16_t)fuzz_choose(w->input, starts, VIO_ARRAY_SIZE(starts)));
	header->csum_offset = vio_le16_make(header->gso_type == 5 ? 6 : 16);
	if (header->flags & 4)
		header->csum_offset = vio_le16_make((uint16_t)fuzz_u64(w->input, 2));
}

static void write_packet(struct fuzz_device *device, uint8_t *to)
{
	struct world *w = VIO_CONTAINER_OF(device, struct world, device);
	struct virtio_net_hdr_hash header = { 0 };

	take_offload(w, &header.header);
	memcpy(to, &header, sizeof(header));
	write_frame(w, to + (has(w, VIRTIO_NET_F_HASH_REPORT) ? 20 : 12), fuzz_u8(device->input));
}

static void write_command(struct fuzz_device *device, uint8_t *to)
{
	static const uint64_t words[] = { 0, 1, 2, 0x7f, 0x80, 128, 0xffff, 0x100, UINT32_MAX, 64, 65 };
	uint8_t what = fuzz_u8(device->input);

	to[0] = what % 8;
	to[1] = what / 8 % 8;
	for (unsigned at = 2; at < 64; at += 4) {
		vio_le32 word =
			vio_le32_make((uint32_t)fuzz_choose(device->input, words, VIO_ARRAY_SIZE(words)));

		memcpy(to + at, &word, sizeof(word));
		if (what & 128)
			break;
	}
}

/* Steps. */

static void transmit(struct world *w)
{
	const struct fuzz_ask ask = { has(w, VIRTIO_NET_F_HASH_REPORT) ? 20 : 12, 0, write_packet };

	fuzz_device_ask(&w->device, fuzz_u8(w->input) & 1 ? 3 : 1, &ask);
}

static void lend(struct world *w)
{
	static const struct fuzz_ask ask = { 0, 512, NULL };

	fuzz_device_ask(&w->device, fuzz_u8(w->input) & 1 ? 2 : 0, &ask);
}

static void command(struct world *w)
{
	static const struct fuzz_ask ask = { 2, 1, write_command };

	fuzz_device_ask(&w->device, fuzz_u8(w->input) & 1 ? 2 : CONTROL, &ask);
}

static void deliver(struct world *w)
{
	static const uint64_t lengths[] = { 60, 1514, 14, 13, 0, 3000, 0x2000, 61, 96 };
	uint8_t what = fuzz_u8(w->input);
	uint32_t length = (uint32_t)fuzz_choose(w->input, lengths, VIO_ARRAY_SIZE(lengths));
	struct virtio_net_hdr header;
	struct vio_frame frame = { 0 };
	struct vio_span spans[3];
	int result;

	write_frame(w, w->frame, what);
	length = length > sizeof(w->frame) ? sizeof(w->frame) : length;
	spans[0] = (struct vio_span){ w->frame, length / 3 };
	spans[1] = (struct vio_span){ w->frame + length / 3, length / 3 };
	spans[2] = (struct vio_span){ w->frame + length / 3 * 2, length - length / 3 * 2 };
	frame.spans = spans;
	frame.span_count = 3;
	frame.length = length;
	if (what & 32) {
		take_offload(w, &header);
		frame.flags = header.flags & (VIRTIO_NET_HDR_F_NEEDS_CSUM | VIRTIO_NET_HDR_F_DATA_VALID);
		frame.gso_type = header.gso_type;
		frame.gso_bytes = vio_le16_get(header.gso_size);
		frame.csum_start = vio_le16_get(header.csum_start);
		frame.csum_offset = vio_le16_get(header.csum_offset);
	}
	result = w->network.events->deliver(w->network.events_context, &frame);
	FUZZ_CHECK(result == 0 || result == -VIO_EAGAIN || result == -VIO_EPHASE || result == -VIO_EPEER);
	if (what & 16)
		w->network.events->deliver_end(w->network.events_context);
}

static void complete(struct world *w)
{
	uint8_t what = fuzz_u8(w->input);

	if (w->pending_count)
		finish(w, what % w->pending_count, what & 64 ? -VIO_EIO : 0);
}

static void collect(struct world *w)
{
	w->network.events->deliver_end(w->network.events_context);
	fuzz_device_collect(&w->device);
}

static void happen(struct world *w)
{
	uint8_t what = fuzz_u8(w->input);

	switch (what % 5) {
	case 0:
		if (w->armed)
			w->network.events->expired(w->network.events_context);
		w->armed = false;
		break;
	case 1:
		w->network.link_up = what & 8;
		w->network.events->link_changed(w->network.events_context);
		break;
	case 2:
		fuzz_device_set(&w->device, "announce", what & 8 ? "on" : "off");
		break;
	case 3:
		fuzz_device_set(&w->device, "link", what & 8 ? "on" : "off");
		break;
	default:
		fuzz_device_configure(&w->device);
	}
}

static void start(struct world *w)
{
	uint8_t what = fuzz_u8(w->input);
	uint64_t without = fuzz_device_ring_bits(what);

	if (what & 4)
		without |= UINT64_C(1) << VIRTIO_NET_F_MRG_RXBUF;
	if (what & 8)
		without |= UINT64_C(1) << VIRTIO_NET_F_HASH_REPORT;
	if (what & 16)
		without |= UINT64_C(1) << VIRTIO_NET_F_MQ | UINT64_C(1) << VIRTIO_NET_F_RSS;
	if (what & 32)
		without |= fuzz_u64(w->input, 8);
	fuzz_device_start(&w->device, without);
}

void fuzz_run(struct fuzz_input *input)
{
	static void (*const steps[])(struct world * w) = { transmit, lend,    deliver, command, complete,
							   collect,  deliver, lend,    command, happen };
	struct world w = { .input = input };

	w.network = (struct vio_network){ .ops = &network_ops,
					  .offloads = VIO_NETWORK_OFFLOADS,
					  .link_up = true };
	fuzz_device_make(&w.device, &vio_net_class, input);
	fuzz_device_set(&w.device, "in-order", "on");
	fuzz_device_set(&w.device, "pairs", "2");
	fuzz_device_set(&w.device, "mac", "52:54:00:00:00:01");
	fuzz_device_set(&w.device, "mtu", "1500");
	FUZZ_CHECK(vio_net_attach(&w.device.dev, &w.network) == 0);
	fuzz_device_realize(&w.device);
	start(&w);
	fuzz_walk(input, &w, steps, VIO_ARRAY_SIZE(steps), start, 300);
	net_drain(&w.network);
	fuzz_device_close(&w.device);
	FUZZ_CHECK(w.pending_count == 0);
}
