/* SPDX-License-Identifier: BSD-3-Clause */

#define _GNU_SOURCE

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <vireo/spec/virtio_ids.h>
#include <vireo/vhost_user_frontend.h>

#include "cli/boot.h"

/*
 * QEMU: a machine with a PCI device for each of ours. scripts/guest-qemu makes the kernel and the
 * initial file system, which mounts this system's files by virtiofs and goes on with the program
 * that boot_init.c writes.
 *
 * ttyS0 is the kernel's console, ttyS1 the script's terminal.
 */

#define READY_MS 10000
#define ASK_MS   30000

/* How QEMU calls what it has for a device behind vhost-user. */
struct carrier {
	uint32_t id;
	uint32_t carried_id; /* what the guest sees; QEMU gives no number that the standard has not */
	const char *device;
	bool queues; /* that many can be asked for */
};

static const struct carrier carriers[] = {
	{ VIRTIO_ID_NET, VIRTIO_ID_NET, "virtio-net-pci", true },
	{ VIRTIO_ID_BLOCK, VIRTIO_ID_BLOCK, "vhost-user-blk-pci", true },
	{ VIRTIO_ID_RNG, VIRTIO_ID_RNG, "vhost-user-rng-pci", false },
	{ VIRTIO_ID_INPUT, VIRTIO_ID_INPUT, "vhost-user-input-pci", false },
	{ VIRTIO_ID_ADDER, VIRTIO_ID_I2C, "vhost-user-i2c-pci", false },
};

/* Why there is no way through QEMU for the others, which User-Mode Linux all has. */
static const struct {
	uint32_t id;
	const char *why;
} not_carried[] = {
	{ VIRTIO_ID_CONSOLE, "it leaves no console to a daemon" },
	{ VIRTIO_ID_CAESAR, "what passes a configuration on asks for two queues, and this has one" },
	{ VIRTIO_ID_VSSD, "nothing passes on a configuration as long as this one's" },
};

/* What QEMU says when it fails, and what to do about it. */
static const struct {
	const char *said, *hint;
} hints[] = {
	{ "consider using -object memory-backend",
	  "the guest's memory isn't shared, so no device could see its requests: give the memory-backend-... "
	  "object of --vmm-option share=on, or leave it out" },
	{ "The maximum number of queues supported by the backend is",
	  "the guest is to have more queues than a device offers: ask for less by --queues, or serve it with "
	  "more" },
	{ "asking more queues than supported",
	  "the guest is to have more queues than a device offers: ask for less by --queues, or serve it with "
	  "more" },
	{ "requires kvm",
	  "this version of QEMU leaves input devices to a daemon only where it uses KVM: name a newer one by "
	  "--vmm-program (10.0 will do), or use User-Mode Linux (--vmm uml)" },
};

static const char *qemu_hint(const char *log, size_t length)
{
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(hints); i++)
		if (memmem(log, length, hints[i].said, strlen(hints[i].said)))
			return hints[i].hint;
	return NULL;
}

static const struct carrier *find_carrier(uint32_t id)
{
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(carriers); i++)
		if (carriers[i].id == id)
			return &carriers[i];
	return NULL;
}

uint32_t boot_qemu_carried_id(uint32_t id)
{
	const struct carrier *carrier = find_carrier(id);

	return carrier ? carrier->carried_id : id;
}

/* How many queues the device offers, as QEMU will ask; 0 when it doesn't say. */
static uint64_t queues_offered(const struct boot_device *device)
{
	const struct vio_vhost_user_frontend_options options = {
		.id = device->id,
		.timeout_ms = ASK_MS,
	};
	struct vio_vhost_user_frontend_info info;
	struct vio_vhost_user_mistake mistake;
	struct vio_dev dev = { 0 };
	int fd = vio_vhost_user_frontend_connect(device->socket);

	/* What is wrong with it QEMU finds out, too. */
	if (fd < 0 || vio_vhost_user_frontend_open(fd, &options, &dev, &mistake))
		return 0;
	vio_vhost_user_frontend_get_info(&dev, &info);
	vio_vhost_user_frontend_hang_up(&dev);
	return info.queue_count;
}

/* What QEMU would say about a machine that can't work names neither the device nor the way out. */
static int check_words(const char *words, struct vio_message *message)
{
	const char *backend = strstr(words, "memory-backend-");

	if ((backend && !strstr(backend, "share=on") && !strstr(backend, "share=true")) ||
	    strstr(words, "-mem-path"))
		return vio_fail(message, -VIO_EINVAL,
				"option '--vmm-option': '%s' gives the guest memory that isn't shared, so no "
				"device could see its requests; add share=on to a memory-backend-... object",
				words);
	return 0;
}

static int check_queues(const struct boot *boot, const struct boot_device *device,
			struct vio_message *message)
{
	/* Asked of a network device are pairs, but our daemons count queues. */
	uint64_t asked = boot->settings.queues * (device->id == VIRTIO_ID_NET ? 2 : 1);
	uint64_t offered = queues_offered(device);

	/* Without the feature of many queues it has those of its class. */
	if (!offered)
		offered = device->type->class->queue_count;
	if (asked <= offered)
		return 0;
	return vio_fail(message, -VIO_EINVAL,
			"option '--queues': the guest would ask device %s for %llu queues, it offers %llu; "
			"ask for less, or serve it with more",
			device->name, (unsigned long long)asked, (unsigned long long)offered);
}

static int fail_not_carried(const struct boot_device *device, struct vio_message *message)
{
	const char *why = "it gives daemons few types";

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(not_carried); i++)
		if (not_carried[i].id == device->id)
			why = not_carried[i].why;
	return vio_fail(
		message, -VIO_EINVAL,
		"QEMU has no PCI device that could carry %s (device id %u): %s; it has net, blk, rng, "
		"input and adder, User-Mode Linux has all (--vmm uml)",
		device->name, device->id, why);
}

static int qemu_check(const struct boot *boot, struct vio_message *message)
{
	const struct boot_settings *settings = &boot->settings;
	int error = 0;

	for (unsigned i = 0; !error && i < settings->vmm_options.count; i++)
		error = check_words(settings->vmm_options.items[i], message);
	for (unsigned i = 0; !error && i < boot->device_count; i++) {
		const struct boot_device *device = &boot->devices[i];
		const struct carrier *carrier = find_carrier(device->id);

		if (!carrier)
			return fail_not_carried(device, message);
		if (carrier->queues)
			error = check_queues(boot, device, message);
	}
	return error;
}

static void run_files(const struct boot *boot, pid_t parent, const char *socket_argument)
{
	static const char *const daemons[] = { "/usr/libexec/virtiofsd", "/usr/lib/qemu/virtiofsd" };
	char log[PATH_MAX + 16];

	boot_child_prepare(boot, parent, SIGKILL);
	setpgid(0, 0);
	snprintf(log, sizeof(log), "%s/files.log", boot->dir);
	if (!freopen(log, "we", stderr) || dup2(fileno(stderr), 2) < 0 || dup2(2, 1) < 0)
		_exit(CLI_FAILED);
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(daemons); i++)
		execl(daemons[i], "virtiofsd", socket_argument, "-f", "-o", "source=/", "-o",
		      "sandbox=chroot", "-o", "cache=auto", (char *)NULL);
	_exit(CLI_FAILED);
}

/* The daemon that gives the guest this system's files. */
static int qemu_prepare(struct boot *boot, struct vio_message *message)
{
	const struct timespec moment = { .tv_nsec = 5000000 };
	char argument[PATH_MAX + 64];
	const char *path = argument + strlen("--socket-path=");
	pid_t parent = getpid();
	int error = qemu_check(boot, message);

	if (error)
		return error;
	snprintf(argument, sizeof(argument), "--socket-path=%s/files.sock", boot->dir);
	boot->files_pid = fork();
	if (boot->files_pid == 0)
		run_files(boot, parent, argument);
	if (boot->files_pid < 0) {
		boot->files_pid = 0;
		return vio_fail(message, -VIO_ESYS, "can't start a process: %s", strerror(errno));
	}
	for (int waited = 0; waited < READY_MS; waited += 5) {
		if (access(path, F_OK) == 0)
			return 0;
		if (waitpid(boot->files_pid, NULL, WNOHANG) == boot->files_pid) {
			boot->files_pid = 0;
			break;
		}
		nanosleep(&moment, NULL);
	}
	return vio_fail(message, -VIO_EIO,
			"virtiofsd, which gives the guest its files, didn't start; it needs root, and the "
			"package qemu-system-common or virtiofsd");
}

static bool add_device(char **arguments, const struct boot *boot, unsigned index)
{
	const struct boot_device *device = &boot->devices[index];
	const struct carrier *carrier = find_carrier(device->id);
	unsigned long long queues = boot->settings.queues;

	if (!boot_argument(arguments, "-chardev") ||
	    !boot_argument(arguments, "socket,id=c%u,path=%s", index, device->socket))
		return false;
	/* QEMU 7.2 without hardware help doesn't survive a vhost-user network device with MSI-X. */
	if (device->id == VIRTIO_ID_NET)
		return boot_argument(arguments, "-netdev") &&
		       boot_argument(arguments, "vhost-user,id=n%u,chardev=c%u,queues=%llu", index, index,
				     queues) &&
		       boot_argument(arguments, "-device") &&
		       boot_argument(arguments, "virtio-net-pci,netdev=n%u,vectors=0,mq=%s,romfile=", index,
				     queues > 1 ? "on" : "off");
	if (carrier->queues)
		return boot_argument(arguments, "-device") &&
		       boot_argument(arguments, "%s,chardev=c%u,num-queues=%llu", carrier->device, index,
				     queues);
	return boot_argument(arguments, "-device") &&
	       boot_argument(arguments, "%s,chardev=c%u", carrier->device, index);
}

/* The kernel's command line, allocated. */
static char *kernel_words(const struct boot *boot)
{
	char *words = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&words, &size);

	if (!out)
		return NULL;
	fprintf(out,
		"console=ttyS0 panic=-1 mitigations=off nokaslr random.trust_cpu=on%s vireo.init=%s/init",
		boot->settings.verbose ? "" : " quiet", boot->dir);
	for (unsigned i = 0; i < boot->settings.appends.count; i++)
		fprintf(out, " %s", boot->settings.appends.items[i]);
	fclose(out);
	return words;
}

static bool add_machine(char **arguments, const struct boot *boot)
{
	const struct boot_settings *settings = &boot->settings;
	const char *slash = strrchr(boot->kernel, '/');
	char *words = kernel_words(boot);
	bool fits = words && boot_argument(arguments, "%s", boot->monitor) &&
		    boot_argument(arguments, "-nodefaults") && boot_argument(arguments, "-no-user-config") &&
		    boot_argument(arguments, "-no-reboot") && boot_argument(arguments, "-display") &&
		    boot_argument(arguments, "none") && boot_argument(arguments, "-M") &&
		    boot_argument(arguments, "q35,memory-backend=m0") &&
		    boot_argument(arguments, "-object") &&
		    boot_argument(arguments, "memory-backend-memfd,id=m0,size=%lluK,share=on",
				  (unsigned long long)(settings->memory >> 10)) &&
		    boot_argument(arguments, "-kernel") && boot_argument(arguments, "%s", boot->kernel) &&
		    boot_argument(arguments, "-initrd") &&
		    boot_argument(arguments, "%.*s/initrd", (int)(slash - boot->kernel), boot->kernel) &&
		    boot_argument(arguments, "-append") && boot_argument(arguments, "%s", words) &&
		    boot_argument(arguments, "-chardev") &&
		    boot_argument(arguments, "file,id=kernel,path=/dev/fd/2") &&
		    boot_argument(arguments, "-serial") && boot_argument(arguments, "chardev:kernel") &&
		    boot_argument(arguments, "-chardev") &&
		    boot_argument(arguments, settings->shell ? "stdio,id=script,signal=off"
							     : "file,id=script,path=/dev/fd/1") &&
		    boot_argument(arguments, "-serial") && boot_argument(arguments, "chardev:script") &&
		    boot_argument(arguments, "-chardev") &&
		    boot_argument(arguments, "socket,id=files,path=%s/files.sock", boot->dir) &&
		    boot_argument(arguments, "-device") &&
		    boot_argument(arguments, "vhost-user-fs-pci,chardev=files,tag=vireo-root");

	free(words);
	return fits;
}

static int qemu_command(const struct boot *boot, char **arguments, struct vio_message *message)
{
	const struct boot_settings *settings = &boot->settings;
	bool fits = add_machine(arguments, boot);

	for (unsigned i = 0; fits && i < boot->device_count; i++)
		fits = add_device(arguments, boot, i);
	for (unsigned i = 0; fits && i < settings->vmm_options.count; i++)
		fits = boot_append_words(arguments, settings->vmm_options.items[i]);
	return fits ? 0 : vio_fail(message, -VIO_EINVAL, "QEMU's command line is too long");
}

static const char *const qemu_kernels[] = { NULL };

const struct boot_vmm boot_vmm_qemu = {
	.name = "qemu",
	.kernels = qemu_kernels,
	.package = "qemu-system-x86, and make a kernel by scripts/guest-qemu",
	.program = "qemu-system-x86_64",
	.kernel_is_data = true,
	.terminal = "ttyS1",
	/* The root is read-only by its mount alone. */
	.mount = "host()\n"
		 "{\n"
		 "\t$b mkdir -p /run/vireo/all\n"
		 "\t[ -d /run/vireo/all/proc ] || $b mount -t virtiofs vireo-root /run/vireo/all || return\n"
		 "\t$b mount -o bind \"/run/vireo/all$1\" \"$2\"\n"
		 "\t[ \"$3\" != ro ] || $b mount -o remount,bind,ro \"$2\"\n"
		 "}\n",
	.carried_id = boot_qemu_carried_id,
	.prepare = qemu_prepare,
	.command = qemu_command,
	.hint = qemu_hint,
};
