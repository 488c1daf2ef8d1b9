/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_PCI_MODEL_H
#define VIO_PCI_MODEL_H

#include <vireo/device.h>
#include <vireo/pci.h>

/* What the files of the device's half share. */

/* In the memory BAR; what follows them is in struct vio_pci_layout. */
#define MODEL_COMMON 0x0000u
#define MODEL_ISR    0x1000u
#define MODEL_CONFIG 0x2000u
#define MODEL_GRAIN  0x1000u

#define MODEL_NOTIFY_MULTIPLIER 4u

/*
 * A register, with a handler for each direction that it has. `argument` tells registers apart that
 * share handlers.
 */
struct model_register {
	const char *name;
	uint8_t offset;
	uint8_t width;
	uint32_t (*read)(struct vio_pci_device *model, uint32_t argument);
	void (*write)(struct vio_pci_device *model, uint32_t argument, uint32_t value);
	uint32_t argument;
};

struct model_registers {
	const struct model_register *registers;
	unsigned count;
};

extern const struct model_registers vio_pci_common_registers, vio_pci_legacy_registers;

static inline struct vio_device *model_device(const struct vio_pci_device *model)
{
	return model->config.device;
}

static inline void model_ignore(struct vio_pci_device *model)
{
	model->outcome = VIO_PCI_IGNORED;
}

/* Each byte of a number as it lies on a little-endian bus. */
static inline uint32_t model_get(const uint8_t *from, unsigned width)
{
	uint32_t value = 0;

	while (width--)
		value = value << 8 | from[width];
	return value;
}

static inline void model_put(uint8_t *to, unsigned width, uint32_t value)
{
	unsigned i;

	for (i = 0; i < width; i++)
		to[i] = (uint8_t)(value >> (8 * i));
}

/* device.c: BARs without regard to decoding; name as in struct vio_pci_trace. */
uint64_t vio_pci_model_bar_read(struct vio_pci_device *model, unsigned bar, uint64_t offset, unsigned width,
				const char **name);
void vio_pci_model_bar_write(struct vio_pci_device *model, unsigned bar, uint64_t offset, unsigned width,
			     uint64_t value, const char **name);
uint64_t vio_pci_model_bar_bytes(const struct vio_pci_device *model, unsigned bar);
void vio_pci_model_trace(struct vio_pci_device *model, struct vio_pci_trace *access);

/* device_common.c: what both interfaces have in common. */
struct vio_features vio_pci_model_carried(bool legacy);
void vio_pci_model_forget(struct vio_pci_device *model);
/* A driver that begins chooses its interface by using it; false, and ignored, when it uses the other one. */
bool vio_pci_model_speaks(struct vio_pci_device *model, bool legacy);
struct vio_pci_queue *vio_pci_model_queue(struct vio_pci_device *model);
bool vio_pci_model_queue_start(struct vio_pci_device *model, struct vio_pci_queue *queue);
void vio_pci_model_queue_stop(struct vio_pci_device *model, struct vio_pci_queue *queue);
uint32_t vio_pci_model_take_isr(struct vio_pci_device *model, uint32_t argument);
uint32_t vio_pci_model_vector_read(struct vio_pci_device *model, uint32_t argument);
void vio_pci_model_vector_write(struct vio_pci_device *model, uint32_t argument, uint32_t value);
void vio_pci_model_notify(struct vio_pci_device *model, uint32_t queue);

#define MODEL_VECTOR_CONFIG 0u /* arguments of the two above */
#define MODEL_VECTOR_QUEUE  1u

/* device_config.c */
int vio_pci_model_build(struct vio_pci_device *model);
uint32_t vio_pci_model_command(const struct vio_pci_device *model);

/* device_interrupt.c */
extern const struct vio_device_events vio_pci_model_events;
bool vio_pci_model_msix_enabled(const struct vio_pci_device *model);
/* Brings the line to where it belongs. */
void vio_pci_model_line(struct vio_pci_device *model);
/* Sends messages that waited and needn't any more. */
void vio_pci_model_messages(struct vio_pci_device *model);
void vio_pci_model_messages_forget(struct vio_pci_device *model);
void vio_pci_model_table_reset(struct vio_pci_device *model);
uint32_t vio_pci_model_table_read(struct vio_pci_device *model, uint32_t offset);
void vio_pci_model_table_write(struct vio_pci_device *model, uint32_t offset, uint32_t value);
uint32_t vio_pci_model_pba_read(struct vio_pci_device *model, uint32_t offset);

#endif
