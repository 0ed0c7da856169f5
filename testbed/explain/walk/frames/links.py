"""Who gets a frame: neighbours, who answers ARP, and the ports of bridges."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from testbed.explain.journey import Header, RoutingStep
from testbed.explain.netfilter.conntrack import Tracking
from testbed.explain.netfilter.passage import Filtered, NotPredicted, Passage
from testbed.explain.packet import Packet, address
from testbed.explain.routing.decision import Decision
from testbed.explain.walk.facts.space import Space
from testbed.net.facts import Bridge, BridgePort, Veth

# Documentation/networking/ip-sysctl.rst, arp_ignore: which addresses are answered for
ANY_ADDRESS, OF_THE_DEVICE, OF_ITS_SUBNET, NONE_AT_ALL = 0, 1, 2, 8
LARGEST_LINK = 16  # bridges that a request passes; more are a loop


@dataclass(frozen=True, slots=True)
class Request:
    """An ARP request: who has `wanted`?"""

    wanted: int
    sender: int
    mac: str


@dataclass(frozen=True, slots=True)
class Leaving:
    """A frame's MACs, the next hop's empty for nobody's; the routing step; the link's state.

    asked: the next hop was asked for its MAC, which no fact of the namespace itself tells.
    """

    mac: str
    own_mac: str
    step: RoutingStep
    is_up: bool
    asked: bool


Arrival = tuple[Space, str]  # a namespace and the device by which a frame comes in


class Links:
    """The links of a world (state: what was looked up so far)."""

    def __init__(self, space: Callable[[str], Space]) -> None:
        """space: finds a namespace by name."""
        self._space = space
        self._leaving: dict[tuple[int, int, int], Leaving] = {}
        self._ports: dict[tuple[str, str], dict[str, str]] = {}
        self._far: dict[tuple[str, str], Arrival] = {}

    def leaving(self, space: Space, decision: Decision, source: int, destination: int) -> Leaving:
        """How a packet leaves by the device of a decision.  Raises NotPredicted.

        source: of the packet; a request is sent with it when it is one's own.
        """
        next_hop = decision.via or destination
        own = source if source in space.own.all else 0
        key = id(decision), next_hop, own  # a namespace's routing keeps its decisions
        found = self._leaving.get(key)
        if found is None:
            mac, text = self.neighbour(space, decision.dev, next_hop, own)
            step = replace(decision.step, neighbour=text)
            is_up = self.is_up(space, decision.dev)
            asked = (decision.dev, next_hop) not in space.neighbours
            found = Leaving(mac, space.mac(decision.dev), step, is_up, asked)
            self._leaving[key] = found
        return found

    def neighbour(self, space: Space, dev: str, next_hop: int, own: int) -> tuple[str, str]:
        """The MAC of a next hop and what `ip neigh` shows of it; the MAC is empty for nobody's.

        own: the address to ask with; 0 for the device's.  Raises NotPredicted.
        """
        known = space.neighbours.get((dev, next_hop))
        if known is not None:
            return known.mac, f"lladdr {known.mac} {known.state}"
        sender = own or space.own.select(dev, next_hop)
        mac = self._ask(space, dev, Request(next_hop, sender, space.mac(dev)))
        return mac, f"lladdr {mac}" if mac else "FAILED"

    def over(self, space: Space, dev: str) -> Arrival | None:
        """Where a frame arrives that leaves by a veth; None while an end of it is down."""
        key = space.ns, dev
        found = self._far.get(key)
        if found is None and self.is_up(space, dev):
            found = self._far[key] = self.far(space.veths[dev])
        return found

    def port_to(self, space: Space, bridge: Bridge, mac: str) -> BridgePort | None:
        """The port out of which a bridge sends a frame; None where it has nowhere to go.

        What a port may have learnt it is taken to know; without learning a port gets the frame
        where it is flooded.
        """
        static = space.port_macs.get(bridge.name, {}).get(mac)
        if static is not None:
            return space.ports[static]
        key = space.ns, bridge.name
        ports = self._ports.get(key)
        if ports is None:
            ports = self._ports[key] = {
                self.far(space.veths[port.dev])[0].mac(space.veths[port.dev].peer): port.dev
                for port in space.ports_of(bridge.name)
                if port.dev in space.veths and (port.learning or port.flood)
            }
        dev = ports.get(mac)
        return space.ports[dev] if dev is not None else None

    def is_own_mac(self, space: Space, bridge: Bridge, mac: str) -> bool:
        """Whether a frame is for the bridge itself."""
        if mac == bridge.mac:
            return True
        return any(space.mac(port.dev) == mac for port in space.ports_of(bridge.name))

    def far(self, veth: Veth) -> tuple[Space, str]:
        """The other end of a veth."""
        return self._space(veth.peer_ns), veth.peer

    def is_up(self, space: Space, dev: str) -> bool:
        """Whether both ends of a veth are up, or a bridge and one of its ports (br_stp_if.c)."""
        veth = space.veths.get(dev)
        if veth is not None:
            return veth.up and self._is_far_up(veth)
        bridge = space.bridges.get(dev)
        if bridge is None or not bridge.up:
            return False
        return any(self.is_up(space, port.dev) for port in space.ports_of(dev))

    def _is_far_up(self, veth: Veth) -> bool:
        far = self._space(veth.peer_ns).veths.get(veth.peer)
        return far is not None and far.up

    # ARP

    def _ask(self, space: Space, dev: str, request: Request) -> str:
        """The MAC that comes back to a request sent out of a device; empty for silence."""
        veth = space.veths.get(dev)
        if veth is not None:
            return self._heard_behind(veth, request, LARGEST_LINK)
        bridge = space.bridges.get(dev)
        if bridge is None or not _passes(space, arp_frame(request), "output", "", dev):
            return ""
        return self._flood(space, bridge, request, "", LARGEST_LINK)

    def _flood(
        self, space: Space, bridge: Bridge, request: Request, came_by: str, depth: int
    ) -> str:
        for port in space.ports_of(bridge.name):
            veth = space.veths.get(port.dev)
            if veth is None or not port.flood or port.dev == came_by:
                continue
            if _passes(space, arp_frame(request), "postrouting", "", port.dev):
                mac = self._heard_behind(veth, request, depth)
                if mac:
                    return mac
        return ""

    def _heard_behind(self, veth: Veth, request: Request, depth: int) -> str:
        if not depth or not (veth.up and self._is_far_up(veth)):
            return ""
        space, dev = self.far(veth)
        port = space.ports.get(dev)
        if port is None:
            return _answer(space, dev, request)
        bridge = space.bridges.get(port.bridge)
        frame = arp_frame(request)
        if bridge is None or not bridge.up or not _passes(space, frame, "prerouting", dev, ""):
            return ""
        if frame.kind == "reply":
            return self._turned(space, bridge, port, frame)
        return (
            self._mapped(space, bridge, port, request)
            or (
                _answer(space, bridge.name, request)
                if _passes(space, arp_frame(request), "input", dev, "")
                else ""
            )
            or self._flood(space, bridge, request, dev, depth - 1)
        )

    def _turned(self, space: Space, bridge: Bridge, port: BridgePort, frame: Packet) -> str:
        """What an answer says that rules made of a request: it goes back by the same port."""
        back = self.port_to(space, bridge, frame.dmac)
        if back != port or not port.hairpin:
            return ""
        return frame.smac if _passes(space, frame, "postrouting", "", port.dev) else ""

    def _mapped(self, space: Space, bridge: Bridge, port: BridgePort, request: Request) -> str:
        """What a bridge answers for others: a neighbour it knows, behind a port it knows.

        net/bridge/br_arp_nd_proxy.c: the bridge device's neighbour entry, and a forwarding entry.
        """
        known = space.neighbours.get((bridge.name, request.wanted))
        if known is None or not port.proxy_arp:
            return ""
        reachable = self.is_own_mac(space, bridge, known.mac) or self.port_to(
            space, bridge, known.mac
        )
        return known.mac if reachable else ""


def _passes(space: Space, frame: Packet, hook: str, iif: str, oif: str) -> bool:
    """Whether the bridge's own chains let a frame through; they may change it."""
    frame.iif, frame.oif = iif, oif
    passage = Passage(space.ns, frame, [], Tracking(), lambda _: 0, space.own)
    try:
        for stage in space.netfilter.hooks.get(f"bridge {hook}", ()):
            stage(passage)
    except Filtered:
        return False
    return True


def arp_frame(request: Request) -> Packet:
    """A request as nft's chains of family bridge see it."""
    header = Header(
        protocol="udp", source=address(request.sender), destination=address(request.wanted)
    )
    frame = Packet(header)
    frame.protocol, frame.ethertype, frame.kind = "", "arp", "request"
    frame.smac, frame.dmac = request.mac, "ff:ff:ff:ff:ff:ff"
    return frame


def _answer(space: Space, dev: str, request: Request) -> str:
    """What a namespace answers on a device: net/ipv4/arp.c, arp_process."""
    settings, wanted, sender = space.settings, request.wanted, request.sender
    checks = space.reverse_path
    decision = space.routing.decide(sender, wanted, dev)
    if settings.strictest("arp_filter", dev):
        raise NotPredicted(f"arp_filter of {dev} in {space.ns}")
    if sender and checks.refuses_addresses(sender, wanted, dev):
        return ""
    out = decision.dev if decision.kind == "unicast" else ""
    if sender and checks.refuses_source(sender, wanted, dev, out):
        return ""
    if decision.kind == "local":
        return space.mac(dev) if _is_answered_for(space, dev, request) else ""
    proxied = decision.kind == "unicast" and decision.dev != dev and settings.forwards(dev)
    return space.mac(dev) if proxied and settings.strictest("proxy_arp", dev) else ""


def _is_answered_for(space: Space, dev: str, request: Request) -> bool:
    mode = space.settings.strictest("arp_ignore", dev)
    if mode == ANY_ADDRESS:
        return True
    here = [one for one in space.addresses if one.dev == dev and int(one.ip.ip) == request.wanted]
    if mode == OF_THE_DEVICE:
        return bool(here)
    if mode == OF_ITS_SUBNET:
        return any(address(request.sender) in one.ip.network for one in here)
    if mode == NONE_AT_ALL:
        return False
    raise NotPredicted(f"arp_ignore {mode} of {dev} in {space.ns}")
