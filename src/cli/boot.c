/* SPDX-License-Identifier: BSD-3-Clause */

#define _GNU_SOURCE

#include <errno.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/boot.h"

#define SETTING(member) .offset = offsetof(struct boot_settings, member)

static const struct vio_option boot_options[] = {
	{ .name = "device",
	  .letter = 'd',
	  .kind = VIO_OPTION_LIST,
	  .argument = "TYPE[,PROPERTY=VALUE...]",
	  SETTING(devices),
	  .help = "serve a device to the guest; may be repeated (,, stands for a comma)" },
	{ .name = "init",
	  .kind = VIO_OPTION_TEXT,
	  .argument = "SCRIPT",
	  SETTING(init),
	  .help = "run SCRIPT in the guest; its exit status becomes ours" },
	{ .name = "shell",
	  .kind = VIO_OPTION_FLAG,
	  SETTING(shell),
	  .help = "run a shell on this terminal in the guest" },
	{ .name = "kernel",
	  .kind = VIO_OPTION_TEXT,
	  .argument = "PATH",
	  SETTING(kernel),
	  .help = "the kernel; by default the packaged linux.uml" },
	{ .name = "memory",
	  .letter = 'm',
	  .kind = VIO_OPTION_BYTES,
	  .argument = "SIZE",
	  .min = 32ull << 20,
	  .max = 1ull << 40,
	  SETTING(memory),
	  .help = "memory of the guest; by default 256M" },
	{ .name = "root",
	  .kind = VIO_OPTION_TEXT,
	  .argument = "DIR",
	  SETTING(root),
	  .help = "root of the guest, read-only; by default /, this system's own" },
	{ .name = "root-image",
	  .kind = VIO_OPTION_TEXT,
	  .argument = "FILE",
	  SETTING(root_image),
	  .help = "disk image to mount as the guest's root; becomes its first disk" },
	{ .name = "share",
	  .kind = VIO_OPTION_LIST,
	  .argument = "DIR",
	  SETTING(shares),
	  .help = "directory of this system that the guest may write, at the same path; may be repeated" },
	{ .name = "module",
	  .kind = VIO_OPTION_LIST,
	  .argument = "FILE",
	  SETTING(modules),
	  .help = "kernel module to load in the guest; may be repeated" },
	{ .name = "env",
	  .kind = VIO_OPTION_LIST,
	  .argument = "NAME=VALUE",
	  SETTING(environment),
	  .help = "environment variable for the guest's script; may be repeated" },
	{ .name = "append",
	  .kind = VIO_OPTION_LIST,
	  .argument = "WORDS",
	  SETTING(appends),
	  .help = "words for the kernel's command line; may be repeated" },
	{ .name = "vmm-option",
	  .kind = VIO_OPTION_LIST,
	  .argument = "WORDS",
	  SETTING(vmm_options),
	  .help = "words for QEMU's command line; may be repeated" },
	{ .name = "queues",
	  .kind = VIO_OPTION_NUMBER,
	  .argument = "N",
	  .min = 1,
	  .max = 256,
	  SETTING(queues),
	  .help = "request queues of each disk, and pairs of each network device, in QEMU; by default 1" },
	{ .name = "timeout",
	  .kind = VIO_OPTION_NUMBER,
	  .argument = "SECONDS",
	  .min = 1,
	  .max = 1000000,
	  SETTING(timeout_s),
	  .help = "end the guest after so many seconds, with exit status 124" },
	{ .name = "run-dir",
	  .kind = VIO_OPTION_TEXT,
	  .argument = "DIR",
	  SETTING(run_dir),
	  .help = "directory to make for sockets, such as DIR/blk0.sock; by default a temporary one" },
	{ .name = "vmm",
	  .kind = VIO_OPTION_TEXT,
	  .argument = "NAME",
	  SETTING(vmm),
	  .help = "virtual machine monitor: uml (User-Mode Linux), the default, or qemu" },
	{ .name = "vmm-program",
	  .kind = VIO_OPTION_TEXT,
	  .argument = "PATH",
	  SETTING(vmm_program),
	  .help = "which QEMU; by default the qemu-system-x86_64 on PATH" },
	{ .name = "verbose",
	  .letter = 'v',
	  .kind = VIO_OPTION_FLAG,
	  SETTING(verbose),
	  .help = "show the kernel's and the devices' messages" },
	{ .name = "help",
	  .letter = 'h',
	  .kind = VIO_OPTION_FLAG,
	  SETTING(help),
	  .help = "print this help and end" },
};

static const struct vio_option_table boot_option_table = { boot_options, VIO_ARRAY_SIZE(boot_options) };

static const struct boot_vmm *const boot_vmms[] = { &boot_vmm_uml, &boot_vmm_qemu };

const struct vio_option_table *cli_boot_options(void)
{
	return &boot_option_table;
}

/* Looks a program up as a shell does; true with its path in `found`. */
static bool find_program(const char *name, char *found, size_t size)
{
	const char *path = getenv("PATH");

	if (strchr(name, '/'))
		return (size_t)snprintf(found, size, "%s", name) < size && access(found, X_OK) == 0;
	while (path && *path) {
		size_t length = strcspn(path, ":");
		int used = snprintf(found, size, "%.*s/%s", (int)length, path, name);

		if (length && (size_t)used < size && access(found, X_OK) == 0)
			return true;
		path += length + (path[length] == ':');
	}
	return false;
}

/* A kernel that isn't executed comes with an initial file system. */
static int find_kernel_file(struct boot *boot, struct vio_message *message)
{
	char initial[PATH_MAX + 8];

	if (!realpath(boot->settings.kernel, boot->kernel))
		return vio_fail(message, -VIO_ENOENT, "kernel '%s': %s", boot->settings.kernel,
				strerror(errno));
	snprintf(initial, sizeof(initial), "%.*s/initrd", (int)(strrchr(boot->kernel, '/') - boot->kernel),
		 boot->kernel);
	if (access(boot->kernel, R_OK) || access(initial, R_OK))
		return vio_fail(message, -VIO_ENOENT,
				"kernel '%s' has no file 'initrd' beside it; scripts/guest-qemu makes both",
				boot->settings.kernel);
	return 0;
}

/* The monitor's program, where it isn't the kernel itself. */
static int find_monitor(struct boot *boot, struct vio_message *message)
{
	const char *name = boot->settings.vmm_program;

	if (!boot->vmm->program) {
		if (name)
			return vio_fail(message, -VIO_EINVAL,
					"option '--vmm-program': with %s the program is the kernel; see "
					"--kernel",
					boot->vmm->name);
		return 0;
	}
	if (find_program(name ? name : boot->vmm->program, boot->monitor, sizeof(boot->monitor)))
		return 0;
	if (name)
		return vio_fail(message, -VIO_ENOENT, "option '--vmm-program': '%s' can't be executed: %s",
				name, strerror(errno));
	return vio_fail(message, -VIO_ENOENT, "%s is not installed: package qemu-system-x86",
			boot->vmm->program);
}

static int find_vmm(struct boot *boot, struct vio_message *message)
{
	const char *name = boot->settings.vmm;
	const char *kernel = boot->settings.kernel;
	struct stat status;
	int error;

	boot->vmm = NULL;
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(boot_vmms); i++)
		if (strcmp(boot_vmms[i]->name, name) == 0)
			boot->vmm = boot_vmms[i];
	if (!boot->vmm)
		return vio_fail(message, -VIO_EINVAL,
				"option '--vmm': '%s' is not known; there is: uml, qemu", name);
	error = find_monitor(boot, message);
	if (error)
		return error;
	for (unsigned i = 0; !kernel && boot->vmm->kernels[i]; i++)
		if (find_program(boot->vmm->kernels[i], boot->kernel, sizeof(boot->kernel)))
			return 0;
	if (!kernel)
		return vio_fail(
			message, -VIO_ENOENT,
			"no kernel for %s is installed; give --kernel PATH, or install the package %s",
			boot->vmm->name, boot->vmm->package);
	if (boot->vmm->kernel_is_data)
		return find_kernel_file(boot, message);
	if (!find_program(kernel, boot->kernel, sizeof(boot->kernel)))
		return vio_fail(message, -VIO_ENOENT, "kernel '%s' can't be executed: %s", kernel,
				strerror(errno));
	if (stat(boot->kernel, &status) || !S_ISREG(status.st_mode))
		return vio_fail(message, -VIO_EINVAL, "kernel '%s' is no file", kernel);
	return 0;
}

static int check_file(const char *option, const char *path, int mode, bool directory,
		      struct vio_message *message)
{
	struct stat status;

	if (stat(path, &status))
		return vio_fail(message, -VIO_ENOENT, "option '--%s': '%s': %s", option, path,
				strerror(errno));
	if (directory != (bool)S_ISDIR(status.st_mode))
		return vio_fail(message, -VIO_EINVAL, "option '--%s': '%s' is %s directory", option, path,
				directory ? "no" : "a");
	if (access(path, mode))
		return vio_fail(message, -VIO_EACCES, "option '--%s': '%s': %s", option, path,
				strerror(errno));
	return 0;
}

static int check_settings(struct boot *boot, struct vio_message *message)
{
	const struct boot_settings *settings = &boot->settings;
	int error = 0;

	if (!settings->init == !settings->shell)
		return vio_fail(message, -VIO_EINVAL,
				"what shall run in the guest? Give %s --init SCRIPT or --shell",
				settings->init ? "either" : "one of");
	if (settings->root && settings->root_image)
		return vio_fail(message, -VIO_EINVAL, "--root and --root-image exclude each other");
	if (settings->init)
		error = check_file("init", settings->init, R_OK, false, message);
	if (!error && settings->root)
		error = check_file("root", settings->root, R_OK | X_OK, true, message);
	for (unsigned i = 0; !error && i < settings->modules.count; i++)
		error = check_file("module", settings->modules.items[i], R_OK, false, message);
	for (unsigned i = 0; !error && i < settings->shares.count; i++)
		error = check_file("share", settings->shares.items[i], R_OK | W_OK | X_OK, true, message);
	for (unsigned i = 0; !error && i < settings->environment.count; i++) {
		const char *item = settings->environment.items[i];
		size_t name = strspn(item, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");

		if (!name || item[name] != '=' || strchr("0123456789", item[0]))
			error = vio_fail(message, -VIO_EINVAL, "option '--env': '%s' is not NAME=VALUE",
					 item);
	}
	if (error)
		return error;
	if (!find_program("busybox", boot->busybox, sizeof(boot->busybox)))
		return vio_fail(message, -VIO_ENOENT, "busybox is not installed; the guest starts with it");
	return find_vmm(boot, message);
}

static int make_directory(struct boot *boot, struct vio_message *message)
{
	const char *base = getenv("TMPDIR");
	char template[PATH_MAX];
	int made;

	if (boot->settings.run_dir) {
		snprintf(template, sizeof(template), "%s", boot->settings.run_dir);
		made = mkdir(template, 0700);
	} else {
		snprintf(template, sizeof(template), "%s/vireo-boot-XXXXXX", base && *base ? base : "/tmp");
		made = mkdtemp(template) ? 0 : -1;
	}
	if (made)
		return vio_fail(message, vio_error_from_errno(errno), "can't make the directory '%s': %s",
				template, strerror(errno));
	boot->dir_made = true;
	if (!realpath(template, boot->dir)) {
		snprintf(boot->dir, sizeof(boot->dir), "%s", template);
		return vio_fail(message, -VIO_ESYS, "'%s': %s", template, strerror(errno));
	}
	return 0;
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *where)
{
	remove(path);
	return 0;
}

static int start_devices(struct boot *boot, struct vio_message *message)
{
	const struct boot_settings *settings = &boot->settings;
	char text[PATH_MAX + 16];
	size_t used = 9;
	int error = 0;

	if (settings->root_image) {
		memcpy(text, "blk,path=", used);
		for (const char *from = settings->root_image; *from && used < sizeof(text) - 2; from++) {
			text[used++] = *from;
			if (*from == ',')
				text[used++] = ',';
		}
		text[used] = '\0';
		error = boot_device_start(boot, text, message);
	}
	for (unsigned i = 0; !error && i < settings->devices.count; i++)
		error = boot_device_start(boot, settings->devices.items[i], message);
	return error;
}

/* Children tell by signals, and so do those who want us to end. */
static int take_signals(struct boot *boot, struct vio_message *message)
{
	sigset_t signals;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&signals);
	sigaddset(&signals, SIGCHLD);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	sigprocmask(SIG_BLOCK, &signals, &boot->signals_before);
	boot->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (boot->signal_fd < 0)
		return vio_fail(message, -VIO_ESYS, "can't receive signals: %s", strerror(errno));
	return 0;
}

static int boot_all(struct boot *boot)
{
	struct vio_message message = { "" };
	int error = take_signals(boot, &message);
	int status, device_status;

	if (!error)
		error = make_directory(boot, &message);
	if (!error)
		error = start_devices(boot, &message);
	if (!error)
		error = boot_write_init(boot, &message);
	if (!error && boot->vmm->prepare)
		error = boot->vmm->prepare(boot, &message);
	if (!error)
		error = boot_start_vmm(boot, &message);
	status = error ? CLI_FAILED : boot_watch(boot);
	if (error == -VIO_EINVAL)
		status = CLI_USAGE;
	if (*message.text)
		cli_complain(boot->program, 0, "%s", message.text);
	boot_end_vmm(boot);
	device_status = boot_devices_end(boot);
	if (boot->dir_made)
		nftw(boot->dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	return status ? status : device_status;
}

int cli_boot(int argc, char **argv)
{
	struct boot *boot = calloc(1, sizeof(*boot));
	struct boot_device *devices = calloc(BOOT_DEVICES_MAX, sizeof(*devices));
	struct vio_message message;
	int first, status;

	if (!boot || !devices) {
		free(boot);
		free(devices);
		return cli_complain(argv[0], CLI_FAILED, "out of memory");
	}
	boot->program = argv[0];
	boot->devices = devices;
	boot->signal_fd = boot->output.fd = boot->messages.fd = -1;
	boot->settings.memory = 256ull << 20;
	boot->settings.queues = 1;
	boot->settings.vmm = boot_vmms[0]->name;
	first = vio_options_parse(&boot_option_table, &boot->settings, argc, argv, &message);
	if (first < 0) {
		status = cli_complain(argv[0], CLI_USAGE, "%s", message.text);
	} else if (boot->settings.help) {
		cli_print_help("boot");
		status = CLI_OK;
	} else if (first < argc) {
		status =
			cli_complain(argv[0], CLI_USAGE, "'%s' is no option; --help lists them", argv[first]);
	} else {
		int error = check_settings(boot, &message);

		if (error)
			status = cli_complain(argv[0], error == -VIO_EINVAL ? CLI_USAGE : CLI_FAILED, "%s",
					      message.text);
		else
			status = boot_all(boot);
	}
	free(boot);
	free(devices);
	return status;
}
