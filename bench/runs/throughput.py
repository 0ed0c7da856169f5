"""`python -m bench.runs.throughput SECONDS TIMES`: CPU a byte of TCP, by what it goes over."""

import os
import resource
import socket
import struct
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from statistics import median
from typing import NamedTuple

from bench import spaces
from bench.meter import Numbers
from bench.runs.hops import PAIR, ROUTED, far_end, hops, with_rules
from bench.runs.lab import large
from testbed.bed import bed
from testbed.kernel.namespaces.store import LocalStore, NamespaceStore
from testbed.kernel.write.apply import apply
from testbed.net.facts import Fact
from testbed.probes.sockets import inside

CHUNK = 1 << 20
WARM_UP = 16  # chunks that are not counted: windows grow, pages are touched for the first time
PORT = 20000
RECEIVED = struct.Struct("dQ")  # CPU seconds, bytes


class Path(NamedTuple):
    """From the first namespace to the second, which has that address."""

    store: NamespaceStore
    source: str
    destination: str
    address: str


def measure(seconds: float, times: int) -> Numbers:
    """Nanoseconds of CPU for each KiB, both ends together, and ratios to one bare veth pair.

    A machine's speed changes within seconds, so each path is measured for a moment only, right
    after the bare pair, many times; the middle one of the ratios counts.
    """
    with bed(large(2, 2)) as lab, ExitStack() as undo:
        far = str(lab.address("pod-1-0"))
        bare = _path(PAIR, hops(PAIR), undo)
        paths = {
            "routed": _path(ROUTED, hops(ROUTED), undo),
            "ruled": _path(ROUTED, with_rules(ROUTED, lab.state, "node-0"), undo),
            "hops": Path(lab.store, "pod-0-0", "pod-1-0", far),
        }
        seen: dict[str, list[float]] = {}
        for _ in range(times):
            for name, path in paths.items():
                before, after = (_cost(one, seconds) for one in (bare, path))
                seen.setdefault("bare", []).append(before)
                seen.setdefault(name, []).append(after)
                seen.setdefault(f"{name}_of_bare", []).append(after / before)
    return {name: median(values) for name, values in seen.items()}


def _path(way: Sequence[str], facts: Iterable[Fact], undo: ExitStack) -> Path:
    store = undo.enter_context(LocalStore())
    apply(store, frozenset(facts))
    return Path(store, way[0], way[-1], far_end(way))


def _cost(path: Path, seconds: float) -> float:
    with inside(path.store, path.destination):
        listener = socket.create_server(("0.0.0.0", PORT))
    with inside(path.store, path.source):
        sender = socket.create_connection((path.address, PORT))
    receiver, _ = listener.accept()
    listener.close()
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        sender.close()
        _receive(receiver, tell)
    receiver.close()
    os.close(tell)
    cpu_s = _send(sender, seconds)
    received_s, count = RECEIVED.unpack(os.read(told, RECEIVED.size))
    os.close(told)
    os.waitpid(child, 0)
    return float((cpu_s + received_s) * 1e9 / (count / 1024))


def _send(sender: socket.socket, seconds: float) -> float:
    """On the first processor; the CPU seconds it took."""
    everywhere = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(everywhere)})
    try:
        chunk = bytes(CHUNK)
        with sender:
            for _ in range(WARM_UP):
                sender.sendall(chunk)
            before, until = _cpu_s(), time.monotonic() + seconds
            while time.monotonic() < until:
                sender.send(chunk)
        return _cpu_s() - before
    finally:
        os.sched_setaffinity(0, everywhere)


def _receive(receiver: socket.socket, tell: int) -> None:
    """In a child, on the last processor: take everything, tell what it cost, end."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    chunk, count = bytearray(CHUNK), 0
    for _ in range(WARM_UP):
        receiver.recv_into(chunk, CHUNK, socket.MSG_WAITALL)
    before = _cpu_s()
    while received := receiver.recv_into(chunk):
        count += received
    os.write(tell, RECEIVED.pack(_cpu_s() - before, count))
    os._exit(0)


def _cpu_s() -> float:
    spent = resource.getrusage(resource.RUSAGE_SELF)
    return spent.ru_utime + spent.ru_stime


if __name__ == "__main__":
    spaces.run(measure, float(sys.argv[1]), int(sys.argv[2]))
