"""Hops that route and do nothing else: what the kernel itself takes to forward."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from itertools import pairwise

from testbed.net.facts import Address, Chain, Fact, Netns, Route, State, Sysctl, Veth

MTU = 9001  # as everything in a VPC
PAIR = ("left", "right")
ROUTED = ("left", "left-node", "router", "right-node", "right")
_SUBNETS = [*IPv4Network("10.0.0.0/16").subnets(new_prefix=24)]  # of the large topology's VPC


def hops(way: Sequence[str]) -> Iterator[Fact]:
    """These namespaces in a row, each linked to the next one, with no rule of any kind.

    Those between the ends forward; each knows the way to both ends.
    """
    last = len(way) - 1
    for place, ns in enumerate(way):
        yield Netns(ns=ns)
        if 0 < place < last:
            yield Sysctl(ns=ns, name="net.ipv4.ip_forward", value="1")
        if place < last - 1:
            yield Route(ns=ns, dst=_SUBNETS[last - 1], dev="east", via=_address(place, "west"))
        if place > 1:
            yield Route(ns=ns, dst=_SUBNETS[0], dev="west", via=_address(place - 1, "east"))
    for link, (west, east) in enumerate(pairwise(way)):
        yield from _end(link, west, "east", east, "west")
        yield from _end(link, east, "west", west, "east")


def with_rules(way: Sequence[str], state: State, node: str) -> Iterator[Fact]:
    """The same, where both nodes have the iptables rules that a node of a lab has."""
    yield from hops(way)
    for fact in state:
        if isinstance(fact, Chain) and fact.ns == node:
            yield replace(fact, ns=way[1])
            yield replace(fact, ns=way[-2])


def far_end(way: Sequence[str]) -> str:
    """The address of the last one."""
    return str(_address(len(way) - 2, "west"))


def _end(link: int, ns: str, name: str, peer_ns: str, peer: str) -> Iterator[Fact]:
    ip = _address(link, name)
    mac = "02:00:" + ":".join(f"{byte:02x}" for byte in ip.packed)
    yield Veth(ns=ns, name=name, peer_ns=peer_ns, peer=peer, mac=mac, mtu=MTU)
    yield Address(ns=ns, dev=name, ip=IPv4Interface((ip, _SUBNETS[link].prefixlen)))


def _address(link: int, device: str) -> IPv4Address:
    """A link's two ends: the device that looks east has the first address."""
    return _SUBNETS[link][1 if device == "east" else 2]
