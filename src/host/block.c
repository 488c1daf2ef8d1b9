/* SPDX-License-Identifier: BSD-3-Clause */
#include "host/block.h"

static const char *const kinds[] = {"file", "memory", "null", NULL};

#define OPTION(member, kind)                                                   \
  VIO_PROPERTY_MEMBER(struct vio_host_block_options, member, kind)

static const struct vio_property properties[] = {
    {.name = "backend",
     OPTION(backend, VIO_PROPERTY_CHOICE),
     .choices = kinds,
     .initial = "file",
     .help = "where the blocks are kept"},
    {.name = "path",
     OPTION(path, VIO_PROPERTY_STRING),
     .help = "of the image or block device"},
    {.name = "size",
     OPTION(size, VIO_PROPERTY_BYTES),
     .initial = "64M",
     .help = "of a memory or null backend"},
    {.name = "readonly",
     OPTION(read_only, VIO_PROPERTY_BOOL),
     .help = "refuse all writes"},
    {.name = "direct",
     OPTION(direct, VIO_PROPERTY_BOOL),
     .help = "bypass the page cache (O_DIRECT)"},
    {.name = "block-size",
     OPTION(block_size, VIO_PROPERTY_U32),
     .max = 4096,
     .help = "logical block size, 512 or 4096; 0 chooses"},
};

static const struct vio_property_table table = {properties,
                                                VIO_ARRAY_SIZE(properties)};

const struct vio_property_table *vio_host_block_properties(void) {
  return &table;
}

int host_block_judge(const struct vio_block *block,
                     const struct vio_block_request *request) {
  if (host_block_writes(request) && block->read_only)
    return -VIO_EACCES;
  if (request->op != VIO_BLOCK_FLUSH && !host_block_inside(block, request))
    return -VIO_ERANGE;
  return 0;
}

int vio_host_block_open(struct vio_loop *loop,
                        const struct vio_host_block_options *options,
                        struct vio_block **block, struct vio_message *message) {
  static int (*const openers[])(struct vio_loop *,
                                const struct vio_host_block_options *,
                                struct vio_block **, struct vio_message *) = {
      [VIO_HOST_BLOCK_FILE] = host_block_open_file,
      [VIO_HOST_BLOCK_MEMORY] = host_block_open_memory,
      [VIO_HOST_BLOCK_NULL] = host_block_open_null,
  };

  if (options->backend >= VIO_ARRAY_SIZE(openers))
    return vio_fail(message, -VIO_EINVAL, "block backend %u is not known",
                    options->backend);
  if (options->block_size && options->block_size != 512 &&
      options->block_size != 4096)
    return vio_fail(message, -VIO_EINVAL,
                    "block-size %u is neither 512 nor 4096",
                    options->block_size);
  return openers[options->backend](loop, options, block, message);
}
