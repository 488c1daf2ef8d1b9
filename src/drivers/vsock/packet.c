/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "drivers/vsock/vsock.h"

VIO_STATIC_ASSERT(sizeof(struct virtio_vsock_hdr) == 44, "the header has holes");

/* Packets that leave. */

static void put_number(vio_le32 words[2], uint64_t value)
{
	words[0] = vio_le32_make((uint32_t)value);
	words[1] = vio_le32_make((uint32_t)(value >> 32));
}

static uint64_t get_number(const vio_le32 words[2])
{
	return vio_le32_get(words[0]) | (uint64_t)vio_le32_get(words[1]) << 32;
}

/* False when there is no room now. */
static bool put(struct vio_dev *dev, const struct vio_vsock_packet *packet, const void *from)
{
	struct vio_vsock *vsock = vio_vsock_of(dev);
	struct virtio_vsock_hdr wire = {
		.src_port = vio_le32_make(packet->src_port),
		.dst_port = vio_le32_make(packet->dst_port),
		.len = vio_le32_make(packet->length),
		.type = vio_le16_make(packet->type),
		.op = vio_le16_make(packet->op),
		.flags = vio_le32_make(packet->flags),
		.buf_alloc = vio_le32_make(packet->buf_alloc),
		.fwd_cnt = vio_le32_make(packet->fwd_cnt),
	};
	size_t at = (size_t)VIO_VSOCK_BUFFERS * VIO_VSOCK_BUFFER_BYTES;
	struct vio_sg sg = { .length = VIO_VSOCK_HEADER_BYTES + packet->length };
	unsigned slot = 0;

	put_number(wire.src_cid, vsock->cid); /* spec: DRV-VSOCK-006 */
	put_number(wire.dst_cid, packet->dst_cid);
	while (slot < VIO_VSOCK_BUFFERS && vsock->sending[slot])
		slot++;
	if (slot == VIO_VSOCK_BUFFERS)
		return false;
	at += (size_t)slot * VIO_VSOCK_BUFFER_BYTES;
	memcpy((uint8_t *)vsock->memory.host + at, &wire, sizeof(wire));
	if (packet->length)
		memcpy((uint8_t *)vsock->memory.host + at + sizeof(wire), from, packet->length);
	sg.addr = vio_addr_make(vsock->memory.addr.raw + at);
	if (vio_drvq_add(vsock->tx, &sg, 1, 0, &vsock->sending[slot]))
		return false;
	vsock->sending[slot] = true;
	return true;
}

bool vio_vsock_put(struct vio_dev *dev, struct vio_vsock_socket *socket, uint16_t op, uint32_t flags,
		   const void *from, uint32_t length)
{
	/* spec: DRV-VSOCK-005 */
	const struct vio_vsock_packet packet = {
		.dst_cid = socket->peer_cid,
		.src_port = socket->port,
		.dst_port = socket->peer_port,
		.length = length,
		.type = socket->type,
		.op = op,
		.flags = flags,
		.buf_alloc = vio_vsock_room(socket),
		.fwd_cnt = socket->read,
	};

	if (!put(dev, &packet, from))
		return false;
	socket->read_told = socket->read;
	socket->owed &= ~VIO_VSOCK_OWES(VIRTIO_VSOCK_OP_CREDIT_UPDATE);
	return true;
}

static bool flush_resets(struct vio_dev *dev, struct vio_vsock *vsock)
{
	while (vsock->reset_count) {
		const struct vio_vsock_reset *reset = &vsock->resets[0];
		const struct vio_vsock_packet packet = {
			.dst_cid = reset->cid,
			.src_port = reset->port,
			.dst_port = reset->peer_port,
			.type = reset->type,
			.op = VIRTIO_VSOCK_OP_RST,
		};

		if (!put(dev, &packet, NULL))
			return false;
		vsock->reset_count--;
		memmove(&vsock->resets[0], &vsock->resets[1], vsock->reset_count * sizeof(vsock->resets[0]));
	}
	return true;
}

static bool flush_socket(struct vio_dev *dev, struct vio_vsock_socket *socket)
{
	static const uint16_t order[] = { VIRTIO_VSOCK_OP_REQUEST, VIRTIO_VSOCK_OP_RESPONSE,
					  VIRTIO_VSOCK_OP_CREDIT_UPDATE, VIRTIO_VSOCK_OP_CREDIT_REQUEST,
					  VIRTIO_VSOCK_OP_SHUTDOWN };
	unsigned i;

	for (i = 0; i < VIO_ARRAY_SIZE(order); i++) {
		unsigned owed = VIO_VSOCK_OWES(order[i]);
		uint32_t flags = order[i] == VIRTIO_VSOCK_OP_SHUTDOWN ? socket->shut : 0;

		if (!(socket->owed & owed))
			continue;
		if (!vio_vsock_put(dev, socket, order[i], flags, NULL, 0))
			return false;
		socket->owed &= ~owed;
	}
	return true;
}

void vio_vsock_flush(struct vio_dev *dev)
{
	struct vio_vsock *vsock = vio_vsock_of(dev);
	bool room = flush_resets(dev, vsock);
	unsigned i;

	for (i = 0; room && i < vsock->socket_count; i++)
		room = flush_socket(dev, &vsock->sockets[i]);
	vio_drvq_kick(vsock->tx);
}

void vio_vsock_owe_reset(struct vio_vsock *vsock, const struct vio_vsock_reset *reset)
{
	vsock->resets[vsock->reset_count++] = *reset;
}

/* Packets that come. */

static struct vio_vsock_socket *connection(const struct vio_vsock *vsock,
					   const struct vio_vsock_packet *packet)
{
	unsigned i;

	for (i = 0; i < vsock->socket_count; i++) {
		struct vio_vsock_socket *socket = &vsock->sockets[i];

		if ((socket->state == VIO_VSOCK_CONNECTING || socket->state == VIO_VSOCK_CONNECTED) &&
		    socket->port == packet->dst_port && socket->peer_port == packet->src_port &&
		    socket->peer_cid == packet->src_cid && socket->type == packet->type)
			return socket;
	}
	return NULL;
}

static void answer_reset(struct vio_vsock *vsock, const struct vio_vsock_packet *packet)
{
	const struct vio_vsock_reset reset = { packet->src_cid, packet->dst_port, packet->src_port,
					       packet->type };

	vio_vsock_owe_reset(vsock, &reset);
}

/* spec: DRV-VSOCK-007; what nobody here knows of */
static void stray(struct vio_vsock *vsock, const struct vio_vsock_packet *packet)
{
	vsock->strays++;
	if (packet->op != VIRTIO_VSOCK_OP_RST)
		answer_reset(vsock, packet);
}

static void note_credit(struct vio_vsock_socket *socket, const struct vio_vsock_packet *packet)
{
	if (packet->buf_alloc - packet->fwd_cnt != socket->peer_room - socket->peer_read) {
		socket->credit_asked = false;
		socket->dirty = true;
	}
	socket->peer_room = packet->buf_alloc;
	socket->peer_read = packet->fwd_cnt;
}

static void accept_request(struct vio_vsock *vsock, const struct vio_vsock_packet *packet)
{
	struct vio_vsock_socket *listener = vio_vsock_listener(vsock, packet->type, packet->dst_port);
	unsigned i = 0;

	while (i < vsock->socket_count && vsock->sockets[i].state != VIO_VSOCK_FREE)
		i++;
	if (!listener || i == vsock->socket_count || packet->fwd_cnt) { /* hostile: B58 */
		stray(vsock, packet);
		return;
	}
	vio_vsock_join(&vsock->sockets[i], packet->type, packet->dst_port, packet->src_cid, packet->src_port);
	note_credit(&vsock->sockets[i], packet);
	vsock->sockets[i].state = VIO_VSOCK_CONNECTED;
	vsock->sockets[i].accepted = false;
	vsock->sockets[i].dirty = false;
	vsock->sockets[i].owed = VIO_VSOCK_OWES(VIRTIO_VSOCK_OP_RESPONSE);
	listener->dirty = true;
}

/* The peer broke the rules: -VIO_EPEER for the program, a reset for the peer. */
static void refuse(struct vio_vsock *vsock, struct vio_vsock_socket *socket,
		   const struct vio_vsock_packet *packet)
{
	vio_vsock_end(socket, -VIO_EPEER);
	answer_reset(vsock, packet);
}

static void shut(struct vio_vsock *vsock, struct vio_vsock_socket *socket,
		 const struct vio_vsock_packet *packet)
{
	const unsigned both = VIRTIO_VSOCK_SHUTDOWN_F_RECEIVE | VIRTIO_VSOCK_SHUTDOWN_F_SEND;

	socket->peer_shut |= packet->flags & both;
	socket->dirty = true;
	if (socket->peer_shut != both)
		return;
	vio_vsock_end(socket, 0);
	answer_reset(vsock, packet);
}

/* False when there is no memory for it now, which only short packets of messages can bring about. */
static bool keep(struct vio_vsock *vsock, struct vio_vsock_socket *socket,
		 const struct vio_vsock_packet *packet, const uint8_t *payload)
{
	bool message = socket->type == VIRTIO_VSOCK_TYPE_SEQPACKET;
	const uint32_t record = packet->length | (packet->flags & 3) << 30;

	/* More than there was credit for, or after the end; hostile: B58 */
	if (packet->length > vio_vsock_room(socket) - (socket->received - socket->read) ||
	    socket->peer_shut & VIRTIO_VSOCK_SHUTDOWN_F_SEND) {
		refuse(vsock, socket, packet);
		return true;
	}
	if (!packet->length && !(message && packet->flags & VIRTIO_VSOCK_SEQ_EOM))
		return true;
	if (message && packet->length + VIO_VSOCK_RECORD_BYTES > socket->memory_bytes - socket->filled)
		return false;
	if (message)
		vio_vsock_store(socket, &record, sizeof(record));
	vio_vsock_store(socket, payload, packet->length);
	socket->received += packet->length;
	socket->dirty = true;
	return true;
}

/* Of a connection that there is. */
static bool handle(struct vio_vsock *vsock, struct vio_vsock_socket *socket,
		   const struct vio_vsock_packet *packet, const uint8_t *payload)
{
	bool connecting = socket->state == VIO_VSOCK_CONNECTING;

	/* hostile: B58; more was read than was sent */
	if (packet->op != VIRTIO_VSOCK_OP_RST &&
	    packet->fwd_cnt - socket->peer_read > socket->sent - socket->peer_read) {
		refuse(vsock, socket, packet);
		return true;
	}
	if (packet->op == VIRTIO_VSOCK_OP_RST) {
		vio_vsock_end(socket, -VIO_EHANGUP);
		return true;
	}
	/* A connection begins with a response and has one only. */
	if (connecting != (packet->op == VIRTIO_VSOCK_OP_RESPONSE)) {
		refuse(vsock, socket, packet);
		return true;
	}
	if (packet->op == VIRTIO_VSOCK_OP_RW)
		if (!keep(vsock, socket, packet, payload))
			return false;
	if (socket->state == VIO_VSOCK_CLOSED)
		return true;
	note_credit(socket, packet);
	switch (packet->op) {
	case VIRTIO_VSOCK_OP_RESPONSE:
		socket->state = VIO_VSOCK_CONNECTED;
		socket->dirty = true;
		break;
	case VIRTIO_VSOCK_OP_SHUTDOWN:
		shut(vsock, socket, packet);
		break;
	case VIRTIO_VSOCK_OP_CREDIT_REQUEST:
		socket->owed |= VIO_VSOCK_OWES(VIRTIO_VSOCK_OP_CREDIT_UPDATE);
		break;
	case VIRTIO_VSOCK_OP_RW:
	case VIRTIO_VSOCK_OP_CREDIT_UPDATE:
		break;
	default: /* OP_REQUEST, too: there is a connection */
		refuse(vsock, socket, packet);
	}
	return true;
}

bool vio_vsock_take(struct vio_vsock *vsock, const uint8_t *bytes, uint32_t count)
{
	struct vio_vsock_socket *socket;
	struct vio_vsock_packet packet;
	struct virtio_vsock_hdr wire;

	if (count < sizeof(wire)) {
		vsock->strays++;
		return true;
	}
	memcpy(&wire, bytes, sizeof(wire)); /* once: what is judged is what is used */
	packet = (struct vio_vsock_packet){
		.src_cid = get_number(wire.src_cid),
		.dst_cid = get_number(wire.dst_cid),
		.src_port = vio_le32_get(wire.src_port),
		.dst_port = vio_le32_get(wire.dst_port),
		.length = vio_le32_get(wire.len),
		.type = vio_le16_get(wire.type),
		.op = vio_le16_get(wire.op),
		.flags = vio_le32_get(wire.flags),
		.buf_alloc = vio_le32_get(wire.buf_alloc),
		.fwd_cnt = vio_le32_get(wire.fwd_cnt),
	};
	if (packet.dst_cid != vsock->cid) {
		vsock->strays++;
		return true;
	}
	socket = connection(vsock, &packet);
	if (socket && packet.length > count - sizeof(wire)) { /* hostile: B58 */
		refuse(vsock, socket, &packet);
		return true;
	}
	if (socket)
		return handle(vsock, socket, &packet, bytes + sizeof(wire));
	if (packet.op == VIRTIO_VSOCK_OP_REQUEST)
		accept_request(vsock, &packet);
	else
		stray(vsock, &packet);
	return true;
}
