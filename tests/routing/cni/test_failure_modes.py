"""What goes wrong on real nodes, made to happen; `explain` names the cause.

Each has its upstream issue (aws/amazon-vpc-cni-k8s unless said otherwise), and a control that
shows the rest of the lab at work.  What is observed is what the broken kernels let predict.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import IPv4Network

import pytest

from testbed.bed import Bed
from testbed.eks.model import Profile
from testbed.net.facts import Chain, Fact, Route, Rule, Sysctl
from tests.routing.cni.conftest import NODE_PORT, OUTSIDE, Explain, Explained, cni_lab

pytestmark = pytest.mark.kernel

BOTH = pytest.mark.parametrize("profile", ["slides", "current"])
SOURCE_CHECK = ("vpc-main", "ENI_SOURCE_DEST_CHECK_RESTRICTION")
NODE = "node-1"
SERVICE_ADDRESS = "172.20.200.200"


def dies(seen: Explained, *cause: str) -> bool:
    """Whether that is the cause, predicted as observed."""
    assert seen.difference is None
    assert not seen.delivered
    assert seen.end.advice
    return seen.cause == cause


def works(seen: Explained) -> bool:
    assert seen.difference is None
    return seen.delivered


@contextmanager
def instead(bed: Bed, fact: Fact, other: Fact) -> Iterator[None]:
    bed.change(bed.state - {fact} | {other})
    try:
        yield
    finally:
        bed.change(bed.state)


@contextmanager
def changed(bed: Bed, place: str, change: str, undo: str) -> Iterator[None]:
    """Something the plan does not know, by a command, and the command that takes it away."""
    assert bed.run(place, *change.split()).returncode == 0
    try:
        yield
    finally:
        assert bed.run(place, *undo.split()).returncode == 0
    assert not bed.drift()


def without_rules(bed: Bed, table: str, chain: str, part: str) -> Chain:
    """A chain of the node without the rules that hold these words."""
    fact = bed.fact(Chain, ns=NODE, table=table, name=chain)
    left = tuple(rule for rule in fact.rules if part not in rule.text)
    assert left != fact.rules, "premise: there is such a rule"
    return replace(fact, rules=left)


def filter_of(bed: Bed, dev: str) -> Sysctl:
    return bed.fact(Sysctl, ns=NODE, name=f"net.ipv4.conf.{dev}.rp_filter")


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


def test_without_restored_marks_a_translated_connection_ends_after_its_first_packet(
    bed: Bed,
) -> None:
    """#2025: nat PREROUTING marks the first packet alone, the others are mangle's to mark.

    `explain` follows the first packet, which arrives: only a whole request shows the rest.
    """
    bed.up(cni_lab(AWS_VPC_CNI_NODE_PORT_SUPPORT="false"))
    chain = bed.fact(Chain, ns=NODE, table="mangle", name="PREROUTING")

    with instead(bed, chain, without_rules(bed, "mangle", "PREROUTING", "-i eni+")):
        assert bed.tcp("pod-2", OUTSIDE, 80).delivered
        assert bed.http("pod-2", OUTSIDE).verdict == "timeout"
        assert bed.http("pod-1", OUTSIDE).delivered, "control: a pod of eth0"
    assert bed.http("pod-2", OUTSIDE).delivered


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
