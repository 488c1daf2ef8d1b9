/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLI_CLIENT_H
#define CLI_CLIENT_H

#include <jansson.h>

#include <vireo/driver.h>

#include "cli/cli.h"

/*
 * Commands that drive a device which somebody else serves: client.c connects, clients.c has one command a
 * device type, probe.c looks at any, probe_device.c at those that are the kernel's, names.c knows what bits
 * and fields are called.
 */

struct client_type;

/* What a device is reached by: a socket, or a file of the kernel's. */
struct client_link {
	const struct vio_platform *(*platform)(struct vio_dev *dev);
	const char *(*mistake)(struct vio_dev *dev);
	void (*hang_up)(struct vio_dev *dev); /* as the device doesn't finish its reset */
	/* Adds to what is told of a device; `type` may be NULL. */
	void (*report)(struct vio_dev *dev, const struct client_type *type, json_t *report);
};

struct client {
	const char *program;
	const char *path; /* of the socket, or the device's file */
	const struct client_link *link;
	struct vio_dev dev;
	void *state; /* of the driver */
};

/* probe_device.c: the same for a file that is no socket. */
int client_open_device(struct client *client, uint32_t id);

/* Connects, and binds a driver if there is one. CLI_OK, or a complaint's status; then nothing is open. */
int client_open(struct client *client, uint32_t id, const struct vio_driver *driver);
/* CLI_FAILED after a complaint that names what failed, with a code and what the connection knows of it. */
int client_complain(struct client *client, const char *what, int error);
void client_close(struct client *client);

/* A decimal or hexadecimal number up to `max`; false when the text is none. */
bool client_number(const char *text, uint64_t max, uint64_t *number);

struct client_bit {
	unsigned bit;
	const char *name;
};

struct client_field {
	const char *name;
	uint32_t offset;
	uint32_t width; /* bytes: 1, 2, 4 or 8 are a little-endian number, others are shown one by one */
	int feature;    /* bit that it hangs on; -1: none */
};

struct client_type {
	const char *name;
	uint32_t id;
	const struct client_bit *bits;     /* ended by one without a name */
	const struct client_field *fields; /* likewise; NULL: nobody knows them */
};

const struct client_type *client_type_by_name(const char *name);
/* NULL when the id isn't known. */
const struct client_type *client_type_by_id(uint32_t id);
/* The names of all types that have one, by index; NULL at the end. */
const char *client_type_name(unsigned index);

/* What a feature bit is called, of the type (NULL: not known) or of all; NULL when it has no name. */
const char *client_feature_name(const struct client_type *type, unsigned bit);
/* What a field's value is called; NULL when it is just a number. */
const char *client_value_name(const struct client_type *type, const struct client_field *field,
			      uint64_t value);
/* Of vhost-user, and of the kernel's vhost files; the type says nothing there. */
const char *client_protocol_name(const struct client_type *type, unsigned bit);
const char *client_backend_name(const struct client_type *type, unsigned bit);

/* probe.c, for reports: the names of the bits that are set, "bit N" where there is none. */
json_t *client_bits(uint64_t set, const struct client_type *type,
		    const char *(*name_of)(const struct client_type *type, unsigned bit));
json_t *client_json_number(uint64_t value);

#endif
