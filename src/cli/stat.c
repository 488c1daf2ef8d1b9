/* SPDX-License-Identifier: BSD-3-Clause */

#include <jansson.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

/* What a device has done, asked of its control socket: see "statistics" in vireo/daemon.h. */

#define ANSWER_BYTES (4u << 20) /* 256 queues with all that there is to tell */

struct stat_settings {
	const char *control_path;
	bool json;
	bool help;
};

static const struct vio_option stat_options[] = {
	{ .name = "json",
	  .kind = VIO_OPTION_FLAG,
	  .offset = offsetof(struct stat_settings, json),
	  .help = "print all of it, with the latency histograms, as JSON" },
	{ .name = "control-path",
	  .kind = VIO_OPTION_TEXT,
	  .argument = "PATH",
	  .offset = offsetof(struct stat_settings, control_path),
	  .help = "the control socket; by default the socket's path with .control added" },
	{ .name = "help",
	  .letter = 'h',
	  .kind = VIO_OPTION_FLAG,
	  .offset = offsetof(struct stat_settings, help),
	  .help = "print this help and end" },
};

static const struct vio_option_table stat_option_table = { stat_options, VIO_ARRAY_SIZE(stat_options) };

const struct vio_option_table *cli_stat_options(void)
{
	return &stat_option_table;
}

static double number(const json_t *object, const char *name)
{
	return (double)json_integer_value(json_object_get(object, name));
}

/* The latency below which that share of the requests stayed, in us: the upper end of a histogram's bar. */
static double quantile_us(const json_t *kind, double share)
{
	const json_t *list = json_object_get(kind, "latency-ns");
	double wanted = number(kind, "requests") * share, seen = 0;
	double from_ns = 0;
	const json_t *bar;
	size_t i;

	json_array_foreach(list, i, bar)
	{
		from_ns = (double)json_integer_value(json_array_get(bar, 0));
		seen += (double)json_integer_value(json_array_get(bar, 1));
		if (seen >= wanted)
			break;
	}
	return from_ns * 2 / 1000;
}

static void print_table(json_t *queues)
{
	json_t *queue, *kind;
	const char *name;
	size_t index;

	printf("%5s %-6s %12s %7s %14s %10s %10s %10s\n", "queue", "kind", "requests", "errors", "bytes",
	       "mean us", "50% < us", "99% < us");
	json_array_foreach(queues, index, queue)
	{
		json_object_foreach(queue, name, kind)
		{
			double requests = number(kind, "requests");

			printf("%5zu %-6s %12.0f %7.0f %14.0f %10.1f %10.1f %10.1f\n", index, name, requests,
			       number(kind, "errors"), number(kind, "bytes"),
			       requests > 0 ? number(kind, "total-ns") / requests / 1000 : 0,
			       quantile_us(kind, 0.5), quantile_us(kind, 0.99));
		}
	}
}

static int stat_print(const char *program, const struct stat_settings *settings, const char *answer)
{
	json_error_t error;
	json_t *queues = json_loads(answer, 0, &error);

	if (!json_is_array(queues)) {
		json_decref(queues);
		return cli_complain(program, CLI_FAILED, "'%.40s' is no answer", answer);
	}
	if (settings->json)
		puts(answer);
	else
		print_table(queues);
	json_decref(queues);
	return CLI_OK;
}

int cli_stat(int argc, char **argv)
{
	struct stat_settings settings = { 0 };
	struct vio_message message;
	int first = vio_options_parse(&stat_option_table, &settings, argc, argv, &message);
	char *answer;
	int fd, status;

	if (first < 0)
		return cli_complain(argv[0], CLI_USAGE, "%s", message.text);
	if (settings.help) {
		cli_print_help("stat");
		return CLI_OK;
	}
	if (first + (settings.control_path ? 0 : 1) != argc)
		return cli_complain(argv[0], CLI_USAGE,
				    "which device? Give one SOCKET, as it was given to serve");
	fd = cli_control_connect(argv[0], argv[first], settings.control_path);
	if (fd < 0)
		return CLI_FAILED;
	answer = malloc(ANSWER_BYTES);
	status = answer ? cli_control_ask(argv[0], fd, "statistics", "", answer, ANSWER_BYTES)
			: cli_complain(argv[0], CLI_FAILED, "out of memory");
	if (!status)
		status = stat_print(argv[0], &settings, cli_control_value(answer));
	free(answer);
	close(fd);
	return status;
}
