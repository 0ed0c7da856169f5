"""Which pods a Service leads to, and to which of their ports."""

from ipaddress import IPv4Address

from testbed.kubernetes.model import Pod, Service, ServicePort
from testbed.kubernetes.placement import PodAddress
from testbed.services.endpoints import Behind

WEB = Service("web", {"app": "web"}, (ServicePort(80),))


def at(pod: str, ip: str, *, node: str = "n1", host_network: bool = False) -> PodAddress:
    return PodAddress(pod, "eks", node, 0, IPv4Address(ip), host_network)


def shown(service: Service, pods: list[Pod], places: list[PodAddress]) -> list[str]:
    return [str(backend) for backend in Behind(pods, places).backends(service, service.ports[0])]


def test_pods_come_in_the_order_of_their_addresses_as_text():
    """Both controllers sort so: 10.0.1.50 is before 10.0.1.6."""
    pods = [Pod("web-0"), Pod("web-1"), Pod("web-2")]
    places = [at("web-2", "10.0.1.50"), at("web-0", "10.0.1.7"), at("web-1", "10.0.1.6")]

    assert shown(WEB, pods, places) == ["10.0.1.50:80", "10.0.1.6:80", "10.0.1.7:80"]


def test_pods_that_share_an_address_are_one_endpoint():
    """After ipamD forgot the first one: kube-proxy knows endpoints by address and port."""
    pods = [Pod("web-0"), Pod("web-1")]
    places = [at("web-0", "10.0.1.6"), at("web-1", "10.0.1.6")]

    assert shown(WEB, pods, places) == ["10.0.1.6:80"]


def test_a_pod_that_waits_is_no_endpoint():
    assert shown(WEB, [Pod("web-0"), Pod("web-1")], [at("web-1", "10.0.1.6")]) == ["10.0.1.6:80"]


def test_all_of_the_selector_has_to_fit_and_nothing_else():
    both = Service("web", {"app": "web", "tier": "front"}, (ServicePort(80),))
    pods = [
        Pod("a", labels={"app": "web", "tier": "front", "version": "2"}),
        Pod("b", labels={"app": "web"}),
        Pod("c", labels={"app": "web", "tier": "front"}, namespace="other"),
    ]
    places = [at("a", "10.0.1.5"), at("b", "10.0.1.6"), at("other.c", "10.0.1.7")]

    assert shown(both, pods, places) == ["10.0.1.5:80"]


def test_the_target_port_is_asked_of_nobody():
    """Kubernetes does not know what a container listens on; connections there are refused."""
    service = Service("web", {"app": "web"}, (ServicePort(80, target_port=8080),))

    assert shown(service, [Pod("web-0")], [at("web-0", "10.0.1.5")]) == ["10.0.1.5:8080"]


def test_a_host_network_pod_is_reached_at_its_node():
    places = [at("web-0", "10.0.1.4", node="n2", host_network=True)]

    [found] = Behind([Pod("web-0", host_network=True)], places).backends(WEB, WEB.ports[0])

    assert found[:4] == (IPv4Address("10.0.1.4"), 80, "n2", "web-0")


def test_a_service_without_a_selector_leads_nowhere():
    assert shown(Service("web", {}, (ServicePort(80),)), [Pod("p")], [at("p", "10.0.1.5")]) == []
