/* SPDX-License-Identifier: BSD-3-Clause */
#include "transport/ccw_bench.h"

#include <string.h>

#include "transport/ccw/wire.h"

#define ENDED (CCW_DSTAT_CHANNEL_END | CCW_DSTAT_DEVICE_END)

static void on_interrupt(void *context)
{
	((struct bench *)context)->interrupts++;
}

static void on_adapter_interrupt(void *context, uint8_t isc)
{
	((struct bench *)context)->adapter_interrupts++;
	((struct bench *)context)->isc = isc;
}

static void on_work(void *context)
{
	((struct bench *)context)->work++;
}

static void on_fault(void *context, const struct vio_fault *fault)
{
	((struct bench *)context)->faults++;
}

static void on_trace(void *context, const struct vio_ccw_trace *trace)
{
	((struct bench *)context)->last = *trace;
}

void bench_make(struct bench *b, uint16_t revision_min, uint16_t revision_max)
{
	struct vio_ccw_device_config config = {
		.device = &b->parrot.device,
		.mem = &b->parrot.mem,
		.revision_min = revision_min,
		.revision_max = revision_max,
		.subchannel = SUBCHANNEL,
		.queues = b->queues,
		.context = b,
		.interrupt = on_interrupt,
		.adapter_interrupt = on_adapter_interrupt,
		.work = on_work,
		.fault = on_fault,
		.trace = on_trace,
	};

	memset(b, 0, sizeof(*b));
	parrot_make(&b->parrot, 0, 0);
	assert_int_equal(vio_ccw_device_init(&b->model, &config), -VIO_EPHASE);
	parrot_provide(&b->parrot);
	config.revision_max = VIRTIO_CCW_REV_MAX + 1;
	assert_int_equal(vio_ccw_device_init(&b->model, &config), -VIO_ENOTSUP);
	config.revision_max = revision_max;
	assert_int_equal(vio_ccw_device_init(&b->model, &config), 0);
	vio_ccw_device_enable(&b->model);
}

void bench_free(struct bench *b)
{
	vio_ccw_device_end(&b->model);
	parrot_free(&b->parrot);
}

uint8_t *bench_at(struct bench *b, uint64_t address)
{
	assert_true(address >= BASE && address < BASE + MEMORY_BYTES + ROM_BYTES);
	return b->parrot.memory + (address - BASE);
}

void bench_run(struct bench *b, uint8_t command, uint8_t flags, uint16_t count, uint64_t data)
{
	const struct vio_ccw ccw = { command, flags, count, data };

	vio_ccw_device_command(&b->model, &ccw, &b->status);
	assert_memory_equal(&b->last.status, &b->status, sizeof(b->status));
	assert_true(b->status.residual <= count);
}

void bench_put(struct bench *b, uint8_t command, const void *payload, uint16_t length)
{
	memcpy(bench_at(b, AT_PAYLOAD), payload, length);
	bench_run(b, command, 0, length, AT_PAYLOAD);
}

void bench_done(const struct bench *b, uint16_t residual)
{
	assert_int_equal(b->status.device, ENDED);
	assert_int_equal(b->status.subchannel, 0);
	assert_int_equal(b->status.residual, residual);
}

void bench_rejected(struct bench *b)
{
	assert_int_equal(b->status.device, ENDED | CCW_DSTAT_UNIT_CHECK);
	assert_int_equal(b->status.subchannel, 0);
	for (unsigned again = 0; again < 2; again++) {
		bench_run(b, CCW_CMD_BASIC_SENSE, 0, CCW_SENSE_BYTES, AT_PAYLOAD);
		bench_done(b, 0);
		assert_int_equal(*bench_at(b, AT_PAYLOAD), again ? 0 : CCW_SENSE_COMMAND_REJECT);
	}
}

void bench_wrong_length(const struct bench *b)
{
	assert_int_equal(b->status.device, ENDED);
	assert_int_equal(b->status.subchannel, CCW_CSTAT_INCORRECT_LENGTH);
}

void bench_program_check(const struct bench *b)
{
	assert_int_equal(b->status.device, 0);
	assert_int_equal(b->status.subchannel, CCW_CSTAT_PROGRAM_CHECK);
}

void bench_set_revision(struct bench *b, uint16_t revision)
{
	struct virtio_rev_info info = { .length = { 0 } };

	vio_be_store(info.revision, 2, revision);
	bench_put(b, CCW_CMD_SET_VIRTIO_REV, &info, sizeof(info));
}

void bench_status(struct bench *b, uint8_t status)
{
	bench_put(b, CCW_CMD_WRITE_STATUS, &status, 1);
}

void bench_feature_word(struct bench *b, uint8_t index, uint32_t word)
{
	struct virtio_feature_desc desc = { .index = index };
	vio_le32 wire = vio_le32_make(word);

	memcpy(desc.features, &wire, 4);
	bench_put(b, CCW_CMD_WRITE_FEAT, &desc, sizeof(desc));
}

uint32_t bench_offer(struct bench *b, uint8_t index)
{
	const struct virtio_feature_desc desc = { .index = index };
	vio_le32 wire;

	bench_put(b, CCW_CMD_READ_FEAT, &desc, sizeof(desc));
	bench_done(b, 0);
	memcpy(&wire, bench_at(b, AT_PAYLOAD), 4);
	assert_int_equal(*bench_at(b, AT_PAYLOAD + 4), index);
	return vio_le32_get(wire);
}

void bench_set_queue(struct bench *b, uint16_t index, uint16_t entries, uint64_t descriptor_area,
		     uint64_t driver_area, uint64_t device_area)
{
	struct vq_info_block block;

	memset(&block, 0xff, sizeof(block)); /* spec: DEV-CCW-014, what is reserved among it */
	vio_be_store(block.desc, 8, descriptor_area);
	vio_be_store(block.index, 2, index);
	vio_be_store(block.num, 2, entries);
	vio_be_store(block.driver, 8, driver_area);
	vio_be_store(block.device, 8, device_area);
	bench_put(b, CCW_CMD_SET_VQ, &block, sizeof(block));
}

void bench_good_queue(struct bench *b)
{
	parrot_make_rings(&b->parrot, 0);
	bench_set_queue(b, 0, QUEUE_SIZE, vio_drvq_descriptor_area(&b->parrot.drvq).raw,
			vio_drvq_driver_area(&b->parrot.drvq).raw, vio_drvq_device_area(&b->parrot.drvq).raw);
}

void bench_put_address(struct bench *b, uint8_t command, uint64_t address)
{
	uint8_t wire[8];

	vio_be_store(wire, 8, address);
	bench_put(b, command, wire, 8);
}

void bench_two_stage(struct bench *b, uint64_t summary, uint64_t indicator, uint64_t bit)
{
	struct virtio_thinint_area area = { .isc = 3 };

	vio_be_store(area.summary_indicator, 8, summary);
	vio_be_store(area.indicator, 8, indicator);
	vio_be_store(area.bit_nr, 8, bit);
	bench_put(b, CCW_CMD_SET_IND_ADAPTER, &area, sizeof(area));
}

void bench_bring_up(struct bench *b)
{
	bench_set_revision(b, VIRTIO_CCW_REV_STATUS);
	bench_done(b, 0);
	bench_status(b, 1);
	bench_status(b, 3);
	bench_feature_word(b, 1, (uint32_t)(VERSION_1 >> 32));
	bench_done(b, 0);
	bench_status(b, ALL_DONE);
	bench_done(b, 0);
	bench_good_queue(b);
	bench_done(b, 0);
	bench_put_address(b, CCW_CMD_SET_IND, AT_INDICATORS);
	bench_done(b, 0);
	bench_put_address(b, CCW_CMD_SET_CONF_IND, AT_CONFIG);
	bench_done(b, 0);
	bench_status(b, ALL_DONE | VIRTIO_CONFIG_S_DRIVER_OK);
	bench_done(b, 0);
}

void bench_works(struct bench *b)
{
	unsigned popped = b->parrot.popped;

	parrot_add(&b->parrot);
	assert_int_equal(vio_ccw_device_notify(&b->model, SUBCHANNEL, 0, 0), 0);
	assert_int_equal(b->parrot.popped, popped + 1);
	assert_non_null(vio_drvq_get(&b->parrot.drvq, NULL));
}
