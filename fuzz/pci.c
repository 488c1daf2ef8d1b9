/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <vireo/pci.h>

#include "model.h"

/*
 * A driver that accesses whatever it likes of a PCI function, modern, transitional and legacy: configuration
 * space, BARs, the window to them, the MSI-X table. Whatever it does: the line and messages are raised only
 * when they may be, each access is told of once, BARs stay what they are, and after a reset the device works.
 */
#define VECTORS     3u
#define BAR_ADDRESS 0xe0000000u
#define PORT        0xc000u
#define PAGE        4096u
#define MESSAGE     UINT64_C(0xfee00000)

struct world {
	struct fuzz_input *input;
	struct fuzz_model m;
	struct vio_pci_device model;
	struct vio_pci_queue queues[FUZZ_MODEL_QUEUES_MAX];
	struct vio_pci_vector vectors[VECTORS];
	uint32_t common, config, isr; /* where they are in the memory BAR */
	unsigned level, raised, messages, traced;
};

static uint32_t command(const struct world *w)
{
	return w->model.space[PCI_COMMAND] | (uint32_t)w->model.space[PCI_COMMAND + 1] << 8;
}

/* Both bits of control, or 0 without the capability. */
static uint32_t msix_control(const struct world *w)
{
	return w->model.msix_cap ? (uint32_t)w->model.space[w->model.msix_cap + PCI_MSIX_CONTROL + 1] << 8
				 : 0;
}

static void interrupt(void *context, unsigned level)
{
	struct world *w = context;

	FUZZ_CHECK(level < 2 && level != w->level);
	FUZZ_CHECK(!level || (w->model.isr && !(command(w) & PCI_COMMAND_INTX_DISABLE) &&
			      !(msix_control(w) & PCI_MSIX_CONTROL_ENABLE)));
	w->level = level;
	w->raised += level;
}

static void message(void *context, uint64_t address, uint32_t data)
{
	const uint32_t both = PCI_MSIX_CONTROL_ENABLE | PCI_MSIX_CONTROL_MASK;
	struct world *w = context;
	bool found = false;

	FUZZ_CHECK((command(w) & PCI_COMMAND_MASTER) && (msix_control(w) & both) == PCI_MSIX_CONTROL_ENABLE);
	for (unsigned i = 0; i < w->model.config.vectors; i++) {
		const struct vio_pci_vector *v = &w->vectors[i];

		found = found || (!(v->control & PCI_MSIX_ENTRY_MASKED) && v->data == data &&
				  ((uint64_t)v->address_high << 32 | v->address_low) == address);
	}
	FUZZ_CHECK(found);
	w->messages++;
}

static void trace(void *context, const struct vio_pci_trace *trace)
{
	struct world *w = context;

	FUZZ_CHECK(trace->bar <= VIO_PCI_CONFIG_SPACE || trace->outcome == VIO_PCI_NOT_DECODED);
	w->traced++;
}

static const uint64_t spaces[] = {
	PCI_COMMAND,   PCI_BAR,          PCI_BAR + 16,       PCI_BAR + 20, PCI_STATUS,
	PCI_VENDOR_ID, PCI_CAPABILITIES, PCI_INTERRUPT_LINE, PCI_BAR + 4,  0xfc,
	0x100
};
static const uint64_t widths[] = { 4, 2, 1, 4, 2, 8, 0, 3 };
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
	0x407,
	0x8000,
	0xc000,
	FUZZ_MODEL_BASE,
	FUZZ_MODEL_BASE + 0x100,
	FUZZ_MODEL_BASE + 0x1000,
	FUZZ_MODEL_BASE / PAGE,
	FUZZ_MODEL_ROM,
	BAR_ADDRESS,
	PORT,
	MESSAGE,
	UINT32_MAX,
	VIRTIO_MSI_NO_VECTOR,
	VIO_PCI_MEMORY_BAR,
	1u << 29,
	1u << 28,
};
static const uint64_t bars[] = { VIO_PCI_MEMORY_BAR, VIO_PCI_MEMORY_BAR, 0, 0, 1, 5, 6, UINT32_MAX };

static uint64_t value(struct world *w)
{
	return fuzz_choose(w->input, values, VIO_ARRAY_SIZE(values));
}

static unsigned width(struct world *w)
{
	return (unsigned)fuzz_choose(w->input, widths, VIO_ARRAY_SIZE(widths));
}

/* Registers are as near as what breaks them. */
static uint64_t bar_offset(struct world *w, unsigned bar)
{
	const uint32_t places[] = { w->common,
				    w->common,
				    w->common,
				    w->config,
				    w->isr,
				    w->model.layout.notify,
				    w->model.layout.table,
				    w->model.layout.pba,
				    w->model.layout.memory_bytes - 4 };
	const uint8_t place = fuzz_u8(w->input), near = fuzz_u8(w->input);

	if (place == 255)
		return fuzz_u64(w->input, 8);
	return (bar ? places[place % VIO_ARRAY_SIZE(places)] : 0) + near % 72;
}

/* An access may be one to a BAR by the window of the configuration space, which is told of as well. */
static void judge(struct world *w, unsigned accesses)
{
	FUZZ_CHECK(w->traced >= accesses && w->traced <= accesses + 1);
	FUZZ_CHECK(w->model.level == (w->level != 0));
	for (unsigned bar = 0; bar < PCI_BAR_COUNT; bar++) {
		const struct vio_pci_bar is = vio_pci_device_bar(&w->model, bar);

		FUZZ_CHECK((is.size & (is.size - 1)) == 0 && (!is.size || is.address % is.size == 0));
	}
}

static unsigned config_offset(struct world *w)
{
	const uint8_t place = fuzz_u8(w->input);

	if (place < 64)
		return (unsigned)(w->model.cfg_cap + place % 24);
	if (place < 96)
		return (unsigned)(w->model.msix_cap + place % 12);
	if (place < 128)
		return place * 2u;
	return (unsigned)fuzz_choose(w->input, spaces, VIO_ARRAY_SIZE(spaces));
}

static void step_config_write(struct world *w)
{
	const unsigned offset = config_offset(w), bytes = width(w), before = w->traced;

	vio_pci_device_config_write(&w->model, offset, bytes, (uint32_t)value(w));
	judge(w, before + 1);
}

static void step_config_read(struct world *w)
{
	const unsigned offset = config_offset(w), bytes = width(w), before = w->traced;

	fuzz_note(w->input, vio_pci_device_config_read(&w->model, offset, bytes));
	judge(w, before + 1);
}

static void step_bar_write(struct world *w)
{
	const unsigned bar = (unsigned)fuzz_choose(w->input, bars, VIO_ARRAY_SIZE(bars));
	const uint64_t offset = bar_offset(w, bar);
	const unsigned bytes = width(w), before = w->traced;

	vio_pci_device_bar_write(&w->model, bar, offset, bytes, value(w));
	judge(w, before + 1);
}

static void step_bar_read(struct world *w)
{
	const unsigned bar = (unsigned)fuzz_choose(w->input, bars, VIO_ARRAY_SIZE(bars));
	const uint64_t offset = bar_offset(w, bar);
	const unsigned bytes = width(w), before = w->traced;

	fuzz_note(w->input, vio_pci_device_bar_read(&w->model, bar, offset, bytes));
	judge(w, before + 1);
}

static void step_memory(struct world *w)
{
	fuzz_model_scribble(&w->m, w->input);
}

static void notify(void *context, struct vio_drvq *q)
{
	struct world *w = context;

	if (w->model.config.kind == VIO_PCI_LEGACY || w->model.legacy)
		vio_pci_device_bar_write(&w->model, 0, VIRTIO_PCI_QUEUE_NOTIFY, 2, q->index);
	else
		vio_pci_device_bar_write(&w->model, VIO_PCI_MEMORY_BAR, w->model.layout.notify, 2, q->index);
}

static void step_notify(struct world *w)
{
	notify(w, &w->m.q);
}

static void step_run(struct world *w)
{
	vio_pci_device_run(&w->model);
	vio_device_config_changed(&w->m.served.dev);
	judge(w, w->traced);
}

static void put(struct world *w, uint32_t offset, unsigned bytes, uint32_t value)
{
	vio_pci_device_bar_write(&w->model, VIO_PCI_MEMORY_BAR, w->common + offset, bytes, value);
}

static uint32_t get(struct world *w, uint32_t offset, unsigned bytes)
{
	return (uint32_t)vio_pci_device_bar_read(&w->model, VIO_PCI_MEMORY_BAR, w->common + offset, bytes);
}

static void out(struct world *w, uint32_t offset, unsigned bytes, uint32_t value)
{
	vio_pci_device_bar_write(&w->model, 0, offset, bytes, value);
}

static void start_modern(struct world *w, bool messages)
{
	static const uint32_t areas[] = { VIRTIO_PCI_COMMON_Q_DESCLO, VIRTIO_PCI_COMMON_Q_AVAILLO,
					  VIRTIO_PCI_COMMON_Q_USEDLO };
	struct vio_features features = VIO_FEATURES_NONE;

	vio_features_set(&features, VIRTIO_F_VERSION_1);
	put(w, VIRTIO_PCI_COMMON_STATUS, 1, 3);
	put(w, VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
	put(w, VIRTIO_PCI_COMMON_GF, 4, (uint32_t)(features.word[0] >> 32));
	put(w, VIRTIO_PCI_COMMON_STATUS, 1, 0xb);
	FUZZ_CHECK(get(w, VIRTIO_PCI_COMMON_STATUS, 1) == 0xb);
	fuzz_model_ring(&w->m, &features, 0, notify, w);
	const struct vio_addr addresses[] = { vio_drvq_descriptor_area(&w->m.q),
					      vio_drvq_driver_area(&w->m.q), vio_drvq_device_area(&w->m.q) };
	put(w, VIRTIO_PCI_COMMON_Q_SELECT, 2, 0);
	FUZZ_CHECK(get(w, VIRTIO_PCI_COMMON_Q_SIZE, 2) == FUZZ_MODEL_QUEUE_SIZE);
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(areas); i++) {
		put(w, areas[i], 4, (uint32_t)addresses[i].raw);
		put(w, areas[i] + 4, 4, (uint32_t)(addresses[i].raw >> 32));
	}
	if (messages) {
		put(w, VIRTIO_PCI_COMMON_Q_MSIX, 2, 1);
		FUZZ_CHECK(get(w, VIRTIO_PCI_COMMON_Q_MSIX, 2) == 1);
	}
	put(w, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	FUZZ_CHECK(get(w, VIRTIO_PCI_COMMON_Q_ENABLE, 2) == 1);
	put(w, VIRTIO_PCI_COMMON_STATUS, 1, 0xf);
}

static void start_legacy(struct world *w, bool messages)
{
	const struct vio_features features = VIO_FEATURES_NONE;

	fuzz_model_ring(&w->m, &features, PAGE, notify, w);
	out(w, VIRTIO_PCI_STATUS, 1, 3);
	out(w, VIRTIO_PCI_GUEST_FEATURES, 4, 0);
	out(w, VIRTIO_PCI_QUEUE_SEL, 2, 0);
	out(w, VIRTIO_PCI_QUEUE_PFN, 4, (uint32_t)(FUZZ_MODEL_BASE / PAGE));
	if (messages)
		out(w, VIRTIO_MSI_QUEUE_VECTOR, 2, 1);
	out(w, VIRTIO_PCI_STATUS, 1, 7);
}

static void begin_messages(struct world *w)
{
	const uint32_t entry = w->model.layout.table + PCI_MSIX_ENTRY_BYTES;
	const uint32_t words[] = { (uint32_t)MESSAGE, 0, 0x41, 0 };

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(words); i++)
		vio_pci_device_bar_write(&w->model, VIO_PCI_MEMORY_BAR, entry + 4 * i, 4, words[i]);
	vio_pci_device_config_write(&w->model, w->model.msix_cap + PCI_MSIX_CONTROL, 2,
				    PCI_MSIX_CONTROL_ENABLE);
}

/* Whatever was before: from here on everything works. */
static void restart(struct world *w)
{
	const enum vio_pci_kind kind = w->model.config.kind;
	const uint8_t how = fuzz_u8(w->input);
	const bool messages = w->model.config.vectors > 1 && (how & 1);
	const bool legacy = kind == VIO_PCI_LEGACY || (kind == VIO_PCI_TRANSITIONAL && (how & 2));
	unsigned before;

	vio_pci_device_bus_reset(&w->model);
	FUZZ_CHECK(w->level == 0 && w->m.served.dev.status == 0);
	for (unsigned i = 0; i < w->m.served.dev.queue_count; i++)
		FUZZ_CHECK(!w->m.served.dev.queues[i].running && !w->queues[i].enabled);
	vio_pci_device_config_write(&w->model, PCI_BAR, 4, PORT);
	vio_pci_device_config_write(&w->model, PCI_BAR + 4 * VIO_PCI_MEMORY_BAR, 4, BAR_ADDRESS);
	vio_pci_device_config_write(&w->model, PCI_COMMAND, 2,
				    PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	if (messages)
		begin_messages(w);
	if (legacy)
		start_legacy(w, messages);
	else
		start_modern(w, messages);
	before = w->messages;
	fuzz_model_ask(&w->m);
	FUZZ_CHECK(w->messages == before + messages);
	FUZZ_CHECK(w->level == !(messages || (w->model.config.flags & VIO_PCI_NO_LINE)));
}

/* Where a structure begins in the memory BAR; 0: there is none. */
static uint32_t find(struct world *w, unsigned type)
{
	unsigned at = w->model.space[PCI_CAPABILITIES];

	for (; at; at = w->model.space[at + PCI_CAP_NEXT])
		if (w->model.space[at] == PCI_CAP_VENDOR &&
		    w->model.space[at + VIRTIO_PCI_CAP_CFG_TYPE] == type)
			return vio_pci_device_config_read(&w->model, at + VIRTIO_PCI_CAP_OFFSET, 4);
	return 0;
}

static void make(struct world *w, unsigned how)
{
	static const enum vio_pci_kind kinds[] = { VIO_PCI_MODERN, VIO_PCI_TRANSITIONAL, VIO_PCI_LEGACY,
						   VIO_PCI_TRANSITIONAL };
	const struct vio_pci_device_config config = {
		.device = &w->m.served.dev,
		.mem = &w->m.mem,
		.kind = kinds[how & 3],
		.flags = how >> 2 & 7,
		.vectors = how & 0x20 ? VECTORS : 0,
		.queues = w->queues,
		.vector_states = w->vectors,
		.context = w,
		.interrupt = interrupt,
		.message = message,
		.trace = trace,
	};

	/* Of the types that predate version 1.0, one that has as few queues. */
	fuzz_model_make(&w->m, config.kind == VIO_PCI_MODERN ? VIRTIO_ID_CAESAR : VIRTIO_ID_RNG);
	FUZZ_CHECK(vio_pci_device_init(&w->model, &config) == 0);
	w->common = find(w, VIRTIO_PCI_CAP_COMMON_CFG);
	w->config = find(w, VIRTIO_PCI_CAP_DEVICE_CFG);
	w->isr = find(w, VIRTIO_PCI_CAP_ISR_CFG);
}

void fuzz_run(struct fuzz_input *input)
{
	static void (*const steps[])(struct world * w) = {
		step_bar_write,   step_bar_write, step_memory, step_config_write, step_bar_write,
		step_config_read, step_bar_read,  step_notify, step_run,
	};
	struct world w = { .input = input };

	make(&w, fuzz_u8(input));
	if (fuzz_u8(input) & 1)
		restart(&w);
	fuzz_walk(input, &w, steps, VIO_ARRAY_SIZE(steps), restart, 400);
	fuzz_note(input, w.m.served.dev.fault_count);
	restart(&w);
	fuzz_note(input, (uint64_t)w.raised << 32 | w.messages);
	vio_pci_device_end(&w.model);
	FUZZ_CHECK(w.level == 0);
	fuzz_model_close(&w.m);
}
