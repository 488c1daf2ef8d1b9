#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# Kill a daemon so many times, at random points; the seed is said so that a failure can be tried again.
#
#   tests/crash/run.sh PROGRAM VIREO CYCLES [SEED [ARGUMENT...]]
#
# A SEED of - is one of the clock's.

set -eu
program=$1 vireo=$2 cycles=$3 seed=${4:--}
shift $(($# < 4 ? $# : 4))
[ "$seed" != - ] || seed=$(date +%N | sed 's/^0*//')
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
echo "seed $seed"
"$program" "$vireo" "$directory" "$cycles" "$seed" "$@"
