/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_CCW_H
#define VIREO_CCW_H

#include <vireo/drvq.h>
#include <vireo/features.h>
#include <vireo/memory.h>
#include <vireo/spec/virtio_ccw.h>

/*
 * Virtio over channel I/O (4.3), the transport of s390x machines: revisions 0 (legacy) to 2.
 *
 * There are no registers: a driver hands commands to a subchannel, each with a piece of
 * its memory, and gets a status back. The driver's half finds a device behind a table
 * of two operations and fills in a struct vio_dev for it. The device's half is a model
 * for emulators and VMMs: a state machine without threads, clocks or memory of its own.
 * Its owner has the subchannel with all that belongs to it (its state, pending
 * interrupts, START and TEST SUBCHANNEL), and hands each command or channel program to
 * the model, which answers with what the interruption response is made of.
 *
 * Interrupts are bits in the driver's memory that the device sets, and then an I/O
 * interrupt of the subchannel (classic indicators) or an adapter interrupt where a
 * summary byte wasn't set yet. Changes of the configuration are always told the classic way.
 *
 * Limits: what speaks revision 0 is little-endian, drivers and the machines they run on;
 * drivers refuse it on others. The model takes neither data chaining nor indirect data
 * addresses, which no virtio driver needs: they are program checks. Memory that isn't
 * there is one, too. Commands aren't performed when their length is wrong.
 */
struct vio_dev;
struct vio_device;
struct vio_fault;

/* A channel command word as numbers. */
struct vio_ccw {
	uint8_t command; /* CCW_CMD_... */
	uint8_t flags;   /* CCW_FLAG_... */
	uint16_t count;  /* bytes */
	uint64_t data;   /* where they are; below 2 GiB in a channel program */
};

/* How it ended. */
struct vio_ccw_status {
	uint8_t device;     /* CCW_DSTAT_... */
	uint8_t subchannel; /* CCW_CSTAT_... */
	uint16_t residual;  /* of the count, not transferred */
};

/* --- The driver's half. --- */

/* How the subchannel is reached. */
struct vio_ccw_access {
	void *context;
	/*
	 * Starts one command, waits for its end and fills in how it ended. 0, or negative when it
	 * couldn't be started: -VIO_EHANGUP where the device is gone. Status of an interrupt that is
	 * pending and in the way is for this function to clear; what it told stands in the indicators.
	 */
	int (*run)(void *context, const struct vio_ccw *ccw, struct vio_ccw_status *status);
	/*
	 * The hypercall that notifies: `data` for general register 3, `cookie` for 4, this subchannel
	 * for 2. Returns what came back in 2: a cookie for the next time, or something negative.
	 */
	int64_t (*notify)(void *context, uint64_t data, int64_t cookie);
};

#define VIO_CCW_AREA_BYTES 1024u

#define VIO_CCW_ADAPTER 1u /* ask for adapter interrupts, take classic ones where the device has none */

struct vio_ccw_driver_config {
	struct vio_ccw_access access;
	/*
	 * VIO_CCW_AREA_BYTES for indicators and payloads, which devices may read and write: 8-aligned,
	 * below 2 GiB, the caller's until the device is closed.
	 */
	struct vio_shared area;
	unsigned flags; /* VIO_CCW_ADAPTER */
	uint8_t isc;    /* interruption subclass of adapter interrupts */
};

/* The driver's state of one device; must live as long as the vio_dev. */
struct vio_ccw_driver {
	struct vio_ccw_driver_config config;
	uint16_t revision;
	uint8_t status; /* as far as the driver knows */
	bool adapter;   /* what was set up */
	bool refused;   /* some feature word */
	bool gone;
};

/*
 * Looks for a device behind a subchannel that has just been enabled, agrees on a revision and
 * fills in the transport's part of *dev, the rest zeroed. The area is written. -VIO_ENOENT: the
 * device is a placeholder; -VIO_EPEER: no virtio device (control unit type); -VIO_ENOTSUP: none
 * of the revisions, or legacy on a big-endian machine; -VIO_ERANGE or -VIO_EINVAL for an area out of reach
 * or unaligned; -VIO_EHANGUP, -VIO_EIO.
 */
VIO_API int vio_ccw_driver_probe(struct vio_ccw_driver *ccw, const struct vio_ccw_driver_config *config,
				 struct vio_dev *dev);

/*
 * Whether some indicator is set, so that vio_dev_interrupt() is due. A device that tells something while a
 * command's status waits to be fetched raises no interrupt for it: who waits for interrupts looks before.
 */
VIO_API bool vio_ccw_driver_pending(const struct vio_dev *dev);

/* --- The device's half. --- */

/* One command, for diagnostics. */
struct vio_ccw_trace {
	const char *name; /* of the command as the standard spells it; NULL: none */
	struct vio_ccw ccw;
	struct vio_ccw_status status;
};

/* What the model keeps of each queue. */
struct vio_ccw_queue {
	bool ready;
	bool again; /* has more to do */
};

struct vio_ccw_device_config {
	struct vio_device *device;    /* provided and not attached */
	const struct vio_mem *mem;    /* what the driver's addresses mean; may change while no queue runs */
	uint16_t revision_min;        /* 0: transitional; 1: only drivers since VIRTIO 1.0 */
	uint16_t revision_max;        /* at most VIRTIO_CCW_REV_MAX */
	uint32_t subchannel;          /* identification word, as drivers put it into notifications */
	struct vio_ccw_queue *queues; /* device->queue_count of them, the caller's */
	void *context;
	/* An I/O interrupt of the subchannel that nobody asked for; one that is pending is enough. */
	void (*interrupt)(void *context);
	/* An adapter I/O interrupt of that interruption subclass. */
	void (*adapter_interrupt)(void *context, uint8_t isc);
	/* vio_ccw_device_run() is due. May be NULL: then call it now and then. */
	void (*work)(void *context);
	/* The driver broke the standard. May be NULL. */
	void (*fault)(void *context, const struct vio_fault *fault);
	/* Every command, after it ended. May be NULL. */
	void (*trace)(void *context, const struct vio_ccw_trace *trace);
};

/* Where a driver wants its interrupts. */
enum vio_ccw_indicators {
	VIO_CCW_NO_INDICATORS,
	VIO_CCW_CLASSIC,
	VIO_CCW_TWO_STAGE,
};

struct vio_ccw_device {
	struct vio_ccw_device_config config;
	int revision;  /* -1: not set yet */
	uint8_t sense; /* the first byte, until it is read */
	enum vio_ccw_indicators indicators;
	struct vio_addr indicator, config_indicator, summary_indicator; /* 0: none */
	uint64_t bit_nr;
	uint8_t isc;
	struct vio_features driver_features;
};

/*
 * Attaches config->device (which stays the caller's, as do the memory and the queues) and resets.
 * -VIO_ENOTSUP for revisions that there are none of, -VIO_EPHASE when the device isn't ready to be attached.
 */
VIO_API int vio_ccw_device_init(struct vio_ccw_device *model, const struct vio_ccw_device_config *config);

/* Resets and detaches the device. */
VIO_API void vio_ccw_device_end(struct vio_ccw_device *model);

/* The subchannel was enabled: what follows begins with a revision. The device isn't reset by that. */
VIO_API void vio_ccw_device_enable(struct vio_ccw_device *model);

/* One command of the driver, whatever is in it. All calls in one thread. */
VIO_API void vio_ccw_device_command(struct vio_ccw_device *model, const struct vio_ccw *ccw,
				    struct vio_ccw_status *status);

#define VIO_CCW_PROGRAM_MAX 256u

/*
 * A channel program in the driver's memory (format 1), with command chaining and transfers in
 * channel, until its end or the first command that didn't end well; *status is that of the last. After
 * VIO_CCW_PROGRAM_MAX words it is one that never ends: a program check. Returns the address behind the last
 * word that was looked at.
 */
VIO_API uint64_t vio_ccw_device_program(struct vio_ccw_device *model, uint64_t address,
					struct vio_ccw_status *status);

/*
 * The driver's notification, with general registers 2 to 4 as they are. Returns what belongs into
 * register 2: a cookie, or negative for another subchannel (-VIO_ENOENT), no such queue (-VIO_ERANGE) or
 * one that doesn't run (-VIO_EPHASE).
 */
VIO_API int64_t vio_ccw_device_notify(struct vio_ccw_device *model, uint64_t subchannel, uint64_t data,
				      uint64_t cookie);

/* Serves queues that had more to do than one kick allows. true: there is still work, call again. */
VIO_API bool vio_ccw_device_run(struct vio_ccw_device *model);

#endif
