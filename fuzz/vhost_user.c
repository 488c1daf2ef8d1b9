/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vireo/guard.h>
#include <vireo/spec/vhost_user.h>
#include <vireo/spec/virtio_ring.h>
#include <vireo/vhost_user.h>

#include "link.h"

/*
 * A front end that sends whatever it likes, with whatever descriptors, writes what it likes into the
 * file of requests in flight, has written pages logged and the device's state sent, and cuts its memory
 * short. Whatever it does: the back end neither blocks nor leaks a file descriptor, and leaves the
 * device in reset.
 */
#define FDS_SENT_MAX 10u
#define MEMORY_BYTES 0x4000u
#define FILE_BYTES   0x1000u /* for requests in flight */
#define QUEUE_SIZE   16u
#define USER_BASE    UINT64_C(0x7f0000000000)
#define DRIVER_BASE  UINT64_C(0x10000)

struct world {
	struct fuzz_input *input;
	struct fuzz_loop loop;
	struct vio_vhost_user *backend;
	struct fuzz_served served;
	int socket;
	int memory;
	int file;
	int event;
	bool closed;
};

static void run_loop(struct world *w)
{
	char bytes[512];

	fuzz_loop_run(&w->loop, 64);
	while (recv(w->socket, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
}

static void closed(void *context, int reason)
{
	struct world *w = context;

	FUZZ_CHECK(reason < 0 && !w->closed);
	w->closed = true;
}

static uint64_t choose_bytes(struct fuzz_input *input)
{
	static const uint64_t menu[] = { 0x1000, 0x2000, MEMORY_BYTES, 0,          1,
					 0x800,  0x1001, 0x100000,     UINT64_MAX, UINT64_C(1) << 63 };

	return fuzz_choose(input, menu, VIO_ARRAY_SIZE(menu));
}

static uint64_t choose_address(struct fuzz_input *input, uint64_t base)
{
	static const uint64_t menu[] = { 0,      0x1000, 0x2000, 0x400,    0x100,
					 0x3000, 0x3ff0, 1,      0x100000, (uint64_t)-4096 };

	return base + fuzz_choose(input, menu, VIO_ARRAY_SIZE(menu));
}

static struct vhost_user_mem_region make_region(struct fuzz_input *input)
{
	return (struct vhost_user_mem_region){
		.guest_phys_addr = choose_address(input, DRIVER_BASE),
		.memory_size = choose_bytes(input),
		.userspace_addr = choose_address(input, USER_BASE),
		.mmap_offset = fuzz_u8(input) & 1 ? choose_bytes(input) : 0,
	};
}

/* The payload of what is asked when a driver moves. */
static uint32_t make_move(struct fuzz_input *input, uint32_t request, uint8_t *payload)
{
	if (request == VHOST_USER_SET_LOG_BASE) {
		struct vhost_user_log log = {
			.mmap_size = choose_bytes(input),
			.mmap_offset = fuzz_u8(input) & 3 ? 0 : choose_bytes(input),
		};

		memcpy(payload, &log, sizeof(log));
		return sizeof(log);
	} else {
		struct vhost_user_device_state transfer = { .direction = fuzz_u8(input) % 3,
							    .phase = fuzz_u8(input) % 16 == 15 };

		memcpy(payload, &transfer, sizeof(transfer));
		return sizeof(transfer);
	}
}

/* The payload that a request takes, of legal shape; returns its size. */
static uint32_t make_payload(struct world *w, uint32_t request, uint8_t *payload)
{
	struct fuzz_input *input = w->input;

	switch (request) {
	case VHOST_USER_SET_MEM_TABLE: {
		struct vhost_user_mem_table table = { .nregions = fuzz_u8(input) % 10 };

		for (unsigned i = 0; i < table.nregions && i < VHOST_USER_FDS_MAX; i++)
			table.regions[i] = make_region(input);
		memcpy(payload, &table, sizeof(table));
		return 8 + 32 * table.nregions;
	}
	case VHOST_USER_ADD_MEM_REG:
	case VHOST_USER_REM_MEM_REG: {
		struct vhost_user_mem_reg region = { .region = make_region(input) };

		memcpy(payload, &region, sizeof(region));
		return sizeof(region);
	}
	case VHOST_USER_SET_VRING_ADDR: {
		struct vhost_user_vring_addr addr = {
			.index = fuzz_u8(input) % 4,
			.flags = fuzz_u8(input) & 1,
			.descriptor = choose_address(input, USER_BASE),
			.used = choose_address(input, USER_BASE),
			.available = choose_address(input, USER_BASE),
			.log = choose_address(input, DRIVER_BASE),
		};

		memcpy(payload, &addr, sizeof(addr));
		return sizeof(addr);
	}
	case VHOST_USER_GET_INFLIGHT_FD:
	case VHOST_USER_SET_INFLIGHT_FD: {
		struct vhost_user_inflight inflight = {
			.mmap_size = choose_bytes(input),
			.mmap_offset = fuzz_u8(input) & 3 ? 0 : choose_bytes(input),
			.num_queues = fuzz_u8(input) % 3,
			.queue_size = fuzz_u8(input) & 3 ? QUEUE_SIZE : (uint16_t)fuzz_u64(input, 2),
		};

		memcpy(payload, &inflight, sizeof(inflight));
		return fuzz_u8(input) & 1 ? sizeof(inflight) : offsetof(struct vhost_user_inflight, padding);
	}
	case VHOST_USER_SET_LOG_BASE:
	case VHOST_USER_SET_DEVICE_STATE_FD:
		return make_move(input, request, payload);
	case VHOST_USER_GET_CONFIG:
	case VHOST_USER_SET_CONFIG: {
		struct vhost_user_config config = { .offset = fuzz_u8(input), .size = fuzz_u8(input) };

		memset(config.payload, config.offset, sizeof(config.payload));
		memcpy(payload, &config, sizeof(config));
		return 12 + config.size;
	}
	default: {
		uint64_t value = fuzz_u8(input) & 1 ? fuzz_u8(input) % 4 | (uint64_t)fuzz_u8(input) << 32
						    : fuzz_u64(input, 8);

		memcpy(payload, &value, sizeof(value));
		return sizeof(value);
	}
	}
}

static void send_message(struct world *w)
{
	uint8_t payload[600] = { 0 }, control[CMSG_SPACE(FDS_SENT_MAX * sizeof(int))] = { 0 };
	uint8_t shape = fuzz_u8(w->input), fds = fuzz_u8(w->input);
	struct vhost_user_header header = { .request = fuzz_u8(w->input) % 48 };
	unsigned count = fds < 128 ? fds % 3 : fds % (FDS_SENT_MAX + 1);
	struct iovec iov[2] = { { &header, sizeof(header) }, { payload, 0 } };
	struct msghdr message = { .msg_iov = iov, .msg_iovlen = 2 };

	header.flags = VHOST_USER_FLAGS_VERSION | (shape & 1 ? VHOST_USER_FLAGS_NEED_REPLY : 0);
	header.size = make_payload(w, header.request, payload);
	if (shape >= 250)
		header.flags = fuzz_u8(w->input);
	if (shape >= 240)
		header.size = shape & 2 ? fuzz_u8(w->input) : (uint32_t)fuzz_u64(w->input, 4);
	iov[1].iov_len = header.size <= sizeof(payload) ? header.size : sizeof(payload);
	if (shape >= 230)
		iov[1].iov_len /= 2;
	if (count) {
		struct cmsghdr *cmsg = (void *)control;

		message.msg_control = control;
		message.msg_controllen = CMSG_SPACE(count * sizeof(int));
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(count * sizeof(int));
		for (unsigned i = 0; i < count; i++)
			memcpy(CMSG_DATA(cmsg) + i * sizeof(int),
			       fds & 0x40   ? &w->event
			       : fds & 0x20 ? &w->file
					    : &w->memory,
			       sizeof(int));
	}
	sendmsg(w->socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	run_loop(w);
}

/* The start that every front end makes, so that the rest finds something going on. */
static void begin(struct world *w, bool packed, bool tracked, bool logged)
{
	const uint64_t features = UINT64_C(1) << 32 | 1u << 30 | 1u << 29 | 1u << 28 |
				  (logged ? 1u << VHOST_F_LOG_ALL : 0) |
				  (packed ? UINT64_C(1) << VIRTIO_F_RING_PACKED : 0);
	static const struct vhost_user_vring_addr areas = {
		0, 0, USER_BASE, USER_BASE + 0x2000, USER_BASE + 0x1000, 0
	};
	const struct {
		uint32_t request;
		uint64_t payload[5];
		uint32_t bytes;
		const int *fd;
	} messages[] = {
		{ VHOST_USER_SET_OWNER, { 0 }, 0, NULL },
		{ VHOST_USER_GET_FEATURES, { 0 }, 0, NULL },
		{ VHOST_USER_SET_FEATURES, { features }, 8, NULL },
		{ VHOST_USER_SET_PROTOCOL_FEATURES,
		  { 1u << 1 | 1u << 3 | 1u << 9 | 1u << 12 | 1u << 13 | 1u << 15 | 1u << 16 | 1u << 19 |
		    1u << 20 },
		  8,
		  NULL },
		{ VHOST_USER_SET_MEM_TABLE, { 1, DRIVER_BASE, MEMORY_BYTES, USER_BASE, 0 }, 40, &w->memory },
		{ VHOST_USER_SET_INFLIGHT_FD, { FILE_BYTES, 0, 1 | QUEUE_SIZE << 16 }, 24, &w->file },
		{ VHOST_USER_SET_LOG_BASE, { FILE_BYTES }, 16, &w->file },
		{ VHOST_USER_SET_VRING_NUM, { (uint64_t)QUEUE_SIZE << 32 }, 8, NULL },
		{ VHOST_USER_SET_VRING_BASE, { 0 }, 8, NULL },
		{ VHOST_USER_SET_VRING_ADDR, { 0 }, sizeof(areas), NULL },
		{ VHOST_USER_SET_VRING_CALL, { 0 }, 8, &w->event },
		{ VHOST_USER_SET_VRING_KICK, { 0 }, 8, &w->event },
		{ VHOST_USER_SET_VRING_ENABLE, { UINT64_C(1) << 32 }, 8, NULL },
	};

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(messages); i++) {
		uint8_t control[CMSG_SPACE(sizeof(int))] = { 0 };
		struct vhost_user_header header = { messages[i].request, VHOST_USER_FLAGS_VERSION,
						    messages[i].bytes };
		const void *payload = messages[i].request == VHOST_USER_SET_VRING_ADDR ? (const void *)&areas
										       : messages[i].payload;
		struct iovec iov[2] = { { &header, sizeof(header) },
					{ (void *)(uintptr_t)payload, header.size } };
		struct msghdr message = { .msg_iov = iov, .msg_iovlen = 2 };

		if ((header.request == VHOST_USER_SET_INFLIGHT_FD && !tracked) ||
		    (header.request == VHOST_USER_SET_LOG_BASE && !logged))
			continue;
		if (messages[i].fd) {
			struct cmsghdr *cmsg = (void *)control;

			message.msg_control = control;
			message.msg_controllen = sizeof(control);
			*cmsg = (struct cmsghdr){ CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
			memcpy(CMSG_DATA(cmsg), messages[i].fd, sizeof(int));
		}
		sendmsg(w->socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	}
	run_loop(w);
}

/* A descriptor, or a ring entry and a kick, in the memory that was shared. */
static void use_memory(struct world *w)
{
	uint8_t where = fuzz_u8(w->input);
	struct virtq_desc desc = {
		.addr = vio_le64_make(choose_address(w->input, DRIVER_BASE)),
		.len = vio_le32_make((uint32_t)choose_bytes(w->input)),
		.flags = vio_le16_make(fuzz_u8(w->input) & 7),
		.next = vio_le16_make(where + 1),
	};
	vio_le16 ring[2 + 16] = { vio_le16_make(0), vio_le16_make(where % 32) };
	uint64_t one = 1;

	if (where & 0x80) {
		for (unsigned i = 2; i < VIO_ARRAY_SIZE(ring); i++)
			ring[i] = vio_le16_make((uint16_t)(i - 2));
		FUZZ_CHECK(pwrite(w->memory, ring, sizeof(ring), 0x1000) == sizeof(ring));
		FUZZ_CHECK(write(w->event, &one, sizeof(one)) == sizeof(one));
	} else {
		FUZZ_CHECK(pwrite(w->memory, &desc, sizeof(desc), where % 16 * 16) == sizeof(desc));
	}
	run_loop(w);
}

/* A file that a back end may have left, with a byte here and there that it didn't. */
static void write_file(struct world *w, bool packed)
{
	union {
		uint8_t bytes[FILE_BYTES];
		struct vhost_user_inflight_split split;
		struct vhost_user_inflight_packed packed;
	} file = { .bytes = { 0 } };
	unsigned marks = fuzz_u8(w->input), changes = fuzz_u8(w->input) % 8;

	/* Version, size and free list are in the same place, or of no meaning to the other format. */
	file.split.version = 1;
	file.split.desc_num = QUEUE_SIZE;
	if (packed)
		file.packed.used_wrap_counter = file.packed.old_used_wrap_counter = 1;
	for (uint16_t i = 0; i < QUEUE_SIZE; i++) {
		const bool marked = marks >> i % 8 & 1;

		if (packed)
			file.packed.desc[i] = (struct vhost_user_inflight_desc_packed){
				.inflight = marked,
				.next = (uint16_t)(i + 1),
				.last = i,
				.num = 1,
				.counter = marks ^ i,
				.id = i,
				.flags = i & 2,
				.len = 0x100,
				.addr = DRIVER_BASE + 0x3000,
			};
		else
			file.split.desc[i] = (struct vhost_user_inflight_desc_split){ .inflight = marked,
										      .counter = marks ^ i };
	}
	if (packed)
		file.packed.free_head = file.packed.old_free_head = fuzz_u8(w->input) % 20;
	while (changes--)
		file.bytes[fuzz_u64(w->input, 2) % 600] = fuzz_u8(w->input);
	FUZZ_CHECK(pwrite(w->file, &file, sizeof(file), 0) == sizeof(file));
}

/* hostile: C13 */
static void cut_short(struct world *w)
{
	const uint64_t one = 1;

	FUZZ_CHECK(ftruncate(fuzz_u8(w->input) & 1 ? w->memory : w->file, 0) == 0);
	FUZZ_CHECK(write(w->event, &one, sizeof(one)) == sizeof(one));
	run_loop(w);
	FUZZ_CHECK(ftruncate(w->memory, MEMORY_BYTES) == 0 && ftruncate(w->file, FILE_BYTES) == 0);
}

static void connect_backend(struct world *w)
{
	int sockets[2];

	FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) == 0);
	w->socket = sockets[0];
	FUZZ_CHECK(vio_vhost_user_start(w->backend, sockets[1]) == 0);
}

/* A back end, its device and the files of a driver, for one execution after the other, as back ends live. */
static struct world *make_world(void)
{
	static const struct vio_vhost_user_events events = { .closed = closed };
	struct world *w = calloc(1, sizeof(*w));
	struct vio_watcher watcher;

	FUZZ_CHECK(w && vio_guard_memory() == 0);
	watcher = fuzz_loop_watcher(&w->loop);
	w->memory = memfd_create("memory", MFD_CLOEXEC);
	w->file = memfd_create("file", MFD_CLOEXEC);
	w->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	FUZZ_CHECK(w->memory >= 0 && w->file >= 0 && w->event >= 0);
	fuzz_served_make(&w->served, VIRTIO_ID_CAESAR, "256");
	w->backend = vio_vhost_user_create(&w->served.dev, &watcher, &events, w);
	FUZZ_CHECK(w->backend);
	return w;
}

static void close_world(struct world *w)
{
	vio_vhost_user_destroy(w->backend);
	FUZZ_CHECK(fuzz_loop_empty(&w->loop));
	fuzz_served_close(&w->served);
	close(w->event);
	close(w->file);
	close(w->memory);
	free(w);
}

/* As a new front end finds it: files of zeros, nothing signalled. */
static void begin_execution(struct world *w, struct fuzz_input *input)
{
	uint64_t count;

	w->input = input;
	w->closed = false;
	FUZZ_CHECK(ftruncate(w->memory, 0) == 0 && ftruncate(w->memory, MEMORY_BYTES) == 0);
	FUZZ_CHECK(ftruncate(w->file, 0) == 0 && ftruncate(w->file, FILE_BYTES) == 0);
	FUZZ_CHECK(read(w->event, &count, sizeof(count)) == sizeof(count) || errno == EAGAIN);
	connect_backend(w);
}

static void take_steps(struct world *w)
{
	unsigned steps = 0;
	uint8_t how = fuzz_u8(w->input);

	if (how & 8)
		write_file(w, how & 2);
	if (how & 1)
		begin(w, how & 2, how & 4, how & 16);
	while (w->input->left && !w->closed && steps++ < 100) {
		uint8_t what = fuzz_u8(w->input);

		if (what & 3)
			send_message(w);
		else if (what == 0xfc)
			cut_short(w);
		else if (what == 0xf8)
			write_file(w, how & 2);
		else
			use_memory(w);
	}
}

static void execute(struct world *w, struct fuzz_input *input)
{
	begin_execution(w, input);
	take_steps(w);
	close(w->socket);
	fuzz_loop_run(&w->loop, 1000);
	FUZZ_CHECK(w->closed && w->served.dev.status == 0);
}

void fuzz_run(struct fuzz_input *input)
{
	static const struct fuzz_link link = { make_world, close_world, execute };

	fuzz_link_run(&link, input);
}
