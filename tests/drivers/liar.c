/* SPDX-License-Identifier: BSD-3-Clause */
#include "drivers/liar.h"

#include <string.h>

#include <vireo/spec/virtio_ring.h>

#define CONFIG_BYTES_MAX 512u

static struct liar *liar_of(const struct vio_device *device)
{
	return (struct liar *)((uintptr_t)device->class - offsetof(struct liar, class));
}

static void kick(struct vio_device *device, struct vio_devq *q)
{
	struct liar *liar = liar_of(device);
	uint16_t last = (uint16_t)(vio_le16_get(q->avail->idx) - 1);

	if (!liar->lie || q->index != liar->queue) {
		liar->honest->kick(device, q);
		return;
	}
	liar->told++;
	liar->lie(q, vio_le16_get(q->avail->ring[last & (q->size - 1u)]));
	q->interrupt(q->interrupt_context, q);
}

static void get_config(struct vio_device *device, void *config)
{
	struct liar *liar = liar_of(device);
	uint8_t whole[CONFIG_BYTES_MAX] = { 0 };
	vio_le64 value = vio_le64_make(liar->value);

	liar->honest->get_config(device, whole);
	memcpy(whole + liar->offset, &value, liar->width);
	memcpy(config, whole, device->config_bytes);
	if (liar->unstable)
		device->config_generation++;
}

void liar_take_over(struct liar *liar, struct vio_device *device)
{
	liar->honest = device->class;
	liar->class = *device->class;
	liar->class.kick = kick;
	if (liar->class.get_config)
		liar->class.get_config = get_config;
	device->class = &liar->class;
	device->packed = false;
}

void liar_use(struct vio_devq *q, uint32_t ahead, uint32_t id, uint32_t length)
{
	uint32_t slot = (vio_le16_get(q->used->idx) + ahead) & (q->size - 1u);

	q->used->ring[slot].id = vio_le32_make(id);
	q->used->ring[slot].len = vio_le32_make(length);
}

void liar_advance(struct vio_devq *q, uint16_t by)
{
	q->used->idx = vio_le16_make((uint16_t)(vio_le16_get(q->used->idx) + by));
}
