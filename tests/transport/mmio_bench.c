/* SPDX-License-Identifier: BSD-3-Clause */
#include "transport/mmio_bench.h"

#include <stdlib.h>
#include <string.h>

static void on_interrupt(void *context, unsigned level)
{
	struct bench *b = context;

	assert_int_not_equal(level, b->level);
	b->level = level;
	b->raised += level;
	b->lowered += !level;
}

static void on_work(void *context)
{
	((struct bench *)context)->work++;
}

static void on_fault(void *context, const struct vio_fault *fault)
{
	((struct bench *)context)->faults++;
}

static void on_trace(void *context, const struct vio_mmio_trace *trace)
{
	((struct bench *)context)->last = *trace;
}

void bench_make(struct bench *b, uint32_t version)
{
	struct vio_mmio_device_config config = {
		.device = &b->parrot.device,
		.mem = &b->parrot.mem,
		.version = version,
		.vendor = 0x4f495658,
		.queues = b->queues,
		.context = b,
		.interrupt = on_interrupt,
		.work = on_work,
		.fault = on_fault,
		.trace = on_trace,
	};

	memset(b, 0, sizeof(*b));
	parrot_make(&b->parrot, 0, 0);
	assert_int_equal(vio_mmio_device_init(&b->model, &config), -VIO_EPHASE);
	parrot_provide(&b->parrot);
	config.version = 3;
	assert_int_equal(vio_mmio_device_init(&b->model, &config), -VIO_ENOTSUP);
	config.version = version;
	assert_int_equal(vio_mmio_device_init(&b->model, &config), 0);
}

void bench_free(struct bench *b)
{
	vio_mmio_device_end(&b->model);
	assert_int_equal(b->level, 0);
	parrot_free(&b->parrot);
}

uint32_t bench_get(struct bench *b, uint32_t offset)
{
	return (uint32_t)vio_mmio_device_read(&b->model, offset, 4);
}

void bench_set(struct bench *b, uint32_t offset, uint32_t value)
{
	vio_mmio_device_write(&b->model, offset, 4, value);
}

void bench_set_ignored(struct bench *b, uint32_t offset, uint32_t value)
{
	bench_set(b, offset, value);
	assert_int_equal(b->last.outcome, VIO_MMIO_IGNORED);
}

void bench_negotiate(struct bench *b, uint64_t low_features)
{
	bench_set(b, VIRTIO_MMIO_STATUS, 1);
	bench_set(b, VIRTIO_MMIO_STATUS, 3);
	for (uint32_t word = 0; word < 2; word++) {
		bench_set(b, VIRTIO_MMIO_DRIVER_FEATURES_SEL, word);
		bench_set(b, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)(low_features >> (32 * word)));
	}
	bench_set(b, VIRTIO_MMIO_STATUS, ALL_DONE);
}

void bench_write_addresses(struct bench *b, uint64_t descriptor_area, uint64_t driver_area,
			   uint64_t device_area)
{
	const uint64_t areas[] = { descriptor_area, driver_area, device_area };
	const uint32_t registers[] = { VIRTIO_MMIO_QUEUE_DESC_LOW, VIRTIO_MMIO_QUEUE_DRIVER_LOW,
				       VIRTIO_MMIO_QUEUE_DEVICE_LOW };

	for (unsigned i = 0; i < 3; i++) {
		bench_set(b, registers[i], (uint32_t)areas[i]);
		bench_set(b, registers[i] + 4, (uint32_t)(areas[i] >> 32));
	}
}

void bench_write_good_addresses(struct bench *b)
{
	bench_write_addresses(b, vio_drvq_descriptor_area(&b->parrot.drvq).raw,
			      vio_drvq_driver_area(&b->parrot.drvq).raw,
			      vio_drvq_device_area(&b->parrot.drvq).raw);
}

void bench_start_queue(struct bench *b)
{
	parrot_make_rings(&b->parrot, 0);
	bench_set(b, VIRTIO_MMIO_QUEUE_SEL, 0);
	bench_set(b, VIRTIO_MMIO_QUEUE_SIZE, QUEUE_SIZE);
	bench_write_good_addresses(b);
	bench_set(b, VIRTIO_MMIO_QUEUE_READY, 1);
	assert_int_equal(bench_get(b, VIRTIO_MMIO_QUEUE_READY), 1);
}

void bench_bring_up(struct bench *b, uint64_t features)
{
	bench_negotiate(b, features | VERSION_1);
	assert_int_equal(bench_get(b, VIRTIO_MMIO_STATUS), ALL_DONE);
	bench_start_queue(b);
	bench_set(b, VIRTIO_MMIO_STATUS, ALL_DONE | VIRTIO_CONFIG_S_DRIVER_OK);
	assert_int_equal(bench_get(b, VIRTIO_MMIO_STATUS), ALL_DONE | VIRTIO_CONFIG_S_DRIVER_OK);
}

void bench_works(struct bench *b)
{
	unsigned popped = b->parrot.popped;

	parrot_add(&b->parrot);
	bench_set(b, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	assert_int_equal(b->parrot.popped, popped + 1);
	assert_ptr_equal(vio_drvq_get(&b->parrot.drvq, NULL), b);
	assert_int_equal(bench_get(b, VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_VRING);
	bench_set(b, VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_INT_VRING);
	assert_int_equal(b->level, 0);
}

void bench_legacy_queue(struct bench *b, uint32_t align, uint32_t pfn)
{
	bench_set(b, VIRTIO_MMIO_QUEUE_SEL, 0);
	bench_set(b, VIRTIO_MMIO_QUEUE_SIZE, QUEUE_SIZE);
	bench_set(b, VIRTIO_MMIO_QUEUE_ALIGN, align);
	bench_set(b, VIRTIO_MMIO_QUEUE_PFN, pfn);
}

/* What the standard's table says, apart from the model's. R 1, W 2; versions: modern 1, legacy 2. */
static const struct {
	uint32_t offset;
	unsigned rights, versions;
	const char *name;
} table[] = {
	{ 0x000, 1, 3, "MagicValue" },      { 0x004, 1, 3, "Version" },
	{ 0x008, 1, 3, "DeviceID" },        { 0x00c, 1, 3, "VendorID" },
	{ 0x010, 1, 3, "DeviceFeatures" },  { 0x014, 2, 3, "DeviceFeaturesSel" },
	{ 0x020, 2, 3, "DriverFeatures" },  { 0x024, 2, 3, "DriverFeaturesSel" },
	{ 0x028, 2, 2, "GuestPageSize" },   { 0x030, 2, 3, "QueueSel" },
	{ 0x034, 1, 3, "QueueSizeMax" },    { 0x038, 2, 3, "QueueSize" },
	{ 0x03c, 2, 2, "QueueAlign" },      { 0x040, 3, 2, "QueuePFN" },
	{ 0x044, 3, 1, "QueueReady" },      { 0x050, 2, 3, "QueueNotify" },
	{ 0x060, 1, 3, "InterruptStatus" }, { 0x064, 2, 3, "InterruptACK" },
	{ 0x070, 3, 3, "Status" },          { 0x080, 2, 1, "QueueDescLow" },
	{ 0x084, 2, 1, "QueueDescHigh" },   { 0x090, 2, 1, "QueueDriverLow" },
	{ 0x094, 2, 1, "QueueDriverHigh" }, { 0x0a0, 2, 1, "QueueDeviceLow" },
	{ 0x0a4, 2, 1, "QueueDeviceHigh" }, { 0x0ac, 2, 1, "SHMSel" },
	{ 0x0b0, 1, 1, "SHMLenLow" },       { 0x0b4, 1, 1, "SHMLenHigh" },
	{ 0x0b8, 1, 1, "SHMBaseLow" },      { 0x0bc, 1, 1, "SHMBaseHigh" },
	{ 0x0c0, 3, 1, "QueueReset" },      { 0x0fc, 1, 1, "ConfigGeneration" },
};

static int find(uint32_t offset, unsigned version_bit)
{
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(table); i++)
		if (table[i].offset == offset && (table[i].versions & version_bit))
			return (int)i;
	return -1;
}

/* hostile: A101 A102 A103, every offset, width and direction, against a table of the test's own. */
void bench_check_registers(struct bench *b, unsigned version_bit)
{
	static const unsigned widths[] = { 0, 1, 2, 3, 4, 5, 8, 16, UINT32_MAX };

	for (uint32_t offset = 0; offset < VIRTIO_MMIO_CONFIG; offset++) {
		int there = find(offset & ~3u, version_bit);

		for (unsigned w = 0; w < VIO_ARRAY_SIZE(widths); w++) {
			bool proper = widths[w] == 4 && !(offset % 4);
			uint64_t value = vio_mmio_device_read(&b->model, offset, widths[w]);

			if (there < 0) {
				assert_int_equal(b->last.outcome, VIO_MMIO_NO_REGISTER);
				assert_null(b->last.name);
			} else {
				assert_string_equal(b->last.name, table[there].name);
				assert_int_equal(b->last.outcome, !(table[there].rights & 1)
									  ? VIO_MMIO_WRITE_ONLY
								  : proper ? VIO_MMIO_DONE
									   : VIO_MMIO_BAD_WIDTH);
			}
			if (b->last.outcome != VIO_MMIO_DONE)
				assert_int_equal(value, 0);
			vio_mmio_device_write(&b->model, offset, widths[w], 0);
			assert_true(b->last.write);
			if (there < 0)
				assert_int_equal(b->last.outcome, VIO_MMIO_NO_REGISTER);
			else if (!(table[there].rights & 2))
				assert_int_equal(b->last.outcome, VIO_MMIO_READ_ONLY);
			else if (!proper)
				assert_int_equal(b->last.outcome, VIO_MMIO_BAD_WIDTH);
			else
				assert_true(b->last.outcome <= VIO_MMIO_IGNORED);
		}
	}
}

void bench_mad_driver(struct bench *b, uint32_t version)
{
	uint64_t seed = 0x5eed + version;

	for (unsigned round = 0; round < 200; round++) {
		for (unsigned i = 0; i < 500; i++) {
			uint32_t offset =
				(uint32_t)(parrot_random(&seed) % 10 ? parrot_random(&seed) % 0x44 * 4
								     : parrot_random(&seed));
			uint64_t value = parrot_random(&seed);

			switch (parrot_random(&seed) % 6) {
			case 0:
				value %= 4;
				break;
			case 1:
				value = 1u << value % 8;
				break;
			case 2:
				value = BASE + value % MEMORY_BYTES / 64 * 64;
				break;
			case 3:
				value = ALL_DONE | (value & VIRTIO_CONFIG_S_DRIVER_OK);
				break;
			case 4:
				value = BASE / 4096 + value % 16;
				break;
			}
			vio_mmio_device_write(
				&b->model, offset,
				parrot_random(&seed) % 10 ? 4 : (unsigned)parrot_random(&seed) % 9, value);
			vio_mmio_device_read(&b->model, (uint32_t)parrot_random(&seed) % 0x110,
					     1u << parrot_random(&seed) % 4);
			for (unsigned byte = 0; byte < 8; byte++)
				b->parrot.memory[parrot_random(&seed) % MEMORY_BYTES] =
					(uint8_t)(parrot_random(&seed) % 3 ? 0 : parrot_random(&seed));
			vio_mmio_device_run(&b->model);
		}
		bench_set(b, VIRTIO_MMIO_STATUS, 0);
		assert_int_equal(bench_get(b, VIRTIO_MMIO_STATUS), 0);
		assert_int_equal(b->level, 0);
		if (version == VIRTIO_MMIO_VERSION_MODERN) {
			bench_bring_up(b, 0);
		} else {
			bench_set(b, VIRTIO_MMIO_GUEST_PAGE_SIZE, 4096);
			parrot_make_rings(&b->parrot, 0);
			bench_legacy_queue(b, 64, BASE / 4096);
		}
		bench_works(b);
		bench_set(b, VIRTIO_MMIO_STATUS, 0);
	}
}
