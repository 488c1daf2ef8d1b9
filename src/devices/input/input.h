/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_DEVICES_INPUT_INPUT_H
#define VIO_DEVICES_INPUT_INPUT_H

#include <vireo/devices/input.h>
#include <vireo/spec/virtio_input.h>

/*
 * The parts of the input device: input.c is its life and configuration, queue.c keeps
 * events until the driver takes them, kinds.c knows common devices.
 */

#define INPUT_EV_SYN 0x00u
#define INPUT_EV_KEY 0x01u
#define INPUT_EV_REL 0x02u
#define INPUT_EV_ABS 0x03u
#define INPUT_EV_MSC 0x04u
#define INPUT_EV_SW  0x05u
#define INPUT_EV_LED 0x11u
#define INPUT_EV_REP 0x14u

#define INPUT_SYN_REPORT  0u
#define INPUT_SYN_DROPPED 3u

/* From here on axes belong to one of several touches, and have no state of their own. */
#define INPUT_ABS_MT_FIRST 0x2fu

enum input_kind {
	INPUT_KEYBOARD,
	INPUT_MOUSE,
	INPUT_TABLET,
	INPUT_MULTITOUCH,
	INPUT_GAMEPAD,
	INPUT_KINDS,
};

/* What can be asked of a device at any time. */
struct input_held {
	uint8_t keys[VIO_EVENT_BYTES];
	uint8_t switches[VIO_EVENT_BYTES];
	uint32_t axes[INPUT_ABS_MT_FIRST];
};

struct input_queue {
	struct vio_event events[VIO_INPUT_QUEUE];
	uint32_t first, count;
	uint32_t complete; /* events up to the last end of a sequence */
	bool dropping;     /* the sequence that is coming doesn't fit */
	bool dropped;      /* the driver has to be told */
};

struct input {
	/* Properties. */
	uint8_t kind;
	char name[VIO_EVENT_TEXT_BYTES], serial[VIO_EVENT_TEXT_BYTES];
	uint64_t lost, unknown;
	uint32_t leds;

	struct vio_event_source *source;
	struct vio_event_description description;
	uint8_t select, subsel;
	struct input_queue queue;
	struct input_held now, told; /* as things are, and as the driver knows them */
	bool starved;                /* the source waits for room */
	bool kicking;                /* what is delivered goes to the driver by itself */
};

/* input.c */

/* Is it one that this device sends? */
bool vio_inputdev_has(const struct input *input, const struct vio_event *event);

/* kinds.c */

void vio_inputdev_describe(struct vio_event_description *description, enum input_kind kind);

/* queue.c */

/* Forgets what waits: the driver, if there is one, knows all. */
void vio_inputdev_empty(struct input *input);
/* Is there room for an event, or no hope for it? */
bool vio_inputdev_has_room(const struct input *input);
/* An event that nobody listens to. */
void vio_inputdev_note(struct input *input, const struct vio_event *event);
void vio_inputdev_enqueue(struct input *input, const struct vio_event *event);
/* The next event for the driver; false: none that may go. */
bool vio_inputdev_peek(struct input *input, struct vio_event *event);
/* It went. */
void vio_inputdev_dequeue(struct input *input);
void vio_inputdev_save(struct vio_device *dev, struct vio_state_writer *writer);
int vio_inputdev_load(struct vio_device *dev, struct vio_state_reader *reader, unsigned version);

#endif
