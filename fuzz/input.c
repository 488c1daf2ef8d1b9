/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <vireo/devices/input.h>
#include <vireo/spec/virtio_input.h>

#include "device.h"

/*
 * A source that sends events of any kind, faster or slower than the driver lends buffers for them, and a
 * driver that asks for any part of the configuration and sends any status. The driver gets whole events or
 * nothing; only a source that can wait is asked to, and it is told when there is room.
 */
struct world {
	struct fuzz_input *input;
	struct vio_event_source source;
	struct fuzz_device device;
	bool owed; /* `ready` was promised */
	unsigned depth;
};

static struct world *world_of(struct vio_event_source *source)
{
	return VIO_CONTAINER_OF(source, struct world, source);
}

static int send_event(struct world *w)
{
	static const uint64_t types[] = { 1, 0, 1, 2, 3, 4, 5, 17, 20, 31, 32, UINT16_MAX };
	static const uint64_t codes[] = { 0,    1,    2,  3,  30,  0x110, 0x2f,
					  0x35, 0x39, 63, 64, 767, 768,   UINT16_MAX };
	static const uint64_t values[] = { 0, 1, 2, 100, UINT32_MAX };
	const struct vio_event event = {
		(uint16_t)fuzz_choose(w->input, types, VIO_ARRAY_SIZE(types)),
		(uint16_t)fuzz_choose(w->input, codes, VIO_ARRAY_SIZE(codes)),
		(uint32_t)fuzz_choose(w->input, values, VIO_ARRAY_SIZE(values)),
	};
	int result = w->source.events->deliver(w->source.events_context, &event);

	FUZZ_CHECK(result == 0 || (result == -VIO_EAGAIN && w->source.waits));
	if (result)
		w->owed = true;
	return result;
}

static void source_ready(struct vio_event_source *source)
{
	struct world *w = world_of(source);

	FUZZ_CHECK(w->owed && !w->depth);
	w->owed = false;
	w->depth++;
	for (unsigned count = fuzz_u8(w->input); count; count--)
		if (send_event(w))
			break;
	w->depth--;
}

static void source_status(struct vio_event_source *source, const struct vio_event *event)
{
	FUZZ_CHECK(world_of(source)->device.running && event->type < VIO_EVENT_TYPES);
}

static void source_close(struct vio_event_source *source)
{
	FUZZ_CHECK(!source);
}

static const struct vio_event_source_ops source_ops = { source_ready, source_status, source_close };

static void write_status(struct fuzz_device *device, uint8_t *to)
{
	static const uint64_t types[] = { 17, 20, 0, 1, 32, UINT16_MAX };
	const struct virtio_input_event event = {
		.type = vio_le16_make((uint16_t)fuzz_choose(device->input, types, VIO_ARRAY_SIZE(types))),
		.code = vio_le16_make(fuzz_u8(device->input)),
		.value = vio_le32_make(fuzz_u8(device->input)),
	};

	memcpy(to, &event, sizeof(event));
}

static void got(struct fuzz_device *device, unsigned queue, uint32_t written)
{
	FUZZ_CHECK(device->running && (!written || !queue));
	FUZZ_CHECK(!written || written == sizeof(struct virtio_input_event));
}

/* Steps. */

static void lend(struct world *w)
{
	static const struct fuzz_ask ask = { 8, 8, NULL };

	fuzz_device_ask(&w->device, VIRTIO_INPUT_EVENTQ, &ask);
}

static void tell(struct world *w)
{
	static const struct fuzz_ask ask = { 8, 0, write_status };

	fuzz_device_ask(&w->device, VIRTIO_INPUT_STATUSQ, &ask);
}

static void happen(struct world *w)
{
	uint8_t what = fuzz_u8(w->input);

	/* One that waits for `ready` doesn't send before. */
	for (unsigned count = what & 15; count && !w->owed; count--)
		send_event(w);
	if (what & 16)
		w->source.events->deliver_end(w->source.events_context);
}

/* Many times the same key: what a driver that lends nothing has to miss. */
static void flood(struct world *w)
{
	const struct vio_event key = { 1, 30, fuzz_u8(w->input) & 1 }, report = { 0, 0, 0 };

	for (unsigned count = 4u * fuzz_u8(w->input); count && !w->owed; count--) {
		const struct vio_event *event = count & 1 ? &report : &key;

		w->owed = w->source.events->deliver(w->source.events_context, event) != 0;
	}
	w->source.events->deliver_end(w->source.events_context);
}

static void collect(struct world *w)
{
	fuzz_device_collect(&w->device);
}

/* hostile: A122: whatever is asked for, the answer is no longer than there is room for. */
static void configure(struct world *w)
{
	struct virtio_input_config config;
	uint8_t select[2] = { fuzz_u8(w->input) & 0x1f, fuzz_u8(w->input) };

	fuzz_device_configure(&w->device);
	vio_device_write_config(&w->device.dev, 0, select, sizeof(select));
	vio_device_read_config(&w->device.dev, 0, &config, sizeof(config));
	FUZZ_CHECK(config.select == select[0] && config.subsel == select[1] &&
		   config.size <= sizeof(config.u));
	fuzz_note_bytes(w->input, (const uint8_t *)&config, sizeof(config));
}

static void start(struct world *w)
{
	fuzz_device_start(&w->device, fuzz_device_ring_bits(fuzz_u8(w->input)));
}

void fuzz_run(struct fuzz_input *input)
{
	static void (*const steps[])(struct world * w) = { lend, happen, tell,    lend, happen,
							   lend, flood,  collect, lend, configure };
	static const char *const kinds[] = { "keyboard", "mouse", "tablet", "multitouch", "gamepad" };
	struct world w = { .input = input };
	uint8_t what = fuzz_u8(input);

	w.source = (struct vio_event_source){ .ops = &source_ops, .waits = what & 128 };
	fuzz_device_make(&w.device, &vio_input_class, input);
	fuzz_device_set(&w.device, "in-order", "on");
	fuzz_device_set(&w.device, "kind", kinds[(what & 127) % VIO_ARRAY_SIZE(kinds)]);
	w.device.got = got;
	FUZZ_CHECK(vio_input_attach(&w.device.dev, &w.source) == 0);
	fuzz_device_realize(&w.device);
	start(&w);
	fuzz_walk(input, &w, steps, VIO_ARRAY_SIZE(steps), start, 300);
	fuzz_device_close(&w.device);
}
