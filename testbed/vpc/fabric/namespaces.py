"""What a namespace is in the network: one that forwards, or an end; and what links two."""

from collections.abc import Iterator
from ipaddress import IPv4Address

from testbed.net import names
from testbed.net.facts import Fact, Neighbour, Sysctl, Veth


def forwarding(ns: str) -> Iterator[Sysctl]:
    """A forwarding namespace whose settings do not depend on the host's."""
    for name, value in (
        ("net.ipv4.ip_forward", "1"),
        ("net.ipv4.conf.all.rp_filter", "0"),
        ("net.ipv4.conf.default.rp_filter", "0"),
        ("net.ipv4.conf.all.send_redirects", "0"),
        ("net.ipv4.conf.default.send_redirects", "0"),
        ("net.ipv6.conf.all.disable_ipv6", "1"),
        ("net.ipv6.conf.default.disable_ipv6", "1"),
    ):
        yield Sysctl(ns=ns, name=name, value=value, why="forwards, filters no reverse path")


def end_system(ns: str) -> Iterator[Sysctl]:
    """A namespace that serves and forwards nothing; its settings do not depend on the host's."""
    for name, value in (
        ("net.ipv4.ip_forward", "0"),
        ("net.ipv4.conf.all.rp_filter", "0"),
        ("net.ipv4.conf.default.rp_filter", "0"),
        ("net.ipv6.conf.all.disable_ipv6", "1"),
        ("net.ipv6.conf.default.disable_ipv6", "1"),
    ):
        yield Sysctl(ns=ns, name=name, value=value, why="serves, forwards nothing")


def link(
    near: tuple[str, str, IPv4Address], far: tuple[str, str, IPv4Address], mtu: int, why: str
) -> Iterator[Fact]:
    """A veth pair without addresses; each end knows the other's next-hop address and MAC."""
    for (ns, dev, _), (peer_ns, peer, peer_hop) in ((near, far), (far, near)):
        mac, peer_mac = names.mac(ns, dev), names.mac(peer_ns, peer)
        yield Veth(ns=ns, name=dev, peer_ns=peer_ns, peer=peer, mac=mac, mtu=mtu, why=why)
        yield Neighbour(ns=ns, dev=dev, ip=peer_hop, mac=peer_mac, why=why)
