/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_PROPERTY_H
#define VIREO_PROPERTY_H

#include <vireo/base.h>

/*
 * Named settings of a device or backend, given as text ("shift=3") and kept as
 * members of a structure. One table drives parsing, `vireo list`, the manual
 * page and the messages about wrong values.
 */
enum vio_property_type {
	VIO_PROPERTY_BOOL,   /* bool: on, off, true, false, yes, no, 1, 0 */
	VIO_PROPERTY_U8,     /* uint8_t, uint16_t, ...: decimal, or hexadecimal with 0x */
	VIO_PROPERTY_U16,
	VIO_PROPERTY_U32,
	VIO_PROPERTY_U64,
	VIO_PROPERTY_BYTES,  /* uint64_t: a number with an optional K, M, G or T (powers of 1024) */
	VIO_PROPERTY_STRING, /* char[size], NUL-terminated */
	VIO_PROPERTY_CHOICE, /* uint8_t: index into `choices` */
};

/* The property may be changed while the device runs. */
#define VIO_PROPERTY_RUNTIME 1u

struct vio_property {
	const char *name;
	enum vio_property_type type;
	unsigned flags;
	uint32_t offset;            /* of the member in its structure */
	uint32_t size;              /* of a STRING member, in bytes with the NUL */
	uint64_t min, max;          /* of numbers, both included; max 0: as the type allows */
	const char *initial;        /* default, as text; NULL: "", off or 0 */
	const char *const *choices; /* NULL-terminated */
	const char *help;           /* one line, no full stop */
};

struct vio_property_table {
	const struct vio_property *properties;
	unsigned count;
};

/* For .name = "shift", VIO_PROPERTY_MEMBER(struct caesar, shift, VIO_PROPERTY_U8), ... */
#define VIO_PROPERTY_MEMBER(structure, member, kind) \
	.type = (kind), .offset = offsetof(structure, member), .size = sizeof(((structure *)0)->member)

/* The property of that name, or NULL. The name ends at `length` bytes. */
VIO_API const struct vio_property *vio_property_find(const struct vio_property_table *table, const char *name,
						      size_t length);

/* Sets every member in `structure` to its default. A default that doesn't parse is a bug (asserted). */
VIO_API void vio_property_set_defaults(const struct vio_property_table *table, void *structure);

/*
 * Parses `text` into its member. -VIO_EINVAL when it isn't of the type (or no
 * such choice), -VIO_ERANGE when it is outside min..max or too long. The member
 * is unchanged on failure.
 */
VIO_API int vio_property_set(const struct vio_property *property, void *structure, const char *text);

/*
 * Writes the member as text into `to` (always NUL-terminated when size > 0) and
 * returns its length without the NUL; more than `size` - 1 means it was cut.
 */
VIO_API size_t vio_property_get(const struct vio_property *property, const void *structure, char *to,
				size_t size);

/* Smallest and largest value of a number, with the type's limits put in. */
VIO_API uint64_t vio_property_min(const struct vio_property *property);
VIO_API uint64_t vio_property_max(const struct vio_property *property);

#endif
