/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/rig.h"

#include <string.h>

#include <vireo/drivers/net.h>

#include "drivers/net_device.h"

/* Commands, pairs of queues and segments of the network driver, against a device that keeps what it hears. */

#define BIT(bit) (UINT64_C(1) << (bit))

static struct net_device *device_of(struct vio_device *device)
{
	return vio_device_state(device);
}

static void each(uint64_t features, void (*body)(struct rig *rig))
{
	const struct rig_options options = { .class = &net_device_class,
					     .furnish = net_device_furnish,
					     .context = &features };

	rig_each(&options, body);
}

static struct vio_net *driver_of(struct rig *rig)
{
	return rig->dev.driver_state;
}

/* The device heard this since the last look, and nothing else. */
static void heard(struct rig *rig, const void *bytes, uint32_t count, unsigned elements)
{
	struct net_device *net = device_of(&rig->device);

	assert_int_equal(net->commands, 1);
	assert_int_equal(net->command_bytes, count);
	assert_memory_equal(net->command, bytes, count);
	assert_int_equal(net->elements, elements);
	net->commands = 0;
}

static void modes_body(struct rig *rig)
{
	static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 9 }, group[6] = { 1 };
	static const uint8_t many[VIO_NET_ADDRESS_MAX + 1][6] = { { 2, 1 }, { 2, 2 }, { 1, 3 } };
	struct net_device *net = device_of(&rig->device);
	struct vio_dev *dev = &rig->dev;
	uint8_t table[2 + 4 + 12 + 4 + 6] = { VIRTIO_NET_CTRL_MAC, 0, 2, 0, 0, 0, 2, 1, 0, 0, 0, 0, 2, 2 };

	assert_int_equal(vio_net_set_vlan(dev, 1, 1), -VIO_EINVAL);
	assert_int_equal(rig_bind(rig, &vio_net_driver), 0);
	assert_int_equal(vio_net_set_receive(dev, VIRTIO_NET_CTRL_RX_PROMISC, 1), 0);
	heard(rig, (const uint8_t[]){ 0, 0, 1 }, 3, 2); /* spec: DRV-NET-121 */
	assert_int_equal(vio_net_set_receive(dev, VIRTIO_NET_CTRL_RX_NOBCAST, 0), 0);
	heard(rig, (const uint8_t[]){ 0, 5, 0 }, 3, 2);
	assert_int_equal(vio_net_set_receive(dev, VIRTIO_NET_CTRL_RX_NOBCAST + 1, 0), -VIO_EINVAL);
	assert_int_equal(vio_net_set_vlan(dev, 4095, 1), 0);
	heard(rig, (const uint8_t[]){ 2, 0, 0xff, 0x0f }, 4, 2);
	assert_int_equal(vio_net_set_vlan(dev, 1, 0), 0);
	heard(rig, (const uint8_t[]){ 2, 1, 1, 0 }, 4, 2);
	assert_int_equal(vio_net_set_vlan(dev, 4096, 0), -VIO_EINVAL);
	assert_int_equal(vio_net_set_mac(dev, group), -VIO_EINVAL);
	assert_int_equal(vio_net_set_mac(dev, mac), 0); /* spec: DRV-NET-075 */
	heard(rig, (const uint8_t[]){ 1, 1, 2, 0, 0, 0, 0, 9 }, 8, 2);
	assert_memory_equal(driver_of(rig)->mac, mac, 6);
	/* spec: DRV-NET-076 DRV-NET-122 DRV-NET-123 */
	table[18] = 1;
	memcpy(table + 22, many[2], 6);
	assert_int_equal(vio_net_set_filter(dev, many, 2, many + 2, 1), 0);
	heard(rig, table, sizeof(table), 3);
	assert_int_equal(vio_net_set_filter(dev, NULL, 0, NULL, 0), 0);
	heard(rig, (const uint8_t[]){ 1, 0, 0, 0, 0, 0, 0, 0, 0, 0 }, 10, 3);
	assert_int_equal(vio_net_set_filter(dev, many, 40, many, 25), -VIO_ERANGE);
	assert_int_equal(vio_net_set_filter(dev, many, 65, many, UINT32_MAX), -VIO_ERANGE);
	assert_int_equal(net->commands, 0);
	/* Refused, nonsense, nothing, and nobody. */
	net->ack = VIRTIO_NET_ERR;
	assert_int_equal(vio_net_set_mac(dev, many[0]), -VIO_EACCES);
	assert_memory_equal(driver_of(rig)->mac, mac, 6);
	net->ack = 2;
	assert_int_equal(vio_net_set_vlan(dev, 1, 0), -VIO_EPEER);
	net->ack = NET_DEVICE_SILENT;
	assert_int_equal(vio_net_set_vlan(dev, 1, 0), -VIO_EPEER);
	net->deaf = true;
	driver_of(rig)->timeout_ns = 1000000;
	assert_int_equal(vio_net_set_vlan(dev, 1, 0), -VIO_EAGAIN);
	assert_int_equal(vio_net_set_vlan(dev, 1, 0), -VIO_EPHASE);
	net->deaf = false;
	net->ack = VIRTIO_NET_OK;
	assert_int_equal(vio_net_init(dev), 0);
	assert_int_equal(vio_net_set_vlan(dev, 1, 0), 0);
	assert_int_equal(rig->device.fault_count, 0);
}

static void sets_modes(void **state)
{
	each(BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_CTRL_RX) | BIT(VIRTIO_NET_F_CTRL_RX_EXTRA) |
		     BIT(VIRTIO_NET_F_CTRL_VLAN) | BIT(VIRTIO_NET_F_CTRL_MAC_ADDR),
	     modes_body);
}

static void lacking_body(struct rig *rig)
{
	static const struct vio_net_coalescing coalescing = { 1, 1 };
	const struct vio_net_steering steering = { .pairs = 1 };
	struct vio_net_coalescing got;
	struct vio_dev *dev = &rig->dev;
	const uint8_t mac[6] = { 2 };

	assert_int_equal(rig_bind(rig, &vio_net_driver), 0);
	driver_of(rig)->wants = VIO_NET_WANT_HASH | VIO_NET_WANT_ANNOUNCE | VIO_NET_WANT_STEERING;
	driver_of(rig)->pairs_wanted = 2;
	assert_int_equal(vio_net_init(dev), 0);
	/* spec: DRV-NET-013 DRV-NET-014 */
	assert_false(vio_dev_has_feature(dev, VIRTIO_NET_F_HASH_REPORT));
	assert_false(vio_dev_has_feature(dev, VIRTIO_NET_F_CTRL_RX_EXTRA));
	/* spec: DRV-NET-072 DRV-NET-073 DRV-NET-074 DRV-NET-084 DRV-NET-094 DRV-NET-095 */
	assert_int_equal(vio_net_set_receive(dev, VIRTIO_NET_CTRL_RX_ALLMULTI, 1), -VIO_ENOTSUP);
	assert_int_equal(vio_net_set_receive(dev, VIRTIO_NET_CTRL_RX_ALLUNI, 1), -VIO_ENOTSUP);
	assert_int_equal(vio_net_set_filter(dev, NULL, 0, NULL, 0), -VIO_ENOTSUP);
	assert_int_equal(vio_net_set_mac(dev, mac), -VIO_ENOTSUP);
	assert_int_equal(vio_net_set_vlan(dev, 1, 1), -VIO_ENOTSUP);
	assert_int_equal(vio_net_announced(dev), -VIO_ENOTSUP);
	assert_int_equal(vio_net_set_pairs(dev, 1), -VIO_ENOTSUP);
	assert_int_equal(vio_net_set_offloads(dev, 0), -VIO_ENOTSUP);
	assert_int_equal(vio_net_set_coalescing(dev, 0, &coalescing), -VIO_ENOTSUP);
	assert_int_equal(vio_net_set_queue_coalescing(dev, 0, &coalescing), -VIO_ENOTSUP);
	assert_int_equal(vio_net_get_queue_coalescing(dev, 0, &got), -VIO_ENOTSUP);
	assert_int_equal(vio_net_set_hash(dev, 0, NULL, 0), -VIO_ENOTSUP);
	assert_int_equal(vio_net_set_steering(dev, &steering), -VIO_ENOTSUP);
	assert_int_equal(device_of(&rig->device)->commands, 0);
}

static void says_what_is_missing(void **state)
{
	each(BIT(VIRTIO_NET_F_CTRL_RX) | BIT(VIRTIO_NET_F_CTRL_RX_EXTRA) | BIT(VIRTIO_NET_F_MQ) |
		     BIT(VIRTIO_NET_F_HASH_REPORT) | BIT(VIRTIO_NET_F_RSS) | BIT(VIRTIO_NET_F_CTRL_VLAN),
	     lacking_body);
	each(BIT(VIRTIO_NET_F_CTRL_VQ), lacking_body);
}

static void coalescing_body(struct rig *rig)
{
	static const struct vio_net_coalescing coalescing = { 5, 0x10203 };
	struct net_device *net = device_of(&rig->device);
	struct vio_net_coalescing got = { 0, 0 };
	struct vio_dev *dev = &rig->dev;

	assert_int_equal(rig_bind(rig, &vio_net_driver), 0);
	if (!vio_dev_has_feature(dev, VIRTIO_NET_F_NOTF_COAL))
		return; /* a legacy device has no such bits */
	assert_int_equal(vio_net_set_coalescing(dev, VIRTIO_NET_CTRL_NOTF_COAL_RX_SET, &coalescing), 0);
	heard(rig, (const uint8_t[]){ 6, 1, 5, 0, 0, 0, 3, 2, 1, 0 }, 10, 2);
	assert_int_equal(vio_net_set_coalescing(dev, 2, &coalescing), -VIO_EINVAL);
	assert_int_equal(vio_net_set_queue_coalescing(dev, 1, &coalescing), 0);
	heard(rig, (const uint8_t[]){ 6, 2, 1, 0, 0, 0, 5, 0, 0, 0, 3, 2, 1, 0 }, 14, 2);
	assert_int_equal(vio_net_set_queue_coalescing(dev, 2, &coalescing), -VIO_ERANGE);
	assert_int_equal(vio_net_get_queue_coalescing(dev, 2, &got), -VIO_ERANGE); /* spec: DRV-NET-093 */
	assert_int_equal(vio_net_get_queue_coalescing(dev, 0, &got), 0);
	assert_int_equal(got.frames_max, 11);
	assert_int_equal(got.usecs_max, 22);
	net->ack = VIRTIO_NET_ERR; /* spec: DRV-NET-096 */
	got.frames_max = 1;
	assert_int_equal(vio_net_get_queue_coalescing(dev, 0, &got), -VIO_EACCES);
	assert_int_equal(got.frames_max, 1);
}

static void sets_coalescing(void **state)
{
	each(BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_NOTF_COAL) | BIT(VIRTIO_NET_F_VQ_NOTF_COAL),
	     coalescing_body);
}

static void on_changed(struct vio_dev *dev)
{
	++*(unsigned *)dev->owner;
}

static void state_body(struct rig *rig)
{
	struct net_device *net = device_of(&rig->device);
	unsigned changes = 0;

	net->speed = 1000;
	net->duplex = VIRTIO_NET_DUPLEX_FULL;
	assert_int_equal(rig_bind(rig, &vio_net_driver), 0);
	driver_of(rig)->wants = VIO_NET_WANT_ANNOUNCE;
	driver_of(rig)->changed = on_changed;
	rig->dev.owner = &changes;
	assert_int_equal(vio_net_init(&rig->dev), 0);
	assert_true(driver_of(rig)->link_up);
	assert_int_equal(vio_net_set_offloads(&rig->dev, BIT(VIRTIO_NET_F_GUEST_CSUM)), 0);
	heard(rig, (const uint8_t[]){ 5, 0, 2, 0, 0, 0, 0, 0, 0, 0 }, 10, 2);
	/* spec: DRV-NET-092 */
	assert_int_equal(vio_net_set_offloads(&rig->dev, BIT(VIRTIO_NET_F_GUEST_TSO4)), -VIO_ENOTSUP);
	assert_int_equal(vio_net_set_offloads(&rig->dev, BIT(VIRTIO_NET_F_STATUS)), -VIO_ENOTSUP);
	/* spec: DRV-NET-077 DRV-NET-078 */
	assert_false(driver_of(rig)->announce);
	net->status = VIRTIO_NET_S_ANNOUNCE;
	net->speed = 0x80000000; /* spec: DRV-NET-011 DRV-NET-012 */
	net->duplex = 2;
	if (vio_dev_has_feature(&rig->dev, VIRTIO_NET_F_SPEED_DUPLEX)) {
		assert_int_equal(driver_of(rig)->speed, 1000);
		assert_int_equal(driver_of(rig)->duplex, VIRTIO_NET_DUPLEX_FULL);
	}
	vio_device_config_changed(&rig->device);
	rig_run(rig);
	assert_int_equal(changes, 1);
	assert_false(driver_of(rig)->link_up);
	assert_true(driver_of(rig)->announce);
	assert_int_equal(driver_of(rig)->speed, VIO_NET_SPEED_UNKNOWN);
	assert_int_equal(driver_of(rig)->duplex, VIRTIO_NET_DUPLEX_UNKNOWN);
	assert_int_equal(vio_net_announced(&rig->dev), 0);
	heard(rig, (const uint8_t[]){ 3, 0 }, 2, 1);
	assert_false(driver_of(rig)->announce);
}

static void follows_the_link(void **state)
{
	each(BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_STATUS) | BIT(VIRTIO_NET_F_GUEST_ANNOUNCE) |
		     BIT(VIRTIO_NET_F_SPEED_DUPLEX) | BIT(VIRTIO_NET_F_GUEST_CSUM) |
		     BIT(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS),
	     state_body);
}

/* A frame to be sent, of three parts. */
static uint8_t bytes[NET_DEVICE_ROOM];

static void make_io(struct vio_net_io *io, struct vio_part parts[3], uint32_t length)
{
	parts[0] = vio_part_readable(bytes, 54);
	parts[1] = vio_part_readable(bytes + 54, 1);
	parts[2] = vio_part_readable(bytes + 55, length - 55);
	*io = (struct vio_net_io){ .parts = parts, .part_count = 3 };
}

static int send(struct rig *rig, struct vio_net_io *io)
{
	int error = vio_net_submit(&rig->dev, io);

	rig_run(rig);
	vio_net_poll(&rig->dev);
	return error;
}

static struct virtio_net_hdr sent_header(struct rig *rig)
{
	struct virtio_net_hdr header = { 0 };

	memcpy(&header, device_of(&rig->device)->output, driver_of(rig)->header_bytes);
	return header;
}

static void segments_body(struct rig *rig)
{
	struct vio_part parts[3];
	struct vio_net_io io;

	assert_int_equal(rig_bind(rig, &vio_net_driver), 0);
	make_io(&io, parts, 65535 + 14);
	assert_int_equal(send(rig, &io), -VIO_ERANGE);
	io.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
	assert_int_equal(send(rig, &io), -VIO_EINVAL); /* spec: DRV-NET-040 DRV-NET-041 DRV-NET-042 */
	io.gso_size = 1448;
	io.header_length = 54;
	assert_int_equal(send(rig, &io), -VIO_EINVAL);
	io.csum_partial = true;
	io.csum_start = 34;
	io.csum_offset = 16;
	assert_int_equal(send(rig, &io), 0);
	assert_false(io.busy);
	assert_int_equal(device_of(&rig->device)->output_bytes, driver_of(rig)->header_bytes + 65549);
	assert_int_equal(device_of(&rig->device)->output_elements, 4); /* spec: DRV-NET-120 */
	assert_memory_equal(device_of(&rig->device)->output + driver_of(rig)->header_bytes, bytes, 65549);
	assert_int_equal(sent_header(rig).flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
	assert_int_equal(sent_header(rig).gso_type, VIRTIO_NET_HDR_GSO_TCPV4);
	assert_int_equal(vio_le16_get(sent_header(rig).gso_size), 1448);
	assert_int_equal(vio_le16_get(sent_header(rig).hdr_len), 54);
	assert_int_equal(vio_le16_get(sent_header(rig).csum_start), 34); /* spec: DRV-NET-036 DRV-NET-038 */
	assert_int_equal(vio_le16_get(sent_header(rig).csum_offset), 16);
	assert_int_equal(vio_le16_get(sent_header(rig).num_buffers), 0);
	/* spec: DRV-NET-024 DRV-NET-025; ECN is offered, for TCP */
	io.gso_type = VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN;
	assert_int_equal(send(rig, &io), 0);
	assert_int_equal(sent_header(rig).gso_type, io.gso_type);
	io.gso_type = VIRTIO_NET_HDR_GSO_ECN;
	assert_int_equal(send(rig, &io), -VIO_ENOTSUP);
	/* spec: DRV-NET-021 DRV-NET-022 DRV-NET-023, and tunnels: DRV-NET-026 DRV-NET-031 DRV-NET-032 */
	io.gso_type = VIRTIO_NET_HDR_GSO_TCPV6;
	assert_int_equal(send(rig, &io), -VIO_ENOTSUP);
	io.gso_type = VIRTIO_NET_HDR_GSO_UDP;
	assert_int_equal(send(rig, &io), -VIO_ENOTSUP);
	io.gso_type = VIRTIO_NET_HDR_GSO_UDP_L4;
	assert_int_equal(send(rig, &io),
			 vio_dev_has_feature(&rig->dev, VIRTIO_NET_F_HOST_USO) ? 0 : -VIO_ENOTSUP);
	/* spec: DRV-NET-033 DRV-NET-034 DRV-NET-035 DRV-NET-048 DRV-NET-049 DRV-NET-052 */
	io.gso_type = VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_UDP_TUNNEL_IPV4;
	assert_int_equal(send(rig, &io), -VIO_ENOTSUP);
	io.gso_type = VIRTIO_NET_HDR_GSO_UDP | VIRTIO_NET_HDR_GSO_UDP_TUNNEL_IPV6;
	assert_int_equal(send(rig, &io), -VIO_ENOTSUP);
	/* No segments: the header's length is no less than what it may be. spec: DRV-NET-043 */
	make_io(&io, parts, 900);
	assert_int_equal(send(rig, &io), 0);
	assert_int_equal(sent_header(rig).gso_type, 0);
	assert_int_equal(sent_header(rig).flags, 0);
	assert_int_equal(vio_le16_get(sent_header(rig).hdr_len), 900);
	io.header_length = 901;
	assert_int_equal(send(rig, &io), -VIO_EINVAL);
	io.header_length = 0;
	io.csum_partial = true;
	io.csum_start = 899;
	assert_int_equal(send(rig, &io), -VIO_EINVAL);
}

static void sends_segments(void **state)
{
	for (unsigned i = 0; i < NET_DEVICE_ROOM; i++)
		bytes[i] = (uint8_t)(i * 13 + i / 256);
	/* spec: DRV-NET-050 */
	each(BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(VIRTIO_NET_F_HOST_ECN) |
		     BIT(VIRTIO_NET_F_HOST_USO) | BIT(VIRTIO_NET_F_GUEST_HDRLEN),
	     segments_body);
}

static void whole_body(struct rig *rig)
{
	struct vio_part parts[3];
	struct vio_net_io io;

	assert_int_equal(rig_bind(rig, &vio_net_driver), 0);
	make_io(&io, parts, 900);
	/* spec: DRV-NET-020 DRV-NET-018 DRV-NET-019 */
	io.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
	io.gso_size = 100;
	io.header_length = 54;
	assert_int_equal(send(rig, &io), -VIO_ENOTSUP);
	io.csum_partial = true;
	assert_int_equal(send(rig, &io), -VIO_ENOTSUP);
	io.gso_type = 0;
	assert_int_equal(send(rig, &io), -VIO_ENOTSUP);
}

static void sends_whole_frames_only(void **state)
{
	each(BIT(VIRTIO_NET_F_HOST_TSO4), whole_body); /* which needs CSUM, so it isn't accepted */
}

static unsigned done_count;

static void on_done(struct vio_dev *dev, struct vio_net_io *io)
{
	assert_false(io->busy);
	done_count++;
}

static void full_body(struct rig *rig)
{
	struct vio_net_io ios[80];
	struct vio_part parts[3];
	unsigned i, sent;
	int error = 0;

	assert_int_equal(rig_bind(rig, &vio_net_driver), 0);
	device_of(&rig->device)->deaf = true;
	for (i = 0; i < VIO_ARRAY_SIZE(ios); i++) {
		make_io(&ios[i], parts, 100);
		ios[i].done = on_done;
	}
	for (i = 0; !error && i < VIO_ARRAY_SIZE(ios); i++)
		error = vio_net_submit(&rig->dev, &ios[i]);
	assert_int_equal(error, -VIO_ENOSPC);
	sent = i - 1;
	assert_true(sent >= 64 / 4);
	assert_false(ios[sent].busy);
	assert_int_equal(vio_net_submit(&rig->dev, &ios[0]), -VIO_EBUSY);
	assert_int_equal(rig->platform.shared, sent * 4);
	done_count = 0;
	device_of(&rig->device)->deaf = false;
	vio_device_kick(&rig->device, VIRTIO_NET_TRANSMITQ);
	rig_run(rig);
	vio_net_poll(&rig->dev);
	assert_int_equal(done_count, sent);
	assert_int_equal(ios[0].result, 0);
	device_of(&rig->device)->deaf = true;
	assert_int_equal(vio_net_submit(&rig->dev, &ios[0]), 0);
	assert_int_equal(vio_net_stop(&rig->dev), 0);
	assert_int_equal(ios[0].result, -VIO_EAGAIN);
	assert_int_equal(rig->platform.shared, 0);
}

static void sends_until_full(void **state)
{
	each(0, full_body);
}

/* The device sends `length` bytes behind this header, by a pair. */
static void say(struct rig *rig, const struct virtio_net_hdr_hash *header, uint32_t length, unsigned pair)
{
	struct net_device *net = device_of(&rig->device);
	uint32_t header_bytes = driver_of(rig)->header_bytes;

	memcpy(net->input, header, header_bytes);
	memcpy(net->input + header_bytes, bytes, length);
	net->input_bytes = header_bytes + length;
	net->input_sent = 0;
	vio_device_kick(&rig->device, (uint16_t)(2 * pair));
	rig_run(rig);
	vio_net_poll(&rig->dev);
	rig_run(rig);
}

static struct vio_net_frame last;
static unsigned received;

static void on_received(struct vio_dev *dev, struct vio_net_frame *frame)
{
	last = *frame;
	received++;
	assert_memory_equal(frame->data, bytes, frame->length);
	vio_net_give_back(dev, frame);
}

static void dropped(struct rig *rig, struct virtio_net_hdr header)
{
	const struct virtio_net_hdr_hash whole = { .header = header };
	uint64_t before = driver_of(rig)->dropped;

	received = 0;
	header.num_buffers = vio_le16_make(1);
	say(rig, &whole, 1000, 0);
	assert_int_equal(received, 0);
	assert_int_equal(driver_of(rig)->dropped, before + 1);
}

/* hostile: B55 */
static void large_body(struct rig *rig)
{
	struct virtio_net_hdr_hash header = {
		.header = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
			    .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
			    .hdr_len = vio_le16_make(0xffff), /* spec: DRV-NET-063 */
			    .gso_size = vio_le16_make(1448),
			    .csum_start = vio_le16_make(34),
			    .csum_offset = vio_le16_make(16),
			    .num_buffers = vio_le16_make(1) },
	};
	struct virtio_net_hdr bad;

	assert_int_equal(rig_bind(rig, &vio_net_driver), 0);
	assert_in_range(driver_of(rig)->buffer_bytes, 1526, 2000); /* spec: DRV-NET-056 */
	dropped(rig, header.header);
	driver_of(rig)->wants = VIO_NET_WANT_LARGE;
	driver_of(rig)->received = on_received;
	assert_int_equal(vio_net_init(&rig->dev), 0);
	assert_true(driver_of(rig)->buffer_bytes >= 65609); /* spec: DRV-NET-055 */
	for (unsigned i = 1; i <= 20; i++) {
		received = 0;
		say(rig, &header, 65549, 0);
		assert_int_equal(received, 1);
		assert_int_equal(last.length, 65549);
		assert_int_equal(last.gso_type, VIRTIO_NET_HDR_GSO_TCPV4);
		assert_int_equal(last.gso_size, 1448);
		assert_true(last.csum_partial);
	}
	bad = header.header;
	bad.flags = 0;
	dropped(rig, bad);
	bad = header.header;
	bad.gso_size = vio_le16_make(0);
	dropped(rig, bad);
	bad = header.header;
	bad.gso_type = VIRTIO_NET_HDR_GSO_TCPV6; /* not offered */
	dropped(rig, bad);
	bad.gso_type = VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN;
	dropped(rig, bad);
	bad.gso_type = VIRTIO_NET_HDR_GSO_UDP_L4;
	dropped(rig, bad);
	/* spec: DRV-NET-065 DRV-NET-066 DRV-NET-067 */
	bad.gso_type = VIRTIO_NET_HDR_GSO_UDP_TUNNEL_IPV4 | VIRTIO_NET_HDR_GSO_UDP_TUNNEL_IPV6;
	dropped(rig, bad);
	bad.gso_type = VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_UDP_TUNNEL_IPV4;
	dropped(rig, bad);
	bad = header.header; /* spec: DRV-NET-068 */
	bad.gso_type = 0;
	bad.flags |= VIRTIO_NET_HDR_F_UDP_TUNNEL_CSUM;
	dropped(rig, bad);
	/* spec: DRV-NET-062: fields that mean something else are left alone */
	header.header.gso_type = 0;
	header.header.flags |= VIRTIO_NET_HDR_F_RSC_INFO;
	header.header.csum_start = vio_le16_make(0xffff);
	say(rig, &header, 1000, 0);
	assert_int_equal(received, 1);
	assert_false(last.csum_partial);
	assert_false(last.csum_valid); /* spec: DRV-NET-064 */
	assert_int_equal(last.csum_start, 0);
	header.header.flags = VIRTIO_NET_HDR_F_DATA_VALID;
	say(rig, &header, 1000, 0);
	assert_true(last.csum_valid);
	header.header.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	dropped(rig, header.header);
}

static void receives_segments(void **state)
{
	each(BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_GUEST_TSO4), large_body);
	each(BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_GUEST_TSO4) | BIT(VIRTIO_NET_F_MRG_RXBUF),
	     large_body);
}

static void pairs_body(struct rig *rig)
{
	const struct virtio_net_hdr_hash header = { .header = { .num_buffers = vio_le16_make(1) } };
	struct net_device *net = device_of(&rig->device);
	struct vio_part parts[3];
	struct vio_net_io io;

	assert_int_equal(rig_bind(rig, &vio_net_driver), 0);
	assert_int_equal(driver_of(rig)->pairs, 1);
	assert_int_equal(vio_net_set_pairs(&rig->dev, 1), -VIO_ENOTSUP);
	driver_of(rig)->pairs_wanted = 3;
	driver_of(rig)->received = on_received;
	assert_int_equal(vio_net_init(&rig->dev), 0);
	assert_int_equal(driver_of(rig)->pairs, 3);
	make_io(&io, parts, 100);
	io.pair = 1;
	assert_int_equal(send(rig, &io), -VIO_ERANGE);                  /* spec: DRV-NET-081 */
	assert_int_equal(vio_net_set_pairs(&rig->dev, 0), -VIO_ERANGE); /* spec: DRV-NET-080 */
	assert_int_equal(vio_net_set_pairs(&rig->dev, 4), -VIO_ERANGE);
	assert_int_equal(net->commands, 0);
	for (uint16_t i = 1; i < 6; i += 2)
		assert_true(rig->device.queues[i].size); /* spec: DRV-NET-079: it is there before */
	assert_int_equal(vio_net_set_pairs(&rig->dev, 3), 0);
	heard(rig, (const uint8_t[]){ 4, 0, 3, 0 }, 4, 2);
	for (uint16_t i = 0; i < 3; i++) {
		io.pair = i;
		assert_int_equal(send(rig, &io), 0);
		assert_int_equal(net->output_queue, 2 * i + 1);
		for (unsigned j = 0; j < 100; j++) { /* spec: DRV-NET-059 */
			received = 0;
			say(rig, &header, 1000, i);
			assert_int_equal(received, 1);
			assert_int_equal(last.pair, i);
		}
	}
	/* Two frames that arrive in pieces, by two pairs at once. */
	if (vio_dev_has_feature(&rig->dev, VIRTIO_NET_F_MRG_RXBUF)) {
		struct virtio_net_hdr_hash pieces = header;

		pieces.header.num_buffers = vio_le16_make(2);
		net->piece = 600;
		received = 0;
		say(rig, &pieces, 1000, 0);
		say(rig, &pieces, 1100, 1);
		assert_int_equal(received, 2);
		net->piece = 0;
	}
	/* spec: DRV-NET-082: none goes there from the command on, whatever becomes of it */
	net->ack = VIRTIO_NET_ERR;
	assert_int_equal(vio_net_set_pairs(&rig->dev, 1), -VIO_EACCES);
	assert_int_equal(driver_of(rig)->pairs_active, 3);
	net->ack = VIRTIO_NET_OK;
	assert_int_equal(vio_net_set_pairs(&rig->dev, 1), 0);
	assert_int_equal(send(rig, &io), -VIO_ERANGE);
	/* More than the driver has room for, or none: one pair, and the control queue behind it. */
	net->pairs = VIO_NET_PAIRS_MAX + 1;
	assert_int_equal(vio_net_init(&rig->dev), 0);
	assert_int_equal(driver_of(rig)->pairs, 1);
	net->pairs = 0;
	assert_int_equal(vio_net_init(&rig->dev), 0);
	assert_int_equal(driver_of(rig)->pairs, 1);
	assert_false(vio_dev_has_feature(&rig->dev, VIRTIO_NET_F_MQ));
	assert_int_equal(rig->device.fault_count, 0);
}

static void uses_pairs(void **state)
{
	each(BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_MQ), pairs_body);
	each(BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_MQ) | BIT(VIRTIO_NET_F_MRG_RXBUF), pairs_body);
}

static void hash_body(struct rig *rig)
{
	struct virtio_net_hdr_hash header = {
		.header = { .num_buffers = vio_le16_make(1) },
		.hash_value = vio_le32_make(0x12345678),
		.hash_report = vio_le16_make(VIRTIO_NET_HASH_REPORT_TCPv4),
	};
	static const uint16_t table[4] = { 0, 1, 2, 0 }, wild[4] = { 0, 1, 3, 0 };
	static const uint8_t key[VIO_NET_KEY_MAX] = { 9, 8 };
	struct vio_net_steering steering = { .hash_types = VIRTIO_NET_HASH_TYPE_IPv4,
					     .table = table,
					     .table_count = 4,
					     .unhashed = 1,
					     .pairs = 2,
					     .key = key,
					     .key_bytes = 2 };
	struct vio_dev *dev = &rig->dev;

	assert_int_equal(rig_bind(rig, &vio_net_driver), 0);
	driver_of(rig)->wants = VIO_NET_WANT_HASH | VIO_NET_WANT_STEERING;
	driver_of(rig)->pairs_wanted = 3;
	driver_of(rig)->received = on_received;
	assert_int_equal(vio_net_init(dev), 0);
	if (!vio_dev_has_feature(dev, VIRTIO_NET_F_HASH_REPORT))
		return;                                     /* a legacy device has no such bits */
	assert_int_equal(driver_of(rig)->header_bytes, 20); /* spec: DRV-NET-057 DRV-NET-058 */
	received = 0;
	say(rig, &header, 500, 0);
	assert_int_equal(received, 1);
	assert_int_equal(last.hash, 0x12345678);
	assert_int_equal(last.hash_type, VIRTIO_NET_HASH_REPORT_TCPv4);
	assert_int_equal(vio_net_send_buffer(dev, bytes, 60), 0); /* spec: DRV-NET-016 */
	assert_int_equal(device_of(&rig->device)->output_bytes, 80);
	/* spec: DRV-NET-083 */
	assert_int_equal(vio_net_set_hash(dev, VIRTIO_NET_HASH_TYPE_TCPv4, key, 2), 0);
	heard(rig, (const uint8_t[]){ 4, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 9, 8 }, 17, 2);
	/* spec: DRV-NET-088 */
	assert_int_equal(vio_net_set_hash(dev, VIRTIO_NET_HASH_TYPE_UDPv4, key, 2), -VIO_ENOTSUP);
	assert_int_equal(vio_net_set_hash(dev, 0, key, 41), -VIO_ERANGE);
	assert_int_equal(vio_net_set_steering(dev, &steering), 0);
	heard(rig, (const uint8_t[]){ 4, 1, 1, 0, 0, 0, 3, 0, 1, 0, 0, 0, 1, 0, 2, 0, 0, 0, 2, 0, 2, 9, 8 },
	      23, 2);
	assert_int_equal(driver_of(rig)->pairs_active, 2);
	steering.table_count = 3; /* spec: DRV-NET-086 */
	assert_int_equal(vio_net_set_steering(dev, &steering), -VIO_ERANGE);
	steering.table_count = 128; /* spec: DRV-NET-087 */
	assert_int_equal(vio_net_set_steering(dev, &steering), -VIO_ERANGE);
	steering.table_count = 4;
	steering.table = wild; /* spec: DRV-NET-085 */
	assert_int_equal(vio_net_set_steering(dev, &steering), -VIO_ERANGE);
	steering.table = table;
	steering.hash_types = VIRTIO_NET_HASH_TYPE_UDPv6;
	assert_int_equal(vio_net_set_steering(dev, &steering), -VIO_ENOTSUP);
	steering.hash_types = 0;
	steering.pairs = 4;
	assert_int_equal(vio_net_set_steering(dev, &steering), -VIO_ERANGE);
	steering.pairs = 1;
	steering.unhashed = 3;
	assert_int_equal(vio_net_set_steering(dev, &steering), -VIO_ERANGE);
	assert_int_equal(device_of(&rig->device)->commands, 0);
}

static void hashes_and_steers(void **state)
{
	each(BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_RSS) | BIT(VIRTIO_NET_F_HASH_REPORT), hash_body);
}

static void boast_body(struct rig *rig)
{
	assert_int_equal(rig_bind(rig, &vio_net_driver), 0);
	device_of(&rig->device)->boasts = true;
	driver_of(rig)->timeout_ns = 1000000;
	/* spec: DRV-NET-015; others are taken at their word, hostile: B11 */
	assert_int_equal(vio_net_send_buffer(&rig->dev, bytes, 100), rig->dev.legacy ? 0 : -VIO_EPEER);
	if (rig->dev.legacy)
		assert_int_equal(vio_net_set_vlan(&rig->dev, 1, 1), 0);
}

static void lets_old_devices_boast(void **state)
{
	uint64_t features = BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_CTRL_VLAN);

	/* It writes the used ring of a split queue. */
	rig_each(&(struct rig_options){ .class = &net_device_class,
					.withhold = BIT(VIRTIO_F_RING_PACKED),
					.furnish = net_device_furnish,
					.context = &features },
		 boast_body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sets_modes),
		cmocka_unit_test(says_what_is_missing),
		cmocka_unit_test(sets_coalescing),
		cmocka_unit_test(follows_the_link),
		cmocka_unit_test(sends_segments),
		cmocka_unit_test(sends_whole_frames_only),
		cmocka_unit_test(sends_until_full),
		cmocka_unit_test(receives_segments),
		cmocka_unit_test(uses_pairs),
		cmocka_unit_test(hashes_and_steers),
		cmocka_unit_test(lets_old_devices_boast),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
