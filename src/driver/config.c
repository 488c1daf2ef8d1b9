/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "driver/core.h"

#define PIECE 64u

static bool wraps(uint32_t offset, uint32_t length)
{
	return length > UINT32_MAX - offset;
}

/* spec: DRV-BASIC-015 DRV-BASIC-016; hostile: B39 */
static int read_modern(struct vio_dev *dev, uint32_t offset, void *to, uint32_t length)
{
	const struct vio_transport_ops *transport = dev->transport;
	unsigned tries;

	for (tries = 0; tries < VIO_DEV_CONFIG_TRIES; tries++) {
		uint32_t before = transport->get_generation(dev);
		int error = transport->read_config(dev, offset, to, length);

		if (error || transport->get_generation(dev) == before)
			return error;
	}
	return -VIO_EAGAIN;
}

/* Reads once more into `to`. 1 when that changed nothing, 0 when it did, or a negative code. */
static int read_again(struct vio_dev *dev, uint32_t offset, uint8_t *to, uint32_t length)
{
	uint8_t piece[PIECE];
	uint32_t at, now;
	int same = 1, error;

	for (at = 0; at < length; at += now) {
		now = length - at < PIECE ? length - at : PIECE;
		error = dev->transport->read_config(dev, offset + at, piece, now);
		if (error)
			return error;
		if (memcmp(to + at, piece, now))
			same = 0;
		memcpy(to + at, piece, now);
	}
	return same;
}

/* spec: DRV-BASIC-020, as there is no generation. */
static int read_legacy(struct vio_dev *dev, uint32_t offset, void *to, uint32_t length)
{
	int result = dev->transport->read_config(dev, offset, to, length);
	unsigned tries;

	for (tries = 0; !result && tries < VIO_DEV_CONFIG_TRIES; tries++)
		result = read_again(dev, offset, to, length);
	if (!result)
		return -VIO_EAGAIN;
	return result < 0 ? result : 0;
}

/* spec: DRV-BASIC-MAY-001 */
static bool may_read(enum vio_dev_phase phase)
{
	return phase == VIO_DEV_BEGUN || phase == VIO_DEV_ACCEPTED || phase == VIO_DEV_READY ||
	       phase == VIO_DEV_SUSPENDED;
}

int vio_dev_read_config(struct vio_dev *dev, uint32_t offset, void *to, uint32_t length)
{
	if (!may_read(dev->phase))
		return -VIO_EPHASE;
	if (wraps(offset, length))
		return -VIO_ERANGE;
	if (!length)
		return 0;
	return vio_dev_is_legacy(dev) ? read_legacy(dev, offset, to, length)
				      : read_modern(dev, offset, to, length);
}

int vio_dev_write_config(struct vio_dev *dev, uint32_t offset, const void *from, uint32_t length)
{
	/* spec: DRV-BASIC-022 */
	if (dev->phase != VIO_DEV_ACCEPTED && dev->phase != VIO_DEV_READY)
		return -VIO_EPHASE;
	if (wraps(offset, length))
		return -VIO_ERANGE;
	return length ? dev->transport->write_config(dev, offset, from, length) : 0;
}

/* A number whose first byte lies lowest: on a big-endian machine, a shorter one of its own is on top. */
static uint64_t number_of(const struct vio_dev *dev, vio_le64 wire, uint32_t length)
{
	const bool own_order = vio_dev_is_legacy(dev) && VIO_LE16_RAW(1) != 1;

	return own_order ? wire.raw >> (64 - 8 * length) : vio_le64_get(wire);
}

int vio_dev_read_field(struct vio_dev *dev, uint32_t offset, uint32_t length, uint64_t *value)
{
	vio_le64 wire = { 0 };
	int error = length > sizeof(wire) ? -VIO_ERANGE : vio_dev_read_config(dev, offset, &wire, length);

	if (!error)
		*value = number_of(dev, wire, length);
	return error;
}

int vio_dev_read_config8(struct vio_dev *dev, uint32_t offset, uint8_t *value)
{
	return vio_dev_read_config(dev, offset, value, sizeof(*value));
}

int vio_dev_read_config16(struct vio_dev *dev, uint32_t offset, uint16_t *value)
{
	uint64_t number;
	int error = vio_dev_read_field(dev, offset, sizeof(*value), &number);

	if (!error)
		*value = (uint16_t)number;
	return error;
}

int vio_dev_read_config32(struct vio_dev *dev, uint32_t offset, uint32_t *value)
{
	uint64_t number;
	int error = vio_dev_read_field(dev, offset, sizeof(*value), &number);

	if (!error)
		*value = (uint32_t)number;
	return error;
}

int vio_dev_read_config64(struct vio_dev *dev, uint32_t offset, uint64_t *value)
{
	return vio_dev_read_field(dev, offset, sizeof(*value), value);
}

int vio_dev_write_config8(struct vio_dev *dev, uint32_t offset, uint8_t value)
{
	return vio_dev_write_config(dev, offset, &value, sizeof(value));
}

int vio_dev_write_config16(struct vio_dev *dev, uint32_t offset, uint16_t value)
{
	vio_le16 wire = vio_le16_make(value);

	if (vio_dev_is_legacy(dev))
		wire.raw = value;
	return vio_dev_write_config(dev, offset, &wire, sizeof(wire));
}

int vio_dev_write_config32(struct vio_dev *dev, uint32_t offset, uint32_t value)
{
	vio_le32 wire = vio_le32_make(value);

	if (vio_dev_is_legacy(dev))
		wire.raw = value;
	return vio_dev_write_config(dev, offset, &wire, sizeof(wire));
}
