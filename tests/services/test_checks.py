"""What Kubernetes refuses of Services, at the key that says it."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest

from testbed.description.ports import Port
from testbed.kubernetes.endpoint_slices import EndpointAddress, EndpointPort, EndpointSlice
from testbed.kubernetes.model import Container, Pod, Service, ServicePort
from testbed.kubernetes.placement import ServiceAddress
from testbed.services.checks import given_already, problems, slice_problems, warnings

RANGE = IPv4Network("10.96.0.0/16")


def service(name: str = "web", *ports: ServicePort, **more: Any) -> Service:
    return Service(name, {"app": name}, ports or (ServicePort(80),), **more)


def found(*services: Service, cidr: IPv4Network = RANGE, **others: str) -> list[str]:
    ranges = {owner: (IPv4Network(other),) for owner, other in others.items()}
    return [f"{one.key}: {one.message}" for one in problems(services, cidr, ranges)]


def test_good_services_have_no_problems():
    node_port = service("b", ServicePort(80, node_port=32767), type="NodePort")

    assert found(service("a"), node_port, vpc="10.0.0.0/16") == []


def external(name: str) -> Service:
    return Service("db", type="ExternalName", external_name=name)


def test_an_external_name_is_a_name_that_can_be_asked_for():
    """The line after it would be read by dnsmasq as another setting."""
    assert found(external("db.example.com")) == found(external("db.example.com.")) == []
    for wrong in ("db example", "db.example.com\nserver=192.0.2.1", "db..example", "DB.example"):
        [said] = found(external(wrong))

        assert said.startswith("services.db.externalName: ")


def test_names_of_written_endpoints_are_names_of_the_dns():
    wrong = EndpointSlice(
        "db-1",
        "db",
        (EndpointAddress(IPv4Address("10.0.9.1"), hostname="db,0"),),
        (EndpointPort(5432, "p g"), EndpointPort(80)),
    )

    assert [one.key for one in slice_problems([wrong])] == [
        "endpointSlices.db-1.ports[0].name",
        "endpointSlices.db-1.addresses[0].hostname",
    ]


def test_a_service_that_selects_nothing_is_allowed():
    """Kubernetes takes it, and kube-proxy refuses connections to it."""
    assert found(Service("web", {}, (ServicePort(80),))) == []


@pytest.mark.parametrize("cidr", ["10.96.0.0/11", "10.96.0.0/29"])
def test_a_range_has_a_size_kube_apiserver_takes(cidr: str):
    [said] = found(cidr=IPv4Network(cidr))

    assert said == f"serviceCidr: a range for Services is a /12 to a /28; {cidr} is not"


def test_a_range_that_is_somebody_elses_is_refused():
    [said] = found(vpc="10.96.128.0/17")

    assert said == (
        "serviceCidr: the range for Services, 10.96.0.0/16, overlaps 10.96.128.0/17 of vpc"
    )


IP = "services.web.clusterIp: provided IP is"
PORT = "services.web.ports[0].nodePort: provided port is"
WRONG = {
    "address outside the range": (
        [service(cluster_ip=IPv4Address("10.97.0.5"))],
        f"{IP} not in the valid range. The range of valid IPs is 10.96.0.0/16",
    ),
    "last address of the range": (
        [service(cluster_ip=IPv4Address("10.96.255.255"))],
        f"{IP} not in the valid range. The range of valid IPs is 10.96.0.0/16",
    ),
    "address of the API server": (
        [service(cluster_ip=IPv4Address("10.96.0.1"))],
        f"{IP} already allocated: Service kubernetes, the API server, has it",
    ),
    "address of another": (
        [service(name, cluster_ip=IPv4Address("10.96.0.5")) for name in ("first", "web")],
        f'{IP} already allocated: Service "first" has it',
    ),
    "node port below the range": (
        [service("web", ServicePort(80, node_port=8080), type="NodePort")],
        f"{PORT} not in the valid range. The range of valid ports is 30000-32767",
    ),
    "node port above the range": (
        [service("web", ServicePort(80, node_port=32768), type="NodePort")],
        f"{PORT} not in the valid range. The range of valid ports is 30000-32767",
    ),
    "node port of another": (
        [
            service(name, ServicePort(80, node_port=30080), type="NodePort")
            for name in ("first", "web")
        ],
        f'{PORT} already allocated: Service "first" has it',
    ),
    "node port of a ClusterIP": (
        [service("web", ServicePort(80, node_port=30080))],
        "services.web.ports[0].nodePort: may not be used when `type` is 'ClusterIP'",
    ),
    "two of one name": ([service(), service()], 'services.web: there are two Services "web"'),
    "a digit first": (
        [service("2web")],
        'services.2web: "2web" cannot be a Service\'s name; a letter comes first',
    ),
    "no port": ([Service("web", {}, ())], "services.web.ports: a Service has at least one port"),
    "ports without names": (
        [service("web", ServicePort(80, name="http"), ServicePort(443))],
        "services.web.ports[1].name: each of several ports needs a name",
    ),
    "ports of one name": (
        [service("web", ServicePort(80, name="http"), ServicePort(443, name="http"))],
        'services.web.ports[1].name: there is a port named "http" already',
    ),
    "a port twice": (
        [service("web", ServicePort(80, name="a"), ServicePort(80, name="b"))],
        "services.web.ports[1]: the Service has TCP port 80 already",
    ),
}


@pytest.mark.parametrize(("services", "said"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_is_told_in_kubernetes_words(services: list[Service], said: str):
    assert found(*services) == [said]


def test_one_node_port_may_stand_for_tcp_and_udp():
    ports = [
        ServicePort(53, name=protocol.lower(), protocol=protocol, node_port=30053)
        for protocol in ("TCP", "UDP")
    ]

    assert found(service("dns", *ports, type="NodePort")) == []


def test_equal_names_in_two_namespaces_are_two_services():
    assert found(service(), service(namespace="other")) == []


def test_a_target_port_that_no_pod_names_is_warned_of():
    """Kubernetes takes it: pods may come that have one.  Without any pod nothing is said."""
    web = Service("web", {"app": "web"}, (ServicePort(80, target_port="http"),))
    named = Pod("web-0", containers=(Container("c", (Port(8080, "http", "http"),)),))

    [problem] = warnings([web], [Pod("web-0")])

    assert problem.message == 'no pod it selects has a TCP port named "http"'
    assert problem.path == ("services", "web", "ports", 0, "targetPort")
    assert not [*warnings([web], [named])]
    assert not [*warnings([web], [Pod("other")])]


GIVEN = ServiceAddress("old", "eks", IPv4Address("172.20.0.9"), (30005,), (80,), 30006)


@pytest.mark.parametrize(
    ("wish", "key"),
    [
        ({"cluster_ip": GIVEN.cluster_ip}, "services.new.clusterIp"),
        ({"ports": (ServicePort(80, node_port=30005),)}, "services.new.ports[0].nodePort"),
        ({"ports": (ServicePort(80, node_port=30006),)}, "services.new.ports[0].nodePort"),
    ],
)
def test_what_another_service_was_given_is_taken(wish: dict[str, Any], key: str):
    """It never asked for it, and it keeps it; without it, it is free."""
    old = Service("old", {"app": "web"}, (ServicePort(80),), type="LoadBalancer")
    new = replace(Service("new", {"app": "web"}, (ServicePort(80),), type="NodePort"), **wish)

    assert [one.key for one in given_already((old, new), [GIVEN])] == [key]
    assert [*given_already((new,), [GIVEN])] == []


def test_a_service_may_ask_for_what_it_has():
    same = (ServicePort(80, node_port=30005),)
    old = Service("old", {"app": "web"}, same, type="NodePort", cluster_ip=GIVEN.cluster_ip)

    assert [*given_already((old,), [GIVEN])] == []
