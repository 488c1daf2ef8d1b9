/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/rig.h"

#include <string.h>

#include <vireo/devices/net.h>
#include <vireo/drivers/net.h>
#include <vireo/host_network.h>

/* Our driver and our device, over every transport: what one says the other has to understand. */

#define HASHES (VIRTIO_NET_HASH_TYPE_IPv4 | VIRTIO_NET_HASH_TYPE_TCPv4)

static struct vio_network *network;

static void furnish(struct vio_device *device, void *context)
{
	assert_int_equal(vio_net_attach(device, context), 0);
}

static struct vio_net *driver_of(struct rig *rig)
{
	return rig->dev.driver_state;
}

/* Over a network that answers with what it hears. */
static void each(const char *const *properties, uint64_t withhold, void (*body)(struct rig *rig))
{
	const struct vio_host_network_options echo = { .backend = VIO_HOST_NETWORK_ECHO };
	struct rig_options options = { .class = &vio_net_class,
				       .properties = properties,
				       .withhold = withhold,
				       .remote = true,
				       .furnish = furnish };
	struct vio_message message;
	struct vio_loop *loop;
	int error;

	loop = vio_loop_create(0, &error);
	assert_non_null(loop);
	assert_int_equal(vio_host_network_open(loop, &echo, 8, &network, &message), 0);
	options.context = network;
	rig_each(&options, body);
	network->ops->close(network);
	vio_loop_destroy(loop);
}

static void make_frame(uint8_t *frame, const uint8_t *from, uint32_t length)
{
	memset(frame, 2, 6);
	memcpy(frame + 6, from, 6);
	frame[12] = 0x88;
	frame[13] = 0xb5;
	for (uint32_t i = 14; i < length; i++)
		frame[i] = (uint8_t)(i * 5 + length);
}

/* Sends a frame, and gets it back with its addresses swapped. */
static void echo(struct rig *rig, uint32_t length)
{
	uint8_t frame[2048], back[2048];
	uint32_t got;

	make_frame(frame, driver_of(rig)->mac, length);
	assert_int_equal(vio_net_send_buffer(&rig->dev, frame, length), 0);
	rig_run(rig);
	assert_int_equal(vio_net_poll(&rig->dev), 0);
	assert_int_equal(vio_net_receive_buffer(&rig->dev, back, sizeof(back), &got), 0);
	assert_int_equal(got, length);
	assert_memory_equal(back, frame + 6, 6);
	assert_memory_equal(back + 6, frame, 6);
	assert_memory_equal(back + 12, frame + 12, length - 12);
}

/* What comes before buffers to receive into have is lost, as on any network. */
static void warm_up(struct rig *rig)
{
	uint8_t early[64] = { 2 };
	uint32_t got;

	if (!rig->transport->late)
		return;
	assert_int_equal(vio_net_send_buffer(&rig->dev, early, sizeof(early)), 0);
	rig_run(rig);
	(void)vio_net_receive_buffer(&rig->dev, early, sizeof(early), &got);
}

static void echo_body(struct rig *rig)
{
	assert_int_equal(rig_bind(rig, &vio_net_driver), 0);
	assert_true(driver_of(rig)->link_up);
	assert_true(driver_of(rig)->mac_known);
	assert_memory_equal(driver_of(rig)->mac, "\x52\x54\0\0\0\1", 6);
	assert_int_equal(driver_of(rig)->mtu, 1400);
	warm_up(rig);
	for (uint32_t length = 14; length <= 1414; length += 50)
		echo(rig, length);
	assert_int_equal(vio_net_init(&rig->dev), 0);
	warm_up(rig);
	for (unsigned i = 0; i < 200; i++)
		echo(rig, 60 + i);
	assert_int_equal(driver_of(rig)->dropped, 0);
}

static void frames_come_back(void **state)
{
	static const char *const properties[] = { "mac=52:54:00:00:00:01", "mtu=1400", NULL };
	static const char *const least[] = { "mac=52:54:00:00:00:01", "mtu=1400", "mrg-rxbuf=off", "csum=off",
					     "ctrl-vq=off",           NULL };

	each(properties, 0, echo_body);
	each(properties, UINT64_C(1) << VIRTIO_NET_F_MRG_RXBUF, echo_body);
	each(least, 0, echo_body);
}

static void refuse_or_obey(struct rig *rig, int result, unsigned feature)
{
	bool has = vio_dev_has_feature(&rig->dev, feature);

	assert_int_equal(result, has ? 0 : -VIO_ENOTSUP);
}

static void control_body(struct rig *rig)
{
	static const uint8_t mac[6] = { 0x52, 0x54, 0, 0, 0, 9 }, all[1][6] = { { 2, 2, 2, 2, 2, 2 } };
	const struct vio_net_coalescing wish = { 7, 0 };
	struct vio_net_coalescing got = { 0, 0 };
	struct vio_dev *dev = &rig->dev;

	assert_int_equal(rig_bind(rig, &vio_net_driver), 0);
	refuse_or_obey(rig, vio_net_set_receive(dev, VIRTIO_NET_CTRL_RX_ALLMULTI, 1), VIRTIO_NET_F_CTRL_RX);
	refuse_or_obey(rig, vio_net_set_filter(dev, all, 1, NULL, 0), VIRTIO_NET_F_CTRL_RX);
	refuse_or_obey(rig, vio_net_set_vlan(dev, 5, 1), VIRTIO_NET_F_CTRL_VLAN);
	refuse_or_obey(rig, vio_net_set_mac(dev, mac), VIRTIO_NET_F_CTRL_MAC_ADDR);
	echo(rig, 100);
	refuse_or_obey(rig, vio_net_set_coalescing(dev, VIRTIO_NET_CTRL_NOTF_COAL_TX_SET, &wish),
		       VIRTIO_NET_F_NOTF_COAL);
	refuse_or_obey(rig, vio_net_set_queue_coalescing(dev, 0, &wish), VIRTIO_NET_F_VQ_NOTF_COAL);
	refuse_or_obey(rig, vio_net_get_queue_coalescing(dev, 0, &got), VIRTIO_NET_F_VQ_NOTF_COAL);
	if (vio_dev_has_feature(dev, VIRTIO_NET_F_VQ_NOTF_COAL))
		assert_int_equal(got.frames_max, 7);
	echo(rig, 200);
}

static void commands_are_obeyed(void **state)
{
	static const char *const properties[] = { "mac=52:54:00:00:00:01", NULL };

	each(properties, 0, control_body);
}

static void pairs_body(struct rig *rig)
{
	static const uint8_t key[40] = { 1, 2, 3 };
	static const uint16_t table[4] = { 1, 0, 1, 0 };
	const struct vio_net_steering steering = { HASHES, table, 4, 1, 2, key, sizeof(key) };
	struct vio_dev *dev = &rig->dev;

	assert_int_equal(rig_bind(rig, &vio_net_driver), 0);
	driver_of(rig)->pairs_wanted = 2;
	driver_of(rig)->wants = VIO_NET_WANT_HASH | VIO_NET_WANT_STEERING;
	assert_int_equal(vio_net_init(dev), 0);
	if (vio_dev_has_feature(dev, VIRTIO_NET_F_MQ))
		assert_int_equal(vio_net_set_pairs(dev, 2), 0);
	echo(rig, 100);
	if (vio_dev_has_feature(dev, VIRTIO_NET_F_RSS)) {
		assert_int_equal(vio_net_set_steering(dev, &steering), 0);
		/* No packet of IP: it goes where those without hash go. */
		echo(rig, 100);
	}
	if (vio_dev_has_feature(dev, VIRTIO_NET_F_HASH_REPORT))
		assert_int_equal(vio_net_set_hash(dev, HASHES, key, sizeof(key)), 0);
	echo(rig, 300);
}

static void pairs_and_hashes(void **state)
{
	static const char *const properties[] = { "mac=52:54:00:00:00:01", "pairs=3", NULL };

	each(properties, 0, pairs_body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_come_back),
		cmocka_unit_test(commands_are_obeyed),
		cmocka_unit_test(pairs_and_hashes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
