/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/daemon.h"

/* Newer than Debian's headers. */
#define SET_MDWE              65
#define MDWE_REFUSE_EXEC_GAIN 1ul

/* For the daemon itself, beside what --max-memory gives to front ends: stacks and what requests take. */
#define OWN_BYTES ((rlim_t)64 << 20)

#define LINKS_MAX 8u

/* Another user. */

static int give_socket(void *context, int fd, const char *path)
{
	const struct passwd *user = context;

	return lchown(path, user->pw_uid, user->pw_gid) ? -errno : 0;
}

static int become(const char *name, struct vio_message *message)
{
	struct passwd *user;
	int error;

	errno = 0;
	user = getpwnam(name);
	if (!user)
		return vio_fail(message, -VIO_EINVAL, "option '--user': there is no user '%.64s'", name);
	if (geteuid() == user->pw_uid && geteuid())
		return 0;
	if (geteuid())
		return vio_fail(
			message, -VIO_EACCES,
			"option '--user': only root can become '%.64s'; start it as that user instead", name);
	error = vio_each_named_socket(give_socket, user);
	if (error)
		return vio_fail(message, -VIO_ESYS, "can't give the socket to '%.64s': %s", name,
				strerror(-error));
	if (initgroups(name, user->pw_gid) || setgid(user->pw_gid) || setuid(user->pw_uid))
		return vio_fail(message, -VIO_ESYS, "can't become '%.64s': %s", name, strerror(errno));
	/* Who still can wasn't root's, or has a capability left. */
	if (user->pw_uid && !setuid(0))
		return vio_fail(message, -VIO_ESYS, "'%.64s' can become root again", name);
	return 0;
}

/* Limits. */

/* `sizes` is read late, when there are all threads, and was opened when that was still allowed. */
static int limit_memory(FILE *sizes, uint64_t bytes, struct vio_message *message)
{
	unsigned long long pages = 0;
	struct rlimit limit;

	if (sizes && fscanf(sizes, "%llu", &pages) != 1)
		pages = 0;
	if (sizes)
		fclose(sizes);
	limit.rlim_cur = limit.rlim_max =
		(rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + OWN_BYTES + (rlim_t)bytes;
	if (!pages || setrlimit(RLIMIT_AS, &limit))
		return vio_fail(message, -VIO_ESYS, "option '--max-memory': %s",
				pages ? strerror(errno) : "there is no /proc");
	return 0;
}

/* Files. */

/* What a property names and is ours to remove at the end: links to pseudo terminals. */
static void find_links(struct vio_daemon *daemon, char (*paths)[VIO_HOST_PATH_BYTES], const char **links)
{
	const struct vio_property *property;
	struct vio_message unused;
	unsigned count = 0;
	struct stat is;

	for (unsigned i = 0; count < LINKS_MAX && (property = vio_daemon_type_property(daemon->type, i));
	     i++) {
		char value[VIO_HOST_PATH_BYTES + 1], *rest = value, *word;

		if (property->type != VIO_PROPERTY_STRING ||
		    vio_daemon_get(daemon, property->name, value, sizeof(value), &unused))
			continue;
		/* NAME:BACKEND:PATH, and several of them with commas between. */
		while (count < LINKS_MAX && (word = strsep(&rest, ",:")))
			if (*word && !lstat(word, &is) && S_ISLNK(is.st_mode)) {
				snprintf(paths[count], sizeof(paths[count]), "%s", word);
				links[count] = paths[count];
				count++;
			}
	}
}

static int give_up_files(struct vio_daemon *daemon, struct vio_message *message)
{
	char paths[LINKS_MAX][VIO_HOST_PATH_BYTES];
	const char *links[LINKS_MAX + 1] = { NULL };

	/* VDUSE's account of requests isn't among them: others' may lie beside it, and it can be emptied. */
	find_links(daemon, paths, links);
	daemon->sandbox.landlock = vio_landlock(links, &daemon->service);
	return daemon->sandbox.landlock < 0
		       ? vio_fail(message, -VIO_ESYS, "can't give up files: %s; --sandbox=off does without",
				  strerror(errno))
		       : 0;
}

int vio_daemon_confine(struct vio_daemon *daemon, struct vio_message *message)
{
	struct vio_sandbox *sandbox = &daemon->sandbox;
	const char *wanted = daemon->settings.sandbox;
	int error = daemon->settings.user ? become(daemon->settings.user, message) : 0;

	if (error)
		return error;
	if (daemon->settings.max_memory)
		sandbox->sizes = fopen("/proc/self/statm", "re");
	/* All files are open: nothing that happens from here on needs more rights. */
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	sandbox->on = !wanted || !strcmp(wanted, "on");
	if (!sandbox->on)
		return 0;
	/* Otherwise what is mapped to be read could be run, for a program that was started so. */
	personality((unsigned long)personality(0xffffffff) & ~(unsigned long)READ_IMPLIES_EXEC);
	sandbox->no_new_code = !prctl(SET_MDWE, MDWE_REFUSE_EXEC_GAIN, 0, 0, 0);
	return give_up_files(daemon, message);
}

/* To a front end or a backend that comes and goes. */
static bool connects_later(const struct vio_daemon *daemon)
{
	const struct vio_daemon_type *type = daemon->type;

	return daemon->settings.client || (type->connects && type->connects(daemon->backend));
}

int vio_daemon_confine_calls(struct vio_daemon *daemon, struct vio_message *message)
{
	struct vio_sandbox *sandbox = &daemon->sandbox;
	int error = 0;

	if (daemon->settings.max_memory)
		error = limit_memory(sandbox->sizes, daemon->settings.max_memory, message);
	if (error || !sandbox->on)
		return error;
	error = vio_calls_limit(daemon->program, fileno(daemon->log.out),
				connects_later(daemon) ? VIO_CALLS_CONNECT : 0);
	if (error && error != -VIO_ENOTSUP)
		return vio_fail(message, error, "can't give up system calls; --sandbox=off does without");
	sandbox->calls = !error;
	vio_log_detail(&daemon->log, "sandbox: %s, %s, %s",
		       sandbox->calls ? "only the system calls of serving" : "no filter of system calls",
		       sandbox->landlock ? "no files but those that are open" : "no Landlock",
		       sandbox->no_new_code ? "no new code" : "no guard against new code");
	return 0;
}
