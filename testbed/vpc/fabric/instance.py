"""EC2 instances: eth0 as DHCP leaves it, a kernel that may route, and docker0 where it runs."""

from collections.abc import Iterator
from ipaddress import IPv4Interface, IPv4Network

from testbed.net import names
from testbed.net.facts import ANYWHERE, Address, Bridge, Fact, Netns, Route, Sysctl
from testbed.vpc.eni import Eni
from testbed.vpc.fabric.eni import device, instance_side
from testbed.vpc.fabric.namespaces import end_system
from testbed.vpc.model import Instance, Subnet
from testbed.vpc.naming import gateway_address

JUMBO = 9001  # bytes: DHCP option 26 in a VPC
DOCKER = IPv4Network("172.17.0.0/16")  # of docker0, unless dockerd is told another
DOCKER_MTU = 1500  # bytes: dockerd's default
LOOSE_FILTER = "2"  # rp_filter: an appliance may forward what comes back by another way


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


def bare_facts(instance: Instance, eni: Eni, subnet: Subnet) -> Iterator[Fact]:
    """An instance that is no node of a cluster."""
    ns = instance.name
    yield Netns(ns=ns, why=f"an EC2 instance, {instance.instance_type}")
    if instance.ip_forward:
        yield from routing_sysctls(ns, LOOSE_FILTER, "an appliance")
    else:
        yield from end_system(ns)
    yield from primary_facts(eni, subnet, JUMBO)
    for address in eni.secondary:
        why = "a secondary address, which DHCP does not tell: the guest has it configured"
        yield Address(ns=ns, dev=device(eni), ip=IPv4Interface(address), why=why)
    if instance.docker:
        yield from docker_facts(ns)


def docker_facts(ns: str) -> Iterator[Fact]:
    """docker0, which dockerd makes when it starts, before there is any container.

    172.17.0.0/16 dev docker0 proto kernel scope link src 172.17.0.1     (implied by the address)
    """
    why = "dockerd's bridge: its range is no other network's as long as it is there"
    mac = names.mac(ns, "docker0")
    yield Bridge(ns=ns, name="docker0", mac=mac, mtu=DOCKER_MTU, why=why)
    interface = IPv4Interface((DOCKER[1], DOCKER.prefixlen))
    yield Address(ns=ns, dev="docker0", ip=interface, why=why)
