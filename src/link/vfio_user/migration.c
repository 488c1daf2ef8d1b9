/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include "link/vfio_user/server.h"

/*
 * The device, taken elsewhere: a state machine that the client drives by DEVICE_FEATURE.
 *
 *	RUNNING <-> STOP <-> STOP_COPY    its state can be read, as it was when that was begun
 *	            STOP <-> RESUMING     another's is being written, and taken when that ends
 *
 * Any of the four leads to any other, through STOP. A state that can't be taken leads to ERROR, and only
 * a reset leads out of that. Stopped, queues are held as while memory changes: what was taken from them
 * has been answered, the rest stays in the rings for whoever comes next. So nothing of requests is in the
 * state:
 *
 *	u32 magic, u16 format, u16 queues, u32 bytes of the function, u32 bytes of the device,
 *	for each queue: u8 runs, u16 next to take, u16 next to fill,
 *	the function (vireo/pci.h), the device (vireo/device.h)
 *
 * There is no copying ahead (PRE_COPY): a state is a few kilobytes.
 */
#define STATE_MAGIC  0x55465632u /* "2VFU" */
#define STATE_FORMAT 1u
#define STATE_MAX    (UINT32_C(1) << 24)

static void drop(struct vfu_migration *migration)
{
	free(migration->data);
	migration->data = NULL;
	migration->bytes = migration->at = 0;
}

void vfu_migration_reset(struct vio_vfio_user *server)
{
	drop(&server->migration);
	server->migration.state = VFIO_USER_STATE_RUNNING;
}

static void write_state(struct vio_vfio_user *server, struct vio_state_writer *writer, size_t function,
			size_t device)
{
	uint16_t i;

	vio_state_put_u32(writer, STATE_MAGIC);
	vio_state_put_u16(writer, STATE_FORMAT);
	vio_state_put_u16(writer, server->dev->queue_count);
	vio_state_put_u32(writer, (uint32_t)function);
	vio_state_put_u32(writer, (uint32_t)device);
	for (i = 0; i < server->dev->queue_count; i++) {
		const struct vfu_queue *queue = &server->queues[i];

		vio_state_put_u8(writer, queue->held);
		vio_state_put_u16(writer, queue->held ? queue->base.avail : 0);
		vio_state_put_u16(writer, queue->held ? queue->base.used : 0);
	}
	vio_pci_device_save(&server->model, writer);
}

static int save(struct vio_vfio_user *server)
{
	struct vfu_migration *migration = &server->migration;
	struct vio_state_writer function = { NULL, 0, 0, false }, writer = { NULL, 0, 0, false };
	size_t device = vio_device_save(server->dev, NULL, 0), bytes;

	vio_pci_device_save(&server->model, &function);
	write_state(server, &writer, function.used, device);
	bytes = writer.used + device;
	migration->data = malloc(bytes);
	if (!migration->data)
		return vfu_refuse(server, -VIO_ENOMEM, "no memory for %zu bytes of the device's state",
				  bytes);
	writer = (struct vio_state_writer){ migration->data, bytes, 0, false };
	write_state(server, &writer, function.used, device);
	(void)vio_device_save(server->dev, migration->data + writer.used, device);
	migration->bytes = bytes;
	return 0;
}

/* Where the queues stood; they go on when the device does. The device and its function are loaded. */
static int hold_as_saved(struct vio_vfio_user *server, struct vio_state_reader *reader)
{
	const bool packed = vio_device_has_feature(server->dev, VIRTIO_F_RING_PACKED);
	uint16_t i;

	for (i = 0; i < server->dev->queue_count; i++) {
		const struct vio_pci_queue *set_up = &server->model_queues[i];
		struct vfu_queue *queue = &server->queues[i];
		uint8_t runs = vio_state_get_u8(reader);

		queue->base.avail = vio_state_get_u16(reader);
		queue->base.used = vio_state_get_u16(reader);
		if (runs > 1 || (runs && !set_up->enabled))
			return vio_state_refuse(reader, "running of a queue", i);
		if (runs && (!(server->dev->status & VIRTIO_CONFIG_S_FEATURES_OK) ||
			     (!packed && !vio_is_power_of_two(set_up->size))))
			return vio_state_refuse(reader, "queue that can't run", i);
		queue->held = runs;
		server->resting |= queue->held;
		if (runs)
			server->dev->queue_configs[i] = (struct vio_devq_config){
				.size = (uint16_t)set_up->size,
				.descriptor_area = vio_addr_make(set_up->area[0]),
				.driver_area = vio_addr_make(set_up->area[1]),
				.device_area = vio_addr_make(set_up->area[2]),
				.features = server->dev->features_accepted,
			};
	}
	return 0;
}

/* hostile: G9 G10, lengths are judged before anything is taken */
static int take_parts(struct vio_vfio_user *server, struct vio_state_reader *reader)
{
	const struct vfu_migration *migration = &server->migration;
	uint32_t magic = vio_state_get_u32(reader), function, device;
	uint16_t format = vio_state_get_u16(reader), queues = vio_state_get_u16(reader);
	struct vio_state_reader rest = { .failed = false };
	size_t positions = 5 * (size_t)server->dev->queue_count;
	int error;

	function = vio_state_get_u32(reader);
	device = vio_state_get_u32(reader);
	if (magic != STATE_MAGIC)
		return vio_state_refuse(reader, "magic number", magic);
	if (format != STATE_FORMAT)
		return vio_state_refuse(reader, "format", format);
	if (queues != server->dev->queue_count)
		return vio_state_refuse(reader, "queue count", queues);
	if ((uint64_t)reader->used + positions + function + device != migration->bytes)
		return vio_state_refuse(reader, "length", migration->bytes);
	rest = (struct vio_state_reader){ .from = reader->from + reader->used + positions, .size = function };
	error = vio_pci_device_load(&server->model, &rest);
	if (!error && rest.used != rest.size)
		error = vio_state_refuse(&rest, "length of the function", function);
	if (error) {
		reader->refusal = rest.refusal;
		return error;
	}
	error = vio_device_load_stopped(server->dev, rest.from + function, device);
	if (error) {
		reader->refusal = server->dev->refusal;
		return error;
	}
	return hold_as_saved(server, reader);
}

static int load(struct vio_vfio_user *server)
{
	struct vio_state_reader reader = { .from = server->migration.data, .size = server->migration.bytes };
	int error = take_parts(server, &reader);

	drop(&server->migration);
	if (!error) {
		vio_pci_device_loaded(&server->model);
		return 0;
	}
	vio_pci_device_bus_reset(&server->model);
	vfu_forget_held(server);
	server->migration.state = VFIO_USER_STATE_ERROR;
	return vfu_refuse(server, -VIO_EINVAL, "the state can't be taken: %s %#llx: %s",
			  reader.refusal.what ? reader.refusal.what : "device",
			  (unsigned long long)reader.refusal.value, vio_strerror(error));
}

static int to_stop(struct vio_vfio_user *server)
{
	struct vfu_migration *migration = &server->migration;
	const uint32_t from = migration->state;
	int error = 0;

	if (from == VFIO_USER_STATE_RUNNING && vfu_relays_any(server))
		return vfu_refuse(server, -VIO_ENOTSUP,
				  "a device whose rings came without a descriptor can't be taken elsewhere");
	migration->state = VFIO_USER_STATE_STOP;
	if (from == VFIO_USER_STATE_RUNNING)
		vfu_hold_queues(server);
	else if (from == VFIO_USER_STATE_RESUMING)
		error = load(server);
	else
		drop(migration);
	return error;
}

static int from_stop(struct vio_vfio_user *server, uint32_t to)
{
	int error = 0;

	if (to == VFIO_USER_STATE_STOP_COPY)
		error = save(server);
	if (error)
		return error;
	server->migration.state = to;
	if (to == VFIO_USER_STATE_RESUMING) {
		vfu_interrupts_reset(server);
		vio_pci_device_bus_reset(&server->model);
		vfu_forget_held(server);
	} else if (to == VFIO_USER_STATE_RUNNING) {
		vfu_release_queues(server);
		vfu_interrupts_settle(server);
	}
	return 0;
}

/* hostile: E19 */
static int go_to(struct vio_vfio_user *server, uint32_t to)
{
	const uint32_t from = server->migration.state;
	int error = 0;

	if (to < VFIO_USER_STATE_STOP || to > VFIO_USER_STATE_RESUMING || from == VFIO_USER_STATE_ERROR)
		return vfu_refuse(server, -VIO_EINVAL, "MIG_DEVICE_STATE: from %u to %u", from, to);
	if (from == to)
		return 0;
	if (from != VFIO_USER_STATE_STOP)
		error = to_stop(server);
	return error || to == VFIO_USER_STATE_STOP ? error : from_stop(server, to);
}

/* What can be asked of a feature, and how much comes with the answer. */
static uint32_t methods_of(uint32_t feature, uint32_t *bytes)
{
	switch (feature) {
	case VFIO_USER_FEATURE_MIGRATION:
		*bytes = sizeof(uint64_t);
		return VFIO_USER_FEATURE_GET;
	case VFIO_USER_FEATURE_MIG_DEVICE_STATE:
		*bytes = sizeof(struct vfio_user_mig_state);
		return VFIO_USER_FEATURE_GET | VFIO_USER_FEATURE_SET;
	default:
		return 0;
	}
}

static int get(struct vio_vfio_user *server, uint32_t feature)
{
	uint8_t *to = vfu_reply(&server->sender) + sizeof(struct vfio_user_feature);
	const struct vfio_user_mig_state state = { .device_state = server->migration.state };
	const uint64_t states = VFIO_USER_MIGRATION_STOP_COPY;

	if (feature == VFIO_USER_FEATURE_MIGRATION)
		memcpy(to, &states, sizeof(states));
	else
		memcpy(to, &state, sizeof(state));
	return 0;
}

static int set(struct vio_vfio_user *server)
{
	const uint8_t *from = server->receiver.payload.bytes + sizeof(struct vfio_user_feature);
	struct vfio_user_mig_state state;

	memcpy(&state, from, sizeof(state));
	memcpy(vfu_reply(&server->sender) + sizeof(struct vfio_user_feature), &state, sizeof(state));
	return go_to(server, state.device_state);
}

int vfu_feature(struct vio_vfio_user *server)
{
	const uint32_t known = VFIO_USER_FEATURE_GET | VFIO_USER_FEATURE_SET | VFIO_USER_FEATURE_PROBE;
	uint32_t came = vfu_payload_bytes(&server->receiver), bytes = 0, methods, offered;
	struct vfio_user_feature wire;
	int error;

	memcpy(&wire, server->receiver.payload.bytes, sizeof(wire));
	methods = wire.flags & (VFIO_USER_FEATURE_GET | VFIO_USER_FEATURE_SET);
	offered = methods_of(wire.flags & VFIO_USER_FEATURE_MASK, &bytes);
	/* hostile: E20, pages that were written aren't logged */
	if (!offered)
		return vfu_refuse(server, -VIO_ENOTSUP, "DEVICE_FEATURE: there is no feature %u",
				  wire.flags & VFIO_USER_FEATURE_MASK);
	if ((wire.flags & ~(known | VFIO_USER_FEATURE_MASK)) || (methods & ~offered) ||
	    (!(wire.flags & VFIO_USER_FEATURE_PROBE) && methods != VFIO_USER_FEATURE_GET &&
	     methods != VFIO_USER_FEATURE_SET))
		return vfu_refuse(server, -VIO_EINVAL, "DEVICE_FEATURE: flags %#x", wire.flags);
	memcpy(vfu_reply(&server->sender), &wire, sizeof(wire));
	if (wire.flags & VFIO_USER_FEATURE_PROBE)
		return sizeof(wire);
	if (wire.argsz < sizeof(wire) + bytes) /* hostile: E8 */
		return vfu_refuse(server, -VIO_EINVAL, "DEVICE_FEATURE: room for %u bytes", wire.argsz);
	if (methods == VFIO_USER_FEATURE_SET && came != sizeof(wire) + bytes)
		return vfu_refuse(server, -VIO_EINVAL, "DEVICE_FEATURE: %u bytes", came);
	wire.argsz = (uint32_t)sizeof(wire) + bytes;
	memcpy(vfu_reply(&server->sender), &wire, sizeof(wire));
	error = methods == VFIO_USER_FEATURE_GET ? get(server, wire.flags & VFIO_USER_FEATURE_MASK)
						 : set(server);
	return error ? error : (int)wire.argsz;
}

int vfu_migration_read(struct vio_vfio_user *server)
{
	struct vfu_migration *migration = &server->migration;
	uint8_t *reply = vfu_reply(&server->sender);
	struct vfio_user_mig_data wire;
	size_t left = migration->bytes - migration->at;

	memcpy(&wire, server->receiver.payload.bytes, sizeof(wire));
	if (migration->state != VFIO_USER_STATE_STOP_COPY) /* hostile: E19 */
		return vfu_refuse(server, -VIO_EINVAL, "MIG_DATA_READ: in state %u", migration->state);
	if (!wire.size || wire.size > VIO_VFIO_USER_DATA_MAX || wire.size > server->client_data ||
	    wire.argsz < sizeof(wire) + wire.size)
		return vfu_refuse(server, -VIO_EINVAL, "MIG_DATA_READ: %u bytes, room for %u", wire.size,
				  wire.argsz);
	if (wire.size > left)
		wire.size = (uint32_t)left;
	wire.argsz = (uint32_t)sizeof(wire) + wire.size;
	memcpy(reply, &wire, sizeof(wire));
	if (wire.size)
		memcpy(reply + sizeof(wire), migration->data + migration->at, wire.size);
	migration->at += wire.size;
	return (int)wire.argsz;
}

int vfu_migration_write(struct vio_vfio_user *server)
{
	struct vfu_migration *migration = &server->migration;
	uint32_t came = vfu_payload_bytes(&server->receiver) - (uint32_t)sizeof(struct vfio_user_mig_data);
	struct vfio_user_mig_data wire;
	uint8_t *more;

	memcpy(&wire, server->receiver.payload.bytes, sizeof(wire));
	if (migration->state != VFIO_USER_STATE_RESUMING) /* hostile: E19 */
		return vfu_refuse(server, -VIO_EINVAL, "MIG_DATA_WRITE: in state %u", migration->state);
	if (wire.size != came || !came)
		return vfu_refuse(server, -VIO_EINVAL, "MIG_DATA_WRITE: %u bytes, of which %u came",
				  wire.size, came);
	if (came > STATE_MAX - migration->bytes) /* hostile: G9 */
		return vfu_refuse(server, -VIO_ENOSPC, "MIG_DATA_WRITE: a state has %u bytes at most",
				  STATE_MAX);
	more = realloc(migration->data, migration->bytes + came);
	if (!more)
		return vfu_refuse(server, -VIO_ENOMEM, "MIG_DATA_WRITE: no memory for %zu bytes",
				  migration->bytes + came);
	memcpy(more + migration->bytes, server->receiver.payload.bytes + sizeof(wire), came);
	migration->data = more;
	migration->bytes += came;
	return 0;
}
