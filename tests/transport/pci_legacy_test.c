/* SPDX-License-Identifier: BSD-3-Clause */
#include "transport/pci_bench.h"

#include <string.h>

/* The legacy ports, of a transitional device and of one that has nothing else. */

static struct bench bench;

static struct bench *made(enum vio_pci_kind kind, uint16_t vectors)
{
	bench_make(&bench, &(struct bench_options){ .kind = kind, .vectors = vectors });
	return &bench;
}

static void use_buffer(struct bench *b)
{
	parrot_add(&b->parrot);
	bench_out(b, VIRTIO_PCI_QUEUE_NOTIFY, 2, 0);
	assert_ptr_equal(vio_drvq_get(&b->parrot.drvq, NULL), b);
}

/* spec: DEV-PCI-007 DEV-PCI-008 DEV-PCI-009 DEV-PCI-056 DEV-PCI-061 */
static void identifies_itself(void **state)
{
	static const struct {
		uint32_t id;
		uint16_t device;
	} ids[] = { { VIRTIO_ID_NET, 0x1000 },     { VIRTIO_ID_BLOCK, 0x1001 }, { VIRTIO_ID_BALLOON, 0x1002 },
		    { VIRTIO_ID_CONSOLE, 0x1003 }, { VIRTIO_ID_SCSI, 0x1004 },  { VIRTIO_ID_RNG, 0x1005 },
		    { VIRTIO_ID_9P, 0x1009 } };

	for (unsigned i = 0; i < 2 * VIO_ARRAY_SIZE(ids); i++) {
		struct bench *b = &bench;

		bench_make(b, &(struct bench_options){ .kind = i % 2 ? VIO_PCI_TRANSITIONAL : VIO_PCI_LEGACY,
						       .id = ids[i / 2].id });
		assert_int_equal(bench_config(b, PCI_VENDOR_ID, 2), 0x1af4);
		assert_int_equal(bench_config(b, PCI_DEVICE_ID, 2), ids[i / 2].device);
		assert_int_equal(bench_config(b, PCI_REVISION_ID, 1), 0);
		assert_int_equal(bench_config(b, PCI_SUBSYSTEM_ID, 2), ids[i / 2].id);
		assert_int_equal(bench_config(b, PCI_BAR, 4), PORT | PCI_BAR_IO);
		assert_int_equal(bench_capability(b, PCI_CAP_VENDOR, VIRTIO_PCI_CAP_COMMON_CFG) != 0, i % 2);
		bench_free(b);
	}
}

static void a_new_type_has_no_transitional_form(void **state)
{
	struct bench *b = made(VIO_PCI_MODERN, 0);
	struct vio_pci_device_config config = b->model.config;

	vio_pci_device_end(&b->model);
	b->parrot.device.id = 62;
	config.kind = VIO_PCI_TRANSITIONAL;
	assert_int_equal(vio_pci_device_init(&b->model, &config), -VIO_ENOTSUP);
	config.kind = VIO_PCI_MODERN;
	config.vectors = PCI_MSIX_VECTORS_MAX + 1;
	assert_int_equal(vio_pci_device_init(&b->model, &config), -VIO_ERANGE);
	config.vectors = 0;
	b->parrot.device.config_bytes = 1u << 30;
	assert_int_equal(vio_pci_device_init(&b->model, &config), -VIO_ERANGE);
	b->parrot.device.config_bytes = CONFIG_BYTES;
	assert_int_equal(vio_pci_device_init(&b->model, &config), 0);
	bench_free(b);
}

/* What the standard's table says, apart from the model's. R 1, W 2. */
static const struct {
	uint32_t offset;
	unsigned width, rights;
} table[] = {
	{ 0, 4, 1 },  { 4, 4, 3 },  { 8, 4, 3 },  { 12, 2, 1 }, { 14, 2, 3 },
	{ 16, 2, 2 }, { 18, 1, 3 }, { 19, 1, 1 }, { 20, 2, 3 }, { 22, 2, 3 },
};

/* hostile: A101 A102 A103 */
static void ports_are_what_the_table_says(void **state)
{
	struct bench *b = made(VIO_PCI_LEGACY, VECTORS);

	bench_msix(b, PCI_MSIX_CONTROL_ENABLE);
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(table); i++) {
		for (uint32_t offset = table[i].offset; offset < table[i].offset + table[i].width; offset++) {
			for (unsigned width = 1; width <= 4; width *= 2) {
				bool proper = offset == table[i].offset && width == table[i].width;

				bench_in(b, offset, width);
				bench_assert_outcome(b, !proper               ? VIO_PCI_BAD_WIDTH
							: table[i].rights & 1 ? VIO_PCI_DONE
									      : VIO_PCI_WRITE_ONLY);
				bench_out(b, offset, width, 0);
				if (!proper)
					bench_assert_outcome(b, VIO_PCI_BAD_WIDTH);
				else if (!(table[i].rights & 2))
					bench_assert_outcome(b, VIO_PCI_READ_ONLY);
				else
					assert_true(b->last.outcome <= VIO_PCI_IGNORED);
			}
		}
	}
	bench_free(b);
}

/* A driver from before 1.0: no FEATURES_OK, no VERSION_1. spec: DEV-PCI-059, DEV-BASIC-009, DEV-BASIC-016 */
static void serves_a_legacy_driver(void **state)
{
	for (unsigned kind = VIO_PCI_TRANSITIONAL; kind <= VIO_PCI_LEGACY; kind++) {
		struct bench *b = made((enum vio_pci_kind)kind, 0);
		uint32_t offer = bench_in(b, VIRTIO_PCI_HOST_FEATURES, 4);

		assert_true(offer & BIT(3));
		assert_true(offer & BIT(VIRTIO_F_ANY_LAYOUT)); /* spec: DEV-BASIC-032 */
		for (unsigned life = 0; life < 3; life++) {
			bench_legacy_bring_up(b, (uint32_t)BIT(3));
			assert_true(vio_device_has_feature(&b->parrot.device, 3));
			assert_false(vio_device_has_feature(&b->parrot.device, VIRTIO_F_VERSION_1));
			use_buffer(b);
			assert_int_equal(b->level, 1);
			assert_int_equal(bench_in(b, VIRTIO_PCI_ISR, 1), VIRTIO_PCI_ISR_QUEUE);
			assert_int_equal(b->level, 0);
			assert_int_equal(bench_in(b, VIRTIO_PCI_ISR, 1), 0);
			bench_out(b, VIRTIO_PCI_STATUS, 1, 0);
			assert_int_equal(bench_in(b, VIRTIO_PCI_STATUS, 1), 0);
			assert_int_equal(bench_in(b, VIRTIO_PCI_QUEUE_PFN, 4), 0);
		}
		bench_free(b);
	}
}

/* The device area lies at the next page: where a driver of today puts it is nobody's business. */
static void rings_are_laid_out_by_pages(void **state)
{
	struct bench *b = made(VIO_PCI_LEGACY, 0);

	bench_legacy_bring_up(b, 0);
	assert_int_equal(vio_drvq_device_area(&b->parrot.drvq).raw, BASE + 4096);
	use_buffer(b);
	assert_int_equal(b->parrot.memory[4096 + 2], 1); /* idx of the used ring */
	assert_int_equal(b->faults, 0);
	bench_free(b);
}

/* Such a driver may kick before DRIVER_OK. */
static void a_kick_may_come_early(void **state)
{
	struct bench *b = made(VIO_PCI_LEGACY, 0);

	bench_out(b, VIRTIO_PCI_STATUS, 1, 3);
	parrot_make_rings(&b->parrot, VIRTIO_PCI_VRING_ALIGN);
	bench_out(b, VIRTIO_PCI_QUEUE_PFN, 4, BASE >> 12);
	use_buffer(b);
	assert_int_equal(bench_in(b, VIRTIO_PCI_STATUS, 1), 3);
	bench_free(b);
}

/* hostile: A79 A82 A85 A86 A103 */
static void bad_queues_are_ignored(void **state)
{
	struct bench *b = made(VIO_PCI_TRANSITIONAL, 0);

	bench_out(b, VIRTIO_PCI_STATUS, 1, 3);
	bench_out(b, VIRTIO_PCI_QUEUE_SEL, 2, QUEUES);
	assert_int_equal(bench_in(b, VIRTIO_PCI_QUEUE_NUM, 2), 0);
	bench_out(b, VIRTIO_PCI_QUEUE_PFN, 4, BASE >> 12);
	bench_assert_outcome(b, VIO_PCI_IGNORED);
	assert_int_equal(bench_in(b, VIRTIO_PCI_QUEUE_PFN, 4), 0);
	bench_out(b, VIRTIO_PCI_QUEUE_SEL, 2, 0);
	bench_out(b, VIRTIO_PCI_QUEUE_PFN, 4, UINT32_MAX); /* nowhere in memory */
	assert_int_equal(bench_in(b, VIRTIO_PCI_QUEUE_PFN, 4), 0);
	assert_int_equal(b->faults, 1);
	bench_legacy_bring_up(b, 0);
	bench_out(b, VIRTIO_PCI_QUEUE_PFN, 4, (BASE >> 12) + 1);
	bench_assert_outcome(b, VIO_PCI_IGNORED);
	assert_int_equal(bench_in(b, VIRTIO_PCI_QUEUE_PFN, 4), BASE >> 12);
	use_buffer(b);
	bench_out(b, VIRTIO_PCI_QUEUE_NOTIFY, 2, QUEUES);
	bench_assert_outcome(b, VIO_PCI_IGNORED);
	bench_out(b, VIRTIO_PCI_QUEUE_NOTIFY, 2, 0xffff);
	bench_assert_outcome(b, VIO_PCI_IGNORED);
	bench_out(b, VIRTIO_PCI_QUEUE_PFN, 4, 0);
	assert_int_equal(bench_in(b, VIRTIO_PCI_QUEUE_PFN, 4), 0);
	bench_out(b, VIRTIO_PCI_QUEUE_NOTIFY, 2, 0);
	bench_assert_outcome(b, VIO_PCI_IGNORED);
	bench_free(b);
}

/* Who began with one interface can't go on with the other. hostile: A94 A103 */
static void interfaces_do_not_mix(void **state)
{
	struct bench *b = made(VIO_PCI_TRANSITIONAL, 0);

	bench_legacy_bring_up(b, 0);
	bench_set(b, VIRTIO_PCI_COMMON_STATUS, 1, ALL_DONE);
	bench_assert_outcome(b, VIO_PCI_IGNORED);
	bench_set(b, VIRTIO_PCI_COMMON_GF, 4, 1);
	bench_assert_outcome(b, VIO_PCI_IGNORED);
	bench_set(b, VIRTIO_PCI_COMMON_Q_SELECT, 2, 1);
	bench_set(b, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	bench_assert_outcome(b, VIO_PCI_IGNORED);
	bench_notify(b, 0);
	bench_assert_outcome(b, VIO_PCI_IGNORED);
	use_buffer(b);
	bench_set(b, VIRTIO_PCI_COMMON_STATUS, 1, 0); /* a reset is for everybody */
	assert_int_equal(bench_in(b, VIRTIO_PCI_STATUS, 1), 0);
	bench_bring_up(b, 0);
	bench_out(b, VIRTIO_PCI_STATUS, 1, 0x80);
	bench_assert_outcome(b, VIO_PCI_IGNORED);
	bench_out(b, VIRTIO_PCI_GUEST_FEATURES, 4, 1);
	bench_assert_outcome(b, VIO_PCI_IGNORED);
	bench_out(b, VIRTIO_PCI_QUEUE_PFN, 4, 0);
	bench_assert_outcome(b, VIO_PCI_IGNORED);
	bench_out(b, VIRTIO_PCI_QUEUE_NOTIFY, 2, 0);
	bench_assert_outcome(b, VIO_PCI_IGNORED);
	assert_int_equal(b->parrot.device.status, ALL_DONE | DRIVER_OK);
	bench_free(b);
}

/* spec: DEV-PCI-057 DEV-PCI-058; hostile: A100 */
static void the_configuration_follows_the_header(void **state)
{
	struct bench *b = made(VIO_PCI_TRANSITIONAL, VECTORS);

	for (unsigned header = 20; header <= 24; header += 4) {
		bench_msix(b, header == 24 ? PCI_MSIX_CONTROL_ENABLE : 0);
		for (uint32_t at = 0; at < 64 - header; at++)
			for (unsigned width = 1; width <= 4; width *= 2) {
				uint32_t value = bench_in(b, header + at, width);

				for (unsigned i = 0; i < width; i++)
					assert_int_equal(value >> (8 * i) & 0xff,
							 at + i < CONFIG_BYTES ? 0x11 * (at + i + 1) : 0);
			}
	}
	bench_out(b, 24 + 5, 1, 0x5a);
	assert_int_equal(bench_in(b, 24 + 4, 4), 0x88775a55);
	bench_out(b, 24 + CONFIG_BYTES, 1, 1);
	bench_assert_outcome(b, VIO_PCI_NO_REGISTER);
	assert_int_equal(bench_in(b, 64, 1), 0xff);
	bench_assert_outcome(b, VIO_PCI_NOT_DECODED);
	bench_free(b);
}

/* spec: DEV-PCI-041 DEV-PCI-065 DEV-PCI-070 */
static void messages_work_too(void **state)
{
	struct bench *b = made(VIO_PCI_LEGACY, VECTORS);

	for (unsigned i = 0; i < VECTORS; i++)
		bench_fill_vector(b, i, 0);
	bench_msix(b, PCI_MSIX_CONTROL_ENABLE);
	bench_legacy_bring_up(b, 0);
	bench_out(b, VIRTIO_MSI_CONFIG_VECTOR, 2, 1);
	assert_int_equal(bench_in(b, VIRTIO_MSI_CONFIG_VECTOR, 2), 1);
	bench_out(b, VIRTIO_MSI_QUEUE_VECTOR, 2, VECTORS);
	assert_int_equal(bench_in(b, VIRTIO_MSI_QUEUE_VECTOR, 2), NONE);
	bench_out(b, VIRTIO_MSI_QUEUE_VECTOR, 2, 3);
	use_buffer(b);
	assert_int_equal(b->messages, 1);
	assert_int_equal(b->message_data, 0x43);
	vio_device_config_changed(&b->parrot.device);
	assert_int_equal(b->message_data, 0x41);
	assert_int_equal(b->raised, 0);
	bench_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(identifies_itself),
		cmocka_unit_test(a_new_type_has_no_transitional_form),
		cmocka_unit_test(ports_are_what_the_table_says),
		cmocka_unit_test(serves_a_legacy_driver),
		cmocka_unit_test(rings_are_laid_out_by_pages),
		cmocka_unit_test(a_kick_may_come_early),
		cmocka_unit_test(bad_queues_are_ignored),
		cmocka_unit_test(interfaces_do_not_mix),
		cmocka_unit_test(the_configuration_follows_the_header),
		cmocka_unit_test(messages_work_too),
	};

	return cmocka_run_group_tests_name("transport-pci-legacy", tests, NULL, NULL);
}
