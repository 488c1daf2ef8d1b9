/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include "vduse/bed.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/leaks.h"

static unsigned count_maps(void)
{
	return leaks_mappings(BED_MEMORY) + leaks_mappings("vireo-vduse-");
}

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

void bed_make_server(struct bed *bed, uint16_t queues)
{
	static const struct vio_vduse_events events = { .closed = closed, .log = log_line };

	bed->toy = calloc(1, sizeof(*bed->toy));
	assert_non_null(bed->toy);
	vio_device_init(&bed->dev, &toy_class, bed->toy);
	bed->toy->make_queues = queues;
	assert_int_equal(vio_device_realize(&bed->dev), 0);
	bed->storage = malloc(vio_device_storage_bytes(&bed->dev));
	assert_non_null(bed->storage);
	vio_device_provide(&bed->dev, bed->storage);
	bed->server = vio_vduse_create(&bed->dev, &bed->watcher, &events, bed);
	assert_non_null(bed->server);
	bed->server->system = &bed->kernel.system;
}

void bed_free_server(struct bed *bed)
{
	vio_vduse_destroy(bed->server);
	vio_device_unrealize(&bed->dev);
	free(bed->storage);
	free(bed->toy);
}

int bed_make(void **state)
{
	struct bed *bed = calloc(1, sizeof(*bed));
	int error;

	assert_non_null(bed);
	bed->loop = vio_loop_create(VIO_LOOP_NO_URING, &error);
	assert_non_null(bed->loop);
	bed->watcher = vio_loop_watcher(bed->loop);
	fake_kernel_init(&bed->kernel);
	strcpy(bed->folder, "/tmp/vireo-vduse-XXXXXX");
	assert_non_null(mkdtemp(bed->folder));
	snprintf(bed->account, sizeof(bed->account), "%s/account", bed->folder);
	bed->options = (struct vio_vduse_options){ .name = BED_NAME, .account = bed->account };
	bed_make_server(bed, 0);
	bed->memory_fd = memfd_create(BED_MEMORY, MFD_CLOEXEC);
	assert_int_equal(ftruncate(bed->memory_fd, (off_t)BED_BYTES), 0);
	bed->memory = mmap(NULL, BED_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, bed->memory_fd, 0);
	assert_true(bed->memory != MAP_FAILED);
	bed->fds_before = leaks_descriptors();
	bed->maps_before = count_maps();
	*state = bed;
	return 0;
}

void bed_check_idle(struct bed *bed)
{
	assert_true(fake_kernel_closed(&bed->kernel));
	assert_int_equal(leaks_descriptors(), bed->fds_before);
	assert_int_equal(count_maps(), bed->maps_before);
	assert_int_equal(bed->dev.status, 0);
	assert_int_equal(bed->dev.phase, VIO_DEVICE_READY);
}

/* Whatever was done to it: it lets go of all, and another kernel's driver is served. */
int bed_free(void **state)
{
	struct bed *bed = *state;

	bed->toy->hold = false;
	(void)vio_vduse_stop(bed->server);
	fake_kernel_free(&bed->kernel);
	bed_check_idle(bed);
	fake_kernel_init(&bed->kernel);
	unlink(bed->account);
	bed->options = (struct vio_vduse_options){ .name = BED_NAME, .account = bed->account };
	assert_int_equal(ftruncate(bed->memory_fd, (off_t)BED_BYTES), 0);
	bed_run(bed);
	bed_check_serves(bed);
	bed_stop(bed);
	/* Nobody had it in use: nothing is left of it. */
	assert_false(bed->kernel.exists);
	assert_int_equal(access(bed->account, F_OK), -1);
	bed_free_server(bed);
	vio_loop_destroy(bed->loop);
	munmap(bed->memory, BED_BYTES);
	close(bed->memory_fd);
	assert_int_equal(rmdir(bed->folder), 0);
	free(bed);
	return 0;
}

int bed_start(struct bed *bed)
{
	return vio_vduse_start(bed->server, &bed->options, &bed->mistake);
}

void bed_stop(struct bed *bed)
{
	assert_int_equal(vio_vduse_stop(bed->server), bed->kernel.in_use ? -VIO_EBUSY : 0);
	if (!bed->kernel.in_use)
		fake_kernel_reset(&bed->kernel);
}

int bed_ask(struct bed *bed, struct vduse_dev_request *request, struct vduse_dev_response *response)
{
	assert_true(fake_kernel_ask(&bed->kernel, request));
	bed_settle(bed);
	if (!fake_kernel_answer(&bed->kernel, request, response))
		return -1;
	assert_int_equal(response->request_id, request->request_id);
	/* An interrupt that came before the kernel knew of DRIVER_OK comes again. */
	for (unsigned i = 0; i < 5; i++)
		(void)vio_loop_step(bed->loop, 1);
	return (int)response->result;
}

int bed_status(struct bed *bed, uint8_t status)
{
	struct vduse_dev_request request = { .type = VDUSE_SET_STATUS, .s.status = status };
	struct vduse_dev_response response;

	return bed_ask(bed, &request, &response);
}

int bed_update(struct bed *bed, uint64_t start, uint64_t last)
{
	struct vduse_dev_request request = { .type = VDUSE_UPDATE_IOTLB, .iova = { start, last } };
	struct vduse_dev_response response;

	return bed_ask(bed, &request, &response);
}

static void piece(struct bed *bed, uint64_t start, uint64_t bytes, uint64_t offset)
{
	bed->kernel.pieces[bed->kernel.piece_count++] = (struct fake_piece){
		.entry = { .offset = offset,
			   .start = start,
			   .last = start + bytes - 1,
			   .perm = VDUSE_ACCESS_RW },
		.fd = bed->memory_fd,
	};
}

void bed_map(struct bed *bed)
{
	bed->kernel.piece_count = 0;
	piece(bed, BED_DATA, BED_DATA_BYTES, BED_DATA);
	for (unsigned i = 0; i < TOY_QUEUES; i++)
		piece(bed, BED_RINGS + i * 0x10000, BED_RING_BYTES, BED_RING_OFFSET + i * BED_RING_BYTES);
}

void bed_negotiate(struct bed *bed)
{
	assert_int_equal(bed_status(bed, 0), VDUSE_REQ_RESULT_OK);
	assert_int_equal(bed_status(bed, VIRTIO_CONFIG_S_ACKNOWLEDGE), VDUSE_REQ_RESULT_OK);
	assert_int_equal(bed_status(bed, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER),
			 VDUSE_REQ_RESULT_OK);
	bed->kernel.accepted = BED_FEATURES;
	assert_int_equal(bed_status(bed, TOY_NEGOTIATED), VDUSE_REQ_RESULT_OK);
}

void bed_queue(struct bed *bed, uint16_t queue)
{
	const uint64_t ring = BED_RINGS + queue * 0x10000;

	bed->offered[queue] = 0;
	memset(bed->memory + BED_RING_OFFSET + queue * BED_RING_BYTES, 0, BED_RING_BYTES);
	bed->kernel.queues[queue].info = (struct vduse_vq_info){
		.num = TOY_SIZE,
		.desc_addr = ring,
		.driver_addr = ring + 0x1000,
		.device_addr = ring + 0x2000,
		.ready = 1,
	};
}

void bed_run(struct bed *bed)
{
	if (fake_kernel_closed(&bed->kernel))
		assert_int_equal(bed_start(bed), 0);
	bed_map(bed);
	bed_negotiate(bed);
	for (uint16_t i = 0; i < TOY_QUEUES; i++)
		bed_queue(bed, i);
	assert_int_equal(bed_status(bed, TOY_RUNNING), VDUSE_REQ_RESULT_OK);
}

void bed_show(struct bed *bed, uint16_t queue, uint32_t number)
{
	uint8_t *ring = bed->memory + BED_RING_OFFSET + queue * BED_RING_BYTES;
	struct virtq_desc *desc = (void *)ring;
	struct virtq_avail *avail = (void *)(ring + 0x1000);
	/* A pair of descriptors and 8 bytes for each of the four that may be in flight. */
	const uint16_t head = (uint16_t)(2 * (bed->offered[queue] % (TOY_SIZE / 2)));
	const uint64_t at = BED_DATA + 0x100 * queue + 8 * head;
	const vio_le32 request[2] = { vio_le32_make(number), vio_le32_make(0) };

	memcpy(bed->memory + at, request, sizeof(request));
	desc[head] = (struct virtq_desc){ vio_le64_make(at), vio_le32_make(4),
					  vio_le16_make(VIRTQ_DESC_F_NEXT), vio_le16_make(head + 1) };
	desc[head + 1] = (struct virtq_desc){ vio_le64_make(at + 4), vio_le32_make(4),
					      vio_le16_make(VIRTQ_DESC_F_WRITE), vio_le16_make(0) };
	avail->ring[bed->offered[queue]++ % TOY_SIZE] = vio_le16_make(head);
	avail->idx = vio_le16_make(bed->offered[queue]);
}

bool bed_wants_kick(const struct bed *bed, uint16_t queue)
{
	const uint8_t *ring = bed->memory + BED_RING_OFFSET + queue * BED_RING_BYTES;
	const struct virtq_used *used = (const void *)(ring + 0x2000);

	return !(vio_le16_get(used->flags) & VIRTQ_USED_F_NO_NOTIFY);
}

void bed_offer(struct bed *bed, uint16_t queue, uint32_t number)
{
	bed_show(bed, queue, number);
	fake_kernel_kick(&bed->kernel, queue);
	bed_settle(bed);
}

uint32_t bed_answer(const struct bed *bed, uint16_t queue)
{
	const uint8_t *ring = bed->memory + BED_RING_OFFSET + queue * BED_RING_BYTES;
	const struct virtq_used *used = (const void *)(ring + 0x2000);
	const unsigned head = 2u * ((bed->offered[queue] - 1u) % (TOY_SIZE / 2));
	vio_le32 answer;

	memcpy(&answer, bed->memory + BED_DATA + 0x100 * queue + 8 * head + 4, sizeof(answer));
	return vio_le16_get(used->idx) == bed->offered[queue] ? vio_le32_get(answer) : 0;
}

void bed_check_serves(struct bed *bed)
{
	for (uint16_t i = 0; i < TOY_QUEUES; i++) {
		const unsigned before = bed->kernel.queues[i].interrupts;

		bed_offer(bed, i, 41 + i);
		assert_int_equal(bed_answer(bed, i), 42 + i);
		assert_true(bed->kernel.queues[i].interrupts > before);
	}
}
