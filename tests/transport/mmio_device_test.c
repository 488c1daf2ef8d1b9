/* SPDX-License-Identifier: BSD-3-Clause */
#include "transport/mmio_bench.h"

/* The register model of version 2, poked by hand. */

static int setup(void **state)
{
	static struct bench bench;

	bench_make(&bench, VIRTIO_MMIO_VERSION_MODERN);
	*state = &bench;
	return 0;
}

static int teardown(void **state)
{
	bench_free(*state);
	return 0;
}

/* spec: DEV-MMIO-001 DEV-MMIO-002 */
static void says_who_it_is(void **state)
{
	struct bench *b = *state;

	assert_int_equal(bench_get(b, VIRTIO_MMIO_MAGIC_VALUE), 0x74726976);
	assert_string_equal(b->last.name, "MagicValue");
	assert_int_equal(bench_get(b, VIRTIO_MMIO_VERSION), 2);
	assert_int_equal(bench_get(b, VIRTIO_MMIO_DEVICE_ID), 62);
	assert_int_equal(bench_get(b, VIRTIO_MMIO_VENDOR_ID), 0x4f495658);
	assert_int_equal(b->last.value, 0x4f495658);
	assert_false(b->last.write);
}

/* spec: DEV-BASIC-025 DEV-BASIC-030 DEV-BASIC-007 */
static void features_come_in_words(void **state)
{
	struct bench *b = *state;
	uint32_t words[6];

	for (uint32_t word = 0; word < 6; word++) {
		bench_set(b, VIRTIO_MMIO_DEVICE_FEATURES_SEL, word);
		words[word] = bench_get(b, VIRTIO_MMIO_DEVICE_FEATURES);
	}
	assert_int_equal(words[0], 1u << FEATURE | 1u << VIRTIO_F_INDIRECT_DESC | 1u << VIRTIO_F_EVENT_IDX);
	assert_int_equal(words[1], 1u << (VIRTIO_F_VERSION_1 - 32) | 1u << (VIRTIO_F_RING_PACKED - 32) |
					   1u << (VIRTIO_F_RING_RESET - 32) | 1u << (VIRTIO_F_SUSPEND - 32));
	assert_int_equal(words[2], 1u << (HIGH_FEATURE - 64));
	assert_int_equal(words[3] | words[4] | words[5], 0);
	bench_set(b, VIRTIO_MMIO_DEVICE_FEATURES_SEL, UINT32_MAX);
	assert_int_equal(bench_get(b, VIRTIO_MMIO_DEVICE_FEATURES), 0);

	bench_set(b, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 2);
	bench_set(b, VIRTIO_MMIO_DRIVER_FEATURES, 1u << (HIGH_FEATURE - 64));
	bench_set(b, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 4);
	bench_set_ignored(b, VIRTIO_MMIO_DRIVER_FEATURES, UINT32_MAX);
	bench_negotiate(b, VERSION_1 | 1u << FEATURE);
	assert_int_equal(bench_get(b, VIRTIO_MMIO_STATUS), ALL_DONE);
	assert_true(vio_device_has_feature(&b->parrot.device, HIGH_FEATURE));
	assert_true(vio_device_has_feature(&b->parrot.device, FEATURE));
	/* hostile: A90 */
	bench_set_ignored(b, VIRTIO_MMIO_DRIVER_FEATURES, 0);
	assert_true(vio_device_has_feature(&b->parrot.device, FEATURE));
}

/* spec: DEV-BASIC-006; hostile: A88 */
static void features_not_offered_are_refused(void **state)
{
	static const uint64_t wrong[] = { 0, 1u << FEATURE, VERSION_1 | 1, VERSION_1 | UINT64_C(1) << 37,
					  UINT64_MAX };
	struct bench *b = *state;

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(wrong); i++) {
		bench_negotiate(b, wrong[i]);
		assert_int_equal(bench_get(b, VIRTIO_MMIO_STATUS), 3);
		bench_set(b, VIRTIO_MMIO_STATUS, 3 | VIRTIO_CONFIG_S_DRIVER_OK);
		assert_int_equal(bench_get(b, VIRTIO_MMIO_STATUS), 3);
		bench_set_ignored(b, VIRTIO_MMIO_STATUS, 0x100);
		bench_set_ignored(b, VIRTIO_MMIO_STATUS, 0xffffff00);
		assert_int_equal(bench_get(b, VIRTIO_MMIO_STATUS), 3);
		bench_set(b, VIRTIO_MMIO_STATUS, 0);
		assert_int_equal(bench_get(b, VIRTIO_MMIO_STATUS), 0);
	}
	bench_bring_up(b, 0);
	bench_works(b);
}

static const uint32_t queue_registers[] = {
	VIRTIO_MMIO_QUEUE_SIZE_MAX,    VIRTIO_MMIO_QUEUE_SIZE,       VIRTIO_MMIO_QUEUE_READY,
	VIRTIO_MMIO_QUEUE_DESC_LOW,    VIRTIO_MMIO_QUEUE_DESC_HIGH,  VIRTIO_MMIO_QUEUE_DRIVER_LOW,
	VIRTIO_MMIO_QUEUE_DRIVER_HIGH, VIRTIO_MMIO_QUEUE_DEVICE_LOW, VIRTIO_MMIO_QUEUE_DEVICE_HIGH,
	VIRTIO_MMIO_QUEUE_RESET,
};

/* hostile: A79 */
static void queues_that_are_not_there_are_nothing(void **state)
{
	static const uint32_t selections[] = { QUEUES, 0xffff, 0x10000, 0x80000000, UINT32_MAX };
	struct bench *b = *state;

	bench_bring_up(b, RING_RESET);
	for (unsigned s = 0; s < VIO_ARRAY_SIZE(selections); s++) {
		bench_set(b, VIRTIO_MMIO_QUEUE_SEL, selections[s]);
		for (unsigned i = 0; i < VIO_ARRAY_SIZE(queue_registers); i++) {
			assert_int_equal(bench_get(b, queue_registers[i]), 0);
			bench_set(b, queue_registers[i], 1);
			assert_int_not_equal(b->last.outcome, VIO_MMIO_DONE);
			assert_int_equal(bench_get(b, queue_registers[i]), 0);
		}
	}
	bench_works(b);
}

/* hostile: A80 */
static void sizes_that_are_none_are_refused(void **state)
{
	static const uint32_t wrong[] = { 0,       3,       QUEUE_SIZE + 1, QUEUE_SIZE * 2,
					  0x10000, 0x10001, 0x10008,        UINT32_MAX };
	struct bench *b = *state;

	bench_negotiate(b, VERSION_1);
	parrot_make_rings(&b->parrot, 0);
	bench_write_good_addresses(b);
	assert_int_equal(bench_get(b, VIRTIO_MMIO_QUEUE_SIZE_MAX), QUEUE_SIZE);
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(wrong); i++) {
		bench_set_ignored(b, VIRTIO_MMIO_QUEUE_SIZE, wrong[i]);
		bench_set_ignored(b, VIRTIO_MMIO_QUEUE_READY, 1);
		assert_int_equal(bench_get(b, VIRTIO_MMIO_QUEUE_READY), 0);
		assert_false(b->parrot.device.queues[0].running);
	}
	bench_set(b, VIRTIO_MMIO_QUEUE_SIZE, QUEUE_SIZE);
	bench_set(b, VIRTIO_MMIO_QUEUE_READY, 1);
	assert_int_equal(bench_get(b, VIRTIO_MMIO_QUEUE_READY), 1);
}

/* hostile: A81 A82 A83 */
static void a_queue_that_is_ready_stays_as_it_is(void **state)
{
	struct bench *b = *state;

	bench_bring_up(b, 0);
	bench_set_ignored(b, VIRTIO_MMIO_QUEUE_SIZE, 4);
	bench_set_ignored(b, VIRTIO_MMIO_QUEUE_DESC_LOW, 0);
	bench_set_ignored(b, VIRTIO_MMIO_QUEUE_DEVICE_HIGH, 1);
	bench_set_ignored(b, VIRTIO_MMIO_QUEUE_READY, 1);
	bench_set_ignored(b, VIRTIO_MMIO_QUEUE_READY, 2);
	bench_set_ignored(b, VIRTIO_MMIO_QUEUE_READY, UINT32_MAX);
	assert_int_equal(b->parrot.device.queues[0].size, QUEUE_SIZE);
	bench_works(b);
	/* spec: DEV-MMIO-007 */
	bench_set(b, VIRTIO_MMIO_QUEUE_READY, 0);
	assert_int_equal(bench_get(b, VIRTIO_MMIO_QUEUE_READY), 0);
	assert_false(b->parrot.device.queues[0].running);
	parrot_add(&b->parrot);
	bench_set_ignored(b, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	assert_int_equal(b->parrot.popped, 1);
	assert_int_equal(b->level, 0);
	bench_set_ignored(b, VIRTIO_MMIO_QUEUE_READY, 0);
	bench_start_queue(b);
	bench_works(b);
}

/* hostile: A75 A77 A78 */
static void rings_in_the_wrong_place_are_refused(void **state)
{
	static const uint64_t wrong[][3] = {
		{ 0, 0, 0 },
		{ BASE + 8, BASE + 0x100, BASE + 0x200 },
		{ BASE, BASE + 0x101, BASE + 0x200 },
		{ BASE, BASE + 0x100, BASE + 0x202 },
		{ BASE, BASE, BASE + 0x200 },
		{ BASE, BASE + 0x100, BASE + 0x100 },
		{ BASE - 16, BASE + 0x100, BASE + 0x200 },
		{ BASE, BASE + 0x100, BASE + MEMORY_BYTES },     /* read-only */
		{ BASE, BASE + 0x100, BASE + MEMORY_BYTES - 4 }, /* half of it */
		{ BASE, BASE + 0x100, UINT64_C(0xfffffffffffffffc) },
		{ UINT64_C(0xfffffffffffffff0), BASE + 0x100, BASE + 0x200 },
		{ BASE | UINT64_C(1) << 32, BASE + 0x100, BASE + 0x200 },
	};
	struct bench *b = *state;

	bench_set_ignored(b, VIRTIO_MMIO_QUEUE_READY, 1); /* before FEATURES_OK */
	bench_negotiate(b, VERSION_1);
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(wrong); i++) {
		bench_write_addresses(b, wrong[i][0], wrong[i][1], wrong[i][2]);
		bench_set_ignored(b, VIRTIO_MMIO_QUEUE_READY, 1);
		assert_int_equal(bench_get(b, VIRTIO_MMIO_QUEUE_READY), 0);
		assert_int_equal(b->faults, i + 1);
	}
	bench_set(b, VIRTIO_MMIO_STATUS, 0);
	bench_bring_up(b, 0);
	bench_works(b);
}

/* spec: DEV-BASIC-001; hostile: A84 A85 A86 */
static void wrong_kicks_do_nothing(void **state)
{
	static const uint32_t wrong[] = { 1, QUEUES, 0xffff, 0x10000, 0x80000000, UINT32_MAX };
	struct bench *b = *state;

	bench_set_ignored(b, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	bench_negotiate(b, VERSION_1);
	bench_start_queue(b);
	parrot_add(&b->parrot);
	bench_set(b, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	assert_int_equal(b->parrot.popped, 0);
	assert_int_equal(b->level, 0);
	bench_set(b, VIRTIO_MMIO_STATUS, ALL_DONE | VIRTIO_CONFIG_S_DRIVER_OK);
	assert_int_equal(b->parrot.popped, 1);
	assert_ptr_equal(vio_drvq_get(&b->parrot.drvq, NULL), b);
	bench_set(b, VIRTIO_MMIO_INTERRUPT_ACK, UINT32_MAX);
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(wrong); i++) {
		parrot_add(&b->parrot);
		bench_set_ignored(b, VIRTIO_MMIO_QUEUE_NOTIFY, wrong[i]);
		assert_int_equal(b->parrot.popped, 1 + i);
		bench_set(b, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
		assert_ptr_equal(vio_drvq_get(&b->parrot.drvq, NULL), b);
	}
}

/* spec: DEV-MMIO-003 DEV-MMIO-004 */
static void the_line_is_high_until_all_is_acknowledged(void **state)
{
	struct bench *b = *state;

	bench_bring_up(b, 0);
	assert_int_equal(bench_get(b, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
	parrot_add(&b->parrot);
	bench_set(b, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	vio_device_config_changed(&b->parrot.device);
	assert_int_equal(b->level, 1);
	assert_int_equal(b->raised, 1);
	assert_int_equal(bench_get(b, VIRTIO_MMIO_INTERRUPT_STATUS), 3);
	assert_int_equal(bench_get(b, VIRTIO_MMIO_INTERRUPT_STATUS), 3); /* reading changes nothing */
	bench_set(b, VIRTIO_MMIO_INTERRUPT_ACK, 0xfffffffc);
	assert_int_equal(bench_get(b, VIRTIO_MMIO_INTERRUPT_STATUS), 3);
	bench_set(b, VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_INT_VRING);
	assert_int_equal(bench_get(b, VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_CONFIG);
	assert_int_equal(b->level, 1);
	bench_set(b, VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_INT_CONFIG);
	assert_int_equal(b->level, 0);
	assert_int_equal(b->lowered, 1);
	/* spec: DEV-BASIC-003 */
	vio_device_needs_reset(&b->parrot.device);
	assert_int_equal(bench_get(b, VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_CONFIG);
	assert_true(bench_get(b, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET);
}

/* spec: DEV-MMIO-005 DEV-BASIC-010 DEV-BASIC-011 */
static void reset_forgets_everything(void **state)
{
	struct bench *b = *state;

	bench_bring_up(b, 1u << FEATURE);
	bench_set(b, VIRTIO_MMIO_QUEUE_SEL, 1);
	parrot_add(&b->parrot);
	bench_set(b, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	assert_int_equal(b->level, 1);
	bench_set(b, VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(b->level, 0);
	assert_int_equal(bench_get(b, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
	assert_int_equal(bench_get(b, VIRTIO_MMIO_STATUS), 0);
	for (uint32_t queue = 0; queue < QUEUES; queue++) {
		bench_set(b, VIRTIO_MMIO_QUEUE_SEL, queue);
		assert_int_equal(bench_get(b, VIRTIO_MMIO_QUEUE_READY), 0);
	}
	assert_true(vio_features_empty(b->parrot.device.features_accepted));
	assert_int_equal(b->parrot.resets, 1);
	/* Silent until it is set up again. */
	vio_device_config_changed(&b->parrot.device);
	bench_set_ignored(b, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	assert_int_equal(b->level, 0);
	for (unsigned life = 0; life < 10; life++) {
		bench_bring_up(b, 0);
		bench_works(b);
		bench_set(b, VIRTIO_MMIO_STATUS, 0);
	}
}

/* spec: DEV-MMIO-008 DEV-MMIO-009 DEV-MMIO-010 DEV-MMIO-011 DEV-MMIO-012 DEV-RING-001 DEV-RING-002 */
/* hostile: A97 */
static void a_queue_is_reset_with_buffers_in_flight(void **state)
{
	struct bench *b = *state;

	bench_bring_up(b, RING_RESET);
	assert_int_equal(bench_get(b, VIRTIO_MMIO_QUEUE_RESET), 0);
	b->parrot.keep = true;
	parrot_add(&b->parrot);
	bench_set(b, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	assert_int_equal(b->parrot.popped, 1);
	bench_set_ignored(b, VIRTIO_MMIO_QUEUE_RESET, 0);
	bench_set_ignored(b, VIRTIO_MMIO_QUEUE_RESET, 2);
	assert_int_equal(bench_get(b, VIRTIO_MMIO_QUEUE_READY), 1);
	bench_set(b, VIRTIO_MMIO_QUEUE_RESET, 1);
	assert_int_equal(b->last.outcome, VIO_MMIO_DONE);
	assert_int_equal(b->parrot.drained, 1);
	assert_int_equal(bench_get(b, VIRTIO_MMIO_QUEUE_RESET), 0);
	assert_int_equal(bench_get(b, VIRTIO_MMIO_QUEUE_READY), 0);
	/* What it kept comes too late. */
	vio_devq_push(&b->parrot.device.queues[0], &b->parrot.kept, 0);
	vio_devq_notify(&b->parrot.device.queues[0]);
	assert_int_equal(b->level, 0);
	bench_set_ignored(b, VIRTIO_MMIO_QUEUE_READY, 1); /* its addresses are forgotten, too */
	b->parrot.keep = false;
	bench_start_queue(b);
	assert_int_equal(bench_get(b, VIRTIO_MMIO_QUEUE_RESET), 0);
	bench_works(b);
}

/* hostile: A98 */
static void a_queue_is_not_reset_without_the_feature(void **state)
{
	struct bench *b = *state;

	bench_bring_up(b, 0);
	bench_set_ignored(b, VIRTIO_MMIO_QUEUE_RESET, 1);
	assert_int_equal(bench_get(b, VIRTIO_MMIO_QUEUE_READY), 1);
	bench_works(b);
}

/* spec: DEV-BASIC-012; hostile: A100 */
static void configuration_of_every_offset_and_width(void **state)
{
	static const unsigned widths[] = { 1, 2, 4, 8 };
	static const uint64_t far[] = { 0xfffffe00, UINT32_MAX, UINT64_C(0x100000000), UINT64_MAX - 7,
					UINT64_MAX };
	struct bench *b = *state;

	for (unsigned w = 0; w < VIO_ARRAY_SIZE(widths); w++) {
		for (uint32_t offset = 0; offset < CONFIG_BYTES + 8; offset++) {
			uint64_t expected = 0, got;

			for (unsigned i = 0; i < widths[w]; i++)
				if (offset + i < CONFIG_BYTES)
					expected |= (uint64_t)b->parrot.config[offset + i] << (8 * i);
			got = vio_mmio_device_read(&b->model, VIRTIO_MMIO_CONFIG + offset, widths[w]);
			assert_int_equal(got, expected);
			assert_int_equal(b->last.outcome,
					 offset < CONFIG_BYTES ? VIO_MMIO_DONE : VIO_MMIO_NO_REGISTER);
			vio_mmio_device_write(&b->model, VIRTIO_MMIO_CONFIG + offset, widths[w], ~expected);
			got = vio_mmio_device_read(&b->model, VIRTIO_MMIO_CONFIG + offset, widths[w]);
			if (offset + widths[w] <= CONFIG_BYTES) {
				assert_int_equal(
					got, widths[w] < 8 ? ~expected & ((UINT64_C(1) << widths[w] * 8) - 1)
							   : ~expected);
				assert_int_equal(b->last.outcome, VIO_MMIO_DONE);
			} else {
				assert_int_equal(got, expected);
			}
		}
		for (unsigned i = 0; i < VIO_ARRAY_SIZE(far); i++) {
			vio_mmio_device_write(&b->model, far[i], widths[w], UINT64_MAX);
			assert_int_equal(b->last.outcome, VIO_MMIO_NO_REGISTER);
			assert_int_equal(vio_mmio_device_read(&b->model, far[i], widths[w]), 0);
		}
	}
	for (unsigned width = 0; width < 20; width++) {
		if (width == 1 || width == 2 || width == 4 || width == 8)
			continue;
		assert_int_equal(vio_mmio_device_read(&b->model, VIRTIO_MMIO_CONFIG, width), 0);
		assert_int_equal(b->last.outcome, VIO_MMIO_BAD_WIDTH);
		vio_mmio_device_write(&b->model, VIRTIO_MMIO_CONFIG, width, 0);
		assert_int_equal(b->last.outcome, VIO_MMIO_BAD_WIDTH);
	}
}

/* spec: DEV-MMIO-006 */
static void the_generation_counts_changes(void **state)
{
	struct bench *b = *state;
	uint32_t before = bench_get(b, VIRTIO_MMIO_CONFIG_GENERATION);

	vio_mmio_device_read(&b->model, VIRTIO_MMIO_CONFIG, 4);
	assert_int_equal(bench_get(b, VIRTIO_MMIO_CONFIG_GENERATION), before);
	vio_device_config_changed(&b->parrot.device);
	assert_int_not_equal(bench_get(b, VIRTIO_MMIO_CONFIG_GENERATION), before);
}

static void registers_are_where_the_standard_has_them(void **state)
{
	bench_check_registers(*state, 1);
}

static void there_is_no_shared_memory_region(void **state)
{
	struct bench *b = *state;

	for (uint32_t id = 0; id < 300; id++) {
		bench_set(b, VIRTIO_MMIO_SHM_SEL, id);
		for (uint32_t offset = VIRTIO_MMIO_SHM_LEN_LOW; offset <= VIRTIO_MMIO_SHM_BASE_HIGH;
		     offset += 4)
			assert_int_equal(bench_get(b, offset), UINT32_MAX);
	}
}

/* More than one kick's worth: the owner is told, and run() goes on. hostile: A55 */
static void a_queue_that_never_ends_does_not_hold_the_thread(void **state)
{
	struct bench *b = *state;
	unsigned rounds = 0;

	bench_bring_up(b, 0);
	b->parrot.device.queues[0].budget = 0;
	b->parrot.keep = false;
	assert_false(vio_mmio_device_run(&b->model));
	/* The budget is the core's; what is tested here is the way back. */
	b->model.config.queues[0].again = true;
	parrot_add(&b->parrot);
	assert_int_equal(b->parrot.popped, 0);
	while (vio_mmio_device_run(&b->model))
		rounds++;
	assert_int_equal(b->parrot.popped, 1);
	assert_int_equal(rounds, 0);
	b->parrot.device.events->kick_again(b->parrot.device.events_context, 0);
	assert_int_equal(b->work, 1);
	assert_true(b->queues[0].again);
	bench_set(b, VIRTIO_MMIO_STATUS, 0);
	assert_false(b->queues[0].again);
}

static void survives_a_mad_driver(void **state)
{
	bench_mad_driver(*state, VIRTIO_MMIO_VERSION_MODERN);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(says_who_it_is),
		TEST(features_come_in_words),
		TEST(features_not_offered_are_refused),
		TEST(queues_that_are_not_there_are_nothing),
		TEST(sizes_that_are_none_are_refused),
		TEST(a_queue_that_is_ready_stays_as_it_is),
		TEST(rings_in_the_wrong_place_are_refused),
		TEST(wrong_kicks_do_nothing),
		TEST(the_line_is_high_until_all_is_acknowledged),
		TEST(reset_forgets_everything),
		TEST(a_queue_is_reset_with_buffers_in_flight),
		TEST(a_queue_is_not_reset_without_the_feature),
		TEST(configuration_of_every_offset_and_width),
		TEST(the_generation_counts_changes),
		TEST(registers_are_where_the_standard_has_them),
		TEST(there_is_no_shared_memory_region),
		TEST(a_queue_that_never_ends_does_not_hold_the_thread),
		TEST(survives_a_mad_driver),
	};

	return cmocka_run_group_tests_name("transport-mmio-device", tests, NULL, NULL);
}
