/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_CLIENT_H
#define VIREO_CLIENT_H

#include <vireo/driver.h>
#include <vireo/host.h>

/*
 * A disk or a packet port for a program, from any vhost-user back end.
 *
 *	struct vio_client_options options = { .path = "/run/disk.sock", .depth = 64 };
 *	vio_client_open_disk(&options, &client, &message);
 *	queue = vio_client_get_queue(client, 0);
 *	part = (struct vio_part){ vio_client_alloc(client, 4096), 4096 };
 *	vio_client_submit(queue, &(struct vio_client_request){ .op = VIO_CLIENT_READ, .parts = &part,
 *							       .part_count = 1, .user_data = 7 }, 1);
 *	vio_client_wait(queue, &completion, 1, 0);
 *	vio_client_close(client);
 *
 * Requests are submitted to a queue and complete in any order; none of that waits for the back end.
 * What completed is taken by vio_client_poll(), or by vio_client_wait(), which polls for `poll_us` and then
 * sleeps. Who has a loop of its own watches vio_client_queue_fd() after vio_client_arm().
 *
 * Memory of vio_client_alloc() is what the back end sees of this process; data in it isn't copied. Data
 * elsewhere is copied there and back, or refused with VIO_CLIENT_NO_COPIES. The back end can write to all
 * that it sees, at any time.
 *
 * Threads: a queue belongs to one thread at a time, different queues to different ones. What has the client
 * as its argument may be called from any, but open and close. A thread of the library's own, which sleeps
 * unless something happens, listens to the back end: it hears of changes and finds the next one when this
 * one dies.
 *
 * Nothing the back end does is trusted. What it answers wrongly fails one request; a broken ring, a lie in
 * a message or a silence of `request_ms` ends the connection: then each request that is in flight completes
 * once, with -VIO_EHANGUP (-VIO_EPEER on the queue that was broken), and vio_client_get_mistake() knows
 * why. The memory of such requests is the back end's until vio_client_close(): it may not know yet.
 *
 * With VIO_CLIENT_RECONNECT a back end may die and be started again: what it hadn't answered the next one
 * does once more, and requests take longer, no more. That needs a back end which keeps a file of its
 * requests in flight (INFLIGHT_SHMFD); with others the connection ends as without.
 */
struct vio_client;
struct vio_client_queue;

#define VIO_CLIENT_QUEUES_MAX   8u
#define VIO_CLIENT_DEPTH        128u
#define VIO_CLIENT_DEPTH_MAX    1024u
#define VIO_CLIENT_PARTS_MAX    32u
#define VIO_CLIENT_MEMORY_BYTES ((size_t)64 << 20)
#define VIO_CLIENT_REQUEST_MS   30000u
#define VIO_CLIENT_FRAMES_LEAST 32u

#define VIO_CLIENT_RECONNECT 1u /* look for another back end when this one is gone */
#define VIO_CLIENT_NO_COPIES 2u /* refuse data that isn't in vio_client_alloc()'s memory */
#define VIO_CLIENT_SPLIT     4u /* split rings, also where the back end has packed ones */

/* Zeros mean what is said behind them. */
struct vio_client_options {
	const char *path;     /* of the back end's Unix socket; to be NULL with `connect` */
	unsigned flags;       /* VIO_CLIENT_... */
	uint16_t queue_count; /* queues of a disk, pairs of a port, up to VIO_CLIENT_QUEUES_MAX; 0: 1 */
	uint16_t depth;      /* requests in flight a queue, up to VIO_CLIENT_DEPTH_MAX; 0: VIO_CLIENT_DEPTH */
	unsigned poll_us;    /* how long a wait polls before it sleeps */
	unsigned timeout_ms; /* for a reply to a message; 0: VIO_VHOST_USER_TIMEOUT_MS */
	unsigned request_ms; /* for a request; 0: VIO_CLIENT_REQUEST_MS; UINT_MAX: for ever */
	unsigned reconnect_ms; /* to find another back end; 0: VIO_VHOST_USER_RECONNECT_MS */
	size_t memory_bytes;   /* of vio_client_alloc() and for copies; 0: VIO_CLIENT_MEMORY_BYTES */
	/*
	 * Instead of `path`: a connected socket, which is taken over, or a negative code. With
	 * VIO_CLIENT_RECONNECT it is called again, from the library's thread.
	 */
	int (*connect)(void *context);
	void *context;
};

/*
 * Connects, agrees with the back end and starts its device. Fewer queues and less depth than asked for may
 * be what it has: vio_client_get_info(). -VIO_EINVAL for options that can't be, -VIO_ESYS when nobody
 * listens, -VIO_ENOMEM, -VIO_EPROTO, -VIO_EAGAIN, -VIO_EHANGUP, -VIO_ENOTSUP, -VIO_EPEER; *message says it
 * in words.
 */
VIO_API int vio_client_open_disk(const struct vio_client_options *options, struct vio_client **client,
				 struct vio_message *message);
VIO_API int vio_client_open_port(const struct vio_client_options *options, struct vio_client **client,
				 struct vio_message *message);

/*
 * Stops the device, which lets go of all memory, and frees everything. What is in flight is forgotten: it
 * may have been done or not. Takes up to `timeout_ms` for each message that the back end doesn't answer. No
 * thread may be inside a call for the client or a queue of it.
 */
VIO_API void vio_client_close(struct vio_client *client);

/* Ends the connection now, without asking the back end. All in flight completes with -VIO_EHANGUP. */
VIO_API void vio_client_hang_up(struct vio_client *client);

struct vio_client_disk {
	uint64_t bytes;             /* may change */
	uint32_t block_bytes;       /* logical block: a multiple of it is better than one of 512 */
	uint32_t physical_bytes;    /* physical block */
	uint32_t best_bytes;        /* suggested size of requests; 0: not said */
	uint32_t parts_max;         /* of a request's data */
	uint32_t part_bytes_max;    /* UINT32_MAX: no limit */
	uint64_t discard_bytes_max; /* of a request; 0: no discards */
	uint32_t discard_alignment; /* in bytes */
	uint64_t zeroes_bytes_max;  /* 0: no write zeroes */
	bool read_only;
	bool writeback; /* writes may be lost until a flush completed; may change */
};

struct vio_client_port {
	uint8_t mac[6];
	bool mac_known;     /* else choose a locally administered address */
	bool link_up;       /* may change */
	uint16_t mtu;       /* 1500 when the back end doesn't say */
	uint32_t frame_max; /* bytes of a frame */
};

struct vio_client_info {
	uint64_t features; /* negotiated, as far as a disk or port has bits of its own and below 64 */
	uint16_t queue_count;
	uint16_t depth;   /* the least of all queues */
	uint32_t changes; /* how often something changed that may */
	uint32_t reconnects;
	bool reconnecting; /* right now */
	bool can_reconnect;
	int gone;                    /* 0, or the code with which the connection ended */
	struct vio_client_disk disk; /* zeros for a port, and the other way round */
	struct vio_client_port port;
};

/* Doesn't ask the back end. */
VIO_API void vio_client_get_info(struct vio_client *client, struct vio_client_info *info);

/* Why the connection ended, or "". */
VIO_API void vio_client_get_mistake(struct vio_client *client, struct vio_message *message);

/* Page-aligned memory that the back end sees, zeros; NULL when `memory_bytes` are in use. Goes at close. */
VIO_API void *vio_client_alloc(struct vio_client *client, size_t bytes);
/*
 * `bytes` as it was allocated; nothing that is in flight. NULL is fine. Once the connection is over memory
 * goes at close only: a back end may go on with what nobody waits for any more.
 */
VIO_API void vio_client_free(struct vio_client *client, void *memory, size_t bytes);

/* NULL beyond queue_count. */
VIO_API struct vio_client_queue *vio_client_get_queue(struct vio_client *client, uint16_t index);

/* Requests. */

enum vio_client_op {
	VIO_CLIENT_READ,
	VIO_CLIENT_WRITE,
	VIO_CLIENT_FLUSH,   /* what was written and completed before is stable then */
	VIO_CLIENT_DISCARD, /* may read as anything afterwards */
	VIO_CLIENT_ZEROES,  /* reads as zeros afterwards */
	VIO_CLIENT_SERIAL,  /* reads VIRTIO_BLK_ID_BYTES of whatever the disk is called by */
	VIO_CLIENT_SEND,    /* a frame, on a port */
};

#define VIO_CLIENT_UNMAP 1u /* for ZEROES: storage may be given back */

struct vio_client_request {
	uint16_t op;
	uint16_t flags;
	uint16_t part_count;
	uint64_t offset; /* in bytes, a multiple of 512 */
	uint64_t length; /* in bytes, of DISCARD and ZEROES; otherwise the parts say it */
	/* May go when the call returned; what they point to is the back end's until completion. */
	const struct vio_part *parts;
	uint64_t user_data;
};

/* 0, -VIO_EIO or -VIO_ENOTSUP as the device says, -VIO_EPEER for an answer that is none, -VIO_EHANGUP. */
struct vio_client_completion {
	uint64_t user_data;
	int result;
};

/*
 * Submits requests in order, shown to the back end together. How many were taken; of the first that wasn't,
 * if none was taken, why: -VIO_ENOSPC when as many are in flight as can be, -VIO_ENOMEM when there is no
 * memory for a copy now (or ever, if it is larger than `memory_bytes`), -VIO_EACCES for writes to a read-
 * only disk, or data elsewhere with VIO_CLIENT_NO_COPIES, -VIO_ERANGE beyond the disk or a limit of
 * vio_client_info, -VIO_EINVAL for what makes no sense, -VIO_ENOTSUP for what the device doesn't have,
 * -VIO_EHANGUP or -VIO_EPEER when the connection is over. Where the device has no cache a flush completes by
 * itself.
 */
VIO_API int vio_client_submit(struct vio_client_queue *queue, const struct vio_client_request *requests,
			      unsigned count);

/*
 * Takes up to `max` completions: how many, 0 when there is none. -VIO_EHANGUP or -VIO_EPEER when the
 * connection is over and everything was handed out.
 */
VIO_API int vio_client_poll(struct vio_client_queue *queue, struct vio_client_completion *completions,
			    unsigned max);

/*
 * The same, after waiting for the first; 0 after timeout_ns (0: waits for ever). Comes back with 0 at once
 * when nothing is in flight, but on a port when a frame came.
 */
VIO_API int vio_client_wait(struct vio_client_queue *queue, struct vio_client_completion *completions,
			    unsigned max, uint64_t timeout_ns);

/* Submitted, and not completed yet. */
VIO_API unsigned vio_client_in_flight(const struct vio_client_queue *queue);

/* An eventfd, the same for the queue's whole life. Only to be watched. */
VIO_API int vio_client_queue_fd(const struct vio_client_queue *queue);

/*
 * Asks for the descriptor to become readable with the next completion or frame, and once the connection is
 * over. False: there is something now. Holds until the next poll, wait or receive. An interrupt may be kept
 * back by a back end: look at the queue now and then, too.
 */
VIO_API bool vio_client_arm(struct vio_client_queue *queue);

/* Frames that came, on a port. */
struct vio_client_frame {
	const uint8_t
		*data; /* from the Ethernet header on, in memory that the back end sees, and may change */
	uint32_t length;
	uint32_t index; /* private */
};

/*
 * Takes up to `max` frames, which have to be given back; who keeps all of them receives no more. Codes of
 * poll; -VIO_ENOTSUP on a disk.
 */
VIO_API int vio_client_receive(struct vio_client_queue *queue, struct vio_client_frame *frames, unsigned max);
VIO_API void vio_client_give_back(struct vio_client_queue *queue, const struct vio_client_frame *frames,
				  unsigned count);

#endif
