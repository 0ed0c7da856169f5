"""What `conntrack -L` prints, understood; and connections of before in a prediction."""

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from testbed.explain.journey import Header
from testbed.explain.netfilter.conntrack import ROOM, Crowd, TableFull, Tracking
from testbed.explain.netfilter.remembered import Remembered, entries
from testbed.explain.packet import Flow, Packet

LISTED = """\
udp      17 29 src=10.0.2.5 dst=172.20.0.10 sport=12345 dport=53 src=10.0.1.7 dst=10.0.2.5 \
sport=53 dport=12345 [ASSURED] mark=128 use=1
udp      17 25 src=10.0.2.5 dst=172.20.0.11 sport=12345 dport=53 [UNREPLIED] src=172.20.0.11 \
dst=10.0.2.5 sport=53 dport=12345 mark=0 use=1
icmp     1 29 src=10.0.2.5 dst=10.0.1.7 type=8 code=0 id=7 src=10.0.1.7 dst=10.0.2.5 type=0 \
code=0 id=7 mark=0 use=1
"""
CLIENT, SERVICE, POD = (int(IPv4Address(text)) for text in ("10.0.2.5", "172.20.0.10", "10.0.1.7"))
TRANSLATED = Remembered(
    "node-1",
    Flow("udp", CLIENT, 12345, SERVICE, 53),
    Flow("udp", POD, 53, CLIENT, 12345),
    answered=True,
    mark=128,
)
HEADER = Header(
    protocol="udp",
    source=IPv4Address(CLIENT),
    destination=IPv4Address(SERVICE),
    source_port=12345,
    destination_port=53,
)


def certain(probability: float) -> bool:
    """Whether it happens, where it is no matter of chance."""
    return {0.0: False, 1.0: True}[probability]


def test_a_listing_is_read() -> None:
    translated, alone = entries("node-1", LISTED)

    assert translated == TRANSLATED
    assert translated.to == "10.0.1.7:53"
    assert (alone.answered, alone.replies) == (False, alone.original.turned())


def test_a_packet_finds_its_connection_where_it_is_remembered() -> None:
    tracking, packet = Tracking([TRANSLATED]), Packet(HEADER)

    tracking.track("node-1", packet, certain)
    assert packet.state == "established"
    assert (packet.ct_mark, packet.ct) == (128, frozenset({"established", "dnat"}))

    elsewhere = Packet(HEADER)
    tracking.track("node-2", elsewhere, certain)
    assert elsewhere.state == "new"


@pytest.mark.parametrize("kind", ["SYN", "SYN,ACK"])
def test_a_full_table_takes_nothing_new_whether_it_would_open_a_connection(kind: str) -> None:
    tracking = Tracking([TRANSLATED], crowd={"node-1": Crowd(2, 1.0), "node-2": ROOM}.__getitem__)
    unknown = replace(HEADER, protocol="tcp", kind=kind)

    tracking.track("node-1", Packet(HEADER), certain)
    tracking.track("node-2", Packet(unknown), certain)
    with pytest.raises(TableFull) as found:
        tracking.track("node-1", Packet(unknown), certain)
    assert found.value.most == 2
