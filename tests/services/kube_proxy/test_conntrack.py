"""The commands are kube-proxy's own: what it forgets in 1.14 is forgotten here too."""

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from testbed.kubernetes.kube_proxy import Era
from testbed.services.endpoints import Backend
from testbed.services.kube_proxy.conntrack import stale_entries
from testbed.services.kube_proxy.ports import ProxiedPort

ONE = Backend(IPv4Address("10.2.0.1"), 53, "n1", "dns-0")
TWO = Backend(IPv4Address("10.2.0.2"), 53, "n2", "dns-1")
DNS = ProxiedPort(
    name="kube-system/dns:dns",
    protocol="udp",
    cluster_ip=IPv4Address("172.20.0.10"),
    port=53,
    external_ips=(IPv4Address("203.0.113.7"),),
    load_balancer_ips=(IPv4Address("203.0.113.9"),),
    backends=(ONE, TWO),
)
NODE_PORT = replace(DNS, node_port=30053)
ERAS: tuple[Era, Era] = ("1.14", "current")


def commands(before: list[ProxiedPort], after: list[ProxiedPort], era: Era) -> list[str]:
    return [" ".join(command) for command in stale_entries(before, after, era)]


@pytest.mark.parametrize("era", ERAS)
def test_an_endpoint_that_is_gone_takes_its_entries_along(era: Era):
    """By each address of the Service."""
    assert commands([DNS], [replace(DNS, backends=(TWO,))], era) == [
        "conntrack -D --orig-dst 172.20.0.10 --dst-nat 10.2.0.1 -p udp",
        "conntrack -D --orig-dst 203.0.113.7 --dst-nat 10.2.0.1 -p udp",
        "conntrack -D --orig-dst 203.0.113.9 --dst-nat 10.2.0.1 -p udp",
    ]


def test_who_ends_and_still_serves_keeps_its_clients():
    """Since 1.29 (#119394); 1.14 knows who is ready only."""
    ending = ONE._replace(ready=False, terminating=True)

    for era in ERAS:
        found = commands([DNS], [replace(DNS, backends=(ending, TWO))], era)
        assert bool(found) is (era == "1.14")
    assert commands([replace(DNS, backends=(ending,))], [DNS], "current") == []


@pytest.mark.parametrize("era", ERAS)
def test_an_endpoint_that_serves_no_more_is_gone_too(era: Era):
    not_ready = replace(DNS, backends=(ONE._replace(ready=False, serving=False), TWO))

    assert commands([DNS], [not_ready], era) == commands(
        [DNS], [replace(DNS, backends=(TWO,))], era
    )


def test_with_a_node_port_1_14_leaves_the_cluster_ips_entries_stale():
    """kubernetes v1.14, deleteEndpointConnections: the one command instead of the other."""
    left = [replace(NODE_PORT, backends=(TWO,))]

    external = [
        "conntrack -D --orig-dst 203.0.113.7 --dst-nat 10.2.0.1 -p udp",
        "conntrack -D --orig-dst 203.0.113.9 --dst-nat 10.2.0.1 -p udp",
    ]
    by_port = "conntrack -D -p udp --dport 30053 --dst-nat 10.2.0.1"
    assert commands([NODE_PORT], left, "1.14") == [by_port, *external]
    assert commands([NODE_PORT], left, "current") == [
        by_port,
        "conntrack -D --orig-dst 172.20.0.10 --dst-nat 10.2.0.1 -p udp",
        *external,
    ]


def test_the_first_endpoint_ends_what_led_nowhere():
    """1.14 forgets load balancers, and node ports, whose sockets are open already."""
    before, after = [replace(NODE_PORT, backends=())], [NODE_PORT]

    both = [
        "conntrack -D --orig-dst 172.20.0.10 -p udp",
        "conntrack -D --orig-dst 203.0.113.7 -p udp",
    ]
    assert commands(before, after, "1.14") == both
    assert commands(before, after, "current") == [
        *both,
        "conntrack -D --orig-dst 203.0.113.9 -p udp",
        "conntrack -D -p udp --dport 30053",
    ]


def test_a_new_node_port_is_cleared_when_1_14_opens_its_socket():
    without = replace(NODE_PORT, backends=())

    assert commands([], [without], "1.14") == ["conntrack -D -p udp --dport 30053"]
    assert commands([], [without], "current") == []


@pytest.mark.parametrize("era", ERAS)
def test_a_deleted_service_takes_its_clients_along(era: Era):
    assert commands([NODE_PORT], [], era) == ["conntrack -D --orig-dst 172.20.0.10 -p udp"]


@pytest.mark.parametrize("era", ERAS)
def test_connections_of_tcp_are_left_alone(era: Era):
    """They end by themselves, and nobody may reset them."""
    tcp = replace(NODE_PORT, protocol="tcp")

    assert commands([tcp], [], era) == []
    assert commands([tcp], [replace(tcp, backends=())], era) == []


@pytest.mark.parametrize("era", ERAS)
def test_what_stays_needs_no_command(era: Era):
    moved = replace(DNS, backends=(TWO, ONE))

    assert commands([DNS], [moved], era) == []
