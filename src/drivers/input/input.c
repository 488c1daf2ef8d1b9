/* SPDX-License-Identifier: BSD-3-Clause */
#include <vireo/drivers/input.h>

#define EVENT_BYTES ((uint32_t)sizeof(struct virtio_input_event))

VIO_STATIC_ASSERT(sizeof(struct virtio_input_event) == 8, "the event has holes");

static struct vio_input *input_of(const struct vio_dev *dev)
{
	return dev->driver == &vio_input_driver ? dev->driver_state : NULL;
}

int vio_input_query(struct vio_dev *dev, uint8_t select, uint8_t subsel, void *to, uint32_t size,
		    uint32_t *got)
{
	uint8_t bytes = 0;
	int error;

	*got = 0;
	if (!input_of(dev))
		return -VIO_EINVAL;
	error = vio_dev_write_config8(dev, 0, select); /* spec: DRV-INPUT-001 DRV-INPUT-002 */
	if (!error)
		error = vio_dev_write_config8(dev, 1, subsel);
	if (!error)
		error = vio_dev_read_config8(dev, 2, &bytes); /* spec: DRV-INPUT-003 */
	if (!error && bytes > VIRTIO_INPUT_CFG_BYTES)         /* hostile: B61 */
		error = -VIO_EPEER;
	if (bytes < size)
		size = bytes;
	if (!error && size)
		error = vio_dev_read_config(dev, offsetof(struct virtio_input_config, u), to, size);
	if (!error)
		*got = size;
	return error;
}

static void unshare(struct vio_dev *dev, struct vio_input_slot *slot)
{
	dev->platform->unshare(dev->platform->context, &slot->event, EVENT_BYTES, VIO_MEM_WRITE, slot->addr);
	slot->lent = false;
}

/* spec: DRV-INPUT-004 DRV-INPUT-005 DRV-INPUT-006 */
static void lend(struct vio_dev *dev, struct vio_input *input)
{
	unsigned i;

	for (i = 0; i < VIO_INPUT_EVENTS; i++) {
		struct vio_input_slot *slot = &input->slots[i];
		struct vio_sg sg = { .length = EVENT_BYTES };

		if (slot->lent)
			continue;
		if (dev->platform->share(dev->platform->context, &slot->event, EVENT_BYTES, VIO_MEM_WRITE,
					 &sg.addr))
			break;
		slot->addr = sg.addr;
		slot->lent = true;
		if (vio_drvq_add(input->events, &sg, 0, 1, slot)) {
			unshare(dev, slot);
			break;
		}
	}
	vio_drvq_kick(input->events);
}

int vio_input_poll(struct vio_dev *dev)
{
	struct vio_input *input = input_of(dev);
	struct vio_input_slot *slot;
	uint32_t written;

	if (!input)
		return -VIO_EINVAL;
	/* hostile: B61; ends, as nothing is lent meanwhile */
	while (dev->phase == VIO_DEV_READY && (slot = vio_drvq_get(input->events, &written))) {
		unshare(dev, slot);
		if (written != EVENT_BYTES) /* hostile: B10 B11 */
			input->dropped++;
		else if (input->event) /* spec: DRV-INPUT-008: nothing else happens */
			input->event(dev, vio_le16_get(slot->event.type), vio_le16_get(slot->event.code),
				     vio_le32_get(slot->event.value));
	}
	if (dev->phase != VIO_DEV_READY)
		return -VIO_EPHASE;
	lend(dev, input);
	return vio_dev_broken(dev) ? -VIO_EPEER : 0;
}

static void input_used(struct vio_dev *dev, struct vio_drvq *q)
{
	(void)vio_input_poll(dev);
}

int vio_input_stop(struct vio_dev *dev)
{
	struct vio_input *input = input_of(dev);
	unsigned i;
	int error;

	if (!input)
		return -VIO_EINVAL;
	error = dev->phase == VIO_DEV_FOUND ? 0 : vio_dev_reset(dev);
	if (error && error != -VIO_EHANGUP)
		return error;
	for (i = 0; i < VIO_INPUT_EVENTS; i++)
		if (input->slots[i].lent)
			unshare(dev, &input->slots[i]);
	return error;
}

int vio_input_set(struct vio_dev *dev, uint16_t type, uint16_t code, uint32_t value)
{
	struct vio_input *input = input_of(dev);
	struct vio_part part;
	int error;

	if (!input)
		return -VIO_EINVAL;
	if (dev->phase != VIO_DEV_READY)
		return -VIO_EPHASE;
	part = (struct vio_part){ &input->status, EVENT_BYTES }; /* spec: DRV-INPUT-007 */
	input->status =
		(struct virtio_input_event){ vio_le16_make(type), vio_le16_make(code), vio_le32_make(value) };
	error = vio_dev_exchange(dev, input->statuses, &part, 1, 0, NULL, input->timeout_ns);
	if (error && dev->phase != VIO_DEV_READY)
		vio_input_stop(dev);
	return error;
}

int vio_input_start(struct vio_dev *dev)
{
	const struct vio_queue_wish heard = { .size = VIO_INPUT_EVENTS, .used = input_used };
	const struct vio_queue_wish waited_for = { .size = 2 };
	const struct vio_features wanted = vio_dev_ring_features();
	struct vio_input *input = input_of(dev);
	int error = vio_input_stop(dev);

	if (!error)
		error = vio_dev_begin(dev, input->queues, 2);
	if (!error)
		error = vio_dev_accept(dev, &wanted);
	if (!error)
		error = vio_dev_add_queue(dev, VIRTIO_INPUT_EVENTQ, &heard, &input->events);
	if (!error)
		error = vio_dev_add_queue(dev, VIRTIO_INPUT_STATUSQ, &waited_for, &input->statuses);
	if (!error) /* QEMU says how much it read */
		input->statuses->lengths_ignored = true;
	if (!error)
		error = vio_dev_ready(dev);
	if (!error)
		lend(dev, input);
	return error;
}

static int input_probe(struct vio_dev *dev)
{
	((struct vio_input *)dev->driver_state)->timeout_ns = VIO_INPUT_TIMEOUT_NS;
	return vio_input_start(dev);
}

static void input_remove(struct vio_dev *dev)
{
	vio_input_stop(dev);
}

const struct vio_driver vio_input_driver = {
	.name = "input",
	.ids = (const uint32_t[]){ VIRTIO_ID_INPUT, 0 },
	.state_bytes = sizeof(struct vio_input),
	.probe = input_probe,
	.remove = input_remove,
};
