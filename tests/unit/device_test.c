/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/test.h"

#include <stdlib.h>
#include <string.h>

#include "lib/toy.h"

/* The device core: life, status, features, configuration space. */

static int set_property(struct vio_device *dev, const char *name, const char *text)
{
	return vio_device_set_property(dev, name, strlen(name), text);
}

static void test_life(void **state)
{
	struct vio_device dev;
	struct toy toy;
	void *storage;

	memset(&toy, 0xa5, sizeof(toy));
	vio_device_init(&dev, &toy_class, &toy);
	assert_int_equal(dev.phase, VIO_DEVICE_MADE);
	assert_int_equal(toy.level, 7);
	assert_string_equal(toy.label, "toy");
	assert_int_equal(toy.served, 0);
	assert_int_equal(dev.id, 42);
	assert_int_equal(dev.queue_count, TOY_QUEUES);
	assert_int_equal(dev.queue_size, TOY_SIZE);
	assert_int_equal(dev.spans_max, VIO_DEVICE_SPANS_DEFAULT);
	assert_true(dev.event_idx && dev.indirect_desc);

	toy.make_queues = 2;
	assert_int_equal(vio_device_realize(&dev), 0);
	assert_int_equal(dev.phase, VIO_DEVICE_REALIZED);
	assert_int_equal(dev.queue_count, 2);
	assert_int_equal(vio_device_realize(&dev), -VIO_EPHASE);
	assert_int_equal(toy.counts.realize, 1);
	storage = malloc(vio_device_storage_bytes(&dev));
	assert_non_null(storage);
	vio_device_provide(&dev, storage);
	assert_int_equal(dev.phase, VIO_DEVICE_READY);
	vio_device_detach(&dev); /* nothing to detach */
	assert_int_equal(dev.phase, VIO_DEVICE_READY);
	assert_int_equal(toy.counts.reset, 0);
	vio_device_unrealize(&dev);
	vio_device_unrealize(&dev);
	assert_int_equal(toy.counts.unrealize, 1);
	assert_int_equal(dev.phase, VIO_DEVICE_MADE);
	assert_int_equal(vio_device_realize(&dev), 0);
	vio_device_unrealize(&dev);
	free(storage);
}

static void test_realize_refuses(void **state)
{
	struct vio_device dev;
	struct toy toy;

	vio_device_init(&dev, &toy_class, &toy);
	toy.realize_error = -VIO_EIO;
	assert_int_equal(vio_device_realize(&dev), -VIO_EIO);
	assert_int_equal(dev.phase, VIO_DEVICE_MADE);
	vio_device_unrealize(&dev);
	assert_int_equal(toy.counts.unrealize, 0);
	toy.realize_error = 0;
	assert_int_equal(set_property(&dev, "queue-size", "3"), 0);
	assert_int_equal(vio_device_realize(&dev), -VIO_EINVAL);
	assert_int_equal(toy.counts.realize, 1);
	assert_int_equal(set_property(&dev, "queue-size", "32768"), 0);
	assert_int_equal(vio_device_realize(&dev), 0);
	assert_int_equal(dev.queue_size_max, 32768);
	vio_device_unrealize(&dev);
}

static void test_properties(void **state)
{
	struct toy_world w;
	struct vio_device dev;
	struct toy toy;
	void *structure;

	vio_device_init(&dev, &toy_class, &toy);
	assert_int_equal(set_property(&dev, "level", "3"), 0);
	assert_int_equal(toy.level, 3);
	assert_int_equal(set_property(&dev, "level", "10"), -VIO_ERANGE);
	assert_int_equal(set_property(&dev, "level", "x"), -VIO_EINVAL);
	assert_int_equal(set_property(&dev, "levels", "3"), -VIO_ENOENT);
	assert_int_equal(vio_device_set_property(&dev, "levels", 5, "4"),
			 0); /* the name ends where it is said to */
	assert_int_equal(toy.level, 4);
	assert_int_equal(set_property(&dev, "id", "0"), -VIO_ERANGE);
	assert_int_equal(set_property(&dev, "id", "64"), -VIO_ERANGE);
	assert_int_equal(set_property(&dev, "id", "63"), 0);
	assert_int_equal(dev.id, 63);
	assert_int_equal(set_property(&dev, "queue-size", "32769"), -VIO_ERANGE);
	assert_int_equal(set_property(&dev, "event-idx", "off"), 0);
	assert_false(dev.event_idx);
	assert_non_null(vio_device_find_property(&dev, "label", 5, &structure));
	assert_ptr_equal(structure, &toy);
	assert_non_null(vio_device_find_property(&dev, "indirect-desc", 13, &structure));
	assert_ptr_equal(structure, &dev);
	assert_null(vio_device_find_property(&dev, "", 0, NULL));
	assert_int_equal(toy.counts.property_changed, 0);

	toy_open(&w);
	assert_int_equal(set_property(&w.dev, "level", "3"), -VIO_EPHASE);
	assert_int_equal(w.toy.level, 7);
	assert_int_equal(set_property(&w.dev, "id", "3"), -VIO_EPHASE);
	assert_int_equal(set_property(&w.dev, "loud", "maybe"), -VIO_EINVAL);
	assert_int_equal(w.toy.counts.property_changed, 0);
	assert_int_equal(set_property(&w.dev, "loud", "on"), 0);
	assert_true(w.toy.loud);
	assert_int_equal(w.toy.counts.property_changed, 1);
	toy_close(&w);
}

/* spec: DEV-BASIC-004 DEV-BASIC-007 DEV-BASIC-025 DEV-BASIC-030 */
static void test_offer(void **state)
{
	static const unsigned offered[] = { TOY_F_BASE,           TOY_F_MORE,          TOY_F_HIGH,
					    VIRTIO_F_VERSION_1,   VIRTIO_F_EVENT_IDX,  VIRTIO_F_INDIRECT_DESC,
					    VIRTIO_F_RING_PACKED, VIRTIO_F_RING_RESET, VIRTIO_F_SUSPEND };
	struct vio_features expected = VIO_FEATURES_NONE, low = vio_features_low(UINT64_MAX), features;
	struct toy_world w;
	unsigned i;

	for (i = 0; i < VIO_ARRAY_SIZE(offered); i++)
		vio_features_set(&expected, offered[i]);
	toy_open(&w);
	features = vio_device_features(&w.dev);
	assert_true(vio_features_equal(features, expected));
	vio_device_detach(&w.dev);
	vio_device_attach(&w.dev, &w.memory.mem, &low, NULL, NULL);
	features = vio_device_features(&w.dev);
	assert_false(vio_features_has(&features, TOY_F_HIGH));
	assert_true(vio_features_has(&features, TOY_F_MORE));
	vio_device_detach(&w.dev);
	vio_device_unrealize(&w.dev);

	assert_int_equal(set_property(&w.dev, "event-idx", "off"), 0);
	assert_int_equal(set_property(&w.dev, "indirect-desc", "off"), 0);
	assert_int_equal(vio_device_realize(&w.dev), 0);
	assert_false(vio_features_has(&w.dev.features_offered, VIRTIO_F_EVENT_IDX));
	assert_false(vio_features_has(&w.dev.features_offered, VIRTIO_F_INDIRECT_DESC));
	vio_device_provide(&w.dev, w.storage);
	toy_attach(&w);
	toy_close(&w);
}

static uint8_t try_features(struct toy_world *w, uint64_t low, uint64_t high)
{
	struct vio_features set = { { low, high } };

	vio_device_write_status(&w->dev, 0);
	vio_device_write_status(&w->dev, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	vio_device_write_features(&w->dev, &set);
	return vio_device_write_status(&w->dev, TOY_NEGOTIATED);
}

/* spec: DEV-BASIC-005 DEV-BASIC-006 DEV-BASIC-008 DEV-BASIC-009 DRV-BASIC-005 DRV-BASIC-006 */
static void test_features_negotiated(void **state)
{
	const uint8_t refused = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER;
	struct toy_world w;
	unsigned bit, i;

	toy_open(&w);
	assert_int_equal(try_features(&w, TEST_PLAIN, 0), TOY_NEGOTIATED);
	assert_int_equal(try_features(&w, TEST_PLAIN | TEST_BIT(TOY_F_BASE), 0), TOY_NEGOTIATED);
	assert_int_equal(try_features(&w, TEST_PLAIN | 3, TEST_BIT(TOY_F_HIGH - 64)), TOY_NEGOTIATED);
	assert_int_equal(w.toy.counts.set_features, 3);
	assert_true(vio_device_has_feature(&w.dev, TOY_F_HIGH));

	assert_int_equal(try_features(&w, 0, 0), refused);
	assert_int_equal(try_features(&w, 3, 0), refused);
	assert_int_equal(try_features(&w, TEST_PLAIN | TEST_BIT(TOY_F_MORE), 0), refused);
	assert_int_equal(try_features(&w, UINT64_MAX, UINT64_MAX), refused);
	for (bit = 0; bit < 128; bit++) {
		uint64_t word[2] = { TEST_PLAIN, 0 };
		bool offered = vio_features_has(&w.dev.features_offered, bit) && bit != TOY_F_MORE;

		word[bit / 64] |= TEST_BIT(bit % 64);
		assert_int_equal(try_features(&w, word[0], word[1]), offered ? TOY_NEGOTIATED : refused);
	}
	assert_true(vio_features_empty(w.dev.features_accepted));
	/* A driver may try again without reset, and what was refused is as often refused. */
	for (i = 0; i < 3; i++) {
		assert_int_equal(try_features(&w, TEST_PLAIN | 2, 0), refused);
		vio_device_write_features(&w.dev, &(struct vio_features){ { TEST_PLAIN | 3, 0 } });
		assert_int_equal(vio_device_write_status(&w.dev, TOY_NEGOTIATED), TOY_NEGOTIATED);
	}
	toy_close(&w);
}

/* spec: DRV-BASIC-001 DRV-BASIC-002, obeyed or not */
static void test_status(void **state)
{
	struct toy_world w;
	unsigned sets;

	toy_open(&w);
	assert_int_equal(vio_device_write_status(&w.dev, VIRTIO_CONFIG_S_ACKNOWLEDGE),
			 VIRTIO_CONFIG_S_ACKNOWLEDGE);
	assert_int_equal(w.toy.counts.set_status, 1);
	/* A bit can't be cleared but by reset; unknown ones can't be set. */
	assert_int_equal(vio_device_write_status(&w.dev, VIRTIO_CONFIG_S_DRIVER), 3);
	assert_int_equal(vio_device_write_status(&w.dev, 0x20), 3);
	assert_int_equal(vio_device_write_status(&w.dev, VIRTIO_CONFIG_S_NEEDS_RESET), 3);
	assert_int_equal(vio_device_write_status(&w.dev, VIRTIO_CONFIG_S_SUSPEND), 3); /* hostile: A99 */
	sets = w.toy.counts.set_status;
	assert_int_equal(sets, 2);
	assert_int_equal(vio_device_write_status(&w.dev, 3), 3);
	assert_int_equal(w.toy.counts.set_status, sets);
	/* spec: DEV-BASIC-010 */
	assert_int_equal(vio_device_write_status(&w.dev, 0), 0);
	assert_int_equal(w.dev.status, 0);
	assert_int_equal(w.toy.counts.reset, 1);
	toy_works(&w);
	toy_close(&w);
}

/* hostile: A88 */
static void test_driver_ok_without_features_ok(void **state)
{
	struct toy_world w;

	toy_open(&w);
	assert_int_equal(vio_device_write_status(&w.dev, 7), 3);
	vio_device_write_features(&w.dev, &(struct vio_features){ { TEST_PLAIN | 2, 0 } });
	assert_int_equal(vio_device_write_status(&w.dev, TOY_RUNNING),
			 3); /* both at once, features refused */
	vio_device_write_features(&w.dev, &(struct vio_features){ { TEST_PLAIN, 0 } });
	assert_int_equal(vio_device_write_status(&w.dev, TOY_RUNNING), TOY_RUNNING);
	toy_works(&w);
	toy_close(&w);
}

/* hostile: A90 */
static void test_features_change_too_late(void **state)
{
	const struct vio_features other = { { TEST_PLAIN | 3, 0 } };
	struct toy_world w;

	toy_open(&w);
	toy_negotiate(&w, 0);
	vio_device_write_features(&w.dev, &other);
	assert_int_equal(vio_device_write_status(&w.dev, TOY_NEGOTIATED), TOY_NEGOTIATED);
	assert_false(vio_device_has_feature(&w.dev, TOY_F_BASE));
	vio_device_write_status(&w.dev, TOY_RUNNING);
	vio_device_write_features(&w.dev, &other);
	assert_false(vio_device_has_feature(&w.dev, TOY_F_BASE));
	assert_int_equal(w.toy.counts.set_features, 1);
	vio_device_write_status(&w.dev, 0);
	assert_true(vio_features_empty(w.dev.features_accepted));
	assert_true(vio_features_empty(w.dev.features_driver));
	toy_works(&w);
	toy_close(&w);
}

/* hostile: A93; spec: DRV-BASIC-003 */
static void test_failed_then_on(void **state)
{
	struct toy_world w;

	toy_open(&w);
	assert_int_equal(vio_device_write_status(&w.dev, 0x83), 0x83);
	vio_device_write_features(&w.dev, &(struct vio_features){ { TEST_PLAIN, 0 } });
	assert_int_equal(vio_device_write_status(&w.dev, TOY_NEGOTIATED), 0x83);
	assert_int_equal(vio_device_write_status(&w.dev, TOY_RUNNING), 0x83);
	toy_works(&w);
	toy_close(&w);
}

/* hostile: A100; spec: DEV-BASIC-012 */
static void test_config_reads(void **state)
{
	static const uint32_t widths[] = { 0, 1, 2, 4, 8, TOY_CONFIG_BYTES, 64 };
	uint8_t expected[TOY_CONFIG_BYTES + 128] = "toy!", got[64 + 1];
	struct toy_world w;
	uint32_t offset;
	unsigned i;

	memset(expected + 16, 0xee, 4);
	toy_open(&w); /* in status 0 already */
	for (offset = 0; offset < TOY_CONFIG_BYTES + 16; offset++) {
		for (i = 0; i < VIO_ARRAY_SIZE(widths); i++) {
			memset(got, 0xa5, sizeof(got));
			vio_device_read_config(&w.dev, offset, got, widths[i]);
			assert_memory_equal(got, expected + offset, widths[i]);
			assert_int_equal(got[widths[i]], 0xa5);
		}
	}
	for (i = 0; i < VIO_ARRAY_SIZE(widths); i++) {
		memset(got, 0xa5, sizeof(got));
		vio_device_read_config(&w.dev, UINT32_MAX - 3, got, widths[i]);
		assert_memory_equal(got, expected + TOY_CONFIG_BYTES, widths[i]);
		assert_int_equal(got[widths[i]], 0xa5);
	}
	toy_close(&w);
}

/* hostile: A100 A102 */
static void test_config_writes(void **state)
{
	static const uint32_t widths[] = { 1, 2, 4, 8, 20 };
	uint8_t bytes[32], got[TOY_CONFIG_BYTES];
	unsigned i, sets = 0;
	struct toy_world w;
	uint32_t offset;

	memset(bytes, 0x77, sizeof(bytes));
	toy_open(&w);
	for (offset = 0; offset < TOY_CONFIG_BYTES + 16; offset++) {
		for (i = 0; i < VIO_ARRAY_SIZE(widths); i++) {
			bool inside = offset + widths[i] <= TOY_CONFIG_BYTES;
			int error = vio_device_write_config(&w.dev, offset, bytes, widths[i]);

			assert_int_equal(error, inside ? 0 : -VIO_ERANGE);
			sets += inside;
			assert_int_equal(w.toy.counts.set_config, sets);
			if (!inside)
				continue;
			assert_int_equal(w.toy.counts.set_offset, offset);
			assert_int_equal(w.toy.counts.set_length, widths[i]);
		}
	}
	assert_int_equal(vio_device_write_config(&w.dev, UINT32_MAX, bytes, 1), -VIO_ERANGE);
	assert_int_equal(vio_device_write_config(&w.dev, UINT32_MAX, bytes, 2), -VIO_ERANGE);
	assert_int_equal(vio_device_write_config(&w.dev, 4, bytes, UINT32_MAX), -VIO_ERANGE);
	assert_int_equal(vio_device_write_config(&w.dev, 4, bytes, UINT32_MAX - 3), -VIO_ERANGE);
	assert_int_equal(vio_device_write_config(&w.dev, TOY_CONFIG_BYTES, bytes, 0), 0);
	assert_int_equal(w.toy.counts.set_config, sets);
	vio_device_read_config(&w.dev, 0, got, sizeof(got));
	assert_memory_equal(got, "toy!\0\0\0\0", 8); /* what isn't writable stayed */
	assert_memory_equal(got + TOY_CONFIG_WRITABLE, bytes, TOY_CONFIG_WRITABLE_BYTES);
	/* One byte of it, the others as they were. */
	assert_int_equal(vio_device_write_config(&w.dev, TOY_CONFIG_WRITABLE + 3, "z", 1), 0);
	vio_device_read_config(&w.dev, TOY_CONFIG_WRITABLE, got, 8);
	assert_memory_equal(got, "wwwzwwww", 8);
	toy_close(&w);
}

static void test_config_generation(void **state)
{
	struct toy_world w;
	uint32_t generation;
	uint8_t byte;

	toy_open(&w);
	vio_device_config_changed(&w.dev);
	assert_int_equal(w.config_interrupts, 0); /* nobody there yet */
	vio_device_write_status(&w.dev, 1);
	vio_device_read_config(&w.dev, 0, &byte, 1);
	generation = w.dev.config_generation;
	vio_device_config_changed(&w.dev);
	assert_int_equal(w.dev.config_generation, generation + 1);
	assert_int_equal(w.config_interrupts, 1);
	/* Nobody read in between: one step for both. */
	vio_device_config_changed(&w.dev);
	assert_int_equal(w.dev.config_generation, generation + 1);
	assert_int_equal(w.config_interrupts, 2);
	vio_device_read_config(&w.dev, 0, &byte, 1);
	vio_device_config_changed(&w.dev);
	assert_int_equal(w.dev.config_generation, generation + 2);
	toy_close(&w);
}

/* spec: DEV-BASIC-002 DEV-BASIC-003 DRV-BASIC-004 */
static void test_needs_reset(void **state)
{
	struct toy_world w;

	toy_open(&w);
	toy_negotiate(&w, 0);
	vio_device_needs_reset(&w.dev);
	assert_int_equal(w.dev.status, TOY_NEGOTIATED | VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_int_equal(w.config_interrupts, 0);
	assert_int_equal(vio_device_write_status(&w.dev, TOY_RUNNING),
			 TOY_NEGOTIATED | VIRTIO_CONFIG_S_NEEDS_RESET);
	vio_device_write_status(&w.dev, 0);
	toy_run(&w, 0);
	vio_device_needs_reset(&w.dev);
	vio_device_needs_reset(&w.dev);
	assert_int_equal(w.config_interrupts, 1);
	assert_int_equal(w.dev.status, TOY_RUNNING | VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_false(vio_device_running(&w.dev));
	toy_request(&w, 0, 0, 1);
	vio_device_kick(&w.dev, 0);
	assert_int_equal(test_ring_used_idx(&w.rings[0]), 0);
	toy_works(&w);
	toy_close(&w);
}

#define SUSPENDED (TOY_NEGOTIATED | VIRTIO_CONFIG_S_SUSPEND)

/* spec: DEV-BASIC-018 DEV-BASIC-019 DEV-BASIC-020 DEV-BASIC-021 DEV-BASIC-022 DEV-BASIC-023 DEV-BASIC-024 */
static void test_suspend(void **state)
{
	const uint8_t byte = 7;
	struct toy_world w;

	toy_open(&w);
	toy_run(&w, UINT64_C(1) << VIRTIO_F_SUSPEND);
	/* What the device has is finished first, and the driver hears of it. */
	w.toy.hold = true;
	toy_request(&w, 0, 0, 5);
	vio_device_kick(&w.dev, 0);
	assert_int_equal(toy_answer(&w, 0, 0), 0);
	w.toy.hold = false;
	assert_int_equal(vio_device_write_status(&w.dev, TOY_RUNNING | VIRTIO_CONFIG_S_SUSPEND), SUSPENDED);
	assert_int_not_equal(toy_answer(&w, 0, 0), 0);
	assert_int_equal(w.interrupts[0], 1);
	/* It stands still. */
	toy_request(&w, 0, 1, 6);
	vio_device_kick(&w.dev, 0);
	assert_int_equal(toy_answer(&w, 0, 1), 0);
	assert_int_equal(vio_device_write_config(&w.dev, TOY_CONFIG_WRITABLE, &byte, 1), 0);
	assert_int_equal(w.toy.writable[0], 0);
	vio_device_config_changed(&w.dev);
	vio_device_config_changed(&w.dev);
	assert_int_equal(w.config_interrupts, 0);
	/* hostile: A99, twice is once. */
	assert_int_equal(vio_device_write_status(&w.dev, SUSPENDED), SUSPENDED);
	/* And goes on. */
	assert_int_equal(vio_device_write_status(&w.dev, TOY_RUNNING | VIRTIO_CONFIG_S_SUSPEND), TOY_RUNNING);
	assert_int_not_equal(toy_answer(&w, 0, 1), 0);
	assert_int_equal(w.interrupts[0], 2);
	assert_int_equal(w.config_interrupts, 1);
	assert_int_equal(vio_device_write_config(&w.dev, TOY_CONFIG_WRITABLE, &byte, 1), 0);
	assert_int_equal(w.toy.writable[0], 7);
	vio_device_write_status(&w.dev, TOY_RUNNING | VIRTIO_CONFIG_S_SUSPEND);
	vio_device_config_changed(&w.dev);
	toy_works(&w);
	assert_int_equal(w.config_interrupts, 1);
	toy_close(&w);
}

/* spec: DEV-BASIC-017; hostile: A99, before there is anything to suspend, or where nobody asked for it. */
static void test_suspend_too_early(void **state)
{
	struct toy_world w;

	toy_open(&w);
	toy_negotiate(&w, UINT64_C(1) << VIRTIO_F_SUSPEND);
	assert_int_equal(vio_device_write_status(&w.dev, SUSPENDED), TOY_NEGOTIATED);
	vio_device_write_status(&w.dev, 0);
	toy_run(&w, 0);
	assert_int_equal(vio_device_write_status(&w.dev, TOY_RUNNING | VIRTIO_CONFIG_S_SUSPEND), TOY_RUNNING);
	toy_close(&w);
}

/* What is suspended is saved and loaded so; a status that can't be is not. hostile: G2 */
static void test_suspended_is_saved(void **state)
{
	struct toy_world w;
	uint8_t blob[1024];
	size_t bytes;

	toy_open(&w);
	toy_run(&w, UINT64_C(1) << VIRTIO_F_SUSPEND);
	vio_device_write_status(&w.dev, TOY_RUNNING | VIRTIO_CONFIG_S_SUSPEND);
	toy_request(&w, 0, 0, 5);
	bytes = vio_device_save(&w.dev, blob, sizeof(blob));
	assert_in_range(bytes, 1, sizeof(blob));
	vio_device_reset(&w.dev);
	assert_int_equal(vio_device_load(&w.dev, blob, bytes), 0);
	assert_int_equal(w.dev.status, SUSPENDED);
	vio_device_kick(&w.dev, 0);
	assert_int_equal(toy_answer(&w, 0, 0), 0);
	assert_int_equal(vio_device_write_status(&w.dev, TOY_RUNNING), TOY_RUNNING);
	assert_int_not_equal(toy_answer(&w, 0, 0), 0);
	toy_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_realize_refuses),
		cmocka_unit_test(test_properties),
		cmocka_unit_test(test_offer),
		cmocka_unit_test(test_features_negotiated),
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_driver_ok_without_features_ok),
		cmocka_unit_test(test_features_change_too_late),
		cmocka_unit_test(test_failed_then_on),
		cmocka_unit_test(test_config_reads),
		cmocka_unit_test(test_config_writes),
		cmocka_unit_test(test_config_generation),
		cmocka_unit_test(test_needs_reset),
		cmocka_unit_test(test_suspend),
		cmocka_unit_test(test_suspend_too_early),
		cmocka_unit_test(test_suspended_is_saved),
	};

	return cmocka_run_group_tests_name("device core", tests, NULL, NULL);
}
