/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TEST_ENDIAN_CMOCKA_H
#define TEST_ENDIAN_CMOCKA_H

/*
 * As much of cmocka's interface as the tests use, for machines that no cmocka is at hand for. The first
 * check that fails ends the program.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition, ...)                                  \
	do {                                                   \
		if (!(condition)) {                            \
			printf("%s:%d: ", __FILE__, __LINE__); \
			printf(__VA_ARGS__);                   \
			printf("\n");                          \
			fflush(stdout);                        \
			_Exit(1);                              \
		}                                              \
	} while (0)

#define NUMBER(value) ((unsigned long long)(uintmax_t)(value))
/* What is compared is evaluated once: it may well be a call that takes something off a list. */
#define COMPARE(a, relation, b)                                                               \
	do {                                                                                  \
		const uintmax_t first_ = (uintmax_t)(a), second_ = (uintmax_t)(b);            \
		CHECK(first_ relation second_, "%s %s %s: 0x%llx, 0x%llx", #a, #relation, #b, \
		      NUMBER(first_), NUMBER(second_));                                       \
	} while (0)
#define COMPARE_POINTERS(a, relation, b) \
	CHECK((const void *)(a)relation(const void *)(b), "%s %s %s", #a, #relation, #b)

#define assert_true(value)               CHECK(value, "%s is false", #value)
#define assert_false(value)              CHECK(!(value), "%s is true", #value)
#define assert_int_equal(a, b)           COMPARE(a, ==, b)
#define assert_int_not_equal(a, b)       COMPARE(a, !=, b)
#define assert_ptr_equal(a, b)           COMPARE_POINTERS(a, ==, b)
#define assert_ptr_not_equal(a, b)       COMPARE_POINTERS(a, !=, b)
#define assert_null(a)                   COMPARE_POINTERS(a, ==, NULL)
#define assert_non_null(a)               COMPARE_POINTERS(a, !=, NULL)
#define assert_string_equal(a, b)        CHECK(!strcmp(a, b), "\"%s\" is not \"%s\"", a, b)
#define assert_string_not_equal(a, b)    CHECK(strcmp(a, b), "\"%s\" twice", a)
#define assert_memory_equal(a, b, bytes) CHECK(!memcmp(a, b, bytes), "memory of %s and %s differs", #a, #b)
#define assert_memory_not_equal(a, b, bytes) \
	CHECK(memcmp(a, b, bytes), "memory of %s and %s is the same", #a, #b)
#define assert_in_range(value, least, most)                                                           \
	do {                                                                                          \
		const uintmax_t value_ = (uintmax_t)(value), least_ = (uintmax_t)(least),             \
				most_ = (uintmax_t)(most);                                            \
		CHECK(value_ >= least_ && value_ <= most_, "%s is 0x%llx, not from 0x%llx to 0x%llx", \
		      #value, NUMBER(value_), NUMBER(least_), NUMBER(most_));                         \
	} while (0)
#define fail_msg(...) CHECK(0, __VA_ARGS__)
#define print_message printf
#define skip()        return

struct CMUnitTest {
	const char *name;
	void (*test)(void **state);
	int (*setup)(void **state);
	int (*teardown)(void **state);
	void *initial_state;
};

#define cmocka_unit_test(function)                    \
	{                                             \
#function, function, NULL, NULL, NULL \
	}
#define cmocka_unit_test_teardown(function, down)     \
	{                                             \
#function, function, NULL, down, NULL \
	}
#define cmocka_unit_test_setup_teardown(function, up, down) \
	{                                                   \
#function, function, up, down, NULL         \
	}

static inline int cmocka_run(const struct CMUnitTest *tests, size_t count, int (*setup)(void **state),
			     int (*teardown)(void **state))
{
	void *group = NULL;

	if (setup && setup(&group))
		return 1;
	for (; count; count--, tests++) {
		void *state = tests->initial_state ? tests->initial_state : group;

		printf("%s\n", tests->name);
		fflush(stdout);
		if (tests->setup && tests->setup(&state))
			return 1;
		tests->test(&state);
		if (tests->teardown && tests->teardown(&state))
			return 1;
	}
	return teardown ? teardown(&group) : 0;
}

#define cmocka_run_group_tests(tests, setup, teardown) \
	cmocka_run(tests, sizeof(tests) / sizeof((tests)[0]), setup, teardown)
#define cmocka_run_group_tests_name(name, tests, setup, teardown) \
	cmocka_run_group_tests(tests, setup, teardown)

#endif
