/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_MMIO_H
#define VIREO_MMIO_H

#include <vireo/features.h>
#include <vireo/memory.h>
#include <vireo/spec/virtio_mmio.h>

/*
 * Virtio over MMIO (4.2), version 2 and the legacy version 1.
 *
 * The driver's half finds a device behind a window of registers and fills in a
 * struct vio_dev for it. The device's half is a register model for emulators and
 * VMMs: a state machine without threads, clocks or memory of its own. Its owner
 * forwards each access of the driver to vio_mmio_device_read() and _write(), wires
 * the interrupt callback to an interrupt controller, and calls
 * vio_mmio_device_run() when it was told that there is work left.
 *
 * Limits: what speaks version 1 is little-endian, drivers and the machines they run on.
 * The model has no shared memory regions.
 */
struct vio_dev;
struct vio_device;
struct vio_fault;

/* --- The driver's half. --- */

/* How registers are reached. Values are numbers: whoever reads a little-endian bus swaps where need be. */
struct vio_mmio_access {
	void *context;
	/* `width` is 1, 2 or 4 bytes; `offset` a multiple of it, inside the window. */
	uint32_t (*read)(void *context, uint32_t offset, unsigned width);
	void (*write)(void *context, uint32_t offset, unsigned width, uint32_t value);
};

/* The driver's state of one device; must live as long as the vio_dev. */
struct vio_mmio_driver {
	struct vio_mmio_access access;
	uint32_t window_bytes;
};

/*
 * Registers mapped as memory at `base`, on a bus whose devices are little-endian. A write waits for earlier
 * ones to memory as between processors; where registers need more than that, give accessors of your own.
 */
VIO_API struct vio_mmio_access vio_mmio_access_mapped(volatile void *base);

/*
 * Looks for a device in a window of `window_bytes` (at least VIRTIO_MMIO_CONFIG) and fills in
 * the transport's part of *dev, the rest zeroed. -VIO_ENOENT: nothing is plugged in here, which
 * is no error; -VIO_EPEER: no virtio device (magic value); -VIO_ENOTSUP: of an unknown version, or
 * legacy on a big-endian machine; -VIO_ERANGE: the window is too small. Only reads.
 */
VIO_API int vio_mmio_driver_probe(struct vio_mmio_driver *mmio, const struct vio_mmio_access *access,
				  uint32_t window_bytes, struct vio_dev *dev);

/* --- The device's half. --- */

/* What became of an access. */
enum vio_mmio_outcome {
	VIO_MMIO_DONE,
	VIO_MMIO_IGNORED,     /* not now, or not such a value */
	VIO_MMIO_NO_REGISTER, /* none at this offset in this version */
	VIO_MMIO_BAD_WIDTH,   /* a register is accessed by 4 aligned bytes */
	VIO_MMIO_READ_ONLY,
	VIO_MMIO_WRITE_ONLY,
};

/* One access, for diagnostics. */
struct vio_mmio_trace {
	const char *name; /* of the register as the standard spells it, "Config" beyond them; NULL: none */
	uint64_t offset;
	unsigned width;
	bool write;
	uint64_t value; /* written, or the answer */
	enum vio_mmio_outcome outcome;
};

/* What the model keeps of each queue. */
struct vio_mmio_queue {
	uint32_t size;    /* as written, 0 when it was illegal */
	uint64_t area[3]; /* descriptor, driver, device */
	uint32_t align;   /* legacy */
	uint32_t pfn;     /* legacy, of the queue that runs */
	bool ready;
	bool again; /* has more to do */
};

struct vio_mmio_device_config {
	struct vio_device *device; /* provided and not attached */
	const struct vio_mem *mem; /* what the driver's addresses mean; may change while no queue runs */
	uint32_t version;          /* VIRTIO_MMIO_VERSION_... */
	uint32_t vendor;
	struct vio_mmio_queue *queues; /* device->queue_count of them, the caller's */
	void *context;
	/* The interrupt line is to be at `level`, 0 or 1; called when that changes. Calls no model. */
	void (*interrupt)(void *context, unsigned level);
	/* vio_mmio_device_run() is due. May be NULL: then call it now and then. */
	void (*work)(void *context);
	/* The driver broke the standard. May be NULL. */
	void (*fault)(void *context, const struct vio_fault *fault);
	/* Every access, after it was made. May be NULL. */
	void (*trace)(void *context, const struct vio_mmio_trace *trace);
};

struct vio_mmio_device {
	struct vio_mmio_device_config config;
	uint32_t device_features_sel;
	uint32_t driver_features_sel;
	uint32_t queue_sel;
	uint32_t guest_page_size;
	uint32_t interrupt_status;
	uint8_t legacy_status;         /* what a legacy driver wrote */
	enum vio_mmio_outcome outcome; /* of the access under way */
	struct vio_features driver_features;
};

/*
 * Attaches config->device (which stays the caller's, as do the memory and the queues) and resets.
 * -VIO_ENOTSUP for a version that isn't 1 or 2, -VIO_EPHASE when the device isn't ready to be attached.
 */
VIO_API int vio_mmio_device_init(struct vio_mmio_device *model, const struct vio_mmio_device_config *config);

/* Resets and detaches the device. The interrupt line is left low. */
VIO_API void vio_mmio_device_end(struct vio_mmio_device *model);

/*
 * An access of the driver. Offsets and widths of any kind are harmless: what isn't there reads as 0
 * and swallows writes. Values are numbers, as on a little-endian bus. All calls in one thread.
 */
VIO_API uint64_t vio_mmio_device_read(struct vio_mmio_device *model, uint64_t offset, unsigned width);
VIO_API void vio_mmio_device_write(struct vio_mmio_device *model, uint64_t offset, unsigned width,
				   uint64_t value);

/* Serves queues that had more to do than one kick allows. true: there is still work, call again. */
VIO_API bool vio_mmio_device_run(struct vio_mmio_device *model);

#endif
