"""How kernels tell a probe from all other traffic: a few bytes behind the IP header.

The bytes stay when addresses and ports are translated, which is why no address is among them; but
nothing of a UDP datagram is in its answer, so that one is known by its flow, once that was seen.
"""

import struct
from dataclasses import dataclass, replace
from typing import NamedTuple

from testbed.explain.evidence.witnesses import Flow
from testbed.probes.observe.sent.packets import ICMP_BYTES, IP_BYTES

TCP_SEQUENCE, TCP_ACKNOWLEDGED = 4, 8  # offsets in a TCP header
PAYLOAD = 8  # offset behind a UDP or ICMP echo header
ERROR_OFFSET = ICMP_BYTES + IP_BYTES  # where an ICMP error quotes a transport header

LARGEST = 0xFFFFFFFF

_U32 = struct.Struct("!I")


class Bytes(NamedTuple):
    """Four bytes at an offset from the transport header."""

    offset: int
    value: int


@dataclass(frozen=True)
class Patterns:
    """What a probe and its answers have.

    quoted: what an ICMP error quotes of the probe's transport header.
    """

    direct: tuple[Bytes, ...]
    quoted: tuple[Bytes, ...]
    flows: tuple[Flow, ...] = ()

    def with_flows(self, flows: tuple[Flow, ...]) -> "Patterns":
        """These, and what has one of the flows."""
        return replace(self, flows=flows)


def of_tcp(sequence: int) -> Patterns:
    """A SYN by its sequence number, the answer by what it acknowledges."""
    sent = Bytes(TCP_SEQUENCE, sequence)
    return Patterns((sent, Bytes(TCP_ACKNOWLEDGED, acknowledging(sequence))), (sent,))


def of_data(sequence: int, length: int) -> Patterns:
    """A segment by its sequence number, the answer by what it acknowledges."""
    sent = Bytes(TCP_SEQUENCE, sequence)
    return Patterns((sent, Bytes(TCP_ACKNOWLEDGED, (sequence + length) & LARGEST)), (sent,))


def of_payload(token: bytes) -> Patterns:
    """A datagram or echo by the first four bytes it carries."""
    sent = Bytes(PAYLOAD, _U32.unpack_from(token)[0])
    return Patterns((sent,), (sent,))


def acknowledging(sequence: int) -> int:
    """What an answer to a SYN acknowledges."""
    return (sequence + 1) & LARGEST


def addresses(flow: Flow) -> tuple[int, int]:
    """Source and destination as numbers."""
    return int(flow.source), int(flow.destination)


def ports(flow: Flow) -> int:
    """Both ports, as the first four bytes of the transport header."""
    return flow.source_port << 16 | flow.destination_port
