/* SPDX-License-Identifier: BSD-3-Clause */
#include "x86_64.h"

#define UART        0x3f8u
#define EXIT        0xf4u /* -device isa-debug-exit,iobase=0xf4,iosize=4 */
#define EXIT_GOOD   0x10u /* QEMU ends with twice that and one */
#define EXIT_BAD    0x11u
#define PIT_COUNT   0x40u
#define PIT_COMMAND 0x43u
#define PIT_HZ      1193182u
#define PIT_WINDOW  12000u /* about 10 ms */

uint32_t x86_port_read(void *context, uint32_t port, unsigned width)
{
	uint32_t value = 0;

	if (width == 1)
		__asm__ volatile("inb %w1, %b0" : "+a"(value) : "Nd"(port) : "memory");
	else if (width == 2)
		__asm__ volatile("inw %w1, %w0" : "+a"(value) : "Nd"(port) : "memory");
	else
		__asm__ volatile("inl %w1, %0" : "+a"(value) : "Nd"(port) : "memory");
	return value;
}

void x86_port_write(void *context, uint32_t port, unsigned width, uint32_t value)
{
	if (width == 1)
		__asm__ volatile("outb %b0, %w1" : : "a"(value), "Nd"(port) : "memory");
	else if (width == 2)
		__asm__ volatile("outw %w0, %w1" : : "a"(value), "Nd"(port) : "memory");
	else
		__asm__ volatile("outl %0, %w1" : : "a"(value), "Nd"(port) : "memory");
}

static unsigned pit_count(void)
{
	unsigned count;

	x86_port_write(NULL, PIT_COMMAND, 1, 0); /* latch counter 0 */
	count = x86_port_read(NULL, PIT_COUNT, 1);
	return count | x86_port_read(NULL, PIT_COUNT, 1) << 8;
}

/* Counts both clocks for a while. The timer goes down from 65536. */
uint64_t x86_ticks_per_second(void)
{
	unsigned passed = 0, before, now;
	uint64_t since;

	x86_port_write(NULL, PIT_COMMAND, 1, 0x34);
	x86_port_write(NULL, PIT_COUNT, 1, 0);
	x86_port_write(NULL, PIT_COUNT, 1, 0);
	before = pit_count();
	since = board_ticks();
	while (passed < PIT_WINDOW) {
		now = pit_count();
		passed += (before - now) & 0xffff;
		before = now;
	}
	return (board_ticks() - since) * PIT_HZ / passed;
}

void board_put(char character)
{
	while (!(x86_port_read(NULL, UART + 5, 1) & 0x20))
		continue;
	x86_port_write(NULL, UART, 1, (uint8_t)character);
}

uint64_t board_ticks(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

void board_exit(int failed)
{
	x86_port_write(NULL, EXIT, 4, failed ? EXIT_BAD : EXIT_GOOD);
	for (;;)
		__asm__ volatile("hlt");
}
