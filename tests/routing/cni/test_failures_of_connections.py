"""Connections that begin well and hang then: made to happen, and explained.

Each has its upstream issue (aws/amazon-vpc-cni-k8s), and a control that shows the rest of the lab
at work.  What is observed is what the broken kernels let predict.
"""

import pytest

from testbed.bed import Bed
from tests.routing.cni.breaking import NODE, changed, works
from tests.routing.cni.conftest import OUTSIDE, Explain, cni_lab

pytestmark = pytest.mark.kernel


def test_large_packets_are_lost_where_nobody_may_say_so(bed: Bed, explain: Explain) -> None:
    """#167, #2606: jumbo frames inside, 1500 bytes outside, and a node that drops what ICMP tells.

    The router's message finds its way back through the node's translation.
    """
    bed.up(cni_lab(public=True))
    ping = OUTSIDE, 0, "icmp"
    too_big = ("vpc-main", "X_MTU_EXCEEDED")
    assert works(explain("pod-2", *ping, size=1500))

    told = explain("pod-2", *ping, size=1501)
    assert told.difference is None
    assert (told.observed.there.end.ns, told.observed.there.end.code) == too_big
    assert told.observed.back
    assert told.observed.back.end.ns == "pod-2"
    assert told.observed.back.end.delivered

    rule = "FORWARD -p icmp -m icmp --icmp-type 3/4 -j DROP"
    with changed(bed, NODE, f"iptables-nft -I {rule}", f"iptables-nft -D {rule}"):
        silent = explain("pod-2", *ping, size=1501)
        assert silent.difference is None
        assert (silent.observed.there.end.ns, silent.observed.there.end.code) == too_big
        assert silent.observed.back
        assert (silent.observed.back.end.ns, silent.observed.back.end.code) == (NODE, "X_FIREWALL")
        assert works(explain("pod-2", *ping, size=1500)), "control: small ones pass"
