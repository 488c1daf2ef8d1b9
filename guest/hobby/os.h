/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HOBBY_OS_H
#define HOBBY_OS_H

#include <vireo/ccw.h>
#include <vireo/driver.h>
#include <vireo/mmio.h>
#include <vireo/pci.h>

/*
 * An operating system as small as one can be that drives virtio devices: it owns the
 * machine, runs one program (main.c) and powers off.
 *
 *   boards/   what differs between machines: entry, console, clock, where devices are
 *   os.c      console output, pages of memory, the table of devices found
 *   interrupts.c  from the board's interrupts to the drivers
 *   platform.c  the six functions that Vireo asks of an operating system
 *   main.c    uses every device that it has a driver for
 *
 * Memory is mapped one to one and there is one processor: a pointer is a bus address.
 */

#define OS_PAGE_BYTES  4096u
#define OS_PAGES       2048u
#define OS_DEVICES_MAX 16u

/* What a board says about itself. */
struct board {
	const char *name;
	uint64_t ticks_per_second; /* of board_ticks() */
	uintptr_t mmio_base;       /* of the first virtio-mmio window */
	uint32_t mmio_bytes;       /* from one window to the next */
	unsigned mmio_count;
	bool has_pci;
	bool has_firmware; /* that has numbered the buses */
	struct vio_pci_access pci;
	struct vio_pci_windows windows;
	unsigned subchannels; /* of channel I/O */
	/* Enables one and says how it is reached: all but the area. -VIO_ENOENT: nothing there. */
	int (*subchannel)(const struct board *board, unsigned number, struct vio_ccw_driver_config *config);
	/* Interrupts have numbers of the board's. Without any of these, drivers poll. */
	bool has_interrupts;
	int mmio_interrupt; /* of the first window, the others follow */
	int pci_interrupt;  /* of pin A at device 0; four in turn */
	int pci_line;       /* or of line 0, where firmware told each function its line */
	int first_message;  /* where messages have numbers of their own */
	unsigned messages;
	bool messages_are_all;    /* as an adapter interrupt is: every device may have meant it */
	uint64_t message_address; /* a message's data is its number */
};

/* Each board defines these. */
void board_describe(struct board *board);
void board_put(char character);
uint64_t board_ticks(void);
_Noreturn void board_exit(int failed);

/* Those of boards with interrupts. Nothing happens behind the back of the program: they wait to be taken. */
void board_interrupt_enable(int number);
void board_sleep(uint64_t ticks); /* until there is one to be taken, for so many ticks at most, or less */
int board_interrupt_take(void);   /* -1: none */
void board_interrupt_done(int number);

/* For those whose ports are memory: how PCI is reached. */
struct vio_pci_access board_ports_as_memory(uintptr_t ports, uint64_t ecam);

struct os_device {
	struct vio_dev dev;
	union {
		struct vio_mmio_driver mmio;
		struct vio_pci_driver pci;
		struct vio_ccw_driver ccw;
	} transport;
	int interrupt; /* of its line; -1: none */
	int first_message;
};

struct os {
	struct board board;
	struct vio_platform platform;
	uint8_t *pages; /* OS_PAGES of them */
	bool page_taken[OS_PAGES];
	unsigned pages_taken;
	unsigned shared; /* buffers that devices may touch now */
	struct os_device devices[OS_DEVICES_MAX];
	unsigned device_count;
	unsigned complaints; /* of os_find_devices() */
	unsigned messages_used;
	unsigned lines, messages, interrupts_lost; /* that came, and that didn't */
};

/* Where each board's entry goes, with the OS_PAGES pages behind its image. */
_Noreturn void os_start(void *memory);
/* Where boards go when something went wrong in this program: why, where, at what, as the machine says it. */
_Noreturn void os_trap(unsigned long cause, unsigned long at, unsigned long value);

/* Understands %s %u %d %x, l before the last three, and a width: spaces behind, for %x zeros before. */
void os_print(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same behind the text in `size` bytes, as far as it fits. */
void os_append(char *text, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));

uint64_t os_now_ns(const struct os *os);

/* `bytes` in whole, zeroed pages; NULL when there is no such run. */
void *os_pages_take(struct os *os, size_t bytes);
void os_pages_give_back(struct os *os, void *memory, size_t bytes);

/* platform.c */
void os_platform_init(struct os *os);

/* interrupts.c */

/* Sleeps until an interrupt comes or the time is over, and hands what came to the drivers. */
void os_wait(struct os *os, uint64_t timeout_ns);
void os_interrupt_line(struct os *os, struct os_device *device, int number);
/* The pin of a function as the board knows it. */
int os_pci_interrupt(const struct os *os, const struct vio_pci_function *function);
/* struct vio_pci_messages.vector: the next message of the board. */
int os_message(void *context, unsigned vector, uint64_t *address, uint32_t *data);

/* Fills the table of devices from the board's windows, its PCI bus and its subchannels. */
void os_find_devices(struct os *os);
/* Lets go of all of them; how many refused. */
unsigned os_close_devices(struct os *os);

/* main.c; 0 when everything worked. */
int os_main(struct os *os);

#endif
