/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vireo/pci.h>
#include <vireo/spec/vfio_user.h>
#include <vireo/spec/virtio_ring.h>
#include <vireo/vfio_user.h>

#include "link.h"

/*
 * A client that sends whatever it likes, with whatever descriptors. Whatever it does: the
 * server neither blocks nor leaks a file descriptor, and leaves the device in reset.
 */
#define FDS_SENT_MAX 20u
#define MEMORY_BYTES 0x4000u
#define DRIVER_BASE  UINT64_C(0x10000)
#define NOTIFY       0x3000u

#define ASKED_MAX    64u
#define STREAM_BYTES (2u * (VIO_VFIO_USER_DATA_MAX + 64u))

/* What the server asked for by DMA_READ or DMA_WRITE, its data apart. */
struct asked {
	struct vfio_user_header header;
	struct vfio_user_dma_access access;
};

struct world {
	struct fuzz_input *input;
	struct asked asked[ASKED_MAX];
	unsigned asked_count;
	bool answers; /* at once, and as it should */
	uint8_t stream[STREAM_BYTES];
	size_t stream_bytes;
	struct fuzz_loop loop;
	struct vio_vfio_user *server;
	struct fuzz_served served;
	int socket, memory, event;
	bool closed;
};

static void answer(struct world *w, const struct asked *asked, uint8_t shape)
{
	uint8_t payload[sizeof(asked->access) + 0x1000] = { 0 };
	struct vfio_user_header header = asked->header;
	const uint64_t count = asked->access.count;
	const uint32_t head = shape & 1 ? 12 : sizeof(asked->access);
	struct iovec iov[2] = { { &header, sizeof(header) }, { payload, sizeof(asked->access) } };
	struct msghdr message = { .msg_iov = iov, .msg_iovlen = 2 };

	header.flags = VFIO_USER_FLAGS_REPLY;
	memcpy(payload, &asked->access, sizeof(asked->access));
	if (header.command == VFIO_USER_DMA_READ && count <= 0x1000) {
		iov[1].iov_len += count;
		if (pread(w->memory, payload + head, count, (off_t)(asked->access.address - DRIVER_BASE)) < 0)
			payload[head] = 1;
	} else if (shape & 1) {
		iov[1].iov_len = 0;
	}
	if (shape >= 240)
		header.flags |= VFIO_USER_FLAGS_ERROR;
	if (shape >= 232 && shape < 240)
		payload[fuzz_u8(w->input) % 16] ^= fuzz_u8(w->input);
	if (shape >= 224 && shape < 232)
		header.id = fuzz_u8(w->input);
	header.size = (uint32_t)(sizeof(header) + iov[1].iov_len);
	if (shape >= 216 && shape < 224)
		header.size += fuzz_u8(w->input) % 4;
	sendmsg(w->socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* What is whole of what came: what the server asks for is kept, and the rest let go. */
static void take_messages(struct world *w)
{
	struct asked asked;

	while (w->stream_bytes >= sizeof(asked.header)) {
		memcpy(&asked.header, w->stream, sizeof(asked.header));
		FUZZ_CHECK(asked.header.size >= sizeof(asked.header) && asked.header.size < STREAM_BYTES);
		if (w->stream_bytes < asked.header.size)
			return;
		if (!(asked.header.flags & VFIO_USER_FLAGS_TYPE_MASK)) {
			FUZZ_CHECK(asked.header.size >= sizeof(asked));
			memcpy(&asked, w->stream, sizeof(asked));
			asked.access.count = (uint32_t)asked.access.count; /* in either layout */
			if (w->asked_count < ASKED_MAX)
				w->asked[w->asked_count++] = asked;
		}
		w->stream_bytes -= asked.header.size;
		memmove(w->stream, w->stream + asked.header.size, w->stream_bytes);
	}
}

static bool take_bytes(struct world *w)
{
	union {
		char bytes[CMSG_SPACE(32 * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { w->stream + w->stream_bytes, sizeof(w->stream) - w->stream_bytes };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
	};
	ssize_t got = recvmsg(w->socket, &msg, MSG_DONTWAIT);
	struct cmsghdr *cmsg;

	if (got <= 0)
		return false;
	w->stream_bytes += (size_t)got;
	for (cmsg = CMSG_FIRSTHDR(&msg); cmsg; cmsg = CMSG_NXTHDR(&msg, cmsg))
		for (size_t at = CMSG_LEN(0); at < cmsg->cmsg_len; at += sizeof(int))
			close(*(int *)(void *)((char *)cmsg + at));
	return true;
}

/* Takes what the server says, closes what comes with it, and answers if that is the mood. */
static void run_loop(struct world *w)
{
	for (unsigned turn = 0; turn < 40; turn++) {
		fuzz_loop_run(&w->loop, 64);
		while (take_bytes(w))
			take_messages(w);
		if (!w->answers || !w->asked_count)
			return;
		while (w->asked_count)
			answer(w, &w->asked[--w->asked_count], 0);
	}
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

/* Where registers are that something happens at. */
static struct vfio_user_region_access choose_access(struct fuzz_input *input)
{
	static const uint64_t places[] = { 0,    0x04,   0x08,   0x0c,   0x10,   0x14,   0x16, 0x18,
					   0x1a, 0x1c,   0x20,   0x28,   0x30,   0x3a,   0x40, 0x70,
					   0x98, 0x1000, 0x2000, NOTIFY, 0x4000, 0x5000, 0xff, 0x7fff };
	static const uint64_t widths[] = { 1, 2, 4, 8, 16, 256, 0, UINT32_MAX };
	uint8_t choice = fuzz_u8(input);

	return (struct vfio_user_region_access){
		.region = choice & 1   ? VIO_PCI_MEMORY_BAR
			  : choice & 2 ? VFIO_USER_REGION_CONFIG
				       : choice >> 4,
		.offset = fuzz_choose(input, places, VIO_ARRAY_SIZE(places)),
		.count = (uint32_t)fuzz_choose(input, widths, VIO_ARRAY_SIZE(widths)),
	};
}

static uint32_t make_memory(struct fuzz_input *input, uint16_t command, uint8_t *payload)
{
	struct vfio_user_dma_map map = { sizeof(map), fuzz_u8(input) & 3, 0,
					 choose_address(input, DRIVER_BASE), choose_bytes(input) };
	struct vfio_user_dma_unmap unmap = { sizeof(unmap), 0, map.address, map.size };

	if (command == VFIO_USER_DMA_UNMAP) {
		memcpy(payload, &unmap, sizeof(unmap));
		return sizeof(unmap);
	}
	map.offset = fuzz_u8(input) & 1 ? choose_bytes(input) : 0;
	memcpy(payload, &map, sizeof(map));
	return sizeof(map);
}

static uint32_t make_access(struct fuzz_input *input, uint16_t command, uint8_t *payload)
{
	struct vfio_user_region_access access = choose_access(input);
	uint32_t bytes = command == VFIO_USER_REGION_WRITE && access.count <= 256 ? access.count : 0, i;

	memcpy(payload, &access, sizeof(access));
	for (i = 0; i < bytes; i++)
		payload[sizeof(access) + i] = i < 8 ? fuzz_u8(input) : 0;
	return (uint32_t)sizeof(access) + bytes;
}

/* The payload that a command takes, of legal shape; returns its size. */
static uint32_t make_payload(struct world *w, uint16_t command, uint8_t *payload)
{
	struct fuzz_input *input = w->input;
	struct vfio_user_irq_set set;

	switch (command) {
	case VFIO_USER_DMA_MAP:
	case VFIO_USER_DMA_UNMAP:
		return make_memory(input, command, payload);
	case VFIO_USER_REGION_READ:
	case VFIO_USER_REGION_WRITE:
		return make_access(input, command, payload);
	case VFIO_USER_DEVICE_SET_IRQS:
		set = (struct vfio_user_irq_set){ sizeof(set), fuzz_u8(input), fuzz_u8(input) % 6,
						  fuzz_u8(input) % 4, fuzz_u8(input) % 4 };
		memcpy(payload, &set, sizeof(set));
		return sizeof(set) + set.count;
	case VFIO_USER_REGION_WRITE_MULTI:
		payload[0] = fuzz_u8(input) % 4;
		for (unsigned i = 0; i < payload[0]; i++) {
			struct vfio_user_region_access access = choose_access(input);

			memcpy(payload + 8 + 24 * i, &access, sizeof(access));
			payload[8 + 24 * i + 16] = fuzz_u8(input);
		}
		return 8 + 24 * payload[0];
	default: {
		uint32_t words[8] = { 64, fuzz_u8(input) & 1 ? fuzz_u8(input) : 0, fuzz_u8(input) % 12,
				      fuzz_u8(input) & 1 ? fuzz_u8(input) : 0 };

		memcpy(payload, words, sizeof(words));
		return command == VFIO_USER_DEVICE_GET_REGION_INFO ? 32 : 16;
	}
	}
}

static void send_bytes(struct world *w, struct vfio_user_header *header, const uint8_t *payload,
		       uint32_t bytes, const int *fds, unsigned count)
{
	uint8_t control[CMSG_SPACE(FDS_SENT_MAX * sizeof(int))] = { 0 };
	struct iovec iov[2] = { { header, sizeof(*header) }, { (void *)(uintptr_t)payload, bytes } };
	struct msghdr message = { .msg_iov = iov, .msg_iovlen = 2 };

	if (count) {
		struct cmsghdr *cmsg = (void *)control;

		message.msg_control = control;
		message.msg_controllen = CMSG_SPACE(count * sizeof(int));
		*cmsg = (struct cmsghdr){ CMSG_LEN(count * sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
		memcpy(CMSG_DATA(cmsg), fds, count * sizeof(int));
	}
	sendmsg(w->socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	run_loop(w);
}

static void send_message(struct world *w)
{
	uint8_t payload[600] = { 0 };
	uint8_t shape = fuzz_u8(w->input), choice = fuzz_u8(w->input);
	struct vfio_user_header header = { 1, fuzz_u8(w->input) % 20, 0, 0, 0 };
	unsigned count = choice < 128 ? choice % 3 : choice % (FDS_SENT_MAX + 1);
	uint32_t bytes = make_payload(w, header.command, payload);
	int fds[FDS_SENT_MAX];

	for (unsigned i = 0; i < FDS_SENT_MAX; i++)
		fds[i] =
			header.command == VFIO_USER_DEVICE_SET_IRQS || (choice & 0x40) ? w->event : w->memory;
	header.size = (uint32_t)sizeof(header) + bytes;
	if (shape & 1)
		header.flags = VFIO_USER_FLAGS_NO_REPLY;
	if (shape >= 250)
		header.flags = fuzz_u8(w->input);
	if (shape >= 240)
		header.size = shape & 2 ? fuzz_u8(w->input) : (uint32_t)fuzz_u64(w->input, 4);
	if (shape >= 230)
		bytes /= 2;
	send_bytes(w, &header, payload, bytes, fds, count);
}

static void send_version(struct world *w)
{
	uint8_t payload[300] = { 0 };
	uint32_t bytes = fuzz_u8(w->input);
	struct vfio_user_header header = { 0, VFIO_USER_VERSION, 0, 0, 0 };
	static const char usual[] = "{\"capabilities\":{\"max_msg_fds\":8,\"write_multiple\":true}}";

	if (bytes & 1) {
		for (unsigned i = 4; i < bytes; i++)
			payload[i] = fuzz_u8(w->input);
	} else {
		memcpy(payload + 4, usual, sizeof(usual));
		bytes = 4 + sizeof(usual);
	}
	header.size = (uint32_t)sizeof(header) + bytes;
	send_bytes(w, &header, payload, bytes, NULL, 0);
}

static void write_register(struct world *w, uint64_t offset, uint32_t width, uint64_t value)
{
	struct vfio_user_region_write write = { offset, VIO_PCI_MEMORY_BAR, width, { 0 } };
	struct vfio_user_header header = { 0, VFIO_USER_REGION_WRITE, (uint32_t)(32 + width), 0, 0 };

	memcpy(write.data, &value, sizeof(write.data));
	send_bytes(w, &header, (const uint8_t *)&write, 16 + width, NULL, 0);
}

/* The start that every driver makes, so that the rest finds something going on. */
static void begin(struct world *w, bool distant)
{
	static const struct vfio_user_dma_map map = { sizeof(map), 3, 0, DRIVER_BASE, MEMORY_BYTES };
	struct vfio_user_header header = { 0, VFIO_USER_DMA_MAP, sizeof(header) + sizeof(map), 0, 0 };
	static const uint64_t writes[][3] = {
		{ 0x14, 1, 3 },
		{ 0x08, 4, 1 },
		{ 0x0c, 4, 1 },
		{ 0x14, 1, 11 },
		{ 0x18, 2, 16 },
		{ 0x20, 8, DRIVER_BASE },
		{ 0x28, 8, DRIVER_BASE + 0x1000 },
		{ 0x30, 8, DRIVER_BASE + 0x2000 },
		{ 0x1a, 2, 1 },
		{ 0x1c, 2, 1 },
		{ 0x14, 1, 15 },
	};

	send_version(w);
	send_bytes(w, &header, (const uint8_t *)&map, sizeof(map), &w->memory, !distant);
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(writes); i++)
		write_register(w, writes[i][0], (uint32_t)writes[i][1], writes[i][2]);
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

	if (where & 0x80) {
		for (unsigned i = 2; i < VIO_ARRAY_SIZE(ring); i++)
			ring[i] = vio_le16_make((uint16_t)(i - 2));
		FUZZ_CHECK(pwrite(w->memory, ring, sizeof(ring), 0x1000) == sizeof(ring));
		write_register(w, NOTIFY, 2, 0);
	} else {
		FUZZ_CHECK(pwrite(w->memory, &desc, sizeof(desc), where % 16 * 16) == sizeof(desc));
		run_loop(w);
	}
}

/* One of those that were asked for, in any order. */
static void answer_one(struct world *w, uint8_t step)
{
	const unsigned which = step % w->asked_count;
	const struct asked asked = w->asked[which];

	w->asked[which] = w->asked[--w->asked_count];
	answer(w, &asked, fuzz_u8(w->input));
	if (step & 0x40)
		answer(w, &asked, 0); /* hostile: E23, twice */
	run_loop(w);
}

static void connect_server(struct world *w)
{
	int sockets[2];

	FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) == 0);
	w->socket = sockets[0];
	FUZZ_CHECK(vio_vfio_user_start(w->server, sockets[1]) == 0);
}

static struct world *make_world(void)
{
	static const struct vio_vfio_user_events events = { .closed = closed };
	struct world *w = calloc(1, sizeof(*w));
	struct vio_watcher watcher;

	FUZZ_CHECK(w);
	watcher = fuzz_loop_watcher(&w->loop);
	w->memory = memfd_create("memory", MFD_CLOEXEC);
	w->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	FUZZ_CHECK(w->memory >= 0 && w->event >= 0);
	fuzz_served_make(&w->served, VIRTIO_ID_CAESAR, "256");
	w->server = vio_vfio_user_create(&w->served.dev, &watcher, &events, w);
	FUZZ_CHECK(w->server);
	return w;
}

static void close_world(struct world *w)
{
	vio_vfio_user_destroy(w->server);
	FUZZ_CHECK(fuzz_loop_empty(&w->loop));
	fuzz_served_close(&w->served);
	close(w->event);
	close(w->memory);
	free(w);
}

/* As a new client finds it: memory of zeros, nothing signalled. */
static void begin_execution(struct world *w, struct fuzz_input *input)
{
	uint64_t count;

	w->input = input;
	w->closed = false;
	w->asked_count = 0;
	w->stream_bytes = 0;
	FUZZ_CHECK(ftruncate(w->memory, 0) == 0 && ftruncate(w->memory, MEMORY_BYTES) == 0);
	FUZZ_CHECK(read(w->event, &count, sizeof(count)) == sizeof(count) || errno == EAGAIN);
	connect_server(w);
}

static void take_steps(struct world *w)
{
	uint8_t choice = fuzz_u8(w->input);
	unsigned steps = 0;

	w->answers = choice & 4;
	if (choice & 1)
		begin(w, choice & 2);
	else
		send_version(w);
	while (w->input->left && !w->closed && steps++ < 100) {
		uint8_t step = fuzz_u8(w->input);

		if (w->asked_count && (step & 0x80))
			answer_one(w, step);
		else if (step & 3)
			send_message(w);
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
