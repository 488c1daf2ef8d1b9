/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <vireo/drivers/adder.h>
#include <vireo/vhost_user_frontend.h>

#include "lib/leaks.h"

/*
 * A back end that keeps to a script: it answers as it should, but for one message, where it does what the
 * case says. It is in the front end's thread and works whenever that waits.
 */
#define TIMEOUT_MS 60u
#define FILE_BYTES 4096u
#define FEATURES   (UINT64_C(1) << VIRTIO_F_VERSION_1 | UINT64_C(1) << VHOST_USER_F_PROTOCOL_FEATURES)
#define PROTOCOL                                                                                    \
	(UINT64_C(1) << VHOST_USER_PROTOCOL_F_MQ | UINT64_C(1) << VHOST_USER_PROTOCOL_F_REPLY_ACK | \
	 UINT64_C(1) << VHOST_USER_PROTOCOL_F_BACKEND_REQ | UINT64_C(1) << VHOST_USER_PROTOCOL_F_CONFIG)
#define WITH_STATUS (PROTOCOL | UINT64_C(1) << VHOST_USER_PROTOCOL_F_STATUS)
#define WITH_FILE   (WITH_STATUS | UINT64_C(1) << VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD)
#define WITH_SLOTS  (WITH_STATUS | UINT64_C(1) << VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS)

enum trick {
	HONEST,
	OTHER_REQUEST, /* D1 */
	NO_REPLY,      /* D2 */
	TOO_SHORT,     /* D3 */
	TOO_LONG,
	HUGE_SIZE,
	NO_REPLY_FLAG,
	OTHER_VERSION,
	ONE_FD, /* D4 */
	MANY_FDS,
	DIES, /* D13 */
	DIES_INSIDE,
	DRIPS, /* D18 */
	REFUSES,
	VALUE, /* answers peer.value */
	TRICKS
};

/* D10: what comes in reply to GET_INFLIGHT_FD. */
enum file_kind {
	NO_FILE,
	SOUND_FILE,
	SHORT_FILE,
	FILE_BEYOND_ITS_END,
	FILE_THAT_WRAPS,
	FILE_OF_NO_BYTES,
	FILE_FOR_OTHER_QUEUES,
	FILE_FOR_OTHER_SIZES,
	BYTES_OF_NO_FILE,
	NOT_A_FILE,
	FILE_KINDS
};

struct peer {
	int socket, channel;
	enum trick trick;
	uint32_t on; /* the request it is played on; 0: each */
	unsigned skip;
	uint64_t value, features, protocol;
	uint64_t status;
	uint32_t drip; /* bytes of the reply that went out */
	uint8_t reply[600];
	uint32_t reply_bytes;
	bool dripping;
	int (*reconnect)(void *context);
	enum file_kind file;
	bool sends_file; /* as the descriptor that comes along */
	unsigned came_back;
	uint64_t features_said; /* with SET_FEATURES, to the last one */
	unsigned seen[64];
	struct vio_dev dev;
	unsigned fds_before;
};

static void hang_up(struct peer *peer)
{
	if (peer->socket >= 0)
		close(peer->socket);
	if (peer->channel >= 0)
		close(peer->channel);
	peer->socket = -1;
	peer->channel = -1;
}

static void send_fds(struct peer *peer, const void *bytes, size_t length, unsigned fd_count)
{
	union {
		char bytes[CMSG_SPACE(32 * sizeof(int))];
		struct cmsghdr align;
	} control = { .bytes = { 0 } };
	struct iovec iov = { (void *)(uintptr_t)bytes, length };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	int fds[32] = { 0 };

	for (unsigned i = 0; i < fd_count; i++)
		fds[i] = peer->sends_file ? memfd_create("inflight", MFD_CLOEXEC) : eventfd(0, EFD_CLOEXEC);
	if (peer->sends_file)
		assert_int_equal(ftruncate(fds[0], FILE_BYTES), 0);
	if (fd_count) {
		struct cmsghdr *cmsg;

		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
		cmsg = CMSG_FIRSTHDR(&msg);
		*cmsg = (struct cmsghdr){ .cmsg_len = CMSG_LEN(fd_count * sizeof(int)),
					  .cmsg_level = SOL_SOCKET,
					  .cmsg_type = SCM_RIGHTS };
		memcpy(CMSG_DATA(cmsg), fds, fd_count * sizeof(int));
	}
	assert_int_equal(sendmsg(peer->socket, &msg, MSG_NOSIGNAL), (ssize_t)length);
	for (unsigned i = 0; i < fd_count; i++)
		close(fds[i]);
}

/* One byte each time that the front end waits: never silent, and never done in time. */
static void drip(struct peer *peer)
{
	const struct timespec pause = { 0, 8000000 };

	nanosleep(&pause, NULL);
	if (peer->drip < peer->reply_bytes &&
	    send(peer->socket, peer->reply + peer->drip++, 1, MSG_NOSIGNAL) != 1)
		hang_up(peer); /* the front end had enough */
}

static void play(struct peer *peer, struct vhost_user_header *header)
{
	unsigned fds = 0;

	switch (peer->trick) {
	case OTHER_REQUEST:
		header->request++;
		break;
	case TOO_SHORT:
		header->size--;
		break;
	case TOO_LONG:
		header->size++;
		break;
	case HUGE_SIZE:
		header->size = UINT32_MAX;
		break;
	case NO_REPLY_FLAG:
		header->flags &= ~VHOST_USER_FLAGS_REPLY;
		break;
	case OTHER_VERSION:
		header->flags ^= 3;
		break;
	case ONE_FD:
		fds = 1;
		break;
	case MANY_FDS:
		fds = 32;
		break;
	case DRIPS:
		peer->dripping = true;
		memcpy(peer->reply, header, sizeof(*header));
		return;
	case DIES_INSIDE:
		peer->reply_bytes = 5;
		break;
	default:
		break;
	}
	memcpy(peer->reply, header, sizeof(*header));
	send_fds(peer, peer->reply, peer->reply_bytes, fds);
	if (peer->trick == DIES_INSIDE)
		hang_up(peer);
}

static uint64_t answer_of(struct peer *peer, uint32_t request)
{
	switch (request) {
	case VHOST_USER_GET_FEATURES:
		return peer->features;
	case VHOST_USER_GET_PROTOCOL_FEATURES:
		return peer->protocol;
	case VHOST_USER_GET_QUEUE_NUM:
		return 1;
	case VHOST_USER_GET_STATUS:
		return peer->status;
	case VHOST_USER_GET_MAX_MEM_SLOTS:
		return 8;
	default:
		return 0; /* well done */
	}
}

static bool has_reply(uint32_t request)
{
	return request == VHOST_USER_GET_FEATURES || request == VHOST_USER_GET_PROTOCOL_FEATURES ||
	       request == VHOST_USER_GET_QUEUE_NUM || request == VHOST_USER_GET_STATUS ||
	       request == VHOST_USER_GET_VRING_BASE || request == VHOST_USER_GET_CONFIG ||
	       request == VHOST_USER_GET_MAX_MEM_SLOTS || request == VHOST_USER_GET_INFLIGHT_FD;
}

static void give_file(struct peer *peer, const uint8_t *payload)
{
	struct vhost_user_header header = { VHOST_USER_GET_INFLIGHT_FD,
					    VHOST_USER_FLAGS_VERSION | VHOST_USER_FLAGS_REPLY,
					    sizeof(struct vhost_user_inflight) };
	struct vhost_user_inflight wire;

	memcpy(&wire, payload, sizeof(wire)); /* for what was asked */
	wire.mmap_size = FILE_BYTES;
	if (peer->file == SHORT_FILE)
		wire.mmap_size++;
	if (peer->file == FILE_BEYOND_ITS_END)
		wire.mmap_offset = FILE_BYTES;
	if (peer->file == FILE_THAT_WRAPS)
		wire.mmap_offset = UINT64_MAX - FILE_BYTES + 1;
	if (peer->file == FILE_OF_NO_BYTES)
		wire.mmap_size = 0;
	if (peer->file == FILE_FOR_OTHER_QUEUES)
		wire.num_queues++;
	if (peer->file == FILE_FOR_OTHER_SIZES)
		wire.queue_size /= 2;
	memcpy(peer->reply, &header, sizeof(header));
	memcpy(peer->reply + sizeof(header), &wire, sizeof(wire));
	peer->sends_file = peer->file != NOT_A_FILE && peer->file != BYTES_OF_NO_FILE;
	send_fds(peer, peer->reply, sizeof(header) + sizeof(wire), peer->file != BYTES_OF_NO_FILE);
	peer->sends_file = false;
}

static void answer(struct peer *peer, const struct vhost_user_header *request, const uint8_t *payload)
{
	struct vhost_user_header header = { request->request,
					    VHOST_USER_FLAGS_VERSION | VHOST_USER_FLAGS_REPLY, 8 };
	bool on = (!peer->on || peer->on == header.request) && !(peer->skip && peer->skip--);
	uint64_t value = answer_of(peer, header.request);

	if (peer->trick == DIES && peer->value && payload[0] != peer->value)
		on = false;
	if (on && (peer->trick == DIES || peer->trick == NO_REPLY)) {
		if (peer->trick == DIES)
			hang_up(peer);
		return;
	}
	if (!has_reply(header.request) && !(request->flags & VHOST_USER_FLAGS_NEED_REPLY))
		return;
	if (header.request == VHOST_USER_GET_INFLIGHT_FD && peer->file != NO_FILE) {
		give_file(peer, payload);
		return;
	}
	if (on && peer->trick == VALUE)
		value = peer->value;
	if (on && peer->trick == REFUSES)
		value = 1;
	memcpy(peer->reply + sizeof(header), &value, sizeof(value));
	/* A file of no bytes is what was asked for, too: there is none. */
	if (header.request == VHOST_USER_GET_VRING_BASE || header.request == VHOST_USER_GET_CONFIG ||
	    header.request == VHOST_USER_GET_INFLIGHT_FD) {
		header.size = request->size;
		memcpy(peer->reply + sizeof(header), payload, request->size);
		if (on && peer->trick == VALUE)
			memcpy(peer->reply + sizeof(header), &peer->value, sizeof(peer->value));
		if (on && peer->trick == REFUSES)
			header.size = 0;
	}
	peer->reply_bytes = (uint32_t)sizeof(header) + header.size;
	if (on)
		play(peer, &header);
	else
		send_fds(peer, memcpy(peer->reply, &header, sizeof(header)), peer->reply_bytes, 0);
}

static void keep_fd(struct peer *peer, uint32_t request, struct msghdr *msg)
{
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg);
	int fd;

	if (!cmsg)
		return;
	memcpy(&fd, CMSG_DATA(cmsg), sizeof(fd));
	if (request == VHOST_USER_SET_BACKEND_REQ_FD && peer->channel < 0) {
		peer->channel = fd;
		return;
	}
	if (request == VHOST_USER_SET_MEM_TABLE ||
	    request == VHOST_USER_ADD_MEM_REG) /* a file that is cut short would kill who maps it */
		assert_int_not_equal(ftruncate(fd, 0), 0);
	close(fd);
}

static void work(void *context)
{
	struct peer *peer = context;
	struct vhost_user_header header;
	uint8_t payload[512];

	if (peer->dripping && peer->socket >= 0)
		drip(peer);
	while (peer->socket >= 0 && !peer->dripping) {
		union {
			char bytes[CMSG_SPACE(sizeof(int))];
			struct cmsghdr align;
		} control;
		struct iovec iov = { &header, sizeof(header) };
		struct msghdr msg = { .msg_iov = &iov,
				      .msg_iovlen = 1,
				      .msg_control = control.bytes,
				      .msg_controllen = sizeof(control.bytes) };

		if (recvmsg(peer->socket, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) != sizeof(header))
			return;
		assert_in_range(header.request, 1, 63);
		assert_true(header.size <= sizeof(payload));
		keep_fd(peer, header.request, &msg);
		if (header.size)
			assert_int_equal(recv(peer->socket, payload, header.size, 0), header.size);
		peer->seen[header.request]++;
		if (header.request == VHOST_USER_SET_STATUS)
			peer->status = payload[0];
		if (header.request == VHOST_USER_SET_FEATURES)
			memcpy(&peer->features_said, payload, sizeof(peer->features_said));
		answer(peer, &header, payload);
	}
}

static void begin(struct peer *peer, enum trick trick, uint32_t on)
{
	memset(peer, 0, sizeof(*peer));
	peer->fds_before = leaks_descriptors();
	peer->socket = -1;
	peer->channel = -1;
	peer->trick = trick;
	peer->on = on;
	peer->features = FEATURES;
	peer->protocol = WITH_SLOTS;
}

/* The next one does as it should. */
static int come_back(void *context)
{
	struct peer *peer = context;
	int ends[2];

	hang_up(peer);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	peer->socket = ends[0];
	peer->trick = HONEST;
	peer->status = 0;
	peer->features_said = 0;
	peer->came_back++;
	return ends[1];
}

static int open_front(struct peer *peer)
{
	const struct vio_vhost_user_frontend_options options = { .id = VIRTIO_ID_ADDER,
								 .timeout_ms = TIMEOUT_MS,
								 .arena_bytes = 1 << 20,
								 .waiting = work,
								 .reconnect = peer->reconnect,
								 .context = peer };
	struct vio_vhost_user_mistake mistake;
	int ends[2], error;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	peer->socket = ends[0];
	error = vio_vhost_user_frontend_open(ends[1], &options, &peer->dev, &mistake);
	if (error)
		assert_int_not_equal(mistake.text[0], 0);
	return error;
}

/* The whole of a driver's life; the first error. */
static int live(struct peer *peer)
{
	struct vio_adder adder;
	uint32_t status, sum;
	int error = open_front(peer), result;

	if (error)
		return error;
	error = vio_driver_bind(&peer->dev, &vio_adder_driver, vio_vhost_user_frontend_platform(&peer->dev),
				&adder);
	if (!error) {
		adder.timeout_ns = 20000000;
		error = vio_adder_get_status(&peer->dev, &status);
		result = vio_adder_set_status(&peer->dev, 1);
		error = error ? error : result;
		result = vio_adder_add(&peer->dev, 1, &sum);
		assert_int_not_equal(result, 0); /* nobody ever serves the queue */
		if (!error && result != -VIO_EAGAIN)
			error = result;
	}
	peer->dev.timeout_ns = 20000000;
	result = vio_dev_close(&peer->dev);
	if (result) { /* a reset that doesn't end */
		assert_int_equal(result, -VIO_EAGAIN);
		vio_vhost_user_frontend_hang_up(&peer->dev);
		assert_int_equal(vio_dev_close(&peer->dev), 0);
	}
	return error;
}

/* Nothing is left. */
static void end(struct peer *peer)
{
	hang_up(peer);
	assert_int_equal(leaks_descriptors(), peer->fds_before);
}

static void the_script_works(void **state)
{
	struct peer peer;

	begin(&peer, HONEST, 0);
	assert_int_equal(live(&peer), 0);
	assert_int_equal(peer.seen[VHOST_USER_SET_MEM_TABLE], 0);
	assert_int_not_equal(peer.seen[VHOST_USER_ADD_MEM_REG], 0);
	assert_int_equal(peer.seen[VHOST_USER_REM_MEM_REG], peer.seen[VHOST_USER_ADD_MEM_REG]);
	assert_int_not_equal(peer.seen[VHOST_USER_SET_VRING_ENABLE], 0);
	assert_int_not_equal(peer.seen[VHOST_USER_GET_VRING_BASE], 0);
	end(&peer);
	begin(&peer, HONEST, 0);
	peer.protocol = PROTOCOL;
	assert_int_equal(live(&peer), 0);
	assert_int_equal(peer.seen[VHOST_USER_SET_MEM_TABLE], 1);
	assert_int_equal(peer.seen[VHOST_USER_ADD_MEM_REG], 0);
	assert_int_equal(peer.seen[VHOST_USER_GET_MAX_MEM_SLOTS], 0);
	end(&peer);
	begin(&peer, HONEST, 0);
	peer.features &= ~(UINT64_C(1) << VHOST_USER_F_PROTOCOL_FEATURES);
	assert_int_equal(live(&peer), -VIO_ENOTSUP); /* the configuration can't be read */
	assert_int_equal(peer.seen[VHOST_USER_SET_VRING_ENABLE], 0);
	assert_int_equal(peer.seen[VHOST_USER_GET_PROTOCOL_FEATURES], 0);
	end(&peer);
}

static const uint32_t used_messages[] = {
	VHOST_USER_GET_FEATURES,   VHOST_USER_SET_FEATURES,      VHOST_USER_SET_OWNER,
	VHOST_USER_SET_MEM_TABLE,  VHOST_USER_SET_VRING_NUM,     VHOST_USER_SET_VRING_ADDR,
	VHOST_USER_SET_VRING_BASE, VHOST_USER_GET_VRING_BASE,    VHOST_USER_SET_VRING_KICK,
	VHOST_USER_SET_VRING_CALL, VHOST_USER_SET_VRING_ERR,     VHOST_USER_GET_PROTOCOL_FEATURES,
	VHOST_USER_GET_QUEUE_NUM,  VHOST_USER_SET_VRING_ENABLE,  VHOST_USER_SET_BACKEND_REQ_FD,
	VHOST_USER_GET_CONFIG,     VHOST_USER_SET_CONFIG,        VHOST_USER_SET_STATUS,
	VHOST_USER_GET_STATUS,     VHOST_USER_GET_MAX_MEM_SLOTS, VHOST_USER_ADD_MEM_REG,
	VHOST_USER_REM_MEM_REG,
};

/* An error, in bounded time, and nothing is left. hostile: D1 D2 D3 D4 D13 D18 */
static void every_trick_on_every_message(void **state)
{
	for (unsigned trick = HONEST + 1; trick < VALUE; trick++)
		for (unsigned i = 0; i < VIO_ARRAY_SIZE(used_messages); i++) {
			uint32_t on = used_messages[i];
			/* Values that are no refusal, but numbers; and a reset whose refusal is seen. */
			bool number = trick == REFUSES && (has_reply(on) || on == VHOST_USER_SET_STATUS);
			struct peer peer;
			struct timespec before, after;
			int error;

			begin(&peer, (enum trick)trick, on);
			if (on == VHOST_USER_SET_MEM_TABLE)
				peer.protocol = WITH_STATUS;
			clock_gettime(CLOCK_MONOTONIC, &before);
			error = live(&peer);
			clock_gettime(CLOCK_MONOTONIC, &after);
			assert_true(after.tv_sec - before.tv_sec < 10);
			assert_int_not_equal(peer.seen[on], 0);
			/* The driver's life was over when the ring was stopped. */
			if (!error && !number && on != VHOST_USER_GET_VRING_BASE &&
			    on != VHOST_USER_REM_MEM_REG)
				fail_msg("trick %u on message %u: nobody noticed", trick, on);
			end(&peer);
		}
}

static int with_value(uint32_t on, uint64_t value, unsigned skip)
{
	struct peer peer;
	int error;

	begin(&peer, VALUE, on);
	peer.value = value;
	peer.skip = skip;
	error = live(&peer);
	end(&peer);
	return error;
}

/* hostile: D6 */
static void features_may_not_grow(void **state)
{
	/* Asked when it is opened, in begin, and in accept. */
	assert_int_equal(with_value(VHOST_USER_GET_FEATURES, FEATURES | 2, 2), -VIO_EPEER);
	assert_int_equal(with_value(VHOST_USER_GET_FEATURES, 0, 1), -VIO_ENOTSUP);
	assert_int_equal(with_value(VHOST_USER_GET_FEATURES, UINT64_MAX, 0), 0);
}

/* hostile: D7 */
static void queues_are_counted_with_care(void **state)
{
	assert_int_equal(with_value(VHOST_USER_GET_QUEUE_NUM, 0, 0), -VIO_EPROTO);
	assert_int_equal(with_value(VHOST_USER_GET_QUEUE_NUM, UINT64_MAX, 0), -VIO_EPROTO);
	assert_int_equal(with_value(VHOST_USER_GET_QUEUE_NUM, 65535, 0), 0);
}

/* hostile: D8 */
static void slots_are_counted_with_care(void **state)
{
	assert_int_equal(with_value(VHOST_USER_GET_MAX_MEM_SLOTS, 0, 0), -VIO_EPROTO);
	assert_int_equal(with_value(VHOST_USER_GET_MAX_MEM_SLOTS, 1, 0), 0);
	assert_int_equal(with_value(VHOST_USER_GET_MAX_MEM_SLOTS, UINT64_MAX, 0), 0);
}

/* hostile: D17 */
static void a_ring_stops_wherever_it_says(void **state)
{
	assert_int_equal(with_value(VHOST_USER_GET_VRING_BASE, UINT64_C(0xffff) << 32, 0), 0);
	(void)with_value(VHOST_USER_GET_VRING_BASE, UINT64_MAX, 0);
	(void)with_value(VHOST_USER_GET_VRING_BASE, 1, 0);
}

static void a_status_is_a_byte(void **state)
{
	assert_int_equal(with_value(VHOST_USER_GET_STATUS, 0x100, 0), -VIO_EHANGUP);
	assert_int_equal(with_value(VHOST_USER_GET_STATUS, UINT64_MAX, 1), -VIO_EHANGUP);
	/* A configuration of another length or place than was asked for. */
	assert_int_equal(with_value(VHOST_USER_GET_CONFIG, 1, 0), -VIO_EPROTO);
	assert_int_equal(with_value(VHOST_USER_GET_CONFIG, UINT64_C(256) << 32, 0), -VIO_EPROTO);
}

static void say(struct peer *peer, uint32_t request, uint32_t flags, uint32_t size)
{
	struct vhost_user_header header = { request, flags, size };
	uint8_t zeros[512] = { 0 };

	assert_int_equal(send(peer->channel, &header, sizeof(header), MSG_NOSIGNAL | MSG_DONTWAIT),
			 sizeof(header));
	if (size && size <= sizeof(zeros))
		assert_int_equal(send(peer->channel, zeros, size, MSG_NOSIGNAL | MSG_DONTWAIT), size);
}

static uint64_t told(struct peer *peer)
{
	uint64_t answer[3] = { 0 };
	uint8_t bytes[20];

	assert_int_equal(recv(peer->channel, bytes, sizeof(bytes), MSG_DONTWAIT), sizeof(bytes));
	memcpy(answer, bytes + sizeof(struct vhost_user_header), sizeof(uint64_t));
	return answer[0];
}

/* hostile: D11 D12 */
static void the_channel_is_heard_with_care(void **state)
{
	const uint32_t asked = VHOST_USER_FLAGS_VERSION | VHOST_USER_FLAGS_NEED_REPLY;
	struct vio_adder adder;
	struct peer peer;
	uint32_t status;

	begin(&peer, HONEST, 0);
	assert_int_equal(open_front(&peer), 0);
	assert_int_equal(vio_driver_bind(&peer.dev, &vio_adder_driver,
					 vio_vhost_user_frontend_platform(&peer.dev), &adder),
			 0);
	say(&peer, VHOST_USER_BACKEND_CONFIG_CHANGE_MSG, asked, 0);
	assert_int_equal(vio_dev_interrupt(&peer.dev), VIO_INTERRUPT_CONFIG);
	assert_int_equal(told(&peer), 0);
	assert_int_equal(vio_dev_interrupt(&peer.dev), 0);
	/* What was not negotiated is refused, and nothing else happens. */
	for (uint32_t request = 0; request < 12; request++) {
		if (request == VHOST_USER_BACKEND_CONFIG_CHANGE_MSG)
			continue;
		say(&peer, request, asked, 40);
		assert_int_equal(vio_dev_interrupt(&peer.dev), 0);
		assert_int_not_equal(told(&peer), 0);
	}
	/* A flood is heard in pieces. */
	for (unsigned i = 0; i < 130; i++)
		say(&peer, VHOST_USER_BACKEND_CONFIG_CHANGE_MSG, VHOST_USER_FLAGS_VERSION, 0);
	assert_int_equal(vio_dev_interrupt(&peer.dev), VIO_INTERRUPT_CONFIG);
	assert_int_equal(vio_dev_interrupt(&peer.dev), VIO_INTERRUPT_CONFIG);
	assert_int_equal(vio_dev_interrupt(&peer.dev), VIO_INTERRUPT_CONFIG);
	assert_int_equal(vio_dev_interrupt(&peer.dev), 0);
	/* What is no message costs the channel, not the device. */
	say(&peer, VHOST_USER_BACKEND_CONFIG_CHANGE_MSG, VHOST_USER_FLAGS_VERSION, UINT32_MAX);
	assert_int_equal(vio_dev_interrupt(&peer.dev), 0);
	assert_int_equal(send(peer.channel, "", 1, MSG_NOSIGNAL), -1);
	assert_int_equal(vio_adder_get_status(&peer.dev, &status), 0);
	assert_int_equal(vio_dev_close(&peer.dev), 0);
	end(&peer);
}

static int bind_adder(struct peer *peer, struct vio_adder *adder)
{
	return vio_driver_bind(&peer->dev, &vio_adder_driver, vio_vhost_user_frontend_platform(&peer->dev),
			       adder);
}

/* One that gives no file of what it has can't be followed by another one once it may have something. */
static void without_a_file_nobody_goes_on(void **state)
{
	struct vio_adder adder;
	struct peer peer;
	uint32_t sum;

	begin(&peer, HONEST, 0);
	peer.protocol = WITH_FILE;
	peer.reconnect = come_back;
	assert_int_equal(open_front(&peer), 0);
	assert_int_equal(bind_adder(&peer, &adder), 0);
	assert_int_equal(peer.seen[VHOST_USER_GET_INFLIGHT_FD], 1);
	assert_int_equal(peer.seen[VHOST_USER_SET_INFLIGHT_FD], 0);
	hang_up(&peer);
	adder.timeout_ns = 20000000;
	assert_int_not_equal(vio_adder_add(&peer.dev, 1, &sum), 0);
	assert_int_not_equal(vio_adder_get_status(&peer.dev, &sum), 0);
	assert_non_null(strstr(vio_vhost_user_frontend_mistake(&peer.dev), "gave no file"));
	peer.dev.timeout_ns = 20000000;
	(void)vio_dev_close(&peer.dev);
	assert_int_equal(peer.came_back, 0);
	end(&peer);
}

/* hostile: D10; refused before any queue starts, or it would be given to the next back end. */
static void files_are_judged(void **state)
{
	for (unsigned kind = SOUND_FILE; kind < FILE_KINDS; kind++) {
		struct vio_adder adder;
		struct peer peer;
		int error;

		begin(&peer, HONEST, 0);
		peer.protocol = WITH_FILE;
		peer.reconnect = come_back;
		peer.file = (enum file_kind)kind;
		assert_int_equal(open_front(&peer), 0);
		error = bind_adder(&peer, &adder);
		assert_int_equal(peer.seen[VHOST_USER_SET_INFLIGHT_FD], kind == SOUND_FILE);
		assert_int_equal(peer.seen[VHOST_USER_SET_VRING_KICK], kind == SOUND_FILE);
		assert_int_equal(!error, kind == SOUND_FILE);
		if (error)
			assert_non_null(strstr(vio_vhost_user_frontend_mistake(&peer.dev), "no such file"));
		assert_int_equal(vio_dev_close(&peer.dev), 0);
		assert_int_equal(peer.came_back, 0);
		end(&peer);
	}
}

/* Whatever the old one was told of status and features, the new one is, before it is told the rest. */
static void who_comes_back_is_told_the_features(void **state)
{
	static const uint8_t steps[] = { 1, 3, 11 };

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(steps); i++) {
		struct vio_adder adder;
		struct peer peer;

		begin(&peer, DIES, VHOST_USER_SET_STATUS);
		peer.value = steps[i];
		peer.protocol = WITH_FILE;
		peer.reconnect = come_back;
		assert_int_equal(open_front(&peer), 0);
		assert_int_equal(bind_adder(&peer, &adder), 0);
		assert_int_equal(peer.came_back, 1);
		assert_int_equal(peer.features_said, FEATURES);
		assert_int_equal(vio_dev_close(&peer.dev), 0);
		end(&peer);
	}
}

/* What was told before a reset isn't told after it. */
static void features_end_with_a_reset(void **state)
{
	struct vio_adder adder;
	struct peer peer;
	unsigned said;

	begin(&peer, HONEST, 0);
	peer.protocol = WITH_FILE;
	peer.reconnect = come_back;
	assert_int_equal(open_front(&peer), 0);
	assert_int_equal(bind_adder(&peer, &adder), 0);
	assert_int_equal(vio_driver_unbind(&peer.dev), 0);
	said = peer.seen[VHOST_USER_SET_FEATURES];
	hang_up(&peer);
	(void)peer.dev.transport->get_status(&peer.dev);
	assert_int_equal(peer.came_back, 1);
	assert_int_equal(peer.seen[VHOST_USER_SET_FEATURES], said);
	assert_int_equal(bind_adder(&peer, &adder), 0);
	assert_int_equal(peer.features_said, FEATURES);
	assert_int_equal(vio_dev_close(&peer.dev), 0);
	end(&peer);
}

static void options_are_judged(void **state)
{
	const struct vio_vhost_user_memory odd = { .fd = 0, .bytes = 5 };
	struct vio_vhost_user_frontend_options options = { .queue_size = 3 };
	unsigned before = leaks_descriptors();
	struct vio_dev dev;
	int ends[2];

	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
		assert_int_equal(vio_vhost_user_frontend_open(ends[0], &options, &dev, NULL), -VIO_EINVAL);
		close(ends[1]);
		options = (struct vio_vhost_user_frontend_options){ .memory = &odd };
	}
	assert_int_equal(vio_vhost_user_frontend_connect(""), -VIO_EINVAL);
	assert_int_equal(vio_vhost_user_frontend_connect("/nowhere/at/all"), -VIO_ESYS);
	assert_int_equal(leaks_descriptors(), before);
}

static void the_arena_gives_and_takes(void **state)
{
	const struct vio_platform *platform;
	struct vio_shared pieces[256], whole, own;
	uint8_t buffer[5000];
	struct vio_addr addr, other;
	struct peer peer;

	begin(&peer, HONEST, 0);
	assert_int_equal(open_front(&peer), 0);
	platform = vio_vhost_user_frontend_platform(&peer.dev);
	assert_int_equal(platform->take(platform->context, 2 << 20, 3, &whole), -VIO_ENOMEM);
	for (unsigned i = 0; i < 256; i++)
		assert_int_equal(platform->take(platform->context, 1, 3, &pieces[i]), 0);
	assert_int_equal(platform->take(platform->context, 1, 3, &whole), -VIO_ENOMEM);
	assert_int_equal(platform->share(platform->context, buffer, 1, VIO_MEM_READ, &addr), -VIO_ENOMEM);
	/* What lies in the arena needs no copy. */
	assert_int_equal(platform->share(platform->context, pieces[3].host, 4096, VIO_MEM_READ, &addr), 0);
	assert_int_equal(addr.raw, pieces[3].addr.raw);
	platform->unshare(platform->context, pieces[3].host, 4096, VIO_MEM_READ, addr);
	assert_int_equal(platform->take(platform->context, 100, 0, &own), 0);
	platform->give_back(platform->context, &own, 100);
	for (unsigned i = 0; i < 256; i++)
		platform->give_back(platform->context, &pieces[i], 1);
	memset(buffer, 7, sizeof(buffer));
	assert_int_equal(platform->share(platform->context, buffer, sizeof(buffer), VIO_MEM_READ, &addr), 0);
	assert_int_equal(platform->share(platform->context, buffer, sizeof(buffer), VIO_MEM_WRITE, &other),
			 0);
	assert_int_not_equal(addr.raw, other.raw);
	platform->unshare(platform->context, buffer, sizeof(buffer), VIO_MEM_READ, addr);
	assert_int_equal(buffer[4999], 7);
	platform->unshare(platform->context, buffer, sizeof(buffer), VIO_MEM_WRITE, other);
	assert_int_equal(buffer[4999], 0); /* hostile: B52, nor what was there before */
	/* hostile: B53, whatever is written where it was shown */
	memset(buffer, 9, sizeof(buffer));
	assert_int_equal(platform->take(platform->context, 1 << 20, 3, &whole), 0);
	memset(whole.host, 0xee, 1 << 20);
	assert_int_equal(buffer[0], 9);
	assert_int_equal(buffer[4999], 9);
	platform->give_back(platform->context, &whole, 1 << 20);
	assert_int_equal(vio_dev_close(&peer.dev), 0);
	end(&peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_script_works),
		cmocka_unit_test(every_trick_on_every_message),
		cmocka_unit_test(features_may_not_grow),
		cmocka_unit_test(queues_are_counted_with_care),
		cmocka_unit_test(slots_are_counted_with_care),
		cmocka_unit_test(a_ring_stops_wherever_it_says),
		cmocka_unit_test(a_status_is_a_byte),
		cmocka_unit_test(the_channel_is_heard_with_care),
		cmocka_unit_test(without_a_file_nobody_goes_on),
		cmocka_unit_test(files_are_judged),
		cmocka_unit_test(who_comes_back_is_told_the_features),
		cmocka_unit_test(features_end_with_a_reset),
		cmocka_unit_test(options_are_judged),
		cmocka_unit_test(the_arena_gives_and_takes),
	};

	return cmocka_run_group_tests_name("frontend-hostile", tests, NULL, NULL);
}
