"""Packets as bytes to what is told of them: IPv4 with TCP, UDP or ICMP behind it."""

import struct
from ipaddress import IPv4Address
from typing import NamedTuple

from testbed.explain.journey import Header, Protocol

TCP, UDP, ICMP = 6, 17, 1
PROTOCOLS: dict[int, Protocol] = {TCP: "tcp", UDP: "udp", ICMP: "icmp"}
NUMBERS: dict[Protocol, int] = {name: number for number, name in PROTOCOLS.items()}

SYN, RST, PSH, ACK = 0x02, 0x04, 0x08, 0x10
FLAGS = ((SYN, "SYN"), (RST, "RST"), (0x01, "FIN"), (PSH, "PSH"), (ACK, "ACK"))

ECHO_REPLY, ECHO_REQUEST = 0, 8
UNREACHABLE, TIME_EXCEEDED, BAD_PARAMETER = 3, 11, 12
ERRORS = (UNREACHABLE, TIME_EXCEEDED, BAD_PARAMETER)
# linux/icmp.h, by the names nft has for them
KINDS = {
    ECHO_REQUEST: "echo-request",
    ECHO_REPLY: "echo-reply",
    TIME_EXCEEDED: "time-exceeded",
    BAD_PARAMETER: "parameter-problem",
}
UNREACHABLE_CODES = {
    0: "net-unreachable",
    1: "host-unreachable",
    2: "prot-unreachable",
    3: "port-unreachable",
    4: "frag-needed",
    9: "net-prohibited",
    10: "host-prohibited",
    13: "admin-prohibited",
}

IP_BYTES = 20  # without options
ICMP_BYTES = 8
FRAGMENT = 0x1FFF  # the offset in the field with the flags

_IP = struct.Struct("!xxHxxHBBxx4s4s")
_PORTS = struct.Struct("!HH")
_ICMP_NUMBERS = struct.Struct("!4xHH")


class Packet(NamedTuple):
    """An IPv4 packet: its header, and the bytes from its transport header on."""

    header: Header
    transport: bytes


def packet(data: bytes) -> Packet | None:
    """The packet in bytes that begin with its IP header; none if it is not one of ours."""
    if len(data) < IP_BYTES:
        return None
    return parts(data, data[(data[0] & 15) * 4 :])


def parts(network: bytes, transport: bytes) -> Packet | None:
    """The same from the two headers apart, as nft trace has them."""
    if len(network) < IP_BYTES or network[0] >> 4 != 4:
        return None
    size, fragment, ttl, number, source, destination = _IP.unpack_from(network)
    protocol = PROTOCOLS.get(number)
    if protocol is None or fragment & FRAGMENT or len(transport) < ICMP_BYTES:
        return None
    source_port, destination_port = _ports(protocol, transport)
    header = Header(
        protocol=protocol,
        source=IPv4Address(source),
        destination=IPv4Address(destination),
        source_port=source_port,
        destination_port=destination_port,
        ttl=ttl,
        kind=_kind(protocol, transport),
        size=size,
    )
    return Packet(header, transport)


def is_error(found: Packet) -> bool:
    """Whether it is an ICMP message about another packet."""
    return found.header.protocol == "icmp" and found.transport[0] in ERRORS


def _ports(protocol: Protocol, transport: bytes) -> tuple[int, int]:
    """Ports, or an echo's identifier and sequence number; an ICMP error has none."""
    if protocol != "icmp":
        ports = _PORTS.unpack_from(transport)
    elif transport[0] in ERRORS:
        return 0, 0
    else:
        ports = _ICMP_NUMBERS.unpack_from(transport)
    return int(ports[0]), int(ports[1])


def _kind(protocol: Protocol, transport: bytes) -> str:
    if protocol == "tcp":
        flags = transport[13] if len(transport) > 13 else 0
        return ",".join(name for bit, name in FLAGS if flags & bit)
    if protocol == "udp":
        return ""
    kind, code = transport[0], transport[1]
    if kind == UNREACHABLE:
        return UNREACHABLE_CODES.get(code, f"destination-unreachable code {code}")
    return KINDS.get(kind, f"icmp type {kind} code {code}")
