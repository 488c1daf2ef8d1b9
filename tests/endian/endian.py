#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The rings do the same, byte by byte, on a big-endian machine.

  tests/endian/endian.py ROOT TARGET=REPLAY... -- CORE_SOURCE...

Builds each fuzz target's replay for s390x, runs it in emulation over the corpus, and compares its digest
with that of the native REPLAY. The digest takes in all that the rings wrote to memory and all that came out.
"""

import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import tempfile

GCC = "s390x-linux-gnu-gcc"
EMULATORS = ["qemu-s390x-static", "qemu-s390x"]
FLAGS = ["-std=gnu11", "-O2", "-static", "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter"]


def run(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.returncode, done.stdout


def flags(root):
    return [*FLAGS, "-I", os.path.join(root, "include"), "-I", os.path.join(root, "src")]


def compile_core(root, sources, folder):
    """The core's objects, and complaints."""
    def compile_one(numbered):
        number, source = numbered
        target = os.path.join(folder, f"core{number}.o")
        return target, run([GCC, *flags(root), "-c", source, "-o", target])

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        done = list(pool.map(compile_one, enumerate(sources)))
    return [target for target, _ in done], [output for _, (status, output) in done if status]


def closure(fuzz, name, seen):
    """The sources that a target needs: its own, and those beside the headers that they include."""
    with open(os.path.join(fuzz, name), encoding="utf-8") as text:
        content = text.read()
    first = not seen
    seen.add(name)
    if "void fuzz_run(struct fuzz_input *input)\n" in content and not first:
        return []  # another target, which has a header's name
    found = [os.path.join(fuzz, name)] if name.endswith(".c") else []
    for header in re.findall(r'^#include "(\w+)\.h"', content, re.MULTILINE):
        for other in (header + ".h", header + ".c"):
            if other not in seen and os.path.exists(os.path.join(fuzz, other)):
                found += closure(fuzz, other, seen)
    return found


def build(root, target, objects, program):
    fuzz = os.path.join(root, "fuzz")
    sources = [*closure(fuzz, target + ".c", set()), os.path.join(fuzz, "replay.c")]
    return run([GCC, *flags(root), *sources, *objects, "-o", program])


def absent():
    """What is missing, or None."""
    if not shutil.which(GCC):
        return f"{GCC} is absent"
    if not any(shutil.which(name) for name in EMULATORS):
        return f"{EMULATORS[0]} is absent"
    if run([GCC, "-E", "-include", "stdio.h", "-x", "c", os.devnull])[0]:
        return "the C library for s390x (libc6-dev-s390x-cross) is absent"
    return None


def compare(root, target, replay, objects, folder):
    """Complaints."""
    emulator = next(name for name in EMULATORS if shutil.which(name))
    corpus = os.path.join(root, "fuzz", "corpus", target)
    program = os.path.join(folder, target)
    status, output = build(root, target, objects, program)
    if status:
        return [output]
    status, native = run([replay, corpus])
    if status:
        return [f"here: exit {status}: {native}"]
    status, foreign = run([emulator, program, corpus])
    if status:
        return [f"on s390x: exit {status}: {foreign}"]
    return [] if native == foreign else [f"here: {native}", f"on s390x: {foreign}"]


def main():
    root, words = sys.argv[1], sys.argv[2:]
    split = words.index("--")
    targets = dict(word.split("=", 1) for word in words[:split])
    missing = absent()
    failed = False
    print(f"1..{len(targets)}")
    with tempfile.TemporaryDirectory() as folder:
        objects, broken = ([], []) if missing else compile_core(root, words[split + 1:], folder)
        for number, (target, replay) in enumerate(targets.items(), 1):
            if missing:
                print(f"ok {number} {target} on s390x # SKIP {missing}")
                continue
            complaints = broken or compare(root, target, replay, objects, folder)
            for line in "\n".join(complaints).splitlines():
                print(f"# {line}")
            print(f"{'not ok' if complaints else 'ok'} {number} {target} on s390x")
            failed = failed or bool(complaints)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
