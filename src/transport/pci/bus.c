/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <vireo/pci_bus.h>

#define MEMORY_GRAIN 0x100000u /* of a bridge's windows */
#define IO_GRAIN     0x1000u
#define DECODES      (PCI_COMMAND_IO | PCI_COMMAND_MEMORY)

static uint32_t read(const struct vio_pci_access *access, uint16_t address, unsigned offset, unsigned width)
{
	return vio_pci_config_read(access, address, offset, width);
}

static void write(const struct vio_pci_access *access, uint16_t address, unsigned offset, unsigned width,
		  uint32_t value)
{
	vio_pci_config_write(access, address, offset, width, value);
}

int vio_pci_function_read(const struct vio_pci_access *access, uint16_t address,
			  struct vio_pci_function *function)
{
	memset(function, 0, sizeof(*function));
	function->address = address;
	function->vendor = (uint16_t)read(access, address, PCI_VENDOR_ID, 2);
	if (function->vendor == UINT16_MAX) /* hostile: B45 */
		return -VIO_ENOENT;
	function->device = (uint16_t)read(access, address, PCI_DEVICE_ID, 2);
	function->revision = (uint8_t)read(access, address, PCI_REVISION_ID, 1);
	function->class_code = read(access, address, PCI_REVISION_ID, 4) >> 8;
	function->header = read(access, address, PCI_HEADER_TYPE, 1) & PCI_HEADER_TYPE_MASK;
	function->interrupt_line = (uint8_t)read(access, address, PCI_INTERRUPT_LINE, 1);
	function->interrupt_pin = (uint8_t)read(access, address, PCI_INTERRUPT_PIN, 1);
	if (function->header == PCI_HEADER_TYPE_FUNCTION) {
		function->subsystem_vendor = (uint16_t)read(access, address, PCI_SUBSYSTEM_VENDOR, 2);
		function->subsystem = (uint16_t)read(access, address, PCI_SUBSYSTEM_ID, 2);
	}
	return 0;
}

/* The address behind this one where a function can be; past the bus when it was the last. */
static unsigned next_address(const struct vio_pci_access *access, unsigned address)
{
	bool first = !(address & 7);
	uint8_t type;

	if (first && read(access, (uint16_t)address, PCI_VENDOR_ID, 2) == UINT16_MAX)
		return address + 8;
	type = (uint8_t)read(access, (uint16_t)address, PCI_HEADER_TYPE, 1);
	return first && !(type & PCI_HEADER_MULTIFUNCTION) ? address + 8 : address + 1;
}

/* Buses behind bridges come later, as their numbers are higher: no recursion, and no loop. */
int vio_pci_scan(const struct vio_pci_access *access, uint8_t bus, void *context,
		 int (*found)(void *context, const struct vio_pci_function *function))
{
	bool reached[PCI_BUS_COUNT] = { false };
	struct vio_pci_function function;
	unsigned now, at, secondary;
	int result;

	reached[bus] = true;
	for (now = bus; now < PCI_BUS_COUNT; now++) {
		for (at = now << 8; reached[now] && at < (now + 1) << 8; at = next_address(access, at)) {
			if (vio_pci_function_read(access, (uint16_t)at, &function))
				continue;
			if (function.header == PCI_HEADER_TYPE_BRIDGE) {
				secondary = read(access, (uint16_t)at, PCI_BRIDGE_SECONDARY, 1);
				if (secondary > now)
					reached[secondary] = true;
			}
			result = found(context, &function);
			if (result)
				return result;
		}
	}
	return 0;
}

static unsigned bar_offset(unsigned bar)
{
	return PCI_BAR + 4 * bar;
}

/* What of a BAR can be changed, low bits cleared: its size follows. The BAR is as before afterwards. */
static uint32_t probe_bar(const struct vio_pci_access *access, uint16_t address, unsigned bar, uint32_t *was)
{
	uint32_t changeable;

	*was = read(access, address, bar_offset(bar), 4);
	write(access, address, bar_offset(bar), 4, UINT32_MAX);
	changeable = read(access, address, bar_offset(bar), 4);
	write(access, address, bar_offset(bar), 4, *was);
	return changeable;
}

/* The lowest bit that can be changed. */
static uint64_t size_of(uint64_t changeable)
{
	return changeable & (~changeable + 1);
}

/* How many BARs this one takes, 1 or 2, or a negative code. */
static int size_bar(const struct vio_pci_access *access, uint16_t address, unsigned bar,
		    struct vio_pci_bar *sized)
{
	uint32_t was, was_high, low = probe_bar(access, address, bar, &was), high;

	if (low & PCI_BAR_IO) { /* devices may leave the upper 16 bits out */
		sized->io = true;
		sized->size = size_of(low & ~PCI_BAR_IO_MASK);
		sized->address = was & ~PCI_BAR_IO_MASK;
		return 1;
	}
	if ((low & PCI_BAR_TYPE_MASK) == PCI_BAR_TYPE_32) {
		sized->size = size_of(low & ~PCI_BAR_MEMORY_MASK);
		sized->address = was & ~PCI_BAR_MEMORY_MASK;
		return 1;
	}
	if ((low & PCI_BAR_TYPE_MASK) != PCI_BAR_TYPE_64 || bar + 1 == PCI_BAR_COUNT)
		return -VIO_EPEER;
	high = probe_bar(access, address, bar + 1, &was_high);
	sized->wide = true;
	sized->size = size_of((uint64_t)high << 32 | (low & ~PCI_BAR_MEMORY_MASK));
	sized->address = (uint64_t)was_high << 32 | (was & ~PCI_BAR_MEMORY_MASK);
	return 2;
}

static int size_bars(const struct vio_pci_access *access, uint16_t address, unsigned count,
		     struct vio_pci_bar bars[PCI_BAR_COUNT])
{
	uint32_t command = read(access, address, PCI_COMMAND, 2);
	unsigned bar = 0;
	int taken = 0;

	memset(bars, 0, PCI_BAR_COUNT * sizeof(*bars));
	write(access, address, PCI_COMMAND, 2, command & ~DECODES);
	while (bar < count && taken >= 0) {
		taken = size_bar(access, address, bar, &bars[bar]);
		bar += taken > 0 ? (unsigned)taken : 0;
	}
	write(access, address, PCI_COMMAND, 2, command);
	return taken < 0 ? taken : 0;
}

int vio_pci_size_bars(const struct vio_pci_access *access, uint16_t address,
		      struct vio_pci_bar bars[PCI_BAR_COUNT])
{
	return size_bars(access, address, PCI_BAR_COUNT, bars);
}

/* Takes `size` bytes, aligned to that, from [*next, end). 0: there aren't that many. */
static uint64_t take(uint64_t *next, uint64_t end, uint64_t size)
{
	uint64_t start, behind;

	if (!vio_add_u64(*next, size - 1, &start))
		return 0;
	start &= ~(size - 1);
	if (!start && !vio_add_u64(start, size, &start)) /* 0 means nowhere */
		return 0;
	if (!vio_add_u64(start, size, &behind) || behind > end)
		return 0;
	*next = behind;
	return start;
}

static int place_bar(const struct vio_pci_access *access, uint16_t address, unsigned bar,
		     struct vio_pci_bar *placed, struct vio_pci_windows *windows)
{
	uint64_t io_next = windows->io_next, start;

	if (placed->io && !windows->io_end)
		return 0;
	if (placed->io) {
		start = take(&io_next, windows->io_end, placed->size);
		windows->io_next = (uint32_t)io_next;
	} else {
		start = take(&windows->memory_next, windows->memory_end, placed->size);
	}
	if (!start)
		return -VIO_ENOSPC;
	placed->address = start;
	write(access, address, bar_offset(bar), 4, (uint32_t)start);
	if (placed->wide)
		write(access, address, bar_offset(bar + 1), 4, (uint32_t)(start >> 32));
	return 0;
}

int vio_pci_place_bars(const struct vio_pci_access *access, uint16_t address,
		       struct vio_pci_bar bars[PCI_BAR_COUNT], struct vio_pci_windows *windows)
{
	uint32_t command = read(access, address, PCI_COMMAND, 2);
	unsigned bar;
	int error = 0;

	write(access, address, PCI_COMMAND, 2, command & ~DECODES);
	for (bar = 0; bar < PCI_BAR_COUNT && !error; bar++)
		if (bars[bar].size && !bars[bar].address)
			error = place_bar(access, address, bar, &bars[bar], windows);
	if (!error)
		write(access, address, PCI_COMMAND, 2, command);
	return error;
}

/* A bus that is being looked at, and the bridge in front of it. */
struct level {
	unsigned at, end;
	uint16_t bridge;
	struct vio_pci_windows start;
};

struct assignment {
	const struct vio_pci_access *access;
	struct vio_pci_windows *windows;
	struct level levels[VIO_PCI_DEPTH + 1];
	unsigned depth;
	unsigned last_bus;
};

static uint64_t up(uint64_t value, uint64_t grain)
{
	return (value + grain - 1) & ~(grain - 1);
}

static void align_windows(struct vio_pci_windows *windows)
{
	windows->memory_next = up(windows->memory_next, MEMORY_GRAIN);
	windows->io_next = (uint32_t)up(windows->io_next, IO_GRAIN);
}

/* Goes behind a bridge; what is placed from now on is forwarded by it. */
static int open_bridge(struct assignment *a, uint16_t address)
{
	struct level *behind;

	if (a->depth == VIO_PCI_DEPTH)
		return -VIO_EPEER;
	if (a->last_bus + 1 == PCI_BUS_COUNT)
		return -VIO_ENOSPC;
	a->depth++;
	a->last_bus++;
	align_windows(a->windows);
	behind = &a->levels[a->depth];
	behind->bridge = address;
	behind->start = *a->windows;
	behind->at = a->last_bus << 8;
	behind->end = behind->at + PCI_BUS_COUNT;
	write(a->access, address, PCI_BRIDGE_PRIMARY, 1, address >> 8);
	write(a->access, address, PCI_BRIDGE_SECONDARY, 1, a->last_bus);
	write(a->access, address, PCI_BRIDGE_SUBORDINATE, 1, UINT8_MAX); /* until we know */
	return 0;
}

/* A window whose base is above its limit is closed. */
static void close_bridge(struct assignment *a)
{
	const struct level *behind = &a->levels[a->depth--];
	const uint16_t address = behind->bridge;
	uint32_t memory = (uint32_t)(behind->start.memory_next >> 16), memory_last;
	uint32_t io = behind->start.io_next >> 8, io_last;

	align_windows(a->windows);
	memory_last = (uint32_t)((a->windows->memory_next - 1) >> 16);
	io_last = (a->windows->io_next - 1) >> 8;
	if (a->windows->io_next == behind->start.io_next) {
		io = 0xf0;
		io_last = 0;
	}
	write(a->access, address, PCI_BRIDGE_SUBORDINATE, 1, a->last_bus);
	write(a->access, address, PCI_BRIDGE_MEMORY_BASE, 2, memory & 0xfff0);
	write(a->access, address, PCI_BRIDGE_MEMORY_LIMIT, 2, memory_last & 0xfff0);
	write(a->access, address, PCI_BRIDGE_IO_BASE, 1, io & 0xf0);
	write(a->access, address, PCI_BRIDGE_IO_LIMIT, 1, io_last & 0xf0);
	write(a->access, address, PCI_COMMAND, 2,
	      read(a->access, address, PCI_COMMAND, 2) | DECODES | PCI_COMMAND_MASTER);
}

static int assign_function(struct assignment *a, uint16_t address)
{
	const struct vio_pci_access *access = a->access;
	uint8_t header = read(access, address, PCI_HEADER_TYPE, 1) & PCI_HEADER_TYPE_MASK;
	struct vio_pci_bar bars[PCI_BAR_COUNT];
	unsigned bar;
	int error;

	if (read(access, address, PCI_VENDOR_ID, 2) == UINT16_MAX || header > PCI_HEADER_TYPE_BRIDGE)
		return 0;
	error = size_bars(access, address, header == PCI_HEADER_TYPE_BRIDGE ? 2 : PCI_BAR_COUNT, bars);
	for (bar = 0; bar < PCI_BAR_COUNT; bar++)
		bars[bar].address = 0; /* whatever the reset values are */
	if (!error)
		error = vio_pci_place_bars(access, address, bars, a->windows);
	if (!error && header == PCI_HEADER_TYPE_BRIDGE)
		error = open_bridge(a, address);
	return error;
}

int vio_pci_assign(const struct vio_pci_access *access, uint8_t bus, struct vio_pci_windows *windows)
{
	struct assignment a = { .access = access, .windows = windows, .last_bus = bus };
	int error = 0;

	a.levels[0].at = (unsigned)bus << 8;
	a.levels[0].end = a.levels[0].at + PCI_BUS_COUNT;
	while (!error) {
		struct level *now = &a.levels[a.depth];
		unsigned address = now->at;

		if (address < now->end) {
			now->at = next_address(access, address);
			error = assign_function(&a, (uint16_t)address);
		} else if (a.depth) {
			close_bridge(&a);
		} else {
			break;
		}
	}
	return error;
}
