/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>

#include "host_binary.h"

#if !defined(__x86_64__) || !defined(__LP64__)
#error "the layout of fio is known for x86-64 alone; give Meson fio's source with -Dfio_source=DIR"
#endif

_Static_assert(sizeof(struct fio_table_option) == 1512, "an option has another size");
_Static_assert(offsetof(struct fio_table_option, category) == 1464, "an option has other members");
_Static_assert(sizeof(struct fio_table_engine) == 264, "an engine has another size");

/* What the program shows to its engines; weak, so that another one's absence can be told in words. */
extern const char fio_version_string[] __attribute__((weak));
extern struct fio_table_option fio_options[] __attribute__((weak));
int add_file(struct thread_data *td, const char *name, int number, int count) __attribute__((weak));

#define OPTIONS_LOOKED_AT 400u
#define MARK              1986621807
#define TEXT_(number)     #number
#define TEXT(number)      TEXT_(number)
#define OWN_FILE          "vireo"
#define BUFFER_EXTRA      (64u << 10)

static const void *at(const void *from, size_t offset)
{
	return (const uint8_t *)from + offset;
}

static void *at_changed(void *from, size_t offset)
{
	return (uint8_t *)from + offset;
}

static uint64_t number(const void *from, size_t offset)
{
	uint64_t value;

	memcpy(&value, at(from, offset), sizeof(value));
	return value;
}

static uint32_t half(const void *from, size_t offset)
{
	uint32_t value;

	memcpy(&value, at(from, offset), sizeof(value));
	return value;
}

static void *pointer(const void *from, size_t offset)
{
	return (void *)(uintptr_t)number(from, offset);
}

/* Where fio keeps an option of its own: the program itself says it. 0 when it doesn't. */
static size_t offset_of(const char *name)
{
	for (unsigned i = 0; i < OPTIONS_LOOKED_AT && fio_options[i].name; i++)
		if (!strcmp(fio_options[i].name, name))
			return FIO_THREAD_OPTIONS + fio_options[i].offset[0];
	return 0;
}

static int nothing(struct thread_data *td, void *file)
{
	return 0;
}

#define OPTION(text, kind_of, member, says, otherwise)                 \
	{                                                              \
		.name = text,                                          \
		.long_name = text,                                     \
		.kind = FIO_STORES_##kind_of,                          \
		.offset = { offsetof(struct engine_options, member) }, \
		.help = says,                                          \
		.standard = otherwise,                                 \
		.most = UINT32_MAX,                                    \
		.category = FIO_CATEGORY_ENGINE,                       \
	},

static struct fio_table_option options[] = {
	ENGINE_OPTIONS(OPTION)
	/* By its value the place is known where fio keeps what it read. */
	OPTION("vireo_mark", INT, mark, "Not to be set", TEXT(MARK)){ .name = NULL },
};

__attribute__((visibility("default"))) struct fio_table_engine ioengine = {
	.name = "vireo",
	.version = FIO_OPS_VERSION,
	.flags = FIO_FLAGS_DISKLESS | FIO_FLAGS_NOEXTEND,
	.setup = engine_setup,
	.init = engine_init,
	.queue = engine_queue,
	.commit = engine_commit,
	.getevents = engine_getevents,
	.event = engine_event,
	.cleanup = engine_cleanup,
	.open_file = nothing,
	.close_file = nothing,
	.invalidate = nothing,
	.iomem_alloc = engine_iomem_alloc,
	.iomem_free = engine_iomem_free,
	.options_bytes = sizeof(struct engine_options),
	.options = options,
};

/* Before fio looks at the table: one of another version says no to it, and wouldn't say why. */
__attribute__((constructor)) static void judge_version(void)
{
	if (fio_version_string && !strcmp(fio_version_string, FIO_VERSION_KNOWN))
		return;
	ioengine.version = -1;
	fprintf(stderr,
		"libvireo-fio: this is %s, and the engine was built for %s; build it with the source of the "
		"fio that is to run it, meson -Dfio_source=DIR\n",
		fio_version_string ? fio_version_string : "no fio that says its version", FIO_VERSION_KNOWN);
}

/* Each fact that will be used, as far as anything in the program can confirm it. */
const char *host_judge(struct thread_data *td)
{
	static const char *const names[] = { "iodepth", "nrfiles", "filename", "name" };
	const struct engine_options *own = pointer(td, FIO_THREAD_ENGINE);

	if (!fio_version_string || strcmp(fio_version_string, FIO_VERSION_KNOWN) || !fio_options || !add_file)
		return "another version of fio";
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!offset_of(names[i]) || offset_of(names[i]) >= FIO_THREAD_ENGINE)
			return "fio's table of options looks different";
	if (pointer(td, FIO_THREAD_OPS) != &ioengine)
		return "the engine isn't where fio 3.33 has it";
	if (!own || own->mark != MARK)
		return "the engine's options aren't where fio 3.33 has them";
	if (half(td, FIO_THREAD_FILE_COUNT) > 1u << 20)
		return "files aren't where fio 3.33 has them";
	return NULL;
}

const struct engine_options *host_options(const struct thread_data *td)
{
	return pointer(td, FIO_THREAD_ENGINE);
}

unsigned host_depth(const struct thread_data *td)
{
	return half(td, offset_of("iodepth"));
}

void *host_private(const struct thread_data *td)
{
	return pointer(td, FIO_THREAD_PRIVATE);
}

void host_set_private(struct thread_data *td, void *own)
{
	memcpy(at_changed(td, FIO_THREAD_PRIVATE), &own, sizeof(own));
}

void host_set_buffer(struct thread_data *td, void *memory)
{
	memcpy(at_changed(td, FIO_THREAD_BUFFER), &memory, sizeof(memory));
}

bool host_buffer_fits(const struct thread_data *td, size_t bytes)
{
	uint64_t size = number(td, FIO_THREAD_BUFFER_SIZE);

	return size <= bytes && bytes - size < BUFFER_EXTRA;
}

/* A name that fio gives: the file's of its options, the job's with numbers behind, or ours. */
static bool names_file(const struct thread_data *td, const char *name)
{
	const char *given = pointer(td, offset_of("filename")), *job = pointer(td, offset_of("name"));

	return name && (!strcmp(name, OWN_FILE) || (given && !strcmp(name, given)) ||
			(job && !strncmp(name, job, strlen(job))));
}

bool host_set_file(struct thread_data *td, uint64_t bytes)
{
	const uint32_t one = 1;
	size_t count = offset_of("nrfiles");
	void **files;

	if (!half(td, FIO_THREAD_FILE_COUNT)) {
		add_file(td, OWN_FILE, 0, 0);
		if (!half(td, count))
			memcpy(at_changed(td, count), &one, sizeof(one));
	}
	files = pointer(td, FIO_THREAD_FILES);
	/* The last fact: what is written to has a name before it. */
	if (half(td, FIO_THREAD_FILE_COUNT) != 1 || !files ||
	    !names_file(td, pointer(files[0], FIO_FILE_NAME)))
		return false;
	memcpy(at_changed(files[0], FIO_FILE_SIZE), &bytes, sizeof(bytes));
	return true;
}

struct host_io host_read_io(const struct io_u *io_u)
{
	uint32_t ddir = half(io_u, FIO_IO_DDIR);

	return (struct host_io){
		/* Reads, writes and trims, two kinds of flushes, and what isn't for disks. */
		.ddir = ddir <= HOST_SYNC       ? (enum host_ddir)ddir
			: ddir == HOST_SYNC + 1 ? HOST_SYNC
						: HOST_OTHER,
		.offset = number(io_u, FIO_IO_OFFSET),
		.length = number(io_u, FIO_IO_LENGTH),
		.memory = pointer(io_u, FIO_IO_BUFFER),
	};
}

bool host_io_fits(const struct thread_data *td, const struct io_u *io_u)
{
	void *const *files = pointer(td, FIO_THREAD_FILES);

	return pointer(io_u, FIO_IO_FILE) == files[0];
}

void host_set_error(struct io_u *io_u, int errno_value)
{
	memcpy(at_changed(io_u, FIO_IO_ERROR), &errno_value, sizeof(errno_value));
}
