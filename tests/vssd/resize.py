#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""vireo resize against a daemon, whose driver is a program of ours instead of a guest.

  tests/vssd/resize.py VIREO CLIENT
"""

import os
import subprocess
import sys
import tempfile
import time

VIREO, CLIENT = (os.path.abspath(word) for word in sys.argv[1:3])
WAIT_S = 30
UNIT = 64 << 10
DISK = 64 * UNIT


class Disk:
    """A daemon and a driver that can spare so many blocks."""

    def __init__(self, spare, *properties):
        for name in ("image", "image.vssd", "socket", "socket.control"):
            if os.path.exists(name):
                os.unlink(name)
        with open("log", "wb") as log:
            self.daemon = subprocess.Popen(
                [VIREO, "serve", "vssd", "--socket-path", "socket", "path=image", f"size={DISK}",
                 f"unit={UNIT}", *properties],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log)
        self.await_socket()
        self.driver = subprocess.Popen([CLIENT, "socket", str(spare)], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE)
        said = self.driver.stdout.readline()
        assert said == b"ready\n", said

    def await_socket(self):
        until = time.monotonic() + WAIT_S
        while time.monotonic() < until:
            with open("log", "rb") as log:
                if b" serves " in log.read():
                    return
            assert self.daemon.poll() is None, "the daemon ended"
            time.sleep(0.01)
        raise AssertionError("the daemon doesn't serve")

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.driver.stdin.close()
        if kind:
            self.driver.kill()
        status = self.driver.wait(WAIT_S)
        self.daemon.terminate()
        ended = self.daemon.wait(WAIT_S)
        assert kind or (status == 0 and ended == 0), (status, ended)


def resize(*words, expect=0):
    done = subprocess.run([VIREO, "resize", "-q", "socket", *words], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=WAIT_S)
    assert done.returncode == expect, (words, done)
    return (done.stdout if expect == 0 else done.stderr).decode()


def allocated():
    return os.stat("image").st_blocks * 512


def goes_on():
    """Whether a resize has begun, and that is recorded."""
    done = subprocess.run([VIREO, "resize", "-q", "socket", "--to", str(DISK)], stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=WAIT_S)
    return b"another resize" in done.stderr


def case_done():
    """Down and up again; what is handed back leaves the image."""
    with Disk(40):
        for blocks in (63, 50, 24, 40, 64, 30, 64):
            assert int(resize("--to", str(blocks * UNIT))) == blocks * UNIT
            assert allocated() <= blocks * UNIT, (allocated(), blocks)
        assert "out of range" in resize("--to", str(DISK + UNIT), expect=1)
        assert "multiple" in resize("--to", "1000", expect=1)


def case_declined():
    """spec: VSSD-DRV-5, VSSD-DEV-14: what was handed back stays so."""
    with Disk(8):
        assert f"has {56 * UNIT} bytes" in resize("--to", str(16 * UNIT), expect=3)
        assert int(resize("--to", str(DISK))) == DISK


def case_expired():
    """spec: VSSD-DEV-14: the deadline"""
    with Disk(-1, "deadline-ms=300"):
        begin = time.monotonic()
        assert "didn't answer in time" in resize("--to", str(16 * UNIT), expect=3)
        assert 0.25 < time.monotonic() - begin < 10
        assert "didn't answer in time" in resize("--to", str(16 * UNIT), expect=3)


def case_cancelled():
    """spec: VSSD-DEV-14: by whoever asked"""
    with Disk(-1, "deadline-ms=0"):
        resize("--cancel", expect=1)
        with subprocess.Popen([VIREO, "resize", "-q", "socket", "--to", "1M"],
                              stderr=subprocess.PIPE) as one:
            try:
                while not goes_on():
                    assert one.poll() is None, one.stderr.read()
                assert "another resize" in resize("--to", "2M", expect=1)
                resize("--cancel")
                status = one.wait(WAIT_S)
                assert status == 4, status
            finally:
                one.kill()


def main():
    cases = [(name, case) for name, case in globals().items() if name.startswith("case_")]
    failed = False
    print(f"1..{len(cases)}")
    for number, (name, case) in enumerate(cases, 1):
        with tempfile.TemporaryDirectory() as directory:
            os.chdir(directory)
            try:
                case()
                print(f"ok {number} {name[5:]}", flush=True)
            except (AssertionError, OSError, subprocess.SubprocessError) as error:
                print(f"# line {error.__traceback__.tb_next.tb_lineno}: {error!r}")
                print(f"not ok {number} {name[5:]}", flush=True)
                failed = True
            os.chdir("/")
    return failed


if __name__ == "__main__":
    sys.exit(main())
