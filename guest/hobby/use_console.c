/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <vireo/drivers/console.h>

#include "use.h"

/*
 * Reads what the host sends up to its newline, and sends it back in capitals, many times over so that
 * it takes more than a few buffers. tests/hobby/run.sh has the same numbers.
 */
#define LINE_MAX  2000u
#define TIMES     20u
#define ANSWER_NS UINT64_C(5000000000)

static int read_line(struct vio_dev *dev, char *line, uint32_t *length)
{
	uint32_t got;
	int error;

	*length = 0;
	do {
		error = vio_console_wait(dev, ANSWER_NS);
		if (!error)
			error = vio_console_read(dev, line + *length, LINE_MAX - *length, &got);
		if (error)
			return error;
		*length += got;
	} while (line[*length - 1] != '\n' && *length < LINE_MAX);
	return line[*length - 1] == '\n' ? 0 : -VIO_EIO;
}

static int use(struct os *os, struct vio_dev *dev, char *report)
{
	char *line = os_pages_take(os, LINE_MAX);
	uint32_t length, at;
	unsigned times = 0;
	int error;

	if (!line)
		return -VIO_ENOMEM;
	error = read_line(dev, line, &length);
	for (at = 0; !error && at < length; at++)
		if (line[at] >= 'a' && line[at] <= 'z')
			line[at] = (char)(line[at] - 'a' + 'A');
	for (; !error && times < TIMES; times++)
		error = vio_console_write(dev, line, length);
	os_append(report, USE_REPORT_BYTES, "%u bytes read, sent back %u times", length, times);
	os_pages_give_back(os, line, LINE_MAX);
	return error;
}

const struct use use_console = { "console", &vio_console_driver, use };
