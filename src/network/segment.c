/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <vireo/frame.h>

#include "network/bytes.h"

#define TCP_FIN 0x01u
#define TCP_PSH 0x08u
#define TCP_CWR 0x80u

uint64_t vio_csum_add(uint64_t sum, const void *bytes, size_t length)
{
	const uint8_t *at = bytes;

	/* In this machine's order, whatever it is: the sum of swapped words is the swapped sum. */
	for (; length >= 4; at += 4, length -= 4) {
		uint32_t word;

		memcpy(&word, at, 4);
		sum += word;
	}
	if (length >= 2) {
		uint16_t word;

		memcpy(&word, at, 2);
		sum += word;
		at += 2;
		length -= 2;
	}
	if (length) {
		uint8_t last[2] = { at[0], 0 };
		uint16_t word;

		memcpy(&word, last, 2);
		sum += word;
	}
	return sum;
}

static uint16_t fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* The checksum as it reads in the packet, most significant byte first. */
uint16_t vio_csum_fold(uint64_t sum)
{
	uint16_t folded = (uint16_t)~fold(sum);
	uint8_t bytes[2];

	memcpy(bytes, &folded, 2);
	return get16(bytes);
}

uint64_t vio_frame_csum(const struct vio_frame *frame, uint32_t offset, uint32_t length)
{
	struct vio_frame_walk walk = vio_frame_walk(frame, offset, length);
	const uint8_t *piece;
	uint64_t sum = 0;
	bool odd = false;
	uint32_t bytes;

	while ((piece = vio_frame_next(&walk, &bytes))) {
		uint16_t part = fold(vio_csum_add(0, piece, bytes));

		sum += odd ? vio_bswap16(part) : part;
		odd ^= bytes & 1;
	}
	return sum;
}

/* From `start` to the end of a packet that is [0, head_bytes) of head and then a part of the frame. */
static uint64_t sum_from(const struct vio_frame *frame, const uint8_t *head, uint32_t start,
			 uint32_t head_bytes, uint32_t offset, uint32_t length)
{
	uint64_t sum = 0;
	uint16_t rest;

	if (start >= head_bytes)
		return vio_frame_csum(frame, offset + start - head_bytes, length - (start - head_bytes));
	rest = fold(vio_frame_csum(frame, offset, length));
	sum = vio_csum_add(0, head + start, head_bytes - start);
	return sum + ((head_bytes - start) & 1 ? vio_bswap16(rest) : rest);
}

/* A checksum of UDP that comes out as 0 goes as its other form: 0 means that there is none. */
static uint16_t csum_of(uint64_t sum, bool udp)
{
	uint16_t csum = vio_csum_fold(sum);

	return udp && !csum ? 0xffff : csum;
}

int vio_frame_complete(const struct vio_frame *frame, uint8_t *head, const struct vio_frame_layout *layout)
{
	uint32_t field = (uint32_t)frame->csum_start + frame->csum_offset;
	bool udp = layout->protocol == VIO_PROTOCOL_UDP && frame->csum_offset == 6;
	uint64_t sum;

	if (field + 2 > layout->head_bytes)
		return -VIO_ERANGE;
	sum = sum_from(frame, head, frame->csum_start, layout->head_bytes, layout->head_bytes,
		       frame->length - layout->head_bytes);
	put16(head + field, csum_of(sum, udp));
	return 0;
}

void vio_frame_cut_begin(struct vio_frame_cut *cut, const struct vio_frame *frame, const uint8_t *head,
			 const struct vio_frame_layout *layout)
{
	cut->frame = frame;
	cut->layout = *layout;
	cut->head_bytes = layout->payload;
	memcpy(cut->head, head, layout->payload);
	cut->next = layout->payload;
	if (layout->protocol == VIO_PROTOCOL_TCP) {
		cut->sequence = get32(head + layout->transport + 4);
		cut->tcp_flags = head[layout->transport + 13];
	}
	if (layout->version == 4)
		cut->identity = get16(head + layout->network + 4);
}

static void set_lengths(struct vio_frame_cut *cut)
{
	const struct vio_frame_layout *layout = &cut->layout;
	uint8_t *ip = cut->head + layout->network;
	uint32_t packet = cut->head_bytes - layout->network + cut->length;

	if (layout->version == 6) {
		put16(ip + 4, packet - 40);
	} else {
		put16(ip + 2, packet);
		put16(ip + 4, cut->identity++);
		put16(ip + 10, 0);
		put16(ip + 10, vio_csum_fold(vio_csum_add(0, ip, (ip[0] & 15) * 4u)));
	}
	if (layout->protocol == VIO_PROTOCOL_UDP)
		put16(cut->head + layout->transport + 4, cut->head_bytes - layout->transport + cut->length);
}

static void set_csum(struct vio_frame_cut *cut)
{
	const struct vio_frame_layout *layout = &cut->layout;
	bool udp = layout->protocol == VIO_PROTOCOL_UDP;
	uint8_t *field = cut->head + layout->transport + (udp ? 6 : 16);
	uint32_t bytes = cut->head_bytes - layout->transport + cut->length;
	uint32_t address = layout->version == 4 ? 4 : 16;
	uint8_t pseudo[8] = { 0 };
	uint64_t sum;

	put32(pseudo, bytes);
	pseudo[7] = layout->protocol;
	put16(field, 0);
	sum = sum_from(cut->frame, cut->head, layout->transport, cut->head_bytes, cut->offset, cut->length);
	sum = vio_csum_add(sum, pseudo, sizeof(pseudo));
	sum = vio_csum_add(sum, cut->head + layout->source, address);
	sum = vio_csum_add(sum, cut->head + layout->target, address);
	put16(field, csum_of(sum, udp));
}

bool vio_frame_cut_next(struct vio_frame_cut *cut)
{
	const struct vio_frame_layout *layout = &cut->layout;
	uint8_t *transport = cut->head + layout->transport;
	uint32_t left = cut->frame->length - cut->next;
	bool first = cut->next == layout->payload;

	if (!left)
		return false;
	cut->offset = cut->next;
	cut->length = left < cut->frame->gso_bytes ? left : cut->frame->gso_bytes;
	cut->next += cut->length;
	if (layout->protocol == VIO_PROTOCOL_TCP) {
		uint8_t flags = cut->tcp_flags;

		/* Of a congestion window reduced the receiver hears once, of the end at the end. */
		if (!first)
			flags &= (uint8_t)~TCP_CWR;
		if (cut->length < left)
			flags &= (uint8_t) ~(TCP_FIN | TCP_PSH);
		put32(transport + 4, cut->sequence);
		transport[13] = flags;
		cut->sequence += cut->length;
	}
	set_lengths(cut);
	set_csum(cut);
	return true;
}
