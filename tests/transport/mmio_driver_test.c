/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <vireo/device.h>
#include <vireo/devices/adder.h>
#include <vireo/driver.h>
#include <vireo/mmio.h>

#include "lib/adder_driver.h"
#include "lib/platform.h"

/*
 * The driver's half of MMIO, watched by the register model: whatever the model ignores or refuses was a
 * mistake of the driver. And the same with registers that lie.
 */
#define WINDOW_BYTES (VIRTIO_MMIO_CONFIG + 64u)
#define SEEN_MAX     256u

struct wire {
	struct test_platform platform;
	struct vio_device device;
	void *state, *storage;
	struct vio_mmio_device model;
	struct vio_mmio_queue queues[4];
	struct vio_mmio_driver mmio;
	struct vio_mmio_access access;
	struct vio_dev dev;
	struct adder_driver adder;
	unsigned level;
	bool strict; /* what the model doesn't do fails the test */

	/* Reads of this register give something else, from the `lie_from`-th on. */
	uint32_t lie_at, lie, lie_from, lie_reads;
	/* Writes to this one are lost. */
	uint32_t lose_at;

	uint32_t seen[SEEN_MAX]; /* offsets read, in order */
	unsigned seen_count;
	uint32_t last_ack, acks;
	uint32_t taken_back; /* writes of 0 to QueueReady */
};

#define NOWHERE UINT32_MAX

static uint32_t wire_read(void *context, uint32_t offset, unsigned width)
{
	struct wire *w = context;
	uint32_t value = (uint32_t)vio_mmio_device_read(&w->model, offset, width);

	if (w->seen_count < SEEN_MAX)
		w->seen[w->seen_count++] = offset;
	assert_true(offset < WINDOW_BYTES && width <= WINDOW_BYTES - offset);
	/* spec: DRV-MMIO-004 DRV-MMIO-005 */
	assert_true(offset < VIRTIO_MMIO_CONFIG ? width == 4 : width == 1 || width == 2 || width == 4);
	assert_int_equal(offset % width, 0);
	if (offset == w->lie_at && w->lie_reads++ >= w->lie_from)
		return w->lie;
	return value;
}

static void wire_write(void *context, uint32_t offset, unsigned width, uint32_t value)
{
	struct wire *w = context;

	assert_true(offset < WINDOW_BYTES && width <= WINDOW_BYTES - offset);
	assert_true(offset < VIRTIO_MMIO_CONFIG ? width == 4 : width == 1 || width == 2 || width == 4);
	assert_int_equal(offset % width, 0);
	if (offset == VIRTIO_MMIO_QUEUE_READY && !value)
		w->taken_back++;
	if (offset == VIRTIO_MMIO_INTERRUPT_ACK) {
		w->last_ack = value;
		w->acks++;
	}
	if (offset != w->lose_at)
		vio_mmio_device_write(&w->model, offset, width, value);
}

static void wire_interrupt(void *context, unsigned level)
{
	((struct wire *)context)->level = level;
}

/* spec: DRV-MMIO-001 DRV-MMIO-002 DRV-MMIO-003 DRV-MMIO-012 DRV-MMIO-013 DRV-MMIO-024 */
static void wire_trace(void *context, const struct vio_mmio_trace *trace)
{
	struct wire *w = context;

	if (!w->strict)
		return;
	if (trace->outcome != VIO_MMIO_DONE)
		fail_msg("%s at 0x%x, value 0x%x: outcome %d", trace->name ? trace->name : "access",
			 (unsigned)trace->offset, (unsigned)trace->value, trace->outcome);
	assert_false(trace->offset >= VIRTIO_MMIO_SHM_SEL && trace->offset <= VIRTIO_MMIO_SHM_BASE_HIGH);
}

static void wire_make(struct wire *w, uint32_t version)
{
	const struct vio_mmio_device_config config = {
		.device = &w->device,
		.mem = &w->platform.mem,
		.version = version,
		.vendor = 99,
		.queues = w->queues,
		.context = w,
		.interrupt = wire_interrupt,
		.trace = wire_trace,
	};

	memset(w, 0, sizeof(*w));
	test_platform_init(&w->platform, 0);
	w->state = malloc(vio_adder_class.state_bytes);
	vio_device_init(&w->device, &vio_adder_class, w->state);
	assert_int_equal(vio_device_realize(&w->device), 0);
	w->storage = malloc(vio_device_storage_bytes(&w->device));
	vio_device_provide(&w->device, w->storage);
	assert_int_equal(vio_mmio_device_init(&w->model, &config), 0);
	w->access = (struct vio_mmio_access){ w, wire_read, wire_write };
	w->lie_at = NOWHERE;
	w->lose_at = NOWHERE;
	w->strict = true;
}

static int setup(void **state)
{
	static struct wire wire;

	wire_make(&wire, VIRTIO_MMIO_VERSION_MODERN);
	*state = &wire;
	return 0;
}

static int setup_legacy(void **state)
{
	static struct wire wire;

	wire_make(&wire, VIRTIO_MMIO_VERSION_LEGACY);
	*state = &wire;
	return 0;
}

static int teardown(void **state)
{
	struct wire *w = *state;

	w->lie_at = NOWHERE;
	w->lose_at = NOWHERE;
	if (w->dev.transport)
		assert_int_equal(vio_dev_close(&w->dev), 0);
	vio_mmio_device_end(&w->model);
	vio_device_unrealize(&w->device);
	free(w->storage);
	free(w->state);
	test_platform_free(&w->platform);
	return 0;
}

static int probe(struct wire *w)
{
	w->seen_count = 0;
	return vio_mmio_driver_probe(&w->mmio, &w->access, WINDOW_BYTES, &w->dev);
}

static int bind(struct wire *w)
{
	return vio_driver_bind(&w->dev, &adder_driver, &w->platform.platform, &w->adder);
}

/* As everything else, but a lie is allowed to lead to what isn't. */
static void lie(struct wire *w, uint32_t offset, uint32_t value)
{
	w->strict = false;
	w->lie_at = offset;
	w->lie = value;
	w->lie_from = 0;
	w->lie_reads = 0;
}

static void assert_seen(const struct wire *w, const uint32_t *offsets, unsigned count)
{
	assert_int_equal(w->seen_count, count);
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(w->seen[i], offsets[i]);
}

/* spec: DRV-MMIO-MAY-001 DRV-MMIO-MAY-002; hostile: B46 */
/* spec: DRV-MMIO-006 DRV-MMIO-007 DRV-MMIO-008 DRV-MMIO-009 */
/* spec: DRV-MMIO-020 DRV-MMIO-021 DRV-MMIO-022 DRV-MMIO-023 */
static void looks_before_it_touches(void **state)
{
	static const uint32_t order[] = { VIRTIO_MMIO_MAGIC_VALUE, VIRTIO_MMIO_VERSION, VIRTIO_MMIO_DEVICE_ID,
					  VIRTIO_MMIO_VENDOR_ID };
	static const uint32_t magics[] = { 0, 0x74726977, 0x76697274, UINT32_MAX };
	static const uint32_t versions[] = { 0, 3, 0x02000000, UINT32_MAX };
	struct wire *w = *state;

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(magics); i++) {
		lie(w, VIRTIO_MMIO_MAGIC_VALUE, magics[i]);
		assert_int_equal(probe(w), -VIO_EPEER);
		assert_seen(w, order, 1);
	}
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(versions); i++) {
		lie(w, VIRTIO_MMIO_VERSION, versions[i]);
		assert_int_equal(probe(w), -VIO_ENOTSUP);
		assert_seen(w, order, 2);
	}
	lie(w, VIRTIO_MMIO_DEVICE_ID, 0);
	assert_int_equal(probe(w), -VIO_ENOENT);
	assert_seen(w, order, 3);
	lie(w, NOWHERE, 0);
	assert_int_equal(probe(w), 0);
	assert_seen(w, order, 4);
	assert_int_equal(w->dev.id, VIRTIO_ID_ADDER);
	assert_int_equal(w->dev.vendor, 99);
	assert_false(w->dev.legacy);
	assert_int_equal(vio_mmio_driver_probe(&w->mmio, &w->access, VIRTIO_MMIO_CONFIG - 1, &w->dev),
			 -VIO_ERANGE);
	assert_int_equal(probe(w), 0);
}

/* spec: DRV-MMIO-MAY-003 DRV-MMIO-025 */
/* spec: DRV-MMIO-010 DRV-MMIO-011, FEATURES_OK is refused for a word in the wrong place. */
static void makes_no_mistake(void **state)
{
	struct wire *w = *state;
	uint32_t sum, word;

	assert_int_equal(probe(w), 0);
	/* Whatever was selected before. */
	w->model.device_features_sel = w->model.driver_features_sel = w->model.queue_sel = 3;
	for (unsigned life = 0; life < 3; life++) {
		assert_int_equal(bind(w), 0);
		for (uint32_t n = 0; n < 300; n++) {
			assert_int_equal(adder_driver_add(&w->dev, n, &sum), 0);
			assert_int_equal(sum, n + 1);
		}
		assert_int_equal(vio_dev_read_config32(&w->dev, 0, &word), 0);
		assert_int_equal(word, VIRTIO_ADDER_STATUS_INITIAL);
		assert_int_equal(vio_dev_write_config32(&w->dev, 0, 0xa1b2c3d4), 0);
		assert_int_equal(vio_dev_read_config32(&w->dev, 0, &word), 0);
		assert_int_equal(word, 0xa1b2c3d4);
		if (!w->dev.legacy) {
			assert_int_equal(vio_dev_reset_queue(&w->dev, 0), 0);
			assert_int_equal(vio_dev_reenable_queue(&w->dev, 0), 0);
			assert_int_equal(adder_driver_add(&w->dev, 1, &sum), 0);
		}
		assert_int_equal(vio_dev_reset(&w->dev), 0);
		assert_int_equal(adder_driver_start(&w->dev), 0);
		assert_int_equal(adder_driver_add(&w->dev, 7, &sum), 0);
		assert_int_equal(vio_driver_unbind(&w->dev), 0);
		assert_int_equal(w->device.status, 0);
	}
}

/* spec: DRV-MMIO-005; fields by their width, what isn't one by bytes. */
static void fields_have_their_natural_width(void **state)
{
	static const struct {
		uint32_t offset, length;
		unsigned accesses;
	} cases[] = {
		{ 0, 1, 1 }, { 1, 1, 1 }, { 0, 2, 1 }, { 2, 2, 1 },  { 1, 2, 2 },    { 0, 4, 1 },
		{ 2, 4, 4 }, { 8, 8, 2 }, { 4, 8, 8 }, { 10, 6, 6 }, { 16, 36, 36 }, { 61, 3, 3 },
	};
	struct wire *w = *state;
	uint8_t bytes[64];

	assert_int_equal(probe(w), 0);
	w->strict = false; /* the adder's own space is shorter */
	w->dev.platform = &w->platform.platform;
	assert_int_equal(vio_dev_begin(&w->dev, NULL, 0), 0);
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(cases); i++) {
		unsigned overhead = w->dev.legacy ? 0 : 2, times = w->dev.legacy ? 2 : 1;

		w->seen_count = 0;
		assert_int_equal(vio_dev_read_config(&w->dev, cases[i].offset, bytes, cases[i].length), 0);
		assert_int_equal(w->seen_count, times * cases[i].accesses + overhead);
	}
	assert_int_equal(vio_dev_read_config(&w->dev, 0, bytes, 64), 0);
	w->seen_count = 0;
	assert_int_equal(vio_dev_read_config(&w->dev, 63, bytes, 2), -VIO_ERANGE);
	assert_int_equal(vio_dev_read_config(&w->dev, UINT32_MAX - 3, bytes, 4), -VIO_ERANGE);
}

/* spec: DRV-MMIO-016 DRV-MMIO-017 DRV-MMIO-018 DRV-MMIO-026 DRV-MMIO-027 DRV-MMIO-028 */
static void acknowledges_what_it_knows(void **state)
{
	static const struct {
		uint32_t status, ack;
		unsigned causes;
	} cases[] = {
		{ 0, 0, 0 },
		{ 1, 1, VIO_INTERRUPT_QUEUE },
		{ 2, 2, VIO_INTERRUPT_CONFIG },
		{ 0xfffffffc, 0, 0 },
		{ 0x80000007, 3, VIO_INTERRUPT_QUEUE | VIO_INTERRUPT_CONFIG },
	};
	struct wire *w = *state;

	assert_int_equal(probe(w), 0);
	assert_int_equal(bind(w), 0);
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(cases); i++) {
		w->acks = 0;
		lie(w, VIRTIO_MMIO_INTERRUPT_STATUS, cases[i].status);
		assert_int_equal(vio_dev_interrupt(&w->dev), cases[i].causes);
		assert_int_equal(w->acks, cases[i].ack != 0);
		if (cases[i].ack)
			assert_int_equal(w->last_ack, cases[i].ack);
	}
	assert_int_equal(w->adder.config_changes, 2);
	assert_int_equal(w->adder.used, 0);
}

/* spec: DRV-MMIO-013 DRV-MMIO-014 DRV-MMIO-015; hostile: B51 */
static void a_queue_that_is_not_taken(void **state)
{
	struct wire *w = *state;

	assert_int_equal(probe(w), 0);
	lie(w, VIRTIO_MMIO_QUEUE_READY, 1); /* in use already */
	assert_int_equal(bind(w), -VIO_EPEER);
	assert_int_equal(w->queues[0].area[0], 0); /* nothing was written */
	lie(w, VIRTIO_MMIO_QUEUE_READY, 0);        /* never ready */
	w->seen_count = 0;
	assert_int_equal(bind(w), -VIO_EPEER);
	assert_int_equal(w->lie_reads, 3); /* before, after, and after it was taken back */
	assert_int_equal(w->taken_back, 1);
	lie(w, NOWHERE, 0);
	w->lose_at = VIRTIO_MMIO_QUEUE_READY;
	assert_int_equal(bind(w), -VIO_EPEER);
	assert_int_equal(w->platform.taken, 0);
	w->lose_at = NOWHERE;
	w->strict = true;
	assert_int_equal(bind(w), 0);
}

/* hostile: B42 */
static void a_size_that_shrinks(void **state)
{
	struct wire *w = *state;

	assert_int_equal(probe(w), 0);
	lie(w, VIRTIO_MMIO_QUEUE_SIZE_MAX, 2);
	w->lie_from = 1; /* the second look */
	assert_int_equal(bind(w), -VIO_EPEER);
	lie(w, VIRTIO_MMIO_QUEUE_SIZE_MAX, 0);
	assert_int_equal(bind(w), -VIO_ENOENT);
	assert_int_equal(w->platform.taken, 0);
}

/* hostile: B45 B49, bits above the eighth are no status. */
static void a_status_of_nonsense(void **state)
{
	struct wire *w = *state;

	assert_int_equal(probe(w), 0);
	lie(w, VIRTIO_MMIO_STATUS, 0x100);
	assert_int_equal(bind(w), -VIO_EHANGUP);
	assert_int_equal(probe(w), 0);
	lie(w, VIRTIO_MMIO_STATUS, UINT32_MAX);
	assert_int_equal(bind(w), -VIO_EHANGUP);
	assert_int_equal(probe(w), 0);
	lie(w, VIRTIO_MMIO_STATUS, 1);
	assert_int_equal(bind(w), -VIO_EAGAIN);
	assert_int_equal(w->dev.phase, VIO_DEV_FOUND);
	lie(w, NOWHERE, 0);
	assert_int_equal(bind(w), 0);
}

/* spec: DRV-MMIO-019; hostile: B50 */
static void a_queue_reset_that_never_ends(void **state)
{
	struct wire *w = *state;

	assert_int_equal(probe(w), 0);
	assert_int_equal(bind(w), 0);
	lie(w, VIRTIO_MMIO_QUEUE_RESET, 1);
	assert_int_equal(vio_dev_reset_queue(&w->dev, 0), -VIO_EAGAIN);
	assert_int_equal(vio_dev_reenable_queue(&w->dev, 0), -VIO_EPHASE);
}

/* As with a device that offers RING_RESET and has no such register. spec: DRV-RING-001 */
static void a_queue_reset_that_is_ignored(void **state)
{
	struct wire *w = *state;
	uint32_t sum;

	assert_int_equal(probe(w), 0);
	assert_int_equal(bind(w), 0);
	w->lose_at = VIRTIO_MMIO_QUEUE_RESET;
	assert_int_equal(vio_dev_reset_queue(&w->dev, 0), -VIO_ENOTSUP);
	/* The queue is as it was. */
	assert_int_equal(adder_driver_add(&w->dev, 41, &sum), 0);
	assert_int_equal(sum, 42);
}

/* It says that it's over, and the queue still runs. */
static void a_queue_reset_that_ends_too_soon(void **state)
{
	struct wire *w = *state;

	assert_int_equal(probe(w), 0);
	assert_int_equal(bind(w), 0);
	lie(w, VIRTIO_MMIO_QUEUE_READY, 1);
	w->lie_from = 1;
	assert_int_equal(vio_dev_reset_queue(&w->dev, 0), -VIO_EAGAIN);
}

static void legacy_queues_that_are_not_taken(void **state)
{
	struct wire *w = *state;

	assert_int_equal(probe(w), 0);
	assert_true(w->dev.legacy);
	lie(w, VIRTIO_MMIO_QUEUE_PFN, 1); /* in use already */
	assert_int_equal(bind(w), -VIO_EPEER);
	lie(w, VIRTIO_MMIO_QUEUE_PFN, 0); /* refused */
	assert_int_equal(bind(w), -VIO_EPEER);
	lie(w, VIRTIO_MMIO_QUEUE_SIZE_MAX, 2);
	w->lie_from = 1;
	assert_int_equal(bind(w), -VIO_EPEER);
	lie(w, NOWHERE, 0);
	assert_int_equal(bind(w), 0);
}

/* What 32 bits of page number can't say is refused before the device hears of it. */
static void legacy_rings_have_to_be_in_reach(void **state)
{
	struct wire *w = *state;
	struct vio_queue_place place = { .size = 8 };
	static const uint64_t wrong[] = { 0, 4096 + 16, UINT64_C(1) << 44, UINT64_C(0xfffffffffffff000) };

	assert_int_equal(probe(w), 0);
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(wrong); i++) {
		place.descriptor_area.raw = wrong[i];
		place.driver_area.raw = wrong[i] + 128;
		place.device_area.raw = wrong[i] + 192;
		assert_true(w->dev.transport->queue_enable(&w->dev, 0, &place) < 0);
	}
	place.descriptor_area.raw = 4096;
	place.driver_area.raw = 4096 + 128;
	place.device_area.raw = 4096 + 4096; /* not where the device would look */
	assert_int_equal(w->dev.transport->queue_enable(&w->dev, 0, &place), -VIO_EINVAL);
	assert_int_equal(w->model.guest_page_size, 0);
}

/* Registers as bytes in memory: little-endian on every machine. */
static void mapped_registers_are_little_endian(void **state)
{
	_Alignas(4) uint8_t bytes[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	static const uint8_t expected[] = { 0xaa, 2, 0xcc, 0xbb, 0x44, 0x33, 0x22, 0x11 };
	struct vio_mmio_access access = vio_mmio_access_mapped(bytes);

	assert_int_equal(access.read(access.context, 1, 1), 2);
	assert_int_equal(access.read(access.context, 2, 2), 0x403);
	assert_int_equal(access.read(access.context, 4, 4), 0x8070605);
	access.write(access.context, 0, 1, 0xffffffaa);
	access.write(access.context, 2, 2, 0xffffbbcc);
	access.write(access.context, 4, 4, 0x11223344);
	assert_memory_equal(bytes, expected, sizeof(bytes));
}

#define MODERN(name)                               \
	{                                          \
#name, name, setup, teardown, NULL \
	}
/* What needs a legacy device can be seen on a little-endian machine only. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define LEGACY(name)                                                  \
	{                                                             \
#name " (legacy)", name, setup_legacy, teardown, NULL \
	}
#else
#define LEGACY(name) cmocka_unit_test(legacy_is_refused)

static uint32_t legacy_read(void *context, uint32_t offset, unsigned width)
{
	return offset == VIRTIO_MMIO_MAGIC_VALUE ? VIRTIO_MMIO_MAGIC : 1;
}

static void legacy_is_refused(void **state)
{
	const struct vio_mmio_access access = { NULL, legacy_read, NULL };
	struct vio_mmio_driver mmio;
	struct vio_dev dev;

	assert_int_equal(vio_mmio_driver_probe(&mmio, &access, VIRTIO_MMIO_CONFIG, &dev), -VIO_ENOTSUP);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		MODERN(looks_before_it_touches),
		MODERN(makes_no_mistake),
		LEGACY(makes_no_mistake),
		MODERN(fields_have_their_natural_width),
		LEGACY(fields_have_their_natural_width),
		MODERN(acknowledges_what_it_knows),
		LEGACY(acknowledges_what_it_knows),
		MODERN(a_queue_that_is_not_taken),
		MODERN(a_size_that_shrinks),
		MODERN(a_status_of_nonsense),
		LEGACY(a_status_of_nonsense),
		MODERN(a_queue_reset_that_never_ends),
		MODERN(a_queue_reset_that_is_ignored),
		MODERN(a_queue_reset_that_ends_too_soon),
		LEGACY(legacy_queues_that_are_not_taken),
		LEGACY(legacy_rings_have_to_be_in_reach),
		cmocka_unit_test(mapped_registers_are_little_endian),
	};

	return cmocka_run_group_tests_name("transport-mmio-driver", tests, NULL, NULL);
}
