/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <vireo/client.h>

/*
 * A disk whose daemon is killed again and again under two threads' writes, which go on.
 *
 *	client-kills VIREO DIRECTORY KILLS SEED [PROPERTY...]
 *
 * Each thread has a queue, blocks of its own, and one write in flight for each of them at most. A write has
 * a number, and fills its block with it. Each has to complete once, and without an error; in the end each
 * block has to hold the number that completed last.
 */
#define BLOCK_BYTES 4096u
#define THREADS     2u
#define BLOCKS      256u /* of each */
#define DEPTH       32u
#define WAIT_NS     UINT64_C(60000000000)
#define LIFE_US     40000u

struct writer {
	struct vio_client_queue *queue;
	unsigned number; /* of the thread */
	pthread_t thread;
	uint64_t *memory; /* a block for each of DEPTH */
	uint64_t seed, next;
	uint64_t last[BLOCKS];    /* that completed */
	uint64_t pending[BLOCKS]; /* 0: none */
	unsigned block_of[DEPTH]; /* by the place in memory; BLOCKS: free */
	uint64_t completed;
};

static struct {
	const char *vireo, *directory;
	char *const *properties;
	char socket[200], path[200];
	volatile pid_t pid;
	uint64_t seed;
	atomic_bool ends;
	struct writer writers[THREADS];
} test;

static void fail(const char *what, unsigned long long found, unsigned long long wanted)
{
	fprintf(stderr, "%s: %llu, and not %llu\n", what, found, wanted);
	if (test.pid)
		kill(test.pid, SIGKILL);
	exit(1);
}

static unsigned chance(uint64_t *seed, unsigned below)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned)(*seed >> 33) % below;
}

static void start_daemon(void)
{
	char *words[20] = { (char[]){ "vireo" },         (char[]){ "serve" }, (char[]){ "blk" },
			    (char[]){ "--socket-path" }, test.socket,         test.path,
			    (char[]){ "num-queues=2" } };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (unsigned i = 0; test.properties[i] && i < 10; i++)
		words[7 + i] = test.properties[i];
	test.pid = fork();
	if (!test.pid) {
		if (!getenv("CRASH_VERBOSE"))
			dup2(null, 2);
		execv(test.vireo, words);
		_exit(127);
	}
	close(null);
}

static void end_daemon(int number)
{
	int status;

	kill(test.pid, number);
	waitpid(test.pid, &status, 0);
	if (number == SIGKILL ? !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL : status)
		fail("the daemon ended by itself, status", (unsigned)status, (unsigned)number);
	test.pid = 0;
}

static void submit(struct writer *writer)
{
	struct vio_client_request requests[DEPTH];
	struct vio_part parts[DEPTH];
	unsigned count = 0;

	for (unsigned i = 0; i < DEPTH; i++) {
		unsigned block = chance(&writer->seed, BLOCKS);
		uint64_t *bytes = writer->memory + i * (BLOCK_BYTES / sizeof(uint64_t));

		if (writer->block_of[i] != BLOCKS || writer->pending[block])
			continue;
		writer->block_of[i] = block;
		writer->pending[block] = ++writer->next;
		for (unsigned word = 0; word < BLOCK_BYTES / sizeof(uint64_t); word++)
			bytes[word] = writer->next;
		parts[count] = (struct vio_part){ bytes, BLOCK_BYTES };
		requests[count] = (struct vio_client_request){
			.op = VIO_CLIENT_WRITE,
			.offset = (uint64_t)(writer->number * BLOCKS + block) * BLOCK_BYTES,
			.parts = &parts[count],
			.part_count = 1,
			.user_data = i,
		};
		count++;
	}
	if (count && vio_client_submit(writer->queue, requests, count) != (int)count)
		fail("requests aren't taken, of", 0, count);
}

static void collect(struct writer *writer)
{
	struct vio_client_completion done[DEPTH];
	int count = vio_client_wait(writer->queue, done, DEPTH, WAIT_NS);

	if (count <= 0 && vio_client_in_flight(writer->queue))
		fail("nothing completes, code", (unsigned)-count, 1);
	for (int i = 0; i < count; i++) {
		uint64_t place = done[i].user_data;
		unsigned block = place < DEPTH ? writer->block_of[place] : BLOCKS;

		if (block == BLOCKS)
			fail("completed twice, or never submitted", place, 0);
		if (done[i].result)
			fail("a write failed, code", (unsigned)-done[i].result, 0);
		writer->last[block] = writer->pending[block];
		writer->pending[block] = 0;
		writer->block_of[place] = BLOCKS;
		writer->completed++;
	}
}

static void *write_on(void *context)
{
	struct writer *writer = context;

	while (!atomic_load(&test.ends)) {
		submit(writer);
		collect(writer);
	}
	while (vio_client_in_flight(writer->queue))
		collect(writer);
	return NULL;
}

/* Reads back what this thread's blocks hold. */
static void verify(struct writer *writer)
{
	struct vio_client_completion done;
	const struct vio_part part = { writer->memory, BLOCK_BYTES };

	for (unsigned block = 0; block < BLOCKS; block++) {
		const struct vio_client_request request = {
			.op = VIO_CLIENT_READ,
			.offset = (uint64_t)(writer->number * BLOCKS + block) * BLOCK_BYTES,
			.parts = &part,
			.part_count = 1,
		};

		if (vio_client_submit(writer->queue, &request, 1) != 1 ||
		    vio_client_wait(writer->queue, &done, 1, WAIT_NS) != 1 || done.result)
			fail("can't be read, block", block, 0);
		for (unsigned word = 0; word < BLOCK_BYTES / sizeof(uint64_t); word++)
			if (writer->memory[word] != writer->last[block])
				fail("a block holds", writer->memory[word], writer->last[block]);
	}
}

static void begin(struct vio_client *client, unsigned number)
{
	struct writer *writer = &test.writers[number];

	writer->number = number;
	writer->seed = test.seed + number;
	writer->queue = vio_client_get_queue(client, (uint16_t)number);
	writer->memory = vio_client_alloc(client, (size_t)DEPTH * BLOCK_BYTES);
	for (unsigned i = 0; i < DEPTH; i++)
		writer->block_of[i] = BLOCKS;
	if (!writer->queue || !writer->memory || pthread_create(&writer->thread, NULL, write_on, writer))
		fail("no queue or memory for thread", number, 0);
}

static struct vio_client *open_client(void)
{
	const struct timespec moment = { 0, 5000000 };
	const struct vio_client_options options = { .path = test.socket,
						    .flags = VIO_CLIENT_RECONNECT,
						    .queue_count = THREADS,
						    .depth = DEPTH,
						    .reconnect_ms = 30000,
						    .request_ms = 60000 };
	struct vio_client *client;
	struct vio_message message;

	for (unsigned tries = 0; tries < 2000; tries++) {
		if (!vio_client_open_disk(&options, &client, &message))
			return client;
		nanosleep(&moment, NULL);
	}
	fprintf(stderr, "%s\n", message.text);
	fail("no client, tries", 2000, 0);
	return NULL;
}

static void make_image(void)
{
	int fd = open(test.path + strlen("path="), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0 || ftruncate(fd, (off_t)THREADS * BLOCKS * BLOCK_BYTES))
		fail("no image", 0, 1);
	close(fd);
}

/*
 * Not before the next one is at work, as one that died while it was told the queues is the same to the
 * client.
 */
static void await_life(struct vio_client *client, unsigned lives)
{
	const struct timespec moment = { 0, 1000000 };
	struct vio_client_info info;

	for (unsigned tries = 0; tries < 30000; tries++) {
		vio_client_get_info(client, &info);
		if (info.gone)
			fail("the connection is over, code", (unsigned)-info.gone, 0);
		if (info.reconnects >= lives)
			return;
		nanosleep(&moment, NULL);
	}
	fail("lives", info.reconnects, lives);
}

int main(int argc, char **argv)
{
	struct vio_client *client;
	struct vio_client_info info;
	unsigned kills = argc > 3 ? (unsigned)atoi(argv[3]) : 0;
	uint64_t completed = 0;

	if (argc < 5) {
		fputs("usage: client-kills VIREO DIRECTORY KILLS SEED [PROPERTY...]\n", stderr);
		return 2;
	}
	test.vireo = argv[1];
	test.seed = strtoull(argv[4], NULL, 10);
	test.properties = argv + 5;
	snprintf(test.socket, sizeof(test.socket), "%s/s", argv[2]);
	snprintf(test.path, sizeof(test.path), "path=%s/disk.img", argv[2]);
	make_image();
	start_daemon();
	client = open_client();
	vio_client_get_info(client, &info);
	if (!info.can_reconnect || info.queue_count != THREADS)
		fail("queues of a daemon that one can come back to", info.queue_count, THREADS);
	for (unsigned i = 0; i < THREADS; i++)
		begin(client, i);
	for (unsigned i = 0; i < kills; i++) {
		const struct timespec life = { 0, (long)(1000 + chance(&test.seed, LIFE_US)) * 1000 };

		nanosleep(&life, NULL);
		end_daemon(SIGKILL);
		start_daemon();
		await_life(client, i + 1);
	}
	atomic_store(&test.ends, true);
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(test.writers[i].thread, NULL);
		verify(&test.writers[i]);
		if (test.writers[i].completed != test.writers[i].next)
			fail("completed", test.writers[i].completed, test.writers[i].next);
		completed += test.writers[i].completed;
	}
	vio_client_close(client);
	end_daemon(SIGTERM);
	printf("%u times killed: %llu writes, each completed once\n", kills, (unsigned long long)completed);
	return !completed;
}
