/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <vireo/frame.h>

#include "network/bytes.h"

#define ETHERTYPE_IPV4 0x0800u
#define ETHERTYPE_IPV6 0x86ddu
#define ETHERTYPE_VLAN 0x8100u
#define ETHERTYPE_QINQ 0x88a8u
#define VLAN_TAGS_MAX  2u

#define TCP_HEADER_BYTES 20u
#define UDP_HEADER_BYTES 8u

/* IPv6 extension headers. */
#define NEXT_HOP_BY_HOP  0u
#define NEXT_ROUTING     43u
#define NEXT_FRAGMENT    44u
#define NEXT_DESTINATION 60u
#define OPTION_HOME      201u
#define EXTENSIONS_MAX   8u

bool vio_mac_is_broadcast(const uint8_t *mac)
{
	return (mac[0] & mac[1] & mac[2] & mac[3] & mac[4] & mac[5]) == 0xff;
}

const uint8_t *vio_frame_next(struct vio_frame_walk *walk, uint32_t *bytes)
{
	for (; walk->spans_left && walk->length; walk->spans_left--, walk->span++) {
		size_t span = walk->span->length;
		const uint8_t *piece;

		if (walk->offset >= span) {
			walk->offset -= (uint32_t)span;
			continue;
		}
		piece = walk->span->host + walk->offset;
		*bytes = span - walk->offset < walk->length ? (uint32_t)(span - walk->offset) : walk->length;
		walk->offset += *bytes;
		walk->length -= *bytes;
		return piece;
	}
	return NULL;
}

void vio_frame_copy(const struct vio_frame *frame, uint32_t offset, void *to, uint32_t length)
{
	struct vio_frame_walk walk = vio_frame_walk(frame, offset, length);
	const uint8_t *piece;
	uint8_t *at = to;
	uint32_t bytes;

	while ((piece = vio_frame_next(&walk, &bytes))) {
		memcpy(at, piece, bytes);
		at += bytes;
	}
}

static void look_at_transport(const uint8_t *head, struct vio_frame_layout *layout, uint32_t at)
{
	uint32_t length;

	if (layout->fragment)
		return;
	if (layout->protocol == VIO_PROTOCOL_TCP && at + TCP_HEADER_BYTES <= layout->head_bytes) {
		length = (head[at + 12] >> 4) * 4u;
		if (length < TCP_HEADER_BYTES)
			return;
	} else if (layout->protocol == VIO_PROTOCOL_UDP) {
		length = UDP_HEADER_BYTES;
	} else {
		return;
	}
	if (at + length > layout->head_bytes)
		return;
	layout->transport = (uint16_t)at;
	layout->payload = (uint16_t)(at + length);
}

static void look_at_ipv4(const uint8_t *head, struct vio_frame_layout *layout, uint32_t at)
{
	uint32_t length;

	if (at + 20 > layout->head_bytes || head[at] >> 4 != 4)
		return;
	length = (head[at] & 15) * 4u;
	if (length < 20 || at + length > layout->head_bytes)
		return;
	layout->version = 4;
	layout->network = (uint16_t)at;
	layout->source = (uint16_t)(at + 12);
	layout->target = (uint16_t)(at + 16);
	layout->protocol = head[at + 9];
	layout->fragment = get16(head + at + 6) & 0x3fff;
	look_at_transport(head, layout, at + length);
}

/* The home address stands for the source. */
static void look_at_options(const uint8_t *head, struct vio_frame_layout *layout, uint32_t at, uint32_t end)
{
	while (at + 2 <= end) {
		if (!head[at]) {
			at++;
			continue;
		}
		if (head[at] == OPTION_HOME && head[at + 1] == 16 && at + 18 <= end) {
			layout->source = (uint16_t)(at + 2);
			layout->extended = true;
			return;
		}
		at += 2u + head[at + 1];
	}
}

static void look_at_extension(const uint8_t *head, struct vio_frame_layout *layout, uint8_t next, uint32_t at,
			      uint32_t length)
{
	if (next == NEXT_DESTINATION)
		look_at_options(head, layout, at + 2, at + length);
	/* Of type 2 the one address in it is the target. */
	if (next == NEXT_ROUTING && head[at + 2] == 2 && head[at + 3] == 1 && length == 24) {
		layout->target = (uint16_t)(at + 8);
		layout->extended = true;
	}
}

static void look_at_ipv6(const uint8_t *head, struct vio_frame_layout *layout, uint32_t at)
{
	uint8_t next;

	if (at + 40 > layout->head_bytes || head[at] >> 4 != 6)
		return;
	layout->version = 6;
	layout->network = (uint16_t)at;
	layout->source = (uint16_t)(at + 8);
	layout->target = (uint16_t)(at + 24);
	next = head[at + 6];
	at += 40;
	for (unsigned i = 0; i < EXTENSIONS_MAX; i++) {
		uint32_t length;

		if (next != NEXT_HOP_BY_HOP && next != NEXT_ROUTING && next != NEXT_FRAGMENT &&
		    next != NEXT_DESTINATION)
			break;
		if (at + 8 > layout->head_bytes)
			return;
		length = next == NEXT_FRAGMENT ? 8 : head[at + 1] * 8u + 8u;
		if (at + length > layout->head_bytes)
			return;
		if (next == NEXT_FRAGMENT && get16(head + at + 2) & 0xfff9)
			layout->fragment = true;
		look_at_extension(head, layout, next, at, length);
		next = head[at];
		at += length;
	}
	layout->protocol = next;
	look_at_transport(head, layout, at);
}

void vio_frame_look(const uint8_t *head, uint32_t bytes, struct vio_frame_layout *layout)
{
	uint32_t at = 12;

	memset(layout, 0, sizeof(*layout));
	layout->head_bytes = (uint16_t)(bytes < VIO_FRAME_HEAD_BYTES ? bytes : VIO_FRAME_HEAD_BYTES);
	if (layout->head_bytes < VIO_FRAME_BYTES_LEAST)
		return;
	layout->ethertype = get16(head + at);
	for (unsigned tag = 0; tag < VLAN_TAGS_MAX; tag++) {
		if ((layout->ethertype != ETHERTYPE_VLAN && layout->ethertype != ETHERTYPE_QINQ) ||
		    at + 6 > layout->head_bytes)
			break;
		if (!layout->tagged)
			layout->vlan = get16(head + at + 2) & 0xfff;
		layout->tagged = true;
		at += 4;
		layout->ethertype = get16(head + at);
	}
	at += 2;
	if (layout->ethertype == ETHERTYPE_IPV4)
		look_at_ipv4(head, layout, at);
	else if (layout->ethertype == ETHERTYPE_IPV6)
		look_at_ipv6(head, layout, at);
}

void vio_frame_head(const struct vio_frame *frame, uint8_t *head, struct vio_frame_layout *layout)
{
	uint32_t bytes = frame->length < VIO_FRAME_HEAD_BYTES ? frame->length : VIO_FRAME_HEAD_BYTES;

	vio_frame_copy(frame, 0, head, bytes);
	vio_frame_look(head, bytes, layout);
}

static bool gso_fits(const struct vio_frame *frame, const struct vio_frame_layout *layout)
{
	unsigned type = frame->gso_type & ~VIRTIO_NET_HDR_GSO_ECN;
	unsigned field = layout->protocol == VIO_PROTOCOL_TCP ? 16 : 6;

	if (!layout->transport || !frame->gso_bytes || frame->length <= layout->payload)
		return false;
	if (!(frame->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) || frame->csum_start != layout->transport ||
	    frame->csum_offset != field)
		return false;
	switch (type) {
	case VIRTIO_NET_HDR_GSO_TCPV4:
		return layout->version == 4 && layout->protocol == VIO_PROTOCOL_TCP;
	case VIRTIO_NET_HDR_GSO_TCPV6:
		return layout->version == 6 && layout->protocol == VIO_PROTOCOL_TCP;
	case VIRTIO_NET_HDR_GSO_UDP_L4:
		return layout->protocol == VIO_PROTOCOL_UDP && type == frame->gso_type;
	default: /* spec: DEV-NET-046 DEV-NET-050: tunnels among them */
		return false;
	}
}

int vio_frame_judge(const struct vio_frame *frame, const struct vio_frame_layout *layout)
{
	if (frame->length < VIO_FRAME_BYTES_LEAST || frame->length > VIO_FRAME_BYTES_MAX)
		return -VIO_EPEER;
	if (frame->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM &&
	    (uint32_t)frame->csum_start + frame->csum_offset + 2u > frame->length)
		return -VIO_EPEER;
	if (frame->gso_type != VIRTIO_NET_HDR_GSO_NONE && !gso_fits(frame, layout))
		return -VIO_EPEER;
	return 0;
}
