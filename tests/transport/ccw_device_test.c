/* SPDX-License-Identifier: BSD-3-Clause */
#include "transport/ccw_bench.h"

#include <string.h>

#include "transport/ccw/wire.h"

/* The model of a channel device, given commands by hand. */

static int setup_as(void **state, uint16_t revision_min)
{
	static struct bench bench;

	bench_make(&bench, revision_min, VIRTIO_CCW_REV_STATUS);
	*state = &bench;
	return 0;
}

static int setup(void **state)
{
	return setup_as(state, VIRTIO_CCW_REV_MODERN);
}

static int setup_transitional(void **state)
{
	return setup_as(state, VIRTIO_CCW_REV_LEGACY);
}

static int teardown(void **state)
{
	bench_free(*state);
	return 0;
}

/* What the standard's table says, apart from the model's: the payload and the first revision. */
static const struct {
	uint8_t code;
	uint16_t length;
	int revision;
	const char *name;
} table[] = {
	{ 0x13, 32, 1, "SET_VQ" },
	{ 0x33, 0, 1, "VDEV_RESET" },
	{ 0x43, 8, 1, "SET_IND" },
	{ 0x53, 8, 1, "SET_CONF_IND" },
	{ 0x73, 25, 1, "SET_IND_ADAPTER" },
	{ 0x12, 5, 1, "READ_FEAT" },
	{ 0x11, 5, 1, "WRITE_FEAT" },
	{ 0x31, 1, 1, "WRITE_STATUS" },
	{ 0x32, 4, 1, "READ_VQ_CONF" },
	{ 0x72, 1, 2, "READ_STATUS" },
	{ 0x22, CONFIG_BYTES, 1, "READ_CONF" },
	{ 0x21, CONFIG_BYTES, 1, "WRITE_CONF" },
};

static const char *name_of(uint8_t code)
{
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(table); i++)
		if (table[i].code == code)
			return table[i].name;
	return code == 0x83   ? "SET_VIRTIO_REV"
	       : code == 3    ? "NOOP"
	       : code == 4    ? "BASIC_SENSE"
	       : code == 0xe4 ? "SENSE_ID"
			      : NULL;
}

/* spec: DEV-CCW-001; hostile: A106 */
static void rejects_commands_that_there_are_none_of(void **state)
{
	struct bench *b = *state;

	bench_set_revision(b, 2);
	for (unsigned code = 0; code <= UINT8_MAX; code++) {
		const char *name = name_of((uint8_t)code);

		bench_run(b, (uint8_t)code, CCW_FLAG_SLI, 0, AT_PAYLOAD);
		if (name) {
			assert_string_equal(b->last.name, name);
			continue;
		}
		assert_null(b->last.name);
		bench_rejected(b);
	}
}

static void says_what_it_is(void **state)
{
	static const uint8_t expected[] = { 0xff, 0x38, 0x32, 62, 0, 0, 0 };
	struct bench *b = *state;

	bench_run(b, CCW_CMD_SENSE_ID, CCW_FLAG_SLI, 256, AT_PAYLOAD);
	bench_done(b, 256 - sizeof(expected));
	assert_memory_equal(bench_at(b, AT_PAYLOAD), expected, sizeof(expected));
	bench_run(b, CCW_CMD_SENSE_ID, CCW_FLAG_SLI, 4, AT_PAYLOAD);
	bench_done(b, 0);
	bench_run(b, CCW_CMD_SENSE_ID, 0, 4, AT_PAYLOAD);
	bench_wrong_length(b);
	bench_run(b, CCW_CMD_NOOP, 0, 0, 0);
	bench_done(b, 0);
}

/* spec: DEV-CCW-005 DEV-CCW-006 DEV-CCW-007 DEV-CCW-009 */
static void revisions_are_chosen_once(void **state)
{
	static const uint16_t wrong[] = { 0, 3, 0x100, UINT16_MAX };
	struct virtio_rev_info info = { { 0, 1 }, { 0, 0 } };
	struct bench *b = *state;

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(wrong); i++) {
		bench_set_revision(b, wrong[i]);
		bench_rejected(b);
	}
	info.length[1] = 2;
	bench_put(b, CCW_CMD_SET_VIRTIO_REV, &info, sizeof(info));
	bench_rejected(b);
	bench_run(b, CCW_CMD_SET_VIRTIO_REV, 0, sizeof(info) + 2, AT_PAYLOAD);
	memcpy(bench_at(b, AT_PAYLOAD), &info, sizeof(info));
	bench_run(b, CCW_CMD_SET_VIRTIO_REV, CCW_FLAG_SLI, sizeof(info) + 2, AT_PAYLOAD);
	bench_rejected(b);
	info.length[1] = 0;
	memcpy(bench_at(b, AT_PAYLOAD), &info, sizeof(info));
	bench_run(b, CCW_CMD_SET_VIRTIO_REV, 0, sizeof(info) + 1, AT_PAYLOAD);
	bench_wrong_length(b);
	bench_run(b, CCW_CMD_SET_VIRTIO_REV, 0, 3, AT_PAYLOAD);
	bench_wrong_length(b);
	bench_run(b, CCW_CMD_SET_VIRTIO_REV, CCW_FLAG_SLI, 3, AT_PAYLOAD);
	bench_rejected(b);
	bench_run(b, CCW_CMD_SET_VIRTIO_REV, 0, 4, BASE - 2);
	bench_program_check(b);
	memcpy(bench_at(b, AT_PAYLOAD), &info, sizeof(info));
	bench_run(b, CCW_CMD_SET_VIRTIO_REV, CCW_FLAG_SLI, sizeof(info) + 7, AT_PAYLOAD);
	bench_done(b, 7);
	for (uint16_t revision = 0; revision < 3; revision++) {
		bench_set_revision(b, revision);
		bench_rejected(b);
	}
}

/* spec: DEV-CCW-008 DEV-CCW-010 DEV-CCW-011 */
static void commands_need_their_revision(void **state)
{
	struct bench *b = *state;

	for (int revision = 0; revision <= 2; revision++) {
		vio_ccw_device_enable(&b->model);
		if (revision)
			bench_set_revision(b, (uint16_t)revision);
		for (unsigned i = 0; i < VIO_ARRAY_SIZE(table); i++) {
			if (table[i].code == CCW_CMD_SET_VQ) /* all of it zeros: stops a queue */
				memset(bench_at(b, AT_PAYLOAD), 0, 64);
			memset(bench_at(b, AT_PAYLOAD), 0, 64);
			bench_run(b, table[i].code, 0, table[i].length, AT_PAYLOAD);
			if (revision < table[i].revision)
				bench_rejected(b);
			else
				bench_done(b, 0);
		}
	}
}

/* spec: DEV-CCW-002 DEV-CCW-003 DEV-CCW-004; hostile: A106 */
static void lengths_are_judged(void **state)
{
	struct bench *b = *state;

	bench_set_revision(b, 2);
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(table); i++) {
		bool open = table[i].code == CCW_CMD_READ_CONF || table[i].code == CCW_CMD_WRITE_CONF;
		uint16_t length = table[i].length;

		memset(bench_at(b, AT_PAYLOAD), 0, 64);
		bench_run(b, table[i].code, 0, length + 1, AT_PAYLOAD);
		bench_wrong_length(b);
		memset(bench_at(b, AT_PAYLOAD), 0, 64);
		bench_run(b, table[i].code, CCW_FLAG_SLI, length + 5, AT_PAYLOAD);
		bench_done(b, 5);
		if (!length)
			continue;
		memset(bench_at(b, AT_PAYLOAD), 0, 64);
		bench_run(b, table[i].code, 0, length - 1, AT_PAYLOAD);
		if (open) /* less of a configuration is no mistake */
			bench_done(b, 0);
		else
			bench_wrong_length(b);
		bench_run(b, table[i].code, CCW_FLAG_SLI, length - 1, AT_PAYLOAD);
		if (open)
			bench_done(b, 0);
		else
			bench_rejected(b);
	}
}

/* hostile: A106 */
static void data_is_where_it_can_be(void **state)
{
	static const uint8_t elsewhere[] = { 0x80, 0x10, 0x04, 0x02, 0x01, 0xff };
	static const uint64_t wrong[] = { 0, BASE - 1, BASE + MEMORY_BYTES + ROM_BYTES, UINT64_MAX };
	struct bench *b = *state;

	bench_set_revision(b, 2);
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(table); i++) {
		bool writes = table[i].code % 0x10 == 2;

		for (unsigned at = 0; table[i].length && at < VIO_ARRAY_SIZE(wrong); at++) {
			bench_run(b, table[i].code, 0, table[i].length, wrong[at]);
			bench_program_check(b);
		}
		if (writes) {
			bench_run(b, table[i].code, 0, table[i].length, AT_ROM);
			bench_program_check(b);
		}
		for (unsigned flag = 0; flag < sizeof(elsewhere); flag++) {
			bench_run(b, table[i].code, elsewhere[flag], table[i].length, AT_PAYLOAD);
			bench_program_check(b);
		}
	}
}

static void works_from_beginning_to_end(void **state)
{
	struct bench *b = *state;

	bench_bring_up(b);
	for (unsigned i = 0; i < 20; i++)
		bench_works(b);
	assert_true(b->interrupts > 0);
	assert_int_equal(b->adapter_interrupts, 0);
	assert_int_equal(*bench_at(b, AT_INDICATORS + 7), 1); /* queue 0, from the right */
	assert_int_equal(*bench_at(b, AT_CONFIG + 7), 0);
	vio_device_config_changed(&b->parrot.device);
	assert_int_equal(*bench_at(b, AT_CONFIG + 7), 1);
	assert_int_equal(b->faults, 0);
}

/* spec: DEV-CCW-022 DEV-CCW-023 */
static void a_reset_ends_everything(void **state)
{
	struct bench *b = *state;
	unsigned interrupts, popped;

	bench_bring_up(b);
	bench_works(b);
	interrupts = b->interrupts;
	parrot_add(&b->parrot);
	popped = b->parrot.popped;
	bench_run(b, CCW_CMD_VDEV_RESET, 0, 0, 0);
	bench_done(b, 0);
	assert_int_equal(b->parrot.device.status, 0);
	assert_int_equal(vio_ccw_device_notify(&b->model, SUBCHANNEL, 0, 0), -VIO_EPHASE);
	vio_ccw_device_run(&b->model);
	vio_device_config_changed(&b->parrot.device);
	assert_int_equal(b->parrot.popped, popped);
	assert_int_equal(b->interrupts, interrupts);
	/* The revision stays; indicators have gone, so that others may be set up. */
	bench_set_revision(b, 2);
	bench_rejected(b);
	bench_two_stage(b, AT_SUMMARY, AT_INDICATORS, 0);
	bench_done(b, 0);
	bench_status(b, 0);
	bench_done(b, 0);
	vio_ccw_device_enable(&b->model);
	bench_bring_up(b);
	bench_works(b);
}

/* spec: DEV-CCW-015 DEV-CCW-016 DEV-CCW-017; hostile: A88 A90 A93 */
static void a_status_is_taken_whole_or_not(void **state)
{
	static const uint8_t wrong[] = { 0x10, 0x20, 0x40, 0xff, 7, 4, 11, 15 };
	struct bench *b = *state;

	bench_set_revision(b, 2);
	bench_status(b, 1);
	bench_done(b, 0);
	bench_status(b, 2); /* takes a bit back */
	bench_rejected(b);
	bench_status(b, 3);
	bench_done(b, 0);
	/* FEATURES_OK without VERSION_1, DRIVER_OK without FEATURES_OK, bits that there are none of. */
	for (unsigned i = 0; i < sizeof(wrong); i++) {
		bench_status(b, wrong[i]);
		bench_rejected(b);
		bench_run(b, CCW_CMD_READ_STATUS, 0, 1, AT_PAYLOAD);
		bench_done(b, 0);
		assert_int_equal(*bench_at(b, AT_PAYLOAD), 3);
	}
	bench_feature_word(b, 1, (uint32_t)(VERSION_1 >> 32));
	bench_status(b, ALL_DONE);
	bench_done(b, 0);
	bench_status(b, ALL_DONE); /* again */
	bench_done(b, 0);
	bench_feature_word(b, 0, 0);
	bench_rejected(b);
	vio_device_needs_reset(&b->parrot.device);
	bench_status(b, ALL_DONE | VIRTIO_CONFIG_S_DRIVER_OK);
	bench_rejected(b);
	bench_status(b, ALL_DONE | VIRTIO_CONFIG_S_DRIVER_OK | VIRTIO_CONFIG_S_NEEDS_RESET);
	bench_rejected(b);
	assert_int_equal(b->parrot.device.status, ALL_DONE | VIRTIO_CONFIG_S_NEEDS_RESET);
}

static void features_have_words(void **state)
{
	struct bench *b = *state;

	bench_set_revision(b, 1);
	assert_int_equal(bench_offer(b, 0) >> FEATURE & 1, 1);
	assert_int_equal(bench_offer(b, 1) >> (VIRTIO_F_VERSION_1 - 32) & 1, 1);
	assert_int_equal(bench_offer(b, 1) >> (VIRTIO_F_RING_RESET - 32) & 1, 0);
	assert_int_equal(bench_offer(b, 2) >> (HIGH_FEATURE - 64) & 1, 1);
	for (unsigned word = VIO_FEATURE_BITS / 32; word <= UINT8_MAX; word++) {
		assert_int_equal(bench_offer(b, (uint8_t)word), 0);
		bench_feature_word(b, (uint8_t)word, 0);
		bench_done(b, 0);
		bench_feature_word(b, (uint8_t)word, 1);
		bench_rejected(b);
	}
}

/* hostile: A100 */
static void configuration_is_one_piece(void **state)
{
	uint8_t bytes[CONFIG_BYTES];
	struct bench *b = *state;

	bench_set_revision(b, 1);
	bench_run(b, CCW_CMD_READ_CONF, 0, CONFIG_BYTES, AT_PAYLOAD);
	bench_done(b, 0);
	assert_memory_equal(bench_at(b, AT_PAYLOAD), b->parrot.config, CONFIG_BYTES);
	memset(bytes, 0x5a, sizeof(bytes));
	bench_put(b, CCW_CMD_WRITE_CONF, bytes, 4);
	bench_done(b, 0);
	assert_memory_equal(b->parrot.config, bytes, 4);
	assert_int_equal(b->parrot.config[4], 0x55);
	bench_run(b, CCW_CMD_READ_CONF, 0, UINT16_MAX, AT_PAYLOAD);
	bench_wrong_length(b);
	bench_run(b, CCW_CMD_READ_CONF, CCW_FLAG_SLI, UINT16_MAX, AT_PAYLOAD);
	bench_done(b, UINT16_MAX - CONFIG_BYTES);
	bench_run(b, CCW_CMD_WRITE_CONF, CCW_FLAG_SLI, UINT16_MAX, AT_PAYLOAD);
	bench_done(b, UINT16_MAX - CONFIG_BYTES);
}

/* spec: DEV-CCW-014; hostile: A79 A80 A81 A82 A83 */
static void queues_that_are_none(void **state)
{
	static const uint16_t sizes[] = { 0, 3, QUEUE_SIZE * 2, UINT16_MAX };
	struct vq_config_block ask = { .index = { 0 } };
	struct bench *b = *state;

	bench_set_revision(b, 2);
	bench_good_queue(b); /* before FEATURES_OK */
	bench_rejected(b);
	bench_status(b, 3);
	bench_feature_word(b, 1, (uint32_t)(VERSION_1 >> 32));
	bench_status(b, ALL_DONE);
	for (unsigned index = 0; index < 5; index++) {
		vio_be_store(ask.index, 2, index);
		bench_put(b, CCW_CMD_READ_VQ_CONF, &ask, sizeof(ask));
		bench_done(b, 0);
		assert_int_equal(vio_be_load(bench_at(b, AT_PAYLOAD + 2), 2),
				 index < QUEUES ? QUEUE_SIZE : 0);
	}
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(sizes); i++) {
		bench_set_queue(b, 0, sizes[i], BASE, BASE + 0x1000, BASE + 0x2000);
		bench_rejected(b);
	}
	bench_set_queue(b, QUEUES, QUEUE_SIZE, BASE, BASE + 0x1000, BASE + 0x2000);
	bench_rejected(b);
	bench_set_queue(b, UINT16_MAX, 0, 0, 0, 0);
	bench_rejected(b);
	bench_good_queue(b);
	bench_done(b, 0);
	bench_good_queue(b); /* it runs */
	bench_rejected(b);
	bench_set_queue(b, 0, 0, 0, 0, 0);
	bench_done(b, 0);
	assert_false(b->parrot.device.queues[0].running);
	bench_set_queue(b, 0, QUEUE_SIZE, UINT64_MAX - 15, BASE, BASE);
	bench_rejected(b);
	assert_int_equal(b->faults, 1);
}

/* spec: DEV-CCW-018 DEV-CCW-019; hostile: A106 */
static void indicators_are_of_one_kind(void **state)
{
	static const uint64_t wrong[] = { 1, BASE - 4, BASE + MEMORY_BYTES - 4, AT_ROM, UINT64_MAX - 3 };
	struct bench *b = *state;

	bench_set_revision(b, 2);
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(wrong); i++) {
		bench_put_address(b, CCW_CMD_SET_IND, wrong[i]);
		bench_rejected(b);
		bench_put_address(b, CCW_CMD_SET_CONF_IND, wrong[i]);
		bench_rejected(b);
	}
	bench_two_stage(b, AT_ROM, AT_INDICATORS, 0);
	bench_rejected(b);
	bench_two_stage(b, AT_SUMMARY, AT_ROM - 1, 6); /* the last queue's bit is in the next byte */
	bench_rejected(b);
	bench_two_stage(b, AT_SUMMARY, UINT64_MAX, 8);
	bench_rejected(b);
	bench_two_stage(b, AT_SUMMARY, 0, 0);
	bench_rejected(b);
	bench_two_stage(b, 0, AT_INDICATORS, 0);
	bench_rejected(b);
	bench_two_stage(b, AT_SUMMARY, AT_INDICATORS, UINT64_MAX);
	bench_rejected(b);
	bench_put_address(b, CCW_CMD_SET_IND, AT_INDICATORS + 3); /* where it is doesn't matter */
	bench_done(b, 0);
	bench_two_stage(b, AT_SUMMARY, AT_INDICATORS, 0);
	bench_rejected(b);
	bench_put_address(b, CCW_CMD_SET_IND, 0);
	bench_two_stage(b, AT_SUMMARY, AT_INDICATORS, 0);
	bench_done(b, 0);
	bench_put_address(b, CCW_CMD_SET_IND, AT_INDICATORS);
	bench_rejected(b);
	bench_two_stage(b, 0, 0, 0);
	bench_done(b, 0);
}

/* spec: DEV-CCW-020 */
static void adapter_interrupts_need_a_clear_summary(void **state)
{
	struct bench *b = *state;

	bench_bring_up(b);
	bench_put_address(b, CCW_CMD_SET_IND, 0);
	bench_two_stage(b, AT_SUMMARY, AT_INDICATORS, 13);
	bench_done(b, 0);
	bench_works(b);
	assert_int_equal(b->adapter_interrupts, 1);
	assert_int_equal(b->isc, 3);
	assert_int_equal(*bench_at(b, AT_SUMMARY), VIRTIO_CCW_SUMMARY);
	assert_int_equal(*bench_at(b, AT_INDICATORS + 1), 0x80 >> 5); /* from the left */
	*bench_at(b, AT_INDICATORS + 1) = 0;
	bench_works(b); /* the summary is still set: the bit alone */
	assert_int_equal(b->adapter_interrupts, 1);
	assert_int_equal(*bench_at(b, AT_INDICATORS + 1), 0x80 >> 5);
	*bench_at(b, AT_SUMMARY) = 0;
	bench_works(b);
	assert_int_equal(b->adapter_interrupts, 2);
	assert_int_equal(b->interrupts, 0);
	/* Memory that goes away takes the interrupt along. */
	b->parrot.mem.regions[0].rights = VIO_MEM_READ;
	b->parrot.device.events->queue_interrupt(b->parrot.device.events_context, 0);
	b->parrot.device.events->config_interrupt(b->parrot.device.events_context);
	assert_int_equal(b->adapter_interrupts, 2);
	assert_int_equal(b->interrupts, 0);
	b->parrot.mem.regions[0].rights |= VIO_MEM_WRITE;
}

/* spec: DEV-CCW-021 DEV-CCW-MAY-001; hostile: A84 A85 A86 */
static void notifications_find_their_queue(void **state)
{
	struct bench *b = *state;

	assert_int_equal(vio_ccw_device_notify(&b->model, SUBCHANNEL, 0, 0), -VIO_EPHASE);
	bench_bring_up(b);
	parrot_add(&b->parrot);
	assert_int_equal(vio_ccw_device_notify(&b->model, SUBCHANNEL + 1, 0, 0), -VIO_ENOENT);
	assert_int_equal(vio_ccw_device_notify(&b->model, SUBCHANNEL, 1, 0), -VIO_EPHASE);
	assert_int_equal(vio_ccw_device_notify(&b->model, SUBCHANNEL, QUEUES, 0), -VIO_ERANGE);
	assert_int_equal(vio_ccw_device_notify(&b->model, SUBCHANNEL, UINT64_C(1) << 32, 0), -VIO_ERANGE);
	assert_int_equal(b->parrot.popped, 0);
	assert_int_equal(
		vio_ccw_device_notify(&b->model, UINT64_C(0xfedcba9800000000) | SUBCHANNEL, 0, UINT64_MAX),
		0);
	assert_int_equal(b->parrot.popped, 1);
}

/* spec: DEV-CCW-012 DEV-CCW-013 */
static void who_sets_no_revision_is_of_old(void **state)
{
	struct bench *b = *state;

	bench_status(b, 3);
	bench_done(b, 0);
	assert_int_equal(b->model.revision, 0);
	bench_set_revision(b, 1);
	bench_rejected(b);
	bench_run(b, CCW_CMD_READ_STATUS, 0, 1, AT_PAYLOAD);
	bench_rejected(b);
	assert_int_equal(bench_offer(b, 1), 0);
	vio_ccw_device_enable(&b->model);
	bench_set_revision(b, 2);
	bench_done(b, 0);
	assert_int_equal(bench_offer(b, 1) >> (VIRTIO_F_VERSION_1 - 32) & 1, 1);
}

/* hostile: A103 */
static void queues_of_old(void **state)
{
	struct vq_info_block_legacy block = { .num = { 0, QUEUE_SIZE } };
	struct bench *b = *state;

	bench_set_revision(b, 0);
	bench_done(b, 0);
	bench_status(b, 3);
	vio_be_store(block.queue, 8, BASE);
	for (uint32_t align = 0; align < 8; align++) {
		vio_be_store(block.align, 4, align * 3);
		bench_put(b, CCW_CMD_SET_VQ, &block, sizeof(block));
		bench_rejected(b);
	}
	vio_be_store(block.align, 4, 0x80000000); /* out of memory */
	bench_put(b, CCW_CMD_SET_VQ, &block, sizeof(block));
	bench_rejected(b);
	bench_status(b, 0);
	bench_status(b, 3);
	vio_be_store(block.align, 4, 4096);
	parrot_make_rings(&b->parrot, 4096);
	bench_put(b, CCW_CMD_SET_VQ, &block, sizeof(block));
	bench_done(b, 0);
	bench_put(b, CCW_CMD_SET_VQ, &block, sizeof(block)); /* it runs */
	bench_rejected(b);
	bench_status(b, 7);
	bench_done(b, 0);
	bench_works(b);
	memset(&block, 0, sizeof(block));
	bench_put(b, CCW_CMD_SET_VQ, &block, sizeof(block));
	bench_done(b, 0);
	assert_false(b->parrot.device.queues[0].running);
}

/* The model's addresses are below 2 GiB here, as those of a program have to be. */
static void write_word(struct bench *b, unsigned index, uint8_t code, uint8_t flags, uint16_t count,
		       uint32_t data)
{
	struct ccw1 word = { .cmd_code = code, .flags = flags };

	vio_be_store(word.count, 2, count);
	vio_be_store(word.cda, 4, data);
	memcpy(bench_at(b, AT_PROGRAM + 8 * index), &word, sizeof(word));
}

static void programs_are_chains_of_commands(void **state)
{
	struct bench *b = *state;
	const uint8_t revision[] = { 0, 2, 0, 0 };

	memcpy(bench_at(b, AT_PAYLOAD), revision, 4);
	write_word(b, 0, CCW_CMD_SET_VIRTIO_REV, CCW_FLAG_CC, 4, AT_PAYLOAD);
	write_word(b, 1, CCW_CMD_TIC, 0, 0, AT_PROGRAM + 24);
	write_word(b, 3, CCW_CMD_READ_STATUS, CCW_FLAG_CC, 1, AT_PAYLOAD);
	write_word(b, 4, CCW_CMD_SENSE_ID, CCW_FLAG_SLI, 100, AT_PAYLOAD + 8);
	assert_int_equal(vio_ccw_device_program(&b->model, AT_PROGRAM, &b->status), AT_PROGRAM + 40);
	bench_done(b, 93);
	assert_int_equal(b->model.revision, 2);
	assert_int_equal(*bench_at(b, AT_PAYLOAD), 0);
	assert_int_equal(*bench_at(b, AT_PAYLOAD + 9), 0x38);
	/* One that doesn't end well is the last. */
	write_word(b, 3, 0x99, CCW_FLAG_CC, 1, AT_PAYLOAD);
	assert_int_equal(vio_ccw_device_program(&b->model, AT_PROGRAM + 24, &b->status), AT_PROGRAM + 32);
	bench_rejected(b);
}

/* hostile: A106 */
static void programs_that_are_none(void **state)
{
	static const uint64_t wrong[] = { AT_PROGRAM + 4, 0, UINT64_C(1) << 31, UINT64_MAX - 7, BASE - 8 };
	struct bench *b = *state;

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(wrong); i++) {
		vio_ccw_device_program(&b->model, wrong[i], &b->status);
		bench_program_check(b);
	}
	write_word(b, 0, CCW_CMD_TIC, 0, 0, AT_PROGRAM + 8); /* first of all */
	vio_ccw_device_program(&b->model, AT_PROGRAM, &b->status);
	bench_program_check(b);
	write_word(b, 1, CCW_CMD_NOOP, CCW_FLAG_CC, 0, 0);
	write_word(b, 2, CCW_CMD_TIC, 0, 0, AT_PROGRAM + 24);
	write_word(b, 3, CCW_CMD_TIC, 0, 0, AT_PROGRAM + 8); /* to one */
	vio_ccw_device_program(&b->model, AT_PROGRAM + 8, &b->status);
	bench_program_check(b);
	write_word(b, 2, CCW_CMD_TIC, 0, 0, AT_PROGRAM + 8); /* without end */
	vio_ccw_device_program(&b->model, AT_PROGRAM + 8, &b->status);
	bench_program_check(b);
	write_word(b, 1, CCW_CMD_NOOP, CCW_FLAG_CC, 0, 0x80000000);
	vio_ccw_device_program(&b->model, AT_PROGRAM + 8, &b->status);
	bench_program_check(b);
}

/* A driver out of its mind: whatever it says, the device works again after a reset. */
static void survives_a_mad_driver(void **state)
{
	static const uint64_t places[] = { AT_PAYLOAD, AT_INDICATORS, AT_ROM, AT_ROM - 3, BASE,
					   0,          UINT64_MAX - 8 };
	struct bench *b = *state;
	uint64_t seed = 0x5eed;

	for (unsigned round = 0; round < 100; round++) {
		for (unsigned i = 0; i < 500; i++) {
			uint64_t what = parrot_random(&seed);
			unsigned row = (unsigned)(what % VIO_ARRAY_SIZE(table));

			for (unsigned byte = 0; byte < 32; byte++)
				*bench_at(b, AT_PAYLOAD + byte) =
					(uint8_t)(parrot_random(&seed) % 3 ? 0 : parrot_random(&seed));
			if (what >> 8 & 1)
				vio_be_store(bench_at(b, AT_PAYLOAD), 8, BASE + (what >> 16) % MEMORY_BYTES);
			bench_run(b, what >> 9 & 15 ? table[row].code : (uint8_t)(what >> 13),
				  what >> 24 & 3 ? CCW_FLAG_SLI : (uint8_t)(what >> 26),
				  what >> 34 & 3 ? table[row].length : (uint16_t)parrot_random(&seed),
				  places[parrot_random(&seed) % 9 < 4 ? parrot_random(&seed) % 7 : 0]);
			vio_ccw_device_notify(&b->model, SUBCHANNEL, parrot_random(&seed) % 5, what);
			if (what >> 36 & 1)
				bench_at(b, BASE)[parrot_random(&seed) % MEMORY_BYTES] = (uint8_t)what;
			if (!(what >> 37 & 63))
				vio_ccw_device_enable(&b->model);
			vio_ccw_device_run(&b->model);
		}
		vio_ccw_device_enable(&b->model);
		bench_set_revision(b, 1);
		bench_run(b, CCW_CMD_VDEV_RESET, 0, 0, 0);
		bench_done(b, 0);
		assert_int_equal(b->parrot.device.status, 0);
		vio_ccw_device_enable(&b->model);
		memset(bench_at(b, BASE), 0, MEMORY_BYTES);
		bench_bring_up(b);
		bench_works(b);
	}
}

#define MODERN(name)       cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TRANSITIONAL(name) cmocka_unit_test_setup_teardown(name, setup_transitional, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		MODERN(rejects_commands_that_there_are_none_of),
		MODERN(says_what_it_is),
		MODERN(revisions_are_chosen_once),
		MODERN(commands_need_their_revision),
		MODERN(lengths_are_judged),
		MODERN(data_is_where_it_can_be),
		MODERN(works_from_beginning_to_end),
		MODERN(a_reset_ends_everything),
		MODERN(a_status_is_taken_whole_or_not),
		MODERN(features_have_words),
		MODERN(configuration_is_one_piece),
		MODERN(queues_that_are_none),
		MODERN(indicators_are_of_one_kind),
		MODERN(adapter_interrupts_need_a_clear_summary),
		MODERN(notifications_find_their_queue),
		TRANSITIONAL(who_sets_no_revision_is_of_old),
		TRANSITIONAL(queues_of_old),
		MODERN(programs_are_chains_of_commands),
		MODERN(programs_that_are_none),
		MODERN(survives_a_mad_driver),
		TRANSITIONAL(survives_a_mad_driver),
	};

	return cmocka_run_group_tests_name("transport-ccw-device", tests, NULL, NULL);
}
