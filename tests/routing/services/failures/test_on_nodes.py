"""What goes wrong with Services on real nodes, made to happen; `explain` names the cause.

Each with a control that shows the rest at work.  What is observed is what was predicted.
k/k: kubernetes/kubernetes.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import pytest

from testbed.bed import Bed
from testbed.bed import bed as bring_up
from testbed.kops.wiring.node import BRIDGE_NETFILTER
from testbed.net.facts import BridgePort, Chain, Sysctl, Veth
from tests.routing.cni.breaking import dies, instead, works
from tests.routing.cni.conftest import Explain
from tests.routing.services.test_measured import GONE, NA, NB, TO_A, TO_B, lab_of

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module", params=["1.14", "current"])
def bed(request: pytest.FixtureRequest) -> Iterator[Bed]:
    with bring_up(lab_of(request.param)) as up:
        yield up


def today(bed: Bed) -> bool:
    return bed.lab.clusters[0].proxy.era == "current"


@contextmanager
def becomes(bed: Bed, **values: Any) -> Iterator[None]:
    """The lab whose cluster has other Services or pods."""
    before = bed.lab
    bed.up(replace(before, clusters=(replace(before.clusters[0], **values),)))
    try:
        yield
    finally:
        bed.up(before)


def test_a_service_without_endpoints(explain: Explain) -> None:
    assert dies(explain("ca", GONE), "na", "X_NO_ENDPOINTS")
    assert dies(explain("elb", NB, 30005), "nb", "X_NO_ENDPOINTS")


def test_a_client_that_comes_before_the_first_endpoint(bed: Bed, explain: Explain) -> None:
    """k/k#48719: it is refused, and its next packet finds the rules of then."""
    [cluster] = bed.lab.clusters
    assert dies(explain("ca", GONE), "na", "X_NO_ENDPOINTS")

    late = tuple(
        replace(pod, labels={"app": "nobody"}) if pod.name == "cb" else pod for pod in cluster.pods
    )
    with becomes(bed, pods=late):
        assert works(explain("ca", GONE))


def test_policy_local_without_an_endpoint_on_the_node(bed: Bed, explain: Explain) -> None:
    """k/k#66354, #92761: a timeout until the load balancer's health check takes the node out."""
    code = "X_NO_LOCAL_ENDPOINTS" if today(bed) else "X_MARKED_TO_DROP"

    assert dies(explain("elb", NA, 30004), "na", code)
    assert works(explain("elb", NB, 30004)), "control: the node that has it"


def test_a_port_the_service_does_not_have(explain: Explain) -> None:
    """A ClusterIP is nobody's address: untranslated it takes the default route to its end."""
    assert dies(explain("ca", TO_A, 81), "igw-main", "X_NO_SERVICE_RULE")
    assert dies(explain("na", TO_A, protocol="icmp"), "igw-main", "X_NO_SERVICE_RULE")
    assert works(explain("ca", TO_A))


def test_a_pod_that_calls_itself_without_hairpin_mode(bed: Bed, explain: Explain) -> None:
    """k/k#20475: `--hairpin-mode=none`."""
    veth = bed.fact(Veth, ns="na", peer_ns="a")
    port = bed.fact(BridgePort, ns="na", dev=veth.name)

    with instead(bed, port, replace(port, hairpin=False)):
        assert dies(explain("a", TO_A), "na", "X_HAIRPIN")
        assert works(explain("ca", TO_A)), "control: another pod"
    assert works(explain("a", TO_A))


def test_bridge_netfilter_off(bed: Bed, explain: Explain) -> None:
    """k/k#38802, #87426: on one node only, for there the reply is bridged."""
    setting = bed.fact(Sysctl, ns="na", name=BRIDGE_NETFILTER)

    with instead(bed, setting, replace(setting, value="0")):
        assert dies(explain("ca", TO_A), "ca", "X_UNEXPECTED_REPLY")
        assert works(explain("ca", TO_B)), "control: an endpoint of another node"


def test_dockers_forward_policy(bed: Bed, explain: Explain) -> None:
    """k/k#40182: docker >= 1.13."""
    chain = bed.fact(Chain, ns="na", table="filter", name="FORWARD")

    with instead(bed, chain, replace(chain, policy="DROP")):
        assert dies(explain("ca", "b"), "na", "X_FIREWALL")
        assert works(explain("na", "a")), "control: the node itself"


def test_a_masquerade_rule_that_is_gone(bed: Bed, explain: Explain) -> None:
    """Without KUBE-MARK-MASQ's mark the answer goes past the node that translated."""
    chain = bed.fact(Chain, ns="na", table="nat", name="KUBE-MARK-MASQ")

    with instead(bed, chain, replace(chain, rules=())):
        seen = explain("elb", NA, 30002)
        assert dies(seen, "elb", "X_UNEXPECTED_REPLY")
        assert works(explain("elb", NB, 30002)), "control: another node"


def test_kube_proxy_before_kubelet_writes_nothing_at_all(bed: Bed, tmp_path: Path) -> None:
    """1.14 needs kubelet's KUBE-MARK-MASQ: iptables-restore takes all of a sync, or nothing."""
    saved = bed.run("na", "iptables-nft-save", "-t", "nat").stdout
    whole, without = tmp_path / "whole", tmp_path / "without"
    whole.write_text(saved)
    kubelets = re.compile(r"^(:|-A )KUBE-MARK-MASQ .*\n", re.MULTILINE)
    without.write_text(kubelets.sub("", saved))

    refused = bed.run("elb", "iptables-nft-restore", str(without))
    assert refused.returncode != 0
    assert "KUBE" not in bed.run("elb", "iptables-nft-save").stdout
    assert bed.run("elb", "iptables-nft-restore", str(whole)).returncode == 0, "control"
    assert "KUBE" in bed.run("elb", "iptables-nft-save").stdout
    assert bed.run("elb", "nft", "delete", "table", "ip", "nat").returncode == 0


def test_a_node_without_kube_proxys_rules(bed: Bed, explain: Explain) -> None:
    """What follows: ClusterIPs are addresses of nobody, node ports are closed; 1.14 holds them."""
    services = bed.fact(Chain, ns="na", table="nat", name="KUBE-SERVICES")

    with instead(bed, services, replace(services, rules=())):
        assert dies(explain("ca", TO_B), "igw-main", "X_NO_SERVICE_RULE")
        at_node = explain("elb", NA, 30002)
        assert dies(at_node, "na", "X_CLOSED_PORT") if today(bed) else works(at_node)
        assert bed.briefly.http("elb", NA, 30002).answer is None, "whoever took it, it was no pod"
        assert works(explain("cb", TO_A)), "control: the other node"
        assert works(explain("ca", "b")), "control: pods"


def test_a_bridge_whose_ports_differ_in_mtu(bed: Bed, explain: Explain) -> None:
    """kubernetes/kops#1627: some pods with 1500 bytes on a node with jumbo frames.

    Where the bridge calls iptables it is exact; else it takes four bytes more, a VLAN's tag.
    """
    port = bed.fact(Veth, ns="na", peer_ns="a")
    setting = bed.fact(Sysctl, ns="na", name=BRIDGE_NETFILTER)

    def largest(size: int) -> bool:
        """Whether so much passes to the pod, and no more."""
        return works(explain("ca", "a", protocol="icmp", size=size)) and dies(
            explain("ca", "a", protocol="icmp", size=size + 1), "na", "X_MTU_MISMATCH"
        )

    with instead(bed, port, replace(port, mtu=1500)):
        assert largest(1500)
    bed.change(
        bed.state - {port, setting} | {replace(port, mtu=1500), replace(setting, value="0")}
    )
    assert largest(1504)
    bed.change(bed.state)
    assert works(explain("ca", "a", protocol="icmp", size=9001)), "control"


def test_session_affinity_is_followed_both_ways(bed: Bed, explain: Explain) -> None:
    """Which list the client is in no fact tells; the packet shows it."""
    [cluster] = bed.lab.clusters
    sticky = tuple(replace(one, session_affinity="ClientIP") for one in cluster.services)

    with becomes(bed, services=sticky):
        assert works(explain("ca", TO_B))
        assert works(explain("ca", TO_B)), "now it is in the list"


def test_source_ranges_of_a_load_balancer(bed: Bed, explain: Explain) -> None:
    """1.14 marks the packet, and only INPUT and OUTPUT look: it is forwarded out again."""
    [cluster] = bed.lab.clusters
    address = "203.0.113.99"
    balanced = replace(
        cluster.services[1],
        type="LoadBalancer",
        load_balancer_ips=(IPv4Address(address),),
        load_balancer_source_ranges=(IPv4Network(f"{bed.pod('ca').ip}/32"),),
    )

    with becomes(bed, services=(balanced,)):
        assert works(explain("ca", address)), "control: an allowed client"
        seen = explain("a", address)
        if today(bed):
            assert dies(seen, "na", "X_SOURCE_RANGES")
        else:
            assert seen.visit("igw-main"), "the node has let it go"
            assert not bed.briefly.tcp("a", address, 80).delivered
