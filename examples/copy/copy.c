/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Copies a disk that somebody serves over vhost-user to standard output, with many reads in flight.
 *
 *	copy /run/disk.sock > disk.img
 *
 * cc copy.c $(pkg-config --cflags --libs vireo)
 */
#include <stdio.h>
#include <stdlib.h>

#include <vireo/client.h>

#define DEPTH 16u
#define CHUNK 65536u

struct copy {
	struct vio_client_queue *queue;
	uint8_t *memory; /* DEPTH chunks, seen by the back end: nothing is copied on the way */
	uint64_t bytes, asked, written;
	int ready[DEPTH]; /* chunks that came; they come in any order */
};

static uint32_t chunk_at(const struct copy *copy, uint64_t offset)
{
	return copy->bytes - offset < CHUNK ? (uint32_t)(copy->bytes - offset) : CHUNK;
}

static int ask(struct copy *copy)
{
	while (copy->asked < copy->bytes && copy->asked - copy->written < (uint64_t)DEPTH * CHUNK) {
		uint64_t place = copy->asked / CHUNK % DEPTH;
		struct vio_part part = { copy->memory + place * CHUNK, chunk_at(copy, copy->asked) };
		struct vio_client_request request = { .op = VIO_CLIENT_READ,
						      .offset = copy->asked,
						      .parts = &part,
						      .part_count = 1,
						      .user_data = place };
		int taken = vio_client_submit(copy->queue, &request, 1);

		if (taken < 0)
			return taken;
		copy->asked += part.length;
	}
	return 0;
}

static int take(struct copy *copy)
{
	struct vio_client_completion completions[DEPTH];
	int count = vio_client_wait(copy->queue, completions, DEPTH, 0);

	for (int i = 0; i < count; i++) {
		if (completions[i].result)
			return completions[i].result;
		copy->ready[completions[i].user_data] = 1;
	}
	return count < 0 ? count : 0;
}

/* Those whose turn it is. */
static int write_out(struct copy *copy)
{
	uint64_t place = copy->written / CHUNK % DEPTH;

	for (; copy->ready[place]; place = copy->written / CHUNK % DEPTH) {
		uint32_t length = chunk_at(copy, copy->written);

		if (fwrite(copy->memory + place * CHUNK, 1, length, stdout) != length)
			return -VIO_EIO;
		copy->ready[place] = 0;
		copy->written += length;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct vio_client_options options = { .flags = VIO_CLIENT_RECONNECT, .depth = DEPTH };
	struct vio_client_info info;
	struct vio_message message;
	struct vio_client *client;
	struct copy copy = { .queue = NULL };
	int error;

	if (argc != 2) {
		fprintf(stderr, "usage: copy SOCKET\n");
		return 2;
	}
	options.path = argv[1];
	if (vio_client_open_disk(&options, &client, &message)) {
		fprintf(stderr, "copy: %s\n", message.text);
		return 1;
	}
	vio_client_get_info(client, &info);
	copy.bytes = info.disk.bytes;
	copy.queue = vio_client_get_queue(client, 0);
	copy.memory = vio_client_alloc(client, (size_t)DEPTH * CHUNK);
	error = copy.memory ? 0 : -VIO_ENOMEM;
	while (!error && copy.written < copy.bytes) {
		error = ask(&copy);
		if (!error)
			error = take(&copy);
		if (!error)
			error = write_out(&copy);
	}
	if (error) {
		vio_client_get_mistake(client, &message);
		fprintf(stderr, "copy: %s %s\n", vio_strerror(error), message.text);
	}
	vio_client_close(client);
	return error != 0;
}
