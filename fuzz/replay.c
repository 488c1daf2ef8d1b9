/* SPDX-License-Identifier: BSD-3-Clause */
#include <dirent.h>
#include <errno.h>
#include <string.h>

#include "input.h"

/*
 * Runs a target over every file of a folder, or over the one file named. Without
 * libFuzzer. The digest that it prints is the same on every machine.
 */

#define INPUT_BYTES_MAX (1u << 20)

static int replay_file(const char *path, uint64_t *digest)
{
	uint8_t *bytes = malloc(INPUT_BYTES_MAX);
	FILE *file = fopen(path, "rb");
	struct fuzz_input input = { .bytes = bytes };

	if (!file || !bytes) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		free(bytes);
		return 1;
	}
	input.left = fread(bytes, 1, INPUT_BYTES_MAX, file);
	fclose(file);
	fuzz_run(&input);
	/* A sum, as a folder is in no order. */
	*digest += input.digest;
	free(bytes);
	return 0;
}

static int replay_folder(DIR *folder, const char *path, uint64_t *digest)
{
	char name[4096];
	struct dirent *entry;
	unsigned count = 0;

	while ((entry = readdir(folder)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
		if (replay_file(name, digest))
			return 1;
		count++;
	}
	printf("%u inputs, ", count);
	return count == 0;
}

int main(int argc, char **argv)
{
	uint64_t digest = 0;
	DIR *folder;
	int failed;

	if (argc != 2) {
		fprintf(stderr, "usage: %s FOLDER|FILE\n", argv[0]);
		return 2;
	}
	folder = opendir(argv[1]);
	failed = folder ? replay_folder(folder, argv[1], &digest) : replay_file(argv[1], &digest);
	if (folder)
		closedir(folder);
	printf("digest %016llx\n", (unsigned long long)digest);
	return failed;
}
