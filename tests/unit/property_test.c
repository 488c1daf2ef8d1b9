/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/test.h"

#include <stdio.h>
#include <string.h>

#include <vireo/property.h>

/* Properties: text in, text out, and what isn't taken. */

struct sample {
	bool flag;
	uint8_t small;
	uint16_t medium;
	uint32_t large;
	uint64_t huge;
	uint64_t bytes;
	uint64_t limited;
	char text[6];
	uint8_t choice;
	uint8_t left_alone;
};

static const char *const colours[] = { "red", "green", "blue", NULL };

enum { FLAG, SMALL, MEDIUM, LARGE, HUGE_, BYTES, LIMITED, TEXT, CHOICE };

static const struct vio_property properties[] = {
	[FLAG] = { .name = "flag",
		   VIO_PROPERTY_MEMBER(struct sample, flag, VIO_PROPERTY_BOOL),
		   .initial = "on" },
	[SMALL] = { .name = "small",
		    VIO_PROPERTY_MEMBER(struct sample, small, VIO_PROPERTY_U8),
		    .initial = "0x10" },
	[MEDIUM] = { .name = "medium",
		     VIO_PROPERTY_MEMBER(struct sample, medium, VIO_PROPERTY_U16),
		     .min = 10,
		     .max = 20,
		     .initial = "15" },
	[LARGE] = { .name = "large", VIO_PROPERTY_MEMBER(struct sample, large, VIO_PROPERTY_U32) },
	[HUGE_] = { .name = "huge", VIO_PROPERTY_MEMBER(struct sample, huge, VIO_PROPERTY_U64) },
	[BYTES] = { .name = "bytes",
		    VIO_PROPERTY_MEMBER(struct sample, bytes, VIO_PROPERTY_BYTES),
		    .initial = "4K" },
	[LIMITED] = { .name = "limited",
		      VIO_PROPERTY_MEMBER(struct sample, limited, VIO_PROPERTY_BYTES),
		      .min = 512,
		      .max = UINT64_C(1) << 30 },
	[TEXT] = { .name = "text",
		   VIO_PROPERTY_MEMBER(struct sample, text, VIO_PROPERTY_STRING),
		   .initial = "abc" },
	[CHOICE] = { .name = "choice",
		     VIO_PROPERTY_MEMBER(struct sample, choice, VIO_PROPERTY_CHOICE),
		     .initial = "green",
		     .choices = colours },
};

static const struct vio_property_table table = { properties, VIO_ARRAY_SIZE(properties) };

struct set_case {
	unsigned property;
	const char *text;
	int error;
	uint64_t value;
	const char *out; /* NULL: as it went in */
};

static uint64_t value_of(const struct sample *sample, unsigned property)
{
	switch (property) {
	case FLAG:
		return sample->flag;
	case SMALL:
		return sample->small;
	case MEDIUM:
		return sample->medium;
	case LARGE:
		return sample->large;
	case HUGE_:
		return sample->huge;
	case BYTES:
		return sample->bytes;
	case LIMITED:
		return sample->limited;
	default:
		return sample->choice;
	}
}

static const struct set_case goods[] = {
	{ FLAG, "on", 0, 1, NULL },
	{ FLAG, "off", 0, 0, NULL },
	{ FLAG, "true", 0, 1, "on" },
	{ FLAG, "false", 0, 0, "off" },
	{ FLAG, "yes", 0, 1, "on" },
	{ FLAG, "no", 0, 0, "off" },
	{ FLAG, "1", 0, 1, "on" },
	{ FLAG, "0", 0, 0, "off" },
	{ SMALL, "0", 0, 0, NULL },
	{ SMALL, "255", 0, 255, NULL },
	{ SMALL, "0xff", 0, 255, "255" },
	{ SMALL, "0XfF", 0, 255, "255" },
	{ SMALL, "007", 0, 7, "7" },
	{ MEDIUM, "10", 0, 10, NULL },
	{ MEDIUM, "20", 0, 20, NULL },
	{ LARGE, "4294967295", 0, UINT32_MAX, NULL },
	{ HUGE_, "18446744073709551615", 0, UINT64_MAX, NULL },
	{ HUGE_, "0xffffffffffffffff", 0, UINT64_MAX, "18446744073709551615" },
	{ BYTES, "0", 0, 0, NULL },
	{ BYTES, "1", 0, 1, NULL },
	{ BYTES, "1B", 0, 1, "1" },
	{ BYTES, "1K", 0, 1024, NULL },
	{ BYTES, "1k", 0, 1024, "1K" },
	{ BYTES, "1KB", 0, 1024, "1K" },
	{ BYTES, "1KiB", 0, 1024, "1K" },
	{ BYTES, "3M", 0, UINT64_C(3) << 20, NULL },
	{ BYTES, "3miB", 0, UINT64_C(3) << 20, "3M" },
	{ BYTES, "5G", 0, UINT64_C(5) << 30, NULL },
	{ BYTES, "7T", 0, UINT64_C(7) << 40, NULL },
	{ BYTES, "1024T", 0, UINT64_C(1) << 50, NULL },
	{ BYTES, "2048", 0, 2048, "2K" },
	{ BYTES, "1025", 0, 1025, NULL },
	{ BYTES, "0x10K", 0, 16384, "16K" },
	{ BYTES, "16777215T", 0, UINT64_C(16777215) << 40, NULL },
	{ LIMITED, "512", 0, 512, NULL },
	{ LIMITED, "1G", 0, UINT64_C(1) << 30, NULL },
	{ CHOICE, "red", 0, 0, NULL },
	{ CHOICE, "blue", 0, 2, NULL },
};

static const struct set_case bads[] = {
	{ FLAG, "", -VIO_EINVAL, 0, NULL },
	{ FLAG, "On", -VIO_EINVAL, 0, NULL },
	{ FLAG, "2", -VIO_EINVAL, 0, NULL },
	{ FLAG, "on ", -VIO_EINVAL, 0, NULL },
	{ SMALL, "", -VIO_EINVAL, 0, NULL },
	{ SMALL, "256", -VIO_ERANGE, 0, NULL },
	{ SMALL, "-1", -VIO_EINVAL, 0, NULL },
	{ SMALL, "+1", -VIO_EINVAL, 0, NULL },
	{ SMALL, " 1", -VIO_EINVAL, 0, NULL },
	{ SMALL, "1 ", -VIO_EINVAL, 0, NULL },
	{ SMALL, "1K", -VIO_EINVAL, 0, NULL },
	{ SMALL, "1.5", -VIO_EINVAL, 0, NULL },
	{ SMALL, "0x", -VIO_EINVAL, 0, NULL },
	{ SMALL, "x1", -VIO_EINVAL, 0, NULL },
	{ SMALL, "0xg", -VIO_EINVAL, 0, NULL },
	{ SMALL, "1a", -VIO_EINVAL, 0, NULL },
	{ MEDIUM, "9", -VIO_ERANGE, 0, NULL },
	{ MEDIUM, "21", -VIO_ERANGE, 0, NULL },
	{ MEDIUM, "65546", -VIO_ERANGE, 0, NULL }, /* 10 in 16 bits */
	{ LARGE, "4294967296", -VIO_ERANGE, 0, NULL },
	{ HUGE_, "18446744073709551616", -VIO_ERANGE, 0, NULL },
	{ HUGE_, "0x10000000000000000", -VIO_ERANGE, 0, NULL },
	{ HUGE_, "99999999999999999999999999999", -VIO_ERANGE, 0, NULL },
	{ BYTES, "K", -VIO_EINVAL, 0, NULL },
	{ BYTES, "1KK", -VIO_EINVAL, 0, NULL },
	{ BYTES, "1Ki", -VIO_EINVAL, 0, NULL },
	{ BYTES, "1KBB", -VIO_EINVAL, 0, NULL },
	{ BYTES, "1P", -VIO_EINVAL, 0, NULL },
	{ BYTES, "1iB", -VIO_EINVAL, 0, NULL },
	{ BYTES, "1 K", -VIO_EINVAL, 0, NULL },
	{ BYTES, "1\x0b", -VIO_EINVAL, 0, NULL }, /* 'K' but for two bits */
	{ BYTES, "16777216T", -VIO_ERANGE, 0, NULL },
	{ BYTES, "18446744073709551615K", -VIO_ERANGE, 0, NULL },
	{ LIMITED, "511", -VIO_ERANGE, 0, NULL },
	{ LIMITED, "1073741825", -VIO_ERANGE, 0, NULL },
	{ LIMITED, "2G", -VIO_ERANGE, 0, NULL },
	{ TEXT, "sixsix", -VIO_ERANGE, 0, NULL },
	{ CHOICE, "", -VIO_EINVAL, 0, NULL },
	{ CHOICE, "Red", -VIO_EINVAL, 0, NULL },
	{ CHOICE, "greenish", -VIO_EINVAL, 0, NULL },
	{ CHOICE, "gree", -VIO_EINVAL, 0, NULL },
	{ CHOICE, "1", -VIO_EINVAL, 0, NULL },
};

static void test_defaults(void **state)
{
	struct sample sample;

	memset(&sample, 0, sizeof(sample));
	sample.left_alone = 0x5a;
	vio_property_set_defaults(&table, &sample);
	assert_true(sample.flag);
	assert_int_equal(sample.small, 16);
	assert_int_equal(sample.medium, 15);
	assert_int_equal(sample.large, 0);
	assert_int_equal(sample.bytes, 4096);
	assert_string_equal(sample.text, "abc");
	assert_int_equal(sample.choice, 1);
	assert_int_equal(sample.left_alone, 0x5a);
}

static void test_good_values(void **state)
{
	unsigned i;

	for (i = 0; i < VIO_ARRAY_SIZE(goods); i++) {
		const struct set_case *c = &goods[i];
		const char *out = c->out ? c->out : c->text;
		struct sample sample;
		char text[40];

		memset(&sample, 0x5a, sizeof(sample));
		assert_int_equal(vio_property_set(&properties[c->property], &sample, c->text), 0);
		if (value_of(&sample, c->property) != c->value)
			fail_msg("%s=%s became %llu", properties[c->property].name, c->text,
				 (unsigned long long)value_of(&sample, c->property));
		assert_int_equal(vio_property_get(&properties[c->property], &sample, text, sizeof(text)),
				 strlen(out));
		assert_string_equal(text, out);
		assert_int_equal(sample.left_alone, 0x5a);
	}
}

static void test_bad_values(void **state)
{
	unsigned i;

	for (i = 0; i < VIO_ARRAY_SIZE(bads); i++) {
		struct sample sample, before;
		int error;

		memset(&sample, 0x5a, sizeof(sample));
		before = sample;
		error = vio_property_set(&properties[bads[i].property], &sample, bads[i].text);
		if (error != bads[i].error)
			fail_msg("%s=%s gave %d, not %d", properties[bads[i].property].name, bads[i].text,
				 error, bads[i].error);
		assert_memory_equal(&sample, &before, sizeof(sample));
	}
}

static void test_strings(void **state)
{
	struct sample sample;
	char text[8];

	memset(&sample, 0x5a, sizeof(sample));
	assert_int_equal(vio_property_set(&properties[TEXT], &sample, "five5"), 0);
	assert_string_equal(sample.text, "five5");
	assert_int_equal(sample.choice, 0x5a);
	assert_int_equal(vio_property_set(&properties[TEXT], &sample, ""), 0);
	assert_memory_equal(sample.text, "\0\0\0\0\0\0", 6); /* nothing of the old one stays */
	assert_int_equal(vio_property_get(&properties[TEXT], &sample, text, sizeof(text)), 0);
	assert_string_equal(text, "");
}

/* Cut to any size, always ended, never beyond; the length is that of the whole. */
static void test_get_cuts(void **state)
{
	struct sample sample = { .huge = UINT64_C(1234567890) };
	char text[16];
	size_t size;

	assert_int_equal(vio_property_get(&properties[HUGE_], &sample, NULL, 0), 10);
	for (size = 1; size < sizeof(text); size++) {
		size_t length = size - 1 < 10 ? size - 1 : 10;

		memset(text, 'x', sizeof(text));
		assert_int_equal(vio_property_get(&properties[HUGE_], &sample, text, size), 10);
		assert_memory_equal(text, "1234567890", length);
		assert_int_equal(text[length], '\0');
		assert_int_equal(text[size], 'x');
	}
}

static void test_find_and_limits(void **state)
{
	unsigned i;

	for (i = 0; i < table.count; i++)
		assert_ptr_equal(vio_property_find(&table, properties[i].name, strlen(properties[i].name)),
				 &properties[i]);
	assert_ptr_equal(vio_property_find(&table, "text=abc", 4), &properties[TEXT]);
	assert_null(vio_property_find(&table, "text", 3));
	assert_null(vio_property_find(&table, "texts", 5));
	assert_null(vio_property_find(&table, "", 0));
	assert_int_equal(vio_property_max(&properties[SMALL]), 255);
	assert_int_equal(vio_property_max(&properties[LARGE]), UINT32_MAX);
	assert_int_equal(vio_property_max(&properties[HUGE_]), UINT64_MAX);
	assert_int_equal(vio_property_max(&properties[MEDIUM]), 20);
	assert_int_equal(vio_property_min(&properties[MEDIUM]), 10);
	assert_int_equal(vio_property_min(&properties[LARGE]), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),   cmocka_unit_test(test_good_values),
		cmocka_unit_test(test_bad_values), cmocka_unit_test(test_strings),
		cmocka_unit_test(test_get_cuts),   cmocka_unit_test(test_find_and_limits),
	};

	return cmocka_run_group_tests_name("properties", tests, NULL, NULL);
}
