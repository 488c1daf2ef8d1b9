/* SPDX-License-Identifier: BSD-3-Clause */

/* Entered with 64 bits and interrupts off, which are on in listen_to() alone. */
	.section .entry, "ax"
	.globl	_start
_start:
	larl	%r15, stack_end - 160
	larl	%r1, controls
	lctlg	%c0, %c6, 0(%r1)
	mvc	0x1b0(16), 56(%r1)
	mvc	0x1d0(16), 72(%r1)
	mvc	0x1f0(16), 88(%r1)
	larl	%r2, pages_start
	brasl	%r14, os_start

/*
 * Loads a program status word with the mask in r2, and goes on where that or an interrupt leads: all
 * registers are as they were.
 */
	.globl	listen_to
listen_to:
	stg	%r2, 128(%r15)		/* in what the caller has set aside for registers */
	larl	%r1, nothing
	stg	%r1, 136(%r15)
	lpswe	128(%r15)
nothing:
	stnsm	128(%r15), 0xfc		/* both kinds off again */
external:
	lghi	%r2, 0
	br	%r14
io:
	lghi	%r2, 1
	br	%r14
program:
	llgh	%r2, 0x8e
	lg	%r3, 0x158
	lg	%r4, 0xa8
	brasl	%r14, os_trap

	.data
	.balign	8
controls:
	.quad	0xa00, 0, 0, 0, 0, 0, 0xff000000	/* clock comparator, service signal; all I/O */
	.quad	0x180000000, external, 0x180000000, program, 0x180000000, io

	.globl	lowcore
	.set	lowcore, 0
