/* SPDX-License-Identifier: BSD-3-Clause */
#include "transport/fake.h"

#include <string.h>

/* The driver core against a transport that is made up: every step, and every way in which it goes wrong. */

/* Puts a device into any phase. */
static void put_into(struct fake *fake, enum vio_dev_phase phase)
{
	switch (phase) {
	case VIO_DEV_SUSPENDED:
		vio_features_set(&fake->offered, VIRTIO_F_SUSPEND);
		vio_features_set(&fake->offered_later, VIRTIO_F_SUSPEND);
		assert_int_equal(fake_advance(fake, VIO_DEV_READY), 0);
		assert_int_equal(vio_dev_suspend(&fake->dev), 0);
		break;
	case VIO_DEV_RESET:
		assert_int_equal(fake_advance(fake, VIO_DEV_READY), 0);
		assert_int_equal(vio_dev_reset(&fake->dev), 0);
		break;
	case VIO_DEV_FAILED:
		fake->refused = VIRTIO_CONFIG_S_FEATURES_OK;
		assert_int_equal(fake_advance(fake, VIO_DEV_READY), -VIO_ENOTSUP);
		fake->refused = 0;
		break;
	case VIO_DEV_STUCK:
		assert_int_equal(fake_advance(fake, VIO_DEV_READY), 0);
		fake->reset_looks = FAKE_NEVER;
		assert_int_equal(vio_dev_reset(&fake->dev), -VIO_EAGAIN);
		fake->reset_looks = 0;
		break;
	case VIO_DEV_GONE:
		assert_int_equal(fake_advance(fake, VIO_DEV_READY), 0);
		fake->steps_until_gone = fake->steps;
		assert_int_equal(vio_dev_reset(&fake->dev), -VIO_EHANGUP);
		break;
	default:
		assert_int_equal(fake_advance(fake, phase), 0);
		break;
	}
	assert_int_equal(fake->dev.phase, phase);
}

static int verb_begin(struct fake *fake)
{
	return fake_begin(fake);
}

static int verb_accept(struct fake *fake)
{
	return fake_accept(fake);
}

static int verb_add_queue(struct fake *fake)
{
	struct vio_drvq *q;

	return fake_add_queue(fake, 1, &q);
}

static int verb_ready(struct fake *fake)
{
	return vio_dev_ready(&fake->dev);
}

static int verb_read_config(struct fake *fake)
{
	uint32_t value;

	return vio_dev_read_config32(&fake->dev, 0, &value);
}

static int verb_write_config(struct fake *fake)
{
	return vio_dev_write_config32(&fake->dev, 0, 1);
}

static int verb_reset_queue(struct fake *fake)
{
	return vio_dev_reset_queue(&fake->dev, 0);
}

static int verb_reenable_queue(struct fake *fake)
{
	return vio_dev_reenable_queue(&fake->dev, 0);
}

static int verb_suspend(struct fake *fake)
{
	return vio_dev_suspend(&fake->dev);
}

static int verb_resume(struct fake *fake)
{
	return vio_dev_resume(&fake->dev);
}

static int verb_wait(struct fake *fake)
{
	struct vio_drvq q = { .fault = { VIO_FAULT_STOPPED, 0, 0, 0 } };

	return vio_dev_wait(&fake->dev, &q, 1);
}

#define IN(phase) (1u << (phase))

static const struct {
	int (*verb)(struct fake *fake);
	unsigned legal; /* phases */
} verbs[] = {
	{ verb_begin, IN(VIO_DEV_FOUND) | IN(VIO_DEV_RESET) | IN(VIO_DEV_FAILED) | IN(VIO_DEV_STUCK) },
	{ verb_accept, IN(VIO_DEV_BEGUN) },
	{ verb_add_queue, IN(VIO_DEV_ACCEPTED) },
	{ verb_ready, IN(VIO_DEV_ACCEPTED) },
	{ verb_read_config,
	  IN(VIO_DEV_BEGUN) | IN(VIO_DEV_ACCEPTED) | IN(VIO_DEV_READY) | IN(VIO_DEV_SUSPENDED) },
	{ verb_write_config, IN(VIO_DEV_ACCEPTED) | IN(VIO_DEV_READY) }, /* spec: DRV-BASIC-022 */
	{ verb_reset_queue, IN(VIO_DEV_READY) },
	{ verb_suspend, IN(VIO_DEV_READY) }, /* spec: DRV-BASIC-030 */
	{ verb_resume, IN(VIO_DEV_SUSPENDED) },
	{ verb_reenable_queue, 0 }, /* only a queue that was reset */
	{ verb_wait, IN(VIO_DEV_READY) },
};

static void verbs_out_of_phase_change_nothing(void **state)
{
	struct fake *fake = *state;

	for (unsigned phase = VIO_DEV_FOUND; phase <= VIO_DEV_GONE; phase++) {
		for (unsigned i = 0; i < VIO_ARRAY_SIZE(verbs); i++) {
			struct fake before;
			int result;

			put_into(fake, phase);
			before = *fake;
			result = verbs[i].verb(fake);
			if (verbs[i].legal >> phase & 1) {
				assert_int_not_equal(result, -VIO_EPHASE);
			} else {
				assert_int_equal(result, -VIO_EPHASE);
				assert_memory_equal(&before, fake, sizeof(before));
			}
			fake_teardown(state);
			fake_setup(state);
		}
	}
}

/* spec: DRV-BASIC-001 DRV-BASIC-021 DRV-BASIC-023 */
static void steps_come_in_order(void **state)
{
	static const uint8_t expected[] = { 0, 1, 3, 11, 15, 0 };
	struct fake *fake = *state;

	assert_int_equal(fake_begin(fake), 0);
	assert_int_equal(fake->logged, 3);
	assert_int_equal(fake->features_written, 0);
	assert_int_equal(fake_accept(fake), 0);
	assert_int_equal(fake->features_written, 1);
	assert_int_equal(fake->logged, 4);
	assert_int_equal(vio_dev_ready(&fake->dev), 0);
	assert_int_equal(fake->logged, 5);
	assert_int_equal(vio_dev_end(&fake->dev), 0);
	assert_int_equal(fake->logged, sizeof(expected));
	assert_memory_equal(fake->log, expected, sizeof(expected));
	assert_int_equal(fake->dev.phase, VIO_DEV_FOUND);
}

/* spec: DRV-BASIC-024 DRV-BASIC-003, giving up says so and ends in a reset, from every phase. */
static void giving_up_is_legal_in_every_phase(void **state)
{
	struct fake *fake = *state;

	for (unsigned phase = VIO_DEV_FOUND; phase <= VIO_DEV_STUCK; phase++) {
		put_into(fake, phase);
		fake->looks = 0;
		assert_int_equal(vio_dev_end(&fake->dev), 0);
		assert_int_equal(fake->dev.phase, VIO_DEV_FOUND);
		assert_int_equal(fake->status, 0);
		assert_int_equal(fake->platform.taken, 0);
		if (phase != VIO_DEV_FOUND)
			assert_int_equal(fake->log[fake->logged - 1], 0);
		if (phase == VIO_DEV_BEGUN || phase == VIO_DEV_ACCEPTED)
			assert_true(fake->log[fake->logged - 2] & VIRTIO_CONFIG_S_FAILED);
		fake->logged = 0;
		fake->offers_read = 0;
	}
	/* Reset is, too. */
	for (unsigned phase = VIO_DEV_FOUND; phase <= VIO_DEV_STUCK; phase++) {
		put_into(fake, phase);
		assert_int_equal(vio_dev_reset(&fake->dev), 0);
		assert_int_equal(fake->dev.phase, phase == VIO_DEV_FOUND ? VIO_DEV_FOUND : VIO_DEV_RESET);
		assert_int_equal(vio_dev_end(&fake->dev), 0);
		fake->logged = 0;
	}
}

/* hostile: B42 */
static void sizes_are_cut(void **state)
{
	static const struct {
		uint32_t max;
		uint16_t wish;
		int size; /* or code */
	} cases[] = {
		{ 0, 0, -VIO_ENOENT },
		{ 1, 0, 1 },
		{ 3, 0, 2 },
		{ 16, 0, 16 },
		{ 16, 8, 8 },
		{ 16, 7, 4 },
		{ 1024, 0, 256 },
		{ 1024, 1024, 1024 },
		{ 1000, 1000, 512 },
		{ 32769, 65535, 32768 },
		{ UINT32_MAX, 0, 256 },
		{ UINT32_MAX, 65535, 32768 },
		{ UINT32_MAX, 40000, 32768 },
	};
	struct fake *fake = *state;

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(cases); i++) {
		const struct vio_queue_wish wish = { .size = cases[i].wish, .indirect_max = 2 };
		struct vio_drvq *q = NULL;
		int result;

		fake->size_max = cases[i].max;
		assert_int_equal(fake_advance(fake, VIO_DEV_ACCEPTED), 0);
		result = vio_dev_add_queue(&fake->dev, 0, &wish, &q);
		assert_int_equal(result, cases[i].size < 0 ? cases[i].size : 0);
		if (!result) {
			assert_int_equal(q->size, cases[i].size);
			assert_int_equal(fake->place.size, cases[i].size);
			assert_int_equal(vio_dev_add_queue(&fake->dev, 0, &wish, &q), -VIO_EEXIST);
		}
		assert_int_equal(vio_dev_add_queue(&fake->dev, 2, &wish, &q), -VIO_ERANGE);
		assert_int_equal(vio_dev_end(&fake->dev), 0);
		fake->logged = 0;
	}
}

/* hostile: B42 */
static void a_size_that_the_device_dictates_is_taken_or_refused(void **state)
{
	static const struct {
		uint32_t max;
		int size;
	} cases[] = { { 0, -VIO_ENOENT }, { 128, 128 }, { 3, -VIO_EPEER }, { 65536, -VIO_EPEER } };
	struct fake *fake = *state;

	if (!VIO_CONFIG_LEGACY) /* nobody else dictates one */
		skip();
	fake->ops.flags = VIO_TRANSPORT_SIZE_FIXED;
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(cases); i++) {
		const struct vio_queue_wish wish = { .size = 4 };
		struct vio_drvq *q;
		int result;

		fake->size_max = cases[i].max;
		assert_int_equal(fake_advance(fake, VIO_DEV_ACCEPTED), 0);
		result = vio_dev_add_queue(&fake->dev, 0, &wish, &q);
		assert_int_equal(result ? result : q->size, cases[i].size);
		assert_int_equal(vio_dev_end(&fake->dev), 0);
		fake->logged = 0;
	}
}

/* hostile: B51, the device may use what it saw: the memory stays until it is reset. */
static void a_queue_that_is_not_taken_keeps_its_memory(void **state)
{
	struct fake *fake = *state;
	struct vio_drvq *q = NULL;
	unsigned taken;

	fake->enable_error = -VIO_EPEER;
	assert_int_equal(fake_advance(fake, VIO_DEV_ACCEPTED), 0);
	assert_int_equal(fake_add_queue(fake, 0, &q), -VIO_EPEER);
	assert_null(q);
	taken = fake->platform.taken;
	assert_int_equal(taken, 3);
	fake->reset_looks = FAKE_NEVER;
	assert_int_equal(vio_dev_end(&fake->dev), -VIO_EAGAIN);
	assert_int_equal(fake->platform.taken, taken);
	fake->looks = 0;
	assert_int_equal(vio_dev_end(&fake->dev), 0);
	assert_int_equal(fake->platform.taken, 0);
}

/* spec: DRV-BASIC-014; hostile: B49 */
static void a_reset_takes_its_time_but_not_for_ever(void **state)
{
	struct fake *fake = *state;
	uint64_t begun;

	fake->reset_looks = 100;
	assert_int_equal(fake_advance(fake, VIO_DEV_READY), 0);
	fake->reset_looks = FAKE_NEVER;
	fake->dev.timeout_ns = 50 * VIO_DEV_TIMEOUT_NS / 100;
	begun = fake->platform.now_ns;
	assert_int_equal(vio_dev_reset(&fake->dev), -VIO_EAGAIN);
	assert_in_range(fake->platform.now_ns - begun, fake->dev.timeout_ns, fake->dev.timeout_ns * 2);
	assert_int_equal(fake->dev.phase, VIO_DEV_STUCK);
	assert_true(vio_dev_broken(&fake->dev));
	assert_int_equal(vio_dev_end(&fake->dev), -VIO_EAGAIN);
	assert_int_equal(fake->platform.taken, 3);
	assert_int_equal(fake_begin(fake), -VIO_EAGAIN);
	assert_int_equal(fake->platform.taken, 3);
	/* It comes back to its senses. */
	fake->reset_looks = 0;
	assert_int_equal(fake_advance(fake, VIO_DEV_READY), 0);
	assert_int_equal(fake->platform.taken, 3);
}

static void a_device_stuck_without_memory_is_let_go(void **state)
{
	struct fake *fake = *state;

	fake->reset_looks = FAKE_NEVER;
	assert_int_equal(fake_begin(fake), -VIO_EAGAIN);
	assert_int_equal(fake->dev.phase, VIO_DEV_STUCK);
	assert_int_equal(vio_dev_end(&fake->dev), 0);
	assert_int_equal(fake->dev.phase, VIO_DEV_FOUND);
}

/* spec: DRV-RING-001; hostile: B50 */
static void a_queue_reset_takes_its_time_but_not_for_ever(void **state)
{
	const struct vio_sg sg = { vio_addr_make(TEST_PLATFORM_BASE), 4 };
	struct fake *fake = *state;
	struct vio_drvq *q;
	uint64_t begun;

	assert_int_equal(fake_advance(fake, VIO_DEV_READY), 0);
	fake->queue_reset_looks = 100;
	assert_int_equal(vio_dev_reset_queue(&fake->dev, 0), 0);
	q = &fake->dev.queues[0].q;
	assert_false(vio_drvq_pending(q));
	assert_int_equal(vio_dev_reenable_queue(&fake->dev, 0), 0);
	fake->queue_reset_looks = FAKE_NEVER;
	begun = fake->platform.now_ns;
	assert_int_equal(vio_dev_reset_queue(&fake->dev, 0), -VIO_EAGAIN);
	assert_in_range(fake->platform.now_ns - begun, VIO_DEV_TIMEOUT_NS, VIO_DEV_TIMEOUT_NS * 2);
	assert_int_equal(vio_dev_reenable_queue(&fake->dev, 0), -VIO_EPHASE);
	fake->looks = 0;
	assert_int_equal(vio_dev_reset(&fake->dev), 0);
	assert_int_equal(fake_advance(fake, VIO_DEV_READY), 0);
	/* Refused by the device, it stays to be re-enabled. */
	fake->queue_reset_looks = 0;
	assert_int_equal(vio_dev_reset_queue(&fake->dev, 0), 0);
	fake->enable_error = -VIO_EPEER;
	assert_int_equal(vio_dev_reenable_queue(&fake->dev, 0), -VIO_EPEER);
	assert_int_equal(vio_drvq_add(q, &sg, 1, 0, fake), -VIO_EPEER);
	fake->enable_error = 0;
	assert_int_equal(vio_dev_reenable_queue(&fake->dev, 0), 0);
	fake->ops.queue_reset = NULL;
	assert_int_equal(vio_dev_reset_queue(&fake->dev, 0), -VIO_ENOTSUP);
}

/* spec: DRV-BASIC-016; hostile: B39 */
static void a_configuration_that_never_rests_is_given_up(void **state)
{
	struct fake *fake = *state;
	uint64_t value;
	uint8_t bytes[200];

	assert_int_equal(fake_begin(fake), 0);
	fake->unstable_reads = 50;
	assert_int_equal(vio_dev_read_config64(&fake->dev, 0, &value), 0);
	assert_int_equal(value, UINT64_C(0x4d4d4d4d4d4d4d4d));
	assert_int_equal(fake->config_reads, 51);
	fake->config_reads = 0;
	fake->unstable_reads = UINT32_MAX;
	assert_int_equal(vio_dev_read_config64(&fake->dev, 0, &value), -VIO_EAGAIN);
	assert_int_equal(fake->config_reads, VIO_DEV_CONFIG_TRIES);
	assert_int_equal(vio_dev_read_config(&fake->dev, 200, bytes, 57), -VIO_ERANGE);
}

/* spec: DRV-BASIC-020; hostile: B39 */
static void a_legacy_configuration_is_read_until_two_agree(void **state)
{
	struct fake *fake = *state;
	uint8_t bytes[200];

	fake->dev.legacy = true;
	assert_int_equal(fake_begin(fake), 0);
	fake->unstable_reads = 50;
	assert_int_equal(vio_dev_read_config(&fake->dev, 0, bytes, sizeof(bytes)), 0);
	for (unsigned i = 0; i < sizeof(bytes); i++)
		assert_int_equal(bytes[i], 77);
	fake->config_reads = 0;
	fake->unstable_reads = UINT32_MAX;
	assert_int_equal(vio_dev_read_config(&fake->dev, 0, bytes, sizeof(bytes)), -VIO_EAGAIN);
	assert_in_range(fake->config_reads, VIO_DEV_CONFIG_TRIES, 5 * VIO_DEV_CONFIG_TRIES);
}

/* A whole life with whatever comes: an error at most, and everything is given back. */
static void live(struct fake *fake)
{
	const struct vio_sg sg = { vio_addr_make(TEST_PLATFORM_BASE), 4 };
	struct vio_drvq *q = NULL;
	uint32_t value;
	int error = fake_begin(fake);

	if (!error)
		error = vio_dev_read_config32(&fake->dev, 4, &value);
	if (!error)
		error = fake_accept(fake);
	if (!error)
		error = fake_add_queue(fake, 0, &q);
	if (!error)
		error = fake_add_queue(fake, 1, &q);
	if (!error)
		error = vio_dev_ready(&fake->dev);
	if (!error)
		error = vio_drvq_add(q, &sg, 1, 0, fake);
	if (!error) {
		vio_drvq_kick(q);
		assert_int_not_equal(vio_dev_wait(&fake->dev, q, 1000), 0);
		vio_dev_interrupt(&fake->dev);
		error = vio_dev_reset_queue(&fake->dev, 0);
	}
	if (!error)
		error = vio_dev_reenable_queue(&fake->dev, 0);
	if (!error)
		vio_dev_reset(&fake->dev);
	assert_int_equal(vio_dev_end(&fake->dev), 0);
	assert_int_equal(fake->platform.taken, 0);
}

static uint32_t steps_of_a_life(void **state)
{
	struct fake *fake = *state;
	uint32_t steps;

	live(fake);
	steps = fake->steps;
	assert_in_range(steps, 20, 1000);
	assert_int_equal(fake->dev.phase, VIO_DEV_FOUND);
	return steps;
}

/* hostile: B45, at every single access. */
static void may_be_pulled_out_at_every_step(void **state)
{
	uint32_t steps = steps_of_a_life(state);

	for (uint32_t at = 0; at < steps; at++) {
		struct fake *fake = *state;

		fake_teardown(state);
		fake_setup(state);
		fake->steps_until_gone = at;
		live(fake);
		/* But for the last access, which wants no answer, it was noticed. */
		assert_int_equal(fake->dev.phase, at + 1 < steps ? VIO_DEV_GONE : fake->dev.phase);
	}
}

/* hostile: B37, at every single access. */
static void may_need_a_reset_at_every_step(void **state)
{
	uint32_t steps = steps_of_a_life(state);

	for (uint32_t at = 0; at < steps; at++) {
		struct fake *fake = *state;

		fake_teardown(state);
		fake_setup(state);
		fake->steps_until_needs_reset = at;
		live(fake);
		assert_int_equal(fake->dev.phase, VIO_DEV_FOUND);
		assert_int_equal(fake->status, 0);
		/* It did come, but for the accesses behind the last reset. */
		assert_true(fake->needs_reset || at + 5 > steps);
	}
}

/* hostile: B29 B34 */
static void waits_end(void **state)
{
	struct fake *fake = *state;
	struct vio_drvq *q;
	uint64_t begun;

	assert_int_equal(fake_advance(fake, VIO_DEV_READY), 0);
	q = &fake->dev.queues[0].q;
	for (uint64_t timeout = 1; timeout < UINT64_C(10000000000); timeout *= 10) {
		begun = fake->platform.now_ns;
		assert_int_equal(vio_dev_wait(&fake->dev, q, timeout), -VIO_EAGAIN);
		assert_in_range(fake->platform.now_ns - begun, timeout, timeout * 2 + 10000);
	}
	assert_true(q->callbacks_off); /* as nobody wanted to be called */
	/* hostile: B37, also where it would wait for ever. */
	fake->steps_until_needs_reset = fake->steps + 3;
	assert_int_equal(vio_dev_wait(&fake->dev, q, 0), -VIO_EPEER);
}

static void count_config(struct vio_dev *dev)
{
	(*(unsigned *)dev->driver_state)++;
}

static int probe(struct vio_dev *dev)
{
	return fake_advance(dev->transport_context, VIO_DEV_READY);
}

static int probe_halfway(struct vio_dev *dev)
{
	int error = fake_advance(dev->transport_context, VIO_DEV_ACCEPTED);

	return error ? error : -VIO_EINVAL;
}

static const uint32_t ids[] = { VIRTIO_ID_RNG, VIRTIO_ID_ADDER, 0 };
static const uint32_t other_ids[] = { VIRTIO_ID_RNG, 0 };
static const struct vio_driver whole = { .name = "whole",
					 .ids = ids,
					 .state_bytes = sizeof(unsigned),
					 .probe = probe,
					 .config_changed = count_config };
static const struct vio_driver halfway = { .name = "halfway", .ids = ids, .probe = probe_halfway };
static const struct vio_driver other = { .name = "other", .ids = other_ids, .probe = probe };

/* hostile: B35 B36 */
static void interrupts_count_only_while_ready(void **state)
{
	struct fake *fake = *state;
	unsigned changes = 1;

	fake->dev.platform = NULL;
	assert_int_equal(vio_driver_bind(&fake->dev, &whole, &fake->platform.platform, &changes), 0);
	assert_int_equal(changes, 0);
	fake->causes = VIO_INTERRUPT_CONFIG | VIO_INTERRUPT_QUEUE;
	assert_int_equal(vio_dev_interrupt(&fake->dev), VIO_INTERRUPT_CONFIG | VIO_INTERRUPT_QUEUE);
	assert_int_equal(changes, 1);
	for (unsigned phase = VIO_DEV_FOUND; phase <= VIO_DEV_GONE; phase++) {
		if (phase == VIO_DEV_READY)
			continue;
		assert_int_equal(vio_dev_end(&fake->dev), 0);
		put_into(fake, phase);
		fake->causes = VIO_INTERRUPT_CONFIG | VIO_INTERRUPT_QUEUE;
		vio_dev_interrupt(&fake->dev);
		vio_dev_interrupt_config(&fake->dev);
		vio_dev_interrupt_queue(&fake->dev, 0);
		assert_int_equal(changes, 1);
		fake->looks = 0;
		fake->logged = 0;
	}
	assert_int_equal(vio_dev_close(&fake->dev), 0);
	assert_int_equal(fake->closed, 1);
}

static void drivers_match_and_bind(void **state)
{
	const struct vio_driver *const none[] = { &other, NULL };
	const struct vio_driver *const some[] = { &other, &whole, &halfway, NULL };
	struct fake *fake = *state;
	struct vio_dev *dev = &fake->dev;
	unsigned own;

	dev->platform = NULL;
	assert_null(vio_driver_match(none, dev));
	assert_ptr_equal(vio_driver_match(some, dev), &whole);
	assert_int_equal(vio_driver_bind(dev, &halfway, &fake->platform.platform, NULL), -VIO_EINVAL);
	assert_int_equal(dev->phase, VIO_DEV_FOUND);
	assert_int_equal(fake->log[fake->logged - 2], 11 | VIRTIO_CONFIG_S_FAILED);
	assert_null(dev->driver);
	assert_null(dev->platform);
	assert_int_equal(vio_driver_bind(dev, &whole, &fake->platform.platform, &own), 0);
	assert_int_equal(vio_driver_bind(dev, &whole, &fake->platform.platform, &own), -VIO_EBUSY);
	/* hostile: B49 B32, the driver's memory stays the device's until it lets go. */
	fake->reset_looks = FAKE_NEVER;
	assert_int_equal(vio_driver_unbind(dev), -VIO_EAGAIN);
	assert_int_equal(vio_dev_close(dev), -VIO_EAGAIN);
	assert_int_equal(fake->closed, 0);
	assert_int_equal(fake->platform.taken, 3);
	assert_int_equal(vio_driver_bind(dev, &whole, &fake->platform.platform, &own), -VIO_EBUSY);
	fake->looks = 0;
	assert_int_equal(vio_dev_close(dev), 0);
	assert_int_equal(fake->closed, 1);
	assert_int_equal(fake->platform.taken, 0);
}

/* spec: DRV-BASIC-028, what the device may be reading stays as it is, whatever else happens on the queue. */
static void buffers_that_are_out_are_left_alone(void **state)
{
	struct fake *fake = *state;
	struct vio_sg sg = { vio_addr_make(TEST_PLATFORM_BASE), 16 };
	const uint8_t *descriptors, *entries;
	uint8_t descriptor[16], entry[2];
	struct vio_drvq *q;
	uint32_t written;

	assert_int_equal(fake_advance(fake, VIO_DEV_ACCEPTED), 0);
	assert_int_equal(fake_add_queue(fake, 0, &q), 0);
	assert_int_equal(vio_dev_ready(&fake->dev), 0);
	assert_int_equal(vio_drvq_add(q, &sg, 0, 1, fake), 0);
	vio_drvq_kick(q);
	descriptors = fake->dev.queues[0].ring.host;
	entries = descriptors + sizeof(descriptor) * q->size + 4;
	memcpy(descriptor, descriptors, sizeof(descriptor));
	memcpy(entry, entries, sizeof(entry));
	for (unsigned more = 1; more < q->size; more++) {
		assert_int_equal(vio_drvq_add(q, &sg, 1, 0, fake), 0);
		vio_drvq_disable_cb(q);
		vio_drvq_kick(q);
		assert_null(vio_drvq_get(q, &written));
		vio_drvq_enable_cb(q);
		assert_memory_equal(entry, entries, sizeof(entry));
		assert_memory_equal(descriptor, descriptors, sizeof(descriptor));
	}
	assert_int_equal(vio_dev_reset(&fake->dev), 0);
	while (vio_drvq_detach_unused(q))
		continue;
}

static void note_phase(struct vio_dev *dev)
{
	unsigned *phases = dev->driver_state;

	(void)vio_dev_reset(dev);
	*phases = *phases << 4 | dev->phase;
}

/* hostile: B49, removal is called once more when the device has let go or is gone; nothing waits for it. */
static void removal_has_a_second_chance(void **state)
{
	static const struct vio_driver driver = { .name = "notes",
						  .ids = ids,
						  .state_bytes = sizeof(unsigned),
						  .probe = probe,
						  .remove = note_phase };
	struct fake *fake = *state;
	struct vio_dev *dev = &fake->dev;
	unsigned phases;

	for (unsigned gone = 0; gone < 2; gone++) {
		assert_int_equal(vio_driver_bind(dev, &driver, &fake->platform.platform, &phases), 0);
		fake->reset_looks = FAKE_NEVER;
		assert_int_equal(vio_driver_unbind(dev), -VIO_EAGAIN);
		assert_int_equal(phases, VIO_DEV_STUCK);
		for (unsigned tries = 0; tries < 10; tries++) {
			uint64_t now_ns = fake->platform.now_ns;

			assert_int_equal(vio_driver_unbind(dev), -VIO_EAGAIN);
			assert_int_equal(fake->platform.now_ns, now_ns);
		}
		assert_int_equal(phases, VIO_DEV_STUCK);
		assert_ptr_equal(dev->driver, &driver);
		assert_int_equal(fake->platform.taken, 3);
		fake->reset_looks = fake->looks = 0;
		if (gone)
			fake->steps_until_gone = fake->steps;
		assert_int_equal(vio_driver_unbind(dev), 0);
		assert_int_equal(phases, VIO_DEV_STUCK << 4 | (gone ? VIO_DEV_GONE : VIO_DEV_RESET));
		assert_int_equal(fake->platform.taken, 0);
		assert_null(dev->driver);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_setup, fake_teardown)

/* A device that doesn't stop, breaks, or doesn't go on is given up; it never has to. hostile: B49 */
static void suspending_takes_its_time_but_not_for_ever(void **state)
{
	struct fake *fake = *state;

	vio_features_set(&fake->offered, VIRTIO_F_SUSPEND);
	fake->offered_later = fake->offered;
	/* It keeps DRIVER_OK, so that nobody knows what it does. */
	fake->never_suspends = true;
	assert_int_equal(fake_advance(fake, VIO_DEV_READY), 0);
	assert_int_equal(vio_dev_suspend(&fake->dev), -VIO_EAGAIN);
	assert_int_equal(fake->dev.phase, VIO_DEV_FAILED);
	assert_int_equal(vio_dev_reset(&fake->dev), 0);
	fake->never_suspends = false;
	/* It doesn't go on. */
	assert_int_equal(fake_advance(fake, VIO_DEV_READY), 0);
	assert_int_equal(vio_dev_suspend(&fake->dev), 0);
	fake->never_suspends = true;
	assert_int_equal(vio_dev_resume(&fake->dev), -VIO_EAGAIN);
	assert_int_equal(fake->dev.phase, VIO_DEV_FAILED);
	assert_int_equal(vio_dev_reset(&fake->dev), 0);
	fake->never_suspends = false;
	/* It doesn't take the bit. */
	fake->refused = VIRTIO_CONFIG_S_SUSPEND;
	assert_int_equal(fake_advance(fake, VIO_DEV_READY), 0);
	assert_int_equal(vio_dev_suspend(&fake->dev), -VIO_EAGAIN);
	assert_int_equal(vio_dev_reset(&fake->dev), 0);
	fake->refused = 0;
	/* hostile: B37 */
	assert_int_equal(fake_advance(fake, VIO_DEV_READY), 0);
	fake->steps_until_needs_reset = 1;
	assert_int_equal(vio_dev_suspend(&fake->dev), -VIO_EPEER);
	assert_int_equal(fake->dev.phase, VIO_DEV_FAILED);
	fake->steps_until_needs_reset = FAKE_NEVER;
	assert_int_equal(vio_dev_reset(&fake->dev), 0);
	/* hostile: B45 */
	assert_int_equal(fake_advance(fake, VIO_DEV_READY), 0);
	fake->steps_until_gone = 1;
	assert_int_equal(vio_dev_suspend(&fake->dev), -VIO_EHANGUP);
	assert_int_equal(vio_dev_resume(&fake->dev), -VIO_EPHASE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(verbs_out_of_phase_change_nothing),
		TEST(steps_come_in_order),
		TEST(giving_up_is_legal_in_every_phase),
		TEST(sizes_are_cut),
		TEST(a_size_that_the_device_dictates_is_taken_or_refused),
		TEST(a_queue_that_is_not_taken_keeps_its_memory),
		TEST(a_reset_takes_its_time_but_not_for_ever),
		TEST(a_device_stuck_without_memory_is_let_go),
		TEST(a_queue_reset_takes_its_time_but_not_for_ever),
		TEST(a_configuration_that_never_rests_is_given_up),
		TEST(a_legacy_configuration_is_read_until_two_agree),
		TEST(may_be_pulled_out_at_every_step),
		TEST(may_need_a_reset_at_every_step),
		TEST(suspending_takes_its_time_but_not_for_ever),
		TEST(waits_end),
		TEST(interrupts_count_only_while_ready),
		TEST(drivers_match_and_bind),
		TEST(removal_has_a_second_chance),
		TEST(buffers_that_are_out_are_left_alone),
	};

	return cmocka_run_group_tests_name("transport-driver", tests, NULL, NULL);
}
