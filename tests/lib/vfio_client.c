/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/vfio_client.h"

#ifndef RIG_CORE_ONLY

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

static void close_fds(struct vfio_client *client)
{
	for (unsigned i = 0; i < client->fd_count; i++)
		close(client->fds[i]);
	client->fd_count = 0;
}

void vfio_client_send(struct vfio_client *client, const struct vfio_client_message *message)
{
	struct vfio_user_header header = { ++client->id, message->command, message->size, message->flags, 0 };
	/* More than a server takes, for those that try. */
	union {
		char bytes[CMSG_SPACE(64 * sizeof(int))];
		struct cmsghdr header;
	} control;
	struct iovec iov[2] = { { &header, sizeof(header) },
				{ (void *)(uintptr_t)message->payload, message->payload_bytes } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	size_t fd_bytes = message->fd_count * sizeof(int);

	if (!header.size)
		header.size = (uint32_t)sizeof(header) + message->payload_bytes;
	if (message->fd_count) {
		memset(&control, 0, sizeof(control));
		control.header = (struct cmsghdr){ CMSG_LEN(fd_bytes), SOL_SOCKET, SCM_RIGHTS };
		memcpy(CMSG_DATA(&control.header), message->fds, fd_bytes);
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(fd_bytes);
	}
	close_fds(client);
	sendmsg(client->socket, &msg, MSG_NOSIGNAL);
}

static void keep_fds(struct vfio_client *client, struct msghdr *msg)
{
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg);

	assert_false(msg->msg_flags & MSG_CTRUNC);
	if (!cmsg)
		return;
	client->fd_count = (unsigned)((cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int));
	memcpy(client->fds, CMSG_DATA(cmsg), client->fd_count * sizeof(int));
}

int vfio_client_receive(struct vfio_client *client)
{
	union {
		char bytes[CMSG_SPACE(VIO_VFIO_USER_FDS_MAX * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { &client->header, sizeof(client->header) };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
	};
	ssize_t got = recvmsg(client->socket, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (got < 0)
		return errno == EAGAIN ? VFIO_CLIENT_SILENCE : VFIO_CLIENT_GONE;
	if (!got)
		return VFIO_CLIENT_GONE;
	assert_int_equal(got, sizeof(client->header));
	keep_fds(client, &msg);
	client->reply_bytes = client->header.size - (uint32_t)sizeof(client->header);
	assert_in_range(client->reply_bytes, 0, VFIO_CLIENT_REPLY_MAX);
	if (client->reply_bytes)
		assert_int_equal(recv(client->socket, client->reply, client->reply_bytes, MSG_WAITALL),
				 client->reply_bytes);
	assert_int_equal(client->header.flags & VFIO_USER_FLAGS_TYPE_MASK, VFIO_USER_FLAGS_REPLY);
	if (!(client->header.flags & VFIO_USER_FLAGS_ERROR)) {
		assert_int_equal(client->header.error, 0);
		return 0;
	}
	/* An error is the header alone, and says which. */
	assert_int_equal(client->reply_bytes, 0);
	assert_int_equal(client->fd_count, 0);
	assert_int_not_equal(client->header.error, 0);
	return (int)client->header.error;
}

int vfio_client_exchange(struct vfio_client *client, const struct vfio_client_message *message)
{
	int result;

	vfio_client_send(client, message);
	client->waiting(client->context);
	result = vfio_client_receive(client);
	if (result >= 0) {
		assert_int_equal(client->header.id, client->id);
		assert_int_equal(client->header.command, message->command);
	}
	return result;
}

int vfio_client_call(struct vfio_client *client, uint16_t command, const void *payload, uint32_t size)
{
	return vfio_client_exchange(client, &(struct vfio_client_message){ .command = command,
									   .payload = payload,
									   .payload_bytes = size });
}

void vfio_client_close(struct vfio_client *client)
{
	close_fds(client);
	if (client->socket >= 0)
		close(client->socket);
	client->socket = -1;
}

int vfio_client_version(struct vfio_client *client, const char *json)
{
	const struct vfio_user_version version = { VFIO_USER_VERSION_MAJOR, VFIO_USER_VERSION_MINOR };
	size_t length = json ? strlen(json) + 1 : 0;
	uint8_t payload[1024];

	assert_true(sizeof(version) + length <= sizeof(payload));
	memcpy(payload, &version, sizeof(version));
	if (json)
		memcpy(payload + sizeof(version), json, length);
	return vfio_client_call(client, VFIO_USER_VERSION, payload, (uint32_t)(sizeof(version) + length));
}

int vfio_client_map(struct vfio_client *client, uint64_t address, uint64_t size, uint64_t offset, int fd)
{
	const struct vfio_user_dma_map map = { sizeof(map), VFIO_USER_DMA_MAP_READ | VFIO_USER_DMA_MAP_WRITE,
					       offset, address, size };

	return vfio_client_exchange(client, &(struct vfio_client_message){ .command = VFIO_USER_DMA_MAP,
									   .payload = &map,
									   .payload_bytes = sizeof(map),
									   .fds = &fd,
									   .fd_count = fd >= 0 });
}

int vfio_client_unmap(struct vfio_client *client, uint64_t address, uint64_t size)
{
	const struct vfio_user_dma_unmap unmap = { sizeof(unmap), 0, address, size };
	int result = vfio_client_call(client, VFIO_USER_DMA_UNMAP, &unmap, sizeof(unmap));

	if (!result)
		assert_memory_equal(client->reply, &unmap, sizeof(unmap));
	return result;
}

int vfio_client_read(struct vfio_client *client, uint32_t region, uint64_t offset, uint32_t count,
		     uint64_t *value)
{
	const struct vfio_user_region_access access = { offset, region, count };
	int result = vfio_client_call(client, VFIO_USER_REGION_READ, &access, sizeof(access));

	*value = 0;
	if (!result) {
		assert_int_equal(client->reply_bytes, sizeof(access) + count);
		assert_memory_equal(client->reply, &access, sizeof(access));
		for (uint32_t i = 0; i < count && i < sizeof(*value); i++)
			*value |= (uint64_t)client->reply[sizeof(access) + i] << (8 * i);
	}
	return result;
}

int vfio_client_write(struct vfio_client *client, uint32_t region, uint64_t offset, uint32_t count,
		      uint64_t value)
{
	struct vfio_user_region_write write = { offset, region, count, { 0 } };

	assert_in_range(count, 0, sizeof(write.data));
	for (uint32_t i = 0; i < sizeof(write.data); i++)
		write.data[i] = (uint8_t)(value >> (8 * i));
	return vfio_client_call(client, VFIO_USER_REGION_WRITE, &write,
				(uint32_t)offsetof(struct vfio_user_region_write, data) + count);
}

int vfio_client_irqs(struct vfio_client *client, uint32_t flags, uint32_t index, uint32_t start,
		     uint32_t count, const int *fds, unsigned fd_count)
{
	const struct vfio_user_irq_set set = { sizeof(set), flags, index, start, count };

	return vfio_client_exchange(client,
				    &(struct vfio_client_message){ .command = VFIO_USER_DEVICE_SET_IRQS,
								   .payload = &set,
								   .payload_bytes = sizeof(set),
								   .fds = fds,
								   .fd_count = fd_count });
}

int vfio_client_feature(struct vfio_client *client, uint32_t flags, const void *data, uint32_t bytes)
{
	struct {
		struct vfio_user_feature head;
		uint8_t data[64];
	} message = { .head = { sizeof(message), flags } };

	assert_true(bytes <= sizeof(message.data));
	if (bytes)
		memcpy(message.data, data, bytes);
	return vfio_client_call(client, VFIO_USER_DEVICE_FEATURE, &message,
				(uint32_t)sizeof(message.head) + bytes);
}

int vfio_client_go(struct vfio_client *client, uint32_t migration_state)
{
	const struct vfio_user_mig_state state = { migration_state, 0 };

	return vfio_client_feature(client, VFIO_USER_FEATURE_SET | VFIO_USER_FEATURE_MIG_DEVICE_STATE, &state,
				   sizeof(state));
}

int vfio_client_take_state(struct vfio_client *client, uint8_t *to, uint32_t size, uint32_t *got)
{
	struct vfio_user_mig_data data = { (uint32_t)sizeof(data) + size, size };
	int result = vfio_client_call(client, VFIO_USER_MIG_DATA_READ, &data, sizeof(data));

	*got = 0;
	if (result)
		return result;
	memcpy(&data, client->reply, sizeof(data));
	assert_int_equal(client->reply_bytes, sizeof(data) + data.size);
	assert_int_equal(data.argsz, sizeof(data) + data.size);
	assert_true(data.size <= size);
	memcpy(to, client->reply + sizeof(data), data.size);
	*got = data.size;
	return 0;
}

int vfio_client_give_state(struct vfio_client *client, const uint8_t *from, uint32_t size)
{
	struct {
		struct vfio_user_mig_data head;
		uint8_t data[VIO_VFIO_USER_DATA_MAX];
	} message = { .head = { (uint32_t)sizeof(message.head) + size, size } };

	assert_true(size <= sizeof(message.data));
	memcpy(message.data, from, size);
	return vfio_client_call(client, VFIO_USER_MIG_DATA_WRITE, &message,
				(uint32_t)sizeof(message.head) + size);
}

#endif
