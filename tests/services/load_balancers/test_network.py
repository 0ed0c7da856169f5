"""What targets of a Network Load Balancer see of the client, and what brings answers back."""

from dataclasses import replace
from ipaddress import IPv4Network

import pytest

from testbed.allocations import allocate
from testbed.eks.model import EksCluster
from testbed.kubernetes.load_balancers.annotations import load_balancer
from testbed.kubernetes.model import Pod, ServicePort
from testbed.lab import Lab
from testbed.net.facts import NftChain, NftElement, Route, Rule
from testbed.plan import plan, vpcs
from testbed.vpc.security.model import GroupRule, Range, SecurityGroup
from tests.services.load_balancers.network import (
    HTTP,
    NODES,
    PRESERVE,
    VPC,
    ZONE_A,
    chain,
    checks,
    lab,
    service,
    targets,
)

BITS = 0xFFF8  # of the router's packet marks: which load balancer an answer goes back to


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
