/* SPDX-License-Identifier: BSD-3-Clause */
#include <dirent.h>
#include <errno.h>
#include <string.h>

#include "input.h"

/* Runs a target over every file of a folder, or over the one file named. Without libFuzzer. */

#define INPUT_BYTES_MAX (1u << 20)

static int replay_file(const char *path)
{
	uint8_t *bytes = malloc(INPUT_BYTES_MAX);
	FILE *file = fopen(path, "rb");
	size_t size;

	if (!file || !bytes) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		free(bytes);
		return 1;
	}
	size = fread(bytes, 1, INPUT_BYTES_MAX, file);
	fclose(file);
	LLVMFuzzerTestOneInput(bytes, size);
	free(bytes);
	return 0;
}

static int replay_folder(DIR *folder, const char *path)
{
	char name[4096];
	struct dirent *entry;
	unsigned count = 0;

	while ((entry = readdir(folder)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
		if (replay_file(name))
			return 1;
		count++;
	}
	printf("%u inputs\n", count);
	return count == 0;
}

int main(int argc, char **argv)
{
	DIR *folder = NULL;
	int failed;

	if (argc == 2)
		folder = opendir(argv[1]);
	if (argc != 2) {
		fprintf(stderr, "usage: %s FOLDER|FILE\n", argv[0]);
		return 2;
	}
	if (!folder)
		return replay_file(argv[1]);
	failed = replay_folder(folder, argv[1]);
	closedir(folder);
	return failed;
}
