/* SPDX-License-Identifier: BSD-3-Clause */

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

#define PROGRAM_BYTES 64u

static int cli_help(int argc, char **argv);
static int cli_version(int argc, char **argv);

static const struct cli_command commands[] = {
	{ "serve",
	  "TYPE --socket-path PATH | --vfio-user PATH | --vduse NAME | --fd N [OPTION...] "
	  "[PROPERTY=VALUE...]",
	  "serve a device to a virtual machine monitor over vhost-user", cli_serve, vio_daemon_options, 0 },
	{ "list", "[OPTION...] [TYPE]", "list device types, or one type's properties", cli_list,
	  cli_list_options, 0 },
	{ "boot", "[OPTION...] --init SCRIPT | --shell", "boot a Linux kernel with devices served to it",
	  cli_boot, cli_boot_options, 0 },
	{ "set", "--socket-path PATH NAME=VALUE...", "change properties of a device that is being served",
	  cli_set, cli_control_options, 0 },
	{ "get", "--socket-path PATH NAME...", "print properties of a device that is being served", cli_get,
	  cli_control_options, 0 },
	{ "status", "--socket-path PATH", "print the state of a device that is being served, as JSON",
	  cli_status, cli_control_options, 0 },
	{ "stat", "[OPTION...] SOCKET", "print what a disk that is being served has done, by queue", cli_stat,
	  cli_stat_options, 0 },
	{ "resize", "SOCKET --to SIZE | --cancel",
	  "take space of a vssd disk away from its guest, or give some", cli_resize, cli_resize_options, 0 },
	{ "probe", "[OPTION...] SOCKET | DEVICE",
	  "say what a device is: behind a vhost-user socket, or the kernel's", cli_probe, cli_probe_options,
	  0 },
	{ "blk", "[OPTION...] SOCKET read | write | info", "read or write a disk that is being served",
	  cli_blk, cli_blk_options, 0 },
	{ "rng", "SOCKET BYTES", "read random bytes from a device that is being served", cli_rng, NULL, 0 },
	{ "console", "[OPTION...] SOCKET", "a terminal on a console that is being served", cli_console,
	  cli_console_options, 0 },
	{ "adder", "SOCKET NUMBER", "add one, by a device that is being served", cli_adder, NULL, 0 },
	{ "caesar", "SOCKET encipher | decipher SHIFT", "rotate letters, by a device that is being served",
	  cli_caesar, NULL, 0 },
	{ "new", "device NAME | driver NAME",
	  "begin a device or a driver: write code, manual and test into a folder", cli_new, NULL, 0 },
	{ "help", "[COMMAND [TYPE]]", "explain a command", cli_help, NULL, 0 },
	{ "version", "", "print the version", cli_version, NULL, 0 },
	{ "document", "WHAT", "print generated parts of the documents", cli_document, NULL, CLI_HIDDEN },
	{ .name = NULL },
};

const struct cli_command *cli_commands(void)
{
	return commands;
}

const struct cli_command *cli_find(const char *name)
{
	for (const struct cli_command *command = commands; command->name; command++)
		if (strcmp(command->name, name) == 0)
			return command;
	return NULL;
}

int cli_complain(const char *program, int status, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fprintf(stderr, "%s: ", program);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
	return status;
}

void cli_print_help(const char *name)
{
	const struct cli_command *command = cli_find(name);

	printf("usage: vireo %s %s\n\n%s\n", command->name, command->usage, command->help);
	if (command->options) {
		puts("\noptions:");
		vio_options_help(command->options(), stdout);
	}
}

static int print_overview(FILE *out)
{
	fputs("usage: vireo COMMAND [ARGUMENT...]\n\ncommands:\n", out);
	for (const struct cli_command *command = commands; command->name; command++)
		if (!(command->flags & CLI_HIDDEN))
			fprintf(out, "  %-10s%s\n", command->name, command->help);
	fputs("\n`vireo help COMMAND` explains one, `vireo help serve TYPE` one with its properties.\n", out);
	return out == stdout ? CLI_OK : CLI_USAGE;
}

static int unknown_command(const char *name)
{
	struct vio_nearest nearest = { .word = name, .length = strlen(name) };

	for (const struct cli_command *command = commands; command->name; command++)
		if (!(command->flags & CLI_HIDDEN))
			vio_nearest_offer(&nearest, command->name);
	if (nearest.best)
		return cli_complain("vireo", CLI_USAGE, "command '%s' is not known; did you mean '%s'?", name,
				    nearest.best);
	return cli_complain("vireo", CLI_USAGE, "command '%s' is not known; `vireo help` lists them", name);
}

static int cli_help(int argc, char **argv)
{
	const struct cli_command *command;

	if (argc < 2)
		return print_overview(stdout);
	command = cli_find(argv[1]);
	if (!command)
		return unknown_command(argv[1]);
	if (command->run == cli_serve && argc > 2) {
		char help[] = "--help";
		char *serve[] = { argv[1], argv[2], help, NULL };

		return cli_serve(3, serve);
	}
	cli_print_help(command->name);
	return CLI_OK;
}

static int cli_version(int argc, char **argv)
{
	printf("vireo %s\n", vio_version());
	return CLI_OK;
}

static int run_command(const struct cli_command *command, int argc, char **argv)
{
	char program[PROGRAM_BYTES];

	snprintf(program, sizeof(program), "vireo %s", command->name);
	argv[0] = program;
	return command->run(argc, argv);
}

/* A link named vireo-TYPE serves that type: the conventions' tools run one file without words of ours. */
static int run_by_name(const char *type, int argc, char **argv)
{
	char **arguments = calloc((size_t)argc + 2, sizeof(*arguments));
	int status;

	if (!arguments)
		return cli_complain("vireo", CLI_FAILED, "out of memory");
	arguments[0] = argv[0];
	arguments[1] = (char *)(uintptr_t)type;
	for (int i = 1; i <= argc; i++)
		arguments[i + 1] = argv[i];
	status = run_command(cli_find("serve"), argc + 1, arguments);
	free(arguments);
	return status;
}

int main(int argc, char **argv)
{
	const char *slash = argc ? strrchr(argv[0], '/') : NULL;
	const char *name = slash ? slash + 1 : argc ? argv[0] : "vireo";
	const struct cli_command *command;

	if (strncmp(name, "vireo-", 6) == 0)
		return run_by_name(name + 6, argc, argv);
	if (argc < 2)
		return print_overview(stderr);
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return print_overview(stdout);
	if (strcmp(argv[1], "--version") == 0)
		return cli_version(argc, argv);
	command = cli_find(argv[1]);
	if (!command)
		return unknown_command(argv[1]);
	return run_command(command, argc - 1, argv + 1);
}
