/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/test.h"

#include "loopback/exchange.h"

/* Both halves of the split ring against each other, in every combination. */

static const uint16_t sizes[] = { 1, 2, 4, 8, 256, 1024, 32768 };
static const uint16_t starts[] = { 0, 65535 - 3, 32768 - 2 };
static const unsigned batches[] = { 1, 3, 64 };

/* A seed for each combination, so that no two see the same traffic. */
static void run_all(bool indirect, bool event_idx)
{
	struct exchange_config config = { .indirect = indirect, .event_idx = event_idx };
	unsigned size, start, callbacks, order, batch;

	for (size = 0; size < VIO_ARRAY_SIZE(sizes); size++) {
		for (callbacks = 0; callbacks < EXCHANGE_CALLBACKS; callbacks++) {
			for (order = 0; order < EXCHANGE_ORDERS; order++) {
				for (batch = 0; batch < VIO_ARRAY_SIZE(batches); batch++) {
					/* A big ring takes long to set up. */
					if (sizes[size] > 1024 && (callbacks != order || batch != order % 3))
						continue;
					start = (callbacks + order + batch) % VIO_ARRAY_SIZE(starts);
					/* To walk that far takes long, too. */
					config.walk_to_start = !callbacks && order == 1 && !batch;
					config.size = sizes[size];
					config.start = starts[start];
					config.callbacks = (enum exchange_callbacks)callbacks;
					config.order = (enum exchange_order)order;
					config.batch = batches[batch];
					config.device_polls = (order + batch) % 4 == 3;
					config.buffers = sizes[size] > 1024 ? 300 : 200;
					config.seed++;
					exchange_run(&config);
				}
			}
		}
	}
}

static void test_plain(void **state)
{
	run_all(false, false);
}

static void test_event_idx(void **state)
{
	run_all(false, true);
}

static void test_indirect(void **state)
{
	run_all(true, false);
}

static void test_indirect_and_event_idx(void **state)
{
	run_all(true, true);
}

/* Past the end of the indices, with full rings. */
static void test_long(void **state)
{
	static const uint16_t long_sizes[] = { 1, 256, 32768 };
	unsigned i;

	for (i = 0; i < VIO_ARRAY_SIZE(long_sizes); i++) {
		const struct exchange_config config = {
			.size = long_sizes[i],
			.indirect = i & 1,
			.event_idx = true,
			.callbacks = i & 1 ? EXCHANGE_DELAYED : EXCHANGE_ENABLE,
			.order = EXCHANGE_RANDOM,
			.batch = long_sizes[i],
			.start = 60000,
			.buffers = long_sizes[i] > 256 ? 40000 : 8000,
			.seed = 1000 + i,
		};

		exchange_run(&config);
	}
}

/* One kick wakes a batch, and one interrupt ends it. spec: DRV-SPLIT-025 DEV-SPLIT-012 */
static void test_one_kick_for_a_batch(void **state)
{
	const struct test_pair_config config = { .size = 256, .features = TEST_EVENT };
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),    cmocka_unit_test(test_event_idx),
		cmocka_unit_test(test_indirect), cmocka_unit_test(test_indirect_and_event_idx),
		cmocka_unit_test(test_long),     cmocka_unit_test(test_one_kick_for_a_batch),
	};

	return cmocka_run_group_tests_name("loopback: split ring", tests, NULL, NULL);
}
