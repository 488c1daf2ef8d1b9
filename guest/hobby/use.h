/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HOBBY_USE_H
#define HOBBY_USE_H

#include "os.h"

#define USE_REPORT_BYTES 96u

/* What main.c does with the devices of a driver: one file each. */
struct use {
	const char *device;
	const struct vio_driver *driver;
	/* 0 when that worked, else a negative code. `report` has USE_REPORT_BYTES for what was done. */
	int (*run)(struct os *os, struct vio_dev *dev, char *report);
};

extern const struct use use_adder;
extern const struct use use_blk;
extern const struct use use_caesar;
extern const struct use use_console;
extern const struct use use_input;
extern const struct use use_net;
extern const struct use use_ring;
extern const struct use use_rng;
extern const struct use use_vssd;

#endif
