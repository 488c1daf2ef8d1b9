#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What a program weighs, by the folders it came from: weigh.py TITLE MAP [GOAL_BYTES]

Reads a linker's map: sections of code and constants that were kept. The goal is for what comes from the
library; the rest is the program and the glue of its board. Exits 1 when it is missed.
"""

import re
import sys

# A long section name stands on a line of its own.
KEPT = re.compile(r"^ \.(?:entry|text|rodata|srodata)\S*\s+0x([0-9a-f]+)\s+0x([0-9a-f]+)\s+(\S+)", re.M)
LIBRARY = ["src/base", "src/memory", "src/ring", "src/driver/", "src/transport", "src/drivers/"]


def weigh(text):
    """{part: bytes}"""
    text = re.sub(r"\n {16,}0x", " 0x", text[text.index("Linker script and memory map"):])
    found = {}
    for address, size, path in KEPT.findall(text):
        part = next((part for part in LIBRARY if part in path), "program and glue")
        if int(address, 16):
            found[part] = found.get(part, 0) + int(size, 16)
    return found


def main():
    title, path = sys.argv[1:3]
    with open(path, encoding="utf-8") as file:
        found = weigh(file.read())
    print(f"{title}:")
    for part, size in found.items():
        print(f"{size:7} {part}")
    library = sum(size for part, size in found.items() if part in LIBRARY)
    print(f"{library:7} bytes of Vireo's code and constants, {sum(found.values())} with program and glue",
          end="")
    missed = len(sys.argv) > 3 and library > int(sys.argv[3])
    if len(sys.argv) > 3:
        print(f"; goal {sys.argv[3]}: {'missed' if missed else 'kept'}", end="")
    print()
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
