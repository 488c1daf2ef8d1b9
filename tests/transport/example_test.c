/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/rig.h"

#include <string.h>

#include "lib/adder_driver.h"

/*
 * The example of a device as a program, as it is, over every transport: links by their messages, models by
 * their registers. That it is a program, too, is tested where daemons are.
 */
int example_main(int argc, char **argv);
#define main example_main
#include "../../examples/adder/adder.c"
#undef main

static void adds(struct rig *rig)
{
	uint32_t sum;

	assert_ptr_equal(rig->device.class, adder_daemon.class);
	assert_int_equal(rig->device.config_bytes, 0);
	assert_int_equal(rig_bind(rig, &adder_driver), 0);
	for (uint32_t number = UINT32_MAX - 20; number != 20; number++) {
		assert_int_equal(adder_driver_add(&rig->dev, number, &sum), 0);
		assert_int_equal(sum, number + 1);
	}
	assert_int_equal(rig->platform.shared, 0);
}

static void over(const char *name)
{
	const struct rig_options options = { .class = adder_daemon.class, .remote = true };
	const struct rig_transport *const *transport = rig_transports;
	struct rig rig;

	while (*transport && strcmp((*transport)->name, name))
		transport++;
	assert_non_null(*transport);
	memset(&rig, 0, sizeof(rig));
	rig_make(&rig, &options, *transport);
	adds(&rig);
	rig_free(&rig);
}

static void over_vhost_user(void **state)
{
	over("vhost-user");
}

static void over_vfio_user(void **state)
{
	over("vfio-user");
}

static void as_mmio_registers(void **state)
{
	over("mmio");
}

static void as_pci_registers(void **state)
{
	over("pci");
}

static void as_a_channel_device(void **state)
{
	over("ccw");
}

static void over_all_others(void **state)
{
	const struct rig_options options = { .class = adder_daemon.class, .remote = true };

	rig_each(&options, adds);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(over_vhost_user),     cmocka_unit_test(over_vfio_user),
		cmocka_unit_test(as_mmio_registers),   cmocka_unit_test(as_pci_registers),
		cmocka_unit_test(as_a_channel_device), cmocka_unit_test(over_all_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
