/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_FRAME_H
#define VIREO_FRAME_H

#include <vireo/memory.h>
#include <vireo/spec/virtio_net.h>

/*
 * Ethernet frames: what is in them, their checksums, and cutting long ones up.
 *
 * A struct vio_frame is bytes in spans and what the sender left to be done: a
 * checksum to complete, or TCP or UDP data to cut into segments. The bytes may be
 * a driver's, who may change them at any time. Who judges a frame therefore copies
 * its head once, with vio_frame_head(), and passes on that copy followed by the
 * rest of the frame.
 *
 * No state, no allocation; what a frame says about itself is checked against the
 * bytes that there are.
 */

#define VIO_FRAME_BYTES_LEAST 14u            /* the Ethernet header */
#define VIO_FRAME_BYTES_MAX   (65535u + 22u) /* with two VLAN tags */
#define VIO_FRAME_HEAD_BYTES  512u /* all headers of a frame lie in here, or nothing is done for it */

struct vio_frame {
	const struct vio_span *spans;
	unsigned span_count;
	uint32_t length; /* bytes; at most the sum of the spans */

	/* As in struct virtio_net_hdr, in this machine's byte order. */
	uint8_t flags;      /* VIRTIO_NET_HDR_F_NEEDS_CSUM, _DATA_VALID; others are to be ignored */
	uint8_t gso_type;   /* VIRTIO_NET_HDR_GSO_NONE, _TCPV4, _TCPV6 or _UDP_L4, with or without _ECN */
	uint16_t gso_bytes; /* payload of a segment */
	uint16_t csum_start;
	uint16_t csum_offset;

	uint16_t pair; /* queue pair it came from, or is meant for where the network chooses */
};

/* What the headers say. Offsets from the frame's first byte; 0 for what isn't there. */
struct vio_frame_layout {
	uint16_t head_bytes; /* how much of the frame was looked at */
	uint16_t ethertype;  /* behind VLAN tags */
	uint16_t vlan;       /* identifier of the outer tag */
	bool tagged;
	bool fragment;           /* of an IP packet: no transport header */
	uint8_t version;         /* of IP: 4, 6, 0 for anything else */
	uint8_t protocol;        /* behind IPv6's extension headers */
	uint16_t network;        /* IP header */
	uint16_t transport;      /* TCP or UDP header, complete in the head */
	uint16_t payload;        /* behind it */
	uint16_t source, target; /* addresses; with IPv6 extension headers those that these name instead */
	bool extended;           /* they do */
};

#define VIO_PROTOCOL_TCP 6u
#define VIO_PROTOCOL_UDP 17u

static inline bool vio_mac_is_multicast(const uint8_t *mac)
{
	return mac[0] & 1;
}

/* All six bytes 0xff. */
VIO_API bool vio_mac_is_broadcast(const uint8_t *mac);

/* Walks the bytes [offset, offset + length) of a frame, span by span. */
struct vio_frame_walk {
	const struct vio_span *span;
	unsigned spans_left;
	uint32_t offset; /* in *span */
	uint32_t length; /* left to walk */
};

/* [offset, offset + length) must lie inside; the frame's spans have to stay. */
static inline struct vio_frame_walk vio_frame_walk(const struct vio_frame *frame, uint32_t offset,
						   uint32_t length)
{
	return (struct vio_frame_walk){ frame->spans, frame->span_count, offset, length };
}

/* The next piece that lies in one span, of *bytes > 0 bytes; NULL behind the last. */
VIO_API const uint8_t *vio_frame_next(struct vio_frame_walk *walk, uint32_t *bytes);

/* Copies [offset, offset + length) of the frame, which must lie inside. */
VIO_API void vio_frame_copy(const struct vio_frame *frame, uint32_t offset, void *to, uint32_t length);

/* Copies the head and reads what it says. `head` has VIO_FRAME_HEAD_BYTES. */
VIO_API void vio_frame_head(const struct vio_frame *frame, uint8_t *head, struct vio_frame_layout *layout);

/* The same for a head that is at hand. */
VIO_API void vio_frame_look(const uint8_t *head, uint32_t bytes, struct vio_frame_layout *layout);

/*
 * Does what is left to be done fit the frame? Checksum inside it, segmentation of a
 * kind that the headers show, with segments of at least one byte. -VIO_EPEER if not.
 */
VIO_API int vio_frame_judge(const struct vio_frame *frame, const struct vio_frame_layout *layout);

/* Ones' complement sums, not folded; the bytes begin at an even offset of what is summed. */
VIO_API uint64_t vio_csum_add(uint64_t sum, const void *bytes, size_t length);
VIO_API uint16_t vio_csum_fold(uint64_t sum);
/* Of [offset, offset + length) of the frame. */
VIO_API uint64_t vio_frame_csum(const struct vio_frame *frame, uint32_t offset, uint32_t length);

/* Completes in the head the checksum that a judged frame asks for. -VIO_ERANGE: it lies behind the head. */
VIO_API int vio_frame_complete(const struct vio_frame *frame, uint8_t *head,
			       const struct vio_frame_layout *layout);

/*
 * Cuts a frame that was judged and has a gso_type into segments as they go over a
 * wire, checksums complete. Each is `head_bytes` of head and [offset, offset +
 * length) of the frame.
 */
struct vio_frame_cut {
	const struct vio_frame *frame;
	struct vio_frame_layout layout;
	uint8_t head[VIO_FRAME_HEAD_BYTES];
	uint16_t head_bytes;
	uint32_t offset, length;

	/* Private. */
	uint32_t next, sequence;
	uint16_t identity;
	uint8_t tcp_flags;
};

/* Copies what it needs of head and layout; the frame has to stay. */
VIO_API void vio_frame_cut_begin(struct vio_frame_cut *cut, const struct vio_frame *frame,
				 const uint8_t *head, const struct vio_frame_layout *layout);
/* Makes the next segment; false behind the last. */
VIO_API bool vio_frame_cut_next(struct vio_frame_cut *cut);

/* Toeplitz hash of `length` bytes; the key has at least length + 4. */
VIO_API uint32_t vio_toeplitz(const uint8_t *key, const uint8_t *bytes, size_t length);

#define VIO_HASH_KEY_BYTES 40u

/*
 * The hash of a received frame (5.1.9.4.3): the first of the enabled types that
 * applies. Returns VIRTIO_NET_HASH_REPORT_..., with *hash set unless it is NONE.
 */
VIO_API uint16_t vio_frame_hash(const uint8_t *head, const struct vio_frame_layout *layout, uint32_t types,
				const uint8_t *key, uint32_t *hash);

/* The same number for both directions of a flow. */
VIO_API uint32_t vio_frame_flow(const uint8_t *head, const struct vio_frame_layout *layout);

#endif
