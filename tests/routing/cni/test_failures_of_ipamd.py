"""What ipamD and the plugin get wrong, and what packets then meet: made to happen, and explained.

Each has its upstream issue (aws/amazon-vpc-cni-k8s), and a control that shows the rest of the lab
at work.  What is observed is what the broken kernels let predict.
"""

from ipaddress import IPv4Address, IPv4Network

import pytest

from testbed.bed import Bed
from testbed.eks.model import Profile
from testbed.net.facts import Chain, Fact, Neighbour, NftElement, Route, Rule
from tests.routing.cni.breaking import (
    BOTH,
    NODE,
    SOURCE_CHECK,
    dies,
    instead,
    without_rules,
    works,
)
from tests.routing.cni.conftest import OUTSIDE, Explain, cni_lab

pytestmark = pytest.mark.kernel

FABRIC = "vpc-main"


def of_address(bed: Bed, ns: str, address: IPv4Address) -> list[Fact]:
    """All that a namespace has for the sake of one address."""
    network = IPv4Network(address)
    return [
        fact
        for fact in bed.state
        if fact.ns == ns
        and (
            (isinstance(fact, Route) and fact.dst == network)
            or (isinstance(fact, Rule) and network in (fact.src, fact.dst))
            or (isinstance(fact, Neighbour) and fact.ip == address)
            or (isinstance(fact, NftElement) and str(address) in fact.element.split(" . "))
        )
    ]


@BOTH
def test_a_pod_whose_address_ec2_took_back_is_cut_off(
    bed: Bed, explain: Explain, profile: Profile
) -> None:
    """#391, #3019: the metadata listed too few, and ipamD gave back what a pod has."""
    bed.up(cni_lab(profile))
    gone = of_address(bed, FABRIC, bed.pod("pod-2").ip)
    assert works(explain("pod-2", "pod-3"))

    with bed.without(*gone):
        assert dies(explain("pod-2", "pod-3"), *SOURCE_CHECK)
        assert dies(explain("pod-3", "pod-2"), FABRIC, "X_NO_MAPPING")
        assert works(explain("pod-1", "pod-3")), "control: the other pod's address"


@BOTH
def test_a_late_delete_takes_the_new_pods_rules(
    bed: Bed, explain: Explain, profile: Profile
) -> None:
    """#1374, #1644: DEL removes rules and route by address, and the new pod has the old one's."""
    bed.up(cni_lab(profile))

    with bed.without(*of_address(bed, NODE, bed.pod("pod-2").ip)):
        assert dies(explain("pod-2", "pod-3"), NODE, "X_RP_FILTER")
        assert dies(explain("pod-3", "pod-2"), NODE, "X_RP_FILTER")
        assert works(explain("pod-1", "pod-3")), "control: the other pod"


def test_an_address_without_a_pod_is_still_brought_to_its_node(bed: Bed, explain: Explain) -> None:
    """#1204, #2352: EC2 and the store have it, DEL never came; the node sends it back."""
    bed.up(cni_lab())
    used = {pod.ip for pod in bed.allocations.pods}
    [eth0] = [eni for eni in bed.allocations.enis if (eni.instance, eni.device_index) == (NODE, 0)]
    leaked = next(address for address in eth0.secondary if address not in used)

    assert dies(explain("pod-3", str(leaked)), FABRIC, "X_SENT_BACK")
    assert works(explain("pod-3", "pod-1")), "control: an address that a pod has"


@pytest.mark.parametrize(
    ("profile", "name"), [("slides", "AWS-SNAT-CHAIN-1"), ("current", "AWS-SNAT-CHAIN-0")]
)
def test_while_the_snat_rule_is_written_again_nothing_is_translated(
    bed: Bed, explain: Explain, profile: Profile, name: str
) -> None:
    """The rule is deleted and appended; a connection that begins meanwhile is never translated.

    Today nat PREROUTING still marks it, so that a pod of eth1 leaves by eth0 with its own address.
    """
    bed.up(cni_lab(profile, public=True))
    chain = bed.fact(Chain, ns=NODE, table="nat", name=name)
    not_paired = "igw-main", "IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS"
    assert works(explain("pod-2", OUTSIDE))

    with instead(bed, chain, without_rules(bed, "nat", name, "-j SNAT")):
        assert dies(explain("pod-1", OUTSIDE), *not_paired)
        assert dies(explain("pod-2", OUTSIDE), *SOURCE_CHECK)
        assert works(explain("pod-1", "pod-3")), "control: inside nothing is translated anyway"
