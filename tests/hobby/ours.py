#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Boots guest/hobby with Vireo's own devices, so that both halves of a device are ours.

  ours.py VIREO BOARD LINK [OPTIONS]

  LINK     vhost-user: disk, network and entropy, on q35 an input device, too; vfio-user: all devices, on q35
  OPTIONS  of each device, as for run.py

What happens meanwhile and what is looked at is what run.py does with QEMU's devices. On q35 it takes a newer
QEMU than Debian 12 has: that knows vfio-user, and doesn't fall over a vhost-user network device that
interrupts by messages. Exits 77 when something is absent, and says what.
"""

import contextlib
import os
import re
import socket
import subprocess
import sys

import disk
import peers
import run

sys.path.insert(0, os.path.join(run.ROOT, "scripts"))
import guests  # pylint: disable=wrong-import-position

VSSD_BYTES = 4 << 20
KINDS = {"key": "EV_KEY", "rel": "EV_REL", "abs": "EV_ABS"}


class Ours(run.Machine):
    """One QEMU in which others' devices are ways to ours."""

    def __init__(self, vireo, board, link, options, folder, stack):
        self.vireo, self.link, self.stack = vireo, link, stack
        self.pipes = {}
        self.console = None
        self.used = list(run.ALL) + ["adder", "caesar", "vssd"]
        if link == "vhost-user":
            self.used = ["blk", "ring", "rng", "net"] + (["input"] if board == "q35" else [])
        super().__init__(board, "pci-modern", options, folder)
        self.arguments[self.arguments.index("-M") + 1] += ",memory-backend=memory"
        self.arguments += ["-object", "memory-backend-memfd,id=memory,size=128M,share=on"]
        if board == "q35":
            self.arguments[:1] = guests.newest_qemu() or run.absent("QEMU 11, which can't be downloaded,")

    def serve(self, name, kind, *properties):
        """The path of its socket."""
        path = f"{self.folder}/{name}"
        options = {"packed": "off", **self.options}
        self.stack.enter_context(guests.serve(self.vireo, [
            self.vireo, "serve", kind, "--socket-path" if self.link == "vhost-user" else "--vfio-user", path,
            *(f"{key.replace('_', '-')}={value}" for key, value in options.items()), *properties]))
        return path

    def attach(self, name, kind, *properties):
        path = self.serve(name, kind, *properties)
        if self.link == "vfio-user":
            self.devices += ["-device",
                             '{"driver":"vfio-user-pci","socket":{"type":"unix","path":"%s"}}' % path]
            return
        self.devices += ["-chardev", f"socket,id={name},path={path}"]
        if kind == "net":
            self.devices += ["-netdev", f"vhost-user,id=ours,chardev={name}"]
            self.add("virtio-net", "id=net0,netdev=ours")
        else:
            self.add(f"vhost-user-{kind}", f"chardev={name}")

    def add_devices(self):
        folder = self.folder
        disk.make(f"{folder}/disk")
        self.attach("blk", "blk", f"path={folder}/disk", "serial=hobby disk")
        self.attach("rng", "rng")
        self.attach("net", "net", "backend=socket", f"path={folder}/cable", "listen=on",
                    "mac=52:54:00:12:34:56")
        # A cable from our device to the hub, where QEMU 7.2 wants to see a card before it lets a guest run.
        self.devices += [*self.neighbour.arguments(), "-device", "e1000,netdev=card",
                         "-netdev", f"stream,id=cable,server=off,addr.type=unix,addr.path={folder}/cable",
                         "-netdev", "hubport,id=hub-cable,hubid=0,netdev=cable"]
        with open(f"{folder}/console.in", "wb"):
            pass
        if "console" in self.used:
            self.attach("console", "console", "backend=socket", f"path={folder}/console.tty")
            self.console = self.stack.enter_context(socket.socket(socket.AF_UNIX))
            self.console.connect(f"{folder}/console.tty")
            self.console.sendall(run.LINE)
        for name in peers.INPUTS if "input" in self.used else ():
            self.pipes[name] = f"{folder}/{name}.events"
            os.mkfifo(self.pipes[name])
            # Open for both, as one that only reads waits for one who writes.
            self.pipes[name] = os.open(self.pipes[name], os.O_RDWR)
            self.stack.callback(os.close, self.pipes[name])
            self.attach(name, "input", "backend=script", f"path={folder}/{name}.events",
                        f"kind={name.lower()}", f"name={name}")
        if "vssd" in self.used:
            self.attach("adder", "adder")
            self.attach("caesar", "caesar")
            self.attach("vssd", "vssd", f"path={folder}/vssd.img", f"size={VSSD_BYTES}")

    def react(self, line, qmp):
        super().react(line, qmp)
        sizes = {"vssd: may shrink now": VSSD_BYTES // 4 * 3, "vssd: may grow now": VSSD_BYTES}
        if line in sizes:
            subprocess.run([self.vireo, "resize", f"{self.folder}/vssd", "--to", str(sizes[line])],
                           check=True)

    def grow(self, qmp):
        os.truncate(f"{self.folder}/disk", disk.GROWN)

    def press(self, qmp, name):
        for group in peers.INPUTS[name][1].split(", "):
            events = [f"{KINDS[kind]} {code} {value}\n"
                      for kind, code, value in re.findall(r"([a-z]+)(\d+)=(-?\d+)", group)]
            os.write(self.pipes[name], "".join(events + ["EV_SYN 0 0\n"]).encode())

    def plug(self, qmp, up):
        if self.link == "vhost-user":
            super().plug(qmp, up)
            return
        subprocess.run([self.vireo, "set", "--socket-path", f"{self.folder}/net",
                        f"link={'on' if up else 'off'}"], check=True)

    def check_peers(self):
        if self.console:
            wanted = len(run.LINE) * 20
            self.console.settimeout(10)
            with open(f"{self.folder}/console.out", "wb") as file:
                while file.tell() < wanted:
                    file.write(self.console.recv(wanted) or b"\0" * wanted)
        super().check_peers()
        for name in self.used:
            if name != "ring":
                print(f"matrix: device {name} {self.link} hobby")


def main():
    if len(sys.argv) not in (4, 5) or sys.argv[2] not in run.BOARDS or \
            sys.argv[3] not in ("vhost-user", "vfio-user"):
        sys.stderr.write(__doc__)
        return 2
    vireo, board, link, options = (sys.argv + [""])[1:5]
    with contextlib.ExitStack() as stack:
        return run.attempt(f"{board} {link} {options}", board, lambda folder: Ours(
            os.path.abspath(vireo), board, link, options, folder, stack))


if __name__ == "__main__":
    sys.exit(main())
