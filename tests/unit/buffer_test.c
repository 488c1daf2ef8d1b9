/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/test.h"

#include <stdlib.h>
#include <string.h>

#include <vireo/devq.h>

/* The cursors of a buffer, over every way to cut 12 bytes into up to 4 spans and into two calls. */

#define BYTES 12u
#define SPANS 4u

struct sample {
	uint8_t *memory[SPANS]; /* each of its own size, so that a sanitizer sees one byte too many */
	size_t length[SPANS];
	struct vio_span spans[SPANS];
	unsigned count;
	struct vio_buf buf;
};

static const char digits[] = "0123456789ab";

/* Spans of the lengths between the cuts a <= b <= c; empty ones aren't made, as the queue makes none. */
static void open_sample(struct sample *s, unsigned a, unsigned b, unsigned c, bool writable)
{
	const unsigned ends[SPANS + 1] = { 0, a, b, c, BYTES };
	unsigned i;

	memset(s, 0, sizeof(*s));
	for (i = 0; i < SPANS; i++) {
		size_t length = ends[i + 1] - ends[i];

		if (!length)
			continue;
		s->memory[s->count] = malloc(length);
		assert_non_null(s->memory[s->count]);
		if (writable)
			memset(s->memory[s->count], '.', length);
		else
			memcpy(s->memory[s->count], digits + ends[i], length);
		s->length[s->count] = length;
		s->spans[s->count] = (struct vio_span){ s->memory[s->count], length };
		s->count++;
	}
	if (writable) {
		s->buf.writable = s->spans;
		s->buf.writable_count = (uint16_t)s->count;
		s->buf.writable_bytes = BYTES;
	} else {
		s->buf.readable = s->spans;
		s->buf.readable_count = (uint16_t)s->count;
		s->buf.readable_bytes = BYTES;
	}
}

static void close_sample(struct sample *s, char content[BYTES + 1])
{
	unsigned i;
	size_t at = 0;

	for (i = 0; i < s->count; i++) {
		memcpy(content + at, s->memory[i], s->length[i]);
		at += s->length[i];
		free(s->memory[i]);
	}
	assert_int_equal(at, BYTES);
	content[at] = '\0';
}

/* What is left is a tidy array: its sum is right and no span is empty. */
static void check_left(const struct vio_span *spans, unsigned count, uint64_t bytes, uint64_t expected)
{
	uint64_t sum = 0;
	unsigned i;

	assert_int_equal(bytes, expected);
	for (i = 0; i < count; i++) {
		assert_true(spans[i].length > 0);
		sum += spans[i].length;
	}
	assert_int_equal(sum, expected);
}

static void each(void (*body)(unsigned a, unsigned b, unsigned c, unsigned first))
{
	unsigned a, b, c, first;

	for (a = 0; a <= BYTES; a++)
		for (b = a; b <= BYTES; b++)
			for (c = b; c <= BYTES; c++)
				for (first = 0; first <= BYTES; first++)
					body(a, b, c, first);
}

static void read_body(unsigned a, unsigned b, unsigned c, unsigned first)
{
	char got[2 * BYTES + 1] = "", content[BYTES + 1];
	struct sample s;

	open_sample(&s, a, b, c, false);
	assert_int_equal(vio_read(&s.buf, got, first), first);
	check_left(s.buf.readable, s.buf.readable_count, s.buf.readable_bytes, BYTES - first);
	assert_int_equal(vio_read(&s.buf, got + first, 2 * BYTES - first), BYTES - first);
	assert_string_equal(got, digits);
	check_left(s.buf.readable, s.buf.readable_count, s.buf.readable_bytes, 0);
	assert_int_equal(s.buf.readable_count, 0);
	assert_int_equal(vio_read(&s.buf, got, 1), 0);
	assert_int_equal(vio_write(&s.buf, got, 1), 0);
	close_sample(&s, content);
	assert_string_equal(content, digits);
}

static void skip_body(unsigned a, unsigned b, unsigned c, unsigned first)
{
	char got[BYTES + 1] = "", content[BYTES + 1];
	struct sample s;

	open_sample(&s, a, b, c, false);
	assert_int_equal(vio_skip(&s.buf, first), first);
	check_left(s.buf.readable, s.buf.readable_count, s.buf.readable_bytes, BYTES - first);
	assert_int_equal(vio_read(&s.buf, got, 1), first < BYTES);
	assert_int_equal(got[0], digits[first]);
	assert_int_equal(vio_skip(&s.buf, SIZE_MAX), first < BYTES ? BYTES - first - 1 : 0);
	assert_int_equal(s.buf.readable_bytes, 0);
	close_sample(&s, content);
}

static void write_body(unsigned a, unsigned b, unsigned c, unsigned first)
{
	char content[BYTES + 1];
	struct sample s;

	open_sample(&s, a, b, c, true);
	assert_int_equal(vio_write(&s.buf, digits, first), first);
	check_left(s.buf.writable, s.buf.writable_count, s.buf.writable_bytes, BYTES - first);
	assert_int_equal(vio_write(&s.buf, digits + first, BYTES - first), BYTES - first);
	assert_int_equal(s.buf.writable_count, 0);
	assert_int_equal(vio_write(&s.buf, "?", 1), 0);
	assert_int_equal(vio_read(&s.buf, content, 1), 0);
	close_sample(&s, content);
	assert_string_equal(content, digits);
}

/* The status byte goes where it belongs, whatever was written before. */
static void take_last_body(unsigned a, unsigned b, unsigned c, unsigned first)
{
	char content[BYTES + 1], expected[BYTES + 1] = "............";
	struct sample s;
	uint8_t *last;

	open_sample(&s, a, b, c, true);
	vio_write(&s.buf, digits, first);
	memcpy(expected, digits, first);
	last = vio_buf_take_last(&s.buf);
	assert_int_equal(last != NULL, first < BYTES);
	if (last) {
		*last = 'S';
		expected[BYTES - 1] = 'S';
		check_left(s.buf.writable, s.buf.writable_count, s.buf.writable_bytes, BYTES - first - 1);
		assert_int_equal(vio_write(&s.buf, "xxxxxxxxxxxxxxx", 15), BYTES - first - 1);
		memset(expected + first, 'x', BYTES - first - 1);
	}
	assert_null(vio_buf_take_last(&s.buf));
	close_sample(&s, content);
	assert_string_equal(content, expected);
}

static void test_read(void **state)
{
	each(read_body);
}

static void test_skip(void **state)
{
	each(skip_body);
}

static void test_write(void **state)
{
	each(write_body);
}

static void test_take_last(void **state)
{
	each(take_last_body);
}

/* All of it from the end, one by one. */
static void test_take_last_all(void **state)
{
	char content[BYTES + 1];
	unsigned i;
	struct sample s;

	open_sample(&s, 1, 5, 5, true);
	for (i = 0; i < BYTES; i++)
		*vio_buf_take_last(&s.buf) = (uint8_t)digits[BYTES - 1 - i];
	assert_null(vio_buf_take_last(&s.buf));
	close_sample(&s, content);
	assert_string_equal(content, digits);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),          cmocka_unit_test(test_skip),
		cmocka_unit_test(test_write),         cmocka_unit_test(test_take_last),
		cmocka_unit_test(test_take_last_all),
	};

	return cmocka_run_group_tests_name("buffers", tests, NULL, NULL);
}
