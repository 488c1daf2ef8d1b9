/* SPDX-License-Identifier: BSD-3-Clause */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/virtio_pcidev.h>

#include <vireo/daemon.h>
#include <vireo/devices/adder.h>
#include <vireo/devices/blk.h>
#include <vireo/devices/caesar.h>
#include <vireo/devices/net.h>
#include <vireo/devices/rng.h>
#include <vireo/host_network.h>
#include <vireo/pci.h>

/*
 * A PCI slot of User-Mode Linux with a virtio device in it.
 *
 * The slot is a virtio device itself, served over vhost-user: its driver sends accesses to the
 * configuration space and the BARs through queue 0, and lends buffers for interrupts in queue 1.
 * The device in the slot is one of Vireo's, behind the register model for PCI; its DMA is to the
 * memory that the vhost-user front end shares.
 *
 *	pcidev --socket-path PATH type=blk
 */

#define PCIDEV_ID 1234u /* what the test kernel is built to look for */

#define QUEUE_COMMANDS   0u
#define QUEUE_INTERRUPTS 1u

#define QUEUES_MAX    16u
#define VECTORS_MAX   64u
#define WAITING_MAX   (2 * VECTORS_MAX)
#define TRANSFER_MAX  4096u
#define COMPLAINT_MAX 100u

/* Where Linux on UML has messages written: not memory, so that a device hits it by intent only. */
#define MESSAGE_ADDRESS UINT64_C(0xa0000)

enum inner_type {
	INNER_ADDER,
	INNER_BLK,
	INNER_CAESAR,
	INNER_NET,
	INNER_RNG,
};

/* An interrupt that waits for a buffer. */
struct waiting {
	uint8_t op;
	uint32_t data;
};

struct pcidev {
	uint8_t type; /* enum inner_type */
	uint8_t kind; /* enum vio_pci_kind */
	uint16_t vectors;
	uint16_t queues;
	uint8_t shift;
	bool bar_64, notify_one;
	uint64_t bytes;

	struct vio_device *slot;
	struct vio_loop *loop;
	struct vio_task work;

	/* What is in the slot. */
	struct vio_device inner;
	void *inner_state, *inner_storage;
	struct vio_block *block;
	struct vio_network *network;
	struct vio_entropy entropy;
	bool inner_realized;

	bool open; /* the model is there: from the first command to reset */
	struct vio_pci_device model;
	struct vio_pci_queue queue_states[QUEUES_MAX];
	struct vio_pci_vector vector_states[VECTORS_MAX];
	struct waiting waiting[WAITING_MAX];
	unsigned waiting_count;

	unsigned long long accesses, messages, lines;
	unsigned complaints;
};

/* --- Interrupts. --- */

/* One line for the test to find. */
static bool may_complain(struct pcidev *pcidev)
{
	return pcidev->complaints++ < COMPLAINT_MAX;
}

static void wait_for_buffer(struct pcidev *pcidev, uint8_t op, uint32_t data)
{
	/* Nobody has seen the earlier one: it tells of both. */
	for (unsigned i = 0; i < pcidev->waiting_count; i++)
		if (pcidev->waiting[i].op == op && pcidev->waiting[i].data == data)
			return;
	if (pcidev->waiting_count == WAITING_MAX) {
		if (may_complain(pcidev))
			fprintf(stderr, "bad: %u interrupts wait already\n", WAITING_MAX);
		return;
	}
	pcidev->waiting[pcidev->waiting_count++] = (struct waiting){ op, data };
	vio_device_kick(pcidev->slot, QUEUE_INTERRUPTS);
}

static void send_interrupts(struct pcidev *pcidev, struct vio_devq *q)
{
	struct vio_buf buf;

	while (pcidev->waiting_count && vio_devq_pop(q, &buf)) {
		const struct waiting *next = &pcidev->waiting[0];
		struct virtio_pcidev_msg head = { .op = next->op };
		vio_le32 data = vio_le32_make(next->data);

		if (next->op == VIRTIO_PCIDEV_OP_INT)
			head.addr = 1; /* INTA */
		else
			head.size = sizeof(data);
		vio_write(&buf, &head, sizeof(head));
		vio_write(&buf, &data, head.size);
		vio_devq_push(q, &buf, (uint32_t)sizeof(head) + head.size);
		pcidev->waiting_count--;
		memmove(&pcidev->waiting[0], &pcidev->waiting[1],
			pcidev->waiting_count * sizeof(pcidev->waiting[0]));
	}
	vio_devq_notify(q);
}

/* --- What the model asks of its owner. --- */

static void model_interrupt(void *context, unsigned level)
{
	struct pcidev *pcidev = context;

	if (!level)
		return;
	pcidev->lines++;
	wait_for_buffer(pcidev, VIRTIO_PCIDEV_OP_INT, 0);
}

static void model_message(void *context, uint64_t address, uint32_t data)
{
	struct pcidev *pcidev = context;

	pcidev->messages++;
	if (address == MESSAGE_ADDRESS)
		wait_for_buffer(pcidev, VIRTIO_PCIDEV_OP_MSI, data);
	else if (may_complain(pcidev))
		fprintf(stderr, "bad: a message to 0x%llx\n", (unsigned long long)address);
}

static void model_work(void *context)
{
	struct pcidev *pcidev = context;

	vio_loop_defer(pcidev->loop, &pcidev->work);
}

static void work_run(struct vio_task *task)
{
	struct pcidev *pcidev = VIO_CONTAINER_OF(task, struct pcidev, work);

	if (pcidev->open && vio_pci_device_run(&pcidev->model))
		vio_loop_defer(pcidev->loop, &pcidev->work);
}

static void model_fault(void *context, const struct vio_fault *fault)
{
	struct pcidev *pcidev = context;

	if (may_complain(pcidev))
		fprintf(stderr, "bad: queue %u: %s\n", fault->queue, vio_fault_name(fault->kind));
}

/* Linux knows the registers: one that it can't use is an error of the model. */
static void model_trace(void *context, const struct vio_pci_trace *trace)
{
	struct pcidev *pcidev = context;

	pcidev->accesses++;
	/* Whoever enumerates a bus writes to read-only bits and reads beyond the end. */
	if (trace->outcome == VIO_PCI_DONE || trace->bar == VIO_PCI_CONFIG_SPACE)
		return;
	if (may_complain(pcidev))
		fprintf(stderr, "bad: %s %s at 0x%llx of BAR %u, %u bytes: outcome %d\n",
			trace->write ? "write to" : "read from", trace->name ? trace->name : "nothing",
			(unsigned long long)trace->offset, trace->bar, trace->width, (int)trace->outcome);
}

/* --- Commands. --- */

static int open_model(struct pcidev *pcidev)
{
	const struct vio_pci_device_config config = {
		.device = &pcidev->inner,
		.mem = pcidev->slot->mem,
		.kind = pcidev->kind ? VIO_PCI_TRANSITIONAL : VIO_PCI_MODERN,
		.flags =
			(pcidev->bar_64 ? VIO_PCI_BAR_64 : 0) | (pcidev->notify_one ? VIO_PCI_NOTIFY_ONE : 0),
		.vectors = pcidev->vectors,
		.queues = pcidev->queue_states,
		.vector_states = pcidev->vector_states,
		.context = pcidev,
		.interrupt = model_interrupt,
		.message = model_message,
		.work = model_work,
		.fault = model_fault,
		.trace = model_trace,
	};
	int error = vio_pci_device_init(&pcidev->model, &config);

	if (error)
		fprintf(stderr, "bad: no model: %s\n", vio_strerror(error));
	pcidev->open = !error;
	return error;
}

static void close_model(struct pcidev *pcidev)
{
	if (pcidev->open) {
		vio_pci_device_end(&pcidev->model);
		fprintf(stderr, "slot: %llu accesses, %llu messages, %llu line interrupts\n",
			pcidev->accesses, pcidev->messages, pcidev->lines);
	}
	pcidev->open = false;
	pcidev->waiting_count = 0;
	if (pcidev->loop)
		vio_loop_cancel(pcidev->loop, &pcidev->work);
}

/* The widest access that may begin here. */
static unsigned width_at(uint64_t address, uint32_t left, unsigned most)
{
	unsigned width = most;

	while (width > left || address % width)
		width /= 2;
	return width;
}

/* A single access stays one; what is no width is a copy, byte by byte where it isn't aligned. */
static unsigned next_width(const struct virtio_pcidev_msg *head, uint32_t done, unsigned most)
{
	if (!done && (head->size == 1 || head->size == 2 || head->size == 4))
		return head->size;
	return width_at(head->addr + done, head->size - done, most);
}

static bool of_config(const struct virtio_pcidev_msg *head)
{
	return head->op == VIRTIO_PCIDEV_OP_CFG_READ || head->op == VIRTIO_PCIDEV_OP_CFG_WRITE;
}

static uint32_t serve_read(struct pcidev *pcidev, const struct virtio_pcidev_msg *head, uint8_t *bytes)
{
	unsigned width;

	for (uint32_t done = 0; done < head->size; done += width) {
		uint64_t at = head->addr + done, value;

		width = next_width(head, done, of_config(head) ? 4 : 8);
		if (of_config(head))
			value = vio_pci_device_config_read(&pcidev->model, (unsigned)at, width);
		else
			value = vio_pci_device_bar_read(&pcidev->model, head->bar, at, width);
		for (unsigned i = 0; i < width; i++)
			bytes[done + i] = (uint8_t)(value >> (8 * i));
	}
	return head->size;
}

static void serve_write(struct pcidev *pcidev, const struct virtio_pcidev_msg *head, const uint8_t *bytes)
{
	unsigned width;

	for (uint32_t done = 0; done < head->size; done += width) {
		uint64_t at = head->addr + done, value = 0;

		width = next_width(head, done, of_config(head) ? 4 : 8);
		for (unsigned i = 0; i < width; i++)
			value |= (uint64_t)bytes[done + i] << (8 * i);
		if (of_config(head))
			vio_pci_device_config_write(&pcidev->model, (unsigned)at, width, (uint32_t)value);
		else
			vio_pci_device_bar_write(&pcidev->model, head->bar, at, width, value);
	}
}

/* Returns how much was answered, or a negative code for what is no command. */
static int serve(struct pcidev *pcidev, struct vio_buf *buf)
{
	uint8_t bytes[TRANSFER_MAX] = { 0 };
	struct virtio_pcidev_msg head;
	size_t given;

	if (vio_read(buf, &head, sizeof(head)) != sizeof(head) || head.size > sizeof(bytes))
		return -VIO_EPEER;
	switch (head.op) {
	case VIRTIO_PCIDEV_OP_CFG_READ:
	case VIRTIO_PCIDEV_OP_MMIO_READ:
		if (buf->writable_bytes < head.size)
			return -VIO_EPEER;
		return (int)vio_write(buf, bytes, serve_read(pcidev, &head, bytes));
	case VIRTIO_PCIDEV_OP_CFG_WRITE:
	case VIRTIO_PCIDEV_OP_MMIO_WRITE:
		given = vio_read(buf, bytes, head.size);
		break;
	case VIRTIO_PCIDEV_OP_MMIO_MEMSET:
		given = vio_read(buf, bytes, 1) ? head.size : 0;
		memset(bytes, bytes[0], head.size);
		break;
	default:
		return -VIO_EPEER;
	}
	if (given != head.size)
		return -VIO_EPEER;
	serve_write(pcidev, &head, bytes);
	return 0;
}

static void serve_commands(struct pcidev *pcidev, struct vio_devq *q)
{
	struct vio_buf buf;

	while (vio_devq_pop(q, &buf)) {
		int written = pcidev->open ? 0 : open_model(pcidev);

		if (!written)
			written = serve(pcidev, &buf);
		if (written < 0 && may_complain(pcidev))
			fprintf(stderr, "bad: a command that can't be served\n");
		vio_devq_push(q, &buf, written < 0 ? 0 : (uint32_t)written);
	}
	vio_devq_notify(q);
}

static void pcidev_kick(struct vio_device *dev, struct vio_devq *q)
{
	struct pcidev *pcidev = vio_device_state(dev);

	if (q->index == QUEUE_COMMANDS)
		serve_commands(pcidev, q);
	else
		send_interrupts(pcidev, q);
}

/* Without commands the slot's memory may go, and what is in the slot uses it. */
static void pcidev_drain(struct vio_device *dev, struct vio_devq *q)
{
	if (q->index == QUEUE_COMMANDS)
		close_model(vio_device_state(dev));
}

static void pcidev_reset(struct vio_device *dev)
{
	close_model(vio_device_state(dev));
}

/* --- What is in the slot. --- */

/* The device's own configuration changes from outside. */
static void pcidev_property_changed(struct vio_device *dev, const struct vio_property *property)
{
	struct pcidev *pcidev = vio_device_state(dev);
	char text[8];

	if (pcidev->type != INNER_CAESAR || strcmp(property->name, "shift") != 0)
		return;
	snprintf(text, sizeof(text), "%u", pcidev->shift);
	if (vio_device_set_property(&pcidev->inner, "shift", strlen("shift"), text))
		fprintf(stderr, "bad: shift=%s\n", text);
}

static int set_inner(struct pcidev *pcidev, const char *name, const char *value)
{
	return vio_device_set_property(&pcidev->inner, name, strlen(name), value);
}

static int furnish_inner(struct pcidev *pcidev, struct vio_message *message)
{
	struct vio_host_block_options block = { .backend = VIO_HOST_BLOCK_MEMORY, .size = pcidev->bytes };
	struct vio_host_network_options network = { .backend = VIO_HOST_NETWORK_ECHO };
	char queues[16];
	int error = 0;

	snprintf(queues, sizeof(queues), "%u", pcidev->queues);
	switch (pcidev->type) {
	case INNER_BLK:
		error = vio_host_block_open(pcidev->loop, &block, &pcidev->block, message);
		if (!error)
			error = set_inner(pcidev, "num-queues", queues);
		return error ? error : vio_blk_attach(&pcidev->inner, pcidev->block);
	case INNER_NET:
		error = vio_host_network_open(pcidev->loop, &network, pcidev->queues, &pcidev->network,
					      message);
		if (!error)
			error = set_inner(pcidev, "pairs", queues);
		if (!error)
			error = set_inner(pcidev, "mac", "52:54:00:00:00:01");
		return error ? error : vio_net_attach(&pcidev->inner, pcidev->network);
	case INNER_RNG:
		vio_host_entropy(&pcidev->entropy);
		return vio_rng_attach(&pcidev->inner, &pcidev->entropy);
	default:
		return 0;
	}
}

static int make_inner(struct pcidev *pcidev, const struct vio_device_class *class,
		      struct vio_message *message)
{
	int error;

	pcidev->inner_state = calloc(1, (size_t) class->state_bytes + 1);
	if (!pcidev->inner_state)
		return vio_fail(message, -VIO_ENOMEM, "out of memory");
	vio_device_init(&pcidev->inner, class, pcidev->inner_state);
	error = furnish_inner(pcidev, message);
	if (!error)
		error = vio_device_realize(&pcidev->inner);
	if (error)
		return vio_fail(message, error, "%s: %s", class->name, vio_strerror(error));
	pcidev->inner_realized = true;
	pcidev->inner_storage = calloc(1, vio_device_storage_bytes(&pcidev->inner) + 1);
	if (!pcidev->inner_storage)
		return vio_fail(message, -VIO_ENOMEM, "out of memory");
	vio_device_provide(&pcidev->inner, pcidev->inner_storage);
	return 0;
}

static int pcidev_close(struct vio_device *dev, void *backend)
{
	struct pcidev *pcidev = vio_device_state(dev);

	if (pcidev->inner_realized)
		vio_device_unrealize(&pcidev->inner);
	if (pcidev->block) {
		pcidev->block->ops->drain(pcidev->block);
		pcidev->block->ops->close(pcidev->block);
	}
	if (pcidev->network)
		pcidev->network->ops->close(pcidev->network);
	free(pcidev->inner_storage);
	free(pcidev->inner_state);
	return 0;
}

static int pcidev_open(struct vio_device *dev, struct vio_loop *loop, void *backend,
		       struct vio_message *message)
{
	static const struct vio_device_class *const classes[] = {
		[INNER_ADDER] = &vio_adder_class,   [INNER_BLK] = &vio_blk_class,
		[INNER_CAESAR] = &vio_caesar_class, [INNER_NET] = &vio_net_class,
		[INNER_RNG] = &vio_rng_class,
	};
	struct pcidev *pcidev = vio_device_state(dev);
	int error;

	pcidev->slot = dev;
	pcidev->loop = loop;
	pcidev->work.run = work_run;
	error = make_inner(pcidev, classes[pcidev->type], message);
	if (error)
		pcidev_close(dev, backend);
	return error;
}

static const char *const inner_types[] = { "adder", "blk", "caesar", "net", "rng", NULL };
static const char *const kinds[] = { "modern", "transitional", NULL };

#define MEMBER(property, member, kind) .name = (property), VIO_PROPERTY_MEMBER(struct pcidev, member, kind)

static const struct vio_property pcidev_properties[] = {
	{ MEMBER("type", type, VIO_PROPERTY_CHOICE), .choices = inner_types, .help = "what is in the slot" },
	{ MEMBER("kind", kind, VIO_PROPERTY_CHOICE), .choices = kinds, .help = "its interfaces" },
	{ MEMBER("vectors", vectors, VIO_PROPERTY_U16), .max = VECTORS_MAX, .initial = "4",
	  .help = "interrupts by message; 0 for the line" },
	{ MEMBER("queues", queues, VIO_PROPERTY_U16), .min = 1, .max = QUEUES_MAX, .initial = "1",
	  .help = "queues of blk, pairs of net" },
	{ MEMBER("shift", shift, VIO_PROPERTY_U8), .flags = VIO_PROPERTY_RUNTIME, .max = 25,
	  .help = "of caesar, when it changes" },
	{ MEMBER("bar-64", bar_64, VIO_PROPERTY_BOOL), .help = "a BAR of 64 bits" },
	{ MEMBER("notify-one", notify_one, VIO_PROPERTY_BOOL), .help = "one address for all notifications" },
	{ MEMBER("size", bytes, VIO_PROPERTY_BYTES), .initial = "64M", .help = "of blk's memory" },
};

static const struct vio_device_class pcidev_class = {
	.name = "pcidev",
	.summary = "a PCI slot of User-Mode Linux",
	.id = PCIDEV_ID,
	.queue_count = 2,
	.queue_size = 256,
	.state_bytes = sizeof(struct pcidev),
	.properties = { pcidev_properties, VIO_ARRAY_SIZE(pcidev_properties) },
	.kick = pcidev_kick,
	.drain = pcidev_drain,
	.reset = pcidev_reset,
	.property_changed = pcidev_property_changed,
};

static const struct vio_daemon_type pcidev_type = {
	.class = &pcidev_class,
	.open = pcidev_open,
	.close = pcidev_close,
};

int main(int argc, char **argv)
{
	return vio_daemon_main(&pcidev_type, argc, argv);
}
