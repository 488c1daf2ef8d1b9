/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/rig.h"

#include <string.h>

#include <vireo/devices/adder.h>
#include <vireo/devices/caesar.h>
#include <vireo/devices/rng.h>
#include <vireo/drivers/adder.h>
#include <vireo/drivers/caesar.h>
#include <vireo/drivers/rng.h>

#include "drivers/liar.h"

/* The drivers of one request at a time against Vireo's own devices, over every transport. */

static const struct rig_options adder_options = { .class = &vio_adder_class, .remote = true };
static const struct rig_options adder_here = { .class = &vio_adder_class };

static void adder_body(struct rig *rig)
{
	uint32_t sum, status;

	assert_int_equal(vio_adder_add(&rig->dev, 1, &sum), -VIO_EINVAL);
	assert_int_equal(vio_adder_start(&rig->dev), -VIO_EINVAL);
	assert_int_equal(vio_adder_get_status(&rig->dev, &status), -VIO_EINVAL);
	assert_int_equal(vio_adder_set_status(&rig->dev, 1), -VIO_EINVAL);
	assert_int_equal(rig_bind(rig, &vio_adder_driver), 0);
	for (uint32_t number = UINT32_MAX - 20; number != 20; number++) {
		assert_int_equal(vio_adder_add(&rig->dev, number, &sum), 0);
		assert_int_equal(sum, number + 1);
	}
	assert_int_equal(vio_adder_get_status(&rig->dev, &status), 0);
	assert_int_equal(status, VIRTIO_ADDER_STATUS_INITIAL);
	assert_int_equal(vio_adder_set_status(&rig->dev, 0x12345678), 0);
	assert_int_equal(vio_adder_get_status(&rig->dev, &status), 0);
	assert_int_equal(status, 0x12345678);
	assert_int_equal(rig->device.fault_count, 0);
	assert_int_equal(rig->platform.shared, 0);
	assert_int_equal(vio_adder_start(&rig->dev), 0);
	assert_int_equal(vio_adder_add(&rig->dev, 6, &sum), 0);
	assert_int_equal(sum, 7);
}

static void adder_adds(void **state)
{
	rig_each(&adder_options, adder_body);
}

static const struct rig_options caesar_options = { .class = &vio_caesar_class, .remote = true };

static void caesar_changed(struct vio_dev *dev)
{
	++*(unsigned *)dev->owner;
}

static void caesar_texts_body(struct rig *rig)
{
	static const char text[] = "The quick brown fox, JUMPS over 13 lazy dogs.";
	char to[sizeof(text)], long_text[70000];

	assert_int_equal(vio_caesar_transform(&rig->dev, text, to, 1), -VIO_EINVAL);
	assert_int_equal(rig_bind(rig, &vio_caesar_driver), 0);
	assert_int_equal(vio_caesar_transform(&rig->dev, text, to, sizeof(text)), 0);
	assert_string_equal(to, "Wkh txlfn eurzq ira, MXPSV ryhu 13 odcb grjv.");
	assert_int_equal(vio_caesar_set_mode(&rig->dev, VIRTIO_CAESAR_MODE_DECIPHER), 0);
	assert_int_equal(vio_caesar_transform(&rig->dev, to, to, sizeof(to)), 0);
	assert_string_equal(to, text);
	assert_int_equal(vio_caesar_transform(&rig->dev, text, to, 0), 0);
	memset(long_text, 'a', sizeof(long_text));
	assert_int_equal(vio_caesar_transform(&rig->dev, long_text, long_text, sizeof(long_text)), 0);
	for (size_t i = 0; i < sizeof(long_text); i++)
		assert_int_equal(long_text[i], 'x');
}

static void caesar_transforms(void **state)
{
	rig_each(&caesar_options, caesar_texts_body);
}

static void caesar_config_body(struct rig *rig)
{
	unsigned changes = 0;
	uint8_t shift, mode;

	assert_int_equal(vio_caesar_get(&rig->dev, &shift, &mode), -VIO_EINVAL);
	assert_int_equal(vio_caesar_set_shift(&rig->dev, 1), -VIO_EINVAL);
	assert_int_equal(vio_caesar_set_mode(&rig->dev, 1), -VIO_EINVAL);
	assert_int_equal(rig_bind(rig, &vio_caesar_driver), 0);
	assert_int_equal(vio_caesar_get(&rig->dev, &shift, &mode), 0);
	assert_int_equal(shift, 3);
	assert_int_equal(mode, VIRTIO_CAESAR_MODE_ENCIPHER);
	assert_int_equal(vio_caesar_set_shift(&rig->dev, VIRTIO_CAESAR_SHIFT_MAX + 1), -VIO_ERANGE);
	assert_int_equal(vio_caesar_set_mode(&rig->dev, 2), -VIO_ERANGE);
	assert_int_equal(vio_caesar_set_shift(&rig->dev, VIRTIO_CAESAR_SHIFT_MAX), 0);
	/* Nobody listens yet. */
	assert_int_equal(vio_device_set_property(&rig->device, "mode", 4, "decipher"), 0);
	rig_run(rig);
	rig->dev.owner = &changes;
	((struct vio_caesar *)rig->dev.driver_state)->changed = caesar_changed;
	assert_int_equal(vio_device_set_property(&rig->device, "shift", 5, "7"), 0);
	rig_run(rig);
	assert_int_equal(changes, 1);
	assert_int_equal(vio_caesar_get(&rig->dev, &shift, &mode), 0);
	assert_int_equal(shift, 7);
	assert_int_equal(mode, VIRTIO_CAESAR_MODE_DECIPHER);
	assert_int_equal(vio_caesar_start(&rig->dev), 0);
	assert_int_equal(rig->device.fault_count, 0);
}

static void caesar_configuration_has_two_masters(void **state)
{
	rig_each(&caesar_options, caesar_config_body);
}

static void caesar_stubborn_body(struct rig *rig)
{
	struct liar *liar = rig->options->context;
	uint8_t shift, mode;

	assert_int_equal(rig_bind(rig, &vio_caesar_driver), 0);
	liar->offset = 0;
	liar->width = 1; /* shift is 9, whatever the driver writes */
	liar->value = 9;
	assert_int_equal(vio_caesar_set_shift(&rig->dev, 8), -VIO_EAGAIN);
	assert_int_equal(vio_caesar_set_shift(&rig->dev, 9), 0);
	liar->value = VIRTIO_CAESAR_SHIFT_MAX + 1;
	assert_int_equal(vio_caesar_get(&rig->dev, &shift, &mode), -VIO_EPEER);
	liar->value = 0;
	liar->offset = 1;
	assert_int_equal(vio_caesar_set_mode(&rig->dev, VIRTIO_CAESAR_MODE_DECIPHER), -VIO_EAGAIN);
	liar->value = VIRTIO_CAESAR_MODE_DECIPHER + 1;
	assert_int_equal(vio_caesar_get(&rig->dev, &shift, &mode), -VIO_EPEER);
	liar->width = 0;
}

static void furnish_liar(struct vio_device *device, void *context)
{
	liar_take_over(context, device);
}

static void caesar_doubts_what_it_reads(void **state)
{
	struct liar liar = { .lie = NULL };
	const struct rig_options options = {
		.class = &vio_caesar_class,
		.furnish = furnish_liar,
		.context = &liar,
	};

	rig_each(&options, caesar_stubborn_body);
}

struct counter {
	struct vio_entropy entropy;
	uint8_t next;
	int most; /* bytes of one fill */
};

static int count_on(struct vio_entropy *entropy, void *to, size_t length)
{
	struct counter *counter = VIO_CONTAINER_OF(entropy, struct counter, entropy);
	uint8_t *at = to;
	int filled = 0;

	while (filled < counter->most && (size_t)filled < length)
		at[filled++] = counter->next++;
	return filled;
}

static void furnish_counter(struct vio_device *device, void *context)
{
	struct counter *counter = context;

	counter->next = 0;
	assert_int_equal(vio_rng_attach(device, &counter->entropy), 0);
}

static void rng_body(struct rig *rig)
{
	struct counter *counter = rig->options->context;
	uint8_t bytes[3000];
	uint32_t got = 0;

	assert_int_equal(vio_rng_read(&rig->dev, bytes, 1, &got), -VIO_EINVAL);
	assert_int_equal(vio_rng_start(&rig->dev), -VIO_EINVAL);
	assert_int_equal(rig_bind(rig, &vio_rng_driver), 0);
	assert_int_equal(vio_rng_read(&rig->dev, bytes, 0, &got), -VIO_EINVAL);
	/* "max-bytes" of the device cuts it: spec: DRV-RNG-002 */
	assert_int_equal(vio_rng_read(&rig->dev, bytes, 1001, &got), 0);
	assert_int_equal(got, 1000);
	assert_int_equal(vio_rng_fill(&rig->dev, bytes + got, sizeof(bytes) - got), 0);
	for (size_t i = 0; i < sizeof(bytes); i++)
		assert_int_equal(bytes[i], i & 0xff);
	assert_int_equal(vio_rng_fill(&rig->dev, bytes, 0), 0);

	/* A source that has nothing: the device keeps the buffer, and is reset for it. hostile: B29 */
	counter->most = 0;
	assert_int_equal(vio_rng_read(&rig->dev, bytes, 10, &got), -VIO_EAGAIN);
	assert_int_equal(rig->dev.phase, VIO_DEV_RESET);
	assert_int_equal(rig->platform.shared, 0);
	assert_int_equal(vio_rng_read(&rig->dev, bytes, 10, &got), -VIO_EPEER);
	counter->most = 1 << 20;
	assert_int_equal(vio_rng_start(&rig->dev), 0);
	assert_int_equal(vio_rng_read(&rig->dev, bytes, 10, &got), 0);
	assert_int_equal(got, 10);
	assert_int_equal(rig->device.fault_count, 0);
}

/* spec: DRV-RNG-001, as the device has no fault to tell of */
static void rng_gives_what_the_device_gave(void **state)
{
	struct counter counter = { .entropy.fill = count_on, .most = 1 << 20 };
	static const char *const properties[] = { "max-bytes=1000", NULL };
	const struct rig_options options = {
		.class = &vio_rng_class,
		.remote = true,
		.properties = properties,
		.furnish = furnish_counter,
		.context = &counter,
	};

	rig_each(&options, rng_body);
}

/* What exchange refuses before the device sees anything, and what it leaves behind when it fails. */
static void exchange_body(struct rig *rig)
{
	vio_le32 number = vio_le32_make(1), sum;
	struct vio_part parts[VIO_EXCHANGE_PARTS_MAX + 1] = { { &number, 4 }, { &sum, 4 } };
	struct vio_dev *dev = &rig->dev;
	struct vio_sg sg = { vio_addr_make(0), 4 };
	struct vio_adder *adder;
	uint32_t written;

	assert_int_equal(rig_bind(rig, &vio_adder_driver), 0);
	adder = dev->driver_state;
	assert_int_equal(vio_dev_exchange(dev, adder->q, parts, 0, 0, NULL, 0), -VIO_EINVAL);
	assert_int_equal(vio_dev_exchange(dev, adder->q, parts, VIO_EXCHANGE_PARTS_MAX, 1, NULL, 0),
			 -VIO_EINVAL);
	parts[1].length = 0;
	assert_int_equal(vio_dev_exchange(dev, adder->q, parts, 1, 1, NULL, 0), -VIO_EINVAL);
	parts[1].length = 4;
	rig->platform.fail_after = 0;
	assert_int_equal(vio_dev_exchange(dev, adder->q, parts, 1, 1, NULL, 0), -VIO_ENOMEM);
	rig->platform.fail_after = 1;
	assert_int_equal(vio_dev_exchange(dev, adder->q, parts, 1, 1, NULL, 0), -VIO_ENOMEM);
	rig->platform.fail_after = TEST_PLATFORM_NEVER;
	assert_int_equal(rig->platform.shared, 0);
	parts[2] = parts[1];
	if (adder->q->size == 2)
		assert_int_equal(vio_dev_exchange(dev, adder->q, parts, 1, 2, NULL, 0), -VIO_EINVAL);
	assert_int_equal(vio_drvq_add(adder->q, &sg, 1, 0, &sum), 0);
	assert_int_equal(vio_dev_exchange(dev, adder->q, parts, 1, 1, NULL, 0), -VIO_EBUSY);
	assert_int_equal(dev->phase, VIO_DEV_READY);
	assert_int_equal(vio_adder_start(dev), 0);
	assert_int_equal(vio_dev_exchange(dev, adder->q, parts, 1, 1, &written, 0), 0);
	assert_int_equal(written, 4);
	assert_int_equal(vio_le32_get(sum), 2);
	if (rig->transport->pull_out) { /* hostile: B45 */
		rig->transport->pull_out(rig);
		assert_int_equal(vio_dev_exchange(dev, adder->q, parts, 1, 1, &written, 0), -VIO_EHANGUP);
		assert_int_equal(dev->phase, VIO_DEV_GONE);
		assert_int_equal(rig->platform.shared, 0);
	}
}

static void exchange_judges_first(void **state)
{
	rig_each(&adder_options, exchange_body);
}

static uint8_t never_reset(struct vio_dev *dev)
{
	return VIRTIO_CONFIG_S_NEEDS_RESET | VIRTIO_CONFIG_S_ACKNOWLEDGE;
}

static void stuck_body(struct rig *rig)
{
	const struct vio_transport_ops *honest = rig->dev.transport;
	struct vio_transport_ops stuck = *honest;
	uint32_t sum;

	assert_int_equal(rig_bind(rig, &vio_adder_driver), 0);
	stuck.get_status = never_reset;
	rig->device.queues[0].running = false; /* so that it doesn't answer */
	rig->dev.transport = &stuck;
	assert_int_equal(vio_adder_add(&rig->dev, 1, &sum), -VIO_EPEER);
	assert_int_equal(rig->dev.phase, VIO_DEV_STUCK);
	/* The device has both parts for good. */
	assert_int_equal(rig->platform.shared, 2);
	assert_int_equal(vio_adder_add(&rig->dev, 1, &sum), -VIO_EPEER);
	assert_int_equal(vio_adder_start(&rig->dev), -VIO_EAGAIN);
	assert_int_equal(rig->platform.shared, 2);
	rig->device.queues[0].running = true;
	rig->dev.transport = honest;
	assert_int_equal(vio_adder_start(&rig->dev), 0);
	assert_int_equal(vio_adder_add(&rig->dev, 1, &sum), 0);
	assert_int_equal(sum, 2);
	rig->platform.shared -= 2; /* as it was said */
}

/* hostile: B49 */
static void exchange_takes_nothing_from_a_stuck_device(void **state)
{
	rig_each(&adder_here, stuck_body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(adder_adds),
		cmocka_unit_test(caesar_transforms),
		cmocka_unit_test(caesar_doubts_what_it_reads),
		cmocka_unit_test(caesar_configuration_has_two_masters),
		cmocka_unit_test(rng_gives_what_the_device_gave),
		cmocka_unit_test(exchange_judges_first),
		cmocka_unit_test(exchange_takes_nothing_from_a_stuck_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
