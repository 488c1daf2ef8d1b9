/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/rig.h"

#include <string.h>

#include <vireo/drivers/vssd.h>

/* The VSSD driver against a device that says what it likes. */

#define BLOCKS 64u
#define UNIT   4096u

/* What it says; `answers` counts the requests of control. */
struct lie {
	uint64_t total, provisioned, target;
	uint32_t block_bytes, state;
	uint32_t status;   /* of answers */
	uint32_t written;  /* bytes of answers */
	uint64_t answered; /* blocks provisioned afterwards */
	uint8_t bits;      /* of the map, each byte of it */
	bool moves;        /* another ticket with each answer */
	unsigned answers;
};

struct liar_state {
	struct lie *lie;
};

static void liar_get_features(struct vio_device *dev, struct vio_features *offer)
{
	(void)dev;
	vio_features_set(offer, VIRTIO_VSSD_F_RESIZE);
	vio_features_set(offer, VIRTIO_BLK_F_FLUSH);
}

static void liar_get_config(struct vio_device *dev, void *config)
{
	const struct lie *lie = ((const struct liar_state *)vio_device_state(dev))->lie;
	struct virtio_vssd_config wire;

	memset(&wire, 0, sizeof(wire));
	wire.blk.capacity = vio_le64_make(BLOCKS * UNIT / VIRTIO_BLK_SECTOR_BYTES);
	wire.total = vio_le64_make(lie->total);
	wire.provisioned = vio_le64_make(lie->provisioned);
	wire.target = vio_le64_make(lie->target);
	wire.block_bytes = vio_le32_make(lie->block_bytes);
	wire.state = vio_le32_make(lie->state);
	wire.ticket = vio_le32_make(lie->moves ? lie->answers : 7);
	memcpy(config, &wire, sizeof(wire));
}

static void liar_kick(struct vio_device *dev, struct vio_devq *q)
{
	struct lie *lie = ((const struct liar_state *)vio_device_state(dev))->lie;
	const struct virtio_vssd_answer answer = {
		.status = vio_le32_make(lie->status),
		.provisioned = vio_le64_make(lie->answered),
	};
	struct vio_buf buf;

	while (vio_devq_pop(q, &buf)) {
		vio_write(&buf, &answer, sizeof(answer));
		while (buf.writable_bytes)
			vio_write(&buf, &lie->bits, 1);
		lie->answers++;
		vio_devq_push(q, &buf, lie->written);
	}
	vio_devq_notify(q);
}

static const struct vio_device_class liar_class = {
	.name = "vssd",
	.summary = "says what it likes",
	.id = VIRTIO_ID_VSSD,
	.queue_count = 2,
	.queue_size = 16,
	.state_bytes = sizeof(struct liar_state),
	.config_bytes = sizeof(struct virtio_vssd_config),
	.get_features = liar_get_features,
	.get_config = liar_get_config,
	.kick = liar_kick,
};

static void furnish(struct vio_device *device, void *context)
{
	struct liar_state *liar = vio_device_state(device);

	liar->lie = context;
}

static unsigned choose(struct vio_dev *dev, uint64_t count, struct vio_vssd_range *list, unsigned max)
{
	unsigned *asked = dev->owner;

	++*asked;
	list[0] = (struct vio_vssd_range){ 0, count };
	return max != 0;
}

/* The driver binds, and one call of vio_vssd_work() says this. */
static void expect(const struct lie *lie, int result)
{
	static struct lie now;
	static struct rig rig;
	const struct rig_options options = { .class = &liar_class, .furnish = furnish, .context = &now };
	unsigned asked = 0;

	for (const struct rig_transport *const *transport = rig_transports; *transport; transport++) {
		struct vio_vssd *vssd;

		if ((*transport)->legacy || (*transport)->remote)
			continue;
		now = *lie;
		asked = 0;
		rig_make(&rig, &options, *transport);
		assert_int_equal(rig_bind(&rig, &vio_vssd_driver), 0);
		rig.dev.owner = &asked;
		vssd = rig.dev.driver_state;
		vssd->choose = choose;
		assert_int_equal(vio_vssd_work(&rig.dev), result);
		assert_true(asked <= 1 + now.answers);
		assert_int_equal(rig.platform.shared, 0);
		rig_free(&rig);
	}
}

/* An honest device that asks for ten blocks, as far as it can be one. */
static struct lie shrinking(void)
{
	return (struct lie){ BLOCKS,
			     BLOCKS,
			     BLOCKS - 10,
			     UNIT,
			     VIRTIO_VSSD_STATE_SHRINKING,
			     VIRTIO_VSSD_S_OK,
			     UINT32_MAX,
			     BLOCKS - 10,
			     0xff,
			     false,
			     0 };
}

/* hostile: B38 B41: numbers that don't go together */
static void impossible_configurations(void **state)
{
	struct lie lie = shrinking();

	lie.provisioned = BLOCKS + 1;
	expect(&lie, -VIO_EPEER);
	lie = shrinking();
	lie.target = BLOCKS + 1;
	expect(&lie, -VIO_EPEER);
	lie = shrinking();
	lie.provisioned = lie.target = UINT64_MAX;
	expect(&lie, -VIO_EPEER);
	for (uint32_t wrong = 0; wrong < 5; wrong++) {
		lie = shrinking();
		lie.state = wrong;
		if (wrong != VIRTIO_VSSD_STATE_SHRINKING)
			expect(&lie, -VIO_EPEER);
	}
	for (uint32_t bytes = 0; bytes < 3; bytes++) {
		lie = shrinking();
		lie.block_bytes = bytes == 2 ? UINT32_MAX : 511 * bytes;
		expect(&lie, -VIO_EPEER);
	}
}

/* hostile: B10 B11 B12: answers that are none, too short, of no known status, or of another list */
static void impossible_answers(void **state)
{
	static const struct {
		uint32_t status;
		int result;
	} statuses[] = {
		{ VIRTIO_VSSD_S_IOERR, -VIO_EIO },    { VIRTIO_VSSD_S_UNSUPP, -VIO_ENOTSUP },
		{ VIRTIO_VSSD_S_STALE, -VIO_EAGAIN }, { VIRTIO_VSSD_S_TOOMANY, -VIO_ERANGE },
		{ VIRTIO_VSSD_S_RANGE, -VIO_ERANGE }, { VIRTIO_VSSD_S_BUSY, -VIO_EBUSY },
		{ VIRTIO_VSSD_S_STATE, -VIO_EINVAL }, { 8, -VIO_EPEER },
		{ UINT32_MAX, -VIO_EPEER },
	};
	struct lie lie;

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(statuses); i++) {
		lie = shrinking();
		lie.status = statuses[i].status;
		expect(&lie, statuses[i].result);
	}
	for (uint32_t written = 0; written < sizeof(struct virtio_vssd_answer); written++) {
		lie = shrinking();
		lie.written = written;
		expect(&lie, -VIO_EPEER);
	}
	for (uint64_t off = 1; off < 4; off++) {
		lie = shrinking();
		lie.answered = off == 3 ? UINT64_MAX : BLOCKS - 10 + off * 10 - 15;
		expect(&lie, -VIO_EPEER);
	}
}

/* hostile: B65: a device that never has enough gets one list of what it asks for. */
static void insatiable(void **state)
{
	struct lie lie = shrinking();

	lie.target = 0;
	lie.answered = 0;
	lie.moves = true;
	expect(&lie, -VIO_EAGAIN);
}

/* hostile: B65: it thanks for what it got, and goes on asking for the same. */
static void stands_still(void **state)
{
	struct lie lie = shrinking();

	lie.target = 0;
	lie.answered = 0;
	expect(&lie, -VIO_EPEER);
}

/* hostile: B65: it gives blocks of which none is absent, or says nothing of where they are. */
static void gives_nothing(void **state)
{
	struct lie lie = shrinking();

	lie.provisioned = BLOCKS - 10;
	lie.target = BLOCKS;
	lie.state = VIRTIO_VSSD_STATE_GROWING;
	expect(&lie, -VIO_EPEER);
	lie.bits = 0; /* more absent ones than can be: it takes ten, and the answer is of another number */
	lie.answered = BLOCKS - 1;
	expect(&lie, -VIO_EPEER);
	lie.written = sizeof(struct virtio_vssd_answer);
	expect(&lie, -VIO_EPEER);
	/* A disk without an end isn't looked through in one call. */
	lie.written = UINT32_MAX;
	lie.bits = 0xff;
	lie.total = lie.target = UINT64_MAX;
	expect(&lie, -VIO_EAGAIN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(impossible_configurations),
		cmocka_unit_test(impossible_answers),
		cmocka_unit_test(insatiable),
		cmocka_unit_test(stands_still),
		cmocka_unit_test(gives_nothing),
	};

	return cmocka_run_group_tests_name("hostile VSSD", tests, NULL, NULL);
}
