"""A link between two network namespaces with bandwidth, delay, jitter, loss and a finite queue. Needs root on Linux.

    python tests/benchmarks/link_emulator.py [--csv docs/link_emulator.csv]   # measures the emulator itself

Where the kernel has the queueing discipline netem, a pair of virtual Ethernet devices uses it. That way has never been
run: the machine of the published figures has no netem, and a test checks its commands as text only. Elsewhere this
process forwards the IP packets of two TUN devices, one by one: each takes its time on the wire at the bandwidth, waits
behind those before it, then for the delay and the jitter, and is lost with the given probability. Packets stay in
order. A packet that finds more than `queue` packets' worth of bytes ahead of it is dropped. As with netem on Ethernet,
the wire carries 14 bytes beside each IP packet.
"""

import argparse
import csv
import ctypes
import fcntl
import os
import random
import select
import socket
import statistics
import struct
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

EDGE, CLOUD = "eenas-edge", "eenas-cloud"
ADDRESSES = {EDGE: "10.77.0.1", CLOUD: "10.77.0.2"}
MTU, FRAME = 1500, 14
CONGESTION_CONTROL = "cubic"
FORK = get_context("fork")
LIBC = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, kw_only=True)
class EmulatedLink:
    """Mbit/s in each direction, the round trip in ms, the most that jitter adds to it, and the loss in each direction.

    `queue` is the number of full packets that may wait in each direction.
    """

    mbit: float
    round_trip_ms: float
    jitter_ms: float = 0.0
    loss: float = 0.0
    queue: int = 1000


class Namespaces:
    """The two namespaces, joined by TUN devices or by virtual Ethernet with netem. Removed by `close`."""

    def __init__(self, *, netem: bool | None = None) -> None:
        if os.geteuid() != 0:
            raise SystemExit("error: network namespaces need root; run this script as root")
        self.close()
        for name in ADDRESSES:
            call("ip", "netns", "add", name)
        self.netem = has_netem() if netem is None else netem
        self.files: list[int] = []
        if self.netem:
            call("ip", "link", "add", "eenas0", "netns", EDGE, "type", "veth", "peer", "eenas0", "netns", CLOUD)
        else:
            self.files = [tun_of(name) for name in ADDRESSES]
        for name, address in ADDRESSES.items():
            inside = ("ip", "-n", name)
            call(*inside, "link", "set", "lo", "up")
            call(*inside, "address", "add", f"{address}/24", "dev", "eenas0")
            call(*inside, "link", "set", "eenas0", "mtu", str(MTU), "txqueuelen", "5000", "up")
            call(  # sockets on this route, whatever the machine's default is
                *(*inside, "route", "replace", "10.77.0.0/24", "dev", "eenas0", "src", address),
                *("congctl", CONGESTION_CONTROL),
            )
            call("ip", "netns", "exec", name, "sysctl", "-qw", "net.ipv4.tcp_no_metrics_save=1")

    @contextmanager
    def link(self, settings: EmulatedLink, seed: int = 0) -> Iterator[None]:
        """Emulate a link while the block runs."""
        if self.netem:
            for name in ADDRESSES:
                call(*netem_command(name, settings))
            yield
            return
        worker = FORK.Process(target=forward, args=(self.files, settings, seed), daemon=True)
        worker.start()
        time.sleep(0.2)
        try:
            yield
        finally:
            worker.terminate()
            worker.join()

    def close(self) -> None:
        """Remove the namespaces of this script; processes in them keep running without a network."""
        for file in getattr(self, "files", []):
            os.close(file)
        for name in ADDRESSES:
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


def netem_command(name: str, settings: EmulatedLink) -> tuple[str, ...]:
    """The command by which netem emulates one direction of a link: what leaves the namespace `name`."""
    delay, jitter = settings.round_trip_ms / 2 + settings.jitter_ms / 4, settings.jitter_ms / 4
    return (
        *("tc", "-n", name, "qdisc", "replace", "dev", "eenas0", "root", "netem", "delay", f"{delay:g}ms"),
        *((f"{jitter:g}ms",) if jitter else ()),
        *(("loss", f"{100 * settings.loss:g}%") if settings.loss else ()),
        *("rate", f"{settings.mbit:g}mbit", "limit", str(settings.queue)),
    )


def call(*words: str) -> None:
    """Run a command. Ends the script with its message if it fails."""
    found = subprocess.run(words, check=False, capture_output=True, text=True)
    if found.returncode:
        raise SystemExit(f"error: {' '.join(words)}: {found.stderr.strip() or found.returncode}")


def has_netem() -> bool:
    """Whether the kernel has netem, tried in a namespace of its own."""
    name = "eenas-netem"
    call("ip", "netns", "add", name)
    tried = ["tc", "-n", name, "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms"]
    found = subprocess.run(tried, check=False, capture_output=True).returncode == 0
    call("ip", "netns", "delete", name)
    return found


def enter(name: str) -> None:
    """Move this thread to a namespace of `ip netns`; "" is that of the machine's first process."""
    path = f"/run/netns/{name}" if name else "/proc/1/ns/net"
    with open(path, encoding="ascii") as file:
        if LIBC.setns(file.fileno(), 0x40000000):  # CLONE_NEWNET
            raise OSError(ctypes.get_errno(), f"cannot enter {path}")


def tun_of(name: str) -> int:
    """Return the file of a new TUN device "eenas0" in a namespace."""
    with open("/proc/self/ns/net", encoding="ascii") as home:
        enter(name)
        try:
            file = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
            fcntl.ioctl(file, 0x400454CA, struct.pack("16sH22x", b"eenas0", 0x0001 | 0x1000))  # TUNSETIFF, TUN, NO_PI
        finally:
            LIBC.setns(home.fileno(), 0x40000000)
    return file


def forward(files: list[int], settings: EmulatedLink, seed: int) -> None:
    """Forward packets between two TUN devices until the process ends."""
    LIBC.prctl(29, 1)  # PR_SET_TIMERSLACK: wake up within a microsecond
    drawn, clock = random.Random(seed), time.perf_counter
    byte_s = 8e-6 / settings.mbit
    delay, jitter = settings.round_trip_ms / 2000, settings.jitter_ms / 2000
    longest = settings.queue * (MTU + FRAME) * byte_s
    lines: list[deque[tuple[float, bytes]]] = [deque(), deque()]
    free, last = [0.0, 0.0], [0.0, 0.0]
    while True:
        now, wake = clock(), None
        for way in (0, 1):
            line = lines[way]
            while line and line[0][0] <= now:
                deliver(files[1 - way], line.popleft()[1])
            if line and (wake is None or line[0][0] < wake):
                wake = line[0][0]
        ready = select.select(files, (), (), None if wake is None else max(0.0, wake - clock()))[0]
        for file in ready:
            way = files.index(file)
            for _ in range(32):
                try:
                    packet = os.read(file, 65536)
                except BlockingIOError:
                    break
                now = clock()
                start = max(now, free[way])
                if start - now > longest:
                    continue
                free[way] = start + (len(packet) + FRAME) * byte_s
                if settings.loss and drawn.random() < settings.loss:
                    continue
                last[way] = max(last[way], free[way] + delay + jitter * drawn.random())
                lines[way].append((last[way], packet))


def deliver(file: int, packet: bytes) -> None:
    """Write a packet; a device that is down or full loses it."""
    try:
        os.write(file, packet)
    except OSError:
        return


def inside(name: str, function: str, *words: str) -> "subprocess.Popen[str]":
    """Run a part of this script in a namespace."""
    own = [sys.executable, __file__, "--part", function, *words]
    return subprocess.Popen(["ip", "netns", "exec", name, *own], stdout=subprocess.PIPE, text=True)


def echo(_: str) -> None:
    """Answer packets on UDP port 7000, and count those on 7001 until they stop; take a stream on TCP port 7002."""
    echoed, counted, stream = (
        socket.socket(socket.AF_INET, kind) for kind in (socket.SOCK_DGRAM, socket.SOCK_DGRAM, socket.SOCK_STREAM)
    )
    for port, each in enumerate((echoed, counted, stream), start=7000):
        each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        each.bind((ADDRESSES[CLOUD], port))
    stream.listen()
    count = 0
    print("ready", flush=True)
    while True:
        for each in select.select((echoed, counted, stream), (), ())[0]:
            if each is echoed:
                data, address = echoed.recvfrom(2048)
                echoed.sendto(data if data != b"count" else str(count).encode(), address)
                count = 0 if data == b"count" else count
            elif each is counted:
                counted.recv(2048)
                count += 1
            else:
                with stream.accept()[0] as peer:
                    started, size = None, 0
                    while data := peer.recv(1 << 18):
                        if started is None:
                            started = time.perf_counter()
                            skipped = len(data)
                        size += len(data)
                    took = time.perf_counter() - (started or 0.0)
                    print(8e-6 * (size - skipped) / took, flush=True)


def probe(count: str) -> None:
    """Print the round trips in ms of `count` small packets, one after the other; lost ones are left out."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        own.settimeout(2.0)
        for number in range(int(count)):
            started = time.perf_counter()
            own.sendto(str(number).encode(), (ADDRESSES[CLOUD], 7000))
            try:
                while own.recv(2048) != str(number).encode():
                    pass
            except TimeoutError:
                continue
            print(1000 * (time.perf_counter() - started))


def flood(count: str) -> None:
    """Send `count` small packets, 1 ms apart, and print how many of them arrived."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        own.settimeout(1.0)
        for _ in range(int(count)):
            own.sendto(b"x" * 64, (ADDRESSES[CLOUD], 7001))
            time.sleep(0.001)
        time.sleep(0.5)
        while True:
            own.sendto(b"count", (ADDRESSES[CLOUD], 7000))
            try:
                print(own.recv(64).decode())
                return
            except TimeoutError:
                continue


def send(seconds: str) -> None:
    """Send as much as possible over TCP for some seconds."""
    with socket.create_connection((ADDRESSES[CLOUD], 7002)) as own:
        end, block = time.perf_counter() + float(seconds), b"x" * (1 << 16)
        while time.perf_counter() < end:
            own.sendall(block)


PARTS = {"echo": echo, "probe": probe, "flood": flood, "send": send}


def measured(settings: EmulatedLink, namespaces: Namespaces, seconds: float) -> dict[str, float]:
    """Return a row of what the link does, beside its settings."""

    def numbers(name: str, *words: str) -> list[float]:
        text = inside(EDGE, name, *words).communicate()[0]
        return [float(line) for line in text.split()]

    with namespaces.link(settings):
        peer = inside(CLOUD, "echo", "")
        assert peer.stdout is not None
        peer.stdout.readline()
        try:
            trips = numbers("probe", str(max(20, min(200, int(1000 * seconds / (settings.round_trip_ms + 1))))))
            arrived = numbers("flood", "2000")[0] if settings.loss else 2000.0
            numbers("send", str(seconds))
            rate = float(peer.stdout.readline())
        finally:
            peer.terminate()
            peer.wait()
    low, high = (statistics.quantiles(trips, n=20)[each] for each in (0, -1))
    return {
        "mbit": settings.mbit,
        "round_trip_ms": settings.round_trip_ms,
        "jitter_ms": settings.jitter_ms,
        "loss": settings.loss,
        "round_trip_median_ms": round(statistics.median(trips), 3),
        "round_trip_5_ms": round(low, 3),
        "round_trip_95_ms": round(high, 3),
        "lost": round(1 - arrived / 2000, 4),
        "tcp_mbit": round(rate, 3),
        "tcp_mbit_possible": round(settings.mbit * 1448 / (MTU + FRAME), 3),
    }


LINKS = tuple(
    EmulatedLink(mbit=mbit, round_trip_ms=trip, jitter_ms=jitter, loss=loss)
    for mbit, trip, jitter, loss in (
        *((mbit, trip, 0.0, 0.0) for mbit in (1.0, 6.0, 20.0, 100.0) for trip in (5.0, 50.0, 200.0)),
        *((6.0, 50.0, 20.0, 0.0), (20.0, 50.0, 0.0, 0.01), (100.0, 5.0, 0.0, 0.01)),
    )
)


def main() -> None:
    """Measure the emulator at the settings of LINKS."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--csv", type=Path, help="write the rows to this file")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of each transfer")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    parser.add_argument("word", nargs="?", default="", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.part:
        PARTS[given.part](given.word)
        return
    namespaces = Namespaces()
    print("netem (not tried before)" if namespaces.netem else "TUN devices and this process", flush=True)
    rows = []
    try:
        for settings in LINKS:
            rows.append(measured(settings, namespaces, given.seconds))
            print(rows[-1], flush=True)
    finally:
        namespaces.close()
    if given.csv is not None:
        with given.csv.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
