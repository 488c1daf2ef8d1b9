/* SPDX-License-Identifier: BSD-3-Clause */
#include "use.h"

static const struct use *const uses[] = {
	&use_adder, &use_blk, &use_caesar, &use_console, &use_input, &use_net, &use_ring, &use_rng, &use_vssd,
};

static bool knows(const struct vio_driver *driver, const struct vio_dev *dev)
{
	const struct vio_driver *const drivers[] = { driver, NULL };

	return vio_driver_match(drivers, dev) != NULL;
}

/* From binding to unbinding, and a line for the table; true when it worked and nothing was left behind. */
static bool run(struct os *os, const struct use *use, struct vio_dev *dev)
{
	const unsigned pages = os->pages_taken;
	void *state = os_pages_take(os, use->driver->state_bytes);
	unsigned long accepted = 0;
	char report[USE_REPORT_BYTES] = "";
	int error, unbound = 0;

	error = state ? vio_driver_bind(dev, use->driver, &os->platform, state) : -VIO_ENOMEM;
	if (!error) {
		accepted = dev->accepted.word[0];
		error = use->run(os, dev, report);
		unbound = vio_driver_unbind(dev);
	}
	if (state && !unbound)
		os_pages_give_back(os, state, use->driver->state_bytes);
	os_print("%-8s  %-18s  %16lx  %-66s  %s\n", use->device, dev->transport->name, accepted, report,
		 error ? vio_strerror(error) : "ok");
	if (unbound)
		os_print("%s isn't let go of: %s\n", use->device, vio_strerror(unbound));
	if (os->pages_taken != pages || os->shared)
		os_print("%s left %d pages and %u shared buffers behind\n", use->device,
			 (int)(os->pages_taken - pages), os->shared);
	return !error && !unbound && os->pages_taken == pages && !os->shared;
}

int os_main(struct os *os)
{
	unsigned at, use, good = 0, bad;

	os_find_devices(os);
	bad = os->complaints;
	os_print("Vireo on %s: %u devices\n", os->board.name, os->device_count);
	os_print("%-8s  %-18s  %-16s  %-66s  %s\n", "device", "transport", "features", "what was done",
		 "result");
	for (at = 0; at < os->device_count; at++) {
		for (use = 0; use < VIO_ARRAY_SIZE(uses); use++) {
			if (!knows(uses[use]->driver, &os->devices[at].dev))
				continue;
			if (run(os, uses[use], &os->devices[at].dev))
				good++;
			else
				bad++;
		}
	}
	bad += os_close_devices(os);
	if (os->board.has_interrupts)
		os_print("%u interrupts by lines, %u by messages, %u lost\n", os->lines, os->messages,
			 os->interrupts_lost);
	os_print("%u good, %u bad\n", good, bad);
	return bad || !good || os->interrupts_lost ||
	       (os->board.has_interrupts && !os->lines && !os->messages);
}
