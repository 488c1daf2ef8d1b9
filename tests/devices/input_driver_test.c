/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/rig.h"

#include <string.h>

#include <vireo/devices/input.h>
#include <vireo/drivers/input.h>

#include "devices/fake_events.h"

/* Our driver and our device, over every transport: what one says the other has to understand. */

#define HEARD_MAX 4096u

static struct fake_events fake;
static struct vio_event heard[HEARD_MAX];
static unsigned heard_count;

static void furnish(struct vio_device *device, void *context)
{
	(void)context;
	fake_events_init(&fake);
	assert_int_equal(vio_input_attach(device, &fake.source), 0);
}

static void hear(struct vio_dev *dev, uint16_t type, uint16_t code, uint32_t value)
{
	(void)dev;
	assert_true(heard_count < HEARD_MAX);
	heard[heard_count++] = (struct vio_event){ type, code, value };
}

static void bind(struct rig *rig)
{
	struct vio_input *input;

	assert_int_equal(rig_bind(rig, &vio_input_driver), 0);
	input = rig->dev.driver_state;
	input->event = hear;
	heard_count = 0;
}

static void drain(struct rig *rig)
{
	for (unsigned i = 0; i < 100; i++) {
		rig_run(rig);
		assert_int_equal(vio_input_poll(&rig->dev), 0);
	}
}

static void keys_body(struct rig *rig)
{
	uint8_t bytes[128];
	uint32_t got;

	bind(rig);
	assert_int_equal(vio_input_query(&rig->dev, VIRTIO_INPUT_CFG_ID_NAME, 0, bytes, sizeof(bytes), &got),
			 0);
	assert_int_equal(got, 6);
	assert_memory_equal(bytes, "a name", 6);
	/* More than the driver has buffers for, and the device keeps the rest. */
	for (unsigned i = 0; i < 200; i++) {
		fake_events_send(&fake, 1, (uint16_t)(1 + i), 1);
		fake_events_send(&fake, 0, 0, 0);
		fake_events_end(&fake);
	}
	drain(rig);
	assert_int_equal(heard_count, 400);
	for (unsigned i = 0; i < 200; i++) {
		assert_int_equal(heard[2 * i].type, 1);
		assert_int_equal(heard[2 * i].code, 1 + i);
		assert_int_equal(heard[2 * i].value, 1);
		assert_int_equal(heard[2 * i + 1].type, 0);
	}
	assert_int_equal(vio_input_set(&rig->dev, 0x11, 1, 1), 0);
	rig_run(rig);
	assert_int_equal(fake.status_count, 1);
	assert_int_equal(fake.last_status.type, 0x11);
	assert_int_equal(fake.last_status.code, 1);
	assert_int_equal(fake.last_status.value, 1);
	assert_int_equal(rig->device.fault_count, 0);
}

static void keys_and_lights(void **state)
{
	static const char *const properties[] = { "name=a name", NULL };
	const struct rig_options options = {
		.class = &vio_input_class, .remote = true, .properties = properties, .furnish = furnish
	};

	rig_each(&options, keys_body);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(keys_and_lights) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
