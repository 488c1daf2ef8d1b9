/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/rig.h"

#include <string.h>

#include <vireo/devices/console.h>
#include <vireo/drivers/console.h>

#include "devices/fake_terminal.h"

/* Our driver and our device, over every transport: what one says the other has to understand. */

static struct fake_terminal fakes[3];
static unsigned ports;

static void furnish(struct vio_device *device, void *context)
{
	(void)context;
	for (unsigned i = 0; i < ports; i++) {
		fake_terminal_init(&fakes[i]);
		assert_int_equal(vio_console_attach(device, i, &fakes[i].terminal, i ? "other" : "first",
						    VIO_CONSOLE_PORT_IS_CONSOLE),
				 0);
	}
}

static struct vio_console *driver_of(struct rig *rig)
{
	return rig->dev.driver_state;
}

static void each(unsigned count, const char *const *properties, uint64_t withhold,
		 void (*body)(struct rig *rig))
{
	const struct rig_options options = { .class = &vio_console_class,
					     .remote = true,
					     .properties = properties,
					     .withhold = withhold,
					     .furnish = furnish };

	ports = count;
	rig_each(&options, body);
}

static void make_text(uint8_t *text, uint32_t length)
{
	for (uint32_t i = 0; i < length; i++)
		text[i] = (uint8_t)(i * 7 + i / 251);
}

static void assert_reads(struct rig *rig, const uint8_t *text, uint32_t length)
{
	uint8_t got_text[4096];
	uint32_t total = 0, got;

	while (total < length) {
		int error = vio_console_read(&rig->dev, got_text + total, sizeof(got_text) - total, &got);

		if (!error)
			total += got;
		else
			assert_int_equal(vio_console_wait(&rig->dev, 1000000000), 0);
	}
	assert_int_equal(total, length);
	assert_memory_equal(got_text, text, length);
}

static void talk(struct rig *rig)
{
	uint8_t text[3000];

	make_text(text, sizeof(text));
	rig_run(rig);
	assert_int_equal(vio_console_poll(&rig->dev), 0);
	rig_run(rig);
	assert_int_equal(vio_console_poll(&rig->dev), 0);
	assert_true(driver_of(rig)->present);
	fakes[0].shown_bytes = 0;
	assert_int_equal(vio_console_write(&rig->dev, text, sizeof(text)), 0);
	rig_run(rig);
	assert_int_equal(fakes[0].shown_bytes, sizeof(text));
	assert_memory_equal(fakes[0].shown, text, sizeof(text));
	/* More than the driver has buffers for. */
	fakes[0].typed_bytes = fakes[0].typed_read = 0;
	fake_terminal_type(&fakes[0], text, sizeof(text));
	assert_reads(rig, text, sizeof(text));
	fakes[0].typed_bytes = fakes[0].typed_read = 0;
	fakes[0].piece = 3;
	fake_terminal_type(&fakes[0], text, 300);
	assert_reads(rig, text, 300);
	fakes[0].piece = 0;
	assert_int_equal(rig->device.fault_count, 0);
}

static void plain_body(struct rig *rig)
{
	fakes[0].shown_bytes = 0;
	if (!rig->options->withhold) { /* spec: DEV-CON-001 DEV-CON-002 */
		assert_int_equal(vio_console_emergency(&rig->dev, 'E'), 0);
		rig_run(rig);
		assert_int_equal(fakes[0].shown_bytes, 1);
		assert_int_equal(fakes[0].shown[0], 'E');
	}
	assert_int_equal(rig_bind(rig, &vio_console_driver), 0);
	talk(rig);
	if (!rig->options->withhold) {
		assert_int_equal(driver_of(rig)->cols, 80);
		assert_int_equal(driver_of(rig)->rows, 25);
		fake_terminal_change(&fakes[0], 1, 132, 43);
		rig_run(rig);
		assert_int_equal(driver_of(rig)->cols, 132);
		assert_int_equal(driver_of(rig)->rows, 43);
	}
	assert_int_equal(vio_console_start(&rig->dev), 0);
	talk(rig);
}

static void bytes_pass(void **state)
{
	each(1, NULL, 0, plain_body);
	each(1, NULL, 7, plain_body);
}

static void ports_body(struct rig *rig)
{
	/* Their number is part of the configuration. */
	if (!strcmp(rig->transport->name, "vhost-user-plain"))
		return;
	assert_int_equal(rig_bind(rig, &vio_console_driver), 0);
	talk(rig);
	assert_string_equal(driver_of(rig)->name, "first");
	assert_true(driver_of(rig)->is_console);
	assert_true(driver_of(rig)->device_open);
	fake_terminal_change(&fakes[0], 0, 132, 43);
	rig_run(rig);
	vio_console_poll(&rig->dev);
	assert_false(driver_of(rig)->device_open);
	assert_int_equal(driver_of(rig)->cols, 132);
	assert_int_equal(driver_of(rig)->rows, 43);
	/* The port is pulled out, and put back. */
	assert_int_equal(vio_device_set_property(&rig->device, "unplugged", 9, "1"), 0);
	rig_run(rig);
	vio_console_poll(&rig->dev);
	assert_false(driver_of(rig)->present);
	assert_int_equal(vio_console_write(&rig->dev, "x", 1), -VIO_ENOENT);
	assert_int_equal(vio_device_set_property(&rig->device, "unplugged", 9, "0"), 0);
	talk(rig);
	assert_int_equal(vio_console_start(&rig->dev), 0);
	talk(rig);
	assert_int_equal(driver_of(rig)->ignored, 0);
}

static void ports_are_told(void **state)
{
	static const char *const one[] = { "multiport=on", NULL }, *const three[] = { "max-ports=3", NULL };

	each(1, one, 0, ports_body);
	each(3, three, 0, ports_body);
	each(2, three, 0, ports_body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_pass),
		cmocka_unit_test(ports_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
