"""`get services`, `get endpoints` and `describe service`: what they print, without a kernel."""

from dataclasses import replace
from pathlib import Path

import pytest

from testbed.allocations import allocate
from testbed.daemon.shown.described.service import described, named
from testbed.daemon.shown.views import rows
from testbed.eks.model import EksCluster
from testbed.errors import UsageError
from testbed.kubernetes.model import Pod
from testbed.lab import Lab
from testbed.load import load
from testbed.net.facts import Chain, ChainRule
from testbed.plan import plan


@pytest.fixture
def lab(topologies: Path) -> Lab:
    """The EKS lab, with a Service that leads nowhere."""
    lab = load(topologies / "eks.yaml")
    [cluster] = lab.clusters
    gone = replace(cluster.services[1], name="gone", selector={"app": "gone"})
    services = (*cluster.services, gone)
    return replace(lab, clusters=(replace(cluster, services=services),))


def test_services_are_listed_with_their_addresses(lab: Lab):
    web, api, _ = rows("services", lab, allocate(lab))

    assert (web["name"], web["type"], web["clusterIp"]) == ("web", "LoadBalancer", "172.20.0.2")
    assert (web["ports"], web["selector"]) == (["80:30000/TCP"], "app=web")
    assert (api["type"], api["ports"]) == ("ClusterIP", ["80/TCP"])


def test_endpoints_are_listed_with_their_target_ports(lab: Lab):
    allocations = allocate(lab)
    ips = {place.pod: place.ip for place in allocations.pods}

    web, api, gone = rows("endpoints", lab, allocations)

    assert web["endpoints"] == sorted(f"{ips[f'web-{i}']}:80" for i in range(5))
    assert api["endpoints"] == [f"{ips['api']}:8080"]
    assert gone["endpoints"] == []


def test_slices_are_listed_as_the_controller_makes_them(lab: Lab):
    """Pods of one port together, a hundred at most; an empty one where there is no pod."""
    [cluster] = lab.clusters
    web, api, gone = rows("endpointslices", lab, allocate(lab))
    assert isinstance(cluster, EksCluster)
    large = replace(cluster.nodes[0], instance_type="m5.24xlarge", max_pods=250)
    pods = Pod.replicas("web", 120)
    many = replace(cluster, nodes=(large,), pods=pods, services=cluster.services[:1])
    crowded = replace(lab, clusters=(many,))

    assert (web["service"], web["ports"], len(web["endpoints"])) == ("web", [80], 5)
    assert (api["service"], api["ports"]) == ("api", [8080])
    assert (gone["service"], gone["ports"], gone["endpoints"]) == ("gone", [], [])
    found = rows("endpointslices", crowded, allocate(crowded))
    assert [len(one["endpoints"]) for one in found] == [100, 20]
    assert len({one["name"] for one in found}) == 2


def test_a_described_service_shows_its_rules_as_they_are_on_the_node(lab: Lab):
    """What is there, not what was planned: a rule of somebody else's stands out without reason."""
    allocations = allocate(lab)
    [(cluster, service, node)] = named(lab, allocations, "api")
    state = plan(lab, allocations)
    services = next(
        fact
        for fact in state
        if isinstance(fact, Chain)
        and (fact.ns, fact.table, fact.name) == (node, "nat", "KUBE-SERVICES")
    )
    by_hand = ChainRule('-d 172.20.0.3/32 -m comment --comment "default/api: mine" -j RETURN')
    found = state - {services} | {replace(services, rules=(by_hand, *services.rules))}

    shown = described(lab, cluster, service, allocations, (node, found))

    assert node == "node-1"
    entry, choice, endpoint = shown["chains"]
    assert [rule["text"] for rule in entry["rules"]] == [by_hand.text, services.rules[1].text]
    assert [rule["why"] for rule in entry["rules"]] == [
        "",
        "to the ClusterIP of default/api: choose an endpoint",
    ]
    assert choice["name"].startswith("KUBE-SVC-")
    assert endpoint["rules"][-1]["text"].endswith("-j DNAT --to-destination 10.0.1.9:8080")


def test_a_described_service_without_endpoints_shows_what_refuses(lab: Lab):
    allocations = allocate(lab)
    [(cluster, service, node)] = named(lab, allocations, "gone", "node-2")

    shown = described(lab, cluster, service, allocations, (node, plan(lab, allocations)))

    assert shown["ports"][0]["endpoints"] == []
    assert [(chain["table"], chain["name"]) for chain in shown["chains"]] == [
        ("filter", "KUBE-SERVICES")
    ]


def test_a_wrong_name_is_answered_with_the_ones_there_are(lab: Lab):
    with pytest.raises(UsageError, match='there is no service "apo"; did you mean "api"'):
        named(lab, allocate(lab), "apo")
    with pytest.raises(UsageError, match='there is no node "web-0"; known: node-1, node-2'):
        named(lab, allocate(lab), "api", "web-0")
