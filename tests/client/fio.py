#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""fio's engine against Vireo's disk and against qemu-storage-daemon's, and ports against Vireo's networks.

  tests/client/fio.py VIREO ENGINE SANITIZERS CLIENT_PORT DISGUISE

ENGINE is libvireo-fio.so, or - where it isn't built. DISGUISE loads an engine as a program that says it is
another fio. Prints TAP.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "lib"))
import tap  # pylint: disable=wrong-import-position

VIREO, ENGINE, SANITIZERS, CLIENT_PORT, DISGUISE = sys.argv[1:6]
WAIT_S = 60
DISK_BYTES = 32 << 20


def environment():
    """fio isn't built with sanitizers, so theirs have to be there before it."""
    if "address" not in SANITIZERS:
        return dict(os.environ)
    libraries = [subprocess.run(["gcc", f"-print-file-name={name}.so"], capture_output=True, text=True,
                                check=True).stdout.strip() for name in ("libasan", "libubsan")]
    return {**os.environ, "LD_PRELOAD": " ".join(libraries), "ASAN_OPTIONS": "detect_leaks=0"}


def served(path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        try:
            client.connect(path)
        except OSError:
            return False
    return True


class Server:
    def __init__(self, *words):
        for left in ("socket", "socket.control"):
            if os.path.exists(left):
                os.unlink(left)
        with open("server.log", "wb") as log:
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        for _ in range(WAIT_S * 100):
            if served("socket"):
                return
            assert self.process.poll() is None, f"{words} ended"
            time.sleep(0.01)
        raise AssertionError(f"{words}: no socket")

    def __enter__(self):
        return self.process

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def make_disk():
    """A new one: that of a daemon that was killed may be locked for a moment."""
    if os.path.exists("disk.img"):
        os.unlink("disk.img")
    with open("disk.img", "wb") as file:
        file.truncate(DISK_BYTES)


def vireo_disk():
    make_disk()
    return Server(VIREO, "serve", "blk", "--socket-path", "socket", "path=disk.img", "num-queues=2")


def qemu_disk():
    make_disk()
    return Server("qemu-storage-daemon", "--blockdev",
                  "driver=file,node-name=n,filename=disk.img,discard=unmap", "--export",
                  "type=vhost-user-blk,id=e,node-name=n,addr.type=unix,addr.path=socket,writable=on,"
                  "num-queues=2")


def fio(*words, status=0, path="socket"):
    at = [f"--socket={path}"] if path else []
    done = subprocess.run(["fio", "--name=t", f"--ioengine=external:{ENGINE}", *at, "--output-format=json",
                           *words], capture_output=True, text=True, timeout=WAIT_S, env=environment(),
                          check=False)
    assert done.returncode == status, f"{words}: status {done.returncode}: {done.stderr}{done.stdout[-500:]}"
    if status:
        return done.stderr + done.stdout
    job = json.loads(done.stdout[done.stdout.index("{"):])["jobs"][0]
    assert job["error"] == 0, done.stderr
    return job


def random_reads():
    job = fio("--rw=randread", "--bs=4k", "--iodepth=32", "--size=16m", "--queues=2")
    assert job["read"]["total_ios"] == 4096, job["read"]
    job = fio("--rw=randread", "--bs=64k", "--iodepth=4", "--size=16m", "--polls=1", "--split=1")
    assert job["read"]["total_ios"] == 256, job["read"]


def writes_with_verification():
    job = fio("--rw=randwrite", "--bs=4k", "--iodepth=16", "--size=8m", "--verify=crc32c", "--do_verify=1",
              "--verify_fatal=1", "--fsync=32")
    assert job["write"]["total_ios"] == 2048 and job["read"]["total_ios"] == 2048, job
    assert job["sync"]["total_ios"] >= 2048 // 32, job["sync"]
    # It has to be on the disk, and not only somewhere that both look at.
    with open("disk.img", "rb") as file:
        assert any(file.read(8 << 20)), "nothing was written"


def damage_is_found():
    """That verification can fail: a block changes behind fio's back."""
    job = ["--rw=write", "--bs=4k", "--iodepth=4", "--size=1m", "--verify=crc32c", "--verify_fatal=1"]
    fio(*job, "--do_verify=0")
    with open("disk.img", "r+b") as file:
        file.seek(40960 + 1000)
        file.write(b"damaged")
    assert "verify" in fio(*job, "--verify_only=1", status=1)


def trims():
    job = fio("--rw=randtrim", "--bs=64k", "--iodepth=8", "--size=8m")
    assert job["trim"]["total_ios"] == 128, job["trim"]


def threads_and_processes():
    """A connection each, one after the other where a back end has only one at a time."""
    job = fio("--rw=randrw", "--bs=8k", "--iodepth=8", "--size=4m", "--thread=1")
    assert job["read"]["total_ios"] + job["write"]["total_ios"] == 512, job


def refusals():
    assert "give socket=PATH" in fio("--rw=read", "--size=1m", path=None, status=1)
    assert "No such file" in fio("--rw=read", "--size=1m", path="nowhere", status=1)
    assert "1 to 8" in fio("--rw=read", "--size=1m", "--queues=9", status=1)


def another_fio():
    """One of a version that the engine doesn't know is told so, and the engine says no to it."""
    done = subprocess.run([DISGUISE, ENGINE], capture_output=True, text=True, timeout=WAIT_S, check=False)
    assert done.returncode == 0, done.stderr
    assert "this is fio-3.99, and the engine was built for fio-3.33" in done.stderr, done.stderr


def ports():
    with Server(VIREO, "serve", "net", "--socket-path", "socket", "backend=echo", "mac=52:54:00:00:00:07",
                "mtu=1500", "pairs=4"):
        for pairs in (1, 4):
            out = subprocess.run([CLIENT_PORT, "socket", str(pairs), "2000"], capture_output=True, text=True,
                                 timeout=WAIT_S, check=False)
            assert out.returncode == 0, out.stderr
            assert out.stdout == (f"{pairs} pairs, mac 52:07, mtu 1500, link up: "
                                  f"{2000 * pairs} frames\n"), out.stdout


def on(disk, case):
    def run():
        with disk():
            case()
    return run


def main():
    cases = {"ports": ports}
    if ENGINE != "-":
        assert shutil.which("fio"), "fio isn't there"
        for name, disk in (("vireo", vireo_disk), ("qemu-storage-daemon", qemu_disk)):
            for case in (random_reads, writes_with_verification, damage_is_found, trims,
                         threads_and_processes):
                cases[f"{name}: {case.__name__}"] = on(disk, case)
        cases["refusals"] = on(vireo_disk, refusals)
        cases["another fio"] = another_fio
    return tap.run(cases)


if __name__ == "__main__":
    VIREO, CLIENT_PORT, DISGUISE = (os.path.abspath(word) for word in (VIREO, CLIENT_PORT, DISGUISE))
    ENGINE = ENGINE if ENGINE == "-" else os.path.abspath(ENGINE)
    sys.exit(main())
