/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "host/image.h"
#include "host/storage.h"

#define PHYSICAL_BYTES_MAX 65536u
#define ALIGN_MAX          4096u /* enough for all storage there is */
#define NAME_CHARS         256u

/* How long to wait for an image's last user to be gone. */
#define LOCK_TRIES    50u
#define LOCK_PAUSE_MS 20

/* The path, or its end when it would leave no room for the rest of a message. */
static const char *image_name(const struct vio_host_block_options *options)
{
	size_t length = strnlen(options->path, sizeof(options->path));

	return options->path + (length > NAME_CHARS ? length - NAME_CHARS : 0);
}

/* NULL when it is something that can be served. */
static const char *unfit_type(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
	case S_IFBLK:
		return NULL;
	case S_IFDIR:
		return "directory";
	case S_IFCHR:
		return "character device";
	case S_IFIFO:
		return "pipe";
	case S_IFSOCK:
		return "socket";
	default:
		return "file of an unknown type";
	}
}

static int fail_errno(const struct vio_host_block_options *options, struct vio_message *message)
{
	const char *name = image_name(options);
	int error = vio_error_from_errno(errno);

	switch (errno) {
	case ENOENT:
		return vio_fail(message, error,
				"image '%s' doesn't exist; make one, for example with truncate -s 1G", name);
	case EBUSY:
		return vio_fail(message, error, "image '%s' is in use, mounted for instance", name);
	case EACCES:
	case EPERM:
	case EROFS:
		if (!options->read_only)
			return vio_fail(message, error,
					"image '%s' can't be opened for writing: %s; readonly=on may help",
					name, strerror(errno));
		break;
	case EINVAL:
		if (options->direct)
			return vio_fail(message, -VIO_ENOTSUP,
					"image '%s' is on a file system without direct I/O; leave out direct",
					name);
		break;
	}
	return vio_fail(message, error, "image '%s' can't be opened: %s", name, strerror(errno));
}

/* A look before opening, because opening some things waits or does something. */
static int image_open_fd(const struct vio_host_block_options *options, struct vio_image *image,
			 struct vio_message *message)
{
	int flags = O_CLOEXEC | (options->read_only ? O_RDONLY : O_RDWR) | (options->direct ? O_DIRECT : 0);
	struct stat status;
	const char *type;

	if (stat(options->path, &status))
		return fail_errno(options, message);
	type = unfit_type(status.st_mode);
	if (type)
		return vio_fail(message, -VIO_EINVAL,
				"image '%s' is a %s; give a regular file or a block device",
				image_name(options), type);
	/* The kernel then refuses a device that is mounted or part of another. */
	if (S_ISBLK(status.st_mode) && !options->read_only)
		flags |= O_EXCL;
	image->fd = open(options->path, flags);
	if (image->fd < 0)
		return fail_errno(options, message);
	image->is_device = S_ISBLK(status.st_mode);
	return 0;
}

/*
 * Many readers or one writer. The lock belongs to the open file, so it goes with
 * its last descriptor, and a second opening in this process meets it, too. QEMU
 * understands it. A file system without locks doesn't keep the image from being used.
 */
static int image_lock(const struct vio_host_block_options *options, struct vio_image *image,
		      struct vio_message *message)
{
	struct flock lock = { .l_type = options->read_only ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET };
	const struct timespec pause = { .tv_nsec = LOCK_PAUSE_MS * 1000000 };

	if (options->shared)
		return 0;
	/* A process that was killed while io_uring worked on the image keeps it for a moment longer. */
	for (unsigned i = 0; i < LOCK_TRIES; i++) {
		if (!fcntl(image->fd, F_OFD_SETLK, &lock) || (errno != EAGAIN && errno != EACCES))
			return 0;
		nanosleep(&pause, NULL);
	}
	return vio_fail(message, -VIO_EBUSY,
			options->read_only
				? "image '%s' is locked: it is open for writing elsewhere"
				: "image '%s' is locked: it is open elsewhere, and would be written by both",
			image_name(options));
}

bool vio_image_measure(int fd, uint64_t *size_bytes)
{
	/* Right for files and for devices, unlike fstat() and BLKGETSIZE64; nobody uses the position. */
	off_t end = lseek(fd, 0, SEEK_END);

	if (end < 0)
		return false;
	*size_bytes = (uint64_t)end;
	return true;
}

static uint32_t clamp_power_of_two(uint64_t value, uint32_t min, uint32_t max)
{
	if (!vio_is_power_of_two(value) || value < min)
		return min;
	return value > max ? max : (uint32_t)value;
}

static void learn_device(struct vio_image *image)
{
	/* Begins inside a sector, so that all it can say is whether discards are known here at all. */
	uint64_t nothing[2] = { 1, 1 };
	unsigned physical = 0, optimal = 0;
	int logical = 0;

	if (!ioctl(image->fd, BLKSSZGET, &logical) && logical > 0)
		image->block_bytes =
			clamp_power_of_two((uint64_t)logical, VIO_STORAGE_BLOCK_BYTES, PHYSICAL_BYTES_MAX);
	if (!ioctl(image->fd, BLKPBSZGET, &physical))
		image->physical_bytes = physical;
	if (!ioctl(image->fd, BLKIOOPT, &optimal))
		image->optimal_bytes = optimal;
	image->can_punch = ioctl(image->fd, BLKDISCARD, nothing) && errno != EOPNOTSUPP;
}

/* Punches nothing, behind the end. */
static void learn_file(struct vio_image *image)
{
	struct stat status;

	if (!fstat(image->fd, &status) && status.st_blksize > 0)
		image->physical_bytes = (uint32_t)status.st_blksize;
	image->can_punch = !fallocate(image->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				      (off_t)image->size_bytes, ALIGN_MAX);
}

/* Whether a read of so many bytes is taken, on kernels that don't tell what they take. */
static bool direct_takes(const struct vio_image *image, size_t length)
{
	void *memory = aligned_alloc(ALIGN_MAX, ALIGN_MAX);
	ssize_t got = -1;

	if (memory)
		got = pread(image->fd, memory, length, 0);
	free(memory);
	return got >= 0;
}

static int learn_direct(const struct vio_host_block_options *options, struct vio_image *image,
			struct vio_message *message)
{
	image->memory_align = ALIGN_MAX;
#ifdef STATX_DIOALIGN
	{
		struct statx status;

		if (!statx(image->fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &status) &&
		    status.stx_mask & STATX_DIOALIGN && status.stx_dio_mem_align) {
			uint32_t block_bytes = image->block_bytes;

			image->memory_align = status.stx_dio_mem_align;
			image->block_bytes = clamp_power_of_two(status.stx_dio_offset_align, block_bytes,
								PHYSICAL_BYTES_MAX);
			return 0;
		}
	}
#endif
	if (direct_takes(image, image->block_bytes))
		return 0;
	image->block_bytes = ALIGN_MAX;
	if (direct_takes(image, image->block_bytes))
		return 0;
	return vio_fail(message, -VIO_ENOTSUP, "image '%s' takes no direct I/O: %s; leave out direct",
			image_name(options), strerror(errno));
}

static int judge_device(const struct vio_host_block_options *options, const struct vio_image *image,
			struct vio_message *message)
{
	int read_only = 0;

	if (ioctl(image->fd, BLKROGET, &read_only) || !read_only || options->read_only)
		return 0;
	return vio_fail(message, -VIO_EACCES, "image '%s' is a read-only device; give readonly=on",
			image_name(options));
}

/* With the block size settled: is it one that devices can have, and the size a multiple of it? */
static int judge_sizes(const struct vio_host_block_options *options, struct vio_image *image,
		       struct vio_message *message)
{
	const char *name = image_name(options);

	if (options->block_size && options->block_size < image->block_bytes)
		return vio_fail(message, -VIO_ERANGE,
				"block-size %" PRIu32 " is too small: image '%s' takes no less than %" PRIu32
				" bytes%s",
				options->block_size, name, image->block_bytes,
				options->direct ? " with direct on" : "");
	if (options->block_size)
		image->block_bytes = options->block_size;
	if (image->block_bytes > ALIGN_MAX)
		return vio_fail(message, -VIO_ENOTSUP,
				"image '%s' has blocks of %" PRIu32 " bytes; 4096 are the most", name,
				image->block_bytes);
	if (!image->size_bytes)
		return vio_fail(message, -VIO_ERANGE, "image '%s' is empty", name);
	if (image->size_bytes % image->block_bytes)
		return vio_fail(message, -VIO_ERANGE,
				"image '%s' is %" PRIu64 " bytes long, not a multiple of %" PRIu32
				"; lengthen it with truncate -s %%%" PRIu32,
				name, image->size_bytes, image->block_bytes, image->block_bytes);
	return 0;
}

static int image_learn(const struct vio_host_block_options *options, struct vio_image *image,
		       struct vio_message *message)
{
	int error = 0;

	if (!vio_image_measure(image->fd, &image->size_bytes))
		return vio_fail(message, vio_error_from_errno(errno),
				"the size of image '%s' can't be told: %s", image_name(options),
				strerror(errno));
	image->block_bytes = VIO_STORAGE_BLOCK_BYTES;
	image->physical_bytes = 0;
	image->optimal_bytes = 0;
	image->memory_align = 1;
	if (image->is_device)
		learn_device(image);
	else
		learn_file(image);
	if (image->is_device)
		error = judge_device(options, image, message);
	if (!error && options->direct)
		error = learn_direct(options, image, message);
	if (!error)
		error = judge_sizes(options, image, message);
	image->physical_bytes =
		clamp_power_of_two(image->physical_bytes, image->block_bytes, PHYSICAL_BYTES_MAX);
	if (image->optimal_bytes % image->block_bytes)
		image->optimal_bytes = 0;
	return error;
}

int vio_image_open(const struct vio_host_block_options *options, struct vio_image *image,
		   struct vio_message *message)
{
	int error = image_open_fd(options, image, message);

	if (error)
		return error;
	error = image_lock(options, image, message);
	if (!error)
		error = image_learn(options, image, message);
	if (error)
		vio_image_close(image);
	return error;
}

/* The kernel's ring, to which the file was registered, may hold it for a while longer: not so the lock. */
void vio_image_close(struct vio_image *image)
{
	struct flock unlock = { .l_type = F_UNLCK, .l_whence = SEEK_SET };

	fcntl(image->fd, F_OFD_SETLK, &unlock);
	close(image->fd);
	image->fd = -1;
}
