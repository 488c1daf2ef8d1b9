/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <vireo/drivers/adder.h>
#include <vireo/vhost_user_frontend.h>

/*
 * A back end in a thread of its own that writes whatever it likes into all that was shared with it, all the
 * time, while the driver works: rings, tables, buffers, and interrupts without end. Between that it completes
 * a request now and then, so that the driver gets on. Its mapping of the memory is another one than the
 * driver's. hostile: D14 B17 B18 B19 B21 B22 B33
 */

#define BIT(number) (UINT64_C(1) << (number))
#define ARENA_BYTES (256u << 10)
#define SIZE        8u
#define NS          UINT64_C(1000000000)
#define RUN_NS      (NS / 4)
#define CALL_NS     (2 * NS) /* that a call may take at most, on a busy machine */

struct peer {
	int socket;
	uint64_t features;
	uint8_t *memory;
	uint64_t memory_bytes, base, accepted;
	struct vhost_user_vring_addr ring;
	int call;
	uint64_t random;
	uint64_t strokes, completed;
	bool trouble; /* a message that can't be */
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS + (uint64_t)now.tv_nsec;
}

static uint32_t draw(struct peer *peer, uint32_t below)
{
	peer->random ^= peer->random << 13;
	peer->random ^= peer->random >> 7;
	peer->random ^= peer->random << 17;
	return (uint32_t)(peer->random >> 32) % below;
}

static void take_fd(struct peer *peer, uint32_t request, uint64_t memory_bytes, int fd)
{
	void *memory;

	if (request == VHOST_USER_SET_VRING_CALL) {
		if (peer->call >= 0)
			close(peer->call);
		peer->call = fd;
		return;
	}
	if (request == VHOST_USER_SET_MEM_TABLE && !peer->memory) {
		memory = mmap(NULL, memory_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		peer->memory = memory == MAP_FAILED ? NULL : memory;
		peer->memory_bytes = memory_bytes;
	}
	close(fd);
}

static void reply(struct peer *peer, uint32_t request, const void *payload, uint32_t size)
{
	struct {
		struct vhost_user_header header;
		uint8_t payload[8];
	} message = { .header = { request, VHOST_USER_FLAGS_VERSION | VHOST_USER_FLAGS_REPLY, size } };

	memcpy(message.payload, payload, size);
	peer->trouble |= send(peer->socket, &message, sizeof(message.header) + size, MSG_NOSIGNAL) < 0;
}

/* false: the front end is gone */
static bool hear(struct peer *peer)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct vhost_user_header header;
	uint64_t payload[64] = { 0 };
	struct iovec iov = { &header, sizeof(header) };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control.bytes,
			      .msg_controllen = sizeof(control.bytes) };
	struct cmsghdr *cmsg;
	int fd;

	if (recvmsg(peer->socket, &msg, MSG_CMSG_CLOEXEC | MSG_WAITALL) != sizeof(header) ||
	    header.size > sizeof(payload) ||
	    (header.size && recv(peer->socket, payload, header.size, MSG_WAITALL) != header.size))
		return false;
	cmsg = CMSG_FIRSTHDR(&msg);
	if (cmsg) {
		struct vhost_user_mem_table table;

		memcpy(&table, payload, sizeof(table));
		memcpy(&fd, CMSG_DATA(cmsg), sizeof(fd));
		peer->base = header.request == VHOST_USER_SET_MEM_TABLE ? table.regions[0].guest_phys_addr
									: peer->base;
		take_fd(peer, header.request, table.regions[0].memory_size, fd);
	}
	if (header.request == VHOST_USER_GET_FEATURES)
		reply(peer, header.request, &peer->features, 8);
	if (header.request == VHOST_USER_SET_FEATURES)
		peer->accepted = payload[0];
	if (header.request == VHOST_USER_SET_VRING_ADDR)
		memcpy(&peer->ring, payload, sizeof(peer->ring));
	if (header.request == VHOST_USER_GET_VRING_BASE)
		reply(peer, header.request, payload, 8);
	return true;
}

/* One or two bytes anywhere in what it has, most often in the first pages, where rings and tables are. */
static void scribble(struct peer *peer)
{
	uint32_t below = draw(peer, 4) ? 3 * 4096 : (uint32_t)peer->memory_bytes;
	uint32_t at = draw(peer, below) & ~1u;
	uint16_t value = (uint16_t)draw(peer, draw(peer, 2) ? 1 << 16 : SIZE + 1);

	__atomic_store_n((uint16_t *)(void *)(peer->memory + at), value, __ATOMIC_RELAXED);
	peer->strokes++;
}

static uint16_t *word(struct peer *peer, uint64_t addr, uint32_t offset)
{
	return (uint16_t *)(void *)(peer->memory + (addr - peer->base) + offset);
}

/* As an honest device completes what lies next in the ring; a packed one's first descriptor. */
static void complete(struct peer *peer)
{
	uint16_t *index, *slot;

	if (peer->accepted & BIT(VIRTIO_F_RING_PACKED)) {
		slot = word(peer, peer->ring.descriptor, 16 * draw(peer, SIZE));
		__atomic_store_n(slot + 7, draw(peer, 2) ? 0x8082 : 0x0002, __ATOMIC_RELEASE);
	} else {
		uint16_t head = __atomic_load_n(word(peer, peer->ring.available, 4 + 2 * draw(peer, SIZE)),
						__ATOMIC_RELAXED);

		index = word(peer, peer->ring.used, 2);
		slot = word(peer, peer->ring.used, 4 + 8 * (*index % SIZE));
		__atomic_store_n(slot, head, __ATOMIC_RELAXED);
		__atomic_store_n(slot + 1, 0, __ATOMIC_RELAXED);
		__atomic_store_n(slot + 2, 4, __ATOMIC_RELAXED);
		__atomic_store_n(slot + 3, 0, __ATOMIC_RELAXED);
		__atomic_store_n(index, (uint16_t)(*index + 1), __ATOMIC_RELEASE);
	}
	peer->completed++;
}

static void *rage(void *context)
{
	struct peer *peer = context;
	struct pollfd pollfd = { .fd = peer->socket, .events = POLLIN };
	const uint64_t one = 1;

	for (;;) {
		bool ready = peer->memory && peer->ring.used;

		if (poll(&pollfd, 1, ready ? 0 : -1) > 0 && !hear(peer))
			return NULL;
		if (!peer->memory || !peer->ring.used)
			continue;
		for (unsigned i = draw(peer, 64); i; i--)
			scribble(peer);
		if (draw(peer, 2))
			complete(peer);
		if (peer->call >= 0)
			peer->trouble |= write(peer->call, &one, sizeof(one)) == 0;
	}
}

/* What a call may say; that it says it in time. */
static int in_time(uint64_t since, int result)
{
	assert_true(now_ns() - since < CALL_NS);
	if (result && result != -VIO_EAGAIN && result != -VIO_EPEER && result != -VIO_EPHASE)
		fail_msg("an adder said %d", result);
	return result;
}

static uint32_t drive(struct vio_dev *dev)
{
	uint64_t until = now_ns() + RUN_NS, since;
	uint32_t answers = 0, sum;
	int error;

	while (since = now_ns(), since < until) {
		error = in_time(since, vio_adder_add(dev, 1, &sum));
		answers += !error;
		if (error)
			(void)in_time(now_ns(), vio_adder_start(dev));
		(void)vio_dev_interrupt(dev);
	}
	return answers;
}

static uint32_t race(uint64_t features)
{
	const struct vio_vhost_user_frontend_options options = { .id = VIRTIO_ID_ADDER,
								 .queue_size = SIZE,
								 .arena_bytes = ARENA_BYTES };
	struct peer peer = { .call = -1, .features = features, .random = 88172645463325252u ^ features };
	const struct vio_platform *platform;
	struct vio_adder adder;
	struct vio_shared all;
	struct vio_dev dev;
	pthread_t thread;
	uint32_t answers;
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	peer.socket = ends[0];
	assert_int_equal(pthread_create(&thread, NULL, rage, &peer), 0);
	assert_int_equal(vio_vhost_user_frontend_open(ends[1], &options, &dev, NULL), 0);
	platform = vio_vhost_user_frontend_platform(&dev);
	assert_int_equal(vio_driver_bind(&dev, &vio_adder_driver, platform, &adder), 0);
	adder.timeout_ns = NS / 500;
	answers = drive(&dev);
	/* The driver gave back each page, whatever its rings said. */
	assert_int_equal(vio_driver_unbind(&dev), 0);
	assert_int_equal(platform->take(platform->context, ARENA_BYTES, VIO_MEM_READ, &all), 0);
	platform->give_back(platform->context, &all, ARENA_BYTES);
	assert_int_equal(vio_dev_close(&dev), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	print_message("# %#llx: %u answers, %llu strokes, %llu completions\n", (unsigned long long)features,
		      answers, (unsigned long long)peer.strokes, (unsigned long long)peer.completed);
	assert_false(peer.trouble);
	assert_true(peer.strokes > 1000);
	munmap(peer.memory, peer.memory_bytes);
	close(peer.call);
	close(peer.socket);
	return answers;
}

static void a_driver_outlives_a_raging_device(void **state)
{
	const uint64_t plain = BIT(VIRTIO_F_VERSION_1);
	uint32_t answers = 0;

	answers += race(plain);
	answers += race(plain | BIT(VIRTIO_F_EVENT_IDX));
	answers += race(plain | BIT(VIRTIO_F_INDIRECT_DESC));
	answers += race(plain | BIT(VIRTIO_F_EVENT_IDX) | BIT(VIRTIO_F_INDIRECT_DESC));
	answers += race(plain | BIT(VIRTIO_F_RING_PACKED));
	answers += race(plain | BIT(VIRTIO_F_RING_PACKED) | BIT(VIRTIO_F_INDIRECT_DESC));
	assert_true(answers > 0); /* else nothing was ever near to working */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_driver_outlives_a_raging_device),
	};

	return cmocka_run_group_tests_name("frontend-race", tests, NULL, NULL);
}
