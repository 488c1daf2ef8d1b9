#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Daemons whose front ends are silent, too many, strangers or dead, and that get hardly any time.

  tests/daemon/hardship.py VIREO SOAK_DISK BLK_CLIENT WHICH

WHICH is how the names of the cases begin: test or slow. Prints TAP.
"""

import json
import os
import pwd
import signal
import socket
import stat
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "lib"))
import tap  # pylint: disable=wrong-import-position

VIREO, SOAK_DISK, BLK_CLIENT = (os.path.abspath(path) for path in sys.argv[1:4])
WAIT_S = 60
GET_FEATURES = struct.pack("<III", 1, 1, 0)
BOTH_ENGINES = ([], ["--no-uring"])


def run(*words, **more):
    more = more or {"stdin": subprocess.DEVNULL}
    done = subprocess.run([VIREO, *words], capture_output=True, timeout=WAIT_S, check=False, **more)
    assert done.returncode == 0, f"{words}: status {done.returncode}: {done.stderr}"
    return done.stdout


class Daemon:
    def __init__(self, kind, *words, before=(), way="--socket-path"):
        with open("daemon.log", "wb") as log:
            self.process = subprocess.Popen([*before, VIREO, "serve", kind, way, "socket", *words],
                                            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log)
        for _ in range(WAIT_S * 100):
            if " serves " in self.said():
                return
            assert self.process.poll() is None, self.said()
            time.sleep(0.01)
        raise AssertionError("it doesn't serve")

    @staticmethod
    def said():
        with open("daemon.log", encoding="utf-8", errors="replace") as log:
            return log.read()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(WAIT_S)
        assert status in (0, -signal.SIGKILL), f"status {status}: {self.said()}"


def connect():
    peer = socket.socket(socket.AF_UNIX)
    peer.settimeout(WAIT_S)
    peer.connect("socket")
    return peer


def features(peer):
    peer.sendall(GET_FEATURES)
    return len(peer.recv(20)) == 20


def rest(peer):
    """How much comes until the other side hangs up."""
    return len(b"".join(iter(lambda: peer.recv(100), b"")))


def version(peer):
    text = struct.pack("<HH", 0, 1) + b'{"capabilities":{}}\0'
    peer.sendall(struct.pack("<HHIII", 1, 1, 16 + len(text), 0, 0) + text)
    return len(peer.recv(4096)) > 16


def test_silent_front_end():
    """hostile: C3: who says nothing, half of something, or nothing more doesn't keep others waiting."""
    for words in BOTH_ENGINES:
        for said in (b"", GET_FEATURES[:7], GET_FEATURES):
            with Daemon("adder", "--patience", "1", *words) as daemon, connect() as silent:
                silent.sendall(said)
                with connect() as second:
                    assert features(second)
                assert rest(silent) == (20 if said == GET_FEATURES else 0)
                assert "not a word for 1 s" in daemon.said()
    for speaks in (False, True):
        with Daemon("rng", "--patience", "1", way="--vfio-user"), connect() as silent:
            assert not speaks or version(silent)
            with connect() as second:
                assert version(second)
            assert silent.recv(1) == b""


def waits(peer, seconds):
    """Whoever connected so isn't served for so long."""
    peer.settimeout(seconds)
    try:
        peer.recv(20)
        raise AssertionError("served two at once, or sent one away")
    except socket.timeout:
        peer.settimeout(WAIT_S)


def test_front_end_that_speaks():
    """It may go on; one that is alone may take its time."""
    with Daemon("adder", "--patience", "2"), connect() as first:
        time.sleep(2.5)
        assert features(first)
        with connect() as second:
            second.sendall(GET_FEATURES)
            for _ in range(20):
                waits(second, 0.25)
                assert features(first)
            first.close()
            assert len(second.recv(20)) == 20


def test_front_end_that_drives():
    """Who has a queue run may be silent while others wait."""
    with Daemon("console", "backend=null", "--patience", "1"):
        with subprocess.Popen([VIREO, "console", "socket", "--wait", "0"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL) as first:
            try:
                while not json.loads(run("status", "--socket-path", "socket"))["running"]:
                    assert first.poll() is None
                    time.sleep(0.01)
                with connect() as second:
                    second.sendall(GET_FEATURES)
                    waits(second, 3.5)
                    first.kill()
                    assert len(second.recv(20)) == 20
            finally:
                first.kill()


def test_next_at_once():
    """Who connects while one is served, or just when it hangs up, is served when that is gone."""
    for way, speak in (("--socket-path", features), ("--vfio-user", version)):
        for words in BOTH_ENGINES:
            with Daemon("rng", *words, way=way):
                before = connect()
                for turn in range(200):
                    if turn % 3 == 0:
                        assert speak(before)
                    if turn % 2:
                        after = connect()
                        before.close()
                    else:
                        before.close()
                        after = connect()
                    before = after
                assert speak(before)
                before.close()


def as_nobody(function):
    """What the function says in a process of that user: 0 or the number of an error."""
    pid = os.fork()
    if not pid:
        try:
            os.setgroups([])
            os.setgid(pwd.getpwnam("nobody").pw_gid)
            os.setuid(pwd.getpwnam("nobody").pw_uid)
            function()
            os._exit(0)
        except OSError as error:
            os._exit(error.errno)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_stranger():
    """hostile: C42: other users are kept out by the sockets' permissions; control is its owner's."""
    before = os.umask(0o077)
    try:
        with Daemon("rng"):
            assert stat.S_IMODE(os.stat("socket").st_mode) == 0o700
            assert stat.S_IMODE(os.stat("socket.control").st_mode) == 0o600
            if os.getuid():
                return
            os.chmod(".", 0o755)

            def knock(path):
                with socket.socket(socket.AF_UNIX) as peer:
                    peer.connect(path)

            assert as_nobody(lambda: knock("socket")) == 13
            os.chmod("socket", 0o777)
            assert as_nobody(lambda: knock("socket")) == 0
            assert as_nobody(lambda: knock("socket.control")) == 13
            assert len(run("rng", "socket", "100")) == 100
    finally:
        os.umask(before)


def make_disk(size):
    with open("disk.img", "wb") as file:
        file.truncate(size)


def test_both_killed():
    """hostile: H3: both die at once; what was acknowledged is there, and both can be started again."""
    for turn, words in enumerate(BOTH_ENGINES * 4):
        make_disk(8 << 20)
        kept = os.urandom(64 << 10)
        with Daemon("blk", "path=disk.img", "num-queues=2", *words) as daemon:
            run("blk", "socket", "write", "--offset", "4M", input=kept)
            # It has the first 4 MiB.
            with subprocess.Popen([SOAK_DISK, "socket", "20000", "100000", "leave", str(turn + 1)],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as client:
                time.sleep(0.02 + 0.02 * turn)
                first, second = (daemon.process, client) if turn & 1 else (client, daemon.process)
                first.kill()
                second.kill()
        assert os.path.exists("socket")
        with Daemon("blk", "path=disk.img", "num-queues=2", *words):
            assert run("blk", "socket", "read", "--offset", "4M", "--length", "64K") == kept
            subprocess.run([SOAK_DISK, "socket", "50", "1000", "leave", "1"], check=True, timeout=WAIT_S,
                           capture_output=True)


def slow_starved():
    """hostile: H23: one processor, the lowest priority, 64 threads, and others that want it, too."""
    processor = sorted(os.sched_getaffinity(0))[0]
    before = ["taskset", "-c", str(processor), "nice", "-n", "19"]
    burners = [subprocess.Popen([*before, "sh", "-c", "while :; do :; done"])
               for _ in range(2)]
    try:
        for words in (["--threads", "64"], ["--threads", "64", "--no-uring", "--poll-us", "50"]):
            make_disk(4 << 20)
            with Daemon("blk", "path=disk.img", "num-queues=64", *words, before=before) as daemon:
                assert len(os.listdir(f"/proc/{daemon.process.pid}/task")) >= 64
                made = subprocess.run([BLK_CLIENT, "socket", "8"], check=False, timeout=120,
                                      capture_output=True)
                assert made.returncode == 0, made.stderr
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()


def main():
    return tap.run(tap.named(globals(), sys.argv[4] + "_"),
                   lambda: Daemon.said()[-1500:] if os.path.exists("daemon.log") else "")


if __name__ == "__main__":
    sys.exit(main())
