/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TEST_LIB_RIG_H
#define TEST_LIB_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <vireo/device.h>
#include <vireo/driver.h>

#include "lib/platform.h"

/*
 * A driver's view of a device, over any transport: one body of a test, many rigs.
 *
 *	static void body(struct rig *rig)
 *	{
 *		assert_int_equal(rig_bind(rig, &adder_driver), 0);
 *		...
 *	}
 *
 *	rig_each(&(struct rig_options){ .class = &vio_adder_class }, body);
 *
 * Whatever the driver waits for happens in the platform's wait(), or in rig_run(). A rig that is freed
 * fails the test when the driver left something shared or taken.
 */
struct rig;

/* A transport is one of these and a line in rig_transports.c. */
struct rig_transport {
	const char *name;
	bool legacy;        /* left out on big-endian machines */
	bool remote;        /* between device and driver are messages: what one does the other sees later */
	bool config_padded; /* more may be read than the configuration has: zeros */
	bool config_whole;  /* it is read in one piece, between changes */
	bool late;          /* what the device gave back is on its way until rig_run() */
	bool moves;         /* the device goes elsewhere now and then: nothing stays in flight */
	bool status_unread; /* the driver knows no status but what it wrote */
	unsigned platform_flags; /* TEST_PLATFORM_... */
	size_t state_bytes;      /* of rig->transport_state, zeroed */
	/* The device is provided and not attached; fills in rig->dev. */
	void (*join)(struct rig *rig);
	/* Does what is due, and false when nothing was. */
	bool (*run)(struct rig *rig);
	/* The device is pulled out under the driver. May be NULL. */
	void (*pull_out)(struct rig *rig);
	/* The driver is gone; detaches the device. */
	void (*part)(struct rig *rig);
};

/* Those that are in a file of their own. */
extern const struct rig_transport rig_vfio_user, rig_vfio_user_line, rig_vfio_user_moving,
	rig_vfio_user_messages, rig_vfio_user_mixed;

/* All of them, NULL at the end. */
extern const struct rig_transport *const rig_transports[];

struct rig_options {
	const struct vio_device_class *class;
	const char *const *properties; /* "name=value", NULL at the end; may be NULL */
	uint64_t withhold;             /* features, bits 0..63, that the device doesn't offer for once */
	bool remote; /* remote transports, too: the body looks at nothing but what a driver sees */
	/* Gives the device what it stands on, before realize; may be NULL. */
	void (*furnish)(struct vio_device *device, void *context);
	void *context;
};

struct rig {
	struct test_platform platform;
	struct vio_dev dev;       /* the driver's side */
	struct vio_device device; /* the device's side */
	const struct rig_transport *transport;
	const struct rig_options *options;
	void *transport_state;
	void *device_state, *device_storage, *driver_state;
};

void rig_make(struct rig *rig, const struct rig_options *options, const struct rig_transport *transport);
void rig_free(struct rig *rig);

/*
 * Makes a rig for each transport in turn and runs the body on it; where the device offers packed rings and
 * the transport carries them, on both formats.
 */
void rig_each(const struct rig_options *options, void (*body)(struct rig *rig));

/* Binds a driver, with state of the rig's; what vio_driver_bind() says. */
int rig_bind(struct rig *rig, const struct vio_driver *driver);
void rig_unbind(struct rig *rig);

/* Lets both sides work until nothing is due; fails the test when that never ends. */
void rig_run(struct rig *rig);

#endif
