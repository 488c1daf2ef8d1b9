/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "link/kernel.h"

#define NS_PER_S UINT64_C(1000000000)
/* With nobody there a wait is a nap, so that who polls in a loop doesn't spin. */
#define NAP_NS   UINT64_C(1000000)

static int control(void *context, int fd, unsigned long request, void *argument)
{
	return ioctl(fd, request, argument);
}

static ssize_t tell(void *context, int fd, const void *message, size_t length)
{
	return write(fd, message, length);
}

const struct kernel_system kernel_system_real = { control, tell, NULL };

int kernel_complain(struct kernel *kernel, int error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(kernel->mistake.text, sizeof(kernel->mistake.text), format, arguments);
	va_end(arguments);
	return error;
}

int kernel_error(struct kernel *kernel)
{
	switch (errno) {
	case ENODEV:
	case ENXIO:
	case EBADFD:
		kernel->failed = -VIO_EHANGUP;
		return -VIO_EHANGUP;
	case ENOTTY:
	case EOPNOTSUPP:
		return -VIO_ENOTSUP;
	case EBUSY:
	case EADDRINUSE:
		return -VIO_EBUSY;
	case EACCES:
	case EPERM:
		return -VIO_EACCES;
	case ENOMEM:
	case ENOSPC:
		return -VIO_ENOMEM;
	case EINVAL:
		return -VIO_EINVAL;
	case E2BIG:
		return -VIO_ERANGE;
	default:
		return -VIO_ESYS;
	}
}

int kernel_try(struct kernel *kernel, unsigned long request, void *argument)
{
	int result;

	if (kernel->failed)
		return kernel->failed;
	do
		result = kernel->system->control(kernel->system->context, kernel->fd, request, argument);
	while (result < 0 && errno == EINTR);
	return result < 0 ? kernel_error(kernel) : 0;
}

int kernel_call(struct kernel *kernel, unsigned long request, void *argument, const char *name)
{
	bool gone = kernel->failed;
	int error = kernel_try(kernel, request, argument);

	if (error && !gone)
		kernel_complain(kernel, error, "%s: %s", name, strerror(errno));
	return error;
}

/* Queues. */

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static bool drain(int fd)
{
	uint64_t count;

	return fd >= 0 && read(fd, &count, sizeof(count)) == sizeof(count);
}

static int set_state(struct kernel *kernel, unsigned long request, uint16_t queue, uint32_t number,
		     const char *name)
{
	struct vhost_vring_state state = { queue, number };

	return kernel_call(kernel, request, &state, name);
}

static int set_file(struct kernel *kernel, unsigned long request, uint16_t queue, int fd, const char *name)
{
	struct vhost_vring_file file = { queue, fd };

	return kernel_call(kernel, request, &file, name);
}

static int set_places(struct kernel *kernel, uint16_t queue, const struct vio_queue_place *place,
		      enum kernel_addresses addresses)
{
	struct vhost_vring_addr addr = {
		.index = queue,
		.desc_user_addr = place->descriptor_area.raw,
		.used_user_addr = place->device_area.raw,
		.avail_user_addr = place->driver_area.raw,
	};
	const void *descriptors = vio_arena_host(&kernel->arena, place->descriptor_area);
	const void *used = vio_arena_host(&kernel->arena, place->device_area);
	const void *offered = vio_arena_host(&kernel->arena, place->driver_area);

	if (!descriptors || !used || !offered)
		return kernel_complain(kernel, -VIO_EINVAL,
				       "queue %u: its ring isn't in the platform's memory", queue);
	if (addresses == KERNEL_OF_PROCESS) {
		addr.desc_user_addr = (uintptr_t)descriptors;
		addr.used_user_addr = (uintptr_t)used;
		addr.avail_user_addr = (uintptr_t)offered;
	}
	return kernel_call(kernel, VHOST_SET_VRING_ADDR, &addr, "VHOST_SET_VRING_ADDR");
}

static int open_eventfds(struct kernel *kernel, struct kernel_queue *own)
{
	if (own->kick < 0)
		own->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (own->call < 0)
		own->call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (own->kick < 0 || own->call < 0)
		return kernel_complain(kernel, -VIO_ESYS, "eventfd: %s", strerror(errno));
	/* Of an earlier life. */
	drain(own->kick);
	drain(own->call);
	return 0;
}

int kernel_show_queue(struct kernel *kernel, uint16_t queue, const struct vio_queue_place *place,
		      uint32_t base, enum kernel_addresses addresses)
{
	struct kernel_queue *own = &kernel->queues[queue];
	int error;

	if (own->started)
		return -VIO_EPEER;
	error = open_eventfds(kernel, own);
	if (error)
		return error;
	own->started = true;
	error = set_state(kernel, VHOST_SET_VRING_NUM, queue, place->size, "VHOST_SET_VRING_NUM");
	if (!error)
		error = set_state(kernel, VHOST_SET_VRING_BASE, queue, base, "VHOST_SET_VRING_BASE");
	if (!error)
		error = set_places(kernel, queue, place, addresses);
	if (!error)
		error = set_file(kernel, VHOST_SET_VRING_ERR, queue, kernel->error_fd, "VHOST_SET_VRING_ERR");
	if (!error)
		error = set_file(kernel, VHOST_SET_VRING_CALL, queue, own->call, "VHOST_SET_VRING_CALL");
	if (!error)
		error = set_file(kernel, VHOST_SET_VRING_KICK, queue, own->kick, "VHOST_SET_VRING_KICK");
	return kernel->failed ? kernel->failed : error ? -VIO_EPEER : 0;
}

void kernel_hide_queue(struct kernel *kernel, uint16_t queue)
{
	struct vhost_vring_file none = { queue, VHOST_FILE_UNBIND };

	/* Where that is refused, the file keeps eventfds that nobody uses. */
	(void)kernel_try(kernel, VHOST_SET_VRING_KICK, &none);
	(void)kernel_try(kernel, VHOST_SET_VRING_CALL, &none);
	kernel->queues[queue].started = false;
}

void kernel_queue_notify(struct vio_dev *dev, struct vio_drvq *q)
{
	struct kernel *kernel = kernel_of(dev);
	const uint64_t one = 1;

	/* That it doesn't fit means that the device has been told often enough. */
	if (q->index < KERNEL_QUEUES_MAX && kernel->queues[q->index].started &&
	    write(kernel->queues[q->index].kick, &one, sizeof(one)) < 0)
		return;
}

void kernel_listen(struct kernel *kernel)
{
	if (!drain(kernel->config_fd))
		return;
	kernel->config_changes++;
	kernel->config_changed = true;
}

unsigned kernel_take_interrupts(struct vio_dev *dev)
{
	struct kernel *kernel = kernel_of(dev);
	unsigned causes = 0, queue;

	for (queue = 0; queue < kernel->queue_limit; queue++)
		if (kernel->queues[queue].started && drain(kernel->queues[queue].call))
			causes |= VIO_INTERRUPT_QUEUE;
	kernel_listen(kernel);
	if (drain(kernel->error_fd)) {
		kernel->ring_broken = true;
		causes |= VIO_INTERRUPT_CONFIG;
	}
	if (kernel->config_changed)
		causes |= VIO_INTERRUPT_CONFIG;
	kernel->config_changed = false;
	return causes;
}

/* The platform. */

static int take(void *context, size_t bytes, unsigned rights, struct vio_shared *memory)
{
	return vio_arena_take(&((struct kernel *)context)->arena, bytes, rights, memory);
}

static void give_back(void *context, const struct vio_shared *memory, size_t bytes)
{
	vio_arena_give_back(&((struct kernel *)context)->arena, memory, bytes);
}

static int share(void *context, void *host, size_t length, unsigned rights, struct vio_addr *addr)
{
	return vio_arena_share(&((struct kernel *)context)->arena, host, length, rights, addr);
}

static void unshare(void *context, void *host, size_t length, unsigned rights, struct vio_addr addr)
{
	vio_arena_unshare(&((struct kernel *)context)->arena, host, length, rights, addr);
}

static uint64_t now_ns(void *context)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static void wait_for_device(void *context, uint64_t timeout_ns)
{
	struct kernel *kernel = context;
	struct pollfd pollfds[KERNEL_QUEUES_MAX + 2];
	struct timespec timeout;
	nfds_t count = 0;
	unsigned queue;

	for (queue = 0; queue < kernel->queue_limit; queue++)
		if (kernel->queues[queue].started)
			pollfds[count++] = (struct pollfd){ kernel->queues[queue].call, POLLIN, 0 };
	pollfds[count++] = (struct pollfd){ kernel->config_fd, POLLIN, 0 };
	pollfds[count++] = (struct pollfd){ kernel->error_fd, POLLIN, 0 };
	if (kernel->failed && timeout_ns > NAP_NS)
		timeout_ns = NAP_NS;
	timeout = (struct timespec){ (time_t)(timeout_ns / NS_PER_S), (long)(timeout_ns % NS_PER_S) };
	ppoll(pollfds, count, &timeout, NULL);
	(void)vio_dev_interrupt(kernel->dev);
}

/* Life. */

static int make_parts(struct kernel *kernel, size_t arena_bytes)
{
	size_t bytes = arena_bytes ? arena_bytes : KERNEL_ARENA_BYTES;

	if (kernel->error_fd < 0 || kernel->config_fd < 0)
		return kernel_complain(kernel, -VIO_ESYS, "eventfd: %s", strerror(errno));
	if (vio_arena_make(&kernel->arena, bytes))
		return kernel_complain(kernel, -VIO_ENOMEM, "no %zu bytes of memory can be mapped", bytes);
	kernel->arena.addr = vio_addr_make(KERNEL_ARENA_BASE);
	return 0;
}

int kernel_make(struct kernel *kernel, int fd, size_t arena_bytes, const struct kernel_system *system)
{
	unsigned queue;
	int error;

	kernel->system = system;
	kernel->fd = fd;
	kernel->queue_limit = KERNEL_QUEUES_MAX;
	kernel->error_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	kernel->config_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	for (queue = 0; queue < KERNEL_QUEUES_MAX; queue++)
		kernel->queues[queue] = (struct kernel_queue){ -1, -1, false };
	kernel->platform = (struct vio_platform){
		.context = kernel,
		.take = take,
		.give_back = give_back,
		.share = share,
		.unshare = unshare,
		.now_ns = now_ns,
		.wait = wait_for_device,
	};
	error = make_parts(kernel, arena_bytes);
	if (error)
		kernel_close(kernel);
	return error;
}

void kernel_hang_up(struct kernel *kernel)
{
	close_fd(&kernel->fd);
	kernel->failed = -VIO_EHANGUP;
	kernel_complain(kernel, -VIO_EHANGUP, "hung up");
}

void kernel_close(struct kernel *kernel)
{
	unsigned queue;

	/* The file first: with it goes the device's right to the memory. */
	close_fd(&kernel->fd);
	for (queue = 0; queue < KERNEL_QUEUES_MAX; queue++) {
		close_fd(&kernel->queues[queue].kick);
		close_fd(&kernel->queues[queue].call);
	}
	close_fd(&kernel->error_fd);
	close_fd(&kernel->config_fd);
	vio_arena_free(&kernel->arena);
}
