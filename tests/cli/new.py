#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What `vireo new` writes, and what the pages "Add a device" and "Add a driver" show,
builds against the installed library, and its test passes.

  tests/cli/new.py BUILD VIREO SANITIZERS
"""

import glob
import os
import re
import subprocess
import sys
import tempfile

BUILD, VIREO = (os.path.abspath(path) for path in sys.argv[1:3])


def run(*words, where, expect=0, **more):
    done = subprocess.run(words, cwd=where, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False, **more)
    assert done.returncode == expect, (words, done.returncode, done.stdout)
    return done.stdout


def check_errors(where):
    for name in ("", "9lives", "../up", "Upper", "a" * 25, "end-", "a b"):
        assert "is no name" in run(VIREO, "new", "device", name, where=where, expect=2), name
    assert "neither device nor driver" in run(VIREO, "new", "thing", "x", where=where, expect=2)
    assert "usage" in run(VIREO, "new", "device", where=where, expect=2)
    os.mkdir(os.path.join(where, "there"))
    assert "'there'" in run(VIREO, "new", "device", "there", where=where, expect=1)
    assert os.listdir(os.path.join(where, "there")) == []


def page(name):
    """The code of a page of the documents, to stand in the file of a skeleton."""
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    with open(os.path.join(root, "docs", name), encoding="utf-8") as file:
        blocks = re.findall(r"^```c\n(.*?)^```$", file.read(), re.M | re.S)
    assert len(blocks) == 1, (name, len(blocks))
    return blocks[0]


def check_device(where):
    installed = os.path.join(where, "installed")
    run("meson", "install", "-C", BUILD, "--no-rebuild", where=where,
        env={**os.environ, "DESTDIR": installed})
    libraries = os.path.dirname(glob.glob(f"{installed}/**/libvireo.so", recursive=True)[0])
    prefix = glob.glob(f"{installed}/**/bin/vireo", recursive=True)[0]
    environment = {**os.environ, "PKG_CONFIG_PATH": f"{libraries}/pkgconfig",
                   "PKG_CONFIG_SYSROOT_DIR": installed,
                   "LD_LIBRARY_PATH": libraries, "PATH": os.path.dirname(prefix) + ":" + os.environ["PATH"]}
    made = run(VIREO, "new", "device", "my-adder", where=where).split()
    assert len(made) == 4 and all(os.path.exists(os.path.join(where, name)) for name in made), made
    folder = os.path.join(where, "my-adder")
    run("meson", "setup", "-Dwerror=true", f"-Db_sanitize={sys.argv[3]}", "-Db_lundef=false", "build",
        where=folder, env=environment)
    run("ninja", "-C", "build", where=folder, env=environment)
    run("meson", "test", "-C", "build", "--print-errorlogs", where=folder, env=environment)
    with open(os.path.join(folder, "my-adder.c"), "w", encoding="utf-8") as file:
        file.write(page("add-a-device.md"))
    run("meson", "test", "-C", "build", "--print-errorlogs", where=folder, env=environment)


def check_driver(where):
    made = run(VIREO, "new", "driver", "my-adder", where=where).split()
    assert "my-adder/my_adder.c" in made, made
    kernels = sorted(glob.glob("/usr/src/linux-headers-*-amd64"))
    if kernels:
        out = run("make", f"KDIR={kernels[-1]}", where=os.path.join(where, "my-adder"))
        assert "warning:" not in out and os.path.exists(os.path.join(where, "my-adder/my_adder.ko")), out
        with open(os.path.join(where, "my-adder/my_adder.c"), "w", encoding="utf-8") as file:
            file.write(page("add-a-driver.md"))
        out = run("make", f"KDIR={kernels[-1]}", where=os.path.join(where, "my-adder"))
        assert "warning:" not in out, out


def main():
    with tempfile.TemporaryDirectory(prefix="vireo-new-") as where:
        check_errors(where)
        check_device(where)
        os.rename(os.path.join(where, "my-adder"), os.path.join(where, "device"))
        check_driver(where)


if __name__ == "__main__":
    main()
