"""`python -m bench.runs.throughput SECONDS`: CPU a byte of TCP: four hops, a bare veth."""

import os
import resource
import socket
import struct
import sys
import time
from ipaddress import IPv4Interface

from bench import spaces
from bench.meter import Numbers
from bench.runs.lab import large
from testbed.bed import bed
from testbed.kernel.namespaces.store import LocalStore
from testbed.kernel.write.apply import apply
from testbed.net.facts import Address, Fact, Netns, Veth
from testbed.probes.sockets import inside

CHUNK = 1 << 20
PORT = 20000
RECEIVED = struct.Struct("dQ")  # CPU seconds, bytes


def measure(seconds: float) -> Numbers:
    """Nanoseconds of CPU, both ends together, for each KiB."""
    with bed(large(2, 2)) as lab, LocalStore() as bare:
        apply(bare, frozenset(_bare_pair()))
        far = str(lab.address("pod-1-0"))
        return {
            "bare": _cost(bare, ("left", "right"), "10.9.0.2", seconds),
            "hops": _cost(lab.store, ("pod-0-0", "pod-1-0"), far, seconds),
        }


def _bare_pair() -> list[Fact]:
    facts: list[Fact] = []
    for number, (ns, peer) in enumerate((("left", "right"), ("right", "left")), 1):
        mac = f"02:00:00:00:00:0{number}"
        facts.append(Netns(ns=ns))
        facts.append(Veth(ns=ns, name="eth0", peer_ns=peer, peer="eth0", mac=mac, mtu=9001))
        facts.append(Address(ns=ns, dev="eth0", ip=IPv4Interface(f"10.9.0.{number}/24")))
    return facts


def _cost(store: LocalStore, ends: tuple[str, str], address: str, seconds: float) -> float:
    source, destination = ends
    with inside(store, destination):
        listener = socket.create_server(("0.0.0.0", PORT))
    with inside(store, source):
        sender = socket.create_connection((address, PORT))
    receiver, _ = listener.accept()
    listener.close()
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        sender.close()
        _receive(receiver, tell)
    receiver.close()
    cpu_s = _send(sender, seconds)
    received_s, count = RECEIVED.unpack(os.read(told, RECEIVED.size))
    os.waitpid(child, 0)
    return float((cpu_s + received_s) * 1e9 / (count / 1024))


def _send(sender: socket.socket, seconds: float) -> float:
    chunk, before, until = bytes(CHUNK), _cpu_s(), time.monotonic() + seconds
    with sender:
        while time.monotonic() < until:
            sender.send(chunk)
    return _cpu_s() - before


def _receive(receiver: socket.socket, tell: int) -> None:
    """In a child: take everything, tell what it cost, end."""
    chunk, count, before = bytearray(CHUNK), 0, _cpu_s()
    while received := receiver.recv_into(chunk):
        count += received
    os.write(tell, RECEIVED.pack(_cpu_s() - before, count))
    os._exit(0)


def _cpu_s() -> float:
    spent = resource.getrusage(resource.RUSAGE_SELF)
    return spent.ru_utime + spent.ru_stime


if __name__ == "__main__":
    spaces.run(measure, float(sys.argv[1]))
