/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/test.h"

#include "loopback/exchange.h"

/* Both halves of a ring against each other, in every combination of format, features and sizes. */

static const uint16_t sizes[] = { 1, 2, 3, 4, 7, 8, 256, 1024, 32768 };
static const uint16_t starts[] = { 0, 65535 - 3, 32768 - 2 };
static const unsigned batches[] = { 1, 3, 64 };

/* As an index that a driver walks to; a packed ring is there after as many descriptors modulo two laps. */
static uint16_t start_of(const struct exchange_config *config, unsigned which)
{
	return config->packed ? (uint16_t)(starts[which] % (2u * config->size)) : starts[which];
}

/* One size: a seed for each combination, so that no two see the same traffic. */
static void run_size(struct exchange_config *config)
{
	unsigned callbacks, order, batch;

	config->buffers = config->size > 1024 ? 300 : 120;
	for (callbacks = 0; callbacks < EXCHANGE_CALLBACKS; callbacks++) {
		for (order = 0; order < EXCHANGE_ORDERS; order++) {
			for (batch = 0; batch < VIO_ARRAY_SIZE(batches); batch++) {
				/* A big ring takes long to set up. */
				if (config->size > 1024 && (callbacks != order || batch != order % 3))
					continue;
				/* To walk far takes long, too. */
				config->walk_to_start = !callbacks && order == 1 && !batch;
				config->start = start_of(config, (callbacks + order + batch) % 3);
				config->callbacks = (enum exchange_callbacks)callbacks;
				config->order = (enum exchange_order)order;
				config->batch = batches[batch];
				config->device_polls = (order + batch) % 4 == 3;
				config->many = (callbacks + batch) % 3 == 1;
				config->seed++;
				exchange_run(config);
			}
		}
	}
}

/* Each set of features. */
static void run_format(bool packed)
{
	unsigned set, i;

	for (set = 0; set < 8; set++) {
		struct exchange_config config = {
			.packed = packed,
			.indirect = set & 1,
			.event_idx = set & 2,
			.in_order = set & 4,
			.seed = 1000 * set,
		};

		for (i = 0; i < VIO_ARRAY_SIZE(sizes); i++) {
			config.size = sizes[i];
			if (packed || vio_is_power_of_two(sizes[i]))
				run_size(&config);
		}
	}
}

static void test_split(void **state)
{
	run_format(false);
}

static void test_packed(void **state)
{
	run_format(true);
}

/* Past the end of the indices, with full rings. */
static void run_long(bool packed, bool in_order)
{
	static const uint16_t long_sizes[] = { 1, 256, 32768 };
	unsigned i;

	for (i = 0; i < VIO_ARRAY_SIZE(long_sizes); i++) {
		struct exchange_config config = {
			.packed = packed,
			.in_order = in_order,
			.size = long_sizes[i],
			.indirect = i & 1,
			.event_idx = true,
			.callbacks = i & 1 ? EXCHANGE_DELAYED : EXCHANGE_ENABLE,
			.order = EXCHANGE_RANDOM,
			.batch = long_sizes[i],
			.buffers = long_sizes[i] > 256 ? 40000 : 8000,
			.seed = 1000 + i,
		};

		config.start = packed ? 1 : 60000;
		exchange_run(&config);
	}
}

static void test_long(void **state)
{
	run_long(false, false);
	run_long(true, false);
	run_long(false, true);
	run_long(true, true);
}

/* One kick wakes a batch, and one interrupt ends it. spec: DRV-SPLIT-025 DEV-SPLIT-012 */
static void run_batches(uint64_t features)
{
	const struct test_pair_config config = { .size = 256, .features = features };
	struct test_pair pair;
	struct vio_buf bufs[64], none;
	unsigned round, i;
	int token;

	test_pair_open(&pair, &config);
	test_pair_start_device(&pair);
	for (round = 0; round < 10; round++) {
		pair.kicks = pair.interrupts = 0;
		for (i = 0; i < 64; i++) {
			assert_int_equal(test_pair_add(&pair, 0, 1, &token), 0);
			vio_drvq_kick(&pair.drv);
		}
		assert_int_equal(pair.kicks, 1);
		for (i = 0; i < 64; i++)
			assert_true(vio_devq_pop(&pair.dev, &bufs[i]));
		assert_false(vio_devq_pop(&pair.dev, &none));
		for (i = 0; i < 64; i++) {
			vio_devq_push(&pair.dev, &bufs[i], 1);
			vio_devq_notify(&pair.dev);
		}
		assert_int_equal(pair.interrupts, 1);
		for (i = 0; i < 64; i++)
			assert_ptr_equal(vio_drvq_get(&pair.drv, NULL), &token);
		assert_null(vio_drvq_get(&pair.drv, NULL));
	}
	test_pair_close(&pair);
}

static void test_one_kick_for_a_batch(void **state)
{
	run_batches(TEST_EVENT);
	run_batches(TEST_EVENT | TEST_PACKED);
	run_batches(TEST_EVENT | TEST_IN_ORDER);
	run_batches(TEST_EVENT | TEST_PACKED | TEST_IN_ORDER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_packed),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_one_kick_for_a_batch),
	};

	return cmocka_run_group_tests_name("loopback: both formats", tests, NULL, NULL);
}
