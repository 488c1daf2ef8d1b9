#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Unit tests of the core on a big-endian machine: drivers and devices joined by every transport.

  tests/endian/suite.py ROOT CORE_SOURCE... -- NAME SOURCE... [-- NAME SOURCE...]...

Builds the core and the tests for s390x, with tests/endian/cmocka.h in cmocka's place, and runs them in
emulation. Where a test has a transport that is no part of the core, RIG_CORE_ONLY leaves it out.
"""

import concurrent.futures
import os
import shutil
import sys
import tempfile

from endian import EMULATORS, GCC, absent, run

FLAGS = ["-std=gnu11", "-O1", "-Wall", "-Werror", "-Wno-unused-function", "-DRIG_CORE_ONLY"]
AR = "s390x-linux-gnu-ar"
SECONDS = "200"


def groups(words):
    """The lists between the marks."""
    found = [[]]
    for word in words:
        if word == "--":
            found.append([])
        else:
            found[-1].append(word)
    return found


def main():
    root = sys.argv[1]
    core, *tests = groups(sys.argv[2:])
    missing = absent()
    print(f"1..{len(tests)}")
    if missing:
        for number, (name, *_) in enumerate(tests, 1):
            print(f"ok {number} {name} on s390x # SKIP {missing}")
        return 0
    emulator = next(name for name in EMULATORS if shutil.which(name))
    folders = [os.path.join(root, *part) for part in (["tests", "endian"], ["include"], ["src"], ["tests"])]
    flags = FLAGS + [f"-I{folder}" for folder in folders]
    failed = False
    with tempfile.TemporaryDirectory() as out, concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = {}

        def compile_once(source):
            target = os.path.join(out, os.path.relpath(source, root).replace("/", "_") + ".o")
            return target, run([GCC, *flags, "-c", source, "-o", target])

        def judge(name, sources):
            bad = [objects[source][1][1] for source in core + sources if objects[source][1][0]]
            if bad:
                return bad[:1]
            program = os.path.join(out, name)
            # The core as a library: some tests bring a file of it along, with hooks.
            status, output = run([GCC, "-static", *[objects[source][0] for source in sources], library,
                                  "-lpthread", "-o", program])
            if not status:
                status, output = run(["timeout", SECONDS, emulator, program])
            return [f"exit {status}", *output.splitlines()[-5:]] if status else []

        wanted = sorted({source for group in [core, *(t[1:] for t in tests)] for source in group})
        objects.update(zip(wanted, pool.map(compile_once, wanted)))
        library = os.path.join(out, "libcore.a")
        run([AR, "rcs", library, *[objects[source][0] for source in core]])
        results = pool.map(lambda test: judge(test[0], test[1:]), tests)
        for number, (test, complaints) in enumerate(zip(tests, results), 1):
            for line in "\n".join(complaints).splitlines():
                print(f"# {line}")
            print(f"{'not ok' if complaints else 'ok'} {number} {test[0]} on s390x")
            sys.stdout.flush()
            failed = failed or bool(complaints)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
