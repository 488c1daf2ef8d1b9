/* SPDX-License-Identifier: BSD-3-Clause */

#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <vireo/drivers/adder.h>
#include <vireo/drivers/blk.h>
#include <vireo/drivers/caesar.h>
#include <vireo/drivers/rng.h>

#include "cli/client.h"

#define CHUNK  65536u
#define SECTOR VIRTIO_BLK_SECTOR_BYTES

struct blk_settings {
	uint64_t offset;
	uint64_t length;
	bool help;
};

static const struct vio_option blk_options[] = {
	{ .name = "offset",
	  .kind = VIO_OPTION_BYTES,
	  .argument = "BYTES",
	  .offset = offsetof(struct blk_settings, offset),
	  .help = "where to begin, a multiple of 512; 0 by default" },
	{ .name = "length",
	  .kind = VIO_OPTION_BYTES,
	  .argument = "BYTES",
	  .offset = offsetof(struct blk_settings, length),
	  .help = "how much, a multiple of 512; by default to the end of the disk, or of the input" },
	{ .name = "help",
	  .letter = 'h',
	  .kind = VIO_OPTION_FLAG,
	  .offset = offsetof(struct blk_settings, help),
	  .help = "print this help and end" },
};

static const struct vio_option_table blk_option_table = { blk_options, VIO_ARRAY_SIZE(blk_options) };

const struct vio_option_table *cli_blk_options(void)
{
	return &blk_option_table;
}

static uint32_t chunk_of(const struct vio_blk *blk)
{
	uint32_t most = blk->identity.part_bytes_max / SECTOR * SECTOR;

	return most && most < CHUNK ? most : CHUNK;
}

static int blk_read(struct client *client, const struct blk_settings *settings, uint8_t *bytes)
{
	const struct vio_blk *blk = client->state;
	uint64_t at = settings->offset, size = blk->identity.capacity * SECTOR, left = settings->length;

	if (!left)
		left = at < size ? size - at : 0;
	while (left) {
		uint32_t now = left < chunk_of(blk) ? (uint32_t)left : chunk_of(blk);
		int error = vio_blk_read(&client->dev, at / SECTOR, bytes, now);

		if (error)
			return client_complain(client, "read", error);
		if (fwrite(bytes, 1, now, stdout) != now)
			return cli_complain(client->program, CLI_FAILED, "standard output can't be written");
		at += now;
		left -= now;
	}
	return CLI_OK;
}

static int blk_write(struct client *client, const struct blk_settings *settings, uint8_t *bytes)
{
	const struct vio_blk *blk = client->state;
	uint64_t at = settings->offset, left = settings->length ? settings->length : UINT64_MAX;
	int error;

	while (left) {
		size_t now = fread(bytes, 1, left < chunk_of(blk) ? (size_t)left : chunk_of(blk), stdin);

		if (!now)
			break;
		if (now % SECTOR)
			return cli_complain(client->program, CLI_FAILED,
					    "the input ends with %zu bytes that are no whole sector of %u",
					    now % SECTOR, SECTOR);
		error = vio_blk_write(&client->dev, at / SECTOR, bytes, (uint32_t)now);
		if (error)
			return client_complain(client, "write", error);
		at += now;
		left -= now;
	}
	if (settings->length && left)
		return cli_complain(client->program, CLI_FAILED, "the input ends %" PRIu64 " bytes early",
				    left);
	error = vio_blk_flush(&client->dev);
	return error ? client_complain(client, "flush", error) : CLI_OK;
}

static int blk_info(struct client *client)
{
	const struct vio_blk_identity *identity = &((const struct vio_blk *)client->state)->identity;
	char id[VIRTIO_BLK_ID_BYTES + 1];

	printf("%-20s%" PRIu64 "\n", "bytes", identity->capacity * SECTOR);
	printf("%-20s%" PRIu32 "\n", "block-bytes", identity->block_bytes);
	printf("%-20s%" PRIu32 "\n", "queues", identity->queue_count);
	printf("%-20s%s\n", "read-only", identity->read_only ? "yes" : "no");
	printf("%-20s%s\n", "write-back", identity->writeback ? "yes" : "no");
	printf("%-20s%s\n", "discard", identity->discard_sectors_max ? "yes" : "no");
	printf("%-20s%s\n", "write-zeroes", identity->zeroes_sectors_max ? "yes" : "no");
	if (!vio_blk_get_id(&client->dev, id)) {
		for (char *at = id; *at; at++)
			if (*at < ' ' || *at > '~')
				*at = '?';
		printf("%-20s%s\n", "serial", id);
	}
	return CLI_OK;
}

int cli_blk(int argc, char **argv)
{
	struct client client = { .program = argv[0] };
	struct blk_settings settings = { 0 };
	struct vio_message message;
	int first = vio_options_parse(&blk_option_table, &settings, argc, argv, &message), status;
	uint8_t *bytes;
	const char *verb;

	if (first < 0)
		return cli_complain(argv[0], CLI_USAGE, "%s", message.text);
	if (settings.help) {
		cli_print_help("blk");
		return CLI_OK;
	}
	if (argc - first != 2)
		return cli_complain(argv[0], CLI_USAGE, "give a SOCKET, and read, write or info");
	client.path = argv[first];
	verb = argv[first + 1];
	if (strcmp(verb, "read") && strcmp(verb, "write") && strcmp(verb, "info"))
		return cli_complain(argv[0], CLI_USAGE, "'%s' is none of read, write and info", verb);
	if (settings.offset % SECTOR || settings.length % SECTOR)
		return cli_complain(argv[0], CLI_USAGE,
				    "--offset %" PRIu64 " and --length %" PRIu64
				    ": both must be multiples of %u",
				    settings.offset, settings.length, SECTOR);
	status = client_open(&client, VIRTIO_ID_BLOCK, &vio_blk_driver);
	if (status)
		return status;
	bytes = malloc(CHUNK);
	if (!bytes)
		status = cli_complain(argv[0], CLI_FAILED, "out of memory");
	else if (*verb == 'i')
		status = blk_info(&client);
	else
		status = *verb == 'r' ? blk_read(&client, &settings, bytes)
				      : blk_write(&client, &settings, bytes);
	free(bytes);
	client_close(&client);
	return status;
}

int cli_rng(int argc, char **argv)
{
	struct client client = { .program = argv[0] };
	uint8_t bytes[4096];
	uint64_t left;
	int status;

	if (argc != 3)
		return cli_complain(argv[0], CLI_USAGE, "give a SOCKET and how many bytes");
	if (!client_number(argv[2], UINT64_MAX, &left))
		return cli_complain(argv[0], CLI_USAGE, "'%s' is no number of bytes", argv[2]);
	client.path = argv[1];
	status = client_open(&client, VIRTIO_ID_RNG, &vio_rng_driver);
	if (status)
		return status;
	while (left && !status) {
		uint32_t now = left < sizeof(bytes) ? (uint32_t)left : (uint32_t)sizeof(bytes);
		int error = vio_rng_fill(&client.dev, bytes, now);

		if (error)
			status = client_complain(&client, "read", error);
		else if (fwrite(bytes, 1, now, stdout) != now)
			status = cli_complain(argv[0], CLI_FAILED, "standard output can't be written");
		left -= now;
	}
	client_close(&client);
	return status;
}

int cli_adder(int argc, char **argv)
{
	struct client client = { .program = argv[0] };
	uint64_t number;
	uint32_t sum;
	int status, error;

	if (argc != 3)
		return cli_complain(argv[0], CLI_USAGE, "give a SOCKET and a number");
	if (!client_number(argv[2], UINT32_MAX, &number))
		return cli_complain(argv[0], CLI_USAGE, "'%s' is no number from 0 to %" PRIu32, argv[2],
				    UINT32_MAX);
	client.path = argv[1];
	status = client_open(&client, VIRTIO_ID_ADDER, &vio_adder_driver);
	if (status)
		return status;
	error = vio_adder_add(&client.dev, (uint32_t)number, &sum);
	if (error)
		status = client_complain(&client, "add", error);
	else
		printf("%" PRIu32 "\n", sum);
	client_close(&client);
	return status;
}

static int transform(struct client *client, uint8_t mode, uint8_t shift)
{
	char bytes[4096];
	size_t now;
	int error = vio_caesar_set_mode(&client->dev, mode);

	if (!error)
		error = vio_caesar_set_shift(&client->dev, shift);
	if (error)
		return client_complain(client, "set mode and shift", error);
	while ((now = fread(bytes, 1, sizeof(bytes), stdin))) {
		error = vio_caesar_transform(&client->dev, bytes, bytes, (uint32_t)now);
		if (error)
			return client_complain(client, "transform", error);
		if (fwrite(bytes, 1, now, stdout) != now)
			return cli_complain(client->program, CLI_FAILED, "standard output can't be written");
	}
	return CLI_OK;
}

int cli_caesar(int argc, char **argv)
{
	struct client client = { .program = argv[0] };
	uint64_t shift;
	bool decipher;
	int status;

	if (argc != 4)
		return cli_complain(argv[0], CLI_USAGE, "give a SOCKET, encipher or decipher, and the shift");
	decipher = !strcmp(argv[2], "decipher");
	if (!decipher && strcmp(argv[2], "encipher"))
		return cli_complain(argv[0], CLI_USAGE, "'%s' is neither encipher nor decipher", argv[2]);
	if (!client_number(argv[3], VIRTIO_CAESAR_SHIFT_MAX, &shift))
		return cli_complain(argv[0], CLI_USAGE, "'%s' is no shift from 0 to %u", argv[3],
				    VIRTIO_CAESAR_SHIFT_MAX);
	client.path = argv[1];
	status = client_open(&client, VIRTIO_ID_CAESAR, &vio_caesar_driver);
	if (status)
		return status;
	status = transform(&client, decipher ? VIRTIO_CAESAR_MODE_DECIPHER : VIRTIO_CAESAR_MODE_ENCIPHER,
			   (uint8_t)shift);
	client_close(&client);
	return status;
}
