"""What every EC2 instance starts with: eth0 as DHCP leaves it, and a kernel that may route."""

from collections.abc import Iterator
from ipaddress import IPv4Interface

from testbed.net.facts import ANYWHERE, Address, Fact, Route, Sysctl
from testbed.vpc.ec2 import Eni
from testbed.vpc.eni import device, instance_side
from testbed.vpc.model import Subnet
from testbed.vpc.naming import gateway_address


def own_address(eni: Eni, subnet: Subnet) -> IPv4Interface:
    """An ENI's primary address with the prefix of its subnet, as an instance has it."""
    return IPv4Interface((eni.primary, subnet.cidr.prefixlen))


def primary_facts(eni: Eni, subnet: Subnet, mtu: int) -> Iterator[Fact]:
    """eth0 as DHCP leaves it.

    default via 10.10.0.1 dev eth0
    10.10.0.0/19 dev eth0 proto kernel scope link src 10.10.0.10      (implied by the address)

    mtu in bytes.
    """
    ns, dev = eni.instance, device(eni)
    yield instance_side(eni, mtu)
    yield Address(ns=ns, dev=dev, ip=own_address(eni, subnet), why="DHCP on eth0")
    yield Route(
        ns=ns,
        dst=ANYWHERE,
        via=gateway_address(subnet),
        dev=dev,
        why="DHCP on eth0: the VPC's router, the second address of the subnet",
    )


def routing_sysctls(ns: str, rp_filter: str, distribution: str) -> Iterator[Sysctl]:
    """An instance that routes for its pods.

    A new namespace copies conf/all and conf/default of the host: what matters is said here.  The
    filter that counts is the stricter of conf/all and the link's own.
    """
    kernel = "the kernel's default"
    for name, value, why in (
        ("ip_forward", "1", "the node routes for its pods (kubelet, container runtime)"),
        ("conf.all.accept_redirects", "0", "the kernel's choice where it forwards"),
        ("conf.all.send_redirects", "1", kernel),
        ("conf.default.send_redirects", "1", kernel),
        ("conf.all.rp_filter", "0", f"{distribution}: each link has its own"),
        ("conf.default.rp_filter", rp_filter, distribution),
    ):
        yield Sysctl(ns=ns, name=f"net.ipv4.{name}", value=value, why=why)
