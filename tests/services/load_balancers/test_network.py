"""Whom a Network Load Balancer sends to, and what its targets see of the client."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from testbed.allocations import allocate
from testbed.eks.model import EksCluster
from testbed.kubernetes.endpoint_slices import EndpointAddress, EndpointPort, EndpointSlice
from testbed.kubernetes.kube_proxy import Era
from testbed.kubernetes.load_balancers.annotations import PREFIX, load_balancer
from testbed.kubernetes.model import Node, Pod, Service, ServicePort
from testbed.kubernetes.scheduler.terms import Taint
from testbed.lab import Lab
from testbed.lab.checks import problems
from testbed.load import load
from testbed.net.facts import NftChain, NftElement, Route, Rule
from testbed.plan import plan, vpcs
from testbed.services.load_balancers import balancers
from testbed.services.load_balancers.node_selection import (
    EXCLUDED,
    EXCLUDED_ALPHA,
    LEAVING,
    MASTER,
)
from testbed.vpc.security.model import GroupRule, Range, SecurityGroup
from tests.services.load_balancers.network import (
    HTTP,
    NODES,
    PODS,
    PRESERVE,
    VPC,
    ZONE_A,
    ZONE_B,
    chain,
    checks,
    lab,
    service,
    targets,
)

BITS = 0xFFF8  # of the router's packet marks: which load balancer an answer goes back to


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


def test_a_chain_has_a_name_that_nft_takes() -> None:
    """128 characters; a pod's name and its namespace have 63 each."""
    pod = Pod("p" * 63, namespace="n" * 63, node="node-1", labels={"app": "web"})
    web = replace(service(type="nlb-ip"), namespace=pod.namespace, name="web")
    cluster = EksCluster("eks", "main", NODES, (pod,), services=(web,))
    described = Lab("test", (VPC,), (cluster,))

    state = plan(described, allocate(described))

    assert max(len(one.name) for one in state if isinstance(one, NftChain)) <= 128


@pytest.mark.parametrize(
    ("annotations", "protocol", "preserved"),
    [
        ({}, "TCP", True),
        ({"target_group_attributes": f"{PRESERVE}=false"}, "TCP", False),
        ({"type": "nlb-ip"}, "TCP", False),
        ({"type": "nlb-ip", "target_group_attributes": f"{PRESERVE}=true"}, "TCP", True),
        ({"type": "nlb-ip"}, "UDP", True),
        ({"type": "external"}, "TCP", True),
    ],
)
def test_whether_targets_see_the_client(
    annotations: dict[str, str], protocol: str, preserved: bool
) -> None:
    """On for instances and for UDP, off for addresses with TCP, unless the attribute says so."""
    assert load_balancer(service(**annotations)).preserves(protocol) is preserved


def test_without_preservation_targets_see_the_load_balancer() -> None:
    hidden = service(target_group_attributes=f"{PRESERVE}=false")

    assert chain(service(), "clients") == []
    assert chain(hidden, "clients") == [
        "ct status dnat meta l4proto tcp snat to 10.0.101.4:1024-65535"
    ]


def test_the_router_brings_answers_back_to_the_load_balancer_that_forwarded() -> None:
    """Its network interface may send what is not its own: the source check is off."""
    described = lab(service())
    allocations = allocate(described)
    state = plan(described, allocations)
    [eni] = [eni for eni in allocations.enis if eni.instance == ZONE_A]

    assert (eni.interface_type, eni.source_dest_check) == ("network_load_balancer", False)
    [way] = [fact for fact in state if isinstance(fact, Route) and fact.via == eni.primary]
    [rule] = [fact for fact in state if isinstance(fact, Rule) and fact.table == way.table]
    [marks] = [fact for fact in state if isinstance(fact, NftChain) and fact.name == "balanced"]
    assert rule.fwmark
    texts, mark = [one.text for one in marks.rules], f"0x{rule.fwmark:08x}"
    assert f"ct state new ether saddr {eni.mac} ct mark set ct mark | {mark}" in texts
    assert any(text.endswith(f"meta mark set meta mark | {mark}") for text in texts)


def test_another_load_balancer_changes_no_number_of_one_that_is_there() -> None:
    """Connections that the router tracks carry it."""
    one = lab(service())
    [cluster] = one.clusters
    more = replace(service(), name="more", ports=(ServicePort(81),))
    both = replace(one, clusters=(replace(cluster, services=(more, *cluster.services)),))

    rules = [
        {
            fact
            for fact in plan(each, allocate(each))
            if isinstance(fact, Rule) and fact.priority == 40
        }
        for each in (one, both)
    ]

    assert len(rules[0]) == 2
    assert rules[0] < rules[1]


def test_what_has_no_target_or_no_listener_is_dropped_with_its_reason() -> None:
    """Silence: a Network Load Balancer refuses nobody."""
    nowhere = replace(service(type="nlb-ip", scheme="internet-facing"), selector={"app": "gone"})

    assert targets(nowhere) == []
    assert chain(nowhere, "input")[1] == 'tcp dport 80 counter drop comment "no target"'
    assert chain(service(), "input")[-1] == 'counter drop comment "no listener"'


@pytest.mark.parametrize(
    ("how", "number"),
    [
        ({"type": "nlb"}, 32000),
        ({"type": "nlb", "healthcheck_port": "traffic-port"}, 31787),
        ({"type": "nlb-ip", "target_group_attributes": f"{PRESERVE}=true"}, 80),
    ],
)
def test_the_port_that_is_checked_is_open_to_its_subnet(how: dict[str, str], number: int) -> None:
    """Pods as targets are asked on their own port, whatever the policy."""
    web = replace(service(**how), external_traffic_policy="Local", health_check_node_port=32000)
    described = lab(web, replace(VPC, security_groups=(SecurityGroup("other"),)))

    groups = vpcs(described, allocate(described))["main"].security_groups

    [cluster] = described.clusters
    [nodes] = [group for group in groups if group.name == cluster.security_group]
    subnet = IPv4Network("10.0.101.0/24" if how["type"] == "nlb" else "10.0.1.0/24")
    checked = {rule.ports for rule in nodes.allows_in if rule.cidr == subnet}
    assert checked == {Range(number, number)}


def test_nodes_take_from_its_clients_and_from_its_subnet() -> None:
    """updateInstanceSecurityGroupsForNLB: it has no security group itself."""
    web = replace(service(), load_balancer_source_ranges=(IPv4Network("203.0.113.0/24"),))
    described = lab(web, replace(VPC, security_groups=(SecurityGroup("other"),)))
    allocations = allocate(described)

    groups = {group.name: group for group in vpcs(described, allocations)["main"].security_groups}

    [cluster] = described.clusters
    port = Range(31787, 31787)
    made = groups[cluster.security_group].allows_in
    assert GroupRule(protocol="tcp", ports=port, cidr=IPv4Network("203.0.113.0/24")) in made
    assert GroupRule(protocol="tcp", ports=port, cidr=IPv4Network("10.0.101.0/24")) in made
    assert not any(name.startswith("k8s-elb") for name in groups)
    assert not [
        fact
        for fact in plan(described, allocations)
        if isinstance(fact, NftElement) and fact.set == "groups" and "nlb" in fact.element
    ]


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


def test_tls_and_the_proxy_protocol_are_relayed_and_the_rest_is_translated() -> None:
    """A haproxy ends those connections; where targets see the client it speaks as the client."""
    https = ServicePort(443, target_port=80, name="https", node_port=31443)
    web = service(
        HTTP,
        https,
        ssl_cert="arn:aws:acm:us-west-2:1:certificate/1",
        ssl_ports="https",
        backend_protocol="ssl",
    )

    lines = [line.strip() for line in checks(web).splitlines()]

    assert "bind 10.0.101.4:443 ssl crt tls.pem" in lines
    assert "source 0.0.0.0 usesrc client" in lines
    assert "server node-1 10.0.1.4:31443 ssl verify none no-check-ssl check port 31443" in lines
    assert "server node-1 10.0.1.4:31443 ssl verify none" in lines, "where none is healthy"
    assert "server node-1 10.0.1.4:31787 check port 31787" in lines
    assert targets(web) == ["tcp-80/node-1"]
    assert "tcp dport 443 accept" in chain(web, "input")
    assert not [rule for rule in chain(service(), "input") if "dport" in rule], "control"


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
