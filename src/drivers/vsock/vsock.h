/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_DRIVERS_VSOCK_H
#define VIO_DRIVERS_VSOCK_H

#include <vireo/drivers/vsock.h>

/*
 * What the files of this driver share: packet.c is what goes over the wire, socket.c the program's calls,
 * vsock.c the life of the device.
 */

#define VIO_VSOCK_HEADER_BYTES ((uint32_t)sizeof(struct virtio_vsock_hdr))
#define VIO_VSOCK_RECORD_BYTES 4u /* in front of each packet that is kept, for messages */

/* Packets that a socket owes its peer, by the bit of their op. */
#define VIO_VSOCK_OWES(op) (1u << (op))

/* A header in the machine's own numbers. */
struct vio_vsock_packet {
	uint64_t src_cid, dst_cid;
	uint32_t src_port, dst_port, length;
	uint16_t type, op;
	uint32_t flags, buf_alloc, fwd_cnt;
};

/* NULL when another driver is bound, or none. */
static inline struct vio_vsock *vio_vsock_of(const struct vio_dev *dev)
{
	return dev->driver == &vio_vsock_driver ? dev->driver_state : NULL;
}

/* The credit of a socket's peer: a record takes room as well. */
static inline uint32_t vio_vsock_room(const struct vio_vsock_socket *socket)
{
	return socket->type == VIRTIO_VSOCK_TYPE_STREAM ? socket->memory_bytes : socket->memory_bytes / 2;
}

/* How much the peer can take now. spec: DRV-VSOCK-004 */
static inline uint32_t vio_vsock_credit(const struct vio_vsock_socket *socket)
{
	uint32_t on_the_way = socket->sent - socket->peer_read;

	return socket->peer_room > on_the_way ? socket->peer_room - on_the_way : 0;
}

/* A connection has ended; `error` as in the socket. */
void vio_vsock_end(struct vio_vsock_socket *socket, int error);

/* The socket that listens there, or NULL. */
struct vio_vsock_socket *vio_vsock_listener(const struct vio_vsock *vsock, uint16_t type, uint32_t port);

/* Begins to be a connection. */
void vio_vsock_join(struct vio_vsock_socket *socket, uint16_t type, uint32_t port, uint64_t peer_cid,
		    uint32_t peer_port);

/* Sends a packet of a connection, with a copy of `length` bytes; false when there is no room. */
bool vio_vsock_put(struct vio_dev *dev, struct vio_vsock_socket *socket, uint16_t op, uint32_t flags,
		   const void *from, uint32_t length);

/* Sends what is owed, as far as there is room. */
void vio_vsock_flush(struct vio_dev *dev);

/* A reset for the peer of this; there must be room: reset_count below VIO_VSOCK_RESETS. */
void vio_vsock_owe_reset(struct vio_vsock *vsock, const struct vio_vsock_reset *reset);

/* Judges and takes a packet of `bytes`; false when it has to wait for memory. */
bool vio_vsock_take(struct vio_vsock *vsock, const uint8_t *packet, uint32_t bytes);

/* Ring memory of a socket. */
void vio_vsock_store(struct vio_vsock_socket *socket, const void *from, uint32_t length);
void vio_vsock_load(struct vio_vsock_socket *socket, void *to, uint32_t length);

#endif
