/* SPDX-License-Identifier: BSD-3-Clause */

/* Machine mode, every hart comes here; the first one stays. */
	.section .entry, "ax"
	.globl	_start
_start:
	csrr	t0, mhartid
	bnez	t0, park
	la	sp, stack_end
	la	t0, trap
	csrw	mtvec, t0
	la	a0, pages_start
	call	os_start
park:	wfi
	j	park

	.balign	4
trap:	csrr	a0, mcause
	csrr	a1, mepc
	csrr	a2, mtval
	la	sp, stack_end
	call	os_trap
