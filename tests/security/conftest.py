"""A VPC whose every node has its own security group, so that a pod stands for its group."""

from collections.abc import Callable, Iterator
from ipaddress import IPv4Network

import pytest

from testbed.allocations import allocate
from testbed.bed import Bed
from testbed.bed import bed as bring_up
from testbed.eks.model import EksCluster
from testbed.explain.journey import Header, Protocol
from testbed.explain.walk.predict import predict
from testbed.explain.walk.world import World
from testbed.kubernetes.model import Node, Pod
from testbed.lab import Lab
from testbed.lab.checks import check
from testbed.net.facts import IpAddress
from testbed.plan import listeners, plan
from testbed.vpc.model import Subnet, Vpc
from testbed.vpc.security.model import NetworkAcl, PrefixList, SecurityGroup

SUBNETS = {"a-1": "a", "a-2": "a", "b-1": "b", "b-2": "b"}  # of the nodes, and so of their pods
VPC = IPv4Network("10.0.0.0/16")
CALLER = 40000  # the port that predictions call from


def lab(
    groups: tuple[SecurityGroup, ...] = (),
    nodes: dict[str, tuple[str, ...]] | None = None,
    acls: dict[str, NetworkAcl] | None = None,
    lists: tuple[PrefixList, ...] = (),
) -> Lab:
    """Pods a-1, a-2 in subnet a and b-1, b-2 in subnet b, each alone on a node.

    nodes: their groups, the cluster's own where nothing is said.  acls: by subnet.
    """
    acls, nodes = acls or {}, nodes or {}
    subnets = tuple(
        Subnet(
            name,
            IPv4Network(f"10.0.{number}.0/24"),
            f"us-west-2{name}",
            network_acl=acls[name].name if name in acls else "default",
        )
        for number, name in ((1, "a"), (2, "b"))
    )
    vpc = Vpc(
        "main",
        (VPC,),
        subnets,
        security_groups=groups,
        prefix_lists=lists,
        network_acls=tuple({acl.name: acl for acl in acls.values()}.values()),
    )
    cluster = EksCluster(
        "eks",
        "main",
        tuple(
            Node(f"node-{pod}", subnet, "t3.small", security_groups=nodes.get(pod, ()))
            for pod, subnet in SUBNETS.items()
        ),
        tuple(Pod(pod, node=f"node-{pod}") for pod in SUBNETS),
    )
    return check(Lab("guarded", (vpc,), (cluster,)))


@pytest.fixture(scope="package")
def guarded() -> Iterator[Bed]:
    """A lab that each test makes its own with `become`."""
    with bring_up(lab()) as up:
        yield up


@pytest.fixture
def become(guarded: Bed) -> Callable[..., Bed]:
    """Changes the running lab, as `up` of a changed file does."""

    def change(**described: object) -> Bed:
        guarded.lab = lab(**described)  # type: ignore[arg-type]
        guarded.allocations = allocate(guarded.lab, guarded.allocations)
        guarded.state = plan(guarded.lab, guarded.allocations)
        guarded.change(guarded.state)
        assert not guarded.drift()
        return guarded

    return change


def predicted(bed: Bed, source: str, to: IpAddress, protocol: Protocol, port: int = 0) -> str:
    """`delivered`, or the code of what ends the packet or its answer."""
    own = bed.address(source)
    caller = 0 if protocol == "icmp" else CALLER
    header = Header(
        protocol=protocol, source=own, destination=to, source_port=caller, destination_port=port
    )
    world, served = World.planned(bed.state), listeners(bed.lab, bed.allocations)
    [trip] = predict(world, source, header, served)
    ends = [trip.there.end, *([trip.back.end] if trip.back else [])]
    return next((end.code for end in ends if not end.delivered), "delivered")
