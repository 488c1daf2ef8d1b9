#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The disk that host and guest share: guest/hobby/use_blk.c has the same numbers.

  disk.py make FILE    8 MiB: the host's pattern in the first MiB, then zeros
  disk.py check FILE   the host's pattern still there, the guest's in the second MiB, zeros behind it, and
                       grown by a MiB
"""

import struct
import sys

MIB = 1 << 20
SIZE = 8 * MIB
GROWN = 9 * MIB
HOST = 0x686F7374
GUEST = 0x6775657374
MULTIPLIER = 0x9E3779B97F4A7C15


def pattern(seed):
    """A MiB in which each word of 8 bytes says where it is and who wrote it."""
    words = [(seed + word) * MULTIPLIER % (1 << 64) for word in range(MIB // 8)]
    return struct.pack(f"<{len(words)}Q", *words)


def make(path):
    with open(path, "wb") as file:
        file.write(pattern(HOST))
        file.truncate(SIZE)


def difference(found, expected):
    return next(at for at in range(len(expected)) if found[at:at + 1] != expected[at:at + 1])


def check(path):
    with open(path, "rb") as file:
        found = file.read()
    if len(found) != GROWN:
        return f"{path} has {len(found)} bytes, not {GROWN}"
    for what, at, expected in (("the host's pattern", 0, pattern(HOST)),
                               ("the guest's pattern", MIB, pattern(GUEST)),
                               ("zeros", 2 * MIB, bytes(GROWN - 2 * MIB))):
        part = found[at:at + len(expected)]
        if part != expected:
            return f"{path}: {what} at byte {at} differs first at byte {at + difference(part, expected)}"
    return None


def main():
    if len(sys.argv) != 3 or sys.argv[1] not in ("make", "check"):
        sys.exit(__doc__)
    if sys.argv[1] == "make":
        make(sys.argv[2])
        return 0
    complaint = check(sys.argv[2])
    if complaint:
        print(complaint)
    return 1 if complaint else 0


if __name__ == "__main__":
    sys.exit(main())
