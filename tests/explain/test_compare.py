"""Where prediction and observation part is told in one sentence; agreement is told by nothing."""

from dataclasses import replace
from ipaddress import IPv4Address

from testbed.explain.compare import closest, difference, first_difference
from testbed.explain.journey import Header, Journey, NetfilterStep, RoundTrip
from testbed.explain.render import wording
from tests.explain import journeys, steps


def _renumbered(header: Header) -> Header:
    return replace(header, source_port=header.source_port + 1, ttl=header.ttl - 3)


def _other_ports(trip: RoundTrip) -> RoundTrip:
    """The same, as another caller's port and another first TTL make it."""
    visits = tuple(
        replace(
            visit,
            arrived=_renumbered(visit.arrived),
            left=_renumbered(visit.left) if visit.left else None,
        )
        for visit in trip.there.visits
    )
    return replace(trip, there=replace(trip.there, visits=visits))


def test_what_agrees_has_no_difference() -> None:
    for trip in (journeys.same_node(), journeys.other_node(), journeys.to_internet()):
        assert difference([trip], trip) is None


def test_ports_that_a_kernel_chooses_make_no_difference() -> None:
    trip = journeys.to_internet()

    assert difference([trip], _other_ports(trip)) is None


def test_the_rule_is_named_that_took_the_packet_another_way() -> None:
    found = difference([journeys.other_node()], journeys.source_checked())

    assert found is not None
    assert (found.way, found.visit, found.ns, found.aspect) == ("there", 1, "node-1", "rule")
    assert str(found) == (
        "node-1, rule: predicted 1536: from 10.0.1.13 lookup 2, "
        "observed 32766: from all lookup main"
    )


def test_what_one_witness_cannot_see_is_no_difference() -> None:
    """Without nft trace an observation has no netfilter steps, and says nothing about them."""
    trip = journeys.other_node()
    blind = tuple(
        replace(
            visit,
            steps=tuple(step for step in visit.steps if not isinstance(step, NetfilterStep)),
        )
        for visit in trip.there.visits
    )

    assert difference([trip], replace(trip, there=replace(trip.there, visits=blind))) is None


def test_only_the_first_rule_that_differs_is_named() -> None:
    trip = journeys.other_node()
    node = trip.there.visits[1]
    changed = replace(node, steps=(steps.RESTORE, steps.OUTBOUND, *node.steps[3:]))
    visits = (trip.there.visits[0], changed, *trip.there.visits[2:])

    found = difference([trip], replace(trip, there=replace(trip.there, visits=visits)))

    assert found is not None
    assert found.aspect == "netfilter"
    assert found.predicted.startswith("nat AWS-CONNMARK-CHAIN-0 -d 10.0.0.0/16")
    assert found.observed == "nothing"


def test_a_lost_reply_is_a_difference_of_the_way_back() -> None:
    found = difference([journeys.other_node()], journeys.asymmetric())

    assert found is not None
    assert (found.way, found.ns, found.aspect) == ("back", "vpc-main", "went out by")

    lost = replace(journeys.other_node(), back=None)
    assert "a reply" in str(difference([journeys.other_node()], lost))


def test_a_packet_that_ends_early_is_told_before_its_device() -> None:
    trip = journeys.other_node()
    early = replace(trip.there.visits[1], left=None, dev_out="")
    end = journeys.source_checked().there.end
    observed = RoundTrip(there=Journey(visits=(trip.there.visits[0], early), end=end))

    found = first_difference(trip, observed)

    assert found is not None
    assert found.aspect == "fate"
    assert found.predicted == "it went on"
    assert found.observed == "it ended there (ENI_SOURCE_DEST_CHECK_RESTRICTION)"


def test_that_it_ended_is_told_and_not_the_rules_it_did_not_come_to() -> None:
    trip = journeys.other_node()
    node = trip.there.visits[1]
    early = replace(node, left=None, dev_out="", steps=node.steps[:2])
    end = journeys.source_checked().there.end
    observed = RoundTrip(there=Journey(visits=(trip.there.visits[0], early), end=end))

    found = first_difference(trip, observed)

    assert found is not None
    assert (found.ns, found.aspect) == ("node-1", "fate")


def test_the_branch_that_fits_is_compared() -> None:
    """A random choice has several predictions; the packet took one of them."""
    branches = [journeys.other_node(), journeys.to_internet(), journeys.same_node()]

    for trip in branches:
        assert closest(branches, trip) is trip
        assert difference(branches, trip) is None


def test_a_reply_by_another_interface_is_pointed_out() -> None:
    assert wording.asymmetry(journeys.explained(journeys.other_node())) == []
    assert wording.asymmetry(journeys.explained(journeys.to_internet())) == []
    assert wording.asymmetry(journeys.explained(journeys.asymmetric())) == [
        "node-1 sent it by eth1 and gets the reply by eth0"
    ]


def test_a_reply_through_other_namespaces_is_pointed_out() -> None:
    trip = journeys.other_node()
    assert trip.back is not None
    back = replace(trip.back, visits=trip.back.visits[:2] + trip.back.visits[3:])

    [sentence] = wording.asymmetry(journeys.explained(replace(trip, back=back)))

    assert sentence.startswith("the reply goes another way: client → node-2 → node-1 → web-3")


def test_an_address_with_a_port_reads_as_in_a_url() -> None:
    header = steps.request(steps.WEB_3, IPv4Address("10.0.2.6"))

    assert wording.endpoints(header) == "10.0.1.13:40112 → 10.0.2.6:80"
    assert wording.endpoints(replace(header, protocol="icmp")) == "10.0.1.13 → 10.0.2.6"
    assert wording.endpoints(replace(header, source_port=0)) == "10.0.1.13 → 10.0.2.6:80"
