"""What the API server refuses of names, labels and addresses."""

from ipaddress import IPv4Address

import pytest

from testbed.description.ports import Port
from testbed.description.problem import Problems
from testbed.kubernetes import checks
from testbed.kubernetes.endpoint_slices import EndpointAddress, EndpointPort, EndpointSlice
from testbed.kubernetes.model import Container, Node, Pod, Service, ServicePort
from testbed.kubernetes.validation import endpoint_address, labels, port_name
from testbed.services.checks import service_problems, slice_problems


def keys(found: Problems) -> list[str]:
    return [problem.key for problem in found]


@pytest.mark.parametrize("name", ["http", "p2p", "a-1", "1a", "fifteen-letters"])
def test_a_ports_name_is_a_service_name_of_iana(name: str) -> None:
    assert [*port_name((), name)] == []


@pytest.mark.parametrize(
    "name", ["8080", "Http", "a--b", "-a", "a-", "a_b", "a b", "sixteen-letters-"]
)
def test_any_other_is_refused(name: str) -> None:
    assert len([*port_name((), name)]) == 1


@pytest.mark.parametrize(
    ("key", "value"),
    [("app", "web"), ("app", ""), ("example.com/a_B.c", "v1.2_3"), ("a" * 63, "b" * 63)],
)
def test_labels_are_qualified_names(key: str, value: str) -> None:
    assert [*labels((), {key: value})] == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("a b", "c"),
        ("", "c"),
        ("/a", "c"),
        ("Example.com/a", "c"),
        ("a/b/c", "d"),
        ("a" * 64, "c"),
        ("a", "b c"),
        ("a", "-b"),
        ("a", "b" * 64),
    ],
)
def test_others_are_refused(key: str, value: str) -> None:
    assert len([*labels((), {key: value})]) == 1


@pytest.mark.parametrize("text", ["0.0.0.0", "127.0.0.1", "169.254.169.254", "224.0.0.9"])
def test_special_addresses_are_no_endpoints(text: str) -> None:
    assert len([*endpoint_address((), IPv4Address(text))]) == 1
    assert [*endpoint_address((), IPv4Address("10.0.0.9"))] == []


def test_it_is_asked_of_services_pods_and_nodes() -> None:
    service = Service("web", {"a b": "c"}, (ServicePort(80, "8080"),), labels={"a": "b c"})
    port = Port(8080, name="Http")
    pod = Pod("web-0", labels={"a b": "c"}, containers=(Container("c", (port,)),))
    node = Node("node-1", "a", "t3.small", labels={"a b": "c"})

    assert keys(service_problems((service,))) == [
        "services.web.labels.a",
        'services.web.selector["a b"]',
        "services.web.ports[0].targetPort",
    ]
    assert keys(checks.problems((node,), (pod,))) == [
        'nodes.node-1.labels["a b"]',
        'pods.web-0.labels["a b"]',
        "pods.web-0.containers.c.ports[0].name",
    ]


def test_an_endpoints_object_has_addresses_and_names_for_its_ports() -> None:
    """ValidateEndpointSubsets; an EndpointSlice may have none, and one port without a name."""
    two = (EndpointPort(80), EndpointPort(81, "b"))
    local = EndpointAddress(IPv4Address("127.0.0.1"))

    empty = EndpointSlice("e", "web", (), two, kind="Endpoints")
    assert keys(slice_problems((empty,))) == [
        "endpointSlices.e.ports[0].name",
        "endpointSlices.e.addresses",
    ]
    assert keys(slice_problems((EndpointSlice("e", "web", (), two),))) == []
    assert keys(slice_problems((EndpointSlice("e", "web", (local,)),))) == [
        "endpointSlices.e.addresses[0]"
    ]
