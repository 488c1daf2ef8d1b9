/* SPDX-License-Identifier: BSD-3-Clause */
#include "os.h"

/* QEMU's `virt`, without firmware: -M virt -bios none. */

#define UART      0x10000000u /* 16550 */
#define FINISHER  0x100000u   /* ends the machine */
#define MMIO      0x10001000u
#define ECAM      0x30000000u
#define PCI_PORTS 0x03000000u /* 64 KiB of ports, as memory */
#define CLOCK_HZ  10000000u
#define ALARM     0x02004000u /* of the clock, hart 0 */

/* The interrupt controller, for hart 0 in machine mode. */
#define PLIC         0x0c000000u
#define PLIC_ENABLE  (PLIC + 0x2000)
#define PLIC_LEAST   (PLIC + 0x200000)
#define PLIC_CLAIM   (PLIC + 0x200004)
#define MIE_TIMER    0x80ul
#define MIE_EXTERNAL 0x800ul

void board_describe(struct board *board)
{
	*board = (struct board){
		.name = "riscv64 virt",
		.ticks_per_second = CLOCK_HZ,
		.mmio_base = MMIO,
		.mmio_bytes = 0x1000,
		.mmio_count = 8,
		.has_pci = true,
		.pci = board_ports_as_memory(PCI_PORTS, ECAM),
		.windows = { 0x40000000, 0x80000000, 0x1000, 0x10000 },
		.has_interrupts = true,
		.mmio_interrupt = 1,
		.pci_interrupt = 32,
	};
	*(volatile uint32_t *)PLIC_LEAST = 0;
	__asm__ volatile("csrw mie, %0" : : "r"(MIE_TIMER | MIE_EXTERNAL));
}

void board_put(char character)
{
	while (!(*(volatile uint8_t *)(UART + 5) & 0x20))
		continue;
	*(volatile uint8_t *)UART = (uint8_t)character;
}

uint64_t board_ticks(void)
{
	uint64_t ticks;

	__asm__ volatile("rdtime %0" : "=r"(ticks));
	return ticks;
}

void board_exit(int failed)
{
	*(volatile uint32_t *)FINISHER = failed ? 0x13333 : 0x5555;
	for (;;)
		continue;
}

void board_interrupt_enable(int number)
{
	((volatile uint32_t *)PLIC)[number] = 1; /* priority */
	((volatile uint32_t *)PLIC_ENABLE)[number / 32] |= UINT32_C(1) << number % 32;
}

/* Sleeping ends with what would interrupt if interrupts were on; they never are. */
void board_sleep(uint64_t ticks)
{
	*(volatile uint64_t *)ALARM = board_ticks() + ticks;
	__asm__ volatile("wfi" ::: "memory");
}

int board_interrupt_take(void)
{
	uint32_t number = *(volatile uint32_t *)PLIC_CLAIM;

	return number ? (int)number : -1;
}

void board_interrupt_done(int number)
{
	*(volatile uint32_t *)PLIC_CLAIM = (uint32_t)number;
}
