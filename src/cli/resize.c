/* SPDX-License-Identifier: BSD-3-Clause */

#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"

/* Asks a vssd device for blocks, or gives it some, and watches until that has ended. */

#define REPORT_BYTES  1024u
#define LOOK_MS       50
#define EXIT_ON_TIME  3   /* the guest didn't answer in time, or declined */
#define EXIT_CANCEL   4   /* somebody else cancelled it */
#define EXIT_SIGNALED 130 /* Ctrl-C, as shells have it */

struct resize_settings {
	const char *to;
	const char *control_path;
	bool cancel;
	bool quiet;
	bool help;
};

static const struct vio_option resize_options[] = {
	{ .name = "to",
	  .kind = VIO_OPTION_TEXT,
	  .argument = "SIZE",
	  .offset = offsetof(struct resize_settings, to),
	  .help = "how much of the disk the guest shall have: bytes, or a number with K, M, G or T" },
	{ .name = "cancel",
	  .kind = VIO_OPTION_FLAG,
	  .offset = offsetof(struct resize_settings, cancel),
	  .help = "withdraw the resize that goes on; what was handed back stays so" },
	{ .name = "control-path",
	  .kind = VIO_OPTION_TEXT,
	  .argument = "PATH",
	  .offset = offsetof(struct resize_settings, control_path),
	  .help = "the device's control socket; by default the socket's path with .control added" },
	{ .name = "quiet",
	  .letter = 'q',
	  .kind = VIO_OPTION_FLAG,
	  .offset = offsetof(struct resize_settings, quiet),
	  .help = "show no progress" },
	{ .name = "help",
	  .letter = 'h',
	  .kind = VIO_OPTION_FLAG,
	  .offset = offsetof(struct resize_settings, help),
	  .help = "print this help and end" },
};

static const struct vio_option_table resize_option_table = { resize_options, VIO_ARRAY_SIZE(resize_options) };

const struct vio_option_table *cli_resize_options(void)
{
	return &resize_option_table;
}

struct resize_report {
	char state[16], outcome[16];
	json_int_t unit, total, provisioned, target, unpunched;
};

struct resize {
	const char *program;
	int fd;
	json_int_t begin;
	struct resize_report now;
};

/* Sends "resize ARGUMENT" and takes the report that answers it. */
static int ask(struct resize *resize, const char *argument)
{
	struct resize_report *now = &resize->now;
	const char *state = "", *outcome = "";
	char answer[REPORT_BYTES];
	json_t *root;
	int status = cli_control_ask(resize->program, resize->fd, "resize", argument, answer, sizeof(answer));

	if (status)
		return status;
	root = json_loads(cli_control_value(answer), 0, NULL);
	if (!root || json_unpack(root, "{s:s,s:s,s:I,s:I,s:I,s:I,s:I}", "state", &state, "outcome", &outcome,
				 "unit", &now->unit, "total", &now->total, "provisioned", &now->provisioned,
				 "target", &now->target, "unpunched", &now->unpunched))
		status = cli_complain(resize->program, CLI_FAILED, "the device's answer is no report: %.100s",
				      answer);
	snprintf(now->state, sizeof(now->state), "%s", state);
	snprintf(now->outcome, sizeof(now->outcome), "%s", outcome);
	json_decref(root);
	return status;
}

static void show(const struct resize *resize, bool end)
{
	const struct resize_report *now = &resize->now;
	json_int_t all = now->target - resize->begin, done = now->provisioned - resize->begin;

	/* Once withdrawn, the target is what was reached. */
	if (!all)
		all = done ? done : 1;
	fprintf(stderr, "\r%s: %" JSON_INTEGER_FORMAT " bytes, %d%%%s", now->state,
		now->provisioned * now->unit, (int)(done * 100 / all), end ? "\n" : " ");
	fflush(stderr);
}

/* How it ended. */
static int conclude(const struct resize *resize)
{
	const struct resize_report *now = &resize->now;
	long long bytes = (long long)(now->provisioned * now->unit);

	if (strcmp(now->outcome, "done") == 0) {
		if (now->unpunched)
			fprintf(stderr,
				"%s: the image can't give %lld bytes back; serving it again tries again\n",
				resize->program, (long long)(now->unpunched * now->unit));
		printf("%lld\n", bytes);
		return CLI_OK;
	}
	if (strcmp(now->outcome, "expired") == 0)
		return cli_complain(resize->program, EXIT_ON_TIME,
				    "the guest didn't answer in time; it has %lld bytes now", bytes);
	if (strcmp(now->outcome, "declined") == 0)
		return cli_complain(resize->program, EXIT_ON_TIME,
				    "the guest has nothing more to hand back; it has %lld bytes now", bytes);
	if (strcmp(now->outcome, "cancelled") == 0)
		return cli_complain(resize->program, EXIT_CANCEL, "cancelled; the guest has %lld bytes now",
				    bytes);
	return cli_complain(resize->program, CLI_FAILED, "the map of the image can't be written");
}

static void take_signals(sigset_t *signals)
{
	sigemptyset(signals);
	sigaddset(signals, SIGINT);
	sigaddset(signals, SIGTERM);
	sigprocmask(SIG_BLOCK, signals, NULL);
}

static int watch(struct resize *resize, bool quiet)
{
	const struct timespec pause = { .tv_nsec = LOOK_MS * 1000000L };
	bool interrupted = false;
	sigset_t signals;
	int status;

	take_signals(&signals);
	for (;;) {
		if (!quiet)
			show(resize, false);
		if (strcmp(resize->now.state, "idle") == 0)
			break;
		interrupted = sigtimedwait(&signals, NULL, &pause) > 0 || interrupted;
		status = ask(resize, interrupted ? "cancel" : "");
		if (status)
			return status;
	}
	if (!quiet)
		show(resize, true);
	status = conclude(resize);
	return interrupted && status == EXIT_CANCEL ? EXIT_SIGNALED : status;
}

static int begin(struct resize *resize, const struct resize_settings *settings)
{
	int status = ask(resize, "");

	if (status)
		return status;
	resize->begin = resize->now.provisioned;
	if (!settings->cancel) {
		status = ask(resize, settings->to);
		return status ? status : watch(resize, settings->quiet);
	}
	if (strcmp(resize->now.state, "idle") == 0)
		return cli_complain(resize->program, CLI_FAILED, "no resize goes on");
	status = ask(resize, "cancel");
	return status ? status : CLI_OK;
}

int cli_resize(int argc, char **argv)
{
	struct resize_settings settings = { 0 };
	struct resize resize = { .program = argv[0] };
	struct vio_message message;
	int first = vio_options_parse(&resize_option_table, &settings, argc, argv, &message);
	int status;

	if (first < 0)
		return cli_complain(argv[0], CLI_USAGE, "%s", message.text);
	if (settings.help) {
		cli_print_help("resize");
		return CLI_OK;
	}
	if (!settings.to == !settings.cancel)
		return cli_complain(argv[0], CLI_USAGE, "give either --to SIZE or --cancel");
	if (first == argc && !settings.control_path)
		return cli_complain(argv[0], CLI_USAGE, "which device? Give the SOCKET that it is served on");
	if (first + 1 < argc)
		return cli_complain(argv[0], CLI_USAGE, "'%s' is one argument too many", argv[first + 1]);
	resize.fd = cli_control_connect(argv[0], first < argc ? argv[first] : "", settings.control_path);
	if (resize.fd < 0)
		return CLI_FAILED;
	status = begin(&resize, &settings);
	close(resize.fd);
	return status;
}
