/* SPDX-License-Identifier: BSD-3-Clause */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic.h"
#include "link/vfio_user/server.h"

/* So that other connections of the loop have their turn. */
#define COPIES_A_TURN 256u

int vfu_batch_add(struct vfu_batch *batch, uint64_t address, void *host, uint32_t bytes, bool write)
{
	struct vfu_copy *last = batch->count ? &batch->copies[batch->count - 1] : NULL, *more;

	if (!bytes)
		return 0;
	if (last && last->write == write && last->address + last->bytes == address &&
	    last->host + last->bytes == (uint8_t *)host && bytes <= UINT32_MAX - last->bytes) {
		last->bytes += bytes;
		return 0;
	}
	if (batch->count == batch->room) {
		more = realloc(batch->copies, (batch->room ? 2 * batch->room : 16) * sizeof(*more));
		if (!more)
			return -VIO_ENOMEM;
		batch->copies = more;
		batch->room = batch->room ? 2 * batch->room : 16;
	}
	batch->copies[batch->count++] = (struct vfu_copy){ address, host, bytes, write };
	return 0;
}

static void list(struct vfu_dma *dma, struct vfu_batch *batch)
{
	batch->next = NULL;
	batch->listed = true;
	if (dma->last)
		dma->last->next = batch;
	else
		dma->first = batch;
	dma->last = batch;
}

static struct vfu_batch *take_first(struct vfu_dma *dma)
{
	struct vfu_batch *batch = dma->first;

	dma->first = batch->next;
	if (!dma->first)
		dma->last = NULL;
	batch->listed = false;
	return batch;
}

static void unlist(struct vfu_dma *dma, const struct vfu_batch *batch)
{
	struct vfu_batch *others = dma->first;

	dma->first = dma->last = NULL;
	while (others) {
		struct vfu_batch *next = others->next;

		others->listed = false;
		if (others != batch)
			list(dma, others);
		others = next;
	}
}

void vfu_batch_begin(struct vio_vfio_user *server, struct vfu_batch *batch)
{
	batch->at = 0;
	batch->offset = 0;
	list(&server->dma, batch);
	server->watcher.defer(server->watcher.context, &server->dma.task);
}

void vfu_batch_cancel(struct vio_vfio_user *server, struct vfu_batch *batch)
{
	unsigned i;

	if (batch->listed)
		unlist(&server->dma, batch);
	for (i = 0; i < VFU_DMA_MESSAGES; i++)
		if (server->dma.messages[i].batch == batch)
			server->dma.messages[i].batch = NULL;
	batch->under_way = 0;
	batch->count = batch->at = 0;
}

void vfu_batch_free(struct vfu_batch *batch)
{
	free(batch->copies);
	*batch = (struct vfu_batch){ .done = batch->done, .failed = batch->failed };
}

static void fail(struct vio_vfio_user *server, struct vfu_batch *batch, const struct vfu_copy *copy,
		 int error)
{
	vfu_batch_cancel(server, batch);
	batch->failed(batch, copy, error);
}

static void end_if_done(struct vfu_batch *batch)
{
	if (batch->under_way || batch->at < batch->count)
		return;
	batch->count = batch->at = 0;
	/* What was copied at once is ordered as if there had been an answer. */
	vio_full_barrier();
	batch->done(batch);
}

/* What both sides may look at meanwhile is copied as one, where it can be one. */
static void copy_shared(uint8_t *to, const uint8_t *from, uint32_t bytes)
{
	const uintptr_t both = (uintptr_t)to | (uintptr_t)from;

	if (bytes == 2 && !(both % 2))
		vio_store_le16((vio_le16 *)(void *)to, vio_load_le16((const vio_le16 *)(const void *)from));
	else if (bytes == 4 && !(both % 4))
		vio_store_fields32(to, vio_load_fields32(from));
	else if (bytes == 8 && !(both % 8))
		vio_store_fields64(to, vio_load_fields64(from));
	else
		memcpy(to, from, bytes);
}

static uint32_t least(uint64_t a, uint64_t b)
{
	return (uint32_t)(a < b ? a : b);
}

/* A message for a piece, which may become shorter; NULL: not now. */
static struct vfu_dma_message *message_for(const struct vio_vfio_user *server, struct vfu_dma *dma,
					   struct vfu_copy *piece)
{
	struct vfu_dma_message *message = NULL;
	unsigned i, under_way = 0;

	for (i = 0; i < VFU_DMA_MESSAGES; i++) {
		if (dma->messages[i].under_way)
			under_way++;
		else
			message = &dma->messages[i];
	}
	piece->bytes = least(piece->bytes, least(server->client_data, VIO_VFIO_USER_DATA_MAX));
	if (dma->layout == VFU_DMA_UNKNOWN) {
		if (!piece->write)
			piece->bytes = least(piece->bytes, VFU_DMA_REST_BYTES);
		return under_way ? NULL : message;
	}
	if (!piece->write && dma->reading && dma->reading + piece->bytes > VFU_DMA_READING_BYTES)
		return NULL;
	return message;
}

/* hostile: E23, one that isn't under way; there are more of them than can be */
static uint16_t new_id(struct vfu_dma *dma)
{
	unsigned i;

	dma->id++;
	for (i = 0; i < VFU_DMA_MESSAGES; i++)
		if (dma->messages[i].under_way && dma->messages[i].id == dma->id) {
			dma->id++;
			i = UINT_MAX; /* from the beginning */
		}
	return dma->id;
}

/* `copy` is a piece of the batch, which began at `at` and `offset`. */
static int send_request(struct vio_vfio_user *server, struct vfu_batch *batch,
			struct vfu_dma_message *message, const struct vfu_copy *copy, size_t at,
			uint32_t offset)
{
	const bool brief = server->dma.layout == VFU_DMA_SHORT;
	const struct vfio_user_dma_access access = { copy->address, copy->bytes };
	const size_t head = brief ? VFU_DMA_SHORT_BYTES : sizeof(access);
	uint8_t *to = vfu_reply(&server->sender);

	*message = (struct vfu_dma_message){ batch, *copy, at, offset, new_id(&server->dma), true };
	batch->under_way++;
	if (!copy->write)
		server->dma.reading += copy->bytes;
	memcpy(to, &access, sizeof(access));
	if (copy->write) {
		memcpy(to + head, copy->host, copy->bytes);
		memset(to + head + copy->bytes, 0, sizeof(access) - head);
	}
	vfu_sender_ask(&server->sender, message->id, copy->write ? VFIO_USER_DMA_WRITE : VFIO_USER_DMA_READ,
		       sizeof(access) + (copy->write ? copy->bytes : 0));
	return vfu_flush(server);
}

/* Takes the next piece of a batch. 1: go on; 0: not now; a negative code ends the connection. */
static int one_piece(struct vio_vfio_user *server, struct vfu_batch *batch)
{
	const struct vfu_copy *whole = &batch->copies[batch->at];
	struct vfu_copy piece = { whole->address + batch->offset, whole->host + batch->offset,
				  whole->bytes - batch->offset, whole->write };
	const struct vfu_region *region = vfu_memory_at(&server->memory, piece.address);
	const size_t at = batch->at;
	const uint32_t offset = batch->offset;
	struct vfu_dma_message *message = NULL;
	uint64_t into;

	if (!region || !(region->rights & (piece.write ? VIO_MEM_WRITE : VIO_MEM_READ))) {
		fail(server, batch, &piece, -VIO_EACCES);
		return 1;
	}
	into = piece.address - region->address;
	piece.bytes = least(piece.bytes, region->size - into);
	if (!region->host) {
		message = message_for(server, &server->dma, &piece);
		if (!message)
			return 0;
	}
	batch->offset += piece.bytes;
	if (batch->offset == whole->bytes) {
		batch->at++;
		batch->offset = 0;
	}
	if (message)
		return send_request(server, batch, message, &piece, at, offset);
	if (piece.write)
		copy_shared(region->host + into, piece.host, piece.bytes);
	else
		copy_shared(piece.host, region->host + into, piece.bytes);
	return 1;
}

int vfu_dma_go_on(struct vio_vfio_user *server)
{
	struct vfu_dma *dma = &server->dma;
	unsigned turn;
	int result = 1;

	for (turn = 0; dma->first && turn < COPIES_A_TURN; turn++) {
		struct vfu_batch *batch = dma->first;

		if (server->sender.sent < server->sender.length)
			return 0; /* room_ready() comes back */
		if (batch->at < batch->count) {
			result = one_piece(server, batch);
			if (result <= 0)
				return result;
			/* Round, so that a long one doesn't keep the others waiting. */
			if (batch->listed)
				list(dma, take_first(dma));
		} else {
			end_if_done(take_first(dma));
		}
	}
	if (dma->first)
		server->watcher.defer(server->watcher.context, &dma->task);
	return result;
}

static bool any(const uint8_t *bytes, uint32_t count)
{
	uint32_t i;

	for (i = 0; i < count; i++)
		if (bytes[i])
			return true;
	return false;
}

/* Learns the layout of an answer, if it can be told from that. false: a write has to be made again. */
static bool learn(struct vfu_dma *dma, const struct vfu_copy *copy, const uint8_t *payload, uint32_t bytes)
{
	if (dma->layout != VFU_DMA_UNKNOWN)
		return true;
	if (copy->write) {
		dma->layout = bytes ? VFU_DMA_AS_WRITTEN : VFU_DMA_SHORT;
		return dma->layout == VFU_DMA_AS_WRITTEN;
	}
	if (any(payload + VFU_DMA_SHORT_BYTES, VFU_DMA_REST_BYTES))
		dma->layout = VFU_DMA_SHORT;
	else if (any(payload + VFU_DMA_SHORT_BYTES + copy->bytes, VFU_DMA_REST_BYTES))
		dma->layout = VFU_DMA_AS_WRITTEN;
	return true;
}

/* Where the data of an answer begins; while that isn't known all of it is zeros. */
static const uint8_t *data_of(const struct vfu_dma *dma, const uint8_t *payload)
{
	return payload +
	       (dma->layout == VFU_DMA_SHORT ? VFU_DMA_SHORT_BYTES : sizeof(struct vfio_user_dma_access));
}

/* What is wrong with a reply that says it is none of an error, or NULL. hostile: E23 */
static const char *judge_reply(const struct vfu_dma *dma, const struct vfu_copy *copy, const uint8_t *payload,
			       uint32_t bytes)
{
	struct vfio_user_dma_access access;

	if (copy->write && !bytes)
		return NULL; /* QEMU says no more */
	if (bytes != sizeof(access) + (copy->write ? 0 : copy->bytes))
		return copy->write ? "DMA_WRITE: a reply of another length than asked for"
				   : "DMA_READ: a reply of another length than asked for";
	memcpy(&access, payload, sizeof(access));
	if (access.address != copy->address || (uint32_t)access.count != copy->bytes)
		return "DMA: a reply about other memory than asked for";
	if (dma->layout == VFU_DMA_AS_WRITTEN && access.count != copy->bytes)
		return "DMA: a reply with another count than asked for";
	return NULL;
}

int vfu_dma_reply(struct vio_vfio_user *server)
{
	const struct vfio_user_header *header = &server->receiver.header;
	const uint8_t *payload = server->receiver.payload.bytes;
	struct vfu_dma *dma = &server->dma;
	struct vfu_dma_message *message = NULL;
	struct vfu_batch *batch;
	bool again = false;
	unsigned i;

	for (i = 0; i < VFU_DMA_MESSAGES; i++)
		if (dma->messages[i].under_way && dma->messages[i].id == header->id)
			message = &dma->messages[i];
	if (!message || header->command != (message->copy.write ? VFIO_USER_DMA_WRITE : VFIO_USER_DMA_READ)) {
		server->receiver.state.mistake = "a reply to what wasn't asked";
		return -VIO_EPROTO;
	}
	if (!(header->flags & VFIO_USER_FLAGS_ERROR)) {
		const char *what =
			judge_reply(dma, &message->copy, payload, vfu_payload_bytes(&server->receiver));

		if (what) {
			server->receiver.state.mistake = what;
			return -VIO_EPROTO;
		}
		again = !learn(dma, &message->copy, payload, vfu_payload_bytes(&server->receiver));
	}
	message->under_way = false;
	if (!message->copy.write)
		dma->reading -= message->copy.bytes;
	server->watcher.defer(server->watcher.context, &dma->task);
	batch = message->batch;
	if (!batch)
		return 0;
	message->batch = NULL;
	if (header->flags & VFIO_USER_FLAGS_ERROR) {
		fail(server, batch, &message->copy, (int)(header->error & INT32_MAX));
		return 0;
	}
	if (!message->copy.write)
		memcpy(message->copy.host, data_of(dma, payload), message->copy.bytes);
	batch->under_way--;
	if (again) {
		batch->at = message->at;
		batch->offset = message->offset;
		if (!batch->listed)
			list(dma, batch);
	} else if (!batch->listed) {
		end_if_done(batch);
	}
	return 0;
}

bool vfu_dma_trails(const struct vio_vfio_user *server)
{
	unsigned i;

	for (i = 0; i < VFU_DMA_MESSAGES; i++)
		if (server->dma.messages[i].under_way && !server->dma.messages[i].batch)
			return true;
	return false;
}

void vfu_dma_forget(struct vio_vfio_user *server)
{
	unsigned i;

	server->watcher.cancel(server->watcher.context, &server->dma.task);
	for (i = 0; i < VFU_DMA_MESSAGES; i++)
		server->dma.messages[i] = (struct vfu_dma_message){ .batch = NULL };
	server->dma.layout = VFU_DMA_UNKNOWN;
	server->dma.reading = 0;
}
