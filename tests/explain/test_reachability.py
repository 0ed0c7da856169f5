"""All pairs predicted, and what a change of the lab changes for them."""

from ipaddress import IPv4Address

from testbed.explain.journey import End, Header
from testbed.explain.reachability import (
    NO_SUCH,
    Reach,
    changes,
    question,
    reach,
    reachability,
    told,
)
from testbed.net.served.endpoints import Endpoint
from tests.explain import journeys, steps

PODS = (
    Endpoint(name="web-0", netns="web-0", address=steps.WEB_0, tcp_port=7, http_port=80),
    Endpoint(name="web-3", netns="web-3", address=steps.WEB_3, tcp_port=7),
    Endpoint(name="client", netns="client", address=steps.CLIENT),
    Endpoint(name="exporter", netns="node-2", address=steps.NODE_2, http_port=9100),
    Endpoint(name="agent", netns="node-2", address=steps.NODE_2),
)
CHECKED = Reach(delivered=False, code="ENI_SOURCE_DEST_CHECK_RESTRICTION")


def test_a_random_choice_of_which_one_branch_fails_is_no_delivery() -> None:
    assert reach([journeys.other_node(), journeys.same_node()]) == Reach(delivered=True)

    found = reach([journeys.other_node(), journeys.source_checked()])

    assert (found.delivered, found.code) == (False, "ENI_SOURCE_DEST_CHECK_RESTRICTION")
    assert str(found) == "ENI_SOURCE_DEST_CHECK_RESTRICTION"


def test_a_lost_reply_is_no_delivery() -> None:
    assert reach([journeys.asymmetric()]).code == "X_RP_FILTER"


def test_every_pair_is_asked_what_a_matrix_would_probe() -> None:
    asked: list[tuple[str, Header]] = []
    back = journeys.asymmetric().back
    lost = back.end if back is not None else None

    def failure(ns: str, header: Header) -> End | None:
        asked.append((ns, header))
        return lost if ns == "client" else None

    found = reachability(failure, PODS, PODS)

    pairs = {(source, to) for source, to, protocol in found if protocol == "tcp"}
    assert len(pairs) == 4 + 4  # nobody to itself, nor within one namespace
    assert ("agent", "web-0") in pairs
    assert found["client", "web-0", "tcp"].code == "X_RP_FILTER"
    assert found["web-3", "web-0", "tcp"].delivered
    assert len(found) == len(pairs) + 5 * 4 - 2
    assert ("agent", "exporter", "icmp") not in found
    assert ("web-3", question("tcp", steps.WEB_3, steps.WEB_0, 7)) in asked


def test_a_question_is_the_first_packet_of_its_protocol() -> None:
    one, other = IPv4Address("10.0.0.1"), IPv4Address("10.0.0.2")

    assert question("tcp", one, other, 80).kind == "SYN"
    assert question("http", one, other, 80).protocol == "tcp"
    assert question("icmp", one, other).kind == "echo-request"
    assert question("udp", one, other, 53).source_port == 32768, "one that clients have"
    assert question("icmp", one, other).source_port == 0


def test_only_pairs_that_change_are_told() -> None:
    good = Reach(delivered=True)
    before = {("a", "b", "tcp"): good, ("b", "a", "tcp"): good, ("a", "c", "tcp"): good}
    after = {("a", "b", "tcp"): good, ("b", "a", "tcp"): CHECKED, ("d", "a", "tcp"): good}

    found = changes(before, after)

    assert [(one.pair[:2], one.before, one.after) for one in found] == [
        (("a", "c"), good, NO_SUCH),
        (("b", "a"), good, CHECKED),
        (("d", "a"), NO_SUCH, good),
    ]
    assert found[1].to_json()["after"] == "ENI_SOURCE_DEST_CHECK_RESTRICTION"
    assert changes(after, after) == []


def test_who_comes_and_who_goes_is_told_by_name() -> None:
    """Beside all their pairs, which repeat it."""
    delivered = Reach(delivered=True)
    before = {("web-0", "client", "icmp"): delivered, ("web-0", "late", "icmp"): delivered}
    after = {("web-0", "client", "icmp"): CHECKED, ("new", "client", "icmp"): CHECKED}

    result = told(before, after)

    assert (result["added"], result["removed"]) == (["new"], ["late"])
    assert len(result["changes"]) == 3
