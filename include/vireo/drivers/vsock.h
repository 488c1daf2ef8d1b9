/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_DRIVERS_VSOCK_H
#define VIREO_DRIVERS_VSOCK_H

#include <vireo/driver.h>
#include <vireo/spec/virtio_vsock.h>

/*
 * A driver for the socket device (5.10): streams and sequences of messages between this machine and its
 * host, or another one.
 *
 * The program gives a table of sockets, each with memory for what arrives and wasn't read yet: that is the
 * credit its peer gets. A socket is free, or listens, or is one end of a connection; a peer that connects to
 * a port where one listens gets a free one of the table. No call waits but vio_vsock_wait(): what can't be
 * done now is -VIO_EAGAIN, and `event` tells when to try again.
 *
 * A peer that lies about credit, says what makes no sense in the state of a connection or more than its
 * packet holds is reset, with -VIO_EPEER in `error` of the socket. What is for no socket is answered by a
 * reset and counted.
 *
 * No locks: one thread at a time, or interrupts off, for all of a device.
 */
VIO_API extern const struct vio_driver vio_vsock_driver;

#define VIO_VSOCK_BUFFERS      16u /* each way */
#define VIO_VSOCK_BUFFER_BYTES 4096u
#define VIO_VSOCK_EVENTS       4u
#define VIO_VSOCK_RESETS       16u
#define VIO_VSOCK_MEMORY_LEAST 64u /* bytes of a socket */

/* What a socket is; what may be called stands behind it. */
enum vio_vsock_state {
	VIO_VSOCK_FREE,       /* listen, connect */
	VIO_VSOCK_LISTENING,  /* accept, release */
	VIO_VSOCK_CONNECTING, /* release */
	VIO_VSOCK_CONNECTED,  /* send, receive, shutdown, release */
	VIO_VSOCK_CLOSED,     /* receive (what is still there), release */
};

/* Zeroed before the table is given but for memory, memory_bytes and owner. */
struct vio_vsock_socket {
	/* The program's; memory is VIO_VSOCK_MEMORY_LEAST bytes or more. */
	uint8_t *memory;
	uint32_t memory_bytes;
	void *owner;

	/* May be read. */
	enum vio_vsock_state state;
	uint16_t type; /* VIRTIO_VSOCK_TYPE_... */
	uint32_t port, peer_port;
	uint64_t peer_cid;
	unsigned shut, peer_shut; /* VIRTIO_VSOCK_SHUTDOWN_F_..., of either end */
	/* Why it is closed: 0 as agreed, -VIO_EHANGUP by a reset, -VIO_EPEER the peer lied. */
	int error;

	/* Private. */
	bool accepted; /* the program knows of it */
	bool dirty;    /* `event` is due */
	unsigned owed; /* packets to be sent when there is room */
	bool credit_asked;
	uint32_t first, filled; /* of memory, a ring */
	uint32_t received, read, read_told;
	uint32_t sent, peer_room, peer_read;
	uint32_t packet_left, packet_flags; /* of the one that is being read */
	bool in_packet;
};

/* A reset that is due, of what is no socket any more. */
struct vio_vsock_reset {
	uint64_t cid;
	uint32_t port, peer_port;
	uint16_t type;
};

/* What vio_driver_bind() wants `state` for; private but for what is said. */
struct vio_vsock {
	/* May be read. */
	uint64_t cid;           /* of this machine */
	uint64_t strays;        /* packets for no socket, or that made no sense */
	bool streams, messages; /* types that there are */
	/*
	 * May be set: something happened to a socket (connected, closed, to be accepted, to be read, room to
	 * send). NULL as a socket: `cid` may be another, or vio_dev_broken(). Any call may be made from it.
	 */
	void (*event)(struct vio_dev *dev, struct vio_vsock_socket *socket);

	struct vio_vsock_socket *sockets;
	unsigned socket_count;
	struct vio_dev_queue queues[3];
	struct vio_drvq *rx, *tx, *events;
	struct vio_shared memory; /* buffers of rx, of tx, events */
	bool sending[VIO_VSOCK_BUFFERS];
	struct vio_vsock_reset resets[VIO_VSOCK_RESETS];
	unsigned reset_count;
	uint32_t next_port;
	uint8_t *held; /* a packet that no memory was left for; or NULL */
	uint32_t held_bytes;
	bool polling, waiting, starved, moved;
};

/* The table, for as long as the driver is bound. -VIO_EINVAL: memory too small; -VIO_EBUSY: there is one. */
VIO_API int vio_vsock_give_sockets(struct vio_dev *dev, struct vio_vsock_socket *sockets, unsigned count);

/*
 * All that follow: -VIO_EINVAL when another driver is bound; -VIO_EPHASE when the device or the socket
 * isn't in a state for it.
 */

/* -VIO_ENOTSUP: a type that the device doesn't have; -VIO_EEXIST: another one listens there. */
VIO_API int vio_vsock_listen(struct vio_dev *dev, struct vio_vsock_socket *socket, uint16_t type,
			     uint32_t port);
/* The next connection to a listening socket, in *accepted. -VIO_EAGAIN. */
VIO_API int vio_vsock_accept(struct vio_dev *dev, struct vio_vsock_socket *listener,
			     struct vio_vsock_socket **accepted);
/* Begins to connect, from a port that it chooses; over when CONNECTED, or CLOSED. -VIO_ENOTSUP. */
VIO_API int vio_vsock_connect(struct vio_dev *dev, struct vio_vsock_socket *socket, uint16_t type,
			      uint64_t cid, uint32_t port);

/*
 * Copies and sends up to `length` bytes, *sent of them, as far as the peer has room. `flags`
 * (VIRTIO_VSOCK_SEQ_...) are of the message that ends with these bytes, for a sequence of messages; a
 * message without bytes isn't sent. -VIO_EAGAIN: none; -VIO_EHANGUP: the peer doesn't read any more.
 */
VIO_API int vio_vsock_send(struct vio_dev *dev, struct vio_vsock_socket *socket, const void *from,
			   uint32_t length, unsigned flags, uint32_t *sent);
/*
 * Copies out up to `length` bytes that arrived, *got of them and not beyond the end of a message; *flags
 * (may be NULL) has VIRTIO_VSOCK_SEQ_EOM when they end one. -VIO_EAGAIN: none; -VIO_EHANGUP: nothing will
 * come any more; -VIO_EPEER: nor will it, and the peer lied. May call `event`.
 */
VIO_API int vio_vsock_receive(struct vio_dev *dev, struct vio_vsock_socket *socket, void *to, uint32_t length,
			      uint32_t *got, unsigned *flags);

/* Says what this end won't do any more (VIRTIO_VSOCK_SHUTDOWN_F_...); with both the peer closes. */
VIO_API int vio_vsock_shutdown(struct vio_dev *dev, struct vio_vsock_socket *socket, unsigned flags);
/* The socket is free again, what wasn't read is lost, its peer is reset. -VIO_EAGAIN: no room for that. */
VIO_API int vio_vsock_release(struct vio_dev *dev, struct vio_vsock_socket *socket);

/* Does what interrupts would. -VIO_EPEER when the device is broken. */
VIO_API int vio_vsock_poll(struct vio_dev *dev);
/* Polls until something came or left since the last time; 0: for ever. -VIO_EAGAIN, codes of poll. */
VIO_API int vio_vsock_wait(struct vio_dev *dev, uint64_t timeout_ns);

/*
 * Resets the device: all connections are closed with -VIO_EHANGUP, what listens goes on after start.
 * -VIO_EAGAIN when the reset doesn't end, -VIO_EHANGUP when the device is gone.
 */
VIO_API int vio_vsock_stop(struct vio_dev *dev);
/* Begins the device's life again; binding did so for the first one. Codes of the verbs of driver.h. */
VIO_API int vio_vsock_start(struct vio_dev *dev);

#endif
