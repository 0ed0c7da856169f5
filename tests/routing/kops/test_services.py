"""Whose address a pod sees when a Service of a kops cluster is called: kubenet and kube-proxy.

The same as was measured with kubelet, kubenet and kube-proxy 1.14.6 on two nodes.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from testbed.bed import Bed
from testbed.bed import bed as bring_up
from testbed.kubernetes.model import Service, ServicePort
from testbed.load import load
from testbed.net.facts import Chain

pytestmark = pytest.mark.kernel

NODE_PORT = 31787
ENOUGH = 60  # tries: one of three endpoints is missed by all of them once in 10**10 times
SERVICES = (
    Service("web", {"app": "web"}, (ServicePort(80, node_port=NODE_PORT),), type="NodePort"),
    Service("gone", {"app": "nobody"}, (ServicePort(80),)),
)


@pytest.fixture(scope="module")
def bed(topologies: Path) -> Iterator[Bed]:
    """The kops lab with these Services: web-0 and client on node-1, web-1 on 2, web-2 on 3."""
    lab = load(topologies / "kops.yaml")
    [cluster] = lab.clusters
    with bring_up(replace(lab, clusters=(replace(cluster, services=SERVICES),))) as up:
        yield up


def clients(bed: Bed, source: str, address: str, port: int = 80) -> dict[str, str]:
    """The client's address that each pod saw which answered in many tries."""
    answers = (bed.http(source, address, port).answer or {} for _ in range(ENOUGH))
    return {answer["pod"]: answer["client"].rsplit(":", 1)[0] for answer in answers}


def test_a_pod_is_seen_as_itself_but_by_itself(bed: Bed) -> None:
    """web-0 on the same node, the others across the VPC; to itself it comes as its node's cbr0."""
    web = bed.cluster_ip("web")
    client, own = str(bed.pod("client").ip), str(bed.pod("web-0").ip)

    assert clients(bed, "client", web) == {"web-0": client, "web-1": client, "web-2": client}
    assert clients(bed, "web-0", web) == {"web-0": "100.96.0.1", "web-1": own, "web-2": own}
    assert not bed.drift()


def test_a_node_is_seen_with_the_address_of_the_link_towards_the_pod(bed: Bed) -> None:
    """It is no pod, so kube-proxy masquerades: cbr0's address here, eth0's on the way out."""
    node = str(bed.address("node-1"))

    assert clients(bed, "node-1", bed.cluster_ip("web")) == {
        "web-0": "100.96.0.1",
        "web-1": node,
        "web-2": node,
    }


def test_the_rule_for_what_is_no_pod_makes_that_so(bed: Bed) -> None:
    """`! -s 100.96.0.0/11 … -j KUBE-MARK-MASQ`, which is there with --cluster-cidr only."""
    chain = bed.fact(Chain, ns="node-1", table="nat", name="KUBE-SERVICES")
    left = tuple(rule for rule in chain.rules if not rule.text.startswith("! -s 100.96.0.0/11"))
    assert len(left) == len(chain.rules) - 1, "premise: one Service with endpoints"

    bed.change(bed.state - {chain} | {replace(chain, rules=left)})
    found = clients(bed, "node-1", bed.cluster_ip("web"))
    bed.change(bed.state)

    assert found["web-0"] == str(bed.address("node-1"))
    assert not bed.drift()


def test_a_node_port_shows_cbr0_to_its_own_pod_and_eth0_to_others(bed: Bed) -> None:
    """MASQUERADE takes the address of the link that the packet leaves by."""
    own, other = str(bed.address("node-1")), str(bed.address("node-2"))

    assert clients(bed, "client", own, NODE_PORT) == {
        "web-0": "100.96.0.1",
        "web-1": own,
        "web-2": own,
    }
    assert clients(bed, "client", other, NODE_PORT) == {
        "web-0": other,
        "web-1": "100.96.1.1",
        "web-2": other,
    }


def test_without_endpoints_pods_and_nodes_are_refused(bed: Bed) -> None:
    for source in ("client", "node-2"):
        assert bed.tcp(source, bed.cluster_ip("gone"), 80).verdict == "refused"


def test_a_port_the_service_does_not_have_leads_out_of_the_node(bed: Bed) -> None:
    """A ClusterIP is no address: what no rule translates is lost in the VPC."""
    assert bed.briefly.tcp("client", bed.cluster_ip("web"), 81).verdict == "timeout"


def test_kube_proxys_jumps_stand_before_kubenets_rule(bed: Bed) -> None:
    chain = bed.fact(Chain, ns="node-1", table="nat", name="POSTROUTING")

    assert [rule.text.rpartition("-j ")[2] for rule in chain.rules] == [
        "KUBE-POSTROUTING",
        "MASQUERADE",
    ]
