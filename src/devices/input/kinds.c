/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "devices/input/input.h"

/* Common devices: which events they have. */

#define BUS_VIRTUAL 0x06u
#define VENDOR      0x5652u

/* Codes first..last of a type; axes have limits. */
struct range {
	uint8_t kind;
	uint8_t type;
	uint16_t first, last;
	int32_t minimum, maximum;
};

static const struct range ranges[] = {
	{ INPUT_KEYBOARD, INPUT_EV_KEY, 0x001, 0x0f8, 0, 0 }, /* KEY_ESC ... KEY_MICMUTE */
	{ INPUT_KEYBOARD, INPUT_EV_MSC, 0x04, 0x04, 0, 0 },   /* MSC_SCAN */
	{ INPUT_KEYBOARD, INPUT_EV_LED, 0x00, 0x04, 0, 0 },   /* LED_NUML ... LED_KANA */
	{ INPUT_KEYBOARD, INPUT_EV_REP, 0x00, 0x01, 0, 0 },   /* REP_DELAY, REP_PERIOD */
	{ INPUT_MOUSE, INPUT_EV_KEY, 0x110, 0x114, 0, 0 },    /* BTN_LEFT ... BTN_EXTRA */
	{ INPUT_MOUSE, INPUT_EV_REL, 0x00, 0x01, 0, 0 },      /* REL_X, REL_Y */
	{ INPUT_MOUSE, INPUT_EV_REL, 0x06, 0x06, 0, 0 },      /* REL_HWHEEL */
	{ INPUT_MOUSE, INPUT_EV_REL, 0x08, 0x08, 0, 0 },      /* REL_WHEEL */
	{ INPUT_TABLET, INPUT_EV_KEY, 0x110, 0x112, 0, 0 },   /* BTN_LEFT ... BTN_MIDDLE */
	{ INPUT_TABLET, INPUT_EV_KEY, 0x14a, 0x14a, 0, 0 },   /* BTN_TOUCH */
	{ INPUT_TABLET, INPUT_EV_REL, 0x08, 0x08, 0, 0 },
	{ INPUT_TABLET, INPUT_EV_ABS, 0x00, 0x01, 0, 32767 },       /* ABS_X, ABS_Y */
	{ INPUT_MULTITOUCH, INPUT_EV_KEY, 0x14a, 0x14a, 0, 0 },     /* BTN_TOUCH */
	{ INPUT_MULTITOUCH, INPUT_EV_ABS, 0x00, 0x01, 0, 32767 },   /* ABS_X, ABS_Y */
	{ INPUT_MULTITOUCH, INPUT_EV_ABS, 0x2f, 0x2f, 0, 9 },       /* ABS_MT_SLOT */
	{ INPUT_MULTITOUCH, INPUT_EV_ABS, 0x35, 0x36, 0, 32767 },   /* ABS_MT_POSITION_X, _Y */
	{ INPUT_MULTITOUCH, INPUT_EV_ABS, 0x39, 0x39, 0, 65535 },   /* ABS_MT_TRACKING_ID */
	{ INPUT_GAMEPAD, INPUT_EV_KEY, 0x130, 0x131, 0, 0 },        /* BTN_SOUTH, BTN_EAST */
	{ INPUT_GAMEPAD, INPUT_EV_KEY, 0x133, 0x134, 0, 0 },        /* BTN_NORTH, BTN_WEST */
	{ INPUT_GAMEPAD, INPUT_EV_KEY, 0x136, 0x13e, 0, 0 },        /* BTN_TL ... BTN_THUMBR */
	{ INPUT_GAMEPAD, INPUT_EV_ABS, 0x00, 0x01, -32768, 32767 }, /* ABS_X, ABS_Y */
	{ INPUT_GAMEPAD, INPUT_EV_ABS, 0x02, 0x02, 0, 255 },        /* ABS_Z */
	{ INPUT_GAMEPAD, INPUT_EV_ABS, 0x03, 0x04, -32768, 32767 }, /* ABS_RX, ABS_RY */
	{ INPUT_GAMEPAD, INPUT_EV_ABS, 0x05, 0x05, 0, 255 },        /* ABS_RZ */
	{ INPUT_GAMEPAD, INPUT_EV_ABS, 0x10, 0x11, -1, 1 },         /* ABS_HAT0X, ABS_HAT0Y */
};

static const struct {
	const char *name;
	uint8_t name_bytes;
	uint8_t properties;
} kinds[INPUT_KINDS] = {
	[INPUT_KEYBOARD] = { "Vireo keyboard", 14, 0 },
	[INPUT_MOUSE] = { "Vireo mouse", 11, 1 },           /* INPUT_PROP_POINTER */
	[INPUT_TABLET] = { "Vireo tablet", 12, 1 },         /* likewise */
	[INPUT_MULTITOUCH] = { "Vireo multitouch", 16, 2 }, /* INPUT_PROP_DIRECT */
	[INPUT_GAMEPAD] = { "Vireo gamepad", 13, 0 },
};

void vio_inputdev_describe(struct vio_event_description *description, enum input_kind kind)
{
	memset(description, 0, sizeof(*description));
	memcpy(description->name, kinds[kind].name, kinds[kind].name_bytes);
	description->properties[0] = kinds[kind].properties;
	description->ids = (struct vio_event_ids){ BUS_VIRTUAL, VENDOR, (uint16_t)(kind + 1), 1 };
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(ranges); i++) {
		const struct range *range = &ranges[i];

		for (unsigned code = range->first; range->kind == kind && code <= range->last; code++) {
			description->codes[range->type][code / 8] |= (uint8_t)(1u << code % 8);
			if (range->type != INPUT_EV_ABS)
				continue;
			description->axes[code].minimum = (uint32_t)range->minimum;
			description->axes[code].maximum = (uint32_t)range->maximum;
		}
	}
}
