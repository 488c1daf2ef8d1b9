/* SPDX-License-Identifier: BSD-3-Clause */
#include "fio.h"
#include "optgroup.h"

#include "host_binary.h"

#if FIO_KNOWS_3_33 && defined(__x86_64__)
/* This is the version of which the other host knows some facts: they have to be these. */
#define SAME(known, type, member) _Static_assert((known) == offsetof(struct type, member), #type " " #member)
SAME(FIO_THREAD_OPTIONS, thread_data, o);
SAME(FIO_THREAD_ENGINE, thread_data, eo);
SAME(FIO_THREAD_FILES, thread_data, files);
SAME(FIO_THREAD_FILE_COUNT, thread_data, files_index);
SAME(FIO_THREAD_BUFFER, thread_data, orig_buffer);
SAME(FIO_THREAD_BUFFER_SIZE, thread_data, orig_buffer_size);
SAME(FIO_THREAD_OPS, thread_data, io_ops);
SAME(FIO_THREAD_PRIVATE, thread_data, io_ops_data);
SAME(FIO_FILE_NAME, fio_file, file_name);
SAME(FIO_FILE_SIZE, fio_file, real_file_size);
SAME(FIO_IO_FILE, io_u, file);
SAME(FIO_IO_DDIR, io_u, ddir);
SAME(FIO_IO_OFFSET, io_u, offset);
SAME(FIO_IO_BUFFER, io_u, xfer_buf);
SAME(FIO_IO_LENGTH, io_u, xfer_buflen);
SAME(FIO_IO_ERROR, io_u, error);
SAME(offsetof(struct fio_table_option, kind), fio_option, type);
SAME(offsetof(struct fio_table_option, offset), fio_option, off1);
SAME(offsetof(struct fio_table_option, most), fio_option, maxval);
SAME(offsetof(struct fio_table_option, help), fio_option, help);
SAME(offsetof(struct fio_table_option, standard), fio_option, def);
SAME(offsetof(struct fio_table_option, category), fio_option, category);
SAME(offsetof(struct fio_table_engine, queue), ioengine_ops, queue);
SAME(offsetof(struct fio_table_engine, event), ioengine_ops, event);
SAME(offsetof(struct fio_table_engine, cleanup), ioengine_ops, cleanup);
SAME(offsetof(struct fio_table_engine, invalidate), ioengine_ops, invalidate);
SAME(offsetof(struct fio_table_engine, iomem_alloc), ioengine_ops, iomem_alloc);
SAME(offsetof(struct fio_table_engine, options_bytes), ioengine_ops, option_struct_size);
_Static_assert(sizeof(struct fio_table_option) == sizeof(struct fio_option), "an option's size");
_Static_assert(sizeof(struct fio_table_engine) == sizeof(struct ioengine_ops), "an engine's size");
_Static_assert(FIO_OPS_VERSION == FIO_IOOPS_VERSION, "the interface's version");
_Static_assert(FIO_STORES_STR_STORE == FIO_OPT_STR_STORE && FIO_STORES_INT == FIO_OPT_INT &&
		       FIO_STORES_BOOL == FIO_OPT_BOOL && FIO_CATEGORY_ENGINE == FIO_OPT_C_ENGINE,
	       "kinds of options");
_Static_assert(FIO_FLAGS_DISKLESS == FIO_DISKLESSIO && FIO_FLAGS_NOEXTEND == FIO_NOEXTEND, "flags");
#endif

static int nothing(struct thread_data *td, struct fio_file *file)
{
	return 0;
}

static enum fio_q_status queue(struct thread_data *td, struct io_u *io_u)
{
	return (enum fio_q_status)engine_queue(td, io_u);
}

#define OPTION(text, kind_of, member, says, otherwise)           \
	{                                                        \
		.name = text,                                    \
		.lname = text,                                   \
		.type = FIO_OPT_##kind_of,                       \
		.off1 = offsetof(struct engine_options, member), \
		.help = says,                                    \
		.def = otherwise,                                \
		.maxval = UINT_MAX,                              \
		.category = FIO_OPT_C_ENGINE,                    \
	},

static struct fio_option options[] = {
	ENGINE_OPTIONS(OPTION){ .name = NULL },
};

__attribute__((visibility("default"))) struct ioengine_ops ioengine = {
	.name = "vireo",
	.version = FIO_IOOPS_VERSION,
	.flags = FIO_DISKLESSIO | FIO_NOEXTEND,
	.setup = engine_setup,
	.init = engine_init,
	.queue = queue,
	.commit = engine_commit,
	.getevents = engine_getevents,
	.event = engine_event,
	.cleanup = engine_cleanup,
	.open_file = nothing,
	.close_file = nothing,
	.invalidate = nothing,
	.iomem_alloc = engine_iomem_alloc,
	.iomem_free = engine_iomem_free,
	.option_struct_size = sizeof(struct engine_options),
	.options = options,
};

const char *host_judge(struct thread_data *td)
{
	return NULL;
}

const struct engine_options *host_options(const struct thread_data *td)
{
	return td->eo;
}

unsigned host_depth(const struct thread_data *td)
{
	return td->o.iodepth;
}

void *host_private(const struct thread_data *td)
{
	return td->io_ops_data;
}

void host_set_private(struct thread_data *td, void *own)
{
	td->io_ops_data = own;
}

void host_set_buffer(struct thread_data *td, void *memory)
{
	td->orig_buffer = memory;
}

bool host_buffer_fits(const struct thread_data *td, size_t bytes)
{
	return true;
}

bool host_set_file(struct thread_data *td, uint64_t bytes)
{
	if (!td->files_index) {
		add_file(td, "vireo", 0, 0);
		td->o.nr_files = td->o.nr_files ? td->o.nr_files : 1;
	}
	if (td->files_index != 1)
		return false;
	td->files[0]->real_file_size = bytes;
	return true;
}

struct host_io host_read_io(const struct io_u *io_u)
{
	return (struct host_io){
		.ddir = io_u->ddir == DDIR_READ                                  ? HOST_READ
			: io_u->ddir == DDIR_WRITE                               ? HOST_WRITE
			: io_u->ddir == DDIR_TRIM                                ? HOST_TRIM
			: io_u->ddir == DDIR_SYNC || io_u->ddir == DDIR_DATASYNC ? HOST_SYNC
										 : HOST_OTHER,
		.offset = io_u->offset,
		.length = io_u->xfer_buflen,
		.memory = io_u->xfer_buf,
	};
}

bool host_io_fits(const struct thread_data *td, const struct io_u *io_u)
{
	return true;
}

void host_set_error(struct io_u *io_u, int errno_value)
{
	io_u->error = (unsigned int)errno_value;
}
