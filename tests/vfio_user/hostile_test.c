/* SPDX-License-Identifier: BSD-3-Clause */
#include "vfio_user/bed.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vireo/guard.h>

/*
 * A client that means no good. Whatever it sends: an error that says so, or the end of the
 * connection; bed_free() looks for what is left behind, and serves the next client.
 */

static int call_fds(struct bed *bed, uint16_t command, const void *payload, uint32_t bytes, const int *fds,
		    unsigned fd_count)
{
	return vfio_client_exchange(&bed->client, &(struct vfio_client_message){ .command = command,
										 .payload = payload,
										 .payload_bytes = bytes,
										 .fds = fds,
										 .fd_count = fd_count });
}

/* It still serves the one that it knows. */
static void expect_alive(struct bed *bed)
{
	bed_offer(bed, 0, 76);
	bed_kick(bed, 0);
	assert_int_equal(bed_answer(bed, 0), 77);
}

/* hostile: E3 */
static void flags_lie(void **state)
{
	static const uint32_t types[] = { VFIO_USER_FLAGS_REPLY,
					  VFIO_USER_FLAGS_REPLY | VFIO_USER_FLAGS_ERROR, 2, 0xf };
	struct bed *bed = *state;

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(types); i++) {
		struct vfio_user_header header = { 1, VFIO_USER_DEVICE_RESET, sizeof(header), types[i],
						   UINT32_C(1) << 31 };

		bed_agree(bed);
		assert_int_equal(send(bed->client.socket, &header, sizeof(header), 0), sizeof(header));
		bed_expect_dropped(bed);
	}
	/* Of a command neither error nor the flag mean anything. */
	bed_run(bed);
	vfio_client_send(&bed->client, &(struct vfio_client_message){ .command = VFIO_USER_DEVICE_RESET,
								      .flags = VFIO_USER_FLAGS_ERROR });
	bed_settle(bed);
	assert_int_equal(vfio_client_receive(&bed->client), 0);
}

static void sizes_lie(void **state)
{
	static const uint32_t sizes[] = { 1, 15, 70000, UINT32_C(1) << 31, UINT32_MAX };
	struct bed *bed = *state;

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(sizes); i++) {
		bed_agree(bed);
		vfio_client_send(&bed->client,
				 &(struct vfio_client_message){ .command = VFIO_USER_DEVICE_GET_INFO,
								.size = sizes[i] });
		bed_expect_dropped(bed);
	}
}

/* hostile: E23, the server asks nothing of a client: whatever answers is none, short, late or of any id */
static void answers_to_nothing(void **state)
{
	static const uint16_t commands[] = { VFIO_USER_DMA_READ, VFIO_USER_DMA_WRITE };
	static const uint32_t lengths[] = { 0, 8, 16, 4096 };
	struct bed *bed = *state;

	for (unsigned i = 0; i < 2 * VIO_ARRAY_SIZE(lengths); i++) {
		static const uint8_t payload[4096];

		bed_run(bed);
		vfio_client_send(&bed->client,
				 &(struct vfio_client_message){ .command = commands[i % 2],
								.flags = VFIO_USER_FLAGS_REPLY,
								.payload = payload,
								.payload_bytes = lengths[i / 2] });
		bed_expect_dropped(bed);
	}
}

/* A message in pieces of a byte is a message; one that ends early is none. */
static void messages_drip(void **state)
{
	struct vfio_user_device_info info = { .argsz = sizeof(info) };
	uint8_t bytes[sizeof(struct vfio_user_header) + sizeof(info)];
	struct vfio_user_header header = { 7, VFIO_USER_DEVICE_GET_INFO, sizeof(bytes), 0, 0 };
	struct bed *bed = *state;

	memcpy(bytes, &header, sizeof(header));
	memcpy(bytes + sizeof(header), &info, sizeof(info));
	bed_agree(bed);
	for (unsigned i = 0; i < sizeof(bytes); i++) {
		assert_int_equal(vfio_client_receive(&bed->client), VFIO_CLIENT_SILENCE);
		assert_int_equal(send(bed->client.socket, bytes + i, 1, 0), 1);
		bed_settle(bed);
	}
	assert_int_equal(vfio_client_receive(&bed->client), 0);
	for (size_t cut = 1; cut < sizeof(bytes); cut += 5) {
		assert_int_equal(send(bed->client.socket, bytes, cut, 0), cut);
		bed_settle(bed);
		bed_hang_up(bed);
		bed_check_idle(bed);
		bed_agree(bed);
	}
}

/* hostile: E5 */
static void versions_lie(void **state)
{
	static const char *const good[] = {
		"{}",
		"{\"capabilities\":{}}",
		"{\"capabilities\":{\"max_msg_fds\":0}}",
		"{\"capabilities\":{\"max_msg_fds\":1000000}}",
		"{\"unknown\":[1,2],\"capabilities\":{\"migration\":{\"pgsize\":4096}}}",
		"{\"capabilities\":{\"twin_socket\":{\"supported\":true}}}"
	};
	static const char *const bad[] = { "",
					   "{",
					   "[]",
					   "7",
					   "null",
					   "{\"capabilities\":7}",
					   "{\"capabilities\":{\"max_msg_fds\":-1}}",
					   "{\"capabilities\":{\"max_msg_fds\":\"8\"}}",
					   "{\"capabilities\":{\"max_msg_fds\":1.5}}",
					   "{\"capabilities\":{\"max_msg_fds\":99999999999999999999999}}",
					   "{\"capabilities\":{\"max_data_xfer_size\":0}}",
					   "{\"capabilities\":{\"max_data_xfer_size\":null}}",
					   "{\"capabilities\":{}} x",
					   "\xff\xfe" };
	struct bed *bed = *state;

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(good); i++) {
		bed_connect(bed);
		assert_int_equal(vfio_client_version(&bed->client, good[i]), 0);
		bed_hang_up(bed);
	}
	bed_connect(bed);
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(bad); i++)
		assert_int_equal(vfio_client_version(&bed->client, bad[i]), EINVAL);
	/* It may try again. */
	assert_int_equal(vfio_client_version(&bed->client, BED_JSON), 0);
}

/* hostile: E5 */
static void versions_are_too_much(void **state)
{
	const uint32_t deep = 10000, most = 60000;
	struct vfio_user_version version = { 1, 0 };
	struct bed *bed = *state;
	uint8_t *payload = calloc(1, most);

	/* Another major version: nothing more can be said. */
	bed_connect(bed);
	vfio_client_call(&bed->client, VFIO_USER_VERSION, &version, sizeof(version));
	bed_expect_dropped(bed);
	/* Nested, without an end, and as long as it gets. */
	bed_connect(bed);
	memset(payload + sizeof(version), '[', deep);
	assert_int_equal(vfio_client_call(&bed->client, VFIO_USER_VERSION, payload, deep + 10), EINVAL);
	assert_int_equal(vfio_client_call(&bed->client, VFIO_USER_VERSION, payload, deep), EINVAL);
	memset(payload + sizeof(version), ' ', most - sizeof(version) - 1);
	assert_int_equal(vfio_client_call(&bed->client, VFIO_USER_VERSION, payload, most), EINVAL);
	memcpy(payload + most - 3, "{}", 2);
	assert_int_equal(vfio_client_call(&bed->client, VFIO_USER_VERSION, payload, most), 0);
	bed_hang_up(bed);
	bed_connect(bed);
	vfio_client_send(&bed->client, &(struct vfio_client_message){ .command = VFIO_USER_VERSION,
								      .size = 16 + (1 << 20),
								      .payload = payload,
								      .payload_bytes = 100 });
	bed_expect_dropped(bed);
	free(payload);
}

/* hostile: E6 E7 */
static void nothing_comes_before_the_version_and_no_other_after_it(void **state)
{
	struct bed *bed = *state;

	for (uint16_t command = 0; command < 20; command++) {
		if (command == VFIO_USER_VERSION)
			continue;
		bed_connect(bed);
		vfio_client_call(&bed->client, command, NULL, 0);
		bed_expect_dropped(bed);
	}
	bed_run(bed);
	assert_int_equal(vfio_client_version(&bed->client, BED_JSON), EBUSY);
	expect_alive(bed);
}

static void unknown_commands(void **state)
{
	static const uint16_t commands[] = { 0, VFIO_USER_DMA_READ, VFIO_USER_DMA_WRITE, 14, 19, UINT16_MAX };
	struct bed *bed = *state;

	bed_run(bed);
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(commands); i++)
		assert_int_equal(vfio_client_call(&bed->client, commands[i], NULL, 0), EOPNOTSUPP);
	expect_alive(bed);
}

/* hostile: E8, each command with each length from nothing to too much, and room for less than the answer */
static void lengths_lie(void **state)
{
	static const struct {
		uint16_t command;
		uint32_t least;
	} commands[] = {
		{ VFIO_USER_DMA_MAP, 32 },
		{ VFIO_USER_DMA_UNMAP, 24 },
		{ VFIO_USER_DEVICE_GET_INFO, 16 },
		{ VFIO_USER_DEVICE_GET_REGION_INFO, 32 },
		{ VFIO_USER_DEVICE_GET_REGION_IO_FDS, 16 },
		{ VFIO_USER_DEVICE_GET_IRQ_INFO, 16 },
		{ VFIO_USER_DEVICE_SET_IRQS, 20 },
		{ VFIO_USER_REGION_READ, 16 },
		{ VFIO_USER_REGION_WRITE, 16 },
		{ VFIO_USER_REGION_WRITE_MULTI, 8 },
	};
	static const uint32_t argszs[] = { 0, 1, 15 };
	struct bed *bed = *state;
	uint8_t payload[64] = { 0 };

	bed_run(bed);
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(commands); i++)
		for (uint32_t bytes = 0; bytes < commands[i].least; bytes++)
			assert_int_equal(vfio_client_call(&bed->client, commands[i].command, payload, bytes),
					 EINVAL);
	for (unsigned i = 2; i < 7; i++)
		for (unsigned j = 0; j < VIO_ARRAY_SIZE(argszs); j++) {
			memcpy(payload, &argszs[j], sizeof(argszs[j]));
			assert_int_equal(vfio_client_call(&bed->client, commands[i].command, payload,
							  commands[i].least),
					 EINVAL);
		}
	assert_int_equal(vfio_client_call(&bed->client, VFIO_USER_DEVICE_RESET, payload, 1), EINVAL);
	/* Room without end is no reason to fill it. hostile: E16 */
	memset(payload, 0, sizeof(payload));
	memset(payload, 0xff, 4);
	assert_int_equal(vfio_client_call(&bed->client, VFIO_USER_DEVICE_GET_INFO, payload, 16), 0);
	assert_int_equal(bed->client.reply_bytes, 16);
	assert_int_equal(vfio_client_call(&bed->client, VFIO_USER_DEVICE_GET_REGION_INFO, payload, 32), 0);
	assert_int_equal(bed->client.reply_bytes, 32);
	expect_alive(bed);
}

static void descriptors_where_none_belong(void **state)
{
	struct vfio_user_region_access access = { 0, VFIO_USER_REGION_CONFIG, 4 };
	struct bed *bed = *state;
	int fds[64];

	bed_run(bed);
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(fds); i++)
		fds[i] = bed->events[0];
	assert_int_equal(
		call_fds(bed, VFIO_USER_REGION_READ, &access, sizeof(access), fds, VIO_VFIO_USER_FDS_MAX),
		EINVAL);
	assert_int_equal(call_fds(bed, VFIO_USER_DEVICE_RESET, NULL, 0, fds, 1), EINVAL);
	expect_alive(bed);
	/* More than fit. */
	call_fds(bed, VFIO_USER_DEVICE_RESET, NULL, 0, fds, VIO_VFIO_USER_FDS_MAX + 1);
	bed_expect_dropped(bed);
	bed_agree(bed);
	call_fds(bed, VFIO_USER_DEVICE_RESET, NULL, 0, fds, VIO_ARRAY_SIZE(fds));
	bed_expect_dropped(bed);
}

static int map_flags(struct bed *bed, uint32_t flags, uint64_t offset, uint64_t address, uint64_t size,
		     int fd)
{
	const struct vfio_user_dma_map map = { sizeof(map), flags, offset, address, size };

	return call_fds(bed, VFIO_USER_DMA_MAP, &map, sizeof(map), &fd, fd >= 0);
}

static void memory_lies(void **state)
{
	const uint64_t page = 4096, far = BED_MEMORY + 16 * BED_MEMORY_BYTES;
	struct bed *bed = *state;
	int sockets[2];

	bed_run(bed);
	/* Sizes that wrap, or are none. */
	assert_int_equal(map_flags(bed, 3, 0, far, 0, bed->memory_fd), EINVAL);
	assert_int_equal(map_flags(bed, 3, 0, UINT64_MAX - page + 1, 2 * page, bed->memory_fd), EINVAL);
	assert_int_equal(map_flags(bed, 3, 0, far, UINT64_MAX - far + 1, -1), EINVAL);
	/* A file that is shorter than said. */
	assert_int_equal(map_flags(bed, 3, 0, far, BED_MEMORY_BYTES + page, bed->memory_fd), EINVAL);
	assert_int_equal(map_flags(bed, 3, page, far, BED_MEMORY_BYTES, bed->memory_fd), EINVAL);
	assert_int_equal(map_flags(bed, 3, UINT64_MAX - page + 1, far, 2 * page, bed->memory_fd), EINVAL);
	assert_int_equal(map_flags(bed, 3, UINT64_C(1) << 63, far, page, bed->memory_fd), EINVAL);
	/* No file, one that may not be written, flags that mean nothing. */
	assert_int_equal(map_flags(bed, 3, 0, far, page, bed->events[0]), EINVAL);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
	assert_int_equal(map_flags(bed, 3, 0, far, page, sockets[0]), EINVAL);
	close(sockets[0]);
	close(sockets[1]);
	assert_int_equal(map_flags(bed, 3, 0, far, page, bed->read_only_fd), EACCES);
	assert_int_equal(map_flags(bed, 4, 0, far, page, bed->memory_fd), EINVAL);
	assert_int_equal(map_flags(bed, UINT32_MAX, 0, far, page, bed->memory_fd), EINVAL);
	/* Over what is there: with, without a descriptor. */
	assert_int_equal(map_flags(bed, 3, 0, BED_MEMORY, BED_MEMORY_BYTES, bed->memory_fd), EEXIST);
	assert_int_equal(map_flags(bed, 3, 0, BED_MEMORY + page, page, -1), EEXIST);
	assert_int_equal(map_flags(bed, 1, 0, BED_MEMORY + BED_MEMORY_BYTES - 1, 2, -1), EEXIST);
	assert_int_equal(map_flags(bed, 1, 0, BED_MEMORY - 1, 2, -1), EEXIST);
	/* An offset that isn't a page's is none of a page. */
	assert_int_equal(map_flags(bed, 3, 17, far, 100, bed->memory_fd), 0);
	assert_int_equal(vfio_client_unmap(&bed->client, far, 100), 0);
	expect_alive(bed);
}

static void there_is_an_end_to_regions(void **state)
{
	struct bed *bed = *state;
	uint64_t at;

	bed_run(bed);
	for (at = 1; at < VIO_VFIO_USER_REGIONS_MAX; at++)
		assert_int_equal(map_flags(bed, 3, 0, at * 0x1000, 0x1000, at % 2 ? bed->memory_fd : -1), 0);
	assert_int_equal(map_flags(bed, 3, 0, at * 0x1000, 0x1000, bed->memory_fd), ENOSPC);
	expect_alive(bed);
	assert_int_equal(vfio_client_unmap(&bed->client, 0x7000, 0x1000), 0);
	assert_int_equal(map_flags(bed, 3, 0, at * 0x1000, 0x1000, bed->memory_fd), 0);
	expect_alive(bed);
}

/* hostile: E10 */
static void unmapping_lies(void **state)
{
	struct vfio_user_dma_unmap unmap = { sizeof(unmap), 1, BED_MEMORY, BED_MEMORY_BYTES };
	struct bed *bed = *state;

	bed_run(bed);
	assert_int_equal(vfio_client_unmap(&bed->client, BED_MEMORY, BED_MEMORY_BYTES / 2), ENOENT);
	assert_int_equal(vfio_client_unmap(&bed->client, BED_MEMORY + 4096, BED_MEMORY_BYTES - 4096), ENOENT);
	assert_int_equal(vfio_client_unmap(&bed->client, BED_MEMORY, BED_MEMORY_BYTES + 1), ENOENT);
	assert_int_equal(vfio_client_unmap(&bed->client, 0, UINT64_MAX), ENOENT);
	assert_int_equal(vfio_client_unmap(&bed->client, 0, 0), ENOENT);
	/* "Give me a bitmap", "take everything": this version has neither. */
	for (; unmap.flags; unmap.flags <<= 1)
		assert_int_equal(vfio_client_call(&bed->client, VFIO_USER_DMA_UNMAP, &unmap, sizeof(unmap)),
				 EINVAL);
	expect_alive(bed);
	bed->toy->hold = true;
	bed_offer(bed, 0, 1);
	bed_kick(bed, 0);
	bed->toy->hold = false;
	assert_int_equal(vfio_client_unmap(&bed->client, BED_MEMORY, BED_MEMORY_BYTES), 0);
	assert_int_equal(bed_answer(bed, 0), 2); /* before it went */
	assert_int_equal(vfio_client_unmap(&bed->client, BED_MEMORY, BED_MEMORY_BYTES), ENOENT);
}

/* hostile: E11 */
static void accesses_lie(void **state)
{
	static const struct vfio_user_region_access bad[] = {
		{ 0, VFIO_USER_REGION_CONFIG, 0 },
		{ 0, VFIO_USER_REGION_CONFIG, PCI_CONFIG_BYTES + 1 },
		{ PCI_CONFIG_BYTES - 1, VFIO_USER_REGION_CONFIG, 2 },
		{ PCI_CONFIG_BYTES, VFIO_USER_REGION_CONFIG, 1 },
		{ UINT64_MAX, VFIO_USER_REGION_CONFIG, 1 },
		{ UINT64_MAX, VFIO_USER_REGION_CONFIG, 2 },
		{ UINT64_MAX - 3, BED_BAR, 8 },
		{ 0, BED_BAR, UINT32_MAX },
		{ 0, 0, 4 },
		{ 0, 5, 4 },
		{ 0, VFIO_USER_REGION_ROM, 4 },
		{ 0, VFIO_USER_REGION_VGA, 4 },
		{ 0, VFIO_USER_REGIONS, 4 },
		{ 0, UINT32_MAX, 4 },
	};
	struct vfio_user_region_write write = { PCI_INTERRUPT_LINE, VFIO_USER_REGION_CONFIG, 1, { 5 } };
	const uint32_t header = offsetof(struct vfio_user_region_write, data);
	struct bed *bed = *state;
	uint64_t value;

	bed_run(bed);
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(bad); i++) {
		assert_int_equal(
			vfio_client_call(&bed->client, VFIO_USER_REGION_READ, &bad[i], sizeof(bad[i])),
			EINVAL);
		assert_int_equal(
			vfio_client_call(&bed->client, VFIO_USER_REGION_WRITE, &bad[i], sizeof(bad[i])),
			EINVAL);
	}
	/* Less or more than it says. */
	for (uint32_t bytes = 0; bytes <= 8; bytes++)
		assert_int_equal(
			vfio_client_call(&bed->client, VFIO_USER_REGION_WRITE, &write, header + bytes),
			bytes == 1 ? 0 : EINVAL);
	/* Anywhere, of any width: harmless. */
	for (uint64_t at = 0; at < 0x48; at++)
		for (uint32_t count = 1; count <= 8; count++) {
			assert_int_equal(vfio_client_read(&bed->client, BED_BAR, at, count, &value), 0);
			if (at >= VIRTIO_PCI_COMMON_Q_NDATA)
				assert_int_equal(vfio_client_write(&bed->client, BED_BAR, at, count, 0), 0);
		}
	expect_alive(bed);
}

/* hostile: E12 */
static void counts_of_writes_lie(void **state)
{
	static const uint64_t counts[] = { 1, 3, 4, UINT64_MAX, UINT64_C(1) << 61, UINT64_MAX / 24 + 3 };
	struct {
		uint64_t count;
		struct vfio_user_region_write writes[2];
	} multi = { 2,
		    { { VIRTIO_PCI_COMMON_Q_SELECT, BED_BAR, 2, { 2 } },
		      { VIRTIO_PCI_COMMON_Q_SELECT, BED_BAR, 9, { 1 } } } };
	struct bed *bed = *state;

	bed_run(bed);
	/* One of two is bad: neither is made. */
	assert_int_equal(vfio_client_call(&bed->client, VFIO_USER_REGION_WRITE_MULTI, &multi, sizeof(multi)),
			 EINVAL);
	assert_int_equal(bed_get(bed, VIRTIO_PCI_COMMON_Q_SELECT, 2), 0);
	multi.writes[1].count = 2;
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(counts); i++) {
		multi.count = counts[i];
		assert_int_equal(
			vfio_client_call(&bed->client, VFIO_USER_REGION_WRITE_MULTI, &multi, sizeof(multi)),
			EINVAL);
	}
	multi.count = 2;
	assert_int_equal(
		vfio_client_call(&bed->client, VFIO_USER_REGION_WRITE_MULTI, &multi, sizeof(multi) - 1),
		EINVAL);
	expect_alive(bed);
}

/* hostile: E14, to where no BAR can be, off and on again, with a request that waits */
static void bars_move(void **state)
{
	static const uint64_t places[] = { 0, 0xfe000000, UINT32_MAX, UINT64_MAX, UINT64_C(1) << 40 };
	struct bed *bed = *state;

	bed_run(bed);
	bed->toy->hold = true;
	bed_offer(bed, 0, 1);
	bed_kick(bed, 0);
	bed->toy->hold = false;
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(places); i++) {
		assert_int_equal(vfio_client_write(&bed->client, VFIO_USER_REGION_CONFIG,
						   PCI_BAR + 4 * BED_BAR, 8, places[i]),
				 0);
		assert_int_equal(vfio_client_write(&bed->client, VFIO_USER_REGION_CONFIG, PCI_COMMAND, 2,
						   i % 2 ? 0 : 6),
				 0);
	}
	assert_int_equal(bed_get(bed, VIRTIO_PCI_COMMON_STATUS, 1), TOY_RUNNING);
	toy_complete(&bed->dev, &bed->dev.queues[0]);
	expect_alive(bed);
}

static int irqs(struct bed *bed, uint32_t flags, uint32_t index, uint32_t start, uint32_t count)
{
	return vfio_client_irqs(&bed->client, flags, index, start, count, NULL, 0);
}

/* hostile: E15 */
static void interrupts_lie(void **state)
{
	const uint32_t none = VFIO_USER_IRQ_SET_NONE, trigger = VFIO_USER_IRQ_SET_TRIGGER,
		       msix = VFIO_USER_IRQ_MSIX;
	struct bed *bed = *state;

	bed_run(bed);
	/* Ranges. */
	assert_int_equal(irqs(bed, none | trigger, msix, TOY_QUEUES + 1, 1), EINVAL);
	assert_int_equal(irqs(bed, none | trigger, msix, 0, TOY_QUEUES + 2), EINVAL);
	assert_int_equal(irqs(bed, none | trigger, msix, UINT32_MAX, 1), EINVAL);
	assert_int_equal(irqs(bed, none | trigger, msix, 1, UINT32_MAX), EINVAL);
	assert_int_equal(irqs(bed, none | trigger, msix, 1, 0), EINVAL);
	assert_int_equal(irqs(bed, none | trigger, VFIO_USER_IRQ_INTX, 1, 1), EINVAL);
	for (uint32_t index = VFIO_USER_IRQ_ERR; index < VFIO_USER_IRQS; index++) {
		assert_int_equal(irqs(bed, none | trigger, index, 0, 1), EINVAL);
		assert_int_equal(irqs(bed, none | trigger, index, 0, 0), 0);
	}
	assert_int_equal(irqs(bed, none | trigger, VFIO_USER_IRQS, 0, 0), EINVAL);
	assert_int_equal(irqs(bed, none | trigger, UINT32_MAX, 0, 1), EINVAL);
	/* Flags: both, neither, unknown ones. */
	for (uint32_t flags = 0; flags < 0x80; flags++) {
		uint32_t data = flags & VFIO_USER_IRQ_SET_DATA_MASK;
		uint32_t action = flags & VFIO_USER_IRQ_SET_ACTION_MASK;
		bool single = data && !(data & (data - 1)) && action && !(action & (action - 1));

		if (!single || flags >= 0x40)
			assert_int_equal(irqs(bed, flags, msix, 0, 1), EINVAL);
	}
	/* No bytes to choose by; descriptors that mask. */
	assert_int_equal(irqs(bed, VFIO_USER_IRQ_SET_BOOL | trigger, msix, 0, 1), EINVAL);
	assert_int_equal(irqs(bed, VFIO_USER_IRQ_SET_EVENTFD | VFIO_USER_IRQ_SET_MASK, msix, 0, 1),
			 EOPNOTSUPP);
	expect_alive(bed);
	bed_raised(bed->events[1]);
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(bed_act(bed, VFIO_USER_IRQ_SET_UNMASK, msix, 1), 0);
	assert_int_equal(bed_raised(bed->events[1]), 0);
}

/* hostile: E15 */
static void eventfds_lie(void **state)
{
	struct bed *bed = *state;
	int fds[3] = { bed->events[0], bed->memory_fd, bed->events[2] };
	const uint64_t most = UINT64_MAX - 1;
	int event;

	bed_run(bed);
	/* More, or less, than interrupts; one that is none: nothing of it is taken. */
	assert_int_equal(vfio_client_irqs(&bed->client, BED_SET_EVENTFD, VFIO_USER_IRQ_MSIX, 0, 2, fds, 3),
			 EINVAL);
	assert_int_equal(vfio_client_irqs(&bed->client, BED_SET_EVENTFD, VFIO_USER_IRQ_MSIX, 0, 3, fds, 2),
			 EINVAL);
	assert_int_equal(vfio_client_irqs(&bed->client, BED_SET_EVENTFD, VFIO_USER_IRQ_MSIX, 0, 3, fds, 3),
			 EINVAL);
	assert_int_equal(vfio_client_irqs(&bed->client, VFIO_USER_IRQ_SET_NONE | VFIO_USER_IRQ_SET_TRIGGER,
					  VFIO_USER_IRQ_MSIX, 0, 1, fds, 1),
			 EINVAL);
	expect_alive(bed);
	assert_int_equal(bed_raised(bed->events[1]), 1);
	/* A counter that is full, of an eventfd that blocks, holds up nobody. */
	event = eventfd(0, EFD_CLOEXEC);
	assert_int_equal(write(event, &most, sizeof(most)), sizeof(most));
	assert_int_equal(vfio_client_irqs(&bed->client, BED_SET_EVENTFD, VFIO_USER_IRQ_MSIX, 1, 1, &event, 1),
			 0);
	expect_alive(bed);
	close(event);
	expect_alive(bed);
}

/* The file of its memory is cut short after it was mapped. */
static void memory_is_cut_short(void **state)
{
	struct bed *bed = *state;

	assert_int_equal(vio_guard_memory(), 0);
	bed_run(bed);
	bed_offer(bed, 0, 1);
	assert_int_equal(ftruncate(bed->memory_fd, 0), 0);
	vfio_client_send(
		&bed->client,
		&(struct vfio_client_message){
			.command = VFIO_USER_REGION_WRITE,
			.payload = &(struct vfio_user_region_write){ bed->notify, BED_BAR, 2, { 0 } },
			.payload_bytes = 18 });
	bed_settle(bed);
	assert_int_equal(ftruncate(bed->memory_fd, (off_t)BED_MEMORY_BYTES), 0);
	assert_int_equal(bed->closed, 1);
	assert_int_equal(bed->reason, -VIO_EPROTO);
	assert_non_null(strstr(bed->line, "cut its memory short"));
	vfio_client_close(&bed->client);
	bed_check_idle(bed);
	bed->closed = 0;
}

/* Nothing but noise, after the version. */
static void noise(void **state)
{
	struct bed *bed = *state;
	uint64_t seed = 20;
	uint8_t payload[200];

	for (unsigned i = 0; i < 3000; i++) {
		uint32_t bytes = (uint32_t)(test_random(&seed) % sizeof(payload));
		int fds[2] = { bed->memory_fd, bed->events[0] };

		if (bed->client.socket < 0)
			bed_run(bed);
		for (unsigned j = 0; j < sizeof(payload); j++)
			payload[j] = test_random(&seed) % 3 ? 0 : (uint8_t)test_random(&seed);
		memcpy(payload, &(uint32_t){ 64 }, 4);
		vfio_client_send(&bed->client, &(struct vfio_client_message){
						       .command = (uint16_t)(test_random(&seed) % 20),
						       .payload = payload,
						       .payload_bytes = bytes,
						       .fds = fds,
						       .fd_count = (unsigned)(test_random(&seed) % 3) });
		bed_settle(bed);
		if (vfio_client_receive(&bed->client) == VFIO_CLIENT_GONE) {
			vfio_client_close(&bed->client);
			bed->closed = 0;
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BED_CASE(flags_lie),
		BED_CASE(sizes_lie),
		BED_CASE(answers_to_nothing),
		BED_CASE(messages_drip),
		BED_CASE(versions_lie),
		BED_CASE(versions_are_too_much),
		BED_CASE(nothing_comes_before_the_version_and_no_other_after_it),
		BED_CASE(unknown_commands),
		BED_CASE(lengths_lie),
		BED_CASE(descriptors_where_none_belong),
		BED_CASE(memory_lies),
		BED_CASE(there_is_an_end_to_regions),
		BED_CASE(unmapping_lies),
		BED_CASE(accesses_lie),
		BED_CASE(counts_of_writes_lie),
		BED_CASE(bars_move),
		BED_CASE(interrupts_lie),
		BED_CASE(eventfds_lie),
		BED_CASE(memory_is_cut_short),
		BED_CASE(noise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
