/* SPDX-License-Identifier: BSD-3-Clause */
#include "drivers/console/console.h"

#include <string.h>

#define QUEUE_SIZE 16u

/* Bytes that arrive. */

/* Lends the device all buffers that hold nothing. spec: DRV-CON-001 */
static void lend_buffers(struct vio_dev *dev)
{
	const struct vio_platform *platform = dev->platform;
	struct vio_console *console = vio_console_of(dev);
	unsigned i;

	for (i = 0; i < VIO_CONSOLE_BUFFERS; i++) {
		struct vio_console_buffer *buffer = &console->buffers[i];
		struct vio_sg sg = { .length = sizeof(buffer->bytes) };

		if (buffer->lent || buffer->taken < buffer->filled)
			continue;
		if (platform->share(platform->context, buffer->bytes, sg.length, VIO_MEM_WRITE, &sg.addr))
			break; /* later, then */
		if (vio_drvq_add(console->receive, &sg, 0, 1, buffer)) {
			platform->unshare(platform->context, buffer->bytes, sg.length, VIO_MEM_WRITE,
					  sg.addr);
			break;
		}
		buffer->addr = sg.addr;
		buffer->lent = true;
		buffer->filled = 0;
		buffer->taken = 0;
	}
	vio_drvq_kick(console->receive);
}

static void unshare(struct vio_dev *dev, struct vio_console_buffer *buffer)
{
	dev->platform->unshare(dev->platform->context, buffer->bytes, sizeof(buffer->bytes), VIO_MEM_WRITE,
			       buffer->addr);
	buffer->lent = false;
}

/* Takes what the device has filled; lends nothing, so that it ends. */
static void take_buffers(struct vio_dev *dev)
{
	struct vio_console *console = vio_console_of(dev);
	struct vio_console_buffer *buffer;
	uint32_t written;

	while ((buffer = vio_drvq_get(console->receive, &written))) {
		unsigned place = console->order_first + console->order_count;

		unshare(dev, buffer);
		if (!written) /* hostile: B10 */
			continue;
		buffer->filled = (uint16_t)written;
		console->order[place % VIO_CONSOLE_BUFFERS] = (uint8_t)(buffer - console->buffers);
		console->order_count++;
	}
}

/* Up to `length` of the bytes that are here. */
static uint32_t copy_out(struct vio_console *console, uint8_t *to, uint32_t length)
{
	uint32_t copied = 0;

	while (copied < length && console->order_count) {
		struct vio_console_buffer *buffer = &console->buffers[console->order[console->order_first]];
		uint32_t piece = buffer->filled - buffer->taken;

		if (piece > length - copied)
			piece = length - copied;
		memcpy(to + copied, buffer->bytes + buffer->taken, piece);
		copied += piece;
		buffer->taken = (uint16_t)(buffer->taken + piece);
		if (buffer->taken == buffer->filled) {
			console->order_first = (uint8_t)((console->order_first + 1) % VIO_CONSOLE_BUFFERS);
			console->order_count--;
		}
	}
	return copied;
}

static bool broken(const struct vio_console *console)
{
	return vio_drvq_broken(console->receive) || vio_drvq_broken(console->transmit) ||
	       (console->control_receive &&
		(vio_drvq_broken(console->control_receive) || vio_drvq_broken(console->control_transmit)));
}

int vio_console_poll(struct vio_dev *dev)
{
	struct vio_console *console = vio_console_of(dev);

	if (!console)
		return -VIO_EINVAL;
	if (dev->phase != VIO_DEV_READY)
		return -VIO_EPHASE;
	take_buffers(dev);
	lend_buffers(dev);
	if (console->control_receive)
		vio_console_take_messages(dev);
	return broken(console) ? -VIO_EPEER : 0;
}

int vio_console_read(struct vio_dev *dev, void *to, uint32_t length, uint32_t *got)
{
	struct vio_console *console = vio_console_of(dev);
	int error;

	if (!console || !length)
		return -VIO_EINVAL;
	error = vio_console_poll(dev);
	*got = copy_out(console, to, length);
	if (!*got)
		return error ? error : -VIO_EAGAIN;
	if (!error)
		lend_buffers(dev);
	return 0;
}

/* Bytes may come only after control messages were answered, which without interrupts nobody else does. */
#define SLICE_NS UINT64_C(10000000)

int vio_console_wait(struct vio_dev *dev, uint64_t timeout_ns)
{
	const struct vio_platform *platform = dev->platform;
	struct vio_console *console = vio_console_of(dev);
	uint64_t since, passed, slice;
	bool outer;
	int error;

	if (!console)
		return -VIO_EINVAL;
	since = platform->now_ns(platform->context);
	outer = console->waiting;
	console->waiting = true;
	for (;;) {
		error = vio_console_poll(dev);
		if (console->order_count)
			error = 0;
		if (error || console->order_count)
			break;
		passed = platform->now_ns(platform->context) - since;
		if (timeout_ns && passed >= timeout_ns) {
			error = -VIO_EAGAIN;
			break;
		}
		slice = timeout_ns && timeout_ns - passed < SLICE_NS ? timeout_ns - passed : SLICE_NS;
		error = vio_dev_wait(dev, console->receive, slice);
		if (error && error != -VIO_EAGAIN)
			break;
	}
	console->waiting = outer;
	return error;
}

/* Bytes that leave. */

static int write_piece(struct vio_dev *dev, struct vio_console *console, const uint8_t *from, uint32_t length)
{
	struct vio_part part = { console->out, length };
	int error;

	memcpy(console->out, from, length);
	/* spec: DRV-CON-002 */
	error = vio_dev_exchange(dev, console->transmit, &part, 1, 0, NULL, console->timeout_ns);
	if (error && dev->phase != VIO_DEV_READY)
		vio_console_stop(dev);
	return error;
}

int vio_console_write(struct vio_dev *dev, const void *from, uint32_t length)
{
	struct vio_console *console = vio_console_of(dev);
	const uint8_t *at = from;
	int error = 0;

	if (!console)
		return -VIO_EINVAL;
	if (console->writing)
		return -VIO_EBUSY;
	if (!console->transmit || dev->phase != VIO_DEV_READY)
		return -VIO_EPHASE;
	console->writing = true;
	while (!error && length) {
		uint32_t piece = length < sizeof(console->out) ? length : (uint32_t)sizeof(console->out);

		error = console->present ? write_piece(dev, console, at, piece) : -VIO_ENOENT;
		at += piece;
		length -= piece;
	}
	console->writing = false;
	return error;
}

int vio_console_emergency(struct vio_dev *dev, uint8_t byte)
{
	vio_le32 wire = vio_le32_make(byte);
	struct vio_features offered;

	if (dev->id != VIRTIO_ID_CONSOLE)
		return -VIO_ENOTSUP;
	if (dev->phase == VIO_DEV_GONE)
		return -VIO_EHANGUP;
	/* Past the core, which has phases for configuration: this has none. spec: DEV-CON-001 */
	offered = dev->phase == VIO_DEV_FOUND ? dev->transport->get_features(dev) : dev->offered;
	if (!vio_features_has(&offered, VIRTIO_CONSOLE_F_EMERG_WRITE))
		return -VIO_ENOTSUP;
	return dev->transport->write_config(dev, offsetof(struct virtio_console_config, emerg_wr), &wire,
					    sizeof(wire));
}

/* Life. */

static void receive_used(struct vio_dev *dev, struct vio_drvq *q)
{
	const struct vio_console *console = vio_console_of(dev);

	if (console->waiting) /* somebody is at it already, and looks at this queue for it */
		return;
	if (vio_console_poll(dev) && console->changed)
		console->changed(dev);
	if (console->order_count && console->readable && dev->phase == VIO_DEV_READY)
		console->readable(dev);
}

static void control_used(struct vio_dev *dev, struct vio_drvq *q)
{
	const struct vio_console *console = vio_console_of(dev);

	vio_console_take_messages(dev);
	if (broken(console) && console->changed)
		console->changed(dev);
}

int vio_console_stop(struct vio_dev *dev)
{
	struct vio_console *console = vio_console_of(dev);
	unsigned i;
	int error;

	if (!console)
		return -VIO_EINVAL;
	error = dev->phase == VIO_DEV_FOUND ? 0 : vio_dev_reset(dev);
	if (error && error != -VIO_EHANGUP)
		return error;
	for (i = 0; i < VIO_CONSOLE_BUFFERS; i++)
		if (console->buffers[i].lent)
			unshare(dev, &console->buffers[i]);
	vio_console_reclaim_messages(dev);
	return error;
}

/* From an accepted device. */
static int read_size(struct vio_dev *dev, struct vio_console *console)
{
	uint16_t cols, rows;
	int error;

	if (!vio_dev_has_feature(dev, VIRTIO_CONSOLE_F_SIZE))
		return 0;
	error = vio_dev_read_config16(dev, offsetof(struct virtio_console_config, cols), &cols);
	if (!error)
		error = vio_dev_read_config16(dev, offsetof(struct virtio_console_config, rows), &rows);
	if (error)
		return error;
	console->cols = cols;
	console->rows = rows;
	return 0;
}

static int add_queues(struct vio_dev *dev, struct vio_console *console)
{
	const struct vio_queue_wish heard = { .size = QUEUE_SIZE, .used = receive_used };
	const struct vio_queue_wish control = { .size = QUEUE_SIZE, .used = control_used };
	const struct vio_queue_wish waited_for = { .size = QUEUE_SIZE };
	int error = vio_dev_add_queue(dev, VIRTIO_CONSOLE_RECEIVEQ, &heard, &console->receive);

	if (!error)
		error = vio_dev_add_queue(dev, VIRTIO_CONSOLE_TRANSMITQ, &waited_for, &console->transmit);
	if (error || !vio_dev_has_feature(dev, VIRTIO_CONSOLE_F_MULTIPORT))
		return error;
	error = vio_dev_read_config32(dev, offsetof(struct virtio_console_config, max_nr_ports),
				      &console->ports_max);
	if (!error && !console->ports_max)
		error = -VIO_EPEER;
	if (!error)
		error = vio_dev_add_queue(dev, VIRTIO_CONSOLE_CONTROL_TRANSMITQ, &control,
					  &console->control_transmit);
	if (!error)
		error = vio_dev_add_queue(dev, VIRTIO_CONSOLE_CONTROL_RECEIVEQ, &control,
					  &console->control_receive);
	return error;
}

static int begin(struct vio_dev *dev, struct vio_console *console)
{
	struct vio_features wanted = vio_dev_ring_features();
	int error = vio_dev_begin(dev, console->queues, (uint16_t)VIO_ARRAY_SIZE(console->queues));

	if (error)
		return error;
	vio_features_set(&wanted, VIRTIO_CONSOLE_F_SIZE);
	vio_features_set(&wanted, VIRTIO_CONSOLE_F_MULTIPORT);
	vio_features_set(&wanted, VIRTIO_CONSOLE_F_EMERG_WRITE);
	error = vio_dev_accept(dev, &wanted);
	if (!error)
		error = read_size(dev, console);
	if (!error)
		error = add_queues(dev, console);
	if (!error)
		error = vio_dev_ready(dev);
	return error;
}

int vio_console_start(struct vio_dev *dev)
{
	struct vio_console *console = vio_console_of(dev);
	int error = vio_console_stop(dev);

	if (error)
		return error;
	console->receive = console->transmit = console->control_receive = console->control_transmit = NULL;
	console->order_count = 0;
	console->cols = console->rows = 0;
	console->device_open = console->is_console = false;
	console->name[0] = 0;
	memset(console->buffers, 0, sizeof(console->buffers));
	error = begin(dev, console);
	if (error)
		return error;
	console->present = !console->control_receive;
	lend_buffers(dev);
	if (console->control_receive) {
		vio_console_lend_messages(dev);
		vio_console_greet(dev);
	}
	return 0;
}

static int console_probe(struct vio_dev *dev)
{
	struct vio_console *console = dev->driver_state;

	console->timeout_ns = VIO_CONSOLE_TIMEOUT_NS;
	return vio_console_start(dev);
}

static void console_remove(struct vio_dev *dev)
{
	vio_console_stop(dev);
}

static void console_config_changed(struct vio_dev *dev)
{
	struct vio_console *console = vio_console_of(dev);

	(void)read_size(dev, console); /* what can't be read stays as it was */
	if (console->changed)
		console->changed(dev);
}

const struct vio_driver vio_console_driver = {
	.name = "console",
	.ids = (const uint32_t[]){ VIRTIO_ID_CONSOLE, 0 },
	.state_bytes = sizeof(struct vio_console),
	.probe = console_probe,
	.remove = console_remove,
	.config_changed = console_config_changed,
};
