/* SPDX-License-Identifier: BSD-3-Clause */
#include "vfio_user/bed.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* What a server does for a client that means well. */

static const char *capabilities(const struct bed *bed)
{
	const char *text = (const char *)bed->client.reply + sizeof(struct vfio_user_version);

	assert_int_equal(bed->client.reply[bed->client.reply_bytes - 1], 0);
	assert_int_equal(strlen(text) + 1 + sizeof(struct vfio_user_version), bed->client.reply_bytes);
	return text;
}

static void versions_are_agreed_on(void **state)
{
	struct vfio_user_version version = { 0, 7 };
	struct bed *bed = *state;

	bed_connect(bed);
	assert_int_equal(vfio_client_call(&bed->client, VFIO_USER_VERSION, &version, sizeof(version)), 0);
	memcpy(&version, bed->client.reply, sizeof(version));
	assert_int_equal(version.major, 0);
	assert_int_equal(version.minor, 0); /* not more than was proposed, nor than there is */
	assert_non_null(strstr(capabilities(bed), "\"max_msg_fds\":16"));
	assert_null(strstr(capabilities(bed), "write_multiple")); /* that wasn't proposed */
	bed_hang_up(bed);

	bed_connect(bed);
	assert_int_equal(vfio_client_version(&bed->client, BED_JSON), 0);
	assert_non_null(strstr(capabilities(bed), "\"write_multiple\":true"));
	assert_null(strstr(capabilities(bed), "twin_socket")); /* hostile: E24 */
}

static void the_device_is_a_pci_function(void **state)
{
	const struct vfio_user_device_info question = { .argsz = sizeof(question) };
	struct vfio_user_device_info device;
	struct vfio_user_region_info region;
	struct vfio_user_irq_info irq;
	struct bed *bed = *state;

	bed_agree(bed);
	assert_int_equal(
		vfio_client_call(&bed->client, VFIO_USER_DEVICE_GET_INFO, &question, sizeof(question)), 0);
	memcpy(&device, bed->client.reply, sizeof(device));
	assert_int_equal(device.flags, VFIO_USER_DEVICE_PCI | VFIO_USER_DEVICE_RESETS);
	assert_int_equal(device.num_regions, VFIO_USER_REGIONS);
	assert_int_equal(device.num_irqs, VFIO_USER_IRQS);
	for (uint32_t i = 0; i < VFIO_USER_REGIONS; i++) {
		bool there = i == BED_BAR || i == VFIO_USER_REGION_CONFIG;

		region = (struct vfio_user_region_info){ .argsz = 4096, .index = i };
		assert_int_equal(vfio_client_call(&bed->client, VFIO_USER_DEVICE_GET_REGION_INFO, &region,
						  sizeof(region)),
				 0);
		memcpy(&region, bed->client.reply, sizeof(region));
		assert_int_equal(region.argsz, sizeof(region));
		assert_int_equal(region.index, i);
		assert_int_equal(region.size != 0, there);
		assert_int_equal(region.flags, there ? VFIO_USER_REGION_READS | VFIO_USER_REGION_WRITES : 0);
		assert_int_equal(bed->client.fd_count, 0);
	}
	for (uint32_t i = 0; i < VFIO_USER_IRQS; i++) {
		irq = (struct vfio_user_irq_info){ .argsz = sizeof(irq), .index = i };
		assert_int_equal(
			vfio_client_call(&bed->client, VFIO_USER_DEVICE_GET_IRQ_INFO, &irq, sizeof(irq)), 0);
		memcpy(&irq, bed->client.reply, sizeof(irq));
		assert_int_equal(irq.count, i == VFIO_USER_IRQ_INTX   ? 1
					    : i == VFIO_USER_IRQ_MSIX ? TOY_QUEUES + 1
								      : 0);
		assert_int_equal(!!(irq.flags & VFIO_USER_IRQ_EVENTFD), irq.count != 0);
		assert_int_equal(!!(irq.flags & VFIO_USER_IRQ_AUTOMASKED), i == VFIO_USER_IRQ_INTX);
	}
}

static void configuration_is_read_in_one_piece(void **state)
{
	const struct vfio_user_region_access all = { 0, VFIO_USER_REGION_CONFIG, PCI_CONFIG_BYTES };
	const uint8_t *space;
	struct bed *bed = *state;
	uint64_t value;

	bed_agree(bed);
	assert_int_equal(vfio_client_call(&bed->client, VFIO_USER_REGION_READ, &all, sizeof(all)), 0);
	assert_int_equal(bed->client.reply_bytes, sizeof(all) + PCI_CONFIG_BYTES);
	space = bed->client.reply + sizeof(all);
	assert_int_equal(space[PCI_VENDOR_ID] | space[PCI_VENDOR_ID + 1] << 8, VIRTIO_PCI_VENDOR_ID);
	assert_int_equal(space[PCI_DEVICE_ID] | space[PCI_DEVICE_ID + 1] << 8,
			 VIRTIO_PCI_DEVICE_ID_MODERN + bed->dev.id);
	/* A BAR answers wherever it is: the client knows which it means. */
	assert_int_equal(bed_get(bed, VIRTIO_PCI_COMMON_NUMQ, 2), TOY_QUEUES);
	assert_int_equal(vfio_client_write(&bed->client, VFIO_USER_REGION_CONFIG, PCI_BAR + 4 * BED_BAR, 4,
					   UINT32_MAX),
			 0);
	assert_int_equal(
		vfio_client_read(&bed->client, VFIO_USER_REGION_CONFIG, PCI_BAR + 4 * BED_BAR, 4, &value), 0);
	assert_int_not_equal(value & ~PCI_BAR_MEMORY_MASK, 0);
	assert_int_equal(bed_get(bed, VIRTIO_PCI_COMMON_NUMQ, 2), TOY_QUEUES);
}

static void requests_are_served(void **state)
{
	struct bed *bed = *state;

	bed_run(bed);
	for (uint32_t i = 1; i < 300; i++) {
		bed_offer(bed, 0, i);
		bed_kick(bed, 0);
		assert_int_equal(bed_answer(bed, 0), i + 1);
		assert_int_equal(bed_raised(bed->events[1]), 1);
	}
	assert_int_equal(bed_raised(bed->events[0]), 0);
	assert_int_equal(bed_raised(bed->events[2]), 0);
}

static void the_line_masks_itself(void **state)
{
	struct bed *bed = *state;

	bed_agree(bed);
	vfio_client_map(&bed->client, BED_MEMORY, BED_MEMORY_BYTES, 0, bed->memory_fd);
	bed_assign(bed, VFIO_USER_IRQ_INTX);
	bed_driver_start(bed, 0);
	for (uint32_t i = 1; i < 4; i++) {
		bed_offer(bed, 0, i);
		bed_kick(bed, 0);
	}
	assert_int_equal(bed_answer(bed, 0), 4);
	assert_int_equal(bed_raised(bed->line_event), 1);
	/* Still high: once more, at once. */
	assert_int_equal(bed_act(bed, VFIO_USER_IRQ_SET_UNMASK, VFIO_USER_IRQ_INTX, 0), 0);
	assert_int_equal(bed_raised(bed->line_event), 1);
	assert_int_equal(bed_get(bed, 0x1000, 1), VIRTIO_PCI_ISR_QUEUE); /* takes it down */
	assert_int_equal(bed_act(bed, VFIO_USER_IRQ_SET_UNMASK, VFIO_USER_IRQ_INTX, 0), 0);
	assert_int_equal(bed_raised(bed->line_event), 0);
	/* Masked by the client. */
	assert_int_equal(bed_act(bed, VFIO_USER_IRQ_SET_MASK, VFIO_USER_IRQ_INTX, 0), 0);
	bed_offer(bed, 0, 9);
	bed_kick(bed, 0);
	assert_int_equal(bed_raised(bed->line_event), 0);
	/* A new eventfd hears of what is pending. */
	bed_assign(bed, VFIO_USER_IRQ_INTX);
	assert_int_equal(bed_raised(bed->line_event), 1);
	/* What a client raises itself comes whatever the line does. */
	assert_int_equal(bed_act(bed, VFIO_USER_IRQ_SET_TRIGGER, VFIO_USER_IRQ_INTX, 0), 0);
	assert_int_equal(bed_raised(bed->line_event), 1);
}

static void vectors_wait_until_they_may(void **state)
{
	const struct {
		struct vfio_user_irq_set set;
		uint8_t chosen[BED_VECTORS];
	} some = { { sizeof(some.set) + BED_VECTORS, VFIO_USER_IRQ_SET_BOOL | VFIO_USER_IRQ_SET_TRIGGER,
		     VFIO_USER_IRQ_MSIX, 0, BED_VECTORS },
		   { 1, 0, 1 } };
	struct bed *bed = *state;

	bed_run(bed);
	assert_int_equal(bed_act(bed, VFIO_USER_IRQ_SET_MASK, VFIO_USER_IRQ_MSIX, 1), 0);
	bed_offer(bed, 0, 1);
	bed_kick(bed, 0);
	bed_offer(bed, 0, 2);
	bed_kick(bed, 0);
	assert_int_equal(bed_raised(bed->events[1]), 0);
	assert_int_equal(bed_act(bed, VFIO_USER_IRQ_SET_UNMASK, VFIO_USER_IRQ_MSIX, 1), 0);
	assert_int_equal(bed_raised(bed->events[1]), 1);
	/* Taken away: all, and one. What would have been raised meanwhile is, later. */
	assert_int_equal(vfio_client_irqs(&bed->client, VFIO_USER_IRQ_SET_NONE | VFIO_USER_IRQ_SET_TRIGGER,
					  VFIO_USER_IRQ_MSIX, 0, 0, NULL, 0),
			 0);
	bed_offer(bed, 0, 3);
	bed_kick(bed, 0);
	bed_assign(bed, VFIO_USER_IRQ_MSIX);
	assert_int_equal(bed_raised(bed->events[1]), 1);
	assert_int_equal(vfio_client_irqs(&bed->client, BED_SET_EVENTFD, VFIO_USER_IRQ_MSIX, 1, 1, NULL, 0),
			 0);
	bed_offer(bed, 0, 4);
	bed_kick(bed, 0);
	assert_int_equal(bed_raised(bed->events[1]), 0);
	/* By the client, those that it chooses. */
	bed_assign(bed, VFIO_USER_IRQ_MSIX);
	bed_raised(bed->events[1]);
	assert_int_equal(vfio_client_call(&bed->client, VFIO_USER_DEVICE_SET_IRQS, &some,
					  sizeof(some.set) + BED_VECTORS),
			 0);
	assert_int_equal(bed_raised(bed->events[0]), 1);
	assert_int_equal(bed_raised(bed->events[1]), 0);
	assert_int_equal(bed_raised(bed->events[2]), 1);
}

static void kicks_come_by_eventfd(void **state)
{
	struct vfio_user_io_fds fds = { .argsz = sizeof(fds), .index = BED_BAR };
	const uint64_t one = 1;
	struct vfio_user_io_fd place;
	struct bed *bed = *state;

	bed_run(bed);
	assert_int_equal(
		vfio_client_call(&bed->client, VFIO_USER_DEVICE_GET_REGION_IO_FDS, &fds, sizeof(fds)), 0);
	/* There wasn't room: how much it takes, and no descriptors. */
	memcpy(&fds, bed->client.reply, sizeof(fds));
	assert_int_equal(bed->client.fd_count, 0);
	assert_int_equal(fds.argsz, sizeof(fds) + TOY_QUEUES * sizeof(place));
	fds.count = 0;
	assert_int_equal(
		vfio_client_call(&bed->client, VFIO_USER_DEVICE_GET_REGION_IO_FDS, &fds, sizeof(fds)), 0);
	assert_int_equal(bed->client.fd_count, TOY_QUEUES);
	assert_int_equal(bed->client.reply_bytes, fds.argsz);
	for (unsigned i = 0; i < TOY_QUEUES; i++) {
		memcpy(&place, bed->client.reply + sizeof(fds) + i * sizeof(place), sizeof(place));
		assert_int_equal(place.offset, bed->notify + 4 * i);
		assert_int_equal(place.size, 2);
		assert_int_equal(place.fd_index, i);
		assert_int_equal(place.type, VFIO_USER_IO_FD_IOEVENTFD);
	}
	bed_offer(bed, 0, 7);
	assert_int_equal(write(bed->client.fds[1], &one, sizeof(one)), sizeof(one)); /* doesn't run */
	bed_settle(bed);
	assert_int_equal(bed_answer(bed, 0), 0);
	assert_int_equal(write(bed->client.fds[0], &one, sizeof(one)), sizeof(one));
	bed_settle(bed);
	assert_int_equal(bed_answer(bed, 0), 8);
	fds = (struct vfio_user_io_fds){ .argsz = 4096, .index = VFIO_USER_REGION_CONFIG };
	assert_int_equal(
		vfio_client_call(&bed->client, VFIO_USER_DEVICE_GET_REGION_IO_FDS, &fds, sizeof(fds)), 0);
	memcpy(&fds, bed->client.reply, sizeof(fds));
	assert_int_equal(fds.count, 0);
	assert_int_equal(bed->client.fd_count, 0);
}

static void a_client_gets_as_many_descriptors_as_it_takes(void **state)
{
	struct vfio_user_io_fds fds = { .argsz = 4096, .index = BED_BAR };
	struct bed *bed = *state;

	bed_connect(bed);
	assert_int_equal(vfio_client_version(&bed->client, NULL), 0); /* that is one */
	assert_int_equal(
		vfio_client_call(&bed->client, VFIO_USER_DEVICE_GET_REGION_IO_FDS, &fds, sizeof(fds)), 0);
	memcpy(&fds, bed->client.reply, sizeof(fds));
	assert_int_equal(fds.count, 1);
	assert_int_equal(bed->client.fd_count, 1);
}

static void writes_come_together(void **state)
{
	struct {
		uint64_t count;
		struct vfio_user_region_write writes[3];
	} multi = { 3, { { 0 } } };
	struct bed *bed = *state;
	uint64_t done;

	bed_run(bed);
	bed_offer(bed, 0, 7);
	multi.writes[0] = (struct vfio_user_region_write){ VIRTIO_PCI_COMMON_Q_SELECT, BED_BAR, 2, { 2 } };
	multi.writes[1] =
		(struct vfio_user_region_write){ PCI_INTERRUPT_LINE, VFIO_USER_REGION_CONFIG, 1, { 11 } };
	multi.writes[2] = (struct vfio_user_region_write){ bed->notify, BED_BAR, 2, { 0 } };
	assert_int_equal(vfio_client_call(&bed->client, VFIO_USER_REGION_WRITE_MULTI, &multi, sizeof(multi)),
			 0);
	memcpy(&done, bed->client.reply, sizeof(done));
	assert_int_equal(done, 3);
	assert_int_equal(bed_get(bed, VIRTIO_PCI_COMMON_Q_SELECT, 2), 2);
	assert_int_equal(bed_answer(bed, 0), 8);
}

/* hostile: E18 */
static void a_reset_leaves_the_eventfds(void **state)
{
	struct bed *bed = *state;

	bed_run(bed);
	bed->toy->hold = true;
	bed_offer(bed, 0, 1);
	bed_kick(bed, 0);
	assert_int_equal(bed->toy->held_count, 1);
	assert_int_equal(vfio_client_call(&bed->client, VFIO_USER_DEVICE_RESET, NULL, 0), 0);
	assert_int_equal(bed->toy->held_count, 0);
	assert_int_equal(bed->dev.status, 0);
	bed->toy->hold = false;
	bed_raised(bed->events[1]);
	bed_driver_start(bed, 1);
	bed_offer(bed, 0, 5);
	bed_kick(bed, 0);
	assert_int_equal(bed_answer(bed, 0), 6);
	assert_int_equal(bed_raised(bed->events[1]), 1);
}

/* As QEMU does when firmware opens a window in it: all away, and back in pieces. */
static void memory_may_change_under_a_queue(void **state)
{
	const uint64_t half = BED_MEMORY_BYTES / 2;
	struct bed *bed = *state;

	bed_run(bed);
	bed->toy->hold = true;
	bed_offer(bed, 0, 1);
	bed_kick(bed, 0);
	bed->toy->hold = false;
	/* What is in flight is done before the answer. */
	assert_int_equal(vfio_client_unmap(&bed->client, BED_MEMORY, BED_MEMORY_BYTES), 0);
	assert_int_equal(bed->toy->held_count, 0);
	assert_int_equal(bed_answer(bed, 0), 2);
	assert_int_equal(bed_raised(bed->events[1]), 1);
	bed_offer(bed, 0, 2);
	/* Its rings are there, the request's memory isn't yet. */
	assert_int_equal(vfio_client_map(&bed->client, BED_MEMORY, half, 0, bed->memory_fd), 0);
	assert_int_equal(vfio_client_map(&bed->client, BED_MEMORY + half, half, half, bed->memory_fd), 0);
	bed_kick(bed, 0);
	assert_int_equal(bed_answer(bed, 0), 3);
	/* Nothing more comes from the client: the queue goes on all the same. */
	assert_int_equal(vfio_client_unmap(&bed->client, BED_MEMORY + half, half), 0);
	bed_offer(bed, 0, 3);
	assert_int_equal(vfio_client_map(&bed->client, BED_MEMORY + half, half, half, bed->memory_fd), 0);
	assert_int_equal(bed_answer(bed, 0), 0);
	assert_true(vio_loop_step(bed->loop, 2000) > 0);
	assert_int_equal(bed_answer(bed, 0), 4);
	assert_int_equal(bed->dev.fault_count, 0);
}

/* Lets the time pass after which memory that nobody speaks of seems to stand. */
static void wait_for_the_end_of_rest(struct bed *bed)
{
	assert_true(vio_loop_step(bed->loop, 2000) > 0);
	bed_settle(bed);
}

static void ask_for_eventfds(struct bed *bed, int eventfds[TOY_QUEUES])
{
	struct vfio_user_io_fds fds = { .argsz = 4096, .index = BED_BAR };

	assert_int_equal(
		vfio_client_call(&bed->client, VFIO_USER_DEVICE_GET_REGION_IO_FDS, &fds, sizeof(fds)), 0);
	assert_int_equal(bed->client.fd_count, TOY_QUEUES);
	for (unsigned i = 0; i < TOY_QUEUES; i++)
		eventfds[i] = dup(bed->client.fds[i]); /* the client's go with its next command */
}

/* Another processor of the machine kicks while the first changes memory; or that takes its time. */
static void whatever_comes_while_memory_is_away(void **state)
{
	enum { TIME, A_KICK_OF_IT, A_KICK_OF_ANOTHER, BOTH, COMMAND, CASES };
	struct bed *bed = *state;
	const uint64_t one = 1;
	int eventfds[TOY_QUEUES];

	bed_run(bed);
	ask_for_eventfds(bed, eventfds);
	for (uint32_t comes = 0; comes < CASES; comes++) {
		assert_int_equal(vfio_client_unmap(&bed->client, BED_MEMORY, BED_MEMORY_BYTES), 0);
		bed_offer(bed, 0, comes);
		if (comes == TIME || comes == BOTH)
			wait_for_the_end_of_rest(bed);
		if (comes == A_KICK_OF_IT || comes == BOTH)
			assert_int_equal(write(eventfds[0], &one, sizeof(one)), sizeof(one));
		if (comes == A_KICK_OF_ANOTHER)
			assert_int_equal(write(eventfds[1], &one, sizeof(one)), sizeof(one));
		bed_settle(bed);
		if (comes == COMMAND)
			assert_int_equal(bed_get(bed, VIRTIO_PCI_COMMON_STATUS, 1), TOY_RUNNING);
		assert_int_equal(bed->dev.status, TOY_RUNNING);
		assert_false(bed->dev.queues[0].running);
		/* As it comes back it isn't used at once, and without a further kick it is. */
		assert_int_equal(
			vfio_client_map(&bed->client, BED_MEMORY, BED_MEMORY_BYTES, 0, bed->memory_fd), 0);
		assert_int_equal(bed_answer(bed, 0), 0);
		wait_for_the_end_of_rest(bed);
		assert_int_equal(bed_answer(bed, 0), comes + 1);
		assert_int_equal(bed->dev.status, TOY_RUNNING);
	}
	assert_int_equal(bed->dev.fault_count, 0);
	for (unsigned i = 0; i < TOY_QUEUES; i++)
		close(eventfds[i]);
}

/* hostile: A108 */
static void rings_that_are_gone_are_the_drivers_fault(void **state)
{
	struct bed *bed = *state;

	bed_run(bed);
	assert_int_equal(vfio_client_unmap(&bed->client, BED_MEMORY, BED_MEMORY_BYTES), 0);
	assert_int_equal(bed_get(bed, VIRTIO_PCI_COMMON_STATUS, 1), TOY_RUNNING);
	bed_kick(bed, 0);
	assert_int_equal(bed_get(bed, VIRTIO_PCI_COMMON_STATUS, 1),
			 TOY_RUNNING | VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_int_equal(bed_raised(bed->events[0]), 1);
	assert_int_not_equal(bed->lines, 0);
	assert_int_equal(vfio_client_map(&bed->client, BED_MEMORY, BED_MEMORY_BYTES, 0, bed->memory_fd), 0);
	bed_driver_start(bed, 1);
	bed_offer(bed, 0, 5);
	bed_kick(bed, 0);
	assert_int_equal(bed_answer(bed, 0), 6);
}

static void a_queue_that_was_reset_stays_so(void **state)
{
	struct bed *bed = *state;

	bed_run(bed);
	assert_int_equal(vfio_client_unmap(&bed->client, BED_MEMORY, BED_MEMORY_BYTES), 0);
	bed_set(bed, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	assert_int_equal(vfio_client_map(&bed->client, BED_MEMORY, BED_MEMORY_BYTES, 0, bed->memory_fd), 0);
	assert_int_equal(bed_get(bed, VIRTIO_PCI_COMMON_STATUS, 1), 0);
	assert_false(bed->dev.queues[0].running);
	bed_driver_start(bed, 1);
	bed_offer(bed, 0, 5);
	bed_kick(bed, 0);
	assert_int_equal(bed_answer(bed, 0), 6);
}

static void memory_has_rights(void **state)
{
	const uint64_t half = BED_MEMORY_BYTES / 2;
	struct vfio_user_dma_map map = { sizeof(map), VFIO_USER_DMA_MAP_READ, half, BED_MEMORY + half, half };
	struct bed *bed = *state;

	bed_agree(bed);
	assert_int_equal(vfio_client_map(&bed->client, BED_MEMORY, half, 0, bed->memory_fd), 0);
	assert_int_equal(vfio_client_exchange(&bed->client,
					      &(struct vfio_client_message){ .command = VFIO_USER_DMA_MAP,
									     .payload = &map,
									     .payload_bytes = sizeof(map),
									     .fds = &bed->read_only_fd,
									     .fd_count = 1 }),
			 0);
	bed_driver_start(bed, 1);
	bed_offer(bed, 0, 1);
	bed_kick(bed, 0);
	assert_int_equal(bed->dev.fault_count, 1);
	assert_int_equal(bed_answer(bed, 0), 0);
}

static void commands_needn_t_be_answered(void **state)
{
	struct vfio_user_region_write write = { VIRTIO_PCI_COMMON_Q_SELECT, BED_BAR, 2, { 1 } };
	struct vfio_client_message message = { .command = VFIO_USER_REGION_WRITE,
					       .flags = VFIO_USER_FLAGS_NO_REPLY,
					       .payload = &write,
					       .payload_bytes =
						       offsetof(struct vfio_user_region_write, data) + 2 };
	struct bed *bed = *state;

	bed_agree(bed);
	assert_int_equal(vfio_client_exchange(&bed->client, &message), VFIO_CLIENT_SILENCE);
	assert_int_equal(bed_get(bed, VIRTIO_PCI_COMMON_Q_SELECT, 2), 1);
	write.region = 99; /* what goes wrong isn't answered either */
	assert_int_equal(vfio_client_exchange(&bed->client, &message), VFIO_CLIENT_SILENCE);
	assert_int_equal(bed->lines, 1);
	assert_int_equal(bed_get(bed, VIRTIO_PCI_COMMON_Q_SELECT, 2), 1);
}

/* Many commands before the client looks at the first answer. */
static void commands_are_answered_in_order(void **state)
{
	const struct vfio_user_region_access all = { 0, VFIO_USER_REGION_CONFIG, PCI_CONFIG_BYTES };
	const unsigned count = 3000;
	struct bed *bed = *state;
	uint16_t first;
	int small = 4096;

	bed_agree(bed);
	setsockopt(bed->client.socket, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	first = (uint16_t)(bed->client.id + 1);
	for (unsigned sent = 0, received = 0; received < count;) {
		int result;

		if (sent < count && sent < received + 100) {
			vfio_client_send(&bed->client,
					 &(struct vfio_client_message){ .command = VFIO_USER_REGION_READ,
									.payload = &all,
									.payload_bytes = sizeof(all) });
			sent++;
			continue;
		}
		bed_settle(bed);
		while ((result = vfio_client_receive(&bed->client)) == 0) {
			assert_int_equal(bed->client.header.id, (uint16_t)(first + received));
			received++;
		}
		assert_int_equal(result, VFIO_CLIENT_SILENCE);
	}
}

/* hostile: E21 */
static void one_client_at_a_time(void **state)
{
	struct bed *bed = *state;
	int ends[2];

	bed_run(bed);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	assert_int_equal(vio_vfio_user_start(bed->server, ends[0]), -VIO_EBUSY);
	assert_int_equal(read(ends[1], &(char){ 0 }, 1), 0);
	close(ends[1]);
	bed_offer(bed, 0, 5);
	bed_kick(bed, 0);
	assert_int_equal(bed_answer(bed, 0), 6);
}

static void a_client_that_leaves_leaves_nothing(void **state)
{
	struct vfio_user_io_fds fds = { .argsz = 4096, .index = BED_BAR };
	struct bed *bed = *state;

	for (unsigned i = 0; i < 30; i++) {
		bed_run(bed);
		vfio_client_call(&bed->client, VFIO_USER_DEVICE_GET_REGION_IO_FDS, &fds, sizeof(fds));
		bed->toy->hold = true;
		bed_offer(bed, 0, i);
		bed_kick(bed, 0);
		if (i % 3 == 1)
			vfio_client_unmap(&bed->client, BED_MEMORY, BED_MEMORY_BYTES);
		bed_hang_up(bed);
		bed_check_idle(bed);
		bed->toy->hold = false;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BED_CASE(versions_are_agreed_on),
		BED_CASE(the_device_is_a_pci_function),
		BED_CASE(configuration_is_read_in_one_piece),
		BED_CASE(requests_are_served),
		BED_CASE(the_line_masks_itself),
		BED_CASE(vectors_wait_until_they_may),
		BED_CASE(kicks_come_by_eventfd),
		BED_CASE(a_client_gets_as_many_descriptors_as_it_takes),
		BED_CASE(writes_come_together),
		BED_CASE(a_reset_leaves_the_eventfds),
		BED_CASE(memory_may_change_under_a_queue),
		BED_CASE(whatever_comes_while_memory_is_away),
		BED_CASE(rings_that_are_gone_are_the_drivers_fault),
		BED_CASE(a_queue_that_was_reset_stays_so),

		BED_CASE(memory_has_rights),
		BED_CASE(commands_needn_t_be_answered),
		BED_CASE(commands_are_answered_in_order),
		BED_CASE(one_client_at_a_time),
		BED_CASE(a_client_that_leaves_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
