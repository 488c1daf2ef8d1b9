/* SPDX-License-Identifier: BSD-3-Clause */
#include <dlfcn.h>
#include <stdio.h>

/*
 *	disguise ENGINE
 *
 * Says that it is another fio than the engine knows, and loads it: its table must have another version
 * then.
 */
__attribute__((visibility("default"))) const char fio_version_string[] = "fio-3.99";

struct table {
	void *list[2];
	const char *name;
	int version;
};

int main(int argc, char **argv)
{
	void *library = argc == 2 ? dlopen(argv[1], RTLD_LAZY) : NULL;
	const struct table *table = library ? dlsym(library, "ioengine") : NULL;

	if (!table) {
		fprintf(stderr, "disguise: %s\n", argc == 2 ? dlerror() : "give an ENGINE");
		return 2;
	}
	return table->version == -1 ? 0 : 1;
}
