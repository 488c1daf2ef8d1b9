/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vireo/guard.h>

#include "link.h"
#include "../tests/vduse/kernel.h"

/*
 * A kernel that asks whatever it likes, for a driver that sets up and does whatever it likes. Daemons die in
 * between and leave their account to the next one, which somebody may have written in. Whatever it is: every
 * request is answered, nothing is leaked, and the device ends in reset.
 */
#define MEMORY_BYTES 0x8000u
#define DRIVER_BASE  UINT64_C(0x10000)
#define NAME         "fuzz"

struct world {
	struct fuzz_input *input;
	struct fuzz_loop loop;
	struct fake_kernel kernel;
	struct vio_vduse *server;
	struct fuzz_served served;
	char account[64];
	int memory;
	bool closed;
};

static void closed(void *context, int reason)
{
	struct world *w = context;

	FUZZ_CHECK(reason < 0 && !w->closed);
	w->closed = true;
}

static uint64_t choose_address(struct world *w)
{
	static const uint64_t menu[] = { 0,      0x1000, 0x2000,   0x400,           0x100,     0x3000,
					 0x7ff0, 1,      0x100000, (uint64_t)-4096, UINT64_MAX };

	return DRIVER_BASE + fuzz_choose(w->input, menu, VIO_ARRAY_SIZE(menu));
}

static void start(struct world *w)
{
	const struct vio_vduse_options options = { .name = NAME, .account = w->account };

	w->closed = false;
	if (vio_vduse_start(w->server, &options, NULL))
		w->closed = true;
	fuzz_loop_run(&w->loop, 64);
}

/* With an answer, if there is still somebody. */
static void ask(struct world *w, struct vduse_dev_request *request)
{
	struct vduse_dev_response response;

	if (w->closed || !fake_kernel_ask(&w->kernel, request))
		return;
	/* Only this many tasks and events: a driver may keep a queue busy for ever. */
	for (unsigned turns = 0; turns < 200 && !w->closed; turns++) {
		fuzz_loop_run(&w->loop, 1);
		if (fake_kernel_answer(&w->kernel, request, &response)) {
			FUZZ_CHECK(response.request_id == request->request_id);
			FUZZ_CHECK(response.result <= VDUSE_REQ_RESULT_FAILED);
			return;
		}
	}
	/* Or the kernel said that nobody waits for it. */
	FUZZ_CHECK(w->closed ||
		   (w->kernel.failure == ENOENT && w->kernel.steps > w->kernel.steps_until_failure));
}

static void set_status(struct world *w, uint8_t status)
{
	struct vduse_dev_request request = { .type = VDUSE_SET_STATUS, .s.status = status };

	ask(w, &request);
}

/* The start that every driver makes. */
static void step_begin(struct world *w)
{
	const uint64_t features = UINT64_C(1) << VIRTIO_F_VERSION_1 | UINT64_C(1) << VIRTIO_F_ACCESS_PLATFORM;
	const bool packed = fuzz_u8(w->input) & 1;
	struct vduse_vq_info *info = &w->kernel.queues[0].info;

	set_status(w, 0);
	set_status(w, 3);
	w->kernel.accepted = features | (packed ? UINT64_C(1) << VIRTIO_F_RING_PACKED : 0);
	set_status(w, 11);
	*info = (struct vduse_vq_info){ .num = 16,
					.desc_addr = DRIVER_BASE,
					.driver_addr = DRIVER_BASE + 0x1000,
					.device_addr = DRIVER_BASE + 0x2000,
					.ready = 1 };
	if (packed)
		info->packed = (struct vduse_vq_state_packed){ 1, 0, 1, 0 };
	set_status(w, 15);
}

static void step_ask(struct world *w)
{
	struct vduse_dev_request request = { .type = fuzz_u8(w->input) % 4 };

	switch (request.type) {
	case VDUSE_GET_VQ_STATE:
		request.vq_state.index = fuzz_u8(w->input) % 4;
		if (request.vq_state.index == 3)
			request.vq_state.index = (uint32_t)fuzz_u64(w->input, 4);
		break;
	case VDUSE_SET_STATUS:
		request.s.status = fuzz_u8(w->input);
		break;
	case VDUSE_UPDATE_IOTLB:
		request.iova.start = choose_address(w);
		request.iova.last = choose_address(w);
		break;
	default:
		request.type = (uint32_t)fuzz_u64(w->input, 4);
	}
	ask(w, &request);
}

static void step_setup(struct world *w)
{
	static const uint64_t sizes[] = { 16, 1, 2, 3, 0, 17, 256, 512, 65536 + 16, UINT32_MAX };
	struct vduse_vq_info *info = &w->kernel.queues[fuzz_u8(w->input) % 2].info;

	switch (fuzz_u8(w->input) % 6) {
	case 0:
		info->num = (uint32_t)fuzz_choose(w->input, sizes, VIO_ARRAY_SIZE(sizes));
		break;
	case 1:
		info->desc_addr = choose_address(w);
		break;
	case 2:
		info->driver_addr = choose_address(w);
		break;
	case 3:
		info->device_addr = choose_address(w);
		break;
	case 4:
		info->packed =
			(struct vduse_vq_state_packed){ fuzz_u8(w->input) % 3, fuzz_u8(w->input) % 18,
							fuzz_u8(w->input) % 3, fuzz_u8(w->input) % 18 };
		break;
	default:
		info->ready = fuzz_u8(w->input) & 1;
	}
}

/* A descriptor of either format, or the driver's area and a kick. */
static void step_memory(struct world *w)
{
	uint8_t where = fuzz_u8(w->input);
	struct virtq_desc desc = {
		.addr = vio_le64_make(choose_address(w)),
		.len = vio_le32_make(fuzz_u8(w->input) * 4u),
		.flags = vio_le16_make(fuzz_u8(w->input) & 7),
		.next = vio_le16_make(where + 1),
	};
	vio_le16 ring[2 + 16] = { vio_le16_make(0), vio_le16_make(where % 32) };

	if (where & 0x40)
		desc.next = vio_le16_make(fuzz_u8(w->input) & 1 ? 0x8000 : 0x0080);
	if (where & 0x80) {
		for (unsigned i = 2; i < VIO_ARRAY_SIZE(ring); i++)
			ring[i] = vio_le16_make((uint16_t)(i - 2));
		(void)!pwrite(w->memory, ring, sizeof(ring), 0x1000);
		fake_kernel_kick(&w->kernel, 0);
	} else {
		(void)!pwrite(w->memory, &desc, sizeof(desc), where % 16 * 16);
	}
	fuzz_loop_run(&w->loop, 16);
}

/* What the kernel says of memory, which may go as well. */
static void step_piece(struct world *w)
{
	struct fake_piece *piece = &w->kernel.pieces[fuzz_u8(w->input) % 2];
	uint8_t what = fuzz_u8(w->input);

	if (what == 0) {
		FUZZ_CHECK(ftruncate(w->memory, fuzz_u8(w->input) * 64) == 0);
		FUZZ_CHECK(ftruncate(w->memory, MEMORY_BYTES) == 0);
		return;
	}
	w->kernel.piece_count = 2;
	piece->fd = w->memory;
	piece->entry = (struct vduse_iotlb_entry){ .offset = fuzz_u8(w->input) * 0x100u,
						   .start = choose_address(w),
						   .last = choose_address(w),
						   .perm = what & 3 };
}

static void step_fail(struct world *w)
{
	static const int failures[] = { EINVAL, EPERM, ENOENT, EIO, EAGAIN };

	w->kernel.failure = failures[fuzz_u8(w->input) % VIO_ARRAY_SIZE(failures)];
	w->kernel.steps = 0;
	w->kernel.steps_until_failure = fuzz_u8(w->input);
	if (w->kernel.steps_until_failure > 32)
		w->kernel.steps_until_failure = FAKE_NEVER;
}

static void step_kick(struct world *w)
{
	fake_kernel_kick(&w->kernel, fuzz_u8(w->input) % 2);
	vio_device_config_changed(&w->served.dev);
	fuzz_loop_run(&w->loop, 16);
}

/* Another daemon, which finds the account as this one left it, or not quite. */
static void step_next(struct world *w)
{
	uint8_t value = fuzz_u8(w->input);
	uint16_t where = (uint16_t)(fuzz_u8(w->input) * 16u + (fuzz_u8(w->input) & 15));
	int fd;

	w->kernel.in_use = true;
	(void)vio_vduse_stop(w->server);
	fuzz_loop_run(&w->loop, 1000);
	fd = value & 1 ? open(w->account, O_RDWR | O_CLOEXEC) : -1;
	if (fd >= 0)
		(void)!pwrite(fd, &value, 1, (value & 2 ? 4096 : 0) + where);
	if (fd >= 0)
		close(fd);
	start(w);
}

static void step_noise(struct world *w)
{
	uint8_t bytes[300] = { fuzz_u8(w->input) };
	uint8_t length = fuzz_u8(w->input);

	if (w->closed)
		return;
	(void)!send(w->kernel.peer, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
	fuzz_loop_run(&w->loop, 200);
	while (recv(w->kernel.peer, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
	/* A longer one is cut to size by the socket, which a kernel has no need of. */
	FUZZ_CHECK(w->closed || length >= sizeof(struct vduse_dev_request));
}

static struct world *make_world(void)
{
	static const struct vio_vduse_events events = { .closed = closed };
	struct world *w = calloc(1, sizeof(*w));
	struct vio_watcher watcher;

	FUZZ_CHECK(w && !vio_guard_memory());
	watcher = fuzz_loop_watcher(&w->loop);
	w->memory = memfd_create("memory", MFD_CLOEXEC);
	FUZZ_CHECK(w->memory >= 0);
	snprintf(w->account, sizeof(w->account), "/dev/shm/vireo-fuzz-vduse-%d", (int)getpid());
	fuzz_served_make(&w->served, VIRTIO_ID_CAESAR, "256");
	w->server = vio_vduse_create(&w->served.dev, &watcher, &events, w);
	FUZZ_CHECK(w->server);
	w->server->system = &w->kernel.system;
	return w;
}

static void close_world(struct world *w)
{
	vio_vduse_destroy(w->server);
	FUZZ_CHECK(fuzz_loop_empty(&w->loop));
	fuzz_served_close(&w->served);
	close(w->memory);
	free(w);
}

static void begin_execution(struct world *w, struct fuzz_input *input)
{
	w->input = input;
	FUZZ_CHECK(ftruncate(w->memory, 0) == 0 && ftruncate(w->memory, MEMORY_BYTES) == 0);
	fake_kernel_init(&w->kernel);
	w->kernel.piece_count = 1;
	w->kernel.pieces[0] = (struct fake_piece){ .entry = { .start = DRIVER_BASE,
							      .last = DRIVER_BASE + MEMORY_BYTES - 1,
							      .perm = VDUSE_ACCESS_RW },
						   .fd = w->memory };
	start(w);
	FUZZ_CHECK(!w->closed);
}

static void execute(struct world *w, struct fuzz_input *input)
{
	static void (*const steps[])(struct world * w) = {
		step_ask,  step_memory, step_memory, step_setup,  step_piece, step_kick,
		step_next, step_begin,  step_fail,   step_memory, step_ask,   step_noise,
	};

	begin_execution(w, input);
	if (fuzz_u8(input) & 3)
		step_begin(w);
	fuzz_walk(input, w, steps, VIO_ARRAY_SIZE(steps), step_next, 100);
	w->kernel.in_use = false;
	w->kernel.steps_until_failure = FAKE_NEVER;
	(void)vio_vduse_stop(w->server);
	fuzz_loop_run(&w->loop, 1000);
	fake_kernel_free(&w->kernel);
	unlink(w->account);
	FUZZ_CHECK(w->served.dev.status == 0 && w->served.dev.phase == VIO_DEVICE_READY);
}

void fuzz_run(struct fuzz_input *input)
{
	static const struct fuzz_link link = { make_world, close_world, execute };

	fuzz_link_run(&link, input);
}
