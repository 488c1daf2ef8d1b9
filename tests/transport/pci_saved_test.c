/* SPDX-License-Identifier: BSD-3-Clause */
#include "transport/pci_bench.h"

#include <string.h>

/*
 * What a driver has set up in a PCI function, saved and brought into another one; and states of functions
 * that can't be.
 */
#define BLOB_MAX 1024u

/* Where things are in it, behind the bytes of the configuration space. */
#define AT_SPACE     2u
#define AT_LEGACY    (4u + space)
#define AT_VECTOR    (AT_LEGACY + 4u)
#define AT_VECTORS   (AT_VECTOR + 12u)
#define AT_QUEUES    (AT_VECTORS + 2u + 17u * VECTORS)
#define QUEUE_BYTES  35u
#define QUEUE_VECTOR 32u
#define AT_QUEUE(i)  (AT_QUEUES + 2u + QUEUE_BYTES * (i))

struct blob {
	uint8_t bytes[BLOB_MAX];
	size_t length;
};

static const struct bench_options options = { .vectors = VECTORS };

static void put16(struct blob *blob, size_t at, uint16_t value)
{
	blob->bytes[at] = (uint8_t)value;
	blob->bytes[at + 1] = (uint8_t)(value >> 8);
}

static void save(const struct bench *b, struct blob *blob)
{
	struct vio_state_writer writer = { blob->bytes, sizeof(blob->bytes), 0, false };

	vio_pci_device_save(&b->model, &writer);
	assert_false(writer.failed);
	blob->length = writer.used;
}

static int load(struct bench *b, const struct blob *blob, size_t length, struct vio_state_refusal *why)
{
	struct vio_state_reader reader = { .from = blob->bytes, .size = length };
	int error = vio_pci_device_load(&b->model, &reader);

	*why = reader.refusal;
	assert_true(error || reader.used == length);
	return error;
}

/* A function that a driver has set up, and that is reset but for what was saved. */
static void have_saved(struct bench *b, struct blob *blob)
{
	bench_make(b, &options);
	bench_bring_up(b, 0);
	bench_msix(b, 0);
	for (unsigned i = 0; i < VECTORS; i++)
		bench_fill_vector(b, i, i & 1);
	b->model.config_vector = 3;
	b->queues[0].vector = 1;
	save(b, blob);
	bench_free(b);
}

static void comes_as_it_went(void **state)
{
	static struct bench b;
	struct vio_state_refusal why;
	struct blob before, after;

	(void)state;
	have_saved(&b, &before);
	bench_make(&b, &options);
	assert_int_equal(load(&b, &before, before.length, &why), 0);
	assert_null(why.what);
	assert_int_equal(b.model.config_vector, 3);
	assert_int_equal(b.queues[0].vector, 1);
	assert_true(b.queues[0].enabled);
	save(&b, &after);
	assert_int_equal(after.length, before.length);
	assert_memory_equal(after.bytes, before.bytes, before.length);
	bench_free(&b);
}

/* Refused, with a reason, and a driver begins anew. */
static void expect_refused(const struct blob *blob, size_t length, const char *what)
{
	static struct bench b;
	struct vio_state_refusal why;

	bench_make(&b, &options);
	assert_int_equal(load(&b, blob, length, &why), -VIO_ESTATE);
	assert_non_null(why.what);
	if (what)
		assert_string_equal(why.what, what);
	assert_false(b.queues[0].enabled);
	assert_int_equal(b.model.config_vector, NONE);
	bench_place(&b);
	bench_bring_up(&b, 0);
	assert_int_equal(b.faults, 0);
	bench_free(&b);
}

/* hostile: G8 */
static void vectors_that_are_not_there(void **state)
{
	static const uint16_t beyond[] = { VECTORS, VECTORS + 1, 0x7fff, 0xfffe };
	static const uint16_t counts[] = { 0, VECTORS - 1, VECTORS + 1, 0xffff };
	static struct bench b;
	struct blob good, bad;
	unsigned space;

	(void)state;
	have_saved(&b, &good);
	space = good.bytes[AT_SPACE];
	assert_int_equal(good.bytes[AT_VECTOR], 3);
	assert_int_equal(good.bytes[AT_VECTORS], VECTORS);
	assert_int_equal(good.bytes[AT_QUEUE(0) + QUEUE_VECTOR], 1);
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(beyond); i++) {
		bad = good;
		put16(&bad, AT_VECTOR, beyond[i]);
		expect_refused(&bad, bad.length, "vector of the configuration");
		for (unsigned queue = 0; queue < QUEUES; queue++) {
			bad = good;
			put16(&bad, AT_QUEUE(queue) + QUEUE_VECTOR, beyond[i]);
			expect_refused(&bad, bad.length, "vector of a queue");
		}
	}
	for (unsigned i = 0; i < VIO_ARRAY_SIZE(counts); i++) {
		bad = good;
		put16(&bad, AT_VECTORS, counts[i]);
		expect_refused(&bad, bad.length, "number of vectors");
	}
}

/* hostile: G1 G4 G12 */
static void states_that_cannot_be(void **state)
{
	static struct bench b;
	struct vio_state_refusal why;
	struct blob good, bad;
	unsigned space;

	(void)state;
	have_saved(&b, &good);
	space = good.bytes[AT_SPACE];
	for (size_t length = 0; length < good.length; length++)
		expect_refused(&good, length, NULL);
	bad = good;
	put16(&bad, AT_QUEUES, QUEUES + 1);
	expect_refused(&bad, bad.length, "queue count");
	bad = good;
	put16(&bad, 0, 2);
	expect_refused(&bad, bad.length, "format of the function");
	bad = good;
	bad.bytes[AT_LEGACY] = 1;
	expect_refused(&bad, bad.length, "interface of the function");
	bench_make(&b, &options);
	bench_bring_up(&b, 0);
	assert_int_equal(load(&b, &good, good.length, &why), -VIO_EPHASE);
	assert_true(b.queues[0].enabled);
	bench_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comes_as_it_went),
		cmocka_unit_test(vectors_that_are_not_there),
		cmocka_unit_test(states_that_cannot_be),
	};

	return cmocka_run_group_tests_name("transport-pci-saved", tests, NULL, NULL);
}
