#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""docs/embedding.md says what examples/toy_vmm does: its code is the example's, and so is what it prints.

  tests/embedding/embedding.py TOY_VMM
"""

import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LINES_MOST = 120


def read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as file:
        return file.read()


def main():
    page, source = read("docs", "embedding.md"), read("examples", "toy_vmm", "toy_vmm.c")
    blocks = dict.fromkeys(["c", "text"])
    for kind in blocks:
        blocks[kind] = re.findall(rf"^```{kind}\n(.*?)^```$", page, re.M | re.S)
    assert len(blocks["c"]) >= 6 and len(blocks["text"]) == 1, blocks
    for block in blocks["c"]:
        assert block in source, f"not in toy_vmm.c:\n{block}"
    lines = source.count("\n")
    assert lines <= LINES_MOST, f"toy_vmm.c has {lines} lines, {LINES_MOST} are the most"
    out = subprocess.run([sys.argv[1]], check=True, capture_output=True, text=True, timeout=60).stdout
    assert out == blocks["text"][0], out


if __name__ == "__main__":
    main()
