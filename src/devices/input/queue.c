/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "devices/input/input.h"

/*
 * Events until the driver takes them, in whole sequences. spec: DEV-INPUT-002 DEV-INPUT-003
 *
 * A device can't be asked for its state over virtio, so who lost events is told what
 * became of keys, switches and axes: `now` follows what the source says, `told` what the
 * driver has taken or will take from the queue.
 */

static bool bit_of(const uint8_t *bits, unsigned code)
{
	return bits[code / 8] >> code % 8 & 1;
}

static void set_bit(uint8_t *bits, unsigned code, bool value)
{
	bits[code / 8] = (uint8_t)((bits[code / 8] & ~(1u << code % 8)) | (unsigned)value << code % 8);
}

static void note(struct input_held *held, const struct vio_event *event)
{
	if (event->type == INPUT_EV_KEY)
		set_bit(held->keys, event->code, event->value);
	else if (event->type == INPUT_EV_SW)
		set_bit(held->switches, event->code, event->value);
	else if (event->type == INPUT_EV_ABS && event->code < INPUT_ABS_MT_FIRST)
		held->axes[event->code] = event->value;
}

static bool append(struct input *input, uint16_t type, uint16_t code, uint32_t value)
{
	struct input_queue *queue = &input->queue;

	if (queue->count == VIO_INPUT_QUEUE)
		return false;
	queue->events[(queue->first + queue->count++) % VIO_INPUT_QUEUE] =
		(struct vio_event){ type, code, value };
	return true;
}

static void complete(struct input *input)
{
	struct input_queue *queue = &input->queue;

	for (; queue->complete < queue->count; queue->complete++)
		note(&input->told, &queue->events[(queue->first + queue->complete) % VIO_INPUT_QUEUE]);
}

/* Takes back the sequence that isn't complete. */
static void retract(struct input *input)
{
	input->lost += input->queue.count - input->queue.complete;
	input->queue.count = input->queue.complete;
}

static bool append_bits(struct input *input, uint16_t type, const uint8_t *now, const uint8_t *told)
{
	for (unsigned code = 0; code < 8 * VIO_EVENT_BYTES; code++) {
		if (bit_of(now, code) != bit_of(told, code) &&
		    !append(input, type, (uint16_t)code, bit_of(now, code)))
			return false;
	}
	return true;
}

/* Tells of a loss and what came of it; false while that doesn't fit. */
static bool resynchronize(struct input *input)
{
	const struct input_held *now = &input->now, *told = &input->told;
	uint64_t lost = input->lost;
	bool fits = append(input, INPUT_EV_SYN, INPUT_SYN_DROPPED, 0) &&
		    append(input, INPUT_EV_SYN, INPUT_SYN_REPORT, 0) &&
		    append_bits(input, INPUT_EV_KEY, now->keys, told->keys) &&
		    append_bits(input, INPUT_EV_SW, now->switches, told->switches);

	for (unsigned axis = 0; fits && axis < INPUT_ABS_MT_FIRST; axis++) {
		if (now->axes[axis] != told->axes[axis])
			fits = append(input, INPUT_EV_ABS, (uint16_t)axis, now->axes[axis]);
	}
	fits = fits && append(input, INPUT_EV_SYN, INPUT_SYN_REPORT, 0);
	if (!fits) {
		retract(input);
		input->lost = lost;
		return false;
	}
	complete(input);
	input->queue.dropped = false;
	return true;
}

void vio_inputdev_empty(struct input *input)
{
	struct input_queue *queue = &input->queue;

	queue->first = queue->count = queue->complete = 0;
	queue->dropping = queue->dropped = false;
	input->told = input->now;
}

bool vio_inputdev_has_room(const struct input *input)
{
	const struct input_queue *queue = &input->queue;

	/* A sequence that is longer than the queue is hopeless: nobody shall wait for that. */
	return queue->count < VIO_INPUT_QUEUE || !queue->complete;
}

void vio_inputdev_note(struct input *input, const struct vio_event *event)
{
	note(&input->now, event);
	note(&input->told, event);
}

void vio_inputdev_enqueue(struct input *input, const struct vio_event *event)
{
	struct input_queue *queue = &input->queue;

	if (queue->dropped && !queue->dropping && queue->count == queue->complete)
		queue->dropping = !resynchronize(input);
	note(&input->now, event);
	if (!queue->dropping && !append(input, event->type, event->code, event->value)) {
		retract(input);
		queue->dropping = queue->dropped = true;
	}
	input->lost += queue->dropping;
	if (event->type != INPUT_EV_SYN || event->code != INPUT_SYN_REPORT)
		return;
	if (!queue->dropping)
		complete(input);
	queue->dropping = false;
	if (queue->dropped)
		resynchronize(input); /* as soon as there is room for it */
}

bool vio_inputdev_peek(struct input *input, struct vio_event *event)
{
	const struct input_queue *queue = &input->queue;

	if (!queue->complete)
		return false;
	*event = queue->events[queue->first];
	return true;
}

void vio_inputdev_dequeue(struct input *input)
{
	struct input_queue *queue = &input->queue;

	queue->first = (queue->first + 1) % VIO_INPUT_QUEUE;
	queue->count--;
	queue->complete--;
	/* Nothing may come from the source for long, and the driver shall hear of a loss all the same. */
	if (queue->dropped && !queue->count && !queue->dropping)
		resynchronize(input);
}

/* Saved state: what waits, and what the driver knows. */

void vio_inputdev_save(struct vio_device *dev, struct vio_state_writer *writer)
{
	const struct input *input = vio_device_state(dev);
	const struct input_queue *queue = &input->queue;

	vio_state_put_u8(writer, input->select);
	vio_state_put_u8(writer, input->subsel);
	vio_state_put_u32(writer, input->leds);
	vio_state_put_u8(writer, (uint8_t)(queue->dropping | queue->dropped << 1));
	vio_state_put_u32(writer, queue->complete);
	vio_state_put_u32(writer, queue->count);
	for (uint32_t i = 0; i < queue->count; i++) {
		const struct vio_event *event = &queue->events[(queue->first + i) % VIO_INPUT_QUEUE];

		vio_state_put_u16(writer, event->type);
		vio_state_put_u16(writer, event->code);
		vio_state_put_u32(writer, event->value);
	}
	vio_state_put_bytes(writer, input->told.keys, sizeof(input->told.keys));
	vio_state_put_bytes(writer, input->told.switches, sizeof(input->told.switches));
	for (unsigned axis = 0; axis < INPUT_ABS_MT_FIRST; axis++)
		vio_state_put_u32(writer, input->told.axes[axis]);
}

/* 0, or refused: there is nothing like that in a queue of ours. */
static int get_queue(struct vio_state_reader *reader, struct input *input)
{
	struct input_queue *queue = &input->queue;
	uint8_t flags = vio_state_get_u8(reader);
	uint32_t complete_count = vio_state_get_u32(reader), count = vio_state_get_u32(reader);

	if (flags > 3 || flags == 1)
		return vio_state_refuse(reader, "loss of events", flags);
	if (count > VIO_INPUT_QUEUE || complete_count > count)
		return vio_state_refuse(reader, "event count",
					count > VIO_INPUT_QUEUE ? count : complete_count);
	for (uint32_t i = 0; i < count && !reader->failed; i++) {
		struct vio_event *event = &queue->events[i];

		event->type = vio_state_get_u16(reader);
		event->code = vio_state_get_u16(reader);
		event->value = vio_state_get_u32(reader);
		if (!vio_inputdev_has(input, event))
			return vio_state_refuse(reader, "event", (uint32_t)event->type << 16 | event->code);
	}
	queue->first = 0;
	queue->count = count;
	queue->complete = complete_count;
	queue->dropping = flags & 1;
	queue->dropped = flags >> 1;
	return reader->failed ? -VIO_ESTATE : 0;
}

static int get_held(struct vio_state_reader *reader, const struct input *input, struct input_held *held)
{
	vio_state_get_bytes(reader, held->keys, sizeof(held->keys));
	for (unsigned i = 0; i < VIO_EVENT_BYTES; i++) {
		if (held->keys[i] & ~input->description.codes[INPUT_EV_KEY][i])
			return vio_state_refuse(reader, "keys held, of eight", i);
	}
	vio_state_get_bytes(reader, held->switches, sizeof(held->switches));
	for (unsigned i = 0; i < VIO_EVENT_BYTES; i++) {
		if (held->switches[i] & ~input->description.codes[INPUT_EV_SW][i])
			return vio_state_refuse(reader, "switches, of eight", i);
	}
	for (unsigned axis = 0; axis < INPUT_ABS_MT_FIRST; axis++)
		held->axes[axis] = vio_state_get_u32(reader);
	return reader->failed || reader->used != reader->size ? -VIO_ESTATE : 0;
}

int vio_inputdev_load(struct vio_device *dev, struct vio_state_reader *reader, unsigned version)
{
	struct input *input = vio_device_state(dev);
	struct input_held held;

	(void)version;
	/* What is loaded halfway and refused, the reset that follows forgets; but for what is held. */
	input->select = vio_state_get_u8(reader);
	input->subsel = vio_state_get_u8(reader);
	input->leds = vio_state_get_u32(reader);
	if (get_queue(reader, input) || get_held(reader, input, &held))
		return -VIO_ESTATE;
	input->told = input->now = held;
	return 0;
}
