#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# Kill a VSSD daemon so many times, at random points; the seed is said so that a failure can be tried again.
#
#   tests/vssd/crash.sh CRASH VIREO CYCLES [SEED]

set -eu
seed=${4:-$(date +%N | sed 's/^0*//')}
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
echo "seed $seed"
"$1" "$2" "$directory" "$3" "$seed"
