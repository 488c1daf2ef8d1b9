/* SPDX-License-Identifier: BSD-3-Clause */

#include <string.h>

#include "cli/cli.h"

const struct vio_daemon_type *cli_find_type(const char *program, const char *name)
{
	struct vio_nearest nearest = { .word = name, .length = strlen(name) };
	const struct vio_daemon_type *const *types = vio_daemon_types();
	char names[256] = "";

	for (unsigned i = 0; types[i]; i++) {
		const char *known = types[i]->class->name;
		size_t used = strlen(names);

		if (strcmp(known, name) == 0)
			return types[i];
		snprintf(names + used, sizeof(names) - used, "%s%s", used ? ", " : "", known);
		vio_nearest_offer(&nearest, known);
	}
	if (nearest.best)
		cli_complain(program, 0, "device type '%s' is not known; did you mean '%s'? There are: %s",
			     name, nearest.best, names);
	else
		cli_complain(program, 0, "device type '%s' is not known; there are: %s", name, names);
	return NULL;
}

int cli_serve(int argc, char **argv)
{
	const struct vio_daemon_type *type;
	char program[64];

	if (argc < 2)
		return cli_complain("vireo serve", CLI_USAGE, "which device type? `vireo list` lists them");
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		cli_print_help("serve");
		return CLI_OK;
	}
	if (argv[1][0] == '-')
		return cli_complain("vireo serve", CLI_USAGE,
				    "the device type comes first: vireo serve TYPE %s ...", argv[1]);
	type = cli_find_type("vireo serve", argv[1]);
	if (!type)
		return CLI_USAGE;
	snprintf(program, sizeof(program), "vireo serve %s", type->class->name);
	argv[1] = program;
	return vio_daemon_main(type, argc - 1, argv + 1);
}
