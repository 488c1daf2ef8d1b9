/* SPDX-License-Identifier: BSD-3-Clause */
#include "transport/fake.h"

#include <string.h>

static struct fake *fake_of(struct vio_dev *dev)
{
	return dev->transport_context;
}

/* One more call. true: nobody is there any more. */
static bool step(struct fake *fake)
{
	fake->steps++;
	/* Once, and not in a reset. */
	if (fake->steps > fake->steps_until_needs_reset && !fake->needs_reset && fake->status) {
		fake->needs_reset = true;
		fake->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	}
	return fake->steps > fake->steps_until_gone;
}

static uint8_t get_status(struct vio_dev *dev)
{
	struct fake *fake = fake_of(dev);

	if (step(fake)) {
		fake->seen_gone = true;
		return UINT8_MAX;
	}
	if (fake->looks && fake->looks != FAKE_NEVER)
		fake->looks--;
	if (fake->looks)
		return VIRTIO_CONFIG_S_ACKNOWLEDGE;
	return fake->status;
}

static void set_status(struct vio_dev *dev, uint8_t status)
{
	struct fake *fake = fake_of(dev);

	uint8_t seen = fake->status;

	assert_true(!status || !fake->seen_gone);
	assert_true(fake->logged < FAKE_LOG_MAX);
	fake->log[fake->logged++] = status;
	if (step(fake))
		return;
	if (!status) {
		fake->looks = fake->reset_looks;
		fake->status = 0;
	} else {
		/* spec: DRV-BASIC-002 */
		assert_int_equal(seen & ~status & ~fake->refused, 0);
		fake->status =
			(uint8_t)((fake->status & VIRTIO_CONFIG_S_NEEDS_RESET) | (status & ~fake->refused));
		if (fake->status & VIRTIO_CONFIG_S_SUSPEND && !fake->never_suspends)
			fake->status &=
				(uint8_t) ~(seen & VIRTIO_CONFIG_S_SUSPEND ? VIRTIO_CONFIG_S_SUSPEND
									   : VIRTIO_CONFIG_S_DRIVER_OK);
	}
}

static struct vio_features get_features(struct vio_dev *dev)
{
	struct fake *fake = fake_of(dev);

	if (step(fake))
		return (struct vio_features){ { UINT64_MAX, UINT64_MAX } };
	return fake->offers_read++ ? fake->offered_later : fake->offered;
}

static void set_features(struct vio_dev *dev, const struct vio_features *features)
{
	struct fake *fake = fake_of(dev);

	step(fake);
	fake->features_written++;
	fake->accepted = *features;
}

static uint32_t get_generation(struct vio_dev *dev)
{
	struct fake *fake = fake_of(dev);

	if (step(fake))
		return UINT32_MAX;
	return fake->config_reads < fake->unstable_reads ? fake->config_reads : fake->unstable_reads;
}

static int read_config(struct vio_dev *dev, uint32_t offset, void *to, uint32_t length)
{
	struct fake *fake = fake_of(dev);
	bool gone = step(fake);

	fake->config_reads++;
	if (offset >= 256 || length > 256 - offset)
		return -VIO_ERANGE;
	memset(to,
	       gone                                        ? UINT8_MAX
	       : fake->config_reads < fake->unstable_reads ? (int)fake->config_reads & 63
							   : 77,
	       length);
	return 0;
}

static int write_config(struct vio_dev *dev, uint32_t offset, const void *from, uint32_t length)
{
	step(fake_of(dev));
	fake_of(dev)->config_writes++;
	return 0;
}

static uint32_t queue_size_max(struct vio_dev *dev, uint16_t queue)
{
	return step(fake_of(dev)) ? UINT32_MAX : fake_of(dev)->size_max;
}

static int queue_enable(struct vio_dev *dev, uint16_t queue, const struct vio_queue_place *place)
{
	struct fake *fake = fake_of(dev);

	if (step(fake))
		return -VIO_EPEER;
	fake->place = *place;
	fake->enabled++;
	return fake->enable_error;
}

static int queue_reset(struct vio_dev *dev, uint16_t queue)
{
	struct fake *fake = fake_of(dev);

	step(fake);
	fake->queue_resets++;
	fake->looks = fake->queue_reset_looks;
	return 0;
}

static bool queue_resetting(struct vio_dev *dev, uint16_t queue)
{
	struct fake *fake = fake_of(dev);

	if (step(fake))
		return true;
	if (fake->looks && fake->looks != FAKE_NEVER)
		fake->looks--;
	return fake->looks != 0;
}

static void queue_notify(struct vio_dev *dev, struct vio_drvq *q)
{
	step(fake_of(dev));
	fake_of(dev)->notified++;
}

static unsigned take_interrupts(struct vio_dev *dev)
{
	struct fake *fake = fake_of(dev);
	unsigned causes = fake->causes;

	fake->causes = 0;
	return step(fake) ? VIO_INTERRUPT_QUEUE | VIO_INTERRUPT_CONFIG : causes;
}

static void close(struct vio_dev *dev)
{
	fake_of(dev)->closed++;
}

void fake_make(struct fake *fake)
{
	memset(fake, 0, sizeof(*fake));
	test_platform_init(&fake->platform, 0);
	fake->ops = (struct vio_transport_ops){
		.name = "fake",
		.carried = { { UINT64_MAX, UINT64_MAX } },
		.get_status = get_status,
		.set_status = set_status,
		.get_features = get_features,
		.set_features = set_features,
		.get_generation = get_generation,
		.read_config = read_config,
		.write_config = write_config,
		.queue_size_max = queue_size_max,
		.queue_enable = queue_enable,
		.queue_reset = queue_reset,
		.queue_resetting = queue_resetting,
		.queue_notify = queue_notify,
		.take_interrupts = take_interrupts,
		.close = close,
	};
	fake->dev.transport = &fake->ops;
	fake->dev.transport_context = fake;
	fake->dev.platform = &fake->platform.platform;
	fake->dev.id = VIRTIO_ID_ADDER;
	fake->offered = vio_features_low(
		UINT64_C(1) << VIRTIO_F_VERSION_1 | UINT64_C(1) << VIRTIO_F_RING_RESET |
		UINT64_C(1) << VIRTIO_F_INDIRECT_DESC | UINT64_C(1) << VIRTIO_F_EVENT_IDX | 5);
	fake->offered_later = fake->offered;
	fake->steps_until_gone = FAKE_NEVER;
	fake->steps_until_needs_reset = FAKE_NEVER;
	fake->size_max = 16;
}

void fake_free(struct fake *fake)
{
	test_platform_free(&fake->platform);
}

int fake_begin(struct fake *fake)
{
	static struct vio_dev_queue queues[2];

	return vio_dev_begin(&fake->dev, queues, 2);
}

int fake_accept(struct fake *fake)
{
	struct vio_features wanted = { { UINT64_MAX, UINT64_MAX } };

	return vio_dev_accept(&fake->dev, &wanted);
}

int fake_add_queue(struct fake *fake, uint16_t queue, struct vio_drvq **q)
{
	const struct vio_queue_wish wish = { .indirect_max = 4 };

	return vio_dev_add_queue(&fake->dev, queue, &wish, q);
}

int fake_advance(struct fake *fake, enum vio_dev_phase phase)
{
	struct vio_drvq *q;
	int error = phase >= VIO_DEV_BEGUN ? fake_begin(fake) : 0;

	if (!error && phase >= VIO_DEV_ACCEPTED)
		error = fake_accept(fake);
	if (!error && phase >= VIO_DEV_READY) {
		error = fake_add_queue(fake, 0, &q);
		if (!error)
			error = vio_dev_ready(&fake->dev);
	}
	return error;
}

int fake_setup(void **state)
{
	static struct fake fake;

	fake_make(&fake);
	*state = &fake;
	return 0;
}

int fake_teardown(void **state)
{
	struct fake *fake = *state;

	fake->steps_until_gone = FAKE_NEVER;
	fake->steps_until_needs_reset = FAKE_NEVER;
	fake->looks = 0;
	fake->dev.platform = &fake->platform.platform;
	assert_int_equal(vio_dev_end(&fake->dev), 0);
	fake_free(fake);
	return 0;
}
