/* SPDX-License-Identifier: BSD-3-Clause */

#include <jansson.h>
#include <string.h>

#include "daemon/daemon.h"

#define DEFAULT_BYTES 256u

#define SETTING(member) .offset = offsetof(struct vio_daemon_settings, member)

static const struct vio_option daemon_options[] = {
	{ .name = "socket-path",
	  .kind = VIO_OPTION_TEXT,
	  .argument = "PATH",
	  SETTING(socket_path),
	  .help = "listen for front ends on a Unix socket at PATH" },
	{ .name = "vfio-user",
	  .kind = VIO_OPTION_TEXT,
	  .argument = "PATH",
	  SETTING(vfio_user_path),
	  .help = "listen for clients of vfio-user on a Unix socket at PATH, and be a whole PCI device" },
	{ .name = "vduse",
	  .kind = VIO_OPTION_TEXT,
	  .argument = "NAME",
	  SETTING(vduse_name),
	  .help = "be the vDPA device NAME of the kernel below, for its own drivers or for vhost-vdpa" },
	{ .name = "vduse-account",
	  .kind = VIO_OPTION_TEXT,
	  .argument = "FILE",
	  SETTING(vduse_account),
	  .help = "keep account of requests in flight in FILE, for the daemon after this one; "
		  "by default /run/vireo/vduse-NAME" },
	{ .name = "fd",
	  .kind = VIO_OPTION_NUMBER,
	  .argument = "N",
	  .max = INT32_MAX,
	  SETTING(fd),
	  .help = "use descriptor N, a listening or a connected socket" },
	{ .name = "control-path",
	  .kind = VIO_OPTION_TEXT,
	  .argument = "PATH",
	  SETTING(control_path),
	  .help = "listen for vireo set, get and status at PATH; by default the socket's path and .control" },
	{ .name = "once",
	  .kind = VIO_OPTION_FLAG,
	  SETTING(once),
	  .help = "end when the first front end is gone" },
	{ .name = "reconnect",
	  .kind = VIO_OPTION_DEFAULT,
	  .help = "wait for the next front end when one is gone; the default" },
	{ .name = "client",
	  .kind = VIO_OPTION_FLAG,
	  SETTING(client),
	  .help = "connect to the front end that listens at the socket's path, and again when it is gone" },
	{ .name = "no-uring",
	  .kind = VIO_OPTION_FLAG,
	  SETTING(no_uring),
	  .help = "use epoll even if there is io_uring" },
	{ .name = "threads",
	  .kind = VIO_OPTION_NUMBER,
	  .argument = "N",
	  .max = 64,
	  SETTING(threads),
	  .help = "spread the queues over N threads beside the main one, for types that can; "
		  "0 is the default" },
	{ .name = "poll-us",
	  .kind = VIO_OPTION_NUMBER,
	  .argument = "N",
	  .max = 1000000,
	  SETTING(poll_us),
	  .help = "look for requests for up to N microseconds before sleeping; 0, the default, sleeps" },
	{ .name = "sandbox",
	  .kind = VIO_OPTION_TEXT,
	  .argument = "on|off",
	  SETTING(sandbox),
	  .help = "give up files, system calls and new code once all is open; on by default" },
	{ .name = "user",
	  .kind = VIO_OPTION_TEXT,
	  .argument = "NAME",
	  SETTING(user),
	  .help = "become this user once all is open, and give the sockets to it" },
	{ .name = "max-memory",
	  .kind = VIO_OPTION_BYTES,
	  .argument = "SIZE",
	  SETTING(max_memory),
	  .help = "refuse memory of front ends beyond SIZE; no limit by default" },
	{ .name = "patience",
	  .kind = VIO_OPTION_NUMBER,
	  .argument = "SECONDS",
	  .max = 86400,
	  SETTING(patience_s),
	  .help = "hang up on who has no queue run and says nothing for so long while another front end "
		  "waits; 10 by default, 0 never" },
	{ .name = "log",
	  .kind = VIO_OPTION_TEXT,
	  .argument = "FILE",
	  SETTING(log_path),
	  .help = "append messages to FILE instead of writing them to standard error" },
	{ .name = "verbose", .letter = 'v', .kind = VIO_OPTION_FLAG, SETTING(verbose), .help = "say more" },
	{ .name = "print-capabilities",
	  .kind = VIO_OPTION_FLAG,
	  SETTING(print_capabilities),
	  .help = "print what the device can do as JSON, as vhost-user's conventions have it, and end" },
	{ .name = "help",
	  .letter = 'h',
	  .kind = VIO_OPTION_FLAG,
	  SETTING(help),
	  .help = "print this help and end" },
	{ .name = "version", .kind = VIO_OPTION_FLAG, SETTING(version), .help = "print the version and end" },
	{ .name = "print-manual", .kind = VIO_OPTION_FLAG, SETTING(print_manual) },
};

VIO_STATIC_ASSERT(VIO_ARRAY_SIZE(daemon_options) + VIO_DAEMON_CONVENTIONS_MAX <= VIO_DAEMON_OPTIONS_MAX,
		  "the options of a type fit");

static const struct vio_option_table daemon_option_table = { daemon_options, VIO_ARRAY_SIZE(daemon_options) };

const struct vio_option_table *vio_daemon_options(void)
{
	return &daemon_option_table;
}

struct vio_option_table vio_daemon_type_options(const struct vio_daemon_type *type,
						struct vio_option *options)
{
	const struct vio_daemon_convention *convention = type->conventions;
	struct vio_option_table table = { options, VIO_ARRAY_SIZE(daemon_options) };

	memcpy(options, daemon_options, sizeof(daemon_options));
	for (unsigned i = 0; convention && convention[i].option && i < VIO_DAEMON_CONVENTIONS_MAX; i++) {
		struct vio_option *option = &options[table.count++];
		bool flag = !convention[i].argument;

		memset(option, 0, sizeof(*option));
		option->name = convention[i].option;
		option->kind = flag ? VIO_OPTION_FLAG : VIO_OPTION_TEXT;
		option->argument = convention[i].argument;
		option->help = "the convention's name for a property below";
		option->offset =
			flag ? offsetof(struct vio_daemon_settings, convention_flags) + i * sizeof(bool)
			     : offsetof(struct vio_daemon_settings, convention_values) + i * sizeof(char *);
	}
	return table;
}

const char *vio_daemon_type_name(const struct vio_daemon_type *type)
{
	return type->vhost_user_type ? type->vhost_user_type : type->class->name;
}

/* What stands for a value of this property; returns the columns used. */
static int print_value_form(const struct vio_property *property, FILE *out)
{
	int used = 0;

	switch (property->type) {
	case VIO_PROPERTY_CHOICE:
		for (unsigned i = 0; property->choices[i]; i++)
			used += fprintf(out, "%s%s", i ? "|" : "", property->choices[i]);
		return used;
	case VIO_PROPERTY_BOOL:
		return fprintf(out, "on|off");
	case VIO_PROPERTY_STRING:
		return fprintf(out, "TEXT");
	case VIO_PROPERTY_BYTES:
		return fprintf(out, "SIZE");
	default:
		return fprintf(out, "N");
	}
}

static void print_property(const struct vio_daemon_type *type, const struct vio_property *property, FILE *out)
{
	char initial[DEFAULT_BYTES];
	int used = fprintf(out, "      %s=", property->name);

	used += print_value_form(property, out);
	if (used >= 27)
		used = fprintf(out, "\n") - 1;
	fprintf(out, "%*s%s", 28 - used, "", property->help ? property->help : "");
	vio_daemon_type_default(type, property, initial, sizeof(initial));
	if (*initial)
		fprintf(out, " [%s]", initial);
	if (property->flags & VIO_PROPERTY_RUNTIME)
		fputs(" (also at run time)", out);
	fputc('\n', out);
}

void vio_daemon_print_help(const struct vio_daemon_type *type, const char *program, FILE *out)
{
	struct vio_option options[VIO_DAEMON_OPTIONS_MAX];
	struct vio_option_table table = vio_daemon_type_options(type, options);
	const struct vio_property *property;

	fprintf(out,
		"usage: %s --socket-path PATH | --vfio-user PATH | --vduse NAME | --fd N [OPTION...] "
		"[PROPERTY=VALUE...]\n\n",
		program);
	if (type->class->summary)
		fprintf(out, "%s: %s\n\n", type->class->name, type->class->summary);
	fputs("options:\n", out);
	vio_options_help(&table, out);
	fputs("\nproperties, with their defaults:\n", out);
	for (unsigned i = 0; (property = vio_daemon_type_property(type, i)); i++)
		print_property(type, property, out);
}

/* `initial` is the default as text; empty when there is none to tell. */
static void manual_property(const struct vio_property *property, const char *initial, FILE *out)
{
	bool number = property->type != VIO_PROPERTY_STRING && property->type != VIO_PROPERTY_CHOICE &&
		      property->type != VIO_PROPERTY_BOOL;

	fputs(".TP\n\\fB", out);
	vio_manual_text(property->name, out);
	fputs("\\fR=\\fI", out);
	print_value_form(property, out);
	fputs("\\fR\n", out);
	vio_manual_sentence(property->help ? property->help : "", out);
	if (*initial) {
		fputs(" Default: ", out);
		vio_manual_text(initial, out);
		fputc('.', out);
	}
	if (number && property->max)
		fprintf(out, " From %llu to %llu.", (unsigned long long)vio_property_min(property),
			(unsigned long long)vio_property_max(property));
	if (property->flags & VIO_PROPERTY_RUNTIME)
		fputs(" Can be changed at run time.", out);
	fputc('\n', out);
}

void vio_daemon_manual_properties(const struct vio_daemon_type *type, FILE *out)
{
	const struct vio_property_table *common = vio_device_common_properties();
	const struct vio_property *property;
	char initial[DEFAULT_BYTES];

	for (unsigned i = 0; (property = vio_daemon_type_property(type, i)); i++) {
		if (vio_property_find(common, property->name, strlen(property->name)))
			continue;
		vio_daemon_type_default(type, property, initial, sizeof(initial));
		manual_property(property, initial, out);
	}
}

void vio_daemon_manual_common(FILE *out)
{
	const struct vio_property_table *table = vio_device_common_properties();

	for (unsigned i = 0; i < table->count; i++)
		manual_property(&table->properties[i],
				table->properties[i].initial ? table->properties[i].initial : "", out);
}

void vio_daemon_print_manual(const struct vio_daemon_type *type, const char *program, FILE *out)
{
	struct vio_option options[VIO_DAEMON_OPTIONS_MAX];
	struct vio_option_table table = vio_daemon_type_options(type, options);

	fputs(".TH \"", out);
	vio_manual_text(program, out);
	fprintf(out, "\" 1 \"\" \"vireo %s\"\n.SH NAME\n", vio_version());
	vio_manual_text(program, out);
	fputs(" \\- ", out);
	vio_manual_text(type->class->summary ? type->class->summary : "a virtio device", out);
	fputs("\n.SH SYNOPSIS\n\\fB", out);
	vio_manual_text(program, out);
	fputs("\\fR \\fB\\-\\-socket\\-path\\fR \\fIPATH\\fR | "
	      "\\fB\\-\\-vfio\\-user\\fR \\fIPATH\\fR | \\fB\\-\\-vduse\\fR \\fINAME\\fR | "
	      "\\fB\\-\\-fd\\fR \\fIN\\fR "
	      "[\\fIOPTION\\fR...] [\\fIPROPERTY\\fR=\\fIVALUE\\fR...]\n.SH DESCRIPTION\n"
	      "Serves the device to a virtual machine monitor over vhost\\-user or vfio\\-user, or to the "
	      "kernel that it runs under by VDUSE.\n"
	      ".SH OPTIONS\n",
	      out);
	vio_options_manual(&table, out);
	fputs(".SH PROPERTIES\n", out);
	vio_daemon_manual_properties(type, out);
	vio_daemon_manual_common(out);
}

int vio_daemon_print_capabilities(const struct vio_daemon_type *type, FILE *out)
{
	const struct vio_daemon_convention *convention = type->conventions;
	json_t *features = json_array();
	json_t *root = json_pack("{s:s,s:o}", "type", vio_daemon_type_name(type), "features", features);
	int error = root ? 0 : -VIO_ENOMEM;

	for (unsigned i = 0; !error && convention && convention[i].option; i++)
		if (json_array_append_new(features, json_string(convention[i].option)))
			error = -VIO_ENOMEM;
	if (!error && (json_dumpf(root, out, JSON_INDENT(2)) || fputc('\n', out) == EOF))
		error = -VIO_EIO;
	json_decref(root);
	return error;
}
