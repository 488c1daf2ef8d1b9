/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_SPEC_VIRTIO_NET_H
#define VIREO_SPEC_VIRTIO_NET_H

#include <vireo/spec/types.h>

/* Network device (5.1), as far as it is used here. Feature bits are bit numbers. */

#define VIRTIO_NET_F_CSUM 0
#define VIRTIO_NET_F_GUEST_CSUM 1
#define VIRTIO_NET_F_CTRL_GUEST_OFFLOADS 2
#define VIRTIO_NET_F_MTU 3
#define VIRTIO_NET_F_MAC 5
#define VIRTIO_NET_F_GUEST_TSO4 7
#define VIRTIO_NET_F_GUEST_TSO6 8
#define VIRTIO_NET_F_GUEST_ECN 9
#define VIRTIO_NET_F_GUEST_UFO 10
#define VIRTIO_NET_F_HOST_TSO4 11
#define VIRTIO_NET_F_HOST_TSO6 12
#define VIRTIO_NET_F_HOST_ECN 13
#define VIRTIO_NET_F_HOST_UFO 14
#define VIRTIO_NET_F_MRG_RXBUF 15
#define VIRTIO_NET_F_STATUS 16
#define VIRTIO_NET_F_CTRL_VQ 17
#define VIRTIO_NET_F_CTRL_RX 18
#define VIRTIO_NET_F_CTRL_VLAN 19
#define VIRTIO_NET_F_CTRL_RX_EXTRA 20
#define VIRTIO_NET_F_GUEST_ANNOUNCE 21
#define VIRTIO_NET_F_MQ 22
#define VIRTIO_NET_F_CTRL_MAC_ADDR 23
#define VIRTIO_NET_F_DEVICE_STATS 50
#define VIRTIO_NET_F_HASH_TUNNEL 51
#define VIRTIO_NET_F_VQ_NOTF_COAL 52
#define VIRTIO_NET_F_NOTF_COAL 53
#define VIRTIO_NET_F_GUEST_USO4 54
#define VIRTIO_NET_F_GUEST_USO6 55
#define VIRTIO_NET_F_HOST_USO 56
#define VIRTIO_NET_F_HASH_REPORT 57
#define VIRTIO_NET_F_GUEST_HDRLEN 59
#define VIRTIO_NET_F_RSS 60
#define VIRTIO_NET_F_RSC_EXT 61
#define VIRTIO_NET_F_STANDBY 62
#define VIRTIO_NET_F_SPEED_DUPLEX 63

/* The first pair; the control queue follows the last one. */
#define VIRTIO_NET_RECEIVEQ 0u
#define VIRTIO_NET_TRANSMITQ 1u

#define VIRTIO_NET_S_LINK_UP 1u
#define VIRTIO_NET_S_ANNOUNCE 2u

#define VIRTIO_NET_SPEED_UNKNOWN 0xffffffffu
#define VIRTIO_NET_DUPLEX_HALF 0u
#define VIRTIO_NET_DUPLEX_FULL 1u
#define VIRTIO_NET_DUPLEX_UNKNOWN 0xffu

struct virtio_net_config {
	uint8_t mac[6];  /* F_MAC */
	vio_le16 status; /* F_STATUS */
	vio_le16 max_virtqueue_pairs; /* F_MQ or F_RSS */
	vio_le16 mtu;    /* F_MTU */
	vio_le32 speed;  /* F_SPEED_DUPLEX, Mbit/s */
	uint8_t duplex;
	uint8_t rss_max_key_size; /* F_RSS or F_HASH_REPORT */
	vio_le16 rss_max_indirection_table_length; /* F_RSS */
	vio_le32 supported_hash_types;   /* F_RSS or F_HASH_REPORT */
	vio_le32 supported_tunnel_types; /* F_HASH_TUNNEL */
};

#define VIRTIO_NET_HDR_F_NEEDS_CSUM 1u
#define VIRTIO_NET_HDR_F_DATA_VALID 2u
#define VIRTIO_NET_HDR_F_RSC_INFO 4u
#define VIRTIO_NET_HDR_F_UDP_TUNNEL_CSUM 8u

#define VIRTIO_NET_HDR_GSO_NONE 0u
#define VIRTIO_NET_HDR_GSO_TCPV4 1u
#define VIRTIO_NET_HDR_GSO_UDP 3u
#define VIRTIO_NET_HDR_GSO_TCPV6 4u
#define VIRTIO_NET_HDR_GSO_UDP_L4 5u
#define VIRTIO_NET_HDR_GSO_UDP_TUNNEL_IPV4 0x20u /* a flag, as is what follows */
#define VIRTIO_NET_HDR_GSO_UDP_TUNNEL_IPV6 0x40u
#define VIRTIO_NET_HDR_GSO_ECN 0x80u

/* In front of each packet; a legacy device without F_MRG_RXBUF has no num_buffers. */
struct virtio_net_hdr {
	uint8_t flags;
	uint8_t gso_type;
	vio_le16 hdr_len;
	vio_le16 gso_size;
	vio_le16 csum_start;
	vio_le16 csum_offset;
	vio_le16 num_buffers;
};

#define VIRTIO_NET_HDR_BYTES_SHORT 10u

/* With F_HASH_REPORT. */
struct virtio_net_hdr_hash {
	struct virtio_net_hdr header;
	vio_le32 hash_value;
	vio_le16 hash_report;
	vio_le16 padding_reserved;
};

#define VIRTIO_NET_HASH_REPORT_NONE 0u
#define VIRTIO_NET_HASH_REPORT_IPv4 1u
#define VIRTIO_NET_HASH_REPORT_TCPv4 2u
#define VIRTIO_NET_HASH_REPORT_UDPv4 3u
#define VIRTIO_NET_HASH_REPORT_IPv6 4u
#define VIRTIO_NET_HASH_REPORT_TCPv6 5u
#define VIRTIO_NET_HASH_REPORT_UDPv6 6u
#define VIRTIO_NET_HASH_REPORT_IPv6_EX 7u
#define VIRTIO_NET_HASH_REPORT_TCPv6_EX 8u
#define VIRTIO_NET_HASH_REPORT_UDPv6_EX 9u

/* Hash types are a set of these. */
#define VIRTIO_NET_HASH_TYPE_IPv4 (1u << 0)
#define VIRTIO_NET_HASH_TYPE_TCPv4 (1u << 1)
#define VIRTIO_NET_HASH_TYPE_UDPv4 (1u << 2)
#define VIRTIO_NET_HASH_TYPE_IPv6 (1u << 3)
#define VIRTIO_NET_HASH_TYPE_TCPv6 (1u << 4)
#define VIRTIO_NET_HASH_TYPE_UDPv6 (1u << 5)
#define VIRTIO_NET_HASH_TYPE_IP_EX (1u << 6)
#define VIRTIO_NET_HASH_TYPE_TCP_EX (1u << 7)
#define VIRTIO_NET_HASH_TYPE_UDP_EX (1u << 8)

/* What a control command begins with; its data follow, then one byte that the device writes. */
struct virtio_net_ctrl_hdr {
	uint8_t class;
	uint8_t command;
};

#define VIRTIO_NET_OK 0u
#define VIRTIO_NET_ERR 1u

#define VIRTIO_NET_CTRL_RX 0u
#define VIRTIO_NET_CTRL_RX_PROMISC 0u
#define VIRTIO_NET_CTRL_RX_ALLMULTI 1u
#define VIRTIO_NET_CTRL_RX_ALLUNI 2u
#define VIRTIO_NET_CTRL_RX_NOMULTI 3u
#define VIRTIO_NET_CTRL_RX_NOUNI 4u
#define VIRTIO_NET_CTRL_RX_NOBCAST 5u

/* Data of TABLE_SET: a vio_le32 count and that many addresses, for unicast, then for multicast. */
#define VIRTIO_NET_CTRL_MAC 1u
#define VIRTIO_NET_CTRL_MAC_TABLE_SET 0u
#define VIRTIO_NET_CTRL_MAC_ADDR_SET 1u

#define VIRTIO_NET_CTRL_VLAN 2u
#define VIRTIO_NET_CTRL_VLAN_ADD 0u
#define VIRTIO_NET_CTRL_VLAN_DEL 1u

#define VIRTIO_NET_CTRL_ANNOUNCE 3u
#define VIRTIO_NET_CTRL_ANNOUNCE_ACK 0u

#define VIRTIO_NET_CTRL_MQ 4u
#define VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET 0u
#define VIRTIO_NET_CTRL_MQ_RSS_CONFIG 1u
#define VIRTIO_NET_CTRL_MQ_HASH_CONFIG 2u
#define VIRTIO_NET_CTRL_MQ_VQ_PAIRS_MIN 1u
#define VIRTIO_NET_CTRL_MQ_VQ_PAIRS_MAX 0x8000u

/*
 * RSS_CONFIG: this, indirection_table_mask + 1 entries vio_le16, vio_le16 max_tx_vq, a byte with the
 * length of the key, the key. Queues are receive queues' virtqueue indices halved.
 */
struct virtio_net_rss_config_head {
	vio_le32 hash_types;
	vio_le16 indirection_table_mask;
	vio_le16 unclassified_queue;
};

/* HASH_CONFIG: this, the key. */
struct virtio_net_hash_config_head {
	vio_le32 hash_types;
	vio_le16 reserved[4];
	uint8_t hash_key_length;
};

/* Data: vio_le64, a set of feature bits. */
#define VIRTIO_NET_CTRL_GUEST_OFFLOADS 5u
#define VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET 0u

#define VIRTIO_NET_CTRL_NOTF_COAL 6u
#define VIRTIO_NET_CTRL_NOTF_COAL_TX_SET 0u
#define VIRTIO_NET_CTRL_NOTF_COAL_RX_SET 1u
#define VIRTIO_NET_CTRL_NOTF_COAL_VQ_SET 2u
#define VIRTIO_NET_CTRL_NOTF_COAL_VQ_GET 3u /* struct virtio_net_ctrl_coal comes back behind the answer */

struct virtio_net_ctrl_coal {
	vio_le32 max_packets;
	vio_le32 max_usecs;
};

struct virtio_net_ctrl_coal_vq {
	vio_le16 vq_index;
	vio_le16 reserved;
	struct virtio_net_ctrl_coal coal;
};

#endif
