/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_LINK_KERNEL_H
#define VIO_LINK_KERNEL_H

#include <sys/types.h>

#include <vireo/driver.h>
#include <vireo/vhost_kernel.h>

#include "link/arena.h"
#include "link/kernel_abi.h"

/*
 * What the transports over the kernel's vhost files share: system calls that complain by name, memory, the
 * eventfds of queues, and the ioctls that show a queue, which are the same for all of them.
 */

#define KERNEL_QUEUES_MAX  256u
#define KERNEL_ARENA_BYTES ((size_t)16 << 20)
/* Where the arena lies for the device, if it is free to: nowhere in our address space. */
#define KERNEL_ARENA_BASE  UINT64_C(0x100000000)

/* The two calls that reach the kernel's device, as ioctl(2) and write(2); tests put theirs here. */
struct kernel_system {
	int (*control)(void *context, int fd, unsigned long request, void *argument);
	ssize_t (*tell)(void *context, int fd, const void *message, size_t length);
	void *context;
};

extern const struct kernel_system kernel_system_real;

struct kernel_queue {
	int kick, call; /* eventfds; -1: none yet */
	bool started;
};

/* An open file of the kernel's, as a device. */
struct kernel {
	struct vio_dev *dev;
	const struct kernel_system *system;
	int fd;
	int failed; /* why it is gone; 0: it isn't */
	struct vio_kernel_mistake mistake;
	struct vio_arena arena;
	struct vio_platform platform;
	unsigned queue_limit; /* no queue has this index */
	int error_fd;         /* eventfd of all queues: a ring is broken */
	int config_fd;        /* eventfd: the configuration changed */
	bool ring_broken;
	uint32_t config_changes; /* counted */
	bool config_changed;     /* and not taken yet */
	struct kernel_queue queues[KERNEL_QUEUES_MAX];
};

/* Takes over `fd`, also on failure; then there is nothing to close. */
int kernel_make(struct kernel *kernel, int fd, size_t arena_bytes, const struct kernel_system *system);
void kernel_close(struct kernel *kernel);
/* Closes the file alone: the device is gone, its memory stays until kernel_close(). */
void kernel_hang_up(struct kernel *kernel);

/* `request`, where it may well be that the file doesn't know it: no complaint. */
int kernel_try(struct kernel *kernel, unsigned long request, void *argument);
/* The same with a complaint, where there is none yet: `name` is how the request is called. */
int kernel_call(struct kernel *kernel, unsigned long request, void *argument, const char *name);
/* A complaint in place of one that was there. Returns `error`. */
int kernel_complain(struct kernel *kernel, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* What errno says, as a code. A file whose device went is gone for good. */
int kernel_error(struct kernel *kernel);

/* The device's addresses of a ring, or where the process has it. */
enum kernel_addresses {
	KERNEL_OF_DEVICE,
	KERNEL_OF_PROCESS,
};

/* Shows a queue, with its eventfds; -VIO_EPEER where the file doesn't take it. */
int kernel_show_queue(struct kernel *kernel, uint16_t queue, const struct vio_queue_place *place,
		      uint32_t base, enum kernel_addresses addresses);
/* Takes the eventfds of a queue away from the file. */
void kernel_hide_queue(struct kernel *kernel, uint16_t queue);

/* Operations of a transport, with a struct kernel as its context. */
void kernel_queue_notify(struct vio_dev *dev, struct vio_drvq *q);
unsigned kernel_take_interrupts(struct vio_dev *dev);
/* Counts changes that the file told of. */
void kernel_listen(struct kernel *kernel);

static inline struct kernel *kernel_of(const struct vio_dev *dev)
{
	return dev->transport_context;
}

#endif
