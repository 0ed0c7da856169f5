"""Connection tracking of all namespaces during one prediction: states, and NAT undone."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from testbed.explain.netfilter.remembered import Remembered
from testbed.explain.packet import ECHO, Connection, Flow, Packet
from testbed.explain.routing.local_table import LOOPBACK

Manipulation = str  # `source` or `destination`


class Standing(NamedTuple):
    """All that counts of what a namespace knows of a packet's connection, addresses aside."""

    is_reply: bool
    answered: bool
    confirmed: bool
    initialized: frozenset[str]
    mark: int


class TableFull(Exception):
    """A packet needs an entry, and there is no place for one.  most: as many may be there."""

    def __init__(self, most: int) -> None:
        super().__init__(f"{most} connections")
        self.most = most


class Crowd(NamedTuple):
    """How full a table is.

    most: as many as may be there.  lost: how likely one more finds no place, when the kernel can
    give up none nearby that was never answered.
    """

    most: int = 0
    lost: float = 0.0


ROOM = Crowd()
Chance = Callable[[float], bool]  # whether what is so likely happens


NEW, INVALID = "new", "invalid"  # of a packet without a connection: there will be one, or none


class Tracking:
    """Who talks with whom, by namespace (state: what kernels remember from packet to packet)."""

    def __init__(
        self,
        remembered: Iterable[Remembered] = (),
        crowd: Callable[[str], Crowd] = lambda _: ROOM,
    ) -> None:
        """remembered: the connections of before.  crowd: of a namespace that makes another one."""
        self._crowd = crowd
        self._connections: dict[tuple[str, Flow], tuple[Connection, bool]] = {}
        for one in remembered:
            connection = Connection(one.original)
            connection.replies, connection.mark = one.replies, one.mark
            connection.is_translated = one.replies != one.original.turned()
            connection.answered, connection.confirmed = one.answered, True
            connection.initialized = frozenset({"source", "destination"})
            self._connections[one.ns, one.original] = connection, False
            self._connections[one.ns, one.replies] = connection, True

    def track(self, ns: str, packet: Packet, chance: Chance) -> None:
        """Find or make the packet's connection, as conntrack's own hook does before mangle.

        What comes back by lo has the one that it left with: nf_conntrack_core.c, nf_conntrack_in.
        Raises TableFull.
        """
        if packet.iif == LOOPBACK and packet.connection is not None:
            return
        packet.connection, packet.is_reply = None, False
        if packet.quoted is not None:
            self._track_error(ns, packet, packet.quoted)
            return
        flow = packet.flow
        known = self._connections.get((ns, flow))
        if known is None:
            self._track_new(ns, packet, flow, chance)
            return
        packet.connection, packet.is_reply = known
        if packet.is_reply:
            packet.connection.answered = True
        packet.state = "established" if packet.connection.answered else "new"

    def _track_new(self, ns: str, packet: Packet, flow: Flow, chance: Chance) -> None:
        """The entry is made before anybody looks whether the packet may open a connection.

        nf_conntrack_core.c: init_conntrack, from resolve_normal_ct.
        """
        crowd = self._crowd(ns)
        if chance(crowd.lost):
            raise TableFull(crowd.most)
        if not opens(packet):
            packet.state = "invalid"
            return
        packet.connection = self._connect(ns, flow)
        packet.state = "new"

    def _connect(self, ns: str, flow: Flow) -> Connection:
        connection = Connection(flow)
        self._connections[ns, flow] = connection, False
        self._connections[ns, connection.replies] = connection, True
        return connection

    def _track_error(self, ns: str, packet: Packet, quoted: Flow) -> None:
        """An ICMP error belongs to the connection it is about, in the direction of an answer.

        net/netfilter/nf_conntrack_proto_icmp.c: only a connection whose first packet went
        through (confirmed) is found.  An error that is made here has the connection of the packet
        it is about from the start: net/ipv4/icmp.c, icmp_glue_bits, nf_ct_attach.
        """
        known = self._connections.get((ns, quoted.turned()))
        is_attached = not packet.iif
        if known is None or not (known[0].confirmed or is_attached):
            packet.state = "invalid"
            return
        packet.connection, packet.is_reply = known
        packet.state = "related"

    def translated(self, ns: str, connection: Connection, replies: Flow) -> None:
        """Note that a connection's answers will have another flow than the one turned round."""
        self._connections.pop((ns, connection.replies), None)
        connection.replies = replies
        connection.is_translated = True
        self._connections[ns, replies] = connection, True

    def standing(self, ns: str, packet: Packet, flow: Flow) -> Standing | str | None:
        """How the packet's connection stands; None for a translated one: there addresses count.

        flow: the packet's.
        """
        known = self._connections.get((ns, flow))
        if known is None:
            return NEW if opens(packet) else INVALID
        one, is_reply = known
        if one.is_translated:
            return None
        return _standing((is_reply, one.answered, one.confirmed, one.initialized, one.mark))

    def stand(self, ns: str, flow: Flow, standing: Standing) -> None:
        """Make a flow's connection stand so; without translation, new or known."""
        known = self._connections.get((ns, flow))
        connection = known[0] if known else self._connect(ns, flow)
        (
            _,
            connection.answered,
            connection.confirmed,
            connection.initialized,
            connection.mark,
        ) = standing


def _standing(parts: tuple[bool, bool, bool, frozenset[str], int]) -> Standing:
    """A standing, in half the time that its own constructor takes."""
    return tuple.__new__(Standing, parts)


def opens(packet: Packet) -> bool:
    """Whether conntrack makes a connection of a packet that belongs to none.

    nf_conntrack_proto_tcp.c: a SYN alone (or data, with nf_conntrack_tcp_loose) does, SYN,ACK and
    RST do not; of ICMP echo requests do.
    """
    if packet.protocol == "tcp":
        return packet.kind == "SYN"
    return packet.protocol != "icmp" or packet.kind == ECHO[0]


def translate(packet: Packet, side: Manipulation) -> None:
    """Give the packet the address its connection says: NAT done again, or undone for answers."""
    connection = packet.connection
    if connection is None or not connection.is_translated:
        return
    if not _concerns(connection, side, reply=packet.is_reply):
        return
    far = connection.original if packet.is_reply else connection.replies
    if packet.quoted is not None:
        _translate_error(packet, side, far)
    elif side == "source":
        packet.source = far.destination
        packet.source_port = far.destination_port
    else:
        packet.destination = far.source
        if packet.protocol != "icmp":
            packet.destination_port = far.source_port
        else:
            packet.source_port = far.source_port  # the identifier


def _concerns(connection: Connection, side: Manipulation, *, reply: bool) -> bool:
    """Whether something was translated that is seen on this side; answers see the other one."""
    if (side == "source") != reply:
        return connection.is_source_translated
    return connection.is_destination_translated


def _translate_error(packet: Packet, side: Manipulation, far: Flow) -> None:
    """Both the error's own address and the header it quotes, whose sides are the other way."""
    assert packet.quoted is not None
    if side == "source":
        packet.source = far.destination
        quoted = packet.quoted._replace(
            destination=far.destination, destination_port=far.destination_port
        )
    else:
        packet.destination = far.source
        quoted = packet.quoted._replace(source=far.source, source_port=far.source_port)
    packet.quoted = quoted
