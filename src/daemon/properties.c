/* SPDX-License-Identifier: BSD-3-Clause */

#include <stdlib.h>
#include <string.h>

#include "daemon/daemon.h"

#define NAMES_BYTES 320u

const struct vio_property *vio_daemon_type_property(const struct vio_daemon_type *type, unsigned index)
{
	const struct vio_property_table *backend =
		type->backend_properties ? type->backend_properties() : NULL;
	const struct vio_property_table *tables[] = { backend, &type->class->properties,
						      vio_device_common_properties() };

	for (unsigned t = 0; t < VIO_ARRAY_SIZE(tables); t++) {
		for (unsigned i = 0; tables[t] && i < tables[t]->count; i++) {
			const struct vio_property *property = &tables[t]->properties[i];

			if (t && backend &&
			    vio_property_find(backend, property->name, strlen(property->name)))
				continue;
			if (index-- == 0)
				return property;
		}
	}
	return NULL;
}

size_t vio_daemon_type_default(const struct vio_daemon_type *type, const struct vio_property *property,
			       char *to, size_t size)
{
	size_t length = strlen(property->name);
	void *state = calloc(1, (size_t)type->class->state_bytes + 1);
	void *backend = calloc(1, (size_t)type->backend_bytes + 1);
	struct vio_device device;
	size_t used = 0;

	if (size)
		to[0] = '\0';
	if (state && backend) {
		void *structure = backend;

		vio_device_init(&device, type->class, state);
		if (type->backend_properties)
			vio_property_set_defaults(type->backend_properties(), backend);
		if (!type->backend_properties ||
		    !vio_property_find(type->backend_properties(), property->name, length))
			vio_device_find_property(&device, property->name, length, &structure);
		used = vio_property_get(property, structure, to, size);
	}
	free(backend);
	free(state);
	return used;
}

/* Appends to a list of words; what doesn't fit is left out. */
static void list_append(char *list, size_t size, const char *word)
{
	size_t used = strlen(list);
	size_t length = strlen(word);

	if (used + length + 3 > size)
		return;
	if (used) {
		memcpy(list + used, ", ", 3);
		used += 2;
	}
	memcpy(list + used, word, length + 1);
}

static int property_unknown(struct vio_daemon *daemon, const char *name, size_t length,
			    struct vio_message *message)
{
	struct vio_nearest nearest = { .word = name, .length = length };
	const struct vio_property *known;
	char names[NAMES_BYTES] = "";
	char hint[64] = "";

	for (unsigned i = 0; (known = vio_daemon_type_property(daemon->type, i)); i++) {
		list_append(names, sizeof(names), known->name);
		vio_nearest_offer(&nearest, known->name);
	}
	if (nearest.best)
		snprintf(hint, sizeof(hint), " (did you mean '%s'?)", nearest.best);
	return vio_fail(message, -VIO_ENOENT, "property '%.*s' is not known%s; %s has: %s",
			(int)(length > 64 ? 64 : length), name, hint, daemon->type->class->name, names);
}

static int property_malformed(const struct vio_property *property, const char *text,
			      struct vio_message *message)
{
	char choices[NAMES_BYTES] = "";

	switch (property->type) {
	case VIO_PROPERTY_BOOL:
		return vio_fail(message, -VIO_EINVAL, "property '%s': '%.64s' is neither on nor off",
				property->name, text);
	case VIO_PROPERTY_BYTES:
		return vio_fail(
			message, -VIO_EINVAL,
			"property '%s': '%.64s' is not a size; write a number with K, M, G or T, such as 64M",
			property->name, text);
	case VIO_PROPERTY_CHOICE:
		for (unsigned i = 0; property->choices[i]; i++)
			list_append(choices, sizeof(choices), property->choices[i]);
		return vio_fail(message, -VIO_EINVAL, "property '%s': '%.64s' is not one of %s",
				property->name, text, choices);
	case VIO_PROPERTY_STRING:
		return vio_fail(message, -VIO_EINVAL, "property '%s': '%.64s' can't be its text",
				property->name, text);
	default:
		return vio_fail(message, -VIO_EINVAL, "property '%s': '%.64s' is not a number",
				property->name, text);
	}
}

static int property_out_of_range(const struct vio_property *property, const char *text,
				 struct vio_message *message)
{
	if (property->type == VIO_PROPERTY_STRING)
		return vio_fail(message, -VIO_ERANGE,
				"property '%s': the text is %zu bytes long, at most %u fit", property->name,
				strlen(text), property->size - 1);
	return vio_fail(message, -VIO_ERANGE, "property '%s': %.64s is out of range, %llu to %llu%s",
			property->name, text, (unsigned long long)vio_property_min(property),
			(unsigned long long)vio_property_max(property),
			property->type == VIO_PROPERTY_BYTES ? " bytes" : "");
}

static const struct vio_property *backend_find(struct vio_daemon *daemon, const char *name, size_t length)
{
	const struct vio_daemon_type *type = daemon->type;

	return type->backend_properties ? vio_property_find(type->backend_properties(), name, length) : NULL;
}

static int property_set(struct vio_daemon *daemon, const char *name, size_t length, const char *text,
			struct vio_message *message)
{
	const struct vio_property *property = backend_find(daemon, name, length);
	int error;

	if (property) {
		error = daemon->opened ? -VIO_EPHASE : vio_property_set(property, daemon->backend, text);
		/* "readonly" concerns both. */
		if (!error && vio_device_find_property(&daemon->device, name, length, NULL))
			error = vio_device_set_property(&daemon->device, name, length, text);
	} else {
		property = vio_device_find_property(&daemon->device, name, length, NULL);
		if (!property)
			return property_unknown(daemon, name, length, message);
		error = vio_device_set_property(&daemon->device, name, length, text);
	}
	switch (error) {
	case 0:
		return 0;
	case -VIO_EINVAL:
		return property_malformed(property, text, message);
	case -VIO_ERANGE:
		return property_out_of_range(property, text, message);
	case -VIO_EPHASE:
		return vio_fail(message, error, "property '%s' can't be changed while the device is served",
				property->name);
	default:
		return vio_fail(message, error, "property '%s': %s", property->name, vio_strerror(error));
	}
}

int vio_daemon_set(struct vio_daemon *daemon, const char *assignment, struct vio_message *message)
{
	const char *equals = strchr(assignment, '=');

	if (!equals || equals == assignment)
		return vio_fail(message, -VIO_EINVAL, "'%.64s' is not a property; write NAME=VALUE",
				assignment);
	return property_set(daemon, assignment, (size_t)(equals - assignment), equals + 1, message);
}

int vio_daemon_get(struct vio_daemon *daemon, const char *name, char *to, size_t size,
		   struct vio_message *message)
{
	size_t length = strlen(name);
	void *structure = daemon->backend;
	const struct vio_property *property = backend_find(daemon, name, length);

	if (!property)
		property = vio_device_find_property(&daemon->device, name, length, &structure);
	if (!property)
		return property_unknown(daemon, name, length, message);
	vio_property_get(property, structure, to, size);
	return 0;
}
