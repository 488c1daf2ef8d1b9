/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "os.h"

#define ANSWER_NS UINT64_C(2000000000) /* a device that takes longer is broken */

static int try_rng(struct os *os, struct vio_dev *dev)
{
	struct vio_dev_queue queue;
	struct vio_queue_wish wish = { .size = 8 };
	struct vio_features wanted = vio_dev_ring_features();
	uint8_t *bytes = os_pages_take(os, 64);
	struct vio_sg sg;
	struct vio_drvq *q;
	uint32_t written;
	int error;

	dev->platform = &os->platform;
	error = vio_dev_begin(dev, &queue, 1);
	if (!error)
		error = vio_dev_accept(dev, &wanted);
	if (!error)
		error = vio_dev_add_queue(dev, 0, &wish, &q);
	if (!error)
		error = vio_dev_ready(dev);
	sg = (struct vio_sg){ vio_addr_make((uintptr_t)bytes), 64 };
	if (!error)
		error = vio_drvq_add(q, &sg, 0, 1, bytes);
	if (!error) {
		vio_drvq_kick(q);
		error = vio_dev_wait(dev, q, ANSWER_NS);
	}
	if (!error)
		os_print("got %d: ", vio_drvq_get(q, &written) == bytes), os_print("%u bytes\n", written);
	vio_dev_end(dev);
	os_pages_give_back(os, bytes, 64);
	return error;
}

int os_main(struct os *os)
{
	unsigned at;

	os_find_devices(os);
	os_print("hobby on %s: %u devices\n", os->board.name, os->device_count);
	for (at = 0; at < os->device_count; at++) {
		struct vio_dev *dev = &os->devices[at].dev;

		os_print("id %u %s\n", dev->id, dev->transport->name);
		if (dev->id == VIRTIO_ID_RNG)
			os_print("error %d\n", try_rng(os, dev));
	}
	os_print("%u refused, %u pages\n", os_close_devices(os), os->pages_taken);
	return 0;
}
