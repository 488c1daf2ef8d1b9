/* SPDX-License-Identifier: BSD-3-Clause */
#include <vireo/drivers/input.h>

#include "use.h"

/*
 * Waits for a few groups of events and reports them in their order. Between them a keyboard's LED is lit.
 * tests/hobby/peers.py makes the events.
 */
#define GROUPS    4u
#define ANSWER_NS UINT64_C(10000000000)

#define EV_SYN   0x00
#define EV_KEY   0x01
#define EV_REL   0x02
#define EV_ABS   0x03
#define EV_LED   0x11
#define LED_CAPS 0x01

struct heard {
	char *report;
	const char *between; /* what was reported and what comes */
	unsigned groups;
};

static void event(struct vio_dev *dev, uint16_t type, uint16_t code, uint32_t value)
{
	struct heard *heard = dev->owner;
	const char *what = type == EV_KEY ? "key" : type == EV_REL ? "rel" : type == EV_ABS ? "abs" : "?";

	if (heard->groups == GROUPS)
		return;
	if (type == EV_SYN) {
		heard->groups++;
		heard->between = ", ";
		return;
	}
	os_append(heard->report, USE_REPORT_BYTES, "%s%s%u=%d", heard->between, what, code, (int32_t)value);
	heard->between = " ";
}

static int wait_for(struct os *os, struct vio_dev *dev, const struct heard *heard, unsigned groups)
{
	const uint64_t since = os_now_ns(os);
	int error = 0;

	while (!error && heard->groups < groups && os_now_ns(os) - since < ANSWER_NS) {
		if (os->board.has_interrupts)
			os_wait(os, ANSWER_NS);
		else
			error = vio_input_poll(dev);
	}
	return error ? error : heard->groups < groups ? -VIO_EAGAIN : 0;
}

static int use(struct os *os, struct vio_dev *dev, char *report)
{
	struct vio_input *input = dev->driver_state;
	struct heard heard = { report, "", 0 };
	char name[VIRTIO_INPUT_CFG_BYTES + 1] = "";
	uint8_t leds[1];
	uint32_t got, has_leds;
	int error = vio_input_query(dev, VIRTIO_INPUT_CFG_ID_NAME, 0, name, sizeof(name) - 1, &got);

	if (!error)
		error = vio_input_query(dev, VIRTIO_INPUT_CFG_EV_BITS, EV_LED, leds, sizeof(leds), &has_leds);
	if (error)
		return error;
	dev->owner = &heard;
	input->event = event;
	os_print("input: %s listens\n", name);
	error = wait_for(os, dev, &heard, GROUPS / 2);
	if (!error && has_leds)
		error = vio_input_set(dev, EV_LED, LED_CAPS, 1);
	if (!error && has_leds)
		error = vio_input_set(dev, EV_LED, LED_CAPS, 0);
	if (!error)
		error = wait_for(os, dev, &heard, GROUPS);
	return !error && input->dropped ? -VIO_EPEER : error;
}

const struct use use_input = { "input", &vio_input_driver, use };
