"""Packets that leave by the wrong ENI, or do not get in: made to happen, and explained.

Each has its upstream issue (aws/amazon-vpc-cni-k8s unless said otherwise), and a control that
shows the rest of the lab at work.  What is observed is what the broken kernels let predict.
"""

from dataclasses import replace
from ipaddress import IPv4Network

import pytest

from testbed.bed import Bed
from testbed.eks.model import Profile
from testbed.net.facts import Chain, Route, Rule
from tests.routing.cni.breaking import (
    BOTH,
    NODE,
    SOURCE_CHECK,
    changed,
    dies,
    filter_of,
    instead,
    without_rules,
    works,
)
from tests.routing.cni.conftest import NODE_PORT, Explain, cni_lab

pytestmark = pytest.mark.kernel


# node ports


@BOTH
def test_a_strict_filter_on_eth0_stops_node_ports_of_pods_on_eth1(
    bed: Bed, explain: Explain, profile: Profile
) -> None:
    """#75, #130: after DNAT the way back is eth1's; v1.5 sends to outside the VPC by eth0."""
    bed.up(cni_lab(profile, public=True))
    loose = filter_of(bed, "eth0")
    assert works(explain("node-2", NODE, NODE_PORT))

    with instead(bed, loose, replace(loose, value="1")):
        assert dies(explain("node-2", NODE, NODE_PORT), NODE, "X_RP_FILTER")
        outside = explain("internet", NODE, NODE_PORT)
        assert works(outside) if profile == "slides" else dies(outside, NODE, "X_RP_FILTER")
        assert works(explain("node-2", "pod-2")), "control: the pod itself answers"


@BOTH
def test_without_restored_marks_node_ports_are_answered_by_the_wrong_eni(
    bed: Bed, explain: Explain, profile: Profile
) -> None:
    """#75: mangle's `-i eni+ … --restore-mark` is gone, so rule 1024 never matches the reply."""
    bed.up(cni_lab(profile, public=True))
    chain = bed.fact(Chain, ns=NODE, table="mangle", name="PREROUTING")

    with instead(bed, chain, without_rules(bed, "mangle", "PREROUTING", "-i eni+")):
        inside, outside = explain("node-2", NODE, NODE_PORT), explain("internet", NODE, NODE_PORT)
        assert inside.observed.there.end.delivered
        assert dies(inside, *SOURCE_CHECK)
        assert works(outside) if profile == "slides" else dies(outside, *SOURCE_CHECK)
        assert works(explain("node-2", "pod-2")), "control"


# which ENI


def test_v1_5_cannot_be_called_from_a_range_it_does_not_know(bed: Bed, explain: Explain) -> None:
    """#44, #1392: no rule 1536 leads the answer back; loose, the answer leaves by the wrong ENI.

    A range that was added to the VPC later is such a range: v1.5 reads them once, at its start.
    """
    bed.up(cni_lab("slides", cidrs=("10.10.0.0/16", "100.64.0.0/16")))
    unknown = bed.fact(Rule, ns=NODE, priority=1536, dst=IPv4Network("100.64.0.0/16"))
    strict = filter_of(bed, "eth1")
    assert works(explain("caller", "pod-2"))

    with bed.without(unknown):
        assert dies(explain("caller", "pod-2"), NODE, "X_RP_FILTER")
        assert works(explain("caller", "pod-1")), "control: a pod of eth0"
    loose = bed.state - {unknown, strict} | {replace(strict, value="2")}
    bed.change(loose)
    reply = explain("caller", "pod-2")
    bed.change(bed.state)

    assert reply.observed.there.end.delivered
    assert dies(reply, *SOURCE_CHECK)


def test_today_a_pod_on_eth1_can_be_called_from_anywhere(bed: Bed, explain: Explain) -> None:
    """#1475: one rule 1536 for all destinations."""
    bed.up(cni_lab("current", cidrs=("10.10.0.0/16", "100.64.0.0/16")))

    seen = explain("caller", "pod-2")

    assert works(seen)
    assert seen.visit(NODE).dev_in == "eth1"


@BOTH
def test_pods_of_eth1_are_lost_when_a_network_daemon_removes_their_rules(
    bed: Bed, explain: Explain, profile: Profile
) -> None:
    """#1600, #3309: systemd-networkd takes foreign rules away; main sends everything by eth0."""
    bed.up(cni_lab(profile))
    own = [f for f in bed.state if isinstance(f, Rule) and f.ns == NODE and f.priority > 0]

    with bed.without(*own):
        assert dies(explain("pod-2", "pod-3"), *SOURCE_CHECK)
        assert works(explain("pod-1", "pod-3")), "control: main is eth0's table"


@BOTH
def test_another_default_route_takes_pods_of_eth0_out_by_eth1(
    bed: Bed, explain: Explain, profile: Profile
) -> None:
    """#1605: dhclient configured eth1 as well, and its default route is the last one written."""
    bed.up(cni_lab(profile))
    route = "ip route replace default via 10.10.0.1 dev"

    with changed(bed, NODE, f"{route} eth1 onlink", f"{route} eth0"):
        assert dies(explain("pod-1", "pod-3"), *SOURCE_CHECK)
        assert works(explain("pod-2", "pod-3")), "control: eth1 may send pod-2's address"


@BOTH
def test_an_ipamd_that_restarts_empties_table_2_for_a_moment(
    bed: Bed, explain: Explain, profile: Profile
) -> None:
    """SetupENINetwork takes eth1's address off and puts it on: the kernel flushes its routes."""
    bed.up(cni_lab(profile))
    rules = bed.run(NODE, "ip", "rule").stdout

    bed.run(NODE, "ip", "address", "flush", "dev", "eth1", "scope", "global")
    table, still = bed.run(NODE, "ip", "route", "show", "table", "2"), bed.run(NODE, "ip", "rule")
    seen = explain("pod-2", "pod-3")
    bed.change(bed.state)

    assert table.stdout == ""
    assert still.stdout == rules
    assert dies(seen, *SOURCE_CHECK)
    assert seen.visit(NODE).dev_out == "eth0"
    assert works(explain("pod-2", "pod-3"))


def test_before_v1_20_a_second_eni_did_not_answer_for_itself(bed: Bed, explain: Explain) -> None:
    """No rule 32765: main answers by eth0, which eth1's filter notices, and then the VPC."""
    bed.up(cni_lab("slides"))
    [eth1] = [eni for eni in bed.allocations.enis if (eni.instance, eni.device_index) == (NODE, 1)]
    strict = filter_of(bed, "eth1")
    own = (str(eth1.primary), 0, "icmp")

    assert dies(explain("pod-3", *own), NODE, "X_RP_FILTER")
    with instead(bed, strict, replace(strict, value="2")):
        assert dies(explain("pod-3", *own), *SOURCE_CHECK)
    assert works(explain("pod-3", NODE, protocol="icmp")), "control: eth0's own address"

    bed.up(cni_lab("current"))
    assert works(explain("pod-3", *own))


# links and forwarding


@BOTH
def test_a_veth_that_gets_another_mac_cuts_its_pod_off(
    bed: Bed, explain: Explain, profile: Profile
) -> None:
    """#2103, #3354: systemd's MACAddressPolicy, after the pod's static neighbour was written."""
    bed.up(cni_lab(profile))
    link = bed.fact(Route, ns=NODE, dst=IPv4Network(bed.pod("pod-2").ip)).dev
    before = bed.run(NODE, "ip", "-o", "link", "show", link).stdout.split("link/ether ")[1][:17]
    set_mac = f"ip link set {link} address"

    with changed(bed, NODE, f"{set_mac} 02:00:00:00:00:99", f"{set_mac} {before}"):
        assert dies(explain("pod-2", "pod-3", protocol="icmp"), NODE, "X_WRONG_MAC")
        assert works(explain("pod-1", "pod-3", protocol="icmp")), "control"


@BOTH
def test_dockers_forward_policy_drops_what_pods_send(
    bed: Bed, explain: Explain, profile: Profile
) -> None:
    """#157, #1093: `iptables -P FORWARD DROP`."""
    bed.up(cni_lab(profile))
    policy = "iptables-nft -P FORWARD"

    with changed(bed, NODE, f"{policy} DROP", f"{policy} ACCEPT"):
        assert dies(explain("pod-1", "pod-2"), NODE, "X_FIREWALL")
        assert works(explain(NODE, "pod-2")), "control: the node itself forwards nothing"
