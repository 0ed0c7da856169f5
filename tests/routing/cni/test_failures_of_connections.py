"""Connections that begin well and hang then: made to happen, and explained.

Each has its upstream issue (aws/amazon-vpc-cni-k8s), and a control that shows the rest of the lab
at work.  What is observed is what the broken kernels let predict.
"""

from dataclasses import replace

import pytest

from testbed.bed import Bed
from testbed.eks.model import EksCluster
from testbed.net import metadata
from testbed.net.facts import Chain
from testbed.vpc.model import MetadataOptions
from tests.routing.cni.breaking import (
    NODE,
    SOURCE_CHECK,
    changed,
    dies,
    instead,
    without_rules,
    works,
)
from tests.routing.cni.conftest import NODES, OUTSIDE, Explain, cni_lab

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


def test_without_restored_marks_a_translated_connection_ends_after_its_first_packet(
    bed: Bed, explain: Explain
) -> None:
    """#2025: nat PREROUTING marks the first packet alone, the others are mangle's to mark."""
    bed.up(cni_lab(AWS_VPC_CNI_NODE_PORT_SUPPORT="false"))
    chain = bed.fact(Chain, ns=NODE, table="mangle", name="PREROUTING")
    assert works(explain("pod-2", OUTSIDE, size=200))

    with instead(bed, chain, without_rules(bed, "mangle", "PREROUTING", "-i eni+")):
        assert works(explain("pod-2", OUTSIDE))
        data = explain("pod-2", OUTSIDE, size=200)
        assert dies(data, *SOURCE_CHECK)
        assert data.left(NODE) == ("eth1", str(bed.address(NODE)))
        assert bed.http("pod-2", OUTSIDE).verdict == "timeout"
        assert works(explain("pod-1", OUTSIDE, size=200)), "control: a pod of eth0"
    assert bed.http("pod-2", OUTSIDE).delivered


def test_a_hop_limit_of_1_ends_tokens_at_the_node(bed: Bed, explain: Explain) -> None:
    """kubernetes/kops #10702: the token's TTL is the hop limit, and a pod is a hop further."""
    lab = cni_lab()
    bed.up(lab)
    imds = str(metadata.ADDRESS)

    assert dies(explain("pod-1", imds), NODE, "X_IMDS_HOP_LIMIT")
    assert works(explain(NODE, imds)), "control: the node itself"

    two = MetadataOptions(http_put_response_hop_limit=2)
    nodes = tuple(replace(node, metadata_options=two) for node in NODES)
    [cluster] = lab.clusters
    assert isinstance(cluster, EksCluster)
    bed.up(replace(lab, clusters=(replace(cluster, nodes=nodes),)))
    assert works(explain("pod-1", imds))
