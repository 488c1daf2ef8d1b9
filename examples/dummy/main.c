/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A Linux driver and a device in one process, with the registers of virtio-mmio between them.
 *
 *	dummy [BUFFERS]
 *
 * The device fills so many buffers (default 1000) and the driver, virtio_dummy.c, checks them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <vireo/linux.h>
#include <vireo/loopback.h>

VIO_LINUX_DRIVER(virtio_dummy_driver);

#define BUFFERS_DEFAULT 1000u
#define BUFFERS_MAX     1000000u
#define PAGE            4096u

/* The device. */

struct dummy {
	uint32_t left, filled; /* buffers */
	uint8_t next;          /* byte */
};

static void dummy_kick(struct vio_device *dev, struct vio_devq *q)
{
	struct dummy *dummy = vio_device_state(dev);
	struct vio_buf buf;

	while (dummy->left && vio_devq_pop(q, &buf)) {
		uint32_t written = 0;

		while (vio_write(&buf, &dummy->next, 1) == 1) {
			dummy->next++;
			written++;
		}
		vio_devq_push(q, &buf, written);
		dummy->left--;
		dummy->filled++;
	}
	vio_devq_notify(q);
}

static const struct vio_device_class dummy_class = {
	.name = "dummy",
	.summary = "fills buffers with bytes that count up",
	.id = VIRTIO_ID_DUMMY,
	.queue_count = 1,
	.queue_size = 64,
	.state_bytes = sizeof(struct dummy),
	.kick = dummy_kick,
};

/* The platform: bus addresses are those of the process. */

struct machine {
	struct vio_platform platform;
	struct vio_region region;
	struct vio_mem mem;
	struct vio_device device;
	struct vio_dev dev;
	struct vio_loopback loopback;
	struct vio_mmio_queue queues[1];
	struct dummy dummy;
	struct vio_linux_driver driver;
};

static int take(void *context, size_t bytes, unsigned rights, struct vio_shared *memory)
{
	size_t pages = (bytes + PAGE - 1) / PAGE;

	memory->host = aligned_alloc(PAGE, pages * PAGE);
	if (!memory->host)
		return -VIO_ENOMEM;
	memset(memory->host, 0, pages * PAGE);
	memory->addr = vio_addr_make((uintptr_t)memory->host);
	return 0;
}

static void give_back(void *context, const struct vio_shared *memory, size_t bytes)
{
	free(memory->host);
}

static int share(void *context, void *host, size_t length, unsigned rights, struct vio_addr *addr)
{
	*addr = vio_addr_make((uintptr_t)host);
	return 0;
}

static void unshare(void *context, void *host, size_t length, unsigned rights, struct vio_addr addr)
{
}

static uint64_t now_ns(void *context)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void wait_some(void *context, uint64_t timeout_ns)
{
	struct machine *machine = context;

	(void)vio_loopback_run(&machine->loopback);
}

/* The codes are Vireo's. */
static int plug(struct machine *machine, void *storage)
{
	/* All of the process is the memory of this machine. */
	const struct vio_region all = { .base = vio_addr_make(PAGE),
					.size = (uint64_t)INTPTR_MAX - PAGE,
					.host = (uint8_t *)(uintptr_t)PAGE,
					.rights = VIO_MEM_READ | VIO_MEM_WRITE };
	int error;

	machine->platform =
		(struct vio_platform){ machine, false, take, give_back, share, unshare, now_ns, wait_some };
	vio_mem_init(&machine->mem, &machine->region, 1);
	error = vio_mem_add(&machine->mem, &all);
	if (error)
		return error;
	vio_device_provide(&machine->device, storage);
	return vio_loopback_mmio_probe(&machine->loopback, &machine->device, &machine->mem,
				       VIRTIO_MMIO_VERSION_MODERN, machine->queues, &machine->dev);
}

/* The driver's life. */
static int drive(struct machine *machine, uint32_t buffers)
{
	void *state;
	int error = vio_linux_driver_init(&machine->driver, virtio_dummy_driver_entry, 0);

	if (error)
		return error;
	state = calloc(1, machine->driver.driver.state_bytes);
	if (!state)
		return -VIO_ENOMEM;
	machine->dummy.left = buffers;
	error = vio_driver_bind(&machine->dev, &machine->driver.driver, &machine->platform, state);
	if (!error) {
		while (vio_loopback_run(&machine->loopback))
			continue;
		printf("device: filled %u buffers over %s\n", machine->dummy.filled,
		       machine->dev.transport->name);
		error = vio_dev_broken(&machine->dev) ? -VIO_EPEER : 0;
		(void)vio_driver_unbind(&machine->dev);
	}
	free(state);
	return error;
}

static int run(struct machine *machine, uint32_t buffers)
{
	void *storage;
	int error;

	vio_device_init(&machine->device, &dummy_class, &machine->dummy);
	error = vio_device_realize(&machine->device);
	if (error)
		return error;
	storage = malloc(vio_device_storage_bytes(&machine->device));
	error = storage ? plug(machine, storage) : -VIO_ENOMEM;
	if (!error) {
		error = drive(machine, buffers);
		vio_loopback_end(&machine->loopback);
	}
	vio_device_unrealize(&machine->device);
	free(storage);
	return error;
}

int main(int argc, char **argv)
{
	unsigned long buffers = BUFFERS_DEFAULT;
	struct machine *machine;
	char *end = NULL;
	int error;

	if (argc > 1)
		buffers = strtoul(argv[1], &end, 10);
	if (argc > 2 || (end && *end) || !buffers || buffers > BUFFERS_MAX) {
		fprintf(stderr, "usage: dummy [BUFFERS], 1 to %u of them\n", BUFFERS_MAX);
		return 2;
	}
	machine = calloc(1, sizeof(*machine));
	error = machine ? run(machine, (uint32_t)buffers) : -VIO_ENOMEM;
	free(machine);
	if (error)
		fprintf(stderr, "dummy: %s\n", vio_strerror(error));
	return error ? 1 : 0;
}
