/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_PCI_H
#define VIREO_PCI_H

#include <vireo/features.h>
#include <vireo/memory.h>
#include <vireo/pci_bus.h>
#include <vireo/spec/virtio_pci.h>
#include <vireo/state.h>

/*
 * Virtio over PCI (4.1): modern, transitional and legacy.
 *
 * The driver's half takes a function of the bus (see pci_bus.h) and fills in a struct
 * vio_dev for it, through the capabilities of a modern device where they can be used,
 * else through the legacy ports. The device's half is a register model for emulators
 * and VMMs: a state machine without threads, clocks or memory of its own. Its owner
 * forwards configuration and BAR accesses, wires the interrupt line and messages, and
 * calls vio_pci_device_run() when it was told that there is work left.
 *
 * Limits: legacy drivers are little-endian, as are the machines they run on. The model
 * has no shared memory regions, administration queues or virtual functions, and rings
 * are read whether or not the function may master the bus (messages wait for it).
 */
struct vio_dev;
struct vio_device;
struct vio_devq_config;
struct vio_fault;

/* --- The driver's half. --- */

/*
 * Interrupts by message (MSI-X), where the machine has them. The driver uses up to one vector for
 * the configuration and one for each queue, and as few as one for all.
 */
struct vio_pci_messages {
	void *context;
	unsigned vectors; /* at most; 0: use the interrupt line */
	/* What the device is to write where, to raise vector 0, 1, ...; a negative code: no more. */
	int (*vector)(void *context, unsigned vector, uint64_t *address, uint32_t *data);
};

/* A structure of the device in one of its BARs. */
struct vio_pci_place {
	uint64_t base; /* for memory_read or port_read; by the window: offset in the BAR + 1; 0: none */
	uint32_t length;
	uint8_t bar; /* by the window */
	bool io;
	bool window; /* see struct vio_pci_access.config_only */
};

/* The driver's state of one device; must live as long as the vio_dev. */
struct vio_pci_driver {
	struct vio_pci_access access;
	struct vio_pci_function function;
	struct vio_pci_bar bars[PCI_BAR_COUNT];
	struct vio_pci_place common, notify, isr, device, legacy, table;
	uint32_t notify_multiplier;
	uint8_t msix;     /* offset of the capability, 0: there is none */
	uint8_t window;   /* likewise, to the BARs by the configuration space */
	uint16_t vectors; /* in use, 0: the interrupt line */
};

/*
 * Takes a function of the bus, sizes its BARs, places them from `windows` (may be NULL: none left to give)
 * where nobody did, and fills in the transport's part of *dev, the rest zeroed. `messages` may be NULL.
 *
 * -VIO_ENOENT: not a virtio device; -VIO_ENOTSUP: a legacy device on a machine without ports, or
 * a big-endian one;
 * -VIO_EPEER: a modern one whose capabilities can't be used; -VIO_ENOSPC: its BARs aren't placed.
 * The function answers to memory, ports and mastering afterwards as far as it is used, and not at all
 * when this fails. vio_dev_close() turns it off again.
 */
VIO_API int vio_pci_driver_probe(struct vio_pci_driver *pci, const struct vio_pci_access *access,
				 uint16_t address, struct vio_pci_windows *windows,
				 const struct vio_pci_messages *messages, struct vio_dev *dev);

/*
 * Vector `vector` was raised: calls `used` of the queues and config_changed as vio_dev_interrupt() does,
 * which remains the call for the interrupt line.
 */
VIO_API void vio_pci_driver_interrupt(struct vio_dev *dev, unsigned vector);

/* --- The device's half. --- */

/* What the driver may take the device for. */
enum vio_pci_kind {
	VIO_PCI_MODERN,
	VIO_PCI_TRANSITIONAL, /* both interfaces */
	VIO_PCI_LEGACY,       /* as before version 1.0 */
};

/* Options. */
#define VIO_PCI_BAR_64     1u /* the memory BAR has 64 bits */
#define VIO_PCI_NOTIFY_ONE 2u /* one notification address for all queues */
#define VIO_PCI_NO_LINE    4u /* no interrupt pin */
#define VIO_PCI_NO_DECODER 8u /* whoever forwards accesses has seen to it that BARs decode */

#define VIO_PCI_MEMORY_BAR 4u /* what isn't legacy, and the MSI-X table */

/* What became of an access. */
enum vio_pci_outcome {
	VIO_PCI_DONE,
	VIO_PCI_IGNORED,     /* not now, or not such a value */
	VIO_PCI_NO_REGISTER, /* none there */
	VIO_PCI_BAD_WIDTH,   /* a register is accessed as a whole */
	VIO_PCI_READ_ONLY,
	VIO_PCI_WRITE_ONLY,
	VIO_PCI_NOT_DECODED, /* the command register has that space off, or there is no such BAR */
};

#define VIO_PCI_CONFIG_SPACE 6u /* in place of a BAR */

/* One access, for diagnostics. */
struct vio_pci_trace {
	const char *name; /* of the register as the standards spell it; NULL: none */
	unsigned bar;     /* or VIO_PCI_CONFIG_SPACE */
	uint64_t offset;
	unsigned width;
	bool write;
	uint64_t value; /* written, or the answer */
	enum vio_pci_outcome outcome;
};

/* What the model keeps of each queue. */
struct vio_pci_queue {
	uint32_t size;    /* as written, 0 when it was illegal */
	uint64_t area[3]; /* descriptor, driver, device */
	uint32_t pfn;     /* legacy, of the queue that runs */
	uint16_t vector;
	bool enabled;
	bool again; /* has more to do */
};

/* An entry of the MSI-X table. */
struct vio_pci_vector {
	uint32_t address_low;
	uint32_t address_high;
	uint32_t data;
	uint32_t control;
	bool pending;
};

struct vio_pci_device_config {
	struct vio_device *device; /* provided and not attached */
	const struct vio_mem *mem; /* what the driver's addresses mean; may change while no queue runs */
	enum vio_pci_kind kind;
	unsigned flags;                       /* VIO_PCI_BAR_64, ... */
	uint16_t subsystem_vendor;            /* 0: as the standard has them */
	uint16_t subsystem;                   /* ignored where a legacy driver looks for the device id */
	uint16_t vectors;                     /* at most PCI_MSIX_VECTORS_MAX; 0: no MSI-X */
	struct vio_pci_queue *queues;         /* device->queue_count of them, the caller's */
	struct vio_pci_vector *vector_states; /* `vectors` of them, the caller's */
	void *context;
	/* The interrupt line is to be at `level`, 0 or 1; called when that changes. Calls no model. */
	void (*interrupt)(void *context, unsigned level);
	/* Writes `data` to `address`. May be NULL without vectors. Calls no model. */
	void (*message)(void *context, uint64_t address, uint32_t data);
	/*
	 * In place of `message`, for owners that keep the MSI-X table themselves, as VFIO has it: vector
	 * `vector` is to be raised. What is in the model's table doesn't count. An owner that can't
	 * raise it now may set `pending` in vector_states for the driver to see. May be NULL.
	 */
	void (*vector)(void *context, unsigned vector);
	/* vio_pci_device_run() is due. May be NULL: then call it now and then. */
	void (*work)(void *context);
	/*
	 * A queue is about to start as the driver has set it up: an owner may put the rings elsewhere, and
	 * have a log kept. May be NULL.
	 */
	void (*starting)(void *context, uint16_t queue, struct vio_devq_config *config);
	/* BARs have moved, appeared or gone: ask vio_pci_device_bar(). May be NULL. */
	void (*moved)(void *context);
	/* The driver broke the standard. May be NULL. */
	void (*fault)(void *context, const struct vio_fault *fault);
	/* Every access, after it was made. May be NULL. */
	void (*trace)(void *context, const struct vio_pci_trace *trace);
};

/* Where things are in the memory BAR, bytes. */
struct vio_pci_layout {
	uint32_t notify, notify_bytes;
	uint32_t table, table_bytes;
	uint32_t pba, pba_bytes;
	uint32_t memory_bytes; /* of the whole BAR */
	uint32_t io_bytes;     /* of the legacy BAR */
};

struct vio_pci_device {
	struct vio_pci_device_config config;
	struct vio_pci_layout layout;
	uint8_t space[PCI_CONFIG_BYTES];
	uint8_t writable[PCI_CONFIG_BYTES]; /* bits of it that the driver may change */
	uint8_t cfg_cap, msix_cap;          /* offsets of capabilities, 0: none */
	bool legacy;                        /* the driver speaks the legacy interface, until reset */
	uint8_t legacy_status;              /* what a legacy driver wrote */
	uint8_t isr;
	bool level;
	uint16_t config_vector;
	bool config_pending;
	uint32_t device_feature_select;
	uint32_t driver_feature_select;
	uint16_t queue_select;
	enum vio_pci_outcome outcome; /* of the access under way */
	struct vio_features driver_features;
};

/*
 * Attaches config->device (which stays the caller's, as do memory, queues and vectors) and resets.
 * -VIO_ENOTSUP for a transitional device of a type that has no id for that, -VIO_ERANGE for too many
 * vectors or bytes of configuration, -VIO_EPHASE when the device isn't ready to be attached.
 */
VIO_API int vio_pci_device_init(struct vio_pci_device *model, const struct vio_pci_device_config *config);

/* Resets and detaches the device. The interrupt line is left low. */
VIO_API void vio_pci_device_end(struct vio_pci_device *model);

/* A reset of the bus: BARs and command register too. */
VIO_API void vio_pci_device_bus_reset(struct vio_pci_device *model);

/*
 * Accesses of the driver. Offsets and widths of any kind are harmless: what isn't there reads as 0
 * (BARs that aren't decoded: as all ones) and swallows writes. Values are numbers, as on a little-endian
 * bus. All calls in one thread.
 */
VIO_API uint32_t vio_pci_device_config_read(struct vio_pci_device *model, unsigned offset, unsigned width);
VIO_API void vio_pci_device_config_write(struct vio_pci_device *model, unsigned offset, unsigned width,
					 uint32_t value);
VIO_API uint64_t vio_pci_device_bar_read(struct vio_pci_device *model, unsigned bar, uint64_t offset,
					 unsigned width);
VIO_API void vio_pci_device_bar_write(struct vio_pci_device *model, unsigned bar, uint64_t offset,
				      unsigned width, uint64_t value);

/* Where a BAR is now: its size is 0 when there is none, its address 0 while it isn't decoded. */
VIO_API struct vio_pci_bar vio_pci_device_bar(const struct vio_pci_device *model, unsigned bar);

/*
 * What the driver has set up in the function, to go on in another one of the same configuration:
 * appends it, or takes it into a model in reset (-VIO_EPHASE otherwise). -VIO_ESTATE: damaged or foreign,
 * and reader->refusal says why; the model is in reset again. The device goes along with
 * vio_device_save() and vio_device_load(), after which _loaded() is due. Queues that are marked enabled are
 * started by the owner, where they stood.
 */
VIO_API void vio_pci_device_save(const struct vio_pci_device *model, struct vio_state_writer *writer);
VIO_API int vio_pci_device_load(struct vio_pci_device *model, struct vio_state_reader *reader);
/* The device is loaded, too: what the driver is to hear is told. */
VIO_API void vio_pci_device_loaded(struct vio_pci_device *model);

/*
 * The vector that an interrupt of this queue raises as things stand, for owners that keep the MSI-X table
 * themselves; -1: none, or there is more to it, which only the model does.
 */
VIO_API int vio_pci_device_vector(const struct vio_pci_device *model, uint16_t queue);
/* Serves queues that had more to do than one kick allows. true: there is still work, call again. */
VIO_API bool vio_pci_device_run(struct vio_pci_device *model);

#endif
