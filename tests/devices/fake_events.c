/* SPDX-License-Identifier: BSD-3-Clause */
#include "devices/fake_events.h"

#include <string.h>

static struct fake_events *fake_of(struct vio_event_source *source)
{
	return VIO_CONTAINER_OF(source, struct fake_events, source);
}

int fake_events_send(struct fake_events *fake, uint16_t type, uint16_t code, uint32_t value)
{
	const struct vio_event event = { type, code, value };

	return fake->source.events->deliver(fake->source.events_context, &event);
}

void fake_events_end(struct fake_events *fake)
{
	fake->source.events->deliver_end(fake->source.events_context);
}

static void fake_ready(struct vio_event_source *source)
{
	struct fake_events *fake = fake_of(source);

	fake->ready_count++;
	while (fake->refill) {
		if (fake_events_send(fake, fake->pressed ? 0 : 1, fake->pressed ? 0 : 1,
				     fake->pressed ? 0 : fake->next))
			return;
		fake->refill -= fake->pressed;
		fake->next = (uint16_t)(fake->next + fake->pressed);
		fake->pressed = !fake->pressed;
	}
}

static void fake_status(struct vio_event_source *source, const struct vio_event *event)
{
	struct fake_events *fake = fake_of(source);

	fake->status_count++;
	fake->last_status = *event;
}

static void fake_close(struct vio_event_source *source)
{
	(void)source;
}

static const struct vio_event_source_ops fake_ops = { fake_ready, fake_status, fake_close };

void fake_events_init(struct fake_events *fake)
{
	memset(fake, 0, sizeof(*fake));
	fake->source.ops = &fake_ops;
}
