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
	la	t0, bss_start
	la	t1, bss_end
1:	bgeu	t0, t1, 2f
	sd	zero, 0(t0)
	addi	t0, t0, 8
	j	1b
2:	la	a0, pages_start
	call	os_start
park:	wfi
	j	park

	.balign	4
trap:	csrr	a0, mcause
	csrr	a1, mepc
	csrr	a2, mtval
	la	sp, stack_end
	call	os_trap
