"""On-premises sites: a customer gateway, its connections to AWS, and hosts behind it."""

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import NamedTuple

from testbed.net import names
from testbed.net.facts import ANYWHERE, Address, Chain, ChainRule, Fact, Netns, Route
from testbed.networks.model import Connection, Host, Site
from testbed.networks.private_gateway import AWS_SIDE, SITE_SIDE, metric
from testbed.networks.private_gateway import device as gateway_device
from testbed.vpc.fabric.namespaces import end_system, forwarding, link
from testbed.vpc.fabric.routing import host

# Bytes; Site-to-Site VPN User Guide, "Best practices for a customer gateway device": AES-GCM
# without NAT traversal.  Direct Connect User Guide: private virtual interfaces, 1500 or 9001.
MTU = {"vpn": 1446, "direct-connect": 1500}
IP_AND_TCP = 40  # bytes: what a segment has around it
LAN_MTU = 1500  # bytes
ROUTER_SIDE, HOST_SIDE = IPv4Address("169.254.255.13"), IPv4Address("169.254.255.14")


def mtu_bytes(connection: Connection) -> int:
    """The largest packet a connection carries."""
    return connection.mtu or MTU[connection.type]


def device(connection: Connection) -> str:
    """The customer gateway's end of a connection."""
    return names.device(connection.name)


class End(NamedTuple):
    """AWS's end of connections: its namespace, and the ranges it announces."""

    ns: str
    announced: tuple[IPv4Network, ...]


def router_address(site: Site) -> IPv4Address:
    """The customer gateway's own address: the first of the site that no host has."""
    taken = {at.address for at in site.hosts}
    return next(address for address in site.cidrs[0].hosts() if address not in taken)


def site_facts(site: Site, ends: Mapping[str, End]) -> Iterator[Fact]:
    """The customer gateway's namespace, the hosts', and the links of working connections."""
    yield Netns(ns=site.name, why=f"the customer gateway of {site.name}")
    yield from forwarding(site.name)
    own = IPv4Interface(host(router_address(site)))
    yield Address(ns=site.name, dev="lo", ip=own, why="the customer gateway's own address")
    for at in site.hosts:
        yield from _host(site, at)
    working = [one for one in site.connections if one.up]
    for one in working:
        near = (site.name, device(one), SITE_SIDE)
        far = (ends[one.gateway].ns, gateway_device(site, one), AWS_SIDE)
        yield from link(near, far, mtu_bytes(one), f"{one.type} of {site.name}: {one.name}")
        for network in ends[one.gateway].announced:
            yield _to_aws(site, one, network, metric(site.connections, one), "AWS announces it")
        if one.name == site.default_route:
            yield _to_aws(site, one, ANYWHERE, 0, "the site's defaultRoute")
    yield from _segments(site, working)


def _to_aws(site: Site, to: Connection, network: IPv4Network, cost: int, why: str) -> Route:
    return Route(
        ns=site.name,
        dst=network,
        via=AWS_SIDE,
        dev=device(to),
        metric=cost,
        onlink=True,
        why=f"{why} by {to.name}",
    )


def _segments(site: Site, working: list[Connection]) -> Iterator[Chain]:
    """TCP is told by the customer gateway what fits, for AWS's end tells nobody.

    -A FORWARD -o vpn -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss 1406
    """
    rules = [
        ChainRule(
            f"-{way} {device(one)} -p tcp -m tcp --tcp-flags SYN,RST SYN"
            f" -j TCPMSS --set-mss {mtu_bytes(one) - IP_AND_TCP}",
            "a customer gateway lowers TCP's segment size (Site-to-Site VPN User Guide)",
        )
        for one in working
        if one.type == "vpn"
        for way in ("i", "o")
    ]
    if rules:
        yield Chain(ns=site.name, table="mangle", name="FORWARD", rules=tuple(rules))


def _host(site: Site, one: Host) -> Iterator[Fact]:
    """A host: its address, and the customer gateway as its only way."""
    yield Netns(ns=one.name, why=f"a host of {site.name}")
    yield from end_system(one.name)
    dev = names.device(one.name)
    near, far = (site.name, dev, ROUTER_SIDE), (one.name, "eth0", HOST_SIDE)
    yield from link(near, far, LAN_MTU, f"the network of {site.name}")
    yield Address(
        ns=one.name, dev="eth0", ip=IPv4Interface(host(one.address)), why=f"in {site.name}"
    )
    why = "the customer gateway"
    yield Route(ns=one.name, dst=ANYWHERE, via=ROUTER_SIDE, dev="eth0", onlink=True, why=why)
    yield Route(
        ns=site.name,
        dst=host(one.address),
        via=HOST_SIDE,
        dev=dev,
        onlink=True,
        why=f"{one.name} of {site.name}",
    )
