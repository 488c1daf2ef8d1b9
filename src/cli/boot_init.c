/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/boot.h"

/*
 * The guest's first program, a shell script in our directory. It sees this
 * system's files read-only and makes a guest of that: kernel file systems, modules,
 * memory over /run and /tmp, the shared directories; then it runs the user's script
 * and leaves the exit status in our directory, where boot_run.c finds it.
 */

/* What doesn't depend on the command line. The functions are called by what write_body() adds. */
static const char prologue[] =
	"export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
	"export HOME=/tmp TERM=${TERM:-linux}\n"
	"root=\n"
	"status=125\n"
	"cd /\n"
	"\n"
	"finish()\n"
	"{\n"
	"\tcd /run/vireo/host\n"
	"\tfor name in /proc /sys /dev /run /tmp ''; do\n"
	"\t\t[ -z \"$root\" ] || $b umount \"$root$name\"\n"
	"\tdone 2>/dev/null\n"
	"\t$b sync\n"
	"\techo $status >status.new && $b mv status.new status\n"
	"\t$b sync\n"
	"\t$b poweroff -f\n"
	"}\n"
	"\n"
	"broken()\n"
	"{\n"
	"\techo \"vireo boot: in the guest: $*\" >&2\n"
	"\tfinish\n"
	"}\n"
	"\n"
	"$b mount -t proc proc /proc\n"
	"$b mount -t sysfs sysfs /sys\n"
	"[ -e /dev/tty0 ] || $b mount -t devtmpfs devtmpfs /dev\n"
	"exec </dev/$tty >/dev/$tty 2>&1\n"
	"$b mkdir -p /dev/pts /dev/shm\n"
	"$b mount -t devpts devpts /dev/pts 2>/dev/null\n"
	"$b mount -t tmpfs -o mode=1777 tmpfs /dev/shm\n"
	"$b mount -t debugfs debugfs /sys/kernel/debug 2>/dev/null\n"
	"$b mount -t tmpfs -o mode=755 tmpfs /run\n"
	"$b mkdir -p /run/vireo/host /run/vireo/root\n"
	"host \"$dir\" /run/vireo/host rw\n"
	"\n"
	"# The packaged kernel has its modules beside those of this system.\n"
	"if [ -d \"/usr/lib/uml/modules/$($b uname -r)\" ]; then\n"
	"\t$b mkdir -p /run/vireo/modules/lib\n"
	"\t$b ln -s /usr/lib/uml/modules /run/vireo/modules/lib/modules\n"
	"\tfor name in /usr/sbin/modprobe /sbin/modprobe; do\n"
	"\t\t[ -x $name ] || continue\n"
	"\t\t$name -d /run/vireo/modules -q -a $($b cat /sys/bus/virtio/devices/*/modalias)\n"
	"\t\tbreak\n"
	"\tdone 2>/dev/null\n"
	"fi\n"
	"\n";

/* Makes of $root, where something is mounted, what the script can live in. */
static const char enter_root[] = "for name in proc sys dev run tmp; do\n"
				 "\t[ -d \"$root/$name\" ] || broken \"the root has no directory /$name\"\n"
				 "done\n"
				 "$b mount -t proc proc \"$root/proc\"\n"
				 "$b mount -t sysfs sysfs \"$root/sys\"\n"
				 "$b mount -o bind /dev \"$root/dev\"\n"
				 "$b mount -o bind /run \"$root/run\"\n"
				 "$b mount -t tmpfs -o mode=1777 tmpfs \"$root/tmp\"\n";

/* A word that the shell takes as it is. */
static void write_quoted(const char *word, FILE *out)
{
	fputc('\'', out);
	for (; *word; word++) {
		if (*word == '\'')
			fputs("'\\''", out);
		else
			fputc(*word, out);
	}
	fputc('\'', out);
}

/* Paths in the guest are absolute: its working directory isn't ours. */
static void write_path(const char *path, FILE *out)
{
	char absolute[PATH_MAX];

	write_quoted(realpath(path, absolute) ? absolute : path, out);
}

/* A driver of ours, virtio_TYPE.ko, is told the number under which its device travels. */
static void write_carried(const struct boot *boot, const char *module, FILE *out)
{
	const char *slash = strrchr(module, '/');
	char name[64];

	for (unsigned i = 0; boot->vmm->carried_id && i < boot->device_count; i++) {
		const struct boot_device *device = &boot->devices[i];
		uint32_t id = boot->vmm->carried_id(device->id);

		snprintf(name, sizeof(name), "virtio_%s.ko", device->type->class->name);
		if (id != device->id && strcmp(slash ? slash + 1 : module, name) == 0) {
			fprintf(out, " id=%u", id);
			return;
		}
	}
}

static void write_modules(const struct boot *boot, FILE *out)
{
	for (unsigned i = 0; i < boot->settings.modules.count; i++) {
		fputs("$b insmod ", out);
		write_path(boot->settings.modules.items[i], out);
		write_carried(boot, boot->settings.modules.items[i], out);
		fputs(" || broken can\\'t load module ", out);
		write_quoted(boot->settings.modules.items[i], out);
		fputc('\n', out);
	}
}

static void write_shares(const struct boot *boot, FILE *out)
{
	for (unsigned i = 0; i < boot->settings.shares.count; i++) {
		const char *path = boot->settings.shares.items[i];

		fputs("share=", out);
		write_path(path, out);
		fputs("\n$b mkdir -p \"$root$share\" && "
		      "host \"$share\" \"$root$share\" rw || "
		      "broken \"can't share $share\"\n",
		      out);
	}
}

static void write_root(const struct boot *boot, FILE *out)
{
	if (boot->settings.root_image) {
		fputs("root=/run/vireo/root\n"
		      "$b mount /dev/vda \"$root\" || { root=; broken \"can't mount the root image\"; }\n",
		      out);
		fputs(enter_root, out);
	} else if (boot->settings.root && strcmp(boot->settings.root, "/") != 0) {
		fputs("root=/run/vireo/root\nhost ", out);
		write_path(boot->settings.root, out);
		fputs(" \"$root\" ro || { root=; broken \"can't mount the root directory\"; }\n", out);
		fputs(enter_root, out);
	} else {
		fputs("$b mount -t tmpfs -o mode=1777 tmpfs /tmp\n", out);
	}
}

static void write_body(const struct boot *boot, FILE *out)
{
	const struct boot_settings *settings = &boot->settings;

	fprintf(out, "#!%s sh\nb=%s\ndir=", boot->busybox, boot->busybox);
	write_quoted(boot->dir, out);
	fputc('\n', out);
	fprintf(out, "tty=%s\n%s\n", boot->vmm->terminal, boot->vmm->mount);
	fputs(prologue, out);
	if (settings->init)
		fputs("$b stty -opost -echo\n", out);
	if (settings->init) {
		fputs("$b cp ", out);
		write_path(settings->init, out);
		fputs(" /run/vireo/script && $b chmod 755 /run/vireo/script || "
		      "broken \"can't copy the script\"\n",
		      out);
	}
	write_modules(boot, out);
	write_root(boot, out);
	write_shares(boot, out);
	for (unsigned i = 0; i < settings->environment.count; i++) {
		const char *value = strchr(settings->environment.items[i], '=') + 1;

		fprintf(out, "export %.*s", (int)(value - settings->environment.items[i]),
			settings->environment.items[i]);
		write_quoted(value, out);
		fputc('\n', out);
	}
	fputs("enter=\n[ -z \"$root\" ] || enter=\"$b chroot $root\"\n", out);
	if (settings->init)
		fputs("$enter /run/vireo/script\nstatus=$?\n", out);
	else
		fputs("$b cp $b /run/vireo/sh\n$b setsid -c $enter /run/vireo/sh\nstatus=$?\n", out);
	fputs("finish\n", out);
}

int boot_write_init(struct boot *boot, struct vio_message *message)
{
	char path[PATH_MAX + 8];
	FILE *out;
	int failed;

	snprintf(path, sizeof(path), "%s/init", boot->dir);
	out = fopen(path, "we");
	if (!out)
		return vio_fail(message, -VIO_EIO, "can't write '%s': %s", path, strerror(errno));
	write_body(boot, out);
	failed = ferror(out);
	if (fclose(out) || failed || chmod(path, 0755))
		return vio_fail(message, -VIO_EIO, "can't write '%s': %s", path, strerror(errno));
	return 0;
}
