#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# tests/hobby/run.sh BOARD TRANSPORT [OPTIONS]
#
# Boots guest/hobby with QEMU's own devices and looks at what it printed and at what it left on its disk.
#
# BOARD      pc q35 microvm riscv64 aarch64
# TRANSPORT  pci-modern pci-legacy pci-transitional, pci-port: modern, each behind a root port;
#            mmio-1 (legacy) mmio-2
# OPTIONS    of each device, as event_idx=off,indirect_desc=off; both are on unless told
#
# The kernels are built below $HOBBY_OUT (build/hobby). Exits 77 when a tool is absent, and says which.

set -u

root=$(cd "$(dirname "$0")/../.." && pwd)
here=$root/tests/hobby
out=${HOBBY_OUT:-$root/build/hobby}
if [ $# -lt 2 ] || [ $# -gt 3 ]; then
	sed -n '4,/^$/s/^# \{0,1\}//p' "$0" >&2
	exit 2
fi
board=$1 transport=$2 options=${3:-}

absent() {
	echo "$1 is absent"
	exit 77
}

fail() {
	echo "FAILED: $board $transport $options: $1"
	[ -f "${work:-}/serial" ] && sed 's/^/  guest: /' "$work/serial"
	[ -s "${work:-}/qemu" ] && sed 's/^/  qemu: /' "$work/qemu"
	exit 1
}

good_exit=0 interrupts=no
case $board in
pc | q35 | microvm)
	machine=x86_64
	good_exit=33
	arguments=(-M "$board" -device isa-debug-exit,iobase=0xf4,iosize=4)
	interrupts=yes
	# Without a BIOS that places the BARs the guest has to.
	[ "$board" = q35 ] && [ -f /usr/share/qemu/qboot.rom ] && [ "$transport" != pci-port ] &&
		arguments+=(-bios /usr/share/qemu/qboot.rom)
	;;
riscv64)
	machine=riscv64
	interrupts=yes
	arguments=(-M virt -bios none)
	;;
aarch64)
	machine=aarch64
	interrupts=yes
	arguments=(-M virt -cpu cortex-a53 -semihosting)
	;;
*)
	echo "no board '$board'; there are pc, q35, microvm, riscv64 and aarch64" >&2
	exit 2
	;;
esac

bus=pci more=
case $transport in
pci-modern) name=virtio-pci more=,disable-legacy=on,disable-modern=off ;;
pci-port) name=virtio-pci ;;
pci-transitional) name=virtio-pci more=,disable-legacy=off,disable-modern=off ;;
pci-legacy) name=virtio-pci-legacy more=,disable-legacy=off,disable-modern=on ;;
mmio-1) name=virtio-mmio-legacy bus=device ;;
mmio-2) name=virtio-mmio bus=device ;;
*)
	echo "no transport '$transport'; see tests/hobby/run.sh without arguments" >&2
	exit 2
	;;
esac
[ "$transport" = mmio-2 ] && arguments+=(-global virtio-mmio.force-legacy=false)
[ -n "$options" ] && more=$more,$options

qemu=qemu-system-$machine
command -v "$qemu" >/dev/null || absent "$qemu"
for tool in gcc ld; do
	command -v "$machine-linux-gnu-$tool" >/dev/null || absent "$machine-linux-gnu-$tool"
done

mkdir -p "$out"
log=$(flock "$out/lock" make -s -f "$root/guest/hobby/Makefile" BOARD="$board" OUT="$out" 2>&1) ||
	fail "it doesn't build: $log"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$here/disk.py" make "$work/disk" || fail "no disk image"

# A device of QEMU's: its name without the bus, then its properties.
ports=0
add() {
	local place=
	if [ "$transport" = pci-port ]; then
		ports=$((ports + 1))
		arguments+=(-device "pcie-root-port,id=port$ports,chassis=$ports,slot=$ports")
		place=,bus=port$ports
	fi
	arguments+=(-device "$1-$bus${2:-}$place$more")
}

expected="blk console ring rng"
arguments+=(-drive "if=none,id=disk,file=$work/disk,format=raw,discard=unmap")
add virtio-blk ,drive=disk,serial='hobby disk',discard=on,write-zeroes=on
add virtio-rng
# A line longer than one of the driver's buffers goes in, and comes back in capitals.
{ printf 'the quick brown fox %.0s' {1..50}; echo; } >"$work/console.in"
arguments+=(-chardev stdio,id=console,signal=off)
add virtio-serial
arguments+=(-device virtconsole,chardev=console)

timeout -k 2 30 "$qemu" -nodefaults -no-user-config -display none -no-reboot -accel tcg -m 128M \
	-serial "file:$work/serial" "${arguments[@]}" -kernel "$out/$board/hobby.elf" \
	<"$work/console.in" >"$work/console.out" 2>"$work/qemu"
status=$?
[ $status -eq 124 ] && fail "it didn't end within 30 s"
[ $status -eq $good_exit ] || fail "exit status $status, not $good_exit"
grep -q '^[0-9]* good, 0 bad$' "$work/serial" || fail "no last line that all is good"

[ $interrupts = no ] || grep -q '^[1-9][0-9]* interrupts, 0 lost$' "$work/serial" || fail "no interrupts"

# What of an option the ring has to show in its feature bits.
wanted() {
	case ,$options, in
	*,$1=off,*) echo 0 ;;
	*) echo 1 ;;
	esac
}

for device in $expected; do
	line=$(grep "^$device " "$work/serial") || fail "no line for $device"
	read -r _ shown features rest <<<"$line"
	[ "$shown" = $name ] || fail "$device was driven through $shown, not $name"
	[[ $rest == *" ok" ]] || fail "$line"
	[ $((0x$features >> 29 & 1)) -eq "$(wanted event_idx)" ] || fail "$device: event_idx is wrong"
	[ $((0x$features >> 28 & 1)) -eq "$(wanted indirect_desc)" ] || fail "$device: indirect_desc is wrong"
done
# QEMU offers RING_RESET with virtio-mmio, too, and doesn't have it there.
read -r _ _ features _ <<<"$(grep '^ring ' "$work/serial")"
if [ $bus = pci ] && [ $((0x$features >> 40 & 1)) -eq 1 ]; then
	grep -q '^ring: [1-9][0-9]* queue resets$' "$work/serial" || fail "no queue was reset"
fi
complaint=$("$here/disk.py" check "$work/disk") || fail "$complaint"
for _ in {1..20}; do tr a-z A-Z <"$work/console.in"; done | cmp - "$work/console.out" ||
	fail "the console's output isn't its input in capitals, 20 times"
cat "$work/serial"
