/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/test.h"

#include <string.h>

#include "lib/hook.h"
#include "lib/pair.h"

/*
 * One side acts exactly while the other looks: before each load that a call makes
 * from shared memory, for every load of it. Whoever goes to sleep after that must
 * have been told. hostile: H21
 */
struct test_hook test_hook;

struct race {
	struct test_pair pair;
	unsigned loads, strike_at;
	void (*strike)(struct race *race);
	struct vio_buf bufs[4];
	unsigned popped;
	int token;
};

static void watch(void *context, const void *address, size_t size)
{
	struct race *race = context;

	if (++race->loads != race->strike_at)
		return;
	test_hook.load = NULL; /* the other side's loads don't count */
	race->strike(race);
	test_hook.load = watch;
}

static void arm(struct race *race, unsigned at, void (*strike)(struct race *race))
{
	race->loads = 0;
	race->strike_at = at;
	race->strike = strike;
	race->pair.kicks = race->pair.interrupts = 0;
	test_hook = (struct test_hook){ .load = watch, .context = race };
}

static unsigned disarm(struct race *race)
{
	test_hook.load = NULL;
	return race->loads;
}

/* With EVENT_IDX or without it, then the same packed. */
static void open_race(struct race *race, unsigned event)
{
	const struct test_pair_config config = {
		.size = 4,
		.features = (event & 1 ? TEST_EVENT : TEST_PLAIN) | (event & 2 ? TEST_PACKED : 0),
	};

	memset(race, 0, sizeof(*race));
	test_hook.load = NULL;
	test_pair_open(&race->pair, &config);
	test_pair_advance(&race->pair, 3);
	test_pair_start_device(&race->pair);
}

static void driver_adds(struct race *race)
{
	assert_int_equal(test_pair_add(&race->pair, 0, 1, &race->token), 0);
	vio_drvq_kick(&race->pair.drv);
}

static void device_pops(struct race *race)
{
	while (vio_devq_pop(&race->pair.dev, &race->bufs[race->popped]))
		race->popped++;
}

static void device_answers(struct race *race)
{
	device_pops(race);
	while (race->popped)
		vio_devq_push(&race->pair.dev, &race->bufs[--race->popped], 1);
	vio_devq_notify(&race->pair.dev);
}

/* The device goes to sleep while the driver adds. */
static void test_add_while_device_falls_asleep(void **state)
{
	unsigned event, at, busy, points = 0;

	for (event = 0; event < 4; event++) {
		for (busy = 0; busy < 2; busy++) {
			for (at = 1; at < 12; at++) {
				struct race race;
				unsigned loads;

				open_race(&race, event);
				if (busy) /* it was at work before, so that kicks are off */
					driver_adds(&race);
				arm(&race, at, driver_adds);
				device_pops(&race);
				loads = disarm(&race);
				if (at <= loads) {
					assert_true(race.popped == 1 + busy || race.pair.kicks > 0);
					points++;
				}
				test_pair_close(&race.pair);
			}
		}
	}
	assert_true(points >= 12);
}

/* The same for a device that polled and stops doing so. */
static void test_add_while_kicks_are_enabled(void **state)
{
	unsigned event, at, points = 0;

	for (event = 0; event < 4; event++) {
		for (at = 1; at < 4; at++) {
			struct race race;
			bool nothing;

			open_race(&race, event);
			vio_devq_disable_kick(&race.pair.dev);
			arm(&race, at, driver_adds);
			nothing = vio_devq_enable_kick(&race.pair.dev);
			if (at <= disarm(&race)) {
				assert_true(!nothing || race.pair.kicks > 0);
				points++;
			}
			test_pair_close(&race.pair);
		}
	}
	assert_true(points >= 2);
}

/* The driver goes to sleep while the device answers: by each of its ways to do so. */
static void test_answer_while_driver_falls_asleep(void **state)
{
	unsigned event, at, way, points = 0;

	for (event = 0; event < 4; event++) {
		for (way = 0; way < 3; way++) {
			for (at = 1; at < 8; at++) {
				struct race race;
				bool sleeps;

				open_race(&race, event);
				if (way)
					vio_drvq_disable_cb(&race.pair.drv);
				driver_adds(&race);
				arm(&race, at, device_answers);
				if (way == 0)
					sleeps = vio_drvq_get(&race.pair.drv, NULL) == NULL;
				else if (way == 1)
					sleeps = vio_drvq_enable_cb(&race.pair.drv);
				else
					sleeps = vio_drvq_enable_cb_delayed(&race.pair.drv);
				if (at <= disarm(&race)) {
					assert_true(!sleeps || race.pair.interrupts > 0);
					points++;
				}
				assert_int_equal(race.pair.drv.fault.kind, VIO_FAULT_NONE);
				test_pair_close(&race.pair);
			}
		}
	}
	assert_true(points >= 6);
}

/* The driver looks whether to kick while the device falls asleep. */
static void test_device_falls_asleep_while_driver_kicks(void **state)
{
	unsigned event, at, points = 0;

	for (event = 0; event < 4; event++) {
		for (at = 1; at < 4; at++) {
			struct race race;

			open_race(&race, event);
			driver_adds(&race);
			assert_true(vio_devq_pop(&race.pair.dev,
						 &race.bufs[race.popped++])); /* kicks are off now */
			arm(&race, at, device_pops);
			driver_adds(&race);
			if (at <= disarm(&race)) {
				assert_true(race.popped == 2 || race.pair.kicks > 0);
				points++;
			}
			test_pair_close(&race.pair);
		}
	}
	assert_true(points >= 2);
}

static bool driver_slept;

static void driver_falls_asleep(struct race *race)
{
	driver_slept = vio_drvq_enable_cb(&race->pair.drv);
}

/* The device looks whether to interrupt while the driver falls asleep. */
static void test_driver_falls_asleep_while_device_notifies(void **state)
{
	unsigned event, at, points = 0;

	for (event = 0; event < 4; event++) {
		for (at = 1; at < 4; at++) {
			struct race race;

			open_race(&race, event);
			vio_drvq_disable_cb(&race.pair.drv);
			driver_adds(&race);
			device_pops(&race);
			vio_devq_push(&race.pair.dev, &race.bufs[0], 1);
			driver_slept = false;
			arm(&race, at, driver_falls_asleep);
			vio_devq_notify(&race.pair.dev);
			if (at <= disarm(&race)) {
				assert_true(!driver_slept || race.pair.interrupts > 0);
				points++;
			}
			test_pair_close(&race.pair);
		}
	}
	assert_true(points >= 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_add_while_device_falls_asleep),
		cmocka_unit_test(test_add_while_kicks_are_enabled),
		cmocka_unit_test(test_answer_while_driver_falls_asleep),
		cmocka_unit_test(test_device_falls_asleep_while_driver_kicks),
		cmocka_unit_test(test_driver_falls_asleep_while_device_notifies),
	};

	return cmocka_run_group_tests_name("loopback: stop-points", tests, NULL, NULL);
}
