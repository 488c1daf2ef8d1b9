/* SPDX-License-Identifier: BSD-3-Clause */

#include <string.h>

#include "cli/boot.h"

/*
 * User-Mode Linux: a kernel that is a process. Its root is this system's, through
 * hostfs and read-only, so that no image is needed; boot_init.c goes on from there.
 *
 * tty0 is the script's terminal, tty1 the kernel's console.
 */

bool boot_append_words(char **arguments, const char *words)
{
	bool fits = true;

	while (fits && *words) {
		size_t length;

		words += strspn(words, " \t\n");
		length = strcspn(words, " \t\n");
		if (length)
			fits = boot_argument(arguments, "%.*s", (int)length, words);
		words += length;
	}
	return fits;
}

static int uml_command(const struct boot *boot, char **arguments, struct vio_message *message)
{
	const struct boot_settings *settings = &boot->settings;
	bool fits = boot_argument(arguments, "%s", boot->kernel) &&
		    boot_argument(arguments, "mem=%lluK", (unsigned long long)(settings->memory >> 10)) &&
		    boot_argument(arguments, "uml_dir=%s/", boot->dir) &&
		    boot_argument(arguments, "umid=guest") && boot_argument(arguments, "root=/dev/root") &&
		    boot_argument(arguments, "rootfstype=hostfs") &&
		    boot_argument(arguments, "rootflags=/") && boot_argument(arguments, "ro") &&
		    boot_argument(arguments, "init=%s/init", boot->dir) &&
		    boot_argument(arguments, "con=null") &&
		    boot_argument(arguments, settings->shell ? "con0=fd:0,fd:1" : "con0=null,fd:1") &&
		    boot_argument(arguments, "con1=null,fd:2") && boot_argument(arguments, "console=tty1");

	if (!settings->verbose)
		fits = fits && boot_argument(arguments, "quiet");
	for (unsigned i = 0; fits && i < boot->device_count; i++)
		fits = boot_argument(arguments, "virtio_uml.device=%s:%u", boot->devices[i].socket,
				     boot->devices[i].id);
	for (unsigned i = 0; fits && i < settings->appends.count; i++)
		fits = boot_append_words(arguments, settings->appends.items[i]);
	return fits ? 0 : vio_fail(message, -VIO_EINVAL, "the kernel's command line is too long");
}

static const char *const uml_kernels[] = { "linux.uml", "linux", NULL };

const struct boot_vmm boot_vmm_uml = {
	.name = "uml",
	.kernels = uml_kernels,
	.package = "user-mode-linux",
	.terminal = "tty0",
	.mount = "host()\n"
		 "{\n"
		 "\t$b mount -t hostfs -o \"$3,$1\" none \"$2\"\n"
		 "}\n",
	.command = uml_command,
};
