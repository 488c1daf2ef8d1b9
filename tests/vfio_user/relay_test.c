/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/rig.h"

#include <stdlib.h>
#include <string.h>

/*
 * Many buffers at a time of memory that came without a descriptor: in order, where one used element stands
 * for several, and more of them than a queue has copies of. The device keeps what it takes until it is told
 * to go on, and the driver is written out by hand over lib/rig.h.
 */
#define QUEUE_SIZE  256u
#define LIMIT       (UINT64_C(32) << 20) /* of copies a queue */
#define BUFFERS_MAX 512u
#define PARTS       2u /* readable, and writable */

#define IN_ORDER  1u
#define SPLIT     2u
#define NO_EVENT  4u
#define VARIANTS  8u
#define BIT(name) (UINT64_C(1) << (name))

/* The device: a request says how many bytes it wants back, which are made of its own. */
struct keeper {
	struct vio_buf kept[QUEUE_SIZE];
	unsigned count, most;
	uint64_t bytes, most_bytes; /* of what is kept */
};

static uint8_t answer_byte(uint32_t seed, uint32_t at)
{
	return (uint8_t)(seed * 31 + at * 7 + (at >> 8));
}

static uint64_t bytes_of(const struct vio_buf *buf)
{
	return buf->readable_bytes + buf->writable_bytes;
}

static void keeper_kick(struct vio_device *dev, struct vio_devq *q)
{
	struct keeper *keeper = vio_device_state(dev);
	struct vio_buf buf;

	while (vio_devq_pop(q, &buf)) {
		assert_true(keeper->count < QUEUE_SIZE);
		keeper->bytes += bytes_of(&buf);
		keeper->kept[keeper->count++] = buf;
	}
	if (keeper->count > keeper->most)
		keeper->most = keeper->count;
	if (keeper->bytes > keeper->most_bytes)
		keeper->most_bytes = keeper->bytes;
	vio_devq_notify(q);
}

static void keeper_reset(struct vio_device *dev)
{
	struct keeper *keeper = vio_device_state(dev);

	keeper->count = 0;
	keeper->bytes = 0;
}

/* Every readable byte counts: {seed, wanted}, then the seed's own. */
static void finish(struct vio_devq *q, struct vio_buf *buf)
{
	const uint32_t readable = (uint32_t)buf->readable_bytes;
	uint8_t *bytes = malloc(readable);
	vio_le32 head[2];
	uint32_t seed, wanted, i;

	assert_non_null(bytes);
	assert_int_equal(vio_read(buf, bytes, readable), readable);
	memcpy(head, bytes, sizeof(head));
	seed = vio_le32_get(head[0]);
	wanted = vio_le32_get(head[1]);
	for (i = sizeof(head); i < readable; i++)
		assert_int_equal(bytes[i], answer_byte(seed, i));
	free(bytes);
	bytes = malloc(wanted + 1);
	assert_non_null(bytes);
	for (i = 0; i < wanted; i++)
		bytes[i] = answer_byte(seed + 1, i);
	assert_int_equal(vio_write(buf, bytes, wanted), wanted);
	free(bytes);
	vio_devq_push(q, buf, wanted);
}

/* The oldest so many, the latest of them first; what is to be in order the queue sees to. */
static void let_go(struct rig *rig, unsigned count)
{
	struct keeper *keeper = rig->device_state;
	struct vio_devq *q = &rig->device.queues[0];
	unsigned i;

	count = count < keeper->count ? count : keeper->count;
	for (i = count; i-- > 0;) {
		keeper->bytes -= bytes_of(&keeper->kept[i]);
		finish(q, &keeper->kept[i]);
	}
	keeper->count -= count;
	memmove(keeper->kept, keeper->kept + count, keeper->count * sizeof(keeper->kept[0]));
	vio_devq_notify(q);
}

static const struct vio_device_class keeper_class = {
	.name = "keeper",
	.summary = "Keeps what it takes",
	.id = 42,
	.queue_count = 1,
	.queue_size = QUEUE_SIZE,
	.spans_max = 8,
	.state_bytes = sizeof(struct keeper),
	.kick = keeper_kick,
	.reset = keeper_reset,
};

/* The driver. */
struct asked {
	uint8_t *host[2 * PARTS];
	struct vio_sg sg[2 * PARTS];
	unsigned readable, writable;
	uint32_t seed, wanted;
};

struct asker {
	struct vio_dev_queue queue;
	struct vio_drvq *q;
	struct asked asked[BUFFERS_MAX];
	unsigned added, answered, runs;
};

static uint32_t rights(const struct asked *asked, unsigned part)
{
	return part < asked->readable ? VIO_MEM_READ : VIO_MEM_WRITE;
}

static void used(struct vio_dev *dev, struct vio_drvq *q)
{
	(void)dev;
	(void)q;
}

static int asker_probe(struct vio_dev *dev)
{
	const struct vio_queue_wish wish = { .size = QUEUE_SIZE, .indirect_max = 2 * PARTS, .used = used };
	struct asker *asker = dev->driver_state;

	return vio_dev_start(dev, &asker->queue, &wish, &asker->q);
}

static const struct vio_driver asker_driver = {
	.name = "asker",
	.ids = (const uint32_t[]){ 42, 0 },
	.state_bytes = sizeof(struct asker),
	.probe = asker_probe,
};

static void fill(struct asked *asked)
{
	uint32_t at = 0, i;

	for (unsigned part = 0; part < asked->readable; part++)
		for (i = 0; i < asked->sg[part].length; i++)
			asked->host[part][i] = answer_byte(asked->seed, at++);
	((vio_le32 *)(void *)asked->host[0])[0] = vio_le32_make(asked->seed);
	((vio_le32 *)(void *)asked->host[0])[1] = vio_le32_make(asked->wanted);
}

static void share(struct rig *rig, struct asked *asked)
{
	const struct vio_platform *platform = &rig->platform.platform;

	for (unsigned i = 0; i < asked->readable + asked->writable; i++) {
		asked->host[i] = calloc(1, asked->sg[i].length);
		assert_non_null(asked->host[i]);
	}
	fill(asked);
	for (unsigned i = 0; i < asked->readable + asked->writable; i++)
		assert_int_equal(platform->share(platform->context, asked->host[i], asked->sg[i].length,
						 rights(asked, i), &asked->sg[i].addr),
				 0);
}

/* What was answered is all there, and behind it what was there before. */
static void judge(struct rig *rig, struct asked *asked, uint32_t written)
{
	const struct vio_platform *platform = &rig->platform.platform;
	uint32_t at = 0;

	assert_int_equal(written, asked->wanted);
	for (unsigned i = 0; i < asked->readable + asked->writable; i++) {
		platform->unshare(platform->context, asked->host[i], asked->sg[i].length, rights(asked, i),
				  asked->sg[i].addr);
		for (uint32_t j = 0; i >= asked->readable && j < asked->sg[i].length; j++, at++)
			if (asked->host[i][j] !=
			    (at < written ? answer_byte(asked->seed + 1, at) : TEST_PLATFORM_POISON))
				fail_msg("request %u, byte %u: %#x", asked->seed, at, asked->host[i][j]);
		free(asked->host[i]);
	}
}

/* false: the ring is full. */
static bool add(struct rig *rig, struct asker *asker, const struct asked *asked)
{
	struct asked *own = &asker->asked[asker->added];
	int error;

	if (asker->q->free_count < 2 * PARTS)
		return false;
	*own = *asked;
	own->seed = asker->added;
	share(rig, own);
	error = vio_drvq_add(asker->q, own->sg, own->readable, own->writable, own);
	assert_int_equal(error, 0);
	asker->added++;
	return true;
}

static void take(struct rig *rig, struct asker *asker)
{
	struct asked *asked;
	uint32_t written;

	while ((asked = vio_drvq_get(asker->q, &written))) {
		if (asker->q->in_order)
			assert_ptr_equal(asked, &asker->asked[asker->answered]);
		asker->answered++;
		asker->runs += asker->q->batch_left != 0;
		judge(rig, asked, written);
	}
	assert_false(vio_drvq_broken(asker->q));
	assert_int_equal(rig->device.fault_count, 0);
}

static void with(unsigned variant, const struct rig_transport *transport, void (*body)(struct rig *))
{
	static const char *const in_order[] = { "in-order=on", NULL };
	const struct rig_options options = {
		.class = &keeper_class,
		.properties = variant & IN_ORDER ? in_order : NULL,
		.withhold = (variant & SPLIT ? BIT(VIRTIO_F_RING_PACKED) : 0) |
			    (variant & NO_EVENT ? BIT(VIRTIO_F_EVENT_IDX) : 0),
		.remote = true,
	};
	struct rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	rig_make(rig, &options, transport);
	assert_int_equal(rig_bind(rig, &asker_driver), 0);
	body(rig);
	rig_free(rig);
	free(rig);
}

/* Small ones of all shapes; every fifth isn't filled, and every eleventh has nothing to fill. */
static struct asked small(unsigned i)
{
	struct asked asked = { .readable = 1 + i % PARTS, .writable = i % 11 ? 1 + i / 2 % PARTS : 0 };

	for (unsigned part = 0; part < asked.readable + asked.writable; part++) {
		asked.sg[part].length = 8 + (i * 37 + part * 1013) % 5000;
		if (part >= asked.readable)
			asked.wanted += asked.sg[part].length;
	}
	if (i % 5 == 0)
		asked.wanted /= 2;
	return asked;
}

static void hundreds(struct rig *rig)
{
	struct asker *asker = rig->driver_state;
	unsigned round = 0;

	while (asker->answered < 400) {
		for (unsigned i = 0; i < 1 + round * 13 % 60 && asker->added < 400; i++) {
			const struct asked asked = small(asker->added);

			if (!add(rig, asker, &asked))
				break;
		}
		vio_drvq_kick(asker->q);
		rig_run(rig);
		let_go(rig, 1 + round * 7 % 50);
		rig_run(rig);
		take(rig, asker);
		assert_true(round++ < 1000);
	}
	assert_int_equal(asker->added, 400);
	if (asker->q->in_order)
		assert_true(asker->runs > 50);
}

static void what_is_in_order(void **state)
{
	(void)state;
	for (unsigned variant = 0; variant < VARIANTS; variant++) {
		with(variant, &rig_vfio_user_messages, hundreds);
		with(variant, &rig_vfio_user_mixed, hundreds);
	}
}

/* 48 MiB in flight, of which the queue has 32 at most. */
static void too_many(struct rig *rig)
{
	const struct asked large = { .readable = 2,
				     .writable = 2,
				     .sg = { { .length = 5000 },
					     { .length = 250000 },
					     { .length = 500000 },
					     { .length = 250001 } },
				     .wanted = 750001 };
	struct keeper *keeper = rig->device_state;
	struct asker *asker = rig->driver_state;
	unsigned i, round = 0;

	for (i = 0; i < 48; i++) {
		assert_true(add(rig, asker, &large));
		vio_drvq_kick(asker->q);
	}
	rig_run(rig);
	assert_in_range(keeper->bytes, LIMIT * 9 / 10, LIMIT);
	while (asker->answered < asker->added) {
		let_go(rig, 1 + round % 5);
		rig_run(rig);
		take(rig, asker);
		/* What is small waits for its turn as the others do. */
		if (asker->added < 60) {
			const struct asked asked = small(asker->added);

			assert_true(add(rig, asker, &asked));
			vio_drvq_kick(asker->q);
			rig_run(rig);
		}
		assert_true(round++ < 1000);
	}
	assert_int_equal(asker->added, 60);
	assert_int_equal(keeper->count, 0);
	assert_true(keeper->most < 48 && keeper->most_bytes <= LIMIT);
}

static void what_is_too_many(void **state)
{
	(void)state;
	for (unsigned variant = 0; variant < NO_EVENT; variant++)
		with(variant, &rig_vfio_user_messages, too_many);
	with(0, &rig_vfio_user_mixed, too_many);
}

/* A reset finds buffers that wait for room, and what comes afterwards has all of it. */
static void reset_while_starved(struct rig *rig)
{
	const struct asked large = { .readable = 1,
				     .writable = 1,
				     .sg = { { .length = 8 }, { .length = 1 << 20 } },
				     .wanted = 1 << 20 };
	struct keeper *keeper = rig->device_state;

	for (unsigned turn = 0; turn < 2; turn++) {
		struct asker *asker = rig->driver_state;
		struct asked *asked;

		for (unsigned i = 0; i < 40; i++)
			assert_true(add(rig, asker, &large));
		vio_drvq_kick(asker->q);
		rig_run(rig);
		assert_int_equal(keeper->count, 31);
		assert_int_equal(vio_dev_reset(&rig->dev), 0);
		while ((asked = vio_drvq_detach_unused(asker->q))) {
			asked->wanted = 0;
			judge(rig, asked, 0);
			asker->answered++;
		}
		assert_int_equal(asker->answered, 40);
		rig_unbind(rig);
		assert_int_equal(rig_bind(rig, &asker_driver), 0);
	}
}

static void what_a_reset_forgets(void **state)
{
	(void)state;
	for (unsigned variant = 0; variant < NO_EVENT; variant++)
		with(variant, &rig_vfio_user_messages, reset_while_starved);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_in_order),
		cmocka_unit_test(what_is_too_many),
		cmocka_unit_test(what_a_reset_forgets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
