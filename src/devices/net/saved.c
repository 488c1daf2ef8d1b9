/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "devices/net/net.h"

/* What the driver has set. Where each flow went is learned again. */

static void net_put_table(struct vio_state_writer *writer, const struct net_table *table)
{
	vio_state_put_u8(writer, table->overflow);
	vio_state_put_u8(writer, table->count);
	vio_state_put_bytes(writer, table->macs, (size_t)table->count * NET_MAC_BYTES);
}

static void net_put_coal(struct vio_state_writer *writer, const struct net_coal *coal)
{
	vio_state_put_u32(writer, coal->max_packets);
	vio_state_put_u32(writer, coal->max_usecs);
}

static unsigned net_modes(const struct net_driver *driver)
{
	return driver->mac_set | driver->promisc << 1 | driver->allmulti << 2 | driver->alluni << 3 |
	       driver->nomulti << 4 | driver->nouni << 5 | driver->nobcast << 6 | driver->rss << 7;
}

void vio_netdev_save(struct vio_device *dev, struct vio_state_writer *writer)
{
	struct net *net = vio_device_state(dev);
	const struct net_driver *driver = &net->driver;

	vio_state_put_bytes(writer, driver->mac, sizeof(driver->mac));
	vio_state_put_u8(writer, (uint8_t)net_modes(driver));
	net_put_table(writer, &driver->unicast);
	net_put_table(writer, &driver->multicast);
	vio_state_put_bytes(writer, driver->vlans, sizeof(driver->vlans));
	vio_state_put_u64(writer, driver->offloads);
	vio_state_put_u16(writer, driver->pairs);
	vio_state_put_u32(writer, driver->hash_types);
	vio_state_put_bytes(writer, driver->hash_key, sizeof(driver->hash_key));
	vio_state_put_u16(writer, driver->rss_mask);
	vio_state_put_u16(writer, driver->rss_unclassified);
	for (unsigned i = 0; i < NET_RSS_TABLE; i++)
		vio_state_put_u16(writer, driver->rss_table[i]);
	net_put_coal(writer, &driver->receive_coal);
	net_put_coal(writer, &driver->transmit_coal);
	vio_state_put_u16(writer, dev->queue_count);
	for (unsigned i = 0; i < dev->queue_count; i++)
		net_put_coal(writer, &vio_netdev_queue_of(dev, &dev->queues[i])->coal);
}

static void net_get_table(struct vio_state_reader *reader, struct net_table *table)
{
	table->overflow = vio_state_get_u8(reader) & 1;
	table->count = vio_state_get_u8(reader);
	if (table->count > NET_MACS_MAX)
		vio_state_refuse(reader, "address count", table->count);
	else
		vio_state_get_bytes(reader, table->macs, (size_t)table->count * NET_MAC_BYTES);
}

static void net_get_coal(struct vio_state_reader *reader, struct net_coal *coal)
{
	coal->max_packets = vio_state_get_u32(reader);
	coal->max_usecs = vio_state_get_u32(reader);
}

static void net_take_modes(struct net_driver *driver, unsigned modes)
{
	driver->mac_set = modes & 1;
	driver->promisc = modes >> 1 & 1;
	driver->allmulti = modes >> 2 & 1;
	driver->alluni = modes >> 3 & 1;
	driver->nomulti = modes >> 4 & 1;
	driver->nouni = modes >> 5 & 1;
	driver->nobcast = modes >> 6 & 1;
	driver->rss = modes >> 7 & 1;
}

static int net_judge_rss(struct vio_device *dev, const struct net_driver *driver,
			 struct vio_state_reader *reader)
{
	const struct net *net = vio_device_state(dev);
	bool rss = vio_device_has_feature(dev, VIRTIO_NET_F_RSS);

	if (driver->rss && !rss)
		return vio_state_refuse(reader, "receive-side scaling", driver->rss);
	if (driver->hash_types & ~NET_HASH_TYPES ||
	    (driver->hash_types && !rss && !vio_device_has_feature(dev, VIRTIO_NET_F_HASH_REPORT)))
		return vio_state_refuse(reader, "hash types", driver->hash_types);
	if (driver->rss_mask >= NET_RSS_TABLE || !vio_is_power_of_two((uint64_t)driver->rss_mask + 1))
		return vio_state_refuse(reader, "indirection mask", driver->rss_mask);
	if (driver->rss_unclassified >= net->pairs_max)
		return vio_state_refuse(reader, "queue pair", driver->rss_unclassified);
	for (unsigned i = 0; i < NET_RSS_TABLE; i++) {
		if (driver->rss_table[i] >= net->pairs_max)
			return vio_state_refuse(reader, "queue pair", driver->rss_table[i]);
	}
	return 0;
}

/* Nothing that a driver couldn't have set. hostile: G2 */
static int net_judge(struct vio_device *dev, const struct net_driver *driver, struct vio_state_reader *reader)
{
	const struct net *net = vio_device_state(dev);
	bool many =
		vio_device_has_feature(dev, VIRTIO_NET_F_MQ) || vio_device_has_feature(dev, VIRTIO_NET_F_RSS);

	if (driver->offloads & ~dev->features_accepted.word[0] ||
	    (driver->offloads & NET_OFFLOAD_BITS && !(driver->offloads >> VIRTIO_NET_F_GUEST_CSUM & 1)))
		return vio_state_refuse(reader, "offloads", driver->offloads);
	if (!driver->pairs || driver->pairs > (many ? net->pairs_max : 1))
		return vio_state_refuse(reader, "queue pair count", driver->pairs);
	return net_judge_rss(dev, driver, reader);
}

int vio_netdev_load(struct vio_device *dev, struct vio_state_reader *reader, unsigned version)
{
	struct net *net = vio_device_state(dev);
	struct net_driver driver = { 0 };
	struct net_queue queues[NET_QUEUES_MAX] = { 0 };
	uint16_t count;

	(void)version;
	vio_state_get_bytes(reader, driver.mac, sizeof(driver.mac));
	net_take_modes(&driver, vio_state_get_u8(reader));
	net_get_table(reader, &driver.unicast);
	net_get_table(reader, &driver.multicast);
	vio_state_get_bytes(reader, driver.vlans, sizeof(driver.vlans));
	driver.offloads = vio_state_get_u64(reader);
	driver.pairs = vio_state_get_u16(reader);
	driver.hash_types = vio_state_get_u32(reader);
	vio_state_get_bytes(reader, driver.hash_key, sizeof(driver.hash_key));
	driver.rss_mask = vio_state_get_u16(reader);
	driver.rss_unclassified = vio_state_get_u16(reader);
	for (unsigned i = 0; i < NET_RSS_TABLE; i++)
		driver.rss_table[i] = vio_state_get_u16(reader);
	net_get_coal(reader, &driver.receive_coal);
	net_get_coal(reader, &driver.transmit_coal);
	count = vio_state_get_u16(reader);
	if (!reader->failed && count != dev->queue_count)
		return vio_state_refuse(reader, "queue count", count);
	for (unsigned i = 0; i < dev->queue_count; i++) {
		net_get_coal(reader, &queues[i].coal);
		/* Of a queue that doesn't run it is that of its next life. */
		queues[i].generation = dev->queues[i].generation + !dev->queues[i].running;
	}
	if (reader->failed || net_judge(dev, &driver, reader))
		return -VIO_ESTATE;
	net->driver = driver;
	memcpy(net->queues, queues, sizeof(queues));
	/* On another machine the neighbours have to learn where the address is now. */
	net->announce = vio_device_has_feature(dev, VIRTIO_NET_F_GUEST_ANNOUNCE);
	net->driver.announce = net->announce;
	return 0;
}
