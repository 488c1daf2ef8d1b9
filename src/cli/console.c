/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include <vireo/drivers/console.h>

#include "cli/client.h"

/*
 * A terminal: what is typed goes to the console that somebody serves, what that says is shown. Between looks
 * at the keyboard the driver waits for the device, SLICE_NS at most.
 */

#define LEAVE    0x1d /* Ctrl-] */
#define SLICE_NS UINT64_C(10000000)

struct console_settings {
	uint64_t wait_ms;
	bool help;
};

static const struct vio_option console_options[] = {
	{ .name = "wait",
	  .kind = VIO_OPTION_NUMBER,
	  .argument = "MILLISECONDS",
	  .offset = offsetof(struct console_settings, wait_ms),
	  .max = UINT32_MAX,
	  .help = "go on so long after the last output once the input ended; 1000 by default, 0 for ever" },
	{ .name = "help",
	  .letter = 'h',
	  .kind = VIO_OPTION_FLAG,
	  .offset = offsetof(struct console_settings, help),
	  .help = "print this help and end" },
};

static const struct vio_option_table console_option_table = { console_options,
							      VIO_ARRAY_SIZE(console_options) };

const struct vio_option_table *cli_console_options(void)
{
	return &console_option_table;
}

struct terminal {
	struct client client;
	int signals; /* a signalfd */
	sigset_t mask, mask_before;
	int ended_by; /* a signal; 0: none */
	bool typed;   /* the input is a keyboard */
	bool shown;   /* the output is a screen */
	bool left, input_over;
	struct termios before;
	uint16_t cols, rows; /* as the screen was told */
	uint64_t wait_ns, quiet_since;
};

static uint64_t now_ns(const struct terminal *terminal)
{
	const struct vio_platform *platform = terminal->client.dev.platform;

	return platform->now_ns(platform->context);
}

static int write_out(const struct terminal *terminal, const void *from, size_t length)
{
	const char *at = from;

	while (length) {
		ssize_t now = write(STDOUT_FILENO, at, length);

		if (now < 0 && errno == EINTR)
			continue;
		if (now < 0)
			return cli_complain(terminal->client.program, CLI_FAILED,
					    "standard output can't be written: %s", strerror(errno));
		at += now;
		length -= (size_t)now;
	}
	return CLI_OK;
}

/* A device that knows how large its window is: asks the screen to be like that. */
static int follow_size(struct terminal *terminal)
{
	const struct vio_console *console = terminal->client.state;
	char text[32];
	int length;

	if (!terminal->shown || !console->cols || !console->rows ||
	    (console->cols == terminal->cols && console->rows == terminal->rows))
		return CLI_OK;
	terminal->cols = console->cols;
	terminal->rows = console->rows;
	length = snprintf(text, sizeof(text), "\033[8;%u;%ut", console->rows, console->cols);
	return write_out(terminal, text, (size_t)length);
}

/* All that the device has said. */
static int show(struct terminal *terminal)
{
	uint8_t bytes[4096];
	uint32_t got;

	for (;;) {
		int error = vio_console_read(&terminal->client.dev, bytes, sizeof(bytes), &got), status;

		if (error == -VIO_EAGAIN)
			return follow_size(terminal);
		if (error)
			return client_complain(&terminal->client, "read", error);
		terminal->quiet_since = now_ns(terminal);
		status = write_out(terminal, bytes, got);
		if (status)
			return status;
	}
}

/* What was typed, up to Ctrl-] on a keyboard. */
static int pass_on(struct terminal *terminal)
{
	char bytes[1024];
	ssize_t length = read(STDIN_FILENO, bytes, sizeof(bytes));
	const char *leave;
	int error = 0;

	if (length < 0 && (errno == EINTR || errno == EAGAIN))
		return CLI_OK;
	if (length < 0)
		return cli_complain(terminal->client.program, CLI_FAILED, "standard input can't be read: %s",
				    strerror(errno));
	if (!length) {
		terminal->input_over = true;
		terminal->left = terminal->typed; /* nobody sits there any more */
		terminal->quiet_since = now_ns(terminal);
		return CLI_OK;
	}
	leave = terminal->typed ? memchr(bytes, LEAVE, (size_t)length) : NULL;
	if (leave) {
		terminal->left = true;
		length = leave - bytes;
	}
	if (length)
		error = vio_console_write(&terminal->client.dev, bytes, (uint32_t)length);
	return error ? client_complain(&terminal->client, "write", error) : CLI_OK;
}

static int look_at_input(struct terminal *terminal)
{
	const struct vio_console *console = terminal->client.state;
	bool listens = !terminal->input_over && console->present;
	struct pollfd fds[] = { { .fd = terminal->signals, .events = POLLIN },
				{ .fd = listens ? STDIN_FILENO : -1, .events = POLLIN } };
	struct signalfd_siginfo signal;

	if (poll(fds, VIO_ARRAY_SIZE(fds), 0) <= 0)
		return CLI_OK;
	if (fds[0].revents && read(terminal->signals, &signal, sizeof(signal)) == sizeof(signal)) {
		terminal->ended_by = (int)signal.ssi_signo;
		terminal->left = true;
		return CLI_OK;
	}
	return fds[1].revents ? pass_on(terminal) : CLI_OK;
}

static int talk(struct terminal *terminal)
{
	int status = CLI_OK, error;

	terminal->quiet_since = now_ns(terminal);
	while (!status && !terminal->left) {
		status = look_at_input(terminal);
		if (!status)
			status = show(terminal);
		if (status || terminal->left)
			break;
		error = vio_console_wait(&terminal->client.dev, SLICE_NS);
		if (error && error != -VIO_EAGAIN)
			status = client_complain(&terminal->client, "wait", error);
		if (terminal->input_over && terminal->wait_ns &&
		    now_ns(terminal) - terminal->quiet_since >= terminal->wait_ns)
			terminal->left = true;
	}
	return status;
}

/* Signals are read from a file, so that the keyboard is what it was when one ends the program. */
static int prepare(struct terminal *terminal)
{
	struct termios raw;

	terminal->typed = isatty(STDIN_FILENO);
	terminal->shown = isatty(STDOUT_FILENO);
	sigemptyset(&terminal->mask);
	sigaddset(&terminal->mask, SIGINT);
	sigaddset(&terminal->mask, SIGTERM);
	sigaddset(&terminal->mask, SIGHUP);
	sigprocmask(SIG_BLOCK, &terminal->mask, &terminal->mask_before);
	terminal->signals = signalfd(-1, &terminal->mask, SFD_CLOEXEC | SFD_NONBLOCK);
	if (terminal->signals < 0)
		return cli_complain(terminal->client.program, CLI_FAILED, "signals can't be read: %s",
				    strerror(errno));
	if (!terminal->typed)
		return CLI_OK;
	if (tcgetattr(STDIN_FILENO, &terminal->before))
		return cli_complain(terminal->client.program, CLI_FAILED, "the keyboard can't be asked: %s",
				    strerror(errno));
	raw = terminal->before;
	cfmakeraw(&raw);
	if (!tcsetattr(STDIN_FILENO, TCSADRAIN, &raw))
		return CLI_OK;
	return cli_complain(terminal->client.program, CLI_FAILED, "the keyboard can't be made raw: %s",
			    strerror(errno));
}

int cli_console(int argc, char **argv)
{
	struct terminal terminal = { .client = { .program = argv[0] }, .signals = -1 };
	struct console_settings settings = { .wait_ms = 1000 };
	struct vio_message message;
	int first = vio_options_parse(&console_option_table, &settings, argc, argv, &message), status;

	if (first < 0)
		return cli_complain(argv[0], CLI_USAGE, "%s", message.text);
	if (settings.help) {
		cli_print_help("console");
		return CLI_OK;
	}
	if (argc - first != 1)
		return cli_complain(argv[0], CLI_USAGE, "give a SOCKET");
	terminal.wait_ns = settings.wait_ms * UINT64_C(1000000);
	terminal.client.path = argv[first];
	status = client_open(&terminal.client, VIRTIO_ID_CONSOLE, &vio_console_driver);
	if (status)
		return status;
	if (isatty(STDIN_FILENO))
		fprintf(stderr, "%s: connected; Ctrl-] leaves\n", argv[0]);
	status = prepare(&terminal);
	if (!status)
		status = talk(&terminal);
	if (terminal.typed)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &terminal.before);
	client_close(&terminal.client);
	if (terminal.signals >= 0)
		close(terminal.signals);
	sigprocmask(SIG_SETMASK, &terminal.mask_before, NULL);
	if (terminal.ended_by)
		raise(terminal.ended_by);
	return status;
}
