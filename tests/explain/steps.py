"""Places, steps and packets of `topologies/eks.yaml` made by hand: what journeys are made of."""

from dataclasses import replace
from ipaddress import IPv4Address

from testbed.explain.answer import Place
from testbed.explain.journey import (
    End,
    FabricStep,
    Header,
    NetfilterStep,
    RoutingStep,
    Step,
    Visit,
)

WEB_0, WEB_3, CLIENT = IPv4Address("10.0.1.6"), IPv4Address("10.0.1.13"), IPv4Address("10.0.2.6")
NODE_1, NODE_2 = IPv4Address("10.0.1.4"), IPv4Address("10.0.2.4")
NAT_A, PUBLIC = IPv4Address("10.0.101.4"), IPv4Address("192.0.2.4")
OUTSIDE = IPv4Address("203.0.113.10")
CLUSTER_IP = IPv4Address("172.20.0.12")
VETH_0, VETH_3, VETH_CLIENT = "eni0d7763386da", "eni4448cbddedf", "eni71a3fe2d0bc"

PLACES = (
    Place(ns="web-0", kind="pod", inside="node-1", addresses=(WEB_0,), devices=("eth0",)),
    Place(ns="web-3", kind="pod", inside="node-1", addresses=(WEB_3,), devices=("eth0",)),
    Place(ns="client", kind="pod", inside="node-2", addresses=(CLIENT,), devices=("eth0",)),
    Place(
        ns="node-1",
        kind="node",
        inside="vpc-main",
        detail="t3.small · us-west-2a",
        addresses=(NODE_1,),
        devices=("eth0", "eth1", "eth2"),
    ),
    Place(
        ns="node-2",
        kind="node",
        inside="vpc-main",
        detail="t3.small · us-west-2b",
        addresses=(NODE_2,),
        devices=("eth0", "eth1"),
    ),
    Place(ns="vpc-main", kind="vpc", detail="10.0.0.0/16"),
    Place(
        ns="nat-a",
        kind="nat-gateway",
        inside="vpc-main",
        detail="public-a",
        addresses=(NAT_A,),
        devices=("eth0",),
    ),
    Place(ns="igw-main", kind="internet-gateway", inside="vpc-main"),
    Place(ns="internet", kind="internet", addresses=(OUTSIDE,)),
)

DEFAULT = RoutingStep(
    rule="32766: from all lookup main",
    table="main",
    route="default via 169.254.1.1 dev eth0",
    dev="eth0",
    next_hop="169.254.1.1",
    neighbour="lladdr 02:78:3c:1c:26:7f PERMANENT",
    why="the pod knows one gateway, which exists nowhere (aws-cni)",
)
BY_MARK = RoutingStep(
    rule="1024: from all fwmark 0x80/0x80 lookup main",
    table="main",
    route="default via 10.0.1.1 dev eth0",
    dev="eth0",
    next_hop="10.0.1.1",
    neighbour="lladdr 0a:ff:ff:ff:ff:01 REACHABLE",
    why="a marked connection belongs to eth0's address: by main (amazon-vpc-cni-k8s)",
)
RESTORE = NetfilterStep(
    family="ip",
    table="mangle",
    chain="PREROUTING",
    rule='-i eni+ -m comment --comment "AWS, primary ENI" '
    "-j CONNMARK --restore-mark --nfmask 0x80 --ctmask 0x80",
    verdict="continue",
    why="the pod's packets of a marked connection get the mark: rule 1024 then picks eth0",
)
OUTBOUND = NetfilterStep(
    family="ip",
    table="nat",
    chain="PREROUTING",
    rule='-i eni+ -m comment --comment "AWS, outbound connections" -j AWS-CONNMARK-CHAIN-0',
    verdict="jump AWS-CONNMARK-CHAIN-0",
    why="a pod opens a connection: will it be translated?",
)
STAYS = NetfilterStep(
    family="ip",
    table="nat",
    chain="AWS-CONNMARK-CHAIN-0",
    rule='-d 10.0.0.0/16 -m comment --comment "AWS CONNMARK CHAIN" -j RETURN',
    verdict="return",
    why="10.0.0.0/16 sees pods' addresses",
)
MARKED = NetfilterStep(
    family="ip",
    table="nat",
    chain="AWS-CONNMARK-CHAIN-0",
    rule='-m comment --comment "AWS, CONNMARK" -j CONNMARK --set-xmark 0x80/0x80',
    verdict="continue",
    why="to be translated to eth0's address, so it must leave by eth0",
)
SNAT = NetfilterStep(
    family="ip",
    table="nat",
    chain="AWS-SNAT-CHAIN-0",
    rule='! -o vlan+ -m comment --comment "AWS, SNAT" -m addrtype ! --dst-type LOCAL '
    "-j SNAT --to-source 10.0.1.4 --random-fully",
    verdict="snat to 10.0.1.4:47751",
    why="out of the VPC with the node's address: the internet gateway knows no pod's",
)
BY_NAT_GATEWAY = NetfilterStep(
    family="ip",
    table="nat-gateway",
    chain="postrouting",
    rule="ip saddr @vpc meta l4proto { tcp, udp } snat to 10.0.101.4:1024-65535",
    verdict="snat to 10.0.101.4:1024",
    why="NGW_SOURCE_ADDRESS_REASSIGN",
)


def to_pod(address: IPv4Address, veth: str, pod: str) -> RoutingStep:
    """The node's rule 512."""
    return RoutingStep(
        rule=f"512: from all to {address} lookup main",
        table="main",
        route=f"{address} dev {veth} scope link",
        dev=veth,
        next_hop=str(address),
        neighbour="lladdr 02:c9:d3:e4:81:11 REACHABLE",
        why=f"to {pod}: by main, where its veth is (amazon-vpc-cni-k8s: 512)",
    )


def by_eni(address: IPv4Address, number: int) -> RoutingStep:
    """The node's rule 1536."""
    return RoutingStep(
        rule=f"1536: from {address} lookup {number}",
        table=str(number),
        route=f"default via 10.0.1.1 dev eth{number - 1} table {number}",
        dev=f"eth{number - 1}",
        next_hop="10.0.1.1",
        neighbour="lladdr 0a:ff:ff:ff:ff:01 REACHABLE",
        why="from a pod: out of the ENI that owns its address (amazon-vpc-cni-k8s: 1536)",
    )


def local(address: IPv4Address, dev: str) -> RoutingStep:
    """Arrived."""
    return RoutingStep(
        rule="0: from all lookup local", table="local", route=f"local {address} dev {dev}", dev=dev
    )


def source_check(address: IPv4Address, eni: str, passed: bool = True) -> FabricStep:
    """The check on an ENI."""
    verb = "is" if passed else "is not"
    return FabricStep(
        name="source check", text=f"{address} {verb} an address of {eni}", passed=passed
    )


def associated(table: str, route: str) -> FabricStep:
    """The route table of a subnet."""
    return FabricStep(
        name="route table", text=f"{table}: {route}", passed=True, why=f"{table}: {route}"
    )


def visit(
    ns: str,
    dev_in: str,
    dev_out: str,
    arrived: Header,
    *steps: Step,
    left: Header | None = None,
    ends: bool = False,
    hops: int = 0,
    mark: int = 0,
) -> Visit:
    """A visit whose packet goes on as it is, `hops` less of TTL, unless it ends there."""
    goes_on = left or replace(arrived, ttl=arrived.ttl - hops)
    return Visit(
        ns=ns,
        dev_in=dev_in,
        dev_out=dev_out,
        arrived=arrived,
        left=None if ends else goes_on,
        mark_out=mark,
        steps=steps,
    )


def request(source: IPv4Address, destination: IPv4Address, port: int = 80) -> Header:
    """A SYN to a port."""
    return Header(
        protocol="tcp",
        source=source,
        destination=destination,
        source_port=40112,
        destination_port=port,
        kind="SYN",
    )


def answer_to(header: Header, **changes: object) -> Header:
    """A SYN,ACK."""
    back = replace(
        header,
        source=header.destination,
        destination=header.source,
        source_port=header.destination_port,
        destination_port=header.source_port,
        ttl=64,
        kind="SYN,ACK",
    )
    return replace(back, **changes)  # type: ignore[arg-type]


def arrived(ns: str, text: str = "a server listens on port 80") -> End:
    """Delivered."""
    return End(delivered=True, ns=ns, text=text)
