/* SPDX-License-Identifier: BSD-3-Clause */

#include <string.h>

#include "cli/cli.h"

/*
 * `vireo document WHAT` prints what the manual page and the shell completions
 * generate from the tables: the build runs it, users have no need to.
 */

static void manual_commands(FILE *out)
{
	for (const struct cli_command *command = cli_commands(); command->name; command++) {
		if (command->flags & CLI_HIDDEN)
			continue;
		fputs(".TP\n\\fBvireo ", out);
		vio_manual_text(command->name, out);
		fputs("\\fR ", out);
		vio_manual_text(command->usage, out);
		fputc('\n', out);
		vio_manual_text(command->help, out);
		fputs(".\n", out);
	}
}

static void manual_types(FILE *out)
{
	const struct vio_daemon_type *const *types = vio_daemon_types();

	for (unsigned i = 0; types[i]; i++) {
		fputs(".SS ", out);
		vio_manual_text(types[i]->class->name, out);
		fputc('\n', out);
		vio_manual_text(types[i]->class->summary, out);
		fprintf(out, ", device id %u.\n", types[i]->class->id);
		vio_daemon_manual_properties(types[i], out);
	}
	fputs(".SS All types\nThese have the following properties as well.\n", out);
	vio_daemon_manual_common(out);
}

static int manual_options(const char *name, FILE *out)
{
	const struct cli_command *command = cli_find(name);

	if (!command || !command->options)
		return cli_complain("vireo document", CLI_USAGE, "'%s' is no command with options", name);
	vio_options_manual(command->options(), out);
	return CLI_OK;
}

static void completion_properties(FILE *out)
{
	const struct vio_daemon_type *const *types = vio_daemon_types();

	for (unsigned i = 0; types[i]; i++) {
		const struct vio_property *property;

		fprintf(out, "\tserve:%s)\n\t\twords=\"$words", types[i]->class->name);
		for (unsigned j = 0; (property = vio_daemon_type_property(types[i], j)); j++)
			fprintf(out, " %s=", property->name);
		fputs("\"\n\t\tcompopt -o nospace\n\t\t;;\n", out);
	}
}

static void print_words_of_types(FILE *out)
{
	const struct vio_daemon_type *const *types = vio_daemon_types();

	for (unsigned i = 0; types[i]; i++)
		fprintf(out, "%s%s", i ? " " : "", types[i]->class->name);
}

static bool names_file(const struct vio_option *option)
{
	static const char *const files[] = { "PATH", "FILE", "DIR", "SCRIPT" };

	for (unsigned i = 0; option->argument && i < VIO_ARRAY_SIZE(files); i++)
		if (strcmp(option->argument, files[i]) == 0)
			return true;
	return false;
}

/* The options that files come after, as a pattern. */
static void completion_files(FILE *out)
{
	const char *between = "";

	for (const struct cli_command *command = cli_commands(); command->name; command++) {
		const struct vio_option_table *table = command->options ? command->options() : NULL;

		for (unsigned i = 0; table && i < table->count; i++) {
			if (!names_file(&table->options[i]))
				continue;
			fprintf(out, "%s--%s", between, table->options[i].name);
			between = " | ";
		}
	}
}

static void completion_bash(FILE *out)
{
	fputs("# Completion of the vireo command for bash, generated from its tables.\n"
	      "_vireo()\n{\n"
	      "\tlocal word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} words=\n\n"
	      "\tCOMPREPLY=()\n"
	      "\tif [ \"$COMP_CWORD\" -eq 1 ]; then\n\t\tCOMPREPLY=($(compgen -W \"",
	      out);
	for (const struct cli_command *command = cli_commands(); command->name; command++)
		if (!(command->flags & CLI_HIDDEN))
			fprintf(out, "%s ", command->name);
	fputs("\" -- \"$word\"))\n\t\treturn\n\tfi\n\tcase $before in\n\t", out);
	completion_files(out);
	fputs(")\n\t\tCOMPREPLY=($(compgen -f -- \"$word\"))\n\t\treturn\n\t\t;;\n\tesac\n"
	      "\tcase ${COMP_WORDS[1]} in\n",
	      out);
	for (const struct cli_command *command = cli_commands(); command->name; command++) {
		if (command->flags & CLI_HIDDEN || !command->options)
			continue;
		fprintf(out, "\t%s)\n\t\twords=\"", command->name);
		vio_options_words(command->options(), out);
		fputs("\"\n\t\t;;\n", out);
	}
	fputs("\tesac\n\tcase ${COMP_WORDS[1]}:${COMP_WORDS[2]} in\n", out);
	completion_properties(out);
	fputs("\tesac\n\tcase $COMP_CWORD:${COMP_WORDS[1]} in\n\t2:serve | 2:list)\n\t\twords=\"$words ",
	      out);
	print_words_of_types(out);
	fputs("\"\n\t\t;;\n\tesac\n\tCOMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n}\n"
	      "complete -F _vireo vireo\n",
	      out);
}

int cli_document(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (strcmp(what, "commands") == 0)
		manual_commands(stdout);
	else if (strcmp(what, "types") == 0)
		manual_types(stdout);
	else if (strcmp(what, "options") == 0 && argc > 2)
		return manual_options(argv[2], stdout);
	else if (strcmp(what, "completion-bash") == 0)
		completion_bash(stdout);
	else
		return cli_complain(argv[0], CLI_USAGE,
				    "there are: commands, types, options COMMAND, completion-bash");
	return CLI_OK;
}
