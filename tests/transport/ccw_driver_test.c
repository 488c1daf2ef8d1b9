/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <vireo/ccw.h>
#include <vireo/device.h>
#include <vireo/devices/adder.h>
#include <vireo/driver.h>

#include "lib/adder_driver.h"
#include "lib/platform.h"
#include "transport/ccw/wire.h"

/*
 * The driver's half of channel I/O, watched by the model: whatever the model doesn't simply do was a mistake
 * of the driver. And the same with a device that lies.
 */
#define AREA  0x20000000u
#define ENDED (CCW_DSTAT_CHANNEL_END | CCW_DSTAT_DEVICE_END)

struct wire {
	struct test_platform platform;
	struct vio_device device;
	void *state, *storage;
	struct vio_ccw_device model;
	struct vio_ccw_queue queues[4];
	_Alignas(8) uint8_t area[VIO_CCW_AREA_BYTES];
	struct vio_ccw_driver_config config;
	struct vio_ccw_driver ccw;
	struct vio_dev dev;
	struct adder_driver adder;
	bool strict; /* what the model doesn't do fails the test */
	bool began;  /* a revision was agreed on */
	unsigned interrupts;

	/* This command ends so instead of being performed; 0: none. */
	uint8_t lie_at;
	struct vio_ccw_status lie;
	/* The sense of that, and how many bytes there are of it. */
	uint8_t sense;
	uint16_t sense_bytes;
	bool gone;

	/* Bytes of the answer to this command are others. */
	uint8_t patch_at;
	unsigned patch_offset, patch_length;
	uint8_t patch[8];

	uint16_t revisions[4];
	unsigned revisions_tried;
	int64_t cookie_next, cookie_seen;
	unsigned status_reads;
};

static void watch(struct wire *w, const struct vio_ccw *ccw)
{
	const uint8_t *payload = w->area + (ccw->data - AREA);

	if (ccw->count) /* spec: DRV-CCW-003 */
		assert_true(ccw->data >= AREA && ccw->data + ccw->count <= AREA + sizeof(w->area));
	if (ccw->command == CCW_CMD_SET_VIRTIO_REV) {
		assert_false(w->began); /* spec: DRV-CCW-006 */
		assert_true(w->revisions_tried < VIO_ARRAY_SIZE(w->revisions));
		w->revisions[w->revisions_tried++] = (uint16_t)vio_be_load(payload, 2);
	} else if (ccw->command != CCW_CMD_SENSE_ID && ccw->command != CCW_CMD_BASIC_SENSE) {
		assert_true(w->began || w->revisions_tried == 3); /* spec: DRV-CCW-005 */
	}
	if (ccw->command == CCW_CMD_READ_STATUS) { /* spec: DRV-CCW-011 */
		assert_true(w->model.revision >= (int)VIRTIO_CCW_REV_STATUS);
		w->status_reads++;
	}
}

static int wire_run(void *context, const struct vio_ccw *ccw, struct vio_ccw_status *status)
{
	struct wire *w = context;

	if (w->gone)
		return -VIO_EHANGUP;
	watch(w, ccw);
	if (ccw->command == CCW_CMD_BASIC_SENSE && w->lie_at) {
		w->area[ccw->data - AREA] = w->sense_bytes ? w->sense : 0;
		*status = (struct vio_ccw_status){ ENDED, 0, (uint16_t)(ccw->count - w->sense_bytes) };
		return 0;
	}
	if (w->lie_at && ccw->command == w->lie_at) {
		*status = w->lie;
		return 0;
	}
	vio_ccw_device_command(&w->model, ccw, status);
	if (w->patch_at && ccw->command == w->patch_at)
		memcpy(w->area + (ccw->data - AREA) + w->patch_offset, w->patch, w->patch_length);
	if (ccw->command == CCW_CMD_SET_VIRTIO_REV && status->device == ENDED && !status->subchannel)
		w->began = true;
	/* spec: DRV-CCW-003 */
	if (w->strict && ccw->command != CCW_CMD_SET_VIRTIO_REV)
		if (status->device != ENDED || status->subchannel)
			fail_msg("command 0x%x, %u bytes: 0x%x 0x%x", ccw->command, ccw->count,
				 status->device, status->subchannel);
	return 0;
}

static int64_t wire_notify(void *context, uint64_t data, int64_t cookie)
{
	struct wire *w = context;

	w->cookie_seen = cookie;
	assert_true(vio_ccw_device_notify(&w->model, 7, data, (uint64_t)cookie) >= 0);
	return w->cookie_next;
}

static void wire_interrupt(void *context)
{
	((struct wire *)context)->interrupts++;
}

static void wire_adapter_interrupt(void *context, uint8_t isc)
{
	assert_int_equal(isc, 5);
	((struct wire *)context)->interrupts++;
}

static struct wire *make(void **state, uint16_t revision_min, uint16_t revision_max, unsigned flags)
{
	struct wire *w = calloc(1, sizeof(*w));
	const struct vio_region area = { vio_addr_make(AREA), sizeof(w->area), w->area, 3 };
	const struct vio_ccw_device_config config = {
		.device = &w->device,
		.mem = &w->platform.mem,
		.revision_min = revision_min,
		.revision_max = revision_max,
		.subchannel = 7,
		.queues = w->queues,
		.context = w,
		.interrupt = wire_interrupt,
		.adapter_interrupt = wire_adapter_interrupt,
	};

	test_platform_init(&w->platform, 0);
	assert_int_equal(vio_mem_add(&w->platform.mem, &area), 0);
	w->state = malloc(vio_adder_class.state_bytes);
	vio_device_init(&w->device, &vio_adder_class, w->state);
	assert_int_equal(vio_device_realize(&w->device), 0);
	w->storage = malloc(vio_device_storage_bytes(&w->device));
	vio_device_provide(&w->device, w->storage);
	assert_int_equal(vio_ccw_device_init(&w->model, &config), 0);
	vio_ccw_device_enable(&w->model);
	w->config = (struct vio_ccw_driver_config){
		{ w, wire_run, wire_notify }, { w->area, area.base }, flags, 5
	};
	w->strict = true;
	*state = w;
	return w;
}

static int setup(void **state)
{
	make(state, VIRTIO_CCW_REV_MODERN, VIRTIO_CCW_REV_STATUS, VIO_CCW_ADAPTER);
	return 0;
}

static int setup_classic(void **state)
{
	make(state, VIRTIO_CCW_REV_LEGACY, VIRTIO_CCW_REV_STATUS, 0);
	return 0;
}

static int setup_older(void **state)
{
	make(state, VIRTIO_CCW_REV_LEGACY, VIRTIO_CCW_REV_MODERN, VIO_CCW_ADAPTER);
	return 0;
}

static int setup_legacy(void **state)
{
	make(state, VIRTIO_CCW_REV_LEGACY, VIRTIO_CCW_REV_LEGACY, 0);
	return 0;
}

static int teardown(void **state)
{
	struct wire *w = *state;

	w->lie_at = 0;
	w->patch_at = 0;
	w->strict = false;
	if (w->dev.transport)
		assert_int_equal(vio_dev_close(&w->dev), 0);
	vio_ccw_device_end(&w->model);
	vio_device_unrealize(&w->device);
	free(w->storage);
	free(w->state);
	test_platform_free(&w->platform);
	free(w);
	return 0;
}

static int probe(struct wire *w)
{
	vio_ccw_device_enable(&w->model);
	w->began = false;
	w->revisions_tried = 0;
	return vio_ccw_driver_probe(&w->ccw, &w->config, &w->dev);
}

static int bind(struct wire *w)
{
	return vio_driver_bind(&w->dev, &adder_driver, &w->platform.platform, &w->adder);
}

/* Unit checks with a sense of so many bytes that begins so. */
static void refuse(struct wire *w, uint8_t command, uint8_t sense, uint16_t sense_bytes)
{
	w->strict = false;
	w->lie_at = command;
	w->lie = (struct vio_ccw_status){ ENDED | CCW_DSTAT_UNIT_CHECK, 0, 0 };
	w->sense = sense;
	w->sense_bytes = sense_bytes;
}

static void reject(struct wire *w, uint8_t command)
{
	refuse(w, command, CCW_SENSE_COMMAND_REJECT, CCW_SENSE_BYTES);
}

static void honest(struct wire *w)
{
	w->lie_at = 0;
	w->patch_at = 0;
}

static void patch(struct wire *w, uint8_t command, unsigned offset, uint64_t value, unsigned length)
{
	w->patch_at = command;
	w->patch_offset = offset;
	w->patch_length = length;
	vio_be_store(w->patch, length, value);
}

/* spec: DRV-CCW-001 DRV-CCW-002; hostile: B48 */
static void knows_the_control_unit(void **state)
{
	struct wire *w = *state;

	patch(w, CCW_CMD_SENSE_ID, 1, 0x3833, 2);
	assert_int_equal(probe(w), -VIO_EPEER);
	patch(w, CCW_CMD_SENSE_ID, 1, 0x3238, 2);
	assert_int_equal(probe(w), -VIO_EPEER);
	patch(w, CCW_CMD_SENSE_ID, 3, 0, 1);
	assert_int_equal(probe(w), -VIO_ENOENT);
	assert_int_equal(w->revisions_tried, 0);
	patch(w, CCW_CMD_SENSE_ID, 4, 0xfedcba, 3); /* type and model of the device */
	assert_int_equal(probe(w), 0);
	assert_int_equal(w->dev.id, VIRTIO_ID_ADDER);
	honest(w);
	w->strict = false;
	w->lie_at = CCW_CMD_SENSE_ID;
	w->lie = (struct vio_ccw_status){ ENDED, 0, 4 }; /* too little of it */
	assert_int_equal(probe(w), -VIO_EIO);
	w->lie = (struct vio_ccw_status){ 0, CCW_CSTAT_PROGRAM_CHECK, 0 };
	assert_int_equal(probe(w), -VIO_EIO);
	w->gone = true;
	assert_int_equal(probe(w), -VIO_EHANGUP);
	assert_null(w->dev.transport);
}

static void the_area_has_to_be_in_reach(void **state)
{
	struct wire *w = *state;

	w->config.area.addr.raw = AREA + 4;
	assert_int_equal(probe(w), -VIO_EINVAL);
	w->config.area.addr.raw = 0x7ffffc08;
	assert_int_equal(probe(w), -VIO_ERANGE);
	w->config.area.addr.raw = UINT64_MAX - 7;
	assert_int_equal(probe(w), -VIO_ERANGE);
	w->config.area = (struct vio_shared){ NULL, vio_addr_make(AREA) };
	assert_int_equal(probe(w), -VIO_EINVAL);
}

/* spec: DRV-CCW-004 DRV-CCW-007 DRV-CCW-008; hostile: B48 */
static void tries_revisions_from_above(void **state)
{
	const bool transitional = VIO_LE16_RAW(1) == 1;
	struct wire *w = *state;

	assert_int_equal(probe(w), 0);
	assert_int_equal(w->revisions_tried, 2);
	assert_int_equal(w->revisions[0], 2);
	assert_int_equal(w->revisions[1], 1);
	assert_int_equal(w->ccw.revision, 1);
	assert_false(w->dev.legacy);
	/* One that doesn't know the command. */
	reject(w, CCW_CMD_SET_VIRTIO_REV);
	assert_int_equal(probe(w), transitional ? 0 : -VIO_ENOTSUP);
	assert_int_equal(w->revisions_tried, transitional ? 3 : 2);
	if (transitional)
		assert_true(w->dev.legacy);
	/* Anything else than a command reject ends it. */
	refuse(w, CCW_CMD_SET_VIRTIO_REV, 0x10, CCW_SENSE_BYTES);
	assert_int_equal(probe(w), -VIO_EIO);
	refuse(w, CCW_CMD_SET_VIRTIO_REV, CCW_SENSE_COMMAND_REJECT, 0);
	assert_int_equal(probe(w), -VIO_EIO);
	assert_int_equal(w->revisions_tried, 1);
	w->lie = (struct vio_ccw_status){ 0, CCW_CSTAT_PROGRAM_CHECK, UINT16_MAX };
	assert_int_equal(probe(w), -VIO_ERANGE);
}

/* spec: DRV-CCW-003 DRV-CCW-005 DRV-CCW-006 DRV-CCW-010 DRV-CCW-011 */
static void makes_no_mistake(void **state)
{
	struct wire *w = *state;
	uint32_t sum, word;

	assert_int_equal(probe(w), 0);
	for (unsigned life = 0; life < 3; life++) {
		assert_int_equal(bind(w), 0);
		assert_int_equal(w->ccw.adapter, (w->config.flags & VIO_CCW_ADAPTER) != 0);
		for (uint32_t number = 0; number < 50; number++) {
			assert_int_equal(adder_driver_add(&w->dev, number, &sum), 0);
			assert_int_equal(sum, number + 1);
		}
		assert_int_equal(vio_dev_write_config32(&w->dev, 0, 0xa1b2c3d4), 0);
		assert_int_equal(vio_dev_read_config32(&w->dev, 0, &word), 0);
		assert_int_equal(word, 0xa1b2c3d4);
		vio_device_config_changed(&w->device);
		w->status_reads = 0;
		assert_true(vio_dev_interrupt(&w->dev) & VIO_INTERRUPT_CONFIG);
		assert_false(vio_dev_broken(&w->dev));
		assert_int_equal(w->status_reads, w->ccw.revision >= VIRTIO_CCW_REV_STATUS);
		assert_int_equal(vio_dev_reset(&w->dev), 0);
		assert_int_equal(adder_driver_start(&w->dev), 0);
		assert_int_equal(adder_driver_add(&w->dev, 7, &sum), 0);
		assert_int_equal(vio_driver_unbind(&w->dev), 0);
		assert_int_equal(w->device.status, 0);
	}
	w->strict = false;
	assert_int_equal(bind(w), 0);
	assert_int_equal(vio_dev_read_config32(&w->dev, 400, &word), -VIO_ERANGE);
	assert_int_equal(vio_dev_read_config32(&w->dev, UINT32_MAX - 3, &word), -VIO_ERANGE);
	assert_int_equal(vio_dev_write_config32(&w->dev, 400, word), -VIO_ERANGE);
}

/* spec: DRV-CCW-012 DRV-CCW-MAY-001, the next interrupt is one again. */
static void clears_the_summary(void **state)
{
	struct wire *w = *state;

	assert_int_equal(probe(w), 0);
	assert_int_equal(bind(w), 0);
	for (unsigned i = 0; i < 5; i++) {
		w->interrupts = 0;
		assert_false(vio_ccw_driver_pending(&w->dev));
		w->device.events->queue_interrupt(w->device.events_context, 0);
		assert_int_equal(w->interrupts, 1);
		assert_true(vio_ccw_driver_pending(&w->dev));
		w->device.events->queue_interrupt(w->device.events_context, 0);
		assert_int_equal(w->interrupts, 1);
		assert_int_equal(vio_dev_interrupt(&w->dev), VIO_INTERRUPT_QUEUE);
		assert_int_equal(vio_dev_interrupt(&w->dev), 0);
	}
	w->device.events->config_interrupt(w->device.events_context);
	assert_true(vio_ccw_driver_pending(&w->dev));
	assert_int_equal(vio_dev_interrupt(&w->dev), VIO_INTERRUPT_CONFIG);
	assert_false(vio_ccw_driver_pending(&w->dev));
}

/* Two-stage indicators are a wish, classic ones have to be had. */
static void takes_the_indicators_there_are(void **state)
{
	struct wire *w = *state;
	uint32_t sum;

	assert_int_equal(probe(w), 0);
	reject(w, CCW_CMD_SET_IND_ADAPTER);
	assert_int_equal(bind(w), 0);
	assert_false(w->ccw.adapter);
	assert_int_equal(adder_driver_add(&w->dev, 1, &sum), 0);
	assert_int_equal(vio_driver_unbind(&w->dev), 0);
	reject(w, CCW_CMD_SET_CONF_IND);
	assert_int_equal(bind(w), -VIO_EPEER);
	refuse(w, CCW_CMD_SET_IND_ADAPTER, 0x10, CCW_SENSE_BYTES);
	assert_int_equal(bind(w), -VIO_EPEER);
	honest(w);
	assert_int_equal(bind(w), 0);
}

/* spec: DRV-CCW-009 */
static void a_refused_status_is_not_had(void **state)
{
	struct wire *w = *state;

	assert_int_equal(probe(w), 0);
	reject(w, CCW_CMD_WRITE_STATUS);
	assert_int_equal(bind(w), -VIO_ENOTSUP);
	assert_int_equal(w->ccw.status, 0);
	assert_int_equal(w->device.status, 0);
	reject(w, CCW_CMD_WRITE_FEAT); /* features that the device hasn't got aren't agreed on */
	assert_int_equal(bind(w), -VIO_ENOTSUP);
	assert_false(w->device.status & VIRTIO_CONFIG_S_FEATURES_OK);
	honest(w);
	assert_int_equal(bind(w), 0);
}

/* spec: DRV-CCW-013 */
static void cookies_are_handed_back(void **state)
{
	struct wire *w = *state;
	int64_t before = 0;
	uint32_t sum;

	assert_int_equal(probe(w), 0);
	assert_int_equal(bind(w), 0);
	w->cookie_seen = -1;
	for (int64_t next = 0x1234567890; next < 0x1234567894; next++) {
		w->cookie_next = next;
		assert_int_equal(adder_driver_add(&w->dev, 1, &sum), 0);
		assert_int_equal(w->cookie_seen, before);
		before = next;
	}
	w->cookie_next = -1; /* no cookie: the last one stays */
	assert_int_equal(adder_driver_add(&w->dev, 1, &sum), 0);
	assert_int_equal(adder_driver_add(&w->dev, 1, &sum), 0);
	assert_int_equal(w->cookie_seen, before);
	assert_int_equal(vio_dev_reset(&w->dev), 0); /* forgets them */
	assert_int_equal(adder_driver_start(&w->dev), 0);
	assert_int_equal(adder_driver_add(&w->dev, 1, &sum), 0);
	assert_int_equal(w->cookie_seen, 0);
}

/* spec: DRV-CCW-MAY-002 DRV-CCW-MAY-003; hostile: B48 B49 */
static void a_reset_that_never_ends(void **state)
{
	struct wire *w = *state;
	uint32_t sum;

	assert_int_equal(probe(w), 0);
	if (w->ccw.revision >= VIRTIO_CCW_REV_STATUS) {
		patch(w, CCW_CMD_READ_STATUS, 0, 1, 1);
		assert_int_equal(bind(w), -VIO_EAGAIN);
		honest(w);
		reject(w, CCW_CMD_READ_STATUS); /* whoever doesn't tell may still be at work */
		assert_int_equal(bind(w), -VIO_EAGAIN);
	} else {
		reject(w, CCW_CMD_VDEV_RESET);
		assert_int_equal(bind(w), -VIO_EAGAIN);
	}
	assert_int_equal(w->platform.taken, 0);
	honest(w);
	assert_int_equal(bind(w), 0);
	assert_int_equal(adder_driver_add(&w->dev, 1, &sum), 0);
}

/* hostile: B42 B51 */
static void queues_that_are_not_taken(void **state)
{
	struct wire *w = *state;

	assert_int_equal(probe(w), 0);
	reject(w, CCW_CMD_SET_VQ);
	assert_int_equal(bind(w), -VIO_EPEER);
	reject(w, CCW_CMD_READ_VQ_CONF);
	assert_int_equal(bind(w), -VIO_ENOENT);
	honest(w);
	patch(w, CCW_CMD_READ_VQ_CONF, 2, 0, 2);
	assert_int_equal(bind(w), -VIO_ENOENT);
	assert_int_equal(w->platform.taken, 0);
	honest(w);
	assert_int_equal(bind(w), 0);
}

#define OVER(name, which)                                                  \
	{                                                                  \
#name " (" #which ")", name, setup_##which, teardown, NULL \
	}
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
/* What needs a legacy device can be seen on a little-endian machine only. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define LEGACY(name) OVER(name, legacy)
#else
#define LEGACY(name) OVER(legacy_is_refused, legacy)

static void legacy_is_refused(void **state)
{
	assert_int_equal(probe(*state), -VIO_ENOTSUP);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(knows_the_control_unit),
		TEST(the_area_has_to_be_in_reach),
		OVER(tries_revisions_from_above, older),
		TEST(makes_no_mistake),
		OVER(makes_no_mistake, classic),
		OVER(makes_no_mistake, older),
		LEGACY(makes_no_mistake),
		TEST(clears_the_summary),
		TEST(takes_the_indicators_there_are),
		TEST(a_refused_status_is_not_had),
		OVER(a_refused_status_is_not_had, older),
		TEST(cookies_are_handed_back),
		TEST(a_reset_that_never_ends),
		OVER(a_reset_that_never_ends, older),
		TEST(queues_that_are_not_taken),
		LEGACY(queues_that_are_not_taken),
	};

	return cmocka_run_group_tests_name("transport-ccw-driver", tests, NULL, NULL);
}
