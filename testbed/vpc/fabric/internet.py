"""The outside: one namespace whose hosts serve HTTP and tell which client they saw."""

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Interface

from testbed.net.facts import Address, Fact, Netns, Route
from testbed.vpc.eni import Eni
from testbed.vpc.fabric.internet_gateway import OUTER_GATEWAY_SIDE, outer_device
from testbed.vpc.fabric.namespaces import forwarding
from testbed.vpc.fabric.routing import host
from testbed.vpc.model import Internet
from testbed.vpc.naming import INTERNET


def internet_facts(internet: Internet, enis: Iterable[Eni]) -> Iterator[Fact]:
    """The namespace, its hosts' addresses on its loopback, and the way to each public address."""
    yield Netns(ns=INTERNET, why="the world outside the VPCs")
    yield from forwarding(INTERNET)
    for address in internet.hosts:
        why = "a host on the internet (RFC 5737)"
        yield Address(ns=INTERNET, dev="lo", ip=IPv4Interface(f"{address}/32"), why=why)
    for eni in enis:
        if eni.public_ip is not None:
            yield Route(
                ns=INTERNET,
                dst=host(eni.public_ip),
                via=OUTER_GATEWAY_SIDE,
                dev=outer_device(eni.vpc),
                onlink=True,
                src=next(iter(internet.hosts), None),
                why=f"{eni.public_ip} is {eni.instance}'s, in VPC {eni.vpc}",
            )
