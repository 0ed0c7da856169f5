"""Frames as no guest's own kernel would send them, and what other guests' interfaces hear."""

import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address

from testbed.bed import Bed
from testbed.probes.sockets import inside
from tests.waiting import PATIENCE_S

ETH_P_ALL, IPV4, ARP = 0x0003, 0x0800, 0x0806
EVERYBODY = "ff:ff:ff:ff:ff:ff"
EXPERIMENT = 253  # RFC 3692: a protocol for nobody
HEADER = 34  # bytes: Ethernet's and IPv4's


@dataclass(frozen=True)
class Frame:
    """An IPv4 packet in an Ethernet frame; its content tells it from others."""

    source_mac: str
    destination_mac: str
    source: str
    destination: str
    content: bytes = b""
    ttl: int = 64
    protocol: int = EXPERIMENT
    fragment: int = 0  # flags and offset, as in the header

    def packed(self) -> bytes:
        """As it goes over the wire."""
        ethernet = packed_mac(self.destination_mac) + packed_mac(self.source_mac)
        length = HEADER - 14 + len(self.content)
        first = struct.pack("!BBHHHBB", 0x45, 0, length, 7, self.fragment, self.ttl, self.protocol)
        both = IPv4Address(self.source).packed + IPv4Address(self.destination).packed
        header = first + struct.pack("!H", checksum(first + both)) + both
        return ethernet + struct.pack("!H", IPV4) + header + self.content


def heard_as(wire: bytes) -> Frame:
    """The frame that was heard."""
    _, _, length, _, fragment, ttl, protocol = struct.unpack("!BBHHHBB", wire[14:24])
    return Frame(
        source_mac=printed_mac(wire[6:12]),
        destination_mac=printed_mac(wire[:6]),
        source=str(IPv4Address(wire[26:30])),
        destination=str(IPv4Address(wire[30:34])),
        content=wire[HEADER : 14 + length],
        ttl=ttl,
        protocol=protocol,
        fragment=fragment,
    )


def checksum(data: bytes) -> int:
    """The internet checksum (RFC 1071) of an even number of bytes."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def packed_mac(mac: str) -> bytes:
    """Six bytes."""
    return bytes.fromhex(mac.replace(":", ""))


def printed_mac(mac: bytes) -> str:
    """With colons."""
    return mac.hex(":")


def arp_request(sender_mac: str, sender: str, target: str) -> bytes:
    """Who has the target?  To everybody."""
    return _arp(1, (sender_mac, sender), ("00:00:00:00:00:00", target))


def arp_reply(mac: str, address: str, asker: tuple[str, str]) -> bytes:
    """The address is at that MAC.  asker: who wanted to know, its MAC and its address."""
    return _arp(2, (mac, address), asker, to=asker[0])


def gratuitous_arp(mac: str, address: str) -> bytes:
    """An answer nobody asked for, to everybody: the address is at that MAC."""
    return _arp(2, (mac, address), (EVERYBODY, address))


def _arp(
    operation: int, sender: tuple[str, str], target: tuple[str, str], to: str = EVERYBODY
) -> bytes:
    ethernet = packed_mac(to) + packed_mac(sender[0]) + struct.pack("!H", ARP)
    ends = b"".join(
        packed_mac(mac) + IPv4Address(address).packed for mac, address in (sender, target)
    )
    return ethernet + struct.pack("!HHBBH", 1, IPV4, 6, 4, operation) + ends


def send(bed: Bed, place: str, wire: bytes, dev: str = "eth0") -> None:
    """Put a frame on an interface, whatever the guest's kernel thinks of it."""
    with inside(bed.store, place), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as out:
        out.bind((dev, ETH_P_ALL))
        out.send(wire)


Hear = Callable[[str, Callable[[bytes], bool]], list[bytes]]


@contextmanager
def ears(bed: Bed, *places: str, dev: str = "eth0") -> Iterator[Hear]:
    """Listens at an interface of each place, also to what is for others.

    What it yields returns all that a place has heard up to the frame that is waited for, and with
    it.  Fails when that does not come.
    """
    with ExitStack() as undo:
        sockets = {}
        for place in places:
            with inside(bed.store, place):
                ear = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
                undo.callback(ear.close)
                ear.bind((dev, ETH_P_ALL))
            sockets[place] = ear

        def hear(place: str, last: Callable[[bytes], bool]) -> list[bytes]:
            return list(_until(sockets[place], last))

        yield hear


def _until(ear: socket.socket, last: Callable[[bytes], bool]) -> Iterator[bytes]:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        ear.settimeout(max(deadline - time.monotonic(), 0.001))
        wire, (_, _, kind, *_) = ear.recvfrom(65535)
        if kind == socket.PACKET_OUTGOING:
            continue
        yield wire
        if last(wire):
            return
