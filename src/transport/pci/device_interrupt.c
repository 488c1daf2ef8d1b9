/* SPDX-License-Identifier: BSD-3-Clause */
#include "transport/pci/model.h"

/* How the driver hears: a line with the ISR status behind it, or messages. */

static uint32_t msix_control(const struct vio_pci_device *model)
{
	return model->msix_cap ? model_get(&model->space[model->msix_cap + PCI_MSIX_CONTROL], 2) : 0;
}

bool vio_pci_model_msix_enabled(const struct vio_pci_device *model)
{
	return (msix_control(model) & PCI_MSIX_CONTROL_ENABLE) != 0;
}

/* spec: DEV-PCI-043 DEV-PCI-044 */
void vio_pci_model_line(struct vio_pci_device *model)
{
	bool pending = model->isr && !vio_pci_model_msix_enabled(model);
	bool level = pending && !(vio_pci_model_command(model) & PCI_COMMAND_INTX_DISABLE) &&
		     !(model->config.flags & VIO_PCI_NO_LINE);

	model->space[PCI_STATUS] &= (uint8_t)~PCI_STATUS_INTERRUPT;
	model->space[PCI_STATUS] |= pending ? PCI_STATUS_INTERRUPT : 0;
	if (model->level == level)
		return;
	model->level = level;
	model->config.interrupt(model->config.context, level);
}

static bool may_send(const struct vio_pci_device *model)
{
	return (msix_control(model) & (PCI_MSIX_CONTROL_ENABLE | PCI_MSIX_CONTROL_MASK)) ==
		       PCI_MSIX_CONTROL_ENABLE &&
	       (vio_pci_model_command(model) & PCI_COMMAND_MASTER);
}

static void send(struct vio_pci_device *model, struct vio_pci_vector *vector)
{
	const struct vio_pci_device_config *config = &model->config;
	bool masked = !config->vector && (vector->control & PCI_MSIX_ENTRY_MASKED);

	vector->pending = !may_send(model) || masked;
	if (vector->pending)
		return;
	if (config->vector)
		config->vector(config->context, (unsigned)(vector - config->vector_states));
	else
		config->message(config->context, (uint64_t)vector->address_high << 32 | vector->address_low,
				vector->data);
}

/* spec: DEV-PCI-071 DEV-PCI-072, nobody is told who isn't mapped to a vector. */
static void raise_vector(struct vio_pci_device *model, uint16_t vector)
{
	if (vector < model->config.vectors)
		send(model, &model->config.vector_states[vector]);
}

int vio_pci_device_vector(const struct vio_pci_device *model, uint16_t queue)
{
	uint16_t vector = model->config.queues[queue].vector;

	return may_send(model) && vector < model->config.vectors ? vector : -1;
}

void vio_pci_model_messages(struct vio_pci_device *model)
{
	uint16_t vector;

	for (vector = 0; may_send(model) && vector < model->config.vectors; vector++)
		if (model->config.vector_states[vector].pending)
			send(model, &model->config.vector_states[vector]);
}

void vio_pci_model_messages_forget(struct vio_pci_device *model)
{
	uint16_t vector;

	for (vector = 0; vector < model->config.vectors; vector++)
		model->config.vector_states[vector].pending = false;
}

void vio_pci_model_table_reset(struct vio_pci_device *model)
{
	uint16_t vector;

	for (vector = 0; vector < model->config.vectors; vector++)
		model->config.vector_states[vector] =
			(struct vio_pci_vector){ .control = PCI_MSIX_ENTRY_MASKED };
}

static uint32_t *table_word(struct vio_pci_device *model, uint32_t offset)
{
	struct vio_pci_vector *vector = &model->config.vector_states[offset / PCI_MSIX_ENTRY_BYTES];

	switch (offset % PCI_MSIX_ENTRY_BYTES) {
	case PCI_MSIX_ENTRY_ADDRESS_LOW:
		return &vector->address_low;
	case PCI_MSIX_ENTRY_ADDRESS_HIGH:
		return &vector->address_high;
	case PCI_MSIX_ENTRY_DATA:
		return &vector->data;
	default:
		return &vector->control;
	}
}

uint32_t vio_pci_model_table_read(struct vio_pci_device *model, uint32_t offset)
{
	return *table_word(model, offset);
}

void vio_pci_model_table_write(struct vio_pci_device *model, uint32_t offset, uint32_t value)
{
	uint32_t *word = table_word(model, offset);

	*word = offset % PCI_MSIX_ENTRY_BYTES == PCI_MSIX_ENTRY_CONTROL ? value & PCI_MSIX_ENTRY_MASKED
									: value;
	vio_pci_model_messages(model);
}

uint32_t vio_pci_model_pba_read(struct vio_pci_device *model, uint32_t offset)
{
	uint32_t bits = 0, first = offset * 8, i;

	for (i = 0; i < 32 && first + i < model->config.vectors; i++)
		bits |= (uint32_t)model->config.vector_states[first + i].pending << i;
	return bits;
}

static void queue_interrupt(void *context, uint16_t queue)
{
	struct vio_pci_device *model = context;

	if (vio_pci_model_msix_enabled(model)) {
		raise_vector(model, model->config.queues[queue].vector);
		return;
	}
	model->isr |= VIRTIO_PCI_ISR_QUEUE; /* spec: DEV-PCI-042 */
	vio_pci_model_line(model);
}

static void config_interrupt(void *context)
{
	struct vio_pci_device *model = context;

	model->isr |= VIRTIO_PCI_ISR_CONFIG; /* spec: DEV-PCI-041 */
	if (vio_pci_model_msix_enabled(model))
		raise_vector(model, model->config_vector);
	else
		vio_pci_model_line(model);
}

static void kick_again(void *context, uint16_t queue)
{
	struct vio_pci_device *model = context;

	model->config.queues[queue].again = true;
	if (model->config.work)
		model->config.work(model->config.context);
}

static void fault(void *context, const struct vio_fault *what)
{
	struct vio_pci_device *model = context;

	if (model->config.fault)
		model->config.fault(model->config.context, what);
}

const struct vio_device_events vio_pci_model_events = {
	.queue_interrupt = queue_interrupt,
	.config_interrupt = config_interrupt,
	.kick_again = kick_again,
	.fault = fault,
};
