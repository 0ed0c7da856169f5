"""Where a packet comes out that a namespace sends: over veths, through bridges and a VPC's fabric.

Pure: links, the bridges' mapping and the checks on ENIs are read from facts.
"""

from dataclasses import dataclass, replace

from testbed.net.facts import (
    Address,
    Bridge,
    BridgePort,
    Fdb,
    IpAddress,
    Neighbour,
    NftElement,
    State,
    Veth,
)
from testbed.vpc.routing import LIFTED
from testbed.vpc.security.tracking import FORWARDED


@dataclass(frozen=True)
class Packet:
    """A packet at a namespace; `iif` is empty where it was made.

    switched: the port by which a bridge on the way let it out, without any routing there.
    """

    ns: str
    destination: IpAddress
    source: IpAddress | None = None
    iif: str = ""
    mark: int = 0
    switched: BridgePort | None = None


@dataclass(frozen=True)
class Dropped:
    """Why a packet went nowhere: a stable reason code (AWS's where one fits) and a sentence."""

    code: str
    text: str

    def __str__(self) -> str:
        return f"dropped: {self.text} ({self.code})"


class Crossings:
    """The links of a plan, looked up by what a packet knows; made once for many questions."""

    def __init__(self, plan: State) -> None:
        self._veths = {(f.ns, f.name): f for f in plan if isinstance(f, Veth)}
        self._bridges = {(f.ns, f.name): f for f in plan if isinstance(f, Bridge)}
        self._ports = {(f.ns, f.dev): f for f in plan if isinstance(f, BridgePort)}
        self._addresses = {(f.ns, f.dev, f.ip.ip) for f in plan if isinstance(f, Address)}
        self._switches: dict[tuple[str, str], list[BridgePort]] = {}
        for port in self._ports.values():
            if port.learning:
                self._switches.setdefault((port.ns, port.bridge), []).append(port)
        self._port_of = {(f.ns, f.mac): f.dev for f in plan if isinstance(f, Fdb)}
        self._macs = {(f.ns, f.dev, f.ip): f.mac for f in plan if isinstance(f, Neighbour)}
        elements = [f for f in plan if isinstance(f, NftElement)]
        self._elements = {(f.ns, f.set, f.element) for f in elements}
        self._groups: dict[str, dict[str, str]] = {}
        for f in elements:
            if f.set == "groups":
                self._groups.setdefault(f.ns, {})[f.element] = f.value

    def leave(self, packet: Packet, dev: str, next_hop: IpAddress) -> Packet | Dropped:
        """The packet where the next kernel routes it."""
        if (packet.ns, dev) in self._bridges:
            if (packet.ns, dev) in self._switches:
                return self._switch(packet, packet.ns, dev, next_hop)
            return self._deliver(packet, dev, next_hop)
        veth = self._veths.get((packet.ns, dev))
        if veth is None:
            return Dropped("X_HOST", f"{packet.ns} has no link behind {dev}")
        port = self._ports.get((veth.peer_ns, veth.peer))
        if port is None:
            return Packet(veth.peer_ns, packet.destination, packet.source, iif=veth.peer)
        if port.learning:
            return self._switch(packet, port.ns, port.bridge, next_hop)
        return self._enter_subnet(packet, veth, port.bridge, next_hop)

    def _switch(
        self, packet: Packet, ns: str, bridge: str, next_hop: IpAddress
    ) -> Packet | Dropped:
        """A bridge that learns: to its own address, or out of the port behind which the hop is."""
        if ns != packet.ns and (ns, bridge, next_hop) in self._addresses:
            return Packet(ns, packet.destination, packet.source, iif=bridge)
        for port in self._switches[ns, bridge]:
            veth = self._veths[ns, port.dev]
            if (veth.peer_ns, veth.peer, next_hop) in self._addresses:
                return Packet(
                    veth.peer_ns,
                    packet.destination,
                    packet.source,
                    iif=veth.peer,
                    switched=None if ns == packet.ns else port,
                )
        return Dropped("X_HOST", f"nobody on {bridge} of {ns} has {next_hop}")

    def _enter_subnet(
        self, packet: Packet, veth: Veth, bridge: str, next_hop: IpAddress
    ) -> Packet | Dropped:
        """An ENI's frame at its port: source check, then router, lift or bridge."""
        router, sender = veth.peer_ns, f'"{veth.peer}" . {veth.mac}'
        assigned = (router, "assigned", f"{sender} . {packet.source}") in self._elements
        if not assigned and (router, "unchecked", sender) not in self._elements:
            text = f"{packet.source} is no address of the ENI behind {packet.ns} {veth.name}"
            return Dropped("ENI_SOURCE_DEST_CHECK_RESTRICTION", f"source check: {text}")
        mark = self._sender_mark(router, veth.peer, is_own=assigned)
        arrived = Packet(router, packet.destination, packet.source, iif=bridge, mark=mark)
        mac = self._macs.get((router, bridge, next_hop))
        if mac == self._bridges[router, bridge].mac:
            return arrived
        if (router, "owners", f"{mac} . {packet.destination}") in self._elements:
            return replace(arrived, mark=mark | LIFTED)
        if (router, "unchecked-macs", mac) in self._elements:
            return self._deliver(arrived, bridge, next_hop)
        return Dropped("X_NO_MAPPING", f"no ENI in the subnet of {bridge} has {next_hop}")

    def _sender_mark(self, router: str, port: str, *, is_own: bool) -> int:
        """Which security groups judge what comes in by a port; 0 where nobody describes any."""
        groups = self._groups.get(router)
        if groups is None:
            return 0
        return int(groups.get(f'"{port}"', "0"), 0) | (0 if is_own else FORWARDED)

    def _deliver(self, packet: Packet, bridge: str, next_hop: IpAddress) -> Packet | Dropped:
        """Out of the port of the ENI that has the next hop, if that takes the destination."""
        mac = self._macs.get((packet.ns, bridge, next_hop), "")
        port = self._port_of.get((packet.ns, mac), "")
        veth = self._veths.get((packet.ns, port))
        if veth is None:
            return Dropped("X_NO_MAPPING", f"no ENI behind {bridge} has {next_hop}")
        taker = f'"{port}" . {mac}'
        assigned = (packet.ns, "assigned", f"{taker} . {packet.destination}") in self._elements
        if not assigned and (packet.ns, "unchecked", taker) not in self._elements:
            text = f"{packet.destination} is no address of the ENI behind {port}"
            return Dropped("ENI_SOURCE_DEST_CHECK_RESTRICTION", f"destination check: {text}")
        return Packet(veth.peer_ns, packet.destination, packet.source, iif=veth.peer)
