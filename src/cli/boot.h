/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLI_BOOT_H
#define CLI_BOOT_H

#include <limits.h>
#include <signal.h>
#include <sys/types.h>
#include <termios.h>

#include "cli/cli.h"

/*
 * `vireo boot`: a kernel, the devices it gets, and what runs in it. boot.c reads
 * the command line and leads through the steps, boot_devices.c runs a daemon for
 * each device, boot_init.c writes the guest's first program, boot_run.c watches
 * all of them to the end, and one file a virtual machine monitor (vmm_uml.c)
 * knows how to start it.
 */

#define BOOT_DEVICES_MAX   16u
#define BOOT_ARGUMENTS_MAX 128u
#define BOOT_LOG_BYTES     8192u

/* Exit codes beside those of the guest's script. */
#define BOOT_TIMED_OUT   124
#define BOOT_GUEST_BROKE 125 /* the kernel ended, but not by the script's end */

struct boot_settings {
	const char *vmm;
	const char *vmm_program;
	const char *kernel;
	uint64_t memory;
	struct vio_option_list devices;
	const char *root;
	const char *root_image;
	const char *init;
	bool shell;
	struct vio_option_list modules;
	struct vio_option_list shares;
	struct vio_option_list environment;
	struct vio_option_list appends;
	struct vio_option_list vmm_options;
	uint64_t queues;
	uint64_t timeout_s;
	const char *run_dir;
	bool verbose;
	bool help;
};

struct boot_device {
	const struct vio_daemon_type *type;
	uint32_t id;
	char name[24]; /* "blk0" */
	char socket[PATH_MAX + 64];
	char control[PATH_MAX + 64]; /* its control socket: there once the device is ready */
	pid_t pid;                   /* 0: not running */
};

struct boot_relay {
	int fd; /* -1: closed */
	int to; /* -1: nowhere */
};

struct boot {
	struct boot_settings settings;
	const char *program;
	const struct boot_vmm *vmm;
	char kernel[PATH_MAX];
	char monitor[PATH_MAX]; /* the program, where the kernel is none */
	char busybox[PATH_MAX];
	char dir[PATH_MAX]; /* private, removed at the end */
	bool dir_made;
	struct boot_device *devices; /* BOOT_DEVICES_MAX of them */
	unsigned device_count;

	pid_t files_pid; /* what serves the guest's files, for some monitors; 0: not running */
	pid_t vmm_pid;   /* and its process group; 0: not running */
	int signal_fd;
	sigset_t signals_before;
	struct boot_relay output;   /* what the guest's script writes */
	struct boot_relay messages; /* what kernel and monitor write */
	char log[BOOT_LOG_BYTES];   /* the end of it */
	size_t log_used;
	struct termios terminal;
	bool terminal_changed;
};

/* A virtual machine monitor: how to find a kernel for it and what its command line is. */
struct boot_vmm {
	const char *name;
	const char *const *kernels; /* names to look for on PATH, NULL-terminated */
	const char *package;        /* where to get one */
	bool kernel_is_data;        /* and no program: then `program` is, to look for on PATH */
	const char *program;
	const char *terminal; /* the script's, below /dev in the guest */
	const char *mount;    /* shell function of the guest: host PATH TARGET ro|rw */
	/* The device id that the guest sees for one of ours; NULL: the same. */
	uint32_t (*carried_id)(uint32_t id);
	/* Once the devices are served, before command(); checks, and starts what else is needed. Optional. */
	int (*prepare)(struct boot *boot, struct vio_message *message);
	/*
	 * Fills `arguments` with what to execute; text it makes is allocated. The guest's script
	 * writes to descriptor 1, the kernel to 2; with --shell the terminal is 0 and 1.
	 */
	int (*command)(const struct boot *boot, char **arguments, struct vio_message *message);
	/* What to do about the failure that the monitor's last messages tell of, or NULL. Optional. */
	const char *(*hint)(const char *log, size_t length);
};

extern const struct boot_vmm boot_vmm_uml;
extern const struct boot_vmm boot_vmm_qemu;

uint32_t boot_qemu_carried_id(uint32_t id);

/* boot_devices.c */

/* Reads TYPE,property=value,... and starts the daemon. */
int boot_device_start(struct boot *boot, const char *text, struct vio_message *message);
/* Ends all of them, in time or by force, and says how the first that failed went. */
int boot_devices_end(struct boot *boot);

/* boot_init.c */
int boot_write_init(struct boot *boot, struct vio_message *message);

/* boot_run.c */
int boot_start_vmm(struct boot *boot, struct vio_message *message);
/* Until the guest is done; the exit status. */
int boot_watch(struct boot *boot);
/* Ends what is left of the monitor. */
void boot_end_vmm(struct boot *boot);

/* In the child, before exec: no signal blocked, and the child ends when we do. */
void boot_child_prepare(const struct boot *boot, pid_t parent, int death_signal);

/* Words of an option, one argument each; as boot_argument(). */
bool boot_append_words(char **arguments, const char *words);

/* Appends formatted, allocated text to a list of arguments; false when it is full or out of memory. */
bool boot_argument(char **arguments, const char *format, ...) __attribute__((format(printf, 2, 3)));
void boot_arguments_free(char **arguments);

#endif
