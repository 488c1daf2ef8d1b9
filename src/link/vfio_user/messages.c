/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include "link/vfio_user/server.h"

/* Which command does what, and what all have in common. */

/* What a client is told of a code; the log has the words. */
static int errno_of(int error)
{
	switch (error) {
	case -VIO_ERANGE:
	case -VIO_EINVAL:
		return EINVAL;
	case -VIO_ENOENT:
		return ENOENT;
	case -VIO_EEXIST:
		return EEXIST;
	case -VIO_ENOMEM:
		return ENOMEM;
	case -VIO_ENOSPC:
		return ENOSPC;
	case -VIO_EBUSY:
	case -VIO_EPHASE:
		return EBUSY;
	case -VIO_EPROTO:
		return EPROTO;
	case -VIO_ENOTSUP:
		return EOPNOTSUPP;
	case -VIO_EACCES:
		return EACCES;
	default:
		return EIO;
	}
}

static int dma_map(struct vio_vfio_user *server)
{
	const uint32_t known = VFIO_USER_DMA_MAP_READ | VFIO_USER_DMA_MAP_WRITE;
	struct vfu_receiver *receiver = &server->receiver;
	int fd = receiver->fd_count ? receiver->fds[0] : -1, error;
	struct vfio_user_dma_map map;

	memcpy(&map, receiver->payload.bytes, sizeof(map));
	if (map.argsz < sizeof(map) || (map.flags & ~known)) /* hostile: E8 */
		return vfu_refuse(server, -VIO_EINVAL, "DMA_MAP: argsz %u, flags %#x", map.argsz, map.flags);
	if (fd >= 0 || (map.flags & VFIO_USER_DMA_MAP_WRITE))
		vfu_hold_queues(server);
	error = vfu_memory_add(&server->memory, &map, fd, server->socket.fd);
	if (error)
		return vfu_refuse(server, error, "DMA_MAP: %#llx bytes at %#llx, from %#llx of a file: %s",
				  (unsigned long long)map.size, (unsigned long long)map.address,
				  (unsigned long long)map.offset, vio_strerror(error));
	return 0;
}

/* hostile: E10 A108, all of a region or nothing */
static int dma_unmap(struct vio_vfio_user *server)
{
	struct vfio_user_dma_unmap unmap;
	struct vfu_region *region;

	memcpy(&unmap, server->receiver.payload.bytes, sizeof(unmap));
	if (unmap.argsz < sizeof(unmap) || unmap.flags)
		return vfu_refuse(server, -VIO_EINVAL, "DMA_UNMAP: argsz %u, flags %#x", unmap.argsz,
				  unmap.flags);
	region = vfu_memory_find(&server->memory, unmap.address, unmap.size);
	if (!region)
		return vfu_refuse(server, -VIO_ENOENT, "DMA_UNMAP: no region of %#llx bytes at %#llx",
				  (unsigned long long)unmap.size, (unsigned long long)unmap.address);
	if (region->map.bytes || (region->rights & VIO_MEM_WRITE)) /* as at DMA_MAP */
		vfu_hold_queues(server);
	vfu_memory_remove(&server->memory, region);
	memcpy(vfu_reply(&server->sender), &unmap, sizeof(unmap));
	return sizeof(unmap);
}

static int device_reset(struct vio_vfio_user *server)
{
	vfu_interrupts_reset(server);
	vio_pci_device_bus_reset(&server->model);
	vfu_forget_held(server);
	vfu_migration_reset(server); /* hostile: E18 */
	return 0;
}

struct command {
	const char *name;
	int (*handle)(struct vio_vfio_user *server);
	uint32_t least; /* bytes of payload */
	uint32_t most;
	unsigned fds; /* that may come with it */
};

#define ANY           VFU_PAYLOAD_MAX
#define EXACTLY(type) sizeof(struct type), sizeof(struct type)

/* clang-format off */
static const struct command commands[] = {
	[VFIO_USER_VERSION] = { "VERSION", vfu_version, sizeof(struct vfio_user_version), ANY, 0 },
	[VFIO_USER_DMA_MAP] = { "DMA_MAP", dma_map, EXACTLY(vfio_user_dma_map), 1 },
	[VFIO_USER_DMA_UNMAP] = { "DMA_UNMAP", dma_unmap, EXACTLY(vfio_user_dma_unmap), 0 },
	[VFIO_USER_DEVICE_GET_INFO] = { "GET_INFO", vfu_device_info, EXACTLY(vfio_user_device_info), 0 },
	[VFIO_USER_DEVICE_GET_REGION_INFO] = {
		"GET_REGION_INFO", vfu_region_info, sizeof(struct vfio_user_region_info), ANY, 0 },
	[VFIO_USER_DEVICE_GET_REGION_IO_FDS] = {
		"GET_REGION_IO_FDS", vfu_region_io_fds, sizeof(struct vfio_user_io_fds), ANY, 0 },
	[VFIO_USER_DEVICE_GET_IRQ_INFO] = { "GET_IRQ_INFO", vfu_irq_info, EXACTLY(vfio_user_irq_info), 0 },
	[VFIO_USER_DEVICE_SET_IRQS] = {
		"SET_IRQS", vfu_set_irqs, sizeof(struct vfio_user_irq_set), ANY, VIO_VFIO_USER_FDS_MAX },
	[VFIO_USER_REGION_READ] = { "REGION_READ", vfu_region_read, EXACTLY(vfio_user_region_access), 0 },
	[VFIO_USER_REGION_WRITE] = {
		"REGION_WRITE", vfu_region_write, sizeof(struct vfio_user_region_access), ANY, 0 },
	[VFIO_USER_DEVICE_RESET] = { "RESET", device_reset, 0, 0, 0 },
	[VFIO_USER_REGION_WRITE_MULTI] = {
		"REGION_WRITE_MULTI", vfu_region_write_multi, sizeof(uint64_t), ANY, 0 },
	[VFIO_USER_DEVICE_FEATURE] = {
		"DEVICE_FEATURE", vfu_feature, sizeof(struct vfio_user_feature), ANY, 0 },
	[VFIO_USER_MIG_DATA_READ] = { "MIG_DATA_READ", vfu_migration_read, EXACTLY(vfio_user_mig_data), 0 },
	[VFIO_USER_MIG_DATA_WRITE] = {
		"MIG_DATA_WRITE", vfu_migration_write, sizeof(struct vfio_user_mig_data), ANY, 0 },
};
/* clang-format on */

static int run(struct vio_vfio_user *server)
{
	const struct vfio_user_header *header = &server->receiver.header;
	uint32_t bytes = vfu_payload_bytes(&server->receiver);
	const struct command *command;

	command = header->command < VIO_ARRAY_SIZE(commands) ? &commands[header->command] : NULL;
	if (!command || !command->handle)
		return vfu_refuse(server, -VIO_ENOTSUP, "command %u isn't served", header->command);
	/* hostile: E8 E11 */
	if (bytes < command->least || bytes > command->most)
		return vfu_refuse(server, -VIO_EINVAL, "%s: %u bytes", command->name, bytes);
	if (server->receiver.fd_count > command->fds)
		return vfu_refuse(server, -VIO_EINVAL, "%s: %u descriptors came with it", command->name,
				  server->receiver.fd_count);
	if (command->handle != dma_map && command->handle != dma_unmap)
		vfu_release_queues(server);
	return command->handle(server);
}

int vfu_handle_message(struct vio_vfio_user *server)
{
	const struct vfio_user_header *header = &server->receiver.header;
	bool first = header->command == VFIO_USER_VERSION;
	int result;

	if (vfu_is_answer(header))
		return vfu_dma_reply(server);
	server->sender.length = server->sender.sent = 0;
	server->sender.fd_count = 0;
	if (!server->negotiated && !first) { /* hostile: E7 */
		server->receiver.state.mistake = "a command before the version";
		return -VIO_EPROTO;
	}
	result = run(server);
	if (first && result == -VIO_EPROTO)
		return result; /* nothing could be said that it would understand */
	if (result < 0)
		server->sender.fd_count = 0;
	if (!(header->flags & VFIO_USER_FLAGS_NO_REPLY))
		vfu_sender_finish(&server->sender, header, result < 0 ? 0 : (size_t)result,
				  result < 0 ? errno_of(result) : 0);
	return 0;
}
