/* SPDX-License-Identifier: BSD-3-Clause */
#include "devices/vssd_bench.h"

#include <stdlib.h>
#include <string.h>

static void told(void *context, struct vio_device *dev)
{
	((struct bench *)context)->told++;
}

static void bench_furnish(struct bench *bench)
{
	struct vio_vssd_storage storage = { &bench->data.block, &bench->map.block, bench->memory };

	assert_int_equal(vio_vssd_attach(&bench->h.dev, &storage), 0);
	assert_int_equal(vio_vssd_watch(&bench->h.dev, bench, told), 0);
}

void bench_make(struct bench *bench)
{
	memset(bench, 0, sizeof(*bench));
	harness_make(&bench->h, &vio_vssd_class);
	harness_set(&bench->h, "unit", "4K");
	fake_block_init(&bench->data, BLOCKS * UNIT, 512);
	fake_block_init(&bench->map, vio_vssd_map_bytes(&bench->h.dev, BLOCKS * UNIT), 512);
	memset(bench->map.data, 0, bench->map.block.size_bytes);
	memset(bench->map.durable, 0, bench->map.block.size_bytes);
	bench->memory = malloc(vio_vssd_memory_bytes(&bench->h.dev, BLOCKS * UNIT));
	assert_non_null(bench->memory);
	bench_furnish(bench);
}

void bench_start(struct bench *bench)
{
	harness_realize(&bench->h);
	harness_start(&bench->h, harness_offer(&bench->h), 64);
}

void bench_free(struct bench *bench)
{
	assert_int_equal(bench->h.faults, 0);
	bench->data.later = bench->map.later = false;
	harness_free(&bench->h);
	fake_block_free(&bench->data);
	fake_block_free(&bench->map);
	free(bench->memory);
}

struct virtio_vssd_config config_of(struct bench *bench)
{
	struct virtio_vssd_config config;

	vio_device_read_config(&bench->h.dev, 0, &config, sizeof(config));
	return config;
}

uint32_t ticket_of(struct bench *bench)
{
	return vio_le32_get(config_of(bench).ticket);
}

struct vio_vssd_report report_of(struct bench *bench)
{
	struct vio_vssd_report report;

	vio_vssd_get_report(&bench->h.dev, &report);
	return report;
}

/* Control requests. */

size_t make_list(uint8_t *out, uint32_t type, uint32_t ticket, const struct pair *list, unsigned count)
{
	struct virtio_vssd_control header = { vio_le32_make(type), vio_le32_make(ticket) };

	memcpy(out, &header, sizeof(header));
	for (unsigned i = 0; i < count; i++) {
		struct virtio_vssd_range range = { vio_le64_make(list[i].first),
						   vio_le64_make(list[i].count) };

		memcpy(out + sizeof(header) + i * sizeof(range), &range, sizeof(range));
	}
	return sizeof(header) + count * sizeof(struct virtio_vssd_range);
}

/* The status, with the range to blame in the upper half. */
uint32_t control(struct bench *bench, uint32_t type, uint32_t ticket, const struct pair *list, unsigned count)
{
	uint8_t out[sizeof(struct virtio_vssd_control) + LIST_MAX * sizeof(struct virtio_vssd_range)];
	struct virtio_vssd_answer answer;
	struct harness_io io = { .out = out, .in = &answer, .in_bytes = sizeof(answer) };

	io.out_bytes = make_list(out, type, ticket, list, count);
	assert_int_equal(harness_call(&bench->h, CONTROL, &io), sizeof(answer));
	assert_int_equal(vio_le64_get(answer.provisioned), vio_le64_get(config_of(bench).provisioned));
	return vio_le32_get(answer.status) | vio_le32_get(answer.index) << 16;
}

uint32_t evict(struct bench *bench, uint64_t first, uint64_t count)
{
	struct pair list = { first, count };

	return control(bench, VIRTIO_VSSD_T_EVICT, ticket_of(bench), &list, 1);
}

uint32_t claim(struct bench *bench, uint64_t first, uint64_t count)
{
	struct pair list = { first, count };

	return control(bench, VIRTIO_VSSD_T_CLAIM, ticket_of(bench), &list, 1);
}

/* Data requests on one block; the status. */

uint8_t transfer(struct bench *bench, uint32_t type, uint64_t block, uint8_t *bytes)
{
	uint8_t out[sizeof(struct virtio_blk_req) + UNIT], in[UNIT + 1];
	struct virtio_blk_req header = { vio_le32_make(type), vio_le32_make(0),
					 vio_le64_make(block * SECTORS) };
	bool write = type == VIRTIO_BLK_T_OUT;
	struct harness_io io = { .out = out, .in = in };

	io.out_bytes = sizeof(header) + (write ? UNIT : 0);
	io.in_bytes = write ? 1 : UNIT + 1;
	memcpy(out, &header, sizeof(header));
	if (write)
		memcpy(out + sizeof(header), bytes, UNIT);
	assert_true(harness_call(&bench->h, 0, &io) >= 1);
	if (!write)
		memcpy(bytes, in, UNIT);
	return in[io.in_bytes - 1];
}

void pattern(uint8_t *bytes, uint64_t block, uint8_t seed)
{
	for (unsigned i = 0; i < UNIT; i++)
		bytes[i] = (uint8_t)(block * 31 + i * 7 + (i >> 8) + seed) | 1;
}

void fill(struct bench *bench, uint64_t block, uint8_t seed)
{
	uint8_t bytes[UNIT];

	pattern(bytes, block, seed);
	assert_int_equal(transfer(bench, VIRTIO_BLK_T_OUT, block, bytes), VIRTIO_BLK_S_OK);
}

void fill_all(struct bench *bench)
{
	for (uint64_t i = 0; i < BLOCKS; i++)
		fill(bench, i, 5);
}

void assert_kept(struct bench *bench, uint64_t first, uint64_t count)
{
	uint8_t bytes[UNIT], expected[UNIT];

	for (uint64_t i = first; i < first + count; i++) {
		pattern(expected, i, 5);
		assert_int_equal(transfer(bench, VIRTIO_BLK_T_IN, i, bytes), VIRTIO_BLK_S_OK);
		assert_memory_equal(bytes, expected, UNIT);
	}
}

void assert_zeros(struct bench *bench, uint64_t first, uint64_t count)
{
	static const uint8_t zeros[UNIT];
	uint8_t bytes[UNIT];

	for (uint64_t i = first; i < first + count; i++) {
		assert_int_equal(transfer(bench, VIRTIO_BLK_T_IN, i, bytes), VIRTIO_BLK_S_OK);
		assert_memory_equal(bytes, zeros, UNIT);
	}
}

/* Neither read nor written, and nothing of it is left in the image. */
void assert_gone(struct bench *bench, uint64_t first, uint64_t count)
{
	uint8_t bytes[UNIT] = { 0 };

	for (uint64_t i = first; i < first + count; i++) {
		assert_int_equal(transfer(bench, VIRTIO_BLK_T_IN, i, bytes), VIRTIO_BLK_S_IOERR);
		assert_int_equal(transfer(bench, VIRTIO_BLK_T_OUT, i, bytes), VIRTIO_BLK_S_IOERR);
		for (unsigned at = 0; at < UNIT; at++)
			assert_int_equal(bench->data.data[i * UNIT + at], 0);
	}
}

void assert_numbers(struct bench *bench, uint64_t provisioned, uint64_t target, uint32_t state)
{
	struct virtio_vssd_config config = config_of(bench);

	assert_int_equal(vio_le64_get(config.total), BLOCKS);
	assert_int_equal(vio_le64_get(config.provisioned), provisioned);
	assert_int_equal(vio_le64_get(config.target), target);
	assert_int_equal(vio_le32_get(config.state), state);
	assert_int_equal(vio_le32_get(config.block_bytes), UNIT);
}
