/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include <vireo/pci_bus.h>

/* Buses of made-up functions: finding them, and doing what firmware would have done. */

#define FUNCTIONS 16u
#define ECAM      UINT64_C(0x30000000)

struct unit {
	unsigned bus_of; /* which bridge it is behind: an index, or FUNCTIONS for the first bus */
	uint8_t where;   /* device << 3 | function */
	uint8_t space[PCI_CONFIG_BYTES];
	uint32_t bar_mask[PCI_BAR_COUNT]; /* bits that can be changed */
};

struct bus {
	struct unit units[FUNCTIONS];
	unsigned count;
	uint32_t port_address;
	struct vio_pci_access access;
	uint16_t found[2 * FUNCTIONS];
	unsigned found_count, stop_at;
	unsigned first; /* number of the first bus */
};

static struct bus bus;

static uint32_t ones(unsigned width)
{
	return width == 4 ? UINT32_MAX : (1u << 8 * width) - 1;
}

static bool is_bridge(const struct unit *unit)
{
	return (unit->space[PCI_HEADER_TYPE] & 0x7f) == PCI_HEADER_TYPE_BRIDGE;
}

/* Who answers: bridges forward what lies between their secondary and subordinate bus. */
static struct unit *at(struct bus *b, uint16_t address)
{
	for (unsigned i = 0; i < b->count; i++) {
		struct unit *unit = &b->units[i];
		unsigned number = unit->bus_of == FUNCTIONS
					  ? b->first
					  : b->units[unit->bus_of].space[PCI_BRIDGE_SECONDARY];

		if (unit->bus_of != FUNCTIONS && !number)
			continue; /* nothing gets there yet */
		if (number == address >> 8 && unit->where == (address & 0xff))
			return unit;
	}
	return NULL;
}

static uint32_t config_read(void *context, uint16_t address, unsigned offset, unsigned width)
{
	struct unit *unit = at(context, address);
	uint32_t value = 0;

	assert_true(width <= 4 && offset % width == 0 && offset + width <= PCI_CONFIG_BYTES);
	if (!unit)
		return ones(width);
	for (unsigned i = width; i-- > 0;)
		value = value << 8 | unit->space[offset + i];
	return value;
}

static void config_write(void *context, uint16_t address, unsigned offset, unsigned width, uint32_t value)
{
	struct unit *unit = at(context, address);
	unsigned bar = (offset - PCI_BAR) / 4;

	if (!unit)
		return;
	if (offset >= PCI_BAR && bar < (is_bridge(unit) ? 2u : PCI_BAR_COUNT)) {
		uint32_t was = config_read(context, address, offset, 4);

		assert_int_equal(width, 4);
		/* hostile: B44, nothing may move while it answers */
		assert_int_equal(unit->space[PCI_COMMAND] & 3, 0);
		value = (was & ~unit->bar_mask[bar]) | (value & unit->bar_mask[bar]);
	}
	for (unsigned i = 0; i < width; i++)
		unit->space[offset + i] = (uint8_t)(value >> (8 * i));
}

static uint32_t port_read(void *context, uint32_t port, unsigned width)
{
	struct bus *b = context;

	assert_true(port >= PCI_PORT_DATA && port + width <= PCI_PORT_DATA + 4);
	assert_true(b->port_address & PCI_ADDRESS_ENABLE);
	return config_read(b, (uint16_t)(b->port_address >> 8), (b->port_address & 0xfc) + (port & 3), width);
}

static void port_write(void *context, uint32_t port, unsigned width, uint32_t value)
{
	struct bus *b = context;

	if (port == PCI_PORT_ADDRESS) {
		assert_int_equal(width, 4);
		assert_int_equal(value & 3, 0);
		b->port_address = value;
		return;
	}
	config_write(b, (uint16_t)(b->port_address >> 8), (b->port_address & 0xfc) + (port & 3), width,
		     value);
}

static uint32_t memory_read(void *context, uint64_t address, unsigned width)
{
	assert_true(address >= ECAM && address < ECAM + (256u << 20));
	return config_read(context, (uint16_t)((address - ECAM) >> 12), (unsigned)(address & 0xfff), width);
}

static void memory_write(void *context, uint64_t address, unsigned width, uint32_t value)
{
	config_write(context, (uint16_t)((address - ECAM) >> 12), (unsigned)(address & 0xfff), width, value);
}

static struct bus *made(void)
{
	memset(&bus, 0, sizeof(bus));
	bus.access = (struct vio_pci_access){ .context = &bus,
					      .config_read = config_read,
					      .config_write = config_write };
	bus.stop_at = UINT32_MAX;
	return &bus;
}

static struct unit *add(struct bus *b, unsigned bus_of, unsigned device, unsigned function, uint8_t header)
{
	struct unit *unit = &b->units[b->count++];

	unit->bus_of = bus_of;
	unit->where = (uint8_t)(device << 3 | function);
	unit->space[PCI_VENDOR_ID] = 0xf4;
	unit->space[PCI_VENDOR_ID + 1] = 0x1a;
	unit->space[PCI_DEVICE_ID] = (uint8_t)(b->count - 1);
	unit->space[PCI_DEVICE_ID + 1] = 0x10;
	unit->space[PCI_HEADER_TYPE] = header;
	return unit;
}

/* A BAR of a size, with the type in its low bits. */
static void give_bar(struct unit *unit, unsigned bar, uint64_t size, uint32_t type)
{
	uint64_t mask = ~(size - 1) & ~(uint64_t)(type & PCI_BAR_IO ? 3 : 15);

	unit->bar_mask[bar] = (uint32_t)mask;
	unit->space[PCI_BAR + 4 * bar] = (uint8_t)type;
	if (type & PCI_BAR_TYPE_64)
		unit->bar_mask[bar + 1] = (uint32_t)(mask >> 32);
}

static uint64_t bar_of(const struct unit *unit, unsigned bar)
{
	uint32_t value;

	memcpy(&value, &unit->space[PCI_BAR + 4 * bar], 4);
	value = VIO_LE32_RAW(value);
	return value & ~(value & PCI_BAR_IO ? 3u : 15u);
}

static int on_found(void *context, const struct vio_pci_function *function)
{
	struct bus *b = context;

	assert_true(b->found_count < 2 * FUNCTIONS);
	assert_int_equal(function->vendor, 0x1af4);
	b->found[b->found_count++] = function->address;
	return b->found_count == b->stop_at ? 17 : 0;
}

static void assert_found(struct bus *b, const uint16_t *expected, unsigned count)
{
	b->found_count = 0;
	assert_int_equal(vio_pci_scan(&b->access, 0, b, on_found), 0);
	assert_int_equal(b->found_count, count);
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(b->found[i], expected[i]);
}

static void build_tree(struct bus *b)
{
	add(b, FUNCTIONS, 0, 0, PCI_HEADER_MULTIFUNCTION);
	add(b, FUNCTIONS, 0, 5, 0);
	add(b, FUNCTIONS, 2, 0, PCI_HEADER_TYPE_BRIDGE)->space[PCI_BRIDGE_SECONDARY] = 7;
	add(b, 2, 31, 0, 0);
	add(b, 2, 1, 0, PCI_HEADER_TYPE_BRIDGE | PCI_HEADER_MULTIFUNCTION)->space[PCI_BRIDGE_SECONDARY] = 255;
	add(b, 2, 1, 1, 0);
	add(b, 4, 0, 0, 0);
	add(b, 4, 0, 1, 0); /* not multifunction: it isn't there */
}

/* By callbacks, by mechanism #1 and by ECAM. */
static void finds_what_is_there(void **state)
{
	static const uint16_t expected[] = { 0x0000, 0x0005, 0x0010, 0x0708, 0x0709, 0x07f8, 0xff00 };
	struct bus *b = made();

	build_tree(b);
	assert_found(b, expected, VIO_ARRAY_SIZE(expected));
	b->access.config_read = NULL;
	b->access.port_read = port_read;
	b->access.port_write = port_write;
	assert_found(b, expected, VIO_ARRAY_SIZE(expected));
	b->access.port_read = NULL;
	b->access.memory_read = memory_read;
	b->access.memory_write = memory_write;
	b->access.ecam_base = ECAM;
	assert_found(b, expected, VIO_ARRAY_SIZE(expected));
	b->access.ecam_base = 0; /* no way at all */
	assert_found(b, NULL, 0);
	b->access.config_read = config_read;
	b->found_count = 0;
	b->stop_at = 3;
	assert_int_equal(vio_pci_scan(&b->access, 0, b, on_found), 17);
	assert_int_equal(b->found_count, 3);
	b->found_count = 0;
	b->stop_at = UINT32_MAX;
	assert_int_equal(vio_pci_scan(&b->access, 7, b, on_found), 0);
	assert_int_equal(b->found_count, 4);
}

/* Bridges that lead back, or to themselves, lead nowhere: it ends, and nothing is found twice. */
static void bridges_may_lie(void **state)
{
	static const uint8_t secondaries[] = { 0, 1, 254, 255 };

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(secondaries); i++) {
		struct bus *b = made();

		add(b, FUNCTIONS, 0, 0, PCI_HEADER_TYPE_BRIDGE)->space[PCI_BRIDGE_SECONDARY] = secondaries[i];
		add(b, FUNCTIONS, 1, 0, PCI_HEADER_TYPE_BRIDGE)->space[PCI_BRIDGE_SECONDARY] = secondaries[i];
		add(b, 0, 0, 0, PCI_HEADER_TYPE_BRIDGE)->space[PCI_BRIDGE_SECONDARY] = 1;
		assert_int_equal(vio_pci_scan(&b->access, 0, b, on_found), 0);
		assert_true(b->found_count <= 4);
	}
}

static void bars_are_sized(void **state)
{
	struct bus *b = made();
	struct unit *unit = add(b, FUNCTIONS, 0, 0, 0);
	struct vio_pci_bar bars[PCI_BAR_COUNT];

	give_bar(unit, 0, 64, PCI_BAR_IO);
	give_bar(unit, 1, 0x1000, 0);
	give_bar(unit, 2, UINT64_C(1) << 33, PCI_BAR_TYPE_64 | PCI_BAR_PREFETCHABLE);
	give_bar(unit, 4, 0x4000, PCI_BAR_TYPE_64);
	unit->space[PCI_BAR + 4 * 4 + 1] = 0x80; /* 0x8000 */
	unit->space[PCI_BAR + 4 * 5] = 3;
	unit->space[PCI_COMMAND] = 7;
	unit->bar_mask[0] &= 0xffff; /* ports have 16 bits here */
	assert_int_equal(vio_pci_size_bars(&b->access, 0, bars), 0);
	assert_int_equal(unit->space[PCI_COMMAND], 7);
	assert_true(bars[0].io && bars[0].size == 64 && !bars[0].address);
	assert_true(!bars[1].io && bars[1].size == 0x1000 && !bars[1].wide);
	assert_true(bars[2].wide && bars[2].size == UINT64_C(1) << 33);
	assert_int_equal(bars[3].size, 0);
	assert_true(bars[4].wide && bars[4].size == 0x4000 && bars[4].address == UINT64_C(0x300008000));
	/* Types that don't exist, and a wide BAR without its half. */
	give_bar(unit, 1, 0x1000, 2);
	assert_int_equal(vio_pci_size_bars(&b->access, 0, bars), -VIO_EPEER);
	assert_int_equal(unit->space[PCI_COMMAND], 7);
	memset(&unit->bar_mask, 0, sizeof(unit->bar_mask));
	memset(&unit->space[PCI_BAR], 0, 24);
	give_bar(unit, 5, 0x1000, 0);
	unit->space[PCI_BAR + 20] = PCI_BAR_TYPE_64;
	assert_int_equal(vio_pci_size_bars(&b->access, 0, bars), -VIO_EPEER);
}

static void bars_are_placed(void **state)
{
	struct vio_pci_windows windows = { 0x80000001, 0x80010000, 0xc001, 0xc100 };
	struct vio_pci_bar bars[PCI_BAR_COUNT];
	struct bus *b = made();
	struct unit *unit = add(b, FUNCTIONS, 0, 0, 0);

	give_bar(unit, 0, 64, PCI_BAR_IO);
	give_bar(unit, 1, 0x1000, 0);
	give_bar(unit, 2, 0x4000, PCI_BAR_TYPE_64);
	assert_int_equal(vio_pci_size_bars(&b->access, 0, bars), 0);
	assert_int_equal(vio_pci_place_bars(&b->access, 0, bars, &windows), 0);
	assert_int_equal(bar_of(unit, 0), 0xc040);
	assert_int_equal(bar_of(unit, 1), 0x80001000);
	assert_int_equal(bar_of(unit, 2), 0x80004000);
	assert_int_equal(windows.memory_next, 0x80008000);
	assert_int_equal(windows.io_next, 0xc080);
	assert_int_equal(bars[2].address, 0x80004000);
	/* What has a place keeps it; what finds none is an error. */
	assert_int_equal(vio_pci_place_bars(&b->access, 0, bars, &windows), 0);
	assert_int_equal(windows.memory_next, 0x80008000);
	give_bar(unit, 1, 0x10000, 0);
	memset(&unit->space[PCI_BAR + 4], 0, 4);
	assert_int_equal(vio_pci_size_bars(&b->access, 0, bars), 0);
	assert_int_equal(vio_pci_place_bars(&b->access, 0, bars, &windows), -VIO_ENOSPC);
	bars[1].size = UINT64_C(1) << 63;
	assert_int_equal(vio_pci_place_bars(&b->access, 0, bars, &windows), -VIO_ENOSPC);
	/* Ports are nothing to a machine that has none. */
	bars[1].size = 0;
	bars[0].address = 0;
	windows.io_end = 0;
	assert_int_equal(vio_pci_place_bars(&b->access, 0, bars, &windows), 0);
	assert_int_equal(bars[0].address, 0);
}

/* What firmware does, and then everything is found, and lies inside the windows of its bridges. */
static void assigns_what_no_firmware_did(void **state)
{
	struct vio_pci_windows windows = { 0x80000000, 0x90000000, 0x2000, 0x10000 };
	static const uint16_t expected[] = { 0x0000, 0x0005, 0x0010, 0x0108, 0x0109, 0x01f8, 0x0200 };
	struct bus *b = made();

	build_tree(b);
	for (unsigned i = 0; i < b->count; i++) {
		struct unit *unit = &b->units[i];

		unit->space[PCI_BRIDGE_SECONDARY] = 0;
		if (is_bridge(unit))
			continue;
		give_bar(unit, 0, 32, PCI_BAR_IO);
		give_bar(unit, 2, 0x4000, PCI_BAR_TYPE_64);
	}
	assert_int_equal(vio_pci_assign(&b->access, 0, &windows), 0);
	assert_found(b, expected, VIO_ARRAY_SIZE(expected));
	assert_int_equal(b->units[2].space[PCI_BRIDGE_SECONDARY], 1);
	assert_int_equal(b->units[2].space[PCI_BRIDGE_SUBORDINATE], 2);
	assert_int_equal(b->units[4].space[PCI_BRIDGE_PRIMARY], 1);
	assert_int_equal(b->units[4].space[PCI_BRIDGE_SECONDARY], 2);
	assert_int_equal(b->units[4].space[PCI_BRIDGE_SUBORDINATE], 2);
	for (unsigned i = 0; i < 7; i++) {
		const struct unit *unit = &b->units[i];

		if (is_bridge(unit)) {
			assert_int_equal(unit->space[PCI_COMMAND], 7);
			continue;
		}
		for (unsigned j = 0; j < i; j++) {
			if (is_bridge(&b->units[j]))
				continue;
			assert_int_not_equal(bar_of(unit, 2), bar_of(&b->units[j], 2));
			assert_int_not_equal(bar_of(unit, 0), bar_of(&b->units[j], 0));
		}
		for (unsigned up = unit->bus_of; up != FUNCTIONS; up = b->units[up].bus_of) {
			const uint8_t *bridge = b->units[up].space;
			uint64_t base = (uint64_t)(bridge[0x21] << 8 | bridge[0x20]) << 16;
			uint64_t last = (uint64_t)(bridge[0x23] << 8 | bridge[0x22]) << 16 | 0xfffff;

			assert_in_range(bar_of(unit, 2), base, last);
			assert_in_range(bar_of(unit, 0), (uint64_t)bridge[0x1c] << 8,
					((uint64_t)bridge[0x1d] << 8) | 0xfff);
		}
	}
}

static void assignment_has_limits(void **state)
{
	struct vio_pci_windows windows = { 0x80000000, 0x90000000, 0, 0 };
	struct bus *b = made();

	for (unsigned i = 0; i <= VIO_PCI_DEPTH; i++) {
		assert_int_equal(vio_pci_assign(&b->access, 0, &windows), 0);
		add(b, i ? i - 1 : FUNCTIONS, 0, 0, PCI_HEADER_TYPE_BRIDGE);
		for (unsigned j = 0; j < b->count; j++)
			memset(&b->units[j].space[PCI_BRIDGE_PRIMARY], 0, 3);
	}
	assert_int_equal(vio_pci_assign(&b->access, 0, &windows), -VIO_EPEER);
	b->count = 1;
	b->units[0].space[PCI_BRIDGE_SECONDARY] = 0;
	assert_int_equal(vio_pci_assign(&b->access, 0, &windows), 0);
	/* A bridge with nothing behind it forwards nothing. */
	assert_true(b->units[0].space[0x1c] > b->units[0].space[0x1d]);
	assert_true(b->units[0].space[0x21] > b->units[0].space[0x23] ||
		    b->units[0].space[0x20] > b->units[0].space[0x22]);
	b->first = 255; /* no numbers are left */
	assert_int_equal(vio_pci_assign(&b->access, 255, &windows), -VIO_ENOSPC);
	b->first = 0;
	give_bar(add(b, 0, 0, 0, 0), 0, 1u << 30, 0);
	b->units[0].space[PCI_BRIDGE_SECONDARY] = 0;
	assert_int_equal(vio_pci_assign(&b->access, 0, &windows), -VIO_ENOSPC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_what_is_there),
		cmocka_unit_test(bridges_may_lie),
		cmocka_unit_test(bars_are_sized),
		cmocka_unit_test(bars_are_placed),
		cmocka_unit_test(assigns_what_no_firmware_did),
		cmocka_unit_test(assignment_has_limits),
	};

	return cmocka_run_group_tests_name("transport-pci-bus", tests, NULL, NULL);
}
