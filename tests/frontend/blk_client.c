/* SPDX-License-Identifier: BSD-3-Clause */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vireo/driver.h>
#include <vireo/drivers/blk.h>
#include <vireo/vhost_user_frontend.h>

/*
 *   blk-client SOCKET QUEUES [FEATURE ...]
 *
 * Our block driver and a disk of 4 MiB behind a socket: random reads and writes in pieces, many in flight
 * on each queue, all that is read held against what was written; features by number are left out. At the end
 * the whole disk is read again, and goes to standard output as it should be.
 */

#define QUEUES_MAX  VIO_BLK_QUEUES_MAX
#define PER_QUEUE   8u
#define SLOTS       (QUEUES_MAX * PER_QUEUE)
#define DISK_BYTES  (4u << 20)
#define SLOT_BYTES  (DISK_BYTES / SLOTS)
#define SECTOR      512u
#define PARTS_MAX   6u
#define REQUESTS    6000u
#define ARENA_BYTES ((size_t)32 << 20)

struct slot {
	struct vio_blk_io io;
	struct vio_part parts[PARTS_MAX];
	uint8_t data[SLOT_BYTES];
	uint32_t at, length; /* bytes, in the slot */
};

struct client {
	struct vio_dev dev;
	struct vio_blk blk;
	struct vio_transport_ops ops;
	struct slot slots[SLOTS];
	uint8_t disk[DISK_BYTES]; /* as it should be */
	uint64_t random;
	uint32_t begun, done;
	uint32_t queues;
	const char *wrong;
};

static uint32_t draw(struct client *client, uint32_t below)
{
	client->random ^= client->random << 13;
	client->random ^= client->random >> 7;
	client->random ^= client->random << 17;
	return (uint32_t)(client->random >> 32) % below;
}

static uint8_t *disk_of(struct client *client, const struct slot *slot)
{
	return client->disk + (size_t)(slot - client->slots) * SLOT_BYTES + slot->at;
}

/* Cuts the data into parts of whole sectors. */
static unsigned cut(struct client *client, struct slot *slot)
{
	uint32_t left = slot->length, at = slot->at;
	unsigned count = 0;

	while (left) {
		uint32_t piece = count + 1 == PARTS_MAX ? left : SECTOR * (1 + draw(client, left / SECTOR));

		slot->parts[count++] = (struct vio_part){ slot->data + at, piece };
		at += piece;
		left -= piece;
	}
	return count;
}

static int begin(struct client *client, struct slot *slot);

static void done(struct vio_dev *dev, struct vio_blk_io *io)
{
	struct client *client = dev->owner;
	struct slot *slot = io->owner;
	uint8_t *bytes = slot->data + slot->at;

	client->done++;
	if (io->result)
		client->wrong = "a request failed";
	else if (io->type == VIRTIO_BLK_T_OUT)
		memcpy(disk_of(client, slot), bytes, slot->length);
	else if (memcmp(disk_of(client, slot), bytes, slot->length))
		client->wrong = "other data than was written";
	if (client->begun < REQUESTS && !client->wrong && begin(client, slot))
		client->wrong = "a request wasn't taken";
}

static int begin(struct client *client, struct slot *slot)
{
	uint32_t sectors = SLOT_BYTES / SECTOR, first = draw(client, sectors), i;
	uint64_t index = (uint64_t)(slot - client->slots);

	slot->at = first * SECTOR;
	slot->length = (1 + draw(client, sectors - first)) * SECTOR;
	slot->io = (struct vio_blk_io){
		.type = draw(client, 2) ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN,
		.queue = (uint16_t)(index % client->queues),
		.sector = (index * SLOT_BYTES + slot->at) / SECTOR,
		.parts = slot->parts,
		.part_count = cut(client, slot),
		.done = done,
		.owner = slot,
	};
	for (i = 0; i < slot->length; i++)
		slot->data[slot->at + i] =
			slot->io.type == VIRTIO_BLK_T_OUT ? (uint8_t)draw(client, 256) : 0xee;
	client->begun++;
	return vio_blk_submit(&client->dev, &slot->io);
}

static int exercise(struct client *client)
{
	const struct vio_platform *platform = client->dev.platform;
	uint64_t until = platform->now_ns(platform->context) + UINT64_C(20000000000);
	unsigned slot;
	int error = 0;

	for (slot = 0; slot < client->queues * PER_QUEUE && !error; slot++)
		error = begin(client, &client->slots[slot]);
	while (!error && !client->wrong && client->done < client->begun) {
		for (uint16_t queue = 0; queue < client->queues && !error; queue++) {
			int polled = vio_blk_poll(&client->dev, queue);

			error = polled < 0 ? polled : 0;
			vio_blk_kick(&client->dev, queue);
		}
		if (platform->now_ns(platform->context) > until)
			return -VIO_EAGAIN;
		platform->wait(platform->context, UINT64_C(1000000));
	}
	return error;
}

static int read_back(struct client *client)
{
	uint32_t at;
	int error = vio_blk_flush(&client->dev);

	for (at = 0; at < DISK_BYTES && !error; at += SLOT_BYTES) {
		error = vio_blk_read(&client->dev, at / SECTOR, client->slots[0].data, SLOT_BYTES);
		if (!error && memcmp(client->slots[0].data, client->disk + at, SLOT_BYTES))
			client->wrong = "other data than was written, at the end";
	}
	return error;
}

/* Two lives, of which the second finds what the first left. */
static int drive(struct client *client, uint32_t queues)
{
	const struct vio_blk_identity *identity = &client->blk.identity;
	int error = vio_driver_bind(&client->dev, &vio_blk_driver,
				    vio_vhost_user_frontend_platform(&client->dev), &client->blk);

	client->dev.owner = client;
	if (!error && (identity->queue_count != queues || identity->capacity * SECTOR != DISK_BYTES))
		client->wrong = "not the disk that was expected";
	for (unsigned life = 0; life < 2 && !error && !client->wrong; life++) {
		client->queues = identity->queue_count;
		client->begun = client->done = 0;
		error = exercise(client);
		if (!error && !client->wrong)
			error = vio_blk_stop(&client->dev);
		if (!error && !client->wrong)
			error = vio_blk_start(&client->dev);
	}
	return error || client->wrong ? error : read_back(client);
}

int main(int argc, char **argv)
{
	const struct vio_vhost_user_frontend_options options = { .id = VIRTIO_ID_BLOCK,
								 .queues_unsaid = 1,
								 .arena_bytes = ARENA_BYTES };
	struct client *client = calloc(1, sizeof(*client));
	struct vio_vhost_user_mistake mistake;
	int socket = argc > 2 && client ? vio_vhost_user_frontend_connect(argv[1]) : -1, error, i;

	if (socket < 0 || vio_vhost_user_frontend_open(socket, &options, &client->dev, &mistake)) {
		fprintf(stderr, "blk-client: no back end\n");
		free(client);
		return 1;
	}
	client->random = UINT64_C(0x9e3779b97f4a7c15);
	client->ops = *client->dev.transport;
	for (i = 3; i < argc; i++)
		client->ops.carried.word[0] &= ~(UINT64_C(1) << atoi(argv[i]));
	client->dev.transport = &client->ops;
	error = drive(client, (uint32_t)atoi(argv[2]));
	if (error || client->wrong)
		fprintf(stderr, "blk-client: %s (%s)\n", client->wrong ? client->wrong : vio_strerror(error),
			vio_vhost_user_frontend_mistake(&client->dev));
	else
		fwrite(client->disk, sizeof(client->disk), 1, stdout);
	fprintf(stderr, "features %#" PRIx64 "\n", client->dev.accepted.word[0]);
	error = vio_dev_close(&client->dev) || error || client->wrong;
	free(client);
	return error;
}
