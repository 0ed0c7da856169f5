"""Who listens: the sockets that packets may be delivered to."""

from collections.abc import Iterable

from testbed.explain.packet import Packet
from testbed.net.endpoints import Listener


class Sockets:
    """The listening sockets, found by namespace, protocol and port (state: that index)."""

    def __init__(self, listeners: Iterable[Listener]) -> None:
        self._addresses: dict[tuple[str, str, int], set[int]] = {}
        for one in listeners:
            key = one.netns, one.transport, one.port
            self._addresses.setdefault(key, set()).add(int(one.address))

    def take(self, ns: str, packet: Packet) -> bool:
        """Whether somebody takes a packet that was delivered there; kernels answer pings."""
        if packet.protocol == "icmp":
            return True
        bound = self._addresses.get((ns, packet.protocol, packet.destination_port))
        return bound is not None and (0 in bound or packet.destination in bound)
