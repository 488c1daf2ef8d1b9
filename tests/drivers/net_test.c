/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/rig.h"

#include <string.h>

#include <vireo/drivers/net.h>

/* The network driver against a device that does what the test says, over every transport. */

#define BIT(bit) (UINT64_C(1) << (bit))

struct net_device {
	uint64_t features;
	uint16_t status, mtu;
	uint8_t input[4096]; /* of one frame, with its header */
	uint32_t input_bytes, input_sent, piece;
	uint8_t output[4096];
	uint32_t output_bytes;
	bool deaf;
};

static struct net_device *device_of(struct vio_device *device)
{
	return vio_device_state(device);
}

static void kick(struct vio_device *device, struct vio_devq *q)
{
	struct net_device *net = device_of(device);
	struct vio_buf buf;

	while (q->index == VIRTIO_NET_RECEIVEQ && net->input_sent < net->input_bytes &&
	       vio_devq_pop(q, &buf)) {
		uint32_t length = net->input_bytes - net->input_sent;

		if (net->piece && length > net->piece)
			length = net->piece;
		length = (uint32_t)vio_write(&buf, net->input + net->input_sent, length);
		net->input_sent += length;
		vio_devq_push(q, &buf, length);
	}
	while (q->index == VIRTIO_NET_TRANSMITQ && !net->deaf && vio_devq_pop(q, &buf)) {
		net->output_bytes = (uint32_t)vio_read(&buf, net->output, sizeof(net->output));
		vio_devq_push(q, &buf, 0);
	}
	vio_devq_notify(q);
}

static void get_features(struct vio_device *device, struct vio_features *offer)
{
	*offer = vio_features_or(*offer, vio_features_low(device_of(device)->features));
}

static void get_config(struct vio_device *device, void *config)
{
	const struct virtio_net_config wire = {
		.mac = { 2, 3, 4, 5, 6, 7 },
		.status = vio_le16_make(device_of(device)->status),
		.mtu = vio_le16_make(device_of(device)->mtu),
	};

	memcpy(config, &wire, sizeof(wire));
}

static const struct vio_device_class net_class = {
	.name = "net",
	.summary = "does what a test says",
	.id = VIRTIO_ID_NET,
	.queue_count = 2,
	.queue_size = 64,
	.state_bytes = sizeof(struct net_device),
	.config_bytes = sizeof(struct virtio_net_config),
	.get_features = get_features,
	.get_config = get_config,
	.kick = kick,
};

static void furnish(struct vio_device *device, void *context)
{
	*device_of(device) = *(const struct net_device *)context;
}

static void each(uint64_t features, uint16_t mtu, void (*body)(struct rig *rig))
{
	struct net_device is = { .features = features, .mtu = mtu };
	const struct rig_options options = { .class = &net_class, .furnish = furnish, .context = &is };

	rig_each(&options, body);
}

static struct vio_net *driver_of(struct rig *rig)
{
	return rig->dev.driver_state;
}

/* The device sends a frame of `length` bytes that count up, behind this header. */
static void say(struct rig *rig, struct virtio_net_hdr header, uint32_t length)
{
	struct net_device *net = device_of(&rig->device);
	uint32_t header_bytes = driver_of(rig)->header_bytes;

	memcpy(net->input, &header, header_bytes);
	for (uint32_t i = 0; i < length; i++)
		net->input[header_bytes + i] = (uint8_t)(i + i / 256);
	net->input_bytes = header_bytes + length;
	net->input_sent = 0;
	vio_device_kick(&rig->device, VIRTIO_NET_RECEIVEQ);
	rig_run(rig);
}

static void assert_received(struct rig *rig, uint32_t length)
{
	uint8_t bytes[4096];
	uint32_t got;

	assert_int_equal(vio_net_receive_buffer(&rig->dev, bytes, sizeof(bytes), &got), 0);
	assert_int_equal(got, length);
	for (uint32_t i = 0; i < length; i++)
		assert_int_equal(bytes[i], (uint8_t)(i + i / 256));
}

static void plain_body(struct rig *rig)
{
	struct net_device *net = device_of(&rig->device);
	struct virtio_net_hdr one = { .num_buffers = vio_le16_make(1) };
	uint8_t frame[1600] = { 0 };
	uint32_t got;

	assert_int_equal(vio_net_send_buffer(&rig->dev, frame, 60), -VIO_EINVAL);
	assert_int_equal(rig_bind(rig, &vio_net_driver), 0);
	/* spec: DRV-NET-005 DRV-NET-016 */
	assert_true(driver_of(rig)->link_up);
	assert_false(driver_of(rig)->mac_known); /* spec: DRV-NET-004 */
	assert_int_equal(driver_of(rig)->header_bytes, rig->dev.legacy ? 10 : 12);
	for (unsigned i = 0; i < sizeof(frame); i++)
		frame[i] = (uint8_t)(i * 7);
	assert_int_equal(vio_net_send_buffer(&rig->dev, frame, 60), 0);
	assert_int_equal(net->output_bytes, 60 + driver_of(rig)->header_bytes);
	assert_memory_equal(net->output + driver_of(rig)->header_bytes, frame, 60);
	/* spec: DRV-NET-017 DRV-NET-018 DRV-NET-039 DRV-NET-051 */
	for (unsigned i = 0; i < driver_of(rig)->header_bytes; i++)
		assert_int_equal(net->output[i], 0);
	assert_int_equal(vio_net_send_buffer(&rig->dev, frame, 1514), 0); /* spec: DRV-NET-009 */
	assert_int_equal(vio_net_send_buffer(&rig->dev, frame, 1515), -VIO_ERANGE);
	assert_int_equal(vio_net_send_buffer(&rig->dev, frame, 13), -VIO_EINVAL);
	for (unsigned i = 0; i < 100; i++) {
		say(rig, one, 14 + i * 15);
		assert_received(rig, 14 + i * 15);
	}
	say(rig, one, 100);
	assert_int_equal(vio_net_receive_buffer(&rig->dev, frame, 99, &got), -VIO_ERANGE);
	assert_int_equal(got, 100);
	assert_received(rig, 100);
	assert_int_equal(vio_net_receive_buffer(&rig->dev, frame, 99, &got), -VIO_EAGAIN);
	assert_int_equal(rig->device.fault_count, 0);
	/* Nobody answers. */
	net->deaf = true;
	driver_of(rig)->timeout_ns = 1000000;
	assert_int_equal(vio_net_send_buffer(&rig->dev, frame, 60), -VIO_EAGAIN);
	net->deaf = false;
	assert_int_equal(vio_net_init(&rig->dev), 0);
	assert_int_equal(vio_net_send_buffer(&rig->dev, frame, 60), 0);
}

static void sends_and_receives(void **state)
{
	each(0, 0, plain_body);
}

/* hostile: B55 */
static void nonsense_body(struct rig *rig)
{
	struct virtio_net_hdr gso = { .gso_type = 1 };
	struct virtio_net_hdr partial = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM };
	struct net_device *net = device_of(&rig->device);

	assert_int_equal(rig_bind(rig, &vio_net_driver), 0);
	say(rig, gso, 60);
	say(rig, partial, 60); /* not negotiated */
	say(rig, (struct virtio_net_hdr){ 0 }, 0);
	say(rig, (struct virtio_net_hdr){ 0 }, 13);
	net->input_bytes = 3; /* not even a header */
	net->input_sent = 0;
	vio_device_kick(&rig->device, VIRTIO_NET_RECEIVEQ);
	rig_run(rig);
	assert_int_equal(vio_net_poll(&rig->dev), 0);
	assert_int_equal(driver_of(rig)->dropped, 5);
	say(rig, (struct virtio_net_hdr){ .flags = 0xfc }, 60); /* spec: DRV-NET-060 */
	assert_received(rig, 60);
}

static void drops_nonsense(void **state)
{
	each(0, 0, nonsense_body);
}

static void merged_body(struct rig *rig)
{
	struct virtio_net_hdr header = { .num_buffers = vio_le16_make(3) };
	uint8_t bytes[64];
	uint32_t got;

	assert_int_equal(rig_bind(rig, &vio_net_driver), 0);
	assert_int_equal(driver_of(rig)->header_bytes, 12);
	device_of(&rig->device)->piece = 400;
	for (unsigned i = 0; i < 50; i++) {
		say(rig, header, 1000);
		assert_received(rig, 1000);
	}
	device_of(&rig->device)->piece = 1500; /* more than the longest frame */
	say(rig, header, 4000);
	assert_int_equal(vio_net_poll(&rig->dev), 0);
	assert_int_equal(driver_of(rig)->dropped, 1);
	header.num_buffers = vio_le16_make(0); /* hostile: B55 */
	say(rig, header, 60);
	assert_int_equal(vio_net_poll(&rig->dev), 0);
	assert_int_equal(driver_of(rig)->dropped, 2);
	header.num_buffers = vio_le16_make(65535);
	say(rig, header, 60);
	assert_int_equal(vio_net_receive_buffer(&rig->dev, bytes, sizeof(bytes), &got), -VIO_EPEER);
	assert_int_equal(vio_net_init(&rig->dev), 0);
	header.num_buffers = vio_le16_make(1);
	say(rig, header, 60);
	assert_received(rig, 60);
}

static void puts_frames_together(void **state)
{
	each(BIT(VIRTIO_NET_F_MRG_RXBUF), 0, merged_body);
}

static void config_body(struct rig *rig)
{
	static const uint8_t mac[6] = { 2, 3, 4, 5, 6, 7 };

	assert_int_equal(rig_bind(rig, &vio_net_driver), 0);
	assert_true(driver_of(rig)->mac_known); /* spec: DRV-NET-002 DRV-NET-003 */
	assert_memory_equal(driver_of(rig)->mac, mac, 6);
	assert_int_equal(driver_of(rig)->mtu, 2000); /* spec: DRV-NET-007 */
	assert_false(driver_of(rig)->link_up); /* spec: DRV-NET-006 */
	device_of(&rig->device)->status = VIRTIO_NET_S_LINK_UP;
	vio_device_config_changed(&rig->device);
	rig_run(rig);
	assert_true(driver_of(rig)->link_up);
	say(rig, (struct virtio_net_hdr){ 0 }, 2018); /* spec: DRV-NET-008 */
	assert_received(rig, 2018);
}

static void reads_the_configuration(void **state)
{
	each(BIT(VIRTIO_NET_F_MAC) | BIT(VIRTIO_NET_F_MTU) | BIT(VIRTIO_NET_F_STATUS), 2000, config_body);
}

static void bad_mtu_body(struct rig *rig)
{
	assert_int_equal(rig_bind(rig, &vio_net_driver), -VIO_EPEER);
}

static void refuses_no_mtu(void **state)
{
	each(BIT(VIRTIO_NET_F_MTU), 0, bad_mtu_body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sends_and_receives),	   cmocka_unit_test(drops_nonsense),
		cmocka_unit_test(puts_frames_together),	   cmocka_unit_test(reads_the_configuration),
		cmocka_unit_test(refuses_no_mtu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
