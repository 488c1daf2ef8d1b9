/* SPDX-License-Identifier: BSD-3-Clause */
#include "vfio_user/bed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A device goes from one server to another, with what its driver has set up and asked. */

#define STATE_MAX 4096u /* of the toy's */
#define COMMON    0u    /* offset of the common configuration */

#define STATE_DEVICE_BYTES 12u /* where a state says how many bytes of the device it has */

struct state {
	uint8_t bytes[STATE_MAX];
	uint32_t length;
};

/* What can be seen of a function. */
struct sight {
	uint8_t space[PCI_CONFIG_BYTES];
	uint8_t common[VIRTIO_PCI_COMMON_BYTES];
	uint8_t config[TOY_CONFIG_BYTES];
};

static int feature(struct bed *bed, uint32_t flags, const void *data, uint32_t bytes)
{
	return vfio_client_feature(&bed->client, flags, data, bytes);
}

static int go_to(struct bed *bed, uint32_t to)
{
	return vfio_client_go(&bed->client, to);
}

static uint32_t state_of(struct bed *bed)
{
	struct vfio_user_mig_state state;

	assert_int_equal(feature(bed, VFIO_USER_FEATURE_GET | VFIO_USER_FEATURE_MIG_DEVICE_STATE, NULL, 0),
			 0);
	assert_int_equal(bed->client.reply_bytes, sizeof(struct vfio_user_feature) + sizeof(state));
	memcpy(&state, bed->client.reply + sizeof(struct vfio_user_feature), sizeof(state));
	return state.device_state;
}

static int read_piece(struct bed *bed, struct state *state, uint32_t size)
{
	uint32_t got;
	int error;

	if (size > STATE_MAX - state->length)
		size = STATE_MAX - state->length;
	error = vfio_client_take_state(&bed->client, state->bytes + state->length, size, &got);
	state->length += got;
	return error;
}

static int write_piece(struct bed *bed, const uint8_t *bytes, uint32_t length)
{
	return vfio_client_give_state(&bed->client, bytes, length);
}

/* In pieces, until there are less than were asked for. */
static void read_state(struct bed *bed, struct state *state, uint32_t piece)
{
	uint32_t before;

	assert_int_equal(go_to(bed, VFIO_USER_STATE_STOP_COPY), 0);
	state->length = 0;
	do {
		before = state->length;
		assert_int_equal(read_piece(bed, state, piece), 0);
	} while (state->length - before == piece);
	assert_int_not_equal(state->length, 0);
}

static int write_state(struct bed *bed, const struct state *state, uint32_t piece)
{
	assert_int_equal(go_to(bed, VFIO_USER_STATE_RESUMING), 0);
	for (uint32_t at = 0; at < state->length; at += piece)
		assert_int_equal(write_piece(bed, state->bytes + at,
					     state->length - at < piece ? state->length - at : piece),
				 0);
	return go_to(bed, VFIO_USER_STATE_STOP);
}

static void look(struct bed *bed, struct sight *sight)
{
	uint64_t value;

	memset(sight, 0, sizeof(*sight));
	for (unsigned at = 0; at < PCI_CONFIG_BYTES; at += 4) {
		assert_int_equal(vfio_client_read(&bed->client, VFIO_USER_REGION_CONFIG, at, 4, &value), 0);
		memcpy(sight->space + at, &value, 4);
	}
	for (unsigned at = 0; at < VIRTIO_PCI_COMMON_BYTES; at += 2) {
		value = bed_get(bed, COMMON + at, 2);
		memcpy(sight->common + at, &value, 2);
	}
	for (unsigned at = 0; at < TOY_CONFIG_BYTES; at += 4) {
		value = bed_get(bed, 0x2000 + at, 4);
		memcpy(sight->config + at, &value, 4);
	}
}

/* Number `slot` of those that fit into queue 0 at the same time. */
static void offer(struct bed *bed, unsigned slot, uint32_t number)
{
	uint8_t *ring = bed->memory + BED_RINGS;
	struct virtq_desc *desc = (void *)ring;
	struct virtq_avail *avail = (void *)(ring + 0x1000);
	const uint64_t at = BED_DATA + 16 * slot;
	const vio_le32 request[2] = { vio_le32_make(number), vio_le32_make(0) };

	memcpy(bed->memory + at, request, sizeof(request));
	desc[2 * slot] = (struct virtq_desc){ vio_le64_make(BED_MEMORY + at), vio_le32_make(4),
					      vio_le16_make(VIRTQ_DESC_F_NEXT),
					      vio_le16_make((uint16_t)(2 * slot + 1)) };
	desc[2 * slot + 1] = (struct virtq_desc){ vio_le64_make(BED_MEMORY + at + 4), vio_le32_make(4),
						  vio_le16_make(VIRTQ_DESC_F_WRITE), vio_le16_make(0) };
	avail->ring[bed->offered[0]++ % TOY_SIZE] = vio_le16_make((uint16_t)(2 * slot));
	avail->idx = vio_le16_make(bed->offered[0]);
}

static uint32_t answer(const struct bed *bed, unsigned slot)
{
	vio_le32 number;

	memcpy(&number, bed->memory + BED_DATA + 16 * slot + 4, sizeof(number));
	return vio_le32_get(number);
}

static unsigned used(const struct bed *bed)
{
	const struct virtq_used *ring = (const void *)(bed->memory + BED_RINGS + 0x2000);

	return vio_le16_get(ring->idx);
}

/* Another machine that has the same memory, and waits. */
static struct bed *make_other(struct bed *bed)
{
	void *made;
	struct bed *other;

	assert_int_equal(bed_make(&made), 0);
	other = made;
	bed_agree(other);
	assert_int_equal(vfio_client_map(&other->client, BED_MEMORY, BED_MEMORY_BYTES, 0, bed->memory_fd), 0);
	return other;
}

/* Neither has a client any more, so that each can be looked at for what is left. */
static void free_other(struct bed *bed, struct bed *other)
{
	void *made = other;

	bed->toy->hold = other->toy->hold = false;
	bed_hang_up(bed);
	bed_hang_up(other);
	bed_free(&made);
}

static void states_are_what_a_client_expects(void **state)
{
	struct bed *bed = *state;
	uint64_t flags;

	bed_run(bed);
	assert_int_equal(
		feature(bed, VFIO_USER_FEATURE_PROBE | VFIO_USER_FEATURE_GET | VFIO_USER_FEATURE_MIGRATION,
			NULL, 0),
		0);
	assert_int_equal(feature(bed,
				 VFIO_USER_FEATURE_PROBE | VFIO_USER_FEATURE_GET | VFIO_USER_FEATURE_SET |
					 VFIO_USER_FEATURE_MIG_DEVICE_STATE,
				 NULL, 0),
			 0);
	assert_int_equal(feature(bed, VFIO_USER_FEATURE_GET | VFIO_USER_FEATURE_MIGRATION, NULL, 0), 0);
	memcpy(&flags, bed->client.reply + sizeof(struct vfio_user_feature), sizeof(flags));
	assert_int_equal(flags, VFIO_USER_MIGRATION_STOP_COPY);
	/* Each state leads to each, and those that no path leads to stay where they were. */
	for (uint32_t from = VFIO_USER_STATE_STOP; from <= VFIO_USER_STATE_STOP_COPY; from++)
		for (uint32_t to = VFIO_USER_STATE_STOP; to <= VFIO_USER_STATE_STOP_COPY; to++) {
			assert_int_equal(go_to(bed, from), 0);
			assert_int_equal(go_to(bed, to), 0);
			assert_int_equal(state_of(bed), to);
		}
	assert_int_equal(go_to(bed, VFIO_USER_STATE_RUNNING), 0);
	bed_offer(bed, 0, 7);
	bed_kick(bed, 0);
	assert_int_equal(bed_answer(bed, 0), 8);
}

/* What was in flight is answered before it leaves, what wasn't taken waits for the other side. */
static void requests_in_flight_arrive(void **state)
{
	static struct sight before, after;
	struct bed *bed = *state, *other = make_other(bed);
	struct state saved;

	bed_run(bed);
	bed_set(bed, 0x2000 + TOY_CONFIG_WRITABLE, 4, 0x12345678);
	bed->toy->hold = true;
	for (unsigned slot = 0; slot < 3; slot++)
		offer(bed, slot, 100 + slot);
	bed_kick(bed, 0);
	assert_int_equal(bed->toy->held_count, 3);
	offer(bed, 3, 103);
	(void)bed_raised(bed->events[1]);

	assert_int_equal(go_to(bed, VFIO_USER_STATE_STOP), 0);
	assert_int_equal(used(bed), 3);
	for (unsigned slot = 0; slot < 3; slot++)
		assert_int_equal(answer(bed, slot), 101 + slot);
	look(bed, &before);
	read_state(bed, &saved, 100);
	assert_int_equal(bed_raised(bed->events[1]), 0); /* the driver is told where it goes on */

	assert_int_equal(write_state(other, &saved, 33), 0);
	look(other, &after);
	assert_memory_equal(before.space, after.space, sizeof(before.space));
	assert_memory_equal(before.config, after.config, sizeof(before.config));
	before.common[VIRTIO_PCI_COMMON_CFGGENERATION] = after.common[VIRTIO_PCI_COMMON_CFGGENERATION];
	assert_memory_equal(before.common, after.common, sizeof(before.common));
	assert_int_equal(used(bed), 3);
	bed_assign(other, VFIO_USER_IRQ_MSIX);
	assert_int_equal(bed_raised(other->events[1]), 0);

	assert_int_equal(go_to(other, VFIO_USER_STATE_RUNNING), 0);
	bed_settle(other);
	assert_int_equal(used(bed), 4);
	assert_int_equal(answer(bed, 3), 104);
	assert_int_not_equal(bed_raised(other->events[1]), 0);
	assert_int_equal(other->toy->served, bed->toy->served + 1);
	free_other(bed, other);
}

/* To and fro, with what is in flight and what waits different each time, and nothing answered twice. */
static void it_comes_back_twenty_times(void **state)
{
	struct bed *bed = *state, *other = make_other(bed), *from = bed, *to = other, *swap;
	unsigned total = 0, random = 1;
	struct state saved;

	bed_run(bed);
	for (unsigned round = 0; round < 40; round++) {
		unsigned taken, waiting, slot;

		random = random * 1103515245 + 12345;
		taken = random >> 16 & 1;
		waiting = random >> 17 & 3;
		from->toy->hold = true;
		for (slot = 0; slot < taken; slot++)
			offer(bed, slot, 1000 * round + slot);
		bed_set(from, bed->notify, 2, 0);
		assert_int_equal(from->toy->held_count, taken);
		for (; slot < taken + waiting; slot++)
			offer(bed, slot, 1000 * round + slot);
		read_state(from, &saved, 1 + (random >> 20 & 63));
		total += taken;
		assert_int_equal(used(bed), total & UINT16_MAX);
		from->toy->hold = to->toy->hold = false;
		assert_int_equal(write_state(to, &saved, 1 + (random >> 22 & 63)), 0);
		assert_int_equal(go_to(to, VFIO_USER_STATE_RUNNING), 0);
		bed_settle(to);
		total += waiting;
		assert_int_equal(used(bed), total & UINT16_MAX);
		for (slot = 0; slot < taken + waiting; slot++)
			assert_int_equal(answer(bed, slot), 1000 * round + slot + 1);
		swap = from;
		from = to;
		to = swap;
	}
	assert_int_equal(from->toy->served, total);
	free_other(bed, other);
}

/* The machine stays after all: it goes on as if nothing had been. */
static void a_move_is_called_off(void **state)
{
	struct bed *bed = *state;
	struct state saved;

	bed_run(bed);
	bed->toy->hold = true;
	offer(bed, 0, 1);
	bed_kick(bed, 0);
	(void)bed_raised(bed->events[1]);
	read_state(bed, &saved, 64);
	bed->toy->hold = false;
	offer(bed, 1, 2);
	bed_settle(bed);
	assert_int_equal(used(bed), 1);
	assert_int_equal(go_to(bed, VFIO_USER_STATE_RUNNING), 0);
	bed_settle(bed);
	assert_int_equal(used(bed), 2);
	assert_int_not_equal(bed_raised(bed->events[1]), 0);
	offer(bed, 2, 3);
	bed_kick(bed, 0);
	assert_int_equal(answer(bed, 2), 4);
}

/* Memory that is given after the state: queues go on when it is there. */
static void memory_may_come_last(void **state)
{
	struct bed *bed = *state, *other = make_other(bed);
	struct state saved;

	bed_run(bed);
	offer(bed, 0, 5);
	read_state(bed, &saved, 512);
	assert_int_equal(vfio_client_unmap(&other->client, BED_MEMORY, BED_MEMORY_BYTES), 0);
	assert_int_equal(write_state(other, &saved, 512), 0);
	assert_int_equal(go_to(other, VFIO_USER_STATE_RUNNING), 0);
	assert_int_equal(used(bed), 0);
	assert_int_equal(vfio_client_map(&other->client, BED_MEMORY, BED_MEMORY_BYTES, 0, bed->memory_fd), 0);
	assert_int_equal(bed_get(other, VIRTIO_PCI_COMMON_STATUS, 1), TOY_RUNNING);
	assert_int_equal(used(bed), 1);
	free_other(bed, other);
}

/* The line is a level: whoever comes last finds it high. */
static void a_line_stays_high(void **state)
{
	struct bed *bed = *state, *other = make_other(bed);
	struct state saved;

	bed_agree(bed);
	assert_int_equal(vfio_client_map(&bed->client, BED_MEMORY, BED_MEMORY_BYTES, 0, bed->memory_fd), 0);
	bed_assign(bed, VFIO_USER_IRQ_INTX);
	bed_driver_start(bed, 0);
	offer(bed, 0, 5);
	bed_kick(bed, 0);
	assert_int_equal(bed_raised(bed->line_event), 1);
	read_state(bed, &saved, 512);
	assert_int_equal(write_state(other, &saved, 512), 0);
	bed_assign(other, VFIO_USER_IRQ_INTX);
	assert_int_equal(bed_raised(other->line_event), 0);
	assert_int_equal(go_to(other, VFIO_USER_STATE_RUNNING), 0);
	assert_int_equal(bed_raised(other->line_event), 1);
	assert_int_equal(bed_get(other, 0x1000, 1), VIRTIO_PCI_ISR_QUEUE);
	free_other(bed, other);
}

/* hostile: E19, jumps to where no path leads, and states that are none */
static void states_lie(void **state)
{
	static const uint32_t none[] = { 0, 5, 6, 7, 8, UINT32_C(1) << 31, UINT32_MAX };
	static const uint32_t all[] = { 1, 2, 3 };
	const struct vfio_user_mig_state stop = { VFIO_USER_STATE_STOP, 0 };
	struct bed *bed = *state;

	bed_run(bed);
	for (unsigned from = 0; from < VIO_ARRAY_SIZE(all); from++)
		for (unsigned to = 0; to < VIO_ARRAY_SIZE(none); to++) {
			assert_int_equal(go_to(bed, all[from]), 0);
			assert_int_equal(go_to(bed, none[to]), EINVAL);
			assert_int_equal(state_of(bed), all[from]);
		}
	assert_int_equal(go_to(bed, VFIO_USER_STATE_RUNNING), 0);
	/* Neither, both, more than there are, and a payload of another length. */
	assert_int_equal(feature(bed, VFIO_USER_FEATURE_MIG_DEVICE_STATE, &stop, sizeof(stop)), EINVAL);
	assert_int_equal(
		feature(bed,
			VFIO_USER_FEATURE_GET | VFIO_USER_FEATURE_SET | VFIO_USER_FEATURE_MIG_DEVICE_STATE,
			&stop, sizeof(stop)),
		EINVAL);
	assert_int_equal(
		feature(bed, VFIO_USER_FEATURE_SET | VFIO_USER_FEATURE_MIGRATION, &stop, sizeof(stop)),
		EINVAL);
	assert_int_equal(feature(bed, 0x80000 | VFIO_USER_FEATURE_GET | VFIO_USER_FEATURE_MIGRATION, NULL, 0),
			 EINVAL);
	for (uint32_t bytes = 0; bytes < 16; bytes++)
		assert_int_equal(feature(bed, VFIO_USER_FEATURE_SET | VFIO_USER_FEATURE_MIG_DEVICE_STATE,
					 &(uint64_t[2]){ 1, 0 }, bytes),
				 bytes == sizeof(stop) ? 0 : EINVAL);
	assert_int_equal(state_of(bed), VFIO_USER_STATE_STOP);
}

/* hostile: E19, data before there is a state for it, and of sizes that don't fit */
static void data_lies(void **state)
{
	static const uint32_t sizes[] = { 0, VIO_VFIO_USER_DATA_MAX + 1, UINT32_MAX };
	static const uint8_t zeros[VIO_VFIO_USER_DATA_MAX];
	struct state saved = { .length = 0 };
	struct vfio_user_mig_data data;
	struct bed *bed = *state;
	unsigned written = 0;

	bed_run(bed);
	for (uint32_t now = VFIO_USER_STATE_STOP; now <= VFIO_USER_STATE_RESUMING; now++) {
		assert_int_equal(go_to(bed, now), 0);
		assert_int_equal(read_piece(bed, &saved, 8), now == VFIO_USER_STATE_STOP_COPY ? 0 : EINVAL);
		if (now != VFIO_USER_STATE_RESUMING)
			assert_int_equal(write_piece(bed, zeros, 8), EINVAL);
	}
	assert_int_equal(saved.length, 8);
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(sizes); i++) {
		data = (struct vfio_user_mig_data){ sizeof(data), sizes[i] };
		assert_int_equal(
			vfio_client_call(&bed->client, VFIO_USER_MIG_DATA_WRITE, &data, sizeof(data)),
			EINVAL);
	}
	/* There is an end to it. */
	while (!write_piece(bed, zeros, sizeof(zeros)))
		assert_true(++written < 1000);
	assert_int_equal(written, 256);
	assert_int_equal(go_to(bed, VFIO_USER_STATE_RUNNING), EINVAL);
	assert_int_equal(state_of(bed), VFIO_USER_STATE_ERROR);
	assert_int_equal(go_to(bed, VFIO_USER_STATE_STOP), EINVAL);
	assert_int_equal(vfio_client_call(&bed->client, VFIO_USER_DEVICE_RESET, NULL, 0), 0);
	assert_int_equal(state_of(bed), VFIO_USER_STATE_RUNNING);
	assert_int_equal(go_to(bed, VFIO_USER_STATE_STOP_COPY), 0);
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(sizes); i++) {
		data = (struct vfio_user_mig_data){ UINT32_MAX, sizes[i] };
		assert_int_equal(vfio_client_call(&bed->client, VFIO_USER_MIG_DATA_READ, &data, sizeof(data)),
				 EINVAL);
	}
	data = (struct vfio_user_mig_data){ sizeof(data), 1 };
	assert_int_equal(vfio_client_call(&bed->client, VFIO_USER_MIG_DATA_READ, &data, sizeof(data)),
			 EINVAL);
}

/* The device in `bed` has been reset and works. */
static void works(struct bed *bed)
{
	assert_int_equal(vfio_client_call(&bed->client, VFIO_USER_DEVICE_RESET, NULL, 0), 0);
	assert_int_equal(state_of(bed), VFIO_USER_STATE_RUNNING);
	bed_assign(bed, VFIO_USER_IRQ_MSIX);
	bed_driver_start(bed, 1);
	bed_offer(bed, 0, 50);
	bed_kick(bed, 0);
	assert_int_equal(bed_answer(bed, 0), 51);
}

/* hostile: E19 G1 G16, what isn't a state is refused whole; what is one by accident can do no harm. */
static void states_are_damaged(void **state)
{
	struct bed *bed = *state, *other = make_other(bed);
	struct state saved, damaged;
	unsigned refused = 0;

	bed_run(bed);
	offer(bed, 0, 5);
	read_state(bed, &saved, STATE_MAX);
	for (damaged = saved; damaged.length > 1;) {
		damaged.length--;
		assert_int_equal(write_state(other, &damaged, STATE_MAX), EINVAL);
		assert_int_equal(state_of(other), VFIO_USER_STATE_ERROR);
		assert_int_equal(vfio_client_call(&other->client, VFIO_USER_DEVICE_RESET, NULL, 0), 0);
	}
	damaged = saved;
	damaged.bytes[damaged.length++] = 0; /* hostile: G10 */
	assert_int_equal(write_state(other, &damaged, STATE_MAX), EINVAL);
	assert_int_equal(vfio_client_call(&other->client, VFIO_USER_DEVICE_RESET, NULL, 0), 0);
	for (unsigned bit = 0; bit < 8 * saved.length; bit++) {
		damaged = saved;
		damaged.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		if (write_state(other, &damaged, STATE_MAX))
			refused++;
		else
			(void)go_to(other, VFIO_USER_STATE_RUNNING);
		bed_settle(other);
		assert_int_equal(vfio_client_call(&other->client, VFIO_USER_DEVICE_RESET, NULL, 0), 0);
	}
	assert_true(refused > saved.length);
	works(bed);
	free_other(bed, other);
}

/* hostile: E19 G12, the device's part says that a queue runs; it isn't served, not even once. */
static void a_stopped_device_runs(void **state)
{
	struct bed *bed = *state, *other = make_other(bed);
	struct state saved, forged;
	uint8_t runs[STATE_MAX];
	size_t stopped_bytes, runs_bytes;

	bed_run(bed);
	offer(bed, 0, 5);
	runs_bytes = vio_device_save(&bed->dev, runs, sizeof(runs));
	read_state(bed, &saved, STATE_MAX);
	stopped_bytes = vio_device_save(&bed->dev, NULL, 0);
	assert_in_range(runs_bytes, stopped_bytes + 1, STATE_MAX - saved.length);

	forged = saved;
	forged.length -= (uint32_t)stopped_bytes;
	memcpy(forged.bytes + forged.length, runs, runs_bytes);
	forged.length += (uint32_t)runs_bytes;
	forged.bytes[STATE_DEVICE_BYTES] = (uint8_t)runs_bytes;
	forged.bytes[STATE_DEVICE_BYTES + 1] = (uint8_t)(runs_bytes >> 8);
	assert_int_equal(write_state(other, &forged, STATE_MAX), EINVAL);
	assert_non_null(strstr(other->line, "queue that runs"));
	assert_int_equal(state_of(other), VFIO_USER_STATE_ERROR);
	bed_settle(other);
	assert_int_equal(other->toy->served, 0);
	assert_int_equal(used(bed), 0);

	assert_int_equal(vfio_client_call(&other->client, VFIO_USER_DEVICE_RESET, NULL, 0), 0);
	assert_int_equal(write_state(other, &saved, STATE_MAX), 0);
	assert_int_equal(go_to(other, VFIO_USER_STATE_RUNNING), 0);
	bed_settle(other);
	assert_int_equal(answer(bed, 0), 6);
	free_other(bed, other);
}

/* hostile: E19, a device that is stopped doesn't begin to work by being written to */
static void nothing_moves_in_between(void **state)
{
	struct bed *bed = *state;
	uint64_t command;

	bed_run(bed);
	offer(bed, 0, 5);
	assert_int_equal(go_to(bed, VFIO_USER_STATE_STOP), 0);
	assert_int_equal(vfio_client_write(&bed->client, BED_BAR, bed->notify, 2, 0), EBUSY);
	assert_int_equal(vfio_client_write(&bed->client, BED_BAR, VIRTIO_PCI_COMMON_STATUS, 1, 0), EBUSY);
	for (unsigned at = PCI_HEADER_BYTES; at < 256; at += 4)
		assert_int_equal(vfio_client_write(&bed->client, VFIO_USER_REGION_CONFIG, at, 4, 0), EBUSY);
	assert_int_equal(vfio_client_read(&bed->client, VFIO_USER_REGION_CONFIG, PCI_COMMAND, 2, &command),
			 0);
	assert_int_equal(vfio_client_write(&bed->client, VFIO_USER_REGION_CONFIG, PCI_COMMAND, 2, command),
			 0);
	bed_settle(bed);
	assert_int_equal(used(bed), 0);
	assert_int_equal(go_to(bed, VFIO_USER_STATE_RUNNING), 0);
	assert_int_equal(used(bed), 1);
}

/* hostile: E18 E19, reset and the end of the connection in each state; bed_free() looks */
static void it_ends_in_each_state(void **state)
{
	struct bed *bed = *state;

	for (uint32_t now = VFIO_USER_STATE_STOP; now <= VFIO_USER_STATE_RESUMING; now++) {
		bed_run(bed);
		bed->toy->hold = true;
		offer(bed, 0, 5);
		bed_kick(bed, 0);
		assert_int_equal(go_to(bed, now), 0);
		bed->toy->hold = false;
		works(bed);
		assert_int_equal(go_to(bed, now), 0);
		bed_hang_up(bed);
		bed_check_idle(bed);
	}
}

/* hostile: E20, there is no log of pages, whatever size they are to have */
static void pages_are_not_logged(void **state)
{
	static const uint64_t sizes[] = { 0, 3, 4096, UINT64_C(1) << 63 };
	struct bed *bed = *state;

	bed_run(bed);
	for (uint32_t index = 0; index < 16; index++) {
		if (index == VFIO_USER_FEATURE_MIGRATION || index == VFIO_USER_FEATURE_MIG_DEVICE_STATE)
			continue;
		assert_int_equal(
			feature(bed, VFIO_USER_FEATURE_PROBE | VFIO_USER_FEATURE_GET | index, NULL, 0),
			EOPNOTSUPP);
	}
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(sizes); i++) {
		const uint64_t start[4] = { sizes[i], 1, UINT64_MAX, UINT64_MAX };

		assert_int_equal(feature(bed, VFIO_USER_FEATURE_SET | VFIO_USER_FEATURE_LOGGING_START, start,
					 sizeof(start)),
				 EOPNOTSUPP);
		assert_int_equal(
			feature(bed, VFIO_USER_FEATURE_GET | VFIO_USER_FEATURE_LOGGING_REPORT, start, 24),
			EOPNOTSUPP);
	}
	bed_offer(bed, 0, 50);
	bed_kick(bed, 0);
	assert_int_equal(bed_answer(bed, 0), 51);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BED_CASE(states_are_what_a_client_expects),
		BED_CASE(requests_in_flight_arrive),
		BED_CASE(it_comes_back_twenty_times),
		BED_CASE(a_move_is_called_off),
		BED_CASE(memory_may_come_last),
		BED_CASE(a_line_stays_high),
		BED_CASE(states_lie),
		BED_CASE(data_lies),
		BED_CASE(states_are_damaged),
		BED_CASE(a_stopped_device_runs),
		BED_CASE(nothing_moves_in_between),
		BED_CASE(it_ends_in_each_state),
		BED_CASE(pages_are_not_logged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
