#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The rules of style that a machine can check. Each complaint says what to write instead.

  tests/style/style.py [ROOT]
"""

import os
import re
import sys

import tree

LINE_COLUMNS = 110
FUNCTION_LINES = 70
SOURCE_LINES = 800
PUBLIC_HEADER_LINES = 350
SPDX = "SPDX-License-Identifier: BSD-3-Clause"
# A module has to be under Linux's licence as well to reach the virtio bus.
GUEST_SPDX = "SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause"

# Words that have a better one: pattern, replacement, folders where it is right all the same. The protocols
# under src/link and a Linux module keep the names of those they talk to.
NAMES = [
    (r"\bguest_features\b", "features_accepted", ()),
    (r"\bhost_features\b", "features_offered", ()),
    (r"\b\w*?_?(?:master|slave)(?:_\w*)?\b", "driver or device, by role", ("guest/linux/",)),
    (r"\bstruct (?:vq|vring|virtqueue)\b", "struct vio_drvq or struct vio_devq, by role",
     ("guest/linux/", "include/vireo/linux", "src/driver/linux", "tests/linux/", "examples/",
      "bench/ring/linux.c")),
    (r"\b(?:\w+_)?avail(?:_\w+)?\b", "driver area (available ring only inside src/ring)",
     ("src/ring/", "src/link/", "include/vireo/spec/", "include/vireo/devq.h", "include/vireo/drvq.h",
      "src/device/saved.c", "tests/", "fuzz/", "proofs/", "bench/", "guest/")),
    (r"\b(?:\w+_)?sz\b", "size, with the unit last: length_bytes", ("guest/linux/",)),
]

# What the core must do without: pattern, what to do instead.
NOT_IN_CORE = [
    (r"\b(?:malloc|calloc|realloc|free|strdup)\s*\(", "take storage from the caller, sized by a function"),
    (r"\b(?:f?printf|puts|perror|v?s?n?printf)\s*\(", "record a fault or return a code; the caller prints"),
    (r"\berrno\b", "a negative VIO_E code"),
    (r"\b(?:abort|_?exit|longjmp)\s*\(", "a fault for the peer's errors, a negative VIO_E code otherwise"),
    (r"\bassert\s*\(", "a negative VIO_E code, or VIO_STATIC_ASSERT where the compiler can tell"),
    (r"\bstr(?:len|cmp|ncmp|cpy|ncpy|cat|chr)\s*\(", "a length kept beside the bytes"),
]


def check_spdx(file):
    first = file.lines[1] if file.text.startswith("#!") and len(file.lines) > 1 else file.lines[0]
    if file.path.startswith(("guest/linux/", "examples/dummy/")) and GUEST_SPDX in first:
        return
    if file.is_c:
        if first != f"/* {SPDX} */":
            yield 1, f"write /* {SPDX} */ as the first line"
    elif file.path.endswith((".py", "meson.build", "Makefile")) or file.text.startswith("#!"):
        if first != f"# {SPDX}":
            yield 1, f"write # {SPDX} as the first line (the second after #!)"


def check_columns(file):
    if file.path.endswith(".md"):
        return
    for number, line in enumerate(file.lines, 1):
        columns = len(line.expandtabs(8))
        if columns > LINE_COLUMNS:
            yield number, f"{columns} columns; break the line, {LINE_COLUMNS} are the most"


def check_whitespace(file):
    for number, line in enumerate(file.lines, 1):
        if line != line.rstrip():
            yield number, "white space at the end; remove it"
    if file.text and not file.text.endswith("\n"):
        yield len(file.lines), "no newline at the end of the file; add one"
    if file.text.endswith("\n\n"):
        yield len(file.lines) - 1, "an empty line at the end of the file; remove it"


def check_tabs(file):
    if not file.is_c:
        return
    for number, (line, code) in enumerate(zip(file.lines, file.code_lines), 1):
        indent = re.match(r"[ \t]*", line).group(0)
        if not code.strip():
            continue
        if " \t" in indent or " " * 8 in indent:
            yield number, "spaces where a tab belongs; indent by tabs of 8"
        elif indent and "\t" not in indent and not line.lstrip().startswith("*"):
            yield number, "indented by spaces; indent by tabs of 8"


def check_lengths(file):
    count = len(file.lines) - 1
    if file.is_public and file.path.endswith(".h") and count > PUBLIC_HEADER_LINES:
        yield count, f"{count} lines; a public header has {PUBLIC_HEADER_LINES} at most: split it by audience"
    elif count > SOURCE_LINES and (file.is_c or file.path.endswith(".py")):
        yield count, f"{count} lines; a file has {SOURCE_LINES} at most: split it by noun"
    if not file.is_c:
        return
    start = None
    for number, line in enumerate(file.code_lines, 1):
        if line.startswith("{"):
            start = number
        elif line.startswith("}") and start is not None:
            inside = number - start - 1
            if line.rstrip() == "}" and inside > FUNCTION_LINES:
                yield start, f"{inside} lines; a function has {FUNCTION_LINES} at most: name its parts"
            start = None


def check_typedefs(file):
    if not file.is_c or file.path == "include/vireo/spec/types.h":
        return
    for number, line in enumerate(file.code_lines, 1):
        if re.search(r"\btypedef\s+(?:struct|union|enum)\b", line):
            yield number, "typedef of a structure; write `struct name` at every use"


def check_names(file):
    if not file.is_c:
        return
    for pattern, instead, elsewhere in NAMES:
        if file.path.startswith(tuple(elsewhere)):
            continue
        for number, line in enumerate(file.code_lines, 1):
            for match in re.finditer(pattern, line):
                yield number, f"'{match.group(0)}'; write {instead}"


def check_core_words(file):
    if not file.is_core:
        return
    for pattern, instead in NOT_IN_CORE:
        for number, line in enumerate(file.code_lines, 1):
            match = re.search(pattern, line)
            if match:
                yield number, f"'{match.group(0)}' in the freestanding core; instead: {instead}"


def check_state(file):
    """File-scope variables hide who shares what."""
    if not file.is_c or file.is_test or not file.path.startswith(("src/", "include/")):
        return
    for number, line in enumerate(file.code_lines, 1):
        if not line.startswith("static ") or re.match(r"static (?:const\b|inline\b|_Noreturn\b)", line):
            continue
        head = re.split(r"[=;{]", line)[0]
        ends = line.rstrip().endswith((";", "{", "=")) or "=" in line
        constant = "const" in head.split("*")[-1]
        if ends and "(" not in head and not constant and line.rstrip() != head.rstrip():
            yield number, "a variable at file scope; keep it in the caller's structure, or make it const"


def check_macros(file):
    """A macro that returns or jumps is a trap for the reader."""
    if not file.is_c or not file.path.startswith(("src/", "include/")):
        return
    number = 0
    while number < len(file.code_lines):
        start = number
        text = file.code_lines[number]
        while text.endswith("\\") and number + 1 < len(file.code_lines):
            number += 1
            text = text[:-1] + file.code_lines[number]
        number += 1
        if re.match(r"\s*#\s*define\b", text) and re.search(r"\b(?:return|goto|break|continue)\b", text):
            yield start + 1, "a macro that changes control flow; write a function, or write the jump out"


def declarations(file):
    """(line, text) of every VIO_API declaration of a public header."""
    for match in re.finditer(r"^VIO_API\b[^;{]*", file.code, re.M):
        yield file.code.count("\n", 0, match.start()) + 1, " ".join(match.group(0).split())


def check_public(file):
    if not file.is_public:
        return
    for number, text in declarations(file):
        found = re.search(r"\b(\w+)\s*(?:\(|\[|$)", text)
        name = found.group(1) if found else text
        if not name.startswith("vio_") and file.path != "include/vireo/linux.h":
            yield number, f"'{name}' is public; name it vio_<object>_<verb>"
        before = number - 2
        while before >= 0 and file.code_lines[before].strip() and not file.lines[before].endswith("*/"):
            before -= 1
        if before < 0 or not file.lines[before].rstrip().endswith("*/"):
            yield number, (f"'{name}' is public without a comment; say what it does, with units, owner, "
                           "result and who calls it")
        if re.search(r"[(,]\s*bool\b\s*\w*\s*(?=[,)])", text):
            yield number, f"'{name}' takes a bool; take flags with names, or write two functions"


def check_shell_and_python(file):
    known = r"#!(?:/bin/sh|/bin/bash|/usr/bin/env (?:python3|bash))\n"
    if file.text.startswith("#!") and not re.match(known, file.text):
        yield 1, "an unusual interpreter; use /bin/sh, /bin/bash or /usr/bin/env python3"


RULES = {
    "licence line": check_spdx,
    "line length": check_columns,
    "white space": check_whitespace,
    "tabs": check_tabs,
    "lengths of files and functions": check_lengths,
    "no typedef'd structures": check_typedefs,
    "names": check_names,
    "freestanding core": check_core_words,
    "no state at file scope": check_state,
    "no control flow in macros": check_macros,
    "public functions": check_public,
    "interpreters": check_shell_and_python,
}


def judge(root):
    """{rule: [complaint, ...]}"""
    found = tree.files(root)
    return {name: [f"{file.path}:{line}: {text}" for file in found for line, text in rule(file)]
            for name, rule in RULES.items()}


if __name__ == "__main__":
    here = os.path.dirname(os.path.abspath(__file__))
    sys.exit(tree.tap(judge(sys.argv[1] if len(sys.argv) > 1 else os.path.join(here, "..", ".."))))
