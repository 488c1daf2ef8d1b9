/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <vireo/host_terminal.h>

/* Terminals of the host, in the hands of a device that isn't there. */

struct bed {
	struct vio_loop *loop;
	struct vio_terminal *terminal;
	struct vio_host_terminal_options options;
	char folder[32];
	unsigned readable, writable, changed;
	bool reads; /* what is readable is read */
	char got[4096];
	size_t got_bytes;
};

static void readable(void *context)
{
	struct bed *bed = context;
	size_t got;

	bed->readable++;
	while (bed->reads && (got = bed->terminal->ops->read(bed->terminal, bed->got + bed->got_bytes,
							     sizeof(bed->got) - bed->got_bytes)))
		bed->got_bytes += got;
}

static void writable(void *context)
{
	((struct bed *)context)->writable++;
}

static void changed(void *context)
{
	((struct bed *)context)->changed++;
}

static const struct vio_terminal_events events = { readable, writable, changed };

static void make(struct bed *bed, unsigned backend, const char *name, bool hold, uint32_t patience_ms)
{
	struct vio_message message;
	int error;

	memset(bed, 0, sizeof(*bed));
	strcpy(bed->folder, "/tmp/vireo-terminal-XXXXXX");
	assert_non_null(mkdtemp(bed->folder));
	bed->loop = vio_loop_create(0, &error);
	assert_non_null(bed->loop);
	bed->options.backend = (uint8_t)backend;
	bed->options.hold = hold;
	bed->options.patience_ms = patience_ms;
	bed->reads = true;
	if (name)
		snprintf(bed->options.path, sizeof(bed->options.path), "%s/%s", bed->folder, name);
	assert_int_equal(vio_host_terminal_open(bed->loop, &bed->options, &bed->terminal, &message), 0);
	bed->terminal->events = &events;
	bed->terminal->events_context = bed;
}

static void free_bed(struct bed *bed)
{
	bed->terminal->ops->close(bed->terminal);
	vio_loop_destroy(bed->loop);
	if (bed->options.backend == VIO_HOST_TERMINAL_FILE)
		unlink(bed->options.path);
	assert_int_equal(rmdir(bed->folder), 0); /* what was made in it is gone */
}

static void run(struct bed *bed, unsigned times_10_ms)
{
	for (unsigned i = 0; i < times_10_ms; i++)
		vio_loop_step(bed->loop, 10);
}

static int dial(struct bed *bed)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, bed->options.path);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static size_t put(struct bed *bed, const void *from, size_t length)
{
	return bed->terminal->ops->write(bed->terminal, from, length);
}

static void clients_come_and_go(void **state)
{
	struct bed bed;
	char text[16];

	make(&bed, VIO_HOST_TERMINAL_SOCKET, "port", false, 0);
	assert_false(bed.terminal->connected);
	assert_int_equal(put(&bed, "nobody", 6), 6);
	for (unsigned i = 0; i < 3; i++) {
		int fd = dial(&bed);

		run(&bed, 3);
		assert_true(bed.terminal->connected);
		assert_int_equal(put(&bed, "hello", 5), 5);
		assert_int_equal(read(fd, text, sizeof(text)), 5);
		assert_memory_equal(text, "hello", 5);
		bed.got_bytes = 0;
		assert_int_equal(write(fd, "typed", 5), 5);
		run(&bed, 3);
		assert_int_equal(bed.got_bytes, 5);
		close(fd);
		run(&bed, 3);
		assert_false(bed.terminal->connected);
	}
	assert_int_equal(bed.changed, 6);
	free_bed(&bed);
}

/* The driver takes nothing: that a client left is seen all the same, and what it typed isn't lost. */
static void clients_leave_unread(unsigned backend)
{
	struct bed bed;
	char text[8];

	make(&bed, backend, backend == VIO_HOST_TERMINAL_SOCKET ? "port" : NULL, false, 0);
	bed.reads = false;
	for (unsigned i = 0; i < 3; i++) {
		int fd = backend == VIO_HOST_TERMINAL_SOCKET ? dial(&bed)
							     : open(bed.options.place, O_RDWR | O_NOCTTY);

		run(&bed, 15);
		assert_true(bed.terminal->connected);
		snprintf(text, sizeof(text), "typed%u", i);
		assert_int_equal(write(fd, text, 6), 6);
		run(&bed, 3);
		assert_int_equal(put(&bed, "hello", 5), 5);
		run(&bed, 3);
		assert_true(bed.terminal->connected);
		close(fd);
		run(&bed, 15);
		assert_false(bed.terminal->connected);
		assert_int_equal(bed.changed, 2 * (i + 1));
	}
	bed.reads = true;
	readable(&bed);
	assert_int_equal(bed.got_bytes, 18);
	assert_memory_equal(bed.got, "typed0typed1typed2", 18);
	free_bed(&bed);
}

static void clients_leave_unread_sockets(void **state)
{
	(void)state;
	clients_leave_unread(VIO_HOST_TERMINAL_SOCKET);
}

static void clients_leave_unread_terminals(void **state)
{
	(void)state;
	clients_leave_unread(VIO_HOST_TERMINAL_PTY);
}

/* Half of what this one sent has no place. */
static void clients_leave_much_unread(void **state)
{
	static char much[2 * VIO_HOST_TERMINAL_HELD];
	struct bed bed;
	size_t got = 0;
	int fd;

	(void)state;
	make(&bed, VIO_HOST_TERMINAL_SOCKET, "port", false, 0);
	bed.reads = false;
	fd = dial(&bed);
	memset(much, 'x', sizeof(much));
	assert_int_equal(write(fd, much, sizeof(much)), sizeof(much));
	run(&bed, 3);
	close(fd);
	run(&bed, 3);
	assert_false(bed.terminal->connected);
	fd = dial(&bed);
	assert_int_equal(write(fd, "next", 4), 4);
	run(&bed, 3);
	assert_true(bed.terminal->connected);
	bed.reads = true;
	do {
		bed.got_bytes = bed.terminal->ops->read(bed.terminal, bed.got, sizeof(bed.got));
		got += bed.got_bytes;
	} while (bed.got_bytes == sizeof(bed.got));
	assert_int_equal(got, VIO_HOST_TERMINAL_HELD + 4);
	assert_int_equal(bed.got_bytes, 4);
	assert_memory_equal(bed.got, "next", 4);
	close(fd);
	run(&bed, 3);
	assert_false(bed.terminal->connected);
	free_bed(&bed);
}

static void what_is_held(void **state)
{
	static char much[3 * VIO_HOST_TERMINAL_HELD], back[sizeof(much)];
	struct bed bed;
	size_t total = 0;
	int fd;

	for (size_t i = 0; i < sizeof(much); i++)
		much[i] = (char)(i * 7 + i / 1000);
	make(&bed, VIO_HOST_TERMINAL_SOCKET, "port", true, 0);
	for (size_t at = 0; at < sizeof(much); at += 1024)
		assert_int_equal(put(&bed, much + at, 1024), 1024);
	fd = dial(&bed);
	for (unsigned i = 0; i < 100 && total < VIO_HOST_TERMINAL_HELD; i++) {
		ssize_t got;

		run(&bed, 1);
		while ((got = read(fd, back + total, sizeof(back) - total)) > 0)
			total += (size_t)got;
	}
	assert_int_equal(total, VIO_HOST_TERMINAL_HELD);
	assert_memory_equal(back, much + sizeof(much) - VIO_HOST_TERMINAL_HELD, total);
	close(fd);
	free_bed(&bed);
}

/* Writes until there is no room. */
static size_t fill(struct bed *bed, size_t most)
{
	static const char block[4096];
	size_t total = 0, took;

	do {
		took = put(bed, block, sizeof(block));
		total += took;
	} while (took == sizeof(block) && total < most);
	return total;
}

static void slow_readers_lose_nothing(void **state)
{
	static char back[1 << 20];
	size_t sent, total = 0;
	struct bed bed;
	int fd;

	make(&bed, VIO_HOST_TERMINAL_SOCKET, "port", false, 0);
	fd = dial(&bed);
	run(&bed, 3);
	sent = fill(&bed, sizeof(back));
	assert_true(sent < sizeof(back));
	run(&bed, 20);
	assert_int_equal(put(&bed, "x", 1), 0); /* however long it takes */
	assert_int_equal(bed.writable, 0);
	for (unsigned i = 0; i < 200 && total < sent; i++) {
		ssize_t got;

		run(&bed, 1);
		while ((got = read(fd, back, sizeof(back))) > 0)
			total += (size_t)got;
	}
	assert_int_equal(total, sent);
	assert_int_equal(bed.writable, 1);
	close(fd);
	free_bed(&bed);
}

static void patience_ends(void **state)
{
	static char back[1 << 20];
	struct bed bed;
	int fd;

	make(&bed, VIO_HOST_TERMINAL_SOCKET, "port", false, 50);
	fd = dial(&bed);
	run(&bed, 3);
	assert_true(fill(&bed, sizeof(back)) < sizeof(back));
	for (unsigned i = 0; i < 300 && !bed.writable; i++)
		run(&bed, 1);
	assert_int_equal(bed.writable, 1);
	assert_int_equal(fill(&bed, sizeof(back)), sizeof(back)); /* is dropped */
	for (unsigned i = 0; i < 200; i++) {
		run(&bed, 1);
		if (read(fd, back, sizeof(back)) < 0 && i > 20)
			break;
	}
	assert_int_equal(put(&bed, "again", 5), 5);
	assert_int_equal(read(fd, back, sizeof(back)), 5);
	close(fd);
	free_bed(&bed);
}

static void no_reader_no_end(void **state)
{
	struct bed bed;
	int fd;

	make(&bed, VIO_HOST_TERMINAL_SOCKET, "port", false, 0);
	bed.reads = false;
	fd = dial(&bed);
	assert_int_equal(write(fd, "typed", 5), 5);
	run(&bed, 10);
	assert_int_equal(bed.readable, 1); /* and isn't asked again and again */
	bed.reads = true;
	readable(&bed);
	assert_int_equal(bed.got_bytes, 5);
	assert_int_equal(write(fd, "more", 4), 4);
	run(&bed, 3);
	assert_int_equal(bed.got_bytes, 9);
	close(fd);
	free_bed(&bed);
}

static void pseudo_terminals(void **state)
{
	struct winsize size = { .ws_row = 33, .ws_col = 101 };
	struct bed bed;
	char text[16];
	int fd;

	make(&bed, VIO_HOST_TERMINAL_PTY, "tty", false, 0);
	run(&bed, 15);
	assert_false(bed.terminal->connected);
	assert_int_equal(put(&bed, "nobody", 6), 6);
	for (unsigned i = 0; i < 2; i++) {
		fd = open(i ? bed.options.path : bed.options.place, O_RDWR | O_NOCTTY | O_NONBLOCK);
		assert_true(fd >= 0);
		for (unsigned n = 0; n < 100 && !bed.terminal->connected; n++)
			run(&bed, 1);
		assert_true(bed.terminal->connected);
		assert_int_equal(put(&bed, "\x03hi\r\n", 5), 5);
		run(&bed, 2);
		assert_int_equal(read(fd, text, sizeof(text)), 5);
		assert_memory_equal(text, "\x03hi\r\n", 5);
		bed.got_bytes = 0;
		assert_int_equal(write(fd, "\x03ok\r\n\x04", 6), 6);
		assert_int_equal(ioctl(fd, TIOCSWINSZ, &size), 0);
		run(&bed, 15);
		assert_int_equal(bed.got_bytes, 6);
		assert_memory_equal(bed.got, "\x03ok\r\n\x04", 6);
		assert_int_equal(bed.terminal->cols, 101);
		assert_int_equal(bed.terminal->rows, 33);
		close(fd);
		for (unsigned n = 0; n < 100 && bed.terminal->connected; n++)
			run(&bed, 1);
		assert_false(bed.terminal->connected);
	}
	free_bed(&bed);
}

struct typist {
	const char *place;
	int fd;
};

/* Somebody leaves, and somebody else is there at once. */
static void *take_turns(void *context)
{
	struct typist *typist = context;

	close(typist->fd);
	typist->fd = open(typist->place, O_RDWR | O_NOCTTY);
	if (write(typist->fd, "x", 1) != 1)
		close(typist->fd);
	return NULL;
}

/* Whether or not anybody was seen to leave, what is typed arrives. */
static void terminals_change_hands(void **state)
{
	struct typist typist;
	struct bed bed;
	pthread_t thread;

	(void)state;
	make(&bed, VIO_HOST_TERMINAL_PTY, NULL, false, 0);
	typist = (struct typist){ bed.options.place, open(bed.options.place, O_RDWR | O_NOCTTY) };
	for (unsigned n = 0; n < 100 && !bed.terminal->connected; n++)
		run(&bed, 1);
	for (unsigned i = 0; i < 30; i++) {
		bed.got_bytes = 0;
		assert_int_equal(pthread_create(&thread, NULL, take_turns, &typist), 0);
		for (unsigned n = 0; n < 1000 && !bed.got_bytes; n++)
			run(&bed, 1);
		assert_int_equal(pthread_join(thread, NULL), 0);
		assert_int_equal(bed.got_bytes, 1);
	}
	close(typist.fd);
	free_bed(&bed);
}

static void files(void **state)
{
	struct vio_message message;
	struct bed bed;
	char text[32];
	int fd;

	make(&bed, VIO_HOST_TERMINAL_FILE, "log", false, 0);
	assert_int_equal(put(&bed, "one\n", 4), 4);
	bed.terminal->ops->close(bed.terminal);
	bed.options.append = true;
	assert_int_equal(vio_host_terminal_open(bed.loop, &bed.options, &bed.terminal, &message), 0);
	assert_int_equal(put(&bed, "two\n", 4), 4);
	fd = open(bed.options.path, O_RDONLY);
	assert_int_equal(read(fd, text, sizeof(text)), 8);
	assert_memory_equal(text, "one\ntwo\n", 8);
	close(fd);
	free_bed(&bed);
}

static void refusals(void **state)
{
	struct vio_host_terminal_options options = { .backend = VIO_HOST_TERMINAL_SOCKET };
	struct vio_terminal *terminal;
	struct vio_message message;
	struct vio_loop *loop;
	int error;

	loop = vio_loop_create(0, &error);
	assert_non_null(loop);
	assert_int_equal(vio_host_terminal_open(loop, &options, &terminal, &message), -VIO_EINVAL);
	assert_non_null(strstr(message.text, "needs a path"));
	memset(options.path, 'x', 200);
	assert_int_equal(vio_host_terminal_open(loop, &options, &terminal, &message), -VIO_ERANGE);
	strcpy(options.path, "/nonexistent/port");
	assert_int_not_equal(vio_host_terminal_open(loop, &options, &terminal, &message), 0);
	assert_non_null(strstr(message.text, "/nonexistent/port"));
	strcpy(options.path, "/etc/passwd"); /* is no socket, and stays */
	assert_int_not_equal(vio_host_terminal_open(loop, &options, &terminal, &message), 0);
	assert_int_equal(access("/etc/passwd", F_OK), 0);
	options.backend = VIO_HOST_TERMINAL_PTY; /* is no link, and stays */
	assert_int_not_equal(vio_host_terminal_open(loop, &options, &terminal, &message), 0);
	assert_int_equal(access("/etc/passwd", F_OK), 0);
	options.backend = VIO_HOST_TERMINAL_FILE;
	strcpy(options.path, "/");
	assert_int_not_equal(vio_host_terminal_open(loop, &options, &terminal, &message), 0);
	options.backend = VIO_HOST_TERMINAL_NULL;
	assert_int_equal(vio_host_terminal_open(loop, &options, &terminal, &message), -VIO_EINVAL);
	options.path[0] = '\0';
	assert_int_equal(vio_host_terminal_open(loop, &options, &terminal, &message), 0);
	assert_int_equal(terminal->ops->write(terminal, "gone", 4), 4);
	assert_int_equal(terminal->ops->read(terminal, message.text, 4), 0);
	terminal->ops->close(terminal);
	vio_loop_destroy(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clients_come_and_go),
		cmocka_unit_test(clients_leave_unread_sockets),
		cmocka_unit_test(clients_leave_unread_terminals),
		cmocka_unit_test(clients_leave_much_unread),
		cmocka_unit_test(what_is_held),
		cmocka_unit_test(slow_readers_lose_nothing),
		cmocka_unit_test(patience_ends),
		cmocka_unit_test(no_reader_no_end),
		cmocka_unit_test(pseudo_terminals),
		cmocka_unit_test(terminals_change_hands),
		cmocka_unit_test(files),
		cmocka_unit_test(refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
