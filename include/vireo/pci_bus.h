/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_PCI_BUS_H
#define VIREO_PCI_BUS_H

#include <vireo/base.h>
#include <vireo/spec/pci.h>

/*
 * As much of a PCI bus as drivers of virtio need: find functions, size their BARs
 * and, where no firmware did, place them. An operating system that has a PCI layer
 * needs only struct vio_pci_access from here.
 *
 *   vio_pci_assign()      without firmware: numbers buses, opens bridges, places all BARs
 *   vio_pci_scan()        calls back for each function
 *   vio_pci_size_bars()   where the BARs of one function are
 *
 * Limits: one domain of 256 buses. BARs are placed below 4 GiB and bridges forward no
 * prefetchable windows of their own.
 */

/* A function's address: bus << 8 | device << 3 | function. */
#define VIO_PCI_ADDRESS(bus, device, function) ((uint16_t)((bus) << 8 | (device) << 3 | (function)))

/*
 * How the bus is reached; what is NULL has the meaning that stands with it. Values are
 * numbers: whoever reads a little-endian bus swaps where need be. `width` is 1, 2 or 4 bytes
 * and addresses are multiples of it. What nobody answers reads as all ones.
 */
struct vio_pci_access {
	void *context;

	/* Configuration. NULL: ECAM at ecam_base through memory_read when that isn't 0, else mechanism #1. */
	uint32_t (*config_read)(void *context, uint16_t address, unsigned offset, unsigned width);
	void (*config_write)(void *context, uint16_t address, unsigned offset, unsigned width,
			     uint32_t value);
	uint64_t ecam_base; /* of bus 0 */

	/* Memory by bus address. NULL: mapped one to one, accessed as little-endian memory. */
	uint32_t (*memory_read)(void *context, uint64_t address, unsigned width);
	void (*memory_write)(void *context, uint64_t address, unsigned width, uint32_t value);

	/* I/O ports. NULL: this machine has none. */
	uint32_t (*port_read)(void *context, uint32_t port, unsigned width);
	void (*port_write)(void *context, uint32_t port, unsigned width, uint32_t value);

	/*
	 * Makes [address, address + length) of the bus accessible and returns what memory_read takes
	 * for its first byte, 0 when it can't. NULL: the address itself. unmap goes with it.
	 */
	uint64_t (*map)(void *context, uint64_t address, uint64_t length);
	void (*unmap)(void *context, uint64_t mapped, uint64_t length);

	/*
	 * Memory is out of reach, as for firmware in its first moments: the registers of a modern device go
	 * through its configuration space, slowly, wherever its BARs are. Nothing else may use the device
	 * meanwhile, interrupt handlers neither. There are no messages then.
	 */
	bool config_only;
};

/* A register of a function, whichever way it is reached; `offset` is a multiple of `width`. */
VIO_API uint32_t vio_pci_config_read(const struct vio_pci_access *access, uint16_t address, unsigned offset,
				     unsigned width);
/* The same, written. */
VIO_API void vio_pci_config_write(const struct vio_pci_access *access, uint16_t address, unsigned offset,
				  unsigned width, uint32_t value);

struct vio_pci_bar {
	uint64_t address; /* on the bus; 0: nowhere yet */
	uint64_t size;    /* 0: there is none */
	bool io;
	bool wide; /* 64 bits, with the BAR behind it */
};

/* What a function says about itself. */
struct vio_pci_function {
	uint16_t address;
	uint16_t vendor;
	uint16_t device;
	uint16_t subsystem_vendor;
	uint16_t subsystem;
	uint32_t class_code; /* base, sub, interface */
	uint8_t revision;
	uint8_t header; /* PCI_HEADER_TYPE_... */
	uint8_t interrupt_line;
	uint8_t interrupt_pin;
};

/* Reads them. -VIO_ENOENT when nobody is there. */
VIO_API int vio_pci_function_read(const struct vio_pci_access *access, uint16_t address,
				  struct vio_pci_function *function);

/*
 * Calls `found` for each function on `bus` and on the buses behind its bridges, in the order of
 * addresses, until it returns other than 0; returns that, else 0. Only reads. Bridges whose
 * secondary bus isn't above their own lead nowhere.
 */
VIO_API int vio_pci_scan(const struct vio_pci_access *access, uint8_t bus, void *context,
			 int (*found)(void *context, const struct vio_pci_function *function));

/*
 * Where the BARs of a function are. Memory and I/O decoding are off for that time, so nobody may
 * use the function. -VIO_EPEER when a BAR is of no kind that exists.
 */
VIO_API int vio_pci_size_bars(const struct vio_pci_access *access, uint16_t address,
			      struct vio_pci_bar bars[PCI_BAR_COUNT]);

/* Bus addresses that the machine has for BARs. Both grow upwards; what was used is taken off. */
struct vio_pci_windows {
	uint64_t memory_next; /* not 0 */
	uint64_t memory_end;  /* at most 4 GiB */
	uint32_t io_next;
	uint32_t io_end; /* 0: the machine has no ports, BARs for them stay nowhere */
};

/*
 * Places those of `bars` (as sized) that are nowhere yet. -VIO_ENOSPC when a window is used up;
 * the function doesn't decode then.
 */
VIO_API int vio_pci_place_bars(const struct vio_pci_access *access, uint16_t address,
			       struct vio_pci_bar bars[PCI_BAR_COUNT], struct vio_pci_windows *windows);

/*
 * What firmware would have done: numbers the buses behind `bus`, places the BARs of all functions
 * and opens the bridges to them. Nothing on the bus may be in use. -VIO_ENOSPC when bus numbers or
 * windows don't suffice, -VIO_EPEER for bridges behind more than VIO_PCI_DEPTH others.
 */
VIO_API int vio_pci_assign(const struct vio_pci_access *access, uint8_t bus, struct vio_pci_windows *windows);

#define VIO_PCI_DEPTH 8u

#endif
