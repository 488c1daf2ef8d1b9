/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include "fake.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vireo/base.h>
#include <vireo/spec/virtio_config.h>

#define BIT(number) (UINT64_C(1) << (number))
#define REPLY       (VHOST_USER_FLAGS_VERSION | VHOST_USER_FLAGS_REPLY)
#define FLOOD       1000u
#define CHAIN_MAX   64u

/* What it sees. */

static void *see(const struct fake *fake, uint64_t at, uint64_t bytes)
{
	if (!fake->memory || at < fake->base || at - fake->base > fake->bytes ||
	    bytes > fake->bytes - (at - fake->base))
		abort(); /* then the front end is wrong */
	return fake->memory + (at - fake->base);
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void hang_up(struct fake *fake)
{
	close_fd(&fake->socket);
	close_fd(&fake->channel);
}

static void raise_fd(int fd)
{
	const uint64_t one = 1;

	if (fd >= 0 && write(fd, &one, sizeof(one)) < 0)
		return;
}

static void say_config_changed(struct fake *fake)
{
	const struct vhost_user_header header = { VHOST_USER_BACKEND_CONFIG_CHANGE_MSG,
						  VHOST_USER_FLAGS_VERSION, 0 };

	if (send(fake->channel, &header, sizeof(header), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return;
}

/* Requests. */

struct chain {
	struct virtq_desc desc[CHAIN_MAX];
	unsigned count;
};

static void walk(const struct fake *fake, const struct fake_queue *queue, uint16_t head, struct chain *chain)
{
	const struct virtq_desc *table = see(fake, queue->descriptor, queue->size * sizeof(*table));

	chain->count = 0;
	do {
		chain->desc[chain->count] = table[head];
		head = vio_le16_get(table[head].next);
	} while (vio_le16_get(chain->desc[chain->count++].flags) & VIRTQ_DESC_F_NEXT &&
		 chain->count < CHAIN_MAX);
}

/* The bytes that it wrote. */
static uint32_t serve(struct fake *fake, const struct chain *chain)
{
	const struct virtio_blk_req *request = see(fake, vio_le64_get(chain->desc[0].addr), sizeof(*request));
	uint32_t type = vio_le32_get(request->type), written = 1;
	uint64_t at = vio_le64_get(request->sector) * VIRTIO_BLK_SECTOR_BYTES;
	uint8_t *status = see(fake, vio_le64_get(chain->desc[chain->count - 1].addr), 1);

	for (unsigned i = 1; i + 1 < chain->count; i++) {
		uint32_t length = vio_le32_get(chain->desc[i].len);
		void *data = see(fake, vio_le64_get(chain->desc[i].addr), length);

		if ((type == VIRTIO_BLK_T_IN || type == VIRTIO_BLK_T_OUT) && at + length > FAKE_BYTES)
			abort();
		if (type == VIRTIO_BLK_T_IN)
			memcpy(data, fake->disk + at, length);
		if (type == VIRTIO_BLK_T_OUT)
			memcpy(fake->disk + at, data, length);
		if (type == VIRTIO_BLK_T_GET_ID)
			memcpy(data, FAKE_SERIAL "\0\0", VIRTIO_BLK_ID_BYTES);
		if (type == VIRTIO_BLK_T_IN || type == VIRTIO_BLK_T_GET_ID)
			written += length;
		at += length;
	}
	*status = VIRTIO_BLK_S_OK;
	return written;
}

static void put(struct fake *fake, struct fake_queue *queue, uint32_t id, uint32_t length)
{
	struct virtq_used *used =
		see(fake, queue->used_area, sizeof(*used) + queue->size * sizeof(struct virtq_used_elem));

	used->ring[queue->used % queue->size] =
		(struct virtq_used_elem){ vio_le32_make(id), vio_le32_make(length) };
	queue->used++;
	__atomic_store_n(&used->idx.raw, vio_le16_make(queue->used).raw, __ATOMIC_RELEASE);
}

/* What becomes of an answer. True: it may go out as it is. */
static bool bend_answer(struct fake *fake, const struct chain *chain, uint32_t *length)
{
	uint8_t *status = see(fake, vio_le64_get(chain->desc[chain->count - 1].addr), 1);

	switch (atomic_load(&fake->trick)) {
	case FAKE_SILENT:
		return false;
	case FAKE_HANGS_UP:
		hang_up(fake);
		return false;
	case FAKE_STATUS_UNKNOWN:
		*status = 77;
		return true;
	case FAKE_STATUS_UNWRITTEN:
		*status = 0xff;
		return true;
	case FAKE_FAILS:
		*status = VIRTIO_BLK_S_IOERR;
		return true;
	case FAKE_KNOWS_NOTHING:
		*status = VIRTIO_BLK_S_UNSUPP;
		return true;
	case FAKE_SAYS_NOTHING:
		*length = 0;
		return true;
	case FAKE_SAYS_LESS:
		*length -= 1;
		return true;
	case FAKE_SAYS_MORE:
		*length += 1 << 20;
		return true;
	default:
		return true;
	}
}

static void bend_ring(struct fake *fake, struct fake_queue *queue, uint16_t head)
{
	switch (atomic_load(&fake->trick)) {
	case FAKE_ID_BEYOND:
		put(fake, queue, queue->size, 1);
		break;
	case FAKE_ID_NOT_THERE:
		put(fake, queue, (head + 40u) % queue->size, 1);
		break;
	case FAKE_TWICE:
		put(fake, queue, head, 1);
		break;
	case FAKE_INDEX_FAR:
		queue->used += 1000;
		put(fake, queue, head, 1);
		break;
	case FAKE_SCRIBBLES:
		memset(fake->memory, 0xa5, fake->bytes);
		break;
	case FAKE_RING_ERROR:
		raise_fd(queue->error);
		break;
	case FAKE_ASKS_FOR_RESET:
		fake->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
		say_config_changed(fake);
		break;
	case FAKE_SHRINKS:
		fake->config.capacity = vio_le64_make(8);
		say_config_changed(fake);
		break;
	case FAKE_FLOODS:
		for (unsigned i = 0; i < FLOOD; i++) {
			say_config_changed(fake);
			raise_fd(queue->call);
		}
		break;
	default:
		break;
	}
}

static void work(struct fake *fake, struct fake_queue *queue)
{
	const struct virtq_avail *avail = see(fake, queue->available, sizeof(*avail) + 2u * queue->size);

	while (fake->socket >= 0 &&
	       queue->next != VIO_LE16_RAW(__atomic_load_n(&avail->idx.raw, __ATOMIC_ACQUIRE))) {
		uint16_t head = vio_le16_get(avail->ring[queue->next++ % queue->size]);
		struct chain chain;
		uint32_t length;

		walk(fake, queue, head, &chain);
		length = serve(fake, &chain);
		if (!bend_answer(fake, &chain, &length)) {
			atomic_fetch_add(&fake->taken, 1);
			continue;
		}
		put(fake, queue, head, length);
		bend_ring(fake, queue, head);
		atomic_fetch_add(&fake->taken, 1);
		if (atomic_load(&fake->trick) == FAKE_SCRIBBLES) {
			raise_fd(queue->call);
			for (unsigned i = 0; i < FAKE_QUEUES; i++)
				fake->queues[i].started = false; /* what there is to read now is its own */
			return;
		}
		if (atomic_load(&fake->trick) != FAKE_LATE)
			raise_fd(queue->call);
	}
}

/* Messages. */

struct message {
	struct vhost_user_header header;
	union {
		uint64_t number;
		struct vhost_user_vring_state state;
		struct vhost_user_vring_addr addr;
		struct vhost_user_mem_table table;
		struct vhost_user_config config;
		uint8_t bytes[600];
	};
	int fd;
};

static bool receive_all(int socket, void *to, size_t length)
{
	return !length || recv(socket, to, length, MSG_WAITALL) == (ssize_t)length;
}

static bool receive(struct fake *fake, struct message *message)
{
	union {
		char bytes[CMSG_SPACE(8 * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { &message->header, sizeof(message->header) };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control.bytes,
			      .msg_controllen = sizeof(control.bytes) };
	struct cmsghdr *cmsg;

	message->fd = -1;
	if (recvmsg(fake->socket, &msg, MSG_WAITALL | MSG_CMSG_CLOEXEC) != sizeof(message->header))
		return false;
	cmsg = CMSG_FIRSTHDR(&msg);
	if (cmsg && cmsg->cmsg_type == SCM_RIGHTS)
		memcpy(&message->fd, CMSG_DATA(cmsg), sizeof(int));
	return message->header.size <= sizeof(message->bytes) &&
	       receive_all(fake->socket, message->bytes, message->header.size);
}

static void reply(struct fake *fake, struct message *message, uint32_t size)
{
	struct iovec iov[2] = { { &message->header, sizeof(message->header) }, { message->bytes, size } };
	const struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };

	message->header.flags = REPLY;
	message->header.size = size;
	if (sendmsg(fake->socket, &msg, MSG_NOSIGNAL) < 0)
		hang_up(fake);
}

static void map(struct fake *fake, const struct message *message)
{
	const struct vhost_user_mem_region *region = &message->table.regions[0];
	void *memory = mmap(NULL, region->memory_size, PROT_READ | PROT_WRITE, MAP_SHARED, message->fd, 0);

	if (memory == MAP_FAILED)
		abort();
	if (fake->memory)
		munmap(fake->memory, fake->bytes);
	fake->memory = memory;
	fake->base = region->userspace_addr;
	fake->bytes = region->memory_size;
}

static void set_fd(int *own, struct message *message)
{
	close_fd(own);
	*own = message->fd;
	message->fd = -1;
}

static struct fake_queue *queue_of(struct fake *fake, uint64_t index)
{
	if ((index & VHOST_USER_VRING_INDEX_MASK) >= FAKE_QUEUES)
		abort();
	return &fake->queues[index & VHOST_USER_VRING_INDEX_MASK];
}

static void set_addr(struct fake *fake, const struct vhost_user_vring_addr *addr)
{
	struct fake_queue *queue = queue_of(fake, addr->index);

	queue->descriptor = addr->descriptor;
	queue->available = addr->available;
	queue->used_area = addr->used;
}

/* Those with an answer of their own. True: that was one. */
static bool answer(struct fake *fake, struct message *message)
{
	switch (message->header.request) {
	case VHOST_USER_GET_FEATURES:
		message->number = fake->features;
		reply(fake, message, fake->nonsense ? 3 : 8);
		return true;
	case VHOST_USER_GET_PROTOCOL_FEATURES:
		message->number = fake->protocol;
		reply(fake, message, 8);
		return true;
	case VHOST_USER_GET_QUEUE_NUM:
		message->number = FAKE_QUEUES;
		reply(fake, message, 8);
		return true;
	case VHOST_USER_GET_STATUS:
		message->number = fake->status;
		reply(fake, message, 8);
		return true;
	case VHOST_USER_GET_CONFIG:
		memset(message->config.payload, 0, sizeof(message->config.payload));
		memcpy(message->config.payload, &fake->config, sizeof(fake->config));
		reply(fake, message, message->header.size);
		return true;
	case VHOST_USER_GET_VRING_BASE:
		queue_of(fake, message->state.index)->started = false;
		message->state.num = queue_of(fake, message->state.index)->next;
		reply(fake, message, 8);
		return true;
	default:
		return false;
	}
}

static void obey(struct fake *fake, struct message *message)
{
	switch (message->header.request) {
	case VHOST_USER_SET_FEATURES:
		fake->features_accepted = message->number;
		break;
	case VHOST_USER_SET_STATUS:
		fake->status = (uint8_t)message->number;
		break;
	case VHOST_USER_SET_MEM_TABLE:
		map(fake, message);
		break;
	case VHOST_USER_SET_VRING_NUM:
		queue_of(fake, message->state.index)->size = (uint16_t)message->state.num;
		break;
	case VHOST_USER_SET_VRING_BASE:
		queue_of(fake, message->state.index)->next = (uint16_t)message->state.num;
		queue_of(fake, message->state.index)->used = (uint16_t)message->state.num;
		break;
	case VHOST_USER_SET_VRING_ADDR:
		set_addr(fake, &message->addr);
		break;
	case VHOST_USER_SET_VRING_KICK:
		set_fd(&queue_of(fake, message->number)->kick, message);
		queue_of(fake, message->number)->started = true;
		break;
	case VHOST_USER_SET_VRING_CALL:
		set_fd(&queue_of(fake, message->number)->call, message);
		break;
	case VHOST_USER_SET_VRING_ERR:
		set_fd(&queue_of(fake, message->number)->error, message);
		break;
	case VHOST_USER_SET_BACKEND_REQ_FD:
		set_fd(&fake->channel, message);
		break;
	default:
		break;
	}
}

static void hear(struct fake *fake)
{
	struct message message;

	if (!receive(fake, &message)) {
		hang_up(fake);
		return;
	}
	if (!answer(fake, &message)) {
		bool wanted = message.header.flags & VHOST_USER_FLAGS_NEED_REPLY;

		obey(fake, &message);
		message.number = 0;
		if (wanted)
			reply(fake, &message, 8);
	}
	close_fd(&message.fd);
}

static void *run(void *context)
{
	struct fake *fake = context;

	while (!atomic_load(&fake->ends)) {
		struct pollfd pollfds[1 + FAKE_QUEUES] = { { fake->socket, POLLIN, 0 } };
		uint64_t count;

		for (unsigned i = 0; i < FAKE_QUEUES; i++)
			pollfds[i + 1] = (struct pollfd){ fake->queues[i].started ? fake->queues[i].kick : -1,
							  POLLIN, 0 };
		if (poll(pollfds, 1 + FAKE_QUEUES, 5) < 0 && errno != EINTR)
			abort();
		if (fake->socket >= 0 && pollfds[0].revents)
			hear(fake);
		for (unsigned i = 0; i < FAKE_QUEUES && fake->socket >= 0; i++) {
			if (pollfds[i + 1].revents & POLLIN &&
			    read(fake->queues[i].kick, &count, sizeof(count)) < 0)
				continue;
			if (fake->queues[i].started)
				work(fake, &fake->queues[i]);
		}
	}
	return NULL;
}

struct fake *fake_start(enum fake_trick trick)
{
	struct fake *fake = calloc(1, sizeof(*fake));
	int ends[2];

	if (!fake || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		abort();
	fake->socket = ends[0];
	fake->peer = ends[1];
	fake->channel = -1;
	atomic_store(&fake->trick, (int)trick);
	fake->features = BIT(VIRTIO_F_VERSION_1) | BIT(VHOST_USER_F_PROTOCOL_FEATURES) |
			 BIT(VIRTIO_BLK_F_FLUSH) | BIT(VIRTIO_BLK_F_MQ) | BIT(VIRTIO_BLK_F_SEG_MAX);
	fake->protocol = BIT(VHOST_USER_PROTOCOL_F_MQ) | BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK) |
			 BIT(VHOST_USER_PROTOCOL_F_BACKEND_REQ) | BIT(VHOST_USER_PROTOCOL_F_CONFIG) |
			 BIT(VHOST_USER_PROTOCOL_F_STATUS);
	fake->config.capacity = vio_le64_make(FAKE_BYTES / VIRTIO_BLK_SECTOR_BYTES);
	fake->config.seg_max = vio_le32_make(16);
	fake->config.num_queues = vio_le16_make(FAKE_QUEUES);
	for (unsigned i = 0; i < FAKE_QUEUES; i++)
		fake->queues[i] = (struct fake_queue){ .kick = -1, .call = -1, .error = -1 };
	return fake;
}

/* The thread begins here, so that a test can change what there is before. */
int fake_connect(void *context)
{
	struct fake *fake = context;
	int fd = fake->peer;

	fake->peer = -1;
	if (fd < 0)
		return -VIO_EHANGUP;
	if (pthread_create(&fake->thread, NULL, run, fake))
		abort();
	return fd;
}

void fake_end(struct fake *fake)
{
	atomic_store(&fake->ends, true);
	if (fake->peer < 0)
		pthread_join(fake->thread, NULL);
	close_fd(&fake->peer);
	hang_up(fake);
	for (unsigned i = 0; i < FAKE_QUEUES; i++) {
		close_fd(&fake->queues[i].kick);
		close_fd(&fake->queues[i].call);
		close_fd(&fake->queues[i].error);
	}
	if (fake->memory)
		munmap(fake->memory, fake->bytes);
	free(fake);
}
