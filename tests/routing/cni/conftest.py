"""One node of the CNI's reference: pod-1 has an address of eth0, pod-2 one of eth1.

        internet   203.0.113.10, and 198.51.100.10, which some settings exclude
           |
VPC 10.10.0.0/16 ── nat                       public, or behind nat: the route table decides
  |           |
node-1      node-2     10.10.0.10: eth0, eth1
pod-1  0    pod-3
pod-2  1
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest
from pydantic import TypeAdapter

from testbed.bed import Bed
from testbed.bed import bed as bring_up
from testbed.eks.environment import CniSettings
from testbed.eks.model import ConnmarkBackend, EksCluster, Profile
from testbed.explain.compare import Difference, closest, first_difference
from testbed.explain.journey import End, Header, Protocol, RoundTrip, Visit
from testbed.explain.netfilter.remembered import judged
from testbed.explain.walk.facts.sockets import Sockets
from testbed.explain.walk.remembered import predict_remembered
from testbed.kubernetes.model import Node, Pod, Service, ServicePort
from testbed.lab import Lab
from testbed.net.facts import ANYWHERE
from testbed.plan import served
from testbed.probes.asked.present import Present
from testbed.probes.asked.remembered import remembered
from testbed.probes.observe.observer import Observer
from testbed.vpc.model import Instance, NatGateway, RouteEntry, RouteTable, Subnet, Vpc

OUTSIDE, EXCLUDED = "203.0.113.10", "198.51.100.10"
NODE_PORT = 30080

NODES = (
    Node("node-1", "a", "t3.small", private_ip=IPv4Address("10.10.0.10")),
    Node("node-2", "b", "t3.small"),
)
PODS = (
    Pod("pod-1", node="node-1", eni=0),
    Pod("pod-2", node="node-1", eni=1, labels={"app": "second"}),
    Pod("pod-3", node="node-2", labels={"app": "third"}),
)
SERVICES = (
    Service("second", {"app": "second"}, (ServicePort(80, node_port=NODE_PORT),), type="NodePort"),
    Service("third", {"app": "third"}, (ServicePort(80),)),
)


def cni_lab(
    profile: Profile = "current",
    backend: ConnmarkBackend = "iptables",
    *,
    public: bool = False,
    cidrs: tuple[str, ...] = ("10.10.0.0/16",),
    **env: Any,
) -> Lab:
    """The lab in another era and with other settings.

    public: no NAT gateway on the way out.  cidrs: in a second one there is an instance, `caller`.
    """
    way_out = "internet-gateway" if public else "nat"
    vpc = Vpc(
        "main",
        tuple(map(IPv4Network, cidrs)),
        (
            Subnet("a", IPv4Network("10.10.0.0/19"), "z1", map_public_ip_on_launch=True),
            Subnet("b", IPv4Network("10.10.32.0/19"), "z2", map_public_ip_on_launch=True),
            Subnet("out", IPv4Network("10.10.64.0/19"), "z1", route_table="out"),
            *(Subnet("c", IPv4Network(cidr), "z1") for cidr in cidrs[1:]),
        ),
        (
            RouteTable("main", (RouteEntry(ANYWHERE, way_out),)),
            RouteTable("out", (RouteEntry(ANYWHERE, "internet-gateway"),)),
        ),
        (NatGateway("nat", "out"),),
        tuple(Instance("caller", "c") for _ in cidrs[1:]),
    )
    cluster = EksCluster(
        "eks",
        "main",
        NODES,
        PODS,
        profile=profile,
        connmark_backend=backend,
        env=TypeAdapter(CniSettings).validate_python(env),
        services=SERVICES,
    )
    return Lab("cni", (vpc,), (cluster,))


@pytest.fixture(scope="module")
def bed() -> Iterator[Bed]:
    """The lab, up; tests let it become others."""
    with bring_up(cni_lab()) as up:
        yield up


@dataclass(frozen=True)
class Explained:
    """What became of a packet, and how the prediction from the kernels' own state differs."""

    observed: RoundTrip
    predicted: RoundTrip
    difference: Difference | None

    @property
    def end(self) -> End:
        """Where it was lost, or its answer; else where its answer came to."""
        trip = self.observed
        return trip.back.end if trip.there.end.delivered and trip.back else trip.there.end

    @property
    def delivered(self) -> bool:
        """Whether it arrived and its answer did."""
        trip = self.observed
        return bool(trip.there.end.delivered and trip.back and trip.back.end.delivered)

    @property
    def cause(self) -> tuple[str, str]:
        """Where it died and the reason's code."""
        return self.end.ns, self.end.code

    def visit(self, ns: str) -> Visit:
        """The first visit to a namespace on the way there."""
        return next(one for one in self.observed.there.visits if one.ns == ns)

    def left(self, ns: str) -> tuple[str, str]:
        """The device a namespace sent it by, and the source address it then had."""
        visit = self.visit(ns)
        assert visit.left is not None
        return visit.dev_out, str(visit.left.source)


Explain = Callable[..., Explained]


@pytest.fixture(scope="module")
def observer(bed: Bed) -> Iterator[Observer]:
    """One that works on every machine."""
    with Observer(bed.store, tracefs=False) as made:
        yield made


@pytest.fixture
def explain(bed: Bed, observer: Observer) -> Explain:
    """`explain(source, destination, port=80, protocol="tcp")`: a real packet, followed.

    size: of the packet, in bytes.  source_port: of a UDP connection that kernels may remember.
    """

    def explained(
        source: str,
        destination: str,
        port: int = 80,
        protocol: Protocol = "tcp",
        *,
        size: int = 0,
        source_port: int = 0,
    ) -> Explained:
        kind = {"tcp": "SYN", "icmp": "echo-request", "udp": ""}[protocol]
        header = Header(
            protocol=protocol,
            source=IPv4Address(0),
            destination=_address(bed, source, destination),
            source_port=source_port,
            destination_port=0 if protocol == "icmp" else port,
            kind=kind,
            size=size,
        )
        world = Present(bed.store, bed.state)
        ears = served(bed.lab, bed.allocations)
        known = remembered(bed.store, header, bed.state) if source_port else ()
        how: dict[str, Any] = {"timeout_s": 2.0, "keep_port": bool(source_port)}
        seen = observer.observe(bed.state, bed.store.names(), source, header, **how)
        assert seen.contradictions == ()
        branches, new = predict_remembered(world, source, header, Sockets(ears), known)
        observed = judged(seen.round_trip, new, known)
        likely = closest(branches, observed)
        return Explained(observed, likely, first_difference(likely, observed))

    return explained


def _address(bed: Bed, source: str, destination: str) -> Any:
    """From the outside a node has its public address; a Service has its ClusterIP."""
    for given in bed.allocations.services:
        if given.service == destination:
            return given.cluster_ip
    for eni in bed.allocations.enis:
        if source == "internet" and (eni.instance, eni.device_index) == (destination, 0):
            return eni.public_ip
    return bed.address(destination)
