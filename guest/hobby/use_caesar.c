/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <vireo/drivers/caesar.h>

#include "use.h"

#define SHIFT 13u

/* What one shift gives is known; by any number there and back is where it began. */
static int use(struct os *os, struct vio_dev *dev, char *report)
{
	static const char plain[] = "Vireo rotates A-Z and a-z.", rotated[] = "Iverb ebgngrf N-M naq n-m.";
	char out[sizeof(plain)], back[sizeof(plain)];
	unsigned shift;
	int error = vio_caesar_set_shift(dev, SHIFT);

	if (!error)
		error = vio_caesar_transform(dev, plain, out, sizeof(plain));
	if (!error && memcmp(out, rotated, sizeof(rotated)))
		error = -VIO_EIO;
	for (shift = 0; !error && shift <= VIRTIO_CAESAR_SHIFT_MAX; shift++) {
		error = vio_caesar_set_shift(dev, (uint8_t)shift);
		if (!error)
			error = vio_caesar_set_mode(dev, VIRTIO_CAESAR_MODE_ENCIPHER);
		if (!error)
			error = vio_caesar_transform(dev, plain, out, sizeof(plain));
		if (!error)
			error = vio_caesar_set_mode(dev, VIRTIO_CAESAR_MODE_DECIPHER);
		if (!error)
			error = vio_caesar_transform(dev, out, back, sizeof(plain));
		if (!error && memcmp(back, plain, sizeof(plain)))
			error = -VIO_EIO;
	}
	os_append(report, USE_REPORT_BYTES, "rotated by %u shifts there and back", shift);
	return error;
}

const struct use use_caesar = { "caesar", &vio_caesar_driver, use };
