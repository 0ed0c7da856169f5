"""Packets that die: where, and of what, with the same answer without tracefs and with it."""

from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Network

import pytest

from testbed.bed import Bed
from testbed.explain.evidence.observation import Observation
from testbed.net.facts import ANYWHERE, MAIN, Neighbour, NftElement, Route, Rule
from tests.probes.observe.answers import decisions, fabric, path, rules, visit
from tests.probes.observe.conftest import Ask

pytestmark = pytest.mark.kernel

HOST = "203.0.113.10"


@contextmanager
def changed(bed: Bed, place: str, change: str, undo: str) -> Iterator[None]:
    """Something the plan does not know, by a command, and the command that takes it away."""
    assert bed.run(place, *change.split()).returncode == 0
    try:
        yield
    finally:
        assert bed.run(place, *undo.split()).returncode == 0


def from_pod(bed: Bed, pod: str) -> Rule:
    """The rule that leads a pod's packets to its ENI's table."""
    network = IPv4Network(f"{bed.address(pod)}/32")
    return bed.fact(Rule, ns="node-1", priority=1536, src=network)


def died(seen: Observation) -> tuple[str, str]:
    """Where, and the reason code."""
    end = seen.round_trip.there.end
    assert not end.delivered
    assert end.advice
    assert seen.contradictions == ()
    return end.ns, end.code


def reply_died(seen: Observation) -> tuple[str, str]:
    """The same for the way back."""
    assert seen.round_trip.there.end.delivered
    assert seen.round_trip.back is not None
    end = seen.round_trip.back.end
    assert not end.delivered
    return end.ns, end.code


def test_a_closed_udp_port(ask: Ask) -> None:
    """Delivered, and answered by the destination's kernel."""
    for seen in ask("web-0", "client", "udp", 99):
        assert died(seen) == ("client", "X_CLOSED_PORT")
        assert path(seen.round_trip.back) == ["client", "node-2", "vpc-main", "node-1", "web-0"]
        assert seen.round_trip.back is not None
        assert seen.round_trip.back.visits[0].arrived.kind == "port-unreachable"


def test_a_closed_tcp_port(ask: Ask) -> None:
    for seen in ask("web-0", "web-1", "tcp", 99):
        assert died(seen) == ("web-1", "X_CLOSED_PORT")
        assert seen.round_trip.back is not None
        assert seen.round_trip.back.visits[-1].arrived.kind == "RST,ACK"


def test_a_rule_of_the_nodes_firewall(bed: Bed, ask: Ask) -> None:
    """Named with its text, although nobody planned it."""
    rule = f"-s {bed.address('web-4')}/32 -d {bed.address('client')}/32 -j DROP"
    add, delete = f"iptables-nft -I FORWARD {rule}", f"iptables-nft -D FORWARD {rule}"

    with changed(bed, "node-1", add, delete):
        for seen in ask("web-4", "client"):
            assert died(seen) == ("node-1", "X_FIREWALL")
            assert path(seen.round_trip.there) == ["web-4", "node-1"]
            [*_, last] = rules(visit(seen, "node-1"))
            assert (last.table, last.chain, last.rule) == ("filter", "FORWARD", rule)
            assert last.verdict == "drop"
            assert seen.round_trip.there.end.text == f"node-1 drops it: filter FORWARD: {rule}"


def test_a_refusal_of_the_nodes_firewall(bed: Bed, ask: Ask) -> None:
    """The sender is told: the way of the ICMP error is the way back."""
    rule = f"-s {bed.address('web-4')}/32 -d {bed.address('client')}/32 -j REJECT"
    add, delete = f"iptables-nft -I FORWARD {rule}", f"iptables-nft -D FORWARD {rule}"

    with changed(bed, "node-1", add, delete):
        for seen in ask("web-4", "client"):
            assert died(seen) == ("node-1", "X_REJECTED")
            assert path(seen.round_trip.back) == ["node-1", "web-4"]


def test_a_rule_in_the_pods_own_output(bed: Bed, ask: Ask) -> None:
    """The packet is never on a wire: no tap sees it."""
    add, delete = "iptables-nft -A OUTPUT -p icmp -j DROP", "iptables-nft -D OUTPUT 1"

    with changed(bed, "web-0", add, delete):
        for seen in ask("web-0", "client", "icmp"):
            assert died(seen) == ("web-0", "X_FIREWALL")
            assert path(seen.round_trip.there) == ["web-0"]
            assert [step.rule for step in rules(visit(seen, "web-0"))] == ["-p icmp -j DROP"]


@pytest.mark.parametrize("protocol", ["icmp", "tcp", "udp"])
def test_no_route_in_the_pod(bed: Bed, ask: Ask, protocol: str) -> None:
    """Its own kernel refuses to send."""
    with bed.without(bed.fact(Route, ns="web-0", dst=ANYWHERE)):
        for seen in ask("web-0", "client", protocol):
            assert died(seen) == ("web-0", "NO_ROUTE_TO_DESTINATION")
            assert path(seen.round_trip.there) == ["web-0"]


def test_a_strict_reverse_path_filter(bed: Bed, ask: Ask) -> None:
    """Without rule 1536 a pod of eth1 would answer by eth0: eth1 does not believe the caller."""
    with bed.without(from_pod(bed, "web-3")):
        for seen in ask("client", "web-3"):
            assert died(seen) == ("node-1", "X_RP_FILTER")
            assert path(seen.round_trip.there) == ["client", "node-2", "vpc-main", "node-1"]
            assert "on eth1: the way back" in seen.round_trip.there.end.text
            assert "dev eth0" in seen.round_trip.there.end.text


def test_no_route_on_the_node(bed: Bed, ask: Ask) -> None:
    with bed.without(bed.fact(Route, ns="node-1", dst=ANYWHERE, table=MAIN)):
        for seen in ask("web-0", "client"):
            assert died(seen) == ("node-1", "NO_ROUTE_TO_DESTINATION")
            assert path(seen.round_trip.there) == ["web-0", "node-1"]
            assert [one.route for one in decisions(visit(seen, "node-1"))] == ["no route"]


def test_a_blackhole_on_the_node(bed: Bed, ask: Ask) -> None:
    """The kernel does not tell it from a refused source; rules and tables do."""
    route = f"blackhole {bed.address('client')}"

    with changed(bed, "node-1", f"ip route add {route}", f"ip route del {route}"):
        for seen in ask("web-0", "client"):
            assert died(seen) == ("node-1", "X_BLACKHOLE")
            assert [one.route for one in decisions(visit(seen, "node-1"))] == [route]


def test_a_node_that_does_not_forward(bed: Bed, ask: Ask) -> None:
    off, on = (f"sysctl -qw net.ipv4.conf.all.forwarding={value}" for value in (0, 1))

    with changed(bed, "node-1", off, on):
        for seen in ask("web-0", "client"):
            assert died(seen) == ("node-1", "X_FORWARDING_OFF")


def test_a_missing_neighbour_in_the_fabric(bed: Bed, ask: Ask) -> None:
    """Nobody in a VPC answers the router's ARP requests: it knows every ENI by itself."""
    client = bed.address("client")
    [eni] = [eni for eni in bed.allocations.enis if client in eni.delivered]
    entry = bed.fact(Neighbour, ns="vpc-main", ip=eni.primary)

    with bed.without(entry):
        for seen in ask("web-0", "client", "icmp"):
            assert died(seen) == ("vpc-main", "X_NO_NEIGHBOUR")
            [decision] = decisions(visit(seen, "vpc-main"))
            assert decision.neighbour in ("INCOMPLETE", "FAILED")


def test_an_address_of_the_subnet_that_nobody_has(ask: Ask) -> None:
    """The node asks by ARP, and the VPC is silent."""
    for seen in ask("web-0", "10.0.1.200"):
        assert died(seen) == ("node-1", "X_NO_NEIGHBOUR")
        assert "10.0.1.200 on eth0" in seen.round_trip.there.end.text


def test_an_address_of_another_subnet_that_nobody_has(ask: Ask) -> None:
    """The router's table of addresses ends in a blackhole."""
    for seen in ask("web-0", "10.0.2.200"):
        assert died(seen) == ("vpc-main", "X_NO_MAPPING")
        assert fabric(visit(seen, "vpc-main"))[-1].passed is False


def test_a_dead_pod(bed: Bed, ask: Ask) -> None:
    """The fabric still delivers to the node, whose link to the pod has no other end."""
    with changed(bed, "client", "ip link set eth0 down", "ip link set eth0 up"):
        for seen in ask("web-0", "client", "icmp"):
            assert died(seen) == ("node-2", "X_LINK_DOWN")
            assert path(seen.round_trip.there) == ["web-0", "node-1", "vpc-main", "node-2"]


def test_the_source_check_of_an_eni(bed: Bed, ask: Ask) -> None:
    """Without rule 1536 a pod of eth1 leaves by eth0, which may not send its address."""
    with bed.without(from_pod(bed, "web-4")):
        for seen in ask("web-4", "client", "udp", 7):
            assert died(seen) == ("vpc-main", "ENI_SOURCE_DEST_CHECK_RESTRICTION")
            assert visit(seen, "node-1").dev_out == "eth0"
            failed = fabric(visit(seen, "vpc-main"))[-1]
            assert (failed.name, failed.passed) == ("source check", False)
            assert str(bed.address("web-4")) in failed.text


def test_an_untranslated_source_at_the_internet_gateway(bed: Bed, ask: Ask) -> None:
    """The NAT gateway's private address is paired with no public one."""
    [nat] = [eni for eni in bed.allocations.enis if eni.instance == "nat-a"]
    pairing = [
        fact
        for fact in bed.state
        if isinstance(fact, NftElement)
        and fact.ns == "igw-main"
        and str(nat.primary) in (fact.element, fact.value)
    ]

    with bed.without(*pairing):
        for seen in ask("web-0", HOST):
            assert died(seen) == ("igw-main", "IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS")
            assert visit(seen, "igw-main").arrived.source == nat.primary


def test_a_connection_from_outside_through_a_nat_gateway(bed: Bed, ask: Ask) -> None:
    [nat] = [eni for eni in bed.allocations.enis if eni.instance == "nat-a"]

    for seen in ask("internet", str(nat.public_ip)):
        assert died(seen) == ("nat-a", "X_NAT_UNSOLICITED")


def test_a_reply_that_has_no_route(bed: Bed, ask: Ask) -> None:
    """The packet arrives; the destination's kernel cannot answer, and nobody sees an answer."""
    with bed.without(bed.fact(Route, ns="client", dst=ANYWHERE)):
        for seen in ask("web-0", "client"):
            assert reply_died(seen) == ("client", "NO_ROUTE_TO_DESTINATION")


def test_a_reply_that_a_rule_drops(bed: Bed, ask: Ask) -> None:
    rule = "-p tcp --sport 80 -j DROP"
    add, delete = f"iptables-nft -I FORWARD {rule}", f"iptables-nft -D FORWARD {rule}"

    with changed(bed, "node-2", add, delete):
        for seen in ask("web-0", "client"):
            assert reply_died(seen) == ("node-2", "X_FIREWALL")
            assert path(seen.round_trip.back) == ["client", "node-2"]


def test_a_ttl_that_is_used_up(ask: Ask) -> None:
    """One hop less at each node, none in the VPC; the node that ends it says so."""
    for seen in ask("web-0", "client", "udp", 7, ttl=2):
        assert died(seen) == ("node-2", "X_TTL_EXCEEDED")
        assert path(seen.round_trip.back)[0] == "node-2"


def test_the_lab_is_as_it_was(bed: Bed) -> None:
    """Nothing of all this remains."""
    assert not bed.drift()


@pytest.mark.usefixtures("tracefs")
def test_tracefs_names_what_dropped_it(bed: Bed, ask: Ask) -> None:
    """The second witness alone knows the kernel's function and reason."""
    add, delete = "iptables-nft -I FORWARD -p tcp -j DROP", "iptables-nft -D FORWARD 1"

    with changed(bed, "node-1", add, delete):
        base, both = ask("web-4", "client")

    assert base.remarks == ()
    assert both.remarks == ("node-1: nft_do_chain dropped it: NETFILTER_DROP",)
    assert base.round_trip.there.end == both.round_trip.there.end
