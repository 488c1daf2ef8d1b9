#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What `make install` puts there is enough to write a device with, and a program that uses one.

  tests/install/install.py BUILD COMPILER SANITIZERS
"""

import os
import re
import subprocess
import sys
import tempfile
import time

BUILD, COMPILER, SANITIZERS = sys.argv[1:4]
TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FLAGS = ["-std=c11", "-Wall", "-Wextra", "-Werror"]

DEVICE = """
#include <stdio.h>
#include <vireo/device.h>

static void kick(struct vio_device *dev, struct vio_devq *q)
{
	struct vio_buf buf;

	(void)dev;
	while (vio_devq_pop(q, &buf))
		vio_devq_push(q, &buf, 0);
	vio_devq_notify(q);
}

static const struct vio_device_class sink = {
	.name = "sink", .summary = "swallows what it gets", .id = 63,
	.queue_count = 1, .queue_size = 64,
	.kick = kick,
};

int main(void)
{
	struct vio_device dev;

	vio_device_init(&dev, &sink, NULL);
	if (vio_device_realize(&dev))
		return 1;
	printf("%s %u\\n", dev.class->name, (unsigned)dev.queue_size);
	vio_device_unrealize(&dev);
	return 0;
}
"""


def run(command, **more):
    """Exit status and output."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)
    return done.returncode, done.stdout


def find(root, suffix):
    return sorted(os.path.join(folder, name) for folder, _, names in os.walk(root) for name in names
                  if name.endswith(suffix))


def check_headers(root):
    """Each can be included first and alone."""
    top = os.path.join(root, "include")
    complaints = []
    headers = [os.path.relpath(path, top) for path in find(top, ".h")]
    for header in headers:
        text = f"#include <{header}>\n"
        status, output = run([COMPILER, *FLAGS, "-D_GNU_SOURCE", "-fsyntax-only", "-I", top, "-x", "c", "-"],
                             input=text)
        if status:
            complaints.append(f"{header}: {output}")
    return complaints if headers else ["no header was installed"]


def build(root, source, program):
    """Complaints, of which there are none when it was built against what is installed."""
    files = find(root, "vireo.pc")
    if not files:
        return ["no vireo.pc was installed"]
    environment = {**os.environ, "PKG_CONFIG_PATH": os.path.dirname(files[0])}
    status, flags = run(["pkg-config", f"--define-variable=prefix={root}", "--cflags", "--libs", "vireo"],
                        env=environment)
    if status:
        return [flags]
    sanitizers = [] if SANITIZERS == "none" else [f"-fsanitize={SANITIZERS}"]
    status, output = run([COMPILER, *FLAGS, *sanitizers, source, "-o", program, *flags.split()])
    return [output] if status else []


def installed(root):
    """The environment in which its programs find the library."""
    return {**os.environ, "LD_LIBRARY_PATH": os.path.dirname(find(root, "libvireo.so")[0])}


def check_device(root, folder):
    """A device in one file, built as the README says, runs."""
    source, program = os.path.join(folder, "sink.c"), os.path.join(folder, "sink")
    with open(source, "w", encoding="utf-8") as file:
        file.write(DEVICE)
    complaints = build(root, source, program)
    if complaints:
        return complaints
    status, output = run([program], env=installed(root))
    return [] if (status, output) == (0, "sink 64\n") else [f"exit {status}: {output}"]


def check_client(root, folder):
    """The example that copies a disk, against the daemon that was installed beside it."""
    path, image, program = (os.path.join(folder, name) for name in ("s", "image", "copy"))
    complaints = build(root, os.path.join(TOP, "examples", "copy", "copy.c"), program)
    if complaints:
        return complaints
    with open(image, "wb") as file:
        file.write(os.urandom(3 << 20) + bytes(512))
    daemon = subprocess.Popen([os.path.join(root, "bin", "vireo"), "serve", "blk", "--socket-path", path,
                               f"path={image}"], env=installed(root), stderr=subprocess.DEVNULL)
    try:
        for _ in range(3000):
            if os.path.exists(path) or daemon.poll() is not None:
                break
            time.sleep(0.01)
        time.sleep(0.1)
        done = subprocess.run([program, path], env=installed(root), capture_output=True, timeout=60,
                              check=False)
    finally:
        daemon.kill()
        daemon.wait()
    with open(image, "rb") as file:
        same = file.read() == done.stdout
    return [] if same and not done.returncode else [f"exit {done.returncode}: {done.stderr.decode()}"]


def check_exports(root):
    """The shared library shows the world nothing but vio_ names."""
    status, output = run(["nm", "-D", "--defined-only", find(root, "libvireo.so")[0]])
    names = [line.split()[-1].removeprefix("__odr_asan.") for line in output.splitlines()]
    complaints = [f"exports {name}" for name in names if not name.startswith("vio_")]
    if status or not names:
        complaints.append(f"nm says: {output}")
    return complaints


def check_core(root):
    """libvireo-core.a carries no sanitizer, whatever the rest was built with."""
    status, output = run(["nm", find(root, "libvireo-core.a")[0]])
    complaints = [line for line in output.splitlines() if re.search("__[atu]b?san", line)]
    return complaints + ([] if " T vio_" in output and status == 0 else ["no function in libvireo-core.a"])


def main():
    with tempfile.TemporaryDirectory() as folder:
        status, output = run(["meson", "install", "-C", BUILD, "--no-rebuild", "--destdir", folder])
        prefix = os.path.join(folder, "usr", "local")
        results = {"installs": [output] if status or not os.path.isdir(prefix) else []}
        if not results["installs"]:
            results["every header stands alone"] = check_headers(prefix)
            results["a device builds against it and runs"] = check_device(prefix, folder)
            results["a program that uses a disk builds against it and copies one"] = check_client(
                prefix, folder)
            results["nothing but vio_ is exported"] = check_exports(prefix)
            results["the core has no sanitizer in it"] = check_core(prefix)
    print(f"1..{len(results)}")
    for number, (name, complaints) in enumerate(results.items(), 1):
        for line in "\n".join(complaints).splitlines():
            print(f"# {line}")
        print(f"{'not ok' if complaints else 'ok'} {number} {name}")
    return 1 if any(results.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
