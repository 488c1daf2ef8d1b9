/* SPDX-License-Identifier: BSD-3-Clause */

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "cli/client.h"

struct probe_settings {
	const char *type;
	uint64_t id;
	bool json;
	bool help;
};

static const struct vio_option probe_options[] = {
	{ .name = "type",
	  .kind = VIO_OPTION_TEXT,
	  .argument = "NAME",
	  .offset = offsetof(struct probe_settings, type),
	  .help = "what the device is (blk, rng, net, ...), so that its bits and fields have names" },
	{ .name = "id",
	  .kind = VIO_OPTION_NUMBER,
	  .argument = "N",
	  .max = UINT32_MAX,
	  .offset = offsetof(struct probe_settings, id),
	  .help = "the same as a virtio device id" },
	{ .name = "json",
	  .kind = VIO_OPTION_FLAG,
	  .offset = offsetof(struct probe_settings, json),
	  .help = "print JSON" },
	{ .name = "help",
	  .letter = 'h',
	  .kind = VIO_OPTION_FLAG,
	  .offset = offsetof(struct probe_settings, help),
	  .help = "print this help and end" },
};

static const struct vio_option_table probe_option_table = { probe_options, VIO_ARRAY_SIZE(probe_options) };

const struct vio_option_table *cli_probe_options(void)
{
	return &probe_option_table;
}

json_t *client_json_number(uint64_t value)
{
	char text[24];

	if (value <= INT64_MAX)
		return json_integer((json_int_t)value);
	snprintf(text, sizeof(text), "%" PRIu64, value);
	return json_string(text);
}

json_t *client_bits(uint64_t set, const struct client_type *type,
		    const char *(*name_of)(const struct client_type *type, unsigned bit))
{
	json_t *names = json_array();
	char text[16];

	for (unsigned bit = 0; bit < 64; bit++) {
		const char *name;

		if (!(set >> bit & 1))
			continue;
		name = name_of(type, bit);
		snprintf(text, sizeof(text), "bit %u", bit);
		json_array_append_new(names, json_string(name ? name : text));
	}
	return names;
}

static json_t *field_value(const struct client_type *type, const struct client_field *field,
			   const uint8_t *bytes)
{
	const char *name;
	uint64_t value = 0;
	char text[3 * 8 + 1] = "";

	if (field->width > 8)
		return json_null();
	for (unsigned i = 0; i < field->width; i++) {
		value |= (uint64_t)bytes[i] << (8 * i);
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%02x", i ? ":" : "", bytes[i]);
	}
	if (field->width & (field->width - 1))
		return json_string(text);
	name = client_value_name(type, field, value);
	return name ? json_string(name) : client_json_number(value);
}

/* Fields of features that aren't offered mean nothing; what can't be read is left out. */
static json_t *config(struct client *client, const struct client_type *type)
{
	const struct vio_features features = client->dev.transport->get_features(&client->dev);
	json_t *object = json_object();
	uint8_t bytes[8];

	for (const struct client_field *field = type->fields; field->name; field++)
		if ((field->feature < 0 || vio_features_has(&features, (unsigned)field->feature)) &&
		    field->width <= sizeof(bytes) &&
		    !client->dev.transport->read_config(&client->dev, field->offset, bytes, field->width))
			json_object_set_new(object, field->name, field_value(type, field, bytes));
	return object;
}

static json_t *look(struct client *client)
{
	const struct client_type *type = client_type_by_id(client->dev.id);
	json_t *report = json_object(), *fields;

	if (type)
		json_object_set_new(report, "type", json_string(type->name));
	if (client->dev.id)
		json_object_set_new(report, "id", json_integer(client->dev.id));
	client->link->report(&client->dev, type, report);
	fields = type ? config(client, type) : NULL;
	/* A back end that has no configuration to tell has none of its fields. */
	if (fields && (json_object_size(fields) || !type->fields->name))
		json_object_set(report, "config", fields);
	json_decref(fields);
	return report;
}

static void print_value(const char *key, const json_t *value)
{
	if (json_is_string(value))
		printf("%-32s%s\n", key, json_string_value(value));
	else
		printf("%-32s%" JSON_INTEGER_FORMAT "\n", key, json_integer_value(value));
}

static void print_report(json_t *report)
{
	const char *key, *inner;
	json_t *value, *item;
	size_t index;

	json_object_foreach(report, key, value)
	{
		if (json_is_array(value)) {
			printf("%-31s", key);
			json_array_foreach(value, index, item) printf(" %s", json_string_value(item));
			putchar('\n');
		} else if (json_is_object(value)) {
			json_object_foreach(value, inner, item) print_value(inner, item);
		} else {
			print_value(key, value);
		}
	}
}

static int choose_id(const char *program, const struct probe_settings *settings, uint32_t *id)
{
	const struct client_type *type;
	struct vio_nearest nearest;
	const char *name;

	*id = (uint32_t)settings->id;
	if (!settings->type)
		return CLI_OK;
	if (settings->id)
		return cli_complain(program, CLI_USAGE, "--type and --id say the same: give one of them");
	type = client_type_by_name(settings->type);
	if (type) {
		*id = type->id;
		return CLI_OK;
	}
	nearest = (struct vio_nearest){ .word = settings->type, .length = strlen(settings->type) };
	for (unsigned i = 0; (name = client_type_name(i)); i++)
		vio_nearest_offer(&nearest, name);
	return cli_complain(program, CLI_USAGE, "--type '%s' is not known; %s%s%s", settings->type,
			    nearest.best ? "did you mean '" : "give --id N", nearest.best ? nearest.best : "",
			    nearest.best ? "'?" : "");
}

int cli_probe(int argc, char **argv)
{
	struct client client = { .program = argv[0] };
	struct probe_settings settings = { 0 };
	struct vio_message message;
	int first = vio_options_parse(&probe_option_table, &settings, argc, argv, &message), status;
	json_t *report;
	uint32_t id;

	if (first < 0)
		return cli_complain(argv[0], CLI_USAGE, "%s", message.text);
	if (settings.help) {
		cli_print_help("probe");
		return CLI_OK;
	}
	if (argc - first != 1)
		return cli_complain(
			argv[0], CLI_USAGE,
			"give one SOCKET, the path that a device is served on, or one DEVICE such as "
			"/dev/vhost-vdpa-0");
	status = choose_id(argv[0], &settings, &id);
	if (status)
		return status;
	client.path = argv[first];
	status = client_open(&client, id, NULL);
	if (status)
		return status;
	report = look(&client);
	client_close(&client);
	if (settings.json) {
		json_dumpf(report, stdout, JSON_INDENT(2));
		putchar('\n');
	} else {
		print_report(report);
	}
	json_decref(report);
	return CLI_OK;
}
