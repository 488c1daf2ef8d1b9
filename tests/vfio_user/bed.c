/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include "vfio_user/bed.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/leaks.h"

static void closed(void *context, int reason)
{
	struct bed *bed = context;

	bed->closed++;
	bed->reason = reason;
}

static void log_line(void *context, const char *line)
{
	struct bed *bed = context;

	assert_true(line[0] && !strchr(line, '\n'));
	bed->lines++;
	snprintf(bed->line, sizeof(bed->line), "%s", line);
}

void bed_settle(struct bed *bed)
{
	for (unsigned turns = 0; vio_loop_step(bed->loop, 0) > 0; turns++)
		assert_true(turns < 100000);
}

static void waiting(void *context)
{
	bed_settle(context);
}

static void make_server(struct bed *bed)
{
	static const struct vio_vfio_user_events events = { .closed = closed, .log = log_line };
	int error;

	bed->loop = vio_loop_create(VIO_LOOP_NO_URING, &error);
	assert_non_null(bed->loop);
	bed->watcher = vio_loop_watcher(bed->loop);
	bed->toy = calloc(1, sizeof(*bed->toy));
	assert_non_null(bed->toy);
	vio_device_init(&bed->dev, &toy_class, bed->toy);
	assert_int_equal(vio_device_realize(&bed->dev), 0);
	bed->storage = malloc(vio_device_storage_bytes(&bed->dev));
	assert_non_null(bed->storage);
	vio_device_provide(&bed->dev, bed->storage);
	bed->server = vio_vfio_user_create(&bed->dev, &bed->watcher, &events, bed);
	assert_non_null(bed->server);
	bed_spread(bed);
}

int bed_make(void **state)
{
	struct bed *bed = calloc(1, sizeof(*bed));
	char path[64];

	assert_non_null(bed);
	make_server(bed);
	bed->client = (struct vfio_client){ .socket = -1, .waiting = waiting, .context = bed };
	bed->memory_fd = memfd_create(BED_MEMORY_NAME, MFD_CLOEXEC);
	assert_int_equal(ftruncate(bed->memory_fd, (off_t)BED_MEMORY_BYTES), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", bed->memory_fd);
	bed->read_only_fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(bed->read_only_fd >= 0);
	bed->memory = mmap(NULL, BED_MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, bed->memory_fd, 0);
	assert_true(bed->memory != MAP_FAILED);
	for (unsigned i = 0; i < BED_VECTORS; i++)
		bed->events[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	bed->line_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_true(bed->line_event >= 0);
	bed->fds_before = leaks_descriptors();
	bed->maps_before = leaks_mappings(BED_MEMORY_NAME);
	*state = bed;
	return 0;
}

void bed_check_idle(struct bed *bed)
{
	assert_int_equal(leaks_descriptors(), bed->fds_before);
	assert_int_equal(leaks_mappings(BED_MEMORY_NAME), bed->maps_before);
	assert_int_equal(bed->dev.status, 0);
	assert_int_equal(bed->dev.phase, VIO_DEVICE_READY);
}

int bed_free(void **state)
{
	struct bed *bed = *state;

	if (bed->client.socket >= 0)
		bed_hang_up(bed);
	bed_check_idle(bed);
	bed->toy->hold = false;
	bed->closed = 0;
	bed_run(bed);
	bed_offer(bed, 0, 41);
	bed_kick(bed, 0);
	assert_int_equal(bed_answer(bed, 0), 42);
	assert_int_equal(bed->closed, 0);
	bed_hang_up(bed);
	bed_check_idle(bed);
	vio_vfio_user_destroy(bed->server);
	bed_gather();
	vio_device_unrealize(&bed->dev);
	vio_loop_destroy(bed->loop);
	free(bed->storage);
	free(bed->toy);
	munmap(bed->memory, BED_MEMORY_BYTES);
	close(bed->memory_fd);
	close(bed->read_only_fd);
	for (unsigned i = 0; i < BED_VECTORS; i++)
		close(bed->events[i]);
	close(bed->line_event);
	free(bed);
	return 0;
}

void bed_connect(struct bed *bed)
{
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	assert_int_equal(vio_vfio_user_start(bed->server, ends[0]), 0);
	bed->client.socket = ends[1];
}

void bed_hang_up(struct bed *bed)
{
	vfio_client_close(&bed->client);
	bed_settle(bed);
	assert_int_equal(bed->closed, 1);
	assert_int_equal(bed->reason, -VIO_EHANGUP);
	bed->closed = 0;
}

void bed_expect_dropped(struct bed *bed)
{
	bed_settle(bed);
	assert_int_equal(bed->closed, 1);
	assert_int_equal(bed->reason, -VIO_EPROTO);
	assert_int_not_equal(bed->lines, 0);
	assert_int_equal(vfio_client_receive(&bed->client), VFIO_CLIENT_GONE);
	vfio_client_close(&bed->client);
	bed_check_idle(bed);
	bed->closed = 0;
}

static void find_notify(struct bed *bed)
{
	uint64_t at, kind, value;

	assert_int_equal(vfio_client_read(&bed->client, VFIO_USER_REGION_CONFIG, PCI_CAPABILITIES, 1, &at),
			 0);
	for (;;) {
		assert_int_not_equal(at, 0);
		assert_int_equal(vfio_client_read(&bed->client, VFIO_USER_REGION_CONFIG,
						  at + VIRTIO_PCI_CAP_CFG_TYPE, 1, &kind),
				 0);
		assert_int_equal(vfio_client_read(&bed->client, VFIO_USER_REGION_CONFIG, at, 1, &value), 0);
		if (value == PCI_CAP_VENDOR && kind == VIRTIO_PCI_CAP_NOTIFY_CFG)
			break;
		assert_int_equal(
			vfio_client_read(&bed->client, VFIO_USER_REGION_CONFIG, at + PCI_CAP_NEXT, 1, &at),
			0);
	}
	assert_int_equal(vfio_client_read(&bed->client, VFIO_USER_REGION_CONFIG, at + VIRTIO_PCI_CAP_OFFSET,
					  4, &value),
			 0);
	bed->notify = (uint32_t)value;
}

void bed_agree(struct bed *bed)
{
	bed_connect(bed);
	assert_int_equal(vfio_client_version(&bed->client, BED_JSON), 0);
	find_notify(bed);
}

void bed_run(struct bed *bed)
{
	bed_agree(bed);
	assert_int_equal(vfio_client_map(&bed->client, BED_MEMORY, BED_MEMORY_BYTES, 0, bed->memory_fd), 0);
	bed_assign(bed, VFIO_USER_IRQ_MSIX);
	bed_driver_start(bed, 1);
}

void bed_set(struct bed *bed, uint32_t offset, uint32_t width, uint64_t value)
{
	assert_int_equal(vfio_client_write(&bed->client, BED_BAR, offset, width, value), 0);
}

uint64_t bed_get(struct bed *bed, uint32_t offset, uint32_t width)
{
	uint64_t value;

	assert_int_equal(vfio_client_read(&bed->client, BED_BAR, offset, width, &value), 0);
	return value;
}

static void enable_messages(struct bed *bed)
{
	uint64_t at, id, control;

	assert_int_equal(vfio_client_read(&bed->client, VFIO_USER_REGION_CONFIG, PCI_CAPABILITIES, 1, &at),
			 0);
	for (;;) {
		assert_int_equal(vfio_client_read(&bed->client, VFIO_USER_REGION_CONFIG, at, 1, &id), 0);
		if (id == PCI_CAP_MSIX)
			break;
		assert_int_equal(
			vfio_client_read(&bed->client, VFIO_USER_REGION_CONFIG, at + PCI_CAP_NEXT, 1, &at),
			0);
	}
	assert_int_equal(
		vfio_client_read(&bed->client, VFIO_USER_REGION_CONFIG, at + PCI_MSIX_CONTROL, 2, &control),
		0);
	assert_int_equal(vfio_client_write(&bed->client, VFIO_USER_REGION_CONFIG, at + PCI_MSIX_CONTROL, 2,
					   control | PCI_MSIX_CONTROL_ENABLE),
			 0);
}

void bed_driver_start(struct bed *bed, unsigned messages)
{
	const uint64_t ring = BED_MEMORY + BED_RINGS;

	memset(bed->memory, 0, TOY_QUEUES * BED_RING_BYTES);
	memset(bed->offered, 0, sizeof(bed->offered));
	assert_int_equal(vfio_client_write(&bed->client, VFIO_USER_REGION_CONFIG, PCI_COMMAND, 2,
					   PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER),
			 0);
	bed_set(bed, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	if (messages)
		enable_messages(bed);
	bed_set(bed, VIRTIO_PCI_COMMON_STATUS, 1, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	bed_set(bed, VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
	bed_set(bed, VIRTIO_PCI_COMMON_GF, 4, UINT64_C(1) << (VIRTIO_F_VERSION_1 - 32));
	bed_set(bed, VIRTIO_PCI_COMMON_STATUS, 1, TOY_NEGOTIATED);
	assert_int_equal(bed_get(bed, VIRTIO_PCI_COMMON_STATUS, 1), TOY_NEGOTIATED);
	bed_set(bed, VIRTIO_PCI_COMMON_MSIX, 2, 0);
	bed_set(bed, VIRTIO_PCI_COMMON_Q_SELECT, 2, 0);
	bed_set(bed, VIRTIO_PCI_COMMON_Q_DESCLO, 8, ring);
	bed_set(bed, VIRTIO_PCI_COMMON_Q_AVAILLO, 8, ring + 0x1000);
	bed_set(bed, VIRTIO_PCI_COMMON_Q_USEDLO, 8, ring + 0x2000);
	if (messages)
		bed_set(bed, VIRTIO_PCI_COMMON_Q_MSIX, 2, 1);
	bed_set(bed, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	bed_set(bed, VIRTIO_PCI_COMMON_STATUS, 1, TOY_RUNNING);
	assert_int_equal(bed_get(bed, VIRTIO_PCI_COMMON_STATUS, 1), TOY_RUNNING);
}

void bed_offer(struct bed *bed, uint16_t queue, uint32_t number)
{
	uint8_t *ring = bed->memory + BED_RINGS + queue * BED_RING_BYTES;
	struct virtq_desc *desc = (void *)ring;
	struct virtq_avail *avail = (void *)(ring + 0x1000);
	uint64_t at = BED_DATA + 16 * queue;
	vio_le32 request[2] = { vio_le32_make(number), vio_le32_make(0) };

	memcpy(bed->memory + at, request, sizeof(request));
	desc[0] = (struct virtq_desc){ vio_le64_make(BED_MEMORY + at), vio_le32_make(4),
				       vio_le16_make(VIRTQ_DESC_F_NEXT), vio_le16_make(1) };
	desc[1] = (struct virtq_desc){ vio_le64_make(BED_MEMORY + at + 4), vio_le32_make(4),
				       vio_le16_make(VIRTQ_DESC_F_WRITE), vio_le16_make(0) };
	avail->ring[bed->offered[queue]++ % TOY_SIZE] = vio_le16_make(0);
	avail->idx = vio_le16_make(bed->offered[queue]);
}

void bed_kick(struct bed *bed, uint16_t queue)
{
	bed_set(bed, bed->notify + 4u * queue, 2, queue);
}

uint32_t bed_answer(const struct bed *bed, uint16_t queue)
{
	const uint8_t *ring = bed->memory + BED_RINGS + queue * BED_RING_BYTES;
	const struct virtq_used *used = (const void *)(ring + 0x2000);
	vio_le32 answer;

	memcpy(&answer, bed->memory + BED_DATA + 16 * queue + 4, sizeof(answer));
	return vio_le16_get(used->idx) == bed->offered[queue] ? vio_le32_get(answer) : 0;
}

unsigned bed_raised(int fd)
{
	uint64_t count;

	return read(fd, &count, sizeof(count)) == sizeof(count) ? (unsigned)count : 0;
}

void bed_assign(struct bed *bed, uint32_t index)
{
	bool line = index == VFIO_USER_IRQ_INTX;

	assert_int_equal(vfio_client_irqs(&bed->client, BED_SET_EVENTFD, index, 0, line ? 1 : BED_VECTORS,
					  line ? &bed->line_event : bed->events, line ? 1 : BED_VECTORS),
			 0);
}

int bed_act(struct bed *bed, uint32_t action, uint32_t index, uint32_t number)
{
	return vfio_client_irqs(&bed->client, VFIO_USER_IRQ_SET_NONE | action, index, number, 1, NULL, 0);
}
