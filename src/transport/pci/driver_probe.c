/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "transport/pci/access.h"
#include "transport/pci/probe.h"

/* As many capabilities as the configuration space could hold; a longer list goes round. hostile: B43 */
#define CAPABILITIES_MOST ((PCI_CONFIG_BYTES - PCI_HEADER_BYTES) / 4)

#define CONFIG_BYTES_MOST 0x10000u /* of the device's own that are made accessible */

static uint32_t config_read(const struct vio_pci_driver *pci, unsigned offset, unsigned width)
{
	return vio_pci_config_read(&pci->access, pci->function.address, offset, width);
}

static void config_write(const struct vio_pci_driver *pci, unsigned offset, unsigned width, uint32_t value)
{
	vio_pci_config_write(&pci->access, pci->function.address, offset, width, value);
}

/* A kind of BARs is decoded together: one that is nowhere would lie at 0 then, over somebody else. */
static bool all_placed(const struct vio_pci_driver *pci, bool io)
{
	unsigned bar;

	for (bar = 0; bar < PCI_BAR_COUNT; bar++)
		if (pci->bars[bar].size && pci->bars[bar].io == io && !pci->bars[bar].address)
			return false;
	return true;
}

bool vio_pci_place_map(const struct vio_pci_driver *pci, unsigned bar, uint32_t offset, uint32_t length,
		       struct vio_pci_place *place)
{
	const struct vio_pci_access *access = &pci->access;
	const struct vio_pci_bar *in = &pci->bars[bar < PCI_BAR_COUNT ? bar : 0];
	uint64_t base;

	/* hostile: B43, a BAR that isn't there, bytes beyond it */
	if (bar >= PCI_BAR_COUNT || !in->size || offset > in->size || length > in->size - offset)
		return false;
	if (!in->io && access->config_only)
		return false;
	if (!all_placed(pci, in->io) || (in->io && !access->port_read))
		return false;
	base = in->address + offset;
	if (!in->io && access->map)
		base = access->map(access->context, base, length);
	else if (!in->io && !vio_pci_memory_reachable(access, base, length))
		return false;
	if (!base)
		return false;
	*place = (struct vio_pci_place){ .base = base, .length = length, .io = in->io };
	return true;
}

/* The same through the configuration space, where that has to do. */
static bool place_in_window(const struct vio_pci_driver *pci, unsigned bar, uint32_t offset, uint32_t length,
			    struct vio_pci_place *place)
{
	const struct vio_pci_bar *in = &pci->bars[bar < PCI_BAR_COUNT ? bar : 0];

	if (!pci->window || bar >= PCI_BAR_COUNT || offset > in->size || length > in->size - offset)
		return false;
	*place = (struct vio_pci_place){
		.base = UINT64_C(1) + offset, .length = length, .bar = (uint8_t)bar, .window = true
	};
	return true;
}

/* What there is to know about each structure: where it goes, how much of it is used, how it must lie. */
struct structure {
	size_t place; /* offset of the struct vio_pci_place */
	uint32_t bytes_min, bytes_most;
	uint32_t align;
	unsigned capability_bytes;
};

#define PLACE(member) offsetof(struct vio_pci_driver, member)

static const struct structure structures[] = {
	[VIRTIO_PCI_CAP_COMMON_CFG] = { PLACE(common), VIRTIO_PCI_COMMON_BYTES_MIN, VIRTIO_PCI_COMMON_BYTES,
					4, VIRTIO_PCI_CAP_BYTES },
	[VIRTIO_PCI_CAP_NOTIFY_CFG] = { PLACE(notify), 2, UINT32_MAX, 2, VIRTIO_PCI_NOTIFY_CAP_BYTES },
	[VIRTIO_PCI_CAP_ISR_CFG] = { PLACE(isr), 1, 1, 1, VIRTIO_PCI_CAP_BYTES },
	[VIRTIO_PCI_CAP_DEVICE_CFG] = { PLACE(device), 1, CONFIG_BYTES_MOST, 4, VIRTIO_PCI_CAP_BYTES },
};

/* A multiplier is 0 or an even power of two. */
static bool multiplier_legal(uint32_t multiplier)
{
	return !multiplier || (vio_is_power_of_two(multiplier) && multiplier >= 2);
}

/*
 * spec: DRV-PCI-005 DRV-PCI-006 DRV-PCI-007 DRV-PCI-008 DRV-PCI-009 DRV-PCI-010
 * What can't be used is passed over, another may follow.
 */
static void take_virtio(struct vio_pci_driver *pci, unsigned at)
{
	uint8_t type = (uint8_t)config_read(pci, at + VIRTIO_PCI_CAP_CFG_TYPE, 1);
	uint8_t bytes = (uint8_t)config_read(pci, at + VIRTIO_PCI_CAP_LEN, 1);
	uint32_t offset, length, bar, multiplier = 0;
	const struct structure *structure;
	struct vio_pci_place *place;

	if (type >= VIO_ARRAY_SIZE(structures) || !structures[type].bytes_min)
		return;
	structure = &structures[type];
	place = (struct vio_pci_place *)(void *)((uint8_t *)pci + structure->place);
	if (place->base || bytes < structure->capability_bytes ||
	    structure->capability_bytes > PCI_CONFIG_BYTES - at)
		return;
	offset = config_read(pci, at + VIRTIO_PCI_CAP_OFFSET, 4);
	length = config_read(pci, at + VIRTIO_PCI_CAP_LENGTH, 4);
	if (type == VIRTIO_PCI_CAP_NOTIFY_CFG)
		multiplier = config_read(pci, at + VIRTIO_PCI_NOTIFY_CAP_MULT, 4);
	if (length < structure->bytes_min || offset % structure->align || !multiplier_legal(multiplier))
		return;
	if (length > structure->bytes_most)
		length = structure->bytes_most;
	bar = config_read(pci, at + VIRTIO_PCI_CAP_BAR, 1);
	if (pci->access.config_only ? place_in_window(pci, bar, offset, length, place)
				    : vio_pci_place_map(pci, bar, offset, length, place))
		pci->notify_multiplier |= multiplier;
}

static void take(struct vio_pci_driver *pci, unsigned at)
{
	uint8_t id = (uint8_t)config_read(pci, at + PCI_CAP_ID, 1);

	if (id == PCI_CAP_VENDOR && at <= PCI_CONFIG_BYTES - VIRTIO_PCI_CAP_BYTES)
		take_virtio(pci, at);
	if (id == PCI_CAP_MSIX && at <= PCI_CONFIG_BYTES - PCI_MSIX_CAP_BYTES && !pci->msix)
		pci->msix = (uint8_t)at;
}

static void take_window(struct vio_pci_driver *pci, unsigned at)
{
	if (config_read(pci, at + PCI_CAP_ID, 1) == PCI_CAP_VENDOR &&
	    at <= PCI_CONFIG_BYTES - VIRTIO_PCI_CFG_CAP_BYTES &&
	    config_read(pci, at + VIRTIO_PCI_CAP_CFG_TYPE, 1) == VIRTIO_PCI_CAP_PCI_CFG &&
	    config_read(pci, at + VIRTIO_PCI_CAP_LEN, 1) >= VIRTIO_PCI_CFG_CAP_BYTES && !pci->window)
		pci->window = (uint8_t)at;
}

/* spec: DRV-PCI-011 DRV-PCI-028 DRV-PCI-030, nothing is written. hostile: B43 */
static void each_capability(struct vio_pci_driver *pci,
			    void (*visit)(struct vio_pci_driver *pci, unsigned at))
{
	unsigned at, left;

	if (!(config_read(pci, PCI_STATUS, 2) & PCI_STATUS_CAPABILITIES))
		return;
	at = config_read(pci, PCI_CAPABILITIES, 1) & 0xfcu;
	for (left = CAPABILITIES_MOST; at >= PCI_HEADER_BYTES && left; left--) {
		visit(pci, at);
		at = config_read(pci, at + PCI_CAP_NEXT, 1) & 0xfcu;
	}
}

static void unmap(const struct vio_pci_driver *pci, struct vio_pci_place *place)
{
	if (place->base && !place->io && !place->window && pci->access.unmap)
		pci->access.unmap(pci->access.context, place->base, place->length);
	*place = (struct vio_pci_place){ 0 };
}

static void let_go(struct vio_pci_driver *pci)
{
	const uint32_t off = PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;

	vio_pci_msix_stop(pci);
	config_write(pci, PCI_COMMAND, 2, config_read(pci, PCI_COMMAND, 2) & ~off);
	unmap(pci, &pci->common);
	unmap(pci, &pci->notify);
	unmap(pci, &pci->isr);
	unmap(pci, &pci->device);
	unmap(pci, &pci->table);
	unmap(pci, &pci->legacy);
}

void vio_pci_close(struct vio_dev *dev)
{
	let_go(dev->transport_context);
}

/* spec: DRV-PCI-001 DRV-PCI-002 DRV-PCI-003; 0: none of ours. */
static uint32_t virtio_id(const struct vio_pci_function *function)
{
	if (function->vendor != VIRTIO_PCI_VENDOR_ID || function->header != PCI_HEADER_TYPE_FUNCTION ||
	    function->device < VIRTIO_PCI_DEVICE_ID_LEGACY || function->device > VIRTIO_PCI_DEVICE_ID_LAST)
		return 0;
	return function->device < VIRTIO_PCI_DEVICE_ID_MODERN
		       ? function->subsystem
		       : (uint32_t)function->device - VIRTIO_PCI_DEVICE_ID_MODERN;
}

/* spec: DRV-PCI-029 DRV-PCI-031, the modern interface wherever it is whole. */
static int choose_interface(struct vio_pci_driver *pci, struct vio_dev *dev)
{
	bool transitional = pci->function.device < VIRTIO_PCI_DEVICE_ID_MODERN;
	uint64_t bytes = pci->bars[0].size;

	if (pci->common.base && pci->notify.base && pci->isr.base) {
		dev->transport = &vio_pci_modern_ops;
		return 0;
	}
	if (!transitional)
		return all_placed(pci, false) ? -VIO_EPEER : -VIO_ENOSPC;
	if (!pci->bars[0].io || bytes < VIRTIO_PCI_LEGACY_MSIX_BYTES || bytes > UINT16_MAX + 1u)
		return -VIO_EPEER;
	/* Rings in the order of a big-endian driver are more than vio_drvq can do. */
	if (!VIO_CONFIG_LEGACY || !pci->access.port_read || VIO_LE16_RAW(1) != 1)
		return -VIO_ENOTSUP;
	if (!vio_pci_place_map(pci, 0, 0, (uint32_t)bytes, &pci->legacy))
		return -VIO_ENOSPC;
	dev->transport = &vio_pci_legacy_ops;
	dev->legacy = true;
	return 0;
}

/* Lets the function answer, as far as its BARs have a place, and master the bus. */
static void turn_on(const struct vio_pci_driver *pci)
{
	uint32_t command = config_read(pci, PCI_COMMAND, 2) & ~PCI_COMMAND_INTX_DISABLE;
	unsigned bar;

	command |= PCI_COMMAND_MASTER;
	for (bar = 0; bar < PCI_BAR_COUNT; bar++)
		if (pci->bars[bar].size && all_placed(pci, pci->bars[bar].io))
			command |= pci->bars[bar].io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY;
	config_write(pci, PCI_COMMAND, 2, command);
}

int vio_pci_driver_probe(struct vio_pci_driver *pci, const struct vio_pci_access *access, uint16_t address,
			 struct vio_pci_windows *windows, const struct vio_pci_messages *messages,
			 struct vio_dev *dev)
{
	uint32_t id;
	int error;

	memset(pci, 0, sizeof(*pci));
	memset(dev, 0, sizeof(*dev));
	pci->access = *access;
	error = vio_pci_function_read(access, address, &pci->function);
	if (error)
		return error;
	id = virtio_id(&pci->function);
	if (!id)
		return -VIO_ENOENT;
	error = vio_pci_size_bars(access, address, pci->bars);
	if (!error && windows)
		error = vio_pci_place_bars(access, address, pci->bars, windows);
	if (!error) {
		if (access->config_only)
			each_capability(pci, take_window);
		each_capability(pci, take);
		error = choose_interface(pci, dev);
	}
	if (error) {
		let_go(pci);
		return error;
	}
	turn_on(pci);
	vio_pci_msix_start(pci, messages);
	dev->transport_context = pci;
	dev->id = id;
	dev->vendor = pci->function.subsystem_vendor;
	return 0;
}
