"""Packets that arrive, and the ways that their kernels say they took, with and without tracefs."""

import pytest

from testbed.bed import Bed
from testbed.explain.evidence.observation import Observation
from tests.probes.observe.answers import decisions, fabric, path, rules, visit
from tests.probes.observe.conftest import Ask

pytestmark = pytest.mark.kernel

HOST = "203.0.113.10"


def agrees(observation: Observation) -> bool:
    """Whether no witness contradicts another."""
    return observation.contradictions == ()


def test_a_packet_to_a_pod_on_the_same_node(ask: Ask) -> None:
    """Nothing bridged, all routed: rule 512 leads to the other pod's veth."""
    for seen in ask("web-0", "web-1"):
        trip = seen.round_trip

        assert trip.there.end.delivered
        assert path(trip.there) == ["web-0", "node-1", "web-1"]
        assert path(trip.back) == ["web-1", "node-1", "web-0"]
        [decision] = decisions(visit(seen, "node-1"))
        assert decision.rule.startswith("512: from all to ")
        assert decision.table == "main"
        assert agrees(seen)


def test_an_echo_to_a_pod_of_another_node(bed: Bed, ask: Ask) -> None:
    """By eth0, whose table is main, over the VPC's router, which costs no TTL."""
    for seen in ask("web-0", "client", "icmp"):
        trip = seen.round_trip

        assert path(trip.there) == ["web-0", "node-1", "vpc-main", "node-2", "client"]
        assert path(trip.back) == ["client", "node-2", "vpc-main", "node-1", "web-0"]
        assert trip.there.end.delivered
        assert trip.back is not None
        assert trip.back.end.delivered
        node = visit(seen, "node-1")
        assert decisions(node)[0].rule == "32766: from all lookup main"
        assert (node.dev_out, visit(seen, "vpc-main").dev_in) == ("eth0", "node-1-e0")
        assert [one.arrived.ttl for one in trip.there.visits] == [64, 64, 63, 63, 62]
        assert trip.there.visits[-1].arrived.source == bed.address("web-0")
        assert agrees(seen)


def test_a_pod_of_the_second_eni_leaves_by_it(bed: Bed, ask: Ask) -> None:
    """`1536: from POD lookup 2`, and table 2 knows eth1 only."""
    for seen in ask("web-4", "client"):
        node = visit(seen, "node-1")
        [decision] = decisions(node)

        assert decision.rule == f"1536: from {bed.address('web-4')} lookup 2"
        assert (decision.table, decision.dev, node.dev_out) == ("2", "eth1", "eth1")
        assert decision.next_hop == "10.0.1.1"
        assert decision.neighbour == "lladdr 0a:ff:ff:ff:ff:01 REACHABLE"
        assert decision.why
        assert path(seen.round_trip.there)[-1] == "client"
        assert agrees(seen)


def test_a_packet_to_the_internet_is_marked_and_translated_three_times(bed: Bed, ask: Ask) -> None:
    """Mark 0x80, so rule 1024: main; SNAT at the node, the NAT gateway, the internet gateway."""
    for seen in ask("web-4", HOST):
        node = visit(seen, "node-1")
        trip = seen.round_trip

        assert path(trip.there) == [
            "web-4",
            "node-1",
            "vpc-main",
            "nat-a",
            "vpc-main",
            "igw-main",
            "internet",
        ]
        assert path(trip.back) == list(reversed(path(trip.there)))
        assert (node.mark_in, node.mark_out) == (0, 0x80)
        assert decisions(node)[0].rule == "1024: from all fwmark 0x80/0x80 lookup main"
        assert node.left is not None
        assert node.left.source == bed.address("node-1")
        snat = rules(node)[-1]
        assert (snat.table, snat.chain) == ("nat", "AWS-SNAT-CHAIN-0")
        assert snat.verdict == f"snat to {node.left.source}:{node.left.source_port}"
        assert snat.why
        assert visit(seen, "internet").arrived.source == visit(seen, "igw-main").left.source  # type: ignore[union-attr]
        assert trip.back is not None
        assert trip.back.visits[-1].arrived.destination == bed.address("web-4")
        assert agrees(seen)


def test_the_vpc_is_told_in_the_words_of_aws(ask: Ask) -> None:
    """Source check, the subnet's route table, where the address is, destination check."""
    for seen in ask("web-0", "client"):
        steps = fabric(visit(seen, "vpc-main"))

        assert [step.name for step in steps] == [
            "source check",
            "route table",
            "mapping",
            "destination check",
        ]
        assert all(step.passed for step in steps)
        assert "is assigned to eni-" in steps[0].text


def test_every_rule_that_matched_has_its_text(ask: Ask) -> None:
    """As iptables-save prints it, and with the planned reason."""
    for seen in ask("web-4", HOST):
        matched = rules(visit(seen, "node-1"))

        assert [step.rule.partition("--comment ")[2] for step in matched[:2]] == [
            '"AWS, primary ENI" -j CONNMARK --restore-mark --nfmask 0x80 --ctmask 0x80',
            '"kubernetes service portals" -j KUBE-SERVICES',
        ]
        assert all(step.why for step in matched)
        assert not any(step.table.startswith("testbed-trace") for step in matched)


def test_a_service_is_translated_to_an_endpoint(bed: Bed, ask: Ask) -> None:
    """DNAT in PREROUTING: the way is chosen for the endpoint's address, and undone for replies."""
    address = next(one for one in bed.allocations.services if one.service == "api").cluster_ip
    for seen in ask("web-4", str(address)):
        node = visit(seen, "node-1")
        trip = seen.round_trip

        assert path(trip.there)[-1] == "api"
        assert node.left is not None
        assert node.left.destination == bed.address("api")
        assert any(
            step.verdict.startswith(f"dnat to {bed.address('api')}:") for step in rules(node)
        )
        assert trip.back is not None
        assert trip.back.visits[-1].arrived.source == address
        assert agrees(seen)


def test_a_nodes_own_packet_to_a_service_is_routed_twice(bed: Bed, ask: Ask) -> None:
    """DNAT in OUTPUT; the answer is translated back in INPUT."""
    address = next(one for one in bed.allocations.services if one.service == "api").cluster_ip
    for seen in ask("node-1", str(address)):
        trip = seen.round_trip

        assert len(decisions(visit(seen, "node-1"))) == 2
        assert path(trip.there)[-1] == "api"
        assert trip.back is not None
        assert trip.back.end.delivered
        assert agrees(seen)


def test_a_datagram_and_its_answer_whose_content_is_another(ask: Ask) -> None:
    """Nothing of a UDP packet is in its answer: that is known by the flows of the way there."""
    for seen in ask("web-4", "client", "udp", 7):
        trip = seen.round_trip

        assert trip.there.end.delivered
        assert path(trip.there) == ["web-4", "node-1", "vpc-main", "node-2", "client"]
        assert path(trip.back) == ["client", "node-2", "vpc-main", "node-1", "web-4"]
        assert agrees(seen)


def test_a_packet_to_oneself_stays_in_the_namespace(ask: Ask) -> None:
    for seen in ask("web-0", "web-0"):
        assert path(seen.round_trip.there) == ["web-0", "web-0"]
        assert seen.round_trip.there.visits[1].dev_in == "lo"
        assert seen.round_trip.there.end.delivered


def test_neighbours_in_a_subnet_meet_no_route_table(ask: Ask) -> None:
    """Lifted by the bridge with a mark, so that rule 50 leads past the route tables."""
    for seen in ask("node-1", "node-3", "icmp"):
        fabric_visit = visit(seen, "vpc-main")

        assert path(seen.round_trip.there) == ["node-1", "vpc-main", "node-3"]
        assert fabric_visit.mark_out == 1
        assert decisions(fabric_visit)[0].rule.startswith("50: ")
        assert "same subnet" in [step.name for step in fabric(fabric_visit)]


@pytest.mark.usefixtures("tracefs")
def test_the_witnesses_are_named(ask: Ask) -> None:
    base, both = ask("web-0", "client")

    assert base.witnesses == ("packet taps", "nft trace")
    assert both.witnesses == ("packet taps", "nft trace", "tracefs")
