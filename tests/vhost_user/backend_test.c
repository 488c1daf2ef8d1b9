/* SPDX-License-Identifier: BSD-3-Clause */
#include "vhost_user/fixture.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void offers_what_it_has(void **state)
{
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;
	uint64_t features, protocol;

	frontend_connect(fe);
	features = frontend_get_u64(fe, VHOST_USER_GET_FEATURES);
	assert_true(features & PROTOCOL_BIT);
	assert_true(features & FEATURE(VIRTIO_F_VERSION_1));
	assert_true(features & FEATURE(VHOST_F_LOG_ALL));
	/* Nobody tells us of a queue reset, nor of queues that it serves itself. */
	assert_false(features & FEATURE(VIRTIO_F_RING_RESET));
	assert_true(f->bed.dev.part_only);
	protocol = frontend_get_u64(fe, VHOST_USER_GET_PROTOCOL_FEATURES);
	assert_int_equal(protocol, USUAL_PROTOCOL | PROTOCOL(STATUS) | PROTOCOL(INFLIGHT_SHMFD) |
					   PROTOCOL(LOG_SHMFD) | PROTOCOL(DEVICE_STATE) |
					   PROTOCOL(GET_VRING_BASE_INFLIGHT) | PROTOCOL(GPA_ADDRESSES));
	assert_int_equal(protocol, vio_vhost_user_protocol_features(f->bed.backend));
}

static void serves_one_queue(void **state)
{
	struct fixture *f = *state;

	frontend_start(&f->fe, USUAL_FEATURES, USUAL_PROTOCOL);
	assert_int_equal(f->bed.dev.status, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
						    VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK);
	for (unsigned i = 0; i < 3 * BED_QUEUE_SIZE; i++)
		frontend_roundtrip(&f->fe, 0, (uint8_t)i);
	assert_int_equal(f->bed.echo->served[0], 3 * BED_QUEUE_SIZE);
}

static void serves_with_every_ring_feature(void **state)
{
	struct fixture *f = *state;
	uint64_t features = USUAL_FEATURES | FEATURE(VIRTIO_F_EVENT_IDX) | FEATURE(VIRTIO_F_INDIRECT_DESC);

	frontend_start(&f->fe, features, USUAL_PROTOCOL);
	for (unsigned i = 0; i < 100; i++)
		frontend_roundtrip(&f->fe, 0, (uint8_t)i);
}

static void serves_many_queues(void **state)
{
	struct fixture *f = *state;

	frontend_start(&f->fe, USUAL_FEATURES, USUAL_PROTOCOL);
	assert_int_equal(frontend_get_u64(&f->fe, VHOST_USER_GET_QUEUE_NUM), BED_QUEUES);
	for (unsigned queue = 1; queue < BED_QUEUES; queue++) {
		frontend_queue_make(&f->fe, queue, USUAL_FEATURES);
		frontend_queue_start(&f->fe, queue, 0);
	}
	for (unsigned i = 0; i < 40; i++)
		frontend_roundtrip(&f->fe, i % BED_QUEUES, (uint8_t)i);
}

/* A front end without protocol features: rings are enabled from the start. */
static void serves_without_protocol_features(void **state)
{
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;
	const struct vhost_user_mem_table table = {
		.nregions = 1, .regions = { frontend_region(0, FRONTEND_MEMORY_BYTES) }
	};
	struct vhost_user_vring_state size = { 0, BED_QUEUE_SIZE }, base = { 0, 0 };
	struct vhost_user_vring_addr areas;
	uint64_t index = 0;

	frontend_connect(fe);
	frontend_negotiate(fe, FEATURE(VIRTIO_F_VERSION_1), 0);
	frontend_send_fds(fe, VHOST_USER_SET_MEM_TABLE, &table, 40, &fe->memory_fd, 1);
	frontend_queue_make(fe, 0, FEATURE(VIRTIO_F_VERSION_1));
	areas = frontend_areas(fe, 0);
	frontend_send(fe, VHOST_USER_SET_VRING_NUM, &size, sizeof(size));
	frontend_send(fe, VHOST_USER_SET_VRING_BASE, &base, sizeof(base));
	frontend_send(fe, VHOST_USER_SET_VRING_ADDR, &areas, sizeof(areas));
	frontend_send_fds(fe, VHOST_USER_SET_VRING_KICK, &index, sizeof(index), &fe->queues[0].kick, 1);
	/* The call descriptor comes when the queue runs already: what was used before isn't lost. */
	frontend_offer(fe, 0, 7);
	bed_settle(&f->bed);
	assert_int_equal(f->bed.echo->served[0], 1);
	frontend_send_fds(fe, VHOST_USER_SET_VRING_CALL, &index, sizeof(index), &fe->queues[0].call, 1);
	assert_true(frontend_answered(fe, 0, 7));
	frontend_roundtrip(fe, 0, 8);
	assert_int_equal(f->bed.closed, 0);
}

static void enable_and_disable(void **state)
{
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;

	frontend_start(fe, USUAL_FEATURES, USUAL_PROTOCOL);
	frontend_roundtrip(fe, 0, 1);
	assert_int_equal(frontend_queue_enable(fe, 0, 0), 0);
	frontend_offer(fe, 0, 2);
	assert_false(frontend_answered(fe, 0, 2));
	assert_int_equal(frontend_queue_enable(fe, 0, 1), 0);
	assert_true(frontend_answered(fe, 0, 2));
	frontend_roundtrip(fe, 0, 3);
}

/* QEMU's order on stop and continue, on the same rings. */
static void stops_and_goes_on_at_the_base(void **state)
{
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;
	uint64_t features = USUAL_FEATURES;
	uint32_t base;

	frontend_start(fe, features, USUAL_PROTOCOL);
	for (unsigned i = 0; i < 10; i++)
		frontend_roundtrip(fe, 0, (uint8_t)i);
	base = frontend_queue_stop(fe, 0);
	assert_int_equal(base, 10);
	frontend_offer(fe, 0, 42);
	assert_false(frontend_answered(fe, 0, 42));
	assert_int_equal(frontend_queue_stop(fe, 0), 10);

	frontend_send(fe, VHOST_USER_SET_FEATURES, &features, sizeof(features));
	assert_int_equal(frontend_share_memory(fe), 0);
	frontend_queue_start(fe, 0, base);
	assert_true(frontend_answered(fe, 0, 42));
	frontend_roundtrip(fe, 0, 43);
	assert_int_equal(f->bed.closed, 0);
}

static void get_base_drains(void **state)
{
	struct fixture *f = *state;

	frontend_start(&f->fe, USUAL_FEATURES, USUAL_PROTOCOL);
	f->bed.echo->hold = true;
	frontend_offer(&f->fe, 0, 5);
	assert_false(frontend_answered(&f->fe, 0, 5));
	assert_int_equal(f->bed.echo->held_count, 1);
	assert_int_equal(frontend_queue_stop(&f->fe, 0), 1);
	assert_true(frontend_answered(&f->fe, 0, 5));
}

/* QEMU sends the call descriptor whenever it masks or unmasks. */
static void call_is_replaced_while_running(void **state)
{
	struct fixture *f = *state;

	frontend_start(&f->fe, USUAL_FEATURES, USUAL_PROTOCOL);
	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(frontend_queue_call(&f->fe, 0), 0);
		assert_int_equal(frontend_queue_kick(&f->fe, 0), 0);
		frontend_roundtrip(&f->fe, 0, (uint8_t)i);
	}
}

/* hostile: C15 */
static void memory_is_replaced_while_running(void **state)
{
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;
	const int fds[2] = { fe->memory_fd, fe->memory_fd };
	const struct vhost_user_mem_table halves = { .nregions = 2,
						     .regions = {
							     frontend_region(FRONTEND_HALF, FRONTEND_HALF),
							     frontend_region(0, FRONTEND_HALF) } };

	frontend_start(fe, USUAL_FEATURES, USUAL_PROTOCOL);
	for (unsigned i = 0; i < 20; i++) {
		frontend_roundtrip(fe, 0, (uint8_t)i);
		f->bed.echo->hold = true;
		frontend_offer(fe, 0, 100);
		bed_settle(&f->bed);
		if (i % 2)
			assert_int_equal(frontend_share_memory(fe), 0);
		else
			assert_int_equal(frontend_ask_fds(fe, VHOST_USER_SET_MEM_TABLE, &halves, 72, fds, 2),
					 0);
		assert_true(frontend_answered(fe, 0, 100));
		f->bed.echo->hold = false;
	}
	assert_int_equal(leaks_mappings(FRONTEND_MEMORY_NAME), f->bed.maps_before + 1);
}

static void slots_come_and_go(void **state)
{
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;
	struct vhost_user_mem_reg low = { 0, frontend_region(0, FRONTEND_HALF) };
	struct vhost_user_mem_reg high = { 0, frontend_region(FRONTEND_HALF, FRONTEND_HALF) };

	frontend_connect(fe);
	frontend_negotiate(fe, USUAL_FEATURES, USUAL_PROTOCOL);
	assert_int_equal(frontend_get_u64(fe, VHOST_USER_GET_MAX_MEM_SLOTS), VIO_VHOST_USER_REGIONS_MAX);
	assert_int_equal(frontend_ask_fds(fe, VHOST_USER_ADD_MEM_REG, &high, sizeof(high), &fe->memory_fd, 1),
			 0);
	assert_int_equal(frontend_ask_fds(fe, VHOST_USER_ADD_MEM_REG, &low, sizeof(low), &fe->memory_fd, 1),
			 0);
	frontend_queue_make(fe, 0, USUAL_FEATURES);
	frontend_queue_start(fe, 0, 0);
	frontend_roundtrip(fe, 0, 1);
	for (unsigned i = 0; i < 5; i++) {
		/* Some front ends send a descriptor with it. */
		assert_int_equal(frontend_ask_fds(fe, VHOST_USER_REM_MEM_REG, &high, sizeof(high),
						  &fe->memory_fd, i % 2),
				 0);
		assert_int_equal(
			frontend_ask_fds(fe, VHOST_USER_ADD_MEM_REG, &high, sizeof(high), &fe->memory_fd, 1),
			0);
		frontend_roundtrip(fe, 0, (uint8_t)i);
	}
}

/* A ring that lies at an offset in the file which is no multiple of a page. */
static void offsets_need_not_be_pages(void **state)
{
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;
	struct vhost_user_mem_table table = { .nregions = 1 };

	frontend_connect(fe);
	frontend_negotiate(fe, USUAL_FEATURES, USUAL_PROTOCOL);
	fe->queues[0].offset = 0x4400;
	table.regions[0] = frontend_region(0x4400, FRONTEND_MEMORY_BYTES - 0x4400);
	assert_int_equal(frontend_ask_fds(fe, VHOST_USER_SET_MEM_TABLE, &table, 40, &fe->memory_fd, 1), 0);
	frontend_queue_make(fe, 0, USUAL_FEATURES);
	frontend_queue_start(fe, 0, 0);
	frontend_roundtrip(fe, 0, 9);
}

static uint64_t set_status(struct frontend *fe, uint64_t status)
{
	return frontend_ask(fe, VHOST_USER_SET_STATUS, &status, sizeof(status));
}

/* The driver's status, as it writes it: nothing is served before DRIVER_OK; 0 when it stops. */
static void status_is_the_drivers(void **state)
{
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;

	frontend_connect(fe);
	for (unsigned round = 0; round < 3; round++) {
		unsigned resets = f->bed.echo->resets;

		frontend_negotiate(fe, USUAL_FEATURES, USUAL_PROTOCOL | PROTOCOL(STATUS));
		assert_int_equal(frontend_get_u64(fe, VHOST_USER_GET_STATUS), 0);
		set_status(fe, 11);
		assert_int_equal(frontend_get_u64(fe, VHOST_USER_GET_STATUS), 11);
		assert_int_equal(frontend_share_memory(fe), 0);
		frontend_queue_make(fe, 0, USUAL_FEATURES);
		frontend_queue_start(fe, 0, 0);
		frontend_offer(fe, 0, 3);
		assert_false(frontend_answered(fe, 0, 3));
		set_status(fe, 15);
		assert_int_equal(frontend_get_u64(fe, VHOST_USER_GET_STATUS), 15);
		assert_true(frontend_answered(fe, 0, 3));
		frontend_roundtrip(fe, 0, 4);
		if (round)
			assert_int_equal(frontend_queue_stop(fe, 0), 2);
		assert_int_equal(set_status(fe, 0), 0);
		assert_int_equal(frontend_get_u64(fe, VHOST_USER_GET_STATUS), 0);
		assert_int_equal(f->bed.echo->resets, resets + 1);
	}
}

/*
 * QEMU's order for a disk is FEATURES_OK alone, queues, then the rest. For rng and i2c, version 7.2
 * says nothing after FEATURES_OK, nor 0 when the driver goes, and another driver follows.
 */
static void status_without_driver_ok(void **state)
{
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;
	const uint64_t other = USUAL_FEATURES | FEATURE(VIRTIO_F_INDIRECT_DESC);

	frontend_connect(fe);
	frontend_negotiate(fe, USUAL_FEATURES, USUAL_PROTOCOL | PROTOCOL(STATUS));
	set_status(fe, VIRTIO_CONFIG_S_FEATURES_OK);
	assert_int_equal(frontend_share_memory(fe), 0);
	for (unsigned round = 0; round < 4; round++) {
		const uint64_t features = round < 2 ? USUAL_FEATURES : other;

		assert_int_equal(frontend_ask(fe, VHOST_USER_SET_FEATURES, &features, sizeof(features)), 0);
		assert_true(frontend_get_u64(fe, VHOST_USER_GET_STATUS) & VIRTIO_CONFIG_S_FEATURES_OK);
		frontend_queue_make(fe, 0, features);
		frontend_queue_start(fe, 0, 0);
		frontend_roundtrip(fe, 0, 3);
		frontend_roundtrip(fe, 0, 4);
		assert_int_equal(frontend_queue_stop(fe, 0), 2);
	}
	frontend_queue_start(fe, 0, 2);
	frontend_roundtrip(fe, 0, 5);
	set_status(fe, 15);
	assert_int_equal(frontend_get_u64(fe, VHOST_USER_GET_STATUS), 15);
	frontend_roundtrip(fe, 0, 6);
	assert_int_equal(f->bed.closed, 0);
}

/* Rings that were set up before a reset are nobody's after it. */
static void reset_forgets_queues(void **state)
{
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;
	const uint64_t protocol = USUAL_PROTOCOL | PROTOCOL(STATUS);

	frontend_connect(fe);
	frontend_negotiate(fe, USUAL_FEATURES, protocol);
	set_status(fe, VIRTIO_CONFIG_S_FEATURES_OK);
	assert_int_equal(frontend_share_memory(fe), 0);
	frontend_queue_make(fe, 0, USUAL_FEATURES);
	frontend_queue_start(fe, 0, 0);
	set_status(fe, 15);
	frontend_roundtrip(fe, 0, 1);
	set_status(fe, 0);
	frontend_negotiate(fe, USUAL_FEATURES, protocol);
	set_status(fe, 15);
	frontend_offer(fe, 0, 2);
	assert_false(frontend_answered(fe, 0, 2));
	assert_int_equal(frontend_queue_enable(fe, 0, 1), 0);
	assert_false(frontend_answered(fe, 0, 2));
	frontend_queue_make(fe, 0, USUAL_FEATURES);
	frontend_queue_start(fe, 0, 0);
	frontend_roundtrip(fe, 0, 3);
}

static void reset_device_starts_over(void **state)
{
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;
	const uint64_t features = USUAL_FEATURES;
	unsigned resets;

	frontend_start(fe, features, USUAL_PROTOCOL);
	frontend_roundtrip(fe, 0, 1);
	resets = f->bed.echo->resets;
	assert_int_equal(frontend_ask(fe, VHOST_USER_RESET_DEVICE, NULL, 0), 0);
	assert_int_equal(f->bed.echo->resets, resets + 1);
	assert_int_equal(f->bed.dev.status, 0);
	frontend_offer(fe, 0, 2);
	assert_false(frontend_answered(fe, 0, 2));
	frontend_send(fe, VHOST_USER_SET_FEATURES, &features, sizeof(features));
	frontend_queue_make(fe, 0, features);
	frontend_queue_start(fe, 0, 0);
	frontend_roundtrip(fe, 0, 3);
}

static void reset_owner_stops_queues(void **state)
{
	struct fixture *f = *state;

	frontend_start(&f->fe, USUAL_FEATURES, USUAL_PROTOCOL);
	frontend_roundtrip(&f->fe, 0, 1);
	assert_int_equal(frontend_ask(&f->fe, VHOST_USER_RESET_OWNER, NULL, 0), 0);
	frontend_offer(&f->fe, 0, 2);
	assert_false(frontend_answered(&f->fe, 0, 2));
	assert_false(f->bed.dev.queues[0].running);
}

/* A front end without STATUS mends a device that needs a reset by negotiating anew. */
static void negotiating_anew_mends(void **state)
{
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;
	const uint64_t features = USUAL_FEATURES;

	frontend_start(fe, features, USUAL_PROTOCOL);
	frontend_roundtrip(fe, 0, 1);
	/* A head beyond the table. */
	memset(fe->queues[0].drvq.avail, 0xff, 4 + 2 * BED_QUEUE_SIZE);
	memset((uint8_t *)fe->queues[0].drvq.avail + 2, 2, 1);
	memset((uint8_t *)fe->queues[0].drvq.avail + 3, 0, 1);
	frontend_drain(fe->queues[0].err);
	vio_drvq_notify(&fe->queues[0].drvq);
	bed_settle(&f->bed);
	assert_true(f->bed.dev.status & VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_int_equal(frontend_drain(fe->queues[0].err), 1);
	assert_non_null(strstr(f->bed.line, "queue 0"));

	assert_int_equal(frontend_queue_enable(fe, 0, 0), 0);
	frontend_send(fe, VHOST_USER_SET_FEATURES, &features, sizeof(features));
	frontend_queue_make(fe, 0, features);
	frontend_queue_start(fe, 0, 0);
	frontend_roundtrip(fe, 0, 3);
}

/* User-Mode Linux says that its driver went and came back by beginning the queues at 0. */
static void a_new_driver_finds_a_reset_device(void **state)
{
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;
	const uint64_t features = USUAL_FEATURES;
	unsigned resets;

	frontend_start(fe, features, USUAL_PROTOCOL);
	frontend_roundtrip(fe, 0, 1);
	assert_int_equal(frontend_queue_enable(fe, 0, 0), 0);
	resets = f->bed.echo->resets;
	frontend_send(fe, VHOST_USER_SET_FEATURES, &features, sizeof(features));
	assert_int_equal(f->bed.echo->resets, resets);
	frontend_queue_make(fe, 0, features);
	frontend_queue_start(fe, 0, 0);
	assert_int_equal(f->bed.echo->resets, resets + 1);
	frontend_roundtrip(fe, 0, 2);
}

static bool get_config(struct frontend *fe, uint32_t offset, uint32_t size, uint8_t *bytes)
{
	struct vhost_user_config config = { offset, size, 0, { 0 } };
	const uint32_t length = (uint32_t)offsetof(struct vhost_user_config, payload) + size;

	frontend_send(fe, VHOST_USER_GET_CONFIG, &config, length);
	assert_true(frontend_receive(fe));
	assert_int_equal(fe->header.request, VHOST_USER_GET_CONFIG);
	if (!fe->header.size)
		return false;
	assert_int_equal(fe->header.size, length);
	memcpy(&config, fe->reply, length);
	assert_int_equal(config.offset, offset);
	assert_int_equal(config.size, size);
	memcpy(bytes, config.payload, size);
	return true;
}

static uint64_t set_config(struct frontend *fe, uint32_t offset, uint32_t size, uint32_t flags)
{
	struct vhost_user_config config = { offset, size, flags, { 1, 2, 3, 4, 5, 6, 7, 8 } };

	return frontend_ask(fe, VHOST_USER_SET_CONFIG, &config,
			    (uint32_t)offsetof(struct vhost_user_config, payload) + size);
}

static void config_is_read_and_written(void **state)
{
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;
	uint8_t bytes[256];

	frontend_connect(fe);
	frontend_negotiate(fe, USUAL_FEATURES, USUAL_PROTOCOL);
	for (uint32_t size = 1; size <= BED_CONFIG_BYTES; size++) {
		assert_true(get_config(fe, 0, size, bytes));
		assert_memory_equal(bytes, f->bed.echo->config, size);
	}
	assert_true(get_config(fe, 5, 3, bytes));
	assert_memory_equal(bytes, f->bed.echo->config + 5, 3);
	/* A front end that knows a longer space sees zeros. */
	memset(bytes, 0xff, sizeof(bytes));
	assert_true(get_config(fe, 0, 256, bytes));
	assert_int_equal(bytes[BED_CONFIG_BYTES - 1], 0xaf);
	for (unsigned i = BED_CONFIG_BYTES; i < 256; i++)
		assert_int_equal(bytes[i], 0);

	assert_int_equal(set_config(fe, 4, 3, VHOST_USER_CONFIG_FLAG_WRITABLE), 0);
	assert_int_equal(set_config(fe, 12, 1, VHOST_USER_CONFIG_FLAG_MIGRATION), 0);
	assert_int_equal(f->bed.echo->config[3], 0xa3);
	assert_int_equal(f->bed.echo->config[4], 1);
	assert_int_equal(f->bed.echo->config[6], 3);
	assert_int_equal(f->bed.echo->config[7], 0xa7);
	assert_int_equal(f->bed.echo->config[12], 1);
}

static void config_changes_are_told(void **state)
{
	struct fixture *f = *state;
	struct frontend *fe = &f->fe;
	struct vhost_user_header header;
	int sockets[2];

	frontend_start(fe, USUAL_FEATURES, USUAL_PROTOCOL);
	vio_device_config_changed(&f->bed.dev);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
	assert_int_equal(frontend_ask_fds(fe, VHOST_USER_SET_BACKEND_REQ_FD, NULL, 0, &sockets[1], 1), 0);
	close(sockets[1]);
	for (unsigned i = 0; i < 3; i++) {
		vio_device_config_changed(&f->bed.dev);
		assert_int_equal(recv(sockets[0], &header, sizeof(header), MSG_DONTWAIT), sizeof(header));
		assert_int_equal(header.request, VHOST_USER_BACKEND_CONFIG_CHANGE_MSG);
		assert_int_equal(header.flags, VHOST_USER_FLAGS_VERSION);
		assert_int_equal(header.size, 0);
	}
	frontend_hang_up(fe);
	assert_int_equal(recv(sockets[0], &header, sizeof(header), MSG_DONTWAIT), 0);
	close(sockets[0]);
}

/*
 * What User-Mode Linux up to 6.12 sends, in its order: what it calls pipes, which are
 * socket pairs, a table of two, nothing that stops a ring.
 */
static void user_mode_linux(struct fixture *f, int (*make_pair)(int pair[2]), uint64_t features)
{
	struct frontend *fe = &f->fe;
	struct vhost_user_mem_table table = { .nregions = 1,
					      .regions = { frontend_region(0, FRONTEND_MEMORY_BYTES) } };
	uint64_t protocol = PROTOCOL(REPLY_ACK) | PROTOCOL(BACKEND_REQ) | PROTOCOL(CONFIG);
	struct vhost_user_header header;
	int channel[2], calls[2];
	uint8_t bytes[16];

	frontend_connect(fe);
	frontend_send(fe, VHOST_USER_SET_OWNER, NULL, 0);
	frontend_get_u64(fe, VHOST_USER_GET_FEATURES);
	frontend_get_u64(fe, VHOST_USER_GET_PROTOCOL_FEATURES);
	assert_int_equal(frontend_ask(fe, VHOST_USER_SET_PROTOCOL_FEATURES, &protocol, 8), 0);
	assert_int_equal(make_pair(channel), 0);
	assert_int_equal(frontend_ask_fds(fe, VHOST_USER_SET_BACKEND_REQ_FD, NULL, 0, &channel[1], 1), 0);
	close(channel[1]);
	assert_int_equal(frontend_ask(fe, VHOST_USER_SET_FEATURES, &features, 8), 0);
	assert_true(get_config(fe, 0, 1, bytes));
	assert_true(get_config(fe, 0, 2, bytes));
	assert_int_equal(frontend_ask_fds(fe, VHOST_USER_SET_MEM_TABLE, &table, 72, &fe->memory_fd, 1), 0);
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned queue = 0; queue < 2; queue++) {
			struct frontend_queue *q = &fe->queues[queue];

			assert_int_equal(make_pair(calls), 0);
			if (q->call_write != q->call)
				close(q->call_write);
			close(q->call);
			q->call = calls[0];
			q->call_write = calls[1];
			frontend_queue_make(fe, queue, features);
			assert_int_equal(frontend_queue_call(fe, queue), 0);
			assert_int_equal(frontend_queue_num(fe, queue, BED_QUEUE_SIZE), 0);
			assert_int_equal(frontend_queue_base(fe, queue, 0), 0);
			assert_int_equal(frontend_queue_addr(fe, queue), 0);
		}
		for (unsigned queue = 0; queue < 2; queue++) {
			assert_int_equal(frontend_queue_kick(fe, queue), 0);
			assert_int_equal(frontend_queue_enable(fe, queue, 1), 0);
		}
		frontend_roundtrip(fe, 0, 1);
		frontend_roundtrip(fe, 1, 2);
		vio_device_config_changed(&f->bed.dev);
		assert_int_equal(read(channel[0], &header, sizeof(header)), sizeof(header));
		assert_int_equal(header.request, VHOST_USER_BACKEND_CONFIG_CHANGE_MSG);
		assert_int_equal(header.flags & VHOST_USER_FLAGS_NEED_REPLY, 0);
		for (unsigned queue = 2; queue-- > 0;)
			assert_int_equal(frontend_queue_enable(fe, queue, 0), 0);
		frontend_get_u64(fe, VHOST_USER_GET_FEATURES);
	}
	close(channel[0]);
}

static int make_sockets(int pair[2])
{
	return socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
}

static void user_mode_linux_with_sockets(void **state)
{
	user_mode_linux(*state, make_sockets, USUAL_FEATURES);
}

static void user_mode_linux_with_pipes(void **state)
{
	user_mode_linux(*state, pipe, USUAL_FEATURES);
}

/* The base is 0 there, too, where a packed queue that never ran has its wrap counters set. */
static void user_mode_linux_with_packed_rings(void **state)
{
	user_mode_linux(*state, pipe, USUAL_FEATURES | FEATURE(VIRTIO_F_RING_PACKED));
}

static void connections_follow_each_other(void **state)
{
	struct fixture *f = *state;
	int sockets[2];

	for (unsigned i = 0; i < 5; i++) {
		frontend_start(&f->fe, USUAL_FEATURES, USUAL_PROTOCOL);
		frontend_roundtrip(&f->fe, 0, (uint8_t)i);
		/* One at a time. */
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
		assert_int_equal(vio_vhost_user_start(f->bed.backend, sockets[1]), -VIO_EBUSY);
		assert_int_equal(send(sockets[0], "", 1, MSG_NOSIGNAL), -1);
		close(sockets[0]);
		frontend_hang_up(&f->fe);
		assert_int_equal(f->bed.closed, 1);
		assert_int_equal(f->bed.reason, -VIO_EHANGUP);
		bed_check_idle(&f->bed, frontend_fds(&f->fe));
		f->bed.closed = 0;
	}
}

static void another_starts_from_inside_closed(void **state)
{
	struct fixture *f = *state;
	int sockets[2];

	frontend_start(&f->fe, USUAL_FEATURES, USUAL_PROTOCOL);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
	f->bed.restart_on_close = true;
	f->bed.restart_fd = sockets[1];
	frontend_hang_up(&f->fe);
	assert_int_equal(f->bed.restart_result, 0);
	f->fe.socket = sockets[0];
	f->bed.closed = 0;
	frontend_negotiate(&f->fe, USUAL_FEATURES, USUAL_PROTOCOL);
	assert_int_equal(frontend_share_memory(&f->fe), 0);
	frontend_queue_make(&f->fe, 0, USUAL_FEATURES);
	frontend_queue_start(&f->fe, 0, 0);
	frontend_roundtrip(&f->fe, 0, 1);
}

static void stop_is_silent(void **state)
{
	struct fixture *f = *state;

	frontend_start(&f->fe, USUAL_FEATURES, USUAL_PROTOCOL);
	f->bed.echo->hold = true;
	frontend_offer(&f->fe, 0, 1);
	bed_settle(&f->bed);
	vio_vhost_user_stop(f->bed.backend);
	assert_int_equal(f->bed.closed, 0);
	/* It was drained, and the driver told. */
	assert_true(frontend_answered(&f->fe, 0, 1));
	bed_check_idle(&f->bed, frontend_fds(&f->fe));
	vio_vhost_user_stop(f->bed.backend);
	close(f->fe.socket);
	f->fe.socket = -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_CASE(offers_what_it_has),
		FIXTURE_CASE(serves_one_queue),
		FIXTURE_CASE(serves_with_every_ring_feature),
		FIXTURE_CASE(serves_many_queues),
		FIXTURE_CASE(serves_without_protocol_features),
		FIXTURE_CASE(enable_and_disable),
		FIXTURE_CASE(stops_and_goes_on_at_the_base),
		FIXTURE_CASE(get_base_drains),
		FIXTURE_CASE(call_is_replaced_while_running),
		FIXTURE_CASE(memory_is_replaced_while_running),
		FIXTURE_CASE(slots_come_and_go),
		FIXTURE_CASE(offsets_need_not_be_pages),
		FIXTURE_CASE(status_is_the_drivers),
		FIXTURE_CASE(status_without_driver_ok),
		FIXTURE_CASE(reset_forgets_queues),
		FIXTURE_CASE(reset_device_starts_over),
		FIXTURE_CASE(reset_owner_stops_queues),
		FIXTURE_CASE(negotiating_anew_mends),
		FIXTURE_CASE(a_new_driver_finds_a_reset_device),
		FIXTURE_CASE(config_is_read_and_written),
		FIXTURE_CASE(config_changes_are_told),
		FIXTURE_CASE(user_mode_linux_with_sockets),
		FIXTURE_CASE(user_mode_linux_with_pipes),
		FIXTURE_CASE(user_mode_linux_with_packed_rings),
		FIXTURE_CASE(connections_follow_each_other),
		FIXTURE_CASE(another_starts_from_inside_closed),
		FIXTURE_CASE(stop_is_silent),
	};

	return cmocka_run_group_tests_name("vhost-user", tests, NULL, NULL);
}
