/* SPDX-License-Identifier: BSD-3-Clause */
#include "transport/pci_bench.h"

#include <string.h>

/* The register model of a modern device, poked by hand. */

static struct bench bench;

static struct bench *made(const struct bench_options *options)
{
	bench_make(&bench, options);
	return &bench;
}

static struct bench *modern(void)
{
	return made(&(struct bench_options){ .vectors = VECTORS });
}

/* spec: DEV-PCI-002 DEV-PCI-003 DEV-PCI-004 DEV-PCI-005 DEV-PCI-006 */
static void identifies_itself(void **state)
{
	struct bench *b = made(&(struct bench_options){ .id = 62 });

	assert_int_equal(bench_config(b, PCI_VENDOR_ID, 2), 0x1af4);
	assert_int_equal(bench_config(b, PCI_DEVICE_ID, 2), 0x1040 + 62);
	assert_int_equal(bench_config(b, PCI_VENDOR_ID, 4), (0x1040 + 62) << 16 | 0x1af4);
	assert_true(bench_config(b, PCI_REVISION_ID, 1) >= 1);
	assert_true(bench_config(b, PCI_SUBSYSTEM_ID, 2) >= 0x40);
	assert_int_equal(bench_config(b, PCI_HEADER_TYPE, 1), 0);
	assert_int_equal(bench_config(b, PCI_INTERRUPT_PIN, 1), 1);
	assert_int_equal(bench_config(b, PCI_STATUS, 2), PCI_STATUS_CAPABILITIES);
	assert_int_equal(bench_capability(b, PCI_CAP_MSIX, 0), 0);
	bench_free(b);
	b = modern();
	assert_int_equal(bench_config(b, PCI_DEVICE_ID, 2), 0x1042);
	assert_int_equal(bench_config(b, PCI_REVISION_ID, 4) >> 8, 0x010000);
	bench_free(b);
}

/* spec: DEV-PCI-011 DEV-PCI-013 DEV-PCI-014 DEV-PCI-029 DEV-PCI-030 DEV-PCI-031 DEV-PCI-040 DEV-PCI-045
 * DEV-PCI-046 DEV-PCI-053 */
static void its_structures_lie_in_its_bar(void **state)
{
	struct bench *b = modern();
	static const struct {
		unsigned type, align, least, bytes;
	} rules[] = {
		{ VIRTIO_PCI_CAP_COMMON_CFG, 4, 64, 16 },
		{ VIRTIO_PCI_CAP_NOTIFY_CFG, 4, 4 * QUEUES, 20 },
		{ VIRTIO_PCI_CAP_ISR_CFG, 1, 1, 16 },
		{ VIRTIO_PCI_CAP_DEVICE_CFG, 4, CONFIG_BYTES, 16 },
	};
	uint64_t size = vio_pci_device_bar(&b->model, VIO_PCI_MEMORY_BAR).size;

	assert_true(vio_is_power_of_two(size));
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(rules); i++) {
		unsigned at = bench_capability(b, PCI_CAP_VENDOR, rules[i].type);
		uint32_t offset = bench_structure(b, rules[i].type);
		uint32_t length = bench_config(b, at + VIRTIO_PCI_CAP_LENGTH, 4);

		assert_int_equal(bench_config(b, at + VIRTIO_PCI_CAP_LEN, 1), rules[i].bytes);
		assert_int_equal(offset % rules[i].align, 0);
		assert_true(length >= rules[i].least);
		assert_true(offset + length <= size);
	}
	assert_int_equal(
		bench_config(b, bench_capability(b, PCI_CAP_VENDOR, VIRTIO_PCI_CAP_NOTIFY_CFG) + 16, 4), 4);
	assert_int_not_equal(bench_capability(b, PCI_CAP_VENDOR, VIRTIO_PCI_CAP_PCI_CFG), 0);
	bench_free(b);
}

/* spec: DEV-PCI-032 DEV-PCI-033 DEV-PCI-034 DEV-PCI-035 DEV-PCI-036 DEV-PCI-037 DEV-PCI-038 DEV-PCI-039 */
static void notifications_of_all_queues_fit(void **state)
{
	static const uint64_t offers[] = { 0, BIT(VIRTIO_F_NOTIFICATION_DATA) };

	for (unsigned i = 0; i < 4; i++) {
		struct bench *b = made(&(struct bench_options){ .flags = i & 1 ? VIO_PCI_NOTIFY_ONE : 0,
								.more = offers[i / 2] });
		unsigned at = bench_capability(b, PCI_CAP_VENDOR, VIRTIO_PCI_CAP_NOTIFY_CFG);
		uint32_t multiplier = bench_config(b, at + VIRTIO_PCI_NOTIFY_CAP_MULT, 4);
		uint32_t length = bench_config(b, at + VIRTIO_PCI_CAP_LENGTH, 4);

		assert_int_equal(bench_config(b, at + VIRTIO_PCI_CAP_OFFSET, 4) % 4, 0);
		assert_true(!multiplier || (vio_is_power_of_two(multiplier) && multiplier % 4 == 0));
		assert_int_equal(!multiplier, i & 1);
		for (unsigned queue = 0; queue < QUEUES; queue++) {
			bench_set(b, VIRTIO_PCI_COMMON_Q_SELECT, 2, queue);
			assert_true(length >= bench_get(b, VIRTIO_PCI_COMMON_Q_NOFF, 2) * multiplier + 4);
		}
		bench_free(b);
	}
}

static void bars_are_sized_placed_and_switched(void **state)
{
	struct bench *b =
		made(&(struct bench_options){ .kind = VIO_PCI_TRANSITIONAL, .flags = VIO_PCI_BAR_64 });
	const unsigned low = PCI_BAR + 4 * VIO_PCI_MEMORY_BAR;
	struct vio_pci_bar bar;
	uint32_t size;

	bench_set_config(b, PCI_BAR, 4, UINT32_MAX);
	assert_int_equal(bench_config(b, PCI_BAR, 4), 0xffffffc1); /* 24 + 12 bytes: 64 */
	bench_set_config(b, PCI_BAR + 4, 4, UINT32_MAX);
	assert_int_equal(bench_config(b, PCI_BAR + 4, 4), 0);
	bench_assert_outcome(b, VIO_PCI_DONE);
	bench_set_config(b, low, 4, UINT32_MAX);
	size = bench_config(b, low, 4);
	assert_int_equal(size & 0xf, PCI_BAR_TYPE_64);
	size = ~(size & ~0xfu) + 1;
	bench_set_config(b, low + 4, 4, UINT32_MAX);
	assert_int_equal(bench_config(b, low + 4, 4), UINT32_MAX);
	bench_set_config(b, low, 4, 0x12340000);
	bench_set_config(b, low + 4, 4, 5);
	bar = vio_pci_device_bar(&b->model, VIO_PCI_MEMORY_BAR);
	assert_int_equal(bar.size, size);
	assert_true(bar.address == UINT64_C(0x512340000) && bar.wide && !bar.io);
	b->moved = 0;
	bench_set_config(b, PCI_COMMAND, 2, 0);
	assert_int_equal(b->moved, 1);
	assert_int_equal(vio_pci_device_bar(&b->model, VIO_PCI_MEMORY_BAR).address, 0);
	assert_int_equal(bench_get(b, VIRTIO_PCI_COMMON_NUMQ, 2), 0xffff);
	bench_assert_outcome(b, VIO_PCI_NOT_DECODED);
	assert_int_equal(bench_in(b, VIRTIO_PCI_STATUS, 1), 0xff);
	bench_set_config(b, PCI_COMMAND, 2, UINT16_MAX);
	assert_int_equal(bench_config(b, PCI_COMMAND, 2), 0x407);
	assert_int_equal(bench_get(b, VIRTIO_PCI_COMMON_NUMQ, 2), QUEUES);
	for (unsigned absent = 0; absent < 300; absent++)
		if (absent && absent != VIO_PCI_MEMORY_BAR)
			assert_int_equal(vio_pci_device_bar_read(&b->model, absent, 0, 1), 0xff);
	vio_pci_device_bus_reset(&b->model);
	assert_int_equal(bench_config(b, PCI_COMMAND, 2), 0);
	assert_int_equal(bench_config(b, low + 4, 4), 0);
	bench_free(b);
}

/* hostile: A100 A101 A102: any offset, any width, without harm; what stands for identity never changes. */
static void configuration_space_takes_everything(void **state)
{
	struct bench *b = modern();
	uint64_t seed = 1;

	for (unsigned round = 0; round < 20000; round++) {
		unsigned offset = (unsigned)parrot_random(&seed) % 300,
			 width = (unsigned)parrot_random(&seed) % 6;

		bench_set_config(b, offset, width, (uint32_t)parrot_random(&seed));
		bench_config(b, offset, width);
	}
	assert_int_equal(bench_config(b, UINT32_MAX, 4), 0);
	bench_assert_outcome(b, VIO_PCI_NO_REGISTER);
	assert_int_equal(bench_config(b, 254, 4), 0);
	bench_set_config(b, UINT32_MAX - 1, 4, 0);
	assert_int_equal(bench_config(b, 0, 3), 0);
	bench_assert_outcome(b, VIO_PCI_BAD_WIDTH);
	bench_set_config(b, PCI_VENDOR_ID, 2, 0);
	bench_assert_outcome(b, VIO_PCI_READ_ONLY);
	assert_string_equal(b->last.name, "Vendor ID");
	assert_int_equal(bench_config(b, PCI_VENDOR_ID, 4), 0x10421af4);
	assert_int_equal(bench_config(b, PCI_STATUS, 2) & PCI_STATUS_CAPABILITIES, PCI_STATUS_CAPABILITIES);
	bench_free(b);
}

/* What the standard's table says, apart from the model's. R 1, W 2. */
static const struct {
	uint32_t offset;
	unsigned width, rights;
	const char *name;
} table[] = {
	{ 0x00, 4, 3, "device_feature_select" }, { 0x04, 4, 1, "device_feature" },
	{ 0x08, 4, 3, "driver_feature_select" }, { 0x0c, 4, 3, "driver_feature" },
	{ 0x10, 2, 3, "config_msix_vector" },    { 0x12, 2, 1, "num_queues" },
	{ 0x14, 1, 3, "device_status" },         { 0x15, 1, 1, "config_generation" },
	{ 0x16, 2, 3, "queue_select" },          { 0x18, 2, 3, "queue_size" },
	{ 0x1a, 2, 3, "queue_msix_vector" },     { 0x1c, 2, 3, "queue_enable" },
	{ 0x1e, 2, 1, "queue_notify_off" },      { 0x20, 4, 3, "queue_desc" },
	{ 0x24, 4, 3, "queue_desc (high)" },     { 0x28, 4, 3, "queue_driver" },
	{ 0x2c, 4, 3, "queue_driver (high)" },   { 0x30, 4, 3, "queue_device" },
	{ 0x34, 4, 3, "queue_device (high)" },   { 0x38, 2, 1, "queue_notif_config_data" },
	{ 0x3a, 2, 3, "queue_reset" },           { 0x3c, 2, 1, "admin_queue_index" },
	{ 0x3e, 2, 1, "admin_queue_num" },
};

/* hostile: A101 A102, every offset and width, against a table of the test's own. */
static void registers_are_what_the_table_says(void **state)
{
	static const unsigned widths[] = { 0, 1, 2, 3, 4, 5, 16, UINT32_MAX };
	struct bench *b = modern();

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(table); i++) {
		for (uint32_t offset = table[i].offset; offset < table[i].offset + table[i].width; offset++) {
			for (unsigned w = 0; w < VIO_ARRAY_SIZE(widths); w++) {
				bool proper = offset == table[i].offset && widths[w] == table[i].width;
				uint32_t value = bench_get(b, offset, widths[w]);

				bench_assert_outcome(b, proper ? VIO_PCI_DONE : VIO_PCI_BAD_WIDTH);
				assert_true(proper || !value);
				if (proper)
					assert_string_equal(b->last.name, table[i].name);
				bench_set(b, offset, widths[w], 0);
				if (!proper)
					bench_assert_outcome(b, VIO_PCI_BAD_WIDTH);
				else if (!(table[i].rights & 2))
					bench_assert_outcome(b, VIO_PCI_READ_ONLY);
				else
					assert_true(b->last.outcome <= VIO_PCI_IGNORED);
			}
		}
	}
	assert_int_equal(bench_get(b, 0x40, 4), 0);
	bench_assert_outcome(b, VIO_PCI_NO_REGISTER);
	assert_int_equal(vio_pci_device_bar_read(&b->model, VIO_PCI_MEMORY_BAR, UINT64_MAX, 8), UINT64_MAX);
	bench_assert_outcome(b, VIO_PCI_NOT_DECODED);
	bench_free(b);
}

/* spec: DEV-PCI-015 DEV-PCI-016; 128 bits, and zeros beyond; hostile: A90 */
static void features_are_128_bits(void **state)
{
	struct bench *b = modern();

	bench_set(b, VIRTIO_PCI_COMMON_DFSELECT, 4, 0);
	assert_true(bench_get(b, VIRTIO_PCI_COMMON_DF, 4) & 8);
	bench_set(b, VIRTIO_PCI_COMMON_DFSELECT, 4, 1);
	assert_true(bench_get(b, VIRTIO_PCI_COMMON_DF, 4) & 1);
	bench_set(b, VIRTIO_PCI_COMMON_DFSELECT, 4, 2);
	assert_int_equal(bench_get(b, VIRTIO_PCI_COMMON_DF, 4), 1u << (HIGH_FEATURE - 64));
	for (uint32_t select = 3; select; select *= 2) {
		bench_set(b, VIRTIO_PCI_COMMON_DFSELECT, 4, select);
		assert_int_equal(bench_get(b, VIRTIO_PCI_COMMON_DFSELECT, 4), select);
		assert_int_equal(bench_get(b, VIRTIO_PCI_COMMON_DF, 4), 0);
		bench_set(b, VIRTIO_PCI_COMMON_GFSELECT, 4, select + 1);
		bench_set(b, VIRTIO_PCI_COMMON_GF, 4, UINT32_MAX);
		bench_assert_outcome(b, VIO_PCI_IGNORED);
	}
	bench_set(b, VIRTIO_PCI_COMMON_GFSELECT, 4, 2);
	bench_set(b, VIRTIO_PCI_COMMON_GF, 4, 1u << (HIGH_FEATURE - 64));
	assert_int_equal(bench_get(b, VIRTIO_PCI_COMMON_GF, 4), 1u << (HIGH_FEATURE - 64));
	bench_negotiate(b, BIT(3) | BIT(VIRTIO_F_VERSION_1));
	assert_int_equal(bench_get(b, VIRTIO_PCI_COMMON_STATUS, 1), ALL_DONE);
	assert_true(vio_device_has_feature(&b->parrot.device, HIGH_FEATURE));
	bench_set(b, VIRTIO_PCI_COMMON_GF, 4, 0);
	bench_assert_outcome(b, VIO_PCI_IGNORED);
	bench_free(b);
}

/* spec: DEV-BASIC-009; hostile: A88 */
static void what_was_not_offered_is_refused(void **state)
{
	struct bench *b = modern();

	bench_negotiate(b, BIT(VIRTIO_F_VERSION_1) | BIT(5));
	assert_int_equal(bench_get(b, VIRTIO_PCI_COMMON_STATUS, 1), 3);
	bench_set(b, VIRTIO_PCI_COMMON_STATUS, 1, 7);
	assert_int_equal(bench_get(b, VIRTIO_PCI_COMMON_STATUS, 1), 3);
	bench_set(b, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	bench_negotiate(b, BIT(3));
	assert_int_equal(bench_get(b, VIRTIO_PCI_COMMON_STATUS, 1), 3);
	bench_free(b);
}

/* spec: DEV-PCI-010 DEV-PCI-018 DEV-PCI-019 DEV-PCI-020 DEV-PCI-025 DEV-PCI-026 */
static void a_queue_is_set_up_and_reset(void **state)
{
	struct bench *b = modern();

	assert_int_equal(bench_get(b, VIRTIO_PCI_COMMON_NUMQ, 2), QUEUES);
	assert_int_equal(bench_get(b, VIRTIO_PCI_COMMON_Q_SIZE, 2), QUEUE_SIZE);
	/* A 64-bit field by halves in either order, or in one piece. */
	bench_set(b, VIRTIO_PCI_COMMON_Q_AVAILHI, 4, 0x11223344);
	bench_set(b, VIRTIO_PCI_COMMON_Q_AVAILLO, 4, 0x55667788);
	assert_true(vio_pci_device_bar_read(&b->model, VIO_PCI_MEMORY_BAR, VIRTIO_PCI_COMMON_Q_AVAILLO, 8) ==
		    UINT64_C(0x1122334455667788));
	vio_pci_device_bar_write(&b->model, VIO_PCI_MEMORY_BAR, VIRTIO_PCI_COMMON_Q_DESCLO, 8,
				 UINT64_C(0xa0a1a2a3a4a5a6a7));
	assert_int_equal(bench_get(b, VIRTIO_PCI_COMMON_Q_DESCHI, 4), 0xa0a1a2a3);
	assert_int_equal(bench_get(b, VIRTIO_PCI_COMMON_Q_DESCLO, 4), 0xa4a5a6a7);
	bench_bring_up(b, 0);
	parrot_add(&b->parrot);
	bench_notify(b, 0);
	assert_int_equal(b->parrot.popped, 1);
	assert_ptr_equal(vio_drvq_get(&b->parrot.drvq, NULL), b);
	assert_int_equal(b->level, 1);
	bench_set(b, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	assert_int_equal(bench_get(b, VIRTIO_PCI_COMMON_STATUS, 1), 0);
	assert_int_equal(b->level, 0);
	assert_int_equal(bench_get(b, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
	assert_int_equal(bench_get(b, VIRTIO_PCI_COMMON_Q_RESET, 2), 0);
	assert_int_equal(bench_get(b, VIRTIO_PCI_COMMON_Q_DESCLO, 4), 0);
	bench_bring_up(b, 0);
	bench_free(b);
}

/* hostile: A79 A80 A81 A82 A83 */
static void a_queue_is_configured_once(void **state)
{
	static const uint32_t bad[] = { 0, 3, QUEUE_SIZE + 1, 2 * QUEUE_SIZE, 0x8000, 0xffff };
	struct bench *b = modern();

	bench_negotiate(b, BIT(VIRTIO_F_VERSION_1));
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(bad); i++) {
		parrot_make_rings(&b->parrot, 0);
		bench_write_addresses(b);
		bench_set(b, VIRTIO_PCI_COMMON_Q_SIZE, 2, bad[i]);
		bench_assert_outcome(b, VIO_PCI_IGNORED);
		bench_set(b, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
		assert_int_equal(bench_get(b, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
	}
	bench_set(b, VIRTIO_PCI_COMMON_Q_SIZE, 2, QUEUE_SIZE);
	bench_set(b, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 2);
	bench_assert_outcome(b, VIO_PCI_IGNORED);
	bench_start_queue(b, 0);
	for (uint32_t offset = VIRTIO_PCI_COMMON_Q_DESCLO; offset <= VIRTIO_PCI_COMMON_Q_USEDHI;
	     offset += 4) {
		uint32_t before = bench_get(b, offset, 4);

		bench_set(b, offset, 4, 0x1000);
		bench_assert_outcome(b, VIO_PCI_IGNORED);
		assert_int_equal(bench_get(b, offset, 4), before);
	}
	bench_set(b, VIRTIO_PCI_COMMON_Q_SIZE, 2, 4);
	bench_assert_outcome(b, VIO_PCI_IGNORED);
	for (uint32_t enable = 0; enable < 2; enable++) {
		bench_set(b, VIRTIO_PCI_COMMON_Q_ENABLE, 2, enable);
		bench_assert_outcome(b, VIO_PCI_IGNORED);
		assert_int_equal(bench_get(b, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 1);
	}
	bench_set(b, VIRTIO_PCI_COMMON_Q_SELECT, 2, UINT16_MAX);
	for (uint32_t offset = VIRTIO_PCI_COMMON_Q_SIZE; offset < 0x20; offset += 2) {
		bench_set(b, offset, 2, 1);
		assert_int_equal(bench_get(b, offset, 2), offset == VIRTIO_PCI_COMMON_Q_MSIX ? NONE : 0);
	}
	for (uint32_t offset = 0x20; offset < 0x38; offset += 4) {
		bench_set(b, offset, 4, 1);
		assert_int_equal(bench_get(b, offset, 4), 0);
	}
	bench_free(b);
}

/* A ring that isn't in memory is refused, and wrapping addresses are. */
static void a_queue_lies_in_memory(void **state)
{
	static const uint64_t nowhere[] = { 0, 0x1000, BASE + MEMORY_BYTES + ROM_BYTES, UINT64_MAX - 15,
					    0xfffffffffffff000 };
	struct bench *b = modern();

	for (unsigned i = 0; i < 3 * VIO_ARRAY_SIZE(nowhere); i++) {
		bench_negotiate(b, BIT(VIRTIO_F_VERSION_1));
		parrot_make_rings(&b->parrot, 0);
		bench_write_addresses(b);
		vio_pci_device_bar_write(&b->model, VIO_PCI_MEMORY_BAR, 0x20 + 8 * (i % 3), 8,
					 nowhere[i / 3]);
		bench_set(b, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
		assert_int_equal(bench_get(b, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
		assert_int_equal(b->faults, i + 1);
		bench_set(b, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	}
	bench_free(b);
}

/* spec: DEV-PCI-033, DEV-SPLIT-017; hostile: A84 A85 A86 A87 */
static void notifications_reach_their_queue(void **state)
{
	struct bench *b = modern();
	uint32_t notify = bench_structure(b, VIRTIO_PCI_CAP_NOTIFY_CFG);

	for (uint16_t queue = 0; queue < QUEUES; queue++) {
		bench_set(b, VIRTIO_PCI_COMMON_Q_SELECT, 2, queue);
		assert_int_equal(bench_get(b, VIRTIO_PCI_COMMON_Q_NOFF, 2), queue);
	}
	bench_notify(b, 0);
	bench_assert_outcome(b, VIO_PCI_IGNORED);
	bench_negotiate(b, BIT(VIRTIO_F_VERSION_1));
	bench_start_queue(b, 1);
	bench_notify(b, 1);
	assert_int_equal(b->parrot.kicks[1], 0);
	bench_set(b, VIRTIO_PCI_COMMON_STATUS, 1, ALL_DONE | DRIVER_OK);
	assert_int_equal(b->parrot.kicks[1], 1);
	bench_notify(b, 1);
	assert_int_equal(b->parrot.kicks[1], 2);
	bench_notify(b, 2);
	bench_assert_outcome(b, VIO_PCI_IGNORED);
	for (uint32_t at = 0; at < 64; at++)
		if (at != 4)
			bench_set(b, notify + at, 2, 1);
	bench_set(b, notify + 4, 4, 1);
	bench_assert_outcome(b, VIO_PCI_BAD_WIDTH);
	bench_set(b, notify + 4, 1, 1);
	assert_int_equal(b->parrot.kicks[1], 2);
	assert_int_equal(b->parrot.kicks[0] + b->parrot.kicks[2], 0);
	assert_int_equal(bench_get(b, notify + 4, 2), 0);
	bench_assert_outcome(b, VIO_PCI_WRITE_ONLY);
	bench_free(b);
}

/* Notifications of 32 bits, and all at one address. hostile: A86 A87 */
static void one_address_serves_all_queues(void **state)
{
	struct bench *b = made(&(struct bench_options){ .flags = VIO_PCI_NOTIFY_ONE,
							.more = BIT(VIRTIO_F_NOTIFICATION_DATA) |
								BIT(VIRTIO_F_NOTIF_CONFIG_DATA) });
	unsigned at = bench_capability(b, PCI_CAP_VENDOR, VIRTIO_PCI_CAP_NOTIFY_CFG);
	uint32_t notify = bench_structure(b, VIRTIO_PCI_CAP_NOTIFY_CFG);

	assert_int_equal(bench_config(b, at + VIRTIO_PCI_NOTIFY_CAP_MULT, 4), 0);
	bench_negotiate(b, BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_NOTIFICATION_DATA) |
				   BIT(VIRTIO_F_NOTIF_CONFIG_DATA));
	bench_start_queue(b, 2);
	assert_int_equal(bench_get(b, VIRTIO_PCI_COMMON_Q_NDATA, 2), 2);
	bench_set(b, VIRTIO_PCI_COMMON_STATUS, 1, ALL_DONE | DRIVER_OK);
	bench_set(b, notify, 4, 0xabcd0002);
	assert_int_equal(b->parrot.kicks[2], 2);
	bench_set(b, notify, 4, 0x80000000);
	bench_assert_outcome(b, VIO_PCI_IGNORED);
	bench_set(b, notify, 4, 0xffff);
	bench_assert_outcome(b, VIO_PCI_IGNORED);
	bench_set(b, notify, 2, 2);
	bench_assert_outcome(b, VIO_PCI_BAD_WIDTH);
	assert_int_equal(b->parrot.kicks[2], 2);
	bench_free(b);
}

/* spec: DEV-PCI-042 DEV-PCI-043 DEV-PCI-044 */
static void reading_the_isr_lowers_the_line(void **state)
{
	struct bench *b = modern();

	bench_bring_up(b, 0);
	for (unsigned round = 1; round < 4; round++) {
		parrot_add(&b->parrot);
		bench_notify(b, 0);
		assert_int_equal(b->level, 1);
		assert_true(bench_config(b, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
		/* Off and on again by the command register. */
		bench_set_config(b, PCI_COMMAND, 2, 0x407);
		assert_int_equal(b->level, 0);
		assert_true(bench_config(b, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
		bench_set_config(b, PCI_COMMAND, 2, 7);
		assert_int_equal(b->level, 1);
		assert_int_equal(bench_get(b, bench_structure(b, VIRTIO_PCI_CAP_ISR_CFG), 1),
				 VIRTIO_PCI_ISR_QUEUE);
		assert_int_equal(b->level, 0);
		assert_false(bench_config(b, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
		assert_int_equal(bench_get(b, bench_structure(b, VIRTIO_PCI_CAP_ISR_CFG), 1), 0);
		assert_int_equal(b->raised, 2 * round);
		assert_ptr_equal(vio_drvq_get(&b->parrot.drvq, NULL), b);
	}
	vio_device_config_changed(&b->parrot.device);
	assert_int_equal(bench_get(b, bench_structure(b, VIRTIO_PCI_CAP_ISR_CFG), 1), VIRTIO_PCI_ISR_CONFIG);
	bench_set(b, bench_structure(b, VIRTIO_PCI_CAP_ISR_CFG), 1, 3);
	bench_assert_outcome(b, VIO_PCI_READ_ONLY);
	bench_free(b);
}

static void a_device_may_have_no_line(void **state)
{
	struct bench *b = made(&(struct bench_options){ .flags = VIO_PCI_NO_LINE });

	assert_int_equal(bench_config(b, PCI_INTERRUPT_PIN, 1), 0);
	bench_bring_up(b, 0);
	parrot_add(&b->parrot);
	bench_notify(b, 0);
	assert_int_equal(b->raised, 0);
	assert_int_equal(bench_get(b, bench_structure(b, VIRTIO_PCI_CAP_ISR_CFG), 1), 1);
	bench_free(b);
}

/* spec: DEV-PCI-017; hostile: A100 */
static void the_configuration_has_a_generation(void **state)
{
	struct bench *b = modern();
	uint32_t config = bench_structure(b, VIRTIO_PCI_CAP_DEVICE_CFG);
	uint32_t before = bench_get(b, VIRTIO_PCI_COMMON_CFGGENERATION, 1);

	for (unsigned i = 0; i < 300; i++) { /* 8 bits are enough: it counts only what was read */
		bench_get(b, config, 1);
		for (unsigned j = 0; j < 256; j++)
			vio_device_config_changed(&b->parrot.device);
		assert_int_not_equal(bench_get(b, VIRTIO_PCI_COMMON_CFGGENERATION, 1), before);
		before = bench_get(b, VIRTIO_PCI_COMMON_CFGGENERATION, 1);
	}
	for (uint32_t offset = 0; offset < 32; offset++) {
		for (unsigned width = 1; width <= 8; width *= 2) {
			uint64_t value = vio_pci_device_bar_read(&b->model, VIO_PCI_MEMORY_BAR,
								 config + offset, width);

			for (unsigned i = 0; i < width; i++) {
				uint32_t at = offset + i;

				assert_int_equal(value >> (8 * i) & 0xff,
						 at < CONFIG_BYTES ? 0x11 * (at + 1) : 0);
			}
			vio_pci_device_bar_write(&b->model, VIO_PCI_MEMORY_BAR, config + offset, width,
						 value);
			bench_assert_outcome(b, offset + width <= CONFIG_BYTES ? VIO_PCI_DONE
									       : VIO_PCI_NO_REGISTER);
		}
	}
	bench_set(b, config + 4, 4, 0xcafef00d);
	assert_int_equal(bench_get(b, config + 5, 1), 0xf0);
	bench_free(b);
}

/* spec: DEV-PCI-021 DEV-PCI-022 DEV-PCI-023 DEV-PCI-024 DEV-RING-001 DEV-RING-002; hostile: A97 A98 */
static void a_queue_is_reset_by_itself(void **state)
{
	struct bench *b = modern();

	bench_bring_up(b, 0);
	bench_set(b, VIRTIO_PCI_COMMON_Q_RESET, 2, 1);
	bench_assert_outcome(b, VIO_PCI_IGNORED); /* not negotiated */
	assert_int_equal(bench_get(b, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 1);
	bench_set(b, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	for (unsigned round = 0; round < 3; round++) {
		bench_bring_up(b, BIT(VIRTIO_F_RING_RESET));
		bench_set(b, VIRTIO_PCI_COMMON_Q_MSIX, 2, 2);
		b->parrot.keep = true;
		parrot_add(&b->parrot);
		bench_notify(b, 0);
		b->parrot.drained = 0;
		bench_set(b, VIRTIO_PCI_COMMON_Q_RESET, 2, 1);
		assert_int_equal(b->parrot.drained, 1);
		assert_int_equal(bench_get(b, VIRTIO_PCI_COMMON_Q_RESET, 2), 0);
		assert_int_equal(bench_get(b, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
		assert_int_equal(bench_get(b, VIRTIO_PCI_COMMON_Q_SIZE, 2), QUEUE_SIZE);
		assert_int_equal(bench_get(b, VIRTIO_PCI_COMMON_Q_MSIX, 2), NONE);
		b->parrot.keep = false;
		bench_start_queue(b, 0);
		parrot_add(&b->parrot);
		bench_notify(b, 0);
		assert_ptr_equal(vio_drvq_get(&b->parrot.drvq, NULL), b);
		bench_set(b, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	}
	bench_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(identifies_itself),
		cmocka_unit_test(its_structures_lie_in_its_bar),
		cmocka_unit_test(notifications_of_all_queues_fit),
		cmocka_unit_test(bars_are_sized_placed_and_switched),
		cmocka_unit_test(configuration_space_takes_everything),
		cmocka_unit_test(registers_are_what_the_table_says),
		cmocka_unit_test(features_are_128_bits),
		cmocka_unit_test(what_was_not_offered_is_refused),
		cmocka_unit_test(a_queue_is_set_up_and_reset),
		cmocka_unit_test(a_queue_is_configured_once),
		cmocka_unit_test(a_queue_lies_in_memory),
		cmocka_unit_test(notifications_reach_their_queue),
		cmocka_unit_test(one_address_serves_all_queues),
		cmocka_unit_test(reading_the_isr_lowers_the_line),
		cmocka_unit_test(a_device_may_have_no_line),
		cmocka_unit_test(the_configuration_has_a_generation),
		cmocka_unit_test(a_queue_is_reset_by_itself),
	};

	return cmocka_run_group_tests_name("transport-pci-device", tests, NULL, NULL);
}
