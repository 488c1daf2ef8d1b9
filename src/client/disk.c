/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "client/client.h"

#define SECTOR             VIRTIO_BLK_SECTOR_BYTES
#define STATUS_NOT_WRITTEN 0xffu
#define DESCRIPTORS_LEAST  3u /* header, data, status */

/* Requests. */

static struct vio_sg sg_of(const struct vio_client_queue *queue, const void *host, uint32_t length)
{
	return (struct vio_sg){ client_addr(queue->client, host), length };
}

static bool in_disk(const struct vio_client *client, uint64_t offset, uint64_t length)
{
	uint64_t bytes = atomic_load_explicit(&client->bytes, memory_order_relaxed);

	return length <= bytes && offset <= bytes - length; /* spec: DRV-BLK-009 */
}

static int sum_parts(const struct vio_client *client, const struct vio_client_request *request,
		     uint64_t *total)
{
	*total = 0;
	if (!request->part_count)
		return -VIO_EINVAL;
	if (request->part_count > client->parts_max)
		return -VIO_ERANGE;
	for (unsigned i = 0; i < request->part_count; i++) {
		if (!request->parts[i].length)
			return -VIO_EINVAL;
		if (request->parts[i].length > client->part_bytes_max)
			return -VIO_ERANGE;
		*total += request->parts[i].length;
	}
	/* The used length has 32 bits, for the status too. */
	return *total < UINT32_MAX ? 0 : -VIO_ERANGE;
}

/* Header and status around `data` elements that are in sg already. */
static void frame(struct vio_client_queue *queue, struct client_slot *slot, struct vio_drvq_buffer *buffer,
		  uint32_t type, uint64_t sector, unsigned data, bool device_writes)
{
	struct client_frame *frame = &queue->frames[slot->index];
	struct vio_sg *sg = (struct vio_sg *)(uintptr_t)buffer->sg;

	/* spec: DRV-BLK-011 */
	frame->request.type = vio_le32_make(type);
	frame->request.reserved = vio_le32_make(0);
	frame->request.sector = vio_le64_make(sector);
	frame->status = STATUS_NOT_WRITTEN;
	sg[0] = sg_of(queue, &frame->request, sizeof(frame->request));
	sg[data + 1] = sg_of(queue, &frame->status, 1);
	buffer->readable = device_writes ? 1 : data + 1;
	buffer->writable = device_writes ? data + 1 : 1;
}

static int fill_transfer(struct vio_client_queue *queue, const struct vio_client_request *request,
			 struct client_slot *slot, struct vio_drvq_buffer *buffer)
{
	const struct vio_client *client = queue->client;
	const bool reads = request->op == VIO_CLIENT_READ;
	uint64_t total;
	int error = sum_parts(client, request, &total);

	if (error)
		return error;
	if (!reads && client->read_only) /* spec: DRV-BLK-010 */
		return -VIO_EACCES;
	if (request->flags || request->offset % SECTOR || total % SECTOR) /* spec: DRV-BLK-013 */
		return -VIO_EINVAL;
	if (!in_disk(client, request->offset, total))
		return -VIO_ERANGE;
	error = client_place(queue, request, slot, (struct vio_sg *)(uintptr_t)buffer->sg + 1, reads,
			     (uint32_t)total);
	if (error)
		return error;
	frame(queue, slot, buffer, reads ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT, request->offset / SECTOR,
	      request->part_count, reads);
	slot->answer_bytes = reads ? (uint32_t)total + 1 : 1;
	return 0;
}

/* spec: DRV-BLK-014 DRV-BLK-016 DRV-BLK-018 DRV-BLK-020 */
static int fill_range(struct vio_client_queue *queue, const struct vio_client_request *request,
		      struct client_slot *slot, struct vio_drvq_buffer *buffer)
{
	const struct vio_client *client = queue->client;
	const bool zeroes = request->op == VIO_CLIENT_ZEROES;
	const uint64_t most = zeroes ? client->zeroes_bytes_max : client->discard_bytes_max;
	struct client_frame *own = &queue->frames[slot->index];

	if (!most)
		return -VIO_ENOTSUP;
	if (client->read_only)
		return -VIO_EACCES;
	if (request->part_count || request->flags & ~(zeroes ? VIO_CLIENT_UNMAP : 0) || !request->length ||
	    request->offset % SECTOR || request->length % SECTOR)
		return -VIO_EINVAL;
	if (request->length > most || !in_disk(client, request->offset, request->length))
		return -VIO_ERANGE;
	own->range = (struct virtio_blk_discard_write_zeroes){
		.sector = vio_le64_make(request->offset / SECTOR),
		.num_sectors = vio_le32_make((uint32_t)(request->length / SECTOR)),
		.flags = vio_le32_make(request->flags ? VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP : 0),
	};
	((struct vio_sg *)(uintptr_t)buffer->sg)[1] = sg_of(queue, &own->range, sizeof(own->range));
	frame(queue, slot, buffer, zeroes ? VIRTIO_BLK_T_WRITE_ZEROES : VIRTIO_BLK_T_DISCARD, 0, 1, false);
	slot->answer_bytes = 1;
	return 0;
}

static int fill_flush(struct vio_client_queue *queue, const struct vio_client_request *request,
		      struct client_slot *slot, struct vio_drvq_buffer *buffer)
{
	if (request->part_count || request->flags)
		return -VIO_EINVAL;
	if (!queue->client->flushes) /* spec: DRV-BLK-001 DRV-BLK-012: there is no cache */
		return 1;
	frame(queue, slot, buffer, VIRTIO_BLK_T_FLUSH, 0, 0, false);
	slot->answer_bytes = 1;
	return 0;
}

/* spec: DRV-BLK-015 */
static int fill_serial(struct vio_client_queue *queue, const struct vio_client_request *request,
		       struct client_slot *slot, struct vio_drvq_buffer *buffer)
{
	uint64_t total;
	int error = sum_parts(queue->client, request, &total);

	if (error)
		return error;
	if (request->flags || request->part_count != 1 || total != VIRTIO_BLK_ID_BYTES)
		return -VIO_EINVAL;
	error = client_place(queue, request, slot, (struct vio_sg *)(uintptr_t)buffer->sg + 1, true,
			     VIRTIO_BLK_ID_BYTES);
	if (error)
		return error;
	frame(queue, slot, buffer, VIRTIO_BLK_T_GET_ID, 0, 1, true);
	slot->answer_bytes = VIRTIO_BLK_ID_BYTES + 1;
	return 0;
}

static int disk_fill(struct vio_client_queue *queue, const struct vio_client_request *request,
		     struct client_slot *slot, struct vio_drvq_buffer *buffer)
{
	switch (request->op) {
	case VIO_CLIENT_READ:
	case VIO_CLIENT_WRITE:
		return fill_transfer(queue, request, slot, buffer);
	case VIO_CLIENT_FLUSH:
		return fill_flush(queue, request, slot, buffer);
	case VIO_CLIENT_DISCARD:
	case VIO_CLIENT_ZEROES:
		return fill_range(queue, request, slot, buffer);
	case VIO_CLIENT_SERIAL:
		return fill_serial(queue, request, slot, buffer);
	default:
		return -VIO_EINVAL;
	}
}

static int disk_outcome(const struct vio_client_queue *queue, const struct client_slot *slot,
			uint32_t written)
{
	return vio_blk_outcome(&queue->frames[slot->index].status, written, slot->answer_bytes);
}

/* The device's life. */

#define BIT(name) (UINT64_C(1) << VIRTIO_BLK_F_##name)

/* spec: DRV-BLK-001 DRV-BLK-004 DRV-BLK-010 */
static struct vio_features wanted_of(const struct vio_client *client)
{
	struct vio_features wanted = vio_features_or(
		vio_dev_ring_features(),
		vio_features_low(BIT(SIZE_MAX) | BIT(SEG_MAX) | BIT(RO) | BIT(BLK_SIZE) | BIT(FLUSH) |
				 BIT(TOPOLOGY) | BIT(MQ) | BIT(DISCARD) | BIT(WRITE_ZEROES)));

	/* Without flushes a cache mode couldn't be left safely. */
	if (vio_features_has(&client->dev.offered, VIRTIO_BLK_F_FLUSH))
		vio_features_set(&wanted, VIRTIO_BLK_F_CONFIG_WCE);
	if (client->options.flags & VIO_CLIENT_SPLIT)
		vio_features_clear(&wanted, VIRTIO_F_RING_PACKED);
	return wanted;
}

static void tell_changes(struct vio_client *client)
{
	const struct vio_blk_identity *identity = &client->identity;
	uint64_t bytes;

	if (!vio_mul_u64(identity->capacity, SECTOR, &bytes))
		bytes = UINT64_MAX / SECTOR * SECTOR;
	atomic_store_explicit(&client->bytes, bytes, memory_order_relaxed);
	client->info.disk.bytes = bytes;
	client->info.disk.writeback = identity->writeback;
}

static void tell(struct vio_client *client)
{
	const struct vio_blk_identity *identity = &client->identity;
	struct vio_client_disk *disk = &client->info.disk;

	client->read_only = identity->read_only;
	client->flushes = vio_dev_has_feature(&client->dev, VIRTIO_BLK_F_FLUSH);
	client->part_bytes_max = identity->part_bytes_max;
	client->discard_bytes_max =
		identity->discard_ranges_max ? (uint64_t)identity->discard_sectors_max * SECTOR : 0;
	client->zeroes_bytes_max =
		identity->zeroes_ranges_max ? (uint64_t)identity->zeroes_sectors_max * SECTOR : 0;
	*disk = (struct vio_client_disk){
		.block_bytes = identity->block_bytes,
		.physical_bytes = identity->block_bytes << identity->physical_exponent,
		.parts_max = client->parts_max,
		.part_bytes_max = client->part_bytes_max,
		.discard_bytes_max = client->discard_bytes_max,
		.discard_alignment = identity->discard_alignment < UINT32_MAX / SECTOR
					     ? identity->discard_alignment * SECTOR
					     : 0,
		.zeroes_bytes_max = client->zeroes_bytes_max,
		.read_only = identity->read_only,
	};
	if (identity->best_io_blocks <= UINT32_MAX / identity->block_bytes)
		disk->best_bytes = identity->best_io_blocks * identity->block_bytes;
	tell_changes(client);
}

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static int add_queues(struct vio_client *client)
{
	const struct vio_blk_identity *identity = &client->identity;
	const uint32_t count = least(identity->queue_count, client->options.queue_count);
	uint16_t i;
	int error;

	client->parts_max = least(identity->parts_max, VIO_CLIENT_PARTS_MAX);
	for (i = 0; i < count; i++) {
		/* hostile: B42 */
		error = client_add_queue(client, i, i, DESCRIPTORS_LEAST);
		if (error == -VIO_ENOENT && i)
			break; /* fewer than promised will do */
		if (error)
			return error;
		client->parts_max = least(client->parts_max, client->queues[i].q->size - 2u);
	}
	client->queue_count = i;
	return 0;
}

static int probe(struct vio_dev *dev)
{
	struct vio_client *client = dev->owner;
	struct vio_features wanted;
	int error = vio_dev_begin(dev, client->dev_queues, VIO_CLIENT_QUEUES_MAX);

	if (error)
		return error;
	wanted = wanted_of(client);
	error = vio_dev_accept(dev, &wanted);
	if (!error)
		error = vio_blk_identify(dev, &client->identity);
	if (!error)
		error = add_queues(client);
	if (error)
		return error;
	tell(client);
	return vio_dev_ready(dev);
}

/* In the control thread. spec: DRV-BLK-008 */
static void config_changed(struct vio_dev *dev)
{
	struct vio_client *client = dev->owner;
	int error = vio_blk_identify_again(dev, &client->identity);

	if (dev->transport->get_status(dev) & VIRTIO_CONFIG_S_NEEDS_RESET)
		client_give_up(client, -VIO_EPEER, "the device asks to be reset");
	pthread_mutex_lock(&client->lock);
	if (!error) /* what can't be read stays as it was */
		tell_changes(client);
	client->info.changes++;
	pthread_mutex_unlock(&client->lock);
}

static void remove_disk(struct vio_dev *dev)
{
	(void)vio_dev_reset(dev); /* what is in flight is forgotten with the queues */
}

static const struct vio_driver driver = {
	.name = "client-disk",
	.ids = (const uint32_t[]){ VIRTIO_ID_BLOCK, 0 },
	.state_bytes = 1,
	.probe = probe,
	.remove = remove_disk,
	.config_changed = config_changed,
};

const struct client_kind client_disk = {
	.id = VIRTIO_ID_BLOCK,
	.queues_unsaid = 1,
	.driver = &driver,
	.fill = disk_fill,
	.outcome = disk_outcome,
};
