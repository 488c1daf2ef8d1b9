/* SPDX-License-Identifier: BSD-3-Clause */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/uinput.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <vireo/drivers/input.h>
#include <vireo/vhost_user_frontend.h>

/*
 * An input device of this system behind `vireo serve input`, from both ends: events go in by uinput and come
 * out of our driver, a light goes the other way.
 *
 *	evdev VIREO SOCKET
 */

#define SEEN_MAX   65536u
#define ANSWER_MS  20000
#define KEYS_FIRST KEY_Q
#define KEYS       8u

struct event {
	uint16_t type, code;
	int32_t value;
};

struct test {
	const char *vireo, *socket_path;
	int uinput;
	char node[64];
	pid_t daemon;
	struct vio_dev dev;
	struct vio_input input;
	bool bound;
	struct event seen[SEEN_MAX];
	unsigned seen_count;
};

static struct test test;

static void __attribute__((format(printf, 1, 2), noreturn)) fail(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
	if (test.daemon)
		kill(test.daemon, SIGKILL);
	exit(1);
}

static void pause_ms(unsigned ms)
{
	const struct timespec time = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };

	nanosleep(&time, NULL);
}

/* The device of this system. */

static void set_bits(unsigned long request, const unsigned *bits, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (ioctl(test.uinput, request, bits[i]))
			fail("uinput refuses bit %u: %s", bits[i], strerror(errno));
}

static void find_node(void)
{
	char name[32], path[80];
	struct dirent *entry;
	DIR *directory;

	if (ioctl(test.uinput, UI_GET_SYSNAME(sizeof(name)), name) < 0)
		fail("uinput doesn't say a name: %s", strerror(errno));
	snprintf(path, sizeof(path), "/sys/devices/virtual/input/%s", name);
	directory = opendir(path);
	while (directory && (entry = readdir(directory)))
		if (strncmp(entry->d_name, "event", 5) == 0)
			snprintf(test.node, sizeof(test.node), "/dev/input/%.20s", entry->d_name);
	if (directory)
		closedir(directory);
	if (!test.node[0])
		fail("no event device in %s", path);
	for (unsigned tries = 0; access(test.node, R_OK) && tries < 500; tries++)
		pause_ms(10);
}

static void create(const char *name)
{
	static const unsigned types[] = { EV_KEY, EV_REL, EV_ABS, EV_LED, EV_MSC },
			      relative[] = { REL_X, REL_Y, REL_WHEEL }, lights[] = { LED_CAPSL, LED_NUML },
			      misc[] = { MSC_SCAN };
	struct uinput_setup setup = { .id = { BUS_USB, 0x1234, 0x5678, 9 } };
	struct uinput_abs_setup axis = { .code = ABS_X, .absinfo = { 0, -100, 32767, 3, 5, 40 } };
	unsigned keys[KEYS + 1];

	for (unsigned i = 0; i < KEYS; i++)
		keys[i] = KEYS_FIRST + i;
	keys[KEYS] = BTN_LEFT;
	test.uinput = open("/dev/uinput", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (test.uinput < 0)
		fail("can't open /dev/uinput: %s", strerror(errno));
	set_bits(UI_SET_EVBIT, types, VIO_ARRAY_SIZE(types));
	set_bits(UI_SET_KEYBIT, keys, VIO_ARRAY_SIZE(keys));
	set_bits(UI_SET_RELBIT, relative, VIO_ARRAY_SIZE(relative));
	set_bits(UI_SET_LEDBIT, lights, VIO_ARRAY_SIZE(lights));
	set_bits(UI_SET_MSCBIT, misc, VIO_ARRAY_SIZE(misc));
	snprintf(setup.name, sizeof(setup.name), "%s", name);
	if (ioctl(test.uinput, UI_ABS_SETUP, &axis) || ioctl(test.uinput, UI_DEV_SETUP, &setup) ||
	    ioctl(test.uinput, UI_DEV_CREATE))
		fail("uinput refuses the device: %s", strerror(errno));
	find_node();
}

static void inject(uint16_t type, uint16_t code, int32_t value)
{
	const struct input_event event = { .type = type, .code = code, .value = value };

	if (write(test.uinput, &event, sizeof(event)) != sizeof(event))
		fail("uinput doesn't take an event: %s", strerror(errno));
}

/* Ours, and the driver. */

static void start_daemon(void)
{
	char at[128], path[80];

	snprintf(at, sizeof(at), "--socket-path=%s", test.socket_path);
	snprintf(path, sizeof(path), "path=%s", test.node);
	test.daemon = fork();
	if (test.daemon)
		return;
	execl(test.vireo, "vireo", "serve", "input", at, path, (char *)NULL);
	_exit(127);
}

static void came(struct vio_dev *dev, uint16_t type, uint16_t code, uint32_t value)
{
	if (test.seen_count == SEEN_MAX)
		fail("more than %u events", SEEN_MAX);
	test.seen[test.seen_count++] = (struct event){ type, code, (int32_t)value };
}

static void connect_driver(void)
{
	struct vio_vhost_user_frontend_options options = { .id = VIRTIO_ID_INPUT };
	struct vio_vhost_user_mistake mistake = { "" };
	int fd = -1;

	for (unsigned tries = 0; fd < 0 && tries < 1000; tries++) {
		fd = vio_vhost_user_frontend_connect(test.socket_path);
		if (fd < 0)
			pause_ms(10);
	}
	if (fd < 0 || vio_vhost_user_frontend_open(fd, &options, &test.dev, &mistake) ||
	    vio_driver_bind(&test.dev, &vio_input_driver, vio_vhost_user_frontend_platform(&test.dev),
			    &test.input))
		fail("the daemon doesn't answer: %s", mistake.text);
	test.input.event = came;
}

/* What comes until there have been so many events, or nothing more comes for a while. */
static void take(unsigned count)
{
	const struct vio_platform *platform = test.dev.platform;
	unsigned idle_ms = 0;

	while (test.seen_count < count && idle_ms < ANSWER_MS) {
		unsigned before = test.seen_count;

		platform->wait(platform->context, 50000000);
		if (vio_input_poll(&test.dev))
			fail("the driver is at its end: %s", vio_vhost_user_frontend_mistake(&test.dev));
		idle_ms = test.seen_count == before ? idle_ms + 50 : 0;
		if (count == SEEN_MAX && idle_ms > 1000)
			return;
	}
	if (test.seen_count < count)
		fail("%u events of %u came", test.seen_count, count);
}

static void expect(unsigned at, uint16_t type, uint16_t code, int32_t value)
{
	const struct event *event = &test.seen[at];

	if (event->type != type || event->code != code || event->value != value)
		fail("event %u is %u %u %d, not %u %u %d", at, event->type, event->code, event->value, type,
		     code, value);
}

/* The cases. */

static void check_description(const char *name)
{
	uint8_t said[VIRTIO_INPUT_CFG_BYTES] = { 0 };
	vio_le32 axis[5]; /* least, most, fuzz, flat, resolution */
	vio_le16 ids[4];  /* bus, vendor, product, version */
	uint32_t got;

	if (vio_input_query(&test.dev, VIRTIO_INPUT_CFG_ID_NAME, 0, said, sizeof(said), &got) ||
	    got != strlen(name) || memcmp(said, name, got))
		fail("the name is '%.*s'", (int)got, (char *)said);
	if (vio_input_query(&test.dev, VIRTIO_INPUT_CFG_ID_DEVIDS, 0, ids, sizeof(ids), &got) ||
	    got != sizeof(ids) || vio_le16_get(ids[1]) != 0x1234 || vio_le16_get(ids[2]) != 0x5678)
		fail("the ids aren't those of the device");
	if (vio_input_query(&test.dev, VIRTIO_INPUT_CFG_ABS_INFO, ABS_X, axis, sizeof(axis), &got) ||
	    got != sizeof(axis) || (int32_t)vio_le32_get(axis[0]) != -100 || vio_le32_get(axis[1]) != 32767 ||
	    vio_le32_get(axis[2]) != 3 || vio_le32_get(axis[3]) != 5 || vio_le32_get(axis[4]) != 40)
		fail("the axis isn't the device's");
	memset(said, 0, sizeof(said));
	if (vio_input_query(&test.dev, VIRTIO_INPUT_CFG_EV_BITS, EV_KEY, said, sizeof(said), &got) ||
	    said[KEYS_FIRST / 8] != 0xff || said[BTN_LEFT / 8] != 1u << BTN_LEFT % 8)
		fail("the keys aren't the device's");
	memset(said, 0, sizeof(said));
	if (vio_input_query(&test.dev, VIRTIO_INPUT_CFG_EV_BITS, EV_LED, said, sizeof(said), &got) ||
	    said[0] != (1u << LED_CAPSL | 1u << LED_NUML))
		fail("the lights aren't the device's");
}

/* Many of all sorts; each comes, in order, once. The kernel's buffer for us holds some 64 sequences. */
static void check_order(void)
{
	unsigned injected = 0;

	test.seen_count = 0;
	for (unsigned round = 0; round < 600; round++) {
		int32_t down = 1 - (int32_t)(round / KEYS % 2);

		inject(EV_MSC, MSC_SCAN, (int32_t)round);
		inject(EV_KEY, (uint16_t)(KEYS_FIRST + round % KEYS), down);
		inject(EV_SYN, SYN_REPORT, 0);
		inject(EV_REL, REL_X, 1 + (int32_t)round % 5);
		inject(EV_REL, REL_Y, -3);
		inject(EV_ABS, ABS_X, 1000 + 50 * (int32_t)round);
		inject(EV_SYN, SYN_REPORT, 0);
		injected += 7;
		if (round % 10 == 9)
			take(injected);
	}
	for (unsigned round = 0; round < 600; round++) {
		expect(round * 7, EV_MSC, MSC_SCAN, (int32_t)round);
		expect(round * 7 + 1, EV_KEY, (uint16_t)(KEYS_FIRST + round % KEYS),
		       1 - (int32_t)(round / KEYS % 2));
		expect(round * 7 + 2, EV_SYN, SYN_REPORT, 0);
		expect(round * 7 + 3, EV_REL, REL_X, 1 + (int32_t)round % 5);
		expect(round * 7 + 4, EV_REL, REL_Y, -3);
		expect(round * 7 + 5, EV_ABS, ABS_X, 1000 + 50 * (int32_t)round);
		expect(round * 7 + 6, EV_SYN, SYN_REPORT, 0);
	}
	printf("%u events in order\n", injected);
}

/* A light, of which the device hears. */
static void check_light(uint16_t code, int32_t value)
{
	struct pollfd ready = { .fd = test.uinput, .events = POLLIN };
	struct input_event event = { .type = EV_MAX };
	int error = vio_input_set(&test.dev, EV_LED, code, (uint32_t)value);

	if (error)
		fail("the device didn't take the light %u: %d", code, error);
	while (event.type != EV_LED)
		if (poll(&ready, 1, ANSWER_MS) != 1 || read(test.uinput, &event, sizeof(event)) < 0)
			fail("the light %u didn't reach the device", code);
	if (event.code != code || event.value != value)
		fail("the device heard of light %u %d, not %u %d", event.code, event.value, code, value);
}

/* Follows what came to what the keys are; how many times it was told that events are lost. */
static unsigned follow(uint8_t *keys)
{
	unsigned dropped = 0;

	for (unsigned i = 0; i < test.seen_count; i++) {
		const struct event *event = &test.seen[i];

		if (event->type == EV_KEY && event->code >= KEYS_FIRST && event->code < KEYS_FIRST + KEYS)
			keys[event->code - KEYS_FIRST] = (uint8_t)event->value;
		dropped += event->type == EV_SYN && event->code == SYN_DROPPED;
	}
	if (!test.seen_count || test.seen[test.seen_count - 1].type != EV_SYN)
		fail("the last of %u events ends no sequence", test.seen_count);
	return dropped;
}

/* More than anybody keeps: the driver hears of it, and in the end knows what is pressed. */
static void check_overflow(bool stop_daemon)
{
	uint8_t keys[KEYS] = { 0 }, truth[KEYS] = { 0 };
	unsigned dropped;

	for (unsigned i = 0; i < KEYS; i++) {
		inject(EV_KEY, (uint16_t)(KEYS_FIRST + i), 0);
		inject(EV_SYN, SYN_REPORT, 0);
	}
	take(SEEN_MAX);
	test.seen_count = 0;
	if (stop_daemon)
		kill(test.daemon, SIGSTOP);
	for (unsigned round = 0; round < 3001; round++) {
		unsigned key = round * 5 % KEYS;

		truth[key] ^= 1;
		inject(EV_KEY, (uint16_t)(KEYS_FIRST + key), truth[key]);
		inject(EV_SYN, SYN_REPORT, 0);
		/* Slow enough for the daemon, which has to keep what the driver doesn't take. */
		if (!stop_daemon && round % 16 == 15)
			pause_ms(10);
	}
	if (stop_daemon)
		kill(test.daemon, SIGCONT);
	take(SEEN_MAX);
	dropped = follow(keys);
	if (memcmp(keys, truth, KEYS))
		fail("after an overflow the keys aren't what they are");
	if (!stop_daemon && !dropped)
		fail("nobody said that events were lost");
	printf("%s overflowed: %u events came, %u times lost some\n", stop_daemon ? "evdev" : "the device",
	       test.seen_count, dropped);
}

/* Nobody else has the events of a device that is grabbed. */
static void check_grab(void)
{
	int fd = open(test.node, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct pollfd ready = { .fd = fd, .events = POLLIN };

	test.seen_count = 0;
	inject(EV_REL, REL_X, 1);
	inject(EV_SYN, SYN_REPORT, 0);
	take(2);
	if (fd < 0 || poll(&ready, 1, 200) != 0)
		fail("somebody else has the events, too");
	close(fd);
}

/* The device is pulled out: the daemon goes on, and takes a light that goes nowhere. */
static void check_removal(void)
{
	int status;

	ioctl(test.uinput, UI_DEV_DESTROY);
	pause_ms(500);
	if (vio_input_set(&test.dev, EV_LED, LED_CAPSL, 1))
		fail("a light without a device isn't taken");
	if (waitpid(test.daemon, &status, WNOHANG))
		fail("the daemon ended with the device");
	vio_dev_close(&test.dev);
	kill(test.daemon, SIGTERM);
	if (waitpid(test.daemon, &status, 0) != test.daemon || status)
		fail("the daemon ended with %d", status);
}

int main(int argc, char **argv)
{
	static const char name[] = "a keyboard of uinput";

	if (argc != 3) {
		fputs("usage: evdev VIREO SOCKET\n", stderr);
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	test.vireo = argv[1];
	test.socket_path = argv[2];
	create(name);
	start_daemon();
	connect_driver();
	check_description(name);
	check_order();
	check_light(LED_CAPSL, 1);
	check_light(LED_NUML, 1);
	check_light(LED_CAPSL, 0);
	check_grab();
	check_overflow(false);
	check_overflow(true);
	check_removal();
	puts("good");
	return 0;
}
