/* SPDX-License-Identifier: BSD-3-Clause */
#include "os.h"

/* QEMU's `virt`: -M virt -cpu cortex-a53 -semihosting. */

#define UART      0x09000000u /* PL011 */
#define UART_FULL 0x20u
#define MMIO      0x0a000000u
#define ECAM      UINT64_C(0x4010000000)
#define PCI_PORTS 0x3eff0000u /* 64 KiB of ports, as memory */

/* The interrupt controller, version 2. */
#define GICD  0x08000000u
#define GICC  0x08010000u
#define GICM  0x08020000u /* takes messages */
#define ALARM 27          /* of the virtual timer */

void board_describe(struct board *board)
{
	uint64_t hz;

	__asm__ volatile("mrs %0, cntfrq_el0" : "=r"(hz));
	*board = (struct board){
		.name = "aarch64 virt",
		.ticks_per_second = hz,
		.mmio_base = MMIO,
		.mmio_bytes = 0x200,
		.mmio_count = 32,
		.has_pci = true,
		.pci = board_ports_as_memory(PCI_PORTS, ECAM),
		.windows = { 0x10000000, 0x3eff0000, 0x1000, 0x10000 },
		.has_interrupts = true,
		.mmio_interrupt = 48,
		.pci_interrupt = 35,
		.first_message = 80,
		.messages = 64,
		.message_address = GICM + 0x40,
	};
	*(volatile uint32_t *)GICD = 1;
	*(volatile uint32_t *)(GICC + 4) = 0xff; /* any priority */
	*(volatile uint32_t *)GICC = 1;
	board_interrupt_enable(ALARM);
}

void board_put(char character)
{
	while (*(volatile uint32_t *)(UART + 0x18) & UART_FULL)
		continue;
	*(volatile uint32_t *)UART = (uint8_t)character;
}

uint64_t board_ticks(void)
{
	uint64_t ticks;

	__asm__ volatile("isb; mrs %0, cntvct_el0" : "=r"(ticks) : : "memory");
	return ticks;
}

void board_interrupt_enable(int number)
{
	((volatile uint8_t *)(GICD + 0x800))[number] = 1; /* to this processor */
	if (number >= 80)                                 /* a message, which comes and goes */
		((volatile uint32_t *)(GICD + 0xc00))[number / 16] |= UINT32_C(2) << number % 16 * 2;
	((volatile uint32_t *)(GICD + 0x100))[number / 32] = UINT32_C(1) << number % 32;
}

/* Sleeping ends with what would interrupt if interrupts were on; they never are. */
void board_sleep(uint64_t ticks)
{
	__asm__ volatile("msr cntv_cval_el0, %0" : : "r"(board_ticks() + ticks));
	__asm__ volatile("msr cntv_ctl_el0, %0; isb; dsb sy; wfi" : : "r"(UINT64_C(1)) : "memory");
	__asm__ volatile("msr cntv_ctl_el0, %0; isb" : : "r"(UINT64_C(0)) : "memory");
}

int board_interrupt_take(void)
{
	uint32_t number = *(volatile uint32_t *)(GICC + 0xc) & 0x3ff;

	if (number == ALARM) { /* was for us to wake up */
		board_interrupt_done(ALARM);
		number = *(volatile uint32_t *)(GICC + 0xc) & 0x3ff;
	}
	return number < 1020 ? (int)number : -1;
}

void board_interrupt_done(int number)
{
	*(volatile uint32_t *)(GICC + 0x10) = (uint32_t)number;
}

/* Semihosting's SYS_EXIT takes a status; the firmware's power-off doesn't. */
void board_exit(int failed)
{
	const uint64_t why[2] = { 0x20026, failed ? 1 : 0 };
	register uint64_t operation __asm__("x0") = 0x18;
	register const uint64_t *block __asm__("x1") = why;

	__asm__ volatile("hlt #0xf000" : "+r"(operation) : "r"(block), "m"(why));
	for (;;)
		__asm__ volatile("wfi");
}
