/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/leaks.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "lib/test.h"

unsigned leaks_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	unsigned count = 0;

	assert_non_null(directory);
	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

unsigned leaks_mappings(const char *name)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned count = 0;
	char line[512];

	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps))
		count += strstr(line, name) != NULL;
	fclose(maps);
	return count;
}
