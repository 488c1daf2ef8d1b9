/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <vireo/spec/virtio_pci.h>

#include "link/vfio_user/server.h"

/* Regions: the model's configuration space and BARs, by message, and kicks by eventfd, too. */

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

int vfu_device_info(struct vio_vfio_user *server)
{
	struct vfio_user_device_info info;

	memcpy(&info, server->receiver.payload.bytes, sizeof(info));
	if (info.argsz < sizeof(info)) /* hostile: E8 */
		return vfu_refuse(server, -VIO_EINVAL, "GET_INFO: room for %u bytes", info.argsz);
	info = (struct vfio_user_device_info){
		.argsz = sizeof(info),
		.flags = VFIO_USER_DEVICE_PCI | VFIO_USER_DEVICE_RESETS,
		.num_regions = VFIO_USER_REGIONS,
		.num_irqs = VFIO_USER_IRQS,
	};
	memcpy(vfu_reply(&server->sender), &info, sizeof(info));
	return sizeof(info);
}

static uint64_t region_bytes(const struct vio_vfio_user *server, uint32_t region)
{
	if (region == VFIO_USER_REGION_CONFIG)
		return PCI_CONFIG_BYTES;
	return region < PCI_BAR_COUNT ? vio_pci_device_bar(&server->model, region).size : 0;
}

int vfu_region_info(struct vio_vfio_user *server)
{
	struct vfio_user_region_info info;

	memcpy(&info, server->receiver.payload.bytes, sizeof(info));
	if (info.argsz < sizeof(info)) /* hostile: E8 */
		return vfu_refuse(server, -VIO_EINVAL, "GET_REGION_INFO: room for %u bytes", info.argsz);
	if (info.index >= VFIO_USER_REGIONS)
		return vfu_refuse(server, -VIO_EINVAL, "GET_REGION_INFO: index %u", info.index);
	/* hostile: E16, there are no capabilities, whatever room there is for them */
	info = (struct vfio_user_region_info){
		.argsz = sizeof(info),
		.index = info.index,
		.size = region_bytes(server, info.index),
	};
	info.flags = info.size ? VFIO_USER_REGION_READS | VFIO_USER_REGION_WRITES : 0;
	memcpy(vfu_reply(&server->sender), &info, sizeof(info));
	return sizeof(info);
}

/* hostile: E11 */
static int judge(struct vio_vfio_user *server, const char *command,
		 const struct vfio_user_region_access *access, uint32_t most)
{
	uint64_t bytes = access->region < VFIO_USER_REGIONS ? region_bytes(server, access->region) : 0;

	if (!bytes)
		return vfu_refuse(server, -VIO_EINVAL, "%s: there is no region %u", command, access->region);
	if (!access->count || access->count > most)
		return vfu_refuse(server, -VIO_EINVAL, "%s: %u bytes, of at most %u", command, access->count,
				  most);
	if (access->offset > bytes || access->count > bytes - access->offset)
		return vfu_refuse(server, -VIO_EINVAL, "%s: %u bytes at %#llx of region %u, which has %#llx",
				  command, access->count, (unsigned long long)access->offset, access->region,
				  (unsigned long long)bytes);
	return 0;
}

/* The widest register access that begins here and is no longer than what is left. */
static unsigned width_at(uint32_t region, uint64_t offset, uint32_t left)
{
	unsigned width = region == VFIO_USER_REGION_CONFIG ? 4 : 8;

	while (width > left || offset % width)
		width /= 2;
	return width;
}

/* The value of a register that is read on the way, at its place in what is read. */
static uint64_t placed(uint32_t at, uint64_t value, uint64_t offset, unsigned width)
{
	return offset <= at && at - offset < width ? value << 8 * (at - offset) : 0;
}

/*
 * A reset, of a queue or of all, isn't over while the client may still be at what it was asked for before:
 * until it has answered, the driver doesn't read zero. spec: DEV-BASIC-010 DEV-PCI-023
 */
static uint64_t unfinished(struct vio_vfio_user *server, uint32_t region, uint64_t offset, unsigned width)
{
	if (region != VIO_PCI_MEMORY_BAR || !vfu_dma_trails(server))
		return 0;
	if (server->dev->status) {
		const uint16_t queue = server->model.queue_select;

		if (queue >= server->dev->queue_count || server->model_queues[queue].enabled)
			return 0; /* spec: DEV-PCI-021 */
		return placed(VIRTIO_PCI_COMMON_Q_RESET, 1, offset, width);
	}
	return placed(VIRTIO_PCI_COMMON_STATUS, VIRTIO_CONFIG_S_NEEDS_RESET, offset, width);
}

static void read_region(struct vio_vfio_user *server, const struct vfio_user_region_access *access,
			uint8_t *to)
{
	uint32_t done = 0;

	while (done < access->count) {
		uint64_t offset = access->offset + done, value;
		unsigned width = width_at(access->region, offset, access->count - done), i;

		if (access->region == VFIO_USER_REGION_CONFIG)
			value = vio_pci_device_config_read(&server->model, (unsigned)offset, width);
		else
			value = vio_pci_device_bar_read(&server->model, access->region, offset, width) |
				unfinished(server, access->region, offset, width);
		for (i = 0; i < width; i++)
			to[done++] = (uint8_t)(value >> (8 * i));
	}
}

/* The queue that a write to the memory BAR kicks, or -1. */
static int kicked_queue(const struct vio_vfio_user *server, const struct vfio_user_region_access *access)
{
	const struct vio_pci_layout *layout = &server->model.layout;
	uint64_t inside = access->offset - layout->notify;

	if (access->region != VIO_PCI_MEMORY_BAR || access->offset < layout->notify ||
	    inside >= layout->notify_bytes)
		return -1;
	return (int)(inside / (layout->notify_bytes / server->dev->queue_count));
}

static void write_region(struct vio_vfio_user *server, const struct vfio_user_region_access *access,
			 const uint8_t *from)
{
	int queue = kicked_queue(server, access);
	uint32_t done = 0;

	if (queue >= 0)
		vfu_release_kicked(server, (uint16_t)queue);
	while (done < access->count) {
		uint64_t offset = access->offset + done, value = 0;
		unsigned width = width_at(access->region, offset, access->count - done), i;

		for (i = 0; i < width; i++)
			value |= (uint64_t)from[done++] << (8 * i);
		if (access->region == VFIO_USER_REGION_CONFIG)
			vio_pci_device_config_write(&server->model, (unsigned)offset, width, (uint32_t)value);
		else
			vio_pci_device_bar_write(&server->model, access->region, offset, width, value);
	}
	if (queue >= 0)
		vfu_relay_kick(&server->queues[queue]);
}

/*
 * Between two machines a device does nothing, and nothing is to be done to it but what a client does to the
 * function itself: move and switch BARs. hostile: E19
 */
static int judge_stopped(struct vio_vfio_user *server, const struct vfio_user_region_access *access)
{
	if (!vfu_stopped(server) ||
	    (access->region == VFIO_USER_REGION_CONFIG && access->offset + access->count <= PCI_HEADER_BYTES))
		return 0;
	return vfu_refuse(server, -VIO_EBUSY, "a write to %#llx of region %u, while the device is stopped",
			  (unsigned long long)access->offset, access->region);
}

int vfu_region_read(struct vio_vfio_user *server)
{
	uint32_t most = least(server->client_data, VIO_VFIO_USER_DATA_MAX);
	uint8_t *reply = vfu_reply(&server->sender);
	struct vfio_user_region_access access;
	int error;

	memcpy(&access, server->receiver.payload.bytes, sizeof(access));
	error = judge(server, "REGION_READ", &access, most);
	if (error)
		return error;
	memcpy(reply, &access, sizeof(access));
	read_region(server, &access, reply + sizeof(access));
	return (int)(sizeof(access) + access.count);
}

int vfu_region_write(struct vio_vfio_user *server)
{
	uint32_t bytes = vfu_payload_bytes(&server->receiver);
	struct vfio_user_region_access access;
	int error;

	memcpy(&access, server->receiver.payload.bytes, sizeof(access));
	error = judge(server, "REGION_WRITE", &access, VIO_VFIO_USER_DATA_MAX);
	if (!error)
		error = judge_stopped(server, &access);
	if (!error && access.count != bytes - sizeof(access))
		error = vfu_refuse(server, -VIO_EINVAL, "REGION_WRITE: %u bytes, of which %zu came",
				   access.count, bytes - sizeof(access));
	if (error)
		return error;
	write_region(server, &access, server->receiver.payload.bytes + sizeof(access));
	memcpy(vfu_reply(&server->sender), &access, sizeof(access));
	return sizeof(access);
}

int vfu_region_write_multi(struct vio_vfio_user *server)
{
	uint32_t bytes = vfu_payload_bytes(&server->receiver), i;
	const uint8_t *from = server->receiver.payload.bytes;
	struct vfio_user_region_write write;
	uint64_t count;
	int error = 0;

	memcpy(&count, from, sizeof(count));
	from += sizeof(count);
	/* hostile: E12 */
	if (count != (bytes - sizeof(count)) / sizeof(write) || (bytes - sizeof(count)) % sizeof(write))
		return vfu_refuse(server, -VIO_EINVAL, "REGION_WRITE_MULTI: %llu writes in %u bytes",
				  (unsigned long long)count, bytes);
	for (i = 0; !error && i < count; i++) {
		struct vfio_user_region_access access;

		memcpy(&write, from + i * sizeof(write), sizeof(write));
		access = (struct vfio_user_region_access){ write.offset, write.region, write.count };
		error = judge(server, "REGION_WRITE_MULTI", &access, sizeof(write.data));
		if (!error)
			error = judge_stopped(server, &access);
	}
	for (i = 0; !error && i < count; i++) {
		memcpy(&write, from + i * sizeof(write), sizeof(write));
		write_region(server,
			     &(struct vfio_user_region_access){ write.offset, write.region, write.count },
			     write.data);
	}
	if (error)
		return error;
	memcpy(vfu_reply(&server->sender), &count, sizeof(count));
	return sizeof(count);
}

/* Kicks by eventfd. */

static uint64_t notify_offset(const struct vio_vfio_user *server, uint16_t queue)
{
	const struct vio_pci_layout *layout = &server->model.layout;

	return layout->notify + layout->notify_bytes / server->dev->queue_count * (uint64_t)queue;
}

static void kicked(struct vio_watch *watch)
{
	struct vfu_queue *queue = VIO_CONTAINER_OF(watch, struct vfu_queue, kick);
	struct vio_vfio_user *server = queue->server;
	unsigned width = vio_device_has_feature(server->dev, VIRTIO_F_NOTIFICATION_DATA) ? 4 : 2;

	if (link_signal_take(watch->fd) <= 0)
		return;
	if (server->crew.post) {
		queue->kicked = true;
		vfu_serve(queue);
		return;
	}
	vfu_release_queues(server);
	vfu_relay_kick(queue);
	vio_pci_device_bar_write(&server->model, VIO_PCI_MEMORY_BAR, notify_offset(server, queue->index),
				 width, queue->index);
}

static int open_kick(struct vio_vfio_user *server, struct vfu_queue *queue)
{
	int error;

	if (queue->kick.fd >= 0)
		return 0;
	queue->kick.ready = kicked;
	queue->kick.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (queue->kick.fd < 0)
		return -VIO_ESYS;
	error = queue->watcher.add(queue->watcher.context, &queue->kick);
	if (error) {
		close(queue->kick.fd);
		queue->kick.fd = -1;
	}
	return error;
}

void vfu_kicks_close(struct vio_vfio_user *server)
{
	uint16_t i;

	for (i = 0; i < server->dev->queue_count; i++) {
		struct vfu_queue *queue = &server->queues[i];

		if (queue->kick.fd < 0)
			continue;
		queue->watcher.remove(queue->watcher.context, &queue->kick);
		close(queue->kick.fd);
		queue->kick.fd = -1;
	}
}

/* The first queues, as many as the client takes descriptors in a message; the rest is kicked by message. */
int vfu_region_io_fds(struct vio_vfio_user *server)
{
	uint8_t *reply = vfu_reply(&server->sender);
	struct vfio_user_io_fds fds;
	uint32_t room, i;
	int error;

	memcpy(&fds, server->receiver.payload.bytes, sizeof(fds));
	if (fds.argsz < sizeof(fds)) /* hostile: E8 */
		return vfu_refuse(server, -VIO_EINVAL, "GET_REGION_IO_FDS: room for %u bytes", fds.argsz);
	if (fds.index >= VFIO_USER_REGIONS || fds.flags || fds.count)
		return vfu_refuse(server, -VIO_EINVAL, "GET_REGION_IO_FDS: index %u, flags %#x, count %u",
				  fds.index, fds.flags, fds.count);
	room = fds.argsz;
	if (fds.index == VIO_PCI_MEMORY_BAR)
		fds.count = least(server->dev->queue_count, server->client_fds);
	fds.argsz = (uint32_t)(sizeof(fds) + fds.count * sizeof(struct vfio_user_io_fd));
	memcpy(reply, &fds, sizeof(fds));
	if (room < fds.argsz)
		return sizeof(fds);
	for (i = 0; i < fds.count; i++) {
		struct vfio_user_io_fd place = {
			.offset = notify_offset(server, (uint16_t)i),
			.size = sizeof(uint16_t),
			.fd_index = i,
			.type = VFIO_USER_IO_FD_IOEVENTFD,
		};

		error = open_kick(server, &server->queues[i]);
		if (error)
			return vfu_refuse(server, error, "GET_REGION_IO_FDS: no eventfd for queue %u", i);
		memcpy(reply + sizeof(fds) + i * sizeof(place), &place, sizeof(place));
		server->sender.fds[i] = server->queues[i].kick.fd;
	}
	server->sender.fd_count = fds.count;
	return (int)fds.argsz;
}
