#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Linux guests that talk to each other through the network device.

  tests/net/net.py VIREO - CASE

Exits 0, 1, or 77 with a line that names what is absent.
"""

import contextlib
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "guest"))
import guest as boots  # pylint: disable=wrong-import-position
import guests  # pylint: disable=wrong-import-position

VIREO = boots.VIREO
ADDRESSES = ("10.9.0.1", "10.9.0.2")

# Both guests begin and end like this; the counters have to be zero.
BEGIN = """
ip link set lo up
ip link set eth0 up
ip addr add {address}/24 dev eth0
ip addr add fd09::{number}/64 dev eth0 nodad
"""
END = """
grep . /sys/class/net/eth0/statistics/*error* /sys/class/net/eth0/statistics/*dropped >counters
! grep -v ':0$' counters
"""
SERVE = """
iperf3 -s >server 2>&1 &
touch "$COMMON/ready"
tries=0
while [ ! -e "$COMMON/done" ] && [ $tries -lt 2000 ]; do
    sleep 0.1
    tries=$((tries + 1))
done
test -e "$COMMON/done"
"""
# The server closes its socket for a moment between two measurements.
CALL = """
measure() {{
    for try in 1 2 3 4 5 6 7 8 9 10; do
        iperf3 "$@" 2>refused && return
        cat refused >&2
        grep -q "Connection refused" refused || return 1
        sleep 0.5
    done
    return 1
}}
tries=0
while [ ! -e "$COMMON/ready" ] && [ $tries -lt 600 ]; do
    sleep 0.1
    tries=$((tries + 1))
done
ping -q -c 5 -i 0.1 -w 20 10.9.0.1
ping -q -c 3 -i 0.1 -w 20 -s 9000 10.9.0.1
ping -6 -q -c 3 -i 0.1 -w 20 fd09::1
{work}
touch "$COMMON/done"
"""
SHORT = """
measure -c 10.9.0.1 -n {size}
measure -c 10.9.0.1 -n {size} -R
measure -c fd09::1 -n {size} -P 2
measure -c 10.9.0.1 -n 1M -u -b 50M
measure -c 10.9.0.1 -n 1M -u -b 50M -R
"""


# How each is given the device. Of QEMU 7.2 without KVM one with MSI-X doesn't come up.
UML = "--append|virtio_uml.device={path}:1"
QEMU = ("--vmm|qemu|--vmm-option|-chardev socket,id=n,path={path} -netdev vhost-user,id=n,chardev=n "
        "-device virtio-net-pci,netdev=n,vectors=0,romfile=")


class Pair:
    """Two guests with a device each, the daemons that serve it, and a directory that all see."""

    def __init__(self, directory):
        self.directory = directory
        self.guests = []
        for name in ("one", "two"):
            os.mkdir(os.path.join(directory, name))
            self.guests.append(boots.Guest(os.path.join(directory, name)))
        self.sockets = [self.path("one.sock"), self.path("two.sock")]

    def path(self, name):
        return os.path.join(self.directory, name)

    def run(self, work, first="", second=""):
        """One guest serves, the other calls; what the caller wrote."""
        texts = (BEGIN.format(address=ADDRESSES[0], number=1) + first + SERVE + END,
                 BEGIN.format(address=ADDRESSES[1], number=2) + second + CALL.format(work=work) + END)
        processes = []
        try:
            for guest, text, path in zip(self.guests, texts, self.sockets):
                processes.append(guest.start(
                    text, "--share", self.directory, "--env", f"COMMON={self.directory}",
                    *(QEMU if guest.kernel != boots.KERNEL else UML).format(path=path).split("|")))
            status = [process.wait(boots.TIMEOUT_S) for process in reversed(processes)]
        finally:
            for process in processes:
                if process.poll() is None:
                    process.terminate()
                    process.wait(30)
        said = "\n".join(guest.said() for guest in self.guests)
        assert status == [0, 0], said
        return self.guests[1].said()

    def check_daemons(self):
        for path in self.sockets:
            for name in ("rx-dropped", "tx-dropped"):
                done = subprocess.run([VIREO, "get", "--socket-path", path, name], check=True,
                                      stdout=subprocess.PIPE, text=True)
                assert done.stdout.strip() == "0", (path, name, done.stdout)


def serve_hub(pair, *words):
    return boots.serve(VIREO, "serve", "net", "--socket-path", pair.sockets[0], "backend=hub",
                       f"ports={pair.sockets[1]}", "mac=52:54:00:00:00:01", *words)


def check_capture(path):
    seen = {1: 0, 2: 0}
    for direction, packet in guests.packets(path):
        right = guests.checksum_is_right(packet)
        assert right is not False, packet.hex()
        assert len(packet) <= 1514, len(packet)
        seen[direction] += right is True
    assert min(seen.values()) > 100, seen


def case_hub(pair):
    """Ping, TCP and UDP both ways over IPv4 and IPv6; each packet on the capture has its checksums right."""
    with serve_hub(pair, f"capture={pair.path('talk.pcapng')}"):
        pair.run(SHORT.format(size="8M"))
        pair.check_daemons()
    check_capture(pair.path("talk.pcapng"))


def case_hub_plain(pair):
    """The same without offloads, one buffer a packet, and a hub that repeats."""
    with serve_hub(pair, "csum=off", "mrg-rxbuf=off", "ctrl-vq=off", "learn=off",
                   f"capture={pair.path('talk.pcapng')}"):
        pair.run(SHORT.format(size="4M"))
        pair.check_daemons()
    check_capture(pair.path("talk.pcapng"))


def case_hub_unequal(pair):
    """One guest sends long frames, the other takes none; then the link goes down and comes back."""
    boots.need("ethtool")
    with serve_hub(pair, "pairs=2"):
        pair.run(SHORT.format(size="8M"), "ethtool -K eth0 rx-gro-hw off\nethtool -L eth0 combined 2\n")
        pair.check_daemons()


def case_link(pair):
    """The cable is pulled and put back; the guest sees both."""
    text = BEGIN.format(address=ADDRESSES[0], number=1) + """
        until_is() {
            tries=0
            while [ "$(cat /sys/class/net/eth0/$1)" != $2 ] && [ $tries -lt 200 ]; do
                sleep 0.1
                tries=$((tries + 1))
            done
            test "$(cat /sys/class/net/eth0/$1)" = $2
        }
        until_is operstate up
        cat /sys/class/net/eth0/address /sys/class/net/eth0/mtu /sys/class/net/eth0/speed
        touch up
        until_is operstate down
        touch down
        until_is operstate up
        """
    guest = pair.guests[0]
    with serve_hub(pair, "mtu=1400", "speed=2500", "duplex=full"):
        process = guest.start(text, "--append", f"virtio_uml.device={pair.sockets[0]}:1")
        try:
            for mark, value in (("up", "link=off"), ("down", "link=on")):
                boots.until(lambda name=mark: os.path.exists(guest.path(name)) or process.poll() is not None,
                            mark)
                subprocess.run([VIREO, "set", "--socket-path", pair.sockets[0], value], check=True)
            assert process.wait(60) == 0, guest.said()
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(30)
    assert guest.said().split() == ["52:54:00:00:00:01", "1400", "2500"], guest.said()


@contextlib.contextmanager
def namespace():
    """A network of its own with a bridge, gone afterwards."""
    name = f"vireo-{os.getpid()}"
    if os.geteuid() or not os.path.exists("/dev/net/tun") or \
            subprocess.run(["ip", "netns", "add", name], stderr=subprocess.DEVNULL, check=False).returncode:
        boots.absent("a network namespace and /dev/net/tun need more rights")
    try:
        inside = ["ip", "netns", "exec", name]
        for words in ("link set lo up", "link add bridge type bridge", "link set bridge up",
                      "addr add 10.9.0.9/24 dev bridge"):
            subprocess.run([*inside, "ip", *words.split()], check=True)
        yield inside
    finally:
        subprocess.run(["ip", "netns", "del", name], check=False)


@contextlib.contextmanager
def serve_taps(pair, *words):
    with namespace() as inside, contextlib.ExitStack() as stack:
        for number, path in enumerate(pair.sockets):
            stack.enter_context(boots.serve(
                *inside, VIREO, "serve", "net", "--socket-path", path, "backend=tap",
                f"interface=tap{number}", f"mac=52:54:00:00:00:0{number + 1}", *words))
            for more in (f"link set tap{number} master bridge", f"link set tap{number} up"):
                subprocess.run([*inside, "ip", *more.split()], check=True)
        yield inside


def check_taps(inside):
    for number in range(2):
        for name in ("rx_errors", "tx_errors", "rx_dropped"):
            done = subprocess.run([*inside, "cat", f"/sys/class/net/tap{number}/statistics/{name}"],
                                  check=False, stdout=subprocess.PIPE, text=True)
            assert done.stdout.strip() in ("0", ""), (number, name, done.stdout)


def case_tap(pair):
    """Two taps on a bridge of the host's kernel, which passes long frames with their checksums open."""
    with serve_taps(pair) as inside:
        out = pair.run(SHORT.format(size="8M") + "ping -q -c 3 -i 0.1 -w 20 10.9.0.9\n")
        assert "10.9.0.9 ping statistics" in out
        pair.check_daemons()
        check_taps(inside)


def case_tap_queues(pair):
    """Several queues, of which the guest takes two, and a capture between device and tap."""
    boots.need("ethtool")
    with serve_taps(pair, "pairs=4", f"capture={pair.path('tap.pcapng')}") as inside:
        pair.run(SHORT.format(size="4M"), *2 * ["ethtool -L eth0 combined 2\n"])
        pair.check_daemons()
        check_taps(inside)


def case_hub_qemu(pair):
    """A guest in QEMU calls one in User-Mode Linux."""
    boots.need("qemu-system-x86_64", "cpio")
    kernel = boots.script("guest-qemu")
    if not kernel:
        boots.absent("Debian's cloud kernel can't be downloaded")
    pair.guests[1].kernel = kernel
    boots.TIMEOUT_S = 300
    with serve_hub(pair, f"capture={pair.path('talk.pcapng')}"):
        pair.run(SHORT.format(size="1M"))
        pair.check_daemons()
    check_capture(pair.path("talk.pcapng"))


MINUTE = "measure -c 10.9.0.1 -t 60\nmeasure -c 10.9.0.1 -t 60 -R\n"


def case_hub_minute(pair):
    with serve_hub(pair):
        pair.run(MINUTE)
        pair.check_daemons()


def case_tap_minute(pair):
    with serve_taps(pair) as inside:
        pair.run(MINUTE)
        pair.check_daemons()
        check_taps(inside)


def main():
    case = globals()[f"case_{sys.argv[3]}"]
    if boots.KERNEL is None:
        boots.absent("the test kernel isn't built; run scripts/guest-kernel")
    boots.need("busybox", "ip", "ping", "iperf3")
    with tempfile.TemporaryDirectory(prefix="vireo-net-") as directory:
        case(Pair(directory))


if __name__ == "__main__":
    main()
