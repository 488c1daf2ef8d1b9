# SPDX-License-Identifier: BSD-3-Clause
"""Guests in QEMU that live from an initial file system alone, for what `vireo boot --vmm qemu` can't do:
other versions of QEMU, devices under another's name, and sleep, which a virtiofs root forbids.

Nothing of the host's files is seen in there; what a script needs is named, and what it writes comes back.
"""

import glob
import os
import shutil
import stat
import subprocess

import guest as g

INIT = """#!/bin/busybox sh
b=/bin/busybox
$b --install /bin 2>/dev/null
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /tmp /run
for module in $(cat /modules/order); do
    insmod /modules/$module 2>/dev/null
done
stty -F /dev/ttyS1 -opost -echo
cd /tmp
/script </dev/null >/dev/ttyS1 2>&1
status=$?
[ $status = 0 ] || dmesg | tail -n 60 >/dev/ttyS0
echo "exit status $status" >/dev/ttyS1
# Power can't be switched off any more where the machine has slept; and a reboot is its end, too.
reboot -f
"""

def newer_qemu():
    """QEMU of the backports, beside the installed one: its command, or None."""
    root = g.script("foreign-tool", "bookworm-backports", "qemu-10", "qemu-system-x86", "qemu-system-common",
                    "qemu-system-data", "seabios")
    if not root:
        return None
    return ["env", f"QEMU_MODULE_DIR={root}/usr/lib/x86_64-linux-gnu/qemu",
            f"{root}/usr/bin/qemu-system-x86_64", "-L", f"{root}/usr/share/qemu", "-L",
            f"{root}/usr/share/seabios"]


def modules():
    """Our modules for Debian's kernel, by name."""
    headers = g.script("guest-qemu", "--modules")
    found = headers and g.script("guest-modules", headers)
    return {os.path.basename(path)[:-3]: path for path in glob.glob(f"{found}/*.ko")} if found else None


class Machine:
    """A directory with an initial file system of our own over that of scripts/guest-qemu."""

    def __init__(self, directory, kernel, qemu=("qemu-system-x86_64",)):
        self.directory = directory
        self.kernel = kernel
        self.qemu = list(qemu)
        self.root = os.path.join(directory, "root")
        os.mkdir(self.root)

    def put(self, path, name):
        """A file of this system's, below / in the guest."""
        shutil.copy(path, os.path.join(self.root, name))

    def write(self, name, text):
        path = os.path.join(self.root, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, stat.S_IRWXU)

    def initial(self, script):
        self.write("init", INIT)
        self.write("script", "#!/bin/sh\nset -eu\n" + script)
        path = os.path.join(self.directory, "initrd")
        names = "\n".join(os.listdir(self.root)) + "\n"
        below = os.path.join(os.path.dirname(self.kernel), "initrd")
        with open(path, "wb") as out, open(below, "rb") as base:
            shutil.copyfileobj(base, out)
            out.flush()
            subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], input=names.encode(), stdout=out,
                           cwd=self.root, check=True)
        return path

    def start(self, script, *devices):
        """Each device is a socket and QEMU's words for what carries it."""
        words = [*self.qemu, "-M", "q35,memory-backend=m0", "-object",
                 "memory-backend-memfd,id=m0,size=256M,share=on", "-accel", "tcg", "-nodefaults",
                 "-no-user-config", "-display", "none", "-no-reboot", "-kernel", self.kernel, "-initrd",
                 self.initial(script), "-append",
                 "console=ttyS0 quiet panic=-1 mitigations=off nokaslr random.trust_cpu=on ",
                 "-serial", f"file:{self.directory}/kernel", "-serial", f"file:{self.directory}/said"]
        for index, (path, carrier) in enumerate(devices):
            words += ["-chardev", f"socket,id=c{index},path={path}", "-device", f"{carrier},chardev=c{index}"]
        with open(os.path.join(self.directory, "qemu"), "wb") as out:
            return subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=out, stderr=out)

    def text(self, name):
        try:
            with open(os.path.join(self.directory, name), encoding="utf-8", errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def finish(self, process, seconds=300):
        """What the script said, which has to have ended well."""
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        said = self.text("said").replace("\r\n", "\n")
        words = said.rsplit("exit status ", 1)
        assert len(words) == 2 and words[1].strip() == "0", \
            f"{said}\n{self.text('kernel')[-4000:]}\n{self.text('qemu')}"
        return words[0]

    def run(self, script, *devices):
        return self.finish(self.start(script, *devices))
