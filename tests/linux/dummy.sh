#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The example runs a Linux driver against a device: every buffer arrives, whole and in order.
#
#   tests/linux/dummy.sh DUMMY

set -euo pipefail

for buffers in 1 8 777 1000; do
	out=$("$1" $buffers)
	want="device: filled $buffers buffers over virtio-mmio
virtio_dummy: $buffers buffers, $((buffers * 100)) bytes, 0 damaged; 8 unused"
	if [ "$out" != "$want" ]; then
		printf 'with %u buffers it said\n%s\nand not\n%s\n' "$buffers" "$out" "$want"
		exit 1
	fi
done

for wrong in 0 x 1x 1000001 '1 2'; do
	status=0
	# shellcheck disable=SC2086 # two arguments are one of the cases
	"$1" $wrong 2>/dev/null || status=$?
	if [ $status -ne 2 ]; then
		echo "dummy $wrong: status $status, not 2"
		exit 1
	fi
done
