/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include "devices/subjects.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <vireo/devices/adder.h>
#include <vireo/devices/blk.h>
#include <vireo/devices/caesar.h>
#include <vireo/devices/console.h>
#include <vireo/devices/input.h>
#include <vireo/devices/rng.h>
#include <vireo/devices/vssd.h>
#include <vireo/spec/virtio_input.h>

#define SECTOR     VIRTIO_BLK_SECTOR_BYTES
#define UNIT       4096u
#define DISK_WRITE 100u /* sector of the first request that writes */

static void no_backend(struct bed *bed)
{
	(void)bed;
}

static void nothing_to_give(struct bed *bed, unsigned count)
{
	(void)bed;
	(void)count;
}

static void expect_nothing(unsigned number, const uint8_t *in, uint32_t written)
{
	(void)number;
	(void)in;
	assert_int_equal(written, 0);
}

/* Adder and cipher: no backend, nothing is ever in the device's hands. */

static void adder_choose(struct bed *bed)
{
	vio_le32 word = vio_le32_make(0xa11ce);

	assert_int_equal(vio_device_write_config(&bed->h.dev, 0, &word, sizeof(word)), 0);
}

static void adder_make(unsigned number, struct harness_io *io, uint8_t *out)
{
	vio_le32 word = vio_le32_make(1000 + number);

	memcpy(out, &word, sizeof(word));
	io->out_bytes = io->in_bytes = sizeof(word);
}

static void adder_judge(unsigned number, const uint8_t *in, uint32_t written)
{
	vio_le32 word;

	assert_int_equal(written, sizeof(word));
	memcpy(&word, in, sizeof(word));
	assert_int_equal(vio_le32_get(word), 1001 + number);
}

static void caesar_choose(struct bed *bed)
{
	const struct virtio_caesar_config config = { .shift = 11, .mode = VIRTIO_CAESAR_MODE_DECIPHER };

	assert_int_equal(vio_device_write_config(&bed->h.dev, 0, &config, sizeof(config)), 0);
}

static void caesar_make(unsigned number, struct harness_io *io, uint8_t *out)
{
	memcpy(out, "nltdlc", 6);
	out[5] = (uint8_t)('l' + number % 10);
	io->out_bytes = io->in_bytes = 6;
}

static void caesar_judge(unsigned number, const uint8_t *in, uint32_t written)
{
	assert_int_equal(written, 6);
	assert_memory_equal(in, "caisa", 5);
	assert_int_equal(in[5], 'a' + number % 10);
}

/* Entropy that dries up. */

static int entropy_fill(struct vio_entropy *entropy, void *to, size_t length)
{
	const struct bed *bed = entropy->context;

	if (bed->dry)
		return 0;
	memset(to, 0x5e, length);
	return (int)length;
}

static void rng_furnish(struct bed *bed)
{
	bed->entropy = (struct vio_entropy){ entropy_fill, bed };
	assert_int_equal(vio_rng_attach(&bed->h.dev, &bed->entropy), 0);
}

static void rng_make(unsigned number, struct harness_io *io, uint8_t *out)
{
	(void)out;
	io->in_bytes = 16 + number % 8;
}

static void rng_hold(struct bed *bed)
{
	bed->dry = true;
}

static void rng_release(struct bed *bed, unsigned count)
{
	(void)count;
	bed->dry = false;
	vio_rng_ready(&bed->h.dev);
}

static void rng_judge(unsigned number, const uint8_t *in, uint32_t written)
{
	assert_int_equal(written, 16 + number % 8);
	for (unsigned i = 0; i < written; i++)
		assert_int_equal(in[i], 0x5e);
}

/* Disks. Even requests read, odd ones write. */

static void open_disk(struct fake_block *fake, uint8_t *room, uint64_t bytes, bool first, uint8_t **own)
{
	fake_block_init(fake, bytes, SECTOR);
	if (first)
		memcpy(room, fake->data, (size_t)bytes);
	*own = fake->data;
	fake->data = room;
}

static void disk_choose(struct bed *bed)
{
	const uint8_t through = 0;

	assert_int_equal(vio_device_write_config(&bed->h.dev, offsetof(struct virtio_blk_config, writeback),
						 &through, 1),
			 0);
}

static void blk_furnish(struct bed *bed)
{
	open_disk(&bed->disk, bed->room + ROOM_DISK, ROOM_DISK_BYTES, bed->first, &bed->disk_own);
	assert_int_equal(vio_blk_attach(&bed->h.dev, &bed->disk.block), 0);
}

static void vssd_furnish(struct bed *bed)
{
	struct vio_vssd_storage storage = { &bed->disk.block, &bed->map.block, NULL };
	uint64_t map_bytes;

	harness_set(&bed->h, "unit", "4K");
	map_bytes = vio_vssd_map_bytes(&bed->h.dev, ROOM_DISK_BYTES);
	assert_true(map_bytes <= ROOM_MAP_BYTES);
	open_disk(&bed->disk, bed->room + ROOM_DISK, ROOM_DISK_BYTES, bed->first, &bed->disk_own);
	open_disk(&bed->map, bed->room + ROOM_MAP, map_bytes, bed->first, &bed->map_own);
	if (bed->first)
		memset(bed->map.data, 0, (size_t)map_bytes);
	bed->map_memory = malloc((size_t)vio_vssd_memory_bytes(&bed->h.dev, ROOM_DISK_BYTES));
	assert_non_null(bed->map_memory);
	storage.memory = bed->map_memory;
	assert_int_equal(vio_vssd_attach(&bed->h.dev, &storage), 0);
}

/* A resize that the driver hasn't dealt with yet. */
static void vssd_choose(struct bed *bed)
{
	int error;

	disk_choose(bed);
	error = vio_vssd_resize(&bed->h.dev, ROOM_DISK_BYTES / UNIT - 4);
	assert_true(!error || error == -VIO_EBUSY); /* a reset ends no resize */
}

static void disk_make(unsigned number, struct harness_io *io, uint8_t *out)
{
	bool write = number & 1;
	struct virtio_blk_req header = {
		.type = vio_le32_make(write ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN),
		.sector = vio_le64_make(number + (write ? DISK_WRITE : 0)),
	};

	memcpy(out, &header, sizeof(header));
	memset(out + sizeof(header), (int)number, SECTOR);
	io->out_bytes = sizeof(header) + (write ? SECTOR : 0);
	io->in_bytes = write ? 1 : SECTOR + 1;
}

static void disk_hold(struct bed *bed)
{
	bed->disk.later = true;
}

static void disk_release(struct bed *bed, unsigned count)
{
	(void)count;
	bed->disk.later = false;
	while (bed->disk.pending_count)
		fake_block_complete(&bed->disk, bed->disk.pending_count - 1);
}

static void disk_judge(unsigned number, const uint8_t *in, uint32_t written)
{
	bool write = number & 1;

	assert_int_equal(written, write ? 1 : SECTOR + 1);
	assert_int_equal(in[written - 1], VIRTIO_BLK_S_OK);
	for (unsigned i = 0; !write && i < SECTOR; i++)
		assert_int_equal(in[i], (uint8_t)((number * SECTOR + i) * 7 + number));
}

/* Network: frames from the driver. */

static void net_furnish(struct bed *bed)
{
	fake_network_init(&bed->network);
	harness_set(&bed->h, "mac", "52:54:00:00:00:01");
	assert_int_equal(vio_net_attach(&bed->h.dev, &bed->network.network), 0);
}

static void net_choose(struct bed *bed)
{
	const uint8_t command[] = {
		VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, 0x52, 0x54, 0, 9, 8, 7
	};
	uint8_t answer = 0xff;
	struct harness_io io = { command, sizeof(command), &answer, 1, 0 };

	assert_int_equal(harness_call(&bed->h, 2, &io), 1);
	assert_int_equal(answer, VIRTIO_NET_OK);
}

static void net_make(unsigned number, struct harness_io *io, uint8_t *out)
{
	unsigned header = sizeof(struct virtio_net_hdr_hash); /* F_HASH_REPORT is offered */

	memset(out, 0, header);
	memset(out + header, (int)number, 60);
	memcpy(out + header, "\x52\x54\0\0\0\2\x52\x54\0\0\0\1\x88\xb5", 14);
	io->out_bytes = header + 60;
}

static void net_hold(struct bed *bed)
{
	bed->network.hold = true;
}

static void net_release(struct bed *bed, unsigned count)
{
	(void)count;
	bed->network.hold = false;
	fake_network_finish(&bed->network);
}

/* Console: bytes for a terminal that has no room. */

static void console_furnish(struct bed *bed)
{
	fake_terminal_init(&bed->terminal);
	assert_int_equal(vio_console_attach(&bed->h.dev, 0, &bed->terminal.terminal, "", 0), 0);
}

static void console_make(unsigned number, struct harness_io *io, uint8_t *out)
{
	for (unsigned i = 0; i < 10; i++)
		out[i] = (uint8_t)(number * 10 + i);
	io->out_bytes = 10;
}

static void console_hold(struct bed *bed)
{
	bed->terminal.room = 3; /* in the middle of a request */
}

static void console_release(struct bed *bed, unsigned count)
{
	(void)count;
	fake_terminal_make_room(&bed->terminal, UINT32_MAX);
}

/* Input: requests are buffers for events. */

static void input_furnish(struct bed *bed)
{
	fake_events_init(&bed->events);
	harness_set(&bed->h, "kind", "mouse");
	assert_int_equal(vio_input_attach(&bed->h.dev, &bed->events.source), 0);
}

static void input_choose(struct bed *bed)
{
	const uint8_t select[2] = { VIRTIO_INPUT_CFG_EV_BITS, 2 };

	assert_int_equal(vio_device_write_config(&bed->h.dev, 0, select, sizeof(select)), 0);
}

static void input_make(unsigned number, struct harness_io *io, uint8_t *out)
{
	(void)number;
	(void)out;
	io->in_bytes = sizeof(struct virtio_input_event);
}

static void input_release(struct bed *bed, unsigned count)
{
	while (count--)
		assert_int_equal(fake_events_send(&bed->events, 0, 0, 0), 0);
	fake_events_end(&bed->events);
}

static void input_judge(unsigned number, const uint8_t *in, uint32_t written)
{
	static const uint8_t report[sizeof(struct virtio_input_event)];

	(void)number;
	assert_int_equal(written, sizeof(report));
	assert_memory_equal(in, report, sizeof(report));
}

const struct subject subjects[SUBJECTS] = {
	{ &vio_adder_class, 0, 0, 0, no_backend, adder_choose, adder_make, no_backend, nothing_to_give,
	  adder_judge },
	{ &vio_caesar_class, 0, 0, 0, no_backend, caesar_choose, caesar_make, no_backend, nothing_to_give,
	  caesar_judge },
	{ &vio_rng_class, 0, 0, 0, rng_furnish, no_backend, rng_make, rng_hold, rng_release, rng_judge },
	{ &vio_blk_class, 0, 0, 0, blk_furnish, disk_choose, disk_make, disk_hold, disk_release, disk_judge },
	{ &vio_vssd_class, 0, 0, 0, vssd_furnish, vssd_choose, disk_make, disk_hold, disk_release,
	  disk_judge },
	/* At its new place the driver is asked to announce itself, in the status. */
	{ &vio_net_class, 1, 6, 8, net_furnish, net_choose, net_make, net_hold, net_release, expect_nothing },
	{ &vio_console_class, 1, 0, 0, console_furnish, no_backend, console_make, console_hold,
	  console_release, expect_nothing },
	{ &vio_input_class, 0, 0, 0, input_furnish, input_choose, input_make, no_backend, input_release,
	  input_judge },
};

/* The room. */

int room_make(void)
{
	int fd = memfd_create("room", 0);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, ROOM_BYTES), 0);
	return fd;
}

uint8_t *room_map(int fd)
{
	void *room = mmap(NULL, ROOM_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	assert_true(room != MAP_FAILED);
	return room;
}

/* The bed. */

struct bed *bed_make(const struct subject *subject, uint8_t *room, bool first)
{
	struct bed *bed = calloc(1, sizeof(*bed));

	assert_non_null(bed);
	bed->subject = subject;
	bed->room = room;
	bed->first = first;
	harness_make(&bed->h, subject->class);
	free(bed->h.memory);
	bed->h.memory = room;
	harness_set(&bed->h, "in-order", "on");
	subject->furnish(bed);
	harness_realize(&bed->h);
	return bed;
}

static void close_disk(struct fake_block *fake, uint8_t *own)
{
	if (!own)
		return;
	fake->data = own;
	fake_block_free(fake);
}

void bed_end_device(struct bed *bed)
{
	bed->disk.later = false;
	vio_device_detach(&bed->h.dev);
	vio_device_unrealize(&bed->h.dev);
	close_disk(&bed->disk, bed->disk_own);
	close_disk(&bed->map, bed->map_own);
	bed->disk_own = bed->map_own = NULL;
	free(bed->map_memory);
	free(bed->h.storage);
	free(bed->h.state);
	bed->map_memory = bed->h.storage = bed->h.state = NULL;
}

void bed_free(struct bed *bed)
{
	if (bed->h.state)
		bed_end_device(bed);
	for (unsigned i = 0; i < HARNESS_QUEUES_MAX; i++)
		free(bed->h.queues[i].storage);
	fake_network_clear(&bed->network);
	munmap(bed->room, ROOM_BYTES);
	free(bed);
}

uint64_t bed_features(const struct bed *bed, bool packed, bool in_order)
{
	uint64_t features = vio_device_features(&bed->h.dev).word[0];

	if (!packed)
		features &= ~(UINT64_C(1) << VIRTIO_F_RING_PACKED);
	if (!in_order)
		features &= ~(UINT64_C(1) << VIRTIO_F_IN_ORDER);
	return features;
}

void bed_add(struct bed *bed, struct subject_request *request, unsigned number)
{
	uint8_t out[SUBJECT_BYTES_MAX];
	struct harness_io io = { .out = out };

	*request = (struct subject_request){ .subject = bed->subject, .number = number };
	bed->subject->make(number, &io, out);
	assert_true(io.out_bytes <= sizeof(out));
	request->in = harness_add(&bed->h, bed->subject->queue, &io, request);
}

unsigned bed_collect(struct bed *bed)
{
	struct subject_request *request;
	unsigned count = 0;
	uint32_t written;

	while ((request = harness_get(&bed->h, bed->subject->queue, &written)) != NULL) {
		assert_int_equal(++request->completed, 1);
		bed->subject->judge(request->number, request->in, written);
		count++;
	}
	assert_false(vio_drvq_broken(&bed->h.queues[bed->subject->queue].q));
	return count;
}
