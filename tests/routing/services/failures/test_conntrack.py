"""New connections are lost where conntrack's table is full.

The client and far are on node nb, web-0 and web-1 on na.  k/k: kubernetes/kubernetes.
"""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from testbed.bed import Bed
from testbed.bed import bed as bring_up
from testbed.kubernetes.model import Service, ServicePort
from testbed.load import parse
from tests.connections import fill
from tests.routing.cni.breaking import dies, works
from tests.routing.cni.conftest import Explain
from tests.routing.services.promises import CLUSTER_IP, IP, LABS, changed
from tests.segments import connected

pytestmark = pytest.mark.kernel

PAGE = Path(__file__).parents[4] / "docs/failures-kops.md"
THEN_AND_NOW = ("kops, 1.14", "eks, today")


@pytest.fixture(scope="module", params=THEN_AND_NOW)
def bed(request: pytest.FixtureRequest) -> Iterator[Bed]:
    with bring_up(parse(LABS[request.param], "races.yaml")) as up:
        port = ServicePort(80, target_port=8099)
        one = Service("web", {"app": "web"}, (port,), cluster_ip=CLUSTER_IP)
        up.up(changed(up, services=(one,)))
        yield up


@contextmanager
def full(bed: Bed, node: str, *, answered: bool = True) -> Iterator[int]:
    """While a node's table of connections is full; how many there are."""
    try:
        yield fill(bed.store, node, answered=answered)
    finally:
        empty(bed, node)


def empty(bed: Bed, node: str) -> None:
    """What would end by itself, and make room, is not in its table any more."""
    assert bed.run(node, "conntrack", "-F").returncode == 0


def test_a_full_table_loses_new_connections_and_keeps_the_old(bed: Bed, explain: Explain) -> None:
    """k/k#18604.  It is the node's own table: pods have none, and other nodes have theirs."""
    empty(bed, "nb")
    opened = connected(bed.store, "client", "web-0", 8088, (str(bed.address("web-0")), 8088))
    with opened as (caller, server), full(bed, "nb") as most:
        lost = explain("client", "web-0")
        assert dies(lost, "nb", "X_CONNTRACK_FULL")
        assert f"nb remembers {most} connections" in lost.end.text
        assert dies(explain("client", "far"), "nb", "X_CONNTRACK_FULL"), "on one node too"
        assert dies(explain("client", IP), "nb", "X_CONNTRACK_FULL")
        assert dies(explain("nb", "web-0"), "nb", "X_CONNTRACK_FULL"), "the node's own"
        assert dies(explain("web-0", "far"), "nb", "X_CONNTRACK_FULL"), "and what comes in"
        assert works(explain("web-0", "web-1")), "control: another node"
        caller.send(b"on")
        assert server.recv(8) == b"on"
    assert works(explain("client", "web-0"))


@pytest.mark.parametrize("bed", THEN_AND_NOW[:1], indirect=True)
def test_a_table_of_connections_that_nobody_answered_has_room(bed: Bed, explain: Explain) -> None:
    """The kernel gives one of them up for each new one: near every place in the table are some."""
    with full(bed, "nb", answered=False):
        assert works(explain("client", "web-0"))


@pytest.mark.parametrize("bed", THEN_AND_NOW[:1], indirect=True)
def test_the_page_says_how_to_fill_a_table(bed: Bed) -> None:
    """Its command makes as many connections as it is told to, and the kernel would keep them."""
    _, _, text = PAGE.read_text(encoding="utf-8").partition("### A full table")
    command = text.split("```")[1].replace("$(cat /proc/sys/net/netfilter/nf_conntrack_max)", "9")
    ours = ("conntrack", "-L", "-p", "udp", "-d", "192.0.2.1")

    assert bed.run("nb", *shlex.split(command)[4:]).returncode == 0
    assert bed.run("nb", *ours).stdout.count("[ASSURED]") == 9
    empty(bed, "nb")
