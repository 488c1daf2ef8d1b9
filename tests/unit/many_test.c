/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/test.h"

#include <stdlib.h>
#include <string.h>

#include "lib/pair.h"

/*
 * Many buffers at once, both roles and both formats, in order or not: the straight way, which takes
 * buffers of one element, and where it meets something else.
 */
#define SIZE  8u
#define LAPS  5u
#define COUNT 5u

static const uint64_t kinds[] = { TEST_PLAIN, TEST_PLAIN | TEST_IN_ORDER, TEST_EVENT };

static void each(uint64_t also, void (*body)(struct test_pair *pair))
{
	struct test_pair_config config = { .size = SIZE, .spans_max = 4 };
	unsigned i, packed;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		for (packed = 0; packed < 2; packed++) {
			struct test_pair pair;

			config.features = (kinds[i] | (packed ? TEST_PACKED : 0)) ^ also;
			test_pair_open(&pair, &config);
			test_pair_start_device(&pair);
			body(&pair);
			test_pair_close(&pair);
		}
}

static const struct vio_sg elements[COUNT + 2] = {
	{ { PAIR_DATA }, 1 },      { { PAIR_DATA + 16 }, 2 }, { { PAIR_DATA + 32 }, 3 },
	{ { PAIR_DATA + 48 }, 4 }, { { PAIR_DATA + 64 }, 5 }, { { PAIR_DATA + 80 }, 6 },
	{ { PAIR_DATA + 96 }, 7 },
};

/* A written one, a chain of three, a read one, two written ones; their tokens are themselves. */
static void fill(struct vio_drvq_buffer *buffers)
{
	buffers[0] = (struct vio_drvq_buffer){ &elements[0], 0, 1, &buffers[0] };
	buffers[1] = (struct vio_drvq_buffer){ &elements[1], 1, 2, &buffers[1] };
	buffers[2] = (struct vio_drvq_buffer){ &elements[4], 1, 0, &buffers[2] };
	buffers[3] = (struct vio_drvq_buffer){ &elements[5], 0, 1, &buffers[3] };
	buffers[4] = (struct vio_drvq_buffer){ &elements[6], 0, 1, &buffers[4] };
}

static const uint32_t writable[COUNT] = { 1, 7, 0, 6, 7 };

static void serve_all(struct test_pair *pair, struct vio_buf *taken)
{
	unsigned i;

	assert_int_equal(vio_devq_pop_many(&pair->dev, taken, SIZE), COUNT);
	for (i = 0; i < COUNT; i++)
		assert_int_equal(taken[i].writable_bytes, writable[i]);
	vio_devq_push_many(&pair->dev, taken, writable, COUNT);
}

static void rounds(struct test_pair *pair)
{
	struct vio_drvq_buffer buffers[COUNT];
	uint32_t written[SIZE];
	void *tokens[SIZE];
	struct vio_buf taken[SIZE];
	unsigned lap, i;

	fill(buffers);
	vio_drvq_disable_cb(&pair->drv);
	for (lap = 0; lap < LAPS; lap++) {
		assert_int_equal(vio_drvq_add_many(&pair->drv, buffers, COUNT), COUNT);
		assert_int_equal(vio_drvq_get_many(&pair->drv, tokens, written, SIZE), 0);
		vio_drvq_publish(&pair->drv);
		serve_all(pair, taken);
		assert_int_equal(vio_drvq_get_many(&pair->drv, tokens, written, SIZE), 0);
		vio_devq_publish(&pair->dev);
		vio_devq_publish(&pair->dev); /* nothing more to show */
		assert_int_equal(vio_drvq_get_many(&pair->drv, tokens, lap % 2 ? NULL : written, 2), 2);
		assert_int_equal(
			vio_drvq_get_many(&pair->drv, &tokens[2], lap % 2 ? NULL : &written[2], SIZE - 2),
			COUNT - 2);
		for (i = 0; i < COUNT; i++) {
			assert_ptr_equal(tokens[i], &buffers[i]);
			assert_true(lap % 2 || written[i] == writable[i]);
		}
	}
	assert_int_equal(pair->interrupts, 0);
	assert_int_equal(pair->drv.free_count, SIZE);
	assert_int_equal(pair->drv.in_flight, 0);
	assert_int_equal(pair->dev.in_flight, 0);
}

static void test_rounds(void **state)
{
	each(0, rounds);
}

/* What isn't legal ends it where it stands; so does a ring that is full. */
static void refused(struct test_pair *pair)
{
	static const struct vio_sg nothing = { { PAIR_DATA }, 0 };
	struct vio_drvq_buffer buffers[SIZE + 1];
	unsigned i;

	fill(buffers);
	buffers[3].token = NULL;
	assert_int_equal(vio_drvq_add_many(&pair->drv, buffers, COUNT), 3);
	assert_int_equal(vio_drvq_add_many(&pair->drv, &buffers[3], 2), -VIO_EINVAL);
	buffers[3] = (struct vio_drvq_buffer){ &nothing, 0, 1, &buffers[3] };
	assert_int_equal(vio_drvq_add_many(&pair->drv, &buffers[3], 2), -VIO_EINVAL);
	buffers[3] = (struct vio_drvq_buffer){ elements, UINT32_MAX, 2, &buffers[3] };
	assert_int_equal(vio_drvq_add_many(&pair->drv, &buffers[3], 2), -VIO_EINVAL);
	for (i = 0; i <= SIZE; i++)
		buffers[i] = (struct vio_drvq_buffer){ &elements[i % COUNT], 1, 0, &buffers[i] };
	assert_int_equal(vio_drvq_add_many(&pair->drv, buffers, SIZE + 1), SIZE - 5);
	assert_int_equal(vio_drvq_add_many(&pair->drv, buffers, 1), -VIO_ENOSPC);
	pair->drv.fault.kind = VIO_FAULT_USED_ID;
	assert_int_equal(vio_drvq_add_many(&pair->drv, buffers, 1), -VIO_EPEER);
}

static void test_refused(void **state)
{
	each(0, refused);
}

/* Nothing is shown by a queue that broke or doesn't run, and a buffer of an earlier life isn't given back. */
static void earlier_life(struct test_pair *pair)
{
	struct vio_drvq_buffer buffers[COUNT];
	struct vio_buf taken[SIZE];
	void *tokens[SIZE];
	unsigned i;

	fill(buffers);
	assert_int_equal(vio_drvq_add_many(&pair->drv, buffers, COUNT), COUNT);
	vio_drvq_publish(&pair->drv);
	assert_int_equal(vio_devq_pop_many(&pair->dev, taken, SIZE), COUNT);
	taken[2].generation++;
	vio_devq_push_many(&pair->dev, taken, writable, COUNT);
	pair->dev.fault.kind = VIO_FAULT_AVAIL_IDX;
	vio_devq_publish(&pair->dev);
	assert_int_equal(vio_drvq_get_many(&pair->drv, tokens, NULL, SIZE), 0);
	pair->dev.fault.kind = VIO_FAULT_NONE;
	vio_devq_publish(&pair->dev);
	assert_int_equal(vio_drvq_get_many(&pair->drv, tokens, NULL, SIZE),
			 pair->dev.in_order ? 2 : COUNT - 1);
	for (i = 0; i < (pair->dev.in_order ? 2u : COUNT - 1); i++)
		assert_ptr_equal(tokens[i], &buffers[i < 2 ? i : i + 1]);
	assert_int_equal(pair->interrupts, 0);
	vio_devq_stop(&pair->dev);
	vio_devq_publish(&pair->dev);
}

static void test_earlier_life(void **state)
{
	each(0, earlier_life);
}

/* A legacy device may boast of what it wrote, and gets cut, in the middle of many. */
static void boasts(struct test_pair *pair)
{
	struct vio_drvq_buffer buffers[COUNT];
	struct vio_buf taken[SIZE];
	uint32_t written[SIZE];
	void *tokens[SIZE];
	unsigned i;

	fill(buffers);
	assert_int_equal(vio_drvq_add_many(&pair->drv, buffers, COUNT), COUNT);
	vio_drvq_publish(&pair->drv);
	assert_int_equal(vio_devq_pop_many(&pair->dev, taken, SIZE), COUNT);
	taken[2].writable_limit = taken[3].writable_limit = 100;
	for (i = 0; i < COUNT; i++)
		written[i] = i == 2 || i == 3 ? 100 : writable[i];
	vio_devq_push_many(&pair->dev, taken, written, COUNT);
	vio_devq_publish(&pair->dev);
	assert_int_equal(vio_drvq_get_many(&pair->drv, tokens, written, SIZE), COUNT);
	for (i = 0; i < COUNT; i++) {
		assert_ptr_equal(tokens[i], &buffers[i]);
		assert_int_equal(written[i], writable[i]);
	}
	assert_int_equal(pair->drv.free_count, SIZE);
}

static void test_boasts(void **state)
{
	each(TEST_PLAIN, boasts);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rounds),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_earlier_life),
		cmocka_unit_test(test_boasts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
