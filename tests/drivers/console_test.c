/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/rig.h"

#include <string.h>

#include <vireo/drivers/console.h>

#include "drivers/console_device.h"

/* The console driver against a device that does what the test says, over every transport. */

#define BIT(bit) (UINT64_C(1) << (bit))

static struct console_device *device_of(struct rig *rig)
{
	return console_device_of(&rig->device);
}

static struct vio_console *driver_of(struct rig *rig)
{
	return rig->dev.driver_state;
}

static void furnish(struct vio_device *device, void *context)
{
	*console_device_of(device) = *(const struct console_device *)context;
}

static void each(const struct console_device *is, void (*body)(struct rig *rig))
{
	struct console_device copy = *is;
	const struct rig_options options = {
		.class = &console_device_class,
		.furnish = furnish,
		.context = &copy,
	};

	rig_each(&options, body);
}

static const struct console_device plain = { .cols = 1 };
static const struct console_device of_several_ports = { .features = BIT(VIRTIO_CONSOLE_F_MULTIPORT),
							.ports = 3 };

static void assert_at_rest(struct rig *rig)
{
	assert_int_equal(rig->device.fault_count, 0);
	assert_int_equal(device_of(rig)->wrong, 0);
	assert_false(vio_dev_broken(&rig->dev));
}

static void stream_body(struct rig *rig)
{
	struct vio_dev *dev = &rig->dev;
	uint8_t text[3000], got_text[3000];
	uint32_t got, total = 0;
	int error;

	assert_int_equal(vio_console_read(dev, text, 1, &got), -VIO_EINVAL);
	assert_int_equal(vio_console_write(dev, text, 1), -VIO_EINVAL);
	assert_int_equal(vio_console_wait(dev, 1), -VIO_EINVAL);
	assert_int_equal(vio_console_poll(dev), -VIO_EINVAL);
	assert_int_equal(vio_console_stop(dev), -VIO_EINVAL);
	assert_int_equal(vio_console_start(dev), -VIO_EINVAL);
	assert_int_equal(rig_bind(rig, &vio_console_driver), 0);
	assert_true(driver_of(rig)->present);
	assert_int_equal(driver_of(rig)->cols, 0); /* not offered */
	for (unsigned i = 0; i < sizeof(text); i++)
		text[i] = (uint8_t)(i * 13 + i / 256);
	assert_int_equal(vio_console_write(dev, text, sizeof(text)), 0);
	assert_int_equal(vio_console_write(dev, text, 0), 0);
	assert_int_equal(device_of(rig)->output_bytes, sizeof(text));
	assert_memory_equal(device_of(rig)->output, text, sizeof(text));

	assert_int_equal(vio_console_read(dev, got_text, 0, &got), -VIO_EINVAL);
	assert_int_equal(vio_console_read(dev, got_text, 1, &got), -VIO_EAGAIN);
	assert_int_equal(vio_console_wait(dev, 1000000), -VIO_EAGAIN);
	/* More than the driver has room for: the rest waits in the device. Some buffers come back empty. */
	device_of(rig)->piece = 200;
	device_of(rig)->empty = 20;
	console_device_say(&rig->device, text, sizeof(text));
	rig_run(rig);
	while (total < sizeof(text)) {
		assert_int_equal(vio_console_wait(dev, 1000000), 0);
		error = vio_console_read(dev, got_text + total, 77, &got);
		assert_int_equal(error, 0);
		assert_in_range(got, 1, 77);
		total += got;
	}
	assert_memory_equal(got_text, text, sizeof(text));
	assert_int_equal(vio_console_read(dev, got_text, 1, &got), -VIO_EAGAIN);
	assert_at_rest(rig);
}

/* spec: DRV-CON-001 DRV-CON-002; hostile: B10 */
static void carries_bytes_both_ways(void **state)
{
	each(&plain, stream_body);
}

struct seen {
	unsigned readable, changed;
};

static void on_readable(struct vio_dev *dev)
{
	((struct seen *)dev->owner)->readable++;
}

static void on_changed(struct vio_dev *dev)
{
	((struct seen *)dev->owner)->changed++;
}

static void interrupt_body(struct rig *rig)
{
	struct seen seen = { 0, 0 };
	uint8_t text[8];
	uint32_t got;

	assert_int_equal(rig_bind(rig, &vio_console_driver), 0);
	assert_int_equal(driver_of(rig)->cols, 80);
	assert_int_equal(driver_of(rig)->rows, 25);
	rig->dev.owner = &seen;
	driver_of(rig)->readable = on_readable;
	driver_of(rig)->changed = on_changed;
	for (unsigned i = 1; i <= 20; i++) {
		console_device_say(&rig->device, "abc", 3);
		rig_run(rig);
		assert_int_equal(seen.readable, i);
		assert_int_equal(vio_console_read(&rig->dev, text, sizeof(text), &got), 0);
		assert_int_equal(got, 3);
		assert_memory_equal(text, "abc", 3);
	}
	assert_int_equal(seen.changed, 0);
	device_of(rig)->cols = 132;
	vio_device_config_changed(&rig->device);
	rig_run(rig);
	assert_int_equal(seen.changed, 1);
	assert_int_equal(driver_of(rig)->cols, 132);
	/* Another life: what wasn't read is lost, nothing else. */
	console_device_say(&rig->device, "xyz", 3);
	rig_run(rig);
	assert_int_equal(vio_console_start(&rig->dev), 0);
	assert_int_equal(vio_console_read(&rig->dev, text, sizeof(text), &got), -VIO_EAGAIN);
	console_device_say(&rig->device, "def", 3);
	assert_int_equal(vio_console_read(&rig->dev, text, sizeof(text), &got), 0);
	assert_memory_equal(text, "def", 3);
	assert_at_rest(rig);
}

static void tells_what_happens(void **state)
{
	static const struct console_device sized = { .features = BIT(VIRTIO_CONSOLE_F_SIZE),
						     .cols = 80,
						     .rows = 25 };

	each(&sized, interrupt_body);
}

static void emergency_body(struct rig *rig)
{
	struct vio_dev *dev = &rig->dev;

	assert_int_equal(vio_console_emergency(dev, 'a'), 0);
	assert_int_equal(device_of(rig)->emergency, 'a');
	assert_int_equal(rig_bind(rig, &vio_console_driver), 0);
	assert_int_equal(vio_console_emergency(dev, 'b'), 0);
	assert_int_equal(device_of(rig)->emergency, 'b');
	assert_int_equal(vio_console_stop(dev), 0);
	assert_int_equal(vio_console_emergency(dev, 0xff), 0);
	assert_int_equal(device_of(rig)->emergency, 0xff);
	if (rig->transport->pull_out) {
		rig->transport->pull_out(rig);
		assert_int_equal(vio_console_start(dev), -VIO_EHANGUP);
		assert_int_equal(vio_console_emergency(dev, 'c'), -VIO_EHANGUP);
	}
}

static void no_emergency_body(struct rig *rig)
{
	assert_int_equal(vio_console_emergency(&rig->dev, 'a'), -VIO_ENOTSUP);
	assert_int_equal(rig_bind(rig, &vio_console_driver), 0);
	assert_int_equal(vio_console_emergency(&rig->dev, 'a'), -VIO_ENOTSUP);
	rig->dev.id = VIRTIO_ID_RNG;
	assert_int_equal(vio_console_emergency(&rig->dev, 'a'), -VIO_ENOTSUP);
	rig->dev.id = VIRTIO_ID_CONSOLE;
	assert_int_equal(device_of(rig)->emergency, 0);
}

/* spec: DEV-CON-001 */
static void has_a_last_word(void **state)
{
	static const struct console_device emergency = { .features = BIT(VIRTIO_CONSOLE_F_EMERG_WRITE) };

	each(&emergency, emergency_body);
	each(&plain, no_emergency_body);
}

/* The last messages that the device heard. */
static void assert_heard(struct rig *rig, unsigned index, uint32_t port, uint16_t event, uint16_t value)
{
	const struct console_device *device = device_of(rig);

	assert_true(index < device->heard_count);
	assert_int_equal(vio_le32_get(device->heard[index].id), port);
	assert_int_equal(vio_le16_get(device->heard[index].event), event);
	assert_int_equal(vio_le16_get(device->heard[index].value), value);
}

static void control(struct rig *rig, uint32_t port, uint16_t event, uint16_t value, const void *rest,
		    uint32_t length)
{
	console_device_control(&rig->device, port, event, value, rest, length);
	rig_run(rig);
}

static void ports_body(struct rig *rig)
{
	const struct virtio_console_resize size = { vio_le16_make(100), vio_le16_make(40) };
	const struct vio_console *console;
	struct seen seen = { 0, 0 };
	struct vio_dev *dev = &rig->dev;

	assert_int_equal(rig_bind(rig, &vio_console_driver), 0);
	console = driver_of(rig);
	rig->dev.owner = &seen;
	driver_of(rig)->changed = on_changed;
	rig_run(rig);
	assert_heard(rig, 0, 0, VIRTIO_CONSOLE_DEVICE_READY, 1); /* spec: DRV-CON-003 */
	assert_false(console->present);
	assert_int_equal(vio_console_write(dev, "a", 1), -VIO_ENOENT);
	control(rig, 0, VIRTIO_CONSOLE_DEVICE_ADD, 0, NULL, 0);
	assert_heard(rig, 1, 0, VIRTIO_CONSOLE_PORT_READY, 1);
	assert_heard(rig, 2, 0, VIRTIO_CONSOLE_PORT_OPEN, 1);
	assert_true(console->present);
	control(rig, 1, VIRTIO_CONSOLE_DEVICE_ADD, 0, NULL, 0);
	assert_heard(rig, 3, 1, VIRTIO_CONSOLE_PORT_READY, 0);
	control(rig, 0, VIRTIO_CONSOLE_CONSOLE_PORT, 1, NULL,
		0); /* spec: DRV-CON-004 DRV-CON-005 DRV-CON-006 */
	assert_heard(rig, 4, 0, VIRTIO_CONSOLE_PORT_OPEN, 1);
	assert_true(console->is_console);
	control(rig, 0, VIRTIO_CONSOLE_PORT_OPEN, 1, NULL, 0);
	assert_true(console->device_open);
	control(rig, 0, VIRTIO_CONSOLE_RESIZE, 0, &size, sizeof(size));
	assert_int_equal(console->cols, 100);
	assert_int_equal(console->rows, 40);
	control(rig, 0, VIRTIO_CONSOLE_PORT_NAME, 1, "org.example.0", 13);
	assert_string_equal(console->name, "org.example.0");
	assert_int_equal(seen.changed, 6);
	assert_int_equal(console->ignored, 0);
	assert_int_equal(vio_console_write(dev, "abc", 3), 0);
	assert_memory_equal(device_of(rig)->output, "abc", 3);
	control(rig, 0, VIRTIO_CONSOLE_PORT_OPEN, 0, NULL, 0);
	assert_false(console->device_open);
	control(rig, 0, VIRTIO_CONSOLE_DEVICE_REMOVE, 0, NULL, 0);
	assert_false(console->present);
	assert_string_equal(console->name, "");
	assert_int_equal(vio_console_write(dev, "abc", 3), -VIO_ENOENT);
	control(rig, 0, VIRTIO_CONSOLE_DEVICE_ADD, 0, NULL, 0);
	assert_true(console->present);
	assert_int_equal(device_of(rig)->heard_count, 7);
	assert_at_rest(rig);
}

static void answers_control_messages(void **state)
{
	each(&of_several_ports, ports_body);
}

/* The device works while the driver waits, and nobody hears its interrupts. */
static bool works_unheard(void *context)
{
	struct rig *rig = context;
	struct console_device *device = device_of(rig);
	uint16_t queue;

	for (queue = 0; queue < rig->device.queue_count; queue++)
		vio_device_kick(&rig->device, queue);
	if (device->heard_count == 1 && !device->message_count)
		console_device_control(&rig->device, 0, VIRTIO_CONSOLE_DEVICE_ADD, 0, NULL, 0);
	if (device->heard_count == 3 && !device->input_bytes)
		console_device_say(&rig->device, "hi", 2);
	return false;
}

static void polled_body(struct rig *rig)
{
	char text[4];
	uint32_t got;

	assert_int_equal(rig_bind(rig, &vio_console_driver), 0);
	rig->platform.run = works_unheard;
	rig->platform.run_context = rig;
	assert_int_equal(vio_console_wait(&rig->dev, 1000000000), 0);
	assert_int_equal(vio_console_read(&rig->dev, text, sizeof(text), &got), 0);
	assert_int_equal(got, 2);
	assert_int_equal(vio_console_wait(&rig->dev, 1000000000), -VIO_EAGAIN);
	assert_at_rest(rig);
}

static void needs_no_interrupts(void **state)
{
	each(&of_several_ports, polled_body);
}

static void nonsense_body(struct rig *rig)
{
	static const uint16_t cuts[] = { 1, 4, 7, 8 };
	const struct vio_console *console;
	uint8_t name[128];
	unsigned heard;

	memset(name, 'n', sizeof(name));
	assert_int_equal(rig_bind(rig, &vio_console_driver), 0);
	console = driver_of(rig);
	control(rig, 3, VIRTIO_CONSOLE_DEVICE_ADD, 0, NULL, 0); /* beyond max_nr_ports */
	control(rig, UINT32_MAX, VIRTIO_CONSOLE_PORT_NAME, 0, name, 8);
	control(rig, 0, VIRTIO_CONSOLE_CONSOLE_PORT, 1, NULL, 0); /* before there is one */
	control(rig, 0, VIRTIO_CONSOLE_DEVICE_REMOVE, 0, NULL, 0);
	assert_int_equal(console->ignored, 4);
	assert_int_equal(device_of(rig)->heard_count, 1);
	control(rig, 0, VIRTIO_CONSOLE_DEVICE_ADD, 0, NULL, 0);
	heard = device_of(rig)->heard_count;
	control(rig, 0, VIRTIO_CONSOLE_DEVICE_ADD, 0, NULL, 0);   /* once more: spec: DEV-CON-003 */
	control(rig, 0, VIRTIO_CONSOLE_PORT_OPEN, 7, NULL, 0);    /* neither open nor closed */
	control(rig, 0, VIRTIO_CONSOLE_RESIZE, 0, name, 3);       /* half a size */
	control(rig, 0, VIRTIO_CONSOLE_DEVICE_READY, 1, NULL, 0); /* a driver's message */
	control(rig, 0, 999, 1, NULL, 0);
	assert_int_equal(console->ignored, 9);
	for (unsigned i = 0; i < 4; i++) { /* hostile: B11 */
		device_of(rig)->messages[device_of(rig)->message_count].cut = cuts[i];
		control(rig, 0, VIRTIO_CONSOLE_PORT_OPEN, 1, NULL, 0);
	}
	device_of(rig)->messages[device_of(rig)->message_count].cut = 2;
	control(rig, 0, VIRTIO_CONSOLE_CONSOLE_PORT, 1, NULL, 0);
	assert_int_equal(console->ignored, 14);
	assert_false(console->device_open);
	assert_int_equal(device_of(rig)->heard_count, heard);
	/* A name without end, and one without beginning. */
	control(rig, 0, VIRTIO_CONSOLE_PORT_NAME, 1, name, sizeof(name));
	assert_int_equal(strlen(console->name), VIO_CONSOLE_NAME_MAX);
	control(rig, 0, VIRTIO_CONSOLE_PORT_NAME, 1, NULL, 0);
	assert_string_equal(console->name, "");
	assert_at_rest(rig);
}

/* hostile: B57 */
static void ignores_nonsense(void **state)
{
	each(&of_several_ports, nonsense_body);
}

static void flood_body(struct rig *rig)
{
	struct console_device *device = device_of(rig);

	device->deaf = true;
	assert_int_equal(rig_bind(rig, &vio_console_driver), 0);
	for (unsigned i = 0; i < 40; i++)
		control(rig, 1, VIRTIO_CONSOLE_DEVICE_ADD, 0, NULL, 0);
	/* What isn't answered isn't taken. */
	assert_true(device->message_sent < 20);
	assert_int_equal(device->heard_count, 0);
	device->deaf = false;
	for (unsigned i = 0; i < 40; i++) {
		vio_device_kick(&rig->device, VIRTIO_CONSOLE_CONTROL_TRANSMITQ);
		rig_run(rig);
	}
	assert_int_equal(device->heard_count, 41);
	assert_int_equal(driver_of(rig)->ignored, 0);
	assert_at_rest(rig);
}

/* hostile: B57 B29 */
static void a_flood_waits_for_its_answers(void **state)
{
	each(&of_several_ports, flood_body);
}

static void deaf_body(struct rig *rig)
{
	uint8_t byte;
	uint32_t got;

	device_of(rig)->deaf = true;
	assert_int_equal(rig_bind(rig, &vio_console_driver), 0);
	assert_int_equal(vio_console_write(&rig->dev, "abc", 3), -VIO_EAGAIN);
	assert_int_equal(rig->dev.phase, VIO_DEV_RESET);
	assert_int_equal(rig->platform.shared, 0);
	assert_int_equal(vio_console_write(&rig->dev, "abc", 3), -VIO_EPHASE);
	assert_int_equal(vio_console_read(&rig->dev, &byte, 1, &got), -VIO_EPHASE);
	device_of(rig)->deaf = false;
	assert_int_equal(vio_console_start(&rig->dev), 0);
	assert_int_equal(vio_console_write(&rig->dev, "abc", 3), 0);
	if (!rig->transport->pull_out)
		return;
	rig->transport->pull_out(rig); /* hostile: B45 */
	assert_int_equal(vio_console_write(&rig->dev, "abc", 3), -VIO_EHANGUP);
	assert_int_equal(rig->platform.shared, 0);
}

/* hostile: B29 */
static void a_deaf_device_is_reset(void **state)
{
	each(&plain, deaf_body);
}

/* What the device does, it does while the driver sleeps. */
static bool say_and_listen(void *context)
{
	struct rig *rig = context;
	struct console_device *device = device_of(rig);

	if (device->deaf) {
		console_device_say(&rig->device, "?", 1);
		rig_run(rig);
		device->deaf = false;
		vio_device_kick(&rig->device, VIRTIO_CONSOLE_TRANSMITQ);
	} else if (device->input_bytes < 2) {
		console_device_say(&rig->device, "!", 1);
	}
	return rig->transport->run(rig);
}

static void write_at_once(struct vio_dev *dev)
{
	++*(unsigned *)dev->owner;
	assert_int_equal(vio_console_write(dev, "xyz", 3), -VIO_EBUSY);
}

static void sleep_body(struct rig *rig)
{
	struct console_device *device = device_of(rig);
	unsigned readable = 0;
	char text[4];
	uint32_t got;
	uint64_t since;

	assert_int_equal(rig_bind(rig, &vio_console_driver), 0);
	rig->dev.owner = &readable;
	driver_of(rig)->readable = write_at_once;
	rig->platform.run = say_and_listen;
	since = rig->platform.now_ns;
	device->deaf = true;
	assert_int_equal(vio_console_write(&rig->dev, "abc", 3), 0);
	assert_int_equal(readable, 1);
	assert_int_equal(device->output_bytes, 3);
	assert_memory_equal(device->output, "abc", 3);
	assert_int_equal(vio_console_wait(&rig->dev, 0), 0);
	assert_int_equal(vio_console_read(&rig->dev, text, sizeof(text), &got), 0);
	assert_int_equal(got, 1);
	/* An interrupt that wakes a wait doesn't take away what it waits for. */
	driver_of(rig)->readable = NULL;
	assert_int_equal(vio_console_wait(&rig->dev, UINT64_C(3000000000)), 0);
	assert_in_range(rig->platform.now_ns - since, 0, 1000000000);
	assert_int_equal(vio_console_read(&rig->dev, text, sizeof(text), &got), 0);
	assert_int_equal(text[0], '!');
	assert_at_rest(rig);
}

static void sleeps_no_longer_than_it_must(void **state)
{
	each(&plain, sleep_body);
}

static uint8_t never_reset(struct vio_dev *dev)
{
	return VIRTIO_CONFIG_S_NEEDS_RESET | VIRTIO_CONFIG_S_ACKNOWLEDGE;
}

static void stuck_body(struct rig *rig)
{
	const struct vio_transport_ops *honest = rig->dev.transport;
	struct vio_transport_ops stuck = *honest;
	uint8_t byte;
	uint32_t got;

	assert_int_equal(rig_bind(rig, &vio_console_driver), 0);
	stuck.get_status = never_reset;
	rig->dev.transport = &stuck;
	assert_int_equal(vio_console_stop(&rig->dev), -VIO_EAGAIN);
	assert_int_equal(rig->dev.phase, VIO_DEV_STUCK);
	assert_int_equal(rig->platform.shared, VIO_CONSOLE_BUFFERS);
	assert_int_equal(vio_console_start(&rig->dev), -VIO_EAGAIN);
	assert_int_equal(vio_console_read(&rig->dev, &byte, 1, &got), -VIO_EPHASE);
	assert_int_equal(vio_console_wait(&rig->dev, 0), -VIO_EPHASE);
	rig->dev.transport = honest;
	assert_int_equal(vio_console_stop(&rig->dev), 0);
	assert_int_equal(rig->platform.shared, 0);
	assert_int_equal(vio_console_start(&rig->dev), 0);
	assert_int_equal(vio_console_write(&rig->dev, "abc", 3), 0);
}

/* hostile: B49 */
static void gives_nothing_back_while_stuck(void **state)
{
	each(&plain, stuck_body);
}

static void stingy_body(struct rig *rig)
{
	uint8_t text[64];
	uint32_t got;

	/* Queues alone, then some buffers as well. */
	for (unsigned works = 0; works < 12; works++) {
		rig->platform.fail_after = works;
		if (!rig_bind(rig, &vio_console_driver)) {
			rig->platform.fail_after = TEST_PLATFORM_NEVER;
			console_device_say(&rig->device, "abc", 3);
			assert_int_equal(vio_console_wait(&rig->dev, 1000000), 0);
			assert_int_equal(vio_console_read(&rig->dev, text, sizeof(text), &got), 0);
			assert_int_equal(got, 3);
		}
		rig->platform.fail_after = TEST_PLATFORM_NEVER;
		rig_unbind(rig);
		assert_int_equal(rig->platform.taken, 0);
		assert_int_equal(rig->platform.shared, 0);
	}
}

static void lives_with_a_stingy_platform(void **state)
{
	each(&plain, stingy_body);
}

static void lacking_body(struct rig *rig)
{
	assert_int_equal(rig_bind(rig, &vio_console_driver), -VIO_ENOENT);
}

static void portless_body(struct rig *rig)
{
	assert_int_equal(rig_bind(rig, &vio_console_driver), -VIO_EPEER);
}

/* hostile: B42 */
static void refuses_what_cannot_work(void **state)
{
	static const struct console_device lacking = { .features = BIT(VIRTIO_CONSOLE_F_MULTIPORT),
						       .ports = 2,
						       .queues = 3 };
	static const struct console_device portless = { .features = BIT(VIRTIO_CONSOLE_F_MULTIPORT) };

	each(&lacking, lacking_body);
	each(&portless, portless_body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(carries_bytes_both_ways),  cmocka_unit_test(tells_what_happens),
		cmocka_unit_test(has_a_last_word),          cmocka_unit_test(answers_control_messages),
		cmocka_unit_test(ignores_nonsense),         cmocka_unit_test(a_flood_waits_for_its_answers),
		cmocka_unit_test(a_deaf_device_is_reset),   cmocka_unit_test(lives_with_a_stingy_platform),
		cmocka_unit_test(needs_no_interrupts),      cmocka_unit_test(sleeps_no_longer_than_it_must),
		cmocka_unit_test(refuses_what_cannot_work), cmocka_unit_test(gives_nothing_back_while_stuck),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
