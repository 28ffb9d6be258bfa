"""Network namespaces joined by a bridge, with the bandwidth and the latency of each link set.

Bandwidth is tc's tbf on both ends of a link. Latency is tc's netem where the kernel has it. Where it has not, a link is
a pair of TAP devices, and a process of its own, the relay, hands each frame on when its time has come.
"""

import ctypes
import fcntl
import json
import os
import select
import signal
import socket
import statistics
import struct
import subprocess
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

# As in a VPC of AWS.
MTU = 9001
# The link's name in each namespace.
DEVICE = "wire0"
HUB = "hub"
# A path from node to node crosses two links, and a round trip each of them twice.
CROSSINGS = 4
PROBE_PORT, PROBE_BYTES, PROBE_TRIPS = 7007, 1 << 16, 50
# linux/if_tun.h
_TUNSETIFF, _TUNSETOFFLOAD = 0x400454CA, 0x400454D0
_IFF_TAP, _IFF_NO_PI, _IFF_VNET_HDR, _CSUM, _TSO4 = 0x0002, 0x1000, 0x4000, 0x01, 0x02
_FRAME = 1 << 17
_LIBC = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET, _PR_SET_PDEATHSIG = 0x40000000, 1


class WireError(Exception):
    """No network of namespaces can be made here; the text says why."""


@dataclass(frozen=True)
class Limits:
    """What each link lets through: Mbit/s each way (0: no limit), and ms that a round trip between two nodes takes."""

    mbits: float = 0.0
    rtt_ms: float = 0.0

    def __str__(self) -> str:
        return f"{f'{self.mbits:g} Mbit/s' if self.mbits else 'no limit'}, {self.rtt_ms:g} ms"


class Wire:
    """Nodes, each a namespace with an address, on one bridge; all removed, with their processes, at the end.

    This process becomes a process of the first node. `unlimited` names nodes whose bandwidth is never limited.
    """

    def __init__(self, nodes: Sequence[str], unlimited: Sequence[str] = ()) -> None:
        self.nodes, self.unlimited = tuple(nodes), unlimited
        self._prefix = f"demand-{os.getpid()}"
        self._relay: subprocess.Popen[str] | None = None
        self._relayed = 0.0
        self._opened = ExitStack()

    def __enter__(self) -> "Wire":
        if os.geteuid() != 0:
            raise WireError("network namespaces are made by root: start this again as root")
        with ExitStack() as opened:
            for node in (HUB, *self.nodes):
                _ip("netns", "add", self.name(node))
                opened.callback(_ip, "netns", "del", self.name(node))
                _ip("-n", self.name(node), "link", "set", "lo", "up")
            _ip("-n", self.name(HUB), "link", "add", "br0", "type", "bridge")
            _ip("-n", self.name(HUB), "link", "set", "br0", "mtu", str(MTU), "up")
            self.has_netem = not self._tc(HUB, "lo", "root", "netem", "delay", "1ms", check=False)
            if self.has_netem:
                _run("tc", "-n", self.name(HUB), "qdisc", "del", "dev", "lo", "root")
            _enter(self.name(self.nodes[0]))
            self._opened = opened.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def name(self, node: str) -> str:
        """The namespace of a node."""
        return f"{self._prefix}-{node}"

    def address(self, node: str) -> str:
        """Its IP address."""
        return f"10.77.0.{self.nodes.index(node) + 1}"

    @property
    def delayed_by(self) -> str:
        """How latency is made here."""
        return "tc netem" if self.has_netem else "a relay between TAP devices"

    @property
    def relay_seconds(self) -> float:
        """Processor seconds that the relay has taken so far."""
        return self._relayed + (processor_seconds(self._relay.pid) if self._relay else 0.0)

    def start(
        self,
        node: str,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
        log: IO[str] | None = None,
    ) -> subprocess.Popen[str]:
        """Start a process in a node; it ends with the wire, or with this process."""
        process = subprocess.Popen(
            ["ip", "netns", "exec", self.name(node), *command],
            env={**os.environ, **(environment or {})},
            stdout=subprocess.PIPE if log is None else log,
            stderr=log,
            text=True,
            start_new_session=True,
            preexec_fn=_end_with_parent,
        )
        self._opened.callback(end, process)
        return process

    def limit(self, limits: Limits) -> None:
        """Join all nodes anew, by links of these limits."""
        self._unlink()
        relayed = limits.rtt_ms > 0 and not self.has_netem
        if relayed:
            seconds = limits.rtt_ms / 1000 / CROSSINGS
            command = [sys.executable, "-m", "benchmarks.wire", "relay", str(seconds), str(len(self.nodes))]
            self._relay = self.start(HUB, command)
            if self._relay.stdout is None or not self._relay.stdout.readline():
                raise WireError("the relay cannot make TAP devices: /dev/net/tun is needed")
        for number, node in enumerate(self.nodes):
            here, there = self.name(HUB), self.name(node)
            if not relayed:
                _ip("-n", here, "link", "add", f"b{number}", "type", "veth", "peer", "name", f"a{number}")
            _ip("-n", here, "link", "set", f"a{number}", "netns", there, "name", DEVICE)
            _ip("-n", here, "link", "set", f"b{number}", "mtu", str(MTU), "master", "br0", "up")
            _ip("-n", there, "link", "set", DEVICE, "mtu", str(MTU), "up")
            _ip("-n", there, "address", "add", f"{self.address(node)}/24", "dev", DEVICE)
            for place, device in ((HUB, f"b{number}"), (node, DEVICE)):
                self._shape(place, device, Limits(0 if node in self.unlimited else limits.mbits, limits.rtt_ms))

    def _shape(self, node: str, device: str, limits: Limits) -> None:
        above = ["root"]
        if limits.rtt_ms and self.has_netem:
            delay = f"{limits.rtt_ms * 1000 / CROSSINGS:.0f}us"
            self._tc(node, device, "root", "handle", "1:", "netem", "delay", delay, "limit", "1000000")
            above = ["parent", "1:1"]
        if limits.mbits:
            # A bucket of a frame of 64 kB and of 2 ms, and 50 ms of waiting before a frame is dropped.
            burst = max(1 << 17, int(limits.mbits * 250))
            rate = f"{limits.mbits * 1000:.0f}kbit"
            self._tc(node, device, *above, "tbf", "rate", rate, "burst", str(burst), "latency", "50ms")

    def _tc(self, node: str, device: str, *words: str, check: bool = True) -> int:
        return _run("tc", "-n", self.name(node), "qdisc", "add", "dev", device, *words, check=check)

    def _unlink(self) -> None:
        if self._relay:
            self._relayed = self.relay_seconds
            end(self._relay)
            self._relay = None
        links = json.loads(_output("ip", "-j", "-n", self.name(HUB), "link"))
        for link in links:
            if link["ifname"].startswith("b") and link["ifname"] != "br0":
                _ip("-n", self.name(HUB), "link", "del", link["ifname"])

    def probed(self, node: str, megabytes: float) -> tuple[float, float]:
        """(ms of a round trip of one byte, the median; Mbit/s of a stream) from this process's node to another."""
        listening = self.start(node, [sys.executable, "-m", "benchmarks.wire", "probe"])
        if listening.stdout is None or not listening.stdout.readline():
            raise WireError(f"nothing listens in {node}")
        with socket.create_connection((self.address(node), PROBE_PORT), 10) as line:
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            trips = []
            for _ in range(PROBE_TRIPS):
                began = time.perf_counter()
                line.sendall(b".")
                line.recv(1)
                trips.append(time.perf_counter() - began)
            size, began = int(megabytes * 1e6), time.perf_counter()
            line.sendall(struct.pack("!Q", size))
            block = bytes(PROBE_BYTES)
            for first in range(0, size, PROBE_BYTES):
                line.sendall(block[: size - first])
            line.recv(1)
            seconds = time.perf_counter() - began
        listening.wait()
        return statistics.median(trips) * 1000, size * 8 / 1e6 / seconds


def carried(pid: int) -> tuple[int, int]:
    """Bytes that came into, and went out of, the node of a process since its links were made."""
    for line in Path(f"/proc/{pid}/net/dev").read_text().splitlines():
        device, _, figures = line.partition(":")
        if device.strip() == DEVICE:
            words = figures.split()
            return int(words[0]), int(words[8])
    return 0, 0


def processor_seconds(pid: int) -> float:
    """Processor seconds of a process so far."""
    # The name, in brackets, may hold spaces; the 14th and 15th fields are ticks of user and system time.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def end(process: "subprocess.Popen[str]") -> None:
    """End a process that `Wire.start` started, with its children."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if process.stdout:
        process.stdout.close()


def _end_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _enter(namespace: str) -> None:
    """Make this thread, and all that it starts, part of a namespace."""
    with open(f"/run/netns/{namespace}") as file:
        if _LIBC.setns(file.fileno(), _CLONE_NEWNET):
            raise WireError(f"the namespace {namespace} cannot be entered: {os.strerror(ctypes.get_errno())}")


def _ip(*words: str) -> None:
    _run("ip", *words)


def _run(*command: str, check: bool = True) -> int:
    try:
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise WireError(f"{command[0]} is not installed: it is of the package iproute2") from error
    if ended.returncode and check:
        raise WireError(f"{' '.join(command)}: {ended.stderr.strip()}")
    return ended.returncode


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _relay(seconds: float, links: int) -> None:
    """Make `links` pairs of TAP devices, a and b, and hand each frame from one to the other after some time."""
    try:
        # It stands for a cable: it comes before those who wait for it.
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except OSError:
        print("the relay runs at the priority of others", file=sys.stderr)
    other: dict[int, int] = {}
    for number in range(links):
        ends = _tap(f"a{number}"), _tap(f"b{number}")
        other |= {ends[0]: ends[1], ends[1]: ends[0]}
    print("ready", flush=True)
    waiting: deque[tuple[float, int, bytes]] = deque()
    fds = list(other)
    while True:
        left = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
        for fd in select.select(fds, (), (), left)[0]:
            try:
                frame = os.read(fd, _FRAME)
            except OSError:
                continue
            waiting.append((time.monotonic() + seconds, other[fd], frame))
        now = time.monotonic()
        while waiting and waiting[0][0] <= now:
            _, fd, frame = waiting.popleft()
            try:
                os.write(fd, frame)
            except OSError:
                # The other end is down, or its queue is full: a frame lost, as on any network.
                continue


def _tap(name: str) -> int:
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    # Frames of up to 64 kB, which the far end cuts or takes whole, as between the two ends of a veth.
    fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TAP | _IFF_NO_PI | _IFF_VNET_HDR))
    fcntl.ioctl(fd, _TUNSETOFFLOAD, _CSUM | _TSO4)
    return fd


def _probe() -> None:
    """Send back each byte of one client, then take its stream to the end."""
    with socket.create_server(("", PROBE_PORT)) as server:
        print("ready", flush=True)
        line, _ = server.accept()
        with line:
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for _ in range(PROBE_TRIPS):
                line.sendall(line.recv(1))
            (left,) = struct.unpack("!Q", line.recv(8, socket.MSG_WAITALL))
            while left:
                left -= len(line.recv(min(left, 1 << 20)))
            line.sendall(b".")


if __name__ == "__main__":
    if sys.argv[1] == "relay":
        _relay(float(sys.argv[2]), int(sys.argv[3]))
    else:
        _probe()
