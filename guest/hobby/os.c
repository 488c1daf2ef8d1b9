/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <string.h>

#include "os.h"

/* Where text goes: to the console, or to memory as long as there is room. */
struct out {
	char *to;
	size_t left;
};

static void put(struct out *out, char character, unsigned times)
{
	for (; times; times--) {
		if (!out->to) {
			board_put(character);
		} else if (out->left) {
			*out->to++ = character;
			out->left--;
		}
	}
}

static size_t length_of(const char *text)
{
	size_t length = 0;

	while (text[length])
		length++;
	return length;
}

static void print_text(struct out *out, const char *text, unsigned width)
{
	size_t length = length_of(text), at;

	for (at = 0; at < length; at++)
		put(out, text[at], 1);
	put(out, ' ', width > length ? width - (unsigned)length : 0);
}

static void print_number(struct out *out, uint64_t value, unsigned base, unsigned width)
{
	char digits[24];
	unsigned count = sizeof(digits) - 1;

	digits[count] = 0;
	do {
		digits[--count] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	if (base == 16) {
		put(out, '0', width + count > sizeof(digits) - 1 ? width + count - (sizeof(digits) - 1) : 0);
		width = 0;
	}
	print_text(out, &digits[count], width);
}

static void print_signed(struct out *out, int64_t value, unsigned width)
{
	if (value < 0)
		put(out, '-', 1);
	print_number(out, value < 0 ? -(uint64_t)value : (uint64_t)value, 10, width);
}

static void print(struct out *out, const char *format, va_list arguments)
{
	for (; *format; format++) {
		unsigned width = 0;
		bool wide = false;

		if (*format != '%') {
			put(out, *format, 1);
			continue;
		}
		for (format++; (*format >= '0' && *format <= '9') || *format == '-' || *format == 'l';
		     format++) {
			if (*format == 'l')
				wide = true;
			else if (*format != '-')
				width = width * 10 + (unsigned)(*format - '0');
		}
		if (*format == 's')
			print_text(out, va_arg(arguments, const char *), width);
		else if (*format == 'd')
			print_signed(out, wide ? va_arg(arguments, long) : va_arg(arguments, int), width);
		else
			print_number(out,
				     wide ? va_arg(arguments, unsigned long) : va_arg(arguments, unsigned),
				     *format == 'x' ? 16 : 10, width);
	}
}

void os_print(const char *format, ...)
{
	struct out console = { NULL, 0 };
	va_list arguments;

	va_start(arguments, format);
	print(&console, format, arguments);
	va_end(arguments);
}

void os_append(char *text, size_t size, const char *format, ...)
{
	size_t length = length_of(text);
	struct out end = { text + length, size - length - 1 };
	va_list arguments;

	va_start(arguments, format);
	print(&end, format, arguments);
	va_end(arguments);
	*end.to = 0;
}

#define SECOND_NS UINT64_C(1000000000)

uint64_t os_now_ns(const struct os *os)
{
	const uint64_t hz = os->board.ticks_per_second;
	uint64_t ticks = board_ticks();

	return ticks / hz * SECOND_NS + ticks % hz * SECOND_NS / hz;
}

static unsigned pages_of(size_t bytes)
{
	return (unsigned)((bytes + OS_PAGE_BYTES - 1) / OS_PAGE_BYTES);
}

static bool run_is_free(const struct os *os, unsigned first, unsigned count)
{
	while (count)
		if (os->page_taken[first + --count])
			return false;
	return true;
}

void *os_pages_take(struct os *os, size_t bytes)
{
	unsigned count = pages_of(bytes), first;
	uint8_t *memory;

	for (first = 0; first + count <= OS_PAGES; first++)
		if (run_is_free(os, first, count))
			break;
	if (!count || first + count > OS_PAGES)
		return NULL;
	memset(&os->page_taken[first], true, count);
	os->pages_taken += count;
	memory = os->pages + (size_t)first * OS_PAGE_BYTES;
	memset(memory, 0, (size_t)count * OS_PAGE_BYTES);
	return memory;
}

void os_pages_give_back(struct os *os, void *memory, size_t bytes)
{
	unsigned count = pages_of(bytes);

	memset(&os->page_taken[((uint8_t *)memory - os->pages) / OS_PAGE_BYTES], false, count);
	os->pages_taken -= count;
}

static struct os_device *next_device(struct os *os)
{
	return os->device_count < OS_DEVICES_MAX ? &os->devices[os->device_count] : NULL;
}

static void find_mmio(struct os *os)
{
	struct vio_mmio_access access;
	struct os_device *device;
	unsigned window;
	uintptr_t at;
	int error;

	for (window = 0; window < os->board.mmio_count && (device = next_device(os)); window++) {
		at = os->board.mmio_base + (uintptr_t)window * os->board.mmio_bytes;
		access = vio_mmio_access_mapped((volatile void *)at);
		error = vio_mmio_driver_probe(&device->transport.mmio, &access, os->board.mmio_bytes,
					      &device->dev);
		if (!error)
			os_interrupt_line(os, device, os->board.mmio_interrupt + (int)window);
		else if (error != -VIO_ENOENT && error != -VIO_EPEER) {
			os_print("window %u at 0x%lx: error %d\n", window, (unsigned long)at, -error);
			os->complaints++;
		}
	}
}

#define MESSAGES_EACH 4u

static int found_function(void *context, const struct vio_pci_function *function)
{
	struct os *os = context;
	struct os_device *device = next_device(os);
	const struct vio_pci_messages messages = { os, MESSAGES_EACH, os_message };
	int error;

	if (!device)
		return 1;
	device->first_message = os->board.first_message + (int)os->messages_used;
	error = vio_pci_driver_probe(&device->transport.pci, &os->board.pci, function->address,
				     &os->board.windows, &messages, &device->dev);
	if (!error)
		os_interrupt_line(os, device, os_pci_interrupt(os, function));
	else if (error != -VIO_ENOENT) {
		os_print("PCI function %x (%4x:%4x): error %d\n", function->address, function->vendor,
			 function->device, -error);
		os->complaints++;
	}
	return 0;
}

static void find_pci(struct os *os)
{
	int error = 0;

	if (!os->board.has_firmware)
		error = vio_pci_assign(&os->board.pci, 0, &os->board.windows);
	if (error) {
		os_print("PCI bus: error %d\n", -error);
		os->complaints++;
		return;
	}
	(void)vio_pci_scan(&os->board.pci, 0, os, found_function);
}

static void find_ccw(struct os *os)
{
	struct vio_ccw_driver_config config;
	struct os_device *device;
	unsigned number;
	int error;

	for (number = 0; number < os->board.subchannels && (device = next_device(os)); number++) {
		error = os->board.subchannel(&os->board, number, &config);
		if (!error && !(config.area.host = os_pages_take(os, VIO_CCW_AREA_BYTES)))
			error = -VIO_ENOMEM;
		config.area.addr = vio_addr_make((uintptr_t)config.area.host);
		if (!error)
			error = vio_ccw_driver_probe(&device->transport.ccw, &config, &device->dev);
		if (!error)
			os_interrupt_line(os, device, (int)number);
		else if (error != -VIO_ENOENT && error != -VIO_EPEER) {
			os_print("subchannel %u: %s\n", number, vio_strerror(error));
			os->complaints++;
		}
	}
}

void os_find_devices(struct os *os)
{
	find_mmio(os);
	find_ccw(os);
	if (os->board.has_pci)
		find_pci(os);
}

unsigned os_close_devices(struct os *os)
{
	unsigned refused = 0, at;

	for (at = 0; at < os->device_count; at++)
		refused += vio_dev_close(&os->devices[at].dev) != 0;
	return refused;
}

void os_trap(unsigned long cause, unsigned long at, unsigned long value)
{
	os_print("\ntrap %lx at %lx, value %lx\n", cause, at, value);
	board_exit(1);
}

void os_start(void *memory)
{
	struct os os;

	memset(&os, 0, sizeof(os));
	os.pages = memory;
	board_describe(&os.board);
	os_platform_init(&os);
	board_exit(os_main(&os));
}
