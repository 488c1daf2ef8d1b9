/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "devices/net/net.h"

#define MTU_LEAST 68u

VIO_STATIC_ASSERT(sizeof(struct virtio_net_config) == 28, "the configuration has holes");
VIO_STATIC_ASSERT(sizeof(struct virtio_net_hdr_hash) == 20, "the packet header has holes");

#define NET_PROPERTY(property, member, kind) .name = (property), VIO_PROPERTY_MEMBER(struct net, member, kind)

static const char *const net_duplexes[] = { "half", "full", "unknown", NULL };

static const struct vio_property net_properties[] = {
	{ NET_PROPERTY("mac", mac_text, VIO_PROPERTY_STRING),
	  .help = "address, such as 52:54:00:12:34:56; without one the driver chooses" },
	{ NET_PROPERTY("link", link, VIO_PROPERTY_BOOL), .initial = "on", .flags = VIO_PROPERTY_RUNTIME,
	  .help = "the cable is plugged in" },
	{ NET_PROPERTY("announce", announce, VIO_PROPERTY_BOOL), .flags = VIO_PROPERTY_RUNTIME,
	  .help = "ask the driver to announce itself; off again when it has" },
	{ NET_PROPERTY("mtu", mtu, VIO_PROPERTY_U16), .help = "largest packet, at least 68; 0 says nothing" },
	{ NET_PROPERTY("speed", speed, VIO_PROPERTY_U32), .max = 0x7fffffff,
	  .help = "Mbit/s that the driver is told; 0: unknown" },
	{ NET_PROPERTY("duplex", duplex, VIO_PROPERTY_CHOICE), .choices = net_duplexes, .initial = "unknown",
	  .help = "duplex that the driver is told" },
	{ NET_PROPERTY("pairs", pairs_max, VIO_PROPERTY_U16), .min = 1, .max = NET_PAIRS_MAX, .initial = "1",
	  .help = "pairs of a receive and a transmit queue" },
	{ NET_PROPERTY("mrg-rxbuf", mrg_rxbuf, VIO_PROPERTY_BOOL), .initial = "on",
	  .help = "spread received frames over several buffers" },
	{ NET_PROPERTY("csum", csum, VIO_PROPERTY_BOOL), .initial = "on",
	  .help = "offer checksum offload; the next two need it" },
	{ NET_PROPERTY("tso", tso, VIO_PROPERTY_BOOL), .initial = "on", .help = "offer TCP segmentation" },
	{ NET_PROPERTY("uso", uso, VIO_PROPERTY_BOOL), .initial = "on", .help = "offer UDP segmentation" },
	{ NET_PROPERTY("ctrl-vq", ctrl_vq, VIO_PROPERTY_BOOL), .initial = "on",
	  .help = "offer the control queue and what needs it" },
	{ NET_PROPERTY("rss", rss, VIO_PROPERTY_BOOL), .initial = "on",
	  .help = "offer receive-side scaling and hash reports" },
	{ NET_PROPERTY("rx-dropped", receive_dropped, VIO_PROPERTY_U64), .flags = VIO_PROPERTY_RUNTIME,
	  .help = "counts frames that the driver had no use or no room for" },
	{ NET_PROPERTY("tx-dropped", transmit_dropped, VIO_PROPERTY_U64), .flags = VIO_PROPERTY_RUNTIME,
	  .help = "counts malformed and lost frames from the driver" },
};

/* Pairs that there are for this driver. */
static unsigned net_pairs(const struct vio_device *dev)
{
	const struct net *net = vio_device_state(dev);

	if (vio_device_has_feature(dev, VIRTIO_NET_F_MQ) || vio_device_has_feature(dev, VIRTIO_NET_F_RSS))
		return net->pairs_max;
	return 1;
}

uint16_t vio_netdev_control_queue(const struct vio_device *dev)
{
	if (!vio_device_has_feature(dev, VIRTIO_NET_F_CTRL_VQ))
		return NET_QUEUES_MAX;
	return (uint16_t)(2 * net_pairs(dev));
}

bool vio_netdev_link_up(const struct net *net)
{
	return net->link && net->network->link_up;
}

unsigned vio_netdev_offloads(const struct net *net)
{
	static const struct {
		uint8_t feature;
		uint8_t offload;
	} map[] = {
		{ VIRTIO_NET_F_GUEST_CSUM, VIO_NETWORK_CSUM }, { VIRTIO_NET_F_GUEST_TSO4, VIO_NETWORK_TSO4 },
		{ VIRTIO_NET_F_GUEST_TSO6, VIO_NETWORK_TSO6 }, { VIRTIO_NET_F_GUEST_ECN, VIO_NETWORK_ECN },
		{ VIRTIO_NET_F_GUEST_USO4, VIO_NETWORK_USO4 }, { VIRTIO_NET_F_GUEST_USO6, VIO_NETWORK_USO6 },
	};
	unsigned offloads = 0;

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(map); i++) {
		if (net->driver.offloads >> map[i].feature & 1)
			offloads |= map[i].offload;
	}
	return offloads;
}

void vio_netdev_configure(struct vio_device *dev)
{
	struct net *net = vio_device_state(dev);
	bool runs = vio_device_running(dev) && vio_netdev_link_up(net);

	if (net->network->ops->configure)
		net->network->ops->configure(net->network, vio_netdev_offloads(net),
					     runs ? net->driver.pairs : 0);
}

/* Features and configuration. */

static void net_offer_offloads(const struct net *net, struct vio_features *offer)
{
	unsigned takes = net->network->offloads;

	if (!net->csum)
		return;
	vio_features_set(offer, VIRTIO_NET_F_GUEST_CSUM);
	if (takes & VIO_NETWORK_CSUM)
		vio_features_set(offer, VIRTIO_NET_F_CSUM);
	if (net->tso) {
		vio_features_set(offer, VIRTIO_NET_F_GUEST_TSO4);
		vio_features_set(offer, VIRTIO_NET_F_GUEST_TSO6);
		vio_features_set(offer, VIRTIO_NET_F_GUEST_ECN);
		if (takes & VIO_NETWORK_TSO4)
			vio_features_set(offer, VIRTIO_NET_F_HOST_TSO4);
		if (takes & VIO_NETWORK_TSO6)
			vio_features_set(offer, VIRTIO_NET_F_HOST_TSO6);
		if (takes & VIO_NETWORK_ECN)
			vio_features_set(offer, VIRTIO_NET_F_HOST_ECN);
		vio_features_set(offer, VIRTIO_NET_F_GUEST_HDRLEN);
	}
	if (net->uso) {
		vio_features_set(offer, VIRTIO_NET_F_GUEST_USO4);
		vio_features_set(offer, VIRTIO_NET_F_GUEST_USO6);
		if ((takes & VIO_NETWORK_USO4) && (takes & VIO_NETWORK_USO6))
			vio_features_set(offer, VIRTIO_NET_F_HOST_USO);
	}
}

/* spec: DEV-NET-013 DEV-NET-014 */
static void net_offer_control(const struct net *net, struct vio_features *offer)
{
	if (!net->ctrl_vq)
		return;
	vio_features_set(offer, VIRTIO_NET_F_CTRL_VQ);
	vio_features_set(offer, VIRTIO_NET_F_CTRL_RX);
	vio_features_set(offer, VIRTIO_NET_F_CTRL_RX_EXTRA);
	vio_features_set(offer, VIRTIO_NET_F_CTRL_VLAN);
	vio_features_set(offer, VIRTIO_NET_F_CTRL_MAC_ADDR);
	vio_features_set(offer, VIRTIO_NET_F_GUEST_ANNOUNCE);
	if (net->csum)
		vio_features_set(offer, VIRTIO_NET_F_CTRL_GUEST_OFFLOADS);
	if (net->pairs_max > 1)
		vio_features_set(offer, VIRTIO_NET_F_MQ);
	if (net->rss) {
		vio_features_set(offer, VIRTIO_NET_F_RSS);
		vio_features_set(offer, VIRTIO_NET_F_HASH_REPORT);
	}
	if (net->network->ops->arm) {
		vio_features_set(offer, VIRTIO_NET_F_NOTF_COAL);
		vio_features_set(offer, VIRTIO_NET_F_VQ_NOTF_COAL);
	}
}

static void net_get_features(struct vio_device *dev, struct vio_features *offer)
{
	const struct net *net = vio_device_state(dev);

	vio_features_set(offer, VIRTIO_NET_F_STATUS);
	vio_features_set(offer, VIRTIO_NET_F_SPEED_DUPLEX);
	if (net->mac_text[0])
		vio_features_set(offer, VIRTIO_NET_F_MAC);
	if (net->mtu)
		vio_features_set(offer, VIRTIO_NET_F_MTU);
	if (net->mrg_rxbuf)
		vio_features_set(offer, VIRTIO_NET_F_MRG_RXBUF);
	net_offer_offloads(net, offer);
	net_offer_control(net, offer);
}

/* A feature and those of which it needs one. */
static const struct {
	uint8_t feature;
	uint8_t needs[2];
} net_needs[] = {
	{ VIRTIO_NET_F_GUEST_TSO4, { VIRTIO_NET_F_GUEST_CSUM } },
	{ VIRTIO_NET_F_GUEST_TSO6, { VIRTIO_NET_F_GUEST_CSUM } },
	{ VIRTIO_NET_F_GUEST_ECN, { VIRTIO_NET_F_GUEST_TSO4, VIRTIO_NET_F_GUEST_TSO6 } },
	{ VIRTIO_NET_F_GUEST_USO4, { VIRTIO_NET_F_GUEST_CSUM } },
	{ VIRTIO_NET_F_GUEST_USO6, { VIRTIO_NET_F_GUEST_CSUM } },
	{ VIRTIO_NET_F_HOST_TSO4, { VIRTIO_NET_F_CSUM, VIRTIO_NET_F_CSUM } },
	{ VIRTIO_NET_F_HOST_TSO6, { VIRTIO_NET_F_CSUM, VIRTIO_NET_F_CSUM } },
	{ VIRTIO_NET_F_HOST_ECN, { VIRTIO_NET_F_HOST_TSO4, VIRTIO_NET_F_HOST_TSO6 } },
	{ VIRTIO_NET_F_HOST_USO, { VIRTIO_NET_F_CSUM, VIRTIO_NET_F_CSUM } },
	{ VIRTIO_NET_F_CTRL_RX, { VIRTIO_NET_F_CTRL_VQ } },
	{ VIRTIO_NET_F_CTRL_VLAN, { VIRTIO_NET_F_CTRL_VQ } },
	{ VIRTIO_NET_F_GUEST_ANNOUNCE, { VIRTIO_NET_F_CTRL_VQ } },
	{ VIRTIO_NET_F_CTRL_MAC_ADDR, { VIRTIO_NET_F_CTRL_VQ } },
	{ VIRTIO_NET_F_NOTF_COAL, { VIRTIO_NET_F_CTRL_VQ } },
	{ VIRTIO_NET_F_VQ_NOTF_COAL, { VIRTIO_NET_F_CTRL_VQ } },
	{ VIRTIO_NET_F_RSS, { VIRTIO_NET_F_CTRL_VQ } },
};

static int net_validate_features(struct vio_device *dev, const struct vio_features *accepted)
{
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(net_needs); i++) {
		unsigned one = net_needs[i].needs[0];
		unsigned other = net_needs[i].needs[1] ? net_needs[i].needs[1] : one;

		if (vio_features_has(accepted, net_needs[i].feature) && !vio_features_has(accepted, one) &&
		    !vio_features_has(accepted, other))
			return -VIO_EINVAL;
	}
	/* There may be a control queue all the same, which isn't passed on to us. */
	if (vio_features_has(accepted, VIRTIO_NET_F_MQ) &&
	    !vio_features_has(accepted, VIRTIO_NET_F_CTRL_VQ) && !dev->part_only)
		return -VIO_EINVAL;
	return 0;
}

/*
 * Who keeps the control queue still passes on what the driver may do by it, as QEMU and DPDK do. That there
 * are several pairs is for us, too.
 */
static void net_trim_features(const struct vio_device *dev, struct vio_features *sent)
{
	(void)dev;
	if (vio_features_has(sent, VIRTIO_NET_F_CTRL_VQ))
		return;
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(net_needs); i++)
		if (net_needs[i].needs[0] == VIRTIO_NET_F_CTRL_VQ)
			vio_features_clear(sent, net_needs[i].feature);
}

static void net_set_features(struct vio_device *dev)
{
	struct net *net = vio_device_state(dev);

	net->driver.offloads = dev->features_accepted.word[0];
	/* Who keeps the control queue says by enabling queues how many pairs there are. */
	if (vio_device_has_feature(dev, VIRTIO_NET_F_MQ) &&
	    !vio_device_has_feature(dev, VIRTIO_NET_F_CTRL_VQ))
		net->driver.pairs = net->pairs_max;
	if (vio_device_has_feature(dev, VIRTIO_NET_F_HASH_REPORT))
		net->header_bytes = sizeof(struct virtio_net_hdr_hash);
	else if (vio_device_has_feature(dev, VIRTIO_F_VERSION_1) ||
		 vio_device_has_feature(dev, VIRTIO_NET_F_MRG_RXBUF))
		net->header_bytes = sizeof(struct virtio_net_hdr);
	else
		net->header_bytes = VIRTIO_NET_HDR_BYTES_SHORT;
}

static void net_get_config(struct vio_device *dev, void *config)
{
	const struct net *net = vio_device_state(dev);
	struct virtio_net_config wire = { 0 };
	unsigned status = vio_netdev_link_up(net) ? VIRTIO_NET_S_LINK_UP : 0;

	if (net->driver.announce)
		status |= VIRTIO_NET_S_ANNOUNCE;
	memcpy(wire.mac, net->driver.mac, sizeof(wire.mac));
	wire.status = vio_le16_make((uint16_t)status);
	wire.max_virtqueue_pairs = vio_le16_make(net->pairs_max); /* spec: DEV-NET-002 */
	wire.mtu = vio_le16_make(net->mtu); /* spec: DEV-NET-003 DEV-NET-004 DEV-NET-005 */
	/* spec: DEV-NET-010 DEV-NET-011 DEV-NET-012: neither changes */
	wire.speed = vio_le32_make(net->speed ? net->speed : VIRTIO_NET_SPEED_UNKNOWN);
	wire.duplex = net->duplex > VIRTIO_NET_DUPLEX_FULL ? VIRTIO_NET_DUPLEX_UNKNOWN : net->duplex;
	wire.rss_max_key_size = VIO_HASH_KEY_BYTES;                           /* spec: DEV-NET-008 */
	wire.rss_max_indirection_table_length = vio_le16_make(NET_RSS_TABLE); /* spec: DEV-NET-009 */
	wire.supported_hash_types = vio_le32_make(NET_HASH_TYPES);
	memcpy(config, &wire, sizeof(wire));
}

/* Before VIRTIO 1.0 the address is set here. */
static void net_set_config(struct vio_device *dev, const void *config, uint32_t offset, uint32_t length)
{
	struct net *net = vio_device_state(dev);

	(void)length;
	if (vio_device_has_feature(dev, VIRTIO_F_VERSION_1) || offset >= NET_MAC_BYTES)
		return;
	memcpy(net->driver.mac, config, NET_MAC_BYTES);
	net->driver.mac_set = true;
}

/* Life. */

static void net_announce(struct vio_device *dev)
{
	struct net *net = vio_device_state(dev);

	net->driver.announce = net->announce && vio_device_running(dev) &&
			       vio_device_has_feature(dev, VIRTIO_NET_F_GUEST_ANNOUNCE);
	net->announce = net->driver.announce;
}

static void net_link_changed(void *context)
{
	struct vio_device *dev = context;
	struct net *net = vio_device_state(dev);

	/* Behind another plug the neighbours don't know the address. */
	if (vio_netdev_link_up(net) && !net->announce) {
		net->announce = true;
		net_announce(dev);
	}
	vio_netdev_configure(dev);
	vio_device_config_changed(dev);
}

static void net_property_changed(struct vio_device *dev, const struct vio_property *property)
{
	if (property->offset == offsetof(struct net, link)) {
		net_link_changed(dev);
	} else if (property->offset == offsetof(struct net, announce)) {
		net_announce(dev);
		vio_device_config_changed(dev);
	}
}

static void net_set_status(struct vio_device *dev, uint8_t status)
{
	(void)status;
	vio_netdev_configure(dev);
}

static void net_reset(struct vio_device *dev)
{
	struct net *net = vio_device_state(dev);

	/* spec: DEV-NET-087 DEV-NET-097 DEV-NET-113 */
	memset(&net->driver, 0, sizeof(net->driver));
	memset(net->queues, 0, sizeof(net->queues));
	memset(net->flows, 0, sizeof(net->flows));
	memcpy(net->driver.mac, net->mac, sizeof(net->mac));
	net->driver.pairs = 1;
	net->header_bytes = sizeof(struct virtio_net_hdr);
	net->announce = false;
	net->starved = false;
	vio_netdev_configure(dev);
}

static int net_hex(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	if (digit >= 'a' && digit <= 'f')
		return digit - 'a' + 10;
	if (digit >= 'A' && digit <= 'F')
		return digit - 'A' + 10;
	return -1;
}

/* An address of one station, which therefore isn't multicast; no text means that there is none. */
static int net_read_mac(const char *text, uint8_t *mac)
{
	memset(mac, 0, NET_MAC_BYTES);
	for (unsigned i = 0; text[0] && i < NET_MAC_BYTES; i++) {
		int high = net_hex(text[3 * i]);
		int low = high < 0 ? -1 : net_hex(text[3 * i + 1]);

		if (low < 0 || text[3 * i + 2] != (i + 1 < NET_MAC_BYTES ? ':' : '\0'))
			return -VIO_EINVAL;
		mac[i] = (uint8_t)(high << 4 | low);
	}
	return vio_mac_is_multicast(mac) ? -VIO_EINVAL : 0;
}

static const struct vio_network_events net_events = {
	.deliver = vio_netdev_deliver,
	.deliver_many = vio_netdev_deliver_many,
	.deliver_end = vio_netdev_deliver_end,
	.link_changed = net_link_changed,
	.expired = vio_netdev_expired,
};

static int net_realize(struct vio_device *dev)
{
	struct net *net = vio_device_state(dev);
	struct vio_network *network = net->network;

	if (!network)
		return -VIO_ENOENT;
	if (net_read_mac(net->mac_text, net->mac))
		return -VIO_EINVAL;
	if ((net->mtu && net->mtu < MTU_LEAST) || (network->pairs_max && net->pairs_max > network->pairs_max))
		return -VIO_ERANGE;
	dev->queue_count = (uint16_t)(2 * net->pairs_max + 1);
	network->events = &net_events;
	network->events_context = dev;
	net->delivering = false;
	net->many = NULL;
	net->sorted = NULL;
	net->clock_armed = false;
	net->batched = NULL;
	net_reset(dev);
	return 0;
}

static void net_unrealize(struct vio_device *dev)
{
	struct net *net = vio_device_state(dev);

	net->network->events = NULL;
	net->network->events_context = NULL;
}

static void net_kick(struct vio_device *dev, struct vio_devq *q)
{
	struct net *net = vio_device_state(dev);
	uint16_t control = vio_netdev_control_queue(dev);

	if (q->index == control) {
		vio_netdev_control(dev, q);
	} else if (q->index / 2 >= net_pairs(dev)) { /* hostile: A85; no such queue in what was negotiated */
		return;
	} else if (q->index & 1) {
		vio_netdev_transmit(dev, q);
	} else if (net->many) {
		vio_netdev_receive_many(dev, q);
	} else if (net->sorted) {
		vio_netdev_receive_sorted(dev, q);
	} else if (net->delivering) {
		vio_netdev_receive(dev, q);
	} else if (net->starved && net->network->ops->ready) {
		net->starved = false;
		net->network->ops->ready(net->network, q->index / 2);
	}
}

static void net_drain(struct vio_device *dev, struct vio_devq *q)
{
	struct net *net = vio_device_state(dev);

	if (q->index & 1)
		net->network->ops->drain(net->network);
	vio_netdev_queue_of(dev, q)->pending = 0;
	vio_devq_notify(q);
}

int vio_net_attach(struct vio_device *dev, struct vio_network *network)
{
	struct net *net = vio_device_state(dev);

	if (dev->class != &vio_net_class)
		return -VIO_EINVAL;
	net->network = network;
	return 0;
}

const struct vio_device_class vio_net_class = {
	.name = "net",
	.summary = "network device over a tap, a socket or a hub",
	.id = VIRTIO_ID_NET,
	.queue_count = 3,
	.queue_size = 256,
	.spans_max = 64,
	.request_bytes = sizeof(struct net_send),
	.state_bytes = sizeof(struct net),
	.config_bytes = sizeof(struct virtio_net_config),
	.properties = { net_properties, VIO_ARRAY_SIZE(net_properties) },
	.realize = net_realize,
	.unrealize = net_unrealize,
	.get_features = net_get_features,
	.validate_features = net_validate_features,
	.trim_features = net_trim_features,
	.set_features = net_set_features,
	.get_config = net_get_config,
	.set_config = net_set_config,
	.set_status = net_set_status,
	.reset = net_reset,
	.kick = net_kick,
	.drain = net_drain,
	.property_changed = net_property_changed,
	.save = vio_netdev_save,
	.load = vio_netdev_load,
	.version = 1,
};
