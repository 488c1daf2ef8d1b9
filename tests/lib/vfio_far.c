/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/vfio_far.h"

#ifndef RIG_CORE_ONLY

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define BRIEF_BYTES 12u

static uint32_t draw(struct vfio_far *far, uint32_t below)
{
	far->seed = far->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(far->seed >> 33) % below;
}

static void judge(const struct vfio_far *far, const struct vfio_far_request *request, size_t bytes)
{
	const bool write = request->header.command == VFIO_USER_DMA_WRITE;
	const uint64_t count = request->access.count;

	assert_true(write || request->header.command == VFIO_USER_DMA_READ);
	assert_int_equal(request->header.flags, VFIO_USER_FLAGS_COMMAND);
	assert_in_range(count, 1, far->most ? far->most : VIO_VFIO_USER_DATA_MAX);
	assert_int_equal(bytes, sizeof(request->access) + (write ? count : 0));
	assert_true(request->access.address >= far->address);
	assert_true(request->access.address - far->address <= far->size - count);
}

bool vfio_far_take(struct vfio_far *far)
{
	struct vfio_far_request *request = &far->held[far->held_count];
	struct vfio_user_header *header = &request->header;
	uint8_t payload[sizeof(request->access) + VIO_VFIO_USER_DATA_MAX];
	const uint32_t head = far->brief ? BRIEF_BYTES : sizeof(request->access);
	size_t bytes;

	if (far->deaf || far->client->socket < 0 ||
	    recv(far->client->socket, header, sizeof(*header), MSG_DONTWAIT | MSG_PEEK) != sizeof(*header) ||
	    (header->flags & VFIO_USER_FLAGS_TYPE_MASK) == VFIO_USER_FLAGS_REPLY)
		return false;
	assert_int_equal(recv(far->client->socket, header, sizeof(*header), 0), sizeof(*header));
	bytes = header->size - sizeof(*header);
	assert_in_range(bytes, sizeof(request->access), sizeof(payload));
	assert_int_equal(recv(far->client->socket, payload, bytes, MSG_WAITALL), bytes);
	memcpy(&request->access, payload, sizeof(request->access));
	if (far->brief)
		request->access.count = (uint32_t)request->access.count;
	judge(far, request, bytes);
	request->data = NULL;
	if (header->command == VFIO_USER_DMA_WRITE) {
		request->data = malloc(request->access.count);
		assert_non_null(request->data);
		memcpy(request->data, payload + head, request->access.count);
		far->writes++;
	} else {
		far->reads++;
	}
	assert_true(++far->held_count < VFIO_FAR_HELD_MAX);
	return true;
}

static void reply(struct vfio_far *far, const struct vfio_user_header *header, const uint8_t *payload)
{
	const size_t bytes = header->size > sizeof(*header) ? header->size - sizeof(*header) : 0;
	struct iovec iov[2] = { { (void *)(uintptr_t)header, sizeof(*header) },
				{ (void *)(uintptr_t)payload, bytes } };
	struct msghdr message = { .msg_iov = iov, .msg_iovlen = 2 };

	sendmsg(far->client->socket, &message, MSG_NOSIGNAL);
}

/* Makes something else of an answer. */
static void bend(enum vfio_far_lie lie, struct vfio_user_header *header, struct vfio_user_dma_access *access)
{
	switch (lie) {
	case VFIO_FAR_ERROR:
		header->flags |= VFIO_USER_FLAGS_ERROR;
		header->error = EFAULT;
		header->size = sizeof(*header);
		break;
	case VFIO_FAR_CUT:
		header->size--;
		break;
	case VFIO_FAR_LONGER:
		header->size++;
		break;
	case VFIO_FAR_ADDRESS:
		access->address++;
		break;
	case VFIO_FAR_COUNT:
		access->count++;
		break;
	case VFIO_FAR_ID:
		header->id = (uint16_t)(header->id + 1000);
		break;
	case VFIO_FAR_COMMAND:
		header->command ^= VFIO_USER_DMA_READ ^ VFIO_USER_DMA_WRITE;
		break;
	case VFIO_FAR_EMPTY:
		header->size = sizeof(*header);
		break;
	default:
		break;
	}
}

static void answer(struct vfio_far *far, struct vfio_far_request *request, enum vfio_far_lie lie)
{
	uint8_t payload[sizeof(request->access) + VIO_VFIO_USER_DATA_MAX + 1] = { 0 };
	const uint32_t head = far->brief ? BRIEF_BYTES : sizeof(request->access);
	uint8_t *host = far->host + (request->access.address - far->address);
	struct vfio_user_header header = request->header;
	struct vfio_user_dma_access access = request->access;

	header.flags = VFIO_USER_FLAGS_REPLY;
	header.size = (uint32_t)(sizeof(header) + sizeof(access));
	if (request->data) {
		if (lie != VFIO_FAR_ERROR)
			memcpy(host, request->data, access.count);
		if (far->brief)
			header.size = sizeof(header);
	} else {
		header.size += (uint32_t)access.count;
	}
	bend(lie, &header, &access);
	memcpy(payload, &access, sizeof(access));
	if (!request->data)
		memcpy(payload + head, host, request->access.count);
	if (lie != VFIO_FAR_SILENCE)
		reply(far, &header, payload);
	if (lie == VFIO_FAR_TWICE)
		reply(far, &header, payload);
	free(request->data);
}

bool vfio_far_answer(struct vfio_far *far)
{
	enum vfio_far_lie lie = VFIO_FAR_HONEST;
	struct vfio_far_request request;
	unsigned which;

	if (!far->held_count || far->deaf)
		return false;
	which = far->shuffled ? draw(far, far->held_count) : 0;
	request = far->held[which];
	memmove(&far->held[which], &far->held[which + 1], (--far->held_count - which) * sizeof(request));
	if (far->lie != VFIO_FAR_HONEST && !far->lie_after--) {
		lie = far->lie;
		far->lie = VFIO_FAR_HONEST;
	}
	answer(far, &request, lie);
	return true;
}

void vfio_far_serve(struct vfio_far *far, void (*settle)(void *context), void *context)
{
	unsigned turns = 0;

	do {
		settle(context);
		while (vfio_far_take(far))
			settle(context);
		assert_true(turns++ < 100000);
		/* Now and then it has something better to do. */
		if (far->shuffled && far->held_count && !draw(far, 4))
			return;
	} while (vfio_far_answer(far));
}

void vfio_far_forget(struct vfio_far *far)
{
	while (far->held_count)
		free(far->held[--far->held_count].data);
}

#endif
