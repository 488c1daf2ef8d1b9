/* SPDX-License-Identifier: BSD-3-Clause */
#include "drivers/net/net.h"

#include <string.h>

#define QUEUE_SIZE   64u
#define CONTROL_SIZE 8u
#define AT(field)    ((uint32_t)offsetof(struct virtio_net_config, field))

int vio_net_poll(struct vio_dev *dev)
{
	const struct vio_net *net = vio_net_of(dev);

	if (!net)
		return -VIO_EINVAL;
	if (dev->phase != VIO_DEV_READY)
		return -VIO_EPHASE;
	vio_net_take_sent(dev);
	vio_net_take_frames(dev);
	return net->lied || vio_dev_broken(dev) ? -VIO_EPEER : 0;
}

int vio_net_stop(struct vio_dev *dev)
{
	struct vio_net *net = vio_net_of(dev);
	unsigned i;
	int error;

	if (!net)
		return -VIO_EINVAL;
	error = dev->phase == VIO_DEV_FOUND ? 0 : vio_dev_reset(dev);
	if (error && error != -VIO_EHANGUP)
		return error;
	net->stopping = true;
	vio_net_cancel(dev, error ? error : -VIO_EAGAIN);
	for (i = 0; i < VIO_NET_PAIRS_MAX; i++)
		while (net->pair[i].receive && vio_drvq_detach_unused(net->pair[i].receive))
			continue;
	net->stopping = false;
	if (net->memory.host)
		dev->platform->give_back(dev->platform->context, &net->memory, net->memory_bytes);
	memset(&net->memory, 0, sizeof(net->memory));
	memset(net->frames, 0, sizeof(net->frames));
	memset(net->pair, 0, sizeof(net->pair));
	net->control = NULL;
	net->pairs = net->pairs_active = 0;
	net->lied = net->announce = false;
	net->order_count = 0;
	return error;
}

static void net_used(struct vio_dev *dev, struct vio_drvq *q)
{
	const struct vio_net *net = vio_net_of(dev);

	if (net && !net->waiting && vio_net_poll(dev) && net->changed)
		net->changed(dev);
}

/* What may change while the device works. */
static int read_state(struct vio_dev *dev, struct vio_net *net)
{
	uint16_t status = VIRTIO_NET_S_LINK_UP; /* spec: DRV-NET-005 */
	uint32_t speed = VIO_NET_SPEED_UNKNOWN;
	uint8_t duplex = VIRTIO_NET_DUPLEX_UNKNOWN;
	int error = 0;

	if (vio_dev_has_feature(dev, VIRTIO_NET_F_STATUS)) /* spec: DRV-NET-006 */
		error = vio_dev_read_config16(dev, AT(status), &status);
	if (!error && vio_dev_has_feature(dev, VIRTIO_NET_F_SPEED_DUPLEX))
		error = vio_dev_read_config32(dev, AT(speed), &speed);
	if (!error && vio_dev_has_feature(dev, VIRTIO_NET_F_SPEED_DUPLEX))
		error = vio_dev_read_config8(dev, AT(duplex), &duplex);
	if (error)
		return error;
	net->link_up = status & VIRTIO_NET_S_LINK_UP;
	/* spec: DRV-NET-077 */
	net->announce =
		vio_dev_has_feature(dev, VIRTIO_NET_F_GUEST_ANNOUNCE) && status & VIRTIO_NET_S_ANNOUNCE;
	/* spec: DRV-NET-011 */
	net->speed = speed > 0x7fffffff ? VIO_NET_SPEED_UNKNOWN : speed;
	net->duplex = duplex > VIRTIO_NET_DUPLEX_FULL ? VIRTIO_NET_DUPLEX_UNKNOWN : duplex;
	return 0;
}

static int read_hashes(struct vio_dev *dev, struct vio_net *net)
{
	bool steering = vio_dev_has_feature(dev, VIRTIO_NET_F_RSS);
	int error = 0;

	net->hash_types = 0;
	net->steering_max = 0;
	net->key_max = 0;
	if (!steering && !vio_dev_has_feature(dev, VIRTIO_NET_F_HASH_REPORT))
		return 0;
	error = vio_dev_read_config8(dev, AT(rss_max_key_size), &net->key_max);
	if (!error && steering)
		error = vio_dev_read_config16(dev, AT(rss_max_indirection_table_length), &net->steering_max);
	if (!error)
		error = vio_dev_read_config32(dev, AT(supported_hash_types), &net->hash_types);
	return error;
}

/* From an accepted device; what isn't said has defaults. */
static int identify(struct vio_dev *dev, struct vio_net *net)
{
	uint16_t mtu = VIO_NET_MTU_DEFAULT;
	int error = 0;

	net->mac_known = vio_dev_has_feature(dev, VIRTIO_NET_F_MAC); /* spec: DRV-NET-004 */
	if (net->mac_known)                                          /* spec: DRV-NET-003 */
		error = vio_dev_read_config(dev, 0, net->mac, sizeof(net->mac));
	if (!error)
		error = read_state(dev, net);
	if (!error && vio_dev_has_feature(dev, VIRTIO_NET_F_MTU))
		error = vio_dev_read_config16(dev, AT(mtu), &mtu);
	if (!error)
		error = read_hashes(dev, net);
	if (error)
		return error;
	net->mtu = mtu;
	return mtu < 68 ? -VIO_EPEER : 0; /* hostile: B55; less than any IP packet */
}

static void want(struct vio_features *wanted, const uint8_t *bits, unsigned count)
{
	while (count--)
		vio_features_set(wanted, bits[count]);
}

/* What stands alone, and what costs memory. spec: DRV-NET-002 DRV-NET-007 DRV-NET-050 */
static const uint8_t always[] = {
	VIRTIO_NET_F_CSUM,         VIRTIO_NET_F_GUEST_CSUM,    VIRTIO_NET_F_MTU,
	VIRTIO_NET_F_MAC,          VIRTIO_NET_F_MRG_RXBUF,     VIRTIO_NET_F_STATUS,
	VIRTIO_NET_F_HOST_TSO4,    VIRTIO_NET_F_HOST_TSO6,     VIRTIO_NET_F_HOST_ECN,
	VIRTIO_NET_F_HOST_UFO,     VIRTIO_NET_F_HOST_USO,      VIRTIO_NET_F_CTRL_VQ,
	VIRTIO_NET_F_CTRL_RX,      VIRTIO_NET_F_CTRL_VLAN,     VIRTIO_NET_F_CTRL_RX_EXTRA,
	VIRTIO_NET_F_NOTF_COAL,    VIRTIO_NET_F_CTRL_MAC_ADDR, VIRTIO_NET_F_CTRL_GUEST_OFFLOADS,
	VIRTIO_NET_F_GUEST_HDRLEN, VIRTIO_NET_F_VQ_NOTF_COAL,  VIRTIO_NET_F_SPEED_DUPLEX,
};
static const uint8_t large[] = {
	VIRTIO_NET_F_GUEST_TSO4, VIRTIO_NET_F_GUEST_TSO6, VIRTIO_NET_F_GUEST_ECN,
	VIRTIO_NET_F_GUEST_UFO,  VIRTIO_NET_F_GUEST_USO4, VIRTIO_NET_F_GUEST_USO6,
};

/* A feature, and those without which it isn't accepted. spec: DRV-NET-013 DRV-NET-014 */
struct need {
	uint8_t bit;
	int needs[2];
};

static const struct need all_needs[] = {
	{ VIRTIO_NET_F_HOST_TSO4, { VIRTIO_NET_F_CSUM, -1 } },
	{ VIRTIO_NET_F_HOST_TSO6, { VIRTIO_NET_F_CSUM, -1 } },
	{ VIRTIO_NET_F_HOST_UFO, { VIRTIO_NET_F_CSUM, -1 } },
	{ VIRTIO_NET_F_HOST_USO, { VIRTIO_NET_F_CSUM, -1 } },
	{ VIRTIO_NET_F_GUEST_TSO4, { VIRTIO_NET_F_GUEST_CSUM, -1 } },
	{ VIRTIO_NET_F_GUEST_TSO6, { VIRTIO_NET_F_GUEST_CSUM, -1 } },
	{ VIRTIO_NET_F_GUEST_UFO, { VIRTIO_NET_F_GUEST_CSUM, -1 } },
	{ VIRTIO_NET_F_GUEST_USO4, { VIRTIO_NET_F_GUEST_CSUM, -1 } },
	{ VIRTIO_NET_F_GUEST_USO6, { VIRTIO_NET_F_GUEST_CSUM, -1 } },
	{ VIRTIO_NET_F_CTRL_RX, { VIRTIO_NET_F_CTRL_VQ, -1 } },
	{ VIRTIO_NET_F_CTRL_VLAN, { VIRTIO_NET_F_CTRL_VQ, -1 } },
	{ VIRTIO_NET_F_CTRL_RX_EXTRA, { VIRTIO_NET_F_CTRL_VQ, -1 } },
	{ VIRTIO_NET_F_CTRL_MAC_ADDR, { VIRTIO_NET_F_CTRL_VQ, -1 } },
	{ VIRTIO_NET_F_CTRL_GUEST_OFFLOADS, { VIRTIO_NET_F_CTRL_VQ, -1 } },
	{ VIRTIO_NET_F_GUEST_ANNOUNCE, { VIRTIO_NET_F_CTRL_VQ, -1 } },
	{ VIRTIO_NET_F_MQ, { VIRTIO_NET_F_CTRL_VQ, -1 } },
	{ VIRTIO_NET_F_RSS, { VIRTIO_NET_F_CTRL_VQ, -1 } },
	{ VIRTIO_NET_F_HASH_REPORT, { VIRTIO_NET_F_CTRL_VQ, -1 } },
	{ VIRTIO_NET_F_NOTF_COAL, { VIRTIO_NET_F_CTRL_VQ, -1 } },
	{ VIRTIO_NET_F_VQ_NOTF_COAL, { VIRTIO_NET_F_CTRL_VQ, -1 } },
};

/* Of the device, where its features are wanted; their number decides which queue is the control queue. */
static int read_pairs(struct vio_dev *dev, const struct vio_net *net, uint16_t *pairs)
{
	int error;

	*pairs = 1;
	if (net->pairs_wanted < 2 || !vio_features_has(&dev->offered, VIRTIO_NET_F_CTRL_VQ) ||
	    !(vio_features_has(&dev->offered, VIRTIO_NET_F_MQ) ||
	      vio_features_has(&dev->offered, VIRTIO_NET_F_RSS)))
		return 0;
	error = vio_dev_read_config16(dev, AT(max_virtqueue_pairs), pairs);
	if (*pairs > VIO_NET_PAIRS_MAX || !*pairs) /* more than there is room for, or nonsense */
		*pairs = 1;
	return error;
}

static struct vio_features wishes(const struct vio_dev *dev, const struct vio_net *net, uint16_t pairs)
{
	struct vio_features wanted = vio_dev_ring_features();
	unsigned i;

	want(&wanted, always, sizeof(always));
	if (net->wants & VIO_NET_WANT_LARGE)
		want(&wanted, large, sizeof(large));
	if (net->wants & VIO_NET_WANT_ANNOUNCE)
		vio_features_set(&wanted, VIRTIO_NET_F_GUEST_ANNOUNCE);
	if (net->wants & VIO_NET_WANT_HASH)
		vio_features_set(&wanted, VIRTIO_NET_F_HASH_REPORT);
	if (pairs > 1)
		vio_features_set(&wanted, VIRTIO_NET_F_MQ);
	if (pairs > 1 && net->wants & VIO_NET_WANT_STEERING)
		vio_features_set(&wanted, VIRTIO_NET_F_RSS);
	wanted = vio_features_and(wanted, vio_features_or(dev->offered, vio_dev_ring_features()));
	for (i = 0; i < VIO_ARRAY_SIZE(all_needs); i++)
		vio_features_require(&wanted, all_needs[i].bit, all_needs[i].needs);
	if (!vio_features_has(&wanted, VIRTIO_NET_F_HOST_TSO4) &&
	    !vio_features_has(&wanted, VIRTIO_NET_F_HOST_TSO6))
		vio_features_clear(&wanted, VIRTIO_NET_F_HOST_ECN);
	if (!vio_features_has(&wanted, VIRTIO_NET_F_GUEST_TSO4) &&
	    !vio_features_has(&wanted, VIRTIO_NET_F_GUEST_TSO6))
		vio_features_clear(&wanted, VIRTIO_NET_F_GUEST_ECN);
	return wanted;
}

/* `most` are the pairs of the device, of which some are used. spec: DRV-NET-079 */
static int add_queues(struct vio_dev *dev, struct vio_net *net, uint16_t most)
{
	const struct vio_queue_wish heard = { .size = QUEUE_SIZE, .used = net_used };
	const struct vio_queue_wish waited_for = { .size = CONTROL_SIZE };
	bool several =
		vio_dev_has_feature(dev, VIRTIO_NET_F_MQ) || vio_dev_has_feature(dev, VIRTIO_NET_F_RSS);
	uint16_t count = !several ? 1 : most < net->pairs_wanted ? most : net->pairs_wanted;
	uint16_t i;
	int error = 0;

	for (i = 0; !error && i < count; i++) {
		error = vio_dev_add_queue(dev, 2 * i, &heard, &net->pair[i].receive);
		if (!error)
			error = vio_dev_add_queue(dev, 2 * i + 1, &heard, &net->pair[i].transmit);
	}
	if (!error && vio_dev_has_feature(dev, VIRTIO_NET_F_CTRL_VQ))
		error = vio_dev_add_queue(dev, several ? 2 * most : 2, &waited_for, &net->control);
	if (error == -VIO_ENOENT && net->pair[count - 1].transmit)
		error = 0; /* offered, but not there: no commands */
	net->pairs = count;
	net->pairs_active = 1; /* spec: DRV-NET-081 */
	return error;
}

static int begin(struct vio_dev *dev, struct vio_net *net)
{
	struct vio_features wanted;
	uint16_t most;
	int error = vio_dev_begin(dev, net->queues, (uint16_t)VIO_ARRAY_SIZE(net->queues));

	if (error)
		return error;
	error = read_pairs(dev, net, &most);
	if (error)
		return error;
	wanted = wishes(dev, net, most);
	error = vio_dev_accept(dev, &wanted);
	if (!error)
		error = identify(dev, net);
	if (!error)
		error = add_queues(dev, net, most);
	if (!error)
		error = vio_net_lend_all(dev);
	return error ? error : vio_dev_ready(dev);
}

int vio_net_init(struct vio_dev *dev)
{
	struct vio_net *net = vio_net_of(dev);
	unsigned i;
	int error;

	if (net && net->stopping)
		return -VIO_EBUSY;
	error = vio_net_stop(dev);
	if (error)
		return error;
	error = begin(dev, net);
	if (error) {
		vio_net_stop(dev);
		return error;
	}
	for (i = 0; i < net->pairs; i++)
		vio_drvq_kick(net->pair[i].receive);
	return 0;
}

static int net_probe(struct vio_dev *dev)
{
	((struct vio_net *)dev->driver_state)->timeout_ns = VIO_NET_TIMEOUT_NS;
	return vio_net_init(dev);
}

static void net_remove(struct vio_dev *dev)
{
	vio_net_stop(dev);
}

/* The MTU stands for the life of the device, as the buffers were made for it. spec: DRV-NET-012 */
static void net_config_changed(struct vio_dev *dev)
{
	struct vio_net *net = vio_net_of(dev);

	(void)read_state(dev, net); /* what can't be read stays as it was */
	if (net->changed)
		net->changed(dev);
}

const struct vio_driver vio_net_driver = {
	.name = "net",
	.ids = (const uint32_t[]){ VIRTIO_ID_NET, 0 },
	.state_bytes = sizeof(struct vio_net),
	.probe = net_probe,
	.remove = net_remove,
	.config_changed = net_config_changed,
};
