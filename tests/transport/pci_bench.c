/* SPDX-License-Identifier: BSD-3-Clause */
#include "transport/pci_bench.h"

#include <stdlib.h>
#include <string.h>

static void on_interrupt(void *context, unsigned level)
{
	struct bench *b = context;

	assert_int_not_equal(level, b->level);
	b->level = level;
	b->raised += level;
}

static void on_message(void *context, uint64_t address, uint32_t data)
{
	struct bench *b = context;

	b->messages++;
	b->message_address = address;
	b->message_data = data;
}

static void on_work(void *context)
{
	((struct bench *)context)->work++;
}

static void on_moved(void *context)
{
	((struct bench *)context)->moved++;
}

static void on_fault(void *context, const struct vio_fault *fault)
{
	((struct bench *)context)->faults++;
}

static void on_trace(void *context, const struct vio_pci_trace *trace)
{
	((struct bench *)context)->last = *trace;
}

void bench_make(struct bench *b, const struct bench_options *options)
{
	memset(b, 0, sizeof(*b));
	parrot_make(&b->parrot, options->id ? options->id : VIRTIO_ID_BLOCK, options->more);
	struct vio_pci_device_config config = {
		.device = &b->parrot.device,
		.mem = &b->parrot.mem,
		.kind = options->kind,
		.flags = options->flags,
		.vectors = options->vectors,
		.queues = b->queues,
		.vector_states = b->vectors,
		.context = b,
		.interrupt = on_interrupt,
		.message = on_message,
		.work = on_work,
		.moved = on_moved,
		.fault = on_fault,
		.trace = on_trace,
	};
	assert_int_equal(vio_pci_device_init(&b->model, &config), -VIO_EPHASE);
	parrot_provide(&b->parrot);
	assert_int_equal(vio_pci_device_init(&b->model, &config), 0);
	bench_place(b);
}

void bench_place(struct bench *b)
{
	bench_set_config(b, PCI_BAR, 4, PORT);
	bench_set_config(b, PCI_BAR + 4 * VIO_PCI_MEMORY_BAR, 4, BAR_ADDRESS);
	bench_set_config(b, PCI_COMMAND, 2, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

void bench_free(struct bench *b)
{
	vio_pci_device_end(&b->model);
	assert_int_equal(b->level, 0);
	parrot_free(&b->parrot);
}

uint32_t bench_config(struct bench *b, unsigned offset, unsigned width)
{
	return vio_pci_device_config_read(&b->model, offset, width);
}

void bench_set_config(struct bench *b, unsigned offset, unsigned width, uint32_t value)
{
	vio_pci_device_config_write(&b->model, offset, width, value);
}

unsigned bench_capability(struct bench *b, unsigned id, unsigned type)
{
	unsigned at = bench_config(b, PCI_CAPABILITIES, 1);

	for (unsigned left = 48; at && left; left--) {
		assert_true(at >= PCI_HEADER_BYTES && !(at % 4));
		if (bench_config(b, at, 1) == id &&
		    (id != PCI_CAP_VENDOR || bench_config(b, at + VIRTIO_PCI_CAP_CFG_TYPE, 1) == type))
			return at;
		at = bench_config(b, at + PCI_CAP_NEXT, 1);
	}
	assert_int_equal(at, 0);
	return 0;
}

uint32_t bench_structure(struct bench *b, unsigned type)
{
	unsigned at = bench_capability(b, PCI_CAP_VENDOR, type);

	assert_int_not_equal(at, 0);
	assert_int_equal(bench_config(b, at + VIRTIO_PCI_CAP_BAR, 1), VIO_PCI_MEMORY_BAR);
	return bench_config(b, at + VIRTIO_PCI_CAP_OFFSET, 4);
}

uint32_t bench_get(struct bench *b, uint32_t offset, unsigned width)
{
	return (uint32_t)vio_pci_device_bar_read(&b->model, VIO_PCI_MEMORY_BAR, offset, width);
}

void bench_set(struct bench *b, uint32_t offset, unsigned width, uint32_t value)
{
	vio_pci_device_bar_write(&b->model, VIO_PCI_MEMORY_BAR, offset, width, value);
}

uint32_t bench_in(struct bench *b, uint32_t offset, unsigned width)
{
	return (uint32_t)vio_pci_device_bar_read(&b->model, 0, offset, width);
}

void bench_out(struct bench *b, uint32_t offset, unsigned width, uint32_t value)
{
	vio_pci_device_bar_write(&b->model, 0, offset, width, value);
}

void bench_assert_outcome(const struct bench *b, enum vio_pci_outcome outcome)
{
	assert_int_equal(b->last.outcome, outcome);
}

void bench_negotiate(struct bench *b, uint64_t low_features)
{
	bench_set(b, VIRTIO_PCI_COMMON_STATUS, 1, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	bench_set(b, VIRTIO_PCI_COMMON_STATUS, 1, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	for (uint32_t word = 0; word < 2; word++) {
		bench_set(b, VIRTIO_PCI_COMMON_GFSELECT, 4, word);
		bench_set(b, VIRTIO_PCI_COMMON_GF, 4, (uint32_t)(low_features >> (32 * word)));
	}
	bench_set(b, VIRTIO_PCI_COMMON_STATUS, 1, ALL_DONE);
}

void bench_write_addresses(struct bench *b)
{
	const uint64_t areas[] = { vio_drvq_descriptor_area(&b->parrot.drvq).raw,
				   vio_drvq_driver_area(&b->parrot.drvq).raw,
				   vio_drvq_device_area(&b->parrot.drvq).raw };

	for (unsigned i = 0; i < 3; i++) {
		bench_set(b, VIRTIO_PCI_COMMON_Q_DESCLO + 8 * i, 4, (uint32_t)areas[i]);
		bench_set(b, VIRTIO_PCI_COMMON_Q_DESCHI + 8 * i, 4, (uint32_t)(areas[i] >> 32));
	}
}

void bench_start_queue(struct bench *b, uint16_t queue)
{
	parrot_make_rings(&b->parrot, 0);
	bench_set(b, VIRTIO_PCI_COMMON_Q_SELECT, 2, queue);
	bench_set(b, VIRTIO_PCI_COMMON_Q_SIZE, 2, QUEUE_SIZE);
	bench_write_addresses(b);
	bench_set(b, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	assert_int_equal(bench_get(b, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 1);
}

void bench_bring_up(struct bench *b, uint64_t features)
{
	bench_negotiate(b, features | BIT(VIRTIO_F_VERSION_1));
	assert_int_equal(bench_get(b, VIRTIO_PCI_COMMON_STATUS, 1), ALL_DONE);
	bench_start_queue(b, 0);
	bench_set(b, VIRTIO_PCI_COMMON_STATUS, 1, ALL_DONE | DRIVER_OK);
	assert_int_equal(bench_get(b, VIRTIO_PCI_COMMON_STATUS, 1), ALL_DONE | DRIVER_OK);
}

void bench_legacy_bring_up(struct bench *b, uint32_t features)
{
	bench_out(b, VIRTIO_PCI_STATUS, 1, 0);
	bench_out(b, VIRTIO_PCI_STATUS, 1, 1);
	bench_out(b, VIRTIO_PCI_STATUS, 1, 3);
	bench_out(b, VIRTIO_PCI_GUEST_FEATURES, 4, features);
	parrot_make_rings(&b->parrot, VIRTIO_PCI_VRING_ALIGN);
	bench_out(b, VIRTIO_PCI_QUEUE_SEL, 2, 0);
	assert_int_equal(bench_in(b, VIRTIO_PCI_QUEUE_NUM, 2), QUEUE_SIZE);
	bench_out(b, VIRTIO_PCI_QUEUE_PFN, 4, BASE >> VIRTIO_PCI_QUEUE_ADDR_SHIFT);
	assert_int_equal(bench_in(b, VIRTIO_PCI_QUEUE_PFN, 4), BASE >> VIRTIO_PCI_QUEUE_ADDR_SHIFT);
	bench_out(b, VIRTIO_PCI_STATUS, 1, 7);
	assert_int_equal(bench_in(b, VIRTIO_PCI_STATUS, 1), 7);
}

void bench_notify(struct bench *b, uint16_t queue)
{
	bench_set(b, bench_structure(b, VIRTIO_PCI_CAP_NOTIFY_CFG) + 4 * queue, 2, queue);
}

void bench_fill_vector(struct bench *b, unsigned vector, uint32_t control)
{
	uint32_t entry = b->model.layout.table + 16 * vector;

	bench_set(b, entry, 4, 0xfee01000 + 16 * vector);
	bench_set(b, entry + 4, 4, vector);
	bench_set(b, entry + 8, 4, 0x40 + vector);
	bench_set(b, entry + 12, 4, control);
}

void bench_msix(struct bench *b, uint32_t control)
{
	bench_set_config(b, bench_capability(b, PCI_CAP_MSIX, 0) + PCI_MSIX_CONTROL, 2, control);
}
