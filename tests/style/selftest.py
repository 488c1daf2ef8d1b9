#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A test of the tests: every rule refuses what breaks it and lets a clean tree pass."""

import os
import subprocess
import sys
import tempfile

import layers
import style
import tree

HERE = os.path.dirname(os.path.abspath(__file__))
CLAUSES = os.path.join(HERE, "..", "..", "scripts", "clauses")
C_LINE = f"/* {style.SPDX} */\n"
PY_LINE = f"# {style.SPDX}\n"

CLEAN = {
    "include/vireo/base.h": C_LINE + "#include <stdint.h>\n#include <vireo/spec/types.h>\n\n"
                            "/* Gives back x. */\nVIO_API int vio_thing_get(int x);\n",
    "include/vireo/spec/types.h": C_LINE + "#include <stdint.h>\n",
    "include/vireo/device.h": C_LINE + "#include <vireo/base.h>\n",
    "include/vireo/driver.h": C_LINE + "#include <vireo/base.h>\n",
    "include/vireo/host.h": C_LINE + "#include <vireo/base.h>\n",
    "src/base/thing.c": C_LINE + "#include <vireo/base.h>\n\n/* malloc() is but a word here. */\n"
                        "static const int table[] = {1, 2};\n\nint vio_thing_get(int x)\n{\n\treturn x;\n}\n",
    "src/device/core.c": C_LINE + '#include <vireo/device.h>\n#include "core.h"\n',
    "src/device/core.h": C_LINE,
    "src/devices/rng/rng.c": C_LINE + "#include <vireo/device.h>\n#include <vireo/devices/rng.h>\n",
    "include/vireo/devices/rng.h": C_LINE + "#include <vireo/device.h>\n",
    "include/vireo/devices/blk.h": C_LINE + "#include <vireo/device.h>\n",
    "src/devices/blk/blk.h": C_LINE,
    "src/transport/mmio/device.c": C_LINE + "#include <vireo/device.h>\n",
    "src/transport/loopback/loopback.c": C_LINE + "#include <vireo/device.h>\n#include <vireo/driver.h>\n",
    "src/host/file.c": C_LINE + "#include <stdio.h>\n#include <vireo/host.h>\n",
    "src/link/vhost_user/backend.c": C_LINE + "#include <errno.h>\n#include <vireo/device.h>\n",
    "src/cli/main.c": C_LINE + '#include <stdio.h>\n#include <vireo/host.h>\n#include "options.h"\n',
    "src/cli/options.h": C_LINE,
    "scripts/tool": "#!/bin/sh\n" + PY_LINE + "echo\n",
}

LONG = "int vio_long(void)\n{\n" + "\tvio_step();\n" * 71 + "}\n"

# Rule, file, what to add to it, a word of the complaint.
STYLE_PLANTS = [
    ("licence line", "src/base/new.c", "int vio_x;\n", "first line"),
    ("licence line", "scripts/new", "#!/bin/sh\necho\n", "second after"),
    ("line length", "src/base/thing.c", "/* " + "x" * 110 + " */\n", "110"),
    ("line length", "scripts/tool", "# " + "x" * 110 + "\n", "110"),
    ("white space", "src/base/thing.c", "/* x */ \n", "remove it"),
    ("white space", "src/base/thing.c", "/* x */", "newline"),
    ("white space", "src/base/thing.c", "\n", "remove it"),
    ("tabs", "src/base/thing.c", "int vio_y(int a,\n        int b);\n", "tab"),
    ("tabs", "src/base/thing.c", "int vio_y(void)\n{\n  return 1;\n}\n", "tab"),
    ("lengths of files and functions", "src/base/thing.c", LONG, "70"),
    ("lengths of files and functions", "src/base/thing.c", "/* x */\n" * 800, "800"),
    ("lengths of files and functions", "include/vireo/device.h", "/* x */\n" * 350, "350"),
    ("no typedef'd structures", "src/base/thing.c", "typedef struct thing thing_t;\n", "struct name"),
    ("names", "src/device/core.c", "int guest_features;\n", "features_accepted"),
    ("names", "src/device/core.c", "int host_features;\n", "features_offered"),
    ("names", "src/device/core.c", "int is_master;\n", "by role"),
    ("names", "src/device/core.c", "struct vq *q;\n", "vio_drvq"),
    ("names", "src/device/core.c", "int avail_index;\n", "driver area"),
    ("names", "src/device/core.c", "int buf_sz;\n", "length_bytes"),
    ("freestanding core", "src/devices/rng/rng.c", "void vio_f(void)\n{\n\tfree(0);\n}\n", "storage"),
    ("freestanding core", "src/ring/ring.c", C_LINE + "int vio_e(void)\n{\n\treturn errno;\n}\n", "VIO_E"),
    ("freestanding core", "src/base/thing.c", "void vio_a(void)\n{\n\tabort();\n}\n", "fault"),
    ("freestanding core", "src/base/thing.c", "void vio_a(void)\n{\n\tassert(0);\n}\n", "STATIC_ASSERT"),
    ("freestanding core", "src/base/thing.c", 'void vio_p(void)\n{\n\tprintf("");\n}\n', "caller prints"),
    ("no state at file scope", "src/host/file.c", "static int count;\n", "make it const"),
    ("no state at file scope", "src/host/file.c", "static const char *const names[] = {0};\n", None),
    ("no control flow in macros", "src/host/file.c", "#define T(x) \\\n\tif (x) \\\n\t\treturn\n", "write a"),
    ("public functions", "include/vireo/device.h", "\n/* It. */\nVIO_API int make(void);\n", "vio_<object>"),
    ("public functions", "include/vireo/device.h", "\nVIO_API int vio_make(void);\n", "without a comment"),
    ("public functions", "include/vireo/device.h", "\n/* It. */\nVIO_API int vio_do(bool on);\n", "bool"),
    ("interpreters", "scripts/new", "#!/usr/bin/perl\n" + PY_LINE, "/bin/sh"),
]

LOOKS = "every include looks down"
KNOWN = "every layer is known"
LAYER_PLANTS = [
    (LOOKS, "src/base/thing.c", "#include <vireo/device.h>\n", "base may not include device"),
    (LOOKS, "include/vireo/spec/types.h", "#include <vireo/base.h>\n", "spec may not include base"),
    (LOOKS, "src/device/core.c", "#include <vireo/driver.h>\n", "device may not include driver"),
    (LOOKS, "src/devices/rng/rng.c", "#include <vireo/driver.h>\n", "devices may not include driver"),
    (LOOKS, "src/devices/rng/rng.c", "#include <vireo/host.h>\n", "devices may not include host"),
    (LOOKS, "src/devices/rng/rng.c", '#include "../blk/blk.h"\n', "siblings"),
    (LOOKS, "src/devices/rng/rng.c", '#include "devices/blk/blk.h"\n', "siblings"),
    (LOOKS, "src/devices/rng/rng.c", "#include <vireo/devices/blk.h>\n", "siblings"),
    (LOOKS, "include/vireo/devices/rng.h", "#include <vireo/devices/blk.h>\n", "siblings"),
    (LOOKS, "include/vireo/device.h", "#include <vireo/devices/blk.h>\n", "device may not include devices"),
    (LOOKS, "src/devices/rng/rng.c", "#include <stdlib.h>\n", "freestanding"),
    (LOOKS, "src/devices/rng/rng.c", "#include <vireo/nothing.h>\n", "has no layer"),
    (LOOKS, "src/transport/mmio/device.c", "#include <vireo/driver.h>\n", "other half"),
    (LOOKS, "src/transport/mmio/device.c", '#include "devices/blk/blk.h"\n', "may not include devices"),
    (LOOKS, "src/link/vhost_user/backend.c", "#include <vireo/host.h>\n", "link may not include host"),
    (LOOKS, "src/link/vhost_user/backend.c", "#include <vireo/driver.h>\n", "other half"),
    (LOOKS, "src/host/file.c", '#include "link/vhost_user/message.h"\n', "host may not include link"),
    (LOOKS, "src/cli/main.c", '#include "device/core.h"\n', "public headers only"),
    (LOOKS, "src/device/core.c", '#include "../../include/vireo/base.h"\n', "write <vireo/base.h>"),
    (LOOKS, "src/device/core.c", '#include "../../tests/x.h"\n', "neither"),
    (KNOWN, "src/other/thing.c", C_LINE, "of no layer"),
    (KNOWN, "include/vireo/other.h", C_LINE, "of no layer"),
]


def plant(folder, path, addition):
    full = os.path.join(folder, path)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    with open(full, "a", encoding="utf-8") as file:
        file.write(addition)


def fresh(folder):
    for path, text in CLEAN.items():
        plant(folder, path, text)


def try_plants(judge, plants):
    """Complaints about a judge that is too lax or too strict."""
    with tempfile.TemporaryDirectory() as folder:
        fresh(folder)
        wrong = [f"refused a clean tree: {line}" for found in judge(folder).values() for line in found]
    for rule, path, addition, word in plants:
        with tempfile.TemporaryDirectory() as folder:
            fresh(folder)
            plant(folder, path, addition)
            found = judge(folder)[rule]
            if word is None and found:
                wrong.append(f"{rule}: refused {addition!r} in {path}: {found}")
            if word is not None and not any(path in f and word in f for f in found):
                wrong.append(f"{rule}: let {addition!r} in {path} pass, or without '{word}': {found}")
    return wrong


def clauses(folder, *words):
    done = subprocess.run([sys.executable, CLAUSES, "--root", folder, *words], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    return done.returncode, done.stdout


def try_clauses():
    # Split, so that the tracer doesn't take the ids of this file for citations.
    one, two, three, none = ("DEV-" + "TOY-" + number for number in ("001", "002", "003", "999"))
    table = "id\ttarget\tlevel\tsecno\tstate\twhere\n" + "".join(
        f"{key}\tdevice\tMUST\t9.9\topen\t\n" for key in (one, two, three))
    wrong = []

    def expect(what, status, word, *words):
        code, text = clauses(folder, *words)
        if code != status or word not in text:
            wrong.append(f"{what}: exit {code}, expected {status} and '{word}': {text}")

    with tempfile.TemporaryDirectory() as folder:
        plant(folder, "docs/conformance.tsv", table)
        expect("nothing is cited", 0, "", "check")
        plant(folder, "src/base/thing.c", f"/* spec: {one} */\n")
        plant(folder, "src/base/thing_test.c", f"/* spec: {two} */\n")
        expect("out of date", 1, "out of date for " + one, "check")
        expect("no such clause", 1, "no clause", "na", none, "--", "not offered")
        expect("not applicable", 0, "", "na", three, "--", "not offered")
        expect("update", 0, "", "update")
        expect("up to date", 0, "", "check")
        expect("report", 0, "TOY             3        1        1        1        0", "report")
        with open(os.path.join(folder, "docs/conformance.tsv"), encoding="utf-8") as file:
            if f"{three}\tdevice\tMUST\t9.9\tna\tnot offered\n" not in file.read():
                wrong.append("update lost the reason of a clause that does not apply")
        plant(folder, "tests/unit/x.c", f"/* spec: {none} */\n")
        expect("unknown", 1, f"tests/unit/x.c: cites {none}", "check")
        expect("unknown at update", 1, f"cites {none}", "update")
    return wrong


if __name__ == "__main__":
    sys.exit(tree.tap({
        "style refuses what breaks it": try_plants(style.judge, STYLE_PLANTS),
        "layers refuse what breaks them": try_plants(layers.judge, LAYER_PLANTS),
        "clauses refuse what breaks them": try_clauses(),
    }))
