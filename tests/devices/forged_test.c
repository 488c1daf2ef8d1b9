/* SPDX-License-Identifier: BSD-3-Clause */
#include "devices/subjects.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * Saved states of each type, damaged: what is refused names what was wrong and leaves a device that
 * works; what is taken in spite of it is something that a driver could have come to.
 */
#define SIZE      8u
#define BLOB_MAX  0x8000u
#define HEADER    16u
#define IN_FLIGHT 3u

/* Where things stand in a blob: a queue that runs has 30 bytes, packed 32, another one has 1. */
#define AT_NAME     16
#define AT_ID       32
#define AT_VERSION  36
#define AT_FEATURES 40
#define AT_STATUS   56
#define AT_QUEUES   61
#define AT_RUNS     63
#define AT_SIZE     64
#define AT_AVAIL    66
#define AT_USED     68 /* packed */

struct blob {
	size_t size;
	uint8_t bytes[BLOB_MAX];
};

struct case_ {
	struct bed *from, *to;
	struct blob blob, bad;
	uint8_t *memory; /* as it was when the blob was made */
	size_t memory_bytes;
	int fd;
};

static uint32_t crc(const uint8_t *from, size_t length)
{
	uint32_t value = UINT32_MAX;

	for (size_t i = 0; i < length; i++) {
		value ^= from[i];
		for (unsigned bit = 0; bit < 8; bit++)
			value = value & 1 ? value >> 1 ^ 0xedb88320u : value >> 1;
	}
	return ~value;
}

static void put(uint8_t *to, uint64_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		to[i] = (uint8_t)(value >> (8 * i));
}

/* Length and checksum fit again. */
static void seal(struct blob *blob)
{
	put(blob->bytes + 8, blob->size - HEADER, 4);
	put(blob->bytes + 12, crc(blob->bytes + HEADER, blob->size - HEADER), 4);
}

/* A device that was saved with requests on their way, and one to load it into. */
static void open_case(struct case_ *c, const struct subject *subject, bool packed)
{
	struct subject_request *requests = calloc(IN_FLIGHT, sizeof(*requests));

	assert_non_null(requests);
	memset(c, 0, sizeof(*c));
	c->fd = room_make();
	c->from = bed_make(subject, room_map(c->fd), true);
	harness_start(&c->from->h, bed_features(c->from, packed, false), SIZE);
	subject->choose(c->from);
	subject->hold(c->from);
	for (unsigned i = 0; i < IN_FLIGHT; i++) {
		bed_add(c->from, &requests[i], i);
		if (i == 1)
			harness_kick(&c->from->h, subject->queue);
	}
	vio_drvq_kick(&c->from->h.queues[subject->queue].q);
	c->blob.size = vio_device_save(&c->from->h.dev, c->blob.bytes, sizeof(c->blob.bytes));
	assert_in_range(c->blob.size, HEADER, BLOB_MAX);
	bed_end_device(c->from);
	c->memory_bytes = c->from->h.used;
	c->memory = malloc(c->memory_bytes);
	assert_non_null(c->memory);
	memcpy(c->memory, c->from->room, c->memory_bytes);
	c->to = bed_make(subject, room_map(c->fd), false);
	free(requests);
}

static void close_case(struct case_ *c)
{
	bed_free(c->to);
	bed_free(c->from);
	free(c->memory);
	close(c->fd);
}

static int try_load(struct case_ *c, const struct blob *blob)
{
	memcpy(c->to->room, c->memory, c->memory_bytes);
	return vio_device_load(&c->to->h.dev, blob->bytes, blob->size);
}

/* `what`: the reason's name; NULL: any. */
static void expect_refused(struct case_ *c, const struct blob *blob, const char *what)
{
	struct vio_device *dev = &c->to->h.dev;
	int error = try_load(c, blob);

	assert_true(error < 0);
	assert_non_null(dev->refusal.what);
	if (what)
		assert_string_equal(dev->refusal.what, what);
	assert_int_equal(dev->status, 0);
	assert_true(vio_features_empty(dev->features_accepted));
	for (unsigned i = 0; i < dev->queue_count; i++)
		assert_false(dev->queues[i].running);
}

/* It loads the right one, and a driver can reset it and begin. */
static void expect_usable(struct case_ *c)
{
	assert_int_equal(try_load(c, &c->blob), 0);
	assert_true(vio_device_running(&c->to->h.dev));
	assert_null(c->to->h.dev.refusal.what);
	assert_int_equal(try_load(c, &c->blob), -VIO_EPHASE); /* hostile: G11 G12 */
	assert_string_equal(c->to->h.dev.refusal.what, "device that isn't in reset");
	vio_device_write_status(&c->to->h.dev, 0);
}

/* hostile: G1 G10: cut off at each byte, as it is and made consistent; and with more behind it. */
static void cut_off(void **state)
{
	struct case_ c;

	for (unsigned i = 0; i < SUBJECTS; i++) {
		open_case(&c, &subjects[i], i & 1);
		for (size_t size = 0; size < c.blob.size + 9; size++) {
			if (size == c.blob.size)
				continue;
			c.bad = c.blob;
			c.bad.size = size;
			expect_refused(&c, &c.bad, "length");
			if (size < HEADER)
				continue;
			seal(&c.bad);
			expect_refused(&c, &c.bad, NULL);
		}
		expect_usable(&c);
		close_case(&c);
	}
}

/* hostile: G16: every byte flipped, under a checksum that is the old one. */
static void flipped(void **state)
{
	struct case_ c;

	for (unsigned i = 0; i < SUBJECTS; i++) {
		open_case(&c, &subjects[i], !(i & 1));
		for (size_t at = 0; at < c.blob.size; at++) {
			c.bad = c.blob;
			c.bad.bytes[at] ^= (uint8_t)(1u << at % 8);
			expect_refused(&c, &c.bad, at >= HEADER ? "checksum" : NULL);
			c.bad.bytes[at] = (uint8_t)~c.blob.bytes[at];
			expect_refused(&c, &c.bad, at >= HEADER ? "checksum" : NULL);
		}
		expect_usable(&c);
		close_case(&c);
	}
}

/* Whatever was taken, the device works on with what it finds and comes out of it by a reset. */
static void use_and_reset(struct case_ *c)
{
	struct vio_device *dev = &c->to->h.dev;
	const uint8_t known = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
			      VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK |
			      VIRTIO_CONFIG_S_NEEDS_RESET | VIRTIO_CONFIG_S_FAILED;

	assert_int_equal(dev->status & ~known, 0);
	assert_true(vio_features_empty(vio_features_minus(dev->features_accepted, vio_device_features(dev))));
	for (unsigned i = 0; i < dev->queue_count; i++)
		assert_true(!dev->queues[i].running || dev->queues[i].size <= dev->queue_size_max);
	for (uint16_t i = 0; i < dev->queue_count; i++)
		vio_device_kick(dev, i);
	c->to->subject->release(c->to, c->to->subject->class == subjects[7].class ? 0 : 1);
	vio_device_write_status(dev, 0);
	assert_int_equal(dev->status, 0);
}

/* hostile: G2 G7 G15: each byte takes values that a checksum vouches for. */
static void forged(void **state)
{
	static const uint8_t values[] = { 0, 0xff, 0x80, 0x7f, 0x10 };
	unsigned refused = 0, taken = 0;
	struct case_ c;

	for (unsigned i = 0; i < SUBJECTS; i++) {
		open_case(&c, &subjects[i], i & 1);
		for (size_t at = HEADER; at < c.blob.size; at++) {
			for (unsigned j = 0; j < VIO_ARRAY_SIZE(values) + 2; j++) {
				c.bad = c.blob;
				c.bad.bytes[at] = j < VIO_ARRAY_SIZE(values)
							  ? values[j]
							  : (uint8_t)(c.blob.bytes[at] + (j & 1 ? 1 : -1));
				seal(&c.bad);
				if (try_load(&c, &c.bad)) {
					assert_non_null(c.to->h.dev.refusal.what);
					assert_int_equal(c.to->h.dev.status, 0);
					refused++;
				} else {
					use_and_reset(&c);
					taken++;
				}
			}
		}
		expect_usable(&c);
		close_case(&c);
	}
	assert_true(refused > 3000 && taken > 1000);
}

/* hostile: G2 G4 G6 G9 G14: fields of every type, and what the reason is called. */
static void fields(void **state)
{
	static const struct {
		unsigned at, bytes;
		uint64_t value;
		const char *what;
		bool packed; /* on packed queues only */
	} rows[] = {
		{ 0, 4, 0x4f495632, "magic number", false },
		{ 4, 2, 0, "format", false },
		{ 4, 2, 3, "format", false },
		{ 6, 2, 1, "format", false },
		{ 8, 4, UINT32_MAX, "length", false },
		{ 8, 4, 0, "length", false },
		{ 12, 4, 0, "checksum", false },
		{ AT_NAME, 1, 'x', "type of the device", false },
		{ AT_NAME + 15, 1, 'x', "type of the device", false },
		{ AT_ID, 4, 0, "device id", false },
		{ AT_ID, 4, UINT32_MAX, "device id", false },
		{ AT_VERSION, 4, 9, "version", false },
		{ AT_VERSION, 4, UINT32_MAX, "version", false },
		{ AT_FEATURES + 12, 4, 1, "features that aren't offered", false },
		{ AT_FEATURES + 8, 8, 1, "features that aren't offered", false },
		{ AT_STATUS, 1, 7, "status", false },
		{ AT_STATUS, 1, 0xff, "status", false },
		{ AT_STATUS, 1, 0, "queue that runs before FEATURES_OK", false },
		{ AT_STATUS, 1, 3, "queue that runs before FEATURES_OK", false },
		{ AT_QUEUES, 2, 0, "queue count", false },
		{ AT_QUEUES, 2, 0xffff, "queue count", false },
		{ AT_RUNS, 1, 2, "running of a queue", false },
		{ AT_RUNS, 1, 0xff, "running of a queue", false },
		{ AT_SIZE, 2, 0, "queue size", false },
		{ AT_SIZE, 2, 0x8000, "queue size", false },
		{ AT_SIZE, 2, 0xffff, "queue size", false },
		{ AT_AVAIL, 2, 0x4000, "position of a queue", false },
		{ AT_AVAIL, 2, 0x8000 | SIZE, "position of a queue", true },
		{ AT_USED, 2, SIZE, "position of a queue", true },
		{ AT_USED, 2, 0x7fff, "position of a queue", true },
		{ AT_USED, 2, 0x8005, "position of a queue", true }, /* ahead of what was taken */
	};
	struct case_ c;

	for (unsigned i = 0; i < 2 * SUBJECTS; i++) {
		open_case(&c, &subjects[i / 2], i & 1);
		for (unsigned j = 0; j < VIO_ARRAY_SIZE(rows); j++) {
			if (rows[j].packed && !(i & 1))
				continue;
			c.bad = c.blob;
			put(c.bad.bytes + rows[j].at, rows[j].value, rows[j].bytes);
			if (rows[j].at >= HEADER)
				seal(&c.bad);
			expect_refused(&c, &c.bad, rows[j].what);
		}
		expect_usable(&c);
		close_case(&c);
	}
}

/* That of any type is refused by any other. */
static void of_another_type(void **state)
{
	struct case_ from, to;

	for (unsigned i = 0; i < SUBJECTS; i++) {
		open_case(&from, &subjects[i], false);
		for (unsigned j = 0; j < SUBJECTS; j++) {
			if (i == j)
				continue;
			open_case(&to, &subjects[j], false);
			expect_refused(&to, &from.blob, "type of the device");
			expect_usable(&to);
			close_case(&to);
		}
		close_case(&from);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cut_off), cmocka_unit_test(flipped),         cmocka_unit_test(forged),
		cmocka_unit_test(fields),  cmocka_unit_test(of_another_type),
	};

	return cmocka_run_group_tests_name("forged states", tests, NULL, NULL);
}
