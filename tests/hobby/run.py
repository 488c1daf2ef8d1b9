#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Boots guest/hobby with QEMU's own devices and looks at what it printed and did.

  run.py BOARD TRANSPORT [OPTIONS]

  BOARD      pc q35 microvm riscv64 aarch64 s390x
  TRANSPORT  pci-modern pci-legacy pci-transitional, pci-port: modern, each behind a root port;
             mmio-1 (legacy) mmio-2;
             ccw, ccw-classic: without adapter interrupts, ccw-legacy, which is to be refused
  OPTIONS    of each device, as event_idx=off,indirect_desc=off; both are on unless told

Meanwhile the disk grows, a neighbour pings the guest, its link goes down and up, keys are pressed and a mouse
is moved: peers.py. The kernels are built below $HOBBY_OUT (build/hobby). Exits 77 when a tool is absent, and
says which.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

import disk
import peers
from peers import Failure

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
OUT = os.environ.get("HOBBY_OUT", os.path.join(ROOT, "build", "hobby"))
SECONDS = 60
X86 = ["-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-M"]

# The machine, QEMU's arguments, the exit status of a guest that is content.
BOARDS = {
    "pc": ("x86_64", X86 + ["pc"], 33),
    "q35": ("x86_64", X86 + ["q35"], 33),
    "microvm": ("x86_64", X86 + ["microvm"], 33),
    "riscv64": ("riscv64", ["-M", "virt", "-bios", "none"], 0),
    "aarch64": ("aarch64", ["-M", "virt", "-cpu", "cortex-a53", "-semihosting"], 0),
    "s390x": ("s390x", ["-action", "panic=exit-failure", "-M", "s390-ccw-virtio"], 0),
}

# Those with PCI interrupts by message.
MESSAGES = ("q35", "aarch64")

REFUSED = None

# The bus in a device's name, properties, and what the guest calls it.
TRANSPORTS = {
    "pci-modern": ("pci", "disable-legacy=on,disable-modern=off", "virtio-pci"),
    "pci-port": ("pci", "", "virtio-pci"),
    "pci-transitional": ("pci", "disable-legacy=off,disable-modern=off", "virtio-pci"),
    "pci-legacy": ("pci", "disable-legacy=off,disable-modern=on", "virtio-pci-legacy"),
    "mmio-1": ("device", "", "virtio-mmio-legacy"),
    "mmio-2": ("device", "", "virtio-mmio"),
    "ccw": ("ccw", "", "virtio-ccw"),
    "ccw-classic": ("ccw", "", "virtio-ccw"),
    "ccw-legacy": ("ccw", "max_revision=0", REFUSED),
}

# How interrupts are to come: by lines, by messages. Channel I/O has both: a device's own for changes of the
# configuration, and adapter interrupts, which count as messages.
LINES = "[1-9]\\d* interrupts by lines, 0 by messages"
BY_MESSAGE = "0 interrupts by lines, [1-9]\\d* by messages"
BOTH = "[1-9]\\d* interrupts by lines, [1-9]\\d* by messages"

# Ring features: property of QEMU's, bit, whether it is there when nothing is said.
RING_BITS = (("indirect_desc", 28, True), ("event_idx", 29, True), ("packed", 34, False),
             ("in_order", 35, False))
RING_RESET = 40
LINE = b"the quick brown fox " * 50 + b"\n"
# QEMU has no legacy one of these.
MODERN_ONLY = ("virtio-keyboard", "virtio-tablet", "virtio-mouse", "vhost-user-rng", "vhost-user-input")
ALL = ("blk", "console", "ring", "rng", "net", "input")


def absent(what):
    print(f"{what} is absent")
    sys.exit(77)


def build(board, machine):
    for tool in (f"qemu-system-{machine}", f"{machine}-linux-gnu-gcc", f"{machine}-linux-gnu-ld", "make"):
        if not shutil.which(tool):
            absent(tool)
    os.makedirs(OUT, exist_ok=True)
    done = subprocess.run(["flock", f"{OUT}/lock", "make", "-s", "-f", f"{ROOT}/guest/hobby/Makefile",
                           f"BOARD={board}", f"OUT={OUT}"],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise Failure(f"it doesn't build: {done.stdout}")


class Machine:
    """One QEMU with all that it is given, and the table that the guest prints."""

    used = ALL  # by the guest

    def __init__(self, board, transport, options, folder):
        self.board, self.transport, self.folder = board, transport, folder
        self.machine, arguments, self.good_exit = BOARDS[board]
        self.bus, properties, self.shown = TRANSPORTS[transport]
        self.good_exit = 1 if self.shown == REFUSED else self.good_exit
        self.options = dict(option.split("=", 1) for option in options.split(",") if option)
        self.properties = [text for text in (properties, options) if text]
        self.neighbour = peers.Neighbour(folder)
        self.ports = 0
        self.output = []
        self.failure = None
        self.devices = []
        self.arguments = [f"qemu-system-{self.machine}", "-nodefaults", "-no-user-config", "-display", "none",
                          "-no-reboot", "-accel", "tcg", "-smp", "1", "-m", "128M", *arguments,
                          "-kernel", f"{OUT}/{board}/hobby.elf",
                          "-qmp", f"unix:{folder}/qmp,server=on,wait=off"]
        # Without a BIOS that places the BARs the guest has to.
        if board == "q35" and transport != "pci-port" and os.path.exists("/usr/share/qemu/qboot.rom"):
            self.arguments += ["-bios", "/usr/share/qemu/qboot.rom"]
        if transport == "ccw-classic":
            self.arguments[self.arguments.index("-M") + 1] += ",loadparm=CLASSIC"
        if transport == "mmio-2":
            self.arguments += ["-global", "virtio-mmio.force-legacy=false"]
        self.add_devices()

    def add(self, name, properties=""):
        parts = [f"{name}-{self.bus}"] + ([properties] if properties else [])
        if self.transport == "pci-port":
            self.ports += 1
            self.devices += ["-device",
                             f"pcie-root-port,id=port{self.ports},chassis={self.ports},slot={self.ports}"]
            parts.append(f"bus=port{self.ports}")
        if name not in MODERN_ONLY:
            parts += self.properties
        elif self.properties:
            parts += [text for text in self.properties if "disable-" not in text]
        self.devices += ["-device", ",".join(parts)]

    def add_devices(self):
        folder = self.folder
        disk.make(f"{folder}/disk")
        with open(f"{folder}/console.in", "wb") as file:
            file.write(LINE)
        self.devices += ["-drive", f"if=none,id=disk,file={folder}/disk,format=raw,discard=unmap",
                         "-chardev", "stdio,id=console,signal=off"]
        self.devices += self.neighbour.arguments()
        self.add("virtio-blk", "drive=disk,serial=hobby disk,discard=on,write-zeroes=on")
        self.add("virtio-rng")
        self.add("virtio-serial")
        self.devices += ["-device", "virtconsole,chardev=console"]
        self.add("virtio-net", "id=net0,netdev=card")
        for name in peers.INPUTS if self.shown != REFUSED else ():
            self.add(f"virtio-{name.lower()}")

    def react(self, line, qmp):
        """The guest says that it waits for something."""
        if line == "blk: may grow now":
            self.grow(qmp)
        waits = re.match(r"input: (?:QEMU Virtio )?(\w+) listens$", line)
        if waits:
            self.press(qmp, waits[1])
        waits = re.match(r"net: ([\d.]+), .* serves$", line)
        if waits:
            self.neighbour.visit(waits[1])
            for up in (False, True):
                time.sleep(0.05)  # else one interrupt may stand for both
                self.plug(qmp, up)

    def grow(self, qmp):
        qmp("block_resize", device="disk", size=disk.GROWN)

    def press(self, qmp, name):
        for group in peers.INPUTS[name][0]:
            qmp("input-send-event", events=group)

    def plug(self, qmp, up):
        qmp("set_link", name="net0", up=up)

    def run(self):
        readable, writable = os.pipe()
        with open(f"{self.folder}/qemu", "wb") as errors, \
                open(f"{self.folder}/console.in", "rb") as console_in, \
                open(f"{self.folder}/console.out", "wb") as console_out, \
                subprocess.Popen(self.arguments + self.devices + ["-serial", f"file:/dev/fd/{writable}"],
                                 stdin=console_in, stdout=console_out, stderr=errors,
                                 pass_fds=(writable,)) as qemu:
            os.close(writable)
            timer = threading.Timer(SECONDS, qemu.kill)
            timer.start()
            try:
                self.watch(readable)
                status = qemu.wait()
            finally:
                timer.cancel()
                qemu.kill()
        with open(f"{self.folder}/qemu", encoding="utf-8", errors="replace") as errors:
            unknown = re.search(r"Property '\S*\.(\w+)' not found", errors.read())
        if unknown:
            absent(f"QEMU's property {unknown[1]}")
        if status == -9:
            raise Failure(f"it didn't end within {SECONDS} s")
        if status != self.good_exit:
            raise Failure(f"exit status {status}, not {self.good_exit}")

    def watch(self, serial):
        qmp = None
        with open(serial, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                self.output.append(line.rstrip("\n"))
                if qmp is None and self.shown != REFUSED:  # that one is gone as soon as it came
                    qmp = peers.Qmp(f"{self.folder}/qmp", time.monotonic() + 10)
                self.react(self.output[-1], qmp)

    def rows(self, device):
        found = [line for line in self.output if line.startswith(f"{device} ")]
        if not found:
            raise Failure(f"no line for {device}")
        return found

    def wanted(self, name, default):
        return self.options[name] == "on" if name in self.options else default

    def check_ring(self, row):
        device, shown, features = row.split()[:3]
        expected = "virtio-pci" if device == "input" and self.bus == "pci" else self.shown
        if shown != expected:
            raise Failure(f"{device} was driven through {shown}, not {expected}")
        for name, bit, default in RING_BITS:
            if (int(features, 16) >> bit & 1) != self.wanted(name, default):
                raise Failure(f"{device}: {name} isn't as told: {row}")

    def interrupts(self):
        if self.transport == "ccw":
            return BOTH
        by_message = self.board in MESSAGES and self.bus == "pci" and self.options.get("vectors") != "0"
        return BY_MESSAGE if by_message else LINES

    def check_refused(self):
        """Rings of revision 0 are in the driver's order of bytes, which isn't that of our drivers."""
        refused = [line for line in self.output if re.match(r"subchannel \d: not supported$", line)]
        if len(refused) != 4 or not any(line.endswith(": 0 devices") for line in self.output):
            raise Failure("four devices were to be refused")

    def check(self):
        if self.shown == REFUSED:
            self.check_refused()
            return
        for device in self.used:
            for row in self.rows(device):
                if not row.endswith(" ok"):
                    raise Failure(row)
                self.check_ring(row)
        if not re.match(r"\d+ good, 0 bad$", self.output[-1]):
            raise Failure("no last line that all is good")
        came = self.interrupts()
        if not any(re.match(came + ", 0 lost$", line) for line in self.output):
            raise Failure(f"no line as '{came}, 0 lost'")
        # QEMU offers RING_RESET with virtio-mmio, too, and doesn't have it there.
        ring = self.rows("ring")[0]
        if self.bus == "pci" and int(ring.split()[2], 16) >> RING_RESET & 1 and " 0 resets" in ring:
            raise Failure("no queue was reset")
        self.check_peers()

    def check_peers(self):
        complaint = disk.check(f"{self.folder}/disk")
        if complaint:
            raise Failure(complaint)
        with open(f"{self.folder}/console.out", "rb") as file:
            if "console" in self.used and file.read() != LINE.upper() * 20:
                raise Failure("the console's output isn't its input in capitals, 20 times")
        row = self.rows("net")[0]
        done = re.search(r" 10\.0\.2\.15, gateway 10\.0\.2\.2, 4 pings out, (\d+) in; link down 1, up 1 ",
                         row)
        if not done or int(done[1]) < len(peers.PING_BYTES):
            raise Failure(f"the network isn't as expected: {row}")
        heard = self.neighbour.dhcp
        if [kind for at, kind in enumerate(heard) if kind not in heard[:at]] != [1, 2, 3, 5]:
            raise Failure(f"DHCP went {heard}, not DISCOVER, OFFER, REQUEST, ACK")
        for name, (_, report) in peers.INPUTS.items() if "input" in self.used else ():
            if not any(f" {report} " in row for row in self.rows("input")):
                raise Failure(f"the {name.lower()} didn't report {report}")


def attempt(name, board, make):
    """Runs the machine that make(folder) gives, prints what it had to say; the exit status."""
    with tempfile.TemporaryDirectory() as folder:
        machine = None
        try:
            build(board, BOARDS[board][0])
            machine = make(folder)
            machine.run()
            machine.check()
        except Failure as failure:
            print(f"FAILED: {name}: {failure}")
            for line in machine.output if machine else []:
                print(f"  guest: {line}")
            if machine and os.path.exists(f"{folder}/qemu"):
                with open(f"{folder}/qemu", encoding="utf-8", errors="replace") as file:
                    print("".join(f"  qemu: {line}" for line in file), end="")
            return 1
        finally:
            if machine:
                machine.neighbour.close()
        print("\n".join(machine.output))
    return 0


def main():
    if len(sys.argv) not in (3, 4) or sys.argv[1] not in BOARDS or sys.argv[2] not in TRANSPORTS:
        sys.stderr.write(__doc__)
        return 2
    board, transport, options = (sys.argv + [""])[1:4]
    return attempt(f"{board} {transport} {options}", board,
                   lambda folder: Machine(board, transport, options, folder))


if __name__ == "__main__":
    sys.exit(main())
