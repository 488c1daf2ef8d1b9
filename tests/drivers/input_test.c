/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/rig.h"

#include <string.h>

#include <vireo/drivers/input.h>

struct input_device {
	uint8_t select, subsel, size;
	unsigned to_send;
	uint32_t length; /* of an event */
	struct virtio_input_event heard;
	unsigned wrong;
	bool deaf;
	uint16_t type;
};

static void kick(struct vio_device *device, struct vio_devq *q)
{
	struct input_device *input = vio_device_state(device);
	const struct virtio_input_event event = { vio_le16_make(input->type ? input->type : 1),
						  vio_le16_make(30), vio_le32_make(7) };
	struct vio_buf buf;

	while (q->index == VIRTIO_INPUT_EVENTQ && input->to_send && vio_devq_pop(q, &buf)) {
		input->to_send--;
		/* spec: DRV-INPUT-005 DRV-INPUT-006 */
		input->wrong += buf.readable_bytes != 0 || buf.writable_bytes < sizeof(event);
		vio_devq_push(q, &buf, (uint32_t)vio_write(&buf, &event, input->length));
	}
	while (q->index == VIRTIO_INPUT_STATUSQ && !input->deaf && vio_devq_pop(q, &buf)) {
		/* spec: DRV-INPUT-007 */
		input->wrong += buf.writable_bytes != 0 || buf.readable_bytes < sizeof(event);
		vio_read(&buf, &input->heard, sizeof(input->heard));
		vio_devq_push(q, &buf, 0);
	}
	vio_devq_notify(q);
}

static void get_config(struct vio_device *device, void *config)
{
	const struct input_device *input = vio_device_state(device);
	struct virtio_input_config wire = { .select = input->select, .subsel = input->subsel };

	if (input->select == VIRTIO_INPUT_CFG_ID_NAME) {
		wire.size = input->size ? input->size : 4;
		memcpy(wire.u, "mice", 4);
	}
	memcpy(config, &wire, sizeof(wire));
}

static void set_config(struct vio_device *device, const void *config, uint32_t offset, uint32_t length)
{
	struct input_device *input = vio_device_state(device);

	input->wrong += offset + length > 2; /* spec: DRV-INPUT-002 */
	input->select = ((const uint8_t *)config)[0];
	input->subsel = ((const uint8_t *)config)[1];
}

static const struct vio_device_class input_class = {
	.name = "input",
	.summary = "does what a test says",
	.id = VIRTIO_ID_INPUT,
	.queue_count = 2,
	.queue_size = 64,
	.state_bytes = sizeof(struct input_device),
	.config_bytes = sizeof(struct virtio_input_config),
	.get_config = get_config,
	.set_config = set_config,
	.kick = kick,
};

static void on_event(struct vio_dev *dev, uint16_t type, uint16_t code, uint32_t value)
{
	assert_int_equal(type, 1);
	assert_int_equal(code, 30);
	assert_int_equal(value, 7);
	++*(unsigned *)dev->owner;
}

static void send(struct rig *rig, unsigned count, uint32_t length)
{
	struct input_device *input = vio_device_state(&rig->device);

	input->to_send = count;
	input->length = length;
	vio_device_kick(&rig->device, VIRTIO_INPUT_EVENTQ);
	rig_run(rig);
	vio_input_poll(&rig->dev);
	rig_run(rig);
}

static void body(struct rig *rig)
{
	struct input_device *device = vio_device_state(&rig->device);
	struct vio_input *input;
	unsigned seen = 0;
	char name[128];
	uint32_t got;

	assert_int_equal(rig_bind(rig, &vio_input_driver), 0);
	input = rig->dev.driver_state;
	rig->dev.owner = &seen;
	input->event = on_event;
	send(rig, 100, 8);
	assert_int_equal(seen, 100);
	send(rig, 3, 5); /* hostile: B11 */
	assert_int_equal(seen, 100);
	assert_int_equal(input->dropped, 3);
	assert_int_equal(vio_input_query(&rig->dev, VIRTIO_INPUT_CFG_ID_NAME, 0, name, 128, &got), 0);
	assert_int_equal(got, 4);
	assert_memory_equal(name, "mice", 4);
	/* spec: DRV-INPUT-003: nothing is taken for there when the size is 0 */
	memset(name, 'x', sizeof(name));
	assert_int_equal(vio_input_query(&rig->dev, VIRTIO_INPUT_CFG_EV_BITS, 1, name, 128, &got), 0);
	assert_int_equal(got, 0);
	assert_int_equal(name[0], 'x');
	assert_int_equal(device->subsel, 1); /* spec: DRV-INPUT-001 */
	device->size = 129;                  /* hostile: B61 */
	assert_int_equal(vio_input_query(&rig->dev, VIRTIO_INPUT_CFG_ID_NAME, 0, name, 128, &got),
			 -VIO_EPEER);
	assert_int_equal(vio_input_set(&rig->dev, 17, 1, 1), 0);
	assert_int_equal(vio_le16_get(device->heard.type), 17);
	assert_int_equal(rig->device.fault_count, 0);
	assert_int_equal(device->wrong, 0);
}

static void delivers_events(void **state)
{
	rig_each(&(struct rig_options){ .class = &input_class }, body);
}

static void on_any(struct vio_dev *dev, uint16_t type, uint16_t code, uint32_t value)
{
	*(unsigned *)dev->owner = type;
}

/* Stopped, started, not answered, and pulled out. */
static void life_body(struct rig *rig)
{
	struct input_device *device = vio_device_state(&rig->device);
	struct vio_dev *dev = &rig->dev;
	struct vio_input *input;
	unsigned seen = 0;
	uint32_t got;
	char name[4];

	assert_int_equal(vio_input_stop(dev), -VIO_EINVAL);
	assert_int_equal(vio_input_start(dev), -VIO_EINVAL);
	assert_int_equal(vio_input_poll(dev), -VIO_EINVAL);
	assert_int_equal(vio_input_set(dev, 1, 1, 1), -VIO_EINVAL);
	assert_int_equal(vio_input_query(dev, 1, 0, name, 4, &got), -VIO_EINVAL);
	assert_int_equal(rig_bind(rig, &vio_input_driver), 0);
	input = dev->driver_state;
	dev->owner = &seen;
	input->event = on_event;
	send(rig, 5, 8);
	assert_int_equal(seen, 5);
	assert_int_equal(vio_input_stop(dev), 0);
	assert_int_equal(rig->platform.shared, 0);
	assert_int_equal(vio_input_poll(dev), -VIO_EPHASE);
	assert_int_equal(vio_input_set(dev, 1, 1, 1), -VIO_EPHASE);
	send(rig, 5, 8);
	assert_int_equal(seen, 5);
	device->to_send = 0;
	assert_int_equal(vio_input_stop(dev), 0);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(vio_input_start(dev), 0);
		/* spec: DRV-INPUT-004: more than there are buffers, as they come back */
		seen = 0;
		send(rig, 2 * VIO_INPUT_EVENTS, 8);
		assert_int_equal(seen, 2 * VIO_INPUT_EVENTS);
	}
	/* spec: DRV-INPUT-008: one that nobody knows is handed on as it is, and nothing happens */
	input->event = on_any;
	device->type = 0x4321;
	send(rig, 1, 8);
	assert_int_equal(seen, 0x4321);
	input->event = NULL;
	send(rig, 1, 8);
	device->deaf = true;
	input->timeout_ns = 1000000;
	assert_int_equal(vio_input_set(dev, 17, 1, 1), -VIO_EAGAIN);
	assert_int_equal(rig->platform.shared, 0);
	device->deaf = false;
	assert_int_equal(vio_input_start(dev), 0);
	assert_int_equal(vio_input_set(dev, 17, 1, 1), 0);
	assert_int_equal(device->wrong, 0);
	if (!rig->transport->pull_out)
		return;
	rig->transport->pull_out(rig);
	assert_int_equal(vio_input_set(dev, 17, 1, 0), -VIO_EHANGUP);
	assert_int_equal(rig->platform.shared, 0);
	assert_int_equal(vio_input_stop(dev), -VIO_EHANGUP);
	assert_int_equal(vio_input_start(dev), -VIO_EHANGUP);
}

static void stops_and_starts(void **state)
{
	rig_each(&(struct rig_options){ .class = &input_class }, life_body);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(delivers_events),
					    cmocka_unit_test(stops_and_starts) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
