/* SPDX-License-Identifier: BSD-3-Clause */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
	"usage: %s [OPTION]...\n"
	"What it costs a driver and a device to exchange buffers over a ring, in ns per buffer.\n"
	"\n"
	"  --list          name the cases and end\n"
	"  --only PATTERN  only cases whose name matches, with * and ?; may be given again\n"
	"  --rounds N      measure each case N times, all of them in turn (9)\n"
	"  --ms N          so many milliseconds at a time (4)\n"
	"  --cores A,B     pin the driver to core A and the device to core B (0,1)\n"
	"  --realtime      run before all else on those cores; takes a privilege\n"
	"  --json          print JSON instead of a table\n"
	"  --plot FILE     draw a picture as well, in SVG\n"
	"  --help          say this\n"
	"\n"
	"A name is FORMAT[+FEATURE]/WHO/HOW/wWINDOW/bBATCH; docs/benchmarks.md says what it means.\n";

static bool complain(const char *program, const char *option, const char *value, const char *wanted)
{
	fprintf(stderr, "%s: --%s '%s': %s\n", program, option, value, wanted);
	return false;
}

/* A whole number up to `max`; NULL or where it ends. */
static const char *parse_number(const char *text, unsigned long max, unsigned long *value)
{
	char *end;

	if (*text < '0' || *text > '9')
		return NULL;
	errno = 0;
	*value = strtoul(text, &end, 10);
	return errno || *value > max ? NULL : end;
}

static bool parse_count(const char *program, const char *option, const char *text, unsigned *value)
{
	unsigned long number;
	const char *end = parse_number(text, 1000, &number);

	if (!end || *end || !number)
		return complain(program, option, text, "give a number from 1 to 1000");
	*value = (unsigned)number;
	return true;
}

static bool parse_cores(const char *program, const char *text, struct bench_cores *cores)
{
	unsigned long driver, device;
	const char *end = parse_number(text, CPU_SETSIZE - 1, &driver);
	cpu_set_t set;

	if (!end || *end != ',' || !(end = parse_number(end + 1, CPU_SETSIZE - 1, &device)) || *end)
		return complain(program, "cores", text, "give two numbers of cores, as in 0,1");
	if (sched_getaffinity(0, sizeof(set), &set) || !CPU_ISSET(driver, &set) || !CPU_ISSET(device, &set))
		return complain(program, "cores", text,
				"there is no such core, or this process may not use it");
	cores->driver = (int)driver;
	cores->device = (int)device;
	return true;
}

static void default_cores(struct bench_cores *cores)
{
	cpu_set_t set;
	int core, found = 0;

	cores->driver = cores->device = -1;
	if (sched_getaffinity(0, sizeof(set), &set))
		return;
	for (core = 0; core < CPU_SETSIZE && found < 2; core++)
		if (CPU_ISSET(core, &set))
			*(found++ ? &cores->device : &cores->driver) = core;
	if (found < 2)
		cores->device = cores->driver;
}

static bool take_option(struct options *o, int option, const char *program)
{
	switch (option) {
	case 'l':
		o->list = true;
		return true;
	case 'o':
		if (o->only_count == OPTIONS_ONLY_MAX)
			return complain(program, "only", optarg, "too many of them");
		o->only[o->only_count++] = optarg;
		return true;
	case 'r':
		return parse_count(program, "rounds", optarg, &o->rounds);
	case 'm':
		return parse_count(program, "ms", optarg, &o->time_ms);
	case 'c':
		return parse_cores(program, optarg, &o->cores);
	case 'R':
		o->cores.realtime = true;
		return true;
	case 'j':
		o->json = true;
		return true;
	case 'p':
		if (!*optarg)
			return complain(program, "plot", optarg, "give the name of a file");
		o->plot = optarg;
		return true;
	default:
		return false; /* getopt_long() has said why */
	}
}

static bool may_run_first(const char *program)
{
	struct sched_param param = { .sched_priority = 5 }, normal = { .sched_priority = 0 };

	if (sched_setscheduler(0, SCHED_FIFO, &param)) {
		fprintf(stderr, "%s: --realtime: %s; run it as root, or without\n", program, strerror(errno));
		return false;
	}
	sched_setscheduler(0, SCHED_OTHER, &normal);
	return true;
}

bool options_parse(struct options *options, int argc, char **argv, int *status)
{
	static const struct option table[] = {
		{ "list", no_argument, NULL, 'l' },         { "only", required_argument, NULL, 'o' },
		{ "rounds", required_argument, NULL, 'r' }, { "ms", required_argument, NULL, 'm' },
		{ "cores", required_argument, NULL, 'c' },  { "realtime", no_argument, NULL, 'R' },
		{ "json", no_argument, NULL, 'j' },         { "plot", required_argument, NULL, 'p' },
		{ "help", no_argument, NULL, 'h' },         { NULL, 0, NULL, 0 },
	};
	int option;

	*options = (struct options){ .rounds = 9, .time_ms = 4 };
	default_cores(&options->cores);
	*status = 2;
	while ((option = getopt_long(argc, argv, "", table, NULL)) != -1) {
		if (option == 'h') {
			*status = printf(usage, argv[0]) < 0;
			return false;
		}
		if (!take_option(options, option, argv[0])) {
			fprintf(stderr, "%s --help says what there is\n", argv[0]);
			return false;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "%s: '%s': there are only options; is --only missing before it?\n", argv[0],
			argv[optind]);
		return false;
	}
	return !options->cores.realtime || may_run_first(argv[0]);
}
