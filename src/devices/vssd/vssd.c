/* SPDX-License-Identifier: BSD-3-Clause */
#include "devices/vssd/vssd.h"

#include <string.h>

#define UNIT_MIN 4096u
#define UNIT_MAX (UINT64_C(1) << 30)

VIO_STATIC_ASSERT(offsetof(struct vssd, requests) == 0, "the request queues' state is first");
VIO_STATIC_ASSERT(sizeof(struct virtio_vssd_config) == 136, "the configuration has holes");
VIO_STATIC_ASSERT(sizeof(struct virtio_vssd_control) == 8, "the control header has holes");
VIO_STATIC_ASSERT(sizeof(struct virtio_vssd_range) == 16, "a range has holes");
VIO_STATIC_ASSERT(sizeof(struct virtio_vssd_answer) == 16, "the answer has holes");

static const struct vio_property vssd_properties[] = {
	{ .name = "unit",
	  VIO_PROPERTY_MEMBER(struct vssd, unit, VIO_PROPERTY_BYTES),
	  .min = UNIT_MIN,
	  .max = UNIT_MAX,
	  .initial = "64K",
	  .help = "bytes that are handed back or given together" },
	{ .name = "deadline-ms",
	  VIO_PROPERTY_MEMBER(struct vssd, deadline_ms, VIO_PROPERTY_U32),
	  .initial = "30000",
	  .help = "a resize without progress for so long is withdrawn; 0: never" },
	VIO_BLOCK_REQUESTS_PROPERTIES,
};

static uint64_t unit_sectors(const struct vssd *vssd)
{
	return vssd->unit / VIRTIO_BLK_SECTOR_BYTES;
}

/* spec: VSSD-DEV-2 */
static bool vssd_serves(const struct vio_device *dev, uint64_t sector, uint64_t sectors)
{
	const struct vssd *vssd = vio_device_state(dev);
	uint64_t first = sector / unit_sectors(vssd);
	uint64_t last = (sector + sectors - 1) / unit_sectors(vssd);

	return vio_vssd_map_is_live(&vssd->map, first, last - first + 1);
}

static void vssd_get_features(struct vio_device *dev, struct vio_features *offer)
{
	vio_block_requests_get_features(dev, offer);
	if (!vio_features_has(offer, VIRTIO_BLK_F_RO))
		vio_features_set(offer, VIRTIO_VSSD_F_RESIZE);
}

/* spec: VSSD-DEV-3 */
static void vssd_get_config(struct vio_device *dev, void *config)
{
	const struct vssd *vssd = vio_device_state(dev);
	struct virtio_vssd_config wire;

	memset(&wire, 0, sizeof(wire));
	vio_block_requests_get_config(dev, &wire.blk);
	wire.total = vio_le64_make(vssd->map.total);
	wire.provisioned = vio_le64_make(vssd->map.provisioned);
	wire.target = vio_le64_make(vssd->map.target);
	wire.block_bytes = vio_le32_make((uint32_t)vssd->unit);
	wire.state = vio_le32_make(vssd_state(vssd));
	wire.ticket = vio_le32_make(vssd->ticket);
	wire.deadline_ms = vio_le32_make(vssd->deadline_ms);
	memcpy(config, &wire, sizeof(wire));
}

/* A driver that is at work sees a resize that goes on, and has the same time for it. spec: VSSD-DEV-12 */
static void vssd_set_status(struct vio_device *dev, uint8_t status)
{
	struct vssd *vssd = vio_device_state(dev);

	if (vio_device_running(dev) && vssd_state(vssd) != VIRTIO_VSSD_STATE_IDLE && vssd->changed)
		vssd->changed(vssd->watch_context, dev);
}

uint16_t vio_vssd_control_queue(const struct vio_device *dev)
{
	const struct vssd *vssd = vio_device_state(dev);

	/* spec: VSSD-DEV-16 */
	return vio_device_has_feature(dev, VIRTIO_BLK_F_MQ) ? vssd->requests.num_queues : 1;
}

static void vssd_kick(struct vio_device *dev, struct vio_devq *q)
{
	uint16_t control = vio_vssd_control_queue(dev);

	if (q->index == control)
		vio_vssd_control(dev, q);
	else if (q->index < control) /* hostile: A85 */
		vio_block_requests_kick(dev, q);
}

static void vssd_drain(struct vio_device *dev, struct vio_devq *q)
{
	if (q->index == vio_vssd_control_queue(dev))
		vio_vssd_control_drain(dev);
	else
		vio_block_requests_drain(dev, q);
}

/* Life. */

struct vssd_punch {
	struct vio_block_request request;
	int result;
};

static void vssd_punched(struct vio_block_request *request, int result)
{
	VIO_CONTAINER_OF(request, struct vssd_punch, request)->result = result;
}

/* A crash may have come between the record and the punching. spec: VSSD-DEV-12 */
static void vssd_punch_absent(struct vssd *vssd)
{
	struct vio_block *data = vssd->storage.data;
	uint64_t first = 0, count;

	vssd->unpunched = 0;
	for (; vio_vssd_map_run(&vssd->map, true, &first, &count); first += count) {
		struct vssd_punch punch = {
			.request = { .op = VIO_BLOCK_WRITE_ZEROES, .done = vssd_punched },
			.result = -VIO_EIO,
		};

		punch.request.flags = data->zeroes_unmap ? VIO_BLOCK_UNMAP : 0;
		punch.request.offset = first * vssd->unit;
		punch.request.length = count * vssd->unit;
		data->ops->submit(data, &punch.request);
		data->ops->drain(data);
		if (punch.result)
			vssd->unpunched += count;
	}
}

int vio_vssd_open_map(struct vssd *vssd)
{
	const struct vio_vssd_storage *storage = &vssd->storage;
	struct vssd_map *map = &vssd->map;
	int error;

	map->block = storage->map;
	map->block_bytes = (uint32_t)vssd->unit;
	map->total = storage->data->size_bytes / vssd->unit;
	if (!map->total || storage->map->size_bytes < 2 * vio_vssd_map_slot_bytes(map->total))
		return -VIO_ERANGE;
	error = vio_vssd_map_open(map, storage->memory);
	if (error)
		return error;
	vssd->ticket = (uint32_t)map->sequence;
	vssd->requests.capacity = vio_vssd_map_end(map) * unit_sectors(vssd);
	if (!storage->data->read_only)
		vssd_punch_absent(vssd);
	return 0;
}

static int vssd_realize(struct vio_device *dev)
{
	struct vssd *vssd = vio_device_state(dev);
	int error;

	if (!vssd->storage.data || !vssd->storage.map || !vssd->storage.memory)
		return -VIO_ENOENT;
	if (!vio_is_power_of_two(vssd->unit) || vssd->unit < vssd->storage.data->block_bytes ||
	    vssd->requests.num_queues == VIO_BLOCK_REQUESTS_QUEUES_MAX)
		return -VIO_ERANGE;
	vssd->requests.block = vssd->storage.data;
	error = vio_block_requests_realize(dev);
	if (error)
		return error;
	dev->queue_count = (uint16_t)(vssd->requests.num_queues + 1);
	vssd->requests.serves = vssd_serves;
	/* The map says how large the disk is, whatever becomes of its storage. */
	vssd->storage.data->changed = NULL;
	vssd->dev = dev;
	vssd->change = VSSD_REST;
	error = vio_vssd_open_map(vssd);
	if (error)
		vio_block_requests_unrealize(dev);
	return error;
}

static void vssd_unrealize(struct vio_device *dev)
{
	vio_vssd_control_drain(dev);
	vio_block_requests_unrealize(dev);
}

static const struct vssd *vssd_of(const struct vio_device *dev)
{
	return vio_device_state(dev);
}

uint64_t vio_vssd_map_bytes(const struct vio_device *dev, uint64_t data_bytes)
{
	return vio_vssd_memory_bytes(dev, data_bytes);
}

uint64_t vio_vssd_memory_bytes(const struct vio_device *dev, uint64_t data_bytes)
{
	return 2 * vio_vssd_map_slot_bytes(data_bytes / vssd_of(dev)->unit);
}

int vio_vssd_attach(struct vio_device *dev, const struct vio_vssd_storage *storage)
{
	struct vssd *vssd = vio_device_state(dev);

	if (dev->class != &vio_vssd_class)
		return -VIO_EINVAL;
	vssd->storage = *storage;
	return 0;
}

int vio_vssd_watch(struct vio_device *dev, void *context,
		   void (*changed)(void *context, struct vio_device *dev))
{
	struct vssd *vssd = vio_device_state(dev);

	if (dev->class != &vio_vssd_class)
		return -VIO_EINVAL;
	vssd->watch_context = context;
	vssd->changed = changed;
	return 0;
}

void vio_vssd_get_report(const struct vio_device *dev, struct vio_vssd_report *report)
{
	const struct vssd *vssd = vio_device_state(dev);
	/* For whoever asked for it a resize begins before it is recorded, and ends after that. */
	bool begins = vssd->change == VSSD_NOTE && vssd_state(vssd) == VIRTIO_VSSD_STATE_IDLE;
	uint64_t target = begins ? vssd->map.target_next : vssd->map.target;

	*report = (struct vio_vssd_report){
		.total = vssd->map.total,
		.provisioned = vssd->map.provisioned,
		.target = target,
		.block_bytes = (uint32_t)vssd->unit,
		.deadline_ms = vssd->deadline_ms,
		.state = vssd_state_towards(&vssd->map, target),
		.outcome = vssd->outcome,
		.unpunched = vssd->unpunched,
	};
}

const struct vio_device_class vio_vssd_class = {
	.name = "vssd",
	.summary = "block device that can ask blocks back and give them again",
	.id = VIRTIO_ID_VSSD,
	.queue_count = 2,
	.queue_size = 256,
	.request_bytes = sizeof(struct vio_block_request_state),
	.state_bytes = sizeof(struct vssd),
	.config_bytes = sizeof(struct virtio_vssd_config),
	.properties = { vssd_properties, VIO_ARRAY_SIZE(vssd_properties) },
	.realize = vssd_realize,
	.unrealize = vssd_unrealize,
	.get_features = vssd_get_features,
	.set_features = vio_block_requests_set_features,
	.get_config = vssd_get_config,
	.set_config = vio_block_requests_set_config,
	.set_status = vssd_set_status,
	.reset = vio_block_requests_reset,
	.kick = vssd_kick,
	.drain = vssd_drain,
	.save = vio_vssd_save,
	.load = vio_vssd_load,
	.version = 1,
};
