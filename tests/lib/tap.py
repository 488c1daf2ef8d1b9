# SPDX-License-Identifier: BSD-3-Clause
"""Cases of a Python test, each in a directory of its own, told in the words of TAP."""

import os
import tempfile
import traceback


class Absent(Exception):
    """Something isn't there, so there is nothing to see."""


def named(scope, prefix):
    """The functions in `scope`, a module's globals(), whose names begin so, in their order."""
    return {name: case for name, case in scope.items() if name.startswith(prefix)}


def _run(case, more):
    """What became of it, and what is to be said of that."""
    try:
        case()
    except Absent as absent:
        return f" # SKIP {absent}", ""
    except Exception:  # pylint: disable=broad-except
        return None, traceback.format_exc() + more()
    return "", ""


def run(cases, more=lambda: ""):
    """Runs what `cases` has by name; `more` says more of one that failed. The status of the program."""
    here = os.getcwd()
    failed = 0
    print(f"1..{len(cases)}")
    for number, (name, case) in enumerate(cases.items(), 1):
        with tempfile.TemporaryDirectory(prefix="vireo-test-") as directory:
            os.chdir(directory)
            end, text = _run(case, more)
            os.chdir(here)
        print("".join(f"# {line}\n" for line in text.splitlines()), end="")
        print(f"{'not ok' if end is None else 'ok'} {number} {name}{end or ''}", flush=True)
        failed += end is None
    return 1 if failed else 0
