"""ClusterIPs and node ports: asked for, kept, or the lowest free."""

from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest

from testbed.errors import DescriptionError
from testbed.kubernetes.model import Service, ServicePort
from testbed.kubernetes.placement import ServiceAddress
from testbed.services.allocate import allocate_services

RANGE = IPv4Network("10.96.0.0/16")


def service(name: str, *ports: ServicePort, **more: Any) -> Service:
    return Service(name, {"app": name}, ports or (ServicePort(80),), **more)


def given(
    *services: Service, cidr: IPv4Network = RANGE, before: tuple[ServiceAddress, ...] = ()
) -> tuple[ServiceAddress, ...]:
    return allocate_services("c", services, cidr, before)


def addresses(*services: Service, **more: Any) -> list[str]:
    return [str(one.cluster_ip) for one in given(*services, **more)]


def test_the_lowest_free_address_is_given_but_not_the_api_servers():
    assert addresses(service("a"), service("b")) == ["10.96.0.2", "10.96.0.3"]


def test_the_address_of_dns_is_for_who_asks_for_it():
    names = [service(f"s{i}") for i in range(9)]
    dns = service("kube-dns", namespace="kube-system", cluster_ip=IPv4Address("10.96.0.10"))

    assert "10.96.0.10" not in addresses(*names)
    assert addresses(*names, dns)[-1] == "10.96.0.10"


def test_an_address_somebody_asks_for_is_given_to_nobody_else():
    asks = service("b", cluster_ip=IPv4Address("10.96.0.2"))

    assert addresses(service("a"), asks) == ["10.96.0.3", "10.96.0.2"]


def test_what_was_given_is_kept():
    before = given(service("a"), service("b", type="NodePort"))

    after = given(service("new", type="NodePort"), service("b", type="NodePort"), before=before)

    assert after[1] == before[1]
    assert after[0].cluster_ip == IPv4Address("10.96.0.2"), "that of `a`, which is gone"
    assert after[0].node_ports == (30001,)


def test_another_clusters_addresses_are_no_concern():
    before = (ServiceAddress("a", "other", IPv4Address("10.96.7.7")),)

    assert addresses(service("a"), before=before) == ["10.96.0.2"]


def test_an_address_outside_a_new_range_is_not_kept():
    before = given(service("a"))

    assert addresses(service("a"), cidr=IPv4Network("10.97.0.0/16"), before=before) == [
        "10.97.0.2"
    ]


def test_a_full_range_is_an_error_in_kubernetes_words():
    many = [service(f"s{i}") for i in range(13)]

    with pytest.raises(DescriptionError, match="failed to allocate a serviceIP: range is full"):
        given(*many, cidr=IPv4Network("10.96.0.0/28"))


def test_only_types_that_have_them_get_node_ports():
    kinds = ("ClusterIP", "NodePort", "LoadBalancer")

    found = given(*[service(kind.lower(), type=kind) for kind in kinds])

    assert [one.node_ports for one in found] == [(), (30000,), (30001,)]


def test_every_port_has_a_node_port():
    ports = ServicePort(80, name="http"), ServicePort(443, name="https", node_port=30000)

    [found] = given(service("a", *ports, type="NodePort"))

    assert found.node_ports == (30001, 30000)


def test_tcp_and_udp_of_one_number_share_their_node_port():
    """kubernetes v1.14, initNodePorts."""
    ports = (
        ServicePort(53, name="tcp"),
        ServicePort(53, name="udp", protocol="UDP", node_port=30053),
        ServicePort(80, name="http"),
    )

    [found] = given(service("dns", *ports, type="NodePort"))

    assert found.node_ports == (30053, 30053, 30000)


def test_a_node_port_somebody_asks_for_is_not_kept_by_another():
    before = given(service("a", type="NodePort"))
    asks = service("b", ServicePort(80, node_port=30000), type="NodePort")

    found = given(service("a", type="NodePort"), asks, before=before)

    assert [one.node_ports for one in found] == [(30001,), (30000,)]


def test_a_port_keeps_its_node_port_when_another_one_goes():
    """Ports are known by their number, not by their place in the list."""
    both = service("a", ServicePort(80, name="http"), ServicePort(90, name="alt"), type="NodePort")
    before = given(both)
    alone = service("a", ServicePort(90, name="alt"), type="NodePort")

    assert before[0].node_ports == (30000, 30001)
    assert given(alone, before=before)[0].node_ports == (30001,)
