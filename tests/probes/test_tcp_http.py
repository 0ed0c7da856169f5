"""A TCP and an HTTP probe tell delivered, refused, timeout and unreachable apart."""

from typing import Any

import pytest

from testbed.probes import http, tcp
from testbed.probes.outcome import Outcome
from testbed.probes.sockets import socket_in

pytestmark = pytest.mark.kernel


def test_an_open_port_is_delivered(star: Any, serving: Any) -> None:
    bed = star(2)

    with serving(bed, bed.listeners()):
        outcome = tcp.probe(bed.store, "pod-0", bed.address("pod-1"), 7)

    assert outcome == Outcome("delivered")


def test_a_closed_port_is_refused(star: Any) -> None:
    bed = star(2)

    outcome = tcp.probe(bed.store, "pod-0", bed.address("pod-1"), 7)

    assert outcome == Outcome("refused", "Connection refused")


def test_a_dropped_packet_is_a_timeout(star: Any, serving: Any) -> None:
    bed = star(2)
    bed.drop("pod-1")

    with serving(bed, bed.listeners()):
        outcome = tcp.probe(bed.store, "pod-0", bed.address("pod-1"), 7, timeout_s=0.2)

    assert outcome == Outcome("timeout", "no answer")


@pytest.mark.parametrize(
    ("kind", "reason"),
    [("unreachable", "No route to host"), ("prohibit", "No route to host")],
)
def test_a_router_that_says_no_is_unreachable(star: Any, kind: str, reason: str) -> None:
    bed = star(2)
    bed.ip("router", f"route replace {kind} 10.0.0.2")

    outcome = tcp.probe(bed.store, "pod-0", bed.address("pod-1"), 7)

    assert outcome == Outcome("unreachable", reason)


@pytest.mark.parametrize(
    ("route", "reason"),
    [
        ("route delete default", "Network is unreachable"),
        ("route replace blackhole 10.0.0.2", "Invalid argument"),
        ("route replace prohibit 10.0.0.2", "Permission denied"),
    ],
)
def test_the_source_itself_does_not_send(star: Any, route: str, reason: str) -> None:
    bed = star(2)
    bed.ip("pod-0", route)

    outcome = tcp.probe(bed.store, "pod-0", bed.address("pod-1"), 7)

    assert outcome == Outcome("unreachable", reason)


def test_http_knows_the_client_the_server_saw(star: Any, serving: Any) -> None:
    """Here the router hides the pod behind its address, as a node does towards the internet."""
    bed = star(2)
    bed.run(
        "router",
        "nft",
        "-f",
        "-",
        text=(
            "add table ip t; add chain ip t post { type nat hook postrouting priority 100; };"
            "add rule ip t post snat to 10.255.0.1"
        ),
    )

    with serving(bed, bed.listeners()):
        outcome = http.probe(bed.store, "pod-0", bed.address("pod-1"), 80)

    assert outcome.verdict == "delivered"
    assert outcome.reason == "HTTP 200 OK"
    assert outcome.answer is not None
    assert outcome.answer["client"].startswith("10.255.0.1:")
    assert outcome.answer["local"] == "10.0.0.2:80"


def test_http_of_a_server_that_accepts_and_says_nothing_is_a_timeout(star: Any) -> None:
    bed = star(2)

    with socket_in(bed.store, "pod-1") as server:
        server.bind(("10.0.0.2", 80))
        server.listen()
        outcome = http.probe(bed.store, "pod-0", bed.address("pod-1"), 80, timeout_s=0.2)

    assert outcome == Outcome("timeout", "no answer")


def test_http_of_a_server_that_speaks_first_is_not_http(star: Any, serving: Any) -> None:
    bed = star(2)

    with serving(bed, bed.listeners()):
        outcome = http.probe(bed.store, "pod-0", bed.address("pod-1"), 7, timeout_s=0.2)

    assert not outcome.delivered


def test_http_is_refused_where_the_connection_is_cut(star: Any, serving: Any) -> None:
    bed = star(2)

    outcome = http.probe(bed.store, "pod-0", bed.address("pod-1"), 80)

    assert outcome == Outcome("refused", "Connection refused")
