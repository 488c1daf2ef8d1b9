/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdio.h>

#include <vireo/daemon.h>

/* The vireo command: one file a subcommand, listed in main.c. */

#define CLI_OK     0
#define CLI_FAILED 1 /* the world said no */
#define CLI_USAGE  2 /* the command line is wrong */

/* A subcommand. argv[0] is what messages begin with, such as "vireo list". */
struct cli_command {
	const char *name;
	const char *usage; /* what follows the name */
	const char *help;  /* one line */
	int (*run)(int argc, char **argv);
	const struct vio_option_table *(*options)(void); /* NULL: none */
	unsigned flags;
};

#define CLI_HIDDEN 1u /* not in lists */

/* Terminated by one without a name. */
const struct cli_command *cli_commands(void);
const struct cli_command *cli_find(const char *name);

/* Prints "PROGRAM: MESSAGE" and returns the status. */
int cli_complain(const char *program, int status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Usage and options of the command that is running. */
void cli_print_help(const char *name);

/* The type of that name, or NULL after a complaint that suggests another. */
const struct vio_daemon_type *cli_find_type(const char *program, const char *name);

/*
 * control.c: the control socket of a daemon, by the path of its socket or, unless NULL, its own. A
 * descriptor, or -1 after a complaint.
 */
int cli_control_connect(const char *program, const char *socket_path, const char *control_path);
/* Sends "VERB ARGUMENT"; the one line of the answer in `answer`. CLI_OK, or a complaint's status. */
int cli_control_ask(const char *program, int fd, const char *verb, const char *argument, char *answer,
		    size_t size);
/* What follows "ok " in it. */
const char *cli_control_value(const char *answer);

int cli_serve(int argc, char **argv);
int cli_list(int argc, char **argv);
int cli_set(int argc, char **argv);
int cli_get(int argc, char **argv);
int cli_status(int argc, char **argv);
int cli_stat(int argc, char **argv);
int cli_resize(int argc, char **argv);
int cli_boot(int argc, char **argv);
int cli_probe(int argc, char **argv);
int cli_blk(int argc, char **argv);
int cli_rng(int argc, char **argv);
int cli_console(int argc, char **argv);
int cli_adder(int argc, char **argv);
int cli_caesar(int argc, char **argv);
int cli_new(int argc, char **argv);
int cli_document(int argc, char **argv);

const struct vio_option_table *cli_list_options(void);
const struct vio_option_table *cli_control_options(void);
const struct vio_option_table *cli_resize_options(void);
const struct vio_option_table *cli_stat_options(void);
const struct vio_option_table *cli_boot_options(void);
const struct vio_option_table *cli_probe_options(void);
const struct vio_option_table *cli_blk_options(void);
const struct vio_option_table *cli_console_options(void);

#endif
