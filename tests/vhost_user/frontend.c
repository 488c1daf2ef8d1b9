/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include "vhost_user/frontend.h"

#include <fcntl.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define RINGS_BYTES   0x4000u
#define BUFFERS       0x60000u
#define BUFFERS_BYTES 0x8000u

void frontend_make(struct frontend *fe, struct bed *bed)
{
	memset(fe, 0, sizeof(*fe));
	fe->bed = bed;
	fe->socket = -1;
	fe->memory_fd = memfd_create(FRONTEND_MEMORY_NAME, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_true(fe->memory_fd >= 0);
	assert_int_equal(ftruncate(fe->memory_fd, FRONTEND_MEMORY_BYTES), 0);
	fe->memory = mmap(NULL, FRONTEND_MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fe->memory_fd, 0);
	assert_true(fe->memory != MAP_FAILED);
	for (unsigned i = 0; i < BED_QUEUES; i++) {
		struct frontend_queue *q = &fe->queues[i];

		q->storage = malloc(vio_drvq_storage_bytes(BED_QUEUE_SIZE));
		assert_non_null(q->storage);
		q->kick = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		q->call = q->call_write = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		q->err = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		assert_true(q->kick >= 0 && q->call >= 0 && q->err >= 0);
	}
	frontend_place_queues(fe);
	bed->maps_before++;
}

void frontend_place_queues(struct frontend *fe)
{
	for (unsigned i = 0; i < BED_QUEUES; i++)
		fe->queues[i].offset = (uint64_t)i * RINGS_BYTES;
}

unsigned frontend_fds(const struct frontend *fe)
{
	unsigned count = 1 + (fe->socket >= 0);

	for (unsigned i = 0; i < BED_QUEUES; i++)
		count += 3 + (fe->queues[i].call != fe->queues[i].call_write);
	return count;
}

void frontend_free(struct frontend *fe)
{
	for (unsigned i = 0; i < BED_QUEUES; i++) {
		struct frontend_queue *q = &fe->queues[i];

		free(q->storage);
		close(q->kick);
		close(q->call);
		if (q->call_write != q->call)
			close(q->call_write);
		close(q->err);
	}
	munmap(fe->memory, FRONTEND_MEMORY_BYTES);
	close(fe->memory_fd);
	if (fe->socket >= 0)
		close(fe->socket);
	fe->bed->maps_before--;
}

void frontend_connect(struct frontend *fe)
{
	int sockets[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
	fe->socket = sockets[0];
	assert_int_equal(vio_vhost_user_start(fe->bed->backend, sockets[1]), 0);
}

void frontend_hang_up(struct frontend *fe)
{
	close(fe->socket);
	fe->socket = -1;
	bed_settle(fe->bed);
}

void frontend_send_raw(struct frontend *fe, const struct frontend_message *message)
{
	struct vhost_user_header header = { message->request, message->flags, message->size };
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE(64 * sizeof(int))];
	} control = { .bytes = { 0 } };
	struct iovec iov[2] = { { &header, sizeof(header) },
				{ (void *)(uintptr_t)message->payload, message->payload_bytes } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };

	if (message->fd_count) {
		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(message->fd_count * sizeof(int));
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(message->fd_count * sizeof(int));
		memcpy(CMSG_DATA(&control.align), message->fds, message->fd_count * sizeof(int));
	}
	assert_int_equal(sendmsg(fe->socket, &msg, MSG_NOSIGNAL), sizeof(header) + message->payload_bytes);
}

void frontend_send_fds(struct frontend *fe, uint32_t request, const void *payload, uint32_t size,
		       const int *fds, unsigned fd_count)
{
	const struct frontend_message message = { request, VHOST_USER_FLAGS_VERSION, size, payload, size, fds,
						  fd_count };

	frontend_send_raw(fe, &message);
	bed_settle(fe->bed);
}

void frontend_send(struct frontend *fe, uint32_t request, const void *payload, uint32_t size)
{
	frontend_send_fds(fe, request, payload, size, NULL, 0);
}

bool frontend_receive(struct frontend *fe)
{
	ssize_t got = recv(fe->socket, &fe->header, sizeof(fe->header), MSG_DONTWAIT);

	if (got <= 0)
		return false;
	assert_int_equal(got, sizeof(fe->header));
	assert_true(fe->header.size <= sizeof(fe->reply));
	if (fe->header.size)
		assert_int_equal(recv(fe->socket, fe->reply, fe->header.size, MSG_DONTWAIT), fe->header.size);
	return true;
}

static void expect_reply(struct frontend *fe, uint32_t request)
{
	assert_true(frontend_receive(fe));
	assert_int_equal(fe->header.request, request);
	assert_int_equal(fe->header.flags, VHOST_USER_FLAGS_VERSION | VHOST_USER_FLAGS_REPLY);
}

static uint64_t reply_u64(const struct frontend *fe)
{
	uint64_t value;

	assert_int_equal(fe->header.size, sizeof(value));
	memcpy(&value, fe->reply, sizeof(value));
	return value;
}

uint64_t frontend_ask_fds(struct frontend *fe, uint32_t request, const void *payload, uint32_t size,
			  const int *fds, unsigned fd_count)
{
	const struct frontend_message message = {
		request, VHOST_USER_FLAGS_VERSION | VHOST_USER_FLAGS_NEED_REPLY, size, payload, size, fds,
		fd_count
	};

	frontend_send_raw(fe, &message);
	bed_settle(fe->bed);
	expect_reply(fe, request);
	return reply_u64(fe);
}

uint64_t frontend_ask(struct frontend *fe, uint32_t request, const void *payload, uint32_t size)
{
	return frontend_ask_fds(fe, request, payload, size, NULL, 0);
}

uint64_t frontend_get_u64(struct frontend *fe, uint32_t request)
{
	frontend_send(fe, request, NULL, 0);
	expect_reply(fe, request);
	return reply_u64(fe);
}

void frontend_negotiate(struct frontend *fe, uint64_t features, uint64_t protocol)
{
	uint64_t offered;

	frontend_send(fe, VHOST_USER_SET_OWNER, NULL, 0);
	offered = frontend_get_u64(fe, VHOST_USER_GET_FEATURES);
	assert_int_equal(features & ~offered, 0);
	assert_true(offered & PROTOCOL_BIT);
	if (protocol) {
		offered = frontend_get_u64(fe, VHOST_USER_GET_PROTOCOL_FEATURES);
		assert_int_equal(protocol & ~offered, 0);
		frontend_send(fe, VHOST_USER_SET_PROTOCOL_FEATURES, &protocol, sizeof(protocol));
	}
	frontend_send(fe, VHOST_USER_SET_FEATURES, &features, sizeof(features));
	assert_int_equal(fe->bed->closed, 0);
}

struct vhost_user_mem_region frontend_region(uint64_t offset, uint64_t bytes)
{
	return (struct vhost_user_mem_region){ FRONTEND_BUS + offset, bytes, FRONTEND_USER + offset, offset };
}

uint64_t frontend_share_memory(struct frontend *fe)
{
	const struct vhost_user_mem_table table = {
		.nregions = 1, .regions = { frontend_region(0, FRONTEND_MEMORY_BYTES) }
	};

	return frontend_ask_fds(fe, VHOST_USER_SET_MEM_TABLE, &table, 40, &fe->memory_fd, 1);
}

static void ring_bell(void *context, struct vio_drvq *drvq)
{
	struct frontend *fe = context;
	const uint64_t one = 1;

	assert_int_equal(write(fe->queues[drvq->index].kick, &one, sizeof(one)), sizeof(one));
}

void frontend_queue_make(struct frontend *fe, unsigned queue, uint64_t features)
{
	struct frontend_queue *q = &fe->queues[queue];
	const struct vio_drvq_config config = {
		.index = (uint16_t)queue,
		.size = BED_QUEUE_SIZE,
		.features = vio_features_low(features & ~PROTOCOL_BIT),
		.ring = { fe->memory + q->offset, vio_addr_make(FRONTEND_BUS + q->offset) },
		.storage = q->storage,
		.context = fe,
		.notify_device = ring_bell,
	};

	memset(fe->memory + q->offset, 0, RINGS_BYTES);
	assert_int_equal(vio_drvq_start(&q->drvq, &config), 0);
}

static uint64_t ask_state(struct frontend *fe, uint32_t request, uint32_t queue, uint32_t num)
{
	const struct vhost_user_vring_state state = { queue, num };

	return frontend_ask(fe, request, &state, sizeof(state));
}

uint64_t frontend_queue_num(struct frontend *fe, unsigned queue, uint32_t num)
{
	return ask_state(fe, VHOST_USER_SET_VRING_NUM, queue, num);
}

uint64_t frontend_queue_base(struct frontend *fe, unsigned queue, uint32_t base)
{
	return ask_state(fe, VHOST_USER_SET_VRING_BASE, queue, base);
}

uint64_t frontend_queue_enable(struct frontend *fe, unsigned queue, uint32_t enable)
{
	return ask_state(fe, VHOST_USER_SET_VRING_ENABLE, queue, enable);
}

struct vhost_user_vring_addr frontend_areas(const struct frontend *fe, unsigned queue)
{
	const struct vio_drvq *drvq = &fe->queues[queue].drvq;
	const uint64_t to_user = FRONTEND_USER - FRONTEND_BUS;

	return (struct vhost_user_vring_addr){
		.index = queue,
		.descriptor = vio_drvq_descriptor_area(drvq).raw + to_user,
		.available = vio_drvq_driver_area(drvq).raw + to_user,
		.used = vio_drvq_device_area(drvq).raw + to_user,
		.log = UINT64_MAX,
	};
}

uint64_t frontend_queue_addr(struct frontend *fe, unsigned queue)
{
	const struct vhost_user_vring_addr areas = frontend_areas(fe, queue);

	return frontend_ask(fe, VHOST_USER_SET_VRING_ADDR, &areas, sizeof(areas));
}

static uint64_t ask_fd(struct frontend *fe, uint32_t request, uint64_t queue, int fd)
{
	return frontend_ask_fds(fe, request, &queue, sizeof(queue), &fd, 1);
}

uint64_t frontend_queue_kick(struct frontend *fe, unsigned queue)
{
	return ask_fd(fe, VHOST_USER_SET_VRING_KICK, queue, fe->queues[queue].kick);
}

uint64_t frontend_queue_call(struct frontend *fe, unsigned queue)
{
	return ask_fd(fe, VHOST_USER_SET_VRING_CALL, queue, fe->queues[queue].call_write);
}

uint64_t frontend_queue_err(struct frontend *fe, unsigned queue)
{
	return ask_fd(fe, VHOST_USER_SET_VRING_ERR, queue, fe->queues[queue].err);
}

uint32_t frontend_queue_stop(struct frontend *fe, unsigned queue)
{
	const struct vhost_user_vring_state state = { queue, 0 };
	struct vhost_user_vring_state answer;

	frontend_send(fe, VHOST_USER_GET_VRING_BASE, &state, sizeof(state));
	expect_reply(fe, VHOST_USER_GET_VRING_BASE);
	assert_int_equal(fe->header.size, sizeof(answer));
	memcpy(&answer, fe->reply, sizeof(answer));
	assert_int_equal(answer.index, queue);
	return answer.num;
}

void frontend_queue_start(struct frontend *fe, unsigned queue, uint32_t base)
{
	assert_int_equal(frontend_queue_num(fe, queue, BED_QUEUE_SIZE), 0);
	assert_int_equal(frontend_queue_base(fe, queue, base), 0);
	assert_int_equal(frontend_queue_addr(fe, queue), 0);
	assert_int_equal(frontend_queue_err(fe, queue), 0);
	assert_int_equal(frontend_queue_call(fe, queue), 0);
	assert_int_equal(frontend_queue_kick(fe, queue), 0);
	assert_int_equal(frontend_queue_enable(fe, queue, 1), 0);
}

void frontend_start(struct frontend *fe, uint64_t features, uint64_t protocol)
{
	frontend_connect(fe);
	frontend_negotiate(fe, features, protocol);
	assert_int_equal(frontend_share_memory(fe), 0);
	frontend_queue_make(fe, 0, features);
	frontend_queue_start(fe, 0, 0);
}

void frontend_offer(struct frontend *fe, unsigned queue, uint8_t value)
{
	struct frontend_queue *q = &fe->queues[queue];
	uint64_t offset = BUFFERS + (uint64_t)queue * BUFFERS_BYTES + value * 8u;
	const struct vio_sg sg[2] = { { vio_addr_make(FRONTEND_BUS + offset), 4 },
				      { vio_addr_make(FRONTEND_BUS + offset + 4), 4 } };

	memset(fe->memory + offset, value, 4);
	memset(fe->memory + offset + 4, 0, 4);
	assert_int_equal(vio_drvq_add(&q->drvq, sg, 1, 1, fe->memory + offset), 0);
	vio_drvq_kick(&q->drvq);
}

bool frontend_answered(struct frontend *fe, unsigned queue, uint8_t value)
{
	struct frontend_queue *q = &fe->queues[queue];
	uint32_t written;
	uint8_t *at;

	bed_settle(fe->bed);
	at = vio_drvq_get(&q->drvq, &written);
	if (!at)
		return false;
	assert_int_equal(written, 4);
	assert_int_equal(at[0], value);
	for (unsigned i = 4; i < 8; i++)
		assert_int_equal(at[i], (uint8_t)(value + 1));
	/* With EVENT_IDX the next interrupt comes only to a driver that found nothing left. */
	assert_null(vio_drvq_get(&q->drvq, &written));
	return frontend_drain(q->call) > 0;
}

void frontend_roundtrip(struct frontend *fe, unsigned queue, uint8_t value)
{
	frontend_offer(fe, queue, value);
	assert_true(frontend_answered(fe, queue, value));
}

uint64_t frontend_drain(int fd)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };
	uint64_t total = 0, count;

	while (poll(&pollfd, 1, 0) == 1 && read(fd, &count, sizeof(count)) == sizeof(count))
		total += count;
	return total;
}
