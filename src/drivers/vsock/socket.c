/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "drivers/vsock/vsock.h"

#define PORT_FIRST 1024u /* of those that are chosen */

/* Memory, a ring. */

void vio_vsock_store(struct vio_vsock_socket *socket, const void *from, uint32_t length)
{
	uint32_t at = (uint32_t)(((uint64_t)socket->first + socket->filled) % socket->memory_bytes);
	uint32_t piece = socket->memory_bytes - at < length ? socket->memory_bytes - at : length;

	if (!length)
		return;
	memcpy(socket->memory + at, from, piece);
	memcpy(socket->memory, (const uint8_t *)from + piece, length - piece);
	socket->filled += length;
}

void vio_vsock_load(struct vio_vsock_socket *socket, void *to, uint32_t length)
{
	uint32_t left = socket->memory_bytes - socket->first;
	uint32_t piece = left < length ? left : length;

	if (!length)
		return;
	memcpy(to, socket->memory + socket->first, piece);
	memcpy((uint8_t *)to + piece, socket->memory, length - piece);
	socket->first = (uint32_t)(((uint64_t)socket->first + length) % socket->memory_bytes);
	socket->filled -= length;
}

/* States. */

void vio_vsock_end(struct vio_vsock_socket *socket, int error)
{
	socket->state = VIO_VSOCK_CLOSED;
	socket->error = error;
	socket->owed = 0;
	socket->dirty = true;
}

struct vio_vsock_socket *vio_vsock_listener(const struct vio_vsock *vsock, uint16_t type, uint32_t port)
{
	unsigned i;

	for (i = 0; i < vsock->socket_count; i++)
		if (vsock->sockets[i].state == VIO_VSOCK_LISTENING && vsock->sockets[i].port == port &&
		    vsock->sockets[i].type == type)
			return &vsock->sockets[i];
	return NULL;
}

static void clear(struct vio_vsock_socket *socket)
{
	struct vio_vsock_socket kept = *socket;

	memset(socket, 0, sizeof(*socket));
	socket->memory = kept.memory;
	socket->memory_bytes = kept.memory_bytes;
	socket->owner = kept.owner;
}

void vio_vsock_join(struct vio_vsock_socket *socket, uint16_t type, uint32_t port, uint64_t peer_cid,
		    uint32_t peer_port)
{
	clear(socket);
	socket->type = type;
	socket->port = port;
	socket->peer_cid = peer_cid;
	socket->peer_port = peer_port;
}

/* The device's half and the socket's: 0, or why nothing can be done. */
static int judge(const struct vio_dev *dev, const struct vio_vsock_socket *socket, enum vio_vsock_state state)
{
	if (!vio_vsock_of(dev))
		return -VIO_EINVAL;
	return dev->phase == VIO_DEV_READY && socket->state == state ? 0 : -VIO_EPHASE;
}

static bool offered(const struct vio_vsock *vsock, uint16_t type)
{
	return (type == VIRTIO_VSOCK_TYPE_STREAM && vsock->streams) ||
	       (type == VIRTIO_VSOCK_TYPE_SEQPACKET && vsock->messages);
}

/* The program's calls. */

int vio_vsock_give_sockets(struct vio_dev *dev, struct vio_vsock_socket *sockets, unsigned count)
{
	struct vio_vsock *vsock = vio_vsock_of(dev);
	unsigned i;

	if (!vsock)
		return -VIO_EINVAL;
	if (vsock->sockets)
		return -VIO_EBUSY;
	for (i = 0; i < count; i++)
		if (!sockets[i].memory || sockets[i].memory_bytes < VIO_VSOCK_MEMORY_LEAST)
			return -VIO_EINVAL;
	for (i = 0; i < count; i++)
		clear(&sockets[i]);
	vsock->sockets = sockets;
	vsock->socket_count = count;
	return 0;
}

int vio_vsock_listen(struct vio_dev *dev, struct vio_vsock_socket *socket, uint16_t type, uint32_t port)
{
	const struct vio_vsock *vsock = vio_vsock_of(dev);
	int error = judge(dev, socket, VIO_VSOCK_FREE);

	if (error)
		return error;
	if (!offered(vsock, type))
		return -VIO_ENOTSUP;
	if (vio_vsock_listener(vsock, type, port))
		return -VIO_EEXIST;
	vio_vsock_join(socket, type, port, 0, 0);
	socket->state = VIO_VSOCK_LISTENING;
	return 0;
}

int vio_vsock_accept(struct vio_dev *dev, struct vio_vsock_socket *listener,
		     struct vio_vsock_socket **accepted)
{
	const struct vio_vsock *vsock = vio_vsock_of(dev);
	int error = judge(dev, listener, VIO_VSOCK_LISTENING);
	unsigned i;

	if (error)
		return error;
	for (i = 0; i < vsock->socket_count; i++) {
		struct vio_vsock_socket *socket = &vsock->sockets[i];

		if (socket->state < VIO_VSOCK_CONNECTED || socket->accepted ||
		    socket->port != listener->port || socket->type != listener->type)
			continue;
		socket->accepted = true;
		*accepted = socket;
		return 0;
	}
	return -VIO_EAGAIN;
}

static bool port_in_use(const struct vio_vsock *vsock, uint32_t port)
{
	unsigned i;

	for (i = 0; i < vsock->socket_count; i++)
		if (vsock->sockets[i].state != VIO_VSOCK_FREE && vsock->sockets[i].port == port)
			return true;
	return false;
}

int vio_vsock_connect(struct vio_dev *dev, struct vio_vsock_socket *socket, uint16_t type, uint64_t cid,
		      uint32_t port)
{
	struct vio_vsock *vsock = vio_vsock_of(dev);
	int error = judge(dev, socket, VIO_VSOCK_FREE);

	if (error)
		return error;
	if (!offered(vsock, type))
		return -VIO_ENOTSUP;
	do { /* ends, as there are fewer sockets than ports */
		vsock->next_port++;
		if (vsock->next_port < PORT_FIRST || vsock->next_port == UINT32_MAX)
			vsock->next_port = PORT_FIRST;
	} while (port_in_use(vsock, vsock->next_port));
	vio_vsock_join(socket, type, vsock->next_port, cid, port);
	socket->state = VIO_VSOCK_CONNECTING;
	socket->accepted = true;
	socket->owed = VIO_VSOCK_OWES(VIRTIO_VSOCK_OP_REQUEST);
	vio_vsock_flush(dev);
	return 0;
}

/* One packet; how many bytes it took. */
static uint32_t send_packet(struct vio_dev *dev, struct vio_vsock_socket *socket, const uint8_t *from,
			    uint32_t length, unsigned flags)
{
	uint32_t now = VIO_VSOCK_BUFFER_BYTES - VIO_VSOCK_HEADER_BYTES;

	if (now > vio_vsock_credit(socket))
		now = vio_vsock_credit(socket);
	if (now >= length)
		now = length;
	else
		flags = 0; /* the message doesn't end here */
	if (socket->type != VIRTIO_VSOCK_TYPE_SEQPACKET)
		flags = 0;
	if (!now || !vio_vsock_put(dev, socket, VIRTIO_VSOCK_OP_RW, flags, from, now))
		return 0;
	socket->sent += now;
	return now;
}

int vio_vsock_send(struct vio_dev *dev, struct vio_vsock_socket *socket, const void *from, uint32_t length,
		   unsigned flags, uint32_t *sent)
{
	uint32_t now;
	int error;

	*sent = 0;
	if (!vio_vsock_of(dev) || !length || flags & ~(unsigned)(VIRTIO_VSOCK_SEQ_EOM | VIRTIO_VSOCK_SEQ_EOR))
		return -VIO_EINVAL;
	if (socket->state == VIO_VSOCK_CLOSED)
		return socket->error ? socket->error : -VIO_EHANGUP;
	error = judge(dev, socket, VIO_VSOCK_CONNECTED);
	if (!error && socket->shut & VIRTIO_VSOCK_SHUTDOWN_F_SEND)
		error = -VIO_EPHASE;
	if (!error && socket->peer_shut & VIRTIO_VSOCK_SHUTDOWN_F_RECEIVE)
		error = -VIO_EHANGUP;
	if (error)
		return error;
	vio_vsock_flush(dev); /* the response to a peer that connected comes first */
	if (socket->owed & VIO_VSOCK_OWES(VIRTIO_VSOCK_OP_RESPONSE))
		return -VIO_EAGAIN;
	do {
		now = send_packet(dev, socket, (const uint8_t *)from + *sent, length - *sent, flags);
		*sent += now;
	} while (now && *sent < length);
	if (*sent < length && !vio_vsock_credit(socket) && !socket->credit_asked) {
		socket->credit_asked = true;
		socket->owed |= VIO_VSOCK_OWES(VIRTIO_VSOCK_OP_CREDIT_REQUEST);
	}
	vio_vsock_of(dev)->starved |= *sent < length;
	vio_vsock_flush(dev);
	return *sent ? 0 : -VIO_EAGAIN;
}

/* The peer is told of room when half of it isn't known to it. */
static void note_read(struct vio_vsock_socket *socket, uint32_t count)
{
	socket->read += count;
	if (socket->state == VIO_VSOCK_CONNECTED &&
	    socket->read - socket->read_told >= vio_vsock_room(socket) / 2)
		socket->owed |= VIO_VSOCK_OWES(VIRTIO_VSOCK_OP_CREDIT_UPDATE);
}

static uint32_t read_stream(struct vio_vsock_socket *socket, void *to, uint32_t length)
{
	uint32_t now = socket->filled < length ? socket->filled : length;

	vio_vsock_load(socket, to, now);
	note_read(socket, now);
	return now;
}

/* Up to the end of a message; true with its flags when that was reached. */
static bool read_message(struct vio_vsock_socket *socket, uint8_t *to, uint32_t length, uint32_t *got,
			 unsigned *flags)
{
	for (;;) {
		uint32_t record, now;

		if (!socket->in_packet) {
			if (!socket->filled)
				return false;
			vio_vsock_load(socket, &record, sizeof(record));
			socket->packet_left = record << 2 >> 2;
			socket->packet_flags = record >> 30;
			socket->in_packet = true;
		}
		now = socket->packet_left < length - *got ? socket->packet_left : length - *got;
		vio_vsock_load(socket, to + *got, now);
		note_read(socket, now);
		*got += now;
		socket->packet_left -= now;
		if (socket->packet_left)
			return false;
		socket->in_packet = false;
		if (socket->packet_flags & VIRTIO_VSOCK_SEQ_EOM) {
			*flags = socket->packet_flags;
			return true;
		}
	}
}

int vio_vsock_receive(struct vio_dev *dev, struct vio_vsock_socket *socket, void *to, uint32_t length,
		      uint32_t *got, unsigned *flags)
{
	struct vio_vsock *vsock = vio_vsock_of(dev);
	unsigned ends = 0;
	bool something;

	*got = 0;
	if (flags)
		*flags = 0;
	if (!vsock || !length)
		return -VIO_EINVAL;
	if (socket->state != VIO_VSOCK_CONNECTED && socket->state != VIO_VSOCK_CLOSED)
		return -VIO_EPHASE;
	if (socket->type == VIRTIO_VSOCK_TYPE_STREAM)
		something = (*got = read_stream(socket, to, length));
	else
		something = read_message(socket, to, length, got, &ends) || *got;
	if (flags)
		*flags = ends;
	if (dev->phase == VIO_DEV_READY && something) {
		vio_vsock_flush(dev);
		if (vsock->held) /* there may be memory for it now, and no interrupt will say so */
			(void)vio_vsock_poll(dev);
	}
	if (something)
		return 0;
	if (socket->state == VIO_VSOCK_CLOSED)
		return socket->error ? socket->error : -VIO_EHANGUP;
	return socket->peer_shut & VIRTIO_VSOCK_SHUTDOWN_F_SEND ? -VIO_EHANGUP : -VIO_EAGAIN;
}

int vio_vsock_shutdown(struct vio_dev *dev, struct vio_vsock_socket *socket, unsigned flags)
{
	const unsigned both = VIRTIO_VSOCK_SHUTDOWN_F_RECEIVE | VIRTIO_VSOCK_SHUTDOWN_F_SEND;
	int error = judge(dev, socket, VIO_VSOCK_CONNECTED);

	if (error)
		return error;
	if (!flags || flags & ~both)
		return -VIO_EINVAL;
	socket->shut |= flags;
	socket->owed |= VIO_VSOCK_OWES(VIRTIO_VSOCK_OP_SHUTDOWN);
	vio_vsock_flush(dev);
	return 0;
}

int vio_vsock_release(struct vio_dev *dev, struct vio_vsock_socket *socket)
{
	struct vio_vsock *vsock = vio_vsock_of(dev);
	const struct vio_vsock_reset reset = { socket->peer_cid, socket->port, socket->peer_port,
					       socket->type };
	bool joined = socket->state == VIO_VSOCK_CONNECTING || socket->state == VIO_VSOCK_CONNECTED;

	if (!vsock)
		return -VIO_EINVAL;
	if (socket->state == VIO_VSOCK_FREE)
		return -VIO_EPHASE;
	if (joined && dev->phase == VIO_DEV_READY) {
		if (vsock->reset_count == VIO_VSOCK_RESETS)
			return -VIO_EAGAIN;
		vio_vsock_owe_reset(vsock, &reset);
		clear(socket);
		vio_vsock_flush(dev);
	}
	clear(socket);
	return 0;
}
