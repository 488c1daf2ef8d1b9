/* SPDX-License-Identifier: BSD-3-Clause */
#include "os.h"

#define LATE_NS UINT64_C(1000000000) /* after that an interrupt is lost */

/* The device is the next of the table from here on. */
void os_interrupt_line(struct os *os, struct os_device *device, int number)
{
	const bool pci = device->dev.transport->close != NULL;

	device->interrupt = os->board.has_interrupts ? number : -1;
	if (device->interrupt >= 0)
		board_interrupt_enable(device->interrupt);
	else if (!pci || !device->transport.pci.vectors) /* nobody may sleep while that one is at work */
		os->board.has_interrupts = false;
	os->device_count++;
}

int os_message(void *context, unsigned vector, uint64_t *address, uint32_t *data)
{
	struct os *os = context;

	if (os->messages_used == os->board.messages)
		return -VIO_ENOSPC;
	*address = os->board.message_address;
	*data = (uint32_t)os->board.first_message + os->messages_used++;
	board_interrupt_enable((int)*data);
	return 0;
}

/* The bridge that leads to a bus; 0: none, as bus 0 is reached without. */
static uint16_t bridge_to(const struct os *os, unsigned bus)
{
	unsigned address;

	for (address = 0; address < bus << 8; address += 8)
		if (vio_pci_config_read(&os->board.pci, (uint16_t)address, PCI_VENDOR_ID, 2) != UINT16_MAX &&
		    (vio_pci_config_read(&os->board.pci, (uint16_t)address, PCI_HEADER_TYPE, 1) &
		     PCI_HEADER_TYPE_MASK) == PCI_HEADER_TYPE_BRIDGE &&
		    vio_pci_config_read(&os->board.pci, (uint16_t)address, PCI_BRIDGE_SECONDARY, 1) == bus)
			return (uint16_t)address;
	return 0;
}

/* Pins turn by the number of the device at each bridge. */
int os_pci_interrupt(const struct os *os, const struct vio_pci_function *function)
{
	unsigned address = function->address, pin = function->interrupt_pin;

	if (pin && os->board.pci_line)
		return os->board.pci_line + function->interrupt_line;
	if (!os->board.pci_interrupt || !pin || pin > 4)
		return -1;
	for (pin--; address >> 8; address = bridge_to(os, address >> 8))
		pin += address >> 3 & 31;
	return os->board.pci_interrupt + (int)((pin + (address >> 3 & 31)) % 4);
}

static bool is_message(const struct os *os, int number)
{
	return os->board.messages && number >= os->board.first_message;
}

static void deliver(struct os *os, int number)
{
	const bool all = os->board.messages_are_all && is_message(os, number);
	struct os_device *device;
	bool pci;

	for (device = os->devices; device < os->devices + os->device_count; device++) {
		pci = device->dev.transport->close != NULL;
		if (pci && device->transport.pci.vectors && number >= device->first_message &&
		    number < device->first_message + device->transport.pci.vectors)
			vio_pci_driver_interrupt(&device->dev, (unsigned)(number - device->first_message));
		else if (device->interrupt == number || all)
			vio_dev_interrupt(&device->dev);
	}
}

/* What a device told by channel I/O while its last command ended, without an interrupt. */
static bool deliver_told(struct os *os)
{
	struct os_device *device;
	bool any = false;

	for (device = os->devices; device < os->devices + os->device_count; device++)
		if (os->board.subchannels && vio_ccw_driver_pending(&device->dev))
			any |= vio_dev_interrupt(&device->dev) != 0;
	return any;
}

static bool deliver_all(struct os *os)
{
	int number = board_interrupt_take();
	bool any = number >= 0;

	for (; number >= 0; number = board_interrupt_take()) {
		if (is_message(os, number))
			os->messages++;
		else
			os->lines++;
		deliver(os, number);
		board_interrupt_done(number);
	}
	return deliver_told(os) || any;
}

/* Something was used where the driver wants to hear of it. */
static bool pending(const struct os *os)
{
	const struct os_device *device;
	uint16_t queue;

	for (device = os->devices; device < os->devices + os->device_count; device++)
		for (queue = 0; queue < device->dev.queue_max; queue++)
			if (device->dev.queues[queue].enabled && !device->dev.queues[queue].q.callbacks_off &&
			    vio_drvq_pending(&device->dev.queues[queue].q))
				return true;
	return false;
}

/* Whether any came. */
static bool sleep_ns(struct os *os, uint64_t time_ns)
{
	const uint64_t ticks = time_ns * (os->board.ticks_per_second / 1000000) / 1000;
	const uint64_t since = board_ticks();
	uint64_t passed;

	while (!deliver_all(os)) {
		passed = board_ticks() - since;
		if (passed >= ticks)
			return false;
		board_sleep(ticks - passed);
	}
	return true;
}

void os_wait(struct os *os, uint64_t timeout_ns)
{
	if (!os->board.has_interrupts || sleep_ns(os, timeout_ns) || !pending(os))
		return;
	/* Maybe it comes a moment after what it tells of. */
	if (!sleep_ns(os, LATE_NS))
		os->interrupts_lost++;
}
