"""Who listens: the sockets that packets may be delivered to."""

from collections.abc import Iterable

from testbed.explain.packet import TTL, Packet, address
from testbed.net.served.endpoints import Listener
from testbed.net.served.metadata import InstanceMetadata


class Sockets:
    """The listening sockets, found by namespace, protocol and port (state: that index)."""

    def __init__(self, listeners: Iterable[Listener]) -> None:
        self._addresses: dict[tuple[str, str, int], set[int]] = {}
        self._told: dict[str, tuple[InstanceMetadata, ...]] = {}  # by the server's namespace
        self._held: set[tuple[str, str, int]] = set()
        for one in listeners:
            if one.held:
                self._held.add((one.netns, one.transport, one.port))
            if one.metadata:
                self._told[one.netns] = one.metadata
            key = one.netns, one.transport, one.port
            self._addresses.setdefault(key, set()).add(int(one.address))

    def token_ttl(self, ns: str, packet: Packet) -> int:
        """The TTL of what brings a token: the hop limit of the instance that asks for it."""
        for one in self._told.get(ns, ()):
            if one.enabled and address(packet.source) in one.addresses:
                return one.hop_limit
        return TTL

    def reads(self, ns: str, packet: Packet) -> bool:
        """Whether anybody reads what was taken: some only keep a port from others."""
        return (ns, packet.protocol, packet.destination_port) not in self._held

    def take(self, ns: str, packet: Packet) -> bool:
        """Whether somebody takes a packet that was delivered there; kernels answer pings."""
        if packet.protocol == "icmp":
            return True
        bound = self._addresses.get((ns, packet.protocol, packet.destination_port))
        return bound is not None and (0 in bound or packet.destination in bound)
