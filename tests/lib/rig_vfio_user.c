/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/rig.h"

#ifndef RIG_CORE_ONLY

#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vireo/loop.h>
#include <vireo/pci.h>

#include "lib/vfio_client.h"
#include "lib/vfio_far.h"

/*
 * Our PCI driver behind a client of vfio-user: what the driver does to the configuration space and
 * its BAR are messages to the server, whose interrupts are eventfds. As in a monitor, the
 * MSI-X table is the client's: nothing of it reaches the server.
 */
#define VECTORS_MAX  16u
#define ADDRESS      VIO_PCI_ADDRESS(0, 1, 0)
#define MEMORY_START 0xe0000000u
#define MEMORY_END   0xf0000000u

struct vfio_user_state {
	struct vio_loop *loop;
	struct vio_watcher watcher;
	struct vio_vfio_user *server;
	struct vfio_client client;
	struct vio_pci_driver driver;
	uint64_t bar, bar_bytes; /* where the driver put the memory BAR */
	uint64_t table, table_bytes;
	unsigned vectors; /* 0: the line */
	int events[VECTORS_MAX];
	bool gone;
	unsigned turns; /* of one that moves */
	/* Memory that came without a descriptor. */
	struct vfio_far far;
	bool distant, mixed;
};

static bool work(struct vfio_user_state *state)
{
	return vio_loop_step(state->loop, 0) > 0;
}

static void settle(void *context)
{
	while (work(context))
		continue;
}

static void waiting(void *context)
{
	struct vfio_user_state *state = context;

	if (state->distant && state->far.client)
		vfio_far_serve(&state->far, settle, state);
	else
		settle(state);
}

static void closed(void *context, int reason)
{
	((struct vfio_user_state *)context)->gone = true;
}

static const struct vio_vfio_user_events events = { .closed = closed };

static uint32_t all_ones(unsigned width)
{
	return width == 1 ? UINT8_MAX : width == 2 ? UINT16_MAX : UINT32_MAX;
}

static uint32_t read_as(struct vfio_user_state *state, uint32_t region, uint64_t offset, unsigned width)
{
	uint64_t value;

	if (state->gone || vfio_client_read(&state->client, region, offset, width, &value))
		return all_ones(width);
	return (uint32_t)value;
}

static uint32_t config_read(void *context, uint16_t address, unsigned offset, unsigned width)
{
	return address == ADDRESS ? read_as(context, VFIO_USER_REGION_CONFIG, offset, width)
				  : all_ones(width);
}

static void config_write(void *context, uint16_t address, unsigned offset, unsigned width, uint32_t value)
{
	struct vfio_user_state *state = context;

	if (state->gone || address != ADDRESS)
		return;
	vfio_client_write(&state->client, VFIO_USER_REGION_CONFIG, offset, width, value);
	state->bar = read_as(state, VFIO_USER_REGION_CONFIG, PCI_BAR + 4 * VIO_PCI_MEMORY_BAR, 4) &
		     ~PCI_BAR_MEMORY_MASK;
}

/* Where the server has it; false: nowhere, or it is the table. */
static bool offset_of(const struct vfio_user_state *state, uint64_t address, uint64_t *offset)
{
	*offset = address - state->bar;
	return !state->gone && address >= state->bar && *offset < state->bar_bytes &&
	       (*offset < state->table || *offset >= state->table + state->table_bytes);
}

static uint32_t memory_read(void *context, uint64_t address, unsigned width)
{
	uint64_t offset;

	return offset_of(context, address, &offset) ? read_as(context, VIO_PCI_MEMORY_BAR, offset, width)
						    : all_ones(width);
}

static void memory_write(void *context, uint64_t address, unsigned width, uint32_t value)
{
	struct vfio_user_state *state = context;
	uint64_t offset;

	if (offset_of(state, address, &offset))
		vfio_client_write(&state->client, VIO_PCI_MEMORY_BAR, offset, width, value);
}

static int vector(void *context, unsigned which, uint64_t *address, uint32_t *data)
{
	*address = 0xfee00000u;
	*data = which;
	return 0;
}

/* All of it; or pieces of 12 KiB, of which every other one comes with a descriptor. */
static void map_distant(struct rig *rig, struct vfio_user_state *state)
{
	const uint64_t piece = state->mixed ? 12288 : TEST_PLATFORM_BYTES, pieces = state->mixed ? 1000 : 1;
	uint64_t i;

	state->far = (struct vfio_far){ .client = &state->client,
					.address = TEST_PLATFORM_BASE,
					.size = TEST_PLATFORM_BYTES,
					.host = rig->platform.arena,
					.brief = state->mixed,
					.shuffled = state->mixed,
					.seed = 1 };
	for (i = 0; i < pieces; i++)
		assert_int_equal(vfio_client_map(&state->client, TEST_PLATFORM_BASE + i * piece, piece,
						 i * piece, i % 2 ? rig->platform.fd : -1),
				 0);
	if (state->mixed)
		assert_int_equal(vfio_client_map(&state->client, TEST_PLATFORM_BASE + pieces * piece,
						 TEST_PLATFORM_BYTES - pieces * piece, 0, -1),
				 0);
}

static void connect_to(struct rig *rig, struct vfio_user_state *state)
{
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	assert_int_equal(vio_vfio_user_start(state->server, ends[0]), 0);
	state->client = (struct vfio_client){ .socket = ends[1], .waiting = waiting, .context = state };
	assert_int_equal(vfio_client_version(&state->client, "{\"capabilities\":{\"max_msg_fds\":16}}"), 0);
	if (state->distant)
		map_distant(rig, state);
	else
		assert_int_equal(vfio_client_map(&state->client, TEST_PLATFORM_BASE, TEST_PLATFORM_BYTES, 0,
						 rig->platform.fd),
				 0);
}

static void assign_interrupts(struct vfio_user_state *state)
{
	unsigned count = state->vectors ? state->vectors : 1;

	assert_int_equal(vfio_client_irqs(&state->client,
					  VFIO_USER_IRQ_SET_EVENTFD | VFIO_USER_IRQ_SET_TRIGGER,
					  state->vectors ? VFIO_USER_IRQ_MSIX : VFIO_USER_IRQ_INTX, 0, count,
					  state->events, count),
			 0);
}

/* What a monitor does before its guest begins. */
static void prepare(struct vfio_user_state *state)
{
	struct vfio_user_region_info region = { .argsz = sizeof(region), .index = VIO_PCI_MEMORY_BAR };
	struct vfio_user_irq_info irq = { .argsz = sizeof(irq), .index = VFIO_USER_IRQ_MSIX };
	struct vfio_client *client = &state->client;
	unsigned count = state->vectors ? state->vectors : 1, i;

	assert_int_equal(vfio_client_call(client, VFIO_USER_DEVICE_GET_REGION_INFO, &region, sizeof(region)),
			 0);
	state->bar_bytes = ((struct vfio_user_region_info *)(void *)client->reply)->size;
	assert_int_equal(vfio_client_call(client, VFIO_USER_DEVICE_GET_IRQ_INFO, &irq, sizeof(irq)), 0);
	assert_in_range(count, 1, ((struct vfio_user_irq_info *)(void *)client->reply)->count);
	for (i = 0; i < count; i++) {
		state->events[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		assert_true(state->events[i] >= 0);
	}
	assign_interrupts(state);
}

static void find_table(struct vfio_user_state *state)
{
	uint32_t at = read_as(state, VFIO_USER_REGION_CONFIG, PCI_CAPABILITIES, 1);

	while (at && read_as(state, VFIO_USER_REGION_CONFIG, at, 1) != PCI_CAP_MSIX)
		at = read_as(state, VFIO_USER_REGION_CONFIG, at + PCI_CAP_NEXT, 1);
	assert_int_not_equal(at, 0);
	state->table = read_as(state, VFIO_USER_REGION_CONFIG, at + PCI_MSIX_TABLE, 4) & ~PCI_MSIX_BAR_MASK;
	state->table_bytes =
		((read_as(state, VFIO_USER_REGION_CONFIG, at + PCI_MSIX_CONTROL, 2) & PCI_MSIX_CONTROL_SIZE) +
		 1) *
		PCI_MSIX_ENTRY_BYTES;
}

static void join_with(struct rig *rig, unsigned vectors)
{
	struct vfio_user_state *state = rig->transport_state;
	const struct vio_pci_access access = {
		.context = state,
		.config_read = config_read,
		.config_write = config_write,
		.memory_read = memory_read,
		.memory_write = memory_write,
	};
	const struct vio_pci_messages messages = { state, vectors, vector };
	struct vio_pci_windows windows = { MEMORY_START, MEMORY_END, 0, 0 };
	int error;

	state->loop = vio_loop_create(VIO_LOOP_NO_URING, &error);
	assert_non_null(state->loop);
	state->watcher = vio_loop_watcher(state->loop);
	state->server = vio_vfio_user_create(&rig->device, &state->watcher, &events, state);
	assert_non_null(state->server);
	state->vectors = vectors;
	connect_to(rig, state);
	prepare(state);
	find_table(state);
	assert_int_equal(
		vio_pci_driver_probe(&state->driver, &access, ADDRESS, &windows, &messages, &rig->dev), 0);
}

static void join(struct rig *rig)
{
	join_with(rig, 2);
}

static void line_join(struct rig *rig)
{
	join_with(rig, 0);
}

static void distant_join(struct rig *rig)
{
	struct vfio_user_state *state = rig->transport_state;

	state->distant = true;
	join_with(rig, 2);
}

static void mixed_join(struct rig *rig)
{
	struct vfio_user_state *state = rig->transport_state;

	state->mixed = true;
	distant_join(rig);
}

/* An interrupt of a line stays masked until the driver has dealt with it. */
static bool interrupts(struct rig *rig, struct vfio_user_state *state)
{
	bool any = false;
	uint64_t count;

	for (unsigned i = 0; i < (state->vectors ? state->vectors : 1); i++) {
		if (read(state->events[i], &count, sizeof(count)) != sizeof(count))
			continue;
		any = true;
		if (state->vectors) {
			vio_pci_driver_interrupt(&rig->dev, i);
			continue;
		}
		vio_dev_interrupt(&rig->dev);
		vfio_client_irqs(&state->client, VFIO_USER_IRQ_SET_NONE | VFIO_USER_IRQ_SET_UNMASK,
				 VFIO_USER_IRQ_INTX, 0, 1, NULL, 0);
	}
	return any;
}

static bool run(struct rig *rig)
{
	struct vfio_user_state *state = rig->transport_state;
	bool done = work(state);

	return interrupts(rig, state) || done;
}

static bool distant_run(struct rig *rig)
{
	struct vfio_user_state *state = rig->transport_state;
	bool took = !state->gone && vfio_far_take(&state->far);
	bool answered = !state->gone && vfio_far_answer(&state->far);

	return run(rig) || took || answered;
}

#define STATE_MAX  65536u
#define STATE_TURN 1000u /* bytes of it in a message */
#define MOVE_TURNS 5u

/*
 * Takes the device away and brings it back: between the two it is reset, and knows what was written to it.
 * The driver has the same memory and the same eventfds all along.
 */
static void move(struct rig *rig, struct vfio_user_state *state)
{
	uint8_t *bytes = malloc(STATE_MAX);
	uint32_t length = 0, got, at;

	assert_non_null(bytes);
	assert_int_equal(vfio_client_go(&state->client, VFIO_USER_STATE_STOP_COPY), 0);
	do {
		assert_true(length <= STATE_MAX - STATE_TURN);
		assert_int_equal(vfio_client_take_state(&state->client, bytes + length, STATE_TURN, &got), 0);
		length += got;
	} while (got == STATE_TURN);
	vio_vfio_user_stop(state->server);
	vfio_client_close(&state->client);
	assert_int_equal(rig->device.status, 0);
	connect_to(rig, state);
	assert_int_equal(vfio_client_go(&state->client, VFIO_USER_STATE_RESUMING), 0);
	for (at = 0; at < length; at += got) {
		got = length - at < STATE_TURN ? length - at : STATE_TURN;
		assert_int_equal(vfio_client_give_state(&state->client, bytes + at, got), 0);
	}
	assign_interrupts(state);
	assert_int_equal(vfio_client_go(&state->client, VFIO_USER_STATE_RUNNING), 0);
	free(bytes);
}

static bool move_and_run(struct rig *rig)
{
	struct vfio_user_state *state = rig->transport_state;

	if (!state->gone && ++state->turns % MOVE_TURNS == 0)
		move(rig, state);
	return run(rig);
}

static void pull_out(struct rig *rig)
{
	struct vfio_user_state *state = rig->transport_state;

	vio_vfio_user_stop(state->server);
	state->gone = true;
}

static void part(struct rig *rig)
{
	struct vfio_user_state *state = rig->transport_state;

	vfio_far_forget(&state->far);
	vfio_client_close(&state->client);
	vio_vfio_user_destroy(state->server);
	vio_loop_destroy(state->loop);
	for (unsigned i = 0; i < (state->vectors ? state->vectors : 1); i++)
		close(state->events[i]);
}

const struct rig_transport rig_vfio_user = {
	.name = "vfio-user",
	.remote = true,
	.platform_flags = TEST_PLATFORM_WHOLE,
	.state_bytes = sizeof(struct vfio_user_state),
	.join = join,
	.run = run,
	.pull_out = pull_out,
	.part = part,
};

const struct rig_transport rig_vfio_user_line = {
	.name = "vfio-user-line",
	.remote = true,
	.platform_flags = TEST_PLATFORM_WHOLE,
	.state_bytes = sizeof(struct vfio_user_state),
	.join = line_join,
	.run = run,
	.pull_out = pull_out,
	.part = part,
};

/* Memory is read and written by messages. */
const struct rig_transport rig_vfio_user_messages = {
	.name = "vfio-user-messages",
	.remote = true,
	.late = true,
	.platform_flags = TEST_PLATFORM_WHOLE,
	.state_bytes = sizeof(struct vfio_user_state),
	.join = distant_join,
	.run = distant_run,
	.pull_out = pull_out,
	.part = part,
};

/* Some of it is, which are answered late and in any order. */
const struct rig_transport rig_vfio_user_mixed = {
	.name = "vfio-user-mixed",
	.remote = true,
	.late = true,
	.platform_flags = TEST_PLATFORM_WHOLE,
	.state_bytes = sizeof(struct vfio_user_state),
	.join = mixed_join,
	.run = distant_run,
	.pull_out = pull_out,
	.part = part,
};

/* The same, and the device is taken elsewhere all the time. */
const struct rig_transport rig_vfio_user_moving = {
	.name = "vfio-user-moving",
	.remote = true,
	.moves = true,
	.platform_flags = TEST_PLATFORM_WHOLE,
	.state_bytes = sizeof(struct vfio_user_state),
	.join = join,
	.run = move_and_run,
	.pull_out = pull_out,
	.part = part,
};

#endif
