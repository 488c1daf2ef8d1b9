/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A machine with a virtio device at an address: what a virtual machine monitor or an emulator adds around
 * Vireo's devices. In place of a processor and its guest, a function makes the loads and stores.
 */
#include <stdio.h>
#include <stdlib.h>

#include <vireo/devices/adder.h>
#include <vireo/mmio.h>
#include <vireo/spec/virtio_ring.h>

#define RAM_BASE     0x80000000u
#define RAM_BYTES    0x4000u
#define VIRTIO_BASE  0x10001000u
#define VIRTIO_BYTES 0x1000u

struct machine {
	uint8_t ram[RAM_BYTES];
	struct vio_region regions[1];
	struct vio_mem mem;
	struct vio_device device;
	struct vio_mmio_queue queues[1];
	struct vio_mmio_device model;
	void *state, *storage; /* the device's */
	unsigned line;         /* what an interrupt controller would get */
};

/* What the processor's loads and stores come to where there is no memory. */
static uint32_t load(struct machine *m, uint64_t address)
{
	if (address - VIRTIO_BASE < VIRTIO_BYTES)
		return (uint32_t)vio_mmio_device_read(&m->model, address - VIRTIO_BASE, 4);
	return UINT32_MAX;
}

static void store(struct machine *m, uint64_t address, uint32_t value)
{
	if (address - VIRTIO_BASE < VIRTIO_BYTES)
		vio_mmio_device_write(&m->model, address - VIRTIO_BASE, 4, value);
}

static void interrupt(void *context, unsigned level)
{
	((struct machine *)context)->line = level;
}

/* The device, what its driver's addresses mean, and its registers. */
static int power_on(struct machine *m)
{
	struct vio_region ram = { vio_addr_make(RAM_BASE), RAM_BYTES, m->ram, VIO_MEM_READ | VIO_MEM_WRITE };
	struct vio_mmio_device_config config = {
		.device = &m->device,
		.mem = &m->mem,
		.version = VIRTIO_MMIO_VERSION_MODERN,
		.queues = m->queues,
		.context = m,
		.interrupt = interrupt,
	};

	m->state = calloc(1, vio_adder_class.state_bytes);
	vio_mem_init(&m->mem, m->regions, 1);
	vio_mem_add(&m->mem, &ram);
	vio_device_init(&m->device, &vio_adder_class, m->state);
	(void)vio_device_realize(&m->device); /* the adder has nothing to refuse */
	m->storage = malloc(vio_device_storage_bytes(&m->device));
	vio_device_provide(&m->device, m->storage);
	return vio_mmio_device_init(&m->model, &config);
}

/* The guest: its driver asks the device to add one to a number. */
static uint32_t guest(struct machine *m, uint32_t number)
{
	/* clang-format off */
	static const uint32_t begin[][2] = {
		{ VIRTIO_MMIO_STATUS, 0 }, { VIRTIO_MMIO_STATUS, 1 | 2 },
		{ VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1 }, { VIRTIO_MMIO_DRIVER_FEATURES, 1 },
		{ VIRTIO_MMIO_STATUS, 1 | 2 | 8 }, { VIRTIO_MMIO_QUEUE_SEL, 0 },
		{ VIRTIO_MMIO_QUEUE_SIZE, 4 }, { VIRTIO_MMIO_QUEUE_DESC_LOW, RAM_BASE },
		{ VIRTIO_MMIO_QUEUE_DRIVER_LOW, RAM_BASE + 0x1000 },
		{ VIRTIO_MMIO_QUEUE_DEVICE_LOW, RAM_BASE + 0x2000 },
		{ VIRTIO_MMIO_QUEUE_READY, 1 }, { VIRTIO_MMIO_STATUS, 1 | 2 | 8 | 4 },
	};
	/* clang-format on */
	struct virtq_desc *desc = (void *)m->ram;
	vio_le16 *driver_area = (void *)(m->ram + 0x1000);
	vio_le32 *words = (void *)(m->ram + 0x3000);

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(begin); i++)
		store(m, VIRTIO_BASE + begin[i][0], begin[i][1]);
	words[0] = vio_le32_make(number);
	desc[0] = (struct virtq_desc){ vio_le64_make(RAM_BASE + 0x3000), vio_le32_make(4),
				       vio_le16_make(VIRTQ_DESC_F_NEXT), vio_le16_make(1) };
	desc[1] = (struct virtq_desc){ vio_le64_make(RAM_BASE + 0x3004), vio_le32_make(4),
				       vio_le16_make(VIRTQ_DESC_F_WRITE), vio_le16_make(0) };
	driver_area[1] = vio_le16_make(1); /* one request, which begins at descriptor 0 */
	store(m, VIRTIO_BASE + VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	return vio_le32_get(words[1]);
}

int main(void)
{
	struct machine *m = calloc(1, sizeof(*m));

	if (power_on(m))
		return 1;
	printf("type %u\n", load(m, VIRTIO_BASE + VIRTIO_MMIO_DEVICE_ID));
	printf("6 + 1 = %u\n", guest(m, 6));
	printf("interrupt %u\n", m->line);
	store(m, VIRTIO_BASE + VIRTIO_MMIO_INTERRUPT_ACK,
	      load(m, VIRTIO_BASE + VIRTIO_MMIO_INTERRUPT_STATUS));
	printf("interrupt %u\n", m->line);
	vio_mmio_device_end(&m->model);
	vio_device_unrealize(&m->device);
	free(m->storage);
	free(m->state);
	free(m);
	return 0;
}
