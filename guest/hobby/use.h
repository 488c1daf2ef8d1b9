/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HOBBY_USE_H
#define HOBBY_USE_H

#include "os.h"

/* What main.c does with the devices of a driver: one file each. */
struct use {
	const char *device;
	const struct vio_driver *driver;
	const char *what; /* is done with it */
	/* 0 when that worked, else a negative code. *count is how much of it was done. */
	int (*run)(struct os *os, struct vio_dev *dev, unsigned *count);
};

extern const struct use use_blk;
extern const struct use use_console;
extern const struct use use_ring;
extern const struct use use_rng;

#endif
