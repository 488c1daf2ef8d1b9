# SPDX-License-Identifier: BSD-3-Clause
"""What the style and the layer test share: the files of the tree, C without its comments, TAP."""

import os
import re

CORE_FOLDERS = ("base", "memory", "network", "ring", "driver", "device", "transport", "drivers", "devices")
TOP_FOLDERS = ("include", "src", "guest", "examples", "tests", "fuzz", "proofs", "bench", "scripts", ".ci")
COMMENT_OR_STRING = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


class File:
    """One text file: path from the root, text, and for C the text with comments and strings blanked out."""

    def __init__(self, root, path):
        self.path = path
        with open(os.path.join(root, path), encoding="utf-8") as file:
            self.text = file.read()
        self.lines = self.text.split("\n")
        self.is_c = path.endswith((".c", ".h"))
        self.is_test = path.split("/")[0] in ("tests", "fuzz", "proofs") or path.endswith("_test.c")
        self.is_public = path.startswith("include/vireo/")
        self.is_core = is_core(path) and not self.is_test
        self.code = blank(self.text) if self.is_c else self.text
        self.code_lines = self.code.split("\n")


def is_core(path):
    """The public headers are held to the core's rules too, but for those of the hosted half."""
    parts = path.split("/")
    return parts[0] == "src" and len(parts) > 2 and parts[1] in CORE_FOLDERS


def blank(text):
    """Comments and the insides of strings become spaces, so that what is left is code."""

    def replace(match):
        found = match.group(0)
        if found[0] in "\"'":
            return found[0] + " " * (len(found) - 2) + found[-1]
        return re.sub(r"[^\n]", " ", found)

    return COMMENT_OR_STRING.sub(replace, text)


def files(root):
    """Every text file of the tree; build trees and what is no text are left out."""
    paths = []
    for top in TOP_FOLDERS:
        for folder, folders, names in os.walk(os.path.join(root, top)):
            folders[:] = sorted(f for f in folders if f not in ("__pycache__", "corpus"))
            paths += [os.path.relpath(os.path.join(folder, name), root) for name in sorted(names)]
    paths += [name for name in ("meson.build", "meson_options.txt", "Makefile")
              if os.path.exists(os.path.join(root, name))]
    result = []
    for path in paths:
        if path.endswith((".ko", ".o", ".mod", ".mod.c", ".cmd", ".order", ".symvers", ".pyc")):
            continue
        try:
            result.append(File(root, path))
        except UnicodeDecodeError:
            continue
    return result


def tap(results):
    """Print {name: [complaint, ...]} as TAP; 1 if there is a complaint, else 0."""
    print(f"1..{len(results)}")
    for number, (name, complaints) in enumerate(results.items(), 1):
        for complaint in complaints:
            print(f"# {complaint}")
        print(f"{'not ok' if complaints else 'ok'} {number} {name}")
    return 1 if any(results.values()) else 0
