#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Daemons of several kinds under mixed load, with clients that come and go.

  tests/soak/soak.py VIREO SOAK_DISK SOAK_NET [--seconds N] [--samples N] [--seed N]

Clients read, write, flush and discard, send frames and text, leave, die in the middle, connect again, lie,
and ask for counters in between. Now and then all of them pause, and what each daemon holds is counted: file
descriptors, mappings and the heap in use are what they were after the first of each. Exits 0, or 1 with what
grew.
"""

import argparse
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import hostile  # pylint: disable=wrong-import-position

WAIT_S = 60
DISK_BYTES = 4 << 20
# Of the heap: what a loop remembers of files that it has just been told to forget.
SLACK_BYTES = 1024
# What the allocator keeps for itself isn't in use; without caches it can be told apart.
TUNABLES = "glibc.malloc.tcache_count=0:glibc.malloc.arena_max=1"


def run(*words, status=(0,), **more):
    more = more or {"stdin": subprocess.DEVNULL}
    done = subprocess.run(words, capture_output=True, timeout=WAIT_S, check=False, **more)
    assert done.returncode in status, f"{words}: status {done.returncode}: {done.stderr.decode()}"
    return done.stdout


class Daemon:
    """One that is served to, how it is begun, and what its clients do."""

    def __init__(self, soak, name, kind, *words):
        self.name = name
        self.path = name
        self.soak = soak
        self.log = f"{name}.log"
        way = "--vfio-user" if "vfio" in name else "--socket-path"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [soak.vireo, "serve", kind, way, self.path, *words], stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=log, env={**os.environ, "GLIBC_TUNABLES": TUNABLES})
        for _ in range(WAIT_S * 100):
            if " serves " in self.said():
                return
            assert self.process.poll() is None, f"{name} ended: {self.said()}"
            time.sleep(0.01)
        raise AssertionError(f"{name} doesn't serve")

    def said(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return log.read()

    def status(self):
        return json.loads(run(self.soak.vireo, "status", "--socket-path", self.path))

    def idle(self):
        """Waits until nobody is connected."""
        for _ in range(WAIT_S * 20):
            assert self.process.poll() is None, f"{self.name} ended: {self.said()[-2000:]}"
            status = self.status()
            if not status["connected"]:
                return status
            time.sleep(0.05)
        raise AssertionError(f"{self.name}: still connected")

    def look(self):
        status = self.idle()
        assert status["sandbox"]["refused"] == 0, f"{self.name}: {self.said()}"
        process = f"/proc/{self.process.pid}"
        with open(f"{process}/status", encoding="ascii") as file:
            lines = dict(line.split(":", 1) for line in file)
        with open(f"{process}/maps", encoding="utf-8") as file:
            maps = len(file.readlines())
        return {"fds": len(os.listdir(f"{process}/fd")), "maps": maps, "heap": status["heap-bytes"],
                "data": int(lines["VmData"].split()[0]), "anonymous": int(lines["RssAnon"].split()[0])}

    def holds(self):
        """What it has now: descriptors, mappings, bytes of heap in use, KiB of data and of memory.

        The least of a few looks: who asked is only gone a moment after the answer.
        """
        looks = []
        for _ in range(4):
            looks.append(self.look())
            time.sleep(0.05)
        return {key: min(look[key] for look in looks) for key in looks[0]}

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(WAIT_S)
        assert status == 0, f"{self.name}: status {status}: {self.said()[-2000:]}"


class Soak:
    def __init__(self, options):
        self.vireo = os.path.abspath(options.vireo)
        self.disk_client = os.path.abspath(options.disk)
        self.net_client = os.path.abspath(options.net)
        self.options = options
        self.short = options.seconds < 300
        self.daemons = {}
        self.counts = {}
        self.lock = threading.Lock()
        self.wrong = []
        self.pause = threading.Event()
        self.over = threading.Event()
        self.working = []

    def count(self, name, number=1):
        with self.lock:
            self.counts[name] = self.counts.get(name, 0) + number

    def serve(self, name, kind, *words):
        self.daemons[name] = Daemon(self, name, kind, *words)

    # What clients do; each is told a daemon's path and a source of chance.

    def disk(self, draw, path, way):
        ms = draw.randrange(100, 400) if self.short else draw.randrange(300, 6000)
        said = run(self.disk_client, path, str(ms), "300" if self.short else "150", way,
                   str(draw.randrange(1, 1 << 30)))
        self.count("requests", int(said))
        self.count(f"disk {way}")

    def disk_leave(self, draw, path):
        self.disk(draw, path, "leave")

    def disk_drop(self, draw, path):
        self.disk(draw, path, "drop")

    def disk_listen(self, draw, path):
        self.disk(draw, path, "listen")

    def disk_killed(self, draw, path):
        """hostile: H2"""
        with subprocess.Popen([self.disk_client, path, "20000", "200", "leave", "1"],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as client:
            time.sleep(draw.random() * 0.4)
            client.kill()
        self.count("disk killed")

    def disk_command(self, draw, path):
        offset = str(4096 * draw.randrange(256))
        data = draw.randbytes(8192)
        run(self.vireo, "blk", path, "write", "--offset", offset, input=data)
        assert run(self.vireo, "blk", path, "read", "--offset", offset, "--length", "8192") == data
        self.count("disk command")

    def net(self, draw, path, way):
        ms = draw.randrange(100, 400) if self.short else draw.randrange(300, 6000)
        said = run(self.net_client, path, path + "-2", str(ms), "400" if self.short else "100", way)
        assert int(said) > 0, "no frame arrived"
        self.count("frames", int(said))
        self.count(f"net {way}")

    def net_leave(self, draw, path):
        self.net(draw, path, "leave")

    def net_drop(self, draw, path):
        self.net(draw, path, "drop")

    def net_both(self, draw, path):
        self.attack(draw, path + "-2")

    def console(self, draw, path):
        text = b"".join(b"line %d\n" % draw.randrange(1000) for _ in range(20))
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as tty:
            tty.settimeout(WAIT_S)
            tty.connect(path + ".tty")
            client = subprocess.Popen([self.vireo, "console", path, "--wait", "1"], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE)
            client.stdin.write(text)
            client.stdin.flush()
            got = b""
            # What an earlier one left is there, too.
            while not got.endswith(text):
                more = tty.recv(4096)
                assert more, f"the terminal's end after {got}"
                got += more
            if draw.random() < 0.3:
                client.kill()
            client.communicate()
        self.count("console")

    def rng(self, draw, path):
        assert len(run(self.vireo, "rng", path, "3000")) == 3000
        self.count("rng")

    def probe(self, draw, path):
        run(self.vireo, "probe", path)
        self.count("probe")

    def attack(self, draw, path):
        ways = hostile.VFIO_USER if "vfio" in path else hostile.VHOST_USER
        hostile.attack(draw.random(), path, ways)
        self.count("hostile")

    def ask(self, draw, path):
        """Counters and properties, while others are at work; this one's daemon is any."""
        daemon = draw.choice(list(self.daemons.values()))
        if "disk" in daemon.path:
            run(self.vireo, "stat", "--json", daemon.path)
        run(self.vireo, "get", "--socket-path", daemon.path, "queue-size")
        hostile.attack(draw.random(), daemon.path, [hostile.control])
        self.count("control")

    def work(self, number, path, ways):
        """One thread: all ways in turn first, then any."""
        draw = random.Random(self.options.seed * 100 + number)
        turn = 0
        try:
            while not self.over.is_set():
                if self.pause.is_set() and turn >= len(ways):
                    self.working[number] = False
                    time.sleep(0.05)
                    continue
                self.working[number] = True
                way = ways[turn] if turn < len(ways) else draw.choice(ways)
                turn += 1
                way(draw, path)
                time.sleep(draw.random() * (0.05 if self.short else 1.0))
        except Exception:  # pylint: disable=broad-except
            with self.lock:
                self.wrong.append(f"{path}:\n{traceback.format_exc()}")
        self.working[number] = False

    def start(self):
        for name in ("disk-uring", "disk-epoll", "disk-client"):
            with open(f"{name}.img", "wb") as image:
                image.truncate(DISK_BYTES)
        self.serve("disk-uring", "blk", "path=disk-uring.img", "num-queues=4", "--threads", "2")
        self.serve("disk-epoll", "blk", "path=disk-epoll.img", "num-queues=2", "--no-uring", "--poll-us",
                   "50")
        self.serve("disk-client", "blk", "path=disk-client.img", "--client")
        self.serve("net", "net", "backend=hub", "ports=net-2", "capture=/dev/null")
        self.serve("console", "console", "backend=socket", "path=console.tty", "hold=on")
        self.serve("rng", "rng")
        self.serve("rng-vfio", "rng")
        disks = [self.disk_leave, self.disk_drop, self.disk_killed, self.disk_command, self.probe,
                 self.attack]
        jobs = [("disk-uring", disks), ("disk-epoll", disks), ("disk-client", [self.disk_listen]),
                ("net", [self.net_leave, self.net_drop, self.probe, self.attack, self.net_both]),
                ("console", [self.console, self.probe, self.attack]),
                ("rng", [self.rng, self.probe, self.attack]), ("rng-vfio", [self.attack]),
                ("any", [self.ask])]
        # Each of the hostile ways, too, before the first count.
        for number, (path, ways) in enumerate(jobs):
            self.working.append(True)
            if self.attack in ways:
                ways = ways + [self.attack] * (7 if self.short else 14)
            threading.Thread(target=self.work, args=(number, path, ways), daemon=True).start()

    def sample(self):
        """Counts when nobody is at work."""
        self.pause.set()
        until = time.monotonic() + 4 * WAIT_S
        while any(self.working) and not self.wrong:
            assert time.monotonic() < until, "clients don't end"
            time.sleep(0.05)
        assert not self.wrong, "\n".join(self.wrong)
        held = {name: daemon.holds() for name, daemon in self.daemons.items()}
        self.pause.clear()
        return held

    def show(self, seconds, held):
        for name, now in held.items():
            print(f"{seconds:6.0f} s  {name:12}" + "".join(f"  {key} {value}" for key, value in now.items()),
                  flush=True)

    def run(self):
        begun = time.monotonic()
        self.start()
        try:
            first = self.sample()
            self.show(time.monotonic() - begun, first)
            last = first
            for number in range(1, self.options.samples + 1):
                due = begun + self.options.seconds * number / self.options.samples
                while time.monotonic() < due and not self.wrong:
                    time.sleep(0.1)
                last = self.sample()
                self.show(time.monotonic() - begun, last)
            self.over.set()
            for daemon in self.daemons.values():
                daemon.end()
            return first, last
        finally:
            self.over.set()
            for daemon in self.daemons.values():
                if daemon.process.poll() is None:
                    daemon.process.kill()


def judge(first, last):
    """What isn't as it was."""
    wrong = []
    for name, before in first.items():
        after = last[name]
        for key, slack in (("fds", 0), ("maps", 0), ("heap", SLACK_BYTES)):
            # A sanitizer's allocator keeps what it likes, and says itself what was lost.
            if key == "maps" and not before["heap"]:
                continue
            if abs(after[key] - before[key]) > slack:
                wrong.append(f"{name}: {key} were {before[key]} and are {after[key]}")
    return wrong


def main():
    parser = argparse.ArgumentParser()
    for name in ("vireo", "disk", "net"):
        parser.add_argument(name)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--samples", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    options.samples = options.samples or max(2, int(options.seconds / 300))
    soak = Soak(options)
    with tempfile.TemporaryDirectory(prefix="vireo-soak-") as directory:
        os.chdir(directory)
        try:
            wrong = judge(*soak.run())
        except Exception:  # pylint: disable=broad-except
            wrong = [traceback.format_exc()]
            for daemon in soak.daemons.values():
                wrong.append(f"{daemon.name} said:\n{daemon.said()[-1000:]}")
        os.chdir("/")
    print(", ".join(f"{name} {count}" for name, count in sorted(soak.counts.items())))
    for text in wrong:
        print(text)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
