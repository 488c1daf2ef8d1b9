/* SPDX-License-Identifier: BSD-3-Clause */
#include "use.h"

/*
 * No driver for a device but a load for a ring: entropy requests of one to four elements, as many in
 * flight as fit, until the ring's indices have gone round more than once.
 */
#define REQUESTS     70000u
#define SLOTS        64u
#define ELEMENTS_MAX 4u
#define RESET_EVERY  5000u /* where the device can reset a queue */
#define ANSWER_NS    UINT64_C(5000000000)

struct load {
	struct vio_dev_queue queue;
	struct vio_drvq *q;
	uint32_t words[SLOTS][ELEMENTS_MAX];
	bool busy[SLOTS];
};

static int load_probe(struct vio_dev *dev)
{
	const struct vio_queue_wish wish = { .size = 128, .indirect_max = ELEMENTS_MAX };
	const struct vio_features wanted = vio_dev_ring_features();
	struct load *load = dev->driver_state;
	int error = vio_dev_begin(dev, &load->queue, 1);

	if (!error)
		error = vio_dev_accept(dev, &wanted);
	if (!error)
		error = vio_dev_add_queue(dev, 0, &wish, &load->q);
	return error ? error : vio_dev_ready(dev);
}

static const struct vio_driver load_driver = {
	.name = "ring load",
	.ids = (const uint32_t[]){ VIRTIO_ID_RNG, 0 },
	.state_bytes = sizeof(struct load),
	.probe = load_probe,
};

/* Adds requests to all free slots that the ring has room for. */
static int fill(struct load *load, unsigned *added)
{
	struct vio_sg sg[ELEMENTS_MAX];
	unsigned slot, element, elements;
	int error;

	for (slot = 0; slot < SLOTS && *added < REQUESTS; slot++) {
		if (load->busy[slot])
			continue;
		elements = 1 + *added % ELEMENTS_MAX;
		for (element = 0; element < elements; element++)
			sg[element] = (struct vio_sg){ vio_addr_make((uintptr_t)&load->words[slot][element]),
						       sizeof(uint32_t) };
		error = vio_drvq_add(load->q, sg, 0, elements, load->words[slot]);
		if (error)
			return error == -VIO_ENOSPC ? 0 : error;
		load->busy[slot] = true;
		++*added;
	}
	return 0;
}

static int drain(struct load *load, unsigned *count)
{
	uint32_t written;
	uint32_t(*words)[ELEMENTS_MAX];

	while ((words = vio_drvq_get(load->q, &written))) {
		if (!load->busy[words - load->words] || !written)
			return -VIO_EPEER;
		load->busy[words - load->words] = false;
		++*count;
	}
	return 0;
}

/* Takes the ring away from the device with all that is in it, and gives it back empty. */
static int reset_queue(struct vio_dev *dev, struct load *load, unsigned *added)
{
	uint32_t(*words)[ELEMENTS_MAX];
	int error = vio_dev_reset_queue(dev, 0);

	if (error)
		return error;
	while ((words = vio_drvq_detach_unused(load->q))) {
		load->busy[words - load->words] = false;
		--*added;
	}
	return vio_dev_reenable_queue(dev, 0);
}

static int use(struct os *os, struct vio_dev *dev, char *report)
{
	struct load *load = dev->driver_state;
	unsigned added = 0, count = 0, resets = 0, done = 0;
	int error = 0;

	while (!error && count < REQUESTS) {
		error = fill(load, &added);
		vio_drvq_kick(load->q);
		if (!error && vio_dev_has_feature(dev, VIRTIO_F_RING_RESET) && added / RESET_EVERY > resets) {
			resets++;
			error = reset_queue(dev, load, &added);
			if (!error) {
				done++;
				continue;
			}
			if (error == -VIO_ENOTSUP) /* offered, and not there: QEMU's virtio-mmio */
				error = 0;
		}
		if (!error)
			error = vio_dev_wait(dev, load->q, ANSWER_NS);
		if (!error)
			error = drain(load, &count);
	}
	os_append(report, USE_REPORT_BYTES, "%u requests, up to %u at once, %u resets", count, SLOTS, done);
	return error;
}

const struct use use_ring = { "ring", &load_driver, use };
