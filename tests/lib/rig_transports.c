/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/rig.h"

#include <sys/socket.h>
#include <unistd.h>

#include <vireo/loop.h>
#include <vireo/loopback.h>
#include <vireo/vhost_user.h>
#include <vireo/vhost_user_frontend.h>

#define QUEUES_MAX 64u
#define CCW_AREA   0x10000000u /* channels reach 31 bits */

struct loopback_state {
	struct vio_loopback loopback;
	struct vio_mmio_queue queues[QUEUES_MAX];
	struct vio_pci_queue pci_queues[QUEUES_MAX];
	struct vio_pci_vector vectors[VIO_LOOPBACK_VECTORS];
	struct vio_ccw_queue ccw_queues[QUEUES_MAX];
	_Alignas(8) uint8_t ccw_area[VIO_CCW_AREA_BYTES];
};

static void direct_join(struct rig *rig)
{
	struct loopback_state *state = rig->transport_state;

	assert_int_equal(
		vio_loopback_direct_probe(&state->loopback, &rig->device, &rig->platform.mem, &rig->dev), 0);
}

static void mmio_join_version(struct rig *rig, uint32_t version)
{
	struct loopback_state *state = rig->transport_state;

	assert_true(rig->device.queue_count <= QUEUES_MAX);
	assert_int_equal(vio_loopback_mmio_probe(&state->loopback, &rig->device, &rig->platform.mem, version,
						 state->queues, &rig->dev),
			 0);
}

static void mmio_join(struct rig *rig)
{
	mmio_join_version(rig, VIRTIO_MMIO_VERSION_MODERN);
}

static void legacy_join(struct rig *rig)
{
	mmio_join_version(rig, VIRTIO_MMIO_VERSION_LEGACY);
}

static void pci_join_as(struct rig *rig, enum vio_pci_kind kind, uint16_t vectors)
{
	struct loopback_state *state = rig->transport_state;
	struct vio_loopback_pci pci = {
		.kind = kind, .vectors = vectors, .queues = state->pci_queues, .vector_states = state->vectors
	};

	assert_true(rig->device.queue_count <= QUEUES_MAX);
	assert_int_equal(
		vio_loopback_pci_probe(&state->loopback, &rig->device, &rig->platform.mem, &pci, &rig->dev),
		0);
}

static void pci_join(struct rig *rig)
{
	pci_join_as(rig, VIO_PCI_MODERN, 3);
}

static void pci_line_join(struct rig *rig)
{
	pci_join_as(rig, VIO_PCI_MODERN, 0);
}

static void pci_legacy_join(struct rig *rig)
{
	pci_join_as(rig, VIO_PCI_LEGACY, 0);
}

static void pci_legacy_messages_join(struct rig *rig)
{
	pci_join_as(rig, VIO_PCI_LEGACY, 2);
}

static void ccw_join_as(struct rig *rig, uint16_t revision_min, uint16_t revision_max, unsigned flags)
{
	struct loopback_state *state = rig->transport_state;
	const struct vio_region area = { vio_addr_make(CCW_AREA), sizeof(state->ccw_area), state->ccw_area,
					 VIO_MEM_READ | VIO_MEM_WRITE };
	const struct vio_loopback_ccw ccw = {
		.revision_min = revision_min,
		.revision_max = revision_max,
		.queues = state->ccw_queues,
		.flags = flags,
		.area = { state->ccw_area, area.base },
	};

	assert_true(rig->device.queue_count <= QUEUES_MAX);
	assert_int_equal(vio_mem_add(&rig->platform.mem, &area), 0);
	assert_int_equal(
		vio_loopback_ccw_probe(&state->loopback, &rig->device, &rig->platform.mem, &ccw, &rig->dev),
		0);
}

static void ccw_join(struct rig *rig)
{
	ccw_join_as(rig, VIRTIO_CCW_REV_MODERN, VIRTIO_CCW_REV_STATUS, VIO_CCW_ADAPTER);
}

static void ccw_classic_join(struct rig *rig)
{
	ccw_join_as(rig, VIRTIO_CCW_REV_LEGACY, VIRTIO_CCW_REV_MODERN, 0);
}

static void ccw_legacy_join(struct rig *rig)
{
	ccw_join_as(rig, VIRTIO_CCW_REV_LEGACY, VIRTIO_CCW_REV_LEGACY, 0);
}

static bool loopback_run(struct rig *rig)
{
	return vio_loopback_run(&((struct loopback_state *)rig->transport_state)->loopback);
}

static void loopback_pull_out(struct rig *rig)
{
	vio_loopback_pull_out(&((struct loopback_state *)rig->transport_state)->loopback);
}

static void loopback_part(struct rig *rig)
{
	vio_loopback_end(&((struct loopback_state *)rig->transport_state)->loopback);
}

static const struct rig_transport direct = {
	.name = "direct",
	.state_bytes = sizeof(struct loopback_state),
	.join = direct_join,
	.run = loopback_run,
	.pull_out = loopback_pull_out,
	.part = loopback_part,
};

static const struct rig_transport mmio = {
	.name = "mmio",
	.state_bytes = sizeof(struct loopback_state),
	.join = mmio_join,
	.run = loopback_run,
	.pull_out = loopback_pull_out,
	.part = loopback_part,
};

static const struct rig_transport mmio_legacy = {
	.name = "mmio-legacy",
	.legacy = true,
	.state_bytes = sizeof(struct loopback_state),
	.join = legacy_join,
	.run = loopback_run,
	.pull_out = loopback_pull_out,
	.part = loopback_part,
};

static const struct rig_transport pci = {
	.name = "pci",
	.state_bytes = sizeof(struct loopback_state),
	.join = pci_join,
	.run = loopback_run,
	.pull_out = loopback_pull_out,
	.part = loopback_part,
};

static const struct rig_transport pci_line = {
	.name = "pci-line",
	.state_bytes = sizeof(struct loopback_state),
	.join = pci_line_join,
	.run = loopback_run,
	.pull_out = loopback_pull_out,
	.part = loopback_part,
};

static const struct rig_transport pci_legacy = {
	.name = "pci-legacy",
	.legacy = true,
	.config_padded = true,
	.state_bytes = sizeof(struct loopback_state),
	.join = pci_legacy_join,
	.run = loopback_run,
	.pull_out = loopback_pull_out,
	.part = loopback_part,
};

static const struct rig_transport pci_legacy_messages = {
	.name = "pci-legacy-messages",
	.legacy = true,
	.config_padded = true,
	.state_bytes = sizeof(struct loopback_state),
	.join = pci_legacy_messages_join,
	.run = loopback_run,
	.pull_out = loopback_pull_out,
	.part = loopback_part,
};

static const struct rig_transport ccw = {
	.name = "ccw",
	.config_whole = true,
	.state_bytes = sizeof(struct loopback_state),
	.join = ccw_join,
	.run = loopback_run,
	.pull_out = loopback_pull_out,
	.part = loopback_part,
};

static const struct rig_transport ccw_classic = {
	.name = "ccw-classic",
	.config_whole = true,
	.status_unread = true,
	.state_bytes = sizeof(struct loopback_state),
	.join = ccw_classic_join,
	.run = loopback_run,
	.pull_out = loopback_pull_out,
	.part = loopback_part,
};

static const struct rig_transport ccw_legacy = {
	.name = "ccw-legacy",
	.config_whole = true,
	.status_unread = true,
	.legacy = true,
	.state_bytes = sizeof(struct loopback_state),
	.join = ccw_legacy_join,
	.run = loopback_run,
	.pull_out = loopback_pull_out,
	.part = loopback_part,
};

#ifndef RIG_CORE_ONLY /* a machine for which only the core was built */

/* Both ends of vhost-user in one thread: the front end lets the back end work whenever it has to wait. */
struct vhost_user_state {
	struct vio_loop *loop;
	struct vio_watcher watcher;
	struct vio_vhost_user *backend;
};

static bool vhost_user_work(struct rig *rig)
{
	return vio_loop_step(((struct vhost_user_state *)rig->transport_state)->loop, 0) > 0;
}

static void vhost_user_waiting(void *context)
{
	while (vhost_user_work(context))
		continue;
}

static void vhost_user_closed(void *context, int reason)
{
}

static const struct vio_vhost_user_events vhost_user_events = { .closed = vhost_user_closed };

static void vhost_user_join_without(struct rig *rig, uint64_t withhold)
{
	struct vhost_user_state *state = rig->transport_state;
	const struct vio_vhost_user_memory memory = {
		.fd = rig->platform.fd,
		.bytes = TEST_PLATFORM_BYTES,
		.addr = vio_addr_make(TEST_PLATFORM_BASE),
	};
	const struct vio_vhost_user_frontend_options options = {
		.id = rig->device.id,
		.queues_unsaid = rig->device.id == VIRTIO_ID_BLOCK ? 1 : 0,
		.withhold = withhold,
		.queue_size = rig->device.queue_size,
		.memory = &memory,
		.waiting = vhost_user_waiting,
		.context = rig,
	};
	int ends[2], error;

	state->loop = vio_loop_create(VIO_LOOP_NO_URING, &error);
	assert_non_null(state->loop);
	state->watcher = vio_loop_watcher(state->loop);
	state->backend = vio_vhost_user_create(&rig->device, &state->watcher, &vhost_user_events, rig);
	assert_non_null(state->backend);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	assert_int_equal(vio_vhost_user_start(state->backend, ends[0]), 0);
	assert_int_equal(vio_vhost_user_frontend_open(ends[1], &options, &rig->dev, NULL), 0);
}

static void vhost_user_join(struct rig *rig)
{
	vhost_user_join_without(rig, 0);
}

/* As with back ends that know nothing of a status, nor answer what they needn't. */
static void vhost_user_plain_join(struct rig *rig)
{
	vhost_user_join_without(rig, UINT64_C(1) << VHOST_USER_PROTOCOL_F_STATUS |
					     UINT64_C(1) << VHOST_USER_PROTOCOL_F_RESET_DEVICE |
					     UINT64_C(1) << VHOST_USER_PROTOCOL_F_REPLY_ACK |
					     UINT64_C(1) << VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS |
					     UINT64_C(1) << VHOST_USER_PROTOCOL_F_MQ);
}

static bool vhost_user_run(struct rig *rig)
{
	bool done = vhost_user_work(rig);

	return vio_dev_interrupt(&rig->dev) || done;
}

static void vhost_user_pull_out(struct rig *rig)
{
	vio_vhost_user_stop(((struct vhost_user_state *)rig->transport_state)->backend);
}

static void vhost_user_part(struct rig *rig)
{
	struct vhost_user_state *state = rig->transport_state;

	vio_vhost_user_destroy(state->backend);
	vio_loop_destroy(state->loop);
}

static const struct rig_transport vhost_user = {
	.name = "vhost-user",
	.remote = true,
	.config_padded = true,
	.platform_flags = TEST_PLATFORM_WHOLE,
	.state_bytes = sizeof(struct vhost_user_state),
	.join = vhost_user_join,
	.run = vhost_user_run,
	.pull_out = vhost_user_pull_out,
	.part = vhost_user_part,
};

static const struct rig_transport vhost_user_plain = {
	.name = "vhost-user-plain",
	.remote = true,
	.config_padded = true,
	.platform_flags = TEST_PLATFORM_WHOLE,
	.state_bytes = sizeof(struct vhost_user_state),
	.join = vhost_user_plain_join,
	.run = vhost_user_run,
	.pull_out = vhost_user_pull_out,
	.part = vhost_user_part,
};

#endif

/* clang-format off */
const struct rig_transport *const rig_transports[] = {
	&direct, &mmio, &mmio_legacy, &pci, &pci_line, &pci_legacy, &pci_legacy_messages,
	&ccw, &ccw_classic, &ccw_legacy,
#ifndef RIG_CORE_ONLY
	&vhost_user, &vhost_user_plain, &rig_vfio_user, &rig_vfio_user_line,
	&rig_vfio_user_moving, &rig_vfio_user_messages, &rig_vfio_user_mixed,
#endif
	NULL,
};
/* clang-format on */
