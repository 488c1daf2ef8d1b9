/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/block.h"

#define WATCH_MS 1000u

/*
 * A regular file or a block device. A request is one or more operations of the
 * loop, one after the other: transfers go on where a short one ended, and what
 * has to be stable is followed by a sync.
 */
struct file_block {
  struct vio_block block;
  struct vio_loop *loop;
  struct vio_timer watch; /* looks for a change of size */
  int fd;
  bool direct;
  bool device;
  unsigned in_flight;
};

enum file_stage {
  STAGE_TRANSFER,
  STAGE_ALLOCATE, /* fallocate() for a discard or zeroes */
  STAGE_ZEROES,   /* writing zeros, where that was refused */
  STAGE_SYNC,
};

/* In storage_private. */
struct file_request {
  struct vio_io io;
  struct file_block *file;
  uint64_t offset, left; /* what remains to be done */
  uint8_t *bounce;       /* aligned copy of the data for O_DIRECT */
  struct iovec one;
  enum file_stage stage;
};

VIO_STATIC_ASSERT(sizeof(struct file_request) <=
                      sizeof(((struct vio_block_request *)0)->storage_private),
                  "a file's request has to fit");
VIO_STATIC_ASSERT(sizeof(struct iovec) == sizeof(struct vio_span),
                  "spans are passed as iovecs");
VIO_STATIC_ASSERT(offsetof(struct iovec, iov_len) ==
                      offsetof(struct vio_span, length),
                  "spans are iovecs");

static const uint8_t zeros[65536] __attribute__((aligned(4096)));

static struct file_request *private_of(struct vio_block_request *request) {
  return (struct file_request *)(void *)request->storage_private;
}

static struct vio_block_request *request_of(struct vio_io *io) {
  return VIO_CONTAINER_OF(io, struct vio_block_request, storage_private);
}

static struct file_block *file_of(struct vio_block_request *request) {
  return private_of(request)->file;
}

/* The size now; false when it can't be known. */
static bool size_of(int fd, bool device, uint64_t *size) {
  struct stat st;

  if (device)
    return ioctl(fd, BLKGETSIZE64, size) == 0;
  if (fstat(fd, &st) < 0)
    return false;
  *size = (uint64_t)st.st_size;
  return true;
}

static void look_at_size(struct file_block *file) {
  uint64_t size;

  if (!size_of(file->fd, file->device, &size) || size == file->block.size_bytes)
    return;
  file->block.size_bytes = size;
  if (file->block.changed)
    file->block.changed(file->block.changed_context, &file->block);
}

static void watch_expired(struct vio_timer *timer) {
  struct file_block *file = VIO_CONTAINER_OF(timer, struct file_block, watch);

  look_at_size(file);
  vio_loop_arm(file->loop, &file->watch, WATCH_MS);
}

static void finish(struct vio_block_request *request, int result) {
  struct file_request *own = private_of(request);
  struct file_block *file = file_of(request);

  if (own->bounce && request->op == VIO_BLOCK_READ && !result) {
    const uint8_t *from = own->bounce;
    unsigned i;

    for (i = 0; i < request->span_count; i++) {
      memcpy(request->spans[i].host, from, request->spans[i].length);
      from += request->spans[i].length;
    }
  }
  free(own->bounce);
  own->bounce = NULL;
  file->in_flight--;
  request->done(request, result);
}

static void next_operation(struct vio_block_request *request) {
  struct file_request *own = private_of(request);
  struct vio_io *io = &own->io;

  io->offset = own->offset;
  switch (own->stage) {
  case STAGE_TRANSFER:
    io->op = request->op == VIO_BLOCK_READ ? VIO_IO_READ : VIO_IO_WRITE;
    if (own->bounce) {
      io->iov = &own->one;
      io->iov_count = 1;
    } else {
      io->iov = (const struct iovec *)(const void *)request->spans;
      io->iov_count =
          request->span_count < IOV_MAX ? request->span_count : IOV_MAX;
    }
    break;
  case STAGE_ALLOCATE:
    io->op = VIO_IO_FALLOCATE;
    io->length = own->left;
    break;
  case STAGE_ZEROES:
    io->op = VIO_IO_WRITE;
    own->one.iov_base = (void *)(uintptr_t)zeros;
    own->one.iov_len =
        own->left < sizeof(zeros) ? (size_t)own->left : sizeof(zeros);
    io->iov = &own->one;
    io->iov_count = 1;
    break;
  case STAGE_SYNC:
    io->op = VIO_IO_SYNC;
    break;
  }
  vio_loop_submit(file_of(request)->loop, io);
}

/* The last of the work is done, a sync may be due. */
static void work_done(struct vio_block_request *request) {
  struct file_request *own = private_of(request);

  if (own->stage == STAGE_SYNC || !(request->flags & VIO_BLOCK_STABLE) ||
      !host_block_writes(request)) {
    finish(request, 0);
    return;
  }
  own->stage = STAGE_SYNC;
  next_operation(request);
}

/* Takes `bytes` off the front of what is left to transfer. */
static void advance(struct vio_block_request *request, uint64_t bytes) {
  struct file_request *own = private_of(request);

  own->offset += bytes;
  own->left -= bytes;
  if (own->stage == STAGE_ZEROES)
    return;
  if (own->bounce) {
    own->one.iov_base = (uint8_t *)own->one.iov_base + bytes;
    own->one.iov_len -= bytes;
    return;
  }
  while (bytes) {
    struct vio_span *span = request->spans;
    uint64_t piece = bytes < span->length ? bytes : span->length;

    span->host += piece;
    span->length -= (size_t)piece;
    bytes -= piece;
    if (!span->length) {
      request->spans++;
      request->span_count--;
    }
  }
}

static void io_done(struct vio_io *io, int result) {
  struct vio_block_request *request = request_of(io);
  struct file_request *own = private_of(request);

  if (own->stage == STAGE_ALLOCATE &&
      (result == -EOPNOTSUPP || result == -EINVAL) &&
      request->op == VIO_BLOCK_WRITE_ZEROES) {
    own->stage = STAGE_ZEROES;
    next_operation(request);
    return;
  }
  if (result < 0) {
    int error = vio_error_from_errno(-result);

    finish(request,
           error == -VIO_ENOSPC || error == -VIO_ENOTSUP ? error : -VIO_EIO);
    return;
  }
  if (own->stage == STAGE_TRANSFER || own->stage == STAGE_ZEROES) {
    if (!result) { /* the file ended before its size: it shrank under us */
      look_at_size(file_of(request));
      finish(request, -VIO_EIO);
      return;
    }
    advance(request, (uint64_t)result);
    if (own->left) {
      next_operation(request);
      return;
    }
  }
  work_done(request);
}

/* O_DIRECT wants memory and lengths aligned; a driver doesn't have to know. */
static int bounce_if_needed(struct vio_block_request *request) {
  struct file_request *own = private_of(request);
  const struct file_block *file = file_of(request);
  uintptr_t mask = file->block.block_bytes - 1;
  uintptr_t together = 0;
  uint8_t *to;
  unsigned i;

  for (i = 0; i < request->span_count; i++)
    together |= (uintptr_t)request->spans[i].host | request->spans[i].length;
  if (!file->direct || !(together & mask))
    return 0;
  if (posix_memalign((void **)&own->bounce, 4096, (size_t)request->length))
    return -VIO_ENOMEM;
  own->one = (struct iovec){own->bounce, (size_t)request->length};
  to = own->bounce;
  for (i = 0; request->op == VIO_BLOCK_WRITE && i < request->span_count; i++) {
    memcpy(to, request->spans[i].host, request->spans[i].length);
    to += request->spans[i].length;
  }
  return 0;
}

static void file_submit(struct vio_block *block,
                        struct vio_block_request *request) {
  struct file_block *file = VIO_CONTAINER_OF(block, struct file_block, block);
  struct file_request *own = private_of(request);
  int result = host_block_judge(block, request);

  memset(own, 0, sizeof(*own));
  own->file = file;
  file->in_flight++;
  own->io.fd = file->fd;
  own->io.done = io_done;
  own->offset = request->offset;
  own->left = request->length;
  switch (request->op) {
  case VIO_BLOCK_READ:
  case VIO_BLOCK_WRITE:
    own->stage = STAGE_TRANSFER;
    if (!result)
      result = bounce_if_needed(request);
    break;
  case VIO_BLOCK_FLUSH:
    own->stage = STAGE_SYNC;
    break;
  case VIO_BLOCK_DISCARD:
    own->stage = STAGE_ALLOCATE;
    own->io.mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    break;
  case VIO_BLOCK_WRITE_ZEROES:
    own->stage = STAGE_ALLOCATE;
    own->io.mode = FALLOC_FL_KEEP_SIZE |
                   (request->flags & VIO_BLOCK_UNMAP ? FALLOC_FL_PUNCH_HOLE
                                                     : FALLOC_FL_ZERO_RANGE);
    break;
  }
  if (result)
    finish(request, result);
  else if (request->op != VIO_BLOCK_FLUSH && !request->length)
    work_done(request);
  else
    next_operation(request);
}

static bool nothing_in_flight(void *context) {
  const struct file_block *file = context;

  return !file->in_flight;
}

static void file_drain(struct vio_block *block) {
  struct file_block *file = VIO_CONTAINER_OF(block, struct file_block, block);

  vio_loop_wait_io(file->loop, nothing_in_flight, file);
}

static void file_close(struct vio_block *block) {
  struct file_block *file = VIO_CONTAINER_OF(block, struct file_block, block);

  vio_loop_disarm(file->loop, &file->watch);
  close(file->fd);
  free(file);
}

static const struct vio_block_ops file_ops = {file_submit, file_drain,
                                              file_close};

/* Opening. */

static int lock(int fd, const struct vio_host_block_options *options,
                struct vio_message *message) {
  struct flock how = {.l_type = options->read_only ? F_RDLCK : F_WRLCK,
                      .l_whence = SEEK_SET};

  if (!fcntl(fd, F_OFD_SETLK, &how))
    return 0;
  if (errno == EAGAIN || errno == EACCES)
    return vio_fail(message, -VIO_EBUSY,
                    "image '%s' is in use by another process; end that, or "
                    "give another image",
                    options->path);
  return 0; /* a file system without locks */
}

static void sizes_of_device(struct file_block *file) {
  int logical = 512, alignment = 4096;
  unsigned physical = 4096;

  if (ioctl(file->fd, BLKSSZGET, &logical) < 0)
    logical = 512;
  if (ioctl(file->fd, BLKPBSZGET, &physical) < 0)
    physical = (unsigned)alignment;
  file->block.block_bytes = (uint32_t)logical;
  file->block.physical_bytes =
      physical < (unsigned)logical ? (uint32_t)logical : physical;
}

/* Whether a hole can be punched, tried where there is nothing. */
static bool can_punch(const struct file_block *file) {
  const int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;

  return file->device ||
         !fallocate(file->fd, mode, (off_t)file->block.size_bytes, 4096);
}

static int describe(struct file_block *file,
                    const struct vio_host_block_options *options,
                    struct vio_message *message) {
  struct vio_block *block = &file->block;

  block->ops = &file_ops;
  block->read_only = options->read_only;
  block->volatile_cache = 1;
  block->block_bytes = 512;
  block->physical_bytes = 4096;
  if (file->device)
    sizes_of_device(file);
  if (options->block_size && options->block_size < block->block_bytes)
    return vio_fail(message, -VIO_EINVAL,
                    "block-size %u is smaller than the %u bytes of '%s'",
                    options->block_size, block->block_bytes, options->path);
  if (options->block_size)
    block->block_bytes = options->block_size;
  if (block->physical_bytes < block->block_bytes)
    block->physical_bytes = block->block_bytes;
  if (!size_of(file->fd, file->device, &block->size_bytes))
    return vio_fail(message, vio_error_from_errno(errno),
                    "can't tell the size of '%s': %s", options->path,
                    strerror(errno));
  if (!block->size_bytes || block->size_bytes % block->block_bytes)
    return vio_fail(message, -VIO_ERANGE,
                    "image '%s' has %llu bytes; it needs a whole number of "
                    "blocks of %u, at least one",
                    options->path, (unsigned long long)block->size_bytes,
                    block->block_bytes);
  if (!options->read_only && can_punch(file)) {
    block->discard_bytes = 4096;
    block->zeroes_unmap = 1;
  }
  return 0;
}

static int open_path(const struct vio_host_block_options *options,
                     struct stat *st, struct vio_message *message) {
  int flags = (options->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC |
              (options->direct ? O_DIRECT : 0);
  int fd;

  if (!options->path[0])
    return vio_fail(message, -VIO_EINVAL,
                    "no image given; say path=FILE, or backend=memory");
  /* O_NONBLOCK: a FIFO is refused below, not waited for. */
  fd = open(options->path, flags | O_NONBLOCK);
  if (fd < 0 && errno == EINVAL && options->direct)
    return vio_fail(
        message, -VIO_ENOTSUP,
        "image '%s': its file system has no O_DIRECT; leave direct off",
        options->path);
  if (fd < 0 && errno != EISDIR)
    return vio_fail(message, vio_error_from_errno(errno),
                    "can't open image '%s': %s", options->path,
                    strerror(errno));
  if (fd < 0 || fstat(fd, st) < 0 ||
      (!S_ISREG(st->st_mode) && !S_ISBLK(st->st_mode))) {
    bool directory = fd < 0 || S_ISDIR(st->st_mode);

    if (fd >= 0)
      close(fd);
    return vio_fail(message, -VIO_EINVAL,
                    "image '%s' is %s; give a regular file or a block device",
                    options->path,
                    directory ? "a directory" : "no file that holds blocks");
  }
  return fd;
}

int host_block_open_file(struct vio_loop *loop,
                         const struct vio_host_block_options *options,
                         struct vio_block **block,
                         struct vio_message *message) {
  struct file_block *file;
  struct stat st;
  int error, fd = open_path(options, &st, message);

  if (fd < 0)
    return fd;
  file = calloc(1, sizeof(*file));
  if (!file) {
    close(fd);
    return vio_fail(message, -VIO_ENOMEM, "out of memory");
  }
  file->loop = loop;
  file->fd = fd;
  file->direct = options->direct;
  file->device = S_ISBLK(st.st_mode);
  file->watch.expired = watch_expired;
  error = lock(fd, options, message);
  if (!error)
    error = describe(file, options, message);
  if (error) {
    close(fd);
    free(file);
    return error;
  }
  vio_loop_arm(loop, &file->watch, WATCH_MS);
  *block = &file->block;
  return 0;
}
