/* SPDX-License-Identifier: BSD-3-Clause */
#include "transport/pci_bench.h"

#include <string.h>

/* MSI-X, and the window through which configuration accesses reach the BARs. */

#define ENABLE PCI_MSIX_CONTROL_ENABLE
#define MASK   PCI_MSIX_CONTROL_MASK

static struct bench bench;

static int setup(void **state)
{
	bench_make(&bench, &(struct bench_options){ .vectors = VECTORS });
	*state = &bench;
	return 0;
}

static int teardown(void **state)
{
	bench_free(*state);
	return 0;
}

static void use_buffer(struct bench *b)
{
	parrot_add(&b->parrot);
	bench_notify(b, 0);
	assert_ptr_equal(vio_drvq_get(&b->parrot.drvq, NULL), b);
}

static uint32_t pending(struct bench *b)
{
	return bench_get(b, b->model.layout.pba, 4);
}

static void map_queue(struct bench *b, uint16_t vector)
{
	bench_set(b, VIRTIO_PCI_COMMON_Q_SELECT, 2, 0);
	bench_set(b, VIRTIO_PCI_COMMON_Q_MSIX, 2, vector);
	assert_int_equal(bench_get(b, VIRTIO_PCI_COMMON_Q_MSIX, 2), vector);
}

/* spec: DEV-PCI-062 DEV-PCI-063 */
static void the_capability_says_how_many(void **state)
{
	struct bench *b = *state;
	unsigned at = bench_capability(b, PCI_CAP_MSIX, 0);
	uint32_t table = bench_config(b, at + PCI_MSIX_TABLE, 4), pba = bench_config(b, at + PCI_MSIX_PBA, 4);

	assert_int_equal(bench_config(b, at + PCI_MSIX_CONTROL, 2), VECTORS - 1);
	assert_int_equal(table & 7, VIO_PCI_MEMORY_BAR);
	assert_int_equal(pba & 7, VIO_PCI_MEMORY_BAR);
	assert_true((pba & ~7u) >= (table & ~7u) + 16 * VECTORS);
	for (unsigned i = 0; i < VECTORS; i++) {
		assert_int_equal(bench_get(b, (table & ~7u) + 16 * i + 12, 4), 1);
		bench_fill_vector(b, i, UINT32_MAX);
		assert_int_equal(bench_get(b, (table & ~7u) + 16 * i, 4), 0xfee01000 + 16 * i);
		assert_int_equal(bench_get(b, (table & ~7u) + 16 * i + 4, 4), i);
		assert_int_equal(bench_get(b, (table & ~7u) + 16 * i + 8, 4), 0x40 + i);
		assert_int_equal(bench_get(b, (table & ~7u) + 16 * i + 12, 4), 1);
		assert_true(vio_pci_device_bar_read(&b->model, VIO_PCI_MEMORY_BAR, (table & ~7u) + 16 * i,
						    8) == ((uint64_t)i << 32 | (0xfee01000 + 16 * i)));
	}
	/* hostile: A101 A102 */
	bench_set(b, table & ~7u, 2, 0);
	bench_assert_outcome(b, VIO_PCI_BAD_WIDTH);
	assert_int_equal(bench_get(b, (table & ~7u) + 1, 4), 0);
	bench_assert_outcome(b, VIO_PCI_BAD_WIDTH);
	bench_set(b, (table & ~7u) + 16 * VECTORS, 4, 1);
	bench_assert_outcome(b, VIO_PCI_NO_REGISTER);
	bench_set(b, pba & ~7u, 4, UINT32_MAX);
	bench_assert_outcome(b, VIO_PCI_READ_ONLY);
	assert_int_equal(pending(b), 0);
}

/* spec: DEV-PCI-065 DEV-PCI-066 DEV-PCI-067 DEV-PCI-068 DEV-PCI-069 DEV-PCI-070 */
static void events_are_mapped_to_vectors(void **state)
{
	struct bench *b = *state;

	for (uint16_t queue = 0; queue <= QUEUES; queue++) {
		uint32_t at = queue < QUEUES ? VIRTIO_PCI_COMMON_Q_MSIX : VIRTIO_PCI_COMMON_MSIX;

		bench_set(b, VIRTIO_PCI_COMMON_Q_SELECT, 2, queue);
		assert_int_equal(bench_get(b, at, 2), NONE);
		for (uint16_t vector = 0; vector < VECTORS; vector++) {
			bench_set(b, at, 2, vector);
			bench_assert_outcome(b, VIO_PCI_DONE);
			assert_int_equal(bench_get(b, at, 2), vector);
		}
		bench_set(b, at, 2, VECTORS);
		bench_assert_outcome(b, VIO_PCI_IGNORED);
		assert_int_equal(bench_get(b, at, 2), NONE);
		bench_set(b, at, 2, 1);
		bench_set(b, at, 2, NONE);
		assert_int_equal(bench_get(b, at, 2), NONE);
		bench_set(b, at, 2, 1);
	}
	bench_set(b, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	assert_int_equal(bench_get(b, VIRTIO_PCI_COMMON_MSIX, 2), NONE);
	assert_int_equal(bench_get(b, VIRTIO_PCI_COMMON_Q_MSIX, 2), NONE);
}

/* spec: DEV-PCI-041 DEV-PCI-042 DEV-PCI-071 DEV-PCI-072 */
static void messages_are_sent_instead_of_the_line(void **state)
{
	struct bench *b = *state;

	for (unsigned i = 0; i < VECTORS; i++)
		bench_fill_vector(b, i, 0);
	bench_msix(b, ENABLE);
	bench_bring_up(b, 0);
	use_buffer(b);
	vio_device_config_changed(&b->parrot.device);
	assert_int_equal(b->messages + b->raised, 0); /* nothing is mapped */
	map_queue(b, 2);
	bench_set(b, VIRTIO_PCI_COMMON_MSIX, 2, 3);
	use_buffer(b);
	assert_int_equal(b->messages, 1);
	assert_true(b->message_address == (UINT64_C(2) << 32 | 0xfee01020));
	assert_int_equal(b->message_data, 0x42);
	vio_device_config_changed(&b->parrot.device);
	assert_int_equal(b->messages, 2);
	assert_int_equal(b->message_data, 0x43);
	assert_int_equal(bench_get(b, bench_structure(b, VIRTIO_PCI_CAP_ISR_CFG), 1), VIRTIO_PCI_ISR_CONFIG);
	/* Without MSI-X it is the line again. */
	bench_msix(b, 0);
	use_buffer(b);
	assert_int_equal(b->messages, 2);
	assert_int_equal(b->level, 1);
	bench_msix(b, ENABLE);
	assert_int_equal(b->level, 0);
	assert_false(bench_config(b, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
}

static void masked_messages_wait(void **state)
{
	struct bench *b = *state;
	uint32_t entry = b->model.layout.table + 16;

	bench_fill_vector(b, 1, 1);
	bench_msix(b, ENABLE);
	bench_bring_up(b, 0);
	map_queue(b, 1);
	use_buffer(b);
	use_buffer(b);
	assert_int_equal(b->messages, 0);
	assert_int_equal(pending(b), 2);
	bench_set(b, entry + 12, 4, 0);
	assert_int_equal(b->messages, 1);
	assert_int_equal(pending(b), 0);
	/* All of the function, and a function that may not write to memory. */
	bench_msix(b, ENABLE | MASK);
	use_buffer(b);
	assert_int_equal(pending(b), 2);
	bench_set_config(b, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	bench_msix(b, ENABLE);
	assert_int_equal(b->messages, 1);
	assert_int_equal(pending(b), 2);
	bench_set_config(b, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(b->messages, 2);
	assert_int_equal(pending(b), 0);
	/* A reset forgets what waited. */
	bench_msix(b, ENABLE | MASK);
	use_buffer(b);
	bench_set(b, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	assert_int_equal(pending(b), 0);
	bench_msix(b, ENABLE);
	assert_int_equal(b->messages, 2);
	assert_int_equal(b->raised, 0);
}

static uint32_t window(struct bench *b, uint8_t bar, uint32_t offset, uint32_t length)
{
	unsigned at = bench_capability(b, PCI_CAP_VENDOR, VIRTIO_PCI_CAP_PCI_CFG);

	bench_set_config(b, at + VIRTIO_PCI_CAP_BAR, 1, bar);
	bench_set_config(b, at + VIRTIO_PCI_CAP_OFFSET, 4, offset);
	bench_set_config(b, at + VIRTIO_PCI_CAP_LENGTH, 4, length);
	return at + VIRTIO_PCI_CFG_CAP_DATA;
}

/* spec: DEV-PCI-044 DEV-PCI-053 DEV-PCI-054 DEV-PCI-055 */
static void the_window_reaches_the_bars(void **state)
{
	struct bench *b = *state;
	unsigned data;

	data = window(b, VIO_PCI_MEMORY_BAR, VIRTIO_PCI_COMMON_NUMQ, 2);
	assert_int_equal(bench_config(b, data, 2), QUEUES);
	bench_set_config(b, PCI_COMMAND, 2, 0); /* before firmware turned the BAR on, too */
	data = window(b, VIO_PCI_MEMORY_BAR, VIRTIO_PCI_COMMON_STATUS, 1);
	bench_set_config(b, data, 1, 1);
	assert_int_equal(b->parrot.device.status, 1);
	assert_int_equal(bench_config(b, data, 1), 1);
	data = window(b, VIO_PCI_MEMORY_BAR, VIRTIO_PCI_COMMON_GFSELECT, 4);
	bench_set_config(b, data, 4, 0x12345678);
	bench_place(b);
	assert_int_equal(bench_get(b, VIRTIO_PCI_COMMON_GFSELECT, 4), 0x12345678);
	bench_set(b, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	bench_bring_up(b, 0);
	use_buffer(b);
	assert_int_equal(b->level, 1);
	data = window(b, VIO_PCI_MEMORY_BAR, bench_structure(b, VIRTIO_PCI_CAP_ISR_CFG), 1);
	assert_int_equal(bench_config(b, data, 1), VIRTIO_PCI_ISR_QUEUE);
	assert_int_equal(b->level, 0);
}

/* hostile: A105 */
static void the_window_is_bounded(void **state)
{
	struct bench *b = *state;
	uint32_t size = (uint32_t)vio_pci_device_bar(&b->model, VIO_PCI_MEMORY_BAR).size;
	static const uint32_t lengths[] = { 0, 3, 5, 8, 0x80000000, UINT32_MAX };
	unsigned data, bar;

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(lengths); i++) {
		data = window(b, VIO_PCI_MEMORY_BAR, 0, lengths[i]);
		bench_config(b, data, 4);
		bench_assert_outcome(b, VIO_PCI_IGNORED);
		bench_set_config(b, data, 4, 1);
		bench_assert_outcome(b, VIO_PCI_IGNORED);
	}
	for (bar = 0; bar < 256; bar++) {
		data = window(b, (uint8_t)bar, 0, 4);
		bench_config(b, data, 4);
		bench_assert_outcome(b, bar == VIO_PCI_MEMORY_BAR ? VIO_PCI_DONE : VIO_PCI_IGNORED);
	}
	window(b, VIO_PCI_MEMORY_BAR, size, 4);
	bench_config(b, data, 4);
	bench_assert_outcome(b, VIO_PCI_IGNORED);
	window(b, VIO_PCI_MEMORY_BAR, UINT32_MAX, 1);
	bench_config(b, data, 4);
	bench_assert_outcome(b, VIO_PCI_IGNORED);
	window(b, VIO_PCI_MEMORY_BAR, 2, 4);
	bench_set_config(b, data, 4, 1);
	bench_assert_outcome(b, VIO_PCI_IGNORED);
}

/* A driver out of its mind: whatever it writes anywhere, the device works again after a reset. */
static void survives_a_mad_driver(void **state)
{
	struct bench *b = *state;
	uint64_t seed = 0x5eed;

	for (unsigned round = 0; round < 100; round++) {
		for (unsigned i = 0; i < 500; i++) {
			unsigned width = parrot_random(&seed) % 5 ? 2 : 1u << parrot_random(&seed) % 4;
			uint64_t value = parrot_random(&seed);
			uint32_t offset = (uint32_t)parrot_random(&seed) % (i % 3 ? 0x40 : 0x6000);

			if (parrot_random(&seed) % 3)
				value %= 16;
			else if (parrot_random(&seed) % 2)
				value = BASE + value % MEMORY_BYTES / 64 * 64;
			if (parrot_random(&seed) % 4 == 0)
				vio_pci_device_config_write(&b->model, (unsigned)parrot_random(&seed) % 256,
							    width, (uint32_t)value);
			vio_pci_device_bar_write(&b->model, VIO_PCI_MEMORY_BAR, offset / width * width, width,
						 value);
			vio_pci_device_bar_read(&b->model, (unsigned)parrot_random(&seed) % 8, offset, width);
			vio_pci_device_config_read(&b->model, (unsigned)parrot_random(&seed) % 260, width);
			b->parrot.memory[parrot_random(&seed) % MEMORY_BYTES] = (uint8_t)parrot_random(&seed);
			vio_pci_device_run(&b->model);
		}
		bench_msix(b, 0);
		bench_place(b);
		bench_set(b, VIRTIO_PCI_COMMON_STATUS, 1, 0);
		assert_int_equal(b->level, 0);
		bench_bring_up(b, 0);
		use_buffer(b);
		assert_int_equal(b->level, 1);
		bench_set(b, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_capability_says_how_many, setup, teardown),
		cmocka_unit_test_setup_teardown(events_are_mapped_to_vectors, setup, teardown),
		cmocka_unit_test_setup_teardown(messages_are_sent_instead_of_the_line, setup, teardown),
		cmocka_unit_test_setup_teardown(masked_messages_wait, setup, teardown),
		cmocka_unit_test_setup_teardown(the_window_reaches_the_bars, setup, teardown),
		cmocka_unit_test_setup_teardown(the_window_is_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(survives_a_mad_driver, setup, teardown),
	};

	return cmocka_run_group_tests_name("transport-pci-message", tests, NULL, NULL);
}
