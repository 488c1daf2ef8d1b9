#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What a program weighs, by the folders it came from: weigh.py BOARD MAP [GOAL_BYTES]

Reads a linker's map: sections of code and constants that were kept.
"""

import re
import sys

# A long section name stands on a line of its own.
KEPT = re.compile(r"^ \.(?:entry|text|rodata|srodata)\S*\s+0x([0-9a-f]+)\s+0x([0-9a-f]+)\s+(\S+)", re.M)
PARTS = ["src/base", "src/memory", "src/ring", "src/driver/", "src/transport", "src/drivers/", "guest/hobby"]


def weigh(text):
    """{part: bytes}"""
    text = re.sub(r"\n {16,}0x", " 0x", text[text.index("Linker script and memory map"):])
    found = {}
    for address, size, path in KEPT.findall(text):
        part = next((part for part in PARTS if part in path), path)
        if int(address, 16):
            found[part] = found.get(part, 0) + int(size, 16)
    return found


def main():
    board, path = sys.argv[1:3]
    with open(path, encoding="utf-8") as file:
        found = weigh(file.read())
    total = sum(found.values())
    for part, size in found.items():
        print(f"{size:7} {part}")
    print(f"{total:7} bytes of code and constants on {board}", end="")
    if len(sys.argv) > 3:
        print(f", goal {sys.argv[3]}: {'kept' if total <= int(sys.argv[3]) else 'missed'}", end="")
    print()


if __name__ == "__main__":
    main()
