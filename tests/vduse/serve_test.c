/* SPDX-License-Identifier: BSD-3-Clause */
#include "vduse/bed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A device by VDUSE: made, served, moved about in memory, left and taken over. */

static void a_driver_is_served(void **state)
{
	struct bed *bed = *state;

	assert_int_equal(bed_start(bed), 0);
	assert_int_equal(bed->kernel.id, bed->dev.id);
	assert_int_equal(bed->kernel.queue_count, TOY_QUEUES);
	assert_memory_equal(bed->kernel.config, "toy!", 4);
	assert_int_equal(bed->kernel.queues[TOY_QUEUES - 1].max_size, TOY_SIZE);
	/* What VDUSE has no message for isn't offered, and nothing beyond 64 bits. */
	assert_true(bed->kernel.features >> VIRTIO_F_VERSION_1 & 1);
	assert_true(bed->kernel.features >> VIRTIO_F_RING_PACKED & 1);
	assert_false(bed->kernel.features >> VIRTIO_F_RING_RESET & 1);
	for (unsigned life = 0; life < 3; life++) {
		bed_run(bed);
		for (unsigned i = 0; i < 100; i++)
			bed_check_serves(bed);
	}
	assert_int_equal(bed_status(bed, 0), VDUSE_REQ_RESULT_OK);
	assert_int_equal(bed->dev.status, 0);
	assert_int_equal(bed->server->memory.count, 0);
}

/* A kick that came when nobody listened, and a queue of which the driver said late that it is ready. */
static void a_queue_may_come_late(void **state)
{
	struct bed *bed = *state;

	assert_int_equal(bed_start(bed), 0);
	bed_map(bed);
	bed_negotiate(bed);
	bed_queue(bed, 0);
	assert_int_equal(bed_status(bed, TOY_RUNNING), VDUSE_REQ_RESULT_OK);
	bed_queue(bed, 1);
	bed_offer(bed, 1, 7);
	assert_int_equal(bed_answer(bed, 1), 8);
	bed_offer(bed, 0, 8);
	assert_int_equal(bed_answer(bed, 0), 9);
}

/* A server that polls finds what nobody kicks for; when it sleeps it wants to be kicked. */
static void queues_are_polled(void **state)
{
	struct bed *bed = *state;

	vio_loop_poll(bed->loop, 1000000);
	assert_int_equal(bed_start(bed), 0);
	bed_run(bed);
	for (uint16_t i = 0; i < 20; i++) {
		const uint16_t kicked = i % TOY_QUEUES, polled = (uint16_t)((i / 2) % TOY_QUEUES);

		assert_true(bed_wants_kick(bed, kicked));
		bed_offer(bed, kicked, i);
		assert_int_equal(bed_answer(bed, kicked), i + 1u);
		bed_show(bed, polled, 100u + i);
		assert_true(vio_loop_step(bed->loop, 1) > 0);
		assert_int_equal(bed_answer(bed, polled), 101u + i);
	}
	bed_offer(bed, 0, 7);
	bed_show(bed, 0, 8);
	assert_true(bed->server->queues[0].kick.poll(&bed->server->queues[0].kick));
	assert_false(bed->server->queues[0].kick.poll(&bed->server->queues[0].kick));
	assert_int_equal(bed_answer(bed, 0), 9);
	assert_false(bed_wants_kick(bed, 0));
	/* Paused while it is polled, it starts as one that isn't. */
	assert_int_equal(bed_update(bed, 0, UINT64_MAX), VDUSE_REQ_RESULT_OK);
	bed_settle(bed);
	assert_true(bed_wants_kick(bed, 0));
	bed_offer(bed, 0, 10);
	assert_int_equal(bed_answer(bed, 0), 11);
	vio_loop_poll(bed->loop, 0);
}

static void features_are_withheld(void **state)
{
	struct bed *bed = *state;

	bed->options.withhold = TEST_BIT(TOY_F_BASE) | TEST_BIT(VIRTIO_F_RING_PACKED);
	assert_int_equal(bed_start(bed), 0);
	assert_int_equal(bed->kernel.features & bed->options.withhold, 0);
	bed_map(bed);
	assert_int_equal(bed_status(bed, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER),
			 VDUSE_REQ_RESULT_OK);
	/* And not accepted: neither what wasn't offered nor what the device refuses. */
	bed->kernel.accepted = BED_FEATURES | TEST_BIT(TOY_F_BASE);
	assert_int_equal(bed_status(bed, TOY_NEGOTIATED), VDUSE_REQ_RESULT_FAILED);
	bed->kernel.accepted = BED_FEATURES | TEST_BIT(TOY_F_MORE);
	assert_int_equal(bed_status(bed, TOY_NEGOTIATED), VDUSE_REQ_RESULT_FAILED);
	bed->kernel.accepted = TEST_BIT(VIRTIO_F_ACCESS_PLATFORM);
	assert_int_equal(bed_status(bed, TOY_NEGOTIATED), VDUSE_REQ_RESULT_FAILED);
	bed->kernel.accepted = BED_FEATURES;
	assert_int_equal(bed_status(bed, TOY_NEGOTIATED), VDUSE_REQ_RESULT_OK);
}

static int state_of(struct bed *bed, uint32_t queue, uint16_t *at)
{
	struct vduse_dev_request request = { .type = VDUSE_GET_VQ_STATE, .vq_state.index = queue };
	struct vduse_dev_response response;
	int result = bed_ask(bed, &request, &response);

	if (result == VDUSE_REQ_RESULT_OK)
		assert_int_equal(response.vq_state.index, queue);
	*at = response.vq_state.split.avail_index;
	return result;
}

/* A queue tells where it stands, with nothing in flight, and goes on. */
static void a_queue_stands_somewhere(void **state)
{
	struct bed *bed = *state;
	uint16_t at;

	bed_run(bed);
	for (unsigned i = 0; i < 20; i++)
		bed_offer(bed, 1, i);
	assert_int_equal(state_of(bed, 1, &at), VDUSE_REQ_RESULT_OK);
	assert_int_equal(at, 20);
	bed->toy->hold = true;
	bed_offer(bed, 1, 99);
	assert_int_equal(bed_answer(bed, 1), 0);
	assert_int_equal(state_of(bed, 1, &at), VDUSE_REQ_RESULT_OK);
	assert_int_equal(at, 21);
	assert_int_equal(bed_answer(bed, 1), 100);
	bed->toy->hold = false;
	assert_int_equal(state_of(bed, 0, &at), VDUSE_REQ_RESULT_OK);
	assert_int_equal(at, 0);
	bed_check_serves(bed);
}

/* QEMU 7.2 resets the device of a guest that only stands still, and asks where it stood. */
static void a_queue_stood_somewhere(void **state)
{
	struct bed *bed = *state;
	uint16_t at;

	bed_run(bed);
	for (unsigned i = 0; i < 20; i++)
		bed_offer(bed, 1, i);
	bed->toy->hold = true;
	bed_offer(bed, 1, 99);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(bed_status(bed, 0), VDUSE_REQ_RESULT_OK);
		assert_int_equal(bed->dev.status, 0);
		assert_int_equal(bed_answer(bed, 1), 100);
		assert_int_equal(state_of(bed, 1, &at), VDUSE_REQ_RESULT_OK);
		assert_int_equal(at, 21);
		assert_int_equal(state_of(bed, 0, &at), VDUSE_REQ_RESULT_OK);
		assert_int_equal(at, 0);
	}
	bed->toy->hold = false;
	/* The next driver's queues stand where it says, whether they ran or not. */
	bed_negotiate(bed);
	bed_queue(bed, 1);
	bed->kernel.queues[1].info.split.avail_index = 7;
	assert_int_equal(state_of(bed, 1, &at), VDUSE_REQ_RESULT_OK);
	assert_int_equal(at, 7);
	bed_run(bed);
	assert_int_equal(state_of(bed, 1, &at), VDUSE_REQ_RESULT_OK);
	assert_int_equal(at, 0);
	bed_check_serves(bed);
	/* One that never had a ring has no place of an earlier one. */
	bed_negotiate(bed);
	assert_int_equal(bed_status(bed, 0), VDUSE_REQ_RESULT_OK);
	assert_int_equal(state_of(bed, 1, &at), VDUSE_REQ_RESULT_OK);
	assert_int_equal(at, 0);
}

/* The rings and data go elsewhere in the file: what was there before isn't touched any more. */
static void memory_moves(void **state)
{
	struct bed *bed = *state;
	const uint64_t from = BED_RING_OFFSET, to = from + TOY_QUEUES * BED_RING_BYTES;

	bed_run(bed);
	bed_check_serves(bed);
	assert_int_equal(bed->server->memory.count, 1 + TOY_QUEUES);
	bed->toy->hold = true;
	bed_offer(bed, 0, 17);
	/* What isn't ours to know of changes nothing. */
	assert_int_equal(bed_update(bed, 0x7000000000, 0x7fffffffff), VDUSE_REQ_RESULT_OK);
	assert_int_equal(bed_answer(bed, 0), 0);
	assert_int_equal(bed_update(bed, 0, UINT64_MAX), VDUSE_REQ_RESULT_OK);
	assert_int_equal(bed_answer(bed, 0), 18);
	bed->toy->hold = false;
	memcpy(bed->memory + to, bed->memory + from, TOY_QUEUES * BED_RING_BYTES);
	for (unsigned i = 0; i < TOY_QUEUES; i++)
		bed->kernel.pieces[1 + i].entry.offset += to - from;
	assert_int_equal(bed_update(bed, BED_RINGS, BED_RINGS + 0x2ffff), VDUSE_REQ_RESULT_OK);
	memset(bed->memory + from, 0xa5, BED_RING_BYTES);
	/* bed_offer() writes where the rings were. */
	memcpy(bed->memory + from, bed->memory + to, TOY_QUEUES * BED_RING_BYTES);
	for (unsigned i = 0; i < TOY_QUEUES; i++)
		bed->kernel.pieces[1 + i].entry.offset -= to - from;
	assert_int_equal(bed_update(bed, BED_RINGS, BED_RINGS + 0x2ffff), VDUSE_REQ_RESULT_OK);
	bed_check_serves(bed);
	/* Rings that are gone for a while: their queues wait for them. */
	bed->kernel.piece_count = 1;
	assert_int_equal(bed_update(bed, 0, UINT64_MAX), VDUSE_REQ_RESULT_OK);
	bed_offer(bed, 2, 5);
	assert_int_equal(bed_answer(bed, 2), 0);
	bed_map(bed);
	memset(bed->memory + BED_RING_OFFSET + TOY_QUEUES * BED_RING_BYTES, 0, 16);
	assert_int_equal(bed_update(bed, 0, UINT64_MAX), VDUSE_REQ_RESULT_OK);
	assert_int_equal(bed_answer(bed, 2), 6);
	bed_check_serves(bed);
}

static void the_configuration_changes(void **state)
{
	struct bed *bed = *state;

	bed_run(bed);
	bed_check_serves(bed);
	vio_device_config_changed(&bed->dev);
	assert_int_equal(bed->kernel.config_interrupts, 1);
	assert_int_equal(bed->kernel.config[TOY_CONFIG_COUNTER], TOY_QUEUES);
	/* hostile: F7, a kernel that takes none. */
	bed_check_serves(bed);
	bed->kernel.failing = VDUSE_DEV_SET_CONFIG;
	bed->kernel.failure = EINVAL;
	vio_device_config_changed(&bed->dev);
	assert_int_equal(bed->kernel.config_interrupts, 1);
	assert_non_null(strstr(bed->line, "no new configuration"));
	bed->kernel.failing = 0;
	/* It is made up for with the driver's next step. */
	assert_int_equal(bed_update(bed, 1, 2), VDUSE_REQ_RESULT_OK);
	assert_int_equal(bed->kernel.config[TOY_CONFIG_COUNTER], 2 * TOY_QUEUES);
	bed_check_serves(bed);
}

/* Interrupts that the kernel doesn't take: before it has noted DRIVER_OK, and for longer than is usual. */
static void interrupts_come_again(void **state)
{
	struct bed *bed = *state;
	const unsigned *told = &bed->kernel.config_interrupts;

	bed_run(bed);
	bed_check_serves(bed);
	for (unsigned way = 0; way < 3; way++) {
		const unsigned before = *told, answers = bed->kernel.queues[1].interrupts;

		bed->kernel.status &= (uint8_t)~VIRTIO_CONFIG_S_DRIVER_OK;
		if (way != 1)
			bed_offer(bed, 1, 7);
		vio_device_config_changed(&bed->dev);
		if (way == 1)
			bed_offer(bed, 1, 7);
		assert_true(bed->server->owes_config);
		/* The kernel has taken none for a while. */
		bed->server->patience = way == 2 ? 998 : 0;
		for (unsigned turns = 0; way == 2 && bed->server->patience < 1000; turns++) {
			assert_true(turns < 10000);
			(void)vio_loop_step(bed->loop, 100);
		}
		if (way == 2)
			assert_non_null(strstr(bed->line, "takes no interrupt"));
		assert_int_equal(*told, before);
		bed->kernel.status = TOY_RUNNING;
		for (unsigned turns = 0; *told == before || bed->server->queues[1].owes_interrupt; turns++) {
			assert_true(turns < 10000);
			(void)vio_loop_step(bed->loop, 100);
		}
		assert_int_equal(*told, before + 1);
		assert_int_equal(bed->kernel.queues[1].interrupts, answers + 1);
		bed_check_serves(bed);
	}
	/* Once it is said it isn't said again, and a driver that begins anew is told of its own alone. */
	assert_int_equal(bed->lines, 1);
	bed->kernel.status = 0;
	vio_device_config_changed(&bed->dev);
	assert_true(bed->server->owes_config);
	bed_run(bed);
	assert_false(bed->server->owes_config);
}

/* A device that is taken over before the kernel has noted that its driver is there. */
static void a_change_meanwhile_is_told(void **state)
{
	struct bed *bed = *state;

	bed_run(bed);
	bed_check_serves(bed);
	bed->kernel.in_use = true;
	bed_stop(bed);
	bed->kernel.status &= (uint8_t)~VIRTIO_CONFIG_S_DRIVER_OK;
	bed->kernel.config_interrupts = 0;
	assert_int_equal(bed_start(bed), 0);
	bed_settle(bed);
	assert_int_equal(bed->kernel.config_interrupts, 0);
	bed->kernel.status = TOY_RUNNING;
	for (unsigned turns = 0; !bed->kernel.config_interrupts; turns++) {
		assert_true(turns < 10000);
		(void)vio_loop_step(bed->loop, 100);
	}
	bed_check_serves(bed);
	bed->kernel.in_use = false;
}

/* What a process leaves behind that dies: files and memory as they were then, while the ones of ours end. */
struct remains {
	uint8_t memory[BED_BYTES];
	uint8_t account[1 << 16];
	ssize_t account_bytes;
};

static void die(struct bed *bed, struct remains *remains)
{
	int fd = open(bed->account, O_RDWR);

	memcpy(remains->memory, bed->memory, sizeof(remains->memory));
	remains->account_bytes = pread(fd, remains->account, sizeof(remains->account), 0);
	assert_in_range(remains->account_bytes, 4097, sizeof(remains->account) - 1);
	assert_int_equal(vio_vduse_stop(bed->server), -VIO_EBUSY);
	memcpy(bed->memory, remains->memory, sizeof(remains->memory));
	assert_int_equal(pwrite(fd, remains->account, (size_t)remains->account_bytes, 0),
			 remains->account_bytes);
	close(fd);
}

/* hostile: F8 */
static void who_dies_is_followed(void **state)
{
	struct remains *remains = malloc(sizeof(*remains));
	struct bed *bed = *state;
	unsigned before;

	assert_non_null(remains);
	bed_run(bed);
	bed->kernel.in_use = true;
	bed_check_serves(bed);
	bed->toy->hold = true;
	bed_offer(bed, 0, 70);
	bed_offer(bed, 0, 71);
	bed_offer(bed, 2, 90);
	die(bed, remains);
	assert_int_equal(bed_answer(bed, 0), 0);
	/* A request that comes when nobody is there. */
	bed->toy->hold = false;
	bed_offer(bed, 1, 80);
	before = bed->kernel.queues[0].interrupts;
	assert_int_equal(bed_start(bed), 0);
	bed_settle(bed);
	assert_int_equal(bed->dev.status, TOY_RUNNING);
	assert_int_equal(bed_answer(bed, 0), 72);
	assert_int_equal(bed_answer(bed, 1), 81);
	assert_int_equal(bed_answer(bed, 2), 91);
	assert_true(bed->kernel.queues[0].interrupts > before);
	bed_check_serves(bed);
	/* One that ends in order leaves the device as well, and nothing in flight. */
	bed_stop(bed);
	assert_int_equal(bed_start(bed), 0);
	bed_check_serves(bed);
	assert_int_equal(bed_status(bed, 0), VDUSE_REQ_RESULT_OK);
	bed->kernel.in_use = false;
	bed_stop(bed);
	assert_false(bed->kernel.exists);
	free(remains);
}

/* A driver that resets the device while nobody serves it, or gave it up, isn't gone on with. */
static void a_reset_ends_the_account(void **state)
{
	struct vduse_dev_request request = { .type = VDUSE_SET_STATUS, .s.status = 0 };
	struct remains *remains = malloc(sizeof(*remains));
	struct vduse_dev_response response;
	struct bed *bed = *state;

	assert_non_null(remains);
	bed_run(bed);
	bed->kernel.in_use = true;
	bed->toy->hold = true;
	bed_offer(bed, 0, 70);
	die(bed, remains);
	bed->toy->hold = false;
	assert_int_equal(bed_start(bed), 0);
	/* As the kernel does with what wasn't answered. */
	assert_int_equal(bed_ask(bed, &request, &response), VDUSE_REQ_RESULT_OK);
	assert_int_equal(bed->dev.status, 0);
	bed_stop(bed);
	assert_int_equal(bed_start(bed), 0);
	assert_int_equal(bed->dev.status, 0);
	bed_run(bed);
	bed_check_serves(bed);
	bed->kernel.in_use = false;
	free(remains);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BED_CASE(a_driver_is_served),         BED_CASE(a_queue_may_come_late),
		BED_CASE(features_are_withheld),      BED_CASE(a_queue_stands_somewhere),
		BED_CASE(a_queue_stood_somewhere),    BED_CASE(memory_moves),
		BED_CASE(the_configuration_changes),  BED_CASE(interrupts_come_again),
		BED_CASE(a_change_meanwhile_is_told), BED_CASE(who_dies_is_followed),
		BED_CASE(a_reset_ends_the_account),   BED_CASE(queues_are_polled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
