/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/new.h"

/*
 * `vireo new`: a folder with the beginnings of a device or a driver. The texts are in new_texts.c; in them
 * @name@ stands for the name, @NAME@ for the same in capitals, @_name@ for it with underscores.
 */

#define NAME_MAX_BYTES 24u

static void write_text(const char *text, const char *name, FILE *out)
{
	while (*text) {
		const char *kind = strncmp(text, "@name@", 6) == 0    ? "-"
				   : strncmp(text, "@_name@", 7) == 0 ? "_"
				   : strncmp(text, "@NAME@", 6) == 0  ? "A"
								      : NULL;

		if (!kind) {
			fputc(*text++, out);
			continue;
		}
		for (const char *from = name; *from; from++) {
			char c = *from == '-' && *kind != '-' ? '_' : *from;

			fputc(*kind == 'A' && c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c, out);
		}
		text += *kind == '_' ? 7 : 6;
	}
}

static mode_t current_umask(void)
{
	mode_t mask = umask(0);

	umask(mask);
	return mask;
}

static int write_file(const char *program, const char *folder, const struct new_file *file, const char *name)
{
	char path[256], leaf[64] = "";
	FILE *leaf_out = fmemopen(leaf, sizeof(leaf), "w");
	FILE *out;
	int failed;

	if (!leaf_out)
		return cli_complain(program, CLI_FAILED, "out of memory");
	write_text(file->path, name, leaf_out);
	fclose(leaf_out);
	snprintf(path, sizeof(path), "%s/%s", folder, leaf);
	out = fopen(path, "wx");
	if (!out)
		return cli_complain(program, CLI_FAILED, "can't write '%s': %s", path, strerror(errno));
	write_text(file->text, name, out);
	failed = ferror(out);
	if (!failed && strncmp(file->text, "#!", 2) == 0)
		failed = fchmod(fileno(out), 0777 & ~current_umask());
	if (fclose(out) || failed)
		return cli_complain(program, CLI_FAILED, "can't write '%s': %s", path, strerror(errno));
	printf("%s\n", path);
	return CLI_OK;
}

/* A name becomes that of a folder, a program and C identifiers. */
static int check_name(const char *program, const char *name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz";
	size_t length = strlen(name);

	if (!length || length > NAME_MAX_BYTES || !strchr(letters, name[0]) ||
	    strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != length || name[length - 1] == '-')
		return cli_complain(program, CLI_USAGE,
				    "'%s' is no name: at most %u small letters, digits and hyphens, a letter "
				    "first and no hyphen last",
				    name, NAME_MAX_BYTES);
	return CLI_OK;
}

int cli_new(int argc, char **argv)
{
	const struct new_file *files;
	int status;

	if (argc != 3)
		return cli_complain(argv[0], CLI_USAGE, "usage: vireo new device NAME | driver NAME");
	files = strcmp(argv[1], "device") == 0   ? new_device_files
		: strcmp(argv[1], "driver") == 0 ? new_driver_files
						 : NULL;
	if (!files)
		return cli_complain(argv[0], CLI_USAGE, "'%s' is neither device nor driver", argv[1]);
	status = check_name(argv[0], argv[2]);
	if (status)
		return status;
	if (mkdir(argv[2], 0777))
		return cli_complain(argv[0], CLI_FAILED, "can't make the folder '%s': %s", argv[2],
				    strerror(errno));
	for (unsigned i = 0; status == CLI_OK && files[i].path; i++)
		status = write_file(argv[0], argv[2], &files[i], argv[2]);
	return status;
}
