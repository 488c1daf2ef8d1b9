/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/cli.h"

/* Talks to a daemon's control socket, see vireo/daemon.h. */

#define ANSWER_BYTES     16384u
#define ANSWER_TIMEOUT_S 10

struct control_settings {
	const char *socket_path;
	const char *control_path;
	bool help;
};

static const struct vio_option control_options[] = {
	{ .name = "socket-path",
	  .kind = VIO_OPTION_TEXT,
	  .argument = "PATH",
	  .offset = offsetof(struct control_settings, socket_path),
	  .help = "the socket that the device is served on" },
	{ .name = "control-path",
	  .kind = VIO_OPTION_TEXT,
	  .argument = "PATH",
	  .offset = offsetof(struct control_settings, control_path),
	  .help = "its control socket; by default the socket's path with .control added" },
	{ .name = "help",
	  .letter = 'h',
	  .kind = VIO_OPTION_FLAG,
	  .offset = offsetof(struct control_settings, help),
	  .help = "print this help and end" },
};

static const struct vio_option_table control_option_table = { control_options,
							      VIO_ARRAY_SIZE(control_options) };

const struct vio_option_table *cli_control_options(void)
{
	return &control_option_table;
}

int cli_control_connect(const char *program, const char *socket_path, const char *control_path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct timeval timeout = { .tv_sec = ANSWER_TIMEOUT_S };
	char path[512];
	int fd;

	if (control_path)
		snprintf(path, sizeof(path), "%s", control_path);
	else
		snprintf(path, sizeof(path), "%s.control", socket_path);
	if (strlen(path) >= sizeof(address.sun_path)) {
		cli_complain(program, 0, "control socket '%s': the path is longer than %zu bytes", path,
			     sizeof(address.sun_path) - 1);
		return -1;
	}
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0) {
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
		return fd;
	}
	cli_complain(program, 0, "control socket '%s': %s", path,
		     errno == ECONNREFUSED ? "no device is served there any more" : strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

int cli_control_ask(const char *program, int fd, const char *verb, const char *argument, char *answer,
		    size_t size)
{
	char line[2048];
	int length = snprintf(line, sizeof(line), "%s%s%s\n", verb, *argument ? " " : "", argument);
	size_t used = 0;
	char *end = NULL;

	if ((size_t)length >= sizeof(line) || strchr(argument, '\n'))
		return cli_complain(program, CLI_USAGE, "'%.40s...' is too long or more than one line",
				    argument);
	if (send(fd, line, (size_t)length, MSG_NOSIGNAL) != length)
		return cli_complain(program, CLI_FAILED, "the device hung up: %s", strerror(errno));
	while (!end && used < size) {
		ssize_t got = recv(fd, answer + used, size - used, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return cli_complain(program, CLI_FAILED, "no answer: %s",
					    errno == EAGAIN ? "the device is busy" : strerror(errno));
		if (got == 0)
			return cli_complain(program, CLI_FAILED, "the device hung up");
		end = memchr(answer + used, '\n', (size_t)got);
		used += (size_t)got;
	}
	if (!end)
		return cli_complain(program, CLI_FAILED, "the answer is longer than %zu bytes", size);
	*end = '\0';
	if (strncmp(answer, "error ", 6) == 0)
		return cli_complain(program, CLI_FAILED, "%s", answer + 6);
	return CLI_OK;
}

const char *cli_control_value(const char *answer)
{
	return strncmp(answer, "ok ", 3) == 0 ? answer + 3 : "";
}

static int control_run(int argc, char **argv, const char *verb, const char *wanted)
{
	struct control_settings settings = { 0 };
	struct vio_message message;
	char answer[ANSWER_BYTES];
	int first = vio_options_parse(&control_option_table, &settings, argc, argv, &message);
	int status = CLI_OK;
	char nothing[] = "";
	int fd;

	if (first < 0)
		return cli_complain(argv[0], CLI_USAGE, "%s", message.text);
	if (settings.help) {
		cli_print_help(verb);
		return CLI_OK;
	}
	if (!settings.socket_path && !settings.control_path)
		return cli_complain(argv[0], CLI_USAGE,
				    "which device? Give --socket-path PATH as it was given to serve");
	if (wanted && first == argc)
		return cli_complain(argv[0], CLI_USAGE, "%s is missing", wanted);
	if (!wanted && first != argc)
		return cli_complain(argv[0], CLI_USAGE, "'%s' is one argument too many", argv[first]);
	fd = cli_control_connect(argv[0], settings.socket_path, settings.control_path);
	if (fd < 0)
		return CLI_FAILED;
	do {
		status = cli_control_ask(argv[0], fd, verb, wanted ? argv[first] : nothing, answer,
					 sizeof(answer));
		if (!status && *cli_control_value(answer))
			puts(cli_control_value(answer));
	} while (!status && ++first < argc);
	close(fd);
	return status;
}

int cli_set(int argc, char **argv)
{
	return control_run(argc, argv, "set", "NAME=VALUE");
}

int cli_get(int argc, char **argv)
{
	return control_run(argc, argv, "get", "the NAME of a property");
}

int cli_status(int argc, char **argv)
{
	return control_run(argc, argv, "status", NULL);
}
