/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/test.h"

#include "lib/pair.h"

/* A device's queue of whose buffers somebody keeps account: what is told, and what is taken once more. */
#define SIZE  8u
#define COUNT 3u

struct account {
	struct vio_devq_log log;
	unsigned taken, given, showing, shown;
	struct vio_devq_again next;
	unsigned asked;
	struct test_pair *late; /* who adds a buffer when it is first asked for kicks; NULL: nobody */
	int token;
};

static struct account *account_of(struct vio_devq_log *log)
{
	return VIO_CONTAINER_OF(log, struct account, log);
}

static void taken(struct vio_devq_log *log, const struct vio_devq *q, const struct vio_buf *buffers,
		  unsigned count, uint16_t position)
{
	account_of(log)->taken += count;
}

static void untaken(struct vio_devq_log *log, const struct vio_buf *buf)
{
	account_of(log)->taken--;
}

static void given(struct vio_devq_log *log, uint16_t name)
{
	account_of(log)->given++;
}

/* All that was pushed so far, and before the driver sees it. */
static void showing(struct vio_devq_log *log, const struct vio_devq *q)
{
	struct account *account = account_of(log);

	account->showing++;
	assert_int_equal(account->showing, account->shown + 1);
}

static void shown(struct vio_devq_log *log, const struct vio_devq *q)
{
	account_of(log)->shown++;
}

static void again(struct vio_devq_log *log, struct vio_devq_again *next)
{
	log->again--;
	*next = account_of(log)->next;
}

static void asked(struct vio_devq_log *log, const struct vio_devq *q)
{
	struct account *account = account_of(log);
	struct test_pair *late = account->late;

	account->asked++;
	account->late = NULL;
	if (late)
		assert_int_equal(test_pair_add(late, 64, 4, &account->token), 0);
	if (late)
		vio_drvq_kick(&late->drv);
}

static const struct vio_devq_log_ops ops = {
	.taken = taken,
	.untaken = untaken,
	.given = given,
	.showing = showing,
	.shown = shown,
	.again = again,
	.asked = asked,
};

static const uint64_t formats[] = { TEST_PLAIN, TEST_PLAIN | TEST_PACKED, TEST_PLAIN | TEST_IN_ORDER,
				    TEST_PLAIN | TEST_IN_ORDER | TEST_PACKED };

static void open(struct test_pair *pair, struct account *account, uint64_t features)
{
	const struct test_pair_config config = { .size = SIZE, .spans_max = 4, .features = features };

	*account = (struct account){ .log.ops = &ops };
	test_pair_open(pair, &config);
	test_pair_start_device(pair);
	pair->dev.log = &account->log;
}

static void many_are_told(void **state)
{
	static const uint32_t written[COUNT] = { 4, 4, 4 };
	struct vio_buf buffers[SIZE];
	struct account account;
	struct test_pair pair;
	int tokens[COUNT];
	uint32_t length;

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(formats); i++) {
		open(&pair, &account, formats[i]);
		assert_int_equal(vio_devq_pop_many(&pair.dev, buffers, SIZE), 0);
		assert_int_equal(account.taken, 0);
		for (unsigned j = 0; j < COUNT; j++)
			assert_int_equal(test_pair_add(&pair, 16ull * j, 4, &tokens[j]), 0);
		vio_drvq_kick(&pair.drv);
		assert_int_equal(vio_devq_pop_many(&pair.dev, buffers, SIZE), COUNT);
		assert_int_equal(account.taken, COUNT);
		vio_devq_unpop(&pair.dev, &buffers[COUNT - 1]);
		assert_int_equal(account.taken, COUNT - 1);
		assert_true(vio_devq_pop(&pair.dev, &buffers[COUNT - 1]));
		vio_devq_push_many(&pair.dev, buffers, written, COUNT);
		vio_devq_notify(&pair.dev);
		assert_int_equal(account.taken, COUNT);
		assert_int_equal(account.given, COUNT);
		assert_int_equal(account.shown, account.showing);
		assert_true(account.shown > 0);
		for (unsigned j = 0; j < COUNT; j++)
			assert_ptr_equal(vio_drvq_get(&pair.drv, &length), &tokens[j]);
		test_pair_close(&pair);
	}
}

/* Kicks are refused, asked for, and refused again within one call, as a buffer comes late: each is told. */
static void kicks_are_told(void **state)
{
	struct vio_buf buffers[SIZE];
	struct account account;
	struct test_pair pair;

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(formats); i++) {
		open(&pair, &account, formats[i]);
		assert_int_equal(test_pair_add(&pair, 0, 4, &account), 0);
		vio_drvq_kick(&pair.drv);
		assert_int_equal(vio_devq_pop_many(&pair.dev, buffers, SIZE), 1);
		assert_int_equal(account.asked, 1);
		account.late = &pair;
		assert_int_equal(vio_devq_pop_many(&pair.dev, buffers + 1, SIZE - 1), 1);
		assert_int_equal(account.asked, 3);
		assert_int_equal(vio_devq_pop_many(&pair.dev, buffers + 2, SIZE - 2), 0);
		assert_int_equal(account.asked, 4);
		test_pair_close(&pair);
	}
}

static void expect(uint64_t features, const struct vio_devq_again *next, enum vio_fault_kind kind)
{
	struct account account;
	struct test_pair pair;
	struct vio_buf buf;
	int token;

	open(&pair, &account, features);
	assert_int_equal(test_pair_add(&pair, 0, 4, &token), 0);
	vio_drvq_kick(&pair.drv);
	if (kind == VIO_FAULT_BUFFER_MEMORY && !test_pair_packed(&pair))
		test_ring_desc(&pair.ring, 0, 8, 4, VIRTQ_DESC_F_WRITE, 0);
	account.next = *next;
	account.log.again = 2;
	if (kind == VIO_FAULT_HEAD_BUSY) { /* the same name twice */
		assert_int_equal(vio_devq_pop_many(&pair.dev, &buf, 1), 1);
		assert_int_equal(buf.writable_bytes, 4);
	}
	assert_int_equal(vio_devq_pop_many(&pair.dev, &buf, 1), 0);
	assert_int_equal(pair.dev.fault.kind, kind);
	assert_false(vio_devq_pop(&pair.dev, &buf));
	test_pair_close(&pair);
}

/* hostile: A6 A56; the account lies with the driver, too. */
static void accounts_that_cannot_be(void **state)
{
	struct pvirtq_desc good = { vio_le64_make(PAIR_DATA), vio_le32_make(4), vio_le16_make(0),
				    vio_le16_make(VIRTQ_DESC_F_WRITE) };
	struct pvirtq_desc table[2] = { good, good };
	struct vio_devq_again next = { 0, 1, &good };
	const uint64_t packed = TEST_PLAIN | TEST_PACKED | TEST_INDIRECT;

	expect(TEST_PLAIN, &next, VIO_FAULT_HEAD_BUSY);
	expect(packed, &next, VIO_FAULT_HEAD_BUSY);
	next.name = SIZE;
	expect(TEST_PLAIN, &next, VIO_FAULT_HEAD_RANGE);
	expect(packed, &next, VIO_FAULT_HEAD_RANGE);
	next.name = 0;
	next.entries = 0;
	expect(packed, &next, VIO_FAULT_AVAIL_IDX);
	next.entries = SIZE + 1;
	expect(packed, &next, VIO_FAULT_AVAIL_IDX);
	table[0].flags = vio_le16_make(VIRTQ_DESC_F_INDIRECT);
	next = (struct vio_devq_again){ 0, 2, table };
	expect(packed, &next, VIO_FAULT_INDIRECT_NEXT);
	next.entries = 1;
	expect(packed, &next, VIO_FAULT_INDIRECT_LENGTH); /* four bytes are no descriptor */
	good.addr = vio_le64_make(8);
	next = (struct vio_devq_again){ 0, 1, &good };
	expect(packed, &next, VIO_FAULT_BUFFER_MEMORY);
	expect(TEST_PLAIN, &next, VIO_FAULT_BUFFER_MEMORY); /* the table says so by now */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(many_are_told),
		cmocka_unit_test(kicks_are_told),
		cmocka_unit_test(accounts_that_cannot_be),
	};

	return cmocka_run_group_tests_name("ring: logged", tests, NULL, NULL);
}
