/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/rig.h"

#include <vireo/loopback.h>

#define QUEUES_MAX 64u

struct loopback_state {
	struct vio_loopback loopback;
	struct vio_mmio_queue queues[QUEUES_MAX];
	struct vio_pci_queue pci_queues[QUEUES_MAX];
	struct vio_pci_vector vectors[VIO_LOOPBACK_VECTORS];
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
	struct vio_loopback_pci pci = { .kind = kind,
					.vectors = vectors,
					.queues = state->pci_queues,
					.vector_states = state->vectors };

	assert_true(rig->device.queue_count <= QUEUES_MAX);
	assert_int_equal(vio_loopback_pci_probe(&state->loopback, &rig->device, &rig->platform.mem, &pci,
						&rig->dev),
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

const struct rig_transport *const rig_transports[] = {
	&direct, &mmio, &mmio_legacy, &pci, &pci_line, &pci_legacy, &pci_legacy_messages, NULL,
};
