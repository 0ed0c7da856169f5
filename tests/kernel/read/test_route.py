"""The kernel's answers to "which way would this packet take?"."""

import os
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

import pytest

from testbed.errors import KernelError
from testbed.kernel.namespaces.enter import entered
from testbed.kernel.namespaces.store import LocalStore
from testbed.kernel.programs.run import run
from testbed.kernel.read.route import RouteAnswer, route_get
from testbed.kernel.write.apply import apply
from testbed.net.facts import ANYWHERE, Address, Netns, Route, Rule, State, Sysctl, Veth
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.kernel

POD = IPv4Address("10.0.1.5")
FAR = IPv4Address("203.0.113.10")

NODE: State = frozenset(
    {
        Netns(ns="n1"),
        Netns(ns="out"),
        *(
            Veth(ns="n1", name=dev, peer_ns="out", peer=dev, mac=f"02:00:00:00:00:0{i}", mtu=1500)
            for i, dev in enumerate(("eth0", "eth1", "eni1"))
        ),
        *(
            Veth(ns="out", name=dev, peer_ns="n1", peer=dev, mac=f"02:00:00:00:01:0{i}", mtu=1500)
            for i, dev in enumerate(("eth0", "eth1", "eni1"))
        ),
        Sysctl(ns="n1", name="net.ipv4.ip_forward", value="1"),
        Address(ns="n1", dev="eth0", ip=IPv4Interface("10.0.1.4/24")),
        Address(ns="n1", dev="eth1", ip=IPv4Interface("10.0.2.4/24")),
        Route(ns="n1", dst=IPv4Network("10.0.1.5/32"), dev="eni1", scope="link"),
        Route(ns="n1", dst=ANYWHERE, via=IPv4Address("10.0.1.1"), dev="eth0"),
        Route(ns="n1", dst=ANYWHERE, via=IPv4Address("10.0.2.1"), dev="eth1", table=1002),
        Route(ns="n1", dst=IPv4Network("10.9.0.0/16"), kind="blackhole"),
        Route(ns="n1", dst=IPv4Network("10.8.0.0/16"), kind="unreachable"),
        Route(ns="n1", dst=IPv4Network("10.7.0.0/16"), kind="prohibit"),
        Rule(ns="n1", priority=512, dst=IPv4Network("10.0.1.5/32"), table=254),
        Rule(ns="n1", priority=1024, fwmark=0x80, fwmask=0x80, table=254),
        Rule(ns="n1", priority=1536, src=IPv4Network("10.0.1.5/32"), table=1002),
    }
)


@pytest.fixture(scope="module")
def node() -> Iterator[LocalStore]:
    """A node with two ENIs and a pod, and whatever is behind its devices."""
    with LocalStore() as store:
        apply(store, NODE)
        yield store


def test_a_packet_of_the_node_itself_takes_table_main(node: LocalStore) -> None:
    assert route_get(node, "n1", FAR) == RouteAnswer(
        kind="unicast",
        table=254,
        dst=ANYWHERE,
        dev="eth0",
        via=IPv4Address("10.0.1.1"),
        scope="global",
    )


def test_a_pods_packet_leaves_by_the_table_its_rule_names(node: LocalStore) -> None:
    """The answer is what `ip route get fibmatch 203.0.113.10 from 10.0.1.5 iif eni1` prints."""
    answer = route_get(node, "n1", FAR, src=POD, iif="eni1")

    assert (answer.table, answer.dev, answer.via) == (1002, "eth1", IPv4Address("10.0.2.1"))
    argv = ["ip", "route", "get", "fibmatch", str(FAR), "from", str(POD), "iif", "eni1"]
    fd = node.open("n1")
    with entered(fd):
        printed = run(argv, timeout_s=PATIENCE_S).stdout.strip()
    os.close(fd)
    assert printed == "default via 10.0.2.1 dev eth1 table 1002"


def test_a_mark_leads_past_that_rule(node: LocalStore) -> None:
    assert route_get(node, "n1", FAR, src=POD, iif="eni1", mark=0x80).table == 254


def test_a_packet_to_a_pod_takes_its_veth(node: LocalStore) -> None:
    answer = route_get(node, "n1", POD)

    assert (answer.dst, answer.dev, answer.via) == (IPv4Network("10.0.1.5/32"), "eni1", None)
    assert answer.scope == "link"


def test_an_own_address_is_local(node: LocalStore) -> None:
    answer = route_get(node, "n1", IPv4Address("10.0.1.4"), src=POD, iif="eni1")

    assert (answer.kind, answer.table, answer.dev) == ("local", 255, "eth0")


@pytest.mark.parametrize(
    ("destination", "kind"),
    [("10.9.0.1", "blackhole"), ("10.8.0.1", "unreachable"), ("10.7.0.1", "prohibit")],
)
def test_a_route_to_nowhere_is_an_answer(node: LocalStore, destination: str, kind: str) -> None:
    answer = route_get(node, "n1", IPv4Address(destination))

    assert (answer.kind, answer.dev) == (kind, "")
    assert answer.error


def test_no_route_at_all_is_an_answer_too(node: LocalStore) -> None:
    assert route_get(node, "out", FAR) == RouteAnswer(kind="none", error="Network is unreachable")


def test_a_source_the_node_knows_behind_another_device_is_not_taken_for_a_route(
    node: LocalStore,
) -> None:
    """The node's own address cannot come in from outside; newer kernels only say EINVAL."""
    answer = route_get(node, "n1", POD, src=IPv4Address("10.0.1.4"), iif="eth1")

    assert answer.kind in ("martian", "dropped")


def test_a_question_about_a_device_that_is_not_there_is_an_error(node: LocalStore) -> None:
    with pytest.raises(KernelError, match="n1: there is no device 'eth9'"):
        route_get(node, "n1", FAR, src=POD, iif="eth9")


def test_a_question_to_a_namespace_that_is_not_there_is_an_error(node: LocalStore) -> None:
    with pytest.raises(KernelError, match="no namespace 'n9'"):
        route_get(node, "n9", FAR)
