"""Packets that are not translated, or wrongly: made to happen, and explained.

Each has its upstream issue (aws/amazon-vpc-cni-k8s unless said otherwise), and a control that
shows the rest of the lab at work.  What is observed is what the broken kernels let predict.
"""

from dataclasses import replace

import pytest

from testbed.bed import Bed
from testbed.eks.model import Profile
from testbed.net.facts import Chain
from tests.routing.cni.breaking import (
    BOTH,
    NODE,
    SOURCE_CHECK,
    changed,
    dies,
    instead,
    without_rules,
    works,
)
from tests.routing.cni.conftest import OUTSIDE, Explain, cni_lab

pytestmark = pytest.mark.kernel

SERVICE_ADDRESS = "172.20.200.200"


# out of the VPC


@BOTH
def test_external_snat_in_a_public_subnet_reaches_nobody(
    bed: Bed, explain: Explain, profile: Profile
) -> None:
    """README, AWS_VPC_K8S_CNI_EXTERNALSNAT: the gateway pairs no public address with a pod's."""
    bed.up(cni_lab(profile, public=True, AWS_VPC_K8S_CNI_EXTERNALSNAT=True))

    for pod in ("pod-1", "pod-2"):
        assert dies(explain(pod, OUTSIDE), "igw-main", "IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS")
    assert works(explain(NODE, OUTSIDE)), "control: the node has a public address"


@pytest.mark.parametrize(
    ("profile", "cidrs", "goes"),
    [("slides", "", True), ("current", "", False), ("current", "203.0.113.0/24", True)],
)
def test_a_service_outside_the_vpc_needs_rule_1535_today(
    bed: Bed, explain: Explain, profile: Profile, cidrs: str, goes: bool
) -> None:
    """kube-proxy's DNAT ends nat PREROUTING: no mark, so eth1 sends what has eth0's address."""
    bed.up(cni_lab(profile, AWS_EXTERNAL_SERVICE_CIDRS=cidrs))
    rule = f"-d {SERVICE_ADDRESS} -p tcp --dport 80 -j DNAT --to-destination {OUTSIDE}:80"

    with changed(
        bed,
        NODE,
        f"iptables-nft -t nat -I PREROUTING {rule}",
        f"iptables-nft -t nat -D PREROUTING {rule}",
    ):
        seen = explain("pod-2", SERVICE_ADDRESS)
        assert works(seen) if goes else dies(seen, *SOURCE_CHECK)
        assert works(explain("pod-1", SERVICE_ADDRESS)), "control: a pod of eth0"


# Services


def test_a_cluster_ip_is_marked_when_the_cni_comes_before_kube_proxy(
    bed: Bed, explain: Explain
) -> None:
    """#3563, #3800: to the CNI's rules a ClusterIP is outside the VPC, so they mark it.

    Its endpoint is inside, where nothing is translated: by eth0, with the pod's own address.
    """
    bed.up(cni_lab())
    chain = bed.fact(Chain, ns=NODE, table="nat", name="PREROUTING")
    swapped = tuple(sorted(chain.rules, key=lambda rule: "AWS" not in rule.text))
    assert swapped != chain.rules, "premise: kube-proxy's rule stands first"
    assert works(explain("pod-2", "third"))

    with instead(bed, chain, replace(chain, rules=swapped)):
        seen = explain("pod-2", "third")
        assert dies(seen, *SOURCE_CHECK)
        assert seen.left(NODE) == ("eth0", str(bed.pod("pod-2").ip))
        assert works(explain("pod-1", "third")), "control: a pod of eth0"

    bed.up(cni_lab(backend="nftables"))
    assert works(explain("pod-2", "third")), "its chain has a priority behind kube-proxy's"


def test_a_pod_that_calls_itself_by_its_service_needs_masquerading(
    bed: Bed, explain: Explain
) -> None:
    """kubernetes/kubernetes #20475: without it a pod gets a packet from its own address."""
    bed.up(cni_lab())
    assert works(explain("pod-2", "second"))
    ip = bed.pod("pod-2").ip
    [chain] = [
        fact
        for fact in bed.state
        if isinstance(fact, Chain)
        and fact.ns == NODE
        and any(f"-s {ip}/32" in rule.text and "MARK-MASQ" in rule.text for rule in fact.rules)
    ]

    with instead(bed, chain, without_rules(bed, "nat", chain.name, "MARK-MASQ")):
        assert dies(explain("pod-2", "second"), "pod-2", "X_MARTIAN_SOURCE")
        assert works(explain("pod-1", "second")), "control: another client"
