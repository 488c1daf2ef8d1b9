/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLI_NEW_H
#define CLI_NEW_H

#include "cli/cli.h"

struct new_file {
	const char *path; /* below the new folder */
	const char *text;
};

/* Terminated by one without a path. */
extern const struct new_file new_device_files[];
extern const struct new_file new_driver_files[];

#endif
