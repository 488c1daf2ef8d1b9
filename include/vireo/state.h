/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_STATE_H
#define VIREO_STATE_H

#include <vireo/base.h>

/*
 * Cursors over a block of bytes, for saved state: little-endian, no alignment.
 * Both are sticky: once something didn't fit, `failed` is set, further puts do
 * nothing and further gets give zeros, so that only the end needs a check.
 */
struct vio_state_writer {
	uint8_t *to; /* NULL: only count */
	size_t size;
	size_t used; /* bytes that were put, or would have been until it failed */
	bool failed;
};

/* Why a saved state wasn't taken: "queue size", 3. `what` is a constant text; NULL: nothing was refused. */
struct vio_state_refusal {
	const char *what;
	uint64_t value;
};

struct vio_state_reader {
	const uint8_t *from;
	size_t size;
	size_t used;
	bool failed;
	struct vio_state_refusal refusal;
};

/* Appends one value; sets failed when it doesn't fit. */
VIO_API void vio_state_put_u8(struct vio_state_writer *writer, uint8_t value);
VIO_API void vio_state_put_u16(struct vio_state_writer *writer, uint16_t value);
VIO_API void vio_state_put_u32(struct vio_state_writer *writer, uint32_t value);
VIO_API void vio_state_put_u64(struct vio_state_writer *writer, uint64_t value);
/* Appends `length` bytes as they are. */
VIO_API void vio_state_put_bytes(struct vio_state_writer *writer, const void *from, size_t length);

/* Takes the next value; 0 and failed set when there is none. */
VIO_API uint8_t vio_state_get_u8(struct vio_state_reader *reader);
VIO_API uint16_t vio_state_get_u16(struct vio_state_reader *reader);
VIO_API uint32_t vio_state_get_u32(struct vio_state_reader *reader);
VIO_API uint64_t vio_state_get_u64(struct vio_state_reader *reader);
/*
 * What was read can't be: notes why, unless something was noted before, sets failed and returns
 * -VIO_ESTATE, which is what a class's load() returns then. `what` has to outlive the reader.
 */
VIO_API int vio_state_refuse(struct vio_state_reader *reader, const char *what, uint64_t value);
/* Takes the next `length` bytes; zeros and failed set when there are fewer. */
VIO_API void vio_state_get_bytes(struct vio_state_reader *reader, void *to, size_t length);

#endif
