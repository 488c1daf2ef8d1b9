/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <vireo/host_network.h>

/* Networks with the test in the place of devices. */

#define FRAME_MAX 65000u

struct end {
	struct vio_network *network;
	int result;    /* of deliver */
	unsigned room; /* for frames that come together */
	unsigned delivered, ends, links, expired, done;
	int last; /* result of the last send */
	uint32_t length;
	uint8_t bytes[FRAME_MAX];
};

static int deliver(void *context, const struct vio_frame *frame)
{
	struct end *end = context;

	if (end->result)
		return end->result;
	end->delivered++;
	end->length = frame->length;
	assert_true(frame->length <= FRAME_MAX);
	vio_frame_copy(frame, 0, end->bytes, frame->length);
	return 0;
}

static void deliver_end(void *context)
{
	((struct end *)context)->ends++;
}

static void link_changed(void *context)
{
	((struct end *)context)->links++;
}

static void expired(void *context)
{
	((struct end *)context)->expired++;
}

static const struct vio_network_events events = { deliver, deliver_end, link_changed, expired, NULL };

static unsigned deliver_many(void *context, const struct vio_frame *frames, unsigned count)
{
	struct end *end = context;
	unsigned i;

	for (i = 0; i < count && end->room; i++, end->room--)
		deliver(context, &frames[i]);
	return i;
}

static const struct vio_network_events events_of_many = { deliver, deliver_end, link_changed, expired,
							  deliver_many };

struct message {
	struct vio_network_send send;
	struct end *end;
	struct vio_span spans[2];
	uint8_t bytes[FRAME_MAX];
};

static void sent(struct vio_network_send *send, int result)
{
	struct message *message = VIO_CONTAINER_OF(send, struct message, send);

	message->end->done++;
	message->end->last = result;
}

/* From :`from` to :`to`, of the length, counting up. */
static void send_frame(struct end *end, struct message *message, uint8_t from, uint8_t to, uint32_t length)
{
	memset(message, 0, sizeof(*message));
	memset(message->bytes, to, 6);
	memset(message->bytes + 6, from, 6);
	for (uint32_t i = 12; i < length; i++)
		message->bytes[i] = (uint8_t)(i + length);
	message->end = end;
	message->spans[0] = (struct vio_span){ message->bytes, 13 };
	message->spans[1] = (struct vio_span){ message->bytes + 13, length - 13 };
	message->send.frame =
		(struct vio_frame){ .spans = message->spans, .span_count = 2, .length = length };
	message->send.done = sent;
	end->network->ops->send(end->network, &message->send);
	if (end->network->ops->send_end)
		end->network->ops->send_end(end->network);
}

static void take(struct end *end, struct vio_network *network)
{
	memset(end, 0, sizeof(*end));
	end->network = network;
	network->events = &events;
	network->events_context = end;
	if (network->ops->configure)
		network->ops->configure(network, 0, 1);
}

static struct vio_loop *loop;

static int setup(void **state)
{
	int error;

	loop = vio_loop_create(0, &error);
	return loop ? 0 : -1;
}

static int teardown(void **state)
{
	vio_loop_destroy(loop);
	return 0;
}

static void settle(void)
{
	while (vio_loop_step(loop, 20) > 0)
		;
}

/* Ports see what is for them, and what is for nobody in particular. */
static void hub_learns(void **state)
{
	struct vio_host_hub *hub = vio_host_hub_create(loop, VIO_HOST_HUB_LEARN);
	static struct end ends[3];
	static struct message message;

	for (unsigned i = 0; i < 3; i++)
		take(&ends[i], vio_host_hub_port(hub));
	send_frame(&ends[0], &message, 2, 4, 100); /* nobody knows 4 */
	assert_int_equal(ends[0].delivered, 0);
	assert_int_equal(ends[1].delivered, 1);
	assert_int_equal(ends[2].delivered, 1);
	send_frame(&ends[1], &message, 4, 2, 100);
	assert_int_equal(ends[0].delivered, 1);
	assert_int_equal(ends[2].delivered, 1);
	send_frame(&ends[0], &message, 2, 4, 100);
	assert_int_equal(ends[1].delivered, 2);
	assert_int_equal(ends[2].delivered, 1);
	send_frame(&ends[0], &message, 2, 2, 100); /* to itself */
	send_frame(&ends[2], &message, 6, 255, 100);
	assert_int_equal(ends[0].delivered, 2);
	assert_int_equal(ends[1].delivered, 3);
	/* A source is where it was seen last; nobody keeps a multicast address. */
	send_frame(&ends[2], &message, 4, 255, 100);
	send_frame(&ends[0], &message, 2, 4, 100);
	assert_int_equal(ends[2].delivered, 2);
	assert_int_equal(ends[0].done, 4);
	for (unsigned i = 0; i < 3; i++)
		ends[i].network->ops->close(ends[i].network);
	vio_host_hub_destroy(hub);
}

static void hub_waits(void **state)
{
	struct vio_host_hub *hub = vio_host_hub_create(loop, 0);
	static struct end ends[2];
	static struct message messages[5];

	take(&ends[0], vio_host_hub_port(hub));
	take(&ends[1], vio_host_hub_port(hub));
	ends[1].result = -VIO_EAGAIN;
	for (unsigned i = 0; i < 3; i++)
		send_frame(&ends[0], &messages[i], 2, 4, 100 + i);
	assert_int_equal(ends[0].done, 0);
	ends[1].result = 0;
	send_frame(&ends[0], &messages[3], 2, 4, 103); /* not past the others */
	assert_int_equal(ends[1].delivered, 0);
	ends[1].network->ops->ready(ends[1].network, 0);
	assert_int_equal(ends[0].done, 4);
	assert_int_equal(ends[1].delivered, 4);
	assert_int_equal(ends[1].length, 103);
	/* The sender goes. */
	ends[1].result = -VIO_EAGAIN;
	send_frame(&ends[0], &messages[0], 2, 4, 100);
	ends[0].network->ops->drain(ends[0].network);
	assert_int_equal(ends[0].done, 5);
	assert_int_equal(ends[0].last, -VIO_EAGAIN);
	/* The receiver goes. */
	send_frame(&ends[0], &messages[0], 2, 4, 100);
	ends[1].network->ops->configure(ends[1].network, 0, 0);
	assert_int_equal(ends[0].done, 6);
	/* The receiver sleeps. */
	ends[1].network->ops->configure(ends[1].network, 0, 1);
	send_frame(&ends[0], &messages[0], 2, 4, 100);
	for (unsigned i = 0; i < 100 && ends[0].done < 7; i++)
		vio_loop_step(loop, 20);
	assert_int_equal(ends[0].done, 7);
	assert_int_equal(ends[1].delivered, 4);
	ends[0].network->ops->arm(ends[0].network, 200);
	for (unsigned i = 0; i < 100 && !ends[0].expired; i++)
		vio_loop_step(loop, 20);
	assert_int_equal(ends[0].expired, 1);
	ends[0].network->ops->close(ends[0].network);
	ends[1].network->ops->close(ends[1].network);
	vio_host_hub_destroy(hub);
}

static struct vio_network *open_socket(const char *path, bool listens)
{
	struct vio_host_network_options options = { .backend = VIO_HOST_NETWORK_SOCKET, .listen = listens };
	struct vio_network *network = NULL;
	struct vio_message message;

	snprintf(options.path, sizeof(options.path), "%s", path);
	assert_int_equal(vio_host_network_open(loop, &options, 1, &network, &message), 0);
	return network;
}

static char *temporary(void)
{
	static char directory[64];

	strcpy(directory, "/tmp/vireo-network-XXXXXX");
	assert_non_null(mkdtemp(directory));
	return directory;
}

static void peers_talk(void **state)
{
	static struct end here, there;
	static struct message message;
	char *directory = temporary();
	char path[128];

	snprintf(path, sizeof(path), "%s/socket", directory);
	take(&here, open_socket(path, true));
	assert_false(here.network->link_up);
	take(&there, open_socket(path, false));
	assert_true(there.network->link_up);
	settle();
	assert_true(here.network->link_up);
	assert_int_equal(here.links, 1);
	for (uint32_t length = 14; length < FRAME_MAX; length += length < 100 ? 1 : 9973) {
		send_frame(&here, &message, 2, 4, length);
		settle();
		assert_int_equal(there.length, length);
		assert_memory_equal(there.bytes, message.bytes, length);
		send_frame(&there, &message, 4, 2, length);
		settle();
		assert_int_equal(here.length, length);
		assert_memory_equal(here.bytes, message.bytes, length);
	}
	/* Gone and back. */
	there.network->ops->close(there.network);
	settle();
	assert_false(here.network->link_up);
	send_frame(&here, &message, 2, 4, 100);
	assert_int_equal(here.last, -VIO_EHANGUP);
	take(&there, open_socket(path, false));
	settle();
	assert_true(here.network->link_up);
	send_frame(&here, &message, 2, 4, 100);
	settle();
	assert_int_equal(there.delivered, 1);
	here.network->ops->close(here.network);
	settle();
	assert_false(there.network->link_up);
	there.network->ops->close(there.network);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(rmdir(directory), 0);
}

/* Who has no room isn't asked for more; who doesn't read is waited for. */
static void peers_wait(void **state)
{
	static struct end here, there;
	static struct message messages[64];
	char *directory = temporary();
	char path[128];

	snprintf(path, sizeof(path), "%s/socket", directory);
	take(&here, open_socket(path, true));
	take(&there, open_socket(path, false));
	settle();
	there.result = -VIO_EAGAIN;
	for (unsigned i = 0; i < 64; i++)
		send_frame(&here, &messages[i], 2, 4, 20000 + i);
	settle();
	assert_true(here.done < 64);
	assert_int_equal(there.delivered, 0);
	there.result = 0;
	there.network->ops->ready(there.network, 0);
	settle();
	assert_int_equal(here.done, 64);
	assert_int_equal(there.delivered, 64);
	assert_int_equal(there.length, 20063);
	assert_memory_equal(there.bytes, messages[63].bytes, 20063);
	/* What waits is given up when the device wants its queue back. */
	there.result = -VIO_EAGAIN;
	for (unsigned i = 0; i < 64; i++)
		send_frame(&here, &messages[i], 2, 4, 20000 + i);
	settle();
	here.network->ops->drain(here.network);
	assert_int_equal(here.done, 128);
	/* And what went halfway still goes to its end. */
	there.result = 0;
	there.network->ops->ready(there.network, 0);
	settle();
	there.delivered = 0;
	send_frame(&here, &messages[0], 2, 4, 77);
	settle();
	assert_int_equal(there.delivered, 1);
	assert_int_equal(there.length, 77);
	here.network->ops->close(here.network);
	there.network->ops->close(there.network);
	assert_int_equal(rmdir(directory), 0);
}

static void nonsense_ends_the_connection(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	static const uint8_t words[2][8] = { { 0, 1, 0, 40, 0 }, { 255, 255, 255, 255 } };
	static struct end here;
	char *directory = temporary();
	uint8_t byte;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", directory);
	take(&here, open_socket(address.sun_path, true));
	for (unsigned i = 0; i < 2; i++) {
		int fd = socket(AF_UNIX, SOCK_STREAM, 0);

		assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
		settle();
		assert_true(here.network->link_up);
		assert_int_equal(write(fd, words[i], 8), 8);
		settle();
		assert_false(here.network->link_up);
		assert_int_equal(read(fd, &byte, 1), 0);
		close(fd);
	}
	assert_int_equal(here.delivered, 0);
	here.network->ops->close(here.network);
	assert_int_equal(rmdir(directory), 0);
}

static void options_are_judged(void **state)
{
	static const struct {
		struct vio_host_network_options options;
		const char *says;
	} bad[] = {
		{ { .backend = 9 }, "backend 9" },
		{ { .backend = VIO_HOST_NETWORK_SOCKET }, "needs a path" },
		{ { .backend = VIO_HOST_NETWORK_SOCKET, .path = "/nowhere/at/all" }, "/nowhere/at/all" },
		{ { .backend = VIO_HOST_NETWORK_HUB, .path = "x" }, "backend=socket" },
		{ { .backend = VIO_HOST_NETWORK_HUB, .interface = "x" }, "backend=tap" },
		{ { .backend = VIO_HOST_NETWORK_ECHO, .ports = "x" }, "backend=hub" },
		{ { .backend = VIO_HOST_NETWORK_ECHO, .capture = "/nowhere/at/all" }, "/nowhere/at/all" },
	};
	struct vio_network *network;

	for (unsigned i = 0; i < VIO_ARRAY_SIZE(bad); i++) {
		struct vio_message message = { "" };

		assert_true(vio_host_network_open(loop, &bad[i].options, 1, &network, &message) < 0);
		assert_non_null(strstr(message.text, bad[i].says));
	}
}

/* Blocks of a capture: how many packets, each whole. */
static unsigned count_packets(const char *path, uint32_t length)
{
	static uint32_t words[65536];
	unsigned count = 0;
	FILE *file = fopen(path, "re");
	size_t total;

	assert_non_null(file);
	total = fread(words, 4, VIO_ARRAY_SIZE(words), file);
	fclose(file);
	assert_int_equal(words[0], 0x0a0d0d0a);
	assert_int_equal(words[2], 0x1a2b3c4d);
	for (size_t at = 0; at < total; at += words[at + 1] / 4) {
		assert_true(words[at + 1] >= 12 && words[at + 1] / 4 <= total - at);
		assert_int_equal(words[at + words[at + 1] / 4 - 1], words[at + 1]);
		if (words[at] != 6)
			continue;
		assert_int_equal(words[at + 5], length);
		assert_int_equal(words[at + 6], length);
		count++;
	}
	return count;
}

static void captures(void **state)
{
	struct vio_host_network_options options = { .backend = VIO_HOST_NETWORK_ECHO };
	struct vio_network *network;
	struct vio_message text;
	static struct end end;
	static struct message message;
	char *directory = temporary();

	snprintf(options.capture, sizeof(options.capture), "%s/file", directory);
	assert_int_equal(vio_host_network_open(loop, &options, 1, &network, &text), 0);
	take(&end, network);
	for (unsigned i = 0; i < 10; i++)
		send_frame(&end, &message, 2, 4, 99);
	assert_int_equal(end.delivered, 10);
	assert_int_equal(count_packets(options.capture, 99), 20);
	end.result = -VIO_EAGAIN; /* dropped, so it didn't pass */
	send_frame(&end, &message, 2, 4, 99);
	assert_int_equal(count_packets(options.capture, 99), 21);
	network->ops->drain(network);
	network->ops->close(network);
	assert_int_equal(unlink(options.capture), 0);
	assert_int_equal(rmdir(directory), 0);
}

static void null_swallows(void **state)
{
	const struct vio_host_network_options options = { .backend = VIO_HOST_NETWORK_NULL };
	struct vio_network *network;
	struct vio_message text;
	static struct end end;
	static struct message message;

	assert_int_equal(vio_host_network_open(loop, &options, 1, &network, &text), 0);
	take(&end, network);
	send_frame(&end, &message, 2, 4, 99);
	assert_int_equal(end.done, 1);
	assert_int_equal(end.delivered, 0);
	network->ops->close(network);
}

/* Frames from :2 to those whose last byte is in `to`, as many as it has. */
static unsigned send_together(struct vio_network *network, const char *to)
{
	static uint8_t bytes[16][1000];
	struct vio_span spans[16];
	struct vio_frame frames[16];
	unsigned count = (unsigned)strlen(to);

	for (unsigned i = 0; i < count; i++) {
		memset(bytes[i], to[i] == '*' ? 255 : to[i] - '0', 6);
		memset(bytes[i] + 6, 2, 6);
		for (unsigned j = 12; j < sizeof(bytes[i]); j++)
			bytes[i][j] = (uint8_t)(i + j);
		spans[i] = (struct vio_span){ bytes[i], sizeof(bytes[i]) };
		frames[i] = (struct vio_frame){ .spans = &spans[i], .span_count = 1, .length = 60 + i };
	}
	return network->ops->send_many(network, frames, count);
}

/* Several at once go where they would go alone, and stop where there is no room. */
static void hub_takes_many(void **state)
{
	struct vio_host_hub *hub = vio_host_hub_create(loop, VIO_HOST_HUB_LEARN);
	static struct end ends[3];
	static struct message message;

	assert_non_null(hub);
	for (unsigned i = 0; i < 3; i++) {
		take(&ends[i], vio_host_hub_port(hub));
		ends[i].room = 100;
	}
	ends[1].network->events = ends[2].network->events = &events_of_many;
	/* :4 is at the second port, :6 at the third. */
	send_frame(&ends[1], &message, 4, 255, 60);
	send_frame(&ends[2], &message, 6, 255, 60);
	ends[0].delivered = ends[1].delivered = ends[2].delivered = 0;
	assert_int_equal(send_together(ends[0].network, "446*4"), 5);
	ends[0].network->ops->send_end(ends[0].network);
	assert_int_equal(ends[1].delivered, 4);
	assert_int_equal(ends[1].length, 64);
	assert_int_equal(ends[2].delivered, 2);
	assert_int_equal(ends[2].length, 63);
	assert_int_equal(ends[0].delivered, 0);
	ends[1].room = 1;
	assert_int_equal(send_together(ends[0].network, "6446"), 2);
	assert_int_equal(ends[1].delivered, 5);
	assert_int_equal(ends[2].delivered, 3);
	/* One that waits keeps back those behind it. */
	ends[1].result = -VIO_EAGAIN;
	send_frame(&ends[0], &message, 2, 4, 60);
	ends[1].result = 0;
	ends[1].room = 10;
	assert_int_equal(send_together(ends[0].network, "64"), 1);
	ends[1].network->ops->ready(ends[1].network, 0);
	assert_int_equal(send_together(ends[0].network, "4"), 1);
	assert_int_equal(ends[1].delivered, 7);
	/* For all: who has no room goes without. */
	ends[1].room = 0;
	assert_int_equal(send_together(ends[0].network, "**"), 2);
	assert_int_equal(ends[1].delivered, 7);
	assert_int_equal(ends[2].delivered, 6);
	for (unsigned i = 0; i < 3; i++)
		ends[i].network->ops->close(ends[i].network);
	vio_host_hub_destroy(hub);
}

static void echo_takes_many(void **state)
{
	const struct vio_host_network_options options = { .backend = VIO_HOST_NETWORK_ECHO };
	struct vio_network *network;
	struct vio_message text;
	static struct end end;
	static struct message message;

	assert_int_equal(vio_host_network_open(loop, &options, 1, &network, &text), 0);
	take(&end, network);
	for (unsigned together = 0; together < 2; together++) {
		network->events = together ? &events_of_many : &events;
		end.room = 3;
		end.delivered = 0;
		assert_int_equal(send_together(network, "446444"), 6);
		assert_int_equal(end.delivered, together ? 3 : 6);
		assert_int_equal(end.length, together ? 62 : 65);
		assert_memory_equal(end.bytes, "\2\2\2\2\2\2", 6);
		for (unsigned i = 12; i < end.length; i++)
			assert_int_equal(end.bytes[i], (uint8_t)(end.length - 60 + i));
	}
	for (uint32_t length = 14; length < 200; length++) {
		send_frame(&end, &message, 2, 4, length);
		assert_int_equal(end.length, length);
		assert_memory_equal(end.bytes, "\2\2\2\2\2\2\4\4\4\4\4\4", 12);
		for (uint32_t i = 12; i < length; i++)
			assert_int_equal(end.bytes[i], (uint8_t)(i + length));
	}
	network->ops->close(network);
}

/* It pours until there is no room, and goes on when there is; others have their turn meanwhile. */
static void source_pours(void **state)
{
	struct vio_host_network_options options = { .backend = VIO_HOST_NETWORK_SOURCE, .frame_bytes = 13 };
	struct vio_network *network;
	struct vio_message text;
	static struct end end;
	static struct message message;

	assert_int_equal(vio_host_network_open(loop, &options, 1, &network, &text), -VIO_ERANGE);
	options.frame_bytes = 100;
	assert_int_equal(vio_host_network_open(loop, &options, 1, &network, &text), 0);
	memset(&end, 0, sizeof(end));
	end.network = network;
	end.room = 70;
	network->events = &events_of_many;
	network->events_context = &end;
	network->ops->configure(network, 0, 1);
	assert_int_equal(end.delivered, 0);
	settle();
	assert_int_equal(end.delivered, 70);
	assert_int_equal(end.length, 100);
	assert_true(end.ends > 0);
	end.room = 5000;
	network->ops->ready(network, 0);
	assert_true(end.delivered > 70 && end.delivered < 2000);
	settle();
	assert_int_equal(end.delivered, 5070);
	send_frame(&end, &message, 2, 4, 99);
	assert_int_equal(end.done, 1);
	assert_int_equal(send_together(network, "444"), 3);
	/* Nobody is there any more. */
	end.room = 5000;
	network->ops->ready(network, 0);
	network->ops->configure(network, 0, 0);
	settle();
	assert_true(end.delivered < 5070 + 2000);
	network->ops->close(network);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hub_learns),
		cmocka_unit_test(hub_waits),
		cmocka_unit_test(peers_talk),
		cmocka_unit_test(peers_wait),
		cmocka_unit_test(nonsense_ends_the_connection),
		cmocka_unit_test(options_are_judged),
		cmocka_unit_test(captures),
		cmocka_unit_test(null_swallows),
		cmocka_unit_test(hub_takes_many),
		cmocka_unit_test(echo_takes_many),
		cmocka_unit_test(source_pours),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
