/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "devices/net/net.h"

/*
 * Commands. Each is read out of the driver's reach and judged whole before anything
 * changes, and answered after everything did: spec: DEV-NET-088 DEV-NET-089.
 */

/* Reads exactly what is left of the command; false when it is another size. */
static bool net_read_all(struct vio_buf *buf, void *to, size_t length)
{
	return buf->readable_bytes == length && vio_read(buf, to, length) == length;
}

/* spec: DEV-NET-074 DEV-NET-078 */
static bool net_set_mode(struct vio_device *dev, unsigned command, struct vio_buf *buf)
{
	struct net_driver *driver = &((struct net *)vio_device_state(dev))->driver;
	bool extra = vio_device_has_feature(dev, VIRTIO_NET_F_CTRL_RX_EXTRA);
	bool *mode = NULL;
	uint8_t on;

	switch (command) {
	case VIRTIO_NET_CTRL_RX_PROMISC:
		mode = &driver->promisc;
		break;
	case VIRTIO_NET_CTRL_RX_ALLMULTI:
		mode = &driver->allmulti;
		break;
	case VIRTIO_NET_CTRL_RX_ALLUNI:
		mode = extra ? &driver->alluni : NULL;
		break;
	case VIRTIO_NET_CTRL_RX_NOMULTI:
		mode = extra ? &driver->nomulti : NULL;
		break;
	case VIRTIO_NET_CTRL_RX_NOUNI:
		mode = extra ? &driver->nouni : NULL;
		break;
	case VIRTIO_NET_CTRL_RX_NOBCAST:
		mode = extra ? &driver->nobcast : NULL;
		break;
	default:
		break;
	}
	if (!mode || !vio_device_has_feature(dev, VIRTIO_NET_F_CTRL_RX) ||
	    !net_read_all(buf, &on, sizeof(on)) || on > 1)
		return false;
	*mode = on;
	return true;
}

/* Takes one of the two tables; what doesn't fit makes it a table of all. */
static bool net_read_table(struct vio_buf *buf, struct net_table *table)
{
	vio_le32 wire;
	uint32_t count;

	if (vio_read(buf, &wire, sizeof(wire)) != sizeof(wire))
		return false;
	count = vio_le32_get(wire);
	if ((uint64_t)count * NET_MAC_BYTES > buf->readable_bytes)
		return false;
	table->overflow = count > NET_MACS_MAX;
	table->count = table->overflow ? 0 : (uint8_t)count;
	if (table->overflow)
		vio_skip(buf, (size_t)count * NET_MAC_BYTES);
	else
		vio_read(buf, table->macs, (size_t)count * NET_MAC_BYTES);
	return true;
}

static bool net_set_mac(struct vio_device *dev, unsigned command, struct vio_buf *buf)
{
	struct net_driver *driver = &((struct net *)vio_device_state(dev))->driver;
	struct net_table unicast = { 0 };
	struct net_table multicast = { 0 };
	uint8_t mac[NET_MAC_BYTES];

	switch (command) {
	case VIRTIO_NET_CTRL_MAC_TABLE_SET:
		if (!vio_device_has_feature(dev, VIRTIO_NET_F_CTRL_RX) || !net_read_table(buf, &unicast) ||
		    !net_read_table(buf, &multicast) || buf->readable_bytes)
			return false;
		driver->unicast = unicast;
		driver->multicast = multicast;
		return true;
	case VIRTIO_NET_CTRL_MAC_ADDR_SET:
		if (!vio_device_has_feature(dev, VIRTIO_NET_F_CTRL_MAC_ADDR) ||
		    !net_read_all(buf, mac, sizeof(mac)))
			return false;
		memcpy(driver->mac, mac, sizeof(mac));
		driver->mac_set = true;
		return true;
	default:
		return false;
	}
}

static bool net_set_vlan(struct vio_device *dev, unsigned command, struct vio_buf *buf)
{
	struct net_driver *driver = &((struct net *)vio_device_state(dev))->driver;
	uint16_t vlan;
	uint8_t bit;
	vio_le16 wire;

	if (!vio_device_has_feature(dev, VIRTIO_NET_F_CTRL_VLAN) || !net_read_all(buf, &wire, sizeof(wire)))
		return false;
	vlan = vio_le16_get(wire);
	if (vlan >= NET_VLANS || command > VIRTIO_NET_CTRL_VLAN_DEL)
		return false;
	bit = (uint8_t)(1u << (vlan % 8));
	if (command == VIRTIO_NET_CTRL_VLAN_ADD)
		driver->vlans[vlan / 8] |= bit;
	else
		driver->vlans[vlan / 8] &= (uint8_t)~bit;
	return true;
}

/* spec: DEV-NET-094 */
static bool net_announced(struct vio_device *dev, unsigned command, struct vio_buf *buf)
{
	struct net *net = vio_device_state(dev);

	if (!vio_device_has_feature(dev, VIRTIO_NET_F_GUEST_ANNOUNCE) ||
	    command != VIRTIO_NET_CTRL_ANNOUNCE_ACK || buf->readable_bytes)
		return false;
	net->driver.announce = false;
	net->announce = false;
	return true;
}

static bool net_set_pairs(struct vio_device *dev, struct vio_buf *buf)
{
	struct net *net = vio_device_state(dev);
	vio_le16 wire;
	uint16_t pairs;

	if (!vio_device_has_feature(dev, VIRTIO_NET_F_MQ) || !net_read_all(buf, &wire, sizeof(wire)))
		return false;
	pairs = vio_le16_get(wire);
	if (pairs < VIRTIO_NET_CTRL_MQ_VQ_PAIRS_MIN || pairs > net->pairs_max)
		return false;
	net->driver.pairs = pairs;
	net->driver.rss = false;
	vio_netdev_configure(dev);
	return true;
}

/* The end of both commands: a length and a key of that length. */
static bool net_read_key(struct vio_buf *buf, uint8_t *key)
{
	uint8_t length;

	memset(key, 0, VIO_HASH_KEY_BYTES);
	return vio_read(buf, &length, 1) == 1 && length <= VIO_HASH_KEY_BYTES &&
	       net_read_all(buf, key, length);
}

/* spec: DEV-NET-068 DEV-NET-070 DEV-NET-101 */
static bool net_set_hash(struct vio_device *dev, struct vio_buf *buf)
{
	struct net_driver *driver = &((struct net *)vio_device_state(dev))->driver;
	uint8_t key[VIO_HASH_KEY_BYTES];
	vio_le16 reserved[4];
	vio_le32 types;

	if (!vio_device_has_feature(dev, VIRTIO_NET_F_HASH_REPORT) ||
	    vio_read(buf, &types, sizeof(types)) != sizeof(types) ||
	    vio_read(buf, reserved, sizeof(reserved)) != sizeof(reserved) || !net_read_key(buf, key) ||
	    vio_le32_get(types) & ~NET_HASH_TYPES)
		return false;
	driver->hash_types = vio_le32_get(types);
	memcpy(driver->hash_key, key, sizeof(key));
	driver->rss = false;
	return true;
}

/* A receive queue by half its index; the highest bit is reserved. */
static bool net_read_queue(const struct net *net, vio_le16 wire, uint16_t *pair)
{
	*pair = vio_le16_get(wire) & 0x7fff;
	return *pair < net->pairs_max;
}

static bool net_read_indirection(const struct net *net, struct vio_buf *buf, uint16_t mask, uint16_t *table)
{
	vio_le16 wire;

	if (mask >= NET_RSS_TABLE || !vio_is_power_of_two((uint64_t)mask + 1))
		return false;
	for (unsigned i = 0; i <= mask; i++) {
		if (vio_read(buf, &wire, sizeof(wire)) != sizeof(wire) ||
		    !net_read_queue(net, wire, &table[i]))
			return false;
	}
	return true;
}

/* spec: DEV-NET-069 */
static bool net_set_rss(struct vio_device *dev, struct vio_buf *buf)
{
	struct net *net = vio_device_state(dev);
	struct net_driver *driver = &net->driver;
	struct virtio_net_rss_config_head head;
	uint16_t table[NET_RSS_TABLE] = { 0 };
	uint8_t key[VIO_HASH_KEY_BYTES];
	uint16_t mask, unclassified, transmit;
	vio_le16 wire;

	if (!vio_device_has_feature(dev, VIRTIO_NET_F_RSS) ||
	    vio_read(buf, &head, sizeof(head)) != sizeof(head))
		return false;
	mask = vio_le16_get(head.indirection_table_mask);
	if (vio_le32_get(head.hash_types) & ~NET_HASH_TYPES ||
	    !net_read_queue(net, head.unclassified_queue, &unclassified) ||
	    !net_read_indirection(net, buf, mask, table) ||
	    vio_read(buf, &wire, sizeof(wire)) != sizeof(wire))
		return false;
	transmit = vio_le16_get(wire);
	if (!transmit || transmit > net->pairs_max || !net_read_key(buf, key))
		return false;
	driver->hash_types = vio_le32_get(head.hash_types);
	driver->rss_mask = mask;
	driver->rss_unclassified = unclassified;
	memcpy(driver->rss_table, table, sizeof(table));
	memcpy(driver->hash_key, key, sizeof(key));
	driver->pairs = transmit;
	driver->rss = true;
	vio_netdev_configure(dev);
	return true;
}

static bool net_set_multiqueue(struct vio_device *dev, unsigned command, struct vio_buf *buf)
{
	switch (command) {
	case VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET:
		return net_set_pairs(dev, buf);
	case VIRTIO_NET_CTRL_MQ_RSS_CONFIG:
		return net_set_rss(dev, buf);
	case VIRTIO_NET_CTRL_MQ_HASH_CONFIG:
		return net_set_hash(dev, buf);
	default:
		return false;
	}
}

static bool net_has_bit(uint64_t set, unsigned bit)
{
	return set >> bit & 1;
}

static bool net_set_offloads(struct vio_device *dev, unsigned command, struct vio_buf *buf)
{
	struct net *net = vio_device_state(dev);
	vio_le64 wire;
	uint64_t wish;

	if (!vio_device_has_feature(dev, VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) ||
	    command != VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET || !net_read_all(buf, &wire, sizeof(wire)))
		return false;
	wish = vio_le64_get(wire);
	if (wish & ~(dev->features_accepted.word[0] & NET_OFFLOAD_BITS))
		return false;
	/* What is to be cut has a checksum to complete, and ECN is about TCP. */
	if (wish && !net_has_bit(wish, VIRTIO_NET_F_GUEST_CSUM))
		return false;
	if (net_has_bit(wish, VIRTIO_NET_F_GUEST_ECN) && !net_has_bit(wish, VIRTIO_NET_F_GUEST_TSO4) &&
	    !net_has_bit(wish, VIRTIO_NET_F_GUEST_TSO6))
		return false;
	net->driver.offloads = wish;
	vio_netdev_configure(dev);
	return true;
}

static struct net_coal net_read_coal(const struct virtio_net_ctrl_coal *wire)
{
	return (struct net_coal){ vio_le32_get(wire->max_packets), vio_le32_get(wire->max_usecs) };
}

static void net_set_all(struct vio_device *dev, unsigned first, const struct net_coal *coal)
{
	uint16_t control = vio_netdev_control_queue(dev);

	for (unsigned i = first; i < dev->queue_count; i += 2) {
		if (i != control)
			vio_netdev_queue_of(dev, &dev->queues[i])->coal = *coal;
	}
}

/* spec: DEV-NET-108 DEV-NET-109: of an enabled queue that carries packets. */
static bool net_set_one(struct vio_device *dev, unsigned command, struct vio_buf *buf,
			const struct virtio_net_ctrl_coal_vq *wire)
{
	uint16_t index = vio_le16_get(wire->vq_index); /* spec: DEV-NET-106: reserved isn't looked at */
	struct net_coal *coal;

	if (index >= dev->queue_count || index == vio_netdev_control_queue(dev) ||
	    !dev->queues[index].running)
		return false;
	coal = &vio_netdev_queue_of(dev, &dev->queues[index])->coal;
	if (command == VIRTIO_NET_CTRL_NOTF_COAL_VQ_SET) {
		*coal = net_read_coal(&wire->coal);
	} else {
		struct virtio_net_ctrl_coal answer = { vio_le32_make(coal->max_packets),
						       vio_le32_make(coal->max_usecs) };
		uint8_t ok = VIRTIO_NET_OK;

		/* The answer comes first: the one place where more follows. */
		if (buf->writable_bytes < sizeof(ok) + sizeof(answer))
			return false;
		vio_write(buf, &ok, sizeof(ok));
		vio_write(buf, &answer, sizeof(answer));
	}
	return true;
}

/* spec: DEV-NET-107 */
static bool net_set_coal(struct vio_device *dev, unsigned command, struct vio_buf *buf)
{
	struct net_driver *driver = &((struct net *)vio_device_state(dev))->driver;
	struct virtio_net_ctrl_coal_vq one = { 0 };
	struct virtio_net_ctrl_coal all;
	uint64_t least = sizeof(one);

	switch (command) {
	case VIRTIO_NET_CTRL_NOTF_COAL_TX_SET:
	case VIRTIO_NET_CTRL_NOTF_COAL_RX_SET:
		if (!vio_device_has_feature(dev, VIRTIO_NET_F_NOTF_COAL) ||
		    !net_read_all(buf, &all, sizeof(all)))
			return false;
		if (command == VIRTIO_NET_CTRL_NOTF_COAL_TX_SET) {
			driver->transmit_coal = net_read_coal(&all);
			net_set_all(dev, VIRTIO_NET_TRANSMITQ, &driver->transmit_coal);
		} else {
			driver->receive_coal = net_read_coal(&all);
			net_set_all(dev, VIRTIO_NET_RECEIVEQ, &driver->receive_coal);
		}
		return true;
	case VIRTIO_NET_CTRL_NOTF_COAL_VQ_SET:
	case VIRTIO_NET_CTRL_NOTF_COAL_VQ_GET:
		/* Who asks may leave out what it asks for. */
		if (command == VIRTIO_NET_CTRL_NOTF_COAL_VQ_GET)
			least -= sizeof(all);
		if (!vio_device_has_feature(dev, VIRTIO_NET_F_VQ_NOTF_COAL) || buf->readable_bytes < least ||
		    buf->readable_bytes > sizeof(one))
			return false;
		vio_read(buf, &one, sizeof(one));
		return net_set_one(dev, command, buf, &one);
	default:
		return false;
	}
}

static bool net_obey(struct vio_device *dev, struct vio_buf *buf)
{
	struct virtio_net_ctrl_hdr header;

	if (buf->truncated || vio_read(buf, &header, sizeof(header)) != sizeof(header))
		return false;
	switch (header.class) {
	case VIRTIO_NET_CTRL_RX:
		return net_set_mode(dev, header.command, buf);
	case VIRTIO_NET_CTRL_MAC:
		return net_set_mac(dev, header.command, buf);
	case VIRTIO_NET_CTRL_VLAN:
		return net_set_vlan(dev, header.command, buf);
	case VIRTIO_NET_CTRL_ANNOUNCE:
		return net_announced(dev, header.command, buf);
	case VIRTIO_NET_CTRL_MQ:
		return net_set_multiqueue(dev, header.command, buf);
	case VIRTIO_NET_CTRL_GUEST_OFFLOADS:
		return net_set_offloads(dev, header.command, buf);
	case VIRTIO_NET_CTRL_NOTF_COAL:
		return net_set_coal(dev, header.command, buf);
	default:
		return false;
	}
}

void vio_netdev_control(struct vio_device *dev, struct vio_devq *q)
{
	struct vio_buf buf;

	while (vio_devq_pop(q, &buf)) {
		struct vio_buf all = buf;
		uint64_t room = buf.writable_bytes;
		uint8_t answer;

		/* Where no answer fits, nothing is done. */
		if (room) {
			answer = net_obey(dev, &buf) ? VIRTIO_NET_OK : VIRTIO_NET_ERR;
			if (buf.writable_bytes == room)
				vio_write(&buf, &answer, sizeof(answer));
		}
		vio_devq_push(q, &all, (uint32_t)(room - buf.writable_bytes));
	}
	vio_devq_notify(q);
}
