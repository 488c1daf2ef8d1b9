/* SPDX-License-Identifier: BSD-3-Clause */
#include "transport/parrot.h"

#include <stdlib.h>
#include <string.h>

static struct parrot *parrot_of(struct vio_device *dev)
{
	return vio_device_state(dev);
}

static void kick(struct vio_device *dev, struct vio_devq *q)
{
	struct parrot *parrot = parrot_of(dev);
	struct vio_buf buf;

	parrot->kicks[q->index]++;
	while (vio_devq_pop(q, &buf)) {
		parrot->popped++;
		if (parrot->keep)
			parrot->kept = buf;
		else
			vio_devq_push(q, &buf, 0);
	}
	vio_devq_notify(q);
}

static void drain(struct vio_device *dev, struct vio_devq *q)
{
	parrot_of(dev)->drained++;
}

static void reset(struct vio_device *dev)
{
	parrot_of(dev)->resets++;
}

static void get_features(struct vio_device *dev, struct vio_features *offer)
{
	*offer = vio_features_or(*offer, vio_features_low(parrot_of(dev)->more));
	vio_features_set(offer, FEATURE);
	vio_features_set(offer, HIGH_FEATURE);
}

static void get_config(struct vio_device *dev, void *config)
{
	memcpy(config, parrot_of(dev)->config, CONFIG_BYTES);
}

static void set_config(struct vio_device *dev, const void *config, uint32_t offset, uint32_t length)
{
	memcpy(parrot_of(dev)->config, config, CONFIG_BYTES);
}

static const struct vio_device_class class = {
	.name = "parrot",
	.summary = "gives back what it is given",
	.id = 62,
	.queue_count = QUEUES,
	.queue_size = QUEUE_SIZE,
	.config_bytes = CONFIG_BYTES,
	.get_features = get_features,
	.get_config = get_config,
	.set_config = set_config,
	.reset = reset,
	.kick = kick,
	.drain = drain,
};

void parrot_make(struct parrot *parrot, uint32_t id, uint64_t more)
{
	struct vio_region region = { vio_addr_make(BASE), MEMORY_BYTES, NULL, VIO_MEM_READ | VIO_MEM_WRITE };
	struct vio_region rom = { vio_addr_make(BASE + MEMORY_BYTES), ROM_BYTES, NULL, VIO_MEM_READ };

	memset(parrot, 0, sizeof(*parrot));
	parrot->memory = aligned_alloc(4096, MEMORY_BYTES + ROM_BYTES);
	parrot->drvq_storage = malloc(vio_drvq_storage_bytes(QUEUE_SIZE));
	assert_true(parrot->memory && parrot->drvq_storage);
	memset(parrot->memory, 0, MEMORY_BYTES + ROM_BYTES);
	region.host = parrot->memory;
	rom.host = parrot->memory + MEMORY_BYTES;
	vio_mem_init(&parrot->mem, parrot->regions, 2);
	assert_int_equal(vio_mem_add(&parrot->mem, &region), 0);
	assert_int_equal(vio_mem_add(&parrot->mem, &rom), 0);
	vio_device_init(&parrot->device, &class, parrot);
	if (id)
		parrot->device.id = id;
	parrot->more = more;
	for (unsigned i = 0; i < CONFIG_BYTES; i++)
		parrot->config[i] = (uint8_t)(0x11 * (i + 1));
}

void parrot_provide(struct parrot *parrot)
{
	assert_int_equal(vio_device_realize(&parrot->device), 0);
	parrot->storage = malloc(vio_device_storage_bytes(&parrot->device));
	assert_non_null(parrot->storage);
	vio_device_provide(&parrot->device, parrot->storage);
}

void parrot_free(struct parrot *parrot)
{
	vio_device_unrealize(&parrot->device);
	free(parrot->storage);
	free(parrot->drvq_storage);
	free(parrot->memory);
}

static void notify_nobody(void *context, struct vio_drvq *q)
{
}

void parrot_make_rings(struct parrot *parrot, uint32_t align)
{
	const struct vio_drvq_config config = {
		.size = QUEUE_SIZE,
		.ring = { parrot->memory, vio_addr_make(BASE) },
		.device_align = align,
		.storage = parrot->drvq_storage,
		.notify_device = notify_nobody,
	};

	assert_int_equal(vio_drvq_start(&parrot->drvq, &config), 0);
}

void parrot_add(struct parrot *parrot)
{
	const struct vio_sg sg = { vio_addr_make(BASE + 0x8000), 16 };

	assert_int_equal(vio_drvq_add(&parrot->drvq, &sg, 1, 0, parrot), 0);
	vio_drvq_kick(&parrot->drvq);
}
