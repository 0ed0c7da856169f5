"""What Mininet is shown of a lab: places one can be in, their interfaces, their links.  Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Literal

from testbed.kubernetes.placement import PodAddress
from testbed.net.facts import Address, IpAddress, State, Veth

Kind = Literal["pod", "node", "router"]
End = tuple[str, str]  # a place and its interface
Json = Any  # what json.loads gives


@dataclass(frozen=True)
class Interface:
    """A device and the address it is known by, if it has one."""

    name: str
    ip: IpAddress | None = None
    mac: str = ""


@dataclass(frozen=True)
class Place:
    """Something commands run in.  The first interface's address stands for the name."""

    name: str
    netns: str
    kind: Kind
    interfaces: tuple[Interface, ...] = ()


@dataclass(frozen=True)
class View:
    """All places, pods first, and all links between them."""

    places: tuple[Place, ...]
    links: tuple[tuple[End, End], ...]


def view(state: State, pods: Iterable[PodAddress], nodes: Iterable[str]) -> View:
    """What a planned lab looks like from Mininet's prompt.

    Every namespace that is neither a pod's nor a node's is a router.  A pod of the host network
    is a place of its own in its node's namespace.
    """
    pods, nodes = tuple(pods), tuple(nodes)
    interfaces = _interfaces(state)
    taken = {pod.pod for pod in pods} | set(nodes)
    routers = sorted({fact.ns for fact in state} - taken)
    places = (
        *(_pod(pod, interfaces) for pod in pods),
        *(Place(name, name, "node", interfaces.get(name, ())) for name in nodes),
        *(Place(name, name, "router", interfaces.get(name, ())) for name in routers),
    )
    ranks = {place.name: rank for rank, place in enumerate(places)}
    return View(places, tuple(_links(state, ranks)))


def _interfaces(state: State) -> dict[str, tuple[Interface, ...]]:
    """The devices of each namespace: veths, and whatever else has an address (a bridge, lo)."""
    addresses: dict[End, list[IpAddress]] = {}
    for fact in state:
        if isinstance(fact, Address):
            addresses.setdefault((fact.ns, fact.dev), []).append(fact.ip.ip)
    macs = {(fact.ns, fact.name): fact.mac for fact in state if isinstance(fact, Veth)}
    found: dict[str, list[Interface]] = {}
    for ns, name in addresses.keys() | macs.keys():
        ip = min(addresses.get((ns, name), ()), key=lambda ip: (ip.version, int(ip)), default=None)
        found.setdefault(ns, []).append(Interface(name, ip, macs.get((ns, name), "")))
    return {ns: tuple(sorted(devices, key=_prominence)) for ns, devices in found.items()}


def _prominence(interface: Interface) -> tuple[bool, bool, str]:
    """Those with an address first, and among them eth0, eth1, …"""
    return interface.ip is None, not interface.name.startswith("eth"), interface.name


def _pod(pod: PodAddress, interfaces: dict[str, tuple[Interface, ...]]) -> Place:
    if not pod.host_network:
        return Place(pod.pod, pod.pod, "pod", interfaces.get(pod.pod, ()))
    shared = tuple(own for own in interfaces.get(pod.node, ()) if own.ip == pod.ip)
    return Place(pod.pod, pod.node, "pod", shared)


def _links(state: State, ranks: Mapping[str, int]) -> list[tuple[End, End]]:
    """Every veth pair once, in the order of the places, the earlier one on the left."""

    def rank(end: End) -> tuple[int, str]:
        return ranks[end[0]], end[1]

    ends = {(fact.ns, fact.name): fact for fact in state if isinstance(fact, Veth)}
    pairs = [(end, (veth.peer_ns, veth.peer)) for end, veth in ends.items()]
    links = [(a, b) for a, b in pairs if b in ends and rank(a) < rank(b)]
    return sorted(links, key=lambda link: (rank(link[0]), rank(link[1])))


def to_json(shown: View) -> Json:
    """The view as plain values."""
    return {
        "places": [
            {
                "name": place.name,
                "netns": place.netns,
                "kind": place.kind,
                "interfaces": [
                    {"name": own.name, "ip": str(own.ip or ""), "mac": own.mac}
                    for own in place.interfaces
                ],
            }
            for place in shown.places
        ],
        "links": [[list(end) for end in ends] for ends in shown.links],
    }


def from_json(given: Json) -> View:
    """The view that `to_json` gave."""
    places = tuple(
        Place(
            name=place["name"],
            netns=place["netns"],
            kind=place["kind"],
            interfaces=tuple(
                Interface(own["name"], ip_address(own["ip"]) if own["ip"] else None, own["mac"])
                for own in place["interfaces"]
            ),
        )
        for place in given["places"]
    )
    return View(places, tuple(((a, if_a), (b, if_b)) for (a, if_a), (b, if_b) in given["links"]))
