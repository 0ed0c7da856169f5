"""What comes back to a packet, and what its sender says next."""

from testbed.explain.journey import End, Header
from testbed.explain.made import made
from testbed.explain.packet import IP_AND_TCP, TTL, Packet, address
from testbed.explain.speech import DATA, asks_metadata
from testbed.explain.walk.facts.sockets import Sockets
from testbed.explain.walk.trip import Trip

# By the kind of a packet
ANSWERS = {"echo-request": "echo-reply", "SYN": "SYN,ACK", DATA: "ACK", "": ""}


def answered(trip: Trip, end: End, told: str, served: Sockets | None) -> Packet | None:
    """What comes back; None for nothing.  told: what the sender is told if not answered."""
    packet = trip.packet
    if end.delivered:
        silent = served is not None and not served.reads(trip.space.ns, packet)
        if packet.protocol == "udp" and silent:
            return None
        kind = ANSWERS.get(packet.kind)
        if kind == "ACK" and served is not None and asks_metadata(packet.header):
            return packet.answered(DATA, served.token_ttl(trip.space.ns, packet))
        return None if kind is None else packet.answered(kind)
    if told == "RST":
        return packet.answered(told)
    return _error(trip, told) if told else None


def said(asked: Header, answer: Packet) -> Packet:
    """What a client says when an answer has come home, no larger than that allows."""
    header = made(
        Header,
        protocol="tcp",
        source=address(answer.destination),
        destination=address(answer.source),
        source_port=answer.destination_port,
        destination_port=answer.source_port,
        ttl=asked.ttl,
        kind=DATA,
        size=min(asked.size, answer.mss + IP_AND_TCP),
    )
    return Packet(header)


def _error(trip: Trip, kind: str) -> Packet:
    """An ICMP error; the namespace sends it with the address that was called, if it has that."""
    packet, space = trip.packet, trip.space
    own = space.routing.address_type(packet.destination) == "local"
    header = Header(
        protocol="icmp",
        source=address(packet.destination if own else 0),
        destination=address(packet.source),
        ttl=TTL,
        kind=kind,
    )
    error = Packet(header)
    error.quoted = packet.flow
    return error
