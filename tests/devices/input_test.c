/* SPDX-License-Identifier: BSD-3-Clause */
#include "devices/harness.h"

#include <stdlib.h>
#include <string.h>

#include <vireo/devices/input.h>
#include <vireo/spec/virtio_input.h>

#include "devices/fake_events.h"

#define EV_SYN 0
#define EV_KEY 1
#define EV_REL 2
#define EV_ABS 3
#define EV_LED 0x11

#define REPORT  0
#define DROPPED 3

struct input_test {
	struct harness h;
	struct fake_events fake;
	uint8_t *place; /* of the last event's buffer */
};

static void make(struct input_test *test, const char *kind, bool waits)
{
	memset(test, 0, sizeof(*test));
	harness_make(&test->h, &vio_input_class);
	fake_events_init(&test->fake);
	test->fake.source.waits = waits;
	assert_int_equal(vio_input_attach(&test->h.dev, &test->fake.source), 0);
	if (kind)
		harness_set(&test->h, "kind", kind);
	harness_realize(&test->h);
}

static void start(struct input_test *test)
{
	harness_start(&test->h, UINT64_C(1) << VIRTIO_F_VERSION_1, 64);
}

static uint64_t property(struct input_test *test, const char *name)
{
	char text[32];
	void *structure;
	const struct vio_property *it =
		vio_device_find_property(&test->h.dev, name, (unsigned)strlen(name), &structure);

	vio_property_get(it, structure, text, sizeof(text));
	return strtoull(text, NULL, 10);
}

static void send(struct input_test *test, unsigned type, unsigned code, uint32_t value)
{
	assert_int_equal(fake_events_send(&test->fake, (uint16_t)type, (uint16_t)code, value), 0);
}

/* Gives a buffer: the event that comes into it, or false. */
static bool next(struct input_test *test, struct vio_event *event)
{
	struct harness_io io = { .in_bytes = sizeof(struct virtio_input_event) };
	struct virtio_input_event wire;
	uint32_t written;

	if (!test->place)
		test->place = harness_add(&test->h, 0, &io, test);
	harness_kick(&test->h, 0);
	if (!harness_get(&test->h, 0, &written))
		return false;
	assert_int_equal(written, sizeof(wire));
	memcpy(&wire, test->place, sizeof(wire));
	test->place = NULL;
	test->h.used = test->h.used > (8u << 20) ? (8u << 20) : test->h.used;
	*event = (struct vio_event){ vio_le16_get(wire.type), vio_le16_get(wire.code),
				     vio_le32_get(wire.value) };
	return true;
}

static void expect(struct input_test *test, unsigned type, unsigned code, uint32_t value)
{
	struct vio_event event;

	assert_true(next(test, &event));
	assert_int_equal(event.type, type);
	assert_int_equal(event.code, code);
	assert_int_equal(event.value, value);
}

static void expect_nothing(struct input_test *test)
{
	struct vio_event event;

	assert_false(next(test, &event));
}

static uint8_t ask(struct input_test *test, uint8_t select, uint8_t subsel,
		   struct virtio_input_config *config)
{
	assert_int_equal(vio_device_write_config(&test->h.dev, 1, &subsel, 1), 0);
	assert_int_equal(vio_device_write_config(&test->h.dev, 0, &select, 1), 0);
	vio_device_read_config(&test->h.dev, 0, config, sizeof(*config));
	assert_int_equal(config->select, select);
	assert_int_equal(config->subsel, subsel);
	for (unsigned i = config->size; i < VIRTIO_INPUT_CFG_BYTES; i++)
		assert_int_equal(config->u[i], 0);
	return config->size;
}

/* spec: DEV-INPUT-001; hostile: A122: whatever is asked for */
static void everything_can_be_asked(void **state)
{
	static const struct {
		const char *kind;
		const char *name;
		uint8_t types[32]; /* sizes of the bitmaps */
		uint8_t axes;
		uint8_t properties;
	} kinds[] = {
		{ "keyboard", "Vireo keyboard", { [1] = 32, [4] = 1, [0x11] = 1, [0x14] = 1 }, 0, 0 },
		{ "mouse", "Vireo mouse", { [1] = 35, [2] = 2 }, 0, 1 },
		{ "tablet", "Vireo tablet", { [1] = 42, [2] = 2, [3] = 1 }, 2, 1 },
		{ "multitouch", "Vireo multitouch", { [1] = 42, [3] = 8 }, 6, 1 },
		{ "gamepad", "Vireo gamepad", { [1] = 40, [3] = 3 }, 8, 0 },
	};

	for (unsigned k = 0; k < VIO_ARRAY_SIZE(kinds); k++) {
		struct virtio_input_config config;
		struct input_test test;
		unsigned axes = 0;

		make(&test, kinds[k].kind, false);
		for (unsigned select = 0; select < 256; select++) {
			for (unsigned subsel = 0; subsel < 256; subsel++) {
				uint8_t size = ask(&test, (uint8_t)select, (uint8_t)subsel, &config);
				uint8_t right = 0;

				if (select == VIRTIO_INPUT_CFG_ID_NAME && !subsel)
					right = (uint8_t)strlen(kinds[k].name);
				else if (select == VIRTIO_INPUT_CFG_ID_DEVIDS && !subsel)
					right = 8;
				else if (select == VIRTIO_INPUT_CFG_PROP_BITS && !subsel)
					right = kinds[k].properties;
				else if (select == VIRTIO_INPUT_CFG_EV_BITS && subsel < 32)
					right = kinds[k].types[subsel];
				else if (select == VIRTIO_INPUT_CFG_ABS_INFO && size)
					right = 20;
				axes += select == VIRTIO_INPUT_CFG_ABS_INFO && size;
				assert_int_equal(size, right);
			}
		}
		assert_int_equal(axes, kinds[k].axes);
		assert_int_equal(ask(&test, VIRTIO_INPUT_CFG_ID_NAME, 0, &config), strlen(kinds[k].name));
		assert_memory_equal(config.u, kinds[k].name, strlen(kinds[k].name));
		harness_poke_config(&test.h, k);
		harness_free(&test.h);
	}
}

static void limits_of_axes(void **state)
{
	static const uint8_t stick[20] = { 0, 0x80, 0xff, 0xff, 0xff, 0x7f, 0, 0 };
	struct virtio_input_config config;
	struct input_test test;

	make(&test, "gamepad", false);
	assert_int_equal(ask(&test, VIRTIO_INPUT_CFG_ABS_INFO, 0, &config), 20);
	assert_memory_equal(config.u, stick, 20);
	harness_free(&test.h);
}

static void names_are_said(void **state)
{
	struct virtio_input_config config;
	struct input_test test;
	char name[200];

	memset(&test, 0, sizeof(test));
	harness_make(&test.h, &vio_input_class);
	assert_int_equal(vio_device_realize(&test.h.dev), -VIO_ENOENT);
	fake_events_init(&test.fake);
	vio_input_attach(&test.h.dev, &test.fake.source);
	memset(name, 'n', sizeof(name));
	name[128] = '\0';
	assert_int_equal(harness_try_set(&test.h, "name", name), -VIO_ERANGE);
	name[127] = '\0';
	harness_set(&test.h, "name", name);
	harness_set(&test.h, "serial", "S-1");
	harness_realize(&test.h);
	assert_int_equal(ask(&test, VIRTIO_INPUT_CFG_ID_NAME, 0, &config), 127);
	assert_memory_equal(config.u, name, 127);
	assert_int_equal(ask(&test, VIRTIO_INPUT_CFG_ID_SERIAL, 0, &config), 3);
	assert_memory_equal(config.u, "S-1", 3);
	harness_free(&test.h);
}

/* spec: DEV-INPUT-002 DEV-INPUT-003: in whole sequences, however few the buffers */
static void sequences_are_whole(void **state)
{
	struct input_test test;

	make(&test, "mouse", false);
	send(&test, EV_REL, 0, 9); /* nobody is there */
	send(&test, EV_SYN, REPORT, 0);
	start(&test);
	expect_nothing(&test);
	send(&test, EV_REL, 0, 5);
	send(&test, EV_REL, 1, (uint32_t)-7);
	fake_events_end(&test.fake);
	expect_nothing(&test);
	send(&test, EV_SYN, REPORT, 0);
	fake_events_end(&test.fake);
	expect(&test, EV_REL, 0, 5);
	expect(&test, EV_REL, 1, (uint32_t)-7);
	expect(&test, EV_SYN, REPORT, 0);
	expect_nothing(&test);
	/* What the device hasn't got doesn't go. */
	send(&test, EV_ABS, 0, 1);
	send(&test, EV_KEY, 30, 1);
	send(&test, 0xffff, 0xffff, 1);
	send(&test, EV_SYN, DROPPED, 1);
	assert_int_equal(property(&test, "unknown"), 4);
	harness_free(&test.h);
}

/* Sequences of three events, numbered by their values, until some are lost. */
static void flood(struct input_test *test, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		send(test, EV_REL, 0, i);
		send(test, EV_REL, 1, i);
		send(test, EV_SYN, REPORT, 0);
	}
	fake_events_end(&test->fake);
}

static void what_is_lost_is_told(void **state)
{
	unsigned kept = VIO_INPUT_QUEUE / 3;
	struct input_test test;

	make(&test, "mouse", false);
	start(&test);
	send(&test, EV_KEY, 272, 1);
	send(&test, EV_SYN, REPORT, 0);
	flood(&test, 500);
	send(&test, EV_KEY, 272, 0);
	send(&test, EV_KEY, 273, 1);
	send(&test, EV_KEY, 274, 1);
	send(&test, EV_KEY, 274, 0);
	send(&test, EV_SYN, REPORT, 0);
	assert_true(property(&test, "lost") > 0);
	expect(&test, EV_KEY, 272, 1);
	expect(&test, EV_SYN, REPORT, 0);
	for (unsigned i = 0; i < kept - 1; i++) {
		expect(&test, EV_REL, 0, i);
		expect(&test, EV_REL, 1, i);
		expect(&test, EV_SYN, REPORT, 0);
	}
	/* Then the loss, as evdev tells it, and what became of the keys. */
	for (unsigned i = kept - 1; i < kept + 1; i++) {
		struct vio_event event;

		assert_true(next(&test, &event));
		if (event.type == EV_SYN && event.code == DROPPED)
			break;
		assert_int_equal(event.value, i);
		expect(&test, EV_REL, 1, i);
		expect(&test, EV_SYN, REPORT, 0);
	}
	expect(&test, EV_SYN, REPORT, 0);
	expect(&test, EV_KEY, 272, 0);
	expect(&test, EV_KEY, 273, 1);
	expect(&test, EV_SYN, REPORT, 0);
	expect_nothing(&test);
	/* And on as before. */
	flood(&test, 1);
	expect(&test, EV_REL, 0, 0);
	harness_free(&test.h);
}

/* A sequence that is longer than the queue: hopeless, and no reason to stop. */
static void endless_sequences(void **state)
{
	for (unsigned waits = 0; waits < 2; waits++) {
		struct input_test test;

		make(&test, "mouse", waits);
		start(&test);
		for (unsigned i = 0; i < 3 * VIO_INPUT_QUEUE; i++)
			send(&test, EV_REL, 0, i);
		send(&test, EV_SYN, REPORT, 0);
		fake_events_end(&test.fake);
		expect(&test, EV_SYN, DROPPED, 0);
		expect(&test, EV_SYN, REPORT, 0);
		expect(&test, EV_SYN, REPORT, 0);
		flood(&test, 1);
		expect(&test, EV_REL, 0, 0);
		assert_int_equal(property(&test, "lost"), 3 * VIO_INPUT_QUEUE + 1);
		harness_free(&test.h);
	}
}

static void patient_sources_lose_nothing(void **state)
{
	struct input_test test;

	make(&test, NULL, true);
	test.fake.refill = 3000;
	assert_int_equal(fake_events_send(&test.fake, EV_KEY, 1, 9), -VIO_EAGAIN);
	start(&test);
	assert_true(test.fake.ready_count > 0);
	for (unsigned i = 0; i < 3000; i++) {
		expect(&test, EV_KEY, 1, i);
		expect(&test, EV_SYN, REPORT, 0);
	}
	expect_nothing(&test);
	assert_int_equal(property(&test, "lost"), 0);
	harness_free(&test.h);
}

/* hostile: A122: buffers that are too small cost no event; hostile: A25 A26 */
static void small_buffers(void **state)
{
	struct harness_io io = { NULL, 0, NULL, 0, 1 };
	struct harness_io wrong = { "12345678", 8, NULL, 0, 0 };
	struct input_test test;
	uint8_t bytes[8];

	make(&test, NULL, false);
	start(&test);
	send(&test, EV_KEY, 30, 1);
	send(&test, EV_SYN, REPORT, 0);
	io.in = bytes;
	for (io.in_bytes = 1; io.in_bytes < 8; io.in_bytes++)
		assert_int_equal(harness_call(&test.h, 0, &io), 0);
	assert_int_equal(harness_call(&test.h, 0, &wrong), 0);
	io.in_bytes = 8; /* in eight pieces */
	assert_int_equal(harness_call(&test.h, 0, &io), 8);
	assert_int_equal(bytes[2], 30);
	expect(&test, EV_SYN, REPORT, 0);
	assert_int_equal(test.h.faults, 0);
	harness_free(&test.h);
}

/* hostile: A122: a flood of statuses, cut off anywhere */
static void statuses(void **state)
{
	struct virtio_input_event wire = { vio_le16_make(EV_LED), vio_le16_make(1), vio_le32_make(1) };
	struct harness_io io = { &wire, sizeof(wire), NULL, 0, 0 };
	struct input_test test;

	make(&test, NULL, false);
	start(&test);
	assert_int_equal(harness_call(&test.h, 1, &io), 0);
	assert_int_equal(test.fake.status_count, 1);
	assert_int_equal(test.fake.last_status.code, 1);
	assert_int_equal(property(&test, "leds"), 2);
	for (io.out_bytes = 1; io.out_bytes < 8; io.out_bytes++)
		assert_int_equal(harness_call(&test.h, 1, &io), 0);
	assert_int_equal(test.fake.status_count, 1);
	assert_int_equal(property(&test, "unknown"), 7);
	for (unsigned type = 0; type < 0x10000; type += type < 40 ? 1 : 8191) {
		for (unsigned code = 0; code < 0x10000; code += code < 40 ? 1 : 8191) {
			wire.type = vio_le16_make((uint16_t)type);
			wire.code = vio_le16_make((uint16_t)code);
			assert_int_equal(harness_call(&test.h, 1, &io), 0);
			test.h.used = test.h.used > (8u << 20) ? (8u << 20) : test.h.used;
		}
	}
	assert_int_equal(test.h.faults, 0);
	harness_reset(&test.h);
	assert_int_equal(property(&test, "leds"), 0);
	harness_free(&test.h);
}

static void moves_on(void **state)
{
	struct input_test from, to;

	make(&from, NULL, false);
	start(&from);
	send(&from, EV_KEY, 30, 1);
	send(&from, EV_SYN, REPORT, 0);
	send(&from, EV_KEY, 31, 1);
	for (unsigned i = 0; i < 3; i++)
		harness_add(&from.h, 0, &(struct harness_io){ .in_bytes = 8 }, &from);
	harness_kick(&from.h, 0);
	assert_int_equal(from.h.dev.queues[0].used_next, 2);
	make(&to, NULL, false);
	harness_move(&from.h, &to.h);
	/* The buffer that is left is used, and the sequence that had begun goes on. */
	send(&to, EV_SYN, REPORT, 0);
	fake_events_end(&to.fake);
	assert_int_equal(to.h.faults, 0);
	assert_int_equal(to.h.dev.queues[0].used_next, 3);
	harness_free(&to.h);
	harness_free(&from.h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_can_be_asked),
		cmocka_unit_test(limits_of_axes),
		cmocka_unit_test(names_are_said),
		cmocka_unit_test(sequences_are_whole),
		cmocka_unit_test(what_is_lost_is_told),
		cmocka_unit_test(endless_sequences),
		cmocka_unit_test(patient_sources_lose_nothing),
		cmocka_unit_test(small_buffers),
		cmocka_unit_test(statuses),
		cmocka_unit_test(moves_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
