/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/rig.h"

#include <string.h>

#include <vireo/devices/adder.h>
#include <vireo/devices/blk.h>
#include <vireo/devices/caesar.h>
#include <vireo/devices/rng.h>
#include <vireo/drivers/adder.h>
#include <vireo/drivers/balloon.h>
#include <vireo/drivers/blk.h>
#include <vireo/drivers/caesar.h>
#include <vireo/drivers/console.h>
#include <vireo/drivers/rng.h>
#include <vireo/drivers/vsock.h>
#include <vireo/spec/virtio_ring.h>

#include "devices/fake_block.h"
#include "drivers/console_device.h"
#include "drivers/liar.h"
#include "drivers/victims.h"

/* Every driver against devices that lie on the ring, over every transport. */

/* Lies. */

static void id_is_queue_size(struct vio_devq *q, uint16_t head) /* hostile: B1 */
{
	liar_use(q, 0, q->size, 1);
	liar_advance(q, 1);
}

static void id_is_huge(struct vio_devq *q, uint16_t head) /* hostile: B2 */
{
	liar_use(q, 0, UINT32_MAX, 1);
	liar_advance(q, 1);
}

static void id_was_never_submitted(struct vio_devq *q, uint16_t head) /* hostile: B3 B6 B7 */
{
	liar_use(q, 0, (head + q->size - 1u) & (q->size - 1u), 1);
	liar_advance(q, 1);
}

static void id_again(struct vio_devq *q, uint16_t head) /* hostile: B4 */
{
	liar_use(q, 0, head, 1);
	liar_use(q, 1, head, 1);
	liar_advance(q, 2);
}

static void id_is_inside(struct vio_devq *q, uint16_t head) /* hostile: B5 */
{
	bool chained = vio_le16_get(q->desc[head].flags) & VIRTQ_DESC_F_NEXT;

	liar_use(q, 0, chained ? vio_le16_get(q->desc[head].next) : head ^ 1u, 1);
	liar_advance(q, 1);
}

static void length_is_huge(struct vio_devq *q, uint16_t head) /* hostile: B64 */
{
	liar_use(q, 0, head, UINT32_MAX);
	liar_advance(q, 1);
}

static void jumps(struct vio_devq *q, uint16_t head) /* hostile: B13 */
{
	liar_use(q, 0, head, 1);
	liar_advance(q, 100);
}

static void goes_back(struct vio_devq *q, uint16_t head) /* hostile: B14 */
{
	liar_advance(q, UINT16_MAX);
}

static void goes_round(struct vio_devq *q, uint16_t head) /* hostile: B15 */
{
	liar_advance(q, 0x8000);
}

/* These leave the driver without a complete answer, but its ring in order. */

static void says_nothing(struct vio_devq *q, uint16_t head) /* hostile: B29 */
{
}

static void length_is_0(struct vio_devq *q, uint16_t head) /* hostile: B10 B16 B64, as entries begin as 0 */
{
	liar_use(q, 0, head, 0);
	liar_advance(q, 1);
}

/* Scribbles over all that the driver wrote, then answers. hostile: B18 B19 B21 */
static void scribbles(struct vio_devq *q, uint16_t head)
{
	liar_use(q, 0, head, 0);
	memset(q->desc, 0xff, q->size * sizeof(*q->desc));
	memset(q->avail->ring, 0xff, q->size * sizeof(q->avail->ring[0]));
	q->avail->flags = vio_le16_make(0xffff);
	q->avail->idx = vio_le16_make(0x5555);
	liar_advance(q, 1);
}

static void needs_reset(struct vio_devq *q, uint16_t head) /* hostile: B37 */
{
	vio_device_needs_reset(q->interrupt_context);
}

/* Drivers. */

struct victim {
	const char *name;
	const struct vio_device_class *class;
	const struct vio_driver *driver;
	uint16_t queue;
	int (*ask)(struct vio_dev *dev);
	int (*stop)(struct vio_dev *dev);
	int (*start)(struct vio_dev *dev);
	bool reads_nothing; /* an answer without a byte is complete */
};

static int ask_adder(struct vio_dev *dev)
{
	uint32_t sum;

	return vio_adder_add(dev, 1, &sum);
}

static int ask_caesar(struct vio_dev *dev)
{
	char text[3000];

	memset(text, 'a', sizeof(text));
	return vio_caesar_transform(dev, text, text, sizeof(text));
}

static int ask_rng(struct vio_dev *dev)
{
	uint8_t bytes[16];

	return vio_rng_fill(dev, bytes, sizeof(bytes));
}

static int ask_blk(struct vio_dev *dev)
{
	uint8_t sectors[1024];

	return vio_blk_read(dev, 1, sectors, sizeof(sectors));
}

static int ask_console(struct vio_dev *dev)
{
	return vio_console_write(dev, "abc", 3);
}

static const struct victim victims[] = {
	{ "adder", &vio_adder_class, &vio_adder_driver, 0, ask_adder, vio_dev_reset, vio_adder_start, false },
	{ "caesar", &vio_caesar_class, &vio_caesar_driver, 0, ask_caesar, vio_dev_reset, vio_caesar_start,
	  false },
	{ "rng", &vio_rng_class, &vio_rng_driver, 0, ask_rng, vio_dev_reset, vio_rng_start, false },
	{ "blk", &vio_blk_class, &vio_blk_driver, 0, ask_blk, vio_blk_stop, vio_blk_start, false },
	{ "console", &console_device_class, &vio_console_driver, 1, ask_console, vio_console_stop,
	  vio_console_start, true },
	{ "balloon", &balloon_victim_class, &vio_balloon_driver, VIRTIO_BALLOON_INFLATEQ, balloon_victim_ask,
	  vio_balloon_stop, balloon_victim_start, true },
	{ "vsock", &vsock_victim_class, &vio_vsock_driver, VIRTIO_VSOCK_TXQ, vsock_victim_ask,
	  vsock_victim_stop, vsock_victim_start, true },
};

/* The scene. */

struct scene {
	const struct victim *victim;
	struct liar liar;
	struct fake_block fake;
	struct vio_entropy entropy;
};

static int give_sevens(struct vio_entropy *entropy, void *to, size_t length)
{
	memset(to, 7, length);
	return (int)length;
}

static void furnish(struct vio_device *device, void *context)
{
	struct scene *scene = context;

	if (device->class == &vio_blk_class)
		assert_int_equal(vio_blk_attach(device, &scene->fake.block), 0);
	if (device->class == &vio_rng_class)
		assert_int_equal(vio_rng_attach(device, &scene->entropy), 0);
	liar_take_over(&scene->liar, device);
}

static struct scene *scene_of(struct rig *rig)
{
	return rig->options->context;
}

/* What the driver says to one lie; then it lives on with a device that is honest again. */
static int tell(struct rig *rig, liar_lie *lie)
{
	struct scene *scene = scene_of(rig);
	int error;

	assert_int_equal(scene->victim->start(&rig->dev), 0);
	scene->liar.lie = NULL;
	assert_int_equal(scene->victim->ask(&rig->dev), 0);
	scene->liar.lie = lie;
	scene->liar.told = 0;
	error = scene->victim->ask(&rig->dev);
	assert_int_not_equal(scene->liar.told, 0);
	if (rig->dev.phase != VIO_DEV_READY) /* whatever was with the device was taken back */
		assert_int_equal(rig->platform.shared, 0);
	scene->liar.lie = NULL;
	return error;
}

static void every_lie(struct rig *rig)
{
	static liar_lie *const broken[] = {
		id_is_queue_size,
		id_is_huge,
		id_was_never_submitted,
		id_again,
		id_is_inside,
		length_is_huge,
		jumps,
		goes_back,
		goes_round,
	};
	const struct victim *victim = scene_of(rig)->victim;
	int empty = victim->reads_nothing ? 0 : -VIO_EPEER;

	assert_int_equal(rig_bind(rig, victim->driver), 0);
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(broken); i++) {
		if (rig->dev.legacy && broken[i] == length_is_huge) {
			/* spec: DRV-BLK-031 DRV-CON-007 */
			(void)tell(rig, broken[i]);
			assert_int_equal(rig->dev.phase, VIO_DEV_READY);
			continue;
		}
		assert_int_equal(tell(rig, broken[i]), -VIO_EPEER);
		assert_int_equal(rig->dev.phase, VIO_DEV_RESET);
		assert_int_not_equal(victim->ask(&rig->dev), 0);
	}
	/* Who can't look at the status waits in vain. */
	assert_int_equal(tell(rig, needs_reset), rig->transport->status_unread ? -VIO_EAGAIN : -VIO_EPEER);
	assert_int_equal(rig->dev.phase, VIO_DEV_RESET);
	assert_int_equal(tell(rig, says_nothing), -VIO_EAGAIN);
	assert_int_equal(rig->dev.phase, VIO_DEV_RESET);
	assert_int_equal(tell(rig, length_is_0), empty);
	assert_int_equal(rig->dev.phase, VIO_DEV_READY);
	assert_int_equal(tell(rig, scribbles), empty);
	assert_int_equal(victim->stop(&rig->dev), 0);
	assert_int_equal(victim->start(&rig->dev), 0);
	assert_int_equal(victim->ask(&rig->dev), 0);
}

static void each_victim(void (*body)(struct rig *rig))
{
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(victims); i++) {
		struct scene scene = { .victim = &victims[i], .entropy.fill = give_sevens };
		const struct rig_options options = {
			.class = victims[i].class,
			/* The liar knows split rings. */
			.withhold = UINT64_C(1) << VIRTIO_F_RING_PACKED | UINT64_C(1) << VIRTIO_F_IN_ORDER,
			.furnish = furnish,
			.context = &scene,
		};

		print_message("# %s\n", victims[i].name);
		scene.liar.queue = victims[i].queue;
		fake_block_init(&scene.fake, 65536, 512);
		rig_each(&options, body);
		fake_block_free(&scene.fake);
	}
}

static void no_driver_falls_for_a_lie(void **state)
{
	each_victim(every_lie);
}

/* An answer that comes when the device was reset for want of it. */
static void late_body(struct rig *rig)
{
	struct scene *scene = scene_of(rig);
	struct vio_devq q;

	assert_int_equal(rig_bind(rig, scene->victim->driver), 0);
	q = rig->device.queues[scene->victim->queue];
	assert_int_equal(tell(rig, says_nothing), -VIO_EAGAIN);
	/* The driver's rings stay until its next life. */
	q = (struct vio_devq){ .size = q.size, .used = q.used };
	if (rig->platform.taken) {
		liar_use(&q, 0, 0, 4);
		liar_advance(&q, 1);
	}
	assert_int_not_equal(scene->victim->ask(&rig->dev), 0);
	assert_int_equal(scene->victim->start(&rig->dev), 0);
	assert_int_equal(scene->victim->ask(&rig->dev), 0);
}

/* hostile: B31 */
static void answers_after_a_reset_are_ignored(void **state)
{
	each_victim(late_body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_driver_falls_for_a_lie),
		cmocka_unit_test(answers_after_a_reset_are_ignored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
