"""What the start of aws-node does to packets: for a moment the secondary ENIs have no address."""

from functools import partial

import pytest

from testbed.bed import Bed
from testbed.eks.model import Profile
from testbed.eks.wiring.start import Node, started, without_enis
from testbed.kernel.read.observe import observe
from testbed.net.facts import State, Sysctl
from tests.routing.cni.breaking import BOTH, NODE, SOURCE_CHECK, dies, works
from tests.routing.cni.conftest import Explain, cni_lab

pytestmark = pytest.mark.kernel


def part(state: State) -> State:
    return frozenset(fact for fact in state if fact.ns == NODE)


def found(bed: Bed) -> State:
    sysctls = [fact for fact in bed.state if isinstance(fact, Sysctl)]
    return observe(bed.store, sysctls=sysctls).state


@BOTH
def test_pods_of_eth1_are_cut_off_until_its_table_is_written_again(
    bed: Bed, explain: Explain, profile: Profile
) -> None:
    """SetupENINetwork removes eth1's address, and the kernel all routes of eth1: #1600."""
    bed.up(cni_lab(profile))
    node = partial(Node, part(bed.state))

    there = found(bed)
    bed.change(there - part(there) | without_enis(node(part(there))))
    assert not bed.run(NODE, "ip", "route", "show", "table", "2").stdout
    assert dies(explain("pod-2", "pod-3"), *SOURCE_CHECK)
    assert works(explain("pod-1", "pod-3")), "control: a pod of eth0"

    there = found(bed)
    bed.change(there - part(there) | started(node(part(there))))
    assert works(explain("pod-2", "pod-3"))
    assert not bed.drift()
