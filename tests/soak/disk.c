/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <vireo/drivers/blk.h>
#include <vireo/vhost_user_frontend.h>

/*
 *   soak-disk SOCKET MILLISECONDS RATE WAY SEED
 *
 * Reads, writes, flushes, discards and zeroes a disk of DISK_BYTES at most RATE times a second for so long,
 * many at once on each of its queues, and compares what it reads with what it wrote. WAY is how it comes and
 * goes: "leave" connects and stops the device, "drop" connects and is gone in the middle of it, "listen" lets
 * the back end connect and stops the device. Prints how many requests it were.
 */

#define BLOCK      4096u
#define SECTORS    (BLOCK / 512)
#define DISK_BYTES (4u << 20)
#define BLOCKS     (DISK_BYTES / BLOCK)
#define DEPTH      16u
#define UNKNOWN    UINT32_MAX
#define MS         UINT64_C(1000000)
#define PATIENCE   (UINT64_C(20000) * MS)

struct request {
	struct vio_blk_io io;
	struct vio_part part;
	struct virtio_blk_discard_write_zeroes range;
	uint32_t block, sequence; /* that it leaves there */
	uint8_t data[BLOCK];
};

struct client {
	struct vio_dev dev;
	struct vio_blk blk;
	struct request requests[DEPTH];
	uint32_t known[BLOCKS]; /* which write a block has; 0: zeros */
	bool busy[BLOCKS];
	uint32_t sequence;
	uint64_t random, done;
	unsigned in_flight;
	bool closing;
	const char *wrong;
};

static uint32_t draw(struct client *client, uint32_t below)
{
	client->random ^= client->random << 13;
	client->random ^= client->random >> 7;
	client->random ^= client->random << 17;
	return (uint32_t)(client->random >> 32) % below;
}

static void fill(uint8_t *data, uint32_t block, uint32_t sequence)
{
	for (uint32_t i = 0; i < BLOCK; i++)
		data[i] = sequence ? (uint8_t)(sequence * 13 + block * 7 + i) : 0;
}

static void done(struct vio_dev *dev, struct vio_blk_io *io)
{
	struct client *client = dev->owner;
	struct request *request = io->owner;
	uint8_t expected[BLOCK];

	client->in_flight--;
	client->done++;
	client->busy[request->block] = false;
	if (client->closing)
		return;
	if (io->result)
		client->wrong = vio_strerror(io->result);
	else if (io->type == VIRTIO_BLK_T_IN && client->known[request->block] != UNKNOWN) {
		fill(expected, request->block, client->known[request->block]);
		if (memcmp(expected, request->data, BLOCK))
			client->wrong = "other data than was written";
	} else if (io->type != VIRTIO_BLK_T_IN && io->type != VIRTIO_BLK_T_FLUSH) {
		client->known[request->block] = request->sequence;
	}
}

static void begin_change(struct client *client, struct request *request)
{
	uint32_t kind = draw(client, 10);

	if (kind < 8) {
		request->io.type = VIRTIO_BLK_T_OUT;
		request->sequence = ++client->sequence;
		fill(request->data, request->block, request->sequence);
		return;
	}
	request->io.type = kind == 8 ? VIRTIO_BLK_T_DISCARD : VIRTIO_BLK_T_WRITE_ZEROES;
	request->sequence = kind == 8 ? UNKNOWN : 0;
	request->range.sector = vio_le64_make(request->io.sector);
	request->range.num_sectors = vio_le32_make(SECTORS);
	request->range.flags =
		vio_le32_make(kind == 8 || draw(client, 2) ? 0 : VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP);
	request->part = (struct vio_part){ &request->range, sizeof(request->range) };
	request->io.sector = 0;
}

static int begin(struct client *client, struct request *request)
{
	request->block = draw(client, BLOCKS);
	while (client->busy[request->block])
		request->block = (request->block + 1) % BLOCKS;
	request->part = (struct vio_part){ request->data, BLOCK };
	memset(&request->io, 0, sizeof(request->io));
	request->io.queue = (uint16_t)((request - client->requests) % client->blk.identity.queue_count);
	request->io.sector = (uint64_t)request->block * SECTORS;
	request->io.parts = &request->part;
	request->io.part_count = 1;
	request->io.done = done;
	request->io.owner = request;
	switch (draw(client, 16)) {
	case 0:
		request->io.type = VIRTIO_BLK_T_FLUSH;
		request->io.part_count = 0;
		request->io.sector = 0;
		break;
	case 1 ... 8:
		begin_change(client, request);
		break;
	default:
		request->io.type = VIRTIO_BLK_T_IN;
	}
	client->busy[request->block] = true;
	client->in_flight++;
	return vio_blk_submit(&client->dev, &request->io);
}

static int poll_all(struct client *client)
{
	for (uint16_t queue = 0; queue < client->blk.identity.queue_count; queue++) {
		int polled;

		vio_blk_kick(&client->dev, queue);
		polled = vio_blk_poll(&client->dev, queue);
		if (polled < 0)
			return polled;
	}
	return 0;
}

static int work(struct client *client, uint64_t for_ns, uint64_t rate)
{
	const struct vio_platform *platform = client->dev.platform;
	uint64_t begun = platform->now_ns(platform->context), now = begun, submitted = 0;
	int error = 0;

	while (!error && !client->wrong && (now - begun < for_ns || client->in_flight)) {
		uint64_t due = now - begun < for_ns ? (now - begun) * rate / (1000 * MS) + 1 : 0;

		for (unsigned i = 0; i < DEPTH && submitted < due && !error; i++) {
			if (client->requests[i].io.busy)
				continue;
			error = begin(client, &client->requests[i]);
			submitted++;
		}
		if (!error)
			error = poll_all(client);
		if (now - begun > for_ns + PATIENCE)
			client->wrong = "requests that aren't answered";
		platform->wait(platform->context, MS * 2);
		now = platform->now_ns(platform->context);
	}
	return error;
}

/* The back end is the one that connects: the descriptor of its connection. */
static int await(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), fd = -1;
	struct pollfd pollfd = { .fd = listening, .events = POLLIN };

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	unlink(path);
	if (listening >= 0 && !bind(listening, (struct sockaddr *)&address, sizeof(address)) &&
	    !listen(listening, 1) && poll(&pollfd, 1, 20000) == 1)
		fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
	close(listening);
	unlink(path);
	return fd;
}

static int run(struct client *client, char **argv)
{
	const uint64_t for_ns = strtoull(argv[2], NULL, 10) * MS, rate = strtoull(argv[3], NULL, 10);
	int error = vio_driver_bind(&client->dev, &vio_blk_driver,
				    vio_vhost_user_frontend_platform(&client->dev), &client->blk);

	if (error)
		return error;
	client->dev.owner = client;
	for (unsigned i = 0; i < BLOCKS; i++)
		client->known[i] = UNKNOWN;
	error = work(client, for_ns, rate);
	if (error || client->wrong || strcmp(argv[4], "drop"))
		return error;
	for (unsigned i = 0; i < DEPTH; i++)
		begin(client, &client->requests[i]);
	for (uint16_t queue = 0; queue < client->blk.identity.queue_count; queue++)
		vio_blk_kick(&client->dev, queue);
	printf("%" PRIu64 "\n", client->done);
	fflush(stdout);
	_exit(0);
}

int main(int argc, char **argv)
{
	const struct vio_vhost_user_frontend_options options = { .id = VIRTIO_ID_BLOCK, .queues_unsaid = 1 };
	struct client *client = calloc(1, sizeof(*client));
	struct vio_vhost_user_mistake mistake = { "" };
	int socket, error;

	if (argc != 6 || !client)
		return 2;
	client->random = strtoull(argv[5], NULL, 10) * UINT64_C(0x9e3779b97f4a7c15) + 1;
	socket = strcmp(argv[4], "listen") ? vio_vhost_user_frontend_connect(argv[1]) : await(argv[1]);
	if (socket < 0 || vio_vhost_user_frontend_open(socket, &options, &client->dev, &mistake)) {
		fprintf(stderr, "soak-disk: no back end: %s\n", mistake.text);
		free(client);
		return 1;
	}
	error = run(client, argv);
	if (error || client->wrong)
		fprintf(stderr, "soak-disk: %s (%s)\n", client->wrong ? client->wrong : vio_strerror(error),
			vio_vhost_user_frontend_mistake(&client->dev));
	client->closing = true;
	printf("%" PRIu64 "\n", client->done);
	error = vio_dev_close(&client->dev) || error || client->wrong;
	free(client);
	return error;
}
