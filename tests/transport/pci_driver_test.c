/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <vireo/device.h>
#include <vireo/devices/adder.h>
#include <vireo/driver.h>
#include <vireo/pci.h>

#include "lib/adder_driver.h"
#include "lib/platform.h"

/*
 * The driver's half of PCI, watched by the register model: whatever the model ignores or refuses was a
 * mistake of the driver. And the same with a configuration space and registers that lie.
 */
#define SLOT    VIO_PCI_ADDRESS(0, 3, 0)
#define VECTORS 4u
#define MEMORY  0xe0000000u
#define NOWHERE UINT64_MAX

struct wire {
	struct test_platform platform;
	struct vio_device device;
	void *state, *storage;
	struct vio_pci_device model;
	struct vio_pci_queue queues[4];
	struct vio_pci_vector vectors[VECTORS];
	struct vio_pci_driver pci;
	struct vio_pci_access access;
	struct vio_pci_windows windows;
	struct vio_pci_messages messages;
	struct vio_dev dev;
	struct adder_driver adder;
	unsigned level, sent, maps, unmaps;
	uint32_t last_message;
	bool strict; /* what the model doesn't do fails the test */

	uint8_t forged[PCI_CONFIG_BYTES]; /* bytes of the configuration space that lie */
	bool is_forged[PCI_CONFIG_BYTES];
	uint64_t lie_at; /* offset in the memory BAR that reads as something else */
	uint32_t lie;
	unsigned notify_width;
	uint32_t notify_value;
	unsigned fail_vector; /* the first that can't be had */

	/* What the model saw. */
	unsigned isr_reads, written_in_reset;
	unsigned fields; /* of the selected queue written since it was selected */
	bool resetting;
	unsigned enabled;
};

static uint32_t ones(unsigned width)
{
	return width == 4 ? UINT32_MAX : (1u << 8 * width) - 1;
}

/* Whether this belongs to the PCI configuration access capability of a driver that may use it. */
static bool in_window(const struct wire *w, unsigned offset)
{
	return w->access.config_only && offset - w->model.cfg_cap < VIRTIO_PCI_CFG_CAP_BYTES;
}

static uint32_t wire_config_read(void *context, uint16_t address, unsigned offset, unsigned width)
{
	struct wire *w = context;
	uint32_t value = 0;

	assert_true(width == 1 || width == 2 || width == 4);
	assert_int_equal(offset % width, 0);
	assert_true(offset + width <= PCI_CONFIG_BYTES);
	if (address != SLOT)
		return ones(width);
	for (unsigned i = 0; i < width; i++) {
		uint32_t byte = w->is_forged[offset + i]
					? w->forged[offset + i]
					: vio_pci_device_config_read(&w->model, offset + i, 1);

		value |= byte << (8 * i);
	}
	/* spec: DRV-PCI-023 DRV-PCI-024 DRV-PCI-025, else the model ignores it */
	if (in_window(w, offset))
		assert_int_equal(w->model.outcome, VIO_PCI_DONE);
	return value;
}

static void wire_config_write(void *context, uint16_t address, unsigned offset, unsigned width,
			      uint32_t value)
{
	struct wire *w = context;

	assert_int_equal(address, SLOT);
	assert_int_equal(offset % width, 0);
	/* spec: DRV-PCI-011, nothing of a virtio capability is ever written but what is there for it */
	assert_true(offset < PCI_HEADER_BYTES || (w->model.msix_cap && offset == w->model.msix_cap + 2u) ||
		    in_window(w, offset));
	vio_pci_device_config_write(&w->model, offset, width, value);
	if (in_window(w, offset))
		assert_int_equal(w->model.outcome, VIO_PCI_DONE);
}

static uint32_t bar_read(struct wire *w, unsigned bar, uint64_t offset, unsigned width)
{
	uint32_t value = (uint32_t)vio_pci_device_bar_read(&w->model, bar, offset, width);

	if (w->strict)
		assert_int_equal(w->model.outcome, VIO_PCI_DONE);
	return bar && offset == w->lie_at ? w->lie & ones(width) : value;
}

static void bar_write(struct wire *w, unsigned bar, uint64_t offset, unsigned width, uint32_t value)
{
	if (bar && offset >= w->model.layout.notify && offset < w->model.layout.table) {
		w->notify_width = width;
		w->notify_value = value;
	}
	vio_pci_device_bar_write(&w->model, bar, offset, width, value);
	if (w->strict)
		assert_int_equal(w->model.outcome, VIO_PCI_DONE);
}

static uint32_t wire_memory_read(void *context, uint64_t address, unsigned width)
{
	struct wire *w = context;
	struct vio_pci_bar bar = vio_pci_device_bar(&w->model, VIO_PCI_MEMORY_BAR);

	assert_true(address >= MEMORY && address % width == 0 && !w->access.config_only);
	if (!bar.address || address - bar.address >= bar.size)
		return ones(width);
	return bar_read(w, VIO_PCI_MEMORY_BAR, address - bar.address, width);
}

static void wire_memory_write(void *context, uint64_t address, unsigned width, uint32_t value)
{
	struct wire *w = context;
	struct vio_pci_bar bar = vio_pci_device_bar(&w->model, VIO_PCI_MEMORY_BAR);

	assert_true(address >= MEMORY && address % width == 0 && !w->access.config_only);
	if (bar.address && address - bar.address < bar.size)
		bar_write(w, VIO_PCI_MEMORY_BAR, address - bar.address, width, value);
}

static uint32_t wire_port_read(void *context, uint32_t port, unsigned width)
{
	struct wire *w = context;
	struct vio_pci_bar bar = vio_pci_device_bar(&w->model, 0);

	if (!bar.address || port - bar.address >= bar.size)
		return ones(width);
	return bar_read(w, 0, port - bar.address, width);
}

static void wire_port_write(void *context, uint32_t port, unsigned width, uint32_t value)
{
	struct wire *w = context;
	struct vio_pci_bar bar = vio_pci_device_bar(&w->model, 0);

	if (bar.address && port - bar.address < bar.size)
		bar_write(w, 0, port - bar.address, width, value);
}

static uint64_t wire_map(void *context, uint64_t address, uint64_t length)
{
	((struct wire *)context)->maps++;
	return address;
}

static void wire_unmap(void *context, uint64_t mapped, uint64_t length)
{
	((struct wire *)context)->unmaps++;
}

static int wire_vector(void *context, unsigned vector, uint64_t *address, uint32_t *data)
{
	struct wire *w = context;

	if (vector >= w->fail_vector)
		return -VIO_ENOSPC;
	*address = 0xfee00000;
	*data = 0x30 + vector;
	return 0;
}

static void on_interrupt(void *context, unsigned level)
{
	((struct wire *)context)->level = level;
}

static void on_message(void *context, uint64_t address, uint32_t data)
{
	struct wire *w = context;

	assert_int_equal(address, 0xfee00000);
	w->sent++;
	w->last_message = data - 0x30;
}

static struct wire wire;

static struct wire *made(const struct vio_device_class *class, enum vio_pci_kind kind, unsigned flags,
			 uint64_t more)
{
	struct wire *w = &wire;
	struct vio_pci_device_config config = {
		.device = &w->device,
		.mem = &w->platform.mem,
		.kind = kind,
		.flags = flags,
		.vectors = VECTORS,
		.queues = w->queues,
		.vector_states = w->vectors,
		.context = w,
		.interrupt = on_interrupt,
		.message = on_message,
	};

	memset(w, 0, sizeof(*w));
	test_platform_init(&w->platform, 0);
	w->state = calloc(1, class->state_bytes);
	vio_device_init(&w->device, class, w->state);
	if (kind == VIO_PCI_TRANSITIONAL)
		w->device.id = VIRTIO_ID_RNG; /* a type that has such an id */
	assert_int_equal(vio_device_realize(&w->device), 0);
	w->device.features_offered.word[0] |= more;
	w->storage = malloc(vio_device_storage_bytes(&w->device));
	vio_device_provide(&w->device, w->storage);
	assert_int_equal(vio_pci_device_init(&w->model, &config), 0);
	w->access = (struct vio_pci_access){
		.context = w,
		.config_read = wire_config_read,
		.config_write = wire_config_write,
		.memory_read = wire_memory_read,
		.memory_write = wire_memory_write,
		.port_read = wire_port_read,
		.port_write = wire_port_write,
		.map = wire_map,
		.unmap = wire_unmap,
	};
	w->windows = (struct vio_pci_windows){ MEMORY, 0xf0000000, 0xc000, 0x10000 };
	w->messages = (struct vio_pci_messages){ w, 0, wire_vector };
	w->fail_vector = UINT32_MAX;
	w->lie_at = NOWHERE;
	w->strict = true;
	return w;
}

static struct wire *modern(void)
{
	return made(&vio_adder_class, VIO_PCI_MODERN, 0, 0);
}

static int probe(struct wire *w)
{
	return vio_pci_driver_probe(&w->pci, &w->access, SLOT, &w->windows, &w->messages, &w->dev);
}

static int bind(struct wire *w)
{
	return vio_driver_bind(&w->dev, &adder_driver, &w->platform.platform, &w->adder);
}

static void assert_adds(struct wire *w)
{
	uint32_t sum = 0;

	assert_int_equal(adder_driver_add(&w->dev, 41, &sum), 0);
	assert_int_equal(sum, 42);
}

static void freed(struct wire *w)
{
	w->lie_at = NOWHERE;
	memset(w->is_forged, 0, sizeof(w->is_forged));
	if (w->dev.transport)
		assert_int_equal(vio_dev_close(&w->dev), 0);
	assert_int_equal(w->maps, w->unmaps);
	/* Off, as far as it was ever on. */
	assert_int_equal(vio_pci_device_config_read(&w->model, PCI_COMMAND, 2) & 7, 0);
	vio_pci_device_end(&w->model);
	vio_device_unrealize(&w->device);
	test_platform_free(&w->platform);
	free(w->storage);
	free(w->state);
}

static void forge(struct wire *w, unsigned offset, uint8_t value)
{
	w->forged[offset] = value;
	w->is_forged[offset] = true;
}

static void forge32(struct wire *w, unsigned offset, uint32_t value)
{
	for (unsigned i = 0; i < 4; i++)
		forge(w, offset + i, (uint8_t)(value >> (8 * i)));
}

static void assert_unusable(struct wire *w)
{
	assert_int_equal(probe(w), -VIO_EPEER);
	memset(w->is_forged, 0, sizeof(w->is_forged));
}

/* The offset of a virtio capability. */
static unsigned capability(struct wire *w, unsigned type)
{
	unsigned at = vio_pci_device_config_read(&w->model, PCI_CAPABILITIES, 1);

	while (at && (vio_pci_device_config_read(&w->model, at, 1) != PCI_CAP_VENDOR ||
		      vio_pci_device_config_read(&w->model, at + 3, 1) != type))
		at = vio_pci_device_config_read(&w->model, at + 1, 1);
	assert_int_not_equal(at, 0);
	return at;
}

/* spec: DRV-PCI-001 DRV-PCI-004 DRV-PCI-012 DRV-PCI-035 DRV-PCI-037 */
static void drives_a_modern_device(void **state)
{
	static const unsigned flags[] = { 0, VIO_PCI_BAR_64, VIO_PCI_NOTIFY_ONE, VIO_PCI_NO_LINE };

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(flags); i++) {
		struct wire *w = made(&vio_adder_class, VIO_PCI_MODERN, flags[i], 0);

		assert_int_equal(probe(w), 0);
		assert_int_equal(w->dev.id, VIRTIO_ID_ADDER);
		assert_false(w->dev.legacy);
		assert_string_equal(w->dev.transport->name, "virtio-pci");
		assert_int_equal(bind(w), 0);
		assert_true(vio_dev_has_feature(&w->dev, VIRTIO_F_RING_RESET));
		assert_adds(w);
		assert_int_equal(w->notify_width, 2);
		assert_int_equal(w->notify_value, 0);
		assert_int_equal(vio_dev_reset_queue(&w->dev, 0), 0);
		assert_int_equal(vio_dev_reenable_queue(&w->dev, 0), 0);
		assert_adds(w);
		freed(w);
	}
}

/* What has to be written to a queue before it is enabled: size, vector, three addresses in halves. */
#define ALL_FIELDS 8u

static void on_trace(void *context, const struct vio_pci_trace *trace)
{
	struct wire *w = context;

	if (trace->bar != VIO_PCI_MEMORY_BAR || !trace->name)
		return;
	w->isr_reads += !strcmp(trace->name, "ISR status");
	if (!trace->write || trace->offset >= VIRTIO_PCI_COMMON_BYTES)
		return;
	w->written_in_reset += w->resetting && trace->offset != VIRTIO_PCI_COMMON_STATUS;
	if (trace->offset == VIRTIO_PCI_COMMON_Q_SELECT)
		w->fields = 0;
	w->fields +=
		trace->offset == VIRTIO_PCI_COMMON_Q_SIZE || trace->offset == VIRTIO_PCI_COMMON_Q_MSIX ||
		(trace->offset >= VIRTIO_PCI_COMMON_Q_DESCLO && trace->offset <= VIRTIO_PCI_COMMON_Q_USEDHI);
	if (trace->offset == VIRTIO_PCI_COMMON_Q_SIZE) /* spec: DRV-PCI-013 DRV-PCI-014 */
		assert_true(vio_is_power_of_two(trace->value));
	if (trace->offset == VIRTIO_PCI_COMMON_Q_ENABLE) {
		assert_int_equal(trace->value, 1);       /* spec: DRV-PCI-017 */
		assert_int_equal(w->fields, ALL_FIELDS); /* spec: DRV-PCI-015 */
		w->enabled++;
	}
}

/* spec: DRV-PCI-013 DRV-PCI-014 DRV-PCI-015 DRV-PCI-016 DRV-PCI-017 DRV-PCI-020 */
static void a_queue_is_whole_before_it_is_enabled(void **state)
{
	struct wire *w = modern();

	w->messages.vectors = VECTORS;
	w->model.config.trace = on_trace;
	assert_int_equal(probe(w), 0);
	assert_int_equal(bind(w), 0);
	assert_int_equal(w->enabled, 1);
	assert_true(vio_drvq_enable_cb(w->adder.q));
	for (unsigned round = 0; round < 3; round++) {
		unsigned sent = w->sent;

		assert_adds(w);
		vio_drvq_enable_cb(w->adder.q);
		while (sent++ < w->sent)
			vio_pci_driver_interrupt(&w->dev, w->last_message);
	}
	assert_true(w->sent);
	assert_int_equal(w->isr_reads, 0);
	vio_driver_unbind(&w->dev);
	w->dev.timeout_ns = 1000000; /* spec: DRV-PCI-016, a reset is waited for */
	w->lie_at = VIRTIO_PCI_COMMON_STATUS;
	w->lie = VIRTIO_CONFIG_S_ACKNOWLEDGE;
	w->resetting = true;
	assert_int_equal(bind(w), -VIO_EAGAIN);
	assert_int_equal(w->written_in_reset, 0);
	freed(w);
}

/* spec: DRV-PCI-023 DRV-PCI-024 DRV-PCI-025, with BARs that are nowhere; hostile: B43 */
static void registers_are_reached_through_the_configuration_space(void **state)
{
	struct wire *w = modern();
	uint32_t size = w->model.layout.memory_bytes;
	unsigned at = capability(w, VIRTIO_PCI_CAP_PCI_CFG);

	w->access.config_only = true;
	w->messages.vectors = VECTORS; /* whose table is out of reach */
	assert_int_equal(vio_pci_driver_probe(&w->pci, &w->access, SLOT, NULL, &w->messages, &w->dev), 0);
	assert_int_equal(w->pci.vectors, 0);
	assert_int_equal(bind(w), 0);
	assert_true(vio_drvq_enable_cb(w->adder.q));
	assert_adds(w);
	assert_true(vio_dev_interrupt(&w->dev) & VIO_INTERRUPT_QUEUE);
	vio_device_config_changed(&w->device);
	assert_int_equal(vio_dev_interrupt(&w->dev), VIO_INTERRUPT_CONFIG);
	assert_int_equal(vio_dev_close(&w->dev), 0);
	forge(w, at + VIRTIO_PCI_CAP_CFG_TYPE, 0x77); /* no such way */
	assert_unusable(w);
	forge(w, at + VIRTIO_PCI_CAP_LEN, VIRTIO_PCI_CFG_CAP_BYTES - 1);
	assert_unusable(w);
	forge32(w, capability(w, VIRTIO_PCI_CAP_COMMON_CFG) + VIRTIO_PCI_CAP_OFFSET, size);
	assert_unusable(w);
	for (unsigned bar = 0; bar < 256; bar++) {
		forge(w, capability(w, VIRTIO_PCI_CAP_ISR_CFG) + VIRTIO_PCI_CAP_BAR, (uint8_t)bar);
		if (bar != VIO_PCI_MEMORY_BAR)
			assert_unusable(w);
	}
	freed(w);
}

/* spec: DRV-PCI-036 DRV-PCI-038 DRV-PCI-039 DRV-PCI-040 */
static void notifies_with_data(void **state)
{
	const uint64_t data =
		UINT64_C(1) << VIRTIO_F_NOTIFICATION_DATA | UINT64_C(1) << VIRTIO_F_NOTIF_CONFIG_DATA;
	struct wire *w = made(&vio_adder_class, VIO_PCI_MODERN, 0, data);
	const struct vio_queue_wish wish = { .size = 8 };
	/* spec: DRV-BASIC-045, the other one comes unasked */
	struct vio_features wanted = vio_features_low(UINT64_C(1) << VIRTIO_F_NOTIFICATION_DATA);
	struct vio_dev_queue queue;
	struct vio_drvq *q;

	assert_int_equal(probe(w), 0);
	w->dev.platform = &w->platform.platform;
	assert_int_equal(vio_dev_begin(&w->dev, &queue, 1), 0);
	assert_int_equal(vio_dev_accept(&w->dev, &wanted), 0);
	w->strict = false; /* the model's answer doesn't go with the lie */
	w->lie_at = VIRTIO_PCI_COMMON_Q_NDATA;
	w->lie = 0x1234;
	assert_int_equal(vio_dev_add_queue(&w->dev, 0, &wish, &q), 0);
	assert_int_equal(vio_dev_ready(&w->dev), 0);
	for (uint32_t round = 1; round < 3; round++) {
		struct vio_sg sg = { vio_addr_make(TEST_PLATFORM_BASE), 4 };

		assert_int_equal(vio_drvq_add(q, &sg, 0, 1, w), 0);
		vio_drvq_kick(q);
		assert_int_equal(w->notify_width, 4);
		assert_int_equal(w->notify_value, round << 16 | 0x1234);
	}
	freed(w);
}

/* spec: DRV-PCI-032 DRV-PCI-033 DRV-PCI-034 DRV-PCI-041 */
static void messages_are_set_up_as_far_as_there_are_any(void **state)
{
	for (unsigned wanted = 0; wanted < 2 * VECTORS; wanted++) {
		struct wire *w = modern();
		unsigned vectors = wanted < VECTORS ? wanted : VECTORS;

		w->messages.vectors = wanted == 2 ? 2 : 100; /* either of them says when it is enough */
		w->fail_vector = wanted == 2 ? 100 : wanted;
		assert_int_equal(probe(w), 0);
		assert_int_equal(w->pci.vectors, vectors);
		assert_int_equal(bind(w), 0);
		assert_true(vio_drvq_enable_cb(w->adder.q));
		assert_adds(w);
		vio_device_config_changed(&w->device);
		assert_int_equal(w->level, !vectors);
		if (vectors) {
			assert_int_equal(w->last_message, 0);
			vio_pci_driver_interrupt(&w->dev, 0);
			assert_int_equal(w->queues[0].vector, vectors > 1);
			assert_int_equal(w->model.config_vector, 0);
		} else {
			assert_true(vio_dev_interrupt(&w->dev) & VIO_INTERRUPT_CONFIG);
		}
		assert_int_equal(w->adder.config_changes, 1);
		vio_pci_driver_interrupt(&w->dev, 77);
		freed(w);
	}
}

static void a_vector_that_is_not_taken_is_noticed(void **state)
{
	static const uint32_t at[] = { VIRTIO_PCI_COMMON_MSIX, VIRTIO_PCI_COMMON_Q_MSIX };

	for (unsigned i = 0; i < 2; i++) {
		struct wire *w = modern();

		w->messages.vectors = VECTORS;
		assert_int_equal(probe(w), 0);
		w->lie_at = at[i];
		w->lie = VIRTIO_MSI_NO_VECTOR;
		assert_int_equal(bind(w), -VIO_EPEER);
		assert_int_equal(w->dev.phase, VIO_DEV_FOUND);
		w->lie_at = NOWHERE;
		assert_int_equal(bind(w), 0);
		assert_adds(w);
		freed(w);
	}
}

/* spec: DRV-PCI-002 DRV-PCI-003 DRV-PCI-028 DRV-PCI-029 */
static void drives_ports(struct wire *w)
{
	assert_int_equal(vio_pci_driver_probe(&w->pci, &w->access, SLOT, NULL, NULL, &w->dev), 0);
	assert_true(w->dev.legacy);
	assert_int_equal(w->dev.id, VIRTIO_ID_RNG);
	assert_string_equal(w->dev.transport->name, "virtio-pci-legacy");
	w->dev.platform = &w->platform.platform;
	assert_int_equal(vio_dev_begin(&w->dev, NULL, 0), 0);
	assert_int_equal(vio_dev_accept(&w->dev, &VIO_FEATURES_NONE), 0);
	assert_int_equal(vio_dev_ready(&w->dev), 0);
	assert_int_equal(w->device.status & VIRTIO_CONFIG_S_DRIVER_OK, VIRTIO_CONFIG_S_DRIVER_OK);
	vio_dev_close(&w->dev);
}

static void takes_a_transitional_device_for_what_it_can_be(void **state)
{
	struct wire *w = made(&vio_adder_class, VIO_PCI_TRANSITIONAL, 0, 0);

	assert_int_equal(probe(w), 0);
	assert_int_equal(w->dev.id, VIRTIO_ID_RNG);
	assert_false(w->dev.legacy);
	vio_dev_close(&w->dev);
	/* Its memory BAR has no place: the ports remain. */
	vio_pci_device_bus_reset(&w->model);
	w->windows.memory_next = w->windows.memory_end;
	assert_int_equal(probe(w), -VIO_ENOSPC);
	vio_pci_device_bus_reset(&w->model);
	vio_pci_device_config_write(&w->model, PCI_BAR, 4, 0xd000);
	if (VIO_LE16_RAW(1) == 1)
		drives_ports(w);
	/* And without ports nothing does. */
	w->access.port_read = NULL;
	assert_int_equal(vio_pci_driver_probe(&w->pci, &w->access, SLOT, NULL, NULL, &w->dev), -VIO_ENOTSUP);
	assert_null(w->dev.transport);
	freed(w);
}

static void what_is_not_virtio_is_left_alone(void **state)
{
	struct wire *w = modern();

	assert_int_equal(vio_pci_driver_probe(&w->pci, &w->access, SLOT + 1, NULL, NULL, &w->dev),
			 -VIO_ENOENT);
	forge(w, PCI_VENDOR_ID, 0x86);
	assert_int_equal(probe(w), -VIO_ENOENT);
	memset(w->is_forged, 0, sizeof(w->is_forged));
	forge(w, PCI_DEVICE_ID, 0x80);
	assert_int_equal(probe(w), -VIO_ENOENT);
	forge(w, PCI_DEVICE_ID, 0x40); /* virtio id 0 */
	assert_int_equal(probe(w), -VIO_ENOENT);
	memset(w->is_forged, 0, sizeof(w->is_forged));
	forge(w, PCI_HEADER_TYPE, PCI_HEADER_TYPE_BRIDGE);
	assert_int_equal(probe(w), -VIO_ENOENT);
	/* No place in the windows, and no windows. */
	memset(w->is_forged, 0, sizeof(w->is_forged));
	w->windows.memory_end = MEMORY;
	assert_int_equal(probe(w), -VIO_ENOSPC);
	assert_int_equal(vio_pci_driver_probe(&w->pci, &w->access, SLOT, NULL, NULL, &w->dev), -VIO_ENOSPC);
	freed(w);
}

/* hostile: B43 */
static void broken_capabilities_are_refused(void **state)
{
	static const unsigned needed[] = { VIRTIO_PCI_CAP_COMMON_CFG, VIRTIO_PCI_CAP_NOTIFY_CFG,
					   VIRTIO_PCI_CAP_ISR_CFG };
	struct wire *w = modern();
	uint32_t size = w->model.layout.memory_bytes;

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(needed); i++) {
		unsigned at = capability(w, needed[i]);

		forge(w, at + VIRTIO_PCI_CAP_CFG_TYPE, 0x77); /* missing */
		assert_unusable(w);
		for (unsigned bar = 0; bar < 256; bar++) { /* absent BARs and none at all */
			forge(w, at + VIRTIO_PCI_CAP_BAR, (uint8_t)bar);
			if (bar != VIO_PCI_MEMORY_BAR)
				assert_unusable(w);
		}
		memset(w->is_forged, 0, sizeof(w->is_forged));
		for (unsigned bytes = 0; bytes < 16; bytes++) {
			forge(w, at + VIRTIO_PCI_CAP_LEN, (uint8_t)bytes);
			assert_unusable(w);
		}
		forge32(w, at + VIRTIO_PCI_CAP_OFFSET, UINT32_MAX - 3);
		assert_unusable(w);
		forge32(w, at + VIRTIO_PCI_CAP_OFFSET, size);
		assert_unusable(w);
		forge32(w, at + VIRTIO_PCI_CAP_LENGTH, 0);
		assert_unusable(w);
	}
	forge32(w, capability(w, VIRTIO_PCI_CAP_NOTIFY_CFG) + VIRTIO_PCI_CAP_LENGTH, UINT32_MAX);
	assert_unusable(w);
	forge32(w, capability(w, VIRTIO_PCI_CAP_NOTIFY_CFG) + VIRTIO_PCI_NOTIFY_CAP_MULT, 3);
	assert_unusable(w);
	forge32(w, capability(w, VIRTIO_PCI_CAP_NOTIFY_CFG) + VIRTIO_PCI_NOTIFY_CAP_MULT, 1);
	assert_unusable(w);
	forge32(w, capability(w, VIRTIO_PCI_CAP_COMMON_CFG) + VIRTIO_PCI_CAP_LENGTH, 0x37);
	assert_unusable(w);
	forge32(w, capability(w, VIRTIO_PCI_CAP_COMMON_CFG) + VIRTIO_PCI_CAP_OFFSET, 2);
	assert_unusable(w);
	/* Lists that go round or lead out of the list's area. */
	for (unsigned next = 0; next < 256; next++) {
		forge(w, capability(w, VIRTIO_PCI_CAP_COMMON_CFG) + PCI_CAP_NEXT, (uint8_t)next);
		if (!probe(w)) /* it came by everything on another way */
			vio_dev_close(&w->dev);
		forge(w, PCI_CAPABILITIES, (uint8_t)next);
		if (!probe(w))
			vio_dev_close(&w->dev);
		memset(w->is_forged, 0, sizeof(w->is_forged));
	}
	forge(w, PCI_STATUS, 0); /* no list */
	assert_unusable(w);
	assert_int_equal(probe(w), 0);
	freed(w);
}

/*
 * spec: DRV-PCI-005 DRV-PCI-006 DRV-PCI-007 DRV-PCI-008 DRV-PCI-009 DRV-PCI-010
 * What has no meaning is passed over, what is too long is cut. */
static void odd_capabilities_do_no_harm(void **state)
{
	struct wire *w = modern();

	for (unsigned type = 1; type < 5; type++)
		if (type != VIRTIO_PCI_CAP_DEVICE_CFG)
			forge(w, capability(w, type) + VIRTIO_PCI_CAP_LEN, 255);
	forge(w, capability(w, VIRTIO_PCI_CAP_PCI_CFG) + VIRTIO_PCI_CAP_BAR, 6);
	forge32(w, capability(w, VIRTIO_PCI_CAP_COMMON_CFG) + VIRTIO_PCI_CAP_LENGTH, 0x1000);
	forge(w, PCI_REVISION_ID, 0xff);
	assert_int_equal(probe(w), 0);
	assert_int_equal(w->pci.common.length, VIRTIO_PCI_COMMON_BYTES);
	assert_int_equal(bind(w), 0);
	assert_adds(w);
	vio_dev_close(&w->dev);
	/* A second one of a kind isn't looked at, unless the first is of no use. */
	forge(w, capability(w, VIRTIO_PCI_CAP_PCI_CFG) + VIRTIO_PCI_CAP_CFG_TYPE, VIRTIO_PCI_CAP_COMMON_CFG);
	assert_int_equal(probe(w), 0);
	vio_dev_close(&w->dev);
	memset(w->is_forged, 0, sizeof(w->is_forged));
	/* Before RING_RESET had a register. */
	forge32(w, capability(w, VIRTIO_PCI_CAP_COMMON_CFG) + VIRTIO_PCI_CAP_LENGTH, 0x38);
	assert_int_equal(probe(w), 0);
	assert_int_equal(bind(w), 0);
	assert_false(vio_dev_has_feature(&w->dev, VIRTIO_F_RING_RESET));
	assert_adds(w);
	freed(w);
}

/* hostile: B42 B50 B51 */
static void lying_registers_are_noticed(void **state)
{
	static const struct {
		uint32_t at, lie;
		int error;
	} lies[] = {
		{ VIRTIO_PCI_COMMON_NUMQ, 0, -VIO_ENOENT },
		{ VIRTIO_PCI_COMMON_Q_SIZE, 0, -VIO_ENOENT },
		{ VIRTIO_PCI_COMMON_Q_ENABLE, 0, -VIO_EPEER },
		{ VIRTIO_PCI_COMMON_Q_ENABLE, 1, -VIO_EPEER },
		{ VIRTIO_PCI_COMMON_Q_NOFF, 0xffff, -VIO_EPEER },
		{ VIRTIO_PCI_COMMON_Q_NOFF, 1, -VIO_EPEER },
		{ VIRTIO_PCI_COMMON_STATUS, 0, -VIO_ENOTSUP },
		{ VIRTIO_PCI_COMMON_STATUS, 0x4f, -VIO_EAGAIN },
		{ VIRTIO_PCI_COMMON_STATUS, 0xff, -VIO_EHANGUP },
	};

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(lies); i++) {
		struct wire *w = modern();

		assert_int_equal(probe(w), 0);
		w->dev.timeout_ns = 1000000;
		w->lie_at = lies[i].at;
		w->lie = lies[i].lie;
		assert_int_equal(bind(w), lies[i].error);
		w->lie_at = NOWHERE;
		freed(w);
	}
	for (unsigned size = 1; size < 70000; size = size * 2 + 1) { /* what isn't a size is cut */
		struct wire *w = modern();

		assert_int_equal(probe(w), 0);
		w->lie_at = VIRTIO_PCI_COMMON_Q_SIZE;
		w->lie = size;
		w->strict = false;
		if (!bind(w))
			assert_true(w->adder.q->size <= size);
		freed(w);
	}
}

static void a_queue_reset_that_never_ends_is_given_up(void **state)
{
	struct wire *w = modern();

	assert_int_equal(probe(w), 0);
	assert_int_equal(bind(w), 0);
	w->dev.timeout_ns = 1000000;
	w->lie_at = VIRTIO_PCI_COMMON_Q_RESET;
	w->lie = 1;
	assert_int_equal(vio_dev_reset_queue(&w->dev, 0), -VIO_EAGAIN);
	assert_int_equal(vio_dev_reenable_queue(&w->dev, 0), -VIO_EPHASE);
	/* Over, but the queue is still enabled: that isn't over. */
	w->lie_at = NOWHERE;
	assert_int_equal(vio_dev_reset(&w->dev), 0);
	assert_int_equal(adder_driver_start(&w->dev), 0);
	w->lie_at = VIRTIO_PCI_COMMON_Q_ENABLE;
	assert_int_equal(vio_dev_reset_queue(&w->dev, 0), -VIO_EAGAIN);
	freed(w);
}

/* A notification that would lie across the end of its structure, or across two places. hostile: B42 */
static void notifications_stay_in_their_structure(void **state)
{
	static const struct {
		uint32_t length;
		bool data;
		int error;
	} cases[] = { { 4, false, 0 }, { 3, false, -VIO_EPEER }, { 6, false, 0 }, { 6, true, -VIO_EPEER } };
	struct vio_features wanted = vio_features_low(UINT64_C(1) << VIRTIO_F_NOTIFICATION_DATA);
	const struct vio_queue_wish wish = { .size = 8 };
	struct vio_dev_queue queue;
	struct vio_drvq *q;

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(cases); i++) {
		struct wire *w = made(&vio_adder_class, VIO_PCI_MODERN, 0, wanted.word[0]);
		unsigned at = capability(w, VIRTIO_PCI_CAP_NOTIFY_CFG);

		w->strict = false;
		forge32(w, at + VIRTIO_PCI_CAP_LENGTH, cases[i].length);
		forge32(w, at + VIRTIO_PCI_NOTIFY_CAP_MULT, 2);
		assert_int_equal(probe(w), 0);
		w->dev.platform = &w->platform.platform;
		w->lie_at = VIRTIO_PCI_COMMON_Q_NOFF;
		w->lie = 1;
		assert_int_equal(vio_dev_begin(&w->dev, &queue, 1), 0);
		assert_int_equal(vio_dev_accept(&w->dev, cases[i].data ? &wanted : &VIO_FEATURES_NONE), 0);
		assert_int_equal(vio_dev_add_queue(&w->dev, 0, &wish, &q), cases[i].error);
		freed(w);
	}
}

/* The driver goes on with the addresses it found. hostile: B44 */
static void a_bar_that_moves_is_a_device_that_is_gone(void **state)
{
	struct wire *w = modern();
	uint32_t sum;

	assert_int_equal(probe(w), 0);
	assert_int_equal(bind(w), 0);
	assert_adds(w);
	forge32(w, PCI_BAR + 4 * VIO_PCI_MEMORY_BAR, 0x100000);
	assert_adds(w);
	vio_pci_device_config_write(&w->model, PCI_BAR + 4 * VIO_PCI_MEMORY_BAR, 4, 0xf8000000);
	assert_int_not_equal(adder_driver_add(&w->dev, 1, &sum), 0);
	assert_true(vio_dev_broken(&w->dev));
	assert_int_equal(vio_dev_reset(&w->dev), -VIO_EHANGUP);
	freed(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(drives_a_modern_device),
		cmocka_unit_test(a_queue_is_whole_before_it_is_enabled),
		cmocka_unit_test(registers_are_reached_through_the_configuration_space),
		cmocka_unit_test(notifies_with_data),
		cmocka_unit_test(messages_are_set_up_as_far_as_there_are_any),
		cmocka_unit_test(a_vector_that_is_not_taken_is_noticed),
		cmocka_unit_test(takes_a_transitional_device_for_what_it_can_be),
		cmocka_unit_test(what_is_not_virtio_is_left_alone),
		cmocka_unit_test(broken_capabilities_are_refused),
		cmocka_unit_test(odd_capabilities_do_no_harm),
		cmocka_unit_test(lying_registers_are_noticed),
		cmocka_unit_test(a_queue_reset_that_never_ends_is_given_up),
		cmocka_unit_test(notifications_stay_in_their_structure),
		cmocka_unit_test(a_bar_that_moves_is_a_device_that_is_gone),
	};

	return cmocka_run_group_tests_name("transport-pci-driver", tests, NULL, NULL);
}
