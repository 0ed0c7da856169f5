"""Whom a Network Load Balancer sends to: nodes, pods or written addresses, and in which zones."""

from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from testbed.allocations import allocate
from testbed.eks.model import EksCluster
from testbed.kubernetes.endpoint_slices import EndpointAddress, EndpointPort, EndpointSlice
from testbed.kubernetes.kube_proxy import Era
from testbed.kubernetes.load_balancers.annotations import PREFIX
from testbed.kubernetes.model import Node, Service
from testbed.kubernetes.scheduler.terms import Taint
from testbed.lab import Lab
from testbed.lab.checks import problems
from testbed.load import load
from testbed.net.facts import NftChain
from testbed.plan import plan
from testbed.services.load_balancers import balancers
from testbed.services.load_balancers.node_selection import (
    EXCLUDED,
    EXCLUDED_ALPHA,
    LEAVING,
    MASTER,
)
from tests.services.load_balancers.network import (
    NODES,
    PODS,
    VPC,
    ZONE_A,
    ZONE_B,
    chain,
    service,
    targets,
)


def test_each_zone_sends_to_its_own_nodes_by_a_hash_of_the_flow() -> None:
    """Instance targets, cross-zone balancing off; the five parts but the rule's own two."""
    assert chain(service(), "listeners") == [
        "ip daddr 10.0.101.4 tcp dport 80 jhash ip saddr . tcp sport mod 1 seed 0x1"
        " vmap { 0 : goto tcp-80/node-1 }"
    ]
    assert chain(service(), "tcp-80/node-1") == ["meta l4proto tcp dnat to 10.0.1.4:31787"]
    assert targets(service(), ZONE_B) == ["tcp-80/node-2"]


@pytest.mark.parametrize(
    "how",
    [
        {"cross_zone_load_balancing_enabled": "true"},
        {"attributes": "load_balancing.cross_zone.enabled=true"},
    ],
)
def test_cross_zone_balancing_takes_every_node(how: dict[str, str]) -> None:
    assert targets(service(**how)) == ["tcp-80/node-1", "tcp-80/node-2"]


def test_pods_are_targets_in_their_own_zone() -> None:
    """`nlb-ip` of old, and `external` with its target type; no node port has a part in it."""
    old = service(type="nlb-ip", scheme="internet-facing")
    new = service(type="external", nlb_target_type="ip", scheme="internet-facing")

    assert targets(old) == targets(new) == ["tcp-80/web-0", "tcp-80/web-1"]
    assert targets(new, ZONE_B) == ["tcp-80/web-2"]
    assert chain(new, "tcp-80/web-0") == ["meta l4proto tcp dnat to 10.0.1.5:80"]


def test_written_addresses_of_pods_are_targets_too_everywhere_if_outside() -> None:
    """AWS' controller asks for the pod behind each; beyond the VPC's subnets is in every zone."""
    written = EndpointSlice(
        "web-1",
        "web",
        (
            EndpointAddress(IPv4Address("10.0.2.77"), pod="web-0"),
            EndpointAddress(IPv4Address("192.168.0.9"), pod="web-1"),
            EndpointAddress(IPv4Address("10.0.1.78")),
            EndpointAddress(IPv4Address("10.0.1.79"), pod="a\nglobal"),
        ),
        (EndpointPort(8080),),
    )
    web = replace(service(type="nlb-ip", scheme="internet-facing"), selector={})
    cluster = EksCluster("eks", "main", NODES, PODS, services=(web,), endpoint_slices=(written,))
    described = Lab("test", (VPC,), (cluster,))
    state = plan(described, allocate(described))

    chains = {(one.ns, one.name) for one in state if isinstance(one, NftChain)}

    assert (ZONE_A, "tcp-80/192.168.0.9") in chains
    assert (ZONE_A, "tcp-80/10.0.2.77") not in chains
    nobody = {(ZONE_A, "tcp-80/10.0.1.78"), (ZONE_A, "tcp-80/10.0.1.79")}
    assert not nobody & chains, "no pod is said, or none that is there"
    assert {(ZONE_B, "tcp-80/192.168.0.9"), (ZONE_B, "tcp-80/10.0.2.77")} <= chains


def test_with_stickiness_only_the_client_chooses_the_target() -> None:
    """Target groups, "Sticky sessions": source_ip is the only type there is."""
    sticky = service(target_group_attributes="stickiness.enabled=true,stickiness.type=source_ip")

    [rule] = chain(sticky, "listeners")
    assert " jhash ip saddr mod 1 seed 0x1 vmap " in rule


def test_pods_without_addresses_of_the_vpc_cannot_be_targets(topologies: Path) -> None:
    kops = load(topologies / "kops.yaml")
    [cluster] = kops.clusters
    web = service(type="external", nlb_target_type="ip")

    [problem] = problems(replace(kops, clusters=(replace(cluster, services=(web,)),)))

    assert problem.key.endswith(f'annotations["{PREFIX}nlb-target-type"]')
    assert "only where they have addresses of the VPC" in problem.message


def test_labels_say_which_nodes_are_targets() -> None:
    """An annotation asks for some, and one well-known label takes a node away from all."""
    ssd = replace(NODES[0], labels={"disk": "ssd"})
    excluded = replace(NODES[1], labels={EXCLUDED: ""})
    chosen = service(target_node_labels="disk=ssd", cross_zone_load_balancing_enabled="true")

    def nodes(web: Service, *there: Node) -> list[tuple[str, ...]]:
        return [one.nodes for one in balancers(VPC, there, (web,))]

    assert nodes(chosen, ssd, NODES[1]) == [("node-1",)]
    assert nodes(service(), ssd, excluded) == [("node-1",)]
    assert nodes(service(), ssd, NODES[1]) == [("node-1",), ("node-2",)], "control"


@pytest.mark.parametrize(
    ("how", "era", "left_out"),
    [
        ({"type": "nlb"}, "1.14", [MASTER]),
        ({"type": "nlb"}, "current", [EXCLUDED, LEAVING]),
        ({"type": "external"}, "current", [MASTER, EXCLUDED, EXCLUDED_ALPHA, LEAVING]),
    ],
    ids=str,
)
def test_who_makes_a_load_balancer_decides_which_nodes_are_targets(
    how: dict[str, str], era: Era, left_out: list[str]
) -> None:
    """Kubernetes 1.14 knew masters, today's a label; cluster-autoscaler's taint says goodbye."""
    labels = (MASTER, EXCLUDED, EXCLUDED_ALPHA)
    marked = {key: replace(NODES[1], labels={key: ""}) for key in labels}
    marked[LEAVING] = replace(NODES[1], taints=(Taint(LEAVING, "NoSchedule"),))

    def targets_beside(node: Node) -> list[tuple[str, ...]]:
        return [one.nodes for one in balancers(VPC, (NODES[0], node), (service(**how),), era)]

    assert targets_beside(NODES[1]) == [("node-1",), ("node-2",)], "control"
    assert [key for key in marked if targets_beside(marked[key]) == [("node-1",)]] == left_out
