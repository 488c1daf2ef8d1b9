/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_DRIVERS_CONSOLE_H
#define VIREO_DRIVERS_CONSOLE_H

#include <vireo/driver.h>
#include <vireo/spec/virtio_console.h>

/*
 * A driver for the console device (5.3): its port 0 as a stream of bytes.
 *
 * What arrives is kept in a few buffers of the driver's; when nobody reads, the device has to wait. What
 * is written goes out before the call returns. A device with several ports is told that all others aren't
 * served.
 */
VIO_API extern const struct vio_driver vio_console_driver;

#define VIO_CONSOLE_BUFFERS      8u
#define VIO_CONSOLE_BUFFER_BYTES 256u
#define VIO_CONSOLE_MESSAGES     8u
#define VIO_CONSOLE_NAME_MAX     63u
#define VIO_CONSOLE_TIMEOUT_NS   UINT64_C(5000000000)

/* A buffer for the device to fill. */
struct vio_console_buffer {
	uint8_t bytes[VIO_CONSOLE_BUFFER_BYTES];
	struct vio_addr addr;
	uint16_t filled, taken;
	bool lent; /* the device has it */
};

/* A control message, of either direction. */
struct vio_console_message {
	struct virtio_console_control control;
	uint8_t rest[VIO_CONSOLE_NAME_MAX];
	struct vio_addr addr;
	bool lent;
};

/* What vio_driver_bind() wants `state` for; private but for what is said. */
struct vio_console {
	/* May be read. */
	uint16_t cols, rows; /* 0: not said */
	bool present;        /* there is a port 0; always so without F_MULTIPORT */
	bool device_open;    /* somebody listens at the device's end of it, as far as it says */
	bool is_console;     /* the device wants it to be used as one */
	char name[VIO_CONSOLE_NAME_MAX + 1]; /* as the device calls it, cut and with a NUL; may be empty */
	uint32_t ignored;                    /* control messages that made no sense */

	/* May be set. */
	uint64_t timeout_ns; /* of a write's pieces, VIO_CONSOLE_TIMEOUT_NS at first; 0: waits for ever */
	/* There may be something to read. Called from vio_dev_interrupt(). */
	void (*readable)(struct vio_dev *dev);
	/* One of the first group changed, or vio_dev_broken(). Likewise, and from vio_console_poll(). */
	void (*changed)(struct vio_dev *dev);

	struct vio_dev_queue queues[4];
	struct vio_drvq *receive, *transmit, *control_receive, *control_transmit; /* NULL: not there */
	uint32_t ports_max;
	bool writing, waiting;
	uint8_t out[VIO_CONSOLE_BUFFER_BYTES];
	uint8_t order[VIO_CONSOLE_BUFFERS]; /* of the buffers that hold something: a ring */
	uint8_t order_first, order_count;
	struct vio_console_buffer buffers[VIO_CONSOLE_BUFFERS];
	struct vio_console_message incoming[VIO_CONSOLE_MESSAGES], outgoing[VIO_CONSOLE_MESSAGES];
};

/*
 * Copies out what arrived: *got bytes, 1..length. -VIO_EAGAIN: nothing now. -VIO_EPEER or -VIO_EPHASE: the
 * device isn't at work, and all that arrived before has been read. -VIO_EINVAL: length 0, or another
 * driver is bound.
 */
VIO_API int vio_console_read(struct vio_dev *dev, void *to, uint32_t length, uint32_t *got);

/* Waits until there is something to read, for timeout_ns (0: for ever). Codes of read. */
VIO_API int vio_console_wait(struct vio_dev *dev, uint64_t timeout_ns);

/*
 * Writes all of it and returns when the device has it. -VIO_ENOENT: there is no port 0 now; -VIO_EBUSY:
 * called from a callback inside of another write. Else as vio_dev_exchange(), and pieces of
 * VIO_CONSOLE_BUFFER_BYTES may have been written; when the device was reset vio_console_start().
 */
VIO_API int vio_console_write(struct vio_dev *dev, const void *from, uint32_t length);

/*
 * One byte through the configuration, without queues: for a last word in trouble, in any phase, bound
 * or not. -VIO_ENOTSUP when the device doesn't offer it or is no console, -VIO_EHANGUP when it is gone.
 */
VIO_API int vio_console_emergency(struct vio_dev *dev, uint8_t byte);

/*
 * Does what interrupts would: takes what arrived, answers control messages. For programs without
 * interrupts; read and wait do it as well. -VIO_EPEER when a queue is broken, -VIO_EPHASE, -VIO_EINVAL.
 */
VIO_API int vio_console_poll(struct vio_dev *dev);

/* Resets the device and takes the buffers back. -VIO_EAGAIN when that doesn't end; -VIO_EHANGUP. */
VIO_API int vio_console_stop(struct vio_dev *dev);
/* Begins the device's life again; what arrived and wasn't read is lost. */
VIO_API int vio_console_start(struct vio_dev *dev);

#endif
