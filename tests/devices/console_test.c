/* SPDX-License-Identifier: BSD-3-Clause */
#include "devices/harness.h"

#include <stdlib.h>
#include <string.h>

#include <vireo/devices/console.h>
#include <vireo/spec/virtio_console.h>

#include "devices/fake_terminal.h"

#define BIT(bit)  (UINT64_C(1) << (bit))
#define MULTIPORT BIT(VIRTIO_CONSOLE_F_MULTIPORT)
#define MESSAGES  32u

struct console_test {
	struct harness h;
	struct fake_terminal fakes[3];
	uint8_t *inbox[MESSAGES]; /* buffers of the control receive queue */
	uint32_t bytes;           /* of each */
};

static void make(struct console_test *test, unsigned ports, const char *max_ports)
{
	memset(test, 0, sizeof(*test));
	harness_make(&test->h, &vio_console_class);
	for (unsigned i = 0; i < ports; i++) {
		fake_terminal_init(&test->fakes[i]);
		assert_int_equal(vio_console_attach(&test->h.dev, i, &test->fakes[i].terminal,
						    i == 1 ? "the.other" : NULL,
						    i ? 0 : VIO_CONSOLE_PORT_IS_CONSOLE),
				 0);
	}
	if (max_ports)
		harness_set(&test->h, "max-ports", max_ports);
	harness_realize(&test->h);
}

/* With everything that has no say in the order of things. */
static void start(struct console_test *test)
{
	uint64_t offer = harness_offer(&test->h);

	harness_start(&test->h, offer & ~BIT(VIRTIO_F_EVENT_IDX) & ~BIT(VIRTIO_F_INDIRECT_DESC), 32);
}

/* Buffers for messages, each of so many bytes. */
static void lend(struct console_test *test, unsigned count, uint32_t bytes)
{
	struct harness_io io = { .in_bytes = bytes };

	test->bytes = bytes;
	for (unsigned i = 0; i < count; i++)
		test->inbox[i] = harness_add(&test->h, VIRTIO_CONSOLE_CONTROL_RECEIVEQ, &io, &test->inbox[i]);
	harness_kick(&test->h, VIRTIO_CONSOLE_CONTROL_RECEIVEQ);
}

static void say(struct console_test *test, uint32_t port, unsigned event, unsigned value)
{
	const struct virtio_console_control control = {
		.id = vio_le32_make(port),
		.event = vio_le16_make((uint16_t)event),
		.value = vio_le16_make((uint16_t)value),
	};
	struct harness_io io = { &control, sizeof(control), NULL, 0, 0 };

	assert_int_equal(harness_call(&test->h, VIRTIO_CONSOLE_CONTROL_TRANSMITQ, &io), 0);
}

/* The next message is this one, with `rest` behind it. */
static void hear(struct console_test *test, uint32_t port, unsigned event, unsigned value, const void *rest,
		 uint32_t length)
{
	struct virtio_console_control control;
	uint32_t written;
	uint8_t **place = harness_get(&test->h, VIRTIO_CONSOLE_CONTROL_RECEIVEQ, &written);

	assert_non_null(place);
	assert_int_equal(written, sizeof(control) + length);
	memcpy(&control, *place, sizeof(control));
	assert_int_equal(vio_le32_get(control.id), port);
	assert_int_equal(vio_le16_get(control.event), event);
	assert_int_equal(vio_le16_get(control.value), value);
	assert_memory_equal(*place + sizeof(control), rest, length);
}

static void hear_nothing(struct console_test *test)
{
	assert_null(harness_get(&test->h, VIRTIO_CONSOLE_CONTROL_RECEIVEQ, NULL));
}

static uint64_t ignored(struct console_test *test)
{
	char text[32];
	void *structure;
	const struct vio_property *property =
		vio_device_find_property(&test->h.dev, "ignored", 7, &structure);

	vio_property_get(property, structure, text, sizeof(text));
	return strtoull(text, NULL, 10);
}

/* Into the state where ports 0 and 1 are ready and open, and all messages are heard. */
static void open_two(struct console_test *test)
{
	static const uint8_t size[4] = { 80, 0, 25, 0 };

	make(test, 2, "3");
	start(test);
	lend(test, 20, 80);
	hear_nothing(test); /* before the driver is ready for them */
	say(test, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
	hear(test, 0, VIRTIO_CONSOLE_DEVICE_ADD, 1, NULL, 0);
	hear(test, 1, VIRTIO_CONSOLE_DEVICE_ADD, 1, NULL, 0);
	hear_nothing(test);
	say(test, 1, VIRTIO_CONSOLE_PORT_READY, 1);
	hear(test, 1, VIRTIO_CONSOLE_PORT_NAME, 1, "the.other", 9);
	hear(test, 1, VIRTIO_CONSOLE_PORT_OPEN, 1, NULL, 0);
	say(test, 0, VIRTIO_CONSOLE_PORT_READY, 1);
	hear(test, 0, VIRTIO_CONSOLE_CONSOLE_PORT, 1, NULL, 0);
	hear(test, 0, VIRTIO_CONSOLE_RESIZE, 0, size, sizeof(size));
	hear(test, 0, VIRTIO_CONSOLE_PORT_OPEN, 1, NULL, 0);
	say(test, 0, VIRTIO_CONSOLE_PORT_OPEN, 1);
	say(test, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	hear_nothing(test);
	assert_int_equal(ignored(test), 0);
}

static void settings_are_checked(void **state)
{
	struct console_test test;
	struct vio_device *dev = &test.h.dev;
	char name[VIO_CONSOLE_PORT_NAME_BYTES + 1];

	memset(&test, 0, sizeof(test));
	harness_make(&test.h, &vio_console_class);
	fake_terminal_init(&test.fakes[0]);
	assert_int_equal(vio_device_realize(dev), -VIO_ENOENT);
	assert_int_equal(vio_console_attach(dev, VIO_CONSOLE_PORTS_MAX, &test.fakes[0].terminal, NULL, 0),
			 -VIO_ERANGE);
	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(vio_console_attach(dev, 0, &test.fakes[0].terminal, name, 0), -VIO_ERANGE);
	name[sizeof(name) - 2] = '\0';
	assert_int_equal(vio_console_attach(dev, 1, &test.fakes[0].terminal, name, 0), 0);
	assert_int_equal(vio_device_realize(dev),
			 -VIO_ENOENT); /* port 0 is missing, and it is the only one */
	harness_set(&test.h, "multiport", "on");
	assert_int_equal(vio_device_realize(dev), -VIO_ERANGE);
	assert_int_equal(harness_try_set(&test.h, "max-ports", "33"), -VIO_ERANGE);
	harness_set(&test.h, "max-ports", "2");
	harness_realize(&test.h);
	harness_free(&test.h);
}

static void offers_and_configuration(void **state)
{
	struct virtio_console_config config;
	struct console_test test;

	make(&test, 1, "3");
	assert_int_equal(harness_offer(&test.h) & 7, 7);
	assert_int_equal(test.h.dev.queue_count, 8);
	vio_device_read_config(&test.h.dev, 0, &config, sizeof(config)); /* spec: BOTH-CON-001 */
	assert_int_equal(vio_le16_get(config.cols), 80);
	assert_int_equal(vio_le16_get(config.rows), 25);
	assert_int_equal(vio_le32_get(config.max_nr_ports), 3);
	harness_poke_config(&test.h, 7);
	harness_free(&test.h);
	make(&test, 1, NULL);
	assert_int_equal(harness_offer(&test.h) & 7, 5);
	assert_int_equal(test.h.dev.queue_count, 2);
	harness_free(&test.h);
}

/* spec: DEV-CON-001 DEV-CON-002: in any status, and only the lowest byte */
static void emergencies(void **state)
{
	const vio_le32 wire = vio_le32_make(0x12345641);
	struct console_test test;
	uint8_t byte = 'b';

	make(&test, 1, NULL);
	assert_int_equal(vio_device_write_config(&test.h.dev, 8, &wire, sizeof(wire)), 0);
	assert_int_equal(vio_device_write_config(&test.h.dev, 8, &byte, 1), 0);
	assert_int_equal(vio_device_write_config(&test.h.dev, 9, &byte, 1), 0);
	assert_int_equal(vio_device_write_config(&test.h.dev, 0, &wire, sizeof(wire)), 0);
	assert_int_equal(test.fakes[0].shown_bytes, 2);
	assert_memory_equal(test.fakes[0].shown, "Ab", 2);
	start(&test);
	vio_device_write_config(&test.h.dev, 8, &wire, sizeof(wire));
	assert_int_equal(test.fakes[0].shown_bytes, 3);
	vio_device_needs_reset(&test.h.dev);
	vio_device_write_config(&test.h.dev, 8, &wire, sizeof(wire));
	assert_int_equal(test.fakes[0].shown_bytes, 4);
	harness_free(&test.h);
}

static void slow_terminals_lose_nothing(void **state)
{
	struct console_test test;
	uint8_t text[600];
	struct harness_io io = { text, sizeof(text), NULL, 0, 100 };

	for (unsigned i = 0; i < sizeof(text); i++)
		text[i] = (uint8_t)(i * 3 + i / 256);
	make(&test, 1, NULL);
	start(&test);
	test.fakes[0].room = 0;
	for (unsigned i = 0; i < 3; i++)
		harness_add(&test.h, 1, &io, &test);
	harness_kick(&test.h, 1);
	harness_kick(&test.h, 1);
	assert_int_equal(test.fakes[0].shown_bytes, 0);
	for (unsigned i = 0; i < 1800; i += 7) {
		assert_null(harness_get(&test.h, 1, NULL) && (i < 600));
		fake_terminal_make_room(&test.fakes[0], 7);
	}
	assert_int_equal(test.fakes[0].shown_bytes, 1800);
	for (unsigned i = 0; i < 3; i++)
		assert_memory_equal(test.fakes[0].shown + 600 * i, text, 600);
	harness_free(&test.h);
}

static void input_waits_for_buffers(void **state)
{
	struct harness_io io = { NULL, 0, NULL, 10, 3 };
	struct console_test test;
	uint32_t written;
	uint8_t *in;

	make(&test, 1, NULL);
	fake_terminal_type(&test.fakes[0], "before", 6);
	start(&test);
	assert_int_equal(test.fakes[0].typed_read, 0);
	in = harness_add(&test.h, 0, &io, &test);
	harness_kick(&test.h, 0);
	assert_ptr_equal(harness_get(&test.h, 0, &written), &test);
	assert_int_equal(written, 6);
	assert_memory_equal(in, "before", 6);
	in = harness_add(&test.h, 0, &io, &test);
	harness_kick(&test.h, 0);
	assert_null(harness_get(&test.h, 0, NULL));
	fake_terminal_type(&test.fakes[0], "0123456789ab", 12);
	assert_ptr_equal(harness_get(&test.h, 0, &written), &test);
	assert_int_equal(written, 10);
	assert_memory_equal(in, "0123456789", 10);
	assert_int_equal(test.fakes[0].typed_read, 16);
	harness_free(&test.h);
}

static void ports_are_told_in_order(void **state)
{
	static const uint8_t size[4] = { 100, 0, 40, 0 };
	struct harness_io io = { "lost", 4, NULL, 0, 0 };
	struct console_test test;

	open_two(&test); /* spec: BOTH-CON-002 */
	fake_terminal_change(&test.fakes[0], 1, 100, 40);
	hear(&test, 0, VIRTIO_CONSOLE_RESIZE, 0, size, sizeof(size));
	fake_terminal_change(&test.fakes[1], 0, 7, 7); /* is no console */
	hear(&test, 1, VIRTIO_CONSOLE_PORT_OPEN, 0, NULL, 0);
	hear_nothing(&test);
	harness_set(&test.h, "cols", "90");
	hear(&test, 0, VIRTIO_CONSOLE_RESIZE, 0, (const uint8_t[]){ 90, 0, 40, 0 }, 4);
	harness_set(&test.h, "unplugged", "2"); /* spec: DEV-CON-004, once, and of none that isn't there */
	hear(&test, 1, VIRTIO_CONSOLE_DEVICE_REMOVE, 1, NULL, 0);
	harness_set(&test.h, "unplugged", "6");
	hear_nothing(&test);
	assert_int_equal(harness_call(&test.h, 5, &io), 0); /* taken all the same */
	assert_int_equal(test.fakes[1].shown_bytes, 0);
	harness_set(&test.h, "unplugged", "0");
	hear(&test, 1, VIRTIO_CONSOLE_DEVICE_ADD, 1, NULL, 0);
	hear_nothing(&test);
	/* A second time there is nothing to add. spec: DEV-CON-003 */
	say(&test, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
	hear_nothing(&test);
	harness_free(&test.h);
}

static void closed_ports_get_nothing(void **state)
{
	struct harness_io io = { NULL, 0, NULL, 10, 0 };
	struct console_test test;

	open_two(&test);
	say(&test, 1, VIRTIO_CONSOLE_PORT_OPEN, 0);
	harness_add(&test.h, 4, &io, &test);
	harness_kick(&test.h, 4);
	fake_terminal_type(&test.fakes[1], "abc", 3);
	assert_int_equal(test.fakes[1].typed_read, 0);
	say(&test, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	assert_int_equal(test.fakes[1].typed_read, 3);
	harness_free(&test.h);
}

/* hostile: A120 */
static void nonsense_is_ignored(void **state)
{
	static const uint32_t numbers[] = { 2, 3, 4, 31, 32, 0x7fffffff, 0x80000000, 0xffffffff };
	uint8_t bytes[16] = { 0 }, back;
	struct harness_io io = { bytes, 0, &back, 0, 1 };
	struct console_test test;
	uint64_t before = 0;

	make(&test, 2, "3");
	start(&test);
	lend(&test, 8, 80);
	/* Before the device was told that the driver is ready. */
	say(&test, 0, VIRTIO_CONSOLE_PORT_READY, 1);
	say(&test, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	assert_int_equal(ignored(&test), 2);
	hear_nothing(&test);
	harness_free(&test.h);
	open_two(&test);
	for (unsigned event = 0; event < 0x10000; event += event < 10 ? 1 : 997) {
		for (unsigned i = 0; i < VIO_ARRAY_SIZE(numbers) && event; i++)
			say(&test, numbers[i], event, 1);
		test.h.used = test.h.used > (8u << 20) ? (8u << 20) : test.h.used;
	}
	for (unsigned value = 2; value < 0x10000; value += 4099) {
		say(&test, 0, VIRTIO_CONSOLE_PORT_OPEN, value);
		say(&test, 0, VIRTIO_CONSOLE_DEVICE_READY, value);
	}
	before = ignored(&test);
	for (io.out_bytes = 0; io.out_bytes < 8; io.out_bytes++) {
		io.in_bytes = !io.out_bytes;
		assert_int_equal(harness_call(&test.h, VIRTIO_CONSOLE_CONTROL_TRANSMITQ, &io), 0);
	}
	assert_int_equal(ignored(&test), before + 8);
	hear_nothing(&test);
	assert_int_equal(test.h.faults, 0);
	harness_free(&test.h);
}

/* hostile: A120: a message with a name of almost 4 GiB behind it, of which nobody looks at a byte. */
static void endless_names(void **state)
{
	const struct virtio_console_control control = { vio_le32_make(0),
							vio_le16_make(VIRTIO_CONSOLE_PORT_NAME),
							vio_le16_make(1) };
	struct console_test test;
	struct vio_sg sg[256];
	uint32_t written;
	void *message;

	memset(&test, 0, sizeof(test));
	harness_make(&test.h, &vio_console_class);
	fake_terminal_init(&test.fakes[0]);
	assert_int_equal(vio_console_attach(&test.h.dev, 0, &test.fakes[0].terminal, NULL, 0), 0);
	harness_set(&test.h, "max-ports", "2");
	harness_set(&test.h, "queue-size", "256");
	harness_realize(&test.h);
	harness_start(&test.h, BIT(VIRTIO_CONSOLE_F_MULTIPORT), 256);
	message = harness_take(&test.h, sizeof(control));
	memcpy(message, &control, sizeof(control));
	sg[0] = harness_sg(&test.h, message, sizeof(control));
	for (unsigned i = 1; i < 256; i++)
		sg[i] = harness_sg(&test.h, test.h.memory, HARNESS_MEMORY_BYTES);
	assert_int_equal(vio_drvq_add(&test.h.queues[VIRTIO_CONSOLE_CONTROL_TRANSMITQ].q, sg, 256, 0, &test),
			 0);
	harness_kick(&test.h, VIRTIO_CONSOLE_CONTROL_TRANSMITQ);
	assert_ptr_equal(harness_get(&test.h, VIRTIO_CONSOLE_CONTROL_TRANSMITQ, &written), &test);
	assert_int_equal(written, 0);
	assert_int_equal(ignored(&test), 1);
	assert_int_equal(test.h.faults, 0);
	harness_free(&test.h);
}

/* hostile: A120: messages need room, and wait for it; a flood of questions makes nothing grow. */
static void small_buffers(void **state)
{
	struct console_test test;
	uint32_t written;

	make(&test, 2, "2");
	start(&test);
	for (uint32_t bytes = 1; bytes < 12; bytes++) {
		lend(&test, 1, bytes);
		assert_non_null(harness_get(&test.h, VIRTIO_CONSOLE_CONTROL_RECEIVEQ, &written));
		assert_int_equal(written, 0);
	}
	say(&test, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
	lend(&test, 2, 12);
	hear(&test, 0, VIRTIO_CONSOLE_DEVICE_ADD, 1, NULL, 0);
	hear(&test, 1, VIRTIO_CONSOLE_DEVICE_ADD, 1, NULL, 0);
	for (unsigned i = 0; i < 1000; i++) {
		say(&test, 1, VIRTIO_CONSOLE_PORT_READY, 1);
		test.h.used = test.h.used > (8u << 20) ? (8u << 20) : test.h.used;
	}
	lend(&test, 3, 12);
	hear(&test, 1, VIRTIO_CONSOLE_PORT_NAME, 1, "the.", 4); /* as much as there is room for */
	hear(&test, 1, VIRTIO_CONSOLE_PORT_OPEN, 1, NULL, 0);
	hear_nothing(&test);
	harness_free(&test.h);
}

/* hostile: A26 A27 A29: buffers of the wrong direction go back, and hold nobody up. */
static void wrong_directions(void **state)
{
	struct harness_io wrong = { "out", 3, NULL, 0, 0 };
	uint8_t back[8];
	struct harness_io right = { NULL, 0, back, sizeof(back), 0 };
	struct console_test test;

	make(&test, 1, NULL);
	fake_terminal_type(&test.fakes[0], "typed", 5);
	start(&test);
	assert_int_equal(harness_call(&test.h, 0, &wrong), 0);
	assert_int_equal(harness_call(&test.h, 1, &right), 0);
	assert_int_equal(harness_call(&test.h, 0, &right), 5);
	assert_int_equal(harness_call(&test.h, 1, &wrong), 0);
	assert_int_equal(test.fakes[0].shown_bytes, 3);
	assert_int_equal(test.h.faults, 0);
	harness_free(&test.h);
}

/* hostile: A96: a driver's life leaves nothing behind for the next one. */
static void reset_forgets(void **state)
{
	struct harness_io io = { "0123456789", 10, NULL, 0, 0 };
	struct console_test test;

	open_two(&test);
	test.fakes[0].room = 4;
	harness_add(&test.h, 1, &io, &test);
	harness_kick(&test.h, 1);
	assert_int_equal(test.fakes[0].shown_bytes, 4);
	harness_reset(&test.h);
	test.fakes[0].room = UINT32_MAX;
	start(&test);
	lend(&test, 8, 80);
	hear_nothing(&test);
	assert_int_equal(harness_call(&test.h, 1, &io), 0);
	assert_int_equal(test.fakes[0].shown_bytes, 14);
	assert_memory_equal(test.fakes[0].shown + 4, "0123456789", 10);
	say(&test, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
	hear(&test, 0, VIRTIO_CONSOLE_DEVICE_ADD, 1, NULL, 0);
	harness_free(&test.h);
}

static void moves_on(void **state)
{
	struct harness_io io = { "0123456789", 10, NULL, 0, 3 };
	struct console_test from, to;

	open_two(&from);
	from.fakes[0].room = 4;
	harness_add(&from.h, 1, &io, &from);
	harness_kick(&from.h, 1);
	assert_int_equal(from.fakes[0].shown_bytes, 4);
	make(&to, 2, "3");
	to.fakes[1].terminal.connected = false;
	harness_move(&from.h, &to.h);
	assert_int_equal(to.fakes[0].shown_bytes, 6);
	assert_memory_equal(to.fakes[0].shown, "456789", 6);
	harness_free(&to.h);
	harness_free(&from.h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(settings_are_checked),
		cmocka_unit_test(offers_and_configuration),
		cmocka_unit_test(emergencies),
		cmocka_unit_test(slow_terminals_lose_nothing),
		cmocka_unit_test(input_waits_for_buffers),
		cmocka_unit_test(ports_are_told_in_order),
		cmocka_unit_test(closed_ports_get_nothing),
		cmocka_unit_test(nonsense_is_ignored),
		cmocka_unit_test(endless_names),
		cmocka_unit_test(small_buffers),
		cmocka_unit_test(wrong_directions),
		cmocka_unit_test(reset_forgets),
		cmocka_unit_test(moves_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
