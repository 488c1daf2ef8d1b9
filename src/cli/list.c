/* SPDX-License-Identifier: BSD-3-Clause */

#include <inttypes.h>
#include <jansson.h>
#include <stddef.h>
#include <string.h>

#include "cli/cli.h"

struct list_settings {
	bool json;
	bool help;
};

static const struct vio_option list_options[] = {
	{ .name = "json",
	  .kind = VIO_OPTION_FLAG,
	  .offset = offsetof(struct list_settings, json),
	  .help = "print JSON, with everything about every type" },
	{ .name = "help",
	  .letter = 'h',
	  .kind = VIO_OPTION_FLAG,
	  .offset = offsetof(struct list_settings, help),
	  .help = "print this help and end" },
};

static const struct vio_option_table list_option_table = { list_options, VIO_ARRAY_SIZE(list_options) };

const struct vio_option_table *cli_list_options(void)
{
	return &list_option_table;
}

static bool is_number(const struct vio_property *property)
{
	switch (property->type) {
	case VIO_PROPERTY_BOOL:
	case VIO_PROPERTY_STRING:
	case VIO_PROPERTY_CHOICE:
		return false;
	default:
		return true;
	}
}

static const char *type_word(const struct vio_property *property)
{
	switch (property->type) {
	case VIO_PROPERTY_BOOL:
		return "on|off";
	case VIO_PROPERTY_U8:
	case VIO_PROPERTY_U16:
	case VIO_PROPERTY_U32:
	case VIO_PROPERTY_U64:
		return "number";
	case VIO_PROPERTY_BYTES:
		return "size";
	case VIO_PROPERTY_STRING:
		return "text";
	case VIO_PROPERTY_CHOICE:
		return "choice";
	}
	return "?";
}

static void range_text(const struct vio_property *property, char *to, size_t size)
{
	size_t used = 0;

	to[0] = '\0';
	if (property->type == VIO_PROPERTY_CHOICE) {
		for (unsigned i = 0; property->choices[i] && used < size; i++)
			used += (size_t)snprintf(to + used, size - used, "%s%s", i ? "|" : "",
						 property->choices[i]);
	} else if (property->type == VIO_PROPERTY_STRING) {
		snprintf(to, size, "up to %u bytes", property->size - 1);
	} else if (is_number(property) && vio_property_max(property) != UINT64_MAX) {
		snprintf(to, size, "%" PRIu64 " to %" PRIu64, vio_property_min(property),
			 vio_property_max(property));
	}
}

static void print_type(const struct vio_daemon_type *type)
{
	const struct vio_property *property;
	char range[128], initial[256];

	printf("%s: %s (device id %u)\n\n", type->class->name, type->class->summary, type->class->id);
	printf("%-26s%-9s%-12s%-20s%s\n", "PROPERTY", "TYPE", "DEFAULT", "RANGE", "WHAT IT IS");
	for (unsigned i = 0; (property = vio_daemon_type_property(type, i)); i++) {
		range_text(property, range, sizeof(range));
		vio_daemon_type_default(type, property, initial, sizeof(initial));
		printf("%-25s %-8s %-11s %-19s %s%s\n", property->name, type_word(property),
		       *initial ? initial : "-", *range ? range : "-", property->help ? property->help : "",
		       property->flags & VIO_PROPERTY_RUNTIME ? " (also at run time)" : "");
	}
}

static json_t *describe_property(const struct vio_daemon_type *type, const struct vio_property *property)
{
	bool runtime = property->flags & VIO_PROPERTY_RUNTIME;
	char initial[256];
	json_t *object, *choices;

	vio_daemon_type_default(type, property, initial, sizeof(initial));
	object = json_pack("{s:s,s:s,s:s,s:b,s:s}", "name", property->name, "type", type_word(property),
			   "default", initial, "runtime", (int)runtime, "help",
			   property->help ? property->help : "");

	/* JSON numbers of many readers end at 2^53, so limits are text like the values themselves. */
	if (is_number(property)) {
		char text[24];

		snprintf(text, sizeof(text), "%" PRIu64, vio_property_min(property));
		json_object_set_new(object, "min", json_string(text));
		snprintf(text, sizeof(text), "%" PRIu64, vio_property_max(property));
		json_object_set_new(object, "max", json_string(text));
	} else if (property->type == VIO_PROPERTY_STRING) {
		json_object_set_new(object, "max-bytes", json_integer(property->size - 1));
	} else if (property->type == VIO_PROPERTY_CHOICE) {
		choices = json_array();
		for (unsigned i = 0; property->choices[i]; i++)
			json_array_append_new(choices, json_string(property->choices[i]));
		json_object_set_new(object, "choices", choices);
	}
	return object;
}

static json_t *describe_type(const struct vio_daemon_type *type)
{
	const struct vio_property *property;
	json_t *properties = json_array();

	for (unsigned i = 0; (property = vio_daemon_type_property(type, i)); i++)
		json_array_append_new(properties, describe_property(type, property));
	return json_pack("{s:s,s:s,s:i,s:i,s:o}", "name", type->class->name, "summary", type->class->summary,
			 "device-id", (int)type->class->id, "queues", (int)type->class->queue_count,
			 "properties", properties);
}

static int print_json(const struct vio_daemon_type *only)
{
	const struct vio_daemon_type *const *types = vio_daemon_types();
	json_t *root = only ? describe_type(only) : json_array();
	int failed;

	for (unsigned i = 0; !only && types[i]; i++)
		json_array_append_new(root, describe_type(types[i]));
	failed = !root || json_dumpf(root, stdout, JSON_INDENT(2));
	json_decref(root);
	putchar('\n');
	return failed ? CLI_FAILED : CLI_OK;
}

int cli_list(int argc, char **argv)
{
	const struct vio_daemon_type *const *types = vio_daemon_types();
	struct list_settings settings = { 0 };
	const struct vio_daemon_type *only = NULL;
	struct vio_message message;
	int first = vio_options_parse(&list_option_table, &settings, argc, argv, &message);

	if (first < 0)
		return cli_complain(argv[0], CLI_USAGE, "%s", message.text);
	if (settings.help) {
		cli_print_help("list");
		return CLI_OK;
	}
	if (argc - first > 1)
		return cli_complain(argv[0], CLI_USAGE, "one type at a time, not %d", argc - first);
	if (first < argc) {
		only = cli_find_type(argv[0], argv[first]);
		if (!only)
			return CLI_USAGE;
	}
	if (settings.json)
		return print_json(only);
	if (only) {
		print_type(only);
		return CLI_OK;
	}
	for (unsigned i = 0; types[i]; i++)
		printf("%-10s%s\n", types[i]->class->name, types[i]->class->summary);
	return CLI_OK;
}
