/* SPDX-License-Identifier: BSD-3-Clause */
#include "transport/pci_bench.h"

#include <stdlib.h>
#include <string.h>

static void parrot_kick(struct vio_device *dev, struct vio_devq *q)
{
	struct parrot *parrot = vio_device_state(dev);
	struct vio_buf buf;

	parrot->kicks[q->index]++;
	while (vio_devq_pop(q, &buf)) {
		parrot->popped++;
		if (parrot->keep)
			parrot->kept = buf;
		else
			vio_devq_push(q, &buf, 0);
	}
	vio_devq_notify(q);
}

static void parrot_drain(struct vio_device *dev, struct vio_devq *q)
{
	((struct parrot *)vio_device_state(dev))->drained++;
}

static void parrot_reset(struct vio_device *dev)
{
	((struct parrot *)vio_device_state(dev))->resets++;
}

static void parrot_features(struct vio_device *dev, struct vio_features *offer)
{
	*offer = vio_features_or(*offer,
				 vio_features_low(((struct parrot *)vio_device_state(dev))->more | BIT(3)));
	vio_features_set(offer, HIGH_FEATURE);
}

static void parrot_get_config(struct vio_device *dev, void *config)
{
	memcpy(config, ((struct parrot *)vio_device_state(dev))->config, CONFIG_BYTES);
}

static void parrot_set_config(struct vio_device *dev, const void *config, uint32_t offset, uint32_t length)
{
	memcpy(((struct parrot *)vio_device_state(dev))->config, config, CONFIG_BYTES);
}

static const struct vio_device_class parrot_class = {
	.name = "parrot",
	.summary = "gives back what it is given",
	.id = VIRTIO_ID_BLOCK,
	.queue_count = QUEUES,
	.queue_size = QUEUE_SIZE,
	.state_bytes = sizeof(struct parrot),
	.config_bytes = CONFIG_BYTES,
	.get_features = parrot_features,
	.get_config = parrot_get_config,
	.set_config = parrot_set_config,
	.reset = parrot_reset,
	.kick = parrot_kick,
	.drain = parrot_drain,
};

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

static void make_memory(struct bench *b)
{
	const struct vio_region region = { vio_addr_make(BASE), MEMORY_BYTES,
					   aligned_alloc(4096, MEMORY_BYTES), VIO_MEM_READ | VIO_MEM_WRITE };

	assert_non_null(region.host);
	memset(region.host, 0, MEMORY_BYTES);
	b->memory = region.host;
	vio_mem_init(&b->mem, &b->region, 1);
	assert_int_equal(vio_mem_add(&b->mem, &region), 0);
}

void bench_make(struct bench *b, const struct bench_options *options)
{
	memset(b, 0, sizeof(*b));
	make_memory(b);
	vio_device_init(&b->device, &parrot_class, &b->parrot);
	if (options->id)
		b->device.id = options->id;
	b->parrot.more = options->more;
	for (unsigned i = 0; i < CONFIG_BYTES; i++)
		b->parrot.config[i] = (uint8_t)(0x11 * (i + 1));
	struct vio_pci_device_config config = {
		.device = &b->device,
		.mem = &b->mem,
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
	assert_int_equal(vio_device_realize(&b->device), 0);
	b->storage = malloc(vio_device_storage_bytes(&b->device));
	assert_non_null(b->storage);
	vio_device_provide(&b->device, b->storage);
	assert_int_equal(vio_pci_device_init(&b->model, &config), 0);
	b->drvq_storage = malloc(vio_drvq_storage_bytes(QUEUE_SIZE));
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
	vio_device_unrealize(&b->device);
	free(b->storage);
	free(b->drvq_storage);
	free(b->memory);
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

static void notify_nobody(void *context, struct vio_drvq *q)
{
}

void bench_make_rings(struct bench *b, uint32_t align)
{
	const struct vio_drvq_config config = {
		.size = QUEUE_SIZE,
		.ring = { b->memory, vio_addr_make(BASE) },
		.device_align = align,
		.storage = b->drvq_storage,
		.notify_device = notify_nobody,
	};

	assert_int_equal(vio_drvq_start(&b->drvq, &config), 0);
}

void bench_write_addresses(struct bench *b)
{
	const uint64_t areas[] = { vio_drvq_descriptor_area(&b->drvq).raw, vio_drvq_driver_area(&b->drvq).raw,
				   vio_drvq_device_area(&b->drvq).raw };

	for (unsigned i = 0; i < 3; i++) {
		bench_set(b, VIRTIO_PCI_COMMON_Q_DESCLO + 8 * i, 4, (uint32_t)areas[i]);
		bench_set(b, VIRTIO_PCI_COMMON_Q_DESCHI + 8 * i, 4, (uint32_t)(areas[i] >> 32));
	}
}

void bench_start_queue(struct bench *b, uint16_t queue)
{
	bench_make_rings(b, 0);
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
	bench_make_rings(b, VIRTIO_PCI_VRING_ALIGN);
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

void bench_add(struct bench *b)
{
	const struct vio_sg sg = { vio_addr_make(BASE + 0x8000), 16 };

	assert_int_equal(vio_drvq_add(&b->drvq, &sg, 1, 0, b), 0);
	vio_drvq_kick(&b->drvq);
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
