/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>

#include "link/log.h"

#define LINE_BYTES 256
#define LINES_MAX  64u

void link_log(struct link_log *log, const char *format, va_list arguments)
{
	char line[LINE_BYTES];

	if (!log->line || log->lines > LINES_MAX)
		return;
	vsnprintf(line, sizeof(line), format, arguments);
	if (log->lines++ == LINES_MAX)
		snprintf(line, sizeof(line), "and more of it, which isn't logged");
	log->line(log->context, line);
}
