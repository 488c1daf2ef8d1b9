/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_DAEMON_H
#define VIREO_DAEMON_H

#include <vireo/crew.h>
#include <vireo/device.h>
#include <vireo/host.h>
#include <vireo/options.h>

/*
 * A device as a program: options, properties, sockets, signals, logging.
 *
 *	int main(int argc, char **argv)
 *	{
 *		return vio_daemon_main(&adder_daemon, argc, argv);
 *	}
 *
 * with `static const struct vio_daemon_type adder_daemon = { .class = &adder_class };`
 * is a complete vhost-user back end with the usual options (--socket-path, --fd,
 * --print-capabilities, --help, ...); every property of the device is given as
 * NAME=VALUE.
 *
 * Beside its socket PATH a daemon listens on PATH.control for lines of text from
 * whoever may write to that socket, and answers each with one line:
 *
 *	get NAME        ok VALUE
 *	set NAME=VALUE  ok         for properties that may change at run time
 *	status          ok JSON
 *	statistics      ok JSON    for types that count what they do
 *	                error WHY  when it can't be done
 */

/* An option that vhost-user's conventions give back ends of this type; it stands for a property. */
struct vio_daemon_convention {
	const char *option;   /* "blk-file" for --blk-file PATH; also the name of the capability */
	const char *argument; /* what stands for the argument in help; NULL: takes none */
	const char *property;
	const char *value; /* of the property when the option takes no argument */
};

#define VIO_DAEMON_CONVENTIONS_MAX 4u

struct vio_daemon_type {
	const struct vio_device_class *class;

	/* What the device stands on; all optional. Properties have offsets into `backend_bytes` of memory. */
	const struct vio_property_table *(*backend_properties)(void);
	uint32_t backend_bytes;
	/* Opens the backend from its options and gives it to the device, before realize. */
	int (*open)(struct vio_device *dev, struct vio_loop *loop, void *backend,
		    struct vio_message *message);
	/* After unrealize. A negative code: what the driver was told is stored may not be. */
	int (*close)(struct vio_device *dev, void *backend);

	/*
	 * Obeys a line of the control socket that the daemon itself doesn't know, and writes what
	 * follows "ok" into `answer`. -VIO_ENOENT: it isn't known here either; other codes come with a
	 * message. Optional.
	 */
	int (*command)(struct vio_device *dev, const char *line, char *answer, size_t size,
		       struct vio_message *message);

	/*
	 * Prepares a realized device for queues that are served by the threads of the crew, queue i by
	 * thread i % vio_crew_threads(); see vio_device_serve(). NULL: one thread serves the device.
	 */
	int (*spread)(struct vio_device *dev, void *backend, struct vio_crew *crew,
		      struct vio_message *message);

	/*
	 * What the device has done, one value a queue, as JSON (of libjansson; the caller's to release).
	 * Optional.
	 */
	struct json_t *(*statistics)(struct vio_device *dev, void *backend);

	/* Whether the backend connects to Unix sockets while it serves; otherwise it can't. Optional. */
	bool (*connects)(const void *backend);

	/* The "type" of the vhost-user conventions (block, rng, ...); NULL: the class's name. */
	const char *vhost_user_type;
	/* At most VIO_DAEMON_CONVENTIONS_MAX, terminated by one without a name; NULL: none. */
	const struct vio_daemon_convention *conventions;
};

/* Vireo's own version, such as "0.1.0". */
VIO_API const char *vio_version(void);

/* The types built into Vireo, terminated by NULL. */
VIO_API const struct vio_daemon_type *const *vio_daemon_types(void);

/* The options that every daemon has, for documents and completions. */
VIO_API const struct vio_option_table *vio_daemon_options(void);

/*
 * The properties that can be given for a type, by index: its backend's, its own,
 * those of all types. NULL beyond the last.
 */
VIO_API const struct vio_property *vio_daemon_type_property(const struct vio_daemon_type *type,
							    unsigned index);

/* Writes the value that the property has in a new device of the type; result as vio_property_get(). */
VIO_API size_t vio_daemon_type_default(const struct vio_daemon_type *type,
				       const struct vio_property *property, char *to, size_t size);

/* Descriptions of properties in the manual's language: those of a type, and those that all types have. */
VIO_API void vio_daemon_manual_properties(const struct vio_daemon_type *type, FILE *out);
VIO_API void vio_daemon_manual_common(FILE *out);

/* Runs to its end; returns the exit status. argv[0] is the name shown in messages. */
VIO_API int vio_daemon_main(const struct vio_daemon_type *type, int argc, char **argv);

#endif
