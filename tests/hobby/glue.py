#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Counts what guest/hobby says of itself: lines that are neither blank nor comments.

A board is what the Makefile takes from guest/hobby/boards for it, with what it shares: at most
BOARD_LINES. What a new operating system has to write is guest/hobby/platform.c: at most OS_LINES, and the
OS_FUNCTIONS functions that struct vio_platform points to.
"""

import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HOBBY = os.path.join(ROOT, "guest", "hobby")
BOARD_LINES, OS_LINES, OS_FUNCTIONS = 200, 40, 6
BOARDS = ("pc", "q35", "microvm", "riscv64", "aarch64", "s390x")


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def lines_of(path):
    text = re.sub(r"/\*.*?\*/", "", read(path), flags=re.S)
    return sum(1 for line in text.splitlines() if line.strip())


def glue(board):
    listed = subprocess.run(["make", "-s", "-f", f"{HOBBY}/Makefile", f"BOARD={board}", "glue"],
                            stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    headers = {f"{HOBBY}/boards/{name}" for path in listed
               for name in re.findall(r'#include "([^"]*)"', read(path)) if name != "os.h"}
    return sorted(set(listed) | headers)


def main():
    bad = False
    for board in BOARDS:
        files = glue(board)
        if not any(path.endswith(".S") for path in files):
            sys.exit(f"the Makefile's glue target lists {files} for {board}, which can't be all")
        total = sum(lines_of(path) for path in files)
        print(f"{board}: {total} lines of at most {BOARD_LINES}: "
              + ", ".join(f"{os.path.basename(path)} {lines_of(path)}" for path in files))
        bad |= total > BOARD_LINES
    platform = f"{HOBBY}/platform.c"
    table = re.search(r"\(struct vio_platform\)\{(.*?)\}", read(platform), re.S)[1]
    functions = re.findall(r"^static [^;=]*?(\w+)\([^;]*?\)\n\{", read(platform), re.M)
    given = [name for name in functions if re.search(rf"\b{name}\b", table)]
    print(f"platform.c: {lines_of(platform)} lines of at most {OS_LINES}, functions: {' '.join(given)}")
    bad |= lines_of(platform) > OS_LINES or len(given) != OS_FUNCTIONS or given != functions
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
