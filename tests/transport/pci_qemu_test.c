/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <vireo/driver.h>
#include <vireo/pci.h>

/*
 * The driver's half of PCI against QEMU's devices: modern, transitional and legacy, behind bridges, by
 * messages and by the line. QEMU's processor sleeps; its qtest protocol makes our accesses, and its memory
 * is a file that we map, too. No firmware runs: we assign the bus.
 */
#define RAM_BYTES    (64u << 20)
#define FREE         (1u << 20) /* from here on memory is given out */
#define BUFFER       0x10000u
#define MESSAGES     0x5000u /* a message is a write to memory: here it can be seen */
#define ROM_BYTES    0x10000u
#define RESET_VECTOR (ROM_BYTES - 16)

struct machine {
	uint8_t *ram;
	size_t next;
	int memory_fd, rom_fd;
	char memory_path[64], rom_path[64];
	pid_t pid;
	FILE *to, *from;
	struct vio_pci_access access;
	unsigned vectors, met;
	bool modern[8], legacy[8]; /* by type, what was driven */
};

static struct machine machine;

static unsigned long long ask(struct machine *m, const char *format, ...)
{
	char line[256] = "";
	va_list arguments;

	va_start(arguments, format);
	vfprintf(m->to, format, arguments);
	va_end(arguments);
	fputc('\n', m->to);
	fflush(m->to);
	while (strncmp(line, "OK", 2)) /* in between it tells of interrupts */
		if (!fgets(line, sizeof(line), m->from) || !strncmp(line, "FAIL", 4) ||
		    !strncmp(line, "ERR", 3))
			fail_msg("QEMU: %s", line);
	return strtoull(line + 2, NULL, 0);
}

static char letter(unsigned width)
{
	return width == 1 ? 'b' : width == 2 ? 'w' : 'l';
}

static uint32_t port_read(void *context, uint32_t port, unsigned width)
{
	return (uint32_t)ask(context, "in%c 0x%x", letter(width), port);
}

static void port_write(void *context, uint32_t port, unsigned width, uint32_t value)
{
	ask(context, "out%c 0x%x 0x%x", letter(width), port, value);
}

static uint32_t memory_read(void *context, uint64_t address, unsigned width)
{
	return (uint32_t)ask(context, "read%c 0x%llx", letter(width), (unsigned long long)address);
}

static void memory_write(void *context, uint64_t address, unsigned width, uint32_t value)
{
	ask(context, "write%c 0x%llx 0x%x", letter(width), (unsigned long long)address, value);
}

static int take(void *context, size_t bytes, unsigned rights, struct vio_shared *memory)
{
	struct machine *m = context;

	*memory = (struct vio_shared){ m->ram + m->next, vio_addr_make(m->next) };
	memset(memory->host, 0, bytes);
	m->next += (bytes + 4095) / 4096 * 4096;
	return m->next <= RAM_BYTES ? 0 : -VIO_ENOMEM;
}

static void give_back(void *context, const struct vio_shared *memory, size_t bytes)
{
}

static uint64_t now_ns(void *context)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void wait_ns(void *context, uint64_t timeout_ns)
{
	usleep(200);
}

static int vector(void *context, unsigned which, uint64_t *address, uint32_t *data)
{
	*address = MESSAGES + 4 * which;
	*data = which + 1;
	return 0;
}

/* A file without a name, for QEMU under /proc. */
static int make_file(size_t bytes, char path[64])
{
	int fd = memfd_create("vireo-test", 0);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	snprintf(path, 64, "/proc/self/fd/%d", fd);
	return fd;
}

static void start(struct machine *m)
{
	static const uint8_t sleep_code[] = { 0xfa, 0xf4, 0xeb, 0xfd }; /* cli; hlt; again */
	char backend[128];
	int in[2], out[2];

	memset(m, 0, sizeof(*m));
	m->next = FREE;
	m->memory_fd = make_file(RAM_BYTES, m->memory_path);
	m->rom_fd = make_file(ROM_BYTES, m->rom_path);
	assert_int_equal(pwrite(m->rom_fd, sleep_code, sizeof(sleep_code), RESET_VECTOR), sizeof(sleep_code));
	m->ram = mmap(NULL, RAM_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, m->memory_fd, 0);
	assert_ptr_not_equal(m->ram, MAP_FAILED);
	snprintf(backend, sizeof(backend), "memory-backend-file,id=m,size=64M,share=on,mem-path=%s",
		 m->memory_path);
	assert_int_equal(pipe(in) | pipe(out), 0);
	m->pid = fork();
	if (!m->pid) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		close(in[1]);
		close(out[0]);
		dup2(open("/dev/null", O_WRONLY), 2);
		execlp("qemu-system-x86_64", "qemu-system-x86_64", "-M", "q35,memory-backend=m", "-m", "64M",
		       "-object", backend, "-accel", "tcg", "-bios", m->rom_path, "-qtest", "stdio",
		       "-nodefaults", "-no-user-config", "-display", "none",                    /* */
		       "-blockdev", "null-co,node-name=d,size=1048576,read-zeroes=on",          /* */
		       "-device", "virtio-rng-pci,addr=3,disable-legacy=on",                    /* */
		       "-device", "virtio-rng-pci,addr=4,disable-legacy=off,disable-modern=on", /* */
		       "-device", "virtio-rng-pci,addr=5,modern-pio-notify=on,page-per-vq=on",  /* */
		       "-device", "pcie-pci-bridge,id=outer,addr=6",                            /* */
		       "-device", "pci-bridge,id=inner,bus=outer,addr=3,chassis_nr=2",          /* */
		       "-device", "virtio-blk-pci,bus=inner,addr=1,drive=d,share-rw=on",        /* */
		       "-device", "virtio-rng-pci,bus=inner,addr=2,disable-legacy=off,disable-modern=on",
		       NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	m->to = fdopen(in[1], "w");
	m->from = fdopen(out[0], "r");
	m->access = (struct vio_pci_access){ .context = m,
					     .memory_read = memory_read,
					     .memory_write = memory_write,
					     .port_read = port_read,
					     .port_write = port_write };
}

/* Whatever became of the test. */
static int stop(void **state)
{
	struct machine *m = &machine;

	if (m->pid <= 0)
		return 0;
	kill(m->pid, SIGTERM);
	waitpid(m->pid, NULL, 0);
	fclose(m->to);
	fclose(m->from);
	munmap(m->ram, RAM_BYTES);
	close(m->memory_fd);
	close(m->rom_fd);
	m->pid = 0;
	return 0;
}

static void used(struct vio_dev *dev, struct vio_drvq *q)
{
}

/* Some bytes of the entropy device, or a sector of the disk. */
static void request(struct machine *m, struct vio_dev *dev, struct vio_drvq *q)
{
	uint8_t *buffer = m->ram + BUFFER;
	struct vio_sg sg[3] = { { vio_addr_make(BUFFER), 64 } };
	bool disk = dev->id == VIRTIO_ID_BLOCK;
	uint32_t written = 0;

	memset(buffer, disk ? 0xee : 0, 0x1000);
	if (disk) {
		memset(buffer, 0, 16); /* VIRTIO_BLK_T_IN, sector 0 */
		sg[0].length = 16;
		sg[1] = (struct vio_sg){ vio_addr_make(BUFFER + 0x100), 512 };
		sg[2] = (struct vio_sg){ vio_addr_make(BUFFER + 0x400), 1 };
	}
	assert_int_equal(vio_drvq_add(q, sg, disk, disk ? 2 : 1, buffer), 0);
	vio_drvq_kick(q);
	assert_int_equal(vio_dev_wait(dev, q, UINT64_C(10000000000)), 0);
	assert_ptr_equal(vio_drvq_get(q, &written), buffer);
	if (disk) {
		assert_int_equal(written, 513);
		assert_int_equal(buffer[0x400], 0);
		assert_int_equal(buffer[0x100] | buffer[0x2ff], 0);
	} else {
		assert_in_range(written, 1, 64);
		assert_int_not_equal(buffer[0] | buffer[1] | buffer[2] | buffer[3], 0);
	}
}

static void live(struct machine *m, struct vio_dev *dev)
{
	const struct vio_queue_wish wish = { .size = 16, .indirect_max = 4, .used = used };
	const struct vio_pci_driver *pci = dev->transport_context;
	struct vio_features wanted = vio_dev_ring_features();
	struct vio_dev_queue queue;
	uint64_t capacity = 0;
	struct vio_drvq *q;
	uint32_t message;

	memset(m->ram + MESSAGES, 0, 64);
	assert_int_equal(vio_dev_begin(dev, &queue, 1), 0);
	assert_int_equal(vio_dev_accept(dev, &wanted), 0);
	assert_true(vio_dev_has_feature(dev, VIRTIO_F_EVENT_IDX));
	assert_int_equal(vio_dev_add_queue(dev, 0, &wish, &q), 0);
	assert_int_equal(vio_dev_ready(dev), 0);
	if (dev->id == VIRTIO_ID_BLOCK) {
		assert_int_equal(vio_dev_read_config64(dev, 0, &capacity), 0);
		assert_int_equal(capacity, 2048);
	}
	for (unsigned round = 0; round < 40; round++) /* more than the ring holds */
		request(m, dev, q);
	memcpy(&message, m->ram + MESSAGES + 4, 4);
	assert_int_equal(message, pci->vectors ? 2 : 0);
	if (!pci->vectors)
		assert_int_equal(vio_dev_interrupt(dev), VIO_INTERRUPT_QUEUE);
	if (vio_dev_has_feature(dev, VIRTIO_F_RING_RESET)) {
		assert_int_equal(vio_dev_reset_queue(dev, 0), 0);
		assert_int_equal(vio_dev_reenable_queue(dev, 0), 0);
		request(m, dev, q);
	}
	assert_int_equal(vio_dev_end(dev), 0);
}

static int on_found(void *context, const struct vio_pci_function *function)
{
	struct machine *m = context;
	const struct vio_pci_messages messages = { m, m->vectors, vector };
	const struct vio_platform platform = {
		.context = m, .take = take, .give_back = give_back, .now_ns = now_ns, .wait = wait_ns
	};
	struct vio_pci_driver pci;
	struct vio_dev dev;
	int error = vio_pci_driver_probe(&pci, &m->access, function->address, NULL, &messages, &dev);

	if (error == -VIO_ENOENT)
		return 0;
	assert_int_equal(error, 0);
	assert_int_equal(pci.vectors != 0, m->vectors != 0);
	dev.platform = &platform;
	live(m, &dev);
	live(m, &dev);
	assert_int_equal(vio_dev_close(&dev), 0);
	m->met++;
	(dev.legacy ? m->legacy : m->modern)[dev.id] = true;
	return 0;
}

static void drive_all(unsigned vectors)
{
	struct vio_pci_windows windows = { 0xe0000000, 0xf0000000, 0x2000, 0x10000 };
	struct machine *m = &machine;

	if (system("qemu-system-x86_64 --version >/dev/null 2>&1")) {
		print_message("# no qemu-system-x86_64\n");
		skip();
	}
	start(m);
	m->vectors = vectors;
	assert_int_equal(vio_pci_assign(&m->access, 0, &windows), 0);
	assert_int_equal(vio_pci_scan(&m->access, 0, m, on_found), 0);
	assert_int_equal(m->met, 5);
	assert_true(m->modern[VIRTIO_ID_RNG] && m->legacy[VIRTIO_ID_RNG] && m->modern[VIRTIO_ID_BLOCK]);
}

static void drives_them_by_the_line(void **state)
{
	drive_all(0);
}

static void drives_them_by_messages(void **state)
{
	drive_all(3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(drives_them_by_the_line, stop),
		cmocka_unit_test_teardown(drives_them_by_messages, stop),
	};

	return cmocka_run_group_tests_name("transport-pci-qemu", tests, NULL, NULL);
}
