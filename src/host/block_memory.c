/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "host/block.h"

/* Storage without storage: memory that starts as zeros, and nothing at all.
 * Both answer inside submit. */
struct memory_block {
  struct vio_block block;
  uint8_t *bytes;
};

static void copy(struct memory_block *memory,
                 const struct vio_block_request *request) {
  uint8_t *at = memory->bytes + request->offset;
  unsigned i;

  for (i = 0; i < request->span_count; i++) {
    const struct vio_span *span = &request->spans[i];

    if (request->op == VIO_BLOCK_READ)
      memcpy(span->host, at, span->length);
    else
      memcpy(at, span->host, span->length);
    at += span->length;
  }
}

/* Whole pages go back to the system; either way the bytes read as zeros. */
static void clear(struct memory_block *memory,
                  const struct vio_block_request *request) {
  const uint64_t page = 4096;
  uint64_t begin = (request->offset + page - 1) / page * page;
  uint64_t end = (request->offset + request->length) / page * page;

  memset(memory->bytes + request->offset, 0,
         (size_t)(begin < end ? begin - request->offset : request->length));
  if (begin >= end)
    return;
  memset(memory->bytes + end, 0,
         (size_t)(request->offset + request->length - end));
  if (madvise(memory->bytes + begin, (size_t)(end - begin), MADV_DONTNEED) < 0)
    memset(memory->bytes + begin, 0, (size_t)(end - begin));
}

static void memory_submit(struct vio_block *block,
                          struct vio_block_request *request) {
  struct memory_block *memory =
      VIO_CONTAINER_OF(block, struct memory_block, block);
  int result = host_block_judge(block, request);

  if (!result &&
      (request->op == VIO_BLOCK_READ || request->op == VIO_BLOCK_WRITE))
    copy(memory, request);
  else if (!result && request->op != VIO_BLOCK_FLUSH)
    clear(memory, request);
  request->done(request, result);
}

static void null_submit(struct vio_block *block,
                        struct vio_block_request *request) {
  request->done(request, host_block_judge(block, request));
}

static void nothing_to_drain(struct vio_block *block) { (void)block; }

static void memory_close(struct vio_block *block) {
  struct memory_block *memory =
      VIO_CONTAINER_OF(block, struct memory_block, block);

  if (memory->bytes)
    munmap(memory->bytes, (size_t)block->size_bytes);
  free(memory);
}

static const struct vio_block_ops memory_ops = {memory_submit, nothing_to_drain,
                                                memory_close};
static const struct vio_block_ops null_ops = {null_submit, nothing_to_drain,
                                              memory_close};

static int make(const struct vio_host_block_options *options,
                const struct vio_block_ops *ops, struct memory_block **made,
                struct vio_message *message) {
  uint32_t block_bytes = options->block_size ? options->block_size : 512;
  struct memory_block *memory;

  if (!options->size || options->size % block_bytes ||
      options->size > INT64_MAX)
    return vio_fail(message, -VIO_ERANGE,
                    "size %llu is not a whole number of blocks of %u bytes",
                    (unsigned long long)options->size, block_bytes);
  memory = calloc(1, sizeof(*memory));
  if (!memory)
    return vio_fail(message, -VIO_ENOMEM, "out of memory");
  memory->block = (struct vio_block){
      .ops = ops,
      .size_bytes = options->size,
      .block_bytes = block_bytes,
      .physical_bytes = 4096,
      .discard_bytes = 4096,
      .zeroes_unmap = 1,
      .read_only = options->read_only,
  };
  *made = memory;
  return 0;
}

int host_block_open_memory(struct vio_loop *loop,
                           const struct vio_host_block_options *options,
                           struct vio_block **block,
                           struct vio_message *message) {
  struct memory_block *memory;
  int error = make(options, &memory_ops, &memory, message);

  (void)loop;
  if (error)
    return error;
  memory->bytes = mmap(NULL, (size_t)options->size, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory->bytes == MAP_FAILED) {
    error = vio_fail(message, vio_error_from_errno(errno),
                     "no room for %llu bytes of memory: %s",
                     (unsigned long long)options->size, strerror(errno));
    free(memory);
    return error;
  }
  *block = &memory->block;
  return 0;
}

int host_block_open_null(struct vio_loop *loop,
                         const struct vio_host_block_options *options,
                         struct vio_block **block,
                         struct vio_message *message) {
  struct memory_block *memory;
  int error = make(options, &null_ops, &memory, message);

  (void)loop;
  if (!error)
    *block = &memory->block;
  return error;
}
