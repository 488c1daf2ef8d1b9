/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "devices/net/net.h"

static bool net_table_has(const struct net_table *table, const uint8_t *mac)
{
	if (table->overflow)
		return true;
	for (unsigned i = 0; i < table->count; i++) {
		if (!memcmp(table->macs[i], mac, NET_MAC_BYTES))
			return true;
	}
	return false;
}

bool vio_netdev_filters(const struct vio_device *dev)
{
	uint16_t control = vio_netdev_control_queue(dev);

	return control < dev->queue_count && dev->queues[control].running;
}

/* What the modes say of a frame to this address. */
static bool net_modes_pass(const struct vio_device *dev, const struct net_driver *driver, const uint8_t *mac)
{
	if (driver->promisc) /* spec: DEV-NET-075 DEV-NET-076 */
		return true;
	if (vio_mac_is_broadcast(mac)) /* spec: DEV-NET-082 DEV-NET-085 DEV-NET-086 */
		return !driver->nobcast;
	if (vio_mac_is_multicast(mac)) {
		if (driver->nomulti) /* spec: DEV-NET-080 DEV-NET-081 */
			return false;
		/* spec: DEV-NET-077 */
		return driver->allmulti || net_table_has(&driver->multicast, mac);
	}
	if (driver->nouni) /* spec: DEV-NET-083 DEV-NET-084 */
		return false;
	if (driver->alluni || net_table_has(&driver->unicast, mac)) /* spec: DEV-NET-079 */
		return true;
	/* spec: DEV-NET-090; a driver that chose an address without a word gets everything. */
	if (!driver->mac_set && !vio_device_has_feature(dev, VIRTIO_NET_F_MAC))
		return true;
	return !memcmp(driver->mac, mac, NET_MAC_BYTES);
}

bool vio_netdev_address_passes(const struct vio_device *dev, const uint8_t *mac)
{
	const struct net *net = vio_device_state(dev);

	return !vio_device_has_feature(dev, VIRTIO_NET_F_CTRL_RX) || net_modes_pass(dev, &net->driver, mac);
}

bool vio_netdev_filter_passes(const struct vio_device *dev, const uint8_t *head,
			      const struct vio_frame_layout *layout)
{
	const struct net *net = vio_device_state(dev);

	if (!vio_netdev_filters(dev))
		return true;
	/* spec: DEV-NET-091 DEV-NET-092 DEV-NET-093 */
	if (layout->tagged && vio_device_has_feature(dev, VIRTIO_NET_F_CTRL_VLAN) &&
	    !(net->driver.vlans[layout->vlan / 8] >> (layout->vlan % 8) & 1))
		return false;
	return vio_netdev_address_passes(dev, head);
}

static bool net_pair_runs(const struct vio_device *dev, unsigned pair)
{
	return 2 * pair < dev->queue_count && dev->queues[2 * pair].running;
}

/* spec: DEV-NET-095 DEV-NET-096 DEV-NET-097 DEV-NET-098 */
static int net_steer_by_flow(const struct vio_device *dev)
{
	const struct net *net = vio_device_state(dev);
	unsigned pairs = net->driver.pairs;
	unsigned pair = 0;

	if (pairs > 1) {
		uint32_t flow = vio_frame_flow(net->head, &net->layout);
		uint8_t known = net->flows[flow % NET_FLOWS];

		pair = known && known <= pairs ? known - 1u : flow % pairs;
	}
	/* spec: DEV-NET-099 DEV-NET-100 */
	for (unsigned i = 0; i < pairs; i++) {
		if (net_pair_runs(dev, (pair + i) % pairs))
			return (int)((pair + i) % pairs);
	}
	return -1;
}

int vio_netdev_steer(struct vio_device *dev)
{
	struct net *net = vio_device_state(dev);
	const struct net_driver *driver = &net->driver;
	uint16_t report = VIRTIO_NET_HASH_REPORT_NONE;
	uint32_t hash = 0;
	unsigned pair;

	if (driver->hash_types)
		report = vio_frame_hash(net->head, &net->layout, driver->hash_types, driver->hash_key, &hash);
	net->header.hash_value = vio_le32_make(hash);
	net->header.hash_report = vio_le16_make(report);
	net->header.padding_reserved = vio_le16_make(0);
	if (!driver->rss)
		return net_steer_by_flow(dev);
	/* spec: DEV-NET-102 DEV-NET-103 */
	pair = report == VIRTIO_NET_HASH_REPORT_NONE ? driver->rss_unclassified
						     : driver->rss_table[hash & driver->rss_mask];
	return net_pair_runs(dev, pair) ? (int)pair : -1;
}

void vio_netdev_learn(struct net *net, uint16_t pair, const uint8_t *head,
		      const struct vio_frame_layout *layout)
{
	if (layout->version)
		net->flows[vio_frame_flow(head, layout) % NET_FLOWS] = (uint8_t)(pair + 1);
}
