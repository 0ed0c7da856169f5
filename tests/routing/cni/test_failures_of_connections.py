"""Connections that begin well and hang then: made to happen, and explained.

Each has its upstream issue (aws/amazon-vpc-cni-k8s), and a control that shows the rest of the lab
at work.  What is observed is what the broken kernels let predict.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import pytest

from testbed.bed import Bed
from testbed.eks.model import EksCluster
from testbed.net.facts import Chain, NftChain
from testbed.net.served import metadata
from testbed.probes.sockets import socket_in
from testbed.vpc.fabric.frames import RATES
from testbed.vpc.fabric.resolver import DNS_ADDRESS
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
        assert bed.briefly.http("pod-2", OUTSIDE).verdict == "timeout"
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


def test_an_eni_that_asks_amazon_too_often_is_not_answered(bed: Bed, explain: Explain) -> None:
    """#296: 1024 packets a second of each ENI to DNS, metadata and time; here it is one."""
    bed.up(cni_lab())
    chain = bed.fact(NftChain, ns="vpc-main", family="bridge", name="mapping")
    slow = tuple(replace(one, text=one.text.replace("1024", "1")) for one in chain.rules)
    dns = str(DNS_ADDRESS)

    with (
        instead(bed, chain, replace(chain, rules=slow)),
        counted_anew(bed),
        asking(bed, "pod-1", dns),
    ):
        assert dies(explain("pod-1", dns, 53, "udp"), "vpc-main", "X_LINK_LOCAL_PPS")
        assert works(explain("pod-1", "pod-3")), "control: everybody else may be called"
        assert works(explain("pod-3", dns, protocol="icmp")), "control: another ENI"
    assert works(explain("pod-1", dns, protocol="icmp"))


@contextmanager
def counted_anew(bed: Bed) -> Iterator[None]:
    """What is in the set keeps the rate that it began with."""
    flush = "nft", "flush", "set", "bridge", "vpc", RATES
    assert bed.run("vpc-main", *flush).returncode == 0
    yield
    assert bed.run("vpc-main", *flush).returncode == 0


@contextmanager
def asking(bed: Bed, source: str, destination: str) -> Iterator[None]:
    """Datagrams without end, from a thread."""
    done = threading.Event()
    with socket_in(bed.store, source, kind=socket.SOCK_DGRAM) as client:
        client.connect((destination, 53))

        def ask() -> None:
            while not done.is_set():
                with suppress(OSError):  # nobody may listen there
                    client.send(b"?")

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
