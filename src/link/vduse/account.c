/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "link/vduse/server.h"

/*
 * The file that a server leaves to the next one: which device it is about, how far its driver has come, and
 * what each queue has in flight. The kernel's device knows none of that.
 */

static struct vhost_user_inflight shape(const struct vio_vduse *vduse)
{
	struct vhost_user_inflight wire = {
		.mmap_offset = VDS_ACCOUNT_QUEUES,
		.num_queues = vduse->dev->queue_count,
		.queue_size = vduse->dev->queue_size,
	};

	wire.mmap_size = link_inflight_bytes(&wire);
	return wire;
}

/* So often may somebody take the file away between its opening and its lock. */
#define OPENINGS_MAX 16

/* Opens the file and locks it. 1: it is where the path leads; 0: it isn't any more. */
static int open_locked(struct vio_vduse *vduse, const char *path)
{
	struct vds_account *account = &vduse->account;
	struct stat ours, there;

	account->fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (account->fd < 0)
		return vds_refuse(vduse, vds_error(), "can't open the account of requests '%s': %s", path,
				  strerror(errno));
	if (fstat(account->fd, &ours) < 0 || !S_ISREG(ours.st_mode))
		return vds_refuse(vduse, -VIO_EINVAL, "the account of requests '%s' is no file", path);
	if (flock(account->fd, LOCK_EX | LOCK_NB) < 0)
		return vds_refuse(vduse, -VIO_EBUSY, "another process has the account of requests '%s'",
				  path);
	/* Who had the lock until now may have written it, or removed it. */
	if (fstat(account->fd, &ours) < 0 || lstat(path, &there) < 0 || ours.st_dev != there.st_dev ||
	    ours.st_ino != there.st_ino) {
		close(account->fd);
		account->fd = -1;
		return 0;
	}
	account->fresh = !ours.st_size;
	return 1;
}

/* hostile: F8 */
int vds_account_open(struct vio_vduse *vduse, const char *path)
{
	struct vds_account *account = &vduse->account;
	int result = 0, tries;

	account->fresh = false;
	if ((size_t)snprintf(account->path, sizeof(account->path), "%s", path) >= sizeof(account->path))
		return vds_refuse(vduse, -VIO_ERANGE, "the path of the account of requests is %zu bytes long",
				  strlen(path));
	for (tries = 0; tries < OPENINGS_MAX && !result; tries++)
		result = open_locked(vduse, path);
	if (!result)
		return vds_refuse(vduse, -VIO_EBUSY, "other processes take the account of requests '%s' away",
				  path);
	return result < 0 ? result : 0;
}

static int map_head(struct vio_vduse *vduse)
{
	struct vds_account *account = &vduse->account;
	uint8_t *at;
	int error = link_mapping_make(&account->map, account->fd, 0, sizeof(*account->head),
				      PROT_READ | PROT_WRITE, -1, &at);

	if (error)
		return vds_refuse(vduse, error == -VIO_ERANGE ? -VIO_ESTATE : error,
				  "the account of requests '%s' can't be mapped: %s", account->path,
				  vio_strerror(error));
	account->head = (struct vds_account_head *)(void *)at;
	return 0;
}

static struct vds_account_head head_of(const struct vio_vduse *vduse)
{
	struct vds_account_head head = {
		.version = VDS_ACCOUNT_VERSION,
		.id = vduse->dev->id,
		.features = vds_features(vduse),
		.config_bytes = vduse->dev->config_bytes,
		.queue_count = vduse->dev->queue_count,
		.queue_size = vduse->dev->queue_size,
	};

	memcpy(head.magic, VDS_ACCOUNT_MAGIC, sizeof(head.magic));
	memcpy(head.name, vduse->name, strlen(vduse->name));
	return head;
}

int vds_account_begin(struct vio_vduse *vduse)
{
	const struct vhost_user_inflight wire = shape(vduse);
	const struct vds_account_head head = head_of(vduse);
	const int fd = vduse->account.fd;

	/* Written whole: a file that is half there holds nothing. */
	if (ftruncate(fd, 0) < 0 || ftruncate(fd, (off_t)(wire.mmap_offset + wire.mmap_size)) < 0 ||
	    pwrite(fd, &head, sizeof(head), 0) != (ssize_t)sizeof(head))
		return vds_refuse(vduse, vds_error(), "can't write the account of requests '%s': %s",
				  vduse->account.path, strerror(errno));
	return 0;
}

int vds_account_judge(struct vio_vduse *vduse)
{
	const char *path = vduse->account.path;
	struct vds_account_head want = head_of(vduse), have;

	if (pread(vduse->account.fd, &have, sizeof(have), 0) != (ssize_t)sizeof(have) ||
	    memcmp(have.magic, want.magic, sizeof(have.magic)) || have.version != want.version)
		return vds_refuse(vduse, -VIO_ESTATE, "'%s' is no account of requests of ours", path);
	if (memcmp(have.name, want.name, sizeof(have.name)))
		return vds_refuse(vduse, -VIO_ESTATE, "the account of requests '%s' is of another device",
				  path);
	if (have.id != want.id || have.features & ~want.features || have.config_bytes != want.config_bytes ||
	    have.queue_count != want.queue_count || have.queue_size != want.queue_size)
		return vds_refuse(vduse, -VIO_ESTATE,
				  "device '%s' was made with other properties (it has id %u, %u queues of %u "
				  "and features %#llx, not id %u, %u queues of %u and features %#llx)",
				  vduse->name, have.id, have.queue_count, have.queue_size,
				  (unsigned long long)have.features, want.id, want.queue_count,
				  want.queue_size, (unsigned long long)want.features);
	vduse->withhold |= want.features & ~have.features;
	return 0;
}

int vds_account_map(struct vio_vduse *vduse)
{
	const struct vhost_user_inflight wire = shape(vduse);
	int error = map_head(vduse);

	if (error)
		return error;
	error = link_inflight_map(&vduse->account.inflight, &wire, vduse->account.fd, -1);
	if (error)
		return vds_refuse(vduse, -VIO_ESTATE, "the account of requests '%s' is cut short: %s",
				  vduse->account.path, vio_strerror(error));
	return 0;
}

void vds_account_note(struct vio_vduse *vduse, uint32_t status)
{
	if (vduse->account.head)
		__atomic_store_n(&vduse->account.head->status, status, __ATOMIC_RELEASE);
}

/* hostile: F8 C26 */
void vds_account_check(struct vio_vduse *vduse)
{
	const struct vds_account *account = &vduse->account;

	if (vduse->failed ||
	    (!link_mapping_torn(&account->map) && !link_mapping_torn(&account->inflight.map)))
		return;
	vds_log(vduse, "the account of requests '%s' was cut short", account->path);
	vds_fail(vduse, -VIO_ESTATE);
}

void vds_account_close(struct vds_account *account, bool remove)
{
	link_inflight_unmap(&account->inflight);
	link_mapping_drop(&account->map);
	account->head = NULL;
	if (account->fd < 0)
		return;
	/* Emptied as well, where the folder isn't ours to write to any more. */
	if (remove) {
		(void)!ftruncate(account->fd, 0);
		unlink(account->path);
	}
	close(account->fd);
	account->fd = -1;
}
