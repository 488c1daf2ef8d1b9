/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <vireo/state.h>

void vio_state_put_bytes(struct vio_state_writer *writer, const void *from, size_t length)
{
	if (writer->failed)
		return;
	if (writer->to && (writer->used > writer->size || length > writer->size - writer->used))
		writer->failed = true;
	else if (writer->to && length)
		memcpy(writer->to + writer->used, from, length);
	writer->used += length;
}

void vio_state_put_u8(struct vio_state_writer *writer, uint8_t value)
{
	vio_state_put_bytes(writer, &value, sizeof(value));
}

void vio_state_put_u16(struct vio_state_writer *writer, uint16_t value)
{
	vio_le16 wire = vio_le16_make(value);

	vio_state_put_bytes(writer, &wire, sizeof(wire));
}

void vio_state_put_u32(struct vio_state_writer *writer, uint32_t value)
{
	vio_le32 wire = vio_le32_make(value);

	vio_state_put_bytes(writer, &wire, sizeof(wire));
}

void vio_state_put_u64(struct vio_state_writer *writer, uint64_t value)
{
	vio_le64 wire = vio_le64_make(value);

	vio_state_put_bytes(writer, &wire, sizeof(wire));
}

void vio_state_get_bytes(struct vio_state_reader *reader, void *to, size_t length)
{
	if (reader->failed || length > reader->size - reader->used) {
		reader->failed = true;
		memset(to, 0, length);
		return;
	}
	if (length)
		memcpy(to, reader->from + reader->used, length);
	reader->used += length;
}

uint8_t vio_state_get_u8(struct vio_state_reader *reader)
{
	uint8_t value;

	vio_state_get_bytes(reader, &value, sizeof(value));
	return value;
}

uint16_t vio_state_get_u16(struct vio_state_reader *reader)
{
	vio_le16 wire;

	vio_state_get_bytes(reader, &wire, sizeof(wire));
	return vio_le16_get(wire);
}

uint32_t vio_state_get_u32(struct vio_state_reader *reader)
{
	vio_le32 wire;

	vio_state_get_bytes(reader, &wire, sizeof(wire));
	return vio_le32_get(wire);
}

uint64_t vio_state_get_u64(struct vio_state_reader *reader)
{
	vio_le64 wire;

	vio_state_get_bytes(reader, &wire, sizeof(wire));
	return vio_le64_get(wire);
}

int vio_state_refuse(struct vio_state_reader *reader, const char *what, uint64_t value)
{
	if (!reader->refusal.what)
		reader->refusal = (struct vio_state_refusal){ what, value };
	reader->failed = true;
	return -VIO_ESTATE;
}
