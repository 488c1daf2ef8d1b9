/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <vireo/mmio.h>

#include "model.h"

/*
 * A driver that accesses whatever register it likes, in any width and order, legacy and modern, and writes
 * what it likes into its rings. Whatever it does: the line follows the interrupt status, each access is told
 * of once, a reset ends everything, and afterwards the device works.
 */
#define PAGE 4096u

struct world {
	struct fuzz_input *input;
	struct fuzz_model m;
	struct vio_mmio_device model;
	struct vio_mmio_queue queues[FUZZ_MODEL_QUEUES_MAX];
	unsigned level, raised, traced;
	bool legacy;
};

static void interrupt(void *context, unsigned level)
{
	struct world *w = context;

	FUZZ_CHECK(level < 2 && level != w->level);
	w->level = level;
	w->raised += level;
}

static void trace(void *context, const struct vio_mmio_trace *trace)
{
	struct world *w = context;

	FUZZ_CHECK(trace->name || trace->outcome != VIO_MMIO_DONE);
	FUZZ_CHECK(trace->write || trace->outcome == VIO_MMIO_DONE || trace->outcome == VIO_MMIO_IGNORED ||
		   !trace->value);
	w->traced++;
}

static const uint64_t registers[] = {
	VIRTIO_MMIO_STATUS,
	VIRTIO_MMIO_QUEUE_NOTIFY,
	VIRTIO_MMIO_QUEUE_SEL,
	VIRTIO_MMIO_QUEUE_SIZE,
	VIRTIO_MMIO_QUEUE_READY,
	VIRTIO_MMIO_QUEUE_PFN,
	VIRTIO_MMIO_QUEUE_ALIGN,
	VIRTIO_MMIO_GUEST_PAGE_SIZE,
	VIRTIO_MMIO_QUEUE_RESET,
	VIRTIO_MMIO_QUEUE_DESC_LOW,
	VIRTIO_MMIO_QUEUE_DESC_HIGH,
	VIRTIO_MMIO_QUEUE_DRIVER_LOW,
	VIRTIO_MMIO_QUEUE_DRIVER_HIGH,
	VIRTIO_MMIO_QUEUE_DEVICE_LOW,
	VIRTIO_MMIO_QUEUE_DEVICE_HIGH,
	VIRTIO_MMIO_DRIVER_FEATURES_SEL,
	VIRTIO_MMIO_DRIVER_FEATURES,
	VIRTIO_MMIO_DEVICE_FEATURES_SEL,
	VIRTIO_MMIO_DEVICE_FEATURES,
	VIRTIO_MMIO_INTERRUPT_STATUS,
	VIRTIO_MMIO_INTERRUPT_ACK,
	VIRTIO_MMIO_CONFIG,
	VIRTIO_MMIO_CONFIG + 1,
	VIRTIO_MMIO_CONFIG + 4,
	VIRTIO_MMIO_CONFIG_GENERATION,
	VIRTIO_MMIO_SHM_SEL,
	VIRTIO_MMIO_SHM_LEN_LOW,
	VIRTIO_MMIO_QUEUE_SIZE_MAX,
	VIRTIO_MMIO_MAGIC_VALUE,
	0x3fc,
	UINT32_MAX,
};
/* Statuses, sizes, pages, addresses: what makes sense somewhere. */
static const uint64_t values[] = {
	0,
	1,
	3,
	0xb,
	0xf,
	2,
	4,
	7,
	16,
	8,
	PAGE,
	FUZZ_MODEL_BASE,
	FUZZ_MODEL_BASE + 0x100,
	FUZZ_MODEL_BASE + 0x1000,
	FUZZ_MODEL_BASE / PAGE,
	FUZZ_MODEL_ROM,
	0x80,
	UINT32_MAX,
	1u << 29,
	1u << 28,
};
static const uint64_t widths[] = { 4, 4, 4, 4, 4, 1, 2, 8, 0, 3 };

static void judge(struct world *w, unsigned accesses)
{
	FUZZ_CHECK(w->traced == accesses);
	FUZZ_CHECK(w->level == (w->model.interrupt_status != 0));
}

static void step_write(struct world *w)
{
	const uint64_t offset = fuzz_choose(w->input, registers, VIO_ARRAY_SIZE(registers));
	const unsigned width = (unsigned)fuzz_choose(w->input, widths, VIO_ARRAY_SIZE(widths));
	const unsigned before = w->traced;

	vio_mmio_device_write(&w->model, offset, width,
			      fuzz_choose(w->input, values, VIO_ARRAY_SIZE(values)));
	judge(w, before + 1);
}

static void step_read(struct world *w)
{
	const uint64_t offset = fuzz_choose(w->input, registers, VIO_ARRAY_SIZE(registers));
	const unsigned width = (unsigned)fuzz_choose(w->input, widths, VIO_ARRAY_SIZE(widths));
	const unsigned before = w->traced;

	fuzz_note(w->input, vio_mmio_device_read(&w->model, offset, width));
	judge(w, before + 1);
}

static void step_memory(struct world *w)
{
	fuzz_model_scribble(&w->m, w->input);
}

static void step_notify(struct world *w)
{
	vio_mmio_device_write(&w->model, VIRTIO_MMIO_QUEUE_NOTIFY, 4, 0);
}

static void step_run(struct world *w)
{
	vio_mmio_device_run(&w->model);
	vio_device_config_changed(&w->m.served.dev);
	judge(w, w->traced);
}

static void put(struct world *w, uint64_t offset, uint32_t value)
{
	vio_mmio_device_write(&w->model, offset, 4, value);
}

static uint32_t get(struct world *w, uint64_t offset)
{
	return (uint32_t)vio_mmio_device_read(&w->model, offset, 4);
}

static void notify(void *context, struct vio_drvq *q)
{
	put(context, VIRTIO_MMIO_QUEUE_NOTIFY, q->index);
}

static void start_queue(struct world *w)
{
	const uint32_t areas[] = { VIRTIO_MMIO_QUEUE_DESC_LOW, VIRTIO_MMIO_QUEUE_DRIVER_LOW,
				   VIRTIO_MMIO_QUEUE_DEVICE_LOW };
	const struct vio_addr addresses[] = { vio_drvq_descriptor_area(&w->m.q),
					      vio_drvq_driver_area(&w->m.q), vio_drvq_device_area(&w->m.q) };

	put(w, VIRTIO_MMIO_QUEUE_SEL, 0);
	FUZZ_CHECK(get(w, VIRTIO_MMIO_QUEUE_SIZE_MAX) == FUZZ_MODEL_QUEUE_SIZE);
	put(w, VIRTIO_MMIO_QUEUE_SIZE, FUZZ_MODEL_QUEUE_SIZE);
	if (w->legacy) {
		put(w, VIRTIO_MMIO_QUEUE_ALIGN, PAGE);
		put(w, VIRTIO_MMIO_QUEUE_PFN, (uint32_t)(FUZZ_MODEL_BASE / PAGE));
		return;
	}
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(areas); i++) {
		put(w, areas[i], (uint32_t)addresses[i].raw);
		put(w, areas[i] + 4, (uint32_t)(addresses[i].raw >> 32));
	}
	put(w, VIRTIO_MMIO_QUEUE_READY, 1);
	FUZZ_CHECK(get(w, VIRTIO_MMIO_QUEUE_READY) == 1);
}

/* Whatever was before: from here on everything works. */
static void restart(struct world *w)
{
	struct vio_features features = VIO_FEATURES_NONE;

	put(w, VIRTIO_MMIO_STATUS, 0);
	FUZZ_CHECK(get(w, VIRTIO_MMIO_STATUS) == 0 && w->level == 0);
	for (unsigned i = 0; i < w->m.served.dev.queue_count; i++)
		FUZZ_CHECK(!w->m.served.dev.queues[i].running && !w->queues[i].ready);
	put(w, VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	if (w->legacy) {
		put(w, VIRTIO_MMIO_GUEST_PAGE_SIZE, PAGE);
	} else {
		vio_features_set(&features, VIRTIO_F_VERSION_1);
		put(w, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
		put(w, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)(features.word[0] >> 32));
		put(w, VIRTIO_MMIO_STATUS, 0xb);
		FUZZ_CHECK(get(w, VIRTIO_MMIO_STATUS) == 0xb);
	}
	fuzz_model_ring(&w->m, &features, w->legacy ? PAGE : 0, notify, w);
	start_queue(w);
	put(w, VIRTIO_MMIO_STATUS, get(w, VIRTIO_MMIO_STATUS) | VIRTIO_CONFIG_S_DRIVER_OK);
	fuzz_model_ask(&w->m);
	FUZZ_CHECK(w->level == 1 && get(w, VIRTIO_MMIO_INTERRUPT_STATUS) == VIRTIO_MMIO_INT_VRING);
	put(w, VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_INT_VRING);
	FUZZ_CHECK(w->level == 0);
}

void fuzz_run(struct fuzz_input *input)
{
	static void (*const steps[])(struct world * w) = {
		step_write, step_write, step_memory, step_write, step_notify, step_read, step_run,
	};
	struct world w = { .input = input };
	const uint8_t kind = fuzz_u8(input);
	struct vio_mmio_device_config config = {
		.device = &w.m.served.dev,
		.mem = &w.m.mem,
		.version = kind & 1 ? VIRTIO_MMIO_VERSION_LEGACY : VIRTIO_MMIO_VERSION_MODERN,
		.queues = w.queues,
		.context = &w,
		.interrupt = interrupt,
		.trace = trace,
	};

	w.legacy = kind & 1;
	fuzz_model_make(&w.m, VIRTIO_ID_CAESAR);
	FUZZ_CHECK(vio_mmio_device_init(&w.model, &config) == 0);
	if (kind & 2)
		restart(&w);
	fuzz_walk(input, &w, steps, VIO_ARRAY_SIZE(steps), restart, 400);
	fuzz_note(input, w.m.served.dev.fault_count);
	restart(&w);
	fuzz_note(input, w.raised);
	vio_mmio_device_end(&w.model);
	FUZZ_CHECK(w.level == 0);
	fuzz_model_close(&w.m);
}
