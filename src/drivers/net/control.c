/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "drivers/net/net.h"

/*
 * Commands. Each part has a descriptor of its own, as a legacy device may insist on: DRV-NET-121. How much
 * of the answer such a device says it wrote is of no interest: DRV-NET-015.
 */

#define DATA_PARTS_MAX 2u
#define UNANSWERED     0xffu

VIO_STATIC_ASSERT(sizeof(struct virtio_net_rss_config_head) == 8, "a command has holes");
VIO_STATIC_ASSERT(sizeof(struct virtio_net_ctrl_coal_vq) == 12, "a command has holes");

/* 0 when a command that needs this feature can be given. */
static int judge(const struct vio_dev *dev, unsigned feature)
{
	const struct vio_net *net = vio_net_of(dev);

	if (!net)
		return -VIO_EINVAL;
	if (dev->phase != VIO_DEV_READY)
		return -VIO_EPHASE;
	return net->control && vio_dev_has_feature(dev, feature) ? 0 : -VIO_ENOTSUP;
}

/* spec: DRV-NET-121; `data` are parts of net->data */
static int command(struct vio_dev *dev, uint8_t class, uint8_t number, const struct vio_part *data,
		   unsigned data_count, unsigned results)
{
	struct vio_net *net = vio_net_of(dev);
	struct vio_part parts[DATA_PARTS_MAX + 3];
	uint32_t written;
	unsigned i;
	int error;

	net->command.class = class;
	net->command.command = number;
	net->ack = UNANSWERED;
	parts[0] = (struct vio_part){ &net->command, sizeof(net->command) };
	for (i = 0; i < data_count; i++)
		parts[1 + i] = data[i];
	parts[1 + data_count] = (struct vio_part){ &net->ack, sizeof(net->ack) };
	parts[2 + data_count] = (struct vio_part){ &net->result, sizeof(net->result) };
	error = vio_dev_exchange(dev, net->control, parts, 1 + data_count, 1 + results, &written,
				 net->timeout_ns);
	if (error) {
		if (dev->phase != VIO_DEV_READY)
			vio_net_stop(dev);
		return error;
	}
	if (vio_dev_is_legacy(dev))
		written = 1 + (results ? (uint32_t)sizeof(net->result) : 0);
	if (!written || net->ack > VIRTIO_NET_ERR)
		return -VIO_EPEER;
	if (net->ack == VIRTIO_NET_ERR) /* spec: DRV-NET-096 */
		return -VIO_EACCES;
	return results && written < 1 + sizeof(net->result) ? -VIO_EPEER : 0;
}

/* With the first `bytes` of net->data. */
static int command_data(struct vio_dev *dev, uint8_t class, uint8_t number, uint32_t bytes)
{
	const struct vio_part part = { vio_net_of(dev)->data, bytes };

	return command(dev, class, number, &part, 1, 0);
}

int vio_net_set_receive(struct vio_dev *dev, uint8_t mode, unsigned on)
{
	/* spec: DRV-NET-072 DRV-NET-073 */
	int error = judge(dev, mode <= VIRTIO_NET_CTRL_RX_ALLMULTI ? VIRTIO_NET_F_CTRL_RX
								   : VIRTIO_NET_F_CTRL_RX_EXTRA);

	if (error)
		return error;
	if (mode > VIRTIO_NET_CTRL_RX_NOBCAST)
		return -VIO_EINVAL;
	vio_net_of(dev)->data[0] = !!on;
	return command_data(dev, VIRTIO_NET_CTRL_RX, mode, 1);
}

/* A table of addresses for the wire; its bytes. */
static uint32_t write_table(uint8_t *to, const uint8_t (*addresses)[6], unsigned count)
{
	const vio_le32 wire = vio_le32_make(count);

	memcpy(to, &wire, sizeof(wire));
	if (count)
		memcpy(to + sizeof(wire), addresses, (size_t)count * 6);
	return (uint32_t)sizeof(wire) + count * 6;
}

int vio_net_set_filter(struct vio_dev *dev, const uint8_t (*unicast)[6], unsigned unicast_count,
		       const uint8_t (*multicast)[6], unsigned multicast_count)
{
	struct vio_net *net = vio_net_of(dev);
	int error = judge(dev, VIRTIO_NET_F_CTRL_RX); /* spec: DRV-NET-074 */
	struct vio_part parts[2];

	if (error)
		return error;
	if (unicast_count > VIO_NET_ADDRESS_MAX || multicast_count > VIO_NET_ADDRESS_MAX - unicast_count)
		return -VIO_ERANGE;
	/* spec: DRV-NET-076 DRV-NET-122 DRV-NET-123 */
	parts[0].host = net->data;
	parts[0].length = write_table(net->data, unicast, unicast_count);
	parts[1].host = net->data + parts[0].length;
	parts[1].length = write_table(parts[1].host, multicast, multicast_count);
	return command(dev, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, parts, 2, 0);
}

int vio_net_set_mac(struct vio_dev *dev, const uint8_t mac[6])
{
	struct vio_net *net = vio_net_of(dev);
	int error = judge(dev, VIRTIO_NET_F_CTRL_MAC_ADDR);

	if (!error) /* spec: DRV-NET-074 */
		error = judge(dev, VIRTIO_NET_F_CTRL_RX);
	if (error)
		return error;
	if (mac[0] & 1)
		return -VIO_EINVAL;
	memcpy(net->data, mac, 6);
	/* spec: DRV-NET-075, and DRV-NET-001 as the configuration isn't written to */
	error = command_data(dev, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, 6);
	if (error)
		return error;
	memcpy(net->mac, mac, 6);
	net->mac_known = true;
	return 0;
}

int vio_net_set_vlan(struct vio_dev *dev, uint16_t id, unsigned on)
{
	int error = judge(dev, VIRTIO_NET_F_CTRL_VLAN);
	const vio_le16 wire = vio_le16_make(id);

	if (error)
		return error;
	if (id > 4095)
		return -VIO_EINVAL;
	memcpy(vio_net_of(dev)->data, &wire, sizeof(wire));
	return command_data(dev, VIRTIO_NET_CTRL_VLAN,
			    on ? VIRTIO_NET_CTRL_VLAN_ADD : VIRTIO_NET_CTRL_VLAN_DEL, sizeof(wire));
}

int vio_net_announced(struct vio_dev *dev)
{
	int error = judge(dev, VIRTIO_NET_F_GUEST_ANNOUNCE);

	if (!error) /* spec: DRV-NET-078 */
		error = command(dev, VIRTIO_NET_CTRL_ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE_ACK, NULL, 0, 0);
	if (!error)
		vio_net_of(dev)->announce = false;
	return error;
}

int vio_net_set_pairs(struct vio_dev *dev, uint16_t count)
{
	struct vio_net *net = vio_net_of(dev);
	int error = judge(dev, VIRTIO_NET_F_MQ);
	const vio_le16 wire = vio_le16_make(count);
	uint16_t before;

	if (error)
		return error;
	if (!count || count > net->pairs) /* spec: DRV-NET-079 DRV-NET-080 */
		return -VIO_ERANGE;
	before = net->pairs_active;
	if (count < before) /* spec: DRV-NET-082 */
		net->pairs_active = count;
	memcpy(net->data, &wire, sizeof(wire));
	error = command_data(dev, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, sizeof(wire));
	if (!error)
		net->pairs_active = count;
	else if (dev->phase == VIO_DEV_READY)
		net->pairs_active = before;
	return error;
}

int vio_net_set_offloads(struct vio_dev *dev, uint64_t features)
{
	const struct vio_features known = vio_features_low(
		UINT64_C(1) << VIRTIO_NET_F_GUEST_CSUM | UINT64_C(1) << VIRTIO_NET_F_GUEST_TSO4 |
		UINT64_C(1) << VIRTIO_NET_F_GUEST_TSO6 | UINT64_C(1) << VIRTIO_NET_F_GUEST_ECN |
		UINT64_C(1) << VIRTIO_NET_F_GUEST_UFO | UINT64_C(1) << VIRTIO_NET_F_GUEST_USO4 |
		UINT64_C(1) << VIRTIO_NET_F_GUEST_USO6);
	int error = judge(dev, VIRTIO_NET_F_CTRL_GUEST_OFFLOADS);
	const vio_le64 wire = vio_le64_make(features);

	if (error)
		return error;
	/* spec: DRV-NET-092 */
	if (features & ~vio_features_and(known, dev->accepted).word[0])
		return -VIO_ENOTSUP;
	memcpy(vio_net_of(dev)->data, &wire, sizeof(wire));
	return command_data(dev, VIRTIO_NET_CTRL_GUEST_OFFLOADS, VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET,
			    sizeof(wire));
}

/* Interrupts for many frames. */

static struct virtio_net_ctrl_coal wire_of(const struct vio_net_coalescing *coalescing)
{
	return (struct virtio_net_ctrl_coal){ vio_le32_make(coalescing->frames_max),
					      vio_le32_make(coalescing->usecs_max) };
}

int vio_net_set_coalescing(struct vio_dev *dev, uint8_t direction,
			   const struct vio_net_coalescing *coalescing)
{
	int error = judge(dev, VIRTIO_NET_F_NOTF_COAL); /* spec: DRV-NET-094 */
	const struct virtio_net_ctrl_coal wire = wire_of(coalescing);

	if (error)
		return error;
	if (direction > VIRTIO_NET_CTRL_NOTF_COAL_RX_SET)
		return -VIO_EINVAL;
	memcpy(vio_net_of(dev)->data, &wire, sizeof(wire));
	return command_data(dev, VIRTIO_NET_CTRL_NOTF_COAL, direction, sizeof(wire));
}

static int judge_queue(const struct vio_dev *dev, uint16_t queue)
{
	int error = judge(dev, VIRTIO_NET_F_VQ_NOTF_COAL); /* spec: DRV-NET-095 */

	if (error)
		return error;
	return queue / 2u < vio_net_of(dev)->pairs_active ? 0 : -VIO_ERANGE; /* spec: DRV-NET-093 */
}

int vio_net_set_queue_coalescing(struct vio_dev *dev, uint16_t queue,
				 const struct vio_net_coalescing *coalescing)
{
	const struct virtio_net_ctrl_coal_vq wire = { .vq_index = vio_le16_make(queue),
						      .coal = wire_of(coalescing) };
	int error = judge_queue(dev, queue);

	if (error)
		return error;
	memcpy(vio_net_of(dev)->data, &wire, sizeof(wire));
	return command_data(dev, VIRTIO_NET_CTRL_NOTF_COAL, VIRTIO_NET_CTRL_NOTF_COAL_VQ_SET, sizeof(wire));
}

int vio_net_get_queue_coalescing(struct vio_dev *dev, uint16_t queue, struct vio_net_coalescing *coalescing)
{
	const struct virtio_net_ctrl_coal_vq wire = { .vq_index = vio_le16_make(queue) };
	struct vio_net *net = vio_net_of(dev);
	int error = judge_queue(dev, queue);
	struct vio_part part;

	if (error)
		return error;
	memcpy(net->data, &wire, sizeof(wire));
	part = (struct vio_part){ net->data, sizeof(wire) };
	error = command(dev, VIRTIO_NET_CTRL_NOTF_COAL, VIRTIO_NET_CTRL_NOTF_COAL_VQ_GET, &part, 1, 1);
	if (error)
		return error;
	coalescing->frames_max = vio_le32_get(net->result.max_packets);
	coalescing->usecs_max = vio_le32_get(net->result.max_usecs);
	return 0;
}

/* Hashes. */

int vio_net_set_hash(struct vio_dev *dev, uint32_t hash_types, const uint8_t *key, uint8_t key_bytes)
{
	/* spec: DRV-NET-083 */
	struct virtio_net_hash_config_head head = { .hash_types = vio_le32_make(hash_types),
						    .hash_key_length = key_bytes };
	const uint32_t head_bytes = offsetof(struct virtio_net_hash_config_head, hash_key_length) + 1;
	struct vio_net *net = vio_net_of(dev);
	int error = judge(dev, VIRTIO_NET_F_HASH_REPORT);

	if (error)
		return error;
	if (hash_types & ~net->hash_types) /* spec: DRV-NET-088 */
		return -VIO_ENOTSUP;
	if (key_bytes > net->key_max || key_bytes > VIO_NET_KEY_MAX)
		return -VIO_ERANGE;
	memcpy(net->data, &head, head_bytes);
	if (key_bytes)
		memcpy(net->data + head_bytes, key, key_bytes);
	return command_data(dev, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_HASH_CONFIG, head_bytes + key_bytes);
}

static int judge_steering(const struct vio_net *net, const struct vio_net_steering *steering)
{
	unsigned i, count = steering->table_count;

	if (steering->hash_types & ~net->hash_types) /* spec: DRV-NET-088 */
		return -VIO_ENOTSUP;
	/* spec: DRV-NET-086 DRV-NET-087 */
	if (!count || count & (count - 1) || count > net->steering_max || count > VIO_NET_STEERING_MAX ||
	    steering->key_bytes > net->key_max || steering->key_bytes > VIO_NET_KEY_MAX)
		return -VIO_ERANGE;
	for (i = 0; i < count; i++) /* spec: DRV-NET-085 */
		if (steering->table[i] >= net->pairs)
			return -VIO_ERANGE;
	return steering->unhashed < net->pairs && steering->pairs && steering->pairs <= net->pairs
		       ? 0
		       : -VIO_ERANGE;
}

int vio_net_set_steering(struct vio_dev *dev, const struct vio_net_steering *steering)
{
	const struct virtio_net_rss_config_head head = {
		.hash_types = vio_le32_make(steering->hash_types),
		.indirection_table_mask = vio_le16_make((uint16_t)(steering->table_count - 1)),
		.unclassified_queue = vio_le16_make(steering->unhashed),
	};
	struct vio_net *net = vio_net_of(dev);
	int error = judge(dev, VIRTIO_NET_F_RSS); /* spec: DRV-NET-084 */
	vio_le16 wire;
	uint8_t *at;
	unsigned i;

	if (!error)
		error = judge_steering(net, steering);
	if (error)
		return error;
	memcpy(net->data, &head, sizeof(head));
	at = net->data + sizeof(head);
	for (i = 0; i <= steering->table_count; i++, at += sizeof(wire)) {
		wire = vio_le16_make(i < steering->table_count ? steering->table[i] : steering->pairs);
		memcpy(at, &wire, sizeof(wire));
	}
	*at++ = steering->key_bytes;
	if (steering->key_bytes)
		memcpy(at, steering->key, steering->key_bytes);
	at += steering->key_bytes;
	if (steering->pairs < net->pairs_active)
		net->pairs_active = steering->pairs;
	error = command_data(dev, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_RSS_CONFIG,
			     (uint32_t)(at - net->data));
	if (!error)
		net->pairs_active = steering->pairs;
	return error;
}
