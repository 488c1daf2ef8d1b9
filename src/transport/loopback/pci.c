/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <vireo/loopback.h>

/* The machine around the bus: no firmware, these addresses for BARs, and messages to one address. */
#define MEMORY_START    0xe0000000u
#define MEMORY_END      0xf0000000u
#define IO_START        0x1000u
#define IO_END          0x10000u
#define MESSAGE_ADDRESS 0xfee00000u

static uint32_t all_ones(unsigned width)
{
	return width == 1 ? UINT8_MAX : width == 2 ? UINT16_MAX : UINT32_MAX;
}

static uint32_t config_read(void *context, uint16_t address, unsigned offset, unsigned width)
{
	struct vio_loopback *loopback = context;

	if (loopback->pulled_out || address != VIO_LOOPBACK_PCI_ADDRESS)
		return all_ones(width);
	return vio_pci_device_config_read(&loopback->pci_model, offset, width);
}

static void config_write(void *context, uint16_t address, unsigned offset, unsigned width, uint32_t value)
{
	struct vio_loopback *loopback = context;

	if (!loopback->pulled_out && address == VIO_LOOPBACK_PCI_ADDRESS)
		vio_pci_device_config_write(&loopback->pci_model, offset, width, value);
}

/* Whether that BAR answers here; where in *offset. */
static bool answers(const struct vio_loopback *loopback, unsigned index, uint64_t address, uint64_t *offset)
{
	struct vio_pci_bar bar = vio_pci_device_bar(&loopback->pci_model, index);

	*offset = address - bar.address;
	return !loopback->pulled_out && bar.address && address >= bar.address && *offset < bar.size;
}

static uint32_t bar_read(struct vio_loopback *loopback, unsigned bar, uint64_t address, unsigned width)
{
	uint64_t offset;

	if (!answers(loopback, bar, address, &offset))
		return all_ones(width);
	return (uint32_t)vio_pci_device_bar_read(&loopback->pci_model, bar, offset, width);
}

static void bar_write(struct vio_loopback *loopback, unsigned bar, uint64_t address, unsigned width,
		      uint32_t value)
{
	uint64_t offset;

	if (answers(loopback, bar, address, &offset))
		vio_pci_device_bar_write(&loopback->pci_model, bar, offset, width, value);
}

static uint32_t memory_read(void *context, uint64_t address, unsigned width)
{
	return bar_read(context, VIO_PCI_MEMORY_BAR, address, width);
}

static void memory_write(void *context, uint64_t address, unsigned width, uint32_t value)
{
	bar_write(context, VIO_PCI_MEMORY_BAR, address, width, value);
}

static uint32_t port_read(void *context, uint32_t port, unsigned width)
{
	return bar_read(context, 0, port, width);
}

static void port_write(void *context, uint32_t port, unsigned width, uint32_t value)
{
	bar_write(context, 0, port, width, value);
}

static void interrupt(void *context, unsigned level)
{
	struct vio_loopback *loopback = context;

	loopback->pending = level;
}

static void message(void *context, uint64_t address, uint32_t data)
{
	struct vio_loopback *loopback = context;

	if (address == MESSAGE_ADDRESS && data < VIO_LOOPBACK_VECTORS)
		loopback->messages |= UINT32_C(1) << data;
}

static int vector(void *context, unsigned which, uint64_t *address, uint32_t *data)
{
	*address = MESSAGE_ADDRESS;
	*data = which;
	return 0;
}

static void work(void *context)
{
	struct vio_loopback *loopback = context;

	loopback->again = true;
}

static int probe(struct vio_loopback *loopback, uint16_t vectors, struct vio_dev *dev)
{
	const struct vio_pci_access access = {
		.context = loopback,
		.config_read = config_read,
		.config_write = config_write,
		.memory_read = memory_read,
		.memory_write = memory_write,
		.port_read = port_read,
		.port_write = port_write,
	};
	const struct vio_pci_messages messages = { loopback, vectors, vector };
	struct vio_pci_windows windows = { MEMORY_START, MEMORY_END, IO_START, IO_END };

	return vio_pci_driver_probe(&loopback->pci_driver, &access, VIO_LOOPBACK_PCI_ADDRESS, &windows,
				    &messages, dev);
}

int vio_loopback_pci_probe(struct vio_loopback *loopback, struct vio_device *device,
			   const struct vio_mem *mem, const struct vio_loopback_pci *pci, struct vio_dev *dev)
{
	const struct vio_pci_device_config config = {
		.device = device,
		.mem = mem,
		.kind = pci->kind,
		.flags = pci->flags,
		.vectors = pci->vectors,
		.queues = pci->queues,
		.vector_states = pci->vector_states,
		.context = loopback,
		.interrupt = interrupt,
		.message = message,
		.work = work,
	};
	int error;

	if (pci->vectors > VIO_LOOPBACK_VECTORS)
		return -VIO_ERANGE;
	memset(loopback, 0, sizeof(*loopback));
	loopback->device = device;
	loopback->dev = dev;
	error = vio_pci_device_init(&loopback->pci_model, &config);
	if (error)
		return error;
	error = probe(loopback, pci->vectors, dev);
	if (error)
		vio_pci_device_end(&loopback->pci_model);
	return error;
}
