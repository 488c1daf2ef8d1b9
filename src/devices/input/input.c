/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "devices/input/input.h"

VIO_STATIC_ASSERT(sizeof(struct virtio_input_config) == 136, "the configuration has holes");
VIO_STATIC_ASSERT(sizeof(struct virtio_input_event) == 8, "an event has holes");
VIO_STATIC_ASSERT(VIO_EVENT_TEXT_BYTES - 1 <= VIRTIO_INPUT_CFG_BYTES, "names are too long");

#define INPUT_PROPERTY(property, member, kind) \
	.name = (property), VIO_PROPERTY_MEMBER(struct input, member, kind)

static const char *const input_kinds[] = { "keyboard", "mouse", "tablet", "multitouch", "gamepad", NULL };

static const struct vio_property input_properties[] = {
	{ INPUT_PROPERTY("kind", kind, VIO_PROPERTY_CHOICE), .choices = input_kinds, .initial = "keyboard",
	  .help = "what it is, where the source of the events doesn't say" },
	{ INPUT_PROPERTY("name", name, VIO_PROPERTY_STRING), .help = "name that the driver is told" },
	{ INPUT_PROPERTY("serial", serial, VIO_PROPERTY_STRING), .help = "serial number that it is told" },
	{ INPUT_PROPERTY("leds", leds, VIO_PROPERTY_U32), .flags = VIO_PROPERTY_RUNTIME,
	  .help = "LEDs that the driver has switched on, a bit each" },
	{ INPUT_PROPERTY("lost", lost, VIO_PROPERTY_U64), .flags = VIO_PROPERTY_RUNTIME,
	  .help = "counts events that the driver was too slow for" },
	{ INPUT_PROPERTY("unknown", unknown, VIO_PROPERTY_U64), .flags = VIO_PROPERTY_RUNTIME,
	  .help = "counts events and statuses that the device doesn't have" },
};

static bool has_code(const struct vio_event_description *description, unsigned type, unsigned code)
{
	if (type >= VIO_EVENT_TYPES || code >= 8 * VIO_EVENT_BYTES)
		return false;
	return description->codes[type][code / 8] >> code % 8 & 1;
}

/* Configuration. */

/* A bitmap without the zeros at its end. */
static uint8_t put_bits(uint8_t *to, const uint8_t *bits)
{
	uint8_t size = VIO_EVENT_BYTES;

	while (size && !bits[size - 1])
		size--;
	memcpy(to, bits, size);
	return size;
}

static uint8_t put_text(uint8_t *to, const char *text)
{
	uint8_t size = 0;

	for (; text[size]; size++)
		to[size] = (uint8_t)text[size];
	return size;
}

static uint8_t put_ids(uint8_t *to, const struct vio_event_ids *ids)
{
	const vio_le16 wire[4] = { vio_le16_make(ids->bus), vio_le16_make(ids->vendor),
				   vio_le16_make(ids->product), vio_le16_make(ids->version) };

	memcpy(to, wire, sizeof(wire));
	return sizeof(wire);
}

static uint8_t put_axis(uint8_t *to, const struct vio_event_axis *axis)
{
	const vio_le32 wire[5] = { vio_le32_make(axis->minimum), vio_le32_make(axis->maximum),
				   vio_le32_make(axis->fuzz), vio_le32_make(axis->flat),
				   vio_le32_make(axis->resolution) };

	memcpy(to, wire, sizeof(wire));
	return sizeof(wire);
}

/* spec: DEV-INPUT-001; what comes back is the size, 0 for what isn't there; hostile: A122 */
static uint8_t answer(const struct vio_event_description *description, uint8_t select, uint8_t subsel,
		      uint8_t *to)
{
	switch (select) {
	case VIRTIO_INPUT_CFG_ID_NAME:
		return subsel ? 0 : put_text(to, description->name);
	case VIRTIO_INPUT_CFG_ID_SERIAL:
		return subsel ? 0 : put_text(to, description->serial);
	case VIRTIO_INPUT_CFG_ID_DEVIDS:
		return subsel ? 0 : put_ids(to, &description->ids);
	case VIRTIO_INPUT_CFG_PROP_BITS:
		return subsel ? 0 : put_bits(to, description->properties);
	case VIRTIO_INPUT_CFG_EV_BITS:
		return subsel < VIO_EVENT_TYPES ? put_bits(to, description->codes[subsel]) : 0;
	case VIRTIO_INPUT_CFG_ABS_INFO:
		if (subsel >= VIO_EVENT_AXES || !has_code(description, INPUT_EV_ABS, subsel))
			return 0;
		return put_axis(to, &description->axes[subsel]);
	default:
		return 0;
	}
}

static void input_get_config(struct vio_device *dev, void *config)
{
	const struct input *input = vio_device_state(dev);
	struct virtio_input_config wire = { .select = input->select, .subsel = input->subsel };

	wire.size = answer(&input->description, input->select, input->subsel, wire.u);
	memcpy(config, &wire, sizeof(wire));
}

static void input_set_config(struct vio_device *dev, const void *config, uint32_t offset, uint32_t length)
{
	struct input *input = vio_device_state(dev);
	const uint8_t *bytes = config;

	if (offset == 0)
		input->select = bytes[0];
	if (offset <= 1 && offset + length > 1)
		input->subsel = bytes[1];
}

/* Events. */

static void send_events(struct input *input, struct vio_devq *q)
{
	struct vio_event event;
	struct vio_buf buf;

	while (vio_inputdev_peek(input, &event) && vio_devq_pop(q, &buf)) {
		const struct virtio_input_event wire = {
			.type = vio_le16_make(event.type),
			.code = vio_le16_make(event.code),
			.value = vio_le32_make(event.value),
		};

		/* hostile: A122; a buffer that an event doesn't fit in costs none */
		if (buf.truncated || buf.writable_bytes < sizeof(wire)) {
			vio_devq_push(q, &buf, 0);
			continue;
		}
		vio_devq_push(q, &buf, (uint32_t)vio_write(&buf, &wire, sizeof(wire)));
		vio_inputdev_dequeue(input);
	}
}

static void kick_events(struct input *input, struct vio_devq *q)
{
	if (input->kicking)
		return;
	input->kicking = true;
	send_events(input, q);
	while (input->starved && vio_inputdev_has_room(input)) {
		input->starved = false;
		if (input->source->ops->ready)
			input->source->ops->ready(input->source);
		send_events(input, q);
	}
	input->kicking = false;
	vio_devq_notify(q);
}

static void take_status(struct input *input, const struct virtio_input_event *wire)
{
	const struct vio_event event = { vio_le16_get(wire->type), vio_le16_get(wire->code),
					 vio_le32_get(wire->value) };

	if (event.type != INPUT_EV_SYN && !has_code(&input->description, event.type, event.code)) {
		input->unknown++;
		return;
	}
	if (event.type == INPUT_EV_LED && event.code < 32)
		input->leds = (input->leds & ~(1u << event.code)) | (event.value ? 1u : 0) << event.code;
	if (input->source->ops->status)
		input->source->ops->status(input->source, &event);
}

static void kick_statuses(struct input *input, struct vio_devq *q)
{
	struct virtio_input_event wire;
	struct vio_buf buf;

	while (vio_devq_pop(q, &buf)) {
		bool whole = vio_read(&buf, &wire, sizeof(wire)) == sizeof(wire);

		vio_devq_push(q, &buf, 0);
		if (whole)
			take_status(input, &wire);
		else
			input->unknown++;
	}
	vio_devq_notify(q);
}

static void input_kick(struct vio_device *dev, struct vio_devq *q)
{
	struct input *input = vio_device_state(dev);

	if (q->index == VIRTIO_INPUT_EVENTQ)
		kick_events(input, q);
	else
		kick_statuses(input, q);
}

bool vio_inputdev_has(const struct input *input, const struct vio_event *event)
{
	if (event->type == INPUT_EV_SYN) /* 1 is of an older interface, 2 ends a touch */
		return event->code == INPUT_SYN_REPORT || event->code == 2 ||
		       event->code == INPUT_SYN_DROPPED;
	return has_code(&input->description, event->type, event->code) &&
	       !(event->type == INPUT_EV_ABS && event->code >= VIO_EVENT_AXES);
}

static int input_deliver(void *context, const struct vio_event *event)
{
	struct vio_device *dev = context;
	struct input *input = vio_device_state(dev);
	bool running = vio_device_running(dev);

	/* A loss is for the device to tell, and it knows when. */
	if (!vio_inputdev_has(input, event) ||
	    (event->type == INPUT_EV_SYN && event->code == INPUT_SYN_DROPPED)) {
		input->unknown++;
		return 0;
	}
	if (input->source->waits && (!running || !vio_inputdev_has_room(input))) {
		input->starved = true;
		return -VIO_EAGAIN;
	}
	if (running)
		vio_inputdev_enqueue(input, event);
	else
		vio_inputdev_note(input, event);
	return 0;
}

static void input_deliver_end(void *context)
{
	vio_device_kick(context, VIRTIO_INPUT_EVENTQ);
}

static const struct vio_event_events input_events = { input_deliver, input_deliver_end };

/* Life. */

static void input_reset(struct vio_device *dev)
{
	struct input *input = vio_device_state(dev);

	vio_inputdev_empty(input);
	input->select = input->subsel = 0;
	input->leds = 0;
}

static int input_realize(struct vio_device *dev)
{
	struct input *input = vio_device_state(dev);
	struct vio_event_description *description = &input->description;

	if (!input->source)
		return -VIO_ENOENT;
	if (input->source->description)
		*description = *input->source->description;
	else
		vio_inputdev_describe(description, input->kind);
	if (input->name[0])
		memcpy(description->name, input->name, sizeof(input->name));
	if (input->serial[0])
		memcpy(description->serial, input->serial, sizeof(input->serial));
	memset(description->codes[INPUT_EV_SYN], 0, VIO_EVENT_BYTES); /* needs no saying */
	description->name[VIO_EVENT_TEXT_BYTES - 1] = description->serial[VIO_EVENT_TEXT_BYTES - 1] = '\0';
	input->source->events = &input_events;
	input->source->events_context = dev;
	input_reset(dev);
	return 0;
}

static void input_unrealize(struct vio_device *dev)
{
	struct input *input = vio_device_state(dev);

	input->source->events = NULL;
	input->source->events_context = NULL;
}

int vio_input_attach(struct vio_device *dev, struct vio_event_source *source)
{
	struct input *input = vio_device_state(dev);

	if (dev->class != &vio_input_class)
		return -VIO_EINVAL;
	input->source = source;
	return 0;
}

const struct vio_device_class vio_input_class = {
	.name = "input",
	.summary = "keyboard, mouse, tablet, touch screen or gamepad",
	.id = VIRTIO_ID_INPUT,
	.queue_count = 2,
	.queue_size = 64,
	.state_bytes = sizeof(struct input),
	.config_bytes = sizeof(struct virtio_input_config),
	.properties = { input_properties, VIO_ARRAY_SIZE(input_properties) },
	.realize = input_realize,
	.unrealize = input_unrealize,
	.get_config = input_get_config,
	.set_config = input_set_config,
	.reset = input_reset,
	.kick = input_kick,
	.save = vio_inputdev_save,
	.load = vio_inputdev_load,
	.version = 1,
};
