/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <vireo/ccw.h>

#include "model.h"

/*
 * A driver that runs whatever commands and channel programs it likes, with whatever payload at whatever
 * place, notifies, and turns its subchannel off and on. Whatever it does: what is said of a command fits
 * its count, a reset ends everything, and afterwards the device works.
 */
#define BASE       FUZZ_MODEL_BASE
#define BYTES      FUZZ_MODEL_BYTES
#define ROM_BASE   FUZZ_MODEL_ROM
#define ROM_BYTES  FUZZ_MODEL_ROM_BYTES
#define PAYLOAD    (BASE + 0x3800)
#define PROGRAM    (BASE + 0x2000)
#define SUBCHANNEL 0x00010001u
#define QUEUES_MAX FUZZ_MODEL_QUEUES_MAX
#define ENDED      (CCW_DSTAT_CHANNEL_END | CCW_DSTAT_DEVICE_END)

struct world {
	struct fuzz_input *input;
	struct fuzz_model m;
	struct vio_ccw_device model;
	struct vio_ccw_queue queues[QUEUES_MAX];
	unsigned interrupts;
};

static void interrupt(void *context)
{
	((struct world *)context)->interrupts++;
}

static void adapter_interrupt(void *context, uint8_t isc)
{
	((struct world *)context)->interrupts += 1 + isc;
}

static const uint64_t codes[] = { 0x83, 0x12, 0x11, 0x31, 0x32, 0x13, 0x43, 0x53, 0x73,
				  0x33, 0x22, 0x21, 0x72, 0xe4, 0x04, 0x03, 0x08, 0x02 };
static const uint64_t counts[] = { 4, 5, 1, 32, 8, 16, 25, 0, 2, 3, 7, 64, 0xffff, 31, 33 };
static const uint64_t places[] = {
	PAYLOAD, PAYLOAD, PAYLOAD,     PAYLOAD,  BASE + BYTES - 4,        ROM_BASE, 0, BASE - 1,
	PROGRAM, BASE,    BASE + 0x40, BASE - 4, ROM_BASE + ROM_BYTES - 1
};
static const uint64_t flags[] = {
	0, CCW_FLAG_SLI, 0, CCW_FLAG_SLI | CCW_FLAG_CC, CCW_FLAG_CC, 0x80, 4, 0x10
};
/* Statuses, revisions, indices, sizes, addresses: what makes sense somewhere. */
static const uint64_t numbers[] = { 0,
				    1,
				    2,
				    3,
				    0xb,
				    0xf,
				    16,
				    0x100,
				    BASE,
				    BASE + 0x400,
				    BASE + 0x800,
				    PAYLOAD + 64,
				    ROM_BASE,
				    UINT64_MAX,
				    0x80,
				    0x40,
				    UINT64_C(1) << 63,
				    4096 };

static void put(struct world *w, uint32_t at, unsigned length)
{
	uint64_t value = fuzz_choose(w->input, numbers, VIO_ARRAY_SIZE(numbers));

	for (; length; length--, value >>= 8)
		w->m.memory[at + length - 1] = (uint8_t)value;
}

/* A payload is made of fields of these sizes: those of one structure, most of the time. */
static void step_payload(struct world *w)
{
	static const uint8_t shapes[][8] = {
		{ 2, 2 },       { 4, 1 },       { 1 }, { 8, 4, 2, 2, 8, 8 },
		{ 8, 4, 2, 2 }, { 8, 8, 8, 1 }, { 8 }, { 1, 1, 1, 1, 1 },
	};
	const uint8_t *shape = shapes[fuzz_u8(w->input) % VIO_ARRAY_SIZE(shapes)];
	uint32_t at = (uint32_t)(PAYLOAD - BASE);

	for (; *shape; at += *shape++)
		put(w, at, *shape);
}

static void judge(struct world *w, const struct vio_ccw_status *status, uint32_t count)
{
	const bool check = status->device & CCW_DSTAT_UNIT_CHECK;

	FUZZ_CHECK(status->residual <= count);
	if (status->subchannel & CCW_CSTAT_PROGRAM_CHECK)
		FUZZ_CHECK(status->subchannel == CCW_CSTAT_PROGRAM_CHECK && !status->device);
	else
		FUZZ_CHECK((status->device & ENDED) == ENDED && !(check && status->subchannel));
	FUZZ_CHECK(check == (w->model.sense != 0));
	FUZZ_CHECK(w->model.revision >= -1 && w->model.revision <= (int)VIRTIO_CCW_REV_MAX);
	fuzz_note(w->input,
		  (uint64_t)status->device << 24 | (uint64_t)status->subchannel << 16 | status->residual);
}

static void step_command(struct world *w)
{
	const struct vio_ccw ccw = {
		(uint8_t)fuzz_choose(w->input, codes, VIO_ARRAY_SIZE(codes)),
		(uint8_t)fuzz_choose(w->input, flags, VIO_ARRAY_SIZE(flags)),
		(uint16_t)fuzz_choose(w->input, counts, VIO_ARRAY_SIZE(counts)),
		fuzz_choose(w->input, places, VIO_ARRAY_SIZE(places)),
	};
	struct vio_ccw_status status;

	vio_ccw_device_command(&w->model, &ccw, &status);
	judge(w, &status, ccw.count);
}

static void step_program(struct world *w)
{
	struct vio_ccw_status status;
	uint32_t at = (uint32_t)(PROGRAM - BASE);

	for (unsigned left = fuzz_u8(w->input) % 6; left; left--, at += 8) {
		w->m.memory[at] = (uint8_t)fuzz_choose(w->input, codes, VIO_ARRAY_SIZE(codes));
		w->m.memory[at + 1] = (uint8_t)fuzz_choose(w->input, flags, VIO_ARRAY_SIZE(flags));
		w->m.memory[at + 2] = 0;
		w->m.memory[at + 3] = (uint8_t)fuzz_choose(w->input, counts, VIO_ARRAY_SIZE(counts));
		put(w, at + 4, 4);
	}
	fuzz_note(w->input,
		  vio_ccw_device_program(&w->model, PROGRAM + (fuzz_u8(w->input) & 7) * 8, &status));
	if (status.device) /* else it may be that no command was performed */
		judge(w, &status, UINT16_MAX);
}

static void step_memory(struct world *w)
{
	uint32_t at = (uint32_t)fuzz_u64(w->input, 2) % BYTES;

	w->m.memory[at] = fuzz_u8(w->input);
}

static void step_notify(struct world *w)
{
	uint64_t subchannel = fuzz_u8(w->input) % 8 ? SUBCHANNEL : fuzz_u64(w->input, 8);
	int64_t answer = vio_ccw_device_notify(&w->model, subchannel,
					       fuzz_choose(w->input, numbers, VIO_ARRAY_SIZE(numbers)), 0);

	FUZZ_CHECK(answer < (int64_t)QUEUES_MAX);
	fuzz_note(w->input, (uint64_t)answer);
}

static void step_run(struct world *w)
{
	vio_ccw_device_run(&w->model);
	vio_device_config_changed(&w->m.served.dev);
}

static void step_enable(struct world *w)
{
	vio_ccw_device_enable(&w->model);
	FUZZ_CHECK(w->model.revision == -1);
}

static void run(struct world *w, uint8_t command, uint16_t count, bool works)
{
	const struct vio_ccw ccw = { command, 0, count, PAYLOAD };
	struct vio_ccw_status status;

	vio_ccw_device_command(&w->model, &ccw, &status);
	FUZZ_CHECK(!works || (status.device == ENDED && !status.subchannel && !status.residual));
}

/* Whatever was before: from here on everything works. */
static void restart(struct world *w)
{
	uint8_t *payload = w->m.memory + (PAYLOAD - BASE);

	vio_ccw_device_enable(&w->model);
	memset(w->m.memory, 0, BYTES);
	payload[1] = VIRTIO_CCW_REV_STATUS;
	run(w, CCW_CMD_SET_VIRTIO_REV, 4, true);
	run(w, CCW_CMD_VDEV_RESET, 0, true);
	FUZZ_CHECK(w->m.served.dev.status == 0 && w->model.indicators == VIO_CCW_NO_INDICATORS);
	for (unsigned i = 0; i < w->m.served.dev.queue_count; i++)
		FUZZ_CHECK(!w->m.served.dev.queues[i].running);
	payload[0] = 3;
	run(w, CCW_CMD_WRITE_STATUS, 1, true);
	memset(payload, 0, 5);
	payload[0] = 1; /* VERSION_1, in the second word */
	payload[4] = 1;
	run(w, CCW_CMD_WRITE_FEAT, 5, true);
	payload[0] = 0xb;
	run(w, CCW_CMD_WRITE_STATUS, 1, true);
	run(w, CCW_CMD_READ_STATUS, 1, true);
	FUZZ_CHECK(payload[0] == 0xb);
}

static void make(struct world *w, unsigned kind)
{
	const struct vio_ccw_device_config config = {
		.device = &w->m.served.dev,
		.mem = &w->m.mem,
		.revision_min = kind % 2,
		.revision_max = VIRTIO_CCW_REV_MAX,
		.subchannel = SUBCHANNEL,
		.queues = w->queues,
		.context = w,
		.interrupt = interrupt,
		.adapter_interrupt = adapter_interrupt,
	};

	fuzz_model_make(&w->m, VIRTIO_ID_CAESAR);
	FUZZ_CHECK(vio_ccw_device_init(&w->model, &config) == 0);
}

void fuzz_run(struct fuzz_input *input)
{
	static void (*const steps[])(struct world * w) = {
		step_command, step_payload, step_command, step_payload, step_command,
		step_program, step_memory,  step_notify,  step_run,     step_enable,
	};
	struct world w = { .input = input };

	make(&w, fuzz_u8(input));
	fuzz_walk(input, &w, steps, VIO_ARRAY_SIZE(steps), restart, 400);
	restart(&w);
	fuzz_note(input, w.m.served.dev.fault_count);
	fuzz_note(input, w.interrupts);
	vio_ccw_device_end(&w.model);
	fuzz_model_close(&w.m);
}
