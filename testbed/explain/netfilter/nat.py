"""The first packet of a connection is translated: the connection remembers to what."""

from testbed.explain.netfilter.conditions import Translate
from testbed.explain.netfilter.conntrack import Tracking
from testbed.explain.packet import NOT_KNOWN, Connection


def set_up(
    tracking: Tracking, ns: str, connection: Connection, how: Translate, to: int, port: int = 0
) -> None:
    """Note in a connection what it is translated to.  port: 0 for one that `how` allows.

    nf_nat_core.c, nf_nat_setup_info: what was translated before, on the other side, stays.
    """
    now = connection.replies.turned()  # the flow as it leaves so far
    if how.side == "source":
        now = now._replace(source=to, source_port=port or _port(now.source_port, how))
        identifier = now.source_port
    else:
        port = port or _port(now.destination_port, how)
        now = now._replace(destination=to, destination_port=port)
        identifier = now.source_port
    if now.protocol == "icmp":  # both ways have the one identifier
        now = now._replace(source_port=identifier, destination_port=identifier)
    tracking.translated(ns, connection, now.turned())


def _port(own: int, how: Translate) -> int:
    """The packet's own port where it may stay; else the only one there is, else a random one."""
    ports = how.ports
    if ports and ports.first == ports.last:
        return ports.first
    if how.random or (ports and not ports.first <= own <= ports.last):
        return NOT_KNOWN
    return own
