/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <vireo/frame.h>

#include "network/bytes.h"

#define PORTS_BYTES 4u

uint32_t vio_toeplitz(const uint8_t *key, const uint8_t *bytes, size_t length)
{
	uint32_t window = get32(key);
	uint32_t hash = 0;

	for (size_t i = 0; i < length; i++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			if (bytes[i] & 0x80 >> bit)
				hash ^= window;
			window = window << 1 | (key[i + 4] >> (7 - bit) & 1);
		}
	}
	return hash;
}

struct kind {
	uint8_t version;
	uint8_t protocol; /* 0: any */
	bool extended;    /* with the addresses that extension headers name */
	uint32_t type;
	uint16_t report;
};

/* In the order of preference. */
static const struct kind kinds[] = {
	{ 4, VIO_PROTOCOL_TCP, false, VIRTIO_NET_HASH_TYPE_TCPv4, VIRTIO_NET_HASH_REPORT_TCPv4 },
	{ 4, VIO_PROTOCOL_UDP, false, VIRTIO_NET_HASH_TYPE_UDPv4, VIRTIO_NET_HASH_REPORT_UDPv4 },
	{ 4, 0, false, VIRTIO_NET_HASH_TYPE_IPv4, VIRTIO_NET_HASH_REPORT_IPv4 },
	{ 6, VIO_PROTOCOL_TCP, true, VIRTIO_NET_HASH_TYPE_TCP_EX, VIRTIO_NET_HASH_REPORT_TCPv6_EX },
	{ 6, VIO_PROTOCOL_TCP, false, VIRTIO_NET_HASH_TYPE_TCPv6, VIRTIO_NET_HASH_REPORT_TCPv6 },
	{ 6, VIO_PROTOCOL_UDP, true, VIRTIO_NET_HASH_TYPE_UDP_EX, VIRTIO_NET_HASH_REPORT_UDPv6_EX },
	{ 6, VIO_PROTOCOL_UDP, false, VIRTIO_NET_HASH_TYPE_UDPv6, VIRTIO_NET_HASH_REPORT_UDPv6 },
	{ 6, 0, true, VIRTIO_NET_HASH_TYPE_IP_EX, VIRTIO_NET_HASH_REPORT_IPv6_EX },
	{ 6, 0, false, VIRTIO_NET_HASH_TYPE_IPv6, VIRTIO_NET_HASH_REPORT_IPv6 },
};

static bool applies(const struct kind *kind, const struct vio_frame_layout *layout)
{
	if (kind->version != layout->version)
		return false;
	return !kind->protocol || (layout->transport && layout->protocol == kind->protocol);
}

uint16_t vio_frame_hash(const uint8_t *head, const struct vio_frame_layout *layout, uint32_t types,
			const uint8_t *key, uint32_t *hash)
{
	uint32_t address = layout->version == 4 ? 4 : 16;
	uint8_t input[36];

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(kinds); i++) {
		const struct kind *kind = &kinds[i];
		/* Without extension headers the plain addresses are the ones that count. */
		bool fixed = kind->version == 6 && !kind->extended;
		uint32_t source = fixed ? layout->network + 8u : layout->source;
		uint32_t target = fixed ? layout->network + 24u : layout->target;
		uint32_t length = 2 * address;

		if (!(types & kind->type) || !applies(kind, layout))
			continue;
		memcpy(input, head + source, address);
		memcpy(input + address, head + target, address);
		if (kind->protocol) {
			memcpy(input + length, head + layout->transport, PORTS_BYTES);
			length += PORTS_BYTES;
		}
		*hash = vio_toeplitz(key, input, length);
		return kind->report;
	}
	return VIRTIO_NET_HASH_REPORT_NONE;
}

static uint32_t mix(uint32_t hash, const uint8_t *bytes, uint32_t length)
{
	for (uint32_t i = 0; i < length; i++)
		hash = (hash ^ bytes[i]) * UINT32_C(16777619);
	return hash;
}

uint32_t vio_frame_flow(const uint8_t *head, const struct vio_frame_layout *layout)
{
	const uint32_t start = UINT32_C(2166136261);
	uint32_t address = layout->version == 4 ? 4 : 16;
	uint32_t one, other;

	if (!layout->version)
		return 0;
	one = mix(start, head + layout->source, address);
	other = mix(start, head + layout->target, address);
	if (layout->transport) {
		one = mix(one, head + layout->transport, 2);
		other = mix(other, head + layout->transport + 2, 2);
	}
	one = (one + other) ^ (layout->transport ? layout->protocol : 0u);
	return one ^ one >> 16;
}
