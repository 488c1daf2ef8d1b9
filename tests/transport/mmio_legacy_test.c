/* SPDX-License-Identifier: BSD-3-Clause */
#include "transport/mmio_bench.h"

/* The register model of version 1, poked by hand. */

static int setup(void **state)
{
	static struct bench bench;

	bench_make(&bench, VIRTIO_MMIO_VERSION_LEGACY);
	*state = &bench;
	return 0;
}

static int teardown(void **state)
{
	bench_free(*state);
	return 0;
}

/* spec: BOTH-BASIC-001 BOTH-BASIC-MAY-001 DEV-BASIC-009 DEV-BASIC-015 DEV-BASIC-016 DEV-BASIC-032 */
static void a_legacy_driver_needs_no_steps(void **state)
{
	struct bench *b = *state;

	assert_int_equal(bench_get(b, VIRTIO_MMIO_VERSION), 1);
	vio_mmio_device_write(&b->model, VIRTIO_MMIO_CONFIG, 4, 0x12345678);
	assert_int_equal(vio_mmio_device_read(&b->model, VIRTIO_MMIO_CONFIG, 4), 0x12345678);
	bench_set(b, VIRTIO_MMIO_STATUS, 1);
	bench_set(b, VIRTIO_MMIO_STATUS, 3);
	assert_int_equal(bench_get(b, VIRTIO_MMIO_DEVICE_FEATURES),
			 1u << FEATURE | 1u << VIRTIO_F_INDIRECT_DESC | 1u << VIRTIO_F_EVENT_IDX |
				 1u << VIRTIO_F_ANY_LAYOUT | 1u << VIRTIO_F_NOTIFY_ON_EMPTY);
	bench_set(b, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
	assert_int_equal(bench_get(b, VIRTIO_MMIO_DEVICE_FEATURES), 0);
	/* What wasn't offered is not had. */
	bench_set(b, VIRTIO_MMIO_DRIVER_FEATURES, 1u << FEATURE | 1u << VIRTIO_F_ANY_LAYOUT | 1);
	bench_set(b, VIRTIO_MMIO_GUEST_PAGE_SIZE, 4096);
	parrot_make_rings(&b->parrot, 0);
	bench_legacy_queue(b, 64, BASE / 4096);
	assert_int_equal(bench_get(b, VIRTIO_MMIO_QUEUE_PFN), BASE / 4096);
	assert_int_equal(b->parrot.device.features_accepted.word[0], 1u << FEATURE);
	assert_int_equal(bench_get(b, VIRTIO_MMIO_STATUS), 3); /* no FEATURES_OK to be seen */
	/* Used before DRIVER_OK. */
	bench_works(b);
	assert_int_equal(bench_get(b, VIRTIO_MMIO_STATUS), 3);
	bench_set(b, VIRTIO_MMIO_STATUS, 7);
	assert_int_equal(bench_get(b, VIRTIO_MMIO_STATUS), 7);
	bench_works(b);
	bench_set_ignored(b, VIRTIO_MMIO_QUEUE_PFN, 1); /* hostile: A82 */
	bench_set_ignored(b, VIRTIO_MMIO_QUEUE_ALIGN, 4096);
	bench_works(b);
	bench_set(b, VIRTIO_MMIO_QUEUE_PFN, 0);
	assert_int_equal(bench_get(b, VIRTIO_MMIO_QUEUE_PFN), 0);
	assert_false(b->parrot.device.queues[0].running);
	parrot_make_rings(&b->parrot, 0);
	bench_legacy_queue(b, 64, BASE / 4096);
	bench_works(b);
	bench_set(b, VIRTIO_MMIO_STATUS, 0);
	bench_set(b, VIRTIO_MMIO_QUEUE_SEL, 0);
	assert_int_equal(bench_get(b, VIRTIO_MMIO_QUEUE_PFN), 0);
}

/* The place of the device area follows from the alignment. */
static void the_legacy_layout_follows_the_alignment(void **state)
{
	static const uint32_t aligns[] = { 4, 64, 4096, 0x8000 };
	struct bench *b = *state;

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(aligns); i++) {
		uint32_t end = 16 * QUEUE_SIZE + 6 + 2 * QUEUE_SIZE, align = aligns[i];

		bench_set(b, VIRTIO_MMIO_STATUS, 3);
		bench_set(b, VIRTIO_MMIO_GUEST_PAGE_SIZE, 4096);
		bench_legacy_queue(b, align, BASE / 4096);
		assert_int_equal(bench_get(b, VIRTIO_MMIO_QUEUE_PFN), BASE / 4096);
		assert_int_equal(b->queues[0].area[2], BASE + (end + align - 1) / align * align);
		bench_set(b, VIRTIO_MMIO_STATUS, 0);
	}
}

/* hostile: A80 A103 */
static void legacy_pages_and_alignments_that_are_none(void **state)
{
	static const uint32_t wrong[] = { 0, 3, 4095, UINT32_MAX };
	struct bench *b = *state;

	bench_set(b, VIRTIO_MMIO_STATUS, 3);
	bench_legacy_queue(b, 4096, BASE / 4096); /* without a page size */
	assert_int_equal(b->last.outcome, VIO_MMIO_IGNORED);
	assert_int_equal(bench_get(b, VIRTIO_MMIO_QUEUE_PFN), 0);
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(wrong); i++) {
		bench_set_ignored(b, VIRTIO_MMIO_GUEST_PAGE_SIZE, wrong[i]);
		bench_legacy_queue(b, 4096, BASE / 4096);
		assert_int_equal(b->last.outcome, VIO_MMIO_IGNORED);
	}
	bench_set(b, VIRTIO_MMIO_GUEST_PAGE_SIZE, 4096);
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(wrong); i++) {
		bench_legacy_queue(b, wrong[i], BASE / 4096);
		assert_int_equal(b->last.outcome, VIO_MMIO_IGNORED);
	}
	bench_legacy_queue(b, 0x80000000, BASE / 4096); /* outside of memory */
	assert_int_equal(b->last.outcome, VIO_MMIO_IGNORED);
	bench_legacy_queue(b, 4096, UINT32_MAX);
	assert_int_equal(b->last.outcome, VIO_MMIO_IGNORED);
	bench_set(b, VIRTIO_MMIO_GUEST_PAGE_SIZE, 0x80000000);
	bench_set(b, VIRTIO_MMIO_QUEUE_PFN, UINT32_MAX);
	assert_int_equal(b->last.outcome, VIO_MMIO_IGNORED);
	bench_set(b, VIRTIO_MMIO_GUEST_PAGE_SIZE, 4096);
	bench_set_ignored(b, VIRTIO_MMIO_QUEUE_SIZE, 3);
	bench_set(b, VIRTIO_MMIO_QUEUE_PFN, BASE / 4096);
	assert_int_equal(b->last.outcome, VIO_MMIO_IGNORED);
	bench_set(b, VIRTIO_MMIO_QUEUE_SEL, UINT32_MAX);
	bench_set_ignored(b, VIRTIO_MMIO_QUEUE_PFN, BASE / 4096);
	bench_set_ignored(b, VIRTIO_MMIO_QUEUE_PFN, 0);
	assert_int_equal(bench_get(b, VIRTIO_MMIO_QUEUE_PFN), 0);
}

static void legacy_registers_are_where_they_were(void **state)
{
	bench_check_registers(*state, 2);
}

static void survives_a_mad_legacy_driver(void **state)
{
	bench_mad_driver(*state, VIRTIO_MMIO_VERSION_LEGACY);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(legacy_registers_are_where_they_were),
		TEST(a_legacy_driver_needs_no_steps),
		TEST(the_legacy_layout_follows_the_alignment),
		TEST(legacy_pages_and_alignments_that_are_none),
		TEST(survives_a_mad_legacy_driver),
	};

	return cmocka_run_group_tests_name("transport-mmio-legacy", tests, NULL, NULL);
}
